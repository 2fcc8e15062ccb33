"""Procedures as tools, and tools as the cache's."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest
from li_support import ADD, ADD_BODY, Open, Runner, Shop, procedure
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.objects import ObjectRetriever
from llama_index.core.tools import FunctionTool
from seglam_agents import ReasoningCache, SeglamError
from seglam_agents.testing.llama_index import ScriptedLLM, call

from llama_index.tools.seglam import (
    ProcedureToolRetriever,
    SeglamToolSpec,
    cache_tools,
    host_tools,
    procedure_tool,
    tool_name,
)
from llama_index.tools.seglam.tools import ToolError

TOTAL_TOOL = "proc_total-1"


def called(run: Runner, tool: FunctionTool, **arguments: Any) -> Any:
    return tool.call(**arguments) if run.colour == "sync" else asyncio.run(tool.acall(**arguments))


def test_a_procedure_is_a_tool(cache: ReasoningCache, shop: Shop, run: Runner) -> None:
    """It runs with named arguments, by the host's tools, and its raw output is the answer."""
    (tool,) = [x for x in cache_tools(cache, tools=shop.tools) if x.metadata.name == TOTAL_TOOL]
    output = called(run, tool, count=2, item="rice")
    assert output.raw_output == "That is 10 coins." == output.content and shop.calls == [("price", "rice")]


def test_arguments_are_checked(cache: ReasoningCache, shop: Shop, run: Runner) -> None:
    """Others are forbidden, missing ones are missing, and what is no count is no count."""
    (tool,) = SeglamToolSpec(cache, tools=shop.tools).to_tool_list(["total"])
    schema = tool.metadata.get_parameters_dict()
    assert set(schema["properties"]) == {"count", "item"} and set(schema["required"]) == {"count", "item"}
    for wrong in ({"count": 2, "item": "rice", "extra": 1}, {"item": "rice"}, {"count": "many", "item": "rice"}):
        with pytest.raises(ToolError):
            called(run, tool, **wrong)
    assert shop.calls == []


def test_a_give_up_says_what_was_done(cache: ReasoningCache, shop: Shop, run: Runner) -> None:
    """The model must not repeat it."""
    (tool,) = SeglamToolSpec(cache, tools=shop.tools).to_tool_list(["buy"])
    with pytest.raises(ToolError, match=r"it is dear.*must not be repeated") as raised:
        called(run, tool, count=1, item="rice")
    again = pickle.loads(pickle.dumps(raised.value))
    assert isinstance(again, SeglamError) and isinstance(again, RuntimeError) and str(again) == str(raised.value)


def test_the_exact_name_comes_first(cache: ReasoningCache, shop: Shop, run: Runner) -> None:
    """With a name the one tool of that name, with a request the nearest."""
    retriever = ProcedureToolRetriever(cache, k=2, tools=shop.tools)
    assert isinstance(retriever, ObjectRetriever)
    assert [tool.metadata.name for tool in run(retriever, "retrieve", TOTAL_TOOL)] == [TOTAL_TOOL]
    near = run(retriever, "retrieve", "please add some numbers")
    assert len(near) == 2 and near[0].metadata.name == "proc_add-1"


def test_tools_that_are_not_there(cache: ReasoningCache, run: Runner) -> None:
    """A procedure whose tools nobody gives is not offered."""
    names = [tool.metadata.name for tool in run(ProcedureToolRetriever(cache, k=9), "retrieve", "cost")]
    assert names == ["proc_add-1"]


def test_a_broken_store_offers_nothing(run: Runner) -> None:
    """The agent runs without."""

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("broken")

    assert run(ProcedureToolRetriever(Broken()), "retrieve", "x") == []  # type: ignore[arg-type]


async def test_an_agent_uses_a_retrieved_procedure(cache: ReasoningCache, shop: Shop) -> None:
    """The host asks twice, and the second time for the name."""
    llm = ScriptedLLM([call(TOTAL_TOOL, count=2, item="tea"), "6 coins"])
    agent = FunctionAgent(tool_retriever=ProcedureToolRetriever(cache, k=1, tools=shop.tools), llm=llm)
    result = await agent.run("total price of two tea")
    assert str(result) == "6 coins"
    assert [x.tool_output.raw_output for x in result.tool_calls] == ["That is 6 coins."]


def test_another_retriever_beside(cache: ReasoningCache, run: Runner) -> None:
    """Procedures do not take the place of other tools."""

    class Fixed(ObjectRetriever[Any]):
        def __init__(self) -> None: ...

        def retrieve(self, str_or_query_bundle: Any) -> list[Any]:
            return [FunctionTool.from_defaults(len, name="len", description="length")]

        async def aretrieve(self, str_or_query_bundle: Any) -> list[Any]:
            return self.retrieve(str_or_query_bundle)

    found = run(ProcedureToolRetriever(cache, k=1, also=Fixed()), "retrieve", "add")
    assert [tool.metadata.name for tool in found] == ["proc_add-1", "len"]


def test_names_and_descriptions_fit_every_provider(opened: Open) -> None:
    """64 letters, and a description that the host sends."""
    cache = opened()
    entry = procedure(cache, "A very, very long name! " * 5, ADD, ADD_BODY)
    assert len(tool_name(entry.procedure)) <= 64
    procedure_tool(cache, entry).metadata.to_openai_tool()


def test_functions_are_host_tools(opened: Open) -> None:
    """Plain and async functions; a failure is a failure."""

    async def double(number: int) -> int:
        """Double."""
        return 2 * number

    def fail() -> int:
        """Fail."""
        raise KeyError("x")

    plain, failing = host_tools([double, fail])
    assert plain.function(number=4) == 8 and plain.tool.argument_names == ("number",)
    with pytest.raises(KeyError):
        failing.function()
