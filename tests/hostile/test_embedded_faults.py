"""What a folder must survive: a full disk, a folder nobody may write to, files cut short, many processes at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from seglam_agents.records.errors import StoreError
from seglam_agents.stores.edge import EdgeStore
from seglam_agents.testing.store_contract import SCOPE, entry

REPOSITORY = Path(__file__).parents[2]
PROCESSES = 8

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits and users of POSIX are used to break things")

FILL = """
import resource, signal, sys
from pathlib import Path
from seglam_agents.records.errors import StoreError
from seglam_agents.stores.edge import EdgeStore
from seglam_agents.testing.store_contract import SCOPE, entry
path, largest = sys.argv[1], int(sys.argv[2])
if largest:
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
try:
    store = EdgeStore(path)
    for number in range(4000):
        written = store.put(entry(f"p{number}", body="# " + "x" * 20_000), expected_revision=0, vector=[1.0, number])
        print(written.procedure.id, flush=True)
except StoreError as error:
    print("refused:", error)
    # It goes on reading, and a second try is refused as well as the first.
    print("read", len(store.changes(SCOPE).entries), len(store.search(SCOPE, [1.0, 0.0], limit=10_000)))
    try:
        store.put(entry("again", body="x" * 200_000), expected_revision=0)
    except StoreError:
        print("refused again")
    store.close()
"""
MIXED = """
import sys
from seglam_agents.records.errors import ConflictError
from seglam_agents.stores.edge import EdgeStore
from seglam_agents.testing.store_contract import SCOPE, entry
path, me = sys.argv[1], int(sys.argv[2])
store, revision, won = EdgeStore(path), 0, 0
sys.stdin.readline()
for number in range(25):
    store.put(entry(f"{me}-{number}"), expected_revision=0, vector=[float(me + 1), number])
    store.put_note(SCOPE, "seen", f"{me}-{number}", {"by": me})
    shared = store.get(SCOPE, "shared")
    try:
        hits = shared.statistics.hits + 1 if shared else 1
        store.put(entry("shared", hits=hits), expected_revision=shared.revision if shared else 0, vector=[0.0, 1.0])
        won += 1
    except ConflictError:
        pass
    news = store.changes(SCOPE, revision)
    assert news.revision >= revision
    revision = news.revision
    assert store.search(SCOPE, [float(me + 1), number], limit=3)
if me % 2:
    store.close()
print(won)
"""
READ_ONLY = """
import os, sys
from seglam_agents.records.errors import StoreError
from seglam_agents.stores.edge import EdgeStore
from seglam_agents.testing.store_contract import SCOPE, entry
import seglam_agents.stores.exact
if not os.getuid():
    os.setgid(65534)
    os.setuid(65534)
store = EdgeStore(sys.argv[1])
assert len(store.changes(SCOPE).entries) == 5 == len(store.search(SCOPE, [1.0, 0.0]))
assert len(store.notes(SCOPE, "kind")) == 1
for call in (lambda: store.put(entry("q"), expected_revision=0), lambda: store.put_note(SCOPE, "kind", "k", {})):
    try:
        call()
    except StoreError as error:
        assert "permissions" in str(error), error
    else:
        raise AssertionError("written into a folder that nobody may write to")
try:
    EdgeStore(sys.argv[1] + "/new")
except StoreError as error:
    assert "permissions" in str(error), error
store.close()
"""


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=100)


def assert_nothing_lost(path: Path, ran: subprocess.CompletedProcess[str]) -> None:
    """What the child had acknowledged is there, and it ended by itself after a clear error."""
    lines = ran.stdout.splitlines()
    acknowledged = [line for line in lines if line.startswith("p")]
    assert ran.returncode == 0, (ran.returncode, ran.stderr[-2000:])
    assert any(line.startswith("refused: the store in") and "acknowledged is lost" in line for line in lines), lines[
        -3:
    ]
    assert f"read {len(acknowledged)} {len(acknowledged)}" in lines and lines[-1] == "refused again"
    with closing(EdgeStore(path)) as store:
        assert [one.procedure.id for one in store.changes(SCOPE).entries] == acknowledged
        store.put(entry("after"), expected_revision=0, vector=[1.0, 0.0])
        for _ in range(1 + len(acknowledged) // 256):
            assert len(store.search(SCOPE, [1.0, 0.0], limit=10_000)) == len(acknowledged) + 1


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """Where files may not grow any more, a write is a clear error and what was acknowledged is kept."""
    assert_nothing_lost(tmp_path, run(FILL, tmp_path, 2_000_000))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(mount)]
    if os.getuid() or not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    """A full disk is a clear error, ends no process, and loses nothing that was acknowledged."""
    ran = run(FILL, small_disk / "store", 0)
    kept = shutil.copytree(small_disk / "store", tmp_path / "kept")
    assert_nothing_lost(kept, ran)


def test_a_disk_that_fills_under_an_open_shard(tmp_path: Path) -> None:
    """Where room gets short while a shard is open, it is no longer written, and search goes on without it."""
    with closing(EdgeStore(tmp_path)) as store:
        store.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
        store._shard._room = 2**62
        store.put(entry("q"), expected_revision=0, vector=[1.0, 1.0])
        assert {match.entry.procedure.id for match in store.search(SCOPE, [1.0, 0.0])} == {"p", "q"}
        store._shard._room = 0
        assert {match.entry.procedure.id for match in store.search(SCOPE, [1.0, 0.0])} == {"p", "q"}


def test_a_folder_that_may_only_be_read() -> None:
    """A folder without the right to write is read, searched and left alone; a write says what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "store"
        with closing(EdgeStore(path)) as store:
            for name in "abcde":
                store.put(entry(name), expected_revision=0, vector=[1.0, 0.0])
            store.put_note(SCOPE, "kind", "k", {})
        for file in (path, *path.rglob("*")):
            file.chmod(0o555 if file.is_dir() else 0o444)
        ran = run(READ_ONLY, path)
        for file in (path, *path.rglob("*")):
            file.chmod(0o755)
        assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("harm", ["half", "garbage"])
