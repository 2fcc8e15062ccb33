"""`Record`: what is stored or crosses a process. Frozen, strict, with a schema version and migrations.

A record is written with the schema version of the package that wrote it. Reading an older record runs the
migrations between; reading a newer one is a `SchemaError`, never a guess.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from seglam_agents.records.errors import SchemaError

Json: TypeAlias = JsonValue
Migration: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


class Record(BaseModel):
    """A frozen value with a JSON form."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class VersionedRecord(Record):
    """A record that is stored on its own and outlives the package version that wrote it."""

    SCHEMA: ClassVar[int] = 1
    """The version that this package writes."""
    MIGRATIONS: ClassVar[tuple[Migration, ...]] = ()
    """`MIGRATIONS[n]` turns a document of version n + 1 into one of version n + 2."""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document, with its schema version."""
        return {"schema": self.SCHEMA, **self.model_dump(mode="json")}

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Read a document of this or an older schema version.

        Raises:
            SchemaError: the document is newer than this package, or is no such record.
        """
        if not isinstance(document, dict):
            raise SchemaError(f"expected a JSON object for {cls.__name__}, got {type(document).__name__}")
        fields: dict[str, Any] = dict(document)  # pyright: ignore[reportUnknownArgumentType]  # checked by validation below
        version = fields.pop("schema", None)
        if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= cls.SCHEMA:
            raise SchemaError(
                f"{cls.__name__} of schema {version!r} cannot be read: this package reads 1 to {cls.SCHEMA}. "
                "Upgrade seglam-agents, or restore the store from a backup of this version."
            )
        try:
            for migrate in cls.MIGRATIONS[version - 1 :]:
                fields = migrate(fields)
            # JSON mode, because strict fields such as datetimes and tuples arrive as strings and lists.
            return cls.model_validate_json(json.dumps(fields))
        except (ValidationError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise SchemaError(f"not a {cls.__name__}: {error}") from error


def known_fields(kind: type[Record], document: Mapping[str, object]) -> dict[str, object]:
    """Return those fields of a document that a record of this version has."""
    return {key: value for key, value in document.items() if key in kind.model_fields}


def leaves(document: Json) -> Iterator[Json]:
    """Yield every value of a document that is neither a list nor a record."""
    if isinstance(document, dict):
        for value in document.values():
            yield from leaves(value)
    elif isinstance(document, list):
        for value in document:
            yield from leaves(value)
    else:
        yield document


def digest(*parts: object, length: int = 16) -> str:
    """Return a stable hexadecimal SHA-256 digest of JSON-able parts, cut to `length` characters."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
