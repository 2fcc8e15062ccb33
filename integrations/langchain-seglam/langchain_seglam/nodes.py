"""`cache_node` and `learn_node`: nodes of LangGraph that look up and learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END  # pyright: ignore[reportMissingTypeStubs]
from langgraph.types import Command
from seglam_agents import Trace
from seglam_agents.hosting import Flow, Json, Say, SayAnswer, Turn, Unclean, tried
from typing_extensions import Unpack

from langchain_seglam.graph_cache import NODE, GraphCache, GraphOptions, graph_cache, in_both
from langchain_seglam.kinds import Goto, Loose, Node, State, Update, mapping_of
from langchain_seglam.messages import last_human, said, shown_before
from langchain_seglam.state import has_turn, read_turn, switch
from langchain_seglam.tenancy import Caches

Route: TypeAlias = Literal["hit", "call", "miss"]
Write: TypeAlias = Callable[[Json, State], Mapping[str, Loose]]
"""Makes the update of the state from the answer of a procedure."""


def cache_node(
    cache: Caches | GraphCache,
    *,
    on_miss: str | None = None,
    on_hit: str = END,
    on_call: str | None = None,
    write: Write | None = None,
    name: str = NODE,
    **options: Unpack[GraphOptions],
) -> Node:
    """Make a node that looks a request up, and routes.

    `builder.add_node("cache", cache_node(cache, on_miss="agent"))` sends what is not known to the node `agent`.

    With `on_call`, the name of a node that runs tool calls and whose edge leads back here, procedures that call tools
    are served too, one call after the other; without it, pure ones alone. Where no `on_miss` is given the node does not
    route: add `route_of` as a conditional edge instead.

    Args:
        cache: a cache, one a tenant, or a `GraphCache` that is shared with `learn_node`.
        on_miss: where to go when the model has to answer.
        on_hit: where to go with an answer.
        on_call: where to go with a tool call.
        write: makes the update from an answer; without it, an answer is a message.
        name: names this node's part of the state.
        options: how the node uses the cache; see `GraphCache`.
    """
    shared = graph_cache(cache, name, options)
    calls = on_call is not None and shared.messages is not None

    def looked_up(state: State, config: RunnableConfig) -> Flow[Goto | Update]:
        decision = yield from shared.decided(state, calls=calls or on_miss is None)
        update, goto = shared.update(decision), on_miss
        if isinstance(decision, (Say, SayAnswer)):
            goto = on_call if isinstance(decision, Say) else on_hit
            update |= _written(decision, state, write, shared.messages)
        elif shared.messages is not None and (left := shown_before(decision)):
            update |= {shared.messages: [*left]}
        return Command(update=update, goto=goto) if on_miss is not None and goto is not None else update

    return in_both(looked_up, shared.name)


def route_of(state: State, name: str = NODE) -> Route:
    """Return what a `cache_node` without `on_miss` came to, for `add_conditional_edges`."""
    status = read_turn(mapping_of(state), name).status
    return "hit" if status == "hit" else "call" if status == "running" else "miss"


def learn_node(
    cache: Caches | GraphCache,
    *,
    answer: Callable[[State], Json] | None = None,
    name: str = NODE,
    **options: Unpack[GraphOptions],
) -> Node:
    """Return a node that learns from the turn of a graph where the model answered; it changes nothing of the state.

    Args:
        cache: a cache, one a tenant, or the `GraphCache` of the `cache_node` in front.
        answer: makes the answer from the state; without it, the last message is the answer, the messages the run.
        name: as for the `cache_node` in front; where there is none, every turn is learnt from.
        options: how the node uses the cache; see `GraphCache`.
    """
    shared = graph_cache(cache, name, options)

    def learnt(state: State, config: RunnableConfig) -> Flow[Goto | Update]:
        unclean = Unclean("the turn cannot be read")
        nothing = unclean, Turn()
        trace, turn = yield from tried(lambda: _trace_for(shared, state, answer), nothing, "a turn was not seen")
        yield from shared.learn(trace, turn)
        return {}

    return in_both(learnt, "seglam_learn")


def _written(decision: Say | SayAnswer, state: State, write: Write | None, messages: str | None) -> Mapping[str, Loose]:
    if isinstance(decision, SayAnswer) and write is not None:
        return write(decision.answer, state)
    if messages is None:
        raise ValueError("a cache_node of a graph without messages needs write=, which makes the update")
    return {messages: [said(decision)]}


def _trace_for(
    shared: GraphCache, state: State, answer: Callable[[State], Json] | None
) -> tuple[Trace | Unclean, Turn]:
    turn = read_turn(state, shared.name) if has_turn(state, shared.name) else _unseen(shared, state)
    if answer is None:
        return shared.trace(state, turn), turn
    return Trace(request=turn.request, answer=answer(state)) if turn.teaches else Unclean(turn.reason), turn


def _unseen(shared: GraphCache, state: State) -> Turn:
    """Return the turn of a graph without a `cache_node`."""
    request, human = shared.request(state), last_human(shared.history(state))
    if request is None or switch() == "off":
        return Turn(status="off", reason="the turn is not self-contained")
    key, cache = human.id if human is not None and human.id else "", shared.cache()
    told = shared.told(state, cache) if cache is not None else None
    return Turn(status="miss", message=key, text=request.text, context=request.context, instructions=told)
