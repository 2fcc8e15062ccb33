"""`ReasoningCache`: what an application sees of it, blocking and on an event loop, with a scripted model."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.embedders.static import default_embedder
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.learning.flights import Flight, Flights
from seglam_agents.learning.learning import FLIGHT_SECONDS
from seglam_agents.learning.policy import EconomicPolicy
from seglam_agents.models.base import Completion, Message
from seglam_agents.records.entry import Entry
from seglam_agents.records.errors import ModelError, SandboxError, SlotError, StoreError
from seglam_agents.records.outcome import Call, Deopt, Explanation, Final, Hit, Learned, Miss, Outcome, Refused
from seglam_agents.records.procedure import GuardSource, Procedure, Provenance, ToolUse
from seglam_agents.records.request import MAX_CHARACTERS, Request, Scope
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.records.usage import Usage
from seglam_agents.sandboxes.base import Limits, ToolResult
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.serving.executor import Executor
from seglam_agents.serving.loading import load
from seglam_agents.stores.memory import MemoryStore
from seglam_agents.testing.faults import Faults
from seglam_agents.testing.models import Script, ScriptedModel, asks_for_code, writes

SPLIT = "Split a $84.50 bill among 4 people"
SPLIT_MORE = "Please split the $1,020 bill among seven people"
RUN = "def run(total, n):\n    return round(total.amount / n + 1e-9, 2)\n"
TEMPLATE = "split [a|the] {total:money} bill among {n:count} (person|people)"


def module(template: str, body: str, expected: object, *, where: str = "", name: str = "split_bill") -> str:
    """Write a reply of the compiler."""
    bound = f"WHERE = {where!r}\n" if where else ""
    return (
        f'```python\nNAME = "{name}"\nDESCRIPTION = "A test."\nTEMPLATES = [{template!r}]\n{bound}'
        f"EXPECTED = [{expected!r}]\n\n\n{body}```"
    )


GOOD = module(TEMPLATE, RUN, 21.13, where="n > 0")
WRONG = module(TEMPLATE, RUN.replace("/ n", "* n"), 21.13, where="n > 0")
DECLINE = "NOT_CRYSTALLIZABLE: it needs taste\nANSWER: blue"


@dataclass(frozen=True)
class Driver:
    """Asks a cache in one of its two colours."""

    colour: str

    def answer(self, cache: ReasoningCache, request: str | Request, **options: Any) -> Outcome:
        """Answer a request."""
        if self.colour == "sync":
            return cache.answer(request, **options)
        return asyncio.run(cache.aanswer(request, **options))

    def lookup(self, cache: ReasoningCache, request: str, **options: Any) -> Outcome:
        """Look a request up."""
        if self.colour == "sync":
            return cache.lookup(request, **options)
        return asyncio.run(cache.alookup(request, **options))

    def learn(self, cache: ReasoningCache, request: str, **options: Any) -> Learned:
        """Learn a request."""
        if self.colour == "sync":
            return cache.learn(request, **options)
        return asyncio.run(cache.alearn(request, **options))

    def explain(self, cache: ReasoningCache, request: str) -> Explanation:
        """Explain a request."""
        if self.colour == "sync":
            return cache.explain(request)
        return asyncio.run(cache.aexplain(request))

    def together(self, cache: ReasoningCache, requests: Sequence[str]) -> list[Outcome]:
        """Ask several requests at once."""
        if self.colour == "sync":
            with ThreadPoolExecutor(len(requests)) as pool:
                return list(pool.map(cache.answer, requests))

        async def gather() -> list[Outcome]:
            # One thread more than requests: waiting for another's compilation takes one each.
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(len(requests) + 1))
            return list(await asyncio.gather(*(cache.aanswer(request) for request in requests)))

        return asyncio.run(gather())


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Driver:
    return Driver(request.param)


def widens(template: str, expected: int, code: str = "") -> Script:
    """Write the code of `GOOD` for a first request, and widen it for the next."""

    def script(messages: Sequence[Message]) -> str:
        found = re.search(r'^id "([^"]+)"', messages[-1].content, re.MULTILINE)
        if found is None:
            return GOOD
        return f"```python\nWIDENS = {found[1]!r}\nTEMPLATES = [{template!r}]\nEXPECTED = [{expected}]\n{code}```"

    return script


Open = Callable[..., ReasoningCache]
QUICK: dict[str, Any] = {"second_sandbox": None, "second_opinion": False}


@pytest.fixture
def opened(sandbox: MontySandbox) -> Iterator[Open]:
    caches: list[ReasoningCache] = []

    def opened(model: object = None, store: Any = None, **options: Any) -> ReasoningCache:
        cache = ReasoningCache(store, model, **{**QUICK, "sandbox": sandbox, **options})
        caches.append(cache)
        return cache

    yield opened
    for cache in caches:
        cache.close()


def stored(
    cache: ReasoningCache, template: str, body: str, name: str, *, tools: tuple[ToolUse, ...] = (), **options: Any
) -> Entry:
    """Put a procedure into the store of a cache, past admission."""
    guard = GuardSource(templates=(template,), where=options.get("where"))
    procedure = Procedure(
        id=name,
        name=name,
        scope=cache.scope,
        guard=guard,
        body=body,
        parameters=TemplateGuard(guard, context=()).parameters(),
        tools=tools,
        provenance=Provenance(compiler="test"),
    )
    return cache.store.put(Entry(procedure=procedure, status="active"), expected_revision=0, vector=None)


class TestLearning:
    """From a miss to a stored procedure, or to a reason why not."""

    def test_the_first_miss_is_compiled_and_answered_by_the_code(self, ask: Driver, opened: Open) -> None:
        """The eager policy asks the model once, for code, and the code answers."""
        model = ScriptedModel(writes(GOOD))
        outcome = ask.answer(opened(model), SPLIT)
        assert isinstance(outcome, Miss)
        assert (outcome.answer, outcome.answered_by) == (21.13, "new procedure")
        assert outcome.learned and outcome.learned.status == "admitted" and outcome.learned.attempts == 1
        assert (len(model.compilations), len(model.interpretations)) == (1, 0)

    def test_hits_ask_no_model(self, ask: Driver, opened: Open) -> None:
        """Once a kind is compiled, other requests of it are answered without a model call or a token."""
        model = ScriptedModel(writes(GOOD))
        cache = opened(model)
        ask.answer(cache, SPLIT)
        outcomes = [ask.answer(cache, text) for text in (SPLIT_MORE, "split the €30 bill among 3 people", SPLIT)]
        assert [outcome.answer for outcome in outcomes] == [145.71, 10, 21.13]
        assert all(isinstance(outcome, Hit) and outcome.usage.tokens == 0 for outcome in outcomes)
        assert model.calls == 1

    def test_a_hit_cites_its_source(self, ask: Driver, opened: Open) -> None:
        """A hit names procedure and version, the hash of what answered, and the bound on its errors."""
        cache = opened(ScriptedModel(writes(GOOD)))
        ask.answer(cache, SPLIT)
        hit = ask.lookup(cache, SPLIT_MORE)
        assert isinstance(hit, Hit)
        (entry,) = cache.procedures()
        assert hit.citation.key == entry.procedure.key and hit.citation.key.endswith("@1")
        assert hit.citation.content_hash == entry.procedure.content_hash
        assert (hit.citation.clean_replays, hit.citation.error_bound) == (1, 1.0)
        assert hit.arguments["n"] == 7

    def test_the_economic_policy_rents_before_it_buys(self, ask: Driver, opened: Open) -> None:
        """A kind is interpreted until that has cost as much as compiling, then compiled."""
        model = ScriptedModel(writes(GOOD, answer="ANSWER: 21.13"), usage=Usage(input_tokens=30, output_tokens=10))
        cache = opened(model, policy=EconomicPolicy(compile_tokens=100))
        answered = [ask.answer(cache, SPLIT) for _ in range(5)]
        assert [getattr(outcome, "answered_by", "hit") for outcome in answered] == [
            "model",
            "model",
            "model",
            "new procedure",
            "hit",
        ]
        assert all(outcome.answer == 21.13 for outcome in answered)
        assert isinstance(answered[0], Miss) and answered[0].learned and answered[0].learned.status == "deferred"

    def test_what_is_not_crystallizable_is_remembered(self, ask: Driver, opened: Open) -> None:
        """The model's own answer is served, and the kind is tried again only after 2, 4, 8 requests."""
        model = ScriptedModel(writes(DECLINE, answer="ANSWER: green"))
        cache = opened(model)
        tried: list[int] = []
        for number in range(1, 16):
            before = len(model.compilations)
            outcome = ask.answer(cache, "What is the nicest colour?")
            compiled = len(model.compilations) > before
            assert isinstance(outcome, Miss) and outcome.answer == ("blue" if compiled else "green")
            assert outcome.learned and outcome.learned.status == ("not crystallizable" if compiled else "deferred")
            assert "it needs taste" in outcome.learned.reason
            tried += [number] if compiled else []
        assert tried == [1, 3, 7, 15]
        assert cache.stats().not_crystallizable == 4

    def test_a_learnable_miss_is_looked_up_once(self, ask: Driver, opened: Open, sandbox: MontySandbox) -> None:
        """Learning takes the look as it is: guards that are code run no oftener than for a look-up alone."""

        def runs(drive: Callable[[ReasoningCache], Outcome]) -> int:
            counted = Faults("sandbox", 0, "raises")
            cache = opened(ScriptedModel(writes(DECLINE)), sandbox=counted.around("sandbox", sandbox))
            guard = GuardSource(code="def match(request):\n    return None\n")
            procedure = Procedure(
                id="coded",
                name="coded",
                scope=cache.scope,
                guard=guard,
                body="def run():\n    return 1\n",
                provenance=Provenance(compiler="test"),
            )
            cache.store.put(Entry(procedure=procedure, status="active"), expected_revision=0, vector=None)
            assert isinstance(drive(cache), Miss)
            return counted.calls

        asked = "What is the nicest colour?"
        looked = runs(lambda cache: ask.lookup(cache, asked))
        assert looked > 0 and runs(lambda cache: ask.answer(cache, asked)) == looked

    def test_a_refusal_survives_a_restart(self, ask: Driver, opened: Open) -> None:
        """Another cache on the same store does not ask for the code of a refused kind at once."""
        store = MemoryStore()
        ask.answer(opened(ScriptedModel(writes(DECLINE)), store), "What is the nicest colour?")
        model = ScriptedModel(writes(DECLINE, answer="ANSWER: green"))
        outcome = ask.answer(opened(model, store), "What is the nicest colour?")
        assert outcome.answer == "green" and not model.compilations

    def test_a_rejected_candidate_is_remembered_and_the_model_answers(self, ask: Driver, opened: Open) -> None:
        """Code that is wrong is not stored; the reason is, and the request is answered all the same."""
        model = ScriptedModel(writes(WRONG, answer="ANSWER: 21.13"))
        cache = opened(model, repairs=0)
        first, second = ask.answer(cache, SPLIT), ask.answer(cache, SPLIT)
        assert isinstance(first, Miss) and first.learned and isinstance(second, Miss) and second.learned
        assert (first.answer, first.answered_by, first.learned.status) == (21.13, "model", "rejected")
        assert "replay: answers 338" in first.learned.reason
        assert second.learned.status == "deferred" and "replay: answers 338" in second.learned.reason
        assert cache.procedures() == [] and cache.stats().rejected == 1

    def test_repairs_carry_the_findings(self, ask: Driver, opened: Open) -> None:
        """Admission's findings go back to the model, which may mend the code."""
        model = ScriptedModel(writes(WRONG, GOOD))
        outcome = ask.answer(opened(model), SPLIT)
        assert isinstance(outcome, Miss) and outcome.learned
        assert (outcome.answer, outcome.learned.status, outcome.learned.attempts) == (21.13, "admitted", 2)
        repair = model.compilations[1]
        assert [message.role for message in repair] == ["system", "user", "assistant", "user"]
        assert "replay: answers 338" in repair[-1].content

    @pytest.mark.parametrize("repairs", [0, 1, 3])
    def test_repairs_are_bounded(self, ask: Driver, opened: Open, repairs: int) -> None:
        """A model that never mends its code is asked so many times and no more."""
        model = ScriptedModel(writes(WRONG, answer="ANSWER: 21.13"))
        outcome = ask.answer(opened(model, repairs=repairs), SPLIT)
        assert isinstance(outcome, Miss) and outcome.learned and outcome.learned.attempts == repairs + 1
        assert (len(model.compilations), len(model.interpretations)) == (repairs + 1, 1)

    def test_tokens_are_booked_by_purpose(self, ask: Driver, opened: Open) -> None:
        """Compiling, repairing and interpreting are summed apart, and an outcome carries all it cost."""
        model = ScriptedModel(writes(WRONG), usage=Usage(input_tokens=30, output_tokens=10, calls=1))
        cache = opened(model, repairs=2)
        outcome = ask.answer(cache, SPLIT)
        stats = cache.stats()
        assert [(u.tokens, u.calls) for u in (stats.compile, stats.repair, stats.interpret)] == [
            (40, 1),
            (80, 2),
            (40, 1),
        ]
        assert outcome.usage == stats.model_usage

    def test_learning_can_be_off(self, ask: Driver, opened: Open) -> None:
        """With learning off, the model answers and no code is asked for."""
        model = ScriptedModel(writes(GOOD, answer="ANSWER: 21.13"))
        outcome = ask.answer(opened(model, learning="off"), SPLIT)
        assert outcome.answer == 21.13 and not model.compilations

    def test_a_known_answer_beats_the_expected_one(self, ask: Driver, opened: Open) -> None:
        """`learn` holds the code to the answer that the caller knows."""
        cache = opened(ScriptedModel(writes(GOOD)), repairs=0)
        learned = ask.learn(cache, SPLIT, answer=99)
        assert learned.status == "rejected" and "expected 99" in learned.reason
        assert ask.learn(cache, SPLIT, answer=21.13).status == "admitted"

    def test_learning_without_a_model_fails_with_a_reason(self, ask: Driver, opened: Open) -> None:
        """There is nobody to write the code, and `learn` says so."""
        learned = ask.learn(opened(), SPLIT, answer=21.13)
        assert learned.status == "failed" and "no model" in learned.reason

    def test_widening_adds_a_template(self, ask: Driver, opened: Open) -> None:
        """A second wording makes version 2 of the same procedure, whose old examples still hit."""
        model = ScriptedModel(widens("Split a bill of {total:money} equally among {n:count} people", 30))
        cache = opened(model)
        ask.answer(cache, SPLIT)
        outcome = ask.answer(cache, "Split a bill of $90.00 equally among 3 people")
        assert isinstance(outcome, Miss) and outcome.learned
        assert (outcome.answer, outcome.learned.status) == (30, "widened")
        (entry,) = cache.procedures()
        assert entry.procedure.version == 2 and len(entry.procedure.guard.templates) == 2
        assert entry.procedure.body.strip() == RUN.strip()
        again = ask.answer(cache, SPLIT)
        assert isinstance(again, Hit) and again.answer == 21.13 and again.citation.version == 2
        assert model.calls == 2

    def test_a_widening_with_code_keeps_the_templates(self, ask: Driver, opened: Open) -> None:
        """A new body for a new slot serves the old wordings too, without repeating them."""
        tipped = "def run(total, n, tip):\n    return round(total.amount * (100 + (tip or 0)) / 100 / n + 1e-9, 2)\n"
        template = "Split a {total:money} bill with {tip:percent} tip among {n:count} friends"
        cache = opened(ScriptedModel(widens(template, 33, f"\n{tipped}")))
        ask.answer(cache, SPLIT)
        outcome = ask.answer(cache, "Split a $90.00 bill with 10% tip among 3 friends")
        assert isinstance(outcome, Miss) and outcome.learned and outcome.learned.status == "widened"
        again = ask.answer(cache, SPLIT)
        assert isinstance(again, Hit) and again.answer == 21.13 and again.citation.version == 2


