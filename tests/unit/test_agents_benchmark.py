"""The benchmark of agents: a LangChain agent at office requests, with the cache and without."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from benchmarks import errors
from benchmarks.agents import command
from benchmarks.agents.figures import Course, bars, deciles
from benchmarks.agents.office import Office
from benchmarks.agents.played import PlayedChat, history_of
from benchmarks.agents.sending import Item, arranged
from benchmarks.errors import UsageError
from benchmarks.workbench.player import cost, next_step
from benchmarks.workbench.truth import Task, parse_action, read_tasks
from benchmarks.workbench.world import World
from benchmarks.workbench.writes import repeated_writes, wrong_writes
from seglam_agents.records.outcome import Call
from seglam_agents.records.trace import ToolStep

PEOPLE = ("maya.berg", "otto.lind", "ines.ferro", "piet.vos", "rosa.quint", "karl.holm")
TOPICS = ("plumbing talk", "roof review", "garden tour", "tile fitting", "paint trial", "lamp survey")
TEMPLATE = "Cancel the next {event} meeting"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a small office of one domain, and tasks that end with one write or with none."""
    addresses = [f"{person}@example.com" for person in PEOPLE]
    (tmp_path / "email_addresses.csv").write_text("".join(f"{address}\n" for address in addresses))
    events = [
        {"event_id": f"0000001{n}", "event_name": topic, "participant_email": addresses[n], "duration": "30"}
        | {"event_start": f"2023-12-0{n + 1} 1{n}:00:00"}
        for n, topic in enumerate(TOPICS)
    ]
    written(tmp_path / "calendar_events.csv", events)
    tasks = [task(f"Cancel the next {topic} meeting", f"0000001{n}") for n, topic in enumerate(TOPICS)]
    written(tmp_path / "calendar_queries_and_answers.csv", [*tasks, task("Cancel the next tea meeting", "")])
    return tmp_path


def task(query: str, event_id: str) -> dict[str, str]:
    answer = [f'calendar.delete_event.func(event_id="{event_id}")'] if event_id else []
    return {"query": query, "answer": str(answer), "domains": "['calendar']"} | {
        "base_template": TEMPLATE,
        "chosen_template": TEMPLATE,
    }


