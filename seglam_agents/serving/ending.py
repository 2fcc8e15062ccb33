"""`ended_by`: where a body may not go on after a call, whatever it catches."""

from __future__ import annotations

from collections.abc import Iterable

from seglam_agents.records.outcome import GiveUp
from seglam_agents.records.procedure import ToolUse
from seglam_agents.sandboxes.base import ToolResult


def ended_by(tool: str, result: ToolResult, uses: Iterable[ToolUse]) -> GiveUp | None:
    """Return that a run ends with the result of a call, and why; None where its body may go on.

    A write that failed may have been carried out, unless it is idempotent: code that tries it again, or another way,
    might do it twice, and code that says what came of it does not know. The model is told of it instead.

    Args:
        tool: what was called.
        result: what came of it.
        uses: the tools of the procedure.
    """
    if result.final:
        return GiveUp(result.error or f"{tool} has no result", kind="value")
    if result.error is None:
        return None
    once = any(use.name == tool and use.effect == "write" and not use.idempotent for use in uses)
    return GiveUp(f"{tool} failed, and may have been carried out: {result.error}", kind="error") if once else None