class TestSecondOpinion:
    """The model's own answer beside that of its code."""

    def test_an_agreeing_model_confirms_the_code(self, ask: Driver, opened: Open) -> None:
        """The model's own answer to the first request is asked for, and stands in the report."""
        model = ScriptedModel(writes(GOOD, answer="ANSWER: 21.13"))
        outcome = ask.answer(opened(model, second_opinion=True), SPLIT)
        assert isinstance(outcome, Miss) and outcome.learned and outcome.learned.report
        assert outcome.learned.report.checks[-1].name == "second opinion"
        assert (len(model.compilations), len(model.interpretations)) == (1, 1)

    def test_a_disagreeing_model_refuses_the_code(self, ask: Driver, opened: Open) -> None:
        """Code that answers otherwise than the model is not stored, and the model's answer is served."""
        cache = opened(ScriptedModel(writes(GOOD, answer="ANSWER: 5")), second_opinion=True, repairs=0)
        outcome = ask.answer(cache, SPLIT)
        assert isinstance(outcome, Miss) and outcome.learned and outcome.learned.status == "rejected"
        assert (outcome.answer, outcome.answered_by) == (5, "model")
        assert outcome.learned.reason.startswith("second opinion") and cache.procedures() == []

    def test_a_known_answer_needs_no_second_opinion(self, ask: Driver, opened: Open) -> None:
        """Where the right answer is known, nobody else is asked."""
        model = ScriptedModel(writes(GOOD, answer="ANSWER: 5"))
        assert ask.learn(opened(model, second_opinion=True), SPLIT, answer=21.13).status == "admitted"
        assert not model.interpretations


