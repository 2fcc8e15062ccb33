"""The embedder contract on each embedder, and what each of them promises besides."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings

from seglam_agents.embedders.base import Embedder
from seglam_agents.embedders.static import NEAR, StaticEmbedder, default_embedder
from seglam_agents.records.errors import SeglamError
from seglam_agents.testing.embedder_contract import LONE_SURROGATES, ODD, REQUESTS, EmbedderContract

REPOSITORY = Path(__file__).parents[2]
LEAF = "seglam_agents.embedders.fastembed"


class TestStaticEmbedder(EmbedderContract):
    """The contract on the embedder that is used where none is given."""

    @pytest.fixture
    def embedder(self) -> Embedder:
        """Return the default one."""
        return default_embedder()


class TestLangChainEmbeddings(EmbedderContract):
    """The contract on embeddings of LangChain, as they are."""

    @pytest.fixture
    def embedder(self) -> Embedder:
        """Return LangChain's own fake."""
        embeddings: Embeddings = DeterministicFakeEmbedding(size=64)
        return embeddings

    def test_text_without_utf8_has_a_vector(self, embedder: Embedder) -> None:
        """The one thing that this fake does not keep to: it refuses text that has no UTF-8 form."""
        with pytest.raises(UnicodeEncodeError):
            embedder.embed_query(LONE_SURROGATES)


class FakeTextEmbedding:
    """Stands in for FastEmbed's class: the same calls, and as strict about text as its tokenizers."""

    def __init__(self, model_name: str, **options: Any) -> None:
        if model_name == "absent":
            raise ValueError("Could not load model absent from any source.")
        self.options = options
        created.append(self)

    def embed(self, documents: Iterable[str], batch_size: int = 256) -> Iterator[Sequence[float]]:
        """Give one vector a text, and another one to texts that were padded to the longest of a batch."""
        for text in documents:
            yield [float(batch_size), float(len(text.encode())), *map(float, text.encode()[:6].ljust(6))]


created: list[FakeTextEmbedding] = []


@pytest.fixture
def leaf(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module of the FastEmbed embedder, with a fake package below it."""
    fake = ModuleType("fastembed")
    fake.__dict__["TextEmbedding"] = FakeTextEmbedding
    monkeypatch.setitem(sys.modules, "fastembed", fake)
    monkeypatch.delitem(sys.modules, LEAF, raising=False)
    yield importlib.import_module(LEAF)
    sys.modules.pop(LEAF)
    created.clear()


class TestFastEmbedEmbedder(EmbedderContract):
    """The contract on FastEmbed, whose models are not at hand in a test."""

    @pytest.fixture
    def embedder(self, leaf: ModuleType) -> Embedder:
        """Return one with the fake model."""
        return leaf.FastEmbedEmbedder("some/model")


def test_fastembed_does_not_download_unasked(leaf: ModuleType) -> None:
    """Only who says so lets FastEmbed download a model."""
    leaf.FastEmbedEmbedder("some/model")
    leaf.FastEmbedEmbedder("some/model", local_files_only=False)
    assert [model.options["local_files_only"] for model in created] == [True, False]


def test_a_missing_model_names_the_next_step(leaf: ModuleType) -> None:
    """A model that is not on this machine is an error that says how to get it."""
    with pytest.raises(SeglamError, match=r"'absent'.*local_files_only=False"):
        leaf.FastEmbedEmbedder("absent")


def test_missing_fastembed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without FastEmbed, the import error says what to install."""
    monkeypatch.setitem(sys.modules, "fastembed", None)
    monkeypatch.delitem(sys.modules, LEAF, raising=False)
    with pytest.raises(ImportError, match=r"seglam-agents\[fastembed\]"):
        importlib.import_module(LEAF)


@pytest.mark.parametrize("seed", ["0", "1"])
def test_static_vectors_are_the_same_in_every_process(seed: str) -> None:
    """Another process, with another seed for `hash`, gives the very same numbers."""
    texts = [*REQUESTS, *ODD.values()]
    script = """
import json, sys
from seglam_agents.embedders.static import default_embedder
json.dump(default_embedder().embed_documents(json.load(sys.stdin)), sys.stdout)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        input=json.dumps(texts),
        env={"PYTHONHASHSEED": seed},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == default_embedder().embed_documents(texts)


@pytest.mark.parametrize("text", [*REQUESTS, *ODD.values()], ids=[*"1234", *ODD])
def test_static_vectors_have_length_one(text: str) -> None:
    """The product of two vectors is their cosine."""
    assert math.hypot(*StaticEmbedder().embed_query(text)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("Split a bill of $84.60 among four people.", "Split a bill of €1,250 among 17 people."),
        ("Yesterday Maria gave Jonas 12 pens.", "Yesterday Ravi gave Chloe two hundred pens."),
        ("Add 15% to the price.", "Add twelve percent to the price."),
    ],
)
def test_numbers_and_names_do_not_matter(stored: str, asked: str) -> None:
    """Requests that differ in their numbers and names only are near."""
    assert cosine(stored, asked) > 0.95


def test_a_request_in_capitals_keeps_its_words() -> None:
    """Where every word is a capital one, none is taken for a name."""
    assert cosine("SPLIT THE BILL AMONG FOUR PEOPLE", "Split The Bill Among Four People") > 0.95
    assert cosine("SPLIT THE BILL AMONG FOUR PEOPLE", "SORT THE NAMES OF ALL RIVERS") < NEAR


@pytest.mark.parametrize(
    "asked",
    ["Could you divide a bill of €20 among three people, please?", "We are 5 people. Split our bill of $132.40."],
)
def test_another_wording_is_near(asked: str) -> None:
    """A request in other words that shares the telling ones is above `NEAR`."""
    assert cosine("Split a bill of $84.60 among four people.", asked) > NEAR


@pytest.mark.parametrize("asked", ["How many grams are 3.5 ounces?", "Sort these names: Nora, Ben", "", "账单"])
def test_another_kind_is_not_near(asked: str) -> None:
    """A request for something else is below `NEAR`."""
    assert cosine("Split a bill of $84.60 among four people.", asked) < NEAR


def cosine(one: str, other: str) -> float:
    """Return the cosine of two texts by the default embedder."""
    first, second = default_embedder().embed_documents([one, other])
    return sum(a * b for a, b in zip(first, second, strict=True))
