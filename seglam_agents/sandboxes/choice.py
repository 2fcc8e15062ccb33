"""`SandboxChoice`: several sandboxes that are one; which of them runs a program is said by the program, or chosen.

The first is the default. Another is chosen only for a program that the default cannot run, the choice is written into
the procedure, and from then on it runs there and nowhere else: two interpreters that differ must not take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from seglam_agents.records.errors import SandboxError
from seglam_agents.records.request import Scope
from seglam_agents.records.values import Value
from seglam_agents.sandboxes.base import (
    Choice,
    Divided,
    Execution,
    Furnishable,
    HostModule,
    Limits,
    Problem,
    Program,
    Sandbox,
    ToolCall,
    ToolResult,
    checked_sandbox,
)


class SandboxChoice:
    """Offers sandboxes, the default first.

    Raises:
        SandboxError: one of them is none, such as a name.
        ValueError: two of them have one name.
    """

    def __init__(self, default: Sandbox, *others: Sandbox) -> None:
        self._default = checked_sandbox(default)
        self._by_name = {sandbox.name: sandbox for sandbox in map(checked_sandbox, (default, *others))}
        if len(self._by_name) != 1 + len(others):
            raise ValueError("two sandboxes have one name: give each of them once")

    @property
    def name(self) -> str:
        """The name of the default sandbox: reports name another one where it was chosen."""
        return self._default.name

    @property
    def offered(self) -> tuple[str, ...]:
        """The names of all of them."""
        return tuple(self._by_name)

    def choose(self, program: Program) -> Choice:
        """Return the first sandbox that can run a program, and what the ones before it lack."""
        lacking: dict[str, Sequence[Problem]] = {}
        for sandbox in self._by_name.values():
            problems = sandbox.check(program)
            if not problems:
                return Choice(sandbox.name, lacking)
            lacking[sandbox.name] = problems
        return Choice(None, lacking)

    def check(self, program: Program) -> Sequence[Problem]:
        """Look at a program as the sandbox does that it is for."""
        return self._of(program).check(program)

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
        """Run a program in the sandbox that it is for; see `Sandbox.run`."""
        return self._of(program).run(program, arguments, recorded=recorded, call=call, limits=limits, now=now)

    def offer(self, module: HostModule) -> None:
        """Let programs import a module of the host, in all of them that can be given one."""
        for sandbox in self._by_name.values():
            if isinstance(sandbox, Furnishable):
                sandbox.offer(module)

    def within(self, scope: Scope) -> SandboxChoice:
        """Return the same choice among the parts of a scope."""
        parts = [one.within(scope) if isinstance(one, Divided) else one for one in self._by_name.values()]
        return SandboxChoice(*parts)

    def close(self) -> None:
        """Stop every worker of all of them."""
        for sandbox in self._by_name.values():
            sandbox.close()

    def _of(self, program: Program) -> Sandbox:
        sandbox = self._by_name.get(program.sandbox) if program.sandbox else self._default
        if sandbox is None:
            raise SandboxError(
                f"the program is for the sandbox {program.sandbox!r}, and only {', '.join(self.offered)} "
                "is there: pass SandboxChoice(MontySandbox(...), ...) with it"
            )
        return sandbox
