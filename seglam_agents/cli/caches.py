"""`Caches`: what the surfaces of one process share. One store, one sandbox, and a cache for each who asks."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.cli.errors import CommandError
from seglam_agents.models.base import Model
from seglam_agents.records.request import Scope
from seglam_agents.sandboxes.base import REMOTE, Sandbox, names
from seglam_agents.sandboxes.opening import open_sandbox
from seglam_agents.sandboxes.process import ProcessSandbox, second_sandbox
from seglam_agents.stores.base import NoteStore, ProcedureStore
from seglam_agents.stores.opening import open_store

OURS = Scope(tenant="seglam", agent="surfaces")
SECRET = "surfaces.secret"  # noqa: S105  # the name of a note


@dataclass(slots=True)
class Caches:
    """Opens caches over one store.

    Args:
        store: the store.
        sandbox: what bodies run in.
        second: the second opinion at admission, where this machine has one.
        model: what compiles; None to learn from runs alone.
    """

    store: ProcedureStore
    sandbox: Sandbox
    second: Sandbox | None = None
    model: Model | None = None
    _opened: list[ReasoningCache] = field(default_factory=list[ReasoningCache])

    def open(self, tenant: str, agent: str | None = None, tools: tuple[HostTool, ...] = ()) -> ReasoningCache:
        """Open a cache; it is closed with the others."""
        cache = ReasoningCache(
            self.store,
            self.model,
            tenant=tenant,
            agent=agent,
            tools=tools,
            sandbox=self.sandbox,
            second_sandbox=self.second,
        )
        self._opened.append(cache)
        return cache

    def secret(self) -> bytes:
        """Return the key of the hash that makes tenants of keys: the same for everybody who uses the store.

        Raises:
            CommandError: the store keeps no notes.
        """
        if not isinstance(self.store, NoteStore):
            raise CommandError("this store keeps no notes: give the key of the tenants in SEGLAM_TENANT_SECRET")
        if not self.store.notes(OURS, SECRET):
            self.store.put_note(OURS, SECRET, "key", {"key": secrets.token_hex(32)})
        return bytes.fromhex(str(self.store.notes(OURS, SECRET)["key"]["key"]))

    def close(self) -> None:
        """Close every cache: what its procedures did is written."""
        for cache in self._opened:
            cache.close()


@contextmanager
def opened_caches(location: str, sandbox: Sandbox | None, model: Model | None) -> Generator[Caches]:
    """Open a store, and the sandboxes that all caches share; close everything in the end."""
    with ExitStack() as stack:
        store = open_store(location)
        stack.callback(store.close)
        home = sandbox if sandbox is not None else open_sandbox("monty")
        stack.callback(home.close)
        caches = Caches(store, home, _second(home, stack.callback), model)
        stack.callback(caches.close)
        yield caches


def _second(home: Sandbox, closed: Callable[[Callable[[], None]], object]) -> Sandbox | None:
    if REMOTE.issuperset(names(home)):
        return None
    second = second_sandbox()
    if not isinstance(second, ProcessSandbox):
        return None
    closed(second.close)
    return second
