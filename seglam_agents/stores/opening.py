"""`open_store`: from what a person writes to a store."""

from __future__ import annotations

import re
from pathlib import Path

from seglam_agents.records.errors import StoreError
from seglam_agents.stores.base import ProcedureStore
from seglam_agents.stores.memory import MemoryStore


def open_store(location: str | Path | ProcedureStore | None = None) -> ProcedureStore:
    """Return the store at a location.

    Args:
        location: None or ":memory:" for memory, "http(s)://..." for a Qdrant server, a path for an embedded store on
            disk; a store is returned as it is.

    Raises:
        StoreError: the store cannot be opened.
        ValueError: it is neither a location nor a store.
    """
    if location is None or location == ":memory:":
        return MemoryStore()
    if not isinstance(location, (str, Path)):
        return _checked(location)
    # Imported when asked for: a cache in memory starts without loading a database engine.
    if isinstance(location, str) and (scheme := _SCHEME.match(location)):
        if scheme[1].lower() not in ("http", "https"):
            raise StoreError(
                f"there is no kind of store at {scheme[0]}: name a folder, or a Qdrant server by http:// or https://."
            )
        from seglam_agents.stores.qdrant import QdrantStore

        return QdrantStore(url=location)
    from seglam_agents.stores.edge import EdgeStore

    return EdgeStore(location)


_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def _checked(store: ProcedureStore) -> ProcedureStore:
    """Return a store, for those who do not check types: anything else would break at every request."""
    if not isinstance(store, ProcedureStore):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"store={store!r} is no store: give a folder, the URL of a Qdrant server, None or a store")
    return store
