"""Planted agents, whose truth is known: `python -m benchmarks.planted --policies N --runs 2,3 --fresh M --json OUT`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks import errors
from benchmarks.arguments import counting_from_one
from benchmarks.errors import UsageError
from benchmarks.files import require_writable, write_report
from benchmarks.machine import cpu_seconds, terminal, versions, versions_line
from seglam_agents import HostTool, ReasoningCache
from seglam_agents.hosting import run_plan
from seglam_agents.records.outcome import Call, Deopt, Hit, Miss, Outcome, Plan
from seglam_agents.records.record import Json, Record
from seglam_agents.records.request import Request
from seglam_agents.records.trace import Trace
from seglam_agents.records.values import decode
from seglam_agents.sandboxes.base import ToolResult
from seglam_agents.testing.planted import (
    Course,
    Examined,
    Stage,
    Tally,
    Verdict,
    draw_courses,
    examine,
)

METHOD = (
    "Random policies whose truth is known. A cache of its own observes the runs of each in the order of time, and "
    "after each number of runs gets fresh requests on other data and another day, and others that only look alike. "
    "A third of the trainings share a forced coincidence. A hit is wrong if its calls that write, or what its answer "
    "asserts, are not the policy's. Coverage: right hits among fresh requests of the kind; two thirds come from data "
    "like the trainings' (coverage alike), one third has values, lengths and gaps that no training had."
)


class Odd(Record):
    """One wrong outcome, with what is needed to understand it."""

    family: str
    chance: str
    runs: int
    policy: int
    verdict: str
    request: str
    got: Json
    truth: Json
    body: str
    """`id@version` of the procedure that answered, and its source."""
    trained_on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    runs: tuple[int, ...]
    fresh: int
    seed: int


@dataclass(slots=True)
class Result:
    """What came of one course, by number of runs."""

    family: str
    chance: str
    tallies: dict[int, Tally]
    odd: list[Odd]
    learned: dict[int, str]
    observed: int
    seconds: float
    """CPU of observing, with that of child processes."""


def play(place: int, course: Course, sizes: Sizes) -> Result:
    """Let a cache of its own learn one course, and judge what it does with fresh requests."""
    stage = Stage(course.agent)
    result = Result(course.agent.family, course.chance.value, {}, [], {}, 0, 0.0)
    traces = course.trainings(max(sizes.runs))
    tools = stage.tools()
    with ReasoningCache(tools=tools, now=stage.now) as cached:
        for runs in sizes.runs:
            for trace in traces[result.observed : runs]:
                result.learned[runs] = _observe(cached, stage, trace, result)
            result.tallies[runs] = Tally()
            hosted = _Hosted(cached, {item.tool.name: item for item in tools})
            for examined in examine(course, stage, hosted, runs=runs, fresh=sizes.fresh):
                result.tallies[runs].count(examined)
                if examined.judgement.wrong:
                    body = _body(cached, examined.outcome)
                    result.odd.append(_odd(place, course, examined, body, traces[:runs]))
    return result


@dataclass(frozen=True, slots=True)
class _Hosted:
    """A cache with the least of a host: what leaves its last message to a model is carried out, too."""

    cache: ReasoningCache
    tools: Mapping[str, HostTool]

    def observe(self, trace: Trace, /) -> object:
        """Learn from a run."""
        return self.cache.observe(trace)

    def lookup(self, request: Request, /) -> Outcome:
        """Answer, or carry out what a host would."""
        outcome = self.cache.lookup(request)
        plan = self.cache.plan(request) if isinstance(outcome, Miss) and outcome.kind == "not tried" else None
        if not isinstance(plan, Plan):
            return outcome
        return self.cache.finish(plan, *run_plan(self.cache, plan, self._call))

    def _call(self, call: Call) -> ToolResult:
        return ToolResult(self.tools[call.tool].function(**{k: decode(v) for k, v in call.arguments.items()}))


def _observe(cache: ReasoningCache, stage: Stage, trace: Trace, result: Result) -> str:
    if trace.recorded_at:
        stage.at(trace.recorded_at)
    started = cpu_seconds()
    learned = cache.observe(trace)
    result.seconds += cpu_seconds() - started
    result.observed += 1
    return f"{learned.status}: {learned.reason}"[:300]


def _odd(place: int, course: Course, examined: Examined, body: str, traces: Sequence[Trace]) -> Odd:
    return Odd(
        family=course.agent.family,
        chance=course.chance.value,
        runs=len(traces),
        policy=place,
        verdict=examined.judgement.verdict.value,
        request=examined.ask.text,
        got=examined.judgement.got,
        truth=examined.judgement.truth,
        body=body,
        trained_on=tuple(f"{trace.request.text} -> {trace.answer}" for trace in traces),
    )


def _body(cache: ReasoningCache, outcome: Outcome) -> str:
    if not isinstance(outcome, (Hit, Deopt)):
        return ""
    for entry in cache.procedures():
        if entry.procedure.key == outcome.citation.key:
            return "\n".join((entry.procedure.key, *entry.procedure.guard.templates, entry.procedure.body))
    return outcome.citation.key


class PlantedReport(Record):
    """What is written as JSON."""

    method: str = METHOD
    settings: dict[str, Json]
    versions: dict[str, str]
    seconds: float
    total: dict[str, Json]
    by_runs: dict[str, Json]
    by_chance: dict[str, Json]
    families: dict[str, Json]
    refusals: dict[str, Json]
    """What the last run of a course taught, by family, where nothing was covered in the end."""
    wrong: tuple[Odd, ...]


def document(results: Sequence[Result], sizes: Sizes, seconds: float) -> PlantedReport:
    """Return the report."""
    observed = sum(result.observed for result in results)
    total = _sum(tally for result in results for tally in result.tallies.values())
    cpu = sum(result.seconds for result in results) / max(1, observed)
    return PlantedReport(
        settings={
            "policies": len(results), "runs": list(sizes.runs), "fresh": sizes.fresh, "seed": sizes.seed,
        },
        versions=versions(),
        seconds=round(seconds, 1),
        total={**total.row(), "observed": observed, "cpu_ms_per_observed_run": round(cpu * 1_000, 1)},
        by_runs={str(runs): _sum(result.tallies[runs] for result in results).row() for runs in sizes.runs},
        by_chance={name: _sum(_of(found)).row() for name, found in _grouped(results, "chance").items()},
        families={name: _family(found, sizes) for name, found in _grouped(results, "family").items()},
        refusals={
            name: dict(Counter(result.learned[max(sizes.runs)] for result in found if not _covered(result)))
            for name, found in _grouped(results, "family").items()
            if any(not _covered(result) for result in found)
        },
        wrong=tuple(odd for result in results for odd in result.odd),
    )  # fmt: skip


def _covered(result: Result) -> bool:
    return result.tallies[max(result.tallies)].verdicts[Verdict.RIGHT] > 0


def _family(found: Sequence[Result], sizes: Sizes) -> dict[str, Json]:
    by_runs: dict[str, Json] = {str(runs): _sum(result.tallies[runs] for result in found).row() for runs in sizes.runs}
    return {"policies": len(found), **_sum(_of(found)).row(), "by_runs": by_runs}


def _of(results: Iterable[Result]) -> Iterable[Tally]:
    return (tally for result in results for tally in result.tallies.values())


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total


def _grouped(results: Sequence[Result], name: str) -> dict[str, list[Result]]:
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.family if name == "family" else result.chance, []).append(result)
    return dict(sorted(groups.items()))


def show(console: Console, report: PlantedReport) -> None:
    """Print the report."""
    console.print(_table("Planted agents, by family", "family", report.families, report.settings))
    console.print(_table("by forced coincidence", "coincidence", report.by_chance, {}))
    console.print(_table("by number of runs", "runs", {**report.by_runs, "all": dict(report.total)}, {}))
    for odd in report.wrong[:40]:
        console.print(f"\n[bold]{odd.verdict}[/] after {odd.runs} runs · {odd.family} · {odd.chance}", highlight=False)
        for name, value in (("request", odd.request), ("got", odd.got), ("truth", odd.truth), ("body", odd.body)):
            console.print(f"  {name}: {value}", markup=False, highlight=False)
    if len(report.wrong) > 40:
        console.print(f"... and {len(report.wrong) - 40} more wrong ones in the JSON report")
    console.print(METHOD)
    console.print(f"settings: {report.settings}; {report.seconds} s; {versions_line(report.versions)}")
    console.print(f"CPU of observing a run: {report.total['cpu_ms_per_observed_run']} ms")


def _table(title: str, first: str, rows: dict[str, Json], settings: dict[str, Json]) -> Table:
    table = Table(title=title)
    runs = settings.get("runs")
    counts = [str(count) for count in runs] if isinstance(runs, list) else []
    headings = (first, "fresh", "hits", "wrong hits", "wrong writes", "left open", "deopts", "coverage", "alike")
    for heading in (*headings, *(f"after {count}" for count in counts)):
        table.add_column(heading, justify="left" if heading == first else "right")
    for name, row in rows.items():
        if not isinstance(row, dict):
            continue
        after = row.get("by_runs")
        covered = [_percent(part) for part in after.values()] if isinstance(after, dict) else []
        cells = (row[key] for key in ("fresh", "hits", "wrong_hits", "wrong_writes", "left_open", "deopts"))
        table.add_row(name, *map(str, cells), _percent(row), _percent(row, "coverage_alike"), *covered)
    return table


def _percent(row: Json, name: str = "coverage") -> str:
    share = row.get(name) if isinstance(row, dict) else None
    return f"{100 * share:.0f} %" if isinstance(share, float) else ""


def main() -> int:
    """Run the benchmark."""
    options = _parser().parse_args()
    out = Path(options.json)
    require_writable(out)
    sizes = Sizes(_runs(str(options.runs)), int(options.fresh), int(options.seed))
    courses = draw_courses(int(options.policies), sizes.seed)
    started = time.perf_counter()
    results = _played(courses, sizes, int(options.jobs))
    report = document(results, sizes, time.perf_counter() - started)
    write_report(out, report)
    show(terminal(), report)
    return 0


def _played(courses: Sequence[Course], sizes: Sizes, jobs: int) -> list[Result]:
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("policies", total=len(courses))
        if jobs == 1:
            return [_advanced(play(place, course, sizes), progress, bar) for place, course in enumerate(courses)]
        # Courses hold functions, which do not travel: a worker draws them anew.
        work = [(len(courses), place, sizes) for place in range(len(courses))]
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            return [_advanced(result, progress, bar) for result in pool.map(_play_drawn, work)]


def _play_drawn(work: tuple[int, int, Sizes]) -> Result:
    count, place, sizes = work
    return play(place, _drawn(count, sizes.seed)[place], sizes)


@cache
def _drawn(count: int, seed: int) -> list[Course]:
    return draw_courses(count, seed)


def _advanced(result: Result, progress: Progress, bar: object) -> Result:
    progress.advance(bar)  # pyright: ignore[reportArgumentType]  # the id that add_task returned
    return result


def _runs(text: str) -> tuple[int, ...]:
    try:
        counts = sorted({int(part) for part in text.split(",")})
    except ValueError as error:
        raise UsageError(f"--runs takes numbers with commas between, such as 2,3,4,6, not {text!r}") from error
    if not counts or counts[0] < 1:
        raise UsageError("--runs takes numbers from 1")
    return tuple(counts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planted", description=__doc__)
    add = parser.add_argument
    add("--policies", type=counting_from_one, default=84, metavar="N", help="random policies (default: %(default)s)")
    add("--runs", default="2,3,4,6", metavar="A,B", help="after how many runs is asked (default: %(default)s)")
    add("--fresh", type=counting_from_one, default=12, metavar="M", help="fresh requests each (default: %(default)s)")
    add("--seed", type=int, default=0, help="decides everything that is drawn (default: %(default)s)")
    add("--jobs", type=counting_from_one, default=1, metavar="N", help="processes (default: %(default)s)")
    add("--json", required=True, metavar="OUT", help="write the whole report there")
    return parser


if __name__ == "__main__":
    sys.exit(errors.run(main))
