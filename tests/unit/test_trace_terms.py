"""Laws of the trace compiler: whatever it finds, no trace contradicts it, and the code means what was chosen."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from itertools import product
from pathlib import Path
from typing import TypeAlias, cast

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.compilers.traces import conditions
from seglam_agents.compilers.traces.grammar import GRAMMAR, sight
from seglam_agents.compilers.traces.holes import Unexplained, explain
from seglam_agents.compilers.traces.terms import (
    PRELUDE,
    Family,
    Term,
    Unknown,
    Values,
    View,
    agreeing,
    applied,
    constant,
    item,
    joined,
    operation,
    used_functions,
    values,
    variable,
)
from seglam_agents.records.outcome import Call, Final, Plan
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.records.values import Value, decode, encode
from seglam_agents.sandboxes.base import ToolResult
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.memory import MemoryStore

Views: TypeAlias = tuple[View, ...]
FAMILIES: dict[str, Family] = {
    "number": "request",
    "word": "request",
    "day": "request",
    "span": "request",
    "record": "result",
    "rows": "result",
    "names": "result",
    "total": "result",
    "now": "clock",
}

NUMBERS = st.integers(1, 30)
WORDS = st.sampled_from(["Anna Berg", "Otto Lind", "in progress", "blue", "AX-7", "Ines Ferro", "done"])
STATES = st.sampled_from(["open", "done", "late"])
DAYS = st.dates(date(2026, 1, 1), date(2027, 12, 31))
ROWS = st.fixed_dictionaries(
    {"id": st.integers(1, 99).map(lambda number: f"r{number}"), "size": NUMBERS, "state": STATES}
)
VIEWS = st.fixed_dictionaries(
    {
        "number": NUMBERS,
        "word": WORDS,
        "day": DAYS,
        "span": st.sampled_from([30, 60, 90, 120]).map(lambda minutes: timedelta(minutes=minutes)),
        "record": st.fixed_dictionaries(
            {
                "price": NUMBERS,
                "rate": st.sampled_from([0.1, 0.25, 0.5, 2.0]),
                "owner": WORDS,
                "open": st.booleans(),
                "due": DAYS.map(date.isoformat),
                "inner": st.fixed_dictionaries({"code": st.integers(100, 999).map(lambda n: f"c{n}"), "left": NUMBERS}),
            }
        ),
        "rows": st.lists(ROWS, min_size=1, max_size=4),
        "names": st.lists(WORDS, min_size=1, max_size=3),
        "total": NUMBERS,
        "now": st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda now: now.replace(microsecond=0)),
    }
)


def of(name: str) -> Term:
    return variable(name, FAMILIES[name])


PRICE, RATE, OWNER = (item(of("record"), key) for key in ("price", "rate", "owner"))
CODE, LEFT = (item(item(of("record"), "inner"), key) for key in ("code", "left"))
LARGEST = applied("highest", of("rows"), options=("size",))
SIZES = applied("column", of("rows"), options=("size",))
STARTED = applied("moment_of", item(of("record"), "due"))
NUMERIC = [
    of("number"),
    of("total"),
    PRICE,
    RATE,
    LEFT,
    applied("len", of("rows")),
    applied("sum", SIZES),
    applied("max", SIZES),
    item(LARGEST, "size"),
    applied("minutes", of("span")),
    constant(12),
]
TEXTUAL = [
    of("word"),
    OWNER,
    CODE,
    item(applied("first", of("rows")), "id"),
    item(LARGEST, "id"),
    applied("snake", of("word")),
    applied("first_word", OWNER),
    applied("upper", CODE),
    applied("last", of("names")),
    applied("iso_day", of("day")),
    applied("iso_day", applied("shifted", of("now"), options=(3,))),
    applied("iso_moment", applied("later", STARTED, of("span")), options=(" ",)),
    constant("always"),
]
IDLE = {f"snake({of('word').code})": of("word"), f"first_word({OWNER.code})": OWNER, f"upper({CODE.code})": CODE}
"""What each conversion is made of."""
LISTED = [of("names"), of("rows"), applied("column", of("rows"), options=("id",))]


@st.composite
def expressions(draw: st.DrawFn) -> Term:
    """A random expression of the grammar."""
    kind = draw(st.sampled_from(["number", "text", "sum", "deep", "joined", "list"]))
    number = st.sampled_from(NUMERIC)
    sign = st.sampled_from("+-*/")
    if kind == "number":
        return draw(number)
    if kind == "text":
        return draw(st.sampled_from(TEXTUAL))
    if kind == "list":
        return draw(st.sampled_from(LISTED))
    if kind == "joined":
        first, second = draw(st.sampled_from(TEXTUAL)), draw(st.sampled_from([*TEXTUAL, *NUMERIC]))
        try:
            return joined(
                ["To ", first, " of {", second, draw(st.sampled_from(["} now", '} "now"', "}\n\\ 'now'", "!"]))]
            )
        except Unknown:  # Both kinds of quotes in one f-string need Python 3.12: nothing to be explained.
            return constant("always")
    inner = operation(draw(sign), draw(number), draw(number))
    return inner if kind == "sum" else operation(draw(sign), inner, draw(number))


def seen_by(term: Term, views: Sequence[View]) -> Values:
    found = values(term, views)
    assume(found is not None)
    return cast(Values, found)


def alike(left: Value, right: Value) -> bool:
    """Tell whether two values are the same to a tool, in lists and records too."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(alike, left, right))
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return abs(left - right) <= 0.005 + 1e-6 * abs(right)  # Runs may hold rounded amounts.
    return type(left) is type(right) and left == right


