"""LangSmith runs, as the SDK and exports give them: a trace is a tree of runs with one root."""

from __future__ import annotations

import re
from collections.abc import Iterator

from seglam_agents.harvest.conversation import answered_in, asked_by, asked_in, generated, generation
from seglam_agents.harvest.fields import (
    UnreadableRun,
    first,
    literal,
    moment,
    nanoseconds,
    parsed,
    rows,
    seconds_between,
    table,
    text,
    whole_number,
)
from seglam_agents.harvest.messages import messages_of, said, unpacked
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.trace import ModelStep, Step, ToolStep, Trace
from seglam_agents.records.usage import Usage

_Run = dict[str, Json]
_PRINTED = re.compile(r"""content=('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?: |$)""")
"""How older versions of LangChain write a tool message: as Python prints it."""


def recognises(document: Json) -> bool:
    """Tell whether a document is a run, or holds a list of runs."""
    held = table(document)
    return any("run_type" in table(run) for run in (held, *rows(held.get("runs"))[:1]))


def pieces(document: Json) -> Iterator[tuple[str, _Run]]:
    """Yield the runs of a document, each with the key of its trace.

    Raises:
        UnreadableRun: it is no run, or does not say to which trace it belongs.
    """
    held = table(document)
    if "run_type" not in held and isinstance(held.get("runs"), list):
        for run in rows(held["runs"]):
            yield from pieces(run)
        return
    key = first((held.get("trace_id"), text(held.get("dotted_order")).split(".")[0].rpartition("Z")[2]))
    if key is None and held.get("parent_run_id") is None:
        key = held.get("id")
    if "run_type" not in held or held.get("id") is None or key is None:
        raise UnreadableRun("it is no LangSmith run: 'id', 'run_type' or 'trace_id' is missing")
    yield from _flat(held, str(key))


def traces(runs: list[_Run]) -> Iterator[Trace]:
    """Yield the one trace that the runs of a trace id make up.

    Raises:
        UnreadableRun: it cannot be learnt from.
    """
    by_id = {text(run.get("id")): run for run in runs}
    _refuse_unclean(by_id)
    root = _root(by_id)
    steps = tuple(_step(run) for run in _outer(by_id))
    inputs, outputs = root.get("inputs"), root.get("outputs")
    _refuse_hidden_tools(steps, outputs)
    asked = asked_in(inputs)
    _refuse_later_turn(outputs)
    yield Trace(
        request=Request(text=asked.text, context=asked.context),
        steps=steps,
        answer=answered_in(outputs),
        recorded_at=moment(nanoseconds(root.get("start_time"))),
    )


def _flat(run: _Run, trace: str) -> Iterator[tuple[str, _Run]]:
    kept = {key: value for key, value in run.items() if key not in ("child_runs", "serialized", "events")}
    parent = run.get("parent_run_id")
    yield trace, {**kept, "id": str(run.get("id")), "parent_run_id": None if parent is None else str(parent)}
    for child in map(table, rows(run.get("child_runs"))):
        yield from _flat({"parent_run_id": run.get("id"), **child}, trace)


def _root(by_id: dict[str, _Run]) -> _Run:
    roots = [run for run in by_id.values() if not run.get("parent_run_id")]
    if len(roots) != 1:
        raise UnreadableRun(f"it has {len(roots)} root runs: export whole traces, the root with all runs below it")
    if roots[0].get("run_type") == "tool":
        raise UnreadableRun("it is a tool call without an agent around it")
    lost = [run for run in by_id.values() if run.get("parent_run_id") and run["parent_run_id"] not in by_id]
    named = {text(child) for run in by_id.values() for key in _CHILDREN for child in rows(run.get(key))}
    if lost or named - by_id.keys():
        raise UnreadableRun("some of its runs are missing: export whole traces, the root with all runs below it")
    return roots[0]


_CHILDREN = ("child_run_ids", "direct_child_run_ids")


def _refuse_unclean(by_id: dict[str, _Run]) -> None:
    for run in by_id.values():
        name = f"its run {text(run.get('name')) or text(run.get('id'))!r}"
        output = unpacked(table(run.get("outputs")).get("output"))
        if run.get("error") or "error" in (run.get("status"), output.get("status")):
            told = text(run.get("error")) or said(output.get("content") or "") or "no message"
            raise UnreadableRun(f"{name} failed: {told.strip().splitlines()[0][:200]}")
        if run.get("status") in ("pending", "interrupted") or ("end_time" in run and run["end_time"] is None):
            raise UnreadableRun(f"{name} did not come to an end")


