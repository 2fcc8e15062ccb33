"""A look at the alternatives of a template: nobody may say by them what no request has said.

A model that writes `(split|divide)` or `[evenly]` imagines how else people may ask, and some of what it imagines means
something else. So every combination of alternatives must be the wording of a known request. What needs no evidence is
what does not differ in content: `(he|she)`, `(is|was)`, `cube[s]`, `[the]`; and what `spellings` folds anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from seglam_agents.guards.pattern import compile_template
from seglam_agents.guards.slots.names import same_noun
from seglam_agents.guards.spellings import canonical
from seglam_agents.guards.template import Choice, Element, Elements, Literal, SlotMention, Template

MAX_WORDINGS = 64
"""Combinations of one template that are looked at; nobody has said more of them."""


def unseen(template: Template, texts: Iterable[str]) -> list[str]:
    """Return one sentence for the author about each wording of a template that no known request has.

    Args:
        template: with its alternatives.
        texts: known requests, normalised.
    """
    known = list(texts)
    found = islice(_expansions(template.elements), MAX_WORDINGS + 1)
    missing = [said for elements, said in found if not _matches(template, elements, known)]
    return [
        f"no known request says {' … '.join(map(repr, said))}" if said else "it matches no known request word by word"
        for said in missing
    ]


def alternatives_seen_once(template: Template, texts: Iterable[str]) -> list[str]:
    """Like `unseen`, for a template made from runs: each branch must be said by some request, not each combination.

    Branches that stand twice in the template are one choice, said alike at both places.
    """
    known = list(texts)
    expansions = list(islice(_expansions(template.elements), MAX_WORDINGS))
    said = [branches for elements, branches in expansions if _matches(template, elements, known)]
    tied = _repeated(template.elements)
    seen = {branch for branches in said for branch in branches}
    untied = [
        branches
        for elements, branches in expansions
        if len(tied.intersection(branches)) > 1 and not _matches(template, elements, known)
    ]
    missing = sorted({branch for _, branches in expansions for branch in branches} - seen)
    return [
        *(f"no known request says {branch!r}" for branch in missing),
        *(f"no known request says {' … '.join(map(repr, branches))} together" for branches in untied),
    ]


def quoted(elements: Elements) -> str:
    """Return elements as a template spells them."""
    return "".join(map(_quote, elements))


def _expansions(elements: Elements) -> Iterator[tuple[Elements, tuple[str, ...]]]:
    """Yield every way to decide the alternatives that differ in content, with the branches that were taken."""
    if not elements:
        yield (), ()
        return
    first, rest = elements[0], elements[1:]
    for head, said in _decided(first):
        for tail, more in _expansions(rest):
            yield (*head, *tail), (*said, *more)


def _decided(element: Element) -> Iterator[tuple[Elements, tuple[str, ...]]]:
    if not isinstance(element, Choice) or not _has_content(element):
        yield (element,), ()
        return
    if element.optional:
        # An option that is never there is one branch less, and takes its space along.
        yield (Choice((_NEVER,), optional=True),), ()
    for branch in element.branches:
        for inner, said in _expansions(branch):
            yield (Choice((inner,), optional=False),), (quoted(branch).strip(), *said)


def _matches(template: Template, elements: Elements, texts: Iterable[str]) -> bool:
    pattern = compile_template(Template(template.source, elements))
    return any(pattern.readings(text) for text in texts)


def _repeated(elements: Elements) -> set[str]:
    """Return the branches of those alternatives that stand more than once."""
    choices = [element for element in elements if isinstance(element, Choice) and _has_content(element)]
    twice = [choice for choice in choices if sum({*choice.branches} == {*other.branches} for other in choices) > 1]
    return {quoted(branch).strip() for choice in twice for branch in choice.branches}


def _has_content(element: Element) -> bool:
    """Tell whether an element is a choice between things that are not the same."""
    if not isinstance(element, Choice):
        return False
    if element.optional and [_text(branch) for branch in element.branches] in (["s"], ["es"]):
        return False
    if any(_has_content(inner) for branch in element.branches for inner in branch):
        return True
    first, *others = [canonical(_text(branch)) for branch in element.branches]
    if element.optional and first:
        return True
    return any(len(first) != len(other) or not all(map(same_noun, first, other)) for other in others)


def _text(elements: Elements) -> str:
    """Return the words of elements, each choice by its first branch."""
    parts: list[str] = []
    for element in elements:
        match element:
            case Literal(text=text):
                parts.append(text)
            case SlotMention(name=name):
                parts.append(f"{{{name}}}")
            case Choice(branches=branches, optional=optional):
                parts.append("" if optional else _text(branches[0]))
    return "".join(parts)


def _quote(element: Element) -> str:
    match element:
        case Literal(text=text):
            return text
        case SlotMention(name=name, slot=kind, again=again):
            return f"{{{name}}}" if again else f"{{{name}:{kind.name}}}"
        case Choice(branches=branches, optional=optional):
            inner = "|".join(map(quoted, branches))
            return f"[{inner}]" if optional else f"({inner})"


_NEVER: Elements = (Literal("\N{OBJECT REPLACEMENT CHARACTER}"),)
