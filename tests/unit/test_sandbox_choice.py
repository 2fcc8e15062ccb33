"""The choice of a sandbox: by what a body needs, written down, and kept to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seglam_agents.cache import ReasoningCache
from seglam_agents.guards.code import MAX_STRIKES, CodeGuard
from seglam_agents.guards.guard import Declined
from seglam_agents.guards.normal import normalise
from seglam_agents.guards.slots.exports import exports
from seglam_agents.records.errors import SandboxError
from seglam_agents.records.outcome import Hit, Miss
from seglam_agents.sandboxes.base import HostModule, Limits, Program, Returned, offers
from seglam_agents.sandboxes.choice import SandboxChoice
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.sandboxes.process import ProcessSandbox, Unavailable, second_sandbox
from seglam_agents.stores.memory import MemoryStore
from seglam_agents.testing.models import ScriptedModel, writes

SLOTS = (HostModule("slots", exports()),)
PLAIN = Program("def run(x): return x + 1")
LAZY = "def evens(n):\n    for i in range(n):\n        if i % 2 == 0:\n            yield i\n"
NEEDS_CPYTHON = Program(f"{LAZY}import statistics\ndef run(x): return statistics.mean(evens(x))")


@pytest.fixture(scope="module")
def choice() -> Iterator[SandboxChoice]:
    other = second_sandbox(SLOTS)
    if isinstance(other, Unavailable):
        pytest.skip(other.reason)
    made = SandboxChoice(MontySandbox(modules=SLOTS), other)
    yield made
    made.close()


def test_the_default_is_chosen_where_it_can(choice: SandboxChoice) -> None:
    """What Monty can run, Monty runs."""
    chosen = choice.choose(PLAIN)
    assert (chosen.sandbox, chosen.reason) == ("", "")
    assert choice.name == "monty"
    assert choice.offered == ("monty", "process")


def test_another_is_chosen_for_what_the_default_lacks(choice: SandboxChoice) -> None:
    """A generator needs CPython; the choice says so, and the program runs there."""
    chosen = choice.choose(NEEDS_CPYTHON)
    assert chosen.sandbox == "process"
    assert "monty: " in chosen.reason
    program = Program(NEEDS_CPYTHON.source, sandbox="process")
    assert choice.check(NEEDS_CPYTHON) and not choice.check(program)
    execution = choice.run(program, {"x": 10})
    assert isinstance(execution, Returned) and execution.value == 4


def test_nothing_is_chosen_for_what_none_can_run(choice: SandboxChoice) -> None:
    """Files exist in no sandbox, and every one says why."""
    chosen = choice.choose(Program("def run(): return open('x')"))
    assert chosen.sandbox is None
    assert set(chosen.lacking) == {"monty", "process"}


def test_a_sandbox_that_is_not_there_is_an_error_that_says_so(choice: SandboxChoice) -> None:
    """A program for another sandbox never falls back to one in which it might mean something else."""
    assert offers(choice, "process") and offers(choice, "") and not offers(choice, "e2b")
    with pytest.raises(SandboxError, match="e2b"):
        choice.run(Program("def run(): return 1", sandbox="e2b"), {})


def test_two_of_one_name_are_refused() -> None:
    """The name in a procedure must mean one sandbox."""
    with pytest.raises(ValueError, match="one name"):
        SandboxChoice(MontySandbox(), MontySandbox())


SPREAD = '''"""The mean of some numbers."""
TEMPLATES = ["mean of {a:number} and {b:number}"]
EXPECTED = [3]

def halves(a, b):
    yield a / 2
    yield b / 2

def run(a, b):
    return sum(halves(a, b))
'''


def test_the_choice_is_written_into_the_procedure(choice: SandboxChoice) -> None:
    """A body that Monty cannot run is admitted for the process sandbox, serves there, and nowhere else."""
    store = MemoryStore()
    model = ScriptedModel(writes(f"```python\n{SPREAD}```"))
    options = {"second_sandbox": None, "second_opinion": False}
    with ReasoningCache(store, model, sandbox=choice, **options) as cache:  # type: ignore[arg-type]
        cache.answer("mean of 2 and 4")
        outcome = cache.lookup("mean of 10 and 20")
        assert isinstance(outcome, Hit), outcome
        assert outcome.answer == 15
        (entry,) = cache.procedures()
        assert entry.procedure.sandbox == "process"
    with ReasoningCache(store, sandbox=MontySandbox(modules=SLOTS), **options) as cache:  # type: ignore[arg-type]
        assert isinstance(cache.lookup("mean of 10 and 20"), Miss)


def test_a_guard_that_never_ends_is_asked_a_few_times_only() -> None:
    """Requests of other kinds do not wait for it for ever."""
    sandbox = MontySandbox(workers=1)
    guard = CodeGuard("def match(request):\n    while True: pass", sandbox, limits=Limits())
    told = [guard.match(normalise("anything")) for _ in range(MAX_STRIKES + 1)]
    sandbox.close()
    assert all(isinstance(judgement, Declined) for judgement in told)
    last = told[-1]
    assert isinstance(last, Declined) and "not asked any more" in last.reason
    assert isinstance(told[0], Declined) and "limit" in told[0].reason


def test_the_process_sandbox_runs_packages_that_it_was_given() -> None:
    """A third-party package is loaded before the locks, and imported by those that name it."""
    probe = second_sandbox()
    if isinstance(probe, Unavailable):
        pytest.skip(probe.reason)
    probe.close()
    sandbox = ProcessSandbox(packages=("numpy",))
    program = Program("import numpy as np\ndef run(xs): return float(np.median(np.array(xs)))")
    assert not sandbox.check(program)
    execution = sandbox.run(program, {"xs": [3, 1, 2]}, limits=Limits(seconds=5, memory_bytes=256 * 2**20))
    sandbox.close()
    assert isinstance(execution, Returned) and execution.value == 2.0
