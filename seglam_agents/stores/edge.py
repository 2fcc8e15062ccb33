"""`EdgeStore`: the embedded default on disk, one process, no server.

How it survives `kill -9` and power loss: a put is one operation in Qdrant's write-ahead log (head and version
together, so replaying it gives both or neither), and it returns only after the log and the segments are synced to
disk. The shard itself is built beside its place and then renamed into it, so a kill during the very first start
leaves either no shard or a whole one.

The shard's optimizer is never run: it holds the interpreter for seconds, and a scan within one scope stays below a
millisecond for tens of thousands of procedures.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar
from uuid import uuid4

import qdrant_edge as qe

from seglam_agents.records.entry import Entry
from seglam_agents.records.errors import StoreError
from seglam_agents.records.record import Json
from seglam_agents.records.request import Scope
from seglam_agents.stores.base import Changes, Match
from seglam_agents.stores.filelock import FileLock
from seglam_agents.stores.gate import Gate
from seglam_agents.stores.layout import (
    KIND,
    REVISION,
    SCOPE,
    VECTOR,
    Payload,
    Role,
    checked_vector,
    closed,
    entry_from,
    entry_payload,
    note_payload,
    point_id,
    readable_entries,
    readable_notes,
    require_length,
    require_revision,
    storable,
)

P = ParamSpec("P")
T = TypeVar("T")


class EdgeStore:
    """A store in a folder of its own, for one process and its threads.

    Args:
        path: the folder; it is created where it does not exist.

    Raises:
        StoreError: the folder cannot be used, or another process has it open.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._process = os.getpid()
        self._writing = threading.RLock()
        self._gate = Gate(one_by_one=False)
        self._revisions: dict[str, int] = {}
        self._length: int | None = None
        self._lock = FileLock(self._path)
        try:
            self._shard: qe.EdgeShard | None = self._call(_open_shard, self._path)
        except BaseException:
            self._lock.release()
            raise

    def put(self, entry: Entry, *, expected_revision: int, vector: Sequence[float] | None = None) -> Entry:
        """Write a new state of a procedure and return it with its new revision, once it is on the disk."""
        numbers = None if vector is None else checked_vector(vector)
        scope = entry.procedure.scope
        with self._writing:
            head = self._point(point_id("head", scope, entry.procedure.id), with_vector=True)
            stored = _revision_of(head.payload if head else None)
            require_revision(entry, stored=stored, expected=expected_revision)
            if numbers is not None:
                self._accept_length(len(numbers))
            written = entry.model_copy(update={"revision": self._revision(scope) + 1})
            self._write(scope, _entry_points(written, numbers or _vector_of(head)))
            self._revisions[scope.key] = written.revision
        return written

    def get(self, scope: Scope, procedure_id: str, version: int | None = None) -> Entry | None:
        """Return the current entry, or that of one version; None where there is none."""
        if version is None:
            point = self._point(point_id("head", scope, procedure_id))
        else:
            point = self._point(point_id("version", scope, procedure_id, version))
        return entry_from(point.payload, scope) if point else None

    def changes(self, scope: Scope, since: int = 0) -> Changes:
        """Return what was written in a scope after a revision."""
        # The revision is read before the points: what is written in between is given now and once more later.
        revision = self._revision(scope)
        after = since if since <= revision else 0
        payloads = self._payloads(_within(scope, "head", _above(after)))
        entries = sorted(readable_entries(payloads, scope), key=lambda entry: entry.revision)
        return Changes(revision, tuple(entries))

    def versions(self, scope: Scope, procedure_id: str) -> Sequence[Entry]:
        """Return the latest state of every version, oldest first."""
        if not storable(procedure_id):
            return []
        payloads = self._payloads(_within(scope, "version", _equal("procedure_id", procedure_id)))
        return sorted(readable_entries(payloads, scope), key=lambda entry: entry.procedure.version)

    def search(self, scope: Scope, vector: Sequence[float], *, limit: int = 8) -> Sequence[Match]:
        """Return the current entries nearest to a vector, nearest first."""
        numbers = checked_vector(vector)
        stored = self._stored_length()
        if stored is None:
            return []
        require_length(stored, len(numbers))
        query = qe.Query.Nearest(numbers, using=VECTOR)
        request = qe.QueryRequest(limit=limit, query=query, filter=_within(scope, "head"), with_payload=True)
        found = self._call(self._open().query, request)
        return [Match(entry, hit.score) for hit in found for entry in readable_entries([hit.payload], scope)]

    def put_note(self, scope: Scope, kind: str, key: str, document: dict[str, Json]) -> None:
        """Write a note, once it is on the disk; the last writer wins."""
        point = qe.Point(point_id("note", scope, kind, key), {}, note_payload(scope, kind, key, document))
        with self._writing:
            self._write(scope, [point])

    def notes(self, scope: Scope, kind: str) -> dict[str, dict[str, Json]]:
        """Return all notes of one kind by key."""
        if not storable(kind):
            return {}
        return readable_notes(self._payloads(_within(scope, "note", _equal("note_kind", kind))), scope)

    def close(self) -> None:
        """Write what is pending and release the folder. Safe to call twice."""
        with self._writing:
            shard, self._shard = self._shard, None
            # A shard inherited by fork has lost its threads: closing it would hang, and the parent still owns it.
            if shard is not None and os.getpid() == self._process:
                # A read under way would make the shard refuse to be closed.
                self._gate.close()
                try:
                    self._translated(shard.close)
                finally:
                    self._lock.release()

    def _open(self) -> qe.EdgeShard:
        if os.getpid() != self._process:
            raise StoreError(f"the store {str(self._path)!r} was opened before a fork: open it after forking")
        if self._shard is None:
            closed()
        return self._shard

    def _write(self, scope: Scope, points: list[qe.Point]) -> None:
        shard = self._open()
        try:
            self._call(shard.update, qe.UpdateOperation.upsert_points(points))
            self._call(shard.flush)
        except BaseException:
            # Whether it arrived is unknown: the next write must count again from what is stored.
            self._revisions.pop(scope.key, None)
            raise

    def _revision(self, scope: Scope) -> int:
        known = self._revisions.get(scope.key)
        if known is None:
            with self._writing:
                heads = self._payloads(_within(scope, "head"), [REVISION])
                known = self._revisions.setdefault(scope.key, max(map(_revision_of, heads), default=0))
        self._open()
        return known

    def _accept_length(self, length: int) -> None:
        require_length(self._stored_length(), length)
        if self._length is None:
            # A kill may have left the vector without a single point that has one, and of another length.
            self._call(self._open().update, qe.UpdateOperation.delete_vector_name(VECTOR))
            operation = qe.UpdateOperation.create_dense_vector(VECTOR, length, qe.Distance.Cosine)
            self._call(self._open().update, operation)
            self._length = length

    def _stored_length(self) -> int | None:
        if self._length is None:
            holds = qe.Filter(must=[qe.HasVectorCondition(VECTOR)])
            found, _ = self._call(self._open().scroll, qe.ScrollRequest(limit=1, filter=holds, with_vector=True))
            numbers = _vector_of(found[0]) if found else None
            self._length = len(numbers) if numbers else None
        return self._length

    def _point(self, identifier: str, *, with_vector: bool = False) -> qe.Record | None:
        found = self._call(self._open().retrieve, [identifier], True, with_vector)
        return found[0] if found else None

    def _payloads(self, within: qe.Filter, fields: list[str] | None = None) -> list[Payload | None]:
        # One request for everything is a snapshot; pages would not be.
        request = qe.ScrollRequest(limit=_ALL, filter=within, with_payload=fields or True)
        records, _ = self._call(self._open().scroll, request)
        return [record.payload for record in records]

    def _call(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._gate.passing():
            return self._translated(call, *args, **kwargs)

    def _translated(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(
                f"the store in {str(self._path)!r} failed: {error}. Check the folder's permissions and free space; "
                "where it is damaged, move it away and import a bundle."
            ) from error


_ALL = 1_000_000_000


def _open_shard(path: Path) -> qe.EdgeShard:
    shard = path / "shard"
    for leftover in path.glob("shard-*"):
        shutil.rmtree(leftover)
    if not shard.exists():
        fresh = path / f"shard-{uuid4().hex}"
        _create_shard(fresh)
        fresh.rename(shard)
        _sync_folder(path)
    return qe.EdgeShard.load(str(shard))


def _create_shard(path: Path) -> None:
    # A shard needs some vector when it is created, and the length of ours is not known before the first put.
    shard = qe.EdgeShard.create(str(path), qe.EdgeConfig(sparse_vectors={"words": qe.EdgeSparseVectorParams()}))
    for name in (KIND, "procedure_id", "note_kind", "status", "name"):
        shard.update(qe.UpdateOperation.create_field_index(name, qe.PayloadSchemaType.Keyword))
    shard.update(qe.UpdateOperation.create_field_index(SCOPE, qe.KeywordIndexParams(is_tenant=True)))
    shard.update(qe.UpdateOperation.create_field_index(REVISION, qe.PayloadSchemaType.Integer))
    shard.flush()
    shard.close()


def _sync_folder(path: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _entry_points(entry: Entry, vector: list[float] | None) -> list[qe.Point]:
    procedure = entry.procedure
    head = point_id("head", procedure.scope, procedure.id)
    version = point_id("version", procedure.scope, procedure.id, procedure.version)
    return [
        qe.Point(version, {}, entry_payload("version", entry)),
        qe.Point(head, {VECTOR: vector} if vector else {}, entry_payload("head", entry)),
    ]


def _vector_of(record: qe.Record | None) -> list[float] | None:
    vectors = record.vector if record else None
    return vectors.get(VECTOR) if isinstance(vectors, dict) else None  # pyright: ignore[reportReturnType]  # dense by name


def _revision_of(payload: Payload | None) -> int:
    revision = (payload or {}).get(REVISION)
    return revision if isinstance(revision, int) else 0


def _within(scope: Scope, role: Role, *conditions: qe.FieldCondition) -> qe.Filter:
    return qe.Filter(must=[_equal(SCOPE, scope.key), _equal(KIND, role), *conditions])


def _equal(field: str, value: str) -> qe.FieldCondition:
    return qe.FieldCondition(field, match=qe.MatchValue(value))


def _above(revision: int) -> qe.FieldCondition:
    return qe.FieldCondition(REVISION, range=qe.RangeFloat(gt=float(revision)))
