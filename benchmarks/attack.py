"""What the attacker finds: `python -m benchmarks.attack --recordings FILE [--model URL] --json OUT`.

24 kinds are learnt twice, each in a cache of its own, without the attacker and with it. Then both caches get requests
that change what stands at one place of the text, and ordinary ones of the same kind.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import errors
from benchmarks.arguments import counting_from_one, positive
from benchmarks.errors import UsageError
from benchmarks.files import require_writable, write_report
from benchmarks.loose import KINDS, LooseKind
from benchmarks.machine import terminal, versions, versions_line
from benchmarks.scoring import compare, wrong_hit
from benchmarks.stream import opened_model
from seglam_agents import ReasoningCache
from seglam_agents.models.base import Model
from seglam_agents.models.openai import OpenAIModel
from seglam_agents.models.opening import UNNAMED
from seglam_agents.models.recorded import RecordedModel
from seglam_agents.records.errors import SeglamError
from seglam_agents.records.outcome import Hit
from seglam_agents.records.record import Json, Record
from seglam_agents.records.usage import Usage

METHOD = (
    "Each kind is learnt from requests with known answers, in an empty cache of its own: without the attacker, then "
    "with it; what both ask alike is asked once. The adversarial requests are the project's own, are the same for "
    "both, and were written without seeing any procedure: each changes what is said at one place, so that another "
    "answer is right, or none without asking back. A hit on one is wrong unless it gives that answer. A false "
    "refusal is an ordinary request that was a hit without the attacker and is none with it. What the attacker "
    "costs is all that was spent with it beyond what was spent without."
)


class WrongHit(Record):
    """An adversarial request that was answered as if nothing had been changed."""

    kind: str
    place: str
    request: str
    answer: Json
    right: Json
    """None where one would have to ask."""
    procedure: str


@dataclass(slots=True)
class Trial:
    """What came of one kind in one cache."""

    learnt: bool = False
    reason: str = ""
    templates: tuple[str, ...] = ()
    counterexamples: tuple[str, ...] = ()
    hits: set[str] = field(default_factory=set[str])
    """Ordinary requests that were answered right."""
    wrong_ordinary: int = 0
    wrong: list[WrongHit] = field(default_factory=list[WrongHit])
    attack: Usage = field(default_factory=Usage)
    spent: Usage = field(default_factory=Usage)

    @property
    def places(self) -> set[tuple[str, str]]:
        """The places where something wrong was taken."""
        return {(hit.kind, hit.place) for hit in self.wrong}


@dataclass(frozen=True, slots=True)
class Compared:
    """One kind without the attacker and with it."""

    kind: LooseKind
    without: Trial
    attacked: Trial

    @property
    def refused(self) -> int:
        """Ordinary requests that the attacker cost."""
        return len(self.without.hits - self.attacked.hits)


class AttackReport(Record):
    """What is written as JSON."""

    method: str = METHOD
    settings: dict[str, Json]
    versions: dict[str, str]
    seconds: float
    total: dict[str, Json]
    kinds: dict[str, Json]
    wrong_without: tuple[WrongHit, ...]
    wrong_with: tuple[WrongHit, ...]


def compared(kinds: Iterable[LooseKind], model: Model, *, examples: int, progress: Progress) -> list[Compared]:
    """Learn each kind without the attacker and with it, and try both."""
    found: list[Compared] = []
    chosen = list(kinds)
    bar = progress.add_task("kinds", total=len(chosen))
    for kind in chosen:
        trials = [trial(kind, model, examples=examples, attacker=attacker) for attacker in (False, True)]
        found.append(Compared(kind, *trials))
        progress.advance(bar)
    return found


def trial(kind: LooseKind, model: Model, *, examples: int, attacker: bool) -> Trial:
    """Learn one kind in an empty cache, and try it."""
    tried = Trial()
    ordinary = [kind.request(), *kind.others()]
    with ReasoningCache(None, model, attacker=attacker) as cache:
        for text, answer in ordinary[:examples]:
            if isinstance(cache.lookup(text), Hit):
                continue
            learned = cache.learn(text, answer=answer)
            tried.reason = "" if learned.status in ("admitted", "widened") else f"{learned.status}: {learned.reason}"
        procedures = [entry.procedure for entry in cache.procedures()]
        tried.learnt = bool(procedures)
        tried.templates = tuple(template for procedure in procedures for template in procedure.guard.templates)
        tried.counterexamples = tuple(e.text for procedure in procedures for e in procedure.counterexamples)
        statistics = cache.stats()
        tried.attack, tried.spent = statistics.attack, statistics.model_usage
        _ask(cache, kind, ordinary, tried)
    return tried


def _ask(cache: ReasoningCache, kind: LooseKind, ordinary: Sequence[tuple[str, Json]], tried: Trial) -> None:
    for text, right in ordinary:
        outcome = cache.lookup(text)
        if isinstance(outcome, Hit) and wrong_hit(compare(outcome.answer, right)):
            tried.wrong_ordinary += 1
        elif isinstance(outcome, Hit):
            tried.hits.add(text)
    for place, text, right in kind.adversarial():
        outcome = cache.lookup(text)
        if isinstance(outcome, Hit) and wrong_hit(compare(outcome.answer, right)):
            tried.wrong.append(
                WrongHit(
                    kind=kind.name, place=place, request=text, answer=outcome.answer, right=right,
                    procedure=outcome.citation.key,
                )
            )  # fmt: skip


def totals(found: Sequence[Compared]) -> dict[str, Json]:
    """Return the sums over all kinds."""
    adversarial = sum(len(item.kind.changes) for item in found)
    return {
        "kinds": len(found),
        "adversarial_requests": adversarial,
        "without": _sums([item.without for item in found]),
        "with": _sums([item.attacked for item in found]),
        "ordinary_requests": sum(1 + len(item.kind.fresh) for item in found),
        "false_refusals": sum(item.refused for item in found),
        "kinds_lost": sum(item.without.learnt and not item.attacked.learnt for item in found),
        "attacker_calls": sum(item.attacked.spent.calls - item.without.spent.calls for item in found),
        "attacker_tokens": sum(item.attacked.spent.tokens - item.without.spent.tokens for item in found),
        "attack_output_tokens_a_call": _mean_output([item.attacked.attack for item in found]),
    }


def _sums(trials: Sequence[Trial]) -> dict[str, Json]:
    return {
        "learnt": sum(tried.learnt for tried in trials),
        "loose_places": len({place for tried in trials for place in tried.places}),
        "loose_kinds": sum(bool(tried.wrong) for tried in trials),
        "wrong_hits": sum(len(tried.wrong) for tried in trials),
        "ordinary_hits": sum(len(tried.hits) for tried in trials),
        "wrong_ordinary": sum(tried.wrong_ordinary for tried in trials),
        "calls": sum(tried.spent.calls for tried in trials),
        "tokens": sum(tried.spent.tokens for tried in trials),
    }


def _mean_output(attacks: Sequence[Usage]) -> float | None:
    calls = sum(usage.calls for usage in attacks)
    return round(sum(usage.output_tokens for usage in attacks) / calls, 1) if calls else None


def row(item: Compared) -> dict[str, Json]:
    """Return what came of one kind."""
    return {
        "learnt": [item.without.learnt, item.attacked.learnt],
        "reason": [item.without.reason, item.attacked.reason],
        "wrong_hits": [len(item.without.wrong), len(item.attacked.wrong)],
        "ordinary_hits": [len(item.without.hits), len(item.attacked.hits)],
        "tokens": [item.without.spent.tokens, item.attacked.spent.tokens],
        "templates_without": list(item.without.templates),
        "templates_with": list(item.attacked.templates),
        "caught": list(item.attacked.counterexamples),
    }


def report(found: Sequence[Compared], settings: dict[str, Json], seconds: float) -> AttackReport:
    """Return the report."""
    return AttackReport(
        settings=settings,
        versions=versions(),
        seconds=round(seconds, 1),
        total=totals(found),
        kinds={item.kind.name: row(item) for item in found},
        wrong_without=tuple(hit for item in found for hit in item.without.wrong),
        wrong_with=tuple(hit for item in found for hit in item.attacked.wrong),
    )


def show(console: Console, made: AttackReport) -> None:
    """Print the report."""
    table = Table(title="Without the attacker, and with it")
    for heading in ("kind", "learnt", "wrong hits", "ordinary hits", "tokens", "caught"):
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    for name, values in made.kinds.items():
        if isinstance(values, dict):
            pairs = [values[key] for key in ("learnt", "wrong_hits", "ordinary_hits", "tokens")]
            caught = values["caught"]
            table.add_row(
                name, *(" / ".join(map(_short, pair)) for pair in pairs if isinstance(pair, list)),
                str(len(caught)) if isinstance(caught, list) else "",
            )  # fmt: skip
    console.print(table)
    for name, value in made.total.items():
        console.print(f"{name.replace('_', ' ')}: {value}", markup=False, highlight=False)
    for hit in made.wrong_with:
        console.print(f"still taken: {hit.request!r} -> {hit.answer!r}, right: {hit.right!r}", markup=False)
    console.print(METHOD)
    console.print(f"settings: {made.settings}; {made.seconds} s; {versions_line(made.versions)}")


def _short(value: Json) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def main() -> int:
    """Run the benchmark; wrong hits are a finding and no failure."""
    options = _parser().parse_args()
    out, recordings = Path(options.json), Path(options.recordings)
    require_writable(out)
    model = _model(options.model, recordings, float(options.timeout))
    names = [name for name in str(options.kinds).split(",") if name]
    if unknown := sorted(set(names) - {kind.name for kind in KINDS}):
        raise UsageError(f"there is no kind {unknown[0]!r}; there are {', '.join(kind.name for kind in KINDS)}")
    chosen = [kind for kind in KINDS if not names or kind.name in names]
    started = time.perf_counter()
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        found = compared(chosen, model, examples=int(options.examples), progress=progress)
    settings: dict[str, Json] = {"model": model.name, "examples": options.examples, "kinds": list(names)}
    made = report(found, settings, time.perf_counter() - started)
    write_report(out, made)
    show(terminal(), made)
    return 0


def _model(spec: str | None, recordings: Path, timeout: float) -> Model:
    """Return the recorded model; a live one at an address may take its time, as a person does."""
    if spec is None or not spec.lower().startswith(("http://", "https://")):
        return opened_model(spec, recordings)
    address, _, name = spec.partition("#")
    try:
        return RecordedModel(recordings, live=OpenAIModel(name or UNNAMED, address, timeout=timeout, retries=0))
    except SeglamError as error:
        raise UsageError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attack", description=__doc__)
    add = parser.add_argument
    add("--model", metavar="URL_OR_NAME", help="http://host:port/v1#model, or provider:model")
    add(
        "--recordings",
        required=True,
        metavar="FILE",
        help="replay the model from here; with --model, add what is missing",
    )
    add("--kinds", default="", metavar="A,B", help="only these kinds (default: all)")
    add(
        "--examples",
        type=counting_from_one,
        default=1,
        metavar="N",
        help="learn from so many requests of a kind (default: %(default)s)",
    )
    add("--timeout", type=positive, default=600, metavar="SECONDS", help="for one answer (default: %(default)s)")
    add("--json", required=True, metavar="OUT", help="write the whole report there")
    return parser


if __name__ == "__main__":
    sys.exit(errors.run(main))
