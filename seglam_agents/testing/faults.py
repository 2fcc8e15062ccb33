"""`Faults`: breaks the n-th call of one thing that a cache relies on: it raises, talks nonsense, hangs, or is killed.

```python
faults = Faults("store", 3, "raises")
cache = ReasoningCache(faults.around("store", MemoryStore()), faults.around("model", model))
```

A test drives one request for every `number` until `faults.reached` stays False: then the path has no further call.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar, cast

T = TypeVar("T")

Target: TypeAlias = Literal["store", "embedder", "sandbox", "model", "tool", "clock"]
How: TypeAlias = Literal["raises", "raises after", "nonsense", "hangs", "is killed", "is cancelled"]
"""`raises`: before it did anything. `raises after`: it did what it should, and the answer is lost. `nonsense`: it
returns an object that is none of its business. `hangs`: until `release` is called. `is killed`: as by Ctrl-C, with
an exception that nobody may swallow. `is cancelled`: the same, with that of a cancelled task."""

MAX_HANG = 60.0
"""Seconds after which a hanging call goes on although nobody released it, so that a broken test ends."""


class Broke(Exception):
    """What a broken thing raises: an error that nobody has prepared for."""


class Killed(BaseException):
    """What ends a call from outside. It must reach the caller."""


@dataclass(slots=True)
class Faults:
    """Counts the calls of a target, and breaks one of them.

    Args:
        target: what breaks.
        number: its how many-th call, from 1.
        how: what happens then.
    """

    target: Target
    number: int
    how: How
    calls: int = 0
    armed: bool = True
    """Calls are counted and broken only while this is True."""
    reached: bool = False
    """True once the call was broken."""
    hanging: threading.Event = field(default_factory=threading.Event)
    """Set when a call hangs."""
    _released: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def around(self, target: Target, thing: T) -> T:
        """Return something that behaves as `thing` does, but for the broken call.

        Functions are wrapped as they are; of objects, every public method is.
        """
        if target != self.target:
            return thing
        if inspect.isfunction(thing) or inspect.ismethod(thing):
            return cast(T, self._wrapped(cast("Callable[..., object]", thing)))
        return cast(T, _proxy(self, thing))

    def release(self) -> None:
        """Let a hanging call go on."""
        self._released.set()

    def strike(self) -> bool:
        """Count a call, and tell whether it is the one to break."""
        with self._lock:
            if not self.armed:
                return False
            self.calls += 1
            self.reached = self.reached or self.calls == self.number
            return self.calls == self.number

    def _wrapped(self, function: Callable[..., object]) -> Callable[..., object]:
        if inspect.iscoroutinefunction(function):
            return self._awaitable(function)

        @functools.wraps(function)
        def broken(*args: object, **kwargs: object) -> object:
            return self._broken(lambda: function(*args, **kwargs)) if self.strike() else function(*args, **kwargs)

        return broken

    def _awaitable(
        self, function: Callable[..., Coroutine[object, object, object]]
    ) -> Callable[..., Coroutine[object, object, object]]:
        @functools.wraps(function)
        async def broken(*args: object, **kwargs: object) -> object:
            if not self.strike():
                return await function(*args, **kwargs)
            if self.how == "hangs":
                # The event loop goes on, as with a model that does not answer.
                self.hanging.set()
                await asyncio.to_thread(self._released.wait, MAX_HANG)
                return await function(*args, **kwargs)
            if self.how == "raises after":
                await function(*args, **kwargs)
            return self._broken(lambda: None)

        return broken

    def _broken(self, call: Callable[[], object]) -> object:
        match self.how:
            case "raises":
                raise Broke(f"the {self.target} broke at its call {self.number}")
            case "raises after":
                call()
                raise Broke(f"the answer of the {self.target} was lost at its call {self.number}")
            case "nonsense":
                return _Nonsense()
            case "hangs":
                self.hanging.set()
                self._released.wait(MAX_HANG)
                return call()
            case "is killed":
                raise Killed(self.target)
            case "is cancelled":
                raise asyncio.CancelledError(self.target)


class _Nonsense:
    """Neither a number nor a text, and it cannot be iterated, compared or written down."""

    def __repr__(self) -> str:
        raise Broke("nonsense has no form")

    def __eq__(self, other: object) -> bool:
        raise Broke("nonsense compares to nothing")

    __hash__ = object.__hash__


def _proxy(faults: Faults, thing: object) -> object:
    """Return an object of a class made for it, so that structural checks (`isinstance` of a protocol) still hold."""
    members: dict[str, object] = {}
    for name in dir(thing):
        if not name.startswith("_"):
            members[name] = _member(faults, thing, name)
    return type(f"Faulty{type(thing).__name__}", (), members)()


def _member(faults: Faults, thing: object, name: str) -> object:
    static = inspect.getattr_static(thing, name)
    if callable(static) and name != "close":
        wrapped = faults._wrapped(getattr(thing, name))  # pyright: ignore[reportPrivateUsage]  # one thing in two parts
        return staticmethod(wrapped)
    return property(lambda _: getattr(thing, name))
