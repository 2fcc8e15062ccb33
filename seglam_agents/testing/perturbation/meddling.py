"""Changes at the values of a request: clauses, restrictions, units, ranges, other numbers, titles, opposites."""

from __future__ import annotations

import re
from collections.abc import Iterator

from seglam_agents.records.values import as_number
from seglam_agents.testing.perturbation.perturbed import Perturbed
from seglam_agents.testing.perturbation.subject import Span, Subject

_AT = (
    "instead of the other", "or the next one", "but not now", "without tip", "and its copies", "except on Fridays",
    "if possible", "unless cancelled", "as before", "twice", "or whatever fits", "and friends", "for the second time",
    "minus the first", "(the old one)", "the younger", "at half price", "from last year",
)  # fmt: skip
_RESTRICTIONS = (
    "only", "not", "anything but", "all except", "at most", "at least", "up to", "more than", "less than", "about",
    "nearly", "half of", "another", "every", "the opposite of", "the last of", "exactly not", "no",
)  # fmt: skip
_UNITS = ("%", " dozen", " km", " hours", " kg", "k", " million", " dollars", " percent", " pairs of", "th", " degrees")
_AFTER_MONTH = re.compile(r"(?i)\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? $")
_TITLES = ("Dr.", "Professor", "old Mr.", "the late", "fake")
_PARTS = ((1, 3), (3, 5))
"""Numbers that make a usual fraction with the number two above them, which is what a reader takes them for."""
_OPPOSITES = (
    ("cancel", "keep"), ("add", "remove"), ("open", "close"), ("send", "receive"), ("buy", "sell"), ("raise", "lower"),
    ("increase", "decrease"), ("start", "stop"), ("on", "off"), ("accept", "reject"), ("approve", "reject"),
    ("lock", "unlock"), ("enable", "disable"), ("multiply", "divide"), ("plus", "minus"), ("deposit", "withdraw"),
    ("from", "to"), ("first", "last"), ("smallest", "largest"), ("latest", "earliest"), ("before", "after"),
    ("above", "below"), ("more", "fewer"), ("over", "under"), ("gross", "net"), ("into", "out of"), ("all", "none"),
    ("highest", "lowest"), ("open", "shut"), ("delete", "restore"), ("create", "delete"), ("in", "out"),
    ("buy", "return"),
    ("schedule", "cancel"), ("push back", "bring forward"), ("with", "without"), ("most", "least"), ("up", "down"),
    ("old", "new"), ("this", "last"), ("left", "gone"), ("long", "short"), ("big", "small"), ("split", "combine"),
    ("longest", "shortest"), ("many", "few"), ("hold", "release"), ("email", "call"), ("assign", "withdraw"),
)  # fmt: skip


def clauses_at_values(subject: Subject) -> Iterator[Perturbed]:
    """A clause right behind each value, and before it."""
    for span in subject.spans:
        value = subject.value(span)
        for clause in _AT:
            yield _other(subject.put(span, f"{value} {clause}"), "clause at a value", f"{value} {clause}")


def clauses_in_values(subject: Subject) -> Iterator[Perturbed]:
    """A clause within a value of several words; in quotation marks it belongs to the value."""
    for span in subject.spans:
        value = subject.value(span)
        for clause in ("or not", "and others", "(no longer)", "instead"):
            if span.sort == "quoted":
                new = f"{value[1:-1]} {clause}"
                text = subject.put(span, f"{value[0]}{new}{value[-1]}")
                yield Perturbed(text, "other", "clause in a value", clause, value=new)
            elif " " in value:
                first, rest = value.split(" ", 1)
                yield _other(subject.put(span, f"{first} {clause} {rest}"), "clause in a value", clause)


def restrictions(subject: Subject) -> Iterator[Perturbed]:
    """A word before a value that limits, denies or compares it."""
    for span in subject.spans:
        value = subject.value(span)
        for word in _RESTRICTIONS:
            if span.sort != "number" and word in ("at most", "at least", "up to", "more than", "less than", "nearly"):
                continue
            yield _other(subject.put(span, f"{word} {value}"), "restriction", f"{word} {value}")


def units(subject: Subject) -> Iterator[Perturbed]:
    """A unit behind a number that had none, or another unit than it had."""
    for span in subject.spans:
        if span.sort != "number":
            continue
        behind = subject.text[span.end :]
        dated = bool(_AFTER_MONTH.search(subject.text[: span.start]))
        for unit in _UNITS:
            if unit == "th" and dated:
                continue  # "November 30th" is the same day.
            if not behind.lower().startswith(unit.strip()) and not behind.lower().startswith(unit):
                new = f"{subject.value(span)}{unit}"
                yield Perturbed(
                    subject.put(span, new), "other", "unit", new, value=_multiplied(subject.value(span), unit)
                )
        before = subject.text[: span.start]
        for sign in ("$", "€", "£"):
            if before.endswith(("$", "€", "£")) and not before.endswith(sign):
                text = before[:-1] + sign + subject.text[span.start :]
                yield Perturbed(text, "other", "unit", f"{before[-1]} -> {sign}", value=_currency(sign))


