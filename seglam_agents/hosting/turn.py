"""One turn of an agent as the cache sees it: plain data between two steps, and what a host shows."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import Field

from seglam_agents.hosting.journal import Naming, Write
from seglam_agents.hosting.values import mapping
from seglam_agents.records.outcome import Plan
from seglam_agents.records.record import Json, Record, digest, known_fields
from seglam_agents.records.request import Request
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import Decision as HumanDecision
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.usage import Usage
from seglam_agents.records.values import decode
from seglam_agents.sandboxes.base import ToolResult

logger = logging.getLogger(__name__)

TurnStatus: TypeAlias = Literal["new", "off", "miss", "running", "closing", "hit", "gave up"]
"""`closing`: a procedure has made its calls, and the model has the last word."""
Switch: TypeAlias = Literal["on", "off", "refresh"]
"""Of one run. `off`: neither served nor learnt. `refresh`: not served, but learnt anew."""

RETOLD = "what the agent is told has changed since the turn began"


class Asked(Record):
    """A tool call that was asked for: by the procedure, in the order of asking, or by the model."""

    id: str
    tool: str
    arguments: dict[str, Json] = Field(default_factory=dict[str, Json])


class Called(Asked):
    """The call by which the model itself called the procedure, as a tool."""

    text: str = ""


class Left(Asked):
    """A write of an earlier attempt at the turn, which is told to whoever goes on with it."""

    key: str
    """`Write.call`."""
    done: bool = False
    """True where it is known to have been carried out."""
    text: str
    """What is told of its result."""


class Turn(Record):
    """What the cache knows of the running turn. Hosts keep it with their own state, so that any worker goes on."""

    status: TurnStatus = "new"
    key: str = ""
    """Names this attempt at a turn, and no other."""
    origin: str = ""
    """Names the turn for every attempt at it (`origin_of`); empty where nothing does, and no write is noted."""
    message: str = ""
    """The host's own id of the message that began it."""
    instructions: str | None = None
    """Digest of what the agent is told in this turn; None where the host does not see it: as its cache was opened."""
    alone: bool = False
    """True where the person's message was the whole history, before anything of it was left out."""
    text: str = ""
    """The request as it was looked up: self-contained, and redacted where the host redacts."""
    context: dict[str, Json] = Field(default_factory=dict[str, Json])
    later: bool = False
    """True where it is looked up and learnt under the conditions of later turns (`HostedCache.later`)."""
    before: tuple[str, ...] = ()
    """Short digests of what was named earlier in the conversation and not in the request (`threads`)."""
    plan: Plan | None = None
    asked: tuple[Asked, ...] = ()
    scope: str = ""
    """The key of the scope that it was looked up in, whose journal has its writes."""
    left: tuple[Left, ...] = ()
    """What earlier attempts at it wrote."""
    proposed: tuple[Asked, ...] = ()
    """What the model asked for, before a person looked at it."""
    called: Called | None = None
    given_back: tuple[Asked, ...] = ()
    """What was asked for by procedures that the model called in this turn, and that are over."""
    author: str = ""
    """The id of the last message that the model wrote."""
    answer: Json = None
    """That of a hit, as the procedure gave it."""
    usage: Usage = Usage()
    """What the model spent on the turn, for hosts whose messages do not say it."""
    reason: str = ""
    ended: bool = False
    """True once the host has said that the turn came to its end."""
    learn: bool = True
    """False where what happens is no clean run of the model, or of the model after code that only read."""

    @property
    def teaches(self) -> bool:
        """Tell whether the model had the say, in a run that may be learnt from."""
        return self.status in ("miss", "gave up", "closing") and self.learn and bool(self.text)

    @property
    def request(self) -> Request:
        """The request as it was looked up."""
        return Request(text=self.text, context=self.context)

    @property
    def procedure_id(self) -> str:
        """The id of the planned procedure; empty where there is none."""
        return self.plan.procedure.rpartition("@")[0] if self.plan else ""

    def spoke(self, message: str, asked: Iterable[Asked]) -> Turn:
        """Return it after a message of the model's, which asked for these calls."""
        return self.model_copy(update={"author": message, "proposed": (*self.proposed, *asked)})

    def closed(self, reason: str, status: Literal["off", "gave up"] = "off") -> Turn:
        """Return it left to the model, and not learnt from."""
        return self.model_copy(update={"status": status, "reason": reason, "learn": False})

    def write(self, call_id: str | None) -> Write | None:
        """Return what names a write that the procedure asked for, whichever attempt it is; None for other calls."""
        return self._writes.get(call_id or "")

    @property
    def untaken(self) -> tuple[Left, ...]:
        """What earlier attempts wrote and this one did not ask for."""
        taken = {write.call for write in self._writes.values()} if self.left else ()
        return tuple(left for left in self.left if left.key not in taken)

    @property
    def _writes(self) -> Mapping[str, Write]:
        """The writes that the procedure asked for, by the id of the call."""
        if self.plan is None or not self.origin:
            return {}
        # The model that called the procedure was told what earlier attempts wrote: it may mean something else now.
        made: list[tuple[str, Mapping[str, Json]]] = [(asked.tool, asked.arguments) for asked in self.given_back]
        naming = Naming(self.origin, self.scope, made, knowing=self.called is not None)
        uses = {use.name: use for use in self.plan.tools if use.effect == "write"}
        return {
            asked.id: naming.write(asked.tool, asked.arguments, idempotent=uses[asked.tool].idempotent)
            for asked in self.asked
            if asked.tool in uses
        }


