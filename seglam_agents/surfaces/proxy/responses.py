"""Responses: what is read of a request, and how a procedure's step is said."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

from seglam_agents import Tool
from seglam_agents.hosting import (
    Asked,
    Json,
    Left,
    Said,
    Say,
    SayAnswer,
    Usage,
    mapping,
    render,
    reported_counts,
    several,
    text_in,
)
from seglam_agents.surfaces.proxy.dialect import (
    Body,
    Heard,
    Reading,
    Spoke,
    arguments_of,
    asked_of,
    longest_of,
    objects,
    saved_of,
    server_sent,
    tool_of,
    unknown,
)

OURS = "resp_seglam_"
"""How the ids of responses begin that code gave: upstream knows nothing of them."""
_KNOWN: Mapping[str, Sequence[Json] | None] = {
    **dict.fromkeys(("model", "input", "instructions", "stream", "stream_options", "tools", "parallel_tool_calls")),
    **dict.fromkeys(("temperature", "top_p", "max_output_tokens", "max_tool_calls", "user", "metadata", "store")),
    **dict.fromkeys(("reasoning", "text", "truncation", "service_tier", "safety_identifier")),
    **dict.fromkeys(("prompt_cache_key", "prompt_cache_retention")),
    "tool_choice": ("auto",),
    "include": ([], ["reasoning.encrypted_content"]),
    "background": (False,),
    "top_logprobs": (0,),
}
_COUNTS: dict[str, Json] = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}


class Responses:
    """The API of responses.

    Args:
        known: what tools do, by their names.
    """

    path = "/responses"

    def __init__(self, known: Mapping[str, Tool] | None = None) -> None:
        self._known = known or {}

    def read(self, body: Body) -> Heard | str:
        """Return the conversation of a request, or why no code can answer it."""
        if odd := unknown(body, _KNOWN):
            return odd
        if mapping(mapping(body.get("text")).get("format")).get("type", "text") != "text":
            return "a format is asked for"
        tools = [self._tool(item) for item in objects(body.get("tools"))]
        known = [tool for tool in tools if tool is not None]
        if len(known) < len(several(body.get("tools"))):
            return "a tool is no function"
        items = items_of(body)
        if not items or len(objects(items)) < len(items):
            return "the input cannot be read"
        instructions = body.get("instructions")
        if instructions is not None and not isinstance(instructions, str):
            return "the instructions are no text"
        heard = _heard(objects(items), instructions or "", tuple(known))
        return heard if isinstance(heard, str) else replace(heard, longest=longest_of(body, "max_output_tokens"))

    def whole(self, step: Say | SayAnswer, body: Body) -> dict[str, Json]:
        """Return what a procedure says as a whole response."""
        return _response(_head(body), "completed", [_item(step)], _usage(step))

    def stream(self, step: Say | SayAnswer, body: Body) -> Iterator[str]:
        """Return what a procedure says as the events of a stream."""
        head, item = _head(body), _item(step)
        begun = {**item, "status": "in_progress", **({"arguments": ""} if isinstance(step, Say) else {"content": []})}
        place: dict[str, Json] = {"output_index": 0, "item_id": item["id"]}
        first: list[tuple[str, dict[str, Json]]] = [
            ("response.created", {"response": _response(head, "in_progress", [], None)}),
            ("response.in_progress", {"response": _response(head, "in_progress", [], None)}),
            ("response.output_item.added", {"output_index": 0, "item": begun}),
        ]
        last: list[tuple[str, dict[str, Json]]] = [
            ("response.output_item.done", {"output_index": 0, "item": item}),
            ("response.completed", {"response": _response(head, "completed", [item], _usage(step))}),
        ]
        for number, (kind, fields) in enumerate([*first, *_parts(step, place), *last]):
            yield server_sent({"type": kind, "sequence_number": number, **fields}, kind)

    def spoke(self, document: Body) -> Spoke | None:
        """Return what a whole response of the model's says; None where it is none."""
        if document.get("object") != "response":
            return None
        said, calls, readable = list[str](), list[Asked](), document.get("status") == "completed"
        for item in objects(document.get("output")):
            match item.get("type"):
                case "message":
                    text = text_in(item.get("content"))
                    readable = readable and text is not None
                    said.append(text or "")
                case "function_call":
                    call = asked_of(item.get("call_id"), item.get("name"), item.get("arguments"))
                    readable = readable and call is not None
                    calls.extend([call] if call is not None else [])
                case "reasoning":
                    continue
                case _:
                    readable = False
        usage = Usage(calls=1, **reported_counts(mapping(document.get("usage"))))
        return Spoke("".join(said), tuple(calls), usage, readable)

    def joined(self, events: Sequence[Body]) -> Body | None:
        """Return the whole response that the events of a stream make; None where it did not come to its end."""
        ended = (event.get("response") for event in events if event.get("type") == "response.completed")
        response = next(ended, None)
        return response if isinstance(response, dict) else None

    def length(self, body: Body) -> int:
        """Return how many items a request has."""
        return len(items_of(body))

    def with_told(self, body: Body, place: int, left: Sequence[Left]) -> dict[str, Json]:
        """Return a request whose conversation tells what was written, from a place on."""
        items = items_of(body)
        told: list[Json] = []
        for one in left:
            told.append(_call_item(one))
            told.append({"type": "function_call_output", "call_id": one.id, "output": one.text})
        return {**body, "input": [*items[:place], *told, *items[place:]]}

    def _tool(self, item: Mapping[str, Json]) -> Tool | None:
        return tool_of(item, self._known) if item.get("type") == "function" else None


