"""Regular expressions in Monty: what the look accepts gives what Python gives; what it cannot know ends the run."""

# ruff: noqa: E501  # one program a line

from __future__ import annotations

import re
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seglam_agents.records.tools import Tool
from seglam_agents.records.values import Value
from seglam_agents.sandboxes.base import Limits, Program, Sandbox, ToolResult
from seglam_agents.sandboxes.dialect import look
from seglam_agents.testing.sandbox_contract import failed, returned

PAY = Tool(name="pay", parameters={"properties": {"x": {}}}, effect="write")


REFUSED = (
    (r"re.sub(r'(\d+)', r'\1px', x)", r"\g<1>"),
    (r"re.sub(r'(\d+)', f'\\1{x}', x)", r"\g<1>"),
    (r"re.sub(r'(\d{4})(\d{2})', r'\1Q\2', x)", r"\g<1>"),
    (r"re.sub(r'(\d+)', repl=r'\1_', string=x)", r"\g<1>"),
    (r"re.compile(r'(a)').sub(r'\1x', x)", r"\g<1>"),
    (r"PATTERN.sub(r'\1x', x)", r"\g<1>"),
    (r"re.sub('(a)', r'\2', x)", "no group"),
    (r"re.sub(', ', r'\n', x)", "no escape"),
    (r"re.sub(r'\d*', '#', x)", "nothing"),
    (r"re.findall(r'\d*', x)", "nothing"),
    (r"re.split(r'\s*', x)", "nothing"),
    (r"list(re.finditer('a|', x))", "nothing"),
    (r"PATTERN.findall(x)", "nothing"),
    (r"re.sub('^a*?', '#', x)", "nothing"),
    (r"re.findall('^.??', x)", "nothing"),
    (r"re.search(r'a\Z', x)", r"(?!\n)\Z"),
    (r"re.search(r'\<a', x)", "word"),
    (r"re.search(r'a\>', x)", "word"),
    (r"re.search(r'a\z', x)", "no escape"),
    (r"re.search(r'\h', x)", "no escape"),
    (r"re.search(r'\p{L}', x)", "no escape"),
    (r"re.search('[[:alpha:]]', x)", "within"),
    (r"re.search('[a&&b]', x)", "meaning"),
    (r"re.search('[--/]', x)", "meaning"),
    (r"re.search('[a~~b]', x)", "meaning"),
    (r"re.search('(?<n>a)', x)", "none of Python's"),
    (r"re.search('a(?i)b', x)", "none of Python's"),
    (r"re.search('(?<=a|bc)d', x)", "none of Python's"),
    (r"re.findall(r'\w', x, re.ASCII)", "A-Za-z"),
    (r"search(r'a\Z', x)", r"(?!\n)\Z"),
    (r"[p for p in ['a', r'b\Z'] if re.search(p, x)]", r"(?!\n)\Z"),
    (r"(lambda p: re.search(p, x))(r'b\h')", "no escape"),
)
HEAD = "import re\nfrom re import search\nPATTERN = re.compile(r'(a*)')\n"


@pytest.mark.parametrize(("expression", "advice"), REFUSED)
def test_what_means_something_else_is_refused(monty: Sandbox, expression: str, advice: str) -> None:
    """Patterns and replacements that Monty reads otherwise are refused by the look, and by a run without one."""
    program = Program(f"{HEAD}def run(x):\n    return {expression}")
    problems = monty.check(program)
    assert {problem.line for problem in problems} == {5}
    assert any(advice in problem.message for problem in problems), problems
    assert failed(monty.run(program, {"x": "a"})).kind == "syntax"


ACCEPTED = (
    r"re.sub(r'(\d+)', r'\g<1>px', x)",
    r"re.sub(r'(\d+) (\w)', r'\2 \1', x)",
    r"re.sub(r'(\d+)', r'\1, \\', x)",
    r"re.sub(', ', '\n', x)",
    r"re.sub(r'\s+', ' ', x).strip()",
    r"re.sub(r'^\s*', '', x)",
    r"re.findall(r'\d+', x)",
    r"re.findall(r'\b', x)",
    r"re.search(r'\d*', x).group()",
    r"bool(re.search(r'm(?!\n)\Z', x))",
    r"re.findall(r'[\[\]()\-&.,]', x)",
    r"re.findall(r'[a-z&-]+', x)",
    r"re.findall(r'\$|\.|\-|\#', x)",
    r"re.split(r'(,)', x)",
    r"[re.findall(p, x) for p in (r'\d+', r'[a-z]+')]",
    r"re.findall(r'(?i)[a-z]+', x)",
)


@pytest.mark.parametrize("expression", ACCEPTED)
def test_what_means_the_same_is_accepted(monty: Sandbox, expression: str) -> None:
    """Patterns that both read alike pass the look, and give the same."""
    text = "  12 m, (3) kg; [a-b] & $5.00 #7, end M"
    source = f"{HEAD.replace('a*', 'a+')}def run(x): return {expression}"
    assert list(monty.check(Program(source))) == []
    assert returned(monty.run(Program(source), {"x": text})) == _python(source, text)


_ATOMS = ("a", "b", "1", " ", ".", r"\d", r"\w", r"\s", r"\b", "[ab1]", "[^a]", r"[\w-]", "(a)", "(?:b|1)", "(?P<n>1)")
_ENDS = ("", "", "", "*", "+", "?", "{2}", "{,2}", "*?", "|")
_PATTERNS = st.lists(st.builds(str.__add__, st.sampled_from(_ATOMS), st.sampled_from(_ENDS)), min_size=1, max_size=4)
_TEXTS = st.text("ab1 \n_é", max_size=8)
_REPLACED = st.sampled_from(("-", r"\1", r"<\g<0>>", r"\1 \2", r"\1b", r"\n", "\\\\"))


