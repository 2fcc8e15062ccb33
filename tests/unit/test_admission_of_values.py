"""What a model may not copy from the request into code, and what must be looked at once more when it widens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from seglam_agents.admission.attacker import MAX_REQUESTS
from seglam_agents.cache import ReasoningCache
from seglam_agents.compilers.model import rules
from seglam_agents.compilers.prompts import prompt
from seglam_agents.hosting.procedures import described_procedure
from seglam_agents.models.base import Message
from seglam_agents.records.outcome import Hit
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.testing.models import ScriptedModel, asks_for_code


def opened(sandbox: MontySandbox, script: Any, **options: Any) -> tuple[ReasoningCache, ScriptedModel]:
    options.setdefault("second_opinion", False)
    model = ScriptedModel(script)
    return ReasoningCache(None, model, sandbox=sandbox, second_sandbox=None, repairs=0, **options), model


def refusal(sandbox: MontySandbox, template: str, body: str, text: str, answer: object) -> str:
    """Return why a procedure is refused; empty where it is admitted."""
    reply = f"```python\nTEMPLATES = [{template!r}]\nEXPECTED = [{answer!r}]\n\n\n{body}\n```"
    cache, _ = opened(sandbox, [reply], attacker=False)
    with cache:
        learned = cache.learn(text)
        assert learned.status in ("admitted", "rejected")
        return learned.reason


# --- numbers are read by the slot library ----------------------------------------------------------------------------

TEXT = "Split 84 coins among 4 people"
READING = """import re, json, decimal
from slots import parse
P = re.compile("(?i)split (.+) coins among (.+) people")


def match(request):
    m = P.fullmatch(request)
    if not m or not re.fullmatch("[0-9]+", m[1] + m[2]):
        return None
    return {"total": TOTAL, "n": parse("count", m[2])}


def run(total, n):
    return BODY / n
"""


@pytest.mark.parametrize(
    ("total", "body", "reader"),
    [
        ("float(m[1])", "total", "float"),
        ("int(m[1])", "total", "int"),
        ("list(map(int, [m[1]]))[0]", "total", "int"),
        ("json.loads(m[1])", "total", "json.loads"),
        ("float(decimal.Decimal(m[1]))", "total", "Decimal"),
        ("m[1]", "float(total)", "float"),
        ('parse("count", m[1])', "total", ""),
        ('int(parse("number", m[1]))', "total", ""),
        ("int(m[1], 10)", "total", ""),
        ('parse("count", m[1])', "int(total * n / n)", ""),
    ],
)
def test_code_reads_numbers_by_the_slot_library(sandbox: MontySandbox, total: str, body: str, reader: str) -> None:
    """What `float` takes ("1e5", "1_0", "٣") is no number of people; numbers in another base have no slot."""
    code = READING.replace("TOTAL", total).replace("BODY", body)
    cache, _ = opened(sandbox, [f"```python\nEXPECTED = [21]\n{code}```"])
    with cache:
        learned = cache.learn(TEXT)
        assert (f"read by {reader}()" in learned.reason) if reader else learned.status == "admitted", learned.reason


def test_the_guard_that_the_prompt_shows_is_admitted(sandbox: MontySandbox) -> None:
    """What is shown to a model passes what is asked of it, and reads numbers as people write them."""
    shown = re.findall(r"```python\n(.*?)```", rules(), re.DOTALL)[1]
    body = "def run(n, xs):\n    return ', '.join(str(x + n) for x in xs)\n"
    code = f"import re\nfrom slots import normalise, parse\n\n{shown}\n\n{body}"
    cache, _ = opened(sandbox, [f'```python\nEXPECTED = ["7, 8, 10"]\n{code}```'])
    with cache:
        learned = cache.learn("Add 4 to each of 3, 4 and 6.")
        assert learned.status == "admitted", learned.reason
        found = cache.lookup("add twenty-five to each of 1 and 2")
        assert isinstance(found, Hit) and found.answer == "26, 27"


# --- values of the request in the body -------------------------------------------------------------------------------

TRIP = "How long is the trip of {n:count} hours to {city:name}"
TRIP_TEXT = "How long is the trip of 7 hours to Lyon"


@pytest.mark.parametrize(
    "looking",
    [
        'city == "Lyon"',
        'city.lower() in ("lyon", "paris")',
        'city in "Paris, Lyon"',
        'city.startswith("Lyon")',
        '{"Lyon": True}.get(city)',
        '["Lyon", "Paris"].count(city)',
    ],
)
def test_no_word_of_the_request_is_looked_for(sandbox: MontySandbox, looking: str) -> None:
    """An answer for Lyon alone was learnt by heart, and what other cities get is nobody's business."""
    body = f"def run(n, city):\n    extra = len(city)\n    if {looking}:\n        extra = 8\n    return n + extra"
    assert "memory" in refusal(sandbox, TRIP, body, TRIP_TEXT, 15)


