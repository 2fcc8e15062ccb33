"""When an answer is right, and what counts say about rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

from seglam_agents.records.record import Json
from seglam_agents.records.values import as_number, decode, same

Verdict: TypeAlias = Literal["right", "wrong", "off by rounding", "unknown"]

CENTS = 2
"""Decimals to which answers are commonly rounded."""


def compare(given: Json, right: Json) -> Verdict:
    """Compare an answer with the right one.

    * "right": the same text, or the same number within 1e-6 relative; a right answer with at most two decimals also
      equals every number that rounds to it at two decimals (16.666667 for 16.67).
    * "off by rounding": less than 1 away from a right answer that is a whole number. It counts as wrong, and is
      listed apart, because public data often gives rounded answers (17 for 16.5).
    * "unknown": there is no right answer to compare with.
    * "wrong": everything else, also no answer at all.
    """
    if right is None:
        return "unknown"
    found = decode(given)
    if same(found, right):
        return "right"
    number, truth = as_number(found), as_number(right)
    if number is None or truth is None or not math.isfinite(number):
        return "wrong"
    return _compare_numbers(number, truth)


def wrong_hit(verdict: Verdict) -> bool:
    """Tell whether a hit with this verdict counts as wrong: also where no right answer is known."""
    return verdict != "right"


def upper_bound(wrong: int, trials: int, *, confidence: float = 0.95) -> float:
    """Return the exact (Clopper-Pearson) one-sided upper bound of a rate: 1 where nothing was tried.

    It is the largest rate at which `wrong` or fewer of `trials` still happen with probability 1 - confidence.
    """
    if wrong >= trials:
        return 1.0
    low, high = wrong / trials, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        if _at_most(wrong, trials, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least this share of the values do not exceed; None of no values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _compare_numbers(number: float, truth: float) -> Verdict:
    difference = abs(number - truth)
    # Half a cent either way, because 2.675 may be rounded up or down.
    if math.isclose(truth, round(truth, CENTS), rel_tol=1e-12) and difference <= 0.5 * 10**-CENTS + 1e-9:
        return "right"
    return "off by rounding" if truth.is_integer() and difference < 1 else "wrong"


def _at_most(successes: int, trials: int, rate: float) -> float:
    """Return the probability of at most so many successes, for 0 < rate < 1 (the binomial distribution function)."""
    if rate >= 1:
        return 0.0
    if rate <= 0:
        return 1.0
    yes, no = math.log(rate), math.log1p(-rate)
    return math.fsum(
        math.exp(_log_choices(trials, count) + count * yes + (trials - count) * no) for count in range(successes + 1)
    )


def _log_choices(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
