"""One flow, two drivers: the path of a request is a generator of effects, driven blocking or on an event loop.

The flow itself does no input or output. It yields what it needs (`Ask` the model, do some `Work`, `Wait` for another
flow, have the `Host` do something) and is sent the result, or the error is thrown into it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, cast

from seglam_agents.models.base import Completion, Message, Model
from seglam_agents.records.errors import ModelError, SeglamError, said
from seglam_agents.records.usage import Ledger, Purpose, Usage

T = TypeVar("T")

_left: ContextVar[threading.Event | None] = ContextVar("seglam_left", default=None)


@dataclass(frozen=True, slots=True)
class Ask:
    """A model call."""

    messages: tuple[Message, ...]
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Work:
    """Something that blocks: the sandbox, the store. Runs in a thread under an event loop."""

    function: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Wait:
    """Another flow that does the same: wait until it is done."""

    future: Future[None]
    seconds: float


@dataclass(frozen=True, slots=True)
class Host:
    """Something of the host's own, in the colour in which it drives the flow."""

    blocking: Callable[[], object]
    awaited: Callable[[], Awaitable[object]]


Effect: TypeAlias = Ask | Work | Wait | Host
Flow: TypeAlias = Generator[Effect, object, T]


def ask(messages: Sequence[Message], purpose: Purpose) -> Flow[Completion]:
    """Ask the model from within a flow."""
    return cast(Completion, (yield Ask(tuple(messages), purpose)))


def work(function: Callable[[], T]) -> Flow[T]:
    """Do something that blocks from within a flow."""
    return cast(T, (yield Work(function)))


def host(blocking: Callable[[], T], awaited: Callable[[], Awaitable[T]]) -> Flow[T]:
    """Have the host do something from within a flow."""
    return cast(T, (yield Host(blocking, awaited)))


def cancelled() -> bool:
    """Tell whether whoever waits for what this thread does has been cancelled: nothing new is to be begun then."""
    left = _left.get()
    return left is not None and left.is_set()


async def in_thread(function: Callable[[], T]) -> T:
    """Do something that blocks in a thread, which hears of it when its caller is cancelled."""
    left = threading.Event()
    token = _left.set(left)
    try:
        return await asyncio.to_thread(function)
    except asyncio.CancelledError:
        left.set()
        raise
    except RuntimeError as error:
        if "can't start new thread" not in str(error):
            raise
        return function()  # The loop stands still meanwhile, which breaks its host less than no answer.
    finally:
        _left.reset(token)


def drive(flow: Flow[T], model: Model | None = None, ledger: Ledger | None = None) -> T:
    """Run a flow to its end in this thread."""
    try:
        effect = next(flow)
        while True:
            try:
                result = _perform(effect, model)
                _book(effect, result, ledger)
            except Exception as error:
                effect = flow.throw(error)
            else:
                effect = flow.send(result)
    except StopIteration as stop:
        return cast(T, stop.value)
    finally:
        flow.close()


async def adrive(flow: Flow[T], model: Model | None = None, ledger: Ledger | None = None) -> T:
    """Run a flow to its end without blocking the event loop."""
    try:
        effect = next(flow)
        while True:
            try:
                result = await _aperform(effect, model)
                _book(effect, result, ledger)
            except Exception as error:
                effect = flow.throw(error)
            else:
                effect = flow.send(result)
    except StopIteration as stop:
        return cast(T, stop.value)
    finally:
        flow.close()


def _perform(effect: Effect, model: Model | None) -> object:
    match effect:
        case Ask(messages=messages):
            asked = _required(model)
            try:
                return _completion(asked.complete(messages))
            except Exception as error:
                raise _model_error(error) from error
        case Work(function=function):
            return function()
        case Wait(future=future, seconds=seconds):
            _wait(future, seconds)
            return None
        case Host(blocking=blocking):
            return blocking()


async def _aperform(effect: Effect, model: Model | None) -> object:
    match effect:
        case Ask(messages=messages):
            asked = _required(model)
            try:
                return _completion(await asked.acomplete(messages))
            except Exception as error:
                raise _model_error(error) from error
        case Work(function=function):
            return await in_thread(lambda: _without_stop_iteration(function))
        case Wait(future=future, seconds=seconds):
            # Awaited, not waited for in a thread: the leader needs the threads.
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), seconds)
            return None
        case Host(awaited=awaited):
            return await awaited()


def _book(effect: Effect, result: object, ledger: Ledger | None) -> None:
    if ledger is not None and isinstance(effect, Ask) and isinstance(result, Completion):
        ledger.book(effect.purpose, result.usage)


def _required(model: Model | None) -> Model:
    if model is None:
        raise ModelError("no model was given: pass model=... to ReasoningCache")
    return model


def _completion(reply: object) -> Completion:
    """Return what a model gave, if it is a reply at all: anybody may write one."""
    if not isinstance(reply, Completion):
        raise ModelError(f"the model returned a {type(reply).__name__}: `complete` must return a `Completion`")
    text, usage = cast("tuple[object, object]", (reply.text, reply.usage))
    if not isinstance(text, str) or not isinstance(usage, Usage):
        held = f"a {type(text).__name__} and a {type(usage).__name__}"
        raise ModelError(f"the model returned a `Completion` of {held}: it must hold a text and a `Usage`")
    return reply


def _model_error(error: Exception) -> Exception:
    """Return an error of ours; what a model raises besides is told as one."""
    return error if isinstance(error, SeglamError) else ModelError(f"the model failed: {said(error)}")


def _wait(future: Future[None], seconds: float) -> None:
    try:
        future.result(timeout=seconds)
    except TimeoutError:
        return  # The other flow is slow: this one goes its own way.


def _without_stop_iteration(function: Callable[[], object]) -> object:
    # A StopIteration cannot pass through a coroutine; from a flow it would look like its end.
    try:
        return function()
    except StopIteration as error:
        raise RuntimeError("a blocking function raised StopIteration") from error
