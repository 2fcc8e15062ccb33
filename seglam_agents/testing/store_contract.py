"""`StoreContract`: what every store must do. Inherit from it in a test module and give it the fixture `store`.

```python
class TestMyStore(StoreContract):
    @pytest.fixture
    def store(self) -> Iterator[FullStore]:
        store = MyStore()
        yield store
        store.close()
```

A store that outlives its process also overrides `reopen`; one whose records can be reached from outside, `damage`.
"""

# ruff: noqa: S101  # these are tests
from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import Final, Protocol, cast

from seglam_agents.records.entry import AdmissionReport, Check, Confirmation, Entry, Statistics, Transition, wordings_of
from seglam_agents.records.errors import ConflictError, SchemaError, StoreError
from seglam_agents.records.procedure import Example, GuardSource, Parameter, Procedure, Provenance
from seglam_agents.records.record import Json
from seglam_agents.records.request import Scope
from seglam_agents.records.tools import Tool
from seglam_agents.stores.base import BatchStore, NoteStore, ProcedureStore, Put, SearchableStore
from seglam_agents.testing.with_pytest import pytest

SCOPE: Final = Scope(tenant="a", agent="x")
OTHER_SCOPES: Final = (
    Scope(tenant="b", agent="x"),
    Scope(tenant="a", agent="y"),
    Scope(tenant="ax"),
    Scope(tenant="", agent="ax"),
    Scope(tenant='a", "x'),
    Scope(),
)
HALF: Final = "\ud800"
"""Half a surrogate pair: a string in Python, but in no file."""
ODD_IDS: Final = (
    "",
    " ",
    ".",
    "../a",
    "a/b?c=d#e",
    "a@1",
    "\x00",
    "line\nbreak",
    '"quoted\\"',
    "Straße",
    "e\u0301",
    "你好 \U0001f600",
    "x" * 3000,
)
DAMAGE: Final[Mapping[str, Callable[[str], str]]] = {
    "not JSON": lambda text: text[:-1],
    "not an object": lambda _: "[]",
    "empty": lambda _: "",
    "newer schema": lambda text: json.dumps({**json.loads(text), "schema": 999}),
    "unknown field": lambda text: json.dumps({**json.loads(text), "surprise": 1}),
    "another scope": lambda text: text.replace('"tenant": "a"', '"tenant": "b"'),
}


class FullStore(ProcedureStore, SearchableStore, NoteStore, Protocol):
    """A store that does everything a store can do."""


class FullBatchStore(FullStore, BatchStore, Protocol):
    """One that writes batches besides."""


