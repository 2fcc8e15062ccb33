"""Chat completions: what is read of a request, and how a procedure's step is said."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

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

_KNOWN: Mapping[str, Sequence[Json] | None] = {
    **dict.fromkeys(("model", "messages", "stream", "stream_options", "tools", "parallel_tool_calls")),
    **dict.fromkeys(("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty", "reasoning_effort")),
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "user", "metadata", "service_tier", "safety_identifier")),
    **dict.fromkeys(("prompt_cache_key", "prompt_cache_retention", "verbosity")),
    "n": (1,),
    "tool_choice": ("auto",),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "logprobs": (False,),
    "store": (False,),
    "logit_bias": ({},),
    "stop": ([],),
}
_FREE: dict[str, Json] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
_ENDS = ("stop", "tool_calls")


class Chat:
    """The API of chat completions.

    Args:
        known: what tools do, by their names.
    """

    path = "/chat/completions"

    def __init__(self, known: Mapping[str, Tool] | None = None) -> None:
        self._known = known or {}

    def read(self, body: Body) -> Heard | str:
        """Return the conversation of a request, or why no code can answer it."""
        if odd := unknown(body, _KNOWN):
            return odd
        tools = [self._tool(item) for item in objects(body.get("tools"))]
        messages = objects(body.get("messages"))
        if len(messages) != len(several(body.get("messages"))) or not messages:
            return "the messages cannot be read"
        if messages[-1].get("role") not in ("user", "tool"):
            return "it is not a person or a tool that spoke last"
        known = [tool for tool in tools if tool is not None]
        if len(known) < len(several(body.get("tools"))):
            return "a tool is no function"
        heard = _heard(messages, tuple(known))
        limit = longest_of(body, "max_tokens", "max_completion_tokens")
        return heard if isinstance(heard, str) else replace(heard, longest=limit)

    def whole(self, step: Say | SayAnswer, body: Body) -> dict[str, Json]:
        """Return what a procedure says as a whole response."""
        message: dict[str, Json] = {"role": "assistant", "content": None, "refusal": None}
        if isinstance(step, Say):
            message["tool_calls"] = [_call(step.call)]
        else:
            message.update(content=render(step.answer), annotations=[])
        choice: Json = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(step)}
        return {**_head(body, "chat.completion"), "choices": [choice], "usage": _usage(step)}

    def stream(self, step: Say | SayAnswer, body: Body) -> Iterator[str]:
        """Return what a procedure says as the events of a stream; usage only where it is asked for."""
        head = _head(body, "chat.completion.chunk")
        counted = bool(mapping(body.get("stream_options")).get("include_usage"))
        if counted:
            head["usage"] = None

        def chunk(delta: dict[str, Json], finish: str | None = None) -> str:
            choice: Json = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return server_sent({**head, "choices": [choice]})

        if isinstance(step, Say):
            call = _call(step.call)
            begun: Json = {"index": 0, **call, "function": {"name": step.call.tool, "arguments": ""}}
            yield chunk({"role": "assistant", "content": None, "tool_calls": [begun]})
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": arguments_of(step.call)}}]})
        else:
            yield chunk({"role": "assistant", "content": "", "refusal": None})
            yield chunk({"content": render(step.answer)})
        yield chunk({}, _finish(step))
        if counted:
            yield server_sent({**head, "choices": [], "usage": _usage(step)})
        yield "data: [DONE]\n\n"

    def spoke(self, document: Body) -> Spoke | None:
        """Return what a whole response of the model's says; None where it is none."""
        choices = objects(document.get("choices"))
        if len(choices) != 1 or not isinstance(choices[0].get("message"), dict):
            return None
        message = mapping(choices[0].get("message"))
        calls = [_asked(item) for item in objects(message.get("tool_calls"))]
        known = tuple(call for call in calls if call is not None)
        text = text_in(message.get("content") or "")
        usage = Usage(calls=1, **reported_counts(mapping(document.get("usage"))))
        readable = len(known) == len(calls) and not message.get("refusal") and not message.get("function_call")
        return Spoke(text, known, usage, readable and choices[0].get("finish_reason") in _ENDS)

    def joined(self, events: Sequence[Body]) -> Body | None:
        """Return the whole response that the events of a stream make; None where it did not come to its end."""
        message: dict[str, Json] = {}
        text, calls, finish, usage = "", dict[int, dict[str, str]](), None, None
        for event in events:
            usage = event.get("usage") or usage
            for choice in objects(event.get("choices")):
                if choice.get("index", 0) != 0:
                    return None
                delta = mapping(choice.get("delta"))
                text += str(delta.get("content") or "")
                message.update({key: delta[key] for key in ("refusal", "function_call") if delta.get(key)})
                for part in objects(delta.get("tool_calls")):
                    _add(calls, part)
                finish = choice.get("finish_reason") or finish
        if finish is None:
            return None
        made: list[Json] = [
            {"id": call["id"], "function": {"name": call["name"], "arguments": call["arguments"]}}
            for call in calls.values()
        ]
        message.update(role="assistant", content=text, tool_calls=made)
        return {"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage}

    def length(self, body: Body) -> int:
        """Return how many messages a request has."""
        return len(several(body.get("messages")))

    def with_told(self, body: Body, place: int, left: Sequence[Left]) -> dict[str, Json]:
        """Return a request whose conversation tells what was written, from a place on."""
        messages = several(body.get("messages"))
        calls: Json = {"role": "assistant", "content": None, "tool_calls": [_call(one) for one in left]}
        told: list[Json] = [{"role": "tool", "tool_call_id": one.id, "content": one.text} for one in left]
        return {**body, "messages": [*messages[:place], calls, *told, *messages[place:]]}

    def _tool(self, item: Mapping[str, Json]) -> Tool | None:
        return tool_of(item.get("function"), self._known) if item.get("type") == "function" else None


def _heard(messages: Sequence[Mapping[str, Json]], tools: tuple[Tool, ...]) -> Heard | str:
    reading = Reading()
    for message in messages:
        text = text_in(message.get("content") or "")
        match message.get("role"):
            case "system" | "developer" if text is not None:
                reading.told.append(text)
            case "user":
                # What else a person's message holds, such as a name, a procedure does not know of.
                reading.person(text if set(message) <= {"role", "content"} else None)
            case "assistant":
                reading.said.append(_said(len(reading.said), message, text))
            case "tool" if text is not None:
                reading.results[str(message.get("tool_call_id"))] = text
            case role:
                return f"a message of {role!r} cannot be read"
    return reading.heard(tools)


def _said(number: int, message: Mapping[str, Json], text: str | None) -> Said:
    calls = [_asked(item) for item in objects(message.get("tool_calls"))]
    known = tuple(call for call in calls if call is not None)
    odd = len(known) < len(calls) or bool(message.get("function_call"))
    return Said(str(number), text, known, unreadable=odd)


def _asked(item: Mapping[str, Json]) -> Asked | None:
    function = mapping(item.get("function"))
    return asked_of(item.get("id"), function.get("name"), function.get("arguments"))


def _call(call: Asked) -> dict[str, Json]:
    return {"id": call.id, "type": "function", "function": {"name": call.tool, "arguments": arguments_of(call)}}


def _head(body: Body, kind: str) -> dict[str, Json]:
    model = body.get("model")
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


def _finish(step: Say | SayAnswer) -> str:
    return "tool_calls" if isinstance(step, Say) else "stop"


def _usage(step: Say | SayAnswer) -> dict[str, Json]:
    return {**_FREE, "seglam_saved": saved_of(step)}


def _add(calls: dict[int, dict[str, str]], part: Mapping[str, Json]) -> None:
    index = part.get("index")
    number = index if isinstance(index, int) else len(calls)
    call = calls.setdefault(number, {"id": "", "name": "", "arguments": ""})
    function = mapping(part.get("function"))
    call["id"] = str(part.get("id") or call["id"])
    call["name"] += str(function.get("name") or "")
    call["arguments"] += str(function.get("arguments") or "")
