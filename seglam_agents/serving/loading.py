"""`Loaded`: a stored procedure made ready to be asked and run."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from seglam_agents.guards.code import CodeGuard
from seglam_agents.guards.guard import TemplateGuard, context_value
from seglam_agents.guards.locales import notation
from seglam_agents.guards.narrow import AS_SEEN, WRITE_RANGE, Narrow, WriteRange
from seglam_agents.guards.normal import asks
from seglam_agents.records.entry import Confirmation, Written
from seglam_agents.records.errors import SandboxError, StaleError
from seglam_agents.records.procedure import FIRST_SANDBOX, Parameter, Procedure, ToolUse
from seglam_agents.records.record import Json
from seglam_agents.records.tools import Tool
from seglam_agents.records.values import Value, decode
from seglam_agents.records.ways import Way, beyond
from seglam_agents.sandboxes.base import Limits, Offering, Program, Sandbox, ToolCall, names, offers
from seglam_agents.serving.arguments import whole
from seglam_agents.serving.ways import Walk

CHANGED = "conditions changed since it was learnt"
AGREEING_TO_READ = 2
"""Different runs under new conditions that must go a way of a procedure before it goes it, where it changes nothing."""
AGREEING_TO_WRITE = 3
"""The same for a procedure that writes."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A procedure with its compiled guard and its program."""

    procedure: Procedure
    guard: TemplateGuard | CodeGuard
    program: Program
    signature: tuple[str, ...]
    """Names of the arguments that `run` takes."""
    content_hash: str
    """That of the procedure, computed once."""
    missing: str = ""
    """Why it cannot run here, where the sandbox that it was admitted in is not there or lacks what it needs."""
    held: Mapping[str, Narrow] | None = None
    """What holds its writes to those of the runs that brought it back, by the tool; None where nothing took it out."""
    ways: tuple[Way, ...] = ()
    """What these runs have shown: it goes no other way, and meets nothing else there."""

    def beyond(self, tool: str, arguments: Mapping[str, Json]) -> str | None:
        """Return why a call lies beyond what runs wrote under the conditions of today, or None."""
        writes = any(use.name == tool and use.effect == "write" for use in self.procedure.tools)
        if self.held is None or not writes:
            return None
        held = self.held.get(tool)
        problem = held.problem(_decoded(arguments)) if held else "it was not called"
        return f"{CHANGED}, and by the runs since then {tool} goes too far: {problem}" if problem else None

    def strays(self, walk: Walk, *, wanted: ToolCall | None = None, answer: Json = None) -> str | None:
        """Return why what enough runs did under the conditions of today says nothing of a run, or None.

        Args:
            walk: what the body did so far.
            wanted: the call that it wants next; None where it came to its answer.
            answer: what it answers.
        """
        writing = frozenset(use.name for use in self.procedure.tools if use.effect == "write")
        way = walk.way(writing, wanted) if wanted else walk.ended(writing, decode(answer))
        needed = AGREEING_TO_WRITE if writing else AGREEING_TO_READ
        problem = "there is too much to see" if way is None else beyond(self.ways, way, needed=needed, ended=not wanted)
        return f"{CHANGED}, and the runs since then do not show this: {problem}" if problem else None

    def meant(self, call: ToolCall) -> ToolCall:
        """Return a call of the body by the tool's own name, with whole numbers where it takes no others."""
        names = {use.called: use.name for use in self.procedure.tools if use.called}
        tool = next((tool for tool in self.program.tools if tool.name == call.tool), None)
        arguments = whole(tool, call.arguments) if tool else call.arguments
        return ToolCall(names.get(call.tool, call.tool), arguments)

    @property
    def reads(self) -> frozenset[str]:
        """Those arguments of `run` that its code looks at."""
        return frozenset(self.signature) & names_read(self.procedure.body)

    def call_arguments(self, arguments: Mapping[str, Value]) -> dict[str, Value]:
        """Return those arguments that `run` takes."""
        return {name: arguments.get(name) for name in self.signature}


