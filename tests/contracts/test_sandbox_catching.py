"""What a program catches: an error that only Monty raises, there or because it goes on, must not be another branch."""

# ruff: noqa: E501  # one program a line

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta

import pytest

from seglam_agents import HostTool, ReasoningCache, Request, Tool, ToolStep, Trace
from seglam_agents.records.values import Value
from seglam_agents.sandboxes.base import Program, Sandbox
from seglam_agents.testing.models import ScriptedModel
from seglam_agents.testing.sandbox_contract import failed, returned

HEAD = (
    "from datetime import date, datetime, time, timedelta\nfrom functools import partial, lru_cache\n"
    "from collections import namedtuple\nimport re\n"
)


def _program(body: str) -> Program:
    return Program(f"{HEAD}def run(xs):\n    " + body.replace("\n", "\n    "))


HELD = {
    "a helper": "def safe(f, *a):\n    try:\n        return f(*a)\n    except ValueError:\n        return 'bad'\ndef late(v):\n    return any(int(x) > 0 for x in v)\nreturn safe(late, xs)",
    "a helper of a lambda": "def safe(f):\n    try:\n        return f()\n    except ValueError:\n        return 'bad'\nreturn safe(lambda: any(int(x) > 0 for x in xs))",
    "another name": "def late(v):\n    return any(int(x) > 0 for x in v)\ncheck = late\ntry:\n    return check(xs)\nexcept ValueError:\n    return 'bad'",
    "a dict": "checks = {'late': lambda v: any(int(x) > 0 for x in v)}\ntry:\n    return checks['late'](xs)\nexcept ValueError:\n    return 'bad'",
    "a list": "for check in [lambda v: any(int(x) > 0 for x in v)]:\n    try:\n        return check(xs)\n    except ValueError:\n        return 'bad'",
    "partial": "check = partial(lambda k, v: any(int(x) > k for x in v), 0)\ntry:\n    return check(xs)\nexcept ValueError:\n    return 'bad'",
    "a maker": "def make():\n    def late(v):\n        return any(int(x) > 0 for x in v)\n    return late\ncheck = make()\ntry:\n    return check(xs)\nexcept ValueError:\n    return 'bad'",
    "a decorator": "def safe(f):\n    def inner(v):\n        try:\n            return f(v)\n        except ValueError:\n            return 'bad'\n    return inner\n@safe\ndef late(v):\n    return any(int(x) > 0 for x in v)\nreturn late(xs)",
    "a field": "class Rule:\n    def __init__(self, check):\n        self.check = check\nrule = Rule(lambda v: any(int(x) > 0 for x in v))\ntry:\n    return rule.check(xs)\nexcept ValueError:\n    return 'bad'",
    "a field of a tuple": "Rule = namedtuple('Rule', 'check')\nrule = Rule(lambda v: any(int(x) > 0 for x in v))\ntry:\n    return rule.check(xs)\nexcept ValueError:\n    return 'bad'",
    "a method as a value": "class Rule:\n    def late(self, v):\n        return any(int(x) > 0 for x in v)\ncheck = Rule().late\ntry:\n    return check(xs)\nexcept ValueError:\n    return 'bad'",
    "a name of a method": "class Rule:\n    def late(self, v):\n        return any(int(x) > 0 for x in v)\nrule = Rule()\ntry:\n    return getattr(rule, 'late')(xs)\nexcept ValueError:\n    return 'bad'",
    "an operator": "class Rule:\n    def __contains__(self, v):\n        return any(int(x) > 0 for x in v)\ntry:\n    return xs in Rule()\nexcept ValueError:\n    return 'bad'",
    "a block": "class Safe:\n    def __enter__(self):\n        return self\n    def __exit__(self, *a):\n        return True\nr = 'none'\nwith Safe():\n    r = any(int(x) > 0 for x in xs)\nreturn r",
    "an end": "r = 'none'\ntry:\n    r = any(int(x) > 0 for x in xs)\nfinally:\n    return r",
    "an end of a loop": "r = 'none'\nfor _ in [1]:\n    try:\n        r = any(int(x) > 0 for x in xs)\n    finally:\n        break\nreturn r",
    "a deed before giving up": "seen = []\ntry:\n    return any(int(x) > 0 for x in xs)\nexcept ValueError:\n    if xs:\n        return 'bad'\n    deopt('no')",
}


