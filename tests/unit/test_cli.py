"""The command line over a small store, as tables and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from typer.testing import CliRunner

from seglam_agents.cli import opening, reference
from seglam_agents.cli.main import app
from seglam_agents.models.base import Completion, Message
from seglam_agents.records.entry import AdmissionReport, Check, Entry, Statistics
from seglam_agents.records.procedure import Example, GuardSource, Parameter, Procedure, Provenance, ToolUse
from seglam_agents.records.request import Request, Scope
from seglam_agents.records.trace import Trace
from seglam_agents.records.usage import Usage
from seglam_agents.sandboxes.process import Unavailable, second_sandbox
from seglam_agents.stores.base import note_agent
from seglam_agents.stores.edge import EdgeStore

ASKED = "Split a bill of $30 among 4 people"
OTHER = "What is the capital of France?"
ID = "split_bill-1a2b3c4d"
BODY = "def run(total, n):\n    return round(total.amount / n, 2)\n"

Run: TypeAlias = Callable[..., Any]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give tables room, and every test a folder of its own."""
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    """Write a store with two versions of one procedure."""
    path = tmp_path / "store"
    opened = EdgeStore(path)
    first = opened.put(entry(version=1), expected_revision=0)
    opened.put(entry(version=2), expected_revision=first.revision)
    opened.close()
    yield path


@pytest.fixture
def run(store: Path) -> Run:
    """Run a command on the store."""
    return lambda *arguments: CliRunner().invoke(app, [*arguments, "--store", str(store)])


@pytest.fixture
def document(run: Run) -> Run:
    """Run a command with --json and return its document."""

    def parsed(*arguments: str) -> Any:
        result = run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return parsed


@pytest.fixture
def sandboxes(store: Path) -> None:
    """Put a procedure into the store that is for the sandbox `process`."""
    probe = second_sandbox()
    if isinstance(probe, Unavailable):
        pytest.skip(probe.reason)
    probe.close()
    mean = entry().procedure.model_copy(
        update={
            "id": "0" * 16,
            "name": "mean",
            "guard": GuardSource(templates=("mean of {a:number} and {b:number}",)),
            "body": "import statistics\ndef run(a, b):\n    return statistics.mean([int(a), int(b)])\n",
            "parameters": (Parameter(name="a", slot="number"), Parameter(name="b", slot="number")),
            "examples": (Example(text="mean of 2 and 4", answer=3),),
            "sandbox": "process",
        }
    )
    opened = EdgeStore(store)
    opened.put(entry().model_copy(update={"procedure": mean}), expected_revision=0)
    opened.close()


def entry(version: int = 1) -> Entry:
    """A hand-written procedure, admitted with 30 clean replays."""
    return Entry(
        procedure=Procedure(
            id=ID,
            version=version,
            name="split_bill",
            description="Splits a bill evenly.",
            guard=GuardSource(
                templates=("(split|divide) [a] bill of {total:money} among {n:count} people",), where="n > 0"
            ),
            body=BODY,
            parameters=(Parameter(name="total", slot="money"), Parameter(name="n", slot="count")),
            examples=(Example(text=ASKED, answer=7.5),),
            counterexamples=(Example(text="Split a bill of $30", origin="mutation"),),
            provenance=Provenance(compiler="hand", model="nobody", created_at=datetime(2026, 1, 2, tzinfo=UTC)),
        ),
        status="active",
        report=AdmissionReport(
            checks=(
                Check(name="replay", verdict="passed", evidence="all the same", cases=30),
                Check(name="second sandbox", verdict="skipped", evidence="this machine has none"),
            )
        ),
        statistics=Statistics(hits=12, saved_tokens=3400),
    )


class Parrot:
    """A model that answers everything with one text."""

    name = "parrot"

    def complete(self, messages: Sequence[Message]) -> Completion:
        """Say the same as always."""
        return Completion("NOT_CRYSTALLIZABLE: world knowledge\nANSWER: Paris", Usage(calls=1, input_tokens=5))

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        """Say the same as always."""
        return self.complete(messages)


# --- looking ---------------------------------------------------------------------------------------------------------