class StoreContract:
    """The tests that every store passes."""

    THREADS: Final = 8
    ROUNDS: int = 12
    """How often the threads of a race meet."""

    @pytest.fixture
    def store(self) -> FullStore:
        """Return the store under test, which is empty."""
        raise NotImplementedError

    def reopen(self, store: FullStore) -> FullStore:
        """Close a store and open it again."""
        pytest.skip("this store forgets everything when it is closed")

    def damage(self, store: FullStore, entry: Entry, change: Callable[[str], str]) -> None:
        """Change the stored JSON text of the current entry of a procedure, behind the store's back."""
        pytest.skip("nobody can reach into this store from outside")

    def test_has_every_protocol(self, store: FullStore) -> None:
        """The store is a procedure store, a searchable one, and one for notes."""
        assert isinstance(store, ProcedureStore)
        assert isinstance(store, SearchableStore)
        assert isinstance(store, NoteStore)

    def test_an_empty_store_has_nothing(self, store: FullStore) -> None:
        """Reading before anything was written gives nothing, and no error."""
        assert store.get(SCOPE, "p") is None
        assert store.get(SCOPE, "p", 1) is None
        assert store.changes(SCOPE).entries == ()
        assert list(store.versions(SCOPE, "p")) == []
        assert list(store.search(SCOPE, [1.0, 0.0])) == []
        assert store.notes(SCOPE, "refused") == {}

    def test_an_entry_comes_back_as_it_was(self, store: FullStore) -> None:
        """Everything that an entry holds survives exactly, and the store only adds a revision."""
        given = full_entry("p")
        written = store.put(given, expected_revision=0)
        assert written.revision > 0
        assert written == given.model_copy(update={"revision": written.revision})
        assert store.get(SCOPE, "p") == written
        assert store.get(SCOPE, "p", 1) == written
        assert store.get(SCOPE, "p", 2) is None

    @pytest.mark.parametrize("procedure_id", ODD_IDS, ids=ascii)
    def test_odd_ids(self, store: FullStore, procedure_id: str) -> None:
        """Every string is an id, and no two are taken for each other."""
        others = [store.put(entry(other), expected_revision=0) for other in ODD_IDS if other != procedure_id]
        written = store.put(entry(procedure_id), expected_revision=0)
        assert store.get(SCOPE, procedure_id) == written
        assert list(store.versions(SCOPE, procedure_id)) == [written]
        assert list(store.changes(SCOPE).entries) == [*others, written]

    def test_ids_that_differ_in_accents_only(self, store: FullStore) -> None:
        """Ids are compared by their characters: composed and decomposed letters are two ids."""
        composed = store.put(entry("\u00e9", body="# composed"), expected_revision=0)
        decomposed = store.put(entry("e\u0301", body="# decomposed"), expected_revision=0)
        assert store.get(SCOPE, "\u00e9") == composed
        assert store.get(SCOPE, "e\u0301") == decomposed

    def test_a_string_without_utf8_is_nobodys_id(self, store: FullStore) -> None:
        """Half a surrogate pair finds nothing, because nothing can be stored under it."""
        store.put(entry("p"), expected_revision=0)
        store.put_note(SCOPE, "refused", "k", {})
        assert store.get(SCOPE, HALF) is None
        assert list(store.versions(SCOPE, HALF)) == []
        assert store.notes(SCOPE, HALF) == {}
        for scope, kind, key in ((SCOPE, "refused", HALF), (SCOPE, HALF, "k"), (Scope(tenant=HALF), "refused", "k")):
            with pytest.raises(StoreError, match="JSON"):
                store.put_note(scope, kind, key, {})
        for refused in (entry(HALF), entry("q", body=HALF), entry("q", scope=Scope(tenant=HALF))):
            with pytest.raises(StoreError, match="JSON"):
                store.put(refused, expected_revision=0)
        assert store.notes(SCOPE, "refused") == {"k": {}}
        assert [one.procedure.id for one in store.changes(SCOPE).entries] == ["p"]

    def test_a_very_long_source(self, store: FullStore) -> None:
        """A source of half a million characters, in several scripts, comes back whole."""
        body = "def run(): return 1  # naïve ✓ 你好 \U0001f600 \x00\n" * 12_000
        written = store.put(entry("p", body=body), expected_revision=0)
        assert store.get(SCOPE, "p") == written

    def test_creating_twice_is_a_conflict(self, store: FullStore) -> None:
        """`expected_revision=0` means that the id must not exist yet."""
        first = store.put(entry("p"), expected_revision=0)
        with pytest.raises(ConflictError):
            store.put(entry("p", body="# other"), expected_revision=0)
        assert store.get(SCOPE, "p") == first

    def test_a_stale_writer_loses(self, store: FullStore) -> None:
        """Who read an older revision cannot write, and changes nothing by trying."""
        first = store.put(entry("p"), expected_revision=0)
        second = store.put(first, expected_revision=first.revision)
        before = store.changes(SCOPE)
        for expected in (first.revision, second.revision + 1, 0, -1):
            with pytest.raises(ConflictError):
                store.put(entry("p", version=2), expected_revision=expected, vector=[1.0, 2.0])
        assert store.get(SCOPE, "p") == second
        assert store.get(SCOPE, "p", 2) is None
        assert store.changes(SCOPE) == before

    def test_replacing_what_is_not_there_is_a_conflict(self, store: FullStore) -> None:
        """A procedure that does not exist has no revision to replace."""
        store.put(entry("other"), expected_revision=0)
        with pytest.raises(ConflictError):
            store.put(entry("p"), expected_revision=1)
        assert store.get(SCOPE, "p") is None

    def test_the_revision_of_the_entry_is_not_trusted(self, store: FullStore) -> None:
        """The store numbers entries itself, whatever number they came with."""
        written = store.put(entry("p").model_copy(update={"revision": 10**9}), expected_revision=0)
        assert written.revision < 10**9
        assert store.get(SCOPE, "p") == written

    def test_one_winner_a_round(self, store: FullStore) -> None:
        """Of threads that write the same procedure at the same time, exactly one gets through."""
        revision = 0
        with ThreadPoolExecutor(self.THREADS) as pool:
            for _ in range(self.ROUNDS):
                won = _race(pool, self.THREADS, store, revision)
                assert len(won) == 1
                assert store.get(SCOPE, "raced") == won[0]
                assert won[0].revision > revision
                revision = won[0].revision

    def test_threads_do_not_lose_each_others_writes(self, store: FullStore) -> None:
        """Threads that write different procedures all succeed, each under a revision of its own."""
        names = [f"p{number}" for number in range(4 * self.THREADS)]
        with ThreadPoolExecutor(self.THREADS) as pool:
            writing = [pool.submit(store.put, entry(name), expected_revision=0) for name in names]
        written = [task.result() for task in writing]
        assert len({one.revision for one in written}) == len(names)
        assert list(store.changes(SCOPE).entries) == sorted(written, key=lambda one: one.revision)

    def test_versions_are_kept(self, store: FullStore) -> None:
        """Every version stays readable in its latest state, whichever is the current one."""
        first = store.put(entry("p", version=1), expected_revision=0)
        tenth = store.put(entry("p", version=10, body="# 10"), expected_revision=first.revision)
        second = store.put(entry("p", version=2, body="# 2"), expected_revision=tenth.revision)
        hit = second.model_copy(update={"statistics": Statistics(hits=1)})
        latest = store.put(hit, expected_revision=second.revision)
        assert list(store.versions(SCOPE, "p")) == [first, latest, tenth]
        assert [store.get(SCOPE, "p", version) for version in (1, 2, 10)] == [first, latest, tenth]
        assert store.get(SCOPE, "p") == latest

    def test_going_back_to_an_old_version(self, store: FullStore) -> None:
        """The current entry is the one written last, not the one with the highest version."""
        first = store.put(entry("p", version=1), expected_revision=0)
        second = store.put(entry("p", version=2), expected_revision=first.revision)
        again = store.put(first, expected_revision=second.revision)
        assert store.get(SCOPE, "p") == again
        assert list(store.versions(SCOPE, "p")) == [again, second]

    def test_changes_since_a_revision(self, store: FullStore) -> None:
        """The feed gives each procedure that was written since, in its current state, oldest write first."""
        first = store.put(entry("p"), expected_revision=0)
        second = store.put(entry("q"), expected_revision=0)
        everything = store.changes(SCOPE)
        assert everything.entries == (first, second)
        assert store.changes(SCOPE, everything.revision).entries == ()
        third = store.put(first, expected_revision=first.revision)
        news = store.changes(SCOPE, everything.revision)
        assert news.entries == (third,)
        assert news.revision > everything.revision
        assert store.changes(SCOPE).entries == (second, third)

    def test_changes_after_a_revision_that_is_not_there(self, store: FullStore) -> None:
        """Who comes with a revision of another store, or of one that was restored, gets everything."""
        written = store.put(entry("p"), expected_revision=0)
        assert store.changes(SCOPE, 10**6).entries == (written,)

    def test_more_changes_than_a_page(self, store: FullStore) -> None:
        """The feed is whole however long it is."""
        written = [store.put(entry(f"p{number}"), expected_revision=0) for number in range(300)]
        assert list(store.changes(SCOPE).entries) == written
        assert list(store.changes(SCOPE, written[9].revision).entries) == written[10:]

    def test_the_feed_never_skips(self, store: FullStore) -> None:
        """A reader that follows the feed while others write has seen every last state in the end."""
        names = [f"p{number}" for number in range(self.THREADS * 6)]
        with ThreadPoolExecutor(self.THREADS) as pool:
            writing = [pool.submit(_write_twice, store, name) for name in names]
            seen: dict[str, Entry] = {}
            revision, finished = 0, False
            while not finished:
                # Asked before the feed is read: what was written before this is in what is read now.
                finished = all(task.done() for task in writing)
                news = store.changes(SCOPE, revision)
                assert news.revision >= revision
                revision = news.revision
                seen.update((one.procedure.id, one) for one in news.entries)
        assert seen == {task.result().procedure.id: task.result() for task in writing}

    @pytest.mark.parametrize("other", OTHER_SCOPES, ids=repr)
    def test_scopes_do_not_see_each_other(self, store: FullStore, other: Scope) -> None:
        """Nothing of one tenant or agent is found by another, by any way of looking."""
        written = store.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
        store.put_note(SCOPE, "refused", "k", {"secret": 1})
        assert store.get(other, "p") is None
        assert store.get(other, "p", 1) is None
        assert store.changes(other).entries == ()
        assert list(store.versions(other, "p")) == []
        assert list(store.search(other, [1.0, 0.0])) == []
        assert store.notes(other, "refused") == {}
        assert store.get(SCOPE, "p") == written

    @pytest.mark.parametrize("other", OTHER_SCOPES, ids=repr)
    def test_scopes_do_not_disturb_each_other(self, store: FullStore, other: Scope) -> None:
        """The same id, version, vector and note in two scopes are two of each."""
        mine = store.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
        store.put_note(SCOPE, "refused", "k", {"mine": True})
        before = store.changes(SCOPE)
        theirs = store.put(entry("p", scope=other, body="# theirs"), expected_revision=0, vector=[1.0, 0.0])
        store.put_note(other, "refused", "k", {"mine": False})
        assert store.changes(SCOPE) == before
        assert (store.get(SCOPE, "p"), store.get(other, "p")) == (mine, theirs)
        assert list(store.versions(SCOPE, "p")) == [mine]
        assert [match.entry for match in store.search(SCOPE, [1.0, 0.0])] == [mine]
        assert store.notes(SCOPE, "refused") == {"k": {"mine": True}}

    def test_the_nearest_is_found_first(self, store: FullStore) -> None:
        """Search orders by the angle between vectors, whatever their lengths."""
        for name, vector in {"far": [-1.0, 0.1], "near": [50.0, 1.0], "middle": [1.0, 1.0]}.items():
            store.put(entry(name), expected_revision=0, vector=vector)
        matches = store.search(SCOPE, [2.0, 0.0])
        assert [match.entry.procedure.id for match in matches] == ["near", "middle", "far"]
        assert [match.score for match in matches] == pytest.approx([0.9998, 0.7071, -0.995], abs=1e-3)
        assert [match.entry.procedure.id for match in store.search(SCOPE, [2.0, 0.0], limit=1)] == ["near"]

    def test_search_finds_current_entries_only(self, store: FullStore) -> None:
        """A procedure with many versions is found once, as it is now, and where its newest vector is."""
        first = store.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
        second = store.put(entry("p", version=2), expected_revision=first.revision, vector=[0.0, 1.0])
        store.put(entry("without"), expected_revision=0)
        matches = store.search(SCOPE, [0.0, 1.0])
        assert [match.entry for match in matches] == [second]
        assert matches[0].score == pytest.approx(1.0)

    def test_a_vector_is_kept(self, store: FullStore) -> None:
        """Writing without a vector leaves the stored one in place."""
        first = store.put(entry("p"), expected_revision=0, vector=[3.0, 4.0])
        second = store.put(entry("p", version=2), expected_revision=first.revision)
        third = store.put(second, expected_revision=second.revision)
        matches = store.search(SCOPE, [3.0, 4.0])
        assert [match.entry for match in matches] == [third]
        assert matches[0].score == pytest.approx(1.0)

    def test_a_vector_may_come_later(self, store: FullStore) -> None:
        """A procedure that was written without a vector can be given one."""
        first = store.put(entry("p"), expected_revision=0)
        assert list(store.search(SCOPE, [1.0, 0.0])) == []
        second = store.put(first, expected_revision=first.revision, vector=[1.0, 0.0])
        assert [match.entry for match in store.search(SCOPE, [1.0, 0.0])] == [second]

    @pytest.mark.parametrize("vector", [[1.0], [1.0, 2.0, 3.0], [], [math.nan, 1.0], [math.inf, 1.0]], ids=repr)
    def test_a_wrong_vector_is_refused(self, store: FullStore, vector: list[float]) -> None:
        """A vector of another length, or of no numbers, is neither stored nor searched for."""
        first = store.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
        with pytest.raises(StoreError, match="vector"):
            store.put(first, expected_revision=first.revision, vector=vector)
        with pytest.raises(StoreError, match="vector"):
            store.put(entry("q", scope=OTHER_SCOPES[0]), expected_revision=0, vector=vector)
        with pytest.raises(StoreError, match="vector"):
            store.search(SCOPE, vector)
        assert store.changes(SCOPE).entries == (first,)
        assert store.get(OTHER_SCOPES[0], "q") is None

    def test_notes(self, store: FullStore) -> None:
        """Notes are kept by kind and key, and the last writer wins."""
        document: dict[str, Json] = {"reason": "naïve \U0001f600", "n": [1, None, {"x": 0.1}], "big": 2**80}
        store.put_note(SCOPE, "refused", "k", {"old": True})
        store.put_note(SCOPE, "refused", "k", document)
        store.put_note(SCOPE, "refused", "", {})
        store.put_note(SCOPE, "spent", "k", {"tokens": 5})
        assert store.notes(SCOPE, "refused") == {"k": document, "": {}}
        assert store.notes(SCOPE, "spent") == {"k": {"tokens": 5}}
        assert store.notes(SCOPE, "other") == {}
        assert store.changes(SCOPE).entries == ()

    def test_many_notes_from_many_threads(self, store: FullStore) -> None:
        """No note is lost, however many are written at once."""
        with ThreadPoolExecutor(self.THREADS) as pool:
            writing = [pool.submit(store.put_note, SCOPE, "spent", str(n), {"n": n}) for n in range(300)]
        assert [task.result() for task in writing] == [None] * 300
        assert store.notes(SCOPE, "spent") == {str(n): {"n": n} for n in range(300)}

    def test_what_is_given_and_got_is_no_part_of_the_store(self, store: FullStore) -> None:
        """Changing a document after it was written or read changes nothing that is stored."""
        document: dict[str, Json] = {"n": [1]}
        store.put_note(SCOPE, "spent", "k", document)
        document["n"] = 2
        store.notes(SCOPE, "spent")["k"]["n"] = 3
        assert store.notes(SCOPE, "spent") == {"k": {"n": [1]}}

    def test_a_batch_is_written_in_its_order(self, store: FullStore) -> None:
        """`put_many` numbers entries as single puts would, and leaves vectors as they do."""
        batching = _batching(store)
        old = store.put(entry("old"), expected_revision=0, vector=[1.0, 0.0])
        written = batching.put_many([Put(entry("new"), 0, [0.0, 1.0]), Put(entry("old", version=2), old.revision)])
        assert [one.revision for one in written] == [old.revision + 1, old.revision + 2]
        assert list(store.changes(SCOPE).entries) == list(written)
        assert [match.entry.procedure.id for match in store.search(SCOPE, [1.0, 0.1])] == ["old", "new"]
        assert list(batching.put_many([])) == []

    def test_a_batch_with_a_conflict_leaves_no_trace(self, store: FullStore) -> None:
        """One entry that lost a race refuses the whole batch."""
        batching = _batching(store)
        store.put(entry("p"), expected_revision=0)
        before = store.changes(SCOPE)
        with pytest.raises(ConflictError):
            batching.put_many([Put(entry("q"), 0, [1.0]), Put(entry("p"), 0), Put(entry("r"), 0)])
        assert store.changes(SCOPE) == before
        # The first vector was refused as well: it does not decide how long vectors are.
        assert store.put(entry("q"), expected_revision=0, vector=[1.0, 0.0]).revision > 0

    def test_reopening(self, store: FullStore) -> None:
        """A store that is opened again holds what it held, and counts on where it stopped."""
        first = store.put(full_entry("p"), expected_revision=0, vector=[1.0, 0.0])
        second = store.put(entry("p", version=2), expected_revision=first.revision)
        store.put_note(SCOPE, "refused", "k", {"n": 1})
        before = store.changes(SCOPE)
        with closing(self.reopen(store)) as again:
            assert again.changes(SCOPE) == before
            assert list(again.versions(SCOPE, "p")) == [first, second]
            assert [match.entry for match in again.search(SCOPE, [1.0, 0.0])] == [second]
            assert again.notes(SCOPE, "refused") == {"k": {"n": 1}}
            with pytest.raises(StoreError, match="length"):
                again.put(entry("q"), expected_revision=0, vector=[1.0])
            third = again.put(entry("q"), expected_revision=0)
            assert again.changes(SCOPE, before.revision).entries == (third,)

    def test_reopening_an_empty_store(self, store: FullStore) -> None:
        """A store that was opened and never written to can be opened again."""
        with closing(self.reopen(store)) as again:
            assert again.changes(SCOPE).entries == ()
            assert again.put(entry("p"), expected_revision=0) == again.get(SCOPE, "p")

    @pytest.mark.parametrize("kind", DAMAGE)
    def test_a_damaged_record_hides_nothing_else(
        self, store: FullStore, caplog: pytest.LogCaptureFixture, kind: str
    ) -> None:
        """A record that cannot be read is an error when asked for, a warning in the feed, and can be replaced."""
        bad = store.put(entry("bad"), expected_revision=0, vector=[1.0, 0.0])
        good = store.put(entry("good"), expected_revision=0, vector=[0.0, 1.0])
        self.damage(store, bad, DAMAGE[kind])
        with pytest.raises(SchemaError):
            store.get(SCOPE, "bad")
        with caplog.at_level(logging.WARNING, logger="seglam_agents.stores"):
            assert store.changes(SCOPE).entries == (good,)
        assert [(record.name, "'bad'" in record.getMessage()) for record in caplog.records] == [
            ("seglam_agents.stores", True)
        ]
        assert [match.entry for match in store.search(SCOPE, [1.0, 0.0])] == [good]
        mended = store.put(entry("bad"), expected_revision=bad.revision)
        assert store.changes(SCOPE).entries == (good, mended)

    def test_closing_twice(self, store: FullStore) -> None:
        """A store may be closed again, also by several threads."""
        store.put(entry("p"), expected_revision=0)
        with ThreadPoolExecutor(4) as pool:
            closing_it = [pool.submit(store.close) for _ in range(8)]
        assert [task.result() for task in closing_it] == [None] * 8
        store.close()

    def test_closing_while_others_write(self, store: FullStore) -> None:
        """Writers that are surprised by `close` get a `StoreError`, and what they were told is written stays so."""
        started = [threading.Event() for _ in range(self.THREADS)]
        with ThreadPoolExecutor(self.THREADS) as pool:
            writing = [pool.submit(_write_until_closed, store, f"{n}-", event) for n, event in enumerate(started)]
            for event in started:
                assert event.wait(60)
            store.close()
        acknowledged = [one for task in writing for one in task.result()]
        with closing(self.reopen(store)) as again:
            kept = again.changes(SCOPE).entries
            assert {one.procedure.id: one for one in kept}.items() >= {
                one.procedure.id: one for one in acknowledged
            }.items()

    def test_a_closed_store_says_so(self, store: FullStore) -> None:
        """Whatever is done with a closed store is a `StoreError` that says why."""
        written = store.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
        store.put_note(SCOPE, "refused", "k", {})
        store.close()
        calls: Sequence[Callable[[], object]] = (
            lambda: store.put(entry("q"), expected_revision=0),
            lambda: store.put(written, expected_revision=written.revision, vector=[1.0, 0.0]),
            lambda: store.get(SCOPE, "p"),
            lambda: store.get(SCOPE, "p", 1),
            lambda: store.changes(SCOPE),
            lambda: store.versions(SCOPE, "p"),
            lambda: store.search(SCOPE, [1.0, 0.0]),
            lambda: store.put_note(SCOPE, "refused", "k", {}),
            lambda: store.notes(SCOPE, "refused"),
        )
        for call in calls:
            with pytest.raises(StoreError, match="closed"):
                call()


