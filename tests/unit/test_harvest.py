"""Recorded runs in bulk: our own format, LangSmith, OpenTelemetry; inferred tools; and `seglam learn`."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from seglam_agents import ReasoningCache
from seglam_agents.cli import opening
from seglam_agents.cli.main import app
from seglam_agents.harvest.reading import Unread, read_traces
from seglam_agents.harvest.tools import ToolsError, read_tools, tools_of
from seglam_agents.records.outcome import Learned, LearnedKind
from seglam_agents.records.record import Json
from seglam_agents.records.request import MAX_CHARACTERS, Request
from seglam_agents.records.trace import ModelStep, Step, ToolStep, Trace
from seglam_agents.records.usage import Usage
from seglam_agents.stores.edge import EdgeStore

ASKED = "Weather in Berlin and Rome?"
TOLD = "Berlin 18, Rome 24."


# --- what the formats look like --------------------------------------------------------------------------------------


def own(text: str = ASKED, **changes: Any) -> Trace:
    """A trace of our own."""
    step = ToolStep(tool="weather", arguments={"city": "Berlin"}, result={"t": 18})
    return Trace(**{"request": Request(text=text), "steps": (step,), "answer": TOLD, **changes})


def run(key: str, parent: str | None, kind: str, second: int, **fields: Any) -> dict[str, Any]:
    """A LangSmith run."""
    start = f"2026-01-02T03:04:{second:02}.000000"
    return {
        "id": key,
        "parent_run_id": parent,
        "trace_id": "r",
        "dotted_order": f"20260102T0304{second:02}000000Zr.20260102T0304{second:02}000000Z{key}",
        "run_type": kind,
        "name": kind,
        "error": None,
        "start_time": start,
        "end_time": start,
        "extra": {"metadata": {}},
        "status": "success",
        **fields,
    }


def constructed(kind: str, **fields: Any) -> dict[str, Any]:
    """A message as LangChain serialises it."""
    return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", kind], "kwargs": fields}


def said_by_model(text: str, **fields: Any) -> dict[str, Any]:
    """The outputs of a LangChain model run."""
    return {"generations": [[{"text": text, "message": constructed("AIMessage", content=text, **fields)}]]}


def tool_message(content: Any, **fields: Any) -> dict[str, Any]:
    """A tool message as LangSmith shows it."""
    return {"type": "tool", "content": content, "tool_call_id": "c", "status": "success", **fields}


def smith() -> list[dict[str, Any]]:
    """A LangGraph agent: nested chains, two parallel tools, two model calls; newest first, as the API lists them."""
    human, final = {"type": "human", "content": ASKED}, {"type": "ai", "content": TOLD}
    system = {"role": "system", "content": "Be brief."}
    tools = [tool_message('{"t": 18}'), tool_message('{"t": 24}')]
    return [
        run(
            "m2", "n3", "llm", 9, outputs={**said_by_model(TOLD), "llm_output": {"token_usage": {"prompt_tokens": 30}}}
        ),
        run("n3", "r", "chain", 8),
        run("t2", "n2", "tool", 6, name="weather", inputs={"city": "Rome"}, outputs={"output": tools[1]}),
        run(
            "t1", "n2", "tool", 5, name="weather", inputs={"input": "{'city': 'Berlin'}"}, outputs={"output": tools[0]}
        ),
        run("n2", "r", "chain", 4),
        run("m1", "n1", "llm", 2, outputs=said_by_model("", usage_metadata={"input_tokens": 20, "output_tokens": 5})),
        run("n1", "r", "chain", 1),
        run(
            "r",
            None,
            "chain",
            0,
            inputs={"messages": [system, human]},
            outputs={"messages": [system, human, *tools, final]},
        ),
    ]


def smith_with(key: str, **fields: Any) -> list[dict[str, Any]]:
    """The same with one run changed."""
    return [{**item, **fields} if item["id"] == key else item for item in smith()]


def otlp_value(value: Any) -> dict[str, Any]:
    """A value as OTLP-JSON wraps it."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case list():
            return {"arrayValue": {"values": [otlp_value(item) for item in value]}}
        case dict():
            return {"kvlistValue": {"values": otlp_attributes(value)}}
        case _:
            return {"stringValue": value}


