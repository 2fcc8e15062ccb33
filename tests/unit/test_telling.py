"""What goes wrong is told to the log: what is known in one line, what nobody foresaw with its traceback."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from seglam_agents import ReasoningCache, Request, Scope, Trace, hosting
from seglam_agents.models.base import Completion, Message
from seglam_agents.records.errors import ModelError, StoreError
from seglam_agents.stores.base import Changes
from seglam_agents.stores.memory import MemoryStore

TRACE = Trace(request=Request(text="How many bolts do we have?"), steps=(), answer="We have 12 bolts.")
NOWHERE = "http://localhost:1"


class Dead:
    """A model that cannot be reached."""

    name = "dead"

    def complete(self, messages: Sequence[Message]) -> Completion:
        raise ModelError("the model server at http://localhost:1 cannot be reached:\nconnection refused")

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        return self.complete(messages)


class Strange(MemoryStore):
    """A store with an error in it that nobody has foreseen."""

    def changes(self, scope: Scope, since: int = 0) -> Changes:
        raise ZeroDivisionError("what was this?")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was told since the last time."""
    found = [record for record in caplog.records if record.levelno >= logging.WARNING]
    caplog.clear()
    assert not [record for record in found if record.exc_info], "a known error has no traceback"
    assert not [record for record in found if "\n" in record.getMessage()]
    return [record.getMessage().split(":")[0] for record in found]


@pytest.fixture
def away() -> Generator[ReasoningCache]:
    with ReasoningCache(NOWHERE) as cache:
        yield cache


def test_a_store_that_is_away_is_told_of_in_one_line_for_each_thing_left_out(
    away: ReasoningCache, caplog: pytest.LogCaptureFixture
) -> None:
    away.lookup("hi")
    assert lines(caplog) == ["lookup failed, and the request goes on as a miss"]
    away.observe(TRACE)
    told = lines(caplog)
    assert told and len(told) == len(set(told))
    for _ in range(3):
        away.lookup("hi")
        away.observe(TRACE)
    assert lines(caplog) == []


def test_each_cache_tells_it_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        with ReasoningCache(NOWHERE) as cache:
            cache.lookup("hi")
            assert lines(caplog) == ["lookup failed, and the request goes on as a miss"]


def test_a_store_that_was_back_is_told_of_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    with ReasoningCache(folder) as cache:
        for _ in range(2):
            folder.rename(elsewhere)
            assert cache.observe(TRACE).status == cache.observe(TRACE).status == "failed"
            assert lines(caplog).count("learning from a trace failed") == 1
            elsewhere.rename(folder)
            assert cache.observe(TRACE).status != "failed"
            assert lines(caplog) == []


def test_a_closed_cache_says_once_that_it_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    cache = ReasoningCache(None)
    cache.close()
    for _ in range(3):
        cache.lookup("hi")
    assert lines(caplog) == ["lookup failed, and the request goes on as a miss"]


def test_a_model_that_is_away_is_told_of_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with ReasoningCache(None, Dead()) as cache, pytest.raises(ModelError):
        cache.answer("Split a $84.50 bill among 4 people")
    assert lines(caplog) == ["learning failed; the model answers"]


def test_what_nobody_foresaw_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with ReasoningCache(Strange()) as cache:
        assert getattr(cache.lookup("hi"), "kind", None) == "broken"
    (record,) = [record for record in caplog.records if record.exc_info]
    assert "lookup failed" in record.getMessage() and record.levelno == logging.ERROR


@pytest.mark.parametrize("error", [StoreError("the disk is gone"), ModelError("no such model")])
def test_hosts_tell_it_in_one_line_as_well(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> str:
        raise error

    assert hosting.safely(broken, "otherwise", "this was left out") == "otherwise"
    with hosting.unharmed("that was left out"):
        broken()
    assert lines(caplog) == ["this was left out", "that was left out"]
