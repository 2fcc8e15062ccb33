"""One driver for every host: the turn of a request, the journal of writes, the learner, in plain values.

A host is whatever runs an agent: a framework, a server, a loop of twenty lines. What is the same for each is here; an
adapter translates messages and hooks into these values and back, and nothing else.
"""

from __future__ import annotations

from seglam_agents.embedders.base import Embedder
from seglam_agents.flow import Flow, adrive, drive, host, work
from seglam_agents.hosting.accounting import Accounting, Price, ProcedureSavings, Saved, SavingsReport
from seglam_agents.hosting.answering import Answering, Seen, Session, Source, Sourced, Unfit, vouched
from seglam_agents.hosting.base import HostedCache, require_cache
from seglam_agents.hosting.choosing import (
    Choice,
    Chooser,
    ChoosingSession,
    Chosen,
    choices_of,
    choosing_tool,
    noted,
    trace_of_choices,
)
from seglam_agents.hosting.decision import Decision, Event, GiveBack, Pass, Say, SayAnswer
from seglam_agents.hosting.driver import WRITE, Driver
from seglam_agents.hosting.drivers import Drivers
from seglam_agents.hosting.executed import Executed, Shown, carried_as
from seglam_agents.hosting.fitting import (
    Misfit,
    fit,
    form_digest,
    misfits,
    misfits_of,
    plain,
    returned,
    unreadable,
)
from seglam_agents.hosting.history import Heard, Posed, after, earlier_than_attempts, posed, until
from seglam_agents.hosting.journal import (
    LOST,
    STRANGE,
    UNKNOWN,
    UNNOTED,
    UNREAD,
    Go,
    InDoubt,
    Journal,
    Known,
    Write,
    as_made,
    idempotency_key,
    offering,
    once,
)
from seglam_agents.hosting.kept import Kept
from seglam_agents.hosting.learner import Learner, Learning
from seglam_agents.hosting.offers import Offer
from seglam_agents.hosting.parts import Done, Part, Spoken
from seglam_agents.hosting.passages import Passages, Retrieving
from seglam_agents.hosting.procedures import (
    arguments_model,
    described_procedure,
    effect_of,
    find_entry,
    is_procedure_tool,
    nearest,
    provenance_of,
    serving,
    tool_name,
    untitled,
)
from seglam_agents.hosting.questions import Questions
from seglam_agents.hosting.reading import MAX_ROWS, Frame, Reading, Rows, Statements
from seglam_agents.hosting.requests import result_document, result_instead
from seglam_agents.hosting.running import MAX_CALLS, arun_plan, run_blocking, run_plan, running
from seglam_agents.hosting.runs import AgentRun, Parts, RunStore, load_run, save_run
from seglam_agents.hosting.safety import safely, tried, unharmed
from seglam_agents.hosting.tenants import OpenedCaches
from seglam_agents.hosting.tools import Told, among, checked_effect, function_of, known_effects, planned, told, used
from seglam_agents.hosting.traces import Said, Unclean, trace_of
from seglam_agents.hosting.turn import (
    RETOLD,
    Asked,
    Called,
    Carried,
    Left,
    Switch,
    Turn,
    View,
    kept_turn,
    new_id,
    origin_of,
    request_name,
    retold,
    switch_of,
)
from seglam_agents.hosting.values import (
    encoded,
    encoded_or,
    fields_of,
    is_array,
    is_json,
    is_object,
    json_of,
    mapping,
    parsed,
    render,
    several,
    text_in,
)
from seglam_agents.hosting.whole import Answered, answer_purely, follow
from seglam_agents.models.base import Message
from seglam_agents.models.tokens import counts_of, cut_off, ended_by_length, reported_counts
from seglam_agents.models.wrapped import Reply, WrappedModel
from seglam_agents.records.entry import Entry
from seglam_agents.records.errors import ModelError
from seglam_agents.records.exchange import encoded_or_described
from seglam_agents.records.procedure import Procedure
from seglam_agents.records.record import Json, Record, digest, known_fields
from seglam_agents.records.request import instructions_beside, instructions_digest
from seglam_agents.records.telling import tell
from seglam_agents.records.tools import Effect
from seglam_agents.records.trace import ModelStep, Step
from seglam_agents.records.usage import Usage
from seglam_agents.records.values import Value, decode, encode

__all__ = [
    "LOST",
    "MAX_CALLS",
    "MAX_ROWS",
    "RETOLD",
    "STRANGE",
    "UNKNOWN",
    "UNNOTED",
    "UNREAD",
    "WRITE",
    "Accounting",
    "AgentRun",
    "Answered",
    "Answering",
    "Asked",
    "Called",
    "Carried",
    "Choice",
    "Chooser",
    "ChoosingSession",
    "Chosen",
    "Decision",
    "Done",
    "Driver",
    "Drivers",
    "Effect",
    "Embedder",
    "Entry",
    "Event",
    "Executed",
    "Flow",
    "Frame",
    "GiveBack",
    "Go",
    "Heard",
    "HostedCache",
    "InDoubt",
    "Journal",
    "Json",
    "Kept",
    "Known",
    "Learner",
    "Learning",
    "Left",
    "Message",
    "Misfit",
    "ModelError",
    "ModelStep",
    "Offer",
    "OpenedCaches",
    "Part",
    "Parts",
    "Pass",
    "Passages",
    "Posed",
    "Price",
    "Procedure",
    "ProcedureSavings",
    "Questions",
    "Reading",
    "Record",
    "Reply",
    "Retrieving",
    "Rows",
    "RunStore",
    "Said",
    "Saved",
    "SavingsReport",
    "Say",
    "SayAnswer",
    "Seen",
    "Session",
    "Shown",
    "Source",
    "Sourced",
    "Spoken",
    "Statements",
    "Step",
    "Switch",
    "Told",
    "Turn",
    "Unclean",
    "Unfit",
    "Usage",
    "Value",
    "View",
    "WrappedModel",
    "Write",
    "adrive",
    "after",
    "among",
    "answer_purely",
    "arguments_model",
    "arun_plan",
    "as_made",
    "carried_as",
    "checked_effect",
    "choices_of",
    "choosing_tool",
    "counts_of",
    "cut_off",
    "decode",
    "described_procedure",
    "digest",
    "drive",
    "earlier_than_attempts",
    "effect_of",
    "encode",
    "encoded",
    "encoded_or",
    "encoded_or_described",
    "ended_by_length",
    "fields_of",
    "find_entry",
    "fit",
    "follow",
    "form_digest",
    "function_of",
    "host",
    "idempotency_key",
    "instructions_beside",
    "instructions_digest",
    "is_array",
    "is_json",
    "is_object",
    "is_procedure_tool",
    "json_of",
    "kept_turn",
    "known_effects",
    "known_fields",
    "load_run",
    "mapping",
    "misfits",
    "misfits_of",
    "nearest",
    "new_id",
    "noted",
    "offering",
    "once",
    "origin_of",
    "parsed",
    "plain",
    "planned",
    "posed",
    "provenance_of",
    "render",
    "reported_counts",
    "request_name",
    "require_cache",
    "result_document",
    "result_instead",
    "retold",
    "returned",
    "run_blocking",
    "run_plan",
    "running",
    "safely",
    "save_run",
    "serving",
    "several",
    "switch_of",
    "tell",
    "text_in",
    "told",
    "tool_name",
    "trace_of",
    "trace_of_choices",
    "tried",
    "unharmed",
    "unreadable",
    "until",
    "untitled",
    "used",
    "vouched",
    "work",
]
