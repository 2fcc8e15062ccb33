"""`Turns`: a proxy as a host. What its procedures say in a conversation that it sees one request at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from seglam_agents import HostTool, ReasoningCache, Trace
from seglam_agents.hosting import (
    UNKNOWN,
    Asked,
    Carried,
    Decision,
    Driver,
    Drivers,
    Event,
    Go,
    InDoubt,
    Json,
    Kept,
    Left,
    Pass,
    Said,
    Say,
    Switch,
    Turn,
    Unclean,
    Usage,
    Value,
    View,
    adrive,
    carried_as,
    digest,
    follow,
    instructions_digest,
    new_id,
    origin_of,
    trace_of,
)
from seglam_agents.surfaces.proxy.dialect import Heard, Spoke, shown

OURS = "seglam_"
"""How the ids of calls begin that a procedure asked for (`new_id`)."""
MAX_GOING = 4_096
"""Conversations that are remembered between two requests."""
MAX_CACHES = 256
LAST = 2.0
"""Seconds that are left for learning when the proxy ends."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks the proxy: what a cache is opened for."""

    tenant: str
    agent: str | None
    """As the client calls its agent; None where it does not."""
    tools: tuple[HostTool, ...]
    """What the agent may call. The client carries calls out, so that their functions only raise."""


Open: TypeAlias = Callable[[Caller], ReasoningCache]


@dataclass(frozen=True, slots=True)
class Asking:
    """What a request says beside its conversation."""

    tenant: str
    agent: str | None = None
    request_id: str | None = None
    switch: Switch = "on"
    instructions: str | None = None
    """The client's name for what the agent is told; None where the messages say all of it."""


@dataclass(frozen=True, slots=True)
class Going:
    """What is remembered of a conversation until its next request, by the call that it waits for."""

    turn: Turn
    attempt: str = ""
    """That of the write that was said last."""
    told: tuple[tuple[int, tuple[Left, ...]], ...] = ()
    """What the model was told that the client's messages do not say, and where among them."""
    costs: Mapping[str, Usage] = field(default_factory=dict[str, Usage])
    """What the model's messages of this turn cost, by their numbers."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happens now."""

    decision: Decision
    going: Going
    heard: Heard
    driver: Driver | None = None

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened, for whoever watches."""
        return self.decision.events


class Turns:
    """Decides what is said in conversations, and learns from those that the model led.

    Args:
        open: opens the cache of a caller; kept open for the callers seen last.
        drivers: count and learn.
    """

    def __init__(self, open: Open, drivers: Drivers) -> None:
        self._open = open
        self._drivers = drivers
        self._caches = Kept[ReasoningCache](MAX_CACHES)
        self._opening = threading.Lock()
        self._going = Kept[Going](MAX_GOING)

    def decide(self, asking: Asking, heard: Heard, place: int) -> Step:
        """Return what a procedure says, or that the model speaks.

        Args:
            asking: whose request it is.
            heard: the conversation.
            place: how many items the client sends.
        """
        cache = self._cache(asking, heard)
        told = instructions_digest(heard.told if asking.instructions is None else asking.instructions)
        going = self._known(asking, heard)
        view = _view(heard, asking.switch)
        if going is None:
            going = Going(_new(asking))
            decision = self._begun(cache, going.turn, heard, view, told)
        else:
            self._noted(cache, going.turn, going.turn.asked[-1:], view, going.attempt)
            decision = self._gone_on(cache, going.turn, heard, view, told)
        driver = self._drivers.under(cache, decision.turn)
        if isinstance(decision, Say):
            decision, attempt = _journaled(driver or self._drivers.of(cache), decision, view)
            going = replace(going, attempt=attempt)
        if isinstance(decision, Pass) and decision.left:
            going = replace(going, told=(*going.told, (place, decision.left)))
        return Step(decision, replace(going, turn=decision.turn), heard, driver)

    def said(self, asking: Asking, step: Step) -> None:
        """Take in that a procedure's call went out to the client: the conversation waits for it."""
        if isinstance(step.decision, Say):
            self._keep(asking, step.heard, step.decision.call, step.going)

    def spoke(self, asking: Asking, step: Step, spoke: Spoke) -> Trace | Unclean | None:
        """Take in what the model said: the conversation goes on, or has ended, and is returned to be learnt from."""
        number = str(len(step.heard.said))
        turn = step.going.turn.spoke(number, spoke.calls)
        going = replace(step.going, turn=turn, costs={**step.going.costs, number: spoke.usage})
        for call in spoke.calls[:1]:
            self._keep(asking, step.heard, call, going)
        if spoke.calls:
            return None
        return _trace(going, step.heard, Said(number, spoke.text, usage=spoke.usage, unreadable=not spoke.whole))

    async def learn(self, step: Step, trace: Trace | Unclean | None) -> None:
        """Learn from a conversation that has ended. Never raises."""
        if step.driver is None or not isinstance(trace, Trace):
            return
        cache = step.driver.cache
        request = trace.request.model_copy(update={"scope": cache.scope})
        await adrive(self._drivers.learn(cache, trace.model_copy(update={"request": request})))

    def close(self) -> None:
        """Learn from what waits, but for a moment only: a server that is stopped ends at once."""
        self._drivers.learner.close(LAST)

    def _begun(self, cache: ReasoningCache, turn: Turn, heard: Heard, view: View, told: str) -> Decision:
        """Return what happens in a conversation of which nothing is remembered: its messages say where it stands."""
        if not heard.said:
            return self._drivers.step(cache, turn, lambda: heard.posed, view, told=told)
        turn = turn.model_copy(update={"instructions": told})
        under = self._drivers.under(cache, turn)
        driver = under or self._drivers.of(cache)
        turn, events = driver.begin(turn, heard.posed, view.switch if under is not None else "off")
        decision = follow(driver, turn, [said.calls for said in heard.said], view)
        self._noted(cache, decision.turn, decision.turn.asked, view, new_id("attempt"))
        if decision.turn.status in ("running", "miss") and isinstance(decision, Pass) and _begun_by_code(heard):
            # What a procedure began that does not go on is no run of the model's.
            decision = driver.abandon(decision.turn, view, "the messages hold other calls than the procedure's")
            decision = replace(decision, turn=decision.turn.closed(decision.turn.reason, "gave up"))
        return replace(decision, events=(*events, *decision.events))

    def _gone_on(self, cache: ReasoningCache, turn: Turn, heard: Heard, view: View, told: str) -> Decision:
        """Return what happens now in a conversation that is remembered."""
        if turn.status == "running" and [call.id for call in heard.calls] != [call.id for call in turn.asked]:
            return self._drivers.of(cache).abandon(turn, view, "the messages hold other calls than the procedure's")
        return self._drivers.step(cache, turn, lambda: heard.posed, view, told=told)

    def _noted(self, cache: ReasoningCache, turn: Turn, asked: Iterable[Asked], view: View, attempt: str) -> None:
        """Note what writes came to that were said."""
        for call in asked:
            write, carried = turn.write(call.id), (view.calls or {}).get(call.id)
            if write is not None and carried is not None and attempt:
                document: dict[str, Json] = {"value": carried.result, "error": carried.error}
                self._drivers.of(cache).journal.end(write, attempt, document, failed=carried.error is not None)

    def _cache(self, asking: Asking, heard: Heard) -> ReasoningCache:
        tools = tuple(HostTool(tool, _elsewhere) for tool in heard.tools)
        key = digest(asking.tenant, asking.agent, [tool.model_dump(mode="json") for tool in heard.tools])
        with self._opening:
            known = self._caches.get(key) or self._open(Caller(asking.tenant, asking.agent, tools))
            if known.scope.tenant != asking.tenant:
                raise ValueError(f"the cache of {asking.tenant!r} was opened for {known.scope.tenant!r}")
            self._caches.put(key, known)
        return known

    def _known(self, asking: Asking, heard: Heard) -> Going | None:
        last = next((said for said in reversed(heard.said) if said.calls), None)
        return self._going.get(_key(asking, heard, last.calls[0])) if last is not None else None

    def _keep(self, asking: Asking, heard: Heard, call: Asked, going: Going) -> None:
        self._going.put(_key(asking, heard, call), going)


