"""Checks on fresh requests: samples of the candidate's own slots, in two sandboxes; and mutations of known requests."""

from __future__ import annotations

import ast
import json
import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from seglam_agents.admission.case import AMOUNTS, OPEN_WORDS, Case, arguments_of, verdict
from seglam_agents.admission.mutations import ignored, mutations
from seglam_agents.admission.witness import Witness
from seglam_agents.guards import wordings
from seglam_agents.guards.guard import Accepted, Declined, TemplateGuard
from seglam_agents.guards.normal import normalise
from seglam_agents.guards.sampling import Sample, samples
from seglam_agents.records.entry import Check
from seglam_agents.records.errors import SandboxError
from seglam_agents.records.outcome import Final, GiveUp
from seglam_agents.records.record import Json
from seglam_agents.records.values import Value, same
from seglam_agents.sandboxes.base import Program
from seglam_agents.serving.executor import Executor
from seglam_agents.serving.loading import Loaded

MUTATED_REQUESTS = 3
"""Known requests that are mutated: further ones of the same templates find the same."""


OPINIONS = 3
"""How often a second sandbox is asked that is short of time on a busy machine."""
EFFECTS = 12
"""Samples whose words are exchanged for those of others."""
_LOOKED_AT = OPEN_WORDS | AMOUNTS | {"choice", "quoted"}
_UNKNOWN = ("Purple", "Umbrella", "Xylophones", "Gravel pit")
TIMES_NOTHING = 50
"""How many times as long as a body that does nothing a body may take on a machine that is busy."""


@dataclass(frozen=True, slots=True)
class Run:
    """A fresh sample and what became of it."""

    sample: Sample
    action: Final | GiveUp


def check_mutations(case: Case) -> Check:
    """A request that was changed in its meaning is declined, or bound to other arguments."""
    rng = random.Random(case.seed)  # noqa: S311  # reproducible tests, no secrets
    tried = 0
    problems: list[str] = []
    unread = _unread(case)
    for known in case.candidate.known[-MUTATED_REQUESTS:]:
        accepts = arguments_of(case, dict(known.request.context))
        if accepts(known.request.text) is None:
            continue  # Replay reports it.
        count, found = ignored(
            accepts,
            known.request.text,
            rng,
            limit=case.mutations,
            unread=unread,
            every_word=bool(case.candidate.procedure.guard.code),
        )
        tried += count
        problems += [f"{item.mutation.kind} ({item.mutation.change}): {item.reason}" for item in found]
    return verdict("mutations", problems, tried)


def check_foreign(case: Case) -> Check:
    """What has nothing to do with the kind is declined: requests of other kinds, and its own words in disorder."""
    rng = random.Random(case.seed)  # noqa: S311
    own = {known.request.text for known in case.candidate.known} | {example.text for example in case.examples()}
    given = [known.request for known in case.candidate.known[-MUTATED_REQUESTS:]]
    shuffled = [text for request in given for text in _shuffled(request.text, rng)]
    contexts = {json.dumps(request.context, sort_keys=True): request.context for request in given}
    own = {normalise(text).text.casefold() for text in own}
    foreign = [text for text in (*wordings.FOREIGN, *_odd(), *shuffled) if normalise(text).text.casefold() not in own]
    problems = [
        f"{text!r} has nothing to do with the kind, and is accepted: account for every word of the request"
        for text in foreign
        if any(isinstance(case.loaded.guard.match(normalise(text), context), Accepted) for context in contexts.values())
    ]
    return verdict("foreign", problems, len(foreign))


def _odd() -> Iterator[str]:
    """Yield texts of every length, that no request looks like."""
    whole = " ".join(wordings.FOREIGN)
    yield from ("a", "?!", "1 2 3", "100", whole[:100], whole[:200], whole[:400], whole, 4 * whole)


def _shuffled(text: str, rng: random.Random) -> list[str]:
    words = text.rstrip(".?! ").split()
    if len(words) < 4:
        return []
    return [" ".join(rng.sample(words, len(words))) for _ in range(4)] + [" ".join(reversed(words))]


