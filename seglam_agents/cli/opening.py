"""Opens what the options name: a store, a model, a cache. Only here is the environment read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path

from seglam_agents.cache import ReasoningCache
from seglam_agents.cli.errors import CommandError
from seglam_agents.cli.options import DEFAULT_SANDBOX
from seglam_agents.models.base import Model
from seglam_agents.models.opening import open_model
from seglam_agents.records.record import Json
from seglam_agents.records.request import Scope, name_problem
from seglam_agents.records.tools import HostTool
from seglam_agents.sandboxes.base import Sandbox
from seglam_agents.sandboxes.opening import open_sandbox
from seglam_agents.stores.base import ProcedureStore
from seglam_agents.stores.opening import open_store


@contextmanager
def existing_store(location: str, tenant: str, agent: str | None = None) -> Generator[ProcedureStore]:
    """Open a store to look into it.

    Raises:
        CommandError: there is none, or nobody can be named so.
    """
    with reached(checked_location(location), tenant, agent) as store:
        yield store


@contextmanager
def reached(location: str, tenant: str, agent: str | None) -> Generator[ProcedureStore]:
    """Open a store, and read from it: one that is away is told here, and not as a miss."""
    check_names(tenant, agent)
    store = open_store(location)
    try:
        store.changes(Scope(tenant=tenant))
        yield store
    finally:
        store.close()


def check_names(tenant: str, agent: str | None) -> None:
    """Raise a `CommandError` where a tenant or an agent is named that cannot be one."""
    problem = name_problem("tenant", tenant) or (name_problem("agent", agent) if agent is not None else None)
    if problem:
        raise CommandError(f"--{problem}")


def checked_location(location: str) -> str:
    """Return the location of a store that exists; looking into a store must not create one."""
    if "://" not in location and not _holds_store(location):
        raise CommandError(
            f"there is no store at {location}: name another one with --store, "
            "or ask something first with `seglam ask REQUEST --model MODEL`"
        )
    return location


def _holds_store(location: str) -> bool:
    try:
        return bool(location) and Path(location).is_dir() and any(Path(location).iterdir())
    except OSError:  # Too long for a name, or not ours to read.
        return False


@contextmanager
def open_cache(
    store: str | ProcedureStore,
    tenant: str,
    model: Model | None = None,
    *,
    sandbox: Sandbox | None = None,
    agent: str | None = None,
    tools: Sequence[HostTool] = (),
    system_prompt: str = "",
    now: Callable[[], datetime] | None = None,
) -> Generator[ReasoningCache]:
    """Open a cache over a store, which is looked for first, with the model and the sandbox that were named."""
    with (
        closed_with(sandbox),
        reached(store, tenant, agent) if isinstance(store, str) else nullcontext(store) as found,
        ReasoningCache(
            found, model, tenant=tenant, agent=agent, sandbox=sandbox, tools=tools, system_prompt=system_prompt, now=now
        ) as cache,
    ):
        yield cache


@contextmanager
def closed_with(sandbox: Sandbox | None) -> Generator[None]:
    """Close a sandbox in the end: a cache leaves one open that it was given, and a remote machine costs money."""
    try:
        yield
    finally:
        if sandbox is not None:
            sandbox.close()


def named_sandbox(names: str, packages: str) -> Sandbox | None:
    """Open the sandbox that a person named, with the key of the environment; None for the cache's own."""
    if names == DEFAULT_SANDBOX and not packages:
        return None
    wanted = [name.strip() for name in packages.split(",") if name.strip()]
    return open_sandbox(names, wanted, api_key=os.environ.get("E2B_API_KEY") or None)


def named_model(name: str | None) -> Model | None:
    """Open the model that a person named, with the key of the environment."""
    if not name:
        return None
    ours = name.lower().startswith(("http://", "https://", "openai:"))
    # A key of OpenAI's is none of another provider's business; LangChain finds the keys of the others itself.
    return open_model(name, api_key=os.environ.get("OPENAI_API_KEY") or None if ours else None)


def context_from(text: str | None) -> dict[str, Json]:
    """Read the context of a request.

    Raises:
        CommandError: the text is no JSON object.
    """
    try:
        document: Json = json.loads(text) if text else {}
    except ValueError as error:
        raise CommandError(f'--context is no JSON ({error}); write it like \'{{"currency": "EUR"}}\'') from None
    if not isinstance(document, dict):
        raise CommandError('--context must be a JSON object, like \'{"currency": "EUR"}\'')
    return document
