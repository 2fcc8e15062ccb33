"""SEGLAM for LlamaIndex: query engines and agents that do by code what they have done before."""

from seglam_agents.hosting import tool_name

from llama_index.tools.seglam.agents import (
    SeglamAgentMixin,
    SeglamAgentWorkflow,
    SeglamFunctionAgent,
    SeglamReActAgent,
    cached_agent,
    cached_workflow,
)
from llama_index.tools.seglam.engine import SeglamQueryEngine
from llama_index.tools.seglam.models import LlamaIndexModel
from llama_index.tools.seglam.routing import SeglamQuestionGenerator, SeglamSelector, asking_tool, routing_tool
from llama_index.tools.seglam.sources import FrameSource, RetrieverSource, SqlSource, query_tools, source_of
from llama_index.tools.seglam.tools import (
    ProcedureToolRetriever,
    SeglamToolSpec,
    cache_tools,
    handoff_tool,
    host_tools,
    procedure_tool,
)

__all__ = [
    "FrameSource",
    "LlamaIndexModel",
    "ProcedureToolRetriever",
    "RetrieverSource",
    "SeglamAgentMixin",
    "SeglamAgentWorkflow",
    "SeglamFunctionAgent",
    "SeglamQueryEngine",
    "SeglamQuestionGenerator",
    "SeglamReActAgent",
    "SeglamSelector",
    "SeglamToolSpec",
    "SqlSource",
    "asking_tool",
    "cache_tools",
    "cached_agent",
    "cached_workflow",
    "handoff_tool",
    "host_tools",
    "procedure_tool",
    "query_tools",
    "routing_tool",
    "source_of",
    "tool_name",
]
