"""`Request`: what is asked, in which context, and by whom (`Scope`)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from pydantic import Field

from seglam_agents.records.record import Json, Record, digest
from seglam_agents.records.tools import Tool

MAX_CHARACTERS = 20_000
"""A longer request is refused before anything looks at it: no template is that long, and a model would choke on it."""


_MEANS = "%&@/\\"
"""Punctuation that says something."""


class Scope(Record):
    """Who may see a procedure: a tenant, and within it an agent."""

    tenant: str = "default"
    agent: str = ""
    """The agent's name (`agent_named`); empty for a plain cache. What it is told and which schemas its tools have are
    conditions of its procedures instead, so that a mended typing error does not make a cold cache."""

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


def name_problem(what: str, name: object) -> str | None:
    """Return why something names no tenant or agent, or None."""
    if not isinstance(name, str) or not name.strip():
        return f"{what}={name!r} names nobody: leave it out where there is one {what} only"
    if any("\ud800" <= character <= "\udfff" for character in name):
        return f"{what}={name!r} holds half a surrogate pair, which no store can keep: give it as Unicode text"
    return None


def agent_named(name: str | None, tools: Iterable[Tool]) -> str:
    """Return what a scope calls an agent: its name, or without one the names of its tools."""
    names = sorted(tool.name for tool in tools)
    return name if name else f"tools-{digest(names)}" if names else ""


def instructions_digest(instructions: str) -> str:
    """Return the digest of an agent's instructions, regardless of white space; empty for none.

    Behind a slash stands that of what is left without case and punctuation: see `same_instructions`.
    """
    plain = " ".join(instructions.split())
    return f"{digest(plain)}/{digest(_unadorned(plain))}" if plain else ""


def same_instructions(learnt: str, today: str) -> bool:
    """Tell whether two digests are of the same instructions, but for white space, case and punctuation.

    What older records kept says nothing of the latter, and is compared as far as it goes.
    """
    (exact, _, plain), (exact_now, _, plain_now) = learnt.partition("/"), today.partition("/")
    return exact == exact_now or bool(plain and plain == plain_now)


def instructions_beside(instructions: str, *more: str) -> str:
    """Return the digest of instructions with something beside them; as they are, where there is nothing.

    Args:
        instructions: their digest.
        more: digests of instructions, or of what is no prose and is compared to the letter, such as a schema.
    """
    if not any(more):
        return instructions
    exact, _, plain = instructions.partition("/")
    besides = [part.partition("/") for part in more if part]
    joined = digest(exact, *(part for part, _, _ in besides))
    return f"{joined}/{digest(plain or exact, *(loose or part for part, _, loose in besides))}"


def _unadorned(text: str) -> str:
    """Return a text without case and punctuation, except in numbers: "1,000", "-5" and "2.5%" stay what they are."""
    kept = [
        mark if mark in _MEANS or not unicodedata.category(mark).startswith("P") or following.isdigit() else " "
        for mark, following in zip(text, f"{text[1:]} ", strict=True)
    ]
    return " ".join("".join(kept).casefold().split())


def fingerprint_of_version_1(tools: Iterable[Tool], system_prompt: str = "") -> str:
    """Return what version 1 of the records called an agent: its tools with their schemas, and its instructions."""
    return digest(sorted((tool.name, tool.schema_hash) for tool in tools), system_prompt)
