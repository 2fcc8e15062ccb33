"""The store contract on memory, a local Qdrant client, the embedded store, and Qdrant over HTTP."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

import pytest
from qdrant_client import QdrantClient

from seglam_agents.records.entry import Entry
from seglam_agents.records.errors import ConflictError, StoreError
from seglam_agents.stores.base import Changes
from seglam_agents.stores.edge import EdgeStore
from seglam_agents.stores.layout import checksum, dump_entry, point_id
from seglam_agents.stores.ledger import REMEMBERED, Ledger, Write
from seglam_agents.stores.memory import MemoryStore
from seglam_agents.stores.opening import open_store
from seglam_agents.stores.qdrant import QdrantStore
from seglam_agents.testing.qdrant_shim import Fault, QdrantShim
from seglam_agents.testing.store_contract import SCOPE, FullStore, StoreContract, entry


@pytest.fixture
def shim() -> Iterator[QdrantShim]:
    with QdrantShim() as shim:
        yield shim


@pytest.fixture
def pair(shim: QdrantShim) -> Iterator[tuple[QdrantStore, QdrantStore]]:
    with closing(QdrantStore(url=shim.url)) as one, closing(QdrantStore(url=shim.url)) as other:
        yield one, other


class TestMemoryStore(StoreContract):
    """The contract in memory."""

    @pytest.fixture
    def store(self) -> Iterator[FullStore]:
        """Give the store under test, and close it."""
        store = MemoryStore()
        yield store
        store.close()

    def damage(self, store: FullStore, entry: Entry, change: Callable[[str], str]) -> None:
        """Change the stored text of the current entry."""
        assert isinstance(store, MemoryStore)
        heads = store._shelf(entry.procedure.scope).heads
        head = heads[entry.procedure.id]
        heads[entry.procedure.id] = replace(head, text=change(head.text))


class TestEdgeStore(StoreContract):
    """The contract on disk."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[FullStore]:
        """Give the store under test, and close it."""
        store = EdgeStore(tmp_path / "store")
        yield store
        store.close()

    def reopen(self, store: FullStore) -> FullStore:
        """Close the store and open it again."""
        assert isinstance(store, EdgeStore)
        store.close()
        return EdgeStore(store._path)

    def damage(self, store: FullStore, entry: Entry, change: Callable[[str], str]) -> None:
        """Change the stored text of the current entry."""
        assert isinstance(store, EdgeStore)
        text = change(dump_entry(entry))
        with closing(sqlite3.connect(store._path / "store.sqlite", isolation_level=None)) as connection:
            connection.execute(
                "UPDATE procedures SET entry = ?, checksum = ? WHERE id = ? AND version = ?",
                [text, checksum(text), entry.procedure.id, entry.procedure.version],
            )


class QdrantContract(StoreContract):
    """The contract on any Qdrant."""

    def damage(self, store: FullStore, entry: Entry, change: Callable[[str], str]) -> None:
        """Change the stored text of the current entry."""
        assert isinstance(store, QdrantStore)
        head = store._point(store._procedures, point_id("head", entry.procedure.scope, entry.procedure.id))
        store._open().set_payload(store._procedures, {"entry": change(head.payload["entry"])}, [head.id])


class TestLocalQdrantStore(QdrantContract):
    """The contract on a client that keeps everything in memory."""

    @pytest.fixture
    def store(self) -> Iterator[FullStore]:
        """Give the store under test, and close it."""
        store = QdrantStore(":memory:")
        yield store
        store.close()


class TestRemoteQdrantStore(QdrantContract):
    """The contract through the remote client, over HTTP."""

    @pytest.fixture
    def store(self, shim: QdrantShim) -> Iterator[FullStore]:
        """Give the store under test, and close it."""
        store = QdrantStore(url=shim.url)
        yield store
        store.close()

    def reopen(self, store: FullStore) -> FullStore:
        """Close the store and open it again."""
        assert isinstance(store, QdrantStore)
        store.close()
        return QdrantStore(url=store._where)


@pytest.mark.server
@pytest.mark.skipif("QDRANT_URL" not in os.environ, reason="set QDRANT_URL to the address of a Qdrant server")
class TestServerQdrantStore(QdrantContract):
    """The contract on a real server, in collections of its own that are deleted afterwards."""

    @pytest.fixture
    def store(self) -> Iterator[FullStore]:
        """Give the store under test, and close it."""
        store = _server_store(f"contract-{uuid4().hex}")
        yield store
        _delete_collections(store)

    def reopen(self, store: FullStore) -> FullStore:
        """Close the store and open it again."""
        assert isinstance(store, QdrantStore)
        store.close()
        return _server_store(store._procedures.removesuffix("-procedures"))


