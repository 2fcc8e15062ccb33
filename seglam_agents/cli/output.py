"""What commands print to: JSON documents for machines, a console for people."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, cast

import typer
from pydantic import BaseModel
from rich.console import Console

from seglam_agents.records.record import Json


def console() -> Console:
    """Return a console that takes text as it is: brackets in a template are no markup."""
    return Console(markup=False, highlight=False, emoji=False)


def print_json(document: object) -> None:
    """Print a value as one JSON document on stdout."""
    typer.echo(json.dumps(plain(document), ensure_ascii=False, indent=2))


def plain(value: object) -> Json:
    """Return the JSON form of records, dataclasses and their collections."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case BaseModel():
            dumped: Json = value.model_dump(mode="json")
            return dumped
        case Mapping():
            return {str(key): plain(item) for key, item in cast("Mapping[object, object]", value).items()}
        case os.PathLike():
            return os.fspath(cast("os.PathLike[str]", value))
        case Iterable():
            return [plain(item) for item in cast("Iterable[object]", value)]
        case _ if dataclasses.is_dataclass(value):
            fields = dataclasses.fields(cast(Any, value))
            return {field.name: plain(getattr(value, field.name)) for field in fields}
        case _:
            return str(value)
