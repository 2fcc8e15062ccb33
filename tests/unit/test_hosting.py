"""The room of hosts: what every adapter relies on, apart from the host contract."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglam_agents import (
    Call,
    Deopt,
    Final,
    GiveUp,
    Hit,
    HostTool,
    Learned,
    Miss,
    Plan,
    ReasoningCache,
    Refused,
    Request,
    Tool,
    ToolResult,
    ToolStep,
    Trace,
)
from seglam_agents.hosting import (
    LOST,
    UNNOTED,
    UNREAD,
    Asked,
    Carried,
    Driver,
    Drivers,
    Go,
    InDoubt,
    Journal,
    Known,
    Learner,
    Pass,
    Posed,
    Say,
    Turn,
    View,
    Write,
    arguments_model,
    arun_plan,
    drive,
    find_entry,
    idempotency_key,
    known_effects,
    nearest,
    offering,
    once,
    origin_of,
    planned,
    render,
    run_plan,
    tool_name,
)
from seglam_agents.records.errors import StoreError
from seglam_agents.records.record import Json
from seglam_agents.records.request import Scope
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.memory import MemoryStore
from seglam_agents.testing.host_contract import ORDER, PROCEDURES, Crash, Shop, stored
from seglam_agents.testing.models import ScriptedModel
from seglam_agents.testing.plain_host import PlainHost

WRITE = Write(place="p", call="c", tool="order")
SCOPE = Scope(tenant="t")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[MontySandbox]:
    sandbox = MontySandbox()
    yield sandbox
    sandbox.close()


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def tools(shop: Shop) -> list[HostTool]:
    return PlainHost().declare(shop.tools())


@pytest.fixture
def cache(sandbox: MontySandbox, tools: list[HostTool]) -> Iterator[ReasoningCache]:
    with ReasoningCache(tools=tools, sandbox=sandbox, second_sandbox=None, second_opinion=False) as cache:
        for name in PROCEDURES:
            stored(cache, name, tools)
        yield cache


class TestJournal:
    """Intent before, result after; an intent alone is in doubt."""

    def test_an_intent_without_a_result_is_in_doubt(self) -> None:
        """Another attempt is told, however often; the same attempt may retry."""
        journal = Journal(MemoryStore(), SCOPE)
        assert journal.begin(WRITE, "1") == Go() and journal.begin(WRITE, "1") == Go()
        other = Journal(journal.store, SCOPE)
        assert isinstance(other.begin(WRITE, "2"), InDoubt) and isinstance(journal.begin(WRITE, "3"), InDoubt)
        assert other.begin(WRITE.model_copy(update={"call": "d"}), "2") == Go()

    def test_a_write_of_another_tenant(self) -> None:
        """Whether it was made before is known there alone: it is not begun here."""
        write = WRITE.model_copy(update={"scope": SCOPE.key})
        store = MemoryStore()
        assert isinstance(Journal(store, Scope(tenant="other")).begin(write, "1"), InDoubt)
        assert Journal(store, SCOPE).begin(write, "1") == Go()

    def test_a_write_beside_those_of_an_earlier_attempt(self) -> None:
        """It begins once all that were made before have been asked for, in whatever order."""
        journal = Journal(MemoryStore(), SCOPE)
        first, second, third = (WRITE.model_copy(update={"call": call, "before": ()}) for call in "abc")
        after = [first, second.model_copy(update={"before": ("a",)})]
        assert [journal.begin(write, "1") for write in after] == [Go(), Go()]
        assert isinstance(journal.begin(third, "2"), InDoubt)
        assert isinstance(journal.begin(third.model_copy(update={"before": ("a",)}), "2"), InDoubt)
        assert journal.begin(third.model_copy(update={"before": ("b", "a")}), "2") == Go()
        assert {left.call for left in journal.left("p")} == {"a", "b", "c"} and journal.left("q") == ()

    @pytest.mark.parametrize("document", [{"content": "ok"}, {"tool_output": {}}, {}])
    def test_a_result_in_another_form(self, document: dict[str, Json]) -> None:
        """It is told as made; nothing is raised, and nothing runs."""
        journal = Journal(MemoryStore(), SCOPE)
        journal.begin(WRITE, "1")
        journal.end(WRITE, "1", document)

        def instead(told: Known | InDoubt) -> str:
            return told.text if isinstance(told, InDoubt) else str(told.document["value"])

        def call() -> Any:
            raise AssertionError("it was made before")
            yield

        assert drive(once(journal, WRITE, "2", call, instead=instead, document=lambda _: (None, False))) == LOST

    def test_a_result_is_served_again(self) -> None:
        """In every later attempt; without a JSON form, that it was done is told."""
        journal = Journal(MemoryStore(), SCOPE)
        journal.begin(WRITE, "1")
        journal.end(WRITE, "1", {"content": "ok"})
        assert journal.begin(WRITE, "2") == Known({"content": "ok"}) == journal.begin(WRITE, "1")
        second = WRITE.model_copy(update={"call": "d"})
        journal.begin(second, "1")
        journal.end(second, "1", None)
        doubt = journal.begin(second, "2")
        assert isinstance(doubt, InDoubt) and "was carried out before" in doubt.text

    def test_a_failure(self) -> None:
        """A retry within the attempt runs again; a later attempt is told what had been said."""
        journal = Journal(MemoryStore(), SCOPE)
        journal.begin(WRITE, "1")
        journal.end(WRITE, "1", {"error": "no"}, failed=True)
        assert journal.begin(WRITE, "1") == Go()
        journal.end(WRITE, "1", {"error": "no"}, failed=True)
        assert journal.begin(WRITE, "2") == Known({"error": "no"})

    def test_an_interrupted_write_is_forgotten(self) -> None:
        """A tool that waits for a person is run from its start when he has answered."""
        journal = Journal(MemoryStore(), SCOPE)
        journal.begin(WRITE, "1")
        journal.withdraw(WRITE, "1")
        assert journal.begin(WRITE, "2") == Go()

    def test_idempotent_tools(self) -> None:
        """An intent alone does not stop them; a result is served all the same."""
        journal, write = Journal(MemoryStore(), SCOPE), WRITE.model_copy(update={"idempotent": True})
        assert journal.begin(write, "1") == Go() and journal.begin(write, "2") == Go()
        journal.end(write, "2", {"content": "ok"})
        assert journal.begin(write, "3") == Known({"content": "ok"})

    def test_scopes_are_apart(self) -> None:
        """What one tenant did is nothing to another."""
        store = MemoryStore()
        assert Journal(store, SCOPE).begin(WRITE, "1") == Go()
        assert Journal(store, Scope(tenant="other")).begin(WRITE, "2") == Go()

    @pytest.mark.parametrize("size", [2, 8])
    def test_at_most_one_at_a_time(self, size: int) -> None:
        """Of workers that begin at once, each with a journal of its own, at most one goes; of threads on one, one."""
        store = MemoryStore()
        shared = Journal(store, SCOPE)
        for number in range(20):
            write = WRITE.model_copy(update={"call": f"c{number}"})
            for journals, least in (([shared] * size, 1), ([Journal(store, SCOPE) for _ in range(size)], 0)):
                write = write.model_copy(update={"place": f"p{least}"})
                barrier, got = threading.Barrier(size), []

                def begin(journal: Journal, attempt: int, write: Write = write, barrier: Any = barrier) -> None:
                    barrier.wait()
                    got.append(journal.begin(write, str(attempt)))  # noqa: B023

                threads = [threading.Thread(target=begin, args=(x, n)) for n, x in enumerate(journals)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                assert least <= got.count(Go()) <= 1 and len(got) == size

    @given(st.lists(st.tuples(st.sampled_from(["begin", "end", "fail", "withdraw"]), st.integers(0, 2)), max_size=12))
    def test_whatever_happens_a_write_that_may_have_been_done_is_not_begun_by_another(
        self, moves: list[tuple[str, int]]
    ) -> None:
        """The law of the journal, over any order of what attempts do."""
        journal = Journal(MemoryStore(), SCOPE)
        running: set[int] = set()
        for move, attempt in moves:
            if move == "begin":
                going = journal.begin(WRITE, str(attempt)) == Go()
                assert not going or running <= {attempt}
                running |= {attempt} if going else set()
            elif attempt in running:
                if move == "withdraw":
                    journal.withdraw(WRITE, str(attempt))
                    running.discard(attempt)
                else:
                    journal.end(WRITE, str(attempt), {"content": "x"}, failed=move == "fail")

    def test_a_store_that_is_gone(self) -> None:
        """What cannot be noted is left to the model, but for what may be repeated; nothing is raised."""

        class Gone(MemoryStore):
            def notes(self, scope: Scope, kind: str) -> Any:
                raise StoreError("gone")

        journal = Journal(Gone(), SCOPE)
        assert journal.begin(WRITE, "1") == InDoubt(UNREAD)
        assert journal.begin(WRITE.model_copy(update={"idempotent": True}), "1") == Go()
        journal.end(WRITE, "1", {})

    def test_what_cannot_be_read_is_not_told_as_never_made(self) -> None:
        """An earlier attempt may have made it: "make it yourself" is said only where it is known that none did."""

        class Away(MemoryStore):
            away = ""

            def notes(self, scope: Scope, kind: str) -> Any:
                if self.away == "all":
                    raise StoreError("away")
                return super().notes(scope, kind)

            def put_note(self, scope: Scope, kind: str, key: str, note: Any) -> None:
                if self.away:
                    raise StoreError("away")
                super().put_note(scope, kind, key, note)

        store = Away()
        journal = Journal(store, SCOPE)
        assert journal.begin(WRITE, "1") == Go()
        journal.end(WRITE, "1", {"content": "made"})
        store.away = "all"
        told = journal.begin(WRITE, "2")
        assert isinstance(told, InDoubt) and "Find out" in told.text and "yourself" not in told.text
        store.away = "writing"
        assert journal.begin(WRITE, "2") == Known({"content": "made"})
        assert journal.begin(WRITE.model_copy(update={"call": "another", "before": None}), "2") == InDoubt(UNNOTED)

    def test_the_key_for_the_other_side(self) -> None:
        """The same in every attempt, another for every call, and gone afterwards."""
        assert idempotency_key() is None
        with offering(WRITE):
            first = idempotency_key()
            with offering(None):
                assert idempotency_key() is None
        with offering(WRITE.model_copy(update={"call": "d"})):
            assert idempotency_key() not in (first, None)
        assert first == WRITE.key and idempotency_key() is None


def test_what_names_a_turn() -> None:
    """A thread with its last finished turn, or the caller's own id; without either no write is noted."""
    assert origin_of(None) == "" and origin_of("", "m1") == ""
    assert len({origin_of("1"), origin_of("1", "m1"), origin_of("2"), origin_of(None, "", "1")}) == 4
    assert origin_of("1", "m1", "r") == origin_of(None, "", "r")


