"""The prompts, as text files, and what is filled into them."""

from __future__ import annotations

import json
from importlib.resources import files

from seglam_agents.records.record import Json

# Read at once: a host that has run out of files later is still answered by its model.
_PROMPTS = {
    file.name.removesuffix(".md"): file.read_text(encoding="utf-8").rstrip("\n")
    for file in files("seglam_agents.compilers.prompts").iterdir()
    if file.name.endswith(".md")
}


def prompt(name: str) -> str:
    """Return a prompt by name, without its ending newline."""
    return _PROMPTS[name]


def quoted(value: Json) -> str:
    """Write data as JSON on one line, whatever a reader takes for the end of a line."""
    return json.dumps(value, ensure_ascii=False).translate(_LINE_ENDS)


_LINE_ENDS = {code: f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}
