"""The families of planted agents, by name."""

from __future__ import annotations

from collections.abc import Callable

from seglam_agents.testing.planted.agent import PlantedAgent
from seglam_agents.testing.planted.families import clocks, deciding, looping, reckoning, selecting, summing, texts
from seglam_agents.testing.planted.workshop import Workshop

Build = Callable[[Workshop], PlantedAgent]
_FILTERS = range(7)

GROUPS: tuple[tuple[Build, ...], ...] = (
    (
        *(selecting.act_on(name) for name in selecting.CHOICES),
        *(selecting.tell(name) for name in selecting.CHOICES),
        selecting.change_field,
        selecting.act_on_only,
    ),
    (
        *(summing.counted(which) for which in _FILTERS),
        *(summing.totalled(which) for which in _FILTERS),
    ),
    (
        deciding.coat,
        deciding.warmer_than,
        deciding.enough,
        deciding.heating,
        deciding.by_status,
        deciding.verdict_by_status,
        deciding.refill,
        deciding.first_or_new,
        deciding.severity,
    ),
    (
        *(looping.each(which) for which in _FILTERS),
        looping.tell_team,
        looping.records_of_person,
        looping.act_for_person,
        looping.mail_person,
        looping.mail_owner,
    ),
    (
        reckoning.left,
        reckoning.cost,
        reckoning.raise_price,
        reckoning.order_goods,
        reckoning.order_from_shelf,
        reckoning.difference,
        reckoning.fee_per_row,
        reckoning.urgency,
        reckoning.topic,
    ),
    (
        clocks.period_argument,
        clocks.period_subject,
        clocks.period_sql,
        clocks.owner_sql,
        clocks.status_sql,
        clocks.due_on,
        clocks.span,
        clocks.remind,
        clocks.remind_weekday,
        clocks.weekday_of,
    ),
    (
        texts.note,
        texts.move,
        texts.chairs,
        texts.transfer,
        texts.act_by_key,
        texts.field_of,
        texts.listing,
        texts.record_report,
        texts.whoever_has_most,
        texts.my_count,
        texts.my_latest,
        texts.chat,
    ),
)
"""Builders, by what is hard about their agents; each draws one agent of its family."""
FAMILIES: tuple[Build, ...] = tuple(build for group in GROUPS for build in group)

__all__ = ["FAMILIES", "GROUPS", "Build"]
