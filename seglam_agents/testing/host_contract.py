"""`HostContract`: what every host must do with a cache. Inherit from it, and give it a `Host` of some thirty lines.

```python
class TestMyHost(HostContract):
    @pytest.fixture
    def host(self) -> Host:
        return MyHost()
```

What a host cannot do yet is named in `pending`, with the reason: such a row must fail, and is told when it passes.
"""

# ruff: noqa: S101  # these are tests
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Protocol, TypeAlias

from pydantic import BaseModel, Field

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.guards.slots import exports
from seglam_agents.hosting.fitting import form_digest
from seglam_agents.records.entry import Entry
from seglam_agents.records.outcome import Learned
from seglam_agents.records.procedure import Closing, GuardSource, Procedure, Provenance, ToolUse
from seglam_agents.records.record import Json
from seglam_agents.records.request import instructions_beside
from seglam_agents.records.tools import Effect
from seglam_agents.records.trace import Trace
from seglam_agents.records.values import Value
from seglam_agents.sandboxes.base import HostModule
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.base import ProcedureStore
from seglam_agents.stores.memory import MemoryStore
from seglam_agents.testing.with_pytest import pytest

Mode: TypeAlias = Literal["sync", "async"]


class Receipt(BaseModel):
    """What was bought."""

    item: str
    coins: int


class LongReceipt(BaseModel):
    """What was bought."""

    item: str
    coins: int = Field(description="in hundredths of a coin")


class Crash(BaseException):
    """The process dies here."""


@dataclass(frozen=True, slots=True)
class PlainTool:
    """A tool without a framework."""

    name: str
    description: str
    parameters: dict[str, Json]
    """JSON Schema of the arguments."""
    function: Callable[..., Value]
    effect: Effect = "write"
    idempotent: bool = False


@dataclass(frozen=True, slots=True)
class Says:
    """The model answers."""

    text: str


@dataclass(frozen=True, slots=True)
class Wants:
    """The model calls tools, all at once."""

    calls: tuple[tuple[str, dict[str, Json]], ...]


@dataclass(frozen=True, slots=True)
class Fills:
    """The model answers in a response format, in the way in which models do it for this host."""

    form: type[BaseModel]
    values: dict[str, Json]


Move: TypeAlias = Says | Wants | Fills


@dataclass(frozen=True, slots=True)
class Approve:
    """A person lets a call pass."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A person changes the arguments of a call."""

    arguments: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Reject:
    """A person forbids a call."""

    text: str = "no"


PersonSays: TypeAlias = Approve | Edit | Reject


@dataclass(frozen=True, slots=True)
class Job:
    """One worker with its agent: what it has. A host builds the agent anew for every run."""

    cache: ReasoningCache
    tools: Sequence[PlainTool]
    mode: Mode
    moves: Sequence[Move] = (Says("by model"),)
    """What the model says, one after the other."""
    approve: frozenset[str] = frozenset()
    """Tools whose calls wait for a person."""
    told: str = ""
    """What the agent is told, as the host shows it to the cache: a system prompt, or a system message."""
    form: type[BaseModel] | None = None
    """The response format of the agent."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run came to."""

    answer: str
    """Empty where it waits for a person."""
    asked: int
    """How often the model was asked in this run."""
    shown: str = ""
    """What the model was shown at last."""
    waiting: bool = False


class Host(Protocol):
    """A framework as this suite drives it. It keeps the state of its threads, as a checkpointer does."""

    def declare(self, tools: Sequence[PlainTool]) -> list[HostTool]:
        """Return the tools as they are declared to a cache."""
        ...

    def ask(self, job: Job, text: str, thread: str | None = None, request_id: str | None = None) -> Ran:
        """Run a new turn."""
        ...

    def decide(self, job: Job, thread: str, said: PersonSays) -> Ran:
        """Go on with a turn that waits for a person."""
        ...

    def resume(self, job: Job, thread: str) -> Ran:
        """Go on with a turn whose worker died, from what was saved."""
        ...

    def lose(self, thread: str) -> None:
        """Forget what was saved of the turn that a worker died in, as where saving is slower than the turn."""
        ...


