"""Greetings, "please", thanks and sign-offs around a request: they say nothing, and let no other word through."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.records.outcome import Plan
from seglam_agents.records.request import Request
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.sandboxes.monty import MontySandbox

HARMLESS = (
    "Please cancel order A-3141",
    "Cancel order A-3141, please",
    "Cancel order A-3141 please.",
    "Could you please cancel order A-3141?",
    "Can you kindly cancel order A-3141?",
    "I'd like you to cancel order A-3141, please",
    "Hi, cancel order A-3141",
    "Hi Anna, cancel order A-3141",
    "Hey Anna! Please cancel order A-3141 :)",
    "Hello team, cancel order A-3141. Thanks!",
    "Hello there - cancel order A-3141",
    "Good morning! Cancel order A-3141. Thank you very much!",
    "Hi Anna, could you please cancel order A-3141? Thanks, Bob",
    "Dear Anna Berg, please cancel order A-3141. Kind regards, Bob Miller",
    "Good afternoon Anna,\n\nplease cancel order A-3141.\n\nBest regards\nBob",
    "Hello, I hope you are well. Please cancel order A-3141.",
    "Cancel order A-3141. Many thanks in advance, Bob",
    "Cancel order A-3141, thank you for your help. Have a nice day!",
)
HARMFUL = (
    "Please don't cancel order A-3141",
    "Please do not cancel order A-3141",
    "Please never cancel order A-3141",
    "Don't cancel order A-3141, please",
    "Hi Anna, don't cancel order A-3141. Thanks, Bob",
    "Could you please not cancel order A-3141?",
    "Why did you cancel order A-3141?",
    "Hi Anna, did you cancel order A-3141? Thanks, Bob",
    "Please cancel order A-3141 if it has not shipped",
    "Please cancel order A-3141 unless it has shipped, thanks",
    "Please cancel order A-3141 tomorrow",
    "Cancel order A-3141 tomorrow. Thanks, Bob",
    "Cancel order A-3141. Thanks, but not now",
    "Cancel order A-3141. Thanks, Tomorrow",
    "Cancel order A-3141. Thanks, Not Now",
    "Cancel order A-3141. Thanks, Unless Shipped",
    "Hi Not, cancel order A-3141",
    "Hi Never, cancel order A-3141",
    "Hi Tomorrow, cancel order A-3141",
    "Hi Anna only, cancel order A-3141",
    "Hi Anna, wait, cancel order A-3141",
    "Hi Anna, if possible cancel order A-3141",
    "Please cancel order A-3141 and A-3142",
    "Please cancel order A-3141. Refund it, thanks.",
    "Please cancel order A-3141 and refund it. Thanks, Bob",
    "Thanks, no need to cancel order A-3141",
    "No thanks, cancel order A-3141",
    "Please cancel half of order A-3141",
    "Please cancel everything but order A-3141",
    "Please cancel all but order A-3141, thanks",
    "Please cancel order A-3141 again",
    "Please cancel order A-3141 for Bob",
    "Please tell Bob to cancel order A-3141",
    "Hi Anna, Bob wants to cancel order A-3141",
    "Hello, I hope you can cancel order A-3141 later",
    "Cancel order A-3141? Best not. Thanks, Bob",
    "Cancel order A-3141, please, only the second item",
    "Could you please explain how to cancel order A-3141?",
    "Good morning, forget it, cancel order A-3141",
    "Please undo: cancel order A-3141",
)


@pytest.fixture
def cache(sandbox: MontySandbox) -> Iterator[ReasoningCache]:
    """Return a cache that learnt from bare commands how orders are cancelled."""
    parameters = {"type": "object", "properties": {"order": {"type": "string"}}}
    tool = HostTool(Tool(name="cancel", effect="write", parameters=parameters), lambda order: "ok")
    with ReasoningCache(sandbox=sandbox, second_sandbox=None, tools=[tool]) as cache:
        for order in ("A-1041", "A-2377", "A-9013", "A-4410", "A-5120", "A-6604"):
            step = ToolStep(tool="cancel", arguments={"order": order}, result="ok")
            cache.observe(Trace(request=Request(text=f"Cancel order {order}"), steps=(step,), answer="Done."))
        yield cache


def test_harmless_rewordings_are_served(cache: ReasoningCache) -> None:
    """All eighteen, with the argument of the bare command."""
    assert len(HARMLESS) == 18
    plans = {text: cache.plan(text) for text in HARMLESS}
    missed = [text for text, plan in plans.items() if not isinstance(plan, Plan)]
    assert not missed
    assert {plan.arguments["order"] for plan in plans.values() if isinstance(plan, Plan)} == {"A-3141"}


def test_harmful_ones_are_not(cache: ReasoningCache) -> None:
    """All forty have a word more, or another one, somewhere among the polite ones."""
    assert len(HARMFUL) == 40
    assert isinstance(cache.plan("Cancel order A-3141"), Plan)
    assert not [text for text in HARMFUL if isinstance(cache.plan(text), Plan)]
