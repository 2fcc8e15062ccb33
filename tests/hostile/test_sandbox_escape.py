"""Programs that try to reach the host: nothing they do is seen outside, in either sandbox.

Each attack is written twice where it must be: for Monty, whose interpreter lacks what the attack needs, and for
CPython, where a walk over the classes reaches every module of the worker and only the kernel's locks are left. A test
asserts on something outside (a file, a server, a process) or on what the attack would bring home, so that it fails
when the jail is off.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from seglam_agents.records.tools import Tool
from seglam_agents.sandboxes import interpreter as interpreter_module
from seglam_agents.sandboxes.base import Execution, Failed, HostModule, Limits, Program, Returned, Sandbox, ToolResult
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.sandboxes.process import ProcessSandbox, Unavailable, second_sandbox

SECRET = "s3cret-of-the-host-7391"
LIMITS = Limits(seconds=2.0)
LEAK = Tool(name="leak", parameters={"properties": {"text": {}}})

# What a hostile program would write first: every module of the interpreter it runs in, by a walk over the classes.
WALK = """
def loaded():
    for kind in ().__class__.__base__.__subclasses__():
        try:
            return kind.__init__.__globals__['sys'].modules
        except (AttributeError, KeyError, TypeError):
            pass
    raise LookupError('no way out')

def module(name):
    modules = loaded()
    if name in modules:
        return modules[name]
    return modules['builtins'].__import__(name)
"""


@pytest.fixture(scope="module", params=["monty", "process"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    modules = [HostModule("slots", {"parse": lambda text: text})]
    made = MontySandbox(workers=3, modules=modules) if request.param == "monty" else second_sandbox(modules)
    if isinstance(made, Unavailable):
        pytest.skip(made.reason)
    yield made
    made.close()


@pytest.fixture(scope="module")
def jailed() -> Iterator[ProcessSandbox]:
    made = second_sandbox()
    if isinstance(made, Unavailable):
        pytest.skip(made.reason)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def host_is_unharmed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test did, the sandbox answers honestly afterwards."""
    used = [request.getfixturevalue(name) for name in ("sandbox", "jailed") if name in request.fixturenames]
    yield
    honest = Program("import math\ndef run(x): return [x, math.sqrt(4), len('abc'), round(2.675, 2)]")
    for one in used:
        assert value(one.run(honest, {"x": 1}, limits=Limits(seconds=10))) == [1, 2.0, 3, 2.67]


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    for folder in (path, *path.parents):
        if folder.owner() == Path.home().owner():
            folder.chmod(folder.stat().st_mode | 0o005)
        if folder == tmp_path:
            break
    return path


READS = {
    "open": "open({path!r}).read()",
    "pathlib": "__import__('pathlib').Path({path!r}).read_text()",
    "walk os.open": "(lambda os: os.read(os.open({path!r}, 0), 99).decode())(module('posix'))",
    "walk builtins": "module('builtins').open({path!r}).read()",
    "walk io": "module('_io').FileIO({path!r}).read().decode()",
    "walk exec": "module('builtins').eval('open({path!r}).read()')",
    "proc root": "module('builtins').open('/proc/self/root' + {path!r}).read()",
    "parent root": "module('builtins').open('/proc/' + str(module('posix').getppid()) + '/root' + {path!r}).read()",
    "ctypes": (
        "(lambda c, l: (lambda fd, b: (l.read(fd, b, 99), b.value.decode())[1])"
        "(l.open({path!r}.encode(), 0), c.create_string_buffer(99)))(module('ctypes'), module('ctypes').CDLL(None))"
    ),
}


@pytest.mark.parametrize("way", READS)
def test_files_cannot_be_read(sandbox: Sandbox, secret_file: Path, way: str) -> None:
    """No way to open a file brings its text into the program, or into what it returns or tells a tool."""
    told: list[object] = []
    source = (
        f"{WALK}\ndef run():\n    text = {READS[way].format(path=str(secret_file))}\n    leak(text)\n    return text"
    )
    execution = attack(sandbox, source, call=told.append)
    assert SECRET not in f"{execution} {told}"
    assert isinstance(execution, Failed) or value(execution) == ""


