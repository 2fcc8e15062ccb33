"""The names that the package offers at its root."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib import import_module
from types import ModuleType

import seglam_agents
from seglam_agents.records.errors import SeglamError


def test_every_exported_name_exists() -> None:
    """Each name of `__all__` can be imported, and nothing else is promised."""
    for name in seglam_agents.__all__:
        assert getattr(seglam_agents, name) is not None
    assert sorted(seglam_agents.__all__) == seglam_agents.__all__


def test_the_core_loads_no_framework() -> None:
    """Importing the cache loads neither LangChain nor a plot library."""
    code = (
        "import sys; from seglam_agents import ReasoningCache; "
        "print(sorted(m for m in ('langchain_core', 'langchain', 'llama_index', 'matplotlib') if m in sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_root_is_what_it_was() -> None:
    """A name that appears at the root, or goes, is a decision: it is written down here as well."""
    assert set(seglam_agents.__all__) == {
        *("Call", "Deopt", "Final", "GiveUp", "Hit", "HostTool", "Learned", "Miss", "Outcome", "Plan"),
        *("ReasoningCache", "Recognised", "Refused", "Request", "Scope", "SeglamError", "Tool", "ToolResult"),
        *("ToolStep", "Trace"),
    }


def test_everything_that_is_raised_descends_from_one_error() -> None:
    """Each public exception of the package is a `SeglamError`, wherever it is defined."""
    strangers = [
        f"{module.__name__}.{name}"
        for module in modules()
        for name, member in vars(module).items()
        if isinstance(member, type)
        and issubclass(member, Exception)
        and member.__module__ == module.__name__
        and not name.startswith("_")
        and not issubclass(member, SeglamError)
    ]
    assert strangers == []


def modules() -> list[ModuleType]:
    """Return every module of the core, but for what runs inside a sandbox and what is there for tests."""
    names = [info.name for info in pkgutil.walk_packages(seglam_agents.__path__, "seglam_agents.")]
    left_out = (
        "._worker",
        "._lifeline",
        "._jail",
        "._remote",
        "._program",
        "prelude",
        ".testing",
        ".fastembed",
        ".langchain",
        ".e2b",
    )
    return [import_module(name) for name in names if not any(part in name for part in left_out)]
