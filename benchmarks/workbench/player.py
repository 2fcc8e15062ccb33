"""The model, played by the ground truth: it looks everything up as a careful agent would, then acts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from benchmarks.workbench.mentions import Mention, blank, find_mentions
from benchmarks.workbench.reading import Person, Reads, reads, unquoted
from benchmarks.workbench.truth import Task
from benchmarks.workbench.world import World
from seglam_agents.records.outcome import Call, Final
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.trace import ModelStep, Step, ToolStep, Trace
from seglam_agents.records.usage import Usage

DONE = "Done."
LETTERS_PER_TOKEN = 4
FIND = "company_directory_find_email_address"

Move: TypeAlias = Call | Final


class Played(NamedTuple):
    """A run against live tools, and how many calls of a model it would have cost."""

    trace: Trace
    model_calls: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All calls of a task, in their order."""

    lookups: tuple[Call, ...]
    reads: Reads
    writes: tuple[Call, ...]

    @property
    def calls(self) -> list[Call]:
        """The look-ups of persons, the other reads, then the truth's own."""
        return [*self.lookups, *self.reads.calls, *self.writes]


def plan(task: Task, world: World) -> Plan:
    """Return the calls by which a task is done.

    Args:
        task: the task.
        world: the databases as they were before anything happened; nothing in them is changed.
    """
    persons = [Person(mention, _address(world, mention.text)) for mention in _mentions(task, world)]
    searches = reads(task, world, persons)
    writes = tuple(Call(action.tool, dict(action.arguments)) for action in task.actions)
    return Plan(_lookups(task, persons, [*searches.calls, *writes]), searches, writes)


def next_step(task: Task, world: World, history: Sequence[ToolStep] = ()) -> Move:
    """Return what the model does next: a pure function, so that it can go on where somebody else stopped.

    Args:
        task: the task.
        world: the databases as they were before anything happened.
        history: what was done already, by whomever; a call in it is not made again.
    """
    return _next(plan(task, world), history)


def cost(task: Task, history: Sequence[ToolStep], move: Move) -> Usage:
    """Return what the model call costs that makes a move, at four letters a token."""
    seen = task.query + "".join(step.model_dump_json() for step in history)
    said = _said(move)
    return Usage(input_tokens=len(seen) // LETTERS_PER_TOKEN, output_tokens=len(said) // LETTERS_PER_TOKEN, calls=1)


def run(task: Task, world: World, *, initial: World | None = None, history: Sequence[ToolStep] = ()) -> Played:
    """Do a task against live tools, one model call a step, until the answer.

    Args:
        task: the task.
        world: what the tools work on; it is changed.
        initial: the databases before the history; needed where there is one, else the world as it is now.
        history: what was done already. The trace begins with it.
    """
    planned = plan(task, initial or world)
    steps: list[Step] = list(history)
    done = list(history)
    calls = 0
    while True:
        move = _next(planned, done)
        steps.append(ModelStep(text=_said(move), usage=cost(task, done, move)))
        calls += 1
        if isinstance(move, Final):
            return Played(Trace(request=Request(text=task.query), steps=tuple(steps), answer=move.answer), calls)
        done.append(execute(world, move))
        steps.append(done[-1])


def execute(world: World, call: Call) -> ToolStep:
    """Make a call on a world; what a tool raises is part of the step."""
    try:
        return ToolStep(tool=call.tool, arguments=dict(call.arguments), result=world.call(call.tool, call.arguments))
    except (LookupError, TypeError, ValueError) as error:
        return ToolStep(tool=call.tool, arguments=dict(call.arguments), error=f"{type(error).__name__}: {error}")


def _next(planned: Plan, history: Sequence[ToolStep]) -> Move:
    done = Counter(_key(step.tool, step.arguments) for step in history)
    left = [call for call in planned.calls if not _taken(done, call)]
    # Who finds everything written has nothing left to look up.
    over = not left or (planned.writes and not any(call in planned.writes for call in left))
    return Final(DONE) if over else left[0]


def _taken(done: Counter[str], call: Call) -> bool:
    # Counted, because two equal writes are two. A call that raised is not tried again: it would raise again.
    key = _key(call.tool, call.arguments)
    if not done[key]:
        return False
    done[key] -= 1
    return True


def _key(tool: str, arguments: Mapping[str, Json]) -> str:
    given = {name: value for name, value in arguments.items() if value not in (None, "")}
    return json.dumps([tool, given], sort_keys=True)


def _said(move: Move) -> str:
    if isinstance(move, Final):
        return str(move.answer)
    return json.dumps({"tool": move.tool, "arguments": dict(move.arguments)}, ensure_ascii=False)


def _mentions(task: Task, world: World) -> list[Mention]:
    directory = world.domains.get("company_directory")
    if directory is None:
        return []
    vocabularies = [world.domains[domain].vocabulary() for domain in task.domains if domain in world.domains]
    # "Nadia Smith" may be a customer: a name within a longer name is no person of the company.
    request = unquoted(task)
    longer = [mention for vocabulary in vocabularies for mention in find_mentions(request, vocabulary)]
    return find_mentions(blank(request, longer), directory.vocabulary())


def _address(world: World, name: str) -> str:
    found = world.call(FIND, {"name": name})
    return str(found[0]) if isinstance(found, list) and found else ""


def _lookups(task: Task, persons: Sequence[Person], later: Sequence[Call]) -> tuple[Call, ...]:
    needed = " ".join(str(value) for call in later for value in call.arguments.values())
    names: dict[str, str] = {}
    for person in persons:
        if not task.actions or person.address in needed:
            names.setdefault(person.address, person.mention.text)
    return tuple(Call(FIND, {"name": name}) for name in names.values())