def items_of(body: Body) -> list[Json]:
    """Return the input of a request as a list of items."""
    given = body.get("input")
    return [{"role": "user", "content": given}] if isinstance(given, str) else several(given)


def _heard(items: Sequence[Mapping[str, Json]], instructions: str, tools: tuple[Tool, ...]) -> Heard | str:
    reading, speaking = Reading([instructions] if instructions else []), False
    for item in items:
        kind, role = item.get("type", "message"), item.get("role")
        own = kind in ("function_call", "reasoning") or (kind == "message" and role == "assistant")
        if own:
            reading.said = _spoken(reading.said, item, more=speaking)
        elif kind == "message" and role in ("system", "developer"):
            reading.told.append(text_in(item.get("content")) or "")
        elif kind == "message" and role == "user":
            reading.person(text_in(item.get("content")))
        elif kind == "function_call_output" and (text := text_in(item.get("output"))) is not None:
            reading.results[str(item.get("call_id"))] = text
        else:
            return f"an item of type {kind!r} cannot be read"
        speaking = own
    if speaking:
        return "it is not a person or a tool that spoke last"
    return reading.heard(tools)


def _spoken(said: list[Said], item: Mapping[str, Json], *, more: bool) -> list[Said]:
    """Return what was said with one more item, which belongs to the last message where that goes on."""
    last = said[-1] if more and said else Said(str(len(said)), "")
    before = said[:-1] if more and said else said
    text, calls, odd = last.text or "", last.calls, last.unreadable
    if item.get("type") == "function_call":
        call = asked_of(item.get("call_id"), item.get("name"), item.get("arguments"))
        calls, odd = (*calls, *([call] if call is not None else [])), odd or call is None
    elif item.get("type", "message") == "message":
        content = text_in(item.get("content"))
        text, odd = text + (content or ""), odd or content is None
    return [*before, Said(last.id, text, calls, unreadable=odd)]


def _item(step: Say | SayAnswer) -> dict[str, Json]:
    if isinstance(step, Say):
        return _call_item(step.call)
    content: Json = [{"type": "output_text", "text": render(step.answer), "annotations": [], "logprobs": []}]
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": content,
    }


def _call_item(call: Asked) -> dict[str, Json]:
    return {
        "id": f"fc_{uuid.uuid4().hex}",
        "type": "function_call",
        "status": "completed",
        "call_id": call.id,
        "name": call.tool,
        "arguments": arguments_of(call),
    }


def _parts(step: Say | SayAnswer, place: dict[str, Json]) -> list[tuple[str, dict[str, Json]]]:
    if isinstance(step, Say):
        arguments = arguments_of(step.call)
        return [
            ("response.function_call_arguments.delta", {**place, "delta": arguments}),
            ("response.function_call_arguments.done", {**place, "arguments": arguments, "name": step.call.tool}),
        ]
    text, place = render(step.answer), {**place, "content_index": 0}
    part: dict[str, Json] = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    return [
        ("response.content_part.added", {**place, "part": part}),
        ("response.output_text.delta", {**place, "delta": text, "logprobs": []}),
        ("response.output_text.done", {**place, "text": text, "logprobs": []}),
        ("response.content_part.done", {**place, "part": {**part, "text": text}}),
    ]


def _head(body: Body) -> dict[str, Json]:
    same = ("instructions", "max_output_tokens", "metadata", "model", "reasoning", "temperature", "top_p", "user")
    return {
        "id": f"{OURS}{uuid.uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "error": None,
        "incomplete_details": None,
        **{name: body.get(name) for name in same},
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "store": False,
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": cast(Json, several(body.get("tools"))),
        "truncation": body.get("truncation") or "disabled",
    }


def _response(
    head: dict[str, Json], status: str, output: Sequence[Json], usage: dict[str, Json] | None
) -> dict[str, Json]:
    return {**head, "status": status, "output": list(output), "usage": usage}


def _usage(step: Say | SayAnswer) -> dict[str, Json]:
    return {**_COUNTS, "seglam_saved": saved_of(step)}
