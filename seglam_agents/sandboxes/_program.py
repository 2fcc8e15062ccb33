"""Runs one program in CPython: what it may name, what it is given, and what becomes of what it returns.

Loaded as a file by `_worker.py`, and sent as text to remote machines; so it knows the standard library only. It is no
jail: a program can reach every module of the interpreter that it runs in. What holds it is around the process.
"""

# pyright: basic
# ruff: noqa: S102  # running untrusted code is what this script is for
from __future__ import annotations

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


def outcome(task, ask, give_up, packages=()):
    """Run a program and return the reply: what it gave, or how it failed.

    Args:
        task: source, entry, arguments, and the names and numbers that hold for the run.
        ask: has the host run `name(*args, **kwargs)`, all of them in their JSON form; returns or raises.
        give_up: ends the run with a reason, and does not return.
        packages: names of third-party packages that are loaded already.
    """
    try:
        reply = {"done": encode(Run(task, ask, give_up, packages).value(), Budget(task["output_bytes"]))}
        json.dumps(reply)
    except BaseException as error:
        reply = {"failed": failure(error)}
    return reply


class Run:
    """One program and its namespace."""

    def __init__(self, task, ask, give_up, packages):
        self.task = task
        self.ask = ask
        self.give_up = give_up
        self.packages = frozenset(packages)

    def value(self):
        """Execute the source and call its entry."""
        task = self.task
        namespace = {"__builtins__": self.builtins(), "__name__": "__main__", "deopt": self.deopt}
        for tool in task["tools"]:
            namespace[tool] = self.remote(tool)
        try:
            code = compile(task["source"], "<program>", "exec")
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
        modules = {**MODULES, "datetime": frozen_datetime(self.task["now"])}
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
            if name.partition(".")[0] in self.packages and name in sys.modules:
                return sys.modules[name if fromlist else name.partition(".")[0]]
            if name not in modules:
                raise ModuleNotFoundError(f"No module named {name!r}")
            return modules[name]

        return {**names, "__import__": import_module, "print": lambda *items, **options: None}

    def remote(self, name):
        """Return a function that the host runs."""

        def function(*args, **kwargs):
            budget = Budget(2**40)
            return self.ask(name, [encode(item, budget) for item in args], encode(kwargs, budget))

        function.__name__ = function.__qualname__ = name.rpartition(".")[2]
        return function

    def deopt(self, reason="no reason given"):
        """End the run; nothing in the program can stop that."""
        self.give_up(str(reason)[:500])


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
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(value)}
    tag = NAMED.get((type(value).__name__, getattr(value, "_fields", ())))
    if isinstance(value, tuple) and tag:
        return {tag: [encode(item, budget, level + 1) for item in value]}
    if isinstance(value, datetime.datetime):
        return {"$datetime": value.isoformat()}
    if isinstance(value, datetime.date):
        return {"$date": value.isoformat()}
    if isinstance(value, datetime.time):
        return {"$time": value.isoformat()}
    if isinstance(value, datetime.timedelta):
        return {"$duration": value.total_seconds()}
    if isinstance(value, (list, tuple)):
        return [encode(item, budget, level + 1) for item in value]
    if isinstance(value, dict):
        return {text_key(key): encode(item, budget, level + 1) for key, item in value.items()}
    advice = {"set": ": use sorted(...)", "frozenset": ": use sorted(...)", "Decimal": ": use float(...) or str(...)"}
    raise Refused("value", f"a {type(value).__name__} is no value{advice.get(type(value).__name__, '')}")


def text_key(key):
    """Return a key of a dict, which must be text."""
    if not isinstance(key, str):
        raise Refused("value", f"the keys of a dict must be strings, not {type(key).__name__}: use str(key)")
    return key


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
    "$duration": lambda content: datetime.timedelta(seconds=content),
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


def frozen_datetime(moment):
    """Return a copy of the module `datetime` in which it is always the same moment, or never any."""
    now = moment and datetime.datetime.fromisoformat(moment)

    def current():
        if now is None:
            raise RuntimeError(NO_CLOCK)
        return now

    class Kind(type):
        def __instancecheck__(cls, instance):
            return isinstance(instance, cls.__mro__[1])

    class date(datetime.date, metaclass=Kind):
        @classmethod
        def today(cls):
            return datetime.date(*current().timetuple()[:3])

    class frozen(datetime.datetime, metaclass=Kind):
        @classmethod
        def now(cls, tz=None):  # pyright: ignore[reportIncompatibleMethodOverride]  # always a plain datetime
            if tz is None:
                return current().replace(tzinfo=None)
            aware = current() if current().tzinfo else current().replace(tzinfo=datetime.UTC)
            return aware.astimezone(tz)

        today = utcnow = now  # pyright: ignore[reportAssignmentType]  # always a plain datetime

    frozen.__name__ = frozen.__qualname__ = "datetime"
    module = types.ModuleType("datetime")
    vars(module).update({name: item for name, item in vars(datetime).items() if not name.startswith("_")})
    vars(module).update(date=date, datetime=frozen)
    return module


def depth():
    """Return how deep the stack is."""
    frame, count = sys._getframe(), 0
    while frame is not None:
        frame, count = frame.f_back, count + 1
    return count