def _refuse_hidden_tools(steps: tuple[Step, ...], outputs: Json) -> None:
    structured = table(outputs).get("structured_response") is not None
    told = [message for message in messages_of(table(outputs).get("messages")) if message.role == "tool"]
    # A structured answer is itself given through a tool message, without a tool behind it.
    if len(told) > structured and not any(isinstance(step, ToolStep) for step in steps):
        raise UnreadableRun("it used tools, but has no runs of them: export whole traces")


def _refuse_later_turn(outputs: Json) -> None:
    """Refuse a turn whose input is one message, while the state of its graph holds the turns before."""
    held = table(outputs)
    told = messages_of(first((held.get("messages"), table(held.get("output")).get("messages"))))
    if any(message.role == "user" for message in told):
        asked_by(told)


def _outer(by_id: dict[str, _Run]) -> list[_Run]:
    """Return tool and model runs in order; what a tool does inside is its own business."""
    found = [run for run in by_id.values() if run.get("run_type") in ("tool", "llm") and not _in_tool(run, by_id)]
    return sorted(found, key=lambda run: (nanoseconds(run.get("start_time")) or 0, text(run.get("dotted_order"))))


def _in_tool(run: _Run, by_id: dict[str, _Run]) -> bool:
    seen: set[str] = set()
    parent = text(run.get("parent_run_id"))
    while parent and parent not in seen:
        seen.add(parent)
        above = by_id.get(parent, {})
        if above.get("run_type") == "tool":
            return True
        parent = text(above.get("parent_run_id"))
    return False


def _step(run: _Run) -> Step:
    if run.get("run_type") == "tool":
        name = text(run.get("name"))
        return ToolStep(tool=name, arguments=_arguments(name, run.get("inputs")), result=_result(run.get("outputs")))
    outputs = table(run.get("outputs"))
    answer = answered_in(outputs)
    return ModelStep(text=generated(outputs) or text(answer), usage=_usage(run, outputs))


def _arguments(name: str, inputs: Json) -> dict[str, Json]:
    given = table(inputs)
    if set(given) == {"input"}:
        inner = literal(given["input"]) if isinstance(given["input"], str) else given["input"]
        if isinstance(inner, dict):
            given = inner
        elif isinstance(inner, str) and inner.lstrip().startswith("{"):
            raise UnreadableRun(f"the arguments of tool {name!r} are neither JSON nor plain Python: {inner[:100]}")
    if given.get("type") == "tool_call" and isinstance(given.get("args"), dict):
        return table(given["args"])
    return given


def _result(outputs: Json) -> Json:
    held = table(outputs)
    output = held["output"] if set(held) == {"output"} else outputs
    if isinstance(output, str) and (printed := _PRINTED.match(output)):
        output = literal(printed[1])
    message = unpacked(output)
    if "content" not in message or not ("tool_call_id" in message or message.get("type") == "tool"):
        return parsed(output)
    content = message["content"]
    spoken = said(content) if messages_of({**message, "role": "tool"})[0].only_text else content
    return parsed(first((spoken, message.get("artifact"))))


def _usage(run: _Run, outputs: dict[str, Json]) -> Usage:
    extra = table(table(run.get("extra")).get("metadata"))
    llm_output = table(outputs.get("llm_output"))
    messages = [unpacked(generation(outputs).get("message")), *map(unpacked, rows(outputs.get("messages"))[-1:])]
    counted = first(
        (
            outputs.get("usage_metadata"),
            *(message.get("usage_metadata") for message in messages),
            *(llm_output.get(key) for key in ("token_usage", "usage", "usage_metadata")),
            *(outputs.get("usage"), extra.get("usage_metadata")),
            {key: run.get(key) for key in ("prompt_tokens", "completion_tokens")},
        )
    )
    tokens = table(counted)
    return Usage(
        input_tokens=whole_number(first((tokens.get("input_tokens"), tokens.get("prompt_tokens")))),
        output_tokens=whole_number(first((tokens.get("output_tokens"), tokens.get("completion_tokens")))),
        calls=1,
        seconds=seconds_between(nanoseconds(run.get("start_time")), nanoseconds(run.get("end_time"))),
    )