def entry(
    procedure_id: str, *, version: int = 1, scope: Scope = SCOPE, body: str = "def run(x): return x", hits: int = 0
) -> Entry:
    """Return a small entry that was never written."""
    procedure = Procedure(
        id=procedure_id,
        version=version,
        name="double a number",
        scope=scope,
        guard=GuardSource(templates=("double {x:number}",)),
        body=body,
        provenance=Provenance(compiler="contract"),
    )
    return Entry(
        procedure=procedure, status="active", wordings=wordings_of(procedure), statistics=Statistics(hits=hits)
    )


def full_entry(procedure_id: str) -> Entry:
    """Return an entry in which every field that a store could spoil holds something."""
    small = entry(procedure_id)
    tool = Tool(name="weather", effect="read")
    answers: tuple[Json, ...] = (None, True, 2**80, 0.1 + 0.2, 1e300, "naïve \x00 \U0001f600", [{"a": []}], {"": {}})
    fields = {
        "parameters": (Parameter(name="x", slot="number", optional=True),),
        "examples": tuple(Example(text=f"{tool.name} {n}", answer=answer) for n, answer in enumerate(answers)),
        "counterexamples": (Example(text="tremble", context={"n": [1, {"b": 0.5}]}, origin="mutation"),),
        "provenance": Provenance(
            compiler="model", trace_ids=("t1", "t2"), created_at=datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=UTC)
        ),
    }
    procedure = small.procedure.model_copy(update=fields)
    line = Transition(status="shadow", version=1, why="conditions", at=datetime(2024, 2, 29, tzinfo=UTC))
    return Entry(
        procedure=procedure,
        status="shadow",
        history=(line,),
        wordings=wordings_of(procedure, ["t1"]),
        confirmations=(Confirmation(conditions="c", agreed=("t3",)),),
        report=AdmissionReport(checks=(Check(name="replay", verdict="passed", cases=3),)),
        statistics=Statistics(hits=7, saved_tokens=10**12),
    )


def _race(pool: ThreadPoolExecutor, threads: int, store: FullStore, revision: int) -> list[Entry]:
    start = threading.Barrier(threads)

    def write(number: int) -> Entry | None:
        start.wait()
        try:
            return store.put(entry("raced", hits=number), expected_revision=revision)
        except ConflictError:
            return None

    return [one for one in pool.map(write, range(threads)) if one is not None]


def _write_until_closed(store: FullStore, prefix: str, started: threading.Event) -> list[Entry]:
    written: list[Entry] = []
    try:
        while True:
            written.append(store.put(entry(f"{prefix}{len(written)}"), expected_revision=0))
            started.set()
            assert store.get(SCOPE, written[-1].procedure.id) == written[-1]
    except StoreError:
        return written


def _batching(store: FullStore) -> FullBatchStore:
    if not isinstance(store, BatchStore):
        pytest.skip("this store writes no batches")
    return cast(FullBatchStore, store)


def _write_twice(store: FullStore, procedure_id: str) -> Entry:
    first = store.put(entry(procedure_id), expected_revision=0)
    return store.put(entry(procedure_id, version=2), expected_revision=first.revision)
