"""`Usage`: what a model call cost; `Ledger`: the sums of a cache, per purpose."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from seglam_agents.records.record import Record

Purpose: TypeAlias = Literal["interpret", "recognise", "compile", "repair", "second opinion", "attack"]


class Usage(Record):
    """Tokens, calls and seconds of one or several model calls."""

    input_tokens: int = 0
    """All of them, those read from the provider's cache included."""
    output_tokens: int = 0
    cached_tokens: int = 0
    """Input tokens that the provider read from its cache."""
    calls: int = 0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            calls=self.calls + other.calls,
            seconds=self.seconds + other.seconds,
        )


@dataclass(slots=True)
class Ledger:
    """Sums of usage per purpose; safe to share between threads."""

    _sums: dict[Purpose, Usage] = field(default_factory=dict[Purpose, Usage])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def book(self, purpose: Purpose, usage: Usage) -> None:
        """Add a usage to the sum of its purpose."""
        with self._lock:
            self._sums[purpose] = self._sums.get(purpose, Usage()) + usage

    def of(self, purpose: Purpose) -> Usage:
        """Return the sum booked for one purpose."""
        return self._sums.get(purpose, Usage())

    def total(self) -> Usage:
        """Return the sum over all purposes."""
        total = Usage()
        for usage in list(self._sums.values()):
            total += usage
        return total
