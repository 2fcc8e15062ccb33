"""Odd input that once went wrong."""

from __future__ import annotations

import pytest

from seglam_agents.compilers.reply import Module, Unreadable, read_reply
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.guards.index import GuardIndex
from seglam_agents.guards.normal import normalise
from seglam_agents.guards.predicate import compile_predicate
from seglam_agents.guards.template import parse_template
from seglam_agents.records.errors import PredicateError, SchemaError, TemplateError
from seglam_agents.records.procedure import GuardSource, Parameter
from seglam_agents.records.request import Request
from seglam_agents.records.trace import Trace
from seglam_agents.records.values import as_number, same


@pytest.mark.parametrize("source", ["[please] {x:text}", "{x:text} [now]", "(|a) {x:text}", "{x:text},", "{a:number}"])
def test_a_template_that_spells_nothing_out_is_refused(source: str) -> None:
    """What may be absent is no literal text: such a template would accept any request."""
    with pytest.raises(TemplateError):
        parse_template(source)


def test_deep_nesting_is_a_template_error() -> None:
    """Parentheses have a depth, and a template beyond it does not end in a recursion error."""
    with pytest.raises(TemplateError):
        parse_template("[" * 600 + "a" + "]" * 600)


@pytest.mark.parametrize(
    ("source", "position"), [("(a|b) c | d", 8), (r"x \| y | z", 7), ("{c:choice(a|b)} c | d", 18)]
)
def test_a_bar_outside_of_parentheses_is_pointed_at(source: str, position: int) -> None:
    """The error points at the bar that is meant, not at the first one."""
    with pytest.raises(TemplateError) as caught:
        parse_template(source)
    assert caught.value.position == position


def test_the_index_finds_words_beside_odd_letters() -> None:
    """A word that touches a superscript is not required, since it reads as another word in the request."""
    guard = TemplateGuard(GuardSource(templates=("what is the price of {n:number}m² of carpet",)))
    index = GuardIndex()
    index.add("carpet", guard)
    text = normalise("What is the price of 5m² of carpet?")
    assert dict(index.candidates(text)) == {"carpet": [0]}


def test_decorators_stay_with_their_function() -> None:
    """What is admitted is what was written, decorators included."""
    reply = read_reply(
        '```python\nTEMPLATES = ["add {a:number} and {b:number}"]\nEXPECTED = [3]\n\n'
        "def twice(f):\n    return f\n\n@twice\ndef run(a, b):\n    return a + b\n```"
    )
    assert isinstance(reply, Module) and "@twice\ndef run" in reply.source


def test_windows_line_ends_are_read() -> None:
    """A reply with CRLF line ends is the same reply."""
    reply = read_reply(
        '```Python\r\nTEMPLATES = ["add {a:number}"]\r\nEXPECTED = [1]\r\ndef run(a):\r\n    return a\r\n```'
    )
    assert isinstance(reply, Module)


def test_widens_must_be_text() -> None:
    """A WIDENS that is no text is a finding, not a crash later."""
    reply = read_reply('```python\nWIDENS = 5\nTEMPLATES = ["add {a:number}"]\ndef run(a):\n    return a\n```')
    assert isinstance(reply, Unreadable) and "WIDENS" in reply.problem


def test_a_deep_predicate_is_a_predicate_error() -> None:
    """An expression that is nested too deeply is refused as such."""
    with pytest.raises(PredicateError):
        compile_predicate("~" * 499 + "x")


@pytest.mark.parametrize("parameter", [Parameter(name="n", slot="string"), Parameter(name="now", slot="nonsense")])
def test_bad_context_parameters_are_refused(parameter: Parameter) -> None:
    """A context key may neither shadow a slot nor have an unknown type."""
    context = [parameter.model_copy(update={"source": "context"})]
    with pytest.raises(TemplateError):
        TemplateGuard(GuardSource(templates=("add {n:number}",)), context=context)


def test_numbers_beyond_floats_are_compared() -> None:
    """A number that no float holds is no error, and equal texts are equal even where they spell `nan`."""
    assert as_number(10**400) is None and same(10**400, 10**400) and same("nan", "NaN")


@pytest.mark.parametrize("schema", [True, 0, 99, "1", None])
def test_an_odd_schema_version_is_refused(schema: object) -> None:
    """Only a version that this package knows is read."""
    with pytest.raises(SchemaError):
        Trace.from_json({**Trace(request=Request(text="a")).to_json(), "schema": schema})
