"""`HostSide`: what a program gets from its host, whatever interpreter it runs in.

A program asks its host for four things: a tool, a function of a host module, the clock, or an end (`deopt`).
"""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timezone
from typing import Final, TypeAlias

from seglam_agents.records.errors import NotAValueError
from seglam_agents.records.tools import Tool
from seglam_agents.records.values import Value
from seglam_agents.sandboxes.base import (
    Execution,
    Failed,
    HostModule,
    Limits,
    Paused,
    Program,
    Returned,
    ToolCall,
    ToolResult,
)
from seglam_agents.sandboxes.checking import TooLargeError, checked, mended, plain

MAX_REASON: Final = 500
_LONGEST_REASON: Final = 1000
NO_REASON: Final = "no reason given"
MAX_QUESTIONS: Final = 10_000
"""How often a program may ask its host for anything but tools."""
_SLACK_SECONDS: Final = 0.5
"""What a run may take by the clock beyond twice its limit, tools apart, where it and its host hardly compute."""
CLOSED: Final = Failed("unavailable", "the sandbox was closed during the run")
NO_CLOCK: Final = "the clock cannot be read here: take the time as an argument"

Call: TypeAlias = Callable[[ToolCall], ToolResult]


@dataclass(frozen=True, slots=True)
class Answered:
    """The program goes on with this value."""

    value: Value


@dataclass(frozen=True, slots=True)
class Raised:
    """The program goes on with this exception; `kind` is the name of a builtin exception."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The program is not resumed."""

    execution: Execution


Answer: TypeAlias = Answered | Raised | Stop


