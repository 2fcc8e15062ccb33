"""`ATTACKS`: what hostile programs do, by class, each with how it may end.

An attack that must fail names the kinds of failure that count as contained; one that may go on names what it may bring
home. `{secret}` stands for the path of a file that holds a secret, `{port}` for a listening port of this machine, and
`{pid}` for the host's process.
"""

from __future__ import annotations

from dataclasses import dataclass

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
"""What a hostile program would write first: every module of the interpreter it runs in."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One hostile program."""

    kind: str
    name: str
    source: str
    ends: tuple[str, ...] = ("error",)
    """Kinds of failure by which it may end."""
    harmless: tuple[object, ...] = ()
    """What it may return."""


def _body(kind: str, name: str, body: str, *ends: str, harmless: tuple[object, ...] = (), before: str = "") -> Attack:
    lines = "\n".join(f"    {line}" for line in body.split("\n"))
    return Attack(kind, name, f"{WALK}\n{before}\ndef run():\n{lines}", ends or ("error",), harmless)


def _each(kind: str, expressions: dict[str, str], *ends: str, harmless: tuple[object, ...] = ()) -> list[Attack]:
    return [_body(kind, name, f"return str({code})", *ends, harmless=harmless) for name, code in expressions.items()]


FILES = _each(
    "files",
    {
        "open": "open('{secret}').read()",
        "io": "module('_io').FileIO('{secret}').read()",
        "os.open": "module('posix').read(module('posix').open('{secret}', 0), 99)",
        "openat2": "module('ctypes').CDLL(None).syscall(437, -100, b'{secret}', 0, 24) >= 0 or 1 / 0",
        "import hook": "module('importlib.machinery').SourceFileLoader('x', '{secret}').get_data('{secret}')",
        "write": "module('builtins').open('{secret}', 'a').write('x')",
        "unlink": "module('posix').unlink('{secret}')",
        "chmod": "module('posix').chmod('{secret}', 0)",
        "truncate": "module('posix').truncate('{secret}', 0)",
        "mount": "module('ctypes').CDLL(None, use_errno=True).mount(b'/', b'/tmp', b'none', 4096, 0) == 0 or 1 / 0",
    },
)
ENVIRONMENT = _each(
    "environment",
    {
        "os.environ": "[v for v in module('os').environ.values() if 's3cret' in v][0]",
        "getenv": "module('ctypes').string_at(module('ctypes').CDLL(None).getenv(b'SEGLAM_TEST_SECRET')).decode()[:99]",
        "environ block": "open('/proc/self/environ').read()",
        "parent's": "module('builtins').open('/proc/{pid}/environ').read()",
    },
    "error",
    "crash",
)
PROC = _each(
    "proc",
    {
        "maps": "module('builtins').open('/proc/self/maps').read()",
        "mem": "module('builtins').open('/proc/{pid}/mem', 'rb').read(1)",
        "cmdline": "module('builtins').open('/proc/{pid}/cmdline').read()",
        "root": "module('builtins').open('/proc/{pid}/root/etc/passwd').read()",
        "fd": "module('posix').listdir('/proc/{pid}/fd')",
        "vm_readv": "module('ctypes').CDLL(None).process_vm_readv({pid}, None, 0, None, 0, 0) >= 0 or 1 / 0",
        "ptrace": "module('ctypes').CDLL(None).ptrace(16, {pid}, 0, 0) >= 0 or 1 / 0",
    },
)
NETWORK = _each(
    "network",
    {
        "loopback": "module('_socket').socket(2, 1).connect(('127.0.0.1', {port}))",
        "udp": "module('_socket').socket(2, 2).sendto(b'x', ('127.0.0.1', {port}))",
        "unix": "module('_socket').socket(1, 1)",
        "raw": "module('_socket').socket(2, 3, 1)",
        "netlink": "module('_socket').socket(16, 3, 0)",
        "vsock": "module('_socket').socket(40, 1, 0)",
        "io_uring": "module('ctypes').CDLL(None).syscall(425, 8, 0) >= 0 or 1 / 0",
        "name": "module('_socket').gethostbyname('localhost')",
    },
)
PROCESSES = _each(
    "fork",
    {
        "fork": "module('posix').fork()",
        "vfork": "module('ctypes').CDLL(None).syscall(58) >= 0 or 1 / 0",
        "clone3": "module('ctypes').CDLL(None).syscall(435, 0, 0) >= 0 or 1 / 0",
        "x32 fork": "module('ctypes').CDLL(None).syscall(0x40000000 + 57) >= 0 or 1 / 0",
        "exec": "module('posix').execv('/bin/true', ['true'])",
        "spawn": "module('posix').posix_spawn('/bin/true', ['true'], dict())",
        "shell": "module('posix').system('true') == 0 and 'shell' or 1 / 0",
        "memfd": "module('posix').memfd_create('x')",
        "unshare": "module('posix').unshare(0x10000000)",
    },
)
THREADS = _each(
    "threads",
    {
        "_thread": "module('_thread').start_new_thread(print, ())",
        "threading": "module('threading').Thread(target=print).start()",
        "pool": "module('concurrent.futures').ThreadPoolExecutor(1).submit(print).result(1)",
        "clone": "module('ctypes').CDLL(None).syscall(56, 0x10f00, 0, 0, 0, 0) >= 0 or 1 / 0",
    },
)
SIGNALS = [
    *_each(
        "signals",
        {
            "kill host": "module('posix').kill({pid}, 9)",
            "kill all": "module('posix').kill(-1, 9)",
            "kill group": "module('posix').killpg(0, 9)",
            "tgkill": "module('ctypes').CDLL(None).syscall(234, {pid}, {pid}, 9) == 0 or 1 / 0",
            "queue": "module('_signal').pidfd_send_signal(0, 9)",
        },
    ),
    _body("signals", "ignore all", "s = module('_signal')\nfor n in (1, 2, 3, 10, 12, 14, 15, 24):\n"
          "    s.signal(n, s.SIG_IGN)\nwhile True:\n    pass", "error", "limit", "crash"),
    _body("signals", "handle the end", "s = module('_signal')\ns.signal(24, lambda *a: None)\n"
          "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass",
          "error", "limit", "crash"),
    _body("signals", "alarm", "module('_signal').setitimer(0, 0.01, 0.01)\nwhile True:\n    pass",
          "error", "limit", "crash"),
]  # fmt: skip
MEMORY = [
    _body("memory", name, body, "limit", "error", "crash")
    for name, body in {
        "text": "return len('x' * 10 ** 11)",
        "list": "x = [0]\nwhile True:\n    x = x + x",
        "dict": "d = {}\nn = 0\nwhile True:\n    d[n] = [n] * 1000\n    n += 1",
        "set of tuples": "s = set()\nn = 0\nwhile True:\n    s.add((n,) * 1000)\n    n += 1",
        "format": "return len(f'{1:>{10 ** 11}}')",
        "join": "return len(('x' * 10 ** 6).join(['y'] * 10 ** 6))",
        "replace": "x = 'a' * 10 ** 5\nreturn len(x.replace('a', x).replace('a', x))",
        "product": "import itertools\nreturn len(list(itertools.product(range(100), repeat=8)))",
        "percent": "return len('%*d' % (10 ** 10, 1))",
        "mmap": "return len(module('mmap').mmap(-1, 2 ** 40))",
        "closure chain": "f = lambda: 0\nwhile True:\n    f = (lambda g: lambda: g)(f)",
        "bytes": "return len(bytes(10 ** 11))",
    }.items()
]
OUTPUT = [
    _body("output flood", name, body, "limit", "value", "error")
    for name, body in {
        "big text": "return 'x' * 3_000_000",
        "wide list": "return [[0] * 1000] * 10_000",
        "deep list": "x = []\nfor _ in range(100_000):\n    x = [x]\nreturn x",
        "endless print": "while True:\n    print('x' * 10_000)",
        "shared list": "x = [0] * 10\nfor _ in range(12):\n    x = [x] * 10\nreturn x",
        "cycle": "d = {}\nd['d'] = d\nreturn d",
        "long reason": "raise ValueError('x' * 10_000_000)",
        "long exception name": "raise type('E' * 1_000_000, (Exception,), {{}})('x')",
        "long key": "return {{'k' * 2_000_000: 1}}",
        "surrogates": "return chr(0xD800)",
    }.items()
]
CPU = [
    _body("cpu", name, body, "limit")
    for name, body in {
        "loop": "while True:\n    pass",
        "catches all": "while True:\n    try:\n        while True:\n            pass\n"
        "    except BaseException:\n        pass",
        "sum": "return sum(i for i in range(10 ** 12))",
        "finally": "try:\n    while True:\n        pass\nfinally:\n    while True:\n        pass",
        "comparison": "x = [0] * 10_000\nwhile x == list(x):\n    pass",
        "sort key": "return sorted(range(10 ** 6), key=lambda n: sum(range(10_000)))",
        "generator of tools": "while True:\n    try:\n        leak(1)\n    except BaseException:\n        pass",
    }.items()
]
RECURSION = [
    Attack("recursion", "function", "def run(): return run()", ("limit",)),
    Attack("recursion", "mutual", "def a(): return b()\ndef b(): return a()\ndef run(): return a()", ("limit",)),
    Attack("recursion", "repr", "class A:\n    def __repr__(self): return repr(self)\ndef run(): return repr(A())",
           ("limit", "error")),
    Attack("recursion", "catches", "def run():\n    try:\n        return run()\n    except RecursionError:\n"
           "        return run()", ("limit",)),
    Attack("recursion", "lambda", "f = lambda g: g(g)\ndef run(): return f(f)", ("limit",)),
    Attack("recursion", "eq", "class A:\n    def __eq__(self, o): return self == o\ndef run(): return A() == A()",
           ("limit", "error")),
    Attack("recursion", "nested source", "def run(): return " + "(" * 5000 + "1" + ")" * 5000, ("syntax", "limit")),
    Attack("recursion", "long sum", "def run(): return " + "+".join(["1"] * 50_000),
           ("syntax", "limit", "error", "crash"), (50_000,)),
]  # fmt: skip
REGEX = [
    Attack("regex bombs", pattern, f"import re\ndef run(): return re.search({pattern!r}, {text!r}) is None",
           ("limit", "error"), (True,))
    for pattern, text in {
        "(a+)+$": "a" * 40 + "!", "(a|aa)+$": "a" * 60 + "!", "^(\\w+\\s?)*$": "a" * 60 + "!",
        "(.*a){12}$": "a" * 60 + "!", "(a+)+\\1$": "a" * 60 + "!", "(x+x+)+y": "x" * 60,
        "(?:a{60000}){60000}": "a", "((a{0,1000}){0,1000}){0,1000}b": "a" * 50,
    }.items()
]  # fmt: skip
INTEGERS = [
    _body("big integers", name, body, "limit", "value", "error", "crash", harmless=harmless)
    for name, body, harmless in (
        ("power tower", "return 9 ** 9 ** 9 ** 9", ()),
        ("returned", "return 10 ** 6000", ()),
        ("printed", "return str(7 ** 3_000_000)[:1]", ("2", "1", "3", "4", "5", "6", "7", "8", "9")),
        ("factorial", "import math\nreturn math.factorial(10 ** 7)", ()),
        ("shift", "return 1 << (1 << 60)", ()),
        ("pow", "return pow(3, 10 ** 9)", ()),
        ("parsed", "return int('9' * 10_000_000)", ()),
        ("comb", "import math\nreturn math.comb(10 ** 7, 5 * 10 ** 6)", ()),
        ("decimal", "from decimal import Decimal\nreturn str(Decimal(10) ** Decimal(10 ** 9))[:3]", ("1E+",)),
    )
]
DUNDER = [
    *_each(
        "dunder walks",
        {
            "subclasses": "().__class__.__base__.__subclasses__()[0].missing",
            "globals": "(lambda: 0).__globals__['__builtins__']['open']('{secret}').read()",
            "frame": "(lambda: 0).__code__.co_consts and module('sys')._getframe(0).f_back.f_globals['secret']",
            "traceback": "module('sys').exc_info()[2].tb_frame.f_globals['os']",
            "mro": "[].__class__.__mro__[1].__subclasses__()[0].nothing",
            "loader": "__loader__.get_data('{secret}')",
            "format": "'{{0.__class__.__init__.__globals__[secret]}}'.format(run)",
            "closure": "print.__self__.open('{secret}').read()",
            "generator": "(x for x in ()).gi_frame.f_back.f_back.f_globals['secret']",
        },
        "error",
        "syntax",
    ),
]
POISON = [
    _body("builtin poisoning", name, body, "error", "syntax", "crash", harmless=(1, 666))
    for name, body in {
        "len": "module('builtins').len = lambda x: 666\nreturn 1",
        "isinstance": "module('builtins').isinstance = lambda *a: True\nreturn 1",
        "json.dumps": "module('json').dumps = lambda *a, **k: '{{\"done\": 666}}'\nreturn 1",
        "os.write": "module('posix').write = lambda *a: 666\nmodule('os').write = lambda *a: 666\nreturn 1",
        "import": "module('builtins').__import__ = lambda *a: 1 / 0\nreturn 1",
        "exception hook": "module('sys').excepthook = print\nmodule('sys').settrace(lambda *a: None)\nreturn 1",
        "modules": "module('sys').modules.clear()\nreturn 1",
        "atexit": "module('atexit').register(print)\nreturn 1",
        "recursion limit": "module('sys').setrecursionlimit(10 ** 9)\nreturn 1",
        "float": "module('ctypes').memset(id(3.0) + 16, 0, 8)\nreturn 1",
    }.items()
]
_CHANNEL = (
    "def channel():\n    for thing in module('gc').get_objects():\n"
    "        if type(thing).__name__ == 'Child' and hasattr(thing, 'channel'):\n            return thing.channel\n"
    "    raise LookupError('no channel')\n"
)
FORGING = [
    _body("protocol forging", name, f"module('posix').write(channel(), {frame!r})\nwhile True:\n    pass",
          "error", "crash", "limit", "value", before=_CHANNEL)
    for name, frame in {
        "nonsense": b"nonsense\n", "empty": b"\n", "list": b"[]\n", "unknown": b'{{"unknown": 1}}\n',
        "ask a name that is no tool": b'{{"ask": ["os.system", ["true"], {{}}]}}\n',
        "ask with no arguments": b'{{"ask": ["leak"]}}\n', "forged crash": b'{{"failed": ["crash", "x"]}}\n',
        "deep": b'{{"done": ' + b"[" * 100_000 + b"\n", "not finite": b'{{"done": {{"$float": "x"}}}}\n',
        "not text": b"\xff\xfe\xfd\n", "money of lists": b'{{"done": {{"$money": [[], []]}}}}\n',
    }.items()
]  # fmt: skip
NEXT_RUN = [
    _body("answers that poison the next run", name, body, "error", "value", "crash", harmless=(1,))
    for name, body in {
        "global": "global secret\nsecret = 's3cret'\nreturn 1",
        "module attribute": "import math\nmath.sqrt = lambda x: 666\nreturn 1",
        "class attribute": "import collections\ncollections.Counter.most_common = lambda *a: 666\nreturn 1",
        "cache": "import functools\nfunctools.cache(lambda: 666)()\nimport re\nre.compile = lambda *a: 666\nreturn 1",
        "gc": "module('gc').disable()\nmodule('gc').set_threshold(1)\nreturn 1",
        "leaves a descriptor": "module('posix').dup(0)\nreturn 1",
        "dies": "module('posix')._exit(0)",
        "stack": "module('ctypes').string_at(0)",
    }.items()
]
ARGUMENTS = [
    Attack("absurd tool arguments", name, f"def run():\n    leak({code})\n    return 'told'",
           ("error", "limit", "value"), harmless)
    for name, code, harmless in (
        ("a function", "run", ()), ("a set", "{1}", ()), ("too many", "1, 2, 3", ()),
        ("unknown name", "other=1", ()), ("twice", "1, text=1", ()), ("huge text", "'x' * 3_000_000", ()),
        ("huge integer", "10 ** 6000", ()), ("bytes", "b'x'", ()), ("complex", "1j", ()),
        ("keys that are no text", "{1: 2}", ()), ("half a character", "chr(0xD800)", ()), ("a class", "int", ()),
        ("deep", "eval('[' * 100 + ']' * 100)", ()),
    )
]  # fmt: skip
UNDECLARED = [
    Attack("undeclared tools", name, f"def run(): return {code}")
    for name, code in {
        "a name": "launch()",
        "in a module": "slots.launch()",
        "dotted": "slots.parse.launch()",
        "by text": "getattr(leak, 'launch')()",
        "of the host": "HostSide.ask('launch', [], {})",
        "private": "_call('launch')",
    }.items()
]
UNICODE = [
    Attack("unicode in names", "look-alike tool", "def run(): return lеak('x')"),
    Attack("unicode in names", "full-width", "def run(): return ｌａｕｎｃｈ('x')"),
    Attack("unicode in names", "full-width dunder", "def run(): return ().＿＿class＿＿.nothing", ("error", "syntax")),
    Attack("unicode in names", "zero width", "def run(): return le\u200bak('x')", ("syntax", "error")),
    Attack("unicode in names", "right to left", "def run():\n    # \u202e\n    return la\u202eunch()",
           ("syntax", "error")),
    Attack("unicode in names", "null", "def run(): return 1\0", ("syntax",)),
    Attack("unicode in names", "surrogate", "def run(): return '\ud800'", ("syntax", "value", "error")),
]  # fmt: skip
MODULE_LEVEL = [
    Attack("module-level effects", "endless", "while True: pass\ndef run(): return 1", ("limit",)),
    Attack("module-level effects", "memory", "x = 'x' * 10 ** 11\ndef run(): return 1", ("limit",)),
    Attack("module-level effects", "undeclared", "launch()\ndef run(): return 1"),
    Attack("module-level effects", "gives up", "deopt('before')\ndef run(): return 1", ("deopt",)),
    Attack("module-level effects", "exits", "raise SystemExit(0)\ndef run(): return 1"),
    Attack("module-level effects", "hides run", "def run(): return 1\nrun = None"),
    Attack("module-level effects", "reads", "x = open('{secret}').read()\ndef run(): return x"),
    Attack("module-level effects", "decorates", "@lambda f: launch\ndef run(): return 1"),
]
CLOCK = [
    *_each(
        "clock leaks",
        {
            "now": "__import__('datetime').datetime.now()",
            "today": "__import__('datetime').date.today()",
            "utcnow": "__import__('datetime').datetime.utcnow()",
            "time": "__import__('time').time()",
            "random": "__import__('random').random()",
            "uuid": "__import__('uuid').uuid4()",
            "urandom": "__import__('os').urandom(4)",
            "file time": "module('posix').stat('/').st_mtime",
        },
        "error",
        "syntax",
    ),
]
GIVING_UP = [
    _body("giving up", "catches the end", "try:\n    deopt('x')\nexcept BaseException:\n    pass\n"
          "finally:\n    leak('after')\nreturn 2", "deopt"),
    _body("giving up", "no text", "deopt([1] * 1_000_000)", "deopt", "limit", "error", "value"),
    _body("giving up", "long reason", "deopt('x' * 900_000)", "deopt", "limit"),
]  # fmt: skip

