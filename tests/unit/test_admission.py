"""Admission: each check refuses the smallest candidate that is bad in its way, and a good one passes them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from seglam_agents.admission.admission import Admission
from seglam_agents.compilers.base import Candidate, Known
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.guards.slots import exports
from seglam_agents.records.entry import AdmissionReport
from seglam_agents.records.procedure import Example, GuardSource, Procedure, Provenance, ToolUse
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.sandboxes.base import Failed, HostModule, Limits
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.sandboxes.process import ProcessSandbox, second_sandbox
from seglam_agents.serving.executor import Executor
from seglam_agents.serving.loading import Loaded, load

TEMPLATE = "Split {total:number} coins among {n:count} people"
TEXT = "Split 84.5 coins among 4 people"
BODY = "def run(total, n):\n    return round(total / n + 1e-9, 2)\n"
ANSWER = 21.13

CHECKS = [
    "dialect",
    "types",
    "alternatives",
    "amounts",
    "open words",
    "memory",
    "branches",
    "units",
    "replay",
    "altered results",
    "related",
    "counterexamples",
    "mutations",
    "foreign",
    "neighbours",
    "samples",
    "second sandbox",
    "answers",
    "effects",
    "time budget",
]


def procedure(template: str, body: str, known: Sequence[Known], *, code: str | None = None, **more: Any) -> Procedure:
    guard = GuardSource(code=code) if code else GuardSource(templates=(template,), where=more.pop("where", None))
    parameters = () if code else TemplateGuard(guard, context=()).parameters()
    return Procedure(
        id=more.pop("id", "it"),
        name="it",
        guard=guard,
        body=body,
        parameters=parameters,
        examples=tuple(Example(text=item.request.text, answer=item.answer) for item in known),
        provenance=Provenance(compiler="test"),
        **more,
    )


def candidate(
    template: str = TEMPLATE, body: str = BODY, text: str = TEXT, answer: Json = ANSWER, **more: Any
) -> Candidate:
    known = (Known(Request(text=text), answer),)
    related = tuple(more.pop("related", ()))
    return Candidate(procedure(template, body, known, **more), known, related)


@pytest.fixture
def examine(sandbox: MontySandbox) -> Any:
    def examine(item: Candidate, others: Sequence[Loaded] = (), **options: Any) -> AdmissionReport:
        return Admission(Executor(sandbox), **options).examine(item, tools={}, others=others)

    return examine


def refused(report: AdmissionReport, name: str) -> str:
    """Return the evidence of a check that must have refused."""
    assert not report.admitted
    failed = {check.name: check.evidence for check in report.failures}
    assert name in failed, report
    return failed[name]


def verdicts(report: AdmissionReport) -> dict[str, str]:
    return {check.name: check.verdict for check in report.checks}


def other(sandbox: MontySandbox, template: str, body: str, text: str, answer: Json) -> Loaded:
    known = (Known(Request(text=text), answer),)
    return load(procedure(template, body, known, id="other"), sandbox, tools={}, limits=Limits())


def test_a_good_candidate_passes_every_check(examine: Any) -> None:
    """Each check is listed, none fails, and the one that could not be made says why."""
    report = examine(candidate(where="n > 0"), second_reason="none on this machine")
    assert report.admitted, report.failures
    assert [check.name for check in report.checks] == CHECKS
    assert {name for name, verdict in verdicts(report).items() if verdict != "passed"} == {
        "altered results",
        "second sandbox",
    }
    assert report.checks[CHECKS.index("second sandbox")].evidence == "none on this machine"
    assert report.clean_replays == 1


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ("import os", "os"),
        ("import random", "random"),
        ("import socket", "socket"),
        ("import subprocess", "subprocess"),
        ("import time", "time"),
    ],
)
def test_an_import_of_the_host_is_refused(examine: Any, lines: str, word: str) -> None:
    """Neither files nor network, clock or randomness can be imported, used or not; nothing is run."""
    report = examine(candidate(body=f"{lines}\n\n{BODY}"))
    assert word in refused(report, "dialect")
    assert "replay" not in verdicts(report)


def test_a_clock_is_refused(examine: Any) -> None:
    """What the answer depends on must be an argument, so the clock is none of it."""
    body = "import datetime\n\ndef run(total, n):\n    return total / n + datetime.datetime.now().year\n"
    assert not examine(candidate(body=body)).admitted


def test_an_undeclared_name_is_refused(examine: Any) -> None:
    """No name of the host exists, nor a tool that was not declared."""
    assert "send_money" in refused(examine(candidate(body="def run(total, n):\n    return send_money(n)\n")), "dialect")


def test_an_unbound_argument_is_refused(examine: Any) -> None:
    """`run` takes only what the guard binds."""
    report = examine(candidate(body="def run(total, n, tip):\n    return total / n\n"))
    assert "'tip'" in refused(report, "types")


def test_an_alternative_that_matters_is_refused(examine: Any) -> None:
    """Two wordings of opposite meaning need a slot."""
    report = examine(
        candidate(
            "Are there (more|fewer) than {n:count} of {total:number} coins", text="Are there more than 4 of 84.5 coins"
        )
    )
    assert "no known request says 'fewer'" in refused(report, "alternatives")


def test_an_ignored_unit_is_refused(examine: Any) -> None:
    """A quantity of any unit does not stand for a number of one."""
    report = examine(
        candidate(
            "How many miles are {d:quantity(length)} and {n:number} miles",
            "def run(d, n):\n    return d.amount + n\n",
            "How many miles are 3 miles and 4 miles",
            7,
        )
    )
    assert "convert" in refused(report, "units")


def test_a_wrong_answer_is_refused(examine: Any) -> None:
    """What is known to be right must come out."""
    assert "expected 5" in refused(examine(candidate(answer=5)), "replay")


def test_a_guard_that_declines_its_own_request_is_refused(examine: Any) -> None:
    """A procedure that does not answer what it was written for is none."""
    report = examine(candidate("Share {total:number} coins among {n:count} people"))
    assert "declined" in refused(report, "replay")


def test_an_earlier_answer_is_kept(examine: Any) -> None:
    """A request near to it that was answered before is declined or answered as it was then."""
    related = [Known(Request(text="Split 10 coins among 2 people"), 6)]
    assert "6 was right" in refused(examine(candidate(related=related)), "related")


def test_a_counterexample_is_declined(examine: Any) -> None:
    """A request that was found not to belong is not accepted again."""
    counter = (Example(text="Split 10 coins among 2 people"),)
    assert "must be declined" in refused(examine(candidate(counterexamples=counter)), "counterexamples")


SLOPPY = """
import re
from slots import parse

