"""The seven promises of the design, one test each, the way a user would check them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.records.errors import StoreError
from seglam_agents.records.outcome import Deopt, Hit, Miss
from seglam_agents.records.request import Request
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.edge import EdgeStore
from seglam_agents.stores.memory import MemoryStore
from seglam_agents.testing.models import ScriptedModel, writes

TEXT = "Split 84.5 coins among 4 people"
GOOD = """```python
NAME = "split"
TEMPLATES = ["Split {total:number} coins among {n:count} people"]
WHERE = "n > 0"
EXPECTED = [21.13]

def run(total, n):
    return round(total / n + 1e-9, 2)
```"""
ORDER = Tool(name="order", parameters={"type": "object", "properties": {"item": {"type": "string"}}}, effect="write")
ORDERS = """```python
NAME = "order"
TEMPLATES = ["Order {n:count} boxes of {item:choice(tea|milk|rice)}"]
EXPECTED = ["ok"]

def run(n, item):
    done = order(item)
    if n > 3:
        deopt("too many")
    return done
```"""
SPYING = GOOD.replace("return round", "open('/tmp/stolen', 'w')\n    return round")


@pytest.fixture
def opened(sandbox: MontySandbox) -> Iterator[Any]:
    caches: list[ReasoningCache] = []

    def opened(model: object = None, store: Any = None, **options: Any) -> ReasoningCache:
        caches.append(
            ReasoningCache(store, model, sandbox=sandbox, second_sandbox=None, second_opinion=False, **options)
        )
        return caches[-1]

    yield opened
    for cache in caches:
        cache.close()


def test_1_a_hit_asks_no_model_and_says_where_it_comes_from(opened: Any) -> None:
    """A hit makes no model call, and cites procedure version, traces and bound."""
    model = ScriptedModel(writes(GOOD))
    cache = opened(model)
    trace = Trace(request=Request(text=TEXT), answer=21.13)
    assert cache.learn(TEXT, trace=trace).status == "admitted"
    before = model.calls
    hit = cache.answer("Split 9 coins among 3 people")
    assert isinstance(hit, Hit) and hit.answer == 3 and model.calls == before
    assert hit.citation.version == 1 and hit.citation.trace_ids == (trace.id,) and hit.citation.error_bound == 1.0


def test_2_a_write_is_never_done_twice(opened: Any) -> None:
    """A tool that writes and then fails is called once; so is one whose body gives up after it."""
    calls: list[str] = []

    def order(item: str) -> str:
        calls.append(item)
        if item == "milk":
            raise TimeoutError("the line broke after the order was sent")
        return "ok"

    cache = opened(ScriptedModel(writes(ORDERS, answer="ANSWER: see above")), tools=[HostTool(ORDER, order)])
    text = "Order 2 boxes of tea"
    step = ToolStep(tool="order", arguments={"item": "tea"}, result="ok")
    trace = Trace(request=Request(text=text), steps=(step,), answer="ok")
    assert cache.learn(text, trace=trace).status == "admitted"
    outcomes = [cache.answer("Order 3 boxes of milk"), cache.answer("Order 4 boxes of rice")]
    assert all(isinstance(outcome, Deopt) and len(outcome.steps) == 1 for outcome in outcomes)
    assert calls == ["milk", "rice"]


def test_3_tenants_are_apart(opened: Any) -> None:
    """Nothing that one tenant learnt answers, explains or lists for another."""
    store = MemoryStore()
    opened(ScriptedModel(writes(GOOD)), store, tenant="a").answer(TEXT)
    other_model = ScriptedModel(writes("NOT_CRYSTALLIZABLE: no\nANSWER: 0"))
    other = opened(other_model, store, tenant="b")
    assert isinstance(other.answer(TEXT), Miss) and other.procedures() == []
    assert not other.explain(TEXT).stops and not other.explain(TEXT).accepted
    assert all("21.13" not in message.content for message in other_model.asked[0][1:])


def test_4_what_was_acknowledged_is_there_after_reopening(opened: Any, tmp_path: Path) -> None:
    """What `answer` has learnt is read by a fresh store; `tests/hostile/test_kill.py` kills writers for the rest."""
    cache = opened(ScriptedModel(writes(GOOD)), tmp_path / "store")
    cache.answer(TEXT)
    key = cache.procedures()[0].procedure.key
    cache.close()
    with closing(EdgeStore(tmp_path / "store")) as store:
        assert [entry.procedure.key for entry in store.changes(cache.scope).entries] == [key]


def test_5_code_of_the_model_touches_nothing(opened: Any, tmp_path: Path) -> None:
    """Code that opens a file is not admitted, and no file appears."""
    target = tmp_path / "stolen"
    outcome = opened(
        ScriptedModel(writes(SPYING.replace("/tmp/stolen", str(target)), answer="ANSWER: 21.13")), repairs=0
    ).answer(TEXT)
    assert isinstance(outcome, Miss) and outcome.learned and outcome.learned.status == "rejected"
    assert outcome.answer == 21.13 and not target.exists()


def test_6_a_broken_cache_does_not_stop_the_agent(opened: Any) -> None:
    """A store that fails on every read leaves the agent as it would be without a cache."""

    class Gone(MemoryStore):
        def changes(self, scope: Any, since: int = 0) -> Any:
            raise StoreError("gone")

        def notes(self, scope: Any, kind: str) -> Any:
            raise StoreError("gone")

    outcome = opened(ScriptedModel(writes(GOOD, answer="ANSWER: 21.13")), Gone()).answer(TEXT)
    assert isinstance(outcome, Miss) and (outcome.answer, outcome.answered_by) == (21.13, "model")


def test_7_the_same_request_gets_the_same_answer(opened: Any) -> None:
    """Request, store and tool results decide the answer, in this cache and in the next on the same store."""
    store = MemoryStore()
    first = opened(ScriptedModel(writes(GOOD)), store)
    first.answer(TEXT)
    second = opened(None, store)
    answers = [cache.answer("Split 100 coins among 7 people").answer for cache in (first, second, first, second)]
    assert answers == [14.29] * 4
