"""The trace compiler by feature: runs of an agent go in, and a procedure or a reason comes out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import pytest

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.compilers.base import Admit, Compilation, CompileTask, NotCrystallizable
from seglam_agents.compilers.model import ModelCompiler
from seglam_agents.flow import Flow, work
from seglam_agents.learning.policy import EconomicPolicy
from seglam_agents.records.outcome import Deopt, Hit, Learned, Miss
from seglam_agents.records.procedure import Procedure
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.tools import Effect, Tool
from seglam_agents.records.trace import ModelStep, ToolStep, Trace
from seglam_agents.records.usage import Usage
from seglam_agents.records.values import Value, encode
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.memory import MemoryStore
from seglam_agents.testing.models import ScriptedModel, writes

LEARNT = ("admitted", "widened", "deferred")
NOW = datetime(2026, 3, 10, 9)
DAYS = (datetime(2026, 3, 10, 8), datetime(2026, 3, 20, 17), datetime(2026, 4, 2, 11))
Call = tuple[str, dict[str, Json]]


@dataclass
class Office:
    """The tools of a host, what they answer, and every call that reached them."""

    tools: dict[str, Tool] = field(default_factory=dict[str, Tool])
    functions: dict[str, Callable[..., Value]] = field(default_factory=dict[str, Callable[..., Value]])
    calls: list[Call] = field(default_factory=list[Call])

    def add(
        self,
        name: str,
        arguments: str,
        effect: Effect,
        function: Callable[..., Value] | None = None,
        choices: Sequence[str] = (),
    ) -> Office:
        """Declare a tool; one without a function says "ok"."""
        schema: dict[str, Json] = {"type": "string", "enum": list(choices)} if choices else {}
        properties: dict[str, Json] = dict.fromkeys(arguments.split(), schema)
        self.tools[name] = Tool(name=name, parameters={"type": "object", "properties": properties}, effect=effect)
        self.functions[name] = function or (lambda **_: "ok")
        return self

    def host(self) -> list[HostTool]:
        """Return the tools as a cache takes them."""
        return [HostTool(tool, self._counted(name)) for name, tool in self.tools.items()]

    def _counted(self, name: str) -> Callable[..., Value]:
        def counted(**arguments: Json) -> Value:
            self.calls.append((name, dict(arguments)))
            return self.functions[name](**arguments)

        return counted


Open = Callable[..., ReasoningCache]


@pytest.fixture
def opened(sandbox: MontySandbox) -> Iterator[Open]:
    caches: list[ReasoningCache] = []

    def opened(
        office: Office | None = None,
        store: MemoryStore | Path | None = None,
        model: ScriptedModel | None = None,
        policy: EconomicPolicy | Literal["eager", "economic"] = "eager",
        now: datetime | None = None,
        learning: Literal["inline", "off"] = "inline",
    ) -> ReasoningCache:
        cache = ReasoningCache(
            store if store is not None else MemoryStore(),
            model,
            sandbox=sandbox,
            second_sandbox=None,
            second_opinion=False,
            tools=(office or Office()).host(),
            policy=policy,
            now=(lambda: now) if now else None,
            learning=learning,
            predictions=(0, 0),
        )
        caches.append(cache)
        return cache

    yield opened
    for cache in caches:
        cache.close()


def step(tool: str, result: Value = "ok", **arguments: Value) -> ToolStep:
    return ToolStep(
        tool=tool, arguments={name: encode(value) for name, value in arguments.items()}, result=encode(result)
    )


def ran(text: str, answer: Json, *steps: ToolStep | ModelStep, at: datetime | None = None) -> Trace:
    return Trace(request=Request(text=text), steps=steps, answer=answer, recorded_at=at)


def observed(cache: ReasoningCache, traces: Sequence[Trace]) -> Learned:
    """Observe traces, and return what came of the last one."""
    return [cache.observe(trace) for trace in traces][-1]


def only_procedure(cache: ReasoningCache) -> Procedure:
    (procedure,) = [e.procedure for e in cache.procedures() if e.status == "active"]
    return procedure


def code_of(cache: ReasoningCache) -> str:
    """Return the body without the functions above it."""
    body = only_procedure(cache).body
    return body[body.index("def run(") :]


def setter() -> Office:
    return Office().add("set_value", "value", "write")


def set_to(text: str, value: Value, at: datetime | None = None) -> Trace:
    return ran(text, "Done.", step("set_value", value=value), at=at)


def teams(*names: str) -> list[Trace]:
    return [set_to(f'Publish team "{name}"', name) for name in names]


class TestSequences:
    """Equal sequences of calls."""

    def test_results_go_into_later_calls(self, opened: Open) -> None:
        """Names are found, mails are sent: three runs, and the fourth person needs no model."""
        users = {"Piet Vos": "pv@x.org"}
        office = Office().add("find_user", "name", "read", lambda name: users[name])
        office.add("send_mail", "to subject", "write")
        cache = opened(office)
        for name, address, subject in (
            ("Anna Berg", "ab@x.org", "lunch"),
            ("Otto Lind", "ol@x.org", "tea"),
            ("Ines Ferro", "if@x.org", "rent"),
        ):
            found = step("find_user", address, name=name)
            mailed = step("send_mail", to=address, subject=subject)
            cache.observe(ran(f'Send {name} a mail about "{subject}"', "Sent.", found, mailed))
        hit = cache.lookup('Send Piet Vos a mail about "plans"')
        assert isinstance(hit, Hit) and hit.answer == "Sent."
        assert office.calls[-1] == ("send_mail", {"to": "pv@x.org", "subject": "plans"})
        assert "user = find_user(name=name)" in code_of(cache) and "to=user, subject=subject" in code_of(cache)

    def test_a_path_into_nested_results(self, opened: Open) -> None:
        """Keys within keys are followed, for a call and for the answer."""

        def order(payment: str) -> dict[str, Value]:
            return {"order": {"payment": {"id": payment, "method": "card"}}}

        office = Office().add("get_order", "order", "read", lambda order_=None, **_: order("pay9"))
        office.add("refund", "payment", "write")
        cache = opened(office)
        for number, payment in (("A-1", "pay1"), ("A-2", "pay2"), ("A-3", "pay3")):
            steps = step("get_order", order(payment), order=number), step("refund", payment=payment)
            cache.observe(ran(f"Refund order {number}", f"Refunded {payment}.", *steps))
        hit = cache.lookup("Refund order B-2")
        assert isinstance(hit, Hit) and hit.answer == "Refunded pay9."
        assert "['order']['payment']['id']" in code_of(cache)

    def test_two_calls_of_one_tool_stay_two(self, opened: Open) -> None:
        """Calls that always come twice, for two places of the request, are no loop."""
        office = Office().add("list_tasks", "person", "read", lambda person: [{"id": f"{person}-7"}])
        office.add("close_task", "task_id", "write")
        cache = opened(office)
        for one, other in (("Anna", "Otto"), ("Ines", "Olga"), ("Kim", "Lea")):
            reads = [step("list_tasks", [{"id": f"{name}-7"}], person=name) for name in (one, other)]
            closed = [step("close_task", task_id=f"{name}-7") for name in (one, other)]
            cache.observe(ran(f"Merge {one} with {other}", "Done.", *reads, *closed))
        assert isinstance(cache.lookup("Merge Piet with Uwe"), Hit)
        assert [list(arguments.values()) for _, arguments in office.calls] == [["Piet"], ["Uwe"], ["Piet-7"], ["Uwe-7"]]
        assert "for " not in code_of(cache)


class TestLoops:
    """Calls that repeat for the rows of a result."""

    @staticmethod
    def office(tasks: Mapping[str, Value]) -> Office:
        """Return tools that list tasks and close them."""
        office = Office().add("list_tasks", "person", "read", lambda person: tasks[person])
        return office.add("close_task", "task_id", "write")

    @staticmethod
    def rows(*states: str, start: int = 1) -> list[Value]:
        """Return tasks with these states."""
        return [{"id": f"t{start + number}", "state": state} for number, state in enumerate(states)]

    @staticmethod
    def closed(person: str, rows: Sequence[Value], ids: Sequence[str]) -> Trace:
        """Return a run that closes some tasks."""
        read = step("list_tasks", list(rows), person=person)
        return ran(f"Close the tasks of {person}", "Done.", read, *(step("close_task", task_id=i) for i in ids))

    def learnt(
        self, opened: Open, seen: Sequence[Sequence[str]], wanted: str | None, tasks: Mapping[str, Value]
    ) -> tuple[ReasoningCache, Office]:
        """Learn from lists of tasks, of which those with a state are closed."""
        office = self.office(tasks)
        cache = opened(office)
        traces: list[Trace] = []
        for number, (person, states) in enumerate(zip(("Anna", "Otto", "Ines"), seen, strict=True)):
            ids = [
                f"t{10 * number + 1 + index}" for index, state in enumerate(states) if wanted is None or state == wanted
            ]
            traces.append(self.closed(person, self.rows(*states, start=10 * number + 1), ids))
        learned = observed(cache, traces)
        assert learned.status in LEARNT, learned
        return cache, office

    def test_lists_of_different_lengths(self, opened: Open) -> None:
        """Two, one and three tasks: a loop over all of them, which takes four, and gives up at none."""
        tasks: dict[str, Value] = {"Piet": self.rows(*["open"] * 4, start=90), "Olga": []}
        cache, office = self.learnt(opened, [["open"] * 2, ["open"], ["open"] * 3], None, tasks)
        assert isinstance(cache.lookup("Close the tasks of Piet"), Hit)
        assert [arguments["task_id"] for name, arguments in office.calls if name == "close_task"] == [
            "t90",
            "t91",
            "t92",
            "t93",
        ]
        assert isinstance(cache.lookup("Close the tasks of Olga"), Deopt)
        assert "for task in tasks:" in code_of(cache)

    def test_an_empty_list_that_was_seen(self, opened: Open) -> None:
        """Where a trace had nothing to close, nothing is closed, and that is an answer."""
        cache, office = self.learnt(opened, [["open"] * 2, [], ["open"] * 3], None, {"Olga": []})
        assert isinstance(cache.lookup("Close the tasks of Olga"), Hit)
        assert office.calls == [("list_tasks", {"person": "Olga"})]

    @pytest.mark.parametrize(("count", "served"), [(6, True), (7, False)])
    def test_a_list_of_another_size(self, opened: Open, count: int, served: bool) -> None:
        """What writes is done for twice as many as were seen at most, and else for none of them."""
        tasks: dict[str, Value] = {"Piet": self.rows(*["open"] * count, start=90)}
        cache, office = self.learnt(opened, [["open"] * 3, ["open"], ["open"] * 2], None, tasks)
        outcome = cache.lookup("Close the tasks of Piet")
        assert isinstance(outcome, Hit) is served, outcome
        assert len([name for name, _ in office.calls if name == "close_task"]) == (count if served else 0)

    def test_a_state_that_no_turn_had_stops_the_loop(self, opened: Open) -> None:
        """A row of another class stops the whole loop before the first write."""
        tasks: dict[str, Value] = {"Piet": self.rows("open", "locked", "open", start=90)}
        cache, office = self.learnt(opened, [["open"] * 2, ["open"], ["open"] * 3], None, tasks)
        outcome = cache.lookup("Close the tasks of Piet")
        assert isinstance(outcome, Deopt) and [each.tool for each in outcome.steps] == ["list_tasks"]
        assert not any(tool == "close_task" for tool, _ in office.calls)


Pairs = Sequence[tuple[str, Value]]
CONVERSIONS: list[tuple[str, str, Pairs, str, Value]] = [
    ("upper case", "Use the code {}", [("ax7", "AX7"), ("by9", "BY9"), ("cz2", "CZ2")], "dd4", "DD4"),
    (
        "snake case",
        "Move the card to column {}",
        [("In Progress", "in_progress"), ("Coming Up", "coming_up"), ("Done Now", "done_now")],
        "Coming Up",
        "coming_up",
    ),
    (
        "first word",
        'Write a short greeting for "{}"',
        [("Anna Berg", "Anna"), ("Otto Lind", "Otto"), ("Ines Ferro", "Ines")],
        "Piet Vos",
        "Piet",
    ),
    (
        "text with a name",
        'Write a short greeting for "{}"',
        [("Anna", "Dear Anna, hello!"), ("Otto", "Dear Otto, hello!"), ("Ines", "Dear Ines, hello!")],
        "Piet",
        "Dear Piet, hello!",
    ),
    ("minutes", "Wait for {} here", [("2 hours", 120), ("45 minutes", 45), ("an hour", 60)], "3 hours", 180),
    (
        "iso day",
        "Book it for {}",
        [("March 3, 2026", "2026-03-03"), ("5 May 2026", "2026-05-05"), ("2026-07-01", "2026-07-01")],
        "1 June 2027",
        "2027-06-01",
    ),
    ("amount", "Set a budget of {}", [("$84.50", 84.5), ("$1,020", 1020), ("$3", 3)], "$55", 55),
    (
        "words in a record",
        'Write it for "{}"',
        [(n, {"to": n, "cc": [n, "x"]}) for n in ("Anna", "Otto", "Ines")],
        "Piet",
        {"to": "Piet", "cc": ["Piet", "x"]},
    ),
]
DATED: list[tuple[str, str, Pairs, str, Value]] = [
    (
        "a month and a day",
        "Book it for {}",
        [("March 13", "2026-03-13"), ("May 5", "2026-05-05")],
        "June 2",
        "2026-06-02",
    ),
    ("a weekday", "Book it for {}", [("Friday", "2026-03-13"), ("Monday", "2026-03-23")], "Tuesday", "2026-03-17"),
    (
        "tomorrow",
        "Book room {} for tomorrow",
        [("K-1", "2026-03-11"), ("K-2", "2026-03-21"), ("K-3", "2026-04-03")],
        "K-2",
        "2026-03-11",
    ),
    (
        "a moment",
        "Book it for {}",
        [("March 13", "2026-03-13 00:00:00"), ("May 5", "2026-05-05 00:00:00")],
        "June 2",
        "2026-06-02 00:00:00",
    ),
]


class TestConversions:
    """What a call is given and what a request says, differently spelt."""

    @pytest.mark.parametrize(
        ("text", "pairs", "asked", "value"),
        [pytest.param(*case[1:], id=case[0]) for case in CONVERSIONS],
    )
    def test_a_place_of_the_request(self, opened: Open, text: str, pairs: Pairs, asked: str, value: Value) -> None:
        """Two or three examples are enough for the conversion."""
        office = setter()
        cache = opened(office)
        learned = observed(cache, [set_to(text.format(place), result) for place, result in pairs])
        assert learned.status in LEARNT, learned.reason
        assert isinstance(cache.lookup(text.format(asked)), Hit)
        assert office.calls == [("set_value", {"value": value})]

    @pytest.mark.parametrize(
        ("text", "pairs", "asked", "value"), [pytest.param(*case[1:], id=case[0]) for case in DATED]
    )
    def test_a_day_by_the_clock(self, opened: Open, text: str, pairs: Pairs, asked: str, value: Value) -> None:
        """Days without a year are reckoned from the day of the trace, and later from that of the request."""
        office = setter()
        if "tomorrow" in text:
            office = Office().add("set_value", "value room", "write")
        cache = opened(office, now=NOW)
        traces = [
            ran(
                text.format(place),
                "Done.",
                step("set_value", value=result, **({"room": place} if "tomorrow" in text else {})),
                at=at,
            )
            for (place, result), at in zip(pairs, DAYS, strict=False)
        ]
        learned = observed(cache, traces)
        assert learned.status in LEARNT, learned.reason
        assert isinstance(cache.lookup(text.format(asked)), Hit)
        assert [arguments["value"] for _, arguments in office.calls] == [value]

    def test_a_day_that_might_be_of_two_years(self, opened: Open) -> None:
        """Nobody booked a day that had passed: whether January means this year's or the next one is not known."""
        office = setter()
        cache = opened(office, now=NOW)
        pairs = (("March 13", "2026-03-13"), ("May 5", "2026-05-05"), ("July 1", "2026-07-01"))
        observed(cache, [set_to(f"Book it for {day}", iso, at) for (day, iso), at in zip(pairs, DAYS, strict=True)])
        assert isinstance(cache.lookup("Book it for January 2"), Deopt) and office.calls == []

    def test_a_year_from_nowhere_is_refused_with_advice(self, opened: Open) -> None:
        """Without a clock, next year would be wrong."""
        cache = opened(setter())
        traces = [
            set_to(f"Book it for {day}", iso) for day, iso in (("March 13", "2025-03-13"), ("May 5", "2025-05-05"))
        ]
        learned = observed(cache, traces)
        assert learned.status == "rejected" and "holds a year that is in no request" in learned.reason
        assert "now=..." in learned.reason and "recorded_at" in learned.reason

    def test_the_clock_of_the_cache_stamps_traces(self, opened: Open) -> None:
        """A trace that says nothing of its time was made now."""
        cache = opened(setter(), now=NOW)
        traces = [
            set_to(f"Book it for {day}", iso) for day, iso in (("March 13", "2026-03-13"), ("May 5", "2026-05-05"))
        ]
        assert observed(cache, traces).status == "admitted"
        assert "now = datetime.now()" in code_of(cache)


