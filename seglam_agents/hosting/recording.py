"""Runs recorded by callbacks: steps in the order in which they began, and whether the run was clean."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from seglam_agents.hosting.values import is_object
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.trace import ModelStep, Step, ToolStep, Trace

K = TypeVar("K")
"""What a host names its runs and steps by."""


@dataclass(slots=True)
class Run(Generic[K]):
    """One outermost run, while it runs."""

    inputs: object
    steps: dict[K, Step | None] = field(default_factory=dict[K, "Step | None"])
    called: dict[K, tuple[str, dict[str, Json]]] = field(default_factory=dict[K, "tuple[str, dict[str, Json]]"])
    spoilt: str = ""
    """Why it teaches nothing."""

    def call(self, key: K, tool: str, arguments: object) -> None:
        """Note with which arguments a tool is called."""
        if is_object(arguments):
            self.called[key] = (tool, {**arguments})
        else:
            self.spoilt = f"the arguments of {tool} are no JSON"

    def trace(self, request: Request | str | None, answer: Json) -> Trace | str:
        """Return the run as a trace, or why it is no clean run."""
        if any(step is None for step in self.steps.values()):
            self.spoilt = self.spoilt or "a step has no end"
        if self.spoilt or request is None or answer is None:
            return self.spoilt or "the run has no request, or no answer"
        asked = request if isinstance(request, Request) else Request(text=request)
        return Trace(request=asked, steps=tuple(step for step in self.steps.values() if step), answer=answer)


@dataclass(slots=True)
class Runs(Generic[K]):
    """The runs that are going on, by the outermost; what runs inside of one belongs to it. Safe between threads."""

    _runs: dict[K, Run[K]] = field(default_factory=dict[K, "Run[K]"])
    _roots: dict[K, K] = field(default_factory=dict[K, K])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        """How much is going on."""
        return len(self._runs) + len(self._roots)

    def begin(self, key: K, parent: K | None, inputs: object = None, *, step: bool = False) -> Run[K] | None:
        """Begin a run, or what runs inside of one; None for a step on its own, which is no run of an agent."""
        with self._lock:
            root = self._roots.get(parent) if parent is not None else None
            if root is None:
                if step:
                    return None
                root = key
                self._runs[root] = Run(inputs)
            self._roots[key] = root
            run = self._runs.get(root)
            if step and run is not None:
                run.steps[key] = None
            return run

    def of(self, key: K) -> Run[K] | None:
        """Return the run that something belongs to."""
        with self._lock:
            return self._runs.get(self._roots[key]) if key in self._roots else None

    def fill(self, key: K, step: Step | ModelStep | None) -> None:
        """End a step; with None, it is left out."""
        run = self.of(key)
        if run is None:
            return
        with self._lock:
            if step is None:
                run.steps.pop(key, None)
            elif key in run.steps:
                run.steps[key] = step

    def returned(self, key: K, result: Json, error: str | None = None) -> None:
        """End a tool call. A run with one that failed teaches nothing."""
        run = self.of(key)
        if run is None or key not in run.called:
            return
        tool, arguments = run.called[key]
        if error is not None:
            run.spoilt = f"{tool} failed: {error}"
        self.fill(key, ToolStep(tool=tool, arguments=arguments, result=result, error=error))

    def spoil(self, key: K, why: str) -> None:
        """Say that a run teaches nothing."""
        if run := self.of(key):
            run.spoilt = why

    def end(self, key: K) -> Run[K] | None:
        """End what runs, and return the run where it was the outermost."""
        with self._lock:
            run = self._runs.pop(key, None)
            if run is not None:
                self._roots = {other: root for other, root in self._roots.items() if root != key}
            return run
