"""`MontySandbox`: runs programs in Monty, a Python interpreter written in Rust, in worker processes.

Every run has a session of its own: an interpreter that starts from nothing and is thrown away. Making one costs more
than most runs, so sessions are made ahead (see `Spares`): blank ones, and for a program that came before also loaded
ones, in which its module level has already been executed. A loaded session serves one run, as any other.
"""

from __future__ import annotations

import os
import threading
import time
import types
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from keyword import iskeyword
from pathlib import Path
from typing import Final, NamedTuple, cast

import pydantic_monty as monty

from seglam_agents.records.errors import SandboxError
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
from seglam_agents.sandboxes.checking import TOO_DEEP, refusal_of, textual
from seglam_agents.sandboxes.dialect import look
from seglam_agents.sandboxes.differences import differences
from seglam_agents.sandboxes.digits import foreign_digit, odd_digits, reads_digits
from seglam_agents.sandboxes.exchange import CLOSED, MAX_QUESTIONS, Answer, Answered, HostSide, Raised, Stop, given
from seglam_agents.sandboxes.lifeline import Lifeline
from seglam_agents.sandboxes.likeness import NOT_A_NUMBER, compares_values, holds_nan
from seglam_agents.sandboxes.padding import odd_padding
from seglam_agents.sandboxes.patterns import odd_text, traits
from seglam_agents.sandboxes.pipes import spared
from seglam_agents.sandboxes.process import ProcessSandbox
from seglam_agents.sandboxes.respelling import HELPERS, respelt
from seglam_agents.sandboxes.spares import BusyError, Spares
from seglam_agents.sandboxes.turns import Turn, Turns
from seglam_agents.sandboxes.watchdog import Known, Meter, Watchdog, hold_cpu

REQUEST_TIMEOUT: Final = 60.0
"""Seconds after which a worker that says nothing is killed, whatever the limits of its run: the last backstop."""
_CHECKOUT_TIMEOUT: Final = 10.0
_GRACE: Final = 0.5
_CHECKOUTS_PER_WORKER: Final = 500
_HOUSEKEEPING_SECONDS: Final = 3.0
"""What a worker may take to begin or to end a session before it is killed."""
_MOST_WORKERS: Final = 2
"""Workers per turn: programs that wait for a tool hold a worker and compute nothing."""
_ARGUMENTS: Final = "_arguments_"
_ASK: Final = "_ask_"
_REFUSE: Final = "_refuse_"
_LACKS: Final = "_lacks_"
_PRELUDE_FILE: Final = "<python-input-0>"
"""How Monty names the first thing that a session is fed."""
_PARSED: Final = "parsed"
_PRELUDE: Final = Path(__file__).with_name("monty_prelude.py").read_text(encoding="utf-8")


