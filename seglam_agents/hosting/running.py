"""Runs a plan to its end over a function that carries its calls out, blocking or async."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from seglam_agents.hosting.base import HostedCache
from seglam_agents.records.exchange import NotAValueError, exchanged
from seglam_agents.records.outcome import Call, Final, GiveUp, Plan
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.values import encode
from seglam_agents.sandboxes.base import ToolResult

MAX_CALLS = 64
"""Tool calls of one run of a procedure."""


def run_plan(
    cache: HostedCache, plan: Plan, call: Callable[[Call], ToolResult]
) -> tuple[Final | GiveUp, tuple[ToolStep, ...]]:
    """Run a plan to its end, and return the steps as executed.

    What `call` raises is an error of the tool, unless it is no `Exception`. The steps are never lost: a result that
    has no JSON form ends the run with the step in its list.
    """
    recorded: list[ToolResult] = []
    steps: list[ToolStep] = []
    while isinstance(action := cache.next_action(plan, recorded), Call):
        if len(steps) >= MAX_CALLS:
            return _too_many(), tuple(steps)
        try:
            result = call(action)
        except Exception as error:
            result = _failed(error)
        if (unreadable := _record(action, result, recorded, steps)) is not None:
            return unreadable, tuple(steps)
    return action, tuple(steps)


async def arun_plan(
    cache: HostedCache, plan: Plan, call: Callable[[Call], Awaitable[ToolResult]]
) -> tuple[Final | GiveUp, tuple[ToolStep, ...]]:
    """Run a plan to its end without blocking the event loop. See `run_plan`."""
    recorded: list[ToolResult] = []
    steps: list[ToolStep] = []
    while isinstance(action := await asyncio.to_thread(cache.next_action, plan, recorded), Call):
        if len(steps) >= MAX_CALLS:
            return _too_many(), tuple(steps)
        try:
            result = await call(action)
        except Exception as error:
            result = _failed(error)
        if (unreadable := _record(action, result, recorded, steps)) is not None:
            return unreadable, tuple(steps)
    return action, tuple(steps)


def _record(action: Call, result: ToolResult, recorded: list[ToolResult], steps: list[ToolStep]) -> GiveUp | None:
    arguments = dict(action.arguments)
    try:
        value = exchanged(result.value)
    except NotAValueError as error:
        # The call was made: whoever goes on has to know.
        lost = f"the call was carried out, and its result cannot be read: {error}"
        steps.append(ToolStep(tool=action.tool, arguments=arguments, error=lost, missing=True))
        return GiveUp(f"the result of {action.tool} cannot be read: {error}", kind="value")
    recorded.append(ToolResult(value, result.error))
    steps.append(ToolStep(tool=action.tool, arguments=arguments, result=encode(value), error=result.error))
    return None


def _failed(error: Exception) -> ToolResult:
    return ToolResult(error=f"{type(error).__name__}: {error}")


def _too_many() -> GiveUp:
    return GiveUp(f"more than {MAX_CALLS} tool calls", kind="limit")
