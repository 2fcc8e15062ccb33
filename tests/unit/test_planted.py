"""Planted agents: the truth is known and does not change, coincidences are forced, and bad learners are found out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import planted as benchmark
from benchmarks.errors import UsageError
from seglam_agents.records.outcome import Citation, Hit, Miss, Outcome
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.trace import Trace
from seglam_agents.records.values import decode
from seglam_agents.testing.planted import (
    FAMILIES,
    Chance,
    Course,
    Desk,
    Stage,
    Tally,
    Verdict,
    draw_course,
    draw_courses,
    examine,
)
from seglam_agents.testing.planted.course import BEYOND, FORCED

CITATION = Citation(procedure_id="p", version=1, name="p", content_hash="")
COURSES = [draw_course(family, f"test {place}") for place, family in enumerate(FAMILIES)]


class Knowing:
    """Knows the policy and the requests of its kind: what a learner may reach at best."""

    def __init__(self, course: Course, stage: Stage, *, runs: int, fresh: int) -> None:
        # Two requests on different data may have the same text: they are played in this order.
        self._asks = course.fresh(fresh, runs)
        self._functions = {item.tool.name: item.function for item in stage.tools()}
        self._agent = course.agent

    def observe(self, trace: Trace, /) -> None:
        """Know it already."""

    def lookup(self, request: Request, /) -> Outcome:
        """Do what the policy does."""
        if not self._asks or self._asks[0].request != request:
            return Miss(reason="of another kind")
        truth = self._agent.truth(self._asks.pop(0))
        _carry_out(self._functions, [(write.tool, write.arguments) for write in truth.writes])
        return Hit(answer=truth.answers[-1], citation=CITATION)


class Memoriser:
    """Repeats the run whose request has the most words in common: calls, arguments and answer."""

    def __init__(self, stage: Stage) -> None:
        self._traces: list[Trace] = []
        self._functions = {item.tool.name: item.function for item in stage.tools()}
        self._writing = {item.tool.name for item in stage.tools() if item.tool.effect == "write"}

    def observe(self, trace: Trace, /) -> None:
        """Keep the run."""
        self._traces.append(trace)

    def lookup(self, request: Request, /) -> Outcome:
        """Repeat the nearest run."""
        words = set(request.text.split())
        nearest = max(self._traces, key=lambda trace: len(words & set(trace.request.text.split())))
        _carry_out(self._functions, [(s.tool, s.arguments) for s in nearest.calls if s.tool in self._writing])
        return Hit(answer=nearest.answer, citation=CITATION)


def test_families_are_many_and_each_asks_answers_and_calls() -> None:
    """At least thirty different families can be drawn, and every one of them answers each of its requests."""
    assert len({course.agent.family for course in COURSES}) >= 30
    for course in COURSES:
        for ask in course.fresh(6, runs=2):
            truth = course.agent.truth(ask)
            assert truth.answers
            assert "{" not in ask.text
            assert "[" not in ask.text


def test_the_same_seed_gives_the_same_course_and_another_seed_another() -> None:
    """Everything is decided by the seed: trainings, fresh requests and truths."""
    first, again, other = (draw_courses(12, seed) for seed in (3, 3, 4))
    assert [_told(course) for course in first] == [_told(course) for course in again]
    assert [_told(course) for course in first] != [_told(course) for course in other]


def test_a_truth_does_not_depend_on_what_was_asked_before() -> None:
    """Asked twice, in between others, a request has the same calls, writes and answers."""
    for course in COURSES:
        asks = course.fresh(4, runs=2)
        before = [course.agent.truth(ask) for ask in asks]
        after = [course.agent.truth(ask) for ask in reversed(asks)]
        assert before == after[::-1]


def test_more_trainings_begin_with_the_same_ones_and_go_on_in_time() -> None:
    """The runs of a course are in the order of time, and fresh requests come after all of them."""
    for course in COURSES:
        traces = course.trainings(5)
        assert course.trainings(3) == traces[:3]
        moments = [trace.recorded_at for trace in traces if trace.recorded_at]
        assert len(moments) == 5
        assert moments == sorted(moments)
        assert all(ask.now > moments[1] for ask in course.fresh(3, runs=2))


def test_arguments_are_as_the_schemas_of_the_tools_say() -> None:
    """Every recorded call names a declared tool and exactly its arguments, of their types and closed sets."""
    kinds = {"string": str, "integer": int, "number": (int, float)}
    for course in COURSES:
        tools = {planted.tool.name: planted.tool for planted in course.agent.tools.values()}
        for step in (step for trace in course.trainings(4) for step in trace.calls):
            tool = tools[step.tool]
            assert set(step.arguments) == set(tool.argument_names)
            for name, schema in dict(tool.parameters["properties"]).items():
                value = step.arguments[name]
                assert isinstance(value, kinds.get(schema.get("type"), object)), (step, name)
                assert not tool.choices(name) or value in tool.choices(name)


def test_a_third_of_the_courses_has_a_forced_coincidence() -> None:
    """Coincidences are forced into about a third of the trainings, and every sort of them occurs."""
    courses = draw_courses(4 * len(FAMILIES), seed=11)
    forced = [course for course in courses if course.chance is not Chance.NONE]
    assert len(courses) / FORCED * 0.7 < len(forced) < len(courses) / FORCED * 1.3
    assert {course.chance for course in courses} == set(Chance)


@pytest.mark.parametrize(
    ("chance", "holds"),
    [
        (Chance.ONE_OWNER, lambda theme, asks: len({ask.values.get("owner", "") for ask in asks}) == 1),
        (Chance.ONE_ROW, lambda theme, asks: all(len(ask.world.of(ask.values["owner"])) <= 1 for ask in asks)),
        (
            Chance.ALL_ALIKE,
            lambda theme, asks: {row["status"] for ask in asks for row in ask.world.rows} == {theme.status},
        ),
        (Chance.SORTED, lambda theme, asks: all(_sorted(theme, ask) for ask in asks)),
        (Chance.ONE_DAY, lambda theme, asks: len({ask.now.date() for ask in asks}) == 1),
        (Chance.ONE_SIDE, lambda theme, asks: all(row["temperature"] > 23 for x in asks for row in x.world.readings)),
        (
            Chance.EQUAL_FIELDS,
            lambda theme, asks: all(row[theme.amount] == row[theme.count] for ask in asks for row in ask.world.rows),
        ),
    ],
)  # fmt: skip
def test_a_forced_coincidence_holds_in_every_training(chance: Chance, holds: object) -> None:
    """What a chance names is true of all trainings."""
    course = next(course for course in COURSES if "owner" in course.agent.places and not course.steady)
    forced = Course(course.agent, chance, 5, steady=False)
    assert callable(holds)
    assert holds(course.agent.theme, forced.asked(5))


def test_equal_numbers_are_equal() -> None:
    """Two numbers of a request, or a number and a digit of its key, are the same."""
    move = next(course for course in COURSES if course.agent.family == "key with digits and a number")
    for ask in Course(move.agent, Chance.EQUAL_NUMBERS, 5, steady=False).asked(4):
        assert str(ask.values["number"]) in str(ask.values["key"])


def test_a_third_of_the_fresh_requests_lies_beyond() -> None:
    """Fresh requests are of both sorts, so that coverage can be told for each."""
    asks = [ask for course in COURSES for ask in course.fresh(12, runs=2)]
    share = sum(ask.beyond for ask in asks) / len(asks)
    assert 0.7 / BEYOND < share < 1.3 / BEYOND


def test_who_knows_the_policy_is_never_wrong_and_covers_everything() -> None:
    """The judge finds nothing to say against the truth, in any phrasing, and nothing is covered twice."""
    for course in COURSES:
        stage = Stage(course.agent)
        knowing = Knowing(course, stage, runs=2, fresh=10)
        tally = _tally(course, stage, knowing, fresh=10)
        assert tally.wrong == 0, course.agent.family
        assert tally.coverage == 1


def test_who_repeats_runs_is_found_out_in_answers_writes_and_strangers() -> None:
    """A memoriser is wrong in every way there is: the benchmark can fail."""
    total = Tally()
    for course in COURSES:
        stage = Stage(course.agent)
        memoriser = Memoriser(stage)
        for trace in course.trainings(3):
            memoriser.observe(trace)
        total.add(_tally(course, stage, memoriser, fresh=6))
    for verdict in (Verdict.WRONG_ANSWER, Verdict.WRONG_WRITE, Verdict.STRANGER_SERVED):
        assert total.verdicts[verdict] > 20, verdict
    assert total.wrong > total.fresh / 2


def test_a_report_of_the_right_writes_is_right_and_one_with_a_foreign_figure_is_wrong() -> None:
    """After the right writes other words are right, unless they assert a figure or a verdict that nobody knows."""
    course = next(course for course in COURSES if course.agent.family == "order, restate")
    (ask,) = course.fresh(1, runs=2)
    truth = course.agent.truth(ask)
    for answer, verdict in (
        (f"Ordered: {ask.values['number']} {ask.values['item']}.", Verdict.RIGHT),
        ("Ordered 987654 of them.", Verdict.WRONG_ANSWER),
        ("No, not enough.", Verdict.WRONG_ANSWER),
    ):
        stage = Stage(course.agent)
        functions = {item.tool.name: item.function for item in stage.tools()}

        def serve(request: Request, answer: str = answer, functions: dict[str, object] = functions) -> Outcome:
            _carry_out(functions, [(write.tool, write.arguments) for write in truth.writes])
            return Hit(answer=answer, citation=CITATION)

        learner = _Fixed(serve)
        examined = next(iter(examine(course, stage, learner, runs=2, fresh=1)))
        assert examined.judgement.verdict is verdict


def test_the_same_write_twice_is_a_wrong_write() -> None:
    """Calls are counted: a write that is made twice is one too many."""
    course = next(course for course in COURSES if course.agent.family == "two numbers")
    stage = Stage(course.agent)
    (ask,) = course.fresh(1, runs=2)
    truth = course.agent.truth(ask)
    functions = {item.tool.name: item.function for item in stage.tools()}

    def serve(request: Request) -> Outcome:
        _carry_out(functions, [(write.tool, write.arguments) for write in truth.writes * 2])
        return Hit(answer=truth.answers[0], citation=CITATION)

    examined = next(iter(examine(course, stage, _Fixed(serve), runs=2, fresh=1)))
    assert examined.judgement.verdict is Verdict.WRONG_WRITE


def test_the_benchmark_writes_a_report_by_family_and_by_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command measures a cache, and says sizes, seed and versions; the same seed gives the same figures."""
    reports = [_run(monkeypatch, tmp_path / name, "--policies", "3", "--seed", "5") for name in ("a.json", "b.json")]
    report = reports[0]
    assert report["settings"] == {"policies": 3, "runs": [2, 3], "fresh": 4, "seed": 5}
    assert set(report["by_runs"]) == {"2", "3"}
    assert report["total"]["fresh"] == 3 * 2 * 4
    assert report["total"]["strangers"] == 3 * 2
    assert report["total"]["observed"] == 3 * 3
    assert "seglam-agents" in report["versions"]
    assert report["families"] == reports[1]["families"]
    assert "by forced coincidence" in capsys.readouterr().out


