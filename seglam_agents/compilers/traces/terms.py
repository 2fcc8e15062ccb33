"""`Term`: an expression over what a body can see, as Python source and as a function that computes the same.

What a body sees at one point of one trace is a `View`: its arguments, the results of the calls so far, the element of
the loop it is in, and `now`. The functions that generated bodies may use are `PRELUDE`; the same text is what terms
compute with here, so that a term means in the sandbox what it meant when it was chosen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from seglam_agents.records.values import Value

View: TypeAlias = Mapping[str, Value]
Family: TypeAlias = Literal["constant", "request", "result", "clock", "computed"]


class Unknown(Exception):
    """A term has no value in a view."""


@dataclass(frozen=True, slots=True)
class Term:
    """One expression."""

    code: str
    function: Callable[[View], Value] = field(compare=False, repr=False)
    family: Family
    size: int = 1
    sources: frozenset[str] = frozenset()
    """The names it reads."""

    def __call__(self, view: View) -> Value:
        """Compute it.

        Raises:
            Unknown: it has no value here.
        """
        try:
            return self.function(view)
        except Exception as error:  # whatever the data does: a term that fails here explains nothing here
            raise Unknown(str(error)) from error


Values: TypeAlias = tuple[Value, ...]


def values(term: Term, views: Iterable[View]) -> Values | None:
    """Return the values of a term in all views; None where it has none in one of them."""
    try:
        return tuple(term(view) for view in views)
    except Unknown:
        return None


def constant(value: Value) -> Term:
    """Return a literal."""
    return Term(literal(value), lambda _: value, "constant", 1)


def named(key: str) -> Term:
    """Return a key of records, as an argument of functions over them; it weighs nothing."""
    return Term(literal(key), lambda _: key, "constant", 0)


def variable(name: str, family: Family) -> Term:
    """Return an argument or a result by its name."""
    return Term(name, lambda view: view[name], family, 1, frozenset((name,)))


def item(owner: Term, key: str) -> Term:
    """Return a key of a dict."""
    return Term(
        f"{owner.code}[{key!r}]",
        lambda view: cast(Mapping[str, Value], owner.function(view))[key],
        owner.family,
        owner.size + 1,
        owner.sources,
    )


def applied(name: str, *arguments: Term, family: Family | None = None, options: Sequence[Value] = ()) -> Term:
    """Return a function of the prelude, or one of Python's own, applied to terms and literal options."""
    function = FUNCTIONS[name]
    code = f"{name}({', '.join([*(a.code for a in arguments), *(literal(option) for option in options)])})"
    return Term(
        code,
        lambda view: function(*(argument.function(view) for argument in arguments), *options),
        family or arguments[0].family,
        1 + sum(argument.size for argument in arguments),
        frozenset[str]().union(*(argument.sources for argument in arguments)),
    )


def attribute(owner: Term, name: str) -> Term:
    """Return `.amount` of money, `.value` of a quantity."""
    return Term(
        f"{owner.code}.{name}",
        lambda view: getattr(owner.function(view), name),
        owner.family,
        owner.size,
        owner.sources,
    )


def operation(operator: str, left: Term, right: Term) -> Term:
    """Return a sum, difference, product or quotient."""
    compute = _OPERATORS[operator]
    first = left.code if left.size == 1 or "(" not in left.code[:1] else f"({left.code})"
    return Term(
        f"{_wrapped(left) if left.family == 'computed' else first} {operator} {_wrapped(right)}",
        lambda view: compute(_number(left.function(view)), _number(right.function(view))),
        "computed",
        1 + left.size + right.size,
        left.sources | right.sources,
    )


def joined(parts: Sequence[Term | str]) -> Term:
    """Return an f-string of literal texts and terms."""
    pieces = [_escaped(part) if isinstance(part, str) else "{" + part.code + "}" for part in parts]
    terms = [part for part in parts if isinstance(part, Term)]
    quote = '"' if not any('"' in piece for piece in pieces) else "'"
    if quote == "'" and any("'" in piece for piece in pieces):
        raise Unknown  # Nested quotes in an f-string need Python 3.12.
    return Term(
        f"f{quote}{''.join(pieces)}{quote}",
        lambda view: "".join(part if isinstance(part, str) else str(part.function(view)) for part in parts),
        _mixed(terms),
        1 + sum(term.size for term in terms),
        frozenset[str]().union(*(term.sources for term in terms)),
    )


