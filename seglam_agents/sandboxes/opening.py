"""`open_sandbox`: from what a person writes to a sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from seglam_agents.records.errors import SandboxError
from seglam_agents.sandboxes.base import Sandbox
from seglam_agents.sandboxes.choice import SandboxChoice
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.sandboxes.process import ProcessSandbox

NAMES: Final = ("monty", "process", "e2b")


def open_sandbox(names: str, packages: Sequence[str] = (), *, api_key: str | None = None) -> Sandbox:
    """Return the sandbox of that name; several names, with commas, are a choice, the default first.

    Args:
        names: such as "process", or "monty,process".
        packages: third-party packages that bodies may import, where CPython runs.
        api_key: the key of the E2B account.

    Raises:
        SandboxError: there is no such sandbox, or it lacks what it needs.
    """
    wanted = [name.strip().lower() for name in names.split(",")]
    if unknown := [name for name in wanted if name not in NAMES]:
        raise SandboxError(f"there is no sandbox {unknown[0]!r}: name {', '.join(NAMES)}, or several with commas")
    if len(set(wanted)) < len(wanted):
        raise SandboxError(f"{names!r} names a sandbox twice")
    if packages and wanted == ["monty"]:
        raise SandboxError("Monty imports no packages: name process or e2b as well, such as monty,process")
    default, *others = [_opened(name, packages, api_key) for name in wanted]
    return SandboxChoice(default, *others) if others else default


def _opened(name: str, packages: Sequence[str], api_key: str | None) -> Sandbox:
    if name == "monty":
        return MontySandbox()
    if name == "process":
        sandbox = ProcessSandbox(packages=packages)
        # Whoever names it is told at once where this machine, or a package, will not do.
        sandbox.start()
        return sandbox
    # Imported when asked for: its client is an optional dependency.
    from seglam_agents.sandboxes.e2b import E2BSandbox

    return E2BSandbox(api_key=api_key, packages=packages)
