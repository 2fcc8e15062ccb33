"""The worker of `ProcessSandbox`: a warm interpreter that forks one jailed child for every run.

It is a script of its own: the standard library alone, nothing of the package, because whatever is in this process is
within reach of the programs. The parent process (here: the keeper) runs no program; it loads the modules, locks itself
out of the file system, and forks. The child takes the last locks (no system call but a few harmless ones) before
it looks at the program. Everything is read and written as one JSON document a line.
"""

# pyright: basic
from __future__ import annotations

import functools
import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import socket
import sys

WATCH_MILLISECONDS = 400
"""How often the keeper looks whether its host still lives, should the end of its socket be held by somebody else."""

WARMING = {
    "source": "import math\ndef run(x): return [x, str(x), math.sqrt(4.0), {'a': x}]",
    "entry": "run",
    "arguments": {"x": 1},
    "tools": [],
    "modules": {},
    "now": None,
    "recursion_depth": 900,
    "output_bytes": 1000,
}
"""A program of ours. A forked process copies each page of memory when it first writes to it, which is most of a run."""


def main():
    """Serve the control socket on standard input until the host is gone."""
    # A host that ignores the ends of its children hands that down, and then they have no exit codes.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    control = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    try:
        setup = json.loads(control.recv(2**16))
        jail, program = load("_jail"), load("_program")
        import_packages(setup["packages"], setup["path"])
        space = jail.address_space()
        lock = jail.syscall_filter()
        landlock = jail.lock_keeper()
        jail.probe(lock, space)
    except LackingError as error:
        send(control, {"lacking": str(error)})
        return
    except Exception as error:
        send(control, {"refused": f"{type(error).__name__}: {error}"})
        return
    gc.freeze()
    send(control, {"ready": {"landlock": landlock}})
    run = functools.partial(program.outcome, packages=setup["packages"])
    child = functools.partial(Child, run, program.answer, functools.partial(jail.lock_child, lock, space))
    Keeper(control, child, jail.die_with_parent).serve()


class Keeper:
    """Forks children on request, and kills them on request; a message is a packet."""

    def __init__(self, control, child, die_with_parent):
        self.control = control
        self.child = child
        self.die_with_parent = die_with_parent
        self.host = os.getppid()
        self.children = set()

    def serve(self):
        """Serve until the host is gone; then every child dies with this process."""
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        while True:
            ready = poll.poll(WATCH_MILLISECONDS)
            if os.getppid() != self.host:
                return
            self.reap()
            if ready and not self.serve_one():
                return

    def serve_one(self):
        """Serve one message; tell whether the host is still there."""
        message, descriptors, _, _ = socket.recv_fds(self.control, 4096, 1)
        if descriptors:
            self.start(descriptors[0], message == b"warm")
        elif message:
            self.stop(int(message))
        return bool(message)

    def start(self, channel, warm):
        """Fork a child that serves one run on the channel; tell the host its number."""
        keeper = os.getpid()
        child = os.fork()
        if child == 0:
            try:
                self.control.close()
                self.die_with_parent()
                if os.getppid() == keeper:
                    self.child(channel).serve(warm)
            finally:
                os._exit(1)
        os.close(channel)
        self.children.add(child)
        send(self.control, {"child": child})

    def stop(self, child):
        """Kill a child, if it has not been waited for: its number may belong to somebody else by then."""
        if child in self.children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            self.children.discard(child)

    def reap(self):
        """Wait for the children that have ended."""
        for child in list(self.children):
            if os.waitpid(child, os.WNOHANG)[0]:
                self.children.discard(child)


class Child:
    """Runs one program, and ends."""

    def __init__(self, run, answer, lock, channel):
        self.run = run
        self.answer = answer
        self.lock = lock
        self.channel = channel
        self.input = b""

    def serve(self, warm):
        """Read the run, take the locks, run, reply; one that was forked ahead first makes its memory its own."""
        if warm:
            self.run(json.loads(json.dumps(WARMING)), self.ask, self.end)
        task = self.receive()
        self.lock(task["memory_bytes"], task["seconds"])
        self.send(self.run(task, self.ask, self.end))

    def ask(self, name, args, kwargs):
        """Have the host run a function."""
        self.send({"ask": [name, args, kwargs]})
        return self.answer(self.receive())

    def end(self, reply):
        """End the run."""
        self.send(reply)
        os._exit(0)

    def send(self, document):
        """Write one line."""
        data = json.dumps(document).encode() + b"\n"
        while data:
            data = data[os.write(self.channel, data) :]

    def receive(self):
        """Read one line."""
        while b"\n" not in self.input:
            data = os.read(self.channel, 2**16)
            if not data:
                os._exit(0)
            self.input += data
        line, _, self.input = self.input.partition(b"\n")
        return json.loads(line)


def load(name):
    """Return a module next to this script; the script's folder is on no path, lest it hide a standard module."""
    path = os.path.join(os.path.dirname(__file__), f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)  # pyright: ignore[reportArgumentType]  # a file has a spec
    spec.loader.exec_module(module)  # pyright: ignore[reportOptionalMemberAccess]  # and a loader
    return module


class LackingError(Exception):
    """A package cannot be loaded."""


def import_packages(packages, path):
    """Load third-party packages while there still is a file system."""
    if packages:
        sys.path.extend(path)
        for name in packages:
            try:
                importlib.import_module(name)
            except Exception as error:
                raise LackingError(
                    f"the package {name} ({error}): install it, or leave it out of `packages`"
                ) from error


def send(control, document):
    """Send one packet to the host."""
    control.sendall(json.dumps(document).encode())


if __name__ == "__main__":
    main()
