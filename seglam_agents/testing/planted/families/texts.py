"""Families that carry words and numbers into calls: free texts, ids with digits, two numbers, two names."""

from __future__ import annotations

from dataclasses import replace

from seglam_agents.testing.planted import places
from seglam_agents.testing.planted.agent import Desk, PlantedAgent, Said, ToolFailed, Values
from seglam_agents.testing.planted.workshop import Workshop
from seglam_agents.testing.planted.world import number, text


def note(shop: Workshop) -> PlantedAgent:
    """Build agents that add an open text to a record."""

    def policy(desk: Desk, values: Values) -> Said:
        try:
            desk.do("note", key=values["key"], text=values["text"])
        except ToolFailed:
            return Said.of(f"There is no {desk.theme.noun} {values['key']}.")
        return Said.of("Noted.", f"Noted on {values['key']}.")

    return shop.commands(
        "open text",
        ("add to [noun] {key}: {text}", "note on [noun] {key} that we must {text}"),
        {"key": places.key, "text": places.errand},
        policy,
        near=("remove from [noun] {key}: {text}", "what does [noun] {key} say about {text}?"),
        free_tail=True,
    )


def move(shop: Workshop) -> PlantedAgent:
    """Build agents that take a key with digits and a number that may be among them."""

    def policy(desk: Desk, values: Values) -> Said:
        try:
            desk.do("move", key=values["key"], target=values["number"])
        except ToolFailed:
            return Said.of(f"There is no {desk.theme.noun} {values['key']}.")
        return Said.of(f"{values['key']} is in sprint {values['number']}.", "Moved.")

    return shop.commands(
        "key with digits and a number",
        ("move [noun] {key} to sprint {number}", "put [noun] {key} into sprint {number}"),
        {"key": places.ticket, "number": places.whole(2, 9)},
        policy,
        near=("move [noun] {key} out of sprint {number}", "move [noun] {key} from sprint {number}",
              "copy [noun] {key} to sprint {number}"),
    )  # fmt: skip


def chairs(shop: Workshop) -> PlantedAgent:
    """Build agents that take two numbers of the same kind."""
    what = shop.pick("chairs", "tables", "screens")

    def policy(desk: Desk, values: Values) -> Said:
        desk.do("put", room=values["room"], count=values["number"], what=what)
        return Said.of(f"Room {values['room']} gets {values['number']} {what}.", "Done.")

    return shop.commands(
        "two numbers",
        (f"in room {{room}} put {{number}} {what}", f"put {{number}} {what} into room {{room}}"),
        {"room": places.whole(2, 30), "number": places.whole(2, 12)},
        policy,
        near=(f"take {{number}} {what} out of room {{room}}", f"in room {{room}} put {{number}} more {what}",
              f"how many of the {{number}} {what} are in room {{room}}?"),
    )  # fmt: skip


def transfer(shop: Workshop) -> PlantedAgent:
    """Build agents that take two names whose order matters."""

    def policy(desk: Desk, values: Values) -> Said:
        desk.do("transfer", amount=values["amount"], source=values["source"], target=values["target"])
        return Said.of(f"{values['amount']} went from {values['source']} to {values['target']}.", "Done.")

    return shop.commands(
        "two names and an amount",
        ("transfer {amount} from {source} to {target}", "move {amount} from {source} over to {target}",
         "pay {target} {amount} out of {source}"),
        {"amount": places.hundreds(10, 500), "source": places.city, "target": places.city},
        policy,
        near=("transfer {amount} from {source} to {target} monthly",
              "transfer up to {amount} from {source} to {target}",
              "transfer {amount} less from {source} to {target}"),
    )  # fmt: skip


def act_by_key(shop: Workshop) -> PlantedAgent:
    """Build agents that do one thing to a record that the request names."""

    def policy(desk: Desk, values: Values) -> Said:
        try:
            desk.do("act", key=values["key"])
        except ToolFailed:
            return Said.of(f"There is no {desk.theme.noun} {values['key']}.")
        return Said.of(f"{desk.theme.noun.title()} {values['key']} is {desk.theme.past}.", "Done.")

    return shop.commands(
        "act by key",
        ("[verb] [noun] {key}", "[verb] {key}"),
        {"key": places.key},
        policy,
        near=(
            "[opposite] [noun] {key}",
            "[opposite] {key}",
            "[verb] all [plural] but {key}",
            "why is {key} not [past]?",
        ),
    )


def field_of(shop: Workshop) -> PlantedAgent:
    """Build agents that tell a field of a record that the request names."""
    field = shop.random.choice((shop.theme.amount, shop.theme.count, shop.theme.day, shop.theme.owner, "status"))
    spoken = field.replace("_", " ")

    def policy(desk: Desk, values: Values) -> Said:
        try:
            row = desk.row("get", key=values["key"])
        except ToolFailed:
            return Said.of(f"There is no {desk.theme.noun} {values['key']}.")
        return Said.of(f"The {spoken} of {values['key']} is {row[field]}.", f"{row[field]}.")

    return shop.questions(
        "field by key",
        (f"What is the {spoken} of [noun] {{key}}?", f"Tell me the {spoken} of {{key}}",
         f"{spoken} of [noun] {{key}}?"),
        {"key": places.key},
        policy,
        near=(f"What was the {spoken} of [noun] {{key}}?", f"Change the {spoken} of {{key}}",
              f"Is the {spoken} of {{key}} right?"),
    )  # fmt: skip


