"""The tables of an embedded store: what was acknowledged. Readable with any SQLite client.

`procedures` holds the latest state of every version; `heads` says which of them is current. `written` counts all writes
of the database: by it the Qdrant shard sees what it lacks.
"""

from __future__ import annotations

import math
import sqlite3
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from seglam_agents.records.entry import Entry
from seglam_agents.records.record import Json
from seglam_agents.records.request import Scope
from seglam_agents.stores.layout import (
    REVISION,
    Payload,
    checksum,
    entry_payload,
    note_payload,
    require_length,
    require_revision,
)
from seglam_agents.stores.sqlite import APPLICATION, SCHEMA


@dataclass(frozen=True, slots=True)
class Row:
    """One version of a procedure in its latest state, as the database holds it."""

    written: int
    scope: Scope
    payload: Payload
    current: bool
    vector: list[float] | None


def create(path: Path) -> sqlite3.Connection:
    """Return a new database, which is not in use yet: its rows are written faster than those of one that is."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(f"PRAGMA application_id={APPLICATION}; PRAGMA user_version={SCHEMA}; BEGIN; {_TABLES}")
    connection.execute("INSERT INTO meta VALUES ('store', ?), ('written', 0), ('length', NULL)", [uuid4().hex])
    return connection


def finish(connection: sqlite3.Connection) -> None:
    """Bring a new database onto the disk, in the form in which it is used, and close it."""
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


def meta(connection: sqlite3.Connection, key: str) -> str | int | None:
    """Return what is noted about the whole store: `store` (its id), `written`, `length` (of vectors)."""
    found = connection.execute("SELECT value FROM meta WHERE key = ?", [key]).fetchone()
    return found[0] if found else None


def put(connection: sqlite3.Connection, entry: Entry, expected: int, vector: list[float] | None) -> Entry:
    """Write a state of a procedure, and return it with its revision."""
    procedure = entry.procedure
    scope, revision = _scope(connection, procedure.scope)
    found = connection.execute(
        "SELECT revision FROM heads WHERE scope = ? AND id = ?", [scope, procedure.id]
    ).fetchone()
    require_revision(entry, stored=found[0] if found else 0, expected=expected)
    if vector is not None:
        _keep_length(connection, len(vector))
    written = entry.model_copy(update={"revision": revision + 1})
    place(connection, procedure.scope, entry_payload("head", written), vector)
    return written


def place(connection: sqlite3.Connection, of: Scope, payload: Payload, vector: Sequence[float] | None) -> None:
    """Write the current state of a procedure as its payload says, whatever was there."""
    scope, _ = _scope(connection, of)
    identifier, version, revision = payload["procedure_id"], payload["version"], payload[REVISION]
    place_version(connection, of, payload)
    connection.execute(_PUT_HEAD, [scope, identifier, version, revision])
    connection.execute("UPDATE scopes SET revision = max(revision, ?) WHERE number = ?", [revision, scope])
    if vector:
        connection.execute(_PUT_VECTOR, [scope, identifier, revision, array("f", vector).tobytes()])


def place_version(connection: sqlite3.Connection, of: Scope, payload: Payload) -> None:
    """Write the latest state of one version, whichever is current."""
    scope, _ = _scope(connection, of)
    names = ("procedure_id", "version", REVISION, "status", "name")
    text = str(payload["entry"])
    (written,) = connection.execute(
        "UPDATE meta SET value = value + 1 WHERE key = 'written' RETURNING value"
    ).fetchone()
    connection.execute(_PUT_VERSION, [scope, *(payload[name] for name in names), text, checksum(text), written])


def has_version(connection: sqlite3.Connection, of: Scope, payload: Payload) -> bool:
    """Tell whether a state of a version that is at least as new is there."""
    names = [of.tenant, of.agent, payload["procedure_id"], payload["version"], payload[REVISION]]
    query = f"{_VERSIONS} AND procedures.version = ? AND procedures.revision >= ?"
    return connection.execute(query, names).fetchone() is not None


def current(connection: sqlite3.Connection, of: Scope, procedure_id: str) -> Payload | None:
    """Return the current state of a procedure."""
    rows = connection.execute(f"{_CURRENT} AND heads.id = ?", [of.tenant, of.agent, procedure_id])
    return next((_payload(row) for row in rows), None)


def version(connection: sqlite3.Connection, of: Scope, procedure_id: str, number: int) -> Payload | None:
    """Return the latest state of one version."""
    rows = connection.execute(f"{_VERSIONS} AND procedures.version = ?", [of.tenant, of.agent, procedure_id, number])
    return next((_payload(row) for row in rows), None)


def versions(connection: sqlite3.Connection, of: Scope, procedure_id: str) -> list[Payload]:
    """Return the latest state of every version, oldest first."""
    rows = connection.execute(f"{_VERSIONS} ORDER BY procedures.version", [of.tenant, of.agent, procedure_id])
    return [_payload(row) for row in rows]


def changes(connection: sqlite3.Connection, of: Scope, since: int) -> tuple[int, list[Payload]]:
    """Return the last revision of a scope, and the current states that were written after one, oldest first."""
    last = revision(connection, of)
    after = since if 0 <= since <= last else 0
    if after == last:
        return last, []
    query = f"{_CURRENT} AND heads.revision > ? ORDER BY heads.revision"
    return last, [_payload(row) for row in connection.execute(query, [of.tenant, of.agent, after])]


def revision(connection: sqlite3.Connection, of: Scope) -> int:
    """Return the last revision of a scope."""
    query = "SELECT revision FROM scopes WHERE tenant = ? AND agent = ?"
    return next((int(row[0]) for row in connection.execute(query, [of.tenant, of.agent])), 0)


def vectors(connection: sqlite3.Connection, of: Scope, since: int) -> list[tuple[str, int, bytes]]:
    """Return id, revision and vector (32-bit floats) of those written after a revision, oldest first."""
    return connection.execute(_GET_VECTORS, [of.tenant, of.agent, since]).fetchall()


def put_note(connection: sqlite3.Connection, of: Scope, kind: str, key: str, document: dict[str, Json]) -> None:
    """Write a note."""
    place_note(connection, of, kind, key, str(note_payload(of, kind, key, document)["document"]))


def place_note(connection: sqlite3.Connection, of: Scope, kind: str, key: str, text: str) -> None:
    """Write a note as its JSON text says."""
    scope, _ = _scope(connection, of)
    connection.execute(_PUT_NOTE, [scope, kind, key, text])


def notes(connection: sqlite3.Connection, of: Scope, kind: str) -> list[Payload]:
    """Return the notes of a kind."""
    rows = connection.execute(_GET_NOTES, [of.tenant, of.agent, kind])
    return [{"tenant": of.tenant, "agent": of.agent, "key": key, "document": text} for key, text in rows]


def last_written(connection: sqlite3.Connection) -> int:
    """Return how many states of procedures were written so far."""
    (written,) = connection.execute("SELECT coalesce(max(written), 0) FROM procedures").fetchone()
    return written


def written_since(connection: sqlite3.Connection, written: int, limit: int) -> list[Row]:
    """Return states of procedures that were written after one, oldest first."""
    return [_row(row) for row in connection.execute(_WRITTEN, [written, limit])]


def _scope(connection: sqlite3.Connection, scope: Scope) -> tuple[int, int]:
    names = [scope.tenant, scope.agent]
    query = "SELECT number, revision FROM scopes WHERE tenant = ? AND agent = ?"
    found = connection.execute(query, names).fetchone()
    if found is None:
        connection.execute("INSERT INTO scopes (tenant, agent, revision) VALUES (?, ?, 0)", names)
        found = connection.execute(query, names).fetchone()
    return found


def _keep_length(connection: sqlite3.Connection, length: int) -> None:
    stored = meta(connection, "length")
    if stored is None:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'length'", [length])
    else:
        require_length(int(stored), length)


def _payload(row: tuple[Any, ...]) -> Payload:
    return {"procedure_id": row[0], "entry": row[1], "checksum": row[2]}


def _row(row: tuple[Any, ...]) -> Row:
    written, tenant, agent, identifier, entry, check, is_current, vector = row
    payload = _payload((identifier, entry, check))
    numbers = array("f", vector).tolist() if vector else []
    if not all(map(math.isfinite, numbers)):
        numbers = []  # The disk damaged it.
    return Row(written, Scope(tenant=tenant, agent=agent), payload, bool(is_current), numbers or None)


_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE scopes (
    number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, agent TEXT NOT NULL, revision INTEGER NOT NULL,
    UNIQUE (tenant, agent)
);
CREATE TABLE procedures (
    scope INTEGER NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, revision INTEGER NOT NULL,
    status TEXT, name TEXT, entry TEXT NOT NULL, checksum INTEGER NOT NULL, written INTEGER NOT NULL UNIQUE,
    PRIMARY KEY (scope, id, version)
);
CREATE TABLE heads (
    scope INTEGER NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, revision INTEGER NOT NULL,
    PRIMARY KEY (scope, id)
) WITHOUT ROWID;
CREATE INDEX heads_by_revision ON heads (scope, revision);
CREATE TABLE vectors (
    scope INTEGER NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (scope, id)
);
CREATE INDEX vectors_by_revision ON vectors (scope, revision);
CREATE TABLE notes (
    scope INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (scope, kind, key)
);
CREATE VIEW current AS
    SELECT tenant, agent, heads.id, heads.version, heads.revision, status, name, entry
    FROM heads JOIN scopes ON scopes.number = heads.scope
    JOIN procedures
    ON procedures.scope = heads.scope AND procedures.id = heads.id AND procedures.version = heads.version;
"""
# Of a vector that was damaged, its procedure is not found as a neighbour; the others are.
_WHOLE = "typeof(vector) = 'blob' AND length(vector) = 4 * (SELECT value FROM meta WHERE key = 'length')"
_CURRENT = (
    "SELECT procedures.id, entry, checksum FROM scopes JOIN heads ON heads.scope = scopes.number JOIN procedures ON "
    "procedures.scope = heads.scope AND procedures.id = heads.id AND procedures.version = heads.version "
    "WHERE tenant = ? AND agent = ?"
)
_VERSIONS = (
    "SELECT procedures.id, entry, checksum FROM scopes JOIN procedures ON procedures.scope = scopes.number "
    "WHERE tenant = ? AND agent = ? AND procedures.id = ?"
)
_WRITTEN = (
    "SELECT procedures.written, tenant, agent, procedures.id, entry, checksum, heads.version IS NOT NULL, "  # noqa: S608  # of constants alone
    f"CASE WHEN {_WHOLE} THEN vector END "
    "FROM procedures JOIN scopes ON scopes.number = procedures.scope "
    "LEFT JOIN heads ON heads.scope = procedures.scope AND heads.id = procedures.id "
    "AND heads.version = procedures.version AND heads.revision = procedures.revision "
    "LEFT JOIN vectors ON vectors.scope = heads.scope AND vectors.id = heads.id "
    "WHERE procedures.written > ? ORDER BY procedures.written LIMIT ?"
)
_PUT_VERSION = (
    "INSERT OR REPLACE INTO procedures (scope, id, version, revision, status, name, entry, checksum, written) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_PUT_HEAD = "INSERT OR REPLACE INTO heads (scope, id, version, revision) VALUES (?, ?, ?, ?)"
_PUT_VECTOR = "INSERT OR REPLACE INTO vectors (scope, id, revision, vector) VALUES (?, ?, ?, ?)"
_GET_VECTORS = (
    "SELECT id, vectors.revision, vector FROM vectors JOIN scopes ON scopes.number = vectors.scope "  # noqa: S608  # of constants alone
    f"WHERE tenant = ? AND agent = ? AND vectors.revision > ? AND {_WHOLE} ORDER BY vectors.revision"
)
_PUT_NOTE = "INSERT OR REPLACE INTO notes (scope, kind, key, document) VALUES (?, ?, ?, ?)"
_GET_NOTES = (
    "SELECT key, document FROM notes JOIN scopes ON scopes.number = notes.scope "
    "WHERE tenant = ? AND agent = ? AND kind = ? ORDER BY notes.rowid"
)
