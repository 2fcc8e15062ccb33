"""`E2BSandbox`: runs programs on a machine of E2B's: for packages that Monty lacks, or to have none of it at home.

One remote machine is kept warm a scope: caches of several tenants may share a sandbox, and share no machine. Each run
is a process of its own on it, which can read files and write none, nor reach a process or a socket. A program that asks
for a tool ends there; the host calls the tool and runs the program again over all answers so far, which asks for the
same in the same order because it is deterministic. So a run survives a machine that is lost in the middle of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from functools import partial, reduce
from operator import add
from typing import Final, cast

import httpx

from seglam_agents.records.errors import SandboxError
from seglam_agents.records.record import Json
from seglam_agents.records.request import Scope
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
from seglam_agents.sandboxes.conversation import BrokenError, asked, ending, read_frame, reply
from seglam_agents.sandboxes.dialect import CPYTHON, look
from seglam_agents.sandboxes.exchange import CLOSED, HostSide, Stop, given
from seglam_agents.sandboxes.remote import LOCKED, MARK, names_of, setup_code, task_of
from seglam_agents.sandboxes.turns import Turns

try:
    import e2b_code_interpreter as e2b  # pyright: ignore[reportMissingTypeStubs]  # it is typed, and does not say so
    from e2b.connection_config import ApiParams
except ImportError as missing:  # pragma: no cover
    raise SandboxError("the E2B sandbox needs its package: pip install 'seglam-agents[e2b]'") from missing

DEFAULT_LIMITS: Final = Limits(seconds=5.0, memory_bytes=512 * 2**20)
"""Limits that fit heavy packages; pass them where they are needed."""
_MAX_ROUNDS: Final = 200
"""Executions a run: each question of a program costs one."""
_OVERHEAD_SECONDS: Final = 15.0
"""What starting Python, loading packages and the network may take besides the program's time."""
_PATIENCE_SECONDS: Final = 30.0
"""What the service may take to answer any other request, such as for a machine; such a request is made twice."""
_LEAST_OUTPUT: Final = 65_536
_MOST_TIMES: Final = 20
"""How many times its limit a run may take on the machine, all its executions together."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What remote runs have cost so far."""

    runs: int = 0
    executions: int = 0
    """Requests that ran a program: one a run and one for each of its questions."""
    machines: int = 0
    seconds: float = 0.0
    """Time for which machines ran code or were being started."""
    dollars: float = 0.0

    def plus(self, other: Spent) -> Spent:
        """Return the sum."""
        return Spent(*map(add, astuple(self), astuple(other)))


