"""Several procedures that accept one request, run side by side: they must want the same at every step.

Nothing is carried out that one of them would not have done. Two workers that learnt one kind at the same time, or two
wordings of it, thus serve together instead of standing back for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from seglam_agents.records.outcome import Action, Call, Final, GiveUp
from seglam_agents.records.values import Value, same
from seglam_agents.sandboxes.base import ToolResult
from seglam_agents.serving.executor import Executor
from seglam_agents.serving.loading import Loaded


@dataclass(frozen=True, slots=True)
class Part:
    """One of the procedures, with the arguments that its own guard bound."""

    loaded: Loaded
    arguments: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What two of them wanted instead of the same."""

    reason: str


def next_together(
    parts: Sequence[Part], executor: Executor, recorded: Sequence[ToolResult] = (), *, now: datetime | None = None
) -> Action | Disagreement:
    """Return what all of them want next, that one of them gives up, or that they disagree.

    Args:
        parts: the procedures, the most proven first; at least one.
        executor: where bodies run.
        recorded: the results of the calls so far, which they all wanted.
        now: the clock of the bodies.
    """
    first: Action | None = None
    for part in parts:
        action = executor.next_action(part.loaded, part.arguments, recorded, now=now)
        if isinstance(action, GiveUp):
            return action
        if first is None:
            first = action
        elif not _alike(first, action):
            return Disagreement(f"{_said(first)} and {_said(action)}")
    assert first is not None  # noqa: S101  # for the type checker; there is at least one
    return first


def _alike(one: Action, other: Action) -> bool:
    match one, other:
        case Final(answer=left), Final(answer=right):
            return same(left, right)
        case Call(), Call():
            return (one.tool, dict(one.arguments)) == (other.tool, dict(other.arguments))
        case _:
            return False


def _said(action: Action) -> str:
    match action:
        case Final(answer=answer):
            return f"answers {answer!r}"
        case Call(tool=tool, arguments=arguments):
            return f"calls {tool}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
        case GiveUp(reason=reason):
            return f"gives up: {reason}"
