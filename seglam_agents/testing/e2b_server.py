"""`E2BServer`: a stand-in for E2B that speaks its wire protocol on this machine, for tests of `E2BSandbox`.

It has the control plane (machines: create, connect, timeout, kill), the data plane (contexts, `/execute` with its lines
of JSON, `/health`), and faults to order. Its machines are processes of this computer without any jail: run only what
you trust.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

from seglam_agents import sandboxes
from seglam_agents.records.record import Json

Fault: TypeAlias = Literal[
    "rate limit", "expired", "paused", "hang up", "broken lines", "no answer", "server error", "html", "null", "list"
]
_FOREIGN: Final = {"html": b"<html>log in here</html>", "null": b"null", "list": b"[]"}
"""What somebody else answers, such as a proxy."""
_JAIL: Final = Path(sandboxes.__file__).with_name("_jail.py")
_GONE: Final[dict[str, Json]] = {"message": "The sandbox was not found", "code": 502}
_INTERPRETER: Final = """
import contextlib, io, json, sys, traceback
names = {"__name__": "__main__"}
out = sys.stdout
for line in sys.stdin:
    printed, error = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        try:
            exec(json.loads(line), names)
        except BaseException as raised:
            error = [type(raised).__name__, str(raised), traceback.format_exc()]
    out.write(json.dumps([printed.getvalue(), error]) + "\\n")
    out.flush()
