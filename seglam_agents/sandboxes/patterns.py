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
from seglam_agents.sandboxes.naming import LOOKED_AT, dotted, imports, parsed

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
_END: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\$", re.DOTALL)
"""What is skipped in a pattern on the way to a `$`: escapes and sets."""
_PYTHONS_END: Final = r"(?=\n?(?!\n)\Z)"
_FEW_CHOICES: Final = 4
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


@lru_cache(maxsize=LOOKED_AT)
def traits(source: str) -> frozenset[str]:
    """Return what of its texts a program may look at through regular expressions: words, spaces, letters, ends."""
    if not re.search(r"\bre\b", source):
        return frozenset()
    found = {name for name, mark in _MARKS.items() if re.search(mark, source)}
    if "end" in found and not _asks_for_ends(list(ast.walk(parsed(source)))):
        found.discard("end")
    return frozenset(found)


def ends(nodes: Sequence[ast.AST], imported: Mapping[str, str]) -> Iterator[tuple[ast.Constant, str]]:
    """Yield patterns that ask for the end of a text, each with one that asks for it as Python's `$` does."""
    for node in _patterns(nodes, imported, writable=True):
        pattern = _END.sub(lambda found: found.group() if found.group() != "$" else _PYTHONS_END, str(node.value))
        if pattern != node.value:
            yield node, pattern


def _asks_for_ends(nodes: Sequence[ast.AST]) -> bool:
    """Tell whether a pattern may find the end of a text otherwise than Python does."""
    imported = imports(nodes)
    known = {id(node) for node in _patterns(nodes, imported, writable=False)}
    functions = [node for node in nodes if isinstance(node, (ast.Name, ast.Attribute)) and _is_function(node, imported)]
    calls = [node for node in nodes if isinstance(node, ast.Call) and _is_function(node.func, imported)]
    if len(functions) == len(calls) and all(id(_pattern(call)) in known for call in calls):
        return False
    texts = (node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return any(re.search(_MARKS["end"], str(node.value)) for node in texts if id(node) not in known)


def _is_function(node: ast.expr, imported: Mapping[str, str]) -> bool:
    module, _, name = dotted(node, imported).rpartition(".")
    return module == "re" and name in _FUNCTIONS


def _pattern(node: ast.Call) -> ast.expr | None:
    return next((word.value for word in node.keywords if word.arg == "pattern"), [*node.args, None][0])


def _patterns(nodes: Sequence[ast.AST], imported: Mapping[str, str], *, writable: bool) -> Iterator[ast.Constant]:
    """Yield patterns of which the `$` does not matter: those that are replaced, and those that find ends of lines."""
    if any(isinstance(node, ast.Attribute) and node.attr == "pattern" for node in nodes):
        return
    # In f-strings the places of things are not known.
    inside = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in nodes:
        if not isinstance(node, ast.Call) or not _is_function(node.func, imported):
            continue
        pattern = _pattern(node)
        if (
            id(pattern) in inside
            or not (isinstance(pattern, ast.Constant) and isinstance(pattern.value, str))
            or "(?#" in pattern.value
        ):
            continue
        lines = _of_lines(node, imported)
        if lines is True:
            if not writable:
                yield pattern
        elif lines is False and pattern.lineno == pattern.end_lineno and _is_plain(pattern.value):
            yield pattern


def _is_plain(pattern: str) -> bool:
    """Tell whether a pattern can be looked for step by step, as Monty does where one looks ahead: not all at once."""
    try:
        found = list(_choices(cast(object, parser.parse(pattern)), inside=False))  # pyright: ignore[reportUnknownMemberType]
    except (re.error, OverflowError, RecursionError):
        return False
    return len(found) <= _FEW_CHOICES and not any(found)


def _choices(part: object, *, inside: bool) -> Iterator[bool]:
    """Yield for each place where a pattern may go on in several ways whether it stands in a repetition."""
    if not (isinstance(part, (tuple, list)) or hasattr(part, "getwidth")):
        return
    rest = list(cast("Sequence[object]", part))
    kind = str(rest[0]) if isinstance(part, tuple) and rest else ""
    if kind == "BRANCH":
        yield inside
    elif kind in {"MAX_REPEAT", "MIN_REPEAT"}:
        least, most, repeated = cast("tuple[int, int, object]", rest[1])
        if most > 1 and least != most:
            yield inside
        inside, rest = inside or most > 1, [repeated]
    for one in rest:
        yield from _choices(one, inside=inside)


def _of_lines(node: ast.Call, imported: Mapping[str, str]) -> bool | None:
    """Tell whether a pattern looks at each line by itself; None where that is not known."""
    first = node.args[0] if node.args else None
    inside = isinstance(first, ast.Constant) and re.search(r"\(\?[a-z]*m", str(first.value))
    at = {"compile": 1, "split": 3, "sub": 4}.get(dotted(node.func, imported)[3:], 2)
    given = [*node.args[at : at + 1], *(word.value for word in node.keywords if word.arg == "flags")]
    names = [part for one in given for part in ast.walk(one) if not isinstance(part, (ast.BinOp, ast.BitOr, ast.Load))]
    wholes = {dotted(part, imported) for part in names if isinstance(part, (ast.Name, ast.Attribute))} - {"re"}
    if inside or wholes & {"re.M", "re.MULTILINE"}:
        return True
    known = all(whole.startswith("re.") for whole in wholes) and all(
        isinstance(part, (ast.Name, ast.Attribute)) or (isinstance(part, ast.Constant) and part.value == 0)
        for part in names
    )
    return False if known else None


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
