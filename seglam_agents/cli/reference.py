"""Writes docs/cli.md from the help texts: `python -m seglam_agents.cli.reference`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from seglam_agents.cli.main import app

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def reference() -> str:
    """Return the page: every command with its arguments and options."""
    group: Any = typer.main.get_command(app)
    head = [
        "# The command line",
        "<!-- Written by `python -m seglam_agents.cli.reference`; do not edit. -->",
        group.help,
        "Errors are one line on stderr, with exit code 1, or 2 where the command line itself is wrong; with `--json` "
        'they are `{"error": …}` on stdout. What begins with `-` and is no option goes behind `--`. `seglam --version` '
        "prints the version.",
    ]
    return "\n\n".join([*head, *(_section(name, command) for name, command in group.commands.items())]) + "\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(reference(), encoding="utf-8")


def _section(name: str, command: Any) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    usage = " ".join(["seglam", name, *(argument.metavar for argument in arguments), "[OPTIONS]"])
    rows = [f"| {_name(parameter)} | {parameter.help} | {_default(parameter)} |" for parameter in command.params]
    table = "\n".join(["| Argument or option | Meaning | Default |", "|---|---|---|", *rows])
    return f"## seglam {name}\n\n{command.help}\n\n```\n{usage}\n```\n\n{table}"


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_escaped(parameter.metavar)}`"
    value = f" {parameter.metavar}" if parameter.metavar else ""
    return f"`{parameter.opts[0]}{_escaped(value)}`"


def _default(parameter: Any) -> str:
    value = parameter.default
    shown = "" if value is None or value is False or parameter.required else f"`{value}`"
    return " ".join(part for part in (shown, f"(${parameter.envvar})" if parameter.envvar else "") if part)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main()
