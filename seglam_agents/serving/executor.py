"""Runs the body of a procedure: step by step (`next_action`) or to its end with live tools (`execute`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from seglam_agents.records.errors import said
from seglam_agents.records.exchange import encoded_or_described
from seglam_agents.records.outcome import Action, Call, Final, GiveUp
from seglam_agents.records.record import Json
from seglam_agents.records.telling import tell
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.values import Value, decode, encode, endless_number, tidy
from seglam_agents.sandboxes.base import (
    Execution,
    Failed,
    Limits,
    Paused,
    Returned,
    Sandbox,
    ToolCall,
    ToolResult,
)
from seglam_agents.serving.arguments import unfit
from seglam_agents.serving.loading import Loaded

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Executor:
    """Runs bodies in a sandbox. Deterministic given the tools' results, so any worker can resume any other's run."""

    sandbox: Sandbox
    limits: Limits = Limits()

    def next_action(
        self,
        loaded: Loaded,
        arguments: Mapping[str, Value],
        recorded: Sequence[ToolResult] = (),
        *,
        now: datetime | None = None,
    ) -> Action:
        """Run the body over the recorded results, up to the first call that has none."""
        if loaded.missing:
            return GiveUp(loaded.missing, kind="unavailable")
        execution = self.sandbox.run(
            loaded.program, loaded.call_arguments(arguments), recorded=recorded, limits=self.limits, now=now
        )
        action = _action(execution, loaded)
        problem = _problem(loaded, action.tool, action.arguments) if isinstance(action, Call) else None
        return GiveUp(problem, kind="arguments") if problem else action

    def carry_out(self, wanted: Call, call: Callable[[ToolCall], ToolResult]) -> tuple[ToolStep, ToolResult]:
        """Carry one call out with a live tool, and return the step with its result."""
        asked = ToolCall(wanted.tool, {name: decode(value) for name, value in wanted.arguments.items()})
        result = call(asked)
        return _step(asked, result), result

    def execute(
        self,
        loaded: Loaded,
        arguments: Mapping[str, Value],
        call: Callable[[ToolCall], ToolResult] | None = None,
        *,
        now: datetime | None = None,
    ) -> tuple[Action, tuple[ToolStep, ...]]:
        """Run the body to its end with live tools, and return the steps as executed."""
        if loaded.missing:
            return GiveUp(loaded.missing, kind="unavailable"), ()
        steps: list[ToolStep] = []
        problems: list[str] = []

        def recording(asked: ToolCall) -> ToolResult:
            wanted = loaded.meant(asked)
            problem = _problem(loaded, wanted.tool, _encoded(wanted))
            if problem or problems:
                # The body may catch this; it is not asked any more, and nothing else of it is carried out.
                problems.append(problem or problems[0])
                return ToolResult(error=problems[0])
            result = call(wanted) if call else ToolResult(error=f"tool {wanted.tool!r} is not available")
            steps.append(_step(wanted, result))
            return result

        try:
            execution = self.sandbox.run(
                loaded.program,
                loaded.call_arguments(arguments),
                call=recording if loaded.program.tools else None,
                limits=self.limits,
                now=now,
            )
            action = GiveUp(problems[0], execution.seconds, "arguments") if problems else _action(execution, loaded)
            return action, tuple(steps)
        except Exception as error:
            if not steps:
                raise
            # From the first call on, nothing may hide from the model what was done.
            tell(logger, "a body broke after it had called tools; the model takes over", error)
            return GiveUp(f"the cache is broken: {said(error)}", kind="broken"), tuple(steps)


def _action(execution: Execution, loaded: Loaded) -> Action:
    match execution:
        case Returned(value=None, seconds=seconds) if loaded.procedure.closing.apart:
            return Final(None, seconds)  # What is said is not the body's business.
        case Returned(value=None, seconds=seconds):
            return GiveUp("the procedure returned nothing", seconds, "value")
        case Returned(value=value, seconds=seconds):
            return _final(value, seconds)
        case Paused(call=asked):
            call = loaded.meant(asked)
            return Call(call.tool, {name: encode(value) for name, value in call.arguments.items()})
        case Failed(kind=kind, reason=reason, seconds=seconds):
            return GiveUp(f"{kind}: {reason}", seconds, kind)
        case _:  # pyright: ignore[reportUnnecessaryComparison]  # anybody may write a sandbox
            return GiveUp("the sandbox gave back no execution", kind="broken")


def _final(value: Value, seconds: float) -> Action:
    endless = endless_number(value)
    if endless is not None:
        return GiveUp(f"value: the answer holds {endless}, which is not a number", seconds, "value")
    return Final(encode(tidy(value)), seconds)


def _problem(loaded: Loaded, name: str, arguments: Mapping[str, Json]) -> str | None:
    """Return why a call is not made."""
    called = next((use.called or use.name for use in loaded.procedure.tools if use.name == name), name)
    tool = next((tool for tool in loaded.program.tools if tool.name == called), None)
    return (unfit(tool, arguments) if tool is not None else None) or loaded.beyond(name, arguments)


def _encoded(wanted: ToolCall) -> dict[str, Json]:
    return {name: encoded_or_described(value) for name, value in wanted.arguments.items()}


def _step(wanted: ToolCall, result: ToolResult) -> ToolStep:
    return ToolStep(
        tool=wanted.tool,
        arguments=_encoded(wanted),
        result=encoded_or_described(result.value),
        error=result.error,
    )
