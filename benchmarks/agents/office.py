"""`Office`: the databases that an agent works on, with its tools as LangChain has them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias, cast

from langchain_core.tools import BaseTool, StructuredTool, ToolException

from benchmarks.errors import UsageError
from benchmarks.workbench.player import execute
from benchmarks.workbench.truth import Task
from benchmarks.workbench.world import DOMAINS, World
from seglam_agents.cache import HostTool
from seglam_agents.records.outcome import Call
from seglam_agents.records.record import Json
from seglam_agents.records.trace import ToolStep

Answered: TypeAlias = tuple[str, Json]


class Office:
    """One set of tools for all requests; what they work on is replaced before each.

    Args:
        initial: the databases as every request finds them.
    """

    def __init__(self, initial: World) -> None:
        self.world = initial
        self.done: list[ToolStep] = []
        """What was carried out since `begin`, by whomever."""
        self._initial = initial
        self.tools: list[BaseTool] = [self._tool(item) for item in initial.tools()]

    def begin(self) -> None:
        """Put a fresh copy of the databases in place."""
        self.world = self._initial.copy()
        self.done = []

    def _tool(self, item: HostTool) -> BaseTool:
        def function(**arguments: Json) -> Answered:
            return self._call(item.tool.name, arguments)

        return StructuredTool(
            name=item.tool.name,
            description=item.tool.description,
            args_schema=cast("dict[str, object]", item.tool.parameters),
            func=function,
            response_format="content_and_artifact",
            handle_tool_error=True,
            metadata={"effect": item.tool.effect},
        )

    def _call(self, tool: str, arguments: dict[str, Json]) -> Answered:
        step = execute(self.world, Call(tool, arguments))
        self.done.append(step)
        if step.error is not None:
            raise ToolException(step.error)
        # The value goes along as the artifact: as content, a list of texts would become one text.
        return json.dumps(step.result, ensure_ascii=False), step.result


def require_databases(folder: Path, world: World, domain: str, tasks: Sequence[Task]) -> None:
    """Check that the tasks of a domain can be done on the databases that are there.

    Raises:
        UsageError: a database is missing.
    """
    called = {action.tool for task in tasks for action in task.actions}
    for known in DOMAINS:
        used = any(tool.startswith(f"{known.NAME}_") for tool in called) or any(known.NAME in t.domains for t in tasks)
        if used and known.NAME not in world.domains:
            raise UsageError(f"the tasks of {domain} need {folder / known.FILE}, which is missing")
    known_tools = {item.tool.name for item in World.empty().tools()}
    if strange := sorted(called - known_tools):
        raise UsageError(f"the tasks of {domain} call {strange[0]!r}, which no database here has")
