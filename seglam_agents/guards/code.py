"""`CodeGuard`: a guard that no template can express, as `match(request) -> dict | None` in the sandbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seglam_agents.guards.guard import Accepted, Declined, Judgement
from seglam_agents.guards.normal import NormalText
from seglam_agents.records.procedure import Parameter
from seglam_agents.records.record import Json
from seglam_agents.records.values import Value
from seglam_agents.sandboxes.base import Failed, Limits, Paused, Program, Returned, Sandbox


class CodeGuard:
    """Asks untrusted code. It cannot be indexed, so it is asked only where no template accepts.

    The code sees the original text of the request. A context is declined unless every key of it is declared; its
    values are added to the arguments.
    """

    def __init__(self, code: str, sandbox: Sandbox, *, context: Iterable[Parameter] = (), limits: Limits) -> None:
        self._program = Program(code, entry="match")
        self._sandbox = sandbox
        self._limits = limits
        self._context = frozenset(parameter.name for parameter in context)

    def match(self, text: NormalText, context: Mapping[str, Json] | None = None) -> Judgement:
        """Run the code on a request."""
        if (context or {}).keys() != self._context:
            return Declined(
                "context", f"context has {sorted(context or {})}, the guard expects {sorted(self._context)}"
            )
        execution = self._sandbox.run(self._program, {"request": text.original}, limits=self._limits)
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

    def explain(self, text: NormalText, context: Mapping[str, Json] | None = None) -> Judgement:
        """The same as `match`: code says no more than yes or no."""
        return self.match(text, context)


def _accepted(arguments: Mapping[str, Value], context: Mapping[str, Json]) -> Judgement:
    return Accepted({**arguments, **context})  # pyright: ignore[reportArgumentType]  # JSON is a part of Value
