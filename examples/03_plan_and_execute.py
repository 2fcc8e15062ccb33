"""A plan-and-execute graph whose planner is answered by code once its kind of request is known. Needs no key.

The planner asks a chat model once a request. Here that model is scripted: it knows the plans of two kinds of requests,
and stands in for a real one. The graph, its steps and the cache are real. The cache learns from what the planner
returned, and no model writes its code.

    python examples/03_plan_and_execute.py
    python examples/03_plan_and_execute.py --model openai:gpt-…    # plans by a real model, which may differ each time
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, cast

from langchain.chat_models import init_chat_model  # pyright: ignore[reportUnknownVariableType]
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_seglam import reasoning_cached
from langgraph.graph import END, START, StateGraph  # pyright: ignore[reportMissingTypeStubs]
from rich.console import Console
from rich.table import Table
from typing_extensions import TypedDict

from seglam_agents.cache import ReasoningCache

REQUESTS = (
    "Ship 12 boxes of tea to Oslo",
    "Ship 5 boxes of rice to Lisbon",
    "Ship 30 boxes of tea to Lisbon",
    "Ship 7 boxes of salt to Oslo",
    "Ship 12 boxes of salt to Oslo, but call them first",
)
PROMPT = """Plan this as a JSON list of steps, and answer with the list alone. Steps are
{{"do": "reserve", "item": text, "amount": number}}, {{"do": "ship", "to": text}} and {{"do": "call", "to": text}}.
The request: {request}"""

Planner: TypeAlias = Callable[[str], AIMessage]


class Step(TypedDict, total=False):
    """One step of a plan."""

    do: Literal["reserve", "ship", "call"]
    item: str
    amount: int
    to: str


class Planned(TypedDict):
    """What the planner writes into the state."""

    plan: list[Step]


class State(TypedDict, total=False):
    """What the graph knows."""

    request: str
    plan: list[Step]
    done: list[str]


class Warehouse:
    """What the steps act on: it is there, and changes, whoever made the plan."""

    def __init__(self) -> None:
        self.stock = {"tea": 60, "rice": 40, "salt": 20}

    def carry_out(self, step: Step) -> str:
        """Do one step."""
        match step:
            case {"do": "reserve", "item": item, "amount": amount}:
                self.stock[item] -= amount
                return f"{self.stock[item]} {item} left"
            case {"do": "ship", "to": place}:
                return f"on its way to {place}"
            case {"do": "call", "to": place}:
                return f"called {place}"
            case _:
                return f"nobody knows how to {step}"


def scripted(prompt: str) -> AIMessage:
    """Stand in for a chat model: it plans two kinds of requests, and nothing else."""
    request = prompt.rpartition(": ")[2]
    if not (found := re.fullmatch(r"Ship (\d+) boxes of (\w+) to (\w+)(, but call them first)?", request)):
        return AIMessage("[]")
    steps = [{"do": "reserve", "item": found[2], "amount": int(found[1])}, {"do": "ship", "to": found[3]}]
    called = [{"do": "call", "to": found[3]}] if found[4] else []
    return AIMessage(json.dumps([*called, *steps]))


def graph_of(planner: Planner, cache: ReasoningCache, warehouse: Warehouse) -> Any:
    """Build the graph: plan, then one step after the other until none is left."""

    @reasoning_cached(cache, text="request")
    def plan(state: State) -> Planned:
        return {"plan": json.loads(planner(PROMPT.format(request=state.get("request", ""))).text)}

    def execute(state: State) -> State:
        done = state.get("done", [])
        return {"done": [*done, warehouse.carry_out(state.get("plan", [])[len(done)])]}

    def more(state: State) -> Literal["execute", "__end__"]:
        return "execute" if len(state.get("done", [])) < len(state.get("plan", [])) else "__end__"

    builder: Any = StateGraph(State)
    builder.add_node("plan", plan).add_node("execute", execute).add_edge(START, "plan")
    builder.add_conditional_edges("plan", more, ["execute", END])
    builder.add_conditional_edges("execute", more, ["execute", END])
    return builder.compile()


def main() -> None:
    """Run the graph on changing requests, and print how often the planner's model was asked."""
    options, asked = arguments(), list[str]()
    model = cast(BaseChatModel, init_chat_model(options.model)) if options.model else None

    def planner(prompt: str) -> AIMessage:
        asked.append(prompt)
        return model.invoke(prompt) if model else scripted(prompt)

    warehouse = Warehouse()
    table = Table("request", "model calls", "what was done", title="Plan and execute")
    with ReasoningCache(None, system_prompt="planner") as cache:
        graph = graph_of(planner, cache, warehouse)
        for request in REQUESTS:
            before = len(asked)
            state = graph.invoke({"request": request})
            table.add_row(request, str(len(asked) - before), ", ".join(state.get("done", [])))
    console = Console(width=110)
    console.print(table)
    console.print(f"planner: {options.model or 'scripted; it knows the plans of two kinds of requests'}")
    console.print("The last request says something that was never planned before, so the model is asked.")


def arguments() -> argparse.Namespace:
    """Read the arguments of the command."""
    parser = argparse.ArgumentParser(description="A plan-and-execute graph with a cached planner.")
    parser.add_argument("--model", help="a real chat model, for example openai:gpt-… (default: scripted)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
