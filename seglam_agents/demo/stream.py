"""The requests of the demo, and when an answer to one is right."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time
from pathlib import Path

from seglam_agents.records.record import Json
from seglam_agents.records.values import Value, decode, same

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Task:
    """A request with its kind and its right answer; the cache sees the request alone."""

    request: str
    kind: str
    answer: Json


def stream(seed: int = 0, limit: int | None = None) -> list[Task]:
    """Return the requests in the order of a seed, or the first few of them.

    Seed 0 is the order of the file, which is mixed already: the recording holds the answers for that one.
    """
    tasks = _read(FOLDER / "requests.jsonl")
    if seed:
        random.Random(seed).shuffle(tasks)  # noqa: S311  # an order, no secret
    return tasks[:limit]


def near_misses() -> list[Task]:
    """Return requests that read almost like those of the stream, but ask for something else."""
    return _read(FOLDER / "near_misses.jsonl")


def agrees(answer: Json, known: Json) -> bool:
    """Tell whether an answer is the known one; a sentence counts when the one number in it is right."""
    value = _spelled(decode(answer))
    if same(value, known):
        return True
    numbers = re.findall(r"-?\d[\d,]*(?:\.\d+)?", value) if isinstance(value, str) else []
    return not isinstance(known, str) and len(numbers) == 1 and same(numbers[0], known)


def _spelled(value: Value) -> Value:
    """Spell lists and times as the known answers do."""
    if isinstance(value, time):
        return value.strftime("%H:%M")
    if isinstance(value, Sequence) and not isinstance(value, (str, tuple)):
        return ", ".join(str(item) for item in value)
    return value


def _read(path: Path) -> list[Task]:
    return [Task(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
