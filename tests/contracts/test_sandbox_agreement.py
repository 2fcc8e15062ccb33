"""Where the sandboxes could come to differ: what acts lazily, what is exchanged, dates, and names of tools."""

# ruff: noqa: E501  # one program a line

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial
from typing import cast

import pytest

from seglam_agents.records.errors import SandboxError
from seglam_agents.records.tools import Tool
from seglam_agents.records.values import Value
from seglam_agents.sandboxes.base import Limits, Program, Returned, Sandbox, ToolCall, ToolResult
from seglam_agents.sandboxes.dialect import look
from seglam_agents.sandboxes.e2b import E2BSandbox
from seglam_agents.sandboxes.process import ProcessSandbox
from seglam_agents.testing.e2b_server import E2BServer
from seglam_agents.testing.sandbox_contract import assert_alive, failed, returned

PAY = Tool(name="pay", parameters={"properties": {"x": {}}}, effect="write")


@pytest.fixture(scope="module")
def e2b() -> Iterator[Sandbox]:
    server = E2BServer()
    server.start()
    sandbox = E2BSandbox(api_key=server.api_key, api_url=server.url, sandbox_url=server.url)
    yield sandbox
    sandbox.close()
    server.stop()


@pytest.fixture(params=["monty", "process", "e2b"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Each of the three in turn."""
    return request.getfixturevalue(request.param)


LAZY = {
    "any": "return any(pay(x) == 7 for x in [1, 2])",
    "unused": "later = (pay(x) for x in [1, 2])\n    return 0",
    "loop": "for r in (pay(x) for x in [1, 2]):\n        return r",
    "condition": "return sum(x for x in [1, 2] if pay(x))",
    "second loop": "return sum(y for x in [1, 2] for y in [pay(x)])",
    "by name": "f = pay\n    return any(f(x) for x in [1, 2])",
    "by lambda": "f = lambda x: pay(x)\n    return any(f(x) for x in [1, 2])",
    "by function": "def f(x):\n        return pay(x)\n    return any(f(x) for x in [1, 2])",
    "by two functions": "def f(x):\n        return pay(x)\n    def g(x):\n        return f(x)\n    return any(g(x) for x in [1])",
    "by parameter": "def f(g):\n        return any(g(x) for x in [1, 2])\n    return f(pay)",
    "by default": "def f(g=pay):\n        return any(g(x) for x in [1, 2])\n    return f()",
    "by copy": "import copy\n    f = copy.copy(pay)\n    return any(f(x) for x in [1, 2])",
    "by list": "return any(f(1) for f in [pay, pay])",
    "by dict": "d = {}\n    d['p'] = pay\n    return any(d['p'](x) for x in [1, 2])",
    "by append": "fs = []\n    fs.append(pay)\n    return any(f(1) for f in fs)",
    "by maker": "def make():\n        return lambda x: pay(x)\n    f = make()\n    return any(f(x) for x in [1, 2])",
    "by partial": "import functools\n    f = functools.partial(pay, 1)\n    return any(f() for x in [1, 2])",
    "by method": "class C:\n        def go(self, x):\n            return pay(x)\n    c = C()\n    return any(c.go(x) for x in [1])",
    "by call": "class C:\n        def __call__(self, x):\n            return pay(x)\n    c = C()\n    return any(c(x) for x in [1])",
    "by text": "class C:\n        def __str__(self):\n            return pay(1)\n    return str(C())",
    "map": "return [x for x in map(pay, [1, 2])]",
    "map of lambda": "for x in map(lambda x: pay(x), [1, 2]):\n        return x",
    "filter": "for x in filter(pay, [1, 2]):\n        return x",
    "key": "return sorted([2, 1], key=pay)",
    "sort": "x = [2, 1]\n    x.sort(key=lambda y: pay(y))\n    return x",
    "starmap": "import itertools\n    for k in itertools.starmap(pay, [(1,), (2,)]):\n        return k",
    "factory": "from collections import defaultdict\n    return defaultdict(lambda: pay(1))['a']",
    "until": "for x in iter(lambda: pay(1), 7):\n        return x",
    "counting": "n = [0]\n    def f(x):\n        n[0] += 1\n        return x > 1\n    r = any(f(x) for x in [1, 2, 3])\n    return pay(n[0])",
    "witness": "r = any((y := x) > 1 for x in [1, 2, 3])\n    return pay(y)",
    "consumed": "it = iter([0, 1, 2])\n    r = any(next(it) for x in [1, 2, 3])\n    return pay(list(it))",
    "remembered": "seen = []\n    r = all(seen.append(x) for x in [1, 2])\n    return pay(seen)",
    "late": "k = 1\n    g = (x * k for x in [1, 2])\n    k = 10\n    return pay(sum(g))",
    "twice": "m = map(str, [1, 2])\n    a = list(m)\n    return pay(len(list(m)))",
    "returned": "return (x for x in [1, 2])",
    "passed": "return pay(x for x in [1, 2])",
    "listed": "return [zip([1], [2])]",
    "growing": "x = [1]\n    for a, b in zip(x, x):\n        pay(a)\n        if len(x) < 3:\n            x.append(2)\n    return 0",
    "ahead": "x = [1, 2]\n    for i, a in enumerate(x):\n        x[1] = 9\n        pay(a)\n    return 0",
}


@pytest.mark.parametrize("body", LAZY.values(), ids=LAZY)
def test_what_counts_on_laziness_is_refused(monty: Sandbox, body: str) -> None:
    """Monty is not lazy: what would act more often there is refused by the look, and by a run that nobody looked at."""
    program = Program(f"def run():\n    {body}", tools=(PAY,))
    assert monty.check(program)
    calls: list[ToolCall] = []
    execution = monty.run(program, {}, call=lambda asked: _noted(calls, asked))
    assert failed(execution).kind == "syntax" and "line" in failed(execution).reason
    assert calls == []


EAGER = (
    "return any(x > 1 for x in pay([1, 2]))",
    "return [pay(x) for x in [1, 2]]",
    "xs = [pay(x) for x in [1, 2]]\n    return sum(x * 2 for x in xs if x)",
    "r = pay(1)\n    return sum(r * x for x in [1, 2])",
    "for x in [3, 4]:\n        if pay(x) == 7:\n            return x",
    "for i, x in enumerate([1, 2]):\n        pay(x + i)\n    return 0",
    "xs = [1, 2]\n    for i, x in enumerate(xs):\n        xs[i] = pay(x)\n    return xs",
    "done = []\n    for a, b in zip([1, 2], [3, 4]):\n        done.append(pay(a + b))\n    return done",
    "def f(x):\n        return pay(x)\n    return [f(x) for x in map(int, '12')]",
    "total = {}\n    for k, v in sorted({'a': 1}.items()):\n        total[k] = pay(v)\n    return total",
    "import functools\n    return functools.reduce(lambda a, b: pay(a + b), [1, 2, 3])",
    "xs = sorted([2, 1], key=lambda x: -x)\n    return pay(max(x for x in xs))",
    "return {k: v for k, v in zip('ab', [pay(1), pay(2)])}",
)


@pytest.mark.parametrize("body", EAGER)
def test_what_acts_in_order_is_accepted(monty: Sandbox, process: Sandbox, body: str) -> None:
    """Loops and lists act as often, and in the order, in Monty as in Python, and the look has no objection."""
    program = Program(f"def run():\n    {body}", tools=(PAY,))
    assert list(monty.check(program)) == []
    seen: list[tuple[Value, list[ToolCall]]] = []
    for box in (monty, process):
        calls: list[ToolCall] = []
        seen.append((returned(box.run(program, {}, call=partial(_noted, calls))), calls))
    assert seen[0] == seen[1]
    assert seen[0][1]


NO_VALUES = (
    "{'a': 1}.keys()",
    "{'a': 1}.values()",
    "{'a': 1}.items()",
    "range(3)",
    "re.search('a', 'cat')",
    "re.compile('a')",
    "re",
    "iter([1])",
    "slice(1)",
    "deque([1])",
    "timezone.utc",
    "(lambda: 1)",
    "len",
    "pay",
    "int",
    "{1, 2}",
    "Decimal(1)",
    "b'a'",
    "1j",
    "...",
    "ValueError('x')",
    "{1: 2}",
    "{'$date': '2024-01-01'}",
    "10 ** 4400",
    "Thing()",
)
IMPORTS = "import re\nfrom collections import deque\nfrom datetime import timezone\nfrom decimal import Decimal\n"


@pytest.mark.parametrize("place", ["{}", "[{}]", "{{'k': [{}]}}"])
@pytest.mark.parametrize("expression", NO_VALUES)
def test_what_is_no_value_leaves_no_sandbox(sandbox: Sandbox, expression: str, place: str) -> None:
    """It is neither returned nor given to a tool, as a text that stands for it or otherwise, whatever is caught."""
    value = place.format(expression)
    head = f"{IMPORTS}class Thing:\n    pass\n"
    program = Program(f"{head}def run(): return {value}", tools=(PAY,))
    assert failed(sandbox.run(program, {})).kind == "value"
    calls: list[ToolCall] = []
    source = f"{head}def run():\n    try:\n        pay({value})\n    except BaseException:\n        pass\n    return 1"
    execution = sandbox.run(Program(source, tools=(PAY,)), {}, call=lambda asked: _noted(calls, asked))
    assert failed(execution).kind == "value" and calls == []


def test_a_text_that_looks_like_one_is_a_text(sandbox: Sandbox) -> None:
    """What a program writes out itself is its own affair."""
    texts: list[Value] = ["dict_keys(['a'])", "<function 'f' at 0x1>", "[...]", "range(0, 3)"]
    program = Program("def run(x): return [pay(x), x]", tools=(PAY,))
    assert returned(sandbox.run(program, {"x": texts}, call=_echo)) == [texts, texts]


@pytest.mark.parametrize(
    "ending", ["deopt('half \\ud800')", "raise ValueError('half \\ud800')", "return 'half \\ud800'"]
)
def test_halves_of_surrogate_pairs_leave_no_sandbox(sandbox: Sandbox, ending: str) -> None:
    """A reason can be written down, whatever a program put into it; a value that holds one is refused."""
    execution = failed(sandbox.run(Program(f"def run():\n    {ending}"), {}))
    assert execution.reason.encode()


HOSTILE_VALUES: tuple[object, ...] = (
    "\ud800",
    10**4400,
    {"\ud800": 1},
    {1: 2},
    object(),
    {"$date": "x"},
    [[{1, 2}]],
    b"x",
)


@pytest.mark.parametrize("value", HOSTILE_VALUES, ids=range(len(HOSTILE_VALUES)))
def test_what_enters_and_is_no_value_ends_the_run(sandbox: Sandbox, value: Value) -> None:
    """An argument or a result of a tool that cannot enter is a failure with a reason, not an exception."""
    execution = failed(sandbox.run(Program("def run(x): return 1"), {"x": value}))
    assert execution.kind == "value" and "arguments" in execution.reason
    program = Program(
        "def run():\n    try:\n        pay(1)\n    except BaseException:\n        pass\n    return 2", tools=(PAY,)
    )
    execution = failed(sandbox.run(program, {}, call=lambda _: ToolResult(value)))
    assert execution.kind == "value" and "the result of pay" in execution.reason
    assert_alive(sandbox)


def test_a_list_within_itself_does_not_enter(sandbox: Sandbox) -> None:
    """Endless arguments are refused."""
    endless: list[Value] = []
    endless.append(endless)
    assert failed(sandbox.run(Program("def run(x): return 1"), {"x": endless})).kind == "value"


DATES = (
    "date(2024, 3, 1) == datetime(2024, 3, 1)",
    "date(2024, 3, 1) in [datetime(2024, 3, 1)]",
    "[type(date(2024, 3, 1)) is date, type(datetime(2024, 3, 1).date()) is date, isinstance(datetime(2024, 3, 1), date)]",
    "[type(date(2024, 3, 1) + timedelta(1)) is date, type(datetime(2024, 3, 1)) is datetime]",
    "str([date(2024, 3, 1), datetime(2024, 3, 1, tzinfo=timezone.utc), time(1, 2)])",
    "[repr(date(2024, 3, 1)), f'{[datetime(2024, 3, 1, 5)]}', str({'d': time(1, 2)})]",
    "isinstance(date(2024, 3, 1), datetime)",
)


@pytest.mark.parametrize("expression", DATES)
def test_dates_are_those_of_python(sandbox: Sandbox, expression: str) -> None:
    """Comparing, writing and asking for the type of dates gives what it gives here."""
    head = "from datetime import date, datetime, time, timedelta, timezone\n"
    space: dict[str, object] = {}
    exec(head, space)  # a program of this test
    expected = eval(expression, space)  # the same
    assert returned(sandbox.run(Program(f"{head}def run(): return {expression}"), {})) == expected


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">="])
def test_dates_and_times_have_no_order(sandbox: Sandbox, sign: str) -> None:
    """A day and a moment cannot be compared, as in Python."""
    source = f"from datetime import date, datetime\ndef run(): return date(2024, 3, 1) {sign} datetime(2024, 3, 1, 17)"
    assert "TypeError" in failed(sandbox.run(Program(source), {})).reason


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("datetime.now()", datetime(2024, 2, 29, 5)),
        ("datetime.today()", datetime(2024, 2, 29, 5)),
        ("datetime.utcnow()", datetime(2024, 2, 29, 10)),
        ("datetime.now(timezone.utc)", datetime(2024, 2, 29, 10, tzinfo=UTC)),
        ("datetime.now(tz=timezone(timedelta(hours=1))).hour", 11),
        ("date.today()", date(2024, 2, 29)),
        ("datetime(2020, 1, 1).now()", datetime(2024, 2, 29, 5)),
        ("getattr(datetime, 'now')()", datetime(2024, 2, 29, 5)),
        ("(lambda f: f())(date.today)", date(2024, 2, 29)),
        ("[Day.today() == date(2024, 2, 29), type(Day.today()) is Day]", [True, True]),
        ("[Own().now(), getattr(Own(), 'today'), getattr(Own(), 'utcnow', 3)]", ["own", 5, 3]),
        ("type(datetime.now()) is datetime", True),
    ],
)
@pytest.mark.parametrize("name", ["process", "e2b"])
def test_the_clock_of_cpython_stands_still(
    request: pytest.FixtureRequest, name: str, expression: str, expected: Value
) -> None:
    """Every way of asking gives the host's moment, in its zone or in UTC; what else is called so is left alone."""
    box: Sandbox = request.getfixturevalue(name)
    source = (
        "from datetime import date, datetime, timedelta, timezone\nclass Day(date):\n    pass\n"
        f"class Own:\n    today = 5\n    def now(self): return 'own'\ndef run(): return {expression}"
    )
    now = datetime(2024, 2, 29, 5, tzinfo=timezone(timedelta(hours=-5)))
    assert returned(box.run(Program(source), {}, now=now)) == expected


OTHERWISE = (
    "math.cbrt(x)",
    "gamma(x)",
    "math.lgamma(x)",
    "math.erf(x)",
    "math.erfc(x)",
    "math.atanh(x)",
    "math.exp2(x)",
)


@pytest.mark.parametrize("expression", OTHERWISE)
def test_what_gives_other_numbers_is_refused(monty: Sandbox, expression: str) -> None:
    """Where Monty's numbers are other ones than Python's the program does not run there, looked at or not."""
    program = Program(f"import math\nfrom math import gamma\ndef run(x): return {expression}")
    assert [problem.line for problem in monty.check(program)] == [3]
    assert failed(monty.run(program, {"x": 0.5})).kind == "syntax"


@pytest.mark.parametrize(
    "expression",
    [
        "math.sumprod([x], [x])",
        "batched([x], 2)",
        "date(2024, 1, 2).strftime('%3f')",
        "{1: x, True: 2}[1]",
        "{0: x, 'a': 1, 0.0: 2}[0]",
        "{**{1: x}, **{True: 2}}",
        "({1: x} | {1.0: 2})",
        "{1: x}.setdefault(True, 2)",
        "dict.fromkeys([0, False])",
        "Counter([1, True, 1.0])",
        "[float('nan')] == [float('nan')]",
        "float('NaN') in [x, float(' nan ')]",
        "[math.nan].count(x)",
        "len({x, math.nan})",
        "set([nan, x])",
        "f'{date(2024, 1, 2):>12}'",
        "f'{[x]:5}'",
        "f'{None:^9}'",
        "format(date.fromisoformat('2024-01-02'), '12')",
        "'{:>9} {:>9}'.format(1, sorted([x]))",
        "[f'{d:<12}|' for y in [1] if (d := None) is None or y] and f'{(x, 1):>4}'",
    ],
)
def test_what_only_monty_takes_is_refused(monty: Sandbox, expression: str) -> None:
    """What Python lacks or reads otherwise does not run in Monty, looked at or not."""
    program = Program(
        "import math; from math import nan\nfrom datetime import date; from collections import Counter\n"
        f"from itertools import batched\ndef run(x): return {expression}"
    )
    assert {problem.line for problem in monty.check(program)} == {4}
    assert failed(monty.run(program, {"x": 0.5})).kind == "syntax"


@pytest.mark.parametrize(
    "expression", ["{1: x, 2: x}[1]", "{1: x, 1: 3}[1]", "{'1': x, 1: 3}[1]", "{**{1: x}, 2: 3}[2]"]
)
def test_other_dicts_are_not_refused(monty: Sandbox, process: Sandbox, expression: str) -> None:
    """Keys that differ, and one key written twice, mean the same in both."""
    program = Program(f"def run(x): return {expression}")
    assert list(monty.check(program)) == []
    assert returned(monty.run(program, {"x": 5})) == returned(process.run(program, {"x": 5}))


ACCEPTED = (
    "[float('nan') == 5, x == 5, x in (1, 2), 'a' in 'abc', str(x) == 'b', x != 3]",
    "[f'{x:>4}', f'{str([x]):>9}', f'{True:>5}', f'{x:.1%}', f'{date(2024, 1, 2)!s:>12}', f'{date(2024, 1, 2):%d.%m.}']",
    "['{:>4}'.format(x), '{}|{:>3}'.format('a', x), format(x, '5'), format(date(2024, 1, 2), '%Y')]",
    "[xs[0] for xs in [[x]]] + [len({'a': 1, 'b': True, 'c': 1.0})]",
    "[copy.deepcopy([x, [x]]), copy.copy({'a': x}), Counter([x, 1, 2]).most_common(1)]",
)


@pytest.mark.parametrize("expression", ACCEPTED)
def test_what_is_the_same_in_both_is_accepted(monty: Sandbox, process: Sandbox, expression: str) -> None:
    """The look refuses no more than it must, and what it lets through agrees."""
    program = Program(
        f"import copy\nfrom datetime import date\nfrom collections import Counter\ndef run(x): return {expression}"
    )
    assert list(monty.check(program)) == []
    assert returned(monty.run(program, {"x": 5})) == returned(process.run(program, {"x": 5}))


@pytest.mark.parametrize("value", [date(2024, 1, 2), None, [1], {"a": 1}, timedelta(1)])
def test_an_argument_that_is_no_text_is_not_padded(monty: Sandbox, value: Value) -> None:
    """What the text of a program does not tell, its arguments do."""
    program = Program("def run(x, y):\n    return f'{x:>12}' + f'{y}'")
    assert "x is a" in failed(monty.run(program, {"x": value, "y": 1})).reason
    assert returned(monty.run(program, {"x": "a", "y": 1})) == f"{'a':>12}1"
    assert isinstance(monty.run(program, {"x": 1, "y": value}), Returned)


def test_no_nan_within_lists_enters_what_compares(monty: Sandbox) -> None:
    """As an argument and as a result of a tool; a program that compares nothing may have it."""
    nan = float("nan")
    for value in (nan, [1.0, nan], {"a": {"b": [nan]}}, {"a": nan}):
        assert failed(monty.run(Program("def run(x, y): return x == y"), {"x": value, "y": 1})).kind == "value"
        program = Program("def run(y): return y in pay(1)", tools=(PAY,))
        answer = ToolResult(cast(Value, value))
        assert failed(monty.run(program, {"y": 1}, call=lambda _, given=answer: given)).kind == "value"
        assert isinstance(monty.run(Program("def run(x): return str(x)"), {"x": value}), Returned)
    assert returned(monty.run(Program("def run(x): return x == 1"), {"x": nan})) is False


@pytest.mark.parametrize(
    "form", ["str(x)", "f'{x} MB'", "json.dumps([x])", "str([1, (x,)])", "{'a': [repr(x)]}", "{f'{x}': 1}"]
)
def test_no_number_leaves_with_another_last_digit(monty: Sandbox, process: Sandbox, form: str) -> None:
    """Of two ways to write a float that are equally near Monty takes another than Python: such a text is no answer."""
    program = Program(f"import json\ndef run(x):\n    x = x / 1048576\n    return {form}")
    seen = [monty.run(program, {"x": number}) for number in range(1, 1200)]
    assert {execution.kind for execution in seen if not isinstance(execution, Returned)} == {"value"}
    for number, execution in enumerate(seen, 1):
        if isinstance(execution, Returned) and number % 40 == 0:
            assert execution.value == returned(process.run(program, {"x": number}))
    odd = next(number for number, execution in enumerate(seen, 1) if not isinstance(execution, Returned))
    calls: list[ToolCall] = []
    asks = Program(f"import json\ndef run(x):\n    x = x / 1048576\n    return pay({form})", tools=(PAY,))
    execution = failed(monty.run(asks, {"x": odd}, call=partial(_noted, calls)))
    assert (execution.kind, calls) == ("value", [])
    assert returned(monty.run(Program("def run(x): return x / 1048576"), {"x": odd})) == odd / 1048576


@pytest.mark.parametrize(
    "number", ["0.1234567890123456", "3.141592653589793", "1.0000000000000002", "9.99999999999999951"]
)
def test_other_long_numbers_leave_as_they_are(monty: Sandbox, number: str) -> None:
    """What is given, and what has one nearest way, is nobody's mistake."""
    program = Program("def run(x): return [x, str(float(x[:18]))]")
    value = returned(monty.run(program, {"x": number}))
    assert value == [number, str(float(number[:18]))]


def test_digits_of_other_scripts_end_what_would_take_them_for_none(monty: Sandbox, process: Sandbox) -> None:
    """Python reads them as numbers and Monty does not: where that is caught it would be another answer."""
    source = "def run(x):\n    try:\n        return int(x)\n    except ValueError:\n        return -1"
    for text, number in (("٣", 3), ("５", 5)):
        assert failed(monty.run(Program(source), {"x": text})).kind == "value"
        assert returned(process.run(Program(source), {"x": text})) == number
        program = Program(source.replace("int(x)", "int(pay(x))"), tools=(PAY,))
        assert failed(monty.run(program, {"x": text}, call=_echo)).kind == "value"
    assert returned(monty.run(Program(source), {"x": "é"})) == -1
    assert returned(monty.run(Program("def run(x): return x + x"), {"x": "٣"})) == "٣٣"


READ = (
    (
        "%Y-%m-%d %I %p",
        ("2024-01-01 3 PM", "2024-01-01 03 pm", "2024-01-01 12 AM", "2024-01-01 12 PM", "2024-01-01 13 PM"),
    ),
    ("%Y-%m-%d %I:%M %p", ("2024-01-01 3:05 PM", "2024-01-01 11:5 Am", "2024-01-01 0:05 AM")),
    ("%Y-%m-%d %H", ("2024-01-01 5", "2024-01-01 23", "2024-01-01 24")),
    ("%m/%d/%Y", ("1/2/2024", "1/2/24", " 1/2/2024", "1/2/2024 ", "13/2/2024", "2/30/2024", "1/ 2/2024", "1/2/02024")),
    ("%d.%m.%y", ("1.2.68", "1.2.69", "1.2.2024", "1.2.5")),
    ("%d %B %Y", ("1 January 2024", "01 MAY 2024", "1 Jan 2024", "1  May  2024", "31 February 2024")),
    ("%d %b %Y", ("1 Jan 2024", "1 sep 2024", "1 Sept 2024", "1 January 2024")),
    ("%A, %d %B %Y", ("Monday, 1 January 2024", "Tuesday, 1 January 2024", "Mon, 1 January 2024")),
    ("%a %d %b %Y", ("Mon 1 Jan 2024", "Monday 1 Jan 2024")),
    ("%Y-%m-%dT%H:%M:%S", ("2024-01-01T03:05:06", "2024-01-01T03:05:60", "2024-01-01 03:05:06", "2024-01-01T3:5:6")),
    (
        "%Y-%m-%dT%H:%M:%S.%f%z",
        ("2024-01-01T03:05:06.5Z", "2024-01-01T03:05:06.123456+02:00", "2024-01-01T03:05:06.5-0130"),
    ),
    (
        "%Y-%m-%dT%H:%M:%S%z",
        (
            "2024-01-01T03:05:06z",
            "2024-01-01T03:05:06+02",
            "2024-01-01T03:05:06.1Z",
            "2024-01-01T03:05:06+01:30:15",
            "2024-01-01T03:05:06-013015",
            "2024-01-01T03:05:06+01:3015",
            "2024-01-01T03:05:06+0130:15",
        ),
    ),
    ("%Y%m%d", ("20240102", "2024012", "202412")),
    ("%H:%M", ("12:30", "1:05", "25:00")),
    ("%d %B", ("1 May", "29 February")),
    ("%Y", ("2024", "24")),
    ("%b %d, %Y", ("Jan 1, 2024", "Jan 01,2024", "Jan 1,   2024")),
    ("100%% %Y.", ("100% 2024.", "100 2024.")),
    ("%d. %m.\t%Y", ("1. 2. 2024", "1.2.2024")),
    ("(%Y)", ("(2024)", "2024")),
)


@pytest.mark.parametrize(("form", "texts"), READ, ids=[form for form, _ in READ])
@pytest.mark.parametrize("way", ["datetime.strptime({})", "datetime.strptime(\n    {}\n)", "read({})"])
def test_dates_are_read_as_python_reads_them(
    monty: Sandbox, process: Sandbox, form: str, texts: Sequence[str], way: str
) -> None:
    """No hour is dropped, no year is one of the first century, and what Python refuses is refused."""
    called = way.format("text, form")
    source = (
        "from datetime import datetime\nread = datetime.strptime\ndef run(text, form):\n    try:\n"
        f"        return {called}\n    except ValueError:\n        return 'refused'"
    )
    for text in texts:
        given: dict[str, Value] = {"text": text, "form": form}
        try:
            expected: Value = datetime.strptime(text, form)
        except ValueError:
            expected = "refused"
        assert [returned(box.run(Program(source), given)) for box in (monty, process)] == [expected] * 2, text


def test_the_line_of_a_date_that_cannot_be_read_is_the_programs(sandbox: Sandbox) -> None:
    """What stands in place of `strptime` has no line of its own."""
    source = "import datetime as d\ndef run(text):\n    é = 1; x = d.datetime.strptime(text, '%Y')\n    return x"
    for _ in range(3):
        execution = failed(sandbox.run(Program(source), {"text": "soon"}))
        assert "line 3" in execution.reason and "'soon' does not match format '%Y'" in execution.reason


@pytest.mark.parametrize(
    "expression",
    [
        "f'datetime.strptime {datetime.strptime(x, \"%Y\")}'",
        "datetime(2024, 1, 1).strptime(x, '%Y')",
        "datetime.strptime(x, '%Y %j')",
        "datetime.strptime(x, '%F')",
        "datetime(2024, 1, 2).strftime('%^a')",
        "datetime(2024, 1, 2).strftime('%Y %q')",
        "f'{datetime(2024, 1, 2):%v}'",
    ],
)
def test_other_forms_of_dates_are_refused(monty: Sandbox, expression: str) -> None:
    """What Monty would read or write otherwise, and what cannot be replaced."""
    program = Program(f"from datetime import datetime\ndef run(x): return {expression}")
    assert {problem.line for problem in monty.check(program)} == {2}
    assert failed(monty.run(program, {"x": "2024"})).kind == "syntax"


_FLOATS = tuple(step / 7 for step in range(1, 400))
_FUNCTIONS = (
    "exp",
    "log",
    "log10",
    "log2",
    "sin",
    "cos",
    "tan",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "expm1",
    "log1p",
    "sqrt",
)


def test_the_rest_of_math_gives_the_same_digits(monty: Sandbox, process: Sandbox) -> None:
    """Powers, roots, sums and the usual functions agree to the last digit."""
    source = (
        "import math\ndef run(xs): return [\n"
        + "".join(f"    [math.{name}(x / 9) for x in xs],\n" for name in _FUNCTIONS)
        + "    [[x ** (1 / 3), 1.0003 ** x, 2.0 ** x, x % 0.3, x // 0.3, round(x, 3), math.hypot(x, 3)] for x in xs],\n"
        "    [[sum([x, 0.1, 1e9]), math.fsum([x, 0.1]), f'{x:.3g}', str(x / 1e5), math.pow(x, 1.7)] for x in xs]]"
    )
    seen = [
        returned(box.run(Program(source), {"xs": list(_FLOATS)}, limits=Limits(seconds=5))) for box in (monty, process)
    ]
    assert seen[0] == seen[1]


def test_zones_have_no_names_inside(sandbox: Sandbox) -> None:
    """A time zone is its offset in every sandbox."""
    moment = datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1), "CET"))
    assert returned(sandbox.run(Program("def run(x): return x.tzname()"), {"x": moment})) == "UTC+01:00"


