"""How stored procedures look: in a list, in full, and summed up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from seglam_agents.cli.outcomes import bound_line, shown
from seglam_agents.cli.output import plain
from seglam_agents.records.entry import AdmissionReport, Entry, Statistics
from seglam_agents.records.procedure import ClosingMode, Example, Parameter, Procedure
from seglam_agents.records.record import Json

CLOSINGS: dict[ClosingMode, str] = {
    "answer": "what the code returns",
    "code": "what the code returns",
    "report": "one line a call, with its result",
    "model": "the host's model says it, after the calls",
}
VERDICT_STYLES = {"passed": "green", "failed": "red", "skipped": "yellow"}


def list_view(entries: Sequence[Entry]) -> RenderableType:
    """Return the procedures as a table."""
    if not entries:
        return Text("No procedures yet. `seglam ask REQUEST --model MODEL` lets the model write the first one.")
    table = plain_table("procedure", "status", "sandbox", "answers", "hits", "saved tokens", "error bound")
    for entry in entries:
        procedure, done = entry.procedure, entry.statistics
        kind = procedure.description or next(iter(procedure.guard.templates), "(guard in code)")
        bound = bound_line(error_bound(entry.report))
        saved = f"{done.saved_tokens:,}"
        table.add_row(procedure.key, entry.status, procedure.home, kind, str(done.hits), saved, bound)
    return table


def list_document(entry: Entry) -> dict[str, Json]:
    """Return the line of a procedure for machines."""
    procedure = entry.procedure
    return {
        "id": procedure.id,
        "version": procedure.version,
        "name": procedure.name,
        "description": procedure.description,
        "status": entry.status,
        "sandbox": procedure.home,
        "templates": list(procedure.guard.templates),
        "statistics": plain(entry.statistics),
        "clean_replays": entry.report.clean_replays,
        "error_bound": error_bound(entry.report),
    }


def entry_document(entry: Entry) -> dict[str, Json]:
    """Return everything about a procedure for machines."""
    return {
        "procedure": plain(entry.procedure),
        "content_hash": entry.procedure.content_hash,
        "report": plain(entry.report),
        "clean_replays": entry.report.clean_replays,
        "error_bound": error_bound(entry.report),
        "status": entry.status,
        "wordings": [plain(wording) for wording in entry.wordings],
        "history": [plain(line) for line in entry.history],
        "statistics": plain(entry.statistics),
        "revision": entry.revision,
    }


def entry_view(entry: Entry) -> RenderableType:
    """Return everything about a procedure for people."""
    procedure = entry.procedure
    sections: list[tuple[str, RenderableType | None]] = [
        ("Guard", guard_view(procedure)),
        ("Parameters", _parameters(procedure.parameters)),
        ("Source", Syntax(procedure.body.strip(), "python", background_color="default")),
        ("Sandbox", Text(procedure.home)),
        ("Last message", Text(CLOSINGS[procedure.closing.mode])),
        ("Wordings", _wordings(entry)),
        ("Admission", _report(entry.report)),
        ("Provenance", _provenance(procedure)),
        ("Examples", _examples(procedure.examples)),
        ("Must decline", _examples(procedure.counterexamples)),
        ("History", _history(entry)),
        ("Statistics", Text(statistics_line(entry.statistics))),
        ("Error bound", Text(f"{bound_line(error_bound(entry.report))} ({entry.report.clean_replays} clean replays)")),
    ]
    return Group(_head(entry), *(part for section in sections for part in titled(*section)))


def stats_document(entries: Sequence[Entry]) -> dict[str, Json]:
    """Return the sums over all procedures for machines."""
    return {
        "procedures": len(entries),
        "status": dict(Counter[str](entry.status for entry in entries)),
        **total(entries).model_dump(),
    }


def stats_view(entries: Sequence[Entry]) -> RenderableType:
    """Return the sums over all procedures, and those with the most hits."""
    status = Counter[str](entry.status for entry in entries)
    counts = ", ".join(f"{count} {name}" for name, count in status.items())
    head = [Text(f"{len(entries)} procedures{f' ({counts})' if counts else ''}", style="bold")]
    table = plain_table("procedure", "hits", "gave up", "conflicts", "saved tokens")
    for entry in sorted(entries, key=lambda entry: -entry.statistics.hits)[:10]:
        done = entry.statistics
        table.add_row(
            entry.procedure.key, *map(str, (done.hits, done.deopts, done.conflicts)), f"{done.saved_tokens:,}"
        )
    return Group(*head, Text(statistics_line(total(entries))), *([table] if entries else []))


def total(entries: Iterable[Entry]) -> Statistics:
    """Return the sums of the statistics of several procedures."""
    sums: Counter[str] = Counter()
    for entry in entries:
        sums.update(entry.statistics.model_dump())
    return Statistics(**sums)


def error_bound(report: AdmissionReport) -> float | None:
    """Return the share of wrong answers that the clean replays exclude at 95 % confidence (rule of three)."""
    return min(1.0, 3 / report.clean_replays) if report.clean_replays else None


def guard_view(procedure: Procedure) -> RenderableType:
    """Return the templates of a guard, or its code, with the condition on the arguments."""
    guard = procedure.guard
    code = [Syntax(guard.code.strip(), "python", background_color="default")] if guard.code else []
    where = [Text(f"where {guard.where}")] if guard.where else []
    return Group(*(Text(template) for template in guard.templates), *code, *where)


def statistics_line(done: Statistics) -> str:
    """Return what one or several procedures did, as one line."""
    return f"{done.hits} hits, {done.deopts} give-ups, {done.conflicts} conflicts, {done.saved_tokens:,} tokens saved"


def plain_table(*columns: str) -> Table:
    """Return a table without lines whose cells fold instead of being cut. Ids stay whole, to be copied."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("procedure", "outcome"))
    return table


