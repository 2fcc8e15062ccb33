"""Runs programs on a remote machine, each in a fork of its own: a task a line comes in, what came of it goes out.

The machine is the wall. Between the runs on it stands a filter of system calls: a program can read files, and can
neither write one nor reach a socket, a process, or a pipe that others read, so that it can answer for nobody else.

It follows the texts of `_program.py` and `_jail.py` in one file there. A program that asks for what has no answer yet
ends: the host finds the answer and runs the program again, which asks for the same things in the same order.
"""

# pyright: basic, reportUndefinedVariable=false
# ruff: noqa: F821  # `outcome`, `answer`, `check`, `LIBC` and such are those of the texts that this follows
import contextlib
import hashlib
import os
import resource
import select
import signal
import socket

SPARE_MEMORY = 24 * 2**20
GRACE_SECONDS = 1.0


SET_CHILD_SUBREAPER = 36


def main():
    """Serve tasks until standard input ends; every reply says of which task it is, which no earlier program knew."""
    with contextlib.suppress(OSError, AttributeError):
        LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        LIBC.prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    lock, missing = locked()
    tell("locked" if lock else f"unlocked: {missing}")
    for line in sys.stdin.buffer:
        task = json.loads(line)
        reply = lacking(task["packages"]) or run(task, lock)
        tell(json.dumps({**(reply if isinstance(reply, dict) else {}), "task": task["task"]}))


def tell(line):
    """Write a line to whoever started this process."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def locked():
    """Return the filter of system calls, or None where this machine has none, and why."""
    try:
        check(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
        lock = syscall_filter(reading=True)
    except (OSError, KeyError) as error:
        return None, f"{type(error).__name__}: {error}"
    child = os.fork()
    if child == 0:
        os._exit(obeyed(lock))
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return (lock, "") if ended == 0 else (None, "the system call filter (seccomp) has no effect, or cannot be set")


def obeyed(lock):
    """Set the filter, and return 0 where files can be read and nothing else be done after it."""
    with contextlib.suppress(OSError):
        filter_calls(lock)
        with open("/proc/self/statm") as file:
            file.read()
        for attempt in (socket.socket, os.fork, lambda: os.open(os.devnull, os.O_WRONLY)):
            try:
                attempt()
            except PermissionError:
                continue
            return 1
        return 0
    return 1


def lacking(packages):
    """Load packages, once for all runs; return what the host is told of one that cannot be loaded."""
    for name in packages:
        try:
            __import__(name)
        except Exception as error:
            reason = f"the package {name} cannot be loaded ({error}): have it in the template of the machine"
            return {"failed": ["error", reason]}
    return None


def run(task, lock):
    """Fork a process for a task and return what it wrote, or which limit ended it."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(ours)
            os.setsid()
            serve(task, theirs, lock)
        finally:
            os._exit(1)
    os.close(theirs)
    data, late = read(ours, task["output_bytes"] * 4 + 2**16, task["seconds"] + GRACE_SECONDS)
    os.close(ours)
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    signalled = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sweep()
    if late or -signalled in (signal.SIGPROF, signal.SIGXCPU):
        return {"failed": ["limit", f"more than {task['seconds']} s"]}
    if data is None:
        return {"failed": ["limit", "more output than the limit"]}
    try:
        return json.loads(data)
    except ValueError:
        return None


def sweep():
    """End what the program left behind: whatever lost its parent is a child of this process by now."""
    for _ in range(100):
        try:
            with open(f"/proc/self/task/{os.getpid()}/children") as file:
                left = [int(number) for number in file.read().split()]
        except OSError:
            return
        for number in left:
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGKILL)
                os.waitpid(number, 0)
        if not left:
            return


def read(descriptor, limit, seconds):
    """Read to the end; return the bytes (None where they are too many), and whether time ran out."""
    data, deadline = b"", time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return data, True
        part = os.read(descriptor, 2**16)
        data += part
        if not part:
            return data, False
        if len(data) > limit:
            return None, False


def serve(task, out, lock):
    """Run the program of a task, and end."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    restrict(task)
    if lock:
        filter_calls(lock)
    asked = Asked(task["answers"], out)
    asked.tell(outcome(task, asked.ask, asked.tell, task["packages"]))


class Asked:
    """What the program asks for, answered as far as the host has answers."""

    def __init__(self, answers, out):
        self.answers = answers
        self.out = out
        self.count = 0
        self.digest = hashlib.sha256()
        self.began = time.perf_counter()

    def ask(self, name, args, kwargs):
        """Return the recorded answer, or end with the question."""
        question = [name, args, kwargs]
        if self.count == len(self.answers):
            self.tell({"ask": question})
        self.digest.update(json.dumps(question, sort_keys=True).encode())
        self.count += 1
        return answer(self.answers[self.count - 1])

    def tell(self, reply):
        """Write the reply and end; nothing of the program runs after it."""
        seconds = time.perf_counter() - self.began
        reply = {**reply, "asked": [self.count, self.digest.hexdigest()], "seconds": seconds}
        data = json.dumps(reply).encode()
        while data:
            data = data[os.write(self.out, data) :]
        os._exit(0)


def restrict(task):
    """Set limits that end the program by themselves; the machine around it is the wall."""
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    space = used + SPARE_MEMORY + task["memory_bytes"]
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    cpu = int(task["seconds"]) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_PROF, task["seconds"])


main()
