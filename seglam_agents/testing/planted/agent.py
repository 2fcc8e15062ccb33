"""`PlantedAgent`: a policy that is known, played instead of a model; `Truth` says what is right for a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.trace import ModelStep, Step, ToolStep, Trace
from seglam_agents.records.usage import Usage
from seglam_agents.testing.planted.drawing import Drawing
from seglam_agents.testing.planted.themes import Theme
from seglam_agents.testing.planted.tools import PlantedTool
from seglam_agents.testing.planted.world import Row, World, Write

LETTERS_PER_TOKEN = 4
Values = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Spelled:
    """A value of a request, and how the request spells it."""

    value: Json
    text: str


Place = Callable[[Drawing], Spelled]


class ToolFailed(Exception):
    """A tool raised; a policy may catch it and say so."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a policy answers: the same facts in each of its phrasings. The first is the usual one."""

    phrasings: tuple[Json, ...]

    @classmethod
    def of(cls, *phrasings: Json) -> Said:
        """Return an answer with its phrasings."""
        return cls(phrasings)


class Desk:
    """What a policy works at: tools on a world at a moment. Tools and arguments go by their roles."""

    def __init__(self, tools: Mapping[str, PlantedTool], world: World, now: datetime) -> None:
        self.world = world
        self.now = now
        self.steps: list[ToolStep] = []
        self._tools = tools

    @property
    def theme(self) -> Theme:
        """The theme of the world."""
        return self.world.theme

    def do(self, role: str, **arguments: Json) -> Json:
        """Call a tool.

        Raises:
            ToolFailed: the tool raised; the call is part of the run all the same.
        """
        tool = self._tools[role]
        named = {tool.arguments[key]: value for key, value in arguments.items()}
        try:
            result = tool.call(self.world, named)
        except (LookupError, TypeError, ValueError) as error:
            self.steps.append(ToolStep(tool=tool.tool.name, arguments=named, error=f"{type(error).__name__}: {error}"))
            raise ToolFailed(str(error)) from error
        self.steps.append(ToolStep(tool=tool.tool.name, arguments=named, result=result))
        return result

    def row(self, role: str, **arguments: Json) -> Row:
        """Call a tool that returns an object."""
        result = self.do(role, **arguments)
        if not isinstance(result, dict):
            raise TypeError(f"{role} returned no object")
        return result

    def rows(self, role: str, **arguments: Json) -> list[Row]:
        """Call a tool that returns a list of objects."""
        result = self.do(role, **arguments)
        if not isinstance(result, list):
            raise TypeError(f"{role} returned no list")
        return [item for item in result if isinstance(item, dict)]


Policy = Callable[[Desk, Values], Said]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to an agent."""

    text: str
    values: Values
    world: World
    now: datetime
    beyond: bool = False
    """True where its data and values may lie beyond those of the trainings."""
    context: Values = field(default_factory=dict[str, Json])
    """What belongs to the request and is not in its text, such as who asks."""

    @property
    def request(self) -> Request:
        """The request as a cache gets it."""
        return Request(text=self.text, context=dict(self.context))


@dataclass(frozen=True, slots=True)
class Truth:
    """What the policy does for a request: every call, those that write, and the answers that are right."""

    steps: tuple[ToolStep, ...]
    writes: tuple[Write, ...]
    answers: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class PlantedAgent:
    """A random policy whose truth is known.

    Args:
        family: which composition of parts it is.
        theme: what its records are called.
        tools: by role; the policy uses some of them, the others are at hand as well.
        wordings: templates of its requests, with `{place}`.
        near: templates of requests of other kinds, which the policy does not answer.
        places: what the places of both are drawn from.
        policy: what it does.
        free_tail: True where a request ends in free text, which would take anything that is put behind it.
        phrasings: how many phrasings of an answer it uses.
        context: places whose values come with the request and not in its text.
    """

    family: str
    theme: Theme
    tools: Mapping[str, PlantedTool]
    wordings: tuple[str, ...]
    near: tuple[str, ...]
    places: Mapping[str, Place]
    policy: Policy
    free_tail: bool = False
    phrasings: int = 1
    context: tuple[str, ...] = ()

    def ask(self, drawing: Drawing, wordings: Sequence[str] | None = None) -> Ask:
        """Draw a request of the agent's kind, or by other wordings with the same places."""
        template = drawing.random.choice(tuple(wordings or self.wordings))
        spelled = {name: place(drawing) for name, place in self.places.items()}
        text = re.sub(r"\{(\w+)\}", lambda match: spelled[match[1]].text, template)
        values = {name: item.value for name, item in spelled.items()}
        context = {name: values[name] for name in self.context}
        return Ask(text, values, drawing.world, drawing.now, drawing.setting.wide, context)

    def truth(self, ask: Ask) -> Truth:
        """Return what is right for a request. It depends on the request, the world and the moment alone."""
        world = ask.world.copy()
        desk = Desk(self.tools, world, ask.now)
        said = self.policy(desk, ask.values)
        return Truth(tuple(desk.steps), tuple(world.writes), said.phrasings)

    def run(self, ask: Ask, random: Random) -> Trace:
        """Return the run of the agent for a request, as its host would have recorded it."""
        truth = self.truth(ask)
        answer = random.choice(truth.answers[: self.phrasings])
        steps: list[Step] = []
        seen = len(ask.text)
        for step in truth.steps:
            steps.extend((_model_call(seen, str(step.arguments)), step))
            seen += len(step.model_dump_json())
        steps.append(_model_call(seen, str(answer)))
        return Trace(request=ask.request, steps=tuple(steps), answer=answer, recorded_at=ask.now)


def later(now: datetime, random: Random, days: int) -> datetime:
    """Return a moment at most so many days later, on another day unless that is 0."""
    return now + timedelta(days=random.randint(1, days) if days else 0, minutes=random.randint(1, 90))


def _model_call(seen: int, said: str) -> ModelStep:
    usage = Usage(
        input_tokens=seen // LETTERS_PER_TOKEN + 200, output_tokens=len(said) // LETTERS_PER_TOKEN + 8, calls=1
    )
    return ModelStep(usage=usage)
