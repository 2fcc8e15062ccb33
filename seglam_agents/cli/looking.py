"""`seglam ls`, `seglam show` and `seglam stats`: what a store holds."""

from __future__ import annotations

from typing import Annotated

import typer

from seglam_agents.cli.entries import (
    entry_document,
    entry_view,
    list_document,
    list_view,
    stats_document,
    stats_view,
)
from seglam_agents.cli.errors import reported
from seglam_agents.cli.finding import all_entries, find_entry
from seglam_agents.cli.opening import existing_store
from seglam_agents.cli.options import DEFAULT_STORE, Agent, AsJson, Store, Tenant
from seglam_agents.cli.output import console, print_json

Identity = Annotated[
    str,
    typer.Argument(
        metavar="ID[@VERSION]",
        help="A procedure: its id, its name, or the start of one; and a version if not the current one.",
    ),
]


@reported
def ls(store: Store = DEFAULT_STORE, tenant: Tenant = "default", agent: Agent = None, as_json: AsJson = False) -> None:
    """List the stored procedures of all agents of a tenant."""
    with existing_store(store, tenant, agent) as opened:
        entries = all_entries(opened, tenant, agent)
    if as_json:
        print_json({"procedures": [list_document(entry) for entry in entries]})
    else:
        console().print(list_view(entries))


@reported
def show(
    identity: Identity,
    store: Store = DEFAULT_STORE,
    tenant: Tenant = "default",
    agent: Agent = None,
    as_json: AsJson = False,
) -> None:
    """Show everything about a procedure: source, guard, admission report, provenance, examples, statistics."""
    with existing_store(store, tenant, agent) as opened:
        entry = find_entry(opened, tenant, identity, agent)
    if as_json:
        print_json(entry_document(entry))
    else:
        console().print(entry_view(entry))


@reported
def stats(
    store: Store = DEFAULT_STORE, tenant: Tenant = "default", agent: Agent = None, as_json: AsJson = False
) -> None:
    """Sum up what the stored procedures did: hits, give-ups, conflicts and saved tokens."""
    with existing_store(store, tenant, agent) as opened:
        entries = all_entries(opened, tenant, agent)
    if as_json:
        print_json(stats_document(entries))
    else:
        console().print(stats_view(entries))
