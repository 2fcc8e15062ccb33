"""Where a graph keeps the turn, what names it for every attempt at it, and what a run says in its configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langgraph.config import get_config
from langgraph.runtime import ExecutionInfo, get_runtime
from seglam_agents import hosting
from seglam_agents.hosting import Json, Switch, Turn, mapping, origin_of

from langchain_seglam.kinds import AnyRuntime, Canonicalise, State, loose
from langchain_seglam.messages import about, text_of
from langchain_seglam.tenancy import runtime_of

TURN = "seglam"
"""The state channel of the turn, by the name of the instance; and the key of the switch in `configurable`."""
REQUEST_ID = "seglam_request_id"
"""The key in `configurable` under which a caller names a request: asked again by this id, it writes once."""


def merge_turns(old: dict[str, Json] | None, new: dict[str, Json] | None) -> dict[str, Json]:
    """Reduce the channel: the turns of several instances side by side."""
    return {**(old or {}), **(new or {})}


def has_turn(state: State, name: str) -> bool:
    """Tell whether an instance has left a turn in a state."""
    return name in (state.get(TURN) or {})


def read_turn(state: State, name: str) -> Turn:
    """Return the turn of an instance; one that cannot be read is left to the model."""
    return hosting.kept_turn(mapping(state.get(TURN)).get(name))


def write_turn(turn: Turn, name: str) -> dict[str, Json]:
    """Return the update of the channel."""
    return {name: turn.model_dump(mode="json")}


def switch() -> Switch:
    """Return the switch of the running graph, `config={"configurable": {"seglam": "off"}}`; on, outside of one."""
    return hosting.switch_of(_configurable().get(TURN))


def agent_name() -> str | None:
    """Return the name under which the running agent signs its messages."""
    name = mapping(_config().get("metadata")).get("lc_agent_name")
    return name if isinstance(name, str) else None


def current_runtime() -> AnyRuntime | None:
    """Return the runtime of the running graph; None, outside of one."""
    try:
        return get_runtime()
    except RuntimeError:
        return None


def attempts(messages: Sequence[BaseMessage], ended: str = "") -> Sequence[BaseMessage]:
    """Return the history before a request, without what earlier attempts at the same request have left behind."""
    return messages[: hosting.earlier_than_attempts([_heard(message) for message in messages], ended)]


def posed(
    history: Sequence[BaseMessage],
    context: Mapping[str, Json] | None,
    canonicalise: Canonicalise | None = None,
    *,
    opens: bool,
) -> hosting.Posed:
    """Return the request that ends a history, with what was said before it.

    Args:
        history: the messages, up to and with the request; none where it is gone.
        context: its typed context.
        canonicalise: makes later turns stand for themselves.
        opens: whether it was the whole history as its turn began, whatever stands before it by now.
    """
    if opens and history:
        return hosting.Posed(text_of(history[-1]), context or {})
    before = attempts(history) if history else ()
    heard = [_heard(message) for message in (*before, *history[-1:]) if not isinstance(message, SystemMessage)]
    whole = (lambda: canonicalise(history)) if canonicalise is not None else None
    return hosting.posed(heard, context, opens=False, canonicalise=whole)


def origin(
    before: Sequence[BaseMessage], runtime: AnyRuntime | None, ended: str = "", words: str = "", node: str = ""
) -> str:
    """Return what names a turn for every attempt at it: its thread with what went before, or the caller's own id.

    Args:
        before: the history before the request.
        runtime: that of the running graph.
        ended: the message that began the last finished turn, which counts where the history was cut.
        words: the request as the person wrote it.
        node: the name of a node, where several of one graph are asked under one id.
    """
    named = hosting.request_name(_configurable().get(REQUEST_ID), REQUEST_ID)
    info = runtime.execution_info if runtime is not None else None
    last = next((message.id for message in reversed(before) if message.id), ended)
    # An agent within a graph has one more place: the task of that graph which runs it.
    within = info.checkpoint_ns.rpartition("|")[0] if info is not None else ""
    # A thread that is kept nowhere is but a name: asked twice under it, both may be meant.
    thread = info.thread_id if info is not None and _is_kept() else None
    # The tasks' own ids differ between two attempts that nothing was saved of.
    nodes = "|".join(part.partition(":")[0] for part in within.split("|"))
    return origin_of(thread, f"{within}/{last}", named, words=words, within=nodes, agent=f"{agent_name() or ''}{node}")


def attempt_of(request: ToolCallRequest) -> str:
    """Return what two runs of a call within one attempt of its node share, and no resumed run has."""
    runtime = runtime_of(request)
    info: ExecutionInfo | None = loose(runtime).execution_info
    began = info.node_first_attempt_time if info is not None else None
    task = info.task_id if info is not None else ""
    return f"{os.getpid()}/{task}/{began if began is not None else id(runtime)}"


def _heard(message: BaseMessage) -> hosting.Heard:
    if isinstance(message, HumanMessage):
        return hosting.Heard("person", message.id or "", text_of(message))
    if isinstance(message, AIMessage):
        ours = bool(message.tool_calls) and about(message).get("author") == "procedure"
        return hosting.Heard("agent", message.id or "", text_of(message), ours=ours)
    return hosting.Heard("other", message.id or "", text_of(message))


def _is_kept() -> bool:
    """Tell whether the running graph, or one around it, saves what it does."""
    return _configurable().get("__pregel_checkpointer", True) is not None


def _configurable() -> State:
    return mapping(_config().get("configurable"))


def _config() -> State:
    try:
        return {**get_config()}
    except RuntimeError:
        return {}
