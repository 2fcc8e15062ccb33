"""Runs one program in CPython: what it may name, what it is given, and what becomes of what it returns.

Loaded as a file by `_worker.py`, and sent as text to remote machines; so it knows the standard library only. It is no
jail: a program can reach every module of the interpreter that it runs in. What holds it is around the process.
"""

# pyright: basic
# ruff: noqa: S102  # running untrusted code is what this script is for
from __future__ import annotations

import ast
import bisect
import builtins
import calendar
import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import heapq
import itertools
import json
import math
import operator
import re
import statistics
import string
import sys
import textwrap
import time
import types
import typing
import unicodedata

# The standard library imports it only when a date is read, which is too late behind the locks.
import _strptime  # pyright: ignore[reportMissingImports, reportUnusedImport]  # isort: skip

MODULES = {
    module.__name__: module
    for module in (
        *(bisect, calendar, collections, copy, dataclasses, decimal, enum, fractions, functools, heapq, itertools),
        *(json, math, operator, re, statistics, string, textwrap, typing, unicodedata),
    )
}
REFUSED_BUILTINS = frozenset(
    {"breakpoint", "compile", "copyright", "credits", "eval", "exec", "exit", "globals", "help", "input", "license"}
    | {"open", "quit", "vars", "__loader__", "__spec__", "__import__"}
)
INNER_MODULES = {"_strptime": _strptime, "heapq": heapq, "time": time, "unicodedata": unicodedata}
"""What builtins written in C import in the name of the program that calls them, such as `datetime.strptime`."""
NO_CLOCK = "the clock cannot be read here: take the time as an argument"
MAX_DEPTH = 60
MAX_INTEGER_BITS = 14_000

Money = collections.namedtuple("Money", "amount currency")
Quantity = collections.namedtuple("Quantity", "value unit")
NAMED = {("Money", Money._fields): "$money", ("Quantity", Quantity._fields): "$quantity"}


TAGS = frozenset({"$float", "$money", "$quantity", "$datetime", "$date", "$time", "$duration"})
CLOCK = ("now", "today", "utcnow")
"""What of a date reads the clock."""


def outcome(task, ask, end, packages=()):
    """Run a program and return the reply: what it gave, or how it failed.

    Args:
        task: source, entry, arguments, and the names and numbers that hold for the run.
        ask: has the host run `name(*args, **kwargs)`, all of them in their JSON form; returns or raises.
        end: ends the run with a reply, and does not return.
        packages: names of third-party packages that are loaded already.
    """
    try:
        reply = {"done": encode(Run(task, ask, end, packages).value(), Budget(task["output_bytes"]))}
        json.dumps(reply)
    except BaseException as error:
        reply = {"failed": failure(error)}
    return reply


