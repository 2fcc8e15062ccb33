"""Whose procedures: a cache for all, or one a tenant, taken from what the host vouches for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from langchain.agents.middleware.types import ToolCallRequest
from seglam_agents import ReasoningCache
from seglam_agents.hosting import OpenedCaches, require_cache, safely

from langchain_seglam.kinds import Loose, loose

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class TenantCaches(OpenedCaches[ReasoningCache]):
    """One cache a tenant, opened when the tenant is first seen.

    The tenant is what the given function makes of the runtime, or without one the identity of the authenticated user
    of a LangGraph server (`runtime.server_info.user.identity`). `configurable`, the state and the messages are the
    client's to fill, and are never asked. A run without a tenant is neither served nor learnt from.

    Args:
        open: opens the cache of a tenant: `lambda tenant: ReasoningCache(store, model, tenant=tenant, tools=...)`.
        tenant: names the tenant of a run, for example from `runtime.context` where only your own code fills it.
    """

    tenant: Callable[[Loose], str | None] | None = None
    _warned: bool = field(default=False, init=False)

    def of(self, runtime: object) -> ReasoningCache | None:
        """Return the cache of a run's tenant. Never raises: without one the run goes on without a cache."""
        told = "the tenant's cache cannot be opened; the run goes on without"
        return safely(lambda: self.get(tenant) if (tenant := self._tenant(runtime)) else None, None, told)

    def _tenant(self, runtime: object) -> str | None:
        if runtime is None or self.tenant is not None:
            return self._told(self.tenant(runtime)) if runtime is not None and self.tenant is not None else None
        identity = getattr(getattr(loose(runtime).server_info, "user", None), "identity", None)
        return identity if isinstance(identity, str) and identity else None

    def _told(self, tenant: object) -> str | None:
        """Return a tenant as it was named; nobody where that is no text, which is said once."""
        if tenant is None or isinstance(tenant, str):
            return tenant
        if not self._warned:
            self._warned = True
            logger.warning(
                "TenantCaches(tenant=...) named a tenant by %r, a %s: return a text, such as str(id). Until then its "
                "runs go on without a cache.",
                tenant,
                type(tenant).__name__,
            )
        return None


Caches: TypeAlias = ReasoningCache | TenantCaches


def require_caches(caches: object) -> None:
    """Raise a `TypeError` where something is neither a cache nor one a tenant."""
    if not isinstance(caches, TenantCaches):
        require_cache(caches)


def cache_of(caches: Caches, runtime: object) -> ReasoningCache | None:
    """Return the cache for a run; None where its tenant is not known."""
    return caches.of(runtime) if isinstance(caches, TenantCaches) else caches


def runtime_of(request: ToolCallRequest) -> object:
    """Return the runtime of a tool call; its type has parameters that LangGraph leaves open."""
    return loose(request).runtime
