"""What the runs do not say is not served: each case is a guess that fitted all runs by accident, and was wrong."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from seglam_agents.records.outcome import Hit
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.trace import Trace
from tests.unit.test_trace_laws import Desk, Open, opened, step

__all__ = ["opened"]

MAY = datetime(2026, 5, 4, 9)


class TestAccidents:
    """A reason that some run or other would fit anyway is none."""

    def test_what_runs_refute_serves_no_more_though_it_said_nothing_of_them(self, opened: Open) -> None:
        """The age decides, and the priority seemed to: where a run shows that it does not, nothing is escalated."""
        desk = opened(("ticket", "read", "id"), ("escalate", "write", "id"), ("comment", "write", "id"))
        runs = [
            *(("T-119", 0, "medium"), ("T-124", 7, "high"), ("T-137", 10, "low"), ("T-120", 1, "medium")),
            *(("T-100", 9, "high"), ("T-101", 8, "low"), ("T-102", 10, "high"), ("T-103", 9, "low")),
        ]
        for number, (ticket, age, priority) in enumerate(runs):
            late(desk, ticket, age, priority, MAY + timedelta(days=number))
        assert "active" in {entry.status for entry in desk.cache.procedures()}
        late(desk, "T-126", 6, "medium", MAY + timedelta(days=9))
        late(desk, "T-127", 2, "medium", MAY + timedelta(days=10))
        fresh: Json = {"created": "2026-05-19", "priority": "low"}
        assert not isinstance(desk.asked("Escalate T-202 if it waits", fresh), Hit) and desk.writes == []

    def test_one_run_alone_decides_nothing_that_is_written(self, opened: Open) -> None:
        """One ticket of four was left alone, and some word of it differs from the others' in any case."""
        desk = opened(("ticket", "read", "id"), ("escalate", "write", "id"), ("comment", "write", "id"))
        runs = (("T-119", 0, "medium"), ("T-124", 7, "high"), ("T-137", 10, "low"), ("T-100", 9, "high"))
        for number, run in enumerate((*runs, ("T-101", 8, "low"))):
            late(desk, *run, MAY + timedelta(days=number))
        outcome = desk.asked("Escalate T-201 if it waits", {"created": "2026-05-19", "priority": "low"})
        assert not isinstance(outcome, Hit) and desk.writes == []

    def test_what_is_to_be_done_on_a_condition_needs_a_run_where_it_was_not(self, opened: Open) -> None:
        """All tickets had waited long enough: nothing says which had not."""
        desk = opened(("ticket", "read", "id"), ("escalate", "write", "id"), ("comment", "write", "id"))
        for number, run in enumerate((("T-124", 7), ("T-137", 10), ("T-100", 9), ("T-101", 8), ("T-102", 12))):
            late(desk, *run, "high", MAY + timedelta(days=number))
        outcome = desk.asked("Escalate T-201 if it waits", {"created": "2026-05-19", "priority": "high"})
        assert not isinstance(outcome, Hit) and desk.writes == []

    def test_a_limit_that_nobody_names_needs_rows_enough(self, opened: Open) -> None:
        """Open and due before today makes an invoice overdue; some amount always tells the same few apart."""
        desk = opened(("invoices", "read", "of"))
        rows: list[list[tuple[str, float, int]]] = [
            [("open", 780.68, -25)],
            [("paid", 14.22, 9), ("void", 27.84, -17)],
            [],
            [("open", 248.72, 38), ("open", 520.76, 35), ("open", 609.82, 22), ("open", 104.42, 41)],
            [("void", 867.16, 3), ("open", 716.14, 7), ("open", 225.31, -1)],
            [("paid", 876.43, 21), ("open", 823.53, -27), ("open", 300.4, -17)],
        ]
        for number, found in enumerate(rows):
            listed: Json = [invoice(number, 10 * number + i, row) for i, row in enumerate(found)]
            overdue = sum(status == "open" and due < 0 for status, _, due in found)
            asked = f"How many invoices of {'UVWXYZ'[number]}ero are overdue?"
            desk.saw(asked, f"{overdue}", step("invoices", listed, of=f"{'UVWXYZ'[number]}ero"), at=at(number))
        late_one: Json = [invoice(0, 94, ("open", 372.45, -10))]
        assert desk.answer("How many invoices of Kara are overdue?", late_one) != "0"

    def test_a_filter_that_never_kept_a_row_counts_nothing(self, opened: Open) -> None:
        """Nothing was overdue in any run: that it is 0 again is no count."""
        desk = opened(("invoices", "read", "of"))
        runs: list[list[tuple[str, float, int]]] = [
            [("void", 96.44, -23), ("open", 790.75, 23)],
            [
                ("open", 275.83, 13),
                ("void", 349.1, -35),
                ("open", 167.57, 15),
                ("paid", 523.21, 31),
                ("open", 507.0, 1),
            ],
            [("void", 594.79, 4)],
            [("open", 594.79, 4), ("void", 300.5, -11)],
        ]
        for number, rows in enumerate(runs):
            name, listed = f"{'WXYZ'[number]}ero", [invoice(number, 10 * number + i, r) for i, r in enumerate(rows)]
            desk.saw(f"How many invoices of {name} are overdue?", "0", step("invoices", listed, of=name), at=at(number))
        overdue: Json = [invoice(0, 90 + i, r) for i, r in enumerate([("void", 351.31, 31), ("open", 239.71, -16)])]
        assert desk.answer("How many invoices of Kara are overdue?", overdue) != "0"

    def test_what_an_id_is_decides_nothing(self, opened: Open) -> None:
        """Two entries of one address are duplicates; those with small ids were, by accident."""
        desk = opened(("entries", "read", "name"), ("delete", "write", "id"))
        runs: list[tuple[str, list[tuple[int, str]], list[int]]] = [
            *(("Ada", [(31, "a"), (40, "b")], []), ("Ben", [(12, "a"), (24, "a")], [24])),
            *(("Cleo", [(11, "b"), (67, "b")], [67]), ("Dora", [(35, "b"), (62, "a")], [])),
            *(("Emil", [(44, "a")], []), ("Finn", [(51, "b")], []), ("Gus", [(30, "a"), (77, "b")], [])),
        ]
        for name, rows, gone in runs:
            listed: Json = [{"id": number, "email": mail} for number, mail in rows]
            steps = [step("entries", listed, name=name), *(step("delete", id=number) for number in gone)]
            desk.saw(f"Delete the duplicate entries of {name}", f"{len(gone)} deleted.", *steps)
        twice: Json = [{"id": 33, "email": "a"}, {"id": 36, "email": "a"}]
        assert not isinstance(desk.asked("Delete the duplicate entries of Olga", twice), Hit)

    def test_the_year_of_the_runs_is_no_constant(self, opened: Open) -> None:
        """2026 less the year of birth is an age in 2026."""
        desk = opened(("contact", "read", "name"))
        for number, (name, born) in enumerate(
            (("Ada", 1953), ("Ben", 1979), ("Cleo", 1972), ("Dora", 2002), ("Emil", 1986))
        ):
            found: Json = {"born": f"{born}-01-2{number}", "city": "Graz"}
            desk.saw(
                f"How old is {name}?", f"{name} is {2026 - born}.", step("contact", found, name=name), at=at(number)
            )
        desk.now = datetime(2031, 6, 1, 9)
        assert desk.answer("How old is Finn?", {"born": "1950-01-20", "city": "Graz"}) != "Finn is 76."

    def test_a_number_that_never_varied_is_held_to_what_it_was(self, opened: Open) -> None:
        """Three were held back in every room: whether five change how many may come, no run tells."""
        desk = opened(("room", "read", "name"))
        for number, name in enumerate(("Ada", "Ben", "Cleo", "Dora", "Emil", "Finn")):
            found: Json = {"seats": 40 + 7 * number, "taken": 11 + number * number, "held": 3}
            free = 29 + 7 * number - number * number
            desk.saw(f"How many guests may come to {name}?", f"{free} can come.", step("room", found, name=name))
        assert desk.answer("How many guests may come to Gus?", {"seats": 50, "taken": 20, "held": 3}) == "30 can come."
        assert desk.answer("How many guests may come to Gus?", {"seats": 50, "taken": 20, "held": 5}) is None

    def test_a_day_is_not_pieced_together(self, opened: Open) -> None:
        """The day after the 9th is no "2026-04-1" with a nought behind it, nor a month with a number."""
        desk = opened(("meeting", "read", "who"), ("move", "write", "id date"))
        desk.now = datetime(2026, 9, 5, 9)
        for number, (who, day_) in enumerate(
            (("Ben", 9), ("Emil", 17), ("Lena", 20), ("Bruno", 21), ("Finn", 22), ("Vera", 24))
        ):
            found: Json = {"id": f"m{300 + 17 * number}", "date": f"2026-04-{day_:02}"}
            steps = (
                step("meeting", found, who=who),
                step("move", id=f"m{300 + 17 * number}", date=f"2026-04-{day_ + 1:02}"),
            )
            desk.saw(
                f"Move my meeting with {who} to the next free day", "Moved.", *steps, at=datetime(2026, 4, day_ - 2, 9)
            )
        desk.asked("Move my meeting with Tara to the next free day", {"id": "m999", "date": "2026-09-08"})
        assert desk.writes in ([], [("move", {"id": "m999", "date": "2026-09-09"})])

    def test_numbers_of_the_calendar_are_compared_with_their_like(self, opened: Open) -> None:
        """Open now is what the hours say, and nothing that the day of the month and the number of the month do."""
        desk = opened(("shop", "read", "city"))
        runs = (
            *(("Izmir", "11:00", "19:00", "2025-11-25T16:05"), ("Ghent", "09:00", "16:00", "2025-12-02T16:36")),
            *(("Kiel", "10:00", "15:00", "2025-12-09T18:07"), ("Graz", "07:00", "20:00", "2025-12-10T19:38")),
            *(("Jena", "09:00", "16:00", "2025-12-17T09:38"), ("Izmir", "11:00", "19:00", "2025-12-17T12:38")),
        )
        for city, opens, closes, when in (*runs, ("Essen", "07:00", "15:00", "2025-12-17T14:38")):
            open_ = opens <= when[11:] < closes
            said = f"Yes, until {closes}." if open_ else f"No, it opens at {opens}."
            found: Json = {"opens": opens, "closes": closes}
            desk.saw(
                f"Is the shop in {city} open now?",
                said,
                step("shop", found, city=city),
                at=datetime.fromisoformat(when),
            )
        desk.now = datetime(2026, 2, 9, 17, 40)
        assert desk.answer("Is the shop in Brno open now?", {"opens": "09:00", "closes": "17:00"}) is None
        assert (
            desk.answer("Is the shop in Lille open now?", {"opens": "09:00", "closes": "18:00"}) == "Yes, until 18:00."
        )

    @pytest.mark.parametrize(
        "tail", [" yesterday", " on Monday", " since May", " instead of Kiel", " as of Friday", " outside"]
    )
    def test_a_place_for_words_takes_no_clause(self, opened: Open, tail: str) -> None:
        """All that was seen there was one name each: another name is one, a clause behind it is none."""
        desk = opened(("stock", "read", "shop"))
        states = ("low ok", "ok", "low low ok", "ok low", "low ok ok", "low low low", "ok ok low low", "low")
        for shop, found in zip(
            ("Graz", "Faro", "Lyon", "Split", "Bern", "Porto", "Lille", "Kiel"), states, strict=True
        ):
            rows: Json = [{"item": f"i{number}", "state": state} for number, state in enumerate(found.split())]
            said = f"{found.split().count('low')}"
            desk.saw(f"How many items are running low in {shop}?", said, step("stock", rows, shop=shop))
        listed: Json = [{"item": "i0", "state": "low"}, {"item": "i1", "state": "ok"}]
        assert desk.answer("How many items are running low in Brno?", listed) == "1"
        assert desk.answer(f"How many items are running low in Brno{tail}?", listed) is None

    def test_a_verdict_that_was_always_the_same_may_hang_on_the_time(self, opened: Open) -> None:
        """All shops were open whenever somebody asked: when they are not, no run shows."""
        desk = opened(("shop", "read", "city"))
        runs = (("Cadiz", "20:00"), ("Brno", "17:00"), ("Lyon", "20:00"), ("Kiel", "18:00"))
        for number, (city, closes) in enumerate(runs):
            found: Json = {"opens": "08:00", "closes": closes}
            said = f"Yes, until {closes}."
            desk.saw(f"Is the shop in {city} open now?", said, step("shop", found, city=city), at=at(number))
        desk.now = datetime(2026, 6, 1, 21)
        assert desk.answer("Is the shop in Derby open now?", {"opens": "08:00", "closes": "18:00"}) is None

    def test_a_text_that_never_varied_is_held_to_what_it_was(self, opened: Open) -> None:
        """All were on plan P2, which is called Pro: P3 is not."""
        desk = opened(("account", "read", "user"))
        for number, name in enumerate(("Ada", "Ben", "Cleo", "Dora", "Emil")):
            found: Json = {"plan": "P2", "seats": 20 + 7 * number}
            said = f"{name} is on the Pro plan with {20 + 7 * number} seats."
            desk.saw(f"What plan is {name} on?", said, step("account", found, user=name))
        answer = desk.answer("What plan is Finn on?", {"plan": "P2", "seats": 33})
        assert answer == "Finn is on the Pro plan with 33 seats."
        assert desk.answer("What plan is Gus on?", {"plan": "P3", "seats": 33}) is None

    def test_how_long_ago_it_was_may_decide(self, opened: Open) -> None:
        """Refunds end after thirty days; that month numbers tell the runs apart, too, is an accident."""
        desk = opened(("order", "read", "id"), ("refund", "write", "id"))
        early, over = ((10, 23), (6, 49), (16, 22), (18, 7)), ((47, 26), (72, 30), (52, 15))
        for number, (age, order) in enumerate((*early[:2], *over[:1], *early[2:3], *over[1:], *early[3:])):
            found: Json = {"date": day(number - age)}
            steps = [step("order", found, id=f"A-10{order:02}")]
            steps += [step("refund", id=f"A-10{order:02}")] if age <= 30 else []
            said = "It was refunded." if age <= 30 else "The thirty days are over."
            desk.saw(f"Refund order A-10{order:02}", said, *steps, at=at(number))
        desk.now = MAY + timedelta(days=30)
        assert desk.answer("Refund order A-1008", {"date": day(20)}) != "The thirty days are over."
        assert desk.answer("Refund order A-1009", {"date": day(-40)}) in (None, "The thirty days are over.")
        assert desk.writes in ([], [("refund", {"id": "A-1008"})])


