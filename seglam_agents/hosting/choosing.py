"""Choosing among things of the host's, such as engines: the choice is a call that a procedure makes again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import InitVar, dataclass, field
from typing import TypeVar

from seglam_agents.flow import Flow
from seglam_agents.hosting.answering import Answering, Unfit
from seglam_agents.hosting.base import HostedCache
from seglam_agents.hosting.drivers import Drivers
from seglam_agents.hosting.learner import Learning
from seglam_agents.records.outcome import Call
from seglam_agents.records.record import Json, digest
from seglam_agents.records.request import Request
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.records.values import Value
from seglam_agents.sandboxes.base import ToolResult

R = TypeVar("R")

DONE = "done"


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that can be chosen."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen, and the question that goes there; the request itself where that is empty."""

    name: str
    question: str = ""


def choices_of(described: Iterable[tuple[str | None, str]]) -> list[Choice]:
    """Return things with their names and descriptions as choices; a name that others have too is told by its number."""
    known = list(described)
    names = [name or "" for name, _ in known]
    unique = [x if x and names.count(x) == 1 else f"{number}_{x}" for number, x in enumerate(names)]
    return [Choice(name, description) for name, (_, description) in zip(unique, known, strict=True)]


def choosing_tool(name: str, choices: Sequence[Choice], *, asks: bool) -> Tool:
    """Return the tool that stands for choosing; other choices, or other descriptions, make it another tool.

    Args:
        name: that of the tool.
        choices: what can be chosen.
        asks: whether what is chosen gets a question of its own; else it gets the request.
    """
    described: Json = [[choice.name, choice.description] for choice in choices]
    words: Json = {"type": "array", "items": {"type": "string"}}
    properties: dict[str, Json] = {"choice": {"type": "string", "enum": [choice.name for choice in choices]}}
    properties["question" if asks else "about"] = words
    return Tool(
        name=name,
        description="Choose one of: " + ", ".join(choice.name for choice in choices),
        parameters={
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "$comment": digest(described),
        },
        # Nothing is read that could tell a wrong choice: words are held to what was seen, as before a write.
        effect="write",
        idempotent=True,
    )


def noted(choice: Value, question: Value = None, about: Value = None) -> Value:
    """Do what the tool does by itself: nothing. Calling it is the answer."""
    return True


def trace_of_choices(text: str, tool: str, made: Sequence[Chosen]) -> Trace:
    """Return what was chosen for a text, as a trace to learn from."""
    steps = tuple(ToolStep(tool=tool, arguments=_arguments(text, chosen), result=True) for chosen in made)
    return Trace(request=Request(text=text), steps=steps, answer=DONE)


@dataclass(slots=True)
class Chooser:
    """What chooses by a cache, or has the host choose and learns.

    Args:
        cache: of its own; the same text means something else elsewhere.
        tool: the name of the tool that stands for choosing.
        learning: when what the host chose is learnt from.
        asks: as for `choosing_tool`.
    """

    cache: HostedCache
    tool: str
    learning: InitVar[Learning] = "inline"
    asks: bool = False
    answering: Answering = field(init=False)
    drivers: Drivers = field(init=False)

    def __post_init__(self, learning: Learning) -> None:
        self.answering = Answering(self.cache)
        self.drivers = Drivers(None, learning)

    def chosen(
        self,
        question: str,
        choices: Sequence[Choice],
        ask: Flow[R],
        made_of: Callable[[R], Sequence[Chosen] | None],
        result_of: Callable[[Sequence[Chosen]], R],
    ) -> Flow[R]:
        """Choose by a procedure, or let the host choose, and learn. What the cache breaks at, the host chooses.

        Args:
            question: the request.
            choices: what can be chosen.
            ask: has the host choose.
            made_of: returns what the host chose; None where it cannot be told.
            result_of: makes the host's own result of what a procedure chose.
        """
        session = ChoosingSession([choice.name for choice in choices])
        tool = choosing_tool(self.tool, choices, asks=self.asks)
        found = yield from self.answering.answer(question, [tool], lambda _: session)
        if found is not None:
            return result_of(found.value)
        result = yield from ask
        made = made_of(result)
        trace = trace_of_choices(question, self.tool, made) if made is not None else None
        yield from self.drivers.learn(self.cache, trace)
        return result


@dataclass(slots=True)
class ChoosingSession:
    """One run of a procedure that chooses.

    Args:
        names: what can be chosen now.
    """

    names: Sequence[str]
    made: list[Chosen] = field(default_factory=list[Chosen])

    def call(self, action: Call) -> ToolResult:
        """Note a choice."""
        question = action.arguments.get("question")
        words = [str(word) for word in question] if isinstance(question, list) else []
        self.made.append(Chosen(str(action.arguments.get("choice")), "".join(words)))
        return ToolResult(value=True)

    async def acall(self, action: Call) -> ToolResult:
        """Note a choice."""
        return self.call(action)

    def served(self, answer: Json) -> list[Chosen] | Unfit:
        """Return the choices."""
        if self.made and all(chosen.name in self.names for chosen in self.made):
            return self.made
        return Unfit("it chooses nothing that is there")


def _arguments(text: str, chosen: Chosen) -> dict[str, Json]:
    if chosen.question:
        return {"choice": chosen.name, "question": _split(chosen.question)}
    # The names and numbers of a request say what it is about; they do not decide where it goes, and may vary.
    return {"choice": chosen.name, "about": list(re.findall(r"\b\w*[A-Z\d]\w*", text))}


def _split(question: str) -> Json:
    """Return the words of a question and what is between them.

    As one text, the trace compiler would keep a dictionary from the words of the request to whole questions, and serve
    no other words than those it has seen.
    """
    return list(re.findall(r"\w+|[^\w]+", question))
