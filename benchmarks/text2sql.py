"""Questions for a database through a text-to-SQL engine: `python -m benchmarks.text2sql --data F --db F --json OUT`."""

from __future__ import annotations

import argparse
import json
import random
import re
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import cast

from llama_index.core import MockEmbedding, SQLDatabase
from llama_index.core.query_engine import NLSQLTableQueryEngine
from llama_index.tools.seglam import SeglamQueryEngine, query_tools
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy import create_engine

from benchmarks import errors
from benchmarks.arguments import counting_from_one
from benchmarks.errors import UsageError
from benchmarks.files import require_writable, write_report
from benchmarks.machine import terminal, versions
from benchmarks.stream import opened_model
from seglam_agents import Learned, ReasoningCache, Trace
from seglam_agents.records.record import Json, Record
from seglam_agents.testing.llama_index import ScriptedLLM

METHOD = (
    "A shuffled stream of questions through SeglamQueryEngine over LlamaIndex's NLSQLTableQueryEngine with "
    "synthesize_response=False. The model that writes SQL is played by the data set's own statement for the question. "
    "A hit is right when its rows are those of that statement, in any order unless it sorts. "
    "Every call of the database is live."
)
BUCKETS = ((0, 0), (1, 1), (2, 2), (3, 4), (5, 9), (10, 19), (20, 10**9))
MAX_LISTED = 60


@dataclass(frozen=True, slots=True)
class Question:
    """One question with the statement that answers it."""

    text: str
    sql: str
    kind: int
    """Which statement of the data set, before its variables are filled in."""
    wording: str
    """The question before its variables are filled in."""


@dataclass(slots=True)
class Bucket:
    """What came of the questions of which so many had been seen before."""

    questions: int = 0
    hits: int = 0


@dataclass(slots=True)
class Tally:
    """What came of the whole stream."""

    questions: int = 0
    hits: int = 0
    right: int = 0
    wrong: list[dict[str, Json]] = field(default_factory=list[dict[str, Json]])
    ambiguous: int = 0
    """Wrong hits on a question for which the data set has two different statements, and the hit is right by another."""
    inner_right: int = 0
    broken: int = 0
    """Questions whose own statement fails on this database."""
    deopts: Counter[str] = field(default_factory=Counter[str])
    model_calls: int = 0
    learned: Counter[str] = field(default_factory=Counter[str])
    refusals: Counter[str] = field(default_factory=Counter[str])
    refused_questions: dict[str, str] = field(default_factory=dict[str, str])
    by_kind: dict[str, Bucket] = field(default_factory=dict[str, Bucket])
    by_wording: dict[str, Bucket] = field(default_factory=dict[str, Bucket])
    hit_seconds: list[float] = field(default_factory=list[float])
    miss_seconds: list[float] = field(default_factory=list[float])


class Text2SqlReport(Record):
    """The whole report."""

    benchmark: str = "text2sql"
    method: str = METHOD
    settings: dict[str, Json]
    versions: dict[str, str]
    seconds: float
    total: dict[str, Json]
    hits_by_questions_of_the_statement_seen: dict[str, Json]
    hits_by_questions_of_the_wording_seen: dict[str, Json]
    refusals: dict[str, int]
    refusal_examples: dict[str, str]
    deopts: dict[str, int]
    wrong_hits: list[dict[str, Json]]
    procedures: list[dict[str, Json]]


def read_questions(path: Path) -> list[Question]:
    """Read a file in the format of the text2sql-data collection.

    Raises:
        UsageError: it is no such file.
    """
    try:
        entries = cast("list[dict[str, object]]", json.loads(path.read_text(encoding="utf-8")))
        return [question for number, entry in enumerate(entries) for question in _questions(number, entry)]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise UsageError(f"cannot read {path} as questions with SQL: {type(error).__name__}: {error}") from error


