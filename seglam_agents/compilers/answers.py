"""What a model answered: read whole from its reply, and compared with what code computes."""

from __future__ import annotations

import re

from seglam_agents.records.record import Json, digest
from seglam_agents.records.request import Request
from seglam_agents.records.values import as_number, same, tidy


def marker(request: Request) -> str:
    """Return what stands before the answer: no request can hold it by chance, and the same request gets the same."""
    return f"ANSWER-{digest('marker', request.text, request.context, length=8)}:"


def read_answer(text: str, marker: str = "ANSWER:") -> Json:
    """Return the answer of a reply, whole: what follows the marker; a number where it is one, else text as written.

    A model that forgets the marker of its request may still write a plain "ANSWER:".
    """
    text = text.replace("\r\n", "\n")
    for mark in dict.fromkeys((marker, "ANSWER:")):
        places = list(re.finditer(rf"^[ \t]*(\**){re.escape(mark)}(\**)(?:[ \t]*\n|[ \t]*)", text, re.MULTILINE))
        if places:
            # A marker of this request can stand in no answer by chance; a plain one can, so the first one counts.
            place = places[-1 if mark != "ANSWER:" else 0]
            said = text[place.end() :]
            bold = place[1] and not place[2]
            return as_answer(said.rstrip().removesuffix(place[1]) if bold else said)
    lines = [line for line in text.strip().splitlines() if line.strip()]
    last = lines[-1].strip("*` ") if lines else ""
    return as_answer(last if as_number(last) is not None else text.strip())


def as_answer(said: str) -> Json:
    """Return a number where a text is nothing else, and the text unchanged where it is not: "$5.00", "+49 30"."""
    bare = said.strip().strip("*`").strip()
    number = as_number(bare)
    if number is None or not _BARE.fullmatch(bare):
        return said if "\n" in said.rstrip() else said.strip()
    return tidy(number)  # pyright: ignore[reportReturnType]  # a tidy number is JSON


_BARE = re.compile(r"-?[0-9][0-9,]*(?:\.[0-9]+)?")
"""A number without a sign, a unit or an exponent, which belong to the form of an answer."""


def agree(computed: Json, said: Json) -> bool:
    """Tell whether a computed answer and one that a model gave in its own words are the same: 17 and "17 dollars"."""
    if same(computed, said) or (isinstance(said, str) and same(computed, said.strip().strip("*`"))):
        return True
    number = as_number(computed)
    if number is None or not isinstance(said, str):
        return False
    found = [as_number(text) for text in re.findall(r"-?[0-9][0-9,]*(?:\.[0-9]+)?", said)]
    return len(found) == 1 and same(number, found[0])
