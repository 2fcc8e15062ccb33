"""`ReasoningCache`: what an application holds. Sync and `a`-prefixed async methods over one flow."""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

from seglam_agents.compilers.base import Compiler, Known
from seglam_agents.compilers.model import ModelCompiler
from seglam_agents.embedders.base import Embedder
from seglam_agents.embedders.static import NEAR, default_embedder
from seglam_agents.flow import adrive, drive, in_thread
from seglam_agents.guards.locales import checked_locale, clock_of
from seglam_agents.guards.narrow import WRITE_RANGE, checked_range
from seglam_agents.guards.slots import exports
from seglam_agents.hosting.journal import Journal
from seglam_agents.hosting.requests import call_once, named, resumed
from seglam_agents.learning.policy import Policy, open_policy
from seglam_agents.lifecycle import neighbours
from seglam_agents.lifecycle.adoption import Adoption
from seglam_agents.models.base import Model
from seglam_agents.models.opening import open_model
from seglam_agents.options import require_options, require_prompt
from seglam_agents.records.entry import Entry
from seglam_agents.records.errors import ClockError, said
from seglam_agents.records.exchange import exchanged
from seglam_agents.records.outcome import (
    Action,
    CacheStatistics,
    Deopt,
    Explanation,
    GiveUp,
    Hit,
    Learned,
    LearnedKind,
    Miss,
    Outcome,
    Plan,
    Refused,
)
from seglam_agents.records.procedure import ClosingChoice
from seglam_agents.records.record import Json
from seglam_agents.records.request import (
    Request,
    Scope,
    agent_named,
    fingerprint_of_version_1,
    instructions_beside,
    instructions_digest,
    name_problem,
)
from seglam_agents.records.telling import tell
from seglam_agents.records.tools import HostTool, Tool
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.sandboxes.base import REMOTE, HostModule, Limits, Sandbox, ToolCall, ToolResult, housed, names
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.sandboxes.opening import open_sandbox
from seglam_agents.sandboxes.process import ProcessSandbox, second_sandbox
from seglam_agents.serving.clock import checked_clock
from seglam_agents.serving.explaining import with_agents
from seglam_agents.serving.threads import Standing
from seglam_agents.stores.base import ProcedureStore, scopes_of
from seglam_agents.stores.opening import open_store
from seglam_agents.wiring import Wiring, wired

logger = logging.getLogger(__name__)

MAX_TOLD = 16
"""Instructions that one cache is kept for; where they are new at every run, nothing learnt under them would serve."""
_LATER = instructions_digest("a later turn of a conversation")


