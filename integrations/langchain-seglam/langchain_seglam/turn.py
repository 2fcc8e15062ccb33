"""One turn of an agent, as the cache sees it: plain data between two steps, and one decision a step.

Hosts differ in where they keep the data and how they say a message; what is decided is here, once.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.tools import BaseTool
from pydantic import Field
from seglam_agents import (
    Call,
    Deopt,
    Final,
    GiveUp,
    Hit,
    Plan,
    ReasoningCache,
    Request,
    ToolResult,
    ToolStep,
)
from seglam_agents.records.procedure import ToolUse
from seglam_agents.records.record import Json, Record, digest

from langchain_seglam.accounting import Accounting
from langchain_seglam.events import Event
from langchain_seglam.messages import new_id, render, result_of, results_by_call, spoken, tool_call
from langchain_seglam.recording import Executed, tool_step
from langchain_seglam.structured import Misfit, fit
from langchain_seglam.switch import Switch
from langchain_seglam.tools import described

logger = logging.getLogger(__name__)

TURN = "seglam"
"""The state channel of the turn, by the name of the instance."""
WRITE = "write"
"""The key in a message's metadata of what names the write that it asks for."""
MAX_STEPS = 64
"""Tool calls of one run of a procedure."""

Status: TypeAlias = Literal["new", "off", "miss", "running", "hit", "gave up"]


class Asked(Record):
    """A tool call that the procedure asked for, in the order of asking."""

    id: str
    tool: str
    arguments: dict[str, Json]


class Called(Record):
    """The call by which the model itself called the procedure, as a tool."""

    id: str
    tool: str
    arguments: dict[str, Json]
    text: str = ""


class Turn(Record):
    """What the cache knows of the running turn. Lives in the state of the graph, and so in its checkpoints."""

    status: Status = "new"
    key: str = ""
    """Names this turn, and no other."""
    message: str = ""
    """The id of the person's message that began it."""
    alone: bool = False
    """True where the person's message was the whole history, before anything of it was left out."""
    text: str = ""
    """The request as it was looked up: self-contained, and redacted where the host redacts."""
    context: dict[str, Json] = Field(default_factory=dict[str, Json])
    plan: Plan | None = None
    asked: tuple[Asked, ...] = ()
    called: Called | None = None
    author: str = ""
    """The id of the last message that the model wrote."""
    reason: str = ""
    learn: bool = True
    """False where what happens is no clean run of the model, or of the model after code that only read."""

    @property
    def teaches(self) -> bool:
        """Tell whether the model had the say, in a run that may be learnt from."""
        return self.status in ("miss", "gave up") and self.learn and bool(self.text)

    def write_key(self, call_id: str | None) -> str | None:
        """Return what names a write that the procedure asked for, whichever attempt it is; None for other calls."""
        for number, asked in enumerate(self.asked):
            if self.plan is not None and asked.id == call_id:
                uses = (use for use in self.plan.tools if use.name == asked.tool)
                writes = any(use.effect == "write" and not use.idempotent for use in uses)
                return digest(self.message, number, asked.tool, asked.arguments) if writes else None
        return None


def merge_turns(old: dict[str, Json] | None, new: dict[str, Json] | None) -> dict[str, Json]:
    """Reduce the channel: the turns of several instances side by side."""
    return {**(old or {}), **(new or {})}


def read_turn(state: Mapping[str, object], name: str) -> Turn:
    """Return the turn of an instance; one that cannot be read is left to the model."""
    turns = state.get(TURN)
    document = cast("Mapping[str, object]", turns).get(name) if isinstance(turns, Mapping) else None
    if document is None:
        return Turn(status="off", reason="the turn began without the cache")
    try:
        return Turn.model_validate(document)
    except ValueError:
        logger.warning("the turn in the state is of another version; the model goes on")
        return Turn(status="off", reason="the turn in the state is of another version")


def write_turn(turn: Turn, name: str) -> dict[str, Json]:
    """Return the update of the channel."""
    return {name: cast(Json, turn.model_dump(mode="json"))}


@dataclass(frozen=True, slots=True)
class View:
    """What the host shows of its state at one step."""

    tail: Sequence[BaseMessage] | None
    """The messages after the person's; None where that one is gone."""
    steps: Mapping[str, Executed]
    tools: Sequence[BaseTool | Mapping[str, object]] | None = None
    """The tools that may be called now; None where the host does not say."""
    response_format: object = None
    agent: str | None = None
    """The name that the agent gives to its messages."""
    switch: Switch = "on"


@dataclass(frozen=True, slots=True)
class Say:
    """The procedure's next message, in the place of the model's."""

    turn: Turn
    message: AIMessage
    structured: object = None
    final: bool = False
    answer: Json = None
    """That of a final message, as the procedure gave it."""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Return:
    """A procedure that the model called as a tool has ended: these messages tell the model, which goes on."""

    turn: Turn
    messages: tuple[AIMessage, ToolMessage]
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Pass:
    """The model speaks."""

    turn: Turn
    events: tuple[Event, ...] = ()


