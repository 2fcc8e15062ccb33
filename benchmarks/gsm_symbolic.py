"""GSM-Symbolic: word problems in families, each one text with other names and numbers.

A family is a kind. Two sorts of near misses are made: the problem from which a family was made, with its own answer;
and problems of the family with one sentence more, which makes them another problem whose answer nobody wrote down.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from random import Random

from pydantic import ConfigDict, Field, ValidationError

from benchmarks.errors import UsageError
from benchmarks.rows import Row
from seglam_agents.records.record import Record

CHANGED = 3
"""Problems per family that get a sentence more."""
CLAUSES = (
    "Then 3 of them are lost.",
    "One fifth of everything turns out to be unusable.",
    "The next day, all of the amounts double.",
    "Later, 2 more are added to each of them.",
    "However, half of this had already been used up before.",
    "In addition, a fee of 7 percent applies to the total.",
    "Afterwards, 4 more of the same kind arrive.",
    "Only two thirds of these count.",
    "A friend then takes a quarter of the result.",
    "All of this happens 3 times in a row.",
    "Before that, everything was reduced by 10 percent.",
    "Of these, 5 are given back in the end.",
)
"""Sentences that make another problem of a problem."""


class Problem(Record):
    """A line of the public set."""

    model_config = ConfigDict(extra="ignore")

    family: int = Field(alias="id")
    instance: int
    question: str
    answer: str
    original_question: str
    original_answer: str

    @property
    def kind(self) -> str:
        """How the rows of the family name their kind."""
        return f"family {self.family:02}"


def read_problems(data: Path, families: Collection[int] | None = None, instances: int | None = None) -> list[Problem]:
    """Read the files of the set, in the order of families and instances.

    Args:
        data: the folder of the public data sets.
        families: the families to keep; None keeps all.
        instances: how many instances of each family to keep, the first ones; None keeps all.

    Raises:
        UsageError: there is no such file, a line of it is no problem, or nothing is left.
    """
    files = sorted((data / "gsm_symbolic").glob("*.jsonl"))
    if not files:
        raise UsageError(f"there is no GSM-Symbolic file at {data / 'gsm_symbolic'}; set --data or $SEGLAM_DATA")
    found = [problem for file in files for problem in _read(file) if families is None or problem.family in families]
    kept = [problem for group in _by_family(found).values() for problem in group[:instances]]
    if not kept:
        raise UsageError(f"no problem of {data / 'gsm_symbolic'} is in these families")
    return kept


def requests(problems: Iterable[Problem]) -> list[Row]:
    """Return the problems as requests."""
    return [Row(request=p.question, kind=p.kind, answer=truth(p.answer)) for p in problems]


def near_misses(problems: Iterable[Problem], *, seed: int = 0) -> list[Row]:
    """Return the original of each family, and some of its problems with a sentence more."""
    rows: list[Row] = []
    for family, group in _by_family(problems).items():
        first, rng = group[0], Random(f"{seed} {family}")
        rows.append(Row(request=first.original_question, kind=first.kind, answer=truth(first.original_answer)))
        chosen = rng.sample(group, min(CHANGED, len(group)))
        clauses = rng.sample(CLAUSES, len(chosen))
        rows += [
            Row(request=with_clause(problem.question, clause), kind=problem.kind)
            for problem, clause in zip(chosen, clauses, strict=True)
        ]
    return rows


def truth(answer: str) -> int | float | str:
    """Return what stands behind `####`: a number where it is one."""
    text = answer.rpartition("####")[2].strip()
    digits = text.replace(",", "").removeprefix("$")
    if re.fullmatch(r"-?\d+", digits):
        return int(digits)
    return float(digits) if re.fullmatch(r"-?\d*\.\d+", digits) else text


def with_clause(question: str, clause: str) -> str:
    """Return a question with a sentence inserted before its last one."""
    sentences = re.split(r"(?<=[.!?])\s+", question.strip())
    return " ".join([*sentences[:-1], clause, sentences[-1]])


def _read(file: Path) -> Iterator[Problem]:
    for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
        if line.strip():
            try:
                yield Problem.model_validate(json.loads(line))
            except (ValueError, ValidationError) as error:
                raise UsageError(f"{file}, line {number}: no problem of GSM-Symbolic: {error}") from error


def _by_family(problems: Iterable[Problem]) -> dict[int, Sequence[Problem]]:
    groups: defaultdict[int, list[Problem]] = defaultdict(list)
    for problem in problems:
        groups[problem.family].append(problem)
    return {family: sorted(groups[family], key=lambda problem: problem.instance) for family in sorted(groups)}
