"""The choice of a router and the decomposition of a question as calls that a procedure makes again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.prompts.mixin import PromptDictType, PromptMixin, PromptMixinType
from llama_index.core.question_gen.types import BaseQuestionGenerator, SubQuestion
from llama_index.core.schema import QueryBundle
from llama_index.core.tools import BaseTool
from llama_index.core.tools.types import ToolMetadata
from seglam_agents import HostTool, ReasoningCache, Tool, Trace, hosting
from seglam_agents.hosting import Choice, Chosen, Flow, adrive, drive, host

P = TypeVar("P", bound=PromptMixin)
R = TypeVar("R")

ROUTE = "route"
ASK = "ask"


def routing_tool(choices: Sequence[ToolMetadata | BaseTool]) -> HostTool:
    """Return the tool by which procedures route requests among these choices, for `ReasoningCache(tools=...)`."""
    return HostTool(_tool(ROUTE, choices), hosting.noted)


def asking_tool(tools: Sequence[ToolMetadata | BaseTool]) -> HostTool:
    """Return the tool by which procedures ask sub-questions of these tools, for `ReasoningCache(tools=...)`."""
    return HostTool(_tool(ASK, tools), hosting.noted)


class _Choosing(Generic[P]):
    """What chooses by a cache; the prompts are those of the inner one."""

    tool: str

    def __init__(self, inner: P, cache: ReasoningCache, *, learning: hosting.Learning = "inline") -> None:
        self.inner = inner
        self._cache, self._drivers = cache, hosting.Drivers(None, learning)
        self._answering = hosting.Answering(cache)

    def _get_prompts(self) -> PromptDictType:
        return {}

    def _update_prompts(self, prompts_dict: PromptDictType) -> None:
        """Leave the prompts to the inner one."""

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"inner": self.inner}

    def _chosen(
        self,
        question: str,
        choices: Sequence[ToolMetadata],
        ask: Flow[R],
        made_of: Callable[[R], Trace | None],
        result_of: Callable[[Sequence[Chosen]], R],
    ) -> Flow[R]:
        """Choose by a procedure, or let the inner one ask the model, and learn."""
        session = hosting.ChoosingSession([choice.name for choice in _choices(choices)])
        found = yield from self._answering.answer(question, [_tool(self.tool, choices)], lambda _: session)
        if found is not None:
            return result_of(found.value)
        result = yield from ask
        yield from self._drivers.learn(self._cache, made_of(result))
        return result


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
        question, inner = query.query_str, self.inner
        return self._chosen(
            question,
            choices,
            host(lambda: inner.select(choices, query), lambda: inner.aselect(choices, query)),
            lambda result: _routed(result, choices, question),
            lambda made: _selection(made, choices),
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
        question, inner = query.query_str, self.inner
        return self._chosen(
            question,
            tools,
            host(lambda: inner.generate(tools, query), lambda: inner.agenerate(tools, query)),
            lambda result: _asked(result, question),
            lambda made: [SubQuestion(sub_question=one.question, tool_name=one.name) for one in made],
        )


def _choices(choices: Sequence[ToolMetadata | BaseTool]) -> list[Choice]:
    known = [choice if isinstance(choice, ToolMetadata) else choice.metadata for choice in choices]
    names = [choice.name or "" for choice in known]
    unique = [x if x and names.count(x) == 1 else f"{number}_{x}" for number, x in enumerate(names)]
    return [Choice(name, choice.description) for name, choice in zip(unique, known, strict=True)]


def _tool(name: str, choices: Sequence[ToolMetadata | BaseTool]) -> Tool:
    return hosting.choosing_tool(name, _choices(choices), asks=name == ASK)


def _routed(result: SelectorResult, choices: Sequence[ToolMetadata], question: str) -> Trace | None:
    names = [choice.name for choice in _choices(choices)]
    if not result.selections or any(not 0 <= one.index < len(names) for one in result.selections):
        return None
    return hosting.trace_of_choices(question, ROUTE, [Chosen(names[one.index]) for one in result.selections])


def _asked(result: Sequence[SubQuestion], question: str) -> Trace:
    return hosting.trace_of_choices(question, ASK, [Chosen(one.tool_name, one.sub_question) for one in result])


def _selection(made: Sequence[Chosen], choices: Sequence[ToolMetadata]) -> SelectorResult:
    names, reason = [choice.name for choice in _choices(choices)], "chosen by a stored procedure"
    return SelectorResult(selections=[SingleSelection(index=names.index(x.name), reason=reason) for x in made])
