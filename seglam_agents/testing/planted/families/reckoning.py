"""Families that reckon: count less reserved, price times quantity, percentages, differences; and dictionaries."""

from __future__ import annotations

from collections.abc import Mapping

from seglam_agents.records.record import Json
from seglam_agents.records.values import encode, tidy
from seglam_agents.testing.planted import places
from seglam_agents.testing.planted.agent import Desk, PlantedAgent, Said, ToolFailed, Values
from seglam_agents.testing.planted.tools import PRIORITIES
from seglam_agents.testing.planted.workshop import Workshop
from seglam_agents.testing.planted.world import Row, number


def left(shop: Workshop) -> PlantedAgent:
    """Build agents that tell count less reserved."""

    def policy(desk: Desk, values: Values) -> Said:
        row = _stock(desk, values)
        if row is None:
            return Said.of(f"We do not sell {values['item']}.")
        free = number(row, "count") - number(row, "reserved")
        return Said.of(f"{free} {values['item']} are left.", f"We have {free} {values['item']}.")

    return shop.questions(
        "count less reserved",
        ("How many {item} are left?", "How many {item} can we sell?", "What is left of the {item}?"),
        {"item": places.item},
        policy,
        near=("How many {item} are reserved?", "How many {item} were left in May?", "How many {item} are broken?"),
    )


def cost(shop: Workshop) -> PlantedAgent:
    """Build agents that tell price times quantity, with or without a constant fee."""
    fee = shop.random.choice((0, 0, 5, 10))

    def policy(desk: Desk, values: Values) -> Said:
        row = _stock(desk, values)
        if row is None:
            return Said.of(f"We do not sell {values['item']}.")
        total = number(row, "price") * _whole(values) + fee
        return Said.of(f"{values['number']} {values['item']} cost {total}.", f"That makes {total}.")

    return shop.questions(
        "price times quantity",
        ("What do {number} {item} cost?", "How much are {number} {item}?", "Price of {number} {item}?"),
        {"item": places.item, "number": places.whole(2, 12)},
        policy,
        near=("What did {number} {item} cost last year?", "What do {number} {item} weigh?",
              "Who pays for {number} {item}?"),
    )  # fmt: skip


def raise_price(shop: Workshop) -> PlantedAgent:
    """Build agents that change a price by a percentage of the request."""

    def policy(desk: Desk, values: Values) -> Said:
        row = _stock(desk, values)
        if row is None:
            return Said.of(f"We do not sell {values['item']}.")
        price = encode(tidy(round(number(row, "price") * (100 + _whole(values)) / 100, 2)))
        desk.do("price", item=values["item"], price=price)
        return Said.of(
            f"{values['item'].title() if isinstance(values['item'], str) else ''} cost {price} now.", "Done."
        )

    return shop.commands(
        "percentage, write",
        ("raise the price of {item} by {number} percent", "make {item} {number} percent dearer"),
        {"item": places.item, "number": places.whole(2, 50)},
        policy,
        near=("lower the price of {item} by {number} percent", "raise the price of {item} by {number} euros",
              "raise the price of {item} to {number} percent"),
    )  # fmt: skip


def order_goods(shop: Workshop) -> PlantedAgent:
    """Build agents that order what the request says, and restate the number that the tool gave."""

    def policy(desk: Desk, values: Values) -> Said:
        made = desk.row("order", item=values["item"], count=values["number"])
        return Said.of(
            f"I've ordered {values['number']} {values['item']}: {made['order_no']}.",
            f"Order {made['order_no']} for {made['quantity']} {values['item']} is placed.",
        )

    return shop.commands(
        "order, restate",
        ("order {number} {item}", "buy {number} {item}", "get us {number} {item}"),
        {"item": places.item, "number": places.whole(2, 40)},
        policy,
        near=("sell {number} {item}", "order {number} boxes of {item}", "cancel the order of {number} {item}",
              "order at most {number} {item}"),
    )  # fmt: skip


