"""`Compiler`: from requests (with what is known about them) to a candidate that admission has passed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from seglam_agents.flow import Flow
from seglam_agents.records.entry import AdmissionReport
from seglam_agents.records.procedure import Procedure
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import Trace
from seglam_agents.records.usage import Usage


@dataclass(frozen=True, slots=True)
class Known:
    """A request, with its right answer and the trace of how it was answered where these are known."""

    request: Request
    answer: Json = None
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A stored procedure near to the request, and where its guard stopped."""

    procedure: Procedure
    stopped: str


@dataclass(frozen=True, slots=True)
class CompileTask:
    """What a compiler is given."""

    requests: tuple[Known, ...]
    """What the candidate must answer."""
    related: tuple[Known, ...] = ()
    """Requests near to these, with their answers: maybe of the same kind, maybe not."""
    tools: tuple[Tool, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    """Procedures that it may widen instead of writing a new one."""
    negatives: tuple[str, ...] = ()
    """Requests that its guard must decline."""
    counterexamples: tuple[str, ...] = ()
    """Requests that an earlier candidate accepted and answered wrong: this one must decline them, for ever."""
    clock: bool = False
    """Whether bodies may read the clock."""
    finding: str = ""
    """Why another compiler refused, and how far it came."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A procedure that asks for admission."""

    procedure: Procedure
    known: tuple[Known, ...]
    """What it must reproduce: the requests of the task, with known or expected answers."""
    related: tuple[Known, ...] = ()
    """What it may decline, but must answer right if it accepts."""
    parent: Procedure | None = None
    held_out: tuple[tuple[Procedure, Known], ...] | None = None
    """Procedures that were made without one of the requests each, and that request: a test on what was not seen."""
    expected: frozenset[str] = frozenset()
    """Texts of those requests whose answer is only the compiler's own word."""
    replaces: tuple[Procedure, ...] = ()
    """Further procedures, besides the parent, that it takes the place of."""


Admit: TypeAlias = Callable[[Candidate], AdmissionReport]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A candidate that was admitted."""

    candidate: Candidate
    report: AdmissionReport
    usage: Usage
    attempts: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """No candidate was admitted."""

    reason: str
    usage: Usage
    attempts: int
    candidate: Candidate | None = None
    """The last one, where a reply could be read at all."""
    report: AdmissionReport = AdmissionReport()
    unsupported: tuple[Procedure, ...] = ()
    """Procedures that were made from these runs, and that these runs do not support any more."""


@dataclass(frozen=True, slots=True)
class NotCrystallizable:
    """The compiler says that no code answers requests of this kind."""

    reason: str
    usage: Usage
    answer: str | None = None
    """The model's own answer to the request, given along the way."""


Compilation: TypeAlias = Compiled | Rejected | NotCrystallizable


class Compiler(Protocol):
    """Turns requests into a candidate. A compiler that needs no model never yields an `Ask`."""

    @property
    def name(self) -> str:
        """How provenance names the compiler."""
        ...

    def compile(self, task: CompileTask, admit: Admit) -> Flow[Compilation]:
        """Write candidates until one is admitted, or give up with a reason."""
        ...