PAY: dict[str, list[Value]] = {
    "blue": [{"name": "Ada", "pay": 10}, {"name": "Bo", "pay": 25}],
    "red": [{"name": "Cy", "pay": 7}],
    "green": [{"name": "Di", "pay": 9}, {"name": "Ed", "pay": 2}, {"name": "Flo", "pay": 4}],
}
GREY: list[Value] = [{"name": name, "pay": pay} for name, pay in (("Zoe", 8), ("Cy", 30), ("Ed", 1), ("Flo", 5))]
"""Its rows at either end are like those seen, as bodies want them; its numbers are others."""


class TestResults:
    """What is told of a list that a tool returned."""

    @pytest.mark.parametrize(("team", "count"), [("blue", 2), ("red", 1), ("green", 3), ("grey", 5)])
    def test_a_count_of_rows_without_numbers(self, opened: Open, team: str, count: int) -> None:
        """Rows are counted, however many there are."""
        names: dict[str, Value] = {
            "blue": ["Ada", "Bo"],
            "red": ["Cy"],
            "green": ["Di", "Ed", "Flo"],
            "grey": ["x"] * 5,
        }
        cache = opened(Office().add("list_members", "team", "read", lambda team: names[team]))
        for name, number in (("blue", 2), ("red", 1), ("green", 3)):
            read = step("list_members", names[name], team=name)
            cache.observe(ran(f"How many people are in team {name}?", number, read))
        hit = cache.lookup(f"How many people are in team {team}?")
        assert isinstance(hit, Hit) and hit.answer == count

    def test_a_row_by_its_key(self, opened: Open) -> None:
        """The row whose name is in the request, wherever it stands."""
        prices: list[Value] = [
            {"name": name, "price": price} for name, price in (("tea", 3.5), ("milk", 1.25), ("rice", 2), ("salt", 4))
        ]
        cache = opened(Office().add("price_list", "", "read", lambda: prices))
        traces = [
            ran(f"What does {name} cost?", price, step("price_list", prices))
            for name, price in (("tea", 3.5), ("milk", 1.25), ("rice", 2))
        ]
        assert observed(cache, traces).status in LEARNT
        hit = cache.lookup("What does salt cost?")
        assert isinstance(hit, Hit) and hit.answer == 4
        assert isinstance(cache.lookup("What does pepper cost?"), Deopt)


