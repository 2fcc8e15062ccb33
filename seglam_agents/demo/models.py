"""The model of the demo: the recording by default, and what the header says about it."""

from __future__ import annotations

from seglam_agents.demo.stream import FOLDER
from seglam_agents.models.base import Model
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
