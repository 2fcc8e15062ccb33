"""`Shard`: the procedures of an embedded store as points in Qdrant Edge, for the one process that owns the folder.

Nothing depends on it. It is built from the database where it is missing, behind, or not exactly as it was when its last
owner closed it, and let alone where space is short: its files are mapped into memory, and on a full disk a write into a
mapping ends the process. For the same reason a shard is loaded only if every file has the size and time that was noted
when it was closed. So it needs no log and no sync of its own. What breaks in it is a warning, and it is built anew.

Its optimizer is never run: it holds the interpreter for seconds, and a scan within one scope stays below a millisecond
for tens of thousands of procedures.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

import qdrant_edge as qe

from seglam_agents.records.errors import SchemaError, StoreError
from seglam_agents.records.request import Scope
from seglam_agents.stores.filelock import FileLock
from seglam_agents.stores.layout import SCOPE, VECTOR, Payload, entry_from, entry_payload, logger, point_id
from seglam_agents.stores.sqlite import writable
from seglam_agents.stores.tables import Row

ROOM: Final = 128 * 2**20
"""Bytes that must be free on the disk before anything is written into a shard."""
BATCH: Final = 256
"""Rows that are written into a shard at a time."""
HALF_WRITTEN: Final = 2
"""Points of an earlier version that a kill within a write may have begun: nobody was told that they are there."""
REST_SECONDS: Final = 60.0
"""How long a shard that failed is let alone."""


class Shard:
    """The shard in a folder, once this process owns it; safe to share between threads.

    Args:
        folder: the folder of the store.
        room: bytes that must be free before anything is written.
    """

    def __init__(self, folder: Path, *, room: int = ROOM) -> None:
        self._folder = folder
        self._room = room
        self._turn = threading.RLock()
        self._lock = FileLock(folder)
        self._shard: qe.EdgeShard | None = None
        self._store = ""
        self._written = 0
        self._resting_until = 0.0

    def follow(self, store: str, length: int, written: int, newer: Callable[[int], Sequence[Row]], budget: int) -> bool:
        """Write what the shard lacks; True when it is ours and lacks nothing.

        Args:
            store: which database it follows.
            length: of its vectors.
            written: how many states it has seen.
            newer: returns some of the rows that were written after one, oldest first.
            budget: how many rows to write at most, so that nobody waits long.
        """
        with self._turn:
            if self._shard is not None and (self._store, self._written) == (store, written):
                return True
            with self._careful():
                if self._resting_until < time.monotonic() and self._roomy() and self._own(store, length, written):
                    self._catch_up(written, newer, budget)
            return self._shard is not None and self._written == written

    def nearest(self, scope: Scope, vector: list[float], limit: int) -> list[tuple[str, float]] | None:
        """Return the ids nearest to a vector with their scores, nearest first; None when the shard cannot tell."""
        within = qe.Filter(must=[qe.FieldCondition(SCOPE, match=qe.MatchValue(scope.key))])
        query = qe.Query.Nearest(vector, using=VECTOR)
        request = qe.QueryRequest(limit=limit, query=query, filter=within, with_payload=["procedure_id"])
        with self._turn:
            if self._shard is None:
                return None
            with self._careful():
                return [(str((hit.payload or {})["procedure_id"]), hit.score) for hit in self._shard.query(request)]
        return None

    def close(self) -> None:
        """Bring the shard onto the disk and leave it to others. Safe to call twice."""
        with self._turn:
            with self._careful():
                self._hand_over()
            self._shard = None
            self._lock.release()

    def suspend(self) -> None:
        """Close it, and keep others out until `resume`."""
        self._turn.acquire()
        self.close()

    def resume(self) -> None:
        """Let others in again."""
        self._turn.release()

    def _own(self, store: str, length: int, written: int) -> bool:
        if self._shard is not None and self._store == store and self._written <= written:
            return True
        if not self._lock.take():
            return False
        if self._shard is not None:  # It follows a database that was replaced by an older one.
            shard, self._shard = self._shard, None
            shard.close()
        shard, manifest = self._folder / "shard", _manifest(self._folder)
        noted = _read_manifest(manifest)
        # From here on the shard is nobody's word, until it is closed again.
        manifest.unlink(missing_ok=True)
        if noted.get("store") == store and noted.get("files") == _files(shard):
            reached = noted.get("written")
            if isinstance(reached, int) and reached <= written:
                self._shard, self._store, self._written = qe.EdgeShard.load(str(shard)), store, reached
                return True
        shutil.rmtree(shard, ignore_errors=True)
        self._shard, self._store, self._written = _created(shard, length), store, 0
        return True

    def _catch_up(self, written: int, newer: Callable[[int], Sequence[Row]], budget: int) -> None:
        while self._written < written and budget > 0 and self._roomy() and self._shard is not None:
            rows = newer(self._written)
            if not rows:
                self._written = written
                return
            # One operation writes a point once: of two states of one head the later one must stay.
            points = {point.id: point for row in rows for point in _points(row)}
            self._shard.update(qe.UpdateOperation.upsert_points(list(points.values())))
            self._written = rows[-1].written
            budget -= len(rows)

    def _hand_over(self) -> None:
        if self._shard is None:
            return
        self._shard.flush()
        self._shard.close()
        noted = {"store": self._store, "written": self._written, "files": _files(self._folder / "shard")}
        fresh = self._folder / f"shard-{uuid4().hex}.json"
        try:
            fresh.write_text(json.dumps(noted), encoding="utf-8")
            fresh.replace(_manifest(self._folder))
        finally:
            fresh.unlink(missing_ok=True)

    def _roomy(self) -> bool:
        return writable(self._folder) and shutil.disk_usage(self._folder).free >= self._room

    @contextmanager
    def _careful(self) -> Generator[None, None, None]:
        try:
            yield
        except (KeyboardInterrupt, SystemExit, GeneratorExit, StoreError):
            raise
        except BaseException as error:  # A panic in Rust is no Exception.
            message = "the Qdrant shard in %r failed (%s: %s): vectors are searched without it, and it is built anew"
            logger.warning(message, str(self._folder), type(error).__name__, error)
            self._resting_until = time.monotonic() + REST_SECONDS
            shard, self._shard = self._shard, None
            with suppress(Exception):
                if shard is not None:
                    shard.close()
            self._lock.release()


def require_room(folder: Path) -> None:
    """Raise a `StoreError` where too little space is free to open a shard."""
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise StoreError(
            f"the folder {str(folder)!r} has {free // 2**20} MiB of free space, and {ROOM // 2**20} MiB are needed to "
            "take the store of an earlier version over: free some and open it again."
        )


def points_of(shard: Path) -> Generator[tuple[Payload, list[float] | None], None, None]:
    """Give the payload and vector of every point of a shard that nobody has open.

    Raises:
        StoreError: the shard cannot be read, or lacks points of an earlier version that once were in it.
    """
    try:
        # Before it is loaded, which would bring its files into accord.
        _require_few(sum(map(_missing_in, (shard / "segments").glob("*"))), shard)
        empty = 0
        opened = qe.EdgeShard.load(str(shard))
        try:
            offset: qe.PointId | None = None
            while True:
                request = qe.ScrollRequest(limit=BATCH, offset=offset, with_payload=True, with_vector=True)
                records, offset = opened.scroll(request)
                empty += sum(not record.payload for record in records)
                yield from ((record.payload, _vector_of(record)) for record in records if record.payload)
                if offset is None:
                    break
        finally:
            opened.close()
        _require_few(empty, shard)
    except (KeyboardInterrupt, SystemExit, GeneratorExit, StoreError):
        raise
    except BaseException as error:  # A panic in Rust is no Exception.
        raise StoreError(f"the Qdrant shard {str(shard)!r} failed: {error}. {_RESTORE}") from error


_RESTORE: Final = "Restore the folder from a backup; or move the shard away, and start with an empty store."


def _require_few(missing: int, shard: Path) -> None:
    """Raise a `StoreError` where files were cut: the shard itself opens, and does not tell what is gone then."""
    if not missing:
        return
    gone = f"{missing} records of the Qdrant shard {str(shard)!r} are gone"
    # One of this version is not synced by itself, and is read only where its database is lost: what is left is all.
    if missing > HALF_WRITTEN and (shard / "wal").exists():
        raise StoreError(f"{gone}: files of it are damaged. {_RESTORE}")
    logger.warning("%s; what is left is taken over", gone)


def _missing_in(segment: Path) -> int:
    """Return how many places of points some file of a segment knows of that another does not: they are filled alike."""
    counts = [_places(segment / "mutable_id_tracker.mappings")]
    versions = segment / "mutable_id_tracker.versions"
    counts.append(versions.stat().st_size // 8 if versions.exists() else 0)
    vectors = (segment / "vector_storage-intent" / "vectors" / "status.dat",)
    counts += [int.from_bytes(path.read_bytes(), "little") for path in vectors if path.exists()]
    return max(counts) - min(counts)


def _places(mappings: Path) -> int:
    """Return one more than the last place that was given to a point."""
    places, position, log = 0, 0, mappings.read_bytes() if mappings.exists() else b""
    while position < len(log) and (size := _MAPPING.get(log[position], 0)) and position + size <= len(log):
        if log[position] in _INSERTS:
            places = max(places, 1 + int.from_bytes(log[position + size - 4 : position + size], "little"))
        position += size
    return places


_MAPPING: Final = {1: 13, 2: 21, 3: 9, 4: 17}
"""Bytes of a line of the log that gives points their places, by its first one: by number or UUID, in and out."""
_INSERTS: Final = (1, 2)


def _created(path: Path, length: int) -> qe.EdgeShard:
    vectors = {VECTOR: qe.EdgeVectorParams(size=length, distance=qe.Distance.Cosine)}
    shard = qe.EdgeShard.create(str(path), qe.EdgeConfig(vectors=vectors, wal_enabled=False))
    shard.update(qe.UpdateOperation.create_field_index(SCOPE, qe.KeywordIndexParams(is_tenant=True)))
    return shard


def _manifest(folder: Path) -> Path:
    return folder / "shard.json"


def _read_manifest(path: Path) -> dict[str, object]:
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}  # pyright: ignore[reportUnknownVariableType]  # compared key by key


def _files(shard: Path) -> dict[str, list[int]]:
    found = sorted(path for path in shard.rglob("*") if path.is_file())
    return {path.relative_to(shard).as_posix(): [path.stat().st_size, path.stat().st_mtime_ns] for path in found}


def _points(row: Row) -> list[qe.Point]:
    try:
        entry = entry_from(row.payload, row.scope)
    except SchemaError as error:
        logger.warning("left the stored procedure %r out of the shard: %s", row.payload["procedure_id"], error)
        return []
    scope, procedure = row.scope, entry.procedure
    identifier = point_id("version", scope, procedure.id, procedure.version)
    points = [qe.Point(identifier, {}, entry_payload("version", entry))]
    if row.current:
        vectors: dict[str, qe.NamedVector] = {VECTOR: row.vector} if row.vector else {}
        points.append(qe.Point(point_id("head", scope, procedure.id), vectors, entry_payload("head", entry)))
    return points


def _vector_of(record: qe.Record) -> list[float] | None:
    vectors = record.vector
    return vectors.get(VECTOR) if isinstance(vectors, dict) else None  # pyright: ignore[reportReturnType]  # dense by name
