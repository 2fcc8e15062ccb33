"""What stands in the places of planted requests: owners, keys, numbers, codes, free texts."""

from __future__ import annotations

from collections.abc import Mapping

from seglam_agents.records.record import Json
from seglam_agents.testing.planted import vocabulary
from seglam_agents.testing.planted.agent import Place, Spelled
from seglam_agents.testing.planted.drawing import Chance, Drawing


def owner(drawing: Drawing) -> Spelled:
    """An owner of records; now and then one without any."""
    world, setting = drawing.world, drawing.setting
    owners = list(dict.fromkeys(str(row[drawing.theme.owner]) for row in world.rows))
    if setting.chance is Chance.ONE_OWNER and setting.owner in owners:
        return _plain(setting.owner)
    if drawing.seldom(0.3):
        return _plain(str(world.people[-1]["name"]))
    return _plain(drawing.random.choice(owners))


def person(drawing: Drawing) -> Spelled:
    """A person of the directory; now and then a stranger."""
    if drawing.seldom(0.12):
        return _plain(vocabulary.person(drawing.random))
    if drawing.setting.chance is Chance.ONE_OWNER:
        return _plain(str(drawing.world.people[0]["name"]))
    return _plain(str(drawing.random.choice(drawing.world.people)["name"]))


def key(drawing: Drawing) -> Spelled:
    """The key of a record; now and then one that does not exist."""
    theme = drawing.theme
    if drawing.seldom(0.12):
        return _plain(f"{theme.prefix}{drawing.random.randrange(10**theme.digits)}")
    return _plain(str(drawing.random.choice(drawing.world.rows)[theme.key]))


def item(drawing: Drawing) -> Spelled:
    """Goods that are in stock; now and then unknown ones."""
    if drawing.seldom(0.12):
        return _plain(drawing.random.choice(vocabulary.THINGS))
    return _plain(str(drawing.random.choice(drawing.world.goods)["name"]))


def city(drawing: Drawing) -> Spelled:
    """A city."""
    return _plain(drawing.random.choice(vocabulary.CITIES))


def team(drawing: Drawing) -> Spelled:
    """A team of the directory."""
    return _plain(drawing.random.choice(vocabulary.TEAMS[: 5 if drawing.setting.wide else 3]))


def whole(low: int, high: int) -> Place:
    """A number between two, from a wider range for a part of the fresh requests."""

    def place(drawing: Drawing) -> Spelled:
        if drawing.setting.chance is Chance.EQUAL_NUMBERS:
            # A number that a key of the data ends in: the request and its ids then hold it twice.
            return _number(3 if low <= 3 <= high else low)
        if drawing.beyond(0.5):
            return _number(drawing.random.randint(high, high * 12))
        return _number(drawing.random.randint(low, high))

    return place


def hundreds(low: int, high: int) -> Place:
    """A round number."""

    def place(drawing: Drawing) -> Spelled:
        steps = drawing.random.randint(low // 10, high // 10)
        return _number(10 * (steps * 7 if drawing.beyond(0.3) else steps))

    return place


def errand(drawing: Drawing) -> Spelled:
    """A free text that says what to do."""
    return _plain(vocabulary.errand(drawing.random))


def subject(drawing: Drawing) -> Spelled:
    """A free text that names a subject."""
    return _plain(vocabulary.subject(drawing.random))


def quoted(drawing: Drawing) -> Spelled:
    """A free text in quotation marks."""
    words = vocabulary.subject(drawing.random)
    return Spelled(words, f'"{words}"')


def word(meanings: Mapping[str, Json], *, narrow: int | None = None) -> Place:
    """A word of a closed set, which stands for a value.

    Args:
        meanings: the words with what they stand for.
        narrow: how many of them the trainings use; the others come with fresh requests alone.
    """

    def place(drawing: Drawing) -> Spelled:
        words = list(meanings)
        chosen = drawing.random.choice(words if drawing.setting.wide or narrow is None else words[:narrow])
        return Spelled(meanings[chosen], chosen)

    return place


def ticket(drawing: Drawing) -> Spelled:
    """The key of a record, chosen so that it ends in 3 where numbers are to be equal by chance."""
    if drawing.setting.chance is not Chance.EQUAL_NUMBERS:
        return key(drawing)
    keys = [str(row[drawing.theme.key]) for row in drawing.world.rows]
    return _plain(next((name for name in keys if name.endswith("3")), keys[0]))


def _plain(text: str) -> Spelled:
    return Spelled(text, text)


def _number(value: int) -> Spelled:
    return Spelled(value, str(value))
