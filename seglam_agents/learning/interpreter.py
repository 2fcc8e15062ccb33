"""The model as interpreter: it answers a request itself, the way it would without a cache."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from seglam_agents.compilers.prompts import prompt
from seglam_agents.flow import Flow, ask
from seglam_agents.models.base import Message
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.usage import Purpose, Usage
from seglam_agents.records.values import as_number, same, tidy


def interpret(request: Request, steps: Sequence[ToolStep] = (), purpose: Purpose = "interpret") -> Flow[Interpreted]:
    """Ask the model itself; steps that were already taken are told, not to be repeated."""
    completion = yield from ask(interpret_messages(request, steps), purpose)
    return Interpreted(read_answer(completion.text), completion.usage)


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
    return [Message("system", prompt("interpret")), Message("user", "\n\n".join(parts))]


def _came_to(step: ToolStep) -> str:
    return f"error: {step.error}" if step.error else json.dumps(step.result)


def read_answer(text: str) -> Json:
    """Return the answer of an interpreter's reply: a number where it is one, else text."""
    marked = re.findall(r"^\s*\**ANSWER:\**[ \t]*(.+?)\s*$", text, re.MULTILINE)
    lines = [line for line in text.strip().splitlines() if line.strip()]
    last = marked[-1] if marked else (lines[-1].strip() if lines else "")
    last = last.strip("*` ")
    number = as_number(last)
    return tidy(number) if number is not None else last  # pyright: ignore[reportReturnType]  # a tidy number is JSON


def agree(computed: Json, said: Json) -> bool:
    """Tell whether a computed answer and one that a model gave in its own words are the same: 17 and "17 dollars"."""
    if same(computed, said):
        return True
    number = as_number(computed)
    if number is None or not isinstance(said, str):
        return False
    found = [as_number(text) for text in re.findall(r"-?[0-9][0-9,]*(?:\.[0-9]+)?", said)]
    return len(found) == 1 and same(number, found[0])
