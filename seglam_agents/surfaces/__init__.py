"""What people and programs see of a cache at work: a proxy, an MCP server, metrics. ASGI apps that mount in one.

Nothing of this is imported otherwise; each part names the extra that it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seglam_agents.surfaces.errors import SurfaceError
    from seglam_agents.surfaces.frame import Frame, Surface
    from seglam_agents.surfaces.server import Server, beside

__all__ = ["Frame", "Server", "Surface", "SurfaceError", "beside"]

_HOMES = {
    "errors": ("SurfaceError",),
    "frame": ("Frame", "Surface"),
    "server": ("Server", "beside"),
}


def __getattr__(name: str) -> object:
    # Loaded when asked for (PEP 562): who needs one surface does not need the packages of the others.
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"seglam_agents.surfaces.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
