"""SQL of a model as a statement with parameters: which literals stand in the question, and whether it only reads.

A small lexer of its own, because everything here hangs on knowing for sure where a literal begins and ends. What
databases read in different ways (comments, backslashes, dollar quotes) is refused instead of guessed at.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeAlias, cast

from seglam_agents.guards.slots.exports import find_all
from seglam_agents.hosting.answering import Unfit
from seglam_agents.records.shapes import is_listing

Kind: TypeAlias = Literal["word", "string", "quoted", "number", "parameter", "mark"]

MAX_STATEMENT = 20_000


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a literal, a quoted name or a mark of a statement, with its place."""

    kind: Kind
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """The word in upper case; empty for what is no word."""
        return self.text.upper() if self.kind == "word" else ""


@dataclass(frozen=True, slots=True)
class Lifted:
    """A statement with named placeholders, and what stood in their places."""

    statement: str
    parameters: Mapping[str, str | int | float] = field(default_factory=dict[str, str | int | float])


def lift(
    statement: str,
    question: str,
    *,
    names: Iterable[str] = (),
    double_quoted_strings: bool = False,
) -> Lifted | Unfit:
    """Replace each literal that also stands in the question by a named placeholder.

    Args:
        statement: what the model wrote.
        question: what was asked. Case does not matter; numbers may be written as words, days in any way.
        names: the names of tables and columns of the database.
        double_quoted_strings: whether the database reads `"texas"` as a text where nothing is called so (SQLite and
            MySQL do).
    """
    found = read_only(statement)
    if isinstance(found, Unfit):
        return found
    strings = _quoted_strings(found, names) if double_quoted_strings else frozenset[int]()
    asked = Asked.of(question)
    parts: list[str] = []
    parameters: dict[str, str | int | float] = {}
    end = 0
    for number, token in enumerate(found):
        value = _value(found, number, asked, strings)
        replaced = _escaped(token)
        if value is not None:
            name = _name(found, number, parameters)
            parameters[name] = value
            replaced = f":{name}"
        parts += [statement[end : token.start], replaced]
        end = token.end
    return Lifted("".join(parts).strip(), parameters)


def read_only(statement: str, *, stored: bool = False) -> list[Token] | Unfit:
    """Return the tokens of a statement if it is one `SELECT` (or `WITH ... SELECT`), without a semicolon at its end.

    Args:
        statement: what is to run.
        stored: whether it comes from `lift`, and so has placeholders, and colons of texts after a backslash.
    """
    found = tokens(statement, stored=stored)
    if isinstance(found, Unfit):
        return found
    while found and found[-1].text == ";":
        found.pop()
    if not found:
        return Unfit("the statement is empty")
    if found[0].word not in ("SELECT", "WITH"):
        return Unfit(f"the statement begins with {found[0].text[:20]!r} and not with SELECT or WITH")
    for token in found:
        if token.text == ";":
            return Unfit("there is more than one statement")
        if token.word in _WRITING:
            return Unfit(f"the word {token.word} may change the database")
        if token.kind == "parameter" and not stored:
            return Unfit(f"the statement has the placeholder {token.text} already")
        if token.word in _ACTING or token.word.startswith(_ACTING_PREFIXES):
            return Unfit(f"the function {token.text} may do more than read")
    return found if _balanced(found) else Unfit("the brackets do not match")


def tokens(statement: str, *, stored: bool = False) -> list[Token] | Unfit:
    """Return the tokens of a statement, or why it cannot be read for sure. See `read_only`."""
    if len(statement) > MAX_STATEMENT:
        return Unfit(f"the statement has {len(statement)} characters; at most {MAX_STATEMENT} are read")
    found: list[Token] = []
    position = 0
    while position < len(statement):
        match = _TOKEN.match(statement, position)
        if match is None or match.lastgroup is None:
            return Unfit(f"cannot read the SQL at {statement[position : position + 20]!r}")
        if match.lastgroup == "refused":
            return Unfit(f"{match[0]!r} means different things to different databases")
        if match.lastgroup in ("string", "quoted") and "\\" in (match[0].replace("\\:", "") if stored else match[0]):
            return Unfit("a backslash in a text means different things to different databases")
        if match.lastgroup == "string" and found and _glued(found[-1], match.start()):
            return Unfit(f"the text after {found[-1].text!r} is of a special kind")
        if match.lastgroup != "space":
            kind = cast(Kind, match.lastgroup)
            found.append(Token(kind, match[0], match.start(), match.end()))
        position = match.end()
    return found


