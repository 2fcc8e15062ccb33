"""The Python of the sandboxes: what a program may use, told to a model (`DIALECT`) and looked for (`look`).

The look is help, not protection: it tells the author of a program at once what the sandboxes would refuse later, or
what only one of them understands. What protects the host are the sandboxes.
"""

from __future__ import annotations

import ast
import builtins
import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Final

from seglam_agents.sandboxes.base import Problem, Program
from seglam_agents.sandboxes.differences import CLASS_METHODS, differences
from seglam_agents.sandboxes.missing import ABSENT, absent_call
from seglam_agents.sandboxes.naming import dotted, imports, own_attributes
from seglam_agents.sandboxes.reaching import reaching_problems

ALLOWED_MODULES: Final = (
    "math",
    "re",
    "json",
    "datetime",
    "collections",
    "itertools",
    "functools",
    "decimal",
    "typing",
    "dataclasses",
    "bisect",
    "copy",
    "slots",
)

MAX_SOURCE: Final = 200_000
"""Characters of a program; what is looked for in it takes the host a while."""

DIALECT: Final = """\
Plain functions over numbers, str, list, tuple, dict, set, and datetime values; Python 3.11 syntax, no async.
Importable: math, re, json, datetime, collections (Counter, defaultdict, deque, namedtuple), itertools,
functools (reduce, partial, cache), decimal, typing, dataclasses, bisect, slots. Nothing else exists.
No clock, randomness, files, network, environment: what the answer depends on is an argument or a tool result.
Tools are ordinary functions that return their result; a failing tool raises RuntimeError(message).
Call deopt("why") wherever the request is not of the kind the code was written for; it never returns.
Return None, bool, int, float, str, date/time values, or lists and dicts (string keys) of these; no set, no Decimal.
Missing: yield, del, class inheritance (no own exceptions), @property, @staticmethod, @classmethod, async,
  eval, exec, getattr with computed names, double-underscore attributes, global state between runs.
Use d.pop(key) for del; a loop or [..][0] for next(generator); lambda s: s.lower() for str.lower as a value.
re: patterns at module level with re.compile; no re.VERBOSE, no function as replacement; `$` matches only at the end.
Absent: str.translate, str.format_map, timedelta(hours=1.5) (use minutes=90), json default=, callable(), id(), hash().\
"""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What programs may be written in."""

    modules: tuple[str, ...]
    """What may be imported."""
    syntax: Mapping[str, str]
    """Advice by the name of a syntax node."""
    missing: Mapping[str, str]
    """Advice by the dotted name of a part of a module."""
    methods: Mapping[str, str]
    """Advice by the name of a method."""
    builtins: Mapping[str, str]
    """Advice by the name of a builtin."""
    small: bool
    """Whether it is Monty's: no inheritance, no lazy iterators, no methods as values."""


def look(program: Program, modules: Sequence[str] = (), dialect: Dialect | None = None) -> list[Problem]:
    """Return what a program uses that the sandboxes refuse or lack, each with what to write instead.

    Args:
        program: the program; names of its tools count as defined.
        modules: names of host modules that may be imported besides the usual ones.
        dialect: what it may be written in; by default what every sandbox understands.
    """
    dialect = dialect or COMMON
    if len(program.source) > MAX_SOURCE:
        return [Problem(1, f"the source has more than {MAX_SOURCE:,} characters: write less, or data as an argument")]
    try:
        tree = ast.parse(program.source)
    except SyntaxError as error:
        return [Problem(error.lineno or 1, f"syntax: {error.msg}")]
    except (ValueError, RecursionError, MemoryError) as error:
        return [Problem(1, f"the source cannot be read: {error}")]
    tools = frozenset(tool.name for tool in program.tools)
    nodes = list(ast.walk(tree))
    names = _Names(nodes, tools)
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    problems = [Problem(1, message) for message in _entry(tree, program.entry, tools)]
    for node in nodes:
        problems += [
            Problem(getattr(node, "lineno", 1), message)
            for message in _messages(node, names, dialect, (*dialect.modules, *modules))
        ]
    problems += [
        Problem(node.lineno, f"{node.id} is no value here: call it, with the name written out")
        for node in nodes
        if isinstance(node, ast.Name) and node.id in _BY_NAME - names.bound and id(node) not in called
    ]
    if dialect.small:
        problems += differences(program.source, tools)
    else:
        problems += _modules_as_values(nodes, names, dialect)
        problems += reaching_problems(nodes, names.imported, frozenset((*dialect.modules, "slots")))
    if program.clock:
        problems = [problem for problem in problems if not problem.message.endswith(_NO_CLOCK)]
    return sorted(set(problems), key=lambda problem: (problem.line, problem.message))


