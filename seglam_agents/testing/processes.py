"""`children` and `descendants`: which processes a process has started, for tests and measurements on Linux."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def children(process: int) -> list[int]:
    """Return the processes whose parent is this one; none where there is no `/proc`.

    Every process is asked for its parent: the list that a kernel may keep at a parent is missing in many containers.
    """
    return _children(process, _parents())


def descendants(process: int) -> list[int]:
    """Return the processes under this one, its grandchildren included."""
    return _under(process, _parents())


def _under(process: int, parents: Mapping[int, int]) -> list[int]:
    return [found for child in _children(process, parents) for found in (child, *_under(child, parents))]


def _children(process: int, parents: Mapping[int, int]) -> list[int]:
    return [child for child, parent in parents.items() if parent == process]


def _parents() -> dict[int, int]:
    found: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # After the name in parentheses, which may hold spaces, come the state and the parent.
            found[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # It has just ended.
    return found
