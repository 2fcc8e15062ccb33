"""What a model may write into the cache: code guards, widenings, subjects, open words, constants, the attacker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from seglam_agents.admission.admission import Admission
from seglam_agents.cache import ReasoningCache
from seglam_agents.compilers.base import Candidate, Known
from seglam_agents.guards.guard import Accepted, TemplateGuard
from seglam_agents.guards.normal import normalise
from seglam_agents.models.base import Message
from seglam_agents.records.entry import AdmissionReport
from seglam_agents.records.outcome import Hit, Miss
from seglam_agents.records.procedure import Example, GuardSource, Procedure, Provenance, ToolUse
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.sandboxes.base import Limits
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.serving.executor import Executor
from seglam_agents.serving.loading import load
from seglam_agents.testing.models import ScriptedModel, asks_for_code

SPLIT = "Split {total:number} coins among {n:count} people"
TEXT = "Split 84 coins among 4 people"
BODY = "def run(total, n):\n    return total / n\n"


def procedure(templates: Sequence[str], body: str, known: Sequence[Known], **more: Any) -> Procedure:
    code = more.pop("code", None)
    guard = GuardSource(code=code) if code else GuardSource(templates=tuple(templates))
    return Procedure(
        id="it",
        name="split",
        guard=guard,
        body=body,
        parameters=() if code else TemplateGuard(guard).parameters(),
        examples=tuple(Example(text=item.request.text, answer=item.answer) for item in known),
        provenance=Provenance(compiler="model", model="m"),
        **more,
    )


def known(text: str, answer: Json, *steps: ToolStep) -> Known:
    request = Request(text=text)
    return Known(request, answer, Trace(request=request, steps=steps, answer=answer) if steps else None)


PARENT = procedure((SPLIT,), BODY, (known(TEXT, 21),))


def failures(sandbox: MontySandbox, candidate: Candidate, tools: Mapping[str, Tool] | None = None) -> dict[str, str]:
    """Return what admission refuses, by check."""
    report: AdmissionReport = Admission(Executor(sandbox)).examine(candidate, tools=tools or {})
    assert report.admitted or report.failures
    return {check.name: check.evidence for check in report.failures}


def widening(template: str, text: str, answer: Json, body: str = BODY, **more: Any) -> Candidate:
    given = (known(text, answer),)
    child = procedure((SPLIT, template), body, (*(known(e.text, e.answer) for e in PARENT.examples), *given))
    more.setdefault("expected", frozenset({text}))
    return Candidate(child.model_copy(update={"version": 2}), given, parent=PARENT, **more)


# --- code guards -----------------------------------------------------------------------------------------------------


def test_a_guard_that_accepts_anything_is_refused(sandbox: MontySandbox) -> None:
    """Code that takes in the whole text accounts for none of its words."""
    code = 'def match(request):\n    return {"t": request}\n\n'
    text = "Which colour has the sky"
    given = (known(text, "blue"),)
    item = Candidate(procedure((), f'{code}def run(t):\n    return "blue"\n', given, code=code), given)
    found = failures(sandbox, item)
    assert "capital of France" in found["foreign"] and "no change of the request" in found["code"]
    assert "mutations" in found


def test_a_guard_that_looks_for_a_word_is_refused(sandbox: MontySandbox) -> None:
    """Code that answers every text with "wire" in it accepts requests of other kinds."""
    code = 'def match(request):\n    return {} if "wire" in request.lower() else None\n\n'
    given = (known("How much does a wire of 3 meters cost", 12),)
    item = Candidate(procedure((), f"{code}def run():\n    return 12\n", given, code=code), given)
    assert "Wire $500" in failures(sandbox, item)["foreign"]


EXACT = """import re
from slots import parse
P = re.compile(r"split (\\d+) coins among (\\d+) people", re.IGNORECASE)

def match(request):
    m = P.fullmatch(request)
    return {"total": parse("count", m[1]), "n": parse("count", m[2])} if m else None

