"""What is decided at one step of a turn: what a procedure says in the place of the model, or that the model speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from seglam_agents.hosting.journal import Write
from seglam_agents.hosting.turn import Asked, Called, Left, Turn
from seglam_agents.hosting.values import mapping
from seglam_agents.records.record import Json

EventName: TypeAlias = Literal["seglam.lookup", "seglam.hit", "seglam.deopt"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for the host's streams, callbacks and spans."""

    name: EventName
    data: Mapping[str, Json]

    @property
    def flat(self) -> dict[str, str | int | float | bool]:
        """What it says as the attributes of a span, which hold nothing nested."""
        plain = {key: value for key, value in self.data.items() if isinstance(value, (str, int, float, bool))}
        flat = {f"seglam.{key}": value for key, value in plain.items()}
        if saved := mapping(self.data.get("saved")):
            tokens = [saved.get("input_tokens"), saved.get("output_tokens")]
            flat["seglam.saved_tokens"] = sum(token for token in tokens if isinstance(token, int))
        return flat


@dataclass(frozen=True, slots=True)
class Say:
    """The procedure's next call, in the place of the model's."""

    turn: Turn
    call: Asked
    about: Mapping[str, Json]
    """For the metadata of the message."""
    write: Write | None = None
    """What names the call for the journal, where it is a write."""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class SayAnswer:
    """The procedure's answer, in the place of the model's."""

    turn: Turn
    answer: Json
    about: Mapping[str, Json]
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class GiveBack:
    """A procedure that the model called as a tool has ended: the text tells the model, which goes on."""

    turn: Turn
    called: Called
    text: str
    error: bool
    about: Mapping[str, Json]
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Pass:
    """The model speaks."""

    turn: Turn
    events: tuple[Event, ...] = ()
    left: tuple[Left, ...] = ()
    """What earlier attempts at the turn wrote, where the history does not say it: the host tells the model, by a call
    with its result for each."""


Decision: TypeAlias = Say | SayAnswer | GiveBack | Pass
