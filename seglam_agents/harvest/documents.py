"""The JSON documents of a file one by one: lines, the items of an array, or documents one after the other.

Files may be larger than memory: only one document is held at a time.
"""

from __future__ import annotations

import codecs
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from seglam_agents.harvest.fields import from_json
from seglam_agents.records.record import Json

CHUNK = 1 << 16
"""Characters read at first; an item that needs more doubles them."""
TAIL = 16
"""A mistake that near to the end of what was read may be a token cut in two."""

Watch = Callable[[int], None]
"""Told how many bytes of the file were read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A line or a run that could not be read, or not be learnt from, and why."""

    source: str
    place: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One JSON document of a file."""

    source: str
    place: str
    value: Json


def documents(path: Path, watch: Watch = lambda done: None) -> Iterator[Document | Unread]:
    """Yield the JSON documents of a file, which may be packed with gzip; a broken one is told and passed over."""
    try:
        with path.open("rb") as raw:
            opened = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
            stream = cast("IO[bytes]", opened)
            for item in _items(str(path), stream):
                watch(raw.tell())
                yield item
    except (OSError, EOFError) as error:
        yield Unread(source=str(path), place="file", reason=f"the file cannot be read: {error}")


def _items(source: str, stream: IO[bytes]) -> Iterator[Document | Unread]:
    start = stream.read(3)
    begin = 3 if start == b"\xef\xbb\xbf" else 0
    stream.seek(begin)
    if not _spans_lines(stream):
        stream.seek(begin)
        yield from _lines(source, stream)
        return
    stream.seek(begin)
    found = _scanned(source, stream)
    item = next(found, None)
    if isinstance(item, Unread) and "[" not in item.place:
        stream.seek(begin)
        yield from _lines(source, stream)
        return
    yield from (item,) if item is not None else ()
    yield from found


def _spans_lines(stream: IO[bytes]) -> bool:
    """Tell whether one document takes several lines, from the first line with something on it."""
    while line := stream.readline(CHUNK):
        if line.lstrip().startswith(b"["):
            return True
        if line.strip():
            line += b"" if line.endswith(b"\n") else stream.readline()
            return line.rstrip().endswith((b"{", b"[", b",", b":")) and not _reads(line)
    return False


def _reads(line: bytes) -> bool:
    try:
        from_json(line.decode())
    except ValueError:
        return False
    return True


def _lines(source: str, stream: IO[bytes]) -> Iterator[Document | Unread]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            yield Document(source=source, place=f"line {number}", value=from_json(line.decode()))
        except ValueError as error:
            yield Unread(source=source, place=f"line {number}", reason=f"no JSON: {error}")


def _scanned(source: str, stream: IO[bytes]) -> Iterator[Document | Unread]:
    scanner = _Scanner(stream)
    try:
        while scanner.forward():
            place = scanner.place()
            yield Document(source=source, place=place, value=scanner.take())
    except (ValueError, RecursionError) as error:
        reason = f"no JSON: {error}. What comes after it in this file was not read"
        yield Unread(source=source, place=scanner.place(), reason=reason)


class _Scanner:
    """Takes JSON values from a stream, and looks into top-level arrays for them."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._letters = codecs.getincrementaldecoder("utf-8")()
        self._decoder = json.JSONDecoder(parse_constant=str)
        self._buffer = ""
        self._at = 0
        self._line = 1
        self._depth = 0

    def place(self) -> str:
        """Return where the next value begins."""
        return f"line {self._line}{' [in an array]' if self._depth else ''}"

    def forward(self) -> bool:
        """Go to the start of the next value; False at the end of the text."""
        while True:
            if self._at >= len(self._buffer) and not self._more():
                if self._depth:
                    raise ValueError("the array has no end: the file was cut short")
                return False
            sign = self._buffer[self._at]
            if sign == "[" and not self._depth:
                self._depth = 1
            elif sign == "]" and self._depth:
                self._depth = 0
            elif not (sign.isspace() or (sign == "," and self._depth)):
                return True
            self._line += sign == "\n"
            self._at += 1

    def take(self) -> Json:
        """Return the value that begins here, and go behind it."""
        while True:
            try:
                value, end = cast("tuple[Json, int]", self._decoder.raw_decode(self._buffer, self._at))
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos >= len(self._buffer) - TAIL
                if not cut or not self._more():
                    raise ValueError(f"{error.msg} (line {self._line + error.lineno - 1})") from None
                continue
            self._line += self._buffer.count("\n", self._at, end)
            self._at = end
            return value

    def _more(self) -> bool:
        self._buffer, self._at = self._buffer[self._at :], 0
        read = self._stream.read(max(CHUNK, len(self._buffer)))
        self._buffer += self._letters.decode(read, final=not read)
        return bool(read)