def pattern_parameters(statement: str) -> frozenset[str]:
    """Return the names of the parameters that are patterns of a `LIKE`: there, `%` and `_` are no plain letters."""
    found = tokens(statement, stored=True)
    if isinstance(found, Unfit):
        return frozenset()
    return frozenset(
        token.text[1:]
        for before, token in itertools.pairwise(found)
        if token.kind == "parameter" and before.word in _PATTERNS
    )


def placeholders(statement: str) -> frozenset[str]:
    """Return the names of the placeholders of a stored statement."""
    found = tokens(statement, stored=True)
    return frozenset() if isinstance(found, Unfit) else frozenset(t.text[1:] for t in found if t.kind == "parameter")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question says: its words, its numbers and its days."""

    text: str
    numbers: frozenset[float]
    days: frozenset[str]

    @classmethod
    def of(cls, question: str) -> Asked:
        """Read a question."""
        numbers = {float(match[0].replace(",", "")) for match in _DIGITS.finditer(question)}
        numbers |= {float(value) for value in _spelt("number", question) if isinstance(value, (int, float))}
        days = {
            value.isoformat()
            for kind in ("date", "monthday")
            for value in _spelt(kind, question)
            if isinstance(value, date)
        }
        return cls(_folded(question), frozenset(numbers), frozenset(days))

    def says(self, value: str | int | float) -> bool:
        """Tell whether a literal stands in the question, in whatever spelling."""
        if isinstance(value, str):
            return self.has(value) or value in self.days
        return float(value) in self.numbers

    def has(self, text: str) -> bool:
        """Tell whether words stand in the question as whole words."""
        wanted = _folded(text)
        return bool(wanted) and bool(re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", self.text))


def _spelt(kind: str, question: str) -> list[object]:
    """Return the values of a kind that a question spells."""
    return [place[0] for place in find_all(kind, question) if is_listing(place)]


def _value(found: Sequence[Token], number: int, asked: Asked, strings: frozenset[int]) -> str | int | float | None:
    """Return the value of a literal that becomes a parameter."""
    token, before = found[number], found[number - 1] if number else None
    if before is not None and (before.word in _NO_PARAMETER_AFTER or _clause(found, number) == "BY"):
        return None
    if before is not None and before.text == "," and _clause(found, number) == "SELECT":
        return None  # A column of its own: its name is the literal.
    if token.kind == "number":
        return _number(token.text) if float(_number(token.text)) in asked.numbers else None
    if token.kind != "string" and number not in strings:
        return None
    quote = token.text[0]
    text = token.text[1:-1].replace(quote * 2, quote)
    bare = text.strip("%") if before is not None and before.word in _PATTERNS else text
    if before is not None and before.word in _PATTERNS and ("%" in bare or "_" in bare):
        return None
    return text if asked.has(bare) or text in asked.days else None


def _number(text: str) -> int | float:
    return int(text) if text.isdigit() else float(text)


def _clause(found: Sequence[Token], number: int) -> str:
    """Return the nearest word before a token, in the same brackets, that begins a clause."""
    depth = 0
    for token in reversed(found[:number]):
        if token.text == ")":
            depth += 1
        elif token.text == "(":
            if depth == 0:
                return ""
            depth -= 1
        elif depth == 0 and token.word in _CLAUSES:
            return token.word
    return ""


def _name(found: Sequence[Token], number: int, taken: Mapping[str, object]) -> str:
    """Return a name for a parameter: that of the column it is compared with, where that is plain to see."""
    place = number - 1
    while place >= 0 and (found[place].text in _COMPARISONS or found[place].word in (*_PATTERNS, "NOT", "IN")):
        place -= 1
    column = found[place] if 0 <= place < number - 1 and found[place].kind == "word" else None
    plain = column is not None and column.word not in _WORDS and column.text.isascii()
    base = column.text.lower() if column is not None and plain else "limit" if found[place].word == "LIMIT" else "p"
    names = (base, *(f"{base}_{suffix}" for suffix in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def _quoted_strings(found: Sequence[Token], names: Iterable[str]) -> frozenset[int]:
    """Return which tokens in double quotes are texts: those that nothing is called like, and that name nothing."""
    known = {name.casefold() for name in names} | {token.text.casefold() for token in found if token.kind == "word"}
    return frozenset(
        number
        for number, token in enumerate(found)
        if token.kind == "quoted"
        and token.text[0] == '"'
        and token.text[1:-1].casefold() not in known
        and (found[number - 1].text in (*_COMPARISONS, "(", ",") or found[number - 1].word in _PATTERNS)
        and (number + 1 == len(found) or found[number + 1].text not in (".", "("))
    )


def _escaped(token: Token) -> str:
    """Return a constant so that `sqlalchemy.text` finds no placeholder in it."""
    return token.text.replace(":", "\\:") if token.kind in ("string", "quoted") else token.text


def _glued(before: Token, start: int) -> bool:
    return before.end == start and before.kind in ("word", "number", "string")


def _balanced(found: Sequence[Token]) -> bool:
    depth = 0
    for token in found:
        depth += (token.text == "(") - (token.text == ")")
        if depth < 0:
            return False
    return depth == 0


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def words(line: str) -> frozenset[str]:
    """Return the words of a line."""
    return frozenset(line.split())


_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
    |(?P<refused>--|/\*|\#|\$|@|\?|[{}\\]|\[(?![\w ]+\]))
    |(?P<string>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*"|`[^`]*`|\[[\w\ ]+\])
    |(?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    |(?P<word>[^\W\d]\w*)
    |(?P<parameter>(?<![:\w]):[^\W\d]\w*)
    |(?P<mark>::|<>|<=|>=|!=|==|\|\||->>|->|[-+*/%<>=(),.;~&|!^])
    """,
    re.VERBOSE,
)
_DIGITS = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?!\w)")
_WRITING = words(
    "INSERT UPDATE DELETE MERGE UPSERT INTO CREATE ALTER DROP TRUNCATE RENAME GRANT REVOKE ATTACH DETACH PRAGMA VACUUM"
    " REINDEX ANALYZE COPY CALL EXEC EXECUTE DO SET BEGIN COMMIT ROLLBACK SAVEPOINT LOCK LOAD HANDLER"
)
_ACTING = words("LOAD_EXTENSION NEXTVAL SETVAL SET_CONFIG DBLINK SLEEP BENCHMARK GET_LOCK LOAD_FILE WRITEFILE READFILE")
_ACTING_PREFIXES = (
    "PG_SLEEP",
    "PG_READ",
    "PG_WRITE",
    "PG_TERMINATE",
    "PG_CANCEL",
    "PG_ADVISORY",
    "LO_",
    "XP_",
    "DBLINK_",
)
_PATTERNS = ("LIKE", "ILIKE", "GLOB", "REGEXP", "RLIKE", "SIMILAR", "MATCH")
_COMPARISONS = ("=", "==", "<>", "!=", "<", ">", "<=", ">=")
_CLAUSES = words("SELECT FROM WHERE BY HAVING LIMIT OFFSET ON VALUES UNION EXCEPT INTERSECT FETCH WINDOW")
_NO_PARAMETER_AFTER = words("SELECT DISTINCT AS ESCAPE DATE TIME TIMESTAMP INTERVAL COLLATE ZONE")
_WORDS = _CLAUSES | words("AND OR NOT IN IS BETWEEN LIKE ILIKE CASE WHEN THEN ELSE END AS DISTINCT ALL ANY")