@pytest.mark.parametrize("name", ["print", "len", "sorted", "match", "für"])
def test_tools_may_be_named_like_builtins(sandbox: Sandbox, name: str) -> None:
    """A declared tool is what a program gets by its name."""
    tool = Tool(name=name, parameters={"properties": {"x": {}}})
    assert returned(sandbox.run(Program(f"def run(): return {name}(4)", tools=(tool,)), {}, call=_echo)) == 4


def test_lines_of_failures_in_tools_are_those_of_the_program(sandbox: Sandbox) -> None:
    """A tool that fails is blamed on the line that called it."""
    program = Program("def run():\n    x = 1\n    return pay(x)", tools=(PAY,))
    execution = failed(sandbox.run(program, {}, call=lambda _: ToolResult(error="broken")))
    assert "broken" in execution.reason and "line 3" in execution.reason


def test_cpython_is_lazy_and_may_be(process: Sandbox) -> None:
    """The look for Monty's differences is not for the others: there a generator expression stops early."""
    program = Program("def run(): return any(pay(x) == 1 for x in [1, 2])", tools=(PAY,))
    assert look(program) and list(process.check(program)) == []
    calls: list[ToolCall] = []
    assert returned(process.run(program, {}, call=lambda asked: _noted(calls, asked))) is True
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("packages", "line", "reason"),
    [
        (("email.message",), "import email.message", ""),
        (("email.message",), "from email.message import Message", ""),
        (("json.tool",), "import json.tool", ""),
        (("email",), "import email.mime.audio", "email.mime.audio was not loaded before the locks"),
        (("email",), "from email.mime.audio import MIMEAudio", "name it in `packages`"),
    ],
)
@pytest.mark.usefixtures("process")
def test_a_submodule_is_named_or_the_reason_says_so(packages: tuple[str, ...], line: str, reason: str) -> None:
    """A package may be given by a submodule; the reason tells of one that was not loaded."""
    box = ProcessSandbox(workers=1, packages=packages)
    try:
        execution = box.run(Program(f"{line}\ndef run(): return 1"), {})
        assert reason in failed(execution).reason if reason else returned(execution) == 1
    finally:
        box.close()


