"""Agents that phrase their last message freely: the calls are served, and somebody has the last word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.hosting import run_plan
from seglam_agents.records.outcome import Call, Deopt, Hit, Learned, Miss, Plan
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.sandboxes.base import ToolResult
from seglam_agents.sandboxes.monty import MontySandbox

CANCELLED = (
    "Order {} is cancelled.",
    "I have cancelled order {}.",
    "Done: {} has been cancelled for good.",
    "Your order {} was called off as you wished.",
)
COSTS = ("{} costs {} coins.", "You'd pay {1} coins for {0}.", "Sure! {} is {} coins.", "The price of {}: {} coins.")
ORDERS = ("A-1041", "A-2377", "A-9013", "A-4410", "A-5120", "A-6604", "A-7212", "A-8350")
ITEMS = ("tea", "milk", "rice", "salt", "flour", "honey", "sugar", "butter")
TEXT: dict[str, Json] = {"type": "string"}


class Desk:
    """A cache whose agent cancels orders and tells prices."""

    def __init__(self, sandbox: MontySandbox, **options: Any) -> None:
        self.cancelled: list[str] = []
        self.cache = ReasoningCache(
            sandbox=sandbox,
            second_sandbox=None,
            tools=[
                HostTool(_tool("cancel", "write", "order"), self.cancel),
                HostTool(_tool("price", "read", "item"), self.price),
            ],
            **options,
        )

    def cancel(self, order: str) -> str:
        self.cancelled.append(order)
        return "ok"

    def price(self, item: str) -> dict[str, Json]:
        return {"item": item, "coins": _coins(item)}

    def saw_cancel(self, number: int, phrase: str) -> Learned:
        order = ORDERS[number]
        step = ToolStep(tool="cancel", arguments={"order": order}, result="ok")
        return self.saw(f"Cancel order {order}", phrase.format(order), step)

    def saw_price(self, number: int, phrase: str, asked: str = "How much is {}?") -> Learned:
        item = ITEMS[number]
        step = ToolStep(tool="price", arguments={"item": item}, result={"item": item, "coins": _coins(item)})
        return self.saw(asked.format(item), phrase.format(item, _coins(item)), step)

    def saw(self, text: str, answer: str, *steps: ToolStep) -> Learned:
        return self.cache.observe(Trace(request=Request(text=text), steps=steps, answer=answer))

    def served(self, text: str) -> Hit | Deopt | str:
        """Serve a request as a host does; why it is not served, where it is not."""
        plan = self.cache.plan(text)
        if not isinstance(plan, Plan):
            return plan.reason

        def call(action: Call) -> ToolResult:
            function: Callable[..., Any] = self.cancel if action.tool == "cancel" else self.price
            return ToolResult(function(**action.arguments))

        return self.cache.finish(plan, *run_plan(self.cache, plan, call))


def _tool(name: str, effect: Any, argument: str) -> Tool:
    return Tool(name=name, effect=effect, parameters={"type": "object", "properties": {argument: TEXT}})


def _coins(item: str) -> int:
    return sum(map(ord, item)) % 17 + 2


Open = Callable[..., Desk]


@pytest.fixture
def opened(sandbox: MontySandbox) -> Iterator[Open]:
    desks: list[Desk] = []

    def opened(**options: Any) -> Desk:
        desks.append(Desk(sandbox, **options))
        return desks[-1]

    yield opened
    for desk in desks:
        desk.cache.close()


class TestTheModelSaysIt:
    """Where the calls are explained and the last message is not, the model says it."""

    def test_what_writes(self, opened: Open) -> None:
        """The call is made, and the answer is left open; the hit says so."""
        desk = opened()
        for number in range(6):
            desk.saw_cancel(number, CANCELLED[number % 4])
        hit = desk.served("Cancel order A-3141")
        assert isinstance(hit, Hit) and (hit.answer, hit.closing) == (None, "model")
        assert desk.cancelled == ["A-3141"] and [step.tool for step in hit.steps] == ["cancel"]

    def test_what_only_reads(self, opened: Open) -> None:
        """The same."""
        desk = opened()
        for number in range(6):
            desk.saw_price(number, COSTS[number % 4])
        hit = desk.served("How much is jam?")
        assert (
            isinstance(hit, Hit)
            and hit.closing == "model"
            and hit.steps[0].result
            == {
                "item": "jam",
                "coins": _coins("jam"),
            }
        )

    def test_without_a_host_nothing_is_done(self, opened: Open) -> None:
        """A look-up alone has nobody who says the rest: a miss, and no call."""
        desk = opened()
        for number in range(6):
            desk.saw_cancel(number, CANCELLED[number % 4])
        missed = desk.cache.lookup("Cancel order A-3141")
        assert (
            isinstance(missed, Miss)
            and missed.kind == "not tried"
            and "its last message is the model's" in missed.reason
        )
        assert desk.cancelled == []

    def test_calls_that_nothing_explains_are_not_made(self, opened: Open) -> None:
        """Only what is said may be free."""
        desk = opened()
        for number in range(6):
            step = ToolStep(tool="cancel", arguments={"order": ORDERS[-number - 1]}, result="ok")
            desk.saw(f"Cancel order {ORDERS[number]}", CANCELLED[number % 4].format(ORDERS[number]), step)
        assert not isinstance(desk.served("Cancel order A-3141"), Hit) and desk.cancelled == []

    def test_a_write_needs_as_many_predictions_as_ever(self, opened: Open) -> None:
        """Three runs in free words serve nothing that writes."""
        desk = opened()
        for number in range(3):
            desk.saw_cancel(number, CANCELLED[number])
        assert not isinstance(desk.served("Cancel order A-3141"), Hit) and desk.cancelled == []

    def test_a_way_that_no_run_predicted_stops_before_it_writes(self, opened: Open) -> None:
        """Beside one that is served: what is of kind "a" is looked up, and calls for "b" wait for predictions."""
        desk = opened(predictions=(1, 9))
        for number in range(8):
            item = ITEMS[number]
            dear = number % 2 == 0
            steps = [ToolStep(tool="price", arguments={"item": item}, result={"item": item, "kind": "ab"[dear]})]
            if dear:
                steps.append(ToolStep(tool="cancel", arguments={"order": item}, result="ok"))
            desk.saw(f"See to {item}", CANCELLED[(number // 2) % 4].format(item), *steps)
        (entry,) = desk.cache.procedures()
        assert "price(" in entry.procedure.body and "cancel(" not in entry.procedure.body

    def test_an_amount_beyond_those_seen_is_not_written(self, opened: Open) -> None:
        """What holds the arguments of a write holds them whoever has the last word."""
        desk = opened()
        for number in range(6):
            desk.saw_cancel(number, CANCELLED[number % 4])
        assert not isinstance(desk.served("Cancel order A-3141/A-3142"), Hit)
        assert not isinstance(desk.served("Cancel order 31415926"), Hit) and desk.cancelled == []


class TestAgain:
    """Explanations are looked for while runs may still give one."""

    def test_code_says_it_once_it_is_explained(self, opened: Open) -> None:
        """A verdict of which two runs show too little is the model's; when more have shown where it turns, code's."""
        desk = opened()

        def saw(item: str) -> None:
            coins = _coins(item)
            step = ToolStep(tool="price", arguments={"item": item}, result={"item": item, "coins": coins})
            said = "That is a fair price." if coins < 11 else "Better wait for a sale."
            desk.saw(f"Is {item} dear?", said, step)

        for item in ("milk", "rice", "figs"):
            saw(item)
        first = desk.served("Is jam dear?")
        assert isinstance(first, Hit) and (first.answer, first.closing) == (None, "model")
        for item in ("salt", "honey", "nuts", "sugar", "beans", "corn", "tea"):
            saw(item)
        told = desk.served("Is jam dear?")
        assert isinstance(told, Hit) and (told.answer, told.closing) == ("That is a fair price.", "answer")

    def test_further_runs_make_no_further_versions(self, opened: Open) -> None:
        """A kind that says nothing new is stored once; after a dozen runs nothing is looked for any more."""
        desk = opened()
        learned = [desk.saw_cancel(number % 8, CANCELLED[number % 3]).status for number in range(8)]
        last = Learned(status="deferred")
        assert learned.count("admitted") == 1
        for number in range(14):
            order = f"A-{3000 + number}"
            step = ToolStep(tool="cancel", arguments={"order": order}, result="ok")
            last = desk.saw(f"Cancel order {order}", CANCELLED[number % 4].format(order), step)
        (entry,) = desk.cache.procedures()
        assert entry.procedure.version == 1 and last.reason.endswith("foretold it")

    def test_another_question_with_the_same_calls_is_another_kind(self, opened: Open) -> None:
        """The same read in free words says nothing of whether the same was asked."""
        desk = opened()
        for number in range(6):
            desk.saw_price(number, COSTS[number % 4])
        for number in range(6):
            desk.saw_price(
                number, ("There is {} on the shelf.", "You can have {} at once.")[number % 2], "Is {} in stock?"
            )
        assert len(desk.cache.procedures()) == 2


class TestTheUsersChoice:
    """`ReasoningCache(closing=...)`."""

    def test_code_or_nothing(self, opened: Open) -> None:
        """The refusal says what is missing."""
        desk = opened(closing="code")
        learned = [desk.saw_cancel(number, CANCELLED[number % 4]) for number in range(6)]
        assert "closing='code'" in learned[-1].reason and not desk.cache.procedures()

    def test_a_report(self, opened: Open) -> None:
        """One line a call with its result, with and without a host."""
        desk = opened(closing="report")
        for number in range(6):
            desk.saw_cancel(number, CANCELLED[number % 4])
        hit = desk.cache.lookup("Cancel order A-3141")
        assert isinstance(hit, Hit) and (hit.answer, hit.closing) == ('cancel(order="A-3141"): ok', "report")
        hosted = desk.served("Cancel order A-3142")
        assert isinstance(hosted, Hit) and hosted.answer == 'cancel(order="A-3142"): ok'
        assert desk.cancelled == ["A-3141", "A-3142"]

    def test_always_the_model(self, opened: Open) -> None:
        """Though code could say it."""
        for closing, mode in (("auto", "answer"), ("model", "model")):
            desk = opened(closing=closing)
            for number in range(6):
                desk.saw_price(number, COSTS[0])
            hit = desk.served("How much is jam?")
            assert isinstance(hit, Hit) and hit.closing == mode

    def test_another_word_is_refused(self, opened: Open) -> None:
        """It says which there are."""
        with pytest.raises(ValueError, match="auto, code, report, model"):
            opened(closing="free")