class TestWrites:
    """What is written keeps to the sides on which it always was, and says what was meant."""

    def test_a_limit_that_never_applied(self, opened: Open) -> None:
        """Ten more, but at most what the band allows: where it would be beyond that, nobody knows."""
        desk = opened(("band", "read", "name"), ("raise_pay", "write", "name amount"))
        for name, pay, most in (
            ("Ada", 300, 420),
            ("Ben", 450, 560),
            ("Cleo", 380, 500),
            ("Dora", 410, 490),
            ("Emil", 360, 440),
        ):
            steps = (step("band", {"pay": pay, "most": most}, name=name), step("raise_pay", name=name, amount=pay + 10))
            desk.saw(f"Raise the pay of {name}", f"{name} gets {pay + 10} now.", *steps)
        assert isinstance(desk.asked("Raise the pay of Finn", {"pay": 400, "most": 480}), Hit)
        assert not isinstance(desk.asked("Raise the pay of Gus", {"pay": 415, "most": 420}), Hit)
        assert desk.writes == [("raise_pay", {"name": "Finn", "amount": 410})]

    def test_cents_are_written_without_binary_noise(self, opened: Open) -> None:
        """15.99 and 2 are 17.99, as in all runs, whose sums happened to come out even."""
        desk = opened(("price", "read", "item"), ("set_price", "write", "item price"))
        for item, price, more in (
            ("kites", 20.99, 5),
            ("folders", 39.99, 1),
            ("rivets", 34.99, 1),
            ("labels", 38.99, 1),
            ("bowls", 6.99, 2),
            ("bolts", 7.99, 5),
        ):
            steps = (step("price", {"price": price}, item=item), step("set_price", item=item, price=price + more))
            desk.saw(f"Raise the price of the {item} by ${more}", "Done.", *steps)
        desk.asked("Raise the price of the bolts by $2", {"price": 15.99})
        assert desk.writes == [("set_price", {"item": "bolts", "price": 17.99})]

    @pytest.mark.parametrize(
        ("seen", "other"),
        [
            ("S10 S20 S10 S20 S10 S20", "S90"),
            ("$20.00 $12.50 $22.00 $17.25 $14.00 $19.00", "$9,000.00"),
            ("$20.00 $12.50 $22.00 $17.25 $14.00 $19.00", "-$10.00"),
            ("$20.00 $12.50 $22.00 $17.25 $14.00 $19.00", "€17.00"),
            ("10% 15% 20% 12% 11% 18%", "90%"),
            ("new paid packed open ready held", "cancelled"),
        ],
    )
    def test_a_text_that_says_how_much_or_in_which_state(self, opened: Open, seen: str, other: str) -> None:
        """What no order had is not what was acted on: another state, another size, another sign, another currency."""
        desk = opened(("order", "read", "id"), ("ship", "write", "id"))
        for number, said in enumerate(seen.split()):
            found: Json = {"about": said, "item": f"item-{number}"}
            steps = (step("order", found, id=f"A-10{number}"), step("ship", id=f"A-10{number}"))
            desk.saw(f"Ship order A-10{number}", "It is shipped.", *steps, at=at(0))
        assert not isinstance(desk.asked("Ship order A-201", {"about": other, "item": "item-9"}), Hit)
        assert isinstance(desk.asked("Ship order A-202", {"about": seen.split()[0], "item": "item-9"}), Hit)

    def test_an_exit_code_is_no_id(self, opened: Open) -> None:
        """What came again and again says how it went, whatever its key is called."""
        desk = opened(("build", "read", "name"), ("publish", "write", "name"))
        for name in ("Ada", "Ben", "Cleo", "Dora", "Emil"):
            steps = (step("build", {"exit_code": 0}, name=name), step("publish", name=name))
            desk.saw(f"Publish the build of {name}", "Published.", *steps)
        assert not isinstance(desk.asked("Publish the build of Ben", {"exit_code": 137}), Hit)
        assert isinstance(desk.asked("Publish the build of Ada", {"exit_code": 0}), Hit)

    @pytest.mark.parametrize(
        ("before", "now"), [({"role": "admin"}, {"role": "guest"}), ({"dry": False}, {"dry": True})]
    )
    def test_who_asks_is_held_to_who_asked(self, opened: Open, before: dict[str, Json], now: dict[str, Json]) -> None:
        """What belongs to a request and is in no text of it decides, though no run shows how."""
        desk = opened(("order", "read", "id"), ("cancel", "write", "id"))
        for number in range(5):
            steps = (step("order", {"total": 20 + number}, id=f"A-10{number}"), step("cancel", id=f"A-10{number}"))
            request = Request(text=f"Cancel order A-10{number}", context=before)
            desk.cache.observe(Trace(request=request, steps=steps, answer="Cancelled.", recorded_at=at(0)))
        desk.results[""] = {"total": 22}
        assert not isinstance(desk.cache.lookup("Cancel order A-201", context=now), Hit)
        assert isinstance(desk.cache.lookup("Cancel order A-202", context=before), Hit)

    @pytest.mark.parametrize("said", ["Order A-201 not found.", "Timeout", "Internal server error", "null"])
    def test_a_text_that_says_that_it_failed(self, opened: Open, said: str) -> None:
        """Each order was told of in one sentence: another sentence is not that it is there."""
        desk = opened(("order", "read", "id"), ("refund", "write", "id"))
        for number in range(6):
            found = f"Order A-10{number}: active and paid, total ${20 + number}"
            steps = (step("order", found, id=f"A-10{number}"), step("refund", id=f"A-10{number}"))
            desk.saw(f"Refund order A-10{number}", f"Order A-10{number} is refunded.", *steps)
        assert not isinstance(desk.asked("Refund order A-201", said), Hit) and desk.writes == []

    def test_what_lies_far_further_back_is_another_thing(self, opened: Open) -> None:
        """All were bought in the last days: that somebody refunds what was bought years ago, no run shows."""
        desk = opened(("order", "read", "id"), ("refund", "write", "id"))
        for number, age in enumerate((1, 3, 2, 4, 1, 2)):
            steps = (step("order", {"bought": day(-age)}, id=f"A-10{number}"), step("refund", id=f"A-10{number}"))
            desk.saw(f"Refund order A-10{number}", "It is refunded.", *steps, at=at(0))
        desk.now = at(1)
        assert isinstance(desk.asked("Refund order A-201", {"bought": day(-4)}), Hit)
        assert not isinstance(desk.asked("Refund order A-202", {"bought": day(-400)}), Hit)

    def test_fractions_stay_fractions(self, opened: Open) -> None:
        """Who wrote 216.0 does not write 216."""
        desk = opened(("guests", "read", "trip"), ("charge", "write", "trip each"))
        for trip, total, many in (
            ("Cadiz", 432, 5),
            ("Ghent", 276, 2),
            ("Lille", 120, 8),
            ("Brno", 183, 4),
            ("Lyon", 96, 5),
        ):
            steps = (step("guests", {"many": many}, trip=trip), step("charge", trip=trip, each=total / many))
            desk.saw(f"Split {total} coins among the guests of {trip}", "Done.", *steps)
        desk.asked("Split 216 coins among the guests of Lyon", {"many": 4})
        assert [(type(written["each"]), written["each"]) for _, written in desk.writes] == [(float, 54.0)]

    def test_what_was_done_in_the_day_is_not_done_at_night(self, opened: Open) -> None:
        """All locks went to the queue of the day, and were asked for by day."""
        desk = opened(("account", "read", "name"), ("lock", "write", "id queue"))
        for number, name in enumerate(("Ada", "Ben", "Cleo", "Dora", "Emil")):
            steps = (
                step("account", {"id": f"ac{number + 17}"}, name=name),
                step("lock", id=f"ac{number + 17}", queue="day"),
            )
            desk.saw(f"Lock the account of {name}", "Locked.", *steps, at=at(number))
        assert isinstance(desk.asked("Lock the account of Finn", {"id": "ac99"}), Hit)
        desk.now = desk.now.replace(hour=23)
        assert not isinstance(desk.asked("Lock the account of Gus", {"id": "ac98"}), Hit)

    def test_why_something_was_refused_is_held_to_what_it_was(self, opened: Open) -> None:
        """Shipped and delivered orders cannot be cancelled; that a pending one cannot, no run says."""
        desk = opened(("order", "read", "id"), ("cancel", "write", "id"))
        for order, status in (
            ("A-1001", "shipped"),
            ("A-1077", "delivered"),
            ("A-1033", "delivered"),
            ("A-1034", "shipped"),
        ):
            said = f"Order {order} can no longer be cancelled: it is {status}."
            desk.saw(f"Cancel order {order}", said, step("order", {"status": status, "total": 20}, id=order))
        assert isinstance(desk.asked("Cancel order A-1049", {"status": "shipped", "total": 20}), Hit)
        assert not isinstance(desk.asked("Cancel order A-1050", {"status": "pending", "total": 20}), Hit)

    @pytest.mark.parametrize("tail", [" tomorrow", " on Monday", " temporarily", " by Friday", " instead of Ben"])
    def test_a_read_that_repeats_its_question_confirms_no_clause(self, opened: Open, tail: str) -> None:
        """An account is closed for whom it is said, and not for "Faro tomorrow", though the search says that again."""
        desk = opened(("find", "read", "query"), ("close", "write", "id"))
        for number, name in enumerate(("Graz", "Porto", "Lyon", "Split", "Kiel")):
            steps = (
                step("find", {"query": name, "id": f"S{number + 17}"}, query=name),
                step("close", id=f"S{number + 17}"),
            )
            desk.saw(f"Close the account for {name}", "Closed.", *steps)
        desk.asked(f"Close the account for Faro{tail}", {"query": f"Faro{tail}", "id": "S99"})
        assert desk.writes == []
        assert isinstance(desk.asked("Close the account for Faro", {"query": "Faro", "id": "S99"}), Hit)

    def test_what_never_came_together(self, opened: Open) -> None:
        """Guests were given "read", and staff "write": "write" for a guest is another thing."""
        desk = opened(("user", "read", "name"), ("grant", "write", "user right"))
        runs = (
            ("Ada", "read", "guest"),
            ("Ben", "write", "staff"),
            ("Cleo", "read", "staff"),
            ("Dora", "write", "staff"),
        )
        for number, (name, right, role) in enumerate((*runs, ("Emil", "read", "guest"), ("Finn", "write", "staff"))):
            found: Json = {"id": f"u{20 + 7 * number}", "role": role}
            steps = (step("user", found, name=name), step("grant", user=f"u{20 + 7 * number}", right=right))
            desk.saw(f"Give {name} {right} access", f"{name} may {right}.", *steps)
        assert not isinstance(desk.asked("Give Olga write access", {"id": "u99", "role": "guest"}), Hit)
        assert isinstance(desk.asked("Give Olga read access", {"id": "u99", "role": "guest"}), Hit)
        assert desk.writes == [("grant", {"user": "u99", "right": "read"})]


