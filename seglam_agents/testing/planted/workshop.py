"""`Workshop`: puts an agent of a family together from a theme, wordings, places and a policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from seglam_agents.testing.planted.agent import Place, PlantedAgent, Policy
from seglam_agents.testing.planted.themes import Theme, draw_theme
from seglam_agents.testing.planted.tools import PlantedTool, draw_tools

_COMMAND_BEFORE = (
    "Should I {core}?",
    "Do not {core}",
    "Don't {core}",
    "Never {core}",
    "Who asked you to {core}?",
    "Explain how to {core}",
    "What happens if I {core}?",
    "Was it right to {core}?",
    "Stop me when I {core}",
)
_COMMAND_AFTER = (
    "{core} unless it is already done",
    "{core} if it is older than a year",
    "{core} but only after Friday",
    "{core} and then undo it",
    "{core}, except on holidays",
    "{core} every Monday",
    "{core} instead of the other one",
    "{core} as soon as Bob agrees",
    "{core}; no, rather not",
)
_QUESTION_AFTER = (
    "{core} excluding last year",
    "{core} apart from the first one",
    "{core} in 2019",
    "{core} not counting weekends",
    "{core} and who is to blame",
    "{core} compared with last year",
    "{core} if everything doubles",
    "{core} without the biggest",
    "{core} on average",
)
_FRAMES = ("Please {core}", "{core} please", "Could you {core}?", "{core} now, please")
_ASKING = ("{core}", "Tell me: {core}", "{core} Thanks!")


class Workshop:
    """What the builders of families work with: a theme, its tools, and the randomness of one agent."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.theme: Theme = draw_theme(random)
        self.tools: Mapping[str, PlantedTool] = draw_tools(self.theme, random)

    def pick(self, *values: str) -> str:
        """Return one of several."""
        return self.random.choice(values)

    def commands(
        self,
        family: str,
        cores: Sequence[str],
        places: Mapping[str, Place],
        policy: Policy,
        *,
        near: Sequence[str] = (),
        free_tail: bool = False,
    ) -> PlantedAgent:
        """Return an agent that does something.

        Args:
            family: its name.
            cores: wordings in the imperative, without a frame and without a full stop.
            places: what stands in their places.
            policy: what the agent does.
            near: more requests that are none of this kind.
            free_tail: True where the wordings end in free text.
        """
        filled = [self.theme.fill(core) for core in cores]
        wordings = self._framed(filled, _FRAMES)
        changed = _COMMAND_BEFORE if free_tail else _COMMAND_BEFORE + _COMMAND_AFTER
        return self._agent(family, wordings, filled, changed, places, policy, near, free_tail)

    def questions(
        self,
        family: str,
        cores: Sequence[str],
        places: Mapping[str, Place],
        policy: Policy,
        *,
        near: Sequence[str] = (),
    ) -> PlantedAgent:
        """Return an agent that tells something. Its wordings may end in a question mark. See `commands`."""
        filled = [self.theme.fill(core) for core in cores]
        return self._agent(family, self._framed(filled, _ASKING), filled, _QUESTION_AFTER, places, policy, near, False)

    def _framed(self, cores: Sequence[str], frames: Sequence[str]) -> list[str]:
        # Most hosts word their requests alike: a form, a button, a job. Others have users.
        count = min(self.random.choice((1, 1, 1, 1, 2, 2, 3)), len(cores))
        chosen = self.random.sample(list(cores), count)
        framed = [_in(self.random.choice(frames), core) for core in chosen if self.random.random() < 0.15]
        return [*chosen, *chosen, *chosen, *framed]

    def _agent(
        self,
        family: str,
        wordings: Sequence[str],
        cores: Sequence[str],
        changed: Sequence[str],
        places: Mapping[str, Place],
        policy: Policy,
        near: Sequence[str],
        free_tail: bool,
    ) -> PlantedAgent:
        others = [_in(frame, core) for core in cores for frame in changed]
        others += [self.theme.fill(template) for template in near] * 3
        return PlantedAgent(
            family=family,
            theme=self.theme,
            tools=self.tools,
            wordings=tuple(wordings),
            near=tuple(others),
            places=places,
            policy=policy,
            free_tail=free_tail,
            phrasings=self.random.choice((1, 1, 1, 2)),
        )


def _in(frame: str, core: str) -> str:
    """Return a wording in a frame, with its capital letter and its question mark where they belong."""
    inner = core
    if not frame.startswith("{core}"):
        inner = core if core[:2].isupper() or core.startswith("{") else core[:1].lower() + core[1:]
    asks = inner.endswith("?") and not frame.startswith(("Tell me", "{core} Thanks")) and frame != "{core}"
    inner = inner.rstrip("?") if asks or (inner.endswith("?") and frame.endswith("?")) else inner
    return frame.replace("{core}", inner) + ("?" if asks and not frame.endswith("?") else "")
