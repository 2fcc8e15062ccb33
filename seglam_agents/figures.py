"""Drawings as SVG or PNG files, by matplotlib (extra `plot`)."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from seglam_agents.records.errors import SeglamError


def can_draw() -> bool:
    """Tell whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def check_drawing(path: Path) -> None:
    """Fail before the work rather than after it.

    Raises:
        SeglamError: matplotlib is not installed, or it draws no such file.
    """
    new_figure()
    if path.suffix.lower() not in (".svg", ".png"):
        raise SeglamError(f"--plot draws .svg and .png, not {path.name!r}: choose one of these endings")


def new_figure() -> Any:
    """Return an empty figure.

    Raises:
        SeglamError: matplotlib is not installed.
    """
    try:
        # By name, so that the command line works without it.
        figure = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise SeglamError("--plot needs matplotlib: pip install 'seglam-agents[plot]'") from error
    return figure.Figure(figsize=(7, 4.5), layout="constrained")


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure.

    Raises:
        SeglamError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without a date, the same run gives the same file.
        figure.savefig(path, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
    except OSError as error:
        raise SeglamError(f"cannot write the plot {path}: {error}") from error
