"""Every name under which something is told, in one place: those of OpenTelemetry's GenAI conventions, and ours.

The conventions are in development. Most backends know the names of 1.36 of the core conventions (`CLIENT_DURATION`,
`CLIENT_TOKENS`); the conventions' own repository has others by now (`INFERENCE_…`). Which of them are told is a switch.
A cached answer has no convention: `cache_read` is the provider's prompt cache. So a hit opens no model span, and says
nothing of tokens used; it is a workflow without a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SCOPE: Final = "seglam_agents"
"""The name of the tracer and of the meter."""

# --- attributes of the conventions -----------------------------------------------------------------------------------
OPERATION: Final = "gen_ai.operation.name"
AGENT: Final = "gen_ai.agent.name"
PROVIDER: Final = "gen_ai.provider.name"
MODEL: Final = "gen_ai.request.model"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105  # the name of an attribute
SERVER: Final = "server.address"
ERROR: Final = "error.type"

CHAT: Final = "chat"
WORKFLOW: Final = "invoke_workflow"
OURS: Final = "seglam"

# --- metrics of the conventions --------------------------------------------------------------------------------------
CLIENT_DURATION: Final = "gen_ai.client.operation.duration"
CLIENT_TOKENS: Final = "gen_ai.client.token.usage"
INFERENCE_DURATION: Final = "gen_ai.client.inference.duration"
INFERENCE_INPUT: Final = "gen_ai.client.inference.usage.input_tokens"
INFERENCE_OUTPUT: Final = "gen_ai.client.inference.usage.output_tokens"

# --- our attributes --------------------------------------------------------------------------------------------------
OUTCOME: Final = "seglam.outcome"
SURFACE: Final = "seglam.surface"
TENANT: Final = "seglam.tenant"
PROCEDURE: Final = "seglam.procedure.name"
REASON: Final = "seglam.reason"
STATUS: Final = "seglam.status"
PURPOSE: Final = "seglam.purpose"
CURRENCY: Final = "seglam.currency"

# --- our metrics -----------------------------------------------------------------------------------------------------
LOOKUP_DURATION: Final = "seglam.lookup.duration"
REQUESTS: Final = "seglam.requests"
HITS: Final = "seglam.procedure.hits"
DEOPTS: Final = "seglam.procedure.deopts"
SAVED_TOKENS: Final = "seglam.saved.tokens"
SAVED_MONEY: Final = "seglam.saved.money"
SPENT_TOKENS: Final = "seglam.spent.tokens"
LEARNED: Final = "seglam.learned"
PROCEDURES: Final = "seglam.procedures"

SECONDS: Final[Sequence[float]] = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1, 2.5, 5, 10, 30),
)
"""Buckets in which a millisecond can be seen: by default every hit falls into the first."""
MODEL_SECONDS: Final[Sequence[float]] = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)
"""The buckets that the conventions ask for."""
TOKENS: Final[Sequence[float]] = (
    *(1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864),
)
