"""What the documents show is true: their code runs, prints what it says, and their links lead somewhere."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from pathlib import Path

import pytest

from seglam_agents.guards.slots import slot_types

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
EXAMPLES = sorted(ROOT.glob("examples/*.py"))
RUN = re.compile(r"^<!-- run -->\n+```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^\s*print\(.*\)  # (.*)$", re.MULTILINE)
CONTRACT = "seglam_agents/testing/sandbox_contract.py"
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\((?!https?:|#)([^)#\s]+)[^)]*\)")


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if RUN.search(path.read_text())], ids=lambda p: p.name)
def test_code_blocks_run_and_print_what_their_comments_say(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = RUN.findall(path.read_text())
    namespace: dict[str, object] = {"__name__": path.stem}
    for block in blocks:
        exec(compile(block, str(path), "exec"), namespace)
    assert capsys.readouterr().out.splitlines() == [said for block in blocks for said in PRINTED.findall(block)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_examples_run_without_a_key(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path)])
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out


def test_the_first_example_shows_hits_after_the_calls_of_the_first_request(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "examples" / "01_first_hit.py"), run_name="__main__")
    out = capsys.readouterr().out
    assert out.count("  hit: ") == 2
    assert "Model calls: 2 for 5 requests." in out


@pytest.mark.parametrize(
    ("name", "row"), [("02_office_agent", r"6 .*?(\d+) .*?(\d+) "), ("03_plan_and_execute", r"7 boxes of .*?(\d+)()")]
)
def test_the_agents_of_the_examples_stop_asking_their_model(
    name: str, row: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name])
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    out = capsys.readouterr().out
    last = re.search(rf"│ (?:Ship )?{row}", out)
    assert last and set(last.groups()) <= {"0", ""}
    assert "scripted" in out


def test_the_readme_has_code_that_runs() -> None:
    assert RUN.search((ROOT / "README.md").read_text())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_to_files(path: Path) -> None:
    missing = [link for link in LINK.findall(path.read_text()) if not (path.parent / link).exists()]
    assert not missing


def test_every_slot_type_is_documented_as_it_describes_itself() -> None:
    text = (ROOT / "docs" / "templates.md").read_text()
    rows = [f"| `{escaped(name)}` | {escaped(description)} |" for name, description in slot_types().items()]
    assert [row for row in rows if row not in text] == []


def test_the_layers_are_listed_as_they_are_enforced() -> None:
    contract = (ROOT / ".importlinter").read_text().split("layers =\n")[1].split("\n\n")[0]
    enforced = [re.findall(r"\w+", row) for row in contract.splitlines()]
    table = (ROOT / "CONTRIBUTING.md").read_text().split("| layer | owns |\n|---|---|\n")[1].split("\n\n")[0]
    listed = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in table.splitlines()]
    assert listed == enforced


def escaped(cell: str) -> str:
    """Return a text as a table cell of Markdown holds it."""
    return cell.replace("|", r"\|")


NAMED = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED.findall((ROOT / "docs" / "security.md").read_text()))))
def test_every_test_that_is_named_exists(path: str, name: str) -> None:
    nodes = [node for file in (path, CONTRACT) for node in ast.parse((ROOT / file).read_text()).body]
    *owner, test = name.split("::")
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    if not owner:
        assert any(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == test for node in nodes)
        return
    found = next(node for node in classes if node.name == owner[0])
    bases = {base.id for base in found.bases if isinstance(base, ast.Name)}
    parts = [part for node in classes if node is found or node.name in bases for part in node.body]
    assert any(isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)) and part.name == test for part in parts)


@pytest.mark.parametrize("path", [*DOCUMENTS, *sorted(ROOT.glob("integrations/*/README.md"))], ids=str)
def test_a_shell_takes_the_lines_as_they_are(path: Path) -> None:
    """Within double quotes "$84.50" becomes "4.50"."""
    lines = [line for line in path.read_text().splitlines() if line.startswith(("seglam ", "python -m "))]
    assert not [line for line in lines if re.search(r'"[^"]*\$[^"]*"', re.sub("'[^']*'", "", line))]
