"""Last messages: how the played model phrases them, and whether what a procedure says in their place is true."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import UsageError
from seglam_agents.records.record import Json, digest
from seglam_agents.records.trace import ToolStep

PLACES = ("{calls}", "{tool}", "{last}")
"""The number of tool calls made, the last tool called, and the value of the last call's first argument."""
_PLACE = re.compile("|".join(map(re.escape, PLACES)))


@dataclass(frozen=True, slots=True)
class Held:
    """What a run holds, for what is said about it.

    Args:
        asked: the request.
        done: the calls that were carried out, with what came of them.
        tools: the names of all tools that there are.
    """

    asked: str
    done: tuple[ToolStep, ...]
    tools: tuple[str, ...]


def read_phrasings(path: Path) -> tuple[str, ...]:
    """Return the phrasings of a file, one a line.

    Raises:
        UsageError: the file cannot be read, or has none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--closings {path}: {error}") from error
    if found := tuple(line.strip() for line in lines if line.strip()):
        return found
    raise UsageError(f"--closings {path} has no sentences: one a line")


def drawn(phrasings: Sequence[str], seed: int, turn: int, query: str) -> str:
    """Return the phrasing of a run: the same for the same seed, pass and request; nothing in a run says which."""
    return phrasings[int(digest(seed, turn, query), 16) % len(phrasings)] if phrasings else ""


def phrased(phrasing: str, done: Sequence[ToolStep]) -> str:
    """Return a phrasing about the calls of a run."""
    values = _values(done)
    return _PLACE.sub(lambda place: values[place[0]], phrasing)


def not_held(said: str, held: Held, phrasings: Sequence[str] = ()) -> list[str]:
    """Return what a last message asserts and the run does not hold.

    A message in one of the phrasings has to have the right value in each place. Besides, every number, id, tool and
    name in it must stand in the request, in a call or in a result, or be the number of calls.

    Args:
        said: the message.
        held: the run that it is about.
        phrasings: those of the model.
    """
    return [*_misplaced(said, held.done, phrasings), *_unknown(said, held, phrasings)]


def _values(done: Sequence[ToolStep]) -> dict[str, str]:
    last = done[-1] if done else None
    first = next(iter(last.arguments.values()), "") if last else ""
    return dict(zip(PLACES, (str(len(done)), last.tool if last else "", str(first)), strict=True))


def _misplaced(said: str, done: Sequence[ToolStep], phrasings: Sequence[str]) -> Iterator[str]:
    """Yield what stands in the places of the phrasings that a message may be in, where none of them has it right."""
    worded = [phrasing for phrasing in phrasings if re.search(r"[^\W\d_]", _PLACE.sub("", phrasing))]
    alike = [phrasing for phrasing in worded if _shape(phrasing).fullmatch(said)]
    if alike and not any(phrased(phrasing, done) == said for phrasing in alike):
        yield f"{said!r} is not {phrased(alike[0], done)!r}"


def _shape(phrasing: str) -> re.Pattern[str]:
    return re.compile("(.*?)".join(map(re.escape, _PLACE.split(phrasing))))


def _unknown(said: str, held: Held, phrasings: Sequence[str]) -> Iterator[str]:
    known = " ".join([held.asked, str(len(held.done)), *map(_text, held.done)])
    words = set(re.findall(r"[^\W_]+", " ".join(phrasings))) | set(re.findall(r"[^\W_]+", known))
    called = {step.tool for step in held.done}
    yield from (f"the tool {tool}" for tool in held.tools if _stands(tool, said) and tool not in called)
    # A number of a phrasing's own ("1 of 1") is one that the run has to hold like any other.
    yield from (f"the number {number}" for number in re.findall(r"\d+", said) if not _stands(number, known))
    for sentence in re.split(r"(?<=[.!?:\n])\s+", said):
        yield from (f"the name {name}" for name in _names(sentence) if name not in words)


def _names(sentence: str) -> list[str]:
    """Return the words with a capital letter behind the first word."""
    return re.findall(r"(?<=\s)[^\W\d_a-zà-ÿ][^\W\d_]+", sentence.strip())


def _text(step: ToolStep) -> str:
    return f"{step.tool} {_json(dict(step.arguments))} {_json(step.result)} {step.error or ''}"


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _stands(word: str, text: str) -> bool:
    return re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", text) is not None