class HostSide:
    """The host of one run: answers what the program asks for, and counts.

    Args:
        program: what runs.
        modules: what it may import of the host.
        limits: what it may use.
        recorded: results of its first tool calls.
        call: runs its further tool calls.
        now: the time inside.
        lending: what holds while a tool runs, such as that others may compute.
        odd: says why a result of a tool cannot be looked at by the interpreter, if it cannot.
        otherwise: returns the text of a number that the interpreter wrote otherwise than Python, if there is one.
    """

    def __init__(
        self,
        program: Program,
        modules: Mapping[str, HostModule],
        limits: Limits,
        recorded: Sequence[ToolResult],
        call: Call | None,
        now: datetime | None,
        lending: Callable[[], AbstractContextManager[None]] = nullcontext,
        odd: Callable[[Value], str | None] | None = None,
        otherwise: Callable[[Value], str | None] | None = None,
    ) -> None:
        self._tools = {tool.name: tool for tool in program.tools}
        self._modules = modules
        self._limits = limits
        self._recorded = recorded
        self._call = call
        self._now = now
        self._lending = lending
        self._odd = odd
        self._otherwise = otherwise
        self._tool_calls = 0
        self._questions = 0
        self._started = time.perf_counter()
        self._away = 0.0
        self._began = time.thread_time()
        self._computed_away = 0.0
        self._in_modules = 0.0

    @property
    def asked(self) -> bool:
        """Whether the program has asked for anything yet."""
        return self._questions > 0

    @property
    def seconds(self) -> float:
        """Seconds since the start of the run, without those spent in tools."""
        return max(0.0, time.perf_counter() - self._started - self._away)

    @property
    def computed(self) -> float:
        """Seconds of the processor that this thread spent on the run, without tools."""
        return max(0.0, time.thread_time() - self._began - self._computed_away)

    def knows(self, name: str) -> bool:
        """Tell whether a bare name is one that the host provides."""
        return name == "deopt" or name in self._tools

    def ask(self, name: str, args: Sequence[object], kwargs: Mapping[str, object]) -> Answer:
        """Answer a call of a tool, of `deopt`, or of `module.function`."""
        self._questions += 1
        if self._questions > MAX_QUESTIONS + self._limits.tool_calls:
            return Stop(Failed("limit", f"more than {MAX_QUESTIONS:,} calls of host functions"))
        if name == "deopt":
            return Stop(Failed("deopt", _reason(args, kwargs)))
        if name in self._tools:
            return self._tool(self._tools[name], args, kwargs)
        module, _, function = name.partition(".")
        if module in self._modules and function in self._modules[module].functions:
            answer = self._module_function(self._modules[module].functions[function], args, kwargs)
            # A single call may take long, and it may be the last one.
            if self._in_modules > self._limits.seconds:
                return Stop(Failed("limit", f"more than {self._limits.seconds} s in functions of {module}"))
            return answer
        return Raised("NameError", f"name {name!r} is not defined")

    def overdrawn(self, in_worker: float) -> Stop | None:
        """Return the end of a run that has used up its time on this machine, by the processor or by the clock.

        What goes to and fro is the program's: it asks, and decides how much it hands over.
        """
        most = self._limits.seconds
        if self.computed + in_worker > most or self.seconds > 2 * most + _SLACK_SECONDS:
            return Stop(Failed("limit", f"more than {most} s, with what it asks of its host"))
        return None

    def clock(self, zone: object = None) -> Answer:
        """Answer `datetime.now(zone)`."""
        if self._now is None:
            return Raised("RuntimeError", NO_CLOCK)
        return Answered(frozen_now(self._now, zone if isinstance(zone, timezone) else None))

    def today(self) -> Answer:
        """Answer `date.today()`."""
        return Raised("RuntimeError", NO_CLOCK) if self._now is None else Answered(self._now.date())

    def returned(self, value: object) -> Execution:
        """Return how a run that gave this value ends."""
        try:
            left = checked(value, self._limits.output_bytes)
            return self._badly_written(left, "the answer") or Returned(left, self.seconds)
        except TooLargeError as error:
            return Failed("limit", str(error), self.seconds)
        except NotAValueError as error:
            return Failed("value", str(error), self.seconds)

    def ended(self, execution: Execution) -> Execution:
        """Return an execution with the seconds of this run, and a reason that can be told and written down."""
        if isinstance(execution, Failed):
            reason = execution.reason
            if len(reason) > _LONGEST_REASON:
                reason = f"{reason[:MAX_REASON]}…{reason[-100:]}"
            execution = replace(execution, reason=mended(reason))
        return replace(execution, seconds=self.seconds)

    def _tool(self, tool: Tool, args: Sequence[object], kwargs: Mapping[str, object]) -> Answer:
        try:
            call = bind(tool, args, kwargs, self._limits.output_bytes)
        except TooLargeError as error:
            return Stop(Failed("limit", f"the arguments of {tool.name}: {error}"))
        except NotAValueError as error:
            return Stop(Failed("value", f"the arguments of {tool.name}: {error}"))
        except TypeError as error:
            return Raised("TypeError", str(error))
        if why := self._badly_written(call.arguments, f"the arguments of {tool.name}"):
            return Stop(why)
        self._tool_calls += 1
        if self._tool_calls > self._limits.tool_calls:
            return Stop(Failed("limit", f"more than {self._limits.tool_calls} tool calls"))
        if self._tool_calls <= len(self._recorded):
            return self._tool_answer(call, self._recorded[self._tool_calls - 1])
        if self._call is None:
            return Stop(Paused(call))
        left, computed = time.perf_counter(), time.thread_time()
        try:
            with self._lending():
                result = self._call(call)
        finally:
            self._away += time.perf_counter() - left
            self._computed_away += time.thread_time() - computed
        return self._tool_answer(call, result)

    def _badly_written(self, value: Value | Mapping[str, Value], what: str) -> Failed | None:
        number = self._otherwise(dict(value) if isinstance(value, Mapping) else value) if self._otherwise else None
        if number is None:
            return None
        reason = f"{what}: {number} is written with another last digit than Python's: round the number"
        return Failed("value", reason, self.seconds)

    def _tool_answer(self, call: ToolCall, result: ToolResult) -> Answer:
        if result.error is not None:
            return Raised("RuntimeError", mended(_cut(result.error)))
        try:
            value = plain(result.value)
            why = self._odd(value) if self._odd else None
        except NotAValueError as error:
            value, why = None, str(error)
        # The tool has acted: the program cannot go on, and whoever takes over must know what was done.
        return Stop(Failed("value", f"the result of {call.tool}: {why}")) if why else Answered(value)

    def _module_function(
        self, function: Callable[..., Value], args: Sequence[object], kwargs: Mapping[str, object]
    ) -> Answer:
        # The processor's time, not the clock's: what other threads of the host do is not the program's fault.
        began = time.thread_time()
        try:
            size = self._limits.output_bytes
            values = [checked(item, size) for item in args]
            named = {key: checked(item, size) for key, item in kwargs.items()}
            return Answered(plain(function(*values, **named)))
        except Exception as error:  # whatever the function raises is the program's to handle
            return Raised(builtin_kind(error), _cut(_message(error)))
        finally:
            self._in_modules += time.thread_time() - began


