"""What a procedure says of itself that can be read from its body, so that no model has to say it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from seglam_agents.records.procedure import Signature

_NOISE = 6
"""Decimals from which on a body only takes the noise off a division."""


def declared(body: str) -> Signature:
    """Return the signature of a body: how it rounds, which a request may have left unsaid."""
    return Signature(rounding=" or ".join(dict.fromkeys(_roundings(ast.parse(body)))))


def _roundings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="round"), args=[_]):
                yield "rounded to a whole number"
            case ast.Call(func=ast.Name(id="round"), args=[_, ast.Constant(value=int() as places)]) if places < _NOISE:
                yield f"rounded to {places} decimals" if places > 0 else "rounded to a whole number"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="math"), attr="ceil")):
                yield "rounded up"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="math"), attr="floor")):
                yield "rounded down"
            case _:
                pass
