"""`tried_problems`: what a program calls where it catches a failure that only Monty has.

What Monty lacks raises a TypeError or an AttributeError there. Uncaught, that is a failed run; caught, it is another
branch, and nobody is told. So within a `try` that catches these only what is known to be the same in both is let
through; which that is was found by running some hundred thousand expressions in both.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from re import Match, Pattern
from typing import Final

from seglam_agents.sandboxes.base import Problem
from seglam_agents.sandboxes.catching import Catching
from seglam_agents.sandboxes.naming import dotted, own_attributes
from seglam_agents.sandboxes.stretching import stretched

_KINDS: Final = ("TypeError", "AttributeError", "NotImplementedError")


def tried_problems(nodes: Sequence[ast.AST], imported: Mapping[str, str], tools: frozenset[str]) -> Iterator[Problem]:
    """Yield what may fail in Monty alone where a program catches that and goes on.

    Args:
        nodes: all of the program.
        imported: what its imported names stand for.
        tools: the names of its tools.
    """
    catching = Catching(nodes)
    tried = [(node, kinds) for node in nodes if (kinds := [kind for kind in _KINDS if catching.catches(node, kind)])]
    look = _Look(nodes, imported, tools) if tried else None
    for node, kinds in tried:
        if look and (what := look.odd(node, missing="AttributeError" in kinds, other=kinds != ["AttributeError"])):
            yield Problem(
                getattr(node, "lineno", 1),
                f"{what} may fail here where it does not in Python, and the error is caught: write it before the try, "
                "or catch other errors (ValueError, KeyError, …)",
            )


def unseen_methods(nodes: Sequence[ast.AST]) -> Iterator[Problem]:
    """Yield where a program asks whether an object has a method, which Monty denies of its own types."""
    own = own_attributes(nodes)
    for node in nodes:
        match node:
            case ast.Call(
                func=ast.Name(id="hasattr" | "getattr" as asking), args=[_, ast.Constant(value=str(name)), *_]
            ):
                if name not in own and (name.startswith("_") or name in _OFFERED - _FIELDS):
                    yield Problem(node.lineno, f"{asking}() finds no {name} here: use isinstance(x, …), and x.{name}")
            case _:
                pass


class _Look:
    """What is known of the names of a program."""

    def __init__(self, nodes: Sequence[ast.AST], imported: Mapping[str, str], tools: frozenset[str]) -> None:
        self._imported = imported
        self._own = own_attributes(nodes)
        self._bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        self._bound |= {node.arg for node in nodes if isinstance(node, ast.arg)} | tools
        self._bound |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        self._called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        self._keeps_ranges = _keeps_ranges(nodes)
        self._has_bytes = any(_makes_bytes(node) for node in nodes)
        inside = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
        products = stretched(nodes, imported)
        self._stretched = {id(node) for node in products if isinstance(node, ast.AugAssign) or id(node) in inside}
        self._named_tuples = "collections.namedtuple" in imported.values() or "collections" in imported.values()

    def odd(self, node: ast.AST, *, missing: bool, other: bool) -> str:
        """Return what of a node is not known to be the same in both.

        Args:
            node: a part of the program.
            missing: whether it is caught that an object has no such attribute.
            other: whether it is caught that something takes no such values.
        """
        match node:
            case ast.Attribute():
                return self._attribute(node) if missing else ""
            case ast.Call():
                return self._call(node) if other else ""
            case ast.BinOp() | ast.AugAssign() if other and id(node) in self._stretched:
                return "a length of time times or by a float (x = x * y, outside an f-string)"
            case ast.Compare(left=left, ops=ops, comparators=others) if other and any(map(_is_view, (left, *others))):
                orders = any(isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) for op in ops)
                return "a comparison of keys() or items() (set(d) <= set(e))" if orders else ""
            case _:
                return ""

    def _attribute(self, node: ast.Attribute) -> str:
        if whole := dotted(node, self._imported):
            return "" if _is_known(whole) else whole
        if node.attr in self._own or node.attr not in _OFFERED:
            return ""
        if isinstance(node.value, ast.Name) and node.value.id in _TYPES_BY_NAME and node.value.id not in self._bound:
            known = node.attr == "fromkeys" or (node.value.id == "bytes" and node.attr == "fromhex")
            return "" if known else f"{node.value.id}.{node.attr}"
        if node.attr in _OF_RANGES and self._keeps_ranges:
            return f".{node.attr} (which a range lacks)"
        known = node.attr in (_METHODS if id(node) in self._called else _FIELDS)
        return "" if known else f".{node.attr}" + ("" if id(node) in self._called else ", which is not called,")

    def _call(self, node: ast.Call) -> str:
        name, whole = _name(node.func), dotted(node.func, self._imported)
        if isinstance(node.func, ast.Name) and not whole and (name in self._bound or name not in _BUILTINS):
            return ""
        if isinstance(node.func, ast.Attribute) and not whole and name in self._own:
            return ""
        if whole == "json.dumps" and self._named_tuples:
            return "json.dumps() of a named tuple"
        if isinstance(node.func, ast.Name) and not whole and name not in _SAFE_BUILTINS:
            return f"{name}()"
        odd_words = sorted(word.arg for word in node.keywords if word.arg and word.arg not in _WORDS)
        if odd_words and name not in _TAKE_ANY_WORD:
            return f"{name}({odd_words[0]}=…)"
        return self._shape(node, name, whole)

    def _shape(self, node: ast.Call, name: str, whole: str) -> str:
        """Return what of the number and the kinds of arguments Monty may not take."""
        starred = any(isinstance(item, ast.Starred) for item in node.args)
        method = isinstance(node.func, ast.Attribute) and not whole
        if method and name in _TAKE_ONE and (starred or len(node.args) != 1 or node.keywords):
            # `update` of a dict takes words, and `match` of a pattern one text.
            return (
                "" if name == "update" and not node.args and node.keywords else f".{name}() with other than one value"
            )
        if method and name in _OF_BYTES and self._has_bytes:
            return f".{name}() of bytes"
        if method and name == "groups" and (node.args or node.keywords):
            return ".groups() with a default"
        if method and name == "replace" and node.args and not _replaces_text(node):
            return ".replace() of what is no text written out"
        if name == "sub" and any(
            isinstance(item, (ast.Lambda, ast.Name)) and self._is_function(item) for item in node.args
        ):
            return ".sub() with a function"
        if name == "bytes" and not whole and not all(isinstance(item, ast.Constant) for item in node.args):
            return "bytes()"
        if name == "pow" and node.keywords:
            return "pow() with names"
        return ""

    def _is_function(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Lambda) or (isinstance(node, ast.Name) and node.id in self._bound)


def _is_known(whole: str) -> bool:
    """Tell whether a part of a module is the same in both."""
    module, _, name = whole.rpartition(".")
    if module in _PARTS:
        return name in _PARTS[module]
    return module not in _WHOLE_MODULES or name not in _LACKING[module]


def _keeps_ranges(nodes: Sequence[ast.AST]) -> bool:
    """Tell whether a range may be held by a name, and not only looped over."""
    read = {id(node.iter) for node in nodes if isinstance(node, (ast.For, ast.comprehension))}
    for node in nodes:
        if isinstance(node, ast.Call) and _name(node.func) in {
            "list",
            "tuple",
            "set",
            "sorted",
            "sum",
            "any",
            "all",
            "len",
        }:
            read.update(map(id, node.args))
    return any(isinstance(node, ast.Call) and _name(node.func) == "range" and id(node) not in read for node in nodes)


def _makes_bytes(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bytes)
    return isinstance(node, ast.Attribute) and node.attr == "encode"


def _replaces_text(node: ast.Call) -> bool:
    """Tell whether `replace` is that of a text: its first argument is one, or the result is."""
    first = node.args[0]
    return isinstance(first, ast.JoinedStr) or (isinstance(first, ast.Constant) and isinstance(first.value, str))


def _is_view(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"keys", "items"}


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


_TYPES: Final = (
    *(str, int, float, list, tuple, dict, set, frozenset, bytes, range, slice, ValueError, Pattern, Match),
    *(date, datetime, time, timedelta, timezone, Decimal, Counter, defaultdict, deque),
)
_OFFERED: Final = frozenset(name for kind in _TYPES for name in dir(kind) if not name.startswith("_"))
"""What objects have in Python; what none of them has is missing in both."""
_TYPES_BY_NAME: Final = frozenset({"str", "int", "float", "list", "tuple", "dict", "set", "frozenset", "bytes"})
_FIELDS: Final = frozenset(
    {"year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo", "days", "seconds", "microseconds"}
    | {"args", "pattern", "string", "maxlen"}
)
"""What is read of objects, and the same in both."""
_METHODS: Final = frozenset(
    {"capitalize", "casefold", "center", "count", "decode", "encode", "endswith", "find", "format", "index", "isalnum"}
    | {"isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric", "isprintable", "isspace"}
    | {"istitle", "isupper", "join", "ljust", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace"}
    | {"rfind", "rindex", "rjust", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip"}
    | {"swapcase", "title", "upper", "zfill", "add", "append", "clear", "copy", "discard", "extend", "fromkeys", "get"}
    | {"insert", "items", "keys", "pop", "popitem", "remove", "reverse", "setdefault", "sort", "update", "values"}
    | {"difference", "intersection", "isdisjoint", "issubset", "issuperset", "symmetric_difference", "union"}
    | {"appendleft", "extendleft", "popleft", "rotate", "elements", "most_common", "subtract", "total"}
    | {"findall", "finditer", "fullmatch", "match", "search", "sub", "end", "group", "groupdict", "groups", "span"}
    | {"start", "astimezone", "date", "dst", "isoformat", "isoweekday", "strftime", "time", "timestamp", "timetz"}
    | {"total_seconds", "tzname", "utcoffset", "weekday", "adjusted", "as_tuple", "compare", "copy_abs", "copy_sign"}
    | {"exp", "is_finite", "is_infinite", "is_nan", "is_signed", "is_zero", "ln", "log10", "normalize", "quantize"}
    | {"remainder_near", "same_quantum", "scaleb", "sqrt", "to_integral", "to_integral_exact", "to_integral_value"}
)
"""What is called on objects, and the same in both."""
_OF_RANGES: Final = frozenset({"count", "index", "start"})
_OF_BYTES: Final = frozenset({"count", "find", "index", "rfind", "rindex"})
_TAKE_ONE: Final = frozenset(
    {"union", "intersection", "difference", "update", "match", "fullmatch", "search", "findall", "finditer"}
)
_PARTS: Final[Mapping[str, frozenset[str]]] = {
    "datetime.date": frozenset({"fromisoformat", "strftime"}),
    "datetime.datetime": frozenset({"fromisoformat", "strptime", "combine", "strftime", "now", "today", "utcnow"}),
    "datetime.time": frozenset({"fromisoformat", "strftime"}),
    "datetime.timedelta": frozenset(),
    "datetime.timezone": frozenset({"utc"}),
    "decimal.Decimal": frozenset[str](),
}
"""What classes have that is the same in both, read through their names."""
_LACKING: Final[Mapping[str, frozenset[str]]] = {
    "re": frozenset(
        {"DEBUG", "L", "LOCALE", "T", "TEMPLATE", "U", "UNICODE", "X", "VERBOSE", "purge", "subn", "template"}
    ),
    "json": frozenset({"JSONDecoder", "JSONEncoder", "decoder", "encoder", "scanner", "detect_encoding"}),
    "copy": frozenset({"Error", "error"}),
    "functools": frozenset(
        {"cached_property", "cmp_to_key", "partialmethod", "singledispatch", "singledispatchmethod", "total_ordering"}
        | {"update_wrapper", "wraps", "WRAPPER_ASSIGNMENTS", "WRAPPER_UPDATES"}
    ),
    "collections": frozenset({"ChainMap", "OrderedDict", "UserDict", "UserList", "UserString", "abc"}),
    "decimal": frozenset({"localcontext"}),
}
_WHOLE_MODULES: Final = frozenset(_LACKING)
_SAFE_BUILTINS: Final = frozenset(
    {"abs", "all", "any", "bin", "bool", "bytes", "chr", "dict", "divmod", "enumerate", "filter", "float", "format"}
    | {"frozenset", "hex", "int", "isinstance", "iter", "len", "list", "map", "max", "min", "next", "oct", "ord", "pow"}
    | {"print", "range", "repr", "reversed", "round", "set", "slice", "sorted", "str", "sum", "tuple", "type", "zip"}
)
_BUILTINS: Final = _SAFE_BUILTINS | {
    *(
        "ascii",
        "bytearray",
        "callable",
        "classmethod",
        "complex",
        "delattr",
        "dir",
        "eval",
        "exec",
        "getattr",
        "globals",
    ),
    *("hasattr", "hash", "id", "input", "issubclass", "locals", "memoryview", "object", "open", "property", "setattr"),
    *("staticmethod", "super", "vars"),
}
_WORDS: Final = frozenset(
    {"base", "key", "reverse", "start", "default", "ndigits", "strict", "sep", "maxsplit", "encoding", "errors", "end"}
    | {"keepends", "indent", "sort_keys", "ensure_ascii", "separators", "allow_nan", "skipkeys", "parse_float"}
    | {"parse_int", "flags", "count", "year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo"}
    | {"timespec", "days", "seconds", "minutes", "hours", "weeks", "milliseconds", "microseconds", "rounding", "exp"}
    | {"tz", "name", "offset", "maxlen", "defaults", "initial", "func", "fillvalue", "repeat", "r", "times", "rel_tol"}
    | {"abs_tol", "lo", "hi", "value"}
)
"""Names of arguments that Monty takes as Python does."""
_TAKE_ANY_WORD: Final = frozenset({"dict", "Counter", "defaultdict", "format", "update", "partial"})
