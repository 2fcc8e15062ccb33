"""Values of a database that a request names, found by their own words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SHORTEST = 3
"""A shorter value is no name: it would be found by chance."""

TARGET = re.compile(r"\b(?:to|called|named|titled)\s+[\"'“‘]?$", re.IGNORECASE)
"""What stands before a value that is to be written, not looked for."""
OWNER = re.compile(r"['’]s?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mention:
    """One value that a request names."""

    argument: str
    value: str
    """As the database spells it."""
    text: str
    """As the request spells it."""
    start: int
    target: bool
    """Whether it says where something goes ("to Lena"), not which things are meant."""
    owner: bool
    """Whether it says whose things are meant ("Lena's")."""

    @property
    def end(self) -> int:
        """Where the text of the request goes on."""
        return self.start + len(self.text)


def find_mentions(request: str, vocabulary: Mapping[str, Iterable[str]]) -> list[Mention]:
    """Return what a request names, in its order; where values overlap, the longest is meant."""
    found = [
        mention
        for argument, values in vocabulary.items()
        for value in _possible(request, values)
        for mention in _occurrences(request, argument, value)
    ]
    kept: list[Mention] = []
    for mention in sorted(found, key=lambda mention: (-len(mention.text), mention.start)):
        if all(mention.end <= other.start or other.end <= mention.start for other in kept):
            kept.append(mention)
    return sorted(kept, key=lambda mention: mention.start)


def blank(request: str, mentions: Iterable[Mention]) -> str:
    """Return the request with some mentions blanked out, so that nothing is found within them."""
    for mention in mentions:
        request = request[: mention.start] + " " * len(mention.text) + request[mention.end :]
    return request


def _possible(request: str, values: Iterable[str]) -> list[str]:
    # Most values of a database are not in the request: this is the cheap way to know.
    letters = _letters(request)
    return [value for value in values if len(value) >= SHORTEST and _letters(value).removesuffix("s") in letters]


def _occurrences(request: str, argument: str, value: str) -> list[Mention]:
    words = [re.escape(word) for word in re.findall(r"\w+", value)]
    # A closed set has "Services" where a request says service, and "Lead" where it says leads.
    pattern = r"[\W_]{0,3}".join([*words[:-1], f"{words[-1].removesuffix('s')}s?"]) if words else r"(?!)"
    matches = re.finditer(rf"(?<!\w){pattern}(?!\w)(?!['’]t)", request, re.IGNORECASE)
    return [
        Mention(
            argument=argument,
            value=value,
            text=match[0],
            start=match.start(),
            target=TARGET.search(request[: match.start()]) is not None,
            owner=OWNER.match(request, match.end()) is not None,
        )
        for match in matches
    ]


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()