def _modules_as_values(nodes: Sequence[ast.AST], names: _Names, dialect: Dialect) -> Iterator[Problem]:
    """Refuse a module that is handed around: what is then done with it cannot be seen."""
    owners = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        if isinstance(node, ast.Name) and id(node) not in owners and names.dotted(node) in dialect.modules:
            yield Problem(node.lineno, f"the module {node.id} is no value here: write {node.id}.name(...)")


class _Names:
    """Every name that a program binds somewhere, and what its imports stand for."""

    def __init__(self, nodes: Sequence[ast.AST], tools: frozenset[str]) -> None:
        self.bound = {"deopt", *tools}
        self.functions: set[str] = set()
        self.attributes = own_attributes(nodes)
        self.imported = imports(nodes)
        for node in nodes:
            self._bind(node)
        self.bound |= set(self.imported)

    def dotted(self, node: ast.expr) -> str:
        """Return what a name or an attribute stands for; see `dotted`."""
        return dotted(node, self.imported)

    def _bind(self, node: ast.AST) -> None:
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.ClassDef(name=name):
                self.bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                self.bound.add(name)
                self.functions.add(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                self.bound.add(name)
            case ast.MatchMapping(rest=str(name)):
                self.bound.add(name)
            case _:
                pass


def _entry(tree: ast.Module, entry: str, tools: frozenset[str]) -> Iterator[str]:
    if entry in tools:
        yield f"a tool is called {entry}, as the function to call is: give the tool another name"
    if not any(isinstance(node, ast.FunctionDef) and node.name == entry for node in tree.body):
        yield f"there is no function {entry}(...) at the top level"


def _messages(node: ast.AST, names: _Names, dialect: Dialect, modules: Sequence[str]) -> Iterator[str]:
    match node:
        case ast.Import():
            for alias in node.names:
                yield from _module(alias.name, modules, dialect)
        case ast.ImportFrom():
            yield from _from(node, dialect, modules)
        case ast.Attribute():
            yield from _attribute(node, names, dialect)
        case ast.Name():
            yield from _name(node, names, dialect)
        case ast.Call():
            yield from _call(node, names, dialect)
        case ast.ClassDef() if dialect.small:
            yield from _class(node)
        case ast.MatchClass():
            yield from _matched(node)
        case _:
            if message := dialect.syntax.get(type(node).__name__):
                yield message


def _matched(node: ast.MatchClass) -> Iterator[str]:
    for name in node.kwd_attrs:
        if name.startswith("__"):
            yield f"the attribute {name} cannot be used: double-underscore attributes do not exist here"
        elif name in _CLOCK:
            yield f"the attribute {name} cannot be matched: call it"


def _module(name: str, modules: Sequence[str], dialect: Dialect) -> Iterator[str]:
    if name not in modules and name.partition(".")[0] not in modules:
        advice = _INSTEAD_OF_MODULE.get(name) or f"use only {', '.join(dict.fromkeys(modules))}"
        if not dialect.small and name not in _INSTEAD_OF_MODULE:
            package = name.partition(".")[0]
            advice += f"; a package is named where the sandbox is made (packages=[{package!r}], --packages {package})"
        yield f"the module {name} does not exist here: {advice}"


def _from(node: ast.ImportFrom, dialect: Dialect, modules: Sequence[str]) -> Iterator[str]:
    if node.module == "__future__":
        return
    yield from _module(node.module or ".", modules, dialect)
    for alias in node.names:
        if alias.name == "*":
            yield "import * is not possible: name what you import"
        elif not dialect.small:
            yield from _hidden(node.module or "", alias.name, dialect)
        if advice := dialect.missing.get(f"{node.module}.{alias.name}"):
            yield f"{node.module}.{alias.name} does not exist here: {advice}"


def _attribute(node: ast.Attribute, names: _Names, dialect: Dialect) -> Iterator[str]:
    if node.attr.startswith("__") and (dialect.small or node.attr not in CLASS_METHODS | {"__bool__"}):
        yield f"the attribute {node.attr} cannot be used: double-underscore attributes do not exist here"
    dotted = names.dotted(node)
    if advice := dialect.missing.get(dotted):
        yield f"{dotted} does not exist here: {advice}"
    if not dialect.small:
        yield from _hidden(names.dotted(node.value), node.attr, dialect)
    own = dialect.small and node.attr in names.attributes
    if not own and (advice := dialect.methods.get(node.attr)):
        yield f".{node.attr} does not exist here: {advice}"
    if dialect.small:
        yield from _method_of_type(node, names)


def _hidden(module: str, name: str, dialect: Dialect) -> Iterator[str]:
    """Refuse what a module of the standard library does not offer: others that it has imported, its own machinery."""
    known = module in dialect.modules and module != "slots" and f"{module}.{name}" not in dialect.modules
    if known and name not in _offered(module):
        yield f"{module}.{name} does not exist here: use only what the module offers"


@lru_cache(maxsize=64)
def _offered(module: str) -> frozenset[str]:
    loaded = importlib.import_module(module)
    listed: Sequence[str] | None = getattr(loaded, "__all__", None)
    names = listed if listed is not None else [name for name in dir(loaded) if not name.startswith("_")]
    return frozenset(name for name in names if not isinstance(getattr(loaded, name, None), ModuleType))


def _method_of_type(node: ast.Attribute, names: _Names) -> Iterator[str]:
    if isinstance(node.value, ast.Name) and node.value.id in _BUILTIN_TYPES and node.value.id not in names.bound:
        allowed = node.attr == "fromkeys" or (node.value.id == "bytes" and node.attr == "fromhex")
        if not allowed and not node.attr.startswith("__"):
            name = f"{node.value.id}.{node.attr}"
            yield f"{name} cannot be used through its type: write x.{node.attr}(...), or lambda x: x.{node.attr}()"


def _name(node: ast.Name, names: _Names, dialect: Dialect) -> Iterator[str]:
    name = node.id
    if name in names.bound or not isinstance(node.ctx, ast.Load):
        return
    if advice := dialect.builtins.get(name):
        yield f"{name} does not exist here: {advice}"
    elif name.startswith("__"):
        yield f"the name {name} does not exist here"
    elif not hasattr(builtins, name):
        yield f"the name {name!r} is defined nowhere: only declared tools and importable modules exist"


def _call(node: ast.Call, names: _Names, dialect: Dialect) -> Iterator[str]:
    dotted = names.dotted(node.func)
    function = node.func.id if isinstance(node.func, ast.Name) and not dotted else ""
    if function in _BY_NAME and not _plain_attribute(node):
        yield f"{function}() with a computed or double-underscore name is not possible: use a dict"
    if dialect.small:
        yield from _small_call(node, names, dotted, function)


def _small_call(node: ast.Call, names: _Names, dotted: str, function: str) -> Iterator[str]:
    if dotted in {"re.sub"} and len(node.args) > 1 and _is_function(node.args[1], names):
        yield "re.sub() takes no function here: build the text from re.finditer() with m.start() and m.end()"
    if dotted.startswith("json.") and {"default", "object_hook", "cls"} & {word.arg for word in node.keywords}:
        yield "json has no default=, object_hook= and cls= here: convert the values first"
    if advice := absent_call(node):
        yield advice
    if isinstance(node.func, ast.Attribute) and node.func.attr in {"start", "end", "span"} and _has_text(node):
        yield f"m.{node.func.attr}() takes the number of a group here, not its name"
    if function.endswith(("Error", "Exception")) and function not in names.bound and not _one_text(node):
        yield f"{function}() takes one text here: use an f-string"
    for passed in _passed_functions(node, function):
        if isinstance(passed, ast.Attribute) and not names.dotted(passed):
            yield f"a method is no value here: write lambda x: ….{passed.attr}(x)"


def _class(node: ast.ClassDef) -> Iterator[str]:
    if node.bases or node.keywords:
        yield f"class {node.name} may not inherit: use plain functions and dicts, or @dataclass; raise ValueError"
    for part in node.body:
        if not isinstance(part, ast.FunctionDef):
            continue
        if part.decorator_list:
            yield f"{node.name}.{part.name} may have no decorator: write a plain method or function"


def _plain_attribute(node: ast.Call) -> bool:
    name = node.args[1] if len(node.args) > 1 else None
    return isinstance(name, ast.Constant) and isinstance(name.value, str) and not name.value.startswith("__")


def _is_function(node: ast.expr, names: _Names) -> bool:
    return isinstance(node, ast.Lambda) or (isinstance(node, ast.Name) and node.id in names.functions)


def _has_text(node: ast.Call) -> bool:
    return bool(node.args) and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)


