"""The report of a run: as JSON, and as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.agents.figures import Counts, Figures
from benchmarks.machine import versions_line
from seglam_agents.records.record import Json, Record
from seglam_agents.records.usage import Usage

SHOWN = 8
"""How many reasons and wrong requests are printed; the JSON has them all."""


class AgentsReport(Record):
    """Everything there is to say about one run."""

    benchmark: str = "agents"
    method: str
    settings: dict[str, Json]
    model: str
    """The model of the agent."""
    compiler: str
    """The model that compiles what traces do not explain; empty where there is none."""
    recorded: bool
    """Whether that model's answers come from a recording."""
    complete: bool
    """False where the run was interrupted: the figures are those of what was sent until then."""
    sizes: dict[str, int]
    procedures: int
    """Procedures that served at the end."""
    seconds: float
    versions: dict[str, str]
    figures: Figures


def print_report(report: AgentsReport, console: Console) -> None:
    """Print the report for a person."""
    figures = report.figures
    _print_heading(report, console)
    console.print(_table("By domain", figures.domains, figures.total))
    if len(figures.passes) > 1:
        passes = {f"pass {number}": counts for number, counts in enumerate(figures.passes, 1)}
        console.print(_table("By pass", passes, figures.total))
    _print_states(figures.total, console)
    tenths = " ".join("-" if share is None else f"{share:.0%}" for share in figures.deciles)
    console.print(f"model calls saved, by tenths of the stream: {tenths}")
    _print_reasons("Nothing stored", figures.refusals, console)
    _print_reasons("Procedures gave up", figures.give_ups, console)
    for query in figures.wrong[:SHOWN]:
        console.print(f"[red]wrong[/]: {escape(query)}", highlight=False)
    _print_bars(figures, console)


def _print_heading(report: AgentsReport, console: Console) -> None:
    console.print(f"[bold]{escape(report.method)}[/]")
    console.print(", ".join(f"{number} {name}" for name, number in report.sizes.items()))
    origin = " (recorded)" if report.recorded else ""
    console.print(escape(f"agent: {report.model}; compiler: {report.compiler or 'traces alone'}{origin}"))
    console.print(escape(", ".join(f"{name} {value}" for name, value in report.settings.items())))
    console.print(escape(versions_line(report.versions)))
    console.print(f"{report.procedures} procedures at the end, {report.seconds} s")
    if not report.complete:
        console.print("[yellow]PARTIAL: interrupted[/]")


_COLUMNS = (
    "requests", "right", "without", "changing: right", "without", "doing nothing", "hits", "deopts", "misses",
    "writes", "wrong", "repeated", "model calls", "without", "saved", "tokens in/out", "without",
)  # fmt: skip


def _table(title: str, groups: Mapping[str, Counts], total: Counts) -> Table:
    table = Table("", title=title, title_justify="left", box=box.SIMPLE_HEAD, show_footer=True)
    table.columns[0].footer = "total"
    for name, value in zip(_COLUMNS, _cells(total), strict=True):
        table.add_column(name, value, justify="right")
    for name, counts in groups.items():
        table.add_row(escape(name), *_cells(counts))
    return table


def _cells(counts: Counts) -> list[str]:
    return [
        *map(str, (counts.requests, counts.right, counts.right_without)),
        f"{counts.changing_right}/{counts.changing}",
        f"{counts.changing_right_without}/{counts.changing}",
        *map(str, (counts.doing_nothing, counts.hits, counts.deopts, counts.misses)),
        *map(str, (counts.writes, counts.wrong_writes, counts.repeated_writes)),
        *map(str, (counts.used.calls, counts.used_without.calls)),
        "-" if counts.saved is None else f"{counts.saved:.1%}",
        *map(_tokens, (counts.used, counts.used_without)),
    ]


def _print_states(total: Counts, console: Console) -> None:
    console.print(
        f"wrong hits: {total.wrong_hits} of {total.hits}, below {total.wrong_hits_upper:.2%} at 95 % confidence; "
        f"doing nothing would be right for {total.doing_nothing} of {total.requests} requests"
    )
    if total.compiling.calls:
        console.print(f"of the model calls, {total.compiling.calls} compiled ({_tokens(total.compiling)} tokens)")


def _print_reasons(title: str, reasons: Mapping[str, int], console: Console) -> None:
    if not reasons:
        return
    table = Table("times", "reason", title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for reason, times in list(reasons.items())[:SHOWN]:
        table.add_row(str(times), escape(reason))
    console.print(table)
    if len(reasons) > SHOWN:
        console.print(f"… and {len(reasons) - SHOWN} reasons more in the JSON")


def _print_bars(figures: Figures, console: Console) -> None:
    for bar in figures.bars:
        verdict = "[green]pass[/]" if bar.passed else "[red]FAIL[/]"
        console.print(f"{verdict} {escape(bar.name)}: {escape(bar.value)}", highlight=False)


def _tokens(usage: Usage) -> str:
    return f"{usage.input_tokens:,}/{usage.output_tokens:,}"
