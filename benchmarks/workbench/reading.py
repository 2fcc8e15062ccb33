"""What a careful agent reads before it acts, derived from the words of a request and the values of the databases.

The same few rules hold for every request of a domain: nothing here knows a template. The truth decides only which
values are about to be written (they are not searched for) and whether a search found what it was for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from benchmarks.workbench.mentions import Mention, find_mentions
from benchmarks.workbench.metrics import metric_reads
from benchmarks.workbench.periods import periods
from benchmarks.workbench.searching import SEARCHES, Search, Wanted
from benchmarks.workbench.truth import Task
from benchmarks.workbench.world import World
from seglam_agents.records.outcome import Call
from seglam_agents.records.record import Json

CONDITION = re.compile(r"\b(?:if|unless|whether|check|free|available)\b", re.IGNORECASE)
"""Words of a request that says to look before anything is decided."""


@dataclass(frozen=True, slots=True)
class Reads:
    """The reads of a task: those that its words ask for, and those that find what these have missed."""

    first: tuple[Call, ...] = ()
    broader: tuple[Call, ...] = ()

    @property
    def calls(self) -> list[Call]:
        """All of them, each once."""
        calls = [*self.first, *self.broader]
        return [call for position, call in enumerate(calls) if call not in calls[:position]]


@dataclass(frozen=True, slots=True)
class Person:
    """An employee whom a request names."""

    mention: Mention
    address: str


def reads(task: Task, world: World, persons: Sequence[Person]) -> Reads:
    """Return the reads of a task in all its domains.

    Args:
        task: the task.
        world: its databases as they were before anything happened.
        persons: whom the request names, in its order.
    """
    first: list[Call] = []
    broader: list[Call] = []
    for domain in task.domains:
        if domain == "analytics":
            first += metric_reads(unquoted(task), looks=not task.actions)
        elif domain in SEARCHES and domain in world.domains and _needs(domain, task):
            calls = _searches(domain, task, world, persons)
            first += calls
            broader += _broader(SEARCHES[domain], task, world, calls)
    return Reads(tuple(first), tuple(broader))


def unquoted(task: Task) -> str:
    """Return the request without the texts in quotes that the truth writes: what they name is not meant."""
    request = task.query
    for value in (str(value) for action in task.actions for value in action.arguments.values()):
        quoted = re.escape(value).replace(r"\ ", r"\s+")
        request = re.sub(rf"(?<=[\"'“‘]){quoted}(?=[.!?]?[\"'”’])", lambda match: " " * len(match[0]), request)
    return request


def ids_written(task: Task, search: Search) -> set[str]:
    """Return the ids of a domain that the truth writes to."""
    return {str(action.arguments[search.key]) for action in task.actions if search.key in action.arguments}


def ids_found(search: Search, world: World, calls: Sequence[Call]) -> set[str]:
    """Return the ids of a domain among the results of some calls."""
    results = [world.call(call.tool, call.arguments) for call in calls if call.tool == search.tool]
    rows = [row for result in results if isinstance(result, list) for row in result]
    return {str(row[search.key]) for row in rows if isinstance(row, dict)}


def _needs(domain: str, task: Task) -> bool:
    if ids_written(task, SEARCHES[domain]):
        return True
    # Without ids to find, one looks only where the request asks a question about this domain.
    asks = not task.actions or CONDITION.search(unquoted(task)) is not None
    return asks and (task.domains == (domain,) or SEARCHES[domain].topic.search(unquoted(task)) is not None)


def _searches(domain: str, task: Task, world: World, persons: Sequence[Person]) -> list[Call]:
    search = SEARCHES[domain]
    written = _values_written(task, search.key)
    request = unquoted(task)
    values: dict[str, dict[str, None]] = {}
    for mention in find_mentions(request, world.domains[domain].vocabulary()):
        if not mention.target and mention.value.lower() not in written:
            values.setdefault(mention.argument, {})[mention.value] = None
    wanted = Wanted(
        request=request,
        persons=tuple(address for address in _whose(persons) if address not in written),
        values={argument: tuple(named) for argument, named in values.items()},
        periods=tuple(periods(request, past=domain == "email")),
    )
    return [Call(search.tool, dict(arguments)) for arguments in search.arguments(wanted) if arguments]


def _whose(persons: Sequence[Person]) -> list[str]:
    # Where somebody's rows are meant ("Lena's"), others are only who gets them.
    owners = [person for person in persons if person.mention.owner]
    others = [person for person in persons if not person.mention.target]
    return list(dict.fromkeys(person.address for person in owners or others))


def _values_written(task: Task, key: str) -> set[str]:
    writes = [action.arguments for action in task.actions if key in action.arguments]
    return {str(value).lower() for arguments in writes for name, value in arguments.items() if name != key}


def _broader(search: Search, task: Task, world: World, calls: Sequence[Call]) -> list[Call]:
    missing = ids_written(task, search) - ids_found(search, world, calls)
    if not missing:
        return []
    candidates = (Call(search.tool, fewer) for call in calls for fewer in _fewer(call.arguments))
    enough = next((call for call in candidates if missing <= ids_found(search, world, [call])), None)
    return [enough] if enough else []


def _fewer(arguments: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    for count in range(len(arguments) - 1, 0, -1):
        for names in combinations(arguments, count):
            yield {name: arguments[name] for name in names}
