"""Tools both ways: a host's tool as one that bodies call, and what a procedure that is called as a tool comes to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

from pydantic import ValidationError

from seglam_agents.flow import Flow, work
from seglam_agents.hosting.base import HostedCache
from seglam_agents.hosting.procedures import EFFECTS, arguments_model
from seglam_agents.hosting.running import running
from seglam_agents.hosting.safety import unharmed
from seglam_agents.hosting.values import encoded, render
from seglam_agents.records.outcome import Call, Final, GiveUp, Plan, Refused
from seglam_agents.records.procedure import Procedure
from seglam_agents.records.record import Json
from seglam_agents.records.tools import Effect
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.values import Value
from seglam_agents.sandboxes.base import ToolResult

T = TypeVar("T")


def known_effects(effects: Mapping[str, Effect] | None, names: Collection[str]) -> Mapping[str, Effect]:
    """Return the declared effects of tools, by name. Those of tools that are not here are left alone.

    Raises:
        ValueError: a name is that of no tool, and nearly that of one: a typing error would make it a tool that writes.
    """
    for name in effects or {}:
        near = [] if name in names else get_close_matches(name, names, 1, 0.8)
        if near and near[0] not in (effects or {}):
            raise ValueError(f"there is no tool {name!r} whose effect could be told: is {near[0]!r} meant?")
    return effects or {}


def checked_effect(tool: str, said: object) -> Effect:
    """Return what is said of a tool as its effect; it writes where nothing is said.

    Raises:
        ValueError: it is none of pure, read and write.
    """
    for effect in EFFECTS:
        if effect == (said or "write"):
            return effect
    raise ValueError(f"the effect of tool {tool!r} is {said!r}; it must be one of {', '.join(EFFECTS)}")


def function_of(run: Callable[[dict[str, Json]], ToolResult]) -> Callable[..., Value]:
    """Return the function of a `HostTool`, which calls a tool of the host; what the tool fails with is raised."""

    def function(**arguments: Value) -> Value:
        result = run({name: encoded(value) for name, value in arguments.items()})
        if result.error is not None:
            raise RuntimeError(result.error)
        return result.value

    return function


def among(tools: Mapping[str, T], call: Callable[[T, Call], Flow[ToolResult]]) -> Callable[[Call], Flow[ToolResult]]:
    """Return what carries out a call of a procedure by the tool of its name; one that is not there is an error."""

    def called(action: Call) -> Flow[ToolResult]:
        tool = tools.get(action.tool)
        if tool is None:
            return ToolResult(error=f"tool {action.tool!r} is not available")
        return (yield from call(tool, action))

    return called


def planned(cache: HostedCache, procedure: Procedure, arguments: Mapping[str, object]) -> Plan | Refused:
    """Return the plan of a procedure that is called as a tool, or what is wrong with its arguments."""
    try:
        model = arguments_model(procedure).model_validate(dict(arguments))
    except ValidationError as error:
        return Refused(kind="arguments", reason=str(error))
    return cache.bind(procedure.id, model.model_dump(mode="json", by_alias=True, exclude_none=True))


@dataclass(frozen=True, slots=True)
class Told:
    """What a procedure that was called as a tool says to the model."""

    text: str
    answer: Json = None
    error: bool = False
    procedure: str = ""
    """The key of the version that ran."""


def used(
    cache: HostedCache,
    procedure: Procedure,
    arguments: Mapping[str, object],
    call: Callable[[Call], Flow[ToolResult]],
) -> Flow[Told]:
    """Run a procedure that is called as a tool to its end, and return what it says to the model.

    Args:
        cache: whose procedure.
        procedure: as it is stored.
        arguments: as the model gave them.
        call: carries out a call of the procedure.
    """
    plan = yield from work(lambda: planned(cache, procedure, arguments))
    if isinstance(plan, Refused):
        return Told(plan.reason, error=True)
    action, steps = yield from running(cache, plan, call)
    return (yield from work(lambda: told(cache, plan, action, steps)))


def told(cache: HostedCache, plan: Plan, action: Final | GiveUp, steps: Sequence[ToolStep]) -> Told:
    """Count what a run of a procedure came to, and say it to the model. Never raises."""
    with unharmed("an outcome could not be counted"):
        cache.finish(plan, action, steps)
    if isinstance(action, Final):
        return Told(render(action.answer), action.answer, procedure=plan.procedure)
    done = "; ".join(f"{step.tool}({dict(step.arguments)}) -> {step.error or step.result}" for step in steps)
    carried = f" These calls were carried out and must not be repeated: {done}" if done else ""
    return Told(f"{plan.procedure} gave up: {action.reason}.{carried}", error=True, procedure=plan.procedure)
