"""`CodeGuard`: a guard that no template can express, as `match(request) -> dict | None` in the sandbox."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from seglam_agents.guards.guard import Accepted, Declined, Judgement
from seglam_agents.guards.locales import Notation
from seglam_agents.guards.narrow import Narrow, WriteRange
from seglam_agents.guards.normal import NormalText, asks, normalise
from seglam_agents.records.procedure import Parameter
from seglam_agents.records.record import Json
from seglam_agents.records.values import Value
from seglam_agents.sandboxes.base import Failed, Limits, Paused, Program, Returned, Sandbox

MAX_SECONDS: Final = 0.1
"""A guard's time, whatever a body's is: it is asked for every request that holds its words."""
MAX_STRIKES: Final = 3


class CodeGuard:
    """Asks untrusted code. It cannot be indexed, so it is asked only where no template accepts.

    The code sees the original text of the request. A context is declined unless every key of it is declared; its
    values are added to the arguments. Code that is stopped by a limit three times in a row is asked no more by this
    process. One that guards a write declines questions and what is unlike the known requests, as templates do.
    """

    def __init__(
        self,
        code: str,
        sandbox: Sandbox,
        *,
        context: Iterable[Parameter] = (),
        home: str = "",
        limits: Limits,
        notation: Notation | None = None,
        seen: Iterable[tuple[str, Mapping[str, Json]]] = (),
        command: bool = False,
        within: WriteRange | None = None,
    ) -> None:
        self._program = Program(code, entry="match", sandbox=home)
        self._sandbox = sandbox
        self._notation = notation
        self._limits = replace(limits, seconds=min(limits.seconds, MAX_SECONDS))
        self._strikes = 0
        self._context = frozenset(parameter.name for parameter in context)
        self._seen = tuple(seen)
        self._command = command
        self._narrow = Narrow(self._known, len(self._seen), within) if within else None

    def match(self, text: NormalText, context: Mapping[str, Json] | None = None) -> Judgement:
        """Run the code on a request."""
        if self._command and asks(text.original):
            return Declined("question", "it asks, and this procedure changes something")
        judgement = self._run(text, context)
        problem = self._narrow and isinstance(judgement, Accepted) and self._narrow.problem(judgement.arguments)
        return Declined("unlike", problem) if problem else judgement

    def explain(self, text: NormalText, context: Mapping[str, Json] | None = None) -> Judgement:
        """The same as `match`: code says no more than yes or no."""
        return self.match(text, context)

    def _known(self) -> Iterator[Mapping[str, Value]]:
        judgements = (self._run(normalise(text), context) for text, context in self._seen)
        return (judgement.arguments for judgement in judgements if isinstance(judgement, Accepted))

    def _run(self, text: NormalText, context: Mapping[str, Json] | None) -> Judgement:
        if (context or {}).keys() != self._context:
            return Declined(
                "context", f"context has {sorted(context or {})}, the guard expects {sorted(self._context)}"
            )
        if self._strikes >= MAX_STRIKES:
            return Declined("code", f"`match` was stopped {self._strikes} times in a row, and is not asked any more")
        read = self._notation.reads(text) if self._notation else text
        # Where a number or date is written otherwise than slots read it, the code sees what they read.
        asked = text.original if read is text else read.text
        execution = self._sandbox.run(self._program, {"request": asked}, limits=self._limits)
        stopped = isinstance(execution, Failed) and execution.kind in ("limit", "crash")
        # Requests of other kinds wait for it: a guard may cost them its limit a few times, and not for ever.
        self._strikes = self._strikes + 1 if stopped else 0
        match execution:
            case Returned(value=None):
                return Declined("code", "`match` returned None")
            case Returned(value=Mapping() as arguments):
                return _accepted(arguments, context or {})
            case Returned(value=value):
                return Declined("code", f"`match` returned a {type(value).__name__}, not a dict")
            case Failed(kind=kind, reason=reason):
                return Declined("code", f"`match` failed ({kind}): {reason}")
            case Paused():
                return Declined("code", "`match` called a tool")


def _accepted(arguments: Mapping[str, Value], context: Mapping[str, Json]) -> Judgement:
    return Accepted({**arguments, **context})  # pyright: ignore[reportArgumentType]  # JSON is a part of Value
