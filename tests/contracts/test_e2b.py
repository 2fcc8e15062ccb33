"""What `E2BSandbox` promises besides the contract: machines that go, networks that fail, tools by running again."""

from __future__ import annotations

import errno
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from seglam_agents.cache import ReasoningCache
from seglam_agents.records.errors import SandboxError
from seglam_agents.records.request import Scope
from seglam_agents.records.tools import Tool
from seglam_agents.records.values import Value
from seglam_agents.sandboxes import _jail
from seglam_agents.sandboxes.base import Execution, Limits, Program, Returned, ToolCall, ToolResult
from seglam_agents.sandboxes.choice import SandboxChoice
from seglam_agents.sandboxes.e2b import E2BSandbox
from seglam_agents.testing.e2b_server import E2BServer, Fault
from seglam_agents.testing.processes import descendants
from seglam_agents.testing.sandbox_contract import CONTRACT_MODULE, WEATHER, assert_alive, failed, returned

REPOSITORY = Path(__file__).parents[2]
PAY = Tool(name="pay", parameters={"properties": {"amount": {"type": "integer"}}}, effect="write")
ONE = Program("def run(): return 1")


@pytest.fixture
def server() -> Iterator[E2BServer]:
    server = E2BServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sandbox(server: E2BServer) -> Iterator[E2BSandbox]:
    sandbox = opened(server)
    yield sandbox
    sandbox.close()


def opened(server: E2BServer, **options: object) -> E2BSandbox:
    """Return a sandbox on the stand-in."""
    return E2BSandbox(
        api_key=server.api_key,
        api_url=server.url,
        sandbox_url=server.url,
        modules=[CONTRACT_MODULE],
        **options,  # type: ignore[arg-type]
    )


def test_one_machine_serves_many_runs(sandbox: E2BSandbox, server: E2BServer) -> None:
    """The machine and its interpreter are kept warm; each run costs one request."""
    for turn in range(5):
        assert returned(sandbox.run(Program("def run(x): return x"), {"x": turn})) == turn
    assert server.calls.count("POST /v2/sandboxes") == 1
    assert server.calls.count("POST /contexts") == 1
    assert server.calls.count("POST /execute") == 1 + 5


def test_what_it_costs_is_booked() -> None:
    """Runs, executions, machines, seconds and money add up."""
    server = E2BServer()
    server.start()
    sandbox = opened(server, dollars_per_hour=3600.0)
    sandbox.run(ONE, {})
    sandbox.run(Program("def run(): return [weather('a'), weather('b')]", tools=(WEATHER,)), {}, call=warm)
    spent = sandbox.spent
    assert (spent.runs, spent.executions, spent.machines) == (2, 1 + 3, 1)
    assert spent.seconds > 0
    assert spent.dollars == pytest.approx(spent.seconds)
    sandbox.close()
    assert server.machines == ()
    server.stop()


def test_a_tool_is_called_once_however_often_the_program_runs(sandbox: E2BSandbox) -> None:
    """Three writes with answers that depend on each other: three calls, in order."""
    calls: list[object] = []

    def call(asked: ToolCall) -> ToolResult:
        calls.append(asked.arguments["amount"])
        return ToolResult(len(calls))

    source = "def run():\n    n = 0\n    for _ in range(3):\n        n = pay(n + 10)\n    return n"
    assert returned(sandbox.run(Program(source, tools=(PAY,)), {}, call=call)) == 3
    assert calls == [10, 11, 12]


def test_a_machine_lost_between_two_writes_repeats_none(sandbox: E2BSandbox, server: E2BServer) -> None:
    """A new machine runs the program over the answers so far, and goes on."""
    calls: list[object] = []

    def call(asked: ToolCall) -> ToolResult:
        calls.append(asked.arguments["amount"])
        server.expire()
        return ToolResult(None)

    source = "def run():\n    pay(1)\n    pay(2)\n    return 'paid'"
    assert returned(sandbox.run(Program(source, tools=(PAY,)), {}, call=call)) == "paid"
    assert calls == [1, 2]
    assert sandbox.spent.machines == 3