@pytest.mark.parametrize("looking", ["n == 7", "n >= 7", "7 <= n", "not n != 7"])
def test_no_number_of_the_request_is_looked_for(sandbox: MontySandbox, looking: str) -> None:
    """Small numbers neither, where the argument itself is compared."""
    body = f"def run(n):\n    return 9 if {looking} else n + 2"
    assert "looks for 7" in refusal(sandbox, "How much is 2 more than {n:count}", body, "How much is 2 more than 7", 9)


@pytest.mark.parametrize(
    ("template", "body", "text", "answer"),
    [
        (
            "What do {n:count} coins at 5 each come to, with a discount of 1 from 6 on",
            "def run(n):\n    return 5 * n - (n >= 6)",
            "What do 6 coins at 5 each come to, with a discount of 1 from 6 on",
            29,
        ),
        (
            "How many pairs do {n:count} people make",
            "def run(n):\n    if n < 2:\n        deopt('no pair')\n    return n * (n - 1) // 2",
            "How many pairs do 2 people make",
            1,
        ),
        # The remainder may be any, and so may a letter.
        ("Is {n:count} a multiple of seven", "def run(n):\n    return n % 7 == 0", "Is 14 a multiple of seven", True),
        (
            "How many vowels has {w:word}",
            "def run(w):\n    return sum(c in 'aeiou' for c in w.lower())",
            "How many vowels has sequoia",
            5,
        ),
        # A closed choice is there to be looked at, and senseless words may be declined.
        (
            "Take {a:count} {op:choice(plus|minus)} {b:count}",
            "def run(a, b, op):\n    return a - b if op == 'minus' else a + b",
            "Take 6 minus 4",
            2,
        ),
        (
            "How many letters has {w:word} backwards",
            "def run(w):\n    if w.lower() == 'nothing':\n        deopt('nothing is meant')\n    return len(w)",
            "How many letters has racecar backwards",
            7,
        ),
    ],
)
def test_what_is_computed_may_be_compared(
    sandbox: MontySandbox, template: str, body: str, text: str, answer: object
) -> None:
    """Neither a limit, a remainder, a letter, a choice nor a word that is declined is a value of the request."""
    assert refusal(sandbox, template, body, text, answer) == ""


def test_a_word_that_code_takes_may_not_be_looked_for(sandbox: MontySandbox) -> None:
    """A guard in code has open places, too: there, another word is accepted in the place of the first."""
    code = """import re
P = re.compile("(?i)how many letters has ([a-z]+)")


def match(request):
    m = P.fullmatch(request)
    return {"w": m[1]} if m else None


def run(w):
    return 7 if w == "racecar" else len(w)
"""
    cache, _ = opened(sandbox, [f"```python\nEXPECTED = [7]\n{code}```"])
    with cache:
        assert "looks for 'racecar'" in cache.learn("How many letters has racecar").reason


# --- words that decide -----------------------------------------------------------------------------------------------


TWO_BRANCHES = """def run(a, b, op):
    if op == 'plus':
        return a + b
    if op == 'less':
        return a - b
    deopt('?')
"""
TABLE = """T = {'plus': 1, 'less': -1}


def run(a, b, op):
    if op not in T:
        deopt('?')
    return a + T[op] * b
"""
MATCH = """def run(a, b, op):
    match op.lower():
        case 'less':
            return a - b
        case _:
            return a + b
"""
ALIAS = """def run(a, b, op):
    word = op.strip()
    sign = -1 if word == 'less' else 1
    return a + sign * b
"""


@pytest.mark.parametrize("body", [TWO_BRANCHES, TABLE, MATCH, ALIAS])
def test_an_open_word_decides_nothing(sandbox: MontySandbox, body: str) -> None:
    """A word that decides is a closed choice, whatever becomes of the words that are not known."""
    found = refusal(sandbox, "Take {a:count} {op:word} {b:count}", body, "Take 6 and 3", 9)
    assert "branches" in found and "`{op:choice(" in found
    closed = refusal(sandbox, "Take {a:count} {op:choice(plus|less)} {b:count}", body, "Take 6 plus 3", 9)
    assert closed == ""


# --- widenings -------------------------------------------------------------------------------------------------------

COINS = "Split {total:number} coins among {n:count} people"
FIRST = f"""```python
NAME = "split"
TEMPLATES = [{COINS!r}]
EXPECTED = [21]


def run(total, n):
    return total / n
```"""


def widening(wording: str, expected: object) -> str:
    return f'```python\nWIDENS = "@"\nTEMPLATES = [{wording!r}]\nEXPECTED = [{expected!r}]\n```'


