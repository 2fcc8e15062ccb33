"""The path of a request as a list of named steps: look, learn, interpret. `cache` drives it in two colours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from seglam_agents.books import Books
from seglam_agents.flow import Flow, work
from seglam_agents.learning.interpreter import interpret
from seglam_agents.learning.kinds import Kind
from seglam_agents.learning.learning import Learning
from seglam_agents.lifecycle.entries import Entries
from seglam_agents.records.errors import ModelError
from seglam_agents.records.outcome import Deopt, Learned, Miss, Outcome
from seglam_agents.records.request import Request
from seglam_agents.records.usage import Usage
from seglam_agents.serving.lookup import Lookup

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Passage:
    """A request on its way, between two steps."""

    request: Request
    can_ask: bool
    """Whether there is a model that could answer."""
    outcome: Outcome | None = None
    revision: int = 0
    """How far the store had been read when the request was looked up."""
    learned: Learned | None = None
    kind: Kind | None = None


Step: TypeAlias = Callable[[Passage], Flow[Passage]]


@dataclass(frozen=True, slots=True)
class Engine:
    """Lookup, learning and fallback, wired together.

    Args:
        lookup: the path without a model.
        learning: what is made of misses and runs.
        entries: writes what procedures did.
        books: counts every outcome once.
        resumed: adds to an outcome what earlier attempts at the same request did.
    """

    lookup: Lookup
    learning: Learning
    entries: Entries
    books: Books = field(default_factory=Books)
    resumed: Callable[[Outcome], Outcome] = lambda outcome: outcome

    @property
    def path(self) -> tuple[tuple[str, Step], ...]:
        """The steps in their order. A step passes on what is none of its business."""
        return (("look", self._look), ("learn", self._learn), ("interpret", self._interpret))

    def look(self, request: Request) -> Outcome:
        """Answer from stored procedures alone, with what earlier attempts at the request did. Never raises."""
        return self.resumed(self.lookup.look(request))

    def answer(self, request: Request, *, can_ask: bool) -> Flow[Outcome]:
        """Answer from the cache; at a miss learn, or let the model answer."""
        passage = Passage(request, can_ask)
        for _, step in self.path:
            passage = yield from step(passage)
        assert passage.outcome is not None  # noqa: S101  # for the type checker; the first step sets it
        self.books.count(passage.outcome)
        return passage.outcome

    def write_statistics(self) -> None:
        """Write what procedures did since the last time."""
        self.books.write(self.entries, self.lookup.retriever.find)

    def _look(self, passage: Passage) -> Flow[Passage]:
        # Read before the look: what lands in between is then looked up once more, and nothing is missed.
        revision = yield from work(lambda: self.lookup.revision(passage.request.scope))
        outcome: Outcome = yield from work(lambda: self.look(passage.request))
        if isinstance(outcome, Miss) and not passage.can_ask:
            outcome = replace(outcome, reason=f"{outcome.reason}; no model was given that could answer")
        return replace(passage, outcome=outcome, revision=revision)

    def _learn(self, passage: Passage) -> Flow[Passage]:
        miss = passage.outcome
        if not isinstance(miss, Miss) or not passage.can_ask or miss.steps:
            return passage
        missed = yield from self.learning.from_miss(passage.request, miss, passage.revision)
        return replace(passage, outcome=missed.outcome, learned=missed.learned, kind=missed.kind)

    def _interpret(self, passage: Passage) -> Flow[Passage]:
        """Let the model answer what no procedure did; what a procedure has done already is told to it."""
        outcome = passage.outcome
        if not isinstance(outcome, (Miss, Deopt)) or outcome.answered_by != "nobody" or not passage.can_ask:
            return passage
        if isinstance(outcome, Deopt):
            return replace(passage, outcome=(yield from self._go_on(passage.request, outcome)))
        said = yield from interpret(passage.request, outcome.steps)
        if passage.kind is not None:
            kind = passage.kind
            yield from work(lambda: self.learning.book_answer(passage.request, kind, said.usage, said.answer))
        usage = said.usage + (passage.learned.usage if passage.learned else Usage())
        answered = replace(outcome, answer=said.answer, answered_by="model", learned=passage.learned, usage=usage)
        return replace(passage, outcome=answered)

    def _go_on(self, request: Request, deopt: Deopt) -> Flow[Deopt]:
        """Let the model go on from where a procedure stopped. Where it fails, too, what was done is still told."""
        try:
            said = yield from interpret(request, deopt.steps)
        except ModelError as error:
            if not deopt.steps:
                raise
            return replace(deopt, reason=f"{deopt.reason}; then the model failed: {error}")
        return replace(deopt, answer=said.answer, answered_by="model", usage=said.usage)