def test_a_program_that_asks_for_other_things_is_stopped(sandbox: E2BSandbox) -> None:
    """What a second execution asks must be what the first one asked, or no answer is given to it."""
    walk = "[k for k in ().__class__.__base__.__subclasses__() if k.__name__ == '_wrap_close'][0]"
    source = f"def run():\n    m = {walk}.__init__.__globals__\n    pay(m['getpid']())\n    pay(2)"
    calls: list[object] = []

    def call(asked: ToolCall) -> ToolResult:
        calls.append(asked.arguments["amount"])
        return ToolResult(None)

    execution = failed(sandbox.run(Program(source, tools=(PAY,)), {}, call=call))
    assert execution.kind == "error" and "deterministic" in execution.reason
    assert len(calls) == 1


@pytest.mark.parametrize("path", ["/execute", "/contexts"])
@pytest.mark.parametrize("fault", ["expired", "paused", "hang up"])
def test_a_lost_machine_costs_nobody_a_run(sandbox: E2BSandbox, server: E2BServer, fault: Fault, path: str) -> None:
    """Expired, paused, or cut off: the run is done again, resumed or elsewhere."""
    if path == "/execute":
        assert_alive(sandbox)
    server.order(fault, path)
    assert_alive(sandbox)


def test_a_paused_machine_is_resumed(sandbox: E2BSandbox, server: E2BServer) -> None:
    """No second machine is started where the first one only sleeps."""
    assert_alive(sandbox)
    server.pause()
    assert_alive(sandbox)
    assert sandbox.spent.machines == 1


@pytest.mark.parametrize(
    ("fault", "path", "told"),
    [
        ("rate limit", "/v2/sandboxes", "rate limit"),
        ("server error", "/v2/sandboxes", "internal"),
        ("server error", "/execute", "500"),
        ("broken lines", "/execute", "JSON"),
        ("no answer", "/execute", "died"),
    ],
)
def test_faults_of_the_service_are_failures_with_reasons(
    sandbox: E2BSandbox, server: E2BServer, fault: Fault, path: str, told: str
) -> None:
    """Nothing is raised into the caller, the kind is typed, and the next run works."""
    for _ in range(5):  # the client repeats some requests by itself
        server.order(fault, path)
    execution = failed(sandbox.run(ONE, {}))
    assert execution.kind in ("unavailable", "crash")
    assert told in execution.reason
    for _ in range(5):
        server.fault(path)
    assert_alive(sandbox)


def test_a_service_that_is_gone_is_unavailable() -> None:
    """Nobody listens: a failure, no exception."""
    server = E2BServer()
    server.start()
    sandbox = opened(server)
    server.stop()
    assert failed(sandbox.run(ONE, {})).kind == "unavailable"


def test_a_wrong_key_is_explained(server: E2BServer) -> None:
    """The sandbox cannot work at all: that is an exception, and says what to do."""
    sandbox = E2BSandbox(api_key="e2b_wrong", api_url=server.url, sandbox_url=server.url)
    with pytest.raises(SandboxError, match="api_key"):
        sandbox.run(ONE, {})


def test_another_process_goes_on_with_the_machine(sandbox: E2BSandbox, server: E2BServer) -> None:
    """A machine is found again by its number."""
    assert_alive(sandbox)
    other = opened(server, machine=sandbox.machine)
    assert_alive(other)
    assert len(server.machines) == 1


def test_tenants_share_a_sandbox_and_no_machine(server: E2BServer) -> None:
    """Two caches of two tenants on one sandbox: a machine each; two agents of one tenant, too."""
    sandbox = opened(server, machine="gone")
    tenants = [Scope(tenant="acme"), Scope(tenant="globex"), Scope(tenant="acme", agent="clerk")]
    parts = [sandbox.within(scope) for scope in tenants]
    for part in (*parts, *parts):
        assert_alive(part)
    assert len({part.machine for part in parts}) == len(server.machines) == 3
    assert parts == [parts[1].within(scope) for scope in tenants]
    assert sandbox.spent.machines == 3
    sandbox.close()
    assert server.machines == ()


def test_what_nobody_named_is_no_tenants(sandbox: E2BSandbox, server: E2BServer) -> None:
    """A machine on which something ran outside of any cache is given to no scope."""
    assert_alive(sandbox)
    part = sandbox.within(Scope(tenant="acme"))
    assert_alive(part)
    assert part.machine != sandbox.machine


