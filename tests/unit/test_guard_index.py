"""`GuardIndex`: finds every guard that would accept, and forgets what is taken out."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seglam_agents.guards.guard import Accepted, Judgement, TemplateGuard
from seglam_agents.guards.index import GuardIndex
from seglam_agents.guards.normal import NormalText, normalise
from seglam_agents.guards.sampling import samples
from seglam_agents.records.procedure import GuardSource
from seglam_agents.records.values import Value

WORDS = ("add", "Split", "the", "bill", "people", "don't", "straße", "café", "e-mail", "twenty", "Kelvin")


def guard(*templates: str) -> TemplateGuard:
    """Build a guard of templates alone."""
    return TemplateGuard(GuardSource(templates=templates))


def accepted(judgements: Iterable[tuple[str, Judgement]]) -> dict[str, dict[str, Value]]:
    """Return the arguments of the judgements that accept."""
    return {key: dict(judgement.arguments) for key, judgement in judgements if isinstance(judgement, Accepted)}


def by_index(index: GuardIndex, text: NormalText) -> dict[str, dict[str, Value]]:
    """Ask only the templates that the index found."""
    found = index.candidates(text)
    return accepted((key, index.guard(key).match_some(which, text)) for key, which in found.items())


def by_asking(guards: dict[str, TemplateGuard], text: NormalText) -> dict[str, dict[str, Value]]:
    """Ask every guard."""
    return accepted((key, asked.match(text)) for key, asked in guards.items())


@st.composite
def templates(draw: st.DrawFn) -> str:
    """Make up a template of words, alternatives, options and slots, glued together or apart."""
    word = st.sampled_from(WORDS)
    piece = st.one_of(
        word,
        st.lists(word, min_size=2, max_size=3).map(lambda some: f"({'|'.join(some)})"),
        word.map(lambda one: f"[{one}]"),
        st.tuples(word, word).map(lambda two: f"[{two[0]} {{n:count}}|{two[1]}]"),
        st.just("{n:count}"),
        st.just("{x:word}"),
    )
    pieces = draw(st.lists(piece, min_size=1, max_size=5))
    joints = draw(st.lists(st.sampled_from((" ", " ", " ", "", ", ", "-")), min_size=5, max_size=5))
    return draw(word) + " " + "".join(piece + joint for piece, joint in zip(pieces, joints, strict=False))


GUARDS = st.lists(templates(), min_size=1, max_size=3).map(lambda some: guard(*some))
FILED = st.dictionaries(st.sampled_from("abcdef"), GUARDS, min_size=1)
SPELLINGS = st.sampled_from((str, str.upper, str.lower, str.swapcase, str.title))
FREE = st.lists(st.sampled_from((*WORDS, "3", "STRASSE", "\u212aelvin", "ſplit", ",", "-")), max_size=6).map(" ".join)


@settings(max_examples=150)
@given(filed=FILED, removed=st.sets(st.sampled_from("abcdef")), data=st.data())
def test_the_index_agrees_with_asking_every_guard(
    filed: dict[str, TemplateGuard], removed: set[str], data: st.DataObject
) -> None:
    """Whatever is filed, replaced and taken out, the index finds exactly what accepts."""
    index = GuardIndex()
    for key, asked in filed.items():
        index.add(key, guard("add the bill"))
        index.add(key, asked)
    for key in removed:
        index.remove(key)
    left = {key: asked for key, asked in filed.items() if key not in removed}
    rng = random.Random(data.draw(st.integers(0, 10**9)))
    made = [sample.text for asked in filed.values() for sample in samples(asked, rng, each=2)]
    for request in (*made, data.draw(FREE), "add the bill"):
        text = normalise(data.draw(SPELLINGS)(request))
        assert by_index(index, text) == by_asking(left, text)


@given(filed=FILED, text=st.text())
def test_any_text_may_be_looked_up(filed: dict[str, TemplateGuard], text: str) -> None:
    """A lookup never raises, and names only guards and templates that are filed."""
    index = GuardIndex()
    for key, asked in filed.items():
        index.add(key, asked)
    for key, which in index.candidates(normalise(text)).items():
        assert set(which) <= set(range(len(filed[key].patterns)))
        assert len(which) == len(set(which))


def test_add_replace_and_remove() -> None:
    """A key holds one guard at a time."""
    index, first, second = GuardIndex(), guard("add {n:count}", "plus {n:count}"), guard("split {n:count}")
    index.add("a", first)
    assert (len(index), "a" in index, "b" in index, index.guard("a")) == (1, True, False, first)
    assert index.candidates(normalise("plus 3")) == {"a": [1]}
    index.add("a", second)
    assert (len(index), index.guard("a")) == (1, second)
    assert index.candidates(normalise("add 3")) == {}
    assert index.candidates(normalise("Split 3")) == {"a": [0]}
    index.remove("a")
    index.remove("a")
    assert (len(index), "a" in index, index.candidates(normalise("split 3"))) == (0, False, {})
    with pytest.raises(KeyError):
        index.guard("a")


def test_only_templates_whose_words_are_there_are_asked() -> None:
    """A request that lacks a word of a template is not asked about it."""
    index = GuardIndex()
    for number, word in enumerate(("apples", "pears", "plums")):
        index.add(word, guard(f"how many {word} are {number} and {{n:count}} {word}"))
    assert list(index.candidates(normalise("how many pears are 1 and 3 pears"))) == ["pears"]
    assert index.candidates(normalise("how many cherries are there")) == {}


def test_a_template_without_sure_words_is_always_asked() -> None:
    """A template that is all alternatives has no word to be found by, and is a candidate for anything."""
    index = GuardIndex()
    index.add("a", guard("(add|plus) {n:count}"))
    assert index.candidates(normalise("anything")) == {"a": [0]}


def test_one_word_in_all_alternatives_is_sure() -> None:
    """What every alternative contains is required; an option is not, nor an article, for which any other may stand."""
    index = GuardIndex()
    index.add("a", guard("(add this bill|split this sum) [now]"))
    assert index.candidates(normalise("this end")) == {"a": [0]}
    assert index.candidates(normalise("add my bill now")) == {}
    index.add("b", guard("add the bill"))
    assert index.candidates(normalise("add a bill")) == {"b": [0]}