def _questions(number: int, entry: dict[str, object]) -> list[Question]:
    sql = cast("list[str]", entry["sql"])[0]
    declared = cast("list[dict[str, str]]", entry["variables"])
    found: list[Question] = []
    for sentence in cast("list[dict[str, object]]", entry["sentences"]):
        given = cast("dict[str, str]", sentence["variables"])
        filled = {**{v["name"]: v.get("example", "") for v in declared}, **{k: v for k, v in given.items() if v}}
        text = cast(str, sentence["text"])
        found.append(Question(_filled(text, filled), _filled(sql, filled), number, text))
    return found


def _filled(text: str, variables: dict[str, str]) -> str:
    for name in sorted(variables, key=len, reverse=True):
        text = re.sub(rf"\b{re.escape(name)}\b", variables[name].replace("\\", r"\\"), text)
    return text


def measure(
    questions: Sequence[Question], engine: SeglamQueryEngine, llm: ScriptedLLM, gold: Gold, progress: Progress, now: Now
) -> Tally:
    """Send the stream."""
    tally, kinds, wordings = Tally(), Counter[int](), Counter[str]()
    now.tally = tally
    answers = gold.all_of(questions)
    for question in progress.track(questions, description="questions"):
        right = gold.rows(question.sql)
        tally.questions += 1
        if right is None:
            tally.broken += 1
            continue
        now.sql, calls, started = question.sql, llm.calls, time.perf_counter()
        response = engine.query(question.text)
        seconds = time.perf_counter() - started
        metadata = cast("dict[str, object]", response.metadata or {})
        hit = "seglam" in metadata
        tally.model_calls += llm.calls - calls
        (tally.hit_seconds if hit else tally.miss_seconds).append(seconds)
        for buckets, seen in ((tally.by_kind, kinds[question.kind]), (tally.by_wording, wordings[question.wording])):
            bucket = buckets.setdefault(_bucket(seen), Bucket())
            bucket.questions += 1
            bucket.hits += hit
        kinds[question.kind] += 1
        wordings[question.wording] += 1
        rows = cast("list[tuple[object, ...]]", metadata.get("result"))
        correct = same_rows(rows, right, question.sql)
        if not hit:
            tally.inner_right += correct
            continue
        tally.hits += 1
        tally.right += correct
        if not correct:
            other = any(same_rows(rows, known, question.sql) for known in answers[question.text])
            tally.ambiguous += other
            tally.wrong.append(_wrong(question, metadata, rows, right, other))
    return tally


@dataclass(slots=True)
class Now:
    """What the model that is played by the data set says next."""

    sql: str = ""
    tally: Tally = field(default_factory=Tally)

    def gave_up(self, question: str, reason: str) -> None:
        """Count why a procedure gave up."""
        self.tally.deopts[_grouped(reason)] += 1

    def told(self, question: str, trace: Trace | None, learned: Learned) -> None:
        """Count what came of learning."""
        self.tally.learned[learned.status if trace is not None else "no trace"] += 1
        if learned.status in ("rejected", "deferred", "failed"):
            reason = _grouped(learned.reason)
            self.tally.refusals[reason] += 1
            self.tally.refused_questions.setdefault(reason, f"{question}: {learned.reason}"[:400])


@dataclass(slots=True)
class Gold:
    """Runs the statements of the data set by themselves."""

    connection: sqlite3.Connection
    known: dict[str, list[tuple[object, ...]] | None] = field(
        default_factory=dict[str, "list[tuple[object, ...]] | None"]
    )

    def rows(self, sql: str) -> list[tuple[object, ...]] | None:
        """Return the rows of a statement; None where it fails."""
        if sql not in self.known:
            try:
                self.known[sql] = self.connection.execute(sql).fetchall()
            except sqlite3.Error:
                self.known[sql] = None
        return self.known[sql]

    def all_of(self, questions: Sequence[Question]) -> dict[str, list[list[tuple[object, ...]]]]:
        """Return the rows of all statements that the data set has for the same text."""
        found: dict[str, list[list[tuple[object, ...]]]] = {}
        for question in questions:
            rows = self.rows(question.sql)
            if rows is not None and rows not in found.setdefault(question.text, []):
                found[question.text].append(rows)
        return found


