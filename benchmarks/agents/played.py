"""`PlayedChat`: the chat model of an agent, played by the ground truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, cast

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import PrivateAttr

from benchmarks.workbench.player import cost, next_step
from benchmarks.workbench.truth import Task
from benchmarks.workbench.world import World
from seglam_agents.records.outcome import Final
from seglam_agents.records.record import Json, digest
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.usage import Usage

PHRASINGS = (
    "Done.",
    "All set, I took care of it.",
    "That is finished; let me know what else I can help with.",
    "Everything went through as you wished.",
)
"""Last messages of a model that talks freely: nothing in a run says which."""


class PlayedChat(BaseChatModel):
    """Says the next call of a task, or its answer, from the messages so far; and counts what that costs.

    Texts do not tell tasks apart (two may have the same), so the task is named before each run.
    """

    _initial: World = PrivateAttr()
    _task: Task | None = PrivateAttr(default=None)
    _used: Usage = PrivateAttr(default_factory=Usage)
    _free: bool = PrivateAttr(default=False)

    def __init__(self, initial: World, *, free: bool = False) -> None:
        super().__init__()
        self._initial, self._free = initial, free

    def begin(self, task: Task) -> None:
        """Name the task of the next run, and count anew."""
        self._task, self._used = task, Usage()

    @property
    def used(self) -> Usage:
        """What was spent since `begin`."""
        return self._used

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the model as it is: it knows the tools."""
        return self.bind(**kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        task, history = self._asked(messages), history_of(messages)
        move = next_step(task, self._initial, history)
        spent = cost(task, history, move)
        self._used += spent
        message = AIMessage(
            content=self._said(task, move) if isinstance(move, Final) else "",
            tool_calls=[]
            if isinstance(move, Final)
            else [{"name": move.tool, "args": dict(move.arguments), "id": f"call_{len(history)}", "type": "tool_call"}],
            usage_metadata={
                "input_tokens": spent.input_tokens,
                "output_tokens": spent.output_tokens,
                "total_tokens": spent.tokens,
            },
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _said(self, task: Task, move: Final) -> str:
        """Return the last message, in one of a few phrasings where the model talks freely."""
        return PHRASINGS[int(digest(task.query), 16) % len(PHRASINGS)] if self._free else str(move.answer)

    def _asked(self, messages: Sequence[BaseMessage]) -> Task:
        asked = next((message.text for message in reversed(messages) if isinstance(message, HumanMessage)), None)
        if self._task is None or asked != self._task.query:
            raise ValueError(f"the truth is not known of {asked!r}: call `begin` with its task")
        return self._task

    @property
    def _llm_type(self) -> str:
        return "played by the ground truth"


def history_of(messages: Sequence[BaseMessage]) -> list[ToolStep]:
    """Return the calls that messages show with their results, by whomever they were asked for."""
    results = {message.tool_call_id: message for message in messages if isinstance(message, ToolMessage)}
    return [
        _step(call["name"], call["args"], results[call["id"] or ""])
        for message in messages
        if isinstance(message, AIMessage)
        for call in message.tool_calls
        if call["id"] in results
    ]


def _step(tool: str, arguments: dict[str, Any], message: ToolMessage) -> ToolStep:
    if message.status == "error":
        return ToolStep(tool=tool, arguments=arguments, error=message.text)
    return ToolStep(tool=tool, arguments=arguments, result=cast(Json, json.loads(message.text)))
