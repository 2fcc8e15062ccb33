"""Slot types through their public API: the laws every type keeps, the registry, and what a sandbox may import."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglam_agents.guards.normal import linear, normalise
from seglam_agents.guards.slots import Slot, exports, slot, slot_types
from seglam_agents.records.errors import SlotError
from seglam_agents.records.values import Money, Quantity, Value, decode, encode

PLAIN = [name for name in slot_types() if "(" not in name]
WITH_OPTIONS = [
    "choice(red|dark green|one way)",
    "choice(a?|b.)",
    "unit(mass)",
    "quantity(length)",
    "quantity(temperature)",
    *(
        f"list({name})"
        for name in (*PLAIN, "choice(red|dark green)", "quantity(volume)")
        if name not in ("text", "unit", "month")
    ),
]
TYPES = [*PLAIN, *WITH_OPTIONS]
RANDOM = st.integers(0, 10**9).map(random.Random)
every_type = pytest.mark.parametrize("kind", TYPES)


def raw_text(kind: Slot, rendered: str) -> str:
    """Return what `parse` is given when a whole request is a rendered value."""
    normal = normalise(rendered)
    return normal.source(0, len(normal.text)) if kind.verbatim else normal.text


@every_type
@given(rng=RANDOM)
def test_a_rendered_sample_reads_back(kind: str, rng: random.Random) -> None:
    """What a type makes up, writes and normalises matches its pattern and reads back as the same value."""
    found = slot(kind)
    value = found.sample(rng)
    rendered = found.render(value)
    assert found.same(found.parse(rendered), value)
    assert linear(found.pattern).fullmatch(normalise(rendered).text)
    assert found.same(found.parse(raw_text(found, rendered)), value)


@every_type
@given(rng=RANDOM)
def test_an_extra_word_is_never_swallowed(kind: str, rng: random.Random) -> None:
    """A text with one word more is no value of a closed type, and another value of an open one."""
    found = slot(kind)
    value = found.sample(rng)
    for extra in (f"{raw_text(found, found.render(value))} purple", f"purple {raw_text(found, found.render(value))}"):
        read = found.parse(extra)
        assert read is None or (found.open and not found.same(read, value))


@every_type
@given(text=st.one_of(st.text(max_size=50), st.text(alphabet="0123456789.,/-$€ :'\"andAx\ud800\u200b", max_size=25)))
def test_reading_is_total(kind: str, text: str) -> None:
    """Any text at all is read without an error, and what is read can be written."""
    found = slot(kind)
    value = found.parse(text)
    if value is not None:
        assert found.same(value, value)


@every_type
@given(rng=RANDOM)
def test_a_sample_has_a_json_form(kind: str, rng: random.Random) -> None:
    """Every value can be stored and comes back the same."""
    found = slot(kind)
    value = found.sample(rng)
    assert found.same(decode(encode(value)), value)


@every_type
def test_a_pattern_is_short_and_binds_nothing(kind: str) -> None:
    """A pattern can be repeated in a template: it has no groups of its own."""
    found = slot(kind)
    matched = linear(f"(?:{found.pattern})|()").fullmatch("")
    assert matched is not None
    assert matched.span(1) == (0, 0)
    assert len(found.pattern) < (1000 if kind.startswith("list(") else 400)


@every_type
def test_a_type_describes_itself(kind: str) -> None:
    """Name, Python type and description are there for the docs and for models."""
    found = slot(kind)
    assert found.name == kind
    assert found.python
    assert "\n" not in found.description
    assert len(found.description) > 10


@every_type
@pytest.mark.parametrize("value", [None, [], {}, object(), float("nan"), float("inf"), b"x"])
def test_what_is_no_value_is_not_rendered(kind: str, value: Value) -> None:
    """A value of another type is an error, never a wrong text."""
    with pytest.raises(SlotError):
        slot(kind).render(value)


@given(st.floats(-1e12, 1e12).map(lambda value: round(value, 6)))
def test_any_number_reads_back(value: float) -> None:
    """Numbers are written without exponents and read back exactly."""
    assert slot("number").parse(slot("number").render(value)) == value


@given(
    st.integers(0, 10**8).map(lambda cents: cents / 100), st.sampled_from(["USD", "EUR", "JPY", "PLN", "BRL", "KES"])
)
def test_any_money_reads_back(amount: float, code: str) -> None:
    """Amounts with cents read back exactly in every currency."""
    money = Money(amount, code)
    assert slot("money").parse(slot("money").render(money)) == money


@given(st.dates(date(1000, 1, 1)))
def test_any_date_reads_back(value: date) -> None:
    """Every date with a year of four digits reads back."""
    assert slot("date").parse(slot("date").render(value)) == value


@given(st.timedeltas(timedelta(0), timedelta(days=9999)))
def test_any_duration_reads_back(value: timedelta) -> None:
    """Durations read back to the microsecond."""
    assert slot("duration").parse(slot("duration").render(value)) == value


@pytest.mark.parametrize(
    ("kind", "left", "right"),
    [
        ("person", "Ayşe", "AYŞE"),
        ("person", "O’Brien", "O'Brien"),
        ("name", "Bank of America", "bank of america"),
        ("noun", "apple", "apples"),
        ("noun", "boxes", "box"),
        ("noun", "berry", "berries"),
        ("noun", "leaf", "leaves"),
        ("noun", "knives", "knife"),
        ("noun", "red potatoes", "red potato"),
        ("noun", "children", "child"),
        ("noun", "horse", "horses"),
        ("number", 2, 2.0),
        ("email", "Ada@Example.com", "ada@example.com"),
        ("quantity", Quantity(1, "kilometer"), Quantity(1000, "meter")),
        ("list(noun)", ["apple", "box"], ["apples", "boxes"]),
    ],
)
def test_the_same_thing_mentioned_twice(kind: str, left: Value, right: Value) -> None:
    """A second mention may differ in case, apostrophe or plural."""
    assert slot(kind).same(left, right)
    assert slot(kind).same(right, left)


@pytest.mark.parametrize(
    ("kind", "left", "right"),
    [
        ("person", "Tom", "Tim"),
        ("noun", "apples", "pears"),
        ("noun", "glass", "glas"),
        ("noun", "bus", "buzz"),
        ("money", Money(5, "USD"), Money(5, "EUR")),
        ("quantity", Quantity(1, "mile"), Quantity(1, "kilogram")),
        ("list(noun)", ["apples"], ["apples", "pears"]),
        ("noun", "apples", 5),
        ("noun", None, "apples"),
    ],
)
def test_different_things(kind: str, left: Value, right: Value) -> None:
    """Things that only look alike are not the same."""
    assert not slot(kind).same(left, right)


@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ("mony", "did you mean money"),
        ("Persons", "did you mean person"),
        ("", "known are"),
        ("choice", r"choice\(red\|blue\)"),
        ("choice()", "not empty"),
        ("choice(a|)", "not empty"),
        ("choice(a|A)", "not the same"),
        ("choice(a", "closing"),
        ("list", r"list\(person\)"),
        ("list(text)", "where one item ends"),
        ("list(list(number))", "where one item ends"),
        ("list(numbr)", "did you mean number"),
        ("quantity(lenght)", "did you mean length"),
        ("quantity()", "no units of"),
        ("money(USD)", "takes no options"),
        ("mony(USD)", "did you mean money"),
    ],
)
def test_a_wrong_spelling_says_what_is_right(spelling: str, message: str) -> None:
    """An unknown type or option names the nearest known ones."""
    with pytest.raises(SlotError, match=message):
        slot(spelling)


def test_slots_are_equal_by_spelling() -> None:
    """The same spelling gives the same slot."""
    assert slot("money") is slot("money")
    assert slot(" choice(a | b) ") == slot("choice(a|b)")
    assert len({slot("choice(a|b)"), slot("choice( a|b)"), slot("money")}) == 2


def test_every_type_is_listed() -> None:
    """The list of types holds the ones with options too."""
    listed = slot_types()
    assert {"number", "money", "person", "text", "choice(a|b)", "list(T)", "quantity(D)", "unit(D)"} <= set(listed)


# --- what a sandbox may import ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("number", "  Twenty-five. ", 25),
        ("person", "O’Brien", "O’Brien"),
        ("list(number)", "one, two and 3½", [1, 2, 3.5]),
        ("money", "£1.2 million", Money(1_200_000, "GBP")),
        ("no such type", "1", None),
        ("number", "", None),
        ("number", "\ud800", None),
        (5, "1", None),
        ("number", 5, None),
        ("number", "1" * 10_000, None),
        ("x" * 10_000, "1", None),
    ],
)
def test_parse_reads_a_whole_text(kind: Value, text: Value, value: Value) -> None:
    """`parse` normalises by itself and answers None to everything else."""
    assert exports()["parse"](kind, text) == value


def test_find_returns_the_places_in_the_original_text() -> None:
    """`find` counts characters of the text it was given, not of the normalised one."""
    text = "Paid  $5 ,  then twenty-five dollars… not 5 apples"
    found = exports()["find"]("money", text)
    assert [value for value, _, _ in found] == [Money(5, "USD"), Money(25, "USD")]
    assert [text[start:end] for _, start, end in found] == ["$5", "twenty-five dollars"]


@pytest.mark.parametrize(
    ("kind", "text", "values"),
    [
        ("number", "3 apples, 4.5 pears, x5, 5x, 12:30, 3.14.15, 1/3 and 7", [3, 4.5, 7]),
        ("person", "Yesterday Tom Smith met Bob's sister Ann", ["Tom Smith", "Ann"]),
        (
            "quantity(length)",
            "a 5 mile run, a 6-foot fence, 3 boys and 2 kg",
            [Quantity(5, "mile"), Quantity(6, "foot")],
        ),
        ("date", "2023-01-02 or May 5, 2024?", [date(2023, 1, 2), date(2024, 5, 5)]),
        ("email", "Write to ada@example.com, or not", ["ada@example.com"]),
        ("nothing", "5", []),
        ("number", None, []),
    ],
)
def test_find_returns_all_places(kind: Value, text: Value, values: list[Value]) -> None:
    """`find` skips what only begins like a value or is a part of something longer."""
    assert [value for value, _, _ in exports()["find"](kind, text)] == values


@pytest.mark.parametrize(
    ("quantity", "unit", "expected"),
    [
        (Quantity(5, "mile"), "km", Quantity(8.04672, "kilometer")),
        (Quantity(68, "degree Fahrenheit"), "°C", Quantity(20, "degree Celsius")),
        ([100, "degree Celsius"], "K", Quantity(373.15, "kelvin")),
        (Quantity(1, "gallon"), "cups", Quantity(16, "cup")),
        (Quantity(1, "tablespoon"), "teaspoons", Quantity(3, "teaspoon")),
        (Quantity(1, "acre"), "square feet", Quantity(43_560, "square foot")),
        (Quantity(36, "kilometer per hour"), "m/s", Quantity(10, "meter per second")),
        (Quantity(2, "year"), "months", Quantity(24, "month")),
        (Quantity(1, "year"), "days", None),
        (Quantity(5, "mile"), "kg", None),
        (Quantity(5, "mile"), "purple", None),
        (Quantity(5, "purple"), "km", None),
        (Quantity(float("nan"), "mile"), "km", None),
        (Quantity(float("inf"), "mile"), "km", None),
        ([True, "mile"], "km", None),
        ([1, "mile", 2], "km", None),
        ("5 miles", "km", None),
        (5, "km", None),
        (Quantity(5, "mile"), 5, None),
    ],
)
def test_convert_between_units_of_one_kind(quantity: Value, unit: Value, expected: Value) -> None:
    """`convert` is exact, and None between kinds."""
    assert exports()["convert"](quantity, unit) == expected


def test_render_and_normalise_are_total() -> None:
    """`render` and `normalise` answer to anything."""
    render, normal = exports()["render"], exports()["normalise"]
    assert render("money", Money(1020, "USD")) == "$1,020"
    assert render("money", "five") is None
    assert render("nothing", 5) is None
    assert normal("Twenty  five?") == "25"
    assert normal(5) == ""
    assert normal("x" * 10_000) == ""


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.lists(st.text(max_size=9))
)


@given(st.sampled_from(sorted(exports())), st.one_of(st.sampled_from(TYPES), VALUES), VALUES)
def test_exports_are_total(name: str, first: Value, second: Value) -> None:
    """No argument that untrusted code can pass makes an exported function fail."""
    function = exports()[name]
    _ = function(second) if name == "normalise" else function(first, second)
