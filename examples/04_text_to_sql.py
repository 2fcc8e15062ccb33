"""A text-to-SQL engine of LlamaIndex that gets cheaper. Needs no key, but `llama-index-tools-seglam`.

The model of this example is scripted: for every question it holds the SQL that a real model would write. The database
is invented. With a real model the same code is

    engine = NLSQLTableQueryEngine(SQLDatabase(...), llm=llm, synthesize_response=False)
    cached = SeglamQueryEngine(engine, ReasoningCache("./seglam", tools=query_tools(engine)))
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import cast

from llama_index.core import MockEmbedding, SQLDatabase
from llama_index.core.query_engine import NLSQLTableQueryEngine
from llama_index.tools.seglam import SeglamQueryEngine, query_tools
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine
from sqlalchemy.pool import StaticPool

from seglam_agents import ReasoningCache
from seglam_agents.testing.llama_index import ScriptedLLM

ISLES = ("morrow", "tarn", "west fell", "holm", "skarn", "dunmore", "ostra", "little ness")
TOKENS_OF_A_CALL = {"prompt_tokens": 420, "completion_tokens": 60}
"""What a call of a model costs with the schema in its prompt, about."""
KINDS = (
    ("how many people live in {}", "SELECT people FROM isle WHERE name = '{}'"),
    ("what is the highest peak of {}", "SELECT name FROM peak WHERE isle = '{}' ORDER BY height DESC LIMIT 1"),
    ("which harbours of {} are deeper than 12 metres", "SELECT name FROM harbour WHERE isle = '{}' AND depth > 12"),
    ("what ferries leave {}", "SELECT ferry FROM crossing WHERE origin = '{}' ORDER BY ferry"),
)


@dataclass(frozen=True)
class Asked:
    """A question, and the SQL that answers it."""

    question: str
    sql: str


def database() -> Engine:
    """Make the small database."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    dice = random.Random(4)
    with engine.begin() as connection:
        for statement in (
            "CREATE TABLE isle (name TEXT, people INT)",
            "CREATE TABLE peak (name TEXT, isle TEXT, height INT)",
            "CREATE TABLE harbour (name TEXT, isle TEXT, depth INT)",
            "CREATE TABLE crossing (ferry TEXT, origin TEXT)",
        ):
            connection.execute(text(statement))
        for isle in ISLES:
            connection.execute(text("INSERT INTO isle VALUES (:n, :p)"), {"n": isle, "p": dice.randint(90, 9000)})
            for number in range(3):
                about = {"n": f"{isle} peak {number}", "i": isle, "h": dice.randint(100, 1400)}
                connection.execute(text("INSERT INTO peak VALUES (:n, :i, :h)"), about)
                port = {"n": f"port {number} of {isle}", "i": isle, "d": dice.randint(13, 30)}
                connection.execute(text("INSERT INTO harbour VALUES (:n, :i, :d)"), port)
                ferry = {"f": f"ferry {dice.randint(1, 40)}", "o": isle}
                connection.execute(text("INSERT INTO crossing VALUES (:f, :o)"), ferry)
    return engine


def main() -> None:
    """Ask every kind of question about every isle, in random order."""
    questions = [Asked(kind.format(isle), sql.format(isle)) for kind, sql in KINDS for isle in ISLES]
    random.Random(0).shuffle(questions)
    scripts = {asked.question: asked.sql for asked in questions}
    llm = ScriptedLLM(
        lambda messages: scripts[str(messages[-1].content).rsplit("Question: ", 1)[1].split("\n")[0]],
        usage=TOKENS_OF_A_CALL,
    )
    engine = database()
    inner = NLSQLTableQueryEngine(
        SQLDatabase(engine), llm=llm, synthesize_response=False, embed_model=MockEmbedding(embed_dim=2)
    )
    print(f"{len(questions)} questions of {len(KINDS)} kinds; the model is scripted, the database is asked every time")
    print(f"{'questions':>10} {'hits':>5} {'model calls':>12} {'tokens each':>12} {'rows right':>11}")
    with ReasoningCache(None, tools=query_tools(inner)) as cache:
        cached = SeglamQueryEngine(inner, cache)
        for start in range(0, len(questions), 8):
            part, calls, hits, right = questions[start : start + 8], llm.calls, 0, 0
            for asked in part:
                metadata = cast("dict[str, object]", cached.query(asked.question).metadata or {})
                hits += "seglam" in metadata
                with engine.connect() as connection:
                    gold = [tuple(row) for row in connection.execute(text(asked.sql))]
                right += metadata.get("result") == gold
            made = llm.calls - calls
            each = made * sum(TOKENS_OF_A_CALL.values()) // len(part)
            print(f"{start + 1:>5}-{start + len(part):<4} {hits:>5} {made:>12} {each:>12} {right:>9}/{len(part)}")
        print("\nA procedure:\n")
        print(cache.procedures()[0].procedure.body)


if __name__ == "__main__":
    main()
