"""What the tests share: a shop with tools, a small database, and stored procedures put there by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from llama_index.core import MockEmbedding, SQLDatabase
from llama_index.core.query_engine import NLSQLTableQueryEngine
from llama_index.core.tools import FunctionTool
from seglam_agents import HostTool, ReasoningCache
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.hosting import form_digest, instructions_beside
from seglam_agents.records.entry import AdmissionReport, Check, Entry
from seglam_agents.records.procedure import GuardSource, Procedure, Provenance, ToolUse
from seglam_agents.testing.llama_index import ScriptedLLM
from sqlalchemy import create_engine, text
from sqlalchemy.pool import StaticPool

from llama_index.tools.seglam import host_tools

Open = Callable[..., ReasoningCache]

PRICES = {"tea": 3, "rice": 5, "milk": 1, "salt": 1}
CITIES = [
    ("austin", "texas", 900),
    ("dallas", "texas", 1300),
    ("columbus", "ohio", 800),
    ("albany", "new york", 90),
    ("portland", "maine", 60),
    ("ames", "iowa", 66),
    ("o'brien", "o'land", 7),
]


@dataclass
class Shop:
    """Tools that keep what they did."""

    calls: list[tuple[str, Any]] = field(default_factory=list)

    def price(self, item: str) -> int:
        """Return the price of one item."""
        self.calls.append(("price", item))
        return PRICES[item]

    def buy(self, item: str, count: int) -> str:
        """Buy some of an item."""
        self.calls.append(("buy", (item, count)))
        return f"bought {count} {item}"

    @property
    def tools(self) -> list[FunctionTool]:
        return [FunctionTool.from_defaults(self.price), FunctionTool.from_defaults(self.buy)]

    def host_tools(self) -> list[HostTool]:
        return host_tools(self.tools, {"price": "read"})


TOTAL = "what do {count:count} {item:noun} cost"
TOTAL_BODY = """
def run(count, item):
    return f"That is {count * price(item)} coins."
"""
BUY = "buy {count:count} {item:noun} if it is cheap"
BUY_BODY = """
def run(count, item):
    if price(item) > 4:
        deopt("it is dear")
    return buy(item, count)
"""
ADD = "add {a:number} and {b:number}"
ADD_BODY = """
def run(a, b):
    return a + b
"""


def procedure(
    cache: ReasoningCache, name: str, template: str, body: str, tools: Sequence[HostTool] = (), form: object = None
) -> Entry:
    """Put a procedure into a cache's store, as if it had been admitted."""
    guard = GuardSource(templates=(template,))
    stored = Procedure(
        id=f"{name}-1",
        name=name,
        description=f"Does: {template}",
        scope=cache.scope,
        guard=guard,
        body=body,
        parameters=TemplateGuard(guard).parameters(),
        tools=tuple(
            ToolUse(
                name=host.tool.name,
                effect=host.tool.effect,
                schema_hash=host.tool.schema_hash,
                arguments=host.tool.argument_names,
            )
            for host in tools
            if f"{host.tool.name}(" in body
        ),
        provenance=Provenance(compiler="test"),
        instructions=instructions_beside(cache.instructions, form_digest([form] if form else ())),
    )
    report = AdmissionReport(checks=(Check(name="replay", verdict="passed", cases=3),))
    return cache.store.put(Entry(procedure=stored, status="active", report=report), expected_revision=0)


class Runner:
    """Calls the blocking or the async twin of a method."""

    def __init__(self, colour: str) -> None:
        self.colour = colour

    def __call__(self, host: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        if self.colour == "sync":
            return getattr(host, name)(*args, **kwargs)
        return asyncio.run(getattr(host, f"a{name}")(*args, **kwargs))

    def query(self, engine: Any, question: str) -> tuple[Any, str]:
        """Query, and read the whole text within the same loop."""
        if self.colour == "sync":
            response = engine.query(question)
            return response, str(response)

        async def queried() -> tuple[Any, str]:
            response = await engine.aquery(question)
            if hasattr(response, "async_response_gen"):
                return response, "".join([token async for token in response.async_response_gen()])
            return response, str(response)

        return asyncio.run(queried())


def database(*, of_one_thread: bool = False) -> SQLDatabase:
    options = {} if of_one_thread else {"connect_args": {"check_same_thread": False}}
    engine = create_engine("sqlite://", poolclass=StaticPool, **options)
    with engine.begin() as connection:
        connection.execute(text("create table city (name text, state text, population int)"))
        rows = [{"n": name, "s": state, "p": population} for name, state, population in CITIES]
        connection.execute(text("insert into city values (:n, :s, :p)"), rows)
    return SQLDatabase(engine)


def question_of(messages: Sequence[Any]) -> str:
    """Return the question in LlamaIndex's prompt for SQL."""
    return str(messages[-1].content).rsplit("Question: ", 1)[-1].split("\n")[0].strip()


def biggest_city(messages: Sequence[Any]) -> str:
    """Write SQL, and as the model that puts results into words, a sentence."""
    prompt = str(messages[-1].content)
    if "synthesize a response" in prompt:
        return "By the model."
    state = question_of(messages).rsplit(" in ", 1)[1].rstrip("?").replace("'", "''")
    return f"SELECT name, population FROM city WHERE state = '{state}' ORDER BY population DESC LIMIT 1"


def sql_engine(llm: ScriptedLLM, **options: Any) -> NLSQLTableQueryEngine:
    options = {"synthesize_response": False, **options}
    return NLSQLTableQueryEngine(
        options.pop("database", None) or database(), llm=llm, embed_model=MockEmbedding(embed_dim=2), **options
    )
