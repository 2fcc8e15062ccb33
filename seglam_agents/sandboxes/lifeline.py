"""`Lifeline`: no worker outlives this process, whatever ends it, and whatever the worker is doing then.

A small process of ours waits for the end of this one, and kills the workers that it was told of (see `_lifeline.py`).
The kernel's own signal for orphans will not do: it comes when the thread ends that started the worker, and the thread
is the library's. One such process serves all sandboxes, from the first to the last that is open.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from seglam_agents.records.errors import SandboxError
from seglam_agents.sandboxes.interpreter import NO_SIGNAL, process_times, start_script

_FLAGS: Final = NO_SIGNAL | getattr(socket, "MSG_DONTWAIT", 0)
_MANY: Final = 256
_MOST_STARTS: Final = 20
"""Where it does not stay alive, it is not started for ever."""


class Lifeline:
    """The end of a sandbox at which its workers are tied to this process; `close` must be called in the end.

    Where the system has no `/proc`, or no process can be started, it does nothing: then a worker ends by its limits.
    """

    def __init__(self) -> None:
        self._open = True
        with _SHARED.lock:
            _SHARED.users += 1

    def tie(self, process: int | None) -> None:
        """Have a worker killed when this process is gone."""
        if process is None or sys.platform != "linux":
            return
        with suppress(OSError, SandboxError), _SHARED.lock:
            if self._open:
                _SHARED.tie(process)

    def close(self) -> None:
        """Need it no longer."""
        with _SHARED.lock:
            if self._open:
                self._open = False
                _SHARED.leave()


class _Shared:
    """The process, and what it was told."""

    def __init__(self) -> None:
        # Re-entrant, because a finaliser may call `leave` from within any of these methods.
        self.lock = threading.RLock()
        self.users = 0
        self._starts = 0
        self._tied: dict[int, int] = {}
        self._channel: socket.socket | None = None
        self._popen: subprocess.Popen[bytes] | None = None

    def tie(self, process: int) -> None:
        started = process_times(process)[1]
        if self._channel is None or self._popen is None or self._popen.poll() is not None:
            self._start()
        elif self._tied.get(process) == started:
            return
        if len(self._tied) >= _MANY:
            self._tied = _living(self._tied)
        self._tied[process] = started
        self._tell(f"{process} {started}\n")

    def leave(self) -> None:
        self.users -= 1
        if self.users > 0:
            return
        self._starts = 0
        self._tied = _living(self._tied)
        if self._tied and self._channel is not None:
            # Runs go on while their sandbox is closed, as at the end of the interpreter: it ends when they have.
            self._tell("\n")
            return
        self._end()
        self._tied.clear()

    def forget(self) -> None:
        """Leave it to the process that this one is a fork of, whose other threads may have held the lock."""
        self.lock = threading.RLock()
        if self._channel is not None:
            self._channel.close()
        if self._popen is not None:
            self._popen.returncode = 0
        self._channel = self._popen = None
        self._tied.clear()
        self.users = self._starts = 0

    def _start(self) -> None:
        self._end()
        if self._starts >= _MOST_STARTS:
            return
        self._starts += 1
        ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._popen = start_script("_lifeline.py", theirs)
            except SandboxError:
                ours.close()
                raise
        self._channel = ours
        self._tied = _living(self._tied)
        for process, started in self._tied.items():
            self._tell(f"{process} {started}\n")

    def _tell(self, line: str) -> None:
        if self._channel is None:
            return
        try:
            self._channel.send(line.encode(), _FLAGS)
        except OSError:
            # It was stopped or killed; the next worker finds another one.
            self._end()

    def _end(self) -> None:
        # Killed first: it would take a closed channel for the end of this process.
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()
        if self._channel is not None:
            self._channel.close()
        self._channel = self._popen = None


def _living(processes: Mapping[int, int]) -> dict[int, int]:
    return {process: started for process, started in processes.items() if _lives(process, started)}


def _lives(process: int, started: int) -> bool:
    try:
        return process_times(process)[1] == started
    except OSError:
        return False


_SHARED: Final = _Shared()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_SHARED.forget)
