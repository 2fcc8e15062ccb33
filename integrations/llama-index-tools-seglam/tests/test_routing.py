"""Selectors and question generators: the choice is kept, not the answer."""

from __future__ import annotations

from typing import Any

import pytest
from li_support import Open, Runner
from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.query_engine import CustomQueryEngine, RouterQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen.types import BaseQuestionGenerator, SubQuestion
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.tools import QueryEngineTool, ToolMetadata
from seglam_agents.testing.llama_index import ScriptedLLM

from llama_index.tools.seglam import SeglamQuestionGenerator, SeglamSelector, asking_tool, routing_tool

CHOICES = [ToolMetadata("orders of customers", name="orders"), ToolMetadata("the handbook", name="handbook")]
ROUTED = "how many orders are there from {}"
COMPARED = "compare the revenue of {} and {}"
TOWNS = ("Oslo", "Bergen", "Tromso", "Bodo")


class Selector(BaseSelector):
    """Chooses by a word, and counts."""

    calls = 0

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts: Any) -> None: ...

    def _select(self, choices: Any, query: Any) -> SelectorResult:
        self.calls += 1
        index = 0 if "orders" in query.query_str else 1
        return SelectorResult(selections=[SingleSelection(index=index, reason="the model says so")])

    async def _aselect(self, choices: Any, query: Any) -> SelectorResult:
        return self._select(choices, query)


class Generator(BaseQuestionGenerator):
    """Splits a comparison, and counts."""

    calls = 0

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts: Any) -> None: ...

    def generate(self, tools: Any, query: Any) -> list[SubQuestion]:
        self.calls += 1
        one, other = query.query_str.split(" of ")[1].split(" and ")
        return [SubQuestion(sub_question=f"what is the revenue of {x}", tool_name="orders") for x in (one, other)]

    async def agenerate(self, tools: Any, query: Any) -> list[SubQuestion]:
        return self.generate(tools, query)


class Echo(CustomQueryEngine):
    """Says what it was asked."""

    name: str

    def custom_query(self, query_str: str) -> str:
        return f"{self.name}: {query_str}"


def test_a_choice_is_made_again(opened: Open, run: Runner) -> None:
    """Four requests of a kind teach; further ones with names that were seen are routed by code."""
    inner = Selector()
    selector = SeglamSelector(inner, opened(tools=[routing_tool(CHOICES)]))
    for town in TOWNS[:4]:
        run(selector, "select", CHOICES, ROUTED.format(town))
    calls = inner.calls
    assert run(selector, "select", CHOICES, ROUTED.format("Bodo")).ind == 0 and inner.calls == calls
    assert run(selector, "select", CHOICES, ROUTED.format("the moon")).ind == 0 and inner.calls == calls + 1
    assert run(selector, "select", CHOICES, "where is the handbook").ind == 1 and inner.calls == calls + 2


def test_other_choices_are_chosen_anew(opened: Open, run: Runner) -> None:
    """A choice among others, or with another description, is the model's."""
    inner = Selector()
    selector = SeglamSelector(inner, opened(tools=[routing_tool(CHOICES)]))
    for town in TOWNS[:4]:
        run(selector, "select", CHOICES, ROUTED.format(town))
    calls = inner.calls
    for others in ([*CHOICES, ToolMetadata("x", name="x")], [ToolMetadata("new", name="orders"), CHOICES[1]]):
        run(selector, "select", others, ROUTED.format("Bodo"))
    assert inner.calls == calls + 2


def test_a_router_engine(opened: Open, run: Runner) -> None:
    """The chosen engine answers, every time."""
    engines = [
        QueryEngineTool.from_defaults(Echo(name=c.name), name=c.name, description=c.description) for c in CHOICES
    ]
    inner = Selector()
    selector = SeglamSelector(inner, opened(tools=[routing_tool(engines)]))
    router = RouterQueryEngine(selector, engines, llm=ScriptedLLM([]))
    for town in [*TOWNS, *TOWNS]:
        assert run.query(router, ROUTED.format(town))[1] == f"orders: {ROUTED.format(town)}"
    assert inner.calls == 4


def test_a_decomposition_is_made_again(opened: Open, run: Runner) -> None:
    """Sub-questions are written from the words of the request."""
    inner = Generator()
    generator = SeglamQuestionGenerator(inner, opened(tools=[asking_tool(CHOICES)]))
    pairs = [("Oslo", "Bergen"), ("Bodo", "Tromso"), ("Narvik", "Hamar"), ("Molde", "Lom"), ("Oslo", "Lom")]
    from llama_index.core.schema import QueryBundle

    for pair in pairs[:4]:
        run(generator, "generate", CHOICES, QueryBundle(COMPARED.format(*pair)))
    calls = inner.calls
    found = run(generator, "generate", CHOICES, QueryBundle(COMPARED.format(*pairs[4])))
    assert inner.calls == calls
    assert [one.sub_question for one in found] == ["what is the revenue of Oslo", "what is the revenue of Lom"]


def test_a_sub_question_engine(opened: Open, run: Runner) -> None:
    """It fits where the host wants a question generator."""
    tools = [QueryEngineTool.from_defaults(Echo(name="orders"), name="orders", description="orders")]
    inner = Generator()
    engine = SubQuestionQueryEngine(
        question_gen=SeglamQuestionGenerator(inner, opened(tools=[asking_tool(tools)])),
        response_synthesizer=get_response_synthesizer(llm=ScriptedLLM(lambda _: "both")),
        query_engine_tools=tools,
        use_async=False,
        verbose=False,
    )
    assert run.query(engine, COMPARED.format("Oslo", "Bergen"))[1] == "both" and inner.calls == 1


@pytest.mark.parametrize("kind", [SeglamSelector, SeglamQuestionGenerator])
def test_a_broken_cache_leaves_it_to_the_model(run: Runner, kind: Any) -> None:
    """Fail open."""

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("broken")

    from llama_index.core.schema import QueryBundle

    if kind is SeglamSelector:
        assert run(SeglamSelector(Selector(), Broken()), "select", CHOICES, "orders").ind == 0  # type: ignore[arg-type]
    else:
        generator = SeglamQuestionGenerator(Generator(), Broken())  # type: ignore[arg-type]
        assert len(run(generator, "generate", CHOICES, QueryBundle(COMPARED.format("a", "b")))) == 2