WRITES = {
    "open": "open({path!r}, 'w').write('x')",
    "walk os": "module('posix').open({path!r}, 0o101, 0o777)",
    "walk builtins": "module('builtins').open({path!r}, 'w').write('x')",
    "mkdir": "module('posix').mkdir({path!r})",
    "symlink": "module('posix').symlink('/', {path!r})",
    "mkfifo": "module('posix').mkfifo({path!r})",
    "bind": "module('_socket').socket(1, 1).bind({path!r})",
    "ctypes": "module('ctypes').CDLL(None).creat({path!r}.encode(), 0o777)",
    "rename": "module('posix').rename({other!r}, {path!r})",
    "link": "module('posix').link({other!r}, {path!r})",
    "shell": "module('posix').system('echo x > ' + {path!r})",
}


@pytest.mark.parametrize("way", WRITES)
def test_files_cannot_be_written(sandbox: Sandbox, secret_file: Path, way: str) -> None:
    """No file, folder, link or socket appears, and none changes."""
    secret_file.parent.chmod(0o777)
    path = secret_file.parent / "written"
    attack(sandbox, f"{WALK}\ndef run(): {WRITES[way].format(path=str(path), other=str(secret_file))}")
    assert not os.path.lexists(path)
    assert secret_file.read_text() == SECRET
    attack(sandbox, f"{WALK}\ndef run(): module('posix').unlink({str(secret_file)!r})")
    assert secret_file.exists()


@pytest.mark.parametrize(
    "expression",
    [
        "dict(module('os').environ)",
        "module('os').getenv('SEGLAM_TEST_SECRET')",
        "__import__('os').environ['SEGLAM_TEST_SECRET']",
        "str({k: v for k, v in module('posix').environ.items()})",
        "module('builtins').open('/proc/self/environ').read()",
        "module('builtins').open('/proc/' + str(module('posix').getppid()) + '/environ').read()",
        "module('ctypes').string_at(module('ctypes').CDLL(None).getenv(b'SEGLAM_TEST_SECRET')).decode()",
    ],
)
def test_the_environment_is_hidden(monkeypatch: pytest.MonkeyPatch, expression: str, sandbox: Sandbox) -> None:
    """Variables of the host are not to be found, even by workers that were started when they were set."""
    monkeypatch.setenv("SEGLAM_TEST_SECRET", SECRET)
    sandbox.close()
    execution = attack(sandbox, f"{WALK}\nimport os\ndef run(): return repr({expression})")
    walked = attack(sandbox, f"{WALK}\ndef run(): return repr({expression})")
    assert SECRET not in f"{execution} {walked}"


@pytest.mark.parametrize(
    "connect",
    [
        "module('_socket').socket(2, 1).connect(('127.0.0.1', {port}))",
        "__import__('socket').create_connection(('127.0.0.1', {port}))",
        "module('_socket').socket(2, 2).sendto(b'x', ('127.0.0.1', {port}))",
        "module('urllib.request').urlopen('http://127.0.0.1:{port}/')",
        "module('posix').system('echo x > /dev/tcp/127.0.0.1/{port}')",
        "module('ctypes').CDLL(None).socket(2, 1, 0) >= 0 and leak('socket')",
        "module('_socket').socketpair() and leak('pair')",
    ],
)
def test_the_network_is_out_of_reach(sandbox: Sandbox, connect: str) -> None:
    """Nobody knocks at a listening port of this machine."""
    told: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        port = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        tcp.setblocking(False)
        udp.setblocking(False)
        attack(sandbox, f"{WALK}\ndef run(): return str({connect.format(port=port)})", call=told.append)
        with pytest.raises(BlockingIOError):
            tcp.accept()
        with pytest.raises(BlockingIOError):
            udp.recv(9)
    assert told == []


@pytest.mark.parametrize(
    "start",
    [
        "module('posix').system('touch {path}')",
        "__import__('subprocess').run(['touch', '{path}'])",
        "module('posix').posix_spawn('/usr/bin/touch', ['touch', '{path}'], dict())",
        "module('posix').execv('/usr/bin/touch', ['touch', '{path}'])",
        "module('_posixsubprocess')",
        "module('ctypes').CDLL(None).system(b'touch {path}')",
        "module('os').popen('touch {path}').read()",
    ],
)
def test_no_program_is_started(sandbox: Sandbox, tmp_path: Path, start: str) -> None:
    """No other program runs, by whatever call it is started."""
    tmp_path.chmod(0o777)
    path = tmp_path / "touched"
    attack(sandbox, f"{WALK}\ndef run(): return str({start.format(path=path)})")
    assert not path.exists()


