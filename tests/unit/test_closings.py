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
    "Done: {} has been cancelled, and the courier knows.",
    "Your order {} was called off; its stock is free again.",
)
"""Some of them assert what no run holds."""
FREE = (
    "Order {} is cancelled.",
    "I have cancelled order {} for you, anything else?",
    "All set!",
    "Done: {} has been cancelled as you wished. Let me know if there are any problems.",
)
"""None of them asserts anything but what was called."""
COSTS = ("{} costs {} coins.", "You'd pay {1} coins for {0}.", "Sure! {} is {} coins.", "The price of {}: {} coins.")
ORDERS = ("A-1041", "A-2377", "A-9013", "A-4410", "A-5120", "A-6604", "A-7212", "A-8350")
ITEMS = ("tea", "milk", "rice", "salt", "flour", "honey", "sugar", "butter")
TEXT: dict[str, Json] = {"type": "string"}


class Desk:
    """A cache whose agent cancels orders and tells prices."""

    def __init__(self, sandbox: MontySandbox, more: tuple[str, ...] = (), **options: Any) -> None:
        self.cancelled: list[str] = []
        self.cache = ReasoningCache(
            sandbox=sandbox,
            second_sandbox=None,
            tools=[
                HostTool(_tool("cancel", "write", "order"), self.cancel),
                HostTool(_tool("price", "read", "item"), self.price),
                *(HostTool(_tool(name, "write", "order"), self.cancel) for name in more),
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


class TestNothingIsAsserted:
    """Where the last messages assert nothing but what was called, no model is asked for one."""

    def test_code_says_a_plain_phrasing(self, opened: Open) -> None:
        """One of the agent's own, without any fact; it is what is said with a host and without."""
        desk = opened()
        for number in range(6):
            desk.saw_cancel(number, FREE[number % 4])
        hit = desk.served("Cancel order A-3141")
        assert isinstance(hit, Hit) and (hit.answer, hit.closing) == ("All set!", "code")
        alone = desk.cache.lookup("Cancel order A-3142")
        assert isinstance(alone, Hit) and (alone.answer, alone.closing) == ("All set!", "code")
        assert desk.cancelled == ["A-3141", "A-3142"]

    def test_a_report_where_no_phrasing_is_plain(self, opened: Open) -> None:
        """Each names the order: what was carried out is told instead."""
        desk = opened()
        for number in range(6):
            desk.saw_cancel(number, (FREE[0], FREE[3])[number % 2])
        hit = desk.served("Cancel order A-3141")
        assert isinstance(hit, Hit) and hit.answer in ("Order A-3141 is cancelled.", 'cancel(order="A-3141"): ok')

    def test_a_report_tells_what_was_changed(self, opened: Open) -> None:
        """And not what was looked up on the way."""
        desk = opened(closing="report")
        for number in range(6):
            item = ITEMS[number]
            look = ToolStep(tool="price", arguments={"item": item}, result={"item": item, "coins": _coins(item)})
            step = ToolStep(tool="cancel", arguments={"order": item}, result="ok")
            desk.saw(f"See to {item}", CANCELLED[number % 4].format(item), look, step)
        hit = desk.served("See to jam")
        if isinstance(hit, Hit):
            assert hit.answer == 'cancel(order="jam"): ok'

    def test_what_the_agent_says_after_anything(self, opened: Open) -> None:
        """In any language, with numbers of its own: a phrasing that comes after three tools says nothing of one."""
        free = ("Erledigt, Chef!", "1 of 1 done 🎉", "Voilà, {0} est traité.", "Schritte: 1, zuletzt {0}.")
        desk = Office(opened)
        for number in range(8):
            for tool in ("cancel", "ship", "pack"):
                desk.saw(tool, number, free[(number + len(tool)) % 4])
        hit = desk.desk.served("Cancel order A-3141")
        assert isinstance(hit, Hit) and (hit.answer, hit.closing) == ('cancel(order="A-3141"): ok', "report")

    @pytest.mark.parametrize(
        "other",
        [
            "Sorry, order {} could not be cancelled.",
            "I could not cancel {}.",
            "Only part of {} is cancelled, the rest failed.",
            "{} is cancelled, but a fee of 20 is due.",
            "Cancelled {}, confirmed under number 7781.",
            "Anna Berg was told about {}.",
            "2 of 3 parts of {} are cancelled.",
            "Leider konnte {} nicht storniert werden.",
            "{} was cancelled on March 3.",
            "{} could be cancelled because the parcel is late.",
        ],
    )
    def test_what_is_asserted_sometimes(self, opened: Open, other: str) -> None:
        """After the same calls, and nothing says when: code says neither the one nor the other."""
        desk = opened()
        for number in range(8):
            desk.saw_cancel(number, other if number % 3 == 2 else FREE[number % 4])
        hit = desk.served("Cancel order A-3141")
        assert not isinstance(hit, Hit) or hit.closing == "model"

    def test_a_refusal_takes_back_what_is_said(self, opened: Open) -> None:
        """It was said for code that all is set; then a run with the same calls says that it is not."""
        desk = opened()
        for number in range(6):
            desk.saw_cancel(number, FREE[number % 4])
        desk.saw_cancel(7, "I am sorry, {} could not be cancelled.")
        hit = desk.served("Cancel order A-3141")
        assert not isinstance(hit, Hit) or hit.closing == "model"

    def test_an_outcome_of_the_tool_is_reported(self, opened: Open) -> None:
        """A "confirmed, number 7781" says the number of this run, or none."""
        desk = opened()
        for number in range(8):
            free = ("Confirmed, number {}.", "All done, the number is {}.", "Done: {}.", "Cancelled, number {}.")
            outcome = f"{7781 + 13 * number}"
            step = ToolStep(tool="cancel", arguments={"order": ORDERS[number]}, result={"number": outcome})
            desk.saw(f"Cancel order {ORDERS[number]}", free[(number * 3) % 4].format(outcome), step)
        hit = desk.served("Cancel order A-3141")
        assert "77" not in str(getattr(hit, "answer", "")) and "78" not in str(getattr(hit, "answer", ""))

    def test_a_question_gets_an_answer(self, opened: Open) -> None:
        """Where nothing is changed, what is said is what was asked for: no report stands for it."""
        desk = opened()
        for number in range(6):
            desk.saw_price(number, ("All good.", "Done.", "Finished!", "All set.")[number % 4])
        hit = desk.served("How much is jam?")
        assert not isinstance(hit, Hit) or hit.closing in ("model", "answer")

    def test_code_alone(self, opened: Open) -> None:
        """`closing="code"`: a plain phrasing will do; without one, nothing is served."""
        desk, other = opened(closing="code"), opened(closing="code")
        for number in range(6):
            desk.saw_cancel(number, FREE[number % 4])
            other.saw_cancel(number, CANCELLED[number % 4])
        hit = desk.served("Cancel order A-3141")
        assert isinstance(hit, Hit) and hit.closing == "code" and not other.cache.procedures()


class TestStructuredAnswers:
    """An object's facts are explained; a sentence among them is a last message."""

    @staticmethod
    def _saw(desk: Desk, number: int, note: str) -> None:
        item = ITEMS[number]
        step = ToolStep(tool="price", arguments={"item": item}, result={"item": item, "coins": _coins(item)})
        answer: dict[str, Json] = {"item": item, "coins": _coins(item), "note": note.format(item)}
        desk.cache.observe(Trace(request=Request(text=f"Price of {item}"), steps=(step,), answer=answer))

    def test_a_sentence_that_asserts_nothing_is_any_of_them(self, opened: Open) -> None:
        """The facts are those of this run; the sentence is a phrasing of the agent."""
        desk = opened()
        notes = ("All done!", "Your request is completed.", "Finished, anything else?", "All done!")
        for number in range(6):
            self._saw(desk, number, notes[number % 4])
        hit = desk.served("Price of jam")
        assert isinstance(hit, Hit) and isinstance(hit.answer, dict) and hit.closing == "answer"
        assert (hit.answer["item"], hit.answer["coins"]) == ("jam", _coins("jam")) and hit.answer["note"] in notes

    def test_a_sentence_that_asserts_something_is_left_to_the_model(self, opened: Open) -> None:
        """The calls are made, and the model makes the object of them."""
        desk = opened()
        notes = ("Prices rose by half since May.", "A rare find in this shop.", "Better wait for the sale.")
        for number in range(8):
            self._saw(desk, number, notes[(number * 5) % 3])
        hit = desk.served("Price of jam")
        assert isinstance(hit, Hit) and (hit.answer, hit.closing) == (None, "model")

    def test_a_code_word_is_a_fact(self, opened: Open) -> None:
        """Words such as `done` and `complete` are no phrasings of one status."""
        desk = opened()
        for number in range(6):
            self._saw(desk, number, ("done", "complete", "finished")[(number * 5) % 3])
        hit = desk.served("Price of jam")
        assert not isinstance(hit, Hit) or hit.closing == "model"


class Office:
    """A desk with two tools more, so that the agent's habits show."""

    def __init__(self, opened: Open) -> None:
        self.desk = opened(more=("ship", "pack"))

    def saw(self, tool: str, number: int, phrase: str) -> None:
        order = f"{tool[0].upper()}-{1000 + 37 * number}"
        step = ToolStep(tool=tool, arguments={"order": order}, result="ok")
        self.desk.saw(f"{tool.capitalize()} order {order}", phrase.format(order), step)
