"""Requests that their caller has named: asked again by its id, a request makes each of its writes once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from seglam_agents.flow import Flow, drive, work
from seglam_agents.hosting.journal import InDoubt, Journal, Known, Write, once
from seglam_agents.hosting.turn import new_id, origin_of
from seglam_agents.records.exchange import encoded_or_described
from seglam_agents.records.record import Json, digest
from seglam_agents.records.tools import Tool
from seglam_agents.records.values import decode, encode
from seglam_agents.sandboxes.base import ToolCall, ToolResult


@dataclass(frozen=True, slots=True)
class _Named:
    """One attempt at a request that has a name."""

    place: str
    attempt: str = field(default_factory=lambda: new_id("attempt"))
    numbers: Iterator[int] = field(default_factory=itertools.count)


_named: ContextVar[_Named | None] = ContextVar("seglam_request", default=None)


@contextmanager
def named(request_id: str | None, text: str) -> Generator[None]:
    """Say that what is done within belongs to a request that its caller has named; None for one without a name."""
    place = digest(origin_of(None, request_id=request_id), text)
    token = _named.set(_Named(place) if request_id else None)
    try:
        yield
    finally:
        _named.reset(token)


def call_once(journal: Journal, tool: Tool, call: ToolCall, run: Callable[[], ToolResult]) -> ToolResult:
    """Run a tool; a write of a named request is noted before and after, and not begun by two attempts."""
    request = _named.get()
    if request is None:
        return run()
    number = next(request.numbers)
    write = None
    if tool.effect == "write":
        arguments: dict[str, Json] = {name: encoded_or_described(value) for name, value in call.arguments.items()}
        key = digest("", number, tool.name, arguments)
        write = Write(place=request.place, call=key, tool=tool.name, idempotent=tool.idempotent)
    return drive(once(journal, write, request.attempt, lambda: _run(run), instead=_instead, document=_document))


def _run(run: Callable[[], ToolResult]) -> Flow[ToolResult]:
    return (yield from work(run))


def _instead(told: Known | InDoubt) -> ToolResult:
    if isinstance(told, InDoubt):
        return ToolResult(error=told.text)
    error = told.document.get("error")
    return ToolResult(error=str(error)) if error is not None else ToolResult(value=decode(told.document.get("value")))


def _document(result: ToolResult) -> tuple[Mapping[str, Json], bool]:
    return {"value": encode(result.value), "error": result.error}, result.error is not None
