"""The demo with a scripted model, and with the recording where it is there."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from seglam_agents.cli import demo as command
from seglam_agents.cli.main import app
from seglam_agents.demo.models import RECORDING, header, recorded_model
from seglam_agents.demo.record import run_recording
from seglam_agents.demo.report import Report, Step
from seglam_agents.demo.run import play
from seglam_agents.demo.screen import Screen
from seglam_agents.demo.stream import agrees, near_misses, stream
from seglam_agents.models.base import Completion, Message
from seglam_agents.models.recorded import Recording
from seglam_agents.records.record import Json
from seglam_agents.records.usage import Usage

SORTING = """```python
NAME = "sort_names"
DESCRIPTION = "Sorts names."
TEMPLATES = ["%s: {names:list(person)}"]
EXPECTED = [%s]

def run(names):
    return ", ".join(sorted(names))
```"""
LIMIT = 12


class Scripted:
    """A model that knows the right answers and writes no procedure, or one that sorts names."""

    name = "scripted"

    def complete(self, messages: Sequence[Message]) -> Completion:
        """Reply to a compile prompt, or answer."""
        asked = "\n".join(message.content for message in messages)
        task = next((task for task in stream() if task.request in asked), None)
        if task is None:
            text = "NOT_CRYSTALLIZABLE: unknown request"
        elif messages[0].content.startswith("Answer the request"):
            text = f"ANSWER: {task.answer}"
        elif task.kind == "sort_names":
            text = SORTING % (task.request.partition(":")[0], json.dumps(task.answer))
        else:
            text = f"NOT_CRYSTALLIZABLE: only sorting\nANSWER: {task.answer}"
        return Completion(text, Usage(calls=1, input_tokens=100, output_tokens=10))

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        """Reply as `complete` does."""
        return self.complete(messages)


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Replace the recording by the scripted model, in a folder of its own."""
    monkeypatch.setattr(command, "recorded_model", Scripted)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def report() -> Report:
    """Run the stream of the demo once."""
    return play(Scripted())


# --- the stream ------------------------------------------------------------------------------------------------------


def test_the_stream_repeats_its_kinds() -> None:
    """There are nine requests of each kind, and two near misses."""
    kinds = {task.kind for task in stream()}
    assert len(kinds) >= 5
    assert {kind: sum(task.kind == kind for task in stream()) for kind in kinds} == dict.fromkeys(kinds, 9)
    assert {kind: sum(task.kind == kind for task in near_misses()) for kind in kinds} == dict.fromkeys(kinds, 2)


def test_a_seed_decides_the_order() -> None:
    """The same seed gives the same order, another one a different order."""
    assert stream(0) == stream(0) != stream(1)
    assert stream(0, 5) == stream(0)[:5]


@pytest.mark.parametrize(
    ("answer", "known", "right"),
    [
        (24.32, 24.32, True),
        ("$24.32", 24.32, True),
        ("Each person pays $24.32.", 24.32, True),
        ("24.32 of 90", 24.32, False),
        (24.3, 24.32, False),
        ({"$money": [24.32, "USD"]}, 24.32, True),
        ({"$time": "14:45:00"}, "14:45", True),
        ("14:45", "14:45", True),
        (["Ben", "Nora"], "Ben, Nora", True),
        ("nora, ben", "Ben, Nora", False),
        ("Not Basic but Plus", "Basic", False),
        (None, 1, False),
        (None, "Basic", False),
    ],
)
def test_right_answers(answer: Json, known: Json, right: bool) -> None:
    """An answer is right in any spelling, and never by luck."""
    assert agrees(answer, known) is right


# --- the run ---------------------------------------------------------------------------------------------------------


def test_the_model_writes_once(report: Report) -> None:
    """The kind that has a procedure is answered without the model from then on."""
    sorting = [step for step in report.steps if step.kind == "sort_names"]
    assert sorting[0].event == "wrote" and sorting[0].source.startswith("sort_names")
    assert any(step.event == "hit" and step.model_calls == 0 and step.tokens == 0 for step in sorting[1:])
    assert all(step.right for step in sorting if step.event == "hit")


def test_the_sums_add_up(report: Report) -> None:
    """Sums, blocks and steps say the same."""
    sums = report.sums()
    assert sums["requests"] == len(stream()) and sums["hits"] == sum(step.event == "hit" for step in report.steps)
    assert sums["model_calls"] == sum(block.model_calls for block in report.blocks())
    assert sums["tokens"] == sum(step.tokens for step in report.steps)
    assert [(block.first, block.last) for block in report.blocks()][-1][1] == len(stream())


