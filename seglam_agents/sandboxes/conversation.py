"""`Conversation`: one run in a child process, as the host sees it; nothing that the child says is believed.

The child writes one JSON document a line: `{"ask": [name, args, kwargs]}`, to which the host replies `{"value": …}` or
`{"raise": [kind, message]}`, and in the end `{"done": value}`, `{"deopt": reason}` or `{"failed": [kind, reason]}`. A
program that forges these can change what comes of its own run, and nothing else.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from typing import Final, cast

from seglam_agents.records.errors import SandboxError
from seglam_agents.records.record import Json
from seglam_agents.records.values import Value, decode, encode
from seglam_agents.sandboxes.base import Execution, Failed, FailureKind, Limits
from seglam_agents.sandboxes.checking import MAX_VALUES
from seglam_agents.sandboxes.exchange import NO_REASON, Answered, HostSide, Raised, Stop
from seglam_agents.sandboxes.interpreter import NO_SIGNAL

_FRAME_OVERHEAD: Final = 65_536
_MAX_PARTS: Final = 2 * MAX_VALUES
"""Commas and brackets of a frame; an empty list in a list has two of them."""
_TEXT: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_KINDS: Final = ("error", "limit", "syntax", "value")


class Conversation:
    """The exchange of one run."""

    def __init__(self, channel: socket.socket, host: HostSide, limits: Limits) -> None:
        self._channel = channel
        self._host = host
        self._limits = limits
        self._max_frame = 4 * limits.output_bytes + _FRAME_OVERHEAD
        self._input = bytearray()

    def hold(self, task: Json) -> Execution:
        """Send the task, answer what the child asks, and return how it ends."""
        try:
            self._send(task)
            while True:
                frame = self._receive()
                if (found := ending(frame, self._host)) is not None:
                    return self._host.ended(found)
                answer = self._host.ask(*asked(frame))
                if isinstance(answer, Stop):
                    return self._host.ended(answer.execution)
                self._send(reply(answer))
        except BrokenError as error:
            return self._host.ended(Failed(error.kind, str(error)))

    def _send(self, document: Json) -> None:
        data = json.dumps(document).encode() + b"\n"
        try:
            self._channel.settimeout(self._left())
            self._channel.sendall(data, NO_SIGNAL)
        except OSError as error:
            raise self._broken(error) from error

    def _receive(self) -> dict[str, Json]:
        while (end := self._input.find(b"\n")) < 0:
            if len(self._input) > self._max_frame:
                raise BrokenError("limit", f"more than {self._max_frame:,} bytes of output")
            self._input += self._read()
        line = bytes(self._input[:end])
        del self._input[: end + 1]
        try:
            frame = read_frame(line)
        except (ValueError, RecursionError) as error:
            raise BrokenError("crash", f"the process of the program sent no JSON: {error}") from error
        return frame if isinstance(frame, dict) else {}

    def _read(self) -> bytes:
        try:
            self._channel.settimeout(self._left())
            data = self._channel.recv(65_536)
        except OSError as error:
            raise self._broken(error) from error
        if not data:
            raise BrokenError("crash", "the process of the program died")
        return data

    def _left(self) -> float:
        left = self._limits.seconds - self._host.seconds
        if left <= 0:
            raise TimeoutError
        return left

    def _broken(self, error: OSError) -> BrokenError:
        if isinstance(error, TimeoutError):
            return BrokenError("limit", f"more than {self._limits.seconds} s")
        return BrokenError("crash", f"the process of the program died: {error}")


class BrokenError(SandboxError):
    """Whoever runs the program broke the rules of the conversation."""

    def __init__(self, kind: FailureKind, reason: str) -> None:
        self.kind: FailureKind = kind
        super().__init__(reason)


def read_frame(line: bytes) -> Json:
    """Return the document of a line.

    Raises:
        BrokenError: it is made of so many values that reading it would cost its host too much.
        ValueError: it is no JSON.
    """
    if _parts(line) > _MAX_PARTS and _parts(_TEXT.sub(b"", line)) > _MAX_PARTS:
        raise BrokenError("limit", f"the value is made of more than {MAX_VALUES:,} values")
    document: Json = json.loads(line)
    return document


def _parts(line: bytes) -> int:
    return sum(map(line.count, (b",", b"[", b"{")))


def ending(frame: Mapping[str, Json], host: HostSide) -> Execution | None:
    """Return how a run ends by this frame, or None where the program wants something.

    Raises:
        BrokenError: what it gave cannot be read.
    """
    match frame:
        case {"done": value}:
            return host.returned(_value(value))
        case {"deopt": str(reason)}:
            return Failed("deopt", reason[:500] if reason.strip() else NO_REASON)
        case {"failed": [str(kind), str(reason)]} if kind in _KINDS:
            return Failed(cast(FailureKind, kind), reason[:1000] if reason.strip() else NO_REASON)
        case _:
            return None


def asked(frame: Mapping[str, Json]) -> tuple[str, list[Value], dict[str, Value]]:
    """Return what the program wants to be called, with which arguments.

    Raises:
        BrokenError: the frame is no such message.
    """
    match frame:
        case {"ask": [str(name), [*args], dict(kwargs)]}:
            return name, [_value(item) for item in args], {key: _value(item) for key, item in kwargs.items()}
        case _:
            raise BrokenError("crash", "the process of the program sent something that is no message")


def reply(answer: Answered | Raised) -> Json:
    """Return what the program is told."""
    if isinstance(answer, Answered):
        return {"value": encode(answer.value)}
    return {"raise": [answer.kind, answer.message]}


def _value(document: Json) -> Value:
    try:
        return decode(document)
    except (TypeError, ValueError, LookupError, OverflowError, RecursionError) as error:
        raise BrokenError("value", f"no value: {error}") from error
