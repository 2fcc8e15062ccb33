"""What is fuzzed: every reader of text that somebody else wrote, as a function of bytes.

A target returns, or lets through the errors that its reader promises; anything else that it raises is a find. A law of
the reader is asserted where it has one.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from seglam_agents.compilers.reply import read_reply
from seglam_agents.guards.guard import Accepted, TemplateGuard
from seglam_agents.guards.normal import normalise
from seglam_agents.guards.slots.exports import exports
from seglam_agents.harvest.reading import read_traces
from seglam_agents.records.errors import SchemaError, SeglamError
from seglam_agents.records.procedure import GuardSource
from seglam_agents.records.values import decode, encode
from seglam_agents.sandboxes.base import Failed, HostModule, Limits, Paused, Program, Returned
from seglam_agents.sandboxes.conversation import Conversation
from seglam_agents.sandboxes.dialect import CPYTHON, look
from seglam_agents.sandboxes.exchange import HostSide
from seglam_agents.stores.layout import load_entry

KINDS = (
    *("number", "count", "ordinal", "fraction", "percent", "money", "quantity", "date", "time", "duration", "person"),
    *("name", "id", "email", "quoted", "text", "choice(red|green)", "list(number)", "list(name)"),
)


def template(data: bytes) -> None:
    """The template compiler, and a match with the second line."""
    source, _, request = data.decode("utf-8", "replace").partition("\n")
    try:
        guard = TemplateGuard(GuardSource(templates=(source,)))
    except SeglamError:
        return
    judgement = guard.match(normalise(request[:500]))
    if isinstance(judgement, Accepted):
        assert set(judgement.arguments) <= set(guard.slots)


def slots(data: bytes) -> None:
    """The functions of the slot library: total, whatever they are given; places lie within the text."""
    kind, text = KINDS[data[0] % len(KINDS)] if data else "number", data[1:].decode("utf-8", "replace")[:2000]
    offered = exports()
    value = offered["parse"](kind, text)
    encode(value)
    if value is not None:
        offered["render"](kind, value)
    found = offered["find"](kind, text)
    assert isinstance(found, list)
    for place in found:
        assert isinstance(place, list)
        _, start, end = place
        assert isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text)


def reply(data: bytes) -> None:
    """What a model answers when it is asked for code: read, or refused with a reason."""
    assert read_reply(data.decode("utf-8", "replace")) is not None


def traces(data: bytes) -> None:
    """Files of recorded runs: a bad one is told, never raised."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "runs.jsonl"
        path.write_bytes(data)
        for item in read_traces([path]):
            assert item is not None


def entry(data: bytes) -> None:
    """A stored or bundled procedure."""
    try:
        read = load_entry(data.decode("utf-8", "replace"))
    except SchemaError:
        return
    assert load_entry(json.dumps(read.to_json())) == read


def values(data: bytes) -> None:
    """Values in their JSON form: what is read can be written, and reads the same again."""
    try:
        document = json.loads(data)
        value = decode(document)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        return
    assert repr(decode(encode(value))) == repr(value)


def frames(data: bytes) -> None:
    """What the process of a program may say to its host."""
    program = Program("def run(): return 1")
    limits = Limits(seconds=2, output_bytes=2000)
    host = HostSide(program, {"slots": HostModule("slots", exports())}, limits, (), None, None)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer = threading.Thread(target=_said, args=(theirs, data[:20_000]))
        writer.start()
        execution = Conversation(ours, host, limits).hold({})
        ours.close()
        writer.join()
    assert isinstance(execution, (Returned, Failed, Paused))
    assert not isinstance(execution, Failed) or execution.reason


def dialect(data: bytes) -> None:
    """The look at a program: finds problems, raises nothing."""
    source = data.decode("utf-8", "replace")
    for found in (look(Program(source)), look(Program(source), (), CPYTHON)):
        assert all(problem.line >= 1 and problem.message for problem in found)


def _said(channel: socket.socket, data: bytes) -> None:
    try:
        channel.sendall(data)
        channel.shutdown(socket.SHUT_WR)
        while channel.recv(65_536):
            pass
    except OSError:
        return


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (template, slots, reply, traces, entry, values, frames, dialect)
}
