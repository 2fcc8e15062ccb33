"""What a measurement was made with."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console

from seglam_agents.testing.processes import descendants

PACKAGES = ("seglam-agents", "pydantic-monty", "google-re2", "qdrant-edge-py", "pydantic")


def versions(*more: str) -> dict[str, str]:
    """Return the versions of everything that decides an answer or its speed, and of more packages."""
    packages = {name: _version(name) for name in (*PACKAGES, *more)}
    return {
        **packages,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": str(os.cpu_count()),
    }


def versions_line(made_with: Mapping[str, str]) -> str:
    """Return the versions in one line."""
    return ", ".join(f"{name} {number}" for name, number in made_with.items())


def resident_megabytes() -> float:
    """Return the memory of this process now, without its workers (its peak where the system does not say)."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def cpu_seconds() -> float:
    """Return the CPU time of this process and its children, those that still run among them (where Linux tells)."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(map(_ticks, descendants(os.getpid())))


def terminal() -> Console:
    """Return where reports are printed; a file or a pipe has no width, and there tables take what they need."""
    console = Console()
    return console if console.is_terminal else Console(width=220)


def _ticks(process: int) -> float:
    try:
        # After the name in parentheses, which may hold spaces: user and system time are the 12th and 13th field.
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0  # It has just ended.
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