def test_ls_lists_current_versions(run: Run) -> None:
    """`ls` shows one line for each procedure, with its error bound."""
    result = run("ls")
    assert result.exit_code == 0
    assert f"{ID}@2" in result.stdout and f"{ID}@1" not in result.stdout
    assert "at most 10.0% wrong" in result.stdout


def test_ls_as_json(document: Run) -> None:
    """`ls --json` is one document with templates and statistics."""
    (line,) = document("ls")["procedures"]
    assert (line["id"], line["version"], line["statistics"]["hits"]) == (ID, 2, 12)
    assert line["error_bound"] == pytest.approx(0.1)


def test_ls_of_an_empty_tenant(run: Run) -> None:
    """A tenant sees nothing of another one, and is told what to do first."""
    result = run("ls", "--tenant", "other")
    assert "No procedures yet" in result.stdout and ID not in result.stdout


@pytest.mark.parametrize(
    "part",
    [
        "(split|divide) [a] bill of {total:money} among {n:count} people",
        "where n > 0",
        "round(total.amount / n, 2)",
        "all the same",
        "this machine has none",
        "compiler  hand",
        f"{ASKED} -> 7.5",
        "Split a bill of $30 (mutation)",
        "12 hits",
        "3,400 tokens saved",
        "30 clean replays",
    ],
)
def test_show_shows(run: Run, part: str) -> None:
    """`show` prints every part of a procedure, brackets of templates included."""
    assert part in run("show", ID).stdout


def test_show_as_json(document: Run) -> None:
    """`show --json` has the procedure, its report and its hash."""
    shown = document("show", ID)
    assert shown["procedure"]["body"] == BODY
    assert [check["name"] for check in shown["report"]["checks"]] == ["replay", "second sandbox"]
    assert shown["content_hash"] == entry(2).procedure.content_hash


@pytest.mark.parametrize(("identity", "version"), [(f"{ID}@1", 1), (f"{ID}@2", 2), ("split_bill", 2), ("split@1", 1)])
def test_show_finds_versions_and_short_ids(document: Run, identity: str, version: int) -> None:
    """An id may be cut short where it stays unique, and may name a version."""
    assert document("show", identity)["procedure"]["version"] == version


@pytest.mark.parametrize(
    ("identity", "told"),
    [
        ("splt_bil-1a2b", f"Did you mean {ID}?"),
        ("zzz", "`seglam ls` lists all"),
        (f"{ID}@7", "has no version 7; it has 1, 2"),
        (f"{ID}@x", "a version is a number"),
    ],
)
def test_show_says_what_is_wrong(run: Run, identity: str, told: str) -> None:
    """An unknown id is one line on stderr with the next step, and exit code 1."""
    result = run("show", identity)
    assert result.exit_code == 1
    assert result.stdout == "" and told in result.stderr and result.stderr.count("\n") == 1


def test_errors_as_json(run: Run) -> None:
    """With --json an error is a document too."""
    result = run("show", "splt_bill", "--json")
    assert result.exit_code == 1
    assert ID in json.loads(result.stdout)["error"] and result.stderr == ""


def test_stats(run: Run) -> None:
    """`stats` sums up what is stored."""
    result = run("stats")
    assert "1 procedures (1 active)" in result.stdout
    assert "12 hits, 0 give-ups, 0 conflicts, 3,400 tokens saved" in result.stdout


def test_stats_as_json(document: Run) -> None:
    """`stats --json` has the same sums."""
    expected = {"procedures": 1, "status": {"active": 1}, "hits": 12, "deopts": 0, "conflicts": 0, "saved_tokens": 3400}
    assert document("stats") == expected


@pytest.mark.parametrize("command", [["ls"], ["stats"], ["show", "x"], ["why", "x"]])
def test_looking_creates_no_store(tmp_path: Path, command: list[str]) -> None:
    """A command that only looks says that there is no store, and leaves none behind."""
    result = CliRunner().invoke(app, [*command, "--store", str(tmp_path / "none")])
    assert result.exit_code == 1 and "there is no store" in result.stderr
    assert not (tmp_path / "none").exists()


