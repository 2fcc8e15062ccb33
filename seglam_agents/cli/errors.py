"""How a command fails: one clear line with the next step, and exit code 1."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

import typer

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