PRICES: Mapping[str, int] = {"tea": 3, "milk": 2, "rice": 5}
ORDER = "Order 2 boxes of tea"
FORMS: Mapping[str, type[BaseModel]] = {"receipt": Receipt}
"""Procedures that were learnt where the agent had a response format."""
SPOKEN = frozenset({"fetch"})
"""Procedures that leave the last message to the model."""
PROCEDURES: Mapping[str, tuple[str, str]] = {
    "buy": (
        "Order {n:count} boxes of {item:noun}",
        "def run(n, item):\n    cost = price(item) * n\n    done = order(item, n)\n"
        "    if n > 10:\n        deopt('too many')\n    return f'{done}, {cost} coins'\n",
    ),
    "buy_first": (
        "First order {n:count} boxes of {item:noun}",
        "def run(n, item):\n    done = order(item, n)\n    return f'{done}, {price(item) * n} coins'\n",
    ),
    "check": (
        "Check whether {item:noun} is cheap",
        "def run(item):\n    if price(item) > 2:\n        deopt('nobody said what is cheap')\n    return 'yes'\n",
    ),
    "spend": ("Order as many {item:noun} as one costs", "def run(item):\n    return order(item, price(item))\n"),
    "fetch": (
        "Fetch {n:count} boxes of {item:noun}",
        "def run(n, item):\n    price(item)\n    order(item, n)\n    return None\n",
    ),
    "receipt": ("Receipt for {item:noun}", "def run(item):\n    return {'item': item, 'coins': price(item)}\n"),
    "refill": ("Fill the box with {item:noun} again", "def run(item):\n    return order(item, 1)\n"),
    "weigh": ("Order {n:number} kilos of {item:noun}", "def run(n, item):\n    return order(item, n)\n"),
}