_IMPORTS = "import os, sys, time, random, asyncio\nfrom pathlib import Path\n"
"""What Monty has and `process` has not: no body may import it, and whoever runs one unlooked finds nothing in it."""
OWN = [
    Attack(
        "own modules",
        name,
        f"{_IMPORTS}def run():\n    return str({code})",
        ("error", "syntax", "deopt"),
        tuple(harmless),
    )
    for name, code, *harmless in (
        ("environment", "dict(os.environ)"),
        ("variable", "os.getenv('SEGLAM_TEST_SECRET')"),
        ("folder", "os.listdir('/')"),
        ("where", "os.getcwd()", "/"),
        ("program", "os.system('id')"),
        ("remove", "os.remove('{secret}')"),
        ("path read", "Path('{secret}').read_text()"),
        ("path up", "Path('/../..{secret}').read_text()"),
        ("path write", "Path('{secret}').write_text('x')"),
        ("path exists", "Path('{secret}').exists()"),
        ("path folder", "list(Path('/').iterdir())"),
        ("path unlink", "Path('{secret}').unlink()"),
        ("path rename", "Path('{secret}').rename('/tmp/x')"),
        ("here", "Path.cwd()", "/"),
        ("open to write", "open('{secret}', 'w').write('x')"),
        ("open a number", "open(0).read()"),
        ("clock", "time.time()"),
        ("monotonic clock", "time.monotonic()"),
        ("randomness", "random.random()"),
        ("asyncio", "asyncio.run(asyncio.sleep(0))", "None"),
        ("modules", "sys.modules"),
        ("arguments", "sys.argv", "['main.py']"),
        ("standard output", "sys.stdout.write('x')"),
        ("eval", "eval('1 + 1')", "2"),
        ("eval of a file", "eval('open(\"{secret}\").read()')"),
        ("exec", "exec('import socket')"),
        ("the host's answers", "_ask_('nobody', ('x',), {{}})"),
        ("the host's answers for deopt", "_ask_('deopt', ('x',), {{}})"),
    )
]
ATTACKS: tuple[Attack, ...] = (
    *FILES, *ENVIRONMENT, *PROC, *NETWORK, *PROCESSES, *THREADS, *SIGNALS, *MEMORY, *OUTPUT, *CPU, *RECURSION, *REGEX,
    *INTEGERS, *DUNDER, *POISON, *FORGING, *NEXT_RUN, *ARGUMENTS, *UNDECLARED, *UNICODE, *MODULE_LEVEL, *CLOCK,
    *GIVING_UP, *OWN,
)  # fmt: skip
