"""What a query engine reads from, as tools that procedures call: a database, a data frame, a retriever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import MetadataMode, NodeWithScore, TextNode
from llama_index.core.utilities.sql_wrapper import SQLDatabase
from seglam_agents import HostTool, hosting
from seglam_agents.hosting import Json, Rows, Unfit, Value
from sqlalchemy import text
from sqlalchemy.pool import SingletonThreadPool, StaticPool

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Served:
    """A procedure's answer in the form of the engine that it stands in for."""

    text: str
    metadata: dict[str, object]
    nodes: list[NodeWithScore] = field(default_factory=list[NodeWithScore])


Session: TypeAlias = hosting.Session[Served]
Source: TypeAlias = hosting.Source[Served]
"""Where the procedures of an engine read."""


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


class SqlSource(hosting.Statements):
    """A database that procedures read by statements with bound parameters. See `Statements` for what may run.

    Args:
        database: that of the engine. Its connection is rolled back.
        markdown: answer with a table in Markdown, as `markdown_response` does.
        cites: whether responses have the rows as source nodes, as those of an engine that synthesises have.
        max_rows: a result with more rows is neither learnt from nor answered with.
    """

    def __init__(
        self, database: SQLDatabase, *, markdown: bool = False, cites: bool = False, max_rows: int = hosting.MAX_ROWS
    ) -> None:
        names, schema = _schema(database)
        super().__init__(str(database.dialect), names, schema, markdown=markdown)
        self.database = database
        self.cites = cites
        self.max_rows = max_rows

    def session(self, constants: frozenset[str]) -> Session:
        """Begin a run of a procedure, of which these are the constant texts."""
        return _Reading(self, self.vouch(constants), cites=self.cites)

    def execute(self, statement: str, parameters: Mapping[str, Value]) -> Rows:
        """Run a statement that may run; the driver binds the parameters."""
        clause = text(statement)
        if set(clause.compile().params) != set(parameters):
            raise ValueError("the placeholders of the statement are not the parameters")
        length: int = getattr(self.database, "_max_string_length", 300)
        with self.database.engine.connect() as connection:
            cursor = connection.execute(clause, dict(parameters))
            rows: list[tuple[object, ...]] = [
                tuple(self.database.truncate_word(value, length=length) for value in row)
                for row in cursor.fetchmany(self.max_rows + 1)
            ]
        if len(rows) > self.max_rows:
            raise ValueError(f"the result has more than {self.max_rows} rows")
        return Rows(rows, list(cursor.keys()))

    @property
    def bound(self) -> bool:
        """Whether the database is of one thread: SQLite in memory is another one in each, or lost where two use it."""
        pool = self.database.engine.pool
        return self.database.dialect == "sqlite" and isinstance(pool, (SingletonThreadPool, StaticPool))

    async def arun(self, program: str, parameters: Mapping[str, Value]) -> Rows:
        """Run a statement without blocking the event loop, if its database allows that. See `run`."""
        return self.run(program, parameters) if self.bound else await super().arun(program, parameters)

    def prefixed(self, statement: str) -> str:
        """Return a model's statement with the names of schemas that the host puts before tables."""
        if not getattr(self.database, "_schema", None):
            return statement
        return self.database._add_schema_prefix(statement)  # pyright: ignore[reportPrivateUsage]  # no other way


class FrameSource(hosting.Frame):
    """A data frame that procedures read.

    Args:
        frame: the `pandas.DataFrame` of the engine, as it is at the time of a hit.
    """

    def __init__(self, frame: Any) -> None:  # pandas is optional
        super().__init__(frame, {str(name): str(kind) for name, kind in frame.dtypes.items()})

    def session(self, constants: frozenset[str]) -> Session:
        """Begin a run of a procedure, of which these are the constant texts."""
        return _Reading(self, constants)


class RetrieverSource(hosting.Passages[NodeWithScore]):
    """A retriever of LlamaIndex that procedures call. See `Passages`."""

    def __init__(self, retriever: BaseRetriever) -> None:
        self.retriever = retriever

    def session(self, constants: frozenset[str]) -> Session:
        """Begin a run of a procedure."""
        return _Retrieving(self)

    def retrieve(self, query: str) -> Sequence[NodeWithScore]:
        """Return the nodes nearest to a query."""
        return self.retriever.retrieve(query)

    async def aretrieve(self, query: str) -> Sequence[NodeWithScore]:
        """Return the nodes nearest to a query without blocking the event loop."""
        return await self.retriever.aretrieve(query)

    def json(self, found: NodeWithScore) -> dict[str, Json]:
        """Return a node as procedures get it."""
        text = found.node.get_content(metadata_mode=MetadataMode.NONE)
        return {"id": found.node_id, "text": text, "score": found.score, "metadata": _metadata(found)}


class _Retrieving(hosting.Retrieving[NodeWithScore]):
    def served(self, answer: Json) -> Served | Unfit:
        return Served(hosting.render(answer), {node.node_id: _metadata(node) for node in self.found}, self.found)


@dataclass(slots=True)
class _Reading(hosting.Reading[R]):
    cites: bool = False

    def served(self, answer: Json) -> Served | Unfit:
        told = self.told(answer)
        if isinstance(told, Unfit):
            return told
        about = {key: value for key, value in told.metadata.items() if key != "parameters"}
        nodes = [NodeWithScore(node=_row_node(str(about.get("result")), about))] if self.cites and about else []
        return Served(told.text, dict(told.metadata), nodes)


def _schema(database: SQLDatabase) -> tuple[frozenset[str], str]:
    """Return all names of tables and columns, and a digest of the tables, their columns and types."""
    tables = {str(key): table for key, table in sorted(database.metadata_obj.tables.items())}
    shapes: Json = {
        key: [[str(column.name), str(column.type)] for column in table.columns] for key, table in tables.items()
    }
    columns = {str(column.name) for table in tables.values() for column in table.columns}
    return frozenset(columns | {str(table.name) for table in tables.values()}), hosting.digest(shapes)


def _row_node(body: str, about: Mapping[str, object]) -> TextNode:
    hidden = list(about)
    return TextNode(
        text=body,
        metadata=dict(about),
        excluded_embed_metadata_keys=hidden,
        excluded_llm_metadata_keys=hidden,
    )


def _metadata(node: NodeWithScore) -> Json:
    return hosting.encoded_or(getattr(node.node, "metadata", {}), {})