def _one_text(node: ast.Call) -> bool:
    return not node.args or (len(node.args) == 1 and (not isinstance(node.args[0], ast.Constant) or _has_text(node)))


def _passed_functions(node: ast.Call, function: str) -> list[ast.expr]:
    """Return the arguments of a call that are there to be called."""
    keys = [word.value for word in node.keywords if word.arg == "key"]
    return keys + node.args[:1] if function in {"map", "filter"} else keys


_CLOCK: Final = frozenset({"now", "today", "utcnow"})
_BY_NAME: Final = frozenset({"getattr", "setattr", "hasattr", "delattr"})
_NO_CLOCK: Final = "there is no clock; take the date or time as an argument"
_NO_RANDOMNESS: Final = "there is no randomness; a procedure must answer the same again"
_PLAIN: Final = "use plain functions"

_SYNTAX: Final[Mapping[str, str]] = {
    "Yield": "yield does not exist here: collect the items in a list and return it",
    "YieldFrom": "yield does not exist here: collect the items in a list and return it",
    "Delete": "del does not exist here: use d.pop(key), or build a new list or dict",
    "AsyncFunctionDef": "async does not exist here: tools are called as ordinary functions",
    "Await": "await does not exist here: tools are called as ordinary functions",
    "AsyncFor": "async does not exist here: tools are called as ordinary functions",
    "AsyncWith": "async does not exist here: tools are called as ordinary functions",
    "TryStar": "except* does not exist here: use except",
    "TypeAlias": "the type statement does not exist here: leave it out",
}