@pytest.mark.parametrize("body", HELD.values(), ids=HELD)
def test_functions_are_followed_as_values(monty: Sandbox, process: Sandbox, body: str) -> None:
    """Whatever a function is called through, where it stops early in Python and raises in Monty, it is refused."""
    assert any("runs to its end here" in problem.message for problem in monty.check(_program(body)))
    assert failed(monty.run(_program(body), {"xs": ["1", "q"]})).kind == "syntax"
    assert returned(process.run(_program(body), {"xs": ["1", "q"]})) is True


CHANGED = {
    "a method": "class Seen:\n    def __init__(self):\n        self.n = 0\n    def note(self, x):\n        self.n += 1\n        return True\ns = Seen()\nany(s.note(x) for x in xs)\nreturn s.n",
    "a call": "class Seen:\n    def __init__(self):\n        self.n = 0\n    def __call__(self, x):\n        self.n += 1\n        return True\ns = Seen()\nany(map(s, xs))\nreturn s.n",
    "a comparison": "class Seen:\n    def __init__(self):\n        self.n = 0\n    def __eq__(self, x):\n        self.n += 1\n        return True\ns = Seen()\nany(s == x for x in xs)\nreturn s.n",
    "a look into it": "class Seen:\n    def __init__(self):\n        self.n = 0\n    def __contains__(self, x):\n        self.n += 1\n        return True\ns = Seen()\nany(x in s for x in xs)\nreturn s.n",
    "by another method": "class Seen:\n    def __init__(self):\n        self.got = []\n    def add(self, x):\n        self.got.append(x)\n        return True\n    def note(self, x):\n        return self.add(x)\ns = Seen()\nany(s.note(x) for x in xs)\nreturn len(s.got)",
    "how often": "@lru_cache\ndef same(x):\n    return x\nany(same(x) for x in xs)\nreturn same.cache_info().misses",
}


@pytest.mark.parametrize("body", CHANGED.values(), ids=CHANGED)
def test_methods_that_change_something_are_seen(monty: Sandbox, process: Sandbox, body: str) -> None:
    """What a method notes is noted more often in Monty, where Python stops before."""
    assert monty.check(_program(body))
    assert failed(monty.run(_program(body), {"xs": ["1", "2", "3"]})).kind == "syntax"
    assert returned(process.run(_program(body), {"xs": ["1", "2", "3"]})) == 1


LET_THROUGH = (
    "def safe(f, x):\n    try:\n        return f(x)\n    except ValueError:\n        return 0\nreturn [safe(int, x) for x in xs]",
    "def safe(f, x):\n    try:\n        return f(x)\n    except ValueError:\n        return 0\ndef whole(x):\n    return int(x.strip())\nreturn sum(safe(whole, x) for x in xs)",
    "class Point:\n    def __init__(self, x):\n        self.x = x\n        self.seen = []\nreturn sum(len(Point(x).x) for x in xs)",
    "class Total:\n    def __init__(self):\n        self.n = 0\n    def add(self, x):\n        self.n += len(x)\nt = Total()\nfor x in xs:\n    t.add(x)\nreturn t.n",
    "try:\n    return int(xs[0])\nexcept ValueError:\n    return sorted(xs, key=lambda x: any(c > 'a' for c in x))",
    "class Timer:\n    def __enter__(self):\n        return self\n    def __exit__(self, *a):\n        return False\nwith Timer():\n    return any(len(x) > 1 for x in xs)",
)


