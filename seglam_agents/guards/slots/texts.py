"""Slots for text that is taken as it stands: id, email, url, quoted, text, choice, list."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable

import re2

from seglam_agents.guards.normal import normalise_literal
from seglam_agents.guards.slots.base import Functions, Slot, make
from seglam_agents.guards.slots.letters import examples, spaced
from seglam_agents.records.errors import SlotError
from seglam_agents.records.values import Value


def text_slots() -> list[Slot]:
    """Return the slot types of this module that take no options."""
    return [
        make(
            "id",
            r"#?[a-z0-9_./-]*\d[a-z0-9_./-]*",
            Functions(_read_id, str, _sample_id),
            python="str",
            description="a token with a digit in it, as written: #1234, A1-42, 00000256",
            verbatim=True,
            open=True,
        ),
        make(
            "email",
            r"[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]+",
            Functions(_matching(_EMAIL), str, _sample_email, _same_text),
            python="str",
            description="an e-mail address: ada@example.com",
            verbatim=True,
        ),
        make(
            "url",
            r"(?:https?://|www\.)[!-~]+",
            Functions(_matching(_URL), str, _sample_url),
            python="str",
            description="a web address: https://example.com/a?b=1, www.example.org",
            verbatim=True,
        ),
        make(
            "quoted",
            r""""[^"]+"|'(?:[^']|\b'\b)+'""",
            Functions(read_quoted, write_quoted, lambda rng: rng.choice(examples("quoted"))),
            python="str",
            description="""what stands in quotes, without them: "hello world", 'racecar'""",
            verbatim=True,
            open=True,
        ),
        make(
            "text",
            ".+",
            Functions(_read_text, str, lambda rng: rng.choice(examples("text"))),
            python="str",
            description="any text of 1 to 200 characters: the last resort, because it takes in everything",
            verbatim=True,
            open=True,
        ),
    ]


def choice_slot(spelling: str) -> Slot:
    """Return the slot `choice(a|b c|d)`: one of some texts, as spelt in the template.

    Raises:
        SlotError: an option is empty or stands twice.
    """
    options = [spaced(option) for option in spelling.split("|")]
    known = {_key(option): option for option in options}
    endings = {_key(option): "[.?!]*" if option[-1:] in ".?!" else "" for option in options}
    if not all(known) or len(known) < len(options):
        raise SlotError(f"choice({spelling}) needs options that are not empty and not the same")
    texts = sorted(known, key=len, reverse=True)
    return make(
        f"choice({'|'.join(options)})",
        "|".join(re2.escape(text) + endings[text] for text in texts),
        Functions(lambda raw: known.get(_key(raw)), str, lambda rng: rng.choice(options)),
        python="str",
        description=f"one of: {', '.join(options)}",
    )


def list_slot(item: Slot) -> Slot:
    """Return the slot `list(T)`: "a, b and c".

    Raises:
        SlotError: the item takes in separators itself.
    """
    if item.name == "text" or item.name.startswith("list("):
        raise SlotError(f"list({item.name}) cannot be: nothing says where one item ends")
    return make(
        f"list({item.name})",
        f"(?:{item.pattern})(?:(?:, and |, | and )(?:{item.pattern}))*",
        Functions(lambda raw: _read_list(raw, item), lambda items: _write_list(items, item),
                  lambda rng: _sample_list(rng, item), lambda left, right: _same_list(left, right, item)),
        python=f"list[{item.python}]",
        description=f'several of {item.name}, as in "a, b and c", or one',
        verbatim=item.verbatim,
        open=item.open,
    )  # fmt: skip


def read_quoted(raw: str) -> str | None:
    """Return what stands between matching quotes, as written."""
    text = raw.strip()
    inner = text[1:-1]
    if len(text) < 3 or len(inner) > MAX_TEXT or _PAIRS.get(text[0], "").find(text[-1]) < 0 or not is_visible(inner):
        return None
    if text[0] in _DOUBLE:
        return None if any(character in _DOUBLE for character in inner) else inner
    return None if _LOOSE_APOSTROPHE.search(inner) else inner


def write_quoted(value: str) -> str:
    """Return a text in the quotes that it does not hold itself."""
    return f"'{value}'" if any(character in _DOUBLE for character in value) else f'"{value}"'


def is_visible(text: str) -> bool:
    """Tell whether a text has no control, zero-width or bidi characters."""
    return text.isprintable() or not any(unicodedata.category(character) in _INVISIBLE for character in text)


def _read_id(raw: str) -> str | None:
    return raw if _ID.fullmatch(raw) and any(character.isdigit() for character in raw) else None


def _read_text(raw: str) -> str | None:
    text = raw.strip(" ")
    return text if 0 < len(text) <= MAX_TEXT and is_visible(text) else None


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda raw: raw if pattern.fullmatch(raw) else None


def _same_text(left: str, right: str) -> bool:
    return left.casefold() == right.casefold()