class TestSharedServer:
    """What two clients of one server promise each other."""

    def test_one_winner_a_round(self, pair: tuple[QdrantStore, QdrantStore]) -> None:
        """Of the threads of two clients that write the same procedure, exactly one gets through."""
        revision = 0
        with ThreadPoolExecutor(8) as pool:
            for _ in range(10):
                writers = [pool.submit(_put_or_lose, store, revision) for store in pair * 4]
                won = [written for writer in writers if (written := writer.result())]
                assert len(won) == 1
                assert [store.get(SCOPE, "p") for store in pair] == won * 2
                revision = won[0].revision

    def test_two_clients_may_both_be_the_first(self, shim: QdrantShim) -> None:
        """Clients that find an empty server at the same time make its collections together."""
        with ThreadPoolExecutor(4) as pool:
            written = list(pool.map(lambda name: _put_with_a_new_client(shim.url, name), "abcd"))
        with closing(QdrantStore(url=shim.url)) as store:
            assert list(store.changes(SCOPE).entries) == sorted(written, key=lambda one: one.revision)
            assert len(store.search(SCOPE, [1.0, 0.0])) == 4

    def test_the_feed_is_the_same_for_all(self, pair: tuple[QdrantStore, QdrantStore]) -> None:
        """Revisions of one scope are counted together, whichever client wrote."""
        first = pair[0].put(entry("p"), expected_revision=0)
        second = pair[1].put(entry("q"), expected_revision=0)
        third = pair[0].put(first, expected_revision=first.revision)
        assert first.revision < second.revision < third.revision
        assert pair[0].changes(SCOPE) == pair[1].changes(SCOPE) == Changes(third.revision, (second, third))

    def test_the_write_of_a_dead_writer_is_finished_by_the_next(
        self, pair: tuple[QdrantStore, QdrantStore], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A writer that dies after its claim holds up nobody, and readers do not count its write too early."""
        with monkeypatch.context() as patch:
            patch.setattr(pair[0], "_apply", _die)
            with pytest.raises(Dead):
                pair[0].put(entry("claimed"), expected_revision=0, vector=[1.0, 0.0])
        assert pair[1].changes(SCOPE) == Changes(0, ())
        with pytest.raises(ConflictError):
            pair[1].put(entry("claimed"), expected_revision=0)
        second = pair[1].put(entry("q"), expected_revision=0)
        claimed = pair[1].get(SCOPE, "claimed")
        assert claimed is not None
        assert pair[1].changes(SCOPE) == Changes(second.revision, (claimed, second))
        assert [match.entry for match in pair[0].search(SCOPE, [1.0, 0.0])] == [claimed]

    def test_a_late_write_changes_nothing(
        self, pair: tuple[QdrantStore, QdrantStore], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A writer that stalls after its claim, and wakes when others have gone on, overwrites nothing."""
        late: list[Write] = []
        with monkeypatch.context() as patch:
            patch.setattr(pair[0], "_apply", lambda _, write: late.append(write) or _die())
            with pytest.raises(Dead):
                pair[0].put(entry("p", body="# late"), expected_revision=0)
        with pytest.raises(ConflictError):
            pair[1].put(entry("p"), expected_revision=0)
        stalled = pair[1].get(SCOPE, "p")
        assert stalled is not None
        newer = pair[1].put(entry("p", body="# newer"), expected_revision=stalled.revision)
        pair[0]._apply(SCOPE, late[0])
        assert pair[0].get(SCOPE, "p") == pair[0].get(SCOPE, "p", 1) == newer

    def test_a_writer_that_was_overtaken_learns_that_it_went_through(self) -> None:
        """A claim is recognised among later ones, and one that is too old to tell is an error, never a guess."""
        write = Write(1, {"procedure_id": "p", "version": 1}, None)
        claimed = Ledger().claim("mine", write)
        later = claimed
        for number in range(2, REMEMBERED + 1):
            later = later.claim(f"other{number}", Write(number, write.payload, None))
        assert later.went_through(claimed)
        assert not Ledger().claim("theirs", write).went_through(claimed)
        with pytest.raises(StoreError, match="overtaken"):
            later.claim("one more", Write(REMEMBERED + 1, write.payload, None)).went_through(claimed)


class TestFaultyServer:
    """What a server may do to a write, each shown by the stand-in."""

    LEDGERS, PROCEDURES = "seglam-ledgers", "seglam-procedures"

    def test_an_older_ledger_is_restored(self, shim: QdrantShim) -> None:
        """With a ledger that is older than the heads, a write is stored all the same, and the feed skips nothing."""
        with closing(QdrantStore(url=shim.url)) as store:
            first = store.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
            saved = shim.save(self.LEDGERS)
            for number in range(3):
                first = store.put(first, expected_revision=first.revision)
                store.put(entry(f"q{number}"), expected_revision=0)
        shim.restore(self.LEDGERS, saved)
        with closing(QdrantStore(url=shim.url)) as store:
            seen = store.changes(SCOPE)
            second = store.put(entry("p", version=2), expected_revision=first.revision)
            other = store.put(entry("new"), expected_revision=0)
            assert store.get(SCOPE, "p") == second and store.get(SCOPE, "new") == other
            assert {one.procedure.id for one in store.changes(SCOPE, seen.revision).entries} >= {"p", "new"}
            revisions = [one.revision for one in store.changes(SCOPE).entries]
            assert len(set(revisions)) == len(revisions) == 5

    def test_older_procedures_are_restored(self, shim: QdrantShim) -> None:
        """With heads that are older than the ledger, the next writes are stored, above all earlier revisions."""
        with closing(QdrantStore(url=shim.url)) as store:
            first = store.put(entry("p"), expected_revision=0)
            saved = shim.save(self.PROCEDURES)
            second = store.put(entry("p", version=2), expected_revision=first.revision)
            shim.restore(self.PROCEDURES, saved)
            third = store.put(entry("p", version=3), expected_revision=first.revision)
            assert third.revision > second.revision and store.get(SCOPE, "p") == third
            assert store.changes(SCOPE, second.revision).entries == (third,)

    def test_a_ledger_that_is_lost_under_a_running_store(self, shim: QdrantShim) -> None:
        """A store that wrote before goes on when all ledgers are gone, and stores what it says it stored."""
        with closing(QdrantStore(url=shim.url)) as store:
            first = store.put(entry("p"), expected_revision=0)
            first = store.put(first, expected_revision=first.revision)
            shim.restore(self.LEDGERS, [])
            second = store.put(entry("p", version=2), expected_revision=first.revision)
            assert store.get(SCOPE, "p") == second and second.revision > first.revision

    def test_a_write_that_is_not_held_is_an_error(self, shim: QdrantShim, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where a head is not there after it was written, `put` says so instead of reporting success."""
        with closing(QdrantStore(url=shim.url)) as store:
            monkeypatch.setattr(store, "_apply", lambda *_: None)
            with pytest.raises(StoreError, match="does not hold it"):
                store.put(entry("p"), expected_revision=0)

    @pytest.mark.parametrize("carried_out", [True, False], ids=["after", "before"])
    @pytest.mark.parametrize("nth", range(4))
    @pytest.mark.parametrize("status", [None, 500, 503, 429], ids=["lost", "500", "503", "429"])
    def test_a_reply_is_lost_at_every_step(
        self, shim: QdrantShim, nth: int, status: int | None, carried_out: bool
    ) -> None:
        """Whichever write of a put goes unanswered, it succeeds, once: a write that went in is no conflict."""
        with closing(QdrantStore(url=shim.url)) as store:
            first = store.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
            path = f"/collections/({self.LEDGERS}|{self.PROCEDURES})/points"
            shim.inject(Fault(path=path, status=status, carried_out=carried_out, skip=nth))
            second = store.put(entry("p", version=2), expected_revision=first.revision)
            shim.calm()
            assert store.get(SCOPE, "p") == second == store.get(SCOPE, "p", 2)
            assert store.changes(SCOPE, first.revision) == Changes(second.revision, (second,))
            with pytest.raises(ConflictError):
                store.put(entry("p", version=3), expected_revision=first.revision)

    @pytest.mark.parametrize("late", [1, 2])
    @pytest.mark.parametrize("first_of_its_scope", [True, False])
    def test_the_ledger_is_read_too_late(self, shim: QdrantShim, late: int, first_of_its_scope: bool) -> None:
        """A read of the ledger that does not show the own claim yet is no conflict."""
        with closing(QdrantStore(url=shim.url)) as store:
            before = None if first_of_its_scope else store.put(entry("p"), expected_revision=0)
            shim.on_write(self.LEDGERS, lambda: shim.read_late(self.LEDGERS, late))
            written = store.put(entry("p", version=2), expected_revision=before.revision if before else 0)
            assert store.get(SCOPE, "p") == written
            assert store.changes(SCOPE) == Changes(written.revision, (written,))

    def test_a_real_conflict_stays_one(self, pair: tuple[QdrantStore, QdrantStore], shim: QdrantShim) -> None:
        """When the reply to a claim is lost and somebody else was faster, it is a conflict."""
        first = pair[0].put(entry("p"), expected_revision=0)
        shim.inject(Fault(path=f"/collections/{self.LEDGERS}/points", status=None))
        second = pair[1].put(entry("p", version=2), expected_revision=first.revision)
        shim.inject(Fault(path=f"/collections/{self.LEDGERS}/points", status=None))
        with pytest.raises(ConflictError):
            pair[0].put(entry("p", version=3), expected_revision=first.revision)
        assert pair[0].get(SCOPE, "p") == second

    def test_a_write_that_the_server_refuses_holds_up_nobody(
        self, pair: tuple[QdrantStore, QdrantStore], shim: QdrantShim, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A write that was claimed and is refused for good is dropped, and the scope goes on."""
        kept = pair[0].put(entry("kept"), expected_revision=0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pair[0], "_apply", _die)
            with pytest.raises(Dead):
                pair[0].put(entry("refused"), expected_revision=0)
        shim.inject(Fault(path=f"/collections/{self.PROCEDURES}/points", status=413))
        with caplog.at_level(logging.WARNING, logger="seglam_agents.stores"):
            second = pair[1].put(entry("q"), expected_revision=0)
        assert "dropped a write of 'refused'" in caplog.text
        for store in pair:
            assert store.changes(SCOPE).entries == (kept, second) and store.get(SCOPE, "refused") is None
        third = pair[0].put(entry("refused"), expected_revision=0)
        assert pair[1].get(SCOPE, "refused") == third

    def test_an_entry_that_is_too_large_leaves_no_trace(self) -> None:
        """An entry that the server will not take is an error at once, and the scope goes on."""
        with QdrantShim(largest=100_000) as shim, closing(QdrantStore(url=shim.url)) as store:
            with pytest.raises(StoreError, match="will not take this"):
                store.put(entry("p", body="#" * 100_000), expected_revision=0)
            written = store.put(entry("q", body="#" * 20_000), expected_revision=0)
            assert store.changes(SCOPE).entries == (written,)

    def test_vectors_of_another_length_after_a_restore(self, shim: QdrantShim) -> None:
        """A store that knew the collection with other vectors finds out, says so, and holds up nobody."""
        with closing(QdrantStore(url=shim.url)) as store:
            store.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
            with closing(QdrantStore(url=shim.url)) as cleaner:
                cleaner._open().delete_collection(self.PROCEDURES)
                cleaner.put(entry("q"), expected_revision=0, vector=[1.0, 0.0, 0.0])
            with pytest.raises(StoreError, match="will not take this"):
                store.put(entry("r"), expected_revision=0, vector=[1.0, 0.0])
            with pytest.raises(StoreError, match="length"):
                store.put(entry("r"), expected_revision=0, vector=[1.0, 0.0])
            assert store.put(entry("r"), expected_revision=0, vector=[1.0, 0.0, 0.0]).revision > 1

    def test_a_collection_that_is_gone_is_made_anew(self, shim: QdrantShim) -> None:
        """After a collection was deleted under a running store, a write is an error once, and works again."""
        with closing(QdrantStore(url=shim.url)) as store:
            store.put_note(SCOPE, "kind", "a", {})
            store._open().delete_collection("seglam-notes")
            with pytest.raises(StoreError, match="try again"):
                store.put_note(SCOPE, "kind", "b", {})
            store.put_note(SCOPE, "kind", "b", {})
            assert set(store.notes(SCOPE, "kind")) == {"b"}

    def test_a_busy_server_is_asked_again(self, shim: QdrantShim) -> None:
        """What a server does not take because it is busy is sent again, and given up after a few times."""
        with closing(QdrantStore(url=shim.url)) as store:
            store.put_note(SCOPE, "kind", "a", {})
            path = "/collections/seglam-notes/points"
            shim.inject(Fault(path=path, status=429, times=2))
            store.put_note(SCOPE, "kind", "b", {})
            shim.inject(Fault(path=path, status=503, times=3))
            with pytest.raises(StoreError, match="busy"):
                store.put_note(SCOPE, "kind", "c", {})
            assert set(store.notes(SCOPE, "kind")) == {"a", "b"}

    def test_more_than_one_replica_is_refused(self) -> None:
        """Conditional writes hold on one replica: a collection with several is refused with the reason."""
        with (
            QdrantShim(replicas=3) as shim,
            closing(QdrantStore(url=shim.url)) as store,
            pytest.raises(StoreError, match="3 replicas"),
        ):
            store.put(entry("p"), expected_revision=0)


class TestQdrantErrors:
    """What a person reads when Qdrant is not as it should be."""

    def test_an_old_server_is_refused(self) -> None:
        """A server that ignores conditions would lose writes silently, so nothing is written to it."""
        with QdrantShim("1.18.3") as shim, closing(QdrantStore(url=shim.url)) as store:
            with pytest.raises(StoreError, match=r"1\.18\.3.*upgrade"):
                store.put(entry("p"), expected_revision=0)
            assert store.changes(SCOPE) == Changes(0, ())

    def test_a_server_that_is_gone(self, shim: QdrantShim) -> None:
        """A server that does not answer is a `StoreError` that names its address."""
        with closing(QdrantStore(url=shim.url, timeout=5)) as store:
            shim.close()
            with pytest.raises(StoreError, match=shim.url):
                store.get(SCOPE, "p")
            with pytest.raises(StoreError, match=shim.url):
                store.put(entry("p"), expected_revision=0)

    def test_a_client_that_was_passed_in_stays_open(self) -> None:
        """Closing a store closes only the client that it made itself."""
        client = QdrantClient(":memory:")
        with closing(QdrantStore(client=client)) as store:
            written = store.put(entry("p"), expected_revision=0)
        with closing(QdrantStore(client=client)) as again:
            assert again.get(SCOPE, "p") == written
        client.close()

    def test_prefixes_keep_stores_apart(self, shim: QdrantShim) -> None:
        """Two stores with different prefixes share a server and nothing else."""
        with closing(QdrantStore(url=shim.url)) as one, closing(QdrantStore(url=shim.url, prefix="other")) as other:
            one.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
            other.put(entry("p"), expected_revision=0, vector=[1.0, 0.0, 0.0])
            assert len(one.changes(SCOPE).entries) == len(other.changes(SCOPE).entries) == 1


class TestOpenStore:
    """From what a person writes to a store."""

    @pytest.mark.parametrize("location", [None, ":memory:"])
    def test_memory(self, location: str | None) -> None:
        """Nothing, or `:memory:`, is a store in memory."""
        assert isinstance(open_store(location), MemoryStore)

    @pytest.mark.parametrize("kind", [str, Path])
    def test_a_path(self, tmp_path: Path, kind: type[str] | type[Path]) -> None:
        """A path is an embedded store in that folder, which is created."""
        with closing(open_store(kind(tmp_path / "a" / "b"))) as store:
            assert isinstance(store, EdgeStore)
        assert (tmp_path / "a" / "b").is_dir()

    def test_an_address(self, shim: QdrantShim) -> None:
        """An address is a Qdrant server."""
        with closing(open_store(shim.url)) as store:
            assert isinstance(store, QdrantStore)
            assert store.put(entry("p"), expected_revision=0) == store.get(SCOPE, "p")

    def test_a_store(self) -> None:
        """A store is returned as it is."""
        store = MemoryStore()
        assert open_store(store) is store


class Dead(Exception):
    """Stands for the death of a writer."""


def _die(*_: object) -> NoReturn:
    raise Dead


def _put_or_lose(store: QdrantStore, revision: int) -> Entry | None:
    try:
        return store.put(entry("p", body=f"# after {revision}"), expected_revision=revision)
    except ConflictError:
        return None


def _put_with_a_new_client(url: str, name: str) -> Entry:
    with closing(QdrantStore(url=url)) as store:
        return store.put(entry(name), expected_revision=0, vector=[1.0, 0.0])


def _server_store(prefix: str) -> QdrantStore:
    return QdrantStore(url=os.environ["QDRANT_URL"], api_key=os.environ.get("QDRANT_API_KEY"), prefix=prefix)


def _delete_collections(store: QdrantStore) -> None:
    store.close()
    cleaner = _server_store("unused")
    for name in (store._procedures, store._ledgers, store._notes):
        cleaner._open().delete_collection(name)
    cleaner.close()
