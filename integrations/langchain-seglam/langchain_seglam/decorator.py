"""`@reasoning_cached`: a node that plans, routes, classifies or extracts, answered by code where its kind is known."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, cast, get_args, get_origin, get_type_hints

from langgraph.errors import GraphBubbleUp
from langgraph.types import Command
from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_jsonable_python
from seglam_agents import Final, GiveUp, Learned, Plan, ReasoningCache, Request, Trace
from seglam_agents.records.record import Json

from langchain_seglam.accounting import Accounting, Price, SavingsReport
from langchain_seglam.events import Event, aemit, emit, span
from langchain_seglam.graph_cache import current_runtime, mapping_of
from langchain_seglam.learning import Learner, Learning
from langchain_seglam.messages import json_of
from langchain_seglam.switch import switch
from langchain_seglam.tenancy import Caches, cache_of

logger = logging.getLogger(__name__)

StateT = TypeVar("StateT")
ResultT = TypeVar("ResultT")
P = ParamSpec("P")

TextOf: TypeAlias = str | Callable[[Any], str | None]
"""The key of the text in the state, or a function that makes the text."""
ContextOf: TypeAlias = Sequence[str] | Callable[[Any], Mapping[str, Json]]
"""Keys of the state that guards may ask for, or a function that makes them."""

_COMMAND = "$command"


def reasoning_cached(
    cache: Caches,
    *,
    text: TextOf,
    context: ContextOf = (),
    returns: Any = None,
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
        async def around(state: StateT, *args: P.args, **kwargs: P.kwargs) -> Any:
            asked = await asyncio.to_thread(cached.ask, state, kind)
            await aemit(asked.events)
            if asked.found:
                return asked.update
            result = await cast("Awaitable[Any]", function(state, *args, **kwargs))
            if (trace := cached.trace(asked, result, kind)) is not None:
                await cached.learner.alearn(*trace)
            return result

        @functools.wraps(function)
        def blocking(state: StateT, *args: P.args, **kwargs: P.kwargs) -> ResultT:
            asked = cached.ask(state, kind)
            emit(asked.events)
            if asked.found:
                return cast(ResultT, asked.update)
            result = function(state, *args, **kwargs)
            if (trace := cached.trace(asked, result, kind)) is not None:
                cached.learner.learn(*trace)
            return result

        wrapper = around if inspect.iscoroutinefunction(function) else blocking
        cast(Any, wrapper).seglam = cached
        return cast("Callable[Concatenate[StateT, P], ResultT]", wrapper)

    return decorate


@dataclass(frozen=True, slots=True)
class Asked:
    """What the cache said about one call of a node."""

    cache: ReasoningCache | None = None
    request: Request | None = None
    found: bool = False
    update: object = None
    learn: bool = False
    events: tuple[Event, ...] = ()


@dataclass(slots=True)
class CachedNode:
    """The cache of one decorated node, as its attribute `seglam`."""

    caches: Caches
    text: TextOf
    context: ContextOf
    learning: Learning = "inline"
    price: Price | None = None
    learner: Learner = field(init=False)
    _accountings: dict[str, Accounting] = field(default_factory=dict[str, Accounting])

    def __post_init__(self) -> None:
        self.learner = Learner(self.learning, self._learned)

    def savings(self, cache: ReasoningCache) -> SavingsReport:
        """Return what was saved since this process began."""
        return self._accounting(cache).report()

    def ask(self, state: object, kind: object) -> Asked:
        """Look a state up. Never raises."""
        try:
            cache, said = cache_of(self.caches, current_runtime()), switch()
            text = self._text(state)
            if cache is None or said == "off" or text is None:
                return Asked()
            request = Request(text=text, context=self._context(state))
            if said == "refresh":
                return Asked(cache, request, learn=True)
            with span("seglam.lookup"):
                return self._asked(cache, request, kind)
        except GraphBubbleUp:
            raise
        except Exception:
            logger.exception("the cache is broken; the node runs")
            return Asked()

    def trace(self, asked: Asked, result: object, kind: object) -> tuple[ReasoningCache, Trace] | None:
        """Return what may be learnt from what the node returned; None where it has no JSON form."""
        if asked.cache is None or asked.request is None or not asked.learn:
            return None
        try:
            answer = as_answer(result)
            as_update(answer, kind)  # What could not be served is not worth learning.
            return asked.cache, Trace(request=asked.request, answer=answer)
        except (TypeError, ValueError) as error:
            logger.info("not learnt from: %s", error)
            return None

    def _asked(self, cache: ReasoningCache, request: Request, kind: object) -> Asked:
        plan = cache.plan(request)
        if not isinstance(plan, Plan):
            event = Event("seglam.lookup", {"found": False, "reason": plan.reason})
            return Asked(cache, request, learn=True, events=(event,))
        looked = Event("seglam.lookup", {"found": True, "procedure": plan.procedure, "pure": plan.pure})
        action = cache.next_action(plan) if plan.pure else GiveUp("it calls tools, and a node has none")
        procedure_id = plan.procedure.rpartition("@")[0]
        if isinstance(action, Final):
            try:
                update = as_update(action.answer, kind)
                cache.finish(plan, action)
                saved = self._accounting(cache).hit(procedure_id).as_json()
                event = Event("seglam.hit", {"procedure": plan.procedure, "steps": 0, "saved": saved})
                return Asked(cache, request, found=True, update=update, events=(looked, event))
            except ValueError as error:
                action = GiveUp(f"the answer is no update of this node: {str(error).splitlines()[0]}")
        given_up = action if isinstance(action, GiveUp) else GiveUp("it calls a tool")
        cache.finish(plan, given_up)
        self._accounting(cache).deopt(procedure_id)
        event = Event("seglam.deopt", {"procedure": plan.procedure, "steps": 0, "reason": given_up.reason})
        return Asked(cache, request, events=(looked, event))

    def _text(self, state: object) -> str | None:
        if callable(self.text):
            return self.text(state)
        text = cast(object, mapping_of(state).get(self.text))
        return text if isinstance(text, str) else None

    def _context(self, state: object) -> dict[str, Json]:
        if callable(self.context):
            return dict(self.context(state))
        values = mapping_of(state)
        return {key: json_of(to_jsonable_python(values[key])) for key in self.context if values.get(key) is not None}

    def _learned(self, cache: ReasoningCache, trace: Trace, learned: Learned) -> None:
        self._accounting(cache).learned(trace, learned)

    def _accounting(self, cache: ReasoningCache) -> Accounting:
        return self._accountings.setdefault(cache.scope.key, Accounting(cache, self.price))


def as_answer(result: object) -> Json:
    """Return what a node returned as the answer of a trace.

    Raises:
        ValueError: it has no JSON form, or says more than an update and where to go.
        TypeError: as above.
    """
    if isinstance(result, Command):
        command = cast("Command[Any]", result)
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
        if not isinstance(answer, dict):
            raise ValueError(f"{answer!r} is no update of a state")
        return answer
    adapter: TypeAdapter[object] = TypeAdapter(cast(Any, kind))
    return adapter.validate_python(answer)


def _command(said: Json, kind: object) -> Command[Any]:
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
    return Command(goto=cast(Any, goto), update=update)


def _places(kind: object) -> tuple[object, ...]:
    for item in (kind, *get_args(kind)):
        if get_origin(item) is Command and get_args(item):
            return get_args(get_args(item)[0])
    return ()


def _is_command(kind: object) -> bool:
    return kind is Command or get_origin(kind) is Command


def _json(value: object) -> Json:
    if isinstance(value, BaseModel):
        return cast(Json, value.model_dump(mode="json", exclude_unset=True))
    return json_of(to_jsonable_python(value))


def _returned(function: Callable[..., object]) -> object:
    """Return the annotated result of a node; None where it does not say, or says it in names that are not there."""
    try:
        hints = get_type_hints(function)
    except Exception:
        return None
    kind = hints.get("return")
    return None if kind in (dict, type(None)) else kind
