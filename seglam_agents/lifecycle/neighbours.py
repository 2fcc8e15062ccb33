"""Which caches are open in this process: two of one scope that are told different things are one agent too few."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Hashable

from seglam_agents.records.request import Scope, same_instructions

logger = logging.getLogger(__name__)

_open: dict[tuple[Hashable, str], tuple[weakref.ref[object], str]] = {}
_told: set[tuple[Hashable, str]] = set()
_lock = threading.Lock()


def opened(cache: object, store: Hashable, scope: Scope, instructions: str) -> None:
    """Note that a cache is open, and warn once where another one of its scope is told something else.

    Args:
        cache: it; it is not kept alive.
        store: what tells its store from others.
        scope: whose procedures it serves.
        instructions: digest of what its agent is told.
    """
    key = (store, scope.key)
    with _lock:
        known, before = _open.get(key, (None, ""))
        shared = known is not None and known() is not None and not same_instructions(before, instructions)
        warned, _open[key] = key in _told, (weakref.ref(cache), instructions)
        if shared:
            _told.add(key)
    if shared and not warned:
        logger.warning(
            "two caches are open on one store for the same agent (%s), and their agents are told different things: "
            "what one learns, the other serves only as far as its own runs agree. Two agents need a name each, "
            "agent=...; one agent in two versions needs nothing",
            scope.agent or "without a name",
        )


def closed(store: Hashable, scope: Scope) -> None:
    """Note that a cache was closed."""
    with _lock:
        _open.pop((store, scope.key), None)
