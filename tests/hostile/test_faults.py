"""Whatever breaks at whichever call of a request's path: one write, nothing hidden, nothing lost, and the next request.

Each row drives one request again and again, with the first, second, third ... call of one thing broken, until the path
has no further call.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias, get_args

import pytest

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.guards.slots import exports
from seglam_agents.models.base import Message
from seglam_agents.records.entry import Entry
from seglam_agents.records.errors import ModelError
from seglam_agents.records.outcome import Deopt, Hit, Learned, Miss, Outcome, Refused
from seglam_agents.records.procedure import GuardSource, Procedure, Provenance, ToolUse
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.sandboxes.base import HostModule, Program
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.memory import MemoryStore
from seglam_agents.testing.faults import Faults, How, Killed, Target
from seglam_agents.testing.leftovers import SANDBOX_WORKERS, flights_of, nothing_left
from seglam_agents.testing.models import ScriptedModel, asks_for_code

Colour: TypeAlias = Literal["sync", "async"]
TARGETS: tuple[Target, ...] = get_args(Target)
HOWS: tuple[How, ...] = get_args(How)
COLOURS: tuple[Colour, ...] = get_args(Colour)
MOST = 60
"""Calls of one thing on one path; a path that has more is endless."""

REFUND = Tool(
    name="refund",
    parameters={"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]},
    effect="write",
)
KNOWN = "Refund order A-1"
HALF = "Half refund order A-1"
BOTH = "Pay back order A-1"
PURE = "Add 2 and 3"
NEW = "Split 84.5 coins among 4 people"
SPLIT = """```python
NAME = "split"
TEMPLATES = ["Split {total:number} coins among {n:count} people"]
WHERE = "n > 0"
EXPECTED = [21.13]

def run(total, n):
    return round(total / n + 1e-9, 2)
```"""
STORED = {
    "refund": ("Refund order {order:id}", "def run(order):\n    return refund(order)\n", (REFUND,)),
    "half": (
        "Half refund order {order:id}",
        "def run(order):\n    done = refund(order)\n    deopt('half is for a person')\n",
        (REFUND,),
    ),
    "pay": ("Pay back order {order:id}", "def run(order):\n    return refund(order)\n", (REFUND,)),
    "pay too": (
        "Pay back (order|purchase) {order:id}",
        "def run(order):\n    done = refund(order)\n    return done\n",
        (REFUND,),
    ),
    "add": ("Add {a:number} and {b:number}", "def run(a, b):\n    return a + b\n", ()),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[MontySandbox]:
    sandbox = MontySandbox(modules=(HostModule("slots", exports()),))
    sandbox.run(Program("def run():\n    return 1\n", "run", ()), {})  # Its threads are there from now on.
    yield sandbox
    sandbox.close()


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every look-up read the store, so that there are calls to break."""
    monkeypatch.setattr("seglam_agents.serving.retriever.REFRESH_SECONDS", -1.0)


@pytest.fixture(autouse=True, scope="module")
def leaves_nothing_together(sandbox: MontySandbox) -> Iterator[None]:
    """Nor after all of them: the pool of the sandbox is no larger than one pool."""
    with nothing_left(SANDBOX_WORKERS):
        yield


@pytest.fixture(autouse=True)
def leaves_nothing(sandbox: MontySandbox) -> Iterator[None]:
    """After every row there are no more threads, processes and open files than before."""
    with nothing_left(SANDBOX_WORKERS):
        yield


