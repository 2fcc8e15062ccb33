"""`read_traces`: every recorded run of files and folders, as a `Trace` or as the reason why it is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from seglam_agents.harvest import langsmith, opentelemetry, own
from seglam_agents.harvest.documents import Document, Unread, documents
from seglam_agents.harvest.fields import UnreadableRun
from seglam_agents.harvest.piles import Pile, Piles
from seglam_agents.records.record import Json
from seglam_agents.records.request import MAX_CHARACTERS
from seglam_agents.records.trace import Trace

__all__ = ["Format", "Unread", "read_traces"]

Format: TypeAlias = Literal["auto", "own", "langsmith", "opentelemetry"]
Progress: TypeAlias = Callable[[int, int], None]
"""Told how many bytes were read, and how many there are."""

ENDINGS = (".json", ".jsonl", ".ndjson")
"""Of the files read in a folder; each may be followed by `.gz`."""

_SPOILT = (UnreadableRun, ValidationError, RecursionError, UnicodeError)
"""How a document or a run that nobody expected shows; it must not stop the others."""
_RECOGNISED: dict[Format, Callable[[Json], bool]] = {
    "own": own.recognises,
    "langsmith": langsmith.recognises,
    "opentelemetry": opentelemetry.recognises,
}


def read_traces(
    paths: Sequence[Path], format: Format = "auto", *, progress: Progress = lambda done, total: None
) -> Iterator[Trace | Unread]:
    """Yield the recorded runs of files and folders, and what could not be read with the reason.

    Our own format comes as it is read. The other formats come at the end, because the pieces of one run may lie
    anywhere in the files. Only clean runs are traces: an error anywhere in a run makes it unread.

    Args:
        paths: files, or folders whose JSON files are read, with the folders in them.
        format: of all the files; `auto` tells it from each document.
        progress: told how far the reading is, in bytes.
    """
    files = [file for path in paths for file in _files(path)]
    total = sum(file.stat().st_size for file in files if isinstance(file, Path))
    before = 0
    with Piles() as piles:
        for file in files:
            if isinstance(file, Unread):
                yield file
                continue
            start = before
            for item in documents(file, lambda done, start=start: progress(start + done, total)):
                yield from _taken(item, format, piles) if isinstance(item, Document) else (item,)
            before += file.stat().st_size
        for pile in piles:
            yield from _run(pile)


def _files(path: Path) -> Iterator[Path | Unread]:
    if path.is_file():
        yield path
    elif path.is_dir():
        found = sorted(file for file in path.rglob("*") if _is_export(file))
        yield from found
        if not found:
            wanted = ", ".join(ENDINGS)
            yield Unread(source=str(path), place="folder", reason=f"it holds no file that ends in {wanted}")
    else:
        yield Unread(source=str(path), place="file", reason="there is no such file or folder")


def _is_export(file: Path) -> bool:
    return file.is_file() and file.name.lower().removesuffix(".gz").endswith(ENDINGS)


def _taken(document: Document, format: Format, piles: Piles) -> Iterator[Trace | Unread]:
    """Yield what a document says by itself; put the pieces of runs to the others."""
    if isinstance(document.value, list):
        for item in document.value:
            yield from _taken(Document(source=document.source, place=document.place, value=item), format, piles)
        return
    try:
        kind = format if format != "auto" else _format_of(document.value)
        if kind == "own":
            yield _checked(own.trace(document.value))
            return
        take = langsmith.pieces if kind == "langsmith" else opentelemetry.pieces
        for key, piece in take(document.value):
            piles.add(kind, key, document.source, document.place, piece)
    except _SPOILT as error:
        yield Unread(source=document.source, place=document.place, reason=_reason(error))


def _format_of(document: Json) -> Format:
    for kind, recognises in _RECOGNISED.items():
        if recognises(document):
            return kind
    raise UnreadableRun("it is neither a trace nor a LangSmith run nor an OpenTelemetry span; --format reads it as one")


def _run(pile: Pile) -> Iterator[Trace | Unread]:
    place = f"{pile.place}, trace {pile.key}"
    try:
        read = langsmith.traces if pile.kind == "langsmith" else opentelemetry.traces
        for trace in read(pile.pieces):
            yield _tried(trace, pile.source, place)
    except _SPOILT as error:
        yield Unread(source=pile.source, place=place, reason=_reason(error))


def _tried(trace: Trace | UnreadableRun, source: str, place: str) -> Trace | Unread:
    try:
        if isinstance(trace, UnreadableRun):
            raise trace
        return _checked(trace)
    except UnreadableRun as error:
        return Unread(source=source, place=place, reason=_reason(error))


def _checked(trace: Trace) -> Trace:
    failed = next((call for call in trace.calls if call.error is not None), None)
    if failed:
        raise UnreadableRun(f"its tool {failed.tool!r} failed: {failed.error}")
    if not all(call.tool for call in trace.calls):
        raise UnreadableRun("one of its tools has no name")
    if not trace.request.text.strip():
        raise UnreadableRun("its request is empty")
    if len(trace.request.text) > MAX_CHARACTERS:
        raise UnreadableRun(f"its request is longer than {MAX_CHARACTERS:,} characters")
    if trace.answer is None:
        raise UnreadableRun("it has no final answer")
    try:
        trace.model_dump_json()
    except PydanticSerializationError as error:
        raise UnreadableRun(f"it cannot be stored: {error}") from None
    return trace


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return f"it does not fit into a trace: {error.errors(include_url=False, include_input=False)[0]['msg']}"
    if isinstance(error, UnicodeError):
        return "it holds a text with half a character (a lone surrogate)"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
