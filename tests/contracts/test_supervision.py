"""Sandboxes under load and in trouble: fair turns, stopped and killed workers, a host that dies, and nothing left."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.soak import soak
from seglam_agents.sandboxes.base import Failed, HostModule, Limits, Program, Returned, Sandbox, ToolCall, ToolResult
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.sandboxes.process import ProcessSandbox, Unavailable, second_sandbox
from seglam_agents.sandboxes.spares import BusyError, Spares
from seglam_agents.sandboxes.turns import Turns
from seglam_agents.sandboxes.watchdog import Watchdog
from seglam_agents.testing.processes import children, descendants
from seglam_agents.testing.sandbox_contract import CONTRACT_MODULE, WEATHER, assert_alive, failed, returned
from tests.contracts.test_sandboxes import REPOSITORY, command, wait_until_gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

ENDLESS = Program("def run():\n    while True: pass")
ASKS = Program("def run(): return weather('x')", tools=(WEATHER,))


@pytest.fixture(params=["monty", "process"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    made = made_of(request.param)
    yield made
    made.close()


def made_of(kind: str, workers: int = 2) -> Sandbox:
    """Return a new sandbox of a kind."""
    if kind == "monty":
        return MontySandbox(workers=workers, modules=[CONTRACT_MODULE])
    probe = second_sandbox()
    if isinstance(probe, Unavailable):
        pytest.skip(probe.reason)
    probe.close()
    return ProcessSandbox(workers=workers, modules=[CONTRACT_MODULE])


def test_a_soak_disturbs_nobody_and_leaves_nothing(sandbox: Sandbox) -> None:
    """Crashing, endless and greedy programs among honest ones: each run ends as it must, and no process stays."""
    report = soak(sandbox, threads=4, runs=100)
    assert report.disturbed == {}
    assert report.closed.processes == 0
    assert report.closed.descriptors <= report.before.descriptors
    assert report.after.processes <= 4 * 2 + 1


def test_hogs_do_not_starve_an_honest_run(sandbox: Sandbox) -> None:
    """A program known to hit its limit has half of the workers at most, however many requests it has."""
    assert failed(sandbox.run(ENDLESS, {}, limits=Limits(seconds=0.1))).kind == "limit"
    ends: list[object] = []
    hogs = [
        threading.Thread(target=lambda: ends.append(sandbox.run(ENDLESS, {}, limits=Limits(seconds=2)))) for _ in "1234"
    ]
    for hog in hogs:
        hog.start()
    assert_alive(sandbox)
    assert any(hog.is_alive() for hog in hogs)
    for hog in hogs:
        hog.join()
    assert len(ends) == 4


def test_a_run_that_waits_for_a_tool_blocks_nobody(sandbox: Sandbox) -> None:
    """All workers wait for slow tools, and another program still runs."""
    waiting, go_on = threading.Barrier(3, timeout=30), threading.Event()
    results: list[object] = []

    def slow(_: ToolCall) -> ToolResult:
        waiting.wait()
        go_on.wait(30)
        return ToolResult("late")

    threads = [threading.Thread(target=lambda: results.append(sandbox.run(ASKS, {}, call=slow))) for _ in "12"]
    for thread in threads:
        thread.start()
    waiting.wait()
    assert_alive(sandbox)
    go_on.set()
    for thread in threads:
        thread.join()
    assert [type(result) for result in results] == [Returned, Returned]


@pytest.mark.timeout(40)
@pytest.mark.parametrize("ending", ["returns", "raises"])
def test_stopped_workers_cost_no_minute(sandbox: Sandbox, ending: str) -> None:
    """Workers that were stopped (not killed) in a run are killed soon, and the next run works."""

    def stopping(_: ToolCall) -> ToolResult:
        children = descendants(os.getpid())
        for child in children:
            os.kill(child, signal.SIGSTOP)
        # The signal is on its way when `kill` returns: a worker may still answer.
        patience = time.monotonic() + 5
        while not all(map(_is_stopped, children)) and time.monotonic() < patience:
            pass
        if ending == "raises":
            raise ConnectionError("host")
        return ToolResult(1)

    try:
        assert failed(sandbox.run(ASKS, {}, call=stopping)).kind in ("limit", "crash")
    except ConnectionError:
        assert ending == "raises"
    while isinstance(again := sandbox.run(Program("def run(): return 1"), {}), Failed):
        assert again.kind in ("limit", "crash")
    sandbox.close()
    assert descendants(os.getpid()) == []


ENDINGS = {
    "killed": "os.kill(os.getpid(), 9)",
    "left": "os._exit(3)",
    "the end": "sys.exit()",
    "an error": "raise ValueError('the end')",
    "interrupted": "os.kill(os.getpid(), 2)",
    "closed, then left": "sandbox.close(); os._exit(3)",
    "another program": "os.execv(sys.executable, [sys.executable, '-c', ''])",
    "a fork lives on": "os.fork() or [os.close(1), os.close(2), os.read(0, 1), os._exit(0)]; os.kill(os.getpid(), 9)",
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("kind", ["monty", "process"])
def test_endless_runs_die_with_their_host(kind: str, ending: str) -> None:
    """Eight runs that may take an hour, and a host that ends: no worker goes on computing, whatever ended it."""
    made_of(kind).close()
    script = f"""
