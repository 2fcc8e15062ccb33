"""Agents in conversations: what a later turn is served by, and what it teaches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from seglam_agents import ReasoningCache

from langchain_seglam import SeglamMiddleware, host_tools

OPEN = {"Luigi": "yes", "Mario": "no", "Anna": "yes", "Pepe": "yes", "Toni": "no"}
BOOKED: list[tuple[str, int]] = []


@tool
def is_open(place: str) -> str:
    """Tell whether a restaurant is open."""
    return OPEN[place]


@tool
def book(place: str, people: int) -> str:
    """Book a table."""
    BOOKED.append((place, people))
    return f"{place}-{people}"


@tool
def stock(item: str) -> int:
    """Return how many there are."""
    return len(item) * 3


class Waiter(BaseChatModel):
    """Looks places up and books tables: at the place that the conversation is about, at Central where there is none."""

    calls: int = 0

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        """Take any tools."""
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.calls += 1
        asked = [str(message.content) for message in messages if isinstance(message, HumanMessage)]
        last = messages[-1]
        if isinstance(last, ToolMessage):
            return _said(AIMessage(f"{last.content}."))
        if found := re.fullmatch(r"Is (\w+) open\?", asked[-1]):
            return _said(_call("is_open", place=found[1]))
        if found := re.fullmatch(r"How many (\w+) are there\?", asked[-1]):
            return _said(_call("stock", item=found[1]))
        if found := re.fullmatch(r"Book a table for (\d+)", asked[-1]):
            about = [match[1] for text in asked for match in [re.fullmatch(r"Is (\w+) open\?", text)] if match]
            return _said(_call("book", place=about[-1] if about else "Central", people=int(found[1])))
        return _said(AIMessage("Well."))

    @property
    def _llm_type(self) -> str:
        return "waiter"


def _call(name: str, **arguments: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": f"c-{name}-{len(BOOKED)}"}])


def _said(message: AIMessage) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=message)])


class House:
    """An agent with a cache, and its threads."""

    def __init__(self, cache: ReasoningCache) -> None:
        self.cache, self.model = cache, Waiter()
        middleware = [SeglamMiddleware(cache)]
        self.agent = create_agent(
            self.model, [is_open, book, stock], middleware=middleware, checkpointer=InMemorySaver()
        )

    def ask(self, text: str, thread: str) -> tuple[str, int]:
        """Return the last message of a turn, and how often the model was asked."""
        before = self.model.calls
        done = self.agent.invoke({"messages": [HumanMessage(text)]}, {"configurable": {"thread_id": thread}})
        return str(done["messages"][-1].content), self.model.calls - before


@pytest.fixture
def house() -> Iterator[House]:
    BOOKED.clear()
    effects: Any = {"is_open": "read", "stock": "read", "book": "write"}
    with ReasoningCache(":memory:", tools=host_tools([is_open, book, stock], effects=effects)) as cache:
        yield House(cache)


def taught(house: House) -> None:
    """Teach three kinds in conversations of one turn each."""
    for number, place in enumerate(OPEN):
        house.ask(f"Is {place} open?", f"open-{number}")
    for number, item in enumerate(("cups", "plates", "forks", "bowls", "glasses")):
        house.ask(f"How many {item} are there?", f"stock-{number}")
    for people in (2, 3, 4, 5, 6, 7):
        house.ask(f"Book a table for {people}", f"book-{people}")


def test_what_is_meant_without_a_word_is_the_models(house: House) -> None:
    """After "is Luigi open?", a table is booked there and not where it is booked otherwise."""
    taught(house)
    assert house.ask("Book a table for 5", "alone") == ("Central-5.", 0)
    assert house.ask("Is Luigi open?", "1") == ("yes.", 0)
    assert house.ask("Book a table for 4", "1") == ("Luigi-4.", 2)
    for number, people in enumerate((2, 3, 4, 5, 6)):
        house.ask(f"Is {list(OPEN)[number]} open?", f"more-{number}")
        said, _ = house.ask(f"Book a table for {people}", f"more-{number}")
        assert said == f"{list(OPEN)[number]}-{people}."
    assert house.ask("Book a table for 5", "alone again") == ("Central-5.", 0)


def test_runs_show_that_nothing_else_is_meant(house: House) -> None:
    """How many cups there are does not depend on which table was booked: runs in such turns show it."""
    taught(house)
    asked: list[int] = []
    for number, item in enumerate(("pans", "teaspoons", "knives", "spoons", "jars")):
        house.ask("Book a table for 3", f"{number}")
        said, calls = house.ask(f"How many {item} are there?", f"{number}")
        assert said == f"{len(item) * 3}."
        asked.append(calls)
    assert asked == [2, 2, 2, 0, 0]


def test_five_turns_of_one_kind(house: House) -> None:
    """Questions of one kind follow each other without the model."""
    taught(house)
    assert [house.ask(f"Is {place} open?", "1")[1] for place in OPEN] == [0] * 5


def test_a_conversation_with_something_unknown_in_it(house: House) -> None:
    """After what no procedure accounts for, all is the model's, and nothing is learnt from it."""
    taught(house)
    learnt = len(house.cache.procedures())
    assert house.ask("I am allergic to nuts, mind that", "1")[1] == 1
    assert house.ask("Book a table for 3", "1")[1] == 2
    assert house.ask("Is Luigi open?", "1")[1] == 2
    assert len(house.cache.procedures()) == learnt
