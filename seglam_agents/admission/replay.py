"""Checks against what is known to be right: given requests, recorded traces, counterexamples, neighbours."""

from __future__ import annotations

from seglam_agents.admission.case import Case, answer_of, verdict
from seglam_agents.admission.rerun import Rerun, rerun
from seglam_agents.compilers.base import Known
from seglam_agents.guards.guard import Accepted, Declined
from seglam_agents.guards.normal import normalise
from seglam_agents.records.entry import Check
from seglam_agents.records.outcome import Call, Final, GiveUp
from seglam_agents.records.procedure import Example
from seglam_agents.records.tools import reading
from seglam_agents.records.values import same
from seglam_agents.serving.loading import Loaded, load

MAX_NEIGHBOURS = 2_000
"""Examples of other procedures that are asked at most."""


def check_replay(case: Case) -> Check:
    """Each given request, and each example of earlier versions, is accepted and answered as known."""
    given = {known.request.text: known for known in case.candidate.known}
    problems = [problem for known in given.values() if (problem := _replay(case, known))]
    inherited = [example for example in case.examples() if example.text not in given and example.answer is not None]
    for example in inherited:
        problem = _compare(case, example.text, dict(example.context), example.answer, "an earlier example")
        if problem:
            problems.append(problem)
    return verdict("replay", problems, len(given) + len(inherited))


def check_held_out(case: Case) -> Check:
    """What was made without a trace declines that trace's request, gives up on it, or does what the trace did."""
    if not case.candidate.held_out:
        return Check(name="held out", verdict="skipped", evidence="every trace was needed for compiling")
    problems: list[str] = []
    reproduced = 0
    for procedure, known in case.candidate.held_out:
        loaded = load(
            procedure, case.executor.sandbox, tools=case.tools, limits=case.executor.limits, locale=case.locale
        )
        judgement = loaded.guard.match(normalise(known.request.text), known.request.context)
        if isinstance(judgement, Declined):
            continue
        again = _rerun(case, known, judgement, loaded)
        reproduced += again.verdict == "same"
        if again.verdict == "differs":
            problems.append(f"made without it, {again.reason}")
    total = len(case.candidate.held_out)
    return verdict("held out", problems, reproduced, f"{reproduced} of {total} done right unseen, the others declined")


def check_related(case: Case) -> Check:
    """Each earlier request that is near is declined, or answered as it was then."""
    problems: list[str] = []
    for known in case.candidate.related:
        action = case.answer(known.request.text, dict(known.request.context))
        if isinstance(action, Final) and not same(action.answer, known.answer):
            problems.append(
                f"answers {action.answer!r} for {known.request.text!r}, where {known.answer!r} was right: "
                "decline it, or correct the code"
            )
    return verdict("related", problems, len(case.candidate.related))


def check_counterexamples(case: Case) -> Check:
    """Each request that was found not to belong here is declined, by the guard or by the body before any call."""
    counterexamples = case.candidate.procedure.counterexamples
    problems = [
        f"{example.text!r} must be declined, and is accepted: write that slot's words literally, "
        "narrow its type or WHERE, or `deopt` before any call"
        for example in counterexamples
        if not isinstance(case.judge(example.text, dict(example.context)), Declined) and not _gives_up(case, example)
    ]
    return verdict("counterexamples", problems, len(counterexamples))


def check_neighbours(case: Case) -> Check:
    """Every example of every other procedure is declined or answered alike, and they do the same for this one's."""
    problems: list[str] = []
    tried = 0
    for other in case.others:
        for example in other.procedure.examples:
            if tried >= MAX_NEIGHBOURS:
                break
            tried += 1
            ours = case.answer(example.text, dict(example.context))
            if isinstance(ours, Final) and not same(ours.answer, example.answer):
                problems.append(
                    f"accepts {example.text!r} of {other.procedure.name!r} and answers {ours.answer!r}, "
                    f"where {example.answer!r} is right: make the templates narrower"
                )
        for example in case.examples():
            theirs = answer_of(other, case.executor, example.text, dict(example.context))
            if isinstance(theirs, Final) and not same(theirs.answer, example.answer):
                problems.append(
                    f"{other.procedure.name!r} also accepts {example.text!r} and answers {theirs.answer!r}: "
                    "if that is right, correct EXPECTED or widen it; if not, this cannot be learnt"
                )
    return verdict("neighbours", problems, tried)


def _gives_up(case: Case, example: Example) -> bool:
    action = case.answer(example.text, dict(example.context))
    return isinstance(action, GiveUp) and action.kind == "deopt"


def _replay(case: Case, known: Known) -> str | None:
    if known.trace is None or not known.trace.calls:
        return _compare(case, known.request.text, dict(known.request.context), known.answer, "the given request")
    judgement = case.judge(known.request.text, dict(known.request.context))
    if isinstance(judgement, Declined):
        return _declined(known.request.text, judgement)
    again = _rerun(case, known, judgement)
    if again.verdict == "same":
        return None
    return f"{again.reason}: correct the code, or EXPECTED if that is wrong"


def _rerun(case: Case, known: Known, judgement: Accepted, loaded: Loaded | None = None) -> Rerun:
    return rerun(
        loaded or case.loaded,
        case.executor,
        known,
        judgement,
        reads=reading(case.tools.values()),
        now=case.clock(known.trace),
    )


def _compare(case: Case, text: str, context: dict[str, object], right: object, what: str) -> str | None:
    judgement = case.judge(text, context)  # pyright: ignore[reportArgumentType]  # JSON of a record
    if isinstance(judgement, Declined):
        return f"{what} is declined: {_declined(text, judgement)}"
    action = case.executor.next_action(case.loaded, judgement.arguments, now=case.clock())
    if not isinstance(action, Final):
        return f"on {what} {text!r} with {_shown(judgement)}, `run` {_did(action)}: correct the code"
    return None if same(action.answer, right) else _wrong(text, action.answer, right, _shown(judgement))


def _did(action: Call | GiveUp) -> str:
    return f"calls {action.tool}" if isinstance(action, Call) else f"gives up ({action.kind}: {action.reason})"


def _declined(text: str, judgement: Declined) -> str:
    return f"the guard declines {text!r} ({judgement.stage}: {judgement.reason}): correct the guard there"


def _wrong(text: str, answer: object, right: object, arguments: str) -> str:
    return (
        f"answers {answer!r} from {arguments}, expected {right!r}, for {text!r}: "
        "correct the code, or EXPECTED if that is wrong"
    )


def _shown(judgement: Accepted) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in judgement.arguments.items())