@given(st.lists(st.tuples(_PATTERNS.map("".join), _TEXTS, _REPLACED), min_size=15, max_size=15))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
def test_accepted_patterns_give_what_python_gives(monty: Sandbox, cases: list[tuple[str, str, str]]) -> None:
    """For patterns put together at random: refused by the look, or the same as in Python."""
    lines: list[str] = []
    for pattern, text, replacement in cases:
        for call in (
            f"[m.span() for m in re.finditer({pattern!r}, {text!r})]",
            f"re.findall({pattern!r}, {text!r})",
            f"re.sub({pattern!r}, {replacement!r}, {text!r})",
            f"re.split({pattern!r}, {text!r})",
            f"[m and m.groups() for m in [re.search({pattern!r}, {text!r})]]",
        ):
            if not look(Program(f"import re\ndef run(): return {call}")) and not _fails(call):
                lines.append(f"    found.append({call})")
    source = "import re\ndef run():\n    found = [0]\n{}\n    return found".format("\n".join(lines))
    assert returned(monty.run(Program(source), {}, limits=Limits(seconds=5))) == _python(source)


ODD = (
    (r"re.findall(r'\w+', x)", "5 m²"),
    (r"re.findall(r'\bm', x)", "e\u0301m"),
    (r"re.findall(r'\w+', x)", "\u0915\u094d\u0937"),
    (r"re.findall(r'\s', x)", "a\x1cb"),
    (r"re.findall('(?i)i', x)", "İzmir"),
    (r"re.search('a', x, re.I)", "ı"),
    (r"bool(re.search('(a|bc)*$', x))", "a\n"),
)


@pytest.mark.parametrize(("expression", "text"), ODD)
def test_texts_that_are_read_otherwise_end_the_run(monty: Sandbox, expression: str, text: str) -> None:
    """A text whose letters, spaces or end mean something else enters no program that looks at them by patterns."""
    source = f"import re\ndef run(x):\n    {expression}\n    return 1"
    given_so = failed(monty.run(Program(source), {"x": [{"k": text}]}))
    assert given_so.kind == "value" and "regular expressions" in given_so.reason
    asking = Program(
        f"import re\ndef run():\n    try:\n        x = pay(1)\n    except BaseException:\n        x = ''\n    {expression}",
        tools=(PAY,),
    )
    told = failed(monty.run(asking, {}, call=lambda _: ToolResult({text: 1})))
    assert told.kind == "value" and "the result of pay" in told.reason
    plain = Program("def run(x): return x")
    assert returned(monty.run(plain, {"x": text})) == text


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (r"re.findall(r'\$\d+', x)", "$5\n"),
        (r"re.findall(r'\w+', x)", "Müße naïve 5"),
        (r"re.findall('[0-9]+', x)", "5 m²"),
    ],
)
def test_ordinary_texts_pass(monty: Sandbox, expression: str, text: str) -> None:
    """What both read alike is no reason to stop."""
    source = f"import re\ndef run(x): return {expression}"
    assert returned(monty.run(Program(source), {"x": text})) == _python(source, text)


def _python(source: str, *arguments: Value) -> object:
    space: dict[str, object] = {}
    exec(source, space)  # a program of this test
    run = space["run"]
    assert callable(run)
    return _listed(run(*arguments))


def _listed(value: object) -> object:
    return [_listed(item) for item in cast("list[object]", value)] if isinstance(value, (list, tuple)) else value


def _fails(call: str) -> bool:
    try:
        eval(call, {"re": re})  # a call of this test
    except (re.error, IndexError):
        return True
    return False


ENDS = (
    "bool(re.search(r'a$', x))",
    "bool(re.match('^([a-z]+)$', x, re.I))",
    "re.sub(r'(b|a$)', '#', x)",
    "re.findall('a$', x, re.M)",
    "re.split(r'(?m)a$', x)",
    "[bool(PATTERN.fullmatch(x)), PATTERN.sub('$', x)]",
    "f'${x}' + str(re.search(pattern='[^$]a$', string=x) is None)",
)


@pytest.mark.parametrize("expression", ENDS)
def test_the_end_of_a_text_is_that_of_python(monty: Sandbox, process: Sandbox, expression: str) -> None:
    """`$` in a pattern that stands where it is used matches before a last newline, whatever Monty's own does."""
    program = Program(f"import re\nPATTERN = re.compile(r'.*a$')\ndef run(x): return {expression}")
    if "PATTERN" not in expression:
        program = Program(f"import re\ndef run(x): return {expression}")
    assert list(monty.check(program)) == []
    for text in ("a\n", "a", "b\na\n", "a\nb", "ba\n\n", "\n"):
        assert returned(monty.run(program, {"x": text})) == returned(process.run(program, {"x": text})), text


@pytest.mark.parametrize("expression", ["bool(re.search(P, x))", "re.compile('a$').pattern", "re.search('a$', x, f)"])
def test_other_ends_of_texts_end_the_run(monty: Sandbox, expression: str) -> None:
    """A pattern that is not known, or looked at, is left alone: a last newline does not enter, and the reason says why."""
    program = Program(f"import re\nP = 'a$'\nf = re.I\ndef run(x): return {expression}")
    execution = failed(monty.run(program, {"x": "a\n"}))
    assert execution.kind == "value" and "where it is used" in execution.reason