_INSTEAD_OF_MODULE: Final[Mapping[str, str]] = {
    "random": _NO_RANDOMNESS,
    "secrets": _NO_RANDOMNESS,
    "uuid": _NO_RANDOMNESS,
    "time": _NO_CLOCK,
    "os": "there are no files, processes and environment",
    "sys": "there are no files, processes and environment",
    "pathlib": "there are no files, processes and environment",
    "asyncio": "tools are called as ordinary functions",
    "statistics": "write sum(xs) / len(xs), and sorted(xs) for the median",
    "fractions": "use decimal, or a pair of integers with math.gcd",
    "string": 'write the letters out, such as "abcdefghijklmnopqrstuvwxyz"',
    "operator": "write a lambda, such as lambda pair: pair[1]",
    "enum": "use text constants",
    "abc": _PLAIN,
    "textwrap": "use split() and join()",
    "calendar": "use datetime: date(year, month + 1, 1) - timedelta(days=1) is the last day of a month",
    "zoneinfo": "use datetime.timezone(timedelta(hours=…)), or a tool",
    "heapq": "use sorted()",
    "contextlib": "use try … finally",
}

_MISSING: Final[Mapping[str, str]] = {
    "datetime.datetime.now": _NO_CLOCK,
    "datetime.datetime.today": _NO_CLOCK,
    "datetime.datetime.utcnow": _NO_CLOCK,
    "datetime.date.today": _NO_CLOCK,
    "datetime.datetime.fromtimestamp": "add timedelta(seconds=…) to datetime(1970, 1, 1)",
    "datetime.datetime.utcfromtimestamp": "add timedelta(seconds=…) to datetime(1970, 1, 1)",
    "datetime.date.fromtimestamp": "add timedelta(days=…) to date(1970, 1, 1)",
    "datetime.date.fromordinal": "add timedelta(days=…) to a date",
    "datetime.date.fromisocalendar": "add timedelta(weeks=…) to a date",
    "collections.OrderedDict": "use dict, which keeps its order",
    "collections.ChainMap": "use {**a, **b}",
    "collections.UserDict": "use dict",
    "collections.abc": "use typing",
    "functools.wraps": _PLAIN,
    "functools.update_wrapper": _PLAIN,
    "functools.cmp_to_key": "use key= with a tuple",
    "functools.total_ordering": "use key= with a tuple",
    "functools.singledispatch": "use if isinstance(…)",
    "functools.cached_property": _PLAIN,
    "functools.partialmethod": _PLAIN,
    "dataclasses.asdict": "write the dict out",
    "dataclasses.astuple": "write the tuple out",
    "dataclasses.replace": "make a new instance",
    "typing.NamedTuple": "use collections.namedtuple",
    "typing.TypedDict": "use dict",
    "typing.Protocol": _PLAIN,
    "re.X": "write the pattern without spaces and comments",
    "re.VERBOSE": "write the pattern without spaces and comments",
    "re.subn": "use re.sub(), and len(re.findall()) for the count",
}

