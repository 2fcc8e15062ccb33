"""Fuzzes the targets one after the other, guided by coverage; needs atheris (see `make fuzz`).

Finds are written into the corpus of their target, where the ordinary tests run them from then on. What only grew the
coverage is kept in `.fuzz`, where the next run goes on from it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
GROWN = Path(__file__).parents[2] / ".fuzz"


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz every target, or those named, each in a process of its own; return how many had a find."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="names of targets; all of them by default")
    parser.add_argument("--seconds", type=int, default=60, help="time for each target")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    names = options.targets or sorted(path.name for path in CORPUS.iterdir())
    if options.one:
        return fuzz(names[0], options.seconds)
    found = 0
    for name in names:
        print(f"== {name}: {options.seconds} s", flush=True)
        command = [sys.executable, "-m", "tests.fuzz.run", name, "--seconds", str(options.seconds), "--one"]
        found += subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": "0"}).returncode != 0
    return found


def fuzz(name: str, seconds: int) -> int:
    """Fuzz one target in this process; the fuzzer ends it."""
    import atheris  # pyright: ignore[reportMissingImports]

    with atheris.instrument_imports(include=["seglam_agents"]):
        from tests.fuzz.targets import TARGETS

    seeds = CORPUS / name
    grown = GROWN / name
    grown.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", "-max_len=4000", "-timeout=20", "-rss_limit_mb=3000"]
    options += [f"-artifact_prefix={seeds}/", "-print_final_stats=1", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(grown), str(seeds)], TARGETS[name])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
