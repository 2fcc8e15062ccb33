"""What the agent is told and the schemas of its tools are conditions: where they change, procedures run in shadow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.records.entry import Entry, Wording
from seglam_agents.records.outcome import Deopt, Hit, Miss, Plan
from seglam_agents.records.procedure import GuardSource, Procedure, Provenance, ToolUse
from seglam_agents.records.request import Request, Scope, fingerprint_of_version_1, instructions_digest
from seglam_agents.records.tools import Effect, Tool
from seglam_agents.records.trace import ModelStep, ToolStep, Trace
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.memory import MemoryStore

MAY = "You may refund orders."
NEVER = "You never refund an order."
Open = Callable[..., ReasoningCache]


def refund_tool(effect: Effect = "write", **properties: object) -> Tool:
    """Return a tool whose schema can be varied."""
    schema = {"type": "object", "properties": {"order": {"type": "string"}, **properties}}
    return Tool(name="refund", parameters=schema, effect=effect)  # type: ignore[arg-type]


@pytest.fixture
def opened(sandbox: MontySandbox) -> Iterator[Open]:
    caches: list[ReasoningCache] = []

    def opened(store: MemoryStore, told: str, tool: Tool, **options: object) -> ReasoningCache:
        host = [HostTool(tool, lambda order, amount=None: f"refunded {order}" if amount is None else "done")]
        caches.append(
            ReasoningCache(store, sandbox=sandbox, second_sandbox=None, tools=host, system_prompt=told, **options)  # type: ignore[arg-type]
        )
        return caches[-1]

    yield opened
    for cache in caches:
        cache.close()


def learnt(
    cache: ReasoningCache,
    tool: Tool,
    told: str,
    *others: Tool,
    template: str = "Refund order {order:id}",
    body: str = "def run(order):\n    return refund(order)\n",
) -> None:
    """Store a procedure that was learnt under some instructions, past admission."""
    guard = GuardSource(templates=(template,))
    procedure = Procedure(
        id="refund",
        name="refund",
        scope=cache.scope,
        guard=guard,
        body=body,
        parameters=TemplateGuard(guard).parameters(),
        tools=(*map(ToolUse.of, others), ToolUse.of(tool)),
        provenance=Provenance(compiler="traces"),
        instructions=instructions_digest(told),
    )
    cache.store.put(Entry(procedure=procedure, status="active"), expected_revision=0)


def run_of(order: str, result: str | None = None) -> Trace:
    """Return a run of the agent that refunds an order, or says something else."""
    said = result or f"refunded {order}"
    steps = (ToolStep(tool="refund", arguments={"order": order}, result=said),)
    return Trace(request=Request(text=f"Refund order {order}"), steps=steps, answer=said)


def test_other_instructions_do_not_serve_what_these_taught(opened: Open) -> None:
    """What "you may refund" taught does not serve where the agent never refunds; the stop of the guard says why."""
    store, tool = MemoryStore(), refund_tool()
    learnt(opened(store, MAY, tool), tool, MAY)
    assert isinstance(opened(store, MAY, tool).answer("Refund order B-7"), Hit)
    other = opened(store, NEVER, tool)
    assert isinstance(other.answer("Refund order B-7"), Miss)
    (stop,) = [stop for stop in other.explain("Refund order B-7").stops if stop.stage == "shadow"]
    assert "instructions changed" in stop.reason and "0 of 3 runs agree" in stop.reason


def test_statistics_count_what_is_known_under_any_instructions(opened: Open) -> None:
    """A cache that was opened without instructions tells of what serves those that its agents are told."""
    store, tool = MemoryStore(), refund_tool()
    cache = opened(store, "", tool)
    learnt(cache, tool, MAY)
    assert cache.stats().procedures == 0 and cache.told(MAY) is not None
    assert cache.stats().procedures == 1 and isinstance(cache.answer("Refund order B-7"), Miss)


def test_white_space_in_instructions_changes_nothing(opened: Open) -> None:
    """A prompt that is only laid out anew keeps a warm cache."""
    store, tool = MemoryStore(), refund_tool()
    learnt(opened(store, MAY, tool), tool, MAY)
    assert isinstance(opened(store, "You may\n   refund orders. ", tool).answer("Refund order B-7"), Hit)


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        ("You may refund orders.", "you may **refund** orders!", True),
        ("- Be brief\n- Be kind.", "Be brief; be kind", True),
        ("Never more than $1,000.", "never more than $1,000", True),
        ("Within 1.5 days", "Within 15 days", False),
        ("From -5 degrees on", "From 5 degrees on", False),
        ("Refund up to 10%", "Refund up to 10", False),
        ("You may refund orders.", "You may not refund orders.", False),
        ("You may refund orders.", "You may refund order.", False),
        ("Say \u2705", "Say \u274c", False),
        ("You may refund orders.", "", False),
    ],
)
def test_case_and_punctuation_change_nothing(opened: Open, before: str, now: str, same: bool) -> None:
    """A prompt that says the same in other signs keeps a warm cache; numbers, amounts and words are no signs."""
    store, tool = MemoryStore(), refund_tool()
    learnt(opened(store, before, tool), tool, before)
    assert isinstance(opened(store, now, tool).lookup("Refund order B-7"), Hit) is same


def test_what_older_records_kept_of_instructions_still_holds(opened: Open) -> None:
    """They have the digest of the exact words alone: the same words hit, and others do not."""
    store, tool = MemoryStore(), refund_tool()
    learnt(opened(store, MAY, tool), tool, MAY)
    (entry,) = opened(store, MAY, tool).procedures()
    older = entry.procedure.model_copy(update={"instructions": instructions_digest(MAY).partition("/")[0]})
    assert older.conditions.key == entry.procedure.conditions.key
    store.put(entry.model_copy(update={"procedure": older}), expected_revision=entry.revision)
    assert isinstance(opened(store, MAY, tool).lookup("Refund order B-7"), Hit)
    assert isinstance(opened(store, MAY.upper(), tool).lookup("Refund order B-7"), Miss)


def test_two_open_caches_of_one_scope_are_warned_of(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    """Once, with what to do; not where they have names, are told the same, or the first one is closed."""
    store, tool = MemoryStore(), refund_tool()
    for agent in ("a", "b"):
        opened(store, agent, tool, agent=agent)
    first = opened(store, MAY, tool)
    opened(store, f"{MAY} ", tool)
    first.close()
    opened(MemoryStore(), NEVER, tool)
    assert not caplog.messages
    for told in (MAY, NEVER, MAY):
        opened(store, told, tool)
    assert len(caplog.messages) == 1 and "agent=..." in caplog.messages[0]


@pytest.mark.parametrize(("effect", "needed"), [("read", 2), ("write", 3)])
def test_enough_agreeing_runs_bring_it_back(opened: Open, effect: Effect, needed: int) -> None:
    """Under changed instructions it serves again after two agreeing runs where it reads, three where it writes."""
    store, tool = MemoryStore(), refund_tool(effect)
    learnt(opened(store, MAY, tool), tool, MAY)
    mended = opened(store, "You may refund an order.", tool)
    for number in range(needed):
        assert isinstance(mended.lookup("Refund order B-7"), Miss)
        mended.observe(run_of(f"A-{number}"))
    assert isinstance(mended.lookup("Refund order B-7"), Hit)


def test_what_came_back_under_new_conditions_still_serves_under_the_old_ones(opened: Open) -> None:
    """Two versions of the instructions side by side, as in a roll-out, are served both."""
    store, tool = MemoryStore(), refund_tool("read")
    learnt(opened(store, MAY, tool), tool, MAY)
    mended = opened(store, "You may refund an order.", tool)
    for run in runs_of("A-1", "A-2"):
        mended.observe(run)
    assert isinstance(mended.lookup("Refund order B-7"), Hit)
    assert isinstance(opened(store, MAY, tool).lookup("Refund order B-7"), Hit)


def test_one_run_twice_counts_once(opened: Open) -> None:
    """The same run seen again is no second agreement."""
    store, tool = MemoryStore(), refund_tool()
    learnt(opened(store, MAY, tool), tool, MAY)
    mended = opened(store, "Refund.", tool)
    for _ in range(3):
        mended.observe(run_of("A-1"))
    assert isinstance(mended.lookup("Refund order B-7"), Miss)


def test_a_run_that_differs_keeps_it_out(opened: Open) -> None:
    """One run under the new conditions that did something else, and agreement does not bring it back."""
    store, tool = MemoryStore(), refund_tool("read")
    learnt(opened(store, MAY, tool), tool, MAY)
    other = opened(store, NEVER, tool)
    refused = Trace(request=Request(text="Refund order A-1"), answer="I never refund an order.")
    other.observe(refused)
    other.observe(run_of("A-2"))
    assert isinstance(other.lookup("Refund order B-7"), Miss)


def test_a_changed_schema_is_a_changed_condition(opened: Open) -> None:
    """A tool with one more argument: in shadow until runs agree; a tool that is gone: not served at all."""
    store, tool = MemoryStore(), refund_tool("read")
    learnt(opened(store, MAY, tool), tool, MAY)
    wider = refund_tool("read", note={"type": "string"})
    cache = opened(store, MAY, wider)
    assert isinstance(cache.lookup("Refund order B-7"), Miss)
    (stop,) = [stop for stop in cache.explain("Refund order B-7").stops if stop.stage == "shadow"]
    assert "the schema of refund changed" in stop.reason
    for run in runs_of("A-1", "A-2"):
        cache.observe(run)
    assert isinstance(cache.lookup("Refund order B-7"), Hit)


def test_agents_of_one_name_share_what_they_learn_whatever_their_tools(opened: Open) -> None:
    """The scope is tenant and agent name; without a name, its tools' names."""
    store, tool = MemoryStore(), refund_tool()
    named = opened(store, MAY, tool, agent="shop")
    assert named.scope == Scope(agent="shop")
    assert opened(store, NEVER, refund_tool("read"), agent="shop").scope == named.scope
    assert opened(store, MAY, tool).scope == opened(store, NEVER, refund_tool("read")).scope != named.scope