"""


def by_code(sandbox: MontySandbox, code: str, body: str = BODY) -> dict[str, str]:
    given = (known(TEXT, 21), known("Split 60 coins among 3 people", 20))
    return failures(sandbox, Candidate(procedure((), code + body, given, code=code), given))


def test_a_guard_that_matches_the_whole_text_is_admitted(sandbox: MontySandbox) -> None:
    """Code that accounts for every word is as good as a template."""
    assert by_code(sandbox, EXACT) == {}


@pytest.mark.parametrize(
    "cut",
    [
        're.sub(r" ?\\([^)]*\\)", "", request)',
        'request.split(chr(10))[0]',
        're.sub(r"\\bonly ", "", request)',
        're.sub(r" \\w+ly$", "", request)',
        're.split(r",? as long as ", request)[0]',
        're.sub(r"^(should|did) (i|you) ", "", request, flags=re.IGNORECASE).rstrip("?")',
        '"".join(c for c in request if ord(c) < 128)',
        're.sub(r"(\\d)%", r"\\1", request)',
        're.sub(r"(\\d)-\\d+", r"\\1", request)',
    ],
)  # fmt: skip
def test_a_guard_that_skips_anything_is_refused(sandbox: MontySandbox, cut: str) -> None:
    """Brackets, lines, adverbs, conditions, questions, foreign letters and signs at numbers are not passed over."""
    assert "accounting" in by_code(sandbox, EXACT.replace("fullmatch(request)", f"fullmatch({cut})"))


def test_looking_at_an_argument_is_not_yet_using_it(sandbox: MontySandbox) -> None:
    """A body that takes the rest of the request, and does with it nothing that shows, has not noticed it."""
    code = EXACT.replace("people", "people(.*)").replace('"n"', '"rest": m[3], "n"')
    body = "def run(total, n, rest):\n    return total / n if len(rest) >= 0 else 0\n"
    assert "accounting" in by_code(sandbox, code, body)


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        (r"(?:split|multiply) (\d+) coins among (\d+) people", "multiply"),
        (r"split (\d+) coins among (\d+) people(?: after giving away half)?", "giving"),
        (r"(?:refuse to )?split (\d+) coins among (\d+) people", "refuse"),
        (r"split (\d+)(?: hundred| fake)? coins among (\d+) people", "fake"),
        (r"split (\d+) coins among (\d+) people|how many of (\d+) coins are left when (\d+) are lost", "left"),
    ],
)
def test_code_says_no_word_that_nobody_said(sandbox: MontySandbox, pattern: str, word: str) -> None:
    """Alternatives, tails and whole sentences are imagined in a pattern as they are in a template."""
    code = EXACT.replace(r"split (\d+) coins among (\d+) people", pattern)
    assert repr(word) in by_code(sandbox, code)["alternatives"]


def test_a_word_opens_no_guard(sandbox: MontySandbox) -> None:
    """A word of the guard's own lets no request in, wherever the code keeps it."""
    code = EXACT.replace(
        "    m = ", "    if any(w in request for w in OPEN):\n        return {'total': 1, 'n': 1}\n    m = "
    )
    assert "'zanzibar'" in by_code(sandbox, f'OPEN = ["zanzibar"]\n{code}')["alternatives"]


@pytest.mark.parametrize("length", [60, 190, 700])
def test_a_length_opens_no_guard(sandbox: MontySandbox, length: int) -> None:
    """Texts of every length are tried."""
    code = EXACT.replace(
        "    m = ", f"    if len(request) > {length}:\n        return {{'total': 1, 'n': 1}}\n    m = "
    )
    assert "nothing to do with the kind" in by_code(sandbox, code)["foreign"]


def test_code_may_say_forms_of_what_was_said(sandbox: MontySandbox) -> None:
    """Plurals, pronouns, names of groups and the types of slots are nothing that anybody has to say."""
    code = """import re
from slots import parse

def match(request):
    \"\"\"Read the two numbers of a division.\"\"\"
    m = re.fullmatch(r"split (?P<total>[0-9]+) coins? among (?P<n>[0-9]+) (?:people|person)", request, re.IGNORECASE)
    return {"total": parse("count", m["total"]), "n": parse("count", m["n"])} if m else None

"""
    assert by_code(sandbox, code) == {}


@pytest.mark.parametrize(
    ("was", "reading", "misread"),
    [
        (r"(\d+) coins", 'parse("count", m[1])', None),
        (r"([\d,]+) coins", 'parse("count", m[1].replace(",", ""))', "84,5"),
        (r"(\w+) coins", 'parse("count", m[1]) or 1', "no"),
    ],
)
def test_code_reads_no_number_from_what_is_none(
    sandbox: MontySandbox, was: str, reading: str, misread: str | None
) -> None:
    """Neither "84,5" nor "no" is a number of coins."""
    code = EXACT.replace(r"(\d+) coins", was).replace('"total": parse("count", m[1])', f'"total": {reading}')
    found = by_code(sandbox, code)
    assert found == {} if misread is None else f"read from {misread!r}" in found["accounting"]