def test_store_from_the_environment(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SEGLAM_STORE names the store."""
    monkeypatch.setenv("SEGLAM_STORE", str(store))
    assert ID in CliRunner().invoke(app, ["ls"]).stdout


def test_a_store_that_is_open_elsewhere(run: Run, store: Path) -> None:
    """A store that an agent has open, and writes to, is listed as it is."""
    opened = EdgeStore(store)
    try:
        new = entry()
        new = new.model_copy(update={"procedure": new.procedure.model_copy(update={"id": "just_now"})})
        opened.put(new, expected_revision=0, vector=[1.0, 0.0])
        result = run("ls")
    finally:
        opened.close()
    assert result.exit_code == 0 and ID in result.stdout and "just_now" in result.stdout


# --- asking ----------------------------------------------------------------------------------------------------------


def test_ask_answers_from_the_store(run: Run) -> None:
    """A known request is answered without a model, with its citation."""
    result = run("ask", ASKED)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("7.5\n")
    assert "0 model calls" in result.stdout and f"{ID}@2" in result.stdout


def test_ask_as_json(document: Run) -> None:
    """`ask --json` says which outcome it is."""
    outcome = document("ask", ASKED, "--no-model")
    assert (outcome["outcome"], outcome["answer"]) == ("hit", 7.5)
    assert outcome["citation"]["procedure_id"] == ID


def test_ask_counts_hits(run: Run, document: Run) -> None:
    """A hit is in the stored statistics afterwards."""
    run("ask", ASKED)
    assert document("stats")["hits"] == 13


def test_ask_without_a_model_says_so(run: Run) -> None:
    """A miss without a model says how to get an answer."""
    result = run("ask", OTHER)
    assert result.exit_code == 0
    assert "No answer." in result.stdout and "pass --model" in result.stdout


def test_ask_with_a_model(document: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A miss goes to the model that was named."""
    monkeypatch.setattr(opening, "open_model", lambda name, api_key: Parrot())
    outcome = document("ask", OTHER, "--model", "http://localhost:1/v1")
    assert (outcome["outcome"], outcome["answer"], outcome["answered_by"]) == ("miss", "Paris", "model")


def test_no_model_beats_model(document: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """--no-model asks no model, even where the environment names one."""
    monkeypatch.setenv("SEGLAM_MODEL", "http://localhost:1/v1")
    assert document("ask", OTHER, "--no-model")["answer"] is None


@pytest.mark.parametrize(("name", "key"), [("openai:gpt-x", "sk-1"), ("http://h/v1#m", "sk-1"), ("other:m", None)])
def test_the_key_goes_where_it_belongs(monkeypatch: pytest.MonkeyPatch, name: str, key: str | None) -> None:
    """OPENAI_API_KEY goes to OpenAI-compatible servers and to no other provider."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    seen: list[str | None] = []
    monkeypatch.setattr(opening, "open_model", lambda name, api_key: seen.append(api_key) or Parrot())
    opening.named_model(name)
    assert seen == [key]


def test_an_unknown_model_is_one_line(run: Run) -> None:
    """A model that cannot be opened is an error with the forms that can."""
    result = run("ask", OTHER, "--model", "nonsense")
    assert result.exit_code == 1 and "names no chat model" in result.stderr


@pytest.mark.parametrize("context", ["{", "[1]"])
def test_a_bad_context_is_one_line(run: Run, context: str) -> None:
    """A context that is no JSON object is an error."""
    result = run("ask", ASKED, "--context", context)
    assert result.exit_code == 1 and "--context" in result.stderr


def test_a_context_reaches_the_guard(document: Run) -> None:
    """A context that the guard does not expect makes it decline."""
    assert document("ask", ASKED, "--context", '{"currency": "EUR"}')["outcome"] == "miss"


def test_ask_in_another_sandbox(document: Run, sandboxes: None) -> None:
    """A body for `process` is a miss in Monty, which says what to name, and a hit where it is named."""
    missed = document("ask", "mean of 10 and 20")
    assert missed["kind"] == "sandbox" and "'process'" in missed["reason"], missed
    for names in ("process", "monty,process", " Monty, PROCESS "):
        assert document("ask", "mean of 10 and 20", "--sandbox", names)["answer"] == 15
    for names, stopped in (("monty", True), ("monty,process", False)):
        stops = document("why", "mean of 10 and 20", "--sandbox", names)["stops"]
        assert ("sandbox" in [stop["stage"] for stop in stops]) is stopped


def test_the_sandbox_from_the_environment(document: Run, sandboxes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be set once."""
    monkeypatch.setenv("SEGLAM_SANDBOX", "process")
    assert document("ask", "mean of 10 and 20")["answer"] == 15


def test_packages_for_bodies(document: Run, run: Run, sandboxes: None) -> None:
    """They are named beside the sandbox; Monty imports none, and says so."""
    assert document("ask", "mean of 10 and 20", "--sandbox", "process", "--packages", "json, idna")["answer"] == 15
    missing = run("ask", "mean of 10 and 20", "--sandbox", "process", "--packages", "no_such_package")
    assert missing.exit_code == 1 and "no_such_package" in missing.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--sandbox", "docker"], "no sandbox 'docker': name monty, process, e2b"),
        (["--sandbox", ""], "no sandbox ''"),
        (["--sandbox", "process,process"], "twice"),
        (["--packages", "numpy"], "such as monty,process"),
    ],
)
@pytest.mark.parametrize("command", ["ask", "why"])
def test_a_sandbox_that_does_not_exist_is_one_line(run: Run, command: str, options: list[str], told: str) -> None:
    """Whatever is wrong with the name is said before anything is opened."""
    result = run(command, ASKED, *options)
    assert result.exit_code == 1
    assert told in result.stderr and result.stderr.count("\n") == 1