def order_from_shelf(shop: Workshop) -> PlantedAgent:
    """Build agents that repeat a field of a result, and a constant beside it."""
    to = shop.pick("store@example.com", "depot@example.com")

    def policy(desk: Desk, values: Values) -> Said:
        row = _stock(desk, values)
        if row is None:
            return Said.of(f"We do not sell {values['item']}.")
        desk.do(
            "message",
            to=to,
            subject=f"{values['item']} on shelf {row['shelf']}",
            body=f"price {row['price']}, please count 10",
        )
        return Said.of(f"Shelf {row['shelf']} will be counted.", "Done.")

    return shop.commands(
        "constants beside fields",
        ("have the {item} counted", "ask for a count of the {item}"),
        {"item": places.item},
        policy,
        near=("tell me the count of the {item}", "have the {item} thrown away"),
    )  # fmt: skip


def difference(shop: Workshop) -> PlantedAgent:
    """Build agents that compare two records."""

    def policy(desk: Desk, values: Values) -> Said:
        amount = desk.theme.amount
        try:
            one, other = desk.row("get", key=values["key"]), desk.row("get", key=values["other"])
        except ToolFailed:
            return Said.of("One of them does not exist.")
        gap = number(one, amount) - number(other, amount)
        if gap == 0:
            return Said.of("Nothing: they are equal.")
        return Said.of(f"{values['key']} has {abs(gap)} {'more' if gap > 0 else 'less'}.")

    return shop.questions(
        "difference of two records",
        ("What is the difference in [amount] between [plural] {key} and {other}?",
         "By how much do [plural] {key} and {other} differ in [amount]?"),
        {"key": places.key, "other": places.key},
        policy,
        near=("What is the sum of [amount] of [plural] {key} and {other}?",
              "What is the difference in [count] between [plural] {key} and {other}?"),
    )  # fmt: skip


def fee_per_row(shop: Workshop) -> PlantedAgent:
    """Build agents that multiply a number of rows by a constant."""
    fee = shop.random.choice((3, 5, 12))

    def policy(desk: Desk, values: Values) -> Said:
        rows = desk.rows("list", owner=values["owner"])
        return Said.of(
            f"The fee for {len(rows)} {desk.theme.plural} is {fee * len(rows)}.", f"{fee * len(rows)} euros."
        )

    return shop.questions(
        "rows times a constant",
        ("What fee does {owner} pay?", "How much is the fee for {owner}?"),
        {"owner": places.owner},
        policy,
        near=("What fee did {owner} complain about?", "What fee does {owner} get back?"),
    )


_URGENCY: Mapping[str, Json] = dict(zip(("urgent", "important", "normal", "unimportant"), PRIORITIES, strict=True))
_TOPICS: Mapping[str, Json] = {
    "broken": "C-BRK",
    "late": "C-LAT",
    "wrong": "C-WRG",
    "missing": "C-MIS",
    "dirty": "C-DRT",
}


def urgency(shop: Workshop) -> PlantedAgent:
    """Build agents that turn a word into a member of a declared closed set."""

    def policy(desk: Desk, values: Values) -> Said:
        made = desk.row("create", title=values["text"], priority=values["word"])
        return Said.of(f"Created {made[desk.theme.key]} with {values['word']}.", f"{made[desk.theme.key]} is in.")

    return shop.commands(
        "dictionary into a declared set",
        ("open an {word} [noun] {text}", "file {text} as an {word} [noun]"),
        {"word": places.word(_URGENCY, narrow=3), "text": places.quoted},
        policy,
        near=("close the {word} [noun] {text}", "find the {word} [noun] {text}"),
    )


def topic(shop: Workshop) -> PlantedAgent:
    """Build agents that turn a word into a code that no schema declares."""

    def policy(desk: Desk, values: Values) -> Said:
        try:
            desk.do("code", key=values["key"], code=values["word"])
        except ToolFailed:
            return Said.of(f"There is no {desk.theme.noun} {values['key']}.")
        return Said.of(f"{values['key']} is {values['word']} now.", "Done.")

    return shop.commands(
        "dictionary into an open field",
        ("mark [noun] {key} as {word}", "note that [noun] {key} is {word}"),
        {"key": places.key, "word": places.word(_TOPICS, narrow=3)},
        policy,
        near=("mark [noun] {key} as not {word}", "say why [noun] {key} is {word}"),
    )


def _stock(desk: Desk, values: Values) -> Row | None:
    try:
        return desk.row("stock", item=values["item"])
    except ToolFailed:
        return None


def _whole(values: Values) -> int:
    value = values["number"]
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("the number is whole")
    return value
