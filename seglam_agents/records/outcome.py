"""What comes of a request: `Hit | Recognised | Miss | Deopt | Refused`. Values with typed kinds and reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import Field

from seglam_agents.records.entry import AdmissionReport
from seglam_agents.records.procedure import ClosingMode, ToolUse
from seglam_agents.records.record import Json, Record
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.usage import Usage


@dataclass(frozen=True, slots=True)
class Call:
    """The procedure wants this tool next."""

    tool: str
    arguments: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Final:
    """The procedure has answered."""

    answer: Json
    seconds: float = 0.0


GiveUpKind: TypeAlias = Literal[
    "deopt",
    "error",
    "limit",
    "crash",
    "syntax",
    "value",
    "busy",
    "unavailable",
    "arguments",
    "stale",
    "host",
    "conflict",
    "broken",
]
"""Why a running procedure stopped. `deopt`: its code said so. `error`: its code raised. `limit`: a limit ended it.
`crash`: its sandbox died. `syntax`: it is not in the dialect. `value`: it answered with no value. `busy`: no worker was
free. `unavailable`: its remote sandbox cannot be reached. `arguments`: a call does not fit the tool's schema. `stale`:
it serves no more. `host`: the host or a person intervened. `conflict`: several procedures accept the request and want
different things. `broken`: the cache is broken."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The procedure cannot go on: the model takes over from where it stopped."""

    reason: str
    seconds: float = 0.0
    kind: GiveUpKind = "deopt"


Action: TypeAlias = Call | Final | GiveUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """Where an answer comes from: enough to look everything else up."""

    procedure_id: str
    version: int
    name: str
    content_hash: str
    wording: str = ""
    """The template that accepted the request; empty where a guard is code, or the procedure was called by name."""
    trace_ids: tuple[str, ...] = ()
    clean_replays: int = 0
    """Cases with a known right answer that this version reproduced exactly."""
    error_bound: float | None = None
    """At most this share of wrong answers at 95 % confidence (3 / clean replays); None without any replay."""

    @property
    def key(self) -> str:
        """`id@version`."""
        return f"{self.procedure_id}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds spent on one lookup, by stage."""

    normalise: float = 0.0
    index: float = 0.0
    guards: float = 0.0
    body: float = 0.0

    @property
    def total(self) -> float:
        """All stages together."""
        return self.normalise + self.index + self.guards + self.body


