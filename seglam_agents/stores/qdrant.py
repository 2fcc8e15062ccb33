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
writes up to that revision were in place by then. Writes of one scope are serial: seven round trips each.

What a server may do to this, and what is done about it:

* A reply is lost, or a read comes late. A writer keeps the nonces of all its claims, and looks for them in the ledger
  before it reports a conflict or a failure. A ledger that is older than one seen before is read again.
* A write is refused for good (400, 413, 422). It is dropped with a warning, so that it does not hold up its scope.
* Snapshots of different times are restored. A claim is above the ledger *and* above every head, and a writer reads its
  head back before it says that it is stored. Back up procedures first and ledgers last all the same.
* More than one replica: refused. Replicas test conditions each against its own state.

Conditions, modes and vectors that are added later need Qdrant 1.18; up to 1.18.3 a server answers before its log is
replayed after a restart, and the feed could skip an entry. So 1.19 is the oldest that is accepted.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import ParamSpec, TypeVar
from uuid import uuid4

from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.conversions.common_types import PointId
from qdrant_client.http.exceptions import UnexpectedResponse
from qdrant_client.local.qdrant_local import QdrantLocal

from seglam_agents.records.entry import Entry
from seglam_agents.records.errors import ConflictError, Outage, StoreError
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
    logger,
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
        self._outage = Outage()
        self._writing = threading.Lock()
        self._procedures, self._ledgers, self._notes = (f"{prefix}-{n}" for n in ("procedures", "ledgers", "notes"))
        self._indexes = {
            self._procedures: (SCOPE, KIND, "procedure_id", "status", "name", REVISION),
            self._notes: (SCOPE, KIND, "note_kind"),
            self._ledgers: (),
        }
        self._timeout = timeout
        self._seen: dict[Scope, int] = {}
        self._floors: dict[Scope, int] = {}
        self._known: set[str] = set()
        self._prepared: set[str] = set()
        self._length: int | None = None

    def put(self, entry: Entry, *, expected_revision: int, vector: Sequence[float] | None = None) -> Entry:
        """Write a new state of a procedure and return it with its new revision, once the server has it."""
        numbers = None if vector is None else checked_vector(vector)
        # Threads of one store queue here instead of racing each other over the network.
        with self._writing:
            self._prepare_procedures(numbers)
            claims: list[_Claim] = []
            failures = 0
            for _ in range(_ATTEMPTS):
                try:
                    written = self._attempt(entry, expected_revision, numbers, claims)
                except ConflictError:
                    # What looks like somebody else's write may be our own, whose reply was lost.
                    written = self._went_in(entry.procedure.scope, claims)
                    if written is None:
                        raise
                except _RefusedError:
                    raise
                except StoreError:
                    failures += 1
                    if not claims or failures > _FAILURES:
                        raise
                    written = None
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
        self._upsert(self._notes, _point(point_id("note", scope, kind, key), payload))

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

    def _attempt(self, entry: Entry, expected: int, vector: list[float] | None, claims: list[_Claim]) -> Entry | None:
        """Write an entry; None means that another writer took the revision, or that it is not known yet."""
        scope = entry.procedure.scope
        ledger = self._finish_pending(scope)
        if mine := _own(ledger, claims):
            return self._stored(scope, mine)
        # The head is read after the ledger: while the ledger stays as it is, so does the head.
        head = self._point(self._procedures, point_id("head", scope, entry.procedure.id), with_vector=True)
        require_revision(entry, stored=_revision_of(head), expected=expected)
        last = max(ledger.revision, _revision_of(head), self._highest(scope))
        written = entry.model_copy(update={"revision": last + 1})
        write = Write(written.revision, entry_payload("head", written), vector or _vector_of(head))
        claimed = ledger.claim(uuid4().hex, write)
        # Noted first: when the reply is lost, nobody knows whether it went in.
        claims.append(_Claim(claimed, written))
        self._replace_ledger(scope, claimed, seen=ledger.nonce)
        if not self._ledger(scope).went_through(claimed):
            return None
        self._finish(scope, claimed)
        return self._stored(scope, claims[-1])

    def _finish_pending(self, scope: Scope) -> Ledger:
        """Finish the write that is under way, whoever's it is; one that the server refuses for good is dropped."""
        ledger = self._ledger(scope)
        if ledger.pending is None:
            return ledger
        try:
            return self._finish(scope, ledger)
        except _RefusedError as error:
            pending = ledger.pending
            logger.warning("dropped a write of %r that cannot be stored: %s", pending.procedure_id, error)
            return self._ledger(scope)

    def _finish(self, scope: Scope, ledger: Ledger) -> Ledger:
        assert ledger.pending is not None  # noqa: S101  # for the type checker; callers have one
        try:
            self._apply(scope, ledger.pending)
        except _RefusedError:
            # It would be refused again and again, and hold up everybody.
            self._forget()
            self._replace_ledger(scope, ledger.refused(uuid4().hex), seen=ledger.nonce)
            raise
        self._replace_ledger(scope, ledger.cleared(), seen=ledger.nonce)
        return ledger.cleared()

    def _went_in(self, scope: Scope, claims: list[_Claim]) -> Entry | None:
        for wait in _REREADS if claims else ():
            if mine := _own(self._finish_pending(scope), claims):
                return self._stored(scope, mine)
            time.sleep(wait)
        return None

    def _stored(self, scope: Scope, claim: _Claim) -> Entry:
        """Return what was written, once it was read back."""
        head = point_id("head", scope, claim.written.procedure.id)
        for wait in _REREADS:
            if _revision_of(self._point(self._procedures, head)) >= claim.written.revision:
                return claim.written
            time.sleep(wait)
        raise StoreError(
            f"Qdrant at {self._where} took procedure {claim.written.procedure.key!r} and does not hold it: was a "
            "snapshot restored meanwhile? Read it again and retry."
        )

    def _apply(self, scope: Scope, write: Write) -> None:
        head = point_id("head", scope, write.procedure_id)
        version = point_id("version", scope, write.procedure_id, write.version)
        older = models.Filter(must=[_below(write.revision)])
        # One point a request: up to 1.19.0 a flush between the two steps of a mixed one can lose the new point.
        self._upsert(self._procedures, _point(version, {**write.payload, KIND: "version"}), older)
        self._upsert(self._procedures, _point(head, write.payload, write.vector), older)

    def _ledger(self, scope: Scope) -> Ledger:
        identifier = point_id("ledger", scope)
        ledger = Ledger()
        for wait in _REREADS:
            point = self._point(self._ledgers, identifier)
            ledger = Ledger.from_payload(point.payload) if point else Ledger()
            if ledger.revision >= self._seen.get(scope, 0):
                break
            time.sleep(wait)  # It was further once: this read came late, or an older snapshot was restored.
        self._seen[scope] = ledger.revision
        return ledger

    def _highest(self, scope: Scope) -> int:
        """Return the highest revision of a head, which is above the ledger where an older ledger was restored."""
        if scope not in self._floors:
            order = models.OrderBy(key=REVISION, direction=models.Direction.DESC)
            within = _within(scope, "head")
            found, _ = self._call(self._open().scroll, self._procedures, within, limit=1, order_by=order)
            self._floors[scope] = _revision_of(found[0]) if found else 0
        return self._floors[scope]

    def _replace_ledger(self, scope: Scope, ledger: Ledger, *, seen: str) -> None:
        point = _point(point_id("ledger", scope), ledger.to_payload(scope))
        # The first one must not meet another; a later one must not make anew what was lost.
        mode = models.UpdateMode.UPDATE_ONLY if seen else models.UpdateMode.INSERT_ONLY
        condition = models.Filter(must=[_equal("nonce", seen)]) if seen else None
        self._upsert(self._ledgers, point, condition, mode)

    def _upsert(
        self,
        collection: str,
        point: models.PointStruct,
        condition: models.Filter | None = None,
        mode: models.UpdateMode | None = None,
    ) -> None:
        result = self._call(
            self._open().upsert,
            collection,
            [point],
            wait=True,
            update_filter=condition,
            update_mode=mode,
            timeout=None if self._local else self._timeout,
        )
        if result.status != models.UpdateStatus.COMPLETED:
            raise StoreError(f"Qdrant at {self._where} did not finish a write in time ({result.status}): try again")

    def _point(self, collection: str, identifier: str, *, with_vector: bool = False) -> models.Record | None:
        if not self._exists(collection):
            return None
        found = self._call(self._open().retrieve, collection, [identifier], with_vectors=with_vector)
        return found[0] if found else None

    def _payloads(self, collection: str, within: models.Filter) -> list[models.Payload | None]:
        payloads: list[models.Payload | None] = []
        offset: PointId | None = None
        while self._exists(collection):
            records, offset = self._call(self._open().scroll, collection, within, limit=_PAGE, offset=offset)
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
            info = self._call(client.get_collection, collection)
            self._require_one_replica(collection, info.config.params.replication_factor)
            # Looked at by every process once, because the one that made the collection may have died before this.
            for name in self._indexes[collection]:
                if name not in info.payload_schema:
                    self._call(client.create_payload_index, collection, name, _INDEXES[name], wait=True)
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
                f"Qdrant at {self._where} is {version}, which lacks what writes need, or may lose some in a "
                f"restart: upgrade it to {'.'.join(map(str, _OLDEST))} or newer."
            )

    def _require_one_replica(self, collection: str, replicas: int | None) -> None:
        if replicas is not None and replicas > 1:
            raise StoreError(
                f"the collection {collection!r} of Qdrant at {self._where} has {replicas} replicas, and each would "
                "test the conditions of writes against its own state: use collections with one replica, and snapshots"
            )

    def _forget(self) -> None:
        """Look anew at what is on the server: what is known of it is wrong."""
        self._known.clear()
        self._prepared.clear()
        self._length = None
        self._floors.clear()

    def _open(self) -> QdrantClient:
        if self._client is None:
            closed(self._outage)
        return self._client

    def _call(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._gate.passing():
            return self._translated(call, *args, **kwargs)

    def _translated(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        for wait in _RETRIES:
            try:
                returned = call(*args, **kwargs)
            except Exception as error:
                status = _status(error)
                if status not in _BUSY or wait is None:
                    raise self._failure(error, status) from error
            else:
                self._outage.over()
                return returned
            time.sleep(wait * (1 + secrets.randbelow(1000) / 1000))
        raise AssertionError("the last try raises")

    def _failure(self, error: Exception, status: int | None) -> StoreError:
        failed = f"Qdrant at {self._where} failed: {error}."
        if status == HTTPStatus.NOT_FOUND:
            self._forget()
            return StoreError(f"{failed} A collection is gone: try again, and it is made anew.")
        if status in _FOR_GOOD:
            return _RefusedError(f"{failed} It will not take this, however often it is tried.")
        if status in _BUSY:
            return StoreError(f"{failed} It is too busy, or has reached a limit: try again later.", self._outage)
        return StoreError(f"{failed} Check that it runs, and the URL and the API key.", self._outage)


class _RefusedError(StoreError):
    """The server will never take this request."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A claim that may have gone in, and what it writes."""

    ledger: Ledger
    written: Entry


def _own(ledger: Ledger, claims: Sequence[_Claim]) -> _Claim | None:
    return next((claim for claim in claims if claim.ledger.nonce in ledger.nonces), None)


def _status(error: Exception) -> int | None:
    if isinstance(error, ResourceExhaustedResponse):
        return HTTPStatus.TOO_MANY_REQUESTS
    return error.status_code if isinstance(error, UnexpectedResponse) else None


_ATTEMPTS = 500
_FAILURES = 3
"""How often a put goes on after an error, to see whether its claim went in."""
_REREADS = (0.0, 0.01, 0.05)
"""How long is waited after each read that may have come late."""
_RETRIES = (0.05, 0.2, None)
"""How long is waited before what a busy server did not take is sent again."""
_BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_FOR_GOOD = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY)
_PAGE = 256
_OLDEST = (1, 19)
_INDEXES: dict[str, models.KeywordIndexParams | models.PayloadSchemaType] = {
    SCOPE: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    KIND: models.PayloadSchemaType.KEYWORD,
    "procedure_id": models.PayloadSchemaType.KEYWORD,
    "status": models.PayloadSchemaType.KEYWORD,
    "name": models.PayloadSchemaType.KEYWORD,
    "note_kind": models.PayloadSchemaType.KEYWORD,
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
