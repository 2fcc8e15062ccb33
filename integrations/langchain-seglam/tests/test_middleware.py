"""The middleware, end to end, blocking and on an event loop: hits, give-ups, learning, and the host's own rules."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from langchain.agents.middleware import (
    HumanInTheLoopMiddleware,
    ModelCallLimitMiddleware,
    PIIMiddleware,
    ToolCallLimitMiddleware,
    ToolRetryMiddleware,
    dynamic_prompt,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from lc_support import BUY, BUY_BODY, Open, Runner, Shop, agent, on, procedure, says, seglam, wants
from seglam_agents import ReasoningCache
from seglam_agents.hosting import Turn
from seglam_agents.testing.langchain import ScriptedChat

from langchain_seglam import GraphCache, SeglamLLMCache, SeglamMiddleware, TraceRecorder, reasoning_cached
from langchain_seglam.state import read_turn

COST = "What do 2 tea and 3 milk cost?"


def kinds(result: dict[str, Any]) -> list[str]:
    return [message.type for message in result["messages"]]


def last(result: dict[str, Any]) -> str:
    return result["messages"][-1].text


NO_CACHES: list[Any] = [None, "x", 5, object()]


@pytest.mark.parametrize("nothing", NO_CACHES, ids=lambda nothing: type(nothing).__name__)
def test_what_is_no_cache_is_refused_when_it_is_passed(nothing: Any) -> None:
    """It would be no cache in silence, or break every run."""
    doors: list[Any] = [SeglamMiddleware, GraphCache, lambda cache: reasoning_cached(cache, text="text")]
    doors += [] if nothing is None else [TraceRecorder, SeglamLLMCache]
    for door in doors:
        with pytest.raises(TypeError, match="is no cache: pass a ReasoningCache"):
            door(nothing)


def test_a_cache_without_the_tools_of_its_agent_is_told_of_once(
    run: Runner, opened: Open, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever forgot `tools=` learns why nothing is learnt."""
    replies = [wants(("price", {"item": "tea"})), says("It costs 3 coins.")]
    graph = agent(ScriptedChat(script=replies * 3), shop, SeglamMiddleware(opened()))
    for _ in range(3):
        run.ask(graph, "What does tea cost?")
    (told,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "runs call price" in told and "tools=" in told


class TestHits:
    """A procedure stands in for the model."""

    def test_a_hit_runs_the_hosts_tools_and_no_model(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """Each tool call is a message of its own, run by the host's tool node; the model is not called."""
        model = ScriptedChat(script=[says("by model")])
        result = run.ask(agent(model, shop, seglam(cache)), COST)
        assert model.calls == 0 and shop.read == ["tea", "milk"]
        assert kinds(result) == ["human", "ai", "tool", "ai", "tool", "ai"] and last(result) == "total 12"
        assert "seglam" not in result
        about = result["messages"][-1].response_metadata["seglam"]
        assert about["procedure"] == "total-0001@1" and about["author"] == "procedure"
        assert cache.stats().hits == 1 and cache.stats().requests == 1

    def test_who_streams_sees_what_is_kept(self, cache: ReasoningCache, shop: Shop) -> None:
        """As the docstring of the state says: in no input, result or schema, but in streams and in checkpoints."""
        graph = agent(ScriptedChat(script=[says("by model")]), shop, seglam(cache), checkpointer=InMemorySaver())
        asked: Any = {"messages": [("user", COST)]}
        assert "seglam" not in graph.invoke(asked, on("0"))
        values = list(graph.stream(asked, on("1"), stream_mode="values"))
        assert any("seglam" in value for value in values)
        updates = list(graph.stream(asked, on("2"), stream_mode="updates"))
        assert any("seglam" in (update or {}) for step in updates for update in step.values())
        assert any(name.startswith("SeglamMiddleware.") for step in updates for name in step)
        assert "seglam" in graph.get_state(on("2")).values
        schemas = (graph.get_input_jsonschema(), graph.get_output_jsonschema())
        assert not any("seglam" in schema["properties"] for schema in schemas)

    def test_a_pure_procedure_answers_at_once(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """Where no tool is needed, the answer is the only message."""
        model = ScriptedChat(script=[says("by model")])
        result = run.ask(agent(model, shop, seglam(cache)), "Add 3 and 4.5")
        assert model.calls == 0 and kinds(result) == ["human", "ai"] and last(result) == "7.5"

    def test_message_ids_are_never_used_twice(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """The same hit in two turns of a thread appends new messages both times."""
        model = ScriptedChat(script=[says("by model")])
        middleware = seglam(cache, canonicalise=lambda messages: messages[-1].text)
        graph = agent(model, shop, middleware, checkpointer=InMemorySaver())
        run.ask(graph, COST, "1")
        result = run.ask(graph, COST, "1")
        assert model.calls == 0 and len(result["messages"]) == 12 and last(result) == "total 12"
        assert len({message.id for message in result["messages"]}) == 12

    def test_a_miss_is_the_models(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """What no guard accepts goes to the model, with one word too many as well."""
        model = ScriptedChat(script=[says("by model")])
        result = run.ask(agent(model, shop, seglam(cache)), COST[:-1] + " without tax?")
        assert model.calls == 1 and last(result) == "by model" and shop.read == []
        assert cache.stats().misses == 1

    def test_later_turns_are_the_models_without_a_canonicaliser(
        self, run: Runner, cache: ReasoningCache, shop: Shop
    ) -> None:
        """The second turn of a thread is not looked up; with a hook that makes it self-contained it is."""
        model = ScriptedChat(script=[says("by model")])
        graph = agent(model, shop, seglam(cache), checkpointer=InMemorySaver())
        run.ask(graph, COST, "1")
        assert last(run.ask(graph, "Add 1 and 2", "1")) == "by model" and model.calls == 1

        def canonical(messages: Any) -> str | None:
            return "Add 1 and 2" if messages[-1].text == "And the same with 2?" else None

        graph = agent(model, shop, seglam(cache, canonicalise=canonical), checkpointer=InMemorySaver())
        run.ask(graph, "Add 1 and 1", "1")
        assert last(run.ask(graph, "And the same with 2?", "1")) == "3"
        assert last(run.ask(graph, "Add 1 and 2", "1")) == "by model"

    def test_images_are_the_models(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """A message that is not only text is not looked up."""
        model = ScriptedChat(script=[says("by model")])
        content = [{"type": "text", "text": "Add 1 and 2"}, {"type": "image", "url": "https://example.com/a.png"}]
        result = run(agent(model, shop, seglam(cache)), {"messages": [{"role": "user", "content": content}]})
        assert last(result) == "by model"

    def test_the_switch_of_a_run(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """`off` and `refresh` leave a run to the model."""
        model = ScriptedChat(script=[says("by model")])
        graph = agent(model, shop, seglam(cache))
        for said in ("off", "refresh", "Off", False, "disabled"):
            assert last(run.ask(graph, COST, seglam=said)) == "by model"
        for said in ("on", True, None):
            assert last(run.ask(graph, COST, seglam=said)) == "total 12"
        assert model.calls == 5

    def test_streaming_shows_a_hit(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """Updates come step by step, and the messages of the procedure are in the stream of messages."""
        graph = agent(ScriptedChat(script=[says("by model")]), shop, seglam(cache))
        given = {"messages": [("user", COST)]}
        nodes = [next(iter(update)) for update in run.stream(graph, given, stream_mode="updates")]
        assert nodes[1:-1] == ["model", "tools", "model", "tools", "model"]
        texts = [message.text for message, _ in run.stream(graph, given, stream_mode="messages")]
        assert texts.count("total 12") == 1


class TestGiveUps:
    """The model goes on where a procedure cannot."""

    def test_a_body_gives_up_after_a_write(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """The model sees what was done, and the write is done once."""
        model = ScriptedChat(script=[says("by model")])
        result = run.ask(agent(model, shop, seglam(cache)), "Order 20 boxes of tea")
        assert model.calls == 1 and shop.written == [("tea", 20)] and last(result) == "by model"
        assert [message.type for message in model.seen[0]] == ["human", "ai", "tool", "ai", "tool"]
        assert model.seen[0][-1].text == "ordered 20 tea" and cache.stats().deopts == 1

    def test_a_guard_gives_up_before_any_call(self, run: Runner, opened: Open, shop: Shop) -> None:
        """A body that gives up at once leaves the run as it is without a cache."""
        tools = shop.host_tools()
        cache = opened(tools=tools)
        procedure(cache, "buy", BUY, 'def run(n, item):\n    deopt("no")\n    return order(item, n)\n', tools)
        model = ScriptedChat(script=[says("by model")])
        result = run.ask(agent(model, shop, seglam(cache)), "Order 2 boxes of tea")
        assert kinds(result) == ["human", "ai"] and last(result) == "by model" and cache.stats().deopts == 1


class TestHumans:
    """People approve, edit and reject what a procedure asks for."""

    def graph(self, cache: ReasoningCache, shop: Shop, model: ScriptedChat, saver: Any, **options: Any) -> Any:
        gate = HumanInTheLoopMiddleware({"order": True}, **options)
        return agent(model, shop, gate, seglam(cache), checkpointer=saver)

    def decide(self, run: Runner, graph: Any, config: Any, decision: dict[str, Any], mode: str) -> Any:
        resume = {"decisions": [decision]} if mode == "batched" else decision
        return run(graph, Command(resume=resume), config)

    @pytest.mark.parametrize("mode", ["batched", "per_call"])
    def test_approved_on_another_worker(self, run: Runner, cache: ReasoningCache, shop: Shop, mode: str) -> None:
        """Every worker, with an agent and a middleware of its own, goes on from the checkpoint."""
        saver, model, config = InMemorySaver(), ScriptedChat(script=[says("by model")]), on("1")
        options = {"interrupt_mode": mode}
        paused = run.ask(self.graph(cache, shop, model, saver, **options), "Order 2 boxes of tea", "1")
        assert "__interrupt__" in paused and shop.written == []
        other = self.graph(cache, shop, model, saver, **options)
        result = self.decide(run, other, config, {"type": "approve"}, mode)
        assert last(result) == "ordered 2 tea, 6 coins" and shop.written == [("tea", 2)] and model.calls == 0
        assert cache.stats().hits == 1

    @pytest.mark.parametrize("mode", ["batched", "per_call"])
    def test_edited(self, run: Runner, cache: ReasoningCache, shop: Shop, mode: str) -> None:
        """What a person changed is done as changed, once; the procedure gives up and the model goes on."""
        saver, model, config = InMemorySaver(), ScriptedChat(script=[says("by model")]), on("1")
        graph = self.graph(cache, shop, model, saver, interrupt_mode=mode)
        run.ask(graph, "Order 2 boxes of tea", "1")
        edited = {"type": "edit", "edited_action": {"name": "order", "args": {"item": "tea", "n": 1}}}
        result = self.decide(run, graph, config, edited, mode)
        assert shop.written == [("tea", 1)] and last(result) == "by model" and model.calls == 1
        assert cache.stats().deopts == 1 and cache.stats().hits == 0

    @pytest.mark.parametrize("mode", ["batched", "per_call"])
    @pytest.mark.parametrize("decision", [{"type": "reject", "message": "no"}, {"type": "respond", "message": "done"}])
    def test_rejected(
        self, run: Runner, cache: ReasoningCache, shop: Shop, decision: dict[str, Any], mode: str
    ) -> None:
        """What a person rejected, or answered in the tool's place, is not done; the model goes on."""
        saver, model, config = InMemorySaver(), ScriptedChat(script=[says("by model")]), on("1")
        gate = HumanInTheLoopMiddleware(
            {"order": {"allowed_decisions": ["approve", "reject", "respond"]}}, interrupt_mode=mode
        )
        graph = agent(model, shop, gate, seglam(cache), checkpointer=saver)
        run.ask(graph, "Order 2 boxes of tea", "1")
        result = self.decide(run, graph, config, decision, mode)
        assert shop.written == [] and last(result) == "by model" and model.calls == 1
        assert cache.stats().deopts == 1


class TestHost:
    """The host's own rules hold for what a procedure does."""

    def test_redaction_comes_before_the_lookup(self, run: Runner, opened: Open, shop: Shop) -> None:
        """The cache sees the redacted text, and never the address."""
        cache = opened(tools=shop.host_tools())
        procedure(cache, "mail", "Mail \\[REDACTED_EMAIL\\] {n:count} times", "def run(n):\n    return n\n")
        model = ScriptedChat(script=[says("by model")])
        result = run.ask(agent(model, shop, PIIMiddleware("email"), seglam(cache)), "Mail a@b.com 3 times")
        assert last(result) == "3" and model.calls == 0

    def test_retries_of_the_host(self, run: Runner, opened: Open, shop: Shop) -> None:
        """A tool that fails once is called again by the host's retry, and the procedure goes on."""
        failures = ["once"]
        original = shop.price.func

        def flaky(item: str) -> int:
            if failures:
                failures.pop()
                raise TimeoutError("slow")
            return original(item)

        shop.price.func = flaky
        tools = shop.host_tools()
        cache = opened(tools=tools)
        procedure(cache, "one", "What does {item:noun} cost?", "def run(item):\n    return price(item)\n", tools)
        retry = ToolRetryMiddleware(max_retries=2, initial_delay=0.0, jitter=False)
        model = ScriptedChat(script=[says("by model")])
        result = run.ask(agent(model, shop, retry, seglam(cache)), "What does tea cost?")
        assert last(result) == "3" and model.calls == 0

    def test_limits_of_tool_calls(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """A call over the limit is not carried out; the procedure gives up."""
        limit = ToolCallLimitMiddleware(run_limit=1, exit_behavior="continue")
        model = ScriptedChat(script=[says("by model")])
        result = run.ask(agent(model, shop, limit, seglam(cache)), COST)
        assert shop.read == ["tea"] and last(result) == "by model" and cache.stats().deopts == 1

    def test_limits_of_model_calls_end_a_hit(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """The procedure's messages count as the model's do, and an ended plan is a give-up."""
        limit = ModelCallLimitMiddleware(run_limit=1)
        result = run.ask(agent(ScriptedChat(script=[says("by model")]), shop, limit, seglam(cache)), COST)
        assert "limits exceeded" in last(result) and cache.stats().deopts == 1 and cache.stats().hits == 0

    def test_a_tool_that_is_not_offered_now(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """Where the host takes a tool away, no procedure uses it."""
        from langchain.agents.middleware import wrap_model_call

        if run.is_async:

            @wrap_model_call
            async def without_price(request: Any, handler: Any) -> Any:
                return await handler(request.override(tools=[t for t in request.tools if t.name != "price"]))
        else:

            @wrap_model_call
            def without_price(request: Any, handler: Any) -> Any:
                return handler(request.override(tools=[t for t in request.tools if t.name != "price"]))

        model = ScriptedChat(script=[says("by model")])
        result = run.ask(agent(model, shop, without_price, seglam(cache)), COST)
        assert last(result) == "by model" and shop.read == []

    def test_two_instances(self, run: Runner, cache: ReasoningCache, opened: Open, shop: Shop) -> None:
        """Two caches serve one agent; each keeps its own part of the state."""
        other = opened(tenant="house", tools=shop.host_tools())
        procedure(other, "times", "Multiply {a:number} by {b:number}", "def run(a, b):\n    return a * b\n")
        model = ScriptedChat(script=[says("by model")])
        graph = agent(model, shop, seglam(cache), seglam(other))
        assert last(run.ask(graph, COST)) == "total 12"
        assert last(run.ask(graph, "Multiply 3 by 4")) == "12"
        assert last(run.ask(graph, "Order 2 boxes of rice")) == "ordered 2 rice, 10 coins"
        assert model.calls == 0 and shop.written == [("rice", 2)]


class TestInstructions:
    """What was learnt under other instructions is not served."""

    FORBIDDEN = "You never order anything."

    def ordered(self, run: Runner, opened: Open, shop: Shop, *before: Any, **options: Any) -> list[tuple[str, int]]:
        """Ask an agent for what a procedure knows that was learnt by one without instructions."""
        said = options.pop("said", ())
        tools = shop.host_tools()
        cache = opened(tools=tools)
        procedure(cache, "buy", BUY, BUY_BODY, tools)
        middleware = seglam(cache, **options.pop("seglam", {}))
        graph = agent(ScriptedChat(script=[says("I may not.")]), shop, *before, middleware, **options)
        run(graph, {"messages": [*said, ("user", "Order 2 boxes of tea")]})
        return shop.written

    def test_without_any(self, run: Runner, opened: Open, shop: Shop) -> None:
        """Nothing has changed."""
        assert self.ordered(run, opened, shop) == [("tea", 2)]

    @pytest.mark.parametrize("mode", ["steps", "jump"])
    def test_a_system_prompt(self, run: Runner, opened: Open, shop: Shop, mode: str) -> None:
        """That of the agent counts, whatever its cache was made with."""
        assert self.ordered(run, opened, shop, system_prompt=self.FORBIDDEN, seglam={"mode": mode}) == []

    def test_a_message_of_the_history(self, run: Runner, opened: Open, shop: Shop) -> None:
        """A system message is an instruction wherever it stands."""
        assert self.ordered(run, opened, shop, said=[("system", self.FORBIDDEN)]) == []

    def test_a_prompt_made_anew(self, run: Runner, opened: Open, shop: Shop) -> None:
        """What another middleware says in the place of the prompt counts."""

        @dynamic_prompt
        def forbidding(request: Any) -> str:
            return self.FORBIDDEN

        assert self.ordered(run, opened, shop, forbidding) == []

    def test_a_prompt_made_after_the_look(
        self, run: Runner, opened: Open, shop: Shop, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Where a middleware behind ours changes the prompt, nothing is learnt, and once it was seen nothing served."""

        @dynamic_prompt
        def forbidding(request: Any) -> str:
            return self.FORBIDDEN

        tools, traces = shop.host_tools(), []
        cache = opened(tools=tools)
        procedure(cache, "buy", BUY, BUY_BODY, tools)
        middleware = seglam(cache, on_learned=lambda trace, learned: traces.append(trace))
        graph = agent(ScriptedChat(script=[says("I may not.")]), shop, middleware, forbidding)
        run.ask(graph, "What may you do?")
        run.ask(graph, "Order 2 boxes of tea")
        assert (shop.written, traces) == ([], []) and "list it before" in caplog.text

    def test_a_prompt_that_changes_within_a_turn(self, run: Runner, opened: Open, shop: Shop) -> None:
        """A turn that waits for a person goes on under what the agent is told by then."""
        tools, saver = shop.host_tools(), InMemorySaver()
        cache = opened(tools=tools)
        procedure(
            cache,
            "twice",
            "Twice {item:noun}",
            "def run(item):\n    order(item, 1)\n    return order(item, 2)\n",
            tools,
        )
        gate = HumanInTheLoopMiddleware({"order": True})

        def told(prompt: str | None) -> Any:
            model = ScriptedChat(script=[says("I stop.")])
            return agent(model, shop, gate, seglam(cache), system_prompt=prompt, checkpointer=saver)

        approved: Any = Command(resume={"decisions": [{"type": "approve"}]})
        run.ask(told(None), "Twice tea", "1")
        result = run(told(self.FORBIDDEN), approved, on("1"))
        assert last(result) == "I stop." and shop.written == [("tea", 1)]

    def test_a_jump_only_under_what_the_cache_was_told(self, run: Runner, opened: Open, shop: Shop) -> None:
        """It looks up before the prompt is there, and does so no more once the two were seen to differ."""
        cache = opened()
        procedure(cache, "add", "Add {a:number} and {b:number}", "def run(a, b):\n    return a + b\n")
        for prompt, calls in ((None, 0), ("Never add.", 1)):
            model = ScriptedChat(script=[says("by model")])
            graph = agent(model, shop, seglam(cache, mode="jump"), system_prompt=prompt)
            run.ask(graph, "Hello")
            run.ask(graph, "Add 1 and 2")
            assert model.calls == 1 + calls

    @pytest.mark.parametrize("odd", [lambda text: 1 / 0, lambda text: None, lambda text: 7])
    def test_a_function_that_breaks(self, run: Runner, opened: Open, shop: Shop, odd: Any) -> None:
        """The model answers: what cannot say what matters harms no run."""
        assert self.ordered(run, opened, shop, seglam={"instructions": odd}) == []

    def test_what_varies_may_be_left_out(self, run: Runner, opened: Open, shop: Shop) -> None:
        """The user says what of a prompt matters."""
        options: dict[str, Any] = {"instructions": lambda text: text.removeprefix("Signed in: Ann.")}
        assert self.ordered(run, opened, shop, system_prompt="Signed in: Ann.", seglam=options) == [("tea", 2)]


class TestJump:
    """`mode="jump"` ends the run at once."""

    def test_a_pure_procedure_jumps(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """The model's node is not entered; a procedure with tools goes step by step."""
        model = ScriptedChat(script=[says("by model")])
        graph = agent(model, shop, PIIMiddleware("email"), seglam(cache, mode="jump"))
        nodes = [
            next(iter(x)) for x in run.stream(graph, {"messages": [("user", "Add 1 and 2")]}, stream_mode="updates")
        ]
        assert "model" not in nodes
        assert last(run.ask(graph, "Add 1 and 2")) == "3" and last(run.ask(graph, COST)) == "total 12"
        assert last(run.ask(graph, "Hello")) == "by model" and model.calls == 1
        assert cache.stats().hits == 3 and cache.stats().misses == 1


class TestParallel:
    """Several runs, and several calls, at once."""

    def test_several_threads(self, cache: ReasoningCache, shop: Shop) -> None:
        """One agent serves many threads at once, each with its own state."""
        from concurrent.futures import ThreadPoolExecutor

        graph = agent(ScriptedChat(script=[says("by model")]), shop, seglam(cache), checkpointer=InMemorySaver())
        runner = Runner("sync")
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda n: last(runner.ask(graph, f"Order {n} boxes of tea", str(n))), range(1, 9)))
        assert results == [f"ordered {n} tea, {3 * n} coins" for n in range(1, 9)]
        assert sorted(shop.written) == [("tea", n) for n in range(1, 9)]


def test_nothing_is_left_between_turns(run: Runner, cache: ReasoningCache, shop: Shop) -> None:
    """A new turn begins without the plan of the last one."""
    saver = InMemorySaver()
    graph = agent(ScriptedChat(script=[says("by model")]), shop, seglam(cache), checkpointer=saver)
    run.ask(graph, COST, "1")
    assert len(graph.get_state(on("1")).values["seglam"]["SeglamMiddleware"]["asked"]) == 2
    run.ask(graph, "Thanks", "1")
    turn = graph.get_state(on("1")).values["seglam"]["SeglamMiddleware"]
    assert turn["asked"] == [] and turn["plan"] is None and turn["status"] == "miss"


def test_a_turn_of_a_newer_worker() -> None:
    """What it noted besides does not make the rest unreadable: the turn would be begun anew, writes and all."""
    turn = Turn(status="running", key="turn-1", text="Order 2 boxes of tea")
    state: dict[str, Any] = {"seglam": {"it": {**turn.model_dump(mode="json"), "noted_by_a_newer_one": 1}}}
    assert read_turn(state, "it") == turn


def test_a_history_that_was_cut_is_no_first_turn(run: Runner, cache: ReasoningCache, shop: Shop) -> None:
    """What the host leaves out before the model does not make a later turn stand for itself."""
    from langchain.agents.middleware import AgentMiddleware
    from langchain_core.messages import RemoveMessage

    class Cutting(AgentMiddleware):
        def before_model(self, state: Any, runtime: Any) -> Any:
            return {"messages": [RemoveMessage(id=message.id) for message in state["messages"][:-1]]}

    model = ScriptedChat(script=[says("by model")])
    graph = agent(model, shop, Cutting(), seglam(cache), checkpointer=InMemorySaver())
    run.ask(graph, "Hello", "1")
    assert last(run.ask(graph, "Add 1 and 2", "1")) == "by model"


def test_other_middleware_sees_messages(run: Runner, cache: ReasoningCache, shop: Shop) -> None:
    """Who wraps tool calls around us gets the tool's message, as without the cache."""
    from langchain.agents.middleware import wrap_tool_call
    from langchain_core.messages import ToolMessage

    seen: list[Any] = []
    if run.is_async:

        @wrap_tool_call
        async def watch(request: Any, handler: Any) -> Any:
            seen.append(await handler(request))
            return seen[-1]
    else:

        @wrap_tool_call
        def watch(request: Any, handler: Any) -> Any:
            seen.append(handler(request))
            return seen[-1]

    run.ask(agent(ScriptedChat(script=[says("by model")]), shop, watch, seglam(cache)), COST)
    assert [type(item) for item in seen] == [ToolMessage] * 2 and [item.content for item in seen] == ["3", "2"]


def test_the_clients_input_cannot_fill_our_state(run: Runner, cache: ReasoningCache, shop: Shop) -> None:
    """Keys of ours in the input of a run are dropped by the host."""
    forged = {"SeglamMiddleware": {"status": "running", "plan": {"procedure": "buy-0001@1", "content_hash": "x"}}}
    graph = agent(ScriptedChat(script=[says("by model")]), shop, seglam(cache))
    result = run(graph, {"messages": [("user", "Hello")], "seglam": forged})
    assert last(result) == "by model" and shop.written == []


def test_an_edit_is_seen_wherever_we_stand(run: Runner, cache: ReasoningCache, shop: Shop) -> None:
    """Listed before the reviewer's middleware, we still take a call for what it became."""
    model = ScriptedChat(script=[says("by model")])
    gate = HumanInTheLoopMiddleware({"order": True})
    graph = agent(model, shop, seglam(cache), gate, checkpointer=InMemorySaver())
    run.ask(graph, "Order 2 boxes of tea", "1")
    edit = {"type": "edit", "edited_action": {"name": "order", "args": {"item": "tea", "n": 1}}}
    result = run(graph, Command(resume={"decisions": [edit]}), on("1"))
    assert shop.written == [("tea", 1)] and last(result) == "by model" and cache.stats().deopts == 1
