"""Families that look at the clock: today, months, quarters, years, weekdays; in arguments, subjects, SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

from seglam_agents.records.record import Json
from seglam_agents.testing.planted import places
from seglam_agents.testing.planted.agent import Desk, PlantedAgent, Said, Values
from seglam_agents.testing.planted.workshop import Workshop
from seglam_agents.testing.planted.world import text

Reckon = Callable[[date], str]


def _last_month(today: date) -> str:
    return (today.replace(day=1) - timedelta(days=1)).isoformat()[:7]


def _quarter(today: date) -> str:
    return f"{today.year}-Q{(today.month + 2) // 3}"


def _last_quarter(today: date) -> str:
    return _quarter(today.replace(month=3 * ((today.month - 1) // 3) + 1, day=1) - timedelta(days=1))


PERIODS: Mapping[str, tuple[str, Reckon]] = {
    "this month": ("last month", lambda today: today.isoformat()[:7]),
    "last month": ("next month", _last_month),
    "this quarter": ("last quarter", _quarter),
    "last quarter": ("this quarter", _last_quarter),
    "this year": ("last year", lambda today: str(today.year)),
    "last year": ("this year", lambda today: str(today.year - 1)),
}
_DAYS: Mapping[str, tuple[str, int]] = {
    "today": ("yesterday", 0),
    "tomorrow": ("today", 1),
    "yesterday": ("tomorrow", -1),
}
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def period_argument(shop: Workshop) -> PlantedAgent:
    """Build agents that read a report of a period that the clock says."""
    spoken = shop.pick(*PERIODS)
    other, reckon = PERIODS[spoken]

    def policy(desk: Desk, values: Values) -> Said:
        report = desk.row("report", period=reckon(desk.now.date()))
        return Said.of(f"The total is {report['total']}.", f"{report['total']} in {report['period']}.")

    return shop.questions(
        "period as an argument",
        (f"What did we sell {spoken}?", f"Give me the total of {spoken}", f"Total for {spoken}?"),
        {},
        policy,
        near=(f"What did we sell {other}?", f"What will we sell after {spoken}?", f"Who sold most {spoken}?"),
    )


def period_subject(shop: Workshop) -> PlantedAgent:
    """Build agents that put a period of the clock into the subject of a message."""
    spoken = shop.pick(*PERIODS)
    other, reckon = PERIODS[spoken]

    def policy(desk: Desk, values: Values) -> Said:
        found = desk.do("person", name=values["name"])
        row = found[0] if isinstance(found, list) else found
        to = row["email"] if isinstance(row, dict) else ""
        period = reckon(desk.now.date())
        desk.do("message", to=to, subject=f"Report {period}", body="Attached.")
        return Said.of(f"Sent the report for {period}.", "Sent.")

    return shop.commands(
        "period in a subject",
        (f"send {{name}} the report for {spoken}", f"mail the report of {spoken} to {{name}}"),
        {"name": places.owner},
        policy,
        near=(f"send {{name}} the report for {other}", f"ask {{name}} for the report for {spoken}"),
    ) if not shop.theme.owned_by_places else period_argument(shop)  # fmt: skip


def period_sql(shop: Workshop) -> PlantedAgent:
    """Build agents that put a period of the clock into a statement."""
    spoken = shop.pick("this month", "last month", "this year", "last year")
    other, reckon = PERIODS[spoken]
    counted = shop.pick("COUNT(*)", f"COALESCE(SUM({shop.theme.amount}), 0)")
    called = "how many [plural]" if counted == "COUNT(*)" else "how much [amount]"

    def policy(desk: Desk, values: Values) -> Said:
        theme = desk.theme
        statement = f"SELECT {counted} AS n FROM {theme.plural} WHERE {theme.day} LIKE '{reckon(desk.now.date())}%'"  # noqa: S608
        (row,) = desk.rows("query", sql=statement)
        return Said.of(f"{row['n']}.", f"It is {row['n']}.")

    return shop.questions(
        "period in SQL",
        (f"{called} {spoken}?", f"{called} do we have {spoken}?"),
        {},
        policy,
        near=(f"{called} {other}?", f"{called} until {spoken}?", f"{called} on Mondays {spoken}?"),
    )


def owner_sql(shop: Workshop) -> PlantedAgent:
    """Build agents that put a name and a status into a statement."""
    status = shop.theme.status

    def policy(desk: Desk, values: Values) -> Said:
        theme = desk.theme
        name = str(values["owner"]).replace("'", "''")
        statement = f"SELECT COUNT(*) AS n FROM {theme.plural} WHERE {theme.owner} = '{name}' AND status = '{status}'"  # noqa: S608
        (row,) = desk.rows("query", sql=statement)
        return Said.of(f"{row['n']} {status} {theme.plural}.", f"{row['n']}.")

    return shop.questions(
        "name and status in SQL",
        ("How many [plural] of {owner} are [status]?", "Count {owner}'s [plural] that are [status]"),
        {"owner": places.owner},
        policy,
        near=(f"How many [plural] of {{owner}} are {shop.theme.statuses[1]}?",
              "How many [plural] of {owner} are not [status]?",
              "How many [plural] of {owner} were [status] once?"),
    )  # fmt: skip


def status_sql(shop: Workshop) -> PlantedAgent:
    """Build agents that put a status of the request into a statement; one spelling is not that of the data."""
    words: dict[str, Json] = {status: status for status in shop.theme.statuses}

    def policy(desk: Desk, values: Values) -> Said:
        theme = desk.theme
        statement = f"SELECT COUNT(*) AS n FROM {theme.plural} WHERE status = '{values['status']}'"  # noqa: S608
        (row,) = desk.rows("query", sql=statement)
        return Said.of(f"{row['n']} are {values['status']}.", f"{row['n']}.")

    return shop.questions(
        "closed set in SQL",
        ("How many [plural] are {status}?", "Count the [plural] that are {status}"),
        {"status": places.word(words, narrow=2)},
        policy,
        near=("How many [plural] are not {status}?", "How many [plural] were {status} in May?",
              "Are [plural] ever {status}?"),
    )  # fmt: skip


def due_on(shop: Workshop) -> PlantedAgent:
    """Build agents that list what falls on a day that the clock says."""
    spoken = shop.pick(*_DAYS)
    other, days = _DAYS[spoken]

    def policy(desk: Desk, values: Values) -> Said:
        theme = desk.theme
        rows = desk.rows("on", day=(desk.now.date() + timedelta(days=days)).isoformat())
        if not rows:
            return Said.of("Nothing.")
        return Said.of(
            f"{len(rows)}: {', '.join(text(row, theme.key) for row in rows)}.", f"{len(rows)} {theme.plural}."
        )

    return shop.questions(
        "a day of the clock",
        (f"Which [plural] are for {spoken}?", f"What do we have {spoken}?", f"List the [plural] of {spoken}"),
        {},
        policy,
        near=(f"Which [plural] are for {other}?", f"Which [plural] are not for {spoken}?",
              f"Move the [plural] of {spoken}"),
    )  # fmt: skip


def span(shop: Workshop) -> PlantedAgent:
    """Build agents that ask for the next days, as many as the request says."""

    def policy(desk: Desk, values: Values) -> Said:
        today = desk.now.date()
        days = values["number"]
        end = today + timedelta(days=days if isinstance(days, int) else 0)
        rows = desk.rows("between", start=today.isoformat(), end=end.isoformat())
        return Said.of(f"{len(rows)} {desk.theme.plural}.", f"There are {len(rows)}.")

    return shop.questions(
        "days from the clock",
        ("How many [plural] are there in the next {number} days?", "Count the [plural] of the coming {number} days"),
        {"number": places.whole(2, 14)},
        policy,
        near=("How many [plural] were there in the last {number} days?",
              "How many [plural] are there after {number} days?",
              "How many [plural] are there in the next {number} weeks?"),
    )  # fmt: skip


def remind(shop: Workshop) -> PlantedAgent:
    """Build agents that set a reminder for a day of the clock, with a free text."""
    spoken = shop.pick("tomorrow", "today")
    other, days = _DAYS[spoken]

    def policy(desk: Desk, values: Values) -> Said:
        day = (desk.now.date() + timedelta(days=days)).isoformat()
        desk.do("remind", day=day, text=values["text"])
        return Said.of(f"I will remind you {spoken}.", f"Reminder set for {day}.")

    return shop.commands(
        "free text and a day of the clock",
        (f"remind me {spoken} to {{text}}", f"{spoken} remind me to {{text}}"),
        {"text": places.errand},
        policy,
        near=(
            f"remind me {other} to {{text}}",
            f"remind Bob {spoken} to {{text}}",
            f"did I {spoken} forget to {{text}}?",
        ),
        free_tail=True,
    )


def remind_weekday(shop: Workshop) -> PlantedAgent:
    """Build agents that reckon the next day of a given name."""

    def policy(desk: Desk, values: Values) -> Said:
        today = desk.now.date()
        ahead = (_WEEKDAYS.index(str(values["word"])) - today.weekday() - 1) % 7 + 1
        day = (today + timedelta(days=ahead)).isoformat()
        desk.do("remind", day=day, text=values["text"])
        return Said.of(f"I will remind you on {values['word']}.", f"Set for {day}.")

    return shop.commands(
        "next day of a name",
        ("on {word} remind me of {text}", "set a reminder for {word}: {text}"),
        {"word": places.word({name: name for name in _WEEKDAYS}), "text": places.quoted},
        policy,
        near=(
            "every {word} remind me of {text}",
            "last {word} remind me of {text}",
            "not on {word} remind me of {text}",
        ),
    )


def weekday_of(shop: Workshop) -> PlantedAgent:
    """Build agents that act on weekdays, and only say so at weekends."""

    def policy(desk: Desk, values: Values) -> Said:
        if desk.now.weekday() >= 5:
            return Said.of("It is the weekend: nobody is there.")
        found = desk.row("open", owner=values["owner"], count=values["number"])
        return Said.of(f"Opened {found[desk.theme.key]} on {_WEEKDAYS[desk.now.weekday()]}.", "Opened.")

    return shop.commands(
        "weekday decides",
        ("open a [noun] for {owner} with {number} [count]", "new [noun] for {owner}: {number} [count]"),
        {"owner": places.owner, "number": places.whole(1, 9)},
        policy,
        near=("close a [noun] for {owner} with {number} [count]", "open a [noun] for {owner} without {number} [count]"),
    )
