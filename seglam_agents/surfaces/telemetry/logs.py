"""`JsonLines`: one JSON object a line, without the texts of requests."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import cast


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON: when, where, what, and what became of a request.

    Args:
        ids: the ids of the trace and the span that the record belongs to.
        texts: tell what exceptions say, which may quote a request; without it, their types and where they came from.
    """

    def __init__(self, ids: Callable[[], Mapping[str, str]] = dict, *, texts: bool = False) -> None:
        super().__init__()
        self._ids = ids
        self._texts = texts

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            # Arguments of messages may quote requests: reasons do.
            "message": record.getMessage() if self._texts or _plain(record) else str(record.msg),
            **self._ids(),
            **cast("Mapping[str, object]", getattr(record, "seglam", {})),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = self._error(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)

    def _error(self, error: BaseException) -> object:
        if self._texts:
            return "".join(traceback.format_exception(error))
        frames = traceback.extract_tb(error.__traceback__)[-5:]
        return {"type": type(error).__name__, "at": [f"{frame.filename}:{frame.lineno}" for frame in frames]}


def _plain(record: logging.LogRecord) -> bool:
    arguments = record.args if isinstance(record.args, tuple) else ()
    return record.name == "seglam_agents.surfaces.requests" or all(isinstance(x, (int, float)) for x in arguments)
