"""A guard that is code accounts for every word: whatever is put into a request is declined, or changes what is done.

What `run` takes and never looks at is no argument, and what it looks at and does nothing with is none either: only
another answer, or another call, shows that a word was noticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from seglam_agents.admission.case import MAX_EVIDENCE, Case, verdict
from seglam_agents.guards.guard import Accepted
from seglam_agents.guards.normal import normalise
from seglam_agents.records.entry import Check
from seglam_agents.records.outcome import Call, Final
from seglam_agents.records.record import Json
from seglam_agents.records.values import Value, same

TRIED = 2
"""Known requests whose every gap is tried."""


def check_accounting(case: Case) -> Check:
    """No word, clause, mark or unit can be put anywhere into a known request without a trace."""
    tried = 0
    problems: list[str] = []
    for known in case.candidate.known[-TRIED:]:
        before = _done(case, known.request.text, known.request.context)
        if before is None:
            continue  # Replay reports it.
        own = normalise(known.request.text).text.casefold()
        for change, text in changes(known.request.text):
            if normalise(text).text.casefold() == own:
                continue
            if len(problems) >= MAX_EVIDENCE:
                return verdict("accounting", problems, tried)
            tried += 1
            after = _done(case, text, known.request.context)
            if after is not None and _alike(before, after):
                problems.append(
                    f"{text!r} ({change}) is accepted, and nothing else is done than before: match the whole text with "
                    "one pattern, without cutting, replacing or skipping any of it"
                )
    found = list(_misread(case))
    return verdict("accounting", [*found[:2], *problems][:MAX_EVIDENCE], tried + len(found))


def _misread(case: Case) -> Iterator[str]:
    """Yield what is wrong where a guard reads an amount from what is none, as from "no" or "84,5"."""
    for known in case.candidate.known[-TRIED:]:
        before = _numbers(case, known.request.text, known.request.context)
        for match in re.finditer(_NUMBER, known.request.text):
            for form in _NO_NUMBERS if not case.locale else _NO_NUMBERS[:-2]:
                text = known.request.text[: match.start()] + form.format(match[0]) + known.request.text[match.end() :]
                after = _numbers(case, text, known.request.context)
                if before and after and before.keys() == after.keys() and before != after:
                    yield (
                        f"{text!r} is accepted, and a number read from {form.format(match[0])!r}: "
                        "read numbers by `from slots import parse`"
                    )


def _numbers(case: Case, text: str, context: dict[str, Json]) -> dict[str, Value]:
    """Return the numbers that a guard binds."""
    judgement = case.loaded.guard.match(normalise(text), context)
    arguments: Mapping[str, Value] = judgement.arguments if isinstance(judgement, Accepted) else {}
    return {k: v for k, v in arguments.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}


def changes(text: str) -> Iterator[tuple[str, str]]:
    """Yield changed requests with what was changed: something in each gap, and something at each number."""
    text = text.strip()
    gaps = [0, *(match.end() for match in re.finditer(r"\S+", text.rstrip(".?!")))]
    for gap in gaps:
        for word in _WORDS:
            yield f"inserted {word!r}", _put(text, gap, word)
        for form in _FORMS:
            yield f"inserted {form!r}", _put(text, gap, form)
        for mark in _GLUED:
            yield f"inserted {mark!r}", text[:gap] + mark + text[gap:]
    for clause in _CLAUSES:
        for joint in _JOINTS:
            yield f"behind: {clause!r}", text.rstrip(".?!") + joint.format(clause)
        yield f"before: {clause!r}", f"{clause[0].upper()}{clause[1:]}, {text[:1].lower()}{text[1:]}"
    for frame in _FRAMES:
        yield f"framed by {frame!r}", frame.format(text[:1].lower() + text[1:])
    for match in re.finditer(_NUMBER, text):
        for form in _AT_NUMBERS:
            yield f"{match[0]!r} as {form!r}", text[: match.start()] + form.format(match[0]) + text[match.end() :]


def _put(text: str, gap: int, new: str) -> str:
    if gap == 0:
        return f"{new} {text}"
    joint = "" if new[0] in ",;:." else " "
    return f"{text[:gap]}{joint}{new}{text[gap:]}"


def _done(case: Case, text: str, context: dict[str, Json]) -> Value | tuple[str, object] | None:
    """Return the answer to a request or the first call that it leads to; None where it is declined or given up."""
    judgement = case.loaded.guard.match(normalise(text), context)
    if not isinstance(judgement, Accepted):
        return None
    action = case.executor.next_action(case.loaded, judgement.arguments)
    match action:
        case Final(answer=answer):
            return ("answer", answer)
        case Call(tool=tool, arguments=arguments):
            return (tool, dict(arguments))
        case _:
            return None


def _alike(before: object, after: object) -> bool:
    return before == after or same(before, after)


_NUMBER = r"(?<![\w.,])\d+(?![\w.,]\w)"
_NO_NUMBERS = ("no", "some", "xq", "several", "{}.5.5", "{},5", "{},55")
"""What no number is; the last ones are, in some locales."""
_WORDS = (
    "only", "not", "instead", "also", "again", "tomorrow", "nearly", "boldly", "twice", "maybe", "old", "nobody",
    "half", "каждый", "不", "nicht", "xq", "don't", "never", "on Monday", "next week", "tonight", "without me",
)  # fmt: skip
_FORMS = (
    "(not now)", "[later]", "- later -", "– later –", "— later —", "; later", ": later", ", later,", ". Later.",
    "\nlater", '"later"', "'later'", "/ later", "* later *", "{later}", "<later>", "… later", "\tlater", "& later",
)  # fmt: skip
_GLUED = ("不", "²", "не")
_CLAUSES = (
    "unless it rains", "if Bob agrees", "as long as it is free", "until Friday", "when I say so", "except the last one",
    "instead of the other", "but leave it as it was", "after the holidays", "before you do anything",
    "and then undo it", "or something like it", "provided that it is open", "rather than wait", "assuming it doubles",
    "because I say so", "while it lasts", "in another building", "every second time", "for the last time",
    "which is wrong", "said nobody", "just kidding", "no, forget it", "with a fee of 3 each",
)  # fmt: skip
_JOINTS = (" {}", ", {}", "; {}", " - {}", "\n{}", " ({})", ". {}", ": {}", "? {}")
_FRAMES = (
    "Should I {}", "Why did you {}", "Did you {}", "Is it wise to {}", "Ana said: {}", 'Translate "{}"', "Don't {}",
    "Do not {}", "Never {}", "Imagine: {}", "Ignore this: {}", "Yesterday I said: {}", "Who can {}", "First, {}",
    "If you were to {}", "I will {}", "Nobody should {}", "How do I {}", "What if we {}",
)  # fmt: skip
_AT_NUMBERS = (
    "-{}", "{}%", "{}k", "{}.5", "{}-99", "{} dozen", "{} km", "{} or 99", "about {}", "{}th", "${}", "{}/7", "~{}",
    "{} million", "{}+", "{}x", "up to {}", "half of {}", "{} degrees", "{}e3", "{},5",
)  # fmt: skip
