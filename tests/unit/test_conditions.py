"""What the agent is told and the schemas of its tools are conditions: where they change, procedures run in shadow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

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
    assert "instructions changed" in stop.reason and "0 of 2 runs agree" in stop.reason


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


@pytest.mark.parametrize(("effect", "needed"), [("read", 1), ("write", 2)])
def test_enough_agreeing_runs_bring_it_back(opened: Open, effect: Effect, needed: int) -> None:
    """Under changed instructions it serves again after one agreeing run where it reads, after two where it writes."""
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
    mended.observe(run_of("A-1"))
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
    cache.observe(run_of("A-1"))
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
        for number, dollars in enumerate((10, 12)):
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
            for order in ("B-1", "B-2"):
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
        for number, dollars in enumerate((10, 12)):
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
        """Learnt as reading, declared as writing now: two runs have to agree, and a named request writes once."""
        store, wrong, right = MemoryStore(), refund_tool("read"), refund_tool("write")
        learnt(opened(store, MAY, wrong), wrong, MAY)
        cache = opened(store, MAY, right)
        cache.observe(run_of("A-1"))
        assert isinstance(cache.lookup("Refund order B-7"), Miss), "one run is not enough for what writes"
        cache.observe(run_of("A-2"))
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