@dataclass(slots=True)
class Shop:
    """A tool that reads and one that writes, and what was done with them."""

    read: list[str] = field(default_factory=list[str])
    written: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    crash: Literal["", "reading", "writing"] = ""
    """Where the process dies, once."""
    broken: bool = False
    """Whether the writing tool raises after it has written."""
    dearer: int = 0
    """How much more everything costs by now."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def price(self, item: str) -> int:
        """Return the price of one item."""
        self._dies("reading")
        with self._lock:
            self.read.append(item)
        return PRICES[item] + self.dearer

    def order(self, item: str, n: int) -> str:
        """Order boxes of an item."""
        with self._lock:
            self.written.append((item, n))
        self._dies("writing")
        if self.broken:
            raise TimeoutError("the line broke after the order was sent")
        return f"ordered {n} {item}"

    def _dies(self, where: str) -> None:
        if self.crash == where:
            self.crash = ""
            raise Crash

    def tools(self, *, idempotent: bool = False) -> list[PlainTool]:
        """Return them."""

        def price(item: str) -> int:
            return self.price(item)

        def order(item: str, n: int) -> str:
            return self.order(item, n)

        item: Json = {"type": "string"}
        one: dict[str, Json] = {"type": "object", "properties": {"item": item}, "required": ["item"]}
        both: dict[str, Json] = {
            "type": "object",
            "properties": {"item": item, "n": {"type": "integer"}},
            "required": ["item", "n"],
        }
        return [
            PlainTool("price", "Return the price of one item.", one, price, "read"),
            PlainTool("order", "Order boxes of an item.", both, order, "write", idempotent),
        ]


def stored(cache: ReasoningCache, name: str, tools: Sequence[HostTool]) -> None:
    """Store one of `PROCEDURES` as if it had been learnt."""
    template, body = PROCEDURES[name]
    guard = GuardSource(templates=(template,))
    procedure = Procedure(
        id=f"{name}-0001",
        name=name,
        scope=cache.scope,
        guard=guard,
        body=body,
        parameters=TemplateGuard(guard, context=()).parameters(),
        tools=tuple(ToolUse.of(item.tool) for item in tools if f"{item.tool.name}(" in body),
        provenance=Provenance(compiler="test"),
        closing=Closing(mode="model") if name in SPOKEN else Closing(),
        instructions=instructions_beside("", form_digest([FORMS[name]] if name in FORMS else ())),
    )
    cache.store.put(Entry(procedure=procedure, status="active"), expected_revision=0)
    cache.procedures()  # Read the change feed now.


Open: TypeAlias = Callable[..., ReasoningCache]


class HostModes:
    """The colours in which a suite drives a host."""

    modes: ClassVar[frozenset[Mode]] = frozenset({"sync", "async"})

    @pytest.fixture(params=["sync", "async"])
    def mode(self, request: pytest.FixtureRequest) -> Mode:
        """Blocking, or on an event loop."""
        if request.param not in self.modes:
            pytest.skip(f"this host does not run {request.param}")
        return request.param


class HostContract(HostModes):
    """What every host must do."""

    pending: ClassVar[Mapping[str, str]] = {}
    """Rows that cannot pass yet, by the name of the test, with what will mend them."""
    forms: ClassVar[bool] = True
    """Whether agents of this host have a response format that the host knows of."""

    @pytest.fixture(autouse=True)
    def known_gaps(self, request: pytest.FixtureRequest) -> None:
        """Mark the rows that cannot pass yet."""
        name = getattr(request.function, "__name__", "")
        if name in self.pending:
            request.applymarker(pytest.mark.xfail(strict=True, reason=self.pending[name]))

    @pytest.fixture(scope="class")
    @classmethod
    def sandbox(cls) -> Iterator[MontySandbox]:
        """One sandbox for all."""
        sandbox = MontySandbox(modules=(HostModule("slots", exports()),))
        yield sandbox
        sandbox.close()

    @pytest.fixture
    def opened(self, host: Host, sandbox: MontySandbox) -> Iterator[Open]:
        """Open caches on one store, as workers do: `opened(tools, tenant=...)`."""
        caches: list[ReasoningCache] = []
        store: ProcedureStore = MemoryStore()

        def opened(tools: Sequence[PlainTool], *, tenant: str = "default") -> ReasoningCache:
            declared = host.declare(tools)
            cache = ReasoningCache(
                store, tools=declared, tenant=tenant, sandbox=sandbox, second_sandbox=None, second_opinion=False
            )
            caches.append(cache)
            if tenant == "default" and not cache.procedures():
                for name in PROCEDURES:
                    stored(cache, name, declared)
            return cache

        yield opened
        for cache in caches:
            cache.close()

    @pytest.fixture
    def shop(self) -> Shop:
        """Tools that count."""
        return Shop()

    @pytest.fixture
    def job(self, opened: Open, shop: Shop, mode: Mode) -> Job:
        """A worker."""
        tools = shop.tools()
        return Job(opened(tools), tools, mode)

    @pytest.fixture
    def other(self, job: Job, opened: Open) -> Job:
        """Another worker on the same store."""
        return replace(job, cache=opened(job.tools))

    # --- hits, misses, give-ups --------------------------------------------------------------------------------------

    def test_a_hit_asks_no_model(self, host: Host, job: Job, shop: Shop) -> None:
        """The host runs the procedure's calls, the answer is the procedure's, and the hit is counted once."""
        ran = host.ask(job, ORDER, "1")
        assert (ran.answer, ran.asked) == ("ordered 2 tea, 6 coins", 0)
        assert (shop.read, shop.written) == (["tea"], [("tea", 2)])
        assert job.cache.stats().hits == 1 and job.cache.stats().requests == 1

    def test_a_miss_is_the_models(self, host: Host, job: Job, shop: Shop) -> None:
        """What no guard accepts goes to the model, with one word too many as well."""
        ran = host.ask(job, f"{ORDER} tomorrow", "1")
        assert (ran.answer, ran.asked, shop.written) == ("by model", 1, [])
        assert job.cache.stats().misses == 1

    def test_the_model_has_the_last_word(
        self, host: Host, job: Job, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where only the last message is free, the calls are the procedure's, and the model is asked once for the rest.

        It sees what was called, and what it says is learnt from: some day code may say it.
        """
        traces = observed(job.cache, monkeypatch)
        ran = host.ask(job, "Fetch 2 boxes of tea", "1")
        assert (ran.answer, ran.asked, shop.read, shop.written) == ("by model", 1, ["tea"], [("tea", 2)])
        assert "ordered 2 tea" in ran.shown and job.cache.stats().hits == 1 and job.cache.stats().deopts == 0
        (trace,) = traces
        assert [step.tool for step in trace.calls] == ["price", "order"] and trace.answer == "by model"

    def test_a_give_up_after_reads(self, host: Host, job: Job, shop: Shop) -> None:
        """The model goes on with what was read."""
        ran = host.ask(job, "Check whether tea is cheap", "1")
        assert (ran.answer, ran.asked, shop.read) == ("by model", 1, ["tea"])
        assert "3" in ran.shown and job.cache.stats().deopts == 1

    def test_a_give_up_after_a_write(self, host: Host, job: Job, shop: Shop) -> None:
        """The model sees what was done, and it is done once."""
        ran = host.ask(job, "Order 20 boxes of tea", "1")
        assert (ran.answer, ran.asked, shop.written) == ("by model", 1, [("tea", 20)])
        assert "ordered 20 tea" in ran.shown and job.cache.stats().deopts == 1

    def test_arguments_that_a_tool_does_not_take(self, host: Host, job: Job, shop: Shop) -> None:
        """A fraction of a box is not ordered: the procedure gives up before the call is made."""
        ran = host.ask(job, "Order 1.25 kilos of tea", "1")
        assert (ran.answer, ran.asked, shop.written) == ("by model", 1, [])
        assert job.cache.stats().deopts == 1

    def test_a_tool_that_raises(self, host: Host, job: Job, other: Job, shop: Shop) -> None:
        """Whether the host ends the run or tells the model: what was done is not done again."""
        shop.broken = True
        try:
            ran = host.ask(job, ORDER, "1")
        except TimeoutError:
            ran = host.resume(other, "1")
        assert (ran.answer, ran.asked, shop.written) == ("by model", 1, [("tea", 2)])

    def test_changed_tools(self, host: Host, job: Job, opened: Open, shop: Shop) -> None:
        """A tool with other arguments than the cache was told is not called."""

        def order(item: str, n: int, express: bool) -> str:
            return shop.order(item, n)

        price, old = job.tools
        properties: Json = {"item": {"type": "string"}, "n": {"type": "integer"}, "express": {"type": "boolean"}}
        changed = replace(
            old, function=order, parameters={"type": "object", "properties": properties, "required": list(properties)}
        )
        ran = host.ask(replace(job, tools=[price, changed]), ORDER, "1")
        assert (ran.answer, ran.asked, shop.written, shop.read) == ("by model", 1, [], [])

    def test_two_tenants(self, host: Host, job: Job, opened: Open, shop: Shop) -> None:
        """What one tenant has learnt serves no other."""
        stranger = replace(job, cache=opened(job.tools, tenant="other"))
        ran = host.ask(stranger, ORDER, "1")
        assert (ran.answer, ran.asked, shop.written) == ("by model", 1, [])
        assert host.ask(job, ORDER, "2").asked == 0

    def test_later_turns(self, host: Host, job: Job, shop: Shop) -> None:
        """A request that stands for itself is a hit in a later turn as well, and is carried out as often as asked."""
        host.ask(job, ORDER, "1")
        ran = host.ask(job, ORDER, "1")
        assert (ran.answer, ran.asked, shop.written) == ("ordered 2 tea, 6 coins", 0, [("tea", 2)] * 2)

    def test_five_turns(self, host: Host, job: Job, shop: Shop) -> None:
        """Each turn of a conversation is served where all before it is done with; greetings and thanks are nothing."""
        asked = [
            host.ask(job, text, "1").asked
            for text in ("Hello!", ORDER, "Order 3 boxes of milk", "Thank you very much!", "Order 1 boxes of rice")
        ]
        assert asked == [1, 0, 0, 1, 0]
        assert shop.written == [("tea", 2), ("milk", 3), ("rice", 1)]

    @pytest.mark.parametrize("said", ["Order only what is cheap", "I would rather have everything tomorrow"])
    def test_what_was_said_before_may_change_it(self, host: Host, job: Job, shop: Shop, said: str) -> None:
        """After what no procedure accounts for, nothing is served in this conversation; in another one it is."""
        host.ask(job, said, "1")
        assert (host.ask(job, ORDER, "1").asked, shop.written) == (1, [])
        assert (host.ask(job, ORDER, "1").asked, host.ask(job, ORDER, "2").asked) == (1, 0)

    def test_what_points_back(self, host: Host, job: Job, shop: Shop) -> None:
        """A request whose words point at what was said before is the model's, though its guard accepts it."""
        assert host.ask(job, "Fill the box with tea again", "1").asked == 0
        assert host.ask(job, "Fill the box with milk again", "1").asked == 1
        assert shop.written == [("tea", 1)]

    def test_what_may_be_meant(self, host: Host, job: Job, shop: Shop) -> None:
        """Where something was named before that a request has nothing for, runs have to show that it is not meant."""
        assert host.ask(job, ORDER, "1").asked == 0
        ran = host.ask(job, "Order as many milk as one costs", "1")
        assert (ran.answer, ran.asked, shop.written) == ("by model", 1, [("tea", 2)])

    def test_what_a_later_turn_teaches(self, host: Host, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run after which something else may have been meant is learnt under the conditions of such turns."""
        seen = learnt_under(monkeypatch)
        host.ask(job, "Tell me of rice", "1")
        host.ask(job, ORDER, "2")
        host.ask(job, "Order as many milk as one costs", "2")
        first, later = seen
        own = job.cache.under(first)
        assert own is not None and later == own.later().instructions != first

    # --- people ------------------------------------------------------------------------------------------------------

    def test_interrupted_and_resumed_by_another_worker(self, host: Host, job: Job, other: Job, shop: Shop) -> None:
        """A call that waits for a person is carried out once, by whichever worker goes on."""
        gate = frozenset({"order"})
        ran = host.ask(replace(job, approve=gate), ORDER, "1")
        assert ran.waiting and (shop.read, shop.written) == (["tea"], [])
        ran = host.decide(replace(other, approve=gate), "1", Approve())
        assert (ran.answer, ran.asked, shop.written) == ("ordered 2 tea, 6 coins", 0, [("tea", 2)])

    def test_a_persons_edit(self, host: Host, job: Job, shop: Shop) -> None:
        """What a person changed is done as changed, once, and the model goes on."""
        job = replace(job, approve=frozenset({"order"}))
        assert host.ask(job, ORDER, "1").waiting
        ran = host.decide(job, "1", Edit({"item": "tea", "n": 1}))
        assert (ran.answer, ran.asked, shop.written) == ("by model", 1, [("tea", 1)])
        assert job.cache.stats().deopts == 1 and job.cache.stats().hits == 0

    def test_a_persons_no(self, host: Host, job: Job, shop: Shop) -> None:
        """What a person forbids is not done, and the model goes on."""
        job = replace(job, approve=frozenset({"order"}))
        assert host.ask(job, ORDER, "1").waiting
        ran = host.decide(job, "1", Reject("too dear"))
        assert (ran.answer, ran.asked, shop.written) == ("by model", 1, [])
        assert "too dear" in ran.shown and job.cache.stats().deopts == 1

    # --- learning ----------------------------------------------------------------------------------------------------

    def test_parallel_calls(self, host: Host, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        """Calls that the model makes at once are learnt from in the order in which it asked for them."""
        traces = observed(job.cache, monkeypatch)
        calls: tuple[tuple[str, dict[str, Json]], ...] = (("price", {"item": "rice"}), ("price", {"item": "tea"}))
        ran = host.ask(replace(job, moves=(Wants(calls), Says("8 coins"))), "What do rice and tea cost?", "1")
        assert ran.answer == "8 coins"
        (trace,) = traces
        assert [(x.tool, x.arguments, x.result) for x in trace.calls] == [
            ("price", {"item": "rice"}, 5),
            ("price", {"item": "tea"}, 3),
        ]
        assert len({step.batch for step in trace.calls}) == 1 and trace.calls[0].batch is not None
        assert trace.answer == "8 coins" and trace.request.text == "What do rice and tea cost?"

    def test_what_a_person_edited_is_learnt_as_done(
        self, host: Host, job: Job, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The trace holds the call as it was carried out, and that a person had changed it."""
        traces = observed(job.cache, monkeypatch)
        wants = Wants((("order", {"item": "tea", "n": 9}),))
        job = replace(job, moves=(wants, Says("done")), approve=frozenset({"order"}))
        assert host.ask(job, "Get some tea", "1").waiting
        job = replace(job, moves=(Says("done"),))
        assert host.decide(job, "1", Edit({"item": "tea", "n": 1})).answer == "done"
        (trace,) = traces
        (step,) = trace.calls
        assert (step.tool, step.arguments) == ("order", {"item": "tea", "n": 1})
        assert (step.decision, step.proposed) == ("edited", {"item": "tea", "n": 9})

    def test_what_a_person_forbade_is_not_learnt(self, host: Host, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        """A call that was not carried out makes no trace."""
        traces = observed(job.cache, monkeypatch)
        wants = Wants((("order", {"item": "tea", "n": 9}),))
        job = replace(job, moves=(wants, Says("sorry")), approve=frozenset({"order"}))
        host.ask(job, "Get some tea", "1")
        host.decide(replace(job, moves=(Says("sorry"),)), "1", Reject())
        assert traces == []

    # --- crashes -----------------------------------------------------------------------------------------------------

    def test_a_crash_between_a_write_and_its_record(self, host: Host, job: Job, other: Job, shop: Shop) -> None:
        """The write is in doubt: it is not repeated, and the model is told."""
        shop.crash = "writing"
        with pytest.raises(Crash):
            host.ask(job, ORDER, "1")
        ran = host.resume(other, "1")
        assert (ran.answer, ran.asked, shop.written) == ("by model", 1, [("tea", 2)])
        assert "not known whether" in ran.shown

    def test_a_crash_of_which_nothing_was_saved(self, host: Host, job: Job, other: Job, shop: Shop) -> None:
        """The same, where the caller has to ask again because the host knows nothing of the turn any more."""
        shop.crash = "writing"
        with pytest.raises(Crash):
            host.ask(job, ORDER, "1")
        host.lose("1")
        ran = host.ask(other, ORDER, "1")
        assert (ran.answer, ran.asked, shop.written) == ("by model", 1, [("tea", 2)])
        assert "not known whether" in ran.shown

    def test_a_request_that_is_asked_again_by_its_id(self, host: Host, job: Job, other: Job, shop: Shop) -> None:
        """Without a thread, the caller's own id of the request says that it is the same."""
        shop.crash = "writing"
        with pytest.raises(Crash):
            host.ask(job, ORDER, request_id="r1")
        ran = host.ask(other, ORDER, request_id="r1")
        assert (ran.answer, ran.asked, shop.written) == ("by model", 1, [("tea", 2)])
        assert host.ask(other, ORDER, request_id="r2").asked == 0 and len(shop.written) == 2

    def test_a_named_request_in_other_words(self, host: Host, job: Job, other: Job, shop: Shop) -> None:
        """The caller's id is the name, however the request is worded this time."""
        host.ask(job, ORDER, request_id="r1")
        host.ask(other, f"Please {ORDER[0].lower()}{ORDER[1:]} ", request_id="r1")
        host.ask(other, ORDER.replace("2", "3"), request_id="r1")
        assert shop.written == [("tea", 2)]

    def test_an_attempt_that_reads_something_else(self, host: Host, job: Job, other: Job, shop: Shop) -> None:
        """What is read anew leads to another write: it is not made beside that of the first attempt."""
        shop.crash = "writing"
        with pytest.raises(Crash):
            host.ask(job, "Order as many tea as one costs", request_id="r1")
        shop.dearer = 1
        ran = host.ask(other, "Order as many tea as one costs", request_id="r1")
        assert (ran.asked, shop.written) == (1, [("tea", 3)])
        assert "made other calls" in ran.shown and "not known whether" in ran.shown

    def test_an_attempt_without_its_procedure(self, host: Host, job: Job, other: Job, shop: Shop) -> None:
        """What an earlier attempt wrote is told to the model where no procedure goes on with it."""
        shop.crash = "writing"
        with pytest.raises(Crash):
            host.ask(job, ORDER, request_id="r1")
        ran = host.ask(replace(other, told="Answer in one word."), ORDER, request_id="r1")
        assert (ran.asked, shop.written) == (1, [("tea", 2)]) and "not known whether" in ran.shown
        assert "not known whether" not in host.ask(replace(other, told="Answer in one word."), ORDER, "9").shown

    def test_other_instructions(self, host: Host, job: Job, shop: Shop) -> None:
        """What an agent did that was told nothing is not done by one that is told never to do it."""
        ran = host.ask(replace(job, told="You never order anything."), ORDER, "1")
        assert (ran.answer, ran.asked, shop.written) == ("by model", 1, [])

    def test_a_response_format_is_served_where_it_is_asked_for(self, host: Host, job: Job, shop: Shop) -> None:
        """An agent that answers in a form is served what was learnt in that form."""
        self._have_forms()
        ran = host.ask(replace(job, form=Receipt), "Receipt for tea", "1")
        assert (ran.asked, shop.read) == (0, ["tea"]) and "3" in ran.answer

    @pytest.mark.parametrize("form", [None, LongReceipt])
    def test_another_response_format(self, host: Host, job: Job, shop: Shop, form: type[BaseModel] | None) -> None:
        """A form is something that an agent is told: without it, or in another one, nobody is served that answer."""
        if form is not None:
            self._have_forms()
        moves = (Says("by model"),) if form is None else (Fills(form, {"item": "tea", "coins": 300}),)
        ran = host.ask(replace(job, form=form, moves=moves), "Receipt for tea", "1")
        assert ran.asked >= 1 and shop.read == [] and "coins: 3" not in ran.answer and '"coins": 3}' not in ran.answer

    def test_no_response_format_before(self, host: Host, job: Job, shop: Shop) -> None:
        """What was learnt without a form is not served where one is asked for."""
        self._have_forms()
        moves = (Fills(Receipt, {"item": "tea", "coins": 6}),)
        ran = host.ask(replace(job, form=Receipt, moves=moves), ORDER, "1")
        assert ran.asked >= 1 and shop.written == []

    def _have_forms(self) -> None:
        if not self.forms:
            pytest.skip("agents of this host have no response format that it knows of")

    def test_a_write_whose_result_was_kept(self, host: Host, job: Job, other: Job, shop: Shop) -> None:
        """A result in the journal is served again: the turn comes to its end without the model, and writes once."""
        shop.crash = "reading"
        with pytest.raises(Crash):
            host.ask(job, f"First {ORDER[0].lower()}{ORDER[1:]}", "1")
        host.lose("1")
        ran = host.ask(other, f"First {ORDER[0].lower()}{ORDER[1:]}", "1")
        assert (ran.answer, ran.asked, shop.written) == ("ordered 2 tea, 6 coins", 0, [("tea", 2)])

    def test_an_idempotent_write_is_repeated(self, host: Host, opened: Open, shop: Shop, mode: Mode) -> None:
        """Where repeating does no harm, the procedure comes to its end."""
        tools = shop.tools(idempotent=True)
        job, other = Job(opened(tools), tools, mode), Job(opened(tools), tools, mode)
        shop.crash = "writing"
        with pytest.raises(Crash):
            host.ask(job, ORDER, "1")
        ran = host.resume(other, "1")
        assert (ran.answer, ran.asked) == ("ordered 2 tea, 6 coins", 0)

    def test_one_request_asked_eight_times_at_once(self, host: Host, job: Job, shop: Shop) -> None:
        """With one request id, at most one of them writes; the others are told."""
        moves = (Says("by model"),)
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(host.ask, replace(job, moves=moves), ORDER, None, "r1") for _ in range(8)]
            answers = [future.result().answer for future in asked]
        assert shop.written == [("tea", 2)]
        assert set(answers) <= {"by model", "ordered 2 tea, 6 coins"} and "ordered 2 tea, 6 coins" in answers


def learnt_under(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list that will hold under which instructions each run is learnt; nothing is learnt."""
    seen: list[str] = []

    def observe(cache: ReasoningCache, trace: Trace) -> Learned:
        seen.append(cache.instructions)
        return Learned(status="deferred", reason="a test only looks")

    async def aobserve(cache: ReasoningCache, trace: Trace) -> Learned:
        return observe(cache, trace)

    monkeypatch.setattr(ReasoningCache, "observe", observe)
    monkeypatch.setattr(ReasoningCache, "aobserve", aobserve)
    return seen


def observed(cache: ReasoningCache, monkeypatch: pytest.MonkeyPatch) -> list[Trace]:
    """Return the list that will hold what a cache observes; nothing is learnt."""
    traces: list[Trace] = []
    learned = Learned(status="deferred", reason="a test only looks")

    def observe(trace: Trace) -> Learned:
        traces.append(trace)
        return learned

    async def aobserve(trace: Trace) -> Learned:
        return observe(trace)

    monkeypatch.setattr(cache, "observe", observe)
    monkeypatch.setattr(cache, "aobserve", aobserve)
    return traces
