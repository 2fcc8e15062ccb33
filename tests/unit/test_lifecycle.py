"""Transitions of an entry, and the only writer of entries."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglam_agents.lifecycle.entries import Entries
from seglam_agents.lifecycle.transitions import FOLLOWING, MAX_HISTORY, moved
from seglam_agents.records.entry import AdmissionReport, Entry, Statistics, Status
from seglam_agents.records.errors import ConflictError, TransitionError
from seglam_agents.records.procedure import GuardSource, Procedure, Provenance
from seglam_agents.records.request import Scope
from seglam_agents.stores.memory import MemoryStore

STATUSES: tuple[Status, ...] = get_args(Status.__value__) if hasattr(Status, "__value__") else get_args(Status)
AT = datetime(2026, 1, 2, tzinfo=UTC)


def procedure(body: str = "def run(n):\n    return n\n", **fields: object) -> Procedure:
    """Return a small procedure."""
    guard = GuardSource(templates=("go {n:count}",))
    return Procedure(
        **{"id": "p", "name": "go", "guard": guard, "body": body, "provenance": Provenance(compiler="test"), **fields}  # type: ignore[arg-type]
    )


def entries() -> Entries:
    return Entries(MemoryStore(), lambda: AT)


@given(path=st.lists(st.sampled_from(STATUSES), max_size=12))
def test_a_history_tells_every_step_and_forgets_none(path: list[Status]) -> None:
    """Each allowed step appends one line and changes nothing before it; a forbidden one raises and changes nothing."""
    entry = Entry(procedure=procedure())
    for status in path:
        if status in FOLLOWING[entry.status]:
            after = moved(entry, status, "because", who="Ana", at=AT)
            assert after.history[:-1] == entry.history
            assert (after.status, after.history[-1].status, after.history[-1].who) == (status, status, "Ana")
            entry = after
        else:
            with pytest.raises(TransitionError, match="it can become"):
                moved(entry, status, "because")


def test_what_was_retired_never_serves_without_a_new_admission() -> None:
    """From retired, only candidate may follow."""
    assert FOLLOWING["retired"] == {"candidate"}
    assert all("active" not in FOLLOWING[status] for status in ("retired",))


def test_a_long_history_keeps_its_beginning() -> None:
    """What a history drops is in the middle."""
    entry = Entry(procedure=procedure(), status="active")
    for number in range(MAX_HISTORY + 10):
        entry = moved(entry, "shadow" if entry.status == "active" else "active", str(number))
    assert len(entry.history) == MAX_HISTORY
    assert (entry.history[0].why, entry.history[-1].why) == ("0", str(MAX_HISTORY + 9))


def test_an_admitted_procedure_has_wordings_and_a_first_line() -> None:
    """What it was made from stands behind its wording, and its history begins."""
    entry = entries().admit(procedure(), AdmissionReport(), made_from=["t1"])
    assert [(w.template, w.evidence.made_from) for w in entry.wordings] == [("go {n:count}", ("t1",))]
    assert [(line.status, line.version, line.at) for line in entry.history] == [("active", 1, AT)]


def test_a_next_version_goes_on_with_history_statistics_and_evidence() -> None:
    """A widening keeps what the version before it had earned."""
    keeper = entries()
    first = keeper.admit(procedure(), AdmissionReport(), made_from=["t1"])
    keeper.count(Scope(), "p", Statistics(hits=3), {"go {n:count}": 3})
    wider = procedure(version=2, guard=GuardSource(templates=("go {n:count}", "walk {n:count}")))
    second = keeper.admit(wider, AdmissionReport(), parent=first.procedure, made_from=["t2"])
    assert second.statistics.hits == 3 and [wording.uses for wording in second.wordings] == [3, 0]
    assert [wording.evidence.made_from for wording in second.wordings] == [("t1",), ("t2",)]
    assert [line.version for line in second.history] == [1, 2]


def test_a_widening_of_what_has_changed_meanwhile_is_a_conflict() -> None:
    """Two workers widen one version: one is stored, the other is told."""
    keeper = entries()
    first = keeper.admit(procedure(), AdmissionReport())
    wider = procedure(version=2)
    keeper.admit(wider, AdmissionReport(), parent=first.procedure)
    with pytest.raises(ConflictError, match="changed by somebody else"):
        keeper.admit(wider, AdmissionReport(), parent=first.procedure)


def test_what_is_replaced_retires_and_may_come_back_as_the_next_version() -> None:
    """A procedure that takes the place of others retires them; the id is not lost."""
    keeper = entries()
    old = keeper.admit(procedure(id="old"), AdmissionReport())
    keeper.admit(procedure(), AdmissionReport(), replaces=[old.procedure])
    retired = keeper.store.get(Scope(), "old")
    assert retired is not None and retired.status == "retired" and "p@1" in retired.history[-1].why
    again = keeper.admit(procedure(id="old"), AdmissionReport())
    assert again.procedure.key == "old@2" and [line.status for line in again.history] == ["active", "retired", "active"]


def test_changes_of_many_writers_are_all_there() -> None:
    """Statistics of eight threads are lost to no race."""
    keeper = entries()
    keeper.admit(procedure(), AdmissionReport())
    missed = [0]

    def count() -> None:
        for _ in range(20):
            while not keeper.count(Scope(), "p", Statistics(hits=1), {}):
                missed[0] += 1

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entry = keeper.store.get(Scope(), "p")
    assert entry is not None and entry.statistics.hits == 160


def test_a_move_of_nothing_is_nothing() -> None:
    """A procedure that is not there cannot be moved, and that is no error."""
    assert entries().move(Scope(), "nobody", "retired", "why") is None
