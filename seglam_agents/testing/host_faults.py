"""`HostFaults`: whatever breaks at whichever call of a host's turn, nothing is written twice, hidden or lost.

```python
class TestMyHost(HostFaults):
    @pytest.fixture
    def host(self) -> Host:
        return MyHost()
```

Each row drives one turn again and again, with the first, second, third ... call of one thing broken, until the turn has
no further call of it. The journal is notes in the store: it breaks with the store.
"""

# ruff: noqa: S101  # these are tests
from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.guards.slots import exports
from seglam_agents.sandboxes.base import HostModule, Program
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.memory import MemoryStore
from seglam_agents.testing.faults import Faults, How, Killed, Target
from seglam_agents.testing.host_contract import (
    ORDER,
    PROCEDURES,
    Host,
    HostModes,
    Job,
    Mode,
    Move,
    PlainTool,
    Ran,
    Says,
    Shop,
    Wants,
    stored,
)
from seglam_agents.testing.leftovers import SANDBOX_WORKERS, flights_of, nothing_left
from seglam_agents.testing.models import ScriptedModel
from seglam_agents.testing.with_pytest import pytest

MOST = 80
"""Calls of one thing in one turn; a turn that has more is endless."""
TARGETS: tuple[Target, ...] = ("store", "embedder", "sandbox", "model", "tool", "clock")
OWN = "Get me some rice"
TURNS = {
    ORDER: (("tea", 2),),
    "Order 20 boxes of tea": (("tea", 20),),
    "Check whether tea is cheap": (),
    OWN: (("rice", 1),),
}
"""Requests: a hit, a give-up after a write, one after a read, and one of the model's own; and what each may write."""
MODEL: tuple[Move, ...] = (Wants((("order", {"item": "rice", "n": 1}),)), Says("by model"))


@dataclass
class World:
    """A worker with one broken thing, and what its turns did to the world."""

    host: Host
    mode: Mode
    faults: Faults
    sandbox: MontySandbox
    shop: Shop = field(default_factory=Shop)
    store: MemoryStore = field(default_factory=MemoryStore)
    cache: ReasoningCache = field(init=False)
    job: Job = field(init=False)

    def __post_init__(self) -> None:
        self.faults.armed = False
        tools = self.tools(self.faults)
        self.cache = self.opened(tools, self.faults)
        for name in PROCEDURES:
            stored(self.cache, name, self.host.declare(tools))
        self.cache.lookup("warm up")
        self.job = Job(self.cache, tools, self.mode)
        self.faults.armed = True

    def tools(self, faults: Faults) -> list[PlainTool]:
        """Return the tools, with a fault in one."""
        return [replace(tool, function=faults.around("tool", tool.function)) for tool in self.shop.tools()]

    def opened(self, tools: Sequence[PlainTool], faults: Faults) -> ReasoningCache:
        """Open a worker's cache, with a fault in one thing."""
        declared: list[HostTool] = self.host.declare(tools)
        return ReasoningCache(
            faults.around("store", self.store),
            faults.around("model", ScriptedModel(["no code"] * MOST)),
            sandbox=faults.around("sandbox", self.sandbox),
            second_sandbox=None,
            second_opinion=False,
            tools=declared,
            embedder=faults.around("embedder", Letters()),
            now=faults.around("clock", _now),
        )

    def ask(self, text: str) -> Ran:
        """Run the turn."""
        moves = MODEL if text == OWN else (Says("by model"),)
        return self.host.ask(replace(self.job, moves=moves), text, "1")

    def another(self) -> Job:
        """Return a worker on the same store, in which nothing breaks."""
        whole = Faults("clock", 0, "raises", armed=False)
        tools = self.tools(whole)
        return Job(self.opened(tools, whole), tools, self.mode)


