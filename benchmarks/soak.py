"""Sends runs of every temper through a sandbox from many threads: what is left over, and whom did it disturb?"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from seglam_agents.records.record import Record
from seglam_agents.records.tools import Tool
from seglam_agents.sandboxes.base import Execution, Failed, Limits, Program, Returned, Sandbox, ToolCall, ToolResult
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.sandboxes.process import ProcessSandbox
from seglam_agents.testing.processes import descendants

ECHO = Tool(name="echo", parameters={"properties": {"x": {}}}, effect="read")
QUICK = Limits(seconds=0.05)
PATIENT = Limits(seconds=30.0)
_WALK = (
    "def module(name):\n    for kind in ().__class__.__base__.__subclasses__():\n        try:\n"
    "            return kind.__init__.__globals__['sys'].modules[name]\n"
    "        except (AttributeError, KeyError, TypeError):\n            pass\n    raise LookupError(name)\n"
)


@dataclass(frozen=True, slots=True)
class Temper:
    """One kind of program, how many of a hundred runs it is, and how it must end."""

    name: str
    share: int
    program: Program
    limits: Limits
    ends: Callable[[Execution, int], bool]


def _returns(execution: Execution, number: int) -> bool:
    return isinstance(execution, Returned) and execution.value == [number, number * 2]


def _fails(*kinds: str) -> Callable[[Execution, int], bool]:
    return lambda execution, _: isinstance(execution, Failed) and execution.kind in kinds


TEMPERS = (
    Temper("honest", 60, Program("def run(x): return [x, x * 2]"), PATIENT, _returns),
    Temper("with tools", 20, Program("def run(x): return [echo(x), echo(x * 2)]", tools=(ECHO,)), PATIENT, _returns),
    Temper("gives up", 9, Program("def run(x): deopt(str(x))"), PATIENT, _fails("deopt")),
    Temper("raises", 5, Program("def run(x): return 1 / (x - x)"), PATIENT, _fails("error")),
    Temper("crashes", 3, Program(f"{_WALK}def run(x): module('posix')._exit(3)"), PATIENT, _fails("crash", "error")),
    Temper("eats memory", 2, Program("def run(x): return len('x' * 10 ** 11)"), PATIENT, _fails("limit")),
    Temper("never ends", 1, Program("def run(x):\n    while True: pass"), QUICK, _fails("limit")),
)


class Standing(Record):
    """What this process and its workers hold."""

    processes: int
    descriptors: int
    threads: int
    megabytes: float
    """Resident memory of this process."""
    workers_megabytes: float


class SoakReport(Record):
    """What came of one soak."""

    sandbox: str
    threads: int
    runs: int
    seconds: float
    by_temper: dict[str, int]
    disturbed: dict[str, int]
    """Runs that did not end as their temper must, by temper; none is right."""
    examples: list[str]
    """How the first few of them ended."""
    before: Standing
    """After a first tenth of the runs, when every worker is there."""
    after: Standing
    closed: Standing
    """After closing the sandbox."""

    @property
    def runs_per_second(self) -> float:
        """How many runs came through in a second."""
        return self.runs / self.seconds


def soak(sandbox: Sandbox, *, threads: int, runs: int) -> SoakReport:
    """Make that many runs from each thread, and return what was left and who was disturbed."""
    count: Counter[str] = Counter()
    disturbed: Counter[str] = Counter()
    examples: list[str] = []
    lock = threading.Lock()

    def one(number: int) -> None:
        temper = _temper(number)
        execution = sandbox.run(temper.program, {"x": number}, call=_echo, limits=temper.limits)
        right = temper.ends(execution, number)
        with lock:
            count[temper.name] += 1
            disturbed[temper.name] += not right
            if not right and len(examples) < 5:
                examples.append(f"{temper.name}: {execution}"[:300])

    # One task a thread: a future for every run would be most of the memory that is measured.
    def many(numbers: range) -> None:
        for number in numbers:
            one(number)

    total = threads * runs
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        first = max(total // 10, threads)
        list(pool.map(many, [range(start, first, threads) for start in range(threads)]))
        before = standing()
        list(pool.map(many, [range(first + start, total, threads) for start in range(threads)]))
    seconds = time.perf_counter() - began
    after = standing()
    sandbox.close()
    return SoakReport(
        sandbox=sandbox.name,
        threads=threads,
        runs=total,
        seconds=seconds,
        by_temper=dict(count),
        disturbed=dict(+disturbed),
        examples=examples,
        before=before,
        after=after,
        closed=standing(),
    )


def standing() -> Standing:
    """Return what this process and its workers hold now."""
    gc.collect()
    workers = descendants(os.getpid())
    return Standing(
        processes=len(workers),
        descriptors=len(os.listdir("/proc/self/fd")),
        threads=threading.active_count(),
        megabytes=_megabytes(os.getpid()),
        workers_megabytes=sum(map(_megabytes, workers)),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak the sandboxes named on the command line, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sandbox", choices=("monty", "process", "both"), default="both")
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--runs", type=int, default=10_000, help="runs a thread")
    options = parser.parse_args(arguments)
    clean = True
    for name in ("monty", "process") if options.sandbox == "both" else (options.sandbox,):
        report = soak(
            MontySandbox() if name == "monty" else ProcessSandbox(), threads=options.threads, runs=options.runs
        )
        print(told(report), flush=True)
        clean = clean and not report.disturbed
    return 0 if clean else 1


def told(report: SoakReport) -> str:
    """Return a report as lines of text."""
    tempers = ", ".join(f"{number:,} {name}" for name, number in report.by_temper.items())
    lines = [
        f"{report.sandbox}: {report.threads} threads, {report.runs:,} runs in {report.seconds:.1f} s "
        f"({report.runs_per_second:,.0f} a second)",
        f"  {tempers}",
        f"  disturbed: {report.disturbed or 'none'}",
        *(f"    {example}" for example in report.examples),
    ]
    for name, held in (("at a tenth", report.before), ("at the end", report.after), ("closed", report.closed)):
        lines.append(
            f"  {name:<10} {held.processes} processes, {held.descriptors} descriptors, {held.threads} threads, "
            f"{held.megabytes:.0f} MB, workers {held.workers_megabytes:.0f} MB"
        )
    return "\n".join(lines)


def _temper(number: int) -> Temper:
    # Spread evenly: 37 and 100 have no common divisor.
    place = number * 37 % 100
    for temper in TEMPERS:
        if place < temper.share:
            return temper
        place -= temper.share
    raise AssertionError("the shares add up to a hundred")


def _echo(asked: ToolCall) -> ToolResult:
    return ToolResult(asked.arguments["x"])


def _megabytes(process: int) -> float:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    sys.exit(main())