def _unread(case: Case) -> frozenset[str]:
    """Return the arguments that `run` never looks at; those of a code guard are whatever it returns."""
    bound = {parameter.name for parameter in case.candidate.procedure.parameters}
    if case.candidate.procedure.guard.code:
        known = case.candidate.known[-1].request
        bound |= set(arguments_of(case, dict(known.context))(known.text) or {})
    return frozenset(bound) - case.loaded.reads


def check_code(case: Case) -> Check:
    """A guard that is code accepts changed requests too, and they get other answers: none is baked in."""
    if not case.candidate.procedure.guard.code or case.candidate.procedure.tools:
        return Check(name="code", verdict="skipped", evidence="templates are sampled, tools are replayed")
    rng = random.Random(case.seed)  # noqa: S311
    known = case.candidate.known[-1].request
    tried = mutations(known.text, rng, limit=case.mutations)
    answers = [case.answer(text, dict(known.context)) for text in (known.text, *(item.text for item in tried))]
    finals = {json.dumps(action.answer) for action in answers if isinstance(action, Final)}
    problems = ["no change of the request changes the answer: compute it from what `match` returns"]
    return verdict("code", problems if len(finals) < 2 else [], len(tried))


def check_samples(case: Case) -> tuple[Check, list[Run]]:
    """Fresh requests of each template are accepted with the arguments they were made from, and the body runs."""
    guard = case.loaded.guard
    if not isinstance(guard, TemplateGuard):
        return Check(name="samples", verdict="skipped", evidence="the guard is code, which cannot be sampled"), []
    if case.candidate.procedure.tools or any(p.source == "context" for p in case.candidate.procedure.parameters):
        return Check(name="samples", verdict="skipped", evidence="the body needs tools or a context"), []
    rng = random.Random(case.seed)  # noqa: S311
    drawn = list(samples(guard, rng, each=case.samples))
    problems: list[str] = []
    runs: list[Run] = []
    for sample in drawn:
        outcome = _try(case, guard, sample)
        if isinstance(outcome, str):
            problems.append(outcome)
        elif outcome:
            runs.append(outcome)
    # A few odd draws may fall foul of a rule (two names alike, a text that ends a sentence): the law is about most.
    problems = problems if len(problems) > len(drawn) // 10 else []
    finals = sum(isinstance(run.action, Final) for run in runs)
    return verdict(
        "samples", problems, len(drawn), f"{finals} answered, {len(drawn) - finals} given up or out of bounds"
    ), runs


_UNUSABLE = ("syntax", "value", "crash", "limit", "busy", "unavailable")


def check_second(case: Case, runs: Sequence[Run]) -> Check:
    """Two independent sandboxes give the same answers."""
    if case.second is None:
        return Check(name="second sandbox", verdict="skipped", evidence=case.second_reason)
    if not runs:
        return Check(name="second sandbox", verdict="skipped", evidence="no samples")
    program = replace(case.loaded.program, sandbox="")
    ours = case.candidate.procedure.home
    if ours == case.second.name:
        return Check(name="second sandbox", verdict="skipped", evidence=f"it runs in {ours} itself")
    if lacks := case.second.check(program):
        lacking = f"{case.second.name} lacks what it needs: {lacks[0].message}"
        return Check(name="second sandbox", verdict="skipped", evidence=lacking)
    other = Executor(Witness(case.second), case.executor.limits)
    loaded = replace(case.loaded, program=program, missing="")
    problems: list[str] = []
    try:
        answers = [_opinion(other, loaded, run, case) for run in runs]
    except SandboxError as error:
        return Check(name="second sandbox", verdict="skipped", evidence=str(error))
    if all(theirs is None for theirs in answers):
        return Check(name="second sandbox", verdict="skipped", evidence=f"{case.second.name} had no time for it")
    for run, theirs in zip(runs, answers, strict=True):
        if theirs is not None and not _alike(_outcome(theirs), _outcome(run.action)):
            problems.append(
                f"for {run.sample.text!r}: {ours} gives {_outcome(run.action)}, {case.second.name} {_outcome(theirs)}: "
                "write it more plainly, without what interpreters do differently (order of sets, formatting of floats)"
            )
    return verdict("second sandbox", problems, len(runs))


