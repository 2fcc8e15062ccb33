"""`Admission`: refuse by default, report every check.

The letters are those of the design: (a) static, (b) replay, (c) samples in two sandboxes, (d) mutations of requests,
(e) held-out traces, (f) neighbours, (g) time budget, (h) types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from seglam_agents.admission.accounting import check_accounting
from seglam_agents.admission.altered import check_altered
from seglam_agents.admission.case import Case
from seglam_agents.admission.fresh import (
    check_answers,
    check_budget,
    check_code,
    check_effects,
    check_foreign,
    check_mutations,
    check_samples,
    check_second,
)
from seglam_agents.admission.memory import check_branches, check_memory
from seglam_agents.admission.replay import (
    check_counterexamples,
    check_held_out,
    check_neighbours,
    check_related,
    check_replay,
)
from seglam_agents.admission.source import (
    check_alternatives,
    check_amounts,
    check_constants,
    check_dialect,
    check_open_words,
    check_readings,
    check_types,
    check_units,
)
from seglam_agents.admission.widening import check_subject, check_widening
from seglam_agents.admission.witness import Witness
from seglam_agents.compilers.base import Candidate
from seglam_agents.guards.narrow import WRITE_RANGE, WriteRange
from seglam_agents.records.entry import AdmissionReport, Check
from seglam_agents.records.errors import SeglamError
from seglam_agents.records.tools import Tool
from seglam_agents.sandboxes.base import Sandbox, names, offers
from seglam_agents.serving.executor import Executor
from seglam_agents.serving.loading import Loaded, load


@dataclass(frozen=True, slots=True)
class Admission:
    """Examines candidates.

    Args:
        executor: runs the bodies, in the sandbox that will serve them.
        second: another sandbox whose answers must agree; None with `second_reason` where the machine has none.
        samples: fresh requests a template.
        mutations: mutated requests a known request.
        budget_seconds: time that one run of the body may take.
        seed: of samples and mutations, so that a report can be repeated.
        now: the declared clock of bodies; None where a body that reads the clock is refused.
        locale: how users write numbers, dates and money.
        write_range: how far beyond the numbers seen others may lie where something is written.
    """

    executor: Executor
    second: Sandbox | None = None
    second_reason: str = "no second sandbox was given"
    samples: int = 12
    mutations: int = 120
    budget_seconds: float = 0.2
    seed: int = 0
    now: Callable[[], datetime] | None = None
    locale: str = ""
    write_range: WriteRange = WRITE_RANGE

    def examine(
        self, candidate: Candidate, *, tools: Mapping[str, Tool], others: Sequence[Loaded] = ()
    ) -> AdmissionReport:
        """Try a candidate against every check, and report all of them.

        Where its body breaks in its sandbox, the other ones that can run it are tried: the first may lack what only a
        run shows. `AdmissionReport.sandbox` says where it was tried.

        Raises:
            SandboxError: a sandbox is away.
        """
        report, broke = self._tried(candidate, tools, others)
        if report.admitted or not broke:
            return report
        for name in self._elsewhere(candidate, tools):
            procedure = candidate.procedure.model_copy(update={"sandbox": name})
            second, _ = self._tried(replace(candidate, procedure=procedure), tools, others)
            if second.admitted:
                return second
        return report

    def _elsewhere(self, candidate: Candidate, tools: Mapping[str, Tool]) -> Iterator[str]:
        """Return the sandboxes after the one that a candidate was tried in that can run it, too."""
        offered, home = names(self.executor.sandbox), candidate.procedure.home
        for name in offered[offered.index(home) + 1 :] if home in offered else ():
            loaded = self.loaded(
                replace(candidate, procedure=candidate.procedure.model_copy(update={"sandbox": name})), tools
            )
            if not loaded.missing:
                yield name

    def _tried(
        self, candidate: Candidate, tools: Mapping[str, Tool], others: Sequence[Loaded]
    ) -> tuple[AdmissionReport, bool]:
        """Return the report of one sandbox, and whether a program broke in it."""
        witness = Witness(self.executor.sandbox)
        witnessed = replace(self, executor=replace(self.executor, sandbox=witness))
        report = witnessed._report(candidate, tools=tools, others=others)
        return report.model_copy(update={"sandbox": candidate.procedure.home}), witness.broke

    def _report(self, candidate: Candidate, *, tools: Mapping[str, Tool], others: Sequence[Loaded]) -> AdmissionReport:
        try:
            loaded = self.loaded(candidate, tools)
        except SeglamError as error:
            return AdmissionReport(checks=(Check(name="loading", verdict="failed", evidence=str(error)),))
        if loaded.missing and not offers(self.executor.sandbox, candidate.procedure.home):
            return AdmissionReport(checks=(Check(name="loading", verdict="failed", evidence=loaded.missing),))
        if self.now is not None:
            loaded = replace(loaded, program=replace(loaded.program, clock=True))
        case = self._case(candidate, loaded, others, tools)
        static = [check(case) for check in _STATIC if _concerns(check, candidate)]
        if any(check.name in ("dialect", "types") and check.verdict == "failed" for check in static):
            # What cannot run properly is not run: the findings would all be the same.
            return AdmissionReport(checks=tuple(static))
        return AdmissionReport(checks=(*static, *self._run(case)))

    def loaded(self, candidate: Candidate, tools: Mapping[str, Tool]) -> Loaded:
        """Make an admitted candidate ready to be asked."""
        return load(
            candidate.procedure,
            self.executor.sandbox,
            tools=tools,
            limits=self.executor.limits,
            locale=self.locale,
            write_range=self.write_range,
        )

    def _case(self, candidate: Candidate, loaded: Loaded, others: Sequence[Loaded], tools: Mapping[str, Tool]) -> Case:
        parent = candidate.parent.id if candidate.parent else None
        return Case(
            candidate=candidate,
            loaded=loaded,
            executor=self.executor,
            second=self.second,
            second_reason=self.second_reason,
            others=[other for other in others if other.procedure.id != parent],
            seed=self.seed,
            samples=self.samples,
            mutations=self.mutations,
            budget_seconds=self.budget_seconds,
            tools=tools,
            now=self.now,
            locale=self.locale,
        )

    def _run(self, case: Case) -> list[Check]:
        known: tuple[Callable[[Case], Check], ...] = (
            check_replay,
            *((check_held_out,) if case.candidate.held_out is not None else ()),
            check_altered,
            check_related,
            check_counterexamples,
            check_mutations,
            check_foreign,
            *((check_readings, check_code, check_accounting) if case.candidate.procedure.guard.code else ()),
            *((check_widening,) if case.candidate.parent is not None else ()),
            check_neighbours,
        )
        checks = [check(case) for check in known]
        sampled, runs = check_samples(case)
        return [
            *checks,
            sampled,
            check_second(case, runs),
            check_answers(case, runs),
            check_effects(case, runs),
            check_budget(case, runs),
        ]


def _concerns(check: Callable[[Case], Check], candidate: Candidate) -> bool:
    if check is check_constants:
        return candidate.procedure.writes
    # What runs showed to be the same needs no likeness of words.
    return check is not check_subject or (candidate.parent is not None and bool(candidate.expected))


_STATIC = (
    check_dialect,
    check_types,
    check_alternatives,
    check_amounts,
    check_open_words,
    check_constants,
    check_memory,
    check_branches,
    check_subject,
    check_units,
)
