"""`Sqlite`: one database file with a reader and a writer, shared by threads and processes; errors say the next step.

Two rules keep it sound. The file is never opened by anything but SQLite: closing any descriptor of a file drops all of
the process's POSIX locks on it. And no connection is carried over a fork: a child would believe that it holds the
locks of its parent.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias
from urllib.request import pathname2url

from seglam_agents.records.errors import Outage, SchemaError, StoreError
from seglam_agents.stores.layout import closed

APPLICATION = 0x5345474C
"""What SQLite's header says of a database of ours: `SEGL`."""
SCHEMA = 1
"""The version of the tables that this package writes."""


_File: TypeAlias = tuple[int, int]


class Sqlite:
    """An open database.

    Args:
        path: the file; it must be there and be ours.
        busy_seconds: how long to wait for another writer.
    """

    def __init__(self, path: Path, *, busy_seconds: float) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._locks = {"writer": threading.RLock(), "reader": threading.RLock()}
        self._connections: dict[str, tuple[sqlite3.Connection, _File]] = {}
        self._closed = False
        self._outages = {"writer": Outage(), "reader": Outage()}
        try:
            with self._translated("reader"):
                self._require_ours(self._connection("reader"))
        except BaseException:
            self.close()
            raise

    @property
    def folder(self) -> str:
        """The folder that it is in, for people."""
        return str(self._path.parent)

    @property
    def small(self) -> bool:
        """Whether the whole of it can be looked at when it is opened."""
        return self._path.stat().st_size <= _CHECKED_BYTES

    @property
    def file(self) -> int:
        """Which file it is: a backup that was moved into its place is another one."""
        return _file(self._path)[1]

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection, None, None]:
        """Read one state of the database, whatever others write meanwhile."""
        with self._locks["reader"], self._translated("reader"):
            connection = self._connection("reader")
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Generator[sqlite3.Connection, None, None]:
        """Write everything or nothing; what was written is on the disk when the context ends."""
        with self._locks["writer"], self._translated("writer"):
            connection = self._connection("writer")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Wait for who is inside, and let nobody in any more. Safe to call twice."""
        self.suspend()
        self._closed = True
        self.resume()

    def suspend(self) -> None:
        """Wait for who is inside, keep others out, and hold no connection until `resume`."""
        for lock in self._locks.values():
            lock.acquire()
        self._disconnect()

    def resume(self) -> None:
        """Let others in again; connections are made anew."""
        for lock in self._locks.values():
            lock.release()

    def _connection(self, role: str) -> sqlite3.Connection:
        if self._closed:
            closed(self._outages[role])
        file = _file(self._path)
        connection, opened = self._connections.get(role, (None, file))
        if connection is not None and opened != file:
            # Somebody moved or restored the file: what is written into the old one would be lost.
            connection.close()
            connection = None
        if connection is None:
            connection = self._connect()
            self._connections[role] = (connection, file)
        return connection

    def _connect(self) -> sqlite3.Connection:
        if writable(self._path.parent) or _unread_log(self._path):
            return self._opened("rw")
        # Nobody can write here, so nobody does; SQLite would want to make files beside the database.
        return self._opened("ro&immutable=1")

    def _opened(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{pathname2url(str(self._path))}?mode={mode}",
            uri=True,
            timeout=self._busy_seconds,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            # A damaged row must be read as such, and not end the reading of the others.
            connection.text_factory = partial(str, encoding="utf-8", errors="replace")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA schema_version").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        while self._connections:
            _, (connection, _) = self._connections.popitem()
            with suppress(sqlite3.Error):
                connection.close()

    def _require_ours(self, connection: sqlite3.Connection) -> None:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION:
            raise StoreError(f"{str(self._path)!r} is damaged, or no database of this package. {_RECOVER}")
        (schema,) = connection.execute("PRAGMA user_version").fetchone()
        if schema > SCHEMA:
            raise SchemaError(
                f"{str(self._path)!r} was written by a newer version of seglam-agents (tables of version {schema}, "
                f"this one reads {SCHEMA}): upgrade seglam-agents"
            )
        if self.small:
            problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
            if problems != ["ok"]:
                raise StoreError(f"{str(self._path)!r} is damaged ({'; '.join(problems)}). {_RECOVER}")

    @contextmanager
    def _translated(self, role: str) -> Generator[None, None, None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            failed = f"the store in {str(self._path.parent)!r} failed: {error}. {_advice(error)}"
            raise StoreError(failed, self._outages[role]) from error
        self._outages[role].over()


_CHECKED_BYTES = 64 * 2**20
"""How large a database may be to be checked whole at opening, some 60 ms; SQLite checks each page as it is read."""
_RECOVER = (
    "Restore it from a backup; or move it away, together with the files that begin with its name: procedures are then "
    "read back from the Qdrant shard beside it, as far as they are in there."
)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""Of our own statements, a mere `SQLITE_ERROR` means that a table or a column is gone."""
_ADVICE = {
    sqlite3.SQLITE_FULL: "Free some space and try again: nothing that was acknowledged is lost.",
    sqlite3.SQLITE_IOERR: "Check the disk, its free space and limits; nothing that was acknowledged is lost.",
    sqlite3.SQLITE_READONLY: "It can be read but not written: check the permissions, or choose another folder.",
    sqlite3.SQLITE_CANTOPEN: "Check that the folder is there, and its permissions and free space.",
    sqlite3.SQLITE_PERM: "Check the permissions of the folder.",
    sqlite3.SQLITE_BUSY: "Another process has been writing for too long: look for one that hangs, and try again.",
    sqlite3.SQLITE_PROTOCOL: "Files on a network share cannot be locked: choose a folder on a local disk.",
}


def _advice(error: Exception) -> str:
    # The low byte is the kind of error; the rest tells where it came from.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CANTOPEN) & 0xFF
    return _RECOVER if code in _DAMAGED else _ADVICE.get(code, "Check the folder's permissions and free space.")


def _file(path: Path) -> _File:
    found = path.stat()
    return found.st_dev, found.st_ino


def writable(folder: Path) -> bool:
    """Tell whether this process may make files in a folder."""
    return os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _unread_log(path: Path) -> bool:
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0
