"""In writes the default is narrow: what differs from all that was seen goes to the model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seglam_agents import Hit, HostTool, ReasoningCache, Request, Tool, ToolStep, Trace
from seglam_agents.records.record import Json

ORDER: Json = {"type": "string"}
REFUND = Tool(
    name="refund",
    parameters={"type": "object", "properties": {"amount": {"type": "number"}, "order": ORDER}},
    effect="write",
)
CANCEL = Tool(name="cancel", parameters={"type": "object", "properties": {"order": ORDER}}, effect="write")
SEEN = ((20, "A-1001"), (5, "A-1002"), (12, "A-2003"), (8, "A-7712"))


@pytest.fixture(scope="module")
def calls() -> list[tuple[object, ...]]:
    return []


@pytest.fixture(scope="module")
def cache(calls: list[tuple[object, ...]]) -> Iterator[ReasoningCache]:
    def refund(amount: float, order: str) -> str:
        calls.append((amount, order))
        return "ok"

    def cancel(order: str) -> str:
        calls.append((order,))
        return "ok"

    with ReasoningCache(tools=[HostTool(REFUND, refund), HostTool(CANCEL, cancel)], second_sandbox=None) as cache:
        for amount, order in SEEN:
            step = ToolStep(tool="refund", arguments={"amount": amount, "order": order}, result="ok")
            asked = Request(text=f"Refund ${amount} for order {order}")
            cache.observe(Trace(request=asked, steps=(step,), answer="ok"))
            step = ToolStep(tool="cancel", arguments={"order": order}, result="ok")
            cache.observe(Trace(request=Request(text=f"Cancel order {order}"), steps=(step,), answer="ok"))
        yield cache


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("Refund $15 for order A-3333", (15, "A-3333")),
        ("Refund $40 for order A-3333", (40, "A-3333")),
        ("Cancel order A-5512", ("A-5512",)),
        ("Cancel order A-5512!", ("A-5512",)),
    ],
)
def test_what_is_like_the_seen_is_done(
    cache: ReasoningCache, calls: list[tuple[object, ...]], text: str, call: tuple[object, ...]
) -> None:
    """Amounts within half of the smallest and twice the largest, ids of a seen shape."""
    calls.clear()
    assert isinstance(cache.lookup(text), Hit) and calls == [call]


@pytest.mark.parametrize(
    "text",
    [
        "Refund $2,000,000 for order A-3333",
        "Refund $41 for order A-3333",
        "Refund $1 for order A-3333",
        "Cancel order A-5512/A-5513",
        "Cancel order A-5512 - A-5514",
        "Cancel order fix-9..fix-12",
        "Cancel order 1234-1240",
        "Cancel order 2025-01-02",
        "Cancel order A-551",
        "Cancel order AB-5512",
        "Cancel order A-5512?",
        "Should I cancel order A-5512?",
    ],
)
def test_what_is_not_is_left_to_the_model(cache: ReasoningCache, calls: list[tuple[object, ...]], text: str) -> None:
    """Other sizes, other shapes, ranges, dates and questions write nothing."""
    calls.clear()
    assert not isinstance(cache.lookup(text), Hit) and calls == []
