"""Procedures as tools: their names, what a model is told of them, and their arguments."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Annotated, Literal, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    create_model,
)

from seglam_agents.embedders.base import Embedder
from seglam_agents.hosting.base import HostedCache
from seglam_agents.hosting.safety import safely
from seglam_agents.records.entry import Entry
from seglam_agents.records.outcome import Refused
from seglam_agents.records.procedure import Parameter, Procedure
from seglam_agents.records.record import Json
from seglam_agents.records.telling import tell
from seglam_agents.records.tools import Effect
from seglam_agents.stores.base import SearchableStore

logger = logging.getLogger(__name__)

PREFIX = "proc_"
MAX_NAME = 64
"""Characters of a tool's name that every provider takes."""
MAX_DESCRIPTION = 1_024
EFFECTS: tuple[Effect, ...] = ("pure", "read", "write")

_NUMBERS = frozenset({"number", "percent", "multiple", "fraction"})
_COUNTS = frozenset({"count", "ordinal"})
# A whole number stays one: as 1100.0 it would be another text, and another order.
_Number = Annotated[StrictInt | StrictFloat, WithJsonSchema({"type": "number"})]
_JSON_TYPES: Mapping[str, object] = {
    "string": StrictStr,
    "number": _Number,
    "integer": StrictInt,
    "boolean": StrictBool,
    "array": list[Json],
    "object": dict[str, Json],
}


def tool_name(procedure: Procedure) -> str:
    """Return the name under which a procedure is a tool: any worker finds the procedure by it again."""
    ident = re.sub(r"[^a-zA-Z0-9_-]", "_", procedure.id)
    name = re.sub(r"[^a-z0-9]+", "_", procedure.name.lower()).strip("_")
    if ident.startswith(f"{name}-"):
        return f"{PREFIX}{ident}"[:MAX_NAME]
    room = MAX_NAME - len(PREFIX) - len(ident) - 1
    return f"{PREFIX}{name[:room]}_{ident}" if room > 0 else f"{PREFIX}{ident}"[:MAX_NAME]


def is_procedure_tool(name: str) -> bool:
    """Tell whether a tool's name is one that `tool_name` gives."""
    return name.startswith(PREFIX)


def serving(cache: HostedCache, available: set[str] | None = None) -> list[Entry]:
    """Return the procedures that serve and whose tools are all available; whatever their tools, with None.

    Raises:
        StoreError: the store is gone.
    """
    return [entry for entry in cache.procedures() if _offered(entry, available)]


def find_entry(cache: HostedCache, name: str, available: set[str] | None = None) -> Entry | None:
    """Return the serving procedure with this tool name; None where there is none, or the store is gone."""
    if not is_procedure_tool(name):
        return None
    return safely(
        lambda: next((entry for entry in serving(cache, available) if tool_name(entry.procedure) == name), None),
        None,
        "the procedures of the cache cannot be read",
    )


def nearest(
    cache: HostedCache, query: str | None, k: int, *, available: set[str], embedder: Embedder | None = None
) -> list[Entry]:
    """Return the serving procedures nearest to a query whose tools are all available; those with most hits without one.

    Never raises: without a store there are none.

    Args:
        cache: whose procedures.
        query: a request.
        k: how many.
        available: the names of the tools that can be called.
        embedder: that of the stored vectors, where it is not the cache's own.
    """
    try:
        entries = serving(cache, available)
        if query is None or not entries:
            return _first(cache, sorted(entries, key=lambda x: (-x.statistics.hits, x.procedure.id)), k)
        near = _near(cache, query, 4 * k, embedder)
        ranks = {entry.procedure.id: rank for rank, entry in enumerate(near)}
        words = _words(query)
        ranked = sorted(
            entries, key=lambda x: (ranks.get(x.procedure.id, len(near)), -_overlap(x, words), x.procedure.id)
        )
        return _first(cache, ranked, k)
    except Exception as error:
        tell(logger, "no procedures can be offered as tools", error)
        return []


def provenance_of(entry: Entry) -> dict[str, Json]:
    """Return the effect and the provenance of a procedure, for the metadata of a tool."""
    procedure = entry.procedure
    clean = entry.report.clean_replays
    return {
        "effect": effect_of(procedure),
        "seglam": {
            "procedure": procedure.key,
            "content_hash": procedure.content_hash,
            "tools": [use.name for use in procedure.tools],
            "compiler": procedure.provenance.compiler,
            "model": procedure.provenance.model,
            "trace_ids": list(procedure.provenance.trace_ids),
            "clean_replays": clean,
            "error_bound": min(1.0, 3 / clean) if clean else None,
        },
    }


