"""The falling costs as an SVG or PNG, drawn by matplotlib (extra `plot`)."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from seglam_agents.demo.report import Report
from seglam_agents.records.errors import SeglamError


def can_plot() -> bool:
    """Tell whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def save_plot(report: Report, path: Path) -> None:
    """Draw model calls and tokens of every ten requests into a file.

    Raises:
        SeglamError: matplotlib is not installed, or the file cannot be written.
    """
    figure = _figure()
    blocks = report.blocks()
    ends = [block.last for block in blocks]
    calls, tokens = figure.subplots(2, 1, sharex=True)
    calls.bar(ends, [block.model_calls for block in blocks], width=6, color="#2a6f97")
    calls.set_ylabel("model calls\nper 10 requests")
    tokens.plot(ends, [block.tokens_per_request for block in blocks], marker="o", color="#a4133c")
    tokens.set_ylabel("tokens\nper request")
    tokens.set_xlabel("requests")
    tokens.set_ylim(bottom=0)
    _save(figure, path)


def check_plot(path: Path) -> None:
    """Fail before the demo runs rather than after it.

    Raises:
        SeglamError: matplotlib is not installed, or it draws no such file.
    """
    _figure()
    if path.suffix.lower() not in (".svg", ".png"):
        raise SeglamError(f"--plot draws .svg and .png, not {path.name!r}: choose one of these endings")


def _figure() -> Any:
    try:
        # By name, so that the command line works without it.
        figure = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise SeglamError("--plot needs matplotlib: pip install 'seglam-agents[plot]'") from error
    return figure.Figure(figsize=(7, 4.5), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without a date, the same run gives the same file.
        figure.savefig(path, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
    except OSError as error:
        raise SeglamError(f"cannot write the plot {path}: {error}") from error
