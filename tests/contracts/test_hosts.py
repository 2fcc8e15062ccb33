"""The host contract on the plain reference host. Adapters run it in their own tests."""

from __future__ import annotations

import pytest

from seglam_agents.testing.host_contract import Host, HostContract
from seglam_agents.testing.plain_host import PlainHost


class TestPlainHost(HostContract):
    """A loop of one page."""

    @pytest.fixture
    def host(self) -> Host:
        """A host without a framework."""
        return PlainHost()