def test_every_file_cut_short_or_spoilt(tmp_path: Path, harm: str) -> None:
    """Whichever file is cut or spoilt, opening is a clear error or everything is there: never a part, never a crash."""
    path = tmp_path / "store"
    with closing(EdgeStore(path)) as store:
        for number in range(20):
            store.put(entry(f"p{number}"), expected_revision=0, vector=[1.0, number])
        store.put_note(SCOPE, "kind", "k", {"n": 1})
    database = (path / "store.sqlite").read_bytes()
    for number in range(len(files_of(path))):
        # A shard is built anew each time: its files are the same ones by other names.
        harmed = files_of(path)[number]
        spoil(harmed, harm)
        assert is_whole(path) == (harmed.name != "store.sqlite")
        (path / "store.sqlite").write_bytes(database)
    assert is_whole(path)


def files_of(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file() and file.name != "lock")


def spoil(file: Path, harm: str) -> None:
    size = file.stat().st_size
    if harm == "garbage":
        file.write_bytes(os.urandom(min(size, 2**20)))
    else:
        os.truncate(file, size // 2)


def is_whole(path: Path) -> bool:
    """Tell whether a folder is opened with everything in it; False when it says that it is damaged."""
    try:
        store = EdgeStore(path)
    except StoreError as error:
        assert "damaged" in str(error) or "move it away" in str(error)
        return False
    with closing(store):
        assert len(store.changes(SCOPE).entries) == 20 == len(store.search(SCOPE, [1.0, 0.0], limit=100))
        assert store.notes(SCOPE, "kind") == {"k": {"n": 1}}
    return True


def test_eight_processes_on_one_folder(tmp_path: Path) -> None:
    """Eight processes write, race, read the feed and search in one folder: no update lost, one winner a race."""
    command = [sys.executable, "-c", MIXED, str(tmp_path)]
    children = [
        subprocess.Popen([*command, str(me)], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for me in range(PROCESSES)
    ]
    with ThreadPoolExecutor(PROCESSES) as pool:
        outputs = list(pool.map(lambda child: child.communicate("go\n", timeout=100)[0], children))
    assert [child.returncode for child in children] == [0] * PROCESSES
    with closing(EdgeStore(tmp_path)) as store:
        names = {f"{me}-{number}" for me in range(PROCESSES) for number in range(25)}
        entries = {one.procedure.id: one for one in store.changes(SCOPE).entries}
        assert set(entries) == {*names, "shared"}
        won = sum(map(int, outputs))
        assert entries["shared"].statistics.hits == won
        assert max(one.revision for one in entries.values()) == len(names) + won
        assert set(store.notes(SCOPE, "seen")) == names
        assert {match.entry.procedure.id for match in store.search(SCOPE, [1.0, 0.0], limit=1000)} == set(entries)


def test_a_second_process_reads_beside_a_running_one(tmp_path: Path) -> None:
    """While one process has the store open and writes, another lists what is in it."""
    with closing(EdgeStore(tmp_path)) as store:
        store.put(entry("p"), expected_revision=0, vector=[1.0, 0.0])
        program = (
            "import sys\nfrom seglam_agents.stores.edge import EdgeStore\n"
            "from seglam_agents.testing.store_contract import SCOPE\nstore = EdgeStore(sys.argv[1])\n"
            "print([one.procedure.id for one in store.changes(SCOPE).entries])\nstore.close()"
        )
        assert run(program, tmp_path).stdout == "['p']\n"
        store.put(entry("q"), expected_revision=0, vector=[1.0, 0.0])
        assert run(program, tmp_path).stdout == "['p', 'q']\n"
