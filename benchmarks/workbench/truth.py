"""The tasks of WorkBench, with the actions that solve them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.errors import UsageError
from benchmarks.workbench.table import Row, read_csv
from benchmarks.workbench.world import World
from seglam_agents.records.record import Json

COLUMNS = ("query", "answer", "base_template", "chosen_template", "domains")
SUFFIX = "_queries_and_answers.csv"


@dataclass(frozen=True, slots=True)
class Action:
    """One call of a tool that changes the world."""

    tool: str
    arguments: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Task:
    """A request with the actions that solve it; the templates group the results, and are shown to nobody."""

    query: str
    base_template: str
    chosen_template: str
    domains: tuple[str, ...]
    actions: tuple[Action, ...]


def domains_with_tasks(folder: Path) -> list[str]:
    """Return the names that `read_tasks` finds a file for."""
    return sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))


def read_tasks(folder: Path, domain: str) -> list[Task]:
    """Read the tasks of a domain, or of any other file of the same form: `<domain>_queries_and_answers.csv`.

    Raises:
        UsageError: the file cannot be read, or an answer in it is no list of calls.
    """
    path = folder / f"{domain}{SUFFIX}"
    return [_task(row, f"{path}, row {number}") for number, row in enumerate(read_csv(path, COLUMNS), 1)]


def apply(task: Task, world: World) -> None:
    """Do what the truth does, and nothing else."""
    for action in task.actions:
        world.call(action.tool, action.arguments)


def parse_action(call: str) -> Action:
    """Read a call such as `calendar.delete_event.func(event_id="1")`, without running anything.

    Raises:
        ValueError: the text is no call with literal arguments.
    """
    node = _expression(call)
    if not isinstance(node, ast.Call):
        raise ValueError(f"no call: {call}")
    tool = "_".join(ast.unparse(node.func).removesuffix(".func").split("."))
    named = {item.arg: _literal(item.value) for item in node.keywords if item.arg}
    positional = dict(zip(_argument_names().get(tool, ()), map(_literal, node.args), strict=False))
    return Action(tool, {**positional, **named})


def _task(row: Row, where: str) -> Task:
    try:
        actions = tuple(parse_action(call) for call in _texts(row["answer"]))
        domains = tuple(_texts(row["domains"]))
    except (ValueError, SyntaxError) as error:
        raise UsageError(f"{where} is no task: {error}") from error
    return Task(row["query"], row["base_template"], row["chosen_template"], domains, actions)


def _texts(cell: str) -> list[str]:
    values: object = ast.literal_eval(cell)
    if not isinstance(values, list):
        raise ValueError(f"no list: {cell}")
    return [str(value) for value in values]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _expression(call: str) -> ast.expr:
    try:
        return ast.parse(call, mode="eval").body
    except SyntaxError:
        # A text of several lines stands in the file with its line breaks as they are.
        return ast.parse(call.replace("\n", "\\n"), mode="eval").body


def _literal(node: ast.expr) -> Json:
    value: Json = ast.literal_eval(node)
    return value


@cache
def _argument_names() -> dict[str, tuple[str, ...]]:
    return {item.tool.name: item.tool.argument_names for item in World.empty().tools()}
