"""`Shadows`: procedures that serve nothing are held against runs of the host's agent, until enough of them agree."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from seglam_agents.compilers.traces.plan import matching
from seglam_agents.learning.predictions import Prediction, predict
from seglam_agents.lifecycle.entries import Entries
from seglam_agents.records.entry import Entry
from seglam_agents.records.telling import tell
from seglam_agents.records.tools import Tool, reading
from seglam_agents.records.trace import Trace
from seglam_agents.records.values import decode, encode, same
from seglam_agents.records.ways import Way
from seglam_agents.sandboxes.base import Returned, ToolCall, ToolResult
from seglam_agents.serving.conditions import conditions_of
from seglam_agents.serving.executor import Executor
from seglam_agents.serving.loading import Loaded
from seglam_agents.serving.retriever import Retriever, Served

logger = logging.getLogger(__name__)


MAX_SPOKEN = 12
"""Runs up to which an explanation is looked for of a last message that is left to the model."""


@dataclass(frozen=True, slots=True)
class Shadows:
    """Compares runs with what the procedures in shadow would have done.

    Args:
        retriever: which procedures run in shadow.
        executor: where bodies run over recorded results. No tool is called.
        entries: where the agreement is noted.
        tools: the agent's tools.
        instructions: digest of what the agent is told.
        clock: whether bodies may read the clock.
    """

    retriever: Retriever
    executor: Executor
    entries: Entries
    tools: Mapping[str, Tool]
    instructions: str = ""
    clock: bool = False

    def compare(self, trace: Trace) -> None:
        """Let every procedure in shadow foretell a run, and note whether it was right. Never raises."""
        try:
            noted = [self._note(served, trace) for served in self.retriever.shadowing(trace.request.scope)]
            if any(noted):
                self.retriever.refresh(trace.request.scope)
        except Exception as error:
            tell(logger, "procedures in shadow could not be compared with a run", error)

    def judge(self, trace: Trace, compiler: str) -> str | None:
        """Hold what serves against a run: a wrong prediction suspends it. Never raises.

        Args:
            trace: the run, before anything is learnt from it.
            compiler: whose procedures are held against runs.

        Returns:
            The procedure that foretold the run, if one did and none foretold something else.
        """
        try:
            # What serves because runs agree again is compared by `compare`: what speaks against it does so under these
            # conditions alone.
            said = [self._judged(loaded, trace) for loaded in self.retriever.serving(trace.request.scope)
                    if loaded.procedure.provenance.compiler == compiler and loaded.held is None]  # fmt: skip
        except Exception as error:
            tell(logger, "what serves could not be compared with a run", error)
            return None
        if any(verdict == "wrong" for verdict, _ in said):
            self.retriever.refresh(trace.request.scope)
            return None
        return next((key for verdict, key in said if verdict == "right"), None)

    def _judged(self, loaded: Loaded, trace: Trace) -> tuple[str, str]:
        said = self._predict(loaded, trace)
        procedure, known = loaded.procedure, trace.id in loaded.procedure.provenance.trace_ids
        entry = None
        if said.foretold != "silent" and not known:
            wrong = said.reason if said.foretold == "wrong" else ""
            entry = self.entries.foretold(trace.request.scope, procedure.id, said.template, trace.id, wrong=wrong)
        # Of what is said, a run may still teach more than its calls; of an agent that talks freely, no run does.
        open_ = said.foretold == "right" and said.spoken and _foretold(entry) < MAX_SPOKEN
        return ("silent" if open_ else said.foretold), procedure.key

    def _note(self, served: Served, trace: Trace) -> bool:
        if trace.id in served.loaded.procedure.provenance.trace_ids:
            return False
        said = self._predict(served.loaded, trace)
        silent = said.foretold == "silent" and not said.unclear
        if silent and not (said.template and _left_out(served.loaded, trace)):
            return False
        conditions = conditions_of(served.entry, self.instructions, self.tools).key
        # What else is to be said is for new instructions to say: the facts alone do not agree with them.
        agreed = said.foretold == "right" and (said.spoken or same(said.answer, trace.answer))
        procedure = served.loaded.procedure
        writing = frozenset(use.name for use in procedure.tools if use.effect == "write")
        way = self._way(served.loaded, trace, said, writing) if agreed else None
        noted = self.entries.confirm(trace, procedure.id, conditions, agreed=agreed, writing=writing, way=way)
        return noted is not None

    def _way(self, loaded: Loaded, trace: Trace, said: Prediction, writing: frozenset[str]) -> Way | None:
        """Return which way a body goes on a run that it foretold."""
        steps, reads = list(trace.calls), reading(self.tools.values())

        def recorded(call: ToolCall) -> ToolResult | None:
            arguments = {name: encode(value) for name, value in call.arguments.items()}
            index = matching(steps, call.tool, arguments, reads)
            return None if index is None else ToolResult(value=decode(steps.pop(index).result))

        execution, walk = self.executor.walk(loaded, said.arguments, recorded, self._now(trace))
        return walk.ended(writing, decode(said.answer)) if isinstance(execution, Returned) else None

    def _now(self, trace: Trace) -> datetime | None:
        return trace.recorded_at.replace(tzinfo=None) if self.clock and trace.recorded_at else None

    def _predict(self, loaded: Loaded, trace: Trace) -> Prediction:
        return predict(loaded, self.executor, trace, reads=reading(self.tools.values()), now=self._now(trace))


def _left_out(loaded: Loaded, trace: Trace) -> bool:
    """Tell whether a run did not write what a procedure writes that accepts its request: silent, it differs."""
    made = {step.tool for step in trace.calls}
    return any(use.effect == "write" and use.name not in made for use in loaded.procedure.tools)


def _foretold(entry: Entry | None) -> int:
    return sum(len(wording.evidence.predicted) for wording in entry.wordings) if entry is not None else 0
