"""What adapters share of a step: the turn as a host keeps it, what it is told, offers, parts of a run, questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from seglam_agents import Call, HostTool, Learned, ReasoningCache, Tool, ToolResult, Trace
from seglam_agents.hosting import (
    RETOLD,
    Asked,
    Carried,
    Choice,
    Chooser,
    Chosen,
    Done,
    Drivers,
    Event,
    Executed,
    Flow,
    Json,
    Offer,
    Part,
    Parts,
    Pass,
    Posed,
    Questions,
    Say,
    Seen,
    Shown,
    Spoken,
    Switch,
    Turn,
    Unfit,
    Usage,
    View,
    after,
    among,
    carried_as,
    checked_effect,
    choices_of,
    drive,
    function_of,
    instructions_digest,
    kept_turn,
    load_run,
    misfits_of,
    new_id,
    request_name,
    save_run,
    text_in,
    until,
    work,
)
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.testing.host_contract import Shop, stored
from seglam_agents.testing.plain_host import PlainHost

BUY = "Order 2 boxes of tea"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[MontySandbox]:
    sandbox = MontySandbox()
    yield sandbox
    sandbox.close()


@pytest.fixture
def cache(sandbox: MontySandbox) -> Iterator[ReasoningCache]:
    tools = PlainHost().declare(Shop().tools())
    with ReasoningCache(tools=tools, sandbox=sandbox, second_sandbox=None, second_opinion=False) as cache:
        stored(cache, "buy", tools)
        yield cache


@dataclass(slots=True)
class Store:
    """Keeps the state of a run."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])

    async def get(self, path: str, default: object = None) -> object:
        return self.values.get(path, default)

    async def set(self, path: str, value: object) -> None:
        self.values[path] = value


class TestKept:
    """What a host has kept is read again, or counts for nothing."""

    def test_a_turn_of_a_newer_worker(self) -> None:
        """What this version knows of it still holds."""
        turn = Turn(status="miss", text=BUY, key="k")
        assert kept_turn({**turn.model_dump(mode="json"), "mood": "good"}) == turn

    @pytest.mark.parametrize("document", [None, {"status": "dreaming"}])
    def test_a_turn_that_cannot_be_read(self, document: Any) -> None:
        """The model goes on, and nothing is learnt."""
        assert kept_turn(document).status == "off" and not kept_turn(document).teaches

    def test_a_call_as_it_was_recorded(self) -> None:
        """The record says what was carried out; without one the call was not, unless the host is trusted."""
        shown, asked = Shown("7"), Asked(id="1", tool="price", arguments={"item": "tea"})
        record = Executed.of("price", {"item": "milk"}, shown).model_dump(mode="json")
        known = carried_as("1", "price", shown, record, asked)
        assert (known.arguments, known.result, known.refused) == ({"item": "milk"}, 7, "")
        assert carried_as("1", "price", shown, {}).refused == "7"
        assert carried_as("1", "price", shown, {}, asked).arguments == {"item": "tea"}
        assert carried_as("1", "price", shown, {"of": "another version"}, asked).refused == "7"
        assert carried_as("1", "price", Shown("gone", failed=True), {}, asked).error == "gone"

    def test_where_a_turn_begins(self) -> None:
        """A message that is gone from the history has nothing before it, and nothing after."""
        history = [Spoken(id=name) for name in "abc"]
        assert after(history, "b") == history[2:] and until(history, "b") == history[:2]
        assert after(history, "x") is None and until(history, "x") == ()

    @pytest.mark.parametrize(
        ("said", "name"),
        [
            *[(None, None), (" ", None), ("", None), (object(), None), (b"", None), (True, None)],
            *[(7, "7"), (0, "0"), ("order-7", "order-7"), (UUID(int=7), str(UUID(int=7)))],
        ],
    )
    def test_the_name_of_a_request(self, said: object, name: str | None, caplog: pytest.LogCaptureFixture) -> None:
        """What is empty or lies somewhere in memory names no request, and that is told."""
        assert request_name(said, "request_id") == name
        assert ("names no request" in caplog.text) == (said is not None and name is None)


@pytest.mark.parametrize(
    ("content", "text"),
    [("a", "a"), (["a", {"text": "b"}], "ab"), ([], ""), (["a", {"image": "b"}], None), ([{"text": 1}], None)],
)
def test_the_text_of_a_content(content: object, text: str | None) -> None:
    """There is none where it holds more than text."""
    assert text_in(content) == text


def test_an_event_as_attributes() -> None:
    """A span holds nothing nested: of what was saved, it says the tokens."""
    event = Event("seglam.hit", {"procedure": "p@1", "saved": {"input_tokens": 3, "output_tokens": 4}})
    assert event.flat == {"seglam.procedure": "p@1", "seglam.saved_tokens": 7}


