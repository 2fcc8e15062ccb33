"""`seglam backtest`: what a cache would have done with recorded runs, had it been there from the first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from seglam_agents.cli.entries import plain_table, titled
from seglam_agents.cli.errors import reported
from seglam_agents.cli.exports import (
    INTERRUPTED,
    FormatName,
    PromptFile,
    Stages,
    ToolsFile,
    Traces,
    cut,
    format_named,
    prompt_in,
)
from seglam_agents.cli.options import AsJson
from seglam_agents.cli.output import console, plain, print_json
from seglam_agents.figures import check_drawing
from seglam_agents.harvest.backtest import Backtest, BacktestReport, KindBacktest, Replayed, in_order_of_time
from seglam_agents.harvest.plot import save_backtest
from seglam_agents.harvest.reading import Unread, read_traces
from seglam_agents.harvest.tools import read_tools, tools_of
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import Trace

Plot = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", help="Draw what was spent and what would have been, as .svg or .png."),
]
SHOWN = 20
"""Lines of a list that may be long; the JSON document has all of them."""


@reported
def backtest(
    traces: Traces,
    format: FormatName = "auto",
    tools: ToolsFile = None,
    system_prompt: PromptFile = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Replay recorded agent runs in the order of time: what would have hit, what would have been wrong, what saved.

    Nothing is carried out, no model is asked, and nothing is kept.
    """
    kind, prompt = format_named(traces, format), prompt_in(system_prompt)
    declared = read_tools(tools) if tools else None
    if plot:
        check_drawing(plot)
    found = _Found()
    with Stages(quiet=as_json) as stages:
        try:
            found.read(read_traces(traces, kind, progress=stages.begin("reading")))
            known = declared if declared is not None else tools_of(found.traces)
            report = _replayed(found.taken(known), known, prompt, stages)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
    if plot and report.runs:
        save_backtest(report, plot)
    if as_json:
        document = cast("dict[str, object]", plain(report))
        print_json({**document, "unread": plain(found.unread), "inferred_tools": declared is None, "plot": plot})
    else:
        console().print(report_view(report, found.unread, inferred_tools=declared is None))
        if plot and report.runs:
            console().print(f"\nPlot: {plot}", soft_wrap=True)
    if not report.runs:
        raise typer.Exit(1)


def report_view(report: BacktestReport, unread: Sequence[Unread], *, inferred_tools: bool) -> RenderableType:
    """Return the kinds, the sums, every wrong run, and what to do next."""
    return Group(
        *titled("Would have been served", _served([kind for kind in report.kinds if kind.procedure])),
        *titled("Not served", _not_served([kind for kind in report.kinds if not kind.procedure])),
        *titled("Wrong", _list(report.wrong_runs)),
        *titled("Right calls, answered in other words: read them", _list(report.reworded_runs[:SHOWN])),
        *titled("Not read", _unread(unread)),
        Text(""),
        *map(Text, _sums(report, unread)),
        *(Text(f"\n{line}", style="yellow") for line in _hints(report, inferred_tools)),
    )


@dataclass(slots=True)
class _Found:
    traces: list[Trace] = field(default_factory=list[Trace])
    unread: list[Unread] = field(default_factory=list[Unread])

    def read(self, items: Iterable[Trace | Unread]) -> None:
        for item in items:
            if isinstance(item, Unread):
                self.unread.append(item)
            else:
                self.traces.append(item)

    def taken(self, tools: Sequence[Tool]) -> list[Trace]:
        """Return the runs whose tools are declared; the others count as unread."""
        names = {tool.name for tool in tools}
        known: list[Trace] = []
        for trace in self.traces:
            stray = sorted({call.tool for call in trace.calls} - names)
            if stray:
                reason = f"it calls tools that are not declared: {', '.join(stray)}; add them to --tools"
                self.unread.append(Unread(source="", place=f"request {trace.request.text[:80]!r}", reason=reason))
            else:
                known.append(trace)
        return known


