"""What a caller may get wrong ends in a value or in an error that says what to do, and never in a lost step."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.hosting import run_plan
from seglam_agents.models.base import Completion, Message
from seglam_agents.records.entry import Entry
from seglam_agents.records.errors import ModelError, StoreError
from seglam_agents.records.outcome import Call, Deopt, GiveUp, Hit, Learned, Miss, Outcome, Plan, Refused
from seglam_agents.records.procedure import GuardSource, Procedure, Provenance, ToolUse
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.records.usage import Usage
from seglam_agents.sandboxes.base import ToolResult
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.memory import MemoryStore

LIMIT = Tool(name="limit", parameters={"type": "object", "properties": {"boat": {"type": "string"}}}, effect="write")
Open = Callable[..., ReasoningCache]


@pytest.fixture
def opened(sandbox: MontySandbox) -> Iterator[Open]:
    caches: list[ReasoningCache] = []

    def opened(function: Callable[..., Any] | None = None, **options: Any) -> ReasoningCache:
        tools = [HostTool(LIMIT, function)] if function else []
        caches.append(ReasoningCache(sandbox=sandbox, second_sandbox=None, tools=tools, **options))
        return caches[-1]

    yield opened
    for cache in caches:
        cache.close()


def put(cache: ReasoningCache, name: str, template: str, body: str, *tools: Tool) -> None:
    guard = GuardSource(templates=(template,))
    procedure = Procedure(
        id=name,
        name=name,
        scope=cache.scope,
        guard=guard,
        body=body,
        parameters=TemplateGuard(guard).parameters(),
        tools=tuple(map(ToolUse.of, tools)),
        provenance=Provenance(compiler="test"),
    )
    cache.store.put(Entry(procedure=procedure, status="active"), expected_revision=0)


def stored(cache: ReasoningCache) -> None:
    put(cache, "limit", "Limit {boat:name}", "def run(boat):\n    return limit(boat)\n", LIMIT)


@pytest.mark.parametrize("odd", [None, 5, b"bytes", ["text"], object()], ids=lambda odd: type(odd).__name__)
def test_what_is_no_text_is_refused(opened: Open, odd: Any) -> None:
    """No verb raises: the outcome says what a request is."""
    cache = opened()
    for outcome in (cache.answer(odd), cache.lookup(odd), cache.plan(odd), asyncio.run(cache.aanswer(odd))):
        assert isinstance(outcome, Refused) and outcome.kind == "not text"
        assert f"not a {type(odd).__name__}" in outcome.reason
    assert "refused" in cache.explain(odd).verdict
    assert cache.learn(odd, answer=1) == Learned(status="failed", reason="no model was given that could compile")
    assert cache.stats().refused == 4


def test_a_context_that_has_no_json_form_is_refused(opened: Open) -> None:
    """The reason names the context."""
    outcome = opened().answer("Limit Petrel", context={"when": object()})  # type: ignore[dict-item]
    assert isinstance(outcome, Refused) and outcome.reason.startswith("the context")


HUGE = 10**6000
"""An integer that Python does not write down."""


@pytest.mark.parametrize("value", [HUGE, -HUGE, [HUGE], {"a": HUGE}], ids=["huge", "negative", "listed", "named"])
def test_an_integer_that_cannot_be_written_down(opened: Open, value: Any) -> None:
    """In a context it is refused; as an answer or a result nothing is learnt from it; and nothing raises."""
    cache = opened(model=OddModel(None, 0))
    for outcome in (
        cache.answer("Limit Petrel", context={"n": value}),
        asyncio.run(cache.aanswer("Limit Petrel", context={"n": value})),
        cache.lookup("Limit Petrel", context={"n": value}),
    ):
        assert isinstance(outcome, Refused) and outcome.reason.startswith("the context has no JSON form")
    trace = Trace(request=Request(text="Limit Petrel"), steps=(ToolStep(tool="limit", result=value),), answer=value)
    for learned in (cache.learn("Limit Petrel", answer=value), cache.observe(trace)):
        assert learned.procedure is None and learned.status != "admitted"
    with pytest.raises(StoreError, match="no JSON form"):
        cache.remember(trace)
    assert cache.learn_remembered() == [], "what cannot be kept is not remembered by half"


def test_what_is_no_text_is_near_nothing(opened: Open) -> None:
    """Candidates are offered or not; nobody is stopped by that."""
    cache = opened()
    assert [cache.near(odd) for odd in (None, 5, b"bytes", " ")] == [[], [], [], []]  # type: ignore[arg-type]


def test_a_request_object_is_read_as_before(opened: Open) -> None:
    """A record is as good as a text."""
    assert isinstance(opened().answer(Request(text="Limit Petrel")), Miss)


def test_an_async_function_is_no_tool() -> None:
    """It is refused where it is declared, with what to write instead: a body would take a coroutine for a result."""

    async def limit(boat: str) -> str:
        return boat

    with pytest.raises(TypeError, match=r"asyncio\.run"):
        HostTool(LIMIT, limit)


def test_a_coroutine_that_comes_out_of_a_tool_is_not_told_as_done(opened: Open) -> None:
    """A function that hides a coroutine may have done something before it, and the step says so."""

    async def limit(boat: str) -> str:
        return boat

    cache = opened(lambda boat: limit(boat))
    stored(cache)
    outcome = cache.lookup("Limit Petrel")
    assert isinstance(outcome, Deopt) and "did not come to its end" in str(outcome.steps[0].error)


@pytest.mark.parametrize("raised", [asyncio.CancelledError(), SystemExit(2), TimeoutError("slow")])
def test_whatever_a_tool_raises_its_step_is_told(opened: Open, raised: BaseException) -> None:
    """It may have acted before it raised."""
    calls: list[str] = []

    def limit(boat: str) -> str:
        calls.append(boat)
        raise raised

    cache = opened(limit)
    stored(cache)
    outcome = cache.lookup("Limit Petrel")
    assert isinstance(outcome, Deopt) and [step.tool for step in outcome.steps] == ["limit"]
    assert calls == ["Petrel"] and cache.stats().deopts == 1


def broken() -> datetime:
    raise ZeroDivisionError("no battery")


@pytest.mark.parametrize(("now", "said"), [(broken, "ZeroDivisionError"), (lambda: None, "a NoneType")])
def test_a_broken_clock_is_told_as_such(opened: Open, now: Any, said: str) -> None:
    """A look-up is a miss that names the clock and what to mend."""
    cache = opened(lambda boat: boat, now=now)
    stored(cache)
    outcome = cache.lookup("Limit Petrel")
    assert isinstance(outcome, Miss) and outcome.kind == "broken"
    assert "now=" in outcome.reason and said in outcome.reason


def test_a_hit_of_a_tool(opened: Open) -> None:
    """The same procedure hits where nothing is odd."""
    cache = opened(lambda boat: f"{boat} limited")
    stored(cache)
    outcome = cache.lookup("Limit Petrel")
    assert isinstance(outcome, Hit) and outcome.answer == "Petrel limited"


class Wordless(Exception):
    """An error that cannot even be told."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_error_without_words_hides_no_write(opened: Open) -> None:
    """A tool that acted and raised it has acted: the step is told."""
    done: list[str] = []

    def limit(boat: str) -> None:
        done.append(boat)
        raise Wordless

    cache = opened(limit)
    stored(cache)
    outcome = cache.answer("Limit Aurora")
    assert isinstance(outcome, Deopt) and done == ["Aurora"] and outcome.steps[0].error == "Wordless"


