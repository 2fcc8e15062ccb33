"""Whether a procedure may serve under the conditions of today: the agent's instructions and its tools' schemas."""

from __future__ import annotations

from collections.abc import Mapping

from seglam_agents.records.entry import Confirmation, Entry
from seglam_agents.records.procedure import Conditions
from seglam_agents.records.request import same_instructions
from seglam_agents.records.tools import Tool, same_condition, same_schema
from seglam_agents.serving.loading import AGREEING_TO_READ, AGREEING_TO_WRITE


def conditions_of(entry: Entry, instructions: str, tools: Mapping[str, Tool]) -> Conditions:
    """Return the conditions of today for a procedure: those of the tools that it uses, and what the agent is told."""
    learnt = entry.procedure.conditions.tools
    used = {name: tools[name].condition for name in learnt if name in tools}
    # What stands in an older record says less of a tool, and is compared as far as it goes.
    same = {name: learnt[name] if same_condition(learnt[name], today) else today for name, today in used.items()}
    learnt_under = entry.procedure.conditions.instructions
    told = learnt_under if same_instructions(learnt_under, instructions) else instructions
    return Conditions(instructions=told, tools=same)


def confirmed_by(entry: Entry, instructions: str, tools: Mapping[str, Tool]) -> Confirmation | None:
    """Return what is known of the runs that brought a procedure back; None where its conditions never changed."""
    today = conditions_of(entry, instructions, tools)
    return None if entry.procedure.conditions.key == today.key else entry.confirmation(today.key)


def hindrance(entry: Entry, instructions: str, tools: Mapping[str, Tool]) -> str | None:
    """Return why an active procedure does not serve but runs in shadow; None where its conditions hold.

    Where they changed, it comes back as soon as enough runs did what it says on some way through its body, and none
    did something else. Then it goes no other way (`Loaded.strays`).
    """
    learnt, today = entry.procedure.conditions, conditions_of(entry, instructions, tools)
    if learnt.key == today.key:
        return None
    confirmed = entry.confirmation(today.key)
    writes = any("write" in (use.effect, use.today(tools.get(use.name)).effect) for use in entry.procedure.tools)
    needed = AGREEING_TO_WRITE if writes else AGREEING_TO_READ
    agree = max((way.different for way in confirmed.ways), default=0)
    if agree >= needed and not confirmed.differed:
        return None
    changed = [name for name, condition in learnt.tools.items() if today.tools.get(name) != condition]
    what = f"the schema of {' and '.join(changed)}" if changed else "the agent's instructions"
    if changed and all(same_schema(learnt.tools[name], today.tools.get(name, "")) for name in changed):
        what = f"the description of {' and '.join(changed)}"
    said = f"{agree} of {needed} runs agree" + (f", {len(confirmed.differed)} differ" if confirmed.differed else "")
    return f"{what} changed since it was learnt: it runs in shadow, {said}"