def test_what_version_1_kept_under_a_fingerprint_is_taken_over(opened: Open) -> None:
    """An agent opened with the tools and instructions of then hits, and its remembered runs keep their procedures."""
    store, tool = MemoryStore(), refund_tool()
    old = Scope(agent=fingerprint_of_version_1([tool], MAY))
    run = run_of("A-1").model_copy(update={"request": Request(text="Refund order A-1", scope=old)})
    guard = GuardSource(templates=("Refund order {order:id}",))
    procedure = Procedure(
        id="refund",
        name="refund",
        scope=old,
        guard=guard,
        body="def run(order):\n    return refund(order)\n",
        parameters=TemplateGuard(guard).parameters(),
        tools=(ToolUse.of(tool),),
        provenance=Provenance(compiler="traces", trace_ids=(run.id,)),
    )
    store.put(Entry(procedure=procedure, status="active"), expected_revision=0)
    store.put_note(old, "trace", run.id, {"trace": run.model_dump_json()})
    for _ in range(2):  # Opening twice takes over once.
        cache = opened(store, MAY, tool)
        hit = cache.lookup("Refund order B-7")
        assert isinstance(hit, Hit) and len(cache.procedures()) == 1
        (kept,) = store.notes(cache.scope, "trace").values()
        assert hit.citation.trace_ids == (Trace.model_validate_json(str(kept["trace"])).id,)
    assert isinstance(opened(store, NEVER, tool).lookup("Refund order B-7"), Miss)


