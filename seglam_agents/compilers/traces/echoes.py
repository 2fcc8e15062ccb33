"""`Echoes`: requests that come again word for word, and whose runs went the same way each time.

Such runs tell nothing about what may vary, so they are no evidence for their kind. They are evidence for themselves: a
guard of literal words alone, a body that reads again and holds what it reads to what was seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seglam_agents.compilers.traces.closings import judges
from seglam_agents.compilers.traces.holds import MAX_ECHO
from seglam_agents.compilers.traces.kinds import Case, Kind, Wording, timely
from seglam_agents.compilers.traces.spans import Reading
from seglam_agents.guards.normal import asks, normalise
from seglam_agents.records.tools import Tool, reading
from seglam_agents.records.trace import Trace
from seglam_agents.records.values import decode

MAX_RUNS = 3
"""Runs of one content that are kept; a further one says nothing more."""


@dataclass(slots=True)
class Echoes:
    """The runs of a scope that came more than once, by their content."""

    runs: dict[str, dict[str, Trace]] = field(default_factory=dict[str, "dict[str, Trace]"])
    """The runs of each content, by the time they were recorded."""
    kinds: dict[str, Kind] = field(default_factory=dict[str, Kind])

    def learn(self, trace: Trace, known: Sequence[Kind], tools: Mapping[str, Tool], *, clock: bool) -> list[Kind]:
        """Keep a run; where it came before, return what its words alone stand for.

        Args:
            trace: the run.
            known: the kinds that it belongs to. What they say of other requests counts more than an echo.
            tools: the tools of its scope.
            clock: whether bodies have one.
        """
        if not known or not _may_echo(trace, reading(tools.values())):
            return []
        runs = self.runs.setdefault(trace.id, {})
        if len(runs) < MAX_RUNS:
            runs.setdefault(str(trace.recorded_at or ""), trace)
        if len(runs) < 2 or any(_says_more(kind, trace) for kind in known):
            return []
        kind = self.kinds.setdefault(trace.id, Kind(known[0].key, echoed=True))
        for each in list(runs.values())[len(kind.cases) :]:
            read = _literal(each)
            kind.wordings.setdefault(read.key, Wording(()))
            kind.learn(Case(each, read, ()), tools, clock=clock)
        return [kind]


def _says_more(kind: Kind, trace: Trace) -> bool:
    """Tell whether a kind has foretold a run, or knows requests that ask for something else in the same words."""
    own = next((case.arguments for case in kind.cases if case.trace.id == trace.id), None)
    return bool(kind.rights) or any(case.arguments != own for case in kind.cases)


def _may_echo(trace: Trace, reads: frozenset[str]) -> bool:
    """Tell whether a run may stand for its words: it reads only, and neither the time nor a judgement is in it.

    Whether a shop is open is another answer at night, though nobody asks for the time.
    """
    words = normalise(trace.request.text).text
    held = all(step.tool in reads and len(repr(decode(step.result))) <= MAX_ECHO for step in trace.calls)
    return held and not timely(words) and not judges(trace.answer)


def _literal(trace: Trace) -> Reading:
    text = normalise(trace.request.text).text
    return Reading(text, (), (text,), asks(trace.request.text))
