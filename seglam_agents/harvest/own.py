"""Our own format: one `Trace` document a line, with its schema version or without."""

from __future__ import annotations

import json

from pydantic import ValidationError

from seglam_agents.harvest.fields import UnreadableRun, table
from seglam_agents.records.errors import SchemaError
from seglam_agents.records.record import Json
from seglam_agents.records.trace import Trace


def recognises(document: Json) -> bool:
    """Tell whether a document looks like a trace."""
    return "text" in table(table(document).get("request"))


def trace(document: Json) -> Trace:
    """Read a trace.

    Raises:
        UnreadableRun: it is none, or one that a newer version wrote.
    """
    try:
        if "schema" in table(document):
            return Trace.from_json(document)
        return Trace.model_validate_json(json.dumps(document))
    except SchemaError as error:
        raise UnreadableRun(" ".join(str(error).split())) from None
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, wrong["loc"])) or "the document"
        raise UnreadableRun(f"it is no trace: {place}: {wrong['msg']}") from None