def written(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def run(folder: Path, tmp_path: Path, *more: str) -> dict[str, Any]:
    out = tmp_path / "report.json"
    assert command.main(["--suite", "workbench", "--data", str(folder), "--json", str(out), *more]) == 0
    return json.loads(out.read_text())


def test_the_report_says_what_both_agents_did(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Once a kind is known its requests cost no model calls, and end as they do without the cache."""
    report = run(folder, tmp_path, "--domains", "calendar", "--passes", "3", "--svg", str(tmp_path / "out.svg"))
    figures, total = report["figures"], report["figures"]["total"]
    assert total["requests"] == 21 and total["right"] == total["right_without"] == 21 and total["lost"] == 0
    assert total["changing"] == 18 == total["changing_right"] == total["changing_right_without"]
    assert total["doing_nothing"] == 3
    assert total["hits"] + total["deopts"] + total["misses"] == 21 and total["hits"] >= 12
    assert total["wrong_writes"] == total["repeated_writes"] == total["repeated_writes_without"] == 0
    assert total["writes"] >= 12 and 0 < total["wrong_hits_upper"] < 0.25
    assert total["used"]["calls"] == sum(figures["course"]["cached"]) < total["used_without"]["calls"]
    assert total["used"]["input_tokens"] < total["used_without"]["input_tokens"]
    assert total["used_without"]["calls"] == sum(figures["course"]["plain"]) == 3 * (6 * 3 + 2)
    assert figures["domains"]["calendar"] == total
    assert [counts["requests"] for counts in figures["passes"]] == [7, 7, 7]
    assert figures["passes"][0]["saved"] < figures["passes"][2]["saved"]
    assert len(figures["deciles"]) == 10
    assert report["settings"]["passes"] == 3 and report["compiler"] == "" and report["procedures"] == 1
    assert {"method", "sizes", "seconds", "versions"} <= set(report) and report["versions"]["langchain"]
    assert any("a second one of the kind is needed" in reason for reason in figures["refusals"])
    assert "<svg" in (tmp_path / "out.svg").read_text()
    out = capsys.readouterr().out
    assert "pass no repeated writes: 0" in out and "doing nothing would be right for 3 of 21" in out


def test_the_order_depends_on_the_seed_and_each_pass_has_its_own(folder: Path) -> None:
    items = [Item(task, "calendar") for task in read_tasks(folder, "calendar")]
    stream = arranged(items, seed=1, passes=2, limit=5)
    assert stream == arranged(items, seed=1, passes=2, limit=5) != arranged(items, seed=2, passes=2, limit=5)
    first, second = ([item.task.query for item in stream if item.turn == turn] for turn in (1, 2))
    assert len(first) == 5 and first != second and sorted(first) == sorted(second)
    whole = arranged(items, seed=1, passes=1, limit=None)
    assert [item.task.query for item in whole[:5]] == first


@pytest.mark.parametrize(
    ("domains", "problem"),
    [
        ("calender", "cannot read .*calender_queries_and_answers.csv"),
        ("project_management", "need .*project_tasks.csv, which is missing"),
        ("strange", "call 'coffee_brew', which no database here has"),
    ],
)
def test_what_is_missing_is_named(folder: Path, tmp_path: Path, domains: str, problem: str) -> None:
    delete = "project_management.delete_task.func(task_id='1')"
    for name, call in (("project_management", delete), ("strange", "coffee.brew.func(cups=1)")):
        written(
            folder / f"{name}_queries_and_answers.csv", [{**task("Do it", ""), "answer": str([call]), "domains": "[]"}]
        )
    with pytest.raises(UsageError, match=problem):
        run(folder, tmp_path, "--domains", domains)


def test_a_folder_without_tasks_is_unusable(folder: Path, tmp_path: Path) -> None:
    (folder / "calendar_queries_and_answers.csv").unlink()
    with pytest.raises(UsageError, match="holds no tasks"):
        run(folder, tmp_path)


def test_the_module_tells_unusable_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", str(tmp_path), "--domains", "calendar", "--json", str(tmp_path / "out.json")]
    assert errors.run(lambda: command.main(arguments)) == errors.UNUSABLE
    assert "holds no database of WorkBench" in capsys.readouterr().err


def test_a_model_compiles_what_traces_do_not_explain(folder: Path, tmp_path: Path) -> None:
    """A recording without the request is told as a reason; the agent runs on, and its success is the same."""
    recording = tmp_path / "recording.jsonl"
    recording.write_text("")
    report = run(folder, tmp_path, "--recordings", str(recording), "--limit", "3")
    assert report["recorded"] and report["figures"]["total"]["right"] == 3
    assert any(reason.startswith("failed: RecordingError") for reason in report["figures"]["refusals"])


def test_the_played_model_goes_on_from_the_messages(folder: Path) -> None:
    world = World.load(folder)
    asked = read_tasks(folder, "calendar")[0]
    model = PlayedChat(world)
    with pytest.raises(ValueError, match="the truth is not known"):
        model.invoke(asked.query)
    model.begin(asked)
    first = model.invoke([HumanMessage(asked.query)])
    move = next_step(asked, world)
    assert isinstance(move, Call)
    (call,) = first.tool_calls
    assert (call["name"], call["args"]) == (move.tool, move.arguments)
    used = cost(asked, [], move)
    assert first.usage_metadata and first.usage_metadata["total_tokens"] == used.tokens == model.used.tokens
    rows = world.call(move.tool, move.arguments)
    answer = ToolMessage(json.dumps(rows), tool_call_id=call["id"] or "")
    second = model.invoke([HumanMessage(asked.query), first, answer])
    assert second.tool_calls[0]["name"] == "calendar_delete_event" and model.used.calls == 2
    assert history_of([first, answer]) == [ToolStep(tool=move.tool, arguments=dict(move.arguments), result=rows)]


def test_tools_work_on_the_fresh_copy_and_tell_their_errors(folder: Path) -> None:
    world = World.load(folder)
    office = Office(world)
    tools = {tool.name: tool for tool in office.tools}
    delete, find = tools["calendar_delete_event"], tools["company_directory_find_email_address"]
    assert (delete.metadata or {})["effect"] == "write" and (find.metadata or {})["effect"] == "read"
    office.begin()
    found = find.invoke({"type": "tool_call", "name": find.name, "args": {"name": "maya"}, "id": "1"})
    assert found.artifact == ["maya.berg@example.com"] == json.loads(found.text)
    assert "deleted" in delete.invoke({"event_id": "00000010"})
    assert office.world.snapshot() != world.snapshot()
    assert [step.tool for step in office.done] == [find.name, delete.name]
    office.begin()
    assert office.world.snapshot() == world.snapshot() and office.done == []
    search = tools["calendar_search_events"]
    failed = search.invoke({"type": "tool_call", "name": search.name, "args": {"time_min": "soon"}, "id": "2"})
    assert (
        failed.status == "error"
        and history_of([AIMessage("", tool_calls=[{"name": search.name, "args": {}, "id": "2"}]), failed])[0].error
    )


def test_writes_are_compared_with_those_of_the_truth() -> None:
    action = parse_action("calendar.delete_event.func(event_id='1')")
    wanted, world = Task("", "", "", (), (action,)), World.empty()
    right = ToolStep(tool=action.tool, arguments={"event_id": "1"})
    other = ToolStep(tool=action.tool, arguments={"event_id": "2"})
    read = ToolStep(tool="calendar_search_events", arguments={})
    assert wrong_writes([right, read], wanted, world) == repeated_writes([right, read], wanted) == 0
    assert wrong_writes([right, other], wanted, world) == 1 and repeated_writes([right, other], wanted) == 0
    assert wrong_writes([right, right], wanted, world) == 1 == repeated_writes([right, right], wanted)


def test_tenths_of_a_stream() -> None:
    assert deciles(Course(cached=[1] * 20, plain=[2] * 20)) == [0.5] * 10
    short = deciles(Course(cached=[3, 0], plain=[3, 3]))
    assert len(short) == 10 and [share for share in short if share is not None] == [0.0, 1.0]


def test_a_bar_fails_where_it_should(folder: Path, tmp_path: Path) -> None:
    total = command.figures([]).total
    assert [bar.passed for bar in bars(total)] == [True, False, True, True]
    worse = total.model_copy(update={"right_without": 1, "lost": 1, "wrong_writes": 1, "repeated_writes": 2})
    assert not any(bar.passed for bar in bars(worse))


@pytest.mark.data
@pytest.mark.timeout(400)
def test_real_requests_end_as_without_the_cache(data_dir: Path, tmp_path: Path) -> None:
    """Forty requests of WorkBench: nothing is wrong, and nothing is done twice."""
    if not (data_dir / "workbench").is_dir():
        pytest.skip(f"no WorkBench in {data_dir}")
    out, of = tmp_path / "report.json", ("--domains", "calendar", "--limit", "40", "--passes", "2")
    # What is saved is below the command's own bar, which is its exit code; nothing may be wrong all the same.
    command.main(["--suite", "workbench", "--data", str(data_dir / "workbench"), "--json", str(out), *of])
    total = json.loads(out.read_text())["figures"]["total"]
    assert total["requests"] == 80 == total["right"] == total["right_without"]
    assert total["hits"] > 0 and total["used"]["calls"] < total["used_without"]["calls"]
    assert total["wrong_hits"] == total["wrong_writes"] == total["repeated_writes"] == 0
