"""The prompts, as text files, and what is filled into them."""

from __future__ import annotations

from importlib.resources import files

# Read at once: a host that has run out of files later is still answered by its model.
_PROMPTS = {
    file.name.removesuffix(".md"): file.read_text(encoding="utf-8").rstrip("\n")
    for file in files("seglam_agents.compilers.prompts").iterdir()
    if file.name.endswith(".md")
}


def prompt(name: str) -> str:
    """Return a prompt by name, without its ending newline."""
    return _PROMPTS[name]
