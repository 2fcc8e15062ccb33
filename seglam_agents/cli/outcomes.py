"""How outcomes and explanations look."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from seglam_agents.cli.output import plain
from seglam_agents.records.outcome import Citation, Deopt, Explanation, Hit, Miss, Outcome, Recognised, Refused
from seglam_agents.records.record import Json


def outcome_document(outcome: Outcome) -> dict[str, Json]:
    """Return an outcome for machines; `outcome` says which of the four it is."""
    document = plain(outcome)
    fields = document if isinstance(document, dict) else {}
    return {"outcome": type(outcome).__name__.lower(), **fields}


def outcome_view(outcome: Outcome, *, asked_model: bool) -> RenderableType:
    """Return the answer with where it comes from, or why there is none."""
    answer = (
        Text(shown(outcome.answer), style="bold") if outcome.answer is not None else Text("No answer.", style="bold")
    )
    return Group(answer, *(Text(line) for line in _lines(outcome)), *_hint(outcome, asked_model))


def explanation_view(explanation: Explanation) -> RenderableType:
    """Return which guards accept a request with which arguments, and where the others stopped."""
    accepted = [
        Text.assemble(
            ("accepts   ", "green"),
            key,
            "  ",
            arguments_line(explanation.arguments.get(key, {})),
            _whose(explanation, key),
        )
        for key in explanation.accepted
    ]
    stops = Table(title="Declined, nearest first", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("procedure", "stage", "reason"):
        stops.add_column(column, overflow="fold", no_wrap=column == "procedure")
    for stop in explanation.stops:
        stops.add_row(stop.procedure, stop.stage, f"{stop.reason}{_whose(explanation, stop.procedure)}")
    head = [Text(explanation.verdict, style="bold"), Text(f"read as: {explanation.normalised}")]
    return Group(*head, *accepted, *([stops] if explanation.stops else []))


def _whose(explanation: Explanation, key: str) -> str:
    agent = explanation.agents.get(key)
    return f"  (agent {agent})" if agent else ""


def arguments_line(arguments: Mapping[str, Json]) -> str:
    """Return arguments as `name=value`, separated by commas."""
    return ", ".join(f"{name}={shown(value)}" for name, value in arguments.items())


def shown(value: Json) -> str:
    """Return a JSON value for people: a text without its quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def citation_line(citation: Citation) -> str:
    """Return where an answer comes from, with what is known about its errors."""
    replays = f"{citation.clean_replays} clean replays" if citation.clean_replays else "no replays"
    known = f"{replays}, {bound_line(citation.error_bound)}"
    return f"{citation.key} ({citation.name}), {known}, hash {citation.content_hash[:12]}"


def bound_line(bound: float | None) -> str:
    """Return an error bound for people."""
    if bound is None or bound >= 1:
        return "too few replays for a bound"
    return f"at most {bound:.1%} wrong at 95 % confidence"


def _lines(outcome: Outcome) -> list[str]:
    match outcome:
        case Hit():
            return [
                f"hit: 0 model calls, {outcome.timing.total * 1000:.1f} ms",
                f"from: {citation_line(outcome.citation)}",
                *([f"by: {outcome.citation.wording}"] if outcome.citation.wording else []),
                f"with: {arguments_line(outcome.arguments)}",
            ]
        case Recognised():
            return [
                f"recognised: code answered, {outcome.usage.tokens} tokens for naming the procedure",
                f"from: {citation_line(outcome.citation)}",
                f"with: {arguments_line(outcome.arguments)}",
            ]
        case Miss():
            return [f"miss: {outcome.reason}", *_source(outcome), *_learned(outcome)]
        case Deopt():
            return [f"gave up: {outcome.reason}", f"in: {citation_line(outcome.citation)}", *_source(outcome)]
        case Refused():
            return [f"refused: {outcome.reason}"]


def _source(outcome: Miss | Deopt) -> list[str]:
    if outcome.answered_by == "nobody":
        return []
    usage = outcome.usage
    return [f"answered by: {outcome.answered_by} ({usage.calls} model calls, {usage.tokens} tokens)"]


def _learned(miss: Miss) -> list[str]:
    if miss.learned is None:
        return []
    learned = miss.learned
    return [f"learned: {' '.join(part for part in (learned.status, learned.procedure, learned.reason) if part)}"]


def _hint(outcome: Outcome, asked_model: bool) -> list[Text]:
    if asked_model or outcome.answer is not None or isinstance(outcome, Refused):
        return []
    return [Text("No model was asked: pass --model to have it answered, or see `seglam why REQUEST`.", style="dim")]