@pytest.mark.parametrize("runs", ["", "two", "0,1"])
def test_numbers_of_runs_that_are_none_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: str
) -> None:  # fmt: skip
    """What `--runs` takes is said where it is given something else."""
    with pytest.raises(UsageError, match="--runs takes numbers"):
        _run(monkeypatch, tmp_path / "out.json", "--runs", runs)


def test_a_policy_sees_the_error_of_a_tool_and_the_run_holds_it() -> None:
    """A key that does not exist is an error of the step, and the policy says so."""
    course = next(course for course in COURSES if course.agent.family == "field by key")
    asks = (ask for ask in course.fresh(200, runs=2) if ask.values["key"] not in _keys(course, ask.world.rows))
    ask = next(asks)
    truth = course.agent.truth(ask)
    assert truth.steps[-1].error
    assert str(truth.answers[0]).startswith("There is no ")


def test_a_desk_refuses_a_result_of_another_form() -> None:
    """A policy that takes a list for an object is broken, and not quietly right."""
    course = COURSES[0]
    (ask,) = course.asked(1)
    desk = Desk(course.agent.tools, ask.world.copy(), ask.now)
    with pytest.raises(TypeError):
        desk.row("all")


class _Fixed:
    def __init__(self, serve: Callable[[Request], Outcome]) -> None:
        self._serve = serve

    def observe(self, trace: Trace, /) -> None:
        """Nothing to learn."""

    def lookup(self, request: Request, /) -> Outcome:
        """Do what the test says."""
        return self._serve(request)