def test_near_misses_ask_no_model(report: Report) -> None:
    """All near misses are looked up, and those that sort otherwise are not answered wrong."""
    assert len(report.near_misses) == len(near_misses())
    assert report.sums()["near_misses_hit_wrong"] == 0


def test_an_answer_is_traced(report: Report) -> None:
    """One hit is kept with its procedure."""
    assert report.traced is not None
    assert report.traced.hit.citation.key == report.traced.procedure.key


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_demo_as_lines() -> None:
    """Without a terminal the demo prints plain lines, then sums, a trace and the chart."""
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Answers of scripted, asked now.")
    for part in (
        "model wrote sort_names",
        f"{len(stream())} of {len(stream())}",
        "Summary",
        "traced",
        "sorted(names)",
        "Costs fall",
        "41-",
    ):
        assert part in result.stdout


def test_the_demo_as_json(tmp_path: Path) -> None:
    """With --json the demo prints one document."""
    result = CliRunner().invoke(app, ["demo", "--json", "--limit", str(LIMIT), "--plot", str(tmp_path / "a.svg")])
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    assert document["model"] == "scripted" and document["summary"]["requests"] == len(document["steps"]) == LIMIT
    assert document["plot"] == str(tmp_path / "a.svg")


def test_the_demo_keeps_a_store(tmp_path: Path) -> None:
    """With --store the procedures stay."""
    store = tmp_path / "kept"
    assert CliRunner().invoke(app, ["demo", "--store", str(store)]).exit_code == 0
    assert "sort_names" in CliRunner().invoke(app, ["ls", "--store", str(store)]).stdout


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_the_plot(tmp_path: Path, ending: str) -> None:
    """--plot draws a file."""
    pytest.importorskip("matplotlib")
    path = tmp_path / "deep" / f"plot.{ending}"
    result = CliRunner().invoke(app, ["demo", "--limit", str(LIMIT), "--plot", str(path)])
    assert result.exit_code == 0, result.output
    assert path.stat().st_size > 1000


def test_the_plot_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without matplotlib --plot names the extra before anything runs."""

    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    result = CliRunner().invoke(app, ["demo", "--plot", "x.svg"])
    assert result.exit_code == 1 and "seglam-agents[plot]" in result.stderr and result.stdout == ""


def test_the_plot_of_another_kind() -> None:
    """A file that cannot be drawn is refused before anything runs."""
    result = CliRunner().invoke(app, ["demo", "--plot", "x.txt"])
    assert result.exit_code == 1 and ".svg and .png" in result.stderr


def test_a_live_table() -> None:
    """On a terminal the last steps and the sums are shown."""
    console = Console(force_terminal=True, width=120, height=20, record=True)
    with Screen(console, 1) as screen:
        screen.show(
            Step(
                number=1,
                request="Why?",
                kind="k",
                known=1,
                answer=1,
                right=True,
                event="hit",
                source="a@1",
                seconds=0.001,
            )
        )
    text = console.export_text()
    assert "0 model calls, 1.0 ms, from a@1" in text and "1 of 1: 1 hits" in text


# --- the recording ---------------------------------------------------------------------------------------------------


def test_a_recording_replays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was recorded from a live model is replayed, labelled as such."""
    path = tmp_path / "recording.jsonl"
    run_recording(Scripted(), path, limit=LIMIT)
    assert len(Recording(path)) > 0
    monkeypatch.setattr(command, "recorded_model", recorded_model)
    monkeypatch.setattr("seglam_agents.demo.models.RECORDING", path)
    result = CliRunner().invoke(app, ["demo", "--limit", str(LIMIT)])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Recorded answers of scripted, replayed; --model runs it live.")


def test_an_unknown_request_is_loud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is not recorded ends the demo with the error."""
    path = tmp_path / "recording.jsonl"
    path.write_text("")
    monkeypatch.setattr(command, "recorded_model", recorded_model)
    monkeypatch.setattr("seglam_agents.demo.models.RECORDING", path)
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 1 and "NOT RECORDED" in result.stderr


@pytest.mark.skipif(not RECORDING.exists(), reason="the demo has no recording yet")
def test_the_recorded_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorded demo runs to its end, and no near miss is answered wrong."""
    monkeypatch.setattr(command, "recorded_model", recorded_model)
    result = CliRunner().invoke(app, ["demo", "--json"])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)["summary"]
    assert summary["requests"] == len(stream()) and summary["hits"] > 0
    assert summary["wrong_hits"] == 0 and summary["near_misses_hit_wrong"] == 0


def test_the_header_names_a_live_model() -> None:
    """A live model is not called recorded."""
    assert header(Scripted()) == "Answers of scripted, asked now."