def runs_of(*orders: str) -> list[Trace]:
    return [run_of(order) for order in orders]


def test_runs_under_other_instructions_teach_nothing_now(opened: Open) -> None:
    """What many runs taught under one prompt is not compiled anew from one run under another."""
    store, tool = MemoryStore(), refund_tool()
    may = opened(store, MAY, tool)
    learned = [may.observe(run).status for run in runs_of("A-1", "A-2", "A-3", "A-4", "A-5")]
    assert "admitted" in learned and isinstance(may.lookup("Refund order A-9"), Hit)
    other = opened(store, NEVER, tool)
    assert other.observe(run_of("B-1")).status != "admitted"
    assert isinstance(other.lookup("Refund order A-9"), Miss), "one of two runs agrees"
    assert isinstance(opened(store, MAY, tool).lookup("Refund order A-9"), Hit)


def test_what_was_refused_under_new_instructions_is_not_served(opened: Open) -> None:
    """A refusal under the new prompt outweighs agreement about other orders, and what the old prompt taught."""
    store, tool = MemoryStore(), refund_tool()
    may = opened(store, MAY, tool)
    for run in runs_of("A-1", "A-2", "A-3", "A-4", "A-5"):
        may.observe(run)
    other = opened(store, "Never refund order C-1.", tool)
    other.observe(Trace(request=Request(text="Refund order C-1"), answer="I may not."))
    for run in runs_of("B-1", "B-2"):
        other.observe(run)
    assert not isinstance(other.lookup("Refund order C-1"), Hit)