@pytest.mark.parametrize(
    "multiply",
    [
        "module('posix').fork()",
        "module('_thread').start_new_thread(print, ())",
        "__import__('threading').Thread(target=print).start()",
        "__import__('multiprocessing').Process(target=print).start()",
        "module('ctypes').CDLL(None).fork()",
        "module('ctypes').CDLL(None).syscall(435, 0, 0)",
        "module('ctypes').CDLL(None).syscall(57)",
        "module('ctypes').CDLL(None).syscall(0x40000000 + 57)",
    ],
)
def test_no_process_and_no_thread_is_made(sandbox: Sandbox, multiply: str) -> None:
    """Everybody that comes into being would say so."""
    told: list[object] = []
    source = (
        f"{WALK}\ndef run():\n    result = {multiply}\n    if isinstance(result, int) and result < 0:\n"
        "        raise ValueError(result)\n    leak('alive')\n    return 'made'"
    )
    execution = attack(sandbox, source, call=told.append)
    assert isinstance(execution, Failed)
    assert told == []


def test_a_fork_bomb_stays_one_process(sandbox: Sandbox) -> None:
    """A program that forks in a loop has made nothing when its time is over."""
    source = (
        f"{WALK}\ndef run():\n    made = 0\n    for _ in range(300):\n        try:\n"
        "            module('posix').fork()\n            made += 1\n"
        "        except BaseException:\n            pass\n    return made"
    )
    assert value(attack(sandbox, source)) == 0


@pytest.mark.parametrize(
    "shoot",
    [
        "module('posix').kill({pid}, 9)",
        "module('posix').kill(module('posix').getppid(), 9)",
        "module('posix').killpg(0, 9)",
        "module('posix').kill(-1, 9)",
        "module('ctypes').CDLL(None).kill({pid}, 9)",
        "module('ctypes').CDLL(None).ptrace(16, {pid}, 0, 0)",
        "module('_signal').pidfd_send_signal(3, 9)",
        "__import__('os').kill({pid}, 9)",
    ],
)
def test_nobody_is_killed(sandbox: Sandbox, shoot: str) -> None:
    """Signals reach neither the host, nor the worker's parent, nor a process that waits to be shot."""
    victim = os.fork()
    if victim == 0:
        while True:
            os.read(os.pipe()[0], 1)
    try:
        execution = attack(sandbox, f"{WALK}\ndef run():\n    r = {shoot.format(pid=victim)}\n    return ['shot', r]")
        assert not isinstance(execution, Returned) or execution.value != ["shot", 0], execution
        assert os.waitpid(victim, os.WNOHANG) == (0, 0)
    finally:
        os.kill(victim, 9)
        os.waitpid(victim, 0)


@pytest.mark.parametrize(
    "expression",
    [
        "module('builtins').open('/proc/HOST/environ').read()",
        "module('builtins').open('/proc/HOST/mem', 'rb').read(1)",
        "module('builtins').open('/proc/1/cmdline').read()",
        "module('posix').listdir('/proc')",
        "module('posix').listdir('/')",
        "module('posix').readlink('/proc/self/exe')",
        "module('posix').stat('/etc/passwd').st_size",
        "module('posix').uname().nodename",
        "module('_socket').gethostname()",
        "module('posix').getcwd()",
        "module('posix').getloadavg()",
        "module('posix').memfd_create('x')",
        "module('mmap').mmap(-1, 4096) and module('posix').open('/dev/zero', 0)",
        "module('posix').setuid(0) or 'root'",
        "module('posix').unshare(0x10000000)",
        "module('resource').setrlimit(module('resource').RLIMIT_AS, (-1, -1)) or 'unlimited'",
        "module('ctypes').CDLL(None, use_errno=True).syscall(425, 8, 0) >= 0 or 1 / 0",
        "module('ctypes').CDLL(None, use_errno=True).prctl(22, 0, 0, 0, 0) >= 0 or 1 / 0",
        "module('ctypes').CDLL(None, use_errno=True).syscall(321, 0, 0, 0) >= 0 or 1 / 0",
    ],
)
def test_the_system_tells_and_grants_nothing(sandbox: Sandbox, expression: str) -> None:
    """Questions about the machine, and requests for more rights, are refused one by one."""
    question = expression.replace("HOST", str(os.getpid()))
    execution = attack(sandbox, f"{WALK}\ndef run(): return str({question})")
    assert isinstance(execution, Failed), execution
    assert execution.kind == "error"


