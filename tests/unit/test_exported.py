"""What the packages offer is found where people look for it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import seglam_agents
from seglam_agents.testing import plain_host

SUITES = ("embedder_contract", "host_contract", "host_faults", "sandbox_contract", "store_contract")


def test_dir_lists_what_is_offered() -> None:
    """Names that are loaded when they are asked for are completed like others."""
    assert set(seglam_agents.__all__) <= set(dir(seglam_agents))


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_without_pytest_says_what_to_install(suite: str) -> None:
    """The error names the extra."""
    code = f"import sys; sys.modules['pytest'] = None; import seglam_agents.testing.{suite}"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr
    assert "pip install 'seglam-agents[testing]'" in told


def test_the_host_to_start_from_imports_what_an_adapter_may() -> None:
    """The root and the room of hosts, besides the suite that it is tested by."""
    tree = ast.parse(Path(plain_host.__file__).read_text(encoding="utf-8"))
    ours = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module} - {"__future__"}
    seglam = {name for name in ours if name.startswith("seglam_agents")}
    assert seglam == {"seglam_agents", "seglam_agents.hosting", "seglam_agents.testing.host_contract"}
