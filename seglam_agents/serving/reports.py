"""A report of what was called, in the place of a last message: right by construction, because it adds nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TypeVar

from seglam_agents.records.outcome import Action, Final
from seglam_agents.records.procedure import Closing, ToolUse
from seglam_agents.records.record import Json
from seglam_agents.records.trace import ToolStep

A = TypeVar("A", bound=Action)

MAX_RESULT = 500
"""Characters of a result that is told as it is."""


def report(steps: Sequence[ToolStep], tools: Iterable[ToolUse] = ()) -> str:
    """Return one line a call: the tool, its arguments and what it came to.

    Where something was changed, that is what is told, and not what was looked up on the way.

    Args:
        steps: what was carried out.
        tools: those that may be called, with what they do.
    """
    reads = {tool.name for tool in tools if tool.effect != "write"}
    changed = [step for step in steps if step.tool not in reads]
    return "\n".join(map(_line, changed or steps))


def reported(action: A, closing: Closing, steps: Sequence[ToolStep], tools: Iterable[ToolUse] = ()) -> A | Final:
    """Return the end of a body with its last message, where that is not what the body returned.

    Args:
        action: what the body came to.
        closing: who says the last message.
        steps: what was called, for a report of it.
        tools: those that may be called, with what they do.
    """
    if closing.mode not in ("code", "report") or not isinstance(action, Final) or action.answer is not None:
        return action
    return Final(closing.phrasing if closing.mode == "code" else report(steps, tools), action.seconds)


def _line(step: ToolStep) -> str:
    arguments = ", ".join(f"{name}={_text(value)}" for name, value in step.arguments.items())
    came_to = f"failed: {step.error}" if step.error is not None else _came_to(step.result)
    return f"{step.tool}({arguments}): {came_to}"


def _came_to(result: Json) -> str:
    told = result if isinstance(result, str) else _text(result)
    if len(told) <= MAX_RESULT:
        return told
    # Half a number is another number.
    return f"{len(result)} found" if isinstance(result, list) else "done"


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)
