"""The benchmarks: reading and ordering rows, scoring answers, counting what a cache does, and the reports."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks import errors, prepare, stream
from benchmarks.economics import Baseline, break_even, measure_baseline
from benchmarks.errors import UsageError
from benchmarks.figures import Figures, figures
from benchmarks.files import write_atomically
from benchmarks.generated import foreign_request, generated, procedures
from benchmarks.gsm_symbolic import CLAUSES, truth, with_clause
from benchmarks.plot import calls_by_window, draw
from benchmarks.rows import FOREIGN, NearMissSchedule, Row, arrange, read_rows
from benchmarks.scoring import compare, percentile, upper_bound
from benchmarks.sending import MAX_ERRORS, Observation, Sender
from seglam_agents.guards.guard import Accepted, TemplateGuard
from seglam_agents.guards.normal import normalise
from seglam_agents.models.base import Completion, Message
from seglam_agents.records.errors import ModelError
from seglam_agents.records.outcome import (
    CacheStatistics,
    Citation,
    Explanation,
    Hit,
    Learned,
    Miss,
    Outcome,
    Refused,
    Stop,
    Timing,
)
from seglam_agents.records.record import Json
from seglam_agents.records.usage import Usage

COMPILED = Usage(input_tokens=900, output_tokens=100, calls=1)
INTERPRETED = Usage(input_tokens=80, output_tokens=20, calls=1)


class FakeCache:
    """Learns the first word of a request at its first miss; answers with the last number."""

    def __init__(self, *, fails: bool = False) -> None:
        self.sent: list[tuple[str, str]] = []
        self.known: set[str] = set()
        self.compiled = Usage()
        self.interpreted = Usage()
        self.fails = fails

    def answer(self, request: str, *, context: Mapping[str, Json] | None = None) -> Outcome:
        """Answer, and learn the first word."""
        self.sent.append(("answer", request))
        if self.fails:
            raise ModelError(f"no model for {request!r}")
        kind, *_, last = request.split()
        if kind in self.known:
            return self.hit(last)
        if kind == "odd":
            return Refused(kind="not text", reason="too odd")
        if kind == "taste":
            self.interpreted += INTERPRETED
            return Miss(
                reason="nothing known", answer="red", learned=Learned(status="not crystallizable", reason="taste")
            )
        self.known.add(kind)
        self.compiled += COMPILED
        learned = Learned(status="admitted", procedure=f"{kind}@1")
        return Miss(reason="nothing known", answer=int(last), answered_by="new procedure", learned=learned)

    def lookup(self, request: str, *, context: Mapping[str, Json] | None = None) -> Outcome:
        """Answer from what was learned."""
        self.sent.append(("lookup", request))
        kind, *_, last = request.split()
        return self.hit(last) if kind in self.known else Miss(reason="nothing known")

    def explain(self, request: str, *, context: Mapping[str, Json] | None = None) -> Explanation:
        """Stop at a template."""
        stop = Stop(procedure="add@1", stage="template", reason=f"no template for {request!r}")
        return Explanation(request=request, normalised=request, verdict="miss", stops=(stop,))

    def stats(self) -> CacheStatistics:
        """Return what was spent."""
        return CacheStatistics(
            procedures=len(self.known), requests=0, hits=0, misses=0, deopts=0, refused=0, conflicts=0, admitted=0,
            rejected=0, not_crystallizable=0, compile=self.compiled, repair=Usage(), interpret=self.interpreted,
        )  # fmt: skip

    def hit(self, last: str) -> Hit:
        """Return a hit."""
        citation = Citation(procedure_id="add", version=1, name="add", content_hash="0")
        return Hit(answer=float(last), citation=citation, timing=Timing(guards=0.001, body=0.002))


class FakeModel:
    """Answers everything with the same number of tokens."""

    name = "fake"

    def __init__(self, *, answers: int = 100) -> None:
        self.left = answers

    def complete(self, messages: object) -> Completion:
        """Answer a chat."""
        if not self.left:
            raise ModelError("out of answers")
        self.left -= 1
        return Completion("ANSWER: 1", INTERPRETED)

    async def acomplete(self, messages: object) -> Completion:
        """Answer a chat."""
        return self.complete(messages)


def rows_of(**counts: int) -> list[Row]:
    return [Row(request=f"{kind} {i}", kind=kind, answer=i) for kind, count in counts.items() for i in range(count)]


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def observed(rows: list[Row], near: list[Row] | None = None, **options: object) -> list[Observation]:
    return list(Sender(FakeCache(), rows, near or [], **options))  # type: ignore[arg-type]


def figures_of(observations: list[Observation], tokens: int = 0) -> Figures:
    baseline = Baseline(requests=1 if tokens else 0, usage=Usage(input_tokens=tokens))
    return figures(observations, baseline)


# Rows


def test_rows_are_read(tmp_path: Path) -> None:
    file = written(
        tmp_path / "rows.jsonl",
        '{"request": "add 1", "kind": "add", "answer": 1, "context": {"a": [1]}}',
        "",
        '{"request": "a\u2028b", "kind": null}',
    )
    first, second = read_rows(file, answers=True)
    assert first == Row(request="add 1", kind="add", answer=1, context={"a": [1]})
    assert (second.request, second.kind, second.group, second.answer) == ("a\u2028b", None, FOREIGN, None)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "line 2"),
        ('{"request": "", "kind": "a", "answer": 1}', "request"),
        ('{"request": "x", "answer": 1}', "kind"),
        ('{"request": "x", "kind": "a", "answer": true}', "answer"),
        ('{"request": "x", "kind": "a", "answer": 1, "extra": 1}', "extra"),
        ('{"request": "x", "kind": "a"}', "needs its right answer"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, line: str, problem: str) -> None:
    file = written(tmp_path / "rows.jsonl", '{"request": "x", "kind": "a", "answer": 1}', line)
    with pytest.raises(UsageError, match=r"line 2") as caught:
        read_rows(file, answers=True)
    assert problem in str(caught.value)


def test_a_file_without_rows_or_none_at_all_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no rows"):
        read_rows(written(tmp_path / "empty.jsonl", "", " "), answers=False)
    with pytest.raises(UsageError, match="cannot read"):
        read_rows(tmp_path / "missing.jsonl", answers=False)


@pytest.mark.parametrize("zipf", [None, 1.2])
def test_the_order_depends_on_the_seed_alone(zipf: float | None) -> None:
    rows = rows_of(a=20, b=20, c=20)
    assert arrange(rows, seed=1, zipf=zipf) == arrange(rows, seed=1, zipf=zipf)
    assert arrange(rows, seed=1, zipf=zipf) != arrange(rows, seed=2, zipf=zipf)
    assert Counter(row.request for row in arrange(rows, seed=1, zipf=zipf)) == Counter(row.request for row in rows)
    assert arrange(rows, seed=1, zipf=zipf, limit=7) == arrange(rows, seed=1, zipf=zipf)[:7]


def test_zipf_makes_few_kinds_frequent() -> None:
    rows = rows_of(**{f"kind{i}": 200 for i in range(10)})
    even = Counter(row.kind for row in arrange(rows, seed=3, limit=200))
    skewed = Counter(row.kind for row in arrange(rows, seed=3, zipf=1.5, limit=200))
    assert max(skewed.values()) > 2 * max(even.values())


def test_near_misses_wait_for_their_kind() -> None:
    near = [*rows_of(a=3, b=1), Row(request="foreign", kind=None)]
    schedule = NearMissSchedule(near, seed=0, length=10)
    schedule.cached("a", 4)
    due = {position: [row.kind for row in schedule.due(position)] for position in range(10)}
    assert sorted(k for position in range(4, 10) for k in due[position] if k) == ["a", "a", "a"]
    assert not any("a" in due[position] for position in range(4))
    assert sum(kinds.count(None) for kinds in due.values()) == 1
    assert [row.kind for row in schedule.rest()] == ["b"]


# Scoring


@pytest.mark.parametrize(
    ("given", "right", "verdict"),
    [
        (5, 5, "right"),
        (5.0, 5, "right"),
        ("$1,020", 1020, "right"),
        ({"$money": [12.5, "USD"]}, 12.5, "right"),
        (1e9 + 100, 1e9, "right"),
        (16.666667, 16.67, "right"),
        (2.675, 2.68, "right"),
        (2.675, 2.67, "right"),
        (16.68, 16.67, "wrong"),
        (32.54, 32.5, "wrong"),
        (0.12341, 0.1234, "wrong"),
        (11.9967, 12, "right"),
        (16.5, 17, "off by rounding"),
        (16.5, 17.0, "off by rounding"),
        (16.0, 17, "wrong"),
        (16.5, 17.25, "wrong"),
        (" New  York", "new york", "right"),
        ("York", "new york", "wrong"),
        (None, 3, "wrong"),
        ({"$float": "nan"}, 3, "wrong"),
        ({"$float": "inf"}, 3, "wrong"),
        ("three", 3, "wrong"),
        (3, None, "unknown"),
    ],
)
def test_answers_are_compared(given: Json, right: Json, verdict: str) -> None:
    assert compare(given, right) == verdict


@pytest.mark.parametrize(
    ("wrong", "trials", "bound"),
    [
        (0, 10, 0.258866),
        (0, 59, 0.049508),
        (0, 1000, 0.002991),
        (1, 20, 0.216106),
        (5, 10, 0.777559),
        (10, 10, 1.0),
        (0, 0, 1.0),
    ],
)
def test_the_upper_bound_is_that_of_clopper_and_pearson(wrong: int, trials: int, bound: float) -> None:
    assert upper_bound(wrong, trials) == pytest.approx(bound, abs=2e-6)


def test_without_wrong_ones_the_bound_has_a_closed_form() -> None:
    assert upper_bound(0, 12_345) == pytest.approx(1 - 0.05 ** (1 / 12_345), rel=1e-6)


def test_percentiles_are_values_that_were_seen() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1.0)) == (50.0, 99.0, 100.0)
    assert percentile([7.0], 0.5) == 7.0
    assert percentile([], 0.5) is None


# Break-even


def test_break_even_is_where_the_cache_becomes_cheaper() -> None:
    found = break_even([1000, 0, 0, 0, 0], 300)
    assert (found.first_below, found.below_from) == (4, 4)
    assert (found.tokens_with, found.tokens_without) == (1000, 1500)


def test_break_even_may_be_lost_again_or_never_reached() -> None:
    lost = break_even([50, 400, 0, 0, 0], 100)
    assert (lost.first_below, lost.below_from) == (1, 5)
    assert break_even([50, 400], 100).below_from is None
    assert break_even([100, 100], 100).first_below is None
    assert break_even([], 100).first_below is None


def test_the_baseline_asks_the_model_for_some_requests() -> None:
    model = FakeModel()
    baseline = measure_baseline(model, rows_of(a=10), 4)
    assert (baseline.requests, baseline.usage.calls, baseline.tokens_per_request) == (4, 4, 100)
    assert measure_baseline(model, rows_of(a=2), 4).requests == 2
    assert measure_baseline(model, rows_of(a=2), 0).tokens_per_request is None


def test_a_baseline_that_fails_says_so() -> None:
    baseline = measure_baseline(FakeModel(answers=1), rows_of(a=5), 3)
    assert (baseline.requests, baseline.failure) == (1, "out of answers")


# What is observed and counted


def test_a_stream_is_counted() -> None:
    rows = [*rows_of(add=4, mul=1), Row(request="odd 1", kind=None), Row(request="taste 1", kind=None)]
    total = figures_of(observed(rows)).total
    assert (total.requests, total.hits, total.right_hits, total.wrong_hits) == (7, 3, 3, 0)
    assert (total.misses, total.refused, total.errors) == (3, 1, 0)
    assert (total.answerable, total.right_answers) == (5, 5)
    assert (total.later_requests, total.later_hits, total.later_share) == (2, 2, 1.0)
    assert (total.compile.tokens, total.interpret.tokens, total.model_usage.calls) == (2000, 100, 3)
    assert total.learned == {"admitted": 2, "not crystallizable": 1}


def test_kinds_and_answers_never_reach_the_cache() -> None:
    cache = FakeCache()
    list(Sender(cache, [Row(request="add 1", kind="secret", answer=99)]))
    assert cache.sent == [("answer", "add 1")]


def test_near_misses_come_after_their_kind_and_by_lookup() -> None:
    cache = FakeCache()
    near = [Row(request="add wrongly 7", kind="add", answer=8), Row(request="sub 1", kind="sub", answer=1)]
    found = list(Sender(cache, rows_of(add=5), near))
    lookups = [o for o in found if o.near_miss]
    assert [o.row.kind for o in lookups] == ["add", "sub"]
    assert [o.cached for o in lookups] == [True, False]
    assert {path for path, request in cache.sent if request in ("add wrongly 7", "sub 1")} == {"lookup"}
    assert cache.sent[0][0] == "answer"


def test_near_misses_can_be_answered_instead() -> None:
    cache = FakeCache()
    list(Sender(cache, rows_of(add=2), [Row(request="add wrongly 7", kind="add")], near_miss_path="answer"))
    assert {path for path, _ in cache.sent} == {"answer"}


def test_a_near_miss_is_wrong_only_where_its_answer_is() -> None:
    near = [
        Row(request="add a 7", kind="add", answer=7),
        Row(request="add b 7", kind="add", answer=8),
        Row(request="add c 7", kind="add"),
        Row(request="sub 1", kind="sub", answer=1),
    ]
    found = figures_of(observed(rows_of(add=3), near))
    assert (found.near_misses.hits, found.near_misses.right_hits, found.near_misses.wrong_hits) == (3, 1, 2)
    assert {wrong.request for wrong in found.wrong_hits} == {"add b 7", "add c 7"}
    assert (found.wrong_of_near_misses.wrong, found.wrong_of_near_misses.trials) == (2, 3)
    assert found.near_misses_before_cached == 1
    assert found.total.requests == 3


def test_a_hit_on_foreign_traffic_is_wrong_unless_right() -> None:
    rows = [*rows_of(add=1), Row(request="add 5", kind=None), Row(request="add 6", kind=None, answer=6)]
    found = figures_of(observed(rows))
    assert [wrong.request for wrong in found.wrong_hits] == ["add 5"]
    assert found.kinds[FOREIGN].later_requests == 0


def test_wrong_by_rounding_is_wrong_and_counted_apart() -> None:
    rows = [*rows_of(add=1), Row(request="add 16.5", kind="add", answer=17)]
    total = figures_of(observed(rows)).total
    assert (total.wrong_hits, total.wrong_by_rounding) == (1, 1)


def test_misses_are_grouped_by_reason_and_stage() -> None:
    rows = [Row(request=f"taste '{word}' 1", kind=None) for word in ("a", "b")]
    (group,) = figures_of(observed(rows)).misses
    assert (group.what, group.where, group.count) == ("nothing known", "template", 2)
    assert group.example == "taste 'a' 1"


def test_what_procedures_cost() -> None:
    found = figures_of(observed([*rows_of(add=3, mul=3), Row(request="taste 1", kind=None)]))
    assert (found.learning.calls_per_admitted, found.learning.output_tokens_per_procedure) == (1.0, 100)
    assert [(group.what, group.count) for group in found.learning.refusals] == [("not crystallizable: taste", 1)]


def test_latency_is_given_by_the_cache_and_by_the_clock() -> None:
    latency = figures_of(observed(rows_of(add=3))).latency
    assert latency.hits == 2
    assert latency.measured_p50 == pytest.approx(3.0)
    assert latency.wall_p50 is not None


def test_break_even_of_a_stream_leaves_near_misses_out() -> None:
    near = [Row(request="mul 1", kind=None)]
    found = figures_of(observed(rows_of(add=6), near, near_miss_path="answer"), tokens=250)
    assert found.course.tokens == [1000, 0, 0, 0, 0, 0]
    assert found.break_even is not None and found.break_even.first_below == 5
    assert figures_of(observed(rows_of(add=6))).break_even is None


def test_errors_in_a_row_end_the_stream() -> None:
    rows = rows_of(add=MAX_ERRORS + 5)
    found = list(Sender(FakeCache(fails=True), rows, rows_of(add=1)))
    assert len(found) == MAX_ERRORS
    (group,) = figures_of(found).errors
    assert (group.what, group.count) == ("ModelError: no model for …", MAX_ERRORS)
    sent = stream.send(Sender(FakeCache(fails=True), rows), len(rows))
    assert "given up" in sent.ended


def test_ctrl_c_keeps_what_was_observed() -> None:
    class Interrupted(FakeCache):
        def answer(self, request: str, *, context: Mapping[str, Json] | None = None) -> Outcome:
            if len(self.sent) == 3:
                raise KeyboardInterrupt
            return super().answer(request, context=context)

    sent = stream.send(Sender(Interrupted(), rows_of(add=9)), 9)
    assert (len(sent.observations), sent.ended) == (3, "interrupted")


# Commands


def report_of(found: Figures) -> stream.StreamReport:
    return stream.StreamReport(
        method="method", settings={"seed": 0}, model="recorded:fake", recorded=True, complete=False,
        ended="interrupted", sizes={"requests": 3}, procedures=1, versions={"python": "3"}, figures=found,
    )  # fmt: skip


def test_the_report_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    near = [Row(request="add [b] 7", kind="add", answer=8)]
    report = report_of(figures_of(observed(rows_of(add=4), near), tokens=500))
    stream.print_report(report, stream.Console(width=200))
    printed = capsys.readouterr().out
    for text in ("recorded", "PARTIAL: interrupted", "add [b] 7", "break-even: at request 3", "at most"):
        assert text in printed
    stream.write_report(tmp_path / "out" / "report.json", report)
    document = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert document["figures"]["total"]["later_share"] == 1.0
    assert document["figures"]["wrong_hits"][0]["request"] == "add [b] 7"


def test_an_unknown_baseline_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    stream.print_report(report_of(figures_of(observed(rows_of(add=1)))), stream.Console(width=200))
    assert "break-even: not computed" in capsys.readouterr().out


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_atomically(file, "one")
    write_atomically(file, "two")
    assert file.read_text(encoding="utf-8") == "two"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ([], "--model"),
        (["--recordings", "missing.jsonl"], "no recording"),
        (["--model", "nonsense"], "names no chat model"),
        (["--model", "x:y", "--svg", "picture.gif"], "does not end in .svg"),
    ],
)
def test_unusable_arguments_give_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], problem: str
) -> None:
    requests = written(tmp_path / "rows.jsonl", '{"request": "x", "kind": "a", "answer": 1}')
    arguments = ["--requests", str(requests), "--json", str(tmp_path / "out.json"), *extra]
    assert errors.run(lambda: stream.main(arguments)) == 2
    assert problem in capsys.readouterr().err


def test_a_missing_file_of_requests_gives_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--requests", str(tmp_path / "none"), "--model", "x:y", "--json", str(tmp_path / "out.json")]
    assert errors.run(lambda: stream.main(arguments)) == 2
    assert "cannot read" in capsys.readouterr().err


def test_a_stream_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draw(figures_of(observed(rows_of(add=25)), tokens=100), tmp_path / "course.svg")
    assert "<svg" in (tmp_path / "course.svg").read_text(encoding="utf-8")


def test_calls_are_summed_by_window() -> None:
    assert calls_by_window([1, 0, 2, 0, 1], 2) == [1, 2, 1]


# Generated procedures


def test_generated_procedures_are_different_and_always_the_same() -> None:
    first = [g.entry.procedure for g in procedures(200)]
    assert first == [g.entry.procedure for g in procedures(200)]
    assert len({p.content_hash for p in first}) == len({p.guard.templates for p in first}) == 200
    assert all(60 <= len(p.guard.templates[0]) <= 400 and 2 <= len(p.parameters) <= 8 for p in first)


def test_a_generated_request_is_accepted_by_its_own_guard() -> None:
    rng = random.Random(5)
    for made in procedures(100):
        guard = TemplateGuard(made.entry.procedure.guard)
        assert isinstance(guard.match(normalise(made.request(rng))), Accepted)
        assert not isinstance(guard.match(normalise(foreign_request(rng))), Accepted)


def test_a_generated_body_runs() -> None:
    names: dict[str, object] = {}
    exec(generated(1).entry.procedure.body, names)
    assert callable(names["run"])


# Preparing public data


@pytest.mark.parametrize(
    ("answer", "right"),
    [("so\n#### 1,050", 1050), ("#### 32.5", 32.5), ("#### -3", -3), ("#### $12", 12), ("#### 3/4", "3/4")],
)
def test_the_truth_stands_behind_the_mark(answer: str, right: Json) -> None:
    assert truth(answer) == right
    assert type(truth(answer)) is type(right)


def test_a_clause_goes_before_the_last_sentence() -> None:
    assert (
        with_clause("Ann has 2.5 pies. She eats 1. How many?", "Oh.") == "Ann has 2.5 pies. She eats 1. Oh. How many?"
    )
    assert with_clause("How many?", "Oh.") == "Oh. How many?"


def test_problems_become_requests_and_near_misses(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "gsm_symbolic"
    folder.mkdir(parents=True)
    problems = [
        {
            "id": family, "instance": i, "question": f"Ann has {i}. How many?", "answer": f"#### {i}",
            "original_question": f"Bob {family}?", "original_answer": "#### 5", "canary": "x",
        }
        for family in (0, 1, 2) for i in range(5)
    ]  # fmt: skip
    written(folder / "p.jsonl", *map(json.dumps, problems))
    out = tmp_path / "out"
    arguments = [
        "gsm-symbolic",
        "--data",
        str(tmp_path / "data"),
        "--out",
        str(out),
        "--families",
        "0-1",
        "--instances",
        "4",
    ]
    assert prepare.main(arguments) == 0
    rows, near = read_rows(out / "requests.jsonl", answers=True), read_rows(out / "near_misses.jsonl", answers=False)
    assert Counter(row.kind for row in rows) == {"family 00": 4, "family 01": 4}
    assert Counter(row.answer for row in near) == {5: 2, None: 6}
    assert all(any(clause in row.request for clause in CLAUSES) for row in near if row.answer is None)


def test_public_data_stays_out_of_the_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="inside the repository"):
        prepare.main(["gsm-symbolic", "--data", str(tmp_path), "--out", str(prepare.REPOSITORY / "rows")])


def test_missing_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no GSM-Symbolic file"):
        prepare.main(["gsm-symbolic", "--data", str(tmp_path), "--out", str(tmp_path / "out")])


def test_messages_are_those_of_the_interpreter() -> None:
    seen: list[Message] = []

    class Listening(FakeModel):
        def complete(self, messages: list[Message]) -> Completion:  # type: ignore[override]
            seen.extend(messages)
            return super().complete(messages)

    measure_baseline(Listening(), rows_of(add=1), 1)
    assert [message.role for message in seen] == ["system", "user"]
    assert "add 0" in seen[-1].content
