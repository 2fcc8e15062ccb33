"""`TraceRecorder`: what any Runnable or graph did, as traces, by callbacks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeAlias
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from seglam_agents import ReasoningCache, Request, Trace
from seglam_agents.hosting import Drivers, Json, Learning, ModelStep, Run, Runs, drive, encode, is_json

from langchain_seglam.kinds import Loose, mapping, several
from langchain_seglam.messages import about, is_first_turn, last_human, result_of, text_of, usage_of

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
        self._runs = Runs[UUID]()
        self._lock = threading.Lock()
        self._drivers = Drivers(None, learning)
        self.learner = self._drivers.learner

    def on_chain_start(self, serialized: Loose, inputs: Loose, *, run_id: UUID, **more: Loose) -> None:
        """Begin a run, where it is the outermost."""
        self._runs.begin(run_id, more.get("parent_run_id"), inputs)

    def on_chain_end(self, outputs: Loose, *, run_id: UUID, **more: Loose) -> None:
        """End a run, and learn from it where it was clean."""
        if (run := self._runs.end(run_id)) is None or (trace := self._trace(run, outputs)) is None:
            return
        with self._lock:
            self.traces = [*self.traces, trace][-self._keep :]
        drive(self._drivers.learn(self._cache, trace))

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **more: Loose) -> None:
        """A run that raised, or that was interrupted, is not learnt from."""
        self._runs.spoil(run_id, f"{type(error).__name__}: {error}")
        self._runs.end(run_id)

    def on_chat_model_start(self, serialized: Loose, messages: Loose, *, run_id: UUID, **more: Loose) -> None:
        """Begin a model call."""
        self._runs.begin(run_id, more.get("parent_run_id"), step=True)

    def on_llm_start(self, serialized: Loose, prompts: Loose, *, run_id: UUID, **more: Loose) -> None:
        """Begin a model call."""
        self._runs.begin(run_id, more.get("parent_run_id"), step=True)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **more: Loose) -> None:
        """End a model call."""
        generation = response.generations[0][0] if response.generations and response.generations[0] else None
        message = generation.message if isinstance(generation, ChatGeneration) else None
        if isinstance(message, AIMessage):
            self._runs.fill(run_id, ModelStep(text=text_of(message) or "", usage=usage_of(message)))
        elif generation is not None:
            self._runs.fill(run_id, ModelStep(text=generation.text))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **more: Loose) -> None:
        """Leave a failed model call out: the host may have retried it."""
        self._runs.fill(run_id, None)

    def on_tool_start(self, serialized: Loose, input_str: str, *, run_id: UUID, **more: Loose) -> None:
        """Begin a tool call, with the arguments that the tool really gets."""
        run, inputs = self._runs.begin(run_id, more.get("parent_run_id"), step=True), more.get("inputs")
        if run is not None:
            run.call(run_id, str(mapping(serialized).get("name")), inputs or {})

    def on_tool_end(self, output: Loose, *, run_id: UUID, **more: Loose) -> None:
        """End a tool call."""
        if isinstance(output, ToolMessage):
            result = result_of(output)
            self._runs.returned(run_id, encode(result.value), result.error)
        elif is_json(output):
            self._runs.returned(run_id, output)
        else:
            self._runs.spoil(run_id, f"the result of a tool is a {type(output).__name__}")

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **more: Loose) -> None:
        """A run with a tool that failed is not learnt from."""
        self._runs.spoil(run_id, f"a tool raised {type(error).__name__}: {error}")

    def _trace(self, run: Run[UUID], outputs: Loose) -> Trace | None:
        try:
            asked, answer = self._request(run.inputs), self._answer(outputs)
        except Exception:
            logger.exception("a run could not be read")
            return None
        if "__interrupt__" in mapping(outputs):
            run.spoilt = "it was interrupted"
        if _has_procedure(outputs):
            run.spoilt = "a procedure answered"
        trace = run.trace(asked, answer)
        if isinstance(trace, Trace):
            return trace
        logger.info("not learnt from: %s", trace)
        return None


def asked_of(inputs: object) -> Request | str | None:
    """Return the request of a run that was given a text, or a single person's message; else None."""
    if isinstance(inputs, str):
        return inputs
    items = several(inputs) or several(mapping(inputs).get("messages"))
    known = [item for item in items if isinstance(item, BaseMessage)]
    if len(items) == 1 and not known:
        return _said_loosely(items[0])
    human = last_human(known)
    return text_of(human) if human is not None and len(known) == len(items) and is_first_turn(known) else None


def answered_by(outputs: object) -> Json:
    """Return the answer of a run: the text of its last message, or an output that is JSON."""
    if "messages" in mapping(outputs):
        last = next(reversed(several(mapping(outputs)["messages"])), None)
        return text_of(last) if isinstance(last, AIMessage) and not last.tool_calls else None
    if isinstance(outputs, AIMessage):
        return text_of(outputs)
    return outputs if is_json(outputs) else None


def _said_loosely(item: Loose) -> str | None:
    """Return what a person said in one of the shorter forms that the host takes for a message."""
    said, pair = mapping(item), several(item)
    role, text = pair if len(pair) == 2 else (said.get("role"), said.get("content"))
    return text if role in ("user", "human") and isinstance(text, str) else None


def _has_procedure(outputs: Loose) -> bool:
    # Only what was said since the person's message belongs to this run.
    items = [item for item in several(mapping(outputs).get("messages")) if isinstance(item, BaseMessage)]
    human = last_human(items)
    tail = items[items.index(human) + 1 :] if human is not None else items
    return any(about(item) for item in tail if isinstance(item, AIMessage))
