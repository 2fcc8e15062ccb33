"""Lists the benchmarks."""

from __future__ import annotations

import sys

COMMANDS = {
    "stream": "send a stream of requests and near misses to a cache, and report what came of it",
    "hit_latency": "time whole hits among thousands of stored procedures",
    "agents": "send office requests to a LangChain agent, with the cache and without",
    "traces": "learn from the runs of office requests, without any model",
    "planted": "learn from random policies whose truth is known, and judge every fresh hit",
    "perturb": "change the requests of procedures, and count which changes they do not notice",
    "attack": "learn kinds with and without the attacker, and count what each takes wrongly",
    "text2sql": "send questions for a database through a text-to-SQL engine of LlamaIndex",
    "soak": "send runs of every temper through a sandbox from many threads, and look what is left",
    "prepare": "turn a public data set into the files that `stream` reads",
}


def main() -> int:
    """Print the commands."""
    print("Run one with: python -m benchmarks.NAME --help\n")
    for name, purpose in COMMANDS.items():
        print(f"  {name:<12} {purpose}")
    print("\ndocs/benchmarks.md says what each figure means.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
