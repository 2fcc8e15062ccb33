"""Caches of tenants, opened when a tenant is first seen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from seglam_agents.hosting.base import HostedCache


class ClosableCache(HostedCache, Protocol):
    """A cache that can be closed."""

    def close(self) -> None:
        """Let go of everything."""
        ...


C = TypeVar("C", bound=ClosableCache)


@dataclass(slots=True)
class OpenedCaches(Generic[C]):
    """One cache a tenant. Safe between threads.

    Args:
        open: opens the cache of a tenant.
    """

    open: Callable[[str], C]
    _caches: dict[str, C] = field(default_factory=dict[str, C], init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def get(self, tenant: str) -> C:
        """Return the cache of a tenant.

        Raises:
            ValueError: `open` gave the cache of another tenant, or the tenant is no text.
        """
        if not isinstance(tenant, str) or not tenant.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"a tenant is named by a text, not by {tenant!r}: give str(...) of its id")
        with self._lock:
            if tenant not in self._caches:
                cache = self.open(tenant)
                if cache.scope.tenant != tenant:
                    raise ValueError(f"the cache of tenant {tenant!r} was opened for {cache.scope.tenant!r}")
                self._caches[tenant] = cache
            return self._caches[tenant]

    def close(self) -> None:
        """Close every cache."""
        with self._lock:
            caches, self._caches = list(self._caches.values()), {}
        for cache in caches:
            cache.close()
