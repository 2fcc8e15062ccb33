"""The process that ends the workers of a host that is gone, whatever ended it: a signal, `os._exit`, `exec`.

It is a script of its own: the standard library alone. A worker cannot notice by itself that nobody waits for it while
it computes; this one only waits. It is told of each worker by number and time of start, so that a number that
belongs to somebody else by then is left alone. An empty line says that its host needs it no longer than these live.
"""

# pyright: basic
from __future__ import annotations

import os
import select
import signal

WATCH_MILLISECONDS = 400
"""How often it looks whether its host still lives, should the end of its socket be held by a fork of the host."""
MANY = 64


def main():
    """Take note of workers from standard input; when the host is gone, end them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    host, workers, leaving = os.getppid(), set(), False
    poll = select.poll()
    poll.register(0, select.POLLIN)
    while True:
        if poll.poll(WATCH_MILLISECONDS):
            packet = os.read(0, 4096)
            if not packet:
                break
            lines = packet.decode().splitlines()
            leaving = not lines[-1]
            workers.update(tuple(map(int, line.split())) for line in lines if line)
            if len(workers) > MANY:
                workers = {worker for worker in workers if lives(*worker)}
        # What it was told before its host died is read first.
        elif os.getppid() != host:
            break
        if leaving and not any(lives(*worker) for worker in workers):
            return
    for worker in workers:
        if lives(*worker):
            os.kill(worker[0], signal.SIGKILL)


def lives(process, started):
    """Tell whether the process of that number is the one that started then."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[19]) == started
    except OSError:
        return False


if __name__ == "__main__":
    main()
