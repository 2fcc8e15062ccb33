"""How the demo ends: sums, one answer traced to its source, and the falling costs."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from seglam_agents.demo.report import Report, Traced
from seglam_agents.records.outcome import Citation
from seglam_agents.records.record import Json


def show_report(report: Report, console: Console) -> None:
    """Print the end of the demo."""
    _section(console, "Summary", _sums(report))
    if wrong := [miss for miss in report.near_misses if miss.verdict == "hit wrong"]:
        lines = [f"{miss.request}\n  got {miss.answer}, right is {miss.known}, from {miss.source}" for miss in wrong]
        _section(console, "Near misses answered wrong", Text("\n".join(lines)))
    if report.traced:
        _section(console, "One answer, traced", _trace(report.traced))
    if report.steps:
        _section(console, "Costs fall as the cache learns", chart(report, mark=_mark(console)))


def chart(report: Report, *, mark: str = "█", width: int = 24) -> RenderableType:
    """Return model calls and tokens of every ten requests as bars."""
    blocks = report.blocks()
    most_calls = max(block.model_calls for block in blocks) or 1
    most_tokens = max(block.tokens_per_request for block in blocks) or 1
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("requests", "model calls", "", "tokens per request", ""):
        table.add_column(column, no_wrap=True, justify="left" if column else "right")
    for block in blocks:
        calls = Text(_bar(block.model_calls / most_calls, mark, width), style="cyan")
        tokens = Text(_bar(block.tokens_per_request / most_tokens, mark, width), style="magenta")
        span = f"{block.first}-{block.last}"
        table.add_row(span, calls, str(block.model_calls), tokens, f"{block.tokens_per_request:,.0f}")
    return table


def _bar(share: float, mark: str, width: int) -> str:
    return mark * (max(1, round(share * width)) if share else 0)


def _mark(console: Console) -> str:
    return "█" if console.encoding.lower().startswith("utf") else "#"


def _section(console: Console, title: str, content: RenderableType) -> None:
    console.print(Group(Text(f"\n{title}", style="bold"), Padding(content, (0, 0, 0, 2))))


def _sums(report: Report) -> RenderableType:
    sums = report.sums()
    p50 = sums["hit_p50_ms"]
    rows = {
        "requests": f"{sums['requests']}: {sums['right']} right, {sums['wrong']} wrong",
        "hits": f"{sums['hits']} without a model, {sums['wrong_hits']} of them wrong",
        "near misses": f"{len(report.near_misses)}: {sums['near_misses_declined']} declined, "
        f"{sums['near_misses_hit_right']} answered right, {sums['near_misses_hit_wrong']} answered wrong",
        "model": f"{sums['model_calls']} calls, {sums['tokens']:,} tokens",
        "a hit takes": "no hits" if p50 is None else f"{p50:.1f} ms (median)",
        "procedures": f"{len(report.procedures)}: {', '.join(procedure.name for procedure in report.procedures)}",
    }
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, value in rows.items():
        table.add_row(name, Text(value))
    return table


def _trace(traced: Traced) -> RenderableType:
    procedure, hit = traced.procedure, traced.hit
    parts: Mapping[str, RenderableType] = {
        "request": Text(traced.request),
        "guard": Text("\n".join(procedure.guard.templates) or "(in code)"),
        "source": Syntax((procedure.guard.code or procedure.body).strip(), "python", background_color="default"),
        "arguments": Text(", ".join(f"{name}={_shown(value)}" for name, value in hit.arguments.items())),
        "answer": Text(_shown(hit.answer), style="bold"),
        "citation": Text(_cited(hit.citation)),
    }
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, part in parts.items():
        table.add_row(name, part)
    return table


def _cited(citation: Citation) -> str:
    bound = citation.error_bound
    known = "" if bound is None or bound >= 1 else f", at most {bound:.1%} wrong at 95 % confidence"
    return f"{citation.key}, hash {citation.content_hash[:12]}, {citation.clean_replays} clean replays{known}"


def _shown(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