_MISSING_METHODS: Final[Mapping[str, str]] = {
    "translate": "use replace(), or a join over the characters",
    "maketrans": "use a dict",
    "format_map": "use format(**values)",
    "isocalendar": "compute the week from date.weekday() and the day of the year",
    **ABSENT,
}

_MISSING_BUILTINS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("eval", "exec", "compile", "__import__"), "code is not made at run time"),
    **dict.fromkeys(("globals", "locals", "vars", "dir"), "use a dict"),
    **dict.fromkeys(("open", "input", "breakpoint", "exit", "quit", "help"), "there is nothing outside"),
    **dict.fromkeys(("super", "staticmethod", "classmethod", "property", "issubclass"), _PLAIN),
    **dict.fromkeys(("bytearray", "memoryview", "ascii", "delattr", "object"), "use str, list or dict"),
    **dict.fromkeys(("id", "hash"), "it differs from run to run; compare values"),
    "callable": "call it, or use isinstance()",
    "aiter": "async does not exist here",
    "anext": "async does not exist here",
}

_BUILTIN_TYPES: Final = frozenset({"str", "list", "dict", "set", "tuple", "int", "float", "bytes"})
COMMON: Final = Dialect(ALLOWED_MODULES, _SYNTAX, _MISSING, _MISSING_METHODS, _MISSING_BUILTINS, small=True)
"""What every sandbox understands."""

_ASYNC: Final = ("AsyncFunctionDef", "Await", "AsyncFor", "AsyncWith")
_COMPUTED: Final[Mapping[str, str]] = dict.fromkeys(
    ("operator.attrgetter", "operator.methodcaller", "string.Formatter", "typing.get_type_hints", "typing.ForwardRef"),
    "attributes and code are not made up at run time",
)
_INSIDES: Final = (
    *("mro", "gi_frame", "gi_code", "gi_yieldfrom", "cr_frame", "cr_code", "ag_frame", "ag_code", "f_globals"),
    *("f_builtins", "f_locals", "f_back", "f_code", "tb_frame", "tb_next", "co_code", "co_consts"),
)

_LACKS_IN_CPYTHON: Final = (
    *("eval", "exec", "compile", "__import__", "globals", "vars", "open", "input", "breakpoint", "exit", "quit"),
    *("help", "id", "hash", "aiter", "anext"),
)

CPYTHON: Final = Dialect(
    (
        *ALLOWED_MODULES,
        *("calendar", "collections.abc", "enum", "fractions", "heapq", "operator", "statistics", "string"),
        *("textwrap", "unicodedata"),
    ),
    {node: _SYNTAX[node] for node in _ASYNC},
    {**{name: advice for name, advice in _MISSING.items() if advice == _NO_CLOCK}, **_COMPUTED},
    {
        **dict.fromkeys(_INSIDES, "the insides of an interpreter are none of a program's business"),
        "samples": _NO_RANDOMNESS,
    },
    {name: _MISSING_BUILTINS[name] for name in _LACKS_IN_CPYTHON},
    small=False,
)
"""What the sandboxes understand in which CPython runs."""
