"""`Gate`: calls pass until it is closed, and whoever closes it waits for the calls that are inside."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from seglam_agents.records.errors import Outage
from seglam_agents.stores.layout import closed


class Gate:
    """What calls to a client go through, so that it is not closed under them.

    Args:
        one_by_one: let a single call pass at a time, for a client that threads cannot share.
    """

    def __init__(self, *, one_by_one: bool) -> None:
        self._turn: AbstractContextManager[object] = threading.Lock() if one_by_one else nullcontext()
        self._change = threading.Condition()
        self._inside = 0
        self._closed = False
        self._outage = Outage()

    @contextmanager
    def passing(self) -> Generator[None, None, None]:
        """Be inside for as long as the context lasts.

        Raises:
            StoreError: the gate is closed.
        """
        self._enter()
        try:
            with self._turn:
                yield
        finally:
            self._leave()

    def close(self) -> None:
        """Let nobody in any more, and wait until everybody is out."""
        with self._change:
            self._closed = True
            self._change.wait_for(lambda: self._inside == 0)

    def _enter(self) -> None:
        with self._change:
            if self._closed:
                closed(self._outage)
            self._inside += 1

    def _leave(self) -> None:
        with self._change:
            self._inside -= 1
            self._change.notify_all()