@pytest.mark.parametrize("body", LET_THROUGH)
def test_other_functions_as_values_are_accepted(monty: Sandbox, process: Sandbox, body: str) -> None:
    """A helper that catches is refused only for what it may be given."""
    assert list(monty.check(_program(body))) == []
    given: dict[str, Value] = {"xs": ["1", "23", "q"]}
    assert returned(monty.run(_program(body), given)) == returned(process.run(_program(body), given))


TRIED = (
    "set(xs).union([1], [2])",
    "set(xs).intersection(*[xs, xs])",
    "re.compile('a').match('ba', 1)",
    "re.compile('a').search(string='ba')",
    "date(2024, 1, 31).replace(2023, 1, 1)",
    "date.max.year",
    "date.isoweekday(date(2024, 1, 1))",
    "range(5).count(1)",
    "range(5).index(1)",
    "bytes([1]).decode()",
    "(5).real",
    "{1}.symmetric_difference_update([2])",
    "{'a': 1}.keys() <= {'a': 1, 'b': 2}.keys()",
    "pow(2, 3, mod=5)",
    "re.match('(a)(b)?', 'a').groups('x')",
    "(2.5).hex()",
    "'abc'.encode().find(97)",
)


@pytest.mark.parametrize("kinds", ["Exception", "(TypeError, AttributeError)"])
@pytest.mark.parametrize("expression", TRIED)
def test_what_only_monty_lacks_is_not_tried(monty: Sandbox, process: Sandbox, expression: str, kinds: str) -> None:
    """Within a `try` that takes the handler there, what is not known to be the same in both is refused."""
    body = f"try:\n    return str({expression})\nexcept {kinds}:\n    return 'bad'"
    assert monty.check(_program(body))
    assert failed(monty.run(_program(body), {"xs": [1]})).kind == "syntax"
    assert returned(process.run(_program(body), {"xs": [1]})) != "bad"


@pytest.mark.parametrize(
    "expression",
    [
        "int(xs[0].replace(',', '').strip())",
        "xs[0].split('-', 1)[0].upper().zfill(5)",
        "round(float(xs[0]) * 1.2, 2)",
        "float(xs[0]) * timedelta(hours=1) / 2.5",
        "sorted({x for x in xs}, key=lambda x: -int(x), reverse=True)[0]",
        "max(xs, key=int, default=None)",
        "dict(zip(xs, xs)).get('1', 0)",
        "{**dict.fromkeys(xs, 1)}.setdefault('2', 3)",
        "re.sub(r'[a-z]', '', xs[0]) or re.match(r'([0-9]+)', xs[0]).group(1)",
        "f'{int(xs[0]):,} {date.fromisoformat(\"20240131\"):%d %B}'",
        "datetime(2024, 1, 31, 5).replace(hour=7).isoformat(timespec='minutes')",
        "(date(2024, 3, 1) - date(2024, 1, 1)).days * len(xs)",
        "[x for i, x in enumerate(xs, start=1) if i > 1] or list(range(3)).count(1)",
    ],
)
def test_what_is_the_same_in_both_may_be_tried(monty: Sandbox, process: Sandbox, expression: str) -> None:
    """What bodies do in a `try` is let through, whatever is caught."""
    body = f"try:\n    return {expression}\nexcept Exception:\n    return 'bad'"
    assert list(monty.check(_program(body))) == []
    for xs in (["12"], ["7", "8"], ["q"], [None], []):
        given: dict[str, Value] = {"xs": xs}
        assert returned(monty.run(_program(body), given)) == returned(process.run(_program(body), given))


@pytest.mark.parametrize("name", ["get", "isoformat", "items", "strip", "real"])
def test_no_program_asks_monty_for_methods(monty: Sandbox, name: str) -> None:
    """Monty denies that its own objects have any, and says nothing."""
    for form in (f"hasattr(xs[0], {name!r})", f"getattr(xs[0], {name!r}, None) is None"):
        problems = monty.check(_program(f"return {form}"))
        assert "isinstance" in problems[0].message
        assert failed(monty.run(_program(f"return {form}"), {"xs": [{}]})).kind == "syntax"
    assert list(monty.check(_program("return hasattr(xs[0], 'year')"))) == []