def test_two_prompts_side_by_side_do_not_take_procedures_from_each_other(opened: Open) -> None:
    """Each learns from its own runs, and both go on serving."""
    store, tool = MemoryStore(), refund_tool()
    told = (MAY, "You may refund an order of up to $20.")
    for prompt in told:
        cache = opened(store, prompt, tool)
        for number in range(6):
            cache.observe(run_of(f"A-{number}{len(prompt) % 10}"))
    for prompt in told:
        assert isinstance(opened(store, prompt, tool).lookup("Refund order A-99"), Hit), prompt


@pytest.mark.parametrize("change", [{"note": {"type": "string"}}, {"order": {"type": "string", "maxLength": 3}}])
def test_runs_under_another_schema_teach_nothing_now(opened: Open, change: dict[str, object]) -> None:
    """One run with a changed tool makes no procedure of the runs with the tool as it was."""
    store, tool = MemoryStore(), refund_tool()
    before = opened(store, MAY, tool)
    for run in runs_of("A-1", "A-2", "A-3", "A-4", "A-5"):
        before.observe(run)
    after = opened(store, MAY, refund_tool(**change))
    assert after.observe(run_of("B-1")).status != "admitted"
    assert isinstance(after.lookup("Refund order A-9"), Miss)


LIMIT = "You refund up to $12, never more."


def refunded(order: str, dollars: int, said: str = "refunded") -> Trace:
    """Return a run that refunds an amount for an order."""
    steps = (ToolStep(tool="refund", arguments={"order": order, "amount": dollars}, result="done"),)
    return Trace(request=Request(text=f"Refund ${dollars} for order {order}"), steps=steps, answer=f"{said} {order}")


def amount_tool(**more: object) -> Tool:
    schema = {"type": "object", "properties": {"order": {"type": "string"}, "amount": {"type": "number"}}}
    return Tool(name="refund", parameters=schema, **more)  # type: ignore[arg-type]


