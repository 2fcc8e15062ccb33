"""`Watchdog`: kills a worker that does not do in time what it was asked, be it stopped, stuck, or lying.

A call into a worker's library cannot be broken off, but it returns when the worker is dead.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from math import ceil
from typing import Final

from seglam_agents.sandboxes.interpreter import process_state, process_times

if sys.platform != "win32":
    import resource

_KILL: Final = getattr(signal, "SIGKILL", signal.SIGTERM)
_IDLE_SECONDS: Final = 3600.0
_MANY: Final = 256


class Watchdog:
    """One thread that looks after the processes of one sandbox; `close` ends it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: dict[object, tuple[float, Callable[[], None]]] = {}
        self._wakes = 0.0
        self._closed = False
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, process: int | None, seconds: float) -> Generator[None]:
        """Kill a process if what is done with it here takes longer."""
        if process is None:
            yield
            return
        with self.waiting(partial(_kill, process), seconds):
            yield

    @contextmanager
    def waiting(self, act: Callable[[], None], seconds: float) -> Generator[None]:
        """Do something, such as to kill what hangs, if what is done here takes longer."""
        token = object()
        with self._changed:
            self._watched[token] = (time.monotonic() + seconds, act)
            self._start()
            if time.monotonic() + seconds < self._wakes:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                del self._watched[token]

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._watch, name="seglam-watchdog", daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                for token, (deadline, act) in list(self._watched.items()):
                    if deadline <= now:
                        self._watched[token] = (now + _IDLE_SECONDS, act)
                        act()
                self._wakes = min((deadline for deadline, _ in self._watched.values()), default=now + _IDLE_SECONDS)
                self._changed.wait(self._wakes - now)


class Known:
    """The workers that were met so far, by number and time of start: a number may be somebody else's by now."""

    def __init__(self) -> None:
        self._started: dict[int, int] = {}

    def add(self, process: int | None) -> None:
        """Remember a worker."""
        if process is None or process in self._started or sys.platform != "linux":
            return
        if len(self._started) >= _MANY:
            self._started = dict(list(self._started.items())[_MANY // 2 :])
        with suppress(OSError, ValueError, IndexError):
            self._started[process] = process_times(process)[1]

    def kill_stopped(self) -> None:
        """Kill those that were stopped (SIGSTOP): whoever waits for one of them waits in vain."""
        for process, started in list(self._started.items()):
            with suppress(OSError, ValueError, IndexError):
                if process_times(process)[1] == started and process_state(process) in "Tt":
                    _kill(process)


def _kill(process: int) -> None:
    with suppress(OSError):
        os.kill(process, _KILL)


class Meter:
    """How long a process has computed since this was made; nothing where the system does not tell."""

    def __init__(self, process: int | None) -> None:
        self._process = process
        self._before = self._now()

    @property
    def seconds(self) -> float:
        """Seconds of the processor."""
        return max(0.0, self._now() - self._before)

    def _now(self) -> float:
        if self._process is None or sys.platform != "linux":
            return 0.0
        try:
            return process_times(self._process)[0]
        except (OSError, ValueError, IndexError):
            return 0.0


def hold_cpu(process: int | None, seconds: float) -> None:
    """Have the kernel end a process that computes longer than this from now on, also when its host is gone.

    Where the system has no such call, the clocks of the host and of the interpreter are all there is.
    """
    if process is None or sys.platform != "linux":
        return
    with suppress(OSError, ValueError, IndexError):
        computed, _ = process_times(process)
        _, hard = resource.prlimit(process, resource.RLIMIT_CPU)
        soft = ceil(computed + seconds) + 1
        resource.prlimit(process, resource.RLIMIT_CPU, (soft, hard))