class TestSlots:
    """Which words may stand at a place."""

    def test_two_different_words_are_enough_to_read(self, opened: Open) -> None:
        """Looking something up under a word that was not seen does no harm."""
        cache = opened(Office().add("read_note", "name", "read", lambda name: f"about {name}"))
        for name in ("blue", "red"):
            cache.observe(ran(f"Read the note of {name}", f"{name}!", step("read_note", f"{name}!", name=name)))
        hit = cache.lookup("Read the note of pink")
        assert isinstance(hit, Hit) and hit.answer == "about pink"

    @pytest.mark.parametrize(
        "asked",
        [
            "blocked",
            "done",
            "in review",
        ],
    )
    def test_a_closed_set_of_a_schema(self, opened: Open, asked: str) -> None:
        """All words of the schema are taken, seen or not, and no other."""
        choices = ("in_progress", "done", "in_review", "blocked")
        office = Office().add("set_status", "status", "write", choices=choices)
        cache = opened(office)
        for word, status in (("in progress", "in_progress"), ("done", "done")):
            cache.observe(ran(f"Mark the card as {word}", "Done.", step("set_status", status=status)))
        assert isinstance(cache.lookup("Mark the card as lost"), Miss) and office.calls == []
        assert isinstance(cache.lookup(f"Mark the card as {asked}"), Hit)
        assert office.calls == [("set_status", {"status": asked.replace(" ", "_")})]