class TestServing:
    """What comes of a request by stored procedures."""

    def test_procedures_that_disagree_are_a_miss(self, ask: Driver, opened: Open) -> None:
        """Two guards that accept and two answers: nobody is believed, and both are flagged."""
        cache = opened()
        stored(cache, "Add {a:number} and {b:number}", "def run(a, b):\n    return a + b\n", "sum")
        stored(cache, "Add {x:number} and {y:number}", "def run(x, y):\n    return x * y\n", "product")
        outcome = ask.lookup(cache, "Add 3 and 4")
        assert isinstance(outcome, Miss) and outcome.reason.startswith("guards disagree")
        assert {(stop.procedure, stop.stage) for stop in outcome.stops} == {
            ("sum@1", "conflict"),
            ("product@1", "conflict"),
        }
        assert {entry.procedure.id: entry.statistics.conflicts for entry in cache.procedures()} == {
            "sum": 1,
            "product": 1,
        }
        assert cache.stats().conflicts == 1

    def test_a_disagreement_is_counted_once(self, ask: Driver, opened: Open) -> None:
        """Also where the request is looked up again on its way, because a model could learn it."""
        cache = opened(ScriptedModel(lambda _: "ANSWER: 7"))
        stored(cache, "Add {a:number} and {b:number}", "def run(a, b):\n    return a + b\n", "sum")
        stored(cache, "Add {x:number} and {y:number}", "def run(x, y):\n    return x * y\n", "product")
        outcome = ask.answer(cache, "Add 3 and 4")
        assert isinstance(outcome, Miss) and outcome.answer == 7
        counted = {entry.procedure.id: entry.statistics.conflicts for entry in cache.procedures()}
        assert counted == {"sum": 1, "product": 1}
        assert (cache.stats().conflicts, cache.stats().misses, cache.stats().requests) == (1, 1, 1)

    def test_procedures_that_agree_are_a_hit(self, ask: Driver, opened: Open) -> None:
        """Two guards that accept and one answer are a hit."""
        cache = opened()
        stored(cache, "Add {a:number} and {b:number}", "def run(a, b):\n    return a + b\n", "sum")
        stored(cache, "Add {x:number} and {y:number}", "def run(x, y):\n    return x * y\n", "product")
        outcome = ask.lookup(cache, "Add 2 and 2")
        assert isinstance(outcome, Hit) and outcome.answer == 4

    def test_no_model_is_a_miss_with_a_reason(self, ask: Driver, opened: Open) -> None:
        """Without a model a miss has no answer, and says why."""
        outcome = ask.answer(opened(), SPLIT)
        assert isinstance(outcome, Miss)
        assert (outcome.answer, outcome.answered_by) == (None, "nobody")
        assert "no model was given" in outcome.reason

    @pytest.mark.parametrize(
        ("text", "reason"),
        [("", "empty"), (" \n\t", "empty"), ("x" * (MAX_CHARACTERS + 1), "characters"), ("Split\x00 it", "NUL")],
    )
    def test_what_is_no_request_is_refused(self, ask: Driver, opened: Open, text: str, reason: str) -> None:
        """Empty, huge and binary requests are looked at by nobody."""
        model = ScriptedModel(writes(GOOD))
        cache = opened(model)
        outcome = ask.answer(cache, text)
        assert isinstance(outcome, Refused) and reason in outcome.reason
        assert ask.learn(cache, text, answer=1).status == "failed"
        assert model.calls == 0 and cache.stats().refused == 1

    def test_a_procedure_that_gives_up_hands_over_to_the_model(self, ask: Driver, opened: Open) -> None:
        """A deopt is answered by the model, and counted."""
        body = 'def run(total, n):\n    if n > 50:\n        deopt("a crowd")\n    return total.amount / n\n'
        model = ScriptedModel(writes(module(TEMPLATE, body, 21.125, where="n > 0"), answer="ANSWER: 7"))
        cache = opened(model)
        ask.answer(cache, SPLIT)
        outcome = ask.answer(cache, "Split the $700 bill among 100 people")
        assert isinstance(outcome, Deopt) and "a crowd" in outcome.reason
        assert (outcome.answer, outcome.answered_by, outcome.steps) == (7, "model", ())
        assert [entry.statistics.deopts for entry in cache.procedures()] == [1]

    def test_the_context_of_a_request_must_be_declared(self, ask: Driver, opened: Open) -> None:
        """A procedure that knows no context does not answer a request that comes with one."""
        cache = opened(ScriptedModel(writes(GOOD)))
        ask.answer(cache, SPLIT)
        assert isinstance(ask.lookup(cache, SPLIT), Hit)
        assert isinstance(ask.lookup(cache, SPLIT, context={"currency": "EUR"}), Miss)

    def test_explain_tells_who_accepts_and_who_stops(self, ask: Driver, opened: Open) -> None:
        """An explanation names the accepting procedure with its arguments, or where the nearest stopped."""
        cache = opened(ScriptedModel(writes(GOOD)))
        ask.answer(cache, SPLIT)
        (entry,) = cache.procedures()
        yes = ask.explain(cache, SPLIT_MORE)
        no = ask.explain(cache, "Split a $84.50 bill among 4 people, but one pays nothing")
        assert yes.accepted == (entry.procedure.key,) and yes.arguments[entry.procedure.key]["n"] == 7
        assert not no.accepted and [stop.procedure for stop in no.stops] == [entry.procedure.key]
        assert ask.explain(cache, "").verdict.startswith("refused")

    def test_the_same_request_gets_the_same_answer(self, ask: Driver, opened: Open) -> None:
        """Nothing but the request decides the answer."""
        cache = opened(ScriptedModel(writes(GOOD)))
        ask.answer(cache, SPLIT)
        assert len({str(ask.answer(cache, SPLIT_MORE).answer) for _ in range(5)}) == 1

    def test_a_cache_closes_twice(self, sandbox: MontySandbox) -> None:
        """Both kinds of `with` close, and closing again does nothing."""

        async def use() -> ReasoningCache:
            async with ReasoningCache(sandbox=sandbox, second_sandbox=None) as cache:
                return cache

        asyncio.run(use()).close()