class TestClaims:
    """What is said is compared by all of its facts: which, and how often."""

    @pytest.mark.parametrize("words", [("Pro", "Enterprise"), ("Anna", "Bert"), ("Spain", "France")])
    def test_a_name_that_nothing_gave_is_no_phrasing(self, opened: Open, words: tuple[str, str]) -> None:
        """That somebody is on the Pro plan is not said by "on the Enterprise plan" in other words."""
        desk = opened(("account", "read", "user"))
        for number, (name, which) in enumerate(
            zip(("Ada", "Ben", "Cleo", "Dora", "Emil", "Finn"), (1, 0, 0, 0, 1, 0), strict=True)
        ):
            found: Json = {"plan": f"P{which}", "seats": 10 + 3 * number}
            said = f"{name} is on the {words[which]} plan with {10 + 3 * number} seats."
            desk.saw(f"What plan is {name} on?", said, step("account", found, user=name))
        answer = desk.answer("What plan is Gus on?", {"plan": "P1", "seats": 22})
        assert answer in (None, f"Gus is on the {words[1]} plan with 22 seats.")

    def test_one_name_is_not_said_twice(self, opened: Open) -> None:
        """Ben and Paul earn the most, or Rosa does: "Rosa and Rosa" is no other phrasing of that."""
        desk = opened(("staff", "read", "of"))
        runs = (
            ("Legal", "Ben Paul"),
            ("Sales", "Rosa"),
            ("Research", "Ada Emil"),
            ("Design", "Kurt"),
            ("Support", "Gus Olga"),
        )
        for number, (department, best) in enumerate(runs):
            people = [(name, 70 + number) for name in best.split()]
            listed: Json = [{"name": name, "pay": pay} for name, pay in [*people, ("Zoe", 30), ("Yuri", 31)]]
            said = " and ".join(best.split())
            desk.saw(f"Who earns the most in {department}?", said, step("staff", listed, of=department))
        alone: Json = [{"name": "Hana", "pay": 71}, {"name": "Zoe", "pay": 30}]
        assert desk.answer("Who earns the most in Finance?", alone) in (None, "Hana")

    def test_grouped_money_is_learnt(self, opened: Open) -> None:
        """An amount that is written with a comma stops no learning."""
        desk = opened(("invoices", "read", "of"))
        for name, amounts in (
            ("Acme", (800.5, 750.67)),
            ("Stark", (500.0, 693.2)),
            ("Hooli", (1000.5, 20.25)),
            ("Wayne", (1.5, 1999.5)),
        ):
            listed: Json = [{"amount": amount} for amount in amounts]
            said = f"{name} owes ${sum(amounts):,.2f}."
            assert desk.saw(f"What does {name} owe?", said, step("invoices", listed, of=name)) != "failed"
        assert desk.answer("What does Umbra owe?", [{"amount": 1100.25}, {"amount": 9.5}]) == "Umbra owes $1,109.75."


