"""The choice of a sandbox: by what a body needs, written down, and kept to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from seglam_agents.cache import ReasoningCache
from seglam_agents.guards.code import MAX_STRIKES, CodeGuard
from seglam_agents.guards.guard import Declined
from seglam_agents.guards.normal import normalise
from seglam_agents.guards.slots.exports import exports
from seglam_agents.records.entry import Check
from seglam_agents.records.errors import SandboxError
from seglam_agents.records.outcome import Hit, Miss
from seglam_agents.sandboxes.base import Execution, Failed, HostModule, Limits, Program, Returned, Sandbox, offers
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
    assert (chosen.sandbox, chosen.reason) == ("monty", "")
    assert choice.name == "monty"
    assert choice.offered == ("monty", "process")


@pytest.mark.parametrize("wrong", ["process", ProcessSandbox, 5, object()])
def test_what_is_no_sandbox_is_told_what_to_pass(wrong: Any) -> None:
    """A name or a class where a sandbox belongs says so at once, with what to write instead."""
    monty = MontySandbox()
    with pytest.raises(SandboxError, match=r"ProcessSandbox\(\).*monty,process"):
        SandboxChoice(monty, wrong)
    if not isinstance(wrong, str):
        with pytest.raises(SandboxError, match=r"is no sandbox"):
            ReasoningCache(None, sandbox=wrong)
    monty.close()


def test_a_cache_takes_the_names_of_the_command_line() -> None:
    """One name is a sandbox, several are a choice; what is none of them is told the names."""
    with ReasoningCache(None, sandbox="monty", second_sandbox=None) as cache:
        assert cache.sandbox.name == "monty"
    if not isinstance(second_sandbox(), Unavailable):
        with ReasoningCache(None, sandbox="monty,process", second_sandbox=None) as cache:
            assert isinstance(cache.sandbox, SandboxChoice) and cache.sandbox.offered == ("monty", "process")
    with pytest.raises(SandboxError, match="monty, process, e2b"):
        ReasoningCache(None, sandbox="docker")


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
@pytest.mark.parametrize("kind", [MontySandbox, ProcessSandbox])
def test_a_sandbox_has_somebody_who_works(kind: Any, workers: Any) -> None:
    """Numbers of workers that mean nothing are refused where they are given."""
    with pytest.raises(SandboxError, match="at least 1"):
        kind(workers=workers)


@pytest.mark.parametrize(
    "limit",
    [
        {"seconds": 0},
        {"seconds": -1},
        {"seconds": float("inf")},
        {"seconds": float("nan")},
        {"memory_bytes": 1},
        {"recursion_depth": 0},
        {"tool_calls": -1},
        {"output_bytes": -1},
        {"output_bytes": 10**40},
    ],
)
def test_limits_that_mean_nothing_are_refused(limit: Any) -> None:
    """They name what is wrong where they are written, not in the first run."""
    with pytest.raises(ValueError, match=next(iter(limit))):
        Limits(**limit)


def test_a_program_has_a_size(choice: SandboxChoice) -> None:
    """What is looked for in a program takes its host a while: one that is longer is refused unread."""
    long = Program("def run(): return 1\n" + "# a comment\n" * 20_000)
    assert choice.choose(long).sandbox is None
    assert "200,000 characters" in choice.check(long)[0].message


def test_a_package_that_was_not_named_is_told_where_to_name_it() -> None:
    """CPython could have it: the message says how, and names every module once."""
    (problem,) = ProcessSandbox(modules=SLOTS).check(Program("import numpy\ndef run(): return 1"))
    assert "packages=['numpy']" in problem.message and "--packages numpy" in problem.message
    assert problem.message.count("slots") == 1


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
    assert offers(choice, "process") and not offers(choice, "e2b")
    with pytest.raises(SandboxError, match="e2b"):
        choice.run(Program("def run(): return 1", sandbox="e2b"), {})


def test_two_of_one_name_are_refused() -> None:
    """The name in a procedure must mean one sandbox."""
    with pytest.raises(ValueError, match="one name"):
        SandboxChoice(MontySandbox(), MontySandbox())


def made_by_users() -> dict[str, Sandbox]:
    """Return sandboxes as a user makes them: nobody thinks of `slots`."""
    made: dict[str, Sandbox] = {"monty": MontySandbox(workers=2), "process": ProcessSandbox(workers=2)}
    return {**made, "choice": SandboxChoice(MontySandbox(workers=2), ProcessSandbox(workers=2))}


@pytest.mark.parametrize("kind", ["monty", "process", "choice"])
def test_a_sandbox_that_a_user_makes_gets_slots_from_the_cache(kind: str) -> None:
    """Also where sessions without them were made ahead already."""
    probe = second_sandbox()
    if isinstance(probe, Unavailable):
        pytest.skip(probe.reason)
    probe.close()
    sandbox = made_by_users()[kind]
    program = Program("from slots import find\ndef run(text): return len(find('number', text))")
    for _ in range(3):
        assert isinstance(sandbox.run(Program("def run(): return 1"), {}), Returned)
        assert isinstance(sandbox.run(program, {"text": "1 and 2"}), Failed)
    with ReasoningCache(sandbox=sandbox, second_sandbox=None) as cache:
        assert not cache.sandbox.check(program)
        for _ in range(5):
            execution = cache.sandbox.run(program, {"text": "1 and 2"})
            assert isinstance(execution, Returned) and execution.value == 2, execution
    sandbox.close()


def test_a_module_of_the_users_own_stays() -> None:
    """Whoever brings `slots` keeps his."""
    sandbox = MontySandbox(workers=1, modules=[HostModule("slots", {"mine": lambda: 7})])
    with ReasoningCache(sandbox=sandbox, second_sandbox=None) as cache:
        execution = cache.sandbox.run(Program("from slots import mine\ndef run(): return mine()"), {})
    sandbox.close()
    assert isinstance(execution, Returned) and execution.value == 7


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
        missed = cache.lookup("mean of 10 and 20")
        assert isinstance(missed, Miss) and missed.kind == "sandbox", missed
        assert "'process'" in missed.reason and "has monty" in missed.reason
        assert any(stop.stage == "sandbox" for stop in cache.explain("mean of 10 and 20").stops)


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


FIRST_SEEN = """NAME = "first_seen"
TEMPLATES = ["which is first of {a:number}"]
EXPECTED = ["4"]

