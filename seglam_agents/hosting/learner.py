"""Learning from runs of the host, without standing in its way."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeAlias, TypeVar, get_args

from seglam_agents.hosting.base import HostedCache
from seglam_agents.hosting.safety import unharmed
from seglam_agents.records.outcome import Learned
from seglam_agents.records.record import digest
from seglam_agents.records.telling import tell
from seglam_agents.records.trace import Trace

logger = logging.getLogger(__name__)

C = TypeVar("C", bound=HostedCache)

Learning: TypeAlias = Literal["inline", "background", "off"]
MAX_WAITING = 64
"""Traces that wait for the background; further ones are dropped."""
MAX_KINDS = 1_024
"""Kinds whose failures are remembered."""


@dataclass(slots=True)
class BackOff:
    """After the n-th failure in a row to learn from runs that call the same tools, 2^n - 1 of them are left out.

    Only what is broken counts: a run that taught nothing is evidence all the same, and costs its host little.
    """

    _failures: dict[str, tuple[int, int]] = field(default_factory=dict[str, "tuple[int, int]"])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def waits(self, key: str) -> bool:
        """Tell whether the next run of a kind is to be left out, and count it."""
        with self._lock:
            failures, left = self._failures.get(key, (0, 0))
            if left:
                self._failures[key] = (failures, left - 1)
            return left > 0

    def told(self, key: str, *, failed: bool) -> None:
        """Take in what came of a run of a kind."""
        with self._lock:
            failures, _ = self._failures.pop(key, (0, 0))
            if failed:
                failures = min(failures + 1, 10)
                self._failures[key] = (failures, 2**failures - 1)
            while len(self._failures) > MAX_KINDS:
                self._failures.pop(next(iter(self._failures)))


@dataclass(slots=True)
class Learner(Generic[C]):
    """Hands traces to a cache: within the run, in the background, or never.

    Compiling runs in a context of its own. In that of the host, the tokens of the compiler would appear in the host's
    stream of messages, and its cost in the host's callbacks.

    Args:
        learning: when.
        learned: told what came of each trace.

    Raises:
        ValueError: learning is none of these.
    """

    learning: Learning = "inline"
    learned: Callable[[C, Trace, Learned], None] | None = None
    _pool: ThreadPoolExecutor | None = None
    _closed: bool = False
    _waiting: dict[Future[None], C] = field(default_factory=dict[Future[None], C])
    _thread: int = 0
    _back_off: BackOff = field(default_factory=BackOff)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.learning not in get_args(Learning):
            raise ValueError(f"learning={self.learning!r}: it is one of {', '.join(get_args(Learning))}")

    def learn(self, cache: C, trace: Trace) -> None:
        """Learn from a trace. Never raises."""
        if self.learning == "background":
            self._submit(cache, trace)
        elif self.learning == "inline":
            contextvars.Context().run(self._now, cache, trace)

    async def alearn(self, cache: C, trace: Trace) -> None:
        """Learn from a trace without blocking the event loop. Never raises."""
        if self.learning == "background":
            self._submit(cache, trace)
        elif self.learning == "inline":
            await asyncio.create_task(self._anow(cache, trace), context=contextvars.Context())

    def flush(self, seconds: float | None = None) -> bool:
        """Wait for the background; tell whether it is done."""
        with self._lock:
            waiting = set(self._waiting)
        return not wait(waiting, timeout=seconds).not_done

    def finish(self, cache: C) -> None:
        """Learn from what waits for one cache, as it wants when it closes; end the background if that is all."""
        if threading.get_ident() == self._thread:
            return  # Who closes the cache when told of what was learnt cannot wait for itself.
        with self._lock:
            waiting = {future for future, other in self._waiting.items() if _same(cache, other)}
        wait(waiting)
        with self._lock:
            idle = all(future.done() for future in self._waiting)
            pool, self._pool = (self._pool, None) if idle else (None, self._pool)
        if pool is not None:
            pool.shutdown(wait=True)

    def close(self, seconds: float | None = None) -> None:
        """Learn from what waits in the background, and end it. Safe to call twice.

        Args:
            seconds: how long; what then still waits is left out, and only what is being learnt is waited for. None to
                learn from all of it.
        """
        with self._lock:
            pool, self._pool, self._closed = self._pool, None, True
        if pool is None:
            return
        if seconds is not None and not self.flush(seconds):
            logger.warning("the learner is closed; runs that wait are not learnt from")
            pool.shutdown(wait=False, cancel_futures=True)
        pool.shutdown(wait=True)

    def _in_background(self, cache: C, trace: Trace) -> None:
        self._thread = threading.get_ident()
        self._now(cache, trace)

    def _now(self, cache: C, trace: Trace) -> None:
        key = _kind(cache, trace)
        if self._back_off.waits(key):
            return
        try:
            self._tell(key, cache, trace, cache.observe(trace))
        except Exception as error:
            self._failed(key, error)

    async def _anow(self, cache: C, trace: Trace) -> None:
        key = _kind(cache, trace)
        if self._back_off.waits(key):
            return
        try:
            learned = await cache.aobserve(trace)
            await asyncio.to_thread(self._tell, key, cache, trace, learned)
        except Exception as error:
            self._failed(key, error)

    def _tell(self, key: str, cache: C, trace: Trace, learned: Learned) -> None:
        logger.info("learnt from a run: %s %s", learned.status, learned.procedure or learned.reason)
        self._back_off.told(key, failed=learned.status == "failed")
        if self.learned is not None:
            with unharmed("what is told of learning raised; what was learnt stands"):
                self.learned(cache, trace, learned)

    def _failed(self, key: str, error: Exception) -> None:
        tell(logger, "learning failed; the run is not touched", error)
        self._back_off.told(key, failed=True)

    def _submit(self, cache: C, trace: Trace) -> None:
        with self._lock:
            if self._closed:
                logger.warning("the learner is closed; a run is not learnt from")
                return
            self._waiting = {future: other for future, other in self._waiting.items() if not future.done()}
            if len(self._waiting) >= MAX_WAITING:
                logger.warning("%d traces wait to be learnt from; one more is dropped", MAX_WAITING)
                return
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, thread_name_prefix="seglam-learn")
            # A thread of the pool has an empty context of its own.
            self._waiting[self._pool.submit(self._in_background, cache, trace)] = cache
        with unharmed("a cache may be closed before what waits for it is learnt"):
            cache.before_closing(self.finish)


def _same(cache: HostedCache, other: HostedCache) -> bool:
    """Tell whether two are one cache, perhaps under other instructions."""
    return other is cache or (other.scope == cache.scope and other.store is cache.store)


def _kind(cache: HostedCache, trace: Trace) -> str:
    try:
        scope = cache.scope.key
    except Exception:
        scope = ""  # A broken cache is told about below; the run is not touched.
    return digest(scope, sorted({step.tool for step in trace.calls}))
