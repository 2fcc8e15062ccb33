"""The choice of a router and the decomposition of a question as calls that a procedure makes again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.prompts.mixin import PromptDictType, PromptMixin, PromptMixinType
from llama_index.core.question_gen.types import BaseQuestionGenerator, SubQuestion
from llama_index.core.schema import QueryBundle
from llama_index.core.tools import BaseTool
from llama_index.core.tools.types import ToolMetadata
from seglam_agents import HostTool, ReasoningCache, Trace
from seglam_agents.hosting import (
    Answering,
    Choice,
    ChoosingSession,
    Chosen,
    Learner,
    Learning,
    choosing_tool,
    noted,
    trace_of_choices,
)

P = TypeVar("P", bound=PromptMixin)

ROUTE = "route"
ASK = "ask"


def routing_tool(choices: Sequence[ToolMetadata | BaseTool]) -> HostTool:
    """Return the tool by which procedures route requests among these choices, for `ReasoningCache(tools=...)`."""
    return HostTool(choosing_tool(ROUTE, _choices(choices)), noted)


def asking_tool(tools: Sequence[ToolMetadata | BaseTool]) -> HostTool:
    """Return the tool by which procedures ask sub-questions of these tools, for `ReasoningCache(tools=...)`."""
    return HostTool(choosing_tool(ASK, _choices(tools)), noted)


class _Choosing(Generic[P]):
    """What chooses by a cache; the prompts are those of the inner one."""

    tool: str

    def __init__(self, inner: P, cache: ReasoningCache, *, learning: Learning = "inline") -> None:
        self.inner = inner
        self._answering = Answering(cache)
        self._cache, self._learner = cache, Learner[ReasoningCache](learning)

    def _get_prompts(self) -> PromptDictType:
        return {}

    def _update_prompts(self, prompts_dict: PromptDictType) -> None:
        """Leave the prompts to the inner one."""

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"inner": self.inner}

    def _known(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> list[Chosen] | None:
        known = _choices(choices)
        session = ChoosingSession([choice.name for choice in known])
        found = self._answering.answer(query.query_str, [choosing_tool(self.tool, known)], lambda _: session)
        return found.value if found is not None else None

    async def _aknown(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> list[Chosen] | None:
        known = _choices(choices)
        session = ChoosingSession([choice.name for choice in known])
        found = await self._answering.aanswer(query.query_str, [choosing_tool(self.tool, known)], lambda _: session)
        return found.value if found is not None else None

    def _learn(self, trace: Trace | None) -> None:
        if trace is not None:
            self._learner.learn(self._cache, trace)

    async def _alearn(self, trace: Trace | None) -> None:
        if trace is not None:
            await self._learner.alearn(self._cache, trace)


class SeglamSelector(_Choosing[BaseSelector], BaseSelector):
    """A selector whose choices of a known kind are made by stored code.

    Open the cache with `tools=[routing_tool(choices)]`: other choices, or choices with other descriptions, are another
    tool, so that nothing chosen among the old ones is chosen again.

    Args:
        inner: asks the model.
        cache: of its own; the same text means something else elsewhere.
        learning: within the selection, in the background, or never.
    """

    tool = ROUTE

    def _select(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        if (made := self._known(choices, query)) is not None:
            return _selection(made, choices)
        result = self.inner.select(choices, query)
        self._learn(_routed(result, choices, query.query_str))
        return result

    async def _aselect(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        if (made := await self._aknown(choices, query)) is not None:
            return _selection(made, choices)
        result = await self.inner.aselect(choices, query)
        await self._alearn(_routed(result, choices, query.query_str))
        return result


class SeglamQuestionGenerator(_Choosing[BaseQuestionGenerator], BaseQuestionGenerator):
    """A question generator whose decompositions of a known kind are made by stored code.

    Args:
        inner: asks the model.
        cache: opened with `tools=[asking_tool(tools)]`.
        learning: within the generation, in the background, or never.
    """

    tool = ASK

    def generate(self, tools: Sequence[ToolMetadata], query: QueryBundle) -> list[SubQuestion]:
        """Return the sub-questions of a question."""
        if (made := self._known(tools, query)) is not None:
            return _questions(made)
        result = self.inner.generate(tools, query)
        self._learn(_asked(result, query.query_str))
        return result

    async def agenerate(self, tools: Sequence[ToolMetadata], query: QueryBundle) -> list[SubQuestion]:
        """Return the sub-questions of a question."""
        if (made := await self._aknown(tools, query)) is not None:
            return _questions(made)
        result = await self.inner.agenerate(tools, query)
        await self._alearn(_asked(result, query.query_str))
        return result


def _choices(choices: Sequence[ToolMetadata | BaseTool]) -> list[Choice]:
    known = [choice if isinstance(choice, ToolMetadata) else choice.metadata for choice in choices]
    names = [choice.name or "" for choice in known]
    unique = [x if x and names.count(x) == 1 else f"{number}_{x}" for number, x in enumerate(names)]
    return [Choice(name, choice.description) for name, choice in zip(unique, known, strict=True)]


def _routed(result: SelectorResult, choices: Sequence[ToolMetadata], question: str) -> Trace | None:
    names = [choice.name for choice in _choices(choices)]
    if not result.selections or any(not 0 <= one.index < len(names) for one in result.selections):
        return None
    return trace_of_choices(question, ROUTE, [Chosen(names[one.index], question) for one in result.selections])


def _asked(result: Sequence[SubQuestion], question: str) -> Trace:
    return trace_of_choices(question, ASK, [Chosen(one.tool_name, one.sub_question) for one in result])


def _selection(made: Sequence[Chosen], choices: Sequence[ToolMetadata]) -> SelectorResult:
    names, reason = [choice.name for choice in _choices(choices)], "chosen by a stored procedure"
    return SelectorResult(selections=[SingleSelection(index=names.index(x.name), reason=reason) for x in made])


def _questions(made: Sequence[Chosen]) -> list[SubQuestion]:
    return [SubQuestion(sub_question=chosen.question, tool_name=chosen.name) for chosen in made]
