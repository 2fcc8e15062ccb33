"""Slot types: what a template's `{total:money}` may stand for, read, write and make up.

`slot("money")` returns one; `slot_types()` lists them; `exports()` is what a sandboxed procedure may import.
"""

from seglam_agents.guards.slots.base import Slot
from seglam_agents.guards.slots.exports import exports
from seglam_agents.guards.slots.registry import slot, slot_types

__all__ = ["Slot", "exports", "slot", "slot_types"]