def test_caches_of_two_tenants_run_on_two_machines(server: E2BServer) -> None:
    """The cache asks for the part of its scope, in a choice as well, and gives it `slots`."""
    sandbox = E2BSandbox(api_key=server.api_key, api_url=server.url, sandbox_url=server.url)
    source = "from slots import find\ndef run(text): return find('number', text)"
    for tenant in ("acme", "globex"):
        for offered in (sandbox, SandboxChoice(sandbox)):
            with ReasoningCache(sandbox=offered, tenant=tenant) as cache:
                assert not cache.sandbox.check(Program(source))
                assert isinstance(cache.sandbox.run(Program(source), {"text": "12"}), Returned)
    sandbox.close()
    assert server.calls.count("POST /v2/sandboxes") == 2


def test_a_machine_that_is_gone_is_replaced(server: E2BServer) -> None:
    """A number that nobody knows is no obstacle."""
    sandbox = opened(server, machine="gone")
    assert_alive(sandbox)
    assert sandbox.machine != "gone"
    sandbox.close()


def test_an_interpreter_that_is_killed_is_replaced(sandbox: E2BSandbox) -> None:
    """Where the machine's Python has ended, nobody loses a run."""
    before = set(descendants(os.getpid()))
    assert_alive(sandbox)
    for process in set(descendants(os.getpid())) - before:
        os.kill(process, signal.SIGKILL)
    assert_alive(sandbox)


def test_packages_are_importable(server: E2BServer) -> None:
    """A package that the template has may be imported where it was named, and only there."""
    sandbox = opened(server, packages=("pandas",))
    program = Program("import pandas as pd\ndef run(): return float(pd.Series([1.0, 2.0, 4.0]).median())")
    limits = Limits(seconds=10, memory_bytes=512 * 2**20)
    assert list(sandbox.check(program)) == []
    assert returned(sandbox.run(program, {}, limits=limits)) == 2.0
    sandbox.close()
    plain = opened(server)
    assert plain.check(program)
    assert "pandas" in failed(plain.run(program, {}, limits=limits)).reason
    plain.close()


def test_eight_threads_on_a_machine_that_comes_and_goes_write_once(server: E2BServer) -> None:
    """Expired and paused machines, lost connections and refusals: each write once and in order, nothing is raised."""
    sandbox = opened(server, workers=4)
    program = Program("def run(k): return [pay(10 * k + i) for i in range(3)]", tools=(PAY,))
    faults = iter(["expire", "pause", "hang up", "server error", "broken lines", "rate limit"] * 8)

    def told(k: int) -> tuple[list[Value], Execution]:
        calls: list[Value] = []

        def call(asked: ToolCall) -> ToolResult:
            calls.append(asked.arguments["amount"])
            match next(faults):
                case "expire":
                    server.expire()
                case "pause":
                    server.pause()
                case fault:
                    server.order(cast(Fault, fault), "/execute")
            return ToolResult(len(calls))

        return calls, sandbox.run(program, {"k": k}, call=call)

    with ThreadPoolExecutor(8) as threads:
        seen = dict(enumerate(threads.map(told, range(16))))
    for k, (calls, execution) in seen.items():
        assert calls == [10 * k + i for i in range(3)][: len(calls)]
        if isinstance(execution, Returned):
            assert execution.value == [1, 2, 3] and len(calls) == 3
        else:
            assert failed(execution).kind in ("unavailable", "crash")
    sandbox.close()


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_fork_is_told_that_the_client_does_not_work_there() -> None:
    """After the first run a fork gets a failure at once, and leaves its parent's machine alone."""
    script = """
import os
from seglam_agents.sandboxes.base import Failed, Program, Returned
from seglam_agents.sandboxes.e2b import E2BSandbox
from seglam_agents.testing.e2b_server import E2BServer
server = E2BServer()
server.start()
made = [E2BSandbox(api_key=server.api_key, api_url=server.url, sandbox_url=server.url) for _ in "12"]
one = Program("def run(): return 1")
assert isinstance(made[0].run(one, {}), Returned)
child = os.fork()
if child == 0:
    told = [sandbox.run(one, {}) for sandbox in made]
    for sandbox in made:
        sandbox.close()
    print([(isinstance(each, Failed), each.kind, "spawn" in each.reason) for each in told], flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(isinstance(made[0].run(one, {}), Returned), made[0].spent.machines, flush=True)
made[0].close()
server.stop()
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == [str([(True, "unavailable", True)] * 2), "True 1"], done.stderr


POISON = """\
from statistics import sys
def run():
    posix = sys.modules['posix']
    pipe = posix.open('/proc/%d/fd/1' % posix.getppid(), 1)
    posix.write(pipe, b'FRAMES')
    return 1