class TestWordings:
    """A wording goes only the ways that runs in its own words went."""

    def test_two_wishes_that_were_once_refused_alike(self, opened: Open) -> None:
        """Whoever is in the house cannot cancel: what happens to the others is not what another request is told."""
        desk = opened(("booking", "read", "code"), ("cancel", "write", "code"))
        open_, owe, cancel = (
            "what is open on {}",
            "How much does {} still owe?",
            "Can you cancel reservation {} for me?",
        )
        for text, code, guest, room, nights, rate, status, paid in (
            (open_, "BK-2075", "Weber", 319, 5, 150, "confirmed", 80),
            (open_, "BK-2250", "Costa", 356, 8, 80, "cancelled", 120),
            (owe, "BK-2925", "Lindqvist", 267, 1, 95, "confirmed", 20),
            (cancel, "BK-1838", "Tanaka", 273, 7, 120, "checked_in", 120),
            (cancel, "BK-1365", "Lindqvist", 200, 4, 95, "checked_in", 80),
            (cancel, "BK-1095", "Haddad", 239, 3, 80, "checked_in", 0),
        ):
            said = f"{code} owes ${nights * rate - paid}." if text != cancel else f"NO: can't, {code} is in the house"
            found = booking(code, guest, room, nights, rate, status, paid)
            desk.saw(text.format(code), said, step("booking", found, code=code))
        other = booking("BK-1949", "Lindqvist", 300, 5, 120, "confirmed", 0)
        assert desk.answer(cancel.format("BK-1949"), other) is None