class Run:
    """One program and its namespace."""

    def __init__(self, task, ask, end, packages):
        self.task = task
        self.ask = ask
        self.end = end
        self.packages = frozenset(name.partition(".")[0] for name in packages)
        self.clock = clock(task["now"])

    def value(self):
        """Execute the source and call its entry."""
        task = self.task
        namespace = {"__builtins__": self.builtins(), "__name__": "__main__", "deopt": self.deopt}
        namespace["_clock_"] = self.clock
        for tool in task["tools"]:
            namespace[tool] = self.remote(tool)
        try:
            code = compile(timed(task["source"]), "<program>", "exec")
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            raise Refused("syntax", str(error)) from error
        arguments = decode(task["arguments"])
        sys.setrecursionlimit(depth() + task["recursion_depth"])
        exec(code, namespace)
        if task["entry"] not in namespace:
            raise NameError(f"name {task['entry']!r} is not defined")
        return namespace[task["entry"]](**arguments)

    def builtins(self):
        """Return the builtins of a program: nothing that reaches outside, and its own import."""
        names = {name: item for name, item in vars(builtins).items() if name not in REFUSED_BUILTINS}
        modules = {**MODULES, "datetime": datetime}
        for name, functions in self.task["modules"].items():
            modules[name] = types.ModuleType(name)
            for function in functions:
                setattr(modules[name], function, self.remote(f"{name}.{function}"))

        def import_module(name, globals=None, locals=None, fromlist=(), level=0):
            if name == "__future__":
                return sys.modules[name]
            # A C function asks with a list; the import statement has a tuple or nothing.
            if isinstance(fromlist, list) and name in INNER_MODULES:
                return INNER_MODULES[name]
            root = name.partition(".")[0]
            if root in self.packages:
                if name not in sys.modules:
                    raise ModuleNotFoundError(f"{name} was not loaded before the locks: name it in `packages`")
                return sys.modules[name if fromlist else root]
            if name not in modules:
                raise ModuleNotFoundError(f"No module named {name!r}")
            return modules[name]

        def get_attribute(owner, name, *default):
            try:
                return self.clock(owner, name) if name in CLOCK else getattr(owner, name, *default)
            except AttributeError:
                if default:
                    return default[0]
                raise

        return {
            **names,
            "__import__": import_module,
            "getattr": get_attribute,
            "print": lambda *items, **options: None,
        }

    def remote(self, name):
        """Return a function that the host runs."""

        def function(*args, **kwargs):
            budget = Budget(self.task["output_bytes"])
            try:
                asked = [encode(item, budget) for item in args], encode(kwargs, budget)
            except Refused as error:
                kind, reason = error.args
                return self.end({"failed": [kind, f"the arguments of {name}: {reason}"]})
            return self.ask(name, *asked)

        function.__name__ = function.__qualname__ = name.rpartition(".")[2]
        return function

    def deopt(self, reason="no reason given"):
        """End the run; nothing in the program can stop that."""
        self.end({"deopt": str(reason)[:500]})


def answer(reply):
    """Return what the host replied, or raise what it raised."""
    if "value" in reply:
        return decode(reply["value"])
    kind, message = reply["raise"]
    raise getattr(builtins, kind)(message)


class Refused(Exception):
    """The run ends with this kind of failure."""


class Budget:
    """How much may be written."""

    def __init__(self, size):
        self.size = self.left = size

    def spend(self, count):
        """Take from the budget."""
        self.left -= count
        if self.left < 0:
            raise Refused("limit", f"the value is larger than {self.size:,} bytes")


def encode(value, budget, level=0):
    """Return the JSON form of a value, as the host reads it."""
    budget.spend(len(value) + 2 if isinstance(value, (str, list, tuple, dict)) else 4)
    if level > MAX_DEPTH:
        raise Refused("value", f"the value is nested more than {MAX_DEPTH} levels deep, or contains itself")
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        raise Refused("value", "the integer has more than 4,000 digits")
    if isinstance(value, str):
        return text(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(value)}
    for kind, tag, write in DATES:
        if isinstance(value, kind):
            return {tag: write(value)}
    return several(value, budget, level)


def several(value, budget, level):
    """Return the JSON form of a value that holds others."""
    tag = NAMED.get((type(value).__name__, getattr(value, "_fields", ())))
    if isinstance(value, tuple) and tag:
        return {tag: [encode(item, budget, level + 1) for item in value]}
    if isinstance(value, (list, tuple)):
        return [encode(item, budget, level + 1) for item in value]
    if isinstance(value, dict):
        if len(value) == 1 and not TAGS.isdisjoint(value):
            raise Refused("value", f"a dict whose one key is {next(iter(value))!r} is no value: use another key")
        return {text_key(key): encode(item, budget, level + 1) for key, item in value.items()}
    kind = type(value).__name__
    raise Refused("value", f"a {kind} is no value: {ADVICE.get(kind, 'return numbers, text, dates, lists or dicts')}")


DATES = (
    (datetime.datetime, "$datetime", lambda value: value.isoformat()),
    (datetime.date, "$date", lambda value: value.isoformat()),
    (datetime.time, "$time", lambda value: value.isoformat()),
    (datetime.timedelta, "$duration", lambda value: seconds_of(value)),
)
ADVICE = {
    "Decimal": "use float(...) or str(...)",
    **dict.fromkeys(("set", "frozenset"), "use sorted(...)"),
    "bytes": "use text",
    **dict.fromkeys(("function", "builtin_function_or_method", "method", "type"), "call it, and return what it gives"),
    **dict.fromkeys(("dict_keys", "dict_values", "dict_items", "range", "deque", "generator"), "use list(...)"),
    **dict.fromkeys(("map", "filter", "zip", "enumerate", "reversed", "list_iterator"), "use list(...)"),
    "Match": "use m.group(), or m is not None",
}


