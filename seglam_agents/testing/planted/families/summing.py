"""Families that filter rows and say how many, how much, the mean or the extreme."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from seglam_agents.records.record import Json
from seglam_agents.records.values import encode, tidy
from seglam_agents.testing.planted import places
from seglam_agents.testing.planted.agent import Desk, Place, PlantedAgent, Said, Values
from seglam_agents.testing.planted.themes import Theme
from seglam_agents.testing.planted.workshop import Workshop
from seglam_agents.testing.planted.world import Row, number, text

Keep = Callable[[Desk, Values, Row], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows count, and how requests say so."""

    name: str
    wording: str
    """With `[plural]` for the rows."""
    keep: Keep
    opposite: str
    places: Mapping[str, Place]


def filters(theme: Theme, random: Random) -> tuple[Filter, ...]:
    """Return the filters that a theme has, with random thresholds."""
    limit = random.choice((40, 100, 150))
    amount = theme.amount
    return (
        Filter("all", "[plural]", lambda desk, values, row: True, "other [plural]", {}),
        Filter("status", "[status] [plural]", lambda desk, values, row: row["status"] == theme.status,
               f"{theme.statuses[1]} [plural]", {}),
        Filter("not status", f"[plural] that are not {theme.statuses[2]}",
               lambda desk, values, row: row["status"] != theme.statuses[2],
               f"[plural] that are {theme.statuses[2]}", {}),
        Filter("constant threshold", "big [plural]", lambda desk, values, row: number(row, amount) > limit,
               "small [plural]", {}),
        Filter("given threshold", "[plural] with [amount] over {limit}",
               lambda desk, values, row: number(row, amount) > _given(values), "[plural] with [amount] under {limit}",
               {"limit": places.hundreds(20, 300)}),
        Filter("past days", "overdue [plural]", lambda desk, values, row: text(row, theme.day) < _today(desk),
               "future [plural]", {}),
        Filter("this month", "[plural] of this month",
               lambda desk, values, row: text(row, theme.day)[:7] == _today(desk)[:7], "[plural] of last month", {}),
    )  # fmt: skip


def counted(which: int) -> Callable[[Workshop], PlantedAgent]:
    """Return the builder of agents that count the rows of one filter."""

    def build(shop: Workshop) -> PlantedAgent:
        chosen = filters(shop.theme, shop.random)[which]
        empty = shop.random.random() < 0.4

        def policy(desk: Desk, values: Values) -> Said:
            rows = [row for row in desk.rows("list", owner=values["owner"]) if chosen.keep(desk, values, row)]
            if not rows and empty:
                return Said.of(f"None for {values['owner']}.")
            return Said.of(f"{values['owner']} has {len(rows)}.", f"I count {len(rows)} for {values['owner']}.")

        return shop.questions(
            f"count, {chosen.name}",
            (f"How many {chosen.wording} does {{owner}} have?", f"Count the {chosen.wording} for {{owner}}",
             f"Number of {chosen.wording} for {{owner}}"),
            {"owner": places.owner, **chosen.places},
            policy,
            near=(f"How many {chosen.opposite} does {{owner}} have?", f"Which {chosen.wording} does {{owner}} have?",
                  f"[verb] the {chosen.wording} of {{owner}}"),
        )  # fmt: skip

    return build


def totalled(which: int) -> Callable[[Workshop], PlantedAgent]:
    """Return the builder of agents that sum, average or take the extreme of a field over the rows of one filter."""

    def build(shop: Workshop) -> PlantedAgent:
        chosen = filters(shop.theme, shop.random)[which]
        name = shop.random.choice(tuple(_AGGREGATES))
        called, aggregate = _AGGREGATES[name]
        amount = shop.theme.amount
        structured = shop.random.random() < 0.25

        def policy(desk: Desk, values: Values) -> Said:
            rows = [row for row in desk.rows("list", owner=values["owner"]) if chosen.keep(desk, values, row)]
            if not rows:
                return Said.of(f"There is nothing to count for {values['owner']}.")
            value = aggregate([number(row, amount) for row in rows])
            if structured:
                return Said.of({"owner": values["owner"], name: value, "rows": len(rows)})
            return Said.of(f"The {called} is {value}.", f"{values['owner']}: {value}.")

        other = "lowest" if name != "lowest" else "highest"
        return shop.questions(
            f"{'sum' if name == 'sum' else 'mean or extreme'}, {chosen.name}",
            (f"What is the {called} [amount] of {{owner}}'s {chosen.wording}?",
             f"For {{owner}}, give the {called} [amount] of the {chosen.wording}"),
            {"owner": places.owner, **chosen.places},
            policy,
            near=(f"What is the {called} [amount] of {{owner}}'s {chosen.opposite}?",
                  f"What is the {other} [count] of {{owner}}'s {chosen.wording}?",
                  f"Set the {called} [amount] of {{owner}}'s {chosen.wording} to 5"),
        )  # fmt: skip

    return build


def _mean(values: Sequence[int | float]) -> Json:
    # People say 219, not 219.0.
    return encode(tidy(round(sum(values) / len(values), 2)))


def _sum(values: Sequence[int | float]) -> Json:
    return sum(values)


def _highest(values: Sequence[int | float]) -> Json:
    return max(values)


def _lowest(values: Sequence[int | float]) -> Json:
    return min(values)


_AGGREGATES: Mapping[str, tuple[str, Callable[[Sequence[int | float]], Json]]] = {
    "sum": ("total", _sum),
    "mean": ("average", _mean),
    "highest": ("highest", _highest),
    "lowest": ("lowest", _lowest),
}


def _today(desk: Desk) -> str:
    return desk.now.date().isoformat()


def _given(values: Values) -> float:
    limit = values["limit"]
    if not isinstance(limit, (int, float)):
        raise TypeError("the limit is a number")
    return limit
