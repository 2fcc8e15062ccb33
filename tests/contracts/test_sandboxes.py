"""The sandbox contract on Monty and on CPython processes, and what each of them promises besides."""

from __future__ import annotations

import gc
import os
import select
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from seglam_agents.records.errors import SandboxError
from seglam_agents.sandboxes.base import Limits, Program, Returned, Sandbox, ToolResult
from seglam_agents.sandboxes.dialect import DIALECT, look
from seglam_agents.sandboxes.e2b import E2BSandbox
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.sandboxes.process import ProcessSandbox, Unavailable, second_sandbox
from seglam_agents.testing.e2b_server import E2BServer
from seglam_agents.testing.processes import children
from seglam_agents.testing.sandbox_contract import (
    CONTRACT_MODULE,
    WEATHER,
    SandboxContract,
    assert_alive,
    failed,
    returned,
)

REPOSITORY = Path(__file__).parents[2]
LINUX = sys.platform == "linux"


@pytest.fixture(scope="module")
def shared_monty() -> Iterator[Sandbox]:
    sandbox = MontySandbox(workers=4, modules=[CONTRACT_MODULE])
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def shared_plain_monty() -> Iterator[Sandbox]:
    sandbox = MontySandbox(workers=2, modules=[CONTRACT_MODULE], prepare_ahead=False)
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def shared_process() -> Iterator[Sandbox]:
    sandbox = second_sandbox([CONTRACT_MODULE])
    if isinstance(sandbox, Unavailable):
        pytest.skip(sandbox.reason)
    yield sandbox
    sandbox.close()


class TestMontySandbox(SandboxContract):
    """The contract on Monty, with sessions made ahead."""

    @pytest.fixture
    def sandbox(self, shared_monty: Sandbox) -> Sandbox:
        """Return the one that all tests share."""
        return shared_monty


class TestMontySandboxWithoutSpares(SandboxContract):
    """The contract on Monty, with every session made when it is needed."""

    @pytest.fixture
    def sandbox(self, shared_plain_monty: Sandbox) -> Sandbox:
        """Return the one that all tests share."""
        return shared_plain_monty


class TestProcessSandbox(SandboxContract):
    """The contract on jailed CPython processes."""

    @pytest.fixture
    def sandbox(self, shared_process: Sandbox) -> Sandbox:
        """Return the one that all tests share."""
        return shared_process


@pytest.fixture(scope="module")
def shared_e2b() -> Iterator[Sandbox]:
    server = E2BServer()
    server.start()
    sandbox = E2BSandbox(
        api_key=server.api_key, api_url=server.url, sandbox_url=server.url, modules=[CONTRACT_MODULE], workers=2
    )
    yield sandbox
    sandbox.close()
    server.stop()


class TestE2BSandbox(SandboxContract):
    """The contract on E2B, with the real client and a stand-in for the service."""

    crowd = 20

    @pytest.fixture
    def sandbox(self, shared_e2b: Sandbox) -> Sandbox:
        """Return the one that all tests share."""
        return shared_e2b


@pytest.fixture
def monty() -> Iterator[MontySandbox]:
    sandbox = MontySandbox(workers=3, modules=[CONTRACT_MODULE])
    yield sandbox
    sandbox.close()


@pytest.fixture
def process() -> Iterator[ProcessSandbox]:
    sandbox = second_sandbox([CONTRACT_MODULE])
    if isinstance(sandbox, Unavailable):
        pytest.skip(sandbox.reason)
    yield sandbox
    sandbox.close()


def test_a_loaded_session_shows_no_earlier_run(monty: MontySandbox) -> None:
    """Module state that was made ahead is fresh in every run."""
    program = Program("from slots import parse\nseen = [parse('1')]\ndef run(x):\n    seen.append(x)\n    return seen")
    for turn in range(8):
        assert returned(monty.run(program, {"x": turn})) == [1.0, turn]
        monty.settle()


def test_loading_ahead_calls_no_tool(monty: MontySandbox) -> None:
    """A module level that calls a tool is executed in runs only, once in each."""
    program = Program("first = weather('Oslo')\ndef run(): return first", tools=(WEATHER,))
    calls: list[object] = []

    def call(asked: object) -> ToolResult:
        calls.append(asked)
        return ToolResult(len(calls))

    for turn in range(5):
        assert returned(monty.run(program, {}, call=call)) == turn + 1
        monty.settle()
    assert len(calls) == 5


def test_a_loaded_session_serves_only_its_limits(monty: MontySandbox) -> None:
    """The limits of a run are its own, also where a session with other limits lies ready."""
    program = Program("def run(n): return run(n - 1) if n else 'done'")
    for _ in range(3):
        assert returned(monty.run(program, {"n": 100})) == "done"
        monty.settle()
    assert failed(monty.run(program, {"n": 100}, limits=Limits(recursion_depth=20))).kind == "limit"


