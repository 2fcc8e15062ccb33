"""What commands print to: JSON documents for machines, a console for people."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterable
from typing import Any, cast

import typer
from pydantic import BaseModel
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from seglam_agents.records.record import Json
from seglam_agents.records.shapes import is_mapping


def console() -> Console:
    """Return a console that takes text as it is: no bracket is markup, and nothing steers the terminal."""
    made = Console(markup=False, highlight=False, emoji=False)
    if not made.is_terminal and not os.environ.get("COLUMNS"):
        made.width = PIPED
    made.push_render_hook(_Tame())
    return made


PIPED = 200
"""The width of what goes into a pipe or a file, where no terminal says how wide it is."""


def print_json(document: object) -> None:
    """Print a value as one JSON document on stdout."""
    text = json.dumps(plain(document), ensure_ascii=False, indent=2)
    typer.echo(_STEERING.sub(lambda match: "".join(f"\\u{ord(sign):04x}" for sign in match[0]), text))


def tamed(text: str) -> str:
    """Return a text in which what would steer a terminal, or turn lines around, is a sign that can be seen."""
    return _STEERING.sub("\ufffd", text)


class _Tame(RenderHook):
    """Tames every text on its way to a terminal: answers and reasons come from code and models that nobody trusts."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Wrap everything that is printed."""
        return [_Tamed(renderable) for renderable in renderables]


class _Tamed:
    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else Segment(tamed(segment.text), segment.style)


_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def plain(value: object) -> Json:
    """Return the JSON form of records, dataclasses and their collections."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case BaseModel():
            dumped: Json = value.model_dump(mode="json")
            return dumped
        case _ if is_mapping(value):
            return {str(key): plain(item) for key, item in value.items()}
        case os.PathLike():
            return os.fspath(cast("os.PathLike[str]", value))
        case Iterable():
            return [plain(item) for item in cast("Iterable[object]", value)]
        case _ if dataclasses.is_dataclass(value):
            fields = dataclasses.fields(cast(Any, value))
            return {field.name: plain(getattr(value, field.name)) for field in fields}
        case _:
            return str(value)