def agreeing(terms: Sequence[Term]) -> Term:
    """Return a term that has a value only where all of these have the same."""
    return applied("agree", *terms, family=terms[0].family) if len(terms) > 1 else terms[0]


def mapping(entries: Mapping[str, Term]) -> Term:
    """Return a dict of terms."""
    terms = list(entries.values())
    return Term(
        "{" + ", ".join(f"{key!r}: {term.code}" for key, term in entries.items()) + "}",
        lambda view: {key: term.function(view) for key, term in entries.items()},
        _mixed(terms),
        1 + sum(term.size for term in terms),
        frozenset[str]().union(*(term.sources for term in terms)),
    )


def sequence(terms: Sequence[Term]) -> Term:
    """Return a list of terms."""
    return Term(
        "[" + ", ".join(term.code for term in terms) + "]",
        lambda view: [term.function(view) for term in terms],
        _mixed(terms),
        1 + sum(term.size for term in terms),
        frozenset[str]().union(*(term.sources for term in terms)),
    )


def literal(value: Value) -> str:
    """Return Python source for a JSON value."""
    return repr(value)


def used_functions(code: str) -> list[str]:
    """Return the names of prelude functions that a source uses, with those that they use, in order of definition."""
    wanted = {name for name in PRELUDE if re.search(rf"\b{name}\(", code)}
    while more := {n for n in PRELUDE for w in wanted if re.search(rf"\b{n}\(", PRELUDE[w])} - wanted:
        wanted |= more
    return [name for name in PRELUDE if name in wanted]


def _mixed(terms: Sequence[Term]) -> Family:
    families = {term.family for term in terms} or {"constant"}
    for family in ("computed", "clock", "result", "request"):
        if family in families:
            return cast(Family, family)
    return "constant"


def _wrapped(term: Term) -> str:
    return f"({term.code})" if term.family == "computed" else term.code


def _escaped(text: str) -> str:
    if "\\" in text or "\n" in text or not text.isprintable():
        return repr(text)[1:-1].replace("{", "{{").replace("}", "}}")
    return text.replace("{", "{{").replace("}", "}}")


def _number(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("no number")
    return value


_OPERATORS: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}

