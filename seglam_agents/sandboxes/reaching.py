"""`reaching_problems`: what of a program in CPython reaches the machine, by a module within a module or by a text.

The look is no wall. It keeps bodies that nobody wrote in bad faith from what the walls would refuse later, and makes
the ways around longer: whatever a package has imported for itself is an attribute of it (`np.lib._npyio_impl.os`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Final

from seglam_agents.sandboxes.base import Problem
from seglam_agents.sandboxes.naming import dotted, own_attributes

_MACHINE: Final = frozenset(
    {"os", "sys", "io", "subprocess", "ctypes", "builtins", "importlib", "socket", "threading", "multiprocessing"}
    | {"shutil", "pathlib", "inspect", "gc", "posix", "posixpath", "ntpath", "pickle", "marshal", "tempfile", "mmap"}
    | {"runpy", "pkgutil", "zipimport", "_thread", "asyncio", "socketserver", "selectors", "fcntl", "linecache"}
)
"""Modules that reach the machine, or the insides of the interpreter; their names are refused wherever they stand."""
_OFTEN_DATA: Final = frozenset(
    {"signal", "code", "platform", "resource", "site", "trace", "types", "warnings", "logging", "http", "urllib", "ssl"}
    | {"concurrent", "glob", "select", "tokenize", "traceback", "weakref", "zipfile", "tarfile", "gzip", "sqlite3"}
    | {"sysconfig", "contextlib", "atexit", "webbrowser", "ftplib", "smtplib", "email", "secrets", "random", "uuid"}
)
"""Modules whose names records use as well; they are refused as parts of what is imported."""
_HARMLESS: Final = frozenset({"numpy.select", "numpy.random"})
_NAMED_TUPLES: Final = frozenset({"_asdict", "_replace", "_fields", "_make", "_field_defaults"})
_INNER_PARTS: Final = frozenset(
    {"numpy.lib", "numpy.core", "numpy.distutils", "numpy.ctypeslib", "numpy.f2py", "numpy.testing", "numpy.compat"}
    | {"pandas.io", "pandas.core", "pandas.compat", "pandas.util", "pandas.testing", "pandas.errors.ctypes"}
)
_INNER_NAMES: Final = frozenset(
    {"f2py", "ctypeslib", "testing", "memmap", "fromfile", "tofile", "loadtxt", "savetxt", "genfromtxt", "fromregex"}
    | {"savez", "savez_compressed", "DataSource", "lookfor", "safe_eval", "show_versions", "show_config", "open_memmap"}
    | {"ExcelFile", "ExcelWriter", "HDFStore", "read_pickle", "to_pickle", "to_sql", "to_clipboard", "to_hdf", "dump"}
    | {"to_parquet", "to_feather", "to_orc", "to_stata", "to_excel", "to_gbq", "to_iceberg"}
)
"""What reads or writes files and databases, or code, whatever it belongs to."""
_OF_PACKAGES: Final = frozenset({"load", "save", "source", "info", "test", "eval", "dump", "loads"})
"""The same, for what is imported under the name of a package."""
_CODE_IN_TEXTS: Final = frozenset({"query", "eval"})
_WRITES_GIVEN_A_PLACE: Final = frozenset(
    {"to_csv", "to_json", "to_html", "to_latex", "to_xml", "to_markdown", "to_string"}
)
_PLACES: Final = frozenset({"path_or_buf", "path_or_buffer", "buf", "path"})
_FILES: Final = "there are no files and processes"


def reaching_problems(
    nodes: Sequence[ast.AST], imported: Mapping[str, str], standard: frozenset[str]
) -> Iterator[Problem]:
    """Yield what reaches the machine.

    Args:
        nodes: all of the program.
        imported: what its imported names stand for.
        standard: the modules that are no package.
    """
    own = own_attributes(nodes)
    packages = {whole.partition(".")[0] for whole in imported.values()} - standard
    for node in nodes:
        match node:
            case ast.Attribute(attr=name):
                found = _attribute(name, dotted(node, imported), own, packages)
            case ast.ImportFrom(module=module, names=names):
                wholes = [(alias.name, f"{module}.{alias.name}") for alias in names]
                found = [
                    message for name, whole in wholes for message in _attribute(name, whole, frozenset(), packages)
                ]
            case ast.Import(names=names):
                found = [message for alias in names for message in _parts(alias.name)]
            case ast.Call():
                found = [*_called(node, packaged=bool(packages))]
            case _:
                continue
        yield from (Problem(getattr(node, "lineno", 1), message) for message in found)


def _attribute(name: str, whole: str, own: frozenset[str], packages: Set[str]) -> list[str]:
    if name.startswith("_") and not name.startswith("__"):
        known = name in _NAMED_TUPLES or (name in own and not whole)
        return (
            []
            if known
            else [f"the attribute {name} cannot be used: names that begin with _ are nobody's but their own"]
        )
    if name in _MACHINE or (whole and name in _OFTEN_DATA and whole not in _HARMLESS):
        return [f"the attribute {name} cannot be used: it is the name of a module, and {_FILES}"]
    return [*_parts(whole), *_of_package(name, whole, packages)] if packages else []


def _parts(whole: str) -> list[str]:
    """Return why a dotted name is refused that leads into the insides of a package."""
    parts = whole.split(".")
    if any(part.startswith("_") or part in _MACHINE for part in parts[1:]):
        return [f"{whole} cannot be used: it is inside of {parts[0]}"]
    inner = next((".".join(parts[:end]) for end in (2, 3) if ".".join(parts[:end]) in _INNER_PARTS), "")
    return [f"{inner} cannot be used: use what {parts[0]} offers by itself"] if inner else []


def _of_package(name: str, whole: str, packages: Set[str]) -> list[str]:
    of_package = whole == f"{whole.partition('.')[0]}.{name}" and whole.partition(".")[0] in packages
    of_package = of_package and (name in _OF_PACKAGES or name.startswith("read_"))
    if name in _INNER_NAMES or of_package:
        return [f"{whole or '.' + name} cannot be used: {_FILES}; build it from values"]
    return []


def _called(node: ast.Call, *, packaged: bool) -> Iterator[str]:
    """Find what is looked up, or executed, by a text."""
    match node:
        case ast.Call(
            func=ast.Name(id="getattr" | "hasattr" | "setattr" as function), args=[_, ast.Constant(value=str(name)), *_]
        ):
            if name in _MACHINE or (name.startswith("_") and name not in _NAMED_TUPLES):
                yield f"{function}() of {name} is not possible: {_FILES}"
        case ast.Call(func=ast.Attribute(attr=name)) if packaged and name in _CODE_IN_TEXTS:
            yield f".{name}() is not possible: code is not made of texts; write the condition out, as in df[df.a > 1]"
        case ast.Call(func=ast.Attribute(attr=name)) if packaged and name in _WRITES_GIVEN_A_PLACE:
            if node.args or any(word.arg is None or word.arg in _PLACES for word in node.keywords):
                yield f".{name}() with a place to write to is not possible: {_FILES}; leave it out for the text"
        case _:
            pass
