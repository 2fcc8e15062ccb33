"""`World`: all databases together. What a task changes, and what its success is judged by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.errors import UsageError
from benchmarks.workbench.analytics import Analytics
from benchmarks.workbench.calendar import Calendar
from benchmarks.workbench.clock import NOW
from benchmarks.workbench.customers import Customers
from benchmarks.workbench.directory import Directory
from benchmarks.workbench.domain import Domain
from benchmarks.workbench.email import Email
from benchmarks.workbench.projects import Projects
from seglam_agents.cache import HostTool
from seglam_agents.records.record import Json
from seglam_agents.records.values import encode

__all__ = ["DOMAINS", "NOW", "World", "same_state"]

DOMAINS: tuple[type[Domain], ...] = (Directory, Email, Calendar, Analytics, Projects, Customers)


class World:
    """The databases that are at hand, with the tools on them."""

    def __init__(self, domains: Iterable[Domain]) -> None:
        self.domains = {domain.NAME: domain for domain in domains}
        self._functions = {item.tool.name: item for item in self.tools()}

    @classmethod
    def load(cls, folder: Path) -> World:
        """Read the databases that a folder holds.

        Raises:
            UsageError: the folder holds none, or one of them cannot be read.
        """
        found = [domain.read(folder / domain.FILE) for domain in DOMAINS if (folder / domain.FILE).is_file()]
        if not found:
            raise UsageError(f"{folder} holds no database of WorkBench, such as {Calendar.FILE}")
        return cls(found)

    @classmethod
    def empty(cls) -> World:
        """Return a world of all domains without a row: its tools are declared as in any other."""
        return cls([Directory(), Email(), Calendar(), Analytics(), Projects(), Customers()])

    def copy(self) -> World:
        """Return a world that can change without changing this one; the rows are shared."""
        return World(domain.copy() for domain in self.domains.values())

    def snapshot(self) -> dict[str, Json]:
        """Return the state of each database."""
        return {name: domain.snapshot() for name, domain in self.domains.items()}

    def tools(self) -> list[HostTool]:
        """Return the tools of all databases, bound to this world."""
        return [tool for domain in self.domains.values() for tool in domain.tools()]

    def call(self, tool: str, arguments: Mapping[str, Json]) -> Json:
        """Call a tool, and return the JSON form of its result.

        Raises:
            LookupError: this world has no such tool.
        """
        if tool not in self._functions:
            raise LookupError(f"no tool {tool!r}: its database is not at hand, or there is none")
        return encode(self._functions[tool].function(**arguments))


def same_state(a: World, b: World) -> bool:
    """Say whether two worlds ended up alike: same rows and plots, whatever the order they were made in."""
    return a.snapshot() == b.snapshot()
