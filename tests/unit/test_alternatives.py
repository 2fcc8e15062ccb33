"""Alternatives of templates: nobody may say by them what no request has said."""

from __future__ import annotations

import pytest

from seglam_agents.admission.alternatives import alternatives_seen_once, unseen
from seglam_agents.guards.normal import normalise
from seglam_agents.guards.template import parse_template


def findings(source: str, *texts: str) -> list[str]:
    return unseen(parse_template(source), [normalise(text).text for text in texts])


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("(he|she|they) went {n:count} miles", "she went 3 miles"),
        ("(is|are) there {n:count}", "is there 3"),
        ("[the] end in {n:count}", "the end in 3"),
        ("[my|our] bill of {n:count}", "bill of 3"),
        ("[please] go {n:count} steps", "go 3 steps"),
        ("[can you|could you] [please] go {n:count} steps", "could you please go 3 steps"),
        ("{n:count} cube[s] of ice", "3 cubes of ice"),
        ("{n:count} (box|boxes) of ice", "3 boxes of ice"),
        ("it (isn't|isnt|is not) {n:count}", "it isn't 3"),
        ("(color|colour) {n:count}", "colour 3"),
    ],
)
def test_what_says_the_same_needs_no_evidence(source: str, text: str) -> None:
    """Gender, number, articles, politeness and spellings may be alternatives."""
    assert findings(source, text) == []


@pytest.mark.parametrize(
    ("source", "text", "quoted"),
    [
        ("{a:count} (plus|times) {b:count}", "3 plus 4", "'times'"),
        ("(deposit|withdraw) {n:count}", "deposit 3", "'withdraw'"),
        ("the (gross|net) pay of {n:count}", "the net pay of 3", "'gross'"),
        ("go {n:count} (miles|km)", "go 3 km", "'miles'"),
        ("do [not] go {n:count} steps", "do go 3 steps", "'not'"),
        ("split {n:count} [evenly]", "split 3", "'evenly'"),
        ("(split|divide) {n:count}", "split 3", "'divide'"),
        ("from {a:count} (to|from) {b:count}", "from 3 to 4", "'from'"),
        ("what (is|was) it at {n:count}", "what is it at 3", "'was'"),
        ("send (my|your) {n:count} files", "send my 3 files", "'your'"),
        ("(I|you) owe {n:count} dollars", "I owe 3 dollars", "'you'"),
    ],
)
def test_content_that_nobody_said_is_refused(source: str, text: str, quoted: str) -> None:
    """A branch with other content needs a request that says it; with one, it is fine."""
    (finding,) = findings(source, text)
    assert quoted in finding
    other = text.replace("plus", "times").replace("deposit", "withdraw").replace("net", "gross").replace("km", "miles")
    other = other.replace("what is", "what was").replace("my", "your").replace("I owe", "you owe")
    other = other.replace("do go", "do not go").replace("split", "divide") if "[" not in source else other
    both = {"do go 3 steps": "do not go 3 steps", "split 3": "split 3 evenly" if "[" in source else "divide 3"}
    other = both.get(text, other.replace("to 4", "from 4") if "from 3" in text else other)
    assert findings(source, text, other) == []


def test_every_combination_must_be_said() -> None:
    """What stands at two places is not mixed: nobody asked for diesel and paid for petrol."""
    source = "a car on (petrol|diesel) for {n:count} miles; what does the (petrol|diesel) cost"
    said = [f"a car on {fuel} for 3 miles; what does the {fuel} cost" for fuel in ("petrol", "diesel")]
    assert findings(source, *said) == [
        "no known request says 'petrol' … 'diesel'",
        "no known request says 'diesel' … 'petrol'",
    ]
    found = alternatives_seen_once(parse_template(source), said)
    assert any("together" in finding for finding in found)


def test_runs_show_each_branch_once() -> None:
    """A template made from runs may combine branches at different places, each of which some run has said."""
    source = "(split|divide) {n:count} (among|between) 4"
    texts = ["split 3 among 4", "divide 3 between 4"]
    assert alternatives_seen_once(parse_template(source), texts) == []
    assert alternatives_seen_once(parse_template(source), texts[:1]) == [
        "no known request says 'between'",
        "no known request says 'divide'",
    ]


def test_a_whole_template_must_be_said() -> None:
    """A further template is a further wording."""
    assert findings("divide {n:count}", "split 3") == ["it matches no known request word by word"]