"""


@pytest.mark.parametrize(
    "frames",
    [
        '{"done": 666}',
        '{"done": 666}\\n{"done": 667}',
        '{"done": 1}\\n{"ask": ["pay", [], {"amount": 9}]}\\n{"done": 2}',
    ],
)
def test_no_program_answers_for_another(sandbox: E2BSandbox, frames: str) -> None:
    """Whatever a program writes into the channel of the machine, the next ones get their own answers and calls."""
    sandbox.run(Program(POISON.replace("FRAMES", frames + "\\n")), {})
    paid: list[Value] = []

    def pay(asked: ToolCall) -> ToolResult:
        paid.append(asked.arguments["amount"])
        return ToolResult()

    for number in range(3):
        assert returned(sandbox.run(Program("def run(x): return x * 2"), {"x": number})) == number * 2
    program = Program("def run(x):\n    pay(amount=x)\n    return 'paid'", tools=(PAY,))
    assert returned(sandbox.run(program, {"x": 5}, call=pay)) == "paid"
    assert paid == [5]


def test_what_a_program_leaves_behind_is_ended(sandbox: E2BSandbox) -> None:
    """A process that outlives its program, in a session of its own, is gone when the next one runs."""
    source = (
        "from statistics import sys\ndef run():\n    posix = sys.modules['posix']\n    child = posix.fork()\n"
        "    if child == 0:\n        posix.setsid()\n        child = posix.fork()\n"
        "        if child == 0:\n            while True: pass\n        posix._exit(0)\n"
        "    posix.waitpid(child, 0)\n    return posix.getpid()"
    )
    before = set(descendants(os.getpid()))
    sandbox.run(ONE, {})
    with_launcher = set(descendants(os.getpid())) - before
    sandbox.run(Program(source), {})
    assert_alive(sandbox)
    assert set(descendants(os.getpid())) - before == with_launcher


def _reaching(line: str) -> Program:
    """Return a program that knows a way past the look, and whether the line went through."""
    return Program(
        "from statistics import sys\nposix, ctypes = sys.modules['posix'], sys.modules['ctypes']\n"
        "def upwards():\n    above = posix.getppid()\n    f = posix.open('/proc/%d/stat' % above, 0)\n"
        "    return int(posix.read(f, 4000).decode().rsplit(')', 1)[1].split()[1])\n"
        f"def run():\n    try:\n        {line}\n    except OSError as error:\n        return error.errno\n    return 0"
    )


REACHING = (
    "posix.open('/proc/%d/fd/0' % posix.getppid(), 1)",
    "posix.open('/proc/%d/fd/1' % posix.getppid(), 1)",
    "posix.open('/proc/%d/mem' % upwards(), 2)",
    "[posix.open('/proc/%d/fd/%s' % (upwards(), n), 1) for n in range(3, 20)]",
    "posix.open('/tmp/left', posix.O_RDONLY | posix.O_CREAT)",
    "posix.open('/dev/null', posix.O_RDONLY | posix.O_TRUNC)",
    "posix.open('/tmp', posix.O_RDONLY | 0o20000000)",
    "posix.kill(posix.getppid(), 0)",
    "posix.fork()",
    "posix.mkdir('/tmp/left')",
    "sys.modules['_socket'].socket()",
)


@pytest.mark.parametrize("line", REACHING)
def test_a_program_reaches_no_other(sandbox: E2BSandbox, line: str) -> None:
    """Whoever gets past the look can open no pipe, file, process or socket by which it could answer for others."""
    assert returned(sandbox.run(_reaching(line), {})) == errno.EPERM
    assert returned(sandbox.run(_reaching("posix.read(posix.open('/proc/self/stat', 0), 9)"), {})) == 0
    assert_alive(sandbox)


def test_no_other_system_call_works(sandbox: E2BSandbox) -> None:
    """Of all that there are, the kernel refuses what is not on the list."""
    column = _jail.ARCHITECTURES[platform.machine()][0]
    allowed = {numbers[column] for numbers in (*_jail.SYSTEM_CALLS.values(), *_jail.READING_CALLS.values())}
    of_debuggers = {335, 336}  # uretprobe and uprobe: newer kernels let them pass, and they do nothing here
    asked = sorted(set(range(470)) - allowed - of_debuggers - {_jail.OPEN_AT[column]})
    source = (
        "from statistics import sys\nctypes = sys.modules['ctypes']\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "def run(asked):\n    through = []\n    for number in asked:\n        ctypes.set_errno(0)\n"
        "        if libc.syscall(number, 0, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 1:\n"
        "            through.append(number)\n    return through"
    )
    assert len(asked) > 400
    assert returned(sandbox.run(Program(source), {"asked": [*asked, 2**30 + 257]})) == []


def test_a_machine_that_takes_no_locks_runs_one_program() -> None:
    """Where the kernel keeps nobody apart, each run has a machine of its own; there the attacks go through."""
    server = E2BServer(locks=False)
    server.start()
    sandbox = opened(server)
    reached = [returned(sandbox.run(_reaching(line), {})) for line in REACHING[:3]]
    assert reached == [0, 0, 0]
    assert_alive(sandbox)
    assert sandbox.spent.machines == 5 and sandbox.spent.runs == 4 and server.machines == ()
    sandbox.close()
    server.stop()


def test_every_run_may_have_a_machine_of_its_own(server: E2BServer) -> None:
    """Asked for, nothing of a machine is used twice, and a tool is called once all the same."""
    sandbox = opened(server, fresh=True)
    paid: list[ToolCall] = []

    def pay(asked: ToolCall) -> ToolResult:
        paid.append(asked)
        server.order("expired", "/execute")
        return ToolResult()

    program = Program("def run():\n    pay(amount=1)\n    return 'paid'", tools=(PAY,))
    assert returned(sandbox.run(program, {}, call=pay)) == "paid"
    assert returned(sandbox.run(ONE, {})) == 1
    assert len(paid) == 1 and sandbox.spent.machines == 3 and sandbox.spent.runs == 2
    assert server.machines == () and sandbox.machine is None
    sandbox.close()
    with pytest.raises(SandboxError, match="fresh"):
        opened(server, fresh=True, machine="number")


@pytest.mark.parametrize("path", ["/v2/sandboxes", "/contexts", "/execute"])
@pytest.mark.parametrize("reply", ["html", "null", "list"])
def test_replies_that_are_none_of_the_service_are_failures(server: E2BServer, path: str, reply: Fault) -> None:
    """Whatever stands between the two may answer: what its client raises then is a failure, and the next run works."""
    sandbox = opened(server)
    server.order(reply, path)
    assert failed(sandbox.run(ONE, {})).kind in ("unavailable", "crash")
    assert_alive(sandbox)
    sandbox.close()


def test_interpreters_that_failed_are_removed(sandbox: E2BSandbox, server: E2BServer) -> None:
    """A machine does not fill up with what is never used again."""
    for _ in range(4):
        returned(sandbox.run(ONE, {}))
        server.order("server error", "/execute")
        failed(sandbox.run(ONE, {}))
    removed = [call for call in server.calls if call.startswith("DELETE /contexts/")]
    assert len(removed) == server.calls.count("POST /contexts") - 1


def test_the_time_of_all_executions_is_limited(sandbox: E2BSandbox) -> None:
    """A program that takes its time before each of its questions takes it again and again."""
    source = (
        "from statistics import sys\ndef run():\n    for n in range(60):\n"
        "        held = sys.modules['_thread'].allocate_lock()\n        held.acquire()\n"
        "        held.acquire(timeout=0.015)\n        weather('x')\n    return 1"
    )
    program = Program(source, tools=(WEATHER,))
    execution = failed(sandbox.run(program, {}, call=warm, limits=Limits(seconds=0.1)))
    assert execution.kind == "limit" and "all its executions" in execution.reason and sandbox.spent.executions < 61


@pytest.mark.live
def test_the_service_itself() -> None:
    """With a key, the same client runs programs at E2B."""
    if "E2B_API_KEY" not in os.environ:
        pytest.skip("E2B_API_KEY is not set")
    sandbox = E2BSandbox()
    try:
        assert returned(sandbox.run(Program("def run(x): return x + 1"), {"x": 1}, limits=Limits(seconds=5))) == 2
        program = Program("def run(): return weather('Oslo')", tools=(WEATHER,))
        assert returned(sandbox.run(program, {}, call=warm, limits=Limits(seconds=5))) == 21
    finally:
        sandbox.close()


def warm(_: ToolCall) -> ToolResult:
    """Return a temperature."""
    return ToolResult(21)
