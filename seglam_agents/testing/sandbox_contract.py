"""`SandboxContract`: what every sandbox must do. Inherit from it in a test module and give it the fixture `sandbox`.

```python
class TestMySandbox(SandboxContract):
    @pytest.fixture
    def sandbox(self) -> Iterator[Sandbox]:
        sandbox = MySandbox(modules=[CONTRACT_MODULE])
        yield sandbox
        sandbox.close()
```
"""

# ruff: noqa: S101  # these are tests
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final

from seglam_agents.records.tools import Tool
from seglam_agents.records.values import Money, Quantity, Value
from seglam_agents.sandboxes.base import (
    Execution,
    Failed,
    HostModule,
    Limits,
    Paused,
    Program,
    Returned,
    Sandbox,
    ToolCall,
    ToolResult,
)
from seglam_agents.testing.sandbox_programs import CORNERS, PROGRAMS
from seglam_agents.testing.with_pytest import pytest

NOW: Final = datetime(2024, 2, 29, 13, 45, 10)
QUICK: Final = Limits(seconds=0.3)
WEATHER: Final = Tool(
    name="weather",
    parameters={"properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]},
    effect="read",
)
VALUES: Final[Sequence[Value]] = (
    None,
    True,
    False,
    0,
    -7,
    2**200,
    0.1,
    -0.0,
    1e300,
    math.inf,
    "",
    "naïve ✓ 你好 \U0001f600 \x00 \n",
    date(2024, 2, 29),
    time(23, 59, 58, 123456),
    datetime(2024, 2, 29, 1, 2, 3, 4),
    datetime(2024, 2, 29, tzinfo=UTC),
    datetime(2024, 2, 29, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
    timedelta(days=-1, seconds=5, microseconds=7),
    timedelta(days=100_000, microseconds=1),
    timedelta(days=-99_999, seconds=1, microseconds=999_999),
    timedelta.max,
    timedelta.min,
    Money(84.5, "USD"),
    Quantity(32, "foot"),
    [],
    {},
    [1, [2, [3]], {"a": [None]}],
    {"total": Money(1.25, "EUR"), "when": [date(2020, 1, 1)], "ok": True},
)


def _parse(text: str, *, kind: str = "number") -> Value:
    if kind != "number":
        raise LookupError(f"no slot type {kind}")
    return float(text.replace(",", ""))


CONTRACT_MODULE: Final = HostModule("slots", {"parse": _parse, "Money": Money})


class SandboxContract:
    """The tests that every sandbox passes."""

    crowd = 160
    """How many runs compete in the test of threads; fewer where each takes long."""

    @pytest.fixture
    def sandbox(self) -> Sandbox:
        """Return the sandbox under test, which has `CONTRACT_MODULE`."""
        raise NotImplementedError

    @pytest.mark.parametrize("value", VALUES, ids=repr)
    def test_values_cross_both_ways(self, sandbox: Sandbox, value: Value) -> None:
        """What enters a program and is returned is the same, and of the same type."""
        result = returned(sandbox.run(Program("def run(x): return x"), {"x": value}))
        assert result == value
        assert type(result) is type(value)
        assert repr(result) == repr(value)

    def test_not_a_number_crosses(self, sandbox: Sandbox) -> None:
        """NaN crosses, although it equals nothing."""
        result = returned(sandbox.run(Program("def run(x): return [x]"), {"x": math.nan}))
        assert isinstance(result, list) and isinstance(result[0], float) and math.isnan(result[0])

    def test_values_cross_to_tools_and_back(self, sandbox: Sandbox) -> None:
        """A tool receives and gives every value unchanged."""
        seen: list[Value] = []

        def call(asked: ToolCall) -> ToolResult:
            seen.append(asked.arguments["x"])
            return ToolResult(asked.arguments["x"])

        echo = Tool(name="echo", parameters={"properties": {"x": {}}})
        program = Program("def run(xs): return [echo(x) for x in xs]", tools=(echo,))
        assert returned(sandbox.run(program, {"xs": VALUES}, call=call)) == list(VALUES)
        assert seen == list(VALUES)

    def test_named_tuples_have_attributes(self, sandbox: Sandbox) -> None:
        """Money and quantities are read by the names of their parts."""
        source = "def run(m, q): return [m.amount * 2, m.currency, q.value, q.unit, m[0]]"
        result = sandbox.run(Program(source), {"m": Money(1.5, "USD"), "q": Quantity(3, "kg")})
        assert returned(result) == [3.0, "USD", 3, "kg", 1.5]

    @pytest.mark.parametrize(
        "expression", ["{1, 2}", "(lambda: 1)", "b'x'", "1j", "{1: 2}", "[len]", "...", "10 ** 5000", "Thing()"]
    )
    def test_what_is_no_value_is_refused(self, sandbox: Sandbox, expression: str) -> None:
        """A program that returns something else than a value fails as `value`."""
        source = f"class Thing:\n    pass\ndef run(): return {expression}"
        assert failed(sandbox.run(Program(source), {})).kind == "value"

    def test_a_list_within_itself_is_refused(self, sandbox: Sandbox) -> None:
        """A value that contains itself fails as `value`, in bounded time."""
        source = "def run():\n    x = []\n    x.append(x)\n    return x"
        assert failed(sandbox.run(Program(source), {})).kind == "value"

    @pytest.mark.parametrize("source", PROGRAMS)
    def test_computes_what_python_computes(self, sandbox: Sandbox, source: str) -> None:
        """The program gives what it gives in this interpreter, and the look finds nothing to object to."""
        program = Program(source)
        assert list(sandbox.check(program)) == []
        assert repr(returned(sandbox.run(program, {}))) == repr(here(source))

    @pytest.mark.parametrize("source", CORNERS)
    def test_gives_what_python_gives_or_nothing(self, sandbox: Sandbox, source: str) -> None:
        """What the look accepts gives what it gives in this interpreter; what it refuses gives nothing else."""
        program = Program(source)
        accepted = not sandbox.check(program)
        execution = sandbox.run(program, {})
        if accepted or isinstance(execution, Returned):
            assert repr(returned(execution)) == repr(here(source))

    def test_pauses_at_a_tool(self, sandbox: Sandbox) -> None:
        """Without a recorded result and without `call`, the run stops at the tool."""
        execution = sandbox.run(Program("def run(): return weather('Oslo', days=2)", tools=(WEATHER,)), {})
        assert isinstance(execution, Paused)
        assert execution.call == ToolCall("weather", {"city": "Oslo", "days": 2})

    def test_replays_recorded_results(self, sandbox: Sandbox) -> None:
        """Recorded results come first and in order; then `call` is asked, and only then."""
        source = "def run(): return [weather(c) for c in ('a', 'b', 'c')]"
        asked: list[Value] = []

        def call(tool_call: ToolCall) -> ToolResult:
            asked.append(tool_call.arguments["city"])
            return ToolResult("called")

        program = Program(source, tools=(WEATHER,))
        recorded = [ToolResult(1), ToolResult({"t": 2})]
        assert returned(sandbox.run(program, {}, recorded=recorded, call=call)) == [1, {"t": 2}, "called"]
        assert asked == ["c"]
        paused = sandbox.run(program, {}, recorded=recorded)
        assert isinstance(paused, Paused) and paused.call.arguments == {"city": "c"}

    def test_tool_errors_are_runtime_errors(self, sandbox: Sandbox) -> None:
        """A failed tool raises RuntimeError with its message, which the program may handle or not."""
        source = (
            "def run():\n    try:\n        return weather('x')\n    except RuntimeError as e:\n        return str(e)"
        )
        error = [ToolResult(error="no such city")]
        handled = sandbox.run(Program(source, tools=(WEATHER,)), {}, recorded=error)
        assert returned(handled) == "no such city"
        unhandled = sandbox.run(Program("def run(): return weather('x')", tools=(WEATHER,)), {}, recorded=error)
        assert failed(unhandled).kind == "error" and "no such city" in failed(unhandled).reason

    @pytest.mark.parametrize("call", ["weather()", "weather('a', 1, 2)", "weather(town='a')", "weather('a', city='b')"])
    def test_wrong_tool_arguments_are_errors_inside(self, sandbox: Sandbox, call: str) -> None:
        """Missing, extra, unknown and doubled arguments raise TypeError, and the tool is not called."""
        source = f"def run():\n    try:\n        return {call}\n    except TypeError:\n        return 'refused'"
        program = Program(source, tools=(WEATHER,))
        assert returned(sandbox.run(program, {}, call=lambda _: ToolResult("called"))) == "refused"

    def test_positional_arguments_get_their_names(self, sandbox: Sandbox) -> None:
        """Positional arguments follow the order of the tool's properties, also where the tool is used as a value."""
        source = "def run():\n    f = weather\n    return f('Rome', 3)"
        execution = sandbox.run(Program(source, tools=(WEATHER,)), {})
        assert isinstance(execution, Paused)
        assert execution.call.arguments == {"city": "Rome", "days": 3}

    def test_undeclared_names_do_not_exist(self, sandbox: Sandbox) -> None:
        """A tool that the program does not declare cannot be called."""
        execution = sandbox.run(Program("def run(): return weather('x')"), {}, call=lambda _: ToolResult("called"))
        assert failed(execution).kind == "error" and "weather" in failed(execution).reason

    def test_exceptions_of_call_reach_the_caller(self, sandbox: Sandbox) -> None:
        """What `call` raises is the host's own, and the sandbox works on afterwards."""

        def call(_: ToolCall) -> ToolResult:
            raise ConnectionError("host")

        with pytest.raises(ConnectionError):
            sandbox.run(Program("def run(): return weather('x')", tools=(WEATHER,)), {}, call=call)
        assert_alive(sandbox)

    def test_deopt_ends_the_run(self, sandbox: Sandbox) -> None:
        """No handler in the program catches a deopt, and no `finally` runs after it."""
        source = (
            "def run():\n    try:\n        deopt('too hard')\n    except BaseException:\n        return 1\n"
            "    finally:\n        weather('x')\n    return 2"
        )
        execution = failed(sandbox.run(Program(source, tools=(WEATHER,)), {}))
        assert (execution.kind, execution.reason) == ("deopt", "too hard")

    @pytest.mark.parametrize("reason", ["''", "' \\n'", "reason=''", ""])
    def test_a_deopt_has_a_reason(self, sandbox: Sandbox, reason: str) -> None:
        """Whoever reads of it is told that none was given."""
        execution = failed(sandbox.run(Program(f"def run(): deopt({reason})"), {}))
        assert (execution.kind, execution.reason) == ("deopt", "no reason given")

    def test_host_modules_are_importable(self, sandbox: Sandbox) -> None:
        """Both forms of import work, with positional and named arguments, and values of the module's own."""
        source = (
            "import slots\nfrom slots import parse\nZERO = parse('0')\n"
            "def run(): return [parse('1,020'), slots.parse('2', kind='number'), slots.Money(3, 'USD'), ZERO]"
        )
        program = Program(source)
        assert list(sandbox.check(program)) == []
        assert returned(sandbox.run(program, {})) == [1020.0, 2.0, Money(3, "USD"), 0.0]

    def test_host_module_errors_keep_their_class(self, sandbox: Sandbox) -> None:
        """Builtin exceptions of a host function arrive as such."""
        source = (
            "from slots import parse\ndef run():\n    found = []\n    for args in (['x'], ['1', 'y']):\n        try:\n"
            "            parse(args[0], kind=args[1] if len(args) > 1 else 'number')\n"
            "        except ValueError as e:\n            found.append('value')\n"
            "        except LookupError as e:\n            found.append(str(e))\n    return found"
        )
        assert returned(sandbox.run(Program(source), {})) == ["value", "no slot type y"]

    @pytest.mark.parametrize("source", ["def run(:\n", "def run():\nreturn 1", "x = '", "def run(): return 1 +"])
    def test_syntax_errors_are_found(self, sandbox: Sandbox, source: str) -> None:
        """What is no Python is reported by `check`, and fails as `syntax` when run."""
        assert len(sandbox.check(Program(source))) == 1
        assert failed(sandbox.run(Program(source), {})).kind == "syntax"

    def test_check_does_not_run(self, sandbox: Sandbox) -> None:
        """A program that would never end is checked all the same."""
        assert list(sandbox.check(Program("def run():\n    return 1\nwhile True:\n    pass\n"))) == []

    def test_program_errors_name_their_line(self, sandbox: Sandbox) -> None:
        """An exception that nobody handles is an `error` with class, message and line."""
        execution = failed(sandbox.run(Program("def run(x):\n    y = 1\n    return y / x"), {"x": 0}))
        assert execution.kind == "error"
        assert "ZeroDivisionError" in execution.reason and "line 3" in execution.reason

    @pytest.mark.parametrize("source", ["def other(): return 1", "run = 3", "def run(x): return 1"])
    def test_an_entry_that_cannot_be_called_is_an_error(self, sandbox: Sandbox, source: str) -> None:
        """A missing function, something else of that name, and wrong arguments are errors of the program."""
        assert failed(sandbox.run(Program(source), {})).kind == "error"

    @pytest.mark.parametrize("ending", ["SystemExit(1)", "KeyboardInterrupt()", "BaseException('x')"])
    def test_exits_are_errors(self, sandbox: Sandbox, ending: str) -> None:
        """A program that wants the interpreter to exit has failed; the host goes on."""
        assert failed(sandbox.run(Program(f"def run():\n    raise {ending}"), {})).kind == "error"
        assert_alive(sandbox)

    @pytest.mark.parametrize(
        "body",
        [
            "while True:\n        pass",
            "while True:\n        try:\n            while True:\n                pass\n        except BaseException:\n"
            "            pass",
            "return sum(i * i for i in range(10 ** 12))",
        ],
    )
    def test_time_is_limited(self, sandbox: Sandbox, body: str) -> None:
        """An endless loop ends at the limit, whatever it catches."""
        assert failed(sandbox.run(Program(f"def run():\n    {body}"), {}, limits=QUICK)).kind == "limit"
        assert_alive(sandbox)

    def test_asking_the_host_uses_up_the_time(self, sandbox: Sandbox) -> None:
        """A program that does nothing but ask, and catches what it is told, is ended by a limit."""
        source = (
            "from slots import parse\ndef run():\n    while True:\n        try:\n            parse('1' * 100000)\n"
            "        except Exception:\n            pass"
        )
        assert failed(sandbox.run(Program(source), {}, limits=QUICK)).kind == "limit"
        assert_alive(sandbox)

    def test_endless_module_level_is_limited(self, sandbox: Sandbox) -> None:
        """The limit of time holds for the module level too."""
        assert failed(sandbox.run(Program("while True: pass\ndef run(): pass"), {}, limits=QUICK)).kind == "limit"
        assert_alive(sandbox)

    @pytest.mark.parametrize(
        "body",
        [
            "return len('x' * 10 ** 10)",
            "xs = []\n    while True:\n        xs.append('x' * 10000)",
            "return len([0] * 10 ** 10)",
            "d = {}\n    i = 0\n    while True:\n        d[i] = [i] * 100\n        i += 1",
            "s = 'xxxxxxxx'\n    while True:\n        s = s + s",
            "return f'{1:>{10 ** 10}}'",
        ],
    )
    def test_memory_is_limited(self, sandbox: Sandbox, body: str) -> None:
        """A program that wants more memory than it may have ends, and the next one runs."""
        limits = Limits(seconds=20, memory_bytes=32 * 2**20)
        assert failed(sandbox.run(Program(f"def run():\n    {body}"), {}, limits=limits)).kind == "limit"
        assert_alive(sandbox)

    def test_recursion_is_limited(self, sandbox: Sandbox) -> None:
        """The limit of depth is the one asked for, not that of the interpreter."""
        source = "def down(n): return 0 if n == 0 else 1 + down(n - 1)\ndef run(n): return down(n)"
        limits = Limits(recursion_depth=50)
        assert returned(sandbox.run(Program(source), {"n": 30}, limits=limits)) == 30
        assert failed(sandbox.run(Program(source), {"n": 80}, limits=limits)).kind == "limit"
        assert returned(sandbox.run(Program(source), {"n": 150})) == 150

    def test_tool_calls_are_limited(self, sandbox: Sandbox) -> None:
        """A program cannot call tools for ever, not even by catching what it gets."""
        source = (
            "def run():\n    while True:\n        try:\n            weather('x')\n        except BaseException:\n"
            "            pass"
        )
        calls: list[ToolCall] = []

        def call(tool_call: ToolCall) -> ToolResult:
            calls.append(tool_call)
            return ToolResult(1)

        limits = Limits(seconds=10, tool_calls=5)
        execution = sandbox.run(Program(source, tools=(WEATHER,)), {}, call=call, limits=limits)
        assert failed(execution).kind == "limit"
        assert len(calls) == 5

    @pytest.mark.parametrize(
        "expression",
        ["'x' * 60_000", "list(range(60_000))", "{str(i): i for i in range(20_000)}", "['é' * 40_000]"],
    )
    def test_output_is_limited(self, sandbox: Sandbox, expression: str) -> None:
        """A value larger than its limit is a `limit`, and the same fits where more is allowed."""
        program = Program(f"def run(): return {expression}")
        assert failed(sandbox.run(program, {}, limits=Limits(seconds=20, output_bytes=50_000))).kind == "limit"
        assert isinstance(sandbox.run(program, {}, limits=Limits(seconds=20, output_bytes=1_000_000)), Returned)

    def test_output_that_is_small_in_memory_is_limited(self, sandbox: Sandbox) -> None:
        """A list that holds itself a thousand million times over is refused without being written out."""
        source = "def run():\n    x = [0] * 10\n    for _ in range(12):\n        x = [x] * 10\n    return x"
        assert failed(sandbox.run(Program(source), {}, limits=Limits(seconds=5))).kind == "limit"
        assert_alive(sandbox)

    @pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){12}$"])
    def test_bad_patterns_do_no_harm(self, sandbox: Sandbox, pattern: str) -> None:
        """A pattern that backtracks for ever is matched in linear time, or ended by the limit."""
        source = f"import re\ndef run(): return re.search({pattern!r}, 'a' * 40 + '!') is None"
        execution = sandbox.run(Program(source), {}, limits=QUICK)
        assert (isinstance(execution, Returned) and execution.value is True) or failed(execution).kind == "limit"
        assert_alive(sandbox)

    def test_no_state_survives_a_run(self, sandbox: Sandbox) -> None:
        """Neither globals nor changed modules nor poisoned builtins are visible to the next run of the same program."""
        source = (
            "import json, math\nseen = []\ncache = {}\n"
            "def run(x):\n    global total\n    seen.append(x)\n    cache[x] = True\n    total = x\n"
            "    return [seen, sorted(cache), len('abc')]"
        )
        for turn in range(6):
            assert returned(sandbox.run(Program(source), {"x": turn})) == [[turn], [turn], 3]
        assert failed(sandbox.run(Program("def run(): return total"), {})).kind == "error"

    @pytest.mark.parametrize(
        "poison",
        [
            "import math\nmath.sqrt = lambda x: 666",
            "import json\njson.dumps = lambda x: 666",
            "__builtins__['len'] = lambda x: 666",
            "import builtins\nbuiltins.len = lambda x: 666",
            "len = lambda x: 666",
            "import slots\nslots.parse = lambda x: 666",
        ],
    )
    def test_poison_does_not_spread(self, sandbox: Sandbox, poison: str) -> None:
        """Whatever a program does to modules and builtins, the next one finds them as they were."""
        sandbox.run(Program(f"{poison}\ndef run(): return 1"), {})
        honest = (
            "import math, json, slots\ndef run(): return [math.sqrt(4), json.dumps(1), len('ab'), slots.parse('7')]"
        )
        assert returned(sandbox.run(Program(honest), {})) == [2.0, "1", 2, 7.0]

    def test_arguments_do_not_survive_a_run(self, sandbox: Sandbox) -> None:
        """The arguments of one run cannot be read by the next."""
        sandbox.run(Program("def run(secret): return 1"), {"secret": "s3cret"})
        for name in ("secret", "_arguments_", "arguments"):
            assert "s3cret" not in repr(sandbox.run(Program(f"def run(): return {name}"), {}))

    def test_arguments_are_copies(self, sandbox: Sandbox) -> None:
        """What a program does to its arguments does not reach the host's."""
        ours: list[Value] = [1, 2]
        assert returned(sandbox.run(Program("def run(x):\n    x.append(3)\n    return x"), {"x": ours})) == [1, 2, 3]
        assert ours == [1, 2]

    def test_the_clock_stands_still(self, sandbox: Sandbox) -> None:
        """Every way of asking for the time gives `now`."""
        source = (
            "from datetime import date, datetime, timedelta, timezone\ndef run():\n"
            "    zone = timezone(timedelta(hours=2))\n"
            "    return [datetime.now(), date.today(), datetime.now(zone), datetime.now(timezone.utc)]"
        )
        moment = NOW.replace(tzinfo=UTC)
        zoned = moment.astimezone(timezone(timedelta(hours=2)))
        for now in (NOW, moment):
            result = returned(sandbox.run(Program(source), {}, now=now))
            assert result == [NOW, NOW.date(), zoned, moment]

    @pytest.mark.parametrize("expression", ["datetime.now()", "date.today()", "datetime.now(timezone.utc)"])
    def test_there_is_no_clock_unless_given(self, sandbox: Sandbox, expression: str) -> None:
        """Reading the clock fails where the host gave no `now`."""
        source = f"from datetime import date, datetime, timezone\ndef run(): return {expression}"
        assert failed(sandbox.run(Program(source), {})).kind == "error"
        assert sandbox.check(Program(source))

    @pytest.mark.parametrize(
        "expression",
        ["random.random()", "random.randint(1, 9)", "uuid.uuid4().hex", "os.urandom(3).hex()", "secrets.token_hex()"],
    )
    def test_there_is_no_randomness(self, sandbox: Sandbox, expression: str) -> None:
        """Nothing that differs from run to run can be read, and the look says so."""
        source = f"import {expression.partition('.')[0]}\ndef run(): return {expression}"
        assert failed(sandbox.run(Program(source), {})).kind == "error"
        assert sandbox.check(Program(source))

    def test_the_same_run_gives_the_same(self, sandbox: Sandbox) -> None:
        """Also the order of a set is the same in every run."""
        source = "def run(): return [list({'pear', 'fig', 'plum', 'date', 'lime'}), list({3, 99, -4, 2 ** 70})]"
        first = returned(sandbox.run(Program(source), {}))
        assert all(returned(sandbox.run(Program(source), {})) == first for _ in range(5))

    def test_many_threads_do_not_mix_results(self, sandbox: Sandbox) -> None:
        """Runs of several threads, with tools, get their own arguments, results and failures."""
        source = "def run(x):\n    if x % 10 == 0:\n        deopt(str(x))\n    return [x, weather(str(x))]"
        program = Program(source, tools=(WEATHER,))

        def one(number: int) -> bool:
            execution = sandbox.run(
                program,
                {"x": number},
                call=lambda asked: ToolResult(asked.arguments["city"]),
                limits=Limits(seconds=30),
            )
            if number % 10 == 0:
                return failed(execution).reason == str(number)
            return returned(execution) == [number, str(number)]

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(one, range(self.crowd)))

    def test_a_waiting_tool_does_not_use_up_the_time(self, sandbox: Sandbox) -> None:
        """The time that a tool takes is not the program's."""

        def call(_: ToolCall) -> ToolResult:
            nested = sandbox.run(Program("def run():\n    while True: pass"), {}, limits=QUICK)
            return ToolResult(failed(nested).kind)

        program = Program("def run(): return [weather('a'), weather('b')]", tools=(WEATHER,))
        assert returned(sandbox.run(program, {}, call=call, limits=Limits(seconds=0.25))) == ["limit", "limit"]

    def test_printing_is_dropped(self, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
        """What a program prints reaches neither the host's output nor its own result."""
        assert returned(sandbox.run(Program("def run():\n    print('hello')\n    return 1"), {})) == 1
        assert "hello" not in "".join(capfd.readouterr())

    def test_seconds_are_reported(self, sandbox: Sandbox) -> None:
        """Every execution says how long the interpreter took."""
        assert returned_whole(sandbox.run(Program("def run(): return 1"), {})).seconds > 0

    def test_closing_twice_and_going_on(self, sandbox: Sandbox) -> None:
        """A closed sandbox may be closed again, and starts anew at its next run."""
        sandbox.close()
        sandbox.close()
        assert_alive(sandbox)

    def test_closing_in_a_run_raises_nothing(self, sandbox: Sandbox) -> None:
        """A run whose sandbox is closed under it ends well or says so; it writes once, and the next run works."""
        calls: list[Value] = []

        def call(asked: ToolCall) -> ToolResult:
            calls.append(asked.arguments["city"])
            sandbox.close()
            return ToolResult("ok")

        program = Program("def run(x): return [x, weather(x)]", tools=(WEATHER,))
        execution = sandbox.run(program, {"x": "Oslo"}, call=call)
        assert isinstance(execution, Returned) or failed(execution).kind == "unavailable"
        assert calls == ["Oslo"]
        assert_alive(sandbox)

    def test_closing_beside_runs_raises_nothing(self, sandbox: Sandbox) -> None:
        """Runs of other threads get the right value, or a failure that is none of theirs."""
        program = Program("def run(x): return x")

        def one(number: int) -> Execution:
            if number % 4 == 0:
                sandbox.close()
            return sandbox.run(program, {"x": number}, limits=Limits(seconds=10))

        with ThreadPoolExecutor(4) as pool:
            for number, execution in enumerate(pool.map(one, range(16))):
                if isinstance(execution, Returned):
                    assert execution.value == number
                else:
                    assert failed(execution).kind in ("crash", "unavailable")
        assert_alive(sandbox)

    def test_is_a_sandbox(self, sandbox: Sandbox) -> None:
        """The protocol's members are all there."""
        assert isinstance(sandbox, Sandbox)
        assert sandbox.name


def returned(execution: Execution) -> Value:
    """Return the value of a run that must have ended well."""
    return returned_whole(execution).value


def returned_whole(execution: Execution) -> Returned:
    """Return a run that must have ended well."""
    assert isinstance(execution, Returned), execution
    return execution


def failed(execution: Execution) -> Failed:
    """Return the failure of a run that must have failed."""
    assert isinstance(execution, Failed), execution
    return execution


def assert_alive(sandbox: Sandbox) -> None:
    """Assert that the next run works."""
    assert returned(sandbox.run(Program("def run(x): return x + 1"), {"x": 1})) == 2


def here(source: str, arguments: Mapping[str, Value] | None = None) -> Value:
    """Return what the program gives in this interpreter, with tuples as lists."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    exec(source, namespace)  # noqa: S102  # a program of this package's own tests
    entry = namespace["run"]
    assert callable(entry)
    return _listed(entry(**(arguments or {})))


def _listed(value: object) -> Value:
    if isinstance(value, (list, tuple)):
        return [_listed(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _listed(item) for key, item in value.items()}
    return value  # pyright: ignore[reportReturnType]  # of a test program
