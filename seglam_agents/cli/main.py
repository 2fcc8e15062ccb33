"""`seglam`: all commands together."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Annotated

import typer

from seglam_agents.cli import asking, backtest, demo, learning, looking, serving
from seglam_agents.cli.errors import Commands

app = typer.Typer(
    name="seglam",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _told_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"seglam-agents {version_of('seglam-agents')}")
        raise typer.Exit()


@app.callback()
def seglam(
    version: Annotated[
        bool, typer.Option("--version", callback=_told_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A reasoning cache: requests of a known kind are answered by stored code instead of a model."""


app.command()(demo.demo)
app.command()(asking.ask)
app.command()(asking.why)
app.command()(learning.learn)
app.command()(backtest.backtest)
app.command()(looking.ls)
app.command()(looking.show)
app.command()(looking.stats)
app.command()(serving.serve)
app.command()(serving.mcp)

if __name__ == "__main__":
    app()
