"""`Sandbox`: runs source that nobody trusts, under `Limits`, and says what came of it as an `Execution`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

from seglam_agents.records.errors import SandboxError
from seglam_agents.records.request import Scope
from seglam_agents.records.tools import Tool
from seglam_agents.records.values import Value

_LONGEST_SECONDS: Final = 86_400
_LEAST_MEMORY: Final = 256 * 2**10
_MOST: Final = 2**48


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run may use. A sandbox enforces every one of them by its own clock and its own count."""

    seconds: float = 0.5
    """Interpreter time; the time of tools is the host's and does not count."""
    memory_bytes: int = 64 * 2**20
    recursion_depth: int = 200
    tool_calls: int = 64
    output_bytes: int = 1_000_000
    """Size of the returned value as JSON."""

    def __post_init__(self) -> None:
        """Refuse what no run could be held to.

        Raises:
            ValueError: such as for a limit of no seconds, or of endless ones.
        """
        if not 0 < self.seconds <= _LONGEST_SECONDS:
            raise ValueError(f"seconds={self.seconds!r}: a run needs more than 0 and at most {_LONGEST_SECONDS:,} s")
        for name, least in (
            ("memory_bytes", _LEAST_MEMORY),
            ("recursion_depth", 1),
            ("tool_calls", 0),
            ("output_bytes", 0),
        ):
            value: object = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value < _MOST:
                raise ValueError(f"{name}={value!r}: it is a whole number of at least {least:,}")


@dataclass(frozen=True, slots=True)
class Program:
    """Source text and the function of it to call."""

    source: str
    entry: str = "run"
    tools: tuple[Tool, ...] = ()
    """The tools that the source may call as ordinary functions; no other name of the host exists in it."""
    clock: bool = False
    """Whether a look at the program lets it read the clock, because its host has declared one."""
    sandbox: str = ""
    """The name of the sandbox that it is for, where several are offered; empty for the default one."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool with its arguments by name, as the program asked for it."""

    tool: str
    arguments: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back for a recorded call; `error` is raised inside the program as a RuntimeError."""

    value: Value = None
    error: str | None = None
    final: bool = False
    """True where the call was, or may have been, carried out and what it came to cannot be had: a program that catches
    the error must not go another way, as whoever reads the error has to find out first."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The program ended with a value."""

    value: Value
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Paused:
    """The program wants a tool whose result was not recorded."""

    call: ToolCall
    seconds: float = 0.0


FailureKind: TypeAlias = Literal["deopt", "error", "limit", "crash", "syntax", "value", "busy", "unavailable"]


@dataclass(frozen=True, slots=True)
class Failed:
    """The program gave up or was stopped.

    `deopt`: it called `deopt(reason)`. `error`: it raised. `limit`: a limit ended it. `crash`: its worker died.
    `syntax`: it is not in the sandbox's dialect. `value`: it returned something that is no `Value`. `busy`: it never
    began, because every worker was taken. `unavailable`: a remote sandbox cannot be reached, or refuses; or the
    sandbox was closed during the run.
    """

    kind: FailureKind
    reason: str
    seconds: float = 0.0


Execution: TypeAlias = Returned | Paused | Failed


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a static look at a program found."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of several sandboxes a program is for."""

    sandbox: str | None
    """Its name; None where none can run the program."""
    lacking: Mapping[str, Sequence[Problem]]
    """What the ones before it lack, by name."""

    @property
    def reason(self) -> str:
        """Why it is not the default one."""
        return "; ".join(f"{name}: {problems[0].message}" for name, problems in self.lacking.items())


@runtime_checkable
class Offering(Protocol):
    """A sandbox that is several."""

    @property
    def offered(self) -> tuple[str, ...]:
        """The names of all of them, the default first."""
        ...

    def choose(self, program: Program) -> Choice:
        """Return which of them can run a program, and why no other."""
        ...


@dataclass(frozen=True, slots=True)
class HostModule:
    """Trusted functions of the host that a program may import by name, such as `slots`.

    The functions take and return `Value`s, and must neither block nor have effects. Their time is the program's.
    """

    name: str
    functions: Mapping[str, Callable[..., Value]] = field(default_factory=dict[str, Callable[..., Value]])


@runtime_checkable
class Sandbox(Protocol):
    """Runs one entry function of one program at a time; safe to call from several threads.

    Every run starts from nothing: no state of an earlier run is visible. Inside, the clock stands still at `now`
    (or reading it fails where `now` is None), there is no randomness, no file, network, environment or process,
    and three names of ours exist: the program's tools, `deopt(reason)`, and the importable host modules.
    """

    @property
    def name(self) -> str:
        """The name of the sandbox in reports."""
        ...

    def check(self, program: Program) -> Sequence[Problem]:
        """Parse (and where the sandbox can, type-check) a program without running it."""
        ...

    def run(
        self,
        program: Program,
        arguments: Mapping[str, Value],
        *,
        recorded: Sequence[ToolResult] = (),
        call: Callable[[ToolCall], ToolResult] | None = None,
        limits: Limits = Limits(),
        now: datetime | None = None,
    ) -> Execution:
        """Call `entry(**arguments)`.

        The first `len(recorded)` tool calls are answered from `recorded`, the following ones by `call`; without
        `call` the run stops there as `Paused`. A failure of the program is a `Failed`; `SandboxError` is raised
        only when the sandbox itself cannot work.
        """
        ...

    def close(self) -> None:
        """Stop every worker. A closed sandbox starts again at its next run."""
        ...


@runtime_checkable
class Furnishable(Protocol):
    """A sandbox that can be given modules after it was made."""

    def offer(self, module: HostModule) -> None:
        """Let programs import a module of the host; one of the same name that is there already stays."""
        ...


@runtime_checkable
class Divided(Protocol):
    """A sandbox in which runs may leave something behind, so that every scope has a part of its own."""

    def within(self, scope: Scope) -> Sandbox:
        """Return the part of a scope; the same one, whoever asks."""
        ...


REMOTE: Final = frozenset({"e2b"})
"""The names of the sandboxes that run programs on another machine than the user's."""


def checked_sandbox(sandbox: object) -> Sandbox:
    """Return a sandbox.

    Raises:
        SandboxError: it is none, such as a name or a class.
    """
    if isinstance(sandbox, type) or not isinstance(sandbox, Sandbox):
        raise SandboxError(
            f"{sandbox!r} is no sandbox: pass one, such as ProcessSandbox(), or open_sandbox('monty,process') of "
            "seglam_agents.sandboxes.opening; a cache takes such names as well: sandbox='monty,process'"
        )
    return sandbox


def at_least_one(workers: int) -> int:
    """Return a number of workers.

    Raises:
        SandboxError: nobody could work.
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SandboxError(f"workers={workers!r}: a sandbox needs a whole number of workers, at least 1")
    return workers


def housed(sandbox: Sandbox, scope: Scope, modules: Sequence[HostModule]) -> Sandbox:
    """Return a sandbox as a cache uses it: with the modules that bodies may import, and nothing of another scope."""
    sandbox = checked_sandbox(sandbox)
    part = sandbox.within(scope) if isinstance(sandbox, Divided) else sandbox
    if isinstance(part, Furnishable):
        for module in modules:
            part.offer(module)
    return part


def offers(sandbox: Sandbox, name: str) -> bool:
    """Tell whether a program for the sandbox of that name can run in this one."""
    return name in names(sandbox)


def names(sandbox: Sandbox) -> tuple[str, ...]:
    """Return the names of all that a sandbox is, the default first."""
    return sandbox.offered if isinstance(sandbox, Offering) else (sandbox.name,)
