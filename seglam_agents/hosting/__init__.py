"""One driver for every host: the turn of a request, the journal of writes, the learner, in plain values.

A host is whatever runs an agent: a framework, a server, a loop of twenty lines. What is the same for each is here; an
adapter translates messages and hooks into these values and back, and nothing else.
"""

from __future__ import annotations

from seglam_agents.hosting.accounting import Accounting, Price, ProcedureSavings, Saved, SavingsReport
from seglam_agents.hosting.base import HostedCache
from seglam_agents.hosting.driver import Driver, Drivers
from seglam_agents.hosting.journal import UNKNOWN, Go, InDoubt, Journal, Known, Write, idempotency_key, offering
from seglam_agents.hosting.learner import Learner, Learning
from seglam_agents.hosting.procedures import (
    arguments_model,
    described_procedure,
    effect_of,
    find_entry,
    is_procedure_tool,
    nearest,
    planned,
    provenance_of,
    told,
    tool_name,
    untitled,
)
from seglam_agents.hosting.running import MAX_CALLS, arun_plan, run_plan
from seglam_agents.hosting.traces import Said, SaidCall, Unclean, trace_of
from seglam_agents.hosting.turn import (
    Asked,
    Called,
    Carried,
    Decision,
    Event,
    GiveBack,
    Pass,
    Say,
    SayAnswer,
    Switch,
    Turn,
    View,
    new_id,
    origin_of,
)
from seglam_agents.hosting.values import is_json, json_of, parsed, render

__all__ = [
    "MAX_CALLS",
    "UNKNOWN",
    "Accounting",
    "Asked",
    "Called",
    "Carried",
    "Decision",
    "Driver",
    "Drivers",
    "Event",
    "GiveBack",
    "Go",
    "HostedCache",
    "InDoubt",
    "Journal",
    "Known",
    "Learner",
    "Learning",
    "Pass",
    "Price",
    "ProcedureSavings",
    "Said",
    "SaidCall",
    "Saved",
    "SavingsReport",
    "Say",
    "SayAnswer",
    "Switch",
    "Turn",
    "Unclean",
    "View",
    "Write",
    "arguments_model",
    "arun_plan",
    "described_procedure",
    "effect_of",
    "find_entry",
    "idempotency_key",
    "is_json",
    "is_procedure_tool",
    "json_of",
    "nearest",
    "new_id",
    "offering",
    "origin_of",
    "parsed",
    "planned",
    "provenance_of",
    "render",
    "run_plan",
    "told",
    "tool_name",
    "trace_of",
    "untitled",
]
