"""`FastEmbedEmbedder`: any text model of FastEmbed, on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol

from seglam_agents.records.errors import SeglamError

try:
    # By name: type checkers take `fastembed` for this very module where the package is not installed.
    fastembed = import_module("fastembed")
except ImportError as error:
    raise ImportError("FastEmbedEmbedder needs FastEmbed: pip install 'seglam-agents[fastembed]'") from error


class FastEmbedEmbedder:
    """A text model of FastEmbed as an `Embedder`.

    A stored request and a new one are embedded in the same way, since they are texts of the same sort.

    Args:
        model_name: as in `TextEmbedding.list_supported_models()`.
        cache_dir: the folder of the downloaded models; FastEmbed's own choice without it.
        threads: how many threads one call may use; onnxruntime's own choice without it.
        local_files_only: whether a model that is not in `cache_dir` is an error, and not downloaded.

    Raises:
        SeglamError: the model does not exist, or is not on this machine and may not be downloaded.
    """

    def __init__(
        self,
        model_name: str,
        *,
        cache_dir: str | Path | None = None,
        threads: int | None = None,
        local_files_only: bool = True,
    ) -> None:
        folder = None if cache_dir is None else str(cache_dir)
        try:
            self._model: _Model = fastembed.TextEmbedding(
                model_name, cache_dir=folder, threads=threads, local_files_only=local_files_only
            )
        except (OSError, ValueError) as error:
            raise SeglamError(_problem(model_name, local_files_only, error)) from error

    def embed_query(self, text: str) -> Sequence[float]:
        """Return the vector of one request."""
        return self.embed_documents([text])[0]

    def embed_documents(self, texts: list[str]) -> Sequence[Sequence[float]]:
        """Return one vector a text."""
        # One by one: padding to the longest of a batch would change the vectors of the others.
        return [
            [float(number) for number in vector]
            for vector in self._model.embed([_readable(text) for text in texts], batch_size=1)
        ]


class _Model(Protocol):
    def embed(self, documents: Iterable[str], batch_size: int = ...) -> Iterable[Iterable[float]]: ...


_LONGEST: Final = 50_000  # characters; more than any of the models reads


def _readable(text: str) -> str:
    return text[:_LONGEST].encode("utf-8", "replace").decode()  # tokenizers refuse lone surrogates


def _problem(model_name: str, local_files_only: bool, error: Exception) -> str:
    advice = "check the name against fastembed.TextEmbedding.list_supported_models()"
    if local_files_only:
        advice += ", and download the model once with local_files_only=False"
    return f"FastEmbed cannot open the model {model_name!r}: {str(error).rstrip('.')}. Please {advice}"
