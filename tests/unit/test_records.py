"""Records and values: their JSON forms, schema versions, hashes, and when two answers are the same."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from seglam_agents.records.entry import AdmissionReport, Check, Entry, Evidence, Statistics, Transition, Wording
from seglam_agents.records.errors import SchemaError
from seglam_agents.records.procedure import (
    Closing,
    Example,
    GuardSource,
    Parameter,
    Procedure,
    Provenance,
    Signature,
    ToolUse,
)
from seglam_agents.records.record import Migration, VersionedRecord, digest
from seglam_agents.records.request import Request, Scope, agent_named, instructions_digest
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ModelStep, ToolStep, Trace, Utterance
from seglam_agents.records.usage import Ledger, Usage
from seglam_agents.records.values import Money, Quantity, Value, as_number, decode, encode, same, tidy

TEXT = st.text(max_size=8)
FEW = st.integers(0, 10**6)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
CONTEXTS = st.dictionaries(TEXT, JSON, max_size=3)
WHEN = st.none() | st.datetimes(timezones=st.none() | st.just(UTC))
SCOPES = st.builds(Scope, tenant=TEXT, agent=TEXT)
REQUESTS = st.builds(Request, text=TEXT, context=CONTEXTS, scope=SCOPES)
USAGES = st.builds(
    Usage, input_tokens=FEW, output_tokens=FEW, calls=FEW, seconds=st.floats(0, 1e6, allow_subnormal=False)
)
STEPS = st.one_of(
    st.builds(ToolStep, tool=TEXT, arguments=CONTEXTS, result=JSON, error=st.none() | TEXT),
    st.builds(ModelStep, text=TEXT, usage=USAGES),
)
TRACES = st.builds(Trace, request=REQUESTS, steps=st.lists(STEPS, max_size=3).map(tuple), answer=JSON, recorded_at=WHEN)
SOME = st.text(min_size=1, max_size=8)
GUARDS = st.one_of(
    st.builds(
        GuardSource, templates=st.lists(SOME, min_size=1, max_size=3).map(tuple), where=st.none() | TEXT, code=st.none()
    ),
    st.builds(GuardSource, templates=st.just(()), code=SOME),
)
EXAMPLES = st.lists(st.builds(Example, text=TEXT, context=CONTEXTS, answer=JSON), max_size=2).map(tuple)
PROCEDURES = st.builds(
    Procedure,
    id=TEXT,
    version=FEW,
    name=TEXT,
    description=TEXT,
    scope=SCOPES,
    guard=GUARDS,
    body=TEXT,
    parameters=st.lists(st.builds(Parameter, name=TEXT, slot=TEXT), max_size=2).map(tuple),
    tools=st.lists(st.builds(ToolUse, name=TEXT, effect=st.sampled_from(["pure", "read", "write"])), max_size=2).map(
        tuple
    ),
    examples=EXAMPLES,
    counterexamples=EXAMPLES,
    provenance=st.builds(Provenance, compiler=TEXT, model=TEXT, created_at=WHEN),
)
STATUSES = st.sampled_from(["candidate", "shadow", "active", "suspended", "quarantined", "retired"])
TRANSITIONS = st.builds(Transition, status=STATUSES, version=FEW, why=TEXT, who=TEXT, at=WHEN)
WORDINGS = st.builds(
    Wording,
    template=TEXT,
    evidence=st.builds(Evidence, made_from=st.lists(TEXT, max_size=2).map(tuple), recognised=FEW),
    vector=st.lists(FINITE, max_size=2).map(tuple),
    uses=FEW,
)
CHECKS = st.builds(Check, name=TEXT, verdict=st.sampled_from(["passed", "failed", "skipped"]), cases=FEW)
ENTRIES = st.builds(
    Entry,
    procedure=PROCEDURES,
    status=STATUSES,
    history=st.lists(TRANSITIONS, max_size=2).map(tuple),
    wordings=st.lists(WORDINGS, max_size=2).map(tuple),
    report=st.builds(AdmissionReport, checks=st.lists(CHECKS, max_size=3).map(tuple)),
    statistics=st.builds(Statistics, hits=FEW, deopts=FEW, conflicts=FEW, saved_tokens=FEW),
    revision=FEW,
)


@given(record=REQUESTS)
def test_a_request_round_trips(record: Request) -> None:
    """A request is the same after JSON, and so is its key."""
    again = Request.model_validate_json(record.model_dump_json())
    assert (again, again.key) == (record, record.key)


@settings(max_examples=50)
@given(record=st.one_of(TRACES, PROCEDURES, ENTRIES))
def test_a_versioned_record_round_trips(record: VersionedRecord) -> None:
    """A stored record is the same after JSON as text, with its schema version."""
    document = json.loads(json.dumps(record.to_json()))
    assert document["schema"] == record.SCHEMA
    assert type(record).from_json(document) == record


@given(record=TRACES)
def test_a_trace_keeps_its_id(record: Trace) -> None:
    """The id of a trace survives JSON and does not depend on when it was recorded."""
    assert Trace.from_json(record.to_json()).id == record.id
    assert record.model_copy(update={"recorded_at": None}).id == record.id


def test_the_steps_of_a_trace() -> None:
    """A trace knows its tool calls, and the sum of what its model calls cost."""
    first, second = ToolStep(tool="a"), ToolStep(tool="b", error="no")
    cost = Usage(input_tokens=1, output_tokens=2, calls=1, seconds=0.5)
    trace = Trace(request=Request(text="x"), steps=(first, ModelStep(usage=cost), second, ModelStep(usage=cost)))
    assert trace.calls == (first, second)
    assert trace.usage == Usage(input_tokens=2, output_tokens=4, calls=2, seconds=1.0)
    assert trace.usage.tokens == 6


def test_a_ledger_sums_per_purpose() -> None:
    """A ledger has a sum for each purpose and one over all."""
    ledger = Ledger()
    ledger.book("compile", Usage(input_tokens=1))
    ledger.book("compile", Usage(input_tokens=2))
    ledger.book("repair", Usage(output_tokens=4))
    assert [ledger.of(purpose).tokens for purpose in ("compile", "repair", "interpret")] == [3, 4, 0]
    assert ledger.total().tokens == 7


def drop_old(document: dict[str, Any]) -> dict[str, Any]:
    """Drop a field of version 1."""
    return {"value": document["old"], "seen": "1"}


def double(document: dict[str, Any]) -> dict[str, Any]:
    """Double the value of version 2, and note that this came second."""
    return {"value": document["value"] * 2, "seen": document["seen"] + "2"}


class Grown(VersionedRecord):
    """A record in its third version."""

    SCHEMA: ClassVar[int] = 3
    MIGRATIONS: ClassVar[tuple[Migration, ...]] = (drop_old, double)

    value: int
    seen: str = ""


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"schema": 1, "old": 5}, Grown(value=10, seen="12")),
        ({"schema": 2, "value": 5, "seen": ""}, Grown(value=10, seen="2")),
        ({"schema": 3, "value": 5}, Grown(value=5)),
    ],
)
def test_migrations_run_in_order(document: dict[str, Any], expected: Grown) -> None:
    """A document is brought up by the migrations from its version on, and is not changed itself."""
    before = dict(document)
    assert Grown.from_json(document) == expected
    assert document == before


@pytest.mark.parametrize(
    "document",
    [
        {"schema": 4, "value": 5},
        {"schema": 0, "value": 5},
        {"schema": -1, "value": 5},
        {"schema": "3", "value": 5},
        {"schema": 3.0, "value": 5},
        {"schema": None, "value": 5},
        {"value": 5},
        {"schema": 3},
        {"schema": 3, "value": "many"},
        {"schema": 3, "value": 5, "extra": 1},
        [],
        None,
        "schema",
        3,
    ],
)
def test_what_cannot_be_read(document: object) -> None:
    """A document of a newer or unknown version, or of another shape, is a SchemaError."""
    with pytest.raises(SchemaError):
        Grown.from_json(document)


@pytest.mark.parametrize("kind", [Trace, Procedure, Entry])
def test_a_newer_record_is_refused(kind: type[VersionedRecord]) -> None:
    """What a newer package wrote is never guessed at."""
    with pytest.raises(SchemaError, match=f"reads 1 to {kind.SCHEMA}"):
        kind.from_json({"schema": kind.SCHEMA + 1})


PROCEDURE = Procedure(
    id="p",
    name="p",
    guard=GuardSource(templates=("go {n:count}",)),
    body="def run(n):\n    return n\n",
    parameters=(Parameter(name="n", slot="count"),),
    tools=(ToolUse(name="t", effect="read"),),
    provenance=Provenance(compiler="hand"),
)


@pytest.mark.parametrize(
    ("change", "matters"),
    [
        ({"guard": GuardSource(templates=("walk {n:count}",))}, True),
        ({"guard": GuardSource(templates=("go {n:count}",), where="n > 0")}, True),
        ({"guard": GuardSource(code="def match(request):\n    return {}\n")}, True),
        ({"body": "def run(n):\n    return n + 1\n"}, True),
        ({"parameters": (Parameter(name="n", slot="number"),)}, True),
        ({"parameters": (Parameter(name="n", slot="count", optional=True),)}, True),
        ({"tools": ()}, True),
        ({"tools": (ToolUse(name="t", effect="write"),)}, True),
        ({"tools": (ToolUse(name="t", effect="read", schema_hash="x"),)}, True),
        ({"instructions": "x"}, False),
        ({"signature": Signature(answer="the count")}, False),
        ({"closing": Closing(mode="report")}, True),
        ({"sandbox": "process"}, True),
        ({"provenance": Provenance(compiler="model", repairs=2)}, False),
        ({"examples": (Example(text="go 3", answer=3),)}, False),
        ({"id": "q", "version": 2, "name": "q", "description": "q"}, False),
    ],
)
def test_the_content_hash_is_over_what_decides_an_answer(change: dict[str, Any], matters: bool) -> None:
    """Guard, body, parameters and tools change the hash; status, provenance and names do not."""
    changed = PROCEDURE.model_copy(update=change)
    assert (changed.content_hash != PROCEDURE.content_hash) is matters
    assert len(changed.content_hash) == 64


def test_keys_and_purity() -> None:
    """A procedure is cited as id@version, and is pure where it has no tools."""
    assert (PROCEDURE.key, PROCEDURE.pure) == ("p@1", False)
    assert PROCEDURE.model_copy(update={"tools": ()}).pure


@pytest.mark.parametrize("fields", [{}, {"templates": ("a",), "code": "b"}, {"code": ""}, {"where": "n > 0"}])
def test_a_guard_has_templates_or_code(fields: dict[str, Any]) -> None:
    """Neither and both are refused."""
    with pytest.raises(ValidationError, match="either templates or code"):
        GuardSource(**fields)


def test_records_are_frozen_and_strict() -> None:
    """A record cannot be changed, and has no other fields."""
    with pytest.raises(ValidationError, match="frozen"):
        PROCEDURE.version = 2  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Request(text="x", other=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("verdicts", "admitted", "replays"),
    [
        ([], False, 0),
        ([("replay", "skipped")], False, 0),
        ([("replay", "passed")], True, 2),
        ([("replay", "passed"), ("held out", "passed"), ("other", "passed")], True, 2),
        ([("replay", "passed"), ("other", "failed")], False, 2),
        ([("replay", "failed")], False, 0),
    ],
)
def test_a_report_admits(verdicts: list[tuple[str, Any]], admitted: bool, replays: int) -> None:
    """A report admits where something passed and nothing failed, and counts clean replays."""
    report = AdmissionReport(checks=tuple(Check(name=name, verdict=verdict, cases=2) for name, verdict in verdicts))
    assert (report.admitted, report.clean_replays) == (admitted, replays)
    assert len(report.failures) == sum(verdict == "failed" for _, verdict in verdicts)


def test_request_keys() -> None:
    """Text, context and scope all count, the order of the context does not."""
    request = Request(text="x", context={"a": 1, "b": 2})
    others = [
        Request(text="y", context={"a": 1, "b": 2}),
        Request(text="x", context={"a": 1}),
        Request(text="x", context={"a": 1, "b": 2}, scope=Scope(tenant="t")),
        Request(text="x", context={"a": 1, "b": 2}, scope=Scope(agent="t")),
    ]
    assert request.key == Request(text="x", context={"b": 2, "a": 1}).key
    assert len({request.key, *(other.key for other in others)}) == 5


def test_an_agent_is_its_name_or_its_tools_names() -> None:
    """A name beats the tools; without one their names count, and neither their order nor their schemas."""
    one, two = Tool(name="a"), Tool(name="b", effect="read")
    assert agent_named("shop", [one]) == agent_named("shop", [two]) == "shop"
    assert agent_named(None, [one, two]) == agent_named("", [Tool(name="b", effect="write"), one])
    assert len({agent_named(None, tools) for tools in ([], [one], [two], [one, two])}) == 4


def test_instructions_are_the_same_whatever_their_white_space() -> None:
    """Line breaks and indentation change nothing, words do; no instructions have no digest."""
    assert instructions_digest("Be kind.\n  Be brief.") == instructions_digest("Be kind. Be brief.")
    assert instructions_digest("Be kind.") != instructions_digest("Be brief.")
    assert instructions_digest(" \n") == ""


def test_conditions_are_instructions_and_schemas() -> None:
    """The key of the conditions changes with what the agent is told and with the schema of a tool."""
    told = PROCEDURE.model_copy(update={"instructions": "x"})
    other = PROCEDURE.model_copy(update={"tools": (ToolUse(name="t", effect="read", schema_hash="y"),)})
    assert len({each.conditions.key for each in (PROCEDURE, told, other)}) == 3


def test_an_entry_of_version_1_is_read() -> None:
    """The status moves from the procedure to the entry, the templates become wordings, and hashes stay as they were."""
    old: dict[str, Any] = {
        "schema": 1,
        "procedure": {
            **PROCEDURE.model_dump(mode="json", exclude={"signature", "closing", "instructions", "sandbox"}),
            "provenance": {"compiler": "traces", "trace_ids": ["t1"]},
            "status": "retired",
        },
        "report": {"checks": []},
        "statistics": {"hits": 3},
        "revision": 7,
    }
    entry = Entry.from_json(old)
    assert (entry.status, entry.revision, entry.statistics.hits) == ("retired", 7, 3)
    assert [(line.status, line.version) for line in entry.history] == [("retired", 1)]
    assert entry.wordings == (Wording(template="go {n:count}", evidence=Evidence(made_from=("t1",))),)
    assert entry.procedure.content_hash == PROCEDURE.content_hash
    assert Entry.from_json(entry.to_json()) == entry


def test_a_trace_of_version_1_keeps_its_id() -> None:
    """What version 2 added counts in the id of a trace only where it is used."""
    trace = Trace(request=Request(text="x"), steps=(ToolStep(tool="a", arguments={"n": 1}),), answer=2)
    old = digest(
        trace.request.key,
        [{"kind": "tool", "tool": "a", "arguments": {"n": 1}, "result": None, "error": None}],
        2,
    )
    assert trace.id == old
    edited = ToolStep(tool="a", arguments={"n": 1}, decision="edited", proposed={"n": 2})
    later = [
        trace.model_copy(update={"steps": (edited,)}),
        trace.model_copy(update={"earlier": (Utterance(role="user", text="y"),)}),
        trace.model_copy(update={"instructions": "z"}),
    ]
    assert len({old, *(each.id for each in later)}) == 4


def test_a_digest_is_stable() -> None:
    """A digest depends on the parts, not on the order of keys, and has the length that is asked for."""
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})
    assert digest("a", "b") != digest("ab")
    assert [len(digest("a")), len(digest("a", length=64))] == [16, 64]


SCALARS = st.one_of(
    JSON,
    st.just(float("inf")),
    st.just(float("-inf")),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.none() | st.just(UTC) | st.just(timezone(timedelta(hours=-3, minutes=-30)))),
    st.timedeltas(min_value=timedelta(days=-36500), max_value=timedelta(days=36500)),
    st.builds(Money, st.integers() | FINITE, TEXT),
    st.builds(Quantity, st.integers() | FINITE, TEXT),
)
KEYS = TEXT.filter(lambda key: not key.startswith("$"))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)


@given(value=VALUES)
def test_a_value_round_trips(value: Value) -> None:
    """What JSON lacks comes back as it was, type included."""
    again = decode(json.loads(json.dumps(encode(value), allow_nan=False)))
    assert again == value
    assert type(again) is type(value)


def test_not_a_number_and_tuples() -> None:
    """NaN comes back as NaN, a tuple as a list, and keys as texts."""
    again = decode(encode(float("nan")))
    assert isinstance(again, float)
    assert again != again
    assert decode(encode((1, (2,)))) == [1, [2]]
    assert encode({1: "a"}) == {"1": "a"}  # type: ignore[dict-item]


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", 1j, [object()], {"a": {1}}, len])
def test_what_is_no_value(value: Any) -> None:
    """What is none of the types is refused, inside as well."""
    with pytest.raises(TypeError, match="not a value"):
        encode(value)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (8, 8.000000000000002, True),
        (8, 8.1, False),
        (0, 1e-9, True),
        (1e12, 1e12 + 1, True),
        ("8", 8, True),
        ("$1,020", 1020, True),
        ("25%", 25, True),
        (Money(5, "USD"), 5, True),
        (Quantity(5, "mile"), "5", True),
        (Money(5, "USD"), Money(6, "USD"), False),
        ("Noon", "noon", True),
        (" two  words ", "Two words", True),
        ("noon", "night", False),
        ("8 apples", 8, False),
        (True, 1, True),
        (True, "true", False),
        (None, None, True),
        (None, 0, False),
        (None, "", False),
        ([1, "A"], (1.0, "a"), True),
        ([1, 2], [2, 1], False),
        ([1], [1, 2], False),
        ([1], 1, False),
        ([[1], ["x"]], [["1"], ["X"]], True),
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        (date(2024, 2, 29), date(2024, 2, 29), True),
        (date(2024, 2, 29), "2024-02-29", False),
        (time(8), time(9), False),
        (datetime(2024, 1, 1), datetime(2024, 1, 1), True),
    ],
)
def test_same(left: object, right: object, expected: bool) -> None:
    """Two answers are the same up to the noise of floats and the spelling of a number, either way round."""
    assert same(left, right) is expected
    assert same(right, left) is expected


def test_the_tolerance_of_same() -> None:
    """A wider tolerance takes more for the same."""
    assert not same(100, 101)
    assert same(100, 101, tolerance=0.1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (8.000000000000002, 8),
        (0.1 + 0.2, 0.3),
        (2.5, 2.5),
        (3.0, 3),
        (-0.0, 0),
        (1e-12, 0),
        (1e20, 10**20),
        (7, 7),
        (True, True),
        ("8.000000000000002", "8.000000000000002"),
        (None, None),
        (float("inf"), float("inf")),
    ],
)
def test_tidy(value: Value, expected: Value) -> None:
    """A float loses its noise, and a whole one becomes an int; anything else stays."""
    found = tidy(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3.0),
        (2.5, 2.5),
        ("3", 3.0),
        (" -3.5 ", -3.5),
        ("$1,020", 1020.0),
        ("€5", 5.0),
        ("25%", 25.0),
        ("1e3", 1000.0),
        (Money(5, "USD"), 5.0),
        (Quantity(2.5, "mile"), 2.5),
        (True, None),
        (None, None),
        ("", None),
        ("$", None),
        ("five", None),
        ("5 miles", None),
        ([5], None),
        ({}, None),
        (date(2024, 2, 29), None),
    ],
)
def test_as_number(value: object, expected: float | None) -> None:
    """A number, and a text or tuple that carries one, is read; nothing else is."""
    assert as_number(value) == expected
