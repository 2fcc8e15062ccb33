"""`Retriever`: the procedures that may answer a request. Kept in step with the store by its change feed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.guards.index import GuardIndex
from seglam_agents.guards.normal import NormalText
from seglam_agents.records.errors import SeglamError
from seglam_agents.records.procedure import Entry
from seglam_agents.records.request import Scope
from seglam_agents.records.tools import Tool
from seglam_agents.sandboxes.base import Limits, Sandbox
from seglam_agents.serving.loading import Loaded, load
from seglam_agents.stores.base import ProcedureStore

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0
"""How often the change feed is read for what other processes wrote."""


@dataclass(slots=True)
class _Shelf:
    """The serving procedures of one scope."""

    revision: int = 0
    read_at: float = float("-inf")
    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    loaded: dict[str, Loaded] = field(default_factory=dict[str, Loaded])
    index: GuardIndex = field(default_factory=GuardIndex)
    coded: tuple[Loaded, ...] = ()
    """Procedures whose guard is code and cannot be indexed."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What is to be asked: indexed templates by procedure, and guards that are code."""

    indexed: tuple[tuple[Loaded, list[int]], ...]
    coded: tuple[Loaded, ...]


class Retriever:
    """Finds candidates in process, without embedder and without network.

    Args:
        store: where the procedures live.
        sandbox: what guards that are code run in.
        tools: the tools of the agent; a procedure that used an older one of them is stale and is not asked.
    """

    def __init__(self, store: ProcedureStore, sandbox: Sandbox, *, tools: Mapping[str, Tool], limits: Limits) -> None:
        self._store = store
        self._sandbox = sandbox
        self._tools = tools
        self._limits = limits
        self._shelves: dict[str, _Shelf] = {}
        self._lock = threading.RLock()

    def candidates(self, scope: Scope, text: NormalText) -> Candidates:
        """Return the procedures that may accept a request."""
        shelf = self._fresh(scope)
        found = shelf.index.candidates(text)
        indexed = ((shelf.loaded.get(key), templates) for key, templates in found.items())
        return Candidates(tuple((loaded, which) for loaded, which in indexed if loaded), shelf.coded)

    def serving(self, scope: Scope) -> list[Loaded]:
        """Return every procedure of a scope that may answer."""
        return list(self._fresh(scope).loaded.values())

    def entries(self, scope: Scope) -> list[Entry]:
        """Return the current entries of a scope, whatever their status."""
        return list(self._fresh(scope).entries.values())

    def entry(self, scope: Scope, procedure_id: str) -> Entry | None:
        """Return the current entry of a procedure, as last read."""
        shelf = self._shelves.get(scope.key)
        return shelf.entries.get(procedure_id) if shelf else None

    def find(self, procedure_id: str) -> Entry | None:
        """Return the current entry of a procedure of any scope that has been read."""
        for shelf in list(self._shelves.values()):
            if procedure_id in shelf.entries:
                return shelf.entries[procedure_id]
        return None

    def refresh(self, scope: Scope) -> None:
        """Read the change feed now."""
        with self._lock:
            shelf = self._shelves.setdefault(scope.key, _Shelf())
            changes = self._store.changes(scope, shelf.revision)
            for entry in changes.entries:
                self._place(shelf, entry)
            shelf.revision = changes.revision
            shelf.read_at = time.monotonic()

    def overlap(self, scope: Scope, text: NormalText, limit: int) -> list[Loaded]:
        """Return procedures whose templates share the most required words with a request, for explanations."""
        shelf = self._fresh(scope)
        scores: dict[str, float] = {}
        from_words = frozenset(text.text.casefold().split())
        for key, loaded in list(shelf.loaded.items()):
            if isinstance(loaded.guard, TemplateGuard):
                scores[key] = max(_share(pattern.required, from_words) for pattern in loaded.guard.patterns)
        return [shelf.loaded[key] for key in sorted(scores, key=lambda key: -scores[key])[:limit] if scores[key] > 0]

    def _fresh(self, scope: Scope) -> _Shelf:
        shelf = self._shelves.get(scope.key)
        if shelf is None or time.monotonic() - shelf.read_at > REFRESH_SECONDS:
            self.refresh(scope)
            shelf = self._shelves[scope.key]
        return shelf

    def _place(self, shelf: _Shelf, entry: Entry) -> None:
        key = entry.procedure.id
        known = shelf.entries.get(key)
        shelf.entries[key] = entry
        if known and known.procedure == entry.procedure and key in shelf.loaded:
            return  # Only its statistics changed.
        shelf.loaded.pop(key, None)
        shelf.index.remove(key)
        if entry.procedure.status == "active":
            self._load(shelf, entry)
        shelf.coded = tuple(x for x in shelf.loaded.values() if not isinstance(x.guard, TemplateGuard))

    def _load(self, shelf: _Shelf, entry: Entry) -> None:
        procedure = entry.procedure
        try:
            loaded = load(procedure, self._sandbox, tools=self._tools, limits=self._limits)
        except SeglamError as error:
            # One procedure that cannot serve must not take the others down.
            logger.warning("procedure %s does not serve: %s", procedure.key, error)
            return
        shelf.loaded[procedure.id] = loaded
        if isinstance(loaded.guard, TemplateGuard):
            shelf.index.add(procedure.id, loaded.guard)


def _share(required: frozenset[str], present: frozenset[str]) -> float:
    return len(required & present) / len(required) if required else 0.0
