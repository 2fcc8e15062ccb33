"""Expressions over a data frame with bound parameters: which literals stand in the question, and what may run.

An expression is a constant of a procedure. It is read as a syntax tree of which every part is on a list; the words of a
question are variables in it, and never text of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from seglam_agents.hosting.statements import Asked, words
from seglam_agents.records.values import Value

FRAME = "df"
MAX_EXPRESSION = 2_000
MAX_OUTPUT = 20_000
"""Characters of a result that is learnt from, or answered with."""


@dataclass(frozen=True, slots=True)
class LiftedExpression:
    """An expression with variables, and what stood in their places."""

    expression: str
    parameters: Mapping[str, str | int | float]


def lift_expression(code: str, question: str) -> LiftedExpression:
    """Make variables of the literals that stand in a question, where they are compared with something.

    Raises:
        ValueError: it is no expression.
    """
    try:
        tree = ast.parse(_unfenced(code).strip(), mode="eval")
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"it is no expression: {error}") from error
    lifting = _Lifting(Asked.of(question))
    return LiftedExpression(ast.unparse(ast.fix_missing_locations(lifting.visit(tree))), lifting.parameters)


def evaluate(frame: object, columns: frozenset[str], expression: str, parameters: Mapping[str, Value]) -> str:
    """Evaluate an expression with parameters over a frame, and return the result as text.

    Raises:
        ValueError: something in it is on no list, or its variables are not the parameters.
    """
    # A column may be called like a method, which is then what the attribute means.
    plain = frozenset(name for name in columns if not hasattr(type(frame), name))
    tree = _read(expression, parameters, plain)
    scope: dict[str, object] = {"__builtins__": {}, **_BUILTINS, **parameters, FRAME: frame}
    output = str(eval(compile(tree, "<expression>", "eval"), scope))  # noqa: S307  # every node is on a list
    if len(output) > MAX_OUTPUT:
        raise ValueError(f"the result has more than {MAX_OUTPUT} characters")
    return output


def found_nothing(output: str) -> bool:
    """Tell whether a result says that nothing was found."""
    return output.strip() in ("", "nan", "None", "NaT", "[]", "0") or output.startswith(
        ("Series([]", "Empty DataFrame")
    )


def _read(expression: str, parameters: Mapping[str, Value], columns: frozenset[str]) -> ast.Expression:
    if len(expression) > MAX_EXPRESSION:
        raise ValueError("the expression is too long")
    tree = ast.parse(expression, mode="eval")
    names: set[str] = set()
    for node in ast.walk(tree):
        _check(node, columns)
        if isinstance(node, ast.Name):
            names.add(node.id)
    if names - {FRAME, *_BUILTINS} != set(parameters) or any(name in _BUILTINS for name in parameters):
        raise ValueError("the variables of the expression are not the parameters")
    if not all(isinstance(value, (str, int, float)) for value in parameters.values()):
        raise ValueError("a parameter is neither a text nor a number")
    return tree


def _check(node: ast.AST, columns: frozenset[str]) -> None:
    if not isinstance(node, _NODES):
        raise ValueError(f"{type(node).__name__} is not on the list")
    if isinstance(node, ast.Attribute) and node.attr not in _METHODS and node.attr not in columns:
        raise ValueError(f"the attribute {node.attr} is not on the list")
    if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
        raise ValueError(f"the attribute {node.attr} is private")
    if isinstance(node, ast.keyword) and node.arg in (None, "inplace"):
        raise ValueError("an argument may change the frame")


@dataclass(slots=True)
class _Lifting(ast.NodeTransformer):
    asked: Asked
    parameters: dict[str, str | int | float] = field(default_factory=dict[str, str | int | float])

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
