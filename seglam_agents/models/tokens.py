"""`counted`: a reply's own token counts, or an estimate where the reply has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from seglam_agents.models.base import Message
from seglam_agents.records.usage import Usage

CHARACTERS_PER_TOKEN = 4
LENGTH_REASONS = frozenset({"length", "max_tokens", "max_output_tokens"})
"""How providers say that the length limit ended an answer."""
COUNTS = ("input_tokens", "output_tokens")
"""Our names for what went in, and what came out."""
INPUT_NAMES = ("input_tokens", "prompt_tokens", "prompt_token_count")
OUTPUT_NAMES = ("output_tokens", "completion_tokens", "candidates_token_count")
"""How providers name the tokens that went in, and those that came out."""
_REASONS = ("finish_reason", "stop_reason", "done_reason", "reason")


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


def reported_counts(document: Mapping[str, object]) -> dict[str, int]:
    """Return the input and output tokens that a provider reports, by our names for them; empty where it does not."""
    found: dict[str, int] = {}
    for ours, names in zip(COUNTS, (INPUT_NAMES, OUTPUT_NAMES), strict=True):
        counts = [count for name in names if (count := _count(document.get(name))) is not None]
        if counts:
            found[ours] = counts[0]
    return found


def ended_by_length(*places: Mapping[str, object]) -> bool:
    """Tell whether one of the places of a reply where providers say it says that the length limit ended it."""
    reasons = [place.get(name) for place in places for name in _REASONS]
    return any(isinstance(reason, str) and reason.lower() in LENGTH_REASONS for reason in reasons)


def counts_of(reply: object) -> dict[str, int]:
    """Return the token counts that the raw reply of a provider reports, wherever it has them; empty for none."""
    known = fields_in(reply)
    return reported_counts(fields_in(known.get("usage") or known.get("usage_metadata")) or known)


def cut_off(reply: object) -> bool:
    """Tell whether the raw reply of a provider says that the length limit ended it, or the first of its choices."""
    known = fields_in(reply)
    choices = known.get("choices")
    first = next(iter(cast("Sequence[object]", choices)), None) if isinstance(choices, (list, tuple)) else None
    return ended_by_length(known, fields_in(first))


def fields_in(reply: object) -> Mapping[str, object]:
    """Return a mapping, or a model of pydantic's, as a mapping; anything else as an empty one."""
    dump = getattr(reply, "model_dump", None)
    known: object = dump() if callable(dump) else reply
    return cast("Mapping[str, object]", known) if isinstance(known, Mapping) else {}


def _count(value: object) -> int | None:
    # Some servers send null or a negative placeholder where they did not count.
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