class MontySandbox:
    """A pool of Monty workers; the default sandbox.

    Args:
        workers: how many programs may compute at a time, each in a worker process of 10 to 20 MB; up to twice as
            many live where programs wait for tools.
        modules: host modules that programs may import.
        prepare_ahead: whether to make sessions before they are needed, in a background thread.
    """

    def __init__(self, *, workers: int = 4, modules: Sequence[HostModule] = (), prepare_ahead: bool = True) -> None:
        self._workers = at_least_one(workers)
        self._modules = {module.name: module for module in modules}
        self._ahead = prepare_ahead
        self._lock = threading.Lock()
        self._pool: _Pool | None = None
        self._finaliser: weakref.finalize[..., MontySandbox] | None = None
        self._standing_in: ProcessSandbox | None = None
        _SANDBOXES.add(self)

    @property
    def name(self) -> str:
        """The name of the sandbox in reports."""
        return "monty"

    def check(self, program: Program) -> Sequence[Problem]:
        """Parse a program in Monty without running it, and look for what its dialect lacks.

        Monty's own type checker is not asked: it takes correct programs for wrong (an unguarded match object) and
        misses most of what the dialect lacks.
        """
        problems = look(program, tuple(self._modules))
        return problems if problems or self._forked() else self._live().parse(program.source)

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
        """Call `entry(**arguments)` in a session of its own; see `Sandbox.run`."""
        if not program.entry.isidentifier():
            return Failed("syntax", f"{program.entry!r} is no name of a function")
        if found := differences(program.source, frozenset(tool.name for tool in program.tools)):
            return Failed("syntax", f"line {found[0].line}: {found[0].message}")
        if self._forked():
            return self._stand_in().run(program, arguments, recorded=recorded, call=call, limits=limits, now=now)
        entering = given(arguments)
        if isinstance(entering, Failed):
            return entering
        odd = partial(
            _odd_value,
            traits=traits(program.source),
            compares=compares_values(program.source),
            reads=reads_digits(program.source),
        )
        if why := odd(entering) or odd_padding(program.source, program.entry, entering):
            return Failed("value", f"the arguments of the program: {why}")
        pool = self._live()
        with pool.turns.turn(program.source) as turn:
            if turn is None:
                return pool.turns.busy()
            host = HostSide(program, self._modules, limits, recorded, call, now, turn.lent, odd, odd_digits)
            try:
                execution = pool.run(program, {_ARGUMENTS: entering}, host, limits, turn)
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
            standing_in, self._standing_in = self._standing_in, None
        if finaliser is not None:
            finaliser()
        if standing_in is not None:
            standing_in.close()

    def offer(self, module: HostModule) -> None:
        """Let programs import a module of the host; one of the same name that is there already stays."""
        with self._lock:
            self._modules = {module.name: module, **self._modules}
            if self._pool is not None:
                self._pool.know(self._modules)
            if self._standing_in is not None:
                self._standing_in.offer(module)

    def settle(self) -> None:
        """Wait until the sessions that are being made ahead are ready: for measurements and tests."""
        self._live().spares.settle()

    def _live(self) -> _Pool:
        pool = self._pool
        if pool is not None:
            return pool
        with self._lock:
            if self._pool is None:
                self._pool = _Pool(self._workers, self._modules, self._ahead)
                self._finaliser = weakref.finalize(self, self._pool.close)
            return self._pool

    def _forked(self) -> bool:
        """Tell whether Monty was used before the fork that this process comes from: there every call would hang."""
        return bool(_USERS) and os.getpid() not in _USERS

    def _stand_in(self) -> ProcessSandbox:
        """Return the sandbox that runs programs in such a fork.

        Raises:
            SandboxError: this machine has none.
        """
        with self._lock:
            if self._standing_in is None:
                self._standing_in = _standing_in(self._workers, tuple(self._modules.values()))
            return self._standing_in

    def _forget(self) -> None:
        """Leave the workers to the process that started them: this one is its fork."""
        self._lock = threading.Lock()
        self._standing_in = None
        if self._finaliser is not None:
            _ABANDONED.append(self._finaliser.detach())
        self._finaliser = self._pool = None


class _Key(NamedTuple):
    """What a session was made for; `source` is None for a blank one."""

    source: str | None
    limits: Limits
    tools: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


