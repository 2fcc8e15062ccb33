"""Whatever breaks at whichever call of the proxy's turn: the client is answered, and nothing is written twice."""

from __future__ import annotations

from typing import ClassVar

import pytest

from seglam_agents.testing.host_contract import Host, Mode
from seglam_agents.testing.host_faults import HostFaults
from tests.surfaces.test_proxy_contract import ProxiedHost


class TestProxiedHost(HostFaults):
    """One process of the proxy a run; over chat completions, because what breaks is behind both."""

    modes: ClassVar[frozenset[Mode]] = frozenset({"sync"})
    # A client does not die with the proxy: that it asks another one is in the host contract.
    test_what_is_killed_is_taken_up_by_another = None  # type: ignore[assignment]

    @pytest.fixture
    def host(self) -> Host:
        return ProxiedHost()
