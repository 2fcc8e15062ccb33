"""Types of the host, with the parameters that it leaves open filled in once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from langchain.agents.middleware.types import ExtendedModelResponse, ModelRequest, ModelResponse
from langchain_core.messages import BaseMessage, ToolMessage
from langchain_core.runnables import Runnable
from langgraph.errors import GraphBubbleUp
from langgraph.graph import StateGraph  # pyright: ignore[reportMissingTypeStubs]
from langgraph.runtime import Runtime
from langgraph.types import Command
from seglam_agents.hosting import Json, fields_of, several

State: TypeAlias = Mapping[str, Any]
Update: TypeAlias = dict[str, Any]
Loose: TypeAlias = Any
"""A value of the host that has a type which nobody writes down."""
Node: TypeAlias = Runnable[Any, Any]
Builder: TypeAlias = StateGraph[Any, Any, Any, Any]
Goto: TypeAlias = Command[Any]
AnyRuntime: TypeAlias = Runtime[Any]
ModelCall: TypeAlias = ModelRequest[Any]
Response: TypeAlias = ModelResponse[Any]
Responded: TypeAlias = ExtendedModelResponse[Any]
ToolOutput: TypeAlias = ToolMessage | Goto

WAITS: tuple[type[Exception], ...] = (GraphBubbleUp,)
"""What the host raises to wait for somebody, or to hand over to another graph."""


def loose(value: object) -> Any:
    """Return a value as one of any type, where the host's own type says less than nothing."""
    return value


def schemas_of(response_format: object) -> Sequence[object]:
    """Return the schemas of a `response_format`: of a strategy of LangChain, or the schema itself."""
    if response_format is None:
        return ()
    whole = loose(response_format)
    if specs := several(getattr(response_format, "schema_specs", None)):
        return [getattr(spec, "schema", spec) for spec in specs]
    # Classes are schemas themselves; pydantic gives every model a method called `schema`.
    inner: object = None if isinstance(response_format, (type, dict)) else getattr(response_format, "schema", None)
    return (whole if inner is None else inner,)


def mapping_of(state: object) -> State:
    """Return a state as a mapping, whatever it is made of."""
    return {"messages": state} if isinstance(state, list) else fields_of(state)


Canonicalise: TypeAlias = Callable[[Sequence[BaseMessage]], str | None]
"""Turns a later turn, given with the history before it, into a request that stands for itself; None where it cannot."""
Text: TypeAlias = Callable[[State], str | None]
Typed: TypeAlias = Callable[[State], Mapping[str, Json]]
