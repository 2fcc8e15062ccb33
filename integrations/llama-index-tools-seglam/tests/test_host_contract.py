"""LlamaIndex agents do what every host must do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from li_host import LlamaIndexHost
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from seglam_agents.testing.host_contract import Host, HostContract

from llama_index.tools.seglam import SeglamFunctionAgent, SeglamReActAgent


class FunctionAgent(SeglamFunctionAgent):
    """An agent whose model calls functions, with the same ids in every message, as some models do."""

    @staticmethod
    def final(text: str) -> str:
        return text

    @staticmethod
    def wants(calls: Sequence[tuple[str, dict[str, Any]]]) -> ChatMessage:
        blocks = [ToolCallBlock(tool_call_id=name, tool_name=name, tool_kwargs=given) for name, given in calls]
        return ChatMessage(role="assistant", blocks=blocks)


class ReActAgent(SeglamReActAgent):
    """An agent whose model writes its calls as text."""

    @staticmethod
    def final(text: str) -> str:
        return f"Thought: I know.\nAnswer: {text}"

    @staticmethod
    def wants(calls: Sequence[tuple[str, dict[str, Any]]]) -> str:
        ((name, given),) = calls
        return f"Thought: I need it.\nAction: {name}\nAction Input: {json.dumps(given)}"


class TestFunctionAgent(HostContract):
    """`SeglamFunctionAgent`."""

    modes: ClassVar = frozenset({"async"})

    @pytest.fixture
    def host(self) -> Host:
        return LlamaIndexHost(FunctionAgent)


class TestReActAgent(HostContract):
    """`SeglamReActAgent`."""

    modes: ClassVar = frozenset({"async"})

    @pytest.fixture
    def host(self) -> Host:
        return LlamaIndexHost(ReActAgent)

    def test_parallel_calls(self) -> None:  # type: ignore[override]
        """An agent that writes its calls as text asks for one at a time."""
        pytest.skip("a ReAct agent makes no parallel calls")
