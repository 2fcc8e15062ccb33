"""The fixed clock of WorkBench: every relative date of a request counts from `NOW`."""

from __future__ import annotations

from datetime import datetime, timedelta

NOW = datetime(2023, 11, 30)
"""The moment at which every request is made: a Thursday, at midnight."""

LAST_DAY = (NOW - timedelta(days=1)).date()
"""The last day that is over: where every period up to now ends."""
