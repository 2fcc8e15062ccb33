"""`seglam`: all commands together."""

from __future__ import annotations

import typer

from seglam_agents.cli import asking, backtest, demo, learning, looking, serving

app = typer.Typer(
    name="seglam",
    help="A reasoning cache: requests of a known kind are answered by stored code instead of a model.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
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