def test_why_shows_arguments(run: Run) -> None:
    """`why` shows what an accepting guard binds."""
    result = run("why", ASKED)
    assert "accepts" in result.stdout and f"{ID}@2" in result.stdout and "n=4" in result.stdout


def test_why_shows_stops(run: Run) -> None:
    """`why` shows at which stage a guard stopped."""
    result = run("why", "Split a bill of $30 among 4 very hungry people")
    assert f"{ID}@2" in result.stdout and "template" in result.stdout


def test_why_as_json(document: Run) -> None:
    """`why --json` has the same as a document."""
    explanation = document("why", ASKED)
    assert explanation["accepted"] == [f"{ID}@2"] and explanation["arguments"][f"{ID}@2"]["n"] == 4


def test_why_sees_what_agents_learnt(store: Path, run: Run, document: Run) -> None:
    """Procedures of agents with tools are asked as well, each as it was when it was learnt."""
    greet = entry().procedure.model_copy(
        update={
            "id": "1" * 16,
            "scope": Scope(agent="support"),
            "guard": GuardSource(templates=("refund order {id:id}",)),
            "body": "def run(id):\n    return refund(order=id)\n",
            "parameters": (Parameter(name="id", slot="id"),),
            "tools": (ToolUse(name="refund", effect="write"),),
            "examples": (Example(text="refund order A-17", answer="ok"),),
        }
    )
    shadowed = greet.model_copy(update={"id": "2" * 16, "scope": Scope(agent="desk")})
    opened = EdgeStore(store)
    opened.put(entry().model_copy(update={"procedure": greet}), expected_revision=0)
    opened.put(entry().model_copy(update={"procedure": shadowed, "status": "shadow"}), expected_revision=0)
    for procedure in (greet, shadowed):
        note_agent(opened, procedure.scope)
    opened.close()
    told = run("why", "Refund order A-18").stdout
    assert "accepted for the agent support" in told and "id=A-18" in told and "would accept, but is shadow" in told
    explanation = document("why", "Refund order A-18 to Bob")
    assert explanation["accepted"] == []
    assert {f"{'1' * 16}@1": "support", f"{'2' * 16}@1": "desk"} == explanation["agents"]


# --- reference -------------------------------------------------------------------------------------------------------


