"""A data frame that procedures read by expressions with bound parameters, for engines that write pandas code.

An expression is a constant of the procedure. It is read as a syntax tree of which every part is on a list; the words of
a question are variables in it, and never text of it.
"""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from seglam_agents import Call, HostTool, Tool, ToolResult
from seglam_agents.records.record import Json, digest
from seglam_agents.records.values import Value, decode

from llama_index.tools.seglam.served import Seen, Served, Session
from llama_index.tools.seglam.sql import Asked, Unfit, words
from llama_index.tools.seglam.values import render

RUN_PANDAS = "run_pandas"
FRAME = "df"
MAX_EXPRESSION = 2_000
MAX_OUTPUT = 20_000
"""Characters of a result that is learnt from, or answered with."""


class FrameSource:
    """A data frame that procedures read.

    Args:
        frame: the `pandas.DataFrame` of the engine, as it is at the time of a hit.
    """

    def __init__(self, frame: object) -> None:
        self._frame = cast(Any, frame)
        self.tool = Tool(
            name=RUN_PANDAS,
            description=(
                "Evaluate one pandas expression over `df`. The expression is a constant; every value of the request "
                "is a variable of it, and goes into parameters. Returns the result as text."
            ),
            parameters={
                "type": "object",
                "properties": {"expression": {"type": "string"}, "parameters": {"type": "object"}},
                "required": ["expression", "parameters"],
                "$comment": digest([[str(name), str(kind)] for name, kind in self._frame.dtypes.items()]),
            },
            effect="read",
        )

    @property
    def tools(self) -> Sequence[HostTool]:
        """What to declare to the cache."""
        return (HostTool(self.tool, self._direct),)

    def run(self, expression: str, parameters: Mapping[str, Value]) -> str:
        """Evaluate an expression with parameters.

        Raises:
            ValueError: something in it is on no list, or its variables are not the parameters.
        """
        tree = self._read(expression, parameters)
        code = compile(tree, "<expression>", "eval")
        scope: dict[str, object] = {"__builtins__": {}, **_BUILTINS, **parameters, FRAME: self._frame}
        output = str(eval(code, scope))  # noqa: S307  # every node of the tree is on a list
        if len(output) > MAX_OUTPUT:
            raise ValueError(f"the result has more than {MAX_OUTPUT} characters")
        return output

    def session(self, constants: frozenset[str]) -> Session:
        """Begin a run of a procedure, of which these are the constant texts."""
        return _FrameSession(self, constants)

    def seen(self, question: str, metadata: Mapping[str, object]) -> Seen | Unfit:
        """Return the expression of a response as a call with parameters, checked against the response's own output."""
        code, output = metadata.get("pandas_instruction_str"), metadata.get("raw_pandas_output")
        if not isinstance(code, str) or not isinstance(output, str):
            return Unfit("the response has no expression with an output")
        try:
            expression, parameters = self._lift(_unfenced(code), question)
            mine = self.run(expression, parameters)
        except Exception as error:
            return Unfit(f"the expression is not one that can be kept: {error}")
        if mine != output:
            return Unfit("the expression with bound parameters has another result")
        if _nothing(mine):
            return Unfit("nothing was found: that teaches nothing")
        arguments: dict[str, Json] = {"expression": expression, "parameters": dict(parameters)}
        return Seen(RUN_PANDAS, arguments, mine)

    def _lift(self, code: str, question: str) -> tuple[str, dict[str, str | int | float]]:
        tree = ast.parse(code.strip(), mode="eval")
        lifting = _Lifting(Asked.of(question), self._columns())
        return ast.unparse(ast.fix_missing_locations(lifting.visit(tree))), lifting.parameters

    def _read(self, expression: str, parameters: Mapping[str, Value]) -> ast.Expression:
        if len(expression) > MAX_EXPRESSION:
            raise ValueError("the expression is too long")
        tree = ast.parse(expression, mode="eval")
        # A column may be called like a method, which is then what the attribute means.
        columns = {name for name in self._columns() if not hasattr(cast(object, self._frame.__class__), name)}
        names: set[str] = set()
        for node in ast.walk(tree):
            if not isinstance(node, _NODES):
                raise ValueError(f"{type(node).__name__} is not on the list")
            if isinstance(node, ast.Attribute) and node.attr not in _METHODS and node.attr not in columns:
                raise ValueError(f"the attribute {node.attr} is not on the list")
            if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
                raise ValueError(f"the attribute {node.attr} is private")
            if isinstance(node, ast.keyword) and node.arg in (None, "inplace"):
                raise ValueError("an argument may change the frame")
            if isinstance(node, ast.Name):
                names.add(node.id)
        if names - {FRAME, *_BUILTINS} != set(parameters) or any(name in _BUILTINS for name in parameters):
            raise ValueError("the variables of the expression are not the parameters")
        if not all(isinstance(value, (str, int, float)) for value in parameters.values()):
            raise ValueError("a parameter is neither a text nor a number")
        return tree

    def _columns(self) -> set[str]:
        return {str(name) for name in cast("Iterable[object]", self._frame.columns)}

    def _direct(self, expression: str, parameters: Mapping[str, Value]) -> Value:
        raise ValueError("no query engine has vouched for this expression; ask through SeglamQueryEngine")