def otlp_attributes(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """Attributes as OTLP-JSON writes them."""
    return [{"key": key, "value": otlp_value(value)} for key, value in attributes.items()]


def span(key: str, parent: str, second: int, name: str, attributes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A span of OTLP-JSON."""
    start = 1_767_000_000_000_000_000 + second * 10**9
    return {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": key,
        "parentSpanId": parent,
        "name": name,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 500_000_000),
        "attributes": otlp_attributes(attributes),
        "status": {},
        **fields,
    }


def chat_messages(*messages: tuple[str, dict[str, Any]]) -> str:
    """Messages as the semantic conventions write them, as JSON."""
    return json.dumps([{"role": role, "parts": [part]} for role, part in messages])


USER = ("user", {"type": "text", "content": ASKED})
FINAL = ("assistant", {"type": "text", "content": TOLD})
CALL = ("assistant", {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Berlin"}})
RESPONSE = ("tool", {"type": "tool_call_response", "id": "c1", "response": '{"t": 18}'})


def otel(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    """An agent by the semantic conventions, below a web request."""
    operation = "gen_ai.operation.name"
    call = {"gen_ai.tool.name": "weather", "gen_ai.tool.call.arguments": '{"city": "Rome"}'}
    attributes: dict[str, dict[str, Any]] = {
        "web": {"http.route": "/ask"},
        "agent": {operation: "invoke_agent", "gen_ai.agent.name": "a", "gen_ai.input.messages": chat_messages(USER)},
        "chat1": {
            operation: "chat",
            "gen_ai.input.messages": chat_messages(USER),
            "gen_ai.output.messages": chat_messages(CALL),
            "gen_ai.usage.input_tokens": 20,
            "gen_ai.usage.output_tokens": 5,
        },
        "tool1": {operation: "execute_tool", "gen_ai.tool.name": "weather", "gen_ai.tool.call.id": "c1"},
        "tool2": {operation: "execute_tool", **call, "gen_ai.tool.call.result": '{"t": 24}'},
        "chat2": {
            operation: "chat",
            "gen_ai.input.messages": chat_messages(USER, CALL, RESPONSE),
            "gen_ai.output.messages": chat_messages(FINAL),
        },
    }
    parents = {"web": "outside", "agent": "web"}
    names = list(attributes)
    return [
        span(key, parents.get(key, "agent"), names.index(key), key, {**attributes[key], **changes.get(key, {})})
        for key in reversed(names)
    ]


def otlp(spans: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """An OTLP-JSON export."""
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "s"}, "spans": list(spans)}]}]}


def flat(key: str, parent: str | None, second: int, attributes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A span as the console exporter of the Python SDK prints it."""
    return {
        "name": key,
        "context": {"trace_id": "0x5b8e", "span_id": f"0x{key}"},
        "parent_id": parent and f"0x{parent}",
        "start_time": f"2026-01-02T03:04:{second:02}.000000Z",
        "end_time": f"2026-01-02T03:04:{second:02}.500000Z",
        "status": {"status_code": "UNSET"},
        "attributes": attributes,
        "events": [],
        **fields,
    }


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Trace | Unread]]:
    """Write a document, lines or a text to a file, and read its traces."""

    def written(content: Any, name: str = "runs.json", **options: Any) -> list[Trace | Unread]:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return list(read_traces([path], **options))

    return written


def lines(items: Sequence[Any]) -> str:
    """JSON lines."""
    return "\n".join(json.dumps(item) for item in items)


def only(items: list[Trace | Unread]) -> Trace:
    """Return the one trace that was read."""
    (item,) = items
    assert isinstance(item, Trace), item
    return item


def why(items: list[Trace | Unread]) -> str:
    """Return why the one run was not read."""
    (item,) = items
    assert isinstance(item, Unread), item
    return item.reason


def calls(trace: Trace) -> list[tuple[str, dict[str, Json], Json]]:
    """Return the tool steps of a trace."""
    return [(call.tool, call.arguments, call.result) for call in trace.calls]


BOTH = [("weather", {"city": "Berlin"}, {"t": 18}), ("weather", {"city": "Rome"}, {"t": 24})]

# --- our own format --------------------------------------------------------------------------------------------------

