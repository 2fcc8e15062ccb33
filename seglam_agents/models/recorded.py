"""`RecordedModel`: replays the answers of a chat model from a file, and can add to it.

A recording is a file of JSON lines that a person can read and a version control system can compare. It holds the
answers; of a request it holds only the SHA-256, so that a recording gives away no prompt.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from pydantic import ValidationError

from seglam_agents.models.base import Completion, Message, Model
from seglam_agents.records.errors import RecordingError
from seglam_agents.records.record import Record, digest
from seglam_agents.records.usage import Usage

if sys.platform != "win32":
    import fcntl


class RecordedAnswer(Record):
    """One line of a recording."""

    key: str
    """SHA-256 of the roles and contents that were asked."""
    model: str
    text: str
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    truncated: bool = False

    def completion(self) -> Completion:
        """Return the answer with the usage that it had when it was recorded."""
        usage = Usage(input_tokens=self.input_tokens, output_tokens=self.output_tokens, calls=1, seconds=self.seconds)
        return Completion(self.text, usage, self.truncated)


class RecordedModel:
    """A chat model that answers from a recording.

    A request that the recording does not hold goes to the live model, and its answer into the file; without a live
    model it is a `RecordingError`.

    Args:
        path: the file of the recording; it may be missing when a live model is given.
        live: the model to ask for what is not recorded.
    """

    recorded = True

    def __init__(self, path: str | os.PathLike[str], live: Model | None = None) -> None:
        self._recording = Recording(path)
        self._live = live
        if live is None and not self._recording.path.exists():
            raise RecordingError(f"there is no recording at {self._recording.path}; {_how_to_record()}")

    @property
    def name(self) -> str:
        """`recorded:` and the model that answered."""
        return f"recorded:{self._live.name if self._live else '+'.join(self._recording.models()) or 'nothing'}"

    def __repr__(self) -> str:
        return f"RecordedModel({str(self._recording.path)!r}, live={self._live!r})"

    def complete(self, messages: Sequence[Message]) -> Completion:
        """Replay the answer to a chat, or record it.

        Raises:
            RecordingError: the request is not recorded and there is no live model, or the file cannot be written.
            ModelError: the live model failed.
        """
        key = request_key(messages)
        if known := self._recording.find(key):
            return known.completion()
        live = self._live_for(key, messages)
        return self._keep(key, live, live.complete(messages))

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        """Replay the answer to a chat, or record it, without blocking the event loop.

        Raises:
            RecordingError: the request is not recorded and there is no live model, or the file cannot be written.
            ModelError: the live model failed.
        """
        key = request_key(messages)
        if known := await asyncio.to_thread(self._recording.find, key):
            return known.completion()
        live = self._live_for(key, messages)
        answer = await live.acomplete(messages)
        return await asyncio.to_thread(self._keep, key, live, answer)

    def _live_for(self, key: str, messages: Sequence[Message]) -> Model:
        if self._live is not None:
            return self._live
        # The last message tells requests apart; system prompts are all alike.
        asked = messages[-1].content[:200] if messages else ""
        recording = self._recording
        raise RecordingError(
            f"NOT RECORDED: {asked!r} (key {key[:12]}). {recording.path} holds {len(recording)} recordings, "
            f"and this request is none of them; {_how_to_record()}"
        )

    def _keep(self, key: str, live: Model, answer: Completion) -> Completion:
        usage = answer.usage
        line = RecordedAnswer(
            key=key,
            model=live.name,
            text=answer.text.encode(errors="replace").decode(),  # half a surrogate pair has no place in a file
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            seconds=round(usage.seconds, 3),
            truncated=answer.truncated,
        )
        return self._recording.append(line).completion()


class Recording:
    """The file of a recording; safe to share between threads, and to append to from several processes.

    Where two writers recorded the same request, the first line counts, for both of them and for ever after.

    Args:
        path: the file; one that does not exist is an empty recording.

    Raises:
        RecordingError: the file cannot be read, or a line of it is no recorded answer.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._answers: dict[str, RecordedAnswer] = {}
        self._lines = 0
        self._offset = 0
        self._lock = threading.Lock()
        self._read_on(to_the_end=True)

    def __len__(self) -> int:
        return len(self._answers)

    def models(self) -> tuple[str, ...]:
        """Return the names of the models that answered, in the order of the file."""
        return tuple(dict.fromkeys(answer.model for answer in list(self._answers.values())))

    def find(self, key: str) -> RecordedAnswer | None:
        """Return the answer recorded for a key, by this process or another one."""
        with self._lock:
            if key not in self._answers:
                self._read_on()
            return self._answers.get(key)

    def append(self, answer: RecordedAnswer) -> RecordedAnswer:
        """Write an answer durably, and return the one that counts for its key: the first of the file.

        Raises:
            RecordingError: the file cannot be written.
        """
        with self._lock:
            self._write(answer.model_dump_json().encode() + b"\n")
            self._read_on()
            return self._answers[answer.key]

    def _write(self, line: bytes) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # One write to a file opened for appending: lines of two writers cannot mix.
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
            try:
                _lock(file, shared=False)
                line = line if _ends_in_newline(file) else b"\n" + line
                if os.write(file, line) != len(line):
                    raise OSError("the line was written only in part; is the disk full?")
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise RecordingError(f"cannot write the recording {self.path}: {error}") from error

    def _read_on(self, *, to_the_end: bool = False) -> None:
        """Read what was added to the file since the last time."""
        data = self._new_data()
        if not to_the_end:
            # Another writer may be in the middle of its line: take it the next time.
            data = data[: data.rfind(b"\n") + 1]
        for line in BytesIO(data):
            if line.strip():
                answer = self._parsed(line)
                self._answers.setdefault(answer.key, answer)
            self._offset += len(line)
            self._lines += line.endswith(b"\n")

    def _new_data(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                _lock(file.fileno(), shared=True)
                file.seek(self._offset)
                return file.read()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise RecordingError(f"cannot read the recording {self.path}: {error}") from error

    def _parsed(self, line: bytes) -> RecordedAnswer:
        try:
            return RecordedAnswer.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            problem = ": ".join([".".join(map(str, first["loc"])), first["msg"]]).removeprefix(": ")
            raise RecordingError(
                f"{self.path}, line {self._lines + 1}: not a recorded answer ({problem}). "
                "Correct the line or delete it; the other lines stay as they are."
            ) from error


def request_key(messages: Sequence[Message]) -> str:
    """Return the SHA-256 of the roles and contents of a chat."""
    return digest([[message.role, message.content] for message in messages], length=64)


def _lock(file: int, *, shared: bool) -> None:
    """Keep readers from seeing half a line, until the file is closed."""
    # Lines are whole without it (one write, appended), but a reader may be there while the write goes on.
    if sys.platform != "win32":
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)


def _ends_in_newline(file: int) -> bool:
    size = os.fstat(file).st_size
    if not size:
        return True
    os.lseek(file, size - 1, os.SEEK_SET)
    return os.read(file, 1) == b"\n"


def _how_to_record() -> str:
    return "to record it, give a live model: RecordedModel(path, live=open_model('http://localhost:8000/v1#model'))"
