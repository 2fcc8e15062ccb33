"""The laws of the trace compiler by kind of mistake: each is one that a compiler which remembers makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

import pytest

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.records.outcome import Hit, Outcome
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.tools import Effect, Tool
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.records.values import Value, decode
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.memory import MemoryStore

Written = list[tuple[str, dict[str, Json]]]
Results = Mapping[str, Json]


class Desk:
    """A cache with tools that answer from a table, and every write that reached them."""

    def __init__(self, sandbox: MontySandbox, *tools: tuple[str, Effect, str], predictions: tuple[int, int]) -> None:
        self.results: dict[str, Json] = {}
        self.writes: Written = []
        self.now = datetime(2026, 5, 20, 9)
        hosts = [HostTool(_tool(*each), self._function(each[0], each[1])) for each in tools]
        self.cache = ReasoningCache(
            MemoryStore(),
            sandbox=sandbox,
            second_sandbox=None,
            tools=hosts,
            now=lambda: self.now,
            predictions=predictions,
        )

    def saw(self, text: str, answer: Json, *steps: ToolStep, at: datetime | None = None) -> str:
        """Observe a run, and return what came of it."""
        trace = Trace(request=Request(text=text), steps=steps, answer=answer, recorded_at=at or datetime(2026, 5, 1, 9))
        return self.cache.observe(trace).status

    def asked(self, text: str, result: Json = None) -> Outcome:
        """Send a request whose reads find a result."""
        self.results[""] = result
        return self.cache.lookup(text)

    def answer(self, text: str, result: Json = None) -> Json:
        """Return what is answered; None where nothing is."""
        outcome = self.asked(text, result)
        return outcome.answer if isinstance(outcome, Hit) else None

    def _function(self, name: str, effect: Effect) -> Callable[..., Value]:
        def function(**arguments: Json) -> Value:
            if effect == "write":
                self.writes.append((name, dict(arguments)))
                return "ok"
            return decode(self.results[""])

        return function


Open = Callable[..., Desk]


@pytest.fixture
def opened(sandbox: MontySandbox) -> Iterator[Open]:
    desks: list[Desk] = []

    def opened(*tools: tuple[str, Effect, str], predictions: tuple[int, int] = (1, 2)) -> Desk:
        desks.append(Desk(sandbox, *tools, predictions=predictions))
        return desks[-1]

    yield opened
    for desk in desks:
        desk.cache.close()


def _tool(name: str, effect: Effect, arguments: str) -> Tool:
    properties: dict[str, Json] = {argument: {} for argument in arguments.split()}
    return Tool(name=name, parameters={"type": "object", "properties": properties}, effect=effect)


def step(tool: str, result: Json = "ok", **arguments: Json) -> ToolStep:
    return ToolStep(tool=tool, arguments=arguments, result=result)


class TestPlaces:
    """Spans travel with tokens, and words that nobody accounted for are no part of a place."""

    def test_a_number_is_never_cut(self, opened: Open) -> None:
        """Of "In room 15 put 3 chairs" and "... 12 put 5", nothing of a number is taken for a word beside it."""
        desk = opened(("put", "write", "room count"))
        for room, count in ((15, 3), (12, 5), (18, 4), (11, 6), (16, 7)):
            desk.saw(f"In room {room} put {count} chairs", "Done.", step("put", room=room, count=count))
        assert isinstance(desk.asked("In room 14 put 8 chairs"), Hit)
        assert desk.writes == [("put", {"room": 14, "count": 8})]

    @pytest.mark.parametrize(
        ("seen", "asked"),
        [
            ("Add {} to the list", "Add milk instead of eggs to the list"),
            ("Set the {} to 21 degrees", "Set the bedroom tonight to 21 degrees"),
            ("Transfer $50 from Alice to {}", "TRANSFER $50 FROM ALICE TO BOB MONTHLY"),
            ("Transfer $50 from Alice to {}", "Should I transfer $50 from Alice to Bob?"),
        ],
    )
    def test_a_clause_within_a_place_writes_nothing(self, opened: Open, seen: str, asked: str) -> None:
        """Words around and within a value that no run had change what is asked."""
        desk = opened(("write", "write", "value"), predictions=(0, 0))
        for word in ("milk", "eggs", "bedroom", "Bob", "kitchen"):
            desk.saw(seen.format(word), "Done.", step("write", value=word))
        assert not isinstance(desk.asked(asked), Hit) and desk.writes == []

    def test_another_verb_is_another_kind(self, opened: Open) -> None:
        """After "Cancel order X", one "Keep order D-4" that was cancelled joins nothing."""
        desk = opened(("cancel", "write", "order"))
        for order in ("A-1", "B-2", "C-3", "E-9", "F-2"):
            desk.saw(f"Cancel order {order}", "Done.", step("cancel", order=order))
        desk.saw("Keep order D-4", "Done.", step("cancel", order="D-4"))
        assert not isinstance(desk.asked("Keep order G-5"), Hit) and desk.writes == []
        assert isinstance(desk.asked("Cancel order G-5"), Hit)


class TestRivals:
    """What fits all runs by accident has to agree with what else does."""

    def test_the_word_of_an_answer_comes_from_the_request(self, opened: Open) -> None:
        """An item that was always the same is not told of another one."""
        desk = opened(("stock", "read", "item place"))
        for place, count in (("Oslo", 4), ("Porto", 9), ("Lyon", 11), ("Turin", 7)):
            run = step("stock", {"count": count}, item="usb hubs", place=place)
            desk.saw(f"How many usb hubs are in {place}?", f"We have {count} usb hubs in {place}.", run)
        told = desk.answer("How many desk lamps are in Lyon?", {"count": 6})
        assert told is None or told == "We have 6 desk lamps in Lyon."

    def test_a_quantity_that_never_varied_is_not_told_of_another(self, opened: Open) -> None:
        """The request "Order 20 kites" is not answered with the 3 of the runs."""
        desk = opened(("order", "write", "item count"), predictions=(0, 0))
        for item in ("kites", "lamps", "mats"):
            desk.saw(f'Order 3 "{item}"', f"I've ordered 3 {item}.", step("order", item=item, count=3))
        assert desk.answer('Order 20 "kites"') in (None, "I've ordered 20 kites.")

    def test_the_digits_of_a_ticket_that_were_the_quantity(self, opened: Open) -> None:
        """Tickets O2, O5 and O9 for 2, 5 and 9 pieces: the ticket of a fourth order is what the tool says."""
        desk = opened(("order", "read", "count"))
        for count in (2, 5, 9, 4):
            desk.saw(
                f"Order {count} crates", f"The ticket is O{count}.", step("order", {"ticket": f"O{count}"}, count=count)
            )
        assert desk.answer("Order 6 crates", {"ticket": "O901"}) in (None, "The ticket is O901.")

    def test_a_result_that_never_varied_comes_from_the_result(self, opened: Open) -> None:
        """`B23` of every run is no constant where the result says it."""
        desk = opened(("find", "read", "item"))
        for item in ("A-1", "A-2", "A-3", "A-4"):
            desk.saw(f"Where is {item}?", "On shelf B23.", step("find", {"shelf": "B23"}, item=item))
        assert desk.answer("Where is A-9?", {"shelf": "C40"}) in (None, "On shelf C40.")

    def test_a_difference_is_not_remembered(self, opened: Open) -> None:
        """Count less reserved was 3 in every run; then it is not."""
        desk = opened(("stock", "read", "item"))
        for item, count in (("A-1", 5), ("A-2", 9), ("A-3", 7), ("A-4", 12)):
            run = step("stock", {"count": count, "reserved": count - 3}, item=item)
            desk.saw(f"How many {item} are free?", 3, run)
        assert desk.answer("How many A-9 are free?", {"count": 8, "reserved": 6}) in (None, 2)

    def test_the_only_row_is_not_the_smallest(self, opened: Open) -> None:
        """Every customer had one invoice: where there are two, nothing is chosen."""
        desk = opened(("invoices", "read", "name"), ("remind", "write", "invoice"), predictions=(0, 0))
        for name, invoice in (("Ann", "i-1"), ("Ben", "i-7"), ("Cem", "i-4")):
            rows: Json = [{"id": invoice, "total": 40}]
            steps = (step("invoices", rows, name=name), step("remind", invoice=invoice))
            desk.saw(f'Remind "{name}" of the smallest invoice', "Done.", *steps)
        desk.asked('Remind "Dan" of the smallest invoice', [{"id": "i-8", "total": 90}, {"id": "i-9", "total": 20}])
        assert desk.writes == []

    def test_a_verdict_holds_only_inside_what_was_seen(self, opened: Open) -> None:
        """All cities were warm: "No" is not said at 1 degree."""
        desk = opened(("weather", "read", "city"))
        for city, degrees in (("Porto", 22), ("Lyon", 17), ("Turin", 25), ("Rome", 19)):
            run = step("weather", {"degrees": degrees}, city=city)
            desk.saw(f"Do I need a coat in {city}?", f"No, it is {degrees} degrees.", run)
        assert desk.answer("Do I need a coat in Oslo?", {"degrees": 1}) is None
        assert desk.answer("Do I need a coat in Lyon?", {"degrees": 20}) == "No, it is 20 degrees."

    @pytest.mark.parametrize(
        ("phrase", "values"),
        [
            ("this quarter", ("2026-Q2", "2026-Q3")),
            ("last month", ("2026-04", "2026-06")),
            ("this year", ("2026", "2027")),
        ],
    )
    def test_time_does_not_stand_still(self, opened: Open, phrase: str, values: Sequence[str]) -> None:
        """A period of the runs is no constant where the request speaks of a time."""
        desk = opened(("report", "read", "period"))
        for day in (4, 11, 19, 25):
            run = step("report", {"total": 40 + day}, period=values[0])
            desk.saw(f"Report of {phrase}", f"The total is {40 + day}.", run, at=datetime(2026, 5, day, 9))
        desk.now = datetime(2027, 2, 3) if phrase == "this year" else datetime(2026, 7, 9)
        before = len(desk.writes)
        outcome = desk.asked(f"Report of {phrase}", {"total": 44})
        made = [call.arguments["period"] for call in outcome.steps] if isinstance(outcome, Hit) else []
        assert made in ([], [values[1]]) and len(desk.writes) == before


class TestPredictions:
    """A way serves when it has foretold runs, and no longer when it was wrong."""

    @pytest.mark.parametrize(("effect", "runs"), [("read", 3), ("write", 4)])
    def test_how_many_runs_it_takes(self, opened: Open, effect: Effect, runs: int) -> None:
        """Two runs and one prediction for what reads, two and two for what writes."""
        desk = opened(("do", effect, "code"))
        statuses = [
            desk.saw(f"Do it for {code}", "Done.", step("do", code=code)) for code in ("K-1", "K-2", "K-3", "K-4")
        ]
        assert statuses.index("admitted") + 1 == runs

    def test_a_wrong_prediction_suspends(self, opened: Open) -> None:
        """A run that did something else than foretold: the procedure serves no more."""
        desk = opened(("do", "write", "code"))
        for code in ("K-1", "K-2", "K-3", "K-4"):
            desk.saw(f"Do it for {code}", "Done.", step("do", code=code))
        assert isinstance(desk.asked("Do it for K-7"), Hit)
        desk.saw("Do it for K-8", "Done.", step("do", code="K-9"))
        assert not isinstance(desk.asked("Do it for K-7"), Hit)
        assert [entry.status for entry in desk.cache.procedures()] == ["suspended"]


class TestNames:
    """Names of tools and arguments that no code can use."""

    @pytest.mark.parametrize("name", ["get-price", "shop.price", "list", "first", "date", "class", "ﬁnd"])
    def test_a_tool_of_any_name(self, opened: Open, name: str) -> None:
        """It is called under its own name, whatever the body calls it."""
        desk = opened((name, "read", "code from"))
        for code, price in (("K-1", 4), ("K-2", 9), ("K-3", 7)):
            run = ToolStep(tool=name, arguments={"code": code, "from": "shop"}, result={"price": price})
            desk.saw(f"Price of {code}", price, run)
        outcome = desk.asked("Price of K-9", {"price": 8})
        assert isinstance(outcome, Hit) and outcome.answer == 8
        assert [(each.tool, dict(each.arguments)) for each in outcome.steps] == [
            (name, {"code": "K-9", "from": "shop"})
        ]


class TestWishes:
    """A choice that no word of a request asks for is no rival; one that a word may ask for is."""

    @staticmethod
    def _orders(*kinds: str) -> list[Json]:
        return [{"id": f"o-{place}", "kind": kind, "total": 10 + place} for place, kind in enumerate(kinds)]

    def _counted(self, desk: Desk, request: str) -> None:
        """Let runs count rows that never had a certain kind beside the others."""
        runs = (("Ann", "abb"), ("Ben", "ab"), ("Cem", "aabb"), ("Dan", "a"), ("Eva", "bbbab"))
        for name, kinds in runs:
            rows = self._orders(*kinds)
            run = step("orders", rows, name=name)
            desk.saw(request.format(name), f"{name} has {len(rows)} orders.", run)

    def test_what_no_word_asks_for_does_not_block(self, opened: Open) -> None:
        """Nobody said that some rows do not count: they all do, as many as there are."""
        desk = opened(("orders", "read", "name"))
        self._counted(desk, "How many orders does {} have?")
        told = desk.answer("How many orders does Fay have?", self._orders("a", "b", "b", "a"))
        assert told == "Fay has 4 orders."

    def test_the_end_that_is_asked_for(self, opened: Open) -> None:
        """The smallest order was the first in every run: elsewhere it is still the smallest, or nothing is said."""
        desk = opened(("orders", "read", "name"))
        for name, totals in (("Ann", (3, 8)), ("Ben", (5, 9, 7)), ("Cem", (2, 6)), ("Dan", (4, 9, 8))):
            rows: Json = [{"id": f"{name}-{total}", "total": total} for total in totals]
            desk.saw(f"Smallest order of {name}?", f"It is {name}-{totals[0]}.", step("orders", rows, name=name))
        rows = [{"id": "Fay-8", "total": 8}, {"id": "Fay-3", "total": 3}]
        assert desk.answer("Smallest order of Fay?", rows) in (None, "It is Fay-3.")

    def test_which_of_equal_ones(self, opened: Open) -> None:
        """In no run two were the smallest: which one is meant then is not known, until runs had some."""
        desk = opened(("orders", "read", "name"))
        runs = (("Ann", (8, 3)), ("Ben", (9, 5, 7)), ("Cem", (2, 6)), ("Dan", (9, 4, 8)))
        for name, totals in runs:
            self._smallest(desk, name, totals, totals.index(min(totals)))
        equal: Json = [{"id": "Fay-0", "total": 8}, {"id": "Fay-1", "total": 3}, {"id": "Fay-2", "total": 3}]
        assert desk.answer("Smallest order of Eva?", [{"id": "Eva-0", "total": 7}, {"id": "Eva-1", "total": 3}])
        assert desk.answer("Smallest order of Fay?", equal) is None
        for name, totals in (("Gil", (9, 3, 3, 5)), ("Hal", (4, 4, 8)), ("Ida", (6, 2, 3, 2)), ("Jon", (9, 8, 2, 2))):
            self._smallest(desk, name, totals, len(totals) - 1 - totals[::-1].index(min(totals)))
        assert desk.answer("Smallest order of Fay?", equal) in (None, "It is Fay-2.")

    @staticmethod
    def _smallest(desk: Desk, name: str, totals: Sequence[int], said: int) -> None:
        rows: Json = [{"id": f"{name}-{number}", "total": total} for number, total in enumerate(totals)]
        desk.saw(f"Smallest order of {name}?", f"It is {name}-{said}.", step("orders", rows, name=name))

    def test_a_roundabout_explanation_of_few_values_tells_nothing(self, opened: Open) -> None:
        """Two answers alone, which only the largest number of chosen rows gives: it may give them by accident."""
        desk = opened(("orders", "read", "name"))
        for name, kinds, said in (("Ann", "abb", 12), ("Ben", "ba", 10), ("Cem", "aab", 12), ("Dan", "ba", 10)):
            desk.saw(f"Score of {name}?", said, step("orders", self._orders(*kinds), name=name))
        assert desk.answer("Score of Fay?", self._orders("a", "a", "a", "b")) is None

    def test_chosen_rows_that_were_never_missing(self, opened: Open) -> None:
        """All runs found open ones: what is said where there are none was never seen."""
        desk = opened(("orders", "read", "name"))
        for name, kinds in (("Ann", "open sent open"), ("Ben", "sent open"), ("Cem", "open open sent sent")):
            rows = self._orders(*kinds.split())
            chosen = kinds.split().count("open")
            desk.saw(f"How many open orders has {name}?", f"{chosen} are open.", step("orders", rows, name=name))
        assert desk.answer("How many open orders has Eva?", self._orders("open", "sent")) in (None, "1 are open.")
        assert desk.answer("How many open orders has Fay?", self._orders("sent", "sent")) is None


class TestSaid:
    """What is said or counted is held to the class that it always was of."""

    def test_one_alone_is_not_several(self, opened: Open) -> None:
        """Where there always were several, of one alone nothing is known."""
        desk = opened(("orders", "read", "name"))
        for name, count in (("Ann", 2), ("Ben", 4), ("Cem", 3), ("Dan", 5)):
            rows: Json = [{"id": f"{name}-{place}"} for place in range(count)]
            desk.saw(f"Count the orders of {name}", f"{name} has {count} orders.", step("orders", rows, name=name))
        assert desk.answer("Count the orders of Eva", [{"id": "Eva-0"}, {"id": "Eva-1"}]) == "Eva has 2 orders."
        assert desk.answer("Count the orders of Fay", [{"id": "Fay-0"}]) is None

    def test_one_alone_is_neither_none_nor_several(self, opened: Open) -> None:
        """Where there were none or several, one alone was never seen."""
        desk = opened(("orders", "read", "name"))
        for name, count in (("Ann", 2), ("Ben", 0), ("Cem", 3), ("Dan", 0), ("Eva", 4), ("Fay", 2)):
            rows: Json = [{"id": f"{name}-{place}"} for place in range(count)]
            desk.saw(f"Count the orders of {name}", f"{name} has {count} orders.", step("orders", rows, name=name))
        assert desk.answer("Count the orders of Gus", [{"id": "Gus-0"}, {"id": "Gus-1"}]) == "Gus has 2 orders."
        assert desk.answer("Count the orders of Gus", [{"id": "Gus-0"}]) is None

    def test_a_difference_keeps_its_sign(self, opened: Open) -> None:
        """All runs had less: nobody says "-4 less"."""
        desk = opened(("stock", "read", "item"))
        for item, count, wanted in (("A-1", 5, 9), ("A-2", 2, 7), ("A-3", 7, 8), ("A-4", 12, 19), ("A-5", 3, 20)):
            run = step("stock", {"count": count, "wanted": wanted}, item=item)
            desk.saw(f"How do we stand with {item}?", f"{wanted - count} short.", run)
        assert desk.answer("How do we stand with A-8?", {"count": 4, "wanted": 11}) in (None, "7 short.")
        assert desk.answer("How do we stand with A-9?", {"count": 11, "wanted": 7}) is None

    def test_a_mean_of_more_decimals_may_be_rounded(self, opened: Open) -> None:
        """Runs whose means came out even do not tell how others are said."""
        desk = opened(("orders", "read", "name"))
        for name, totals in (("Ann", (3, 8)), ("Ben", (5, 9, 7)), ("Cem", (2, 6)), ("Dan", (4, 9)), ("Eva", (3, 5, 7))):
            rows: Json = [{"id": f"{name}-{place}", "total": total} for place, total in enumerate(totals)]
            desk.saw(f"Mean order of {name}?", {"mean": sum(totals) / len(totals)}, step("orders", rows, name=name))
        even: Json = [{"id": "Fay-0", "total": 3}, {"id": "Fay-1", "total": 6}]
        thirds: Json = [*even, {"id": "Fay-2", "total": 4}]
        assert desk.answer("Mean order of Fay?", even) == {"mean": 4.5}
        assert desk.answer("Mean order of Fay?", thirds) is None

    @pytest.mark.parametrize("text", ["Grade loan {}", "How serious is loan {}"])
    def test_the_same_whatever_a_record_says(self, opened: Open, text: str) -> None:
        """A verdict that none of the records changed: which of their fields decide it, no run has told."""
        desk = opened(("loan", "read", "number"))
        for number, fee, books in (("K-1", 90, 6), ("K-2", 240, 11), ("K-3", 130, 8), ("K-4", 79, 9), ("K-5", 200, 7)):
            run = step("loan", {"number": number, "fee": fee, "books": books}, number=number)
            desk.saw(text.format(number), f"{number} is serious.", run)
        assert desk.answer(text.format("K-9"), {"number": "K-9", "fee": 230, "books": 6}) is None

    def test_a_judgement_on_two_numbers_keeps_to_what_runs_enclose(self, opened: Open) -> None:
        """A large sum of many days was never judged, though there were such sums and such days."""
        desk = opened(("loan", "read", "number"))
        for number, fee, days, grade in (
            ("K-1", 90, 2, "minor"),
            ("K-2", 20, 9, "minor"),
            ("K-3", 40, 3, "minor"),
            ("K-4", 70, 8, "minor"),
            ("K-5", 300, 2, "grave"),
            ("K-6", 280, 5, "grave"),
            ("K-7", 60, 6, "minor"),
        ):
            run = step("loan", {"number": number, "fee": fee, "days": days}, number=number)
            desk.saw(f"Grade {number}", f"{number} is {grade}.", run)
        assert desk.answer("Grade K-8", {"number": "K-8", "fee": 55, "days": 5}) == "K-8 is minor."
        assert desk.answer("Grade K-9", {"number": "K-9", "fee": 89, "days": 9}) is None


class TestClosings:
    """Closings that restate the same facts are one claim; one that refuses or judges is another."""

    def _saw(self, desk: Desk, *answers: str) -> list[str]:
        tickets = ("T-1", "T-2", "T-3", "T-4", "T-5", "T-6")
        return [
            desk.saw(f"Close ticket {ticket}", answer.format(ticket), step("close", ticket=ticket))
            for ticket, answer in zip(tickets, answers, strict=False)
        ]

    def test_other_words_for_the_same_are_one_claim(self, opened: Open) -> None:
        """Of "Done." and "Ticket T-2 is closed." neither claims what the other does not."""
        desk = opened(("close", "write", "ticket"))
        self._saw(desk, "Done.", "Ticket {} is closed.", "Done.", "Done.", "Ticket {} is closed.")
        assert isinstance(desk.asked("Close ticket T-9"), Hit)
        assert desk.writes == [("close", {"ticket": "T-9"})]

    def test_what_refuses_is_no_other_phrasing(self, opened: Open) -> None:
        """Runs that say "Nothing was closed." stand for something that nothing seen tells: nothing is served."""
        desk = opened(("close", "write", "ticket"))
        self._saw(desk, "Done.", "Nothing was closed.", "Done.", "Nothing was closed.", "Done.")
        assert not isinstance(desk.asked("Close ticket T-9"), Hit) and desk.writes == []


class TestDays:
    """A sort of day that no run was on is a value outside what was seen."""

    def test_what_writes_keeps_to_working_days(self, opened: Open) -> None:
        """Learnt on working days alone, nothing is written on a Saturday."""
        desk = opened(("do", "write", "code"))
        for day, code in ((4, "K-1"), (5, "K-2"), (6, "K-3"), (7, "K-4"), (8, "K-5")):
            desk.saw(f"Do it for {code}", "Done.", step("do", code=code), at=datetime(2026, 5, day, 9))
        desk.now = datetime(2026, 5, 16, 9)
        assert not isinstance(desk.asked("Do it for K-7"), Hit) and desk.writes == []
        desk.now = datetime(2026, 5, 18, 9)
        assert isinstance(desk.asked("Do it for K-7"), Hit)

    def test_a_day_that_is_computed_does(self, opened: Open) -> None:
        """Tomorrow was a working day in every run; on a Friday it is none."""
        desk = opened(("book", "write", "room day"))
        for day, room in ((4, "R-1"), (5, "R-2"), (6, "R-3"), (7, "R-4"), (11, "R-5"), (12, "R-6")):
            run = step("book", room=room, day=f"2026-05-{day + 1:02}")
            desk.saw(f"Book {room} for tomorrow", "Booked.", run, at=datetime(2026, 5, day, 9))
        desk.now = datetime(2026, 5, 15, 9)
        assert not isinstance(desk.asked("Book R-7 for tomorrow"), Hit) and desk.writes == []
        desk.now = datetime(2026, 5, 18, 9)
        assert isinstance(desk.asked("Book R-7 for tomorrow"), Hit)
        assert desk.writes == [("book", {"room": "R-7", "day": "2026-05-19"})]

    def test_what_reads_does_not(self, opened: Open) -> None:
        """A price is a price on any day."""
        desk = opened(("price", "read", "code"))
        for day, code in ((4, "K-1"), (5, "K-2"), (6, "K-3"), (7, "K-4")):
            run = step("price", {"price": 3 * day}, code=code)
            desk.saw(f"Price of {code}", 3 * day, run, at=datetime(2026, 5, day, 9))
        desk.now = datetime(2026, 5, 16, 9)
        assert desk.answer("Price of K-7", {"price": 14}) == 14


class TestWordings:
    """Other words for the same wish pool their runs, and serve after predictions of their own."""

    @pytest.mark.parametrize(("other", "joins"), [("Shut ticket {}", True), ("Never close ticket {}", False)])
    def test_wordings_pool_their_runs(self, opened: Open, other: str, joins: bool) -> None:
        """Each needs what the other saw; words that say not, when or how many keep them apart."""
        desk = opened(("close", "write", "ticket"))
        words = ("Close ticket {}", other)
        for place, wording in enumerate((0, 1, 0, 1, 0, 1, 0)):
            ticket = f"T-{place}"
            run = step("close", ticket=ticket)
            desk.saw(words[wording].format(ticket), f"{ticket} is closed.", run)
        assert isinstance(desk.asked("Close ticket T-9"), Hit)
        assert isinstance(desk.asked(other.format("T-8")), Hit) is joins

    @staticmethod
    def _cancelled(desk: Desk, text: str, name: str, row: Mapping[str, Json]) -> str:
        steps = (step("orders", [dict(row)], name=name), step("cancel", order=row["id"]))
        return desk.saw(text.format(name), "Done.", *steps)

    def _learnt(self, opened: Open, other: str, **more: Json) -> Desk:
        """Learn two wordings of one kind whose reads find one row: the other one with more in its rows."""
        desk = opened(("orders", "read", "name"), ("cancel", "write", "order"))
        words = ("Cancel the order of {}", other)
        for place, name in enumerate(("Ann", "Ben", "Cem", "Dan", "Eva", "Fay")):
            row: dict[str, Json] = {
                "id": f"i-{place}",
                "status": "open" if place % 2 else ("open", "paid")[place % 4 // 2],
            }
            self._cancelled(desk, words[place % 2], name, {**row, **(more if place % 2 else {"note": f"n{place}"})})
        return desk

    def test_wordings_of_one_row_share_what_they_know(self, opened: Open) -> None:
        """Three runs each are enough for both, though three alone would not be."""
        desk = self._learnt(opened, "Please scrap the order of {}", note="n7")
        desk.asked("Please scrap the order of Gus", [{"id": "i-9", "status": "open", "note": "n7"}])
        assert desk.writes == [("cancel", {"order": "i-9"})]

    def test_each_is_held_to_what_its_own_runs_had(self, opened: Open) -> None:
        """Paid orders were cancelled in the one wording: the other one was never said of such."""
        desk = self._learnt(opened, "Please scrap the order of {}", note="n7")
        desk.asked("Please scrap the order of Gus", [{"id": "i-9", "status": "paid", "note": "n7"}])
        assert desk.writes == []

    @pytest.mark.parametrize("other", ["Scrap the late order of {}", "Cancel the first order of {}"])
    def test_a_word_that_the_data_knows_keeps_apart(self, opened: Open, other: str) -> None:
        """All rows of these runs are noted as late: the word may have chosen them."""
        desk = self._learnt(opened, other, note="late")
        desk.asked(other.format("Gus"), [{"id": "i-9", "status": "open", "note": "n7"}])
        assert desk.writes == []

    @pytest.mark.parametrize(("other", "joins"), [("Book {} from Lyon", False), ("Please book {} to Lyon", True)])
    def test_an_exchanged_preposition_keeps_apart(self, opened: Open, other: str, joins: bool) -> None:
        """To Lyon is not from Lyon, even where both did the same so far: each has two runs less than it needs."""
        desk = opened(("book", "write", "seat"))
        words = ("Book {} to Lyon", other)
        for place in range(5):
            desk.saw(words[place % 2].format(f"T-{place}"), "Done.", step("book", seat=f"T-{place}"))
        assert isinstance(desk.asked(other.format("T-9")), Hit) is joins


HOURS: Json = {"open": "9:00", "note": "none"}


class TestFigures:
    """Which numbers of a result are held to those that runs had."""

    def _stocked(self, opened: Open, asked: str, answer: str) -> Desk:
        desk = opened(("stock", "read", "item"))
        for item, count, price in (("kites", 12, 20), ("lamps", 31, 24), ("mugs", 45, 40), ("tents", 23, 32)):
            found: Json = {"name": item, "count": count, "price": price}
            desk.saw(asked.format(item), answer.format(count), step("stock", found, item=item))
        return desk

    def test_what_nothing_looks_at_may_lie_further_out(self, opened: Open) -> None:
        """Who asks how many gets a number: the price, which no explanation looks at, may be up to twice as high."""
        desk = self._stocked(opened, "How many {} can we sell?", "{} of them stand ready.")
        assert desk.answer("How many pots can we sell?", {"name": "pots", "count": 30, "price": 70})
        assert desk.answer("How many pots can we sell?", {"name": "pots", "count": 30, "price": 95}) is None

    def test_what_is_said_may_not(self, opened: Open) -> None:
        """Of 3, the agent may say that they are nearly gone."""
        desk = self._stocked(opened, "How many {} can we sell?", "{} of them stand ready.")
        assert desk.answer("How many pots can we sell?", {"name": "pots", "count": 3, "price": 30}) is None

    def test_a_judgement_holds_inside_what_was_seen(self, opened: Open) -> None:
        """Whether something is enough may hang on the price as well."""
        desk = self._stocked(opened, "Is the number of {} enough?", "Yes, {} of them.")
        assert desk.answer("Is the number of pots enough?", {"name": "pots", "count": 30, "price": 30})
        assert desk.answer("Is the number of pots enough?", {"name": "pots", "count": 30, "price": 70}) is None

    def test_a_verdict_about_rows_needs_a_reason(self, opened: Open) -> None:
        """That there was nothing to hold, said each time of rows of other months, holds for none of this one."""
        desk = opened(("shipments", "read", "receiver"), ("hold", "write", "shipment"))
        for name in ("Ann Lee", "Bob Ray", "Cem Toth", "Dora Holt", "Eva Marsh"):
            rows: list[Json] = [
                {"id": f"{name[0]}{day}", "receiver": name, "due": f"2026-0{month}-{day}"}
                for month, day in ((2, 11), (7, 17), (3, 21))
            ]
            asked = f"Hold all shipments of this month of {name}"
            desk.saw(asked, f"There was nothing to hold for {name}.", step("shipments", rows, receiver=name))
        due: Json = [{"id": f"F{day}", "receiver": "Flo Penn", "due": f"2026-05-{day}"} for day in (11, 27)]
        assert not isinstance(desk.asked("Hold all shipments of this month of Flo Penn", due), Hit)

    def test_what_is_written_after_holds_every_number(self, opened: Open) -> None:
        """Before a write no number lies further out."""
        desk = opened(("stock", "read", "item"), ("order", "write", "item count"))
        for item, count, price in (("kites", 12, 20), ("lamps", 31, 24), ("mugs", 45, 40), ("tents", 23, 32)) * 2:
            found: Json = {"name": item, "count": count, "price": price}
            run = step("stock", found, item=item), step("order", item=item, count=count)
            desk.saw(f"Order the same number of {item} again", "Done.", *run)
        asked = "Order the same number of mugs again"
        assert not isinstance(desk.asked(asked, {"name": "mugs", "count": 30, "price": 70}), Hit)
        assert isinstance(desk.asked(asked, {"name": "mugs", "count": 30, "price": 30}), Hit)

    def test_values_that_never_came_together_are_new(self, opened: Open) -> None:
        """Neither the item nor how many of it are new in the third run: what they cost together is."""
        desk = opened(("price", "read", "item"))
        prices = {"kites": 13, "lamps": 29}
        for item, count in (("kites", 7), ("lamps", 11), ("kites", 11)):
            found: Json = {"name": item, "price": prices[item]}
            desk.saw(f"What do {count} {item} cost?", f"{count * prices[item]} euros.", step("price", found, item=item))
        assert desk.answer("What do 9 kites cost?", {"name": "kites", "price": 13}) == "117 euros."


class TestEchoes:
    """A request that comes again word for word stands for itself, and for nothing else."""

    def _again(self, desk: Desk, text: str, answer: str, *steps: ToolStep, times: int = 4) -> None:
        for hour in range(times):
            desk.saw(text, answer, *steps, at=datetime(2026, 5, 1, 9 + hour))

    def test_a_read_is_served_in_the_same_words(self, opened: Open) -> None:
        """Plain traffic of one question: served, read again each time, and no other day is meant by it."""
        desk = opened(("hours", "read", "day"))
        asked = "When do you open on Sunday?"
        self._again(desk, asked, "We open at 9:00.", step("hours", HOURS, day="Sunday"))
        assert desk.answer(asked, HOURS) == "We open at 9:00."
        assert desk.answer("When do you open on Monday?", HOURS) is None

    @pytest.mark.parametrize("found", [{"open": "9:00", "note": "closed for a holiday"}, {"open": "shut"}, [], None])
    def test_another_result_is_not_what_was_seen(self, opened: Open, found: Json) -> None:
        """Nothing tells which part of a result mattered: all of it is held to what was seen."""
        desk = opened(("hours", "read", "day"))
        asked = "When do you open on Sunday?"
        self._again(desk, asked, "We open at 9:00.", step("hours", HOURS, day="Sunday"))
        assert desk.answer(asked, found) is None

    def test_a_run_that_is_told_twice_came_once(self, opened: Open) -> None:
        """The same run with the same time of recording is no second one."""
        desk = opened(("hours", "read", "day"))
        asked = "When do you open on Sunday?"
        for _ in range(4):
            desk.saw(asked, "We open at 9:00.", step("hours", HOURS, day="Sunday"))
        assert desk.answer(asked, HOURS) is None

    @pytest.mark.parametrize(
        ("asked", "answer"),
        [("Do you open on Sunday?", "Yes, at 9:00."), ("When do you open today?", "We open at 9:00.")],
    )
    def test_what_the_hour_may_change_is_no_echo(self, opened: Open, asked: str, answer: str) -> None:
        """A judgement, and a request that speaks of now, may be answered otherwise in an hour."""
        desk = opened(("hours", "read", "day"))
        self._again(desk, asked, answer, step("hours", HOURS))
        assert desk.answer(asked, HOURS) is None

    def test_other_words_for_it_do_not_stand_in_the_way(self, opened: Open) -> None:
        """A question without places that came in other words too asks for the same: nothing else can be foretold."""
        desk = opened(("hours", "read", "day"))
        run = step("hours", HOURS, day="all")
        desk.saw("When are you open? Thanks!", "We open at 9:00.", run)
        self._again(desk, "When are you open?", "We open at 9:00.", run)
        assert desk.answer("When are you open?", HOURS) == "We open at 9:00."

    def test_a_write_is_never_an_echo(self, opened: Open) -> None:
        """The same order again may be a mistake: what was written three times is not written from memory."""
        desk = opened(("restart", "write", "server"))
        self._again(desk, "Restart the staging server", "Done.", step("restart", server="staging"))
        assert not isinstance(desk.asked("Restart the staging server"), Hit) and desk.writes == []

    def test_other_requests_of_the_kind_take_over(self, opened: Open) -> None:
        """Once the kind foretells other requests, its procedure replaces the echo under the same name."""
        desk = opened(("hours", "read", "day"))
        days = ["Sunday", "Sunday", "Sunday", "Monday", "Tuesday"]
        for hour, day in enumerate(days):
            run = step("hours", {"open": f"{hour // 3 + 7}:00", "note": "none"}, day=day)
            at = datetime(2026, 5, 1, 9 + hour)
            desk.saw(f"When do you open on {day}?", f"We open at {hour // 3 + 7}:00.", run, at=at)
        assert desk.answer("When do you open on Friday?", {"open": "8:00", "note": "none"}) == "We open at 8:00."
        assert len(desk.cache.procedures()) == 1


PRICES = {"PL-3": 26.99, "VT-8": 59.75, "VT-9": 31.26, "GS-6": 13.37, "KN-5": 5.31, "KN-7": 19.36}
PRICES |= {"BR-2": 27.35, "HX-7": 39.58}
SAID = ("${total:.2f} in total.", "{number} {sku} come to ${total:.2f}.", "That is ${total:.2f}")
TODAY = date(2026, 5, 20)


class TestReasons:
    """What is no reason: a name that came once, a phrasing, a row whose like was never taken, an unread list."""

    def test_a_name_is_no_reason_for_a_phrasing(self, opened: Open) -> None:
        """Shipping is free from ten pieces on, and the total is said in three ways: no article decides what is paid."""
        runs = (
            *((11, "VT-9", 0), (9, "KN-5", 1), (11, "PL-3", 1), (10, "KN-7", 0), (14, "HX-7", 1), (5, "BR-2", 2)),
            *((9, "KN-5", 2), (18, "HX-7", 1), (3, "BR-2", 2), (10, "GS-6", 2), (3, "VT-8", 1), (10, "KN-7", 2)),
            (8, "KN-5", 1),
        )
        desk = opened(("part", "read", "sku"))
        for number, sku, way in runs:
            total = PRICES[sku] * number + (7 if number < 10 else 0)
            run = step("part", {"sku": sku, "price": PRICES[sku]}, sku=sku)
            desk.saw(
                f"What is {number} {sku} with shipping?", SAID[way].format(total=total, number=number, sku=sku), run
            )
        for number, sku in ((12, "KN-5"), (12, "BR-2"), (4, "KN-7"), (9, "HX-7")):
            total = PRICES[sku] * number + (7 if number < 10 else 0)
            said = desk.answer(f"What is {number} {sku} with shipping?", {"sku": sku, "price": PRICES[sku]})
            assert said is None or f"${total:.2f}" in str(said), (number, sku)

    def test_one_phrasing_stands_for_others_only_where_the_facts_are_the_same(self, opened: Open) -> None:
        """Runs with one name are explained by accident; those with two said another thing, and not another phrasing."""
        desk = opened(("ward", "read", "number"))
        runs = (
            (2, (("Milo Moss", 39.4, 52), ("Lena Reed", 38.3, 95), ("Karl Berg", 36.3, 83))),
            (3, (("Cleo Cole", 39.6, 80), ("Ada Hart", 37.2, 95), ("Gus Frost", 38.2, 69))),
            (4, (("Ben Ames", 36.7, 96), ("Pia Dunn", 38.7, 90))),
            (4, (("Jana Quinn", 36.2, 53), ("Cleo Cole", 38.6, 107), ("Otto Stone", 39.8, 53))),
            (3, (("Milo Moss", 37.4, 77), ("Ben Ames", 38.9, 55), ("Karl Berg", 36.7, 99))),
            (1, (("Lena Reed", 38.2, 77), ("Cleo Cole", 37.6, 57), ("Karl Berg", 38.9, 56))),
        )
        for number, people in runs:
            rows, names = _ward(people)
            text = f"Which patients on ward {number} have a fever?"
            desk.saw(text, " and ".join(names), step("ward", rows, number=number))
            assert desk.answer(text, rows) in (None, " and ".join(names))
        rows, _ = _ward((("Ada Hart", 36.6, 56), ("Gus Frost", 36.2, 94)))
        assert desk.answer("Which patients on ward 2 have a fever?", rows) is None

    def test_a_row_of_a_status_that_no_row_taken_had(self, opened: Open) -> None:
        """The next one was booked in every run, though some are cancelled: one that is cancelled is not taken."""
        desk = opened(("visits", "read", "name"), ("cancel", "write", "visit"))
        plans = (
            *(("Ann", "x-4 2 9"), ("Ben", "-7 x-2 3 5"), ("Cem", "4 x8 12"), ("Dan", "x-6 1 7")),
            *(("Eva", "-3 6 x9"), ("Fay", "x-1 5 11"), ("Gil", "-9 x-8 2 4"), ("Hal", "x-3 8 10")),
        )
        for name, days in plans:
            rows = _visits(name, days)
            taken = next(row for row in rows if str(row["day"]) > str(TODAY))
            steps = (step("visits", [*rows[::-1]], name=name), step("cancel", visit=taken["id"]))
            desk.saw(f"Cancel the next visit of {name}", "Cancelled.", *steps, at=desk.now)
        fresh = _visits("Ida", "-4 3 x6")
        desk.asked("Cancel the next visit of Ida", [*fresh[::-1]])
        assert desk.writes == [("cancel", {"visit": "Ida-1"})]
        assert not isinstance(desk.asked("Cancel the next visit of Jon", [*_visits("Jon", "-4 x3 6")[::-1]]), Hit)
        assert len(desk.writes) == 1

    def test_who_was_in_no_list_is_in_none(self, opened: Open) -> None:
        """Only how many are in a course was looked at: what is done for one who is in it, no run has shown."""
        desk = opened(("course", "read", "course"), ("enroll", "write", "student course"), ("wait", "write", "student"))
        names = ("Ada Moss", "Ben Hart", "Cleo Lee", "Dora Stone", "Emil Reed", "Finn Frost", "Gus Vale", "Hana Berg")
        runs = (
            *(
                (0, "chess", 1, "5"),
                (1, "chess", 0, ""),
                (2, "drama", 0, ""),
                (3, "chess", 3, "67"),
                (4, "judo", 0, ""),
            ),
            *((5, "judo", 8, "0"), (6, "drama", 3, "12"), (0, "drama", 0, ""), (1, "judo", 8, "3")),
            *(
                (2, "chess", 1, "45"),
                (3, "judo", 0, ""),
                (4, "chess", 3, "6"),
                (7, "drama", 2, "01"),
                (5, "chess", 2, "7"),
            ),
        )
        for who, course, seats, inside in runs:
            known: Json = {"course": course, "seats": seats, "enrolled": [names[int(digit)] for digit in inside]}
            read, name = step("course", known, course=course), names[who]
            written = step("enroll", student=name, course=course) if seats else step("wait", student=name)
            answer = "Enrolled." if seats else "On the waiting list."
            desk.saw(f"Sign {name} up for {course}", answer, read, written)
        for who, inside in ((0, "0"), (1, "21")):
            known = {"course": "judo", "seats": 3, "enrolled": [names[int(digit)] for digit in inside]}
            assert not isinstance(desk.asked(f"Sign {names[who]} up for judo", known), Hit) and desk.writes == []

    def test_a_list_that_a_restated_field_does_not_need(self, opened: Open) -> None:
        """A status is read from a record that has lines, too: which ones does not matter to who asks for the status."""
        desk = opened(("order", "read", "order"))
        for number, (status, lines) in enumerate((("open", 1), ("sent", 2), ("open", 3), ("late", 2), ("sent", 1))):
            record: Json = {"id": f"SO-{number}", "status": status, "lines": [{"sku": f"K-{n}"} for n in range(lines)]}
            desk.saw(f"What is the status of SO-{number}?", status, step("order", record, order=f"SO-{number}"))
        record = {"id": "SO-9", "status": "sent", "lines": [{"sku": "K-1"}, {"sku": "K-2"}]}
        assert desk.answer("What is the status of SO-9?", record) == "sent"


class TestReach:
    """What needs no more evidence than there is: laws that are no wider than their reasons."""

    def test_one_odd_name_closes_no_place(self, opened: Open) -> None:
        """Names with initials are names: one of them among the runs does not make a list of those seen."""
        desk = opened(("orders", "read", "name"))
        for name, total in (("J. J. Holt", 31), ("Ann Lee", 12), ("Tom R. Vale", 47), ("Bo Marsh", 20)):
            desk.saw(f"What is the total of {name}?", total, step("orders", {"name": name, "total": total}, name=name))
        assert desk.answer("What is the total of Zoe Brandt?", {"name": "Zoe Brandt", "total": 23}) == 23

    def test_who_owns_it_is_said_in_two_ways(self, opened: Open) -> None:
        """Ann's total is the total of Ann: the same words, and one right prediction shows that they mean the same."""
        desk = opened(("orders", "read", "name"))
        asked = ("What is the total of {}?",) * 3 + ("What is {}'s total?",)
        for name, total, text in zip(("Ann", "Bo", "Cy", "Di"), (31, 12, 47, 20), asked, strict=True):
            run = step("orders", {"name": name, "total": total}, name=name)
            desk.saw(text.format(name), total, run)
        assert desk.answer("What is Eva's total?", {"name": "Eva", "total": 23}) == 23

    def test_a_price_of_its_own(self, opened: Open) -> None:
        """Three different numbers that are always three times another one come from it."""
        desk = opened(("machines", "read", "site"))
        for site, count in (("Basel", 3), ("Lodz", 3), ("Leeds", 2), ("Bilbao", 4), ("Lyon", 2)):
            rows: list[Json] = [{"id": f"{site[0]}{place}", "state": "on"} for place in range(count)]
            desk.saw(f"How much is the fee for {site}?", f"The fee is {count * 7}.", step("machines", rows, site=site))
        rows = [{"id": f"O{place}", "state": "on"} for place in range(5)]
        assert desk.answer("How much is the fee for Oslo?", rows) == "The fee is 35."

    @pytest.mark.parametrize(("counts", "fees"), [((3, 2, 3, 2), (21, 14, 21, 14)), ((3, 2, 4, 5), (21, 14, 28, 36))])
    def test_two_of_them_are_none_yet(self, opened: Open, counts: Sequence[int], fees: Sequence[int]) -> None:
        """Two different numbers may be so by chance, and one that is not says that it was chance."""
        desk = opened(("machines", "read", "site"))
        for site, count, fee in zip(("Basel", "Lodz", "Leeds", "Bilbao"), counts, fees, strict=True):
            rows: list[Json] = [{"id": f"{site[0]}{place}", "state": "on"} for place in range(count)]
            desk.saw(f"How much is the fee for {site}?", f"The fee is {fee}.", step("machines", rows, site=site))
        rows = [{"id": f"O{place}", "state": "on"} for place in range(4)]
        assert desk.answer("How much is the fee for Oslo?", rows) is None

    def test_all_but_those_that_are_named(self, opened: Open) -> None:
        """Two values tell "not lost" apart: the request says which ones are left out. A new status is neither."""
        desk = opened(("shipments", "read", "name"))
        runs = (("Ann", "sent lost"), ("Ben", "sent packed"), ("Cem", "lost packed sent"), ("Dan", "packed lost"))
        for name, kinds in runs:
            told = f"{name} has {len(kinds.split()) - kinds.count('lost')}."
            run = step("shipments", self._kinds(kinds), name=name)
            desk.saw(f"How many shipments of {name} are not lost?", told, run)
        asked = "How many shipments of Eva are not lost?"
        assert desk.answer(asked, self._kinds("lost sent packed")) == "Eva has 2."
        assert desk.answer(asked, self._kinds("lost sent held")) is None

    @staticmethod
    def _kinds(kinds: str) -> list[Json]:
        return [{"shipment": f"s-{place}", "status": kind} for place, kind in enumerate(kinds.split())]

    def test_what_cannot_be_done_is_no_choice(self, opened: Open) -> None:
        """One run found none of the rows of which the others told the highest: that explains it, and no number."""
        desk = opened(("orders", "read", "name"))
        runs = (("Ann", "sent 9 sent 40"), ("Ben", "open 12 sent 30"), ("Cem", "open 17 open 8"))
        for name, told in (*runs, ("Dan", "sent 50 open 22 open 3"), ("Eva", "open 6 sent 11 open 28")):
            rows = _totals(told)
            open_ = [total for kind, total in _pairs(told) if kind == "open"]
            answer: Json = {"of": name, "highest": max(open_)} if open_ else f"Nothing for {name}."
            desk.saw(
                f"What is the highest total of the open orders of {name}?", answer, step("orders", rows, name=name)
            )
        asked = "What is the highest total of the open orders of Fay?"
        assert desk.answer(asked, _totals("sent 33 open 19 open 7")) == {"of": "Fay", "highest": 19}
        assert desk.answer(asked, _totals("sent 33 sent 19")) is None

    def test_what_the_model_says_needs_no_branch(self, opened: Open) -> None:
        """What is told of bookings is the model's: how many there are decides nothing that code does."""
        desk = opened(("bookings", "read", "name"))
        runs = (("Ann", 2, "Two of them, T-0 first."), ("Ben", 0, "Ben has none."), ("Cem", 4, "T-0 and three others."))
        for name, count, told in (*runs, ("Dan", 0, "Dan has none."), ("Eva", 3, "All in May: T-0 to T-2.")):
            rows: list[Json] = [{"id": f"T-{place}", "price": 70 + 9 * place} for place in range(count)]
            desk.saw(f"List the bookings of {name}", told, step("bookings", rows, name=name))
        (entry,) = desk.cache.procedures()
        assert entry.procedure.closing.mode == "model" and " if " not in entry.procedure.body.partition("def run(")[2]

    def test_a_length_of_time_is_held_as_a_number_is(self, opened: Open) -> None:
        """All asked for some days: what is told of fourteen weeks was seen nowhere, and of ten days nearly."""
        desk = opened(("shipments", "read", "start end"))
        runs = ((9, 4), (8, 3), (14, 6), (12, 5), (11, 7))
        for place, (days, count) in enumerate(runs):
            at = datetime(2026, 5, 1 + place, 9)
            rows: list[Json] = [{"id": f"T{place}{number}", "weight": 20 + 7 * number} for number in range(count)]
            found = step("shipments", rows, start=str(at.date()), end=str(at.date() + timedelta(days=days)))
            desk.saw(f"How many shipments are there in the next {days} days?", f"{count} shipments.", found, at=at)
        rows = [{"id": f"U{number}", "weight": 20 + 7 * number} for number in range(4)]
        assert desk.answer("How many shipments are there in the next 10 days?", rows) == "4 shipments."
        assert desk.answer("How many shipments are there in the next 14 weeks?", rows) is None

    @pytest.mark.parametrize(("word", "told"), [("", "Fay has 3."), ("big ", None)])
    def test_a_word_that_is_left_over_holds_rows(self, opened: Open, word: str, told: Json) -> None:
        """All orders seen were big: that one of 20 is, no run has shown. Where nobody says "big", all are counted."""
        desk = opened(("list_orders", "read", "name"))
        runs = (("Ann", "a 41 b 332 c 205 d 90"), ("Ben", "a 155 b 339"), ("Cem", "a 319 b 214 c 396 d 60"))
        for name, rows in (*runs, ("Dan", "a 77 b 214 c 113")):
            run = step("list_orders", _totals(rows), name=name)
            desk.saw(f"Number of {word}orders for {name}", f"{name} has {len(_totals(rows))}.", run)
        assert desk.answer(f"Number of {word}orders for Fay", _totals("a 300 b 20 c 150")) == told
        assert desk.answer(f"Number of {word}orders for Fay", _totals("a 300 b 50 c 150")) == "Fay has 3."

    def test_a_figure_that_is_asked_for_is_no_constant(self, opened: Open) -> None:
        """Each had one sent booking, or none: what is said of two was seen nowhere."""
        desk = opened(("bookings", "read", "name"))
        runs = (("Ann", "sent open open"), ("Ben", "open open sent open"), ("Cem", "held sent"), ("Dan", ""))
        for name, kinds in (*runs, ("Eva", "held sent held open"), ("Fay", "open held open")):
            count = kinds.split().count("sent")
            told = f"{name} has {count}." if count else f"None for {name}."
            desk.saw(f"Number of sent bookings for {name}", told, step("bookings", self._kinds(kinds), name=name))
        found = self._kinds("sent open sent")
        assert desk.answer("Number of sent bookings for Hal", found) in (None, "Hal has 2.")

    def test_what_memory_could_not_say_is_a_prediction(self, opened: Open) -> None:
        """The same request on the same rows another day: that fewer are left was foretold, and not remembered."""
        desk = opened(("permits", "read", "city"))
        days = {"Riga": "05-02 05-04 05-20 05-25", "Lodz": "04-02 05-01 05-03 06-01 06-09", "Oslo": "05-03 05-04 07-01"}
        for day, city in ((5, "Riga"), (6, "Lodz"), (28, "Riga")):
            rows = _permits(city, days[city])
            overdue = sum(str(row["until"]) < f"2026-05-{day:02}" for row in rows)
            run = step("permits", rows, city=city)
            desk.saw(
                f"How many overdue permits has {city}?", f"{city} has {overdue}.", run, at=datetime(2026, 5, day, 9)
            )
        desk.now = datetime(2026, 5, 29, 9)
        fresh = _permits("Oslo", days["Oslo"])
        assert desk.answer("How many overdue permits has Oslo?", fresh) == "Oslo has 2."

    def test_another_phrasing_of_the_same_is_memory(self, opened: Open) -> None:
        """The same request on the same rows, told with fewer figures, says nothing that was not known."""
        desk = opened(("claims", "read", "name"))
        rows = {"Ann": _documents("Ann", "4 7 3 10 1"), "Bo": _documents("Bo", "1 10"), "Cy": _documents("Cy", "10 2")}
        told = (("Ann", "The fee for 5 claims is 25."), ("Bo", "The fee for 2 claims is 10."), ("Ann", "25 euros."))
        for name, answer in (*told, ("Bo", "10 euros."), ("Cy", "10 euros.")):
            desk.saw(f"How much is the fee for {name}?", answer, step("claims", rows[name], name=name))
        assert desk.answer("How much is the fee for Di?", _documents("Di", "7 6")) in (None, "10 euros.")

    @pytest.mark.parametrize(("word", "served"), [("smallest", True), ("smallest big", False)])
    def test_a_number_beyond_where_no_word_asks_for_a_limit(self, opened: Open, word: str, served: bool) -> None:
        """Every word is accounted for: the smallest may be cheaper than any seen. "Big" is not, and may be a limit."""
        desk = opened(("list_permits", "read", "city"), ("extend_permit", "write", "permit"))
        plans = (("Basel", "31 60 85"), ("Lodz", "72 44 90"), ("Leeds", "66 93 38 50"), ("Bilbao", "81 58"))
        for city, costs in (*plans, ("Lyon", "47 99 63"), ("Turin", "55 36 88 70")):
            rows = _costs(city, costs)
            taken = min(rows, key=lambda row: int(str(row["cost"])))["permit"]
            steps = (step("list_permits", rows, city=city), step("extend_permit", permit=taken))
            desk.saw(f"Extend the {word} permit of {city}", "Extended.", *steps)
        assert isinstance(desk.asked(f"Extend the {word} permit of Oslo", _costs("Oslo", "80 25 61")), Hit) is served
        assert not isinstance(desk.asked(f"Extend the {word} permit of Oslo", _costs("Oslo", "80 9 61")), Hit)
        assert desk.writes == ([("extend_permit", {"permit": "O-1"})] if served else [])

    def test_two_runs_of_each_way_count_for_nothing(self, opened: Open) -> None:
        """Three runs cancelled, and one of them at most was predicted, in whatever order they came."""
        desk = opened(("orders", "read", "name"), ("cancel", "write", "order"))
        for run in (("Ann", 1), ("Ben", 0), ("Cem", 1), ("Dan", 0), ("Eva", 3)):
            self._did(desk, *run)
        assert not isinstance(desk.asked("Cancel the first order of Gil", self._found("Gil", 3)), Hit)
        assert desk.writes == []
        self._did(desk, "Fay", 3)
        assert isinstance(desk.asked("Cancel the first order of Gil", self._found("Gil", 3)), Hit)
        assert desk.writes == [("cancel", {"order": "Gil-2"})]

    @staticmethod
    def _found(name: str, count: int) -> list[Json]:
        return [{"id": f"{name}-{(2, 7, 4)[place]}", "name": name} for place in range(count)]

    def _did(self, desk: Desk, name: str, count: int) -> None:
        rows = self._found(name, count)
        read = step("orders", rows, name=name)
        steps = (read, step("cancel", order=f"{name}-2")) if rows else (read,)
        desk.saw(f"Cancel the first order of {name}", "Cancelled." if rows else "There is none.", *steps)

    def test_a_limit_that_no_word_asks_for(self, opened: Open) -> None:
        """A sum over the larger rows fits three values by accident, and nothing in the request asks for such rows."""
        desk = opened(("claims", "read", "name"))
        runs = (("Ann", "4 7 3 10 1", 24), ("Bo", "1 10", 10), ("Cy", "7 2 1", 7), ("Di", "1 10 2", 10))
        for name, counts, told in (*runs, ("Eli", "7 1", 7)):
            desk.saw(f"Documents of {name}?", f"It is {told}.", step("claims", _documents(name, counts), name=name))
        assert desk.answer("Documents of Eva?", _documents("Eva", "7 6")) is None

    def test_a_number_in_letters_is_no_status(self, opened: Open) -> None:
        """Rows have durations as texts: which ones the rows taken had is no rule."""
        desk = opened(("visits", "read", "name"), ("cancel", "write", "visit"))
        plans = (("Ann", "30 60 45"), ("Ben", "60 30"), ("Cem", "30 30 90"), ("Dan", "60 45"), ("Eva", "30 90 60"))
        for name, lengths in plans:
            rows = _lengths(name, lengths)
            steps = (step("visits", rows, name=name), step("cancel", visit=f"{name}-0"))
            desk.saw(f"Cancel the first visit of {name}", "Cancelled.", *steps)
        assert isinstance(desk.asked("Cancel the first visit of Fay", _lengths("Fay", "45 60 30")), Hit)
        assert desk.writes == [("cancel", {"visit": "Fay-0"})]