_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_TOOL_STEPS = st.builds(
    ToolStep, tool=st.text(min_size=1), arguments=st.dictionaries(st.text(), _JSON, max_size=3), result=_JSON
)
_MODEL_STEPS = st.builds(
    ModelStep, text=st.text(), usage=st.builds(Usage, input_tokens=st.integers(0), calls=st.integers(0))
)
_STEPS: st.SearchStrategy[Step] = st.one_of(_TOOL_STEPS, _MODEL_STEPS)
_TRACES = st.builds(
    Trace,
    request=st.builds(
        Request,
        text=st.text(min_size=1).filter(lambda text: bool(text.strip())),
        context=st.dictionaries(st.text(), _JSON, max_size=2),
    ),
    steps=st.lists(_STEPS, max_size=4).map(tuple),
    answer=_JSON.filter(lambda answer: answer is not None),
    recorded_at=st.none() | st.datetimes(timezones=st.just(UTC)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(traces=st.lists(_TRACES, max_size=4))
def test_own_traces_come_back(read: Callable[..., list[Trace | Unread]], traces: list[Trace]) -> None:
    """What `model_dump_json` wrote line by line is read as it was, with a schema version and without."""
    assert read("\n".join(trace.model_dump_json() for trace in traces), "runs.jsonl") == traces
    assert read(lines([trace.to_json() for trace in traces]), "runs.jsonl") == traces


def test_a_broken_line_does_not_stop_the_rest(read: Callable[..., list[Trace | Unread]]) -> None:
    """Each broken line is told with its file, its number and the reason; all others are read."""
    good = own().model_dump_json()
    text = "\n".join(['{"request": {"text": "cut', good, "", "nonsense", '{"request": {"text": 3}}', '{"a": 1}', good])
    items = read(text, "runs.jsonl")
    unread = [item for item in items if isinstance(item, Unread)]
    assert items.count(own()) == 2
    assert [item.place for item in unread] == ["line 1", "line 4", "line 5", "line 6"]
    assert all(item.source.endswith("runs.jsonl") for item in unread)
    assert "no JSON" in unread[0].reason and "request.text" in unread[2].reason and "neither" in unread[3].reason


@pytest.mark.parametrize(
    ("trace", "reason"),
    [
        (own(text="  "), "request is empty"),
        (own(text="x" * (MAX_CHARACTERS + 1)), "longer than 20,000"),
        (own(answer=None), "no final answer"),
        (own(steps=(ToolStep(tool="weather", error="RuntimeError: down"),)), "'weather' failed: RuntimeError: down"),
    ],
)
def test_only_clean_traces(read: Callable[..., list[Trace | Unread]], trace: Trace, reason: str) -> None:
    """What cannot be learnt from is told with its reason."""
    assert reason in why(read(trace.to_json()))


def test_a_trace_of_a_newer_version_is_told(read: Callable[..., list[Trace | Unread]]) -> None:
    """A newer schema is never guessed at."""
    assert "schema 99" in why(read({**own().to_json(), "schema": 99}))


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("count", [1, 3, 400])
def test_arrays_and_documents_in_a_row(
    read: Callable[..., list[Trace | Unread]], indent: int | None, count: int
) -> None:
    """Arrays and documents one after the other are read item by item, on one line or on many."""
    traces = [own(f"Request {number} with {'much ' * 40}text") for number in range(count)]
    documents = [trace.to_json() for trace in traces]
    assert read(json.dumps(documents, indent=indent)) == traces
    assert read("\n".join(json.dumps(document, indent=indent) for document in documents)) == traces


def test_an_item_larger_than_what_is_read_at_once(read: Callable[..., list[Trace | Unread]]) -> None:
    """An item may be larger than a chunk, with escapes and long texts anywhere."""
    large = own(answer=['\\"\u2028é😀' * 30_000, *range(20_000)])
    assert read(json.dumps([own().to_json(), large.to_json()], indent=1)) == [own(), large]


def test_an_array_that_is_cut_short(read: Callable[..., list[Trace | Unread]]) -> None:
    """What comes before the break is read, and the break is told with its line."""
    whole = json.dumps([own().to_json()] * 3, indent=1)
    *good, broken = read(whole[: whole.rindex('"answer"')])
    assert good == [own(), own()]
    assert isinstance(broken, Unread) and "line" in broken.place and "was not read" in broken.reason
    assert "cut short" in why(read("["))


def test_an_odd_first_line_does_not_hide_the_others(read: Callable[..., list[Trace | Unread]]) -> None:
    """A first line that looks like the start of a long document, and is a broken one, costs only itself."""
    broken, good = read('{"request": {\n' + own().model_dump_json(), "runs.jsonl")
    assert good == own() and isinstance(broken, Unread) and broken.place == "line 1"


def test_folders_packed_files_and_what_is_missing(tmp_path: Path) -> None:
    """A folder is read with its folders, gzip is unpacked, and a path that leads nowhere is told."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "runs.jsonl.gz").write_bytes(gzip.compress(own("one").model_dump_json().encode()))
    (tmp_path / "a" / "x.json").write_text("\ufeff" + own("two").model_dump_json(), encoding="utf-8")
    (tmp_path / "a" / "notes.txt").write_text("no run")
    (tmp_path / "a" / "broken.json.gz").write_bytes(b"no gzip")
    (tmp_path / "empty").mkdir()
    seen: list[tuple[int, int]] = []
    paths = [tmp_path / "a", tmp_path / "empty", tmp_path / "none"]
    items = list(read_traces(paths, progress=lambda done, total: seen.append((done, total))))
    assert [item.request.text for item in items if isinstance(item, Trace)] == ["one", "two"]
    reasons = [item.reason for item in items if isinstance(item, Unread)]
    assert "cannot be read" in reasons[0] and "no file that ends in" in reasons[1] and "no such file" in reasons[2]
    assert all(0 < done <= total for done, total in seen)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A line in another encoding is told, and the others are read."""
    good = own().model_dump_json().encode()
    (tmp_path / "r.jsonl").write_bytes(b'{"a": "\xff"}\n' + good)
    broken, read = read_traces([tmp_path / "r.jsonl"])
    assert read == own() and isinstance(broken, Unread) and broken.place == "line 1"


def test_too_many_levels(read: Callable[..., list[Trace | Unread]]) -> None:
    """A document nested beyond reason is told like any other broken one."""
    good = own().model_dump_json()
    items = read('{"a":' * 100_000 + "\n" + good, "r.jsonl")
    assert items[-1] == own() and isinstance(items[0], Unread)


def test_all_formats_in_one_folder(tmp_path: Path) -> None:
    """The format is told from each document, and the pieces of a run may lie in several files."""
    (tmp_path / "1.jsonl").write_text(lines([own().to_json(), *smith()[:3], otlp(otel()[:2])]))
    (tmp_path / "2.json").write_text(json.dumps([otlp(otel()[2:]), *smith()[3:]]))
    traces = [item for item in read_traces([tmp_path]) if isinstance(item, Trace)]
    assert len(traces) == 3 and [calls(trace) for trace in traces[1:]] == [BOTH, BOTH]


# --- LangSmith -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [smith(), lines(smith()), {"runs": smith()}, json.dumps(smith(), indent=2)])
def test_langsmith(read: Callable[..., list[Trace | Unread]], content: Any) -> None:
    """A trace has the request, the tools as executed in order of start, the model calls with usage, and the answer."""
    trace = only(read(content))
    assert (trace.request.text, trace.request.context, trace.answer) == (ASKED, {}, TOLD)
    assert calls(trace) == BOTH
    assert [step.kind for step in trace.steps] == ["model", "tool", "tool", "model"]
    assert (trace.usage.input_tokens, trace.usage.output_tokens, trace.usage.calls) == (50, 5, 2)
    assert trace.recorded_at == datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def test_langsmith_tree(read: Callable[..., list[Trace | Unread]]) -> None:
    """Runs may hold the runs below them, without ids of their parents."""

    def tree(key: str) -> dict[str, Any]:
        item = next(item for item in smith() if item["id"] == key)
        below = [tree(child["id"]) for child in smith() if child["parent_run_id"] == key]
        kept = {name: value for name, value in item.items() if name not in ("parent_run_id", "trace_id")}
        return {**kept, "child_runs": below}

    assert calls(only(read([tree("r")]))) == BOTH


@pytest.mark.parametrize(
    ("inputs", "text", "context"),
    [
        ({"input": ASKED}, ASKED, {}),
        ({"input": ASKED, "currency": "EUR", "chat_history": []}, ASKED, {"currency": "EUR"}),
        ({"question": ASKED, "k": 3}, ASKED, {"k": 3}),
        ({"anything": ASKED}, ASKED, {}),
        ({"input": {"messages": [{"role": "user", "content": ASKED}]}}, ASKED, {}),
        ({"messages": [["human", ASKED]]}, ASKED, {}),
        ({"messages": [[constructed("HumanMessage", content=ASKED)]]}, ASKED, {}),
        ({"messages": [{"type": "human", "data": {"content": ASKED}}], "remaining_steps": 9}, ASKED, {}),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": ASKED}]}]}, ASKED, {}),
        ({"input": "42"}, "42", {}),
    ],
)
def test_langsmith_requests(
    read: Callable[..., list[Trace | Unread]], inputs: Any, text: str, context: dict[str, Json]
) -> None:
    """The request is found in the forms that frameworks give the inputs of a root."""
    request = only(read(smith_with("r", inputs=inputs))).request
    assert (request.text, request.context) == (text, context)


@pytest.mark.parametrize(
    ("outputs", "answer"),
    [
        ({"output": TOLD}, TOLD),
        ({"output": '{"t": 1}'}, '{"t": 1}'),
        ({"output": {"t": 1, "text": "x"}}, {"t": 1, "text": "x"}),
        ({"output": constructed("AIMessage", content=[{"type": "text", "text": TOLD}])}, TOLD),
        ({"output": {"messages": [{"role": "assistant", "content": TOLD}]}}, TOLD),
        ({"messages": [{"type": "ai", "content": ""}], "structured_response": {"t": 1}}, {"t": 1}),
        ({"messages": [{"type": "human", "content": ASKED}, tool_message("18")]}, "18"),
        (said_by_model(TOLD), TOLD),
        ({"total": 7}, 7),
    ],
)
def test_langsmith_answers(read: Callable[..., list[Trace | Unread]], outputs: Any, answer: Json) -> None:
    """The answer is found in the forms that frameworks give the outputs of a root."""
    assert only(read(smith_with("r", outputs=outputs))).answer == answer


@pytest.mark.parametrize(
    ("inputs", "arguments"),
    [
        ({"input": '{"city": "Rome"}'}, {"city": "Rome"}),
        ({"input": "{'city': 'Rome', 'at': (1, 2.5), 'x': None}"}, {"city": "Rome", "at": [1, 2.5], "x": None}),
        ({"input": {"city": "Rome"}}, {"city": "Rome"}),
        ({"input": "{'name': 'w', 'args': {'city': 'Rome'}, 'id': 'c', 'type': 'tool_call'}"}, {"city": "Rome"}),
        ({"input": "Rome"}, {"input": "Rome"}),
        ({"city": "Rome", "input": "x"}, {"city": "Rome", "input": "x"}),
        ({"input": "{}"}, {}),
        ({}, {}),
    ],
)
def test_langsmith_arguments(read: Callable[..., list[Trace | Unread]], inputs: Any, arguments: Any) -> None:
    """Arguments are read from objects, from JSON and from Python as it is printed."""
    assert only(read(smith_with("t1", inputs=inputs))).calls[0].arguments == arguments


@pytest.mark.parametrize(
    ("outputs", "result"),
    [
        ({"output": tool_message("plain words")}, "plain words"),
        ({"output": tool_message([{"type": "text", "text": "[1, 2]"}])}, [1, 2]),
        ({"output": tool_message("", artifact={"rows": [1]})}, {"rows": [1]}),
        ({"output": constructed("ToolMessage", content="18", tool_call_id="c")}, 18),
        ({"output": "content='{\"t\": 18}' name='weather' tool_call_id='c'"}, {"t": 18}),
        ({"output": [1, 2]}, [1, 2]),
        ({"t": 18, "unit": "C"}, {"t": 18, "unit": "C"}),
        ({"output": {"content": "page", "url": "u"}}, {"content": "page", "url": "u"}),
        ({"output": None}, None),
    ],
)
def test_langsmith_results(read: Callable[..., list[Trace | Unread]], outputs: Any, result: Json) -> None:
    """Results are read from tool messages in all their forms, and from plain outputs."""
    assert only(read(smith_with("t1", outputs=outputs))).calls[0].result == result


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        (smith_with("t2", error="ToolException('no such city')\nTraceback"), "'weather' failed: ToolException"),
        (smith_with("n2", status="error"), "'chain' failed"),
        (smith_with("t2", outputs={"output": tool_message("Error: x", status="error")}), "failed: Error: x"),
        (smith_with("r", end_time=None), "did not come to an end"),
        (smith_with("n1", status="pending"), "did not come to an end"),
        (smith()[:-1], "0 root runs"),
        ([item for item in smith() if item["id"] != "n2"], "some of its runs are missing"),
        ([{**smith()[-1], "child_run_ids": ["n1"]}], "some of its runs are missing"),
        ([smith()[-1]], "used tools, but has no runs of them"),
        ([run("r", None, "tool", 0, inputs={"city": "Rome"}, outputs={"output": 1})], "without an agent"),
        (smith_with("r", inputs={"k": 3}), "says no request"),
        (smith_with("r", inputs={"messages": [{"type": "ai", "content": "Hello"}]}), "no message is of a user"),
        (
            smith_with("r", inputs={"messages": [["human", "Hi"], ["ai", "Hello"], ["human", "And tomorrow?"]]}),
            "earlier conversation",
        ),
        (smith_with("r", inputs={"input": "And tomorrow?", "chat_history": [["human", "Hi"]]}), "earlier conversation"),
        (
            smith_with("r", inputs={"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
            "images or files",
        ),
        (smith_with("r", outputs={"messages": [{"type": "ai", "content": ""}]}), "no final answer"),
        (smith_with("t1", inputs={"input": "{'day': datetime.date(2026, 1, 2)}"}), "neither JSON nor plain Python"),
    ],
)
def test_langsmith_runs_that_are_not_learnt_from(
    read: Callable[..., list[Trace | Unread]], runs: Any, reason: str
) -> None:
    """Failed, unfinished, incomplete and dependent runs are told with the reason."""
    assert reason in why(read(runs))


def test_langsmith_threads_of_one_graph(read: Callable[..., list[Trace | Unread]]) -> None:
    """A later turn whose input is one message, but whose state holds the turns before, is not learnt from."""
    before = [{"type": "human", "content": "Hi"}, {"type": "ai", "content": "Hello"}]
    human, final = {"type": "human", "content": ASKED}, {"type": "ai", "content": TOLD}
    runs = smith_with("r", inputs={"messages": [human]}, outputs={"messages": [*before, human, final]})
    assert "earlier conversation" in why(read(runs))


def test_what_a_tool_does_inside_is_no_step(read: Callable[..., list[Trace | Unread]]) -> None:
    """A tool that asks a model or another tool is one step."""
    inner = [
        run("x1", "t1", "chain", 5),
        run("x2", "x1", "tool", 5, name="inner", outputs={"output": 1}),
        run("x3", "x1", "llm", 5, outputs=said_by_model("hm")),
    ]
    trace = only(read([*smith(), *inner]))
    assert calls(trace) == BOTH and trace.usage.calls == 2


def test_a_bad_run_among_good_ones(read: Callable[..., list[Trace | Unread]]) -> None:
    """A run without ids is told, and the trace around it is read."""
    items = read([{"run_type": "chain"}, *smith()])
    assert isinstance(items[0], Unread) and isinstance(items[1], Trace)


# --- OpenTelemetry ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [otlp(otel()), otel(), lines(otel()), lines([otlp([item]) for item in otel()]), {"spans": otel()}]
)
def test_opentelemetry(read: Callable[..., list[Trace | Unread]], content: Any) -> None:
    """An agent span with its chats and tools is a trace; what a tool span lacks is found by the id of its call."""
    trace = only(read(content))
    assert (trace.request.text, trace.answer) == (ASKED, TOLD)
    assert calls(trace) == BOTH
    assert [step.kind for step in trace.steps] == ["model", "tool", "tool", "model"]
    assert (trace.usage.input_tokens, trace.usage.output_tokens, trace.usage.calls) == (20, 5, 2)
    assert trace.usage.seconds == pytest.approx(1.0)


def test_opentelemetry_structured_attributes(read: Callable[..., list[Trace | Unread]]) -> None:
    """Arguments, results and messages may be structured attributes instead of JSON."""
    changes = {
        "agent": {"gen_ai.input.messages": json.loads(chat_messages(USER))},
        "tool2": {"gen_ai.tool.call.arguments": {"city": "Rome"}, "gen_ai.tool.call.result": {"t": 24}},
    }
    assert calls(only(read(otlp(otel(**changes))))) == BOTH


def test_opentelemetry_events(read: Callable[..., list[Trace | Unread]]) -> None:
    """The older events for messages are read too, and spans without an agent around them."""
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Berlin"}'}}
    user = {"name": "gen_ai.user.message", "attributes": {"content": ASKED}}
    asked = {"name": "gen_ai.choice", "attributes": {"index": 0, "message": json.dumps({"tool_calls": [call]})}}
    result = {"name": "gen_ai.tool.message", "attributes": {"id": "c1", "content": '{"t": 18}'}}
    told = {"name": "gen_ai.choice", "attributes": {"index": 0, "message": json.dumps({"content": TOLD})}}
    chat = {"gen_ai.operation.name": "chat"}
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.id": "c1"}
    spans = [
        flat("01", "99", 1, chat, events=[user, asked]),
        flat("02", "99", 2, tool, name="execute_tool weather"),
        flat("03", "99", 3, chat, events=[user, result, told]),
    ]
    trace = only(read("\n".join(json.dumps(item, indent=4) for item in spans)))
    assert (trace.request.text, calls(trace), trace.answer) == (ASKED, BOTH[:1], TOLD)


def test_opentelemetry_details_event(read: Callable[..., list[Trace | Unread]]) -> None:
    """Messages may be in the event that the conventions have for them."""
    attributes = {"gen_ai.input.messages": chat_messages(USER), "gen_ai.output.messages": chat_messages(FINAL)}
    event = {"name": "gen_ai.client.inference.operation.details", "attributes": attributes}
    trace = only(read([flat("01", None, 1, {"gen_ai.operation.name": "chat"}, events=[event])]))
    assert (trace.request.text, trace.answer) == (ASKED, TOLD)


def test_openinference(read: Callable[..., list[Trace | Unread]]) -> None:
    """OpenInference spans, flat or with objects within objects, are read by their kinds."""
    kind = "openinference.span.kind"
    messages = {"llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": TOLD}
    inputs = json.dumps({"messages": [{"type": "human", "content": ASKED}]})
    tool = {"input": {"value": "{'city': 'Berlin'}"}, "output": {"value": json.dumps(tool_message('{"t": 18}'))}}
    spans = [
        flat("01", None, 1, {kind: "CHAIN", "input.value": inputs, "output.value": json.dumps({"output": TOLD})}),
        flat("02", "01", 2, {"tool": {"name": "weather"}, **tool}, span_kind="TOOL"),
        flat("03", "01", 3, {kind: "LLM", **messages, "llm.token_count.prompt": 7}),
    ]
    trace = only(read(spans))
    assert (trace.request.text, calls(trace), trace.answer) == (ASKED, BOTH[:1], TOLD)
    assert trace.usage.input_tokens == 7 and trace.steps[1] == ModelStep(text=TOLD, usage=trace.usage)


def test_traceloop(read: Callable[..., list[Trace | Unread]]) -> None:
    """Traceloop spans are read by their kinds, with messages in numbered attributes."""
    kind, entity = "traceloop.span.kind", "traceloop.entity"
    asked = {"gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "Be brief."}
    asked |= {"gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": ASKED}
    told = {"gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": TOLD}
    usage = {"gen_ai.usage.prompt_tokens": 9, "gen_ai.usage.completion_tokens": 4}
    given = {f"{entity}.input": json.dumps({"args": [], "kwargs": {"city": "Berlin"}})}
    spans = [
        flat("01", None, 1, {kind: "workflow"}),
        flat("02", "01", 2, {kind: "tool", f"{entity}.name": "weather", **given, f"{entity}.output": '{"t": 18}'}),
        flat("03", "01", 3, {"llm.request.type": "chat", **asked, **told, **usage}),
    ]
    trace = only(read(spans))
    assert (trace.request.text, calls(trace), trace.answer) == (ASKED, BOTH[:1], TOLD)
    assert (trace.usage.input_tokens, trace.usage.output_tokens) == (9, 4)


def test_two_agents_in_one_trace(read: Callable[..., list[Trace | Unread]]) -> None:
    """Each outermost agent is a run of its own, and one that fails does not take the other with it."""
    agent = {"gen_ai.operation.name": "invoke_agent"}
    good = {**agent, "gen_ai.input.messages": chat_messages(USER), "gen_ai.output.messages": chat_messages(FINAL)}
    spans = [
        flat("01", None, 1, {"http.route": "/"}),
        flat("02", "01", 2, good),
        flat("03", "02", 3, {**agent, "gen_ai.agent.name": "helper"}),
        flat("04", "01", 4, agent, status={"status_code": "ERROR", "description": "down"}),
    ]
    trace, failed = read(spans)
    assert isinstance(trace, Trace) and trace.answer == TOLD
    assert isinstance(failed, Unread) and "failed: down" in failed.reason


def otel_with(key: str, **fields: Any) -> list[dict[str, Any]]:
    """The agent with one span changed."""
    return [{**item, **fields} if item["spanId"] == key else item for item in otel()]


@pytest.mark.parametrize(
    ("spans", "reason"),
    [
        (otel_with("tool1", status={"code": 2, "message": "no such city"}), "'tool1' failed: no such city"),
        (otel_with("tool1", status={"code": "STATUS_CODE_ERROR"}), "'tool1' failed"),
        (otel(chat1={"error.type": "timeout"}), "'chat1' failed: timeout"),
        (
            otel_with(
                "tool1", events=[{"name": "exception", "attributes": otlp_attributes({"exception.message": "x"})}]
            ),
            "failed: x",
        ),
        (otel_with("agent", endTimeUnixNano="0"), "did not come to an end"),
        (otel_with("tool2", parentSpanId="lost"), "spans are missing"),
        ([item for item in otel() if not item["spanId"].startswith("tool")], "no spans of them"),
        (otel(tool2={"gen_ai.tool.call.arguments": None}), "arguments of tool 'weather' were not recorded"),
        (otel(tool2={"gen_ai.tool.call.result": None}), "result of tool 'weather' was not recorded"),
        (otel(agent={"gen_ai.input.messages": chat_messages(USER, FINAL, USER)}), "earlier conversation"),
        (otel(agent={"gen_ai.input.messages": chat_messages(("user", {"type": "blob"}))}), "images or files"),
        ([span("a", "", 1, "GET", {"http.route": "/"})], "none of its spans"),
        ([span("a", "", 1, "chat", {"gen_ai.operation.name": "chat"})], "no span says the request"),
        ([span("a", "", 1, "t", {"gen_ai.operation.name": "execute_tool"})], "without an agent"),
    ],
)
def test_opentelemetry_runs_that_are_not_learnt_from(
    read: Callable[..., list[Trace | Unread]], spans: Any, reason: str
) -> None:
    """Failed, unfinished, incomplete and dependent runs are told with the reason."""
    assert reason in why(read(spans))


def test_the_format_can_be_forced(read: Callable[..., list[Trace | Unread]]) -> None:
    """With a format given, everything is read as that."""
    assert "no LangSmith run" in why(read(own().to_json(), format="langsmith"))
    assert "no OpenTelemetry span" in why(read({"a": 1}, format="opentelemetry"))
    assert "no trace" in why(read({"a": 1}, format="own"))


_ODD: st.SearchStrategy[Any] = st.one_of(
    _JSON,
    st.floats(),
    st.integers(10**20, 10**40),
    st.sampled_from(["\ud800", "2026", "[1", '{"a": {}}', "0001-01-01", [[]], [["human", "x"]], {"content": [{}]}, {}]),
)


def spoilt(draw: st.DrawFn, document: Any) -> Any:
    """Return a document with one of its parts replaced."""
    if not isinstance(document, (dict, list)) or not document or draw(st.integers(0, 9)) == 0:
        return draw(_ODD)
    keys: list[Any] = list(document) if isinstance(document, dict) else list(range(len(document)))
    key = draw(st.sampled_from(keys))
    changed = document.copy()
    changed[key] = spoilt(draw, document[key])
    return changed


@st.composite
def spoilt_exports(draw: st.DrawFn) -> Any:
    """Draw an export of any format, spoilt in one to three places."""
    document: Any = draw(st.sampled_from([smith(), otlp(otel()), otel(), [own().to_json()]]))
    for _ in range(draw(st.integers(1, 3))):
        document = spoilt(draw, document)
    return document


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(document=spoilt_exports(), format=st.sampled_from(["auto", "own", "langsmith", "opentelemetry"]))
def test_nothing_stops_the_reading(read: Callable[..., list[Trace | Unread]], document: Any, format: str) -> None:
    """Whatever a document holds, it is a trace that can be written again, or told as unread."""
    for item in read(json.dumps(document), format=format):
        assert isinstance(item, Unread) or (item.id and item.model_dump_json())


# --- tools -----------------------------------------------------------------------------------------------------------


def test_tools_are_inferred() -> None:
    """Names, JSON types and what every call has are seen; the effect is the careful one."""
    seen: list[dict[str, Json]] = [{"a": 1, "b": "x"}, {"a": 1.5, "c": None}, {"a": 2, "c": [1]}]
    steps = tuple(ToolStep(tool="f", arguments=arguments) for arguments in seen)
    first, second = tools_of([own(steps=(*steps, ToolStep(tool="g")))])
    assert first.parameters == {
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "string"}, "c": {"type": ["array", "null"]}},
        "required": ["a"],
    }
    assert (first.effect, first.idempotent, first.argument_names) == ("write", False, ("a", "b", "c"))
    assert second.name == "g" and second.argument_names == ()


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


