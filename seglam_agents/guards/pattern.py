"""From a template to RE2: linear time, whole-request match, and a second opinion against ambiguity.

A template is compiled twice, greedy and ungreedy. Where the two bind different texts, the request can be read in two
ways, and the guard declines: a wrong argument is worse than a miss.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import zip_longest
from typing import Protocol

import re2

from seglam_agents.guards.normal import words
from seglam_agents.guards.spellings import (
    ARTICLE_PATTERN,
    ENDING_PATTERN,
    SIGN_OFF_PATTERN,
    article_places,
    without_articles,
)
from seglam_agents.guards.template import Choice, Element, Elements, Literal, SlotMention, Template, common_to, mentions
from seglam_agents.records.errors import TemplateError

MAX_PROGRAM_BYTES = 32 * 2**20
"""Memory that RE2 may use for one template."""


class Matched(Protocol):
    """The part of a match object that is used here."""

    def span(self, group: int = 0) -> tuple[int, int]:
        """Return the start and end of a group, (-1, -1) when it took no part."""
        ...


class _Compiled(Protocol):
    def fullmatch(self, text: str) -> Matched | None: ...
    def match(self, text: str) -> Matched | None: ...


@dataclass(frozen=True)
class Pattern:
    """A compiled template."""

    template: Template
    groups: tuple[SlotMention, ...]
    """The mention that each capturing group binds, in order."""
    expression: str
    required: frozenset[str]
    """Words that every matching request contains, casefolded."""

    @cached_property
    def greedy(self) -> _Compiled:
        """The template as it is asked first."""
        return _compile(self.template, f"(?i){self.expression}")

    @cached_property
    def lazy(self) -> _Compiled:
        """The same with the preference of every quantifier turned round: `(?U)` of the RE2 syntax."""
        return _compile(self.template, f"(?iU){self.expression}")

    def readings(self, text: str) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Return how the whole text can be read: the spans of each group, once or twice; nothing where none matches."""
        matched = self.greedy.fullmatch(text)
        if not matched:
            return ()
        first = self._spans(matched)
        other = self.lazy.fullmatch(text) if self.groups else None
        second = self._spans(other) if other else first
        return (first,) if first == second else (first, second)

    def _spans(self, matched: Matched) -> tuple[tuple[int, int], ...]:
        return tuple(matched.span(group + 1) for group in range(len(self.groups)))


@lru_cache(maxsize=8192)
def compile_template(template: Template) -> Pattern:
    """Compile a template.

    Raises:
        TemplateError: RE2 refuses the pattern, which then is too large.
    """
    pattern = Pattern(
        template=template,
        groups=tuple(mentions(template.elements)),
        expression=_sequence(template.elements) + _ending(template.elements),
        required=_required(template.elements),
    )
    _ = pattern.greedy
    return pattern


def prefix_length(template: Template, text: str) -> tuple[int, int]:
    """Return how many top-level elements match the beginning of a text, and how many characters they take."""
    low, high, end = 0, len(template.elements), 0
    while low < high:
        middle = (low + high + 1) // 2
        matched = _compile(template, f"(?i){_sequence(template.elements[:middle])}").match(text)
        if matched:
            low, end = middle, matched.span()[1]
        else:
            high = middle - 1
    return low, end


def _compile(template: Template, expression: str) -> _Compiled:
    options = re2.Options()
    options.max_mem = MAX_PROGRAM_BYTES
    options.log_errors = False
    try:
        return re2.compile(expression, options)
    except re2.error as error:
        raise TemplateError(f"RE2 refuses the template: {error}", template.source, 0) from error


_SPACE = object()
_FREE_SPACE = object()
_LAST_ARTICLE = re.compile(r"(?:\A|(?<= ))an? \Z", re.IGNORECASE)
_AN_ARTICLE = Choice(((Literal("a "),),), optional=True)
_WITH_ARTICLE = ("fraction", "duration")
"""Types whose values may begin with an article: "a fifth", "an hour and a half"."""
_CLOSING_PUNCTUATION = tuple(",.;:?!")


def _sequence(elements: Elements) -> str:
    """Join elements so that the space beside an absent option is absent too."""
    tokens = _with_free_spaces(_tokens(_with_free_articles(elements)))
    parts: list[str] = []
    space = False
    index = 0
    while index < len(tokens):
        token = tokens[index]
        index += 1
        if token is _SPACE:
            space = True
        elif token is _FREE_SPACE:
            parts.append(" ?")
        elif isinstance(token, Choice) and token.optional:
            text, follower = _branches(token), tokens[index] if index < len(tokens) else None
            if space and _parts_here(follower):
                parts.append(f"(?: {text})?")
                space = False
            elif not space and follower is _SPACE and not any(part[-1] != "?" for part in parts):
                parts.append(f"(?:{text} )?")
                index += 1
            else:
                parts.append((" " if space else "") + f"(?:{text})?")
                space = False
        else:
            spaced = index < len(tokens) and tokens[index] is _SPACE
            parts.append((" " if space else "") + _token(token, spaced=spaced))
            space = False
    return "".join(parts) + (" " if space else "")


