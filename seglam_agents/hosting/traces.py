"""The trace of a turn, from what the model said and what was carried out; or why it teaches nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seglam_agents.hosting.named import rests_on
from seglam_agents.hosting.procedures import is_procedure_tool
from seglam_agents.hosting.turn import Asked, Carried, Turn
from seglam_agents.records.record import Json
from seglam_agents.records.trace import ModelStep, Step, ToolStep, Trace
from seglam_agents.records.usage import Usage


@dataclass(frozen=True, slots=True)
class Said:
    """One message in the agent's own voice, whoever wrote it."""

    id: str
    text: str | None
    """None where it is not only text."""
    calls: tuple[Asked, ...] = ()
    """As they stand in the message, where somebody may have changed them."""
    usage: Usage = Usage()
    unreadable: bool = False
    """True where it holds a call that cannot be read."""


@dataclass(frozen=True, slots=True)
class Unclean:
    """A run that is not learnt from, and why."""

    reason: str


def trace_of(
    turn: Turn,
    said: Sequence[Said],
    calls: Mapping[str, Carried],
    *,
    structured: Json = None,
    interrupted: bool = False,
) -> Trace | Unclean:
    """Return what an agent did in one turn as a trace, or why it is no clean run.

    Args:
        turn: what the cache knows of it: its `author` is the last message of the model, with which it must have ended.
        said: the agent's messages after the request, up to the end of the turn.
        calls: what was carried out, by the id of the call.
        structured: the structured response, where there is one; it is the answer then.
        interrupted: a person spoke in between.
    """
    if not turn.teaches or interrupted:
        return Unclean("a person spoke in between" if interrupted else turn.reason or "the turn is not self-contained")
    if not said or not turn.author or said[-1].id != turn.author:
        return Unclean("the last word was not the model's")
    seen: list[Step] = []
    for number, message in enumerate(said):
        if message.unreadable:
            return Unclean("the model wrote a tool call that cannot be read")
        seen.append(ModelStep(text=message.text or "", usage=message.usage))
        if message is said[-1] and structured is not None:
            break
        for call in message.calls:
            step = _step(turn, call, calls.get(call.id), number)
            if isinstance(step, Unclean):
                return step
            seen.append(step)
    if structured is None and said[-1].calls:
        return Unclean("the run ended with a tool call")
    answer = structured if structured is not None else said[-1].text
    if answer is None or answer == "":
        return Unclean("the answer is no text")
    trace = Trace(request=turn.request, steps=tuple(seen), answer=answer)
    if (word := rests_on(turn.before, turn.text, trace.calls)) is not None:
        return Unclean(f"it needs what was said before: {word!r}")
    return trace


def _step(turn: Turn, call: Asked, carried: Carried | None, batch: int) -> ToolStep | Unclean:
    if carried is None or carried.refused:
        return Unclean(f"the call of {call.tool} was not carried out")
    if is_procedure_tool(carried.tool) or is_procedure_tool(call.tool):
        return Unclean(f"{call.tool} is a stored procedure")
    if carried.error is not None:
        return Unclean(f"{carried.tool} failed")
    return carried.step(_asked(turn, call), batch=batch)


def _asked(turn: Turn, call: Asked) -> Asked:
    """Return a call as it was asked for, before a person looked at it."""
    return next((asked for asked in (*turn.asked, *turn.proposed) if asked.id == call.id), call)