def _key(text: str) -> str:
    """Return what options are told apart by: at the end of a request, final punctuation is gone."""
    return normalise_literal(text, final=True).strip(" ").casefold()


def _read_list(raw: str, item: Slot) -> list[Value] | None:
    """Return the items of a list, when there is exactly one way to divide it."""
    parts = _SEPARATOR.split(spaced(raw))
    if len(parts) > 2 * MAX_ITEMS:
        return None
    found = _Division(parts, item).solve(0, "start")
    return found[0] if len(found) == 1 else None


class _Division:
    """The ways to divide a text into items, at some of its commas and "and"s; two are enough to know."""

    def __init__(self, parts: list[str], item: Slot) -> None:
        self.parts = parts  # pieces and separators in turn
        self.item = item
        self.known: dict[tuple[int, str], list[list[Value]]] = {}

    def solve(self, start: int, style: str) -> list[list[Value]]:
        """Return at most two ways to divide what begins at a piece; the style says which separators may follow."""
        if (start, style) not in self.known:
            self.known[start, style] = self._solve(start, style)
        return self.known[start, style]

    def _solve(self, start: int, style: str) -> list[list[Value]]:
        found: list[list[Value]] = []
        # A name may hold an "and", but in a list of names every "and" separates.
        pieces = 1 if self.item.name == "name" else 3
        for end in range(start, min(start + 2 * pieces, len(self.parts)), 2):
            value = self.item.parse("".join(self.parts[start : end + 1]))
            if value is None:
                continue
            if end + 1 == len(self.parts):
                found.append([value])
            elif following := _FOLLOWING.get((style, "and" in self.parts[end + 1].lower())):
                found += ([value, *rest] for rest in self.solve(end + 2, following))
        return found[:2]


def _write_list(items: list[Value], item: Slot) -> str:
    if not isinstance(items, (list, tuple)):  # pyright: ignore[reportUnnecessaryIsInstance]  # comes from any caller
        raise TypeError("a list is needed")
    return _join([item.render(value) for value in items])


def _join(items: list[str]) -> str:
    if not items:
        raise ValueError("an empty list has no text")
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _sample_list(rng: random.Random, item: Slot) -> list[Value]:
    for _ in range(10):
        values = [item.sample(rng) for _ in range(rng.randint(2, 4))]
        read = _read_list(_join([item.render(value) for value in values]), item)
        if read is not None and _same_list(read, values, item):
            return values
    return [item.sample(rng)]


def _same_list(left: list[Value], right: list[Value], item: Slot) -> bool:
    return len(left) == len(right) and all(item.same(one, other) for one, other in zip(left, right, strict=True))


def _sample_id(rng: random.Random) -> str:
    number = rng.randint(10, 99_999)
    return rng.choice(
        (
            f"{number}",
            f"#{number}",
            f"{number:08}",
            f"{rng.choice('ABCXYZ')}{rng.randint(1, 9)}-{number}",
            f"INV-{number}",
        )
    )


def _sample_email(rng: random.Random) -> str:
    user = rng.choice(("ada", "grace.hopper", "m_curie", "li+orders", "k-o"))
    return (
        f"{user}{rng.choice(('', rng.randint(2, 99)))}@{rng.choice(('example.com', 'mail.example.org', 'post.test'))}"
    )


def _sample_url(rng: random.Random) -> str:
    path = rng.choice(("", "/", "/a/b", "/search?q=x&n=2", f"/item/{rng.randint(1, 999)}"))
    return rng.choice(("https://example.com", "http://www.example.org", "www.example.net")) + path


MAX_TEXT = 200
"""Characters of a free or quoted text."""
MAX_ITEMS = 40
"""Items of a list."""
_ID = re.compile(r"#?[A-Za-z0-9](?:[A-Za-z0-9_./-]*[A-Za-z0-9])?")
_EMAIL = re.compile(r"[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*@(?:[A-Za-z0-9][A-Za-z0-9-]*\.)+[A-Za-z]{2,}")
_URL = re.compile(r"(?:https?://|www\.)[!-~]*[^\W_]/?", re.ASCII | re.IGNORECASE)
_SEPARATOR = re.compile(r"( ?, and | ?, | and )", re.IGNORECASE)
_FOLLOWING = {
    ("start", False): "commas",
    ("start", True): "ands",
    ("commas", False): "commas",
    ("commas", True): "last",
    ("ands", True): "ands",
}
"""By the separators so far and whether the next is an "and": what may follow."""
_PAIRS = {'"': '"', "“": "”", "„": "“”", "«": "»", "'": "'", "‘": "’", "‚": "‘’", "’": "’", "”": "”"}
_DOUBLE = frozenset('"“”„‟«»')
_LOOSE_APOSTROPHE = re.compile("(?<![^\\W_])['‘’]|['‘’](?![^\\W_])")
_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
