r"""The template syntax: `(split|divide) [a] [bill of] {total:money} (among|between) {n:count} people`.

* `(a|b)` one of several wordings; a branch may be empty. `[a]` or `[a|b]` may be absent.
* `{name:type}` a slot; `{name}` the same thing mentioned again. Types are those of `seglam_agents.guards.slots`.
* `\` before one of `()[]{}|\` makes it an ordinary character.
* Everything else is literal text, normalised like the request: case, quotes, spaces, number words and the final
  full stop do not matter.

The syntax is the one voice assistants use for sample utterances (cf. Rasa, Snips, Home Assistant's hassil).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import TypeAlias

from seglam_agents.guards.normal import normalise_literal
from seglam_agents.guards.slots import Slot, slot
from seglam_agents.guards.spellings import frame, is_polite, without_sign_off
from seglam_agents.records.errors import SlotError, TemplateError

MAX_TEMPLATE = 8_000
"""Characters of a template. RE2 programs grow with it, and nobody reviews a longer one."""


MAX_DEPTH = 20
"""Parentheses within parentheses."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Normalised text that must stand there."""

    text: str


@dataclass(frozen=True, slots=True)
class SlotMention:
    """A slot, or a further mention of it."""

    name: str
    slot: Slot
    again: bool
    """True where only `{name}` is written."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several branches, or none of them."""

    branches: tuple[Elements, ...]
    optional: bool


