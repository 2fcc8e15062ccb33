"""A reasoning cache for LangChain and LangGraph: what an agent has done before is done by code."""

from __future__ import annotations

from seglam_agents.hosting import Accounting, Price, ProcedureSavings, Saved, SavingsReport

from langchain_seglam.calls import WriteOnce, arecord_tool_call, record_tool_call
from langchain_seglam.decorator import reasoning_cached
from langchain_seglam.graph import add_reasoning_cache
from langchain_seglam.graph_cache import GraphCache, SeglamState
from langchain_seglam.llm_cache import SeglamLLMCache
from langchain_seglam.middleware import SeglamMiddleware
from langchain_seglam.nodes import cache_node, learn_node, route_of
from langchain_seglam.recorder import TraceRecorder
from langchain_seglam.tenancy import TenantCaches
from langchain_seglam.tools import cache_tools, host_tools, procedure_tool, tool_by_name

__all__ = [
    "Accounting",
    "GraphCache",
    "Price",
    "ProcedureSavings",
    "Saved",
    "SavingsReport",
    "SeglamLLMCache",
    "SeglamMiddleware",
    "SeglamState",
    "TenantCaches",
    "TraceRecorder",
    "WriteOnce",
    "add_reasoning_cache",
    "arecord_tool_call",
    "cache_node",
    "cache_tools",
    "host_tools",
    "learn_node",
    "procedure_tool",
    "reasoning_cached",
    "record_tool_call",
    "route_of",
    "tool_by_name",
]
