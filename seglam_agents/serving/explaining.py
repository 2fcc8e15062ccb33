"""What the procedures of other agents say to a request, for whoever looks into a store without being that agent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from seglam_agents.guards.guard import Declined
from seglam_agents.guards.normal import NormalText, normalise
from seglam_agents.records.entry import Entry
from seglam_agents.records.outcome import Explanation, Stop
from seglam_agents.records.procedure import Procedure
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.tools import Tool
from seglam_agents.records.values import encode
from seglam_agents.sandboxes.base import Limits, Sandbox
from seglam_agents.serving.loading import load
from seglam_agents.serving.lookup import MAX_EXPLAINED


@dataclass(frozen=True, slots=True)
class _Said:
    """What one procedure says to a request."""

    procedure: Procedure
    accepted: Mapping[str, Json] | None
    stop: Stop | None
    shared: float
    """The share of its required words that stand in the request: how near it is."""


def with_agents(own: Explanation, entries: Iterable[Entry], request: Request, sandbox: Sandbox) -> Explanation:
    """Return an explanation with what the procedures of other agents say, each as it was when it was learnt.

    Their tools and instructions are not known here, so that what these say today may keep one from serving.
    """
    if not own.normalised:
        return own  # Refused: no guard reads it.
    text = normalise(request.text)
    said = [_judged(entry, text, request, sandbox) for entry in entries]
    accepted = {each.procedure.key: each.accepted for each in said if each.accepted is not None}
    stopped = sorted((each for each in said if each.stop and each.shared > 0), key=lambda each: -each.shared)
    names = {each.procedure.key: _agent(each.procedure) for each in said}
    stops = tuple(each.stop for each in stopped[:MAX_EXPLAINED] if each.stop)
    return replace(
        own,
        verdict=own.verdict if own.accepted or not accepted else _verdict(names[key] for key in accepted),
        accepted=(*own.accepted, *accepted),
        arguments={**own.arguments, **accepted},
        stops=(*own.stops, *stops),
        agents={key: name for key, name in names.items() if key in accepted or any(s.procedure == key for s in stops)},
    )


def _agent(procedure: Procedure) -> str:
    name = procedure.scope.agent
    if not name.startswith("tools-"):
        return name
    return f"without a name that calls {' and '.join(use.name for use in procedure.tools) or 'nothing'}"


def _verdict(agents: Iterable[str]) -> str:
    each = sorted(set(agents))
    return f"accepted for the agent {each[0]}" if len(each) == 1 else f"accepted for the agents {', '.join(each)}"


def _judged(entry: Entry, text: NormalText, request: Request, sandbox: Sandbox) -> _Said:
    procedure = entry.procedure
    try:
        guard = load(procedure, sandbox, tools=_recorded(procedure), limits=Limits()).guard
        judgement = guard.explain(text, request.context)
    except Exception as error:  # One that cannot be read is told, and hides no other.
        judgement = Declined("code", f"it cannot be read: {error}")
    shared = _shared(procedure, text)
    if isinstance(judgement, Declined):
        return _Said(
            procedure, None, Stop(procedure=procedure.key, stage=judgement.stage, reason=judgement.reason), shared
        )
    if entry.status != "active":
        why = entry.history[-1].why if entry.history else ""
        reason = f"it would accept, but is {entry.status}{f': {why}' if why else ''}"
        return _Said(procedure, None, Stop(procedure=procedure.key, stage=entry.status, reason=reason), 1.0)
    return _Said(procedure, {name: encode(value) for name, value in judgement.arguments.items()}, None, 1.0)


def _recorded(procedure: Procedure) -> dict[str, Tool]:
    """Return the tools of a procedure as far as its record tells."""
    return {use.name: Tool(name=use.name, effect=use.effect, idempotent=use.idempotent) for use in procedure.tools}


def _shared(procedure: Procedure, text: NormalText) -> float:
    present = frozenset(text.text.casefold().split())
    words = [frozenset(template.casefold().split()) for template in procedure.guard.templates]
    return max((len(each & present) / len(each) for each in words if each), default=1.0)
