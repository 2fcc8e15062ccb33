"""`ProcessSandbox`: runs programs in CPython, in a child process of its own for every run, behind the kernel's locks.

The second opinion at admission, and the first choice for what Monty's Python lacks. A warm worker (see `_worker.py`)
that runs no program forks the children ahead, so that a run costs a millisecond and nothing of it is left behind: no
two runs ever share an interpreter, be they of one scope or of two.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from seglam_agents.records.errors import SandboxError
from seglam_agents.records.record import Json
from seglam_agents.records.values import Value
from seglam_agents.sandboxes.base import (
    Execution,
    Failed,
    HostModule,
    Limits,
    Problem,
    Program,
    ToolCall,
    ToolResult,
    at_least_one,
)
from seglam_agents.sandboxes.conversation import Conversation
from seglam_agents.sandboxes.dialect import CPYTHON, look
from seglam_agents.sandboxes.exchange import CLOSED, HostSide, given
from seglam_agents.sandboxes.keeper import Child, Keeper
from seglam_agents.sandboxes.remote import names_of, task_of
from seglam_agents.sandboxes.spares import BusyError, Spares
from seglam_agents.sandboxes.turns import Turn, Turns

_MOST_CHILDREN: Final = 4
"""Children per turn: programs that wait for a tool hold a process and compute nothing."""


class ProcessSandbox:
    """Jailed CPython processes, on Linux.

    Args:
        workers: how many programs may compute at a time; up to four times as many wait for tools.
        modules: host modules that programs may import.
        packages: third-party packages that programs may import. They are loaded once, before the locks; what a package
            loads only when it is used cannot be loaded then.
        prepare_ahead: whether to fork children before they are needed, in a background thread.
    """

    def __init__(
        self,
        *,
        workers: int = 4,
        modules: Sequence[HostModule] = (),
        packages: Sequence[str] = (),
        prepare_ahead: bool = True,
    ) -> None:
        self._modules = {module.name: module for module in modules}
        self._packages = names_of(packages)
        self._workers = at_least_one(workers)
        self._ahead = prepare_ahead
        self._lock = threading.Lock()
        self._pool: _Pool | None = None
        self._finaliser: weakref.finalize[..., ProcessSandbox] | None = None
        _SANDBOXES.add(self)

    @property
    def name(self) -> str:
        """The name of the sandbox in reports."""
        return "process"

    def check(self, program: Program) -> Sequence[Problem]:
        """Parse a program without running it, and look for what CPython lacks here."""
        return look(program, (*self._modules, *self._packages), CPYTHON)

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
        entering = given(arguments)
        if isinstance(entering, Failed):
            return entering
        task = task_of(program, entering, self._modules, self._packages, limits, now)
        pool = self._live()
        with pool.turns.turn(program.source) as turn:
            if turn is None:
                return pool.turns.busy()
            try:
                execution = pool.run(
                    task, lambda: HostSide(program, self._modules, limits, recorded, call, now, turn.lent), limits, turn
                )
            except SandboxError:
                if not pool.closed:
                    raise
                return CLOSED
        if pool.closed and isinstance(execution, Failed) and execution.kind == "crash":
            return replace(CLOSED, seconds=execution.seconds)
        pool.turns.judge(program.source, execution)
        return execution

    def close(self) -> None:
        """Stop every worker. A closed sandbox starts again at its next run."""
        with self._lock:
            finaliser, self._finaliser, self._pool = self._finaliser, None, None
        if finaliser is not None:
            finaliser()

    def offer(self, module: HostModule) -> None:
        """Let programs import a module of the host; one of the same name that is there already stays."""
        with self._lock:
            self._modules = {module.name: module, **self._modules}

    def start(self) -> None:
        """Start the worker now, instead of at the first run.

        Raises:
            SandboxError: this machine cannot jail a process.
        """
        self._live()

    def settle(self) -> None:
        """Wait until the children that are being forked ahead are ready: for measurements and tests."""
        self._live().settle()

    def _live(self) -> _Pool:
        pool = self._pool
        if pool is not None:
            return pool
        with self._lock:
            if self._pool is None:
                self._pool = _Pool(self._workers, self._packages, self._ahead)
                self._finaliser = weakref.finalize(self, self._pool.close)
            return self._pool

    def _forget(self) -> None:
        """Leave the worker to the process that started it: this one is its fork."""
        self._lock = threading.Lock()
        if self._finaliser is not None:
            self._finaliser.detach()
        if self._pool is not None:
            self._pool.forget()
        self._finaliser = self._pool = None


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


class _Pool:
    """The worker of one sandbox, and the children forked ahead."""

    def __init__(self, workers: int, packages: Sequence[str], ahead: bool) -> None:
        self._packages = packages
        self._lock = threading.Lock()
        self._keeper = Keeper(packages)
        self.closed = False
        self.turns = Turns(workers)
        self._spares: Spares[None, Child] = Spares(
            lambda _: self._fork(warm=True), Child.end, capacity=workers * _MOST_CHILDREN, ahead=workers if ahead else 0
        )

    def run(self, task: Json, hosting: Callable[[], HostSide], limits: Limits, turn: Turn) -> Execution:
        """Have a child run a task; `hosting` makes its host, whose clock runs from then on."""
        try:
            taken = self._spares.take(None, patience=turn.left)
        except BusyError as error:
            return Failed("busy", str(error))
        child = taken[1] if taken else None
        try:
            child = self._healthy(child)
            host = hosting()
            execution = Conversation(child.channel, host, limits).hold(task)
            if _died_early(execution, host) and not child.keeper.alive:
                child = self._healthy(child)
                execution = Conversation(child.channel, hosting(), limits).hold(task)
            return execution
        finally:
            self._spares.give_back(child, None)

    def settle(self) -> None:
        """Wait until nothing is left to be forked ahead."""
        self._spares.settle()

    def close(self) -> None:
        """End the worker; its children die with it."""
        with self._lock:
            self.closed = True
        try:
            self._spares.close()
        finally:
            self._keeper.close()

    def forget(self) -> None:
        """Close this process's copies of what belongs to the one that forked it."""
        for child in self._spares.abandoned():
            child.channel.close()
        self._keeper.forget()

    def _healthy(self, child: Child | None) -> Child:
        """Return the child, or another one where its worker is gone."""
        if child is not None and child.keeper.alive:
            return child
        if child is not None:
            child.end()
        return self._fork()

    def _fork(self, *, warm: bool = False) -> Child:
        try:
            return self._living().fork(warm=warm)
        except (OSError, ValueError):
            # The worker is gone (killed or stopped from outside): one new one, then give up.
            pass
        try:
            return self._living().fork(warm=warm)
        except (OSError, ValueError) as error:
            raise SandboxError(f"the worker of the process sandbox died: {error}") from error

    def _living(self) -> Keeper:
        with self._lock:
            if not self._keeper.alive and not self.closed:
                self._keeper.close()
                self._keeper = Keeper(self._packages)
            return self._keeper


def _died_early(execution: Execution, host: HostSide) -> bool:
    """Tell whether a child may have been dead before its run began."""
    return isinstance(execution, Failed) and execution.kind == "crash" and not host.asked


def _after_fork() -> None:
    for sandbox in list(_SANDBOXES):
        sandbox._forget()  # pyright: ignore[reportPrivateUsage]  # same module


_SANDBOXES: weakref.WeakSet[ProcessSandbox] = weakref.WeakSet()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
