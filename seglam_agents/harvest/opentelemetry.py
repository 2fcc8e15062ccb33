"""OpenTelemetry spans of agents, by the GenAI semantic conventions and the names of OpenInference and Traceloop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seglam_agents.harvest.conversation import Asked, answered_by, answered_in, asked_by, asked_in
from seglam_agents.harvest.fields import (
    UnreadableRun,
    first,
    literal,
    moment,
    parsed,
    seconds_between,
    table,
    text,
    whole_number,
)
from seglam_agents.harvest.messages import Call, Message, messages_of
from seglam_agents.harvest.spans import Span, is_span, raw_spans, read_span
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.trace import ModelStep, Step, ToolStep, Trace
from seglam_agents.records.usage import Usage

recognises = is_span
pieces = raw_spans

_DETAILS = "gen_ai.client.inference.operation.details"
_ASKING = ("input.value", "traceloop.entity.input")
_TELLING = ("output.value", "traceloop.entity.output")
_CAPTURE = "record contents too (OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT or your SDK's switch)"


def traces(raw: list[dict[str, Json]]) -> Iterator[Trace | UnreadableRun]:
    """Yield a trace for each run of an agent among the spans of one trace id, or why there is none."""
    spans = {span.id: span for span in map(read_span, raw)}
    if all(span.kind == "other" for span in spans.values()):
        yield UnreadableRun("none of its spans is of an agent, a model or a tool (gen_ai.operation.name)")
        return
    for root, run in _runs(spans):
        try:
            yield _trace(root, run)
        except UnreadableRun as error:
            yield error


def _runs(spans: dict[str, Span]) -> Iterator[tuple[Span | None, list[Span]]]:
    """Yield the spans of each outermost agent; without an agent, those of the whole trace with their root."""
    agents = [span for span in spans.values() if span.kind == "agent"]
    outer = [span for span in agents if not any(above.kind == "agent" for above in _above(span, spans))]
    if not outer:
        tops = [span for span in spans.values() if not _above(span, spans)]
        yield tops[0] if len(tops) == 1 else None, list(spans.values())
        return
    lost = any(span.kind in ("model", "tool") and _is_lost(span, spans) for span in spans.values())
    for agent in outer:
        below = [span for span in spans.values() if agent in _above(span, spans)]
        # No spans at all where the place of one is not known: it may belong to this agent.
        yield agent, [] if lost else [agent, *below]


def _above(span: Span, spans: dict[str, Span]) -> list[Span]:
    found: list[Span] = []
    while (parent := spans.get(span.parent)) and parent not in found:
        found.append(parent)
        span = parent
    return found


def _is_lost(span: Span, spans: dict[str, Span]) -> bool:
    top = (_above(span, spans) or [span])[-1]
    return bool(top.parent) and not any(above.kind == "agent" for above in [span, *_above(span, spans)])


def _trace(root: Span | None, run: Sequence[Span]) -> Trace:
    if not run:
        raise UnreadableRun("some of its spans are missing, so that their order is not known: export whole traces")
    _refuse_unclean(root, run)
    spans = {span.id: span for span in run}
    steps = sorted((span for span in run if span.kind in ("model", "tool")), key=lambda span: span.start)
    outer = [span for span in steps if not any(above.kind == "tool" for above in _above(span, spans))]
    models = [span for span in outer if span.kind == "model"]
    asked = _asked(root, models)
    _refuse_hidden_tools(outer, models)
    return Trace(
        request=Request(text=asked.text, context=asked.context),
        steps=tuple(_step(span, models) for span in outer),
        answer=_answer(root, models),
        recorded_at=moment(min(span.start for span in run) or None),
    )


def _refuse_unclean(root: Span | None, run: Sequence[Span]) -> None:
    for span in run:
        if span.failure:
            raise UnreadableRun(f"its span {span.name!r} failed: {span.failure}")
        if span.end is None:
            raise UnreadableRun(f"its span {span.name!r} did not come to an end")
    if root and root.kind == "tool":
        raise UnreadableRun("it is a tool call without an agent around it")


def _refuse_hidden_tools(outer: Sequence[Span], models: Sequence[Span]) -> None:
    asked = {call.name for span in models for message in _output(span) for call in message.calls}
    if asked and not any(span.kind == "tool" for span in outer):
        raise UnreadableRun(f"it used tools ({', '.join(sorted(asked))}), but has no spans of them (execute_tool)")


def _asked(root: Span | None, models: Sequence[Span]) -> Asked:
    """Return what the root was asked, or else the first model; all others must go on from the same request."""
    if root and (given := _input(root)):
        return asked_by(given)
    if root and (value := root.get(*_ASKING)) is not None:
        return asked_in(_unwrapped(value))
    turns = [[message.text for message in _input(span) if message.role == "user"] for span in models]
    if not any(turns):
        raise UnreadableRun(f"no span says the request: {_CAPTURE}")
    if any(turn[:1] != turns[0][:1] for turn in turns if turn):
        raise UnreadableRun("its models were asked different things, and no agent span tells the request")
    return asked_by(_input(models[0]))


def _answer(root: Span | None, models: Sequence[Span]) -> Json:
    """Return what the root told, or else the last model."""
    for span in (root, *models[-1:]):
        if span and (told := _output(span)):
            return answered_by(told)
        if span and (value := span.get(*_TELLING)) is not None:
            return answered_in(_unwrapped(value))
    return None


def _step(span: Span, models: Sequence[Span]) -> Step:
    if span.kind == "tool":
        name = text(span.get("gen_ai.tool.name", "tool.name", "traceloop.entity.name"))
        name = name or span.name.removeprefix("execute_tool ")
        return ToolStep(tool=name, arguments=_arguments(name, span, models), result=_result(name, span, models))
    said = "".join(message.text for message in _output(span) if message.role == "assistant")
    return ModelStep(text=said, usage=_usage(span))


def _arguments(name: str, span: Span, models: Sequence[Span]) -> dict[str, Json]:
    given = _recorded(span, "gen_ai.tool.call.arguments", *_ASKING)
    if given is None:
        given = _matching(span, [call for model in models for message in _output(model) for call in message.calls])
    given = literal(given) if isinstance(given, str) else given
    fields = table(given)
    for key in ("inputs", "kwargs"):  # Traceloop's wrapping of what a tool is called with.
        fields = table(fields[key]) if isinstance(fields.get(key), dict) else fields
    if fields or given in ({}, ""):
        return fields
    problem = "were not recorded" if given is None else "are no object with names"
    raise UnreadableRun(f"the arguments of tool {name!r} {problem}: {_CAPTURE}")


def _result(name: str, span: Span, models: Sequence[Span]) -> Json:
    told = _recorded(span, "gen_ai.tool.call.result", *_TELLING)
    if told is None:
        later = [call for model in models for message in _input(model) for call in message.results]
        told = _matching(span, later)
    if told is None:
        raise UnreadableRun(f"the result of tool {name!r} was not recorded: {_CAPTURE}")
    value = parsed(told)
    inner = table(value).get("output") if set(table(value)) == {"output"} else value
    results = [call.value for message in messages_of(inner) for call in message.results] if inner else []
    return results[0] if results else parsed(inner)


def _recorded(span: Span, *names: str) -> Json:
    # Not `Span.get`: an empty object or text is recorded as well.
    return next((span.attributes[name] for name in names if span.attributes.get(name) is not None), span.get(*names))


def _matching(span: Span, calls: Sequence[Call]) -> Json:
    identity = text(span.get("gen_ai.tool.call.id"))
    return next((call.value for call in calls if identity and call.id == identity), None)


def _input(span: Span) -> list[Message]:
    events: list[Json] = [
        {"role": name.split(".")[1], **fields}
        for name, fields in span.events
        if name.startswith("gen_ai.") and name.endswith(".message")
    ]
    return _told(span, "gen_ai.input.messages", events, ("gen_ai.prompt", "llm.input_messages"))


def _output(span: Span) -> list[Message]:
    events: list[Json] = [_choice(fields) for name, fields in span.events if name == "gen_ai.choice"]
    return _told(span, "gen_ai.output.messages", events, ("gen_ai.completion", "llm.output_messages"))


def _told(span: Span, name: str, events: list[Json], indexed: tuple[str, str]) -> list[Message]:
    details = [fields.get(name) for kind, fields in span.events if kind == _DETAILS]
    pieces = [span.indexed(prefix) for prefix in indexed]
    for found in (span.get(name), *details, events, *pieces):
        if messages := messages_of(found):
            return messages
    return []


def _choice(fields: dict[str, Json]) -> dict[str, Json]:
    message = parsed(fields.get("message"))
    inner = message if isinstance(message, dict) else {"content": message}
    return {"role": "assistant", **({} if message is None else inner), **_without(fields, "message")}


def _without(fields: dict[str, Json], name: str) -> dict[str, Json]:
    return {key: value for key, value in fields.items() if key != name}


def _unwrapped(value: Json) -> Json:
    """Return what `input.value` and the like hold: an object written as JSON, or else a text."""
    found = parsed(value)
    if not isinstance(found, (dict, list)):
        return value
    inner = first(table(found).get(key) for key in ("inputs", "kwargs", "outputs"))
    return inner if inner is not None else found


def _usage(span: Span) -> Usage:
    names = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
    written = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")
    return Usage(
        input_tokens=whole_number(span.get(*names)),
        output_tokens=whole_number(span.get(*written)),
        calls=1,
        seconds=seconds_between(span.start or None, span.end),
    )