class Letters:
    """An embedder that looks at letters alone."""

    def embed_query(self, text: str) -> list[float]:
        """Count letters."""
        return [text.count(letter) + 0.1 for letter in "aeinorst"]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Count letters."""
        return [self.embed_query(text) for text in texts]


class HostFaults(HostModes):
    """What every host must withstand."""

    @pytest.fixture(autouse=True)
    def eager(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let every look-up read the store, so that there are calls to break."""
        monkeypatch.setattr("seglam_agents.serving.retriever.REFRESH_SECONDS", -1.0)

    @pytest.fixture(scope="class")
    @classmethod
    def sandbox(cls) -> Iterator[MontySandbox]:
        """One sandbox for all, whose threads are there from the beginning."""
        sandbox = MontySandbox(modules=(HostModule("slots", exports()),))
        sandbox.run(Program("def run():\n    return 1\n", "run", ()), {})
        yield sandbox
        sandbox.close()

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def leaves_nothing_together(cls, sandbox: MontySandbox) -> Iterator[None]:
        """Nor after all of them: the pool of the sandbox is no larger than one pool."""
        with nothing_left(SANDBOX_WORKERS):
            yield

    @pytest.fixture(autouse=True)
    def leaves_nothing(self, sandbox: MontySandbox) -> Iterator[None]:
        """After every row there are no more threads, processes and open files than before."""
        with nothing_left(SANDBOX_WORKERS):
            yield

    @pytest.mark.parametrize("text", TURNS)
    @pytest.mark.parametrize("target", TARGETS)
    @pytest.mark.parametrize("how", ["raises", "raises after", "nonsense"])
    def test_what_breaks_is_told_and_harms_nothing(
        self, host: Host, mode: Mode, sandbox: MontySandbox, how: How, target: Target, text: str
    ) -> None:
        """The turn comes to its end or its tool's error is the host's; one write at most, and none hidden."""
        for number in range(1, MOST):
            world = World(host, mode, Faults(target, number, how), sandbox)
            ran = None
            try:
                ran = world.ask(text)
            except Exception:
                assert target == "tool", "only a tool may end the turn, as it would without the cache"
                world.faults.armed = False
                if text != OWN:  # What the model asked for is run again by some hosts, with or without the cache.
                    ran = host.resume(world.another(), "1")
            assert ran is None or (ran.answer and not ran.waiting)
            self.check(world, ran, text)
            if not world.faults.reached:
                return
        pytest.fail(f"{target} is called {MOST} times on {text}")

    @pytest.mark.parametrize("text", TURNS)
    @pytest.mark.parametrize("target", TARGETS)
    @pytest.mark.parametrize("how", ["is killed", "is cancelled"])
    def test_what_is_killed_is_taken_up_by_another(
        self, host: Host, mode: Mode, sandbox: MontySandbox, how: How, target: Target, text: str
    ) -> None:
        """A worker that dies anywhere: the next one brings the turn to its end, and repeats no write."""
        for number in range(1, MOST):
            world = World(host, mode, Faults(target, number, how), sandbox)
            ran = None
            try:
                ran = world.ask(text)
            except BaseException as error:
                if not _from_outside(error):
                    raise
                assert world.faults.reached
                world.faults.armed = False
                ran = self.taken_up(world, text)
            self.check(world, ran, text)
            if not world.faults.reached:
                return
        pytest.fail(f"{target} is called {MOST} times on {text}")

    @pytest.mark.parametrize("target", TARGETS)
    def test_what_hangs_holds_up_nobody_else(
        self, host: Host, mode: Mode, sandbox: MontySandbox, target: Target
    ) -> None:
        """While one turn hangs, a request of another is served; when it goes on, it ends as it would have."""
        for number in range(1, MOST):
            world = World(host, mode, Faults(target, number, "hangs"), sandbox)
            pool = ThreadPoolExecutor(1)
            ending = pool.submit(world.ask, ORDER)
            while not ending.done() and not world.faults.hanging.wait(0.01):
                pass
            if world.faults.reached:
                other = host.ask(world.job, "Order 3 boxes of milk", "3")
                assert other.answer == "ordered 3 milk, 6 coins"
                host.lose("3")
                world.shop.written.remove(("milk", 3))
            world.faults.release()
            self.check(world, ending.result(), ORDER)
            pool.shutdown()
            if not world.faults.reached:
                return
        pytest.fail(f"{target} is called {MOST} times")

    def taken_up(self, world: World, text: str) -> Ran:
        """Go on with what was saved, or ask again where nothing was."""
        try:
            return world.host.resume(replace(world.another(), moves=MODEL[1:]), "1")
        except LookupError:
            return world.host.ask(replace(world.another(), moves=MODEL[1:]), text, "1")

    def check(self, world: World, ran: Ran | None, text: str) -> None:
        """Hold a world against what is promised."""
        world.faults.armed = False
        shop, intended = world.shop, TURNS[text]
        assert len(shop.written) <= len(intended) and set(shop.written) <= set(intended)
        if shop.written and ran is not None and ran.asked:
            told = ("ordered", "the answer of", "not known whether", "nonsense", "cannot be", "Broke")
            assert any(word in ran.shown for word in told), ran.shown
        assert not flights_of(world.cache), "a compilation is under way that nobody works at"
        known = {entry.procedure.id for entry in world.store.changes(world.cache.scope).entries}
        assert known >= {f"{name}-0001" for name in PROCEDURES}
        before = len(shop.written)
        again = world.host.ask(replace(world.job, moves=(Says("by model"),)), "Order 4 boxes of milk", "2")
        assert again.answer == "ordered 4 milk, 8 coins" and shop.written[before:] == [("milk", 4)]
        world.host.lose("1")
        world.host.lose("2")
        world.cache.close()


def _from_outside(error: BaseException) -> bool:
    """Tell whether somebody ended the run; of a cancellation, some hosts make an error of their own."""
    return isinstance(error, (Killed, asyncio.CancelledError)) or "Cancelled" in type(error).__name__


def _now() -> datetime:
    return datetime(2026, 1, 2, 3, 4)
