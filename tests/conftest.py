"""What every test gets: no network but loopback, no keys in the environment, and the public data where it is there."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from seglam_agents.guards.slots import exports
from seglam_agents.sandboxes.base import HostModule
from seglam_agents.sandboxes.monty import MontySandbox

# How long an example takes says something of the machine, not of the code.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

SECRETS = re.compile(r"(?i).*_(API_KEY|TOKEN|PROXY)$|^(LANGCHAIN|LANGSMITH|OPENAI|ANTHROPIC|QDRANT|SEGLAM)_")
KEPT = "SEGLAM_DATA"


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves the machine, except in tests marked `server` or `live`."""
    if not _may_leave(request):
        for name in ("connect", "connect_ex"):
            monkeypatch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[MontySandbox]:
    """Share a sandbox as a cache has it among the tests of a file."""
    sandbox = MontySandbox(modules=(HostModule("slots", exports()),))
    yield sandbox
    sandbox.close()


@pytest.fixture(autouse=True)
def clean_environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide keys, proxies and settings of this machine, except in tests marked `server` or `live`."""
    if not _may_leave(request):
        for name in [name for name in os.environ if SECRETS.match(name) and name != KEPT]:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Find the public data sets, or skip."""
    path = Path(os.environ.get(KEPT) or Path(__file__).parents[2] / "shared" / "data")
    if not path.is_dir():
        pytest.skip(f"no public data sets at {path}; set ${KEPT} to their folder")
    return path


def _may_leave(request: pytest.FixtureRequest) -> bool:
    return any(request.node.get_closest_marker(name) for name in ("server", "live"))


def _guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            self.close()
            # Not an OSError: code under test may take that for a broken line, and go on.
            raise RuntimeError(f"a test tried to connect to {address!r}; mark it `server` or `live` if it must")
        return connect(self, address)

    return guarded


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
