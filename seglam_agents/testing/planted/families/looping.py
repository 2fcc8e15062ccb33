"""Families that write once for each row of a list, and those that find an id first and then act."""

from __future__ import annotations

from collections.abc import Callable

from seglam_agents.records.record import Json
from seglam_agents.testing.planted import places
from seglam_agents.testing.planted.agent import Desk, PlantedAgent, Said, ToolFailed, Values
from seglam_agents.testing.planted.families.summing import filters
from seglam_agents.testing.planted.workshop import Workshop
from seglam_agents.testing.planted.world import Row, text


def each(which: int) -> Callable[[Workshop], PlantedAgent]:
    """Return the builder of agents that act on every row of one filter."""

    def build(shop: Workshop) -> PlantedAgent:
        chosen = filters(shop.theme, shop.random)[which]
        role = shop.random.choice(("act", "update"))

        def policy(desk: Desk, values: Values) -> Said:
            theme = desk.theme
            rows = [row for row in desk.rows("list", owner=values["owner"]) if chosen.keep(desk, values, row)]
            for row in rows:
                if role == "act":
                    desk.do("act", key=row[theme.key])
                else:
                    desk.do("update", key=row[theme.key], field="status", value=theme.statuses[2])
            if not rows:
                return Said.of(f"There was nothing to {theme.verb} for {values['owner']}.")
            return Said.of(f"{len(rows)} done for {values['owner']}.", "All done.")

        return shop.commands(
            f"write per row, {chosen.name}",
            (f"[verb] all {chosen.wording} of {{owner}}", f"[verb] every one of {{owner}}'s {chosen.wording}"),
            {"owner": places.owner, **chosen.places},
            policy,
            near=(f"[opposite] all {chosen.wording} of {{owner}}", f"[verb] all {chosen.opposite} of {{owner}}",
                  f"[verb] one of the {chosen.wording} of {{owner}}", f"count all {chosen.wording} of {{owner}}"),
        )  # fmt: skip

    return build


def tell_team(shop: Workshop) -> PlantedAgent:
    """Build agents that send a message to each member of a team."""

    def policy(desk: Desk, values: Values) -> Said:
        members = desk.rows("team", team=values["team"])
        for member in members:
            desk.do("message", to=member["email"], subject=values["text"], body=f"Hello {member['name']}")
        return Said.of(f"I wrote to {len(members)} people.", f"Sent to {values['team']}.")

    return shop.commands(
        "message per person",
        ("write to the {team} team about {text}", "tell everybody in {team} about {text}"),
        {"team": places.team, "text": places.quoted},
        policy,
        near=("write to the head of {team} about {text}", "ask the {team} team about {text}"),
    )


def records_of_person(shop: Workshop) -> PlantedAgent:
    """Build agents that find the id of a person, and count what that id has."""

    def policy(desk: Desk, values: Values) -> Said:
        try:
            found = _person(desk, values)
        except ToolFailed:
            return Said.of(f"I do not know {values['name']}.")
        rows = desk.rows("of", person=found["person_id"])
        return Said.of(f"{values['name']} has {len(rows)} {desk.theme.plural}.", f"{len(rows)} {desk.theme.plural}.")

    return shop.questions(
        "two-step look-up, count",
        ("How many [plural] belong to {name}?", "Count what {name} has of [plural]"),
        {"name": places.person},
        policy,
        near=("How many [plural] does {name} want?", "How many people know {name}?", "Give {name} more [plural]"),
    )


def act_for_person(shop: Workshop) -> PlantedAgent:
    """Build agents that find a person's id, list what it has, and act on the oldest."""

    def policy(desk: Desk, values: Values) -> Said:
        theme = desk.theme
        try:
            found = _person(desk, values)
        except ToolFailed:
            return Said.of(f"I do not know {values['name']}.")
        rows = desk.rows("of", person=found["person_id"])
        if not rows:
            return Said.of(f"{values['name']} has no {theme.plural}.")
        row = min(rows, key=lambda row: text(row, theme.day))
        desk.do("act", key=row[theme.key])
        return Said.of(f"{theme.noun.title()} {row[theme.key]} is {theme.past}.")

    return shop.commands(
        "two-step look-up, act",
        ("find {name} and [verb] the oldest [noun]", "[verb] the oldest [noun] that belongs to {name}"),
        {"name": places.person},
        policy,
        near=("[verb] the newest [noun] that belongs to {name}", "[opposite] the oldest [noun] that belongs to {name}"),
    )


def mail_person(shop: Workshop) -> PlantedAgent:
    """Build agents that look an address up, and send a message with a text of the request."""
    body = shop.pick("See subject.", "Hello,\n\nplease read this.", "fyi")

    def policy(desk: Desk, values: Values) -> Said:
        try:
            found = _person(desk, values)
        except ToolFailed:
            return Said.of(f"I do not know {values['name']}.")
        sent = desk.row("message", to=found["email"], subject=values["text"], body=body)
        return Said.of(f"Sent to {found['email']} as {sent['message_id']}.", "Sent.")

    return shop.commands(
        "look an address up, send",
        ("email {name} about {text}", "write {name} an email about {text}",
         "send {name} a message with the subject {text}"),
        {"name": places.person, "text": places.quoted},
        policy,
        near=("forward {name} the email about {text}", "did {name} answer about {text}?",
              "email {name} nothing about {text}"),
    )  # fmt: skip


def mail_owner(shop: Workshop) -> PlantedAgent:
    """Build agents that go from a record to its owner to an address, and send a report of the record."""

    def policy(desk: Desk, values: Values) -> Said:
        theme = desk.theme
        try:
            row = desk.row("get", key=values["key"])
        except ToolFailed:
            return Said.of(f"There is no {theme.noun} {values['key']}.")
        found = _first(desk.do("person", name=row[theme.owner]))
        what = f"{theme.noun.title()} {values['key']} is {row['status']}"
        desk.do("message", to=found["email"], subject=what, body=f"{theme.amount}: {row[theme.amount]}")
        return Said.of(f"{row[theme.owner]} knows.", "Sent.")

    return shop.commands(
        "three-step look-up, report",
        ("tell the owner of [noun] {key} how it stands", "inform whoever has [noun] {key}"),
        {"key": places.key},
        policy,
        near=("ask the owner of [noun] {key} how it stands", "tell the owner of [noun] {key} that it is gone"),
    )


def _person(desk: Desk, values: Values) -> Row:
    return _first(desk.do("person", name=values["name"]))


def _first(found: Json) -> Row:
    row = found[0] if isinstance(found, list) else found
    if not isinstance(row, dict):
        raise TypeError("no person was returned")
    return row
