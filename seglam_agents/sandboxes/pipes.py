"""`spared`: a worker that is gone is a failed run, also for a host that takes SIGPIPE as it comes."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

_BROKEN: Final = getattr(signal, "SIGPIPE", None)


@contextmanager
def spared() -> Generator[None]:
    """Have a write to a broken pipe fail within this block, and not end the process.

    Python ignores the signal; a host that has restored the system's own answer would end with its worker. Only this
    thread is spared, and only here: what the host's tools start must not inherit it.
    """
    if _BROKEN is None or signal.getsignal(_BROKEN) is not signal.SIG_DFL or not hasattr(signal, "sigtimedwait"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {_BROKEN})
    try:
        yield
    finally:
        if _BROKEN not in before:
            # The signal of our own write waits for us: taken here, it is gone when the mask is.
            signal.sigtimedwait({_BROKEN}, 0)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
