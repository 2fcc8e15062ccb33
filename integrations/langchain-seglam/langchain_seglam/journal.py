"""Writes that a procedure asked for are not repeated when a run is resumed whose record of them was lost."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from seglam_agents import ReasoningCache
from seglam_agents.records.record import Json, digest
from seglam_agents.stores.base import NoteStore

from langchain_seglam.tenancy import runtime_of

logger = logging.getLogger(__name__)

UNKNOWN = (
    "It is not known whether this call was carried out: it was begun before, and its result was lost. "
    "Find out before you call it again."
)
MAX_REMEMBERED = 64
"""Calls that are remembered of each thread."""


@dataclass(slots=True)
class Journal:
    """Notes that a write has begun, before it begins, in the store of the cache.

    A graph that dies between a tool's effect and the checkpoint of its result runs the tool again when it is resumed.
    For a call that a procedure asked for, the note says that it had begun; it is then not run, the model is told that
    its outcome is not known, and the procedure gives up. A host that runs a call twice within one attempt (a retry)
    does so knowingly, and is let. A turn that is run again from an older checkpoint counts as resumed.
    """

    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, cache: ReasoningCache, request: ToolCallRequest, key: str) -> ToolMessage | None:
        """Note a call before it is carried out; return what to say instead where it was begun before.

        Args:
            cache: whose store keeps the notes.
            request: the call.
            key: names the call within the thread, however often it is asked for.
        """
        thread = _thread(request)
        if thread is None or not isinstance(cache.store, NoteStore):
            return None
        attempt = _attempt(request)
        try:
            with self._lock:
                begun = self._begun(cache.store, cache, thread)
                if begun.get(key, attempt) != attempt:
                    call = request.tool_call
                    return ToolMessage(content=UNKNOWN, name=call["name"], tool_call_id=call["id"], status="error")
                self._write(cache.store, cache, thread, {**begun, key: attempt})
        except Exception:
            # Without the store the run is as safe as it would be without the cache.
            logger.exception("a write could not be noted before it began")
        return None

    def forget(self, cache: ReasoningCache, request: ToolCallRequest, key: str) -> None:
        """Forget a call that was interrupted by its own tool: it will be run from its start, as the host means it."""
        thread = _thread(request)
        if thread is None or not isinstance(cache.store, NoteStore):
            return
        try:
            with self._lock:
                begun = self._begun(cache.store, cache, thread)
                self._write(cache.store, cache, thread, {name: begun[name] for name in begun if name != key})
        except Exception:
            logger.exception("an interrupted write is still noted as begun")

    def _begun(self, store: NoteStore, cache: ReasoningCache, thread: str) -> dict[str, Json]:
        note = store.notes(cache.scope, _kind(thread)).get("begun") or {}
        return dict(cast("Mapping[str, Json]", note.get("calls") or {}))

    def _write(self, store: NoteStore, cache: ReasoningCache, thread: str, calls: Mapping[str, Json]) -> None:
        kept = dict(list(calls.items())[-MAX_REMEMBERED:])
        store.put_note(cache.scope, _kind(thread), "begun", {"calls": kept})


def _kind(thread: str) -> str:
    return f"langchain.writes.{digest(thread)}"


def _thread(request: ToolCallRequest) -> str | None:
    info = getattr(runtime_of(request), "execution_info", None)
    thread = getattr(info, "thread_id", None)
    return thread if isinstance(thread, str) and thread else None


def _attempt(request: ToolCallRequest) -> str:
    """Return what two runs of a call within one attempt of its node share, and no resumed run has."""
    info = getattr(runtime_of(request), "execution_info", None)
    began = getattr(info, "node_first_attempt_time", None)
    return f"{os.getpid()}/{began if began is not None else id(runtime_of(request))}"