@dataclass
class World:
    """A cache with one broken thing, and what the request did to the world."""

    faults: Faults
    sandbox: MontySandbox
    store: MemoryStore = field(default_factory=MemoryStore)
    refunded: list[str] = field(default_factory=list[str])
    model: ScriptedModel = field(init=False)
    cache: ReasoningCache = field(init=False)

    def __post_init__(self) -> None:
        self.model = ScriptedModel(self.says)
        around = self.faults.around
        self.faults.armed = False
        self.cache = ReasoningCache(
            around("store", self.store),
            around("model", self.model),
            sandbox=around("sandbox", self.sandbox),
            second_sandbox=None,
            second_opinion=False,
            tools=[HostTool(REFUND, around("tool", self.refund))],
            embedder=around("embedder", Letters()),
            now=around("clock", now),
            near=0.99,
        )
        for name, (template, body, tools) in STORED.items():
            self.put(name, template, body, tools)
        # One sample at admission is the same call as a dozen of them.
        admission = self.cache._engine.learning.compiling.admission  # pyright: ignore[reportPrivateUsage]  # no setting
        object.__setattr__(admission, "samples", 1)
        self.cache.lookup("warm up")
        self.faults.armed = True

    def refund(self, order: str) -> str:
        self.refunded.append(order)
        return f"refunded {order}"

    def says(self, messages: Sequence[Message]) -> str:
        """Write code when asked to, and otherwise refund what was not refunded yet, as an agent's model would."""
        if asks_for_code(messages):
            return SPLIT
        asked = messages[-1].content
        if "efund" in asked and "These calls have been made" not in asked:
            self.refunded.append("by the model")
        return "ANSWER: done"

    def put(self, name: str, template: str, body: str, tools: Sequence[Tool]) -> None:
        guard = GuardSource(templates=(template,))
        procedure = Procedure(
            id=name,
            name=name,
            scope=self.cache.scope,
            guard=guard,
            body=body,
            parameters=TemplateGuard(guard).parameters(),
            tools=tuple(ToolUse.of(tool) for tool in tools),
            provenance=Provenance(compiler="test"),
        )
        self.store.put(Entry(procedure=procedure, status="active"), expected_revision=0)


class Letters:
    """An embedder that looks at letters alone."""

    def embed_query(self, text: str) -> list[float]:
        return [text.count(letter) + 0.1 for letter in "aeinorst"]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


def now() -> datetime:
    return datetime(2026, 1, 2, 3, 4)


def run_of(order: str) -> Trace:
    step = ToolStep(tool="refund", arguments={"order": order}, result=f"refunded {order}")
    return Trace(request=Request(text=f"Please give back {order}"), steps=(step,), answer=f"refunded {order}")


def do(world: World, path: str, colour: Colour) -> Outcome | Learned:
    """Drive one request along one path."""
    if colour == "async":
        return asyncio.run(ado(world, path))
    cache, (verb, _, text) = world.cache, path.partition(" ")
    match verb:
        case "answer":
            return cache.answer(text)
        case "named":
            return cache.answer(text, request_id="one")
        case "lookup":
            return cache.lookup(text)
        case "learn":
            return cache.learn(text, answer=21.13)
        case _:
            cache.observe(run_of("A-8"))
            return cache.observe(run_of("A-9"))


async def ado(world: World, path: str) -> Outcome | Learned:
    """Do the same on an event loop."""
    cache, (verb, _, text) = world.cache, path.partition(" ")
    match verb:
        case "answer":
            return await cache.aanswer(text)
        case "named":
            return await cache.aanswer(text, request_id="one")
        case "lookup":
            return await cache.alookup(text)
        case "learn":
            return await cache.alearn(text, answer=21.13)
        case _:
            await cache.aobserve(run_of("A-8"))
            return await cache.aobserve(run_of("A-9"))


