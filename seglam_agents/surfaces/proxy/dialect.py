"""What the proxy needs to know of one of OpenAI's two APIs: `Dialect`, and what it reads and says in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, cast

from seglam_agents import Tool
from seglam_agents.hosting import (
    Asked,
    Json,
    Left,
    Posed,
    Said,
    Say,
    SayAnswer,
    Shown,
    Usage,
    is_object,
    mapping,
    posed,
    render,
    several,
)
from seglam_agents.hosting import Heard as HeardOf

Body: TypeAlias = Mapping[str, Json]
"""The body of a request, as JSON."""
FAILED = re.compile(
    r"\W*(an? )?(unexpected |internal )?(error|exception|traceback|failure|failed)\b"
    r"|.*\b\w*(error|exception)\b ?[:(]"
    r"|.*\b(rejected|denied|declined|forbidden|unauthorized|not approved|not allowed|cancell?ed by)\b",
    re.IGNORECASE,
)
"""How clients tell a model that a call failed, or that somebody forbade it: the protocol has no sign for it."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A conversation up to where the model would speak."""

    told: str
    """What the agent is told."""
    posed: Posed
    """The request, with what was said before it."""
    said: tuple[Said, ...] = ()
    """What the agent said since, by their numbers."""
    results: Mapping[str, str] = field(default_factory=dict[str, str])
    """What its calls came to, as text, by the id of the call."""
    tools: tuple[Tool, ...] = ()
    """What it may call; all are taken to write."""
    longest: int | None = None
    """How many tokens the answer may have; None where nobody says."""

    def misfit(self, answer: Json) -> str | None:
        """Return why an answer is none here: the model's would have been cut off, on purpose perhaps."""
        # A token has at least one character, so that what is no longer in characters is so in tokens.
        long = self.longest is not None and len(render(answer).encode()) > self.longest
        return "the answer may be longer than was asked for" if long else None

    @property
    def text(self) -> str | None:
        """The words of the request; None where they are not only text."""
        return self.posed.text

    @property
    def calls(self) -> tuple[Asked, ...]:
        """The calls since the request, in their order."""
        return tuple(call for said in self.said for call in said.calls)


@dataclass(slots=True)
class Reading:
    """A conversation while it is read, message by message."""

    told: list[str] = field(default_factory=list[str])
    asked: list[str | None] = field(default_factory=list["str | None"])
    """What persons said; None for what is not only text."""
    said: list[Said] = field(default_factory=list[Said])
    """What the agent said since the last of them."""
    results: dict[str, str] = field(default_factory=dict[str, str])
    before: list[str] = field(default_factory=list[str])
    """What agents and tools said before the last of them."""

    def person(self, text: str | None) -> None:
        """Take in what a person says: another turn begins."""
        self.before += [*(said.text for said in self.said if said.text), *self.results.values()]
        self.said, self.results = [], {}
        self.asked.append(text)

    def heard(self, tools: tuple[Tool, ...] = ()) -> Heard:
        """Return the conversation."""
        history = [*(HeardOf("other", text=text) for text in self.before)]
        history += [HeardOf("person", text=text) for text in self.asked]
        return Heard("\n".join(self.told), posed(history), tuple(self.said), self.results, tools)


@dataclass(frozen=True, slots=True)
class Spoke:
    """What the model upstream said."""

    text: str | None
    calls: tuple[Asked, ...] = ()
    usage: Usage = Usage()
    whole: bool = True
    """False where it was cut off, refused, or holds a call that cannot be read."""


class Dialect(Protocol):
    """One of the APIs."""

    path: str
    """Where it is, below the version."""

    def read(self, body: Body) -> Heard | str:
        """Return the conversation of a request, or why no code can answer it."""
        ...

    def whole(self, step: Say | SayAnswer, body: Body) -> dict[str, Json]:
        """Return what a procedure says as a whole response."""
        ...

    def stream(self, step: Say | SayAnswer, body: Body) -> Iterator[str]:
        """Return what a procedure says as the events of a stream."""
        ...

    def spoke(self, document: Body) -> Spoke | None:
        """Return what a whole response of the model's says; None where it is none."""
        ...

    def joined(self, events: Sequence[Body]) -> Body | None:
        """Return the whole response that the events of a stream make; None where it did not come to its end."""
        ...

    def length(self, body: Body) -> int:
        """Return of how many items the conversation of a request is made."""
        ...

    def with_told(self, body: Body, place: int, left: Sequence[Left]) -> dict[str, Json]:
        """Return a request whose conversation tells what was written, from a place on."""
        ...


def tool_of(fields: object, known: Mapping[str, Tool]) -> Tool | None:
    """Return a function tool with what is known of its effect, which is to write otherwise. None where it is none."""
    function = mapping(fields)
    name, description = function.get("name"), function.get("description") or ""
    parameters: object = mapping(function.get("parameters"))
    if not isinstance(name, str) or not is_object(parameters) or not isinstance(description, str):
        return None
    tool = Tool(name=name, description=description, parameters=parameters)
    does = known.get(name, tool)
    return tool.model_copy(update={"effect": does.effect, "idempotent": does.idempotent})


def asked_of(call_id: object, name: object, arguments: object) -> Asked | None:
    """Return a tool call of a message; None where it cannot be read."""
    try:
        document: object = json.loads(arguments) if isinstance(arguments, str) and arguments.strip() else {}
    except ValueError:
        return None
    if not isinstance(call_id, str) or not isinstance(name, str) or not is_object(document):
        return None
    return Asked(id=call_id, tool=name, arguments=document)


def shown(text: str) -> Shown:
    """Return a result as the client shows it."""
    first = next((line for line in text.strip().splitlines() if line), "")[:400]
    return Shown(text, text, failed=FAILED.match(first) is not None or _says_error(text))


def unknown(body: Body, known: Mapping[str, Sequence[Json] | None]) -> str | None:
    """Return what in a request a stored answer would not be made for; None where there is nothing.

    Args:
        body: the request.
        known: the names of what makes no difference, with the only values that make none where there are such.
    """
    for name, value in body.items():
        allowed = known.get(name, ())
        if value is not None and allowed is not None and value not in allowed:
            return f"{name} is asked for" if len(name) <= 40 else "something unknown is asked for"
    return None


def saved_of(step: Say | SayAnswer) -> dict[str, Json]:
    """Return what an answer saved: tokens and calls of the model."""
    saved = mapping(step.about.get("saved"))
    return {name: int(saved.get(name, 0)) for name in ("input_tokens", "output_tokens", "calls")}


def longest_of(body: Body, *names: str) -> int | None:
    """Return the smallest of the limits of tokens that a request sets; None where it sets none."""
    limits = [limit for name in names if isinstance(limit := body.get(name), int)]
    return min(limits, default=None)


def arguments_of(call: Asked) -> str:
    """Return the arguments of a call as the text that a message holds."""
    return json.dumps(call.arguments, ensure_ascii=False)


def objects(value: Json | object) -> list[dict[str, Json]]:
    """Return the objects of a list; anything else is left out."""
    return [cast("dict[str, Json]", item) for item in several(value) if isinstance(item, dict)]


def server_sent(document: Mapping[str, Json], event: str = "") -> str:
    """Return a document as one event of a stream."""
    named = f"event: {event}\n" if event else ""
    return f"{named}data: {json.dumps(document, ensure_ascii=False)}\n\n"


def _says_error(text: str) -> bool:
    if not text.lstrip().startswith("{"):
        return False
    try:
        fields = mapping(cast("object", json.loads(text)))
    except (ValueError, RecursionError):
        return False
    return bool(fields.get("error") or fields.get("isError") or fields.get("is_error"))
