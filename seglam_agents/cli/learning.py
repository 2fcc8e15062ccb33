"""`seglam learn`: learns from recorded agent runs in bulk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self, cast, get_args

import typer
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.cli.entries import plain_table, titled
from seglam_agents.cli.errors import CommandError, reported
from seglam_agents.cli.opening import named_model
from seglam_agents.cli.options import DEFAULT_STORE, AsJson, ModelName, Store, Tenant
from seglam_agents.cli.output import console, plain, print_json
from seglam_agents.harvest.reading import Format, read_traces
from seglam_agents.harvest.report import HarvestReport, Learner, Tally, learn_kinds, remember
from seglam_agents.harvest.tools import read_tools, tools_of
from seglam_agents.models.base import Model
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import Trace
from seglam_agents.records.values import Value

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended."""

FORMATS = "|".join(get_args(Format))

Traces = Annotated[
    list[Path], typer.Argument(metavar="TRACES...", help="Files with recorded runs, or folders of JSON files.")
]
FormatName = Annotated[
    str, typer.Option("--format", metavar=FORMATS, help="What the files hold; 'auto' tells it from each document.")
]
ToolsFile = Annotated[
    Path | None,
    typer.Option(
        "--tools",
        metavar="FILE",
        help="The agent's tools as JSON: our Tool documents, OpenAI function tools, or MCP tools. Without it they are "
        "inferred from the runs, and all are taken to write.",
    ),
]
PromptFile = Annotated[
    Path | None,
    typer.Option(
        "--system-prompt",
        metavar="FILE",
        help="The agent's system prompt. What is learnt serves only agents with the same tools and system prompt.",
    ),
]


@reported
def learn(
    traces: Traces,
    format: FormatName = "auto",
    tools: ToolsFile = None,
    system_prompt: PromptFile = None,
    model: ModelName = None,
    store: Store = DEFAULT_STORE,
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Learn from recorded agent runs: traces of our own, LangSmith runs, or OpenTelemetry GenAI spans."""
    kind, prompt, chat = _format(traces, format), _prompt(system_prompt), named_model(model)
    declared = read_tools(tools) if tools else None
    tally, interrupted = Tally(), ""
    with _Stages(quiet=as_json) as stages:
        try:
            known = declared if declared is not None else _inferred(traces, kind, stages)
            with _opened(store, chat, known, tenant, prompt) as cache:
                _learn(cache, traces, kind, known, tally, stages)
        except KeyboardInterrupt:
            interrupted = stages.current
    report = tally.report(interrupted)
    inferred = declared is None and tally.tools > 0
    if as_json:
        print_json({"inferred_tools": inferred, **cast("dict[str, object]", plain(report))})
    else:
        console().print(report_view(report, inferred_tools=inferred))
    if interrupted or not report.read:
        raise typer.Exit(INTERRUPTED if interrupted else 1)


def report_view(report: HarvestReport, *, inferred_tools: bool) -> RenderableType:
    """Return what was learnt of each kind, the counts, what was not read and why, and what to do next."""
    kinds = plain_table("request", "runs", "outcome", "reason")
    for kind in report.kinds:
        outcome = " ".join(part for part in (kind.status, kind.procedure) if part)
        kinds.add_row(_cut(kind.example), str(kind.traces), outcome, _cut(kind.reason, 200))
    reasons = plain_table("times", "why", "for example")
    for reason, count in report.reasons.items():
        where = next((f"{item.source} {item.place}".strip() for item in report.not_read if item.reason == reason), "")
        reasons.add_row(str(count), reason, where)
    counts = Counter(kind.status for kind in report.kinds)
    told = [
        f"{report.read} runs read: {report.new} new, {report.known} known already",
        f"{len(report.kinds)} kinds{''.join(f', {count} {status}' for status, count in counts.most_common())}",
        f"{report.unread} not read",
    ]
    return Group(
        *([kinds, Text("")] if report.kinds else []),
        *map(Text, told),
        *titled("Not read", reasons if report.unread else None),
        *(Text(f"\n{line}", style="yellow") for line in _hints(report, inferred_tools)),
    )


class _Stages:
    """A progress bar on stderr, one stage after the other.

    Args:
        quiet: True to show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.current = "starting"
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True, markup=False), disable=quiet)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, stage: str) -> Callable[[int, int], None]:
        """Begin a stage; the result is told how much of it is done."""
        self.current = stage
        task = self._progress.add_task(stage, total=None)
        return lambda done, total: self._progress.update(task, completed=done, total=total or None)


def _hints(report: HarvestReport, inferred_tools: bool) -> list[str]:
    hints: list[str] = []
    if report.interrupted:
        hints.append(
            f"Stopped while {report.interrupted}; {report.read} runs are remembered. "
            "Run the same command again: it goes on from there."
        )
    elif not report.read:
        hints.append("Nothing could be read: see above for why, and docs/harvest.md for the formats.")
    if inferred_tools:
        hints.append(
            "The tools were inferred. What was learnt serves only an agent with exactly these; "
            "pass the agent's own with --tools FILE."
        )
    return hints


def _cut(text: str, length: int = 80) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _inferred(paths: Sequence[Path], kind: Format, stages: _Stages) -> list[Tool]:
    items = read_traces(paths, kind, progress=stages.begin("looking for tools"))
    return tools_of(item for item in items if isinstance(item, Trace))


def _learn(
    cache: Learner, paths: Sequence[Path], kind: Format, tools: Sequence[Tool], tally: Tally, stages: _Stages
) -> None:
    tally.tools = len(tools)
    items = read_traces(paths, kind, progress=stages.begin("reading"))
    remember(cache, items, {tool.name for tool in tools}, tally)
    if tally.new or tally.known:
        learn_kinds(cache, tally, stages.begin("learning"))


def _opened(location: str, model: Model | None, tools: Sequence[Tool], tenant: str, prompt: str) -> ReasoningCache:
    hosted = [HostTool(tool, _never_run(tool.name)) for tool in tools]
    return ReasoningCache(location, model, tools=hosted, tenant=tenant, system_prompt=prompt, now=datetime.now)


def _never_run(name: str) -> Callable[..., Value]:
    def run(*args: Any, **kwargs: Any) -> Value:
        raise CommandError(f"`seglam learn` runs no tools, and was asked to run {name!r}")

    return run


def _format(paths: Sequence[Path], name: str) -> Format:
    if name not in get_args(Format):
        raise CommandError(f"--format {name!r} is none of {FORMATS.replace('|', ', ')}")
    if not any(path.exists() for path in paths):
        raise CommandError(f"there is no {' and no '.join(map(str, paths))}: name files or folders with recorded runs")
    return cast(Format, name)


def _prompt(path: Path | None) -> str:
    try:
        # Editors end a file with a line break, which the prompt of an agent does not have.
        return path.read_text(encoding="utf-8-sig").removesuffix("\n") if path else ""
    except (OSError, ValueError) as error:
        raise CommandError(f"--system-prompt {path} cannot be read ({error}): give a text file") from None