class TestWhatAgreementProves:
    """Runs under other conditions bring a procedure back for what they show, and no further."""

    @pytest.fixture
    def store(self, opened: Open) -> MemoryStore:
        """A procedure that five runs taught, of refunds between $10 and $15."""
        store = MemoryStore()
        cache = opened(store, MAY, amount_tool())
        for number, dollars in enumerate((12, 15, 10, 14, 11)):
            cache.observe(refunded(f"A-{number}", dollars))
        assert isinstance(cache.lookup("Refund $13 for order A-9"), Hit)
        return store

    def test_no_amount_beyond_the_runs_that_agree(self, opened: Open, store: MemoryStore) -> None:
        """The new prompt may say how far it goes; runs in between, and further ones, are what is known of it."""
        cache = opened(store, LIMIT, amount_tool())
        for number, dollars in enumerate((10, 12, 11)):
            cache.observe(refunded(f"B-{number}", dollars))
        assert isinstance(cache.lookup("Refund $11 for order A-9"), Hit)
        beyond = cache.lookup("Refund $13 for order A-9")
        assert isinstance(beyond, Miss) and beyond.kind == "shadow" and "beyond the runs" in beyond.reason
        cache.observe(refunded("B-9", 14))
        assert isinstance(cache.lookup("Refund $13 for order A-9"), Hit)

    def test_no_amount_beyond_them_that_a_read_finds(self, sandbox: MontySandbox) -> None:
        """The request says no amount; what is written is held to what the runs that agree wrote."""
        owed, refunds = {f"{letter}-{n}": 10 + n for letter in "AB" for n in range(10)}, list[float]()
        reads = HostTool(
            Tool(name="owed", effect="read", parameters=refund_tool().parameters), lambda order: owed[order]
        )
        tool = HostTool(amount_tool(), lambda order, amount: refunds.append(amount) or "done")  # type: ignore[func-returns-value]
        store, options = MemoryStore(), {"sandbox": sandbox, "second_sandbox": None, "tools": [reads, tool]}
        told: Callable[..., ReasoningCache] = partial(ReasoningCache, store, **options)
        with told(system_prompt=MAY) as before:
            body = "def run(order):\n    refund(order=order, amount=owed(order))\n    return f'refunded {order}'\n"
            learnt(before, tool.tool, MAY, reads.tool, template="Pay order {order:id} back", body=body)
            assert isinstance(before.answer("Pay order A-9 back"), Hit) and refunds == [19]
        with told(system_prompt=LIMIT) as after:
            for order in ("B-1", "B-2", "B-0"):
                read = ToolStep(tool="owed", arguments={"order": order}, result=owed[order])
                paid = ToolStep(tool="refund", arguments={"order": order, "amount": owed[order]}, result="done")
                text, said = f"Pay order {order} back", f"refunded {order}"
                after.observe(Trace(request=Request(text=text), steps=(read, paid), answer=said))
            assert isinstance(after.answer("Pay order A-2 back"), Hit) and refunds == [19, 12]
            beyond = after.answer("Pay order A-9 back")
            assert isinstance(beyond, Deopt) and "refund goes too far: `amount` is 19" in beyond.reason
            assert refunds == [19, 12] and [step.tool for step in beyond.steps] == ["owed"]

    def test_a_refusal_beyond_takes_it_out_again(self, opened: Open, store: MemoryStore) -> None:
        """A run that did something else, out of reach of what serves, is held against it all the same."""
        cache = opened(store, LIMIT, amount_tool())
        for number, dollars in enumerate((10, 12, 11)):
            cache.observe(refunded(f"B-{number}", dollars))
        assert isinstance(cache.lookup("Refund $11 for order A-9"), Hit)
        cache.observe(Trace(request=Request(text="Refund $14 for order B-7"), answer="I may not refund that much."))
        assert isinstance(cache.lookup("Refund $11 for order A-9"), Miss)

    def test_a_run_that_left_the_write_out_differs_though_the_shadow_gives_up(
        self, opened: Open, store: MemoryStore
    ) -> None:
        """A body that holds back at an amount beyond those seen is no reason to overlook that nothing was written."""
        cache = opened(store, "Refund nothing above $20.", amount_tool())
        cache.observe(Trace(request=Request(text="Refund $90 for order B-7"), answer="That is too much."))
        for number, dollars in enumerate((10, 12, 14)):
            cache.observe(refunded(f"B-{number}", dollars))
        assert isinstance(cache.lookup("Refund $11 for order A-9"), Miss)

    def test_another_answer_is_no_agreement(self, opened: Open, store: MemoryStore) -> None:
        """The calls are the same, and the new prompt wants something else to be said."""
        for said in ("Sorry! I refunded", "Erstattet:", "done with"):
            cache = opened(store, f"{MAY} Say it so: {said}.", amount_tool())
            for number in range(3):
                cache.observe(refunded(f"B-{number}", 10 + number, said))
            assert isinstance(cache.lookup("Refund $11 for order A-9"), Miss), said

    def test_one_request_again_is_one_agreement(self, opened: Open, store: MemoryStore) -> None:
        """However often it is asked, and whatever the model thought meanwhile."""
        cache = opened(store, LIMIT, amount_tool())
        for thought in ("a", "b", "c"):
            run = refunded("B-1", 11)
            cache.observe(run.model_copy(update={"steps": (ModelStep(text=thought), *run.steps)}))
        assert isinstance(cache.lookup("Refund $11 for order A-9"), Miss)

    def test_the_description_of_a_tool_is_a_condition(self, opened: Open, store: MemoryStore) -> None:
        """A model reads it; the stop says what changed."""
        cache = opened(store, MAY, amount_tool(description="Never call this without a manager's consent."))
        missed = cache.lookup("Refund $11 for order A-9")
        assert isinstance(missed, Miss) and "the description of refund changed" in missed.reason
        assert isinstance(opened(store, MAY, amount_tool(description=" ")).lookup("Refund $11 for order A-9"), Hit)

    def test_what_older_records_do_not_say_is_not_held_against_them(self, opened: Open) -> None:
        """A procedure that was stored without the descriptions of its tools serves as before."""
        store, tool = MemoryStore(), refund_tool()
        learnt(opened(store, MAY, tool), tool, MAY)
        (entry,) = opened(store, MAY, tool).procedures()
        uses = tuple(use.model_copy(update={"condition": ""}) for use in entry.procedure.tools)
        older = entry.procedure.model_copy(update={"tools": uses})
        assert older.content_hash == entry.procedure.content_hash
        store.put(entry.model_copy(update={"procedure": older}), expected_revision=entry.revision)
        described = tool.model_copy(update={"description": "Refunds an order."})
        assert isinstance(opened(store, MAY, described).lookup("Refund order B-7"), Hit)

    def test_an_effect_that_was_mended_counts_from_then_on(self, opened: Open) -> None:
        """Learnt as reading, declared as writing now: three runs have to agree, and a named request writes once."""
        store, wrong, right = MemoryStore(), refund_tool("read"), refund_tool("write")
        learnt(opened(store, MAY, wrong), wrong, MAY)
        cache = opened(store, MAY, right)
        for run in runs_of("A-1", "A-2"):
            cache.observe(run)
        assert isinstance(cache.lookup("Refund order B-7"), Miss), "two runs are not enough for what writes"
        cache.observe(run_of("A-3"))
        plan = cache.plan("Refund order B-7")
        assert isinstance(plan, Plan) and [use.effect for use in plan.tools] == ["write"]

    def test_told_nothing_is_told_something_else(self, opened: Open) -> None:
        """A cache that was opened with a prompt does not lend it to an agent without one; None is the cache's own."""
        store, tool = MemoryStore(), refund_tool()
        cache = opened(store, MAY, tool)
        learnt(cache, tool, MAY)
        nothing, own = cache.told(""), cache.under(None)
        assert nothing is not None and isinstance(nothing.lookup("Refund order B-7"), Miss)
        assert own is cache and isinstance(own.lookup("Refund order B-7"), Hit)


