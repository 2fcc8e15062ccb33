"""`GraphCache`: a cache as the nodes of one graph use it, and the channel that they need."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, NotRequired, TypeAlias, cast

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import BaseTool
from langgraph.errors import GraphBubbleUp
from langgraph.runtime import get_runtime
from pydantic import BaseModel
from seglam_agents import Learned, ReasoningCache, Request, Trace
from seglam_agents.records.record import Json, digest
from typing_extensions import TypedDict

from langchain_seglam.accounting import Accounting, Price
from langchain_seglam.events import Event, span
from langchain_seglam.learning import Learner, Learning
from langchain_seglam.messages import after, is_first_turn, last_human, new_id, text_of, until
from langchain_seglam.recording import Unclean, steps_of, trace_of
from langchain_seglam.switch import switch
from langchain_seglam.tenancy import Caches, HasServerInfo, cache_of
from langchain_seglam.turn import (
    TURN,
    Counted,
    Decision,
    Pass,
    StandIn,
    Turn,
    View,
    merge_turns,
    read_turn,
    request_of,
    write_turn,
)

logger = logging.getLogger(__name__)

State: TypeAlias = Mapping[str, Any]
Update: TypeAlias = dict[str, Any]
Text: TypeAlias = Callable[[State], str | None]
Typed: TypeAlias = Callable[[State], Mapping[str, Json]]
Canonicalise: TypeAlias = Callable[[Sequence[BaseMessage]], str | None]

NODE = "seglam_cache"


class SeglamState(TypedDict):
    """What the cache keeps in the state of a graph. Derive the state from it, or have `add_reasoning_cache` add it.

    Give such a graph an `input_schema` without it: who writes into it could have procedures run with other arguments.
    """

    seglam: NotRequired[Annotated[dict[str, Any], merge_turns]]


@dataclass(slots=True)
class GraphCache:
    """A cache as the nodes of one graph use it.

    Args:
        caches: a cache, or one a tenant.
        name: names its part of the state; the same in every worker.
        messages: the key of the messages in the state; None for a graph without messages.
        text: makes the request from the state; without it, the person's last message is the request, if its turn is the
            first or `canonicalise` makes it stand for itself.
        context: makes the typed context that guards may ask for.
        canonicalise: makes later turns self-contained.
        learning: `inline`, `background` or `off`.
        tools: those that procedures may call now; without them, the ones that the cache was told.
        price: what the model costs.
        custom_stream: also tell events in `stream_mode="custom"`.
        recorded: True where the graph's tools are wrapped with `record_tool_call` or `WriteOnce`: a call that was not
            recorded then counts as not carried out, such as one that a person answered in the tool's place.
    """

    caches: Caches
    name: str = NODE
    messages: str | None = "messages"
    text: Text | None = None
    context: Typed | None = None
    canonicalise: Canonicalise | None = None
    learning: Learning = "inline"
    tools: Sequence[BaseTool] | None = None
    price: Price | None = None
    custom_stream: bool = False
    recorded: bool = False
    learner: Learner = field(init=False)
    _counted: Counted = field(default_factory=Counted)
    _accountings: dict[str, Accounting] = field(default_factory=dict[str, Accounting])

    def __post_init__(self) -> None:
        self.learner = Learner(self.learning, self._learned)

    def cache(self) -> ReasoningCache | None:
        """Return the cache of the running graph's tenant."""
        return cache_of(self.caches, current_runtime())

    def accounting(self, cache: ReasoningCache) -> Accounting:
        """Return where the hits of a cache are booked."""
        return self._accountings.setdefault(cache.scope.key, Accounting(cache, self.price))

    def decide(self, state: State, *, calls: bool) -> Decision:
        """Return what happens now. Never raises.

        Args:
            state: that of the graph.
            calls: whether the graph can run tool calls that the cache asks for.
        """
        turn = Turn(status="off")
        try:
            turn, begins = self._turn(state, calls=calls)
            cache = self.cache()
            if cache is None:
                return Pass(turn.model_copy(update={"status": "off", "reason": "the tenant is not known"}))
            stand_in = StandIn(cache, self.accounting(cache), self._counted)
            events: tuple[Event, ...] = ()
            if begins:
                turn, events = self._look_up(stand_in, turn, state)
            if turn.plan is not None and turn.status == "running" and not turn.plan.pure and not calls:
                reason = f"{turn.plan.procedure} calls tools, which this node cannot run"
                return Pass(turn.model_copy(update={"status": "miss", "plan": None, "reason": reason}))
            decision = stand_in.advance(turn, self._view(state, turn))
            return replace(decision, events=(*events, *decision.events))
        except GraphBubbleUp:
            raise
        except Exception:
            logger.exception("the cache is broken; the node goes on")
            return Pass(turn.model_copy(update={"status": "gave up", "learn": False}))

    def update(self, decision: Decision) -> Update:
        """Return the update of our own channel."""
        return {TURN: write_turn(decision.turn, self.name)}

    def trace(self, state: State, turn: Turn, final: AIMessage | None = None) -> Trace | Unclean:
        """Return what was done in the turn of a state, with the message that ends it."""
        history = [*self._history(state), *([final] if final is not None else [])]
        tail = after(history, turn.message)
        if not turn.teaches or tail is None:
            return Unclean(turn.reason or "the turn is not self-contained")
        if last_human(tail) is not None:
            return Unclean("a person spoke in between")
        author = next((message.id for message in reversed(tail) if isinstance(message, AIMessage)), None)
        return trace_of(request_of(turn), tail, steps_of(tail, trusting=not self.recorded), author=author or "")

    def request(self, state: State) -> Request | None:
        """Return the request of a state; None where it does not stand for itself."""
        text = self._text(state)
        return None if text is None else Request(text=text, context=self._typed(state))

    def _turn(self, state: State, *, calls: bool) -> tuple[Turn, bool]:
        """Return the turn of a state, a new one where the person has spoken since."""
        key = self._key(state)
        # Where nothing is called there is nothing to go on with: every visit is a turn.
        if calls and self.messages is not None and self.name in (state.get(TURN) or {}):
            turn = read_turn(state, self.name)
            if turn.message == key:
                return turn, False
        # An earlier turn of the thread is known by what it left, even where its messages were cut.
        earlier = self.name in (state.get(TURN) or {})
        return Turn(key=new_id("turn"), message=key, alone=not earlier), True

    def _key(self, state: State) -> str:
        """Return what names a turn: the person's last message, or the request itself."""
        if self.messages is not None and (human := last_human(self._history(state))) is not None:
            return human.id or ""
        return digest(self._text(state), self._typed(state))

    def _look_up(self, stand_in: StandIn, turn: Turn, state: State) -> tuple[Turn, tuple[Event, ...]]:
        said = switch()
        if said == "off":
            return turn.model_copy(update={"status": "off", "reason": "switched off for this run", "learn": False}), ()
        if any(isinstance(message, AIMessage) for message in after(self._history(state), turn.message) or ()):
            reason = "the turn began without the cache; does the state of the graph have SeglamState's channels?"
            return turn.model_copy(update={"status": "off", "reason": reason, "learn": False}), ()
        text = self._text(state, alone=turn.alone)
        context = self._typed(state)
        if said == "refresh":
            known = {"status": "miss", "text": text or "", "context": dict(context), "learn": text is not None}
            return turn.model_copy(update={**known, "reason": "to be learnt anew"}), ()
        with span("seglam.lookup"):
            return stand_in.look_up(turn, text, context)

    def _typed(self, state: State) -> dict[str, Json]:
        return dict(self.context(state)) if self.context else {}

    def _text(self, state: State, *, alone: bool = True) -> str | None:
        if self.text is not None:
            return self.text(state)
        history = self._history(state)
        human = last_human(history)
        if human is None or not human.id:
            return None
        turn = until(history, human.id)
        if alone and is_first_turn(turn):
            return text_of(human)
        return self.canonicalise(turn) if self.canonicalise else None

    def _history(self, state: State) -> Sequence[BaseMessage]:
        return cast("Sequence[BaseMessage]", state.get(self.messages) or ()) if self.messages is not None else ()

    def _view(self, state: State, turn: Turn) -> View:
        tail = after(self._history(state), turn.message) if self.messages is not None else ()
        tail = () if tail is None and not turn.asked else tail
        return View(
            tail=tail, steps=steps_of(tail or (), trusting=not self.recorded), tools=self.tools, switch=switch()
        )

    def _learned(self, cache: ReasoningCache, trace: Trace, learned: Learned) -> None:
        self.accounting(cache).learned(trace, learned)


