"""What is put right when a database is opened: rows that say whose a procedure is, and which version is current.

Every state of a procedure names its own scope, version and revision, and is checked by a sum of its own. So what only
points at states can be made anew from them. Without this, procedures would vanish, and nobody would be told.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import uuid4

from seglam_agents.records.errors import SchemaError, StoreError
from seglam_agents.records.request import Scope
from seglam_agents.stores.layout import load_entry, logger
from seglam_agents.stores.sqlite import Sqlite

_Row: TypeAlias = tuple[str | int, ...]
_NAMED = 5
"""Procedures that are named in one warning."""


def repair(database: Sqlite) -> None:
    """Put right what points at procedures, and say so; what cannot be put right is said at every opening.

    Raises:
        StoreError: a table is gone.
    """
    with database.reading() as connection:
        wrong = [check for check in _CHECKS if connection.execute(check.query).fetchone()]
    if not wrong:
        return
    try:
        with database.writing() as connection:
            lines = list(_mended(connection))
    except StoreError as error:
        lines = [f"procedures may be missing, and nothing can be put right: {error}"]
    for line in lines:
        logger.warning("the store in %r is damaged: %s", database.folder, line)


def _mended(connection: sqlite3.Connection) -> Iterator[str]:
    """Mend all, and tell of each damage what was done; each check relies on what the ones before it have mended."""
    changed = False
    for check in _CHECKS:
        done: list[_Row] = []
        left: list[_Row] = []
        for row in connection.execute(check.query).fetchall():
            (done if check.mend(connection, row) else left).append(row)
        if done:
            yield f"{check.done} ({_names(done)})"
        if left:
            yield f"{check.left} ({_names(left)})"
        changed = changed or bool(done)
    if changed:
        # By its id the shard sees that it has to be made anew: it followed the damaged rows.
        connection.execute("UPDATE meta SET value = ? WHERE key = 'store'", [uuid4().hex])


def _names(rows: Sequence[_Row]) -> str:
    return ", ".join(repr(row[0]) for row in rows[:_NAMED]) + (", …" if len(rows) > _NAMED else "")


def _mend_meta(connection: sqlite3.Connection, row: _Row) -> bool:
    values = {
        "store": "SELECT lower(hex(randomblob(16)))",
        "written": "SELECT coalesce(max(written), 0) FROM procedures",
        "length": "SELECT length(vector) / 4 FROM vectors LIMIT 1",
    }
    found = connection.execute(values[str(row[0])]).fetchone()
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [row[0], found[0] if found else None])
    return True


def _mend_scope(connection: sqlite3.Connection, row: _Row) -> bool:
    number = row[0]
    named = _scope_of(connection, number)
    if named is None:
        # Nothing says whose it is. Under a number that is never given it is nobody's, and it is kept.
        _renumber(connection, number, -int(number))
        return False
    names = [named.tenant, named.agent]
    known = connection.execute("SELECT number FROM scopes WHERE tenant = ? AND agent = ?", names).fetchone()
    if known is None:
        connection.execute("INSERT INTO scopes (number, tenant, agent, revision) VALUES (?, ?, ?, 0)", [number, *names])
    else:
        _renumber(connection, number, known[0])
        _renumber(connection, number, -int(number))  # What is there twice.
    return True


def _scope_of(connection: sqlite3.Connection, number: str | int) -> Scope | None:
    for (text,) in connection.execute("SELECT entry FROM procedures WHERE scope = ?", [number]):
        try:
            return load_entry(text).procedure.scope
        except SchemaError:
            continue
    return None


def _renumber(connection: sqlite3.Connection, number: str | int, to: int) -> None:
    for table in _TABLES:
        connection.execute(f"UPDATE OR IGNORE {table} SET scope = ? WHERE scope = ?", [to, number])  # noqa: S608  # of constants alone


def _mend_gone(connection: sqlite3.Connection, row: _Row) -> bool:
    # As long as it is said to be there, it cannot be learnt anew. By number: its id may be no text any more.
    connection.execute(f"DELETE FROM heads WHERE scope = ? AND {_WITHOUT_STATES}", [row[1]])  # noqa: S608  # of constants alone
    return True


def _mend_head(connection: sqlite3.Connection, row: _Row) -> bool:
    identifier, scope, version, _ = row
    query = "SELECT entry FROM procedures WHERE id = ? AND scope = ? AND version = ?"
    (text,) = connection.execute(query, [identifier, scope, version]).fetchone() or (None,)
    try:
        procedure = load_entry(text).procedure
    except SchemaError:
        return False
    if (procedure.id, procedure.version) != (identifier, version):
        return False
    connection.execute("INSERT OR REPLACE INTO heads (id, scope, version, revision) VALUES (?, ?, ?, ?)", row)
    return True


def _mend_revision(connection: sqlite3.Connection, row: _Row) -> bool:
    connection.execute("UPDATE scopes SET revision = ? WHERE number = ?", [row[2], row[1]])
    return True


def _report(_: sqlite3.Connection, __: _Row) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class _Check:
    query: str
    """Finds the damage; its first column is what people are told."""
    mend: Callable[[sqlite3.Connection, _Row], bool]
    """Puts one row of it right; False where it cannot be."""
    done: str
    left: str


_TABLES = ("procedures", "heads", "vectors", "notes")
_EVERYWHERE = " UNION ".join(f"SELECT scope FROM {table}" for table in _TABLES)  # noqa: S608  # of constants alone
_WITHOUT_STATES = (
    "NOT EXISTS (SELECT 1 FROM procedures WHERE procedures.scope = heads.scope AND procedures.id = heads.id)"
)
_LATEST = "SELECT scope, id, version, max(revision) AS revision FROM procedures WHERE scope > 0 GROUP BY scope, id"
_ITS_STATE = (
    "EXISTS (SELECT 1 FROM procedures AS it WHERE it.scope = heads.scope AND it.id = heads.id "
    "AND it.version = heads.version AND it.revision = heads.revision)"
)
_COMPARED = (
    "SELECT latest.id, latest.scope, latest.version, latest.revision "  # noqa: S608  # of constants alone
    f"FROM ({_LATEST}) AS latest LEFT JOIN heads ON heads.scope = latest.scope AND heads.id = latest.id"
)
_CHECKS = (
    _Check(
        "SELECT column1 FROM (VALUES ('store'), ('written'), ('length')) WHERE column1 NOT IN (SELECT key FROM meta) "
        "UNION SELECT 'written' FROM meta "
        "WHERE key = 'written' AND value < (SELECT coalesce(max(written), 0) FROM procedures)",
        _mend_meta,
        "what is noted of it as a whole was made anew",
        "",
    ),
    _Check(
        f"SELECT DISTINCT scope FROM ({_EVERYWHERE}) WHERE scope > 0 AND scope NOT IN (SELECT number FROM scopes)",  # noqa: S608  # of constants alone
        _mend_scope,
        "whose procedures and notes these are was read from the procedures",
        "nothing says any more whose notes and vectors these are: they are kept, and nobody's",
    ),
    _Check(
        f"SELECT id, scope FROM heads WHERE scope > 0 AND {_WITHOUT_STATES}",  # noqa: S608  # of constants alone
        _mend_gone,
        "of these procedures nothing is left, so that they have to be learnt anew",
        "",
    ),
    _Check(
        f"{_COMPARED} WHERE heads.revision > latest.revision AND heads.version != latest.version",
        _report,
        "",
        # It may have retired it.
        "what was written last of these procedures is lost, and they do not serve as they were before: restore the "
        "store from a backup",
    ),
    _Check(
        f"{_COMPARED} WHERE (heads.revision IS NOT latest.revision OR NOT {_ITS_STATE}) "
        "AND (heads.id IS NULL OR heads.revision <= latest.revision OR heads.version = latest.version)",
        _mend_head,
        "which version of these procedures is current was read from what was written last",
        "which version of these procedures is current cannot be told, so that they do not serve: restore the store "
        "from a backup",
    ),
    _Check(
        "SELECT agent, number, max(procedures.revision) FROM scopes JOIN procedures ON procedures.scope = number "
        "GROUP BY number HAVING max(procedures.revision) > scopes.revision",
        _mend_revision,
        "the last revision of these agents was read from their procedures",
        "",
    ),
)
"""In this order: each check relies on what the ones before it have put right."""
