"""No tool is called with arguments that its JSON Schema does not take, wherever the call comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.records.entry import Entry
from seglam_agents.records.outcome import Call, Deopt, GiveUp, Hit, Plan, Refused
from seglam_agents.records.procedure import GuardSource, Procedure, Provenance, ToolUse
from seglam_agents.records.record import Json
from seglam_agents.records.tools import Tool
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.memory import MemoryStore

INTEGER: Json = {"type": "integer"}
ORDER = "Order {n:number} boxes"
LINE: Json = {
    "type": "object",
    "properties": {"n": INTEGER, "tags": {"type": "array", "items": {"enum": ["a", "b"]}}},
    "required": ["n"],
    "additionalProperties": False,
}


class Shop:
    """A cache with one procedure, and the calls of its tool."""

    def __init__(self, sandbox: MontySandbox, schema: Json, template: str, expression: str, **more: Json) -> None:
        self.calls: list[Any] = []
        properties: dict[str, Json] = {"x": schema}
        tool = Tool(name="send", parameters={"type": "object", "properties": properties, "required": ["x"], **more})
        store = MemoryStore()
        self.cache = ReasoningCache(store, sandbox=sandbox, second_sandbox=None, tools=[HostTool(tool, self.send)])
        guard = GuardSource(templates=(template,))
        parameters = TemplateGuard(guard).parameters()
        names = ", ".join(parameter.name for parameter in parameters)
        procedure = Procedure(
            id="send",
            name="send",
            scope=self.cache.scope,
            guard=guard,
            body=f"def run({names}):\n    send({expression})\n    return 'sent'\n",
            parameters=parameters,
            tools=(ToolUse.of(tool),),
            provenance=Provenance(compiler="test"),
        )
        store.put(Entry(procedure=procedure, status="active"), expected_revision=0)

    def send(self, x: Any) -> str:
        self.calls.append(x)
        return "sent"

    def planned(self, text: str) -> object:
        """Return what a host that runs the tool itself is asked to call."""
        plan = self.cache.plan(text)
        assert isinstance(plan, Plan)
        action = self.cache.next_action(plan)
        return action.arguments["x"] if isinstance(action, Call) else action


@pytest.fixture
def shop(sandbox: MontySandbox) -> Callable[..., Shop]:
    def opened(schema: Json, template: str, expression: str, **more: Json) -> Shop:
        return Shop(sandbox, schema, template, expression, **more)

    return opened


TAKEN: list[tuple[Json, str, str, str, Any]] = [
    (INTEGER, ORDER, "n", "Order 1,250 boxes", 1250),
    (INTEGER, ORDER, "n * 1.0", "Order 2 boxes", 2),
    (INTEGER, ORDER, "n / 2", "Order 4 boxes", 2),
    ({"type": ["integer", "null"]}, ORDER, "n * 1.0", "Order 2 boxes", 2),
    ({"anyOf": [INTEGER, {"type": "null"}]}, ORDER, "n * 1.0", "Order 2 boxes", 2),
    ({"anyOf": [INTEGER, {"type": "null"}]}, ORDER, "None", "Order 2 boxes", None),
    ({"type": "number"}, ORDER, "n * 1.0", "Order 2 boxes", 2.0),
    (LINE, ORDER, "{'n': n / 1, 'tags': ['a']}", "Order 2 boxes", {"n": 2, "tags": ["a"]}),
    ({"type": "array", "items": INTEGER}, ORDER, "[n / 1, 2]", "Order 3 boxes", [3, 2]),
    ({"type": "number", "multipleOf": 0.01}, ORDER, "n", "Order 19.99 boxes", 19.99),
    ({"type": "string", "pattern": "[A-Z]-[0-9]"}, "Refund {o:id}", "o", "Refund XA-17", "XA-17"),
    ({"type": "string", "format": "email"}, "Mail {a:quoted}", "a", 'Mail "a@b.de"', "a@b.de"),
    ({"type": "string", "format": "date"}, "Book {d:date}", "str(d)", "Book 1 March 2026", "2026-03-01"),
    ({"enum": ["small", "large"]}, "Send a {size:noun} box", "size", "Send a small box", "small"),
]


@pytest.mark.parametrize(("schema", "template", "expression", "text", "sent"), TAKEN)
def test_what_the_schema_takes_is_sent(
    shop: Callable[..., Shop], schema: Json, template: str, expression: str, text: str, sent: Any
) -> None:
    """As it is, but for whole numbers, which are whole where the tool takes no others: 2 is not '2.0'."""
    opened = shop(schema, template, expression)
    outcome = opened.cache.answer(text)
    assert isinstance(outcome, Hit) and [repr(call) for call in opened.calls] == [repr(sent)]
    assert repr(opened.planned(text)) == repr(sent)


LEFT: list[tuple[Json, str, str, str]] = [
    (INTEGER, ORDER, "n", "Order 1.250 boxes"),
    (INTEGER, ORDER, "n", "Order 1.25 boxes"),
    (INTEGER, ORDER, "str(n)", "Order 2 boxes"),
    (INTEGER, ORDER, "n > 1", "Order 2 boxes"),
    (INTEGER, ORDER, "float('inf')", "Order 2 boxes"),
    ({"type": "number"}, ORDER, "float('nan')", "Order 2 boxes"),
    ({"type": "number"}, "Pay {a:money}", "a", "Pay $5"),
    ({}, ORDER, "[float('inf')]", "Order 2 boxes"),
    ({"anyOf": [INTEGER, {"type": "null"}]}, ORDER, "n", "Order 1.5 boxes"),
    (LINE, ORDER, "{'n': 1.5}", "Order 2 boxes"),
    (LINE, ORDER, "{'n': 1, 'tags': ['c']}", "Order 2 boxes"),
    (LINE, ORDER, "{'n': 1, 'm': 1}", "Order 2 boxes"),
    (LINE, ORDER, "{}", "Order 2 boxes"),
    ({"type": "number", "multipleOf": 0.01}, ORDER, "n", "Order 1.005 boxes"),
    ({"type": "integer", "multipleOf": 7}, ORDER, "10 ** 400", "Order 2 boxes"),
    ({"type": "string", "pattern": "^A-[0-9]+$"}, "Refund {o:id}", "o", "Refund B-1"),
    ({"type": "string", "pattern": "["}, "Refund {o:id}", "o", "Refund B-1"),
    ({"type": "string", "pattern": "^(a)\\1$"}, "Mail {a:quoted}", "a", 'Mail "aa"'),
    ({"type": "string", "pattern": "^([A-Za-z0-9]+\\s?)+$"}, "Mail {a:quoted}", "a", f'Mail "{"a" * 60}!"'),
    ({"type": "string", "format": "email"}, "Mail {a:quoted}", "a", 'Mail "nobody"'),
    ({"type": "string", "format": "date"}, "Mail {a:quoted}", "a", 'Mail "tomorrow"'),
    ({"type": "string", "format": "date-time"}, "Mail {a:quoted}", "a", 'Mail "tomorrow"'),
    ({"type": "string", "format": "time"}, "Mail {a:quoted}", "a", 'Mail "25:00"'),
    ({"enum": ["small", "large"]}, "Send a {size:noun} box", "size", "Send a Small box"),
    ({"$ref": "#/nowhere"}, ORDER, "n", "Order 2 boxes"),
    ({"$ref": "http://127.0.0.1:9/schema"}, ORDER, "n", "Order 2 boxes"),
    ({"type": "nothing"}, ORDER, "n", "Order 2 boxes"),
]


@pytest.mark.parametrize(("schema", "template", "expression", "text"), LEFT)
def test_what_it_does_not_take_is_not(
    shop: Callable[..., Shop], schema: Json, template: str, expression: str, text: str
) -> None:
    """The procedure gives up before the call, whoever runs the tool, and says why; so it does if nobody can tell."""
    opened = shop(schema, template, expression)
    outcome = opened.cache.answer(text)
    assert isinstance(outcome, Deopt) and outcome.kind == "arguments" and not outcome.steps and not opened.calls
    planned = opened.planned(text)
    assert isinstance(planned, GiveUp) and planned.kind == "arguments"


def test_a_schema_is_read_by_the_draft_that_it_names(shop: Callable[..., Shop]) -> None:
    """Tuples of an older draft, and definitions in the same document."""
    draft = {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"many": INTEGER}}
    pair = {"type": "array", "items": [{"$ref": "#/definitions/many"}, {"type": "string"}]}
    assert isinstance(shop(pair, ORDER, "[n, 'a']", **draft).cache.answer("Order 2 boxes"), Hit)
    assert isinstance(shop(pair, ORDER, "['a', n]", **draft).cache.answer("Order 2 boxes"), Deopt)
    opened = shop({"$ref": "#/definitions/many"}, ORDER, "n / 1", **draft)
    assert isinstance(opened.cache.answer("Order 2 boxes"), Hit) and repr(opened.calls) == "[2]"


@pytest.mark.parametrize("given", [1100, 1100.0])
def test_a_number_by_name_is_what_it_would_be_in_a_text(shop: Callable[..., Shop], given: Json) -> None:
    """Bound by a model that writes 1100.0, an order is still '1100'."""
    plan = shop({"type": "string"}, "Refund {order:number}", "str(order)").cache.bind("send", {"order": given})
    assert isinstance(plan, Plan) and repr(plan.arguments) == "{'order': 1100}"


@pytest.mark.parametrize("given", [{}, {"order": None}, {"order": "1", "more": 1}, {"order": True}, {"order": ["1"]}])
def test_missing_odd_and_further_arguments_are_refused(shop: Callable[..., Shop], given: dict[str, Json]) -> None:
    """A procedure that is called by name takes its own parameters, and those alone."""
    refused = shop({"type": "string"}, "Refund {order:number}", "str(order)").cache.bind("send", given)
    assert isinstance(refused, Refused) and refused.kind == "arguments"


@pytest.mark.parametrize("expression", ["", "n, n", "n, y=2"])
def test_missing_and_further_arguments_of_a_call(shop: Callable[..., Shop], expression: str) -> None:
    """A call that leaves out what is required, or gives what nobody knows, is none."""
    opened = shop(INTEGER, ORDER, expression)
    outcome = opened.cache.answer("Order 2 boxes")
    assert isinstance(outcome, Deopt) and not outcome.steps and not opened.calls
    assert isinstance(opened.planned("Order 2 boxes"), GiveUp)


@pytest.mark.parametrize("answer", ["10 ** 6000", "float('inf')", "[1, float('nan')]", "{'a': {'b': -1e400}}"])
def test_an_answer_without_a_json_form_is_none(sandbox: MontySandbox, answer: str) -> None:
    """Never served, never infinite; the write before it is told."""
    opened = Shop(sandbox, INTEGER, ORDER, f"n)\n    return {answer}\n    str(1")
    outcome = opened.cache.answer("Order 2 boxes")
    assert isinstance(outcome, Deopt) and outcome.kind == "value" and [step.tool for step in outcome.steps] == ["send"]
