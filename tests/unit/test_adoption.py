"""What version 1 of the records kept under a fingerprint is taken over whole, wherever the taking over was stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import pytest

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.learning.kinds import Kind
from seglam_agents.records.entry import Entry, Statistics, Status, Transition
from seglam_agents.records.outcome import Hit
from seglam_agents.records.procedure import GuardSource, Procedure, Provenance, ToolUse
from seglam_agents.records.request import Request, Scope, fingerprint_of_version_1
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ModelStep, ToolStep, Trace
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.base import scopes_of
from seglam_agents.stores.edge import EdgeStore
from seglam_agents.stores.memory import MemoryStore
from seglam_agents.testing.faults import Faults, How, Killed

TAKEN_OVER = "taken over from a scope of record version 1"
"""What every build that takes over writes into the history."""
TOLD = "You tell people what they are to know."
TELL = Tool(
    name="tell",
    parameters={"type": "object", "properties": {"who": {"type": "string"}}},
    effect="write",
)
OLD = Scope(agent=fingerprint_of_version_1([TELL], TOLD))
RUN = Trace(
    request=Request(text="Tell Ann", scope=OLD),
    steps=(ToolStep(tool="tell", arguments={"who": "Ann"}, result="told"), ModelStep(text="Done.")),
    answer="Done.",
)
Store: TypeAlias = MemoryStore | EdgeStore
Snapshot: TypeAlias = dict[str, Any]


def procedure(name: str, template: str, version: int = 1) -> Procedure:
    guard = GuardSource(templates=(template,))
    return Procedure(
        id=name,
        name=name,
        version=version,
        scope=OLD,
        guard=guard,
        body="def run(who):\n    return tell(who)\n",
        parameters=TemplateGuard(guard).parameters(),
        tools=(ToolUse.of(TELL),),
        provenance=Provenance(compiler="traces", trace_ids=(RUN.id,)),
    )


def entry(of: Procedure, status: Status, hits: int = 0) -> Entry:
    line = Transition(status=status, version=of.version, why="stored by version 1 of the record")
    return Entry(procedure=of, status=status, history=(line,), statistics=Statistics(hits=hits))


def filled(store: Store) -> Store:
    """Fill a store as version 1 did: a retired procedure of two versions, a widened one, a run, two kinds."""
    for name, last in (("tell", "retired"), ("warn", "active")):
        first = store.put(entry(procedure(name, f"{name} {{who:name}}"), "active", 2), expected_revision=0)
        wider = procedure(name, f"[please] {name} {{who:name}}", 2)
        store.put(entry(wider, cast(Status, last), 5), expected_revision=first.revision)
    store.put_note(OLD, "trace", RUN.id, {"trace": RUN.model_dump_json()})
    for name in ("k1", "k2"):
        kind = Kind(id=name, vector=(1.0,), refusals=2, refused_because="open words")
        store.put_note(OLD, "kind", name, {"kind": kind.model_dump_json()})
    return store


def opened(store: Any, sandbox: MontySandbox | None = None, told: str = TOLD) -> ReasoningCache:
    tools = [HostTool(TELL, lambda who: f"told {who}")]
    return ReasoningCache(store, sandbox=sandbox, second_sandbox=None, tools=tools, system_prompt=told)


def held(store: Store, scope: Scope) -> Snapshot:
    """Return all that a scope holds, but the numbers that the store gives."""
    current = store.changes(scope).entries
    versions = {one.procedure.id: store.versions(scope, one.procedure.id) for one in current}
    return {
        "current": {one.procedure.id: _plain(one) for one in current},
        "versions": {name: [_plain(one) for one in found] for name, found in versions.items()},
        "notes": {kind: store.notes(scope, kind) for kind in ("trace", "kind", "taken over")},
        "agents": scopes_of(store, scope.tenant),
    }


def _plain(one: Entry) -> Entry:
    return one.model_copy(update={"revision": 0})


@pytest.fixture
def undisturbed(sandbox: MontySandbox) -> Snapshot:
    store = filled(MemoryStore())
    with opened(store, sandbox) as cache:
        return held(cast(Store, store), cache.scope)


def test_all_of_it_is_taken_over(undisturbed: Snapshot, sandbox: MontySandbox) -> None:
    """Every version in order, statuses, statistics, the run under its new id, kinds, and the agent's name."""
    current = undisturbed["current"]
    assert {name: (one.status, one.procedure.version) for name, one in current.items()} == {
        "tell": ("retired", 2),
        "warn": ("active", 2),
    }
    assert [one.statistics.hits for one in current.values()] == [5, 5]
    assert {len(found) for found in undisturbed["versions"].values()} == {2}
    assert len(undisturbed["notes"]["trace"]) == 1 and len(undisturbed["notes"]["kind"]) == 2
    with opened(filled(MemoryStore()), sandbox) as cache:
        assert not isinstance(cache.lookup("tell Dora"), Hit), "it was retired"
        assert isinstance(cache.lookup("please warn Dora"), Hit)
        assert cache.scope in scopes_of(cache.store, "default")


