"""Records what the demo asks: `python -m seglam_agents.demo.record --model http://localhost:8000/v1#model`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from seglam_agents.demo.models import RECORDING
from seglam_agents.demo.run import play
from seglam_agents.demo.screen import Screen
from seglam_agents.demo.stream import stream
from seglam_agents.demo.summary import show_report
from seglam_agents.models.base import Model
from seglam_agents.models.opening import open_model
from seglam_agents.models.recorded import RecordedModel
from seglam_agents.records.errors import SeglamError


def record(
    model: Annotated[str, typer.Option("--model", help="The chat model to record; the key comes from OPENAI_API_KEY.")],
    seed: Annotated[int, typer.Option("--seed", help="The order of the requests.")] = 0,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="How many requests to run.")] = None,
    path: Annotated[Path, typer.Option("--path", help="The file of the recording.")] = RECORDING,
) -> None:
    """Run the demo with a live model, and append the answers that the recording lacks."""
    try:
        run_recording(open_model(model, api_key=os.environ.get("OPENAI_API_KEY") or None), path, seed, limit)
    except SeglamError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None


def run_recording(live: Model, path: Path, seed: int = 0, limit: int | None = None) -> None:
    """Run the stream with a model whose answers go into a file."""
    console = Console(markup=False, highlight=False, emoji=False)
    with Screen(console, len(stream(seed, limit)), plain=True) as screen:
        report = play(RecordedModel(path, live=live), seed=seed, limit=limit, watch=screen.show)
    show_report(report, console)


if __name__ == "__main__":
    typer.run(record)