def seconds_of(span):
    """Return a duration in seconds; in days, seconds and microseconds where a float has not digits enough for it."""
    if abs(span.days) < 50_000 or not span.microseconds:
        return span.total_seconds()
    return [span.days, span.seconds, span.microseconds]


def text_key(key):
    """Return a key of a dict, which must be text."""
    if not isinstance(key, str):
        raise Refused("value", f"the keys of a dict must be strings, not {type(key).__name__}: use str(key)")
    return text(key)


def text(value):
    """Return a text, which must be one that can be written down."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Refused("value", "the text holds half of a surrogate pair") from error
    return value


def decode(document):
    """Return the value of a JSON form."""
    if isinstance(document, list):
        return [decode(item) for item in document]
    if not isinstance(document, dict):
        return document
    if len(document) == 1:
        ((tag, content),) = document.items()
        if tag in DECODERS:
            return DECODERS[tag](content)
    return {key: decode(item) for key, item in document.items()}


DECODERS = {
    "$float": float,
    "$money": lambda content: Money(*content),
    "$quantity": lambda content: Quantity(*content),
    "$datetime": datetime.datetime.fromisoformat,
    "$date": datetime.date.fromisoformat,
    "$time": datetime.time.fromisoformat,
    "$duration": lambda content: (
        datetime.timedelta(*content) if isinstance(content, list) else datetime.timedelta(seconds=content)
    ),
}


def failure(error):
    """Return the kind and the reason of a failed run."""
    if isinstance(error, Refused):
        return list(error.args)
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<program>":
            line = trace.tb_lineno
        trace = trace.tb_next
    kind = "limit" if isinstance(error, (MemoryError, RecursionError)) else "error"
    where = f" (line {line})" if line else ""
    return [kind, f"{type(error).__name__}: {str(error)[:500]}{where}"]


def timed(source):
    """Return the tree of a program in which whatever reads the clock of a date asks `_clock_` for it.

    The classes of `datetime` are Python's own, so that everything else about them is as it should be.
    """
    tree = ast.parse(source, "<program>")
    if source.isascii() and not any(name in source for name in CLOCK):
        return tree
    return ast.fix_missing_locations(Timed().visit(tree))


class Timed(ast.NodeTransformer):
    """Makes `x.now` into `_clock_(x, "now")`."""

    def visit_Attribute(self, node):
        """Replace what may read the clock."""
        self.generic_visit(node)
        if node.attr not in CLOCK or not isinstance(node.ctx, ast.Load):
            return node
        ours = ast.Name("_clock_", ast.Load())
        return ast.copy_location(ast.Call(ours, [node.value, ast.Constant(node.attr)], []), node)

    def visit_MatchValue(self, node):
        """Leave patterns alone: only plain names may stand there."""
        return node


def clock(moment):
    """Return what reads an attribute where it is always the same moment, or never any."""
    now = moment and datetime.datetime.fromisoformat(moment)

    def current():
        if now is None:
            raise RuntimeError(NO_CLOCK)
        return now

    def aware():
        return current() if current().tzinfo else current().replace(tzinfo=datetime.UTC)

    def attribute(owner, name):
        found = getattr(owner, name)
        cls = getattr(found, "__self__", None)
        if not (
            isinstance(found, types.BuiltinMethodType) and isinstance(cls, type) and issubclass(cls, datetime.date)
        ):
            return found
        if not issubclass(cls, datetime.datetime):
            return lambda: cls(*current().timetuple()[:3])

        def read(tz=None):
            value = current().replace(tzinfo=None) if tz is None else aware().astimezone(tz)
            return cls.combine(value.date(), value.timetz())

        def read_utc():
            value = aware().astimezone(datetime.UTC)
            return cls.combine(value.date(), value.time())

        return {"now": read, "today": lambda: read(), "utcnow": read_utc}[name]

    return attribute


def depth():
    """Return how deep the stack is."""
    frame, count = sys._getframe(), 0
    while frame is not None:
        frame, count = frame.f_back, count + 1
    return count
