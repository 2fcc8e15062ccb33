"""`seglam backtest`: recorded runs are predicted before they are learnt from, and nothing is carried out."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from seglam_agents.cli.main import app
from seglam_agents.harvest.backtest import Verdict, backtest, in_order_of_time
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ModelStep, ToolStep, Trace
from seglam_agents.records.usage import Usage

START = datetime(2026, 1, 2, 9)
CITIES = ("Berlin", "Rome", "Oslo", "Lima", "Cairo", "Porto", "Turin")
DEGREES = (18, 24, 11, 19, 30, 21, 20)
TOKENS = 45
RUNS = 7
LAST = RUNS - 1
"""Before it, enough runs were seen for it to be a hit."""
_TEXT: Json = {"type": "string"}
TOOLS = [
    Tool(name="weather", parameters={"type": "object", "properties": {"city": _TEXT}}, effect="read"),
    Tool(name="cancel_order", parameters={"type": "object", "properties": {"order": _TEXT}}, effect="write"),
    Tool(name="keep_order", parameters={"type": "object", "properties": {"order": _TEXT}}, effect="write"),
]


def weather(place: int, *, told: int | None = None) -> Trace:
    """A run that looks the weather of a city up, and says it."""
    city, degrees = CITIES[place], DEGREES[place]
    step = ToolStep(tool="weather", arguments={"city": city}, result={"city": city, "degrees": degrees})
    return _run(f"Weather in {city}?", [step], f"{city}: {told or degrees} degrees.", place)


def order(place: int, *, tool: str = "cancel_order") -> Trace:
    """A run that cancels an order."""
    key = f"A-{1000 + 137 * place}"
    step = ToolStep(tool=tool, arguments={"order": key}, result={"ok": True})
    return _run(f"Cancel order {key}", [step], "Done.", place)


def test_every_run_is_predicted_from_those_before_it() -> None:
    """The first run cannot be a hit; later ones are, rightly, and what they cost would have been saved."""
    report = backtest([weather(place) for place in range(RUNS)], TOOLS)
    assert report.runs == RUNS
    assert report.replayed[0].verdict is Verdict.MISS
    assert report.hits == report.right >= 1
    assert (report.wrong, report.reworded, report.off_record) == (0, 0, 0)
    assert report.tokens == RUNS * TOKENS
    assert report.saved_tokens == report.hits * TOKENS
    assert (report.model_calls, report.saved_model_calls) == (2 * RUNS, 2 * report.hits)
    (kind,) = (kind for kind in report.kinds if kind.procedure)
    assert kind.hits == report.hits
    assert kind.first_hit == 1 + next(place for place, run in enumerate(report.replayed) if run.hit)


def test_an_answer_that_differs_from_the_recorded_one_is_wrong() -> None:
    """A hit is held to what the agent said, and the wrong one is told with both answers; it saves nothing."""
    runs = [weather(place) for place in range(LAST)]
    report = backtest([*runs, weather(LAST, told=28)], TOOLS)
    (wrong,) = report.wrong_runs
    assert wrong.verdict is Verdict.WRONG_ANSWER
    assert (wrong.recorded, wrong.predicted) == ("Turin: 28 degrees.", "Turin: 20 degrees.")
    assert report.saved_tokens == (report.hits - 1) * TOKENS


def test_a_call_that_the_recorded_run_did_not_make_is_wrong_where_it_writes() -> None:
    """What would have been written and was not is a wrong call, and the call is named."""
    report = backtest([*(order(place) for place in range(LAST)), order(LAST, tool="keep_order")], TOOLS)
    (wrong,) = report.wrong_runs
    assert wrong.verdict is Verdict.WRONG_CALL
    assert "cancel_order" in wrong.reason


def test_a_write_that_would_be_left_out_is_wrong() -> None:
    """A recorded run that wrote more than the hit would have is no hit of this kind."""
    more = order(LAST)
    second = ToolStep(tool="keep_order", arguments={"order": "A-1"}, result={"ok": True})
    longer = more.model_copy(update={"steps": (*more.steps, second)})
    report = backtest([*(order(place) for place in range(LAST)), longer], TOOLS)
    (wrong,) = report.wrong_runs
    assert "leaves out keep_order" in wrong.reason


def test_a_read_that_is_not_on_record_is_neither_right_nor_wrong() -> None:
    """Where the recorded run read something else, or its result was not recorded, nobody can say."""
    for change in ({"arguments": {"city": "TURIN"}}, {"missing": True, "result": None}):
        last = weather(LAST)
        steps = tuple(step.model_copy(update=change) if isinstance(step, ToolStep) else step for step in last.steps)
        report = backtest([*(weather(place) for place in range(LAST)), last.model_copy(update={"steps": steps})], TOOLS)
        assert report.replayed[-1].verdict is Verdict.OFF_RECORD
        assert (report.off_record, report.wrong) == (1, 0)


def test_other_words_with_the_same_figures_are_told_apart() -> None:
    """An agent that words its answer anew is no error of the cache, and is listed to be read."""
    last = weather(LAST).model_copy(update={"answer": "Turin has 20 degrees."})
    report = backtest([*(weather(place) for place in range(LAST)), last], TOOLS)
    assert report.replayed[-1].verdict is Verdict.REWORDED
    assert [run.recorded for run in report.reworded_runs] == ["Turin has 20 degrees."]
    denied = weather(LAST).model_copy(update={"answer": "Turin: not 20 degrees."})
    assert (
        backtest([*(weather(place) for place in range(LAST)), denied], TOOLS).replayed[-1].verdict
        is Verdict.WRONG_ANSWER
    )


def test_the_order_is_that_of_time_and_not_of_the_file() -> None:
    """Runs are sorted by when they were made; one without a time stays behind the one before it."""
    first, second, third = (weather(place) for place in range(3))
    timeless = third.model_copy(update={"recorded_at": None})
    assert in_order_of_time([second, timeless, first]) == [first, second, timeless]
    shuffled = [weather(place) for place in (2, 0, 4, 1, 3, 6, 5)]
    assert backtest(shuffled, TOOLS).replayed == backtest(sorted(shuffled, key=_moment), TOOLS).replayed


def test_what_was_never_seen_twice_saves_nothing() -> None:
    """A foreign run is a miss, and its kind says what is in the way."""
    report = backtest([_run("Write a poem", [], "Roses are red.", 0)], TOOLS)
    assert (report.misses, report.hits, report.saved_tokens) == (1, 0, 0)
    (kind,) = report.kinds
    assert kind.procedure == ""
    assert kind.in_the_way


@pytest.mark.parametrize("format", ["own", "langsmith", "opentelemetry"])
def test_each_format_of_exports_is_replayed(tmp_path: Path, format: str) -> None:
    """An export of any format gives the same hits, in text and as JSON."""
    traces = [weather(place) for place in range(RUNS)]
    export = tmp_path / "export.jsonl"
    writer = {"own": _own, "langsmith": _langsmith, "opentelemetry": _opentelemetry}[format]
    export.write_text("\n".join(json.dumps(document) for trace in traces for document in writer(trace)))
    document = json.loads(_invoke(export, "--tools", _tools(tmp_path), "--json", "--format", format).stdout)
    assert document["runs"] == RUNS
    assert document["hits"] == document["right"] == backtest(traces, TOOLS).hits
    assert document["saved_tokens"] == document["hits"] * TOKENS
    assert document["unread"] == []


def test_the_command_tells_kinds_sums_and_the_wrong_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person reads: what would have been served, how much saved, each wrong run, what was not read."""
    monkeypatch.setenv("COLUMNS", "200")
    runs = [*(weather(place) for place in range(LAST)), weather(LAST, told=28)]
    export = _export(tmp_path, runs)
    export.write_text(export.read_text() + "\n{")
    told = _invoke(export, "--tools", _tools(tmp_path)).stdout
    report = backtest(runs, TOOLS)
    assert "Would have been served" in told
    assert "Weather in Berlin?" in told
    assert f"{report.saved_tokens} of {RUNS * TOKENS} tokens saved" in told
    assert "Turin: 28 degrees." in told
    assert "Turin: 20 degrees." in told
    assert "Not read" in told