class TestTenants:
    """Who sees what on one store."""

    def test_tenants_do_not_see_each_other(self, ask: Driver, opened: Open) -> None:
        """On one store, what one tenant learnt does not exist for another, whatever a request says of itself."""
        store = MemoryStore()
        ours = opened(ScriptedModel(writes(GOOD)), store, tenant="ours")
        theirs = opened(store=store, tenant="theirs")
        ask.answer(ours, SPLIT)
        assert isinstance(ask.answer(ours, SPLIT), Hit)
        assert isinstance(ask.answer(theirs, SPLIT), Miss)
        assert isinstance(ask.answer(theirs, Request(text=SPLIT, scope=Scope(tenant="ours"))), Miss)
        assert theirs.procedures() == [] and not ask.explain(theirs, SPLIT).stops

    def test_agents_with_other_instructions_do_not_share(self, ask: Driver, opened: Open) -> None:
        """The system prompt is part of who may see a procedure."""
        store = MemoryStore()
        ask.answer(opened(ScriptedModel(writes(GOOD)), store, system_prompt="Round up."), SPLIT)
        assert isinstance(ask.answer(opened(store=store, system_prompt="Round down."), SPLIT), Miss)
        assert isinstance(ask.answer(opened(store=store, system_prompt="Round up."), SPLIT), Hit)


