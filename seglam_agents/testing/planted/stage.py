"""`Stage`: the tools of a planted agent as a host has them, on a world and at a moment that can be changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from seglam_agents.cache import HostTool
from seglam_agents.records.outcome import Outcome
from seglam_agents.records.request import Request
from seglam_agents.records.values import Value, encode
from seglam_agents.testing.planted.agent import Ask, PlantedAgent
from seglam_agents.testing.planted.tools import PlantedTool
from seglam_agents.testing.planted.world import World, Write


class Stage:
    """Where a cache that learns from a planted agent finds its tools and its clock.

    ```python
    stage = Stage(agent)
    cache = ReasoningCache(tools=stage.tools(), now=stage.now)
    outcome, writes = stage.play(ask, cache.lookup)
    ```
    """

    def __init__(self, agent: PlantedAgent) -> None:
        self._agent = agent
        self._world: World | None = None
        self._now = datetime(2024, 1, 1)

    def tools(self) -> list[HostTool]:
        """Return every tool of the agent, bound to the world of the request that is played."""
        return [HostTool(planted.tool, self._function(planted)) for planted in self._agent.tools.values()]

    def now(self) -> datetime:
        """Return the moment of the request that is played."""
        return self._now

    def at(self, moment: datetime) -> None:
        """Set the clock, as for a run that is observed."""
        self._now = moment

    def play(self, ask: Ask, serve: Callable[[Request], Outcome]) -> tuple[Outcome, list[Write]]:
        """Let a request be served on its world, and return the outcome with what was written."""
        self._world, self._now = ask.world.copy(), ask.now
        outcome = serve(ask.request)
        return outcome, self._world.writes

    def _function(self, planted: PlantedTool) -> Callable[..., Value]:
        def function(**arguments: Value) -> Value:
            if self._world is None:
                raise RuntimeError("no request is being played")
            return planted.call(self._world, {name: encode(value) for name, value in arguments.items()})

        return function
