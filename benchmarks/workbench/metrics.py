"""Which counts a careful agent reads before it decides whether, and what, to plot."""

from __future__ import annotations

import re

from benchmarks.workbench.analytics import SOURCES
from benchmarks.workbench.clock import LAST_DAY
from benchmarks.workbench.mentions import find_mentions
from benchmarks.workbench.periods import named_days
from seglam_agents.records.outcome import Call
from seglam_agents.records.record import Json

COMPARES = re.compile(
    r"\b(?:if|unless|whether|most|least|grew|grown)\b|\b(?:more|less|fewer|higher|lower)\b[^.?!]*\bthan\b",
    re.IGNORECASE,
)
"""Words of a request that depends on figures."""
SINCE = re.compile(r"\b(?:since|than|then|from|after|last|past)\b", re.IGNORECASE)
"""Words of a request whose one day is the first of a period, not all of it."""
ANY_SOURCE = re.compile(r"\b(?:traffic|visit)\s+sources?\b|\bsources? of traffic\b", re.IGNORECASE)
METRICS = {
    "analytics_total_visits_count": re.compile(r"\b(?:visits?|visitors|traffic)\b", re.IGNORECASE),
    "analytics_engaged_users_count": re.compile(r"\bengage[dm]\w*", re.IGNORECASE),
    "analytics_get_average_session_duration": re.compile(r"\bsessions?\b", re.IGNORECASE),
}


def metric_reads(request: str, *, looks: bool) -> list[Call]:
    """Return the counts of everything that a request compares, over its period; nothing where it only says to plot.

    Args:
        request: its text.
        looks: whether to look even where the request does not say that it depends on figures.
    """
    if not looks and not COMPARES.search(request):
        return []
    period = metric_period(request)
    sources = _sources(request)
    if sources:
        return [Call("analytics_traffic_source_count", {**period, "traffic_source": source}) for source in sources]
    mentioned = [(match.start(), tool) for tool, metric in METRICS.items() if (match := metric.search(request))]
    return [Call(tool, dict(period)) for _, tool in sorted(mentioned)]


def metric_period(request: str) -> dict[str, Json]:
    """Return the period of a request: from its first day to its second, or to the last day that is over."""
    days = sorted(named_days(request, past=True))
    if not days:
        return {}
    last = days[-1] if len(days) > 1 or not SINCE.search(request) else LAST_DAY
    return {"time_min": str(days[0]), "time_max": str(last)}


def _sources(request: str) -> list[str]:
    if ANY_SOURCE.search(request):
        return list(SOURCES)
    return list(dict.fromkeys(mention.value for mention in find_mentions(request, {"source": SOURCES})))
