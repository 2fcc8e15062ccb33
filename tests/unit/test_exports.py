"""The names that the package offers at its root."""

from __future__ import annotations

import subprocess
import sys

import seglam_agents


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
