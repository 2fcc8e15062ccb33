"""What a request costs without the cache, and from which request on the cache is cheaper."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from pydantic import computed_field

from benchmarks.rows import Row
from seglam_agents.learning.interpreter import interpret_messages
from seglam_agents.models.base import Model
from seglam_agents.records.errors import ModelError
from seglam_agents.records.record import Record
from seglam_agents.records.request import Request
from seglam_agents.records.usage import Usage


class Baseline(Record):
    """Interpretation by the model alone, measured on some requests of the stream."""

    requests: int
    usage: Usage
    """What the measurement cost; it is in no other figure."""
    failure: str = ""
    """Why fewer requests were measured than were asked for."""

    @computed_field
    @property
    def tokens_per_request(self) -> float | None:
        """The mean; None where nothing was measured."""
        return self.usage.tokens / self.requests if self.requests else None


class BreakEven(Record):
    """Where the cumulative tokens with the cache are below those of interpreting every request."""

    first_below: int | None
    """The first such request, counted from 1."""
    below_from: int | None
    """The first request from which on it stays so to the end of the stream."""
    tokens_with: int
    tokens_without: float


def measure_baseline(model: Model, rows: Sequence[Row], count: int) -> Baseline:
    """Let the model alone answer some rows, evenly spaced over the stream."""
    usage, done = Usage(), 0
    chosen = [rows[index * len(rows) // count] for index in range(min(count, len(rows)))] if count else []
    for row in chosen:
        request = Request(text=row.request, context=row.context)
        try:
            usage += model.complete(interpret_messages(request)).usage
        except ModelError as error:
            return Baseline(requests=done, usage=usage, failure=str(error))
        done += 1
    return Baseline(requests=done, usage=usage)


def break_even(spent: Sequence[int], per_request: float) -> BreakEven:
    """Return the break-even of a stream.

    Args:
        spent: the tokens that each request cost with the cache.
        per_request: the tokens that a request costs without it.
    """
    below = [total < number * per_request for number, total in enumerate(accumulate(spent), 1)]
    trailing = next((index for index, flag in enumerate(reversed(below)) if not flag), len(below))
    return BreakEven(
        first_below=below.index(True) + 1 if True in below else None,
        below_from=len(below) - trailing + 1 if trailing else None,
        tokens_with=sum(spent),
        tokens_without=len(spent) * per_request,
    )
