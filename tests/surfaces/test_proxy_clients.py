"""The chat models of LangChain and LlamaIndex, pointed at the proxy: served, so that they use their own clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike, OpenAILikeResponses

from seglam_agents import ReasoningCache
from seglam_agents.records.request import Scope
from seglam_agents.records.tools import Tool
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.memory import MemoryStore
from seglam_agents.surfaces import Frame, beside
from seglam_agents.surfaces.proxy.app import proxy
from seglam_agents.surfaces.proxy.tenants import one
from tests.surfaces.support import Model, behind
from tests.surfaces.test_proxy import put

ASK, STOCK = "Double the number 21", "How many bolts are in stock?"


@tool
def count_stock(item: str) -> str:
    """Count what is in stock."""
    return "120"


def llama_stock(item: str) -> str:
    """Count what is in stock."""
    return "120"


MODEL = Model()


@pytest.fixture(scope="module")
def url(sandbox: MontySandbox) -> Iterator[str]:
    """Serve the proxy; schemas are those that the clients send, so that the procedure is stored under them."""
    store = MemoryStore()
    put(store, Scope(tenant="t"), "double", "double the number {n:number}", "def run(n):\n    return n * 2\n")
    seen: set[str] = set()

    def opened(caller: Any) -> ReasoningCache:
        body = "def run(item):\n    return f'{count_stock(item)} {item}'\n"
        agent = f"shop {sorted(item.tool.schema_hash for item in caller.tools)}"
        if caller.tools and agent not in seen:
            seen.add(agent)
            scope = Scope(tenant="t", agent=agent)
            put(store, scope, "stock", "how many {item:noun} are in stock", body, caller.tools[0].tool)
        return ReasoningCache(
            store,
            tools=caller.tools,
            tenant="t",
            agent=agent if caller.tools else None,
            sandbox=sandbox,
            second_sandbox=None,
        )

    reads = Tool(name="count_stock", effect="read")
    surface = proxy(opened, behind(MODEL), one("t"), known=[reads], patience=60)
    with beside(Frame([surface])) as url:
        yield f"{url}/v1"


@pytest.fixture(autouse=True)
def no_model() -> Iterator[None]:
    """Nothing of this is answered by the model."""
    MODEL.bodies.clear()
    yield
    assert MODEL.asked == 0


@pytest.mark.parametrize("responses", [False, True])
def test_chat_openai(url: str, responses: bool) -> None:
    """Whole, streamed, several at once, a call, and the answer after it, over both APIs."""
    chat = ChatOpenAI(model="m", base_url=url, api_key="sk-1", use_responses_api=responses)  # type: ignore[arg-type]
    whole = chat.invoke(ASK)
    assert whole.text == "42" and whole.usage_metadata is not None and whole.usage_metadata["total_tokens"] == 0
    assert "".join(chunk.text for chunk in chat.stream(ASK)) == "42"
    both = chat.generate([[HumanMessage(ASK)], [HumanMessage("Double the number 4")]])
    assert [given[0].text for given in both.generations] == ["42", "8"]
    with_tools = chat.bind_tools([count_stock])
    said: Any = None
    for chunk in with_tools.stream(STOCK):
        said = chunk if said is None else said + chunk
    assert [(call["name"], call["args"]) for call in said.tool_calls] == [("count_stock", {"item": "bolts"})]
    called = with_tools.invoke(STOCK)
    told = ToolMessage("120", tool_call_id=called.tool_calls[0]["id"])
    assert with_tools.invoke([HumanMessage(STOCK), called, told]).text == "120 bolts"


@pytest.mark.parametrize("kind", [OpenAILike, OpenAILikeResponses])
def test_openai_like(url: str, kind: Any) -> None:
    """Whole, streamed, and a call that LlamaIndex carries out."""
    llm = kind(model="m", api_base=url, api_key="sk-1", is_chat_model=True, is_function_calling_model=True)
    assert llm.chat([ChatMessage(content=ASK)]).message.content == "42"
    assert [chunk.message.content for chunk in llm.stream_chat([ChatMessage(content=ASK)])][-1] == "42"
    stock = FunctionTool.from_defaults(llama_stock, name="count_stock", description="Count what is in stock.")
    assert str(llm.predict_and_call([stock], STOCK)) == "120"
