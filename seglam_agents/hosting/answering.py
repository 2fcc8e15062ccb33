"""Answers a question by a procedure that reads a source of the host's, such as a database: around a plan, once for all.

A source is read through a session: it carries the calls of one run out, and says at its end what came of them.
"""

from __future__ import annotations

import ast
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from seglam_agents.flow import Flow, host, work
from seglam_agents.hosting.base import HostedCache
from seglam_agents.hosting.running import running
from seglam_agents.records.outcome import Call, Deopt, Final, GiveUp, Hit, Plan
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.telling import tell
from seglam_agents.records.tools import HostTool, Tool
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.records.values import Value, decode
from seglam_agents.sandboxes.base import ToolResult

logger = logging.getLogger(__name__)

T = TypeVar("T")
S_co = TypeVar("S_co", covariant=True)

MAX_KNOWN_BODIES = 1_024


@dataclass(frozen=True, slots=True)
class Unfit:
    """Something that is not kept, or not served, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What a host did for one question, as the call of a tool."""

    tool: str
    arguments: Mapping[str, Json]
    result: Json

    def trace(self, question: str) -> Trace:
        """Return it as a trace: what was read is the answer."""
        step = ToolStep(tool=self.tool, arguments=dict(self.arguments), result=self.result)
        return Trace(request=Request(text=question), steps=(step,), answer=self.result)


class Session(Protocol[S_co]):
    """One run of a procedure over a source: carries its calls out, and remembers what came of them."""

    def call(self, action: Call) -> ToolResult:
        """Carry out a call. What it raises is an error of the tool."""
        ...

    async def acall(self, action: Call) -> ToolResult:
        """Carry out a call without blocking the event loop."""
        ...

    def served(self, answer: Json) -> S_co | Unfit:
        """Return the answer in the form of the host, or why it is not to be trusted."""
        ...


class Source(Protocol[S_co]):
    """Where the procedures of a host read."""

    @property
    def tools(self) -> Sequence[HostTool]:
        """What to declare to the cache: `ReasoningCache(tools=source.tools)`."""
        ...

    def session(self, constants: frozenset[str]) -> Session[S_co]:
        """Begin a run of a procedure, of which these are the constant texts."""
        ...

    def seen(self, question: str, metadata: Mapping[str, object]) -> Seen | Unfit:
        """Return what a host did, from the metadata of its response."""
        ...


@dataclass(frozen=True, slots=True)
class Sourced(Generic[T]):
    """An answer in the form of the host, and the hit that it comes from."""

    value: T
    hit: Hit

    @property
    def cited(self) -> dict[str, Json]:
        """Which procedure answered, under which bound, and with which arguments."""
        citation = self.hit.citation
        return {
            "hit": True,
            "procedure": citation.key,
            "name": citation.name,
            "content_hash": citation.content_hash,
            "clean_replays": citation.clean_replays,
            "error_bound": citation.error_bound,
            "arguments": dict(self.hit.arguments),
        }


@dataclass(slots=True)
class Answering:
    """Plans, runs, checks and counts. Whatever goes wrong, the host answers itself.

    Args:
        cache: whose procedures.
        gave_up: told for which question a procedure gave up, and why. It must not raise.
    """

    cache: HostedCache
    gave_up: Callable[[str, str], None] | None = None
    _bodies: dict[str, frozenset[str]] = field(default_factory=dict[str, "frozenset[str]"])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(
        self, question: str, tools: Sequence[Tool], begin: Callable[[Plan], Session[T]]
    ) -> Flow[Sourced[T] | None]:
        """Return the answer of a procedure; None where there is none. Never raises.

        Args:
            question: what is asked.
            tools: those of the source as they are now; a procedure with others gives up.
            begin: begins a session for a plan.
        """
        try:
            plan = yield from work(lambda: self._plan(question, tools))
            if plan is None:
                return None
            session = begin(plan)
            action, steps = yield from running(self.cache, plan, lambda call: _called(session, call))
            return self._end(plan, session, action, steps)
        except Exception as error:
            tell(logger, "the cache is broken; the host goes on without it", error)
            return None

    def constants(self, plan: Plan) -> frozenset[str]:
        """Return the texts that stand in the body of a planned procedure, as `vouched` wants them."""
        with self._lock:
            if (known := self._bodies.get(plan.content_hash)) is not None:
                return known
        bodies = {entry.procedure.content_hash: entry.procedure.body for entry in self.cache.procedures()}
        found = _texts(bodies.get(plan.content_hash, ""))
        with self._lock:
            if len(self._bodies) >= MAX_KNOWN_BODIES:
                self._bodies.clear()
            self._bodies[plan.content_hash] = found
        return found

    def _plan(self, question: str, tools: Sequence[Tool]) -> Plan | None:
        plan = self.cache.plan(question)
        if not isinstance(plan, Plan) or plan.closing == "model":
            return None
        mine = {tool.name: tool.schema_hash for tool in tools}
        strange = [use.name for use in plan.tools if mine.get(use.name) != use.schema_hash]
        if not strange:
            return plan
        reason = f"the source has no such tool now: {', '.join(strange)}"
        self._count(plan, GiveUp(reason, kind="stale"), ())
        return None

    def _end(
        self, plan: Plan, session: Session[T], action: Final | GiveUp, steps: tuple[ToolStep, ...]
    ) -> Sourced[T] | None:
        served = session.served(action.answer) if isinstance(action, Final) else None
        if isinstance(served, Unfit):
            action, served = GiveUp(served.reason, kind="host"), None
        hit = self._count(plan, action, steps)
        return Sourced(served, hit) if served is not None and hit is not None else None

    def _count(self, plan: Plan, action: Final | GiveUp, steps: tuple[ToolStep, ...]) -> Hit | None:
        outcome = self.cache.finish(plan, action, steps)
        if not isinstance(outcome, Deopt):
            return outcome
        logger.info("%s gave up: %s", plan.procedure, outcome.reason)
        if self.gave_up is not None:
            self.gave_up(plan.request, outcome.reason)
        return None


def vouched(action: Call, tool: str, constant: str, texts: frozenset[str]) -> tuple[str, dict[str, Value]]:
    """Return the program that a call runs, such as a statement, and the parameters to bind in it.

    Args:
        action: the call.
        tool: the only tool that the source has.
        constant: the argument that holds the program. The other one is `parameters`.
        texts: the texts that stand in the procedure (`Answering.constants`).

    Raises:
        ValueError: it is another call, or the program was put together, from who knows what.
    """
    text, parameters = action.arguments.get(constant), action.arguments.get("parameters")
    if action.tool != tool or not isinstance(text, str) or not isinstance(parameters, Mapping):
        raise ValueError(f"this is no call of {tool} with {constant} and parameters")
    if text not in texts:
        raise ValueError(f"the {constant} was put together: it does not stand in the procedure as a whole")
    return text, {name: decode(value) for name, value in parameters.items()}


def _called(session: Session[T], call: Call) -> Flow[ToolResult]:
    return (yield from host(lambda: session.call(call), lambda: session.acall(call)))


def _texts(body: str) -> frozenset[str]:
    try:
        tree = ast.parse(body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    # The pieces of an f-string are constants, too, and are no texts of their own.
    pieces = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    return frozenset(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in pieces
    )
