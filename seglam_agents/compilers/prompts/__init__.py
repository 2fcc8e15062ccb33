"""The prompts, as text files, and what is filled into them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def prompt(name: str) -> str:
    """Return a prompt by name, without its ending newline."""
    return files("seglam_agents.compilers.prompts").joinpath(f"{name}.md").read_text(encoding="utf-8").rstrip("\n")
