"""Everything this package raises.

Misses, refusals and deopts are values (`seglam_agents.records.outcome`); an exception means that something is broken.

* SeglamError
  - TemplateError      a guard template cannot be read; points at the character
  - PredicateError     a guard's `where` expression uses something it may not
  - SlotError          a slot type or its options do not exist
  - SandboxError       the sandbox itself is broken or not available on this machine
    + BusyError        every worker of it is in use
    + BrokenError      what runs a program does not keep to the protocol
  - NotAValueError     a tool or a body returned something that is no value
    + TooLargeError    it would be a value, but a larger one than is allowed
  - StoreError         the store is broken
    + ConflictError    a compare-and-set write lost against another writer
    + SchemaError      a stored record is newer than this package, or not a record at all
  - TransitionError    a procedure cannot go from its status to the one that was asked for
  - ClockError         the declared clock of a cache is broken
  - StaleError         a tool of a procedure is gone
  - ModelError         the chat model could not be reached or gave no usable reply
    + RecordingError   a recorded model was asked something it does not hold
  - ToolsError         a file that should declare tools does not (`seglam_agents.harvest`)
  - UnreadableRun      an exported run cannot be read (`seglam_agents.harvest`)
  - CommandError       a command cannot do what it was asked (`seglam_agents.cli`)
  - SurfaceError       a surface cannot be opened as it was asked for (`seglam_agents.surfaces`)
  - ToolError          a procedure that a LlamaIndex agent called as a tool has no answer (`llama_index.tools.seglam`)

All of them can be copied, and sent from process to process. What the compiler of runs raises within itself
(`seglam_agents.compilers.traces`) descends from `SeglamError` too, and never leaves it. A `ValueError` says that an
argument cannot be what it is.
"""

from __future__ import annotations


class SeglamError(Exception):
    """The root of every error this package raises."""

    def __reduce__(self) -> tuple[object, ...]:
        # Exception makes a copy by calling its class with what the message is: not all of ours are called like that.
        return _again, (type(self), self.args, self.__dict__)


class TemplateError(SeglamError):
    """A guard template cannot be read."""

    def __init__(self, problem: str, template: str, position: int) -> None:
        self.problem = problem
        self.template = template
        self.position = position
        start = max(0, position - 40)
        excerpt = template[start : position + 40]
        super().__init__(f"{problem} (character {position})\n  {excerpt}\n  {' ' * (position - start)}^")


class PredicateError(SeglamError):
    """A guard's `where` expression cannot be read or uses something it may not."""


class SlotError(SeglamError):
    """A slot type or its options do not exist."""


class SandboxError(SeglamError):
    """The sandbox itself is broken, or cannot work on this machine."""


class NotAValueError(SeglamError, TypeError):
    """Something is no value that bodies, stores and prompts can hold, and cannot be made one."""


class Outage:
    """A store, or one side of it, that may be away: what was said of that so far. It begins again once it was back."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def begins(self, sentence: str) -> bool:
        """Tell whether this is said for the first time since the store was there."""
        new = sentence not in self._said
        self._said.add(sentence)
        return new

    def over(self) -> None:
        """Note that the store is there."""
        if self._said:
            self._said = set()


class StoreError(SeglamError):
    """The store is broken or cannot be reached.

    Args:
        message: what is wrong, and what to do.
        outage: of the store, where it is away rather than asked for something wrong.
    """

    def __init__(self, message: str, outage: Outage | None = None) -> None:
        super().__init__(message)
        self.outage = outage


class ConflictError(StoreError):
    """A compare-and-set write lost against another writer: read again, then retry."""


class SchemaError(StoreError):
    """A stored record cannot be read by this version of the package."""


class TransitionError(SeglamError):
    """A procedure cannot go from its status to the one that was asked for."""


class StaleError(SeglamError):
    """A tool that a procedure uses is gone."""


class ClockError(SeglamError):
    """The declared clock of a cache is broken."""


class ModelError(SeglamError):
    """The chat model could not be reached or gave no usable reply."""


class RecordingError(ModelError):
    """A recorded model was asked something it does not hold."""


def _again(kind: type[SeglamError], arguments: tuple[object, ...], state: dict[str, object]) -> SeglamError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(state)
    return error


def said(error: BaseException) -> str:
    """Return the type and the words of an error of others, which may have none. Never raises."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__
