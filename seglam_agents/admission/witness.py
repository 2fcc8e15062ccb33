"""`Witness`: the sandbox of one admission, which notes that a program broke and ends the admission where it is away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from seglam_agents.records.errors import SandboxError
from seglam_agents.records.values import Value
from seglam_agents.sandboxes.base import (
    Choice,
    Execution,
    Failed,
    Limits,
    Offering,
    Problem,
    Program,
    Sandbox,
    ToolCall,
    ToolResult,
    names,
)


class Witness:
    """Runs what another sandbox runs.

    Args:
        sandbox: the other one.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.broke = False
        """Whether a program raised something, or was not understood, which another interpreter might have."""

    @property
    def name(self) -> str:
        """The name of the other one."""
        return self._sandbox.name

    @property
    def offered(self) -> tuple[str, ...]:
        """The names of all that the other one is."""
        return names(self._sandbox)

    def choose(self, program: Program) -> Choice:
        """Choose as the other one does."""
        return self._sandbox.choose(program) if isinstance(self._sandbox, Offering) else Choice(self.name, {})

    def check(self, program: Program) -> Sequence[Problem]:
        """Look as the other one does."""
        return self._sandbox.check(program)

    def run(
        self,
        program: Program,
        arguments: Mapping[str, Value],
        *,
        recorded: Sequence[ToolResult] = (),
        call: Callable[[ToolCall], ToolResult] | None = None,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        now: datetime | None = None,
    ) -> Execution:
        """Run a program in the other one.

        Raises:
            SandboxError: the other one is away. Nothing was found out about the program, and more runs would wait as
                long as this one did.
        """
        execution = self._sandbox.run(program, arguments, recorded=recorded, call=call, limits=limits, now=now)
        if isinstance(execution, Failed):
            if execution.kind == "unavailable":
                raise SandboxError(f"the sandbox {program.sandbox or self.name!r} is unavailable: {execution.reason}")
            self.broke = self.broke or execution.kind in ("error", "syntax")
        return execution

    def close(self) -> None:
        """Leave the other one open: it is not this one's."""