class TestRefusals:
    """What is not learnt, and the reason."""

    def test_one_trace_is_no_kind(self, opened: Open) -> None:
        """One run shows what was done, not what may vary."""
        learned = opened(setter()).observe(teams("blue")[0])
        assert learned.status == "rejected" and "a second one of the kind is needed" in learned.reason

    def test_a_number_of_the_request_that_nothing_uses(self, opened: Open) -> None:
        """Somebody who says "in 3 days" means it."""
        traces = [set_to(f"Publish team {team} in {days} days", team) for team, days in (("blue", 3), ("red", 4))]
        learned = observed(opened(setter()), traces)
        assert learned.status == "rejected"
        assert "nothing says what" in learned.reason and "3 days" in learned.reason and "needed" in learned.reason

    @pytest.mark.parametrize(
        ("texts", "near"),
        [
            (('Publish team "blue"', 'Publish team "red"', "Publish team not green"), "Publish team not pink"),
            (
                ("Show more than 5 rows", "Show more than 9 rows", "Show less than 7 rows"),
                "Show less than 8 rows",
            ),
            (
                ("Publish the first page of A-1", "Publish the first page of A-3", "Publish the last page of A-4"),
                "Publish the last page of A-5",
            ),
            (("Publish A-1 and B-1", "Publish A-2 and B-2", "Publish A-3 or B-3"), "Publish A-4 or B-4"),
        ],
    )
    def test_negations_and_comparisons_never_vary(self, opened: Open, texts: Sequence[str], near: str) -> None:
        """A word that turns the meaning round is never a place, even if the agent did the same for both."""
        office = setter()
        cache = opened(office)
        for text in texts:
            words = text.split()
            value: Value = int(words[3]) if words[-1] == "rows" else words[-1]
            cache.observe(set_to(text, value))
        assert not isinstance(cache.lookup(near), Hit) and office.calls == []

    def test_runs_with_errors_are_not_learnt(self, opened: Open) -> None:
        """A failed call is no example, and the run is not remembered either."""
        cache = opened(setter())
        failed = ToolStep(tool="set_value", arguments={"value": "blue"}, error="TimeoutError: gone")
        learned = cache.observe(ran('Publish team "blue"', "Sorry.", failed))
        assert learned.status == "deferred" and "set_value failed with TimeoutError" in learned.reason
        assert cache.observe(teams("red")[0]).status == "rejected", "there is one clean run"
        assert cache.learn_remembered()[0].traces == 1

    @pytest.mark.parametrize("text", ["", "   ", "Publish\x00 it", "x" * 30_000])
    def test_what_is_no_request_teaches_nothing(self, opened: Open, text: str) -> None:
        """It is not remembered, and nothing is raised."""
        cache = opened(setter())
        learned = cache.observe(set_to(text, "x"))
        assert learned.status == "deferred" and learned.reason and cache.learn_remembered() == []

    def test_learning_may_be_off(self, opened: Open) -> None:
        """Then nothing is compiled, whatever is observed."""
        cache = opened(setter(), learning="off")
        assert {cache.observe(trace).reason for trace in teams("blue", "red", "green")} == {"learning is off"}
        assert cache.procedures() == []