def _ending(elements: Elements) -> str:
    """Allow a "please" at the end, unless it may belong to open words or stands there already."""
    last = elements[-1]
    if isinstance(last, Literal) and last.text.endswith("please"):
        return SIGN_OFF_PATTERN
    free = isinstance(last, SlotMention) and last.slot.open and last.slot.name not in ("person", "name")
    return "" if free or isinstance(last, Choice) else ENDING_PATTERN


def _with_free_articles(elements: Elements) -> Elements:
    """Make an article optional before a slot that reads one itself: "a {part:fraction}" takes "a fifth" and "1/5"."""
    found: list[Element] = []
    for element, follower in zip_longest(elements, elements[1:]):
        if isinstance(element, Literal) and isinstance(follower, SlotMention) and follower.slot.name in _WITH_ARTICLE:
            kept = _LAST_ARTICLE.sub("", element.text)
            free = () if kept == element.text else (_AN_ARTICLE,)
            found += [*((Literal(kept),) if kept else ()), *free]
        else:
            found.append(element)
    return tuple(found)


def _tokens(elements: Elements) -> list[object]:
    """Split the spaces at the edges of literals off, as tokens of their own."""
    tokens: list[object] = []
    for element in elements:
        if not isinstance(element, Literal):
            tokens.append(element)
            continue
        core = element.text.strip(" ")
        if element.text.startswith(" "):
            tokens.append(_SPACE)
        if core:
            tokens.append(core)
            if element.text.endswith(" "):
                tokens.append(_SPACE)
    return tokens


def _with_free_spaces(tokens: list[object]) -> list[object]:
    """Make the space between a number and its unit optional: people write "2kg" and "2 kg"."""
    found: list[object] = []
    for token, follower in zip_longest(tokens, tokens[1:]):
        if token is _SPACE and found and _is_counted(found[-1], follower):
            found.append(_FREE_SPACE)
        elif follower is not _SPACE and _is_counted(token, follower):
            found += [token, _FREE_SPACE]
        else:
            found.append(token)
    return found


def _is_counted(number: object, unit: object) -> bool:
    """Tell whether a unit behind a number counts it: "2kg" is two kilograms."""
    if not (isinstance(number, SlotMention) and number.slot.name in ("number", "count")):
        return False
    return isinstance(unit, SlotMention) and unit.slot.name.partition("(")[0] == "unit"


def _parts_here(follower: object) -> bool:
    """Tell whether the text after an option begins apart from it, so that the option may take its space along."""
    return (
        follower is None
        or follower is _SPACE
        or (isinstance(follower, str) and follower.startswith(_CLOSING_PUNCTUATION))
    )


def _token(token: object, *, spaced: bool) -> str:
    match token:
        case str():
            return _literal(token, spaced=spaced)
        case SlotMention(slot=slot):
            return f"({slot.pattern})"
        case Choice():
            return _branches(token)
        case _:
            raise AssertionError(token)


def _branches(choice: Choice) -> str:
    return f"(?:{'|'.join(_sequence(branch) for branch in choice.branches)})"


def _literal(text: str, *, spaced: bool) -> str:
    """Escape a literal; a comma before a space or at the end may be absent, and any article may stand for another.

    An article that ends it is one where a space follows: "a {total:money} bill".
    """
    pieces: list[str] = []
    position = 0
    for article in article_places(f"{text} " if spaced else text):
        pieces += (_escaped(text[position : article.start()]), ARTICLE_PATTERN)
        position = article.end()
    return "".join((*pieces, _escaped(text[position:])))


def _escaped(text: str) -> str:
    escaped = re2.escape(text)
    escaped = escaped.replace("\\ ", " ").replace("\\,", ",")
    return re.sub(r",(?= |$)", ",?", escaped)


def _required(elements: Elements, *, inside: bool = False) -> frozenset[str]:
    """Return the words that a sequence always contains. A word that touches a slot or a branch may go on there."""
    found: set[str] = set()
    for index, element in enumerate(elements):
        match element:
            case Literal(text=text):
                glued_before = inside if index == 0 else True
                glued_after = inside if index == len(elements) - 1 else True
                found |= without_articles(words(_without_glued_edges(text, before=glued_before, after=glued_after)))
            case Choice(branches=branches, optional=False):
                found |= common_to(_required(branch, inside=True) for branch in branches)
            case _:
                pass
    return frozenset(found)


def _without_glued_edges(text: str, *, before: bool, after: bool) -> str:
    start, end = 0, len(text)
    while before and start < end and text[start].isalnum():
        start += 1
    while after and end > start and text[end - 1].isalnum():
        end -= 1
    return text[start:end]
