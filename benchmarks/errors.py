"""`UsageError`: arguments or files that a benchmark cannot work with."""

from __future__ import annotations

import sys
from collections.abc import Callable

UNUSABLE = 2
INTERRUPTED = 130


class UsageError(Exception):
    """The arguments or the files that they name cannot be used; the message says what to change."""


def run(main: Callable[[], int]) -> int:
    """Run a command and return its exit code: 2 for unusable arguments, 130 for Ctrl-C."""
    try:
        return main()
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
