"""What a run was asked and what it answered, from the inputs and outputs that frameworks record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from seglam_agents.harvest.fields import UnreadableRun, first, table, text
from seglam_agents.harvest.messages import Message, messages_of, said, unpacked
from seglam_agents.records.record import Json

_ASKED = ("input", "question", "query", "request", "prompt", "text", "user_input", "message", "content")
_ANSWERED = ("output", "answer", "result", "response", "final_answer", "text", "content", "message", "return_values")
_HISTORY = ("chat_history", "history", "conversation_history")
_INNER = ("messages", "intermediate_steps", "agent_scratchpad", "remaining_steps", "structured_response", "jump_to")
"""What a framework adds to the inputs: no part of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request without its scope."""

    text: str
    context: dict[str, Json] = field(default_factory=dict[str, Json])


def asked_in(inputs: Json) -> Asked:
    """Return what the inputs of a run ask.

    Raises:
        UnreadableRun: nothing is asked, or more than a text by itself.
    """
    if isinstance(inputs, str):
        return Asked(text=inputs)
    messages = messages_of(inputs)
    if messages:
        return asked_by(messages)
    fields = table(inputs)
    if first(fields.get(key) for key in _HISTORY) is not None:
        raise UnreadableRun("it goes on with an earlier conversation, which the request alone does not tell")
    if fields.get("messages") is not None:
        # The other fields beside messages are the state of a graph, not what a person asks.
        return asked_in(fields.get("messages"))
    key = next((key for key in _ASKED if fields.get(key)), None) or _only_text(fields)
    if key is None:
        raise UnreadableRun("its root says no request: neither messages nor a text under 'input' or the like")
    inner = asked_in(fields[key])
    return Asked(text=inner.text, context={**inner.context, **_context(fields, key)})


def asked_by(messages: Sequence[Message]) -> Asked:
    """Return what the only message of a user asks; the messages after it do not matter.

    Raises:
        UnreadableRun: there is no such message, there are earlier turns, or it holds images or files.
    """
    turns = [message for message in messages if message.role == "user"]
    if not turns:
        raise UnreadableRun("its root says no request: no message is of a user")
    before = messages[: messages.index(turns[-1])]
    if len(turns) > 1 or any(message.role == "assistant" for message in before):
        raise UnreadableRun("it goes on with an earlier conversation, which the request alone does not tell")
    if not turns[0].only_text:
        raise UnreadableRun("its request holds images or files")
    return Asked(text=turns[0].text)


def answered_in(outputs: Json) -> Json:
    """Return the answer in the outputs of a run; None where there is none."""
    if isinstance(outputs, str):
        return outputs or None
    messages = messages_of(outputs)
    if messages:
        return answered_by(messages)
    fields = table(outputs)
    if fields.get("structured_response") is not None:
        return fields["structured_response"]
    if fields.get("messages") is not None:
        return answered_in(fields["messages"])
    if fields.get("generations") is not None:
        return generated(fields) or None
    key = next((key for key in _ANSWERED if fields.get(key) is not None), None) or _only_key(fields)
    if key is None:
        return outputs or None
    found = fields[key]
    # An answer that is data by itself stays as it is: only messages and texts are taken out of their wrapping.
    wrapped = isinstance(found, (dict, list)) and (messages_of(found) or (key == "output" and _is_answer(found)))
    return answered_in(found) if wrapped else found


def answered_by(messages: Sequence[Message]) -> Json:
    """Return the text of the last message, which the assistant says, or a tool whose result is the answer."""
    last = messages[-1]
    done = last.role == "tool" or (last.role == "assistant" and not last.calls)
    return last.text if done and last.text else None


def generated(outputs: dict[str, Json]) -> str:
    """Return the text in the outputs of a model run."""
    fields = generation(outputs)
    return text(fields.get("text")) or said(unpacked(fields.get("message")).get("content") or "")


def generation(outputs: dict[str, Json]) -> dict[str, Json]:
    """Return the first generation in the outputs of a LangChain model run."""
    found = outputs.get("generations")
    while isinstance(found, list) and found:
        found = found[0]
    return table(found)


def _is_answer(found: Json) -> bool:
    return any(key in table(found) for key in ("structured_response", "messages", "output", "generations"))


def _only_text(fields: dict[str, Json]) -> str | None:
    texts = [key for key, value in fields.items() if isinstance(value, str) and value]
    return texts[0] if len(texts) == 1 else None


def _only_key(fields: dict[str, Json]) -> str | None:
    return next(iter(fields)) if len(fields) == 1 else None


def _context(fields: dict[str, Json], asked: str) -> dict[str, Json]:
    left_out = {asked, *_HISTORY, *_INNER}
    return {key: value for key, value in fields.items() if key not in left_out and value not in (None, "", [], {})}
