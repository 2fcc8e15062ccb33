"""Families that choose one row of a list: first, only, smallest, latest, with and without a filter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from seglam_agents.testing.planted import places
from seglam_agents.testing.planted.agent import Desk, PlantedAgent, Said, Values
from seglam_agents.testing.planted.themes import Theme
from seglam_agents.testing.planted.workshop import Workshop
from seglam_agents.testing.planted.world import Row, number, text

Choose = Callable[[Theme, Sequence[Row]], list[Row]]
"""Returns the chosen row alone, or nothing."""


def _first(theme: Theme, rows: Sequence[Row]) -> list[Row]:
    return list(rows[:1])


def _end(theme: Theme, rows: Sequence[Row]) -> list[Row]:
    return list(rows[-1:])


def _smallest(theme: Theme, rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: number(row, theme.amount))[:1]


def _largest(theme: Theme, rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: -number(row, theme.amount))[:1]


def _latest(theme: Theme, rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: text(row, theme.day))[-1:]


def _earliest(theme: Theme, rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: text(row, theme.day))[:1]


def _of_status(choose: Choose) -> Choose:
    def chosen(theme: Theme, rows: Sequence[Row]) -> list[Row]:
        return choose(theme, [row for row in rows if row["status"] == theme.status])

    return chosen


CHOICES: Mapping[str, tuple[Choose, str]] = {
    "first": (_first, "first"),
    "end": (_end, "bottom"),
    "smallest": (_smallest, "smallest"),
    "largest": (_largest, "largest"),
    "latest": (_latest, "latest"),
    "earliest": (_earliest, "earliest"),
    "first of status": (_of_status(_first), "first [status]"),
    "smallest of status": (_of_status(_smallest), "smallest [status]"),
    "latest of status": (_of_status(_latest), "latest [status]"),
}
_OPPOSITES = {
    "first": "bottom",
    "bottom": "first",
    "smallest": "largest",
    "largest": "smallest",
    "latest": "earliest",
    "earliest": "latest",
}


def act_on(name: str) -> Callable[[Workshop], PlantedAgent]:
    """Return the builder of agents that choose a row and do something to it."""
    choose, called = CHOICES[name]

    def build(shop: Workshop) -> PlantedAgent:
        def policy(desk: Desk, values: Values) -> Said:
            theme = desk.theme
            chosen = choose(theme, desk.rows("list", owner=values["owner"]))
            if not chosen:
                return Said.of(f"{values['owner']} has no such {theme.noun}.", f"I found no such {theme.noun}.")
            key = text(chosen[0], theme.key)
            desk.do("act", key=key)
            return Said.of(
                f"I {theme.past} {theme.noun} {key}.",
                f"{theme.noun.title()} {key} of {values['owner']} is {theme.past}.",
            )

        opposite = _opposite(called)
        return shop.commands(
            f"choose {name}, act",
            (f"[verb] the {called} [noun] of {{owner}}", f"[verb] {{owner}}'s {called} [noun]",
             f"for {{owner}}, [verb] the {called} [noun]"),
            {"owner": places.owner},
            policy,
            near=(f"[opposite] the {called} [noun] of {{owner}}", f"[opposite] {{owner}}'s {called} [noun]",
                  f"[verb] the {opposite} [noun] of {{owner}}", "[verb] all [plural] of {owner}",
                  f"Why was {{owner}}'s {called} [noun] [past]?"),
        )  # fmt: skip

    return build


def tell(name: str) -> Callable[[Workshop], PlantedAgent]:
    """Return the builder of agents that choose a row and tell a field of it."""
    choose, called = CHOICES[name]

    def build(shop: Workshop) -> PlantedAgent:
        field = shop.random.choice((shop.theme.amount, shop.theme.count, shop.theme.day, shop.theme.key))
        field = shop.theme.amount if field == shop.theme.key and "status" in name else field
        spoken = field.replace("_", " ")
        bare = shop.random.random() < 0.3

        def policy(desk: Desk, values: Values) -> Said:
            chosen = choose(desk.theme, desk.rows("list", owner=values["owner"]))
            if not chosen:
                return Said.of(f"{values['owner']} has no such {desk.theme.noun}.")
            value = chosen[0][field]
            if bare:
                return Said.of(value)
            return Said.of(f"The {spoken} is {value}.", f"It is {value}.")

        opposite = _opposite(called)
        return shop.questions(
            f"choose {name}, tell",
            (f"What is the {spoken} of {{owner}}'s {called} [noun]?",
             f"Give the {spoken} of the {called} [noun] of {{owner}}",
             f"{{owner}}'s {called} [noun]: what is its {spoken}?"),
            {"owner": places.owner},
            policy,
            near=(f"What is the {spoken} of {{owner}}'s {opposite} [noun]?",
                  f"Change the {spoken} of {{owner}}'s {called} [noun]",
                  f"Who set the {spoken} of {{owner}}'s {called} [noun]?"),
        )  # fmt: skip

    return build


def change_field(shop: Workshop) -> PlantedAgent:
    """Build agents that choose a row and set a field of it to what the request says."""
    name = shop.random.choice(tuple(CHOICES))
    choose, called = CHOICES[name]
    field = shop.random.choice((shop.theme.amount, shop.theme.count))
    spoken = field.replace("_", " ")

    def policy(desk: Desk, values: Values) -> Said:
        chosen = choose(desk.theme, desk.rows("list", owner=values["owner"]))
        if not chosen:
            return Said.of("There is nothing to change.")
        desk.do("update", key=chosen[0][desk.theme.key], field=field, value=values["number"])
        return Said.of("Done.", f"The {spoken} is {values['number']} now.")

    return shop.commands(
        "choose a row, set a field",
        (f"set the {spoken} of {{owner}}'s {called} [noun] to {{number}}",
         f"change {{owner}}'s {called} [noun] to a {spoken} of {{number}}"),
        {"owner": places.owner, "number": places.whole(2, 90)},
        policy,
        near=(f"raise the {spoken} of {{owner}}'s {called} [noun] by {{number}}",
              f"set the {spoken} of {{owner}}'s {called} [noun] to at least {{number}}",
              f"set the {spoken} of {{owner}}'s {_opposite(called)} [noun] to {{number}}"),
    )  # fmt: skip


def act_on_only(shop: Workshop) -> PlantedAgent:
    """Build agents that act where an owner has one record, and ask back where he has several."""

    def policy(desk: Desk, values: Values) -> Said:
        theme = desk.theme
        rows = desk.rows("list", owner=values["owner"])
        if len(rows) != 1:
            return Said.of(f"{values['owner']} has {len(rows)} {theme.plural}: which one?")
        desk.do("act", key=rows[0][theme.key])
        return Said.of("Done.")

    return shop.commands(
        "act on the only row",
        ("[verb] the [noun] of {owner}", "[verb] {owner}'s [noun]"),
        {"owner": places.owner},
        policy,
        near=("[opposite] the [noun] of {owner}", "[verb] every [noun] of {owner}", "[verb] nothing of {owner}"),
    )


def _opposite(called: str) -> str:
    first, *rest = called.split()
    return " ".join((_OPPOSITES[first], *rest))
