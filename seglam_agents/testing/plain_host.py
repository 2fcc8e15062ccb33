"""`PlainAgent`: the smallest agent that a cache can stand in for, without a framework: how the driver is used.

It is what an adapter does, in one page: begin a turn, let the driver say the next message, or ask the model; carry
calls out, with writes noted in the journal; keep everything in a state that another worker can go on with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from seglam_agents import HostTool, Tool
from seglam_agents.hosting import (
    Asked,
    Carried,
    Driver,
    Drivers,
    GiveBack,
    Heard,
    HostedCache,
    InDoubt,
    Json,
    Known,
    Learner,
    Left,
    Pass,
    Posed,
    Record,
    Said,
    Say,
    SayAnswer,
    Turn,
    Unclean,
    View,
    after,
    drive,
    encode,
    form_digest,
    instructions_beside,
    instructions_digest,
    new_id,
    once,
    origin_of,
    posed,
    render,
    trace_of,
    until,
    work,
)
from seglam_agents.testing.host_contract import Edit, Fills, Job, Move, PersonSays, PlainTool, Ran, Reject, Says, Wants


class Message(Record):
    """One message: of a person, of the agent (with calls), or of a tool (with what it was called by)."""

    id: str
    role: str
    text: str
    calls: tuple[Asked, ...] = ()
    call: str = ""
    """Of a tool's message: the id of the call."""
    executed: Asked | None = None
    """Of a tool's message: the call as carried out; None where something was said in its place."""
    result: Json = None
    error: str | None = None


class State(Record):
    """Everything of a thread."""

    messages: tuple[Message, ...] = ()
    turn: Turn = Turn()
    waiting: tuple[Asked, ...] = ()
    """Calls that were asked for and not carried out yet."""
    gated: bool = False
    """True where a person has to look at the first of them."""


@dataclass(slots=True)
class PlainAgent:
    """An agent on one worker.

    Args:
        job: its cache, its tools, and what its model says.
        saved: the threads' states, shared with other workers.
        driver: the cache's.
    """

    job: Job
    saved: dict[str, State]
    driver: Driver
    learner: Learner[HostedCache] = field(default_factory=Learner[HostedCache])
    asked: int = 0
    shown: str = ""
    attempt: str = field(default_factory=lambda: new_id("run"))

    def ask(self, text: str, thread: str | None, request_id: str | None) -> Ran:
        """Run a new turn."""
        state = self.saved.get(thread or "", State()) if thread else State()
        message = Message(id=new_id(), role="person", text=text)
        alone = not state.messages
        turn = Turn(
            key=new_id("turn"),
            instructions=_told_of(self.job),
            origin=origin_of(thread, _finished(state.messages), request_id, words=text),
            message=message.id,
            alone=alone,
        )
        return self.go(State(messages=(*state.messages, message), turn=turn), thread)

    def decide(self, thread: str, said: PersonSays) -> Ran:
        """Go on with what a person said to the first call that waits."""
        state = self.saved[thread]
        first, *rest = state.waiting
        if isinstance(said, Reject):
            no = Message(id=new_id(), role="tool", text=said.text, call=first.id)
            return self.go(_with(state, no, rest), thread)
        if isinstance(said, Edit):
            first = first.model_copy(update={"arguments": said.arguments})
        return self.go(_with(state, self.carry_out(state.turn, first), rest), thread)

    def go(self, state: State, thread: str | None) -> Ran:
        """Run from a state until the answer, or until a person is needed."""
        while True:
            if thread:
                self.saved[thread] = state
            if state.waiting:
                first, *rest = state.waiting
                if first.tool in self.job.approve:
                    if thread:
                        self.saved[thread] = state.model_copy(update={"gated": True})
                    return Ran("", self.asked, self.shown, waiting=True)
                state = _with(state, self.carry_out(state.turn, first), rest)
                continue
            last = state.messages[-1]
            if last.role == "agent" and not last.calls:
                self.learn(state)
                return Ran(last.text, self.asked, self.shown)
            state = self.step(state)

    def step(self, state: State) -> State:
        """Let the procedure say the next message, or the model."""
        view = View(_carried(_tail(state)), self.tool)
        decision = self.driver.step(state.turn, lambda: _asked(state), view)
        match decision:
            case Say(turn=turn, call=call):
                return _spoken(state, turn, "", (call,))
            case SayAnswer(turn=turn, answer=answer):
                return _spoken(state, turn, render(answer), ())
            case GiveBack():
                return self.model(state, decision.turn)
            case Pass():
                return self.model(_told(state, decision.left), decision.turn)

    def model(self, state: State, turn: Turn) -> State:
        """Ask the model."""
        self.shown = "\n".join(message.text for message in state.messages)
        move: Move = self.job.moves[self.asked % len(self.job.moves)]
        self.asked += 1
        calls = move.calls if isinstance(move, Wants) else ()
        asked = tuple(Asked(id=new_id(), tool=tool, arguments=arguments) for tool, arguments in calls)
        state = _spoken(state, turn, _text_of(move), asked)
        return state.model_copy(update={"turn": turn.spoke(state.messages[-1].id, asked)})

    def carry_out(self, turn: Turn, call: Asked) -> Message:
        """Carry a call out; a write of a procedure is noted before and after, and not begun twice."""

        def told(beginning: Known | InDoubt) -> Message:
            if isinstance(beginning, InDoubt):
                return Message(id=new_id(), role="tool", text=beginning.text, call=call.id)
            return Message.model_validate({**beginning.document, "id": new_id(), "call": call.id})

        write, journal = turn.write(call.id), self.driver.journal
        run = once(journal, write, self.attempt, lambda: work(lambda: self.run(call)), instead=told, document=_kept)
        return drive(run)

    def run(self, call: Asked) -> Message:
        """Call the tool's function; what it raises is told to the model."""
        tool = next((tool for tool in self.job.tools if tool.name == call.tool), None)
        try:
            if tool is None:
                raise LookupError(f"there is no tool {call.tool}")
            result = encode(tool.function(**call.arguments))
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            return Message(id=new_id(), role="tool", text=text, call=call.id, executed=call, error=text)
        return Message(id=new_id(), role="tool", text=str(result), call=call.id, executed=call, result=result)

    def tool(self, name: str) -> Tool | None:
        """Return a tool as it may be called now."""
        return next((_declared(tool) for tool in self.job.tools if tool.name == name), None)

    def learn(self, state: State) -> None:
        """Learn from a finished turn."""
        tail = _tail(state) or ()
        said = [Said(message.id, message.text, message.calls) for message in tail if message.role == "agent"]
        trace = trace_of(state.turn, said, _carried(tail) or {})
        if not isinstance(trace, Unclean):
            self.learner.learn(self.driver.cache_in(state.turn), trace)


