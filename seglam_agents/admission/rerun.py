"""Runs a body over a recorded run: does it do what the run did?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from seglam_agents.compilers.base import Known
from seglam_agents.compilers.traces.closings import Told, likeness
from seglam_agents.compilers.traces.plan import matching
from seglam_agents.guards.guard import Accepted
from seglam_agents.records.record import Json
from seglam_agents.records.values import decode, encode, tidy
from seglam_agents.sandboxes.base import Failed, Paused, Returned, ToolCall, ToolResult
from seglam_agents.serving.executor import Executor
from seglam_agents.serving.loading import Loaded

Verdict: TypeAlias = Literal["same", "differs", "unclear", "gave up"]
"""`unclear`: the calls are the same, and whether the answers claim the same cannot be told from their words."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """What a body did over a recorded run."""

    verdict: Verdict
    reason: str = ""
    answer: Json = None
    """What it returned."""
    spoken: bool = False
    """Whether the last message is the model's, and the calls alone were compared."""


def rerun(
    loaded: Loaded,
    executor: Executor,
    known: Known,
    judgement: Accepted,
    *,
    reads: Collection[str],
    now: datetime | None = None,
) -> Rerun:
    """Run a body over the results of a recorded run, and compare the calls, their arguments and the answer.

    Args:
        loaded: whose body.
        executor: where it runs.
        known: the run; its trace says the calls, and its answer is the right one.
        judgement: what the guard bound.
        reads: tools whose calls may come in another order.
        now: what the body's clock says.
    """
    steps = list(known.trace.calls) if known.trace else []
    about = f"on the trace of {known.request.text!r}"
    mismatches: list[str] = []

    def recorded(asked: ToolCall) -> ToolResult:
        call = loaded.meant(asked)
        arguments = {name: encode(value) for name, value in call.arguments.items()}
        if not steps:
            mismatches.append(f"calls {call.tool}({arguments}) after the trace has ended")
            return ToolResult(error="no further call was recorded")
        step = steps.pop(matching(steps, call.tool, arguments, frozenset(reads)) or 0)
        if (step.tool, dict(step.arguments)) != (call.tool, arguments):
            mismatches.append(f"calls {call.tool}({arguments}), the trace has {step.tool}({dict(step.arguments)})")
        return ToolResult(value=decode(step.result), error=step.error)

    execution = executor.sandbox.run(
        loaded.program,
        loaded.call_arguments(judgement.arguments),
        call=recorded,
        limits=executor.limits,
        now=now,
    )
    if mismatches:
        return Rerun("differs", f"{about}: {mismatches[0]}")
    if steps and not isinstance(execution, Failed):
        return Rerun("differs", f"{about}: never calls {steps[0].tool}")
    match execution:
        case Returned(value=value):
            answer = encode(tidy(value))
            if answer is None and loaded.procedure.closing.apart:
                return Rerun("same", spoken=True)
            told = Told(known.request.text, known.trace.calls, frozenset(reads)) if known.trace else None
            alike = likeness(answer, known.answer, told)
            if alike == "same":
                return Rerun("same", answer=answer)
            return Rerun(alike, f"answers {answer!r}, expected {known.answer!r}, for {known.request.text!r}", answer)
        case Failed(kind="deopt", reason=reason):
            return Rerun("gave up", f"{about}: deopt: {reason}")
        case Failed(kind=kind, reason=reason):
            return Rerun("differs", f"{about}: {kind}: {reason}")
        case Paused():
            return Rerun("differs", f"{about}: wants a tool that was not recorded")
