"""`Request`: what is asked, in which context, and by whom (`Scope`)."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from seglam_agents.records.record import Json, Record, digest
from seglam_agents.records.tools import Tool

MAX_CHARACTERS = 20_000
"""A longer request is refused before anything looks at it: no template is that long, and a model would choke on it."""


class Scope(Record):
    """Who may see a procedure: a tenant, and within it the agents with the same tools and instructions."""

    tenant: str = "default"
    agent: str = ""
    """Fingerprint of the agent (`agent_fingerprint`), independent of its model; empty for a plain cache."""

    @property
    def key(self) -> str:
        """A short, stable key of the scope."""
        return digest(self.tenant, self.agent)

    @property
    def of_tenant(self) -> Scope:
        """The scope in which a tenant's own notes are kept, such as which agents it has."""
        return Scope(tenant=self.tenant)


class Request(Record):
    """One request: its text, typed context that is not in the text, and its scope."""

    text: str
    context: dict[str, Json] = Field(default_factory=dict[str, Json])
    scope: Scope = Scope()

    @property
    def key(self) -> str:
        """A stable key of the whole request."""
        return digest(self.text, self.context, self.scope.key)


def agent_fingerprint(tools: Iterable[Tool], system_prompt: str = "") -> str:
    """Return the fingerprint of an agent: its tools' names and schemas and its instructions, not its model."""
    return digest(sorted((tool.name, tool.schema_hash) for tool in tools), system_prompt)
