"""`Drivers`: one driver a cache, for a host that serves several tenants, under whatever its agents are told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field, replace

from seglam_agents.flow import Flow, host
from seglam_agents.hosting.accounting import Accounting, Price, SavingsReport
from seglam_agents.hosting.base import HostedCache
from seglam_agents.hosting.decision import Decision
from seglam_agents.hosting.driver import MAX_COUNTED, Driver
from seglam_agents.hosting.history import Posed
from seglam_agents.hosting.journal import Journal
from seglam_agents.hosting.kept import Kept
from seglam_agents.hosting.learner import Learner, Learning
from seglam_agents.hosting.safety import unharmed
from seglam_agents.hosting.traces import Unclean
from seglam_agents.hosting.turn import RETOLD, Turn, View, retold
from seglam_agents.records.outcome import Learned
from seglam_agents.records.trace import Trace

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Drivers:
    """One driver a cache, for a host that serves several tenants, and what learns for all of them.

    Args:
        price: what the model costs.
        learning: when runs are learnt from.
        on_learned: told what came of each run that was learnt from, in the thread that learns.
    """

    price: Price | None = None
    learning: InitVar[Learning] = "inline"
    on_learned: Callable[[Trace, Learned], None] | None = None
    learner: Learner[HostedCache] = field(init=False)
    _counted: Kept[bool] = field(default_factory=lambda: Kept(MAX_COUNTED))
    _stray: bool = False
    _drivers: dict[str, Driver] = field(default_factory=dict[str, Driver])

    def __post_init__(self, learning: Learning) -> None:
        self.learner = Learner(learning, self._learned)

    def of(self, cache: HostedCache) -> Driver:
        """Return the driver of a cache; caches of one scope and store are counted and noted together."""
        known = self._drivers.get(cache.scope.key)
        if known is not None and known.journal.store is cache.store:
            return known if known.cache is cache else replace(known, cache=cache)
        driver = Driver(cache, Accounting(cache, self.price), Journal(cache.store, cache.scope), self._counted)
        self._drivers[cache.scope.key] = driver
        return driver

    def known(self, cache: HostedCache | None) -> Driver | None:
        """Return the driver of a cache, under whatever instructions; None without a cache."""
        return self.of(cache) if cache is not None else None

    def under(self, cache: HostedCache | None, turn: Turn) -> Driver | None:
        """Return the driver of a cache under what the agent is told in a turn; None where that varies."""
        under = cache.under(turn.instructions) if cache is not None else None
        under = under.later() if under is not None and turn.later else under
        return self.of(under) if under is not None else None

    def step(
        self,
        cache: HostedCache,
        turn: Turn,
        asked: Callable[[], Posed],
        view: View,
        *,
        told: str | None,
        pure: bool = False,
    ) -> Decision:
        """Return what happens now in a turn whose agent is told this at this step. See `Driver.step`.

        Args:
            cache: whose procedures, under any instructions.
            turn: as the host keeps it.
            asked: makes the request.
            view: what the host shows.
            told: digest of what the agent is told; None where the host does not see it: as its cache was opened.
            pure: the host can run no calls.
        """
        turn = retold(turn, told)
        under = self.under(cache, turn)
        driver = under or self.of(cache)
        if turn.instructions != told and turn.status == "running":
            return driver.abandon(turn, view, RETOLD)
        return driver.step(turn, asked, view if under is not None else replace(view, switch="off"), pure=pure)

    def savings(self, cache: HostedCache) -> SavingsReport:
        """Return what the procedures of a cache saved since this process began."""
        return self.of(cache).accounting.report()

    def learn(self, cache: HostedCache | None, trace: Trace | Unclean | None) -> Flow[None]:
        """Learn from a trace, if it is one. Never raises."""
        if cache is None or not isinstance(trace, Trace):
            logger.info("not learnt from: %s", trace.reason if isinstance(trace, Unclean) else "nothing was seen")
            return
        self._look_at_tools(cache, trace)
        learner = self.learner
        yield from host(lambda: learner.learn(cache, trace), lambda: learner.alearn(cache, trace))

    def _look_at_tools(self, cache: HostedCache, trace: Trace) -> None:
        """Tell once that runs call what their cache was not told of: no other reason says so."""
        with unharmed("the tools of a run cannot be compared"):
            stray = sorted({call.tool for call in trace.calls} - set(cache.tools))
            if stray and not self._stray and self.learner.learning != "off":
                self._stray = True
                logger.warning(
                    "runs call %s, which their cache was not told of, so that nothing is learnt from them: "
                    "open it with tools=, which host_tools() of the adapter makes of the agent's own",
                    " and ".join(stray),
                )

    def _learned(self, cache: HostedCache, trace: Trace, learned: Learned) -> None:
        self.of(cache).accounting.learned(trace, learned)
        if self.on_learned is not None:
            self.on_learned(trace, learned)
