"""`Turns`: whose program may compute now, so that no program starves the others.

First come, first served, with two exceptions. A program that waits for a tool computes nothing, and lends its turn. A
program that was stopped by a limit or crashed the last time may take no more than half of the turns, whatever its
number of requests: the other half stays with those that do what they should.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Generator, Hashable
from contextlib import contextmanager
from typing import Final

from seglam_agents.sandboxes.base import Execution, Failed

PATIENCE_SECONDS: Final = 5.0
"""How long a run waits for its turn before it is told that everybody is busy."""
_REMEMBERED: Final = 256


class Turns:
    """Gives out turns, at most `capacity` at a time.

    Args:
        capacity: how many programs may compute at a time.
        patience: seconds that a run waits for its turn.
    """

    def __init__(self, capacity: int, *, patience: float = PATIENCE_SECONDS) -> None:
        self._capacity = capacity
        self._patience = patience
        self._changed = threading.Condition()
        self._queue: deque[_Ticket] = deque()
        self._running = 0
        self._slow_running = 0
        self._slow: OrderedDict[Hashable, None] = OrderedDict()

    @contextmanager
    def turn(self, program: Hashable) -> Generator[Turn | None]:
        """Wait for a turn of a program and hold it; None where it does not come."""
        ticket = _Ticket(program, time.monotonic() + self._patience)
        if not self._wait(ticket):
            yield None
            return
        try:
            yield Turn(self, ticket)
        finally:
            self.move(ticket, -1)

    def judge(self, program: Hashable, execution: Execution) -> None:
        """Remember whether a program was stopped by a limit or crashed, or came to an end by itself."""
        with self._changed:
            if isinstance(execution, Failed) and execution.kind in ("limit", "crash"):
                self._slow[program] = None
                self._slow.move_to_end(program)
                if len(self._slow) > _REMEMBERED:
                    self._slow.popitem(last=False)
            else:
                self._slow.pop(program, None)

    def busy(self) -> Failed:
        """Return what is told to a run that got no turn."""
        return Failed("busy", f"all {self._capacity} workers were busy for {self._patience:g} s")

    def move(self, ticket: _Ticket, by: int) -> None:
        """Take back (-1) or hand out again (1) the turn of a ticket; the latter never waits."""
        with self._changed:
            self._running += by
            self._slow_running += by if ticket.slow else 0
            self._changed.notify_all()

    def _wait(self, ticket: _Ticket) -> bool:
        with self._changed:
            self._queue.append(ticket)
            try:
                if not self._changed.wait_for(lambda: self._next() is ticket, self._patience):
                    return False
                ticket.slow = ticket.program in self._slow
                self._running += 1
                self._slow_running += ticket.slow
                return True
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def _next(self) -> _Ticket | None:
        """Return who may go: the first in the queue, or the first that is not slow where the slow have their share."""
        if self._running >= self._capacity:
            return None
        share = max(1, self._capacity // 2)
        full = self._slow_running >= share
        return next((ticket for ticket in self._queue if not full or ticket.program not in self._slow), None)


class Turn:
    """The turn of one run; while it waits for something else than its program, others may have it."""

    def __init__(self, turns: Turns, ticket: _Ticket) -> None:
        self._turns = turns
        self._ticket = ticket

    @property
    def left(self) -> float:
        """Seconds that the run may still wait for what else it needs: its patience is one, whatever it waits for."""
        return max(self._ticket.deadline - time.monotonic(), 0.0)

    @contextmanager
    def lent(self) -> Generator[None]:
        """Give the turn away for a while."""
        self._turns.move(self._ticket, -1)
        try:
            yield
        finally:
            self._turns.move(self._ticket, 1)


class _Ticket:
    """One place in the queue, compared by identity."""

    def __init__(self, program: Hashable, deadline: float) -> None:
        self.program = program
        self.deadline = deadline
        self.slow = False
