"""What is sent to a remote machine: the text that runs a program there, and the task of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from seglam_agents.records.errors import SandboxError
from seglam_agents.records.record import Json
from seglam_agents.records.values import Value, encode
from seglam_agents.sandboxes.base import HostModule, Limits, Program

MARK: Final = "\x1eseglam\x1e"
"""Printed around the reply of a run, and around the word of the machine on its locks."""
LOCKED: Final = "locked"
"""The word of a machine on which no program can write into what others read."""
_SETUP: Final = """\
import ctypes, os, subprocess, sys, tempfile

try:
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
except Exception:
    pass
_seglam_path = os.path.join(tempfile.mkdtemp(), "seglam_program.py")
with open(_seglam_path, "w", encoding="utf-8") as _seglam_file:
    _seglam_file.write({source!r})
_seglam_process = subprocess.Popen(
    [sys.executable, "-s", "-B", "-X", "utf8", _seglam_path],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    env={{"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "HOME": os.environ.get("HOME", "/")}},
)

print({mark!r} + _seglam_process.stdout.readline().decode("utf-8", "replace").strip() + {mark!r})

def seglam_run(task, limit):
    _seglam_process.stdin.write(task.encode() + b"\\n")
    _seglam_process.stdin.flush()
    print({mark!r} + _seglam_process.stdout.readline(limit).decode("utf-8", "replace") + {mark!r})
"""


def setup_code() -> str:
    """Return the text that makes a remote interpreter ready for runs."""
    folder = Path(__file__).parent
    texts = [(folder / name).read_text(encoding="utf-8") for name in ("_program.py", "_jail.py", "_remote.py")]
    # Only the first statement of a file may be of this kind.
    whole = "\n\n".join([texts[0], *(text.replace("from __future__ import annotations\n", "") for text in texts[1:])])
    return _SETUP.format(source=whole, mark=MARK)


def names_of(packages: Sequence[str]) -> tuple[str, ...]:
    """Return the names of packages; one text is no list of them, though Python would read its letters.

    Raises:
        SandboxError: for one text.
    """
    if isinstance(packages, str):
        raise SandboxError(f'packages is a list of names: write packages=["{packages}"]')
    return tuple(packages)


def task_of(
    program: Program,
    arguments: Mapping[str, Value],
    modules: Mapping[str, HostModule],
    packages: Sequence[str],
    limits: Limits,
    now: datetime | None,
) -> dict[str, Json]:
    """Return what a process that runs one program is told."""
    return {
        "source": program.source,
        "entry": program.entry,
        "arguments": encode(arguments),
        "tools": [tool.name for tool in program.tools],
        "modules": {name: list(module.functions) for name, module in modules.items()},
        "packages": list(packages),
        "now": now.isoformat() if now else None,
        "seconds": limits.seconds,
        "memory_bytes": limits.memory_bytes,
        "recursion_depth": limits.recursion_depth,
        "output_bytes": limits.output_bytes,
    }