def test_more_threads_than_workers_wait(monty: MontySandbox) -> None:
    """Runs beyond the number of workers wait for their turn."""
    everybody_started = threading.Barrier(3, timeout=60)
    program = Program("def run(x): return weather(str(x))", tools=(WEATHER,))
    results: list[object] = []

    def call(_: object) -> ToolResult:
        everybody_started.wait()
        return ToolResult("ok")

    threads = [
        threading.Thread(target=lambda: results.append(monty.run(program, {"x": 1}, call=call))) for _ in "123456"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(result) for result in results] == [Returned] * 6


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_monty_survives_killed_workers(monty: MontySandbox) -> None:
    """A worker killed while its session lay ready costs nobody a run."""
    assert_alive(monty)
    monty.settle()
    for child in children(os.getpid()):
        if "monty" in command(child):
            os.kill(child, signal.SIGKILL)
    assert_alive(monty)


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_monty_reports_a_worker_killed_in_a_run(monty: MontySandbox) -> None:
    """A worker that dies in a run is one failure of kind `crash`, and the next run works."""
    program = Program("def run(): return weather('x')", tools=(WEATHER,))

    def call(_: object) -> ToolResult:
        for child in children(os.getpid()):
            if "monty" in command(child):
                os.kill(child, signal.SIGKILL)
        return ToolResult(1)

    assert failed(monty.run(program, {}, call=call)).kind == "crash"
    assert_alive(monty)


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_process_survives_a_killed_worker(process: ProcessSandbox) -> None:
    """The worker that forks is started again when it was killed."""
    assert_alive(process)
    for child in children(os.getpid()):
        if "_worker.py" in command(child):
            os.kill(child, signal.SIGKILL)
            wait_until_gone(child)
    assert_alive(process)


@pytest.mark.skipif(not LINUX, reason="reads /proc")
@pytest.mark.parametrize("kind", ["MontySandbox", "ProcessSandbox"])
def test_a_dropped_sandbox_leaves_no_process(kind: str) -> None:
    """A sandbox that nobody holds any more stops its workers without being closed."""
    before = set(children(os.getpid()))
    sandbox: Sandbox = {"MontySandbox": MontySandbox, "ProcessSandbox": ProcessSandbox}[kind]()
    try:
        assert_alive(sandbox)
    except SandboxError as error:
        pytest.skip(str(error))
    dropped = weakref.ref(sandbox)
    assert set(children(os.getpid())) - before
    del sandbox
    gc.collect()
    assert dropped() is None
    assert set(children(os.getpid())) - before == set()


@pytest.mark.skipif(not LINUX, reason="reads /proc")
@pytest.mark.parametrize(
    "ending", ["", "[sandbox.close() for sandbox in made]", "os.kill(os.getpid(), 9)", "raise SystemExit(3)"]
)
def test_no_process_outlives_the_interpreter(ending: str) -> None:
    """However the host process ends, its workers end with it, and it does not hang."""
    script = f"""
import os, sys
from seglam_agents.sandboxes.base import Program, Returned
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.sandboxes.process import second_sandbox
from seglam_agents.testing.processes import children
made = [sandbox for sandbox in (second_sandbox(), MontySandbox()) if sandbox]
for sandbox in made * 3:
    assert isinstance(sandbox.run(Program("def run(): return 1"), {{}}), Returned)
print(*children(os.getpid()), flush=True)
{ending}
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    workers = done.stdout.split()
    assert workers, done.stderr
    assert "Traceback" not in done.stderr
    for worker in map(int, workers):
        wait_until_gone(worker)


FORKING = """
import os, sys
from seglam_agents.records.errors import SandboxError
from seglam_agents.sandboxes.base import Program, Returned
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.sandboxes.process import ProcessSandbox
from seglam_agents.testing.processes import children
def works():
    return isinstance(sandbox.run(Program("def run(): return 1"), {}), Returned)
def workers():
    return set(children(os.getpid()))
def fork(action):
    child = os.fork()
    if child == 0:
        print(action(), flush=True)
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
def refused():
    try:
        return works()
    except SandboxError as error:
        return "fork" in str(error)
"""


@pytest.mark.skipif(not LINUX, reason="forks")
def test_a_forked_child_has_workers_of_its_own(process: ProcessSandbox) -> None:
    """A fork of the host uses and closes workers of its own; the parent's go on."""
    lines = forking(
        "sandbox = ProcessSandbox()",
        "assert works()",
        "ours = workers()",
        "fork(lambda: works() and works() and bool(workers()) and not (workers() & ours))",
        "assert ours <= workers(), (ours, workers())",
        "print(works())",
    )
    assert lines == ["True", "True"]


@pytest.mark.skipif(not LINUX, reason="forks")
def test_monty_works_in_a_fork_that_comes_first() -> None:
    """A sandbox that was made but not used before a fork works on both sides of it."""
    assert forking("sandbox = MontySandbox()", "fork(works)", "fork(works)", "print(works())") == ["True"] * 3


@pytest.mark.skipif(not LINUX, reason="forks")
def test_monty_refuses_a_fork_that_comes_later() -> None:
    """After the first run a fork is told so, at once, and the workers of its parent go on."""
    lines = forking(
        "sandbox = MontySandbox()",
        "assert works() and works()",
        "ours = workers()",
        "fork(refused)",
        "assert ours <= workers(), (ours, workers())",
        "print(works())",
    )
    assert lines == ["True", "True"]