def _replayed(traces: Sequence[Trace], tools: Sequence[Tool], prompt: str, stages: Stages) -> BacktestReport:
    ordered = in_order_of_time(traces)
    progress = stages.begin("replaying")
    timed = any(trace.recorded_at for trace in ordered)
    with Backtest(tools, system_prompt=prompt, timed=timed) as test:
        try:
            for done, trace in enumerate(ordered, 1):
                test.replay(trace)
                progress(done, len(ordered))
        except KeyboardInterrupt:
            stages.current = "interrupted"
        return test.report()


def _sums(report: BacktestReport, unread: Sequence[Unread]) -> list[str]:
    share = f" ({report.hits / report.runs:.0%})" if report.runs else ""
    lines = [
        f"{report.runs} runs replayed, {len(unread)} not read",
        f"{report.hits} would have been hits{share}: "
        f"{report.right} right, {report.reworded} right calls in other words, {report.wrong} wrong",
        f"{report.gave_up} would have given up, {report.off_record} would have read what is not on record, "
        f"{report.misses} missed",
    ]
    if report.tokens:
        spared = report.saved_tokens / report.tokens
        lines.append(f"{report.saved_tokens:,} of {report.tokens:,} tokens saved ({spared:.0%})")
    if report.model_calls:
        lines.append(f"{report.saved_model_calls:,} of {report.model_calls:,} model calls saved")
    return lines


def _served(kinds: Sequence[KindBacktest]) -> RenderableType | None:
    if not kinds:
        return None
    table = plain_table("request", "runs", "first hit", "hits", "wrong", "gave up", "tokens saved")
    for kind in kinds:
        first = f"run {kind.first_hit}" if kind.first_hit else "not yet"
        saved = f"{kind.saved_tokens:,} of {kind.tokens:,}" if kind.tokens else ""
        figures = (kind.hits, kind.wrong, kind.gave_up)
        table.add_row(cut(kind.example), str(kind.runs), first, *map(str, figures), saved)
    return table


def _not_served(kinds: Sequence[KindBacktest]) -> RenderableType | None:
    if not kinds:
        return None
    table = plain_table("runs", "for example", "tokens", "in the way")
    for kind in kinds[:SHOWN]:
        table.add_row(str(kind.runs), cut(kind.example), f"{kind.tokens:,}", cut(kind.in_the_way, 120))
    if len(kinds) > SHOWN:
        table.add_row(
            str(sum(kind.runs for kind in kinds[SHOWN:])), f"{len(kinds) - SHOWN} more kinds: --json has them"
        )
    return table


def _list(runs: Sequence[Replayed]) -> RenderableType | None:
    if not runs:
        return None
    table = plain_table("when", "request", "what", "recorded", "predicted", "procedure")
    for run in runs:
        when = f"{run.recorded_at:%Y-%m-%d %H:%M}" if run.recorded_at else ""
        what = f"{run.verdict}: {run.reason}" if run.wrong else run.reason
        table.add_row(when, run.request, what, str(run.recorded), str(run.predicted), run.procedure)
    return table


def _unread(unread: Sequence[Unread]) -> RenderableType | None:
    if not unread:
        return None
    reasons: dict[str, list[Unread]] = {}
    for item in unread:
        reasons.setdefault(item.reason, []).append(item)
    table = plain_table("times", "why", "for example")
    for reason, items in reasons.items():
        table.add_row(str(len(items)), reason, f"{items[0].source} {items[0].place}".strip())
    return table


def _hints(report: BacktestReport, inferred_tools: bool) -> list[str]:
    hints: list[str] = []
    if not report.runs:
        hints.append("Nothing could be replayed: see above for why, and docs/harvest.md for the formats.")
    elif inferred_tools:
        hints.append(
            "The tools were inferred, and all are taken to write: far less is served than with the agent's own tools. "
            "Pass them with --tools FILE."
        )
    if report.runs and not report.tokens:
        hints.append("The runs do not say how many tokens they took: what would have been saved is not known.")
    return hints
