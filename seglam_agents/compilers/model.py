"""`ModelCompiler`: one structured request to a chat model, and at most N rounds of repair."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeAlias

from seglam_agents.compilers.base import (
    Admit,
    Candidate,
    Compilation,
    Compiled,
    CompileTask,
    Known,
    Neighbour,
    NotCrystallizable,
    Rejected,
)
from seglam_agents.compilers.declared import declared
from seglam_agents.compilers.prompts import prompt, quoted
from seglam_agents.compilers.reply import Declined, Module, Unreadable, read_reply
from seglam_agents.flow import Flow, ask, work
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.models.base import Message
from seglam_agents.records.entry import AdmissionReport
from seglam_agents.records.errors import PredicateError, TemplateError
from seglam_agents.records.procedure import Example, GuardSource, Parameter, Procedure, Provenance, ToolUse
from seglam_agents.records.record import Json, digest
from seglam_agents.records.tools import Tool
from seglam_agents.records.usage import Usage
from seglam_agents.sandboxes.dialect import DIALECT

MAX_TEMPLATES = 6
"""Templates of a stored procedure that go into a prompt, the newest: enough to see its slots."""
MAX_PROMPT_TEXT = 4_000
"""Characters of one request, or of one recorded tool result, that go into a prompt."""


@dataclass(frozen=True, slots=True)
class ModelCompiler:
    """Asks a chat model for a module with templates and a body.

    Args:
        model_name: how provenance names the model.
        repairs: how often admission's findings go back to the model before it gives up.
    """

    model_name: str
    repairs: int = 2

    @property
    def name(self) -> str:
        """The name in provenance."""
        return "model"

    def compile(self, task: CompileTask, admit: Admit) -> Flow[Compilation]:
        """Ask, admit, and send findings back until the candidate is admitted or the rounds are used up."""
        messages = compile_messages(task)
        prompt_hash = digest([(message.role, message.content) for message in messages])
        usage, last = Usage(), Rejected("the model was not asked", Usage(), 0)
        for attempt in range(1 + self.repairs):
            completion = yield from ask(messages, "repair" if attempt else "compile")
            usage += completion.usage
            reply = read_reply(completion.text, truncated=completion.truncated)
            if isinstance(reply, Declined):
                return NotCrystallizable(reply.reason, usage, reply.answer)
            candidate = self._candidate(reply, task, prompt_hash, attempt)
            if isinstance(candidate, Unreadable):
                finding = candidate.problem
                last = Rejected(f"unreadable: {finding}", usage, attempt + 1)
            else:
                report = yield from work(lambda candidate=candidate: admit(candidate))
                if report.admitted:
                    return Compiled(candidate, report, usage, attempt + 1)
                finding = findings(report)
                last = Rejected(_reason(report), usage, attempt + 1, candidate, report)
            messages = [*messages, Message("assistant", completion.text), Message("user", repair_text(finding))]
        return replace(last, usage=usage)

    def _candidate(
        self, reply: Module | Unreadable, task: CompileTask, prompt_hash: str, repairs: int
    ) -> Candidate | Unreadable:
        if isinstance(reply, Unreadable):
            return reply
        provenance = Provenance(
            compiler=self.name,
            model=self.model_name,
            prompt_hash=prompt_hash,
            trace_ids=tuple(known.trace.id for known in task.requests if known.trace),
            repairs=repairs,
            created_at=datetime.now(UTC),
        )
        return build_candidate(reply, task, provenance)


def compile_messages(task: CompileTask) -> list[Message]:
    """Return the prompt for a task: the same rules first, to the letter, then what this task is about."""
    parts = [_neighbours_part(task.neighbours)] if task.neighbours else []
    if task.tools:
        parts.append(_tools_part(task.tools))
    if task.related:
        parts.append(_related_part(task.related))
    if declined := (*task.negatives, *task.counterexamples):
        parts.append("The guard must decline:\n" + "\n".join(f"- {_quoted(text)}" for text in declined))
    if task.counterexamples:
        parts.append(
            "An earlier guard accepted some of these: write that slot's words literally, or as choice(eats|sells), "
            "or narrow WHERE."
        )
    if task.finding:
        parts.append(f"Another compiler, which only compares runs, refused: {_quoted(task.finding)}")
    parts.append(_requests_part(task.requests))
    return [Message("system", rules()), Message("user", "\n\n".join(parts))]


def rules() -> str:
    """Return the fixed part of the prompt, which providers may keep: it depends on no task."""
    return prompt("compile").replace("{dialect}", DIALECT)


def repair_text(finding: str) -> str:
    """Return the message that sends findings back."""
    return f"Refused:\n{finding}\nReply with the whole corrected module, in one Python code block."


def findings(report: AdmissionReport) -> str:
    """Return what failed, for the model to mend."""
    return "\n".join(f"- {check.name}: {check.evidence}" for check in report.failures)


def build_candidate(module: Module, task: CompileTask, provenance: Provenance) -> Candidate | Unreadable:
    """Make a procedure of a module that the model wrote, or say what does not fit together."""
    parent = _parent(module, task)
    if isinstance(parent, Unreadable):
        return parent
    module = _merged(module, parent) if parent else module
    context = tuple(Parameter(name=key, slot=kind, source="context") for key, kind in (module.context or {}).items())
    try:
        guard = GuardSource(
            templates=module.templates, where=module.where, code=module.source if module.has_match else None
        )
        parameters = TemplateGuard(guard, context=context).parameters() if module.templates else context
    except (TemplateError, PredicateError) as error:
        return Unreadable(f"the guard cannot be read: {error}")
    known = _known(task.requests, module)
    if isinstance(known, Unreadable):
        return known
    procedure = Procedure(
        # From what it was learnt from, not drawn: the same stream gives the same prompts, and recordings replay.
        id=parent.id
        if parent
        else f"{module.name}-{digest(module.source, module.templates, known[0].request.key, length=8)}",
        version=parent.version + 1 if parent else 1,
        name=module.name,
        description=module.description,
        scope=task.requests[0].request.scope,
        guard=guard,
        body=module.source,
        parameters=parameters,
        tools=tuple(ToolUse.of(tool) for tool in task.tools if _mentions(module.source, tool.name)),
        examples=_examples(known, parent),
        counterexamples=(
            *(parent.counterexamples if parent else ()),
            *(Example(text=text, origin="model") for text in task.counterexamples),
        ),
        provenance=provenance.model_copy(update={"parent": parent.key if parent else None}),
        signature=declared(module.source),
    )
    expected = frozenset(given.request.text for given in task.requests if given.answer is None)
    return Candidate(procedure, known, task.related, parent, expected=expected)


_Parent: TypeAlias = Procedure | Unreadable | None


def _parent(module: Module, task: CompileTask) -> _Parent:
    if module.widens is None:
        return None
    for neighbour in task.neighbours:
        if neighbour.procedure.id == module.widens:
            return neighbour.procedure
    shown = ", ".join(repr(neighbour.procedure.id) for neighbour in task.neighbours)
    return Unreadable(
        f"WIDENS names {module.widens!r}: {f'name one of {shown}' if shown else 'no procedure is shown'}, "
        "or write a new procedure without WIDENS"
    )


def _merged(module: Module, parent: Procedure) -> Module:
    """A widening adds templates; it keeps the name, and the body unless it has a `run` of its own."""
    context = {p.name: p.slot for p in parent.parameters if p.source == "context"}
    return replace(
        module,
        name=parent.name,
        description=module.description or parent.description,
        source=module.source if module.has_run else parent.body,
        templates=() if module.has_match else tuple(dict.fromkeys((*parent.guard.templates, *module.templates))),
        where=module.where or parent.guard.where,
        context=module.context or context,
    )


def _known(requests: Sequence[Known], module: Module) -> tuple[Known, ...] | Unreadable:
    expected = module.expected
    if expected is not None and len(expected) != len(requests):
        return Unreadable(
            f"EXPECTED has {len(expected)} answers for {len(requests)} given requests: give one for each, in order, "
            "and none for earlier requests"
        )
    if expected is None:
        if any(known.answer is None for known in requests):
            return Unreadable("EXPECTED is missing: work out the answer of each given request yourself")
        return tuple(requests)
    # What is known beats what the model expects: an answer that was observed is the truth to reproduce.
    return tuple(
        replace(known, answer=answer) if known.answer is None else known
        for known, answer in zip(requests, expected, strict=True)
    )


def _examples(known: Sequence[Known], parent: Procedure | None) -> tuple[Example, ...]:
    ours = tuple(
        Example(
            text=item.request.text,
            context=item.request.context,
            answer=item.answer,
            origin="trace" if item.trace else "request",
            trace_id=item.trace.id if item.trace else None,
        )
        for item in known
    )
    inherited = parent.examples if parent else ()
    return (*inherited, *(example for example in ours if example.text not in {e.text for e in inherited}))


def _mentions(source: str, name: str) -> bool:
    return f"{name}(" in source


def _reason(report: AdmissionReport) -> str:
    return "; ".join(f"{check.name}: {check.evidence}" for check in report.failures)[:1000]


def _requests_part(requests: Sequence[Known]) -> str:
    lines = [f"Write {'a' if len(requests) == 1 else 'one'} procedure for:"]
    for number, known in enumerate(requests, 1):
        lines.append(f"{number}. {_quoted(known.request.text)}")
        if known.request.context:
            kinds = "type of a slot, or string, number, boolean, array, object"
            lines.append(f"   context (declare CONTEXT = {{key: {kinds}}}): {_quoted(known.request.context)}")
        if known.answer is not None:
            lines.append(f"   right answer: {_quoted(known.answer)}")
        for step in known.trace.calls if known.trace else ():
            arguments = ", ".join(f"{_named(key)}={_quoted(value)}" for key, value in step.arguments.items())
            lines.append(f"   called {_named(step.tool)}({arguments}) -> {_quoted(step.result)}")
    return "\n".join(lines)


def _related_part(related: Sequence[Known]) -> str:
    lines = [
        "Earlier requests, of the same kind or not: what the guard accepts of them must be answered so. "
        "They need no entry in EXPECTED."
    ]
    lines += [f"- {_quoted(known.request.text)} -> {_quoted(known.answer)}" for known in related]
    return "\n".join(lines)


def _tools_part(tools: Sequence[Tool]) -> str:
    lines = ["Tools that `run` may call as functions (declared effects are binding):"]
    lines += [
        f"- {tool.name}({', '.join(tool.argument_names)}) [{tool.effect}] {' '.join(tool.description.split())}"
        for tool in tools
    ]
    return "\n".join(lines)


def _neighbours_part(neighbours: Sequence[Neighbour]) -> str:
    parts = ["Stored procedures that are near, but declined:"]
    for neighbour in neighbours:
        procedure = neighbour.procedure
        example = procedure.examples[-1] if procedure.examples else None
        lines = [
            f"id {_quoted(procedure.id)}, declined because: {_quoted(neighbour.stopped)}",
            *(f"  template {_quoted(template)}" for template in procedure.guard.templates[-MAX_TEMPLATES:]),
            *([f"  where {_quoted(procedure.guard.where)}"] if procedure.guard.where else []),
            *(f"  | {line}" for line in procedure.body.strip().splitlines() if line.strip()),
            *([f"  it answered {_quoted(example.text)} with {_quoted(example.answer)}"] if example else []),
        ]
        parts.append("\n".join(lines))
    return "\n".join(parts)


def _quoted(value: Json) -> str:
    """Write data so that no line of it can pass for a line of the prompt."""
    return quoted(_cut(value) if isinstance(value, str) else value)[: 2 * MAX_PROMPT_TEXT]


def _named(name: str) -> str:
    """Write a name that a trace brought, which may be anything."""
    return name if re.fullmatch(r"[\w.-]+", name) else _quoted(name)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_PROMPT_TEXT else text[:MAX_PROMPT_TEXT] + " … (cut)"
