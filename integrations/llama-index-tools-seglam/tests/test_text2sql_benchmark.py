"""The benchmark of text-to-SQL: what it counts, and what it wants to read."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import pytest
from benchmarks import text2sql

STATES = {"ohio": 5, "texas": 9, "maine": 3, "utah": 4, "iowa": 6}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    data, database, out = tmp_path / "questions.json", tmp_path / "small.sqlite", tmp_path / "report.json"
    entry = {
        "sql": ['SELECT COUNT( T.NAME ) FROM CITY AS T WHERE T.STATE = "state0" ;'],
        "variables": [{"name": "state0", "example": "ohio", "location": "both", "type": "state"}],
        "sentences": [{"text": "how many cities are in state0", "variables": {"state0": state}} for state in STATES],
    }
    broken = {"sql": ["SELECT x FROM nowhere"], "variables": [], "sentences": [{"text": "x", "variables": {}}]}
    data.write_text(json.dumps([entry, broken]))
    connection = sqlite3.connect(database)
    connection.execute("create table city (name text, state text)")
    for state, count in STATES.items():
        connection.executemany("insert into city values (?, ?)", [(f"c{n}", state) for n in range(count)])
    connection.commit()
    connection.close()
    return data, database, out


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["text2sql", *map(str, arguments)])
    return text2sql.main()


def test_it_counts_hits_against_the_statements_of_the_data(
    files: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two questions teach, a third confirms, two are hits, one does not run; nothing is written to the database."""
    data, database, out = files
    before = database.read_bytes()
    assert run(monkeypatch, "--data", data, "--db", database, "--json", out) == 0
    report = json.loads(out.read_text())
    total = report["total"]
    assert (total["questions"], total["hits"], total["right_hits"], total["wrong_hits"]) == (6, 2, 2, 0)
    assert total["statements_that_fail_here"] == 1 and total["model_calls_for_sql"] == 3
    assert report["hits_by_questions_of_the_statement_seen"]["3-4"] == {"questions": 2, "hits": 2}
    assert report["method"] and report["versions"]["llama-index-core"] and database.read_bytes() == before


def test_rows_are_compared_in_any_order_unless_sorted() -> None:
    """As multisets, or as lists."""
    assert text2sql.same_rows([(1,), (2,)], [(2,), (1,)], "select x")
    assert not text2sql.same_rows([(1,), (2,)], [(2,), (1,)], "select x order by x")
    assert not text2sql.same_rows([(1,)], [(1,), (1,)], "select x")
    assert not text2sql.same_rows(None, [], "select x")


def test_what_it_cannot_read(files: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so before it starts."""
    data, database, out = files
    data.write_text("{}[")
    for arguments in (("--data", data, "--db", database), ("--data", data, "--db", out)):
        with pytest.raises(text2sql.UsageError):
            run(monkeypatch, *arguments, "--json", out)
