"""Whatever breaks at whichever call of a turn of the plain reference host. Adapters run it in their own tests."""

from __future__ import annotations

import pytest

from seglam_agents.testing.host_contract import Host
from seglam_agents.testing.host_faults import HostFaults
from seglam_agents.testing.plain_host import PlainHost


class TestPlainHost(HostFaults):
    """A loop of one page."""

    @pytest.fixture
    def host(self) -> Host:
        """A host without a framework."""
        return PlainHost()