LOOK = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}


@dataclass
class House:
    """Answers and acts by a rule over what a read finds."""

    sandbox: MontySandbox
    store: MemoryStore = field(default_factory=MemoryStore)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    refunds: list[str] = field(default_factory=list[str])

    def cache(self, told: str) -> ReasoningCache:
        look = HostTool(Tool(name="look", parameters=LOOK, effect="read"), lambda key: self.rows[key])
        refund = HostTool(Tool(name="refund", parameters=LOOK), lambda key: self.refunds.append(key) or "ok")  # type: ignore[func-returns-value]
        options: dict[str, Any] = {"sandbox": self.sandbox, "second_sandbox": None}
        return ReasoningCache(self.store, tools=[look, refund], system_prompt=told, **options)

    def run(self, key: str, row: dict[str, Any], answer: str, *, refunds: bool = False) -> Trace:
        self.rows[key] = {"key": key, **row}
        steps = [ToolStep(tool="look", arguments={"key": key}, result=self.rows[key])]
        if refunds:
            steps.append(ToolStep(tool="refund", arguments={"key": key}, result="ok"))
        return Trace(request=Request(text=f"Please see to {key}"), steps=tuple(steps), answer=answer)

    def knows(self, body: str, *, writes: bool = False) -> None:
        """Store a procedure that was learnt under `MAY`, past admission."""
        with self.cache(MAY) as cache:
            tools = [cache.tools["look"], *([cache.tools["refund"]] if writes else [])]
            learnt(cache, tools[-1], MAY, *tools[:-1], template="Please see to {key:id}", body=body)

    def ask(self, cache: ReasoningCache, key: str, **row: Any) -> Hit | Deopt | Miss:
        self.rows[key] = {"key": key, **row}
        outcome = cache.lookup(f"Please see to {key}")
        assert isinstance(outcome, (Hit, Deopt, Miss))
        return outcome


YES_OR_NO = "def run(key):\n    return 'Yes.' if look(key=key)[{!r}] {} else 'No.'\n"
REFUND = (
    "def run(key):\n"
    "    if look(key=key)['total'] > 100:\n"
    "        return 'That is too much.'\n"
    "    refund(key=key)\n"
    "    return f'Order {key} is refunded.'\n"
)


