"""Requests that their caller has named: asked again by its id, a request makes each of its writes once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from seglam_agents.flow import Flow, drive, work
from seglam_agents.hosting.journal import InDoubt, Journal, Known, Left, Naming, Write, once
from seglam_agents.hosting.turn import name_of, names_nothing, new_id, origin_of
from seglam_agents.records.exchange import encoded_or_described
from seglam_agents.records.outcome import Deopt, Hit, Miss, Outcome
from seglam_agents.records.record import Json
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.values import decode, encode
from seglam_agents.sandboxes.base import ToolCall, ToolResult


@dataclass(frozen=True, slots=True)
class _Named:
    """One attempt at a request that has a name."""

    writes: Naming
    attempt: str = field(default_factory=lambda: new_id("attempt"))


_named: ContextVar[_Named | None] = ContextVar("seglam_request", default=None)


@contextmanager
def named(request_id: str | int | None) -> Generator[None]:
    """Say that what is done within belongs to a request that its caller has named; None for one without a name.

    Raises:
        ValueError: it is empty, or names nothing in another process.
    """
    name = name_of(request_id)
    if name is None and request_id is not None:
        raise ValueError(names_nothing(request_id, "request_id"))
    known = None if name is None else _Named(Naming(origin_of(None, request_id=name)))
    token = _named.set(known)
    try:
        yield
    finally:
        _named.reset(token)


def call_once(journal: Journal, tool: Tool, call: ToolCall, run: Callable[[], ToolResult]) -> ToolResult:
    """Run a tool; a write of a named request is noted before and after, and not begun by two attempts."""
    request = _named.get()
    if request is None:
        return run()
    write = _write(request.writes, tool, call) if tool.effect == "write" else None
    return drive(
        once(journal, write, request.attempt, lambda: _run(run), instead=result_instead, document=result_document)
    )


def resumed(journal: Journal, outcome: Outcome) -> Outcome:
    """Return an outcome with what earlier attempts at the named request wrote and this one did not ask for.

    An answer that knows nothing of them is none: whoever goes on has to be told.
    """
    request = _named.get()
    if request is None or not isinstance(outcome, (Hit, Deopt, Miss)):
        return outcome
    left = tuple(left for left in journal.left(request.writes.place) if left.call not in request.writes.calls)
    if not left:
        return outcome
    steps = tuple(_step(one) for one in left)
    said = f"an earlier attempt at this request called {', '.join(one.tool for one in left)}: do not repeat it"
    if isinstance(outcome, Hit):
        return Deopt(
            reason=said, citation=outcome.citation, kind="host", steps=(*steps, *outcome.steps), timing=outcome.timing
        )
    return replace(outcome, reason=f"{outcome.reason}; {said}", steps=(*steps, *outcome.steps))


def result_instead(told: Known | InDoubt) -> ToolResult:
    """Return what a body gets in the place of a write that is not made again: `instead` of `once`."""
    if isinstance(told, InDoubt):
        return ToolResult(error=told.text, final=True)
    error, final = told.document.get("error"), told.document.get("final") is True
    if error is not None:
        return ToolResult(error=str(error), final=final)
    return ToolResult(value=decode(told.document["value"]))


def result_document(result: ToolResult) -> tuple[Mapping[str, Json], bool]:
    """Return what is kept of a result, and whether its tool says that it failed: `document` of `once`."""
    kept = {"value": encode(result.value), "error": result.error, **({"final": True} if result.final else {})}
    # What was carried out has not failed, though nothing of its result can be used.
    return kept, result.error is not None and not result.final


def _step(left: Left) -> ToolStep:
    arguments = dict(left.arguments)
    if left.done and left.document is not None:
        return ToolStep(tool=left.tool, arguments=arguments, result=left.text)
    return ToolStep(tool=left.tool, arguments=arguments, error=left.text, missing=True)


def _write(naming: Naming, tool: Tool, call: ToolCall) -> Write:
    arguments = {name: encoded_or_described(value) for name, value in call.arguments.items()}
    return naming.write(tool.name, arguments, idempotent=tool.idempotent)


def _run(run: Callable[[], ToolResult]) -> Flow[ToolResult]:
    return (yield from work(run))
