"""`python -m benchmarks.agents`."""

from __future__ import annotations

import sys

from benchmarks import errors
from benchmarks.errors import UsageError


def main() -> int:
    """Run the benchmark, where LangChain is there to run it with."""
    try:
        from benchmarks.agents import command
    except ImportError as error:
        raise UsageError(f"{error}: this benchmark needs pip install ./integrations/langchain-seglam") from error
    return command.main()


if __name__ == "__main__":
    sys.exit(errors.run(main))
