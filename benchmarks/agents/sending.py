"""Sends requests to an agent with the cache and to the same agent without, and notes what each did."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, cast

from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage
from langchain_seglam import SeglamMiddleware, host_tools

from benchmarks.agents.office import Office
from benchmarks.agents.played import PlayedChat, history_of
from benchmarks.workbench.truth import Task, apply
from benchmarks.workbench.world import World, same_state
from benchmarks.workbench.writes import repeated_writes, writes_among, wrong_writes
from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.records.outcome import Learned
from seglam_agents.records.trace import Trace
from seglam_agents.records.usage import Usage

Outcome: TypeAlias = Literal["hit", "deopt", "miss"]


@dataclass(frozen=True, slots=True)
class Item:
    """A task of the stream, with the file that it is from and the pass in which it is sent."""

    task: Task
    domain: str
    turn: int = 1


@dataclass(frozen=True, slots=True)
class Side:
    """What one of the two agents did at a request."""

    right: bool
    """Whether the databases ended as the truth leaves them; what the agent said is not looked at."""
    used: Usage
    """The model calls of the agent, and those of the cache for learning."""
    repeated_writes: int


@dataclass(frozen=True, slots=True)
class Observation:
    """What came of one request."""

    item: Item
    changes: bool
    """Whether the right answer changes anything; where not, doing nothing is right."""
    plain: Side
    cached: Side
    outcome: Outcome
    reason: str
    """Why it was a miss, or why the procedure gave up."""
    procedure_writes: int
    """Writes that a procedure made."""
    wrong_writes: int
    """Those of them that the truth does not make."""
    learned: Learned | None
    compiling: Usage
    """What the cache spent on its own model; part of the cached side."""


class Agent(Protocol):
    """What `create_agent` returns, as far as it is used here."""

    def invoke(self, input: Any, config: Any = None) -> Any:
        """Run to the end."""
        ...


class Watcher(BaseCallbackHandler):
    """Hears what the cache tells during a run, and after it."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget the last run."""
        self.outcome: Outcome = "miss"
        self.reason = ""
        self.learned: Learned | None = None

    def on_custom_event(self, name: str, data: Any, **_: Any) -> None:
        """Note a hit, a give-up, or why nothing was found."""
        if name == "seglam.hit":
            self.outcome = "hit"
        elif name == "seglam.deopt":
            self.outcome = "deopt"
        self.reason = str(data.get("reason", ""))

    def on_learned(self, trace: Trace, learned: Learned) -> None:
        """Note what came of learning from the run."""
        self.learned = learned


@dataclass(slots=True)
class Desk:
    """An office with an agent at work in it.

    Args:
        initial: the databases as every request finds them.
        cache: the cache of the agent; None for an agent without.
        free: its model phrases its last message freely.
    """

    initial: World
    cache: ReasoningCache | None = None
    free: bool = False
    watcher: Watcher = field(default_factory=Watcher)
    office: Office = field(init=False)
    model: PlayedChat = field(init=False)
    agent: Agent = field(init=False)

    def __post_init__(self) -> None:
        self.office, self.model = Office(self.initial), PlayedChat(self.initial, free=self.free)
        middleware = [SeglamMiddleware(self.cache, on_learned=self.watcher.on_learned)] if self.cache else []
        self.agent = cast(Agent, create_agent(self.model, self.office.tools, middleware=middleware))

    def send(self, task: Task) -> tuple[Side, list[BaseMessage]]:
        """Do a task on a fresh copy of the databases."""
        self.office.begin()
        self.model.begin(task)
        self.watcher.begin()
        before = self.spent
        given = {"messages": [("user", task.query)]}
        messages = self.agent.invoke(given, {"callbacks": [self.watcher]})["messages"]
        expected = self.initial.copy()
        apply(task, expected)
        right = same_state(self.office.world, expected)
        used = self.model.used + _less(self.spent, before)
        return Side(right, used, repeated_writes(self.office.done, task)), messages

    @property
    def spent(self) -> Usage:
        """What the cache spent on its own model so far."""
        return self.cache.stats().model_usage if self.cache else Usage()


@dataclass(frozen=True, slots=True)
class Sender:
    """The same stream for two desks, side by side."""

    plain: Desk
    cached: Desk

    def __call__(self, items: Iterable[Item]) -> Iterator[Observation]:
        """Send each request to both."""
        for item in items:
            yield self._one(item)

    def _one(self, item: Item) -> Observation:
        task, watcher = item.task, self.cached.watcher
        plain, _ = self.plain.send(task)
        cached, messages = self.cached.send(task)
        # What the procedure asked for, with what came of it; what the model asked for is left out.
        steps = history_of([x for x in messages if not isinstance(x, AIMessage) or _by_procedure(x)])
        return Observation(
            item=item,
            changes=_changes(task, self.plain.initial),
            plain=plain,
            cached=cached,
            outcome=watcher.outcome,
            reason=watcher.reason,
            procedure_writes=len(writes_among(steps, self.cached.initial)),
            wrong_writes=wrong_writes(steps, task, self.cached.initial),
            learned=watcher.learned,
            compiling=_less(cached.used, self.cached.model.used),
        )


def declared_tools(initial: World) -> list[HostTool]:
    """Return the tools of an office as a cache is told about them."""
    return host_tools(Office(initial).tools)


def arranged(items: Sequence[Item], *, seed: int, passes: int, limit: int | None) -> list[Item]:
    """Return the stream: all requests (or the first `limit` of them), each pass shuffled anew."""
    rng = random.Random(seed)
    chosen = list(items)
    rng.shuffle(chosen)
    chosen = chosen[:limit]
    stream: list[Item] = []
    for turn in range(1, passes + 1):
        stream += [Item(item.task, item.domain, turn) for item in chosen]
        rng.shuffle(chosen)
    return stream


def _changes(task: Task, initial: World) -> bool:
    expected = initial.copy()
    apply(task, expected)
    return not same_state(expected, initial)


def _by_procedure(message: AIMessage) -> bool:
    metadata = cast("dict[str, Any]", message.response_metadata)
    return metadata.get("seglam", {}).get("author") == "procedure"


def _less(total: Usage, part: Usage) -> Usage:
    return Usage(
        input_tokens=total.input_tokens - part.input_tokens,
        output_tokens=total.output_tokens - part.output_tokens,
        calls=total.calls - part.calls,
        seconds=total.seconds - part.seconds,
    )
