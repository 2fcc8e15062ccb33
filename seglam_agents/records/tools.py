"""`Tool`: what an agent may call, with its effect. Only declared tools exist for a procedure."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import Field

from seglam_agents.records.record import Json, Record, digest
from seglam_agents.records.values import Value

Effect: TypeAlias = Literal["pure", "read", "write"]


class Tool(Record):
    """The signature and the effect of one tool; the function itself stays with the host."""

    name: str
    description: str = ""
    parameters: dict[str, Json] = Field(default_factory=dict[str, Json])
    """JSON Schema of the arguments object; the order of its properties is the order of positional arguments."""
    effect: Effect = "write"
    """The careful default: a tool that says nothing is taken to write."""
    idempotent: bool = False

    @property
    def argument_names(self) -> tuple[str, ...]:
        """Names of the arguments, in positional order."""
        return tuple(self._schemas)

    def undeclared(self, arguments: Iterable[str]) -> tuple[str, ...]:
        """Return those arguments that the schema neither declares nor allows: no code may pass them."""
        if self.parameters.get("additionalProperties"):
            return ()
        return tuple(name for name in arguments if name not in self._schemas)

    @property
    def constants(self) -> frozenset[str]:
        """Arguments that no code may put together, such as a statement: `"x-constant": true` in their schema."""
        return frozenset(
            name for name, schema in self._schemas.items() if isinstance(schema, dict) and schema.get("x-constant")
        )

    def choices(self, argument: str) -> tuple[Json, ...]:
        """Return the closed set of values that the schema allows for an argument; nothing where it is open."""
        schema = self._schemas.get(argument)
        values = schema.get("enum") if isinstance(schema, dict) else None
        return tuple(values) if isinstance(values, list) else ()

    @property
    def _schemas(self) -> dict[str, Json]:
        properties = self.parameters.get("properties")
        return properties if isinstance(properties, dict) else {}

    @property
    def schema_hash(self) -> str:
        """Changes when the arguments or the effect change: a procedure that used the old ones is stale."""
        return digest(self.parameters, self.effect, self.idempotent)

    @property
    def condition(self) -> str:
        """Changes when anything changes that a model reads of it, its description too: see `same_condition`."""
        return f"{self.schema_hash}/{digest(' '.join(self.description.split()))}"


@dataclass(frozen=True, slots=True)
class HostTool:
    """A tool with the function that runs it. The function may raise: the body then sees a RuntimeError.

    Raises:
        TypeError: the function is a coroutine function, which bodies cannot wait for.
    """

    tool: Tool
    function: Callable[..., Value]

    def __post_init__(self) -> None:
        if inspect.iscoroutinefunction(self.function) or inspect.isasyncgenfunction(self.function):
            raise TypeError(
                f"the function of {self.tool.name} is async, and a body waits for no event loop: pass one that blocks, "
                "such as `lambda **arguments: asyncio.run(function(**arguments))`, or use the adapter of your framework"
            )


def same_condition(learnt: str, today: str) -> bool:
    """Tell whether a tool is as it was. What older records kept is the schema's part alone, and compared as such."""
    return learnt == today or ("/" not in learnt and learnt == today.partition("/")[0])


def same_schema(learnt: str, today: str) -> bool:
    """Tell whether two conditions of a tool differ in its description at most."""
    return learnt.partition("/")[0] == today.partition("/")[0]


def reading(tools: Iterable[Tool]) -> frozenset[str]:
    """Return the names of those tools that change nothing."""
    return frozenset(tool.name for tool in tools if tool.effect != "write")
