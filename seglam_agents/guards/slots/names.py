"""Slots for what has a name: person, name, noun, word. They read the original text, and only whole known shapes."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from seglam_agents.guards.slots.base import Functions, Slot, make
from seglam_agents.guards.slots.letters import examples, is_word, skeleton, spaced, stop_words


def name_slots() -> list[Slot]:
    """Return the slot types of this module."""
    return [
        make(
            "person",
            rf"(?:(?:dr|mrs?|ms|prof)\.? )?(?:{_INITIAL} ){{0,2}}{_CAPITAL}(?: (?:{_INITIAL} )?{_CAPITAL}){{0,2}}",
            Functions(read_person, str, _sampler("person"), same_name),
            python="str",
            description="a person's name, 1 to 3 capitalised words or initials: Ayşe, Mary Jane, Dr. Smith, J. R. Holt",
            verbatim=True,
            open=True,
        ),
        make(
            "name",
            rf"{_CAPITAL_OR_DIGIT}(?:(?: (?:{'|'.join(_SMALL)}))* (?:{_CAPITAL_OR_DIGIT}|\d+))*",
            Functions(read_name, str, _sampler("name"), same_name),
            python="str",
            description="the capitalised name of anything, 1 to 5 words: Lagos, Bank of America, Terminal 3",
            verbatim=True,
            open=True,
        ),
        make(
            "noun",
            rf"{_PLAIN}(?: {_PLAIN}){{0,2}}",
            Functions(read_noun, str, _sampler("noun"), same_noun),
            python="str",
            description="a thing or a kind of things, 1 to 3 words: apples, trading cards, T-shirts",
            verbatim=True,
            open=True,
        ),
        make(
            "phrase",
            rf"{_PLAIN}(?: {_PLAIN}){{0,3}}",
            Functions(read_phrase, str, _sampler("phrase"), same_name),
            python="str",
            description="an action or description, 1 to 4 words without numbers or negation: "
            "paint, play chess, dark green",
            verbatim=True,
            open=True,
        ),
        make(
            "title",
            rf"{_TITLED}(?: {_TITLED}){{0,7}}",
            Functions(read_title, str, _sampler("title"), same_name),
            python="str",
            description="what an event, a document or a project is called, 1 to 8 words without negation: "
            "sync up, Health & Wellness Expo, Data Security and Compliance Training",
            verbatim=True,
            open=True,
        ),
        make(
            "word",
            r"[^ -,./:-@[-`{-~]+",  # with digits, because the normalised text has "2" for "two"
            Functions(_read_word, str, _sampler("word"), same_name),
            python="str",
            description="one word of letters, any: racecar, Python",
            verbatim=True,
            open=True,
        ),
    ]


def read_person(raw: str) -> str | None:
    """Return a person's name as it was written, with single spaces."""
    text = spaced(raw)
    title = _TITLE.match(text)
    names = text[title.end() :].split(" ") if title else text.split(" ")
    if not 1 <= len(names) <= 3 or not all(map(_is_capitalised, _without_initials(names))):
        return None
    if any(skeleton(word) in _NO_PERSON for word in names) or _is_question(names):
        return None
    return text


def read_name(raw: str) -> str | None:
    """Return the name of anything as it was written, with single spaces."""
    text = spaced(raw)
    parts = text.split(" ")
    if not 1 <= sum(part not in _SMALL for part in parts) <= 5 or parts[-1] in _SMALL:
        return None
    for position, part in enumerate(parts):
        if part in _SMALL and position > 0:
            continue
        if not _is_name_part(part, first=position == 0):
            return None
    return None if _is_question(parts) else text


def read_noun(raw: str) -> str | None:
    """Return a thing: words that neither count nor compare nor deny nor act."""
    text = spaced(raw)
    parts = text.split(" ")
    if not 1 <= len(parts) <= 3:
        return None
    if is_compound(text):
        return text
    for part in parts:
        if "'" in part or "’" in part or not is_word(part) or _is_stopped(part):
            return None
    return None if _is_verbal(parts) else text