def listing(shop: Workshop) -> PlantedAgent:
    """Build agents that restate every row of a result in one sentence."""

    def policy(desk: Desk, values: Values) -> Said:
        theme = desk.theme
        rows = desk.rows("list", owner=values["owner"])
        if not rows:
            return Said.of(f"{values['owner']} has none.")
        said = ", ".join(f"{text(row, theme.key)} ({number(row, theme.amount)})" for row in rows)
        return Said.of(f"{values['owner']} has {len(rows)} {theme.plural}: {said}.")

    return shop.questions(
        "report of all rows",
        ("List the [plural] of {owner}", "Which [plural] does {owner} have?"),
        {"owner": places.owner},
        policy,
        near=("List the [plural] that {owner} lost", "Which [plural] does {owner} not have?"),
    )


def record_report(shop: Workshop) -> PlantedAgent:
    """Build agents that answer with an object, or with a sentence that restates three fields."""
    structured = shop.random.random() < 0.5

    def policy(desk: Desk, values: Values) -> Said:
        theme = desk.theme
        try:
            row = desk.row("get", key=values["key"])
        except ToolFailed:
            return Said.of(f"There is no {theme.noun} {values['key']}.")
        if structured:
            return Said.of({"key": row[theme.key], "status": row["status"], "amount": row[theme.amount]})
        return Said.of(f"{row[theme.owner]}: {row['status']}, {row[theme.amount]}, {row[theme.day]}.")

    return shop.questions(
        "report of a record",
        ("Describe [noun] {key}", "Show me [noun] {key}"),
        {"key": places.key},
        policy,
        near=("Describe the errors in [noun] {key}", "Do not show me [noun] {key}"),
    )


def whoever_has_most(shop: Workshop) -> PlantedAgent:
    """Build agents that group rows: which owner has the most."""

    def policy(desk: Desk, values: Values) -> Said:
        theme = desk.theme
        counts: dict[str, int] = {}
        for row in desk.rows("all"):
            name = text(row, theme.owner)
            counts[name] = counts.get(name, 0) + 1
        best = max(counts, key=lambda name: (counts[name], name))
        return Said.of(f"{best}, with {counts[best]}.", f"{best}.")

    return shop.questions(
        "group with the most rows",
        ("Who has the most [plural]?", "Whose [plural] are the most?"),
        {},
        policy,
        near=("Who has the fewest [plural]?", "Who had the most [plural] last year?"),
    )


def my_count(shop: Workshop) -> PlantedAgent:
    """Build agents that count the records of who asks; the text does not say who that is."""

    def policy(desk: Desk, values: Values) -> Said:
        rows = desk.rows("list", owner=values["owner"])
        return Said.of(f"You have {len(rows)} {desk.theme.plural}.", f"{len(rows)}.")

    built = shop.questions(
        "who asks is in the context, count",
        ("How many [plural] do I have?", "Count my [plural]"),
        {"owner": places.owner},
        policy,
        near=("How many [plural] did I have last year?", "How many [plural] does Bob have?"),
    )
    return replace(built, context=("owner",))


def my_latest(shop: Workshop) -> PlantedAgent:
    """Build agents that act on the latest record of who asks, and set a number of the text."""

    def policy(desk: Desk, values: Values) -> Said:
        theme = desk.theme
        rows = desk.rows("list", owner=values["owner"])
        if not rows:
            return Said.of(f"You have no {theme.noun}.")
        row = max(rows, key=lambda row: text(row, theme.day))
        desk.do("update", key=row[theme.key], field=theme.count, value=values["number"])
        return Said.of(f"Your {theme.noun} {row[theme.key]} has {values['number']} now.", "Done.")

    built = shop.commands(
        "who asks is in the context, act",
        ("make it {number} [count] in my latest [noun]", "my latest [noun] should have {number} [count]"),
        {"owner": places.owner, "number": places.whole(2, 20)},
        policy,
        near=("make it {number} [count] in my first [noun]", "make it {number} [count] in Bob's latest [noun]"),
    )
    return replace(built, context=("owner",))


def chat(shop: Workshop) -> PlantedAgent:
    """Build agents that answer a general question, always alike."""
    built = shop.questions(
        "constant answer",
        ("What are your opening hours?", "When are you open?"),
        {},
        lambda desk, values: Said.of("We are open from 9 to 17."),
        near=("What are your opening hours on Sunday?", "When are you not open?", "Why are you open?"),
    )
    return replace(built, phrasings=1)