class TestTools:
    """Tools of a host that bodies call."""

    def test_one_that_is_not_there(self) -> None:
        """The body sees an error, and so does whoever calls the function of a tool that fails."""
        call = among({"price": 3}, lambda tool, call: work(lambda: ToolResult(value=tool)))
        assert drive(call(Call("price", {}))).value == 3
        assert "'order' is not available" in (drive(call(Call("order", {}))).error or "")
        with pytest.raises(RuntimeError, match="sold out"):
            function_of(lambda arguments: ToolResult(error="sold out"))(item="tea")
        assert function_of(lambda arguments: ToolResult(value=arguments["item"]))(item="tea") == "tea"

    def test_effects(self) -> None:
        """A tool of which nothing is said writes; what is no effect is told."""
        assert (checked_effect("t", None), checked_effect("t", "read")) == ("write", "read")
        with pytest.raises(ValueError, match="'t' is 'harmless'"):
            checked_effect("t", "harmless")

    def test_why_an_answer_is_none(self) -> None:
        """What the host's own check raises is the reason."""
        misfit = misfits_of(lambda answer: int(str(answer)), "it is no number")
        assert misfit("7") is None and (misfit("seven") or "").startswith("it is no number: invalid literal")


class TestToldAnew:
    """Agents that are told something else."""

    def test_within_a_turn(self, cache: ReasoningCache) -> None:
        """A procedure that has asked for something gives up; before that, the turn is looked up anew."""
        drivers, told = Drivers(), instructions_digest("Be brief.")
        begun = drivers.step(cache, Turn(), lambda: Posed(BUY), View({}), told=cache.instructions)
        assert isinstance(begun, Say)
        gave_up = drivers.step(cache, begun.turn, lambda: Posed(BUY), View({}), told=told)
        assert isinstance(gave_up, Pass) and gave_up.turn.reason == RETOLD
        unasked = begun.turn.model_copy(update={"asked": ()})
        again = drivers.step(cache, unasked, lambda: Posed(BUY), View({}), told=told)
        assert again.turn.status == "miss" and again.turn.instructions == told

    def test_nobody_is_known(self) -> None:
        """Without a cache there is no driver."""
        assert Drivers().known(None) is None and Drivers().under(None, Turn()) is None


class TestOffer:
    """Procedures that a model is offered as tools."""

    def test_begun_by_the_model(self, cache: ReasoningCache) -> None:
        """A lone call of one with tools becomes its first step; two calls, and other tools, stay as they are."""
        turn = Turn(status="miss", text="Order tea, please")
        offer = Offer(Drivers().of(cache)).near(turn, 3, {"price", "order"})
        (name,) = offer.entries
        call = Asked(id="1", tool=name, arguments={"n": 2, "item": "tea"})
        begun = offer.begun(turn, [call], "I order.")
        assert begun is not None and begun[1].tool == "price" and begun[0].called is not None
        assert begun[0].called.text == "I order."
        assert offer.begun(turn, [call, call], "") is None
        assert offer.begun(turn, [Asked(id="1", tool="price")], "") is None

    def test_where_nothing_is_offered(self, cache: ReasoningCache) -> None:
        """A hit needs no offer; nor is one made that calls a tool which is not there."""
        offer = Offer(Drivers().of(cache))
        assert not offer.near(Turn(status="hit", text=BUY), 3, {"price", "order"}).entries
        assert not offer.near(Turn(status="miss", text=BUY), 3, {"price"}).entries


