"""The template syntax through `parse_template`, and what a compiled template accepts."""

from __future__ import annotations

import pytest

from seglam_agents.guards.guard import Accepted, TemplateGuard
from seglam_agents.guards.normal import normalise
from seglam_agents.guards.template import MAX_TEMPLATE, parse_template
from seglam_agents.records.errors import TemplateError
from seglam_agents.records.procedure import GuardSource
from seglam_agents.records.values import Value


def arguments(template: str, request: str) -> dict[str, Value] | None:
    """Return what a template binds in a request, or None where it does not accept it."""
    judgement = TemplateGuard(GuardSource(templates=(template,))).match(normalise(request))
    return dict(judgement.arguments) if isinstance(judgement, Accepted) else None


@pytest.mark.parametrize(
    ("template", "accepted", "declined"),
    [
        pytest.param("(split|divide) {n:count}", ["split 3", "Divide 3"], ["share 3", "split divide 3"], id="one of"),
        pytest.param("say (a|) {n:count}", ["say a 3", "say 3"], ["saya 3", "say a3", "say3"], id="empty branch"),
        pytest.param("[please] add {n:count}", ["add 1", "please add 1"], ["pleaseadd 1", "please 1"], id="start"),
        pytest.param("add [please] {n:count}", ["add 1", "add please 1"], ["addplease 1", "add1"], id="middle"),
        pytest.param("add {n:count} [now]", ["add 1", "add 1 now", "add 1 now."], ["add 1now", "add 1 no"], id="end"),
        pytest.param(
            "add {n:count} [now], please",
            ["add 1, please", "add 1 now, please", "add 1 please", "add 1 now please"],
            ["add 1now, please", "add 1,please", "add 1,, please"],
            id="before punctuation",
        ),
        pytest.param("add {n:count} [now]: go", ["add 1: go", "add 1 now: go"], ["add 1 go"], id="before a colon"),
        pytest.param(
            "[please] [kindly] add {n:count}",
            ["add 1", "please add 1", "kindly add 1", "please kindly add 1"],
            ["pleasekindly add 1", "kindlyadd 1", "add 1, kindly"],
            id="two at the start",
        ),
        pytest.param(
            "add {n:count} [right] [now]",
            ["add 1", "add 1 right", "add 1 now", "add 1 right now"],
            ["add 1 rightnow", "add 1 now right"],
            id="two at the end",
        ),
        pytest.param("add [a|the] {n:count}", ["add 1", "add a 1", "add the 1"], ["add a the 1"], id="options"),
        pytest.param(
            "add [the [big|small] number] {n:count}",
            ["add 1", "add the number 1", "add the big number 1", "add the small number 1"],
            ["add big 1", "add the 1", "add the bignumber 1"],
            id="nested options",
        ),
        pytest.param(
            "add ({n:count}|the (number|value) {n:count} [again]) please",
            ["add 1 please", "add the number 1 please", "add the value 1 again please"],
            ["add 1 again please", "add the 1 please"],
            id="nested alternatives",
        ),
        pytest.param("{n:count} apple[s] left", ["1 apple left", "3 apples left"], ["3 apple s left"], id="suffix"),
        pytest.param(
            r"what is \{a\} \| \(b\) \[c\] \\ of {n:count}",
            [r"what is {a} | (b) [c] \ of 3"],
            [r"what is a | b c \ of 3", r"what is \{a\} \| \(b\) \[c\] \\ of 3"],
            id="escapes",
        ),
        pytest.param("a.b*c+ {n:count}", ["a.b*c+ 3"], ["aXb*c+ 3", "a.bbcc 3"], id="no regular expression"),
        pytest.param("add {n:count}.", ["add 3", "add 3.", "add 3?!", "ADD 3 !"], ["add 3,", "add 3;"], id="final"),
        pytest.param("is {n:count} even?", ["is 3 even", "is 3 even?", "is 3 even."], ["is 3 even, no"], id="question"),
        pytest.param(
            "first, add {n:count}", ["first, add 3", "first add 3", "first , add 3"], ["first,add 3"], id="comma"
        ),
        pytest.param("add {n:count},", ["add 3", "add 3,"], ["add 3,,"], id="comma at the end"),
        pytest.param("add 1,000 to {n:count}", ["add 1,000 to 3"], ["add 1000 to 3"], id="comma in a number"),
        pytest.param(
            "add twenty-five to {n:count}", ["add 25 to 3", "add twenty five to three"], [], id="number words"
        ),
        pytest.param("what’s {n:count}", ["what's 3", "what’s 3", "whats 3", "what is 3"], ["what 3"], id="quotes"),
    ],
)
def test_what_a_template_accepts(template: str, accepted: list[str], declined: list[str]) -> None:
    """A template accepts exactly its wordings, with the spaces beside an absent option absent too."""
    assert [request for request in accepted if arguments(template, request) is None] == []
    assert [request for request in declined if arguments(template, request) is not None] == []


