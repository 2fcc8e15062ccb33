"""Finds the procedure that a person means."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from seglam_agents.cli.errors import CommandError
from seglam_agents.records.entry import Entry
from seglam_agents.records.request import Scope
from seglam_agents.stores.base import ProcedureStore, scopes_of


def all_entries(store: ProcedureStore, tenant: str) -> list[Entry]:
    """Return the current entries of all agents of a tenant by name."""
    entries = (entry for scope in scopes_of(store, tenant) for entry in store.changes(scope).entries)
    return sorted(entries, key=lambda entry: (entry.procedure.name, entry.procedure.id))


def find_entry(store: ProcedureStore, tenant: str, identity: str) -> Entry:
    """Return the entry that `id`, the start of an id, or `id@version` names.

    Raises:
        CommandError: there is none; the message suggests near ids.
    """
    name, version = _split(identity)
    scopes = {entry.procedure.id: entry.procedure.scope for entry in all_entries(store, tenant)}
    ids = list(scopes)
    scope = scopes.get(_completed(name, ids), Scope(tenant=tenant))
    found = store.get(scope, _completed(name, ids), version)
    if found is not None:
        return found
    if name in ids or _completed(name, ids) != name:
        versions = [entry.procedure.version for entry in store.versions(scope, _completed(name, ids))]
        raise CommandError(f"{_completed(name, ids)} has no version {version}; it has {', '.join(map(str, versions))}")
    raise CommandError(f"there is no procedure {name!r}. {_suggestion(name, ids)}")


def _split(identity: str) -> tuple[str, int | None]:
    name, at, version = identity.partition("@")
    if at and not version.isdecimal():
        raise CommandError(f"{identity!r} is no id@version: a version is a number, such as {name}@1")
    return name, int(version) if at else None


def _completed(name: str, ids: Sequence[str]) -> str:
    starting = [known for known in ids if known.startswith(name)]
    return starting[0] if name and name not in ids and len(starting) == 1 else name


def _suggestion(name: str, ids: Sequence[str]) -> str:
    if not ids:
        return "The store holds none for this tenant: check --store and --tenant."
    starting = [known for known in ids if name and known.startswith(name)]
    near = starting or difflib.get_close_matches(name, ids, n=3, cutoff=0.3)
    return f"Did you mean {' or '.join(near[:3])}?" if near else "`seglam ls` lists all."
