"""`Procedure`: guard + body + everything needed to trust, review and repeat them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from seglam_agents.records.record import Json, Migration, Record, VersionedRecord, digest
from seglam_agents.records.request import Scope
from seglam_agents.records.tools import Effect, Tool

FIRST_SANDBOX: Final = "monty"
"""The sandbox of records that name none: it was the only default when they were written."""


class Parameter(Record):
    """One argument of the body, bound by a slot of the guard or by a key of the request's context."""

    name: str
    slot: str
    """The slot as templates spell it, such as `money` or `choice(red|blue)`; a JSON type name for a context value."""
    optional: bool = False
    """True where some template lacks the slot: the body then gets None."""
    source: Literal["text", "context"] = "text"


class GuardSource(Record):
    """A guard as data: templates with an optional predicate, or code where no template fits."""

    templates: tuple[str, ...] = ()
    where: str | None = None
    """An expression over the arguments that must be true, e.g. `count > 0`."""
    code: str | None = None
    """Python that defines `match(request) -> dict | None`, run in the sandbox."""

    @model_validator(mode="after")
    def _templates_or_code(self) -> Self:
        if bool(self.templates) == bool(self.code):
            raise ValueError("a guard has either templates or code")
        return self


class ToolUse(Record):
    """A tool that the body declares, as it was when the procedure was admitted."""

    name: str
    effect: Effect
    idempotent: bool = False
    schema_hash: str = ""
    arguments: tuple[str, ...] = ()
    called: str = ""
    """What the body calls it where its name is none that code can use: `get_price` for "get-price"."""
    condition: str = ""
    """What a model read of it (`Tool.condition`); empty in older records."""

    @classmethod
    def of(cls, tool: Tool, called: str = "") -> Self:
        """Return a tool as it is now.

        Args:
            tool: the tool.
            called: what the body calls it.
        """
        return cls(
            name=tool.name,
            called="" if called == tool.name else called,
            effect=tool.effect,
            idempotent=tool.idempotent,
            schema_hash=tool.schema_hash,
            arguments=tool.argument_names,
            condition=tool.condition,
        )

    def today(self, tool: Tool | None) -> Self:
        """Return it as the tool is declared now: a wrong effect may have been mended since it was learnt."""
        if tool is None or tool.schema_hash == self.schema_hash:
            return self
        return self.of(tool).model_copy(update={"called": self.called, "condition": self.condition})


class Example(Record):
    """A request with its right answer, or (as counterexample) a request that the guard must decline."""

    text: str
    context: dict[str, Json] = Field(default_factory=dict[str, Json])
    answer: Json = None
    origin: Literal["request", "trace", "model", "mutation", "correction", "neighbour"] = "request"
    trace_id: str | None = None


class Signature(Record):
    """What a procedure answers, in words that a model or a person can decide by."""

    answer: str = ""
    """What exactly the answer is."""
    excludes: str = ""
    """What the answer is not, where that is easily mistaken."""
    form: str = ""
    """How the answer looks: its unit, its order, its language."""
    rounding: str = ""
    untaken: tuple[str, ...] = ()
    """Words and numbers of a request that it leaves untaken on purpose, such as "rounded to cents"."""


ClosingChoice: TypeAlias = Literal["auto", "code", "report", "model"]
ClosingMode: TypeAlias = Literal["answer", "code", "report", "model"]


class Closing(Record):
    """How the last message of a run is made.

    `answer`: what the body returns is the message. `code`: the phrasing of one run, whose places are all explained.
    `report`: rendered from the calls that were carried out. `model`: the steps are served, the host's model says it.
    """

    mode: ClosingMode = "answer"
    phrasing: str = ""
    """The template of the message for `code`."""

    @property
    def apart(self) -> bool:
        """True where the message is not what the body returns, which may return nothing."""
        return self.mode in ("report", "model")


class Conditions(Record):
    """What held when a procedure was learnt. Where it does not hold any more, the procedure runs in shadow."""

    instructions: str = ""
    """`instructions_digest` of what the agent is told; of older records the first part alone; empty for nothing."""
    tools: dict[str, str] = Field(default_factory=dict[str, str])
    """`Tool.condition` of the tools that the procedure uses, by name; of older records the schema's part alone."""

    @property
    def key(self) -> str:
        """A short, stable key."""
        return digest(self.instructions.partition("/")[0], sorted(self.tools.items()))


class Provenance(Record):
    """Where a procedure came from."""

    compiler: str
    model: str = ""
    prompt_hash: str = ""
    trace_ids: tuple[str, ...] = ()
    parent: str | None = None
    """`id@version` of the procedure that this one widens or corrects."""
    repairs: int = 0
    created_at: datetime | None = None


def _without_status(document: dict[str, Any]) -> dict[str, Any]:
    """Version 1 kept the status here; it is the entry's now."""
    return {name: value for name, value in document.items() if name != "status"}


class Procedure(VersionedRecord):
    """An immutable version of a stored answer to a kind of request."""

    SCHEMA: ClassVar[int] = 2
    MIGRATIONS: ClassVar[tuple[Migration, ...]] = (_without_status,)

    id: str
    version: int = 1
    name: str
    description: str = ""
    scope: Scope = Scope()
    guard: GuardSource
    body: str
    """Python source that defines `run(...)`."""
    parameters: tuple[Parameter, ...] = ()
    tools: tuple[ToolUse, ...] = ()
    examples: tuple[Example, ...] = ()
    counterexamples: tuple[Example, ...] = ()
    provenance: Provenance
    signature: Signature = Signature()
    closing: Closing = Closing()
    instructions: str = ""
    """Digest of the instructions that the agent had when this was learnt; empty where it had none."""
    sandbox: str = ""
    """The name of the sandbox that it was admitted in; empty in older records, which were for Monty. See `home`."""

    @property
    def content_hash(self) -> str:
        """SHA-256 over everything that decides an answer: guard, body, parameters, tools, closing and sandbox."""
        # What version 1 did not have counts only where it is used: hashes that were written down stay true.
        elsewhere = "" if self.home == FIRST_SANDBOX else self.home
        later = [part for part in (self._closing_part, elsewhere) if part]
        return digest(
            self.guard.model_dump(mode="json"),
            self.body,
            [parameter.model_dump(mode="json") for parameter in self.parameters],
            [
                tool.model_dump(mode="json", exclude={"condition"} if tool.called else {"condition", "called"})
                for tool in self.tools
            ],
            *later,
            length=64,
        )

    @property
    def home(self) -> str:
        """The name of the one sandbox that it runs in: two interpreters that differ must not take turns."""
        return self.sandbox or FIRST_SANDBOX

    @property
    def conditions(self) -> Conditions:
        """What held when it was learnt."""
        used = {tool.name: tool.condition or tool.schema_hash for tool in self.tools}
        return Conditions(instructions=self.instructions, tools=used)

    @property
    def key(self) -> str:
        """`id@version`, the name by which answers cite a procedure."""
        return f"{self.id}@{self.version}"

    @property
    def pure(self) -> bool:
        """True when the body calls no tool."""
        return not self.tools

    @property
    def writes(self) -> bool:
        """True when a tool of it changes something."""
        return any(use.effect == "write" for use in self.tools)

    @property
    def _closing_part(self) -> dict[str, Json] | None:
        return None if self.closing == Closing() else self.closing.model_dump(mode="json")
