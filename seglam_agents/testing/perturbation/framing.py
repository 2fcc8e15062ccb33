"""Changes around a request: clauses, negations, questions, reports of it, times, a second request."""

from __future__ import annotations

import re
from collections.abc import Iterator

from seglam_agents.testing.perturbation.perturbed import Perturbed
from seglam_agents.testing.perturbation.subject import Subject

_BEHIND = (
    "unless it rains", "if nobody objects", "but not today", "except the last one", "as soon as Bob agrees",
    "only if it is cheap", "after the holidays", "until further notice", "every Monday", "twice a week",
    "instead of me",
    "as well as the one before", "and then undo it", "but leave it as it was", "without telling anybody",
    "for half of them", "in another building", "assuming prices double", "provided that it is open", "rather than wait",
    "once the report is out", "apart from the first", "and ask me before", "no, forget it", "just this once",
    "for everybody else", "in addition to the usual", "while it lasts", "compared with last year",
    "or something like it",
)  # fmt: skip
_BEFORE = (
    "Unless it rains,", "If nobody objects,", "As soon as Bob agrees,", "After the holidays,", "Instead of waiting,",
    "Once the report is out,", "Every Monday,", "Before you do anything,", "Only if it is cheap,", "Next time,",
    "For everybody but me,", "When I say so,", "In case of fire,", "From now on,", "Except today,",
)  # fmt: skip
_TIMES = (
    "tomorrow", "yesterday", "next week", "last week", "next month", "last year", "in two hours", "an hour ago",
    "tonight", "the day after tomorrow", "on Sunday", "since May", "until Friday", "by the end of the year",
)  # fmt: skip
_FOREIGN = (
    "aber nicht heute", "außer am Montag", "nur wenn es regnet", "sauf demain", "mais pas aujourd'hui",
    "seulement s'il pleut", "excepto mañana", "pero no hoy", "только если дождь", "但今天不要", "ただし明日以外",
)  # fmt: skip


def clauses_behind(subject: Subject) -> Iterator[Perturbed]:
    """A condition, an exception or an addition behind the whole request."""
    for clause in _BEHIND:
        for joint in (" ", ", "):
            yield _other(subject.bare + joint + clause, "clause behind", clause)


def clauses_before(subject: Subject) -> Iterator[Perturbed]:
    """A condition or an exception before the whole request."""
    for clause in _BEFORE:
        yield _other(f"{clause} {subject.inner}", "clause before", clause)


def relative_times(subject: Subject) -> Iterator[Perturbed]:
    """A time that the request did not speak of, before and behind it."""
    for time in _TIMES:
        if time.casefold() not in subject.text.casefold():
            yield _other(f"{subject.bare} {time}", "relative time", time)
            yield _other(f"{time[:1].upper()}{time[1:]}, {subject.inner}", "relative time", time)


def foreign_clauses(subject: Subject) -> Iterator[Perturbed]:
    """A condition or an exception in another language."""
    for clause in _FOREIGN:
        yield _other(f"{subject.bare}, {clause}", "other language", clause)
        yield _other(f"{subject.bare} ({clause})", "other language", clause)


def negations(subject: Subject) -> Iterator[Perturbed]:
    """The request denied, by all means."""
    frames = (
        "Do not {x}", "Don't {x}", "Never {x}", "Please don't {x}", "Under no circumstances {x}", "Stop: {x} no more",
        "You must not {x}", "I don't want you to {x}", "Nobody should {x}", "Anything but {x}", "{x} not", "{x}? No.",
        "{x} - or better not", "Refuse to {x}", "Avoid it: {x}", "Let nobody {x}", "It is wrong to {x}",
    )  # fmt: skip
    if subject.asks:
        frames = ("It does not matter {x}", "Never mind {x}", "Don't tell me {x}", "{x} not", "I did not ask {x}")
    yield from (_other(frame.replace("{x}", _placed(frame, subject)), "negation", frame) for frame in frames)


def questions(subject: Subject) -> Iterator[Perturbed]:
    """A question about the request instead of the request."""
    frames = (
        "Should I {x}?", "Why did you {x}?", "Did you already {x}?", "Who told you to {x}?", "How do I {x}?",
        "What happens if you {x}?", "Is it wise to {x}?", "Can you explain how to {x}?", "When did we {x}?",
        "What does it cost to {x}?", "Would it be possible to {x} later?", "Who else can {x}?", "Am I allowed to {x}?",
    )  # fmt: skip
    if subject.asks:
        frames = (
            "Why do you ask: {x}?",
            "Who wants to know: {x}?",
            "How did you find out {x}?",
            "Is this a good question: {x}?",
        )
    yield from (_other(frame.replace("{x}", _placed(frame, subject)), "question", frame) for frame in frames)


def reports(subject: Subject) -> Iterator[Perturbed]:
    """The request quoted, remembered or imagined."""
    frames = (
        'Bob said: "{x}"', 'Translate into French: "{x}"', "Ignore this: {x}", "{x} is what he wrote to me",
        "Imagine I had said: {x}", "Yesterday I said: {x}", "What is the opposite of: {x}", "Remember the day of: {x}",
        "Spell-check this: {x}", "How many words are in: {x}", "Never again say: {x}",
        "Reply to the mail that says: {x}",
    )  # fmt: skip
    yield from (_other(frame.replace("{x}", subject.bare), "report", frame) for frame in frames)


def second_requests(subject: Subject) -> Iterator[Perturbed]:
    """Two things in one."""
    others = (
        "and tell me a joke", "and then do the same for Bob", "and send me the list", "; after that, delete the log",
        ". Then start again from the beginning", ", and what time is it?", "and also the other one",
        "then the next one too",
    )  # fmt: skip
    for other in others:
        joint = "" if other[0] in ";.," else " "
        yield _other(subject.bare + joint + other, "second request", other)


def _placed(frame: str, subject: Subject) -> str:
    return subject.bare if frame.startswith("{x}") or re.search(r": \{x\}", frame) else subject.inner


def _other(text: str, sort: str, change: str) -> Perturbed:
    return Perturbed(text, "other", sort, change)
