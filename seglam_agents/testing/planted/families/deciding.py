"""Families that decide: thresholds, several branches, statuses, empty results, verdict words."""

from __future__ import annotations

from seglam_agents.testing.planted import places
from seglam_agents.testing.planted.agent import Desk, PlantedAgent, Said, ToolFailed, Values
from seglam_agents.testing.planted.workshop import Workshop
from seglam_agents.testing.planted.world import number, text


def coat(shop: Workshop) -> PlantedAgent:
    """Build agents that answer yes or no by a constant threshold, and restate the reading."""
    limit = shop.random.choice((8, 12, 15))
    what = shop.pick("coat", "scarf", "warm hat")

    def policy(desk: Desk, values: Values) -> Said:
        degrees = number(desk.row("reading", place=values["city"]), "temperature")
        if degrees < limit:
            return Said.of(f"Yes, it is {degrees} degrees.", f"Yes: only {degrees} degrees.")
        return Said.of(f"No, it is {degrees} degrees.", f"No: {degrees} degrees.")

    return shop.questions(
        "constant threshold, verdict",
        (f"Do I need a {what} in {{city}}?", f"Should I take a {what} to {{city}}?", f"{{city}}: is a {what} needed?"),
        {"city": places.city},
        policy,
        near=(f"Can I buy a {what} in {{city}}?", f"Will I need a {what} in {{city}} tomorrow?",
              f"Send a {what} to {{city}}"),
    )  # fmt: skip


def warmer_than(shop: Workshop) -> PlantedAgent:
    """Build agents that answer yes or no by a threshold that the request gives."""
    field = shop.pick("temperature", "humidity", "wind")

    def policy(desk: Desk, values: Values) -> Said:
        reading = number(desk.row("reading", place=values["city"]), field)
        return Said.of("Yes." if reading > _whole(values, "limit") else "No.")

    return shop.questions(
        "given threshold, verdict",
        (f"Is the {field} in {{city}} above {{limit}}?", f"Is {{city}}'s {field} over {{limit}}?"),
        {"city": places.city, "limit": places.whole(5, 30)},
        policy,
        near=(
            f"Is the {field} in {{city}} below {{limit}}?",
            f"Was the {field} in {{city}} above {{limit}} yesterday?",
        ),
    )


def enough(shop: Workshop) -> PlantedAgent:
    """Build agents that compare what is left in stock with what is asked for."""

    def policy(desk: Desk, values: Values) -> Said:
        try:
            row = desk.row("stock", item=values["item"])
        except ToolFailed:
            return Said.of(f"We do not sell {values['item']}.")
        left = number(row, "count") - number(row, "reserved")
        if left >= _whole(values, "number"):
            return Said.of(f"Yes, {left} {values['item']} are free.")
        return Said.of(f"Not enough: {max(left, 0)} {values['item']} are free.")

    return shop.questions(
        "enough of count less reserved",
        ("Do we have {number} {item}?", "Are {number} {item} free?", "Is there enough for {number} {item}?"),
        {"item": places.item, "number": places.whole(1, 30)},
        policy,
        near=("Do we need {number} {item}?", "Did we have {number} {item} last week?", "Order {number} {item}"),
    )


def heating(shop: Workshop) -> PlantedAgent:
    """Build agents that choose between three levels by two thresholds, and write."""
    low, high = shop.random.choice(((5, 16), (0, 12), (8, 20)))

    def policy(desk: Desk, values: Values) -> Said:
        degrees = number(desk.row("reading", place=values["city"]), "temperature")
        level = "high" if degrees < low else "medium" if degrees < high else "low"
        desk.do("level", place=values["city"], level=level)
        return Said.of(f"The heating in {values['city']} is {level}.", "Done.")

    return shop.commands(
        "three branches, write",
        ("set the heating in {city} by the weather", "adjust the heating of {city}"),
        {"city": places.city},
        policy,
        near=("switch off the heating in {city}", "set the heating in {city} to high", "is the heating in {city} on?"),
    )


