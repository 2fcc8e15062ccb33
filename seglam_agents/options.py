"""What a cache is opened with, for those who do not check types: taken in silence, it would be something else.

What would only show at the first miss, or never, is refused at once, with what to give instead.
"""

from __future__ import annotations

import math
import numbers
from collections import Counter
from collections.abc import Collection, Mapping
from typing import cast

from seglam_agents.records.tools import HostTool
from seglam_agents.sandboxes.base import Limits


def require_options(
    *,
    system_prompt: object,
    tools: object,
    limits: object,
    now: object,
    embedder: object,
    near: object,
    repairs: object,
    seed: object,
    texts: Mapping[str, object],
    switches: Mapping[str, object],
) -> None:
    """Refuse what types forbid.

    Raises:
        ValueError: one of them is something else; says which, and what to give.
    """
    require_prompt(system_prompt)
    _require_tools(tools)
    _require(
        limits is None or isinstance(limits, Limits), "limits", limits, "give Limits(...), or None for its defaults"
    )
    _require(now is None or callable(now), "now", now, "give a function that returns a datetime")
    embeds = embedder is None or callable(getattr(embedder, "embed_query", None))
    _require(embeds, "embedder", embedder, "give an object with `embed_query` and `embed_documents`, or None")
    _require(
        near is None or _is_number(near),
        "near",
        near,
        "give a cosine, such as 0.45, or None for that of the default embedder",
    )
    _require(_is_count(repairs), "repairs", repairs, "give a whole number, 0 for none")
    _require(isinstance(seed, int), "seed", seed, "give a whole number")
    for name, text in texts.items():
        _require(text is None or isinstance(text, str), name, text, "give a text, '' for none")
    for name, switch in switches.items():
        _require(isinstance(switch, bool), name, switch, "give True or False")


def require_prompt(system_prompt: object) -> None:
    """Refuse what are no instructions.

    Raises:
        ValueError: they are no text.
    """
    said = "give the agent's instructions as a text, '' where it is told nothing"
    _require(isinstance(system_prompt, str), "system_prompt", system_prompt, said)


def _require_tools(tools: object) -> None:
    _require(
        _is_list(tools), "tools", tools, "give a list of HostTool objects, such as host_tools() of an adapter returns"
    )
    named = Counter(tool.tool.name for tool in cast("Collection[object]", tools) if isinstance(tool, HostTool))
    twice = [name for name, count in named.items() if count > 1]
    if twice:
        raise ValueError(f"tools= has several tools called {twice[0]!r}: give each a name of its own, or leave one out")


def _require(right: bool, name: str, given: object, instead: str) -> None:
    if not right:
        raise ValueError(f"{name}={_shown(given)}: {instead}")


def _shown(given: object) -> str:
    return repr(given) if isinstance(given, (str, int, float, type(None))) else f"<{type(given).__name__}>"


def _is_list(given: object) -> bool:
    # Not what is read once: it would be empty by the time it counts.
    return not isinstance(given, (str, bytes, Mapping)) and isinstance(given, Collection)


def _is_number(given: object) -> bool:
    return not isinstance(given, bool) and isinstance(given, numbers.Real) and math.isfinite(given)


def _is_count(given: object) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and given >= 0
