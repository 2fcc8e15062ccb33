"""The model as interpreter: it answers a request itself, the way it would without a cache."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from seglam_agents.compilers.answers import marker, read_answer
from seglam_agents.compilers.prompts import prompt
from seglam_agents.flow import Flow, ask
from seglam_agents.models.base import Message
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.usage import Purpose, Usage


def interpret(request: Request, steps: Sequence[ToolStep] = (), purpose: Purpose = "interpret") -> Flow[Interpreted]:
    """Ask the model itself; steps that were already taken are told, not to be repeated."""
    completion = yield from ask(interpret_messages(request, steps), purpose)
    return Interpreted(read_answer(completion.text, marker(request)), completion.usage)


@dataclass(frozen=True, slots=True)
class Interpreted:
    """What the model itself answered, and what that cost."""

    answer: Json
    usage: Usage


def interpret_messages(request: Request, steps: Sequence[ToolStep] = ()) -> list[Message]:
    """Return the prompt that asks the model itself; steps that were already taken are told, not to be repeated."""
    parts = [request.text]
    if request.context:
        parts.append(f"Context: {json.dumps(request.context, ensure_ascii=False)}")
    if steps:
        done = "\n".join(f"- {step.tool}({json.dumps(step.arguments)}) -> {_came_to(step)}" for step in steps)
        parts.append(f"These calls have been made and must not be repeated:\n{done}")
    parts.append(f"The marker: {marker(request)}")
    return [Message("system", prompt("interpret")), Message("user", "\n\n".join(parts))]


def _came_to(step: ToolStep) -> str:
    return f"error: {step.error}" if step.error else json.dumps(step.result)