PATHS = {
    f"answer {KNOWN}": 1,
    f"answer {HALF}": 1,
    f"answer {BOTH}": 1,
    f"answer {PURE}": 0,
    f"answer {NEW}": 0,
    f"named {KNOWN}": 1,
    f"named {HALF}": 1,
    f"lookup {KNOWN}": 1,
    f"lookup {PURE}": 0,
    f"learn {NEW}": 0,
    "observe": 0,
}
"""Paths, and how many refunds each intends."""
HANGING = [
    f"answer {KNOWN}",
    f"answer {HALF}",
    f"answer {NEW}",
    f"named {KNOWN}",
    f"lookup {KNOWN}",
    f"learn {NEW}",
    "observe",
]
"""One path of each kind."""


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("how", ["raises", "raises after", "nonsense"])
def test_what_breaks_is_told_and_harms_nothing(
    sandbox: MontySandbox, how: How, target: Target, path: str, colour: Colour
) -> None:
    """A typed outcome, at most one write, every step told, no flight left, nothing stored lost, the next one served."""
    for number in range(1, MOST):
        world = World(Faults(target, number, how), sandbox)
        before = threading.active_count()
        try:
            outcome = do(world, path, colour)
        except ModelError:
            assert target == "model" and not world.refunded, "only a model that must answer may fail a request"
            outcome = None
        check(world, outcome, PATHS[path])
        if colour == "sync":
            assert threading.active_count() == before
        if not world.faults.reached:
            return
    pytest.fail(f"{target} is called {MOST} times on {path}")


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("how", ["is killed", "is cancelled"])
def test_what_is_killed_leaves_nothing_behind(
    sandbox: MontySandbox, how: How, target: Target, path: str, colour: Colour
) -> None:
    """An exception that nobody may swallow reaches the caller; no flight is left, and the next request is served."""
    for number in range(1, MOST):
        world = World(Faults(target, number, how), sandbox)
        try:
            do(world, path, colour)
        except (Killed, asyncio.CancelledError):
            assert world.faults.reached
        check(world, None, PATHS[path])
        if not world.faults.reached:
            return
    pytest.fail(f"{target} is called {MOST} times on {path}")


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("how", ["raises", "raises after", "nonsense", "is killed", "is cancelled"])
def test_a_named_request_that_is_asked_again_is_written_once(
    sandbox: MontySandbox, how: How, target: Target, colour: Colour
) -> None:
    """Whatever broke at whichever call of the first attempt, the second one makes no write of a procedure again."""
    for number in range(1, MOST):
        world = World(Faults(target, number, how), sandbox)
        with suppress(Killed, asyncio.CancelledError):
            do(world, f"named {KNOWN}", colour)
        world.faults.armed = False
        by_model, again = "by the model" in world.refunded, do(world, f"named {KNOWN}", colour)
        written = [order for order in world.refunded if order != "by the model"]
        assert len(written) <= 1, (number, world.refunded)
        assert by_model or isinstance(again, Hit) or (isinstance(again, (Miss, Deopt)) and again.steps), (number, again)
        check(world, None, 2 if by_model else 1)  # What the model asked for is not of the cache.
        if not world.faults.reached:
            return
    pytest.fail(f"{target} is called {MOST} times")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("path", HANGING)
def test_what_hangs_holds_up_nobody_else(sandbox: MontySandbox, target: Target, path: str) -> None:
    """While one request hangs, another one is served; when it goes on, it ends as it would have."""
    for number in range(1, MOST):
        world = World(Faults(target, number, "hangs"), sandbox)
        outcomes: list[Outcome | Learned] = []
        thread = threading.Thread(target=lambda w=world, o=outcomes: o.append(do(w, path, "sync")))
        thread.start()
        while thread.is_alive() and not world.faults.hanging.wait(0.01):
            pass
        if world.faults.reached:
            other = world.cache.answer("Add 4 and 5")
            assert isinstance(other, Hit) and other.answer == 9
        world.faults.release()
        thread.join()
        check(world, outcomes[0], PATHS[path])
        if not world.faults.reached:
            return


@pytest.mark.parametrize(
    "target", ["model", "tool", "store", "embedder", "sandbox"]
)  # A clock says what it says at once.
@pytest.mark.parametrize("path", HANGING)
def test_a_request_that_is_cancelled_leaves_nothing_behind(sandbox: MontySandbox, target: Target, path: str) -> None:
    """A cancelled request lands its flight, its write is made once at most, and the next one works."""

    async def cancelled(world: World) -> None:
        task = asyncio.ensure_future(ado(world, path))
        hanging = asyncio.ensure_future(asyncio.to_thread(world.faults.hanging.wait, 60))
        await asyncio.wait([task, hanging], return_when=asyncio.FIRST_COMPLETED)
        world.faults.hanging.set()
        task.cancel()
        world.faults.release()
        try:
            await task
        except asyncio.CancelledError:
            return

    for number in range(1, MOST):
        world = World(Faults(target, number, "hangs"), sandbox)
        asyncio.run(cancelled(world))  # Waits for the threads of the loop, too.
        check(world, None, 1)
        if not world.faults.reached:
            return


def check(world: World, outcome: Outcome | Learned | None, writes: int) -> None:
    """Hold a world against what is promised."""
    assert len(world.refunded) <= writes, world.refunded
    if outcome is not None:
        assert isinstance(outcome, (Hit, Miss, Deopt, Refused, Learned))
        if isinstance(outcome, Miss):
            assert not [order for order in world.refunded if order != "by the model"], "a write was hidden by a miss"
        if isinstance(outcome, Deopt):
            told = [message[-1].content for message in world.model.asked if not asks_for_code(message)]
            assert all(f"{step.tool}(" in text for step in outcome.steps for text in told)
    world.faults.armed = False
    assert not flights_of(world.cache), "a compilation is under way that nobody works at"
    stored = {entry.procedure.id for entry in world.store.changes(world.cache.scope).entries}
    assert stored >= set(STORED)
    hit = world.cache.answer("Add 40 and 2")
    assert isinstance(hit, Hit) and hit.answer == 42
    refunds = len(world.refunded)
    again = world.cache.answer("Refund order Z-9")
    assert isinstance(again, Hit) and len(world.refunded) == refunds + 1
    world.cache.close()