class E2BSandbox:
    """Programs on a remote machine.

    Args:
        api_key: the key of the E2B account.
        template: the template of the machine; E2B's code interpreter by default.
        modules: host modules that programs may import; each call costs one more remote execution.
        packages: third-party packages that programs may import; the template must have them.
        machine: the number of a running or paused machine to go on with, instead of a new one. It goes to the first
            scope that uses the sandbox; to go on with the machines of several, give each a sandbox of its own.
        keep_seconds: how long the machine lives after its last use; a paused or expired one is resumed or replaced.
        workers: how many programs may run at a time on a machine.
        fresh: whether every run has a machine of its own, which is ended after it. It takes the time in which a
            machine starts. A machine that takes no locks is used so whatever is said here.
        dollars_per_hour: the price of the machine, for `spent`.
        api_url: another control plane than E2B's.
        sandbox_url: another data plane.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        template: str | None = None,
        modules: Sequence[HostModule] = (),
        packages: Sequence[str] = (),
        machine: str | None = None,
        keep_seconds: int = 300,
        workers: int = 2,
        fresh: bool = False,
        dollars_per_hour: float = 0.0,
        api_url: str | None = None,
        sandbox_url: str | None = None,
    ) -> None:
        if fresh and machine is not None:
            raise SandboxError(f"the machine {machine} has run programs before: leave out machine=, or fresh=")
        named = _given(api_key=api_key, api_url=api_url, sandbox_url=sandbox_url, http_version="1.1")
        connection = {**named, "request_timeout": _PATIENCE_SECONDS}
        self._modules = {module.name: module for module in modules}
        self._packages = names_of(packages)
        self._workers = at_least_one(workers)
        self._turns = Turns(workers, patience=30.0)
        self._another = partial(
            _Machine,
            cast("ApiParams", connection),
            template,
            keep=keep_seconds,
            dollars_per_hour=dollars_per_hour,
        )
        self._machine = self._another(number=machine)
        self._lock = threading.Lock()
        self._parts: dict[str, E2BSandbox] = {}
        self._whole = self
        self._fresh = fresh
        self._passing: list[_Machine] = []

    @property
    def name(self) -> str:
        """The name of the sandbox in reports."""
        return "e2b"

    @property
    def machine(self) -> str | None:
        """The number of the remote machine (the first scope's), by which another process can go on with it."""
        return self._machine.number

    @property
    def spent(self) -> Spent:
        """What it has cost so far, in all scopes."""
        return reduce(Spent.plus, [one._machine.spent for one in self._all])

    def offer(self, module: HostModule) -> None:
        """Let programs import a module of the host; one of the same name that is there already stays."""
        with self._lock:
            self._modules = {module.name: module, **self._modules}

    def within(self, scope: Scope) -> E2BSandbox:
        """Return the part of a scope, with a machine of its own; the first scope has this one, if nobody used it."""
        whole = self._whole
        with whole._lock:
            if scope.key not in whole._parts:
                fresh = not whole._parts and whole._machine.spent == Spent()
                whole._parts[scope.key] = whole if fresh else whole._part()
            return whole._parts[scope.key]

    def _part(self) -> E2BSandbox:
        part = copy(self)
        part._turns, part._lock, part._machine = Turns(self._workers, patience=30.0), threading.Lock(), self._another()
        part._parts, part._passing = {}, []
        return part

    @property
    def _all(self) -> list[E2BSandbox]:
        with self._lock:
            return [self, *(part for part in self._parts.values() if part is not self)]

    def check(self, program: Program) -> Sequence[Problem]:
        """Look at a program without running it, for what CPython lacks here."""
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
        """Call `entry(**arguments)` in a process of its own on the remote machine; see `Sandbox.run`."""
        if _forked():
            return Failed("unavailable", _FORKED)
        entering = given(arguments)
        if isinstance(entering, Failed):
            return entering
        task = task_of(program, entering, self._modules, self._packages, limits, now)
        with self._turns.turn(program.source) as turn:
            if turn is None:
                return self._turns.busy()
            host = HostSide(program, self._modules, limits, recorded, call, now, turn.lent)
            self._machine.book(runs=1)
            execution = self._run(task, host, limits)
        self._turns.judge(program.source, execution)
        return execution

    def close(self) -> None:
        """End the remote machines, but not from a fork. A closed sandbox starts others at its next runs."""
        if not _forked():
            for one in self._all:
                for machine in (one._machine, *one._passing):
                    machine.close()

    def _run(self, task: dict[str, Json], host: HostSide, limits: Limits) -> Execution:
        if not self._whole._fresh:
            try:
                return _Rounds(self._machine, task, host, limits).run()
            except _UnlockedError:
                # Nothing has run on it yet.
                self._whole._fresh = True
                self._machine.replace()
        machine = self._another(single=True)
        self._passing.append(machine)
        try:
            return _Rounds(machine, task, host, limits).run()
        finally:
            self._passing.remove(machine)
            machine.close()
            self._machine.add(machine.spent)


class _Rounds:
    """One run: as many remote executions as the program has questions, and one."""

    def __init__(self, machine: _Machine, task: dict[str, Json], host: HostSide, limits: Limits) -> None:
        self._machine = machine
        self._task = task
        self._host = host
        self._limits = limits
        self._answers: list[Json] = []
        self._digest = hashlib.sha256()
        self._inside = 0.0

    def run(self) -> Execution:
        try:
            for _ in range(_MAX_ROUNDS):
                execution = self._round()
                if execution is not None:
                    ended = self._host.ended(execution)
                    # Not the network's time, unless that is all there is.
                    return replace(ended, seconds=min(self._inside or ended.seconds, ended.seconds))
            return self._host.ended(Failed("limit", f"more than {_MAX_ROUNDS} questions to the host"))
        except BrokenError as error:
            return self._host.ended(Failed(error.kind, str(error)))

    def _round(self) -> Execution | None:
        frame = self._machine.execute({**self._task, "answers": self._answers}, self._limits)
        seconds = frame.get("seconds")
        self._inside += seconds if isinstance(seconds, float) and 0 < seconds < 3600 else 0.0
        known = [len(self._answers), self._digest.hexdigest()]
        if self._inside > _MOST_TIMES * self._limits.seconds:
            return Failed("limit", f"more than {_MOST_TIMES} times {self._limits.seconds} s, in all its executions")
        if "asked" in frame and frame["asked"] != known:
            return Failed("error", "the program asked for other things when it was run again: it must be deterministic")
        if (found := ending(frame, self._host)) is not None:
            return found
        name, args, kwargs = asked(frame)
        following = self._host.ask(name, args, kwargs)
        if isinstance(following, Stop):
            return following.execution
        self._digest.update(json.dumps(frame["ask"], sort_keys=True).encode())
        self._answers.append(reply(following))
        return None


class _Machine:
    """The remote machine, started when needed, resumed when paused, replaced when gone."""

    def __init__(
        self,
        connection: ApiParams,
        template: str | None,
        *,
        number: str | None = None,
        keep: int,
        dollars_per_hour: float,
        single: bool = False,
    ) -> None:
        self._connection = connection
        self._template = template
        self._keep = keep
        self._dollars_per_hour = dollars_per_hour
        self._single = single
        self._lock = threading.Lock()
        self._remote: e2b.Sandbox | None = None
        self._contexts: list[e2b.Context] = []
        self._spoilt: list[e2b.Context] = []
        self._touched = 0.0
        self._closed = 0
        self.number = number
        self.spent = Spent()

    def book(self, *, runs: int = 0, executions: int = 0, machines: int = 0, seconds: float = 0.0) -> None:
        """Add to what was spent."""
        with self._lock:
            dollars = seconds * self._dollars_per_hour / 3600
            self.spent = self.spent.plus(Spent(runs, executions, machines, seconds, dollars))

    def add(self, spent: Spent) -> None:
        """Add what another machine has spent."""
        with self._lock:
            self.spent = self.spent.plus(spent)

    def replace(self) -> None:
        """End this machine, and have another one when it is needed."""
        self._forget(replaced=True)

    def execute(self, task: dict[str, Json], limits: Limits) -> dict[str, Json]:
        """Run a task remotely and return what it wrote; twice where the machine was lost: a task has no effects.

        Raises:
            BrokenError: it came to nothing, for the reason told.
            SandboxError: the account does not work.
        """
        began, closed = time.monotonic(), self._closed
        try:
            try:
                return self._execute(task, limits)
            except (*_LOST, _InterpreterLostError) as error:
                if _is_execution_timeout(error):
                    raise
                if self._closed != closed:
                    raise BrokenError(CLOSED.kind, CLOSED.reason) from error
                self._forget(replaced=isinstance(error, _ForeignReplyError))
                return self._execute(task, limits)
        except SandboxError:
            raise
        except (e2b.AuthenticationException, e2b.InvalidArgumentException) as error:
            raise SandboxError(f"E2B refuses: {error}. Pass api_key=, or set E2B_API_KEY") from error
        except e2b.RateLimitException as error:
            raise BrokenError("unavailable", f"E2B's rate limit: {error}") from error
        except _LOST as error:
            if _is_execution_timeout(error):
                raise BrokenError(
                    "limit", f"more than {limits.seconds} s (the remote machine did not answer)"
                ) from error
            raise BrokenError("unavailable", f"the remote machine cannot be reached: {error}") from error
        except Exception as error:  # its client raises whatever a reply that is none of the service's makes of it
            raise BrokenError("unavailable", f"E2B: {type(error).__name__}: {error}"[:500]) from error
        finally:
            self.book(executions=1, seconds=time.monotonic() - began)

    def close(self) -> None:
        """End the machine."""
        with self._lock:
            self._closed += 1
            remote, self._remote, self.number = self._remote, None, None
            self._contexts.clear()
        if remote is not None:
            with suppress(Exception):
                remote.kill()

    def _execute(self, task: dict[str, Json], limits: Limits) -> dict[str, Json]:
        remote = self._live()
        context = self._context(remote)
        output = _Output(4 * limits.output_bytes + _LEAST_OUTPUT)
        seconds = limits.seconds + _OVERHEAD_SECONDS
        number = secrets.token_hex(16)
        code = f"seglam_run({json.dumps({**task, 'task': number})!r}, {output.limit})"
        try:
            execution = remote.run_code(
                code, context=context, timeout=seconds, request_timeout=_OVERHEAD_SECONDS, on_stdout=output.add
            )
            frame = output.frame(execution.error, number)
        except BaseException:
            # It may hang or be taken over, so it is never used again.
            self._spoilt.append(context)
            raise
        with self._lock:
            if self._remote is remote:
                self._contexts.append(context)
        return frame

    def _live(self) -> e2b.Sandbox:
        _USERS.add(os.getpid())
        with self._lock:
            if self._remote is None:
                self._remote = self._connected() or self._created()
                self.number = self._remote.sandbox_id
                self._touched = time.monotonic()
            elif time.monotonic() - self._touched > self._keep / 3:
                self._remote.set_timeout(self._keep)
                self._touched = time.monotonic()
            return self._remote

    def _connected(self) -> e2b.Sandbox | None:
        if self.number is None:
            return None
        try:
            return cast(e2b.Sandbox, e2b.Sandbox.connect(self.number, self._keep, **self._connection))
        except (e2b.NotFoundException, e2b.TimeoutException):
            return None

    def _created(self) -> e2b.Sandbox:
        created = e2b.Sandbox.create(
            self._template, self._keep, {"made-by": "seglam-agents"}, allow_internet_access=False, **self._connection
        )
        self.spent = replace(self.spent, machines=self.spent.machines + 1)
        return created

    def _context(self, remote: e2b.Sandbox) -> e2b.Context:
        with self._lock:
            if self._contexts:
                return self._contexts.pop()
            spoilt, self._spoilt = self._spoilt, []
        for context in spoilt:
            with suppress(Exception):
                remote.remove_code_context(context)
        context = remote.create_code_context(request_timeout=_OVERHEAD_SECONDS)
        output = _Output(_LEAST_OUTPUT)
        done = remote.run_code(setup_code(), context=context, timeout=_OVERHEAD_SECONDS, on_stdout=output.add)
        word = output.between_marks()
        if done.error is not None or word is None:
            reason = done.error.value if done.error else "it died, or says nothing of its locks"
            raise _InterpreterLostError("unavailable", f"the remote machine cannot be set up: {reason}"[:500])
        if word != LOCKED and not self._single:
            raise _UnlockedError(f"the remote machine cannot keep programs apart: {word}"[:500])
        return context

    def _forget(self, *, replaced: bool = False) -> None:
        """Connect anew at the next execution, or have another machine where this one cannot be believed."""
        with self._lock:
            remote, self._remote = self._remote, None
            self._contexts.clear()
            if replaced:
                self.number = None
        if replaced and remote is not None:
            with suppress(Exception):
                remote.kill()


class _InterpreterLostError(BrokenError):
    """The interpreter that starts programs died, by the machine's fault or a program's."""


class _UnlockedError(SandboxError):
    """A machine has no way to keep the programs on it apart, so it must not run two of them."""


class _ForeignReplyError(_InterpreterLostError):
    """A reply is of another task: a program has written into what others are told."""


class _Output:
    """What an execution prints, up to a limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._parts: list[str] = []
        self._size = 0

    def add(self, message: e2b.OutputMessage) -> None:
        self._size += len(message.line)
        if self._size > self.limit + 1000:
            raise BrokenError("limit", f"more than {self.limit:,} bytes of output")
        self._parts.append(message.line)

    def between_marks(self) -> str | None:
        """Return what stands between the marks, if they are there once."""
        parts = "".join(self._parts).split(MARK)
        return parts[1] if len(parts) == 3 else None

    def frame(self, error: e2b.ExecutionError | None, task: str) -> dict[str, Json]:
        """Return the document between the marks, which must be of this task."""
        if error is not None:
            raise _InterpreterLostError("crash", f"the remote interpreter failed: {error.name}: {error.value}"[:500])
        try:
            line = self.between_marks()
            document = read_frame(line.encode()) if line is not None else None
        except (ValueError, RecursionError) as broken:
            raise BrokenError("crash", "the remote process sent no JSON") from broken
        if not isinstance(document, dict):
            raise BrokenError("crash", "the remote process of the program died")
        if document.pop("task", None) != task:
            raise _ForeignReplyError("crash", "the remote machine gave the reply of another run")
        if not document:
            raise BrokenError("crash", "the remote process of the program died")
        return document


_LOST: Final = (e2b.TimeoutException, e2b.NotFoundException, e2b.SandboxNotFoundException, httpx.TransportError)


_USERS: Final[set[int]] = set()
"""The process whose memory this is and that has used E2B's client, if any has."""
_FORKED: Final = (
    "E2B's client was used in the process that this one is a fork of, and answers in no fork after that: fork before "
    "the first run, or start processes with the methods `spawn` or `forkserver`"
)


def _forked() -> bool:
    return bool(_USERS) and os.getpid() not in _USERS


def _is_execution_timeout(error: BaseException) -> bool:
    return str(error).startswith("Execution timed out")


def _given(**options: str | None) -> dict[str, str]:
    return {name: value for name, value in options.items() if value is not None}
