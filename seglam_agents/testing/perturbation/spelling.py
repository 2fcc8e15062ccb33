"""Changes of spelling alone: polite frames, letter case, scripts, marks and spaces, numbers in words."""

from __future__ import annotations

from collections.abc import Iterator

from seglam_agents.testing.perturbation.perturbed import Perturbed
from seglam_agents.testing.perturbation.subject import Subject

_WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_LOOK_ALIKE = str.maketrans("aceopxy", "асеорху")
"""Cyrillic letters that look like Latin ones."""


def polite_frames(subject: Subject) -> Iterator[Perturbed]:
    """What polite people put around the same request."""
    bare, inner = subject.bare, subject.inner
    mark = "?" if subject.text.rstrip().endswith("?") else ""
    frames = [f"Hi, {inner}{mark}", f"Hello! {bare}{mark}", f"{bare}{mark or '.'} Thanks!",
              f"{bare}{mark or '.'} Thank you.",
              f"Hey, {inner}{mark}", f"Good morning, {inner}{mark}"]  # fmt: skip
    if not subject.asks:
        frames += [f"Please {inner}", f"{bare} please", f"{bare}, please.", f"Could you please {inner}?",
                   f"Can you {inner}?", f"Could you {inner} for me?", f"I would like you to {inner}",
                   f"Would you mind: {inner}", f"Kindly {inner}"]  # fmt: skip
    if bare.lower().startswith(("please", "can you", "could you")):
        frames = frames[:4]
    yield from (_same(frame, "polite frame", frame) for frame in frames)


def letter_case(subject: Subject) -> Iterator[Perturbed]:
    """The same letters, small or capital. What is in quotation marks, and codes, may mean them."""
    exact = any(span.sort in ("quoted", "code") for span in subject.spans)
    for text, name in (
        (subject.text.lower(), "small"),
        (subject.text.upper(), "capital"),
        (subject.text.title(), "capital at each word"),
        (subject.text[:1].lower() + subject.text[1:], "small at the start"),
    ):
        yield Perturbed(text, "same", "letter case", name, disputed=exact and name != "small at the start")


def scripts(subject: Subject) -> Iterator[Perturbed]:
    """Digits of full width; letters of another script that only look the same."""
    wide = subject.text.translate({ord("0") + digit: ord("０") + digit for digit in range(10)})
    yield _same(wide, "script", "digits of full width")
    for span in subject.spans:
        if span.sort in ("name", "words", "code"):
            new = subject.value(span).translate(_LOOK_ALIKE)
            # For a reader it is the same; for a look-up it is another key.
            yield Perturbed(subject.put(span, new), "other", "script", f"Cyrillic {new}", value=new, disputed=True)


def marks(subject: Subject) -> Iterator[Perturbed]:
    """Marks at the end, spaces, quotation marks and apostrophes of another form."""
    text = subject.text
    end = "?" if text.rstrip().endswith("?") else ""
    for new, name in (
        (f"  {text}  ", "spaces around"),
        (text.replace(" ", "  "), "two spaces"),
        (text.replace(" ", "\u00a0"), "spaces that do not break"),
        (text.replace(" ", "\n", 1), "a line break"),
        (f"{subject.bare}{end or '.'}", "a full stop"),
        (f"{subject.bare}!", "an exclamation mark"),
        (subject.bare, "no mark"),
        (text.replace("'", "’"), "a curly apostrophe"),
        (_curled(text), "curly quotation marks"),
    ):
        yield _same(new, "marks and spaces", name)


def number_words(subject: Subject) -> Iterator[Perturbed]:
    """Small numbers in words; large ones with and without marks at the thousands."""
    for span in subject.spans:
        digits = subject.value(span).replace(",", "")
        if span.sort != "number" or not digits.isdecimal():
            continue
        number = int(digits)
        if number < len(_WORDS):
            yield _same(subject.put(span, _WORDS[number]), "number in words", _WORDS[number])
        if number >= 1000 and not 1900 <= number < 2100:  # A year has no comma.
            for new in (f"{number:,}", str(number)):
                yield _same(subject.put(span, new), "number in words", new)


def _curled(text: str) -> str:
    head, *rest = text.split('"')
    return head + "".join(("“" if place % 2 == 0 else "”") + part for place, part in enumerate(rest))


def _same(text: str, sort: str, change: str) -> Perturbed:
    return Perturbed(text, "same", sort, change)