def effect_of(procedure: Procedure) -> Effect:
    """Return the strongest effect of the tools of a procedure."""
    effects: list[Effect] = ["pure", *(use.effect for use in procedure.tools)]
    return max(effects, key=EFFECTS.index)


def described_procedure(procedure: Procedure) -> str:
    """Return what a model is told about a procedure."""
    parts = [procedure.description or procedure.name.replace("_", " ")]
    if procedure.signature.rounding:
        parts.append(f"The answer is {procedure.signature.rounding}.")
    if procedure.guard.templates:
        parts.append(f"Answers requests like: {procedure.guard.templates[0]}")
    if procedure.guard.where:
        parts.append(f"Only where {procedure.guard.where}.")
    return "\n".join(parts)[:MAX_DESCRIPTION]


def arguments_model(procedure: Procedure) -> type[BaseModel]:
    """Return the model of the arguments of a procedure, rebuilt from its stored parameters; others are forbidden."""
    fields = {_field_name(p.name): _field(p) for p in procedure.parameters}
    # The stubs of `create_model` take no dict of fields.
    return create_model(  # pyright: ignore[reportCallIssue, reportUnknownVariableType]
        f"{re.sub(r'[^a-zA-Z0-9]', '_', procedure.name)}_arguments",
        __config__=ConfigDict(extra="forbid", populate_by_name=True),
        __doc__=described_procedure(procedure),
        **fields,  # pyright: ignore[reportArgumentType]
    )


def untitled(schema: Mapping[str, Json]) -> dict[str, Json]:
    """Return a JSON Schema without the titles that pydantic makes of names; a property may be called title."""
    return cast("dict[str, Json]", _untitled(dict(schema)))


def _untitled(value: Json, *, named: bool = False) -> Json:
    if isinstance(value, list):
        return [_untitled(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _untitled(item, named=key in ("properties", "$defs") and not named)
        for key, item in value.items()
        if named or key != "title" or not isinstance(item, str)
    }


def _first(cache: HostedCache, entries: Sequence[Entry], k: int) -> list[Entry]:
    """Return the first k that serve under the conditions of today."""
    return list(islice((entry for entry in entries if _serves(cache, entry)), max(k, 0)))


def _serves(cache: HostedCache, entry: Entry) -> bool:
    bound = cache.bind(entry.procedure.id, {})
    return not isinstance(bound, Refused) or bound.kind != "no such procedure"


def _offered(entry: Entry, available: set[str] | None) -> bool:
    # One whose last message is the model's has nothing to give back.
    return (
        entry.status == "active"
        and entry.procedure.closing.mode != "model"
        and (available is None or all(use.name in available for use in entry.procedure.tools))
    )


def _field_name(name: str) -> str:
    return f"{name.strip('_')}_" if name.startswith(("_", "model_")) else name


def _field(parameter: Parameter) -> tuple[object, object]:
    kind, hint = _type_of(parameter.slot)
    alias = parameter.name if _field_name(parameter.name) != parameter.name else None
    if parameter.optional:
        return (cast("type[object]", kind) | None, Field(default=None, description=hint, alias=alias))
    return (kind, Field(description=hint, alias=alias))


def _type_of(slot: str) -> tuple[object, str]:
    """Return the type of a slot's value as a model gives it, and a hint: a text is read by the slot itself."""
    if slot in _JSON_TYPES:
        return _JSON_TYPES[slot], slot
    if slot in _COUNTS:
        return StrictInt, f"a {slot}"
    if slot in _NUMBERS:
        return _Number, f"a {slot}"
    if inner := re.fullmatch(r"list\((.*)\)", slot):
        kind, hint = _type_of(inner[1])
        return list[kind], f"a list; each {hint}"  # pyright: ignore[reportInvalidTypeArguments]
    if choice := re.fullmatch(r"choice\((.*)\)", slot):
        options = tuple(option.strip() for option in choice[1].split("|"))
        return Literal[options], "one of these"  # pyright: ignore[reportInvalidTypeForm]
    return str, f"a text that is a {slot}, as in a sentence"


def _near(cache: HostedCache, query: str, limit: int, embedder: Embedder | None) -> list[Entry]:
    if embedder is None:
        return cache.near(query, limit=limit)
    if not isinstance(cache.store, SearchableStore):
        return []
    try:
        vector = [float(number) for number in embedder.embed_query(query)]
        return [match.entry for match in cache.store.search(cache.scope, vector, limit=limit)]
    except Exception:
        # Another embedder made the stored vectors, or the store is gone: the words decide.
        return []


def _overlap(entry: Entry, words: set[str]) -> float:
    procedure = entry.procedure
    theirs = _words(" ".join((procedure.name, procedure.description, *procedure.guard.templates)))
    return len(words & theirs) / (len(words) or 1)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{2,}", text.casefold().replace("_", " ")))
