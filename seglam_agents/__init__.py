"""SEGLAM agents: a reasoning cache. The model is a compiler, not a runtime."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seglam_agents.cache import ReasoningCache
    from seglam_agents.records.errors import SeglamError
    from seglam_agents.records.outcome import (
        Call,
        Deopt,
        Final,
        GiveUp,
        Hit,
        Learned,
        Miss,
        Outcome,
        Plan,
        Recognised,
        Refused,
    )
    from seglam_agents.records.request import Request, Scope
    from seglam_agents.records.tools import HostTool, Tool
    from seglam_agents.records.trace import ToolStep, Trace
    from seglam_agents.sandboxes.base import ToolResult

__all__ = [
    "Call",
    "Deopt",
    "Final",
    "GiveUp",
    "Hit",
    "HostTool",
    "Learned",
    "Miss",
    "Outcome",
    "Plan",
    "ReasoningCache",
    "Recognised",
    "Refused",
    "Request",
    "Scope",
    "SeglamError",
    "Tool",
    "ToolResult",
    "ToolStep",
    "Trace",
]

_HOMES = {
    "cache": ("ReasoningCache",),
    "records.errors": ("SeglamError",),
    "records.outcome": (
        "Call",
        "Deopt",
        "Final",
        "GiveUp",
        "Hit",
        "Learned",
        "Miss",
        "Outcome",
        "Plan",
        "Recognised",
        "Refused",
    ),
    "records.request": ("Request", "Scope"),
    "records.tools": ("HostTool", "Tool"),
    "records.trace": ("ToolStep", "Trace"),
    "sandboxes.base": ("ToolResult",),
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    # Loaded when asked for (PEP 562): who needs one leaf does not load sandboxes and stores.
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"seglam_agents.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