@pytest.mark.parametrize(
    ("document", "effect", "idempotent"),
    [
        ([{"name": "w", "parameters": SCHEMA, "effect": "pure"}], "pure", False),
        ([{"type": "function", "function": {"name": "w", "parameters": SCHEMA, "strict": True}}], "write", False),
        ([{"type": "function", "name": "w", "parameters": SCHEMA}], "write", False),
        ({"tools": [{"name": "w", "inputSchema": SCHEMA, "annotations": {"readOnlyHint": True}}]}, "read", False),
        (
            {"result": {"tools": [{"name": "w", "inputSchema": SCHEMA, "annotations": {"idempotentHint": True}}]}},
            "write",
            True,
        ),
        ({"name": "w", "inputSchema": SCHEMA, "title": "Weather"}, "write", False),
    ],
)
def test_tools_are_read(tmp_path: Path, document: Any, effect: str, idempotent: bool) -> None:
    """Our own documents, OpenAI functions and MCP tools are read; hints of MCP give the effect."""
    path = tmp_path / "tools.json"
    path.write_text(json.dumps(document))
    (tool,) = read_tools(path)
    assert (tool.name, tool.parameters, tool.effect, tool.idempotent) == ("w", SCHEMA, effect, idempotent)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "cannot be read"),
        ("[]", "holds no tools"),
        ('[{"name": "w", "efect": "pure"}]', "tool 1 in"),
        ('[{"type": "function", "function": {}}]', "name"),
        ("[3]", "tool 1 in"),
        ('[{"name": "w"}, {"name": "w"}]', "declares w twice"),
    ],
)
def test_a_bad_tools_file_says_what_it_should_hold(tmp_path: Path, text: str, reason: str) -> None:
    """Whatever is wrong with the file is told with what to write instead."""
    path = tmp_path / "tools.json"
    path.write_text(text)
    with pytest.raises(ToolsError, match=reason):
        read_tools(path)