class Stopped(Exception):
    """The code gave up."""


def run_code(code: str, view: View) -> Value:
    """Run the code of a term as a body does, in Python itself."""

    def deopt(reason: str) -> None:
        raise Stopped(reason)

    names: dict[str, object] = {"deopt": deopt, "date": date, "datetime": datetime, "timedelta": timedelta, **view}
    exec("\n".join(PRELUDE[name] for name in used_functions(code)), names)
    return cast(Value, eval(code, names))


def outcome_of(compute: Callable[[], Value]) -> tuple[bool, Value]:
    """Return whether there is a value, and which."""
    try:
        return True, compute()
    except Exception:
        return False, None


class TestExplanations:
    """`explain` and `resolve`."""

    @settings(max_examples=50, deadline=None)
    @given(st.lists(VIEWS, min_size=2, max_size=4), expressions())
    def test_no_trace_contradicts_an_explanation(self, views: list[View], wanted: Term) -> None:
        """Whatever is found has the target as its value in every view."""
        targets = seen_by(wanted, views)
        found = explain(targets, sight(views, FAMILIES))
        if isinstance(found, Unexplained):
            assert found.reason
            return
        reached = values(found, views)
        assert reached is not None and all(map(alike, reached, targets)), (found.code, reached, targets)

    @settings(max_examples=50, deadline=None)
    @given(st.lists(VIEWS, min_size=2, max_size=4), VIEWS, expressions())
    def test_code_and_function_mean_the_same(self, views: list[View], other: View, wanted: Term) -> None:
        """The code of an explanation does in Python what the term computes, on views never seen as well."""
        found = explain(seen_by(wanted, views), sight(views, FAMILIES))
        terms = [wanted] if isinstance(found, Unexplained) else [wanted, found]
        for term, view in product(terms, [*views, other]):
            ours, theirs = outcome_of(lambda: term(view)), outcome_of(lambda: run_code(term.code, view))  # noqa: B023
            assert ours == theirs, (term.code, ours, theirs)

    @settings(max_examples=40, deadline=None)
    @given(st.lists(VIEWS, min_size=2, max_size=4), st.sampled_from([*NUMERIC[:9], *TEXTUAL[:10]]), st.data())
    def test_every_rival_is_kept(self, views: list[View], wanted: Term, data: st.DataObject) -> None:
        """What is found says on a fresh view what the truth says there, or says nothing: the truth is a rival.

        But for a change of letters that changed nothing in any run.
        """
        targets = seen_by(wanted, views)
        assume(wanted.code not in IDLE or values(IDLE[wanted.code], views) != targets)
        found = explain(targets, sight(views, FAMILIES))
        fresh = data.draw(VIEWS)
        said, truth = (
            outcome_of(lambda: None if isinstance(found, Unexplained) else found(fresh)),
            outcome_of(lambda: wanted(fresh)),
        )
        if isinstance(found, Unexplained) or not said[0] or not truth[0]:
            return
        assert alike(said[1], truth[1]), (found.code, wanted.code)

    @given(st.lists(st.sampled_from(NUMERIC), min_size=2, max_size=4, unique_by=lambda term: term.code), VIEWS)
    def test_agreeing_terms_have_a_value_only_where_they_agree(self, terms: list[Term], view: View) -> None:
        """`agree` gives up where any explanation says something else."""
        seen = [outcome_of(partial(term, view)) for term in terms]
        agreed = outcome_of(lambda: agreeing(terms)(view))
        assert agreed == (seen[0] if all(value == seen[0] for value in seen) else (False, None))

    def test_two_places_of_a_request_must_agree(self) -> None:
        """Which of two places was meant is open while they say the same: the body goes on only while they do."""
        families: dict[str, Family] = {"one": "request", "other": "request"}
        views: Views = ({"one": "a1", "other": "a1"}, {"one": "b2", "other": "b2"})
        found = explain(("a1", "b2"), sight(views, families))
        assert isinstance(found, Term) and found({"one": "c3", "other": "c3"}) == "c3"
        with pytest.raises(Unknown):
            found({"one": "c3", "other": "c4"})

    @pytest.mark.parametrize(
        ("targets", "reason"),
        [
            (("2026-03-04", "2026-03-09"), "give the cache a clock"),
            (("k81", "k9"), "nothing seen explains 'k81', 'k9'"),
            ((81, 9), "nothing seen explains the number 81, 9"),
            ((None, "x"), "nothing seen explains None"),
            (([1, 2], [3]), "nothing seen explains the lists"),
            (({"a": 1}, {"b": 1}), "records with different keys"),
            (({"a": "k81"}, {"a": "k9"}), "a: nothing seen explains"),
        ],
    )
    def test_what_nothing_explains(self, targets: Values, reason: str) -> None:
        """The reason names the values."""
        views: Views = ({"word": "Anna", "number": 3}, {"word": "Otto", "number": 5})
        found = explain(targets, sight(views, {"word": "request", "number": "request"}))
        assert isinstance(found, Unexplained) and reason in found.reason


