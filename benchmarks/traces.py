"""Office requests whose runs become code without any model: `python -m benchmarks.traces --domains ... --json OUT`."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import errors
from benchmarks.arguments import counting_from_one
from benchmarks.files import require_writable, write_report
from benchmarks.machine import terminal, versions
from benchmarks.workbench.player import execute, run
from benchmarks.workbench.truth import Task, apply, domains_with_tasks, read_tasks
from benchmarks.workbench.world import NOW, World, same_state
from benchmarks.workbench.writes import repeated_writes, wrong_writes
from seglam_agents import Call, Final, GiveUp, Learned, Plan, ReasoningCache, ToolResult, ToolStep
from seglam_agents.records.record import Json, Record
from seglam_agents.records.values import decode

METHOD = (
    "A shuffled stream of requests, each on a fresh copy of the databases. The model is played by the ground truth: "
    "it looks up what the request mentions, then makes the right calls. Procedures come from its runs alone; no model "
    "is called for compiling. A hit is right when the databases end as the truth leaves them."
)
WARM_UP = 3
"""Requests of a template before its hits are counted: two traces show what may vary."""


@dataclass(slots=True)
class TemplateTally:
    """What came of the requests of one template."""

    requests: int = 0
    hits: int = 0
    later: int = 0
    """Requests after the third of the template."""
    later_hits: int = 0
    right: int = 0
    wrong: int = 0
    wrong_writes: int = 0
    repeated_writes: int = 0
    deopts: int = 0
    model_calls: int = 0
    baseline_calls: int = 0
    """Model calls that the same requests cost without a cache."""
    admitted_after: int | None = None
    """Requests of the template until a procedure was first admitted from one of them."""
    refusals: Counter[str] = field(default_factory=Counter[str])
    deopt_reasons: Counter[str] = field(default_factory=Counter[str])
    odd: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Served:
    """What a cache did on a request before the model was asked."""

    steps: tuple[ToolStep, ...]
    action: Final | GiveUp | None
    """None where no procedure applied."""


def serve(cache: ReasoningCache, task: Task, world: World) -> Served:
    """Let stored procedures do a request on a world, as far as they go."""
    plan = cache.plan(task.query)
    if not isinstance(plan, Plan):
        return Served((), None)
    steps: list[ToolStep] = []
    while True:
        recorded = [ToolResult(decode(step.result), step.error) for step in steps]
        action = cache.next_action(plan, recorded)
        if not isinstance(action, Call):
            cache.finish(plan, action, steps)
            return Served(tuple(steps), action)
        steps.append(execute(world, action))


def measure(
    tasks: Sequence[Task], initial: World, cache: ReasoningCache, progress: Progress
) -> dict[str, TemplateTally]:
    """Send tasks one after the other, and learn from what the model does at misses and deopts."""
    found: dict[str, TemplateTally] = {}
    bar = progress.add_task("requests", total=len(tasks))
    for task in tasks:
        tally = found.setdefault(task.base_template, TemplateTally())
        tally.requests += 1
        tally.later += tally.requests > WARM_UP
        tally.baseline_calls += run(task, initial.copy()).model_calls
        _one(task, initial, cache, tally)
        progress.advance(bar)
    return found


def _one(task: Task, initial: World, cache: ReasoningCache, tally: TemplateTally) -> None:
    world, expected = initial.copy(), initial.copy()
    apply(task, expected)
    served = serve(cache, task, world)
    if isinstance(served.action, Final):
        tally.hits += 1
        tally.later_hits += tally.requests > WARM_UP
    elif isinstance(served.action, GiveUp):
        tally.deopts += 1
        tally.deopt_reasons[served.action.reason[:160]] += 1
    if not isinstance(served.action, Final):
        played = run(task, world, initial=initial, history=served.steps)
        tally.model_calls += played.model_calls
        _note(tally, cache.observe(played.trace.model_copy(update={"recorded_at": NOW})))
        steps = played.trace.calls
    else:
        steps = served.steps
    right = same_state(world, expected)
    tally.right += right
    tally.wrong += not right
    tally.wrong_writes += wrong_writes(served.steps, task, initial)
    tally.repeated_writes += repeated_writes(steps, task)
    if not right:
        tally.odd.append(task.query)


def _note(tally: TemplateTally, learned: Learned) -> None:
    if learned.status in ("admitted", "widened"):
        tally.admitted_after = tally.admitted_after or tally.requests
    else:
        tally.refusals[learned.reason[:200]] += 1


def arranged(tasks: Sequence[Task], seed: int) -> list[Task]:
    """Return the tasks in the order in which they are sent."""
    rows = list(tasks)
    random.Random(seed).shuffle(rows)
    return rows


class TracesReport(Record):
    """What is written as JSON."""

    method: str = METHOD
    settings: dict[str, Json]
    versions: dict[str, str]
    seconds: float
    total: dict[str, Json]
    templates: dict[str, Json]


def document(found: dict[str, TemplateTally], settings: dict[str, Json], seconds: float) -> TracesReport:
    """Return the report."""
    return TracesReport(
        settings=settings,
        versions=versions(),
        seconds=round(seconds, 1),
        total=_total(found),
        templates={name: _row(tally) for name, tally in sorted(found.items())},
    )


def _total(found: dict[str, TemplateTally]) -> dict[str, Json]:
    tallies = list(found.values())
    later, hits = sum(t.later for t in tallies), sum(t.later_hits for t in tallies)
    calls, baseline = sum(t.model_calls for t in tallies), sum(t.baseline_calls for t in tallies)
    return {
        "requests": sum(t.requests for t in tallies),
        "right": sum(t.right for t in tallies),
        "wrong": sum(t.wrong for t in tallies),
        "hits": sum(t.hits for t in tallies),
        "deopts": sum(t.deopts for t in tallies),
        "wrong_writes": sum(t.wrong_writes for t in tallies),
        "repeated_writes": sum(t.repeated_writes for t in tallies),
        "requests_after_third": later,
        "hits_after_third": hits,
        "share_after_third": round(hits / later, 3) if later else None,
        "model_calls": calls,
        "model_calls_without_cache": baseline,
        "model_calls_for_compiling": 0,
        "templates": len(tallies),
        "templates_admitted": sum(t.admitted_after is not None for t in tallies),
    }


def _row(tally: TemplateTally) -> dict[str, Json]:
    return {
        "requests": tally.requests,
        "hits": tally.hits,
        "after_third": f"{tally.later_hits}/{tally.later}",
        "deopts": tally.deopts,
        "wrong": tally.wrong,
        "wrong_writes": tally.wrong_writes,
        "admitted_after": tally.admitted_after,
        "refusals": dict(tally.refusals.most_common(6)),
        "deopt_reasons": dict(tally.deopt_reasons.most_common(6)),
        "wrong_requests": list(tally.odd),
    }


def show(console: Console, found: dict[str, TemplateTally]) -> None:
    """Print the report."""
    table = Table(title="Procedures from traces, by template")
    for heading in ("template", "admitted after", "hits after third", "deopts", "wrong", "in the way"):
        table.add_column(heading, overflow="fold")
    for name, tally in sorted(found.items()):
        reasons = tally.refusals + tally.deopt_reasons
        table.add_row(
            name,
            str(tally.admitted_after or "never"),
            f"{tally.later_hits}/{tally.later}",
            str(tally.deopts),
            str(tally.wrong),
            reasons.most_common(1)[0][0][:90] if reasons and tally.later_hits < tally.later else "",
        )
    console.print(table)
    console.print(METHOD)
    for name, value in _total(found).items():
        console.print(f"{name.replace('_', ' ')}: {value}")


def main() -> int:
    """Run the benchmark."""
    options = _parser().parse_args()
    data, out, seed = Path(options.data), Path(options.json), int(options.seed)
    require_writable(out)
    domains = [part for part in str(options.domains).split(",") if part] or domains_with_tasks(data)
    tasks = [task for domain in domains for task in read_tasks(data, domain)]
    initial = World.load(data)
    started = time.perf_counter()
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        tempfile.TemporaryDirectory() as folder,
        Progress(*columns, console=Console(stderr=True)) as progress,
        ReasoningCache(folder, tools=initial.tools(), now=lambda: NOW) as cache,
    ):
        found = measure(arranged(tasks, seed)[: options.limit], initial, cache, progress)
    settings: dict[str, Json] = {"domains": list(domains), "seed": seed, "tasks": len(tasks), "limit": options.limit}
    write_report(out, document(found, settings, time.perf_counter() - started))
    show(terminal(), found)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.traces", description=__doc__)
    add = parser.add_argument
    add("--data", required=True, metavar="FOLDER", help="the folder of the data set")
    add("--domains", default="", metavar="A,B", help="names of domains (default: all that are there)")
    add("--seed", type=int, default=0, help="decides the order of the requests (default: %(default)s)")
    add("--limit", type=counting_from_one, metavar="N", help="send at most N requests")
    add("--json", required=True, metavar="OUT", help="write the whole report there")
    return parser


if __name__ == "__main__":
    sys.exit(errors.run(main))