def test_a_missing_binary_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Monty cannot start, the error says what to do."""
    monkeypatch.setenv("MONTY_BIN", "/nonexistent/monty")
    with pytest.raises(SandboxError, match="MONTY_BIN"):
        MontySandbox().run(Program("def run(): return 1"), {})


def test_other_machines_have_no_second_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel's locks are unknown, the process sandbox refuses, and says what to use."""
    monkeypatch.setattr("platform.machine", lambda: "sparc64")
    missing = second_sandbox()
    assert isinstance(missing, Unavailable)
    assert not missing
    assert "MontySandbox" in missing.reason
    with pytest.raises(SandboxError):
        ProcessSandbox().run(Program("def run(): return 1"), {})


@pytest.mark.parametrize("holder", ["/usr/bin/uwsgi", "/opt/app/app", ""])
def test_a_program_that_holds_the_interpreter_is_not_started_again(
    monkeypatch: pytest.MonkeyPatch, holder: str
) -> None:
    """Where `sys.executable` is no Python, the process sandbox says so, and Monty works."""
    monkeypatch.setattr(sys, "executable", holder)
    missing = second_sandbox()
    assert isinstance(missing, Unavailable) and "sys.executable" in missing.reason
    sandbox = MontySandbox(workers=1)
    assert_alive(sandbox)
    sandbox.close()


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("import statistics", "sum(xs) / len(xs)"),
        ("import random", "no randomness"),
        ("import time", "no clock"),
        ("import os.path", "only"),
        ("from collections import OrderedDict", "dict"),
        ("from math import *", "name what you import"),
        ("x = eval('1')", "run time"),
        ("x = open('f')", "nothing outside"),
        ("x = ().__class__", "double-underscore"),
        ("x = __builtins__", "does not exist"),
        ("x = getattr(1, 'a' + 'b')", "dict"),
        ("def f(): yield 1", "list"),
        ("l = [1]\ndel l[0]", "pop"),
        ("class A(dict): pass", "inherit"),
        ("class A:\n    @property\n    def p(self): return 1", "decorator"),
        ("class A:\n    def __len__(self): return 1", "no effect"),
        ("x = sorted([], key=str.lower)", "lambda"),
        ("d = {}\nx = max(d, key=d.get)", "lambda"),
        ("x = [next(g) for g in [(i for i in [1])]]", "write [… for …]"),
        ("import re\nx = re.sub('a', lambda m: 'b', 'a')", "finditer"),
        ("import re\nx = re.compile('a', re.VERBOSE)", "without spaces"),
        ("from datetime import datetime as D\nx = D.now()", "argument"),
        ("import datetime\nx = datetime.date.today()", "argument"),
        ("from datetime import timedelta\nx = [timedelta]", "call it"),
        ("x = 'a'.translate({})", "replace"),
        ("x = callable(1)", "isinstance"),
        ("async def f(): pass", "ordinary functions"),
        ("x = lookup_city('a')", "declared tools"),
        ("import json\nx = json.dumps(1, default=str)", "convert"),
        ("import re\nx = re.search('(?P<a>b)', 'b').span('a')", "number of a group"),
        ("raise ValueError('a', 1)", "f-string"),
        ("raise KeyError(3)", "f-string"),
    ],
)
def test_the_look_says_what_to_write_instead(line: str, advice: str) -> None:
    """Everything that the dialect lacks is found, with its line and an advice."""
    problems = look(Program(f"{line}\ndef run(): return 1"))
    assert any(advice in problem.message for problem in problems), problems
    assert 1 <= problems[0].line <= line.count("\n") + 1


def test_the_look_accepts_what_is_defined() -> None:
    """Tools, deopt, host modules, and names that hide a builtin are fine."""
    source = "from units import convert\ndef run(open, id):\n    return weather(convert(open)) if id else deopt('x')"
    assert look(Program(source, tools=(WEATHER,)), ["units"]) == []
    assert look(Program(source)) != []


@pytest.mark.parametrize("source", ["x = " + "(" * 500 + ")" * 500, "a\x00b", "x = " + "-" * 100_000 + "1", "\ud800"])
def test_the_look_survives_hostile_source(source: str) -> None:
    """Source that breaks parsers is a problem, not an exception."""
    assert look(Program(source))


def test_the_dialect_is_short() -> None:
    """The description for models stays a few lines."""
    assert len(DIALECT.splitlines()) <= 12


def forking(*lines: str) -> list[str]:
    """Return what a script prints that forks."""
    script = FORKING + "\n".join(lines)
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def command(process: int) -> str:
    """Return the command line of a process, or nothing where it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


def wait_until_gone(process: int) -> None:
    """Return when a process has ended: it may still be ending when its parent already has."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return
    except OSError as error:
        pytest.skip(f"nothing tells here when a process has ended: {error}")
    try:
        assert select.select([handle], [], [], 20)[0], f"{process} still runs: {command(process)}"
    finally:
        os.close(handle)