def same_rows(mine: Sequence[Sequence[object]] | None, right: Sequence[Sequence[object]], sql: str) -> bool:
    """Tell whether two results are the same: in any order, unless the statement sorts."""
    if mine is None:
        return False
    ours, theirs = [tuple(row) for row in mine], [tuple(row) for row in right]
    return ours == theirs if "order by" in sql.lower() else sorted(ours, key=repr) == sorted(theirs, key=repr)


def document(tally: Tally, cache: ReasoningCache, settings: dict[str, Json], seconds: float) -> Text2SqlReport:
    """Return the report."""
    return Text2SqlReport(
        settings=settings,
        versions={
            **versions(),
            **{name: version(name) for name in ("llama-index-core", "llama-index-tools-seglam", "sqlalchemy")},
            "sqlite": sqlite3.sqlite_version,
        },
        seconds=round(seconds, 1),
        total=_total(tally, cache),
        hits_by_questions_of_the_statement_seen=_buckets(tally.by_kind),
        hits_by_questions_of_the_wording_seen=_buckets(tally.by_wording),
        refusals=dict(tally.refusals.most_common()),
        refusal_examples=tally.refused_questions,
        deopts=dict(tally.deopts.most_common()),
        wrong_hits=tally.wrong[:MAX_LISTED],
        procedures=[
            {
                "procedure": entry.procedure.key,
                "templates": list(entry.procedure.guard.templates),
                "hits": entry.statistics.hits,
                "compiler": entry.procedure.provenance.compiler,
            }
            for entry in cache.procedures()
        ],
    )


def _total(tally: Tally, cache: ReasoningCache) -> dict[str, Json]:
    stats = cache.stats()
    asked = tally.questions - tally.broken
    return {
        "questions": tally.questions,
        "statements_that_fail_here": tally.broken,
        "hits": tally.hits,
        "hit_share": round(tally.hits / asked, 3) if asked else None,
        "right_hits": tally.right,
        "wrong_hits": len(tally.wrong),
        "of_these_right_by_another_statement_for_the_same_text": tally.ambiguous,
        "accuracy_of_hits": round(tally.right / tally.hits, 4) if tally.hits else None,
        "deopts": stats.deopts,
        "conflicts": stats.conflicts,
        "procedures": stats.procedures,
        "model_calls_for_sql": tally.model_calls,
        "model_calls_without_cache": asked,
        "model_calls_for_compiling": stats.compile.calls + stats.repair.calls,
        "tokens_for_compiling": stats.compile.tokens + stats.repair.tokens,
        "rows_of_misses_right": tally.inner_right,
        "learned": dict(tally.learned),
        "median_ms_of_a_hit": _median_ms(tally.hit_seconds),
        "median_ms_of_a_miss_with_learning": _median_ms(tally.miss_seconds),
    }


