"""`Telemetry`: traces and metrics by OpenTelemetry. Only here is it imported, with the exporters."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Literal, TypeAlias

from seglam_agents import Learned, ReasoningCache
from seglam_agents.hosting import SavingsReport, Usage, safely
from seglam_agents.surfaces.errors import missing
from seglam_agents.surfaces.frame import Surface
from seglam_agents.surfaces.telemetry import names
from seglam_agents.surfaces.watching import Seen, Watch, Watched
from seglam_agents.surfaces.web import Request, Response, Route

try:
    from opentelemetry import metrics, trace
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.metrics import CallbackOptions, Histogram, MeterProvider, Observation
    from opentelemetry.sdk.metrics import MeterProvider as OwnMeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider as OwnTracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_LATEST
except ImportError as error:
    raise missing("otel") from error

GenAINames: TypeAlias = Literal["old", "new", "both"]
Attributes: TypeAlias = Mapping[str, str]
_Key: TypeAlias = tuple[tuple[str, str], ...]
_OPENAI = "api.openai.com"


@dataclass(frozen=True, slots=True)
class _Beside:
    """A cache whose own sums are told: that of an agent beside the surfaces."""

    cache: ReasoningCache
    name: str
    savings: Callable[[], SavingsReport] | None


@dataclass(slots=True)
class _Sums:
    """Sums by their names and attributes. Safe between threads."""

    _values: dict[str, Counter[_Key]] = field(default_factory=dict[str, "Counter[_Key]"])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, value: float, **attributes: str) -> None:
        key = tuple(sorted((known, text) for known, text in attributes.items() if text))
        with self._lock:
            self._values.setdefault(name, Counter())[key] += value  # pyright: ignore[reportArgumentType]

    def of(self, name: str) -> dict[_Key, float]:
        with self._lock:
            return dict(self._values.get(name, {}))


class Telemetry(Watch):
    """Tells of requests, of what was learnt, and of caches beside, by the conventions for GenAI.

    Args:
        tracer_provider: whose spans; the process's own without one.
        meter_provider: whose metrics; the process's own without one.
        genai: the names of the metrics of model calls: those that most backends know, or the newer ones.
        texts: tell why no procedure spoke, in words that may quote the request.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        *,
        genai: GenAINames = "old",
        texts: bool = False,
    ) -> None:
        super().__init__(texts=texts)
        given = version("seglam-agents")
        self.tracer = trace.get_tracer(names.SCOPE, given, tracer_provider)
        meter = metrics.get_meter(names.SCOPE, given, meter_provider)
        self.sums = _Sums()
        self._beside: list[_Beside] = []
        self.lookup = meter.create_histogram(
            names.LOOKUP_DURATION,
            unit="s",
            description="What looking a request up took.",
            explicit_bucket_boundaries_advisory=list(names.SECONDS),
        )
        self.durations, self.tokens = _histograms(meter, genai)
        self.new = genai in ("new", "both")
        for name, unit, description in _COUNTERS:
            meter.create_observable_counter(name, [self._observed(name)], unit=unit, description=description)
        meter.create_observable_gauge(
            names.PROCEDURES, [self._serving], unit="{procedure}", description="Procedures that serve."
        )

    def beside(self, cache: ReasoningCache, name: str, savings: Callable[[], SavingsReport] | None = None) -> None:
        """Tell of a cache that is used by something else than a surface: an agent of this process.

        Args:
            cache: the cache; it is kept.
            name: what uses it, in the place of the surface.
            savings: what its host reports, such as `middleware.savings`.
        """
        self._beside.append(_Beside(cache, name, savings))

    def begun(self, surface: str, headers: Mapping[str, str]) -> Watched:
        """Begin to watch a request."""
        parent = TraceContextTextMapPropagator().extract(dict(headers))
        attributes = {names.OPERATION: names.WORKFLOW, names.AGENT: names.OURS, names.SURFACE: surface}
        span = self.tracer.start_span(f"{names.WORKFLOW} {names.OURS}", parent, attributes=attributes)
        return _Traced(self, span)

    def learned(self, tenant: str, learned: Learned) -> None:
        """Take in what came of a run that was learnt from."""
        super().learned(tenant, learned)
        self.sums.add(names.LEARNED, 1, **{names.STATUS: learned.status, names.TENANT: tenant})
        for kind, count in _counts(learned.usage):
            about = {names.PURPOSE: "learn", names.TOKEN_TYPE: kind, names.TENANT: tenant}
            self.sums.add(names.SPENT_TOKENS, count, **about)

    def _observed(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            sums = Counter(self.sums.of(name))
            for one in list(self._beside):
                told = f"the metrics of {one.name} cannot be read"
                for key, value in safely(lambda one=one: _told(one), {}, told).get(name, {}).items():
                    sums[key] += value  # pyright: ignore[reportArgumentType]
            return [Observation(value, dict(key)) for key, value in sums.items()]

        return observe

    def _serving(self, _: CallbackOptions) -> Iterable[Observation]:
        for one in list(self._beside):
            count = safely(lambda one=one: one.cache.stats().procedures, None, "procedures cannot be counted")
            if count is not None:
                yield Observation(count, {names.TENANT: one.cache.scope.tenant, names.SURFACE: one.name})


class _Traced(Watched):
    """One request as a span, with a span of its own for the model."""

    def __init__(self, telemetry: Telemetry, span: Span) -> None:
        super().__init__(texts=telemetry.texts)
        self._telemetry = telemetry
        self._span = span
        self._chat: Span | None = None
        self._about: dict[str, str] = {}
        self._began = 0.0

    def found(self, seen: Seen) -> None:
        with trace.use_span(self._span):  # So that the log has its ids.
            super().found(seen)
        self._span.set_attribute(names.OUTCOME, seen.outcome)
        given = {names.PROCEDURE: seen.procedure, names.TENANT: seen.tenant}
        self._span.set_attributes({name: value for name, value in given.items() if value})
        if self.texts and seen.reason:
            self._span.set_attribute(names.REASON, seen.reason)
        about = {names.OUTCOME: seen.outcome, names.SURFACE: seen.surface}
        self._telemetry.lookup.record(seen.seconds, about)
        _count(self._telemetry.sums, seen)

    def asking(self, model: str, server: str) -> None:
        provider = "openai" if server == _OPENAI else server
        self._about = {
            names.OPERATION: names.CHAT,
            names.PROVIDER: provider,
            names.MODEL: model,
            names.SERVER: server,
        }
        context = trace.set_span_in_context(self._span)
        self._began = time.perf_counter()
        self._chat = self._telemetry.tracer.start_span(
            f"{names.CHAT} {model}".strip(), context, kind=SpanKind.CLIENT, attributes=self._about
        )

    def said(self, usage: Usage | None = None, error: str = "") -> None:
        chat, self._chat = self._chat, None
        if chat is None:
            return
        about = {**self._about, **({names.ERROR: error} if error else {})}
        for histogram in self._telemetry.durations:
            histogram.record(time.perf_counter() - self._began, about)
        if usage is not None and usage.tokens:
            chat.set_attribute(names.INPUT_TOKENS, usage.input_tokens)
            chat.set_attribute(names.OUTPUT_TOKENS, usage.output_tokens)
            self._counted(usage)
        if error:
            chat.set_attribute(names.ERROR, error)
            chat.set_status(StatusCode.ERROR)
        chat.end()

    def ended(self) -> None:
        self.said(error="aborted")
        if self._span.is_recording():
            self._span.end()

    def _counted(self, usage: Usage) -> None:
        for kind, count in _counts(usage):
            if self._telemetry.tokens is not None:
                self._telemetry.tokens.record(count, {**self._about, names.TOKEN_TYPE: kind})
            if self._telemetry.new:
                name = names.INFERENCE_INPUT if kind == "input" else names.INFERENCE_OUTPUT
                self._telemetry.sums.add(name, count, **self._about)


_COUNTERS = (
    (names.REQUESTS, "{request}", "Requests by what became of them."),
    (names.HITS, "{request}", "Answers of a procedure."),
    (names.DEOPTS, "{request}", "Give-ups of a procedure."),
    (names.SAVED_TOKENS, "{token}", "Tokens that the model's own runs of the kind had cost."),
    (names.SAVED_MONEY, "", "What these would have cost."),
    (names.SPENT_TOKENS, "{token}", "Tokens that the cache itself spent on a model."),
    (names.LEARNED, "{run}", "Runs by what came of learning from them."),
    (names.INFERENCE_INPUT, "{token}", "Input tokens of model calls."),
    (names.INFERENCE_OUTPUT, "{token}", "Output tokens of model calls."),
)


@contextmanager
def telemetry(
    endpoint: str = "", *, genai: GenAINames = "old", texts: bool = False, path: str = "/metrics"
) -> Generator[tuple[Telemetry, Surface]]:
    """Open telemetry for a process that has none of its own: what tells, and an endpoint that Prometheus reads.

    Args:
        endpoint: the address of a collector, such as `http://localhost:4318`, to which traces and metrics are sent over
            OTLP and HTTP as well, the rest of them in the end; empty for none.
        genai: the names of the metrics of model calls.
        texts: tell why no procedure spoke.
        path: where the endpoint is.
    """
    base, registry = endpoint.rstrip("/"), CollectorRegistry()
    # Else every series has three labels more, and the process's own registry is taken.
    readers: list[MetricReader] = [PrometheusMetricReader(registry=registry, scope_info_enabled=False)]
    resource = Resource.create({"service.name": names.OURS, "service.version": version("seglam-agents")})
    tracing = OwnTracerProvider(resource=resource) if base else None
    if tracing is not None:
        tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{base}/v1/traces")))
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter(f"{base}/v1/metrics")))
        # The MCP SDK tells of its calls by the process's own provider.
        trace.set_tracer_provider(tracing)
    metering = OwnMeterProvider(readers, resource=resource)

    # Not async, so that it is run in a thread: it asks the stores of caches.
    def answer(request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    try:
        yield Telemetry(tracing, metering, genai=genai, texts=texts), Surface("metrics", [Route(path, answer)])
    finally:
        metering.shutdown()
        if tracing is not None:
            tracing.shutdown()


def current_ids() -> dict[str, str]:
    """Return the ids of the span that is open, for logs."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": format(context.trace_id, "032x"), "span_id": format(context.span_id, "016x")}


def _histograms(meter: metrics.Meter, genai: GenAINames) -> tuple[list[Histogram], Histogram | None]:
    wanted = {"old": [names.CLIENT_DURATION], "new": [names.INFERENCE_DURATION]}
    chosen = wanted.get(genai, [names.CLIENT_DURATION, names.INFERENCE_DURATION])
    durations = [
        meter.create_histogram(
            name,
            unit="s",
            description="What calls of the model took.",
            explicit_bucket_boundaries_advisory=list(names.MODEL_SECONDS),
        )
        for name in chosen
    ]
    if genai == "new":
        return durations, None
    tokens = meter.create_histogram(
        names.CLIENT_TOKENS,
        unit="{token}",
        description="Tokens of model calls.",
        explicit_bucket_boundaries_advisory=list(names.TOKENS),
    )
    return durations, tokens


def _count(sums: _Sums, seen: Seen) -> None:
    tenant = {names.TENANT: seen.tenant}
    sums.add(names.REQUESTS, 1, **{names.OUTCOME: seen.outcome, names.SURFACE: seen.surface, **tenant})
    procedure = {names.PROCEDURE: seen.procedure.partition("@")[0], **tenant}
    if seen.ended and seen.outcome == "deopt":
        sums.add(names.DEOPTS, 1, **procedure)
    if not seen.ended or seen.outcome == "deopt":
        return
    sums.add(names.HITS, 1, **procedure)
    for kind in ("input", "output"):
        tokens = seen.saved.get(f"{kind}_tokens")
        if isinstance(tokens, int) and tokens:
            sums.add(names.SAVED_TOKENS, tokens, **{**procedure, names.TOKEN_TYPE: kind})
    money = seen.saved.get("money")
    if isinstance(money, (int, float)):
        sums.add(names.SAVED_MONEY, money, **{**procedure, names.CURRENCY: str(seen.saved.get("currency", ""))})


def _told(one: _Beside) -> dict[str, dict[_Key, float]]:
    """Return the sums of a cache beside."""
    sums, tenant = _Sums(), {names.TENANT: one.cache.scope.tenant}
    stats = one.cache.stats()
    outcomes = {
        "hit": stats.hits,
        "recognised": stats.recognised,
        "miss": stats.misses,
        "deopt": stats.deopts,
        "refused": stats.refused,
    }
    for outcome, count in outcomes.items():
        sums.add(names.REQUESTS, count, **{names.OUTCOME: outcome, names.SURFACE: one.name, **tenant})
    learned = {
        "admitted": stats.admitted,
        "rejected": stats.rejected,
        "not crystallizable": stats.not_crystallizable,
    }
    for status, count in learned.items():
        sums.add(names.LEARNED, count, **{names.STATUS: status, **tenant})
    spent = {
        "interpret": stats.interpret,
        "compile": stats.compile,
        "repair": stats.repair,
        "attack": stats.attack,
    }
    for purpose, usage in spent.items():
        for kind, count in _counts(usage):
            sums.add(names.SPENT_TOKENS, count, **{names.PURPOSE: purpose, names.TOKEN_TYPE: kind, **tenant})
    if one.savings is not None:
        _count_savings(sums, one.savings(), tenant)
    return {name: sums.of(name) for name, _, _ in _COUNTERS}


def _count_savings(sums: _Sums, report: SavingsReport, tenant: Mapping[str, str]) -> None:
    for procedure, done in report.procedures.items():
        about = {names.PROCEDURE: procedure, **tenant}
        sums.add(names.HITS, done.hits, **about)
        sums.add(names.DEOPTS, done.deopts, **about)
        for kind, count in _counts(done.saved.usage):
            sums.add(names.SAVED_TOKENS, count, **{**about, names.TOKEN_TYPE: kind})
        if done.saved.money is not None:
            sums.add(names.SAVED_MONEY, done.saved.money, **{**about, names.CURRENCY: done.saved.currency})


def _counts(usage: Usage) -> tuple[tuple[str, int], ...]:
    return ("input", usage.input_tokens), ("output", usage.output_tokens)
