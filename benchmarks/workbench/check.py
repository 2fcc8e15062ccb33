"""Plays every task of a folder, and counts what the player found and whether it ended where the truth ends.

`python -m benchmarks.workbench.check <folder>`
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import errors
from benchmarks.errors import UsageError
from benchmarks.workbench.player import Played, plan, run
from benchmarks.workbench.reading import ids_found, ids_written
from benchmarks.workbench.searching import SEARCHES
from benchmarks.workbench.truth import Task, apply, domains_with_tasks, read_tasks
from benchmarks.workbench.world import World, same_state
from seglam_agents.records.outcome import Call


@dataclass(slots=True)
class Tally:
    """What came of the tasks of one file."""

    tasks: int = 0
    same: int = 0
    with_ids: int = 0
    """Tasks that write to ids, which have to be found."""
    found_first: int = 0
    found: int = 0
    model_calls: int = 0
    odd: list[str] = field(default_factory=list[str])
    """Requests whose ids were not all found at the first attempt, or whose state differs."""

    def add(self, task: Task, world: World, played: Played, same: bool) -> None:
        """Count one task; the world is the one before anything happened."""
        planned = plan(task, world).reads
        written = {name for name, search in SEARCHES.items() if ids_written(task, search)}
        first = all(finds(name, task, world, planned.first) for name in written)
        self.tasks += 1
        self.same += same
        self.model_calls += played.model_calls
        self.with_ids += bool(written)
        self.found_first += bool(written) and first
        self.found += bool(written) and all(finds(name, task, world, planned.calls) for name in written)
        if not first or not same:
            self.odd.append(task.query)


def check(folder: Path, domain: str) -> Tally:
    """Play every task of a file on a fresh world.

    Raises:
        UsageError: a file cannot be read.
    """
    world, tally = World.load(folder), Tally()
    for task in read_tasks(folder, domain):
        played, expected = world.copy(), world.copy()
        apply(task, expected)
        tally.add(task, world, run(task, played), same_state(played, expected))
    return tally


def finds(domain: str, task: Task, world: World, calls: Sequence[Call]) -> bool:
    """Say whether the results of some calls hold all ids of a domain that the truth writes to."""
    return ids_written(task, SEARCHES[domain]) <= ids_found(SEARCHES[domain], world, calls)


def main(arguments: Sequence[str]) -> int:
    """Print a line a file."""
    if len(arguments) != 1:
        raise UsageError("usage: python -m benchmarks.workbench.check <folder with the files of WorkBench>")
    folder = Path(arguments[0])
    for domain in domains_with_tasks(folder):
        tally = check(folder, domain)
        print(
            f"{domain}: {tally.tasks} tasks, {tally.same} end as the truth, {tally.model_calls} model calls; ids found "
            f"at once {tally.found_first}, at last {tally.found}, of {tally.with_ids}"
        )
        for query in tally.odd:
            print(f"    {query}")
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(lambda: main(sys.argv[1:])))
