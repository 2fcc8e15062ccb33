"""Writes procedures into an embedded store until it is killed, and prints each one that the store acknowledged.

Arguments: the folder, what the ids begin with, and at which executed line of the store's modules to kill itself (0:
never). Counting lines instead of waiting makes the moment of death the same on every machine.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from types import FrameType
from typing import Any

from seglam_agents.stores import edge, migration, shard, sqlite, tables
from seglam_agents.stores.base import Put
from seglam_agents.stores.edge import EdgeStore
from seglam_agents.testing.store_contract import SCOPE, entry

ROUNDS = 25
"""After so many it waits for its end: whoever kills it reads everything that it wrote."""
MODULES = {module.__file__ for module in (edge, migration, shard, sqlite, tables)}


def main(path: str, prefix: str, die_at: int) -> None:
    """Write until killed."""
    print("starting", flush=True)
    if die_at:
        sys.settrace(_killer(die_at))
    store = EdgeStore(path)
    for number in range(ROUNDS):
        name = f"{prefix}{number}"
        first = store.put(entry(name), expected_revision=0, vector=[1.0, number])
        print(name, 1, first.revision, flush=True)
        second = store.put(entry(name, version=2), expected_revision=first.revision)
        print(name, 2, second.revision, flush=True)
        store.search(SCOPE, [1.0, number])
        batch = [Put(entry(f"{name}-{n}"), 0, [1.0, number]) for n in range(3)]
        for written in store.put_many(batch):
            print(written.procedure.id, 1, written.revision, flush=True)
    signal.pause()


def _killer(die_at: int) -> Any:
    lines = count(1)

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in MODULES:
            return None
        if event == "line" and next(lines) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
