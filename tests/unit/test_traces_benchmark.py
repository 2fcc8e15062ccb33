"""The office benchmark: a stream of requests whose runs become code without a model."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from benchmarks import traces
from benchmarks.workbench.world import World

EVENTS = [
    {
        "event_id": f"{number:08}",
        "event_name": name,
        "participant_email": "ann.lee@example.com",
        "event_start": f"2023-12-{day:02} {hour:02}:00:00",
        "duration": "30",
    }
    for number, (name, day, hour) in enumerate(
        [
            ("stand-up", 4, 9),
            ("review", 4, 11),
            ("budget talk", 5, 10),
            ("design hour", 5, 14),
            ("retro", 6, 9),
            ("planning", 6, 15),
            ("town hall", 7, 9),
            ("interview", 7, 16),
            ("demo day", 8, 10),
            ("lunch club", 8, 12),
        ],
        start=100,
    )
]


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """A calendar of ten events and five requests of one template, in the files of the data set's format."""
    _write(tmp_path / "calendar_events.csv", EVENTS)
    rows = [
        {
            "query": f"Cancel my first meeting on December {day}",
            "answer": str([f'calendar.delete_event.func(event_id="{first["event_id"]}")']),
            "base_template": "Cancel my first meeting on {natural_language_date}",
            "chosen_template": "Cancel my first meeting on {natural_language_date}",
            "domains": "['calendar']",
        }
        for day, first in zip(range(4, 9), EVENTS[::2], strict=True)
    ]
    _write(tmp_path / "calendar_queries_and_answers.csv", rows)
    (tmp_path / "email_addresses.csv").write_text("email_address\nann.lee@example.com\n")
    return tmp_path


def test_two_runs_and_two_predictions_are_enough(office: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What writes serves after two runs that it foretold; no model compiles, and every request ends as it should."""
    report = _run(office, tmp_path / "out.json", monkeypatch)
    total = report["total"]
    assert (total["requests"], total["right"]) == (5, 5)
    assert total["hits"] >= 1
    assert (total["wrong_writes"], total["repeated_writes"], total["model_calls_for_compiling"]) == (0, 0, 0)
    assert total["model_calls"] < total["model_calls_without_cache"]
    (row,) = report["templates"].values()
    assert row["admitted_after"] == 4


def test_the_databases_are_left_as_they_were(office: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request works on a copy."""
    before = World.load(office).snapshot()
    _run(office, tmp_path / "out.json", monkeypatch)
    assert World.load(office).snapshot() == before


def _run(folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, dict[str, int]]]:
    monkeypatch.setattr("sys.argv", ["traces", "--data", str(folder), "--json", str(out)])
    assert traces.main() == 0
    return json.loads(out.read_text())


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
