"""`@reasoning_cached`: a node that plans, routes, classifies or extracts, answered by code where its kind is known."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, Union, get_args, get_origin

from langgraph.types import Command
from seglam_agents import ReasoningCache, Trace, hosting
from seglam_agents.hosting import Answered, Json, Learning, Price, misfits_of, plain

from langchain_seglam.events import emitted
from langchain_seglam.kinds import WAITS, Goto, Loose, loose, mapping_of
from langchain_seglam.state import current_runtime, switch
from langchain_seglam.tenancy import Caches, cache_of, require_caches

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

    Raises:
        TypeError: nothing can be checked against the type that the node returns, or `cache` is no cache.
    """
    require_caches(cache)
    cached = CachedNode(cache, text, context, hosting.Drivers(price, learning))

    def decorate(function: Callable[Concatenate[StateT, P], ResultT]) -> Callable[Concatenate[StateT, P], ResultT]:
        kind = returns if returns is not None else hosting.returned(function)
        _require_readable(kind)

        @functools.wraps(function)
        async def awaited(state: StateT, *args: P.args, **kwargs: P.kwargs) -> Loose:
            return await hosting.adrive(cached.run(state, kind, lambda: function(state, *args, **kwargs)))

        @functools.wraps(function)
        def blocking(state: StateT, *args: P.args, **kwargs: P.kwargs) -> Loose:
            return hosting.drive(cached.run(state, kind, lambda: function(state, *args, **kwargs)))

        wrapper = loose(awaited if inspect.iscoroutinefunction(function) else blocking)
        wrapper.seglam = cached
        return wrapper

    return decorate


@dataclass(slots=True)
class CachedNode:
    """A cache as one decorated node uses it; the wrapper has it as `seglam`. See `reasoning_cached`."""

    caches: Caches
    text: TextOf
    context: ContextOf = ()
    drivers: hosting.Drivers = field(default_factory=hosting.Drivers)

    def savings(self, cache: ReasoningCache) -> hosting.SavingsReport:
        """Return what was saved since this process began."""
        return self.drivers.savings(cache)

    def run(self, state: object, kind: object, node: Callable[[], Loose]) -> hosting.Flow[Loose]:
        """Answer, or run the node and learn."""
        cache = yield from hosting.work(lambda: cache_of(self.caches, current_runtime()))
        asked = yield from hosting.tried(
            lambda: self._ask(cache, state, kind), Answered(), "the cache is broken; the node runs", waits=WAITS
        )
        yield from emitted(asked.events)
        if asked.found:
            return as_update(asked.answer, kind)
        result = yield from hosting.host(node, node)
        yield from self.drivers.learn(cache, _trace(asked, result, kind))
        return result

    def _ask(self, cache: ReasoningCache | None, state: object, kind: object) -> Answered:
        text = self.text(state) if callable(self.text) else mapping_of(state).get(self.text)
        if cache is None or not isinstance(text, str):
            return Answered()
        misfit = misfits_of(lambda answer: as_update(answer, kind), "the answer is no update of this node")
        return hosting.answer_purely(self.drivers.of(cache), text, self._context(state), switch=switch(), misfit=misfit)

    def _context(self, state: object) -> dict[str, Json]:
        if callable(self.context):
            return dict(self.context(state))
        values = mapping_of(state)
        return {key: plain(values[key]) for key in self.context if values.get(key) is not None}


def _require_readable(kind: object) -> None:
    """Refuse a type that no answer can be checked against: nothing would ever be learnt, and nobody told."""
    for part in get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,):
        if not (part is None or part is Any or _is_command(part)) and (problem := hosting.unreadable(part)):
            raise TypeError(f"reasoning_cached cannot check an update against {part!r}: {problem}")


def as_answer(result: object) -> Json:
    """Return what a node returned as the answer of a trace.

    Raises:
        ValueError: it has no JSON form, or says more than an update and where to go.
    """
    if _is_command(type(result)):
        command: Goto = loose(result)
        if command.graph is not None or command.resume is not None:
            raise ValueError("a command to another graph, or one that resumes, is no answer")
        return {_COMMAND: {"goto": hosting.json_of(command.goto), "update": plain(command.update, given=True)}}
    if result is None:
        raise ValueError("the node returned nothing")
    return plain(result, given=True)


def as_update(answer: Json, kind: object) -> object:
    """Return an answer as the update that a node returns.

    Raises:
        ValueError: it is none of this type, or leads where the node never goes.
    """
    if isinstance(answer, dict) and set(answer) == {_COMMAND}:
        return _command(answer[_COMMAND], kind)
    if _is_command(kind):
        raise ValueError("the node returns a command, and the answer is none")
    fitted = hosting.fit(answer, [dict[str, Any] if kind is None or kind is Any else kind])
    if isinstance(fitted, hosting.Misfit):
        raise ValueError(fitted.reason)
    return fitted


def _trace(asked: Answered, result: object, kind: object) -> Trace | None:
    """Return what may be learnt from what the node returned; None where it has no JSON form."""
    try:
        answer = as_answer(result)
        as_update(answer, kind)  # What could not be served is not worth learning.
        return asked.trace(answer)
    except (TypeError, ValueError) as error:
        logger.info("not learnt from: %s", error)
        return None


def _command(said: Json, kind: object) -> Goto:
    if not isinstance(said, dict):
        raise ValueError(f"{said!r} is no command")
    goto, update = said.get("goto") or (), said.get("update")
    targets = [goto] if isinstance(goto, str) else goto
    places = [get_args(get_args(part)[0]) for part in (kind, *get_args(kind)) if _is_command(part) and get_args(part)]
    if not isinstance(targets, (list, tuple)) or any(target not in sum(places, ()) for target in targets):
        raise ValueError(f"the node does not say that it goes to {goto!r}: annotate it with Command[Literal[...]]")
    return Command(goto=loose(goto), update=update)


def _is_command(kind: object) -> bool:
    return kind is Command or get_origin(kind) is Command
