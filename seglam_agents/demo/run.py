"""Runs the stream and the near misses through a cache."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from seglam_agents.cache import ReasoningCache
from seglam_agents.demo.report import Event, NearMiss, Report, Step, Traced
from seglam_agents.demo.stream import Task, agrees, near_misses, stream
from seglam_agents.models.base import Model
from seglam_agents.records.outcome import Deopt, Hit, Miss, Outcome
from seglam_agents.records.procedure import Procedure


def play(
    model: Model,
    *,
    seed: int = 0,
    limit: int | None = None,
    store: str | None = None,
    watch: Callable[[Step], None] = lambda step: None,
) -> Report:
    """Run the demo with a model, and tell `watch` about each step.

    Args:
        model: the chat model to ask where the cache knows no answer.
        seed: decides the order of the requests.
        limit: how many requests to run; all of them without it.
        store: where the procedures go; a temporary folder, removed at the end, without it.
        watch: called after each request.

    Raises:
        RecordingError: the model is a recording that does not hold a request.
        ModelError: the model cannot be reached.
    """
    with _location(store) as location, ReasoningCache(location, model) as cache:
        steps: list[Step] = []
        hits: list[tuple[str, Hit]] = []
        for step, outcome in answered(cache, stream(seed, limit)):
            steps.append(step)
            watch(step)
            if isinstance(outcome, Hit) and step.right:
                hits.append((step.request, outcome))
        missed = [_looked_up(cache, task) for task in near_misses()]
        procedures = [entry.procedure for entry in cache.procedures()]
    return Report(steps, missed, procedures, _traced(hits, procedures))


def answered(cache: ReasoningCache, tasks: Iterable[Task]) -> Iterator[tuple[Step, Outcome]]:
    """Answer the requests one after the other, and yield what came of each."""
    for number, task in enumerate(tasks, 1):
        before, start = cache.stats().model_usage, time.perf_counter()
        outcome = cache.answer(task.request)
        seconds, after = time.perf_counter() - start, cache.stats().model_usage
        event, source = _event(outcome)
        step = Step(
            number=number,
            request=task.request,
            kind=task.kind,
            known=task.answer,
            answer=outcome.answer,
            right=agrees(outcome.answer, task.answer),
            event=event,
            source=source,
            model_calls=after.calls - before.calls,
            tokens=after.tokens - before.tokens,
            seconds=seconds,
        )
        yield step, outcome


def _event(outcome: Outcome) -> tuple[Event, str]:
    match outcome:
        case Hit():
            return "hit", outcome.citation.key
        case Miss(answered_by="new procedure"):
            widened = outcome.learned is not None and outcome.learned.status == "widened"
            return "widened" if widened else "wrote", (outcome.learned.procedure or "") if outcome.learned else ""
        case Miss(answered_by="model") | Deopt(answered_by="model"):
            return "model", ""
        case _:
            return "unanswered", ""


def _traced(hits: Sequence[tuple[str, Hit]], procedures: Sequence[Procedure]) -> Traced | None:
    by_key = {procedure.key: procedure for procedure in procedures}
    # The last one: a procedure that was widened since is stored under its next version.
    found = (
        Traced(request, by_key[hit.citation.key], hit) for request, hit in reversed(hits) if hit.citation.key in by_key
    )
    return next(found, None)


def _looked_up(cache: ReasoningCache, task: Task) -> NearMiss:
    outcome = cache.lookup(task.request)
    if not isinstance(outcome, Hit):
        return NearMiss(request=task.request, known=task.answer, verdict="declined")
    return NearMiss(
        request=task.request,
        known=task.answer,
        verdict="hit right" if agrees(outcome.answer, task.answer) else "hit wrong",
        answer=outcome.answer,
        source=outcome.citation.key,
    )


@contextmanager
def _location(store: str | None) -> Generator[str]:
    if store:
        yield store
        return
    with tempfile.TemporaryDirectory(prefix="seglam-demo-") as folder:
        yield str(Path(folder) / "store")
