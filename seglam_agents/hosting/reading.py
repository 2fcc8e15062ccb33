"""Sources that procedures read by programs with bound parameters: statements over tables, expressions over a frame.

What reads them is the host's; what may run, what is learnt from and what is trusted is decided here, for all hosts.
"""

from __future__ import annotations

import asyncio
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from seglam_agents.hosting.answering import Seen, Unfit, vouched
from seglam_agents.hosting.expressions import evaluate, found_nothing, lift_expression
from seglam_agents.hosting.statements import Lifted, lift, pattern_parameters, placeholders, read_only
from seglam_agents.hosting.values import encoded, render
from seglam_agents.records.outcome import Call
from seglam_agents.records.record import Json, digest
from seglam_agents.records.tools import HostTool, Tool
from seglam_agents.records.values import Value, decode
from seglam_agents.sandboxes.base import ToolResult

RUN_SQL = "run_sql"
RUN_PANDAS = "run_pandas"
MAX_ROWS = 1_000
"""Rows of a result that is learnt from, or answered with."""

R = TypeVar("R")
UNFOUND = Unfit("nothing was found: the words may name something else")


@dataclass(frozen=True, slots=True)
class ProgramRun(Generic[R]):
    """One program as it was run."""

    program: str
    parameters: Mapping[str, Value]
    result: R


@dataclass(frozen=True, slots=True)
class Read:
    """An answer as text, and what it is known by in the metadata of the host's own responses."""

    text: str
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])


class Programs(ABC, Generic[R]):
    """A source that is read by programs. `tool` is what to declare to the cache."""

    tool: Tool
    constant: str
    """The argument of the tool that holds the program."""
    direct: Callable[..., Value]
    """Does what the tool does, for a procedure that runs outside of a host."""

    @property
    def tools(self) -> Sequence[HostTool]:
        """What to declare to the cache."""
        return (HostTool(self.tool, self.direct),)

    @abstractmethod
    def run(self, program: str, parameters: Mapping[str, Value]) -> R:
        """Run a program with bound parameters.

        Raises:
            ValueError: it may not run.
        """

    @abstractmethod
    def json(self, result: R) -> Json:
        """Return a result as procedures get it."""

    @abstractmethod
    def told(self, last: ProgramRun[R], answer: Json) -> Read | Unfit:
        """Return what a host is told of a run whose last program this was."""

    async def arun(self, program: str, parameters: Mapping[str, Value]) -> R:
        """Run a program without blocking the event loop. See `run`."""
        return await asyncio.to_thread(self.run, program, parameters)


@dataclass(slots=True)
class Reading(Generic[R]):
    """One run of a procedure over a source of programs.

    Args:
        source: what is read.
        constants: the texts that stand in the procedure; no other program runs.
    """

    source: Programs[R]
    constants: frozenset[str]
    ran: list[ProgramRun[R]] = field(default_factory=list["ProgramRun[R]"])

    def call(self, action: Call) -> ToolResult:
        """Run the program of a call."""
        program, parameters = vouched(action, self.source.tool.name, self.source.constant, self.constants)
        return self._result(program, parameters, self.source.run(program, parameters))

    async def acall(self, action: Call) -> ToolResult:
        """Run the program of a call without blocking the event loop."""
        program, parameters = vouched(action, self.source.tool.name, self.source.constant, self.constants)
        return self._result(program, parameters, await self.source.arun(program, parameters))

    @property
    def last(self) -> ProgramRun[R] | None:
        """The last program that was run; None where none was."""
        return self.ran[-1] if self.ran else None

    def told(self, answer: Json) -> Read | Unfit:
        """Return what a host is told of the run, or why its answer is not to be trusted."""
        return self.source.told(self.last, answer) if self.last is not None else Read(render(answer))

    def _result(self, program: str, parameters: Mapping[str, Value], result: R) -> ToolResult:
        self.ran.append(ProgramRun(program, parameters, result))
        return ToolResult(value=decode(self.source.json(result)))


