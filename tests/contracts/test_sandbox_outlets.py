"""What a body may put on its host: everything that leaves a sandbox is measured before the host reads it."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from seglam_agents.records.errors import SandboxError
from seglam_agents.sandboxes.base import Failed, Limits, Program, Returned, Sandbox
from seglam_agents.sandboxes.conversation import BrokenError, read_frame
from seglam_agents.sandboxes.dialect import CPYTHON, look
from seglam_agents.sandboxes.process import ProcessSandbox, Unavailable, second_sandbox

PATIENT = Limits(seconds=30)
"""What ends a run here is never a machine that is busy."""
SHARED = "x = ['a'] * 2\n    for _ in range(22):\n        x = [x, x]\n    deopt(x)"
"""Kilobytes in memory, and 80 MB of text on paper."""


@pytest.fixture(params=["monty", "process"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    return request.getfixturevalue(request.param)


def ended(sandbox: Sandbox, body: str) -> Failed:
    """Return how a run ends; the next one has to work."""
    execution = sandbox.run(Program(f"def run():\n    {body}\n", "run"), {}, limits=PATIENT)
    after = sandbox.run(Program("def run():\n    return 1\n", "run"), {}, limits=PATIENT)
    assert isinstance(after, Returned) and after.value == 1
    assert isinstance(execution, Failed)
    return execution


class TestOutlets:
    """Whatever a body gives, its run ends as one of its kinds, with a reason that a person can read."""

    def test_a_reason_is_measured_before_it_is_written_down(self, monty: Sandbox) -> None:
        """A reason whose parts are shared costs its host nothing; `process` writes its own down, within its limits."""
        failed = ended(monty, SHARED)
        assert (failed.kind, len(failed.reason) < 200) == ("deopt", True)
        assert "cannot be told" in failed.reason

    @pytest.mark.parametrize("reason", ["10 ** 5000", "{1, 2}", "[1, 'two']", "None", "{'$date': 1}"])
    def test_any_reason_ends_the_run(self, sandbox: Sandbox, reason: str) -> None:
        """A reason that is no text is no error of the sandbox."""
        assert ended(sandbox, f"deopt({reason})").kind in ("deopt", "error", "value")

    def test_many_small_values_are_a_limit(self, sandbox: Sandbox) -> None:
        """A value costs its host more than its letters: there is a limit of how many, the same everywhere."""
        failed = ended(sandbox, "return [[] for _ in range(120_000)]")
        assert failed.kind == "limit" and "100,000 values" in failed.reason

    def test_a_frame_is_counted_before_it_is_read(self) -> None:
        """Commas and brackets in texts are none."""
        with pytest.raises(BrokenError, match="100,000 values"):
            read_frame(b"[" + b"[]," * 150_000 + b"1]")
        assert read_frame(b'["' + b",[" * 300_000 + b'"]') == [",[" * 300_000]


class TestLook:
    """What the look refuses for CPython: what modules of the standard library do not offer, and what is made up."""

    @pytest.mark.parametrize(
        "source",
        [
            "import collections\ndef run():\n    return collections._sys.modules",
            "import statistics\ndef run():\n    return statistics.random.random()",
            "from dataclasses import sys\ndef run():\n    return sys.version",
            "import json\ndef run():\n    return json.codecs.builtins.eval('1')",
            "import statistics\nother = statistics\ndef run():\n    return other.random.random()",
            "import statistics\ndef run():\n    return getattr(statistics, 'random').random()",
            "import operator\ndef run():\n    return operator.attrgetter('_' + '_class_' + '_')(1)",
            "import string\ndef run():\n    return string.Formatter().get_field('0.a', (1,), {})",
            "from typing import get_type_hints\ndef run():\n    return get_type_hints(run)",
            "from typing import ForwardRef\ndef run():\n    return ForwardRef('1')",
            "def run():\n    match 1:\n        case object(__class__=c):\n            return c",
            "from datetime import date\ndef run():\n    match date:\n        case object(today=t): return t()",
            "from functools import reduce\ndef run():\n    return reduce(getattr, ['_' + '_class_' + '_'], 1)",
            "def run():\n    g = getattr\n    return g(1, '_' + '_class_' + '_')",
            "def run():\n    return [getattr][0](1, '_' + '_class_' + '_')",
            "def run():\n    return type(1).mro()",
            "def g():\n    yield 1\ndef run():\n    return g().gi_frame.f_globals",
            "from statistics import NormalDist\ndef run():\n    return NormalDist(0, 1).samples(1)",
        ],
    )
    def test_ways_around_are_refused(self, source: str) -> None:
        """None of them is a jail: the words say what a program is not for, and admission refuses it."""
        assert look(Program(source, "run"), (), CPYTHON)

    @pytest.mark.parametrize(
        "line",
        [
            "np.lib._npyio_impl.os.getcwd()",
            "np.lib.format.open_memmap('f')",
            "np._core",
            "np.ctypeslib.load_library('c', '/')",
            "np.f2py",
            "np.testing.measure('1')",
            "np.load('f')",
            "np.fromfile('f')",
            "np.array([1]).tofile('f')",
            "np.array([1]).ctypes",
            "np.memmap('f')",
            "np.savetxt('f', [1])",
            "pd.read_csv('f')",
            "pd.eval('1')",
            "pd.io.common.os",
            "pd.DataFrame().query('@pd.io')",
            "pd.DataFrame().eval('1')",
            "pd.DataFrame().to_csv('f')",
            "pd.DataFrame().to_json(path_or_buf='f')",
            "pd.DataFrame().to_pickle('f')",
            "getattr(np, '_core')",
            "getattr(np, 'os')",
            "table._mgr",
        ],
    )
    def test_what_packages_have_inside_is_refused(self, line: str) -> None:
        """Neither their own parts, nor modules that they have imported, nor files, nor code in texts."""
        source = f"import numpy as np\nimport pandas as pd\ndef run(table=1):\n    return {line}"
        assert look(Program(source, "run"), ("numpy", "pandas"), CPYTHON)

    @pytest.mark.parametrize(
        "source",
        [
            "from numpy.lib import format\ndef run(): return 1",
            "from numpy import ctypeslib\ndef run(): return 1",
            "import numpy.f2py\ndef run(): return 1",
            "from numpy._core import multiarray\ndef run(): return 1",
            "from pandas import read_pickle\ndef run(): return 1",
        ],
    )
    def test_parts_of_packages_are_not_imported(self, source: str) -> None:
        """What is no way in by an attribute is none by an import."""
        assert look(Program(source, "run"), ("numpy", "pandas"), CPYTHON)

    @pytest.mark.parametrize(
        "line",
        [
            "np.linalg.norm(np.array([3, 4])) + np.select([True], [1])",
            "pd.DataFrame({'a': [1, 2]}).groupby('a').sum().to_csv(index=False)",
            "pd.DataFrame([[1]]).to_dict(orient='records')",
            "pd.to_datetime('2024-01-01').strftime('%d')",
            "np.percentile([1, 2], 50).item() + np.random.default_rng(1).random()",
            "table[table.a > 1].code.site.platform",
            "json.loads('1') + json.dumps(1).count('1')",
        ],
    )
    def test_what_packages_offer_is_not(self, line: str) -> None:
        """Ordinary use of numpy and pandas, and columns with any name but those of the machine's modules."""
        source = f"import json\nimport numpy as np\nimport pandas as pd\ndef run(table=1):\n    return {line}"
        assert look(Program(source, "run"), ("numpy", "pandas"), CPYTHON) == []

    def test_names_of_ones_own_may_begin_with_a_line(self) -> None:
        """A class has fields of its own, and a named tuple what Python gives it."""
        source = (
            "from collections import namedtuple\nP = namedtuple('P', 'x')\nclass A:\n    def __init__(self):\n"
            "        self._x = 1\n    def _y(self):\n        return self._x\n"
            "def run():\n    return A()._y() + P(1)._replace(x=2)._asdict()['x']"
        )
        assert look(Program(source, "run"), (), CPYTHON) == []

    @pytest.mark.parametrize(
        "source",
        [
            "import statistics\ndef run():\n    return statistics.median([1, 2])",
            "import collections.abc\nfrom collections.abc import Mapping\ndef run():\n"
            "    return isinstance({}, Mapping) and isinstance({}, collections.abc.Mapping)",
            "import calendar\ndef run():\n    return calendar.monthrange(2024, 2)[1] + calendar.MONDAY",
            "from datetime import UTC\nimport datetime as d\ndef run():\n    return str(d.time(1, tzinfo=UTC))",
            "import json\ndef run():\n    try:\n        return json.loads('x')\n"
            "    except json.JSONDecodeError:\n        return 1",
            "from enum import Enum\nclass A(Enum):\n    X = 1\ndef run():\n    return A.X.value",
            "import re\ndef run():\n    return bool(re.match('a', 'A', re.I))",
            "import decimal\ndef run():\n    return str(decimal.Decimal('1.5').quantize(decimal.Decimal('1')))",
        ],
    )
    def test_what_modules_offer_is_not(self, source: str) -> None:
        """Ordinary use of the standard library is none of the look's business."""
        assert look(Program(source, "run"), (), CPYTHON) == []


class TestScarceHost:
    """A host that has run out of something gets an error of its own kind, and nothing is left behind."""

    def test_without_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The worker that was started goes with the sandbox, though its thread never came."""
        sandbox = second_sandbox()
        if isinstance(sandbox, Unavailable):
            pytest.skip(sandbox.reason)
        before = children()
        program = Program("def run():\n    return 7\n", "run")
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", _no_thread)
            with pytest.raises(SandboxError, match="a thread"):
                sandbox.run(program, {})
        sandbox.close()
        assert children() <= before
        again = sandbox.run(program, {}, limits=PATIENT)
        sandbox.close()
        assert isinstance(again, Returned) and again.value == 7

    def test_without_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No socket can be opened: a clear error, and the next try works."""
        sandbox = ProcessSandbox()
        program = Program("def run():\n    return 7\n", "run")
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socketpair", _no_files)
            with pytest.raises(SandboxError, match="Too many open files"):
                sandbox.run(program, {})
        sandbox.close()


def children() -> set[str]:
    """Return the processes that this one has started and not yet collected."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {number for task in tasks for number in task.read_text().split()}


def _no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def _no_files(*_: object, **__: object) -> None:
    raise OSError(24, "Too many open files")