@pytest.mark.parametrize("how", ["raises", "raises after", "is killed"])
def test_stopped_at_any_call_it_is_completed_at_the_next_opening(
    undisturbed: Snapshot, sandbox: MontySandbox, how: How
) -> None:
    """The state is that of one that was not disturbed, and at no moment does a retired procedure serve."""
    number, reached = 0, True
    while reached:
        number += 1
        store = filled(MemoryStore())
        faults = Faults("store", number, how)
        with suppress(Killed):
            opened(faults.around("store", store), sandbox).close()
        reached = faults.reached and faults.calls > 0
        with opened(store, sandbox) as cache:
            assert held(cast(Store, store), cache.scope) == undisturbed, (how, number)
    assert number > 15


@pytest.mark.parametrize("how", ["raises", "is killed"])
def test_what_was_stopped_serves_nothing_that_was_retired(sandbox: MontySandbox, how: How) -> None:
    """Other workers of the agent read the store between the stop and the next opening."""
    for number in range(1, 30):
        store = filled(MemoryStore())
        with suppress(Killed):
            opened(Faults("store", number, how).around("store", store), sandbox).close()
        half = store.changes(Scope(agent=opened(MemoryStore(), sandbox).scope.agent)).entries
        assert not [one for one in half if one.procedure.id == "tell" and one.status == "active"], number


