"""Reads what a model replied to the compile prompt: strictly, and with a finding that the model can act on."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

from seglam_agents.records.record import Json

MAX_REPLY = 40_000
"""Characters of a reply; a longer one is not a page of Python."""


@dataclass(frozen=True, slots=True)
class Module:
    """A module that could be read: its metadata, and the source that is left without it."""

    source: str
    name: str
    description: str = ""
    templates: tuple[str, ...] = ()
    where: str | None = None
    expected: tuple[Json, ...] | None = None
    context: Mapping[str, str] | None = None
    widens: str | None = None
    has_run: bool = True
    has_match: bool = False


@dataclass(frozen=True, slots=True)
class Declined:
    """The model says that no code can answer."""

    reason: str
    answer: str | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The reply is neither."""

    problem: str


Reply: TypeAlias = Module | Declined | Unreadable


def read_reply(text: str, *, truncated: bool = False) -> Reply:
    """Read a reply of the model compiler."""
    text = text.replace("\r\n", "\n")
    if truncated:
        return Unreadable("the reply was cut off at the length limit: write a shorter module")
    if len(text) > MAX_REPLY:
        return Unreadable(f"the reply has {len(text)} characters; a procedure is a page: write a shorter module")
    declined = re.search(r"^\s*NOT_CRYSTALLIZABLE:[ \t]*(.+)$", text, re.MULTILINE)
    blocks = re.findall(r"^```(?:[Pp]ython|py)?[ \t]*\n(.*?)^```[ \t]*$", text, re.MULTILINE | re.DOTALL)
    if declined and (_answers_first(text, declined.end()) or not any("def run" in block for block in blocks)):
        # From the reason on, so that an answer may hold the word itself; kept as it is, whatever its format.
        answer = re.compile(r"^\s*ANSWER:(?:[ \t]*\n|[ \t]?)(.*)\Z", re.MULTILINE | re.DOTALL).search(
            text, declined.end()
        )
        said = answer.group(1) if answer else ""
        return Declined(declined.group(1).strip(), said if said.strip() else None)
    if len(blocks) != 1:
        return Unreadable(
            f"expected exactly one Python code block, found {len(blocks)}: write the module between ```python and ```"
        )
    return _read_module(blocks[0])


def _answers_first(text: str, start: int) -> bool:
    """Tell whether the answer of a refusal begins before any code, which is then a part of it."""
    answer = re.search(r"^\s*ANSWER:", text[start:], re.MULTILINE)
    return answer is not None and "```" not in text[: start + answer.start()]


_METADATA = {"NAME", "DESCRIPTION", "TEMPLATES", "WHERE", "EXPECTED", "CONTEXT", "WIDENS"}


def _read_module(source: str) -> Reply:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Unreadable(f"the code block is no Python module: {error}: correct that line")
    metadata: dict[str, object] = {}
    kept: list[str] = []
    for node in tree.body:
        name = _metadata_name(node)
        if name is None:
            kept.append(_segment(source, node))
            continue
        try:
            metadata[name] = ast.literal_eval(cast(ast.Assign, node).value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return Unreadable(f"{name} must be written as a literal: values only, no names and no calls")
    return _module("\n\n".join(kept).strip() + "\n", metadata, _functions(tree))


def _segment(source: str, node: ast.stmt) -> str:
    """Return the source of a statement with its decorators, which the node itself does not span."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(source.splitlines()[first - 1 : node.end_lineno])


def _metadata_name(node: ast.stmt) -> str | None:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)]) if name in _METADATA:
            return name
        case _:
            return None


def _functions(tree: ast.Module) -> set[str]:
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def _module(source: str, metadata: Mapping[str, object], functions: set[str]) -> Reply:
    problem = _shape_problem(metadata, functions)
    if problem:
        return Unreadable(problem)
    expected = metadata.get("EXPECTED")
    return Module(
        source=source,
        name=_slug(str(metadata.get("NAME", "procedure"))),
        description=" ".join(str(metadata.get("DESCRIPTION", "")).split())[:300],
        templates=tuple(cast("list[str]", metadata.get("TEMPLATES", []))),
        where=cast("str | None", metadata.get("WHERE")) or None,
        expected=None if expected is None else tuple(cast("list[Json]", expected)),
        context=cast("dict[str, str] | None", metadata.get("CONTEXT")),
        widens=cast("str | None", metadata.get("WIDENS")),
        has_run="run" in functions,
        has_match="match" in functions,
    )


def _shape_problem(metadata: Mapping[str, object], functions: set[str]) -> str | None:
    templates, widens = metadata.get("TEMPLATES"), metadata.get("WIDENS")
    if templates is not None and not _is_list_of_text(templates):
        return "TEMPLATES must be a list of texts, one for each wording"
    if "run" not in functions and not (widens and templates):
        return "the module defines no function `run`: write it, or WIDENS with TEMPLATES"
    if not templates and "match" not in functions:
        return "the module has neither TEMPLATES nor a function `match`: write TEMPLATES"
    if templates and "match" in functions:
        return "the module has both TEMPLATES and `match`: keep one"
    if not isinstance(metadata.get("WHERE"), (str, type(None))):
        return "WHERE must be a text with one expression"
    if not isinstance(widens, (str, type(None))):
        return "WIDENS must be the id of a procedure, as a text"
    if not isinstance(metadata.get("EXPECTED", []), (list, tuple)):
        return "EXPECTED must be a list with one answer for each given request"
    if not isinstance(metadata.get("CONTEXT", {}), dict):
        return "CONTEXT must be a dict from context key to slot type"
    return None


def _is_list_of_text(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) and item.strip() for item in value)  # pyright: ignore[reportUnknownVariableType]  # narrowed by the check itself


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:48] or "procedure"