@dataclass(frozen=True)
class Odd:
    """What no body can hold."""

    name: str = "odd"


def deep() -> Json:
    value: Json = 1
    for _ in range(5_000):
        value = [value]
    return value


def cyclic() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


ODD: dict[str, Callable[[], object]] = {
    "bytes": lambda: b"done",
    "an object": Odd,
    "a generator": lambda: (number for number in (1, 2)),
    "a cycle": cyclic,
    "a deep list": deep,
    "a huge integer": lambda: 10**6000,
    "half a surrogate": lambda: "\ud800",
    "a class": lambda: Odd,
    "unordered": lambda: {1, "a"},
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("colour", COLOURS)
def test_a_result_of_any_type_hides_no_write(sandbox: MontySandbox, name: str, colour: Colour) -> None:
    """Whatever the tool returned, it was called once, and the model is told that it was."""
    world = World(Faults("clock", 10**9, "raises"), sandbox)
    calls: list[str] = []

    def refund(order: str) -> object:
        calls.append(order)
        return ODD[name]()

    cache = ReasoningCache(
        world.store,
        world.model,
        sandbox=sandbox,
        second_sandbox=None,
        tools=[HostTool(REFUND, refund)],  # type: ignore[arg-type]
    )
    outcome = asyncio.run(cache.aanswer(KNOWN)) if colour == "async" else cache.answer(KNOWN)
    assert isinstance(outcome, Deopt) and calls == ["A-1"] and not world.refunded
    assert [step.tool for step in outcome.steps] == ["refund"] and outcome.steps[0].error
    assert "refund(" in world.model.asked[-1][-1].content
    cache.close()


@pytest.mark.parametrize(
    ("returned", "answer"),
    [
        ("Decimal('12.50')", 12.5),
        ("Decimal('12')", 12),
        ("{'b', 'a'}", ["a", "b"]),
        ("(1, 2)", [1, 2]),
        ("{1: 2}", {"1": 2}),
        ("UUID('12345678123456781234567812345678')", "12345678-1234-5678-1234-567812345678"),
    ],
)
def test_a_result_that_has_a_plain_form_is_used(sandbox: MontySandbox, returned: str, answer: Json) -> None:
    """Decimals, sets, tuples and ids are what they stand for, and the procedure goes on."""
    from decimal import Decimal
    from uuid import UUID

    value = eval(returned, {"Decimal": Decimal, "UUID": UUID})
    world = World(Faults("clock", 10**9, "raises"), sandbox)
    cache = ReasoningCache(
        world.store, sandbox=sandbox, second_sandbox=None, tools=[HostTool(REFUND, lambda order: value)]
    )
    outcome = cache.answer(KNOWN)
    assert isinstance(outcome, Hit) and outcome.answer == answer
    cache.close()


def test_guards_that_are_code_hold_a_request_up_once(sandbox: MontySandbox) -> None:
    """Twenty endless guards do not cost a request twenty limits: the rest is not asked, and nothing is served."""
    world = World(Faults("clock", 10**9, "raises"), sandbox)
    ends = "def match(request):\n    return {} if 'zebra' in request else None\n"
    spins = "def match(request):\n    while 'zebra' in request:\n        pass\n    return None\n"
    for number, code in enumerate((ends, *[spins] * 20)):
        procedure = Procedure(
            id=f"code {number:02}",
            name="code",
            scope=world.cache.scope,
            guard=GuardSource(code=code),
            body="def run():\n    return 1\n",
            provenance=Provenance(compiler="test"),
        )
        world.store.put(Entry(procedure=procedure, status="active"), expected_revision=0)
    outcome = world.cache.lookup("a zebra")
    assert isinstance(outcome, Miss)
    assert len(outcome.stops) <= 6 and outcome.stops[-1].reason.startswith("not asked")
    assert isinstance(world.cache.lookup(PURE), Hit)
    world.cache.close()