"""

_WITHOUT_LOCKS: Final = """
import ctypes, importlib.util, platform
spec = importlib.util.spec_from_file_location("_jail", PATH)
jail = importlib.util.module_from_spec(spec)
spec.loader.exec_module(jail)
number = 157 if platform.machine() == "x86_64" else 167
lines = [(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16), (0x15, 0, 1, 22), (6, 0, 0, 0x50001)]
lines.append((6, 0, 0, 0x7FFF0000))
code = (jail.Instruction * len(lines))(*(jail.Instruction(*line) for line in lines))
jail.check(jail.LIBC.prctl(jail.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
jail.filter_calls(jail.Filter(len(lines), code))
"""
"""Has a process and all of its children be refused a filter of system calls, as some machines do."""


@dataclass(slots=True)
class _Machine:
    """One machine and its contexts."""

    number: str
    paused: bool = False
    contexts: dict[str, subprocess.Popen[str]] = field(default_factory=dict[str, "subprocess.Popen[str]"])

    def stop(self) -> None:
        for process in self.contexts.values():
            _end(process)
        self.contexts.clear()


class E2BServer:
    """The stand-in, listening on loopback from `start` to `stop`.

    Args:
        api_key: the key that it takes.
        locks: whether its machines let programs take locks.
    """

    def __init__(self, *, api_key: str = "e2b_stand_in", locks: bool = True) -> None:
        self.api_key = api_key
        self._interpreter = _INTERPRETER if locks else _WITHOUT_LOCKS.replace("PATH", repr(str(_JAIL))) + _INTERPRETER
        self.calls: list[str] = []
        """Method and path of each request, in order."""
        self._machines: dict[str, _Machine] = {}
        self._faults: deque[tuple[str, Fault]] = deque()
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.stand_in = self  # pyright: ignore[reportAttributeAccessIssue]  # read by the handler
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """The address of both planes."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def machines(self) -> tuple[str, ...]:
        """The numbers of the machines that exist, paused ones included."""
        return tuple(self._machines)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End all machines, and stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self.expire()

    def order(self, fault: Fault, path: str) -> None:
        """Have the next request whose path begins so go wrong."""
        self._faults.append((path, fault))

    def expire(self) -> None:
        """Let the time of every machine run out."""
        with self._lock:
            for machine in self._machines.values():
                machine.stop()
            self._machines.clear()

    def pause(self) -> None:
        """Pause every machine: it answers nothing until somebody connects to it."""
        with self._lock:
            for machine in self._machines.values():
                machine.paused = True

    def create(self) -> dict[str, Json]:
        """Make a machine."""
        machine = _Machine(uuid.uuid4().hex[:20])
        with self._lock:
            self._machines[machine.number] = machine
        return self.described(machine.number)

    def connect(self, number: str) -> dict[str, Json] | None:
        """Resume a machine; None where there is none."""
        machine = self._machines.get(number)
        if machine is None:
            return None
        machine.paused = False
        return self.described(number)

    def described(self, number: str) -> dict[str, Json]:
        """Return what the control plane says of a machine."""
        return {
            "templateID": "code-interpreter-v1",
            "sandboxID": number,
            "clientID": "stand-in",
            "envdVersion": "0.4.0",
            "envdAccessToken": "token",
        }

    def running(self, number: str) -> bool:
        """Tell whether a machine answers."""
        machine = self._machines.get(number)
        return machine is not None and not machine.paused

    def kill(self, number: str) -> bool:
        """End a machine; tell whether there was one."""
        with self._lock:
            machine = self._machines.pop(number, None)
            if machine is not None:
                machine.stop()
        return machine is not None

    def new_context(self, number: str) -> dict[str, Json] | None:
        """Start an interpreter on a machine; None where it is gone."""
        name = str(uuid.uuid4())
        with self._lock:
            if number not in self._machines:
                return None
            self._machines[number].contexts[name] = subprocess.Popen(  # noqa: S603  # our own text
                [sys.executable, "-u", "-c", self._interpreter],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return {"id": name, "language": "python", "cwd": "/home/user"}

    def remove_context(self, number: str, name: str) -> bool:
        """End an interpreter; tell whether there was one."""
        with self._lock:
            machine = self._machines.get(number)
            process = machine.contexts.pop(name, None) if machine else None
        if process is not None:
            _end(process)
        return process is not None

    def execute(self, number: str, context: str, code: str) -> Iterator[dict[str, Json]]:
        """Run a cell and give the lines of the reply."""
        process = self._machines[number].contexts[context]
        yield {"type": "number_of_executions", "execution_count": 1}
        assert process.stdin is not None and process.stdout is not None  # noqa: S101  # opened as pipes
        process.stdin.write(json.dumps(code) + "\n")
        process.stdin.flush()
        printed, error = json.loads(process.stdout.readline() or '["", ["KernelDied", "no kernel", ""]]')
        for start in range(0, len(printed), 4096):
            yield {"type": "stdout", "text": printed[start : start + 4096], "timestamp": time.time_ns()}
        if error:
            yield {"type": "error", "name": error[0], "value": error[1], "traceback": error[2]}
        yield {"type": "end_of_execution"}

    def fault(self, path: str) -> Fault | None:
        """Return and forget the fault that is ordered for a path."""
        with self._lock:
            for ordered in self._faults:
                if path.startswith(ordered[0]):
                    self._faults.remove(ordered)
                    return ordered[1]
        return None


class _Handler(BaseHTTPRequestHandler):
    """Speaks for the stand-in."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:  # named by the base class
        body = self._body()
        if self._goes_wrong():
            return
        parts = self.path.partition("?")[0].strip("/").split("/")
        match parts:
            case ["v2", "sandboxes"]:
                self._controlled(201, self._stand_in.create)
            case ["v2", "sandboxes", number, "connect"]:
                self._controlled(200, lambda: self._stand_in.connect(number))
            case ["sandboxes", _, "timeout"]:
                self._json(204, None)
            case ["contexts"]:
                if self._routed():
                    made = self._stand_in.new_context(self._number)
                    self._json(200 if made else 502, made or _GONE)
            case ["execute"]:
                if self._routed():
                    self._execute(body)
            case _:
                self._json(404, {"message": "no such path"})

    def do_GET(self) -> None:  # named by the base class
        if not self._goes_wrong() and self._routed():
            self._json(204, None)

    def do_DELETE(self) -> None:  # named by the base class
        if self._goes_wrong():
            return
        last = self.path.rpartition("/")[2]
        removes = "/contexts/" in self.path
        found = self._stand_in.remove_context(self._number, last) if removes else self._stand_in.kill(last)
        self._json(204 if found else 404, None if found else {"message": "not found", "code": 404})

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    @property
    def _stand_in(self) -> E2BServer:
        return cast(E2BServer, self.server.stand_in)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]

    @property
    def _number(self) -> str:
        return self.headers.get("E2b-Sandbox-Id", "")

    def _body(self) -> dict[str, Json]:
        length = int(self.headers.get("Content-Length") or 0)
        document: dict[str, Json] = json.loads(self.rfile.read(length) or b"{}")
        return document

    def _controlled(self, status: int, act: Callable[[], Json]) -> None:
        if self.headers.get("X-API-Key") != self._stand_in.api_key:
            self._json(401, {"code": 401, "message": "Invalid API key"})
            return
        found = act()
        self._json(status if found else 404, found or {"code": 404, "message": "not found"})

    def _routed(self) -> bool:
        """Tell whether the machine that the request is for answers; if not, the proxy does."""
        if self._stand_in.running(self._number):
            return True
        self._json(502, _GONE)
        return False

    def _execute(self, body: dict[str, Json]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for line in self._stand_in.execute(self._number, str(body["context_id"]), str(body["code"])):
                self._chunk(json.dumps(line).encode() + b"\n")
            self._chunk(b"")
        except (OSError, KeyError, ValueError):
            self.close_connection = True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _json(self, status: int, document: Json) -> None:
        data = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        if data:
            self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _goes_wrong(self) -> bool:
        self._stand_in.calls.append(f"{self.command} {self.path}")
        match self._stand_in.fault(self.path):
            case None:
                return False
            case "rate limit":
                self._json(429, {"code": 429, "message": "Rate limit exceeded"})
            case "server error":
                self._json(500, {"code": 500, "message": "internal"})
            case "expired":
                self._stand_in.expire()
                self._json(502, _GONE)
            case "paused":
                self._stand_in.pause()
                self._json(502, _GONE)
            case "hang up":
                self.close_connection = True
            case "broken lines":
                self.send_response(200)
                self.send_header("Content-Length", "7")
                self.end_headers()
                self.wfile.write(b"[broken")
            case "html" | "null" | "list" as what:
                self.send_response(200)
                self.send_header("Content-Type", "text/html" if what == "html" else "application/json")
                self.send_header("Content-Length", str(len(_FOREIGN[what])))
                self.end_headers()
                self.wfile.write(_FOREIGN[what])
            case "no answer":
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
        return True


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # What was not yet read is lost with it.
                pipe.close()
