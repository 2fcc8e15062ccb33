"""What a word is made of: letters of one script, nothing invisible, nothing that only looks like a letter."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from importlib import resources


@lru_cache(maxsize=4096)
def is_word(text: str) -> bool:
    """Tell whether a text is letters of one script, with single hyphens, apostrophes or marks inside."""
    parts = _INSIDE.split(text)
    if not all(parts) or unicodedata.normalize("NFKC", text) != unicodedata.normalize("NFC", text):
        return False  # "𝐧𝐨𝐭" and "ﬁne" fold to other letters
    letters = [character for part in parts for character in part]
    if any(unicodedata.category(character)[0] not in "LM" for character in letters):
        return False
    scripts = {_script(character) for character in letters if character.isalpha()}
    return len(scripts) == 1 and all(part[0].isalpha() for part in parts)


@lru_cache(maxsize=4096)
def skeleton(word: str) -> str:
    """Return a word casefolded and without accents, as stop lists hold it: "Nót" is "not"."""
    decomposed = unicodedata.normalize("NFKD", word.replace("’", "'"))
    return "".join(character for character in decomposed if not unicodedata.combining(character)).casefold()


def spaced(raw: str) -> str:
    """Return a text with single spaces: the original text of a span keeps its own."""
    return " ".join(_BLANK.split(raw.strip()))


def stop_words(*sections: str) -> frozenset[str]:
    """Return the words of some sections of the stop list, without accents and casefolded."""
    found: set[str] = set()
    active = False
    for line in _data("stop_words.txt"):
        if line.startswith("["):
            active = line.strip("[]") in sections
        elif active:
            found.update(line.split())
    return frozenset(found)


@lru_cache(maxsize=16)
def examples(section: str) -> tuple[str, ...]:
    """Return the lines of one section of the example list."""
    active = False
    found: list[str] = []
    for line in _data("examples.txt"):
        if line.startswith("["):
            active = line.strip("[]") == section
        elif active:
            found += (item.strip() for item in line.split(","))
    return tuple(item for item in found if item)


def _data(name: str) -> list[str]:
    text = resources.files(__package__ or "").joinpath(name).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _script(character: str) -> str:
    """Return the script of a letter, which is the first word of its name in Unicode."""
    return unicodedata.name(character, "?").partition(" ")[0]


_BLANK = re.compile(r"[ \t\n\u00a0\u2000-\u200a\u202f\u205f\u3000]+")
_INSIDE = re.compile("['’-]")