class _Pool:
    """The worker processes of one sandbox, and the sessions made ahead in them."""

    def __init__(self, workers: int, modules: Mapping[str, HostModule], ahead: bool) -> None:
        self._process = os.getpid()
        _USERS.add(self._process)
        self._known = Known()
        self._most = workers * _MOST_WORKERS
        self.know(modules)
        self._unloadable: set[_Key] = set()
        self._workers = _started(workers * _MOST_WORKERS)
        self.closed = False
        self.turns = Turns(workers)
        self._watchdog = Watchdog()
        self._lifeline = Lifeline()
        self.spares: Spares[_Key, monty.MontySession] = Spares(
            self._prepare, self.end, capacity=workers * _MOST_WORKERS, ahead=workers if ahead and workers > 1 else 0
        )

    def know(self, modules: Mapping[str, HostModule]) -> None:
        """Have the sessions from now on know these modules; a session made before serves none of them."""
        self._modules = {name: _external(module) for name, module in modules.items()}

    def run(
        self, program: Program, inputs: Mapping[str, Value], host: HostSide, limits: Limits, turn: Turn
    ) -> Execution:
        names = tuple(sorted(tool.name for tool in program.tools))
        known_modules = tuple(self._modules)
        key, blank = _Key(program.source, limits, names, known_modules), _Key(None, limits, (), known_modules)
        known = self.spares.recent(key)
        try:
            taken = self.spares.take(key, blank, patience=turn.left)
        except BusyError as error:
            return host.ended(Failed("busy", str(error)))
        session = taken[1] if taken else None
        wanted = (key,) if taken and taken[0] == key else (blank, *((key,) if known else ()))
        try:
            if session is None:
                session = self.open(limits)
            call = _call_of(program)
            feeds = (call,) if taken and taken[0] == key else _feeds(program.source, names, call)
            execution = _drive(session, feeds, inputs, host)
        finally:
            self.spares.give_back(session, *wanted)
        if isinstance(execution, Failed) and execution.kind == "crash" and not host.asked:
            # The worker may have been dead before the run began; the program has done nothing yet that anybody saw.
            return self._run_fresh(program, inputs, host, limits, turn)
        return execution

    def parse(self, source: str) -> Sequence[Problem]:
        """Return what Monty's parser refuses."""
        blank = _Key(None, Limits(), (), tuple(self._modules))
        taken = self.spares.take(blank)
        session = taken[1] if taken else None
        try:
            session = session or self.open(blank.limits)
            return _parsed(session, source)
        finally:
            self.spares.give_back(session, blank)

    def open(self, limits: Limits) -> monty.MontySession:
        """Return a session that has run nothing."""
        # A worker that was stopped or killed while it was idle is found dead here, and the next one may do.
        for left in reversed(range(self._most + 1)):
            try:
                return self._entered(limits)
            except monty.MontyCrashedError as error:
                if not left:
                    raise SandboxError(f"a Monty worker could not be started: {error}") from error
            except (monty.MontyError, OSError, RuntimeError) as error:
                raise SandboxError(f"a Monty worker could not be started: {error}") from error
            except BaseException as error:
                _tell_panic(error)
                raise
        raise SandboxError("a Monty worker could not be started")

    def _entered(self, limits: Limits) -> monty.MontySession:
        session = self._workers.checkout(
            limits={
                "max_feed_duration_secs": limits.seconds,
                "max_memory": limits.memory_bytes,
                "max_recursion_depth": limits.recursion_depth,
                "max_suspensions": limits.tool_calls + 2 * MAX_QUESTIONS,
                "max_total_sleep_secs": 0.0,
            },
            os_policy={"sleep": "zero", "datetime": "call_host", "random_start": "call_host"},
            assert_message_annotations=False,
            external_modules=self._modules,
        )
        with self._watchdog.waiting(self._known.kill_stopped, _HOUSEKEEPING_SECONDS):
            session.__enter__()
        process = session.worker_pid
        self._lifeline.tie(process)
        self._known.add(process)
        with self._watchdog.watching(process, _HOUSEKEEPING_SECONDS), spared():
            session.feed_start(_PRELUDE, print_callback=_discard)
        hold_cpu(process, 2 * limits.seconds)
        return session

    def end(self, session: monty.MontySession) -> None:
        """Throw a session away; its worker makes the next one from nothing."""
        if os.getpid() == self._process:
            with (
                self._watchdog.watching(session.worker_pid, _HOUSEKEEPING_SECONDS),
                suppress(monty.MontyError, OSError, RuntimeError),
                spared(),
            ):
                session.__exit__(None, None, None)

    def close(self) -> None:
        """Stop the workers."""
        self.closed = True
        if os.getpid() == self._process:
            self.spares.close()
            self._workers.__exit__(None, None, None)
            self._watchdog.close()
            self._lifeline.close()

    def _run_fresh(
        self, program: Program, inputs: Mapping[str, Value], host: HostSide, limits: Limits, turn: Turn
    ) -> Execution:
        try:
            self.spares.take(patience=turn.left)
        except BusyError as error:
            return host.ended(Failed("busy", str(error)))
        session = None
        try:
            session = self.open(limits)
            names = tuple(tool.name for tool in program.tools)
            return _drive(session, _feeds(program.source, names, _call_of(program)), inputs, host)
        finally:
            self.spares.give_back(session)

    def _prepare(self, key: _Key) -> monty.MontySession | None:
        if key in self._unloadable:
            return None
        session = self.open(key.limits)
        if _loaded(session, _feeds(key.source or "", key.tools), key.limits):
            return session
        self.end(session)
        if len(self._unloadable) < 1000:
            self._unloadable.add(key)
        return None


def _odd_value(value: Value, traits: frozenset[str], compares: bool, reads: bool) -> str | None:
    """Return why a program cannot look at a value in the way it does, if it cannot."""
    if compares and holds_nan(value):
        return NOT_A_NUMBER
    if reads and (digit := foreign_digit(value)):
        return f"a text holds the digit {digit}, which Monty does not read as one"
    found = odd_text(value, traits) if traits else None
    if found is None:
        return None
    advice = "write the pattern where it is used" if "newline" in found else "write sets such as [A-Za-z0-9_] for \\w"
    return f"a text holds {found}, which Monty's regular expressions read otherwise than Python's: {advice}"


def _call_of(program: Program) -> str:
    return f"_given_({program.entry}(**{_ARGUMENTS}))"


