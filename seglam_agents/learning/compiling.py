"""From a task to a stored procedure: compile, ask for a second opinion, admit, store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from seglam_agents.admission.admission import Admission
from seglam_agents.books import Books
from seglam_agents.compilers.base import (
    Candidate,
    Compilation,
    Compiled,
    Compiler,
    CompileTask,
    Known,
    NotCrystallizable,
    Rejected,
)
from seglam_agents.flow import Flow, work
from seglam_agents.learning.interpreter import agree, interpret, read_answer
from seglam_agents.learning.kinds import Kind, Kinds
from seglam_agents.lifecycle.entries import Entries
from seglam_agents.records.entry import AdmissionReport, Check, Entry
from seglam_agents.records.outcome import Learned
from seglam_agents.records.procedure import Procedure
from seglam_agents.records.record import Json, digest
from seglam_agents.records.request import Scope
from seglam_agents.records.tools import Tool
from seglam_agents.records.usage import Usage
from seglam_agents.serving.loading import placed
from seglam_agents.serving.retriever import Retriever


@dataclass(frozen=True, slots=True)
class Compiling:
    """Turns tasks into stored procedures.

    Args:
        compilers: asked in turn until one has an admitted candidate.
        admission: what a candidate must pass.
        entries: writes what was admitted.
        retriever: what serves already, and is told of what is new.
        kinds: told what came of a kind.
        books: where costs and counts go.
        tools: what bodies may call.
        instructions: digest of what the agent is told; a condition of what is learnt now.
        second_opinion: whether the model itself must agree where no answer is known.
    """

    compilers: Sequence[Compiler]
    admission: Admission
    entries: Entries
    retriever: Retriever
    kinds: Kinds
    books: Books
    tools: Mapping[str, Tool]
    instructions: str = ""
    second_opinion: bool = True

    def compile(self, task: CompileTask, kind: Kind, vector: Sequence[float]) -> Flow[Learned]:
        """Let the compilers try a task in turn, and store what is admitted."""
        known, usage = task.requests[0], Usage()
        result: Compilation = Rejected("no compiler was given", Usage(), 0)
        answer: Json = None
        for compiler in self.compilers:
            result = yield from compiler.compile(task, self.admit)
            usage += result.usage
            if isinstance(result, Compiled) and self.second_opinion and _unproven(known, result.candidate):
                result, answer, extra = yield from self._confirm(compiler, task, known, result)
                usage += extra
            if isinstance(result, Compiled):
                break
        compiled = result
        learned = yield from work(lambda: self.conclude(compiled, usage, known.request.scope, kind, vector))
        return replace(learned, answer=answer) if learned.answer is None else learned

    def admit(self, candidate: Candidate) -> AdmissionReport:
        """Try a candidate against everything that serves beside it, in the sandbox that it needs."""
        candidate = self._placed(candidate)
        replaced = {procedure.id for procedure in candidate.replaces}
        serving = self.retriever.serving(candidate.procedure.scope)
        others = [loaded for loaded in serving if loaded.procedure.id not in replaced]
        return self.admission.examine(candidate, tools=self.tools, others=others)

    def conclude(self, result: Compilation, usage: Usage, scope: Scope, kind: Kind, vector: Sequence[float]) -> Learned:
        """Store what was admitted, and remember what was refused."""
        match result:
            case Compiled(candidate=made, report=report, attempts=attempts):
                candidate = self._placed(made)
                if candidate.parent and candidate.parent.content_hash == candidate.procedure.content_hash:
                    return Learned(status="deferred", reason=f"{candidate.parent.key} says it already", usage=usage)
                entry = self._store(candidate, report, vector)
                self.kinds.learned(scope, kind)
                self.books.add("admitted")
                status = "widened" if candidate.parent else "admitted"
                key = entry.procedure.key
                return Learned(status=status, procedure=key, report=report, attempts=attempts, usage=usage)
            case Rejected(reason=reason, report=report, attempts=attempts):
                self.kinds.refuse(scope, kind, reason)
                self.books.add("rejected")
                return Learned(status="rejected", reason=reason, report=report, attempts=attempts, usage=usage)
            case NotCrystallizable(reason=reason, answer=answer):
                self.kinds.refuse(scope, kind, reason)
                self.books.add("not_crystallizable")
                said = read_answer(f"ANSWER: {answer}") if answer else None
                return Learned(status="not crystallizable", reason=reason, answer=said, usage=usage)

    def _placed(self, candidate: Candidate) -> Candidate:
        sandbox, clock = self.admission.executor.sandbox, self.admission.now is not None
        return replace(candidate, procedure=placed(candidate.procedure, sandbox, tools=self.tools, clock=clock))

    def _store(self, candidate: Candidate, report: AdmissionReport, vector: Sequence[float]) -> Entry:
        parent = candidate.parent
        # Further wordings of a body say nothing new about the conditions that it holds under.
        same_body = parent is not None and parent.body == candidate.procedure.body
        told = parent.instructions if parent is not None and same_body else self.instructions
        procedure = self._beside(candidate.procedure.model_copy(update={"instructions": told}), parent)
        entry = self.entries.admit(
            procedure,
            report,
            parent=parent,
            replaces=candidate.replaces,
            made_from=[known.trace.id if known.trace else known.request.key for known in candidate.known],
            vector=vector,
        )
        self.retriever.refresh(procedure.scope)
        return entry

    def _beside(self, procedure: Procedure, parent: Procedure | None) -> Procedure:
        """Return a new procedure under an id of its own where one of its id was learnt under other conditions.

        Two versions of an agent, as in a roll-out, must not take a procedure from each other.
        """
        current = None if parent else self.entries.store.get(procedure.scope, procedure.id)
        if current is None or current.procedure.conditions.key == procedure.conditions.key:
            return procedure
        return procedure.model_copy(update={"id": f"{procedure.id}-{digest(procedure.conditions.key, length=6)}"})

    def _confirm(
        self, compiler: Compiler, task: CompileTask, known: Known, compiled: Compiled
    ) -> Flow[tuple[Compilation, Json, Usage]]:
        """Ask the model for the answer itself; where the code disagrees, compile once more with that answer."""
        said = yield from interpret(known.request)
        theirs, usage = said.answer, said.usage
        ours = compiled.candidate.known[-1].answer
        if agree(ours, theirs):
            return _opinion(compiled, f"the model itself answers {theirs!r}"), theirs, usage
        corrected = replace(task, requests=(replace(known, answer=theirs),))
        result = yield from compiler.compile(corrected, self.admit)
        if isinstance(result, Compiled):
            evidence = f"the model itself answers {theirs!r}; a first version that answered {ours!r} was refused"
            return _opinion(result, evidence), theirs, usage + result.usage
        reason = f"second opinion: the code answers {ours!r}, the model itself {theirs!r}"
        return Rejected(reason, result.usage, compiled.attempts + 1), theirs, usage + result.usage


def _unproven(known: Known, candidate: Candidate) -> bool:
    """Tell whether nothing but the compiler's own word stands behind the answers of a candidate."""
    same_body = candidate.parent is not None and candidate.parent.body == candidate.procedure.body
    return known.answer is None and known.trace is None and not same_body


def _opinion(compiled: Compiled, evidence: str) -> Compiled:
    check = Check(name="second opinion", verdict="passed", evidence=evidence, cases=1)
    return replace(compiled, report=AdmissionReport(checks=(*compiled.report.checks, check)))