Decision: TypeAlias = Say | Return | Pass


@dataclass(slots=True)
class Counted:
    """What was counted: a step that the host runs once more is not counted twice."""

    size: int = 4_096
    _seen: OrderedDict[str, None] = field(default_factory=OrderedDict[str, None])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def first(self, key: str) -> bool:
        """Tell whether this is new."""
        with self._lock:
            if key in self._seen:
                return False
            self._seen[key] = None
            while len(self._seen) > self.size:
                self._seen.popitem(last=False)
            return True


@dataclass(frozen=True, slots=True)
class StandIn:
    """Lets a procedure stand in for the model, one message at a time.

    Args:
        cache: whose procedures.
        accounting: where hits are booked.
        counted: what was counted already.
    """

    cache: ReasoningCache
    accounting: Accounting
    counted: Counted

    def look_up(self, turn: Turn, text: str | None, context: Mapping[str, Json]) -> tuple[Turn, tuple[Event, ...]]:
        """Look a request up; a turn that is not self-contained is a miss without a look."""
        if text is None:
            turn = turn.model_copy(
                update={"status": "miss", "reason": "the turn is not self-contained", "learn": False}
            )
            return turn, ()
        found = self.cache.plan(text, context=context)
        known = {"text": text, "context": dict(context)}
        if isinstance(found, Plan):
            event = Event("seglam.lookup", {"found": True, "procedure": found.procedure, "pure": found.pure})
            return turn.model_copy(update={**known, "status": "running", "plan": found}), (event,)
        event = Event("seglam.lookup", {"found": False, "reason": found.reason})
        return turn.model_copy(update={**known, "status": "miss", "reason": found.reason}), (event,)

    def advance(self, turn: Turn, view: View) -> Decision:
        """Say the next message of a running procedure, or pass."""
        if turn.status != "running" or turn.plan is None:
            return Pass(turn)
        results, steps = self._results(turn, view)
        if isinstance(results, GiveUp):
            return self._give_up(turn, results, steps)
        problem = self._hindrance(turn, view)
        action = GiveUp(problem) if problem else self.cache.next_action(turn.plan, results)
        match action:
            case Call() if len(turn.asked) < MAX_STEPS:
                return self._ask(turn, action, view)
            case Call():
                return self._give_up(turn, GiveUp(f"more than {MAX_STEPS} tool calls"), steps)
            case Final() if turn.called is not None:
                return self._give_back(turn, turn.called, action, steps)
            case Final():
                return self._answer(turn, action, steps, view)
            case GiveUp():
                return self._give_up(turn, action, steps, learn=not problem and _only_read(turn.plan, steps))

    def abandon(self, turn: Turn, view: View, reason: str) -> Pass:
        """End a plan that the host did not let come to its end."""
        _, steps = self._results(turn, view)
        decision = self._give_up(turn.model_copy(update={"called": None}), GiveUp(reason), steps)
        return Pass(decision.turn, decision.events)

    def _hindrance(self, turn: Turn, view: View) -> str | None:
        plan = turn.plan
        if view.switch == "off":
            return "the cache was switched off"
        if plan is None or view.tools is None:
            return None
        # Checked before the first call and before each further one: a host may take tools away in between.
        tools = {tool.name: tool for tool in view.tools if isinstance(tool, BaseTool)}
        return next((problem for use in plan.tools if (problem := _changed(use, tools.get(use.name)))), None)

    def _results(self, turn: Turn, view: View) -> tuple[list[ToolResult] | GiveUp, list[ToolStep]]:
        """Return what the calls came to that the procedure asked for, in its order; and the steps that were done."""
        results: list[ToolResult] = []
        steps: list[ToolStep] = []
        if view.tail is None:
            return GiveUp("the request is not in the history any more"), steps
        messages = results_by_call(view.tail)
        for asked in turn.asked:
            step, message = view.steps.get(asked.id), messages.get(asked.id)
            if message is None:
                return GiveUp(f"the result of {asked.tool} is not in the history"), steps
            if step is None:
                return GiveUp(f"the call of {asked.tool} was not carried out: {message.text[:200]}"), steps
            steps.append(tool_step(step, message))
            if (step.tool, step.arguments) != (asked.tool, asked.arguments):
                return GiveUp(f"somebody changed the call of {asked.tool}"), steps
            results.append(result_of(message, step.size, step.seal or None))
        return results, steps

    def _ask(self, turn: Turn, action: Call, view: View) -> Say:
        asked = Asked(id=new_id(), tool=action.tool, arguments=dict(action.arguments))
        turn = turn.model_copy(update={"asked": (*turn.asked, asked)})
        about = self._about(turn, step=len(turn.asked))
        if key := turn.write_key(asked.id):
            about[WRITE] = key
        message = spoken("", calls=[tool_call(asked.tool, asked.arguments, asked.id)], about=about, name=view.agent)
        return Say(turn, message)

    def _answer(self, turn: Turn, action: Final, steps: Sequence[ToolStep], view: View) -> Decision:
        structured = fit(action.answer, view.response_format)
        if isinstance(structured, Misfit):
            return self._give_up(turn, GiveUp(structured.reason, action.seconds), steps)
        outcome, events = self._finish(turn, action, steps)
        about = {**self._about(turn), **_citation(outcome), "saved": self.accounting.saved(_id(turn)).as_json()}
        message = spoken(render(action.answer), about=about, name=view.agent)
        turn = turn.model_copy(update={"status": "hit"})
        return Say(turn, message, structured, final=True, answer=action.answer, events=events)

    def _give_back(self, turn: Turn, called: Called, action: Final, steps: Sequence[ToolStep]) -> Return:
        _, events = self._finish(turn, action, steps)
        return Return(_handed_back(turn), _told(called, render(action.answer), self._about(turn)), events)

    def _give_up(self, turn: Turn, action: GiveUp, steps: Sequence[ToolStep], *, learn: bool = False) -> Pass | Return:
        """Hand over to the model. What it then does may be learnt from where the procedure left nothing behind."""
        _, events = self._finish(turn, action, steps)
        logger.info("%s gave up: %s", turn.plan.procedure if turn.plan else "a procedure", action.reason)
        if turn.called is not None:
            text = f"The procedure gave up: {action.reason}."
            if steps:
                text += " The calls above were carried out; do not repeat them."
            return Return(_handed_back(turn), _told(turn.called, text, self._about(turn), error=True), events)
        update = {"status": "gave up", "reason": action.reason, "learn": turn.learn and learn}
        return Pass(turn.model_copy(update=update), events)

    def _finish(
        self, turn: Turn, action: Final | GiveUp, steps: Sequence[ToolStep]
    ) -> tuple[Hit | Deopt | None, tuple[Event, ...]]:
        plan = turn.plan
        if plan is None:
            return None, ()
        fresh = self.counted.first(f"{turn.key}/{turn.called.id if turn.called else ''}/{plan.procedure}")
        outcome: Hit | Deopt | None = None
        if fresh:
            outcome = self._safely(lambda: self.cache.finish(plan, action, steps))
        if isinstance(action, Final):
            saved = (
                self.accounting.hit(_id(turn)) if fresh and turn.called is None else self.accounting.saved(_id(turn))
            )
            return outcome, (
                Event("seglam.hit", {"procedure": plan.procedure, "steps": len(steps), "saved": saved.as_json()}),
            )
        if fresh:
            self.accounting.deopt(_id(turn))
        return outcome, (
            Event("seglam.deopt", {"procedure": plan.procedure, "steps": len(steps), "reason": action.reason}),
        )

    def _safely(self, finish: Callable[[], Hit | Deopt]) -> Hit | Deopt | None:
        try:
            return finish()
        except Exception:
            logger.exception("an outcome could not be counted")  # The answer is there; the run goes on.
            return None

    def _about(self, turn: Turn, **more: Json) -> dict[str, Json]:
        return {"author": "procedure", "procedure": turn.plan.procedure if turn.plan else "", **more}


