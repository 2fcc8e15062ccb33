"""pytest, or what to install: the contract suites need it, the doubles do not."""

from __future__ import annotations

try:
    import pytest as pytest
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "the contract suites of seglam_agents.testing need pytest: pip install 'seglam-agents[testing]'", name="pytest"
    ) from error
