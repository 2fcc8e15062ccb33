"""What a query engine reads from, as tools that procedures call: a database, a data frame, a retriever."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode
from llama_index.core.utilities.sql_wrapper import SQLDatabase
from seglam_agents import Call, HostTool, Tool, ToolResult
from seglam_agents.records.record import Json, digest
from seglam_agents.records.values import Value, decode
from sqlalchemy import text
from sqlalchemy.pool import SingletonThreadPool

from llama_index.tools.seglam.frames import FrameSource
from llama_index.tools.seglam.served import Seen, Served, Session
from llama_index.tools.seglam.sql import Lifted, Unfit, lift, pattern_parameters, placeholders, read_only
from llama_index.tools.seglam.values import NoJson, json_of, render

RUN_SQL = "run_sql"
RETRIEVE = "retrieve"
MAX_ROWS = 1_000
"""Rows of a result that is learnt from, or answered with."""


class Source(Protocol):
    """Where the procedures of an engine read."""

    @property
    def tools(self) -> Sequence[HostTool]:
        """What to declare to the cache: `ReasoningCache(tools=source.tools)`."""
        ...

    def session(self, constants: frozenset[str]) -> Session:
        """Begin a run of a procedure, of which these are the constant texts."""
        ...

    def seen(self, question: str, metadata: Mapping[str, object]) -> Seen | Unfit:
        """Return what an engine did, from the metadata of its response."""
        ...


def source_of(engine: BaseQueryEngine) -> Source | None:
    """Return what an engine reads from, where that is something procedures can use."""
    while isinstance(inner := getattr(engine, "inner", None), BaseQueryEngine):
        engine = inner
    database = getattr(getattr(engine, "sql_retriever", None), "_sql_database", None)
    database = database or getattr(engine, "_sql_database", None)
    if isinstance(database, SQLDatabase):
        markdown = bool(getattr(engine, "_markdown_response", False))
        return SqlSource(database, markdown=markdown, cites=bool(getattr(engine, "_synthesize_response", False)))
    if hasattr(engine, "_instruction_parser") and hasattr(frame := getattr(engine, "_df", None), "dtypes"):
        return FrameSource(frame)
    retriever = getattr(engine, "retriever", None)
    return RetrieverSource(retriever) if isinstance(retriever, BaseRetriever) else None


def query_tools(engine: BaseQueryEngine) -> list[HostTool]:
    """Return the tools by which procedures do the work of an engine, for `ReasoningCache(tools=...)`."""
    source = source_of(engine)
    return list(source.tools) if source is not None else []


@dataclass(frozen=True, slots=True)
class Rows:
    """The result of a statement."""

    statement: str
    parameters: Mapping[str, Json]
    rows: list[tuple[object, ...]]
    columns: list[str]

    @property
    def json(self) -> Json:
        """The rows as JSON.

        Raises:
            NoJson: a column holds what JSON cannot.
        """
        return json_of(self.rows)

    @property
    def nothing(self) -> bool:
        """True where nothing was found: no row, or nothing but nulls."""
        return all(value is None for row in self.rows for value in row)


class SqlSource:
    """A database that procedures read by statements with bound parameters.

    A statement runs only if it is one `SELECT`, if it stands as a whole in the source of the procedure (so that no
    text of a request can be part of it), and if its placeholders are exactly the parameters given. Parameters are
    bound by the driver. The connection is rolled back.

    Args:
        database: that of the engine.
        markdown: answer with a table in Markdown, as `markdown_response` does.
        cites: whether responses have the rows as source nodes, as those of an engine that synthesises have.
        max_rows: a result with more rows is neither learnt from nor answered with.
    """

    def __init__(
        self, database: SQLDatabase, *, markdown: bool = False, cites: bool = False, max_rows: int = MAX_ROWS
    ) -> None:
        self.database = database
        self.markdown = markdown
        self.cites = cites
        self.max_rows = max_rows
        self._known: set[str] = set()
        self._lock = threading.Lock()
        self._names, schema = _schema(database)
        properties: Json = {"statement": {"type": "string", "x-constant": True}, "parameters": {"type": "object"}}
        self.tool = Tool(
            name=RUN_SQL,
            description=(
                "Run one SELECT statement with :named placeholders. The statement is a constant; every value of the "
                "request goes into parameters. Returns the rows as lists."
            ),
            parameters={
                "type": "object",
                "properties": properties,
                "required": ["statement", "parameters"],
                # Another schema is another tool: statements for the old one are then stale.
                "$comment": f"{database.dialect} {schema}",
            },
            effect="read",
        )

    @property
    def tools(self) -> Sequence[HostTool]:
        """What to declare to the cache."""
        return (HostTool(self.tool, self._direct),)

    def run(self, statement: str, parameters: Mapping[str, Value]) -> Rows:
        """Run a statement with bound parameters.

        Raises:
            ValueError: it is more than one `SELECT`, or its placeholders are not the parameters.
        """
        given = dict(parameters)
        if problem := self._problem(statement, given):
            raise ValueError(problem)
        clause = text(statement)
        if set(clause.compile().params) != set(given):
            raise ValueError("the placeholders of the statement are not the parameters")
        with self.database.engine.connect() as connection:
            cursor = connection.execute(clause, given)
            length = cast(int, getattr(self.database, "_max_string_length", 300))
            rows = [
                tuple(cast(object, self.database.truncate_word(value, length=length)) for value in row)
                for row in cursor.fetchmany(self.max_rows + 1)
            ]
            if len(rows) > self.max_rows:
                raise ValueError(f"the result has more than {self.max_rows} rows")
            return Rows(statement, cast("dict[str, Json]", given), rows, list(cursor.keys()))

    async def arun(self, statement: str, parameters: Mapping[str, Value]) -> Rows:
        """Run a statement without blocking the event loop. See `run`."""
        if isinstance(self.database.engine.pool, SingletonThreadPool):
            return self.run(statement, parameters)  # SQLite in memory: every thread has a database of its own.
        return await asyncio.to_thread(self.run, statement, parameters)

    def session(self, constants: frozenset[str]) -> Session:
        """Begin a run of a procedure, of which these are the constant texts."""
        with self._lock:
            self._known |= {constant for constant in constants if not isinstance(read_tokens(constant), Unfit)}
        return _SqlSession(self, constants)

    def seen(self, question: str, metadata: Mapping[str, object]) -> Seen | Unfit:
        """Return the statement of a response as a call with parameters, checked against the response's own rows."""
        sql, result, columns = (metadata.get(key) for key in ("sql_query", "result", "col_keys"))
        if not isinstance(sql, str) or not isinstance(result, list) or not isinstance(columns, list):
            return Unfit("the response has no statement with rows")
        rows = [tuple(row) for row in cast("list[Sequence[object]]", result)]
        lifted = self.lift(sql, question)
        if isinstance(lifted, Unfit):
            return lifted
        try:
            mine = self.run(lifted.statement, lifted.parameters)
            same = mine.rows == rows and mine.columns == columns
            answer = mine.json
        except (ValueError, NoJson) as error:
            return Unfit(str(error))
        except Exception as error:
            return Unfit(f"the statement with bound parameters fails: {type(error).__name__}")
        if not same:
            return Unfit("the statement with bound parameters has another result")
        if mine.nothing:
            return Unfit("nothing was found: that teaches nothing")
        with self._lock:
            self._known.add(lifted.statement)
        arguments: dict[str, Json] = {"statement": lifted.statement, "parameters": dict(lifted.parameters)}
        return Seen(RUN_SQL, arguments, answer)

    def lift(self, sql: str, question: str) -> Lifted | Unfit:
        """Return a model's statement with the words of the question as parameters."""
        if getattr(self.database, "_schema", None):
            # What the host does to a statement right before it runs; it must be seen before literals are.
            sql = self.database._add_schema_prefix(sql)  # pyright: ignore[reportPrivateUsage]  # no other way
        quoted = self.database.dialect in ("sqlite", "mysql", "mariadb")
        return lift(sql, question, names=self._names, double_quoted_strings=quoted)

    def _problem(self, statement: str, parameters: Mapping[str, Value]) -> str | None:
        found = read_tokens(statement)
        if isinstance(found, Unfit):
            return found.reason
        if placeholders(statement) != frozenset(parameters):
            return "the placeholders of the statement are not the parameters"
        for name in pattern_parameters(statement):
            value = parameters[name]
            if isinstance(value, str) and re.search(r"[%_*?\[\\]", value.strip("%")):
                return f"the pattern {name} has letters that mean more than themselves"
        return None

    def _direct(self, statement: str, parameters: Mapping[str, Value]) -> Value:
        with self._lock:
            known = statement in self._known
        if not known:
            raise ValueError("no query engine has vouched for this statement; ask through SeglamQueryEngine")
        return decode(self.run(statement, parameters).json)


