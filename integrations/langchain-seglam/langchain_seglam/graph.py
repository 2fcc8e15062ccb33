"""`add_reasoning_cache`: an existing builder of LangGraph, rewired so that procedures stand in for a node."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import get_type_hints

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command
from pydantic import BaseModel
from seglam_agents import Trace, hosting
from seglam_agents.hosting import Say, fields_of, mapping
from typing_extensions import TypedDict, Unpack, is_typeddict

from langchain_seglam.graph_cache import NODE, GraphCache, GraphOptions, SeglamState, graph_cache, in_both
from langchain_seglam.kinds import Builder, Loose, Node, State, Update, loose
from langchain_seglam.messages import said, shown_before
from langchain_seglam.recording import asked_by
from langchain_seglam.tenancy import Caches


def add_reasoning_cache(
    builder: Builder,
    node: str,
    cache: Caches | GraphCache,
    *,
    goto: Callable[[AIMessage], str | Sequence[str]] | None = None,
    **options: Unpack[GraphOptions],
) -> Builder:
    """Rewire a builder so that stored procedures stand in for a node that asks a model, and return it.

    The node keeps its name, edges, policies and interrupts. On a hit its message is the procedure's, so that the
    graph's own routing runs the tool calls and comes back; where the procedure gives up, the node runs as before. Turns
    that the node ends by itself are learnt from. Call it before `compile`.

    Args:
        builder: the builder, with the node in it.
        node: the name of the node that asks the model; its update has the messages' key.
        cache: a cache, one a tenant, or a `GraphCache`.
        goto: where to go after a message of a procedure, for a node that routes by returning a `Command`.
        options: how the node uses the cache; see `GraphCache`.

    Raises:
        ValueError: there is no such node, or it routes by itself and `goto` is missing.
    """
    if node not in builder.nodes:
        raise ValueError(f"the builder has no node {node!r}; add it first")
    spec = builder.nodes[node]
    if spec.ends and goto is None:
        raise ValueError(f"the node {node!r} routes by a Command: pass goto=, which says where a message leads")
    shared = graph_cache(cache, f"{NODE}_{node}", options)
    original, schema = loose(spec.runnable), loose(spec.input_schema)
    stood_in = _StoodIn(shared, original, schema, goto, shared.messages or "messages")
    merged = _with_our_channels(schema)
    del builder.nodes[node]
    loose(builder).add_node(node, in_both(stood_in.step, node), input_schema=merged)
    builder.nodes[node] = dataclasses.replace(spec, runnable=builder.nodes[node].runnable, input_schema=merged)
    return builder


@dataclass(frozen=True, slots=True)
class _StoodIn:
    """A node, and the procedures that stand in for it."""

    shared: GraphCache
    original: Node
    schema: Loose
    goto: Callable[[AIMessage], str | Sequence[str]] | None
    messages: str

    def step(self, state: State, config: RunnableConfig) -> hosting.Flow[object]:
        """Say the procedure's message, or run the node."""
        decision = yield from self.shared.decided(state, calls=True)
        if isinstance(decision, (Say, hosting.SayAnswer)):
            return self._said(decision)
        left = shown_before(decision)
        if left:
            state = {**state, self.messages: [*self.shared.history(state), *left]}
        given, node = self._input(state), self.original
        result: object = yield from hosting.host(
            lambda: node.invoke(given, config), lambda: node.ainvoke(given, config)
        )
        update, trace = yield from hosting.work(lambda: self._concluded(decision, state, result, left))
        if trace is not None:
            yield from self.shared.learn(trace, decision.turn)
        return update

    def _said(self, decision: Say | hosting.SayAnswer) -> object:
        message = said(decision)
        update = {**self.shared.update(decision), self.messages: [message]}
        return update if self.goto is None else Command(update=update, goto=loose(self.goto(message)))

    def _concluded(
        self, decision: hosting.Decision, state: State, result: object, left: Sequence[BaseMessage]
    ) -> tuple[object, Trace | hosting.Unclean | None]:
        """Return what the node returned together with our update, and what may be learnt from it."""
        made, plain = _update_of(result), loose(result)
        if made is None:
            ours = {**self.shared.update(decision), **({self.messages: [*left]} if left else {})}
            return [Command(update=ours), *(hosting.several(plain) or [result])], None
        final = _final_message(made.get(self.messages))
        if final is not None and final.id is None:
            final.id = hosting.new_id("run")  # The trace and the state must name the message alike.
        ended = final is not None and not final.tool_calls
        trace = self.shared.trace(state, decision.turn, final) if ended else None
        proposed = asked_by(final) if final is not None else ()
        if left:
            said: Loose = made.get(self.messages)
            made = {**made, self.messages: [*left, *(hosting.several(said) or ([said] if said is not None else []))]}
        made = {**made, **self.shared.update(decision, ended=ended, proposed=proposed)}
        return (replace(plain, update=made) if isinstance(result, Command) else made), trace

    def _input(self, state: State) -> object:
        """Return the state as the node itself expects it, without our channels."""
        known = get_type_hints(self.schema, include_extras=True)
        values = {key: value for key, value in state.items() if key in known}
        return values if is_typeddict(self.schema) else self.schema(**values)


def _update_of(result: object) -> Update | None:
    """Return the update of a node's result; None where it has no single one."""
    plain = loose(result)
    if isinstance(result, Command):
        return {**mapping(plain.update)} if plain.graph is None and mapping(plain.update) else None
    if result is None or isinstance(result, dict):
        return {**mapping(plain)}
    known = isinstance(result, BaseModel) or dataclasses.is_dataclass(result)
    return {**fields_of(result, given=True)} if known else None


def _final_message(messages: Loose) -> AIMessage | None:
    last = next(reversed(hosting.several(messages)), messages)
    return last if isinstance(last, AIMessage) else None


def _with_our_channels(schema: Loose) -> Loose:
    """Return a schema with our channels besides its own; LangGraph reads a node's input by its schema."""
    hints = {**get_type_hints(schema, include_extras=True), **get_type_hints(SeglamState, include_extras=True)}
    return loose(TypedDict)(f"{schema.__name__}WithSeglam", hints)
