"""What the commands over exports of recorded runs share: their options, and a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self, cast, get_args

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from seglam_agents.cli.errors import CommandError
from seglam_agents.harvest.reading import Format, read_traces
from seglam_agents.harvest.tools import tools_of
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import Trace

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended."""

FORMATS = "|".join(get_args(Format))

Traces = Annotated[
    list[Path], typer.Argument(metavar="TRACES...", help="Files with recorded runs, or folders of JSON files.")
]
FormatName = Annotated[
    str, typer.Option("--format", metavar=FORMATS, help="What the files hold; 'auto' tells it from each document.")
]
ToolsFile = Annotated[
    Path | None,
    typer.Option(
        "--tools",
        metavar="FILE",
        help="The agent's tools as JSON: our Tool documents, OpenAI function tools, or MCP tools. Without it they are "
        "inferred from the runs, and all are taken to write.",
    ),
]
PromptFile = Annotated[
    Path | None,
    typer.Option(
        "--system-prompt",
        metavar="FILE",
        help="The agent's system prompt. What is learnt serves an agent that is told something else, or whose tools "
        "have other schemas, only after runs that agree.",
    ),
]


class Stages:
    """A progress bar on stderr, one stage after the other.

    Args:
        quiet: True to show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.current = "starting"
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True, markup=False), disable=quiet)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress.tasks:
            self._progress.stop()

    def begin(self, stage: str) -> Callable[[int, int], None]:
        """Begin a stage; the result is told how much of it is done."""
        self.current = stage
        self._progress.start()  # Not before: an error that comes first is told in one line.
        task = self._progress.add_task(stage, total=None)
        return lambda done, total: self._progress.update(task, completed=done, total=total or None)


def format_named(paths: Sequence[Path], name: str) -> Format:
    """Return the format that was named, where there is a file to read at all.

    Raises:
        CommandError: there is no such format, or no such file.
    """
    if name not in get_args(Format):
        raise CommandError(f"--format {name!r} is none of {FORMATS.replace('|', ', ')}")
    if not any(path.exists() for path in paths):
        raise CommandError(f"there is no {' and no '.join(map(str, paths))}: name files or folders with recorded runs")
    return cast(Format, name)


def prompt_in(path: Path | None) -> str:
    """Return the text of a file with a system prompt; nothing without a file.

    Raises:
        CommandError: the file cannot be read.
    """
    try:
        # Editors end a file with a line break, which the prompt of an agent does not have.
        return path.read_text(encoding="utf-8-sig").removesuffix("\n") if path else ""
    except (OSError, ValueError) as error:
        raise CommandError(f"--system-prompt {path} cannot be read ({error}): give a text file") from None


def inferred_tools_of(paths: Sequence[Path], kind: Format, stages: Stages) -> list[Tool]:
    """Return the tools that recorded runs show."""
    items = read_traces(paths, kind, progress=stages.begin("looking for tools"))
    return tools_of(item for item in items if isinstance(item, Trace))


def cut(text: str, length: int = 80) -> str:
    """Return a text in one line, cut to a length."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"
