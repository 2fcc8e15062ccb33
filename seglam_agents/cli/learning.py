"""`seglam learn`: learns from recorded agent runs in bulk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from seglam_agents.cli.entries import plain_table, titled
from seglam_agents.cli.errors import CommandError, reported
from seglam_agents.cli.exports import (
    INTERRUPTED,
    FormatName,
    PromptFile,
    Stages,
    ToolsFile,
    Traces,
    cut,
    format_named,
    inferred_tools_of,
    prompt_in,
)
from seglam_agents.cli.opening import named_model, named_sandbox, open_cache, reached
from seglam_agents.cli.options import (
    DEFAULT_SANDBOX,
    DEFAULT_STORE,
    AsJson,
    ModelName,
    Packages,
    SandboxNames,
    Store,
    Tenant,
)
from seglam_agents.cli.output import console, plain, print_json
from seglam_agents.harvest.reading import Format, read_traces
from seglam_agents.harvest.report import HarvestReport, Learner, Tally, learn_kinds, remember
from seglam_agents.harvest.tools import read_tools
from seglam_agents.records.tools import HostTool, Tool
from seglam_agents.records.values import Value

AgentToTeach = Annotated[
    str | None,
    typer.Option(
        "--agent",
        metavar="NAME",
        help="The agent's name, as its cache is opened with (`agent=`); without it, the names of its tools.",
    ),
]


@reported
def learn(
    traces: Traces,
    format: FormatName = "auto",
    tools: ToolsFile = None,
    system_prompt: PromptFile = None,
    model: ModelName = None,
    sandbox: SandboxNames = DEFAULT_SANDBOX,
    packages: Packages = "",
    store: Store = DEFAULT_STORE,
    tenant: Tenant = "default",
    agent: AgentToTeach = None,
    as_json: AsJson = False,
) -> None:
    """Learn from recorded agent runs: traces of our own, LangSmith runs, or OpenTelemetry GenAI spans."""
    kind, prompt, chat = format_named(traces, format), prompt_in(system_prompt), named_model(model)
    declared = read_tools(tools) if tools else None
    home = named_sandbox(sandbox, packages)
    tally, interrupted = Tally(), ""
    with Stages(quiet=as_json) as stages, reached(store, tenant, agent) as opened:
        try:
            known = declared if declared is not None else inferred_tools_of(traces, kind, stages)
            hosted = [HostTool(tool, _never_run(tool.name)) for tool in known]
            with open_cache(
                opened, tenant, chat, sandbox=home, agent=agent, tools=hosted, system_prompt=prompt, now=datetime.now
            ) as cache:
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
        kinds.add_row(cut(kind.example), str(kind.traces), outcome, cut(kind.reason, 200))
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


def _hints(report: HarvestReport, inferred_tools: bool) -> list[str]:
    hints: list[str] = []
    if report.interrupted:
        hints.append(
            f"Stopped while {report.interrupted}; {report.read} runs are remembered. "
            "Run the same command again: it goes on from there."
        )
    elif not report.read:
        why = "see above for why" if report.unread else "the files hold nothing"
        hints.append(f"Nothing could be read: {why}. docs/harvest.md tells the formats.")
    if inferred_tools:
        hints.append(
            "The tools were inferred, and all are taken to write: what was learnt serves an agent with other ones only "
            "after runs that agree. Pass the agent's own with --tools FILE."
        )
    return hints


def _learn(
    cache: Learner, paths: Sequence[Path], kind: Format, tools: Sequence[Tool], tally: Tally, stages: Stages
) -> None:
    tally.tools = len(tools)
    items = read_traces(paths, kind, progress=stages.begin("reading"))
    remember(cache, items, tools, tally)
    if tally.new or tally.known:
        learn_kinds(cache, tally, stages.begin("learning"))


def _never_run(name: str) -> Callable[..., Value]:
    def run(*args: Any, **kwargs: Any) -> Value:
        raise CommandError(f"`seglam learn` runs no tools, and was asked to run {name!r}")

    return run
