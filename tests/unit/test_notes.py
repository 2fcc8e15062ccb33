"""What is remembered of kinds and runs: a damaged note stops nothing, and what is forgotten stays so."""

from __future__ import annotations

import logging

import pytest

from seglam_agents.learning.kinds import Kinds
from seglam_agents.learning.tracebook import TraceBook
from seglam_agents.records.request import Request, Scope
from seglam_agents.records.trace import Trace
from seglam_agents.records.usage import Usage
from seglam_agents.stores.memory import MemoryStore

SCOPE = Scope()


def test_a_run_that_cannot_be_read_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """One damaged note is told and passed over."""
    store = MemoryStore()
    book = TraceBook(store)
    runs = [Trace(request=Request(text=text), answer=1) for text in ("a", "b")]
    assert [book.add(run) for run in runs] == [True, True]
    store.put_note(SCOPE, "trace", runs[0].id, {"trace": '{"request": 7}'})
    with caplog.at_level(logging.WARNING):
        assert TraceBook(store).all(SCOPE) == [runs[1]]
    assert runs[0].id in caplog.text


def test_a_kind_that_cannot_be_read_hides_no_other() -> None:
    """Kinds of a store with a damaged note still count."""
    store = MemoryStore()
    kinds = Kinds(store, 0.9)
    kind = kinds.of(SCOPE, [1.0, 0.0])
    store.put_note(SCOPE, "kind", "damaged", {"kind": "no json"})
    again = Kinds(store, 0.9)
    assert again.of(SCOPE, [1.0, 0.0]).id == kind.id


def test_a_forgotten_kind_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was dropped for room is gone when the store is opened again."""
    monkeypatch.setattr("seglam_agents.learning.kinds.MAX_KINDS", 2)
    store = MemoryStore()
    kinds = Kinds(store, 0.9)
    first, *_ = (kinds.of(SCOPE, vector) for vector in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]))
    again = Kinds(store, 0.9).of(SCOPE, [1.0, 0.0, 0.0])
    assert again.id != first.id and again.requests == 1 and again.spent == Usage()
