"""The model of the demo: the recording by default, and never a silent failure."""

from __future__ import annotations

from collections.abc import Sequence

from seglam_agents.demo.stream import FOLDER
from seglam_agents.errors import ModelError
from seglam_agents.models.base import Completion, Message, Model
from seglam_agents.models.recorded import RecordedModel

RECORDING = FOLDER / "recording.jsonl"


def recorded_model() -> Model:
    """Return the model that replays the recording of the demo.

    Raises:
        RecordingError: there is no recording.
    """
    return RecordedModel(RECORDING)


def header(model: Model) -> str:
    """Return the line that says who answers: a model, or a recording of one."""
    name = model.name
    if not getattr(model, "recorded", False):
        return f"Answers of {name}, asked now."
    return f"Recorded answers of {name.removeprefix('recorded:')}, replayed; --model runs it live."


class Strict:
    """A model whose failures end the demo.

    A cache answers on when its model fails, as it should in production; a demo must not hide it.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._error: ModelError | None = None

    @property
    def name(self) -> str:
        """The name of the model itself."""
        return self._model.name

    def complete(self, messages: Sequence[Message]) -> Completion:
        """Answer a chat, and remember a failure."""
        try:
            return self._model.complete(messages)
        except ModelError as error:
            self._error = error
            raise

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        """Answer a chat, and remember a failure."""
        try:
            return await self._model.acomplete(messages)
        except ModelError as error:
            self._error = error
            raise

    def check(self) -> None:
        """Raise the failure that was remembered."""
        if self._error is not None:
            raise self._error
