"""`FileLock`: one holder of a folder at a time; the kernel releases the lock when the process of its holder dies."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # Windows has no flock: there nobody ever holds a lock.
    fcntl = None

CAN_LOCK: Final = fcntl is not None


class FileLock:
    """A lock on a folder, which must be there."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Take the lock if nobody has it; True when this object holds it now.

        Raises:
            OSError: the folder cannot hold a lock.
        """
        if self._descriptor is None:
            self._descriptor = _held(self._path)
        return self._descriptor is not None

    def wait(self, seconds: float, *, unless: Callable[[], bool]) -> bool:
        """Take the lock, and wait so long for it, unless there is no need any more. See `take`."""
        deadline = time.monotonic() + seconds
        while not self.take():
            if unless() or time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def release(self) -> None:
        """Release the lock. Safe to call twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def holder(self) -> str:
        """Return which process took the lock last, for messages."""
        with suppress(OSError, ValueError):
            return str(int(self._path.read_text()))
        return "unknown"


def _held(path: Path) -> int | None:
    if fcntl is None:
        return None
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    # Only there to name the holder: a full disk must not stop anybody.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor
