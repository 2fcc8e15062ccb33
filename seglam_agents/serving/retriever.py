"""`Retriever`: the procedures that may answer a request. Kept in step with the store by its change feed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.guards.index import GuardIndex
from seglam_agents.guards.narrow import WRITE_RANGE, WriteRange
from seglam_agents.guards.normal import NormalText
from seglam_agents.records.entry import Confirmation, Entry
from seglam_agents.records.procedure import Procedure
from seglam_agents.records.request import Scope
from seglam_agents.records.tools import Tool
from seglam_agents.sandboxes.base import Limits, Sandbox
from seglam_agents.serving.conditions import confirmed_by, hindrance
from seglam_agents.serving.loading import Loaded, load
from seglam_agents.stores.base import ProcedureStore

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0
"""How often the change feed is read for what other processes wrote."""


@dataclass(frozen=True, slots=True)
class Served:
    """A procedure ready to run, with the entry that it was loaded from."""

    loaded: Loaded
    entry: Entry

    @property
    def proven(self) -> int:
        """How often it is known to have been right, or was not contradicted: for choosing between equals."""
        return self.entry.report.clean_replays + self.entry.statistics.hits


@dataclass(slots=True)
class _Shelf:
    """The procedures of one scope."""

    revision: int = 0
    read_at: float = float("-inf")
    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    served: dict[str, Served] = field(default_factory=dict[str, Served])
    shadows: dict[str, Served] = field(default_factory=dict[str, Served])
    """Those that run beside the model and serve nothing."""
    shaded: GuardIndex = field(default_factory=GuardIndex)
    """The templates of those in shadow."""
    absent: dict[str, Served] = field(default_factory=dict[str, Served])
    """Those whose sandbox is not here: they serve nothing, and a miss names them."""
    index: GuardIndex = field(default_factory=GuardIndex)
    coded: dict[str, Served] = field(default_factory=dict[str, Served])
    """Those whose guard is code and cannot be indexed."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What is to be asked: indexed templates by procedure, and guards that are code."""

    indexed: tuple[tuple[Served, list[int]], ...]
    coded: tuple[Served, ...]
    revision: int = 0
    """That of the store, as far as it was read."""


