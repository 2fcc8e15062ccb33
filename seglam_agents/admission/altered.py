"""Altered results: what a run restated from a result has to follow the result, or the body has to give up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from seglam_agents.admission.case import Case, verdict
from seglam_agents.compilers.base import Known
from seglam_agents.guards.guard import Accepted
from seglam_agents.records.entry import Check
from seglam_agents.records.record import Json, leaves
from seglam_agents.records.tools import reading
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.values import decode, encode
from seglam_agents.sandboxes.base import Returned, ToolCall, ToolResult

MAX_RUNS = 3
"""Runs whose results are altered."""
MAX_LENGTH = 200
"""Letters of a value that is looked for in what a run said."""


def check_altered(case: Case) -> Check:
    """Each run is replayed with other numbers, other texts and empty results; what restates them has to follow."""
    traced = [known for known in case.candidate.known if known.trace and known.trace.calls][-MAX_RUNS:]
    if not traced:
        return Check(name="altered results", verdict="skipped", evidence="no run called a tool")
    problems: list[str] = []
    tried = 0
    for known in traced:
        for name, steps in _altered(known, reading(case.tools.values())):
            tried += 1
            if problem := _stuck(case, known, name, steps):
                problems.append(problem)
    return verdict("altered results", problems, tried)


@dataclass(frozen=True, slots=True)
class _Did:
    """What a body did: its calls with their arguments, and its answer."""

    calls: tuple[tuple[str, Mapping[str, Json]], ...]
    answer: Json

    def says(self, value: str, after: int) -> bool:
        """Tell whether the answer says a value, or an argument after so many calls: those before knew nothing of it."""
        told = [str(leaf) for leaf in leaves([[dict(given) for _, given in self.calls[after:]], self.answer])]
        return any(re.search(rf"(?<![\w.]){re.escape(value)}(?![\w]|\.\d)", text) for text in told)


def _altered(known: Known, reads: frozenset[str]) -> Iterator[tuple[str, list[ToolStep]]]:
    """Yield the steps of a run with one result altered in one way."""
    steps = list(known.trace.calls) if known.trace else []
    for index, step in enumerate(steps):
        if step.tool not in reads:
            continue
        for name, alter in _WAYS.items():
            result = alter(step.result)
            if result != step.result:
                changed = step.model_copy(update={"result": result})
                yield f"{step.tool} with {name}", [*steps[:index], changed, *steps[index + 1 :]]


def _stuck(case: Case, known: Known, name: str, steps: list[ToolStep]) -> str | None:
    """Return what is wrong where a body says what the run's result said, though the result says something else."""
    done = _run(case, known, steps)
    if done is None or known.trace is None:
        return None
    for index, (old, new) in enumerate(zip(known.trace.calls, steps, strict=True)):
        if old.result == new.result:
            continue
        after = _until(done.calls, new.tool, sum(step.tool == new.tool for step in steps[: index + 1]))
        gone = {str(leaf) for leaf in leaves(old.result)} - {str(leaf) for leaf in leaves(new.result)}
        for value in sorted(gone):
            elsewhere = value.casefold() in known.request.text.casefold() or _said_by_others(value, steps, new)
            if _telling(value) and not elsewhere and done.says(value, after):
                return (
                    f"for {known.request.text!r}, {name} still says {value!r}, which the result says no more: "
                    "read it from the result, or `deopt`"
                )
    return None


def _until(calls: Sequence[tuple[str, Mapping[str, Json]]], tool: str, count: int) -> int:
    """Return how many calls a body had made when it had called a tool so many times."""
    made = [index for index, (name, _) in enumerate(calls, 1) if name == tool]
    return made[count - 1] if count <= len(made) else len(calls)


def _telling(value: str) -> bool:
    """Tell whether a value is no word or digit that may stand anywhere."""
    return 2 <= len(value) <= MAX_LENGTH and value not in ("True", "False", "None")


def _said_by_others(value: str, steps: list[ToolStep], step: ToolStep) -> bool:
    return any(value == str(leaf) for other in steps if other is not step for leaf in leaves(other.result))


def _run(case: Case, known: Known, steps: list[ToolStep]) -> _Did | None:
    """Run the body over recorded results; None where it gives up."""
    judgement = case.judge(known.request.text, dict(known.request.context))
    if not isinstance(judgement, Accepted):
        return None
    left = list(steps)
    calls: list[tuple[str, Mapping[str, Json]]] = []

    def recorded(asked: ToolCall) -> ToolResult:
        call = case.loaded.meant(asked)
        calls.append((call.tool, {name: encode(value) for name, value in call.arguments.items()}))
        at = next((index for index, step in enumerate(left) if step.tool == call.tool), None)
        return ToolResult(error="no such call was recorded") if at is None else ToolResult(decode(left.pop(at).result))

    execution = case.executor.sandbox.run(
        case.loaded.program,
        case.loaded.call_arguments(judgement.arguments),
        call=recorded,
        limits=case.executor.limits,
        now=case.clock(known.trace),
    )
    return _Did(tuple(calls), encode(execution.value)) if isinstance(execution, Returned) else None


def _each(document: Json, change: Callable[[Json], Json]) -> Json:
    if isinstance(document, dict):
        return {key: _each(value, change) for key, value in document.items()}
    if isinstance(document, list):
        return [_each(value, change) for value in document]
    return change(document)


def _other_number(value: Json) -> Json:
    return value + 1 if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _other_text(value: Json) -> Json:
    """Return another text of the same shape: letters and digits turned on by one."""
    if not isinstance(value, str) or re.match(r"\d{4}-\d\d-\d\d", value):
        return value
    return "".join(_NEXT.get(character, character) for character in value)


def _emptied(document: Json) -> Json:
    return [] if isinstance(document, list) else document


_NEXT = {
    one: other
    for letters in ("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789")
    for one, other in zip(letters, letters[1:] + letters[:1], strict=True)
}
_WAYS: Mapping[str, Callable[[Json], Json]] = {
    "other numbers": lambda result: _each(result, _other_number),
    "other texts": lambda result: _each(result, _other_text),
    "nothing found": _emptied,
}
