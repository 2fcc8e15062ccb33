"""How records look inside a store: point ids, payloads, and how they are read back.

An entry is kept twice: as exact JSON text (numbers of any size survive any database), and as plain fields such as
`name`, `source` and `templates`, so that every Qdrant client can show, filter and search what a procedure does.
"""

from __future__ import annotations

import json
import logging
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NoReturn, TypeAlias
from uuid import UUID, uuid5

from seglam_agents.records.entry import Entry
from seglam_agents.records.errors import ConflictError, Outage, SchemaError, StoreError
from seglam_agents.records.record import Json
from seglam_agents.records.request import Scope

VECTOR = "intent"
"""The name of the dense vector: what kind of request a procedure answers."""
SCOPE, KIND, REVISION = "scope", "kind", "revision"

Payload: TypeAlias = dict[str, Json]
Role: TypeAlias = Literal["head", "version", "note", "ledger"]

logger = logging.getLogger("seglam_agents.stores")


def point_id(role: Role, scope: Scope, *key: str | int) -> str:
    """Return the id of a point: the same record has the same id in every process."""
    # JSON keeps ("a", "bc") and ("ab", "c") apart; the scope is spelt out, so no two tenants can meet in a digest.
    return str(uuid5(_NAMESPACE, json.dumps([role, scope.tenant, scope.agent, *key])))


def entry_payload(role: Literal["head", "version"], entry: Entry) -> Payload:
    """Return the payload of a head or version point."""
    procedure = entry.procedure
    return {
        **_scope_payload(role, procedure.scope),
        "procedure_id": procedure.id,
        "version": procedure.version,
        "status": entry.status,
        "name": procedure.name,
        "templates": list(procedure.guard.templates),
        "guard_code": procedure.guard.code,
        "source": procedure.body,
        REVISION: entry.revision,
        "entry": dump_entry(entry),
    }


def note_payload(scope: Scope, kind: str, key: str, document: Mapping[str, Json]) -> Payload:
    """Return the payload of a note."""
    return {
        **_scope_payload("note", scope),
        "note_kind": kind,
        "key": key,
        "document": _exact_text("the note", document, kind, key, scope.tenant, scope.agent),
    }


def dump_entry(entry: Entry) -> str:
    """Return the exact JSON text of an entry."""
    return _exact_text(f"procedure {entry.procedure.key!r}", entry.to_json())


def load_entry(text: object) -> Entry:
    """Read the JSON text of an entry.

    Raises:
        SchemaError: the text is damaged, or newer than this package.
    """
    if not isinstance(text, str):
        raise SchemaError(f"a stored procedure holds {type(text).__name__} where its JSON text should be")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"a stored procedure is not JSON: {error}") from error
    return Entry.from_json(document)


def entry_from(payload: Mapping[str, object] | None, scope: Scope) -> Entry:
    """Read the entry of a payload that was found in a scope.

    Raises:
        SchemaError: the payload is damaged, newer than this package, or belongs to another scope.
    """
    fields = payload or {}
    text = fields.get("entry")
    if isinstance(text, str) and fields.get("checksum", checksum(text)) != checksum(text):
        raise SchemaError("a stored procedure is not what was written: the disk damaged it, or somebody changed it")
    entry = load_entry(text)
    if entry.procedure.scope != scope:
        # Queries are filtered by scope already; this is the second lock on the same door.
        raise SchemaError(f"procedure {entry.procedure.key!r} was filed under a scope that is not its own")
    return entry


def checksum(text: str) -> int:
    """Return what a text is checked by where the database below keeps no checksum of its own."""
    return zlib.crc32(text.encode(errors="surrogatepass"))


def readable_entries(payloads: Iterable[Mapping[str, object] | None], scope: Scope) -> list[Entry]:
    """Return the entries that can be read; a bad one is logged, because it must not hide the good ones."""
    entries: list[Entry] = []
    for payload in payloads:
        try:
            entries.append(entry_from(payload, scope))
        except SchemaError as error:
            named = (payload or {}).get("procedure_id")
            logger.warning("skipped the stored procedure %r of scope %s: %s", named, scope.key, error)
    return entries


def readable_notes(payloads: Iterable[Mapping[str, object] | None], scope: Scope) -> dict[str, dict[str, Json]]:
    """Return the notes by key; one that cannot be read is logged, and empty: that it was written must not be lost."""
    notes: dict[str, dict[str, Json]] = {}
    for payload in payloads:
        fields = payload or {}
        try:
            if (fields["tenant"], fields["agent"]) != (scope.tenant, scope.agent):
                raise ValueError("it was filed under a scope that is not its own")
            notes[str(fields["key"])] = {}
            document = json.loads(str(fields["document"]))
            if not isinstance(document, dict):
                raise ValueError(f"it is {type(document).__name__}, no object")
            notes[str(fields["key"])] = document
        except (KeyError, ValueError, RecursionError) as error:
            logger.warning("skipped the note %r of scope %s: %s", fields.get("key"), scope.key, error)
    return notes


def storable(text: str) -> bool:
    """Tell whether text has a UTF-8 form; nothing is ever stored under a name that has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def checked_vector(vector: Sequence[float]) -> list[float]:
    """Return a vector as plain floats.

    Raises:
        StoreError: the vector is empty or holds something that is not a finite number.
    """
    numbers = [float(number) for number in vector]
    if not numbers or not all(map(math.isfinite, numbers)):
        raise StoreError("a vector must hold at least one number, all of them finite: check the embedder")
    return numbers


def require_length(stored: int | None, given: int) -> None:
    """Raise a `StoreError` when a vector is not as long as the stored ones."""
    if stored is not None and stored != given:
        raise StoreError(
            f"this embedder gives vectors of length {given}, but the store holds vectors of length {stored}: it was "
            "filled with another embedder. Open it with that embedder, or begin a new store."
        )


def require_revision(entry: Entry, *, stored: int, expected: int) -> None:
    """Raise a `ConflictError` when a procedure is not at the revision that its writer read."""
    if stored != expected:
        now = f"it is at revision {stored}" if stored else "it does not exist"
        raise ConflictError(
            f"procedure {entry.procedure.id!r} was expected at revision {expected}, but {now}. Read it again and retry."
        )


def closed(outage: Outage | None = None) -> NoReturn:
    """Raise the `StoreError` of a store that is used after `close`."""
    raise StoreError("this store is closed: open a new one", outage)


_NAMESPACE = UUID("5c1b0b1e-5e91-5a3c-9d0e-3f0a6f0c5e61")


def _scope_payload(role: Role, scope: Scope) -> Payload:
    return {KIND: role, SCOPE: scope.key, "tenant": scope.tenant, "agent": scope.agent}


def _exact_text(what: str, document: object, *names: str) -> str:
    try:
        text = json.dumps(document, ensure_ascii=False)
        "".join([text, *names]).encode()
    except ValueError as error:
        # Half a surrogate pair has no UTF-8 form: better to refuse it now than to be unable to read it later.
        raise StoreError(f"{what} holds text or values that have no JSON form: {error}") from error
    return text
