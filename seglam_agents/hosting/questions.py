"""`Questions`: those of a host over one source, answered by procedures or by the host itself, from which is learnt."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Generic, TypeAlias, TypeVar

from seglam_agents.flow import Flow
from seglam_agents.hosting.answering import Answering, Session, Source, Sourced, Unfit
from seglam_agents.hosting.base import HostedCache, require_cache
from seglam_agents.hosting.drivers import Drivers
from seglam_agents.hosting.learner import Learning
from seglam_agents.hosting.safety import unharmed
from seglam_agents.records.outcome import Learned, Plan
from seglam_agents.records.trace import Trace

logger = logging.getLogger(__name__)

T = TypeVar("T")

Told: TypeAlias = Callable[[str, Trace | None, Learned], None]


@dataclass(slots=True)
class Questions(Generic[T]):
    """Answers questions over a source, and learns from how the host answered others.

    Args:
        cache: whose procedures.
        source: what procedures read from; None where they can use none.
        learning: when runs are learnt from.
        learned: told what came of each question, or, with a reason, why there was no trace. It must not raise.
        gave_up: as for `Answering`.
    """

    cache: HostedCache
    source: Source[T] | None
    learning: InitVar[Learning] = "inline"
    learned: Told | None = None
    gave_up: InitVar[Callable[[str, str], None] | None] = None
    drivers: Drivers = field(init=False)
    answering: Answering = field(init=False)

    def __post_init__(self, learning: Learning, gave_up: Callable[[str, str], None] | None) -> None:
        require_cache(self.cache)
        self.drivers = Drivers(None, learning, self._told)
        self.answering = Answering(self.cache, gave_up)

    def answer(self, question: str) -> Flow[Sourced[T] | None]:
        """Return the answer of a procedure; None where there is none. Never raises."""
        tools = [hosted.tool for hosted in self.source.tools] if self.source is not None else []
        return (yield from self.answering.answer(question, tools, self._session))

    def learn(self, question: str, metadata: Mapping[str, object] | None) -> Flow[None]:
        """Learn from the metadata of the host's own response; None where it is none to learn from. Never raises."""
        yield from self.drivers.learn(self.cache, self._trace(question, metadata))

    def _session(self, plan: Plan) -> Session[T]:
        if self.source is None:
            raise LookupError("this host has no source that procedures can use")
        return self.source.session(self.answering.constants(plan))

    def _trace(self, question: str, metadata: Mapping[str, object] | None) -> Trace | None:
        if self.drivers.learner.learning == "off" or self.source is None or metadata is None:
            return None
        with unharmed("a response cannot be learnt from; it is not touched"):
            seen = self.source.seen(question, metadata)
            if not isinstance(seen, Unfit):
                return seen.trace(question)
            logger.info("not learnt from: %s", seen.reason)
            if self.learned is not None:
                self.learned(question, None, Learned(status="deferred", reason=seen.reason))
        return None

    def _told(self, trace: Trace, learned: Learned) -> None:
        if self.learned is not None:
            self.learned(trace.request.text, trace, learned)
