"""`Spares`: things that are slow to make and good for one use, made ahead by one background thread.

A sandbox session may serve one run only, because the next run must see nothing of it. So the next sessions are made
ready while nobody waits: blank ones for whatever comes, and loaded ones for what came before. The number of things
that exist at a time, in use or spare, never exceeds the capacity; a spare gives way to a request for another one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from seglam_agents.records.errors import SandboxError
from seglam_agents.sandboxes.turns import PATIENCE_SECONDS

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

_REMEMBERED: Final = 32
_JOIN_SECONDS: Final = 5.0


class BusyError(SandboxError):
    """Every worker is in use."""


class Spares(Generic[K, T]):
    """Keeps ready things of several keys; `close` must be called in the end.

    Args:
        make: makes a thing for a key ahead of its use, or returns None where that is not possible.
        dispose: ends a thing, used or not.
        capacity: how many things may exist at a time.
        ahead: how many things may exist at a time where they are made before they are asked for; 0 makes none ahead.
    """

    def __init__(
        self, make: Callable[[K], T | None], dispose: Callable[[T], None], *, capacity: int, ahead: int
    ) -> None:
        self._make = make
        self._dispose = dispose
        self._capacity = capacity
        self._ahead = ahead
        # Re-entrant, because a finaliser may call `close` from within any of these methods.
        self._changed = threading.Condition(threading.RLock())
        self._ready: OrderedDict[K, list[T]] = OrderedDict()
        self._used: deque[T] = deque()
        self._wanted: deque[K] = deque(maxlen=max(ahead, 1))
        self._lately: deque[K] = deque(maxlen=2 * max(ahead, 1))
        self._recent: deque[K] = deque(maxlen=_REMEMBERED)
        self._existing = 0
        self._waiting = 0
        self._busy = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def take(self, *keys: K, patience: float = PATIENCE_SECONDS) -> tuple[K, T] | None:
        """Return a ready thing of the first of the keys that has one, else None: then the caller makes its own.

        In either case the caller now holds one unit of the capacity, and must call `give_back`.

        Args:
            keys: what it may be for, the best first.
            patience: seconds to wait where everything is in use.

        Raises:
            BusyError: everything is in use, and stays so.
        """
        with self._changed:
            for key in keys:
                if self._ready.get(key):
                    return key, self._pop(key)
            if self._existing < self._capacity:
                self._existing += 1
                return None
            evicted = self._evict()
            if evicted is None:
                self._wait_for_room(patience)
                return None
        self._dispose(evicted)
        return None

    def give_back(self, thing: T | None, *wanted: K) -> None:
        """Dispose of a used thing (soon, where things are made ahead), and make things of the wanted keys ready."""
        with self._changed:
            at_once = thing is None or not self._ahead or self._closed or self._waiting > 0
            if thing is not None and not at_once:
                self._used.append(thing)
                self._wanted.extend(wanted)
                self._lately.extend(wanted)
                self._start()
                self._changed.notify_all()
        if at_once:
            self._end(thing)

    def recent(self, key: K) -> bool:
        """Tell whether a key was asked for lately, and remember that it was."""
        with self._changed:
            known = key in self._recent
            if not known:
                self._recent.append(key)
            return known

    def settle(self) -> None:
        """Wait until the background thread has nothing left to do."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not (self._busy or self._used or self._may_make))

    def close(self) -> None:
        """Dispose of everything that is not in use, and stop the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_SECONDS)
        with self._changed:
            left = [*self._used, *(thing for things in self._ready.values() for thing in things)]
            self._used.clear()
            self._ready.clear()
        for thing in left:
            self._end(thing)

    def abandoned(self) -> list[T]:
        """Return what nobody uses, for a fork of this process, in which no thread and no lock of ours works."""
        return [*self._used, *(thing for things in self._ready.values() for thing in things)]

    def _pop(self, key: K) -> T:
        things = self._ready[key]
        thing = things.pop()
        if not things:
            del self._ready[key]
        return thing

    def _evict(self) -> T | None:
        """Take a used thing or the oldest spare; its unit of capacity passes to the caller."""
        if self._used:
            return self._used.popleft()
        return self._pop(next(iter(self._ready))) if self._ready else None

    def _wait_for_room(self, patience: float) -> None:
        self._waiting += 1
        try:
            if not self._changed.wait_for(lambda: self._existing < self._capacity, patience):
                raise BusyError(f"all {self._capacity} workers of the sandbox wait for tools, or are busy")
            self._existing += 1
        finally:
            self._waiting -= 1

    def _end(self, thing: T | None) -> None:
        try:
            if thing is not None:
                self._dispose(thing)
        finally:
            with self._changed:
                self._existing -= 1
                self._changed.notify_all()

    def _start(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="seglam-spares", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                raise SandboxError(f"a thread for the sandbox cannot be started: {error}") from error
            self._thread = thread

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closed or self._used or self._may_make)
                if self._closed:
                    return
                self._busy = True
                used = self._used.popleft() if self._used else self._stale() if self._full else None
                wanted = [] if used is not None else [self._wanted.popleft()]
                self._existing += len(wanted)
            if used is not None:
                self._end(used)
            for key in wanted:
                self._prepare(key)

    @property
    def _may_make(self) -> bool:
        """Whether something is wanted, and there is room for it or something that is not."""
        return bool(self._wanted) and (not self._full or self._stale_key is not None)

    @property
    def _full(self) -> bool:
        return self._existing >= self._ahead

    @property
    def _stale_key(self) -> K | None:
        """The key of the oldest spare that nobody wanted lately; None where there is none."""
        return next((key for key in self._ready if key not in self._lately), None)

    def _stale(self) -> T | None:
        key = self._stale_key
        return self._pop(key) if key is not None else None

    def _prepare(self, key: K) -> None:
        try:
            thing = self._make(key)
        except Exception:  # the run that needs it makes its own, and reports what is wrong
            thing = None
        with self._changed:
            kept = thing is not None and not self._closed
            if thing is not None and kept:
                self._ready.setdefault(key, []).append(thing)
                self._ready.move_to_end(key)
                self._changed.notify_all()
        if not kept:
            self._end(thing)