def _pairs(told: str) -> list[tuple[str, int]]:
    words = told.split()
    return [(kind, int(total)) for kind, total in zip(words[::2], words[1::2], strict=True)]


def _totals(told: str) -> list[Json]:
    return [{"id": f"o-{place}", "kind": kind, "total": total} for place, (kind, total) in enumerate(_pairs(told))]


def _permits(city: str, days: str) -> list[Mapping[str, Json]]:
    return [{"permit": f"{city[0]}-{day}", "city": city, "until": f"2026-{day}"} for day in days.split()]


def _documents(name: str, counts: str) -> list[Mapping[str, Json]]:
    split = enumerate(counts.split())
    return [{"claim": f"{name}-{place}", "name": name, "documents": int(count)} for place, count in split]


def _costs(city: str, costs: str) -> list[Mapping[str, Json]]:
    split = enumerate(costs.split())
    return [{"permit": f"{city[0]}-{place}", "city": city, "cost": int(cost)} for place, cost in split]


def _lengths(name: str, lengths: str) -> list[Mapping[str, Json]]:
    split = enumerate(lengths.split())
    return [{"id": f"{name}-{place}", "name": name, "duration": length} for place, length in split]


def _ward(people: Sequence[tuple[str, float, int]]) -> tuple[Json, list[str]]:
    rows: Json = [{"name": name, "temp": temp, "weight": weight} for name, temp, weight in people]
    return rows, [name for name, temp, _ in people if temp >= 38]


def _visits(name: str, days: str) -> list[Mapping[str, Json]]:
    """Return visits by how many days they are ahead; those with an x are cancelled."""
    return [
        {
            "id": f"{name}-{at}",
            "day": str(TODAY + timedelta(days=int(day.strip("x")))),
            "status": "cancelled" if day.startswith("x") else "booked",
        }
        for at, day in enumerate(days.split())
    ]
