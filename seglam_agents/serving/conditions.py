"""Whether a procedure may serve under the conditions of today: the agent's instructions and its tools' schemas."""

from __future__ import annotations

from collections.abc import Mapping

from seglam_agents.records.entry import Entry
from seglam_agents.records.procedure import Conditions
from seglam_agents.records.tools import Tool

AGREEING_TO_READ = 1
"""Runs under new conditions that must do what a procedure says before it serves again, where it changes nothing."""
AGREEING_TO_WRITE = 2
"""The same for a procedure that writes."""


def conditions_of(entry: Entry, instructions: str, tools: Mapping[str, Tool]) -> Conditions:
    """Return the conditions of today for a procedure: those of the tools that it uses, and what the agent is told."""
    used = {use.name: tools[use.name].schema_hash for use in entry.procedure.tools if use.name in tools}
    return Conditions(instructions=instructions, tools=used)


def hindrance(entry: Entry, instructions: str, tools: Mapping[str, Tool]) -> str | None:
    """Return why an active procedure does not serve but runs in shadow; None where its conditions hold.

    Where they changed, it comes back as soon as enough runs did what it says, and none did something else.
    """
    learnt, today = entry.procedure.conditions, conditions_of(entry, instructions, tools)
    if learnt.key == today.key:
        return None
    confirmed = entry.confirmation(today.key)
    writes = any(use.effect == "write" for use in entry.procedure.tools)
    needed = AGREEING_TO_WRITE if writes else AGREEING_TO_READ
    if len(confirmed.agreed) >= needed and not confirmed.differed:
        return None
    changed = [name for name, schema in learnt.tools.items() if today.tools.get(name) != schema]
    what = f"the schema of {' and '.join(changed)}" if changed else "the agent's instructions"
    said = f"{len(confirmed.agreed)} of {needed} runs agree" + (
        f", {len(confirmed.differed)} differ" if confirmed.differed else ""
    )
    return f"{what} changed since it was learnt: it runs in shadow, {said}"