# --- the command -----------------------------------------------------------------------------------------------------


class FakeCache:
    """A cache that remembers, and learns one kind by rote."""

    opened: tuple[Any, ...]

    def __init__(self) -> None:
        self.remembered: dict[str, Trace] = {}
        self.stop_at = -1

    def open(self, store: object, model: Any, **options: Any) -> FakeCache:
        """Stand in for `ReasoningCache(…)`."""
        self.opened = (store, model, options)
        return self

    def __enter__(self) -> FakeCache:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def remember(self, trace: Trace) -> bool:
        """Keep a trace."""
        if len(self.remembered) == self.stop_at:
            raise KeyboardInterrupt
        new = trace.id not in self.remembered
        self.remembered[trace.id] = trace
        return new

    def learn_remembered(self, *, progress: Callable[[int, int], None] | None = None) -> list[LearnedKind]:
        """Learn one kind, and refuse another."""
        assert progress is not None
        progress(1, 2)
        progress(2, 2)
        admitted = Learned(status="admitted", procedure="weather-1@1")
        refused = Learned(status="rejected", reason="two runs contradict each other")
        return [
            LearnedKind(example=ASKED, traces=len(self.remembered), learned=admitted),
            LearnedKind(example="x", traces=1, learned=refused),
        ]


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCache:
    """Put a fake cache under the command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    fake = FakeCache()
    monkeypatch.setattr(opening, "ReasoningCache", fake.open)
    return fake


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with three runs and a broken line."""
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "own.jsonl").write_text("\n".join([own("one").model_dump_json(), "{", own("two").model_dump_json()]))
    (folder / "smith.json").write_text(json.dumps(smith()))
    return folder


