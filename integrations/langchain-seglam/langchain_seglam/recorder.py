"""`TraceRecorder`: what any Runnable or graph did, as traces, by callbacks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from seglam_agents import Learned, ReasoningCache, Request, ToolStep, Trace
from seglam_agents.records.record import Json
from seglam_agents.records.trace import ModelStep, Step
from seglam_agents.records.values import encode

from langchain_seglam.accounting import Accounting
from langchain_seglam.learning import Learner, Learning
from langchain_seglam.messages import is_first_turn, is_json, json_of, last_human, result_of, text_of, usage_of

logger = logging.getLogger(__name__)

Asked: TypeAlias = Callable[[object], Request | str | None]
"""Makes the request from what a run was given; None where it does not stand for itself."""
Answered: TypeAlias = Callable[[object], Json]
"""Makes the answer from what a run returned; None where it has none."""


class TraceRecorder(BaseCallbackHandler):
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
        learning: Learning = "inline",
        keep: int = 100,
    ) -> None:
        self.traces: list[Trace] = []
        self._cache = cache
        self._request = request or asked_of
        self._answer = answer or answered_by
        self._keep = keep
        self._runs: dict[UUID, _Run] = {}
        self._roots: dict[UUID, UUID] = {}
        self._lock = threading.Lock()
        self._accounting = Accounting(cache) if cache is not None else None
        self.learner = Learner(learning, self._learned)

    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: dict[str, Any] | Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Begin a run, where it is the outermost."""
        self._begin(run_id, parent_run_id, inputs)

    def on_chain_end(
        self, outputs: dict[str, Any] | Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """End a run, and learn from it where it was clean."""
        run = self._end(run_id)
        if run is None:
            return
        trace = self._trace(run, outputs)
        if trace is None:
            return
        with self._lock:
            self.traces = [*self.traces, trace][-self._keep :]
        if self._cache is not None:
            self.learner.learn(self._cache, trace)

    def on_chain_error(
        self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """A run that raised, or that was interrupted, is not learnt from."""
        if run := self._of(run_id):
            run.spoilt = f"{type(error).__name__}: {error}"
        self._end(run_id)

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Begin a model call."""
        self._begin(run_id, parent_run_id, None, step=True)

    def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Begin a model call."""
        self._begin(run_id, parent_run_id, None, step=True)

    def on_llm_end(
        self, response: LLMResult, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """End a model call."""
        generation = response.generations[0][0] if response.generations and response.generations[0] else None
        message = generation.message if isinstance(generation, ChatGeneration) else None
        if isinstance(message, AIMessage):
            self._fill(run_id, ModelStep(text=text_of(message) or "", usage=usage_of(message)))
        elif generation is not None:
            self._fill(run_id, ModelStep(text=generation.text))

    def on_llm_error(
        self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Leave a failed model call out: the host may have retried it."""
        self._fill(run_id, None)

    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Begin a tool call, with the arguments that the tool really gets."""
        run = self._begin(run_id, parent_run_id, None, step=True)
        if run is None:
            return
        if is_json(inputs):
            run.called[run_id] = (str(serialized.get("name")), cast("dict[str, Json]", inputs or {}))
        else:
            run.spoilt = f"the arguments of {serialized.get('name')} are no JSON"

    def on_tool_end(self, output: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """End a tool call."""
        run = self._of(run_id)
        if run is None or run_id not in run.called:
            return
        name, arguments = run.called[run_id]
        if isinstance(output, ToolMessage):
            result = result_of(output)
            if result.error is not None:
                run.spoilt = f"{name} failed: {result.error}"
            self._fill(
                run_id, ToolStep(tool=name, arguments=arguments, result=encode(result.value), error=result.error)
            )
        elif is_json(output):
            self._fill(run_id, ToolStep(tool=name, arguments=arguments, result=json_of(output)))
        else:
            run.spoilt = f"the result of {name} is a {type(output).__name__}"

    def on_tool_error(
        self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """A run with a tool that failed is not learnt from."""
        if run := self._of(run_id):
            run.spoilt = f"a tool raised {type(error).__name__}: {error}"

    def _begin(self, run_id: UUID, parent_run_id: UUID | None, inputs: object, *, step: bool = False) -> _Run | None:
        with self._lock:
            root = self._roots.get(parent_run_id) if parent_run_id is not None else None
            if root is None:
                if step:
                    return None  # A tool or a model on its own is no run of an agent.
                root = run_id
                self._runs[root] = _Run(inputs)
            self._roots[run_id] = root
            run = self._runs.get(root)
            if step and run is not None:
                run.steps[run_id] = None
            return run

    def _of(self, run_id: UUID) -> _Run | None:
        with self._lock:
            root = self._roots.get(run_id)
            return self._runs.get(root) if root is not None else None

    def _fill(self, run_id: UUID, step: Step | None) -> None:
        run = self._of(run_id)
        if run is None:
            return
        with self._lock:
            if step is None:
                run.steps.pop(run_id, None)
            elif run_id in run.steps:
                run.steps[run_id] = step

    def _end(self, run_id: UUID) -> _Run | None:
        """Return the run that ended, where it was the outermost."""
        with self._lock:
            run = self._runs.pop(run_id, None)
            if run is not None:
                self._roots = {key: root for key, root in self._roots.items() if root != run_id}
            return run

    def _trace(self, run: _Run, outputs: object) -> Trace | None:
        try:
            asked, answer = self._request(run.inputs), self._answer(outputs)
        except Exception:
            logger.exception("a run could not be read")
            return None
        if isinstance(outputs, Mapping) and "__interrupt__" in outputs:
            run.spoilt = "it was interrupted"
        if any(step is None for step in run.steps.values()):
            run.spoilt = run.spoilt or "a step has no end"
        if _has_procedure(cast(object, outputs)):
            run.spoilt = "a procedure answered"
        if run.spoilt or asked is None or answer is None:
            logger.info("not learnt from: %s", run.spoilt or "the run has no request, or no answer")
            return None
        request = asked if isinstance(asked, Request) else Request(text=asked)
        return Trace(request=request, steps=tuple(step for step in run.steps.values() if step), answer=answer)

    def _learned(self, cache: ReasoningCache, trace: Trace, learned: Learned) -> None:
        if self._accounting is not None:
            self._accounting.learned(trace, learned)


@dataclass(slots=True)
class _Run:
    """One outermost run, while it runs."""

    inputs: object
    steps: dict[UUID, Step | None] = field(default_factory=dict[UUID, "Step | None"])
    called: dict[UUID, tuple[str, dict[str, Json]]] = field(default_factory=dict[UUID, "tuple[str, dict[str, Json]]"])
    spoilt: str = ""


def asked_of(inputs: object) -> Request | str | None:
    """Return the request of a run that was given a text, or a single person's message; else None."""
    if isinstance(inputs, str):
        return inputs
    messages = cast("Mapping[str, object]", inputs).get("messages") if isinstance(inputs, Mapping) else inputs
    if not isinstance(messages, (list, tuple)):
        return None
    items = list(cast("Sequence[object]", messages))
    if len(items) == 1 and isinstance(items[0], tuple) and len(cast("tuple[object, ...]", items[0])) == 2:
        role, text = cast("tuple[object, object]", items[0])
        return text if role in ("user", "human") and isinstance(text, str) else None
    if len(items) == 1 and isinstance(items[0], Mapping):
        said = cast("Mapping[str, object]", items[0])
        text = said.get("content")
        return text if said.get("role") in ("user", "human") and isinstance(text, str) else None
    known = [item for item in items if isinstance(item, BaseMessage)]
    human = last_human(known)
    return text_of(human) if human is not None and len(known) == len(items) and is_first_turn(known) else None


def answered_by(outputs: object) -> Json:
    """Return the answer of a run: the text of its last message, or an output that is JSON."""
    if isinstance(outputs, Mapping) and "messages" in outputs:
        messages = cast("Mapping[str, object]", outputs)["messages"]
        last = cast("list[object]", messages)[-1] if isinstance(messages, list) and messages else None
        return text_of(last) if isinstance(last, AIMessage) and not last.tool_calls else None
    if isinstance(outputs, AIMessage):
        return text_of(outputs)
    plain = cast(object, outputs)
    return json_of(plain) if is_json(plain) else None


def _has_procedure(outputs: object) -> bool:
    if not isinstance(outputs, Mapping):
        return False
    messages = cast("Mapping[str, object]", outputs).get("messages")
    if not isinstance(messages, list):
        return False
    # Only what was said since the person's message belongs to this run.
    items = [item for item in cast("list[object]", messages) if isinstance(item, BaseMessage)]
    human = last_human(items)
    tail = items[items.index(human) + 1 :] if human is not None else items
    return any("seglam" in item.response_metadata for item in tail if isinstance(item, AIMessage))
