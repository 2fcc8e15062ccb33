"""`Span`: one OpenTelemetry span, from OTLP-JSON or from the flat forms that SDKs and viewers print."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from seglam_agents.harvest.fields import UnreadableRun, first, nanoseconds, rows, table, text
from seglam_agents.records.record import Json

Kind: TypeAlias = Literal["agent", "model", "tool", "other"]

_OPERATIONS: dict[str, Kind] = {
    "execute_tool": "tool",
    "chat": "model",
    "text_completion": "model",
    "generate_content": "model",
    "invoke_agent": "agent",
    "invoke_workflow": "agent",
    # The kinds of OpenInference and Traceloop. Their agents and chains may be parts of one: only the root counts.
    "tool": "tool",
    "llm": "model",
    "completion": "model",
}
_KINDS = ("gen_ai.operation.name", "openinference.span.kind", "traceloop.span.kind", "llm.request.type")
_LISTS = ("resourceSpans", "resource_spans", "scopeSpans", "scope_spans", "spans", "instrumentationLibrarySpans")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span. Attributes are as recorded: names with dots, or objects within objects."""

    id: str
    parent: str
    name: str
    start: int
    end: int | None
    failure: str
    """Why it failed; empty where it did not."""
    attributes: dict[str, Json]
    events: tuple[tuple[str, dict[str, Json]], ...] = ()

    @property
    def kind(self) -> Kind:
        """What the span is for."""
        for key in _KINDS:
            named = text(self.get(key)).lower()
            if named:
                return _OPERATIONS.get(named, "other")
        return "other"

    def get(self, *names: str) -> Json:
        """Return the first attribute that is there."""
        return first(_found(self.attributes, name) for name in names)

    def indexed(self, prefix: str) -> Json:
        """Return what attributes such as `prefix.0.role` write in pieces, as a list of objects."""
        whole = _found(self.attributes, prefix)
        if isinstance(whole, list):
            return whole
        parts = {
            key[len(prefix) + 1 :]: value for key, value in self.attributes.items() if key.startswith(f"{prefix}.")
        }
        return _nested(parts)


def is_span(document: Json) -> bool:
    """Tell whether a document is a span, or holds lists of spans."""
    held = table(document)
    return any(key in held for key in _LISTS) or ("attributes" in held and bool(_trace_id(held)))


def raw_spans(document: Json) -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield the spans of a document as they are, each with the id of its trace.

    Raises:
        UnreadableRun: it is no span.
    """
    held = table(document)
    inner = [item for key in _LISTS for item in rows(held.get(key))]
    for item in inner:
        yield from raw_spans(item)
    if inner or any(key in held for key in _LISTS):
        return
    if not _trace_id(held) or not _span_id(held):
        raise UnreadableRun("it is no OpenTelemetry span: the id of its trace or its own is missing")
    yield _trace_id(held), held


def read_span(raw: dict[str, Json]) -> Span:
    """Read a span."""
    attributes = _attributes(raw.get("attributes"))
    events = tuple(
        (text(event.get("name")), {**_attributes(event.get("attributes")), **table(event.get("body"))})
        for event in map(table, rows(raw.get("events")))
    )
    parent = first(raw.get(key) for key in ("parentSpanId", "parent_span_id", "parent_id"))
    if kind := raw.get("span_kind"):
        attributes.setdefault("openinference.span.kind", kind)  # Where Phoenix puts it.
    return Span(
        id=_span_id(raw),
        parent=_bare(parent),
        name=text(raw.get("name")),
        start=_clock(raw, "startTimeUnixNano", "start_time_unix_nano", "start_time") or 0,
        end=_clock(raw, "endTimeUnixNano", "end_time_unix_nano", "end_time"),
        failure=_failure(raw, attributes, events),
        attributes=attributes,
        events=events,
    )


def _trace_id(raw: dict[str, Json]) -> str:
    context = table(raw.get("context"))
    return _bare(first((raw.get("traceId"), raw.get("trace_id"), context.get("trace_id"), context.get("traceId"))))


def _span_id(raw: dict[str, Json]) -> str:
    context = table(raw.get("context"))
    return _bare(first((raw.get("spanId"), raw.get("span_id"), context.get("span_id"), context.get("spanId"))))


def _bare(identity: Json) -> str:
    found = text(identity).removeprefix("0x")
    return found if found.strip("0") else ""


def _clock(raw: dict[str, Json], *names: str) -> int | None:
    return nanoseconds(first(raw.get(name) for name in names))


def _attributes(recorded: Json) -> dict[str, Json]:
    if isinstance(recorded, dict):
        return dict(recorded)
    pairs = [table(item) for item in rows(recorded)]
    return {text(pair.get("key")): _value(table(pair.get("value"))) for pair in pairs}


def _value(wrapped: dict[str, Json]) -> Json:
    name, value = next(iter(wrapped.items()), ("", None))
    match name.lower().replace("_", ""):
        case "intvalue":
            return int(value) if isinstance(value, str) and value.lstrip("-").isdecimal() else value
        case "arrayvalue":
            return [_value(table(item)) for item in rows(table(value).get("values"))]
        case "kvlistvalue":
            return _attributes(table(value).get("values"))
        case _:
            return value


def _failure(raw: dict[str, Json], attributes: dict[str, Json], events: tuple[tuple[str, dict[str, Json]], ...]) -> str:
    status = table(raw.get("status"))
    code = first((status.get("code"), status.get("status_code"), raw.get("status_code")))
    told = first((status.get("message"), status.get("description"), raw.get("status_message")))
    thrown = [found for name, found in events if name == "exception"]
    reason = first((told, *(item.get("exception.message") for item in thrown), _found(attributes, "error.type")))
    failed = code == 2 or text(code).upper().endswith("ERROR") or bool(thrown) or _found(attributes, "error.type")
    return (text(reason) or "no message").strip().splitlines()[0][:200] if failed else ""


def _found(attributes: dict[str, Json], name: str) -> Json:
    if name in attributes:
        return attributes[name]
    head, dot, rest = name.partition(".")
    inner = attributes.get(head)
    return _found(inner, rest) if dot and isinstance(inner, dict) else None


def _nested(parts: dict[str, Json]) -> Json:
    """Return the tree of names with dots; a level of numbers is a list."""
    tree: dict[str, Json] = {}
    for name, value in parts.items():
        *path, last = name.split(".")
        level = tree
        for step in path:
            below = level.setdefault(step, {})
            level = below if isinstance(below, dict) else {}
        level[last] = value
    return _listed(tree)


def _listed(tree: Json) -> Json:
    if not isinstance(tree, dict):
        return tree
    values: dict[str, Json] = {key: _listed(value) for key, value in tree.items()}
    if values and all(key.isdecimal() for key in values):
        return [values[key] for key in sorted(values, key=int)]
    return values