def learn(*arguments: object) -> Any:
    """Run the command."""
    return CliRunner().invoke(app, ["learn", *map(str, arguments)])


def test_learn(cache: FakeCache, runs: Path) -> None:
    """Runs are remembered and learnt from; the table tells kinds, counts, and what was not read."""
    result = learn(runs, "--store", "s", "--tenant", "t")
    assert result.exit_code == 0, result.output
    assert [trace.request.text for trace in cache.remembered.values()] == ["one", "two", ASKED]
    for part in (
        "weather-1@1",
        "two runs contradict each other",
        "3 runs read: 3 new, 0 known already",
        "2 kinds, 1 admitted, 1 rejected",
        "1 not read",
        "own.jsonl line 2",
        "The tools were inferred",
    ):
        assert part in result.stdout
    store, model, options = cache.opened
    assert (model, options["tenant"], options["agent"], options["system_prompt"]) == (None, "t", None, "")
    assert isinstance(store, EdgeStore) and Path("s").is_dir()
    (hosted,) = options["tools"]
    assert (hosted.tool.name, hosted.tool.effect, hosted.tool.argument_names) == ("weather", "write", ("city",))
    with pytest.raises(Exception, match="runs no tools"):
        hosted.function(city="Rome")


def test_learn_as_json(cache: FakeCache, runs: Path) -> None:
    """--json is one document, without a progress bar."""
    result = learn(runs, "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 0 and result.stderr == ""
    assert (document["read"], document["new"], document["known"], document["unread"]) == (3, 3, 0, 1)
    assert document["kinds"][0]["status"] == "admitted" and document["inferred_tools"] is True
    assert document["not_read"][0]["place"] == "line 2"


def test_learn_with_the_agents_own_tools(cache: FakeCache, runs: Path, tmp_path: Path) -> None:
    """--tools and --system-prompt make the scope; a run with another tool is told."""
    (tmp_path / "tools.json").write_text('[{"name": "forecast", "effect": "read"}]')
    (tmp_path / "prompt.txt").write_text("Be brief.\n")
    (tmp_path / "plain.jsonl").write_text(own("three", steps=()).model_dump_json())
    given = ("--tools", tmp_path / "tools.json", "--system-prompt", tmp_path / "prompt.txt")
    result = learn(runs, tmp_path / "plain.jsonl", *given)
    assert result.exit_code == 0 and "inferred" not in result.stdout
    assert "it calls tools that are not declared: weather" in result.stdout and "3 not read" not in result.stdout
    assert "4 not read" in result.stdout
    assert cache.opened[2]["system_prompt"] == "Be brief." and len(cache.remembered) == 1


def test_learn_goes_on_after_an_interruption(cache: FakeCache, runs: Path) -> None:
    """Ctrl-C says how far it came; the same command goes on from there."""
    cache.stop_at = 2
    result = learn(runs)
    assert result.exit_code == 130 and "Stopped while reading; 2 runs are remembered" in result.stdout
    cache.stop_at = -1
    again = learn(runs)
    assert again.exit_code == 0 and "3 runs read: 1 new, 2 known already" in again.stdout


def test_learn_where_nothing_can_be_read(cache: FakeCache, tmp_path: Path) -> None:
    """When no run can be read the exit code says so, and the reasons are shown."""
    (tmp_path / "x.jsonl").write_text("nonsense")
    result = learn(tmp_path / "x.jsonl")
    assert result.exit_code == 1 and "Nothing could be read" in result.stdout and "no JSON" in result.stdout
    assert learn(tmp_path / "x.jsonl", "--json").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.jsonl"], "there is no nowhere.jsonl"),
        ([".", "--format", "csv"], "none of auto, own, langsmith, opentelemetry"),
        ([".", "--tools", "none.json"], "give a JSON file with a list of tools"),
        ([".", "--system-prompt", "none.txt"], "--system-prompt none.txt cannot be read"),
    ],
)
def test_a_wrong_option_is_one_line(cache: FakeCache, arguments: list[str], told: str) -> None:
    """A wrong path or option is one line on stderr that says what to do."""
    result = learn(*arguments)
    assert result.exit_code == 1 and told in result.stderr and result.stderr.count("\n") == 1
    assert not hasattr(cache, "opened")


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ('{"type": "foo"}', "tool 1 in tools.json, 'weather', has no usable schema"),
        ('{"type": "object"}', "it calls tools otherwise than declared: weather is declared without city"),
        ("{}", "it calls tools otherwise than declared: weather is declared without city"),
    ],
)
def test_tools_that_are_declared_wrong_are_told_as_that(runs: Path, tmp_path: Path, schema: str, told: str) -> None:
    """What a user can correct is not told in the words of the compiler, about code that nobody has written."""
    (tmp_path / "tools.json").write_text(f'[{{"name": "weather", "parameters": {schema}, "effect": "read"}}]')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setenv("COLUMNS", "300")
        result = learn(runs, "--tools", "tools.json")
    assert result.exit_code == 1 and told in result.output and "EXPECTED" not in result.output


def test_an_empty_file_is_told_as_that(tmp_path: Path) -> None:
    """There is nothing above to see why."""
    (tmp_path / "empty.jsonl").write_text("")
    result = learn(tmp_path / "empty.jsonl", "--store", tmp_path / "store")
    assert result.exit_code == 1 and "the files hold nothing" in result.stdout and "see above" not in result.stdout


def test_learning_for_a_named_agent(tmp_path: Path) -> None:
    """`--agent` is what the agent's cache is opened with: it finds there what was learnt."""
    texts = [f"weather of {city}" for city in ("Rome", "Oslo", "Bonn")]
    (tmp_path / "runs.jsonl").write_text("\n".join(own(text, steps=()).model_dump_json() for text in texts))
    assert learn(tmp_path / "runs.jsonl", "--store", tmp_path / "store", "--agent", "desk").exit_code == 0
    with ReasoningCache(tmp_path / "store", agent="desk") as cache:
        assert not any(cache.remember(own(text, steps=())) for text in texts)