@pytest.mark.parametrize(
    "name", ["os", "sys", "socket", "ctypes", "subprocess", "builtins", "importlib", "signal", "gc"]
)
@pytest.mark.parametrize(
    "way", ["import {0}", "__import__('{0}')", "import math\nx = math.{0}", "import re as r\nr.{0}"]
)
def test_modules_of_the_system_have_no_use(sandbox: Sandbox, name: str, way: str) -> None:
    """The look refuses the program; run all the same, it gets a module that reaches nothing, or none."""
    source = f"{way.format(name)}\ndef run(): return open('/etc/hostname').read()"
    assert sandbox.check(Program(source))
    assert isinstance(attack(sandbox, source), Failed)


def test_the_walk_works_where_it_should(jailed: ProcessSandbox) -> None:
    """The attacks on CPython do reach the modules they use: it is the kernel that stops them, not a typo."""
    source = f"{WALK}\ndef run(): return [module(n).__name__ for n in ('posix', 'ctypes', '_socket')]"
    assert value(attack(jailed, source)) == ["posix", "ctypes", "_socket"]
    refused = attack(jailed, f"{WALK}\ndef run(): return module('posix').open('/etc/passwd', 0)")
    assert isinstance(refused, Failed) and "PermissionError" in refused.reason


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp")
def test_the_attacks_work_without_the_jail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, secret_file: Path) -> None:
    """With the locks taken off, the same attacks succeed: the tests of this file would notice."""
    for name in ("_worker.py", "_program.py"):
        (tmp_path / name).write_text(Path(interpreter_module.__file__).with_name(name).read_text())
    (tmp_path / "_jail.py").write_text(
        "def address_space(): return 0\ndef syscall_filter(): return None\ndef lock_keeper(): return 0\n"
        "def probe(*all): pass\ndef lock_child(*all): pass\ndef die_with_parent(): pass\n"
    )
    monkeypatch.setattr(interpreter_module, "__file__", str(tmp_path / "interpreter.py"))
    open_door = ProcessSandbox()
    try:
        read = f"{WALK}\ndef run(): return module('builtins').open({str(secret_file)!r}).read()"
        written = tmp_path / "written"
        assert value(attack(open_door, read)) == SECRET
        attack(open_door, f"{WALK}\ndef run(): return module('builtins').open({str(written)!r}, 'w').write('x')")
        assert written.exists()
    finally:
        open_door.close()


FORGERIES = [
    b"no json at all\n",
    b"[]\n",
    b"null\n",
    b'{"ask": 3}\n',
    b'{"ask": ["leak", "x", {}]}\n',
    b'{"failed": ["deopt", "x"]}\n',
    b'{"failed": ["crash", {}]}\n',
    b'{"done": {"$money": 3}}\n',
    b'{"done": {"$datetime": "yesterday"}}\n',
    b'{"done": {"$duration": 1e308}}\n',
    b'{"done": {"$money": [[], {}]}}\n',
    b'{"done": ' + b"[" * 200_000 + b"\n",
    b'{"done": ' + b"9" * 10_000 + b"}\n",
    b"\xff\xfe\n",
    b"\n",
]


@pytest.mark.parametrize("frame", FORGERIES, ids=lambda frame: repr(frame[:40]))
def test_forged_frames_fail_their_own_run(jailed: ProcessSandbox, frame: bytes) -> None:
    """Nonsense on the channel is a failure of this run, never an exception in the host."""
    assert isinstance(attack(jailed, forging(frame)), Failed)


def test_a_forged_result_is_checked_like_any_other(jailed: ProcessSandbox) -> None:
    """A program can forge its own result, which it could return as well; tools stay within their signature."""
    told: list[object] = []
    assert value(attack(jailed, forging(b'{"done": 42}\n'))) == 42
    ask = json.dumps({"ask": ["launch", [], {}]}).encode()
    refused = attack(jailed, forging(ask + b'\n{"done": "x"}\n'), call=told.append)
    assert value(refused) == "x"
    assert told == []


