"""`kill -9` at any moment loses no acknowledged procedure and leaves the embedded store readable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
import qdrant_edge as qe

from seglam_agents.records.request import Scope
from seglam_agents.stores.edge import EdgeStore
from seglam_agents.testing.store_contract import SCOPE, entry

CHILD = Path(__file__).with_name("kill_child.py")
REPOSITORY = Path(__file__).parents[2]
GOLDEN = REPOSITORY / "tests" / "golden" / "records_1" / "plain.tar.xz"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL on this system")


@pytest.mark.parametrize("acknowledged", [0, 0, 1, 2, 3, 10, 50])
def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path, acknowledged: int) -> None:
    """Whatever the writer had reported before it was killed is in the store, whole."""
    lines = _write_and_kill(tmp_path / "store", acknowledged)
    assert len(lines) >= acknowledged
    with closing(EdgeStore(tmp_path / "store")) as store:
        _assert_whole(store, lines)


def test_a_store_survives_one_kill_after_the_other(tmp_path: Path) -> None:
    """Each writer goes on where the one before was killed, and nothing of any of them is lost."""
    lines: list[str] = []
    for trial, acknowledged in enumerate((5, 0, 1, 8, 0, 3)):
        lines += _write_and_kill(tmp_path, acknowledged, prefix=f"trial{trial}-")
    with closing(EdgeStore(tmp_path)) as store:
        _assert_whole(store, lines)


@pytest.mark.parametrize("die_at", range(1, 700, 53))
def test_every_step_of_the_first_start_may_be_the_last(tmp_path: Path, die_at: int) -> None:
    """Wherever in the making of the store and its first writes the kill comes, the next process can use it."""
    with _start(tmp_path, "p", die_at) as child:
        output, _ = child.communicate()
    assert child.returncode == -signal.SIGKILL
    with closing(EdgeStore(tmp_path)) as store:
        _assert_whole(store, output.splitlines()[1:])


@pytest.mark.parametrize("die_at", range(5, 450, 61))
def test_every_step_of_taking_over_an_earlier_store_may_be_the_last(tmp_path: Path, die_at: int) -> None:
    """Wherever in the taking over of a store of an earlier version the kill comes, nothing of it is lost."""
    with closing(tarfile.open(GOLDEN)) as packed:
        packed.extractall(tmp_path, filter="data")
    path = tmp_path / "plain"
    with _start(path, "p", die_at) as child:
        child.communicate()
    assert child.returncode == -signal.SIGKILL
    with closing(EdgeStore(path)) as store:
        kept = {one.procedure.id: one for one in store.changes(Scope()).entries}
        names = {name.partition("-")[0] for name in kept}
        assert names == {"add", "greet", "minutes", "multiply", "reverse", "split_bill", "take"}
        assert all(store.versions(Scope(), name) for name in kept)
        assert len(store.notes(Scope(), "kind")) == 3
        vector = [1.0, *[0.0] * 511]
        assert {match.entry.procedure.id for match in store.search(Scope(), vector, limit=100)} == set(kept)


def _write_and_kill(path: Path, acknowledged: int, prefix: str = "p") -> list[str]:
    """Return everything that the writer acknowledged, which may be more than was waited for."""
    with _start(path, prefix) as child:
        lines = _read(child, acknowledged + 1)
        child.kill()
        rest, _ = child.communicate()
    # A line without its end was cut off by the kill.
    complete = [line.rstrip("\n") for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    return [*lines, *complete][1:]


def _start(path: Path, prefix: str, die_at: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, str(CHILD), str(path), prefix, str(die_at)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def _read(child: subprocess.Popen[str], lines: int) -> list[str]:
    assert child.stdout
    read = [child.stdout.readline().rstrip("\n") for _ in range(lines)]
    assert all(read), f"the writer ended by itself: {child.poll()}"
    return read


def _assert_whole(store: EdgeStore, acknowledged: list[str]) -> None:
    entries = {one.procedure.id: one for one in store.changes(SCOPE).entries}
    for line in acknowledged:
        name, version, revision = line.split()
        kept = store.get(SCOPE, name, int(version))
        assert kept is not None and kept.revision == int(revision)
        assert entries[name].procedure.version >= int(version)
    versions = sum(len(store.versions(SCOPE, name)) for name in entries)
    for name, current in entries.items():
        # Also what was not acknowledged is there entirely or not at all.
        assert store.get(SCOPE, name) == current == store.versions(SCOPE, name)[-1]
    added = store.put(entry("after the kill"), expected_revision=0, vector=[1.0, 0.0])
    assert added.revision == 1 + max((one.revision for one in entries.values()), default=0)
    for _ in range(1 + len(entries) // 256):  # A large shard is built anew in several goes.
        vectors = {match.entry.procedure.id for match in store.search(SCOPE, [1.0, 0.0], limit=10_000)}
        assert vectors == {*entries, "after the kill"}
    # Heads and versions are points again, each once.
    store.close()
    shard = qe.EdgeShard.load(str(store._path / "shard"))
    assert shard.count(qe.CountRequest(exact=True)) == len(vectors) + versions + 1
    shard.close()