class OddModel:
    """A model whose first replies are odd; then it answers."""

    name = "odd"

    def __init__(self, odd: object, times: int) -> None:
        self.odd, self.left = odd, times

    def complete(self, messages: Sequence[Message]) -> Any:
        self.left -= 1
        if self.left < 0:
            return Completion("ANSWER: 7", Usage())
        if isinstance(self.odd, Exception):
            raise self.odd
        return self.odd

    async def acomplete(self, messages: Sequence[Message]) -> Any:
        return self.complete(messages)


ODD_REPLIES = {
    "our error": ModelError("rate limit"),
    "another error": KeyError("key"),
    "the end of a generator": StopIteration(),
    "no words": Wordless(),
    "nothing": None,
    "a text": "ANSWER: 7",
    "no text": Completion(None, Usage()),  # type: ignore[arg-type]
    "no usage": Completion("ANSWER: 7", None),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", ODD_REPLIES)
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_whatever_a_model_does_in_compiling_the_request_is_answered(opened: Open, name: str, colour: str) -> None:
    """Compiling fails and says so; interpreting answers. A model that never answers is a `ModelError`, no other."""

    def ask(times: int) -> Outcome:
        cache = opened(model=OddModel(ODD_REPLIES[name], times))
        return asyncio.run(cache.aanswer("Sum it up")) if colour == "async" else cache.answer("Sum it up")

    outcome = ask(1)
    assert isinstance(outcome, Miss) and outcome.answer == 7 and outcome.answered_by == "model"
    assert outcome.learned is not None and outcome.learned.status == "failed"
    with pytest.raises(ModelError):
        ask(99)


class Dead:
    """What a lazy proxy is whose session has ended: it raises at whatever it is asked, its class included."""

    @property
    def __class__(self) -> Any:
        raise ReferenceError("the session has ended")


def returned_coroutine() -> Any:
    async def later() -> str:
        return "ok"

    return later()


@pytest.mark.parametrize(
    "returned",
    [lambda: b"bytes", lambda: Decimal("sNaN"), object, lambda: 10**6000, Dead, returned_coroutine],
    ids=["bytes", "nan", "object", "endless", "dead", "coroutine"],
)
@pytest.mark.parametrize("name", [None, "r-1"])
def test_a_body_goes_no_other_way_once_something_was_carried_out(returned: Any, name: str | None) -> None:
    """What it came to cannot be had: a body that catches that must not pay a second time by another tool."""
    paid: list[str] = []

    def card(amount: int) -> Any:
        paid.append("card")
        return returned()

    def wallet(amount: int) -> str:
        paid.append("wallet")
        return "ok"

    schema: Json = {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}
    tools = [Tool(name=each, parameters=dict(schema), effect="write") for each in ("card", "wallet")]
    body = (
        "def run(amount):\n    try:\n        return card(amount.amount)\n"
        "    except RuntimeError:\n        return wallet(amount.amount)\n"
    )
    store = MemoryStore()
    with ReasoningCache(store, tools=[HostTool(tools[0], card), HostTool(tools[1], wallet)]) as cache:
        put(cache, "charge", "Charge {amount:money}", body, *tools)
        outcome = cache.answer("Charge $12", request_id=name)
        assert paid == ["card"] and isinstance(outcome, Deopt)
        assert [step.tool for step in outcome.steps] == ["card"] and outcome.steps[0].error


AGAIN = {
    "again": "    for _ in range(3):\n        try:\n            return card(amount.amount)\n"
    "        except Exception:\n            pass\n    return 'nothing was paid'\n",
    "another way": "    try:\n        return card(amount.amount)\n"
    "    except Exception:\n        return wallet(amount.amount)\n",
    "said": "    try:\n        return card(amount.amount)\n    except Exception:\n        return 'nothing was paid'\n",
}


@pytest.mark.parametrize("raised", [TimeoutError, ValueError, MemoryError, SystemExit], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("way", AGAIN)
@pytest.mark.parametrize("idempotent", [False, True])
def test_a_write_that_failed_ends_the_body(raised: type[BaseException], way: str, *, idempotent: bool) -> None:
    """It may have been carried out: no second try, no other way, and nothing said of it by code that cannot know."""
    paid: list[str] = []

    def card(amount: int) -> str:
        paid.append("card")
        raise raised("the line broke")

    def wallet(amount: int) -> str:
        paid.append("wallet")
        return "ok"

    schema: Json = {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}
    made = {"parameters": dict(schema), "effect": "write", "idempotent": idempotent}
    tools = [Tool.model_validate({"name": each, **made}) for each in ("card", "wallet")]
    with ReasoningCache(MemoryStore(), tools=[HostTool(tools[0], card), HostTool(tools[1], wallet)]) as cache:
        put(cache, "charge", "Charge {amount:money}", f"def run(amount):\n{AGAIN[way]}", *tools)
        outcome = cache.answer("Charge $12")
        if idempotent:
            assert isinstance(outcome, Hit) and len(paid) == {"again": 3, "another way": 2, "said": 1}[way]
            return
        assert paid == ["card"] and isinstance(outcome, Deopt) and outcome.kind == "error"
        assert [step.tool for step in outcome.steps] == ["card"] and "may have been carried out" in outcome.reason


SHIP = Tool(
    name="ship",
    parameters={"type": "object", "properties": {"items": {"type": "array"}}, "required": ["items"]},
    effect="write",
)


def shipping(cache: ReasoningCache, body: str) -> None:
    put(cache, "ship", "Ship {first:id} and {second:id}", body, SHIP)


def test_a_tool_that_uses_up_its_arguments_is_told_as_it_was_asked(sandbox: MontySandbox) -> None:
    """What was shipped is what the model hears, whatever the function did with the list."""

    def ship(items: list[str]) -> str:
        while items:
            items.pop()
        return "ok"

    with ReasoningCache(sandbox=sandbox, second_sandbox=None, tools=[HostTool(SHIP, ship)]) as cache:
        shipping(cache, "def run(first, second):\n    return ship([first, second])\n")
        outcome = cache.lookup("Ship A-12 and B-34")
    assert isinstance(outcome, Hit) and outcome.steps[0].arguments == {"items": ["A-12", "B-34"]}


def test_a_host_that_runs_a_plan_ends_it_where_a_result_cannot_be_had(sandbox: MontySandbox) -> None:
    """A body that catches what was told of the first call does not make the second one."""
    made: list[str] = []

    def call(action: Call) -> ToolResult:
        made.append(str(action.arguments["items"]))
        return ToolResult(error="it is not known whether this was carried out", final=True)

    body = (
        "def run(first, second):\n    try:\n        return ship([first])\n"
        "    except RuntimeError:\n        return ship([second])\n"
    )
    with ReasoningCache(sandbox=sandbox, second_sandbox=None, tools=[HostTool(SHIP, lambda items: "ok")]) as cache:
        shipping(cache, body)
        plan = cache.plan("Ship A-12 and B-34")
        assert isinstance(plan, Plan)
        action, steps = run_plan(cache, plan, call)
    assert isinstance(action, GiveUp) and len(steps) == 1 and made == ["['A-12']"]


async def test_nothing_new_begins_once_the_caller_is_cancelled(sandbox: MontySandbox) -> None:
    """A call that runs comes to its end; the next one of the body is not begun."""
    began, go, made = threading.Event(), threading.Event(), list[str]()

    def ship(items: list[str]) -> str:
        made.append(items[0])
        began.set()
        assert go.wait(30)
        return "ok"

    with ReasoningCache(sandbox=sandbox, second_sandbox=None, tools=[HostTool(SHIP, ship)]) as cache:
        body = "def run(first, second):\n    ship([first])\n    ship([second])\n    return 'ok'\n"
        shipping(cache, body)
        task = asyncio.create_task(cache.alookup("Ship A-12 and B-34"))
        assert await asyncio.to_thread(began.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        await asyncio.get_running_loop().shutdown_default_executor()  # Every thread is done with what it ran.
    assert made == ["A-12"]


UNDECLARED: list[dict[str, Json]] = [
    {},
    {"type": "object"},
    {"type": "object", "properties": {}},
    {"type": "object", "properties": {"item": {"type": "string"}}},
]
ORDERS = ((12, "paper"), (5, "pens"), (8, "staples"), (20, "paper"), (15, "pens"), (9, "staples"))


def ordered(count: int, item: str) -> Trace:
    step = ToolStep(tool="order", arguments={"item": item, "count": count}, result=None)
    return Trace(request=Request(text=f"Order {count} boxes of {item}"), steps=(step,), answer="Ordered.")


@pytest.mark.parametrize("parameters", UNDECLARED)
def test_arguments_that_a_tool_does_not_declare(sandbox: MontySandbox, parameters: dict[str, Json]) -> None:
    """Learning says what to declare, and pays for no compilation: no code could pass them."""
    tools = [HostTool(Tool(name="order", parameters=parameters), lambda **arguments: None)]
    model = Unasked()
    with ReasoningCache(sandbox=sandbox, second_sandbox=None, tools=tools, model=model) as cache:
        for learned in [*(cache.observe(ordered(*order)) for order in ORDERS), cache.learn("x", trace=ordered(1, "x"))]:
            assert learned.status == "rejected" and learned.procedure is None
            assert "'count', which it does not declare" in learned.reason
            assert "declare its parameters" in learned.reason and "correct the code" not in learned.reason
    assert model.asked == 0


def test_arguments_that_a_tool_allows(sandbox: MontySandbox) -> None:
    """A tool that takes whatever it is given is learnt as one that declares it."""
    tool, made = Tool(name="order", parameters={"type": "object", "additionalProperties": True}), list[object]()
    with ReasoningCache(
        sandbox=sandbox, second_sandbox=None, tools=[HostTool(tool, lambda **arguments: made.append(arguments))]
    ) as cache:
        for order in ORDERS:
            cache.observe(ordered(*order))
        assert isinstance(cache.lookup("Order 11 boxes of paper"), Hit)
    assert made == [{"item": "paper", "count": 11}]


class Unasked:
    """A model that must not be asked."""

    name = "unasked"
    asked = 0

    def complete(self, messages: Sequence[Message]) -> Completion:
        """Count."""
        self.asked += 1
        return Completion("no", Usage())

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        """Count."""
        return self.complete(messages)