def test_one_text_is_no_list_of_packages() -> None:
    """`packages="numpy"` is told what to write, instead of five packages that nobody has."""
    with pytest.raises(SandboxError, match=r'packages=\["numpy"\]'):
        ProcessSandbox(packages="numpy")
    with pytest.raises(SandboxError, match=r'packages=\["numpy"\]'):
        E2BSandbox(api_key="key", packages="numpy")


def test_a_package_that_is_missing_is_named() -> None:
    """The reason names the package and says what to do; nothing is blamed on the locks."""
    box = ProcessSandbox(workers=1, packages=("no_such_package",))
    with pytest.raises(SandboxError, match=r"no_such_package.*install it"):
        box.run(Program("def run(): return 1"), {})
    box.close()
    server = E2BServer()
    server.start()
    remote = E2BSandbox(
        api_key=server.api_key, api_url=server.url, sandbox_url=server.url, packages=("no_such_package",)
    )
    execution = failed(remote.run(Program("def run(): return 1"), {}))
    assert "no_such_package" in execution.reason and "template" in execution.reason
    remote.close()
    server.stop()


def test_a_tool_named_like_the_entry_is_refused(sandbox: Sandbox) -> None:
    """A tool called `run` would be hidden by the function that is called."""
    program = Program("def run(): return 1", tools=(Tool(name="run"),))
    assert any("another name" in problem.message for problem in sandbox.check(program))


def _noted(calls: list[ToolCall], asked: ToolCall) -> ToolResult:
    calls.append(asked)
    return ToolResult(asked.arguments["x"])


def _echo(asked: ToolCall) -> ToolResult:
    return ToolResult(asked.arguments["x"])