def match(request):
    found = re.search(r"Split ([0-9.]+) coins among ([0-9]+) people", request)
    if not found:
        return None
    return {"total": parse("number", found.group(1)), "n": parse("count", found.group(2))}
"""


def test_a_guard_that_overlooks_words_is_refused(examine: Any) -> None:
    """Code that searches instead of matching the whole request falls to mutations."""
    report = examine(candidate(body=SLOPPY + BODY, code=SLOPPY))
    assert "clause" in refused(report, "mutations")


def test_a_strict_guard_of_code_is_admitted(examine: Any) -> None:
    """Code that accounts for every word passes; what cannot be sampled is skipped with a reason."""
    strict = SLOPPY.replace('re.search(r"', 're.fullmatch(r"')
    report = examine(candidate(body=strict + BODY, code=strict))
    assert report.admitted, report.failures
    assert verdicts(report)["samples"] == verdicts(report)["units"] == "skipped"


def test_a_guard_that_swallows_words_is_refused(examine: Any) -> None:
    """Code that takes in whatever else was said, and answers the same, is no guard."""
    swallowing = SLOPPY.replace("people", "people.*").replace("re.search", "re.fullmatch")
    assert "clause" in refused(examine(candidate(body=swallowing + BODY, code=swallowing)), "mutations")


def test_a_body_that_breaks_on_samples_is_refused(examine: Any) -> None:
    """What the guard accepts, the body survives."""
    body = "def run(total, n):\n    while n != 4:\n        pass\n    return round(total / n + 1e-9, 2)\n"
    assert "limit" in refused(examine(candidate(body=body), samples=2), "samples")


def test_a_baked_answer_is_refused(examine: Any) -> None:
    """An answer that ignores the arguments was learnt by heart."""
    assert "whatever the arguments" in refused(
        examine(candidate(body="def run(total, n):\n    return 21.13\n")), "answers"
    )


def test_a_template_without_a_slot_is_refused(examine: Any) -> None:
    """Where only this one request can be asked, nothing was learnt."""
    report = examine(candidate("What is two plus two", "def run():\n    return 4\n", "What is two plus two", 4))
    assert "no slot" in refused(report, "answers")


def test_answers_of_several_types_are_refused(examine: Any) -> None:
    """One kind of request has one kind of answer."""
    body = "def run(total, n):\n    return round(total / n + 1e-9, 2) if n % 2 == 0 else 'odd'\n"
    assert "different types" in refused(examine(candidate(body=body, where="n > 0"), samples=24), "answers")


def test_a_slow_body_is_refused(sandbox: MontySandbox) -> None:
    """A body over the time budget helps nobody."""
    slow = "def run(total, n):\n    for i in range(1_000_000):\n        n + i\n    return round(total / n + 1e-9, 2)\n"
    patient = Admission(Executor(sandbox, Limits(seconds=60)), samples=2, budget_seconds=0.0)
    report = patient.examine(candidate(body=slow, where="n > 0"), tools={}, others=())
    assert "the budget is" in refused(report, "time budget")


def test_a_neighbours_request_is_not_taken(examine: Any, sandbox: MontySandbox) -> None:
    """A candidate that answers another procedure's example wrongly is refused."""
    theirs = other(
        sandbox,
        "Split {a:number} coins among 2 {who:choice(people)}",
        "def run(a, who):\n    return a\n",
        "Split 10 coins among 2 people",
        10,
    )
    assert "accepts" in refused(examine(candidate(where="n > 0"), [theirs]), "neighbours")