def test_without_tools_it_says_that_they_were_inferred(tmp_path: Path) -> None:
    """Inferred tools are all taken to write, and the command says what to pass."""
    told = _invoke(_export(tmp_path, [weather(place) for place in range(4)])).stdout
    assert "--tools FILE" in told


def test_runs_with_undeclared_tools_are_told_and_not_replayed(tmp_path: Path) -> None:
    """A tool that is not declared keeps its runs out, by name."""
    step = ToolStep(tool="fly", arguments={}, result=1)
    export = _export(tmp_path, [_run("Fly", [step], "Done.", 0), weather(1)])
    document = json.loads(_invoke(export, "--tools", _tools(tmp_path), "--json").stdout)
    assert document["runs"] == 1
    assert "fly" in document["unread"][0]["reason"]


def test_nothing_to_replay_is_an_error_with_the_next_step(tmp_path: Path) -> None:
    """An export without a run ends with exit code 1 and says where to look."""
    empty = tmp_path / "empty.jsonl"
    empty.write_text("{}")
    result = CliRunner().invoke(app, ["backtest", str(empty)])
    assert result.exit_code == 1
    assert "docs/harvest.md" in result.stdout


def test_the_plot_is_drawn(tmp_path: Path) -> None:
    """`--plot` writes the file that it names, with runs that are right and wrong."""
    runs = [*(weather(place) for place in range(LAST)), weather(LAST, told=28)]
    plot = tmp_path / "out" / "backtest.svg"
    assert f"Plot: {plot}" in _invoke(_export(tmp_path, runs), "--tools", _tools(tmp_path), "--plot", plot).stdout
    assert plot.read_text().startswith("<?xml")


