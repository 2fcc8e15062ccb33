"""Changed requests: labelled by how they were made, of every class, and judged by what a guard takes from them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import perturb as benchmark
from benchmarks.errors import UsageError
from seglam_agents import ReasoningCache
from seglam_agents.records.entry import Entry
from seglam_agents.records.procedure import Example, GuardSource, Procedure, Provenance, ToolUse
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.testing.perturbation import SORTS, Perturbed, perturbations, right_hit, subject_of

REQUESTS = (
    'Cancel order A-12 for Ann Lee and email 5 people about "team lunch" today',
    "Split a $84.50 bill among 4 people",
    "How many orders does Zoe Weber have?",
    "In room 14 put 1,250 chairs",
    "Transfer 270 from Porto to Basel",
)


def test_every_class_is_made_from_some_request() -> None:
    """No class of change is empty, and each names itself."""
    made = {item.sort for text in REQUESTS for item in perturbations(subject_of(text), Random(0), limit=10_000)}
    assert made == set(SORTS)


@pytest.mark.parametrize("text", REQUESTS)
def test_some_250_changes_a_request_all_different_from_it_and_each_other(text: str) -> None:
    """Texts do not repeat, none is the request itself, both meanings are there, and the limit holds."""
    items = perturbations(subject_of(text), Random(0))
    assert len({item.text for item in items}) == len(items) <= 250
    assert len(items) > 180
    assert text not in {item.text for item in items}
    assert {item.meaning for item in items} == {"same", "other"}
    assert len(perturbations(subject_of(text), Random(0), limit=20)) == 20


@given(st.text(max_size=60), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_any_text_can_be_changed_and_the_seed_decides(text: str, seed: int) -> None:
    """Nothing breaks on odd texts, and the same seed gives the same changes."""
    first, again = (perturbations(subject_of(text), Random(seed), limit=40) for _ in range(2))
    assert first == again


def test_places_of_values_are_found() -> None:
    """Numbers, codes, names and quoted texts are found by themselves, other values where they are known."""
    subject = subject_of(REQUESTS[0], ["today"])
    found = [(subject.value(span), span.sort) for span in subject.spans]
    assert found == [
        ("A-12", "code"),
        ("Ann Lee", "name"),
        ("5", "number"),
        ('"team lunch"', "quoted"),
        ("today", "words"),
    ]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("clause behind", "Put 5 chairs into room 14 unless it rains"),
        ("clause before", "Unless it rains, put 5 chairs into room 14"),
        ("clause at a value", "Put 5 twice chairs into room 14"),
        ("negation", "Don't put 5 chairs into room 14"),
        ("restriction", "Put at most 5 chairs into room 14"),
        ("question", "Should I put 5 chairs into room 14?"),
        ("opposite", "Put 5 chairs out of room 14"),
        ("range", "Put 5-7 chairs into room 14"),
        ("unit", "Put 5 dozen chairs into room 14"),
        ("number", "Put 6 chairs into room 14"),
        ("swap", "Put 14 chairs into room 5"),
        ("relative time", "Put 5 chairs into room 14 tomorrow"),
        ("other language", "Put 5 chairs into room 14, aber nicht heute"),
        ("value left out", "Put it chairs into room 14"),
    ],
)
def test_changes_of_another_meaning_are_labelled_so(sort: str, expected: str) -> None:
    """Each class makes the change that it says, and calls it another meaning."""
    items = perturbations(subject_of("Put 5 chairs into room 14"), Random(0), limit=10_000)
    (found,) = (item for item in items if item.text == expected)
    assert (found.sort, found.meaning) == (sort, "other")


@pytest.mark.parametrize(
    "text",
    [
        "Please put 5 chairs into room 14",
        "put 5 chairs into room 14",
        "PUT 5 CHAIRS INTO ROOM 14",
        "Put five chairs into room 14",
        "Put ５ chairs into room １４",
        "Put 5 chairs into room 14.",
        "Put 5 chairs into room 14. Thanks!",
    ],
)
def test_changes_of_spelling_keep_the_meaning(text: str) -> None:
    """Politeness, case, marks, full width and number words change nothing."""
    items = perturbations(subject_of("Put 5 chairs into room 14"), Random(0), limit=10_000)
    (found,) = (item for item in items if item.text == text)
    assert (found.meaning, found.disputed) == ("same", False)


def test_letter_case_of_codes_and_look_alike_letters_are_disputed() -> None:
    """Where people may disagree about the meaning, the label says so."""
    items = perturbations(subject_of("Cancel order A-12 for Ann Lee"), Random(0), limit=10_000)
    disputed = {item.text for item in items if item.disputed}
    assert "cancel order a-12 for ann lee" in disputed
    assert "Cancel order A-12 for Dr. Ann Lee" in disputed
    assert "Cancel order A-12 for Ann Lее" in disputed


@pytest.mark.parametrize(
    ("meaning", "value", "after", "right"),
    [
        ("same", None, {"n": 5}, True),
        ("same", None, {"n": 6}, False),
        ("other", None, {"n": 5}, False),
        ("other", None, {"n": 6}, False),
        ("other", "6", {"n": 6}, True),
        ("other", "6", {"n": 5}, False),
        ("other", "6", {"n": 7}, False),
        ("other", "1,000", {"n": {"$money": [1000, "USD"]}}, True),
        ("other", "lunch or not", {"n": 5, "text": "Lunch or not"}, True),
    ],
)
def test_a_hit_is_right_where_its_arguments_follow_the_change(
    meaning: Any, value: str | None, after: dict[str, Json], right: bool
) -> None:
    """The same meaning keeps the arguments; a new value must be among them; nothing else excuses another meaning."""
    assert right_hit(Perturbed("text", meaning, "sort", "change", value=value), {"n": 5}, after) is right


@pytest.mark.parametrize(
    ("text", "change", "before", "after", "right"),
    [
        ("Wait 90 minutes", "90 -> 91", {"d": {"$duration": 5400.0}}, {"d": {"$duration": 5460.0}}, True),
        ("Wait 90 minutes", "90 -> 91", {"d": {"$duration": 5400.0}}, {"d": {"$duration": 9000.0}}, False),
        ("Wait 90 minutes", "90 -> 91", {"d": {"$duration": 5400.0}}, {"d": {"$duration": 5400.0}}, False),
        ("Pour 3/4 cup", "3 -> 4", {"q": {"$quantity": [0.75, "cup"]}}, {"q": {"$quantity": [1, "cup"]}}, True),
        ("Pour 3/4 cup", "3 -> 4", {"q": {"$quantity": [0.75, "cup"]}}, {"q": {"$quantity": [4, "cup"]}}, False),
        ("Pay $3 million", "3 -> 4", {"m": {"$money": [3e6, "USD"]}}, {"m": {"$money": [4e6, "USD"]}}, True),
        ("Pay $3 million", "3 -> 4", {"m": {"$money": [3e6, "USD"]}}, {"m": {"$money": [4, "USD"]}}, False),
        ("Pay 50 cents", "50 -> 51", {"m": {"$money": [0.5, "USD"]}}, {"m": {"$money": [0.51, "USD"]}}, True),
        ("Pay $0.7", "0.7 million", {"m": {"$money": [0.7, "USD"]}}, {"m": {"$money": [700000, "USD"]}}, True),
        ("Pay $0.7", "0.7 million", {"m": {"$money": [0.7, "USD"]}}, {"m": {"$money": [0.8, "USD"]}}, False),
        ("Meet at 3 pm", "3 -> 4", {"t": {"$time": "15:00:00"}}, {"t": {"$time": "16:00:00"}}, True),
        ("Meet at 3 pm", "3 -> 4", {"t": {"$time": "15:00:00"}}, {"t": {"$time": "15:04:00"}}, False),
        ("Pay 9 in 5 days", "9 <-> 5", {"n": 9, "d": {"$duration": 432000.0}},
         {"n": 5, "d": {"$duration": 777600.0}}, True),
        ("Pay 9 in 5 days", "9 <-> 5", {"n": 9, "d": {"$duration": 432000.0}},
         {"n": 5, "d": {"$duration": 432000.0}}, False),
        ("From 1st June 2026, please", "2026 -> 2027",
         {"d": {"$date": "2026-06-01"}}, {"d": {"$date": "2027-06-01"}}, True),
        ("From 1st June 2026, please", "2026 -> 2027",
         {"d": {"$date": "2026-06-01"}}, {"d": {"$date": "2026-07-01"}}, False),
        ("See May 3, 2025 and June 4, 2025", "May <-> June",
         {"a": {"$date": "2025-05-03"}, "b": {"$date": "2025-06-04"}},
         {"a": {"$date": "2025-06-03"}, "b": {"$date": "2025-05-04"}}, True),
        ("See May 3, 2025 and June 4, 2025", "May <-> June",
         {"a": {"$date": "2025-05-03"}, "b": {"$date": "2025-06-04"}},
         {"a": {"$date": "2025-06-04"}, "b": {"$date": "2025-05-03"}}, False),
        ("Run 3 miles", "3/5", {"q": {"$quantity": [3, "mile"]}}, {"q": {"$quantity": [0.6, "mile"]}}, True),
        ("Run 4 miles", "4/6", {"q": {"$quantity": [4, "mile"]}}, {"q": {"$quantity": [0.667, "mile"]}}, False),
    ],
)  # fmt: skip
def test_a_number_is_followed_into_what_it_is_a_part_of(
    text: str, change: str, before: dict[str, Json], after: dict[str, Json], right: bool
) -> None:
    """A new number in a duration, a ratio, a scale or a time is noticed, and only where that value has followed it."""
    made = {item.change: item for item in perturbations(subject_of(text), Random(0), limit=1000)}
    assert right_hit(made[change], before, after) is right


def test_the_benchmark_counts_hits_on_other_meanings_and_lists_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loose guard is found out class by class, with request, change and arguments; a strict one is not."""
    loose = _report(tmp_path, monkeypatch, "Cancel order {order:text}")
    strict = _report(tmp_path, monkeypatch, "Cancel order {order:id}")
    assert loose["total"]["wrong_before_writes"] == loose["total"]["wrong"] > 20
    assert loose["sorts"]["clause behind"]["wrong"] > 0
    assert len(loose["wrong"]) == loose["total"]["wrong"]
    assert {finding["base"] for finding in loose["wrong"]} == {"Cancel order A-1012"}
    assert strict["total"]["wrong"] == 0
    assert strict["total"]["same"] > 0
    assert strict["sorts"]["marks and spaces"]["covered"] > 0
    assert strict["total"]["other"] > 100


