"""The one table of what may be said in several ways without meaning anything else.

Polite frames before a request, contractions, spellings of one word, articles. What stands here is no business of a
template's author: `normalise` folds requests and templates alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Edit = tuple[int, int, str]


def spellings(text: str) -> list[Edit]:
    """Return the edits that spell contractions out and fold words that are spelt in two ways."""
    return [edit for match in _WORD.finditer(text) if (edit := _spelling(match)) is not None]


def frame(text: str) -> int:
    """Return how many characters at the beginning of a text only ask politely; 0 where nothing else would be left."""
    end = 0
    while (match := _FRAME.match(text, end)) and match.end() < len(text):
        end = match.end()
    return end


def is_polite(text: str) -> bool:
    """Tell whether a text, such as a branch of a template, says nothing but a polite frame."""
    return bool(_POLITE.fullmatch(text.strip(" ,").lower()))


def without_sign_off(source: str) -> str:
    """Return a template without thanks behind literal text; behind a slot they may belong to its words."""
    match = _SIGN_OFF.search(source)
    return source[: match.start()] if match else source


def without_articles(words: frozenset[str]) -> frozenset[str]:
    """Return the words of a text that no other article may stand for."""
    return words - ARTICLES


def article_places(text: str) -> Iterator[re.Match[str]]:
    """Yield where an article stands in literal text, as a word of its own before another word or a slot."""
    return _ARTICLE.finditer(text)


def canonical(text: str) -> tuple[str, ...]:
    """Return the words of literal text without what makes no difference: articles, number, gender, politeness."""
    if is_polite(text):
        return ()
    words = (word.strip(",.;:!?") for word in text.casefold().split())
    return tuple(_CANONICAL.get(word, word) for word in words if word and word not in _EMPTY)


def _spelling(match: re.Match[str]) -> Edit | None:
    word = match[0].lower()
    new = SPELLINGS.get(word)
    if new is None:
        return None
    # "US" and "It's" keep their first letter as it was written.
    return match.start(), match.end(), new.upper() if match[0].isupper() else match[0][0] + new[1:]


ARTICLES = frozenset(("a", "an", "the"))
ARTICLE_PATTERN = "(?:an?|the)"
"""RE2 for any article where one stands: "a bill" and "the bill" ask for the same."""
PLEASE_PATTERN = "(?:,? please)?"
"""RE2 for a "please" at the end."""
_THANKS = (
    r"(?:many )?thanks(?: a lot| so much| very much)?(?: in advance)?"
    r"|thank you(?: so much| very much)?(?: in advance)?|thx|cheers|(?:kind |best |warm )?regards"
)
SIGN_OFF_PATTERN = f"(?:[.,!?;] (?:{_THANKS}))?"
"""RE2 for thanks and a greeting behind a request."""
ENDING_PATTERN = PLEASE_PATTERN + SIGN_OFF_PATTERN
"""RE2 for what may follow a request that does not end in open words."""

_NEGATED = (
    "is", "are", "was", "were", "do", "does", "did", "has", "have", "had", "could", "would", "should", "must", "need",
)  # fmt: skip
_WITH_IS = ["what", "who", "where", "when", "how", "that", "there", "here", "it", "he", "she"]
_BRITISH = (
    "colour:color favour:favor favourite:favorite honour:honor labour:labor neighbour:neighbor flavour:flavor"
    " behaviour:behavior centre:center theatre:theater fibre:fiber grey:gray catalogue:catalog programme:program"
    " travelled:traveled travelling:traveling traveller:traveler cancelled:canceled cancelling:canceling"
    " labelled:labeled modelled:modeled totalled:totaled jewellery:jewelry cosy:cozy mould:mold plough:plow"
    " organise:organize summarise:summarize categorise:categorize prioritise:prioritize analyse:analyze"
    " realise:realize recognise:recognize minimise:minimize maximise:maximize optimise:optimize normalise:normalize"
    " apologise:apologize capitalise:capitalize alphabetise:alphabetize finalise:finalize e-mail:email"
)


def _table() -> dict[str, str]:
    table: dict[str, str] = {"can't": "can not", "cant": "can not", "cannot": "can not", "won't": "will not"}
    for word in _NEGATED:
        table |= {f"{word}n't": f"{word} not", f"{word}nt": f"{word} not"}
    table |= {f"{word}'s": f"{word} is" for word in _WITH_IS} | {"whats": "what is", "let's": "let us"}
    for word in ("you", "we", "they", "who"):
        table |= {f"{word}'re": f"{word} are"}
    for word in ("i", "you", "we", "they"):
        table |= {f"{word}'ve": f"{word} have", f"{word}'ll": f"{word} will"}
    table |= {f"{word}'ll": f"{word} will" for word in ("he", "she", "it", "that")} | {"i'm": "i am"}
    for pair in _BRITISH.split():
        british, american = pair.split(":")
        table |= {british: american, f"{british}s": f"{american}s"}
        if british.endswith(("our", "mould")):
            table |= {f"{british}{end}": f"{american}{end}" for end in ("ed", "ing", "ful")}
        if british.endswith("se"):
            table |= {f"{british[:-1]}{end}": f"{american[:-1]}{end}" for end in ("ed", "ing", "es")}
    return table


SPELLINGS = _table()
"""What is written: how it is read. Both sides are lower case."""

# No word that a sentence needs is a frame: "will you" asks, "tell me" names what is wanted.
_FRAMES = (
    r"(?:hi|hello|hey)(?: there| all| everyone)?[,!.]+",
    r"good (?:morning|afternoon|evening|day)[,!.]+",
    r"(?:please|pls|kindly)[,:]?",
    r"(?:can|could|would) you(?: please| kindly)?",
    r"i(?: would|'d) like you to(?: please)?",
    r"i (?:want|need) you to(?: please)?",
    r"(?:just )?(?:a )?quick (?:one|1|question) ?[:,.-]",
)
_FRAME = re.compile(rf"(?:{'|'.join(_FRAMES)}) (?=\S)", re.IGNORECASE)
_POLITE = re.compile(rf"(?:(?:{'|'.join((*_FRAMES, 'quick (?:one|1|question)', 'thanks', 'thank you'))})[ ,]*)+")
_SIGN_OFF = re.compile(rf"(?<=[\w%'\")\]])[.,!?;] (?:{_THANKS})$", re.IGNORECASE)
_ARTICLE = re.compile(r"(?<![^\W_])(?<!['-])(?:an?|the)(?= )", re.IGNORECASE)
_WORD = re.compile(r"(?<![\w'-])[a-z]+(?:['-][a-z]+)?(?![\w'-])", re.IGNORECASE)

_GROUPS = (
    ("he", "he she they it him her them his hers their theirs its himself herself themselves itself"),
    ("i", "i we me us"),
    ("is", "is are am"),
    ("was", "was were"),
    ("has", "has have"),
    ("do", "do does"),
)
_CANONICAL = {word: group for group, words in _GROUPS for word in words.split()}
_EMPTY = ARTICLES | frozenset(("this", "these", "those", "my", "our"))
