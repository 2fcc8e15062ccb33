"""A report of what was called, in the place of a last message: right by construction, because it adds nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeVar

from seglam_agents.records.outcome import Action, Final
from seglam_agents.records.procedure import ClosingMode
from seglam_agents.records.record import Json
from seglam_agents.records.trace import ToolStep

A = TypeVar("A", bound=Action)

MAX_LINE = 2_000
"""Characters of one call with its result."""


def report(steps: Sequence[ToolStep]) -> str:
    """Return one line a call: the tool, its arguments and what it came to."""
    return "\n".join(map(_line, steps))


def reported(action: A, closing: ClosingMode, steps: Sequence[ToolStep]) -> A | Final:
    """Return the end of a body with the report of what it called, where that is its last message."""
    if closing != "report" or not isinstance(action, Final) or action.answer is not None:
        return action
    return Final(report(steps), action.seconds)


def _line(step: ToolStep) -> str:
    arguments = ", ".join(f"{name}={_text(value)}" for name, value in step.arguments.items())
    came_to = f"failed: {step.error}" if step.error is not None else _text(step.result, bare=True)
    line = f"{step.tool}({arguments}): {came_to}"
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}..."


def _text(value: Json, *, bare: bool = False) -> str:
    return value if bare and isinstance(value, str) else json.dumps(value, ensure_ascii=False)
