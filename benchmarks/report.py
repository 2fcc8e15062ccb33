"""The report of a stream: as JSON, and as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.figures import Bound, Counts, Figures, Group
from benchmarks.machine import versions_line
from seglam_agents.records.record import Json, Record
from seglam_agents.records.usage import Usage

SHOWN = 5
"""How many wrong hits and groups are printed; the JSON has them all."""


class StreamReport(Record):
    """Everything there is to say about one run."""

    benchmark: str = "stream"
    method: str
    settings: dict[str, Json]
    model: str
    recorded: bool
    """Whether the model's answers come from a recording: their seconds and tokens are those of the recording."""
    complete: bool
    """False where the run was interrupted or given up: the figures are those of what was sent until then."""
    ended: str
    """Why the run is not complete."""
    sizes: dict[str, int]
    procedures: int
    """Procedures in the store at the end."""
    versions: dict[str, str]
    figures: Figures


def print_report(report: StreamReport, console: Console) -> None:
    """Print the report for a person."""
    figures = report.figures
    _print_heading(report, console)
    console.print(_table("Requests", figures.kinds, figures.total))
    if figures.near_misses.requests:
        console.print(_table("Near misses", figures.near_miss_kinds, figures.near_misses))
    _print_wrong(figures, console)
    _print_bounds(figures, console)
    _print_model(report, console)
    _print_groups("Misses", figures.misses, console)
    _print_groups("Near misses that were declined", figures.near_misses_declined, console)
    _print_groups("Nothing stored", figures.learning.refusals, console)
    _print_groups("Errors", figures.errors, console)
    _print_latency(figures, console)
    _print_break_even(report, console)


def _print_heading(report: StreamReport, console: Console) -> None:
    console.print(f"[bold]{escape(report.method)}[/]")
    console.print(", ".join(f"{number} {name}" for name, number in report.sizes.items()))
    origin = " (recorded: tokens and seconds of the model are those of the recording)" if report.recorded else ""
    console.print(escape(f"model: {report.model}{origin}"))
    console.print(escape(", ".join(f"{name} {value}" for name, value in report.settings.items())))
    console.print(escape(versions_line(report.versions)))
    if not report.complete:
        console.print(f"[yellow]PARTIAL: {escape(report.ended)}[/]")


_COLUMNS = (
    "requests", "hits", "right", "wrong", "rounding", "misses", "deopts", "refused", "errors", "right answers",
    "hits from 3rd on", "calls", "compile in/out", "repair in/out", "interpret in/out", "admitted", "widened",
    "rejected",
)  # fmt: skip


def _table(title: str, kinds: Mapping[str, Counts], total: Counts) -> Table:
    table = Table("kind", title=title, title_justify="left", box=box.SIMPLE_HEAD, show_footer=True)
    table.columns[0].footer = "total"
    for name, value in zip(_COLUMNS, _cells(total), strict=True):
        table.add_column(name, value, justify="right")
    for kind, counts in kinds.items():
        table.add_row(escape(kind), *_cells(counts))
    return table


def _cells(counts: Counts) -> list[str]:
    numbers = (
        counts.requests, counts.hits, counts.right_hits, counts.wrong_hits, counts.wrong_by_rounding,
        counts.misses, counts.deopts, counts.refused, counts.errors,
    )  # fmt: skip
    rejected = sum(counts.learned.get(status, 0) for status in ("rejected", "not crystallizable", "failed"))
    return [
        *map(str, numbers),
        f"{counts.right_answers}/{counts.answerable}",
        _share(counts.later_share),
        str(counts.model_usage.calls),
        *map(_tokens, (counts.compile, counts.repair, counts.interpret)),
        *(str(counts.learned.get(status, 0)) for status in ("admitted", "widened")),
        str(rejected),
    ]


def _print_wrong(figures: Figures, console: Console) -> None:
    for wrong in figures.wrong_hits[:SHOWN]:
        where = f"{'near miss of ' if wrong.near_miss else ''}{wrong.kind}, {wrong.procedure}, {wrong.verdict}"
        console.print(f"[red]wrong hit[/] ({escape(where)}): {wrong.given!r} for {wrong.right!r}", highlight=False)
        console.print(escape(f"    {wrong.request}"), highlight=False)
    if len(figures.wrong_hits) > SHOWN:
        console.print(f"… and {len(figures.wrong_hits) - SHOWN} wrong hits more, all of them in the JSON")


def _print_bounds(figures: Figures, console: Console) -> None:
    console.print("wrong of all hits: " + _bound(figures.wrong_of_hits))
    if figures.near_misses.requests:
        console.print("wrong of near misses sent after their kind was cached: " + _bound(figures.wrong_of_near_misses))
        console.print(f"near misses sent although their kind was never cached: {figures.near_misses_before_cached}")


def _print_model(report: StreamReport, console: Console) -> None:
    learning = report.figures.learning
    console.print(
        f"procedures in the store: {report.procedures}; model calls per admitted procedure: "
        f"{_number(learning.calls_per_admitted)} compiling, {_number(learning.all_calls_per_admitted)} in all; "
        "output tokens per procedure (median): "
        f"{_number(learning.output_tokens_per_procedure)}"
    )


def _print_groups(title: str, groups: Sequence[Group], console: Console) -> None:
    if not groups:
        return
    table = Table(
        "", "what", "nearest guard stopped at", "for example", title=title, title_justify="left", box=box.SIMPLE
    )
    for group in groups[:SHOWN]:
        where = f"{group.where}: {_short(group.detail)}" if group.where else ""
        table.add_row(str(group.count), escape(_short(group.what, 300)), escape(where), escape(_short(group.example)))
    console.print(table)
    if len(groups) > SHOWN:
        console.print(f"… and {len(groups) - SHOWN} groups more in the JSON")


def _print_latency(figures: Figures, console: Console) -> None:
    latency = figures.latency
    console.print(
        "hits in ms: "
        f"measured by the cache p50 {_number(latency.measured_p50, 3)}, p99 {_number(latency.measured_p99, 3)}"
        f"; wall clock p50 {_number(latency.wall_p50, 3)}, p99 {_number(latency.wall_p99, 3)} ({latency.hits} hits)"
    )


def _print_break_even(report: StreamReport, console: Console) -> None:
    baseline, found = report.figures.baseline, report.figures.break_even
    if baseline.failure:
        console.print(f"[yellow]the baseline was cut short: {escape(baseline.failure)}[/]")
    if found is None:
        console.print(
            "break-even: not computed, because no interpretation by the model alone was measured (--baseline)"
        )
        return
    first = f"at request {found.first_below}" if found.first_below else "not reached"
    lasting = f", for good from request {found.below_from}" if found.below_from else ""
    console.print(
        f"break-even: {first}{lasting}; {found.tokens_with} tokens with the cache, {found.tokens_without:.0f} without "
        f"({baseline.tokens_per_request:.0f} per request, measured on {baseline.requests}, booked apart: "
        f"{baseline.usage.tokens} tokens)"
    )


def _bound(bound: Bound) -> str:
    if bound.rate is None:
        return "nothing to judge"
    return f"{bound.wrong} of {bound.trials} ({bound.rate:.2%}), at most {bound.upper:.2%} at 95 % confidence"


def _tokens(usage: Usage) -> str:
    return f"{usage.input_tokens}/{usage.output_tokens}" if usage.calls else "-"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _short(text: str, length: int = 120) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