import os, sys, threading
from seglam_agents.sandboxes.base import Limits, Program, ToolResult
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.sandboxes.process import ProcessSandbox
from seglam_agents.testing.sandbox_contract import WEATHER
from seglam_agents.testing.processes import descendants
sandbox = {"MontySandbox" if kind == "monty" else "ProcessSandbox"}(workers=8)
begun = threading.Barrier(9)
def call(asked):
    begun.wait()
    return ToolResult(1)
program = Program("def run():\\n    weather('x')\\n    while True: pass", tools=(WEATHER,))
for _ in range(8):
    threading.Thread(
        target=lambda: sandbox.run(program, {{}}, call=call, limits=Limits(seconds=3600)), daemon=True
    ).start()
begun.wait()
print(*descendants(os.getpid()), flush=True)
{ending}
"""
    # What a fork of the host waits for is this end of its standard input.
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as host:
        assert host.stdout and host.stderr
        workers = [int(number) for number in host.stdout.readline().split()]
        assert len(workers) >= 8, host.stderr.read()
        for worker in workers:
            wait_until_gone(worker)


def test_workers_are_tied_anew_where_the_lifeline_was_cut() -> None:
    """The process that waits for the end of the host was killed: another one waits for it after the next run."""
    script = """
import os, sys, threading
from pathlib import Path
from seglam_agents.sandboxes.base import Limits, Program, ToolResult
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.testing.sandbox_contract import WEATHER
from seglam_agents.testing.processes import descendants
sandbox = MontySandbox(workers=2, prepare_ahead=False)
def lifelines():
    return [one for one in descendants(os.getpid()) if "_lifeline" in Path(f"/proc/{one}/cmdline").read_text()]
reached = threading.Event()
def call(asked):
    reached.set()
    return ToolResult(1)
