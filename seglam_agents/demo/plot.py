"""The falling costs as an SVG or PNG, drawn by matplotlib (extra `plot`)."""

from __future__ import annotations

from pathlib import Path

from seglam_agents.demo.report import Report
from seglam_agents.figures import new_figure, save_figure


def save_plot(report: Report, path: Path) -> None:
    """Draw model calls and tokens of every ten requests into a file.

    Raises:
        SeglamError: matplotlib is not installed, or the file cannot be written.
    """
    figure = new_figure()
    blocks = report.blocks()
    ends = [block.last for block in blocks]
    calls, tokens = figure.subplots(2, 1, sharex=True)
    calls.bar(ends, [block.model_calls for block in blocks], width=6, color="#2a6f97")
    calls.set_ylabel("model calls\nper 10 requests")
    tokens.plot(ends, [block.tokens_per_request for block in blocks], marker="o", color="#a4133c")
    tokens.set_ylabel("tokens\nper request")
    tokens.set_xlabel("requests")
    tokens.set_ylim(bottom=0)
    save_figure(figure, path)
