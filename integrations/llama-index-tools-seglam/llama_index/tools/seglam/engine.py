"""`SeglamQueryEngine`: a query engine whose questions of a known kind are answered by stored code, on live data."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from typing import Any, TypeVar

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
from seglam_agents import Learned, ReasoningCache, Trace
from seglam_agents.hosting import Flow, Learning, Questions, adrive, drive, host, mapping

from llama_index.tools.seglam.sources import Served, Source, source_of

T = TypeVar("T")


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
        learning: within the query, in the background, or never. SQLite in memory is of one thread: there it is within.
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
        self._bound = bool(getattr(self.source, "bound", False))
        if self._bound and learning == "background":
            learning = "inline"
        self._questions = Questions(cache, self.source, learning, learned, gave_up)
        self.learner = self._questions.drivers.learner
        self._streaming = _streams(inner) if streaming is None else streaming
        self._fixed = streaming is not None
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
        return drive(self._answered(query_bundle, _streamed))

    async def _aquery(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        return await adrive(self._answered(query_bundle, _astreamed))

    def _answered(self, query: QueryBundle, streamed: Callable[[Served], RESPONSE_TYPE]) -> Flow[RESPONSE_TYPE]:
        """Answer by a procedure, or let the inner engine answer, and learn once its response is whole."""
        question = query.query_str
        found = yield from self._in_place(self._questions.answer(question))
        if found is not None:
            hit = found.value
            hit.metadata["seglam"] = found.cited
            return streamed(hit) if self._streaming else _plain(hit)
        response = yield from host(lambda: self.inner.query(query), lambda: self.inner.aquery(query))
        self._note(response)
        if isinstance(response, AsyncStreamingResponse):
            response.response_gen = self._atee(response.response_gen, question, response)
        elif isinstance(response, StreamingResponse):
            response.response_gen = self._tee(response.response_gen, question, response)
        else:
            yield from self._learn(question, response)
        return response

    def _learn(self, question: str, response: RESPONSE_TYPE) -> Flow[None]:
        known = None if isinstance(response, PydanticResponse) else mapping(getattr(response, "metadata", None))
        yield from self._in_place(self._questions.learn(question, known))

    def _in_place(self, flow: Flow[T]) -> Flow[T]:
        """Run a flow, and where the database is of one thread, nothing of it in another one."""
        return drive(flow) if self._bound else (yield from flow)

    def _note(self, response: RESPONSE_TYPE) -> None:
        """Remember which kind of response the inner engine gives."""
        if not self._fixed:
            self._streaming = isinstance(response, (StreamingResponse, AsyncStreamingResponse))

    def _tee(
        self, tokens: Generator[str, None, None], question: str, response: RESPONSE_TYPE
    ) -> Generator[str, None, None]:
        yield from tokens
        drive(self._learn(question, response))

    async def _atee(
        self, tokens: AsyncGenerator[str, None], question: str, response: RESPONSE_TYPE
    ) -> AsyncGenerator[str, None]:
        async for token in tokens:
            yield token
        await adrive(self._learn(question, response))


def _streams(engine: BaseQueryEngine) -> bool:
    return bool(getattr(engine, "_synthesize_response", True)) and getattr(engine, "_streaming", False) is True


def _plain(hit: Served) -> Response:
    return Response(hit.text, source_nodes=hit.nodes, metadata=hit.metadata)


def _streamed(hit: Served) -> StreamingResponse:
    return StreamingResponse((text for text in (hit.text,)), source_nodes=hit.nodes, metadata=hit.metadata)


def _astreamed(hit: Served) -> AsyncStreamingResponse:
    async def tokens() -> AsyncGenerator[str, None]:
        yield hit.text

    return AsyncStreamingResponse(tokens(), source_nodes=hit.nodes, metadata=hit.metadata)
