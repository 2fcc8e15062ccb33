"""`Backtest`: recorded runs replayed in the order of time: each is predicted first, and learnt from afterwards.

Nothing is carried out. A procedure that calls a tool gets the recorded result of that call; a call that the recorded
run did not make ends the replay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import Self

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.records.outcome import Call, Final, GiveUp, Learned, Plan
from seglam_agents.records.record import Json
from seglam_agents.records.tools import Tool, reading
from seglam_agents.records.trace import ModelStep, ToolStep, Trace
from seglam_agents.records.values import Value, decode, same
from seglam_agents.sandboxes.base import ToolResult

Progress = Callable[[int, int], None]


class Verdict(StrEnum):
    """What the cache would have done with one recorded run."""

    RIGHT = "right"
    """A hit: the calls and the answer of the recorded run."""
    REWORDED = "in other words"
    """A hit with the calls of the recorded run, whose answer has other words and the same figures, or is left to the
    host's model."""
    WRONG_CALL = "wrong call"
    """A hit, or the beginning of one, that writes something else than the recorded run."""
    WRONG_ANSWER = "wrong answer"
    """A hit whose answer says something else."""
    OFF_RECORD = "off the record"
    """It would have read what the recorded run did not read: nobody can say how it would have gone on."""
    GAVE_UP = "gave up"
    MISS = "miss"


