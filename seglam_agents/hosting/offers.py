"""`Offer`: procedures that a model is offered as tools at one step, and that begin where it calls them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from seglam_agents.hosting.decision import Event
from seglam_agents.hosting.driver import Driver
from seglam_agents.hosting.procedures import nearest, tool_name
from seglam_agents.hosting.safety import safely
from seglam_agents.hosting.turn import Asked, Called, Turn
from seglam_agents.records.entry import Entry


@dataclass(frozen=True, slots=True)
class Offer:
    """What a model is offered beside the tools of its host.

    Args:
        driver: of the cache whose procedures these are; None where nothing can be offered.
        entries: the procedures, by the names of their tools.
    """

    driver: Driver | None
    entries: Mapping[str, Entry] = field(default_factory=dict[str, Entry])

    def near(self, turn: Turn, size: int, available: set[str]) -> Self:
        """Return it with the procedures nearest to the request of a turn that no guard accepted.

        Args:
            turn: as it was looked up.
            size: how many.
            available: the names of the tools that can be called.
        """
        if self.driver is None or not size or turn.status != "miss" or not turn.text:
            return self
        entries = nearest(self.driver.cache, turn.text, size, available=available)
        return replace(self, entries={tool_name(entry.procedure): entry for entry in entries})

    def begun(self, turn: Turn, calls: Sequence[Asked], text: str) -> tuple[Turn, Asked, tuple[Event, ...]] | None:
        """Begin a procedure that the model called alone, so that its tools go through the host one by one.

        Args:
            turn: of the model's message.
            calls: those of the message.
            text: what else it says.

        Returns:
            As `Driver.call`; None where no procedure with tools was called, or its tool is to say what is wrong.
        """
        entry, driver = self.entries.get(calls[0].tool) if len(calls) == 1 else None, self.driver
        if entry is None or driver is None or entry.procedure.pure:
            return None
        called = Called(**calls[0].model_dump(), text=text)
        told = "a procedure cannot be begun; its tool says so"
        return safely(lambda: driver.call(turn, entry.procedure.id, called), None, told)
