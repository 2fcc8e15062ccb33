"""`Domain`: one database of the world, with its tools."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Protocol, Self

from seglam_agents.cache import HostTool
from seglam_agents.records.record import Json


class Domain(Protocol):
    """One database with the tools that read and change it."""

    NAME: ClassVar[str]
    """What the tools' names begin with."""
    FILE: ClassVar[str]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the database from its file."""
        ...

    def copy(self) -> Self:
        """Return a database that can change without changing this one."""
        ...

    def snapshot(self) -> Json:
        """Return the state by which success is judged."""
        ...

    def tools(self) -> list[HostTool]:
        """Return the tools, bound to this database."""
        ...

    def vocabulary(self) -> dict[str, tuple[str, ...]]:
        """Return, per search argument, the values of the database that a request may name."""
        ...