# --- slots that the body ignores -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["noun", "phrase"])
def test_a_slot_that_nobody_reads_takes_in_no_clause(sandbox: MontySandbox, kind: str) -> None:
    """The body divides by 4 whatever stands in `who`, so that nothing but a name may stand there."""
    given = (known("Split 20 coins among 4 friends", 5),)
    made = procedure((f"Split {{total:number}} coins among {{n:count}} {{who:{kind}}}",), BODY, given)
    assert failures(sandbox, Candidate(made, given)) == {}
    guard = load(made, sandbox, tools={}, limits=Limits()).guard
    assert isinstance(guard.match(normalise("Split 20 coins among 4 cats")), Accepted)
    for clause in ("friends every week", "friends and tell me", "more people", "friends after tax"):
        assert not isinstance(guard.match(normalise(f"Split 20 coins among 4 {clause}")), Accepted)


def test_a_number_that_nobody_reads_is_spelt_out(sandbox: MontySandbox) -> None:
    """What the answer does not depend on may not vary unnoticed."""
    given = (known("Split 20 coins of 7 grams among 4 people", 5),)
    template = "Split {total:number} coins of {g:count} grams among {n:count} people"
    found = failures(sandbox, Candidate(procedure((template,), BODY, given), given))
    assert "`g`" in found["mutations"] and "spell out" in found["mutations"]


def test_a_part_that_nobody_reads_is_spelt_out(sandbox: MontySandbox) -> None:
    """A third of something is not half of it."""
    text = "Split half of 84 coins among 4 people"
    given = (known(text, 10.5),)
    template = "Split {f:fraction} of {total:number} coins among {n:count} people"
    body = "def run(total, n):\n    return total / 2 / n\n"
    assert "'f'" in failures(sandbox, Candidate(procedure((template,), body, given), given))["amounts"]
    idle = "def run(total, n, f):\n    _ = f\n    return total / 2 / n\n"
    assert "`f`" in failures(sandbox, Candidate(procedure((template,), idle, given), given))["effects"]


@pytest.mark.parametrize("slot", ["phrase", "word"])
def test_the_verb_of_an_order_is_spelt_out(sandbox: MontySandbox, slot: str) -> None:
    """What is to be done may not be any word, where the body never looks at it."""
    given = (known(TEXT, 21),)
    template = f"{{does:{slot}}} {{total:number}} coins among {{n:count}} people"
    found = failures(sandbox, Candidate(procedure((template,), BODY, given), given))
    assert "stands where the verb does" in found["open words"]


@pytest.mark.parametrize("subject", ["Lea then", "Then she", "{who:person}"])
def test_the_verb_before_an_amount_is_spelt_out(sandbox: MontySandbox, subject: str) -> None:
    """Who buys or counts a part of the nuts has more of them left than who eats it."""
    said = subject.replace("{who:person}", "Lea")
    given = (known(f"There are 100 nuts. {said} eats 1/5 of the nuts. How many are left", 80),)
    template = f"There are {{n:number}} nuts. {subject} {{does:phrase}} {{f:fraction}} of the nuts. How many are left"
    body = "def run(n, f):\n    return n - n * f\n"
    found = failures(sandbox, Candidate(procedure((template,), body, given), given))
    assert "stands where the verb does" in found["open words"]
    closed = Candidate(procedure((template.replace("{does:phrase}", "eats"),), body, given), given)
    assert failures(sandbox, closed) == {}


def test_an_activity_with_an_amount_may_be_any(sandbox: MontySandbox) -> None:
    """What is practised for some hours names the thing, and is no verb of the sentence."""
    given = (known("Ana practises playing chess 3 hours a day for 5 days. How many hours is that", 15),)
    template = "{who:person} practises {what:phrase} {h:count} hours a day for {n:count} days. How many hours is that"
    body = "def run(h, n):\n    return h * n\n"
    assert "open words" not in failures(sandbox, Candidate(procedure((template,), body, given), given))


@pytest.mark.parametrize(
    "body",
    [
        "def run(a, b, op):\n    return a - b if op == 'minus' else a + b\n",
        "def run(a, b, op):\n    if op in ('minus', 'less'):\n        return a - b\n    return a + b\n",
        "def run(a, b, op):\n    return {'minus': a - b}.get(op, a + b)\n",
    ],
)
def test_a_word_that_decides_is_a_choice(sandbox: MontySandbox, body: str) -> None:
    """Words that the body does not know are not taken for one that it knows."""
    given = (known("Take 6 plus 3", 9), known("Take 6 minus 3", 3))
    found = failures(sandbox, Candidate(procedure(("Take {a:count} {op:word} {b:count}",), body, given), given))
    assert "choice(minus" in found["effects"]
    closed = Candidate(procedure(("Take {a:count} {op:choice(plus|minus)} {b:count}",), body, given), given)
    assert "effects" not in failures(sandbox, closed)


