"""Whether a request stands for itself where something was said before it, and what a message lays down for later ones.

A guard accounts for every word of a request, but not for what the words point at: "cancel the second one" and "turn the
lamp off" mean something else in every conversation. What points back is told by words, and by a definite noun that
nothing in the request names. A false alarm costs a miss.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from seglam_agents.guards.languages import is_foreign
from seglam_agents.guards.normal import normalise
from seglam_agents.guards.spellings import ARTICLES, is_polite
from seglam_agents.guards.template import Literal, parse_template, walk

_NEAR = 4
"""Words after a definite article among which something names what is meant."""


def refers_back(text: str, literal: frozenset[str] | None = None) -> str | None:
    """Return by which words a request may point at something said before it; None where it stands for itself.

    Args:
        text: the request.
        literal: the words that its template says, casefolded; the others name something. None where no template is
            known: then numbers, ids and capitalised words do.
    """
    if is_foreign(text):
        return "words of another language"
    said = spoken(_QUOTED.sub(" ", normalise(text).text))
    if said and said[0].casefold() in _FIRST:
        return said[0]
    for index, word in enumerate(said):
        if _points(said, index):
            return word
        if word.casefold() == "the" and not _named(said, index, literal):
            return " ".join(said[index : index + 2])
    return None


def literal_words(template: str) -> frozenset[str]:
    """Return the words that a template says itself, casefolded.

    Raises:
        TemplateError: it cannot be read.
    """
    said = (element.text for element in walk(parse_template(template).elements) if isinstance(element, Literal))
    return frozenset(word.casefold() for text in said for word in spoken(text))


def spoken(text: str) -> list[str]:
    """Return the words of a text as they are written, numbers and ids among them, each whole."""
    return _WORD.findall(text)


def shortens(value: str, before: Iterable[str]) -> str | None:
    """Return what was named before of which a value may be the short name: "lamp" of "kitchen lamp"."""
    short = _tokens(value)
    return next((name for name in before if short and short < _tokens(name)), None)


def lays_down(text: str) -> str | None:
    """Return by which words a message lays down what is to hold for later ones; None where it does not."""
    found = _STANDING.search(" ".join(normalise(text).text.casefold().split()))
    return found[0] if found else None


def says_nothing(text: str) -> bool:
    """Tell whether a message says nothing but a greeting or thanks."""
    plain = normalise(text).text.strip(" .,!?;")
    return not plain or is_polite(plain) or _PLEASANT.fullmatch(plain.casefold()) is not None


def _points(said: list[str], index: int) -> bool:
    word = said[index].casefold()
    if word == "there":  # "how many are there" only says that something is.
        around = (said[index - 1] if index else "", said[index + 1] if index + 1 < len(said) else "")
        return not any(neighbour.casefold() in _BEING for neighbour in around)
    if word == "as":
        return [other.casefold() for other in said[index : index + 2]] in (["as", "well"], ["as", "before"])
    return word in _BACK


def _named(said: list[str], index: int, literal: frozenset[str] | None) -> bool:
    after = said[index + 1 : index + 1 + _NEAR]
    return any(_names(word, literal) for word in after)


def _names(word: str, literal: frozenset[str] | None) -> bool:
    if literal is not None:
        return word.casefold() not in literal
    return any(mark.isdigit() for mark in word) or word[:1].isupper()


def _tokens(text: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in spoken(text)) - ARTICLES


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORD = re.compile(r"[^\W_]+(?:[-'’.:/@#&][^\W_]+)*")
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|(?<!\w)'[^']*'(?!\w)")
_BEING = _set("is are was were be been")
_FIRST = _set(
    "and but or nor so then also plus no yes yeah yep nope ok okay sure right well actually oh wait sorry correct"
    " exactly fine alternatively otherwise however still because"
)
"""What goes on with something where a request begins with it."""
_BACK = _set(
    "it its itself they them their theirs themselves this that these those he him his himself she her hers herself such"
    " same other others another again too also likewise instead else former latter previous previously prior above"
    " aforementioned mentioned said there then ones both either neither rest remaining remainder more further"
    " additional back undo revert redo continue proceed ditto vice first second third fourth fifth sixth"
    " seventh eighth ninth tenth"
)
_STANDING = re.compile(
    r"\b(?:always|never|from now on|from here on|henceforth|remember|keep in mind|bear in mind|note that|forget|"
    r"ignore|until|till|unless|only if|only when|whenever|(?:every|each|any) ?time|in (?:the )?future|"
    r"going forward|for the rest|for this (?:chat|conversation|session)|prefer\w*|assum\w+|suppose|pretend|"
    r"imagine|by default|"
    r"(?:answer|reply|respond|speak|write|talk)(?: to me)? (?:in|as|like|with|briefly|shortly)|call me|"
    r"my name is|i am|do not|must not|stop \w+ing|wait|hold on|later|before (?:you|that|doing|anything)|"
    r"after (?:that|this)|confirm\w* (?:with|by|before|first)|ask me|check with me|what if)\b"
)
"""What a person says who lays something down for the rest of a conversation."""
_PLEASANT = re.compile(
    r"(?:(?:hi|hello|hey|good (?:morning|afternoon|evening|day|night)|thanks?|thank you|many thanks|cheers|thx|great"
    r"|nice|perfect|awesome|excellent|wonderful|cool|lovely|super|bye|goodbye|see you|welcome|much appreciated"
    r"|appreciate it|that is (?:all|great|perfect|good)|very much|so much|a lot|there|again|everyone"
    r"|for (?:the|your) help)[ ,.!]*)+"
)