def test_forged_frames_do_not_reach_another_run(jailed: ProcessSandbox) -> None:
    """Frames written to every descriptor, in numbers, change nothing of the next run."""
    flood = b'{"done": "forged"}\n' * 50
    source = (
        f"{WALK}\ndef run():\n    for fd in range(64):\n        try:\n"
        f"            module('posix').write(fd, {flood!r})\n"
        "        except BaseException:\n            pass\n    return 1"
    )
    for _ in range(3):
        attack(jailed, source)
        assert value(attack(jailed, "def run(): return 'honest'")) == "honest"


@pytest.mark.parametrize(
    "flood",
    [
        "while True:\n        print('x' * 10_000)",
        "while True:\n        slots.parse('x' * 100_000)",
        "while True:\n        module('posix').write(CHANNEL, b'x' * 65536)",
        "while True:\n        module('posix').write(CHANNEL, b'{}\\n' * 10000)",
        "return [['x' * 100_000] * 100] * 100",
    ],
)
def test_a_flood_of_output_is_dammed(sandbox: Sandbox, flood: str) -> None:
    """The host stops reading at the limit, and keeps neither the data nor the program."""
    source = f"{WALK}{CHANNEL}\nimport slots\ndef run():\n    {flood}"
    execution = attack(sandbox, source, limits=Limits(seconds=1, output_bytes=100_000))
    assert isinstance(execution, Failed), execution


@pytest.mark.parametrize(
    "crash",
    [
        "module('posix')._exit(0)",
        "module('posix').abort()",
        "module('ctypes').string_at(0)",
        "module('posix').close(CHANNEL)",
    ],
)
def test_a_crash_is_one_failure(jailed: ProcessSandbox, crash: str) -> None:
    """A process that dies without a word has failed, and the next run works."""
    assert isinstance(attack(jailed, f"{WALK}{CHANNEL}\ndef run(): {crash}"), Failed)
    assert value(attack(jailed, "def run(): return 1")) == 1


def test_the_next_program_finds_no_trace(sandbox: Sandbox) -> None:
    """What one program leaves in modules, builtins and classes, reached by every trick, the next does not see."""
    poison = (
        f"{WALK}\ndef run():\n    b = module('builtins')\n    b.len = lambda x: 666\n    b.SECRET = {SECRET!r}\n"
        "    module('json').dumps = lambda *a, **k: '{\"done\": 666}'\n    return 1"
    )
    attack(sandbox, poison)
    after = attack(sandbox, f"{WALK}\ndef run(): return [len('ab'), hasattr(loaded()['builtins'], 'SECRET')]")
    said = repr(replace(after, seconds=0.0))
    assert SECRET not in said and "666" not in said
    assert value(attack(sandbox, "def run(): return [len('ab')]")) == [2]


CHANNEL = """
import re
def channel():
    for kind in ().__class__.__base__.__subclasses__():
        if kind.__name__ == 'Child':
            for thing in module('gc').get_objects():
                if isinstance(thing, kind):
                    return thing.channel
try:
    CHANNEL = channel()
except BaseException:
    CHANNEL = 1
"""


def value(execution: Execution) -> object:
    """Return the value of a run that must have ended well."""
    assert isinstance(execution, Returned), execution
    return execution.value


def forging(frame: bytes) -> str:
    """Return a program that writes a frame to its channel, and then waits to be found out."""
    return (
        f"{WALK}{CHANNEL}\ndef run():\n    frame = {frame!r}\n    while frame:\n"
        "        frame = frame[module('posix').write(CHANNEL, frame):]\n    while True:\n        pass"
    )


def attack(
    sandbox: Sandbox, source: str, *, call: Callable[[object], None] | None = None, limits: Limits = LIMITS
) -> Execution:
    """Run a program that the look would have refused, with a tool that tells what it was told."""

    def told(asked: object) -> ToolResult:
        if call is not None:
            call(asked)
        return ToolResult("thanks")

    return sandbox.run(Program(source, tools=(LEAK,)), {}, call=told, limits=limits)
