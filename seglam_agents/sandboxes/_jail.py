"""The locks of `ProcessSandbox`: Landlock, a system call filter (seccomp), and resource limits, by `ctypes` alone.

Loaded by `_worker.py` as a file, so it knows the standard library only. The keeper's locks shut out files and network;
the children add that nothing but a few harmless system calls works at all: no file, socket, process or signal.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
import resource
import signal
import socket
from typing import ClassVar

MEMORY_OVERHEAD = 16 * 2**20
"""What the interpreter itself needs to run and to report."""

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_SET_DUMPABLE = 1, 22, 38, 4
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446

# The system calls that a program may cause, with their numbers on x86-64 and aarch64. All others fail with EPERM.
SYSTEM_CALLS = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "getpid": (39, 172),
    "exit": (60, 93),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "exit_group": (231, 94),
    "getrandom": (318, 278),
    "rseq": (334, 293),
}
READING_CALLS = {
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "readlinkat": (267, 78),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "getdents64": (217, 61),
    "pread64": (17, 67),
    "getcwd": (79, 17),
    "getppid": (110, 173),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "sched_getaffinity": (204, 123),
    "getrusage": (98, 165),
    "gettimeofday": (96, 169),
}
"""What else a program may cause where it may read files: packages load some of their own when they are used."""
OPEN_AT = (257, 56)
CHANGES_FILES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_ASYNC | os.O_PATH | 0o20000000
"""Ways to open a file by which it is changed, or something else becomes of it than being read."""
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def lock_keeper() -> int:
    """Shut this process and its children out of the file system and the network; return the version of Landlock."""
    check(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    version = restrict_files()
    if os.geteuid() == 0:
        become_nobody()
    LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    return version


def become_nobody() -> None:
    """Give up being root."""
    try:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    except OSError as error:
        raise OSError(f"root may not become another user here ({error}): run the host as a user") from error


def restrict_files() -> int:
    """Apply a Landlock ruleset without any rule: it denies all that this kernel's version can deny."""
    version = LIBC.syscall(LANDLOCK_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return 0
    files = (1 << (13 if version == 1 else 14 if version == 2 else 15 if version < 5 else 16)) - 1
    attributes = (ctypes.c_uint64 * 3)(files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = LIBC.syscall(LANDLOCK_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    check(min(ruleset, 0), "landlock_create_ruleset")
    check(LIBC.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)
    return version


def lock_child(lock: Filter, address_space: int, memory: int, seconds: float) -> None:
    """Take the last locks, before anything of the program is looked at."""
    space, cpu = address_space + MEMORY_OVERHEAD + memory, math.ceil(seconds) + 1
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_CORE, resource.RLIMIT_NOFILE):
        resource.setrlimit(kind, (0, 0))
    filter_calls(lock)


def filter_calls(lock: Filter) -> None:
    """Have every system call that is not on the list fail, from now on and in all that this process becomes."""
    check(LIBC.prctl(PR_SET_SECCOMP, 2, ctypes.byref(lock), 0, 0), "PR_SET_SECCOMP")


def syscall_filter(*, reading: bool = False) -> Filter:
    """Return the filter that fails every system call that is not on the list of this machine.

    Args:
        reading: whether files may be read.
    """
    column, architecture = ARCHITECTURES[platform.machine()]
    load, equal, any_of, give = 0x20, 0x15, 0x45, 0x06
    kill, allow, refuse = 0x80000000, 0x7FFF0000, 0x00050000 | 1
    lines = [(load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, kill), (load, 0, 0, 0)]
    for numbers in (*SYSTEM_CALLS.values(), *(READING_CALLS.values() if reading else ())):
        lines += [(equal, 0, 1, numbers[column]), (give, 0, 0, allow)]
    if reading:
        # The third argument of the call: how the file is opened.
        lines += [(equal, 0, 4, OPEN_AT[column]), (load, 0, 0, 32), (any_of, 1, 0, CHANGES_FILES)]
        lines += [(give, 0, 0, allow), (give, 0, 0, refuse)]
    lines.append((give, 0, 0, refuse))
    code = (Instruction * len(lines))(*(Instruction(*line) for line in lines))
    return Filter(len(lines), code)


def probe(lock: Filter, address_space: int) -> None:
    """Take the last locks in a child: a kernel that refuses them, or takes them without obeying, will not do."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(theirs, told_by_child(lock, address_space))
        finally:
            os._exit(0)
    os.close(theirs)
    told = os.read(ours, 1000)
    os.close(ours)
    os.waitpid(child, 0)
    if told != OBEYED:
        raise OSError(told.decode() or "the locks end whoever takes them")


OBEYED = b"obeyed"


def told_by_child(lock: Filter, address_space: int) -> bytes:
    """Return what is wrong with the locks."""
    try:
        lock_child(lock, address_space, 2**26, 1.0)
    except (OSError, ValueError) as error:
        return str(error).encode()
    try:
        socket.socket()
    except PermissionError:
        return OBEYED
    except OSError:
        pass
    return b"the system call filter (seccomp) has no effect"


def check(result: int, what: str) -> None:
    """Raise what the C library reports."""
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def address_space() -> int:
    """Return how much address space this process takes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def die_with_parent() -> None:
    """Have this process killed when its parent ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Instruction(ctypes.Structure):
    """One instruction of the filter's machine."""

    _fields_: ClassVar = [
        ("code", ctypes.c_ushort),
        ("jt", ctypes.c_ubyte),
        ("jf", ctypes.c_ubyte),
        ("k", ctypes.c_uint32),
    ]


class Filter(ctypes.Structure):
    """The filter as the kernel takes it."""

    _fields_: ClassVar = [("len", ctypes.c_ushort), ("filter", ctypes.POINTER(Instruction))]
