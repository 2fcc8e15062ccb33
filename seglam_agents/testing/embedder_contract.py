"""`EmbedderContract`: what every embedder must do. Inherit from it in a test module and give it the fixture `embedder`.

```python
class TestMyEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return MyEmbedder()
```
"""

# ruff: noqa: S101  # these are tests
from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from seglam_agents.embedders.base import Embedder
from seglam_agents.testing.with_pytest import pytest

REQUESTS: Final = (
    "Split a bill of $84.60 with a 15% tip among four people.",
    "How many days are there from 3 March 2024 to 17 May 2024?",
    "Sortiere diese Namen: Zoë, Jürgen, Åsa",
    "把 120 公里换算成英里",
)
LONE_SURROGATES: Final = "\ud800 and \udfff"
ODD: Final = {
    "empty": "",
    "blank": " \t\r\n\u00a0\u200b",
    "nul": "\x00\x01\x7f",
    "symbols": "?!%$€ -- … “”",
    "digits only": "12,345.67",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈 \U0001f9ff",
    "right to left": "\u202eكم يومًا بين التاريخين؟",
    "marks only": "\u0300" * 50,
    "noncharacters": "\ufffe\uffff\U0010ffff",
    "a ligature that expands": "\ufdfa" * 1_000,
    "1 MB, one word": "x" * 1_000_000,
    "1 MB, many words": "".join(f"word{number} " for number in range(90_000))[:1_000_000],
}


class EmbedderContract:
    """Everything that an embedder must keep to, whichever way it makes its vectors."""

    @pytest.fixture
    def embedder(self) -> Embedder:
        """Return the embedder under test: every heir overrides this."""
        raise NotImplementedError("give the contract an embedder: override the fixture `embedder`")

    def test_fits_the_protocol(self, embedder: Embedder) -> None:
        """It has the verbs of an embedder."""
        assert isinstance(embedder, Embedder)

    def test_has_one_length(self, embedder: Embedder) -> None:
        """Every vector is as long as every other."""
        texts = [*REQUESTS, *ODD.values()]
        assert len({len(embedder.embed_query(text)) for text in texts}) == 1

    def test_is_deterministic(self, embedder: Embedder) -> None:
        """The same text has the same vector each time."""
        for text in REQUESTS:
            assert_same(embedder.embed_query(text), embedder.embed_query(text))

    def test_a_batch_gives_what_single_calls_give(self, embedder: Embedder) -> None:
        """A batch has one vector a text, in their order, the same as alone."""
        texts = [*REQUESTS, "", REQUESTS[0]]
        vectors = embedder.embed_documents(texts)
        assert len(vectors) == len(texts)
        for text, vector in zip(texts, vectors, strict=True):
            assert_same(vector, embedder.embed_query(text))

    def test_an_empty_batch_is_empty(self, embedder: Embedder) -> None:
        """No texts have no vectors."""
        assert len(embedder.embed_documents([])) == 0

    @pytest.mark.parametrize("text", ODD.values(), ids=ODD)
    def test_every_text_has_a_vector(self, embedder: Embedder, text: str) -> None:
        """No text raises, and none has a vector that cannot be compared."""
        assert_comparable(embedder.embed_query(text))
        assert_comparable(embedder.embed_documents([text])[0])

    def test_text_without_utf8_has_a_vector(self, embedder: Embedder) -> None:
        """Lone surrogates, which no encoding knows, do not raise either."""
        assert_comparable(embedder.embed_query(LONE_SURROGATES))

    def test_threads_share_it(self, embedder: Embedder) -> None:
        """Calls at the same time give what calls one after the other give."""
        texts = [f"{text} ({turn})" for turn in range(25) for text in REQUESTS]
        alone = [embedder.embed_query(text) for text in texts]
        with ThreadPoolExecutor(8) as threads:
            for expected, vector in zip(alone, threads.map(embedder.embed_query, texts), strict=True):
                assert_same(vector, expected)


def assert_comparable(vector: Sequence[float]) -> None:
    """Assert that a vector has a cosine with others."""
    assert all(map(math.isfinite, vector))
    assert any(vector)


def assert_same(one: Sequence[float], other: Sequence[float]) -> None:
    """Assert that two vectors are equal but for the rounding of the machine."""
    assert list(one) == pytest.approx(list(other), rel=1e-4, abs=1e-5)