class TestSingleFlight:
    """Several requests of one new kind at once."""

    def test_one_compiles_and_the_others_wait(self, ask: Driver, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of several requests of a new kind at once, one is compiled, and all are answered by its code."""
        count, waiting, all_wait = 5, [0], threading.Event()
        join = Flights.join

        def counting(flights: Flights, key: str) -> Flight:
            flight = join(flights, key)
            waiting[0] += not flight.leads
            if waiting[0] == count - 1:
                all_wait.set()
            return flight

        def script(messages: Sequence[Message]) -> str:
            assert asks_for_code(messages) and all_wait.wait(60)
            return GOOD

        monkeypatch.setattr(Flights, "join", counting)
        model = ScriptedModel(script)
        cache = opened(model)
        outcomes = ask.together(cache, [SPLIT] * count)
        assert [outcome.answer for outcome in outcomes] == [21.13] * count
        assert sum(isinstance(outcome, Hit) for outcome in outcomes) == count - 1
        assert model.calls == 1 and len(cache.procedures()) == 1

    async def test_who_waits_goes_on_where_the_one_that_compiles_is_cancelled(self, opened: Open) -> None:
        """The next of them compiles, and nobody waits for a flight that nobody flies."""
        asked, model = asyncio.Event(), ScriptedModel(writes(GOOD))
        complete, calls = model.acomplete, [0]

        async def hanging(messages: Sequence[Message]) -> Completion:
            calls[0] += 1
            if calls[0] > 1:
                return await complete(messages)
            asked.set()
            return await asyncio.Future[Completion]()

        model.acomplete = hanging  # type: ignore[method-assign]
        cache = opened(model)
        leading = asyncio.ensure_future(cache.aanswer(SPLIT))
        await asked.wait()
        others = [asyncio.ensure_future(cache.aanswer(SPLIT)) for _ in range(3)]
        await asyncio.sleep(0)
        leading.cancel()
        outcomes = await asyncio.wait_for(asyncio.gather(*others), FLIGHT_SECONDS / 5)
        assert [outcome.answer for outcome in outcomes] == [21.13] * 3 and leading.cancelled()
        assert model.calls == 1 and len(cache.procedures()) == 1


class Rivalled(MemoryStore):
    """A store in which another worker was faster, by a moment, with the same procedure."""

    def put(self, entry: Entry, *, expected_revision: int, vector: Sequence[float] | None = None) -> Entry:
        """Write it for the other one first."""
        if not expected_revision:
            super().put(entry, expected_revision=0, vector=vector)
        return super().put(entry, expected_revision=expected_revision, vector=vector)


class TestTwoWorkers:
    """Two workers that learn one kind at once do not stand in each other's way."""

    WORDINGS = ("Split {} coins among {} people", "Divide {} coins by {}", "Share the {} coins between {} friends")
    BODIES = ("return round(total / n + 1e-9, 2)", "part = total / n\n    return round(part + 1e-9, 2)")

    @pytest.mark.parametrize("alike", [True, False], ids=["the same code", "other code"])
    def test_what_both_learnt_serves(self, opened: Open, alike: bool) -> None:
        """Each wording is served afterwards, whether they wrote the same code or not, and neither was disabled."""
        store = MemoryStore()
        for wording in self.WORDINGS:
            both = threading.Barrier(2)
            writing = [partial(self._written, wording, self.BODIES[0 if alike else n], both) for n in (0, 1)]
            caches = [opened(ScriptedModel(script), store, near=0.99, attacker=False) for script in writing]
            with ThreadPoolExecutor(2) as pool:
                outcomes = list(pool.map(lambda c, w=wording: c.answer(w.format(84.5, 4)), caches))
            assert [outcome.answer for outcome in outcomes] == [21.13, 21.13]
        cache = opened(store=store)
        for wording in self.WORDINGS:
            outcome = cache.lookup(wording.format(50, 8))
            assert isinstance(outcome, Hit) and outcome.answer == 6.25
        assert {entry.status for entry in cache.procedures()} == {"active"} and cache.stats().conflicts == 0
        assert len(cache.procedures()) == len(self.WORDINGS) * (1 if alike else 2)

    def test_a_race_that_another_won_breaks_nothing(
        self, ask: Driver, opened: Open, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The model answers, learning is deferred and not taken for broken, and the other one's procedure serves."""
        store = Rivalled()
        outcome = ask.answer(opened(ScriptedModel(writes(GOOD, answer="ANSWER: 21.13")), store), SPLIT)
        assert isinstance(outcome, Miss) and outcome.answer == 21.13
        assert outcome.learned is not None and outcome.learned.status == "deferred"
        assert "another worker was faster" in outcome.learned.reason
        learned = ask.learn(opened(ScriptedModel(writes(GOOD)), Rivalled()), SPLIT, answer=21.13)
        assert learned.status == "deferred" and not caplog.records
        assert isinstance(opened(store=store).lookup(SPLIT), Hit)

    @staticmethod
    def _written(wording: str, body: str, both: threading.Barrier, messages: Sequence[Message]) -> str:
        if not asks_for_code(messages):
            return "ANSWER: 21.13"
        with suppress(threading.BrokenBarrierError):
            both.wait(60)
        template = wording.format("{total:number}", "{n:count}")
        lines = ('NAME = "split"', f"TEMPLATES = [{template!r}]", 'WHERE = "n > 0"', "EXPECTED = [21.13]")
        return "\n".join(("```python", *lines, "", "def run(total, n):", f"    {body}", "```"))


class Broken:
    """Raises at whatever it is asked."""

    name = "broken"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def close(self) -> None:
        """Do nothing."""

    def _fail(self, *_: object, **__: object) -> Any:
        raise self._error

    put = get = changes = versions = run = check = embed_query = embed_documents = _fail


class TestFailOpen:
    """Whatever breaks, the model answers."""

    def test_a_broken_store(self, ask: Driver, opened: Open) -> None:
        """The model answers when the store does not."""
        model = ScriptedModel(writes(GOOD, answer="ANSWER: 21.13"))
        outcome = ask.answer(opened(model, Broken(StoreError("the disk is gone"))), SPLIT)
        assert isinstance(outcome, Miss) and "the disk is gone" in outcome.reason
        assert (outcome.answer, outcome.answered_by) == (21.13, "model")

    def test_a_broken_embedder(self, ask: Driver, opened: Open) -> None:
        """The model answers when a miss cannot be embedded; hits need no embedder at all."""
        store = MemoryStore()
        model = ScriptedModel(writes(GOOD, answer="ANSWER: 21.13"))
        cache = opened(model, store, embedder=Broken(RuntimeError("no vectors")))
        outcome = ask.answer(cache, SPLIT)
        assert isinstance(outcome, Miss) and outcome.learned and "no vectors" in outcome.learned.reason
        assert outcome.answer == 21.13
        ask.answer(opened(ScriptedModel(writes(GOOD)), store), SPLIT)
        late = opened(store=store, embedder=Broken(RuntimeError("no vectors")))
        assert isinstance(ask.answer(late, SPLIT), Hit)

    def test_a_broken_sandbox(self, ask: Driver, opened: Open) -> None:
        """The model answers when nothing can be run, neither at admission nor at a hit."""
        store = MemoryStore()
        broken = Broken(SandboxError("no worker"))
        broken.name = "monty"  # What was admitted in another sandbox would not be asked of it at all.
        model = ScriptedModel(writes(GOOD, answer="ANSWER: 21.13"))
        assert ask.answer(opened(model, store, sandbox=broken), SPLIT).answer == 21.13
        ask.answer(opened(ScriptedModel(writes(GOOD)), store), SPLIT)
        outcome = ask.answer(opened(model, store, sandbox=broken), SPLIT)
        assert isinstance(outcome, Miss) and "no worker" in outcome.reason and outcome.answer == 21.13

    def test_a_model_that_fails_is_the_one_error(self, ask: Driver, opened: Open) -> None:
        """Where the model itself fails, nobody can answer, and the caller is told as without a cache."""
        with pytest.raises(ModelError):
            ask.answer(opened(ScriptedModel([])), SPLIT)


ITEM = {"type": "object", "properties": {"item": {"type": "string"}}}
PRICE = Tool(name="price", parameters=ITEM, effect="read")
ORDER = Tool(
    name="order", parameters={"type": "object", "properties": {"item": {"type": "string"}, "n": {"type": "integer"}}}
)
PRICES = {"tea": 3, "milk": 2}
COST = "What do {n:count} {item:noun} cost?"
COST_BODY = "def run(n, item):\n    return n * price(item)\n"
BUY = "Order {n:count} boxes of {item:choice(tea|milk|rice)}"
BUY_BODY = 'def run(n, item):\n    done = order(item, n)\n    if n > 3:\n        deopt("too many")\n    return done\n'


def trace(text: str, answer: object, *steps: ToolStep) -> Trace:
    return Trace(request=Request(text=text), steps=steps, answer=answer)  # type: ignore[arg-type]


PRICE_STEP = ToolStep(tool="price", arguments={"item": "tea"}, result=3)
ORDER_STEP = ToolStep(tool="order", arguments={"item": "tea", "n": 2}, result="ok 2")


class TestTools:
    """Bodies that call tools, and the traces they are learnt from."""

    def test_a_body_runs_with_live_tools(self, ask: Driver, opened: Open) -> None:
        """A procedure learnt from a trace calls the tools of the host when it answers."""
        called: list[str] = []

        def price(item: str) -> int:
            called.append(item)
            return PRICES[item]

        cache = opened(ScriptedModel(writes(module(COST, COST_BODY, 12))), tools=[HostTool(PRICE, price)])
        learned = ask.learn(cache, "What do 4 tea cost?", trace=trace("What do 4 tea cost?", 12, PRICE_STEP))
        assert learned.status == "admitted", learned.reason
        assert called == []
        outcome = ask.answer(cache, "What do 5 milk cost?")
        assert isinstance(outcome, Hit) and outcome.answer == 10 and called == ["milk"]
        assert [(step.tool, step.arguments, step.result) for step in outcome.steps] == [("price", {"item": "milk"}, 2)]
        assert len(outcome.citation.trace_ids) == 1

    def test_next_action_pauses_and_replays(self, opened: Open, sandbox: MontySandbox) -> None:
        """The run stops at the call without a recorded result, and goes on over those that are recorded."""
        cache = opened(
            ScriptedModel(writes(module(COST, COST_BODY, 12))), tools=[HostTool(PRICE, lambda item: PRICES[item])]
        )
        cache.learn("What do 4 tea cost?", trace=trace("What do 4 tea cost?", 12, PRICE_STEP))
        (entry,) = cache.procedures()
        loaded = load(entry.procedure, sandbox, tools={"price": PRICE}, limits=Limits())
        executor = Executor(sandbox)
        assert executor.next_action(loaded, {"n": 5, "item": "milk"}) == Call("price", {"item": "milk"})
        final = executor.next_action(loaded, {"n": 5, "item": "milk"}, [ToolResult(value=7)])
        assert isinstance(final, Final) and final.answer == 35

    def test_a_write_is_done_once(self, ask: Driver, opened: Open) -> None:
        """A body that fails after a write hands its steps to the model, and the write is not repeated."""
        written: list[tuple[str, int]] = []

        def order(item: str, n: int) -> str:
            written.append((item, n))
            return f"ok {n}"

        model = ScriptedModel(writes(module(BUY, BUY_BODY, "ok 2"), answer="ANSWER: ordered"))
        cache = opened(model, tools=[HostTool(ORDER, order)])
        text = "Order 2 boxes of tea"
        learned = ask.learn(cache, text, trace=trace(text, "ok 2", ORDER_STEP))
        assert learned.status == "admitted", learned.reason
        assert written == []
        outcome = ask.answer(cache, "Order 4 boxes of milk")
        assert isinstance(outcome, Deopt) and "too many" in outcome.reason and outcome.answer == "ordered"
        assert written == [("milk", 4)] and [step.result for step in outcome.steps] == ["ok 4"]
        (told,) = model.interpretations
        assert "must not be repeated" in told[-1].content and "ok 4" in told[-1].content

    def test_a_failing_tool_is_an_error_in_the_body(self, ask: Driver, opened: Open) -> None:
        """A tool that raises ends the body as a deopt, with the error among the steps."""
        model = ScriptedModel(writes(module(COST, COST_BODY, 12), answer="ANSWER: unknown"))
        cache = opened(model, tools=[HostTool(PRICE, lambda item: PRICES[item])])
        ask.learn(cache, "What do 4 tea cost?", trace=trace("What do 4 tea cost?", 12, PRICE_STEP))
        outcome = ask.answer(cache, "What do 5 plums cost?")
        assert isinstance(outcome, Deopt) and outcome.answer == "unknown"
        assert outcome.steps[0].error and "KeyError" in outcome.steps[0].error

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("def run(n, item):\n    return n * price('milk')\n", "the trace has price"),
            ("def run(n, item):\n    return n * price(item) + 0 * price(item)\n", "after the trace has ended"),
            ("def run(n, item):\n    return n * 3\n", "never calls price"),
            ("def run(n, item):\n    return price(item)\n", "expected 12"),
        ],
    )
    def test_a_trace_is_replayed_exactly(self, ask: Driver, opened: Open, body: str, reason: str) -> None:
        """A body that calls something else than the trace, more, or less, is refused, and no tool is called."""
        called: list[str] = []
        cache = opened(
            ScriptedModel(writes(module(COST, body, 12))),
            tools=[HostTool(PRICE, lambda item: called.append(item))],
            repairs=0,
        )
        learned = ask.learn(cache, "What do 4 tea cost?", trace=trace("What do 4 tea cost?", 12, PRICE_STEP))
        assert learned.status == "rejected" and reason in learned.reason
        assert called == [] and cache.procedures() == []

    @pytest.mark.parametrize("use", ["price", "gone"])
    def test_a_stale_tool_is_not_called(self, ask: Driver, opened: Open, use: str) -> None:
        """A procedure that was admitted with another schema of a tool, or one that is gone, does not serve."""
        cache = opened(tools=[HostTool(PRICE, lambda item: PRICES[item])])
        old = ToolUse(name=use, effect="read", schema_hash="old", arguments=("item",))
        stored(cache, COST, COST_BODY, "cost", tools=(old,))
        assert isinstance(ask.lookup(cache, "What do 4 tea cost?"), Miss)
        assert len(cache.procedures()) == 1 and cache.stats().procedures == 0


