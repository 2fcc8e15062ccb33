"""Runs a plan to its end over a function that carries its calls out, blocking or async."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from seglam_agents.flow import Flow, adrive, drive, host, work
from seglam_agents.hosting.base import HostedCache
from seglam_agents.records.errors import said
from seglam_agents.records.exchange import NotAValueError, exchanged
from seglam_agents.records.outcome import Call, Final, GiveUp, Plan
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.values import encode
from seglam_agents.sandboxes.base import ToolResult
from seglam_agents.serving.ending import ended_by
from seglam_agents.serving.reports import reported

T = TypeVar("T")

MAX_CALLS = 64
"""Tool calls of one run of a procedure."""


def run_plan(
    cache: HostedCache, plan: Plan, call: Callable[[Call], ToolResult]
) -> tuple[Final | GiveUp, tuple[ToolStep, ...]]:
    """Run a plan to its end, and return the steps as executed. See `running`."""
    return drive(running(cache, plan, lambda action: work(lambda: call(action))))


async def arun_plan(
    cache: HostedCache, plan: Plan, call: Callable[[Call], Awaitable[ToolResult]]
) -> tuple[Final | GiveUp, tuple[ToolStep, ...]]:
    """Run a plan to its end without blocking the event loop. See `running`."""

    def blocking() -> ToolResult:
        raise RuntimeError("this plan is run on an event loop")

    return await adrive(running(cache, plan, lambda action: host(blocking, lambda: call(action))))


def running(
    cache: HostedCache, plan: Plan, call: Callable[[Call], Flow[ToolResult]]
) -> Flow[tuple[Final | GiveUp, tuple[ToolStep, ...]]]:
    """Run a plan to its end, and return the steps as executed.

    What `call` raises is an error of the tool, unless it is no `Exception`. The steps are never lost: a result that
    has no JSON form ends the run with the step in its list.
    """
    recorded: list[ToolResult] = []
    steps: list[ToolStep] = []
    while isinstance(action := (yield from work(lambda: cache.next_action(plan, recorded))), Call):
        if len(steps) >= MAX_CALLS:
            return GiveUp(f"more than {MAX_CALLS} tool calls", kind="limit"), tuple(steps)
        try:
            result = yield from call(action)
        except Exception as error:
            result = ToolResult(error=f"{type(error).__name__}: {error}")
        ended = _record(action, result, recorded, steps) or ended_by(action.tool, result, plan.tools)
        if ended is not None:
            return ended, tuple(steps)
    return reported(action, plan.closing, steps), tuple(steps)


def run_blocking(coroutine: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end from blocking code, whether or not this thread has an event loop."""
    with ThreadPoolExecutor(1, thread_name_prefix="seglam-tool") as pool:
        return pool.submit(asyncio.run, coroutine).result()


def _record(action: Call, result: ToolResult, recorded: list[ToolResult], steps: list[ToolStep]) -> GiveUp | None:
    arguments = dict(action.arguments)
    try:
        value = exchanged(result.value)
    except Exception as error:
        # The call was made: whoever goes on has to know.
        why = str(error) if isinstance(error, NotAValueError) else said(error)
        lost = f"the call was carried out, and its result cannot be read: {why}"
        steps.append(ToolStep(tool=action.tool, arguments=arguments, error=lost, missing=True))
        return GiveUp(f"the result of {action.tool} cannot be read: {why}", kind="value")
    recorded.append(ToolResult(value, result.error))
    steps.append(ToolStep(tool=action.tool, arguments=arguments, result=encode(value), error=result.error))
    return None