class TestConditions:
    """`conditions.tests`: why traces went different ways."""

    @staticmethod
    def hold(views: Sequence[View], labels: Sequence[bool]) -> tuple[conditions.Test, ...]:
        """Return the tests for labels, each of which must be right in every view."""
        found = conditions.tests(sight(views, FAMILIES), labels)
        for test, (view, label) in product(found, zip(views, labels, strict=True)):
            assert bool(test.yes(view)) is label and bool(test.no(view)) is not label, test.yes.code
            assert bool(run_code(test.yes.code, view)) is label, test.yes.code
            assert bool(run_code(test.no.code, view)) is not label, test.no.code
        return found

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.tuples(VIEWS, st.booleans()), min_size=2, max_size=6))
    def test_no_trace_contradicts_a_condition(self, labelled: list[tuple[View, bool]]) -> None:
        """Whatever fits is true on the views of its way and false on the others, as a term and as code."""
        labels = [label for _, label in labelled]
        assume(len(set(labels)) == 2)
        found = self.hold([view for view, _ in labelled], labels)
        assert len(found) <= conditions.MAX_TESTS

    @settings(max_examples=40, deadline=None)
    @given(st.lists(VIEWS, min_size=4, max_size=6), st.integers(5, 25))
    def test_the_reason_is_among_those_found(self, views: list[View], limit: int) -> None:
        """A threshold that made the difference is found, and leaves a gap that belongs to neither way."""
        labels = [cast(int, view["total"]) >= limit for view in views]
        assume(len(set(labels)) == 2)
        found = self.hold(views, labels)
        assert found, "the total tells the ways apart"

    @settings(max_examples=40, deadline=None)
    @given(st.lists(VIEWS, min_size=2, max_size=6), VIEWS)
    def test_no_view_goes_both_ways(self, views: list[View], other: View) -> None:
        """A test and its opposite never both hold."""
        labels = [bool(cast("dict[str, Value]", view["record"])["open"]) for view in views]
        assume(len(set(labels)) == 2)
        for test in self.hold(views, labels):
            assert not (outcome_of(lambda: test.yes(other))[1] and outcome_of(lambda: test.no(other))[1])  # noqa: B023