def _tally(course: Course, stage: Stage, learner: object, *, fresh: int) -> Tally:
    tally = Tally()
    for examined in examine(course, stage, learner, runs=2, fresh=fresh):
        tally.count(examined)
    return tally


def _carry_out(functions: dict[str, object], calls: list[tuple[str, dict[str, Json]]]) -> None:
    for tool, arguments in calls:
        try:
            functions[tool](**{name: decode(value) for name, value in arguments.items()})
        except (LookupError, TypeError, ValueError):
            continue  # The policy met the same error.


def _told(course: Course) -> list[object]:
    return [
        course.agent.family,
        course.chance,
        [trace.model_dump_json() for trace in course.trainings(3)],
        [(ask.text, course.agent.truth(ask)) for ask in course.fresh(3, runs=2)],
        [ask.text for ask in course.strangers(2, runs=2)],
    ]


def _sorted(theme: object, ask: object) -> bool:
    rows = ask.world.of(ask.values["owner"])
    amounts = [row[theme.amount] for row in rows]
    days = [row[theme.day] for row in rows]
    return amounts == sorted(amounts) and days == sorted(days, reverse=True)


def _keys(course: Course, rows: list[dict[str, Json]]) -> set[Json]:
    return {row[course.agent.theme.key] for row in rows}


def _run(monkeypatch: pytest.MonkeyPatch, out: Path, *more: str) -> dict[str, dict[str, Json]]:
    sizes = ["--runs", "2,3", "--fresh", "4", "--json", str(out), *more]
    monkeypatch.setattr("sys.argv", ["planted", *sizes])
    assert benchmark.main() == 0
    return json.loads(out.read_text())
