"""`ProcessSandbox`: runs programs in CPython, in a child process of its own for every run, behind the kernel's locks.

The second opinion at admission: the same program with the same arguments must give the same here and in Monty. A
warm worker (see `_worker.py`) forks the children, so that a run costs milliseconds and nothing of it is left behind.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from seglam_agents.records.errors import SandboxError
from seglam_agents.records.record import Json
from seglam_agents.records.values import Value, encode
from seglam_agents.sandboxes.base import (
    Execution,
    HostModule,
    Limits,
    Problem,
    Program,
    ToolCall,
    ToolResult,
)
from seglam_agents.sandboxes.conversation import Conversation
from seglam_agents.sandboxes.dialect import look
from seglam_agents.sandboxes.exchange import HostSide

MACHINES: Final = ("x86_64", "aarch64")
_START_SECONDS: Final = 20.0


class ProcessSandbox:
    """Jailed CPython processes, on Linux.

    Args:
        workers: how many programs may run at a time.
        modules: host modules that programs may import.
    """

    def __init__(self, *, workers: int = 4, modules: Sequence[HostModule] = ()) -> None:
        self._modules = {module.name: module for module in modules}
        self._workers = workers
        self._fork = threading.Lock()
        self._room = threading.BoundedSemaphore(workers)
        self._keeper: _Keeper | None = None
        self._finaliser: weakref.finalize[..., ProcessSandbox] | None = None
        _SANDBOXES.add(self)

    @property
    def name(self) -> str:
        """The name of the sandbox in reports."""
        return "process"

    def check(self, program: Program) -> Sequence[Problem]:
        """Parse a program without running it, and look for what the common dialect lacks."""
        return look(program, tuple(self._modules))

    def run(
        self,
        program: Program,
        arguments: Mapping[str, Value],
        *,
        recorded: Sequence[ToolResult] = (),
        call: Callable[[ToolCall], ToolResult] | None = None,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        now: datetime | None = None,
    ) -> Execution:
        """Call `entry(**arguments)` in a process of its own; see `Sandbox.run`."""
        task = _task(program, arguments, self._modules, limits, now)
        with self._room:
            channel, child, keeper = self._start()
            try:
                host = HostSide(program, self._modules, limits, recorded, call, now)
                return Conversation(channel, host, limits).hold(task)
            finally:
                channel.close()
                keeper.kill(child)

    def close(self) -> None:
        """Stop every worker. A closed sandbox starts again at its next run."""
        with self._fork:
            finaliser, self._finaliser, self._keeper = self._finaliser, None, None
        if finaliser is not None:
            finaliser()

    def start(self) -> None:
        """Start the worker now, instead of at the first run.

        Raises:
            SandboxError: this machine cannot jail a process.
        """
        self._live()

    def _start(self) -> tuple[socket.socket, int, _Keeper]:
        keeper = self._live()
        try:
            return *keeper.fork(), keeper
        except (OSError, ValueError):
            # The worker is gone (killed from outside): one new one, then give up.
            self.close()
        keeper = self._live()
        try:
            return *keeper.fork(), keeper
        except (OSError, ValueError) as error:
            raise SandboxError(f"the worker of the process sandbox died: {error}") from error

    def _live(self) -> _Keeper:
        with self._fork:
            if self._keeper is None:
                self._keeper = _Keeper()
                self._finaliser = weakref.finalize(self, self._keeper.close)
            return self._keeper

    def _forget(self) -> None:
        """Leave the worker to the process that started it: this one is its fork."""
        self._fork = threading.Lock()
        self._room = threading.BoundedSemaphore(self._workers)
        if self._finaliser is not None:
            self._finaliser.detach()
        if self._keeper is not None:
            self._keeper.forget()
        self._finaliser = self._keeper = None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why there is no second sandbox on this machine; false, as a missing sandbox is."""

    reason: str

    def __bool__(self) -> bool:
        return False


def second_sandbox(modules: Sequence[HostModule] = ()) -> ProcessSandbox | Unavailable:
    """Return a started sandbox that is not Monty, or why this machine has none."""
    sandbox = ProcessSandbox(modules=modules)
    try:
        sandbox.start()
    except SandboxError as error:
        return Unavailable(str(error))
    return sandbox


class _Keeper:
    """The host's end of the worker that forks."""

    def __init__(self) -> None:
        if sys.platform != "linux" or platform.machine() not in MACHINES:
            raise SandboxError(
                f"the process sandbox needs Linux on {' or '.join(MACHINES)}, and this is {sys.platform} on "
                f"{platform.machine()}: use MontySandbox"
            )
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair()
        with theirs:
            self._popen = _popen(theirs)
        self._control.settimeout(_START_SECONDS)
        self._lines = self._control.makefile("rb")
        self._greet()

    def fork(self) -> tuple[socket.socket, int]:
        """Return the channel to a new child, and its number."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            try:
                socket.send_fds(self._control, [b"run"], [theirs.fileno()])
                return ours, int(self._lines.readline())
            except BaseException:
                ours.close()
                raise

    def kill(self, child: int) -> None:
        """Kill a child."""
        with self._lock, suppress(OSError, ValueError):
            self._control.sendall(b"%d" % child)

    def close(self) -> None:
        """End the worker; its children die with it."""
        if os.getpid() != self._process:
            return
        self._lines.close()
        self._control.close()
        self._popen.kill()
        self._popen.wait()

    def forget(self) -> None:
        """Close this process's copies of what belongs to the one that forked it."""
        self._lines.close()
        self._control.close()
        self._popen.returncode = 0

    def _greet(self) -> None:
        try:
            greeting = json.loads(self._lines.readline() or b"{}")
        except (OSError, ValueError) as error:
            greeting = {"refused": str(error)}
        if "ready" not in greeting:
            self.close()
            reason = greeting.get("refused", "the worker did not start")
            raise SandboxError(f"the process sandbox cannot lock its worker in ({reason}): use MontySandbox")


def _task(
    program: Program,
    arguments: Mapping[str, Value],
    modules: Mapping[str, HostModule],
    limits: Limits,
    now: datetime | None,
) -> Json:
    return {
        "source": program.source,
        "entry": program.entry,
        "arguments": encode(arguments),
        "tools": [tool.name for tool in program.tools],
        "modules": {name: list(module.functions) for name, module in modules.items()},
        "now": now.isoformat() if now else None,
        "seconds": limits.seconds,
        "memory_bytes": limits.memory_bytes,
        "recursion_depth": limits.recursion_depth,
        "output_bytes": limits.output_bytes,
    }


def _popen(control: socket.socket) -> subprocess.Popen[bytes]:
    # Hashes are not random, so that a program that depends on the order of a set at least always gives the same.
    command = [sys.executable, "-S", "-s", "-P", "-B", "-X", "utf8", str(Path(__file__).with_name("_worker.py"))]
    try:
        return subprocess.Popen(  # noqa: S603  # our own script
            command,
            stdin=control.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PYTHONHASHSEED": "0"},
            cwd="/",
        )
    except OSError as error:
        raise SandboxError(f"the worker of the process sandbox cannot be started: {error}") from error


def _after_fork() -> None:
    for sandbox in list(_SANDBOXES):
        sandbox._forget()  # pyright: ignore[reportPrivateUsage]  # same module


_SANDBOXES: weakref.WeakSet[ProcessSandbox] = weakref.WeakSet()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
