"""Times whole hits among thousands of stored procedures, next to the same bodies without a cache."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import ParamSpec, TypeVar

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import errors
from benchmarks.arguments import counting_from_one, counts, positive
from benchmarks.errors import UsageError
from benchmarks.files import require_writable, write_report
from benchmarks.generated import generated, procedures
from benchmarks.machine import resident_megabytes, terminal, versions, versions_line
from benchmarks.timing import Comparison, Scenario, Spread, time_hits, time_misses, warm_session
from seglam_agents.records.errors import SeglamError
from seglam_agents.records.record import Record
from seglam_agents.records.request import Scope
from seglam_agents.stores.base import Put
from seglam_agents.stores.edge import EdgeStore

P = ParamSpec("P")
T = TypeVar("T")

BATCH = 250
"""Procedures that are put at a time."""
FEW = 16
"""Procedures of the scenarios in which the same ones come again and again."""
WARM_UP = 20
"""Hits before anything is timed."""
METHOD = (
    "Whole hits through `lookup`, each in a fresh sandbox session, among generated procedures in an embedded store. "
    "Paced hits leave time for sessions to be prepared ahead; back-to-back hits do not. 'any' draws from all "
    f"procedures, 'few' from {FEW} of them. Every size has a process of its own."
)


class SizeReport(Record):
    """What was measured with one number of procedures."""

    procedures: int
    open_seconds: float
    """Opening the store and loading every guard, up to and including the first lookup."""
    megabytes_before: float
    megabytes_after: float
    """Memory of the process before and after that, without its sandbox workers."""
    scenarios: list[Scenario]
    comparison: Comparison
    """Paced hits on any procedure, and the same bodies without the cache."""
    misses: Spread


class LatencyReport(Record):
    """Everything there is to say about one run."""

    benchmark: str = "hit_latency"
    method: str
    hits: int
    pace_ms: float
    versions: dict[str, str]
    sizes: list[SizeReport]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    options = _parser().parse_args(arguments)
    require_writable(options.json)
    with TemporaryDirectory(prefix="seglam-bench-") as temporary:
        root = options.store or Path(temporary)
        sizes = [measure_size(root / str(size), size, options.hits, options.pace_ms) for size in options.procedures]
    report = LatencyReport(method=METHOD, hits=options.hits, pace_ms=options.pace_ms, versions=versions(), sizes=sizes)
    write_report(options.json, report)
    print_report(report, terminal())
    return 0


def measure_size(path: Path, size: int, hits: int, pace_ms: float) -> SizeReport:
    """Fill a store with so many procedures where it is not filled yet, and measure."""
    _in_own_process(fill, path, size)
    return _in_own_process(measure, path, size, hits, pace_ms / 1e3)


def fill(path: Path, size: int) -> None:
    """Put the first `size` generated procedures into the store at a path, unless they are there.

    Raises:
        UsageError: the store holds something else, or cannot be used.
    """
    try:
        store = EdgeStore(path)
        try:
            present = len(store.changes(Scope()).entries)
            batches = range(present, size, BATCH)
            for start in track(
                batches, f"storing {size} procedures", console=Console(stderr=True), disable=not batches
            ):
                store.put_many([Put(generated(n).entry, 0) for n in range(start, min(start + BATCH, size))])
        finally:
            store.close()
    except SeglamError as error:
        raise UsageError(str(error)) from error
    if present > size:
        raise UsageError(f"the store at {path} holds {present} procedures, more than {size}: choose another --store")


def measure(path: Path, size: int, hits: int, pace: float) -> SizeReport:
    """Measure a filled store."""
    from seglam_agents.cache import ReasoningCache

    rng = Random(size)
    targets = list(procedures(size))
    few = rng.sample(targets, min(FEW, size))
    before, started = resident_megabytes(), time.perf_counter()
    with ReasoningCache(path, None) as cache, warm_session() as warm:
        cache.lookup("a first request, which loads the guards")
        opened, after = time.perf_counter() - started, resident_megabytes()
        time_hits(cache, targets, WARM_UP, rng, pace=pace)
        compared = time_hits(cache, targets, hits, rng, pace=pace, warm=warm)
        loads = (("paced, few", few, pace), ("back to back, any", targets, 0.0), ("back to back, few", few, 0.0))
        others = [time_hits(cache, some, hits, rng, pace=wait).scenario(name) for name, some, wait in loads]
        misses = time_misses(cache, hits, rng)
    return SizeReport(
        procedures=size,
        open_seconds=opened,
        megabytes_before=before,
        megabytes_after=after,
        scenarios=[compared.scenario("paced, any"), *others],
        comparison=compared.comparison(),
        misses=misses,
    )


def print_report(report: LatencyReport, console: Console) -> None:
    """Print the report for a person."""
    console.print(f"[bold]{report.method}[/]")
    console.print(f"{report.hits} hits per scenario, {report.pace_ms:g} ms between paced ones")
    console.print(versions_line(report.versions))
    for size in report.sizes:
        _print_size(size, console)


def _print_size(size: SizeReport, console: Console) -> None:
    console.print(_table(size))
    compared = size.comparison
    console.print(
        f"the same bodies: warm session {_milliseconds(compared.warm)}, in this process {_milliseconds(compared.floor)}"
        f"; a hit takes {compared.ratio:.2f} times the warm call (medians)"
    )
    console.print(f"foreign requests: {_milliseconds(size.misses)}")
    console.print(
        f"opened and loaded in {size.open_seconds:.2f} s, "
        f"memory {size.megabytes_before:.0f} MB before, {size.megabytes_after:.0f} MB after"
    )


def _table(size: SizeReport) -> Table:
    title = f"{size.procedures} procedures, ms as p50 / p99"
    stages = list(size.scenarios[0].stages)
    table = Table("hits", "wall clock", "measured", *stages, title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for scenario in size.scenarios:
        stage_cells = [_milliseconds(scenario.stages[stage]) for stage in stages]
        table.add_row(scenario.name, _milliseconds(scenario.wall), _milliseconds(scenario.measured), *stage_cells)
    return table


def _milliseconds(value: Spread) -> str:
    return f"{value.p50:.3f} / {value.p99:.3f}"


def _in_own_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    # A fresh process: the memory of one size is not that of another, and a sandbox does not survive a fork.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(function, *args, **kwargs).result()
        except BrokenProcessPool as error:
            raise UsageError(f"the process that measures died: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hit_latency", description=__doc__)
    add = parser.add_argument
    add("--procedures", type=counts, default=[1000, 10_000], metavar="N,N", help="sizes to measure (1000,10000)")
    add("--hits", type=counting_from_one, default=1000, metavar="N", help="hits per scenario (default: %(default)s)")
    add("--pace-ms", type=positive, default=2.0, metavar="MS", help="between two paced hits (default: %(default)s)")
    add("--store", type=Path, metavar="PATH", help="keep the stores there, and use them again")
    add("--json", type=Path, required=True, metavar="OUT", help="write the whole report there")
    return parser


if __name__ == "__main__":
    sys.exit(errors.run(main))
