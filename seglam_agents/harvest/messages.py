"""`Message`: one message of a chat, from the forms in which LangChain, OpenAI and OpenTelemetry write it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from seglam_agents.harvest.fields import first, parsed, rows, table, text
from seglam_agents.records.record import Json

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "human": "user",
    "user": "user",
    "ai": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}
_BODIES = ("content", "parts", "contents", "tool_calls")
_TEXTS = ("text", "output_text", "input_text", "")
_ASIDE = (
    *("reasoning", "thinking", "redacted_thinking", "tool_use", "tool_call", "function_call"),
    *("tool_call_response", "tool_result", "server_tool_call", "server_tool_call_response"),
)
"""Parts that are neither what is said nor something that a text cannot hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call that a message asks for, or answers."""

    id: str
    name: str = ""
    value: Json = None
    """The arguments, or the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a chat."""

    role: Role
    text: str
    only_text: bool = True
    """False where it holds images or files."""
    calls: tuple[Call, ...] = ()
    results: tuple[Call, ...] = ()


def messages_of(value: Json) -> list[Message]:
    """Return the messages of a list, of a list of lists, of one message, or of the JSON text of these."""
    return list(_messages(parsed(value)))


def said(content: Json) -> str:
    """Return the text of a message's content, which may be a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    return "".join(part if isinstance(part, str) else _part_text(table(part)) for part in parts)


def unpacked(message: Json) -> dict[str, Json]:
    """Return the fields of a message, out of the wrappings of LangChain's serialisation."""
    fields = table(message)
    inner = first(fields.get(key) for key in ("kwargs", "data", "message") if isinstance(fields.get(key), dict))
    if not isinstance(inner, dict) or "content" in fields:
        return fields
    return {"type": _class_name(fields) or fields.get("type"), **inner}


def _messages(value: Json) -> Iterator[Message]:
    if isinstance(value, list) and not _is_pair(value):
        for item in value:
            yield from _messages(item)
        return
    fields: dict[str, Json] = {"role": value[0], "content": value[1]} if isinstance(value, list) else unpacked(value)
    role = _role(fields)
    if role is not None and any(key in fields for key in _BODIES):
        content = _content(fields)
        yield Message(
            role=role,
            text=said(content),
            only_text=_only_text(content),
            calls=tuple(_calls(fields, content)),
            results=tuple(_results(fields, role, content)),
        )


def _is_pair(value: list[Json]) -> bool:
    return len(value) == 2 and isinstance(value[0], str) and value[0] in _ROLES and isinstance(value[1], str)


def _role(fields: dict[str, Json]) -> Role | None:
    names = (text(fields.get("role")), text(fields.get("type")), _class_name(fields))
    cleaned = (name.lower().removesuffix("chunk").removesuffix("message") for name in names)
    return next((_ROLES[name] for name in cleaned if name in _ROLES), None)


def _class_name(fields: dict[str, Json]) -> str:
    path = rows(fields.get("id"))
    return text(path[-1]) if path else ""


def _content(fields: dict[str, Json]) -> Json:
    parts = first((fields.get("parts"), fields.get("contents")))
    return parts if parts is not None else fields.get("content")


def _part_text(part: dict[str, Json]) -> str:
    part = table(part.get("message_content")) or part
    return text(first((part.get("text"), part.get("content")))) if _kind(part) in _TEXTS else ""


def _kind(part: dict[str, Json]) -> str:
    return text(part.get("type"))


def _only_text(content: Json) -> bool:
    parts = [table(table(part).get("message_content")) or table(part) for part in rows(content)]
    return all(_kind(part) in (*_TEXTS, *_ASIDE) for part in parts)


def _calls(fields: dict[str, Json], content: Json) -> Iterator[Call]:
    asked = [table(item) for item in rows(parsed(fields.get("tool_calls")))]
    for item in [*asked, *(table(part) for part in rows(content))]:
        call = table(item.get("tool_call")) or item
        if item in asked or _kind(call) in ("tool_use", "tool_call", "function_call"):
            function = table(call.get("function")) or call
            value = first(parsed(function.get(key)) for key in ("args", "arguments", "input"))
            yield Call(id=text(call.get("id")), name=text(function.get("name")), value=value or {})


def _results(fields: dict[str, Json], role: Role, content: Json) -> Iterator[Call]:
    for part in map(table, rows(content)):
        if _kind(part) in ("tool_call_response", "tool_result"):
            value = first((part.get("response"), part.get("result"), part.get("content")))
            yield Call(id=text(first((part.get("id"), part.get("tool_use_id")))), value=parsed(value))
    named = text(first((fields.get("tool_call_id"), fields.get("id"))))
    if role == "tool" and isinstance(fields.get("content"), str):
        yield Call(id=named, name=text(fields.get("name")), value=parsed(fields.get("content")))