class ReasoningCache:
    """Answers requests of a known kind by stored code, and learns new kinds from the model.

    Args:
        store: a folder (embedded store on disk), the URL of a Qdrant server, None for memory, or a store object.
        model: a chat model: a `Model`, a LangChain chat model, an OpenAI-compatible URL, or `provider:name`. None for
            a cache that only looks up.
        policy: when a kind is compiled: `eager` at its first miss, `economic` when interpreting it has cost as much,
            or an object with `compile_now`.
        sandbox: what bodies run in; Monty by default. A name opens one that is closed with the cache: "process", or
            "monty,process" for the first that can. A sandbox may be shared by caches, also of several tenants. It is
            given the module `slots`.
        second_sandbox: the second opinion at admission; `auto` takes a jailed CPython where the machine has one,
            and none where `sandbox` is remote alone: then no body runs on this machine.
        embedder: finds near procedures at a miss; a bundled static one by default. It decides nothing.
        near: cosine above which two requests may be of one kind; belongs to the embedder.
        tools: what bodies may call.
        tenant: whose procedures these are. Nothing of one tenant is visible to another.
        agent: the agent's name; without one, its tools' names. Agents of one name share what they learn: two agents or
            nodes with the same tools, or with none, need a name each.
        system_prompt: instructions of the agent. They are a condition of what is learnt: where they change, procedures
            run in shadow until enough runs agree.
        repairs: how often admission's findings go back to the model.
        second_opinion: ask the model itself for the answer to the first request of a new procedure, and admit only code
            that agrees: one more call for a new kind, and the only oracle where no answer is known.
        attacker: ask the model for requests that a new guard with open words accepts and answers wrong; what is found
            narrows or refuses the guard. One short call for a new kind.
        learning: `inline` learns within `answer`; `off` never learns.
        limits: of one run of a body.
        now: the clock that bodies see; without it and without a time zone, a body that reads the clock is refused.
        locale: how the users write numbers, dates and money, as `de_DE`; without one, what is read differently
            elsewhere ("1.250 kg", "3/4/2025") is declined.
        timezone: of the users, as `Europe/Berlin`: bodies see the time there, so that "tomorrow" is the users'.
        predictions: later runs that a procedure made from runs must foretell before it serves: one that only reads,
            and one that writes. Memory proves nothing, so (0, 0) is for experiments.
        write_range: where something is written, an amount, number or count lies between this many times the smallest
            and this many times the largest that was seen; all else is the model's. Runs are held to what it was when
            they were learnt from.
        closing: who says the last message of a procedure made from runs. `auto`: code where what it asserts is
            explained in every run, else the host's model, which sees the calls that were made: one call instead of all.
            `code`: code, or there is no procedure. `report`: where code cannot, one line a call with its result.
            `model`: always the host's model. Without a host, what is left to the model is a miss.
        seed: of the samples and mutations at admission.

    Raises:
        StoreError: the store cannot be opened.
        ModelError: the model cannot be opened.
        SlotError: there is no such locale or time zone, or `write_range` is no range.
        ValueError: an argument says nothing that the cache knows.
    """

    def __init__(
        self,
        store: str | Path | ProcedureStore | None = None,
        model: Model | str | object | None = None,
        *,
        policy: Policy | Literal["eager", "economic"] = "eager",
        sandbox: Sandbox | str | None = None,
        second_sandbox: Sandbox | Literal["auto"] | None = "auto",
        embedder: Embedder | None = None,
        near: float | None = None,
        tools: Sequence[HostTool] = (),
        tenant: str = "default",
        agent: str | None = None,
        system_prompt: str = "",
        repairs: int = 2,
        second_opinion: bool = True,
        attacker: bool = True,
        learning: Literal["inline", "off"] = "inline",
        limits: Limits | None = None,
        now: Callable[[], datetime] | None = None,
        locale: str = "",
        timezone: str = "",
        predictions: tuple[int, int] = (1, 2),
        write_range: tuple[float, float] = WRITE_RANGE,
        closing: ClosingChoice = "auto",
        seed: int = 0,
    ) -> None:
        require_options(
            system_prompt=system_prompt,
            tools=tools,
            limits=limits,
            now=now,
            embedder=embedder,
            near=near,
            repairs=repairs,
            seed=seed,
            texts={"locale": locale, "timezone": timezone},
            switches={"second_opinion": second_opinion, "attacker": attacker},
        )
        _require(tenant=tenant, agent=agent, tools=tools, learning=learning, predictions=predictions, closing=closing)
        self._owned: list[Callable[[], None]] = []
        self._unfinished: list[Callable[[Self], None]] = []
        self._lock = threading.Lock()
        self._closed = False
        self._now = now = clock_of(checked_clock(now) if now else None, timezone)
        self._tools = {item.tool.name: item for item in tools}
        declared = {name: item.tool for name, item in self._tools.items()}
        self.scope = Scope(tenant=tenant, agent=agent_named(agent, declared.values()))
        self.instructions = instructions_digest(system_prompt)
        self.model = open_model(model) if model is not None else None
        self.store = self._own_store(store)
        self._journal = Journal(self.store, self.scope)
        self._adopt(declared, system_prompt)
        self.sandbox = self._housed(self._opened(sandbox)) if sandbox is not None else self._own_sandbox()
        second, reason = self._second(second_sandbox)
        self._wiring = Wiring(
            store=self.store,
            sandbox=self.sandbox,
            tools=declared,
            instructions=self.instructions,
            compilers=self._compilers(repairs),
            policy=open_policy(policy),
            embedder=embedder or default_embedder(),
            near=near if near is not None else NEAR,
            second=second,
            second_reason=reason,
            second_opinion=second_opinion,
            attacker=attacker,
            learning=learning == "inline",
            limits=limits or Limits(),
            seed=seed,
            now=now,
            locale=checked_locale(locale),
            predictions=predictions,
            write_range=checked_range(write_range),
            closing=closing,
        )
        self._engine = wired(self._wiring, self._call, partial(resumed, self._journal))
        # A place is one store, whoever opens it; an object is itself, and so is a store in memory.
        located = isinstance(store, (str, Path)) and store != ":memory:"
        self._place: str | int = str(store) if located else id(self.store)
        neighbours.opened(self, self._place, self.scope, self.instructions)
        self._told: dict[str, ReasoningCache] = {self.instructions: self}
        self._varies = False
        self._later: ReasoningCache | None = None

    @property
    def tools(self) -> Mapping[str, Tool]:
        """What bodies may call, by name."""
        return self._wiring.tools

    def told(self, system_prompt: str) -> ReasoningCache | None:
        """Return this cache for an agent that is told this: the same store, model and counters, other conditions.

        What was learnt under other instructions runs in shadow until enough runs agree. Close the first one only. An
        empty prompt is one, too: that of an agent that is told nothing, whatever the cache was opened with.

        Returns:
            The cache; None where the instructions are new at every run, so that nothing could be served under them.

        Raises:
            ValueError: `system_prompt` is no text.
        """
        require_prompt(system_prompt)
        return self.under(instructions_digest(system_prompt))

    def under(self, instructions: str | None) -> ReasoningCache | None:
        """Return this cache under instructions whose digest a host has kept. See `told`.

        Args:
            instructions: as `instructions_digest` gives it; None for those that the cache was made with.
        """
        said = self.instructions if instructions is None else instructions
        with self._lock:
            if said not in self._told and len(self._told) < MAX_TOLD:
                self._told[said] = self._with(said)
            elif said not in self._told and not self._varies:
                self._varies = True
                logger.warning(
                    "this agent was told something else %d times: nothing is served or learnt under further "
                    "instructions (leave out what varies, a date or a name, with the `instructions=` of the host)",
                    MAX_TOLD,
                )
            return self._told.get(said)

    def later(self) -> ReasoningCache:
        """Return this cache for later turns of conversations, where what was named before may be meant without a word.

        That a turn is a later one is a condition like another prompt: what was learnt from first turns runs in shadow
        until enough runs agree, and the other way round. Which turns need that, `standing` tells. Close the first one
        only.
        """
        with self._lock:
            if self._later is None:
                self._later = self._with(instructions_beside(self.instructions, _LATER))
                self._later._later = self._later
            return self._later

    def standing(self, request: str | Request, earlier: Sequence[str]) -> Standing:
        """Tell whether a request stands for itself after what persons said before it in its conversation.

        Nothing said before may change it unnoticed: after "only if it has not shipped", "cancel A-1" is no plain
        cancel. Never raises.

        Args:
            request: what is asked.
            earlier: what persons said before, oldest first; what agents answered needs no look, as nobody asked for it.
        """
        return self._engine.lookup.standing(self._request(request, None), earlier)

    def answer(
        self, request: str | Request, *, context: Mapping[str, Json] | None = None, request_id: str | int | None = None
    ) -> Outcome:
        """Answer a request: from code where a procedure applies, else by the model, which then may be compiled.

        Args:
            request: what is asked.
            context: typed values that are not in the text.
            request_id: the caller's own name of the request. Asked again by it, from wherever, each write of a
                procedure is made once (`docs/writes.md`). Without one, asking twice means it twice.

        Raises:
            ModelError: the model had to be asked and failed.
            ValueError: `request_id` names nothing: it is empty, or an object without a text of its own.
        """
        asked = self._request(request, context)
        with named(request_id):
            flow = self._engine.answer(asked, can_ask=self.model is not None)
            return drive(flow, self.model, self._engine.books.ledger)

    async def aanswer(
        self, request: str | Request, *, context: Mapping[str, Json] | None = None, request_id: str | int | None = None
    ) -> Outcome:
        """Answer a request without blocking the event loop. See `answer`."""
        asked = self._request(request, context)
        with named(request_id):
            flow = self._engine.answer(asked, can_ask=self.model is not None)
            return await adrive(flow, self.model, self._engine.books.ledger)

    def lookup(
        self, request: str | Request, *, context: Mapping[str, Json] | None = None, request_id: str | int | None = None
    ) -> Outcome:
        """Answer from stored procedures alone, without any model.

        Raises:
            ValueError: `request_id` names nothing. See `answer`.
        """
        asked = self._request(request, context)
        with named(request_id):
            outcome = self._engine.look(asked)
        self._engine.books.count(outcome)
        return outcome

    async def alookup(
        self, request: str | Request, *, context: Mapping[str, Json] | None = None, request_id: str | int | None = None
    ) -> Outcome:
        """Answer from stored procedures alone, in a thread. See `lookup`."""
        return await in_thread(lambda: self.lookup(request, context=context, request_id=request_id))

    def plan(self, request: str | Request, *, context: Mapping[str, Json] | None = None) -> Plan | Miss | Refused:
        """Say which procedure will answer, and with what, for a host that runs the tools itself.

        Go on with `next_action` until it is `Final` or `GiveUp`, then call `finish`. A miss is counted; a plan is
        counted by `finish`. Never raises: a broken cache is a miss.
        """
        outcome = self._engine.lookup.plan_or_miss(self._request(request, context))
        if not isinstance(outcome, Plan):
            self._engine.books.count(outcome)
        return outcome

    def bind(self, procedure: str, arguments: Mapping[str, Json]) -> Plan | Refused:
        """Plan a procedure by its id or name with arguments by name, as a model calls a tool."""
        try:
            return self._engine.lookup.bind(self.scope, procedure, arguments)
        except Exception as error:
            tell(logger, "a procedure cannot be bound", error)
            return Refused(kind="broken", reason=f"the cache is broken: {said(error)}")

    def next_action(self, plan: Plan, recorded: Sequence[ToolResult] = ()) -> Action:
        """Return the next tool call of a plan, its answer, or that it gives up.

        Deterministic given the results of the calls so far, so that any worker with the same store can go on. Never
        raises: a plan that cannot go on gives up, and the model takes over with the results so far.
        """
        try:
            return self._engine.lookup.next_action(self.scope, plan, recorded)
        except Exception as error:
            tell(logger, "a plan cannot go on", error)
            return GiveUp(f"the cache is broken: {said(error)}", kind="broken")

    def finish(self, plan: Plan, action: Action, steps: Sequence[ToolStep] = ()) -> Hit | Deopt:
        """Count what a plan came to, and return it as an outcome with its citation. Call it once.

        A plan that still wants a call was stopped by its host: a deopt that says so.
        """
        outcome = self._engine.lookup.finish(self.scope, plan, action, tuple(steps))
        self._engine.books.count(outcome)
        return outcome

    def learn(
        self,
        request: str | Request,
        *,
        answer: Json = None,
        trace: Trace | None = None,
        context: Mapping[str, Json] | None = None,
    ) -> Learned:
        """Compile a request whose answer or trace is known, whatever the policy says."""
        if trace is not None and (odd := _no_trace(trace)) is not None:
            return odd
        known = self._known(request, answer, trace, context)
        if self.model is None:
            return Learned(status="failed", reason="no model was given that could compile")
        return drive(self._engine.learning.from_answer(known), self.model, self._engine.books.ledger)

    async def alearn(
        self,
        request: str | Request,
        *,
        answer: Json = None,
        trace: Trace | None = None,
        context: Mapping[str, Json] | None = None,
    ) -> Learned:
        """Compile a request whose answer or trace is known. See `learn`."""
        if trace is not None and (odd := _no_trace(trace)) is not None:
            return odd
        known = self._known(request, answer, trace, context)
        if self.model is None:
            return Learned(status="failed", reason="no model was given that could compile")
        return await adrive(self._engine.learning.from_answer(known), self.model, self._engine.books.ledger)

    def observe(self, trace: Trace) -> Learned:
        """Learn from a run of the host's agent that went well; it is remembered for when more of its kind are seen.

        Never raises: learning must not break the agent.
        """
        if (odd := _no_trace(trace)) is not None:
            return odd
        return drive(self._engine.learning.from_run(self._scoped(trace)), self.model, self._engine.books.ledger)

    def remember(self, trace: Trace) -> bool:
        """Keep a run for `learn_remembered`; False when it is known already.

        Raises:
            StoreError: the store is broken.
            ValueError: it is no run.
        """
        if (odd := _no_trace(trace)) is not None:
            raise ValueError(odd.reason)
        # When it was made is not known here: a run of last year must not be taken for one of now.
        return self._engine.learning.book.add(self._under(trace))

    def learn_remembered(self, *, progress: Callable[[int, int], None] | None = None) -> list[LearnedKind]:
        """Compile every kind of run that is remembered and not learnt yet.

        Args:
            progress: is told how many of how many runs are done.
        """
        return drive(self._engine.learning.from_remembered(self.scope, progress), self.model, self._engine.books.ledger)

    async def aobserve(self, trace: Trace) -> Learned:
        """Learn from a run of the host's agent. See `observe`."""
        if (odd := _no_trace(trace)) is not None:
            return odd
        return await adrive(self._engine.learning.from_run(self._scoped(trace)), self.model, self._engine.books.ledger)

    def explain(
        self, request: str | Request, *, context: Mapping[str, Json] | None = None, agents: bool = False
    ) -> Explanation:
        """Tell which guards are asked about a request, and where each stops.

        Args:
            request: what is asked.
            context: typed values that are not in the text.
            agents: tell also what the procedures of the tenant's other agents say, each as it was when it was learnt.
        """
        asked = self._request(request, context)
        own = self._engine.lookup.explain(asked)
        if not agents:
            return own
        others = [scope for scope in scopes_of(self.store, self.scope.tenant) if scope != self.scope]
        entries = (entry for scope in others for entry in self.store.changes(scope).entries)
        return with_agents(own, entries, asked, self.sandbox)

    async def aexplain(
        self, request: str | Request, *, context: Mapping[str, Json] | None = None, agents: bool = False
    ) -> Explanation:
        """Tell which guards are asked about a request, in a thread. See `explain`."""
        return await asyncio.to_thread(self.explain, request, context=context, agents=agents)

    def procedures(self) -> list[Entry]:
        """Return the current entry of every procedure of this scope.

        Raises:
            StoreError: the store is broken, or the cache is closed.
        """
        try:
            self._write_statistics()
        except Exception as error:
            tell(logger, "statistics could not be written; what is stored is shown", error)
        self._engine.lookup.retriever.refresh(self.scope)
        return self._engine.lookup.retriever.entries(self.scope)

    def near(self, text: str, *, limit: int = 8) -> list[Entry]:
        """Return the procedures nearest to a text, nearest first: candidates to offer, decided by nothing else.

        Never raises: without a store that searches there are none.
        """
        return self._engine.learning.tasks.nearest(self._request(text, None), limit)

    def stats(self) -> CacheStatistics:
        """Return sums since the cache was opened.

        Raises:
            StoreError: the store is broken, or the cache is closed.
        """
        books = self._engine.books
        return CacheStatistics(
            procedures=len(self._serving()),
            requests=books.of("requests"),
            hits=books.of("hits"),
            recognised=books.of("recognised"),
            misses=books.of("misses"),
            deopts=books.of("deopts"),
            refused=books.of("refused"),
            conflicts=books.of("conflicts"),
            admitted=books.of("admitted"),
            rejected=books.of("rejected"),
            not_crystallizable=books.of("not_crystallizable"),
            compile=books.ledger.of("compile"),
            repair=books.ledger.of("repair"),
            interpret=books.ledger.of("interpret"),
            attack=books.ledger.of("attack"),
        )

    def _serving(self) -> set[str]:
        """Return the ids of the procedures that serve under any instructions that this cache was asked under."""
        with self._lock:
            told = self._all()
        return {loaded.procedure.id for each in told for loaded in each._engine.lookup.retriever.serving(self.scope)}

    def before_closing(self, finish: Callable[[Self], None]) -> None:
        """Have this called with the cache before it is closed, to do what waits for it; once, if told twice."""
        with self._lock:
            if finish not in self._unfinished:
                self._unfinished.append(finish)

    def close(self) -> None:
        """Learn from what waits in the background, write statistics, and close what the cache opened itself.

        Safe to call twice.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        neighbours.closed(self._place, self.scope)
        for finish in self._unfinished:
            try:
                finish(self)
            except Exception as error:
                tell(logger, "what waited for the cache could not be done", error)
        try:
            self._write_statistics()
        except Exception as error:
            tell(logger, "statistics could not be written", error)  # They must not hide the agent's own result.
        for close in reversed(self._owned):
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def _with(self, instructions: str) -> ReasoningCache:
        other = copy.copy(self)
        other.instructions = instructions
        other._later = None
        other._wiring = replace(self._wiring, instructions=instructions)
        other._engine = wired(other._wiring, other._call, self._engine.resumed, self._engine.books)
        return other

    def _all(self) -> list[ReasoningCache]:
        """Return this cache under all conditions that it was asked under."""
        return [cache for told in list(self._told.values()) for cache in (told, told._later) if cache is not None]

    def _write_statistics(self) -> None:
        retrievers = [cache._engine.lookup.retriever for cache in self._all()]
        engine = self._engine
        engine.books.write(
            engine.entries, lambda key: next((found for item in retrievers if (found := item.find(key))), None)
        )

    def _request(self, request: str | Request, context: Mapping[str, Json] | None) -> Request:
        try:
            return self._valid(request, context)
        except ValueError:
            # The first look at it says what is wrong with it, as a `Refused`.
            odd = request.text if isinstance(request, Request) else request
            return Request.model_construct(text=odd, context=context or {}, scope=self.scope)

    def _valid(self, request: str | Request, context: Mapping[str, Json] | None) -> Request:
        if isinstance(request, Request):
            # The tenant is the cache's: a request object cannot talk its way into another one.
            return request.model_copy(update={"scope": self.scope, **({"context": dict(context)} if context else {})})
        if context is not None and not isinstance(context, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError("a context is a mapping")
        if not isinstance(request, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # not everybody checks types
            raise ValueError("a request is a text")
        return Request(text=request, context=dict(context or {}), scope=self.scope)

    def _scoped(self, trace: Trace) -> Trace:
        stamp = trace.recorded_at or self._clock()
        return self._under(trace).model_copy(update={"recorded_at": stamp})

    def _under(self, trace: Trace) -> Trace:
        """Return a run with the conditions that it happened under: those of today, where it does not say others."""
        return trace.model_copy(
            update={
                "request": self._request(trace.request, None),
                "instructions": trace.instructions or self.instructions,
                "schemas": trace.schemas or {name: item.tool.condition for name, item in self._tools.items()},
            }
        )

    def _clock(self) -> datetime | None:
        try:
            return self._now() if self._now else None
        except ClockError as error:
            logger.warning("%s; the run has no date", error)
            return None

    def _known(
        self, request: str | Request, answer: Json, trace: Trace | None, context: Mapping[str, Json] | None
    ) -> Known:
        right = answer if answer is not None else (trace.answer if trace else None)
        return Known(self._request(request, context), right, trace)

    def _adopt(self, declared: Mapping[str, Tool], system_prompt: str) -> None:
        """Take over what record version 1 kept under a fingerprint of tools and instructions. Never raises."""
        if not declared and not system_prompt:
            return
        old = Scope(tenant=self.scope.tenant, agent=fingerprint_of_version_1(declared.values(), system_prompt))
        try:
            Adoption(self.store, old, self.scope, self.instructions)()
        except Exception as error:
            tell(
                logger,
                "procedures of an earlier version could not be taken over; they are tried at the next opening",
                error,
            )

    def _compilers(self, repairs: int) -> Sequence[Compiler]:
        return (ModelCompiler(self.model.name, repairs=repairs),) if self.model is not None else ()

    def _call(self, call: ToolCall) -> ToolResult:
        item = self._tools.get(call.tool)
        if item is None:
            return ToolResult(error=f"tool {call.tool!r} does not exist")
        return call_once(self._journal, item.tool, call, lambda: _carried_out(item, call))

    def _own_store(self, store: str | Path | ProcedureStore | None) -> ProcedureStore:
        opened = open_store(store)
        if opened is not store:
            self._owned.append(opened.close)
        return opened

    def _own_sandbox(self) -> Sandbox:
        sandbox = MontySandbox(modules=(_slots(),))
        self._owned.append(sandbox.close)
        return sandbox

    def _opened(self, sandbox: Sandbox | str) -> Sandbox:
        if not isinstance(sandbox, str):
            return sandbox
        opened = open_sandbox(sandbox)
        self._owned.append(opened.close)
        return opened

    def _housed(self, sandbox: Sandbox) -> Sandbox:
        return housed(sandbox, self.scope, (_slots(),))

    def _second(self, second: Sandbox | Literal["auto"] | None) -> tuple[Sandbox | None, str]:
        if second != "auto":
            return self._housed(second) if second else None, "switched off"
        if REMOTE.issuperset(names(self.sandbox)):
            return (
                None,
                "the only sandbox is remote, so no body runs on this machine: pass second_sandbox= to allow one",
            )
        opened = second_sandbox((_slots(),))
        if not isinstance(opened, ProcessSandbox):
            return None, opened.reason
        self._owned.append(opened.close)
        return opened, ""


def _slots() -> HostModule:
    return HostModule("slots", exports())


def _require(
    *, tenant: object, agent: object, tools: Sequence[object], learning: object, predictions: object, closing: object
) -> None:
    """Refuse what types forbid, for those who do not check types: taken in silence, it would be something else."""
    problem = name_problem("tenant", tenant) or (name_problem("agent", agent) if agent is not None else None)
    if problem:
        raise ValueError(problem)
    if learning not in ("inline", "off"):
        raise ValueError(f"learning={learning!r}: a cache learns 'inline' or is 'off'; hosts have 'background' as well")
    if closing not in get_args(ClosingChoice):
        raise ValueError(f"closing={closing!r}: it is one of {', '.join(get_args(ClosingChoice))}")
    match predictions:
        case (int(reads), int(writes)) if isinstance(predictions, tuple) and min(reads, writes) >= 0:
            pass
        case _:
            raise ValueError(f"predictions={predictions!r}: give two whole numbers, for reads and for writes: (1, 2)")
    for tool in tools:
        if not isinstance(tool, HostTool):
            raise ValueError(f"tools= takes HostTool objects, not {tool!r}: use host_tools() of the adapter")


def _no_trace(trace: object) -> Learned | None:
    """Return what is said where somebody passed something else: learning breaks nobody."""
    if isinstance(trace, Trace):
        return None
    return Learned(status="failed", reason=f"a run is a Trace, not a {type(trace).__name__}")


def _carried_out(item: HostTool, call: ToolCall) -> ToolResult:
    try:
        # What a tool does with its arguments is not what it was asked: a list that it uses up is told as it was.
        returned = item.function(**copy.deepcopy(dict(call.arguments)))
    except (Exception, asyncio.CancelledError, SystemExit) as error:
        # What a tool raises is its own failure, and it may have acted: the step must not be lost.
        return ToolResult(error=said(error))
    # It has acted: the model must hear of it, whatever it returned, and however that answers to being looked at.
    try:
        if inspect.iscoroutine(returned):
            returned.close()
            told = "its function returned a coroutine, and what it had done before that is not known"
            return ToolResult(error=f"{call.tool} did not come to its end: {told}", final=True)
        return ToolResult(value=exchanged(returned))
    except Exception as error:
        return ToolResult(
            error=f"{call.tool} was carried out, but its result cannot be used: {said(error)}", final=True
        )