class TestOnlyWhatTheRunsShow:
    """What came back serves within what the runs that agree had in their results, and the way that they went."""

    @pytest.fixture
    def house(self, sandbox: MontySandbox) -> House:
        return House(sandbox)

    def test_no_number_beyond_those_of_the_same_way(self, house: House) -> None:
        """30 days became 14: runs at 3, 10 and 40 days agree, and 24 days is no "yes" by them."""
        house.knows(YES_OR_NO.format("days", "<= 30"))
        with house.cache("14 days") as cache:
            for key, days in (("A-1", 3), ("A-2", 10), ("A-3", 40), ("A-4", 55)):
                cache.observe(house.run(key, {"days": days}, "Yes." if days <= 14 else "No."))
            assert isinstance(house.ask(cache, "A-7", days=7), Hit)
            assert isinstance(house.ask(cache, "A-8", days=48), Hit)
            for days in (11, 14, 24, 30, 35, 90, 1):
                outcome = house.ask(cache, "A-9", days=days)
                assert isinstance(outcome, Deopt) and "`look.days`" in outcome.reason, days
                assert [step.tool for step in outcome.steps] == ["look"]

    def test_what_lies_beyond_is_evidence(self, house: House) -> None:
        """It widens what serves where it agrees, and ends it where it does not, under these conditions alone."""
        house.knows(YES_OR_NO.format("days", "<= 30"))
        with house.cache("14 days") as cache:
            for key, days in (("A-1", 3), ("A-2", 10)):
                cache.observe(house.run(key, {"days": days}, "Yes."))
            assert isinstance(house.ask(cache, "A-9", days=12), Deopt)
            cache.observe(house.run("A-3", {"days": 13}, "Yes."))
            assert isinstance(house.ask(cache, "A-9", days=12), Hit)
            cache.observe(house.run("A-4", {"days": 20}, "No."))
            ended = house.ask(cache, "A-9", days=12)
            assert not isinstance(ended, Hit) or ended.citation.name != "refund"
        with house.cache(MAY) as cache:
            assert isinstance(house.ask(cache, "A-9", days=20), Hit)

    @pytest.mark.parametrize(
        ("test", "said", "agree", "against"),
        [
            ("== 'gold'", "No.", ["iron", "iron", "tin"], "gold"),
            ("is True", "No.", [False, False], True),
            ("== 'gold'", "Yes.", ["gold", "gold"], "iron"),
            ("!= []", "Yes.", [["a"], ["a"]], []),
            ("is not None", "Yes.", ["x", "x"], None),
        ],
    )
    def test_no_state_that_was_not_seen(
        self, house: House, test: str, said: str, agree: list[Any], against: object
    ) -> None:
        """A word, a flag, nothing, an empty list: those of the runs that agree, and no others."""
        house.knows(YES_OR_NO.format("state", test))
        with house.cache("Changed.") as cache:
            for number, state in enumerate(agree):
                cache.observe(house.run(f"A-{number}", {"state": state}, said))
            assert isinstance(house.ask(cache, "A-7", state=agree[0]), Hit)
            assert isinstance(house.ask(cache, "A-8", state=against), Deopt)

    def test_names_are_no_states(self, house: House) -> None:
        """A text that was another one in each of three runs may be any."""
        house.knows(YES_OR_NO.format("paid", "is True"))
        with house.cache("Changed.") as cache:
            for number, name in enumerate(("Ada", "Ben Orr", "Cleo")):
                assert not isinstance(house.ask(cache, "A-9", paid=True, name="Dan"), Hit)
                cache.observe(house.run(f"A-{number}", {"paid": True, "name": name}, "Yes."))
            assert isinstance(house.ask(cache, "A-9", paid=True, name="Dan"), Hit)

    def test_no_other_keys(self, house: House) -> None:
        """A field that no run had may be what the new instructions are about."""
        house.knows(YES_OR_NO.format("paid", "is True"))
        with house.cache("Changed.") as cache:
            for number in range(3):
                cache.observe(house.run(f"A-{number}", {"paid": True}, "Yes."))
            assert isinstance(house.ask(cache, "A-9", paid=True), Hit)
            assert isinstance(house.ask(cache, "A-9", paid=True, recalled=True), Deopt)

    def test_no_branch_that_no_run_took(self, house: House) -> None:
        """The answers of both branches look alike; the discount of many boxes is known from runs of many boxes."""
        body = "def run(key):\n    n = look(key=key)['n']\n    return f'{n * (3 if n >= 20 else 4)} coins'\n"
        house.knows(body)
        with house.cache("A discount from 30 boxes on.") as cache:
            for number, count in enumerate((4, 12, 40, 50)):
                cache.observe(house.run(f"A-{number}", {"n": count}, f"{count * (3 if count >= 30 else 4)} coins"))
            assert isinstance(house.ask(cache, "A-7", n=8), Hit) and isinstance(house.ask(cache, "A-7", n=44), Hit)
            assert isinstance(house.ask(cache, "A-7", n=25), Deopt)

    @pytest.mark.parametrize("text", ["${}.00", "{} kg", "2025-03-{}", "{} days ago", "2025-03-{}T10:00:00"])
    def test_no_number_or_day_beyond_in_a_text(self, house: House, text: str) -> None:
        """Amounts and days are often written as texts."""
        house.knows("def run(key):\n    look(key=key)\n    return 'Yes.'\n")
        with house.cache("Changed.") as cache:
            for number, value in enumerate((12, 15, 20)):
                cache.observe(house.run(f"A-{number}", {"x": text.format(value)}, "Yes."))
            assert isinstance(house.ask(cache, "A-7", x=text.format(17)), Hit)
            assert isinstance(house.ask(cache, "A-7", x=text.format(22)), Deopt)

    def test_no_write_beyond_what_was_read(self, house: House) -> None:
        """Refunds up to $100 became $40; the write itself says no amount, and nothing is written beyond those seen."""
        house.knows(REFUND, writes=True)
        with house.cache("Refund up to $40.") as cache:
            for number, total in enumerate((10, 30, 39)):
                assert isinstance(house.ask(cache, "A-9", total=20), Miss), "it takes three"
                said = f"Order A-{number} is refunded."
                cache.observe(house.run(f"A-{number}", {"total": total}, said, refunds=True))
            assert isinstance(house.ask(cache, "A-9", total=20), Hit) and house.refunds == ["A-9"]
            for total in (9, 40, 45, 98, 130):
                outcome = house.ask(cache, "A-8", total=total)
                assert isinstance(outcome, Deopt) and [step.tool for step in outcome.steps] == ["look"], total
            assert house.refunds == ["A-9"]

    def test_no_argument_beyond_those_of_the_request(self, opened: Open) -> None:
        """Two agents share a store and have no name: what one taught holds for the other within what its runs show."""
        store, tool = MemoryStore(), refund_tool("read")
        body = "def run(n, price):\n    return n * price.amount\n"
        template = "Total for {n:count} boxes at {price:money}"
        learnt(opened(store, "net", tool), tool, "net", template=template, body=body)
        shipped = opened(store, "with shipping, free from $100 on", tool)
        for n, price, total in ((20, 10, 200), (15, 8, 120)):
            text = f"Total for {n} boxes at ${price}"
            shipped.observe(Trace(request=Request(text=text), answer=total))
        assert isinstance(shipped.lookup("Total for 16 boxes at $9"), Hit)
        assert isinstance(shipped.lookup("Total for 2 boxes at $10"), Deopt)

    def test_learning_goes_on_beside_what_ended(self, house: House) -> None:
        """Runs that speak against an old procedure teach one of their own, which is widened like any other."""
        with house.cache(MAY) as cache:
            for number in range(12):
                days = number * 9
                cache.observe(house.run(f"A-{number}", {"days": days}, "Yes." if days <= 60 else "No."))
            assert isinstance(house.ask(cache, "A-99", days=30), Hit)
        with house.cache("Only 30 days.") as cache:
            for number in range(16):
                days = number * 7
                if not isinstance(house.ask(cache, f"B-{number}", days=days), Hit):
                    cache.observe(house.run(f"B-{number}", {"days": days}, "Yes." if days <= 30 else "No."))
            assert [house.ask(cache, "B-98", days=days).answer for days in (10, 66)] == ["Yes.", "No."]  # type: ignore[union-attr]
        with house.cache(MAY) as cache:
            old = house.ask(cache, "A-99", days=50)
            assert isinstance(old, Hit) and old.answer == "Yes."