def writing(*replies: str, attack: str = "NONE", answer: str = "ANSWER: 20") -> Any:
    """Return a model that writes one procedure after the other, each of which may widen what it is shown."""
    left = list(replies)

    def script(messages: Sequence[Message]) -> str:
        if messages[0].content.startswith("You try to break"):
            return attack
        if messages[0].content.startswith("A stored procedure"):
            return "1"
        if not asks_for_code(messages):
            return answer
        shown = re.search(r'^id "([^"]+)"', messages[1].content, re.MULTILINE)
        return left.pop(0).replace("@", shown[1] if shown else "")

    return script


def test_a_widening_with_a_new_open_place_is_attacked(sandbox: MontySandbox) -> None:
    """Words that the procedure has not taken before are looked at like those of a new one."""
    wider = "Split {total:number} coins among {n:count} {who:noun}"
    cache, _ = opened(
        sandbox, writing(FIRST, *(2 * [widening(wider, 20)]), attack="Split 9 coins among 3 spies => ASK")
    )
    with cache:
        assert cache.learn(TEXT).status == "admitted"
        assert cache.stats().attack.calls == 0
        learned = cache.learn("Split 60 coins among 3 pirates")
        assert learned.status == "rejected" and "spies" in learned.reason
        assert cache.stats().attack.calls == 2


def test_the_attacker_sees_the_new_wordings_alone(sandbox: MontySandbox) -> None:
    """What it has looked at before is left out; where no place is new, it is not asked."""
    first = FIRST.replace("people", "{who:noun}")
    asked: list[str] = []
    wider = "Split {total:number} coins of {metal:noun} among {n:count} {who}"
    script = writing(first, widening("Share {total:number} coins among {n:count} {who:noun}", 20),
                     widening(wider.replace("{who}", "{who:noun}"), 20))  # fmt: skip

    def listening(messages: Sequence[Message]) -> str:
        if messages[0].content.startswith("You try to break"):
            asked.append(messages[1].content)
        return script(messages)

    cache, _ = opened(sandbox, listening)
    with cache:
        texts = ("Split 84 coins among 4 friends", "Share 60 coins among 3 cats", "Split 60 coins of gold among 3 cats")
        statuses = [cache.learn(text).status for text in texts]
        assert statuses == ["admitted", "widened", "widened"]
    assert len(asked) == 2 and "{metal:noun}" in asked[1] and asked[1].count("template ") == 1


@pytest.mark.parametrize(
    ("answer", "status"), [("ANSWER: 20", "widened"), ("ANSWER: 0.05", "rejected")]
)  # fmt: skip
def test_another_order_needs_a_second_opinion(sandbox: MontySandbox, answer: str, status: str) -> None:
    """Whether "among 3 people split 60 coins" means the same, no word of it says: the model is asked for the answer."""
    wider = "Among {n:count} people split {total:number} coins"
    script = writing(FIRST, *(2 * [widening(wider, 20)]), answer=answer)
    asked: list[str] = []

    def listening(messages: Sequence[Message]) -> str:
        if not asks_for_code(messages):
            asked.append(messages[-1].content)
        return script(messages)

    cache, _ = opened(sandbox, listening, second_opinion=True)
    with cache:
        assert cache.learn(TEXT, answer=21).status == "admitted"
        assert cache.learn("Among 3 people split 60 coins").status == status
    assert len(asked) == 1 and "Among 3 people" in asked[0]


# --- prompts ---------------------------------------------------------------------------------------------------------


def test_the_rounding_of_a_body_is_said(sandbox: MontySandbox) -> None:
    """Whoever calls a procedure is told what its answer is rounded to, although no request and no model said so."""
    reply = FIRST.replace("return total / n", "return round(total / n + 1e-9, 2)")
    cache, _ = opened(sandbox, [reply])
    with cache:
        cache.learn(TEXT)
        (entry,) = cache.procedures()
        assert entry.procedure.signature.rounding == "rounded to 2 decimals"
        assert "The answer is rounded to 2 decimals." in described_procedure(entry.procedure)


def test_the_attacker_is_asked_for_as_many_as_are_tried(sandbox: MontySandbox) -> None:
    """One number: what it writes beyond that is left unread."""
    wanted = "You try to break"
    texts = [f"Split {n} coins among 3 spies => ASK" for n in range(20, 20 + 2 * MAX_REQUESTS)]
    seen: list[str] = []

    def script(messages: Sequence[Message]) -> str:
        if messages[0].content.startswith(wanted):
            seen.append(messages[0].content)
            return "\n".join(texts)
        if messages[0].content.startswith("A stored procedure"):
            return ", ".join(map(str, range(1, 2 * MAX_REQUESTS)))
        if "must decline" in messages[-1].content:
            seen.append(messages[-1].content)
        return FIRST.replace("people", "{who:noun}")

    cache, _ = opened(sandbox, script)
    with cache:
        cache.learn("Split 84 coins among 4 friends")
    assert f"at most {MAX_REQUESTS} requests" in seen[0] and "{most}" not in seen[0]
    assert seen[1].count("spies") == MAX_REQUESTS
    assert prompt("attack").startswith(wanted)