def _opinion(other: Executor, loaded: Loaded, run: Run, case: Case) -> object | None:
    """Return what another sandbox does; None where it had no time, which says nothing about the body."""
    for _ in range(OPINIONS):
        action = other.next_action(loaded, run.sample.arguments, now=case.clock())
        if not (isinstance(action, GiveUp) and action.kind in ("busy", "limit")):
            return action
    return None


def check_answers(case: Case, runs: Sequence[Run]) -> Check:
    """The answers of one kind are of one type, and they depend on the arguments: none is baked in."""
    procedure = case.candidate.procedure
    if not procedure.parameters and not procedure.tools and not procedure.guard.code:
        return verdict(
            "answers", ["there is no slot: the answer is baked in, and only this one request can ever be asked"], 1
        )
    finals = [run.action for run in runs if isinstance(run.action, Final)]
    kinds = sorted({_kind(final.answer) for final in finals})
    problems = (
        [f"answers of different types: {', '.join(kinds)}: return one type, and `deopt` where there is no answer"]
        if len(kinds) > 1
        else []
    )
    if len(finals) >= case.samples // 2 and len(finals) > 1 and all(same(f.answer, finals[0].answer) for f in finals):
        problems.append(f"answers {finals[0].answer!r} whatever the arguments are: compute it from them")
    return verdict("answers", problems, len(finals), ", ".join(kinds))


def check_effects(case: Case, runs: Sequence[Run]) -> Check:
    """A word that `run` looks at changes what is answered: looking alone is no use, and opens the slot to anything."""
    procedure = case.candidate.procedure
    texts = {p.name: p.slot for p in procedure.parameters if p.source == "text" and p.name in case.loaded.reads}
    looked = [name for name, kind in texts.items() if kind.partition("(")[0] in _LOOKED_AT]
    if procedure.tools or procedure.guard.code or not looked:
        return Check(name="effects", verdict="skipped", evidence="no such slot is looked at, or tools are called")
    bound = [run.sample.arguments for run in runs] + _known_arguments(case)
    problems = [
        f"nothing depends on `{name}`, though `run` looks at it: leave it out of `run`, or spell the words out"
        for name in looked
        if not _changes_something(case, name, [given for given in bound if given.get(name) is not None])
    ]
    problems += [
        f"`{name}` decides what is answered, and words that `run` does not know are treated all alike: "
        f"capture it as `{{{name}:choice({option}|…)}}`"
        for name in looked
        if texts[name] in OPEN_WORDS and (option := _known_option(case, name)) is not None
    ]
    return verdict("effects", problems, len(looked))


def _known_option(case: Case, name: str) -> str | None:
    """Return a text of the body that is answered for itself, where all words that it does not know are one to it."""
    for given in _known_arguments(case):
        if given.get(name) is None:
            continue
        others = [_answered(case, given, name, word) for word in _UNKNOWN]
        if not all(_as_one(other, others[0]) for other in others):
            continue
        for text in _texts_of(case.candidate.procedure.body):
            known = _answered(case, given, name, text)
            if text and known and not _as_one(known, others[0]):
                return text
    return None


def _as_one(left: Final | None, right: Final | None) -> bool:
    return (left is None) is (right is None) and (not left or not right or same(left.answer, right.answer))


def _answered(case: Case, given: Mapping[str, Value], name: str, value: str) -> Final | None:
    action = case.executor.next_action(case.loaded, {**given, name: value})
    return action if isinstance(action, Final) else None


def _known_arguments(case: Case) -> list[Mapping[str, Value]]:
    found = (arguments_of(case, dict(k.request.context))(k.request.text) for k in case.candidate.known)
    return [arguments for arguments in found if arguments is not None]


def _changes_something(case: Case, name: str, bound: Sequence[Mapping[str, Value]]) -> bool:
    """Tell whether a value of another sample, another argument or the code itself ever changes what is done."""
    written = _texts_of(case.candidate.procedure.body)
    for given in bound[-EFFECTS:]:
        before = case.executor.next_action(case.loaded, given)
        others = [
            *(other[name] for other in bound[:EFFECTS]),
            *(x for x in given.values() if isinstance(x, str)),
            *written,
        ]
        for value in others:
            if value == given[name]:
                continue
            after = case.executor.next_action(case.loaded, {**given, name: value})
            if type(before) is not type(after) or (
                isinstance(before, Final) and isinstance(after, Final) and not same(before.answer, after.answer)
            ):
                return True
    # With one value alone nothing can be told.
    return len({json.dumps(given[name], default=str) for given in bound}) < 2