def test_the_plot_names_the_extra_that_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without matplotlib the error says what to install, before anything is read."""
    real = importlib.import_module

    def missing(name: str, package: str | None = None) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", missing)
    result = CliRunner().invoke(app, ["backtest", str(_export(tmp_path, [weather(0)])), "--plot", "x.svg"])
    assert result.exit_code == 1
    assert "seglam-agents[plot]" in result.stderr


def _run(text: str, steps: Sequence[ToolStep], answer: str, place: int) -> Trace:
    thinking = ModelStep(usage=Usage(input_tokens=20, output_tokens=5, calls=1))
    telling = ModelStep(text=answer, usage=Usage(input_tokens=15, output_tokens=5, calls=1))
    return Trace(
        request=Request(text=text),
        steps=(thinking, *steps, telling),
        answer=answer,
        recorded_at=START + timedelta(hours=place),
    )


def _moment(trace: Trace) -> datetime:
    assert trace.recorded_at
    return trace.recorded_at


def _invoke(*arguments: object) -> Any:
    result = CliRunner().invoke(app, ["backtest", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result


def _export(folder: Path, traces: Sequence[Trace]) -> Path:
    path = folder / "export.jsonl"
    path.write_text("\n".join(trace.model_dump_json() for trace in traces))
    return path


def _tools(folder: Path) -> Path:
    path = folder / "tools.json"
    path.write_text(json.dumps([tool.model_dump(mode="json") for tool in TOOLS]))
    return path


def _own(trace: Trace) -> list[dict[str, Any]]:
    return [trace.model_dump(mode="json")]


def _langsmith(trace: Trace) -> list[dict[str, Any]]:
    """The run of a graph with a model call, a tool call and a model call."""
    (step,), start = trace.calls, _moment(trace)
    root = f"r{start:%H}"

    def run(key: str, kind: str, second: int, **fields: Any) -> dict[str, Any]:
        moment = start + timedelta(seconds=second)
        dotted = f"{start:%Y%m%dT%H%M%S}000000Z{root}"
        mine = dotted if key == root else f"{dotted}.{moment:%Y%m%dT%H%M%S}000000Z{key}"
        stamp = moment.isoformat(timespec="microseconds")
        return {
            "id": key, "trace_id": root, "parent_run_id": None if key == root else root, "dotted_order": mine,
            "run_type": kind, "name": kind, "error": None, "status": "success", "extra": {}, "start_time": stamp,
            "end_time": stamp, **fields,
        }  # fmt: skip

    def model(key: str, second: int, text: str, usage: Usage) -> dict[str, Any]:
        message = {"type": "ai", "content": text}
        message["usage_metadata"] = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}  # type: ignore[assignment]
        return run(key, "llm", second, outputs={"generations": [[{"text": text, "message": message}]]})

    usages = [item.usage for item in trace.steps if isinstance(item, ModelStep)]
    human, final = {"type": "human", "content": trace.request.text}, {"type": "ai", "content": trace.answer}
    tool = {"name": step.tool, "inputs": step.arguments}
    said = {"type": "tool", "content": json.dumps(step.result), "tool_call_id": "c", "status": "success"}
    return [
        run(root, "chain", 0, inputs={"messages": [human]}, outputs={"messages": [human, final]}),
        model(f"{root}a", 1, "", usages[0]),
        run(f"{root}b", "tool", 2, outputs={"output": said}, **tool),
        model(f"{root}c", 3, str(trace.answer), usages[1]),
    ]


def _opentelemetry(trace: Trace) -> list[dict[str, Any]]:
    """The spans of an agent as the console exporter of the Python SDK prints them."""
    (step,), start = trace.calls, _moment(trace)
    key = f"{start:%H}"

    def span(name: str, parent: str | None, second: int, **attributes: Any) -> dict[str, Any]:
        moment = (start + timedelta(seconds=second)).isoformat(timespec="microseconds") + "Z"
        return {
            "name": name,
            "context": {"trace_id": f"0x5b{key}", "span_id": f"0x{key}{name}"},
            "parent_id": parent and f"0x{key}{parent}",
            "start_time": moment,
            "end_time": moment,
            "status": {"status_code": "UNSET"},
            "attributes": {f"gen_ai.{name.replace('__', '.')}": value for name, value in attributes.items()},
            "events": [],
        }

    def message(role: str, text: object) -> str:
        return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])

    usages = [item.usage for item in trace.steps if isinstance(item, ModelStep)]

    def chat(name: str, second: int, usage: Usage, **attributes: Any) -> dict[str, Any]:
        spent = {"usage__input_tokens": usage.input_tokens, "usage__output_tokens": usage.output_tokens}
        return span(name, "agent", second, operation__name="chat", **spent, **attributes)

    asked, told = message("user", trace.request.text), message("assistant", trace.answer)
    called = {"tool__name": step.tool, "tool__call__arguments": json.dumps(step.arguments)}
    return [
        span("agent", None, 0, operation__name="invoke_agent", input__messages=asked, output__messages=told),
        chat("chat1", 1, usages[0], input__messages=asked),
        span("tool1", "agent", 2, operation__name="execute_tool", tool__call__result=json.dumps(step.result), **called),
        chat("chat2", 3, usages[1], output__messages=told),
    ]
