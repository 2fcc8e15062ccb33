"""Every error of this package is in one tree, is named where the tree is drawn, and can be copied and sent."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import seglam_agents
from seglam_agents.records import errors
from seglam_agents.records.errors import SeglamError, TemplateError


def tree(root: type[SeglamError] = SeglamError) -> Iterator[type[SeglamError]]:
    """Give every error of the package."""
    yield root
    for kind in root.__subclasses__():
        yield from tree(kind)


def imported() -> None:
    for module in pkgutil.walk_packages(seglam_agents.__path__, "seglam_agents."):
        if not module.name.endswith(("_jail", "_remote", "_worker", "_program", "_lifeline")):
            with suppress(ImportError):  # An extra that is not installed.
                importlib.import_module(module.name)


imported()
ERRORS = sorted(
    {kind for kind in tree() if kind.__module__.startswith("seglam_agents.")}, key=lambda kind: kind.__qualname__
)


def made(kind: type[SeglamError], data: st.DataObject) -> SeglamError:
    """Make an error of a kind, however it is called."""
    if not inspect.isfunction(kind.__init__):
        return kind(*data.draw(st.lists(st.text() | st.integers(), max_size=3)))
    types = {"int": st.integers(0, 100), "str": st.text()}
    parameters = list(inspect.signature(kind).parameters.values())
    return kind(*[data.draw(types.get(str(parameter.annotation), st.text())) for parameter in parameters])


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_error_can_be_copied_and_sent(kind: type[SeglamError], data: st.DataObject) -> None:
    """A worker of a pool raises it where it is waited for: the same type, words, fields and notes."""
    error = made(kind, data)
    error.add_note("seen in a worker")
    copies: list[Any] = [copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))]
    for one in copies:
        assert type(one) is kind and str(one) == str(error) and repr(one) == repr(error)
        assert one.__dict__ == error.__dict__ and one.args == error.args


def test_the_position_in_a_template_survives() -> None:
    """What points at the character does so in another process as well."""
    error = pickle.loads(pickle.dumps(TemplateError("no such slot", "Order {n:cuont}", 9)))
    assert (error.problem, error.template, error.position) == ("no such slot", "Order {n:cuont}", 9)


def test_the_tree_names_every_public_error() -> None:
    """What the compiler of runs tells itself is left out: it never leaves it."""
    drawn = errors.__doc__ or ""
    public = [
        kind
        for kind in ERRORS
        if not kind.__name__.startswith("_") and not kind.__module__.startswith("seglam_agents.compilers.traces.")
    ]
    assert len(public) > 15
    assert [kind.__name__ for kind in public if kind.__name__ not in drawn.split()] == []
