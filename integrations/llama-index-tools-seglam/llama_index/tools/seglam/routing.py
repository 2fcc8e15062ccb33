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
from seglam_agents import HostTool, ReasoningCache, hosting
from seglam_agents.hosting import Choice, Chosen, Flow, adrive, drive, host

P = TypeVar("P", bound=PromptMixin)

ROUTE = "route"
ASK = "ask"


def routing_tool(choices: Sequence[ToolMetadata | BaseTool]) -> HostTool:
    """Return the tool by which procedures route requests among these choices, for `ReasoningCache(tools=...)`."""
    return HostTool(hosting.choosing_tool(ROUTE, _choices(choices), asks=False), hosting.noted)


def asking_tool(tools: Sequence[ToolMetadata | BaseTool]) -> HostTool:
    """Return the tool by which procedures ask sub-questions of these tools, for `ReasoningCache(tools=...)`."""
    return HostTool(hosting.choosing_tool(ASK, _choices(tools), asks=True), hosting.noted)


class _Choosing(Generic[P]):
    """What chooses by a cache; the prompts are those of the inner one."""

    tool: str

    def __init__(self, inner: P, cache: ReasoningCache, *, learning: hosting.Learning = "inline") -> None:
        self.inner = inner
        self._chooser = hosting.Chooser(cache, self.tool, learning, asks=self.tool == ASK)

    def _get_prompts(self) -> PromptDictType:
        return {}

    def _update_prompts(self, prompts_dict: PromptDictType) -> None:
        """Leave the prompts to the inner one."""

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"inner": self.inner}


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
        return drive(self._selected(choices, query))

    async def _aselect(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        return await adrive(self._selected(choices, query))

    def _selected(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> Flow[SelectorResult]:
        inner, known = self.inner, _choices(choices)
        names = [choice.name for choice in known]
        return self._chooser.chosen(
            query.query_str,
            known,
            host(lambda: inner.select(choices, query), lambda: inner.aselect(choices, query)),
            lambda result: _routed(result, names),
            lambda made: _selection(made, names),
        )


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
        return drive(self._generated(tools, query))

    async def agenerate(self, tools: Sequence[ToolMetadata], query: QueryBundle) -> list[SubQuestion]:
        """Return the sub-questions of a question."""
        return await adrive(self._generated(tools, query))

    def _generated(self, tools: Sequence[ToolMetadata], query: QueryBundle) -> Flow[list[SubQuestion]]:
        inner = self.inner
        return self._chooser.chosen(
            query.query_str,
            _choices(tools),
            host(lambda: inner.generate(tools, query), lambda: inner.agenerate(tools, query)),
            lambda result: [Chosen(one.tool_name, one.sub_question) for one in result],
            lambda made: [SubQuestion(sub_question=one.question, tool_name=one.name) for one in made],
        )


def _choices(choices: Sequence[ToolMetadata | BaseTool]) -> list[Choice]:
    known = [choice if isinstance(choice, ToolMetadata) else choice.metadata for choice in choices]
    return hosting.choices_of((choice.name, choice.description) for choice in known)


def _routed(result: SelectorResult, names: Sequence[str]) -> Sequence[Chosen] | None:
    if not result.selections or any(not 0 <= one.index < len(names) for one in result.selections):
        return None
    return [Chosen(names[one.index]) for one in result.selections]


def _selection(made: Sequence[Chosen], names: Sequence[str]) -> SelectorResult:
    reason = "chosen by a stored procedure"
    return SelectorResult(selections=[SingleSelection(index=names.index(x.name), reason=reason) for x in made])
