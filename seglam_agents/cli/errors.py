"""How a command fails: one clear line with the next step, and exit code 1."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, cast

import typer
from typer.core import TyperGroup

from seglam_agents.cli.output import print_json
from seglam_agents.records.errors import (
    ConflictError,
    ModelError,
    RecordingError,
    SandboxError,
    SchemaError,
    SeglamError,
    StoreError,
)

P = ParamSpec("P")

USAGE = 2
"""The exit code where the command line itself is wrong."""
# Typer brings a click of its own or uses the installed one, by its version.
UsageError = cast("type[Exception]", typer.BadParameter.__base__)


class CommandError(SeglamError):
    """A command cannot do what it was asked; the message says what to do instead."""


def reported(command: Callable[P, None]) -> Callable[P, None]:
    """Make a command report its errors instead of raising them; it reads the command's `as_json`."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except SeglamError as error:
            report(error, as_json=bool(kwargs.get("as_json")))
            raise typer.Exit(1) from None

    return run


class Commands(TyperGroup):
    """The commands, whose usage errors are reported as all others are."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep what was typed, in which an error is to look for `--json`."""
        ctx.meta[_TYPED] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except UsageError as error:
            typed: tuple[str, ...] = ctx.meta[_TYPED]
            command = next((name for name in typed if name in self.commands), "")
            report(CommandError(_usage(cast(Any, error).format_message(), command)), as_json="--json" in typed)
            raise typer.Exit(USAGE) from None


def _usage(message: str, command: str) -> str:
    told = " ".join(message.split()).rstrip(".")
    end = "" if told.endswith("?") else "."
    dashes = " What begins with '-' and is no option goes behind '--'." if told.startswith("No such option") else ""
    return f"{told}{end}{dashes} See `{' '.join(filter(None, ['seglam', command]))} --help`."


_TYPED = "seglam.typed"


def report(error: SeglamError, *, as_json: bool) -> None:
    """Print an error as one line on stderr, or as a JSON document on stdout."""
    message = " ".join([" ".join(str(error).split()), next_step(error)]).strip()
    if as_json:
        print_json({"error": message})
    else:
        typer.echo(f"Error: {message}", err=True)


_NEXT_STEPS: tuple[tuple[type[SeglamError], str], ...] = (
    (ConflictError, "Somebody else wrote at the same moment: try again."),
    (SchemaError, ""),
    (StoreError, "Check --store."),
    (RecordingError, "In short: `python -m seglam_agents.demo.record --model URL` records it, --model runs it live."),
    (ModelError, "Check --model and OPENAI_API_KEY."),
    (SandboxError, "See docs/limitations.md for what the sandbox needs."),
)


def next_step(error: SeglamError) -> str:
    """Return what to do about an error whose message does not say so."""
    return next((step for kind, step in _NEXT_STEPS if isinstance(error, kind)), "")