Element: TypeAlias = Literal | SlotMention | Choice
Elements: TypeAlias = tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A template that has been read."""

    source: str
    elements: Elements

    def slots(self) -> dict[str, Slot]:
        """Return the slots by name, in order of first mention."""
        return {mention.name: mention.slot for mention in mentions(self.elements)}

    def always(self) -> frozenset[str]:
        """Return the names that every request of this template binds."""
        return _bound(self.elements)


@lru_cache(maxsize=4096)
def parse_template(source: str) -> Template:
    """Read a template.

    Raises:
        TemplateError: what is wrong, pointing at the character.
    """
    if len(source) > MAX_TEMPLATE:
        raise TemplateError(
            f"a template may have {MAX_TEMPLATE} characters, this has {len(source)}", source, MAX_TEMPLATE
        )
    # The final punctuation of a request is dropped when it is normalised, so that of a template is too.
    asked = without_sign_off(source.rstrip(" \n.?!")).rstrip(" \n.?!")
    elements = _without_frame(_Reader(asked).read())
    if not _always_says(elements):
        raise TemplateError(
            "a template needs some literal text, words of the request: a bare slot would accept any request", source, 0
        )
    return Template(source, elements)


def walk(elements: Elements) -> Iterator[Element]:
    """Yield every element, depth first, in order of the text."""
    for element in elements:
        yield element
        if isinstance(element, Choice):
            for branch in element.branches:
                yield from walk(branch)


def mentions(elements: Elements) -> Iterator[SlotMention]:
    """Yield every mention of a slot, in order of the text."""
    return (element for element in walk(elements) if isinstance(element, SlotMention))


def _without_frame(elements: Elements) -> Elements:
    """Drop the polite frame that a request does not have any more when it is matched: "please", "[can you]"."""
    while elements:
        first, rest = elements[0], elements[1:]
        match first:
            case Literal(text=text):
                kept = text.lstrip(" ")
                # The word that follows may stand in the next element.
                kept = kept[frame(f"{kept}." if rest else kept) :]
                if kept.strip(" "):
                    return (Literal(kept), *rest)
                elements = rest
            case Choice(branches=branches) if rest and all(_is_polite(branch) for branch in branches):
                elements = rest
            case Choice(branches=branches, optional=optional):
                said = [branch for branch in branches if not _is_polite(branch)]
                bare = tuple(dict.fromkeys(_without_frame(branch) for branch in said))
                return (Choice(bare, optional or len(said) < len(branches)), *rest) if said else elements
            case _:
                return elements
    return elements


def _is_polite(branch: Elements) -> bool:
    return all(isinstance(element, Literal) and is_polite(element.text) for element in branch)


def _always_says(elements: Elements) -> bool:
    """Tell whether every request of a sequence contains a letter or a digit that is spelt out."""
    for element in elements:
        match element:
            case Literal(text=text) if any(character.isalnum() for character in text):
                return True
            case Choice(branches=branches, optional=False) if all(_always_says(branch) for branch in branches):
                return True
            case _:
                pass
    return False


def common_to(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    """Return what all of several sets have in common; nothing for no sets."""
    found = list(sets)
    return reduce(lambda left, right: left & right, found) if found else frozenset()


def _bound(elements: Elements) -> frozenset[str]:
    names: set[str] = set()
    for element in elements:
        match element:
            case SlotMention(name=name):
                names.add(name)
            case Choice(branches=branches, optional=False):
                names |= common_to(_bound(branch) for branch in branches)
            case _:
                pass
    return frozenset(names)


_CLOSING = {"(": ")", "[": "]"}
_SPECIAL = set("()[]{}|\\")


class _Reader:
    """A recursive-descent reader over the characters of one template."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._depth = 0
        self._known: dict[str, Slot] = {}

    def read(self) -> Elements:
        branches = self._branches(until=None, opened=0)
        return branches[0]

    def _branches(self, until: str | None, opened: int) -> list[Elements]:
        branches: list[Elements] = []
        elements: list[Element] = []
        literal: list[str] = []

        def flush() -> None:
            if literal:
                elements.append(Literal(normalise_literal("".join(literal))))
                literal.clear()

        while self._at < len(self._source):
            character = self._source[self._at]
            if character == until:
                self._at += 1
                flush()
                return [*branches, tuple(elements)]
            if character == "|":
                if until is None:
                    raise self._error("`|` outside of ( ) or [ ]: put the alternatives in parentheses", self._at)
                self._at += 1
                flush()
                branches.append(tuple(elements))
                elements = []
            elif character in "([{":
                flush()
                elements.append(self._slot() if character == "{" else self._choice(character))
            else:
                literal.append(self._character())
        if until is not None:
            raise self._error(f"`{self._source[opened]}` is never closed by `{until}`", opened)
        flush()
        return [*branches, tuple(elements)]

    def _character(self) -> str:
        character = self._source[self._at]
        if character == "\\":
            self._at += 1
            if self._at >= len(self._source) or self._source[self._at] not in _SPECIAL:
                raise self._error("`\\` must stand before one of ()[]{}|\\", self._at - 1)
            character = self._source[self._at]
        elif character in ")]}":
            raise self._error(f"`{character}` closes nothing: write \\{character} for the character itself", self._at)
        self._at += 1
        return character

    def _choice(self, opening: str) -> Choice:
        opened = self._at
        self._at += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"parentheses may be nested {MAX_DEPTH} deep", opened)
        branches = self._branches(until=_CLOSING[opening], opened=opened)
        self._depth -= 1
        filled = tuple(branch for branch in branches if branch)
        if not filled:
            raise self._error(f"`{opening}{_CLOSING[opening]}` is empty", opened)
        return Choice(filled, optional=opening == "[" or len(filled) < len(branches))

    def _slot(self) -> SlotMention:
        opened = self._at
        end = self._source.find("}", opened)
        if end < 0:
            raise self._error("`{` is never closed by `}`", opened)
        name, colon, kind = self._source[opened + 1 : end].partition(":")
        name, kind = name.strip(), kind.strip()
        if not name.isidentifier() or not name.isascii():
            raise self._error(f"{name!r} is no slot name: use letters, digits and _", opened + 1)
        self._at = end + 1
        if not colon:
            return self._mention_again(name, opened)
        return self._mention(name, kind, end - len(kind))

    def _mention_again(self, name: str, opened: int) -> SlotMention:
        if name not in self._known:
            raise self._error(f"{{{name}}} has no type: write {{{name}:type}} at its first mention", opened)
        return SlotMention(name, self._known[name], again=True)

    def _mention(self, name: str, kind: str, position: int) -> SlotMention:
        try:
            found = slot(kind)
        except SlotError as error:
            raise self._error(str(error), position) from error
        known = self._known.setdefault(name, found)
        if known.name != found.name:
            raise self._error(
                f"slot {name!r} is {known.name} here and {found.name} there: give one of them another name", position
            )
        return SlotMention(name, found, again=False)

    def _error(self, problem: str, position: int) -> TemplateError:
        return TemplateError(problem, self._source, position)