HitKind: TypeAlias = Literal["guard", "called"]
"""`guard`: a guard accepted the text. `called`: the procedure was called by name, with arguments."""
RecognisedKind: TypeAlias = Literal["ride", "call"]
"""`ride`: in the call that would have answered. `call`: in a short call of its own."""
MissKind: TypeAlias = Literal["unknown", "declined", "conflict", "not tried", "sandbox", "shadow", "broken"]
"""`unknown`: nothing stored is like the request. `declined`: guards were asked and none accepted. `conflict`: several
accepted and disagreed. `not tried`: the request was not looked up. `sandbox`: a procedure accepts it whose
sandbox is not here. `shadow`: a procedure accepts it that runs in shadow. `broken`: the cache is broken."""
RefusedKind: TypeAlias = Literal["empty", "too long", "not text", "no such procedure", "arguments", "broken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A guard accepted and the body answered: no model call was made."""

    answer: Json
    citation: Citation
    arguments: Mapping[str, Json] = field(default_factory=dict[str, Json])
    steps: tuple[ToolStep, ...] = ()
    """The tool calls of the body, as executed."""
    timing: Timing = Timing()
    kind: HitKind = "guard"
    closing: ClosingMode = "answer"
    """`model`: the steps were served, and the last message is left to the host's model; `answer` is None."""

    @property
    def usage(self) -> Usage:
        """A hit costs no tokens."""
        return Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """No guard accepted; the model named the procedure in the call that was made anyway, and code answered."""

    answer: Json
    citation: Citation
    arguments: Mapping[str, Json] = field(default_factory=dict[str, Json])
    grounding: Mapping[str, str] = field(default_factory=dict[str, str])
    """Where in the request each argument stands."""
    steps: tuple[ToolStep, ...] = ()
    learned: Learned | None = None
    """What came of learning the wording."""
    usage: Usage = Usage()
    timing: Timing = Timing()
    kind: RecognisedKind = "ride"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A guard that was asked and declined."""

    procedure: str
    stage: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What came of learning from a request."""

    status: Literal["admitted", "widened", "rejected", "not crystallizable", "deferred", "failed"]
    reason: str = ""
    procedure: str | None = None
    """`id@version` of what was admitted."""
    report: AdmissionReport | None = None
    answer: Json = None
    """The model's own answer, where it gave one along with saying that no code can."""
    attempts: int = 0
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedKind:
    """What came of all remembered runs of one kind."""

    example: str
    """The text of one of their requests."""
    traces: int
    learned: Learned


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """No guard accepted, or those that did disagreed. `answer` is the model's, where one was asked."""

    reason: str
    kind: MissKind = "declined"
    answer: Json = None
    answered_by: Literal["nobody", "model", "new procedure"] = "nobody"
    stops: tuple[Stop, ...] = ()
    steps: tuple[ToolStep, ...] = ()
    """Writes of an earlier attempt at the same named request (`request_id`), which are not to be repeated."""
    learned: Learned | None = None
    usage: Usage = Usage()
    timing: Timing = Timing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deopt:
    """A guard accepted, but the running procedure gave up. The steps done are not to be repeated."""

    reason: str
    citation: Citation
    kind: GiveUpKind = "deopt"
    steps: tuple[ToolStep, ...] = ()
    answer: Json = None
    answered_by: Literal["nobody", "model"] = "nobody"
    usage: Usage = Usage()
    timing: Timing = Timing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The request was not looked at: empty, too long, or nothing that could answer it."""

    reason: str
    kind: RefusedKind
    answer: Json = None
    usage: Usage = Usage()


Outcome: TypeAlias = Hit | Recognised | Miss | Deopt | Refused


class PlannedBeside(Record):
    """Another procedure that accepts the request, too: it must want the same at every step."""

    procedure: str
    """`id@version`."""
    content_hash: str
    arguments: dict[str, Json] = Field(default_factory=dict[str, Json])


class Plan(Record):
    """A guard accepted: what will answer, with which arguments. Nothing has run yet.

    A plan is plain data: another worker can go on with it (`ReasoningCache.next_action`) from the recorded results.
    """

    procedure: str
    """`id@version` of the procedure."""
    content_hash: str
    arguments: dict[str, Json] = Field(default_factory=dict[str, Json])
    """In their JSON form (`seglam_agents.records.values.encode`)."""
    tools: tuple[ToolUse, ...] = ()
    """What it may call. Empty for a procedure that answers by computing alone."""
    now: datetime | None = None
    """The clock that its body sees, the same at every step."""
    request: str = ""
    wording: str = ""
    """The template that accepted the request; empty where a guard is code, or the procedure was called by name."""
    closing: ClosingMode = "answer"
    """`model`: it ends with `Final(None)`, and the host's model has the last word."""
    beside: tuple[PlannedBeside, ...] = ()
    answered: bool = False
    """True where the body ran already, to be compared with others: `answer` is what it came to."""
    answer: Json = None

    @property
    def pure(self) -> bool:
        """True when it calls no tool."""
        return not self.tools


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Which guards were asked about a request, and where each stopped."""

    request: str
    normalised: str
    verdict: str
    accepted: tuple[str, ...] = ()
    """`id@version` of the procedures whose guard accepts."""
    arguments: Mapping[str, Mapping[str, Json]] = field(default_factory=dict[str, Mapping[str, Json]])
    stops: tuple[Stop, ...] = ()
    """Nearest first."""
    agents: Mapping[str, str] = field(default_factory=dict[str, str])
    """Whose procedure it is, where it is another agent's than the one that was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStatistics:
    """Sums since the cache was opened, and what is stored."""

    procedures: int
    """Those of the agent that serve, under any instructions that the cache was asked under."""
    requests: int
    hits: int
    misses: int
    deopts: int
    refused: int
    conflicts: int
    admitted: int
    rejected: int
    not_crystallizable: int
    compile: Usage
    repair: Usage
    interpret: Usage
    recognised: int = 0
    attack: Usage = Usage()
    """What was spent on trying to break new guards."""

    @property
    def model_usage(self) -> Usage:
        """Everything spent on the model."""
        return self.compile + self.repair + self.interpret + self.attack
