"""What several suites of sandboxes run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seglam_agents.sandboxes.base import Sandbox
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.sandboxes.process import Unavailable, second_sandbox


@pytest.fixture(scope="module")
def monty() -> Iterator[Sandbox]:
    sandbox = MontySandbox(workers=2)
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def process() -> Iterator[Sandbox]:
    sandbox = second_sandbox()
    if isinstance(sandbox, Unavailable):
        pytest.skip(sandbox.reason)
    yield sandbox
    sandbox.close()
