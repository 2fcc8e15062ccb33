"""Messages of the host and values of the cache: what one means to the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage
from seglam_agents import ToolResult
from seglam_agents.hosting import (
    Asked,
    Json,
    Usage,
    decode,
    is_array,
    is_json,
    is_object,
    mapping,
    new_id,
    parsed,
    several,
)

ABOUT = "seglam"
"""The key in the metadata of a message under which the cache says something."""


def raw_content(message: BaseMessage) -> object:
    """Return the content of a message as the host has it."""
    return message.content  # pyright: ignore[reportUnknownMemberType]  # a list of loose dictionaries


def about(message: BaseMessage) -> Mapping[str, Json]:
    """Return what the cache says in the metadata of a message."""
    said: object = message.response_metadata.get(ABOUT)  # pyright: ignore[reportUnknownMemberType]
    return said if is_object(said) else {}


def text_of(message: BaseMessage) -> str | None:
    """Return the text of a message; None where it also holds something that is no text, such as an image."""
    content = raw_content(message)
    if isinstance(content, str):
        return content
    texts = [_block_text(block) for block in several(content)]
    known = [text for text in texts if text is not None]
    return "".join(known) if len(known) == len(texts) else None


def content_of(message: ToolMessage) -> str:
    """Return the content of a tool's message as one text, whatever blocks it is made of."""
    text = text_of(message)
    return text if text is not None else json.dumps(raw_content(message), sort_keys=True, default=str)


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
        return ToolResult(value=decode(artifact))
    content = raw_content(message)
    if unchanged and is_array(content) and all(isinstance(x, str) for x in content):
        # LangChain takes a list of texts (or an empty one) for content as it is: joined, it would be one text.
        return ToolResult(value=decode(content))
    return ToolResult(value=decode(parsed(text)))


def spoken(
    text: str, *, calls: Sequence[ToolCall] = (), about: Mapping[str, Json] | None = None, name: str | None = None
) -> AIMessage:
    """Return a message in the place of the model's, with a fresh id and no tokens."""
    metadata = {ABOUT: dict(about or {})}
    return AIMessage(content=text, id=new_id(), name=name, tool_calls=list(calls), response_metadata=metadata)


def tool_call(asked: Asked) -> ToolCall:
    """Return a tool call of the host."""
    return ToolCall(name=asked.tool, args=dict(asked.arguments), id=asked.id, type="tool_call")


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


def _block_text(block: object) -> str | None:
    text = block if isinstance(block, str) else mapping(block).get("text")
    return text if isinstance(text, str) else None
