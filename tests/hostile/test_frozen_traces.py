"""Failures known from other compilers of traces: each is refused, or gives up before anything is written wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.records.outcome import Call, Deopt, Final, GiveUp, Hit, Learned, Miss, Plan, Refused
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.tools import Effect, Tool
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.records.values import Value, decode, encode
from seglam_agents.sandboxes.base import ToolResult
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.memory import MemoryStore

LEARNT = ("admitted", "widened", "deferred")


@dataclass
class Office:
    """The tools of a host, what they answer, and every call that reached them."""

    tools: dict[str, Tool] = field(default_factory=dict[str, Tool])
    functions: dict[str, Callable[..., Value]] = field(default_factory=dict[str, Callable[..., Value]])
    calls: list[tuple[str, dict[str, Json]]] = field(default_factory=list[tuple[str, dict[str, Json]]])

    def add(self, name: str, arguments: str, effect: Effect, function: Callable[..., Value]) -> None:
        """Declare a tool."""
        properties: dict[str, Json] = {argument: {} for argument in arguments.split()}
        self.tools[name] = Tool(name=name, parameters={"type": "object", "properties": properties}, effect=effect)
        self.functions[name] = function

    @property
    def writes(self) -> list[tuple[str, dict[str, Json]]]:
        """The calls that changed something."""
        return [call for call in self.calls if self.tools[call[0]].effect == "write"]

    def host(self) -> list[HostTool]:
        """Return the tools as a cache takes them."""
        return [HostTool(tool, self._counted(name)) for name, tool in self.tools.items()]

    def call(self, tool: str, arguments: Mapping[str, Json]) -> ToolResult:
        """Call a tool as a host does that runs a plan itself."""
        try:
            return ToolResult(value=self._counted(tool)(**arguments))
        except Exception as error:
            return ToolResult(error=f"{type(error).__name__}: {error}")

    def _counted(self, name: str) -> Callable[..., Value]:
        def counted(**arguments: Json) -> Value:
            self.calls.append((name, dict(arguments)))
            return self.functions[name](**arguments)

        return counted


Open = Callable[..., ReasoningCache]


@pytest.fixture
def opened(sandbox: MontySandbox) -> Iterator[Open]:
    caches: list[ReasoningCache] = []

    def opened(office: Office, store: MemoryStore | None = None, now: datetime | None = None) -> ReasoningCache:
        kept = store if store is not None else MemoryStore()
        clock = (lambda: now) if now else None
        caches.append(
            ReasoningCache(
                kept, sandbox=sandbox, second_sandbox=None, tools=office.host(), now=clock, predictions=(0, 0)
            )
        )
        return caches[-1]

    yield opened
    for cache in caches:
        cache.close()


def step(tool: str, result: Value, **arguments: Json) -> ToolStep:
    return ToolStep(tool=tool, arguments=arguments, result=encode(result))


def ran(text: str, answer: Json, *steps: ToolStep) -> Trace:
    return Trace(request=Request(text=text), steps=steps, answer=answer)


def observed(cache: ReasoningCache, traces: Sequence[Trace]) -> Learned:
    """Observe traces, and return what came of the last one."""
    return [cache.observe(trace) for trace in traces][-1]


def shop(prices: Mapping[str, Json]) -> Office:
    office = Office()
    office.add("get_item", "item", "read", lambda item: decode(prices[item]))
    office.add("charge", "item amount", "write", lambda item, amount: "ok")
    return office


def bought(item: str, count: int, price: float, rate: float | None) -> Trace:
    found: dict[str, Value] = {"price": price} if rate is None else {"price": price, "rate": rate}
    charged = step("charge", "ok", item=item, amount=count * price)
    return ran(f'Buy {count} of "{item}"', "Done.", step("get_item", found, item=item), charged)


class TestNumbersThatCoincide:
    """(a), (e): a formula is only taken where no other formula fits."""

    COINCIDING = tuple(bought(item, count, 10, 0.1) for item, count in (("lamps", 10), ("chairs", 20), ("tables", 30)))

    def test_a_product_that_is_also_a_quotient_charges_nothing(self, opened: Open) -> None:
        """A price of 10 and a rate of 0.1: price * number and number / rate are the same in every run, then not."""
        office = shop({"pens": {"price": 10, "rate": 0.2}, "mats": {"price": 10, "rate": 0.1}})
        cache = opened(office)
        observed(cache, self.COINCIDING)
        assert not isinstance(cache.lookup('Buy 20 of "pens"'), Hit) and office.writes == []

    def test_a_separating_trace_settles_it(self, opened: Open) -> None:
        """A run in which they differ decides for the product, on other prices and rates as well."""
        office = shop({"pens": {"price": 6, "rate": 0.15}})
        cache = opened(office)
        learned = observed(cache, [*self.COINCIDING, bought("cups", 3, 4, 0.2)])
        assert learned.status in LEARNT, learned.reason
        hit = cache.lookup('Buy 7 of "pens"')
        assert isinstance(hit, Hit), hit
        assert office.writes == [("charge", {"item": "pens", "amount": 42})]

    def test_a_rate_with_a_role_of_its_own(self, opened: Open) -> None:
        """A rate that goes into a call of its own: the amount waits for a separating trace all the same."""
        office = shop({"pens": {"price": 6, "rate": 0.15}})
        office.add("book_tax", "item rate", "write", lambda item, rate: "ok")
        cache = opened(office)

        def taxed(item: str, count: int, price: int, rate: float) -> Trace:
            trace = bought(item, count, price, rate)
            return trace.model_copy(update={"steps": (*trace.steps, step("book_tax", "ok", item=item, rate=rate))})

        observed(cache, [taxed("lamps", 10, 10, 0.1), taxed("chairs", 20, 10, 0.1)])
        assert not isinstance(cache.lookup('Buy 7 of "pens"'), Hit) and office.writes == []
        assert cache.observe(taxed("cups", 3, 4, 0.2)).status in LEARNT
        assert isinstance(cache.lookup('Buy 7 of "pens"'), Hit)
        assert office.writes == [
            ("charge", {"item": "pens", "amount": 42}),
            ("book_tax", {"item": "pens", "rate": 0.15}),
        ]

    def test_without_a_rate_there_is_one_formula(self, opened: Open) -> None:
        """Where nothing else fits, the product is taken at once."""
        office = shop({"pens": {"price": 15}})
        cache = opened(office)
        traces = [bought(*each, None) for each in (("lamps", 10, 10), ("chairs", 20, 12), ("tables", 4, 20))]
        assert observed(cache, traces).status in LEARNT
        assert isinstance(cache.lookup('Buy 7 of "pens"'), Hit)
        assert office.writes == [("charge", {"item": "pens", "amount": 105})]

    def test_a_constant_by_accident_is_held_to_what_was_seen(self, opened: Open) -> None:
        """Everything cost 5 in the traces, so that 10 was charged; where something costs 8, nothing is charged."""
        office = shop({"pens": {"price": 8}, "mats": {"price": 5}})
        cache = opened(office)
        learned = observed(cache, [bought(item, 2, 5, None) for item in ("lamps", "chairs", "tables")])
        assert learned.status in LEARNT, learned.reason
        assert isinstance(cache.lookup('Buy 2 of "mats"'), Hit)
        assert isinstance(cache.lookup('Buy 2 of "pens"'), Deopt)
        assert office.writes == [("charge", {"item": "mats", "amount": 10})]

    @pytest.mark.parametrize(
        "factor",
        [
            "net",
            "units",
        ],
    )
    def test_factors_that_were_the_same_in_every_trace(self, opened: Open, factor: str) -> None:
        """Two prices, or two counts, that never differed: where they do, nothing is charged by one of them."""
        office = shop({"pens": {"price": 12, "net": 8} if factor == "net" else {"price": 12, "units": 5}})
        cache = opened(office)
        for item, count, price in (("lamps", 2, 10), ("chairs", 5, 20), ("mats", 3, 5)):
            found: dict[str, Value] = {"price": price, factor: price if factor == "net" else count}
            charged = step("charge", "ok", item=item, amount=count * price)
            cache.observe(ran(f'Buy {count} of "{item}"', "Done.", step("get_item", found, item=item), charged))
        cache.lookup('Buy 4 of "pens"')
        assert office.writes == []

    def test_a_record_with_many_numbers(self, opened: Open) -> None:
        """Where price * number and number / rate both fit, no other numbers of the record hide one of them."""

        def record(number: int, rate: float, price: int) -> dict[str, Value]:
            others: dict[str, Value] = {f"k{key:02}": 100 + 7 * key + number * (key + 3) for key in range(24)}
            return {"a_rate": rate, **others, "z_price": price}

        office = shop({"pens": encode(record(1, 0.2, 10))})
        cache = opened(office)
        for number, (item, count) in enumerate((("lamps", 10), ("chairs", 20), ("mats", 30))):
            read = step("get_item", record(number, 0.1, 10), item=item)
            written = step("charge", "ok", item=item, amount=count * 10)
            cache.observe(ran(f'Buy {count} of "{item}"', "Done.", read, written))
        cache.lookup('Buy 20 of "pens"')
        assert office.writes == []

    def test_seven_explanations_of_one_address(self, opened: Open) -> None:
        """Seven keys held the same address in every trace: where the seventh differs, nothing is sent."""
        keys = [f"{letter}_mail" for letter in "abcdefz"]
        office = Office()
        office.add("find_user", "name", "read", lambda name: {**dict.fromkeys(keys, "p1@x.org"), "z_mail": "z9@x.org"})
        office.add("send_mail", "to", "write", lambda to: "ok")
        cache = opened(office)
        for name, address in (("Anna", "a1@x.org"), ("Otto", "o1@x.org"), ("Ines", "i1@x.org")):
            found = step("find_user", dict.fromkeys(keys, address), name=name)
            cache.observe(ran(f'Invite "{name}" now', "Sent.", found, step("send_mail", "ok", to=address)))
        cache.lookup('Invite "Piet" now')
        assert office.writes == []

    @pytest.mark.parametrize("count", ["0", "-2"])
    def test_a_quantity_that_no_trace_could_have(self, opened: Open, count: str) -> None:
        """Whatever was bought was more than nothing: minus two of them is no refund."""
        office = shop({"pens": {"price": 6}})
        cache = opened(office)
        observed(cache, [bought(*each, None) for each in (("lamps", 10, 10), ("chairs", 20, 12), ("tables", 4, 20))])
        cache.lookup(f'Buy {count} of "pens"')
        assert office.writes == []

    def test_a_number_that_is_in_two_places_of_the_request(self, opened: Open) -> None:
        """Two places with the same number in every trace: where they differ, neither is chosen."""
        office = Office()
        office.add("reserve", "seats", "write", lambda seats: "ok")
        cache = opened(office)
        for number in (4, 7, 9):
            text = f"Reserve {number} seats for the {number} guests"
            cache.observe(ran(text, "Done.", step("reserve", "ok", seats=number)))
        outcome = cache.lookup("Reserve 3 seats for the 9 guests")
        assert not isinstance(outcome, Hit) and office.writes == []
        assert isinstance(cache.lookup("Reserve 3 seats for the 3 guests"), Hit)

    def test_a_quantity_that_is_the_day_of_the_month(self, opened: Open) -> None:
        """The quantity was the day of the month, three times: nothing is written until a run tells them apart."""
        office = Office()
        office.add("deliver", "count day", "write", lambda count, day: "ok")
        cache = opened(office)
        for count, day in ((4, "2026-03-04"), (7, "2026-05-07"), (9, "2026-06-09")):
            cache.observe(ran(f"Deliver {count} crates on {day}", "Done.", step("deliver", "ok", count=count, day=day)))
        assert not isinstance(cache.lookup("Deliver 5 crates on 2026-08-21"), Hit) and office.writes == []
        apart = step("deliver", "ok", count=6, day="2026-07-02")
        cache.observe(ran("Deliver 6 crates on 2026-07-02", "Done.", apart))
        assert isinstance(cache.lookup("Deliver 5 crates on 2026-08-21"), Hit)
        assert office.writes == [("deliver", {"count": 5, "day": "2026-08-21"})]

    def test_a_result_that_was_the_number_of_the_request(self, opened: Open) -> None:
        """The stock was what was asked for in every trace: where it is not, nothing is written."""
        office = Office()
        office.add("get_stock", "item", "read", lambda item: {"stock": {"pens": 50, "mats": 6}[item]})
        office.add("ship", "item count", "write", lambda item, count: "ok")
        cache = opened(office)
        for item, count in (("lamps", 2), ("chairs", 9), ("tables", 4)):
            read = step("get_stock", {"stock": count}, item=item)
            cache.observe(ran(f'Ship {count} of "{item}"', "Done.", read, step("ship", "ok", item=item, count=count)))
        assert isinstance(cache.lookup('Ship 3 of "pens"'), Deopt) and office.writes == []
        assert isinstance(cache.lookup('Ship 6 of "mats"'), Hit) and len(office.writes) == 1

    def test_old_runs_are_not_taken_for_new_ones(self, opened: Open) -> None:
        """Runs of last year that do not say so: the coming March of then is not the past one of today."""
        office = Office()
        office.add("book", "day", "write", lambda day: "ok")
        cache = opened(office, now=datetime(2026, 3, 10, 9))
        for day, iso in (("March 13", "2025-03-13"), ("May 5", "2025-05-05"), ("July 9", "2025-07-09")):
            cache.remember(ran(f"Book it for {day}", "Done.", step("book", "ok", day=iso)))
        cache.learn_remembered()
        cache.lookup("Book it for June 2")
        assert ("book", {"day": "2025-06-02"}) not in office.writes

    @pytest.mark.parametrize(
        ("seen", "asked"),
        [((("$84.50", 84.5), ("$1,020", 1020), ("$3", 3)), "€55"), ((("5 kg", 5), ("12 kg", 12), ("3 kg", 3)), "5 lb")],
        ids=["currency", "unit"],
    )
    def test_an_amount_in_another_unit_is_not_the_same_number(
        self, opened: Open, seen: Sequence[tuple[str, float]], asked: str
    ) -> None:
        """Dollars became bare numbers; euros must not become the same numbers."""
        office = Office()
        office.add("set_limit", "value", "write", lambda value: "ok")
        cache = opened(office)
        for spelt, value in seen:
            cache.observe(ran(f"Set the limit to {spelt}", "Done.", step("set_limit", "ok", value=value)))
        cache.lookup(f"Set the limit to {asked}")
        assert office.writes == []


NOTHING: list[Json] = []
REFUSED: list[tuple[str, list[Json], Json]] = [
    ("a number", [5, 9, 4], 0),
    ("a number in a record", [{"stock": 5}, {"stock": 9}, {"stock": 4}], {"stock": 0}),
    ("a negative number", [{"stock": 5}, {"stock": 9}, {"stock": 4}], {"stock": -3}),
    ("fewer than asked for, in a record", [{"stock": 5}, {"stock": 9}, {"stock": 4}], {"stock": 1}),
    ("a truth value", [True, True, True], False),
    ("a truth value in a record", [{"in_stock": True}] * 3, {"in_stock": False}),
    ("a status", [{"status": "available"}] * 3, {"status": "sold out"}),
    ("one of several statuses", [{"status": s} for s in ("available", "here", "ready")], {"status": "sold out"}),
    ("a bare status", ["available", "available", "available"], "sold out"),
    ("something that was never there", [NOTHING, NOTHING, NOTHING], [{"embargo": "2026"}]),
    ("something where nothing was", [None, None, None], "sold out"),
    ("a reason where none was", [{"hold": ""}] * 3, {"hold": "fraud"}),
    ("a reason instead of null", [{"hold": None}] * 3, {"hold": "fraud"}),
    ("a missing key", [{"stock": 5}, {"stock": 9}, {"stock": 4}], {"error": "no such item"}),
    ("null instead of a number", [{"stock": 5}, {"stock": 9}, {"stock": 4}], {"stock": None}),
    ("a text instead of a record", [{"stock": 5}, {"stock": 9}, {"stock": 4}], "no such item"),
    ("fewer than asked for", [5, 9, 4], 4),
    ("a number in a nested record", [{"warehouse": {"stock": n}} for n in (5, 9, 4)], {"warehouse": {"stock": 0}}),
    ("a status in a nested record", [{"item": {"status": "available"}}] * 3, {"item": {"status": "sold out"}}),
    ("a block in a nested list", [{"stock": n, "blocks": []} for n in (5, 9, 4)], {"stock": 8, "blocks": ["fraud"]}),
    ("an empty nested list", [{"shelves": ["A"]}] * 3, {"shelves": []}),
    ("a key that no trace had", [{"stock": n} for n in (5, 9, 4)], {"stock": 8, "discontinued": True}),
    ("a key in an empty record", [{}, {}, {}], {"embargo": True}),
    ("a count in words", [{"availability": f"{n} left"} for n in (5, 9, 4)], {"availability": "0 left"}),
    ("a bare count in words", [f"{n} left" for n in (5, 9, 4)], "0 left"),
    (
        "sold out after four kinds of available",
        [{"status": status} for status in ("available", "here", "ready", "in the shop")],
        {"status": "sold out"},
    ),
    (
        "sold out in a wide record",
        [{"status": s, "a": 1, "b": 1, "c": 1, "d": 1, "e": 1} for s in ("available", "here", "ready")],
        {"status": "sold out", "a": 1, "b": 1, "c": 1, "d": 1, "e": 1},
    ),
]


def shipped(opened: Open, seen: Sequence[Json], unseen: Json, count: int) -> tuple[Office, Learned, object]:
    """Learn to ship from traces that had these stocks, then ask for pens, whose stock is another one."""
    results: dict[str, Json] = {"pens": unseen}
    office = Office()
    office.add("get_stock", "item", "read", lambda item: decode(results[item]))
    office.add("ship", "item count", "write", lambda item, count: "ok")
    cache = opened(office)
    traces: list[Trace] = []
    for item, asked, result in zip(("lamps", "chairs", "tables", "cups"), (2, 3, 1, 2), seen, strict=False):
        read = step("get_stock", decode(result), item=item)
        traces.append(ran(f'Ship {asked} of "{item}"', "Shipped.", read, step("ship", "ok", item=item, count=asked)))
    learned = observed(cache, traces)
    return office, learned, cache.lookup(f'Ship {count} of "pens"')


class TestBranchesThatNobodyTook:
    """(b): a result of a class that no trace had is a deopt before anything is written."""

    @pytest.mark.parametrize(("what", "seen", "unseen"), REFUSED, ids=[case[0] for case in REFUSED])
    def test_an_unseen_result_ships_nothing(self, opened: Open, what: str, seen: list[Json], unseen: Json) -> None:
        """Whatever says that an item is out of stock, nothing is shipped."""
        office, learned, outcome = shipped(opened, seen, unseen, 8 if what == "fewer than asked for" else 2)
        assert learned.status in LEARNT, (what, learned)
        assert isinstance(outcome, Deopt) and office.writes == [], outcome

    @pytest.mark.parametrize(
        ("seen", "unseen"),
        [
            ([{"code": "A5"}, {"code": "B9"}, {"code": "C4"}], {"code": ""}),
            ([{"valid_until": f"2027-0{n}-05"} for n in (1, 3, 4)], {"valid_until": "expired"}),
            pytest.param(
                [{"valid_until": f"2027-0{n}-05"} for n in (1, 3, 4)],
                {"valid_until": "2019-01-01"},
                marks=pytest.mark.xfail(
                    strict=True, raises=AssertionError, reason="a day is held to being a day, not to a range of days"
                ),
            ),
        ],
        ids=["an empty code", "a word for a day", "a day that has passed"],
    )
    def test_a_text_of_another_shape(self, opened: Open, seen: list[Json], unseen: Json) -> None:
        """A text that is no code, or no day, where every trace had one."""
        office, _, _ = shipped(opened, seen, unseen, 2)
        assert office.writes == []

    @pytest.mark.parametrize("key", ["", None, 0, "not found"])
    def test_an_id_that_is_none(self, opened: Open, key: Json) -> None:
        """Where something was not found, nothing is written under no id."""
        office = Office()
        office.add("find_item", "item", "read", lambda item: {"id": decode(key), "kind": "thing"})
        office.add("ship", "item_id", "write", lambda item_id: "ok")
        cache = opened(office)
        for item, found in (("lamps", "A5"), ("chairs", "B9"), ("tables", "C4")):
            read = step("find_item", {"id": found, "kind": "thing"}, item=item)
            cache.observe(ran(f'Ship the "{item}" now', "Shipped.", read, step("ship", "ok", item_id=found)))
        cache.lookup('Ship the "pens" now')
        assert office.writes == []

    def test_no_row_is_written_before_all_were_looked_at(self, opened: Open) -> None:
        """The last of three tasks is locked: a body that gives up there has better not closed the others."""
        office = Office()
        states = ("open", "open", "locked")
        office.add("list_tasks", "person", "read", lambda person: [{"id": f"t9{s}", "state": s} for s in states])
        office.add("close_task", "task_id", "write", lambda task_id: "ok")
        cache = opened(office)
        for person, count in (("Anna", 2), ("Otto", 1), ("Ines", 3)):
            rows: list[Value] = [{"id": f"{person}{number}", "state": "open"} for number in range(count)]
            closed = [step("close_task", "ok", task_id=f"{person}{number}") for number in range(count)]
            cache.observe(
                ran(f'Close the tasks of "{person}"', "Done.", step("list_tasks", rows, person=person), *closed)
            )
        outcome = cache.lookup('Close the tasks of "Piet"')
        assert isinstance(outcome, Deopt) and office.writes == []

    @pytest.mark.parametrize(("what", "seen", "unseen"), REFUSED, ids=[case[0] for case in REFUSED])
    def test_a_result_like_those_seen_ships(self, opened: Open, what: str, seen: list[Json], unseen: Json) -> None:
        """The same procedures do ship where a result is as it was: the refusals above are no accident."""
        office, learned, outcome = shipped(opened, seen, seen[0], 2)
        assert isinstance(outcome, Hit), (what, unseen, learned, outcome)
        assert office.writes == [("ship", {"item": "pens", "count": 2})]

    def test_a_list_that_nothing_looks_at_refuses_the_kind(self, opened: Open) -> None:
        """Nobody can say what a list was read for that no call looks at."""
        office, learned, outcome = shipped(opened, [[{"sku": "s1"}], [{"sku": "s2"}], [{"sku": "s4"}]], NOTHING, 2)
        assert learned.status == "rejected" and "the result stock was read" in learned.reason
        assert not isinstance(outcome, Hit) and office.writes == []

    @pytest.mark.parametrize("unseen", [NOTHING, [{"sku": "s9", "stock": 0}], [{"sku": "s9", "stock": 1}]])
    def test_a_list_whose_row_is_written(self, opened: Open, unseen: Json) -> None:
        """Nothing found, and a row that is out of stock, are no rows to ship."""
        office = Office()
        office.add("find_stock", "item", "read", lambda item: decode(unseen))
        office.add("ship", "sku count", "write", lambda sku, count: "ok")
        cache = opened(office)
        for item, count, stock in (("lamps", 2, 5), ("chairs", 3, 9), ("tables", 1, 4)):
            rows: Value = [{"sku": f"{item}-7", "stock": stock}]
            read = step("find_stock", rows, item=item)
            written = step("ship", "ok", sku=f"{item}-7", count=count)
            learned = cache.observe(ran(f'Ship {count} of "{item}"', "Shipped.", read, written))
        assert learned.status in LEARNT, learned
        assert isinstance(cache.lookup('Ship 2 of "pens"'), Deopt) and office.writes == []

    def test_records_with_different_keys(self, opened: Open) -> None:
        """A user who is banned gets no card, even if records of users do not all have the same keys."""
        office = Office()
        office.add("find_user", "name", "read", lambda name: {"id": "u9", "status": "banned"})
        office.add("send_card", "user_id", "write", lambda user_id: "ok")
        cache = opened(office)
        records: list[tuple[str, dict[str, Json]]] = [
            ("Anna", {"id": "u1", "status": "active"}),
            ("Otto", {"id": "u2", "status": "active", "note": "x"}),
            ("Ines", {"id": "u5", "status": "active"}),
        ]
        for name, record in records:
            found = step("find_user", decode(record), name=name)
            cache.observe(
                ran(f'Send a card to "{name}"', "Sent.", found, step("send_card", "ok", user_id=record["id"]))
            )
        cache.lookup('Send a card to "Piet"')
        assert office.writes == []

    @pytest.mark.parametrize("balance", [0, -50])
    def test_a_balance_that_is_not_positive_is_not_paid_out(self, opened: Open, balance: int) -> None:
        """Every balance was positive; a debt is not paid out. A bare number is held to that, a key is not."""
        office = Office()
        office.add("get_account", "name", "read", lambda name: {"balance": balance})
        office.add("pay_out", "name amount", "write", lambda name, amount: "ok")
        cache = opened(office)
        for name, amount in (("Anna", 50), ("Otto", 70), ("Ines", 20)):
            read = step("get_account", {"balance": amount}, name=name)
            cache.observe(ran(f'Pay out "{name}"', "Paid.", read, step("pay_out", "ok", name=name, amount=amount)))
        cache.lookup('Pay out "Piet"')
        assert office.writes == []


def desk() -> Office:
    office = Office()
    office.add("refund", "order", "write", lambda order: "ok")
    office.add("cancel", "order", "write", lambda order: "ok")
    return office


def refunded(order: str) -> Trace:
    return ran(f"Refund order {order}", "Refunded.", step("refund", "ok", order=order))


REFUNDS = ("A-1", "A-7", "C-33")


class TestRequestsThatLookAlike:
    """(c): what was learnt for one thing is not done for another."""

    @pytest.mark.parametrize(
        "text",
        [
            "Cancel order B-2",
            "cancel order B-2",
            "Do not refund order B-2",
            "do not refund order B-2",
            "Don't refund order B-2",
            "Never refund order B-2",
            "Refund order B-2 twice",
            "Refund all orders",
            "Refund order all",
            "Refund orders B-2",
            "Refund order B-2 and B-3",
            "Refund order B-2, B-3",
            "Refund order B-2 and cancel order B-3",
            "Refund half of order B-2",
            "Refund order B-2 except the shipping",
            "Refund order B-2 if it was paid",
            "Refund order B-2 tomorrow",
            "Refund order B-2 (all)",
            "Undo: Refund order B-2",
            "Should I refund order B-2?",
            "Did we refund order B-2?",
            "Refund the order before B-2",
        ],
    )
    def test_another_request_is_never_a_hit(self, opened: Open, text: str) -> None:
        """It is declined, and no tool is called at all."""
        office = desk()
        cache = opened(office)
        assert observed(cache, [refunded(order) for order in REFUNDS]).status in LEARNT
        outcome = cache.lookup(text)
        assert isinstance(outcome, (Miss, Refused)) and office.calls == [], outcome
        assert isinstance(cache.lookup("Refund order B-2"), Hit) and len(office.writes) == 1

    def test_two_kinds_side_by_side(self, opened: Open) -> None:
        """Refunds and cancellations of the same orders are two procedures, and neither does what the other does."""
        office = desk()
        cache = opened(office)
        for order in REFUNDS:
            cache.observe(refunded(order))
            cache.observe(ran(f"Cancel order {order}", "Cancelled.", step("cancel", "ok", order=order)))
        assert isinstance(cache.lookup("Refund order B-2"), Hit) and isinstance(cache.lookup("Cancel order B-3"), Hit)
        assert office.writes == [("refund", {"order": "B-2"}), ("cancel", {"order": "B-3"})]

    @pytest.mark.parametrize(
        "what",
        [
            "desk",
            "all",
            "everything",
            "nothing",
            "no lamp",
            "every lamp",
            "lamp and chair",
            "lamp twice",
            "lamp tomorrow",
        ],
    )
    def test_a_place_for_words_of_a_write_is_closed(self, opened: Open, what: str) -> None:
        """However many words were seen, another one is not written; those seen are."""
        office = desk()
        cache = opened(office)
        for item in ("lamp", "chair", "table", "carpet"):
            cache.observe(ran(f"Please send a refund for {item}", "Refunded.", step("refund", "ok", order=item)))
        assert not isinstance(cache.lookup(f"Please send a refund for {what}"), Hit) and office.writes == []
        assert isinstance(cache.lookup("Please send a refund for chair"), Hit)


def shop_with_addresses(address: Value) -> Office:
    office = Office()
    office.add("get_total", "order", "read", lambda order: 30)
    office.add("charge", "order amount", "write", lambda order, amount: f"charged {amount}")
    office.add("get_address", "order", "read", lambda order: address)
    office.add("ship", "order", "write", lambda order: "shipped")
    return office


def completed(order: str, total: int) -> Trace:
    return ran(
        f"Complete order {order}",
        "Done.",
        step("get_total", total, order=order),
        step("charge", f"charged {total}", order=order, amount=total),
        step("get_address", {"valid": True}, order=order),
        step("ship", "shipped", order=order),
    )


class TestMissesInTheMiddle:
    """(d): a procedure that gives up after a write hands over what it did, and nothing is charged twice."""

    @staticmethod
    def learnt(opened: Open, office: Office, store: MemoryStore | None = None) -> ReasoningCache:
        """Return a cache that knows how orders are completed."""
        cache = opened(office, store)
        learned = observed(cache, [completed(*each) for each in (("A-1", 10), ("A-2", 25), ("A-3", 40))])
        assert learned.status in LEARNT, learned
        return cache

    @pytest.mark.parametrize("address", [{"valid": False}, {"valid": None}, None, "no address", []])
    def test_an_unseen_read_after_the_charge(self, opened: Open, address: Value) -> None:
        """The charge stands among the steps of the deopt, and nothing is shipped."""
        office = shop_with_addresses(address)
        outcome = self.learnt(opened, office).lookup("Complete order B-9")
        assert isinstance(outcome, Deopt)
        assert [step.tool for step in outcome.steps] == ["get_total", "charge", "get_address"]
        assert office.writes == [("charge", {"order": "B-9", "amount": 30})]

    def test_a_tool_that_fails_after_the_charge(self, opened: Open) -> None:
        """An error of the second read is a deopt with the charge and the error among its steps."""

        def broken(order: str) -> Value:
            raise TimeoutError("the line broke")

        office = shop_with_addresses({"valid": True})
        cache = self.learnt(opened, office)
        office.functions["get_address"] = broken
        outcome = cache.lookup("Complete order B-9")
        assert isinstance(outcome, Deopt)
        assert [bool(step.error) for step in outcome.steps] == [False, False, True]
        assert [name for name, _ in office.writes] == ["charge"]

    def test_a_charge_that_fails_is_not_tried_again(self, opened: Open) -> None:
        """The charge may have got through before its error: it is called once, and nothing follows it."""

        def broken(order: str, amount: int) -> Value:
            raise TimeoutError("the line broke")

        office = shop_with_addresses({"valid": True})
        cache = self.learnt(opened, office)
        office.functions["charge"] = broken
        outcome = cache.lookup("Complete order B-9")
        assert isinstance(outcome, Deopt) and outcome.steps[-1].error is not None
        assert [name for name, _ in office.calls] == ["get_total", "charge"]

    def test_another_worker_goes_on_without_a_second_charge(self, opened: Open) -> None:
        """A second cache on the same store resumes from recorded results, and charges nothing again."""
        office, store = shop_with_addresses({"valid": True}), MemoryStore()
        first = self.learnt(opened, office, store)
        plan = first.plan("Complete order B-9")
        assert isinstance(plan, Plan)
        recorded: list[ToolResult] = []
        for expected in ("get_total", "charge"):
            action = first.next_action(plan, recorded)
            assert isinstance(action, Call) and action.tool == expected
            recorded.append(office.call(action.tool, action.arguments))
        first.close()  # The first worker is gone; its results are on record.
        resumed = Plan.model_validate_json(plan.model_dump_json())
        second = opened(office, store)
        while isinstance(action := second.next_action(resumed, recorded), Call):
            assert action.tool != "charge"
            recorded.append(office.call(action.tool, action.arguments))
        assert isinstance(action, Final) and action.answer == "Done."
        assert isinstance(second.finish(resumed, action), Hit)
        assert office.writes == [("charge", {"order": "B-9", "amount": 30}), ("ship", {"order": "B-9"})]

    def test_another_worker_gives_up_with_the_charge_on_record(self, opened: Open) -> None:
        """Where the second read says something new, the steps are handed over, however often the plan is asked."""
        office, store = shop_with_addresses({"valid": False}), MemoryStore()
        first = self.learnt(opened, office, store)
        plan = first.plan("Complete order B-9")
        assert isinstance(plan, Plan)
        recorded: list[ToolResult] = []
        steps: list[ToolStep] = []
        while isinstance(action := first.next_action(plan, recorded), Call):
            recorded.append(office.call(action.tool, action.arguments))
            steps.append(step(action.tool, recorded[-1].value, **action.arguments))
        second = opened(office, store)
        again = [cache.next_action(plan, recorded) for cache in (first, second, second)]
        assert isinstance(action, GiveUp) and all(isinstance(each, GiveUp) for each in again)
        deopt = second.finish(plan, action, steps)
        assert isinstance(deopt, Deopt)
        assert [each.tool for each in deopt.steps] == ["get_total", "charge", "get_address"]
        assert office.writes == [("charge", {"order": "B-9", "amount": 30})]


class TestPlacesThatVaryTogether:
    """Two places of a request that were never seen apart: an answer for one of them is none for both."""

    def test_no_answer_is_looked_up_by_one_place_alone(self, opened: Open) -> None:
        """Berlin in July gets no answer that was given for Berlin in March."""
        cache = opened(Office())
        for city, month in (("Berlin", "March"), ("Oslo", "May"), ("Lisbon", "July")):
            text = f"Compare the sales of {city} in {month} with its target"
            cache.observe(ran(text, {"plan": [f"sales: {city}, {month}", "compare"]}))
        outcome = cache.lookup("Compare the sales of Berlin in July with its target")
        assert not isinstance(outcome, Hit) or outcome.answer == {"plan": ["sales: Berlin, July", "compare"]}
