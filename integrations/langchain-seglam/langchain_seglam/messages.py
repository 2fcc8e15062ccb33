"""Messages of the host and values of the cache: what one means to the other."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage
from pydantic import TypeAdapter, ValidationError
from seglam_agents import ToolResult
from seglam_agents.records.record import Json
from seglam_agents.records.usage import Usage
from seglam_agents.records.values import Money, Quantity, Value, decode

_JSON: TypeAdapter[Json] = TypeAdapter(Json)


def json_of(value: object) -> Json:
    """Return a value as JSON.

    Raises:
        ValueError: it is no JSON.
    """
    return _JSON.validate_python(value, strict=True)


def is_json(value: object) -> bool:
    """Tell whether a value is JSON as it stands."""
    try:
        json_of(value)
    except ValidationError:
        return False
    return True


def text_of(message: BaseMessage) -> str | None:
    """Return the text of a message; None where it also holds something that is no text, such as an image."""
    content: object = message.content  # pyright: ignore[reportUnknownMemberType]
    if isinstance(content, str):
        return content
    parts: list[str] = []
    for block in cast("list[object]", content):
        if isinstance(block, str):
            parts.append(block)
        elif isinstance(block, Mapping) and isinstance(text := cast("Mapping[str, object]", block).get("text"), str):
            parts.append(text)
        else:
            return None
    return "".join(parts)


def content_of(message: ToolMessage) -> str:
    """Return the content of a tool's message as one text, whatever blocks it is made of."""
    text = text_of(message)
    if text is not None:
        return text
    return json.dumps(message.content, sort_keys=True, default=str)  # pyright: ignore[reportUnknownMemberType]


def seal_of(text: str) -> str:
    """Return what tells whether a text is still the same."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def result_of(message: ToolMessage, size: int | None = None, seal: str | None = None) -> ToolResult:
    """Return a tool's result as a body and a trace see it: one function for both, so that replay equals recording.

    The artifact wins where it is JSON; else the content, as JSON where it can be read so. A message that somebody
    changed after the tool had answered (a redaction) counts as changed: its artifact is not looked at. A text put in
    front of it (the notice of a reviewer) is left out.

    Args:
        message: the message as it stands in the history.
        size: characters of the content when the tool answered; None where that was not recorded.
        seal: `seal_of` that content.
    """
    text, unchanged = content_of(message), True
    if seal is not None and seal_of(text) != seal:
        tail = text[-size:] if size else ""
        unchanged = seal_of(tail) == seal
        text = tail if unchanged else text
    if message.status == "error":
        return ToolResult(error=text or "the tool failed")
    artifact: object = message.artifact
    if unchanged and artifact is not None and is_json(artifact):
        return ToolResult(value=decode(json_of(artifact)))
    content: object = message.content  # pyright: ignore[reportUnknownMemberType]
    if unchanged and isinstance(content, list) and all(isinstance(x, str) for x in cast("list[object]", content)):
        # LangChain takes a list of texts (or an empty one) for content as it is: joined, it would be one text.
        return ToolResult(value=decode(json_of(cast("list[object]", content))))
    return ToolResult(value=decode(parsed(text)))


def parsed(text: str) -> Json:
    """Return a text as the JSON that it spells, or the text itself."""
    try:
        return json_of(json.loads(text, parse_constant=_no_constant))
    except (ValueError, RecursionError):
        return text


def render(answer: Json) -> str:
    """Return an answer as the text of a message."""
    value = decode(answer)
    match value:
        case str():
            return value
        case Money():
            return f"{_number(value.amount)} {value.currency}"
        case Quantity():
            return f"{_number(value.value)} {value.unit}"
        case bool() | None | list() | dict():
            return json.dumps(answer, ensure_ascii=False)
        case float():
            return _number(value)
        case _:
            return str(value)


def answer_of(message: AIMessage) -> Json:
    """Return the final answer of an agent as a trace holds it."""
    return text_of(message) or ""


def new_id(prefix: str = "seglam") -> str:
    """Return a fresh id: an id that was used before would replace the older message in place."""
    return f"{prefix}_{uuid.uuid4().hex}"


def spoken(
    text: str, *, calls: Sequence[ToolCall] = (), about: Mapping[str, Json] | None = None, name: str | None = None
) -> AIMessage:
    """Return a message in the place of the model's, with a fresh id and no tokens."""
    return AIMessage(
        content=text,
        id=new_id(),
        name=name,
        tool_calls=list(calls),
        response_metadata={"seglam": dict(about or {})},
    )


def tool_call(name: str, arguments: Mapping[str, Json], call_id: str) -> ToolCall:
    """Return a tool call of the host."""
    return ToolCall(name=name, args=dict(arguments), id=call_id, type="tool_call")


def usage_of(message: AIMessage) -> Usage:
    """Return what a message says that it cost. What the cache says costs nothing."""
    reported = message.usage_metadata
    if reported is None:
        return Usage()
    return Usage(input_tokens=reported.get("input_tokens", 0), output_tokens=reported.get("output_tokens", 0), calls=1)


def last_human(messages: Sequence[BaseMessage]) -> HumanMessage | None:
    """Return the last message of a person."""
    return next((message for message in reversed(messages) if isinstance(message, HumanMessage)), None)


def after(messages: Sequence[BaseMessage], message_id: str) -> Sequence[BaseMessage] | None:
    """Return the messages after the one with this id; None where it is gone."""
    for index, message in enumerate(messages):
        if message.id == message_id:
            return messages[index + 1 :]
    return None


def until(messages: Sequence[BaseMessage], message_id: str) -> Sequence[BaseMessage]:
    """Return the messages up to and with the one with this id; none where it is gone."""
    for index, message in enumerate(messages):
        if message.id == message_id:
            return messages[: index + 1]
    return ()


def is_first_turn(messages: Iterable[BaseMessage]) -> bool:
    """Tell whether a history that ends with a request is nothing but that request."""
    return len([message for message in messages if not isinstance(message, SystemMessage)]) == 1


def results_by_call(messages: Iterable[BaseMessage]) -> dict[str, ToolMessage]:
    """Return the tools' messages by the id of their call."""
    return {message.tool_call_id: message for message in messages if isinstance(message, ToolMessage)}


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _no_constant(name: str) -> Value:
    raise ValueError(f"{name} is no JSON")
