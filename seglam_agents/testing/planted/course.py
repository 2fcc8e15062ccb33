"""`Course`: the trainings of one agent in the order of time, and the fresh requests that come afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from seglam_agents.records.trace import Trace
from seglam_agents.testing.planted import vocabulary
from seglam_agents.testing.planted.agent import Ask, PlantedAgent, later
from seglam_agents.testing.planted.drawing import Chance, Drawing, Setting, draw_world, moment
from seglam_agents.testing.planted.families import GROUPS, Build
from seglam_agents.testing.planted.workshop import Workshop

FORCED = 3
"""One of so many courses has a forced coincidence."""
BEYOND = 3
"""One of so many fresh requests lies beyond the trainings."""
_LISTS = (Chance.ONE_ROW, Chance.ALL_ALIKE, Chance.SORTED)
_CHANCES: dict[str, tuple[Chance, ...]] = {
    "owner": (Chance.ONE_OWNER, *_LISTS, Chance.EQUAL_FIELDS),
    "name": (Chance.ONE_OWNER, *_LISTS),
    "key": (Chance.ALL_ALIKE, Chance.EQUAL_FIELDS, Chance.EQUAL_NUMBERS),
    "city": (Chance.ONE_SIDE, Chance.EQUAL_FIELDS),
    "item": (Chance.ONE_SIDE, Chance.EQUAL_FIELDS),
    "number": (Chance.EQUAL_NUMBERS,),
}
"""Which coincidences can matter to an agent whose requests have such a place."""


@dataclass(frozen=True, slots=True)
class Course:
    """One agent with everything that it is asked, decided by a seed.

    Args:
        agent: the agent.
        chance: the coincidence that all its trainings share.
        seed: decides worlds, requests and days.
        steady: True where the data stay the same from training to training.
    """

    agent: PlantedAgent
    chance: Chance
    seed: int
    steady: bool

    def trainings(self, count: int) -> list[Trace]:
        """Return the first runs, oldest first. More of them begin with the same ones."""
        return [self.agent.run(ask, Random(f"{self.seed} said {place}")) for place, ask in enumerate(self.asked(count))]

    def asked(self, count: int) -> list[Ask]:
        """Return the requests of the trainings."""
        random = Random(f"{self.seed} trainings")
        setting = self._setting(random)
        now = moment(random)
        first = draw_world(self.agent.theme, setting, random, now)
        found: list[Ask] = []
        for _ in range(count):
            now = later(now, random, 0 if self.chance is Chance.ONE_DAY else 9)
            world = first if self.steady else draw_world(self.agent.theme, setting, random, now)
            found.append(self.agent.ask(Drawing(random, world, now, setting)))
        return found

    def fresh(self, count: int, runs: int) -> list[Ask]:
        """Return requests of the agent's kind on other data and another day, after so many trainings."""
        return [self.agent.ask(drawing) for drawing in self._drawings(f"fresh {runs}", count, runs)]

    def strangers(self, count: int, runs: int) -> list[Ask]:
        """Return requests that look like the agent's and are none, after so many trainings."""
        drawings = self._drawings(f"strangers {runs}", count, runs)
        return [self.agent.ask(drawing, self.agent.near) for drawing in drawings]

    def _drawings(self, label: str, count: int, runs: int) -> Iterator[Drawing]:
        random = Random(f"{self.seed} {label}")
        start = self.asked(runs)[-1].now
        for _ in range(count):
            now = later(start, random, 300)
            setting = Setting(wide=random.randrange(BEYOND) == 0)
            yield Drawing(random, draw_world(self.agent.theme, setting, random, now), now, setting)

    def _setting(self, random: Random) -> Setting:
        owner = random.choice(vocabulary.CITIES) if self.agent.theme.owned_by_places else vocabulary.person(random)
        return Setting(self.chance, owner=owner)


def draw_courses(count: int, seed: int) -> list[Course]:
    """Return random courses: each group of families as often as the others, and in it each family."""
    random = Random(f"{seed} families")
    drawn = [_endless(group, random) for group in GROUPS]
    order = [next(drawn[place % len(drawn)]) for place in range(count)]
    random.shuffle(order)
    return [draw_course(family, f"{seed} {place}") for place, family in enumerate(order)]


def draw_course(family: Build, seed: str) -> Course:
    """Return a random course of one family."""
    random = Random(f"{seed} course")
    agent = family(Workshop(random))
    forced = random.randrange(FORCED) == 0
    chance = random.choice(_chances(agent)) if forced else Chance.NONE
    return Course(agent, chance, random.randrange(2**32), steady=random.random() < 0.4)


def _endless(group: Sequence[Build], random: Random) -> Iterator[Build]:
    while True:
        yield from random.sample(group, len(group))


def _chances(agent: PlantedAgent) -> list[Chance]:
    fitting = [chance for name in agent.places for chance in _CHANCES.get(name, ())]
    return [*dict.fromkeys(fitting), Chance.ONE_DAY]
