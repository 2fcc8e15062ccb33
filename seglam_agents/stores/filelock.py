"""`FileLock`: one process in a folder at a time; the kernel releases the lock when that process dies."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from seglam_agents.records.errors import StoreError

try:
    import fcntl
except ImportError:  # Windows has no flock; there the shard's own write-ahead log refuses a second process.
    fcntl = None


class FileLock:
    """An exclusive lock on a folder.

    Raises:
        StoreError: the folder cannot be created, or somebody holds the lock.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor: int | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"the folder {str(folder)!r} cannot hold a store: {error}. Choose another path."
            ) from error
        try:
            _hold(descriptor, folder)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock. Safe to call twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _hold(descriptor: int, folder: Path) -> None:
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
            raise StoreError(
                f"the store {str(folder)!r} is already open in process {holder} (this one is {os.getpid()}), and an "
                "embedded store serves one process. Close it there, choose another path, or run a Qdrant server and "
                "open the store by its URL: several processes can share that."
            ) from error
        except OSError as error:
            raise StoreError(
                f"the folder {str(folder)!r} cannot be locked: {error}. Choose a path on a local disk."
            ) from error
    # Only there to name the holder: a full disk must not stop a store from being read.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