def request_of(turn: Turn) -> Request:
    """Return the request of a turn as it was looked up."""
    return Request(text=turn.text, context=turn.context)


def _handed_back(turn: Turn) -> Turn:
    return turn.model_copy(update={"status": "miss", "plan": None, "asked": (), "called": None, "learn": False})


def _told(
    called: Called, text: str, about: Mapping[str, Json], *, error: bool = False
) -> tuple[AIMessage, ToolMessage]:
    """Return the model's call of a procedure and what came of it, put where they belong: after the steps."""
    call = spoken(called.text, calls=[tool_call(called.tool, called.arguments, called.id)], about=about)
    status: Literal["error", "success"] = "error" if error else "success"
    return call, ToolMessage(content=text, name=called.tool, tool_call_id=called.id, status=status, id=new_id())


def _changed(use: ToolUse, tool: BaseTool | None) -> str | None:
    if tool is None:
        return f"the tool {use.name} is not offered now"
    try:
        current = described(tool, use.effect, idempotent=use.idempotent)
    except Exception as error:
        return f"the arguments of the tool {use.name} cannot be read: {error}"
    if current.schema_hash != use.schema_hash:
        return f"the tool {use.name} has other arguments than the cache was told (declare it with host_tools)"
    return None


def _only_read(plan: Plan, steps: Sequence[ToolStep]) -> bool:
    effects = {use.name: use.effect for use in plan.tools}
    return all(effects.get(step.tool, "write") != "write" for step in steps)


def _id(turn: Turn) -> str:
    return turn.plan.procedure.rpartition("@")[0] if turn.plan else ""


def _citation(outcome: Hit | Deopt | None) -> dict[str, Json]:
    if outcome is None:
        return {}
    citation = outcome.citation
    return {"name": citation.name, "clean_replays": citation.clean_replays, "error_bound": citation.error_bound}
