"""The switch of one run: `config={"configurable": {"seglam": "off"}}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, cast

from langgraph.config import get_config

Switch: TypeAlias = Literal["on", "off", "refresh"]
"""`off`: neither served from the cache nor learnt. `refresh`: not served, but learnt anew."""

KEY = "seglam"


def switch() -> Switch:
    """Return the switch of the running graph; on, outside of one."""
    said = configurable().get(KEY)
    if said in ("off", False):
        return "off"
    return "refresh" if said == "refresh" else "on"


def configurable() -> Mapping[str, object]:
    """Return the configurable of the running graph; empty, outside of one."""
    return cast("Mapping[str, object]", _config().get("configurable") or {})


def agent_name() -> str | None:
    """Return the name under which the running agent signs its messages."""
    name = cast("Mapping[str, object]", _config().get("metadata") or {}).get("lc_agent_name")
    return name if isinstance(name, str) else None


def _config() -> Mapping[str, object]:
    try:
        return cast("Mapping[str, object]", get_config())
    except RuntimeError:
        return {}
