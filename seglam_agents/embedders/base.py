"""`Embedder`: text to vectors. Method names are those of LangChain's `Embeddings`, so that one fits as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class Embedder(Protocol):
    """Turns text into vectors of one fixed length. Vectors find candidates; they decide nothing."""

    def embed_query(self, text: str) -> Sequence[float]:
        """Return the vector of one request."""
        ...

    def embed_documents(self, texts: list[str]) -> Sequence[Sequence[float]]:
        """Return one vector a text."""
        ...