class TestParts:
    """Agents whose run the host keeps in a store."""

    async def _begun(self, parts: Parts, told: str = "", switch: Switch = "on") -> Part:
        return await parts.begin(Part(turn=Turn(key=new_id()), instructions=told, own=told), Posed(BUY), switch)

    async def test_a_procedure_says_every_step(self, cache: ReasoningCache) -> None:
        """What it asks for is in the part; once its calls are there, it answers, unless its agent is told otherwise."""
        parts, done = Parts(cache), list[Done]()
        part = await self._begun(parts)
        for tool in ("price", "order"):
            decision = await parts.decide(part, View(part.calls(done)), "")
            assert isinstance(decision, Say) and decision.call.tool == tool
            part, call = part.decided(decision), decision.call
            result = 3 if tool == "price" else "ordered"
            done.append(Done(call.arguments, Carried(id=call.id, tool=tool, arguments=call.arguments, result=result)))
        assert (await parts.decide(part, View(part.calls(done)), "Give away.")).turn.reason == RETOLD
        assert (await parts.decide(part, View(part.calls(done)), "")).turn.status == "hit"

    async def test_what_the_model_said_is_noted(self, cache: ReasoningCache) -> None:
        """With the calls that can be read; where a step cannot be noted, the part is closed."""
        parts, store = Parts(cache), Store()
        part = await self._begun(parts, "Sell.")
        assert part.turn.status == "miss"
        await save_run(store, (await load_run(store)).begun().with_part("a", part))
        said = Spoken.by("I look.", [Asked(id="x", tool="price"), None], Usage(calls=1))
        await parts.listen(store, "a", lambda: said)
        part = (await load_run(store)).part("a")
        assert part.said == (said,) and said.unreadable and part.turn.author == said.id
        assert (said.given, [call.tool for call in said.calls]) == (("x",), ["price"])

        def broken() -> Spoken:
            raise RuntimeError("broken")

        await parts.listen(store, "a", broken)
        closed = (await load_run(store)).part("a").turn
        assert (closed.status, closed.learn, closed.reason) == ("off", False, "a step could not be noted")

    async def test_a_run_that_cannot_be_read(self, cache: ReasoningCache) -> None:
        """No write is known of it, and the host goes on."""

        class Broken(Store):
            async def get(self, path: str, default: object = None) -> object:
                raise RuntimeError("broken")

        parts = Parts(cache)
        assert await parts.writing(Broken(), "a", "1") == (None, None)
        await parts.learn(Broken(), "a")
        await parts.close(Broken(), "a", "it is broken")

    async def test_switched_off(self, cache: ReasoningCache) -> None:
        """Neither served nor learnt."""
        assert (await self._begun(Parts(cache), switch="off")).turn.status == "off"


@dataclass(slots=True)
class Shelf:
    """A source that knows one thing."""

    found: Seen | Unfit

    @property
    def tools(self) -> Sequence[HostTool]:
        tool = Tool(name="shelf", description="", parameters={"type": "object", "properties": {}}, effect="read")
        return (HostTool(tool, lambda: "tea"),)

    def session(self, constants: frozenset[str]) -> Any:
        raise LookupError("nothing is stored about it")

    def seen(self, question: str, metadata: Mapping[str, object]) -> Seen | Unfit:
        return self.found


class TestQuestions:
    """Questions over a source of the host's."""

    def _learn(self, cache: ReasoningCache, found: Seen | Unfit) -> list[tuple[str, Trace | None, Learned]]:
        told: list[tuple[str, Trace | None, Learned]] = []
        questions = Questions[Json](cache, Shelf(found), learned=lambda *said: told.append(said))
        assert drive(questions.answer("What is on the shelf?")) is None
        drive(questions.learn("What is on the shelf?", {}))
        return told

    def test_what_was_seen_is_learnt_from(self, cache: ReasoningCache) -> None:
        """As a trace of one call, whose result is the answer."""
        ((question, trace, _),) = self._learn(cache, Seen("shelf", {}, "tea"))
        assert question == "What is on the shelf?" and trace is not None
        assert (trace.answer, [step.tool for step in trace.calls]) == ("tea", ["shelf"])

    def test_why_nothing_is_learnt(self, cache: ReasoningCache) -> None:
        """The reason is told."""
        ((_, trace, learned),) = self._learn(cache, Unfit("the shelf is gone"))
        assert trace is None and learned.reason == "the shelf is gone"

    def test_without_a_source(self, cache: ReasoningCache) -> None:
        """The host answers, and nothing is learnt."""
        questions = Questions[Json](cache, None)
        assert drive(questions.answer(BUY)) is None
        drive(questions.learn("What is on the shelf?", {}))


class TestChooser:
    """Choices of the host's."""

    def test_the_host_chooses_and_is_learnt_from(self, cache: ReasoningCache) -> None:
        """Where no procedure chooses; a choice that cannot be told teaches nothing."""
        told: list[Trace] = []
        chooser = Chooser(cache, "route")
        chooser.drivers = Drivers(on_learned=lambda trace, _: told.append(trace))
        choices = choices_of([("sql", "rows"), ("sql", "tables"), (None, "words")])
        assert choices == [Choice("0_sql", "rows"), Choice("1_sql", "tables"), Choice("2_", "words")]

        def ask() -> Flow[int]:
            return (yield from work(lambda: 1))

        def choose(made: list[Chosen] | None) -> int:
            return drive(chooser.chosen("Which rows?", choices, ask(), lambda _: made, len))

        assert choose([Chosen("1_sql")]) == 1 == choose(None)
        assert [step.arguments["choice"] for trace in told for step in trace.calls] == ["1_sql"]
