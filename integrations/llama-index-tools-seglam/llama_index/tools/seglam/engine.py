"""`SeglamQueryEngine`: a query engine whose questions of a known kind are answered by stored code, on live data."""

from __future__ import annotations

import ast
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from typing import Any, cast

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import (
    RESPONSE_TYPE,
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.callbacks import CallbackManager
from llama_index.core.prompts.mixin import PromptMixinType
from llama_index.core.schema import NodeWithScore, QueryBundle
from seglam_agents import Deopt, Final, GiveUp, Hit, Learned, Plan, ReasoningCache, Request, ToolStep, Trace
from seglam_agents.records.record import Json

from llama_index.tools.seglam.learning import Learner, Learning
from llama_index.tools.seglam.running import arun_plan, run_plan
from llama_index.tools.seglam.served import Served, Session
from llama_index.tools.seglam.sources import Source, source_of
from llama_index.tools.seglam.sql import Unfit

logger = logging.getLogger(__name__)

MAX_KNOWN_BODIES = 1_024


class SeglamQueryEngine(BaseQueryEngine):
    """Puts a reasoning cache before a query engine.

    What is kept is how a question was answered: for an engine that writes SQL, the statement with the words of the
    question as bound parameters. It runs on every hit. Answers are not kept. Whatever goes wrong in the cache, the
    inner engine answers.

    Args:
        inner: the engine that answers what no procedure does.
        cache: opened with `tools=query_tools(inner)`.
        source: what procedures read from; found from the inner engine where it is a text-to-SQL engine or has a
            retriever.
        streaming: whether a hit comes as a streaming response; None for as the inner engine does.
        learning: within the query, in the background, or never.
        learned: told what came of each trace, or, with a reason, why there was none. It must not raise.
        gave_up: told for which question a procedure gave up, and why. It must not raise.
    """

    def __init__(
        self,
        inner: BaseQueryEngine,
        cache: ReasoningCache,
        *,
        source: Source | None = None,
        streaming: bool | None = None,
        learning: Learning = "inline",
        learned: Callable[[str, Trace | None, Learned], None] | None = None,
        gave_up: Callable[[str, str], None] | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        self.inner = inner
        self.cache = cache
        self.source = source or source_of(inner)
        self.learner = Learner(learning, self._told)
        self._tell = learned
        self._gave_up = gave_up
        self._streaming = _streams(inner) if streaming is None else streaming
        self._fixed = streaming is not None
        self._bodies: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()
        super().__init__(callback_manager or getattr(inner, "callback_manager", None))

    def __getattr__(self, name: str) -> Any:  # whatever the inner engine has
        if name.startswith("_") or name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """Retrieve by the inner engine."""
        return self.inner.retrieve(query_bundle)

    def synthesize(
        self,
        query_bundle: QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
    ) -> RESPONSE_TYPE:
        """Synthesise by the inner engine."""
        return self.inner.synthesize(query_bundle, nodes, additional_source_nodes)

    async def asynthesize(
        self,
        query_bundle: QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
    ) -> RESPONSE_TYPE:
        """Synthesise by the inner engine."""
        return await self.inner.asynthesize(query_bundle, nodes, additional_source_nodes)

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"inner": self.inner}

    def _query(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        try:
            hit = self._serve(query_bundle.query_str)
        except Exception:
            logger.exception("the cache is broken; the inner engine answers")
            hit = None
        if hit is not None:
            return _streamed(hit) if self._streaming else _plain(hit)
        response = self.inner.query(query_bundle)
        self._note(response)
        if not isinstance(response, StreamingResponse):
            self._learn(query_bundle.query_str, response)
            return response
        response.response_gen = self._tee(response.response_gen, query_bundle.query_str, response)
        return response

    async def _aquery(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        try:
            hit = await self._aserve(query_bundle.query_str)
        except Exception:
            logger.exception("the cache is broken; the inner engine answers")
            hit = None
        if hit is not None:
            return _astreamed(hit) if self._streaming else _plain(hit)
        response = await self.inner.aquery(query_bundle)
        self._note(response)
        if isinstance(response, AsyncStreamingResponse):
            response.response_gen = self._atee(response.response_gen, query_bundle.query_str, response)
        elif isinstance(response, StreamingResponse):
            response.response_gen = self._tee(response.response_gen, query_bundle.query_str, response)
        else:
            await self._alearn(query_bundle.query_str, response)
        return response

    def _serve(self, question: str) -> Served | None:
        begun = self._begin(question)
        if begun is None:
            return None
        plan, session = begun
        action, steps = run_plan(self.cache, plan, session.call)
        return self._end(plan, session, action, steps)

    async def _aserve(self, question: str) -> Served | None:
        begun = self._begin(question)
        if begun is None:
            return None
        plan, session = begun
        action, steps = await arun_plan(self.cache, plan, session.acall)
        return self._end(plan, session, action, steps)

    def _begin(self, question: str) -> tuple[Plan, Session] | None:
        plan = self.cache.plan(question)
        if not isinstance(plan, Plan):
            return None
        mine = {host.tool.name: host.tool.schema_hash for host in self.source.tools} if self.source else {}
        strange = [use.name for use in plan.tools if mine.get(use.name) != use.schema_hash]
        if self.source is None or strange:
            reason = f"this engine has no such tool: {', '.join(strange)}" if strange else "this engine has no tools"
            self.cache.finish(plan, GiveUp(reason))
            return None
        return plan, self.source.session(self._constants(plan))

    def _end(self, plan: Plan, session: Session, action: Final | GiveUp, steps: tuple[ToolStep, ...]) -> Served | None:
        served = session.served(action.answer) if isinstance(action, Final) else None
        if isinstance(served, Unfit):
            action, served = GiveUp(served.reason), None
        outcome = self.cache.finish(plan, action, steps)
        if served is None or isinstance(outcome, Deopt):
            reason = outcome.reason if isinstance(outcome, Deopt) else ""
            logger.info("%s gave up: %s", plan.procedure, reason)
            if self._gave_up is not None:
                self._gave_up(plan.request, reason)
            return None
        served.metadata["seglam"] = _citation(outcome)
        return served

    def _constants(self, plan: Plan) -> frozenset[str]:
        """Return the texts that stand in the body of a procedure."""
        with self._lock:
            if (known := self._bodies.get(plan.content_hash)) is not None:
                return known
        bodies = {x.procedure.content_hash: x.procedure.body for x in self.cache.procedures()}
        found = _texts(bodies.get(plan.content_hash, ""))
        with self._lock:
            if len(self._bodies) >= MAX_KNOWN_BODIES:
                self._bodies.clear()
            self._bodies[plan.content_hash] = found
        return found

    def _learn(self, question: str, response: RESPONSE_TYPE) -> None:
        if (trace := self._trace(question, response)) is not None:
            self.learner.learn(self.cache, trace)

    async def _alearn(self, question: str, response: RESPONSE_TYPE) -> None:
        if (trace := self._trace(question, response)) is not None:
            await self.learner.alearn(self.cache, trace)

    def _trace(self, question: str, response: RESPONSE_TYPE) -> Trace | None:
        """Return what the engine did as a trace. Never raises."""
        if self.learner.learning == "off" or self.source is None or isinstance(response, PydanticResponse):
            return None
        try:
            metadata = cast("Mapping[str, object]", response.metadata or {})
            seen = self.source.seen(question, metadata)
            if isinstance(seen, Unfit):
                logger.info("not learnt from: %s", seen.reason)
                if self._tell is not None:
                    self._tell(question, None, Learned(status="deferred", reason=seen.reason))
                return None
            step = ToolStep(tool=seen.tool, arguments=dict(seen.arguments), result=seen.result)
            return Trace(request=Request(text=question), steps=(step,), answer=seen.result)
        except Exception:
            logger.exception("a response cannot be learnt from; it is not touched")
            return None

    def _told(self, cache: ReasoningCache, trace: Trace, learned: Learned) -> None:
        if self._tell is not None:
            self._tell(trace.request.text, trace, learned)

    def _note(self, response: RESPONSE_TYPE) -> None:
        """Remember which kind of response the inner engine gives."""
        if not self._fixed:
            self._streaming = isinstance(response, (StreamingResponse, AsyncStreamingResponse))

    def _tee(
        self, tokens: Generator[str, None, None], question: str, response: RESPONSE_TYPE
    ) -> Generator[str, None, None]:
        yield from tokens
        self._learn(question, response)

    async def _atee(
        self, tokens: AsyncGenerator[str, None], question: str, response: RESPONSE_TYPE
    ) -> AsyncGenerator[str, None]:
        async for token in tokens:
            yield token
        await self._alearn(question, response)


def _streams(engine: BaseQueryEngine) -> bool:
    synthesises = cast(bool, getattr(engine, "_synthesize_response", True))
    return synthesises and getattr(engine, "_streaming", False) is True


def _plain(hit: Served) -> Response:
    return Response(hit.text, source_nodes=hit.nodes, metadata=hit.metadata)


def _streamed(hit: Served) -> StreamingResponse:
    return StreamingResponse((text for text in (hit.text,)), source_nodes=hit.nodes, metadata=hit.metadata)


def _astreamed(hit: Served) -> AsyncStreamingResponse:
    async def tokens() -> AsyncGenerator[str, None]:
        yield hit.text

    return AsyncStreamingResponse(tokens(), source_nodes=hit.nodes, metadata=hit.metadata)


def _citation(hit: Hit) -> dict[str, Json]:
    cited = hit.citation
    return {
        "hit": True,
        "procedure": cited.key,
        "name": cited.name,
        "content_hash": cited.content_hash,
        "clean_replays": cited.clean_replays,
        "error_bound": cited.error_bound,
        "arguments": dict(hit.arguments),
    }


def _texts(body: str) -> frozenset[str]:
    try:
        tree = ast.parse(body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    # The pieces of an f-string are constants, too, and are no texts of their own.
    pieces = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    return frozenset(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in pieces
    )
