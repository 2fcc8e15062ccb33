"""`@reasoning_cached`: a node that plans, routes, classifies or extracts, answered by code where its kind is known."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from langgraph.errors import GraphBubbleUp
from langgraph.types import Command
from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_jsonable_python
from seglam_agents import Learned, ReasoningCache, Trace
from seglam_agents.hosting import (
    Answered,
    Drivers,
    Json,
    Learner,
    Learning,
    Price,
    SavingsReport,
    answer_purely,
    is_object,
    json_of,
)

from langchain_seglam.events import aemit, emit, span
from langchain_seglam.kinds import Goto, Loose, loose, mapping_of
from langchain_seglam.state import current_runtime, switch
from langchain_seglam.tenancy import Caches, cache_of

logger = logging.getLogger(__name__)

StateT = TypeVar("StateT")
ResultT = TypeVar("ResultT")
P = ParamSpec("P")

TextOf: TypeAlias = str | Callable[[Loose], str | None]
"""The key of the text in the state, or a function that makes the text."""
ContextOf: TypeAlias = Sequence[str] | Callable[[Loose], Mapping[str, Json]]
"""Keys of the state that guards may ask for, or a function that makes them."""

_COMMAND = "$command"


def reasoning_cached(
    cache: Caches,
    *,
    text: TextOf,
    context: ContextOf = (),
    returns: object = None,
    learning: Learning = "inline",
    price: Price | None = None,
) -> Callable[[Callable[Concatenate[StateT, P], ResultT]], Callable[Concatenate[StateT, P], ResultT]]:
    """Answer a node by stored code where its kind of request is known, else run it and learn.

    The guard decides over the text and over the typed values of `context`: it accepts a request only with exactly the
    keys that it was learnt with. The update is what the node returns: JSON, a pydantic model, a dataclass, or a
    `Command` (annotated with the places where it goes). It is made anew from the stored answer, and checked against the
    type that the node says it returns. Procedures with tools are not asked: a node has no tools. For functions and
    coroutines alike.

    Args:
        cache: a cache, or one a tenant; give each decorated node a cache (or a `system_prompt`) of its own, because the
            same text means something else to another node.
        text: the key of the text in the state, or a function that makes it; None leaves the request to the node.
        context: the keys of the state that matter besides, or a function that makes them.
        returns: the type of the update, where the annotation does not say it.
        learning: `inline`, `background` or `off`.
        price: what the model costs.
    """
    cached = CachedNode(cache, text, context, learning, price)

    def decorate(function: Callable[Concatenate[StateT, P], ResultT]) -> Callable[Concatenate[StateT, P], ResultT]:
        kind = returns if returns is not None else _returned(function)

        @functools.wraps(function)
        async def around(state: StateT, *args: P.args, **kwargs: P.kwargs) -> Loose:
            asked = await asyncio.to_thread(cached.ask, state, kind)
            await aemit(asked.events)
            if asked.found:
                return as_update(asked.answer, kind)
            result = await loose(function(state, *args, **kwargs))
            if (trace := cached.trace(asked, result, kind)) is not None:
                await cached.learner.alearn(*trace)
            return result

        @functools.wraps(function)
        def blocking(state: StateT, *args: P.args, **kwargs: P.kwargs) -> ResultT:
            asked = cached.ask(state, kind)
            emit(asked.events)
            if asked.found:
                return loose(as_update(asked.answer, kind))
            result = function(state, *args, **kwargs)
            if (trace := cached.trace(asked, result, kind)) is not None:
                cached.learner.learn(*trace)
            return result

        wrapper = around if inspect.iscoroutinefunction(function) else blocking
        loose(wrapper).seglam = cached
        return loose(wrapper)

    return decorate


@dataclass(slots=True)
class CachedNode:
    """A cache as one decorated node uses it; the wrapper has it as `seglam`.

    Args:
        caches: a cache, or one a tenant.
        text: the key of the text, or a function that makes it.
        context: keys that matter besides, or a function that makes them.
        learning: `inline`, `background` or `off`.
        price: what the model costs.
    """

    caches: Caches
    text: TextOf
    context: ContextOf = ()
    learning: Learning = "inline"
    price: Price | None = None
    learner: Learner[ReasoningCache] = field(init=False)
    _drivers: Drivers = field(init=False)

    def __post_init__(self) -> None:
        self.learner = Learner(self.learning, self._learned)
        self._drivers = Drivers(self.price)

    def savings(self, cache: ReasoningCache) -> SavingsReport:
        """Return what was saved since this process began."""
        return self._drivers.of(cache).accounting.report()

    def ask(self, state: object, kind: object) -> Answered:
        """Return what the cache says. Never raises: without an answer the node runs."""
        try:
            cache = cache_of(self.caches, current_runtime())
            text = self._text(state)
            if cache is None or text is None:
                return Answered()
            with span("seglam.lookup"):
                driver, misfit = self._drivers.of(cache), _misfit(kind)
                return answer_purely(driver, text, self._context(state), switch=switch(), misfit=misfit)
        except GraphBubbleUp:
            raise
        except Exception:
            logger.exception("the cache is broken; the node runs")
            return Answered()

    def trace(self, asked: Answered, result: object, kind: object) -> tuple[ReasoningCache, Trace] | None:
        """Return what may be learnt from what the node returned; None where it has no JSON form."""
        try:
            cache, answer = cache_of(self.caches, current_runtime()), as_answer(result)
            as_update(answer, kind)  # What could not be served is not worth learning.
            trace = asked.trace(answer)
            return (cache, trace) if cache is not None and trace is not None else None
        except (TypeError, ValueError) as error:
            logger.info("not learnt from: %s", error)
            return None

    def _text(self, state: object) -> str | None:
        text = self.text(state) if callable(self.text) else mapping_of(state).get(self.text)
        return text if isinstance(text, str) else None

    def _context(self, state: object) -> dict[str, Json]:
        if callable(self.context):
            return dict(self.context(state))
        values = mapping_of(state)
        return {key: json_of(to_jsonable_python(values[key])) for key in self.context if values.get(key) is not None}

    def _learned(self, cache: ReasoningCache, trace: Trace, learned: Learned) -> None:
        self._drivers.of(cache).accounting.learned(trace, learned)


def as_answer(result: object) -> Json:
    """Return what a node returned as the answer of a trace.

    Raises:
        ValueError: it has no JSON form, or says more than an update and where to go.
        TypeError: as above.
    """
    if _is_command(type(result)):
        command: Goto = loose(result)
        if command.graph is not None or command.resume is not None:
            raise ValueError("a command to another graph, or one that resumes, is no answer")
        return {_COMMAND: {"goto": json_of(command.goto), "update": _json(command.update)}}
    if result is None:
        raise ValueError("the node returned nothing")
    return _json(result)


def as_update(answer: Json, kind: object) -> object:
    """Return an answer as the update that a node returns.

    Raises:
        ValueError: it is none of this type, or leads where the node never goes.
    """
    if isinstance(answer, dict) and set(answer) == {_COMMAND}:
        return _command(answer[_COMMAND], kind)
    if _is_command(kind):
        raise ValueError("the node returns a command, and the answer is none")
    if kind is None or kind is Any:
        if not is_object(answer):
            raise ValueError(f"{answer!r} is no update of a state")
        return answer
    adapter: TypeAdapter[object] = TypeAdapter(loose(kind))
    return adapter.validate_python(answer)


def _misfit(kind: object) -> Callable[[Json], str | None]:
    def misfit(answer: Json) -> str | None:
        try:
            as_update(answer, kind)
        except ValueError as error:
            return f"the answer is no update of this node: {str(error).splitlines()[0]}"
        return None

    return misfit


def _command(said: Json, kind: object) -> Goto:
    if not isinstance(said, dict):
        raise ValueError(f"{said!r} is no command")
    goto, update = said.get("goto") or (), said.get("update")
    targets = [goto] if isinstance(goto, str) else goto
    if not isinstance(targets, (list, tuple)) or not all(isinstance(target, str) for target in targets):
        raise ValueError(f"{goto!r} is no place to go")
    allowed = _places(kind)
    if strange := [target for target in targets if target not in allowed]:
        raise ValueError(
            f"the node does not say that it goes to {strange[0]!r}: annotate it with Command[Literal[...]]"
        )
    return Command(goto=loose(goto), update=update)


def _places(kind: object) -> tuple[object, ...]:
    for item in (kind, *get_args(kind)):
        if get_origin(item) is Command and get_args(item):
            return get_args(get_args(item)[0])
    return ()


def _is_command(kind: object) -> bool:
    return kind is Command or get_origin(kind) is Command


def _json(value: object) -> Json:
    if isinstance(value, BaseModel):
        return json_of(value.model_dump(mode="json", exclude_unset=True))
    return json_of(to_jsonable_python(value))


def _returned(function: Callable[..., object]) -> object:
    """Return the annotated result of a node; None where it does not say, or says it in names that are not there."""
    try:
        hints = get_type_hints(function)
    except Exception:
        return None
    kind = hints.get("return")
    return None if kind in (dict, type(None)) else kind
