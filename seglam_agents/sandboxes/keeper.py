"""`Keeper`: the host's end of the worker that forks jailed children (see `_worker.py`), and `Child`, one of them."""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from seglam_agents.records.errors import SandboxError
from seglam_agents.records.record import Json
from seglam_agents.sandboxes.interpreter import NO_SIGNAL, start_script

MACHINES: Final = ("x86_64", "aarch64")
_START_SECONDS: Final = 20.0
_REPLY_SECONDS: Final = 3.0
"""What the worker may take to fork, or to take a message, before it counts as stopped and is killed."""
_ENVIRONMENT: Final = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Hashes are not random, so that a program that depends on the order of a set at least always gives the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Child:
    """A jailed process that waits for its one program."""

    channel: socket.socket
    number: int
    keeper: Keeper

    def end(self) -> None:
        """Kill it, whatever it does."""
        self.channel.close()
        self.keeper.kill(self.number)


class Keeper:
    """A worker process that runs no program, and forks and kills those that do.

    Args:
        packages: third-party packages that it loads before it locks itself in.

    Raises:
        SandboxError: this machine cannot jail a process, or a package cannot be loaded.
    """

    def __init__(self, packages: Sequence[str] = ()) -> None:
        if sys.platform != "linux" or platform.machine() not in MACHINES:
            raise SandboxError(
                f"the process sandbox needs Linux on {' or '.join(MACHINES)}, and this is {sys.platform} on "
                f"{platform.machine()}: use MontySandbox"
            )
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._broken = False
        try:
            self._control, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        except OSError as error:
            raise SandboxError(f"the worker of the process sandbox cannot be reached: {error}") from error
        with theirs:
            try:
                self._popen = start_script("_worker.py", theirs, options=("-X", "utf8"), environment=_ENVIRONMENT)
            except SandboxError:
                self._control.close()
                raise
        self._greet(packages)

    @property
    def alive(self) -> bool:
        """Whether it took every message so far, and its process exists."""
        return not self._broken and self._popen.poll() is None

    def fork(self, *, warm: bool = False) -> Child:
        """Return a new child; one that is not needed yet can use the time to get warm.

        Raises:
            OSError: the worker is gone, or does not answer.
        """
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            try:
                socket.send_fds(self._control, [b"warm" if warm else b"cold"], [theirs.fileno()], NO_SIGNAL)
                return Child(ours, _number(_document(self._control.recv(4096))), self)
            except BaseException:
                ours.close()
                self._give_up()
                raise

    def kill(self, child: int) -> None:
        """Kill a child; if the worker does not take the order, it dies itself, and all its children with it."""
        with self._lock:
            try:
                self._control.sendall(b"%d" % child, NO_SIGNAL)
            except (OSError, ValueError):
                self._give_up()

    def close(self) -> None:
        """End the worker; its children die with it."""
        if os.getpid() == self._process:
            self._give_up()
            self._control.close()
            self._popen.wait()

    def forget(self) -> None:
        """Close this process's copies of what belongs to the one that forked it."""
        self._control.close()
        self._popen.returncode = 0

    def _give_up(self) -> None:
        self._broken = True
        with suppress(OSError):
            self._popen.kill()

    def _greet(self, packages: Sequence[str]) -> None:
        try:
            self._control.settimeout(_START_SECONDS)
            setup = {"packages": list(packages), "path": sys.path if packages else []}
            self._control.sendall(json.dumps(setup).encode(), NO_SIGNAL)
            greeting = _document(self._control.recv(2**16))
        except OSError as error:
            greeting: dict[str, Json] = {"refused": str(error)}
        self._control.settimeout(_REPLY_SECONDS)
        if "ready" not in greeting:
            self.close()
            if "lacking" in greeting:
                raise SandboxError(f"the process sandbox cannot load {greeting['lacking']}")
            reason = greeting.get("refused", "the worker did not start")
            raise SandboxError(f"the process sandbox cannot lock its worker in ({reason}): use MontySandbox")


def _document(packet: bytes) -> dict[str, Json]:
    document: dict[str, Json] = json.loads(packet or b"{}")
    return document


def _number(document: dict[str, Json]) -> int:
    match document:
        case {"child": int(number)}:
            return number
        case _:
            raise OSError("the worker is gone")
