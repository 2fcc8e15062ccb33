"""Tools both ways: LangChain's for the cache, and stored procedures for a model."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain.tools import InjectedToolCallId, ToolRuntime
from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool, StructuredTool, tool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from lc_support import ADD, ADD_BODY, Open, Runner, Shop, agent, on, procedure, says, seglam, wants
from pydantic import BaseModel, Field
from seglam_agents import Hit, ReasoningCache
from seglam_agents.hosting import arguments_model, find_entry, tool_name
from seglam_agents.testing.langchain import ScriptedChat

from langchain_seglam import cache_tools, host_tools, procedure_tool, tool_by_name


def called(run: Runner, item: BaseTool, arguments: dict[str, Any]) -> Any:
    call = {"type": "tool_call", "name": item.name, "args": arguments, "id": "1"}
    return asyncio.run(item.ainvoke(call)) if run.is_async else item.invoke(call)


class TestHostTools:
    """LangChain tools as tools of a cache."""

    def test_signature_and_effect(self) -> None:
        """Injected arguments are not the model's; the effect is what was said, else a write."""

        class Args(BaseModel):
            title: str = Field(description="a title")
            n: int = 1

        @tool(args_schema=Args)
        def one(title: str, n: int = 1) -> str:
            """Do one thing."""
            return title

        @tool
        def two(a: int, runtime: ToolRuntime, tool_call_id: Annotated[str, InjectedToolCallId]) -> int:
            """Do another."""
            return a

        two.metadata = {"effect": "read", "idempotent": True}
        schema = {"type": "object", "properties": {"x": {"type": "integer", "title": "X"}}, "required": ["x"]}
        three = StructuredTool.from_function(lambda x: x, name="three", description="third", args_schema=schema)
        three.extras = {"effect": "pure"}
        tools = {item.tool.name: item.tool for item in host_tools([one, two, three], {"one": "read"})}
        assert tools["one"].effect == "read" and tools["one"].argument_names == ("title", "n")
        assert tools["one"].parameters["properties"]["title"] == {"description": "a title", "type": "string"}  # type: ignore[index, call-overload]
        assert tools["two"].effect == "read" and tools["two"].idempotent and tools["two"].argument_names == ("a",)
        assert tools["three"].effect == "pure" and tools["three"].argument_names == ("x",)
        assert host_tools([one])[0].tool.effect == "write"

    def test_a_wrong_effect(self) -> None:
        """The error names the tool and what would be right."""

        @tool
        def one() -> int:
            """One."""
            return 1

        with pytest.raises(ValueError, match="pure, read, write"):
            host_tools([one], {"one": "sometimes"})  # type: ignore[dict-item]

    def test_results(self, run: Runner, opened: Open) -> None:
        """JSON is read, an artifact wins, a failure is an exception, and a coroutine is run to its end."""

        @tool
        async def later(x: int) -> dict[str, int]:
            """Compute."""
            return {"x": x}

        @tool(response_format="content_and_artifact")
        def both(x: int) -> tuple[str, list[int]]:
            """Compute."""
            return "text", [x, x]

        @tool
        def fails(x: int) -> int:
            """Fail."""
            raise ValueError("no")

        @tool
        def names(x: int) -> list[str]:
            """Name."""
            return ["a"] * x

        tools = host_tools([later, both, fails, names], dict.fromkeys(("later", "both", "fails", "names"), "read"))
        cache = opened(tools=tools)
        body = 'def run(n):\n    got = [later(n)["x"], both(n), names(n), names(0)]\n    try:\n        fails(n)\n'
        body += "    except RuntimeError as error:\n        got.append(str(error))\n    return got\n"
        procedure(cache, "all", "Do all {n:count} things", body, tools)
        hit = asyncio.run(cache.alookup("Do all 3 things")) if run.is_async else cache.lookup("Do all 3 things")
        assert isinstance(hit, Hit), hit
        assert hit.answer[:4] == [3, [3, 3], ["a"] * 3, []] and "no" in hit.answer[4]  # type: ignore[index, operator]


