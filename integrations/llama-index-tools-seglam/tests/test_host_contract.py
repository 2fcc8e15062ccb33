"""LlamaIndex agents do what every host must do."""

from __future__ import annotations

from typing import ClassVar

import pytest
from li_host import LlamaIndexHost
from seglam_agents.testing.host_contract import Host, HostContract

from llama_index.tools.seglam import SeglamFunctionAgent, SeglamReActAgent

LATER = "later turns are looked up when hosts carry what was said before"


class FunctionAgent(SeglamFunctionAgent):
    """An agent whose model calls functions."""

    @staticmethod
    def final(text: str) -> str:
        return text


class ReActAgent(SeglamReActAgent):
    """An agent whose model writes its calls as text."""

    @staticmethod
    def final(text: str) -> str:
        return f"Thought: I know.\nAnswer: {text}"


class TestFunctionAgent(HostContract):
    """`SeglamFunctionAgent`."""

    modes: ClassVar = frozenset({"async"})
    pending: ClassVar = {"test_later_turns": LATER}

    @pytest.fixture
    def host(self) -> Host:
        return LlamaIndexHost(FunctionAgent)


class TestReActAgent(HostContract):
    """`SeglamReActAgent`."""

    modes: ClassVar = frozenset({"async"})
    pending: ClassVar = {"test_later_turns": LATER, "test_parallel_calls": "x"}

    @pytest.fixture
    def host(self) -> Host:
        return LlamaIndexHost(ReActAgent)