def test_a_request_that_a_neighbour_takes_is_refused(examine: Any, sandbox: MontySandbox) -> None:
    """A candidate whose own example another procedure answers otherwise is refused."""
    theirs = other(
        sandbox,
        "(Split|Take) {a:number} coins among {b:count} people",
        "def run(a, b):\n    return a - b\n",
        "Take 10 coins among 3 people",
        7,
    )
    assert "also accepts" in refused(examine(candidate(where="n > 0"), [theirs]), "neighbours")


def test_a_neighbour_that_agrees_is_no_obstacle(examine: Any, sandbox: MontySandbox) -> None:
    """Two procedures may accept one request if they answer it alike."""
    theirs = other(sandbox, TEMPLATE, BODY, TEXT, ANSWER)
    assert examine(candidate(where="n > 0"), [theirs]).admitted


def test_a_second_sandbox_agrees(examine: Any) -> None:
    """Where the machine has another sandbox, its answers are the same."""
    second = second_sandbox((HostModule("slots", exports()),))
    if not isinstance(second, ProcessSandbox):
        pytest.skip(second.reason)
    try:
        report = examine(candidate(where="n > 0"), second=second, samples=3)
    finally:
        second.close()
    assert report.admitted and verdicts(report)["second sandbox"] == "passed", report.failures


def test_a_second_sandbox_that_disagrees_refuses(examine: Any, sandbox: MontySandbox) -> None:
    """Two sandboxes and two answers: nobody is believed."""

    class Other(MontySandbox):
        name = "other"  # type: ignore[assignment]

        def run(self, program: Any, arguments: Any, **options: Any) -> Any:
            return sandbox.run(program, {**arguments, "total": arguments["total"] + 5}, **options)

    assert "other" in refused(examine(candidate(where="n > 0"), second=Other()), "second sandbox")


@pytest.mark.parametrize(("away", "verdict"), [(2, "passed"), (10_000, "skipped")])
def test_a_second_sandbox_without_time_disagrees_with_nobody(
    examine: Any, sandbox: MontySandbox, away: int, verdict: str
) -> None:
    """Where a machine is busy, no time says nothing about a body; another answer does."""
    left = [away]

    class Busy(MontySandbox):
        name = "other"  # type: ignore[assignment]

        def run(self, program: Any, arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] >= 0:
                return Failed("limit", "there was no time")
            return sandbox.run(program, arguments, **options)

    report = examine(candidate(where="n > 0"), second=Busy())
    assert report.admitted and verdicts(report)["second sandbox"] == verdict, report.failures


def test_a_missing_tool_is_refused(examine: Any) -> None:
    """A candidate whose tool is gone cannot even be loaded."""
    report = examine(candidate(tools=(ToolUse(name="gone", effect="read"),)))
    assert "is gone" in refused(report, "loading")


def test_a_report_can_be_repeated(examine: Any) -> None:
    """The same seed tries the same cases."""
    first, second = (examine(candidate(where="n > 0"), seed=3) for _ in range(2))
    assert [(c.name, c.verdict, c.cases) for c in first.checks] == [(c.name, c.verdict, c.cases) for c in second.checks]