def graph_cache(
    cache: Caches | GraphCache,
    name: str,
    messages: str | None,
    text: Text | None,
    context: Typed | None,
    canonicalise: Canonicalise | None,
    tools: Sequence[BaseTool] | None,
    learning: Learning = "inline",
) -> GraphCache:
    """Return the cache of a node: the one that was given, or a new one with these options."""
    if isinstance(cache, GraphCache):
        return cache
    return GraphCache(
        cache,
        name=name,
        messages=messages,
        text=text,
        context=context,
        canonicalise=canonicalise,
        tools=tools,
        learning=learning,
    )


def mapping_of(state: object) -> State:
    """Return a state as a mapping, whatever it is made of."""
    if isinstance(state, Mapping):
        return cast(State, state)
    if isinstance(state, BaseModel):
        return {key: getattr(state, key) for key in type(state).model_fields}
    if dataclasses.is_dataclass(state) and not isinstance(state, type):
        return {item.name: getattr(state, item.name) for item in dataclasses.fields(state)}
    if isinstance(state, list):
        return {"messages": state}
    return {}


def current_runtime() -> HasServerInfo | None:
    """Return the runtime of the running graph; None, outside of one."""
    try:
        return cast(HasServerInfo, get_runtime())
    except RuntimeError:
        return None
