"""`Offering`: what a cache offers as tools, and what calling one comes to. Plain values, without the protocol."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seglam_agents import (
    Call,
    Deopt,
    Hit,
    HostTool,
    Miss,
    Outcome,
    ReasoningCache,
    Recognised,
    Refused,
    ToolResult,
    hosting,
)
from seglam_agents.hosting import (
    Asked,
    Effect,
    Entry,
    Flow,
    Journal,
    Json,
    Told,
    Turn,
    Value,
    Write,
    adrive,
    arguments_model,
    decode,
    described_procedure,
    digest,
    effect_of,
    encoded_or_described,
    find_entry,
    nearest,
    new_id,
    once,
    origin_of,
    planned,
    provenance_of,
    render,
    result_document,
    result_instead,
    told,
    untitled,
    work,
)
from seglam_agents.hosting import tool_name as name_of

MOST = 32
"""Procedures that are offered: models choose badly among many tools, and clients cut them off."""
_ALL = 1_000_000
ANSWERED: Mapping[str, Json] = {
    "type": "object",
    "properties": {
        "answer": {"description": "What the procedure answers."},
        "procedure": {"type": "string", "description": "The version that answered, as id@version."},
    },
    "required": ["answer", "procedure"],
}


@dataclass(frozen=True, slots=True)
class Offered:
    """One tool, as it is offered."""

    name: str
    description: str
    arguments: Mapping[str, Json]
    """JSON Schema."""
    result: Mapping[str, Json]
    """JSON Schema."""
    effect: Effect
    idempotent: bool
    about: Mapping[str, Json]
    """Where it comes from."""

    @property
    def seal(self) -> str:
        """Changes when a client has to list the tools again."""
        return digest(self.name, self.description, dict(self.arguments), dict(self.result), self.effect)


class _Question(BaseModel):
    model_config: ClassVar = ConfigDict(extra="forbid", strict=True)

    request: str = Field(description="What is asked, as one self-contained text.", min_length=1)
    context: dict[str, Json] = Field(default_factory=dict, description="Typed values that are not in the text.")


class Offering:
    """The active procedures of a cache as tools, those with most hits first, with `ask` and `why`.

    Args:
        cache: whose procedures.
        tools: what carries out the calls of procedures; those that call others are not offered.
        only: patterns of the names of procedures, such as `split_*`; all without any.
        most: how many procedures are offered.
    """

    def __init__(
        self, cache: ReasoningCache, tools: Sequence[HostTool] = (), only: Sequence[str] = (), most: int = MOST
    ) -> None:
        self._cache = cache
        self._tools = {item.tool.name: item for item in tools}
        self._only = tuple(only)
        self._most = most
        self._journal = Journal(cache.store, cache.scope)
        self._seen = 0

    def listed(self) -> list[Offered]:
        """Return what is offered now. Never raises: without a store there are `ask` and `why`."""
        sought = _ALL if self._only else self._most
        entries = nearest(self._cache, None, sought, available=set(self._tools))
        wanted = [entry for entry in entries if self._wanted(entry)][: max(self._most, 0)]
        return [*(_offered(entry) for entry in wanted), self._ask(), _WHY]

    def changed(self) -> bool:
        """Tell whether something was written since the last time that this was asked.

        Raises:
            StoreError: the store is gone.
        """
        found = self._cache.store.changes(self._cache.scope, since=self._seen)
        self._seen = found.revision
        return bool(found.entries)

    async def call(self, name: str, arguments: Mapping[str, Json], request_id: str | None) -> tuple[Told, Json]:
        """Call a tool, and return what it says, with its result in the form that was promised. Never raises.

        Args:
            name: of the tool.
            arguments: as they came.
            request_id: the caller's own name of the request: called again by it, each write is made once.
        """
        if name == "ask":
            return await self._answered(arguments, request_id)
        if name == "why":
            return await self._explained(arguments)
        entry = await asyncio.to_thread(find_entry, self._cache, name, set(self._tools))
        if entry is None or not self._wanted(entry):
            return Told(f"there is no tool {name!r} now: list the tools again", error=True), None
        said = await adrive(self._used(entry, arguments, request_id))
        return said, {"answer": said.answer, "procedure": said.procedure}

    def _used(self, entry: Entry, arguments: Mapping[str, Json], request_id: str | None) -> Flow[Told]:
        plan = yield from work(lambda: planned(self._cache, entry.procedure, arguments))
        if isinstance(plan, Refused):
            return Told(plan.reason, error=True)
        turn = Turn(plan=plan, origin=origin_of(None, request_id=request_id), scope=self._cache.scope.key)
        attempt = new_id("attempt")
        asked: list[Asked] = []

        def call(action: Call) -> Flow[ToolResult]:
            asked.append(Asked(id=new_id(), tool=action.tool, arguments=dict(action.arguments)))
            write = turn.model_copy(update={"asked": tuple(asked)}).write(asked[-1].id)
            return (yield from self._once(action, write, attempt))

        action, steps = yield from hosting.running(self._cache, plan, call)
        return (yield from work(lambda: told(self._cache, plan, action, steps)))

    def _once(self, action: Call, write: Write | None, attempt: str) -> Flow[ToolResult]:
        def run() -> Flow[ToolResult]:
            return (yield from work(lambda: _carried_out(self._tools[action.tool], action.arguments)))

        return once(self._journal, write, attempt, run, instead=result_instead, document=result_document)

    async def _answered(self, arguments: Mapping[str, Json], request_id: str | None) -> tuple[Told, Json]:
        asked = _read(arguments)
        if isinstance(asked, Told):
            return asked, None
        outcome = await self._cache.aanswer(asked.request, context=asked.context, request_id=request_id)
        document = _outcome(outcome)
        return Told(render(outcome.answer) if outcome.answer is not None else str(document["reason"])), document

    async def _explained(self, arguments: Mapping[str, Json]) -> tuple[Told, Json]:
        asked = _read(arguments)
        if isinstance(asked, Told):
            return asked, None
        found = await self._cache.aexplain(asked.request, context=asked.context, agents=True)
        stops: list[Json] = [{"procedure": x.procedure, "stage": x.stage, "reason": x.reason} for x in found.stops]
        document: dict[str, Json] = {
            "verdict": found.verdict,
            "accepted": list(found.accepted),
            "arguments": {key: dict(value) for key, value in found.arguments.items()},
            "stops": stops,
        }
        lines = [found.verdict, *(f"{stop.procedure}: {stop.stage}: {stop.reason}" for stop in found.stops)]
        return Told("\n".join(lines)), document

    def _wanted(self, entry: Entry) -> bool:
        name = entry.procedure.name
        return not self._only or any(fnmatchcase(name, pattern) for pattern in self._only)

    def _ask(self) -> Offered:
        effects: list[Effect] = [tool.effect for tool in self._cache.tools.values()]
        model = self._cache.model is not None
        more = "; a model answers what no procedure does" if model else ", or tells why none does"
        return Offered(
            "ask",
            f"Answers a request by a stored procedure{more}. Known requests cost no model call.",
            _schema(_Question),
            _OUTCOME,
            "write" if "write" in effects else "read",
            idempotent=False,
            about={"effect": "write" if "write" in effects else "read"},
        )


def _offered(entry: Entry) -> Offered:
    procedure = entry.procedure
    about = {**provenance_of(entry), "hits": entry.statistics.hits}
    writes = [use for use in procedure.tools if use.effect == "write"]
    return Offered(
        name_of(procedure),
        described_procedure(procedure),
        _schema(arguments_model(procedure)),
        {**ANSWERED, "properties": _properties(procedure.signature.answer)},
        effect_of(procedure),
        all(use.idempotent for use in writes),
        about,
    )


def _properties(answer: str) -> Json:
    known = ANSWERED["properties"]
    return {**known, "answer": {"description": answer}} if answer and isinstance(known, dict) else known


def _schema(model: type[BaseModel]) -> dict[str, Json]:
    return untitled({key: value for key, value in model.model_json_schema().items() if key != "description"})


def _read(arguments: Mapping[str, Json]) -> _Question | Told:
    try:
        return _Question.model_validate(dict(arguments))
    except ValidationError as error:
        return Told(str(error), error=True)


def _outcome(outcome: Outcome) -> dict[str, Json]:
    cited = outcome.citation.key if isinstance(outcome, (Hit, Recognised, Deopt)) else ""
    by: str = "procedure" if isinstance(outcome, (Hit, Recognised)) else "nobody"
    steps = outcome.steps if isinstance(outcome, (Hit, Recognised, Deopt, Miss)) else ()
    return {
        "outcome": type(outcome).__name__.lower(),
        "answer": outcome.answer,
        "answered_by": outcome.answered_by if isinstance(outcome, (Miss, Deopt)) else by,
        "procedure": cited,
        "reason": "" if isinstance(outcome, (Hit, Recognised)) else outcome.reason,
        "carried_out": [f"{step.tool}({dict(step.arguments)})" for step in steps],
    }


def _carried_out(item: HostTool, arguments: Mapping[str, Json]) -> ToolResult:
    given = {name: decode(value) for name, value in arguments.items()}
    returned: Value = item.function(**given)
    if inspect.isawaitable(returned):
        told = "its function returned something to wait for, and what it had done before that is not known"
        return ToolResult(error=f"{item.tool.name} did not come to its end: {told}", final=True)
    return ToolResult(value=decode(encoded_or_described(returned)))


_OUTCOME: Mapping[str, Json] = {
    "type": "object",
    "properties": {
        "outcome": {"enum": ["hit", "recognised", "miss", "deopt", "refused"]},
        "answer": {},
        "answered_by": {"enum": ["procedure", "new procedure", "model", "nobody"]},
        "procedure": {"type": "string"},
        "reason": {"type": "string"},
        "carried_out": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["outcome", "answer", "answered_by", "procedure", "reason", "carried_out"],
}
_EXPLAINED: Mapping[str, Json] = {
    "type": "object",
    "properties": {
        "verdict": {"type": "string"},
        "accepted": {"type": "array", "items": {"type": "string"}},
        "arguments": {"type": "object"},
        "stops": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["verdict", "accepted", "arguments", "stops"],
}
_WHY = Offered(
    "why",
    "Tells which stored procedures would answer a request, and where each of the others declines it. Runs nothing.",
    _schema(_Question),
    _EXPLAINED,
    "read",
    idempotent=True,
    about={"effect": "read"},
)