@dataclass(frozen=True, slots=True)
class Rows:
    """The result of a statement."""

    rows: list[tuple[object, ...]]
    columns: list[str]

    @property
    def nothing(self) -> bool:
        """True where nothing was found: no row, or nothing but nulls."""
        return all(value is None for row in self.rows for value in row)

    @property
    def markdown(self) -> str:
        """The rows as a table."""
        lines = [f"| {' | '.join(self.columns)} |", f"|{'|'.join(['---'] * len(self.columns))}|"]
        return "\n".join([*lines, *(f"| {' | '.join(str(item) for item in row)} |" for row in self.rows)])


class Statements(Programs[Rows]):
    """A database that procedures read by statements with bound parameters.

    A statement runs only if it is one `SELECT`, if it stands as a whole in the source of the procedure (so that no
    text of a request can be part of it), and if its placeholders are exactly the parameters given.

    Args:
        dialect: as SQLAlchemy calls it.
        names: those of the tables and columns.
        schema: a digest of the tables, their columns and types.
        markdown: whether the host answers with a table in Markdown.
    """

    constant = "statement"

    def __init__(self, dialect: str, names: frozenset[str], schema: str, *, markdown: bool = False) -> None:
        self.dialect = dialect
        self.markdown = markdown
        self.names = names
        self._known: set[str] = set()
        self._lock = threading.Lock()
        self.tool = _tool(
            RUN_SQL,
            self.constant,
            "Run one SELECT statement with :named placeholders. The statement is a constant; every value of the "
            "request goes into parameters. Returns the rows as lists.",
            version=f"{dialect} {schema}",
        )

    @abstractmethod
    def execute(self, statement: str, parameters: Mapping[str, Value]) -> Rows:
        """Run a statement that may run; the driver binds the parameters."""

    def prefixed(self, statement: str) -> str:
        """Return a model's statement as the host changes it right before it runs."""
        return statement

    def run(self, program: str, parameters: Mapping[str, Value]) -> Rows:
        """Run a statement with bound parameters.

        Raises:
            ValueError: it is more than one `SELECT`, or its placeholders are not the parameters.
        """
        if problem := _problem(program, parameters):
            raise ValueError(problem)
        return self.execute(program, parameters)

    def json(self, result: Rows) -> Json:
        """Return rows as procedures get them.

        Raises:
            ValueError: a column holds what JSON cannot.
        """
        return encoded(result.rows)

    def told(self, last: ProgramRun[Rows], answer: Json) -> Read | Unfit:
        """Return the rows, or the answer that was made of them, with the statement."""
        rows = last.result
        if rows.nothing:
            return UNFOUND
        plain = rows.markdown if self.markdown else str(rows.rows)
        about = {"sql_query": last.program, "result": rows.rows, "col_keys": rows.columns}
        words = plain if answer == self.json(rows) else render(answer)
        return Read(words, {**about, "parameters": encoded(last.parameters)})

    def vouch(self, constants: frozenset[str]) -> frozenset[str]:
        """Vouch for the statements among the constant texts of a procedure that is about to run, and return those."""
        with self._lock:
            self._known |= {text for text in constants if not isinstance(read_only(text, stored=True), Unfit)}
        return constants

    def seen(self, question: str, metadata: Mapping[str, object]) -> Seen | Unfit:
        """Return the statement of a response as a call with parameters, checked against the response's own rows."""
        sql, result, columns = (metadata.get(key) for key in ("sql_query", "result", "col_keys"))
        if not isinstance(sql, str) or not isinstance(result, list) or not isinstance(columns, list):
            return Unfit("the response has no statement with rows")
        lifted = self.lift(sql, question)
        if isinstance(lifted, Unfit):
            return lifted
        try:
            mine = self.run(lifted.statement, lifted.parameters)
            same = (mine.rows, mine.columns) == (_ROWS.validate_python(result), columns)
            answer = self.json(mine)
        except ValueError as error:
            return Unfit(str(error))
        except Exception as error:
            return Unfit(f"the statement with bound parameters fails: {type(error).__name__}")
        if not same or mine.nothing:
            return Unfit("nothing was found: that teaches nothing" if same else _ANOTHER.format("statement"))
        with self._lock:
            self._known.add(lifted.statement)
        return Seen(RUN_SQL, {"statement": lifted.statement, "parameters": dict(lifted.parameters)}, answer)

    def lift(self, sql: str, question: str) -> Lifted | Unfit:
        """Return a model's statement with the words of the question as parameters."""
        quoted = self.dialect in ("sqlite", "mysql", "mariadb")
        return lift(self.prefixed(sql), question, names=self.names, double_quoted_strings=quoted)

    def direct(self, statement: str, parameters: Mapping[str, Value]) -> Value:
        """Run a statement that this host has vouched for, and no other.

        Raises:
            ValueError: it has not.
        """
        with self._lock:
            known = statement in self._known
        if not known:
            raise ValueError("no query engine has vouched for this statement; ask through SeglamQueryEngine")
        return decode(self.json(self.run(statement, parameters)))


