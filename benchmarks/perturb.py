"""Changed requests to stored procedures: `python -m benchmarks.perturb --store PATH | --traces FILE --json OUT`."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import errors
from benchmarks.arguments import counting_from_one
from benchmarks.errors import UsageError
from benchmarks.files import require_writable, write_report
from benchmarks.machine import terminal, versions, versions_line
from seglam_agents import ReasoningCache
from seglam_agents.cache import HostTool
from seglam_agents.cli.finding import all_entries
from seglam_agents.guards.guard import Accepted
from seglam_agents.guards.normal import normalise
from seglam_agents.guards.slots.exports import exports
from seglam_agents.harvest.backtest import in_order_of_time
from seglam_agents.harvest.reading import read_traces
from seglam_agents.harvest.tools import read_tools, tools_of
from seglam_agents.records.entry import Entry
from seglam_agents.records.errors import SeglamError
from seglam_agents.records.outcome import GiveUp
from seglam_agents.records.procedure import Example, ToolUse
from seglam_agents.records.record import Json, Record
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import Trace
from seglam_agents.records.values import Value, encode
from seglam_agents.sandboxes.base import HostModule, Limits
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.serving.executor import Executor
from seglam_agents.serving.loading import Loaded, load
from seglam_agents.stores.opening import open_store
from seglam_agents.testing.perturbation import Perturbed, perturbations, right_hit, subject_of

METHOD = (
    "Each procedure's own requests are changed in every way that the generator knows, and labelled by how it was done. "
    "All guards of the scope are asked, and the body that accepts is run to its first call. It is a hit on another "
    "meaning where a procedure accepts and its arguments do not hold the new value. The same meaning is covered where "
    "the same procedure accepts with the same arguments. No tool is run: what a body would find out from a result "
    "counts as accepted."
)
EXAMPLES = 3
"""Requests of a procedure that are changed."""


class Fate(StrEnum):
    """What became of a changed request."""

    DECLINED = "declined"
    GAVE_UP = "gave up"
    RIGHT = "right"
    WRONG = "wrong"
    ELSEWHERE = "another procedure"


class Finding(Record):
    """One changed request that was accepted, to be read."""

    sort: str
    meaning: str
    fate: str
    disputed: bool
    writes: bool
    procedure: str
    base: str
    text: str
    change: str
    before: dict[str, Json]
    after: dict[str, Json]


@dataclass(slots=True)
class Tally:
    """What came of the changed requests of one class."""

    other: int = 0
    other_before_writes: int = 0
    wrong: int = 0
    wrong_before_writes: int = 0
    disputed: int = 0
    """Accepted ones whose label may be disputed; they are in none of the other figures."""
    elsewhere: int = 0
    same: int = 0
    covered: int = 0

    def row(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {
            "other": self.other,
            "other_before_writes": self.other_before_writes,
            "wrong": self.wrong,
            "wrong_before_writes": self.wrong_before_writes,
            "disputed": self.disputed,
            "another_procedure": self.elsewhere,
            "same": self.same,
            "covered": self.covered,
            "coverage": round(self.covered / self.same, 4) if self.same else None,
        }

    def add(self, other: Tally) -> None:
        """Add what another tally counted."""
        for name in Tally.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Measured:
    """Sums by class, and everything that must be read."""

    procedures: int = 0
    sorts: dict[str, Tally] = field(default_factory=dict[str, Tally])
    findings: list[Finding] = field(default_factory=list[Finding])
    missed: list[Finding] = field(default_factory=list[Finding])
    """Requests of the same meaning that were not covered."""
    idle: list[str] = field(default_factory=list[str])
    """Procedures that accept none of their own requests."""


class Bench:
    """All procedures of a scope, ready to be asked. Their tools are never run."""

    def __init__(self, entries: Sequence[Entry], executor: Executor) -> None:
        self._executor = executor
        self.loaded = [_loaded(entry, executor) for entry in entries]

    def ask(self, text: str, example: Example) -> tuple[Loaded, Mapping[str, Value]] | None:
        """Return the only procedure that accepts a request, as a lookup finds it, with its arguments."""
        normal = normalise(text)
        found: list[tuple[Loaded, Mapping[str, Value]]] = []
        for loaded in self.loaded:
            judgement = loaded.guard.match(normal, example.context)
            if isinstance(judgement, Accepted):
                found.append((loaded, judgement.arguments))
        # Several that accept: pure ones are compared in service, others stand back.
        return found[0] if len(found) == 1 or (found and all(x.procedure.pure for x, _ in found)) else None

    def gives_up(self, loaded: Loaded, arguments: Mapping[str, Value]) -> bool:
        """Tell whether a body gives up before it has called anything."""
        return isinstance(self._executor.next_action(loaded, arguments, now=datetime.now(UTC)), GiveUp)


def measure(entries: Sequence[Entry], bench: Bench, *, limit: int, seed: int, progress: Progress) -> Measured:
    """Change the requests of each procedure, and judge what becomes of them."""
    measured = Measured(procedures=len(entries))
    bar = progress.add_task("procedures", total=len(entries))
    for entry, loaded in zip(entries, bench.loaded, strict=True):
        examples = _accepted(entry, loaded, bench)
        if not examples:
            measured.idle.append(entry.procedure.key)
        for example in examples:
            _one(loaded, example, bench, measured, limit=max(1, limit // len(examples)), seed=seed)
        progress.advance(bar)
    return measured


def _one(loaded: Loaded, example: Example, bench: Bench, measured: Measured, *, limit: int, seed: int) -> None:
    base = bench.ask(example.text, example)
    if base is None:
        return
    before = _encoded(base[1])
    subject = subject_of(example.text, [value for value in before.values() if isinstance(value, str)])
    writes = loaded.procedure.writes
    for changed in perturbations(subject, random.Random(f"{seed} {example.text}"), limit=limit):
        fate, after = _fate(changed, loaded, before, example, bench)
        tally = measured.sorts.setdefault(changed.sort, Tally())
        _count(tally, changed, fate, writes=writes)
        finding = Finding(
            sort=changed.sort, meaning=changed.meaning, fate=fate.value, disputed=changed.disputed, writes=writes,
            procedure=loaded.procedure.key, base=example.text, text=changed.text, change=changed.change, before=before,
            after=after,
        )  # fmt: skip
        if changed.meaning == "other" and fate in (Fate.WRONG, Fate.ELSEWHERE):
            measured.findings.append(finding)
        if changed.meaning == "same" and fate is not Fate.RIGHT:
            measured.missed.append(finding)


def _fate(
    changed: Perturbed, loaded: Loaded, before: Mapping[str, Json], example: Example, bench: Bench
) -> tuple[Fate, dict[str, Json]]:
    found = bench.ask(changed.text, example)
    if found is None:
        return Fate.DECLINED, {}
    accepting, arguments = found
    after = _encoded(arguments)
    if bench.gives_up(accepting, arguments):
        return Fate.GAVE_UP, after
    if accepting.procedure.id != loaded.procedure.id:
        return Fate.ELSEWHERE, after
    return (Fate.RIGHT if right_hit(changed, before, after) else Fate.WRONG), after


def _count(tally: Tally, changed: Perturbed, fate: Fate, *, writes: bool) -> None:
    if changed.disputed:
        tally.disputed += fate in (Fate.RIGHT, Fate.WRONG, Fate.ELSEWHERE)
        return
    if changed.meaning == "same":
        tally.same += 1
        tally.covered += fate is Fate.RIGHT
        return
    tally.other += 1
    tally.other_before_writes += writes
    tally.wrong += fate is Fate.WRONG
    tally.wrong_before_writes += fate is Fate.WRONG and writes
    tally.elsewhere += fate is Fate.ELSEWHERE


def _accepted(entry: Entry, loaded: Loaded, bench: Bench) -> list[Example]:
    """Return some different requests of a procedure that it accepts and does not give up on at once."""
    found: dict[str, Example] = {}
    for example in entry.procedure.examples:
        asked = bench.ask(example.text, example)
        if asked and asked[0] is loaded and not bench.gives_up(*asked):
            found.setdefault(example.text, example)
    return list(found.values())[:EXAMPLES]


def _loaded(entry: Entry, executor: Executor) -> Loaded:
    # Names and arguments are enough, for no tool is run.
    tools = {use.name: _declared(use) for use in entry.procedure.tools}
    return load(entry.procedure, executor.sandbox, tools=tools, limits=executor.limits)


def _declared(use: ToolUse) -> Tool:
    properties: dict[str, Json] = {name: {} for name in use.arguments}
    return Tool(name=use.name, parameters={"type": "object", "properties": properties}, effect=use.effect)


def _encoded(arguments: Mapping[str, Value]) -> dict[str, Json]:
    return {name: encode(value) for name, value in arguments.items()}


class PerturbReport(Record):
    """What is written as JSON."""

    method: str = METHOD
    settings: dict[str, Json]
    versions: dict[str, str]
    seconds: float
    total: dict[str, Json]
    sorts: dict[str, Json]
    wrong: tuple[Finding, ...]
    disputed: tuple[Finding, ...]
    another_procedure: tuple[Finding, ...]
    not_covered: tuple[Finding, ...]
    idle: tuple[str, ...]


def document(measured: Measured, settings: dict[str, Json], seconds: float) -> PerturbReport:
    """Return the report."""
    total = Tally()
    for tally in measured.sorts.values():
        total.add(tally)
    plain = [finding for finding in measured.findings if not finding.disputed]
    return PerturbReport(
        settings=settings,
        versions=versions(),
        seconds=round(seconds, 1),
        total={"procedures": measured.procedures, **total.row()},
        sorts={name: tally.row() for name, tally in sorted(measured.sorts.items())},
        wrong=tuple(finding for finding in plain if finding.fate == Fate.WRONG),
        disputed=tuple(finding for finding in measured.findings if finding.disputed),
        another_procedure=tuple(finding for finding in plain if finding.fate == Fate.ELSEWHERE),
        not_covered=tuple(measured.missed),
        idle=tuple(measured.idle),
    )


def show(console: Console, report: PerturbReport) -> None:
    """Print the report."""
    table = Table(title="Changed requests, by class")
    headings = ("class", "other meaning", "hits on them", "before writes", "disputed", "same meaning", "covered")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for name, row in [*report.sorts.items(), ("all", dict(report.total))]:
        if isinstance(row, dict):
            share = row["coverage"]
            covered = f"{100 * share:.0f} %" if isinstance(share, float) else ""
            cells = [row[key] for key in ("other", "wrong", "wrong_before_writes", "disputed", "same")]
            table.add_row(name, *map(str, cells), covered)
    console.print(table)
    for title, findings in (("hit on another meaning", report.wrong), ("disputed", report.disputed)):
        for finding in findings[:40]:
            console.print(f"{title}: {finding.text!r} (from {finding.base!r}) {finding.procedure} {finding.after}",
                          markup=False, highlight=False)  # fmt: skip
    console.print(METHOD)
    if report.idle:
        console.print(f"procedures that accept none of their own requests: {', '.join(report.idle)}")
    console.print(f"settings: {report.settings}; {report.seconds} s; {versions_line(report.versions)}")


def main() -> int:
    """Run the benchmark."""
    options = _parser().parse_args()
    out = Path(options.json)
    require_writable(out)
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    started = time.perf_counter()
    with (
        Progress(*columns, console=Console(stderr=True)) as progress,
        closing(MontySandbox(modules=(HostModule("slots", exports()),))) as sandbox,
    ):
        entries = _learnt(options, progress) if options.traces else _stored(str(options.store), str(options.tenant))
        if not entries:
            raise UsageError("there is no active procedure to ask: give a store, or traces, that has some")
        bench = Bench(entries, Executor(sandbox, Limits()))
        measured = measure(entries, bench, limit=int(options.requests), seed=int(options.seed), progress=progress)
    settings: dict[str, Json] = {
        "store": options.store, "traces": options.traces, "requests": options.requests, "seed": options.seed,
    }  # fmt: skip
    report = document(measured, settings, time.perf_counter() - started)
    write_report(out, report)
    show(terminal(), report)
    return 0


def _stored(location: str, tenant: str) -> list[Entry]:
    if "://" not in location and not Path(location).is_dir():
        raise UsageError(f"there is no store at {location}")
    try:
        with closing(open_store(location)) as store:
            return _serving(all_entries(store, tenant))
    except SeglamError as error:
        raise UsageError(f"{location} cannot be read: {error}") from error


def _learnt(options: argparse.Namespace, progress: Progress) -> list[Entry]:
    items = [item for item in read_traces([Path(options.traces)]) if isinstance(item, Trace)]
    if not items:
        raise UsageError(f"{options.traces} holds no trace; docs/harvest.md says what is read")
    tools = read_tools(Path(options.tools)) if options.tools else tools_of(items)
    moment = [datetime.now(UTC)]
    bar = progress.add_task("learning", total=len(items))
    hosted = [HostTool(tool, _never_run) for tool in tools]
    clock = (lambda: moment[0]) if any(item.recorded_at for item in items) else None
    with ReasoningCache(tools=hosted, now=clock) as cache:
        for trace in in_order_of_time(items):
            moment[0] = trace.recorded_at or moment[0]
            cache.observe(trace)
            progress.advance(bar)
        return _serving(cache.procedures())


def _serving(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.status == "active"]


def _never_run(*args: Value, **kwargs: Value) -> Value:
    raise RuntimeError("no tool is run here")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perturb", description=__doc__)
    add = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--store", metavar="PATH|URL", help="ask the procedures of a store")
    source.add_argument("--traces", metavar="PATH", help="ask what recorded runs teach a fresh cache")
    add("--tools", metavar="FILE", help="the tools of the recorded runs; without it they are inferred")
    add("--tenant", default="default", metavar="NAME", help="whose procedures (default: %(default)s)")
    add(
        "--requests",
        type=counting_from_one,
        default=250,
        metavar="N",
        help="changed requests each (default: %(default)s)",
    )
    add("--seed", type=int, default=0, help="decides which are taken where there are more (default: %(default)s)")
    add("--json", required=True, metavar="OUT", help="write the whole report there")
    return parser


if __name__ == "__main__":
    sys.exit(errors.run(main))
