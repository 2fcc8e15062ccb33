"""`Watch`: what the surfaces tell of the requests that they answer. Without telemetry it goes to the log."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from seglam_agents import Learned
from seglam_agents.hosting import Json, Usage, safely, unharmed

logger = logging.getLogger("seglam_agents.surfaces.requests")

_BROKEN = "what watches requests is broken; they are answered"


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one request. What was said in it is not among it."""

    surface: str
    outcome: str
    """`hit`, `closing`, `miss`, `deopt`, `pass` or `broken`."""
    tenant: str = ""
    procedure: str = ""
    """`id@version`; empty where none spoke."""
    seconds: float = 0.0
    """What looking it up took."""
    ended: bool = False
    """Whether the procedure came to its answer."""
    saved: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """What the answer saved: `input_tokens`, `output_tokens`, `calls`, and `money` with its `currency`."""
    reason: str = ""
    """Why no procedure spoke. It may quote the request."""


class Watched:
    """One request while it is answered.

    Args:
        texts: tell reasons, too.
    """

    def __init__(self, *, texts: bool = False) -> None:
        self.texts = texts

    def found(self, seen: Seen) -> None:
        """Take in what the cache said."""
        told = {"surface": seen.surface, "outcome": seen.outcome, "tenant": seen.tenant, "procedure": seen.procedure}
        more = {"reason": seen.reason} if self.texts and seen.reason else {}
        logger.info("%s %s", seen.surface, seen.outcome, extra={"seglam": {**told, "seconds": seen.seconds, **more}})

    def asking(self, model: str, server: str) -> None:
        """Take in that a model is asked."""

    def said(self, usage: Usage | None = None, error: str = "") -> None:
        """Take in that the model has said what it had to say, or could not.

        Args:
            usage: what it cost; None where that is not known.
            error: the status of HTTP, or what broke the line; empty where nothing did.
        """

    def ended(self) -> None:
        """Take in that the request is answered. Safe to call twice."""


class Harmless(Watched):
    """A request that is watched by somebody who may break: the request does not.

    Args:
        watch: who watches.
        surface: what was asked.
        headers: the request's.
    """

    def __init__(self, watch: Watch, surface: str, headers: Mapping[str, str]) -> None:
        super().__init__()
        self._watched = safely(lambda: watch.begun(surface, headers), Watched(), _BROKEN)

    def found(self, seen: Seen) -> None:
        """Take in what the cache said."""
        with unharmed(_BROKEN):
            self._watched.found(seen)

    def asking(self, model: str, server: str) -> None:
        """Take in that a model is asked."""
        with unharmed(_BROKEN):
            self._watched.asking(model, server)

    def said(self, usage: Usage | None = None, error: str = "") -> None:
        """Take in that the model has said what it had to say."""
        with unharmed(_BROKEN):
            self._watched.said(usage, error)

    def ended(self) -> None:
        """Take in that the request is answered."""
        with unharmed(_BROKEN):
            self._watched.ended()


class Watch:
    """Watches requests.

    Args:
        texts: tell why no procedure spoke, in words that may quote the request.
    """

    def __init__(self, *, texts: bool = False) -> None:
        self.texts = texts

    def begun(self, surface: str, headers: Mapping[str, str]) -> Watched:
        """Begin to watch a request.

        Args:
            surface: what was asked.
            headers: the request's, whose names are in lower case: a trace may go on in them.
        """
        return Watched(texts=self.texts)

    def learned(self, tenant: str, learned: Learned) -> None:
        """Take in what came of a run that was learnt from."""
        told = {"tenant": tenant, "status": learned.status, "procedure": learned.procedure or ""}
        logger.info("learnt: %s", learned.status, extra={"seglam": told})
