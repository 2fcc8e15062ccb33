"""What `read_reply` makes of the reply of a model."""

from __future__ import annotations

import pytest

from seglam_agents.compilers.reply import MAX_REPLY, Declined, Module, Unreadable, read_reply

CODE = '''\
NAME = "Split a Bill!"
DESCRIPTION = """Splits a bill
    evenly."""
TEMPLATES = ["split {total:money} among {n:count}"]
WHERE = "n > 0"
EXPECTED = [5, "6"]
CONTEXT = {"today": "date"}
import math


def run(total, n, today):
    # A comment inside stays.
    return total.amount / n


def helper():
    return math.pi
'''


def block(code: str, language: str = "python") -> str:
    """Return code as a model writes it."""
    return f"```{language}\n{code}```\n"


def problem(text: str) -> str:
    """Return what is wrong with a reply."""
    reply = read_reply(text)
    assert isinstance(reply, Unreadable)
    return reply.problem


@pytest.mark.parametrize("language", ["python", "py", "", "python  "])
@pytest.mark.parametrize(("before", "after"), [("", ""), ("Here it is:\n\n", "\nIt splits `bills`.\n")])
def test_a_good_module(language: str, before: str, after: str) -> None:
    """The metadata is taken out of the module, and the rest stays as its source."""
    reply = read_reply(before + block(CODE, language) + after)
    assert isinstance(reply, Module)
    assert reply.source.startswith("import math\n\ndef run(total, n, today):\n    # A comment inside stays.\n")
    assert reply.source.endswith("def helper():\n    return math.pi\n")
    assert (reply.name, reply.description) == ("split_a_bill", "Splits a bill evenly.")
    assert (reply.templates, reply.where) == (("split {total:money} among {n:count}",), "n > 0")
    assert (reply.expected, reply.context, reply.widens) == ((5, "6"), {"today": "date"}, None)
    assert (reply.has_run, reply.has_match) == (True, False)


def test_a_module_with_match() -> None:
    """Code may take the place of templates."""
    reply = read_reply(block("def match(request):\n    return None\n\ndef run():\n    return 1\n"))
    assert isinstance(reply, Module)
    assert (reply.templates, reply.has_match, reply.has_run) == ((), True, True)
    assert (reply.name, reply.where, reply.expected, reply.context) == ("procedure", None, None, None)


def test_a_module_that_widens() -> None:
    """A module that widens a procedure needs templates only."""
    reply = read_reply(block('TEMPLATES = ["go {n:count}"]\nWIDENS = "abc@1"\n'))
    assert isinstance(reply, Module)
    assert (reply.widens, reply.has_run, reply.templates) == ("abc@1", False, ("go {n:count}",))


@pytest.mark.parametrize(("name", "slug"), [("Ünï!", "n"), ("???", "procedure"), ("A" * 99, "a" * 48)])
def test_a_name_becomes_a_slug(name: str, slug: str) -> None:
    """A name is made of ASCII letters, digits and underscores, and is not long."""
    reply = read_reply(block(f'NAME = "{name}"\nTEMPLATES = ["go"]\ndef run():\n    return 1\n'))
    assert isinstance(reply, Module)
    assert reply.name == slug


def test_a_long_description_is_cut() -> None:
    """A description keeps at most 300 characters."""
    reply = read_reply(block(f'DESCRIPTION = "{"x" * 999}"\nTEMPLATES = ["go"]\ndef run():\n    return 1\n'))
    assert isinstance(reply, Module)
    assert len(reply.description) == 300


@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param("", 0, id="nothing"),
        pytest.param("def run():\n    return 1\n", 0, id="no block"),
        pytest.param("```python\n" + CODE, 0, id="block that is not closed"),
        pytest.param("```json\n{}\n```\n", 0, id="another language"),
        pytest.param(block(CODE) + block(CODE), 2, id="two blocks"),
    ],
)
def test_exactly_one_block(text: str, count: int) -> None:
    """A reply has one block of Python."""
    assert f"expected exactly one Python code block, found {count}:" in str(problem(text))


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def run(:\n", "no Python module"),
        (CODE[: CODE.index("/ n")] + "/ (\n", "no Python module"),
        ("x = 1\n", "no function `run`"),
        ('TEMPLATES = ["a"]\n', "no function `run`"),
        ('TEMPLATES = ["a"]\nclass A:\n    def run(self):\n        return 1\n', "no function `run`"),
        ('WIDENS = "a@1"\n', "no function `run`"),
        ("def run():\n    return 1\n", "neither TEMPLATES nor"),
        ("TEMPLATES = []\ndef run():\n    return 1\n", "neither TEMPLATES nor"),
        (
            'TEMPLATES = ["a"]\ndef match(request):\n    return {}\ndef run():\n    return 1\n',
            "both TEMPLATES and `match`",
        ),
    ],
)
def test_half_a_module(code: str, told: str) -> None:
    """A module that lacks something is unreadable, and the model learns what it lacks."""
    assert told in problem(block(code))


