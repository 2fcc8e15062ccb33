"""The instrument that counts threads, processes and open files sees each of them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import Any

import pytest

from seglam_agents.testing import leftovers
from seglam_agents.testing.leftovers import nothing_left

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells of processes and files")


def thread() -> Callable[[], None]:
    """Start a thread that waits; return what ends it."""
    done = threading.Event()
    one = threading.Thread(target=done.wait)
    one.start()

    def end() -> None:
        done.set()
        one.join()

    return end


def process() -> Callable[[], None]:
    """Start a process that waits; return what ends it."""
    one = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    return lambda: one.__exit__(None, None, None)


def file() -> Callable[[], None]:
    """Open a file; return what closes it."""
    return tempfile.TemporaryFile().close


@pytest.mark.parametrize(("begin", "said"), [(thread, "threads"), (process, "processes"), (file, "1 open files")])
def test_what_is_left_is_seen(begin: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named; what has ended meanwhile is not."""
    monkeypatch.setattr(leftovers, "PATIENCE", 0.0)
    ends: list[Callable[[], None]] = []
    with pytest.raises(AssertionError, match=said), nothing_left():
        ends.append(begin())
    ends[0]()
    with nothing_left():
        begin()()


def test_a_pool_may_keep_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as it was said to have, with the files that go with them."""
    monkeypatch.setattr(leftovers, "PATIENCE", 0.0)
    ends: list[Callable[[], None]] = []
    with nothing_left(1):
        ends.append(process())
    with pytest.raises(AssertionError, match="processes"), nothing_left(1):
        ends.extend([process(), process()])
    for end in ends:
        end()