class TestProcedureTools:
    """Stored procedures as tools with arguments."""

    def test_arguments(self, run: Runner, cache: ReasoningCache) -> None:
        """The schema is that of the parameters; others are forbidden; the artifact has the answer."""
        (add,) = [x for x in cache_tools(cache) if "add" in x.name]
        schema = add.args_schema.model_json_schema()  # type: ignore[union-attr]
        assert set(add.args) == {"a", "b"} and schema["additionalProperties"] is False
        message = called(run, add, {"a": 1, "b": 2})
        assert message.content == "3" and message.artifact["answer"] == 3 and message.status == "success"
        assert message.artifact["seglam"] == {"procedure": "add-0001@1"} and cache.stats().hits == 1
        assert add.metadata is not None and add.metadata["effect"] == "pure"
        assert add.metadata["seglam"]["procedure"] == "add-0001@1"
        for wrong in ({"a": 1}, {"a": 1, "b": "x"}):
            with pytest.raises(ValueError):
                called(run, add, wrong)
        with pytest.raises(ValueError, match=r"[Ee]xtra"):
            called(run, add, {"a": 1, "b": 2, "c": 3})

    def test_slots(self, run: Runner, opened: Open) -> None:
        """Values are as a sentence would have them, or plain; bounds hold here too."""
        cache = opened()
        template = "Split {total:money} among {n:count} as {how:choice(even|odd)} for {who:list(person)} [on {d:date}]"
        body = "def run(total, n, how, who, d):\n    return [total.amount / n, how, who, d]\n"
        entry = procedure(cache, "split", template, body, where="n > 0")
        properties = arguments_model(entry.procedure).model_json_schema()["properties"]
        assert properties["total"]["type"] == "string" and properties["n"]["type"] == "integer"
        assert properties["how"]["enum"] == ["even", "odd"] and properties["who"]["type"] == "array"
        (item,) = cache_tools(cache)
        given = {"total": "$84.50", "n": 2, "how": "even", "who": ["Ann", "Bob"]}
        message = called(run, item, given)
        assert message.artifact["answer"] == [42.25, "even", ["Ann", "Bob"], None], message
        assert called(run, item, {**given, "d": "2024-05-06"}).status == "success"
        refused = called(run, item, {**given, "n": 0})
        assert refused.status == "error" and "n > 0" in refused.content

    def test_names_and_ranking(self, cache: ReasoningCache, opened: Open, shop: Shop) -> None:
        """A name says which procedure it is to any worker; the nearest comes first; tools must be there."""
        entries = {entry.procedure.name: entry for entry in cache.procedures()}
        name = tool_name(entries["add"].procedure)
        assert name == "proc_add-0001" and find_entry(cache, name) == entries["add"]
        assert find_entry(cache, "proc_nothing") is None and tool_by_name(cache, "proc_nothing") is None
        again = tool_by_name(opened(cache.store, tools=shop.host_tools()), name)
        assert again is not None and again.invoke({"a": 1, "b": 2}) == "3"
        long = entries["add"].procedure.model_copy(update={"name": "a very long name " * 9, "id": "0f3a9c1e"})
        assert len(tool_name(long)) <= 64 and tool_name(long).endswith("_0f3a9c1e")
        assert [x.name for x in cache_tools(cache, "please add these two numbers", 5)] == [name]

    def test_procedures_with_tools(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """Their tools are called as LangChain tools; a give-up says what was done."""
        (buy,) = cache_tools(cache, "order boxes", 1, tools=shop.tools)
        assert buy.metadata is not None and buy.metadata["effect"] == "write"
        message = called(run, buy, {"n": 2, "item": "tea"})
        assert message.content == "ordered 2 tea, 6 coins" and shop.written == [("tea", 2)]
        message = called(run, buy, {"n": 20, "item": "tea"})
        assert message.status == "error" and "must not be repeated" in message.content
        assert shop.written == [("tea", 2), ("tea", 20)] and cache.stats().deopts == 1


class TestOffered:
    """The middleware offers procedures to the model where no guard accepts."""

    def test_a_pure_one(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """The model calls it with arguments, and gets the answer."""
        model = ScriptedChat(script=[wants(("proc_add-0001", {"a": 1, "b": 2})), says("It is 3.")])
        result = run.ask(agent(model, shop, seglam(cache, offer=3)), "I wonder what one and two make, added")
        assert [m.type for m in result["messages"]] == ["human", "ai", "tool", "ai"]
        assert result["messages"][2].content == "3" and model.calls == 2
        assert "proc_add-0001" in model.bound[0] and "price" in model.bound[0] and cache.stats().hits == 1

    def test_one_with_tools_goes_through_the_host(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """Its calls are the host's, one by one and with approval; then the model gets its answer."""
        model = ScriptedChat(script=[wants(("proc_buy-0001", {"n": 2, "item": "tea"})), says("Done.")])
        saver = InMemorySaver()

        def graph() -> Any:
            gate = HumanInTheLoopMiddleware({"order": True})
            return agent(model, shop, gate, seglam(cache, offer=3), checkpointer=saver)

        paused = run.ask(graph(), "Could you get me tea, two boxes?", "1")
        assert "__interrupt__" in paused and shop.read == ["tea"] and shop.written == []
        result = run(graph(), Command(resume={"decisions": [{"type": "approve"}]}), on("1"))
        assert shop.written == [("tea", 2)] and model.calls == 2 and cache.stats().hits == 1
        kinds = [m.type for m in result["messages"]]
        assert kinds == ["human", "ai", "tool", "ai", "tool", "ai", "tool", "ai"]
        asked = result["messages"][5]
        assert asked.tool_calls[0]["name"] == "proc_buy-0001"
        assert result["messages"][6].content == "ordered 2 tea, 6 coins" and result["messages"][7].text == "Done."
        assert [m.type for m in model.seen[1]] == kinds[:-1]

    def test_one_that_gives_up(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """The model is told, and the write is done once."""
        model = ScriptedChat(script=[wants(("proc_buy-0001", {"n": 20, "item": "tea"})), says("Done.")])
        result = run.ask(agent(model, shop, seglam(cache, offer=3)), "Could you get me tea, twenty boxes?")
        assert shop.written == [("tea", 20)] and result["messages"][-1].text == "Done."
        assert "do not repeat" in result["messages"][-2].content and cache.stats().deopts == 1

    def test_one_that_is_called_again_by_another_attempt(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """Of a request that has a name, the call is the same one; what the model means besides is another."""
        once, twice = ("proc_buy-0001", {"n": 2, "item": "tea"}), ("proc_buy-0001", {"n": 3, "item": "milk"})
        for words in ("Could you get me tea, two boxes?", "I need tea. Two boxes would do."):
            model = ScriptedChat(script=[wants(once), wants(twice), wants(twice), says("Done.")])
            result = run.ask(agent(model, shop, seglam(cache, offer=3)), words, seglam_request_id="r1")
            assert result["messages"][-1].text == "Done."
            assert shop.written == [("tea", 2), ("milk", 3), ("milk", 3)]
        assert str(model.seen[0]).count("ordered ") == 3  # The model was told before it spoke.

    def test_several_at_once(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """A procedure with tools that is called beside others is refused; pure ones are run."""
        calls = [("proc_buy-0001", {"n": 2, "item": "tea"}), ("proc_add-0001", {"a": 1, "b": 2})]
        model = ScriptedChat(script=[wants(*calls), says("Done.")])
        result = run.ask(agent(model, shop, seglam(cache, offer=3)), "Could you do both?")
        tools = {m.name: m for m in result["messages"] if m.type == "tool"}
        assert tools["proc_buy-0001"].status == "error" and tools["proc_add-0001"].content == "3"
        assert shop.written == [] and result["messages"][-1].text == "Done."

    def test_wrong_arguments(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """The model is told what is wrong."""
        model = ScriptedChat(script=[wants(("proc_add-0001", {"a": 1})), says("Sorry.")])
        result = run.ask(agent(model, shop, seglam(cache, offer=3)), "Could you add?")
        assert result["messages"][2].status == "error" and result["messages"][-1].text == "Sorry."

    def test_a_name_that_is_gone(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """A procedure that does not exist is an unknown tool."""
        model = ScriptedChat(script=[wants(("proc_gone", {})), says("Sorry.")])
        result = run.ask(agent(model, shop, seglam(cache, offer=3)), "Could you?")
        assert result["messages"][2].status == "error" and result["messages"][-1].text == "Sorry."

    def test_runs_with_procedures_are_not_learnt(self, run: Runner, opened: Open, shop: Shop) -> None:
        """What a procedure did is known already."""
        from seglam_agents.testing.models import ScriptedModel

        compiler = ScriptedModel([])
        cache = opened(None, compiler, tools=shop.host_tools())
        procedure(cache, "add", ADD, ADD_BODY)
        model = ScriptedChat(script=[wants(("proc_add-0001", {"a": 1, "b": 2})), says("It is 3.")])
        run.ask(agent(model, shop, seglam(cache, offer=3)), "What do one and two make?")
        assert compiler.calls == 0

    def test_without_other_tools(self, run: Runner, cache: ReasoningCache) -> None:
        """An agent without tools of its own can call procedures."""
        model = ScriptedChat(script=[wants(("proc_add-0001", {"a": 1, "b": 2})), says("It is 3.")])
        graph = create_agent(model, [], middleware=[seglam(cache, offer=1)])
        result = run.ask(graph, "What is the sum of 1 and 2?")
        assert isinstance(result["messages"][-1], AIMessage) and result["messages"][2].content == "3"


class Standard:
    """LangChain's own suites on a stored procedure."""

    @pytest.fixture(autouse=True)
    def stored(self, opened: Open) -> None:
        cache = opened()
        self.made = procedure_tool(cache, procedure(cache, "add", ADD, ADD_BODY))

    @property
    def tool_constructor(self) -> Any:
        return getattr(self, "made", None)

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"a": 1, "b": 2}

    @pytest.fixture
    def tool(self, stored: None) -> BaseTool:
        return self.made


class TestStandardUnit(Standard, ToolsUnitTests):
    """The unit tests."""


class TestStandardIntegration(Standard, ToolsIntegrationTests):
    """The integration tests."""