def _median_ms(seconds: Sequence[float]) -> float | None:
    return round(sorted(seconds)[len(seconds) // 2] * 1000, 1) if seconds else None


def _bucket(seen: int) -> str:
    low, high = next((low, high) for low, high in BUCKETS if low <= seen <= high)
    return str(low) if low == high else f"{low}+" if high > 10**6 else f"{low}-{high}"


def _buckets(found: dict[str, Bucket]) -> dict[str, Json]:
    names = [_bucket(low) for low, _ in BUCKETS]
    return {name: {"questions": found[name].questions, "hits": found[name].hits} for name in names if name in found}


def _wrong(
    question: Question,
    metadata: dict[str, object],
    rows: Sequence[object],
    right: Sequence[object],
    other: bool,
) -> dict[str, Json]:
    cited = cast("dict[str, Json]", metadata["seglam"])
    return {
        "question": question.text,
        "procedure": cited["procedure"],
        "arguments": cited["arguments"],
        "statement": str(metadata.get("sql_query")),
        "right_statement": question.sql,
        "rows": str(rows)[:300],
        "right_rows": str(right)[:300],
        "right_by_another_statement_for_the_same_text": other,
    }


def _grouped(reason: str) -> str:
    return re.sub(r"'[^']*'|\"[^\"]*\"|\d+", "…", reason)[:160]


def show(console: Console, report: Text2SqlReport) -> None:
    """Print the report."""
    table = Table(title="Hits by how many questions of the kind had been seen")
    for heading in ("seen before", "same statement", "same wording"):
        table.add_column(heading)
    for name in (_bucket(low) for low, _ in BUCKETS):
        cells = [
            f"{cell['hits']}/{cell['questions']}" if (cell := cast("dict[str, int]", found.get(name))) else ""
            for found in (report.hits_by_questions_of_the_statement_seen, report.hits_by_questions_of_the_wording_seen)
        ]
        table.add_row(name, *cells)
    console.print(table)
    console.print(METHOD)
    for name, value in report.total.items():
        console.print(f"{name.replace('_', ' ')}: {value}")
    for reason, count in list(report.refusals.items())[:12]:
        console.print(f"  {count:>4}  {reason}", markup=False)
    for wrong in report.wrong_hits[:5]:
        console.print(f"  wrong: {wrong['question']} -> {wrong['statement']}", markup=False)


def main() -> int:
    """Run the benchmark."""
    options = _parser().parse_args()
    data, database, out = Path(options.data), Path(options.db), Path(options.json)
    require_writable(out)
    if not database.is_file():
        raise UsageError(f"{database} is no file of a database")
    questions = read_questions(data)
    random.Random(options.seed).shuffle(questions)
    questions = questions[: options.limit]
    model = opened_model(options.model, options.recordings) if options.model or options.recordings else None
    state, started = Now(), time.perf_counter()
    llm = ScriptedLLM(lambda _: state.sql)
    address = f"file:{database.resolve()}?mode=ro"
    inner = NLSQLTableQueryEngine(
        SQLDatabase(create_engine(f"sqlite:///{address}&uri=true")),
        llm=llm,
        synthesize_response=False,
        embed_model=MockEmbedding(embed_dim=2),
    )
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        closing(sqlite3.connect(address, uri=True)) as connection,
        Progress(*columns, console=Console(stderr=True)) as progress,
        ReasoningCache(None, model, tools=query_tools(inner), seed=options.seed) as cache,
    ):
        engine = SeglamQueryEngine(inner, cache, learned=state.told, gave_up=state.gave_up)
        tally = measure(questions, engine, llm, Gold(connection), progress, state)
        settings: dict[str, Json] = {
            "seed": options.seed,
            "limit": options.limit,
            "questions": len(questions),
            "statements": len({question.kind for question in questions}),
            "wordings": len({question.wording for question in questions}),
            "model": model.name if model else None,
        }
        report = document(tally, cache, settings, time.perf_counter() - started)
    write_report(out, report)
    show(terminal(), report)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text2sql", description=__doc__)
    add = parser.add_argument
    add("--data", required=True, metavar="FILE", help="questions with SQL, in the format of text2sql-data")
    add("--db", required=True, metavar="FILE", help="the SQLite database; it is opened read-only")
    add("--seed", type=int, default=0, help="decides the order of the questions (default: %(default)s)")
    add("--limit", type=counting_from_one, metavar="N", help="send at most N questions")
    add("--model", metavar="MODEL", help="a chat model that may compile; without one, only the trace compiler does")
    add(
        "--recordings", type=Path, metavar="FILE", help="replay that model from here; with --model, add what is missing"
    )
    add("--json", required=True, metavar="OUT", help="write the whole report there")
    return parser


if __name__ == "__main__":
    sys.exit(errors.run(main))