def load(
    procedure: Procedure,
    sandbox: Sandbox,
    *,
    tools: Mapping[str, Tool],
    limits: Limits,
    locale: str = "",
    write_range: WriteRange = WRITE_RANGE,
    confirmed: Confirmation | None = None,
    content_hash: str = "",
) -> Loaded:
    """Compile a procedure's guard and prepare its program.

    Args:
        procedure: as it is stored.
        sandbox: what a guard that is code runs in.
        tools: the tools of the agent.
        limits: of a guard that is code.
        locale: how users write numbers, dates and money; empty for the notation that slots read.
        write_range: how far beyond the numbers seen others may lie where something is written.
        confirmed: the runs that brought it back under other conditions than it was learnt under. What it is asked
            and what it writes there has to lie between those of these runs: a new prompt may say how far it goes.
        content_hash: that of the procedure as it is stored, where some of its wordings were taken out.

    Raises:
        StaleError: a tool of it is gone.
        TemplateError: its guard cannot be read.
        PredicateError: its predicate cannot be read.
    """
    content_hash = content_hash or procedure.content_hash
    used = tuple(_named(use, _current(use.name, tools)) for use in procedure.tools)
    # Whether something is written is what the tools say today.
    procedure = procedure.model_copy(update={"tools": tuple(use.today(tools.get(use.name)) for use in procedure.tools)})
    context = [parameter for parameter in procedure.parameters if parameter.source == "context"]
    looks_at = names_read(procedure.body)
    arguments = signature(procedure.body)
    written = notation(locale) if locale else None
    seen = [(example.text, example.context) for example in (confirmed.requests if confirmed else procedure.examples)]
    command, within = _is_command(procedure), write_range if _is_held(procedure) else None
    if confirmed and procedure.writes:
        within = AS_SEEN
    guard = (
        CodeGuard(
            procedure.guard.code,
            sandbox,
            context=context,
            home=procedure.home,
            limits=limits,
            notation=written,
            seen=seen,
            command=command,
            within=within,
        )
        if procedure.guard.code
        else TemplateGuard(
            procedure.guard,
            context=context,
            mixed_currencies="currency" in looks_at,
            mixed_units=not looks_at.isdisjoint({"unit", "convert"}),
            unread=[p.name for p in procedure.parameters if p.name not in looks_at.intersection(arguments)],
            seen=seen,
            notation=written,
            command=command,
            within=within,
            apart=procedure.writes,
            wordy=procedure.provenance.compiler == "traces",  # Its body holds what it takes to what was seen.
        )
    )
    program = Program(procedure.body, "run", used, sandbox=procedure.home)
    held = _held(confirmed.writes) if confirmed else None
    ways = confirmed.ways if confirmed else ()
    return Loaded(procedure, guard, program, arguments, content_hash, missing(program, sandbox), held, ways)


def _held(writes: Sequence[Written]) -> dict[str, Narrow]:
    """Return what holds the arguments of each tool that was written with to those that were seen."""
    by_tool: dict[str, list[Mapping[str, Value]]] = {}
    for write in writes:
        by_tool.setdefault(write.tool, []).append(_decoded(write.arguments))
    return {tool: Narrow(lambda seen=seen: seen, len(seen), AS_SEEN) for tool, seen in by_tool.items()}


def _decoded(arguments: Mapping[str, Json]) -> dict[str, Value]:
    return {name: decode(value) for name, value in arguments.items()}


def placed(procedure: Procedure, sandbox: Sandbox, *, tools: Mapping[str, Tool], clock: bool) -> Procedure:
    """Return a procedure with the name of the sandbox that it is to be admitted in: the first that can run its body."""
    if procedure.sandbox:
        return procedure
    if not isinstance(sandbox, Offering):
        return procedure.model_copy(update={"sandbox": sandbox.name})
    used = tuple(_named(use, tools[use.name]) for use in procedure.tools if use.name in tools)
    choice = sandbox.choose(Program(procedure.body, "run", used, clock=clock))
    return procedure.model_copy(update={"sandbox": choice.sandbox or sandbox.offered[0]})


