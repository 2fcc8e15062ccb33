"""Fixtures of these tests. What they share besides is in `lc_support`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from seglam_agents import ReasoningCache
from seglam_agents.guards.slots import exports
from seglam_agents.sandboxes.base import HostModule
from seglam_agents.sandboxes.monty import MontySandbox

sys.path.insert(0, str(Path(__file__).parent))

from lc_support import ADD, ADD_BODY, BUY, BUY_BODY, TOTAL, TOTAL_BODY, Open, Runner, Shop, procedure


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Runner:
    return Runner(request.param)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[MontySandbox]:
    sandbox = MontySandbox(modules=(HostModule("slots", exports()),))
    yield sandbox
    sandbox.close()


@pytest.fixture
def opened(sandbox: MontySandbox) -> Iterator[Open]:
    caches: list[ReasoningCache] = []

    def opened(store: Any = None, model: object = None, **options: Any) -> ReasoningCache:
        options = {"sandbox": sandbox, "second_sandbox": None, "second_opinion": False, **options}
        caches.append(ReasoningCache(store, model, **options))
        return caches[-1]

    yield opened
    for cache in caches:
        cache.close()


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def cache(opened: Open, shop: Shop) -> ReasoningCache:
    """A cache that knows three kinds of requests."""
    tools = shop.host_tools()
    cache = opened(tools=tools)
    procedure(cache, "total", TOTAL, TOTAL_BODY, tools)
    procedure(cache, "buy", BUY, BUY_BODY, tools)
    procedure(cache, "add", ADD, ADD_BODY, tools)
    return cache