def _feeds(source: str, tools: Sequence[str], call: str = "") -> tuple[str, str]:
    """Return what a session is fed for a program: what it is given by us, and itself."""
    before, written = respelt(source)
    return "\n".join(filter(None, (_tool_code(tools), before))), f"{written}\n{call}" if call else written or "None"


def _tool_code(names: Sequence[str]) -> str:
    """Return what defines the tools of a program; a name that no program can write needs none."""
    return "\n".join(f"{name} = _tool_({name!r})" for name in names if name.isidentifier() and not iskeyword(name))


def _drive(session: monty.MontySession, feeds: Sequence[str], inputs: Mapping[str, Value], host: HostSide) -> Execution:
    """Run code to its end, answering its host calls."""
    try:
        output: object = None
        meter = Meter(session.worker_pid)
        for code in filter(None, feeds):
            with spared():
                snapshot = session.feed_start(code, inputs=dict(inputs), print_callback=_discard)
            while not isinstance(snapshot, monty.MontyComplete):
                following = host.overdrawn(meter.seconds) or _resumed(snapshot, host)
                if isinstance(following, Stop):
                    return host.ended(following.execution)
                snapshot = following
            output = snapshot.output
        return host.returned(output)
    except (monty.MontySyntaxError, monty.MontyRuntimeError, monty.MontyCrashedError) as error:
        return host.ended(_failure(error))
    except monty.MontyConversionError as error:
        return host.ended(Failed("value", f"what enters the program is no value: {error}"))
    except BaseException as error:
        _tell_panic(error)
        raise


def _resumed(snapshot: monty.SyncSnapshot, host: HostSide) -> monty.SyncSnapshot | Stop:
    if isinstance(snapshot, monty.FunctionSnapshot):
        if snapshot.is_os_function:
            return _system_call(snapshot, host)
        return _asked(snapshot, host)
    if isinstance(snapshot, monty.NameLookupSnapshot):
        name = snapshot.variable_name
        known = name in (_ASK, _REFUSE, _LACKS) or host.knows(name)
        with spared():
            return snapshot.resume(value=_stand_in(name)) if known else snapshot.resume()
    return Stop(Failed("error", "await has nothing to wait for: tools are called as ordinary functions"))


def _asked(snapshot: monty.FunctionSnapshot, host: HostSide) -> monty.SyncSnapshot | Stop:
    name, args, kwargs = snapshot.function_name, snapshot.args, snapshot.kwargs
    match name, args:
        case "_ask_", (str(tool), tuple(), dict()):
            asked = cast("tuple[str, tuple[object, ...], dict[str, object]]", args)
            return _answered(snapshot, host.ask(tool, *asked[1:]))
        case "_refuse_", (str(kind),):
            return Stop(Failed("value", refusal_of(kind) if kind else TOO_DEEP))
        case "_lacks_", (str(reason),):
            return Stop(Failed("value", reason[:500]))
        case _:
            if "." in name and (found := textual(args, kwargs)):
                return Stop(Failed("value", f"the arguments of {name} hold what is no value: {found}"))
            return _answered(snapshot, host.ask(name, args, kwargs))


def _system_call(snapshot: monty.FunctionSnapshot, host: HostSide) -> monty.SyncSnapshot | Stop:
    match snapshot.function_name:
        case "import":
            with spared():
                return snapshot.resume_auto()
        case "datetime.now":
            return _answered(snapshot, host.clock(*snapshot.args))
        case "date.today":
            return _answered(snapshot, host.today())
        case _:
            with spared():
                return snapshot.resume_not_handled()


def _answered(snapshot: monty.FunctionSnapshot, answer: Answer) -> monty.SyncSnapshot | Stop:
    match answer:
        case Answered(value):
            with spared():
                return snapshot.resume({"return_value": value})
        case Raised(kind, message):
            with spared():
                return snapshot.resume({"exc_type": cast(monty.ExcType, kind), "message": message})
        case Stop():
            return answer


def _failure(error: monty.MontySyntaxError | monty.MontyRuntimeError | monty.MontyCrashedError) -> Failed:
    if isinstance(error, monty.MontyCrashedError):
        # The kernel's limit of processor time is ours, too.
        return Failed("limit" if error.timed_out or "SIGXCPU" in str(error) else "crash", str(error))
    inner = error.exception()
    if isinstance(error, monty.MontySyntaxError) or str(inner).startswith("The monty syntax parser"):
        return Failed("syntax", str(inner))
    # An exception that the program itself raised has frames; one by which a limit ended it has none.
    if isinstance(inner, (MemoryError, RecursionError)) or str(inner).startswith("suspension limit"):
        return Failed("limit", str(error))
    if isinstance(inner, TimeoutError) and not error.traceback():
        return Failed("limit", str(error))
    return Failed("error", _located(error))


