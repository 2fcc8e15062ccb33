"""Learning from runs of the host, without standing in its way."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from seglam_agents import Learned, ReasoningCache, Trace

logger = logging.getLogger(__name__)

Learning: TypeAlias = Literal["inline", "background", "off"]
MAX_WAITING = 64
"""Traces that wait for the background; further ones are dropped."""


@dataclass(slots=True)
class Learner:
    """Hands traces to a cache: within the run, in the background, or never.

    Compiling runs in a context of its own. In that of the host, the tokens of the compiler would appear in the host's
    stream of messages, and its cost in the host's callbacks.

    Args:
        learning: when.
        learned: told what came of each trace; it must not raise.
    """

    learning: Learning = "inline"
    learned: Callable[[ReasoningCache, Trace, Learned], None] | None = None
    _pool: ThreadPoolExecutor | None = None
    _waiting: set[Future[None]] = field(default_factory=set[Future[None]])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def learn(self, cache: ReasoningCache, trace: Trace) -> None:
        """Learn from a trace. Never raises."""
        if self.learning != "off":
            contextvars.Context().run(self._observe, cache, trace)

    async def alearn(self, cache: ReasoningCache, trace: Trace) -> None:
        """Learn from a trace without blocking the event loop. Never raises."""
        if self.learning == "off":
            return
        if self.learning == "background":
            self._submit(cache, trace)
            return
        await asyncio.create_task(self._aobserve(cache, trace), context=contextvars.Context())

    def flush(self, seconds: float | None = None) -> bool:
        """Wait for the background; tell whether it is done."""
        with self._lock:
            waiting = set(self._waiting)
        return not wait(waiting, timeout=seconds).not_done

    def close(self) -> None:
        """Wait for the background, and end it."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)

    def _observe(self, cache: ReasoningCache, trace: Trace) -> None:
        if self.learning == "background":
            self._submit(cache, trace)
        else:
            self._now(cache, trace)

    def _now(self, cache: ReasoningCache, trace: Trace) -> None:
        try:
            self._tell(cache, trace, cache.observe(trace))
        except Exception:
            logger.exception("learning failed; the run is not touched")

    async def _aobserve(self, cache: ReasoningCache, trace: Trace) -> None:
        try:
            learned = await cache.aobserve(trace)
            await asyncio.to_thread(self._tell, cache, trace, learned)
        except Exception:
            logger.exception("learning failed; the run is not touched")

    def _tell(self, cache: ReasoningCache, trace: Trace, learned: Learned) -> None:
        logger.info("learnt from a run: %s %s", learned.status, learned.procedure or learned.reason)
        if self.learned is not None:
            self.learned(cache, trace, learned)

    def _submit(self, cache: ReasoningCache, trace: Trace) -> None:
        with self._lock:
            self._waiting = {future for future in self._waiting if not future.done()}
            if len(self._waiting) >= MAX_WAITING:
                logger.warning("%d traces wait to be learnt from; one more is dropped", MAX_WAITING)
                return
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, thread_name_prefix="seglam-learn")
            # A thread of the pool has an empty context of its own.
            self._waiting.add(self._pool.submit(self._now, cache, trace))
