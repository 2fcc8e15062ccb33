"""What is kept in memory for later, up to a number: what was not needed for longest goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

V = TypeVar("V")


@dataclass(slots=True)
class Kept(Generic[V]):
    """Values by key. Safe between threads.

    Args:
        size: how many; 0 for none.
    """

    size: int
    _values: OrderedDict[str, V] = field(default_factory=OrderedDict[str, V])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: str) -> V | None:
        """Return a value, which counts as needed now."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: str, value: V) -> bool:
        """Keep a value; tell whether there was none."""
        with self._lock:
            new = key not in self._values
            self._values[key] = value
            while len(self._values) > self.size:
                self._values.popitem(last=False)
            return new

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