def _texts(count: int) -> list[str]:
    """Return ISO dates and times, most of them slightly damaged."""
    chance = random.Random(17)
    forms = ["2024-01-31", "20240131", "2024-W05-3", "2024W053", "2024-01-31T10:00:00.123456+02:00", "20240131T1000Z"]
    forms += ["10:30", "T103015,25", "10", "2020-W53-7", "2024-W05T10", "10:30:15.123456789-05:30", "0", "1700000000"]
    texts = list(forms)
    while len(texts) < count:
        text = list(chance.choice(forms))
        for _ in range(chance.randint(1, 2)):
            text[chance.randrange(len(text))] = chance.choice("0123456789-:T+Z W,é")
        texts.append("".join(text[: chance.randint(1, len(text))] if chance.random() < 0.2 else text))
    return texts


@pytest.mark.parametrize("kind", [date, datetime, time], ids=["date", "datetime", "time"])
def test_iso_dates_are_read_as_python_reads_them(monty: Sandbox, kind: type[date] | type[time]) -> None:
    """Neither is a date refused that Python reads, nor is "0" a day in 1970."""
    read: Callable[[str], date | time] = kind.fromisoformat
    body = f"out = []\nfor x in xs:\n    try:\n        out.append({kind.__name__}.fromisoformat(x))\n    except ValueError:\n        out.append('no')\nreturn out"
    texts = [text for text in _texts(400) if not re.search(r"[+-]\d\d[^T]*[.,]", text)]
    expected = [_read(read, text) for text in texts]
    assert list(monty.check(_program(body))) == []
    assert returned(monty.run(_program(body), {"xs": list(texts)})) == expected
    assert "no" in expected and len({str(value) for value in expected}) > 12


def _read(read: Callable[[str], date | time], text: str) -> Value:
    try:
        return read(text)
    except ValueError:
        return "no"


NUMBERS = (1.5, 0.1, -2.5, 1e-7, 1.5e-6, 2.5e-6, 1e9, float("nan"), float("inf"), 3, True, 10**10, "1", None)


@pytest.mark.parametrize(
    ("expression", "compute"),
    [
        ("timedelta(hours=x)", lambda x: timedelta(hours=x)),
        ("timedelta(x, 1, 2, 3, 4)", lambda x: timedelta(x, 1, 2, 3, 4)),
        ("timedelta(days=1, seconds=5) * x", lambda x: timedelta(days=1, seconds=5) * x),
        ("x * timedelta(microseconds=3)", lambda x: x * timedelta(microseconds=3)),
        ("timedelta(days=1, microseconds=1) / x", lambda x: timedelta(days=1, microseconds=1) / x),
        ("(  # a * b\n        timedelta(days=1)\n        * ((x) * 2) / 3)", lambda x: timedelta(days=1) * (x * 2) / 3),
        ("f'{timedelta(minutes=x)}' and timedelta(minutes=x)", lambda x: timedelta(minutes=x)),
    ],
    ids=["hours", "places", "times", "times from the left", "over", "both", "in a text"],
)
def test_lengths_of_time_take_the_numbers_of_python(
    monty: Sandbox, expression: str, compute: Callable[[object], timedelta]
) -> None:
    """Monty's own take whole numbers; a handler of a program was taken for all others."""
    body = f"out = []\nfor x in xs:\n    try:\n        y = {expression}\n    except (TypeError, OverflowError, ValueError):\n        y = 'no'\n    out.append(y)\nreturn out"
    expected: list[Value] = []
    for number in NUMBERS:
        try:
            expected.append(compute(number))
        except (TypeError, OverflowError, ValueError):
            expected.append("no")
    assert list(monty.check(_program(body))) == []
    assert returned(monty.run(_program(body), {"xs": list(NUMBERS)})) == expected


