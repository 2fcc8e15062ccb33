"""Which status may follow which, and how an entry looks afterwards. Pure: nothing is written here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from seglam_agents.records.entry import Entry, Status, Transition
from seglam_agents.records.errors import TransitionError

FOLLOWING: Mapping[Status, frozenset[Status]] = {
    "candidate": frozenset({"shadow", "active", "quarantined", "retired"}),
    "shadow": frozenset({"active", "suspended", "quarantined", "retired"}),
    "active": frozenset({"shadow", "suspended", "quarantined", "retired"}),
    "suspended": frozenset({"shadow", "active", "quarantined", "retired"}),
    "quarantined": frozenset({"shadow", "active", "retired"}),
    "retired": frozenset({"candidate"}),
}
"""What may come after each status. What was retired has to be admitted anew."""
MAX_HISTORY = 200
"""Lines of a history that are kept; the first and the newest ones are."""


def moved(
    entry: Entry, status: Status, why: str, *, who: str = "seglam", evidence: str = "", at: datetime | None = None
) -> Entry:
    """Return an entry in another status, with one more line in its history.

    Raises:
        TransitionError: the status may not follow the present one.
    """
    if status not in FOLLOWING[entry.status]:
        following = ", ".join(sorted(FOLLOWING[entry.status]))
        raise TransitionError(
            f"{entry.procedure.key} is {entry.status} and cannot become {status}: it can become {following}"
        )
    return entry.model_copy(update={"status": status, "history": _with(entry, status, why, who, evidence, at)})


def replaced(entry: Entry, by: Entry) -> Entry:
    """Return the entry of a next version with the history of the version before it."""
    return by.model_copy(update={"history": _cut((*entry.history, *by.history)), "revision": entry.revision})


def _with(
    entry: Entry, status: Status, why: str, who: str, evidence: str, at: datetime | None
) -> tuple[Transition, ...]:
    line = Transition(status=status, version=entry.procedure.version, why=why, who=who, evidence=evidence, at=at)
    return _cut((*entry.history, line))


def _cut(history: tuple[Transition, ...]) -> tuple[Transition, ...]:
    return history if len(history) <= MAX_HISTORY else (history[0], *history[-(MAX_HISTORY - 1) :])
