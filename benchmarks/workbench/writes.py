"""Writes that were made, against those that the truth makes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from benchmarks.workbench.truth import Task
from benchmarks.workbench.world import World
from seglam_agents.records.record import Json
from seglam_agents.records.trace import ToolStep


def writes_among(steps: Sequence[ToolStep], world: World) -> list[ToolStep]:
    """Return the steps that call a tool which writes."""
    writing = {item.tool.name for item in world.tools() if item.tool.effect == "write"}
    return [step for step in steps if step.tool in writing]


def wrong_writes(steps: Sequence[ToolStep], task: Task, world: World) -> int:
    """Count the writes among some steps that the truth does not make."""
    done = Counter(_written(step.tool, step.arguments) for step in writes_among(steps, world))
    return (done - _wanted(task)).total()


def repeated_writes(steps: Sequence[ToolStep], task: Task) -> int:
    """Count the writes of a whole run that were made more often than the truth makes them."""
    done = Counter(_written(step.tool, step.arguments) for step in steps)
    return sum(max(0, done[key] - count) for key, count in _wanted(task).items())


def _wanted(task: Task) -> Counter[str]:
    return Counter(_written(action.tool, action.arguments) for action in task.actions)


def _written(tool: str, arguments: Mapping[str, Json]) -> str:
    return json.dumps([tool, {name: str(value) for name, value in arguments.items()}], sort_keys=True)