def _texts_of(body: str) -> list[str]:
    """Return the texts that are written in a body: it may look for one of them."""
    found = (node.value for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Constant))
    return [value for value in found if isinstance(value, str)]


def check_budget(case: Case, runs: Sequence[Run]) -> Check:
    """The body is fast: a procedure slower than the model it replaces helps nobody."""
    if not runs:
        return Check(name="time budget", verdict="skipped", evidence="no samples")
    slowest = max(runs, key=lambda run: run.action.seconds)
    seconds = slowest.action.seconds
    if seconds > case.budget_seconds:
        # A busy machine slows everything down: what counts is the best of a few, beside a body that does nothing.
        seconds = _best(case, case.loaded.program, case.loaded.call_arguments(slowest.sample.arguments))
        nothing = _best(case, Program("def run():\n    return 0\n", sandbox=case.loaded.program.sandbox), {})
        if seconds > max(case.budget_seconds, TIMES_NOTHING * nothing):
            problem = f"takes {seconds:.3f} s, the budget is {case.budget_seconds} s: compute it with fewer steps"
            return verdict("time budget", [problem], len(runs))
    return verdict("time budget", [], len(runs), f"slowest {seconds * 1000:.2f} ms")


def _best(case: Case, program: Program, arguments: Mapping[str, Value]) -> float:
    def run() -> float:
        started = time.perf_counter()
        case.executor.sandbox.run(program, arguments, limits=case.executor.limits, now=case.clock())
        return time.perf_counter() - started

    return min(run() for _ in range(3))


def _try(case: Case, guard: TemplateGuard, sample: Sample) -> Run | str | None:
    judgement = guard.match(normalise(sample.text, made_up=True))
    if isinstance(judgement, Declined):
        # Out of the predicate's bounds, or rejected as doubtful: that is what these rules are for.
        if judgement.stage in ("where", "distinct", "ambiguous", "unit", "bounds", "unread"):
            return None
        return (
            f"its own sample {sample.text!r} is declined ({judgement.stage}: {judgement.reason}): "
            "put words between the slots, or use narrower types"
        )
    if not _same_arguments(guard, judgement, sample):
        return (
            f"its own sample {sample.text!r} binds {dict(judgement.arguments)!r}, made from {sample.arguments!r}: "
            "put words between the slots, or use narrower types"
        )
    action = case.executor.next_action(case.loaded, judgement.arguments, now=case.clock())
    if isinstance(action, (Final, GiveUp)):
        if isinstance(action, GiveUp) and action.kind in _UNUSABLE:
            return (
                f"on its own sample {sample.text!r}: {action.reason}: mend it, or `deopt` where arguments make no sense"
            )
        return Run(sample, action)
    return f"on its own sample {sample.text!r}: calls {action.tool}"


def _same_arguments(guard: TemplateGuard, judgement: Accepted, sample: Sample) -> bool:
    for name, kind in guard.slots.items():
        bound, made = judgement.arguments.get(name), sample.arguments.get(name)
        if (bound is None) != (made is None) or (bound is not None and not kind.same(bound, made)):
            return False
    return True


def _outcome(action: object) -> Json:
    return action.answer if isinstance(action, Final) else type(action).__name__


def _alike(left: Json, right: Json) -> bool:
    """Tell whether two interpreters mean the same: texts to the letter, floats but for their last digits."""
    if isinstance(left, float) and isinstance(right, float):
        return left == right or math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_alike(ours, theirs) for ours, theirs in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_alike(value, right[key]) for key, value in left.items())
    return type(left) is type(right) and left == right


def _kind(answer: Json) -> str:
    if isinstance(answer, bool) or answer is None:
        return type(answer).__name__
    return "number" if isinstance(answer, (int, float)) else type(answer).__name__