def missing(program: Program, sandbox: Sandbox) -> str:
    """Return why a program cannot run here: its sandbox is not there, lacks what it needs, or is broken."""
    try:
        return _lacking(program, sandbox)
    except SandboxError as error:
        return str(error)


def _lacking(program: Program, sandbox: Sandbox) -> str:
    if not offers(sandbox, program.sandbox):
        here = ", ".join(names(sandbox))
        return f"it was admitted in the sandbox {program.sandbox!r} and runs in no other; this cache has {here}"
    if program.sandbox == FIRST_SANDBOX:
        return ""  # Looking would start its worker; what Monty understands does not depend on how it was made.
    problems = sandbox.check(replace(program, clock=True))
    return f"the sandbox {program.sandbox!r} lacks what it needs: {problems[0].message}" if problems else ""


def _is_command(procedure: Procedure) -> bool:
    """Tell whether a procedure changes something, and none of the requests that it is known for was a question."""
    return procedure.writes and not any(asks(example.text) for example in procedure.examples)


def _is_held(procedure: Procedure) -> bool:
    """Tell whether a guard must hold what is written to what was seen; a body made from runs does so itself."""
    return procedure.provenance.compiler != "traces" and procedure.writes


def bind_arguments(loaded: Loaded, arguments: Mapping[str, Json]) -> Mapping[str, Value] | str:
    """Return arguments given by name as the guard would bind them, or what is wrong with them.

    A text is read by the slot, so that "$84.50" is as good as `{"$money": [84.5, "USD"]}`. What the guard's predicate
    asks for holds here too.
    """
    known = {parameter.name: parameter for parameter in loaded.procedure.parameters}
    if extra := sorted(set(arguments) - set(known)):
        return f"there is no parameter {', '.join(extra)}; it takes {', '.join(known) or 'none'}"
    bound: dict[str, Value] = {}
    for name, parameter in known.items():
        value = arguments.get(name)
        if value is None and not parameter.optional:
            return f"the parameter {name!r} ({parameter.slot}) is missing"
        read = None if value is None else _read_as(loaded.guard, parameter, value)
        if value is not None and read is None:
            return f"{name}={value!r} cannot be read as {parameter.slot}"
        bound[name] = read
    if isinstance(loaded.guard, TemplateGuard) and not loaded.guard.permits(bound):
        bounds = loaded.procedure.guard.where or "zero, negative and coinciding values that were never seen"
        return f"the arguments are out of bounds: {bounds}"
    return bound


def _read_as(guard: TemplateGuard | CodeGuard, parameter: Parameter, value: Json) -> Value | None:
    """Read a value given by name; a text as the users write numbers, dates and money."""
    if isinstance(value, str) and isinstance(guard, TemplateGuard) and parameter.source == "text":
        return guard.value_of(parameter.name, value)
    return context_value(parameter.slot, decode(value))


def signature(body: str) -> tuple[str, ...]:
    """Return the argument names of `run`; empty where the body cannot be read."""
    for node in _parsed(body).body:
        if isinstance(node, ast.FunctionDef) and node.name == "run":
            return tuple(argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs))
    return ()


def names_read(body: str) -> frozenset[str]:
    """Return the attributes that a body reads and the functions that it calls; empty where it cannot be read."""
    found: set[str] = set()
    for node in ast.walk(_parsed(body)):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Name):
            found.add(node.id)
    return frozenset(found)


def _parsed(body: str) -> ast.Module:
    try:
        return ast.parse(body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])


def _named(use: ToolUse, tool: Tool) -> Tool:
    return tool.model_copy(update={"name": use.called}) if use.called else tool


def _current(name: str, tools: Mapping[str, Tool]) -> Tool:
    tool = tools.get(name)
    if tool is None:
        raise StaleError(f"tool {name!r} is gone")
    return tool
