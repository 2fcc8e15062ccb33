"""An office agent that gets cheaper: the same kinds of requests with other values, run after run. Needs no key.

The agent's model is scripted: a stand-in that knows what to do about three kinds of requests, and counts a token for
every four letters. Everything else is real: the agent, its tools, and the cache, which learns from the agent's runs
alone. No model writes its code: what reads is served once it has foretold a run, what writes once it has foretold two.
The office is invented.

    python examples/02_office_agent.py --runs 6
    python examples/02_office_agent.py --model openai:gpt-…    # the same with a real model, whose runs may differ
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain.chat_models import init_chat_model
from langchain_core.callbacks import BaseCallbackHandler, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult, LLMResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool, tool
from langchain_seglam import SeglamMiddleware, host_tools
from rich.console import Console
from rich.table import Table

from seglam_agents.cache import ReasoningCache

PEOPLE = ("Ada", "Ben", "Cleo", "Dora", "Emil", "Finn", "Gus", "Hana")
ITEMS = ("pens", "mugs", "lamps", "chairs", "folders", "labels", "stamps", "clips")
PROMPT = "You run an office with the tools. Say 'Done.' after a change, and the bare number after a question."


@dataclass(slots=True)
class Office:
    """The invented office: a calendar and a store room, and how often its tools were called."""

    meetings: dict[str, str] = field(default_factory=lambda: {f"m-{100 + i}": name for i, name in enumerate(PEOPLE)})
    stock: dict[str, int] = field(default_factory=lambda: {item: 20 + 7 * i for i, item in enumerate(ITEMS)})
    calls: int = 0

    def tools(self) -> list[BaseTool]:
        """Return the tools; each says what it does to the world."""

        @tool
        def next_meeting(person: str) -> dict[str, str]:
            """Return the id of the next meeting with a person."""
            self.calls += 1
            return {"id": next(ident for ident, name in self.meetings.items() if name == person)}

        @tool
        def cancel_meeting(meeting_id: str) -> str:
            """Cancel a meeting."""
            self.calls += 1
            del self.meetings[meeting_id]
            return "cancelled"

        @tool
        def count_stock(item: str) -> int:
            """Return how many of an item are in the store room."""
            self.calls += 1
            return self.stock[item]

        @tool
        def take_from_stock(item: str, amount: int) -> str:
            """Take an amount of an item out of the store room."""
            self.calls += 1
            self.stock[item] -= amount
            return "taken"

        return [next_meeting, cancel_meeting, count_stock, take_from_stock]


class ScriptedOfficeModel(BaseChatModel):
    """A stand-in for the model: it knows three kinds of requests, and reads the results of its tools."""

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the model as it is: it knows the tools."""
        return self.bind(**kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = next(message.text for message in messages if message.type == "human")
        results = [message.text for message in messages if isinstance(message, ToolMessage)]
        message = scripted(request, results)
        read, said = sum(len(m.text) for m in messages) // 4, len(str(message.tool_calls) + message.text) // 4
        message.usage_metadata = {"input_tokens": read, "output_tokens": said, "total_tokens": read + said}
        return ChatResult(generations=[ChatGeneration(message=message)])

    @property
    def _llm_type(self) -> str:
        return "scripted"


def scripted(request: str, results: Sequence[str]) -> AIMessage:
    """Return what the scripted model says next."""
    if found := re.fullmatch(r"Cancel my next meeting with (\w+)", request):
        if not results:
            return call("next_meeting", person=found[1])
        return call("cancel_meeting", meeting_id=results[0].split('"')[3]) if len(results) < 2 else AIMessage("Done.")
    if found := re.fullmatch(r"How many (\w+) are left\?", request):
        return AIMessage(results[0]) if results else call("count_stock", item=found[1])
    if found := re.fullmatch(r'Take (\d+) "(\w+)" out of the store room', request):
        return AIMessage("Done.") if results else call("take_from_stock", item=found[2], amount=int(found[1]))
    return AIMessage("I do not know how to do that.")


def call(name: str, **arguments: Any) -> AIMessage:
    """Return a message with one tool call."""
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": f"call_{name}"}])


class Meter(BaseCallbackHandler):
    """Counts what chat models did, whichever they are."""

    calls: int = 0
    tokens: int = 0

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        """Count one call."""
        self.calls += 1
        for generation in response.generations[0]:
            message = getattr(generation, "message", None)
            usage = message.usage_metadata if isinstance(message, AIMessage) else None
            self.tokens += usage["total_tokens"] if usage else 0


def requests_of(number: int) -> list[str]:
    """Return the requests of one run: always the same kinds, never the same values."""
    item = ITEMS[number % len(ITEMS)]
    return [
        f"Cancel my next meeting with {PEOPLE[number % len(PEOPLE)]}",
        f'Take {3 + number} "{item}" out of the store room',
        f"How many {item} are left?",
    ]


def main() -> None:
    """Run the agent on changing requests, and print what each run cost."""
    options = arguments()
    model = cast(BaseChatModel, init_chat_model(options.model)) if options.model else ScriptedOfficeModel()
    office = Office()
    tools = office.tools()
    effects = host_tools(tools, {"next_meeting": "read", "count_stock": "read"})
    table = Table("run", "model calls", "tokens", "tool calls", "last answer", title="Three requests a run")
    with ReasoningCache(None, tools=effects, system_prompt=PROMPT) as cache:
        agent: Any = create_agent(model, tools, system_prompt=PROMPT, middleware=[SeglamMiddleware(cache)])
        for number in range(options.runs):
            meter, before, said = Meter(), office.calls, ""
            for request in requests_of(number):
                result = agent.invoke({"messages": [("user", request)]}, {"callbacks": [meter]})
                said = result["messages"][-1].text
            row = (number + 1, meter.calls, meter.tokens, office.calls - before, said)
            table.add_row(*map(str, row))
        console = Console(width=100)
        console.print(table)
        console.print(f"model: {options.model or 'scripted: its replies and its tokens are made up'}")
        console.print(f"procedures learnt from its runs, without a model: {cache.stats().procedures}")
        console.print(f"in the store room now: {office.stock}", soft_wrap=True)


def arguments() -> argparse.Namespace:
    """Read the arguments of the command."""
    parser = argparse.ArgumentParser(description="An office agent that gets cheaper from run to run.")
    parser.add_argument("--runs", type=int, default=6, choices=range(1, len(PEOPLE) + 1), help="how many (default: 6)")
    parser.add_argument("--model", help="a real chat model, for example openai:gpt-… (default: scripted)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