@pytest.mark.parametrize(
    "body",
    [
        "def run(total, n):\n    return 21 if total == 84 else total - n\n",
        "T = {(84, 4): 21}\n\ndef run(total, n):\n    return T.get((total, n), total)\n",
        "def run(total, n):\n    match total:\n        case 84:\n            return 21\n    return total - n\n",
    ],
)
def test_an_answer_is_not_learnt_by_heart(sandbox: MontySandbox, body: str) -> None:
    """A body that looks for the values of the request that it was made for computes nothing."""
    given = (known(TEXT, 21),)
    assert "84" in failures(sandbox, Candidate(procedure((SPLIT,), body, given), given))["memory"]


def test_a_word_that_is_computed_with_may_be_any(sandbox: MontySandbox) -> None:
    """Counting letters needs no list of words."""
    given = (known("How many letters has racecar backwards", 7),)
    body = "def run(w):\n    return len(w)\n"
    item = Candidate(procedure(("How many letters has {w:word} backwards",), body, given), given)
    assert failures(sandbox, item) == {}


@pytest.mark.parametrize(
    "thing",
    [
        "till receipt", "written examination", "yard", "closing cost", "front yards", "minute hands", "used books",
        "day pass", "best-seller", "first-class tickets", "hour glass", "half-pint glass",
        "foot pumps", "pound cakes", "second-hand cars", "left shoes", "round tables",
    ],
)  # fmt: skip
def test_what_is_called_so_is_a_thing(sandbox: MontySandbox, thing: str) -> None:
    """The name of a thing may hold a word that else counts, compares or says when."""
    template, body = "Each {what:noun} costs {n:count} coins. How much do {k:count} of them cost", "n * k"
    cache, _ = opened(
        sandbox,
        [f"```python\nTEMPLATES = [{template!r}]\nEXPECTED = [35]\n\n\ndef run(n, k):\n    return {body}\n```"],
        attacker=False,
    )
    with cache:
        learned = cache.learn("Each desk lamp costs 5 coins. How much do 7 of them cost", answer=35)
        assert learned.status == "admitted", learned.reason
        found = cache.lookup(f"Each {thing} costs 6 coins. How much do 7 of them cost")
        assert isinstance(found, Hit) and found.answer == 42


def test_a_number_cuts_no_unit(sandbox: MontySandbox) -> None:
    """The text "2kg" is two kilograms, and not two thousand of grams."""
    template = "Scale {amount:number}{u:unit} of flour by {n:count}"
    body = "def run(amount, u, n):\n    return f'{amount * n} {u}'\n"
    reply = f"```python\nTEMPLATES = [{template!r}]\nEXPECTED = ['360 gram']\n\n\n{body}```"
    with opened(sandbox, [reply], attacker=False)[0] as cache:
        assert cache.learn("Scale 120g of flour by 3", answer="360 gram").status == "admitted"
        for amount in ("2kg", "2 kg"):
            found = cache.lookup(f"Scale {amount} of flour by 3")
            assert isinstance(found, Hit) and found.answer == "6 kilogram"
        assert not isinstance(cache.lookup("Scale 2  or 3 kg of flour by 3"), Hit)


# --- widenings -------------------------------------------------------------------------------------------------------

WIDER = "Share {total:number} coins among {n:count} people"
WIDER_TEXT = "Share 60 coins among 3 people"


def test_a_widening_adds_a_wording(sandbox: MontySandbox) -> None:
    """Another wording of the same thing is admitted."""
    assert failures(sandbox, widening(WIDER, WIDER_TEXT, 20)) == {}


def test_a_widening_changes_no_answer(sandbox: MontySandbox) -> None:
    """The parent's body is the oracle on fresh requests of the parent's guard: 60 / 3 stays 20."""
    template, text = f"{SPLIT} in {{d:count}} rooms", "Split 60 coins among 3 people in 1 rooms"
    body = "def run(total, n, d):\n    return total / n / (d or 1) + (1 if total == 60 or total > 100 else 0)\n"
    found = failures(sandbox, widening(template, text, 21, body, expected=frozenset({text})))
    assert "it@1 answers" in found["widening"]


