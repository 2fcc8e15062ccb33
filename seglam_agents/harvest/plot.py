"""A backtest as an SVG or PNG: what was spent run by run, and what would have been."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

from seglam_agents.figures import new_figure, save_figure
from seglam_agents.harvest.backtest import BacktestReport


def save_backtest(report: BacktestReport, path: Path) -> None:
    """Draw the sums of tokens over the runs, and the share of hits; wrong ones are marked.

    Where no run says its tokens, model calls are drawn instead.

    Raises:
        SeglamError: matplotlib is not installed, or the file cannot be written.
    """
    figure = new_figure()
    runs = list(range(1, report.runs + 1))
    costs = [run.tokens if report.tokens else run.model_calls for run in report.replayed]
    saved = [run.saved_tokens if report.tokens else run.saved_model_calls for run in report.replayed]
    left = [cost - spared for cost, spared in zip(costs, saved, strict=True)]
    spent, shares = figure.subplots(2, 1, sharex=True)
    spent.plot(runs, list(accumulate(costs)), color="#8d99ae", label="as recorded")
    spent.plot(runs, list(accumulate(left)), color="#2a6f97", label="with the cache")
    spent.set_ylabel("tokens" if report.tokens else "model calls")
    spent.set_ylim(bottom=0)
    spent.legend(loc="upper left", frameon=False)
    hits = list(accumulate(int(run.hit) for run in report.replayed))
    shares.plot(runs, [count / run for count, run in zip(hits, runs, strict=True)], color="#2a6f97")
    wrong = [place for place, run in enumerate(report.replayed, 1) if run.wrong]
    shares.plot(wrong, [hits[place - 1] / place for place in wrong], "x", color="#a4133c", label="wrong")
    shares.set_ylabel("share of hits\nso far")
    shares.set_xlabel("recorded runs, in the order of time")
    shares.set_ylim(0, 1)
    if wrong:
        shares.legend(loc="upper left", frameon=False)
    save_figure(figure, path)