@pytest.mark.parametrize(
    "body",
    [
        "D = date\nreturn D.fromisoformat(xs[0])",
        "T = timedelta\nreturn T(hours=xs[0])",
        "return [*map(timedelta, xs)]",
        "return f'date.fromisoformat {date.fromisoformat(xs[0])}'",
        "return f'''{timedelta(hours=xs[0])}\n{xs}'''",
    ],
)
def test_what_cannot_be_replaced_is_refused(monty: Sandbox, body: str) -> None:
    """Where our own cannot stand in its place, Monty's is not used either."""
    assert monty.check(_program(body))
    assert failed(monty.run(_program(body), {"xs": [1]})).kind == "syntax"


@pytest.mark.parametrize(
    ("expression", "text"),
    [("datetime.strptime(xs[0], xs[1])", "2024"), ("datetime.fromisoformat(xs[0])", "2024-01-01T10:00+01:00:00.5")],
)
def test_what_our_own_cannot_read_ends_the_run(monty: Sandbox, expression: str, text: str) -> None:
    """No handler of the program is taken for it."""
    body = f"try:\n    return {expression}\nexcept Exception:\n    return 'bad'"
    assert failed(monty.run(_program(body), {"xs": [text, "%j"]})).kind == "value"


@pytest.mark.parametrize(
    ("body", "data", "write"),
    [
        (
            "def attempt(check, rows):\n    try:\n        return check(rows)\n    except ValueError:\n        return False\n\ndef is_late(rows):\n    return any(float(row) > 10 for row in rows)\n\ndef run(order):\n    if attempt(is_late, fetch(order)):\n        return 'kept'\n    release(order)\n    return 'released'",
            {"51": ["n/a"], "52": ["15", "n/a"]},
            False,
        ),
        (
            "from datetime import date\n\ndef run(order):\n    try:\n        date.fromisoformat(fetch(order))\n        return 'kept'\n    except ValueError:\n        pass\n    release(order)\n    return 'released'",
            {"51": "-", "52": "20991231"},
            True,
        ),
        (
            "from datetime import timedelta\n\ndef run(order):\n    try:\n        timedelta(hours=float(fetch(order)))\n    except (ValueError, TypeError):\n        release(order)\n        return 'released'\n    return 'kept'",
            {"51": "soon", "52": "1.5"},
            True,
        ),
    ],
    ids=["a helper", "a date", "a length of time"],
)
def test_no_write_is_made_that_python_does_not_make(body: str, data: dict[str, Value], write: bool) -> None:
    """The whole way: a procedure that writes is refused, or does what Python does."""
    parameters = {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}
    released: list[str] = []
    fetch = HostTool(Tool(name="fetch", parameters=parameters, effect="read"), lambda order: data[order])
    release = HostTool(
        Tool(name="release", parameters=parameters, effect="write"), lambda order: released.append(order)
    )
    module = f'```python\nNAME = "release"\nTEMPLATES = ["Release order {{order:id}} unless it is held"]\n\n{body}\n```'
    text = "Release order 51 unless it is held"
    steps = (
        ToolStep(tool="fetch", arguments={"order": "51"}, result=data["51"]),
        ToolStep(tool="release", arguments={"order": "51"}),
    )
    trace = Trace(request=Request(text=text), steps=steps, answer="released")
    with ReasoningCache(None, ScriptedModel([module] * 6), tools=[fetch, release], attacker=False) as cache:
        learnt = cache.learn(text, trace=trace)
        assert (learnt.status == "admitted") is write, learnt.reason
        outcome = cache.lookup("Release order 52 unless it is held")
    assert released == []
    assert outcome.answer == ("kept" if write else None)


