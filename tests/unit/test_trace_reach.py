"""What few runs are enough for: each was refused where the request, or another explanation, told enough."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from seglam_agents.records.outcome import Hit
from seglam_agents.records.record import Json
from tests.unit.test_trace_laws import Open, opened, step

__all__ = ["opened"]

MAY = datetime(2026, 5, 4, 9)
"""A Monday."""
NAMES = ("Ada", "Ben", "Cleo", "Dora", "Emil", "Finn", "Gus", "Hana", "Ivo", "Jana", "Kurt", "Lena")
CITIES = ("Lyon", "Oslo", "Porto", "Turin", "Graz", "Ghent", "Bern", "Brno", "Kiel", "Faro")


def at(number: int, hour: int = 9) -> datetime:
    """Return the moment of a run, on a working day."""
    return MAY + timedelta(days=number + 2 * (number // 5), hours=hour - 9)


def day(moment: datetime, ahead: int = 0) -> str:
    """Return a day so many days later."""
    return (moment + timedelta(days=ahead)).date().isoformat()


class Turns(dict[str, Json]):
    """Results that are found one after the other."""

    def __init__(self, found: Sequence[Json]) -> None:
        super().__init__()
        self.found = list(found)

    def __getitem__(self, key: str) -> Json:
        return self.found.pop(0)


class TestAskedFor:
    """What a request asks for outright decides, and no other number does."""

    def test_a_limit_of_the_request_decides_though_one_run_alone_went_the_other_way(self, opened: Open) -> None:
        """Whether it is over 10: the wind is compared with what is given."""
        desk = opened(("weather", "read", "city"))
        runs = ((10, 21, 19), (7, 68, 4), (15, 20, 8), (9, 61, -3), (27, 2, 4), (22, 59, 9), (12, 30, 11))
        for city, (limit, wind, degrees) in zip(CITIES, runs, strict=False):
            found: Json = {"wind": wind, "temperature": degrees}
            said = "Yes." if wind > limit else "No."
            desk.saw(f"Is the wind in {city} over {limit}?", said, step("weather", found, city=city))
        assert desk.answer("Is the wind in Faro over 11?", {"wind": 35, "temperature": 30}) == "Yes."
        assert desk.answer("Is the wind in Kiel over 25?", {"wind": 12, "temperature": 5}) in (None, "No.")

    def test_two_results_of_a_tool_are_compared(self, opened: Open) -> None:
        """Who asks whether Ada is older than Ben asks for two ages, and not for one of them."""
        desk = opened(("age_of", "read", "name"))
        ages = {"Ada": 67, "Ben": 69, "Cleo": 23, "Dora": 14, "Emil": 4, "Finn": 83, "Gus": 25, "Hana": 22}
        pairs = (("Ada", "Ben"), ("Cleo", "Dora"), ("Emil", "Finn"), ("Gus", "Hana"), ("Ben", "Cleo"), ("Dora", "Gus"))
        for one, other in (*pairs, ("Hana", "Emil"), ("Emil", "Ada")):
            steps = [step("age_of", ages[name], name=name) for name in (one, other)]
            desk.saw(f"Is {one} older than {other}?", "Yes." if ages[one] > ages[other] else "No.", *steps)
        desk.results = Turns([52, 44])
        outcome = desk.cache.lookup("Is Cleo older than Hana?")
        assert isinstance(outcome, Hit) and outcome.answer == "Yes."


class TestEmptied:
    """Where no row is left there is nothing to say: one run shows it, and no other reason has to be looked for."""

    def test_none_left_is_why_nothing_was_counted(self, opened: Open) -> None:
        """One of six had none over its limit."""
        desk = opened(("contracts", "read", "of"))
        runs = ((260, (394, 39, 358, 362)), (240, (106, 225, 122, 242)), (70, (203, 114, 125)), (180, (394, 39, 190)))
        for name, (limit, values) in zip(NAMES, (*runs, (220, (203, 114, 125)), (100, (90, 150, 180))), strict=False):
            found: Json = [*contracts(values)]
            many = sum(value > limit for value in values)
            said = f"{name} has {many}." if many else f"None for {name}."
            desk.saw(
                f"How many contracts with value over {limit} does {name} have?", said, step("contracts", found, of=name)
            )
        asked = "How many contracts with value over 200 does Kurt have?"
        assert desk.answer(asked, [*contracts((110, 205, 380, 120))]) == "Kurt has 2."
        assert desk.answer(asked, [*contracts((110, 120))]) in (None, "None for Kurt.")


class TestWords:
    """Wordings that say the same with other signs, or with another word for all, are one kind."""

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("Close all tasks of {}", "Close every task of {}"),
            ("Close all tasks of {}", "Close all tasks: {}"),
        ],
    )
    def test_a_wording_shares_what_another_one_showed(self, opened: Open, one: str, other: str) -> None:
        """Neither of the two came often enough alone."""
        desk = opened(("tasks", "read", "owner"))
        for number, name in enumerate(NAMES[:4]):
            found: list[Json] = [{"title": f"t{number}{i}", "hours": 3 + i} for i in range(2 + number % 3)]
            asked = (one if number % 2 else other).replace("Close", "Count")
            desk.saw(asked.format(name), f"{len(found)}.", step("tasks", found, owner=name))
        fresh: Json = [{"title": "t7", "hours": 4}, {"title": "t8", "hours": 5}]
        assert desk.answer(one.replace("Close", "Count").format("Lena"), fresh) == "2."

    def test_a_single_word_that_a_read_finds_something_by_is_no_closed_choice(self, opened: Open) -> None:
        """Names in small letters: the directory knows the address, and the write goes there."""
        desk = opened(("address", "read", "name"), ("ask", "write", "to"))
        for number, name in enumerate(("raj", "luis", "yuki", "amir", "nia")):
            found = f"{name}.{name}son@x.org"
            desk.saw(
                f"Ask {name} to come",
                "Asked.",
                step("address", [found], name=name),
                step("ask", to=found),
                at=at(number),
            )
        desk.now = at(7)
        assert desk.answer("Ask olga to come", ["olga.petrova@x.org"]) == "Asked."
        assert desk.writes == [("ask", {"to": "olga.petrova@x.org"})]
        assert desk.answer("Ask olga tomorrow to come", ["olga.petrova@x.org"]) is None
        assert desk.answer("Ask nobody to come", []) is None and len(desk.writes) == 1


class TestTerms:
    """Terms of days, hours, means and rows."""

    def test_a_day_so_many_days_from_now(self, opened: Open) -> None:
        """An invoice is due two weeks from the day on which it is written, whatever day that is."""
        desk = opened(("invoice", "write", "order due"))
        for number in range(5):
            now = at(number)
            due = day(now, 14)
            asked, said = f"Write the invoice for A-{1100 + number}", f"It is due on {due}."
            desk.saw(asked, said, step("invoice", order=f"A-{1100 + number}", due=due), at=now)
        desk.now = at(12)
        assert desk.answer("Write the invoice for A-1200") == f"It is due on {day(desk.now, 14)}."
        assert desk.writes == [("invoice", {"order": "A-1200", "due": day(desk.now, 14)})]

    @pytest.mark.parametrize(("ahead", "now"), [(365, datetime(2027, 6, 1, 9)), (3, datetime(2026, 6, 4, 9))])
    def test_a_day_may_be_reckoned_in_years_or_in_working_days(self, opened: Open, ahead: int, now: datetime) -> None:
        """A year has 366 days where a leap day is between; three working days from a Thursday on are five days."""
        desk = opened(("remind", "write", "order day"))
        for number, run in enumerate((0, 1, 5, 6, 10)):
            steps = step("remind", order=f"A-{1100 + number}", day=day(at(run), ahead))
            desk.saw(f"Remind me of A-{1100 + number} again", "Noted.", steps, at=at(run))
        desk.now = now
        assert not isinstance(desk.asked("Remind me of A-1200 again"), Hit) and desk.writes == []
        desk.now = at(15)
        assert isinstance(desk.asked("Remind me of A-1200 again"), Hit)

    def test_an_hour_of_the_request_in_another_spelling(self, opened: Open) -> None:
        """What was said as 9 pm is written as 21:00."""
        desk = opened(("ring", "write", "order at"))
        for number, hour in enumerate((9, 7, 10, 8, 6)):
            order = f"A-{1100 + number}"
            desk.saw(
                f"Ring for {order} at {hour} pm",
                "Noted.",
                step("ring", order=order, at=f"{hour + 12}:00"),
                at=at(number),
            )
        desk.now = at(8)
        assert desk.answer("Ring for A-1200 at 5 pm") == "Noted."
        assert desk.writes == [("ring", {"order": "A-1200", "at": "17:00"})]

    def test_tomorrow_at_an_hour(self, opened: Open) -> None:
        """A moment is written to the minute."""
        desk = opened(("book", "write", "order at"))
        for number, hour in enumerate((14, 10, 16, 11, 15)):
            order, moment = f"A-{1100 + number}", f"{day(at(number), 1)}T{hour}:00"
            desk.saw(
                f"Book {order} tomorrow at {hour}:00", "Booked.", step("book", order=order, at=moment), at=at(number)
            )
        desk.now = at(7)
        assert desk.answer("Book A-1200 tomorrow at 13:00") == "Booked."
        assert desk.writes == [("book", {"order": "A-1200", "at": f"{day(desk.now, 1)}T13:00"})]

    def test_how_far_off_a_day_of_a_result_is(self, opened: Open) -> None:
        """The request speaks of no time, and the answer counts the days."""
        desk = opened(("order", "read", "id"))
        for number, ahead in enumerate((4, 7, 3, 9, 5)):
            now = at(number)
            found: Json = {"eta": day(now, ahead)}
            desk.saw(
                f"Will A-{1100 + number} arrive?",
                f"In {ahead} days.",
                step("order", found, id=f"A-{1100 + number}"),
                at=now,
            )
        desk.now = at(7)
        assert desk.answer("Will A-1200 arrive?", {"eta": day(desk.now, 6)}) == "In 6 days."

    def test_a_mean_as_people_say_it(self, opened: Open) -> None:
        """266 and 306.67: whole where it is, and rounded where it is not."""
        desk = opened(("loads", "read", "of"))
        runs = (
            (160, (258, 274, 84, 126)),
            (110, (49, 243)),
            (220, (33, 150, 317)),
            (170, (73, 330)),
            (150, (316, 216, 388)),
        )
        asked = "What is the average load of the machines with load over {} in {}?"
        for city, (limit, loads) in zip(CITIES, runs, strict=False):
            over = [load for load in loads if load > limit]
            mean = round(sum(over) / len(over), 2)
            said = f"The average load is {int(mean) if mean == int(mean) else mean}."
            desk.saw(asked.format(limit, city), said, step("loads", rows(loads), of=city))
        assert desk.answer(asked.format(180, "Faro"), rows((131, 236, 233, 330))) == "The average load is 266.33."

    def test_rows_are_told_one_by_one(self, opened: Open) -> None:
        """Each in the same words, with something between two of them."""
        desk = opened(("bookings", "read", "guest"))
        for number, name in enumerate(NAMES[:5]):
            found = bookings(range(10 * number + 3, 10 * number + 5 + number))
            desk.saw(f"List the bookings of {name}", told(name, found), step("bookings", found, guest=name))
        fresh = bookings((71, 75, 78))
        assert desk.answer("List the bookings of Lena", fresh) == told("Lena", fresh)


class TestHolding:
    """What is held to what was seen, and what is not."""

    def test_the_hour_has_no_say_in_what_is_all_said(self, opened: Open) -> None:
        """All runs were in the morning; nothing that was written was chosen."""
        desk = opened(("move", "write", "ticket sprint"))
        for number in range(5):
            steps = step("move", ticket=f"T-{110 + number}", sprint=3 + number)
            desk.saw(f"Move T-{110 + number} to sprint {3 + number}", "Moved.", steps, at=at(number))
        desk.now = at(8, hour=18)
        assert isinstance(desk.asked("Move T-151 to sprint 5"), Hit)

    def test_the_hour_may_decide_a_word_that_nobody_said(self, opened: Open) -> None:
        """All runs were in the morning, and put it into the "day" queue."""
        desk = opened(("put", "write", "ticket queue"))
        for number in range(5):
            desk.saw(
                f"File T-{110 + number}", "Filed.", step("put", ticket=f"T-{110 + number}", queue="day"), at=at(number)
            )
        desk.now = at(8, hour=20)
        assert not isinstance(desk.asked("File T-151"), Hit) and desk.writes == []

    def test_words_of_time_and_of_the_thing_ask_for_no_limit(self, opened: Open) -> None:
        """The earliest contract is told, whatever the values of the others are."""
        desk = opened(("papers", "read", "of"))
        for number, name in enumerate(NAMES[:6]):
            found = contracts((20 + 31 * number, 140 - 17 * number, 90))
            ends = (9, 2, 5) if number % 2 else (1, 8, 4)
            dated: list[Json] = [{**row, "ends": day(at(number), end)} for row, end in zip(found, ends, strict=True)]
            said = f"The value is {found[number % 2]['value']}."
            desk.saw(
                f"What is the value of {name}'s earliest contract?", said, step("papers", dated, of=name), at=at(number)
            )
        desk.now = at(9)
        fresh: Json = [
            {"id": "N-7", "value": 300, "pages": 4, "ends": day(desk.now, 3)},
            {"id": "N-8", "value": 35, "pages": 3, "ends": day(desk.now, 1)},
        ]
        assert desk.answer("What is the value of Kurt's earliest contract?", fresh) == "The value is 35."

    def test_one_row_is_gone_through_like_several(self, opened: Open) -> None:
        """All teams had several members, and each was written to."""
        desk = opened(("members", "read", "team"), ("write", "write", "to subject"))
        for number, team in enumerate(("design", "sales", "support", "legal")):
            found = members(team, 2 + number % 2)
            sent = [step("write", to=f"{team}{i}@x.org", subject=f"Plan {number}") for i in range(2 + number % 2)]
            said = f"Sent to {team}."
            desk.saw(f'Tell the {team} team "Plan {number}"', said, step("members", found, team=team), *sent)
        assert desk.answer('Tell the sales team "Plan 9"', members("sales", 1)) == "Sent to sales."
        assert desk.writes == [("write", {"to": "sales0@x.org", "subject": "Plan 9"})]

    @pytest.mark.parametrize("flags", [["fraud"], ["vip", "fraud"]])
    def test_a_list_of_texts_holds_what_it_held(self, opened: Open, flags: list[Json]) -> None:
        """The total goes into the write, and the flags may decide whether it may."""
        desk = opened(("order", "read", "id"), ("refund", "write", "id amount"))
        seen: Sequence[list[Json]] = (["vip"], [], ["new"], ["vip", "new"], [], ["vip"])
        for number, each in enumerate(seen):
            steps = step("order", {"total": 20 + number, "flags": each}, id=f"A-{1001 + 7 * number}")
            done = step("refund", id=f"A-{1001 + 7 * number}", amount=20 + number)
            desk.saw(f"Refund order A-{1001 + 7 * number}", "Refunded.", steps, done, at=at(number))
        desk.now = at(7)
        assert not isinstance(desk.asked("Refund order A-1050", {"total": 22, "flags": flags}), Hit)
        assert desk.writes == []

    @pytest.mark.parametrize(
        ("seen", "now"),
        [
            ("{id} up since 2025-04-{n}", "{id} down since 2025-04-{n}"),
            ("[{n}:10] {id} heartbeat", "[{n}:10] {id} timeout"),
        ],
    )
    def test_a_text_that_nothing_looks_at_is_held_to_its_words(self, opened: Open, seen: str, now: str) -> None:
        """The answer says something of its own whatever the text says."""
        desk = opened(("check", "read", "id"))
        for number in range(6):
            server = f"web-{11 + number}"
            found = seen.format(id=server, n=11 + number)
            desk.saw(f"Check server {server}", f"Server {server} is up.", step("check", found, id=server))
        assert desk.answer("Check server web-77", now.format(id="web-77", n=12)) is None
        assert desk.answer("Check server web-77", seen.format(id="web-77", n=12)) == "Server web-77 is up."


class TestSubsets:
    """A superlative, a count or a loop over some of the rows, of which nothing tells by a word."""

    def test_the_cheapest_direct_one_is_not_that_with_the_fewest_stops(self, opened: Open) -> None:
        """A filter by a number that a word stands for is a rival."""
        desk = opened(("flights", "read", "city"))
        runs = (((0, 90),), ((0, 260), (1, 90)), ((0, 80), (0, 120)), ((1, 60), (0, 95)), ((0, 130), (2, 70), (0, 140)))
        for number, (city, found) in enumerate(zip(CITIES, (*runs, ((1, 50), (0, 310))), strict=False)):
            listed = flights(number, found)
            best = min((price, i) for i, (stops, price) in enumerate(found) if stops == 0)
            said = f"F{10 * number + best[1]} for ${best[0]}"
            desk.saw(f"What is the cheapest direct flight to {city}?", said, step("flights", listed, city=city))
        answer = desk.answer("What is the cheapest direct flight to Kiel?", flights(9, ((0, 150), (0, 110), (1, 60))))
        assert answer in (None, "F91 for $110")

    def test_what_is_short_is_short_row_by_row(self, opened: Open) -> None:
        """Fetch what is missing": less there than wanted is a rival of all that fits."""
        desk = opened(("shelf", "read", "shop"), ("fetch", "write", "sku"))
        runs = (((2, 5), (9, 3)), ((8, 1),), ((7, 2), (6, 4)), ((1, 3),), ((3, 6), (9, 8)), ((12, 7), (5, 2)))
        for number, (city, found) in enumerate(zip(CITIES, runs, strict=False)):
            short = [f"K{10 * number + i}" for i, (have, want) in enumerate(found) if have < want]
            done = [step("fetch", sku=sku) for sku in short]
            said = f"{len(short)} fetched." if short else "Nothing is missing."
            desk.saw(f"Fetch what is missing in {city}", said, step("shelf", shelf(number, found), shop=city), *done)
        answer = desk.answer("Fetch what is missing in Kiel", shelf(9, ((6, 8), (9, 3))))
        assert answer != "Nothing is missing." and desk.writes in ([], [("fetch", {"sku": "K90"})])

    def test_one_run_with_equal_ones_does_not_say_which_is_taken(self, opened: Open) -> None:
        """It was the first, and that with fewer days as well."""
        desk = opened(("quotes", "read", "part"))
        runs = (((9, 4), (3, 6)), ((5, 8),), ((8, 2), (6, 4)), ((8, 9), (7, 5)), ((2, 7), (2, 9), (5, 3)))
        for number, (part, found) in enumerate(zip(("cups", "kites", "tapes", "boxes", "rivets"), runs, strict=True)):
            best = min((price, days, i) for i, (price, days) in enumerate(found))
            said = f"S{10 * number + best[2]}, at {best[0]} a piece."
            desk.saw(f"Who sells the cheapest {part}?", said, step("quotes", quotes(number, found), part=part))
        answer = desk.answer("Who sells the cheapest tapes?", quotes(9, ((3, 8), (3, 2), (7, 5))))
        assert answer in (None, "S91, at 3 a piece.")

    def test_what_falls_into_a_week_is_not_what_falls_on_today(self, opened: Open) -> None:
        """One run alone had one that expired, on the very day."""
        desk = opened(("passes", "read", "site"))
        runs = ((-9, 30), (0, 40), (-3,), (20, 25), (-30, 60), (12,))
        for number, (city, found) in enumerate(zip(CITIES, runs, strict=False)):
            now = at(number)
            many = sum(0 <= ahead <= 7 for ahead in found)
            asked = f"How many passes in {city} expire within a week?"
            desk.saw(asked, f"{many}", step("passes", passes(now, found), site=city), at=now)
        desk.now = at(8)
        assert desk.answer("How many passes in Faro expire within a week?", passes(desk.now, (3, 20))) in (None, "1")


