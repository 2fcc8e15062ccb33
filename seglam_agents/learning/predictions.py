"""Predictions: what a procedure says of a run that it was not made from, before that run is learnt from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from seglam_agents.admission.rerun import rerun
from seglam_agents.compilers.base import Known
from seglam_agents.guards.guard import Accepted
from seglam_agents.guards.normal import normalise
from seglam_agents.records.record import Json
from seglam_agents.records.trace import Trace
from seglam_agents.records.values import Value
from seglam_agents.serving.executor import Executor
from seglam_agents.serving.loading import Loaded

Foretold: TypeAlias = Literal["right", "wrong", "silent"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """`right`: the run did what the procedure says. `wrong`: it did something else. `silent`: it says nothing."""

    foretold: Foretold
    reason: str = ""
    template: str = ""
    """The wording that the guard accepted the request by."""
    answer: Json = None
    """What the procedure would have answered, where it came to an answer."""
    spoken: bool = False
    """Whether only the calls were foretold, because the last message is the model's."""
    unclear: bool = False
    """Whether the calls were foretold, and other words were said than the procedure says."""
    arguments: Mapping[str, Value] = field(default_factory=dict[str, Value])
    """What the guard bound."""


def predict(
    loaded: Loaded, executor: Executor, trace: Trace, *, reads: Collection[str], now: datetime | None = None
) -> Prediction:
    """Return what a procedure foretells of a run: its calls, their arguments, and its answer.

    Args:
        loaded: the procedure; not one that was made from this run.
        executor: where its body is run over the recorded results. No tool is called.
        trace: the run.
        reads: tools whose calls may come in another order.
        now: what the clock of the body says: that of the run.
    """
    judgement = loaded.guard.match(normalise(trace.request.text), trace.request.context)
    if not isinstance(judgement, Accepted):
        return Prediction("silent", f"the guard declines ({judgement.stage}: {judgement.reason})")
    known = Known(trace.request, trace.answer, trace)
    again = rerun(loaded, executor, known, judgement, reads=reads, now=now)
    foretold: dict[str, Foretold] = {
        "same": "right",
        "differs": "wrong",
        "unclear": "silent",
        "gave up": "silent",
    }
    templates = loaded.procedure.guard.templates
    template = templates[judgement.template] if judgement.template < len(templates) else ""
    return Prediction(
        foretold[again.verdict],
        again.reason,
        template,
        again.answer,
        again.spoken,
        again.verdict == "unclear",
        judgement.arguments,
    )