READ_AT_ONCE = (
    "a, b = map(int, xs[0].split(':'))\nreturn a * b",
    "a, b = (int(x) for x in xs[0].split(':'))\nreturn a * b",
    "a, *rest = map(int, xs[0].split(':'))\nreturn [a, rest]",
    "names, numbers = zip(*[[x, len(x)] for x in xs])\nreturn [list(names), sum(numbers)]",
    "numbers = map(len, xs)\nreturn sum(numbers)",
    "numbers = (len(x) for x in xs)\nreturn [n for n in numbers if n > 1]",
    "numbers = zip(xs, xs)\nfor a, b in numbers:\n    if a == b:\n        return a\nreturn None",
    "return next(i for i, x in enumerate(xs) if ':' in x)",
    "return next((x for x in xs if x == 'none'), None)",
    "return next((x for x in xs)) + next(filter(None, xs)) + next(iter(xs))",
    "return [next((c for c in x if c.isdigit()), '-') for x in xs]",
    "try:\n    a, b = map(int, xs)\nexcept ValueError:\n    return 'bad'\nreturn a",
    "try:\n    return next(x for x in xs if x == 'none')\nexcept StopIteration:\n    return 'none'",
)


@pytest.mark.parametrize("body", READ_AT_ONCE)
def test_what_is_read_at_once_is_accepted(monty: Sandbox, process: Sandbox, body: str) -> None:
    """Lazy things that are taken apart, read by the next statement alone, or asked for their first, mean the same."""
    assert list(monty.check(_program(body))) == []
    given: dict[str, Value] = {"xs": ["3:4", "q"]}
    assert returned(monty.run(_program(body), given)) == returned(process.run(_program(body), given))


READ_LATER = (
    "numbers = map(int, xs)\na = sum(numbers)\nreturn a + sum(numbers)",
    "numbers = (int(x) for x in xs)\nxs.append('9')\nreturn sum(numbers)",
    "numbers = (int(x) for x in xs)\nreturn [sum(numbers) for _ in range(2)]",
    "numbers = (x for x in xs)\nfor n in numbers:\n    if len(xs) < 9:\n        xs.append(n)\nreturn len(xs)",
    "try:\n    a, b = (d[x] for d, x in zip([{'1': 1, '2': 2}] * 3, xs))\nexcept ValueError:\n    return 'many'\nexcept KeyError:\n    return 'key'\nreturn a",
    "try:\n    return next(int(x) for x in xs)\nexcept ValueError:\n    return 'bad'",
    "total = 0\nfor n in (int(x) + total for x in xs[:2]):\n    total = total + n\nreturn total",
    "total = 0\nfor n in map(lambda x: int(x) + total, xs[:2]):\n    total = total + n\nreturn total",
    "got = []\ntry:\n    got.extend(map(int, xs))\nexcept ValueError:\n    pass\nreturn got",
    "got = []\ntry:\n    got += (int(x) for x in xs)\nexcept ValueError:\n    pass\nreturn got",
    "it = iter(xs)\na = sorted(it)\nxs.append('1')\nreturn list(it)",
    "def more():\n    xs.append('1')\nn = 0\nfor x in (x for x in xs):\n    n += 1\n    if n < 9:\n        more()\nreturn n",
)


@pytest.mark.parametrize("body", READ_LATER)
def test_what_changes_between_is_refused(monty: Sandbox, body: str) -> None:
    """What is read later, twice, or while something else changes, is not what Monty made at once."""
    assert monty.check(_program(body))
    assert failed(monty.run(_program(body), {"xs": ["1", "2", "q"]})).kind == "syntax"


def test_two_dicts_may_have_equal_keys(monty: Sandbox, process: Sandbox) -> None:
    """1 in one table and True in another are two keys, unless the tables are put together."""
    source = "LEVELS = {0: 'none', 1: 'low'}\nFLAGS = {True: 'yes', False: 'no'}\ndef run(n, ok):\n    return LEVELS[n] + FLAGS[ok]"
    given: dict[str, Value] = {"n": 1, "ok": True}
    assert list(monty.check(Program(source))) == []
    assert returned(monty.run(Program(source), given)) == returned(process.run(Program(source), given)) == "lowyes"
    for together in ("{**LEVELS, **FLAGS}", "LEVELS | FLAGS", "dict(LEVELS, a=1)", "LEVELS.update(FLAGS)"):
        problems = monty.check(Program(source.replace("LEVELS[n] + FLAGS[ok]", f"str({together})")))
        assert "write it one way" in problems[0].message