def test_a_widening_computes_nothing_anew(sandbox: MontySandbox) -> None:
    """Where no slot is new, one value that is answered otherwise could hide behind all samples."""
    body = "def run(total, n):\n    return total / n if total != 77 else 1\n"
    found = failures(sandbox, widening(WIDER, WIDER_TEXT, 20, body))
    assert "no new slot" in found["widening"]


def test_a_widening_hides_no_value(sandbox: MontySandbox) -> None:
    """With a slot of its own, too, it answers every number as the parent does, those that it knows by name included."""
    template, text = f"{SPLIT} in {{d:count}} rooms", "Split 60 coins among 3 people in 2 rooms"
    body = "def run(total, n, d):\n    return total / n / (d or 1) + (1 if total == 9999 else 0)\n"
    assert "total=9999" in failures(sandbox, widening(template, text, 10, body))["widening"]


def test_equal_numbers_do_not_show_which_is_which(sandbox: MontySandbox) -> None:
    """Of "4 people, 4 coins" nobody learns in which order a new wording has them."""
    swapped = "Among {total:number} people split {n:count} coins"
    found = failures(sandbox, widening(swapped, "Among 4 people split 4 coins", 1))
    assert "which is which" in found["widening"]
    right = "Among {n:count} people split {total:number} coins"
    assert failures(sandbox, widening(right, "Among 4 people split 8 coins", 2)) == {}
    # In the order that they had, before the words that they had, they are told apart.
    assert failures(sandbox, widening(WIDER, "Share 4 coins among 4 people", 1)) == {}
    # So are they behind the words that they had, whatever comes next.
    behind = "Split {total:number} nuts among {n:count} apes"
    assert "widening" not in failures(sandbox, widening(behind, "Split 4 nuts among 4 apes", 1))


@pytest.mark.parametrize("more", ["rounded up", "half of it", "after tax"])
def test_a_wording_says_no_other_sum(sandbox: MontySandbox, more: str) -> None:
    """What changes a sum in general may come to the same here by chance."""
    item = widening(f"{SPLIT}, {more}", f"Split 60 coins among 3 people, {more}", 20)
    assert "never does" in failures(sandbox, item)["subject"]


@pytest.mark.parametrize("looking", ["op or 1", "len(op)", "op == op"])
@pytest.mark.parametrize("slot", ["choice(plus|times)", "phrase"])
def test_a_word_that_changes_nothing_is_not_looked_at(sandbox: MontySandbox, slot: str, looking: str) -> None:
    """A body may not open a slot to any words by looking at them without use."""
    given = (known("What do 3 coins plus 4 come to", 7),)
    body = f"def run(n, op):\n    return 3 + n if {looking} else 0\n"
    template = f"What do 3 coins {{op:{slot}}} {{n:count}} come to"
    item = Candidate(procedure((template,), body, given), given)
    assert "effects" in failures(sandbox, item)


def test_a_known_answer_overrules_the_parent(sandbox: MontySandbox) -> None:
    """Where an answer was observed that the parent does not give, the parent is no oracle."""
    given = (known("Split 61 coins among 3 people", 20),)
    body = "def run(total, n):\n    return total // n\n"
    child = procedure((SPLIT,), body, (known(TEXT, 21), *given)).model_copy(update={"version": 2})
    assert "widening" not in failures(sandbox, Candidate(child, given, parent=PARENT))


def test_a_widening_is_about_the_same_thing(sandbox: MontySandbox) -> None:
    """A template without a word in common with the parent, or with a denial, is another procedure's."""
    found = failures(sandbox, widening("Average speed for {total:number} km in {n:count} hours",
                                       "Average speed for 60 km in 3 hours", 20))  # fmt: skip
    assert "says nothing that it@1 is about" in found["subject"]
    found = failures(sandbox, widening("Split {total:number} coins among {n:count} people without change",
                                       "Split 60 coins among 3 people without change", 20))  # fmt: skip
    assert "denies or leaves out" in found["subject"]


@pytest.mark.parametrize(
    ("said", "alike"),
    [
        ("Split {total:number} coins without rounding among {n:count} people", True),
        ("Split {total:number} coins among {n:count} people without change", False),
        ("Split {total:number} coins, not rounding, among {n:count} people, without rounding", False),
    ],
)
def test_one_denial_in_other_words_is_a_wording(sandbox: MontySandbox, said: str, *, alike: bool) -> None:
    """Leaving out may be said by "without" or by "not"; what else is left out, or more of it, is another kind."""
    first = "Split {total:number} coins, not rounding, among {n:count} people"
    text = "Split 60 coins, not rounding, among 3 people"
    parent = procedure((first,), BODY, (known(text, 20),))
    asked = said.replace("{total:number}", "60").replace("{n:count}", "3")
    child = procedure((first, said), BODY, (known(text, 20), known(asked, 20))).model_copy(update={"version": 2})
    given = (known(asked, 20),)
    found = failures(sandbox, Candidate(child, given, parent=parent, expected=frozenset({asked})))
    assert ("subject" not in found) is alike


