"""Procedures made up by a program: as many as wanted, all different, the same ones every time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.guards.slots import slot
from seglam_agents.records.entry import AdmissionReport, Check, Entry
from seglam_agents.records.procedure import GuardSource, Procedure, Provenance

SLOT_TYPES = ("count", "number", "money", "percent", "person", "weekday")
SHORTEST, LONGEST = 60, 400
"""Characters of a template."""


@dataclass(frozen=True, slots=True)
class Generated:
    """A stored procedure, and how to word a request for it."""

    entry: Entry
    parts: tuple[str, ...]
    """The literal texts before, between and after the slots."""
    types: tuple[str, ...]

    def request(self, rng: Random) -> str:
        """Return a request with fresh values; persons differ from each other."""
        seen: set[str] = set()
        texts = [self.parts[0]]
        for kind, after in zip(self.types, self.parts[1:], strict=True):
            value = _fresh(kind, rng, seen)
            seen.add(value)
            texts += [value, after]
        return "".join(texts)


def generated(number: int) -> Generated:
    """Return the procedure of a number."""
    rng = Random(f"procedure {number}")
    types = ["count", *(rng.choice(SLOT_TYPES) for _ in range(rng.randint(1, 7)))]
    parts = _parts(rng, len(types), number)
    template = parts[0] + "".join(f"{{v{i}:{kind}}}{parts[i + 1]}" for i, kind in enumerate(types))
    guard = GuardSource(templates=(template,))
    procedure = Procedure(
        id=f"generated-{number:06}",
        name=f"generated_{number}",
        guard=guard,
        body=_body(types, rng),
        parameters=TemplateGuard(guard).parameters(),
        provenance=Provenance(compiler="generated"),
    )
    report = AdmissionReport(checks=(Check(name="replay", verdict="passed", evidence="generated", cases=1),))
    return Generated(Entry(procedure=procedure, status="active", report=report), tuple(parts), tuple(types))


def procedures(count: int) -> Iterator[Generated]:
    """Yield the first `count` procedures."""
    return (generated(number) for number in range(count))


def foreign_request(rng: Random) -> str:
    """Return a request of the same words and values that no procedure is meant for."""
    words = [_filler(rng, rng.randint(2, 6)) for _ in range(rng.randint(3, 8))]
    return "Tell me about " + " ".join(f"{text} {rng.randint(2, 900)}" for text in words) + " and why?"


def _parts(rng: Random, slots: int, number: int) -> list[str]:
    # The last words spell the number, so that no two templates are alike.
    base = len(_THINGS)
    name = f"{_THINGS[number % base]} {_THINGS[number // base % base]} {_THINGS[number // base // base % base]}"
    room = rng.randint(SHORTEST, LONGEST - 120) - 16 * slots
    each = max(1, room // (7 * (slots + 1)))
    inner = [f" {_filler(rng, max(1, each + rng.randint(-1, 1)))} " for _ in range(slots - 1)]
    first = _filler(rng, each).capitalize() + " "
    return [first, *inner, f" {_filler(rng, 1)}. How many {name} are there in all?"]


def _filler(rng: Random, words: int) -> str:
    return " ".join(rng.choice(_WORDS if index % 2 else _THINGS) for index in range(words))


def _fresh(kind: str, rng: Random, seen: set[str]) -> str:
    found = slot(kind)
    while True:
        # A request mixes no currencies, and a count has no special spelling.
        text = f"${rng.randint(100, 99_999) / 100:.2f}" if kind == "money" else found.render(found.sample(rng))
        if text not in seen:
            return text


def _body(types: list[str], rng: Random) -> str:
    arguments = ", ".join(f"v{index}" for index in range(len(types)))
    terms = [_term(f"v{index}", kind, rng) for index, kind in enumerate(types)]
    lines = [f"    total += {term}" for term in terms]
    return "\n".join(
        [
            f"def run({arguments}):",
            f"    total = {rng.randint(1, 50)}",
            *lines,
            f"    rate = {rng.choice((0.05, 0.1, 0.25))}",
            "    if total > 1000:",
            "        total = total - total * rate",
            "    return round(total, 2)",
            "",
        ]
    )


def _term(name: str, kind: str, rng: Random) -> str:
    match kind:
        case "money":
            return f"{name}.amount * {rng.randint(1, 9)}"
        case "percent":
            return f"{name} / 100 * {rng.randint(2, 90)}"
        case "person" | "weekday":
            return f"len({name})"
        case _:
            return f"{name} * {rng.randint(1, 9)}"


_WORD_LIST = """
    buys sells carries counts stores sorts paints repairs collects delivers orders packs loads washes plants harvests
    measures cuts bakes boils freezes prints binds copies reads writes sends receives lends borrows returns trades
    with from near behind under beside towards beyond against without during before after while because although
"""
_THING_LIST = """
    apples bottles boxes bricks brushes buckets buttons cables candles carpets chairs clocks coats coins cookies cups
    curtains desks dishes doors drums envelopes erasers fences flowers folders forks frames gloves guitars hammers
    hats helmets jackets jars kettles keys kites ladders lamps lanterns leaves lemons letters magnets maps marbles
    mirrors mugs nails napkins needles notebooks onions ovens paddles pages pearls pebbles pencils pillows pipes plates
    poles posters potatoes pumpkins puzzles radios ribbons ropes rulers saddles sails scarves screws seeds shelves
    shirts shoes shovels signs skates socks spoons stamps statues stickers stools straps tables tents tickets tiles
    tools towels trays trumpets tulips umbrellas vases wagons wallets wheels whistles windows wires zippers
"""
_WORDS, _THINGS = _WORD_LIST.split(), _THING_LIST.split()