CHILD = """
import os, shutil, sys
sys.path.insert(0, sys.argv[2])
import test_adoption as t
from seglam_agents.stores.edge import EdgeStore
from seglam_agents.testing.faults import Faults, Killed

ended, number = 9, 0
while ended == 9:
    number += 1
    path = shutil.copytree(sys.argv[1], f"{sys.argv[1]}-{number}")
    process = os.fork()
    if not process:
        try:
            t.opened(Faults("store", number, sys.argv[3]).around("store", EdgeStore(path)))
        except Killed:
            os._exit(9)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
print(number, ended)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_process_that_ends_within_it_leaves_a_store_that_is_completed(
    undisturbed: Snapshot, sandbox: MontySandbox, tmp_path: Path
) -> None:
    """The same on a disk, for processes that are gone without a word, each at another call."""
    filled(EdgeStore(tmp_path / "store")).close()
    command = [sys.executable, "-c", CHILD, str(tmp_path / "store"), str(Path(__file__).parent), "is killed"]
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": path}
    ran = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    reached, ended = map(int, ran.stdout.split())
    assert ended == 0 and reached > 15
    for number in range(1, reached + 1):
        with opened(tmp_path / f"store-{number}", sandbox) as cache:
            assert held(cast(Store, cache.store), cache.scope) == undisturbed, number


def half_by_an_earlier_build(store: MemoryStore, scope: Scope, instructions: str) -> Entry:
    """Leave the first version alone in the scope of today, serving: so builds before this one were stopped."""
    first = store.versions(OLD, "tell")[0]
    line = Transition(status="active", version=1, why=TAKEN_OVER)
    moved = first.procedure.model_copy(update={"scope": scope, "instructions": instructions})
    update = {"procedure": moved, "history": (*first.history, line), "revision": 0}
    return store.put(first.model_copy(update=update), expected_revision=0)


@pytest.mark.parametrize("since", ["used", "suspended", "nothing"])
def test_what_an_earlier_build_left_half_done_is_completed(
    sandbox: MontySandbox, since: Literal["used", "suspended", "nothing"]
) -> None:
    """A procedure that was retired is retired again, with what it was used for since; other changes stay."""
    with opened(MemoryStore(), sandbox) as cache:
        scope, instructions = cache.scope, cache.instructions
    store = cast(MemoryStore, filled(MemoryStore()))
    half = half_by_an_earlier_build(store, scope, instructions)
    if since == "used":
        used = half.model_copy(update={"statistics": Statistics(hits=2 + 3)})
        store.put(used, expected_revision=half.revision)
    if since == "suspended":
        line = Transition(status="suspended", version=1, why="a run did something else")
        other = half.model_copy(update={"status": "suspended", "history": (*half.history, line)})
        store.put(other, expected_revision=half.revision)
    for _ in range(2):
        with opened(store, sandbox) as cache:
            assert not isinstance(cache.lookup("tell Dora"), Hit)
            (told,) = (one for one in cache.procedures() if one.procedure.id == "tell")
            assert told.status == "retired"
            assert told.statistics.hits == {"used": 8, "suspended": 2, "nothing": 5}[since]
            assert any(line.status == "suspended" for line in told.history) == (since == "suspended")


def test_what_was_learnt_today_is_not_overwritten(sandbox: MontySandbox) -> None:
    """A procedure of the same id, a run that was forgotten and a kind that was counted since stay as they are."""
    with opened(MemoryStore(), sandbox) as cache:
        scope = cache.scope
    store = cast(MemoryStore, filled(MemoryStore()))
    mine = procedure("tell", "tell {who:name} now").model_copy(update={"scope": scope})
    store.put(entry(mine, "active", 1), expected_revision=0)
    store.put_note(scope, "kind", "k1", {})
    with opened(store, sandbox) as cache:
        current = {one.procedure.id: one for one in cache.procedures()}
        assert current["tell"].procedure == mine and current["warn"].procedure.version == 2
        notes = store.notes(scope, "kind")
        assert notes["k1"] == {} and notes["k2"] == store.notes(OLD, "kind")["k2"]
    store.put_note(scope, "trace", next(iter(store.notes(scope, "trace"))), {})
    with opened(store, sandbox):
        assert list(store.notes(scope, "trace").values()) == [{}], "what was forgotten does not come back"


def test_runs_are_taken_over_where_there_is_no_procedure_yet(sandbox: MontySandbox) -> None:
    """What an agent remembers is evidence, with or without a procedure; so are its kinds."""
    store = MemoryStore()
    store.put_note(OLD, "trace", RUN.id, {"trace": RUN.model_dump_json()})
    kind = Kind(id="k1", vector=(1.0,), refusals=2)
    store.put_note(OLD, "kind", "k1", {"kind": kind.model_dump_json()})
    for _ in range(2):
        with opened(store, sandbox) as cache:
            (kept,) = store.notes(cache.scope, "trace").values()
            assert Trace.model_validate_json(str(kept["trace"])).request == RUN.request.model_copy(
                update={"scope": cache.scope}
            )
            assert list(store.notes(cache.scope, "kind")) == ["k1"]


def test_two_agents_of_other_prompts_do_not_take_procedures_for_each_others(sandbox: MontySandbox) -> None:
    """They share a scope today: who comes second finds the id taken, and overwrites nothing."""
    store = cast(MemoryStore, filled(MemoryStore()))
    other = Scope(agent=fingerprint_of_version_1([TELL], "Be brief."))
    for version in (1, 2):
        theirs = procedure("warn", f"caution {{who:name}} {'now' * version}", version).model_copy(
            update={"scope": other}
        )
        store.put(entry(theirs, "active"), expected_revision=0 if version == 1 else store.changes(other).revision)
    with opened(store, sandbox) as cache:
        before = store.get(cache.scope, "warn")
    with opened(store, sandbox, "Be brief.") as cache:
        assert before is not None and store.get(cache.scope, "warn") == before