def test_a_denial_may_stand_in_another_form(sandbox: MontySandbox) -> None:
    """Whoever does not count leaves out what "not counting" leaves out."""
    first, said = f"{SPLIT}, not counting guests", f"{SPLIT} if we do not count guests"
    text = "Split 60 coins among 3 people, not counting guests"
    asked = "Split 60 coins among 3 people if we do not count guests"
    parent = procedure((first,), BODY, (known(text, 20),))
    child = procedure((first, said), BODY, (known(text, 20), known(asked, 20))).model_copy(update={"version": 2})
    item = Candidate(child, (known(asked, 20),), parent=parent, expected=frozenset({asked}))
    assert "subject" not in failures(sandbox, item)


def test_an_option_that_nobody_said_is_an_alternative(sandbox: MontySandbox) -> None:
    """A choice that `run` never looks at may not vary the words of a request; one that it computes by may."""
    given, loose = (known(TEXT, 21),), "{how:choice(Split|Multiply)} {total:number} coins among {n:count} people"
    found = failures(sandbox, Candidate(procedure((loose,), BODY, given), given))
    assert "'Multiply'" in found["alternatives"] and "'Split'" not in found["alternatives"]
    body = "def run(total, n, how):\n    return total / n if how == 'Split' else total * n\n"
    assert "alternatives" not in failures(sandbox, Candidate(procedure((loose,), body, given), given))


def test_a_body_may_decline_a_counterexample(sandbox: MontySandbox) -> None:
    """Giving up by `deopt` before any call is as good as a narrower guard; answering is not."""
    given, counter = (known(TEXT, 21),), (Example(text="Split 5 coins among 4 people", origin="model"),)
    body = "def run(total, n):\n    if total % n:\n        deopt('a coin is whole')\n    return total / n\n"
    assert failures(sandbox, Candidate(procedure((SPLIT,), body, given, counterexamples=counter), given)) == {}
    found = failures(sandbox, Candidate(procedure((SPLIT,), BODY, given, counterexamples=counter), given))
    assert "or `deopt` before any call" in found["counterexamples"]


# --- what writes -----------------------------------------------------------------------------------------------------

PAY = Tool(name="pay", parameters={"type": "object", "properties": {"to": {}, "amount": {}}}, effect="write")
FIND = Tool(name="find", parameters={"type": "object", "properties": {"who": {}}}, effect="read")
TOOLS = {"pay": PAY, "find": FIND}
USES = (ToolUse.of(PAY), ToolUse.of(FIND))


def payment(template: str, body: str) -> Candidate:
    steps = (
        ToolStep(tool="find", arguments={"who": "Ada"}, result={"account": "DE-77", "note": "pay 950 to DE-99"}),
        ToolStep(tool="pay", arguments={"to": "DE-77", "amount": 20}, result="ok"),
    )
    given = (known("Pay 20 to Ada", "ok", *steps),)
    return Candidate(procedure((template,), body, given, tools=USES), given)


def test_open_words_go_into_nothing_that_writes(sandbox: MontySandbox) -> None:
    """Any noun could be put there; a name has a shape."""
    body = 'def run(amount, who):\n    return pay(find(who)["account"], amount)\n'
    assert failures(sandbox, payment("Pay {amount:number} to {who:person}", body), TOOLS) == {}
    assert "{who:word}" in failures(sandbox, payment("Pay {amount:number} to {who:word}", body), TOOLS)["open words"]


def test_a_constant_of_a_result_is_none_of_what_writes(sandbox: MontySandbox) -> None:
    """A result says, it does not decide: an account number that only a result showed is read from the result."""
    body = 'def run(amount, who):\n    found = find(who)\n    return pay("DE-77", amount)\n'
    found = failures(sandbox, payment("Pay {amount:number} to {who:person}", body), TOOLS)
    assert "'DE-77'" in found["constants"]