def run(a):
    return ", ".join(dict.fromkeys([f"{int(a)}"]))
"""
ALONE: dict[str, Any] = {"second_sandbox": None, "second_opinion": False}


def learnt(store: MemoryStore, sandbox: Sandbox, source: str, request: str, **options: Any) -> ReasoningCache:
    """Return an open cache that has learnt one procedure."""
    cache = ReasoningCache(
        store, ScriptedModel(writes(f"```python\n{source}```")), sandbox=sandbox, **(ALONE | options)
    )
    cache.answer(request)
    return cache


def process(**options: Any) -> ProcessSandbox:
    sandbox = ProcessSandbox(**options)
    try:
        sandbox.start()
    except SandboxError as error:
        pytest.skip(str(error))
    return sandbox


def test_a_body_runs_only_where_it_was_admitted() -> None:
    """Admitted in the process sandbox, which was the default: another default is a miss with the reason, no answer."""
    store, sandbox = MemoryStore(), process(modules=SLOTS)
    with learnt(store, sandbox, FIRST_SEEN, "which is first of 4") as cache:
        assert isinstance(cache.lookup("which is first of 9"), Hit)
        assert [entry.procedure.sandbox for entry in cache.procedures()] == ["process"]
    with ReasoningCache(store, **ALONE) as cache:
        missed = cache.lookup("which is first of 9")
        assert isinstance(missed, Miss) and (missed.kind, missed.answer) == ("sandbox", None)
    for several in (SandboxChoice(MontySandbox(), sandbox), SandboxChoice(sandbox, MontySandbox())):
        with ReasoningCache(store, sandbox=several, **ALONE) as cache:
            assert isinstance(cache.lookup("which is first of 9"), Hit)
        several.close()


def test_the_name_of_the_default_is_recorded_too() -> None:
    """What Monty admitted runs in Monty, also where the process sandbox is the default of a later cache."""
    store, sandbox = MemoryStore(), process()
    with learnt(store, MontySandbox(), FIRST_SEEN, "which is first of 4") as cache:
        assert [entry.procedure.sandbox for entry in cache.procedures()] == ["monty"]
    with ReasoningCache(store, sandbox=sandbox, **ALONE) as cache:
        missed = cache.lookup("which is first of 9")
        assert isinstance(missed, Miss) and missed.kind == "sandbox"
    sandbox.close()


def test_a_record_without_a_name_means_monty() -> None:
    """Hashes that were written down stay true, and such a record serves in Monty alone."""
    store = MemoryStore()
    with learnt(store, MontySandbox(), FIRST_SEEN, "which is first of 4") as cache:
        (entry,) = cache.procedures()
    older = entry.procedure.model_copy(update={"sandbox": ""})
    assert (older.home, older.content_hash) == ("monty", entry.procedure.content_hash)
    assert entry.procedure.model_copy(update={"sandbox": "process"}).content_hash != older.content_hash


def test_a_package_that_is_not_there_is_a_miss_that_names_it() -> None:
    """The sandbox has the right name, and was opened without what the body imports."""
    source = FIRST_SEEN.replace("def run", "import numpy\n\ndef run").replace("int(a)", "int(numpy.floor(a))")
    store, sandbox = MemoryStore(), process(packages=("numpy",))
    roomy = Limits(seconds=5, memory_bytes=256 * 2**20)
    with learnt(store, sandbox, source, "which is first of 4", limits=roomy) as cache:
        assert isinstance(cache.lookup("which is first of 9"), Hit)
    sandbox.close()
    with ReasoningCache(store, sandbox=process(), **ALONE) as cache:
        missed = cache.lookup("which is first of 9")
        assert isinstance(missed, Miss) and missed.kind == "sandbox"
        assert "numpy" in missed.reason


def verdict_of_second(cache: ReasoningCache, request: str) -> Check:
    outcome = cache.answer(request)
    assert isinstance(outcome, Miss) and outcome.learned and outcome.learned.report
    report = outcome.learned.report
    return next(check for check in report.checks if check.name == "second sandbox")


def test_a_sandbox_is_never_its_own_second_opinion() -> None:
    """Two sandboxes of one name are one interpreter: the check is skipped, and says so."""
    sandbox, second = process(), process()
    model = ScriptedModel(writes(f"```python\n{FIRST_SEEN}```"))
    with ReasoningCache(None, model, sandbox=sandbox, second_sandbox=second, second_opinion=False) as cache:
        check = verdict_of_second(cache, "which is first of 4")
    assert (check.verdict, check.evidence) == ("skipped", "it runs in process itself")
    sandbox.close()
    second.close()


class Remote(MontySandbox):
    """A sandbox that says it is E2B."""

    @property
    def name(self) -> str:
        return "e2b"


def test_a_cache_of_a_remote_sandbox_alone_runs_nothing_here() -> None:
    """The second sandbox of `auto` would be this machine's: there is none, and the report says why."""
    sandbox = Remote()
    with ReasoningCache(
        None, ScriptedModel(writes(f"```python\n{FIRST_SEEN}```")), sandbox=sandbox, second_opinion=False
    ) as cache:
        check = verdict_of_second(cache, "which is first of 4")
    assert check.verdict == "skipped" and "remote" in check.evidence
    sandbox.close()