def tool(name: str, effect: str, *arguments: str) -> Tool:
    properties: dict[str, Json] = {argument: {} for argument in arguments}
    document = {"name": name, "effect": effect, "parameters": {"type": "object", "properties": properties}}
    return Tool.model_validate(document)


TOOLS = (
    tool("get_record", "read", "name"),
    tool("get_rows", "read", "code"),
    tool("act", "write", "value", "of"),
    tool("close", "write", "row"),
)
PEOPLE = ("Anna Berg", "Otto Lind", "Ines Ferro", "Piet Vos")


def played(view: View, person: str, wanted: Term, *, loop: bool) -> Trace:
    """The run of an agent that reads two things, acts on a random expression, and closes all rows or none."""
    record = cast("dict[str, Value]", view["record"])
    rows = cast("list[dict[str, Value]]", view["rows"])
    seen: dict[str, Value] = {**view, "word": person}
    value = encode(wanted(seen))
    steps = [
        ToolStep(tool="get_record", arguments={"name": person}, result=encode(record)),
        ToolStep(
            tool="get_rows", arguments={"code": cast("dict[str, str]", record["inner"])["code"]}, result=encode(rows)
        ),
        *(ToolStep(tool="close", arguments={"row": encode(row["id"])}, result="ok") for row in rows if loop),
        ToolStep(tool="act", arguments={"value": value, "of": encode(rows[0]["id"])}, result="ok"),
    ]
    text = f"Handle {view['number']} cases of {person} before noon"
    return Trace(request=Request(text=text), steps=tuple(steps), answer="Handled.")


