"""What the demo saw: each step, each near miss, and their sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal, TypeAlias

from seglam_agents.records.outcome import Hit
from seglam_agents.records.procedure import Procedure
from seglam_agents.records.record import Json

BLOCK = 10
"""Requests per point of the curves."""

Event: TypeAlias = Literal["hit", "wrote", "widened", "model", "unanswered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request of the stream and what came of it."""

    number: int
    request: str
    kind: str
    known: Json
    answer: Json
    right: bool
    event: Event
    source: str = ""
    """`id@version` of the procedure that answered or was written."""
    model_calls: int = 0
    tokens: int = 0
    seconds: float = 0.0

    @property
    def happened(self) -> str:
        """What happened, for people."""
        match self.event:
            case "hit":
                return f"0 model calls, {self.seconds * 1000:.1f} ms, from {self.source}"
            case "wrote":
                return f"model wrote {self.source}{self._calls}"
            case "widened":
                return f"model widened {self.source}{self._calls}"
            case "model":
                return f"model answered{self._calls}"
            case "unanswered":
                return f"no answer{self._calls}"

    @property
    def _calls(self) -> str:
        return f" in {self.model_calls} calls" if self.model_calls > 1 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """A request that reads almost like a known kind, looked up without a model."""

    request: str
    known: Json
    verdict: Literal["declined", "hit right", "hit wrong"]
    answer: Json = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Traced:
    """One answer with everything it comes from."""

    request: str
    procedure: Procedure
    hit: Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The costs of some consecutive requests."""

    first: int
    last: int
    model_calls: int
    tokens_per_request: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the demo saw."""

    steps: list[Step] = field(default_factory=list[Step])
    near_misses: list[NearMiss] = field(default_factory=list[NearMiss])
    procedures: list[Procedure] = field(default_factory=list[Procedure])
    traced: Traced | None = None

    def sums(self) -> dict[str, Json]:
        """Return the sums, by the names that the JSON form uses."""
        verdicts = [miss.verdict for miss in self.near_misses]
        return {
            "requests": len(self.steps),
            "hits": sum(step.event == "hit" for step in self.steps),
            "right": sum(step.right for step in self.steps),
            "wrong": sum(not step.right for step in self.steps),
            "wrong_hits": sum(step.event == "hit" and not step.right for step in self.steps),
            "near_misses_declined": verdicts.count("declined"),
            "near_misses_hit_right": verdicts.count("hit right"),
            "near_misses_hit_wrong": verdicts.count("hit wrong"),
            "model_calls": sum(step.model_calls for step in self.steps),
            "tokens": sum(step.tokens for step in self.steps),
            "hit_p50_ms": self.hit_p50_ms(),
        }

    def hit_p50_ms(self) -> float | None:
        """Return the median duration of a hit in milliseconds."""
        durations = [step.seconds for step in self.steps if step.event == "hit"]
        return round(median(durations) * 1000, 3) if durations else None

    def blocks(self) -> list[Block]:
        """Return what every ten requests cost."""
        parts = [self.steps[start : start + BLOCK] for start in range(0, len(self.steps), BLOCK)]
        return [_block(part) for part in parts]

    def documents(self) -> Mapping[str, object]:
        """Return the whole report for machines."""
        return {
            "summary": self.sums(),
            "procedures": [{"id": p.id, "version": p.version, "name": p.name} for p in self.procedures],
            "steps": self.steps,
            "near_misses": self.near_misses,
            "blocks": self.blocks(),
            "traced": self.traced,
        }


def _block(steps: Sequence[Step]) -> Block:
    return Block(
        first=steps[0].number,
        last=steps[-1].number,
        model_calls=sum(step.model_calls for step in steps),
        tokens_per_request=sum(step.tokens for step in steps) / len(steps),
    )
