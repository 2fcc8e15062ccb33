"""From a folder as it is found to a database: a new one, one that is there, or one read out of a shard.

A database is made beside its place and then renamed into it: a kill on the way leaves the folder as it was. A folder
with a shard alone is one of an earlier version, or one that lost its database.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from seglam_agents.records.errors import StoreError
from seglam_agents.records.request import Scope
from seglam_agents.stores import tables
from seglam_agents.stores.filelock import CAN_LOCK, FileLock
from seglam_agents.stores.layout import KIND, Payload, logger
from seglam_agents.stores.sqlite import Sqlite

NAME = "store.sqlite"


def open_database(folder: Path, *, busy_seconds: float) -> Sqlite:
    """Return the database of a folder, which is made where there is none.

    Raises:
        StoreError: the folder cannot be used, or what is in it is damaged.
    """
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(folder, path, busy_seconds)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"the folder {str(folder)!r} cannot hold a store: {error}. Check its permissions and free space, or choose "
            "another one on a local disk."
        ) from error
    return Sqlite(path, busy_seconds=busy_seconds)


def _make(folder: Path, path: Path, busy_seconds: float) -> None:
    lock = FileLock(folder)
    if CAN_LOCK and not lock.wait(busy_seconds, unless=path.exists) and not path.exists():
        raise StoreError(
            f"the folder {str(folder)!r} is open in process {lock.holder()}, which uses an earlier version of "
            "seglam-agents: close it there, so that this version can take the store over."
        )
    try:
        if not path.exists():
            _remove_leftovers(folder)
            fresh = folder / f"new-{uuid4().hex}.sqlite"
            try:
                _fill(fresh, folder / "shard")
                fresh.rename(path)
            finally:
                fresh.unlink(missing_ok=True)
            _sync_folder(folder)
    finally:
        lock.release()


def _fill(fresh: Path, shard: Path) -> None:
    connection = tables.create(fresh)
    try:
        if shard.exists():
            # Imported when needed: a database alone is opened without loading another engine.
            from seglam_agents.stores.shard import points_of, require_room

            require_room(shard.parent)
            copied = _copy(connection, points_of(shard))
            logger.info("took %d records of an earlier version over into %s", copied, NAME)
        tables.finish(connection)
    finally:
        connection.close()


def _copy(connection: sqlite3.Connection, points: Iterable[tuple[Payload, list[float] | None]]) -> int:
    copied = 0
    for payload, vector in points:
        try:
            _place(connection, payload, vector)
            copied += 1
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("left out a record of an earlier version, %r: %r", payload.get("procedure_id"), error)
    return copied


def _place(connection: sqlite3.Connection, payload: Payload, vector: list[float] | None) -> None:
    scope = Scope(tenant=str(payload["tenant"]), agent=str(payload["agent"]))
    match payload[KIND]:
        case "head":
            length = tables.meta(connection, "length")
            if vector and length is None:
                connection.execute("UPDATE meta SET value = ? WHERE key = 'length'", [len(vector)])
            tables.place(connection, scope, payload, vector)
        case "version":
            # The head is the latest state of its version, whichever of the two is read first.
            if not tables.has_version(connection, scope, payload):
                tables.place_version(connection, scope, payload)
        case "note":
            text = str(payload["document"])
            tables.place_note(connection, scope, str(payload["note_kind"]), str(payload["key"]), text)
        case other:
            raise ValueError(f"{other!r} is no kind of record")


def _remove_leftovers(folder: Path) -> None:
    for leftover in folder.glob("new-*.sqlite*"):
        leftover.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