class Spelling(MontySandbox):
    """A sandbox whose interpreter spells whole numbers otherwise."""

    @property
    def name(self) -> str:
        return "spelling"

    def run(self, *args: Any, **options: Any) -> Execution:
        execution = super().run(*args, **options)
        if isinstance(execution, Returned):
            return Returned(f"{execution.value}.0", execution.seconds)
        return execution


def test_a_number_spelled_otherwise_is_a_difference() -> None:
    """The text "4" beside "4.0" is what the second opinion is for."""
    second = Spelling()
    model = ScriptedModel(writes(f"```python\n{FIRST_SEEN}```"))
    with ReasoningCache(None, model, second_sandbox=second, second_opinion=False, repairs=0) as cache:
        check = verdict_of_second(cache, "which is first of 4")
    assert check.verdict == "failed" and ".0" in check.evidence
    second.close()


BREAKS = """NAME = "twelfth"
TEMPLATES = ["what is a twelfth of {a:number}"]
EXPECTED = ["1.5"]

def run(a):
    return f"{range(int(a), int(a) + 1).start / 12:g}"
"""


def test_what_only_a_run_shows_chooses_another_sandbox_too() -> None:
    """The look takes the body, Monty breaks at it: the next sandbox that is offered admits it and serves it."""
    sandbox = SandboxChoice(MontySandbox(modules=SLOTS), process(modules=SLOTS))
    assert sandbox.choose(Program(BREAKS)).sandbox == "monty"
    with learnt(MemoryStore(), sandbox, BREAKS, "what is a twelfth of 18") as cache:
        hit = cache.lookup("what is a twelfth of 30")
        assert isinstance(hit, Hit) and hit.answer == "2.5"
        assert [entry.procedure.sandbox for entry in cache.procedures()] == ["process"]
    sandbox.close()


class Away(MontySandbox):
    """A sandbox that cannot be reached."""

    runs = 0

    def run(self, *args: Any, **options: Any) -> Execution:
        self.runs += 1
        return Failed("unavailable", "nobody answers")


def test_a_sandbox_that_is_away_ends_the_admission() -> None:
    """The first run that finds nobody is the last one, and the model's answer is returned."""
    sandbox = Away()
    model = ScriptedModel(writes(f"```python\n{FIRST_SEEN}```"))
    with ReasoningCache(None, model, sandbox=sandbox, **ALONE) as cache:
        outcome = cache.answer("which is first of 4")
    assert isinstance(outcome, Miss) and outcome.answered_by == "model" and outcome.answer is not None
    assert outcome.learned and outcome.learned.status == "failed" and "nobody answers" in outcome.learned.reason
    assert sandbox.runs == 1