def titled(title: str, content: RenderableType | None) -> list[RenderableType]:
    """Return a section: a heading and its indented content; nothing where there is no content."""
    return [] if content is None else [Text(f"\n{title}", style="bold"), Padding(content, (0, 0, 0, 2))]


def _head(entry: Entry) -> Text:
    procedure = entry.procedure
    lines = [f"{procedure.name}, {entry.status}", procedure.description, f"hash {procedure.content_hash}"]
    return Text("\n").join([Text(procedure.key, style="bold"), *(Text(line) for line in lines if line)])


def _parameters(parameters: Sequence[Parameter]) -> RenderableType | None:
    table = plain_table("name", "type", "from", "")
    for parameter in parameters:
        table.add_row(parameter.name, parameter.slot, parameter.source, "may be absent" if parameter.optional else "")
    return table if parameters else None


def _wordings(entry: Entry) -> RenderableType | None:
    table = plain_table("wording", "status", "uses", "made from", "foretold", "contradicted")
    for wording in entry.wordings:
        said = wording.evidence
        numbers = (wording.uses, len(said.made_from), len(said.predicted), len(said.contradicted))
        table.add_row(wording.template, wording.status, *map(str, numbers))
    return table if entry.wordings else None


def _history(entry: Entry) -> RenderableType | None:
    table = plain_table("when", "version", "status", "why", "who")
    for line in entry.history:
        when = line.at.isoformat(timespec="seconds") if line.at else ""
        table.add_row(when, str(line.version), line.status, line.why, line.who)
    return table if entry.history else None


def _report(report: AdmissionReport) -> RenderableType:
    if not report.checks:
        return Text("No checks on record.")
    table = plain_table("check", "verdict", "cases", "evidence")
    for check in report.checks:
        verdict = Text(check.verdict, style=VERDICT_STYLES[check.verdict])
        table.add_row(check.name, verdict, str(check.cases or ""), check.evidence)
    return table


def _provenance(procedure: Procedure) -> RenderableType:
    origin = procedure.provenance
    rows = {
        "compiler": origin.compiler,
        "model": origin.model,
        "prompt": origin.prompt_hash,
        "traces": ", ".join(origin.trace_ids),
        "widens": origin.parent or "",
        "repairs": str(origin.repairs or ""),
        "written": origin.created_at.isoformat(timespec="seconds") if origin.created_at else "",
    }
    return Text("\n".join(f"{name:<9} {value}" for name, value in rows.items() if value))


def _examples(examples: Sequence[Example]) -> RenderableType | None:
    lines = [f"{e.text}{'' if e.answer is None else f' -> {shown(e.answer)}'} ({e.origin})" for e in examples]
    return Text("\n".join(lines)) if lines else None
