"""Sends a stream of requests, and near misses among them, to a cache, and reports what came of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import errors
from benchmarks.arguments import counting, counting_from_one, positive
from benchmarks.economics import Baseline, measure_baseline
from benchmarks.errors import UsageError
from benchmarks.figures import figures
from benchmarks.files import require_writable, write_report
from benchmarks.machine import terminal, versions
from benchmarks.plot import draw, require_matplotlib
from benchmarks.report import StreamReport, print_report
from benchmarks.rows import Row, arrange, read_rows
from benchmarks.sending import MAX_ERRORS, Observation, Sender
from seglam_agents.models.base import Model
from seglam_agents.models.opening import open_model
from seglam_agents.models.recorded import RecordedModel
from seglam_agents.records.errors import SeglamError
from seglam_agents.records.outcome import Hit
from seglam_agents.records.record import Json
from seglam_agents.records.usage import Usage

METHOD = (
    "A stream of requests, sent one after the other to a cache that is shown neither kinds nor right answers; "
    "each near miss at a random place after its kind was cached."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The arguments of the command."""

    requests: Path
    near_misses: Path | None
    model: str | None
    recordings: Path | None
    policy: Literal["eager", "economic"]
    seed: int
    zipf: float | None
    limit: int | None
    near_miss_path: Literal["lookup", "answer"]
    baseline: int
    store: str | None
    svg: Path | None
    png: Path | None
    json: Path

    def shown(self) -> dict[str, Json]:
        """Return what decides the figures, by name; of files only the names."""
        return {
            "requests": self.requests.name,
            "near_misses": self.near_misses.name if self.near_misses else None,
            "policy": self.policy,
            "seed": self.seed,
            "zipf": self.zipf,
            "limit": self.limit,
            "near_miss_path": self.near_miss_path,
            "baseline": self.baseline,
            "store": "given" if self.store else "memory",
        }


@dataclass(frozen=True, slots=True)
class Sent:
    """What was observed, and why it ended early where it did."""

    observations: list[Observation]
    ended: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; wrong hits are a finding and no failure."""
    options = parse(arguments)
    rows = arrange(read_rows(options.requests, answers=True), seed=options.seed, zipf=options.zipf, limit=options.limit)
    near = read_rows(options.near_misses, answers=False) if options.near_misses else []
    model = opened_model(options.model, options.recordings)
    report = measured(options, rows, near, model)
    write_report(options.json, report)
    for picture in (options.svg, options.png):
        if picture is not None:
            draw(report.figures, picture)
    print_report(report, terminal())
    return errors.INTERRUPTED if report.ended == "interrupted" else 0


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the arguments of the command.

    Raises:
        UsageError: they contradict each other, or what they name cannot be used.
    """
    options = Options(**vars(_parser().parse_args(arguments)))
    for path in (options.json, options.svg, options.png):
        require_writable(path)
    for path, suffix in ((options.svg, ".svg"), (options.png, ".png")):
        if path is not None and path.suffix.lower() != suffix:
            raise UsageError(f"{path} does not end in {suffix}")
    if options.svg or options.png:
        require_matplotlib()
    if not options.model and not options.recordings:
        raise UsageError("give --model (an address or a name), --recordings (a file to replay), or both")
    return options


def opened_model(model: str | None, recordings: Path | None) -> Model:
    """Return the live model, the recorded one, or the recorded one that asks the live one for what it lacks.

    Raises:
        UsageError: the model cannot be opened, or the recording cannot be read.
    """
    try:
        live = open_model(model) if model else None
        if recordings is not None:
            return RecordedModel(recordings, live=live)
        return cast(Model, live)
    except SeglamError as error:
        raise UsageError(str(error)) from error


def measured(options: Options, rows: Sequence[Row], near: Sequence[Row], model: Model) -> StreamReport:
    """Send the stream to a new cache and return the report."""
    from seglam_agents.cache import ReasoningCache

    try:
        cache = ReasoningCache(options.store, model, policy=options.policy, seed=options.seed)
    except SeglamError as error:
        raise UsageError(str(error)) from error
    with cache:
        before = len(cache.procedures())
        sender = Sender(cache, rows, near, near_miss_path=options.near_miss_path, seed=options.seed)
        sent = send(sender, len(rows) + len(near))
        procedures = len(cache.procedures())
    baseline = Baseline(requests=0, usage=Usage()) if sent.ended else measure_baseline(model, rows, options.baseline)
    return StreamReport(
        method=METHOD,
        settings=options.shown(),
        model=model.name,
        recorded=isinstance(model, RecordedModel),
        complete=not sent.ended,
        ended=sent.ended,
        sizes=_sizes(rows, near, before),
        procedures=procedures,
        versions=versions(),
        figures=figures(sent.observations, baseline),
    )


def send(sender: Sender, expected: int) -> Sent:
    """Send everything, with a progress bar; Ctrl-C ends it early, and what was observed is kept."""
    observations: list[Observation] = []
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("sending", total=expected)
        try:
            for observation in sender:
                observations.append(observation)
                progress.update(task, advance=1, description=_tally(observations))
        except KeyboardInterrupt:
            return Sent(observations, "interrupted")
    if len(observations) < expected:
        return Sent(observations, f"given up after {MAX_ERRORS} errors in a row: {observations[-1].error}")
    return Sent(observations)


def _tally(observations: Sequence[Observation]) -> str:
    return f"sending, {sum(isinstance(o.outcome, Hit) for o in observations)} hits"


def _sizes(rows: Sequence[Row], near: Sequence[Row], procedures: int) -> dict[str, int]:
    return {
        "requests": len(rows),
        "kinds": len({row.kind for row in rows if row.kind is not None}),
        "foreign requests": sum(row.kind is None for row in rows),
        "near misses": len(near),
        "procedures at the start": procedures,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream", description=__doc__)
    add = parser.add_argument
    add(
        "--requests", type=Path, required=True, metavar="FILE", help="the stream: JSON lines with request, kind, answer"
    )
    add("--near-misses", type=Path, metavar="FILE", help="requests that look like a kind and are none of it")
    add("--model", metavar="URL_OR_NAME", help="http://host:port/v1#model, or provider:model")
    add("--recordings", type=Path, metavar="FILE", help="replay the model from here; with --model, add what is missing")
    add("--policy", choices=("eager", "economic"), default="eager", help="when to compile (default: %(default)s)")
    add("--seed", type=int, default=0, help="decides the order of the stream (default: %(default)s)")
    add("--zipf", type=positive, metavar="S", help="draw kinds with frequencies rank^-S instead of evenly")
    add("--limit", type=counting_from_one, metavar="N", help="send at most N requests")
    add("--near-miss-path", choices=("lookup", "answer"), default="lookup", help="may the cache learn from near misses")
    add(
        "--baseline", type=counting, default=3, metavar="N", help="requests to interpret for the break-even; 0 for none"
    )
    add("--store", metavar="PATH", help="keep the procedures there (default: in memory)")
    add("--svg", type=Path, metavar="OUT", help="draw the course of the stream")
    add("--png", type=Path, metavar="OUT", help="the same as PNG")
    add("--json", type=Path, required=True, metavar="OUT", help="write the whole report there")
    return parser


if __name__ == "__main__":
    sys.exit(errors.run(main))
