"""`open_store`: from what a person writes to a store."""

from __future__ import annotations

from pathlib import Path

from seglam_agents.stores.base import ProcedureStore
from seglam_agents.stores.memory import MemoryStore


def open_store(location: str | Path | ProcedureStore | None = None) -> ProcedureStore:
    """Return the store at a location.

    Args:
        location: None or ":memory:" for memory, "http(s)://..." for a Qdrant server, a path for an embedded store on
            disk; a store is returned as it is.

    Raises:
        StoreError: the store cannot be opened.
    """
    if location is None or location == ":memory:":
        return MemoryStore()
    if not isinstance(location, (str, Path)):
        return location
    # Imported when asked for: a cache in memory starts without loading a database engine.
    if isinstance(location, str) and location.startswith(("http://", "https://")):
        from seglam_agents.stores.qdrant import QdrantStore

        return QdrantStore(url=location)
    from seglam_agents.stores.edge import EdgeStore

    return EdgeStore(location)