class RetrieverSource:
    """A retriever that procedures call: `retrieve(query)` returns texts with scores, and code computes on them.

    Nothing is learnt from what an engine says on its own: reading is the model's work. A procedure comes from
    `cache.learn` or `cache.observe` with a trace whose answer code can compute.
    """

    def __init__(self, retriever: BaseRetriever) -> None:
        self.retriever = retriever
        self.tool = Tool(
            name=RETRIEVE,
            description="Return the passages nearest to a query, as objects with id, text, score and metadata.",
            parameters={"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
            effect="read",
        )

    @property
    def tools(self) -> Sequence[HostTool]:
        """What to declare to the cache."""
        return (HostTool(self.tool, self._direct),)

    def session(self, constants: frozenset[str]) -> Session:
        """Begin a run of a procedure."""
        return _RetrieverSession(self)

    def seen(self, question: str, metadata: Mapping[str, object]) -> Seen | Unfit:
        """Return that there is nothing to learn: what was retrieved had to be read."""
        return Unfit("what a retriever finds has to be read; code cannot")

    def _direct(self, query: Value) -> Value:
        return decode(nodes_json(self.retriever.retrieve(str(query))))


def nodes_json(nodes: Sequence[NodeWithScore]) -> Json:
    """Return retrieved nodes as a procedure sees them."""
    return [
        {
            "id": node.node_id,
            "text": node.node.get_content(metadata_mode=MetadataMode.NONE),
            "score": node.score,
            "metadata": _metadata(node),
        }
        for node in nodes
    ]


def read_tokens(statement: str) -> Unfit | None:
    """Return why a stored statement may not run, or None."""
    found = read_only(statement, stored=True)
    return found if isinstance(found, Unfit) else None


class _SqlSession:
    def __init__(self, source: SqlSource, constants: frozenset[str]) -> None:
        self._source = source
        self._constants = constants
        self._ran: list[Rows] = []

    def call(self, action: Call) -> ToolResult:
        statement, parameters = self._wanted(action)
        return self._result(self._source.run(statement, parameters))

    async def acall(self, action: Call) -> ToolResult:
        statement, parameters = self._wanted(action)
        return self._result(await self._source.arun(statement, parameters))

    def served(self, answer: Json) -> Served | Unfit:
        if not self._ran:
            return Served(render(answer), {})
        last = self._ran[-1]
        if last.nothing:
            return Unfit("nothing was found: the words may name something else")
        about: dict[str, object] = {"sql_query": last.statement, "result": last.rows, "col_keys": last.columns}
        plain = answer == last.json
        body = str(last.rows)
        words = (_markdown(last) if self._source.markdown else body) if plain else render(answer)
        nodes = [NodeWithScore(node=_row_node(body, about))] if self._source.cites else []
        return Served(words, {**about, "parameters": dict(last.parameters)}, nodes)

    def _wanted(self, action: Call) -> tuple[str, Mapping[str, Value]]:
        statement, parameters = action.arguments.get("statement"), action.arguments.get("parameters")
        if action.tool != RUN_SQL or not isinstance(statement, str) or not isinstance(parameters, dict):
            raise ValueError("this is no call of run_sql with a statement and parameters")
        if statement not in self._constants:
            raise ValueError("the statement was put together: it does not stand in the procedure as a whole")
        return statement, {name: decode(value) for name, value in parameters.items()}

    def _result(self, rows: Rows) -> ToolResult:
        self._ran.append(rows)
        return ToolResult(value=decode(rows.json))


class _RetrieverSession:
    def __init__(self, source: RetrieverSource) -> None:
        self._source = source
        self._nodes: list[NodeWithScore] = []

    def call(self, action: Call) -> ToolResult:
        return self._result(self._source.retriever.retrieve(self._query(action)))

    async def acall(self, action: Call) -> ToolResult:
        return self._result(await self._source.retriever.aretrieve(self._query(action)))

    def served(self, answer: Json) -> Served | Unfit:
        about = {node.node_id: dict(cast("dict[str, object]", node.node.metadata)) for node in self._nodes}
        return Served(render(answer), dict(about), self._nodes)

    def _query(self, action: Call) -> QueryBundle:
        if action.tool != RETRIEVE:
            raise ValueError(f"{action.tool} is no tool of this engine")
        return QueryBundle(str(action.arguments.get("query")))

    def _result(self, nodes: list[NodeWithScore]) -> ToolResult:
        self._nodes += nodes
        return ToolResult(value=decode(nodes_json(nodes)))


def _schema(database: SQLDatabase) -> tuple[frozenset[str], str]:
    """Return all names of tables and columns, and a digest of the tables, their columns and types."""
    tables = cast("Mapping[str, object]", database.metadata_obj.tables)
    shapes: dict[str, list[list[str]]] = {}
    names: set[str] = set()
    for key, table in tables.items():
        columns = [(str(column.name), str(column.type)) for column in getattr(table, "columns", ())]
        shapes[str(key)] = [list(column) for column in columns]
        names |= {str(getattr(table, "name", key)), *(name for name, _ in columns)}
    return frozenset(names), digest(cast(Json, dict(sorted(shapes.items()))))


def _markdown(rows: Rows) -> str:
    """Return what `markdown_response=True` shows."""
    lines = [f"| {' | '.join(rows.columns)} |", f"|{'|'.join(['---'] * len(rows.columns))}|"]
    return "\n".join([*lines, *(f"| {' | '.join(str(item) for item in row)} |" for row in rows.rows)])


def _row_node(text: str, about: Mapping[str, object]) -> TextNode:
    hidden = list(about)
    return TextNode(
        text=text,
        metadata=dict(about),
        excluded_embed_metadata_keys=hidden,
        excluded_llm_metadata_keys=hidden,
    )


def _metadata(node: NodeWithScore) -> Json:
    try:
        return json_of(cast(object, node.node.metadata))
    except NoJson:
        return {}