def test_the_reference_is_current() -> None:
    """docs/cli.md is what the help texts say: `python -m seglam_agents.cli.reference` writes it."""
    assert reference.PAGE.read_text(encoding="utf-8") == reference.reference()


def test_every_command_and_option_has_a_help_text() -> None:
    """The reference has no gaps."""
    assert "None" not in reference.reference()


class TestTerminals:
    """What a body says reaches a terminal as text that can be seen, never as an order."""

    @pytest.mark.parametrize("way", ["return", "deopt", "raise ValueError"])
    def test_nothing_steers_the_terminal(self, tmp_path: Path, way: str) -> None:
        """Escapes clear screens and write clipboards; marks of direction turn a line around."""
        said = "'\\x1b[2J\\x1b]52;c;ZXZpbA==\\x07 \\u202e\\x9b31m ok'"
        body = f"def run(total, n):\n    {way}({said})\n"
        path = tmp_path / "hostile"
        opened = EdgeStore(path)
        hostile = entry()
        opened.put(
            hostile.model_copy(update={"procedure": hostile.procedure.model_copy(update={"body": body})}),
            expected_revision=0,
        )
        opened.close()
        for more in ([], ["--json"]):
            result = CliRunner().invoke(app, ["ask", ASKED, *more, "--store", str(path)])
            assert "ok" in result.output
            assert not set(result.output) & set("\x1b\x07\x9b\u202e")


# --- what goes wrong -------------------------------------------------------------------------------------------------

AWAY = "http://localhost:1"