endless = Program("def run():\\n    weather('x')\\n    while True: pass", tools=(WEATHER,))
threading.Thread(
    target=lambda: sandbox.run(endless, {}, call=call, limits=Limits(seconds=3600)), daemon=True
).start()
reached.wait()
(cut,) = lifelines()
os.kill(cut, 9)
while Path(f"/proc/{cut}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
    pass
sandbox.run(Program("def run(): return 1"), {})
assert lifelines() != [cut]
print(*descendants(os.getpid()), flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    workers = [int(number) for number in done.stdout.split()]
    assert workers, done.stderr
    for worker in workers:
        wait_until_gone(worker)


@pytest.mark.parametrize("kind", ["monty", "process"])
def test_a_host_may_ignore_the_ends_of_its_children(kind: str) -> None:
    """Where SIGCHLD is ignored the kernel keeps no exit codes: runs, killed workers and closing go on as ever."""
    made_of(kind).close()
    script = f"""
import os, signal
from seglam_agents.sandboxes.base import Failed, Program, Returned
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.sandboxes.process import ProcessSandbox
from seglam_agents.testing.processes import children
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
sandbox = {"MontySandbox" if kind == "monty" else "ProcessSandbox"}()
program = Program("def run(x): return x * 2")
first = [sandbox.run(program, {{"x": n}}) for n in range(3)]
for child in children(os.getpid()):
    os.kill(child, 9)
ends = [sandbox.run(program, {{"x": n}}) for n in range(20)]
assert all(isinstance(end, Returned) or end.kind == "crash" for end in ends), ends
sandbox.close()
print([end.value for end in first], [end.value for end in ends[-5:]], children(os.getpid()))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[0, 2, 4] [30, 32, 34, 36, 38] []", done.stderr


@pytest.mark.parametrize("kind", ["monty", "process"])
def test_a_host_that_takes_sigpipe_as_it_comes_lives_on(kind: str) -> None:
    """Scripts restore that signal's default; a worker that is killed ends its run there, and not the script."""
    made_of(kind).close()
    script = f"""
import os, signal
from contextlib import suppress
from seglam_agents.sandboxes.base import Failed, Program, Returned, ToolResult
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.sandboxes.process import ProcessSandbox
from seglam_agents.testing.processes import descendants
from seglam_agents.testing.sandbox_contract import WEATHER
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
sandbox = {"MontySandbox" if kind == "monty" else "ProcessSandbox"}(workers=1)
def call(asked):
    for worker in descendants(os.getpid()):
        with suppress(ProcessLookupError):  # The keeper that was killed before it has taken it along.
            os.kill(worker, 9)
    return ToolResult(1)
asks = Program("def run(): return weather('x')", tools=(WEATHER,))
for _ in range(5):
    sandbox.run(asks, {{}}, call=call)
    end = sandbox.run(Program("def run(): return 1"), {{}})
    assert isinstance(end, Returned) or end.kind == "crash", end
sandbox.close()
print(signal.SIGPIPE in signal.pthread_sigmask(signal.SIG_BLOCK, set()))
os.kill(os.getpid(), signal.SIGPIPE)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.returncode) == ("False", -signal.SIGPIPE), done.stderr


def test_the_kernel_holds_the_processor_time() -> None:
    """A worker has a limit of processor time that needs nobody to watch it."""
    sandbox = MontySandbox(workers=1)
    limits: list[str] = []

    def looking(_: ToolCall) -> ToolResult:
        for child in children(os.getpid()):
            if "monty" in command(child):
                limits.append(Path(f"/proc/{child}/limits").read_text().split("Max cpu time")[1].split()[0])
        return ToolResult(1)

    assert returned(sandbox.run(ASKS, {}, call=looking)) == 1
    sandbox.close()
    assert limits and all(limit.isdigit() for limit in limits)


def test_functions_of_host_modules_use_up_the_time() -> None:
    """A program that spends its time in the slot library is ended, whatever it catches."""
    from seglam_agents.guards.slots.exports import exports

    sandbox = MontySandbox(modules=(HostModule("slots", exports()),))
    source = (
        "from slots import find\ndef run(text):\n    n = 0\n    while n < 10000:\n        try:\n"
        "            find('count', text)\n        except BaseException:\n            pass\n        n += 1\n    return n"
    )
    execution = failed(sandbox.run(Program(source), {"text": "1 " * 3999}))
    sandbox.close()
    assert execution.kind == "limit" and ("slots" in execution.reason or "0.5 s" in execution.reason)


@pytest.mark.parametrize(
    "question",
    [
        "echo(text)",
        "no_such_name",
        "opened(text)",
        "opened('/x', 'w').write(text)",
        "datetime.now()",
        "import no_such_module",
        "weather(text, wrong=text)",
        "_ask_('nobody', (text,), {})",
    ],
)
def test_what_goes_to_the_host_and_back_uses_up_the_time(question: str) -> None:
    """Whatever a program asks its host for, and however often: its time is over when its time is over."""
    sandbox = MontySandbox(workers=1, modules=(HostModule("slots", {"echo": str}),))
    source = (
        "from datetime import datetime\nfrom slots import echo\nopened = open\n"
        "def run(text):\n    while True:\n        try:\n"
        f"            {question}\n        except BaseException:\n            pass"
    )
    program = Program(source, tools=(WEATHER,))
    execution = failed(sandbox.run(program, {"text": "1" * 100_000}, limits=Limits(seconds=0.2)))
    sandbox.close()
    assert execution.kind == "limit" and ("more than 0.2 s" in execution.reason or "time limit" in execution.reason)


def test_workers_that_were_stopped_while_idle_are_replaced() -> None:
    """A run that finds them waits for them a few seconds, not for the last backstop, and is answered."""
    sandbox = MontySandbox(workers=1, prepare_ahead=False)
    for number in range(2):
        assert returned(sandbox.run(Program(f"def run(): return {number}"), {})) == number
        for child in children(os.getpid()):
            if "monty" in command(child):
                os.kill(child, signal.SIGSTOP)
    assert returned(sandbox.run(Program("def run(): return 2"), {})) == 2
    sandbox.close()


def test_a_panic_of_montys_library_is_an_error_of_the_sandbox() -> None:
    """Where no thread can be started its library panics, which `except Exception` would let through."""
    script = """
import os, resource
from seglam_agents.records.errors import SandboxError
from seglam_agents.sandboxes.base import Program
from seglam_agents.sandboxes.monty import MontySandbox
if os.getuid() == 0:
    os.setresuid(65534, 65534, 65534)
resource.setrlimit(resource.RLIMIT_NPROC, (1, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
sandbox = MontySandbox(prepare_ahead=False)
for _ in range(2):
    try:
        sandbox.run(Program("def run(): return 1"), {})
    except SandboxError:
        print("told", flush=True)
"""
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )
    assert found.stdout.split() == ["told", "told"], found.stderr


DENIALS = {
    # A filter under which the kernel's `seccomp` and `prctl(PR_SET_SECCOMP)` are refused, as in some containers.
    "the filter": """
import struct
lines = [(0x20, 0, 0, 0), (0x15, 0, 1, 317), (6, 0, 0, 0x50001), (0x15, 0, 3, 157), (0x20, 0, 0, 16), (0x15, 0, 1, 22)]
lines += [(6, 0, 0, 0x50001), (6, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
rules = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(lines), ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(rules), 0, 0) == 0
""",
    "another user": "for right in range(41): libc.prctl(24, right, 0, 0, 0)",
}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the filter has the numbers of x86-64")
@pytest.mark.parametrize(("denied", "reason"), [("the filter", "PR_SET_SECCOMP"), ("another user", "as a user")])
def test_a_kernel_that_denies_the_locks_is_told_at_the_start(denied: str, reason: str) -> None:
    """Not each run crashes: the sandbox refuses to start, and says why."""
    made_of("process").close()
    if denied == "another user" and os.geteuid() != 0:
        pytest.skip("only root becomes another user")
    script = f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
{DENIALS[denied]}
from seglam_agents.sandboxes.process import second_sandbox
print(second_sandbox().reason)
"""
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert reason in found.stdout, found.stderr


def test_a_fork_after_the_first_run_goes_on_in_jailed_processes() -> None:
    """Monty works in no fork of a process that used it; the runs go to the process sandbox, and are answered."""
    made_of("process").close()
    script = """
import os, sys
from seglam_agents.sandboxes.base import Program, Returned
from seglam_agents.sandboxes.monty import MontySandbox
sandbox = MontySandbox()
program = Program("def run(x): return x * 2")
assert sandbox.run(program, {"x": 1}).value == 2
child = os.fork()
if child == 0:
    answers = [sandbox.run(program, {"x": n}).value for n in range(5)]
    sandbox.close()
    print(answers == [0, 2, 4, 6, 8] and not sandbox.check(program), flush=True)
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
print(sandbox.run(program, {"x": 3}).value == 6)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["True", "True"], done.stderr


class TestTurns:
    """`Turns`, without any sandbox."""

    def test_whoever_waits_too_long_is_told(self) -> None:
        """A run that gets no turn is a failure of kind `busy`, not an exception."""
        turns = Turns(1, patience=0.05)
        with turns.turn("a") as mine, turns.turn("b") as other:
            assert mine is not None and other is None
        assert turns.busy().kind == "busy"
        with turns.turn("b") as later:
            assert later is not None

    def test_the_patience_is_one_whatever_is_waited_for(self) -> None:
        """What a run waited for its turn, it does not wait once more for a worker."""
        turns, waits = Turns(1, patience=30.0), threading.Event()
        left: list[float] = []

        def second() -> None:
            waits.set()
            with turns.turn("b") as turn:
                assert turn is not None
                left.append(turn.left)

        thread = threading.Thread(target=second)
        with turns.turn("a"):
            began = time.monotonic()
            thread.start()
            waits.wait()
            while time.monotonic() == began:
                pass
        thread.join()
        assert left[0] < 30.0
        spares: Spares[str, str] = Spares(lambda _: "thing", lambda _: None, capacity=1, ahead=0)
        assert spares.take("a") is None
        with pytest.raises(BusyError):
            spares.take("a", patience=0.0)

    def test_what_was_made_for_others_is_in_nobodys_way(self) -> None:
        """Spares of programs that nobody runs any more make room for the one that is run now."""
        spares: Spares[str, str] = Spares(lambda key: key, lambda _: None, capacity=4, ahead=2)
        for key in ("a", "b", "c", "c", "c", "c"):
            taken = spares.take(key)
            spares.give_back(taken[1] if taken else "own", key)
            spares.settle()
        assert spares.take("c") == ("c", "c")
        spares.close()

    def test_a_lent_turn_is_taken_by_another(self) -> None:
        """While a program waits for a tool, another computes; afterwards both go on."""
        turns = Turns(1, patience=0.05)
        with turns.turn("a") as mine:
            assert mine is not None
            with mine.lent(), turns.turn("b") as other:
                assert other is not None
        with turns.turn("c") as later:
            assert later is not None

    def test_slow_programs_have_half_at_most(self) -> None:
        """What was stopped before may not fill the room; once it ends well it may again."""
        turns = Turns(4, patience=0.05)
        turns.judge("hog", Failed("limit", "x"))
        with turns.turn("hog") as first, turns.turn("hog") as second, turns.turn("hog") as third:
            assert first and second and third is None
            with turns.turn("honest") as other:
                assert other is not None
        turns.judge("hog", Returned(1))
        with turns.turn("hog"), turns.turn("hog"), turns.turn("hog") as third:
            assert third is not None


def test_the_watchdog_kills_only_what_is_late() -> None:
    """A process that is done with in time lives; one that is not dies."""
    watchdog = Watchdog()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as waiting:
        with watchdog.watching(waiting.pid, 60):
            pass
        assert waiting.poll() is None
        with watchdog.watching(waiting.pid, 0.05):
            assert waiting.wait(30) == -signal.SIGKILL
    watchdog.close()


def _is_stopped(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "RSD"
    except OSError:
        return True  # It has ended.
