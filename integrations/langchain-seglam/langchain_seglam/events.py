"""What the cache tells while it works: custom events of LangChain, and spans of OpenTelemetry where it is there."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from functools import partial

from langchain_core.callbacks import adispatch_custom_event, dispatch_custom_event
from langgraph.config import get_stream_writer
from seglam_agents.hosting import Event, Flow, host

try:
    from opentelemetry import trace as _otel
except ImportError:
    _otel = None

logger = logging.getLogger(__name__)


def emitted(events: Iterable[Event], *, custom_stream: bool = False) -> Flow[None]:
    """Emit events. Outside of a run nobody listens."""
    for event in events:
        _mark(event)
        told = (event.name, dict(event.data))
        try:
            yield from host(partial(dispatch_custom_event, *told), partial(adispatch_custom_event, *told))
        except RuntimeError:
            logger.debug("%s has no run to belong to", event.name)
        if custom_stream:
            _stream(event)


@contextmanager
def span(name: str, **attributes: str | int | float | bool) -> Generator[None]:
    """Open a span of OpenTelemetry; nothing, where its API is not installed."""
    if _otel is None:
        yield
        return
    with _otel.get_tracer("langchain_seglam").start_as_current_span(name) as current:
        for key, value in attributes.items():
            current.set_attribute(key, value)
        yield


def _mark(event: Event) -> None:
    """Put an event on the span that is open; a hit and a give-up also are spans of their own."""
    if _otel is None:
        return
    with span(event.name, **event.flat):
        pass


def _stream(event: Event) -> None:
    try:
        get_stream_writer()({"type": event.name, **event.data})
    except RuntimeError:
        logger.debug("%s has no stream to go to", event.name)