def ranges(subject: Subject) -> Iterator[Perturbed]:
    """Two numbers, or a number from and to, in the place of one."""
    for span in subject.spans:
        number = _whole(subject.value(span)) if span.sort == "number" else None
        if number is None:
            continue
        high = number + 2
        for new in (
            f"{number}-{high}",
            f"{number} to {high}",
            f"{number} or {high}",
            f"between {number} and {high}",
            f"{number}, {high}",
            f"{number} or so",
            f"{number}+",
            f"{number}/{high}",
            f"{number}..{high}",
        ):
            value = subject.reads(span, str(number / high)) if "/" in new and (number, high) in _PARTS else None
            yield Perturbed(subject.put(span, new), "other", "range", new, value=value)  # fmt: skip


def numbers(subject: Subject) -> Iterator[Perturbed]:
    """Another number: a hit is right where it carries the new one."""
    for span in subject.spans:
        number = _whole(subject.value(span)) if span.sort == "number" else None
        if number is None:
            continue
        for new in (number + 1, number * 10, number + 37, -number, 0):
            yield _another(subject, span, str(new))
        yield _another(subject, span, f"{number}.5")


def titles(subject: Subject) -> Iterator[Perturbed]:
    """A title or a by-name at a name: another person, as far as anybody can tell."""
    for span in subject.spans:
        if span.sort != "name":
            continue
        value = subject.value(span)
        for new in (*(f"{title} {value}" for title in _TITLES), f"{value} Jr.", f"{value} III", f"{value}'s mother"):
            yield Perturbed(subject.put(span, new), "other", "title", new, value=new, disputed=True)


def opposites(subject: Subject) -> Iterator[Perturbed]:
    """A word that decides turned into its opposite."""
    for pair in _OPPOSITES:
        for old, new in (pair, pair[::-1]):
            for match in re.finditer(rf"(?<![\w-]){re.escape(old)}(?![\w-])", subject.text, re.IGNORECASE):
                if any(span.start <= match.start() < span.end for span in subject.spans):
                    continue
                cased = new[:1].upper() + new[1:] if match.group()[:1].isupper() else new
                text = subject.text[: match.start()] + cased + subject.text[match.end() :]
                yield Perturbed(text, "other", "opposite", f"{old} -> {new}", value=new)


def swaps(subject: Subject) -> Iterator[Perturbed]:
    """Two values of one sort exchanged: a hit is right where it exchanges them too."""
    for place, left in enumerate(subject.spans):
        for right in subject.spans[place + 1 :]:
            one, other = subject.value(left), subject.value(right)
            if left.sort == right.sort and one.casefold() != other.casefold():
                between = subject.text[left.end : right.start]
                text = subject.text[: left.start] + other + between + one + subject.text[right.end :]
                yield Perturbed(
                    text, "other", "swap", f"{one} <-> {other}", value=subject.reads(left, _plain(other)),
                    was=subject.reads(left, _plain(one)), second=subject.reads(right, _plain(one)),
                )  # fmt: skip


def left_out(subject: Subject) -> Iterator[Perturbed]:
    """A value is missing, or a pronoun stands for it."""
    for span in subject.spans:
        for new in ("", "it", "that one", "the same as before", "whatever you like"):
            text = " ".join(subject.put(span, new).split())
            yield _other(text, "value left out", f"{subject.value(span)} -> {new or 'nothing'}")


def _other(text: str, sort: str, change: str) -> Perturbed:
    return Perturbed(text, "other", sort, change)


def _another(subject: Subject, span: Span, new: str) -> Perturbed:
    old = subject.value(span)
    return Perturbed(
        subject.put(span, new), "other", "number", f"{old} -> {new}", value=subject.reads(span, new),
        was=subject.reads(span, old),
    )  # fmt: skip


def _whole(text: str) -> int | None:
    digits = text.replace(",", "")
    return int(digits) if digits.isdecimal() else None


def _multiplied(value: str, unit: str) -> str | None:
    """Return the number that a value and a word for a multiple make; None for a unit."""
    number, factor = as_number(value), {"k": 1_000, " million": 1_000_000, " dozen": 12}.get(unit)
    return format(number * factor, ".12g") if number is not None and factor else None


def _plain(text: str) -> str:
    return text.strip("\"'“”")


def _currency(sign: str) -> str:
    return {"$": "USD", "€": "EUR", "£": "GBP"}[sign]