class Frame(Programs[str]):
    """A data frame that procedures read by expressions with bound parameters.

    Args:
        frame: the frame, as it is at the time of a hit.
        columns: the types of its columns by their names.
    """

    constant = "expression"

    def __init__(self, frame: object, columns: Mapping[str, str]) -> None:
        self.frame = frame
        self.columns = columns
        self.tool = _tool(
            RUN_PANDAS,
            self.constant,
            "Evaluate one pandas expression over `df`. The expression is a constant; every value of the request "
            "is a variable of it, and goes into parameters. Returns the result as text.",
            version=digest([[name, kind] for name, kind in columns.items()]),
        )

    def run(self, program: str, parameters: Mapping[str, Value]) -> str:
        """Evaluate an expression with parameters.

        Raises:
            ValueError: something in it is on no list, or its variables are not the parameters.
        """
        return evaluate(self.frame, frozenset(self.columns), program, parameters)

    def json(self, result: str) -> Json:
        """Return a result as procedures get it."""
        return result

    def told(self, last: ProgramRun[str], answer: Json) -> Read | Unfit:
        """Return the answer, with the expression."""
        if found_nothing(last.result):
            return UNFOUND
        about = {"pandas_instruction_str": last.program, "raw_pandas_output": last.result}
        return Read(render(answer), {**about, "parameters": encoded(last.parameters)})

    def seen(self, question: str, metadata: Mapping[str, object]) -> Seen | Unfit:
        """Return the expression of a response as a call with parameters, checked against the response's own output."""
        code, output = metadata.get("pandas_instruction_str"), metadata.get("raw_pandas_output")
        if not isinstance(code, str) or not isinstance(output, str):
            return Unfit("the response has no expression with an output")
        try:
            lifted = lift_expression(code, question)
            mine = self.run(lifted.expression, lifted.parameters)
        except Exception as error:
            return Unfit(f"the expression is not one that can be kept: {error}")
        if mine != output:
            return Unfit(_ANOTHER.format("expression"))
        if found_nothing(mine):
            return Unfit("nothing was found: that teaches nothing")
        return Seen(RUN_PANDAS, {"expression": lifted.expression, "parameters": dict(lifted.parameters)}, mine)

    def direct(self, expression: str, parameters: Mapping[str, Value]) -> Value:
        """Run nothing.

        Raises:
            ValueError: always.
        """
        raise ValueError("no query engine has vouched for this expression; ask through SeglamQueryEngine")


def _tool(name: str, constant: str, description: str, *, version: str) -> Tool:
    """Return the tool that runs programs; for another version of what they are about it is another tool.

    Programs for the old one are then stale.
    """
    properties: Json = {constant: {"type": "string", "x-constant": True}, "parameters": {"type": "object"}}
    parameters: dict[str, Json] = {
        "type": "object",
        "properties": properties,
        "required": [constant, "parameters"],
        "$comment": version,
    }
    return Tool(name=name, description=description, parameters=parameters, effect="read")


def _problem(statement: str, parameters: Mapping[str, Value]) -> str | None:
    found = read_only(statement, stored=True)
    if isinstance(found, Unfit):
        return found.reason
    if placeholders(statement) != frozenset(parameters):
        return "the placeholders of the statement are not the parameters"
    for name in pattern_parameters(statement):
        value = parameters[name]
        if isinstance(value, str) and re.search(r"[%_*?\[\\]", value.strip("%")):
            return f"the pattern {name} has letters that mean more than themselves"
    return None


_ROWS: TypeAdapter[list[tuple[object, ...]]] = TypeAdapter(list[tuple[object, ...]])
_ANOTHER = "the {} with bound parameters has another result"