def contracts(values: Sequence[int]) -> list[dict[str, Json]]:
    """Return contracts of some values."""
    return [{"id": f"N-{100 + i}", "value": value, "pages": 3 + i} for i, value in enumerate(values)]


def rows(loads: Sequence[int]) -> Json:
    """Return machines with some loads."""
    return [{"machine": f"M{i}", "load": load} for i, load in enumerate(loads)]


def bookings(numbers: Sequence[int]) -> list[Json]:
    """Return bookings with some numbers."""
    return [{"id": f"T{number}", "price": 3 * number, "nights": 1 + number % 3} for number in numbers]


def told(name: str, found: Sequence[Json]) -> str:
    """Return what is said of bookings."""
    said = ", ".join(f"{row['id']} ({row['price']})" for row in found if isinstance(row, dict))
    return f"{name} has these: {said}."


def members(team: str, count: int) -> Json:
    """Return the members of a team."""
    return [{"name": f"{NAMES[i]} Moor", "email": f"{team}{i}@x.org"} for i in range(count)]


def flights(number: int, found: Sequence[tuple[int, int]]) -> Json:
    """Return flights by their stops and prices."""
    return [{"no": f"F{10 * number + i}", "stops": stops, "price": price} for i, (stops, price) in enumerate(found)]


def shelf(number: int, found: Sequence[tuple[int, int]]) -> Json:
    """Return what is on a shelf, and wanted there."""
    return [{"sku": f"K{10 * number + i}", "have": have, "want": want} for i, (have, want) in enumerate(found)]


def quotes(number: int, found: Sequence[tuple[int, int]]) -> Json:
    """Return quotes by price and days."""
    return [{"supplier": f"S{10 * number + i}", "price": price, "days": days} for i, (price, days) in enumerate(found)]


def passes(now: datetime, found: Sequence[int]) -> Json:
    """Return passes that end so many days from now."""
    return [{"id": f"P{i}", "until": day(now, ahead)} for i, ahead in enumerate(found)]
