"""`seglam demo`: what the cache does, on a stream of requests; needs no key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seglam_agents.cli.errors import reported
from seglam_agents.cli.opening import named_model
from seglam_agents.cli.options import AsJson
from seglam_agents.cli.output import console, print_json
from seglam_agents.demo.models import header, recorded_model
from seglam_agents.demo.plot import save_plot
from seglam_agents.demo.report import Report
from seglam_agents.demo.run import play
from seglam_agents.demo.screen import Screen
from seglam_agents.demo.stream import stream
from seglam_agents.demo.summary import show_report
from seglam_agents.figures import can_draw, check_drawing
from seglam_agents.models.base import Model

DEFAULT_PLOT = Path("out") / "demo.svg"

Live = Annotated[
    str | None,
    typer.Option("--model", metavar="MODEL", help="Ask this model now, instead of replaying recorded answers."),
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", help="The order of the requests; the recorded answers are those of 0.")
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, metavar="N", help="How many requests to run; all of them without it.")
]
Kept = Annotated[
    str | None,
    typer.Option("--store", metavar="PATH|URL", help="Keep the procedures here; without it they are removed."),
]
Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="FILE",
        help="Draw the costs as .svg or .png; without it, out/demo.svg where matplotlib is installed.",
    ),
]
PlainLines = Annotated[bool, typer.Option("--plain", help="Print plain lines instead of a live table.")]


@reported
def demo(
    model: Live = None,
    seed: Seed = 0,
    limit: Limit = None,
    store: Kept = None,
    plot: Plot = None,
    as_json: AsJson = False,
    plain: PlainLines = False,
) -> None:
    """Run a mixed stream of requests through an empty cache, then near misses, and show what it learns and saves."""
    if plot:
        check_drawing(plot)
    chat = named_model(model) or recorded_model()
    report = play(chat, seed=seed, limit=limit, store=store) if as_json else _shown(chat, seed, limit, store, plain)
    drawn = _draw(report, plot)
    if as_json:
        print_json({"model": chat.name, "seed": seed, **report.documents(), "plot": drawn})
    elif drawn:
        console().print(f"\nPlot: {drawn}", soft_wrap=True)


def _shown(chat: Model, seed: int, limit: int | None, store: str | None, plain: bool) -> Report:
    screen_console = console()
    screen_console.print(f"{header(chat)}\n", soft_wrap=True)
    with Screen(screen_console, len(stream(seed, limit)), plain=plain) as screen:
        report = play(chat, seed=seed, limit=limit, store=store, watch=screen.show)
    show_report(report, screen_console)
    return report


def _draw(report: Report, plot: Path | None) -> Path | None:
    path = plot or (DEFAULT_PLOT if can_draw() else None)
    if path:
        save_plot(report, path)
    return path
