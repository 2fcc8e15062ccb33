"""Runs the body of a procedure: step by step (`next_action`) or to its end with live tools (`execute`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from seglam_agents.flow import cancelled
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
from seglam_agents.serving.ending import ended_by
from seglam_agents.serving.loading import Loaded
from seglam_agents.serving.ways import MARK, Walk, marked, with_marks

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
        if loaded.held is not None:
            return self._held_action(loaded, arguments, recorded, now)
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
        if loaded.held is not None:
            return self._execute_held(loaded, arguments, call, now)
        steps: list[ToolStep] = []
        stopped: list[GiveUp] = []

        def recording(asked: ToolCall) -> ToolResult:
            wanted = loaded.meant(asked)
            if problem := _problem(loaded, wanted.tool, _encoded(wanted)):
                stopped.append(GiveUp(problem, kind="arguments"))
            elif cancelled():
                stopped.append(GiveUp("the request was cancelled", kind="host"))
            if stopped:
                # The body may catch this; it is not asked any more, and nothing else of it is carried out.
                return ToolResult(error=stopped[0].reason)
            result = call(wanted) if call else ToolResult(error=f"tool {wanted.tool!r} is not available")
            steps.append(_step(wanted, result))
            if ended := ended_by(wanted.tool, result, loaded.procedure.tools):
                stopped.append(ended)
            return result

        try:
            execution = self.sandbox.run(
                loaded.program,
                loaded.call_arguments(arguments),
                call=recording if loaded.program.tools else None,
                limits=self.limits,
                now=now,
            )
            action = replace(stopped[0], seconds=execution.seconds) if stopped else _action(execution, loaded)
            return action, tuple(steps)
        except Exception as error:
            if not steps:
                raise
            # From the first call on, nothing may hide from the model what was done.
            tell(logger, "a body broke after it had called tools; the model takes over", error)
            return GiveUp(f"the cache is broken: {said(error)}", kind="broken"), tuple(steps)

    def walk(
        self,
        loaded: Loaded,
        arguments: Mapping[str, Value],
        answer: Callable[[ToolCall], ToolResult | None],
        now: datetime | None = None,
    ) -> tuple[Execution, Walk]:
        """Run the body with a mark in each of its branches, and return what came of it and which way it went.

        Args:
            loaded: whose body.
            arguments: what the guard bound.
            answer: returns the result of a call, or None where the run is to end as `Paused` there.
            now: what the body's clock says.
        """
        walk, wanted = Walk(arguments, now), list[ToolCall]()

        def answering(asked: ToolCall) -> ToolResult:
            if asked.tool == MARK:
                # What follows on a call that was not made says nothing.
                walk.branches.update(int(str(number)) for number in asked.arguments.values() if not wanted)
                return ToolResult()
            call = loaded.meant(asked)
            result = None if wanted else answer(call)
            if result is None:
                wanted.append(call)
                return ToolResult(error="it is not carried out yet")
            walk.calls.append((call, result))
            return result

        program = marked(loaded.program, loaded.procedure.provenance.compiler)
        execution = self.sandbox.run(
            program,
            loaded.call_arguments(arguments),
            call=answering if program.tools else None,
            limits=with_marks(self.limits),
            now=now,
        )
        return (Paused(wanted[0]) if wanted else execution), walk

    def _held_action(
        self, loaded: Loaded, arguments: Mapping[str, Value], recorded: Sequence[ToolResult], now: datetime | None
    ) -> Action:
        """Do what the runs that brought it back have shown, and give up beyond."""
        left = iter(recorded)
        execution, walk = self.walk(loaded, arguments, lambda _: next(left, None), now)
        if isinstance(execution, Paused):
            # `meant` already: what is wanted goes by the tool's own name.
            wanted = execution.call
            action = Call(wanted.tool, {name: encode(value) for name, value in wanted.arguments.items()})
            problem = _problem(loaded, action.tool, action.arguments) or loaded.strays(walk, wanted=wanted)
            return GiveUp(problem, kind="arguments") if problem else action
        action = _action(execution, loaded)
        problem = loaded.strays(walk, answer=action.answer) if isinstance(action, Final) else None
        return GiveUp(problem, kind="arguments") if problem else action

    def _execute_held(
        self,
        loaded: Loaded,
        arguments: Mapping[str, Value],
        call: Callable[[ToolCall], ToolResult] | None,
        now: datetime | None,
    ) -> tuple[Action, tuple[ToolStep, ...]]:
        steps, results = list[ToolStep](), list[ToolResult]()
        while True:
            try:
                action = self.next_action(loaded, arguments, results, now=now)
            except Exception as error:
                if not steps:
                    raise
                logger.exception("a body broke after it had called tools; the model takes over")
                return GiveUp(f"the cache is broken: {said(error)}", kind="broken"), tuple(steps)
            if not isinstance(action, Call) or call is None or len(steps) >= self.limits.tool_calls:
                return action, tuple(steps)
            step, result = self.carry_out(action, call)
            steps.append(step)
            results.append(result)
            if ended := ended_by(action.tool, result, loaded.procedure.tools):
                return ended, tuple(steps)


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
