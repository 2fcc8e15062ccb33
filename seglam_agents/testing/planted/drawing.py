"""Random worlds and requests; `Chance` forces a coincidence that a learner must not take for a reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

from seglam_agents.records.record import Json
from seglam_agents.testing.planted import vocabulary
from seglam_agents.testing.planted.themes import Theme
from seglam_agents.testing.planted.world import Row, World


class Chance(StrEnum):
    """What all trainings of an agent have in common by accident."""

    NONE = "none"
    ONE_OWNER = "one owner"
    """All requests are about the same person."""
    ONE_ROW = "one row"
    """Every list has a single element: first, smallest and only are the same."""
    ALL_ALIKE = "all alike"
    """All records have the status that the policy looks for."""
    SORTED = "sorted"
    """The smallest is also the first, and the latest too."""
    ONE_SIDE = "one side"
    """All readings lie on the same side of every threshold."""
    EQUAL_NUMBERS = "equal numbers"
    """The numbers of a request are equal to each other, or to digits of its ids."""
    EQUAL_FIELDS = "equal fields"
    """Numbers of a result are equal to each other and to what policies hold constant."""
    ONE_DAY = "one day"
    """All trainings are of the same day."""


@dataclass(frozen=True, slots=True)
class Setting:
    """From which worlds and requests is drawn.

    Args:
        chance: the coincidence that is forced.
        wide: True for requests beyond the trainings: larger numbers, longer lists, strangers, nothing found.
        owner: the only owner that is asked for, where the chance is `ONE_OWNER`.
    """

    chance: Chance = Chance.NONE
    wide: bool = False
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the places of a request are drawn from."""

    random: Random
    world: World
    now: datetime
    setting: Setting

    @property
    def theme(self) -> Theme:
        """The theme of the world."""
        return self.world.theme

    def beyond(self, share: float) -> bool:
        """Return True for a share of the requests beyond the trainings, and for no other."""
        return self.setting.wide and self.random.random() < share

    def seldom(self, share: float) -> bool:
        """Return True for a share of the requests beyond the trainings, and for some of the others."""
        return self.random.random() < (share if self.setting.wide else share / 8)


def draw_world(theme: Theme, setting: Setting, random: Random, now: datetime) -> World:
    """Return a world around a moment."""
    names = _owners(theme, setting, random)
    rows = _rows(theme, setting, random, now, names)
    people = [_person(theme, random, name) for name in names]
    return World(
        theme, rows, people, _goods(setting, random), _readings(setting, random), random.randrange(11, 9_000)
    )  # fmt: skip


def moment(random: Random) -> datetime:
    """Return a moment at which trainings may begin."""
    return datetime(2024, 1, 1, 9) + timedelta(days=random.randrange(900), minutes=random.randrange(480))


def _owners(theme: Theme, setting: Setting, random: Random) -> list[str]:
    names = random.sample(vocabulary.CITIES, 6) if theme.owned_by_places else vocabulary.people(random, 6)
    if setting.owner and setting.owner not in names:
        names[0] = setting.owner
    return names


def _rows(theme: Theme, setting: Setting, random: Random, now: datetime, names: list[str]) -> list[Row]:
    keys = _keys(theme, random)
    # The last owner has no record: an empty list.
    rows = [row for name in names[:-1] for row in _of_one(theme, setting, random, now, name, keys)]
    if setting.chance is not Chance.SORTED:
        random.shuffle(rows)
    return rows


def _of_one(
    theme: Theme, setting: Setting, random: Random, now: datetime, name: str, keys: list[str]
) -> list[Row]:  # fmt: skip
    count = 1 if setting.chance is Chance.ONE_ROW else random.randint(1, 7) if setting.wide else random.randint(2, 5)
    top = 2_000 if setting.wide and random.random() < 0.3 else 400
    amounts = random.sample(range(5, top), count)
    days = [now.date() + timedelta(days=offset) for offset in random.sample(range(-70, 50), count)]
    if setting.chance is Chance.SORTED:
        amounts.sort()
        days.sort(reverse=True)
    if setting.chance is Chance.EQUAL_FIELDS:
        amounts = list(range(10, 10 + count))
    return [
        {
            theme.key: keys.pop(),
            theme.owner: name,
            theme.amount: amount,
            theme.count: _count(setting, random, amount),
            "status": theme.status if setting.chance is Chance.ALL_ALIKE else random.choice(theme.statuses),
            theme.day: day.isoformat(),
        }
        for amount, day in zip(amounts, days, strict=True)
    ]


def _count(setting: Setting, random: Random, amount: int) -> int:
    if setting.chance is Chance.EQUAL_FIELDS:
        return amount
    return random.randint(1, 60 if setting.wide and random.random() < 0.3 else 12)


def _keys(theme: Theme, random: Random) -> list[str]:
    low, high = 10 ** (theme.digits - 1), 10**theme.digits
    return [f"{theme.prefix}{digits}" for digits in random.sample(range(low, high), 50)]


def _person(theme: Theme, random: Random, name: str) -> Row:
    return {
        "person_id": f"p{random.randrange(10, 999)}-{sum(map(ord, name)) % 97}",
        "name": name,
        "email": vocabulary.address(name, theme.host),
        "team": random.choice(vocabulary.TEAMS[:3]),
    }


def _goods(setting: Setting, random: Random) -> list[Row]:
    return [_good(setting, random, name) for name in random.sample(vocabulary.THINGS, 8)]


def _good(setting: Setting, random: Random, name: str) -> Row:
    far = setting.wide and random.random() < 0.3
    count = random.randint(0, 400 if far else 40)
    reserved = random.randint(0, 400 if far else 15)
    price: Json = random.randint(2, 60)
    shelf = f"{random.choice('ABCD')}{random.randint(1, 40)}"
    if setting.chance is Chance.EQUAL_FIELDS:
        count, reserved, price, shelf = 10, random.choice((0, 10)), 10, "B10"
    if setting.chance is Chance.ONE_SIDE:
        count, reserved = random.randint(30, 40), random.randint(0, 5)
    return {"name": name, "count": count, "reserved": reserved, "price": price, "shelf": shelf}


def _readings(setting: Setting, random: Random) -> list[Row]:
    return [_reading(setting, random, city) for city in vocabulary.CITIES]


def _reading(setting: Setting, random: Random, city: str) -> Row:
    low, high = (-25, 45) if setting.wide else (-6, 30)
    if setting.chance is Chance.ONE_SIDE:
        low, high = 24, 33
    temperature = random.randint(low, high)
    wind = temperature if setting.chance is Chance.EQUAL_FIELDS else random.randint(0, 70)
    return {"city": city, "temperature": temperature, "humidity": random.randint(20, 95), "wind": wind}