def _located(error: monty.MontySyntaxError | monty.MontyRuntimeError) -> str:
    """Return the message with the line of the program that raised it."""
    ours = (frame.filename == _PRELUDE_FILE or frame.function_name in HELPERS for frame in error.traceback())
    frames = [frame for frame, is_ours in zip(error.traceback(), ours, strict=True) if not is_ours]
    return f"{error} (line {frames[-1].line})" if frames else str(error)


def _parsed(session: monty.MontySession, source: str) -> Sequence[Problem]:
    try:
        # Monty parses all of a feed before it runs any of it: the first line ends it when all has been parsed.
        with spared():
            session.feed_start(f"raise SystemExit({_PARSED!r})\n{source}", print_callback=_discard)
    except (monty.MontySyntaxError, monty.MontyRuntimeError) as error:
        if str(error.exception()) == _PARSED:
            return ()
        line = error.traceback()[-1].line - 1 if error.traceback() else 1
        return (Problem(max(line, 1), str(error.exception())),)
    except monty.MontyError as error:
        return (Problem(1, str(error)),)
    return ()


def _tell_panic(error: BaseException) -> None:
    """Raise a `SandboxError` for a panic of Monty's library, which no `except Exception` would catch."""
    if type(error).__name__ == "PanicException":
        raise SandboxError(
            f"Monty's library broke down, as where no thread or memory is left ({error}): start the process anew, if "
            "this does not pass"
        ) from error


def _loaded(session: monty.MontySession, feeds: Sequence[str], limits: Limits) -> bool:
    """Execute the module level of a program ahead of its run; False where it asks the host for more than a module."""
    started = time.perf_counter()
    try:
        for code in filter(None, feeds):
            with spared():
                snapshot = session.feed_start(code, print_callback=_discard)
                while isinstance(snapshot, monty.FunctionSnapshot) and snapshot.function_name == "import":
                    snapshot = snapshot.resume_auto()
            if not isinstance(snapshot, monty.MontyComplete):
                return False
    except monty.MontyError:
        return False
    # The call has the whole limit again, so what took long must not be done ahead.
    return time.perf_counter() - started < limits.seconds / 5


def _started(workers: int) -> monty.Monty:
    try:
        return monty.Monty(
            min_processes=1,
            max_processes=workers,
            checkout_timeout=_CHECKOUT_TIMEOUT,
            request_timeout=REQUEST_TIMEOUT,
            max_checkouts_per_worker=_CHECKOUTS_PER_WORKER,
            feed_duration_limit_grace=_GRACE,
        ).__enter__()
    except (monty.MontyError, OSError, RuntimeError) as error:
        raise SandboxError(
            f"the Monty sandbox cannot start its worker: {error}. Install pydantic-monty (it brings the `monty` "
            "program), or set MONTY_BIN to that program."
        ) from error
    except BaseException as error:
        _tell_panic(error)
        raise


def _standing_in(workers: int, modules: Sequence[HostModule]) -> ProcessSandbox:
    sandbox = ProcessSandbox(workers=workers, modules=modules)
    try:
        sandbox.start()
    except SandboxError as error:
        raise SandboxError(
            "the Monty sandbox was used in the process that this one is a fork of, and works in no fork after that "
            f"(and {error}): fork before the first run, or start processes with the methods `spawn` or `forkserver`"
        ) from error
    return sandbox


def _external(module: HostModule) -> monty.ExternalModule:
    return monty.ExternalModule({name: _stand_in(name) for name in module.functions})


def _stand_in(name: str) -> Callable[..., None]:
    """Return a function of that name: only the name enters Monty, and each call of it comes back as a snapshot."""

    def function() -> None: ...

    return types.FunctionType(function.__code__, {}, name)


def _discard(stream: str, text: str) -> None:
    """Drop what a program prints."""


def _after_fork() -> None:
    for sandbox in list(_SANDBOXES):
        sandbox._forget()  # pyright: ignore[reportPrivateUsage]  # same module


_SANDBOXES: weakref.WeakSet[MontySandbox] = weakref.WeakSet()
_USERS: set[int] = set()
"""The process whose memory this is and that has used Monty, if any has."""
_ABANDONED: list[object] = []
"""The parent's pools in a forked child: were they freed there, the parent's workers would be stopped."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