class TestKeeping:
    """What outlives a cache, and what is counted."""

    def test_a_folder_keeps_serving_after_a_restart(self, ask: Driver, opened: Open, tmp_path: Path) -> None:
        """What was learnt into a folder is served by the next cache, which needs no model."""
        first = opened(ScriptedModel(writes(GOOD)), tmp_path / "store")
        ask.answer(first, SPLIT)
        first.close()
        outcome = ask.answer(opened(store=tmp_path / "store"), SPLIT_MORE)
        assert isinstance(outcome, Hit) and outcome.answer == 145.71

    def test_statistics_survive_closing(self, ask: Driver, opened: Open, tmp_path: Path) -> None:
        """Hits of one cache are still there for the next one."""
        first = opened(ScriptedModel(writes(GOOD)), tmp_path / "store")
        for text in (SPLIT, SPLIT_MORE, SPLIT):
            ask.answer(first, text)
        first.close()
        second = opened(store=tmp_path / "store")
        assert [entry.statistics.hits for entry in second.procedures()] == [2]
        hit = ask.answer(second, SPLIT)
        assert [entry.statistics.hits for entry in second.procedures()] == [3]
        # Each hit is told and counted with the wording that accepted it.
        (entry,) = second.procedures()
        assert isinstance(hit, Hit) and {item.template: item.uses for item in entry.wordings}[hit.citation.wording] == 3

    def test_two_caches_on_one_store_share(self, ask: Driver, opened: Open) -> None:
        """What one cache learns, another of the same tenant serves."""
        store = MemoryStore()
        ask.answer(opened(ScriptedModel(writes(GOOD)), store), SPLIT)
        assert isinstance(ask.answer(opened(store=store), SPLIT), Hit)

    def test_sums_add_up(self, ask: Driver, opened: Open) -> None:
        """Every request ends as one of four, and is counted once."""
        cache = opened(ScriptedModel(writes(GOOD)))
        for text in (SPLIT, SPLIT_MORE, ""):
            ask.answer(cache, text)
        stats = cache.stats()
        assert (stats.requests, stats.hits, stats.misses, stats.refused, stats.deopts) == (3, 1, 1, 1, 0)
        assert (stats.procedures, stats.admitted) == (1, 1)


