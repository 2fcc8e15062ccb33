"""What a test leaves behind: flights of its caches, threads, children, open files. Nothing is what it should be."""

# ruff: noqa: S101  # these are tests
from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from seglam_agents.cache import ReasoningCache
from seglam_agents.testing.processes import children

PATIENCE = 10.0
"""Seconds that what is ending may take to end, on a machine that does other things as well."""
SANDBOX_WORKERS = 8
"""Children that the pool of one sandbox keeps at most."""
FILES_OF_A_WORKER = 4
"""Descriptors by which a pool speaks with one of its workers, and waits for its end."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds at a moment."""

    threads: frozenset[threading.Thread]
    children: frozenset[int]
    files: int
    """Open descriptors; 0 where the system does not tell."""

    @classmethod
    def now(cls) -> Held:
        """Look."""
        files = Path("/proc/self/fd")
        count = len(os.listdir(files)) if files.is_dir() else 0
        return cls(frozenset(threading.enumerate()), frozenset(children(os.getpid())), count)

    def beyond(self, before: Held, workers: int) -> str:
        """Say what is here that was not before; empty where there is nothing."""
        threads = sorted(thread.name for thread in self.threads - before.threads if thread.is_alive())
        begun = sorted(self.children - before.children)
        processes = begun if len(begun) > workers else []
        files = self.files - before.files - FILES_OF_A_WORKER * len(self.children - before.children)
        found = [f"threads {threads}"] if threads else []
        found += [f"processes {processes}"] if processes else []
        found += [f"{files} open files"] if files > 0 else []
        return ", ".join(found)


def flights_of(cache: ReasoningCache) -> int:
    """Return how many compilations are under way in a cache, under whatever instructions: others wait for them."""
    told = list(cache._told.values())  # pyright: ignore[reportPrivateUsage]  # seen from within only
    return sum(len(each._engine.learning.flights) for each in told)  # pyright: ignore[reportPrivateUsage]


@contextmanager
def nothing_left(workers: int = 0) -> Generator[None]:
    """Require that what runs within leaves no thread, no child and no open file behind.

    Args:
        workers: how many children a pool may begin, which replaces them as they are needed. Around many tests together,
            a leak of one each is seen all the same.

    Raises:
        AssertionError: it does, and they do not go away.
    """
    before = Held.now()
    yield
    until = time.monotonic() + PATIENCE
    while left := Held.now().beyond(before, workers):
        gc.collect()  # A cache that nobody holds is closed by then.
        assert time.monotonic() < until, f"left behind: {left}"
        time.sleep(0.01)