class TestWordings:
    """Other words for the same."""

    @staticmethod
    def office() -> Office:
        """Return tools that find events and delete them."""
        office = Office().add("search_events", "query", "read", lambda query: [{"event_id": "e9", "name": "m9"}])
        return office.add("delete_event", "event_id", "write")

    @staticmethod
    def deleted(text: str, who: str, event: str) -> Trace:
        """Return a run that deletes the event with somebody."""
        found = step("search_events", [{"event_id": f"e{len(who)}{who[0]}", "name": event}], query=who)
        return ran(text.format(who), "Deleted.", found, step("delete_event", event_id=f"e{len(who)}{who[0]}"))

    def learnt(self, opened: Open) -> tuple[ReasoningCache, Office]:
        """Learn one wording."""
        office = self.office()
        cache = opened(office)
        people = ("Anna Berg", "Otto Lind", "Ines Ferro")
        traces = [self.deleted("Cancel my meeting with {}", who, f"m{i}") for i, who in enumerate(people)]
        assert observed(cache, traces).status in LEARNT
        return cache, office

    @pytest.mark.parametrize(
        ("text", "event"),
        [
            ("Drop my dentist appointment with {}", "dentist"),
            ("Do not drop my appointment with {}", "m7"),
            ("Drop my last appointment with {}", "m7"),
            ("Drop all appointments with {}", "m7"),
            ("Drop my appointment before the one with {}", "m7"),
        ],
    )
    def test_no_paraphrase_with_words_that_may_matter(self, opened: Open, text: str, event: str) -> None:
        """A word that the data knows, or one that orders or denies, is not politeness."""
        cache, office = self.learnt(opened)
        assert cache.observe(self.deleted(text, "Piet Vos", event)).status == "rejected"
        assert isinstance(cache.lookup(text.format("Olga Roth")), Miss) and office.calls == []
        assert only_procedure(cache).guard.templates == ("Cancel my meeting with {query:person}",)

    def test_a_paraphrase_that_does_something_else_does_not_join(self, opened: Open) -> None:
        """Where the plan does not explain the run, its words are another kind's."""
        cache, _ = self.learnt(opened)
        other = self.deleted("Drop my appointment with {}", "Piet Vos", "m7").model_copy(update={"answer": "Kept."})
        assert cache.observe(other).status == "rejected"
        assert isinstance(cache.lookup("Drop my appointment with Olga Roth"), Miss)


