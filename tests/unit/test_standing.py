"""Whether a request stands for itself in a conversation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from seglam_agents import Deopt, Hit, HostTool, ReasoningCache, Tool
from seglam_agents.guards.standing import lays_down, literal_words, refers_back, says_nothing, shortens
from seglam_agents.testing.host_contract import Shop, stored
from seglam_agents.testing.plain_host import PlainHost

ORDER, SPEND = "Order 2 boxes of tea", "Order as many milk as one costs"


@pytest.fixture
def cache() -> Iterator[ReasoningCache]:
    tools = PlainHost().declare(Shop().tools())
    with ReasoningCache(":memory:", tools=tools, second_sandbox=None, second_opinion=False) as cache:
        for name in ("buy", "spend", "refill"):
            stored(cache, name, tools)
        yield cache


@pytest.mark.parametrize(
    "text",
    [
        "Cancel it",
        "Cancel the second one",
        "And order 3 boxes of tea",
        "Order 3 more boxes of tea",
        "Do the same for Anna",
        "Turn off the lights",
        "How many rows does the table have?",
        "Order 3 boxes of tea instead",
        "Order 3 boxes of tea as well",
        "Is that one open?",
        "Yes, cancel order A-1",
        "Ship order B-2 there",
        "Fill the box again",
        "Storniere die zweite Bestellung",
        "Cancela el segundo pedido",
        "取消第二个订单",
    ],
)
def test_what_points_back(text: str) -> None:
    assert refers_back(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "Cancel order A-1",
        "Cancel the order A-1",
        "How many orders are there in Lyon?",
        "What is the price of 3 boxes?",
        "What is the weather in Paris?",
        'Send "the second one is it" to Anna',
        "Order 2 boxes of tea",
        "List my orders",
    ],
)
def test_what_stands_for_itself(text: str) -> None:
    assert refers_back(text) is None


def test_a_place_names_what_a_definite_noun_means() -> None:
    literal = literal_words("What is the price of {item:noun}")
    assert refers_back("What is the price of tea", literal) is None
    assert refers_back("What is the price of tea", literal | {"tea"}) == "the price"


@pytest.mark.parametrize(
    "text",
    [
        "From now on, order only cheap things",
        "Never order milk",
        "Only if it has not shipped",
        "My name is Anna",
        "Answer in French",
        "Remember that I like tea",
        "Assume that 1 euro is 2 dollars",
        "Don't order anything before Friday",
        "Ask me before you order",
    ],
)
def test_what_lays_something_down(text: str) -> None:
    assert lays_down(text) is not None


def test_a_plain_request_lays_nothing_down() -> None:
    assert lays_down(ORDER) is None


@pytest.mark.parametrize(
    "text", ["Hello!", "Thanks a lot!", "Great, thank you very much.", "", "Good morning!", "Bye!"]
)
def test_greetings_say_nothing(text: str) -> None:
    assert says_nothing(text)


@pytest.mark.parametrize("text", ["Thanks, but only the cheap ones", "Great, order tea", "Hello, I am Bob", "No"])
def test_what_says_more_than_a_greeting(text: str) -> None:
    assert not says_nothing(text)


def test_a_part_of_a_name_may_mean_the_whole() -> None:
    assert shortens("lamp", ["kitchen lamp"]) == "kitchen lamp"
    assert shortens("the lamp", ["kitchen lamp"]) == "kitchen lamp"
    assert shortens("kitchen lamp", ["kitchen lamp", "lamp"]) is None
    assert shortens("desk lamp", ["kitchen lamp"]) is None


@pytest.mark.parametrize(
    ("text", "earlier", "how"),
    [
        (ORDER, [], "alone"),
        (ORDER, ["Hello!"], "alone"),
        (ORDER, [ORDER], "alone"),
        (ORDER, ["Order 3 boxes of milk", "Thanks!"], "alone"),
        (ORDER, [SPEND], "alone"),
        (SPEND, [ORDER], "shown"),
        (ORDER, ["Only order if it has not shipped"], "open"),
        (ORDER, ["Order 3 boxes of milk", "I would rather have rice"], "open"),
        ("Fill the box with tea again", [ORDER], "open"),
        ("Order 3 boxes of tea", ["Order 2 boxes of green tea"], "open"),
        ("Where is my parcel 7?", [ORDER], "shown"),
        ("Where is it?", [ORDER], "open"),
        (ORDER, [ORDER] * 41, "open"),
    ],
)
def test_standing(cache: ReasoningCache, text: str, earlier: list[str], how: str) -> None:
    assert cache.standing(text, earlier).how == how


def test_what_cannot_be_judged_is_the_models(cache: ReasoningCache) -> None:
    odd: Any = [ORDER, 7]
    assert cache.standing(ORDER, odd).how == "open"


def test_a_later_cache_is_the_same_cache(cache: ReasoningCache) -> None:
    later = cache.later()
    assert later.later() is later and cache.later() is later
    assert later.store is cache.store and later.instructions != cache.instructions
    assert not isinstance(later.lookup("Order 2 boxes of tea"), Hit | Deopt)


def test_tools_of_others_are_no_matter() -> None:
    """A cache without procedures leaves every later turn to the model, except after greetings."""
    tool = HostTool(Tool(name="ping", effect="read"), lambda: "pong")
    with ReasoningCache(":memory:", tools=[tool]) as cache:
        assert cache.standing("Ping 3", ["Ping 2"]).how == "open"
        assert cache.standing("Ping 3", ["Hi!"]).how == "alone"
