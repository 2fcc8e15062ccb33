"""`counted`: a reply's own token counts, or an estimate where the reply has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seglam_agents.models.base import Message
from seglam_agents.records.usage import Usage

CHARACTERS_PER_TOKEN = 4


def estimated_tokens(text: str) -> int:
    """Return a rough count: one token per four characters, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def counted(
    messages: Sequence[Message],
    text: str,
    *,
    reported: Mapping[str, object],
    names: tuple[str, str],
    seconds: float,
) -> Usage:
    """Return the usage of one call.

    Args:
        messages: what was asked.
        text: what was answered.
        reported: the counts of the reply; empty where it has none.
        names: the keys of the input and the output tokens in `reported`.
        seconds: how long the call took.
    """
    asked, answered = (_count(reported.get(name)) for name in names)
    return Usage(
        input_tokens=sum(estimated_tokens(m.content) for m in messages) if asked is None else asked,
        output_tokens=estimated_tokens(text) if answered is None else answered,
        calls=1,
        seconds=seconds,
    )


def _count(value: object) -> int | None:
    # Some servers send null or a negative placeholder where they did not count.
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
