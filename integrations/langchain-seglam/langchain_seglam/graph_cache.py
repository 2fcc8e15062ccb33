"""`GraphCache`: a cache as the nodes of one graph use it, and the channel that they need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Annotated, NotRequired

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import BaseTool
from seglam_agents import ReasoningCache, Request, Trace, hosting
from seglam_agents.hosting import Decision, Learning, Turn, Unclean, after, until
from typing_extensions import TypedDict

from langchain_seglam.events import emitted
from langchain_seglam.kinds import WAITS, Canonicalise, Node, State, Text, Typed, Update, mapping_of
from langchain_seglam.messages import instructions_in, is_first_turn, last_human, text_of
from langchain_seglam.recording import traced, view_of
from langchain_seglam.state import (
    TURN,
    attempts,
    current_runtime,
    has_turn,
    merge_turns,
    origin,
    posed,
    read_turn,
    write_turn,
)
from langchain_seglam.tenancy import Caches, cache_of, require_caches

NODE = "seglam_cache"


class SeglamState(TypedDict):
    """What the cache keeps in the state of a graph. Derive the state from it, or have `add_reasoning_cache` add it.

    Give such a graph an `input_schema` without it: who writes into it could have procedures run with other arguments.
    It is a channel like any other: who streams values or updates sees it.
    """

    seglam: NotRequired[Annotated[Update, merge_turns]]


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
        instructions: returns what matters of the system messages in the state, where they hold what varies. What the
            node itself puts in front of them is not seen: open the cache with `system_prompt=`.
        learning: `inline`, `background` or `off`.
        tools: those that procedures may call now; without them, the ones that the cache was told.
        price: what the model costs.
        custom_stream: also emit events in `stream_mode="custom"`.
        recorded: True where the graph's tools are wrapped with `record_tool_call` or `WriteOnce`: a call that was not
            recorded then counts as not carried out, such as one that a person answered in the tool's place.
    """

    caches: Caches
    name: str = NODE
    messages: str | None = "messages"
    text: Text | None = None
    context: Typed | None = None
    canonicalise: Canonicalise | None = None
    instructions: Callable[[str], str] | None = None
    learning: InitVar[Learning] = "inline"
    tools: Sequence[BaseTool] | None = None
    price: InitVar[hosting.Price | None] = None
    custom_stream: bool = False
    recorded: bool = False
    drivers: hosting.Drivers = field(init=False)

    def __post_init__(self, learning: Learning, price: hosting.Price | None) -> None:
        require_caches(self.caches)
        self.drivers = hosting.Drivers(price, learning)

    def cache(self) -> ReasoningCache | None:
        """Return the cache of the running graph's tenant."""
        return cache_of(self.caches, current_runtime())

    def decided(self, state: State, *, calls: bool) -> hosting.Flow[Decision]:
        """Return what happens now, and emit it."""
        decision = yield from hosting.work(lambda: self.decide(state, calls=calls))
        yield from emitted(decision.events, custom_stream=self.custom_stream)
        return decision

    def learn(self, trace: Trace | Unclean, turn: Turn) -> hosting.Flow[None]:
        """Learn from the turn of a graph."""
        cache = yield from hosting.work(self.cache)
        driver = self.drivers.under(cache, turn)
        yield from self.drivers.learn(driver.cache if driver is not None else None, trace)

    def decide(self, state: State, *, calls: bool) -> Decision:
        """Return what happens now. Never raises.

        Args:
            state: that of the graph.
            calls: whether the graph can run tool calls that the cache asks for.
        """
        broken = hosting.Pass(Turn(status="gave up", learn=False))
        return hosting.safely(
            lambda: self._decided(state, calls), broken, "the cache is broken; the node goes on", waits=WAITS
        )

    def update(self, decision: Decision, *, ended: bool = False, proposed: tuple[hosting.Asked, ...] = ()) -> Update:
        """Return the update of our own channel: with what the model asked for, and whether the turn has ended."""
        known = {"ended": ended, "proposed": (*decision.turn.proposed, *proposed)}
        return {TURN: write_turn(decision.turn.model_copy(update=known), self.name)}

    def trace(self, state: State, turn: Turn, final: AIMessage | None = None) -> Trace | Unclean:
        """Return what was done in the turn of a state, with the message that ends it. Never raises."""
        history = [*self.history(state), *([final] if final is not None else [])]
        last = next((message.id for message in reversed(history) if isinstance(message, AIMessage)), None)
        authored, trusting = turn.model_copy(update={"author": last or ""}), not self.recorded
        unclean = Unclean("the turn cannot be read")
        return hosting.safely(lambda: traced(authored, history, trusting=trusting), unclean, "a turn was not seen")

    def request(self, state: State) -> Request | None:
        """Return the request of a state; None where it does not stand for itself."""
        text = self._text(state)
        return None if text is None else Request(text=text, context=self._typed(state))

    def told(self, state: State, cache: ReasoningCache) -> str | None:
        """Return the digest of what the agent is told beside what its cache was opened with; None where that is all."""
        text = instructions_in(self.history(state))
        text = self.instructions(text) if self.instructions is not None else text
        told = hosting.instructions_digest(text)
        return hosting.instructions_beside(cache.instructions, told) if told else None

    def history(self, state: State) -> Sequence[BaseMessage]:
        """Return the messages of a state; none for a graph without."""
        return (state.get(self.messages) or ()) if self.messages is not None else ()

    def _decided(self, state: State, calls: bool) -> Decision:
        turn, cache = self._turn(state, calls=calls), self.cache()
        if cache is None:
            return hosting.Pass(turn.closed("the tenant is not known"))
        told, view = self.told(state, cache), self._view(state, turn)
        return self.drivers.step(cache, turn, lambda: self._posed(state, turn), view, told=told, pure=not calls)

    def _turn(self, state: State, *, calls: bool) -> Turn:
        """Return the turn of a state, a new one where the person has spoken since."""
        history = self.history(state)
        human, earlier = last_human(history), has_turn(state, self.name)
        key = (human.id or "") if human is not None else hosting.digest(self._text(state), self._typed(state))
        known = read_turn(state, self.name) if earlier else Turn()
        # Where nothing is called there is nothing to go on with: every visit is a turn.
        if calls and self.messages is not None and earlier and known.message == key:
            return known
        if any(isinstance(message, AIMessage) for message in after(history, key) or ()):
            reason = "the turn began without the cache; does the state of the graph have SeglamState's channels?"
            return Turn(status="off", message=key, reason=reason, learn=False)
        asked = until(history, key) if human is not None else ()
        ended = known.message if known.ended else ""
        before = attempts(asked, ended) if asked else ()
        # An earlier turn of the thread is known by what it left, even where its messages were cut.
        alone = not earlier or (bool(asked) and len(before) < len(asked) - 1)
        named = origin(before, current_runtime(), ended, self._words(state, human), self.name)
        return Turn(key=hosting.new_id("turn"), origin=named, message=key, alone=alone)

    def _words(self, state: State, human: HumanMessage | None) -> str:
        """Return the request as the person wrote it."""
        return (text_of(human) if human is not None else self._text(state)) or ""

    def _typed(self, state: State) -> dict[str, hosting.Json]:
        return dict(self.context(state)) if self.context else {}

    def _text(self, state: State) -> str | None:
        found = self._posed(state)
        return None if found.earlier else found.text

    def _posed(self, state: State, turn: Turn | None = None) -> hosting.Posed:
        """Return the request of a state, with what was said before it; of a turn, without earlier attempts at it."""
        context = self._typed(state)
        if self.text is not None:
            return hosting.Posed(self.text(state), context)
        history = self.history(state)
        human = last_human(history)
        if human is None or not human.id:
            return hosting.Posed(None, context)
        asked = until(history, human.id)
        first = is_first_turn(asked) if turn is None else turn.alone and is_first_turn([*attempts(asked), human])
        return posed(asked, context, self.canonicalise, opens=first)

    def _view(self, state: State, turn: Turn) -> hosting.View:
        tail = after(self.history(state), turn.message) if self.messages is not None else ()
        if tail is None and not turn.asked:
            tail = ()
        return view_of(tail, self.tools, trusting=not self.recorded)


class GraphOptions(TypedDict, total=False):
    """How a node uses a cache: what `GraphCache` takes, for those that are given a bare cache."""

    messages: str | None
    text: Text | None
    context: Typed | None
    canonicalise: Canonicalise | None
    instructions: Callable[[str], str] | None
    learning: Learning
    tools: Sequence[BaseTool] | None


def graph_cache(cache: Caches | GraphCache, name: str, options: GraphOptions) -> GraphCache:
    """Return the cache of a node: the one that was given, or a new one with these options."""
    return cache if isinstance(cache, GraphCache) else GraphCache(cache, name, **options)


def in_both(done: Callable[[State, RunnableConfig], hosting.Flow[object]], name: str) -> Node:
    """Return a node that drives a flow, in the colour in which it is run."""

    def run(state: State, config: RunnableConfig) -> object:
        return hosting.drive(done(mapping_of(state), config))

    async def arun(state: State, config: RunnableConfig) -> object:
        return await hosting.adrive(done(mapping_of(state), config))

    return RunnableLambda(run, arun, name=name)