def test_recorded_runs_are_learnt_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--traces` asks what a fresh cache makes of the runs."""
    runs = tmp_path / "runs.jsonl"
    cities = ("Berlin", "Rome", "Oslo", "Lima", "Cairo", "Porto")
    runs.write_text("\n".join(_weather(city, place).model_dump_json() for place, city in enumerate(cities)))
    tools = tmp_path / "tools.json"
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools.write_text(json.dumps([{"name": "weather", "parameters": schema, "effect": "read"}]))
    report = _run(monkeypatch, tmp_path, "--traces", runs, "--tools", tools, "--requests", 60)
    assert report["total"]["procedures"] >= 1
    assert report["total"]["wrong_before_writes"] == 0
    assert report["settings"]["requests"] == 60


@pytest.mark.parametrize(("name", "told"), [("--store", "no store"), ("--traces", "holds no trace")])
def test_what_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str) -> None:
    """A store or a file that is missing is an error that names it."""
    with pytest.raises(UsageError, match=told):
        _run(monkeypatch, tmp_path, name, tmp_path / "nowhere")


def _report(folder: Path, monkeypatch: pytest.MonkeyPatch, template: str) -> dict[str, Any]:
    location = folder / str(len(list(folder.iterdir())))
    use = ToolUse(name="cancel_order", effect="write", arguments=("order_id",))
    with ReasoningCache(location) as cache:
        procedure = Procedure(
            id="p",
            name="cancel_order",
            scope=cache.scope,
            guard=GuardSource(templates=(template,)),
            body='def run(order):\n    cancel_order(order_id=order)\n    return "Done."\n',
            tools=(use,),
            examples=(Example(text="Cancel order A-1012", answer="Done."),),
            # Whatever else writes is held to what its examples are like; what was made from runs holds itself.
            provenance=Provenance(compiler="traces"),
        )
        cache.store.put(Entry(procedure=procedure, status="active"), expected_revision=0)
    return _run(monkeypatch, folder, "--store", location)


def _weather(city: str, place: int) -> Trace:
    step = ToolStep(tool="weather", arguments={"city": city}, result={"city": city, "degrees": 18 + place % 3})
    moment = datetime(2026, 1, 2, 9) + timedelta(hours=place)
    answer = f"{city}: {18 + place % 3} degrees."
    return Trace(request=Request(text=f"Weather in {city}?"), steps=(step,), answer=answer, recorded_at=moment)


def _run(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: object) -> dict[str, Any]:
    out = folder / "out.json"
    monkeypatch.setattr("sys.argv", ["perturb", *map(str, arguments), "--json", str(out)])
    assert benchmark.main() == 0
    return json.loads(out.read_text())