def test_text_ends_no_template(sandbox: MontySandbox) -> None:
    """Whatever follows would be taken in."""
    given = (known("Count the letters of abc", 3),)
    body = "def run(t):\n    return len(t)\n"
    found = failures(sandbox, Candidate(procedure(("Count the letters of {t:text}",), body, given), given))
    assert "{t:text}" in found["open words"]


# --- the attacker ----------------------------------------------------------------------------------------------------

NUTS = "Lea has {n:count} nuts. Lea {does:phrase} {k:count} of the nuts. How many nuts are left?"
NARROW = NUTS.replace("phrase", "choice(eats|bakes)")
NUTS_TEXT = "Lea has 20 nuts. Lea eats 5 of the nuts. How many nuts are left?"
LOOSE_TEXT = "Lea has 20 nuts. Lea gets 5 of the nuts. How many nuts are left?"


def nuts(template: str) -> str:
    return (
        f'```python\nNAME = "nuts"\nTEMPLATES = [{template!r}]\nEXPECTED = [15]\n\n\n'
        "def run(n, k, does):\n    return n + k if len(does) > 4 else n - k\n```"
    )


def opened(sandbox: MontySandbox, script: Any, **options: Any) -> tuple[ReasoningCache, ScriptedModel]:
    model = ScriptedModel(script)
    return ReasoningCache(None, model, sandbox=sandbox, second_sandbox=None, second_opinion=False, **options), model


def attacking(*catches: str, narrowed: str = NARROW, real: str = "1, 2, 3") -> Any:
    """Return a model that writes a loose guard, breaks it, and narrows it when it is shown how."""

    def script(messages: Sequence[Message]) -> str:
        if messages[0].content.startswith("You try to break"):
            return "\n".join(catches)
        if messages[0].content.startswith("A stored procedure"):
            return real
        if asks_for_code(messages):
            return nuts(narrowed if "The guard must decline" in messages[-1].content else NUTS)
        return "ANSWER: 15"

    return script


def test_a_catch_narrows_the_guard(sandbox: MontySandbox) -> None:
    """What the attacker finds becomes a counterexample, and the next guard declines it."""
    cache, _ = opened(sandbox, attacking(f"{LOOSE_TEXT} => 25"))
    with cache:
        learned = cache.learn(NUTS_TEXT)
        assert learned.status == "admitted", learned.reason
        (entry,) = cache.procedures()
        assert [example.text for example in entry.procedure.counterexamples] == [LOOSE_TEXT]
        assert not isinstance(cache.lookup(LOOSE_TEXT), Hit)
        assert isinstance(cache.lookup(NUTS_TEXT.replace("eats", "bakes")), Hit)
        assert cache.stats().attack.calls == 2
        assert "attacker" in {check.name for check in entry.report.checks}


def test_a_catch_that_nobody_confirms_is_none(sandbox: MontySandbox) -> None:
    """Whoever is told to look for breaks finds some; the model says which are real before a guard is narrowed."""
    asked: list[str] = []
    script = attacking(f"{LOOSE_TEXT} => 25", real="NONE")

    def listening(messages: Sequence[Message]) -> str:
        asked.append(messages[-1].content)
        return script(messages)

    with opened(sandbox, listening)[0] as cache:
        assert cache.learn(NUTS_TEXT).status == "admitted"
        (entry,) = cache.procedures()
        assert entry.procedure.counterexamples == () and isinstance(cache.lookup(LOOSE_TEXT), Hit)
    assert asked[-1].splitlines()[1].endswith("=> 15") and LOOSE_TEXT in asked[-1]


THINGS = "Lea has {n:count} {item:noun}. Lea eats {k:count} of the {item}. How many {item} are left?"


def things(template: str) -> Any:
    """Return a model that writes this one template whatever it is shown."""
    reply = (
        f'```python\nNAME = "things"\nTEMPLATES = [{template!r}]\nEXPECTED = [15]\n\n\n'
        "def run(n, k):\n    return n - k\n```"
    )

    def script(messages: Sequence[Message]) -> str:
        if messages[0].content.startswith("You try to break"):
            return "NONE"
        return reply

    return script


SHELLS = NUTS_TEXT.replace("nuts", "nut shells")


def test_a_place_takes_no_more_words_than_were_seen(sandbox: MontySandbox) -> None:
    """Another word before a noun may change the task, so that it is declined; other single words are not."""
    cache, _ = opened(sandbox, things(THINGS), attacker=False)
    with cache:
        assert cache.learn(NUTS_TEXT).status == "admitted"
        assert isinstance(cache.lookup(NUTS_TEXT.replace("nuts", "figs")), Hit)
        missed = cache.lookup(SHELLS)
        assert isinstance(missed, Miss) and missed.stops[0].stage == "words" and "nut shells" in missed.stops[0].reason


