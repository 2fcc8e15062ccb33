"""`pattern_problems`: regular expressions that Monty reads otherwise than Python; `odd_text`: texts that it does."""

from __future__ import annotations

import ast
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from re import _parser as parser  # pyright: ignore  # noqa: PGH003  # it alone knows the widths
from typing import Final, cast

from seglam_agents.records.values import Value
from seglam_agents.sandboxes.base import Problem
from seglam_agents.sandboxes.naming import dotted

_FUNCTIONS: Final = frozenset({"compile", "search", "match", "fullmatch", "findall", "finditer", "split", "sub"})
_REPEATED: Final = frozenset({"findall", "finditer", "split", "sub"})
_ESCAPES: Final[Mapping[str, str]] = {
    "Z": r"\Z also matches before a last newline here: write (?!\n)\Z, or use re.fullmatch()",
    "<": r"\< is the beginning of a word here: write <",
    ">": r"\> is the end of a word here: write >",
}
_NO_ESCAPES: Final = re.compile(r"\\([^abBdDsSwWAZfnrtvxuUN0-9\W_])")
_IN_SETS: Final = ("&&", "--", "~~")
_MARKS: Final[Mapping[str, str]] = {
    "word": r"\\[wWbB]",
    "space": r"\\[sS]",
    "letter": r"\(\?[a-z]*i|IGNORECASE|\.I\b",
    "end": r"(?<![\\\[])\$",
}
_CIRCLED: Final = (("\u24b6", "\u24e9"), ("\U0001f130", "\U0001f189"))


