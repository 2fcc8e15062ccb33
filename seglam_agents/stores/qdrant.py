"""`QdrantStore`: procedures on a Qdrant server that several processes share, or in a local client for tests.

How the change feed can never skip an entry. A plain counter is not enough: a writer may take number 5, stall, and
write after others have read number 6. Here number and write are one compare-and-set:

1. Every scope has one *ledger* point: the last revision, a nonce, and the write that is under way (`pending`).
2. A writer claims revision n + 1 by replacing the ledger, on condition that the nonce is still the one it read. The new
   ledger holds the whole write. Qdrant does not tell whether a conditional write was applied, so the writer reads the
   ledger back and looks for its own nonce (among the recent ones, because others may have gone on meanwhile).
3. It writes head and version, on condition that the stored ones are older than n + 1, and clears `pending`.
4. Whoever finds `pending` set finishes that write first. So a writer that dies or stalls holds up nobody, and its late
   write changes nothing, because by then the stored revision is not older.

A reader takes the revision from the ledger (less one while a write is pending) *before* it reads the heads: all
writes up to that revision were in place by then. Conditions need Qdrant 1.16; they insert a missing point whatever
they say, which is why creating and replacing are the same call here. Writes ask for strong ordering and reads for a
majority, so that the same holds on a replicated cluster. Writes of one scope are serial: six round trips each.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar
from uuid import uuid4

from qdrant_client import QdrantClient, models
from qdrant_client.conversions.common_types import PointId
from qdrant_client.local.qdrant_local import QdrantLocal

from seglam_agents.records.entry import Entry
from seglam_agents.records.errors import StoreError
from seglam_agents.records.record import Json
from seglam_agents.records.request import Scope
from seglam_agents.stores.base import Changes, Match
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
from seglam_agents.stores.ledger import Ledger, Write

P = ParamSpec("P")
T = TypeVar("T")


class QdrantStore:
    """A store on Qdrant.

    Args:
        location: ":memory:" for a local client that forgets (tests), or the URL of a server.
        url: the URL of a server, by its usual name.
        api_key: the server's key.
        client: a client that the caller made and will close.
        prefix: what the names of the collections begin with.
        timeout: seconds that one request to the server may take.
    """

    def __init__(
        self,
        location: str | None = None,
        *,
        url: str | None = None,
        api_key: str | None = None,
        client: QdrantClient | None = None,
        prefix: str = "seglam",
        timeout: int = 10,
    ) -> None:
        self._where = url or location or (":memory:" if client is None else "the given client")
        self._owned = client is None
        self._client: QdrantClient | None = client or _connect(self._where, api_key, timeout)
        # A local client is not safe to share between threads; a remote one is.
        self._local = isinstance(self._client._client, QdrantLocal)  # pyright: ignore[reportPrivateUsage]  # no public way
        self._gate = Gate(one_by_one=self._local)
        self._writing = threading.Lock()
        self._procedures, self._ledgers, self._notes = (f"{prefix}-{n}" for n in ("procedures", "ledgers", "notes"))
        self._known: set[str] = set()
        self._prepared: set[str] = set()
        self._length: int | None = None

    def put(self, entry: Entry, *, expected_revision: int, vector: Sequence[float] | None = None) -> Entry:
        """Write a new state of a procedure and return it with its new revision, once the server has it."""
        numbers = None if vector is None else checked_vector(vector)
        # Threads of one store queue here instead of racing each other over the network.
        with self._writing:
            self._prepare_procedures(numbers)
            for _ in range(_ATTEMPTS):
                written = self._attempt(entry, expected_revision, numbers)
                if written is not None:
                    return written
                time.sleep(secrets.randbelow(20) / 1000)
        raise StoreError(f"too many writers in scope {entry.procedure.scope.key}: gave up after {_ATTEMPTS} attempts")

    def get(self, scope: Scope, procedure_id: str, version: int | None = None) -> Entry | None:
        """Return the current entry, or that of one version; None where there is none."""
        if version is None:
            point = self._point(self._procedures, point_id("head", scope, procedure_id))
        else:
            point = self._point(self._procedures, point_id("version", scope, procedure_id, version))
        return entry_from(point.payload, scope) if point else None

    def changes(self, scope: Scope, since: int = 0) -> Changes:
        """Return what was written in a scope after a revision."""
        settled = self._ledger(scope).settled
        after = since if since <= settled else 0
        payloads = self._payloads(self._procedures, _within(scope, "head", _above(after)))
        entries = sorted(readable_entries(payloads, scope), key=lambda entry: entry.revision)
        return Changes(settled, tuple(entries))

    def versions(self, scope: Scope, procedure_id: str) -> Sequence[Entry]:
        """Return the latest state of every version, oldest first."""
        if not storable(procedure_id):
            return []
        within = _within(scope, "version", _equal("procedure_id", procedure_id))
        entries = readable_entries(self._payloads(self._procedures, within), scope)
        return sorted(entries, key=lambda entry: entry.procedure.version)

    def search(self, scope: Scope, vector: Sequence[float], *, limit: int = 8) -> Sequence[Match]:
        """Return the current entries nearest to a vector, nearest first."""
        numbers = checked_vector(vector)
        stored = self._stored_length()
        if stored is None:
            return []
        require_length(stored, len(numbers))
        found = self._call(
            self._open().query_points,
            self._procedures,
            query=numbers,
            using=VECTOR,
            query_filter=_within(scope, "head"),
            limit=limit,
        )
        hits = [(readable_entries([hit.payload], scope), hit.score) for hit in found.points]
        return [Match(entry, score) for entries, score in hits for entry in entries]

    def put_note(self, scope: Scope, kind: str, key: str, document: dict[str, Json]) -> None:
        """Write a note; the last writer wins."""
        payload = note_payload(scope, kind, key, document)
        self._prepare(self._notes, None)
        self._upsert(self._notes, [_point(point_id("note", scope, kind, key), payload)])

    def notes(self, scope: Scope, kind: str) -> dict[str, dict[str, Json]]:
        """Return all notes of one kind by key."""
        if not storable(kind):
            return {}
        payloads = self._payloads(self._notes, _within(scope, "note", _equal("note_kind", kind)))
        return readable_notes(payloads, scope)

    def close(self) -> None:
        """Release the connection; a client that was passed in stays open. Safe to call twice."""
        # A write under way ends first, and so does every call that is on the line.
        with self._writing:
            client, self._client = self._client, None
        if client is not None and self._owned:
            self._gate.close()
            self._translated(client.close)

    def _attempt(self, entry: Entry, expected: int, vector: list[float] | None) -> Entry | None:
        """Write an entry; None means that another writer took the revision."""
        scope = entry.procedure.scope
        ledger = self._finish_pending(scope)
        # The head is read after the ledger: while the ledger stays as it is, so does the head.
        head = self._point(self._procedures, point_id("head", scope, entry.procedure.id), with_vector=True)
        require_revision(entry, stored=_revision_of(head), expected=expected)
        written = entry.model_copy(update={"revision": ledger.revision + 1})
        write = Write(written.revision, entry_payload("head", written), vector or _vector_of(head))
        claimed = ledger.claim(uuid4().hex, write)
        self._replace_ledger(scope, claimed, seen=ledger.nonce)
        if not self._ledger(scope).went_through(claimed):
            return None
        self._apply(scope, write)
        self._replace_ledger(scope, claimed.cleared(), seen=claimed.nonce)
        return written

    def _finish_pending(self, scope: Scope) -> Ledger:
        ledger = self._ledger(scope)
        if ledger.pending is None:
            return ledger
        self._apply(scope, ledger.pending)
        self._replace_ledger(scope, ledger.cleared(), seen=ledger.nonce)
        return ledger.cleared()

    def _apply(self, scope: Scope, write: Write) -> None:
        head = point_id("head", scope, write.procedure_id)
        version = point_id("version", scope, write.procedure_id, write.version)
        points = [
            _point(version, {**write.payload, KIND: "version"}),
            _point(head, write.payload, write.vector),
        ]
        self._upsert(self._procedures, points, models.Filter(must=[_below(write.revision)]))

    def _ledger(self, scope: Scope) -> Ledger:
        point = self._point(self._ledgers, point_id("ledger", scope))
        return Ledger.from_payload(point.payload) if point else Ledger()

    def _replace_ledger(self, scope: Scope, ledger: Ledger, *, seen: str) -> None:
        point = _point(point_id("ledger", scope), ledger.to_payload(scope))
        self._upsert(self._ledgers, [point], models.Filter(must=[_equal("nonce", seen)]))

    def _upsert(
        self, collection: str, points: list[models.PointStruct], condition: models.Filter | None = None
    ) -> None:
        client, strong = self._open(), models.WriteOrdering.STRONG
        self._call(client.upsert, collection, points, wait=True, ordering=strong, update_filter=condition)

    def _point(self, collection: str, identifier: str, *, with_vector: bool = False) -> models.Record | None:
        if not self._exists(collection):
            return None
        found = self._call(
            self._open().retrieve,
            collection,
            [identifier],
            with_vectors=with_vector,
            consistency=models.ReadConsistencyType.MAJORITY,
        )
        return found[0] if found else None

    def _payloads(self, collection: str, within: models.Filter) -> list[models.Payload | None]:
        payloads: list[models.Payload | None] = []
        offset: PointId | None = None
        while self._exists(collection):
            records, offset = self._call(
                self._open().scroll,
                collection,
                within,
                limit=_PAGE,
                offset=offset,
                consistency=models.ReadConsistencyType.MAJORITY,
            )
            payloads += [record.payload for record in records]
            if offset is None:
                break
        return payloads

    def _prepare_procedures(self, vector: list[float] | None) -> None:
        self._prepare(self._ledgers, None)
        self._prepare(self._procedures, len(vector) if vector else None)
        if vector is not None:
            if self._stored_length() is None:
                self._add_vector(len(vector))
            require_length(self._stored_length(), len(vector))

    def _prepare(self, collection: str, length: int | None) -> None:
        client = self._open()
        if collection in self._prepared:
            return
        self._require_version(client)
        if not self._exists(collection):
            self._create(client, collection, length)
        if not self._local:
            # Asked for by every process once, because the one that made the collection may have died before this.
            for name, schema in _INDEXES.items():
                self._call(client.create_payload_index, collection, name, schema, wait=True)
        self._prepared.add(collection)

    def _create(self, client: QdrantClient, collection: str, length: int | None) -> None:
        vectors = {} if length is None else {VECTOR: models.VectorParams(size=length, distance=models.Distance.COSINE)}
        # One small graph a scope instead of one over all of them, since no search ever crosses scopes.
        graph = models.HnswConfigDiff(m=0, payload_m=16)
        try:
            self._call(client.create_collection, collection, vectors_config=vectors, hnsw_config=graph)
        except StoreError:
            if not self._exists(collection):
                raise

    def _add_vector(self, length: int) -> None:
        dense = models.DenseVectorConfig(size=length, distance=models.Distance.COSINE)
        config = models.DenseVectorNameConfig(dense=dense)
        try:
            self._call(self._open().create_vector_name, self._procedures, VECTOR, config)
        except StoreError:
            # Another process may have been faster; if not, the first error is the one to show.
            if self._stored_length() is None:
                raise

    def _stored_length(self) -> int | None:
        if self._length is None and self._exists(self._procedures):
            vectors = self._call(self._open().get_collection, self._procedures).config.params.vectors
            params = vectors.get(VECTOR) if isinstance(vectors, dict) else None
            self._length = params.size if params else None
        return self._length

    def _exists(self, collection: str) -> bool:
        client = self._open()
        if collection not in self._known and self._call(client.collection_exists, collection):
            self._known.add(collection)
        return collection in self._known

    def _require_version(self, client: QdrantClient) -> None:
        version = self._call(client.info).version
        if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _OLDEST:
            raise StoreError(
                f"Qdrant at {self._where} is {version}, which ignores the conditions of conditional writes: "
                f"upgrade it to {'.'.join(map(str, _OLDEST))} or newer."
            )

    def _open(self) -> QdrantClient:
        if self._client is None:
            closed()
        return self._client

    def _call(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._gate.passing():
            return self._translated(call, *args, **kwargs)

    def _translated(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except Exception as error:
            raise StoreError(
                f"Qdrant at {self._where} failed: {error}. Check that it runs, and the URL and the API key."
            ) from error


_ATTEMPTS = 500
_PAGE = 256
_OLDEST = (1, 16)
_INDEXES: dict[str, models.KeywordIndexParams | models.PayloadSchemaType] = {
    SCOPE: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    KIND: models.PayloadSchemaType.KEYWORD,
    "procedure_id": models.PayloadSchemaType.KEYWORD,
    "status": models.PayloadSchemaType.KEYWORD,
    "name": models.PayloadSchemaType.KEYWORD,
    "note_kind": models.PayloadSchemaType.KEYWORD,
    "nonce": models.PayloadSchemaType.KEYWORD,
    REVISION: models.PayloadSchemaType.INTEGER,
}


def _connect(where: str, api_key: str | None, timeout: int) -> QdrantClient:
    if where == ":memory:":
        return QdrantClient(":memory:")
    # The version is checked before the first write; checking it here would need the server to be up already.
    return QdrantClient(url=where, api_key=api_key, timeout=timeout, check_compatibility=False)


def _point(identifier: str, payload: Payload, vector: list[float] | None = None) -> models.PointStruct:
    return models.PointStruct(id=identifier, vector={VECTOR: vector} if vector else {}, payload=payload)


def _vector_of(record: models.Record | None) -> list[float] | None:
    vectors = record.vector if record else None
    return vectors.get(VECTOR) if isinstance(vectors, dict) else None  # pyright: ignore[reportReturnType]  # dense by name


def _revision_of(record: models.Record | None) -> int:
    revision = ((record.payload if record else None) or {}).get(REVISION)
    return revision if isinstance(revision, int) else 0


def _within(scope: Scope, role: Role, *conditions: models.FieldCondition) -> models.Filter:
    return models.Filter(must=[_equal(SCOPE, scope.key), _equal(KIND, role), *conditions])


def _equal(field: str, value: str) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


def _above(revision: int) -> models.FieldCondition:
    return models.FieldCondition(key=REVISION, range=models.Range(gt=revision))


def _below(revision: int) -> models.FieldCondition:
    return models.FieldCondition(key=REVISION, range=models.Range(lt=revision))