def is_compound(text: str) -> bool:
    """Tell whether words are the name of one thing, though one of them would else count, compare or act."""
    joined = "_".join(map(skeleton, spaced(text).split(" ")))
    return not _COMPOUNDS.isdisjoint(_singulars(joined))


def read_phrase(raw: str) -> str | None:
    """Return a few words that neither count nor compare nor deny nor join two things."""
    text = spaced(raw)
    parts = text.split(" ")
    if not 1 <= len(parts) <= 4 or not all(is_word(part) for part in parts):
        return None
    return None if any(skeleton(piece) in _NO_PHRASE for part in parts for piece in part.split("-")) else text


def read_title(raw: str) -> str | None:
    """Return what something is called; small words only where a name goes on behind them."""
    text = spaced(raw)
    parts = text.split(" ")
    if not 1 <= len(parts) <= 8 or not all(part == "&" or _is_title_word(part) for part in parts):
        return None
    if len(parts) > 1 and skeleton(parts[-1]) in _REPEATING:
        return None
    for index, part in enumerate(parts):
        if part != "&" and (skeleton(part) in _NO_TITLE or part in _MEANT_ELSEWHERE):
            return None
        if (part == "&" or part.lower() in _BETWEEN) and not (0 < index < len(parts) - 1):
            return None
        if part.lower() in _BETWEEN and not (parts[index - 1][0].isupper() and parts[index + 1][0].isupper()):
            return None
    return text


def same_name(left: str, right: str) -> bool:
    """Tell whether two names are the same but for case and accents' encoding."""
    return _folded(left) == _folded(right)


def same_noun(left: str, right: str) -> bool:
    """Tell whether two nouns are the same but for case and a simple plural of the last word."""
    first, second = _folded(left), _folded(right)
    return first == second or bool(_singulars(first) & _singulars(second))


def _singulars(noun: str) -> set[str]:
    """Return the noun and what it may be the plural of."""
    found = {noun}
    if len(noun) > 2 and noun.endswith("s") and not noun.endswith("ss"):
        found.add(noun[:-1])
    if noun.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        found.add(noun[:-2])
    if len(noun) > 4 and noun.endswith("ies"):
        found.add(noun[:-3] + "y")
    if len(noun) > 4 and noun.endswith("ves"):
        found |= {noun[:-3] + "f", noun[:-3] + "fe"}
    last = noun.rpartition(" ")[2]
    if last in _IRREGULAR:
        found.add(noun[: len(noun) - len(last)] + _IRREGULAR[last])
    return found


def _folded(text: str) -> str:
    return spaced(text).replace("’", "'").casefold()


def _is_capitalised(word: str) -> bool:
    """Tell whether a word may be a part of a name; a possessive is not."""
    if not is_word(word) or not (word[0].isupper() or word[0].istitle()):
        return False
    return not word.lower().replace("’", "'").endswith("'s")


def _without_initials(names: list[str]) -> list[str]:
    """Return names without the initials before and between them; the last one is none."""
    return [*(name for name in names[:-1] if not _INITIALS.fullmatch(name)), names[-1]]


def _is_question(parts: list[str]) -> bool:
    """Tell whether words begin a question: "Will" and "May" are names, but not the "Will" of "Will Tom come"."""
    return len(parts) > 1 and skeleton(parts[0]) in ("will", "may")


def _is_name_part(part: str, *, first: bool) -> bool:
    if not first and part.isascii() and part.isdigit():
        return True
    letters = part if first else part.rstrip("0123456789")
    return _is_capitalised(letters) and skeleton(letters) not in _NO_NAME


def _is_title_word(part: str) -> bool:
    return is_word(part) or (part.isascii() and part.isdigit())


def _is_stopped(word: str) -> bool:
    """Tell whether a word, or a part of it, is on the stop list of nouns."""
    whole = skeleton(word)
    return whole in _NO_NOUN or any(part in _NO_NOUN for part in whole.split("-"))