def pattern_problems(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what literal patterns and replacements hold that means something else in Monty."""
    if not any(name.partition(".")[0] == "re" for name in imported.values()):
        return
    texts = _Texts(nodes, imported)
    unknown = False
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        function, pattern, arguments = texts.called(node)
        if function in _FUNCTIONS:
            unknown = unknown or pattern is None
            for message in _in_pattern(function, pattern):
                yield Problem(node.lineno, message)
        if function == "sub":
            replacement = next((word.value for word in node.keywords if word.arg == "repl"), None)
            for message in _in_replacement(texts.text(replacement or (arguments[0] if arguments else None)), pattern):
                yield Problem(node.lineno, message)
    if unknown:
        yield from _in_any_text(nodes)


def odd_text(value: Value, traits: frozenset[str]) -> str | None:
    """Return what in a value Monty's regular expressions take for something else than Python's do, if anything."""
    match value:
        case str():
            return _odd(value, traits)
        case Mapping():
            parts = [*value, *value.values()]
        case list() | tuple():
            parts = cast("list[Value]", value)
        case _:
            return None
    return next((found for part in parts if (found := odd_text(part, traits))), None)


@lru_cache(maxsize=1024)
def traits(source: str) -> frozenset[str]:
    """Return what of its texts a program may look at through regular expressions: words, spaces, letters, ends."""
    if not re.search(r"\bre\b", source):
        return frozenset()
    return frozenset(name for name, mark in _MARKS.items() if re.search(mark, source))


class _Texts:
    """What is known of the texts and the compiled patterns of a program."""

    def __init__(self, nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> None:
        self._imported = imported
        self._values: dict[str, ast.expr] = {}
        stores = Counter(node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
        for node in nodes:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if stores[name] == 1:
                    self._values[name] = value
                case _:
                    pass

    def text(self, node: ast.expr | None) -> tuple[str, bool] | None:
        """Return a text that stands in the program, and whether it is the whole of it."""
        match node:
            case ast.Constant(value=str(text)):
                return text, True
            case ast.Name(id=name) if self._values.get(name) is not None:
                value = self._values[name]
                return None if isinstance(value, ast.Name) else self.text(value)
            case ast.JoinedStr(values=parts):
                # Whatever is put in counts as a letter.
                return "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts), False
            case _:
                return None

    def called(self, node: ast.Call) -> tuple[str, tuple[str, bool] | None, list[ast.expr]]:
        """Return the function of `re` that a call calls, its pattern, and the arguments after that."""
        name = dotted(node.func, self._imported)
        if name.startswith("re."):
            pattern = next((word.value for word in node.keywords if word.arg == "pattern"), None)
            return name[3:], self.text(pattern or (node.args[0] if node.args else None)), node.args[1:]
        if isinstance(node.func, ast.Attribute) and node.func.attr in _REPEATED:
            owner = node.func.value
            made = self._values.get(owner.id) if isinstance(owner, ast.Name) else owner
            if isinstance(made, ast.Call) and dotted(made.func, self._imported) == "re.compile" and made.args:
                return node.func.attr, self.text(made.args[0]), node.args
        return "", None, []


def _in_any_text(nodes: Iterable[ast.AST]) -> Iterator[Problem]:
    """Look into every text with a backslash where a pattern is not known: it may be one of them."""
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\\" in node.value:
            for message in (*_in_classes(node.value), *_in_escapes(node.value)):
                yield Problem(node.lineno, message)


def _in_pattern(function: str, found: tuple[str, bool] | None) -> Iterator[str]:
    if found is None:
        return
    pattern, whole = found
    problems = [*_in_classes(pattern), *_in_escapes(pattern)]
    yield from problems
    if problems or not whole:
        return
    try:
        re.compile(pattern)
        least, most = cast("tuple[int, int]", parser.parse(pattern).getwidth())  # pyright: ignore[reportUnknownMemberType]
    except (re.error, OverflowError, RecursionError) as error:
        yield f"the pattern {pattern[:80]!r} is none of Python's: {error}"
        return
    sparing = re.search(r"[*+?}]\?", pattern)
    at_start = pattern.startswith(("^", r"\A")) and "(?m" not in pattern and not sparing
    if function in _REPEATED and least == 0 < most and not at_start:
        yield f"{pattern[:80]!r} can match nothing, after which re.{function}() goes on differently here: use + for *"


def _in_escapes(pattern: str) -> Iterator[str]:
    unslashed = pattern.replace(r"\\", "").replace(r"(?!\n)\Z", "")
    yield from (_ESCAPES[sign] for sign in re.findall(r"\\(.)", unslashed) if sign in _ESCAPES)
    if found := _NO_ESCAPES.search(unslashed):
        yield rf"\{found.group(1)} is no escape of Python's patterns, though it is one here: write it out"


def _in_classes(pattern: str) -> Iterator[str]:
    for inside in re.findall(r"\\.|\[\^?\]?((?:\\.|[^\]\\])*)\]", pattern, re.DOTALL):
        plain = re.sub(r"\\.", "", inside, flags=re.DOTALL)
        if "[" in plain:
            yield r"a [ within [...] begins a set of its own here: write \["
        if any(sign in plain for sign in _IN_SETS):
            yield f"{' '.join(_IN_SETS)} within [...] have a meaning of their own here: write a backslash before each"


def _in_replacement(found: tuple[str, bool] | None, pattern: tuple[str, bool] | None) -> Iterator[str]:
    if found is None:
        return
    groups = _groups(pattern)
    for match in re.finditer(r"\\(\d+|g<|\\|.|$)(.?)", found[0], re.DOTALL):
        sign, after = match.groups()
        if sign.isdigit() and sign != "0" and (after.isalnum() or after == "_"):
            yield rf"\{sign}{after} in a replacement is read as one name here: write \g<{sign}>{after}"
        elif sign.isdigit() and groups is not None and int(sign) > groups:
            yield rf"\{sign} in the replacement names no group of the pattern"
        elif sign.isalpha() or not sign:
            yield rf"\{sign} in a replacement is no escape here: write the character itself, not in a raw text"


def _groups(pattern: tuple[str, bool] | None) -> int | None:
    try:
        return re.compile(pattern[0]).groups if pattern and pattern[1] and not list(_in_classes(pattern[0])) else None
    except (re.error, OverflowError, RecursionError):
        return None


def _odd(text: str, wanted: frozenset[str]) -> str | None:
    if "end" in wanted and text.endswith("\n"):
        return "a last newline"
    if "space" in wanted and (found := re.search("[\x1c-\x1f]", text)):
        return repr(found.group())
    if text.isascii():
        return None
    letters = {letter for letter in set(text) if letter > "\x7f"}
    if "letter" in wanted and (some := letters & set("ıİ")):
        return min(some)
    return next((letter for letter in sorted(letters) if "word" in wanted and _is_odd_word(letter)), None)


def _is_odd_word(letter: str) -> bool:
    """Tell whether a letter is part of a word in one of Python and Monty only."""
    circled = any(first <= letter <= last for first, last in _CIRCLED)
    return circled or letter in "\u200c\u200d" or unicodedata.category(letter) in {"No", "Mn", "Mc", "Me", "Pc", "Cn"}
