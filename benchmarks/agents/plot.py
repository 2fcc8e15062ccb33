"""A picture of a run: model calls with the cache and without, and what each tenth of the stream saved."""

# pyright: reportUnknownMemberType=false
# matplotlib's own types are unknown in part.

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from benchmarks.agents.figures import Figures


def draw(figures: Figures, path: Path) -> None:
    """Draw a run into a file; its suffix decides the format.

    Raises:
        UsageError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    picture = Figure(figsize=(9, 6), layout="constrained")
    above, below = picture.subplots(2, 1)
    _draw_calls(above, figures)
    _draw_saved(below, figures)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.savefig(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error}") from error


def _draw_calls(axes: Axes, figures: Figures) -> None:
    numbers = range(1, len(figures.course.plain) + 1)
    axes.plot(numbers, list(accumulate(figures.course.cached)), label="with the cache")
    axes.plot(numbers, list(accumulate(figures.course.plain)), linestyle="--", label="without")
    for start in accumulate(counts.requests for counts in figures.passes[:-1]):
        axes.axvline(start, color="grey", linewidth=0.5)
    axes.set_xlabel("request")
    axes.set_ylabel("model calls, cumulative")
    axes.legend()


def _draw_saved(axes: Axes, figures: Figures) -> None:
    axes.bar(range(1, 11), [100 * (share or 0.0) for share in figures.deciles])
    axes.set_xticks(range(1, 11))
    axes.set_ylim(0, 100)
    axes.set_xlabel("tenth of the stream")
    axes.set_ylabel("model calls saved, %")