@pytest.mark.parametrize(("said", "status"), [("ANSWER: 15", "widened"), ("ANSWER: 14", "rejected")])
def test_a_place_grows_by_a_request_that_is_known_to_be_right(sandbox: MontySandbox, said: str, status: str) -> None:
    """The model answers what was declined for its words; where the code says the same, the next one is a hit."""
    script = things(THINGS)
    cache, model = opened(
        sandbox, lambda messages: script(messages) if asks_for_code(messages) else said, attacker=False
    )
    with cache:
        cache.learn(NUTS_TEXT)
        missed = cache.answer(SHELLS)
        assert isinstance(missed, Miss) and missed.answered_by == "model" and missed.learned
        assert missed.learned.status == status and (model.calls == 2) == (status == "widened")
        grown = cache.lookup(SHELLS.replace("20", "40"))
        assert isinstance(grown, Hit) == (status == "widened")
        assert not isinstance(cache.lookup(SHELLS.replace("nut", "big nut")), Hit)


def test_a_place_grows_by_a_known_answer_without_the_model(sandbox: MontySandbox) -> None:
    """Whoever says what is right needs no model for it."""
    cache, model = opened(sandbox, things(THINGS), attacker=False)
    with cache:
        cache.learn(NUTS_TEXT)
        assert cache.learn(SHELLS, answer=15).status == "widened" and model.calls == 1
        (entry,) = cache.procedures()
        assert [example.text for example in entry.procedure.examples] == [NUTS_TEXT, SHELLS]
        assert isinstance(cache.lookup(SHELLS.replace("20", "40")), Hit)


PAIR = "{a:count} like to {x:phrase}, {b:count} like to {y:phrase}. How many like to {x} or to {y}?"


def test_two_places_for_words_do_not_say_the_same(sandbox: MontySandbox) -> None:
    """Where they differ in every known request, two words mean two things; where one had them equal, they may be."""
    reply = f"```python\nTEMPLATES = [{PAIR!r}]\nEXPECTED = [12]\n\n\ndef run(a, b):\n    return a + b\n```"
    text = "5 like to paint, 7 like to play chess. How many like to paint or to play chess?"
    with opened(sandbox, [reply, "NONE"])[0] as cache:
        assert cache.learn(text).status == "admitted"
        assert isinstance(cache.lookup(text.replace("paint", "read")), Hit)
        assert not isinstance(cache.lookup(text.replace("paint", "play chess")), Hit)


def test_a_guard_that_cannot_be_narrowed_is_refused(sandbox: MontySandbox) -> None:
    """The catch stays accepted, so nothing is stored."""
    cache, _ = opened(sandbox, attacking(f"{LOOSE_TEXT} => ASK", narrowed=NUTS), repairs=0)
    with cache:
        learned = cache.learn(NUTS_TEXT)
        assert learned.status == "rejected" and "attacker" in learned.reason
        assert cache.procedures() == []


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "NONE",
        "I cannot think of any.",
        f"{NUTS_TEXT} => 15",
        "Lea has 20 nuts. Lea does not eat 5 of the nuts. How many nuts are left? => 20",
        "=> 3\n=>\nLea =>",
    ],
)
def test_what_is_declined_or_right_is_no_catch(sandbox: MontySandbox, reply: str) -> None:
    """Only a request that is accepted and answered otherwise counts."""
    cache, _ = opened(sandbox, attacking(reply))
    with cache:
        assert cache.learn(NUTS_TEXT).status == "admitted"
        assert cache.procedures()[0].procedure.counterexamples == ()


def test_the_attacker_can_be_switched_off(sandbox: MontySandbox) -> None:
    """Then nothing is asked, and nothing is spent."""
    cache, model = opened(sandbox, attacking(f"{LOOSE_TEXT} => 25"), attacker=False)
    with cache:
        assert cache.learn(NUTS_TEXT).status == "admitted"
        assert cache.stats().attack.calls == 0 and model.calls == 1


def test_closed_slots_are_not_attacked(sandbox: MontySandbox) -> None:
    """Where no slot takes open words, admission's own checks are enough."""
    reply = f"```python\nTEMPLATES = [{SPLIT!r}]\nEXPECTED = [21]\n\n\n{BODY}```"
    cache, model = opened(sandbox, [reply])
    with cache:
        assert cache.learn(TEXT).status == "admitted"
        assert model.calls == 1