class Retriever:
    """Finds candidates in process, without embedder and without network.

    Args:
        store: where the procedures live.
        sandbox: what guards that are code run in.
        tools: the tools of the agent.
        limits: of a guard that is code.
        instructions: digest of what the agent is told.
        locale: how users write numbers, dates and money.
        write_range: how far beyond the numbers seen others may lie where something is written.
    """

    def __init__(
        self,
        store: ProcedureStore,
        sandbox: Sandbox,
        *,
        tools: Mapping[str, Tool],
        limits: Limits,
        instructions: str = "",
        locale: str = "",
        write_range: WriteRange = WRITE_RANGE,
    ) -> None:
        self._store = store
        self._sandbox = sandbox
        self._tools = tools
        self._limits = limits
        self._instructions = instructions
        self._locale = locale
        self._write_range = write_range
        self._shelves: dict[str, _Shelf] = {}
        self._lock = threading.RLock()

    def candidates(self, scope: Scope, text: NormalText) -> Candidates:
        """Return the procedures that may accept a request."""
        shelf = self._fresh(scope)
        found = shelf.index.candidates(text)
        indexed = ((shelf.served.get(key), templates) for key, templates in found.items())
        coded = tuple(shelf.coded.values()) if shelf.coded else ()
        return Candidates(tuple((served, which) for served, which in indexed if served), coded, shelf.revision)

    def revision(self, scope: Scope) -> int:
        """Return how far the store has been read, after a look at what is new."""
        return self._fresh(scope).revision

    def serving(self, scope: Scope) -> list[Loaded]:
        """Return every procedure of a scope that may answer."""
        return [served.loaded for served in list(self._fresh(scope).served.values())]

    def shadowing(self, scope: Scope) -> list[Served]:
        """Return every procedure of a scope that runs beside the model and serves nothing."""
        return list(self._fresh(scope).shadows.values())

    def shadows_of(self, scope: Scope, text: NormalText) -> list[Served]:
        """Return those in shadow that may accept a request; of those whose guard is code all."""
        shelf = self._fresh(scope)
        if not shelf.shadows:
            return []
        coded = [x for x in list(shelf.shadows.values()) if not isinstance(x.loaded.guard, TemplateGuard)]
        found = (shelf.shadows.get(key) for key in shelf.shaded.candidates(text))
        return [*(served for served in found if served), *coded]

    def absent(self, scope: Scope) -> list[Served]:
        """Return every procedure of a scope that cannot run here, because its sandbox is not there."""
        return list(self._fresh(scope).absent.values())

    def served(self, scope: Scope, procedure_id: str) -> Served | None:
        """Return a procedure that may answer."""
        return self._fresh(scope).served.get(procedure_id)

    def entries(self, scope: Scope) -> list[Entry]:
        """Return the current entries of a scope, whatever their status."""
        return list(self._fresh(scope).entries.values())

    def find(self, procedure_id: str) -> Entry | None:
        """Return the current entry of a procedure of any scope that has been read."""
        for shelf in list(self._shelves.values()):
            if procedure_id in shelf.entries:
                return shelf.entries[procedure_id]
        return None

    def hindrance(self, entry: Entry) -> str | None:
        """Return why a procedure runs in shadow; None where it does not."""
        if entry.status == "shadow":
            return "it runs in shadow: " + (entry.history[-1].why if entry.history else "not enough runs agree yet")
        return hindrance(entry, self._instructions, self._tools)

    def refresh(self, scope: Scope) -> None:
        """Read the change feed now."""
        with self._lock:
            self._read(scope)

    def _read(self, scope: Scope) -> None:
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
        for key, served in list(shelf.served.items()):
            if isinstance(served.loaded.guard, TemplateGuard):
                scores[key] = max(_share(pattern.required, from_words) for pattern in served.loaded.guard.patterns)
        nearest = sorted(scores, key=lambda key: -scores[key])[:limit]
        return [shelf.served[key].loaded for key in nearest if scores[key] > 0]

    def _fresh(self, scope: Scope) -> _Shelf:
        shelf = self._shelves.get(scope.key)
        if shelf is not None and time.monotonic() - shelf.read_at <= REFRESH_SECONDS:
            return shelf
        # While somebody else reads the feed, what was read before serves: a store that hangs holds up one request.
        known = shelf is not None and shelf.read_at > float("-inf")
        if self._lock.acquire(blocking=not known):
            try:
                self._read(scope)
            finally:
                self._lock.release()
        return self._shelves[scope.key]

    def _place(self, shelf: _Shelf, entry: Entry) -> None:
        key = entry.procedure.id
        known = shelf.entries.get(key)
        shelf.entries[key] = entry
        if known and _judged_alike(known, entry):
            for place in (shelf.served, shelf.shadows, shelf.coded):
                if key in place:
                    place[key] = replace(place[key], entry=entry)
            return
        for place in (shelf.served, shelf.shadows, shelf.coded, shelf.absent):
            place.pop(key, None)
        shelf.index.remove(key)
        shelf.shaded.remove(key)
        if entry.status in ("active", "shadow"):
            self._load(shelf, entry)

    def _load(self, shelf: _Shelf, entry: Entry) -> None:
        procedure = _spoken(entry)
        if procedure is None:
            return  # All its wordings were found wrong.
        confirmed = confirmed_by(entry, self._instructions, self._tools)
        try:
            served = Served(self._loaded(entry, procedure), entry)
            loaded = served.loaded
        except Exception as error:
            # One procedure that cannot serve must not take the others down, whatever is wrong with it.
            logger.warning("procedure %s does not serve: %s: %s", procedure.key, type(error).__name__, error)
            return
        if loaded.missing:
            logger.warning("procedure %s does not serve: %s", procedure.key, loaded.missing)
            shelf.absent[procedure.id] = served
            return
        reason = self.hindrance(entry)
        if reason:
            logger.debug("procedure %s serves nothing: %s", procedure.key, reason)
            _shade(shelf, served)
            return
        if confirmed:
            # What lies beyond the runs that brought it back is foretold on, so that these become more.
            _shade(shelf, served)
            served = Served(self._loaded(entry, procedure, confirmed), entry)
        shelf.served[procedure.id] = served
        if isinstance(served.loaded.guard, TemplateGuard):
            shelf.index.add(procedure.id, served.loaded.guard)
        else:
            shelf.coded[procedure.id] = served

    def _loaded(self, entry: Entry, procedure: Procedure, confirmed: Confirmation | None = None) -> Loaded:
        return load(
            procedure,
            self._sandbox,
            tools=self._tools,
            limits=self._limits,
            locale=self._locale,
            write_range=self._write_range,
            confirmed=confirmed,
            content_hash=entry.procedure.content_hash,
        )


def _spoken(entry: Entry) -> Procedure | None:
    """Return a procedure with those templates alone whose wordings serve; None where none does."""
    taken_out = {wording.template for wording in entry.wordings if wording.status in ("suspended", "retired")}
    guard = entry.procedure.guard
    if taken_out.isdisjoint(guard.templates):
        return entry.procedure
    kept = tuple(template for template in guard.templates if template not in taken_out)
    if not kept:
        return None
    return entry.procedure.model_copy(update={"guard": guard.model_copy(update={"templates": kept})})


def _shade(shelf: _Shelf, served: Served) -> None:
    shelf.shadows[served.entry.procedure.id] = served
    if isinstance(served.loaded.guard, TemplateGuard):
        shelf.shaded.add(served.entry.procedure.id, served.loaded.guard)


def _judged_alike(known: Entry, entry: Entry) -> bool:
    """Tell whether only statistics and evidence changed."""
    return _serves_as(known) == _serves_as(entry)


def _serves_as(entry: Entry) -> tuple[object, ...]:
    wordings = tuple((wording.template, wording.status) for wording in entry.wordings)
    return entry.status, entry.procedure, entry.confirmations, wordings


def _share(required: frozenset[str], present: frozenset[str]) -> float:
    return len(required & present) / len(required) if required else 0.0