@pytest.mark.parametrize(
    "line",
    [
        "NAME = 'a' + 'b'",
        "DESCRIPTION = f'{1}'",
        "TEMPLATES = [t for t in ['a']]",
        "TEMPLATES = list('ab')",
        "WHERE = str(1)",
        "EXPECTED = [len('a')]",
        "CONTEXT = dict(a='date')",
        "WIDENS = other",
        "EXPECTED = [{[]: 1}]",
    ],
)
def test_metadata_that_is_no_literal(line: str) -> None:
    """Metadata is read, never evaluated."""
    code = f'TEMPLATES = ["a"]\n{line}\ndef run():\n    return 1\n'
    assert problem(block(code)).startswith(f"{line.split()[0]} must be written as a literal:")


@pytest.mark.parametrize(
    "line",
    [
        "TEMPLATES = 'go'",
        "TEMPLATES = [1]",
        "TEMPLATES = ['go', ' ']",
        "TEMPLATES = {'go': 1}",
        "WHERE = 1",
        "WHERE = ['n > 0']",
        "EXPECTED = 5",
        "EXPECTED = 'five'",
        "CONTEXT = ['today']",
    ],
)
def test_metadata_of_the_wrong_type(line: str) -> None:
    """Metadata of the wrong type is named in the finding."""
    code = f'TEMPLATES = ["a"]\n{line}\ndef run():\n    return 1\n'
    assert problem(block(code)).startswith(f"{line.split()[0]} must be ")


@pytest.mark.parametrize(
    ("text", "reason", "answer"),
    [
        ("NOT_CRYSTALLIZABLE: needs taste", "needs taste", None),
        ("Sorry.\n  NOT_CRYSTALLIZABLE: needs taste  \n", "needs taste", None),
        ("NOT_CRYSTALLIZABLE: needs taste\nANSWER: 42", "needs taste", "42"),
        ("NOT_CRYSTALLIZABLE: needs taste\n\nANSWER: two\nlines\n", "needs taste", "two\nlines\n"),
        ("NOT_CRYSTALLIZABLE: needs taste\nANSWER:\nbelow", "needs taste", "below"),
        ("NOT_CRYSTALLIZABLE: needs taste\nANSWER:  \n", "needs taste", None),
    ],
)
def test_the_model_declines(text: str, reason: str, answer: str | None) -> None:
    """A model may say that no code can answer, and may answer itself."""
    assert read_reply(text) == Declined(reason, answer)


def test_a_module_outweighs_a_refusal() -> None:
    """Where there is a module, what stands around it does not count."""
    assert isinstance(read_reply("NOT_CRYSTALLIZABLE: no\n" + block(CODE)), Module)


def test_a_refusal_needs_a_reason() -> None:
    """The word alone is no refusal."""
    assert "found 0" in problem("NOT_CRYSTALLIZABLE:\n")


def test_a_reply_may_be_as_long_as_the_limit() -> None:
    """One character more than the limit is refused."""
    text = block(CODE) + "x" * (MAX_REPLY - len(block(CODE)))
    assert isinstance(read_reply(text), Module)
    assert f"{MAX_REPLY + 1} characters" in problem(text + "x")


@pytest.mark.parametrize("text", [block(CODE), "NOT_CRYSTALLIZABLE: no", "```python\n"])
def test_a_truncated_reply_is_never_read(text: str) -> None:
    """What was cut off at the length limit is not trusted, however whole it looks."""
    reply = read_reply(text, truncated=True)
    assert isinstance(reply, Unreadable)
    assert "cut off" in reply.problem
