"""The analytics of a web site: visits, and the plots made of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean
from typing import ClassVar

from benchmarks.workbench.declaring import declare, not_a, text
from benchmarks.workbench.table import Row, read_csv
from seglam_agents.cache import HostTool
from seglam_agents.records.record import Json

COLUMNS = ("date_of_visit", "visitor_id", "page_views", "session_duration_seconds", "traffic_source", "user_engaged")
PLOT_TYPES = ("bar", "line", "scatter", "histogram")
SOURCES = ("direct", "referral", "search engine", "social media")
VALUES_TO_PLOT = (
    "total_visits",
    "session_duration_seconds",
    "user_engaged",
    "visits_direct",
    "visits_referral",
    "visits_search_engine",
    "visits_social_media",
)
PERIOD = {
    "time_min": text('First day. Format: "YYYY-MM-DD".'),
    "time_max": text('Last day. Format: "YYYY-MM-DD".'),
}

VISITOR = declare(
    "analytics_get_visitor_information_by_id",
    "Returns the visits of a visitor, as a list.",
    {"visitor_id": text("Id of the visitor.")},
    required=["visitor_id"],
)
PLOT = declare(
    "analytics_create_plot",
    "Plots a value over a period, and returns the path of the plot.",
    {
        **PERIOD,
        "value_to_plot": text("What to plot.", VALUES_TO_PLOT),
        "plot_type": text("Type of the plot.", PLOT_TYPES),
    },
    effect="write",
    required=["time_min", "time_max", "value_to_plot", "plot_type"],
)
VISITS = declare("analytics_total_visits_count", "Counts the visits per day of a period: {day: number}.", PERIOD)
ENGAGED = declare(
    "analytics_engaged_users_count", "Counts the engaged users per day of a period: {day: number}.", PERIOD
)
TRAFFIC = declare(
    "analytics_traffic_source_count",
    "Counts the visits from one traffic source (or all) per day of a period: {day: number}.",
    {**PERIOD, "traffic_source": text("Where the visits came from.", SOURCES)},
)
DURATION = declare(
    "analytics_get_average_session_duration",
    "Averages the seconds of a session per day of a period: {day: seconds}.",
    PERIOD,
)


class Analytics:
    """The visits, which nothing changes, and the plots made so far."""

    NAME: ClassVar[str] = "analytics"
    FILE: ClassVar[str] = "analytics_data.csv"

    def __init__(self, visits: Iterable[Row] = (), plots: Iterable[str] = ()) -> None:
        self.visits = tuple(visits)
        self.plots = list(plots)

    @classmethod
    def read(cls, path: Path) -> Analytics:
        """Read the visits."""
        return cls(read_csv(path, COLUMNS))

    def copy(self) -> Analytics:
        """Return analytics with plots of their own."""
        twin = Analytics(plots=self.plots)
        twin.visits = self.visits
        return twin

    def snapshot(self) -> Json:
        """Return the plots, in no order: the visits cannot change."""
        return list[Json](sorted(self.plots))

    def tools(self) -> list[HostTool]:
        """Return the tools of the analytics."""
        return [
            HostTool(VISITOR, self.get_visitor_information_by_id),
            HostTool(PLOT, self.create_plot),
            HostTool(VISITS, self.total_visits_count),
            HostTool(ENGAGED, self.engaged_users_count),
            HostTool(TRAFFIC, self.traffic_source_count),
            HostTool(DURATION, self.get_average_session_duration),
        ]

    def vocabulary(self) -> dict[str, tuple[str, ...]]:
        """Return the traffic sources."""
        return {"traffic_source": SOURCES}

    def get_visitor_information_by_id(self, visitor_id: str = "") -> list[Row] | str:
        """Return the visits of a visitor."""
        found = [dict(visit) for visit in self.visits if visit["visitor_id"] == visitor_id]
        return found or "Visitor not found."

    def create_plot(self, time_min: str = "", time_max: str = "", value_to_plot: str = "", plot_type: str = "") -> str:
        """Make a plot: its path says all about it."""
        if not time_min or not time_max:
            return "Start or end date not provided."
        if value_to_plot not in VALUES_TO_PLOT:
            return not_a("Value to plot", VALUES_TO_PLOT)
        if plot_type not in PLOT_TYPES:
            return not_a("Plot type", PLOT_TYPES)
        path = f"plots/{time_min}_{time_max}_{value_to_plot}_{plot_type}.png"
        self.plots.append(path)
        return path

    def total_visits_count(self, time_min: str | None = None, time_max: str | None = None) -> dict[str, int]:
        """Count the visits of each day."""
        return self._counts(time_min, time_max, lambda visit: True)

    def engaged_users_count(self, time_min: str | None = None, time_max: str | None = None) -> dict[str, int]:
        """Count the engaged users of each day."""
        return self._counts(time_min, time_max, lambda visit: visit["user_engaged"] == "True")

    def traffic_source_count(
        self, time_min: str | None = None, time_max: str | None = None, traffic_source: str | None = None
    ) -> dict[str, int]:
        """Count the visits of each day that came from a source."""
        return self._counts(time_min, time_max, lambda visit: traffic_source in (None, "", visit["traffic_source"]))

    def get_average_session_duration(
        self, time_min: str | None = None, time_max: str | None = None
    ) -> dict[str, float]:
        """Average the duration of the sessions of each day."""
        days = self._days(time_min, time_max)
        return {day: fmean(float(visit["session_duration_seconds"]) for visit in days[day]) for day in sorted(days)}

    def _counts(self, time_min: str | None, time_max: str | None, counts: Callable[[Row], bool]) -> dict[str, int]:
        days = self._days(time_min, time_max)
        return {day: sum(map(counts, days[day])) for day in sorted(days)}

    def _days(self, time_min: str | None, time_max: str | None) -> dict[str, list[Row]]:
        days: defaultdict[str, list[Row]] = defaultdict(list)
        for visit in self.visits:
            if (time_min or "") <= visit["date_of_visit"] <= (time_max or "9999"):
                days[visit["date_of_visit"]].append(visit)
        return days
