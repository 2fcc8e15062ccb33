"""Writes that a procedure asked for are not repeated when a run is taken up again whose record of them was lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from pydantic import Field

from seglam_agents.flow import Flow, work
from seglam_agents.hosting.safety import safely, unharmed
from seglam_agents.hosting.values import render
from seglam_agents.records.record import Json, Record, digest
from seglam_agents.records.request import Scope
from seglam_agents.stores.base import NoteStore, ProcedureStore

logger = logging.getLogger(__name__)

T = TypeVar("T")

UNKNOWN = (
    "It is not known whether this call was carried out: it was begun before, and its result was lost. "
    "Find out before you call it again."
)
LOST = "This call was carried out before, and its result cannot be told again. Do not repeat it."
OTHERS = (
    "This call was not made: an earlier attempt at the same request made other calls, {calls}. "
    "Find out what was done before you call it."
)
STRANGE = (
    "This call was not made: a procedure of another tenant or agent asked for it, and only there is it known whether "
    "it was made before. Find out before you call it."
)
KIND = "hosting.writes"
MAX_TOLD = 200
"""Characters of a call that is told."""

UNNOTED = (
    "The call was not made: it could not be noted first, so that another attempt at this request would not know of it. "
    "Make it yourself if it is wanted."
)
UNREAD = (
    "The call was not made: whether an earlier attempt at this request made it cannot be read now. "
    "Find out before you call it."
)
_offered: ContextVar[str | None] = ContextVar("seglam_idempotency_key", default=None)


class Write(Record):
    """One write of one request, whichever attempt it is."""

    place: str
    """The turn: where it stands (`origin_of`)."""
    call: str
    """The call within the turn (`call_key`): the tool, the arguments, and how often it was made before."""
    tool: str
    idempotent: bool = False
    arguments: dict[str, Json] = Field(default_factory=dict[str, Json])
    scope: str = ""
    """The key of the scope whose journal it is noted in; empty in older records."""
    before: tuple[str, ...] | None = None
    """The writes that the same attempt asked for before, by their `call`. A write that no earlier attempt began does
    not begin while one that was made is not among them: this attempt goes another way than that one, because it read
    something else. None where it is not known, or does not matter."""

    @property
    def key(self) -> str:
        """A key to send to the other side, which can then tell a repetition."""
        return digest(self.place, self.call, length=32)


@dataclass(slots=True)
class Naming:
    """Names the writes of one attempt at a turn, in the order of asking."""

    place: str
    scope: str = ""
    made: list[tuple[str, Mapping[str, Json]]] = field(default_factory=list[tuple[str, Mapping[str, Json]]])
    calls: list[str] = field(default_factory=list[str])
    """What names those that were asked for so far, within the turn."""
    knowing: bool = False
    """True where a model asks that was told what earlier attempts wrote: it may mean something else now."""

    def write(self, tool: str, arguments: Mapping[str, Json], *, idempotent: bool) -> Write:
        """Return what names the next one."""
        write = Write(
            place=self.place,
            call=call_key(tool, arguments, self.made),
            tool=tool,
            idempotent=idempotent,
            arguments=dict(arguments),
            scope=self.scope,
            before=None if self.knowing else tuple(self.calls),
        )
        self.made.append((tool, arguments))
        self.calls.append(write.call)
        return write


@dataclass(frozen=True, slots=True)
class Left:
    """A write that an earlier attempt began, for whoever goes on with the request."""

    call: str
    tool: str
    arguments: Mapping[str, Json]
    document: Mapping[str, Json] | None = None
    """What the host noted of its result; None where it is in doubt, or cannot be told again."""
    done: bool = False
    """True where it is known to have been carried out."""

    @property
    def text(self) -> str:
        """What a model is told of its result."""
        for key in ("content", "error", "value"):
            if self.document is not None and self.document.get(key) is not None:
                return render(self.document[key])
        return LOST if self.done else UNKNOWN


@dataclass(frozen=True, slots=True)
class Go:
    """Carry the call out. The intent is stored."""


@dataclass(frozen=True, slots=True)
class Known:
    """The call was carried out before: this is what the host noted of its result. Serve it again."""

    document: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class InDoubt:
    """Whether the call was carried out is not known: do not carry it out, and say this to the model or a person."""

    text: str = UNKNOWN


Beginning: TypeAlias = Go | Known | InDoubt


@dataclass(slots=True)
class Journal:
    """Notes in the store of a cache: that a write begins, before it begins, and what it came to, after.

    An intent without a result is in doubt. It is not carried out again, unless the tool is idempotent. A host that runs
    a call twice within one attempt (a retry after an error) does so knowingly, and is allowed to. Of attempts at the
    same time, at most one carries the call out; of two that begin at the very same moment in two processes, perhaps
    none does.

    Without a store for notes, or where it fails, a call is carried out as it would be without the cache.
    """

    store: ProcedureStore
    scope: Scope
    # Of several, so that a store that hangs in one write does not hold up every other one.
    _locks: tuple[threading.Lock, ...] = field(default_factory=lambda: tuple(threading.Lock() for _ in range(64)))

    def begin(self, write: Write, attempt: str) -> Beginning:
        """Note that a write begins, or tell why it must not begin again. Never raises.

        Args:
            write: the write.
            attempt: what two runs of a call within one attempt share, and no other run has.
        """
        if write.scope and write.scope != self.scope.key:
            return InDoubt(STRANGE)
        if not isinstance(self.store, NoteStore):
            return Go()
        store = self.store
        with self._locks[int(write.key[:8], 16) % len(self._locks)]:
            # What an earlier attempt did is not known: it is none of the cache's to make, nor of anybody's unasked.
            otherwise = Go() if write.idempotent else InDoubt(UNREAD)
            told = "what an earlier attempt wrote cannot be read, and a write is left to the model"
            notes = safely(lambda: self._notes(store, write), None, told)
            if notes is None:
                return otherwise
            told = "a write could not be noted before it began, and is left to the model"
            # Another attempt would not know of it: what cannot be noted is none of the cache's to make.
            otherwise = Go() if write.idempotent else InDoubt(UNNOTED)
            return safely(lambda: self._begin(store, write, digest(attempt), notes), otherwise, told)

    def end(self, write: Write, attempt: str, document: Mapping[str, Json] | None, *, failed: bool = False) -> None:
        """Note what a write came to. Never raises.

        Args:
            write: the write.
            attempt: as for `begin`.
            document: what the host needs to serve the result again; None where it has no JSON form.
            failed: the tool says that it failed: a retry within the attempt may run it again.
        """
        result = None if document is None else dict(document)
        self._note(write, attempt, {"state": "failed" if failed else "done", "result": result})

    def withdraw(self, write: Write, attempt: str) -> None:
        """Forget a write that was interrupted by its own tool: it is run from its start, as the host means it."""
        self._note(write, attempt, {"state": "withdrawn"})

    def left(self, place: str) -> tuple[Left, ...]:
        """Return the writes that earlier attempts at a turn began, in no order. Never raises."""
        if not place or not isinstance(self.store, NoteStore):
            return ()
        store = self.store
        return safely(lambda: self._left(store, place), (), "what an earlier attempt wrote cannot be read")

    def _left(self, store: NoteStore, place: str) -> tuple[Left, ...]:
        calls: dict[str, dict[str, dict[str, Json]]] = {}
        for key, note in store.notes(self.scope, f"{KIND}.{place}").items():
            call, _, attempt = key.partition(".")
            calls.setdefault(call, {})[attempt] = note
        return tuple(_left(call, notes) for call, notes in calls.items() if _begun(notes))

    def _begin(self, store: NoteStore, write: Write, attempt: str, notes: dict[str, dict[str, Json]]) -> Beginning:
        mine = notes.pop(attempt, {})
        done = [note for note in (mine, *notes.values()) if note.get("state") == "done"]
        failed = [note for note in notes.values() if note.get("state") == "failed"]
        if done or (failed and not write.idempotent):
            return _known((done or failed)[0])
        if _begun(notes) and not write.idempotent:
            return InDoubt()
        if not notes and write.before is not None:
            known = (write.call, *write.before)
            if strange := [left for left in self._left(store, write.place) if left.call not in known]:
                return InDoubt(OTHERS.format(calls=" and ".join(map(_written, strange))))
        store.put_note(self.scope, _kind(write), f"{write.call}.{attempt}", {"state": "begun", **_named(write)})
        others = {key: note for key, note in self._notes(store, write).items() if key != attempt}
        if _begun(others) and not write.idempotent:
            store.put_note(self.scope, _kind(write), f"{write.call}.{attempt}", {"state": "withdrawn"})
            return InDoubt()
        return Go()

    def _notes(self, store: NoteStore, write: Write) -> dict[str, dict[str, Json]]:
        """Return the notes on a write by the attempt."""
        notes = store.notes(self.scope, _kind(write))
        return {key.partition(".")[2]: note for key, note in notes.items() if key.partition(".")[0] == write.call}

    def _note(self, write: Write, attempt: str, note: dict[str, Json]) -> None:
        if not isinstance(self.store, NoteStore):
            return
        with unharmed("what a write came to could not be noted; taken up again, it is in doubt"):
            self.store.put_note(self.scope, _kind(write), f"{write.call}.{digest(attempt)}", {**note, **_named(write)})


def once(
    journal: Journal | None,
    write: Write | None,
    attempt: str,
    call: Callable[[], Flow[T]],
    *,
    instead: Callable[[Known | InDoubt], T],
    document: Callable[[T], tuple[Mapping[str, Json] | None, bool]],
    waits: tuple[type[Exception], ...] = (),
) -> Flow[T]:
    """Carry a call out; one that is a write of a procedure is noted before and after, and not begun twice.

    Args:
        journal: where it is noted; None where the host knows none. A write that is noted in another one is not begun.
        write: what names it; None for other calls.
        attempt: as for `Journal.begin`.
        call: carries it out, and offers its tool the key (`idempotency_key`).
        instead: makes what is told in its place.
        document: says what to keep of what it came to, and whether the tool says that it failed.
        waits: what the tool raises to wait for a person: it will be run from its start.
    """
    if write is None or (journal is None and not write.scope):
        return (yield from call())
    if journal is None:
        return instead(InDoubt(STRANGE))
    beginning = yield from work(lambda: journal.begin(write, attempt))
    if isinstance(beginning, Known):
        return _again(beginning, instead)
    if isinstance(beginning, InDoubt):
        return instead(beginning)
    try:
        with offering(write):
            result = yield from call()
    except waits:
        yield from work(lambda: journal.withdraw(write, attempt))
        raise
    kept, failed = document(result)
    yield from work(lambda: journal.end(write, attempt, kept, failed=failed))
    return result


def idempotency_key() -> str | None:
    """Return the key of the write that is being carried out, for a tool that sends one to the other side.

    The key is the same in every attempt at a request. None outside of a write that a procedure asked for, and where
    neither a thread nor a request id names the request.
    """
    return _offered.get()


@contextmanager
def offering(write: Write | None) -> Generator[None]:
    """Offer the key of a write to its tool, which may ask `idempotency_key` for it."""
    token = _offered.set(write.key if write is not None else None)
    try:
        yield
    finally:
        _offered.reset(token)


def call_key(tool: str, arguments: Mapping[str, Json], made: Iterable[tuple[str, Mapping[str, Json]]]) -> str:
    """Return what names a write within its turn, whichever attempt it is.

    Args:
        tool: the tool.
        arguments: its arguments.
        made: the writes that the same attempt asked for before. The same one once more is meant once more.
    """
    again = sum((tool, dict(arguments)) == (other, dict(given)) for other, given in made)
    return digest(again, tool, dict(arguments))


def _again(known: Known, instead: Callable[[Known | InDoubt], T]) -> T:
    try:
        return instead(known)
    except (ValueError, LookupError, TypeError):
        # Another host, or another version of this one, noted it in a form of its own: the call was made all the same.
        logger.warning("the result of a write was noted in a form that this host does not read: it is told as made")
        return instead(InDoubt(LOST))


def as_made(write: Write | None, tool: str, arguments: object) -> Write | None:
    """Return what names a write as it is made: what a person changed is noted as changed."""
    if write is None or not isinstance(arguments, dict) or (tool, arguments) == (write.tool, write.arguments):
        return write
    made: dict[str, Json] = arguments  # pyright: ignore[reportUnknownVariableType]  # of a tool call
    return write.model_copy(update={"call": call_key(tool, made, ()), "tool": tool, "arguments": made})


def _named(write: Write) -> dict[str, Json]:
    return {"tool": write.tool, "arguments": write.arguments}


def _left(call: str, notes: Mapping[str, Mapping[str, Json]]) -> Left:
    told = sorted(notes.values(), key=lambda note: note.get("state") not in ("done", "failed"))
    tool, arguments, result = told[0].get("tool"), told[0].get("arguments"), told[0].get("result")
    return Left(
        call,
        tool if isinstance(tool, str) else "a tool",
        arguments if isinstance(arguments, dict) else {},
        result if isinstance(result, dict) else None,
        told[0].get("state") == "done",
    )


def _written(left: Left) -> str:
    said = f"{left.tool}({', '.join(f'{name}={value!r}' for name, value in left.arguments.items())})"
    return said if len(said) <= MAX_TOLD else f"{said[:MAX_TOLD]}..."


def _kind(write: Write) -> str:
    return f"{KIND}.{write.place}"


def _begun(notes: Mapping[str, Mapping[str, Json]]) -> bool:
    # A note that cannot be read says that the write was begun, if nothing else.
    return any(note.get("state") != "withdrawn" for note in notes.values())


def _known(note: Mapping[str, Json]) -> Known | InDoubt:
    result = note.get("result")
    return Known(result) if isinstance(result, dict) else InDoubt(LOST)
