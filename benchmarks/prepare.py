"""Turns a public data set into the files that `stream` reads: requests.jsonl and near_misses.jsonl.

The rows of such sets may be measured with, but not passed on: they are never written into this repository.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import errors, gsm_symbolic
from benchmarks.arguments import counting_from_one, ranges
from benchmarks.errors import UsageError
from benchmarks.files import write_lines

REPOSITORY = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the two files."""
    options = _parser().parse_args(arguments)
    out = _outside(options.out)
    problems = gsm_symbolic.read_problems(options.data or data_folder(), options.families, options.instances)
    requests = [row.model_dump() for row in gsm_symbolic.requests(problems)]
    near = [row.model_dump() for row in gsm_symbolic.near_misses(problems, seed=options.seed)]
    write_lines(out / "requests.jsonl", requests)
    write_lines(out / "near_misses.jsonl", near)
    print(f"{len(requests)} requests and {len(near)} near misses in {out}")
    return 0


def data_folder() -> Path:
    """Return the folder of the public data sets: $SEGLAM_DATA, or ../shared/data."""
    return Path(os.environ.get("SEGLAM_DATA") or REPOSITORY.parent / "shared" / "data")


def _outside(out: Path) -> Path:
    if out.resolve().is_relative_to(REPOSITORY):
        raise UsageError(f"--out {out} is inside the repository, which must hold no rows of public data sets")
    return out


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prepare", description=__doc__)
    sets = parser.add_subparsers(title="data sets", required=True)
    add = sets.add_parser("gsm-symbolic", help="word problems: families of one text with other values").add_argument
    add("--data", type=Path, metavar="DIR", help="folder of the data sets ($SEGLAM_DATA, or ../shared/data)")
    add("--out", type=Path, required=True, metavar="DIR", help="write the two files there")
    add("--families", type=ranges, metavar="0-24", help="only these families")
    add("--instances", type=counting_from_one, metavar="N", help="only the first N instances of each family")
    add("--seed", type=int, default=0, help="decides the inserted clauses (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(errors.run(main))
