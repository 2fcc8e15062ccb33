"""The calendar: events with one participant each."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

from benchmarks.workbench.declaring import declare, not_a, text
from benchmarks.workbench.table import Row, Table
from seglam_agents.cache import HostTool
from seglam_agents.records.record import Json

COLUMNS = ("event_id", "event_name", "participant_email", "event_start", "duration")
FIELDS = COLUMNS[1:]
MOMENT = 'Format: "YYYY-MM-DD HH:MM:SS".'
EVENT_ID = text("8-digit id of the event.")

INFORMATION = declare(
    "calendar_get_event_information_by_id",
    "Returns one field of an event, as an object.",
    {"event_id": EVENT_ID, "field": text("Field to return.", COLUMNS)},
    required=["event_id", "field"],
)
SEARCH = declare(
    "calendar_search_events",
    "Returns the events whose name or participant contains the query and that overlap the time range.",
    {
        "query": text("Part of the event's name, or of the participant's email address."),
        "time_min": text(f"Events that end at or after this time. {MOMENT}"),
        "time_max": text(f"Events that start at or before this time. {MOMENT}"),
    },
)
CREATE = declare(
    "calendar_create_event",
    "Creates an event, and returns its id.",
    {
        "event_name": text("Name of the event."),
        "participant_email": text("Email address of the participant."),
        "event_start": text(f"Start of the event. {MOMENT}"),
        "duration": text("Duration in minutes."),
    },
    effect="write",
    required=FIELDS,
)
DELETE = declare(
    "calendar_delete_event", "Deletes an event.", {"event_id": EVENT_ID}, effect="write", required=["event_id"]
)
UPDATE = declare(
    "calendar_update_event",
    "Changes one field of an event.",
    {"event_id": EVENT_ID, "field": text("Field to change.", FIELDS), "new_value": text("New value of the field.")},
    effect="write",
    required=["event_id", "field", "new_value"],
)


class Calendar:
    """The events, and the tools on them."""

    NAME: ClassVar[str] = "calendar"
    FILE: ClassVar[str] = "calendar_events.csv"

    def __init__(self, events: Table | None = None) -> None:
        self.events = events or Table("event_id", COLUMNS)

    @classmethod
    def read(cls, path: Path) -> Calendar:
        """Read the events."""
        return cls(Table.read(path, "event_id", COLUMNS))

    def copy(self) -> Calendar:
        """Return a calendar of its own."""
        return Calendar(self.events.copy())

    def snapshot(self) -> Json:
        """Return the events."""
        return [list[Json](row) for row in self.events.snapshot()]

    def tools(self) -> list[HostTool]:
        """Return the tools of the calendar."""
        return [
            HostTool(INFORMATION, self.get_event_information_by_id),
            HostTool(SEARCH, self.search_events),
            HostTool(CREATE, self.create_event),
            HostTool(DELETE, self.delete_event),
            HostTool(UPDATE, self.update_event),
        ]

    def vocabulary(self) -> dict[str, tuple[str, ...]]:
        """Return the names of events."""
        return {"event_name": self.events.values("event_name")}

    def get_event_information_by_id(self, event_id: str = "", field: str = "") -> Row | str:
        """Return one field of an event."""
        event = self.events.get(event_id)
        if event is None:
            return "Event not found."
        return {field: event[field]} if field in event else "Field not found."

    def search_events(
        self, query: str | None = "", time_min: str | None = None, time_max: str | None = None
    ) -> list[Row]:
        """Return the events that contain the query and overlap the time range."""
        words = (query or "").lower()
        earliest = datetime.fromisoformat(time_min) if time_min else datetime.min
        latest = datetime.fromisoformat(time_max) if time_max else datetime.max

        def matches(event: Row) -> bool:
            if words not in event["event_name"].lower() and words not in event["participant_email"].lower():
                return False
            start = datetime.fromisoformat(event["event_start"])
            return start <= latest and start + timedelta(minutes=float(event["duration"])) >= earliest

        return self.events.where(matches)

    def create_event(
        self, event_name: str = "", participant_email: str = "", event_start: str = "", duration: str = ""
    ) -> str:
        """Create an event."""
        values = (event_name, participant_email.lower(), event_start, str(duration))
        for field, value in zip(FIELDS, values, strict=True):
            if not value:
                return f"{field} not provided."
        return self.events.add(dict(zip(FIELDS, values, strict=True)))

    def delete_event(self, event_id: str = "") -> str:
        """Delete an event."""
        if self.events.get(event_id) is None:
            return "Event not found."
        self.events.delete(event_id)
        return "Event deleted successfully."

    def update_event(self, event_id: str = "", field: str = "", new_value: str = "") -> str:
        """Change a field of an event."""
        if not event_id or not field or not new_value:
            return "Event ID, field, or new value not provided."
        if self.events.get(event_id) is None:
            return "Event not found."
        if field not in FIELDS:
            return not_a("Field", FIELDS)
        self.events.update(event_id, field, new_value.lower() if field == "participant_email" else new_value)
        return "Event updated successfully."
