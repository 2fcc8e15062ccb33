"""Pictures of a stream: cumulative tokens with the cache and without, and model calls per ten requests."""

# pyright: reportUnknownMemberType=false
# matplotlib's own types are unknown in part.

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from benchmarks.figures import Figures

WINDOW = 10
"""Requests per bar of model calls."""


def require_matplotlib() -> None:
    """Raise a `UsageError` where nothing can be drawn: better before a long run than after it."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("a picture needs matplotlib: pip install 'seglam-agents[plot]', or leave out --svg and --png")


def draw(figures: Figures, path: Path) -> None:
    """Draw a stream into a file; its suffix decides the format.

    Raises:
        UsageError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    picture = Figure(figsize=(9, 6), layout="constrained")
    above, below = picture.subplots(2, 1, sharex=True)
    _draw_tokens(above, figures)
    _draw_calls(below, figures)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.savefig(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error}") from error


def calls_by_window(calls: Sequence[int], window: int = WINDOW) -> list[int]:
    """Return the model calls of each run of `window` requests; the last one may be shorter."""
    return [sum(calls[start : start + window]) for start in range(0, len(calls), window)]


def _draw_tokens(axes: Axes, figures: Figures) -> None:
    numbers = range(1, len(figures.course.tokens) + 1)
    axes.plot(numbers, list(accumulate(figures.course.tokens)), label="with the cache")
    each = figures.baseline.tokens_per_request
    if each is not None:
        label = f"without ({each:.0f} tokens per request)"
        axes.plot(numbers, [number * each for number in numbers], linestyle="--", label=label)
    axes.set_ylabel("tokens, cumulative")
    axes.legend()


def _draw_calls(axes: Axes, figures: Figures) -> None:
    calls = calls_by_window(figures.course.calls)
    axes.bar([index * WINDOW + WINDOW / 2 + 0.5 for index in range(len(calls))], calls, width=WINDOW * 0.9)
    axes.set_ylabel(f"model calls per {WINDOW} requests")
    axes.set_xlabel("request")