class TestDriver:
    """What a procedure says step by step."""

    @pytest.fixture
    def driver(self, cache: ReasoningCache) -> Driver:
        """The cache's."""
        return Drivers().of(cache)

    def test_a_turn_is_plain_data(self, driver: Driver) -> None:
        """Written down and read by another worker, it goes on where it was."""
        turn, _ = driver.begin(Turn(key="k", origin="o"), Posed("Order 2 boxes of tea"))
        said = driver.advance(turn, View({}))
        assert isinstance(said, Say) and said.call.tool == "price" and said.write is None
        again = Turn.model_validate_json(said.turn.model_dump_json())
        assert again == said.turn
        done = Carried(id=said.call.id, tool="price", arguments={"item": "tea"}, result=3)
        second = driver.advance(again, View({said.call.id: done}))
        assert isinstance(second, Say) and second.call.tool == "order" and second.write is not None

    def test_writes_have_one_name_in_every_attempt(self, driver: Driver) -> None:
        """Another attempt asks with other ids, and means the same; another text, turn or thread does not."""

        def write(origin: str, text: str = "First order 2 boxes of tea") -> Any:
            turn, _ = driver.begin(Turn(origin=origin), Posed(text))
            said = driver.advance(turn, View({}))
            assert isinstance(said, Say)
            return said.write

        assert write("a") == write("a") and write("") is None
        assert len({write("a").key, write("b").key, write("a", "First order 3 boxes of tea").key}) == 3

    @pytest.mark.parametrize(
        ("view", "reason"),
        [
            (View(None), "not in the history any more"),
            (View({}), "not in the history"),
            (View({}, switch="off"), "not in the history"),
        ],
    )
    def test_results_that_are_gone(self, driver: Driver, view: View, reason: str) -> None:
        """Without the result of a call that was asked for, the model goes on."""
        turn, _ = driver.begin(Turn(), Posed("Order 2 boxes of tea"))
        said = driver.advance(turn, View({}))
        assert isinstance(said, Say)
        ended = driver.advance(said.turn, view)
        assert isinstance(ended, Pass) and ended.turn.status == "gave up" and reason in ended.turn.reason
        assert not ended.turn.teaches

    def test_a_step_that_is_run_again_is_counted_once(self, cache: ReasoningCache, driver: Driver) -> None:
        """A host may repeat a step; the outcome is one."""
        turn, _ = driver.begin(Turn(key="k"), Posed("Order 2 boxes of tea"))
        said = driver.advance(turn, View({}))
        assert isinstance(said, Say)
        refused = Carried(id=said.call.id, tool="price", arguments={"item": "tea"}, refused="no")
        for _ in range(3):
            driver.advance(said.turn, View({said.call.id: refused}))
        assert cache.stats().deopts == 1 and driver.accounting.report().deopts == 1

    def test_the_steps_done_after_one_that_was_refused_are_told(
        self, cache: ReasoningCache, driver: Driver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was carried out is in the outcome, whatever came before it."""
        finished: list[tuple[ToolStep, ...]] = []
        finish = cache.finish

        def spy(plan: Plan, action: Final | GiveUp, steps: Any = ()) -> Hit | Deopt:
            finished.append(tuple(steps))
            return finish(plan, action, steps)

        monkeypatch.setattr(cache, "finish", spy)
        turn, _ = driver.begin(Turn(key="k"), Posed("Order 2 boxes of tea"))
        asked = (Asked(id="1", tool="price", arguments={"item": "tea"}), Asked(id="2", tool="order", arguments={}))
        calls = {
            "1": Carried(id="1", tool="price", arguments={}, refused="no"),
            "2": Carried(id="2", tool="order", arguments={}, result="done"),
        }
        driver.advance(turn.model_copy(update={"asked": asked}), View(calls))
        assert [[step.tool for step in steps] for steps in finished] == [["order"]]


class TestRunning:
    """A plan run to its end."""

    def plan(self, cache: ReasoningCache, text: str = "Order 2 boxes of tea") -> Plan:
        """Return the plan for a request."""
        plan = cache.plan(text)
        assert isinstance(plan, Plan)
        return plan

    async def test_both_colours(self, cache: ReasoningCache, shop: Shop) -> None:
        """The answer and the steps are the same."""

        def call(action: Call) -> ToolResult:
            return ToolResult(getattr(shop, action.tool)(**action.arguments))

        async def acall(action: Call) -> ToolResult:
            return call(action)

        blocking = run_plan(cache, self.plan(cache), call)
        waiting = await arun_plan(cache, self.plan(cache), acall)
        for action, steps in (blocking, waiting):
            assert isinstance(action, Final) and action.answer == "ordered 2 tea, 6 coins"
            assert [(step.tool, step.result) for step in steps] == [("price", 3), ("order", "ordered 2 tea")]

    def test_a_result_without_a_json_form_loses_no_step(self, cache: ReasoningCache) -> None:
        """The call was made: the outcome says so, and nothing is called any more."""
        action, steps = run_plan(cache, self.plan(cache), lambda action: ToolResult(object()))  # type: ignore[arg-type]
        assert isinstance(action, GiveUp) and [step.tool for step in steps] == ["price"]
        assert "was carried out" in (steps[0].error or "")


class TestArguments:
    """No call is made with arguments that its tool does not take."""

    @pytest.mark.parametrize("text", ["Order 1.25 kilos of tea", "Order 1.250 kilos of tea"])
    def test_looked_up(self, cache: ReasoningCache, shop: Shop, text: str) -> None:
        """A lookup that runs the tools itself gives up before the call."""
        outcome = cache.lookup(text)
        assert isinstance(outcome, Deopt) and "order does not take these arguments" in outcome.reason
        assert "n: 1.25 is not of type 'integer'" in outcome.reason and shop.written == [] and outcome.steps == ()

    def test_a_body_that_catches_it(self, sandbox: MontySandbox, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        """Caught inside, it is a give-up all the same, and no later call is made."""
        body = "def run(n, item):\n    try:\n        order(item, n)\n    except RuntimeError:\n        pass\n"
        body += "    return order(item, 1)\n"
        monkeypatch.setitem(PROCEDURES, "weigh", (PROCEDURES["weigh"][0], body))  # type: ignore[arg-type]
        tools = PlainHost().declare(shop.tools())
        with ReasoningCache(tools=tools, sandbox=sandbox, second_sandbox=None) as cache:
            stored(cache, "weigh", tools)
            assert isinstance(cache.lookup("Order 1.25 kilos of tea"), Deopt) and shop.written == []

    @pytest.mark.parametrize(
        ("schema", "value", "fits"),
        [
            ({"type": "string"}, 1100, False),
            ({"type": "integer"}, 2.0, True),
            ({"type": "integer"}, True, False),
            ({"type": "number"}, {"$money": [3.0, "USD"]}, False),
            ({"type": "string", "format": "date"}, {"$date": "2031-01-02"}, True),
            ({"enum": ["a", "b"]}, "c", False),
            ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, None, True),
            ({"type": "array", "items": {"type": "integer"}}, [1, "2"], False),
            ({"$ref": "https://example.com/elsewhere.json"}, 1, False),
            ({"type": "nonsense"}, 1, False),
            ({}, {"anything": [1]}, True),
        ],
    )
    def test_schemas(self, schema: dict[str, Any], value: Any, fits: bool) -> None:
        """What JSON Schema says, without a look at the network; a schema that cannot be read takes nothing."""
        from seglam_agents.serving.arguments import unfit

        parameters = {"type": "object", "properties": {"x": schema}, "required": ["x"], "additionalProperties": False}
        tool = Tool(name="t", parameters=parameters)  # type: ignore[arg-type]
        assert (unfit(tool, {"x": value}) is None) == fits
        assert unfit(tool, {}) and unfit(tool, {"x": value, "y": 1})


class TestProcedures:
    """Procedures as tools."""

    def test_a_whole_number_stays_whole(self, cache: ReasoningCache, tools: list[HostTool]) -> None:
        """An order's number is no decimal fraction, wherever it goes."""
        entry = find_entry(cache, "proc_weigh-0001")
        assert entry is not None
        plan = planned(cache, entry.procedure, {"n": 1100, "item": "tea"})
        assert isinstance(plan, Plan) and plan.arguments["n"] == 1100 and type(plan.arguments["n"]) is int
        action = cache.next_action(plan)
        assert isinstance(action, Call) and repr(action.arguments["n"]) == "1100"
        schema = arguments_model(entry.procedure).model_json_schema()
        assert schema["properties"]["n"]["type"] == "number" and schema["additionalProperties"] is False

    @pytest.mark.parametrize("wrong", [{"n": "x", "item": "tea"}, {"n": True, "item": "tea"}, {"n": 1}, {"m": 1}])
    def test_wrong_arguments(self, cache: ReasoningCache, wrong: dict[str, Any]) -> None:
        """They are told, and nothing is planned."""
        entry = find_entry(cache, "proc_buy-0001")
        assert entry is not None and isinstance(planned(cache, entry.procedure, wrong), Refused)

    def test_the_nearest_come_first(self, cache: ReasoningCache) -> None:
        """Those whose tools are there, by the cache's own vectors or by words."""
        everything = {"price", "order"}
        assert [e.procedure.name for e in nearest(cache, "is it cheap?", 1, available=everything)] == ["check"]
        assert {e.procedure.name for e in nearest(cache, None, 9, available={"price"})} == {"check"}
        found = {e.procedure.name: find_entry(cache, tool_name(e.procedure)) for e in cache.procedures()}
        assert found.pop("fetch") is None, "one that leaves its last message to the model has nothing to give back"
        assert all(found.values())
        assert find_entry(cache, "price") is None and find_entry(cache, "proc_gone") is None


class TestLearner:
    """Learning does not stand in the way."""

    class Cache:
        """Takes its time, or fails."""

        scope = SCOPE

        def __init__(self, status: Any = "rejected") -> None:
            self.status = status
            self.seen: list[str] = []
            self.go = threading.Event()

        def observe(self, trace: Trace) -> Learned:
            """Take a trace in."""
            self.go.wait(10)
            self.seen.append(trace.request.text)
            if self.status == "raises":
                raise StoreError("gone")
            return Learned(status=self.status)

        async def aobserve(self, trace: Trace) -> Learned:
            """Take a trace in."""
            return self.observe(trace)

        def before_closing(self, finish: Any) -> None:
            """Never close."""

    def trace(self, text: str, tool: str = "price") -> Trace:
        """Return a run that called one tool."""
        return Trace(request=Request(text=text), steps=(ToolStep(tool=tool),), answer="x")

    def test_closing_learns_from_what_waits(self) -> None:
        """Nothing that was taken is dropped; what comes after is."""
        cache, learner = self.Cache(), Learner[Any]("background")
        for number in range(5):
            learner.learn(cache, self.trace(str(number)))
        assert cache.seen == [] and not learner.flush(0)
        cache.go.set()
        learner.close()
        learner.close()
        learner.learn(cache, self.trace("late"))
        assert cache.seen == ["0", "1", "2", "3", "4"]

    def test_closing_soon_waits_only_for_what_is_being_learnt(self, caplog: pytest.LogCaptureFixture) -> None:
        """What waits is left out, and said so: whoever ends a server is not made to wait for it."""
        cache, learner = self.Cache(), Learner[Any]("background")
        for number in range(5):
            learner.learn(cache, self.trace(str(number)))
        caplog.set_level("WARNING")
        ending = threading.Thread(target=learner.close, args=(0,))
        ending.start()
        while "not learnt from" not in caplog.text:
            ending.join(0.01)
        cache.go.set()
        ending.join()
        assert cache.seen == ["0"]

    def test_the_queue_is_bounded(self, caplog: pytest.LogCaptureFixture) -> None:
        """One trace too many is dropped, and said so."""
        cache, learner = self.Cache(), Learner[Any]("background")
        for number in range(70):
            learner.learn(cache, self.trace(str(number)))
        cache.go.set()
        learner.close()
        assert len(cache.seen) == 64 and "dropped" in caplog.text

    @pytest.mark.parametrize("status", ["failed", "raises"])
    async def test_what_is_broken_is_tried_ever_more_rarely(self, status: str) -> None:
        """By the tools that the runs call; a kind that works is not touched, and one success ends it."""
        cache, learner = self.Cache(status), Learner[Any]()
        cache.go.set()
        for number in range(8):
            learner.learn(cache, self.trace(str(number)))
        assert cache.seen == ["0", "2", "6"]
        learner.learn(cache, self.trace("other", "order"))
        assert cache.seen[-1] == "other"
        cache.status = "rejected"
        for number in range(8, 16):
            await learner.alearn(cache, self.trace(str(number)))
        assert cache.seen[4:] == ["14", "15"]

    @pytest.mark.parametrize("ending", ["close", "with", "async with"])
    async def test_closing_the_cache_learns_from_what_waits(
        self, ending: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whoever closes the cache first loses nothing, and other caches of the learner go on."""
        gate, told = threading.Event(), list[str]()

        def learned(cache: ReasoningCache, trace: Trace, learned: Learned) -> None:
            gate.wait(10)
            told.append(f"{trace.request.text} {learned.status}")

        cache, other = ReasoningCache(tmp_path), ReasoningCache(None, tenant="other")
        learner = Learner[ReasoningCache]("background", learned)
        for text in "abcd":
            learner.learn(cache, Trace(request=Request(text=text), answer="x"))
        cache.before_closing(lambda _: gate.set())  # Nothing is learnt before the closing begins.
        cache.close() if ending == "close" else None
        if ending == "with":
            with cache:
                gate.set()
        if ending == "async with":
            async with cache:
                gate.set()
        assert told == ["a rejected", "b rejected", "c rejected", "d rejected"]
        learner.learn(other, Trace(request=Request(text="e"), answer="x"))
        other.close()
        assert told[4:] == ["e rejected"] and not caplog.records
        with ReasoningCache(tmp_path) as again:
            assert not any(again.remember(Trace(request=Request(text=text), answer="x")) for text in "abcd")

    def test_closing_the_cache_from_what_is_told_of_learning(self) -> None:
        """Who learns does not wait for itself."""
        cache = ReasoningCache(None)
        learner = Learner[ReasoningCache]("background", lambda cache, trace, learned: cache.close())
        learner.learn(cache, Trace(request=Request(text="a"), answer="x"))
        assert learner.flush(30)

    def test_off(self) -> None:
        """Nothing is learnt."""
        cache, learner = self.Cache(), Learner[Any]("off")
        learner.learn(cache, self.trace("x"))
        learner.close()
        assert cache.seen == []


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("a", "a"),
        (7.0, "7"),
        (7.5, "7.5"),
        ({"$money": [3.5, "EUR"]}, "3.5 EUR"),
        ([1, "ä"], '[1, "ä"]'),
        (True, "true"),
    ],
)
def test_answers_as_text(answer: Any, text: str) -> None:
    """One rendering for every host."""
    assert render(answer) == text


class TestNamedRequests:
    """A request that its caller names is carried out once, however often it is asked."""

    def test_eight_threads_with_one_request(self, cache: ReasoningCache, shop: Shop) -> None:
        """One of them writes; the others are told what it came to, or that they cannot know. Without an id, all do."""
        with ThreadPoolExecutor(8) as pool:
            named = list(pool.map(lambda _: cache.answer(ORDER, request_id="r1"), range(8)))
        assert shop.written == [("tea", 2)]
        assert any(isinstance(outcome, Hit) for outcome in named)
        assert all(isinstance(x, Hit) or "not known whether" in str(x.steps) for x in named if not isinstance(x, Miss))
        assert not [outcome for outcome in named if isinstance(outcome, Miss)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: cache.answer(ORDER), range(8)))
        assert len(shop.written) == 9

    def test_a_store_that_was_gone_at_the_first_attempt(self, cache: ReasoningCache, shop: Shop) -> None:
        """What could not be noted was not written, so that the second attempt is the only one that writes."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cache.store, "put_note", _gone)
            first = cache.lookup(ORDER, request_id="r1")
        assert isinstance(first, Deopt) and shop.written == []
        assert isinstance(cache.lookup(ORDER, request_id="r1"), Hit) and shop.written == [("tea", 2)]

    @pytest.mark.parametrize("ask", ["answer", "lookup", "aanswer", "alookup"])
    def test_asked_again(self, cache: ReasoningCache, shop: Shop, ask: str) -> None:
        """The second time its result is served again; another id is another request, another text is not."""

        def asked(text: str, request_id: str | None) -> Any:
            outcome = getattr(cache, ask)(text, request_id=request_id)
            return asyncio.run(outcome) if asyncio.iscoroutine(outcome) else outcome

        answers = [asked(ORDER, "r1").answer for _ in range(3)]
        assert answers == ["ordered 2 tea, 6 coins"] * 3 and shop.written == [("tea", 2)]
        asked(ORDER, "r2")
        odd = asked("Order 3 boxes of tea", "r1")
        assert shop.written == [("tea", 2), ("tea", 2)] and isinstance(odd, Deopt), odd
        assert "other calls, order(item='tea', n=2)" in odd.reason

    @pytest.mark.parametrize("ask", ["answer", "lookup", "aanswer", "alookup"])
    def test_what_an_earlier_attempt_wrote_is_told(self, cache: ReasoningCache, shop: Shop, ask: str) -> None:
        """A miss, a give-up and an answer that know nothing of it name the call, and nothing is written beside it."""
        other = cache.told("Be brief.")
        assert other is not None

        def asked(cache: ReasoningCache, text: str) -> Any:
            outcome = getattr(cache, ask)(text, request_id="r1")
            return asyncio.run(outcome) if asyncio.iscoroutine(outcome) else outcome

        asked(cache, ORDER)
        missed, pure = asked(other, ORDER), asked(cache, "Check whether milk is cheap")
        for outcome, kind in ((missed, Miss), (pure, Deopt), (asked(cache, "Tell me a joke"), Miss)):
            assert isinstance(outcome, kind) and "an earlier attempt at this request called order" in outcome.reason
            assert [(step.tool, step.arguments, step.result) for step in outcome.steps][:1] == [
                ("order", {"item": "tea", "n": 2}, "ordered 2 tea")
            ]
        assert shop.written == [("tea", 2)] and isinstance(cache.lookup(ORDER, request_id="r1"), Hit)

    def test_the_model_is_told_what_an_earlier_attempt_wrote(
        self, sandbox: MontySandbox, tools: list[HostTool], shop: Shop
    ) -> None:
        """`answer` tells it before it answers, and nothing is learnt from that."""
        model = ScriptedModel(["Tea was ordered."] * 2)
        with ReasoningCache(model=model, tools=tools, sandbox=sandbox, second_sandbox=None) as cache:
            stored(cache, "buy", tools)
            cache.answer(ORDER, request_id="r1")
            outcome = cache.answer("What did you order?", request_id="r1")
        assert isinstance(outcome, Miss) and outcome.answer == "Tea was ordered." and outcome.learned is None
        (asked,) = model.asked
        assert '- order({"item": "tea", "n": 2}) -> "ordered 2 tea"' in asked[-1].content

    @pytest.mark.parametrize("name", ["", "  ", b"", [], False, object(), [object()]], ids=lambda name: str(type(name)))
    def test_what_names_nothing_is_refused(self, cache: ReasoningCache, shop: Shop, name: Any) -> None:
        """What is empty, and what has another text in every process, is no name; the error says what to pass."""
        for ask in (cache.answer, cache.lookup):
            with pytest.raises(ValueError, match=r"names no request .*pass the id of the delivery"):
                ask(ORDER, request_id=name)
        for later in (cache.aanswer, cache.alookup):
            with pytest.raises(ValueError, match=r"names no request .*pass the id of the delivery"):
                asyncio.run(later(ORDER, request_id=name))  # type: ignore[arg-type]
        assert shop.written == []

    def test_a_number_is_a_name(self, cache: ReasoningCache, shop: Shop) -> None:
        """Zero, too."""
        for _ in range(2):
            cache.answer(ORDER, request_id=0)
        assert shop.written == [("tea", 2)]

    def test_the_other_side_can_tell_a_repetition(self, cache: ReasoningCache, monkeypatch: pytest.MonkeyPatch) -> None:
        """The tool is offered the same key in every attempt, and none where the request has no name."""
        keys: list[str | None] = []

        def order(item: str, n: int) -> str:
            keys.append(idempotency_key())
            if len(keys) == 1:
                raise Crash
            return "ordered"

        item = cache._tools["order"]
        idempotent = item.tool.model_copy(update={"idempotent": True})
        monkeypatch.setitem(cache._tools, "order", HostTool(idempotent, order))
        with pytest.raises(Crash):
            cache.answer(ORDER, request_id="r1")
        cache.answer(ORDER, request_id="r1")
        cache.answer(ORDER)
        assert keys[0] == keys[1] and keys[0] is not None and keys[2] is None

    def test_a_crash_within_the_write(self, cache: ReasoningCache, shop: Shop) -> None:
        """Asked again by its id, the write is in doubt: it is not repeated, and that is told."""
        shop.crash = "writing"
        with pytest.raises(Crash):
            cache.answer(ORDER, request_id="r1")
        outcome = cache.lookup(ORDER, request_id="r1")
        assert isinstance(outcome, Deopt) and shop.written == [("tea", 2)]
        assert "not known whether" in (outcome.steps[-1].error or "")

    def test_a_note_of_a_write_that_was_damaged(
        self, cache: ReasoningCache, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """That there is one says that the write was begun: it is in doubt, and not made again."""
        assert isinstance(cache.lookup(ORDER, request_id="r1"), Hit)
        store = cache.store
        assert isinstance(store, MemoryStore)
        known = store.notes

        def damaged(scope: Scope, kind: str) -> dict[str, dict[str, Json]]:
            return {key: {} for key in known(scope, kind)}

        monkeypatch.setattr(store, "notes", damaged)
        outcome = cache.lookup(ORDER, request_id="r1")
        assert isinstance(outcome, Deopt) and shop.written == [("tea", 2)]
        assert "not known whether" in (outcome.steps[-1].error or "")

    @pytest.mark.parametrize("decision", ["edited", "rejected"])
    def test_what_a_person_touched_is_no_evidence(self, cache: ReasoningCache, decision: Any) -> None:
        """Runs in which a person decided about a call make no procedure, however many there are."""

        def run(item: str, decision: Any) -> Learned:
            step = ToolStep(tool="order", arguments={"item": item, "n": 1}, result="ordered", decision=decision)
            return cache.observe(Trace(request=Request(text=f"Get one {item} now"), steps=(step,), answer="ordered"))

        touched = [run(item, decision) for item in ("tea", "milk", "rice", "salt")]
        assert all("that is no rule" in learned.reason and learned.procedure is None for learned in touched)
        assert isinstance(cache.lookup("Get one bread now"), Miss)
        clean = [run(item, "none") for item in ("tea", "milk", "rice", "salt", "bread", "wine")]
        assert any(learned.procedure for learned in clean), clean[-1].reason


def test_a_misspelt_tool_has_no_effect() -> None:
    """The name of no tool that is nearly one is a typing error; other agents' tools may be told as well."""
    known: dict[str, Any] = {"price": "read", "weather": "read"}
    assert known_effects(known, ["price", "order"]) == known
    with pytest.raises(ValueError, match="is 'price' meant"):
        known_effects({"prise": "read"}, ["price", "order"])


def test_who_is_told_of_learning_may_raise(cache: ReasoningCache, caplog: pytest.LogCaptureFixture) -> None:
    """What was learnt stands, and the kind is not held back as one that fails."""

    def told(*_: Any) -> None:
        raise RuntimeError("broken")

    learner = Learner[ReasoningCache](learned=told)
    for number in range(5):
        learner.learn(cache, Trace(request=Request(text=f"Say {number}"), answer=f"{number}"))
    assert len([record for record in caplog.records if "what was learnt stands" in record.message]) == 5


def test_learning_in_a_way_that_there_is_not() -> None:
    """It says which ways there are."""
    odd: Any = "later"
    with pytest.raises(ValueError, match="inline, background, off"):
        Learner[ReasoningCache](odd)


def test_procedures_in_shadow_are_not_offered(cache: ReasoningCache) -> None:
    """A model is offered what would serve under what it is told."""
    other = cache.told("Be brief.")
    assert other is not None
    tools = {"price", "order"}
    assert len(nearest(cache, "Order tea", 3, available=tools)) == 3
    assert nearest(other, "Order tea", 3, available=tools) == [] == nearest(other, None, 3, available=tools)


def _gone(*_: object) -> None:
    raise StoreError("gone")