def booking(code: str, guest: str, room: int, nights: int, rate: int, status: str, paid: int) -> Json:
    """Return a record of a hotel."""
    keys = ("code", "guest", "room", "nights", "rate", "status", "paid")
    return dict(zip(keys, (code, guest, room, nights, rate, status, paid), strict=True))


def invoice(today: int, number: int, row: tuple[str, float, int]) -> Json:
    """Return an invoice: its status, its amount, and in how many days it is due."""
    status, amount, due = row
    return {"id": f"INV-{500 + number}", "status": status, "amount": amount, "due": day(today + due)}


def late(desk: Desk, ticket: str, age: int, priority: str, now: datetime) -> None:
    """Observe a run that escalates a ticket of more than five days, and comments another one."""
    found: Json = {"created": (now - timedelta(days=age)).date().isoformat(), "priority": priority}
    done, said = ("escalate", "It is escalated.") if age > 5 else ("comment", "It can wait.")
    steps = (step("ticket", found, id=ticket), step(done, id=ticket))
    desk.saw(f"Escalate {ticket} if it waits", said, *steps, at=now)


def at(number: int) -> datetime:
    """Return the moment of a run."""
    return MAY + timedelta(days=number)


def day(number: int) -> str:
    """Return a day so many days from the first run."""
    return (MAY + timedelta(days=number)).date().isoformat()