class TestWordings:
    """A wording that was found wrong serves no more, whatever the others of its procedure do."""

    @pytest.mark.parametrize("status", ["suspended", "retired"])
    def test_one_is_taken_out(self, opened: Open, status: str) -> None:
        store, tool = MemoryStore(), refund_tool()
        cache = opened(store, MAY, tool)
        learnt(cache, tool, MAY)
        (entry,) = cache.procedures()
        templates = (*entry.procedure.guard.templates, "Money back for order {order:id}")
        guard = entry.procedure.guard.model_copy(update={"templates": templates})
        procedure = entry.procedure.model_copy(update={"guard": guard})
        wordings = [Wording(template=templates[0]), Wording(template=templates[1], status=status)]  # type: ignore[arg-type]
        more = entry.model_copy(update={"procedure": procedure, "wordings": tuple(wordings)})
        kept = store.put(more, expected_revision=entry.revision)
        cache.procedures()
        hit = cache.lookup("Refund order B-7")
        assert isinstance(hit, Hit) and hit.citation.content_hash == procedure.content_hash
        assert isinstance(cache.lookup("Money back for order B-7"), Miss)
        all_out = tuple(wording.model_copy(update={"status": status}) for wording in wordings)
        store.put(kept.model_copy(update={"wordings": all_out}), expected_revision=kept.revision)
        cache.procedures()
        assert isinstance(cache.lookup("Refund order B-7"), Miss)
