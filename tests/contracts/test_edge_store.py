"""The embedded store beyond the contract: a folder that several open, its Qdrant shard, and what is found damaged."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import qdrant_edge as qe
from hypothesis import given, settings
from hypothesis import strategies as st

from seglam_agents.cache import ReasoningCache
from seglam_agents.records.errors import ConflictError, SchemaError, StoreError
from seglam_agents.records.request import Request, Scope
from seglam_agents.records.trace import Trace
from seglam_agents.stores.base import Changes, Put
from seglam_agents.stores.edge import EdgeStore
from seglam_agents.stores.filelock import FileLock
from seglam_agents.testing.store_contract import SCOPE, entry

REPOSITORY = Path(__file__).parents[2]
GOLDEN = REPOSITORY / "tests" / "golden" / "records_1" / "plain.tar.xz"


_DAMAGED = "cast(x'fffe41' as text)"
HARM = {
    "entry that is no text": "UPDATE procedures SET entry = x'00ff' WHERE id = 'b' AND version = 2",
    "entry that is no UTF-8": f"UPDATE procedures SET entry = {_DAMAGED} WHERE id = 'b' AND version = 2",
    "entry that is cut short": "UPDATE procedures SET entry = substr(entry, 1, 40) WHERE id = 'b' AND version = 2",
    "checksum": "UPDATE procedures SET checksum = 'x' WHERE id = 'b' AND version = 2",
    "id": f"UPDATE procedures SET id = {_DAMAGED} WHERE id = 'b' AND version = 2",
    "id of a head": f"UPDATE heads SET id = {_DAMAGED} WHERE id = 'b'",
    "version of a head": "UPDATE heads SET version = 9 WHERE id = 'b'",
    "vector that is cut short": "UPDATE vectors SET vector = substr(vector, 1, 7) WHERE id = 'b'",
    "vector of another length": "UPDATE vectors SET vector = substr(vector, 1, 4) WHERE id = 'b'",
    "vector without numbers": "UPDATE vectors SET vector = x'0000c07f0000c07f' WHERE id = 'b'",
    "vector that is a text": "UPDATE vectors SET vector = 'vector' WHERE id = 'b'",
    "vector under another id": f"UPDATE vectors SET id = {_DAMAGED} WHERE id = 'b'",
    "note": f"UPDATE notes SET document = {_DAMAGED} WHERE key = 'b'",
    "key of a note": f"UPDATE notes SET key = {_DAMAGED} WHERE key = 'b'",
}
"""What may become of one row, as SQL."""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], EdgeStore]]:
    """Open the same folder again and again, and close everything in the end."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(EdgeStore(tmp_path)))


def free(path: Path) -> bool:
    """Tell whether nobody owns the shard of a folder."""
    lock = FileLock(path)
    taken = lock.take()
    lock.release()
    return taken


def owns(store: EdgeStore) -> bool:
    return not free(store._path)


def found(store: EdgeStore, vector: list[float], limit: int = 100) -> list[str]:
    return [match.entry.procedure.id for match in store.search(SCOPE, vector, limit=limit)]


def filled(path: Path, names: str = "abcdef") -> None:
    """Write a few procedures, each in two versions, and close the folder in good order."""
    with closing(EdgeStore(path)) as store:
        for number, name in enumerate(names):
            first = store.put(entry(name), expected_revision=0, vector=[1.0, number])
            store.put(entry(name, version=2), expected_revision=first.revision)


