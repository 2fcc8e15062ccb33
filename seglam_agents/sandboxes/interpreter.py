"""`start_script`: starts a script of ours in a Python of its own; `process_times`: what the kernel says of a process.

Both are for the processes behind the sandboxes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from seglam_agents.records.errors import SandboxError

NO_SIGNAL: Final = getattr(socket, "MSG_NOSIGNAL", 0)
"""For what is sent to a process that may be gone: a host that takes SIGPIPE as it comes would end with it."""
_NAMES: Final = ("python", "pypy")


def start_script(
    name: str, channel: socket.socket, *, options: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a script of this folder with a socket as its standard input, and nothing else of this process.

    Raises:
        SandboxError: it cannot be started.
    """
    # Where a server or an application holds the interpreter, `sys.executable` is that program: not to be started twice.
    if getattr(sys, "frozen", False) or not Path(sys.executable or "").name.lower().startswith(_NAMES):
        raise SandboxError(f"no Python can be started from here: sys.executable is {sys.executable!r}")
    command = [sys.executable, "-S", "-s", "-P", "-B", *options, str(Path(__file__).with_name(name))]
    try:
        return subprocess.Popen(  # noqa: S603  # our own script
            command,
            stdin=channel.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(environment or {}),
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise SandboxError(f"a Python process cannot be started: {error}") from error


def process_times(process: int) -> tuple[float, int]:
    """Return how many seconds a process has computed, and when it started, in the kernel's own count.

    Raises:
        OSError: there is no such process, or no `/proc`.
    """
    # After the name of the program, which may hold anything: times in user and system mode, 12th and 13th.
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(fields[19])


def process_state(process: int) -> str:
    """Return the letter by which the kernel tells what a process does: `T` for one that was stopped.

    Raises:
        OSError: there is no such process, or no `/proc`.
    """
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
