"""Calls as they were carried out, recorded beside what the host shows of their results, which somebody may change."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from seglam_agents.hosting.turn import Asked, Carried
from seglam_agents.hosting.values import is_array, is_json, parsed
from seglam_agents.records.record import Json, Record
from seglam_agents.records.values import decode, encode
from seglam_agents.sandboxes.base import ToolResult


@dataclass(frozen=True, slots=True)
class Shown:
    """What a host shows of a tool's result."""

    text: str
    content: object = None
    """As the tool gave it, where the host keeps more than its text."""
    data: object = None
    """What the tool gave beside the text."""
    failed: bool = False

    def result(self, size: int | None = None, seal: str | None = None) -> ToolResult:
        """Return the result as a body and a trace see it: one function for both, so that replay equals recording.

        Data beside the text wins where it is JSON; else the content, as JSON where it can be read so. What somebody
        changed after the tool had answered (a redaction) counts as changed: data beside it is not looked at. A text put
        in front of it (the notice of a reviewer) is left out.

        Args:
            size: characters of the text when the tool answered; None where that was not recorded.
            seal: `seal_of` that text.
        """
        text, unchanged = self.text, True
        if seal is not None and seal_of(text) != seal:
            tail = text[-size:] if size else ""
            unchanged = seal_of(tail) == seal
            text = tail if unchanged else text
        if self.failed:
            return ToolResult(error=text or "the tool failed")
        if unchanged and self.data is not None and is_json(self.data):
            return ToolResult(value=decode(self.data))
        if unchanged and is_array(self.content) and all(isinstance(item, str) for item in self.content):
            return ToolResult(value=decode(self.content))  # Joined, a list of texts would be one text.
        return ToolResult(value=decode(parsed(text)))


class Executed(Record):
    """One tool call as it was carried out. Its result stays where it is: beside this, with the host.

    The host keeps both in its own state, whoever edits or interrupts; others see the result as it would be without us.
    """

    tool: str
    arguments: dict[str, Json]
    status: Literal["success", "error"] = "success"
    size: int = 0
    """Characters of the text when the tool answered."""
    seal: str = ""
    """Tells whether the text was changed since, by a redaction or by the notice of a reviewer."""

    @classmethod
    def of(cls, tool: str, arguments: dict[str, Json], shown: Shown) -> Executed:
        """Return the record of a call that has just been carried out."""
        status = "error" if shown.failed else "success"
        return cls(tool=tool, arguments=arguments, status=status, size=len(shown.text), seal=seal_of(shown.text))

    def carried(self, call_id: str, shown: Shown) -> Carried:
        """Return the call with its result as it is shown now."""
        result = shown.result(self.size, self.seal or None)
        failed = result.error or (shown.text or "the tool failed" if self.status == "error" else None)
        value = encode(result.value)
        return Carried(id=call_id, tool=self.tool, arguments=self.arguments, result=value, error=failed)


def carried_as(
    call_id: str, tool: str, shown: Shown, document: Mapping[str, Json], asked: Asked | None = None
) -> Carried:
    """Return a call with its result as it is shown now, or with what was said in the place of a result.

    Args:
        call_id: the host's id of the call.
        tool: the tool, as the host shows it.
        shown: what the host shows of the result.
        document: the record of the call (`Executed`) that was kept beside the result; empty where there is none.
        asked: the call as it was asked for, which counts as carried out where nothing was kept; None to trust nothing.
    """
    step = _read(document) if document else None
    if not document and asked is not None:
        step = Executed(tool=asked.tool, arguments=asked.arguments, status="error" if shown.failed else "success")
    if step is not None:
        return step.carried(call_id, shown)
    return Carried(id=call_id, tool=tool, arguments={}, refused=shown.text or "nothing was recorded")


def _read(document: Mapping[str, Json]) -> Executed | None:
    try:
        return Executed.model_validate(document)
    except ValueError:
        return None  # Of another version: it counts as not carried out.


def seal_of(text: str) -> str:
    """Return what tells whether a text is still the same."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