def test_a_choice_slot_has_its_own_bars() -> None:
    """The bars and parentheses of `choice(a|b)` belong to the slot, inside an option as well."""
    template = "paint it {c:choice(red|dark green)} [or {d:choice(red|blue)}]"
    assert arguments(template, "paint it red") == {"c": "red", "d": None}
    assert arguments(template, "Paint it dark green or Blue!") == {"c": "dark green", "d": "blue"}
    assert arguments(template, "paint it blue") is None


def test_a_repeated_slot_binds_once() -> None:
    """`{name}` alone is a further mention of the same slot."""
    template = "add {n:count} and {n}"
    assert arguments(template, "add 3 and three") == {"n": 3}
    assert arguments(template, "add 3 and 4") is None
    assert list(parse_template(template).slots()) == ["n"]


def test_a_type_may_be_written_twice() -> None:
    """A mention may repeat the type, as alternatives must."""
    assert arguments("({n:count} more|add {n:count})", "add 3") == {"n": 3}


def test_always_names_what_every_request_binds() -> None:
    """A slot that some wording lacks is not among those that are always bound."""
    template = parse_template("{a:count} (plus {b:count}|minus {b:count} {c:count}) [{d:count}] (e|) [f {a}]")
    assert list(template.slots()) == ["a", "b", "c", "d"]
    assert template.always() == {"a", "b"}


@pytest.mark.parametrize(
    ("template", "position"),
    [
        pytest.param("a | b", 2, id="bar outside"),
        pytest.param("", 0, id="empty"),
        pytest.param("  ?!", 0, id="only punctuation"),
        pytest.param("{n:count}", 0, id="bare slot"),
        pytest.param("{n:count} {m:count}?", 0, id="two bare slots"),
        pytest.param("go (a", 3, id="open parenthesis"),
        pytest.param("go [a (b)", 3, id="open bracket"),
        pytest.param("go [a (b]", 8, id="wrong closing"),
        pytest.param("go {n:count", 3, id="open brace"),
        pytest.param("a) b", 1, id="closing parenthesis"),
        pytest.param("ab] c", 2, id="closing bracket"),
        pytest.param("abc} d", 3, id="closing brace"),
        pytest.param("a [] b", 2, id="empty option"),
        pytest.param("a b () c", 4, id="empty alternatives"),
        pytest.param("(|) b", 0, id="only empty branches"),
        pytest.param("[a (|)] b", 3, id="only empty branches inside"),
        pytest.param("a \\x", 2, id="escape of a letter"),
        pytest.param("abc \\", 4, id="escape of nothing"),
        pytest.param("a {x} b {x:count}", 2, id="type after the first mention"),
        pytest.param("a [b {y}]", 5, id="no type"),
        pytest.param("a {} b", 3, id="no name"),
        pytest.param("a {1x:count} b", 3, id="name with a digit first"),
        pytest.param("a {é:count} b", 3, id="name outside ASCII"),
        pytest.param("a {two words:count} b", 3, id="name with a space"),
        pytest.param("a {x:nothing} b", 5, id="unknown type"),
        pytest.param("a {x: nothing} b", 6, id="unknown type after a space"),
        pytest.param("a {x:} b", 5, id="empty type"),
        pytest.param("a {x:choice(b} c", 5, id="half a choice"),
        pytest.param("a {x:count} or {x:money}", 18, id="two types"),
        pytest.param("a" * (MAX_TEMPLATE + 1), MAX_TEMPLATE, id="too long"),
    ],
)
def test_an_error_points_at_its_character(template: str, position: int) -> None:
    """Every error of a template says at which character it is."""
    with pytest.raises(TemplateError) as caught:
        parse_template(template)
    assert caught.value.position == position
    assert f"(character {position})" in str(caught.value)


def test_an_error_shows_where_it_is() -> None:
    """The message has the excerpt with a caret below the character."""
    with pytest.raises(TemplateError) as caught:
        parse_template("please " * 20 + "add {n} " + "please " * 20)
    _, excerpt, caret = str(caught.value).splitlines()
    assert excerpt[caret.index("^")] == "{"
