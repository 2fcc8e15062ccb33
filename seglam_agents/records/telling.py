"""What went wrong, told to the log: what is known in one line, what nobody foresaw with its traceback."""

from __future__ import annotations

import logging

from seglam_agents.records.errors import SeglamError, StoreError, said


def tell(logger: logging.Logger, what: str, error: BaseException) -> None:
    """Tell the log what could not be done, and why.

    An error of ours says all that there is to know; a traceback for every request would bury it. Of a store that is
    away each sentence is told once, until it is back.

    Args:
        logger: of whoever goes on without it.
        what: a sentence that is the same every time.
        error: why.
    """
    if not isinstance(error, SeglamError):
        logger.error(what, exc_info=error)
        return
    outage = error.outage if isinstance(error, StoreError) else None
    if outage is None or outage.begins(f"{logger.name}: {what}"):
        logger.warning("%s: %s", what, " ".join(said(error).split()))