class TestSharedFolder:
    """Several stores on one folder, in one process or in several."""

    def test_all_see_what_one_wrote(self, opened: Callable[[], EdgeStore]) -> None:
        """Two stores on one folder count revisions together, and find each other's procedures."""
        one, other = opened(), opened()
        first = one.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
        second = other.put(entry("q"), expected_revision=0, vector=[0.0, 1.0])
        third = one.put(first, expected_revision=first.revision)
        for store in (one, other):
            assert store.changes(SCOPE) == Changes(third.revision, (second, third))
            assert found(store, [1.0, 0.1]) == ["p", "q"]
        with pytest.raises(ConflictError):
            other.put(first, expected_revision=first.revision)

    def test_two_tenants_share_a_folder(self, opened: Callable[[], EdgeStore]) -> None:
        """Two tenants in one process on one folder work, and see nothing of each other."""
        one, other = opened(), opened()
        theirs = Scope(tenant="theirs")
        mine = one.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
        other.put(entry("p", scope=theirs), expected_revision=0, vector=[1.0, 0.0])
        assert [match.entry for match in one.search(SCOPE, [1.0, 0.0])] == [mine]
        assert len(other.search(theirs, [1.0, 0.0])) == 1 and other.get(SCOPE, "p") == mine

    @settings(max_examples=25, deadline=None)
    @given(vectors=st.lists(st.tuples(*[st.integers(-9, 9)] * 3).filter(any), min_size=1, max_size=12))
    def test_who_does_not_own_the_shard_finds_the_same(
        self, vectors: list[tuple[int, int, int]], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """The shard's owner and everybody else find the same procedures with the same scores."""
        path = tmp_path_factory.mktemp("store")
        with closing(EdgeStore(path)) as owner, closing(EdgeStore(path)) as other:
            owner.put_many([Put(entry(f"p{n}"), 0, vector) for n, vector in enumerate(vectors)])
            assert owner._shard._shard is not None and other._shard._shard is None
            query = [1.0, 2.0, 3.0]
            here, there = (
                {m.entry.procedure.id: m.score for m in s.search(SCOPE, query, limit=99)} for s in (owner, other)
            )
            assert here == pytest.approx(there, abs=1e-4) and len(here) == len(vectors)

    def test_the_shard_goes_to_the_next_when_its_owner_closes(self, opened: Callable[[], EdgeStore]) -> None:
        """Who closes hands the shard over; what others wrote meanwhile is in it."""
        one, other = opened(), opened()
        one.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
        other.put(entry("q"), expected_revision=0, vector=[0.0, 1.0])
        assert one._shard._shard is not None and other._shard._shard is None
        one.close()
        assert found(other, [1.0, 0.1]) == ["p", "q"]
        assert other._shard._shard is not None

    def test_a_store_dropped_without_closing_keeps_nothing(self, tmp_path: Path) -> None:
        """A store that was forgotten instead of closed leaves its folder to others, whole."""
        store = EdgeStore(tmp_path)
        store.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
        assert owns(store)
        del store
        gc.collect()
        with closing(EdgeStore(tmp_path)) as again:
            assert not owns(again)
            assert found(again, [1.0, 0.0]) == ["p"] and owns(again)

    def test_a_cache_dropped_without_closing_keeps_nothing(self, tmp_path: Path) -> None:
        """A cache that was forgotten instead of closed leaves its folder to others."""
        cache = ReasoningCache(tmp_path, second_sandbox=None)
        cache.store.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
        assert not free(tmp_path)
        del cache
        gc.collect()
        assert free(tmp_path)

    def test_reading_takes_nothing(self, tmp_path: Path) -> None:
        """Who only reads neither owns the shard nor opens it."""
        filled(tmp_path)
        with closing(EdgeStore(tmp_path)) as store:
            assert len(store.changes(SCOPE).entries) == 6 and store.get(SCOPE, "a") and not store.notes(SCOPE, "kind")
            assert not owns(store) and store._shard._shard is None

    def test_a_fork_opens_its_own(self, tmp_path: Path) -> None:
        """After a fork both sides go on with the folder, and nothing of either is lost."""
        program = """
import os, sys
from seglam_agents.stores.edge import EdgeStore
from seglam_agents.testing.store_contract import SCOPE, entry
store = EdgeStore(sys.argv[1])
store.put(entry("before"), expected_revision=0, vector=[1.0, 0.0])
child = os.fork()
name = "parent" if child else "child"
store.put(entry(name), expected_revision=0, vector=[1.0, 1.0])
assert len(store.search(SCOPE, [1.0, 0.0])) >= 2
if child:
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    assert sorted(m.entry.procedure.id for m in store.search(SCOPE, [1.0, 0.0])) == ["before", "child", "parent"]
    store.close()
"""
        if not hasattr(os, "fork"):
            pytest.skip("there is no fork on this system")
        ran = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        with closing(EdgeStore(tmp_path)) as store:
            assert sorted(found(store, [1.0, 0.0])) == ["before", "child", "parent"]


class TestBatches:
    """Many entries at the price of one."""

    def test_a_large_batch_is_in_the_shard(self, opened: Callable[[], EdgeStore]) -> None:
        """More entries than are written into the shard at a time are all found in it."""
        store = opened()
        store.put_many([Put(entry(f"p{number}"), 0, [1.0, number]) for number in range(600)])
        assert len(found(store, [1.0, 0.0], limit=1000)) == 600 and store._shard._shard is not None


class TestShard:
    """The procedures as points of Qdrant, beside the database and after it."""

    def test_every_procedure_is_a_point(self, tmp_path: Path) -> None:
        """Any Qdrant Edge client reads the procedures of a closed folder: vectors, names, templates and source."""
        filled(tmp_path)
        shard = qe.EdgeShard.load(str(tmp_path / "shard"))
        points, _ = shard.scroll(qe.ScrollRequest(limit=100, with_payload=True, with_vector=True))
        shard.close()
        assert sorted(
            (point.payload["procedure_id"], point.payload["version"], point.payload["kind"]) for point in points
        ) == [
            (name, version, kind)
            for name in "abcdef"
            for version, kind in ((1, "version"), (2, "head"), (2, "version"))
        ]
        heads = [point for point in points if point.payload["kind"] == "head"]
        assert all(point.vector["intent"] for point in heads)
        assert {tuple(point.payload["templates"]) for point in heads} == {("double {x:number}",)}
        assert {point.payload["source"] for point in heads} == {"def run(x): return x"}

    @pytest.mark.parametrize("harm", ["gone", "empty", "garbage", "behind", "ahead", "unnoted", "of another store"])
    def test_a_shard_that_is_not_in_order_is_built_anew(self, tmp_path: Path, harm: str) -> None:
        """Whatever became of the shard, search finds what the database holds, and the shard is whole afterwards."""
        path, backup, other = tmp_path / "store", tmp_path / "backup", tmp_path / "other"
        filled(path)
        shard, noted = path / "shard", path / "shard.json"
        shutil.copytree(path, backup)
        expected = list("abcdef")
        match harm:
            case "gone":
                shutil.rmtree(shard)
            case "empty":
                shutil.rmtree(shard)
                shard.mkdir()
            case "garbage":
                for file in [file for file in shard.rglob("*") if file.is_file()]:
                    file.write_bytes(os.urandom(100))
            case "behind":
                filled(path, "gh")
                expected += ["g", "h"]
                shutil.rmtree(shard)
                shutil.copytree(backup / "shard", shard)
            case "ahead":
                filled(path, "gh")
                shutil.copy(backup / "store.sqlite", path / "store.sqlite")
            case "unnoted":
                noted.unlink()
            case _:
                filled(other, "xyz")
                shutil.rmtree(shard)
                shutil.copytree(other / "shard", shard, copy_function=shutil.copy2)
                shutil.copy(other / "shard.json", noted)
        for _ in range(2):
            with closing(EdgeStore(path)) as store:
                assert sorted(found(store, [1.0, 0.0])) == expected
                assert store._shard._shard is not None
        loaded = qe.EdgeShard.load(str(shard))
        assert loaded.count(qe.CountRequest(exact=True)) == 3 * len(expected)
        loaded.close()

    def test_a_shard_closed_in_good_order_is_not_built_anew(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A folder that was closed is opened again without writing its points anew."""
        filled(tmp_path)
        monkeypatch.setattr(qe.EdgeShard, "create", None)
        with closing(EdgeStore(tmp_path)) as store:
            assert found(store, [1.0, 0.0]) == list("abcdef")
            assert store._shard._shard is not None

    def test_without_room_the_shard_is_let_alone(self, tmp_path: Path) -> None:
        """Where space is short nothing is written into the shard, and everything works without it."""
        with closing(EdgeStore(tmp_path, room=2**62)) as store:
            written = store.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
            assert [match.entry for match in store.search(SCOPE, [1.0, 0.0])] == [written]
            assert not (tmp_path / "shard").exists()

    def test_a_shard_that_breaks_is_a_warning(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A shard that panics stops neither a write nor a search, and does not go on failing."""
        with closing(EdgeStore(tmp_path)) as store:
            store.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
            store._shard._shard = Panicking()  # pyright: ignore[reportAttributeAccessIssue]
            with caplog.at_level(logging.WARNING, logger="seglam_agents.stores"):
                store.put(entry("q"), expected_revision=0, vector=[1.0, 1.0])
                assert found(store, [1.0, 0.0]) == ["p", "q"]
            assert len(caplog.records) == 1 and "built anew" in caplog.text
            assert not owns(store)
        with closing(EdgeStore(tmp_path)) as store:
            assert found(store, [1.0, 0.0]) == ["p", "q"] and owns(store)


class Panic(BaseException):
    """Stands for a panic in Rust, which is no `Exception`."""


class Panicking:
    """Stands for a shard that is broken."""

    def update(self, _: object) -> None:
        """Panic."""
        raise Panic("index out of bounds")

    close = query = update


class TestDamage:
    """What a person reads when the folder is not as it should be, and what is left."""

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        """A path that is no folder is a `StoreError` that names it."""
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match="file"):
            EdgeStore(tmp_path / "file")

    def test_a_shard_alone_that_cannot_be_read(self, tmp_path: Path) -> None:
        """A folder with nothing but a broken shard is a `StoreError`, and does not stay locked by the attempt."""
        (tmp_path / "shard").mkdir()
        for _ in range(2):
            with pytest.raises(StoreError, match=r"shard.*failed"):
                EdgeStore(tmp_path)
        assert FileLock(tmp_path).take()

    @pytest.mark.parametrize(
        "cut", ["mutable_id_tracker.mappings", "mutable_id_tracker.versions", "payload_storage/tracker.dat"]
    )
    def test_a_shard_of_an_earlier_version_that_was_cut(self, tmp_path: Path, cut: str) -> None:
        """A shard that opens but lacks points is not taken over by half; whole again, all of it is."""
        with closing(tarfile.open(GOLDEN)) as packed:
            packed.extractall(tmp_path, filter="data")
        path = tmp_path / "plain"
        (found,) = (path / "shard" / "segments").glob(f"*/{cut}")
        shutil.copytree(path, tmp_path / "backup")
        size = found.stat().st_size
        if cut.endswith("tracker.dat"):
            found.write_bytes(bytes(size))  # Of this one all are empty: it has room for more than there are.
        else:
            os.truncate(found, size // 2)
        for _ in range(2):
            with pytest.raises(StoreError, match=r"records of the Qdrant shard .* are gone.*backup"):
                EdgeStore(path)
            assert not (path / "store.sqlite").exists()
        with closing(EdgeStore(tmp_path / "backup")) as store:
            assert len(store.changes(Scope()).entries) == 7

    def test_a_shard_of_this_version_that_was_cut(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Where its database is lost, what is left in the shard is all there is: it is taken over, and told."""
        filled(tmp_path)
        for file in tmp_path.glob("store.sqlite*"):
            file.unlink()
        (cut,) = (tmp_path / "shard").glob("segments/*/mutable_id_tracker.mappings")
        os.truncate(cut, cut.stat().st_size // 2)
        with caplog.at_level(logging.WARNING, logger="seglam_agents.stores"), closing(EdgeStore(tmp_path)) as store:
            assert "9 records of the Qdrant shard" in caplog.text and "are gone" in caplog.text
            assert 0 < len(store.changes(SCOPE).entries) < 6

    def test_what_a_kill_left_behind_is_removed(self, tmp_path: Path) -> None:
        """A half-made database beside its place is thrown away."""
        (tmp_path / "new-half.sqlite").write_text("half")
        with closing(EdgeStore(tmp_path)) as store:
            store.put(entry("p"), expected_revision=0)
        assert not list(tmp_path.glob("new-*"))

    @pytest.mark.parametrize("harm", ["empty", "half", "a page short", "garbage", "another database"])
    def test_a_damaged_database_is_an_error_and_its_procedures_come_back(self, tmp_path: Path, harm: str) -> None:
        """A damaged database is never taken for an empty one; moved away, it is read back from the shard."""
        filled(tmp_path)
        database = tmp_path / "store.sqlite"
        size = database.stat().st_size
        if harm == "garbage":
            database.write_bytes(os.urandom(size))
        elif harm == "another database":
            database.unlink()
            with closing(sqlite3.connect(database)) as other:
                other.execute("CREATE TABLE t (x)")
        else:
            os.truncate(database, {"empty": 0, "half": size // 2, "a page short": size - 4096}[harm])
        for _ in range(2):
            with pytest.raises(StoreError, match=r"store\.sqlite|failed") as caught:
                EdgeStore(tmp_path)
            assert "move it away" in str(caught.value)
        for file in tmp_path.glob("store.sqlite*"):
            file.unlink()
        with closing(EdgeStore(tmp_path)) as store:
            assert found(store, [1.0, 0.0]) == list("abcdef")
            assert [one.procedure.version for one in store.versions(SCOPE, "a")] == [1, 2]
            assert store.put(entry("g"), expected_revision=0).revision == 13

    def test_a_page_that_the_disk_spoilt_is_never_served(self, tmp_path: Path) -> None:
        """A procedure whose stored text is not what was written is an error when asked for, and hides nothing else."""
        filled(tmp_path)
        with closing(sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)) as connection:
            changed = "UPDATE procedures SET entry = replace(entry, 'return x', 'return y') WHERE id = 'b'"
            connection.execute(changed)
        with closing(EdgeStore(tmp_path)) as store:
            with pytest.raises(SchemaError, match="not what was written"):
                store.get(SCOPE, "b")
            assert [one.procedure.id for one in store.changes(SCOPE).entries] == list("acdef")
            assert found(store, [1.0, 0.0]) == list("acdef")

    @pytest.mark.parametrize("harm", HARM)
    def test_a_damaged_row_stops_nothing(self, tmp_path: Path, harm: str) -> None:
        """Whatever became of one row, the others are served, found, remembered and added to, with a shard or without.

        Of a damaged vector the procedure is no neighbour any more; of a damaged text it does not serve.
        """
        filled(tmp_path, "abc")
        with closing(EdgeStore(tmp_path)) as store:
            for key in "ab":
                store.put_note(SCOPE, "kind", key, {"n": key})
        with closing(sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)) as connection:
            assert connection.execute(HARM[harm]).rowcount == 1
        for folder in (tmp_path, shutil.copytree(tmp_path, tmp_path / "other", ignore=shutil.ignore_patterns("shard"))):
            with closing(EdgeStore(folder)) as store:
                assert {one.procedure.id for one in store.changes(SCOPE).entries} >= {"a", "c"}
                assert set(found(store, [1.0, 0.0])) >= {"a", "c"}
                assert store.notes(SCOPE, "kind")["a"] == {"n": "a"}
                store.put(entry("d"), expected_revision=0, vector=[0.0, 1.0])
                assert found(store, [0.0, 1.0])[0] == "d"
            with closing(EdgeStore(folder)) as owner, closing(EdgeStore(folder)) as other:
                for each in (owner, other):
                    assert set(found(each, [1.0, 0.0])) >= {"a", "c", "d"}

    @pytest.mark.parametrize("text", ["{", "[]", "nothing", "[" * 100_000])
    def test_an_unreadable_note_hides_no_other(
        self, tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One note that cannot be read is a warning, and empty: it was written. The others are read."""
        with closing(EdgeStore(tmp_path)) as store:
            for key in "abc":
                store.put_note(SCOPE, "kind", key, {"n": key})
            with closing(sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)) as connection:
                connection.execute("UPDATE notes SET document = ? WHERE key = 'b'", [text])
            with caplog.at_level(logging.WARNING, logger="seglam_agents.stores"):
                assert store.notes(SCOPE, "kind") == {"a": {"n": "a"}, "b": {}, "c": {"n": "c"}}
            assert "'b'" in caplog.text

    def test_an_unreadable_kind_or_run_stops_no_learning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A kind and a run that no longer read as such are left out; learning goes on with the others."""
        with ReasoningCache(tmp_path, second_sandbox=None) as cache:
            assert isinstance(cache.store, EdgeStore)
            cache.store.put_note(cache.scope, "kind", "bad", {"kind": "no kind"})
            cache.store.put_note(cache.scope, "trace", "bad", {"trace": '{"steps": 1}'})
            with caplog.at_level(logging.WARNING, logger="seglam_agents"):
                learned = cache.observe(Trace(request=Request(text="How many chairs?"), answer=3))
            assert "broken" not in learned.reason and learned.status != "failed"
            assert sum("skipped the note 'bad'" in record.getMessage() for record in caplog.records) == 2

    def test_a_newer_store_is_refused(self, tmp_path: Path) -> None:
        """Tables of a later version are an error that says to upgrade, and stay as they are."""
        filled(tmp_path)
        with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
            connection.execute("PRAGMA user_version = 99")
        with pytest.raises(SchemaError, match=r"newer version.*upgrade"):
            EdgeStore(tmp_path)

    def test_a_database_that_is_restored_under_a_running_store(self, tmp_path: Path) -> None:
        """A backup that is moved into place is what the running store goes on with; nothing goes into the old file."""
        filled(tmp_path, "ab")
        shutil.copy(tmp_path / "store.sqlite", tmp_path / "backup")
        with closing(EdgeStore(tmp_path)) as store:
            store.put(entry("c"), expected_revision=0, vector=[1.0, 0.0])
            for file in tmp_path.glob("store.sqlite-*"):
                file.unlink()
            (tmp_path / "backup").replace(tmp_path / "store.sqlite")
            assert [one.procedure.id for one in store.changes(SCOPE, 5).entries] == ["a", "b"]
            written = store.put(entry("d"), expected_revision=0, vector=[0.0, 1.0])
            assert sorted(found(store, [1.0, 0.0])) == ["a", "b", "d"]
        with closing(EdgeStore(tmp_path)) as store:
            assert store.get(SCOPE, "d") == written and store.get(SCOPE, "c") is None

    def test_a_folder_that_is_gone_is_an_error(self, tmp_path: Path) -> None:
        """A store whose folder was deleted says so, and acknowledges nothing."""
        with closing(EdgeStore(tmp_path / "store")) as store:
            store.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
            shutil.rmtree(tmp_path / "store")
            for call in (lambda: store.put(entry("q"), expected_revision=0), lambda: store.changes(SCOPE)):
                with pytest.raises(StoreError, match="No such file"):
                    call()


POINTERS = {
    "heads gone": "DELETE FROM heads",
    "a head gone": "DELETE FROM heads WHERE id = 'b'",
    "another version": "UPDATE heads SET version = 9",
    "an older version": "UPDATE heads SET version = 1",
    "revision 0": "UPDATE heads SET revision = 0",
    "scopes gone": "DELETE FROM scopes",
    "nothing": "UPDATE scopes SET agent = agent",
    "the scope's revision": "UPDATE scopes SET revision = 0",
    "scope of procedures": "UPDATE procedures SET scope = 77",
    "meta gone": "DELETE FROM meta",
    "the count of writes": "UPDATE meta SET value = 1 WHERE key = 'written'",
}
"""What may become of rows that only point at procedures, as SQL."""


def harm(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path / "store.sqlite", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


class TestPointers:
    """What only says where procedures are is made anew from the procedures, and told."""

    @pytest.mark.parametrize("statement", POINTERS.values(), ids=list(POINTERS))
    def test_they_are_put_right_at_the_next_opening(
        self, tmp_path: Path, statement: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Every procedure is there as it was last written, also one that was retired, is found, and can be written."""
        filled(tmp_path)
        with closing(EdgeStore(tmp_path)) as store:
            last = store.get(SCOPE, "c")
            assert last is not None
            last = store.put(last.model_copy(update={"status": "retired"}), expected_revision=last.revision)
            store.put_note(SCOPE, "kind", "k", {"n": 1})
            before = store.changes(SCOPE)
        harm(tmp_path, statement)
        for opening in range(2):
            caplog.clear()
            with closing(EdgeStore(tmp_path)) as store:
                assert store.changes(SCOPE) == before and store.get(SCOPE, "c") == last
                assert found(store, [1.0, 0.0]) and set(found(store, [1.0, 0.0])) == set("abcdef")
                assert store.notes(SCOPE, "kind") == {"k": {"n": 1}}
            told = [record.getMessage() for record in caplog.records if "is damaged" in record.getMessage()]
            assert bool(told) == (opening == 0 and "agent = agent" not in statement)
        with closing(EdgeStore(tmp_path)) as store:
            after = store.put(last.model_copy(update={"status": "candidate"}), expected_revision=last.revision)
            assert after.revision > before.revision and store.changes(SCOPE, before.revision).entries == (after,)

    def test_a_last_write_that_is_lost_brings_no_older_one_back(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It may have retired what came before: that does not serve, and every opening says so."""
        filled(tmp_path)
        harm(tmp_path, "DELETE FROM procedures WHERE id = 'b' AND version = 2")
        for _ in range(2):
            caplog.clear()
            with closing(EdgeStore(tmp_path)) as store:
                assert [one.procedure.id for one in store.changes(SCOPE).entries] == list("acdef")
                assert store.get(SCOPE, "b") is None
            assert "('b')" in caplog.text and "restore the store from a backup" in caplog.text

    def test_a_procedure_that_is_gone_can_be_learnt_anew(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """That it is named although nothing of it is left is told, and holds up no write."""
        filled(tmp_path)
        harm(tmp_path, "DELETE FROM procedures WHERE id = 'b'")
        with closing(EdgeStore(tmp_path)) as store:
            assert "('b')" in caplog.text and "learnt anew" in caplog.text
            written = store.put(entry("b"), expected_revision=0)
            assert store.get(SCOPE, "b") == written

    def test_notes_whose_owner_is_lost_come_to_nobody(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Who is the next to write gets a number of its own, and none of the notes of others."""
        mine, theirs = Scope(tenant="mine"), Scope(tenant="theirs")
        with closing(EdgeStore(tmp_path)) as store:
            store.put_note(mine, "trace", "t", {"trace": "secret"})
        harm(tmp_path, "DELETE FROM scopes")
        with closing(EdgeStore(tmp_path)) as store:
            assert "nobody's" in caplog.text
            store.put_note(theirs, "trace", "u", {})
            assert store.notes(theirs, "trace") == {"u": {}} and store.notes(mine, "trace") == {}

    @pytest.mark.skipif(os.name != "posix" or not os.getuid(), reason="root may write everywhere")
    def test_where_nothing_can_be_written_it_is_told(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A folder that can only be read is read as it is."""
        filled(tmp_path)
        harm(tmp_path, "DELETE FROM heads", "PRAGMA wal_checkpoint(TRUNCATE)")
        tmp_path.chmod(0o500)
        try:
            with closing(EdgeStore(tmp_path)):
                assert "nothing can be put right" in caplog.text
        finally:
            tmp_path.chmod(0o700)

    @pytest.mark.parametrize("table", ["procedures", "heads", "scopes", "vectors", "notes", "meta"])
    def test_a_table_that_is_gone_names_the_next_step(self, tmp_path: Path, table: str) -> None:
        """The folder's permissions are not what is wrong."""
        filled(tmp_path)
        harm(tmp_path, "DROP VIEW current", f"DROP TABLE {table}")
        with pytest.raises(StoreError, match=rf"no such table: {table}.*Restore it from a backup"):
            EdgeStore(tmp_path)
