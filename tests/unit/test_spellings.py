"""The one table of what may be said in several ways: articles, contractions, spellings, polite frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglam_agents.guards.guard import Accepted, TemplateGuard
from seglam_agents.guards.normal import normalise
from seglam_agents.guards.spellings import SPELLINGS
from seglam_agents.records.procedure import GuardSource


def accepts(template: str, text: str) -> bool:
    guard = TemplateGuard(GuardSource(templates=(template,)))
    return isinstance(guard.match(normalise(text)), Accepted)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("split a bill of {x:money}", "Please split the bill of $5"),
        ("split a {x:money} bill", "split the $5 bill"),
        ("add the [big] {x:count} to an {y:noun}", "add a 5 to the apple"),
        ("please split a bill of {x:money}", "Could you split a bill of $5, please?"),
        ("[can you] [please] split a bill of {x:money}", "Hi there! Can you please split a bill of $5?"),
        ("(please|kindly) split {x:money}", "split $5"),
        ("what is {x:percent} of {n:number}", "What's 5% of 20?"),
        ("it isn't {n:count}", "It is not 3."),
        ("do not add {n:count}", "Don’t add 3"),
        ("analyse {n:count} colours", "analyze 3 colors"),
        ("split {x:money}", "quick question: split $5"),
        ("split {x:money}", "quick one - split $5"),
        ("split {x:money}", "Just a quick one, split $5"),
        ("split {x:money}", "Good morning, split $5. Thanks!"),
        ("split {x:money} now", "Hi all! Split $5 now, thanks in advance."),
        ("what is {n:count} plus 4?", "What is 3 plus 4? Thank you very much."),
        ("greet {p:person}", "Greet Ana, please. Cheers"),
        ("add {n:count} apples", "I'd like you to add 3 apples"),
        ("I need you to add {n:count} apples", "Add 3 apples"),
        ("add {n:count} apples. Thanks!", "add 3 apples"),
        ("add {n:count} apples please", "add 3 apples please. Kind regards"),
    ],
)
def test_one_thing_said_in_two_ways(template: str, text: str) -> None:
    """What differs in politeness, article, contraction or spelling is the same request."""
    assert accepts(template, text)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("it is {n:count}", "it isn't 3"),
        ("do add {n:count}", "don't add 3"),
        ("add {n:count} to plan", "add 3 to the plan"),
        ("say {t:text}", "please don't say hello"),
        ("add {n:count}", "will you add 3"),
        ("translate {t:phrase} now", "translate please"),
        ("say thanks", "say"),
        ("add {n:count}", "I don't want you to add 3"),
        ("add {n:count}", "I would not like you to add 3"),
        ("add {n:count}", "I wanted you to add 3"),
        ("say", "say thanks"),
        ("add {n:count} apples", "add 3 apples. Thanks to Bob"),
        ("add {n:count} apples", "add 3 apples. Thanks, but no"),
        ("translate {t:text}. Thanks", "translate a beer"),
        ("greet Ana", "greet Ana thanks"),
    ],
)
def test_what_changes_a_meaning_stays(template: str, text: str) -> None:
    """Neither a negation nor an absent article is folded."""
    assert not accepts(template, text)


def test_open_words_keep_their_please() -> None:
    """A "please" at the end of a text belongs to the text."""
    guard = TemplateGuard(GuardSource(templates=("translate to French: {t:text}",)))
    judgement = guard.match(normalise("translate to French: one beer, please"))
    assert isinstance(judgement, Accepted)
    assert judgement.arguments == {"t": "one beer, please"}


@given(st.lists(st.sampled_from([*SPELLINGS, "please", "can", "you", "the", "bill", "hi,"]), min_size=1, max_size=8))
def test_folding_twice_changes_nothing(words: list[str]) -> None:
    """What was normalised is in its one spelling already."""
    once = normalise(" ".join(words)).text
    assert normalise(once).text == once