class _FrameSession:
    def __init__(self, source: FrameSource, constants: frozenset[str]) -> None:
        self._source = source
        self._constants = constants
        self._ran: list[tuple[str, str, dict[str, Json]]] = []

    def call(self, action: Call) -> ToolResult:
        expression, parameters = action.arguments.get("expression"), action.arguments.get("parameters")
        if action.tool != RUN_PANDAS or not isinstance(expression, str) or not isinstance(parameters, dict):
            raise ValueError("this is no call of run_pandas with an expression and parameters")
        if expression not in self._constants:
            raise ValueError("the expression was put together: it does not stand in the procedure as a whole")
        output = self._source.run(expression, {name: decode(value) for name, value in parameters.items()})
        self._ran.append((output, expression, parameters))
        return ToolResult(value=output)

    async def acall(self, action: Call) -> ToolResult:
        return await asyncio.to_thread(self.call, action)

    def served(self, answer: Json) -> Served | Unfit:
        if not self._ran:
            return Served(render(answer), {})
        output, expression, parameters = self._ran[-1]
        if _nothing(output):
            return Unfit("nothing was found: the words may name something else")
        about: dict[str, object] = {"pandas_instruction_str": expression, "raw_pandas_output": output}
        return Served(render(answer), {**about, "parameters": dict(parameters)})


class _Lifting(ast.NodeTransformer):
    """Makes variables of the literals that stand in the question, where they are compared with something."""

    def __init__(self, asked: Asked, columns: Iterable[str]) -> None:
        self.asked = asked
        self.columns = set(columns)
        self.parameters: dict[str, str | int | float] = {}

    def visit_Compare(self, node: ast.Compare) -> ast.AST:  # the name is ast's
        """Lift both sides of a comparison. Elsewhere a literal is a column, a regular expression or an option."""
        node.left = self._lifted(node.left)
        node.comparators = [self._lifted(part) for part in node.comparators]
        return self.generic_visit(node)

    def _lifted(self, node: ast.expr) -> ast.expr:
        value: object = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, bool) or not isinstance(value, (str, int, float)) or not self.asked.says(value):
            return node
        name = f"p{len(self.parameters) + 1}"
        self.parameters[name] = value
        return ast.Name(id=name, ctx=ast.Load())


def _unfenced(code: str) -> str:
    match = re.search(r"```(?:python)?\s*\n(.*?)```", code, re.DOTALL)
    return match[1] if match else code


def _nothing(output: str) -> bool:
    return output.strip() in ("", "nan", "None", "NaT", "[]", "0") or output.startswith(
        ("Series([]", "Empty DataFrame")
    )


_BUILTINS: dict[str, object] = {"len": len, "sum": sum, "min": min, "max": max, "round": round, "abs": abs}
_METHODS = words(
    "loc iloc sum mean median min max count nunique std var size shape head tail sort_values sort_index groupby"
    " nlargest nsmallest idxmax idxmin values tolist unique value_counts reset_index set_index isin between lower upper"
    " strip str dt year month day round abs dropna fillna first last item mode cumsum diff astype index columns"
)
_NODES = (
    ast.Expression, ast.Name, ast.Load, ast.Attribute, ast.Call, ast.keyword, ast.Subscript, ast.Slice, ast.Constant,
    ast.Compare, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Tuple, ast.List, ast.And, ast.Or, ast.Not, ast.Invert,
    ast.USub, ast.BitAnd, ast.BitOr, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.FloorDiv, ast.Eq, ast.NotEq,
    ast.Lt, ast.LtE, ast.Gt, ast.GtE,
)  # fmt: skip
