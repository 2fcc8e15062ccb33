"""What a type checker says about the public surface. Checked by pyright, never run."""

from __future__ import annotations

from typing import assert_type

from seglam_agents import (
    Call,
    Deopt,
    Final,
    GiveUp,
    Hit,
    Learned,
    Miss,
    Outcome,
    Plan,
    ReasoningCache,
    Recognised,
    Refused,
    Request,
    Trace,
)
from seglam_agents.records.entry import Entry
from seglam_agents.records.outcome import Action, CacheStatistics, Explanation, GiveUpKind, MissKind, RefusedKind
from seglam_agents.records.record import Json


def blocking(cache: ReasoningCache, request: Request, trace: Trace) -> None:
    assert_type(cache.answer("x", context={"a": 1}), Outcome)
    assert_type(cache.lookup(request), Outcome)
    assert_type(cache.learn("x", answer=[1]), Learned)
    assert_type(cache.observe(trace), Learned)
    assert_type(cache.explain("x"), Explanation)
    assert_type(cache.procedures(), list[Entry])
    assert_type(cache.stats(), CacheStatistics)
    with cache as same:
        assert_type(same, ReasoningCache)


async def not_blocking(cache: ReasoningCache, trace: Trace) -> None:
    assert_type(await cache.aanswer("x"), Outcome)
    assert_type(await cache.alookup("x"), Outcome)
    assert_type(await cache.alearn("x", trace=trace), Learned)
    assert_type(await cache.aobserve(trace), Learned)
    async with cache as same:
        assert_type(same, ReasoningCache)


def step_by_step(cache: ReasoningCache) -> None:
    plan = cache.plan("x")
    assert_type(plan, Plan | Miss | Refused)
    if isinstance(plan, Plan):
        action = cache.next_action(plan)
        assert_type(action, Action)
        match action:
            case Call(arguments=arguments):
                assert_type(arguments["x"], Json)
            case Final() | GiveUp():
                assert_type(cache.finish(plan, action), Hit | Deopt)


def by_kind(outcome: Outcome) -> Json:
    """Every outcome has an answer, and a kind of its own."""
    match outcome:
        case Hit() | Recognised():
            return outcome.answer
        case Miss(kind=kind):
            assert_type(kind, MissKind)
        case Deopt(kind=kind):
            assert_type(kind, GiveUpKind)
        case Refused(kind=kind):
            assert_type(kind, RefusedKind)
    return outcome.answer