def bind(tool: Tool, args: Sequence[object], kwargs: Mapping[str, object], max_bytes: int) -> ToolCall:
    """Return the call with all its arguments by name.

    Raises:
        TypeError: too many, unknown or missing arguments.
        TooLargeError: one is larger than its limit.
        NotAValueError: one is no `Value`.
    """
    names = tool.argument_names
    if len(args) > len(names):
        raise TypeError(f"{tool.name}() takes {len(names)} positional arguments but {len(args)} were given")
    arguments: dict[str, Value] = {}
    for name, value in [*zip(names, args, strict=False), *kwargs.items()]:
        if name in arguments:
            raise TypeError(f"{tool.name}() got multiple values for argument {name!r}")
        if tool.undeclared([name]):
            raise TypeError(f"{tool.name}() got an unexpected argument {name!r}; it takes ({', '.join(names)})")
        arguments[name] = checked(value, max_bytes)
    required = tool.parameters.get("required")
    for name in required if isinstance(required, list) else ():
        if name not in arguments:
            raise TypeError(f"{tool.name}() misses its argument {name!r}")
    return ToolCall(tool.name, arguments)


def frozen_now(now: datetime, zone: timezone | None) -> datetime:
    """Return what `datetime.now(zone)` is where the clock stands still at `now`; a naive `now` counts as UTC."""
    if zone is None:
        return now.replace(tzinfo=None)
    return (now if now.tzinfo else now.replace(tzinfo=UTC)).astimezone(zone)


def builtin_kind(error: BaseException) -> str:
    """Return the name of the nearest builtin class of an exception; ours of no such kind are RuntimeErrors."""
    for kind in type(error).__mro__:
        if kind.__module__ == "builtins" and kind.__name__ in _KINDS and getattr(builtins, kind.__name__, None) is kind:
            return kind.__name__
    return "RuntimeError"


_KINDS: Final = frozenset(
    {"ValueError", "TypeError", "KeyError", "IndexError", "LookupError", "AttributeError", "NotImplementedError"}
    | {"ZeroDivisionError", "OverflowError", "ArithmeticError"}
)


def given(arguments: Mapping[str, Value]) -> dict[str, Value] | Failed:
    """Return the arguments of a program as they enter a sandbox, or why they cannot."""
    try:
        return {name: plain(value) for name, value in arguments.items()}
    except NotAValueError as error:
        return Failed("value", f"the arguments of the program: {error}")


def _reason(args: Sequence[object], kwargs: Mapping[str, object]) -> str:
    given = args[0] if args else kwargs.get("reason", NO_REASON)
    if isinstance(given, str):
        return _cut(given)
    try:
        # Measured before it is written down: what shares its parts is small in memory, and endless on paper.
        return _cut(str(checked(given, MAX_REASON)))
    except NotAValueError as error:
        return f"a reason that cannot be told: {error}"


def _message(error: BaseException) -> str:
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)


def _cut(text: str) -> str:
    if not text.strip():
        return NO_REASON
    return text if len(text) <= MAX_REASON else text[:MAX_REASON] + "…"