HITS = (Verdict.RIGHT, Verdict.REWORDED, Verdict.WRONG_CALL, Verdict.WRONG_ANSWER)
WRONG = (Verdict.WRONG_CALL, Verdict.WRONG_ANSWER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One recorded run with what the cache would have done."""

    request: str
    verdict: Verdict
    recorded_at: datetime | None = None
    procedure: str = ""
    """`id@version` of what accepted the request."""
    reason: str = ""
    """Why it gave up, or what differs."""
    recorded: Json = None
    """The recorded answer."""
    predicted: Json = None
    tokens: int = 0
    """What the recorded run cost, as far as that is on record."""
    model_calls: int = 0
    saved_tokens: int = 0
    """What a right hit would have saved of them."""
    saved_model_calls: int = 0

    @property
    def hit(self) -> bool:
        """True where the cache would have answered, rightly or not."""
        return self.verdict in HITS

    @property
    def wrong(self) -> bool:
        """True where it would have done harm."""
        return self.verdict in WRONG


@dataclass(frozen=True, slots=True, kw_only=True)
class KindBacktest:
    """All runs of one kind: those that one procedure accepts in the end, or else those with the same calls."""

    example: str
    procedure: str = ""
    runs: int
    hits: int
    right: int
    reworded: int
    wrong: int
    gave_up: int
    first_hit: int | None = None
    """The run of this kind, counted from 1, that would have been the first hit."""
    tokens: int
    saved_tokens: int
    saved_model_calls: int
    in_the_way: str = ""
    """What its last run taught, where there is no procedure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestReport:
    """What a cache would have done with recorded runs, had it been there from the first."""

    runs: int
    hits: int
    right: int
    reworded: int
    wrong: int
    gave_up: int
    off_record: int
    misses: int
    tokens: int
    """Of all recorded runs."""
    saved_tokens: int
    """Of those that would have been hits, wrong ones not counted."""
    model_calls: int
    saved_model_calls: int
    kinds: tuple[KindBacktest, ...] = ()
    wrong_runs: tuple[Replayed, ...] = ()
    reworded_runs: tuple[Replayed, ...] = ()
    replayed: tuple[Replayed, ...] = ()
    """Every run, in the order of time."""


class Backtest:
    """A fresh cache in memory, to which recorded runs happen once more.

    Args:
        tools: what the agent may call. A tool that says nothing is taken to write.
        system_prompt: the instructions of the agent.
        timed: False where no run says when it was made: there is no clock then.
    """

    def __init__(self, tools: Sequence[Tool], *, system_prompt: str = "", timed: bool = True) -> None:
        self._moment = datetime.now(UTC)
        self._reading = reading(tools)
        self._runs: list[_Run] = []
        self._cache = ReasoningCache(
            tools=[HostTool(tool, _never_run) for tool in tools],
            system_prompt=system_prompt,
            now=self._now if timed else None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cache.close()

    def replay(self, trace: Trace) -> Replayed:
        """Predict a run from those before it, then learn from it. Call it in the order of time."""
        self._moment = trace.recorded_at or self._moment
        replayed = self._predicted(trace)
        learned = self._cache.observe(trace)
        self._runs.append(_Run(trace, replayed, learned))
        return replayed

    def report(self) -> BacktestReport:
        """Return the sums over the runs that were replayed so far."""
        replayed = [run.replayed for run in self._runs]
        count = {verdict: sum(item.verdict is verdict for item in replayed) for verdict in Verdict}
        return BacktestReport(
            runs=len(replayed),
            hits=sum(item.hit for item in replayed),
            right=count[Verdict.RIGHT],
            reworded=count[Verdict.REWORDED],
            wrong=sum(item.wrong for item in replayed),
            gave_up=count[Verdict.GAVE_UP],
            off_record=count[Verdict.OFF_RECORD],
            misses=count[Verdict.MISS],
            tokens=sum(item.tokens for item in replayed),
            saved_tokens=sum(item.saved_tokens for item in replayed),
            model_calls=sum(item.model_calls for item in replayed),
            saved_model_calls=sum(item.saved_model_calls for item in replayed),
            kinds=self._kinds(),
            wrong_runs=tuple(item for item in replayed if item.wrong),
            reworded_runs=tuple(item for item in replayed if item.verdict is Verdict.REWORDED),
            replayed=tuple(replayed),
        )

    def _now(self) -> datetime:
        return self._moment

    def _predicted(self, trace: Trace) -> Replayed:
        plan = self._cache.plan(trace.request)
        if not isinstance(plan, Plan):
            return _replayed(trace, Verdict.MISS, reason=plan.reason)
        record = _Record(list(trace.calls))
        results: list[ToolResult] = []
        while True:
            action = self._cache.next_action(plan, results)
            match action:
                case Final():
                    return self._finished(trace, plan, action, record)
                case GiveUp():
                    self._cache.finish(plan, action, record.taken)
                    return _replayed(trace, Verdict.GAVE_UP, plan, reason=action.reason)
                case Call():
                    step = record.take(action)
            if step is None:
                return self._unrecorded(trace, plan, action)
            if step.missing:
                return _replayed(trace, Verdict.OFF_RECORD, plan, reason=f"the result of {step.tool} is not on record")
            results.append(ToolResult(decode(step.result), step.error))

    def _finished(self, trace: Trace, plan: Plan, action: Final, record: _Record) -> Replayed:
        self._cache.finish(plan, action, record.taken)
        left = [step for step in record.left if step.tool not in self._reading]
        if left:
            reason = f"it leaves out {_told(left[0].tool, left[0].arguments)}"
            return _replayed(trace, Verdict.WRONG_CALL, plan, reason=reason, predicted=action.answer)
        if action.answer is None and trace.answer is not None:
            return _replayed(trace, Verdict.REWORDED, plan, reason="the answer is left to the model")
        verdict = _compared(action.answer, trace.answer)
        reason = "" if verdict is Verdict.RIGHT else "the answer differs"
        return _replayed(trace, verdict, plan, reason=reason, predicted=action.answer)

    def _unrecorded(self, trace: Trace, plan: Plan, call: Call) -> Replayed:
        # It is not told to the cache: nobody knows what would have become of it.
        verdict = Verdict.OFF_RECORD if call.tool in self._reading else Verdict.WRONG_CALL
        return _replayed(trace, verdict, plan, reason=f"it calls {_told(call.tool, call.arguments)}")

    def _kinds(self) -> tuple[KindBacktest, ...]:
        groups: dict[str, list[_Run]] = {}
        for run in self._runs:
            groups.setdefault(self._kind_of(run), []).append(run)
        return tuple(sorted((_kind(name, runs) for name, runs in groups.items()), key=lambda kind: -kind.runs))

    def _kind_of(self, run: _Run) -> str:
        self._moment = run.trace.recorded_at or self._moment
        plan = self._cache.plan(run.trace.request)
        if isinstance(plan, Plan):
            return plan.procedure.rpartition("@")[0]
        if run.replayed.procedure:
            return run.replayed.procedure.rpartition("@")[0]
        return "calls " + (", ".join(dict.fromkeys(step.tool for step in run.trace.calls)) or "nothing")


def in_order_of_time(traces: Iterable[Trace]) -> list[Trace]:
    """Return runs in the order in which they were made; those without a time keep their place after the one before."""
    placed: list[tuple[float, int, Trace]] = []
    moment = float("-inf")
    for place, trace in enumerate(traces):
        moment = _timestamp(trace.recorded_at) if trace.recorded_at else moment
        placed.append((moment, place, trace))
    return [trace for _, _, trace in sorted(placed, key=lambda item: item[:2])]


def backtest(
    traces: Iterable[Trace],
    tools: Sequence[Tool],
    *,
    system_prompt: str = "",
    progress: Progress = lambda done, total: None,
) -> BacktestReport:
    """Replay recorded runs in the order of time against a fresh cache.

    Args:
        traces: the runs, in any order.
        tools: what the agent may call.
        system_prompt: the instructions of the agent.
        progress: is told how many of how many runs are done.
    """
    ordered = in_order_of_time(traces)
    timed = any(trace.recorded_at for trace in ordered)
    with Backtest(tools, system_prompt=system_prompt, timed=timed) as test:
        for done, trace in enumerate(ordered, 1):
            test.replay(trace)
            progress(done, len(ordered))
        return test.report()


@dataclass(frozen=True, slots=True)
class _Run:
    trace: Trace
    replayed: Replayed
    learned: Learned


@dataclass(slots=True)
class _Record:
    """The calls of a recorded run that a replay has not made yet."""

    left: list[ToolStep]
    taken: list[ToolStep] = field(default_factory=list[ToolStep])

    def take(self, call: Call) -> ToolStep | None:
        """Return the recorded step of a call, which is then used up; None where the run made no such call."""
        for place, step in enumerate(self.left):
            if step.tool == call.tool and step.arguments == dict(call.arguments):
                self.taken.append(self.left.pop(place))
                return step
        return None


def _replayed(
    trace: Trace, verdict: Verdict, plan: Plan | None = None, *, reason: str = "", predicted: Json = None
) -> Replayed:
    calls = [step.usage for step in trace.steps if isinstance(step, ModelStep)]
    served = verdict in HITS and verdict not in WRONG
    # Where the answer is left to the model, its last call is made all the same.
    saved = (calls if predicted is not None else calls[:-1]) if served else []
    return Replayed(
        request=trace.request.text,
        verdict=verdict,
        recorded_at=trace.recorded_at,
        procedure=plan.procedure if plan else "",
        recorded=trace.answer,
        tokens=trace.usage.tokens,
        model_calls=len(calls),
        saved_tokens=sum(usage.tokens for usage in saved),
        saved_model_calls=len(saved),
        reason=reason,
        predicted=predicted,
    )


def _compared(predicted: Json, recorded: Json) -> Verdict:
    if same(predicted, recorded):
        return Verdict.RIGHT
    if isinstance(predicted, str) and isinstance(recorded, str) and _asserted(predicted) == _asserted(recorded):
        return Verdict.REWORDED
    return Verdict.WRONG_ANSWER


_DECIDING = frozenset(
    ("yes", "no", "not", "none", "never", "nothing", "nobody", "enough", "cannot", "without", "failed", "unable")
)


def _asserted(text: str) -> tuple[list[str], frozenset[str]]:
    """Return what another wording of the same answer must keep: its figures and codes in their order, its verdicts."""
    words = [word.strip(".'-,").casefold() for word in re.findall(r"[\w.,'@-]+", text.replace("n't ", " not "))]
    return [word for word in words if any(letter.isdigit() for letter in word)], _DECIDING & frozenset(words)


def _kind(name: str, runs: Sequence[_Run]) -> KindBacktest:
    replayed = [run.replayed for run in runs]
    known = not name.startswith("calls ")
    return KindBacktest(
        example=replayed[0].request,
        procedure=name if known else "",
        runs=len(runs),
        hits=sum(item.hit for item in replayed),
        right=sum(item.verdict is Verdict.RIGHT for item in replayed),
        reworded=sum(item.verdict is Verdict.REWORDED for item in replayed),
        wrong=sum(item.wrong for item in replayed),
        gave_up=sum(item.verdict in (Verdict.GAVE_UP, Verdict.OFF_RECORD) for item in replayed),
        first_hit=next((place for place, item in enumerate(replayed, 1) if item.hit), None),
        tokens=sum(item.tokens for item in replayed),
        saved_tokens=sum(item.saved_tokens for item in replayed),
        saved_model_calls=sum(item.saved_model_calls for item in replayed),
        in_the_way="" if known else runs[-1].learned.reason,
    )


def _told(tool: str, arguments: object) -> str:
    return f"{tool}({arguments})"


def _timestamp(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _never_run(*args: Value, **kwargs: Value) -> Value:
    raise RuntimeError("a backtest runs no tools")