@pytest.mark.parametrize("location", ["ftp://x", "htp://localhost:6333", "qdrant+http://x"])
def test_no_store_of_another_kind(location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A typing error in the scheme makes no folder of that name."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="a folder, or a Qdrant server by http:// or https://"):
        ReasoningCache(location)
    assert not list(tmp_path.iterdir())


def test_the_default_embedder_is_shared_by_all_kinds() -> None:
    """Vectors of the bundled embedder have one length, so that a store takes them all."""
    embedder = default_embedder()
    assert len(embedder.embed_query(SPLIT)) == len(embedder.embed_query("What is the nicest colour?"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tenant": ""}, "names nobody"),
        ({"tenant": " "}, "names nobody"),
        ({"tenant": "a\ud800"}, "half a surrogate pair"),
        ({"agent": ""}, "agent='' names nobody"),
        ({"agent": " "}, "names nobody"),
        ({"agent": 5}, "names nobody"),
        ({"agent": "a\udfff"}, "half a surrogate pair"),
        ({"store": 5}, "store=5 is no store"),
        ({"store": object()}, "is no store"),
        ({"learning": "background"}, "hosts have 'background'"),
        ({"predictions": (3,)}, "two whole numbers"),
        ({"predictions": 2}, "two whole numbers"),
        ({"predictions": (-1, 2)}, "two whole numbers"),
        ({"tools": [1]}, "use host_tools"),
        ({"tools": None}, "a list of HostTool objects"),
        ({"tools": {}}, "a list of HostTool objects"),
        ({"tools": iter(())}, "a list of HostTool objects"),
        ({"tools": [HostTool(Tool(name="a"), print)] * 2}, "several tools called 'a'"),
        ({"system_prompt": None}, "system_prompt=None: .*'' where it is told nothing"),
        ({"limits": 5}, r"limits=5: give Limits\(...\)"),
        ({"now": 5}, "now=5: give a function"),
        ({"embedder": 5}, "embedder=5: .*`embed_query`"),
        ({"policy": 5}, "no policy 5: .*`compile_now`"),
        ({"near": "x"}, "near='x': give a cosine"),
        ({"near": float("nan")}, "near=nan: give a cosine"),
        ({"repairs": "x"}, "repairs='x': give a whole number"),
        ({"repairs": -1}, "repairs=-1: give a whole number"),
        ({"seed": "x"}, "seed='x': give a whole number"),
        ({"attacker": "no"}, "attacker='no': give True or False"),
        ({"second_opinion": None}, "second_opinion=None: give True or False"),
        ({"timezone": 5}, "timezone=5: give a text"),
    ],
)
def test_arguments_that_say_nothing(options: Any, said: str) -> None:
    """They are refused with the next step, instead of being something else in silence."""
    with pytest.raises(ValueError, match=said):
        ReasoningCache(**options)


@pytest.mark.parametrize("within", ["x", "ab", 5, None, (1,), ("a", "b"), (2, 1)])
def test_a_range_that_is_none(within: Any) -> None:
    """It is refused as one that does not take in what was seen."""
    with pytest.raises(SlotError, match="give factors below and above 1"):
        ReasoningCache(write_range=within)


@pytest.mark.parametrize("told", [None, 5])
def test_what_are_no_instructions(sandbox: MontySandbox, told: Any) -> None:
    """An agent that is told nothing has an empty text."""
    with ReasoningCache(sandbox=sandbox, second_sandbox=None) as cache:
        with pytest.raises(ValueError, match="'' where it is told nothing"):
            cache.told(told)
        assert cache.told("") is cache


def test_what_is_raised_once_a_cache_is_open(sandbox: MontySandbox) -> None:
    """As the README says: answering raises nothing for a store that is closed, looking into it does."""
    cache = ReasoningCache(sandbox=sandbox, second_sandbox=None)
    cache.close()
    run = Trace(request=Request(text="Add 1 and 2"), answer=3)
    assert all(isinstance(ask("Add 1 and 2"), Miss) for ask in (cache.answer, cache.lookup, cache.plan))
    assert cache.observe(run).status == cache.learn("Add 1 and 2", answer=3).status == "failed"
    looks: list[Callable[[], object]] = [
        cache.procedures,
        cache.stats,
        lambda: cache.remember(run),
        lambda: cache.explain("Add 1 and 2", agents=True),
    ]
    for look in looks:
        with pytest.raises(StoreError, match="this store is closed"):
            look()


def test_what_is_no_run_and_no_context(sandbox: MontySandbox) -> None:
    """Values with reasons: nothing is raised into an agent."""
    odd: Any = [1]
    with ReasoningCache(sandbox=sandbox, second_sandbox=None) as cache:
        assert isinstance(cache.answer("Add 1 and 2", context=odd), Refused)
        for learned in (cache.observe(odd), asyncio.run(cache.aobserve(odd))):
            assert learned.status == "failed" and "a run is a Trace, not a list" in learned.reason
        for learned in (cache.learn("x", trace=odd), asyncio.run(cache.alearn("x", trace=odd))):
            assert learned.status == "failed" and "a run is a Trace, not a list" in learned.reason
        with pytest.raises(ValueError, match="a run is a Trace, not a list"):
            cache.remember(odd)


def test_a_closed_cache_misses_without_a_traceback_each(
    sandbox: MontySandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says that it is closed; the agent runs on."""
    cache = ReasoningCache(tmp_path, sandbox=sandbox, second_sandbox=None)
    cache.close()
    missed = cache.lookup("Add 1 and 2")
    assert isinstance(missed, Miss) and missed.kind == "broken" and "closed" in missed.reason
    assert not [record for record in caplog.records if record.exc_info]