def _is_verbal(parts: list[str]) -> bool:
    """Tell whether a word has the ending of an adverb or, in the last place, of a verb: "apples picked"."""
    words = [skeleton(part) for part in parts]
    if any(word.endswith("ly") and word not in _LY_NOUNS for word in words):
        return True
    last = words[-1]
    if last == "red":
        return False
    if len(words) > 1 and last in _TRAILING:
        return True
    if last.endswith("ed") and not last.endswith(_ED_NOUNS):
        return True
    return len(words) > 1 and last.endswith("ing") and not last.endswith(_ING_NOUNS)


def _read_word(raw: str) -> str | None:
    return raw if is_word(raw) and raw.isalpha() else None


def _sampler(section: str) -> Callable[[random.Random], str]:
    return lambda rng: rng.choice(examples(section))


_ALSO_NAMES = frozenset(("will", "may", "max", "april", "june"))
_LIMITS = frozenset(("only", "twice", "thrice", "almost", "nearly", "exactly", "approximately", "roughly"))
_NO_NAME = stop_words("function", "pronoun", "negation", "opening", "comparative", "verb") - _ALSO_NAMES | _LIMITS
_NO_PERSON = (_NO_NAME | stop_words("quantity", "calendar")) - _ALSO_NAMES
_NO_NOUN = stop_words("function", "pronoun", "negation", "quantity", "comparative", "unit", "calendar", "verb")
_JOINING = ("and", "or", "nor", "but", "yet", "so", "if", "unless", "then", "than", "because", "although", "though",
            "while", "whereas", "which", "who", "that", "besides")  # fmt: skip
_NO_PHRASE = stop_words("pronoun", "negation", "quantity", "comparative", "pointing") | frozenset(_JOINING)
_NO_TITLE = stop_words("negation", "pointing") | (frozenset(_JOINING) - {"and"})
_MEANT_ELSEWHERE = stop_words("pronoun") | frozenset(("same", "usual", "before"))
"""In small letters these words of a title point to something else: "the same as before", but not "About Us"."""
_REPEATING = stop_words("repeating")
_COMPOUNDS = stop_words("compound")
_BETWEEN = ("and", "to", "on", "at", "with", "in", "for", "from", "by")
_TRAILING = stop_words("trailing")
_INITIAL = r"(?-i:[A-Z])\."
_INITIALS = re.compile(r"[A-Z]\.")
_TITLE = re.compile(r"(?:Dr|Mrs?|Ms|Prof)\.? ")
_SMALL = ("of", "the", "and", "de", "la", "del", "du", "da", "von", "van", "for", "in", "on", "at")
_PLAIN = r"[^ -,.-@[-`{-~]+"
"""Over-approximates a word: no ASCII but letters and the hyphen, and anything else."""
_TITLED = r"(?:[^ -%\'-,./:-@[-`{-~]+)"
"""The same with digits and the ampersand."""
_CAPITAL = r"(?-i:[A-Z\x{c0}-\x{10ffff}])[^ -&(-,.-@[-`{-~]*"
_CAPITAL_OR_DIGIT = r"(?-i:[A-Z\x{c0}-\x{10ffff}])[^ -&(-,./:-@[-`{-~]*"
_LY_WORDS = (
    "family jelly fly belly butterfly dragonfly bully lily assembly supply reply ally rally anomaly monopoly dolly"
    " trolley holly doily folly gully"
)
_LY_NOUNS = frozenset(_LY_WORDS.split())
_ED_NOUNS = ("bed", "shed", "seed", "weed", "reed", "sled", "breed", "feed", "moped", "biped", "steed", "deed", "speed")
_ING_NOUNS = (
    "ring", "earring", "painting", "building", "wedding", "king", "string", "wing", "pudding", "drawing", "meeting",
    "ceiling", "dumpling", "stocking", "sibling", "swing", "spring", "recording", "booking", "clothing", "icing",
    "frosting", "herring", "duckling", "seedling", "sting", "thing", "railing", "opening", "filling", "dressing",
)  # fmt: skip
_IRREGULAR = {
    "children": "child",
    "men": "man",
    "women": "woman",
    "people": "person",
    "mice": "mouse",
    "geese": "goose",
    "teeth": "tooth",
    "feet": "foot",
}
