"""`TraceRecorder`: what any Runnable or graph did, as traces, by callbacks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage, convert_to_messages
from langchain_core.tracers import BaseTracer, Run
from seglam_agents import ReasoningCache, Request, ToolResult, ToolStep, Trace, hosting
from seglam_agents.hosting import ModelStep, mapping, several

from langchain_seglam.kinds import Loose, State, loose
from langchain_seglam.messages import about, is_first_turn, last_human, shown, text_of

logger = logging.getLogger(__name__)

MODELS = ("llm", "chat_model")
STEPS = (*MODELS, "tool")

Asked: TypeAlias = Callable[[object], Request | str | None]
"""Makes the request from what a run was given; None where it does not stand for itself."""
Answered: TypeAlias = Callable[[object], hosting.Json]
"""Makes the answer from what a run returned; None where it has none."""


class TraceRecorder(BaseTracer):
    """Records the tool calls and model calls of every run that it is given to, in the order in which they began.

    `graph.invoke(given, {"callbacks": [TraceRecorder(cache)]})`, or `.with_config(callbacks=[...])`; blocking or not,
    with subgraphs and parallel tools. A clean run is learnt from: one without an error, an interrupt, a failed tool,
    or a message of a procedure. A run that is interrupted and resumed is two runs here, and is not learnt from; the
    middleware and `add_reasoning_cache` record across interrupts.

    Args:
        cache: what learns; None to record alone.
        request: makes the request; without it, the text of a single person's message, or of an input that is a text.
        answer: makes the answer; without it, the text of the last message, or an output that is JSON.
        learning: `inline`, `background` or `off`.
        keep: how many traces are kept in `traces`.
    """

    def __init__(
        self,
        cache: ReasoningCache | None = None,
        *,
        request: Asked | None = None,
        answer: Answered | None = None,
        learning: hosting.Learning = "inline",
        keep: int = 100,
    ) -> None:
        super().__init__(_schema_format="streaming_events")  # Inputs and outputs as they are, whatever they are.
        self.traces: list[Trace] = []
        if cache is not None:
            hosting.require_cache(cache)
        self._cache = cache
        self._request = request or asked_of
        self._answer = answer or answered_by
        self._keep = keep
        self._lock = threading.Lock()
        self._drivers = hosting.Drivers(None, learning)
        self.learner = self._drivers.learner

    def _persist_run(self, run: Run) -> None:
        """Take in an outermost run that has ended. Never raises."""
        known = _within(run)
        for one in known:
            self.order_map.pop(one.id, None)  # The tracer itself keeps it for as long as it lives.
        trace = hosting.safely(lambda: self._traced(run, known), "it cannot be read", "a run could not be read")
        if isinstance(trace, str):
            logger.info("not learnt from: %s", trace)
            return
        with self._lock:
            self.traces = [*self.traces, trace][-self._keep :]
        hosting.drive(self._drivers.learn(self._cache, trace))

    def _traced(self, run: Run, known: Sequence[Run]) -> Trace | str:
        """Return a run as a trace, or why it is no clean run."""
        outputs: object = mapping(loose(run).outputs).get("output")
        steps = [_step(one) for one in known if one.run_type in STEPS and not _retried(one)]
        problems = [step for step in steps if isinstance(step, str)]
        failed = [one.error for one in known if one.error is not None and not _retried(one)]
        if run.run_type != "chain" or failed or problems:
            return next(iter(problems), "it failed" if failed else "a step on its own is no run of an agent")
        if "__interrupt__" in mapping(outputs) or _has_procedure(outputs):
            return "it was interrupted, or a procedure answered"
        asked, answer = self._request(mapping(loose(run).inputs).get("input")), self._answer(outputs)
        if asked is None or answer is None:
            return "it has no request, or no answer"
        request = asked if isinstance(asked, Request) else Request(text=asked)
        return Trace(request=request, steps=tuple(x for x in steps if not isinstance(x, str)), answer=answer)


def _within(run: Run) -> list[Run]:
    """Return a run and all that ran within, in the order in which they began."""
    found = [run]
    for one in found:
        found.extend(one.child_runs)
    return sorted(found, key=lambda one: one.start_time)


def _retried(run: Run) -> bool:
    """Tell whether a run is a model call that failed: the host may have made it again."""
    return run.error is not None and run.run_type in MODELS


def _step(run: Run) -> ModelStep | ToolStep | str:
    """Return a model call or a tool call as a step, or why it is none."""
    inputs, outputs = mapping(loose(run).inputs), mapping(loose(run).outputs)
    if run.end_time is None:
        return f"{run.name} has no end"
    return _model_step(outputs) if run.run_type in MODELS else _tool_step(run.name, inputs.get("input"), outputs)


def _model_step(outputs: State) -> ModelStep:
    replies = [reply for batch in several(outputs.get("generations")) for reply in several(batch)]
    first = mapping(replies[0] if replies else None)
    usage = mapping(mapping(mapping(first.get("message")).get("kwargs")).get("usage_metadata"))
    counts = {name: usage.get(name, 0) for name in ("input_tokens", "output_tokens")} if usage else {}
    return ModelStep(
        text=str(first.get("text") or ""), usage=hosting.Usage(**counts, calls=1) if counts else hosting.Usage()
    )


def _tool_step(name: str, given: object, outputs: State) -> ToolStep | str:
    arguments, output = mapping(given), outputs.get("output")
    result = shown(output).result() if isinstance(output, ToolMessage) else ToolResult(error="its result is no JSON")
    if not isinstance(output, ToolMessage) and hosting.is_json(output):
        result = ToolResult(value=hosting.decode(output))
    if result.error is not None or not hosting.is_object(arguments):
        return f"{name} failed: {result.error or 'its arguments are no JSON'}"
    return ToolStep(tool=name, arguments={**arguments}, result=hosting.encode(result.value))


def asked_of(inputs: object) -> Request | str | None:
    """Return the request of a run that was given a text, or a single person's message; else None."""
    if isinstance(inputs, str):
        return inputs
    items = several(inputs) or several(mapping(inputs).get("messages"))
    known = convert_to_messages(items) if len(items) == 1 else [x for x in items if isinstance(x, BaseMessage)]
    human = last_human(known)
    return text_of(human) if human is not None and len(known) == len(items) and is_first_turn(known) else None


def answered_by(outputs: object) -> hosting.Json:
    """Return the answer of a run: the text of its last message, or an output that is JSON."""
    if "messages" in mapping(outputs):
        last = next(reversed(several(mapping(outputs)["messages"])), None)
        return text_of(last) if isinstance(last, AIMessage) and not last.tool_calls else None
    if isinstance(outputs, AIMessage):
        return text_of(outputs)
    return outputs if hosting.is_json(outputs) else None


def _has_procedure(outputs: Loose) -> bool:
    # Only what was said since the person's message belongs to this run.
    items = [item for item in several(mapping(outputs).get("messages")) if isinstance(item, BaseMessage)]
    human = last_human(items)
    tail = items[items.index(human) + 1 :] if human is not None else items
    return any(about(item) for item in tail if isinstance(item, AIMessage))