def by_status(shop: Workshop) -> PlantedAgent:
    """Build agents that do one thing or another by the status of a record."""

    def policy(desk: Desk, values: Values) -> Said:
        theme = desk.theme
        try:
            status = text(desk.row("get", key=values["key"]), "status")
        except ToolFailed:
            return Said.of(f"There is no {theme.noun} {values['key']}.")
        if status == theme.status:
            desk.do("act", key=values["key"])
            return Said.of(f"{theme.noun.title()} {values['key']} is {theme.past}.", f"I {theme.past} it.")
        if status == theme.statuses[1]:
            desk.do("note", key=values["key"], text=f"asked for while {status}")
            return Said.of(f"It is {status}; I left a note.")
        return Said.of(f"It is {status}: nothing to do.")

    return shop.commands(
        "branch by status, write",
        ("[verb] [noun] {key} if possible", "[verb] [noun] {key} when it can be [past]"),
        {"key": places.key},
        policy,
        near=("[opposite] [noun] {key} if possible", "[verb] [noun] {key} if it is impossible otherwise"),
    )


def verdict_by_status(shop: Workshop) -> PlantedAgent:
    """Build agents that answer by the status of a record in other words."""
    sayings = {shop.theme.statuses[0]: "is still to be done", shop.theme.statuses[1]: "is on its way"}
    sayings[shop.theme.statuses[2]] = "is over"

    def policy(desk: Desk, values: Values) -> Said:
        try:
            status = text(desk.row("get", key=values["key"]), "status")
        except ToolFailed:
            return Said.of(f"There is no {desk.theme.noun} {values['key']}.")
        return Said.of(f"{desk.theme.noun.title()} {values['key']} {sayings[status]}.")

    return shop.questions(
        "status in other words",
        ("How is [noun] {key}?", "What about [noun] {key}?", "Where does [noun] {key} stand?"),
        {"key": places.key},
        policy,
        near=("How was [noun] {key} last week?", "Who has [noun] {key}?", "[verb] [noun] {key}"),
    )


def refill(shop: Workshop) -> PlantedAgent:
    """Build agents that order what is missing to a constant, and nothing where enough is there."""
    goal = shop.random.choice((20, 30, 25))

    def policy(desk: Desk, values: Values) -> Said:
        try:
            count = number(desk.row("stock", item=values["item"]), "count")
        except ToolFailed:
            return Said.of(f"We do not sell {values['item']}.")
        if count >= goal:
            return Said.of(f"There are {count} {values['item']}: enough.")
        desk.do("order", item=values["item"], count=goal - count)
        return Said.of(f"I ordered {goal - count} {values['item']}.", "Ordered.")

    return shop.commands(
        "order the difference to a constant",
        ("refill {item}", "top up {item}", "restock the {item}"),
        {"item": places.item},
        policy,
        near=("return {item}", "stop selling {item}", "count the {item}"),
    )


def first_or_new(shop: Workshop) -> PlantedAgent:
    """Build agents that update what is there, and create where nothing is."""

    def policy(desk: Desk, values: Values) -> Said:
        theme = desk.theme
        rows = desk.rows("list", owner=values["owner"])
        if not rows:
            made = desk.row("open", owner=values["owner"], count=values["number"])
            return Said.of(f"Opened {made[theme.key]}.")
        desk.do("update", key=rows[0][theme.key], field=theme.count, value=values["number"])
        return Said.of(f"Changed {rows[0][theme.key]}.")

    return shop.commands(
        "create where there is none",
        ("let {owner} have {number} [count]", "make it {number} [count] for {owner}"),
        {"owner": places.owner, "number": places.whole(2, 20)},
        policy,
        near=("let {owner} have {number} fewer [count]", "make it {number} [amount] for {owner}"),
    )


def severity(shop: Workshop) -> PlantedAgent:
    """Build agents that grade a record by two of its fields."""
    limit, few = shop.random.choice((100, 150, 200)), shop.random.choice((4, 6))

    def policy(desk: Desk, values: Values) -> Said:
        try:
            row = desk.row("get", key=values["key"])
        except ToolFailed:
            return Said.of(f"There is no {desk.theme.noun} {values['key']}.")
        big, many = number(row, desk.theme.amount) > limit, number(row, desk.theme.count) > few
        grade = "critical" if big and many else "serious" if big or many else "minor"
        return Said.of(f"{values['key']} is {grade}.", f"Grade: {grade}.")

    return shop.questions(
        "grade by two fields",
        ("How serious is [noun] {key}?", "Grade [noun] {key}"),
        {"key": places.key},
        policy,
        near=("Why is [noun] {key} serious?", "Degrade [noun] {key}"),
    )


def _whole(values: Values, name: str) -> int:
    value = values[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is a whole number")
    return value