@dataclass(slots=True)
class PlainHost:
    """Runs plain agents for the host contract."""

    saved: dict[str, State] = field(default_factory=dict[str, State])
    drivers: Drivers = field(default_factory=Drivers)

    def declare(self, tools: Sequence[PlainTool]) -> list[HostTool]:
        """Return the tools as they are declared to a cache."""
        return [HostTool(_declared(tool), tool.function) for tool in tools]

    def ask(self, job: Job, text: str, thread: str | None = None, request_id: str | None = None) -> Ran:
        """Run a new turn."""
        return self._run(job, lambda agent: agent.ask(text, thread, request_id))

    def decide(self, job: Job, thread: str, said: PersonSays) -> Ran:
        """Go on with a turn that waits for a person."""
        return self._run(job, lambda agent: agent.decide(thread, said))

    def resume(self, job: Job, thread: str) -> Ran:
        """Go on with a turn whose worker died."""
        return self._run(job, lambda agent: agent.go(self.saved[thread], thread))

    def lose(self, thread: str) -> None:
        """Forget the turn that a worker died in."""
        self.saved.pop(thread)

    def _run(self, job: Job, run: Callable[[PlainAgent], Ran]) -> Ran:
        cache = job.cache.under(_told_of(job)) or job.cache
        agent = PlainAgent(job, self.saved, self.drivers.of(cache))
        return asyncio.run(asyncio.to_thread(run, agent)) if job.mode == "async" else run(agent)


def _text_of(move: Move) -> str:
    match move:
        case Says(text=text):
            return text
        case Fills(values=values):
            return render(values)
        case Wants():
            return ""


def _told_of(job: Job) -> str:
    """Return the digest of what an agent is told, with the form that it is to answer in."""
    return instructions_beside(instructions_digest(job.told), form_digest([job.form] if job.form else ()))


def _told(state: State, left: Sequence[Left]) -> State:
    """Return a state whose history says what earlier attempts at the turn wrote."""
    for call in left:
        asked = Message(id=new_id(), role="agent", text="", calls=(call,))
        result = Message(id=new_id(), role="tool", text=call.text, call=call.id)
        state = state.model_copy(update={"messages": (*state.messages, asked, result)})
    return state


def _declared(tool: PlainTool) -> Tool:
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=tool.parameters,
        effect=tool.effect,
        idempotent=tool.idempotent,
    )


def _asked(state: State) -> Posed:
    """Return the request of a turn, with what was said before it."""
    heard = [Heard(_BY.get(message.role, "other"), message.id, message.text) for message in state.messages]
    return posed(until(heard, state.turn.message), opens=state.turn.alone)


_BY: Mapping[str, Literal["person", "agent"]] = {"person": "person", "agent": "agent"}


def _kept(message: Message) -> tuple[Mapping[str, Json], bool]:
    return message.model_dump(mode="json"), message.error is not None


def _tail(state: State) -> Sequence[Message] | None:
    """Return the messages after the person's of the running turn."""
    return after(state.messages, state.turn.message)


def _carried(tail: Iterable[Message] | None) -> Mapping[str, Carried] | None:
    if tail is None:
        return None
    calls: dict[str, Carried] = {}
    for message in tail:
        if message.role == "tool":
            done = message.executed
            calls[message.call] = Carried(
                id=message.call,
                tool=done.tool if done else "",
                arguments=done.arguments if done else {},
                result=message.result,
                error=message.error,
                refused="" if done else message.text,
            )
    return calls


def _finished(messages: Sequence[Message]) -> str:
    """Return the id of the last message with which a turn came to its end."""
    return next((message.id for message in reversed(messages) if message.role == "agent" and not message.calls), "")


def _spoken(state: State, turn: Turn, text: str, calls: tuple[Asked, ...]) -> State:
    message = Message(id=new_id(), role="agent", text=text, calls=calls)
    return State(messages=(*state.messages, message), turn=turn, waiting=calls)


def _with(state: State, message: Message, waiting: Sequence[Asked]) -> State:
    return State(messages=(*state.messages, message), turn=state.turn, waiting=tuple(waiting))
