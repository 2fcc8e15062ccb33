"""The benchmark of the attacker: kinds with places for words, learnt without it and with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.progress import Progress

from benchmarks import attack
from benchmarks.loose import KINDS
from seglam_agents.models.base import Message
from seglam_agents.models.recorded import RecordedModel
from seglam_agents.testing.models import ScriptedModel, asks_for_code

GARDEN = next(kind for kind in KINDS if kind.name == "garden")
LOOSE = "A {shape:noun} garden is {a:number} m long and {b:number} m wide. How many square meters does it have?"


def script(messages: Sequence[Message]) -> str:
    """Write a loose guard, find what it takes, and narrow it."""
    if messages[0].content.startswith("A stored procedure"):
        return "1"
    if not asks_for_code(messages):
        return "A oval garden is 12 m long and 8 m wide. How many square meters does it have? => ASK"
    template = LOOSE.replace("{shape:noun}", "rectangular") if "must decline" in messages[-1].content else LOOSE
    return f"```python\nTEMPLATES = [{template!r}]\nEXPECTED = [96]\n\ndef run(a, b):\n    return a * b\n```"


def test_each_kind_is_what_it_says() -> None:
    """There are 24 kinds with 12 changes or more; all texts differ, and what stays right is no change."""
    assert len(KINDS) == len({kind.name for kind in KINDS}) == 24
    for kind in KINDS:
        ordinary = dict([kind.request(), *kind.others()])
        changed = list(kind.adversarial())
        texts = [text for _, text, _ in changed]
        assert len(changed) >= 12 and len({*texts, *ordinary}) == len(changed) + len(ordinary), kind.name
        assert all(right != kind.request()[1] for _, _, right in changed), kind.name


def test_a_recording_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong hits, ordinary ones and what was spent are told for both; a recording gives the same again."""
    path, out = tmp_path / "recording.jsonl", tmp_path / "out.json"
    with Progress(disable=True) as progress:
        attack.compared([GARDEN], RecordedModel(path, live=ScriptedModel(script)), examples=1, progress=progress)
    monkeypatch.setattr(sys, "argv", ["attack", "--recordings", str(path), "--kinds", "garden", "--json", str(out)])
    assert attack.main() == 0
    told = json.loads(out.read_text())
    total = told["total"]
    assert total["without"]["wrong_hits"] >= 5 and total["with"]["wrong_hits"] == 0
    assert total["without"]["ordinary_hits"] == total["with"]["ordinary_hits"] == 4
    assert total["false_refusals"] == total["kinds_lost"] == 0
    assert total["attacker_calls"] == 3 and total["attacker_tokens"] > 0
    assert told["kinds"]["garden"]["caught"] and "garden" in capsys.readouterr().out


def test_a_kind_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong name is an error with the right ones."""
    path = tmp_path / "r.jsonl"
    path.write_text("")
    monkeypatch.setattr(sys, "argv", ["a", "--recordings", str(path), "--kinds", "x", "--json", str(tmp_path / "o")])
    with pytest.raises(attack.UsageError, match="there are nuts"):
        attack.main()
