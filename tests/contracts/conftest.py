"""What several suites of sandboxes run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seglam_agents.sandboxes.base import Sandbox
from seglam_agents.sandboxes.monty import MontySandbox


@pytest.fixture(scope="module")
def monty() -> Iterator[Sandbox]:
    sandbox = MontySandbox(workers=2)
    yield sandbox
    sandbox.close()