class Told:
    """A compiler that keeps the tasks it is given."""

    name = "told"

    def __init__(self) -> None:
        self.tasks: list[CompileTask] = []

    def compile(self, task: CompileTask, admit: Admit) -> Flow[Compilation]:
        """Keep the task, and give up."""
        yield from work(lambda: self.tasks.append(task))
        return NotCrystallizable("not today", Usage())


UNEXPLAINED = [set_to('Publish team "blue"', "k81"), set_to('Publish team "red"', "q23")]


class TestModels:
    """The model compiler, after the trace compiler has refused."""

    def test_the_finding_reaches_the_compiler(self, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """The task says why no code could be made from the traces."""
        told = Told()
        monkeypatch.setattr(ModelCompiler, "compile", lambda self, task, admit: told.compile(task, admit))
        cache = opened(setter(), model=ScriptedModel(writes("NOT_CRYSTALLIZABLE: no")))
        cache.observe(UNEXPLAINED[0])
        assert "a second one of the kind is needed" in told.tasks[0].finding
        store = MemoryStore()
        cache = opened(setter(), store=store, model=ScriptedModel(writes("NOT_CRYSTALLIZABLE: no")))
        cache.remember(UNEXPLAINED[0])
        cache.observe(UNEXPLAINED[1])
        assert "value of set_value: nothing seen explains" in told.tasks[-1].finding

    def test_the_finding_is_in_the_prompt(self, opened: Open) -> None:
        """The model is told why no code could be made from the traces."""
        model = ScriptedModel(writes("NOT_CRYSTALLIZABLE: no"))
        cache = opened(setter(), model=model)
        cache.remember(UNEXPLAINED[0])
        cache.observe(UNEXPLAINED[1])
        (prompt,) = model.compilations
        assert "nothing seen explains" in prompt[-1].content

    def test_an_economic_model_waits_for_the_price(self, opened: Open) -> None:
        """What the agent's own runs cost is booked, and the model is asked when that has reached the price."""
        model = ScriptedModel(writes("NOT_CRYSTALLIZABLE: no"))
        cache = opened(setter(), model=model, policy=EconomicPolicy(compile_tokens=100))
        asked: list[int] = []
        for team, value in (("blue", "k81"), ("red", "q23"), ("green", "z7"), ("pink", "w5")):
            thought = ModelStep(text="hm", usage=Usage(input_tokens=30, output_tokens=10, calls=1))
            learned = cache.observe(ran(f"Publish team {team}", "Done.", thought, step("set_value", value=value)))
            asked.append(len(model.compilations))
            assert learned.status == ("not crystallizable" if asked == [0, 0, 1] else "rejected")
        assert asked == [0, 0, 1, 1], "after three runs of 40 tokens, and not again while it waits"

    def test_traces_that_agree_need_no_model(self, opened: Open) -> None:
        """An economic cache with a model learns from traces without asking it, as one without a model does."""
        model = ScriptedModel(writes("NOT_CRYSTALLIZABLE: no"))
        for given in (model, None):
            office = setter()
            cache = opened(office, model=given, policy="economic")
            assert observed(cache, teams("blue", "red", "green")).status in LEARNT
            assert isinstance(cache.lookup('Publish team "pink"'), Hit) and len(office.calls) == 1
        assert model.calls == 0 and cache.stats().model_usage.tokens == 0


@pytest.mark.parametrize("colour", ["sync", "async"])
class TestColours:
    """`observe` and `aobserve` do the same."""

    @staticmethod
    def observe(colour: str, cache: ReasoningCache, trace: Trace) -> Learned:
        """Observe in one of the two colours."""
        return cache.observe(trace) if colour == "sync" else asyncio.run(cache.aobserve(trace))

    def test_learning_and_serving(self, opened: Open, colour: str) -> None:
        """One run is refused, the second makes a procedure, which foretells the third and answers."""
        office = setter()
        cache = opened(office)
        statuses = [self.observe(colour, cache, trace).status for trace in teams("blue", "red", "green")]
        assert statuses == ["rejected", "admitted", "deferred"]
        other = "Publish team x1"
        outcome = cache.lookup(other) if colour == "sync" else asyncio.run(cache.alookup(other))
        assert not isinstance(outcome, Hit), "names stood in quotes"
        assert isinstance(cache.lookup('Publish team "pink"'), Hit) and len(office.calls) == 1

    def test_a_model_is_asked_in_the_same_colour(self, opened: Open, colour: str) -> None:
        """What the traces do not explain goes to the model."""
        model = ScriptedModel(writes("NOT_CRYSTALLIZABLE: it needs taste"))
        cache = opened(setter(), model=model)
        learned = self.observe(colour, cache, UNEXPLAINED[0])
        assert learned.status == "not crystallizable" and model.calls == 1

    def test_several_at_once(self, opened: Open, colour: str) -> None:
        """Runs that end at the same time are all learnt from."""
        cache = opened(setter())
        traces = teams("blue", "red", "green", "pink", "teal")

        async def all_of_them() -> list[Learned]:
            return list(await asyncio.gather(*(cache.aobserve(trace) for trace in traces)))

        learned = asyncio.run(all_of_them()) if colour == "async" else [cache.observe(trace) for trace in traces]
        assert all(each.status in (*LEARNT, "rejected", "failed") for each in learned)
        cache.observe(teams("gold")[0])
        assert isinstance(cache.lookup('Publish team "mint"'), Hit)


class TestRemembering:
    """Runs that are kept, and compiled in bulk."""

    def test_across_caches_on_one_folder(self, opened: Open, tmp_path: Path) -> None:
        """Runs that one cache has kept are compiled by the next one, and served by a third."""
        first = opened(setter(), store=tmp_path / "store")
        assert [first.remember(trace) for trace in teams("blue", "red")] == [True, True]
        first.close()
        second = opened(setter(), store=tmp_path / "store")
        assert [second.remember(trace) for trace in teams("red", "green")] == [False, True]
        (kind,) = second.learn_remembered()
        assert kind.traces == 3 and kind.learned.status == "admitted" and kind.example.startswith("Publish team")
        second.close()
        third = opened(setter(), store=tmp_path / "store")
        assert isinstance(third.lookup('Publish team "pink"'), Hit)
        assert third.learn_remembered() == []

    def test_each_kind_is_reported(self, opened: Open) -> None:
        """What was learnt, and what was refused and why, each with its runs."""
        cache = opened(setter())
        runs = [
            *teams("blue", "red", "green"),
            set_to("Lock door 7 of the north wing", "k1"),
            set_to("Lock door 8 of the north wing", "q9"),
            ran("Say something nice", "You look great."),
        ]
        assert all(cache.remember(trace) for trace in runs)
        told: list[tuple[int, int]] = []
        kinds = cache.learn_remembered(progress=lambda done, total: told.append((done, total)))
        assert sum(kind.traces for kind in kinds) == len(runs)
        by_start = {kind.example.split()[0]: kind for kind in kinds}
        assert set(by_start) == {"Publish", "Lock", "Say"}
        assert by_start["Publish"].learned.status == "admitted" and by_start["Publish"].traces == 3
        assert by_start["Lock"].learned.status == "rejected" and by_start["Lock"].traces == 2
        assert "nothing seen explains" in by_start["Lock"].learned.reason
        assert "a second one" in by_start["Say"].learned.reason or "no second" in by_start["Say"].learned.reason
        assert told[-1] == (6, 6) and [done for done, _ in told] == sorted(done for done, _ in told)

    def test_nothing_is_learnt_twice(self, opened: Open) -> None:
        """What is in a procedure is not compiled again; what was refused is tried again with what has come since."""
        cache = opened(setter())
        for trace in (*teams("blue", "red", "green"), set_to("Lock door A-1 of the wing", "A-1")):
            cache.remember(trace)
        assert [kind.learned.status for kind in cache.learn_remembered()].count("admitted") == 1
        cache.remember(set_to("Lock door A-2 of the wing", "A-2"))
        (again,) = cache.learn_remembered()
        assert again.learned.status in ("admitted", "widened") and again.example.startswith("Lock")
        assert cache.learn_remembered() == []

    def test_tenants_remember_apart(self, sandbox: MontySandbox) -> None:
        """The runs of one tenant teach another one nothing."""
        store = MemoryStore()
        hosts = setter().host()
        with (
            ReasoningCache(store, sandbox=sandbox, second_sandbox=None, tools=hosts, tenant="ours") as ours,
            ReasoningCache(store, sandbox=sandbox, second_sandbox=None, tools=hosts, tenant="theirs") as theirs,
        ):
            for trace in teams("blue", "red", "green"):
                ours.remember(trace)
            assert theirs.learn_remembered() == []
            assert theirs.observe(teams("pink")[0]).status == "rejected"
            assert len(ours.learn_remembered()) == 1 and isinstance(theirs.lookup('Publish team "red"'), Miss)
