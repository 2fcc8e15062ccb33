"""The `where` expression: what it may say, what it may not, and that it never raises."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglam_agents.guards.predicate import MAX_EXPRESSION, compile_predicate
from seglam_agents.records.errors import PredicateError
from seglam_agents.records.values import Money, Quantity, Value

ARGUMENTS: dict[str, Value] = {
    "n": 3,
    "x": 2.5,
    "word": "noon",
    "items": ["a", "b"],
    "total": Money(12.5, "USD"),
    "length": Quantity(5, "mile"),
    "day": date(2024, 2, 29),
    "span": timedelta(hours=2),
    "flag": True,
    "absent": None,
}
TRUE = [
    "n > 0",
    "n >= 3 and n <= 3",
    "0 < n < 10",
    "n == 3 or n == 4",
    "not n == 4",
    "n != 4",
    "n + 1 == 4",
    "n - 1 == 2",
    "n * 2 == 6",
    "n / 2 == 1.5",
    "n // 2 == 1",
    "n % 2 == 1",
    "-n == -3",
    "n in (1, 2, 3)",
    "n in [1, 2, 3]",
    "n in {1, 2, 3}",
    "n not in (1, 2)",
    "word in ('noon', 'night')",
    "word == 'noon'",
    "'oo' in word",
    "absent is None",
    "n is not None",
    "flag",
    "flag is True",
    "total.amount > 12",
    "total.currency == 'USD'",
    "length.value * 2 == 10",
    "length.unit in ('mile', 'kilometer')",
    "len(items) == 2",
    "len(word) > 1",
    "abs(-n) == 3",
    "min(n, x) == 2.5",
    "max(n, x) == 3",
    "(n > 5 or x > 2) and not absent",
]
FALSE = [
    "n > 3",
    "0 < n < 3",
    "n / 0 == 1",
    "n % 0 == 0",
    "word > 3",
    "word * 3 == 'x'",
    "word + word == 'noonnoon'",
    "flag + 1 == 2",
    "n.amount > 0",
    "length.amount > 0",
    "total.unit == 'mile'",
    "len(n) > 0",
    "abs(word) == 1",
    "min(n) == 3",
    "max(()) == 3",
    "unknown == 1",
    "absent > 0",
    "-word == 1",
    "n in n",
    "day > 3",
    "1e308 * 1e308 - 1e308 * 1e308 == 0",
]


@pytest.mark.parametrize("source", TRUE)
def test_what_is_true(source: str) -> None:
    """The allowed expressions mean what they mean in Python."""
    assert compile_predicate(source).holds(ARGUMENTS)


@pytest.mark.parametrize("source", FALSE)
def test_what_is_not_true(source: str) -> None:
    """An expression that is false or cannot be evaluated does not hold."""
    assert not compile_predicate(source).holds(ARGUMENTS)


@pytest.mark.parametrize(
    "source",
    [
        "open('x')",
        "__import__('os')",
        "len.__call__(word)",
        "word.upper() == 'NOON'",
        "eval('1')",
        "sum(items)",
        "len(items, key=1)",
        "max(*items)",
        "max(items, key=len)",
        "len",
        "max > 1",
        "n ** 2 == 9",
        "n.__class__",
        "n.real",
        "total._fields",
        "total.amount.real",
        "lambda: 1",
        "(lambda: 1)()",
        "[i for i in items]",
        "{i for i in items}",
        "{i: i for i in items}",
        "(i for i in items)",
        "items[0] == 'a'",
        "items[0:1]",
        "{'a': 1}",
        "1 if n else 2",
        "(m := n)",
        "f'{n}'",
        "b'x' == b'x'",
        "1j == n",
        "...",
        "n & 1",
        "n | 1",
        "n ^ 1",
        "n << 30",
        "n >> 1",
        "~n",
        "+n",
        "n @ n",
        "await n",
        "(yield n)",
        "(*items,)",
    ],
)
def test_what_is_refused(source: str) -> None:
    """Whatever is not on the list is refused when the expression is compiled."""
    with pytest.raises(PredicateError):
        compile_predicate(source)


@pytest.mark.parametrize("source", ["", "n >", "n = 3", "import os", "n; n", "\0", "(" * 300, "n > 0 n", "n\nm"])
def test_what_is_no_expression(source: str) -> None:
    """A text that is no expression is refused."""
    with pytest.raises(PredicateError, match="no expression"):
        compile_predicate(source)


def test_an_expression_may_be_as_long_as_the_limit() -> None:
    """One character more than the limit is refused."""
    fits = "n" + " " * (MAX_EXPRESSION - 5) + "== 3"
    assert compile_predicate(fits).holds(ARGUMENTS)
    with pytest.raises(PredicateError, match=str(MAX_EXPRESSION)):
        compile_predicate(fits + " ")


def test_the_names_of_an_expression() -> None:
    """The names are those of arguments, without the functions."""
    assert compile_predicate("len(items) > min(n, total.amount) and word in ('a', 'b')").names == {
        "items",
        "n",
        "total",
        "word",
    }


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.dates()
    | st.datetimes()
    | st.times()
    | st.timedeltas()
    | st.builds(Money, st.floats(), st.text(max_size=3))
    | st.builds(Quantity, st.floats(), st.text(max_size=3)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@given(source=st.sampled_from([*TRUE, *FALSE]), arguments=st.dictionaries(st.sampled_from([*ARGUMENTS]), VALUES))
def test_holds_never_raises(source: str, arguments: dict[str, Value]) -> None:
    """An expression over any values is true or it is not."""
    assert compile_predicate(source).holds(arguments) in (True, False)


@given(source=st.text(alphabet="nx12 +-*/%()[]{}<>=!.,'\"abel:inotrd_", max_size=30))
def test_any_text_compiles_or_is_refused(source: str) -> None:
    """No text does anything but compile or be refused as a `PredicateError`."""
    try:
        predicate = compile_predicate(source)
    except PredicateError:
        return
    assert predicate.holds(ARGUMENTS) in (True, False)
