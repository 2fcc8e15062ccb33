"""From a task to a stored procedure: compile, ask for a second opinion, admit, store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from seglam_agents.admission.admission import Admission
from seglam_agents.admission.attacker import (
    MAX_REQUESTS,
    attack_messages,
    caught,
    confirm_messages,
    confirmed,
    open_places,
)
from seglam_agents.admission.widening import reorders, says_new_words
from seglam_agents.books import Books
from seglam_agents.compilers.answers import agree, as_answer
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
from seglam_agents.flow import Flow, ask, work
from seglam_agents.guards.guard import Accepted
from seglam_agents.guards.normal import normalise
from seglam_agents.learning.interpreter import interpret
from seglam_agents.learning.kinds import Kind, Kinds
from seglam_agents.lifecycle.entries import Entries
from seglam_agents.records.entry import AdmissionReport, Check, Entry
from seglam_agents.records.errors import SchemaError
from seglam_agents.records.outcome import Learned
from seglam_agents.records.procedure import Example, Procedure, Provenance
from seglam_agents.records.record import Json, digest
from seglam_agents.records.request import Scope
from seglam_agents.records.tools import Tool
from seglam_agents.records.usage import Usage
from seglam_agents.serving.loading import Loaded, placed
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
        attacker: whether the model is asked for requests that a new guard with open words answers wrong.
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
    attacker: bool = True

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
                result = replace(result, candidate=self._placed(result.candidate, result.report))
            if isinstance(result, Compiled) and self.attacker and result.candidate.procedure.provenance.model:
                result = yield from self._attacked(compiler, task, result)
                usage += result.usage
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
                candidate = self._grown(self._placed(made, report))
                if candidate.parent and self._says_the_same(candidate.parent, candidate):
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
                said = as_answer(answer) if answer else None
                return Learned(status="not crystallizable", reason=reason, answer=said, usage=usage)

    def grow(self, loaded: Loaded, known: Known, kind: Kind, vector: Sequence[float]) -> Learned:
        """Store a procedure as known for one more request, which it answers right and declined for its words alone."""
        parent = loaded.procedure
        example = Example(text=known.request.text, context=known.request.context, answer=known.answer)
        candidate = Candidate(_next_version(parent, (example,), parent.provenance), (known,), parent=parent)
        report = self.admit(candidate)
        if not report.admitted:
            reason = "; ".join(check.evidence for check in report.failures)
            return Learned(status="rejected", reason=reason, report=report)
        return self.conclude(Compiled(candidate, report, Usage(), 0), Usage(), known.request.scope, kind, vector)

    def suspend(self, procedures: Sequence[Procedure], why: str) -> None:
        """Let procedures serve no more that all runs of their kind together do not support: until others explain them.

        What a body of fewer runs guessed from was refuted, even where it did not speak about the run that did so.
        """
        for procedure in procedures:
            self.entries.suspend(procedure, f"the runs of its kind do not support it any more: {why}"[:500])
        for scope in {procedure.scope.key: procedure.scope for procedure in procedures}.values():
            self.retriever.refresh(scope)

    def _says_the_same(self, parent: Procedure, candidate: Candidate) -> bool:
        """Tell whether a next version says nothing new: what it is known for decides what it takes as well.

        A body made from runs holds itself to what these had, so that it is another body where they had more.
        """
        made = candidate.procedure
        if parent.content_hash != made.content_hash:
            return False
        known = {example.text for example in parent.examples}
        new = [example for example in made.examples if example.text not in known]
        if not new or made.provenance.compiler == "traces":
            return True
        if made.writes:
            return False
        guard = self.admission.loaded(replace(candidate, procedure=parent), self.tools).guard
        return all(isinstance(guard.match(normalise(e.text), e.context), Accepted) for e in new)

    def _placed(self, candidate: Candidate, report: AdmissionReport | None = None) -> Candidate:
        """Return a candidate with the sandbox in which it was admitted, or is to be."""
        if report and report.sandbox:
            tried = candidate.procedure.model_copy(update={"sandbox": report.sandbox})
            return replace(candidate, procedure=tried)
        sandbox, clock = self.admission.executor.sandbox, self.admission.now is not None
        return replace(candidate, procedure=placed(candidate.procedure, sandbox, tools=self.tools, clock=clock))

    def _grown(self, candidate: Candidate) -> Candidate:
        """Return what would be stored beside its like as the next version of that: it is known for more requests.

        What writes takes only what is like the requests that it is known for, and so these must be in one place.
        """
        made = candidate.procedure
        if candidate.parent is not None or not made.writes:
            return candidate
        # One that only came back under today's conditions has others of its own.
        serving = (loaded.procedure for loaded in self.retriever.serving(made.scope) if loaded.held is None)
        twin = next((other for other in serving if other.content_hash == made.content_hash), None)
        if twin is None:
            return candidate
        return replace(candidate, procedure=_next_version(twin, made.examples, made.provenance), parent=twin)

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

    def _attacked(self, compiler: Compiler, task: CompileTask, compiled: Compiled) -> Flow[Compilation]:
        """Look for requests that the guard accepts and the body answers wrong; compile once more around them.

        The usage of what is returned is that of the attack and of what it led to.
        """
        loaded = yield from work(lambda: self.admission.loaded(compiled.candidate, self.tools))
        places = open_places(loaded, compiled.candidate.parent)  # Those of the parent were looked at when it was new.
        if not places:
            return replace(compiled, usage=Usage())
        reply = yield from ask(attack_messages(loaded, places), "attack")
        usage = reply.usage
        catches = yield from work(lambda: caught(reply.text, loaded, self.admission.executor))
        if catches:
            said = yield from ask(confirm_messages(catches, loaded), "attack")
            usage, catches = usage + said.usage, confirmed(said.text, catches)
        if not catches:
            return replace(_attack(compiled, "accepts nothing that it answers wrong", MAX_REQUESTS), usage=usage)
        texts = tuple(catch.text for catch in catches)
        result = yield from compiler.compile(replace(task, counterexamples=texts), self.admit)
        usage += result.usage
        if isinstance(result, Compiled):
            evidence = f"a first guard was refused, which accepted {'; '.join(map(repr, texts[:3]))}"
            return replace(_attack(result, evidence, len(texts)), usage=usage)
        reason = f"attacker: answers {texts[0]!r} wrong, and no narrower guard was found"
        return Rejected(reason, usage, compiled.attempts + 1)

    def _beside(self, procedure: Procedure, parent: Procedure | None) -> Procedure:
        """Return a new procedure under an id of its own where one of its id was learnt under other conditions.

        Two versions of an agent, as in a roll-out, must not take a procedure from each other.
        """
        try:
            current = None if parent else self.entries.store.get(procedure.scope, procedure.id)
        except SchemaError:
            # Of a newer version of this package: it stays as it is, for whoever can read it.
            return procedure.model_copy(update={"id": f"{procedure.id}-{digest(procedure.content_hash, length=6)}"})
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


def _next_version(parent: Procedure, examples: Sequence[Example], provenance: Provenance) -> Procedure:
    """Return the next version of a procedure, which is known for these requests as well."""
    known = {example.text for example in parent.examples}
    update = {
        "version": parent.version + 1,
        "examples": (*parent.examples, *(example for example in examples if example.text not in known)),
        "provenance": provenance.model_copy(update={"parent": parent.key}),
    }
    return parent.model_copy(update=update)


def _attack(compiled: Compiled, evidence: str, cases: int) -> Compiled:
    check = Check(name="attacker", verdict="passed", evidence=evidence, cases=cases)
    return replace(compiled, report=compiled.report.model_copy(update={"checks": (*compiled.report.checks, check)}))


def _unproven(known: Known, candidate: Candidate) -> bool:
    """Tell whether nothing but the compiler's own word stands behind the answers of a candidate."""
    if known.answer is not None or known.trace is not None:
        return False
    # A known body asked for in words that it has never been asked in is as good as the word for them.
    return (
        candidate.parent is None
        or candidate.parent.body != candidate.procedure.body
        or (says_new_words(candidate) or reorders(candidate))
    )


def _opinion(compiled: Compiled, evidence: str) -> Compiled:
    check = Check(name="second opinion", verdict="passed", evidence=evidence, cases=1)
    return replace(compiled, report=compiled.report.model_copy(update={"checks": (*compiled.report.checks, check)}))
