"""The command: a LangChain agent at a shuffled stream of office requests, with the cache and without."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.agents.figures import figures
from benchmarks.agents.office import require_databases
from benchmarks.agents.plot import draw
from benchmarks.agents.report import AgentsReport, print_report
from benchmarks.agents.sending import Desk, Item, Observation, Sender, arranged, declared_tools
from benchmarks.arguments import counting_from_one
from benchmarks.errors import INTERRUPTED, UsageError
from benchmarks.files import require_writable, write_report
from benchmarks.machine import terminal, versions
from benchmarks.plot import require_matplotlib
from benchmarks.stream import opened_model
from benchmarks.workbench.truth import SUFFIX, domains_with_tasks, read_tasks
from benchmarks.workbench.world import NOW, World
from seglam_agents.cache import ReasoningCache
from seglam_agents.models.base import Model
from seglam_agents.models.recorded import RecordedModel
from seglam_agents.records.record import Json

METHOD = (
    "A LangChain agent (`create_agent`) at a shuffled stream of office requests, each on a fresh copy of the "
    "databases, with `SeglamMiddleware` and without it. The agent's model is played by the ground truth: it looks up "
    "what the request mentions, then makes the right calls. A request is right when the databases end as the truth "
    "leaves them."
)
PLAYED = "played by the ground truth"
PACKAGES = ("langchain", "langchain-core", "langgraph", "langchain-seglam")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The arguments of the command."""

    suite: Literal["workbench"]
    data: Path
    domains: tuple[str, ...]
    policy: Literal["eager", "economic"]
    seed: int
    passes: int
    limit: int | None
    free: bool
    model: str | None
    recordings: Path | None
    json: Path
    svg: Path | None

    def shown(self) -> dict[str, Json]:
        """Return what decides the figures, by name; of files only the names."""
        return {
            "suite": self.suite,
            "domains": list(self.domains),
            "policy": self.policy,
            "seed": self.seed,
            "passes": self.passes,
            "limit": self.limit,
            "free": self.free,
            "recordings": self.recordings.name if self.recordings else None,
        }


@dataclass(frozen=True, slots=True)
class Sent:
    """What was observed, and what the cache knew at the end."""

    observations: list[Observation]
    procedures: int
    seconds: float
    complete: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; a bar that fails is a finding and no failure."""
    options = parse(arguments)
    initial = World.load(options.data)
    items = read_items(options, initial)
    model = opened_model(options.model, options.recordings) if options.model or options.recordings else None
    stream = arranged(items, seed=options.seed, passes=options.passes, limit=options.limit)
    report = measured(options, initial, stream, model)
    write_report(options.json, report)
    if options.svg is not None:
        draw(report.figures, options.svg)
    print_report(report, terminal())
    return 0 if report.complete else INTERRUPTED


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the arguments of the command.

    Raises:
        UsageError: what they name cannot be used.
    """
    given = vars(_parser().parse_args(arguments))
    named = tuple(part.strip() for part in given.pop("domains").split(",") if part.strip())
    options = Options(**given, domains=named or tuple(domains_with_tasks(given["data"])))
    require_writable(options.json)
    require_writable(options.svg)
    if options.svg is not None:
        require_matplotlib()
    if not options.domains:
        raise UsageError(f"{options.data} holds no tasks: files called <domain>{SUFFIX}")
    return options


def read_items(options: Options, initial: World) -> list[Item]:
    """Read the tasks of all domains.

    Raises:
        UsageError: a file cannot be read, or a database that tasks need is missing.
    """
    items: list[Item] = []
    for domain in options.domains:
        tasks = read_tasks(options.data, domain)
        require_databases(options.data, initial, domain, tasks)
        items += [Item(task, domain) for task in tasks]
    return items


def measured(options: Options, initial: World, stream: Sequence[Item], model: Model | None) -> AgentsReport:
    """Send the stream to an agent with a new cache and to one without, and return the report."""
    sent = send(options, initial, stream, model)
    return AgentsReport(
        method=METHOD,
        settings=options.shown(),
        model=PLAYED,
        compiler=model.name if model else "",
        recorded=isinstance(model, RecordedModel),
        complete=sent.complete,
        sizes=_sizes(stream, initial),
        procedures=sent.procedures,
        seconds=round(sent.seconds, 1),
        versions=versions(*PACKAGES),
        figures=figures(sent.observations),
    )


def send(options: Options, initial: World, stream: Sequence[Item], model: Model | None) -> Sent:
    """Send the stream, with a progress bar; Ctrl-C ends it early, and what was observed is kept."""
    started, observations, complete = time.perf_counter(), list[Observation](), True
    with (
        tempfile.TemporaryDirectory() as folder,
        ReasoningCache(
            folder, model, policy=options.policy, tools=declared_tools(initial), now=lambda: NOW, seed=options.seed
        ) as cache,
    ):
        try:
            for observation in _watched(
                Sender(Desk(initial, free=options.free), Desk(initial, cache, options.free))(stream), len(stream)
            ):
                observations.append(observation)
        except KeyboardInterrupt:
            complete = False
        procedures = cache.stats().procedures
    return Sent(observations, procedures, time.perf_counter() - started, complete)


def _watched(observations: Iterable[Observation], total: int) -> Iterable[Observation]:
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar, hits = progress.add_task("sending", total=total), 0
        for observation in observations:
            hits += observation.outcome == "hit"
            progress.update(bar, advance=1, description=f"sending, {hits} hits")
            yield observation


def _sizes(stream: Sequence[Item], initial: World) -> dict[str, int]:
    return {
        "requests sent": len(stream),
        "different requests": len({item.task.query for item in stream}),
        "domains": len({item.domain for item in stream}),
        "templates": len({(item.domain, item.task.base_template) for item in stream}),
        "tools": len(initial.tools()),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agents", description=__doc__)
    add = parser.add_argument
    add("--suite", choices=("workbench",), default="workbench", help="what the requests are (default: %(default)s)")
    add("--data", type=Path, required=True, metavar="FOLDER", help="the folder of the data set")
    add("--domains", default="", metavar="A,B", help="names of task files (default: all that are there)")
    add("--policy", choices=("eager", "economic"), default="eager", help="when --model compiles (default: %(default)s)")
    add("--seed", type=int, default=0, help="decides the order of the requests (default: %(default)s)")
    add("--passes", type=counting_from_one, default=1, metavar="K", help="send the stream K times, each shuffled anew")
    add("--limit", type=counting_from_one, metavar="N", help="send at most N requests a pass, drawn from all")
    add("--free", action="store_true", help="the model phrases its last message in one of four ways")
    add("--model", metavar="URL_OR_NAME", help="compiles what traces alone do not explain")
    add("--recordings", type=Path, metavar="FILE", help="replay that model; with --model, add what is missing")
    add("--json", type=Path, required=True, metavar="OUT", help="write the whole report there")
    add("--svg", type=Path, metavar="OUT", help="draw the course of the stream")
    return parser
