"""What the surfaces raise."""

from __future__ import annotations

from seglam_agents import SeglamError


class SurfaceError(SeglamError):
    """A surface cannot be opened as it was asked for; the message says what to do instead."""


def missing(extra: str) -> SurfaceError:
    """Return what is said where the packages of an extra are not installed."""
    return SurfaceError(f"this needs the extra {extra!r}: pip install 'seglam-agents[{extra}]'")
