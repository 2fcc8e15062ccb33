"""Finds the procedure that a person means."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from seglam_agents.cli.errors import CommandError
from seglam_agents.records.entry import Entry
from seglam_agents.records.procedure import Procedure
from seglam_agents.stores.base import ProcedureStore, scopes_of


def all_entries(store: ProcedureStore, tenant: str, agent: str | None = None) -> list[Entry]:
    """Return the current entries of an agent, or of all agents of a tenant, by name."""
    scopes = [scope for scope in scopes_of(store, tenant) if agent is None or scope.agent == agent]
    entries = (entry for scope in scopes for entry in store.changes(scope).entries)
    return sorted(entries, key=lambda entry: (entry.procedure.name, entry.procedure.id))


def find_entry(store: ProcedureStore, tenant: str, identity: str, agent: str | None = None) -> Entry:
    """Return the entry that an id, a name, or the start of one names; with `@version` that version.

    Raises:
        CommandError: there is none, or there are several; the message names those that may be meant.
    """
    name, version = _split(identity)
    entries = all_entries(store, tenant, agent)
    meant = _meant(name, entries)
    if not meant:
        raise CommandError(f"there is no procedure {name!r}. {_near(name, entries)}")
    if len(meant) > 1:
        raise CommandError(_several(name, meant))
    procedure = meant[0].procedure
    found = store.get(procedure.scope, procedure.id, version)
    if found is None:
        versions = [entry.procedure.version for entry in store.versions(procedure.scope, procedure.id)]
        raise CommandError(f"{procedure.id} has no version {version}; it has {', '.join(map(str, versions))}")
    return found


def _split(identity: str) -> tuple[str, int | None]:
    name, at, version = identity.partition("@")
    if at and not version.isdecimal():
        raise CommandError(f"{identity!r} is no id@version: a version is a number, such as {name}@1")
    return name, int(version) if at else None


def _meant(name: str, entries: Sequence[Entry]) -> list[Entry]:
    """Return what an id names, else a name, else the start of an id, else the start of a name."""
    names = {name, "_".join(name.casefold().split())} if name else set[str]()
    ways: tuple[Callable[[Procedure], bool], ...] = (
        lambda procedure: procedure.id in names,
        lambda procedure: procedure.name in names,
        lambda procedure: procedure.id.startswith(tuple(names)),
        lambda procedure: procedure.name.startswith(tuple(names)),
    )
    found = ([entry for entry in entries if way(entry.procedure)] for way in ways)
    return next((each for each in found if each), list[Entry]())


def _several(name: str, meant: Sequence[Entry]) -> str:
    listed = ", ".join(f"{entry.procedure.id} ({_owner(entry)})" for entry in meant[:MAX_NAMED])
    more = " and more" if len(meant) > MAX_NAMED else ""
    return f"{name!r} may be {len(meant)} procedures: {listed}{more}. Name one by its id, or its agent with --agent."


def _owner(entry: Entry) -> str:
    procedure = entry.procedure
    return f"{procedure.name} of agent {procedure.scope.agent}" if procedure.scope.agent else procedure.name


def _near(name: str, entries: Sequence[Entry]) -> str:
    if not entries:
        return "The store holds none for this tenant and agent: check --store, --tenant and --agent."
    ids = {known: entry.procedure.id for entry in entries for known in (entry.procedure.name, entry.procedure.id)}
    near = dict.fromkeys(ids[known] for known in difflib.get_close_matches(name, ids, n=3, cutoff=0.3))
    return f"Did you mean {' or '.join(near)}?" if near else "`seglam ls` lists all."


MAX_NAMED = 5
"""Procedures that a name may mean and that are listed."""
