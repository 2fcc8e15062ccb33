"""Files that are either whole or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile

from benchmarks.errors import UsageError
from seglam_agents.records.record import Json, Record


def write_atomically(path: Path, text: str) -> None:
    """Write a text file in one step: a reader sees the old or the new one, never half of it.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error}") from error


def write_report(path: Path, report: Record) -> None:
    """Write a report as indented JSON."""
    write_atomically(path, json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")


def write_lines(path: Path, documents: Iterable[Json]) -> None:
    """Write documents as JSON lines."""
    write_atomically(path, "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents))


def require_writable(path: Path | None) -> None:
    """Raise a `UsageError` where a file could not be written: better before a long run than after it."""
    if path is None:
        return
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if path.is_dir() or not os.access(folder, os.W_OK) or not folder.is_dir():
        raise UsageError(f"cannot write {path}: choose a file in a folder that can be written to")