def _begun_by_code(heard: Heard) -> bool:
    return any(call.id.startswith(OURS) for call in heard.calls)


def _key(asking: Asking, heard: Heard, call: Asked) -> str:
    return digest(asking.tenant, asking.agent, asking.request_id, heard.text, call.id)


def _elsewhere(**arguments: Value) -> Value:
    raise RuntimeError("the client of the proxy carries out its calls")


def _journaled(driver: Driver, say: Say, view: View) -> tuple[Decision, str]:
    """Note that a write goes out; where an earlier attempt made it, or may have, the model is told instead.

    Every request is an attempt of its own: whether the client saw what was said to an earlier one is not known.
    """
    attempt = new_id("attempt")
    if say.write is None:
        return say, ""
    beginning = driver.journal.begin(say.write, attempt)
    if isinstance(beginning, Go):
        return say, attempt
    before = say.turn.model_copy(update={"asked": say.turn.asked[:-1]})
    decision = driver.abandon(before, view, f"an earlier attempt at this request asked for {say.call.tool}")
    if not any(left.key == say.write.call for left in decision.left):
        text = beginning.text if isinstance(beginning, InDoubt) else UNKNOWN
        call = say.call
        left = Left(id=call.id, tool=call.tool, arguments=call.arguments, key=say.write.call, text=text)
        decision = replace(decision, left=(*decision.left, left), turn=decision.turn.closed(text, "gave up"))
    return decision, ""


def _new(asking: Asking) -> Turn:
    return Turn(key=new_id("turn"), origin=origin_of(None, request_id=asking.request_id), alone=True)


def _view(heard: Heard, switch: Switch) -> View:
    asked = {call.id: call for call in heard.calls}
    calls: dict[str, Carried] = {
        call_id: carried_as(call_id, asked[call_id].tool, shown(text), {}, asked[call_id])
        for call_id, text in heard.results.items()
        if call_id in asked
    }
    tools = {tool.name: tool for tool in heard.tools}
    return View(calls, tools.get, heard.misfit, switch)


def _trace(going: Going, heard: Heard, last: Said) -> Trace | Unclean:
    said = [replace(one, usage=going.costs.get(one.id, one.usage)) for one in heard.said]
    calls = _view(heard, "on").calls or {}
    return trace_of(going.turn, [*said, last], calls)
