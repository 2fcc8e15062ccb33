"""Was it right? A hit is compared with the policy: every call that wrote, and every word of the answer."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from seglam_agents.records.outcome import Deopt, Hit, Outcome, Recognised
from seglam_agents.records.record import Json
from seglam_agents.records.values import as_number, same
from seglam_agents.testing.planted.agent import Ask, Truth
from seglam_agents.testing.planted.world import Write

_VERDICTS = frozenset(
    (
        "yes",
        "no",
        "not",
        "none",
        "nothing",
        "enough",
        "over",
        "more",
        "less",
        "low",
        "medium",
        "high",
        "critical",
        "minor",
    )
)


class Verdict(StrEnum):
    """What came of one fresh request."""

    RIGHT = "right"
    MISS = "miss"
    DEOPT = "deopt"
    WRONG_ANSWER = "wrong answer"
    WRONG_WRITE = "wrong write"
    LEFT_OPEN = "answer left open"
    """The right writes, and the answer is left to the host's model."""
    STRANGER_SERVED = "stranger served"
    """A request of another kind was answered."""


WRONG = (Verdict.WRONG_ANSWER, Verdict.WRONG_WRITE, Verdict.STRANGER_SERVED)
"""What must never happen."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with what was got and what would have been right."""

    verdict: Verdict
    got: Json = None
    truth: Json = None

    @property
    def wrong(self) -> bool:
        """True for what must never happen."""
        return self.verdict in WRONG


def judge(outcome: Outcome, writes: Sequence[Write], ask: Ask, truth: Truth) -> Judgement:
    """Compare what came of a request of the agent's kind with the truth.

    Args:
        outcome: what the cache returned.
        writes: what was in fact written meanwhile.
        ask: the request.
        truth: what the policy does for it.
    """
    got, right = _told(outcome, writes), _truth(truth)
    made, due = Counter(map(_key, writes)), Counter(map(_key, truth.writes))
    finished = isinstance(outcome, (Hit, Recognised))
    if (made != due) if finished else bool(made - due):
        return Judgement(Verdict.WRONG_WRITE, got, right)
    if not finished:
        return Judgement(Verdict.DEOPT if isinstance(outcome, Deopt) else Verdict.MISS, got, right)
    if outcome.answer is None and None not in truth.answers:
        return Judgement(Verdict.LEFT_OPEN, got, right)
    return Judgement(Verdict.RIGHT if right_answer(outcome.answer, ask, truth) else Verdict.WRONG_ANSWER, got, right)


def judge_stranger(outcome: Outcome, writes: Sequence[Write]) -> Judgement:
    """Judge what came of a request of another kind: nothing may be written, and nobody may answer."""
    got = _told(outcome, writes)
    if writes:
        return Judgement(Verdict.WRONG_WRITE, got, "a request of another kind")
    if isinstance(outcome, (Hit, Recognised)):
        return Judgement(Verdict.STRANGER_SERVED, got, "a request of another kind")
    return Judgement(Verdict.DEOPT if isinstance(outcome, Deopt) else Verdict.MISS, got)


def right_answer(answer: Json, ask: Ask, truth: Truth) -> bool:
    """Tell whether an answer asserts what the policy asserts.

    It does in one of the policy's phrasings. After the right writes, a report of them in other words is right as well,
    if it holds no figure and no verdict that the policy does not know.
    """
    if any(same(_spelled(answer), _spelled(right)) for right in truth.answers):
        return True
    return bool(truth.writes) and isinstance(answer, str) and _only_reports(answer, ask, truth)


def _spelled(answer: Json) -> Json:
    """Return a text with every number in one spelling: 219.0 is 219, and 1,020 is 1020."""
    if not isinstance(answer, str):
        return answer
    return re.sub(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?!\w)", lambda match: _number(match.group()), answer)


def _number(digits: str) -> str:
    # A comma behind a number belongs to the sentence.
    rest = digits[len(digits.rstrip(",")) :]
    value = as_number(digits.rstrip(","))
    return (digits if value is None else f"{value:g}" if value < 1e5 else str(value)) + rest


def _only_reports(answer: str, ask: Ask, truth: Truth) -> bool:
    calls = json.dumps([[step.tool, step.arguments, step.result] for step in truth.steps], ensure_ascii=False)
    known = _words(" ".join((ask.text, calls, *map(str, truth.answers))))
    said = _words(answer)
    figures = {word for word in said if any(letter.isdigit() for letter in word)}
    verdicts = said & _VERDICTS
    return figures <= known and verdicts <= _words(" ".join(map(str, truth.answers)))


def _words(text: str) -> frozenset[str]:
    return frozenset(word.casefold().strip(".-'") for word in re.findall(r"[\w'.-]+", text))


def _key(write: Write) -> str:
    # 7 and 7.0 are the same number to every tool; "7" is not.
    return json.dumps([write.tool, _plain(write.arguments)], sort_keys=True, ensure_ascii=False)


def _plain(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _told(outcome: Outcome, writes: Sequence[Write]) -> Json:
    said: Json = outcome.answer if isinstance(outcome, (Hit, Recognised)) else outcome.reason
    return {"answer": said, "writes": [[write.tool, write.arguments] for write in writes]}


def _truth(truth: Truth) -> Json:
    return {"answer": truth.answers[0], "writes": [[write.tool, write.arguments] for write in truth.writes]}