@pytest.mark.parametrize(
    "command",
    [["ask", "hi"], ["ask", "hi", "--no-model"], ["learn", "runs.jsonl"], ["why", "hi"], ["show", "x"], ["ls"]],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_store_that_cannot_be_reached_is_one_line(
    command: list[str], as_json: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An error with the next step, and no miss; nothing is logged besides."""
    (tmp_path / "runs.jsonl").write_text(Trace(request=Request(text="hi"), answer="x").model_dump_json())
    result = CliRunner().invoke(app, [*command, "--store", AWAY, *(["--json"] if as_json else [])])
    told = json.loads(result.stdout)["error"] if as_json else result.stderr
    assert result.exit_code == 1 and "Connection refused" in told and told.rstrip("\n").count("\n") == 0
    assert (result.stderr if as_json else result.stdout) == "" and not caplog.records


@pytest.mark.parametrize("command", [["ask", "hi"], ["why", "hi"], ["ls"], ["learn", "runs.jsonl"]])
@pytest.mark.parametrize("store", ["ftp://x", "htp://localhost:6333"])
def test_no_store_of_another_kind(command: list[str], store: str, tmp_path: Path) -> None:
    """A typing error in the scheme is no folder of that name."""
    (tmp_path / "runs.jsonl").write_text(Trace(request=Request(text="hi"), answer="x").model_dump_json())
    result = CliRunner().invoke(app, [*command, "--store", store])
    assert result.exit_code == 1 and "a Qdrant server by http:// or https://" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["runs.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["ask", "-5 plus 3"], "goes behind '--'. See `seglam ask --help`"),
        (["show"], "Missing argument 'ID[@VERSION]'. See `seglam show --help`"),
        (["ls", "--bogus"], "No such option: --bogus"),
        (["asc", "hi"], "No such command 'asc'"),
        (["demo", "--seed", "x"], "Invalid value for '--seed'"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], told: str) -> None:
    """As every other error, and a document with --json."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2 and told in result.stderr and result.stderr.count("\n") == 1
    document = CliRunner().invoke(app, [*arguments, "--json"])
    assert document.exit_code == 2 and json.loads(document.stdout)["error"] and document.stderr == ""


def test_the_hint_for_a_request_with_a_dash_is_right(run: Run) -> None:
    """What goes behind '--' is the request."""
    result = CliRunner().invoke(app, ["ask", "--store", "s", "--", "-5 plus 3"])
    assert result.exit_code == 0 and "miss" in result.stdout


@pytest.mark.parametrize("option", ["--tenant", "--agent"])
@pytest.mark.parametrize("command", [["ls"], ["ask", "hi"], ["why", "hi"], ["stats"], ["show", "x"]])
def test_nobody_is_no_name(run: Run, command: list[str], option: str) -> None:
    """An empty name is told as one."""
    result = run(*command, option, "")
    assert result.exit_code == 1 and f"{option}='' names nobody" in result.stderr


def test_the_version() -> None:
    """`--version` is one line."""
    assert CliRunner().invoke(app, ["--version"]).stdout.startswith("seglam-agents 0.")


def test_an_empty_request_needs_no_model(run: Run) -> None:
    """No next step is told that leads nowhere."""
    assert "--model" not in run("ask", "").stdout


# --- names, agents and ids -------------------------------------------------------------------------------------------


def agents(store: Path, *entries: Entry) -> None:
    """Store procedures of agents."""
    opened = EdgeStore(store)
    for each in entries:
        opened.put(each, expected_revision=0)
        note_agent(opened, each.procedure.scope)
    opened.close()


def of(agent: str, number: str, **changed: Any) -> Entry:
    """Return the procedure of an agent."""
    made = entry().procedure.model_copy(update={"id": number * 16, "scope": Scope(agent=agent), **changed})
    return entry().model_copy(update={"procedure": made})


def test_a_procedure_is_shown_by_its_name(store: Path, document: Run, run: Run) -> None:
    """Where the name is unique; where it is not, all that bear it are listed."""
    assert document("show", "split bill@1")["procedure"]["version"] == 1
    agents(store, of("desk", "3", name="how_many"), of("desk", "4", name="greet"), of("shop", "5", name="greet"))
    assert document("show", "how_many")["procedure"]["id"] == document("show", "How man")["procedure"]["id"] == "3" * 16
    result = run("show", "greet")
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert f"{'4' * 16} (greet of agent desk), {'5' * 16} (greet of agent shop)" in result.stderr
    assert document("show", "greet", "--agent", "shop")["procedure"]["id"] == "5" * 16
    assert [line["name"] for line in document("ls", "--agent", "desk")["procedures"]] == ["greet", "how_many"]
    assert document("stats", "--agent", "shop")["procedures"] == 1


@pytest.mark.parametrize("columns", ["80", None])
def test_ids_are_whole(store: Path, run: Run, monkeypatch: pytest.MonkeyPatch, columns: str | None) -> None:
    """At the width of a terminal and in a pipe, so that they can be copied."""
    agents(store, of("desk", "3"))
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    else:
        monkeypatch.delenv("COLUMNS")
    for command in (["ls"], ["stats"], ["why", f"{ASKED} please"]):
        assert f"{'3' * 16}@1 " in run(*command).stdout


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (
            of("support", "6", tools=(ToolUse(name="refund", effect="write"),)),
            "it calls tools, and `seglam ask` has none",
        ),
        (of("support", "6"), "as that one it is asked with --agent support"),
        (of("support", "6").model_copy(update={"status": "shadow"}), "it would accept, but is shadow"),
    ],
)
def test_ask_and_why_agree(made: Entry, told: str, tmp_path: Path) -> None:
    """A request that an agent's procedure accepts is like a stored one, and the miss says why that does not serve."""
    agents(tmp_path / "agents", made)
    asked = CliRunner().invoke(app, ["ask", ASKED, "--store", "agents"])
    assert asked.exit_code == 0 and told in asked.stdout and f"{'6' * 16}@1" in asked.stdout
    assert "no stored procedure is like" not in asked.stdout
    why = CliRunner().invoke(app, ["why", ASKED, "--store", "agents", "--agent", "support"]).stdout
    assert ("accepted for the agent support" in why) == (made.status == "active")
    assert "6" * 16 not in CliRunner().invoke(app, ["why", ASKED, "--store", "agents", "--agent", "desk"]).stdout


def test_asking_as_an_agent(tmp_path: Path) -> None:
    """What an agent without tools has learnt answers who asks as that agent."""
    agents(tmp_path / "agents", of("support", "6"))
    result = CliRunner().invoke(app, ["ask", ASKED, "--store", "agents", "--agent", "support"])
    assert "hit" in result.stdout and "7.5" in result.stdout