class TestWholeRuns:
    """A full compile of traces made from a random plan."""

    EXPRESSIONS = (of("number"), PRICE, RATE, OWNER, CODE, LEFT, item(LARGEST, "id"), applied("len", of("rows")))

    # An example is three or four compilations, some seconds where the machine is slow: none is made smaller.
    @pytest.mark.timeout(600)
    @settings(max_examples=10, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
    @given(
        st.lists(VIEWS, min_size=3, max_size=4),
        st.one_of(
            st.sampled_from(EXPRESSIONS),
            st.builds(operation, st.sampled_from("+-*"), *[st.sampled_from((of("number"), PRICE, LEFT))] * 2),
        ),
        st.booleans(),
    )
    def test_an_admitted_body_does_exactly_what_its_traces_did(
        self, sandbox: MontySandbox, views: list[View], wanted: Term, loop: bool
    ) -> None:
        """Every trace of a procedure is reproduced step by step in the sandbox: the same calls, the same answer."""
        assume(values(wanted, views) is not None)  # Of two equal rows none is the largest.
        traces = [played(view, person, wanted, loop=loop) for view, person in zip(views, PEOPLE, strict=False)]
        hosts = [HostTool(each, lambda **_: None) for each in TOOLS]
        with ReasoningCache(
            MemoryStore(), sandbox=sandbox, second_sandbox=None, tools=hosts, predictions=(0, 0)
        ) as cache:
            for trace in traces:
                assert cache.observe(trace).status in ("admitted", "widened", "deferred", "rejected")
            for entry in (entry for entry in cache.procedures() if entry.status == "active"):
                ids = {example.trace_id for example in entry.procedure.examples}
                for text, trace in ((t.request.text, t) for t in cache_traces(cache, traces) if t.id in ids):
                    assert reproduced(cache, text, trace)


def cache_traces(cache: ReasoningCache, traces: Sequence[Trace]) -> list[Trace]:
    """The traces as the cache knows them: with its scope, which is a part of their ids."""
    return [t.model_copy(update={"request": t.request.model_copy(update={"scope": cache.scope})}) for t in traces]


def reproduced(cache: ReasoningCache, text: str, trace: Trace) -> bool:
    plan = cache.plan(text)
    assert isinstance(plan, Plan), plan
    recorded: list[ToolResult] = []
    for step in trace.calls:
        action = cache.next_action(plan, recorded)
        assert isinstance(action, Call), action
        assert (action.tool, dict(action.arguments)) == (step.tool, dict(step.arguments))
        recorded.append(ToolResult(value=decode(step.result)))
    action = cache.next_action(plan, recorded)
    return isinstance(action, Final) and action.answer == trace.answer


def test_the_prelude_needs_nothing_but_itself() -> None:
    """Every function of the prelude runs with Python's own names, dates, `deopt` and other functions of it."""
    for name in PRELUDE:
        wanted = used_functions(f"{name}(")
        names: dict[str, object] = {}
        exec("\n".join(PRELUDE[each] for each in wanted), names)
        calls = [node.func for node in ast.walk(ast.parse(PRELUDE[name])) if isinstance(node, ast.Call)]
        called = {function.id for function in calls if isinstance(function, ast.Name)}
        assert callable(names[name]) and called & set(PRELUDE) <= set(wanted), name


def test_the_table_of_the_docs_is_the_grammar() -> None:
    """Each row of the grammar stands in the docs as it is in the code."""
    text = (Path(__file__).parents[2] / "docs" / "traces.md").read_text(encoding="utf-8")
    for rule in GRAMMAR:
        assert f"| {rule.name} | {rule.says} | {rule.example} |" in text, rule.name


def test_a_day_that_is_a_key_by_chance_is_no_reason() -> None:
    """Maps by day are compared as a whole: the same day is not there tomorrow."""
    views = [
        {"a": {"2023-11-01": x, "2023-11-02": y}, "b": {"2023-11-01": y, "2023-11-02": y}}
        for x, y in ((9, 2), (8, 3), (1, 5), (2, 7))
    ]
    found = conditions.tests(sight(views, {"a": "result", "b": "result"}), [True, True, False, False])
    codes = [test.yes.code for test in found]
    assert codes and not any("2023" in code for code in codes)


def test_a_term_without_a_value_says_so() -> None:
    """Whatever data does to a term, it is `Unknown`, never another exception."""
    for term in [*NUMERIC[:5], item(LARGEST, "size"), *TEXTUAL[:-1]]:
        with pytest.raises(Unknown):
            term({"record": {"inner": None}, "rows": [], "names": []})


def test_a_clock_that_nothing_speaks_of_explains_nothing() -> None:
    """Rooms 3 and 5, told in March and in May, are no months: without another explanation there is none."""
    views: Views = ({"now": datetime(2026, 3, 2, 9)}, {"now": datetime(2026, 5, 4, 9)})
    origin = explain(("room 3 is free", "room 5 is free"), sight(views, {"now": "clock"}))
    assert isinstance(origin, Unexplained)
