"""The choice of a router and the decomposition of a question as calls that a procedure makes again."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.prompts.mixin import PromptDictType, PromptMixinType
from llama_index.core.question_gen.types import BaseQuestionGenerator, SubQuestion
from llama_index.core.schema import QueryBundle
from llama_index.core.tools import BaseTool
from llama_index.core.tools.types import ToolMetadata
from seglam_agents import (
    Call,
    Final,
    GiveUp,
    HostTool,
    Plan,
    ReasoningCache,
    Request,
    Tool,
    ToolResult,
    ToolStep,
    Trace,
)
from seglam_agents.records.record import Json, digest
from seglam_agents.records.values import Value

from llama_index.tools.seglam.learning import Learner, Learning
from llama_index.tools.seglam.running import arun_plan, run_plan

logger = logging.getLogger(__name__)

ROUTE = "route"
ASK = "ask"
DONE = "done"


def routing_tool(choices: Sequence[ToolMetadata | BaseTool]) -> HostTool:
    """Return the tool by which procedures route requests among these choices, for `ReasoningCache(tools=...)`."""
    return HostTool(_tool(ROUTE, [_metadata(choice) for choice in choices]), _noted)


def asking_tool(tools: Sequence[ToolMetadata | BaseTool]) -> HostTool:
    """Return the tool by which procedures ask sub-questions of these tools, for `ReasoningCache(tools=...)`."""
    return HostTool(_tool(ASK, [_metadata(tool) for tool in tools]), _noted)


class SeglamSelector(BaseSelector):
    """A selector whose choices of a known kind are made by stored code.

    Open the cache with `tools=[routing_tool(choices)]`: other choices, or choices with other descriptions, are another
    tool, so that nothing chosen among the old ones is chosen again.

    Args:
        inner: asks the model.
        cache: of its own; the same text means something else elsewhere.
        learning: within the selection, in the background, or never.
    """

    def __init__(self, inner: BaseSelector, cache: ReasoningCache, *, learning: Learning = "inline") -> None:
        self.inner = inner
        self._book = _Book(cache, Learner(learning))

    def _get_prompts(self) -> PromptDictType:
        return {}

    def _update_prompts(self, prompts_dict: PromptDictType) -> None:
        """Leave the prompts to the inner selector."""

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"inner": self.inner}

    def _select(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        tool = _tool(ROUTE, choices)
        known = self._book.calls(tool, query.query_str)
        if known and (found := _selection(known, choices)) is not None:
            return found
        result = self.inner.select(choices, query)
        if (trace := _routed(result, choices, query.query_str)) is not None:
            self._book.learn(trace)
        return result

    async def _aselect(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        tool = _tool(ROUTE, choices)
        known = await self._book.acalls(tool, query.query_str)
        if known and (found := _selection(known, choices)) is not None:
            return found
        result = await self.inner.aselect(choices, query)
        if (trace := _routed(result, choices, query.query_str)) is not None:
            await self._book.alearn(trace)
        return result


class SeglamQuestionGenerator(BaseQuestionGenerator):
    """A question generator whose decompositions of a known kind are made by stored code.

    Args:
        inner: asks the model.
        cache: opened with `tools=[asking_tool(tools)]`.
        learning: within the generation, in the background, or never.
    """

    def __init__(self, inner: BaseQuestionGenerator, cache: ReasoningCache, *, learning: Learning = "inline") -> None:
        self.inner = inner
        self._book = _Book(cache, Learner(learning))

    def _get_prompts(self) -> PromptDictType:
        return {}

    def _update_prompts(self, prompts_dict: PromptDictType) -> None:
        """Leave the prompts to the inner generator."""

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"inner": self.inner}

    def generate(self, tools: Sequence[ToolMetadata], query: QueryBundle) -> list[SubQuestion]:
        """Return the sub-questions of a question."""
        known = self._book.calls(_tool(ASK, tools), query.query_str)
        if known and (found := _questions(known, tools)) is not None:
            return found
        result = self.inner.generate(tools, query)
        self._book.learn(_asked(result, query.query_str))
        return result

    async def agenerate(self, tools: Sequence[ToolMetadata], query: QueryBundle) -> list[SubQuestion]:
        """Return the sub-questions of a question."""
        known = await self._book.acalls(_tool(ASK, tools), query.query_str)
        if known and (found := _questions(known, tools)) is not None:
            return found
        result = await self.inner.agenerate(tools, query)
        await self._book.alearn(_asked(result, query.query_str))
        return result


@dataclass(frozen=True, slots=True)
class _Book:
    """Asks a cache which calls a procedure makes for a question, and tells it which ones were made."""

    cache: ReasoningCache
    learner: Learner

    def calls(self, tool: Tool, question: str) -> tuple[ToolStep, ...]:
        """Return the calls; none where no procedure applies. Never raises."""
        try:
            plan = self._plan(tool, question)
            return self._end(plan, *run_plan(self.cache, plan, _note)) if plan is not None else ()
        except Exception:
            logger.exception("the cache is broken; the model chooses")
            return ()

    async def acalls(self, tool: Tool, question: str) -> tuple[ToolStep, ...]:
        """Return the calls without blocking the event loop. See `calls`."""
        try:
            plan = await asyncio.to_thread(self._plan, tool, question)
            return self._end(plan, *await arun_plan(self.cache, plan, _anote)) if plan is not None else ()
        except Exception:
            logger.exception("the cache is broken; the model chooses")
            return ()

    def learn(self, trace: Trace) -> None:
        self.learner.learn(self.cache, trace)

    async def alearn(self, trace: Trace) -> None:
        await self.learner.alearn(self.cache, trace)

    def _plan(self, tool: Tool, question: str) -> Plan | None:
        plan = self.cache.plan(question)
        if not isinstance(plan, Plan):
            return None
        if [use.schema_hash for use in plan.tools] != [tool.schema_hash]:
            self.cache.finish(plan, GiveUp("it chooses among something else"))
            return None
        return plan

    def _end(self, plan: Plan, action: Final | GiveUp, steps: tuple[ToolStep, ...]) -> tuple[ToolStep, ...]:
        self.cache.finish(plan, action, steps)
        return steps if isinstance(action, Final) else ()


def _tool(name: str, choices: Sequence[ToolMetadata]) -> Tool:
    """Return the tool that stands for choosing. Calling it is the answer itself, so it counts as a write."""
    described: Json = [[name, choice.description] for name, choice in zip(_names(choices), choices, strict=True)]
    return Tool(
        name=name,
        description="Send a question to one of: " + ", ".join(_names(choices)),
        parameters={
            "type": "object",
            "properties": {
                "choice": {"type": "string", "enum": list(_names(choices))},
                "question": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["choice", "question"],
            "$comment": digest(described),
        },
        # Nothing is read that could tell a wrong choice: words are held to what was seen, as before a write.
        effect="write",
        idempotent=True,
    )


def _names(choices: Sequence[ToolMetadata]) -> tuple[str, ...]:
    names = [choice.name or "" for choice in choices]
    return tuple(name if name and names.count(name) == 1 else f"{number}_{name}" for number, name in enumerate(names))


def _routed(result: SelectorResult, choices: Sequence[ToolMetadata], question: str) -> Trace | None:
    names = _names(choices)
    if not result.selections or any(not 0 <= one.index < len(names) for one in result.selections):
        return None
    return _trace(question, [(ROUTE, names[one.index], question) for one in result.selections])


def _asked(result: Sequence[SubQuestion], question: str) -> Trace:
    return _trace(question, [(ASK, one.tool_name, one.sub_question) for one in result])


def _trace(text: str, calls: Sequence[tuple[str, str, str]]) -> Trace:
    steps = tuple(
        ToolStep(tool=tool, arguments={"choice": choice, "question": _split(question)}, result=True)
        for tool, choice, question in calls
    )
    return Trace(request=Request(text=text), steps=steps, answer=DONE)


def _selection(steps: Sequence[ToolStep], choices: Sequence[ToolMetadata]) -> SelectorResult | None:
    names = _names(choices)
    wanted = [str(step.arguments.get("choice")) for step in steps]
    if any(name not in names for name in wanted):
        return None
    return SelectorResult(
        selections=[SingleSelection(index=names.index(name), reason="chosen by a stored procedure") for name in wanted]
    )


def _questions(steps: Sequence[ToolStep], tools: Sequence[ToolMetadata]) -> list[SubQuestion] | None:
    names = {tool.name for tool in tools}
    found = [
        SubQuestion(sub_question=_joined(step.arguments.get("question")), tool_name=str(step.arguments.get("choice")))
        for step in steps
    ]
    return found if all(one.tool_name in names for one in found) else None


def _split(question: str) -> Json:
    """Return the words of a question and what is between them.

    As one text, the trace compiler would keep a dictionary from the words of the request to whole questions, and serve
    no other words than those it has seen.
    """
    return list(re.findall(r"\w+|[^\w]+", question))


def _joined(words: Json) -> str:
    return "".join(str(word) for word in words) if isinstance(words, list) else str(words)


def _metadata(choice: ToolMetadata | BaseTool) -> ToolMetadata:
    return choice if isinstance(choice, ToolMetadata) else choice.metadata


def _noted(choice: Value, question: Value) -> Value:
    return True


def _note(action: Call) -> ToolResult:
    return ToolResult(value=True)


async def _anote(action: Call) -> ToolResult:
    return ToolResult(value=True)
