"""Every attack of `attacks.py` in every sandbox: contained, named in the result, and gone when the next run begins."""

from __future__ import annotations

import os
import resource
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from seglam_agents.records.tools import Tool
from seglam_agents.sandboxes.base import (
    Execution,
    Failed,
    HostModule,
    Limits,
    Program,
    Returned,
    Sandbox,
    ToolCall,
    ToolResult,
)
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.sandboxes.process import Unavailable, second_sandbox
from tests.hostile.attacks import ATTACKS, Attack

SECRET = "s3cret-of-the-host-7391"
LIMITS = Limits(seconds=0.4, memory_bytes=32 * 2**20, output_bytes=100_000)
LEAK = Tool(name="leak", parameters={"properties": {"text": {}}})
HONEST = Program(
    "import math, json, re, collections, functools\n"
    "def run(x): return [x, math.sqrt(4), len('abc'), round(2.675, 2), isinstance('a', int), json.dumps([1]),\n"
    "    re.compile('a+').search('caat').group(), collections.Counter('aab').most_common(1)]"
)
CLASSES = (
    *("files", "environment", "proc", "network", "fork", "threads", "signals", "memory", "output flood", "cpu"),
    *("recursion", "regex bombs", "big integers", "dunder walks", "builtin poisoning", "protocol forging"),
    *("answers that poison the next run", "absurd tool arguments", "undeclared tools", "unicode in names"),
    *("module-level effects", "clock leaks", "giving up", "own modules"),
)


@dataclass(frozen=True, slots=True)
class Target:
    """What the attacks aim at."""

    sandbox: Sandbox
    secret: Path
    port: int
    listener: socket.socket


@pytest.fixture(scope="module", params=["monty", "process"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    os.environ["SEGLAM_TEST_SECRET"] = SECRET
    modules = [HostModule("slots", {"parse": lambda text: text})]
    sandbox = MontySandbox(workers=2, modules=modules) if request.param == "monty" else second_sandbox(modules)
    if isinstance(sandbox, Unavailable):
        pytest.skip(sandbox.reason)
    folder = tmp_path_factory.mktemp("hostile")
    secret = folder / "secret.txt"
    secret.write_text(SECRET)
    for path in (secret, folder, folder.parent):
        path.chmod(0o777)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        sandbox.run(HONEST, {"x": 1})
        yield Target(sandbox, secret, listener.getsockname()[1], listener)
    sandbox.close()
    del os.environ["SEGLAM_TEST_SECRET"]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.kind}: {attack.name}")
def test_an_attack_is_contained_and_named(target: Target, attack: Attack) -> None:
    """It ends in one of its ways with a reason, brings nothing home, and neither host nor next run notice."""
    threads, limits = threading.active_count(), resource.getrlimit(resource.RLIMIT_AS)
    told: list[ToolCall] = []
    execution = attacked(target, attack, told)
    assert contained(attack, execution), execution
    assert SECRET not in f"{execution} {told}"
    assert all(isinstance(call.arguments["text"], (str, int)) for call in told)
    assert attack.name == "generator of tools" or not told
    assert target.secret.read_text() == SECRET
    with pytest.raises(BlockingIOError):
        target.listener.accept()
    assert threading.active_count() <= threads + 2
    assert resource.getrlimit(resource.RLIMIT_AS) == limits
    after = target.sandbox.run(HONEST, {"x": 1}, limits=Limits(seconds=10))
    assert isinstance(after, Returned), after
    assert after.value == [1, 2.0, 3, 2.67, False, "[1]", "aa", [["a", 2]]]


def test_the_suite_is_as_wide_as_it_says() -> None:
    """There are at least three attacks of every class, none of them twice."""
    count = Counter(attack.kind for attack in ATTACKS)
    assert set(count) == set(CLASSES)
    assert min(count.values()) >= 3
    assert len({(attack.kind, attack.name) for attack in ATTACKS}) == len(ATTACKS) >= 150


def attacked(target: Target, attack: Attack, told: list[ToolCall]) -> Execution:
    """Run an attack, with a tool that notes what it was told."""
    source = attack.source
    if any(place in source for place in ("{secret}", "{port}", "{pid}", "{{")):
        source = source.replace("{secret}", str(target.secret)).replace("{port}", str(target.port))
        source = source.replace("{pid}", str(os.getpid())).replace("{{", "{").replace("}}", "}")

    def call(asked: ToolCall) -> ToolResult:
        told.append(asked)
        return ToolResult("thanks")

    return target.sandbox.run(Program(source, tools=(LEAK,)), {}, call=call, limits=LIMITS)


def contained(attack: Attack, execution: Execution) -> bool:
    """Tell whether an attack ended as it may, and whether the result says how."""
    if isinstance(execution, Returned):
        return execution.value in attack.harmless
    return isinstance(execution, Failed) and execution.kind in attack.ends and 0 < len(execution.reason) <= 2000
