"""Runs a plan of the cache to its end with calls of the host, blocking or async."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from seglam_agents import Call, Final, GiveUp, Plan, ReasoningCache, ToolResult, ToolStep
from seglam_agents.records.values import encode

MAX_CALLS = 64
"""Tool calls of one run of a procedure."""


def run_plan(
    cache: ReasoningCache, plan: Plan, call: Callable[[Call], ToolResult]
) -> tuple[Final | GiveUp, tuple[ToolStep, ...]]:
    """Run a plan to its end. What `call` raises is an error of the tool, unless it is no `Exception`."""
    recorded: list[ToolResult] = []
    steps: list[ToolStep] = []
    while isinstance(action := cache.next_action(plan, recorded), Call):
        if len(steps) >= MAX_CALLS:
            return GiveUp(f"more than {MAX_CALLS} tool calls"), tuple(steps)
        try:
            result = call(action)
        except Exception as error:
            result = ToolResult(error=f"{type(error).__name__}: {error}")
        _record(action, result, recorded, steps)
    return action, tuple(steps)


async def arun_plan(
    cache: ReasoningCache, plan: Plan, call: Callable[[Call], Awaitable[ToolResult]]
) -> tuple[Final | GiveUp, tuple[ToolStep, ...]]:
    """Run a plan to its end without blocking the event loop. See `run_plan`."""
    recorded: list[ToolResult] = []
    steps: list[ToolStep] = []
    while isinstance(action := await asyncio.to_thread(cache.next_action, plan, recorded), Call):
        if len(steps) >= MAX_CALLS:
            return GiveUp(f"more than {MAX_CALLS} tool calls"), tuple(steps)
        try:
            result = await call(action)
        except Exception as error:
            result = ToolResult(error=f"{type(error).__name__}: {error}")
        _record(action, result, recorded, steps)
    return action, tuple(steps)


def _record(action: Call, result: ToolResult, recorded: list[ToolResult], steps: list[ToolStep]) -> None:
    recorded.append(result)
    steps.append(
        ToolStep(tool=action.tool, arguments=dict(action.arguments), result=encode(result.value), error=result.error)
    )