PRELUDE: Mapping[str, str] = {
    "expect": '''\
def expect(condition, otherwise):
    """Go on only where it is as it was in the runs."""
    if not condition:
        deopt(f"no run shows what to do with {otherwise}")
''',
    "is_text": '''\
def is_text(value, kind):
    """Tell whether a value is a text with something in it; for "id" one token with a digit, for "day" an ISO date."""
    if not isinstance(value, str) or not value.strip():
        return False
    if kind == "day":
        return re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) is not None
    return kind == "text" or re.search(r"[0-9@]", value) is not None
''',
    "like_seen": '''\
def like_seen(record, keys, values={}, ranges={}, texts={}):
    """Go on only with a record like those of the runs."""
    for key in record:
        if key not in keys:
            deopt(f"no run shows what to do with {key!r}")
    for key in values:
        if record.get(key) not in values[key]:
            deopt(f"no run shows what to do with {key}={record.get(key)!r}")
    for key in texts:
        if not is_text(record.get(key), texts[key]):
            deopt(f"no run shows what to do with {key}={record.get(key)!r}")
    for key in ranges:
        number = record.get(key)
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            deopt(f"no run shows what to do with {key}={number!r}")
        if not ranges[key][0] <= number <= ranges[key][1]:
            deopt(f"no run shows what to do with {key}={number!r}")
''',
    "rows_like": '''\
def rows_like(rows, keys, values={}, ranges={}):
    """Go on only with rows like those of the runs."""
    for row in rows:
        like_seen(row, keys, values, ranges)
''',
    "side_of": '''\
def side_of(text, now):
    """Tell whether an ISO date is before, on or after today."""
    today = iso_day(now)
    return "before" if text[:10] < today else "after" if text[:10] > today else "today"
''',
    "sentence_of": '''\
def sentence_of(text):
    """A text without its numbers and ids."""
    return re.sub(r"\\S*\\d\\S*", "#", text)
''',
    "exact": '''\
def exact(number):
    """A result without the noise of binary fractions."""
    number = round(number, 9)
    return int(number) if number == int(number) else number
''',
    "agree": '''\
def agree(first, *others):
    """Several explanations fitted every run: go on only where they still say the same."""
    for other in others:
        if other != first:
            deopt(f"explanations that fitted all runs differ here: {first!r} and {other!r}")
    return first
''',
    "only": '''\
def only(rows):
    """Every run had exactly one."""
    if not isinstance(rows, list) or len(rows) != 1:
        deopt("every run had exactly one here")
    return rows[0]
''',
    "first": """\
def first(rows):
    if not rows:
        deopt("no run was without one here")
    return rows[0]
""",
    "last": """\
def last(rows):
    if not rows:
        deopt("no run was without one here")
    return rows[-1]
""",
    "lowest": '''\
def lowest(rows, key):
    """The first row with the smallest value of a key."""
    return min(rows, key=lambda row: row[key])
''',
    "highest": '''\
def highest(rows, key):
    """The first row with the largest value of a key."""
    return max(rows, key=lambda row: row[key])
''',
    "having": """\
def having(rows, key, value):
    return [row for row in rows if row[key] == value]
""",
    "having_any": """\
def having_any(rows, key, *values):
    return [row for row in rows if row[key] in values]
""",
    "having_at_least": """\
def having_at_least(rows, key, value):
    return [row for row in rows if row[key] >= value]
""",
    "having_at_most": """\
def having_at_most(rows, key, value):
    return [row for row in rows if row[key] <= value]
""",
    "having_more": """\
def having_more(rows, key, value):
    return [row for row in rows if row[key] > value]
""",
    "having_less": """\
def having_less(rows, key, value):
    return [row for row in rows if row[key] < value]
""",
    "ordered": """\
def ordered(rows, key):
    return sorted(rows, key=lambda row: row[key])
""",
    "ordered_down": """\
def ordered_down(rows, key):
    return sorted(rows, key=lambda row: row[key], reverse=True)
""",
    "column": """\
def column(rows, key):
    return [row[key] for row in rows]
""",
    "under": '''\
def under(record, word):
    """What a record holds under a word, however that is written."""
    found = [record[key] for key in record if key.lower() == word.lower()]
    if len(found) != 1:
        deopt(f"nothing is known of {word!r}")
    return found[0]
''',
    "common": '''\
def common(rows, key):
    """What all rows say alike."""
    if not rows or any([row[key] != rows[0][key] for row in rows]):
        deopt(f"every run had one {key} in all rows here")
    return rows[0][key]
''',
    "entries": '''\
def entries(record):
    """The values of a dict, in its order."""
    return [record[key] for key in record]
''',
    "mean": """\
def mean(numbers):
    return sum(numbers) / len(numbers)
""",
    "lower": "def lower(text):\n    return text.lower()\n",
    "upper": "def upper(text):\n    return text.upper()\n",
    "title": "def title(text):\n    return text.title()\n",
    "sentence": '''\
def sentence(text):
    """With a capital at the beginning."""
    return text[:1].upper() + text[1:]
''',
    "snake": """\
def snake(text):
    return "_".join(text.lower().split())
""",
    "dashed": """\
def dashed(text):
    return "-".join(text.lower().split())
""",
    "first_word": "def first_word(text):\n    return text.split()[0]\n",
    "last_word": "def last_word(text):\n    return text.split()[-1]\n",
    "before_at": """\
def before_at(text):
    return text.split("@")[0]
""",
    "words_of": "def words_of(text):\n    return text.split()\n",
    "listed": '''\
def listed(text):
    """The items of "a, b and c"."""
    return [item.strip() for item in text.replace(" and ", ",").split(",") if item.strip()]
''',
    "comma_joined": """\
def comma_joined(items):
    return ", ".join(items)
""",
    "and_joined": """\
def and_joined(items):
    return ", ".join(items[:-1]) + " and " + items[-1] if len(items) > 1 else items[0]
""",
    "line_joined": """\
def line_joined(items):
    return "\\n".join(items)
""",
    "whole": '''\
def whole(number):
    """A number without a fraction, as an integer."""
    if number != int(number):
        deopt("every run had a whole number here")
    return int(number)
''',
    "rounded": """\
def rounded(number, digits):
    return round(number + 1e-9, digits)
""",
    "decimals": """\
def decimals(number, digits):
    return f"{number:.{digits}f}"
""",
    "minutes": """\
def minutes(span):
    return whole(span.total_seconds() / 60)
""",
    "hours": """\
def hours(span):
    seconds = span.total_seconds()
    return int(seconds // 3600) if seconds % 3600 == 0 else seconds / 3600
""",
    "days": """\
def days(span):
    return whole(span.total_seconds() / 86400)
""",
    "weeks": """\
def weeks(span):
    return whole(span.total_seconds() / 604800)
""",
    "month_number": """\
def month_number(name):
    names = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
    return names.index(name[:3].lower()) + 1
""",
    "day_of": '''\
def day_of(text):
    """The day of an ISO date, with or without a time."""
    return date(int(text[0:4]), int(text[5:7]), int(text[8:10]))
''',
    "moment_of": '''\
def moment_of(text):
    """The moment of an ISO date with a time; midnight without one."""
    clock = [int(part) for part in text[11:19].split(":")] if len(text) > 10 else [0, 0]
    seconds = clock[2] if len(clock) > 2 else 0
    return datetime(int(text[0:4]), int(text[5:7]), int(text[8:10]), clock[0], clock[1], seconds)
''',
    "this_year": '''\
def this_year(month_day, now):
    """The day of this year."""
    return date(now.year, int(month_day[:2]), int(month_day[3:]))
''',
    "coming": '''\
def coming(month_day, now):
    """The day today, or the next time it comes."""
    day = this_year(month_day, now)
    return day if day >= date(now.year, now.month, now.day) else date(day.year + 1, day.month, day.day)
''',
    "past": '''\
def past(month_day, now):
    """The day today, or the last time it was."""
    day = this_year(month_day, now)
    return day if day <= date(now.year, now.month, now.day) else date(day.year - 1, day.month, day.day)
''',
    "next_weekday": '''\
def next_weekday(name, now):
    """The first such day after today."""
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    today = date(now.year, now.month, now.day)
    return today + timedelta(days=(names.index(name) - today.weekday() - 1) % 7 + 1)
''',
    "last_weekday": '''\
def last_weekday(name, now):
    """The last such day before today."""
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    today = date(now.year, now.month, now.day)
    return today - timedelta(days=(today.weekday() - names.index(name) - 1) % 7 + 1)
''',
    "shifted": '''\
def shifted(moment, amount):
    """Some days later, or earlier where negative."""
    return moment + timedelta(days=amount)
''',
    "later": "def later(moment, span):\n    return moment + span\n",
    "earlier": "def earlier(moment, span):\n    return moment - span\n",
    "at": '''\
def at(day, clock):
    """A day and a time of day."""
    return datetime(day.year, day.month, day.day, clock.hour, clock.minute, clock.second)
''',
    "digits": '''\
def digits(text):
    """The digits of a token: 901 of "O901"."""
    return "".join([character for character in text if character.isdigit()])
''',
    "letters": '''\
def letters(text):
    """The letters before the first digit: "O" of "O901"."""
    return re.match(r"[^0-9]*", text).group(0)
''',
    "shape_of": '''\
def shape_of(text):
    """The kinds of characters of an id: "AA-0000" of "OR-1234"."""
    upper = re.sub(r"[A-Z]", "A", re.sub(r"[0-9]", "0", text))
    return re.sub(r"[a-z]", "a", upper)
''',
    "tells": '''\
def tells(result, text):
    """Tell whether a result says a text somewhere, whatever its case."""
    if isinstance(result, str):
        return result.lower() == text.lower()
    if isinstance(result, dict):
        return any([tells(result[key], text) for key in result])
    return isinstance(result, list) and any([tells(each, text) for each in result])
''',
    "having_same": '''\
def having_same(rows, key, value):
    """Rows with a text, whatever its case."""
    return [row for row in rows if row[key].lower() == value.lower()]
''',
    "having_above": '''\
def having_above(rows, key, low, high):
    """Rows from `high` up: no run shows which side of the limit lies between."""
    if any([low < row[key] < high for row in rows]):
        deopt(f"no run shows on which side {key} falls")
    return [row for row in rows if row[key] >= high]
''',
    "having_below": '''\
def having_below(rows, key, low, high):
    """Rows up to `low`: no run shows which side of the limit lies between."""
    if any([low < row[key] < high for row in rows]):
        deopt(f"no run shows on which side {key} falls")
    return [row for row in rows if row[key] <= low]
''',
    "having_before": """\
def having_before(rows, key, day):
    return [row for row in rows if row[key][:10] < iso_day(day)]
""",
    "having_from": """\
def having_from(rows, key, day):
    return [row for row in rows if row[key][:10] >= iso_day(day)]
""",
    "having_after": """\
def having_after(rows, key, day):
    return [row for row in rows if row[key][:10] > iso_day(day)]
""",
    "having_until": """\
def having_until(rows, key, day):
    return [row for row in rows if row[key][:10] <= iso_day(day)]
""",
    "having_on": """\
def having_on(rows, key, day):
    return [row for row in rows if row[key][:10] == iso_day(day)]
""",
    "having_in_month": """\
def having_in_month(rows, key, day):
    return [row for row in rows if row[key][:7] == iso_day(day)[:7]]
""",
    "quarter": "def quarter(day):\n    return (day.month + 2) // 3\n",
    "quarter_name": 'def quarter_name(day):\n    return f"Q{(day.month + 2) // 3}"\n',
    "month_name": """\
def month_name(day):
    names = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")
    return (*names, "November", "December")[day.month - 1]
""",
    "weekday_name": """\
def weekday_name(day):
    return ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")[day.weekday()]
""",
    "iso_quarter": 'def iso_quarter(day):\n    return f"{day.year}-Q{(day.month + 2) // 3}"\n',
    "iso_month": "def iso_month(day):\n    return iso_day(day)[:7]\n",
    "week": '''\
def week(day):
    """The ISO week of the year."""
    thursday = date(day.year, day.month, day.day) + timedelta(days=3 - day.weekday())
    return (thursday - date(thursday.year, 1, 1)).days // 7 + 1
''',
    "day_number": "def day_number(day):\n    return day.day\n",
    "month_of": "def month_of(day):\n    return day.month\n",
    "year_of": "def year_of(day):\n    return day.year\n",
    "months_later": '''\
def months_later(day, amount):
    """The first of a month some months later, or earlier where negative."""
    months = day.year * 12 + day.month - 1 + amount
    return date(months // 12, months % 12 + 1, 1)
''',
    "quarter_start": "def quarter_start(day):\n    return date(day.year, day.month - (day.month - 1) % 3, 1)\n",
    "year_start": "def year_start(day):\n    return date(day.year, 1, 1)\n",
    "week_start": '''\
def week_start(day):
    """The Monday of the week."""
    return date(day.year, day.month, day.day) - timedelta(days=day.weekday())
''',
    "grouped": 'def grouped(number):\n    return f"{number:,}"\n',
    "grouped_cents": 'def grouped_cents(number):\n    return f"{number:,.2f}"\n',
    "iso_day": """\
def iso_day(day):
    return f"{day.year:04}-{day.month:02}-{day.day:02}"
""",
    "iso_moment": """\
def iso_moment(moment, between):
    return f"{iso_day(moment)}{between}{moment.hour:02}:{moment.minute:02}:{moment.second:02}"
""",
}
"""Functions of generated bodies by name, as source. Each does one thing that its name says."""


def _functions() -> Mapping[str, Callable[..., Value]]:
    """Return the functions of the prelude, and the few of Python's own, as terms compute with them."""
    from datetime import date, datetime, timedelta

    def deopt(reason: str) -> None:
        raise Unknown(reason)

    names: dict[str, object] = {"deopt": deopt, "date": date, "datetime": datetime, "timedelta": timedelta, "re": re}
    exec("\n".join(PRELUDE.values()), names)  # noqa: S102  # the constant text above, nothing else
    found = {name: cast("Callable[..., Value]", names[name]) for name in PRELUDE}
    own = {"str": str, "int": int, "float": float, "len": len, "sum": sum, "min": min, "max": max}
    return {**found, **cast("dict[str, Callable[..., Value]]", own)}


FUNCTIONS = _functions()
