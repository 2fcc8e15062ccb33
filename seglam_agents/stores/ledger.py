"""`Ledger`: who wrote what last in a scope, as pure values; `seglam_agents.stores.qdrant` explains the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from seglam_agents.records.errors import SchemaError, StoreError
from seglam_agents.records.request import Scope
from seglam_agents.stores.layout import KIND, REVISION, SCOPE, Payload

REMEMBERED = 128
"""How many claims a writer may be overtaken by and still learn that its own went through."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write under way: everything that another process needs to finish it."""

    revision: int
    payload: Payload
    vector: list[float] | None

    @property
    def procedure_id(self) -> str:
        """The id of the procedure that is written."""
        return str(self.payload["procedure_id"])

    @property
    def version(self) -> int:
        """The version that is written."""
        return cast(int, self.payload["version"])


@dataclass(frozen=True, slots=True)
class Ledger:
    """The last revision of a scope, and the write that may not have reached its points yet."""

    revision: int = 0
    nonces: tuple[str, ...] = ()
    """Who claimed the last revisions, oldest first."""
    pending: Write | None = None

    @property
    def nonce(self) -> str:
        """Who claimed the last revision; empty when nobody ever did."""
        return self.nonces[-1] if self.nonces else ""

    @property
    def settled(self) -> int:
        """The last revision whose points are known to be in place."""
        return self.revision - 1 if self.pending else self.revision

    def claim(self, nonce: str, write: Write) -> Ledger:
        """Return the ledger in which a writer has claimed the next revision."""
        return Ledger(write.revision, (*self.nonces, nonce)[-REMEMBERED:], write)

    def cleared(self) -> Ledger:
        """Return the ledger with nothing pending."""
        return replace(self, pending=None)

    def refused(self, nonce: str) -> Ledger:
        """Return the ledger in which the pending write was given up: its claim is not found any more."""
        return replace(self, nonces=(*self.nonces[:-1], nonce), pending=None)

    def went_through(self, claimed: Ledger) -> bool:
        """Tell, from the ledger as it is now, whether a claim was accepted.

        Raises:
            StoreError: too many others have written since, so that nobody can tell.
        """
        if claimed.nonce in self.nonces:
            return True
        if self.revision - claimed.revision >= REMEMBERED:
            raise StoreError("overtaken by too many writers to know whether this write went through: read it again")
        return False

    def to_payload(self, scope: Scope) -> Payload:
        """Return the payload of the ledger's point."""
        pending = self.pending
        return {
            KIND: "ledger",
            SCOPE: scope.key,
            "tenant": scope.tenant,
            "agent": scope.agent,
            REVISION: self.revision,
            "nonce": self.nonce,
            "nonces": list(self.nonces),
            "pending": {"payload": pending.payload, "vector": list(pending.vector or [])} if pending else None,
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, object] | None) -> Ledger:
        """Read the payload of a ledger's point.

        Raises:
            SchemaError: the point is damaged.
        """
        fields = payload or {}
        try:
            revision, nonces = cast(int, fields[REVISION]), cast(list[str], fields["nonces"])
            pending = cast(Mapping[str, object] | None, fields["pending"])
            write = None if pending is None else _write(revision, pending)
        except KeyError as error:
            raise SchemaError(f"the ledger of a scope lacks {error}: restore the collection from a snapshot") from error
        return cls(revision, tuple(nonces), write)


def _write(revision: int, pending: Mapping[str, object]) -> Write:
    vector = cast(list[float], pending["vector"])
    return Write(revision, cast(Payload, pending["payload"]), vector or None)