def retold(turn: Turn, instructions: str | None) -> Turn:
    """Return a turn under what its agent is told at this step; what was looked up without knowing is looked up again.

    A turn whose procedure has asked for something keeps what it began under: the host gives it up where that differs.
    """
    if instructions == turn.instructions or turn.asked or turn.status not in ("new", "running", "miss"):
        return turn
    if turn.status == "miss":
        return turn.model_copy(update={"instructions": instructions})
    fresh = Turn(key=turn.key, origin=turn.origin, message=turn.message, alone=turn.alone)
    return fresh.model_copy(update={"instructions": instructions})


def kept_turn(document: object) -> Turn:
    """Return a turn as a host has kept it; one that cannot be read, or was not kept, is left to the model."""
    if document is None:
        return Turn(status="off", reason="the turn began without the cache")
    try:
        # While workers are replaced one by one, a newer one may have noted more: what this one knows still holds.
        return Turn.model_validate(known_fields(Turn, mapping(document)))
    except ValueError:
        logger.warning("the turn in the state is of another version; the model goes on")
        return Turn(status="off", reason="the turn in the state is of another version")


def new_id(prefix: str = "seglam") -> str:
    """Return a fresh id: in most hosts, a message with an id that was used before replaces the older one."""
    return f"{prefix}_{uuid.uuid4().hex}"


def switch_of(said: object) -> Switch:
    """Return what a caller says for one run, in any spelling; what is not known is off, as somebody meant something."""
    word = "on" if said is None else str(said).strip().casefold()
    if word == "refresh":
        return "refresh"
    return "on" if word in ("", "on", "true", "yes", "1") else "off"


def request_name(said: object, by: str) -> str | None:
    """Return a caller's own name of a request; None where it says none, or something that names no request.

    Args:
        said: what the caller says.
        by: how the host calls it, for the log.
    """
    if said is None:
        return None
    if (name := name_of(said)) is not None:
        return name
    logger.warning("%s: its writes are not told from those of another", names_nothing(said, by))
    return None


def name_of(said: object) -> str | None:
    """Return the text by which something names a request in every process; None where it names none. Never raises.

    What is empty names none, nor does an object without a form of its own: Python writes where it lies in memory.
    """
    try:
        text = str(said)
        empty = isinstance(said, bool) or not (said or isinstance(said, int)) or not text.strip()
    except Exception:
        return None
    return None if empty or _ADDRESS.search(text) else text


def names_nothing(said: object, by: str) -> str:
    """Return what is told of something that names no request."""
    shown = repr(said) if isinstance(said, (str, bytes, bool)) else f"<{type(said).__name__}>"
    return f"{by}={shown} names no request (pass the id of the delivery as a text or a number, or None for none)"


_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+>")


def origin_of(
    thread: str | None,
    last: str = "",
    request_id: str | None = None,
    *,
    words: str = "",
    within: str = "",
    agent: str = "",
) -> str:
    """Return what names a turn for every attempt at it, or nothing where nothing does.

    Args:
        thread: the conversation, where the host keeps one.
        last: what names the last *finished* turn of it, such as the id of its last message or its checkpoint. What an
            attempt that did not come to its end has left behind must not be in it.
        request_id: the caller's own name of the request, however it is worded; it counts for more than the thread.
        words: what was asked, as the person wrote it: a thread may have been given something else after a crash. A
            request that has a name is the same in other words, also where an agent within another one is asked.
        within: where in the host the turn is, the same in every attempt; empty for the outermost agent.
        agent: the name of the agent in its host, where several may be asked by one name of a thread or a request.
    """
    by = [part for part in (agent, within) if part]
    if request_id:
        return digest("request", request_id, *by)
    return digest("thread", thread, last, " ".join(words.casefold().split()), *by) if thread else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """One call as it was carried out, or what was said in its place."""

    id: str
    tool: str
    arguments: Mapping[str, Json]
    """As executed."""
    result: Json = None
    """In the encoding of `seglam_agents.records.values`."""
    error: str | None = None
    refused: str = ""
    """What was said in the place of a result: a person rejected the call, a limit was reached, it is in doubt."""
    decision: HumanDecision = "none"
    """What a person said of it, where the host knows. An edit is seen without."""

    @property
    def outcome(self) -> ToolResult:
        """What a body gets."""
        return ToolResult(error=self.error) if self.error is not None else ToolResult(value=decode(self.result))

    def changed(self, asked: Asked) -> bool:
        """Tell whether somebody changed the call between the asking and the doing."""
        return (self.tool, dict(self.arguments)) != (asked.tool, asked.arguments)

    def step(self, asked: Asked | None = None, *, batch: int | None = None) -> ToolStep:
        """Return it as traces and outcomes hold it, with what a person made of what was asked for."""
        edited = asked is not None and self.changed(asked)
        return ToolStep(
            tool=self.tool,
            arguments=dict(self.arguments),
            result=self.result,
            error=self.error,
            decision="edited" if edited else self.decision,
            proposed=asked.arguments if edited and asked is not None else None,
            batch=batch,
        )


@dataclass(frozen=True, slots=True)
class View:
    """What a host shows of its state at one step."""

    calls: Mapping[str, Carried] | None
    """The calls of this turn by id; None where the request is not in the history any more."""
    tools: Callable[[str], Tool | str | None] | None = None
    """Returns the tool of a name as it may be called now, None where it may not, or a text that says what is in the
    way. Its effect is not looked at: the cache was told it. None where the host does not say."""
    misfit: Callable[[Json], str | None] | None = None
    """Says why an answer is none for this host, such as a response format that it does not fit."""
    switch: Switch = "on"
