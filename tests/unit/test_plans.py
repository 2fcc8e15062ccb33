"""`plan`, `bind`, `next_action`, `finish`: a procedure that a host runs step by step, in one worker or in several."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import pytest

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.records.entry import Entry
from seglam_agents.records.errors import StoreError
from seglam_agents.records.outcome import Action, Call, Deopt, Final, GiveUp, Hit, Miss, Plan, Refused
from seglam_agents.records.procedure import GuardSource, Procedure, Provenance, ToolUse
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request, Scope
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.records.values import encode
from seglam_agents.sandboxes.base import ToolResult
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.base import Changes
from seglam_agents.stores.memory import MemoryStore

PRICE = Tool(name="price", parameters={"type": "object", "properties": {"item": {"type": "string"}}}, effect="read")
ORDER = Tool(name="order", parameters={"type": "object", "properties": {"item": {}, "cost": {}}}, effect="write")
BUY = "Buy {n:count} boxes of {item:noun}"
BUYS = """def run(n, item):
    each = price(item)
    if each > 50:
        deopt("too dear")
    done = order(item, n * each)
    if done != "ok":
        deopt("not ordered")
    return n * each
"""
ADD = "Add {a:number} and {b:number}"
SPLIT = "Split {total:money} among {n:count} people"


@dataclass
class Till:
    """Two tools, what they say, and how often they were called."""

    price: Json = 3
    said: str = "ok"
    orders: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    prices: list[str] = field(default_factory=list[str])

    def host(self, price: Tool = PRICE) -> list[HostTool]:
        """Return the tools as a cache takes them."""
        return [HostTool(price, self.get_price), HostTool(ORDER, self.order)]

    def get_price(self, item: str) -> Json:
        """Say what an item costs."""
        self.prices.append(item)
        return self.price

    def order(self, item: str, cost: float) -> str:
        """Order something."""
        self.orders.append((item, cost))
        return self.said

    def call(self, action: Call) -> ToolResult:
        """Run a call as a host does."""
        arguments = action.arguments
        if action.tool == "price":
            return ToolResult(value=self.get_price(str(arguments["item"])))
        cost = arguments["cost"]
        assert isinstance(cost, (int, float))
        return ToolResult(value=self.order(str(arguments["item"]), cost))


Open = Callable[..., ReasoningCache]


@pytest.fixture
def opened(sandbox: MontySandbox) -> Iterator[Open]:
    caches: list[ReasoningCache] = []

    def opened(
        store: MemoryStore | None = None,
        tools: Sequence[HostTool] = (),
        now: Callable[[], datetime] | None = None,
        tenant: str = "default",
    ) -> ReasoningCache:
        kept = store if store is not None else MemoryStore()
        cache = ReasoningCache(kept, sandbox=sandbox, second_sandbox=None, tools=tools, now=now, tenant=tenant)
        caches.append(cache)
        return cache

    yield opened
    for cache in caches:
        cache.close()


def use(tool: Tool) -> ToolUse:
    return ToolUse(name=tool.name, effect=tool.effect, schema_hash=tool.schema_hash, arguments=tool.argument_names)


def stored(
    cache: ReasoningCache,
    template: str,
    body: str,
    name: str,
    *,
    tools: Sequence[Tool] = (),
    where: str | None = None,
    version: int = 1,
) -> Entry:
    """Put a procedure into the store of a cache, past admission."""
    guard = GuardSource(templates=(template,), where=where)
    procedure = Procedure(
        id=name,
        version=version,
        name=name,
        scope=cache.scope,
        guard=guard,
        body=body,
        parameters=TemplateGuard(guard).parameters(),
        tools=tuple(use(tool) for tool in tools),
        provenance=Provenance(compiler="test"),
    )
    current = cache.store.get(cache.scope, name)
    return cache.store.put(
        Entry(procedure=procedure, status="active"), expected_revision=current.revision if current else 0
    )


def buying(cache: ReasoningCache) -> Entry:
    return stored(cache, BUY, BUYS, "buy", tools=(PRICE, ORDER))


def planned(cache: ReasoningCache, text: str) -> Plan:
    plan = cache.plan(text)
    assert isinstance(plan, Plan), plan
    return plan


def carried_out(
    cache: ReasoningCache, plan: Plan, till: Till
) -> tuple[Final | GiveUp, list[ToolResult], list[ToolStep]]:
    """Run a plan to its end."""
    recorded: list[ToolResult] = []
    steps: list[ToolStep] = []
    while isinstance(action := cache.next_action(plan, recorded), Call):
        recorded.append(till.call(action))
        steps.append(ToolStep(tool=action.tool, arguments=dict(action.arguments), result=str(recorded[-1].value)))
    return action, recorded, steps


class TestPlan:
    """What will answer, before anything has run."""

    def test_nothing_is_called(self, opened: Open) -> None:
        """A plan names the procedure, its arguments and the tools it may call, and calls none."""
        till = Till()
        cache = opened(tools=till.host())
        entry = buying(cache)
        plan = planned(cache, "Buy 4 boxes of tea")
        assert (plan.procedure, plan.content_hash) == ("buy@1", entry.procedure.content_hash)
        assert plan.arguments == {"n": 4, "item": "tea"} and plan.request == "Buy 4 boxes of tea"
        assert [tool.name for tool in plan.tools] == ["price", "order"] and not plan.pure
        assert till.prices == [] and till.orders == [] and plan.now is None

    @pytest.mark.parametrize(
        ("template", "text", "arguments"),
        [
            (SPLIT, "Split $84.50 among 4 people", {"total": {"$money": [84.5, "USD"]}, "n": 4}),
            ("Book {day:date} at {hour:time}", "Book March 3, 2026 at 4 pm", None),
            ("Wait for {span:duration}", "Wait for 90 minutes", {"span": {"$duration": 5400.0}}),
            ("Order {weight:quantity(mass)} of rice", "Order 5 kg of rice", None),
            (ADD, "Add 0.1 and -7", {"a": 0.1, "b": -7}),
        ],
    )
    def test_a_plan_is_json(self, opened: Open, template: str, text: str, arguments: dict[str, Json] | None) -> None:
        """Whatever slots bind comes through JSON unchanged, and the body sees the same values after it."""
        cache = opened(now=lambda: datetime(2026, 3, 1, 8, 30))
        names = ", ".join(TemplateGuard(GuardSource(templates=(template,))).slots)
        stored(cache, template, f"def run({names}):\n    return [{names}]\n", "echo")
        plan = planned(cache, text)
        again = Plan.model_validate_json(plan.model_dump_json())
        assert again == plan and again.now == datetime(2026, 3, 1, 8, 30) and again.pure
        assert arguments is None or plan.arguments == arguments
        first, second = cache.next_action(plan), cache.next_action(again)
        assert isinstance(first, Final) and isinstance(second, Final) and first.answer == second.answer
        assert first.answer == list(plan.arguments.values())

    @pytest.mark.parametrize(("text", "reason"), [("", "empty"), ("Buy\x00 it", "NUL"), ("x" * 30_000, "characters")])
    def test_what_is_no_request_is_refused(self, opened: Open, text: str, reason: str) -> None:
        """A refusal is no plan, and is counted at once."""
        cache = opened()
        outcome = cache.plan(text)
        assert isinstance(outcome, Refused) and reason in outcome.reason
        assert (cache.stats().requests, cache.stats().refused) == (1, 1)

    def test_a_miss_is_counted_at_once_and_a_plan_when_it_is_finished(self, opened: Open) -> None:
        """The sums of a cache count a request once, whichever way it goes."""
        cache = opened()
        stored(cache, ADD, "def run(a, b):\n    return a + b\n", "sum")
        assert isinstance(cache.plan("Dance with me"), Miss)
        plan = planned(cache, "Add 1 and 2")
        assert (cache.stats().requests, cache.stats().misses, cache.stats().hits) == (1, 1, 0)
        action = cache.next_action(plan)
        assert isinstance(action, Final)
        cache.finish(plan, action)
        assert (cache.stats().requests, cache.stats().misses, cache.stats().hits) == (2, 1, 1)

    def test_tenants_are_apart(self, opened: Open) -> None:
        """A plan of one tenant is no plan for another one on the same store."""
        store = MemoryStore()
        ours, theirs = opened(store, tenant="ours"), opened(store, tenant="theirs")
        stored(ours, ADD, "def run(a, b):\n    return a + b\n", "sum")
        plan = planned(ours, "Add 1 and 2")
        assert isinstance(theirs.plan(Request(text="Add 1 and 2", scope=Scope(tenant="ours"))), Miss)
        assert isinstance(theirs.next_action(plan), GiveUp)
        assert isinstance(theirs.bind("sum", {"a": 1, "b": 2}), Refused)

    def test_context_must_be_declared(self, opened: Open) -> None:
        """A request with a context that no procedure knows is a miss, as it is for `lookup`."""
        cache = opened()
        stored(cache, ADD, "def run(a, b):\n    return a + b\n", "sum")
        assert isinstance(cache.plan("Add 1 and 2", context={"mode": "octal"}), Miss)


class TestConflicts:
    """Several procedures that accept one request."""

    def test_two_that_begin_differently_are_a_miss(self, opened: Open) -> None:
        """Nobody can try both, so that neither is planned."""
        till = Till()
        cache = opened(tools=till.host())
        buying(cache)
        stored(
            cache,
            "Buy {k:count} boxes of {what:noun}",
            "def run(k, what):\n    return price(what + 's')\n",
            "other",
            tools=(PRICE,),
        )
        outcome = cache.plan("Buy 4 boxes of tea")
        assert isinstance(outcome, Miss) and outcome.reason.startswith("guards disagree")
        assert {stop.procedure for stop in outcome.stops} == {"buy@1", "other@1"}
        assert cache.stats().conflicts == 1 and till.prices == [] and till.orders == []

    def test_a_pure_one_and_one_with_tools_are_a_miss(self, opened: Open) -> None:
        """The one that writes may be the right one: neither is planned."""
        cache = opened(tools=Till().host())
        buying(cache)
        stored(cache, "Buy {k:count} boxes of {what:noun}", "def run(k, what):\n    return k\n", "other")
        assert isinstance(cache.plan("Buy 4 boxes of tea"), Miss)

    def test_pure_ones_that_disagree_are_a_miss(self, opened: Open) -> None:
        """Two answers are no answer."""
        cache = opened()
        stored(cache, ADD, "def run(a, b):\n    return a + b\n", "sum")
        stored(cache, "Add {x:number} and {y:number}", "def run(x, y):\n    return x * y\n", "product")
        assert isinstance(cache.plan("Add 3 and 4"), Miss)
        plan = planned(cache, "Add 2 and 2")
        action = cache.next_action(plan)
        assert isinstance(action, Final) and action.answer == 4


class TestGoingOn:
    """`next_action`: the same results, the same next step, in whatever worker."""

    def test_step_by_step(self, opened: Open) -> None:
        """Each call comes with its arguments, until there is an answer."""
        till = Till()
        cache = opened(tools=till.host())
        buying(cache)
        plan = planned(cache, "Buy 4 boxes of tea")
        assert cache.next_action(plan) == Call("price", {"item": "tea"})
        assert cache.next_action(plan, [ToolResult(value=3)]) == Call("order", {"item": "tea", "cost": 12})
        action = cache.next_action(plan, [ToolResult(value=3), ToolResult(value="ok")])
        assert isinstance(action, Final) and action.answer == 12
        assert till.prices == [] and till.orders == [], "the host runs the tools, never the cache"

    def test_asking_again_changes_nothing(self, opened: Open) -> None:
        """A worker that asks for a step twice gets the same one."""
        cache = opened(tools=Till().host())
        buying(cache)
        plan = planned(cache, "Buy 4 boxes of tea")
        seen = {repr(cache.next_action(plan, [ToolResult(value=3)])) for _ in range(5)}
        assert len(seen) == 1

    def test_another_cache_goes_on(self, opened: Open) -> None:
        """Each step may be taken by another worker that has the plan as JSON and the results so far."""
        store, till = MemoryStore(), Till()
        first = opened(store, till.host())
        buying(first)
        written = planned(first, "Buy 4 boxes of tea").model_dump_json()
        recorded: list[ToolResult] = []
        action: Action = Call("", {})
        while isinstance(action, Call):
            worker = opened(store, till.host())
            action = worker.next_action(Plan.model_validate_json(written), recorded)
            if isinstance(action, Call):
                recorded.append(till.call(action))
        assert isinstance(action, Final) and action.answer == 12
        assert till.prices == ["tea"] and till.orders == [("tea", 12)]

    def test_the_clock_of_a_plan_stands_still(self, opened: Open) -> None:
        """A run that is resumed on the next day sees the day on which it was planned."""
        store = MemoryStore()
        body = "from datetime import datetime\n\ndef run(n):\n    return f'{n} on {datetime.now().day}'\n"
        monday, tuesday = (opened(store, now=lambda day=day: datetime(2026, 3, day, 9)) for day in (2, 3))
        stored(monday, "Count to {n:count} today", body, "count")
        plan = planned(monday, "Count to 5 today")
        actions = [cache.next_action(plan) for cache in (monday, tuesday)]
        assert [action.answer if isinstance(action, Final) else action for action in actions] == ["5 on 2", "5 on 2"]

    def test_a_tool_error_is_an_error_in_the_body(self, opened: Open) -> None:
        """A recorded error ends the plan, and no further tool is asked for."""
        cache = opened(tools=Till().host())
        buying(cache)
        plan = planned(cache, "Buy 4 boxes of tea")
        action = cache.next_action(plan, [ToolResult(error="KeyError: tea")])
        assert isinstance(action, GiveUp) and "KeyError: tea" in action.reason

    def test_a_body_that_gives_up(self, opened: Open) -> None:
        """A deopt in the middle is a reason, and comes before the write."""
        till = Till(price=99)
        cache = opened(tools=till.host())
        buying(cache)
        action, recorded, _ = carried_out(cache, planned(cache, "Buy 4 boxes of tea"), till)
        assert isinstance(action, GiveUp) and "too dear" in action.reason
        assert len(recorded) == 1 and till.orders == []

    def test_a_changed_tool_stops_a_plan(self, opened: Open) -> None:
        """A worker whose tools are not those of the plan does not go on."""
        store, till = MemoryStore(), Till()
        first = opened(store, till.host())
        buying(first)
        plan = planned(first, "Buy 4 boxes of tea")
        changed = PRICE.model_copy(update={"parameters": {"type": "object", "properties": {"sku": {}}}})
        for worker in (opened(store, till.host(changed)), opened(store)):
            action = worker.next_action(plan, [ToolResult(value=3)])
            assert isinstance(action, GiveUp) and "does not serve any more" in action.reason

    @pytest.mark.parametrize("body", [BUYS.replace("> 50", "> 40"), BUYS])
    def test_a_replaced_version_stops_a_plan(self, opened: Open, body: str) -> None:
        """Results recorded for one version are never given to another one, even where its code is the same."""
        cache = opened(tools=Till().host())
        buying(cache)
        plan = planned(cache, "Buy 4 boxes of tea")
        stored(cache, BUY, body, "buy", tools=(PRICE, ORDER), version=2)
        cache.procedures()  # Reads the change feed, as a worker does every second.
        action = cache.next_action(plan, [ToolResult(value=3)])
        assert isinstance(action, GiveUp) and "buy@1" in action.reason
        deopt = cache.finish(plan, action)
        assert isinstance(deopt, Deopt) and deopt.citation.key == "buy@1"

    def test_a_tampered_plan_gives_up(self, opened: Open) -> None:
        """A plan that names another hash, another procedure or nonsense serves nothing, and raises nothing."""
        cache = opened(tools=Till().host())
        buying(cache)
        plan = planned(cache, "Buy 4 boxes of tea")
        for changes in ({"content_hash": "0"}, {"procedure": "buy@2"}, {"procedure": "nobody@1"}, {"procedure": ""}):
            assert isinstance(cache.next_action(plan.model_copy(update=changes)), GiveUp)

    @pytest.mark.parametrize(
        "arguments",
        [{}, {"n": None, "item": None}, {"n": {"$date": "no day"}, "item": "tea"}],
    )
    def test_wrong_arguments_in_a_plan_give_up(self, opened: Open, arguments: dict[str, Json]) -> None:
        """A plan that was written by hand with wrong values gives up where they break, before the write."""
        till = Till()
        cache = opened(tools=till.host())
        buying(cache)
        plan = planned(cache, "Buy 4 boxes of tea").model_copy(update={"arguments": arguments})
        actions = [cache.next_action(plan, [ToolResult(value=3)][:count]) for count in (0, 1)]
        assert isinstance(actions[-1], GiveUp)


class TestBind:
    """A procedure that is called by its name, as a model calls a tool."""

    @pytest.mark.parametrize("name", ["split", "split@1"])
    @pytest.mark.parametrize(
        ("total", "n"),
        [
            ("$84.50", 4),
            ("84.50 USD", "4"),
            ({"$money": [84.5, "USD"]}, 4),
            ("$84.50", "four"),
        ],
    )
    def test_texts_are_read_by_the_slots(self, opened: Open, name: str, total: Json, n: Json) -> None:
        """A text is as good as the value it spells."""
        cache = opened()
        stored(cache, SPLIT, "def run(total, n):\n    return total.amount / n\n", "split", where="n > 0")
        plan = cache.bind(name, {"total": total, "n": n})
        assert isinstance(plan, Plan), plan
        assert plan.arguments == {"total": {"$money": [84.5, "USD"]}, "n": 4}
        action = cache.next_action(plan)
        assert isinstance(action, Final) and action.answer == 21.125

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ({}, "missing"),
            ({"total": "$3"}, "'n' (count) is missing"),
            ({"total": "$3", "n": None}, "missing"),
            ({"total": "$3", "n": 2, "tip": 1}, "there is no parameter tip"),
            ({"total": "three apples", "n": 2}, "cannot be read as money"),
            ({"total": "$3", "n": "a few"}, "cannot be read as count"),
            ({"total": "$3", "n": [2]}, "cannot be read as count"),
            ({"total": "$3", "n": True}, "cannot be read as count"),
            ({"total": "$3", "n": 0}, "out of bounds"),
        ],
    )
    def test_wrong_arguments_are_refused_with_a_reason(
        self, opened: Open, arguments: dict[str, Json], reason: str
    ) -> None:
        """Missing, extra, unreadable and unlawful arguments never make a plan."""
        cache = opened()
        stored(cache, SPLIT, "def run(total, n):\n    return total.amount / n\n", "split", where="n > 0")
        outcome = cache.bind("split", arguments)
        assert isinstance(outcome, Refused) and reason in outcome.reason

    def test_an_unknown_name_is_refused(self, opened: Open) -> None:
        """A procedure that is not there, or does not serve, makes no plan."""
        cache = opened()
        assert isinstance(cache.bind("nobody", {}), Refused)
        buying(cache)  # Its tools are not those of this cache.
        outcome = cache.bind("buy", {"n": 1, "item": "tea"})
        assert isinstance(outcome, Refused) and "no procedure 'buy' serves here" in outcome.reason

    def test_a_bound_plan_runs_like_one_from_a_text(self, opened: Open) -> None:
        """Both ways give the same steps and the same answer."""
        till = Till()
        cache = opened(tools=till.host())
        buying(cache)
        bound = cache.bind("buy", {"n": 4, "item": "tea"})
        assert isinstance(bound, Plan)
        asked = planned(cache, "Buy 4 boxes of tea")
        assert (bound.arguments, bound.procedure, bound.request) == (asked.arguments, asked.procedure, "")
        answers = [carried_out(cache, plan, till)[0] for plan in (bound, asked)]
        assert all(isinstance(answer, Final) and answer.answer == 12 for answer in answers)
        assert till.orders == [("tea", 12)] * 2

    def test_dates_by_their_iso_form(self, opened: Open) -> None:
        """A model says a date as a text."""
        cache = opened()
        stored(cache, "Book {day:date}", "def run(day):\n    return day\n", "book")
        plan = cache.bind("book", {"day": "2026-03-13"})
        assert isinstance(plan, Plan) and plan.arguments == {"day": {"$date": date(2026, 3, 13).isoformat()}}

    def test_a_broken_store_is_a_refusal(self, opened: Open) -> None:
        """`bind` raises nothing either."""
        outcome = opened(Gone()).bind("split", {})
        assert isinstance(outcome, Refused)


class TestFinish:
    """What a plan came to, and what is counted of it."""

    def test_a_hit_with_its_citation_and_steps(self, opened: Open) -> None:
        """The outcome is that of `lookup`, with the steps that the host has done."""
        till = Till()
        cache = opened(tools=till.host())
        entry = buying(cache)
        plan = planned(cache, "Buy 4 boxes of tea")
        action, _, steps = carried_out(cache, plan, till)
        hit = cache.finish(plan, action, steps)
        assert isinstance(hit, Hit) and hit.answer == 12 and hit.arguments == {"n": 4, "item": "tea"}
        assert hit.citation.key == "buy@1" and hit.citation.content_hash == entry.procedure.content_hash
        assert [step.tool for step in hit.steps] == ["price", "order"] and hit.usage.tokens == 0

    def test_statistics_are_counted_once(self, opened: Open) -> None:
        """Neither planning nor asking for actions counts; finishing does, once each."""
        store, till = MemoryStore(), Till()
        cache = opened(store, till.host())
        buying(cache)
        for price in (3, 99, 4):
            till.price = price
            plan = planned(cache, "Buy 4 boxes of tea")
            action, recorded, steps = carried_out(cache, plan, till)
            cache.next_action(plan, recorded)
            cache.finish(plan, action, steps)
        (entry,) = cache.procedures()
        assert (entry.statistics.hits, entry.statistics.deopts) == (2, 1)
        assert (cache.stats().requests, cache.stats().hits, cache.stats().deopts) == (3, 2, 1)
        cache.close()
        (kept,) = opened(store, till.host()).procedures()
        assert (kept.statistics.hits, kept.statistics.deopts) == (2, 1)

    def test_a_pure_plan(self, opened: Open) -> None:
        """A procedure without tools is finished at its first action."""
        cache = opened()
        stored(cache, ADD, "def run(a, b):\n    return a + b\n", "sum")
        plan = planned(cache, "Add 20 and 3")
        action = cache.next_action(plan)
        assert plan.pure and isinstance(action, Final)
        hit = cache.finish(plan, action)
        assert isinstance(hit, Hit) and hit.answer == 23 and hit.steps == ()

    @pytest.mark.parametrize("procedure", ["gone@1", "gone", "", "gone@", "gone@x"])
    def test_a_plan_whose_procedure_is_gone(self, opened: Open, procedure: str) -> None:
        """What was planned by a procedure that is no more is still an outcome, and raises nothing."""
        cache = opened()
        plan = Plan(procedure=procedure, content_hash="0")
        action = cache.next_action(plan)
        assert isinstance(action, GiveUp)
        deopt = cache.finish(plan, action)
        assert isinstance(deopt, Deopt) and cache.stats().deopts == 1

    def test_on_an_event_loop(self, opened: Open) -> None:
        """The four methods block no longer than a look at the store: they may be called from a coroutine."""
        cache = opened()
        stored(cache, ADD, "def run(a, b):\n    return a + b\n", "sum")

        async def asked(number: int) -> Json:
            plan = await asyncio.to_thread(cache.plan, f"Add {number} and 1")
            assert isinstance(plan, Plan)
            action = await asyncio.to_thread(cache.next_action, plan)
            assert isinstance(action, Final)
            return (await asyncio.to_thread(cache.finish, plan, action)).answer

        async def all_of_them() -> list[Json]:
            return list(await asyncio.gather(*(asked(number) for number in range(8))))

        assert asyncio.run(all_of_them()) == [number + 1 for number in range(8)]
        assert cache.stats().hits == 8


class Gone(MemoryStore):
    """A store that fails on every read until it is mended."""

    broken = True

    def changes(self, scope: Scope, since: int = 0) -> Changes:
        """Fail."""
        if self.broken:
            raise StoreError("the disk is gone")
        return super().changes(scope, since)


class TestBrokenStores:
    """Whatever breaks, the agent goes on without the cache."""

    def test_planning_is_a_miss(self, opened: Open) -> None:
        """A plan that cannot be made is a miss with the reason, and is counted."""
        store = Gone()
        cache = opened(store)
        outcome = cache.plan("Add 1 and 2")
        store.broken = False
        assert isinstance(outcome, Miss) and "the disk is gone" in outcome.reason
        assert cache.stats().misses == 1

    def test_going_on_gives_up(self, opened: Open) -> None:
        """A plan that was made while the store was there gives up when it is gone."""
        action = opened(Gone()).next_action(Plan(procedure="sum@1", content_hash="0", arguments={"a": 1, "b": 2}))
        assert isinstance(action, GiveUp) and "the disk is gone" in action.reason

    def test_finishing_still_tells_the_outcome(self, opened: Open) -> None:
        """What has been done is handed over, whether or not the store can still be read."""
        plan = Plan(procedure="buy@1", content_hash="0", arguments={"n": 1})
        step = ToolStep(tool="order", arguments={"item": "tea"}, result="ok")
        cache = opened(Gone())
        deopt = cache.finish(plan, GiveUp("the store is broken"), (step,))
        assert isinstance(deopt, Deopt) and deopt.steps == (step,)
        hit = cache.finish(plan, Final(12), (step,))
        assert isinstance(hit, Hit) and hit.answer == 12

    def test_observing_fails_with_a_reason(self, opened: Open) -> None:
        """Learning from a run must not break the agent that ran."""
        learned = opened(Gone()).observe(Trace(request=Request(text="Add 1 and 2"), answer=3))
        assert learned.status in ("failed", "rejected") and learned.reason


class TestSeveralThatAccept:
    """Procedures that accept one request run side by side, and serve as long as they want the same."""

    SLOWER = BUYS.replace("each = price(item)", "what = item\n    each = price(what)")

    def test_those_that_want_the_same_serve_together(self, opened: Open) -> None:
        """What two workers learnt of one kind is no conflict: each call is made once."""
        till = Till()
        cache = opened(tools=till.host())
        buying(cache)
        stored(cache, "Buy {n:count} boxes of {item:noun}", self.SLOWER, "rival", tools=(PRICE, ORDER))
        hit = cache.answer("Buy 2 boxes of tea")
        assert isinstance(hit, Hit) and hit.answer == 6
        assert (till.prices, till.orders) == (["tea"], [("tea", 6)])

    def test_they_go_on_together_in_a_host(self, opened: Open) -> None:
        """A plan holds them all, through its JSON form."""
        till = Till()
        cache = opened(tools=till.host())
        buying(cache)
        stored(cache, "Buy {n:count} boxes of {item:noun}", self.SLOWER, "rival", tools=(PRICE, ORDER))
        plan = Plan.model_validate_json(planned(cache, "Buy 2 boxes of tea").model_dump_json())
        assert len(plan.beside) == 1
        results: list[ToolResult] = []
        while isinstance(action := cache.next_action(plan, results), Call):
            results.append(till.call(action))
        assert action == Final(6, action.seconds) if isinstance(action, Final) else False
        assert till.orders == [("tea", 6)]

    @pytest.mark.parametrize("dear", [True, False])
    def test_those_that_part_ways_stop_where_they_do(self, opened: Open, dear: bool) -> None:
        """After a common read they want different writes: none is made, and the model is told of the read."""
        till = Till()
        cache = opened(tools=till.host())
        buying(cache)
        stored(cache, BUY, BUYS.replace("n * each)", "each)"), "rival", tools=(PRICE, ORDER))
        outcome = cache.lookup("Buy 2 boxes of tea") if dear else run(cache, till, "Buy 2 boxes of tea")
        assert isinstance(outcome, Deopt) and outcome.kind == "conflict"
        assert [step.tool for step in outcome.steps] == ["price"] and till.orders == []

    def test_those_that_begin_differently_do_nothing(self, opened: Open) -> None:
        """Different first calls are a miss before anything was carried out."""
        till = Till()
        cache = opened(tools=till.host())
        buying(cache)
        stored(cache, BUY, "def run(n, item):\n    return order(item, n)\n", "rival", tools=(PRICE, ORDER))
        outcome = cache.lookup("Buy 2 boxes of tea")
        assert isinstance(outcome, Miss) and outcome.kind == "conflict" and "order(" in outcome.reason
        assert till.prices == [] and till.orders == [] and cache.stats().conflicts == 1


def run(cache: ReasoningCache, till: Till, text: str) -> Hit | Deopt:
    """Drive a plan to its end as a host does."""
    plan, results, steps = planned(cache, text), list[ToolResult](), list[ToolStep]()
    while isinstance(action := cache.next_action(plan, results), Call):
        result = till.call(action)
        results.append(result)
        steps.append(ToolStep(tool=action.tool, arguments=dict(action.arguments), result=encode(result.value)))
    return cache.finish(plan, action, steps)


def test_a_plan_that_its_host_stops_before_a_call(opened: Open) -> None:
    """What `next_action` returned may be given to `finish` as it is: a call that was not made is a deopt."""
    cache = opened(tools=Till().host())
    buying(cache)
    plan = planned(cache, "Buy 3 boxes of tea")
    outcome = cache.finish(plan, cache.next_action(plan))
    assert isinstance(outcome, Deopt) and (outcome.kind, outcome.reason) == ("host", "stopped before its call of price")
    assert cache.stats().deopts == 1
