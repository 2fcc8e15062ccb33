"""The company directory: who works here, and under which address."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from benchmarks.errors import UsageError
from benchmarks.workbench.declaring import declare, text
from seglam_agents.cache import HostTool
from seglam_agents.records.record import Json

FIND = declare(
    "company_directory_find_email_address",
    "Finds the email addresses of the employees with this name, as a list.",
    {"name": text("First or last name of the employee.")},
    required=["name"],
)


class Directory:
    """The addresses of the company; nothing changes them."""

    NAME: ClassVar[str] = "company_directory"
    FILE: ClassVar[str] = "email_addresses.csv"

    def __init__(self, addresses: Iterable[str] = ()) -> None:
        self.addresses = tuple(addresses)

    @classmethod
    def read(cls, path: Path) -> Directory:
        """Read one address a line; a line without an `@` is a header."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {path}: {error}") from error
        return cls(line.strip() for line in lines if "@" in line)

    def copy(self) -> Directory:
        """Return the directory itself: it never changes."""
        return self

    def snapshot(self) -> Json:
        """Return the addresses."""
        return list(self.addresses)

    def tools(self) -> list[HostTool]:
        """Return the one tool."""
        return [HostTool(FIND, self.find_email_address)]

    def vocabulary(self) -> dict[str, tuple[str, ...]]:
        """Return the first names, which requests mention."""
        return {"name": tuple(dict.fromkeys(address.split("@")[0].split(".")[0] for address in self.addresses))}

    def find_email_address(self, name: str = "") -> list[str] | str:
        """Return the addresses that contain a name."""
        if not name:
            return "Name not provided."
        found = [address for address in self.addresses if name.lower() in address]
        return found or "No employee found with that name."
