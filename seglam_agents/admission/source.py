"""Checks that look at the source alone: dialect, declared tools, types of `run`, alternatives, units."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from seglam_agents.admission.alternatives import alternatives_seen_once, unseen
from seglam_agents.admission.case import AMOUNTS, ANY_WORDS, Case, arguments_of, verdict
from seglam_agents.admission.said import own_readings, unsaid_words
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.guards.normal import normalise
from seglam_agents.guards.slots.registry import slot_types
from seglam_agents.guards.slots.unit_table import UNITS
from seglam_agents.guards.slots.units import read_unit
from seglam_agents.guards.spellings import canonical
from seglam_agents.guards.template import Element, Elements, Literal, SlotMention, walk
from seglam_agents.records.entry import Check
from seglam_agents.records.record import Json
from seglam_agents.sandboxes.base import Program


def check_dialect(case: Case) -> Check:
    """The program uses only what the sandbox has: no clock, randomness, imports or names that were not declared."""
    programs = [case.loaded.program]
    if case.candidate.procedure.guard.code:
        programs.append(Program(case.candidate.procedure.guard.code, "match", sandbox=case.loaded.program.sandbox))
    problems = [
        f"line {problem.line}: {problem.message}"
        for program in programs
        for problem in case.executor.sandbox.check(program)
    ]
    return verdict("dialect", list(dict.fromkeys(problems)), len(programs))


def check_types(case: Case) -> Check:
    """Every argument of `run` is bound by the guard or the context."""
    bound = {parameter.name for parameter in case.candidate.procedure.parameters}
    if case.candidate.procedure.guard.code:
        return verdict("types", [], 1, "arguments come from `match`")
    problems = [
        f"`run` takes {name!r}, which no slot binds: capture it in a template, or leave it out of `run`"
        for name in case.loaded.signature
        if name not in bound
    ]
    problems += [
        f"the slot {parameter.name!r} takes in any text, and `run` never looks at it: spell the words out"
        for parameter in case.candidate.procedure.parameters
        if parameter.slot == "text" and parameter.source == "text" and parameter.name not in case.loaded.signature
    ]
    return verdict("types", problems, len(case.loaded.signature))


def check_amounts(case: Case) -> Check:
    """What says how much is computed with: a template of a model has no slot for it that `run` never looks at."""
    procedure = case.candidate.procedure
    if procedure.provenance.compiler == "traces":
        return Check(name="amounts", verdict="skipped", evidence="it was made from runs")
    amounts = [p for p in procedure.parameters if p.source == "text" and p.slot.partition("(")[0] in _MEASURED]
    problems = [
        f"the slot {parameter.name!r} says how much, and `run` never looks at it: spell it out, or compute with it"
        for parameter in amounts
        if parameter.name not in case.loaded.reads
    ]
    return verdict("amounts", problems, len(amounts))


def check_alternatives(case: Case) -> Check:
    """No template of a model says what no known request has said; those of the parent have been looked at."""
    guard = case.loaded.guard
    if not isinstance(guard, TemplateGuard):
        return verdict("alternatives", _unsaid(case), 1)
    parent = case.candidate.parent
    inherited = frozenset(parent.guard.templates) if parent else frozenset[str]()
    finder = alternatives_seen_once if case.candidate.procedure.provenance.compiler == "traces" else unseen
    texts = [normalise(text).text for text in known_texts(case)]
    problems = [
        f"{finding} (of `{pattern.template.source}`): write the words of the given requests alone, one template for "
        "each wording; other words are learnt when a request says them"
        for pattern in guard.patterns
        if pattern.template.source not in inherited
        for finding in finder(pattern.template, texts)
    ]
    if finder is unseen:
        problems += _unread_options(case, guard, texts)
    return verdict("alternatives", list(dict.fromkeys(problems)), len(guard.patterns))


def _unsaid(case: Case) -> list[str]:
    """Return what is wrong with the words that a guard spells out in code."""
    procedure = case.candidate.procedure
    known = known_texts(case)
    texts = [*known, *(normalise(text).text for text in known)]
    names = (*case.loaded.signature, *slot_types(), *UNITS)
    return [
        f"`match` spells out {word!r}, which no known request says: other words are learnt when a request says them; "
        "values are read by `from slots import parse`"
        for word in unsaid_words(procedure.guard.code or "", texts, names)
    ]


def check_readings(case: Case) -> Check:
    """A guard that is code reads numbers by the slot library: what `float` takes beside them is no number of people."""
    code = case.candidate.procedure.guard.code or ""
    bound = (arguments_of(case, dict(known.request.context))(known.request.text) for known in case.candidate.known)
    texts = {name for arguments in bound for name, value in (arguments or {}).items() if isinstance(value, str)}
    problems = [
        f'numbers are read by {reader}(): read them by `from slots import parse`, as parse("count", text)'
        for reader in own_readings(code, texts)
    ]
    return verdict("readings", problems, 1)


def _unread_options(case: Case, guard: TemplateGuard, texts: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with options of a choice that the body never looks at: they are alternatives, too."""
    parent = case.candidate.parent
    inherited = {p.name: p.slot for p in parent.parameters} if parent else {}
    said = " ".join(" ".join(canonical(text)) for text in texts)
    for name, kind in guard.slots.items():
        if kind.name.startswith("choice(") and name not in case.loaded.reads and inherited.get(name) != kind.name:
            options = kind.name.removeprefix("choice(").removesuffix(")").split("|")
            for option in options:
                if f" {' '.join(canonical(normalise(option).text))} " not in f" {said} ":
                    yield (
                        f"no known request says {option!r} (of {{{name}:{kind.name}}}), and `run` never looks at "
                        f"`{name}`: leave the option out, or compute what it changes"
                    )


def known_texts(case: Case) -> list[str]:
    """Return the requests with known answers: given, related, and the examples of earlier versions."""
    given = (known.request.text for known in (*case.candidate.known, *case.candidate.related))
    return list(dict.fromkeys((*given, *(example.text for example in case.examples()))))


def check_open_words(case: Case) -> Check:
    """Words that nobody can foresee end no template, and go into nothing that writes."""
    guard, procedure = case.loaded.guard, case.candidate.procedure
    if not isinstance(guard, TemplateGuard):
        return Check(name="open words", verdict="skipped", evidence="the guard is code")
    problems: list[str] = []
    for pattern in guard.patterns:
        last = pattern.template.elements[-1]
        if isinstance(last, SlotMention) and last.slot.name == "text":
            problems.append(
                f"{{{last.name}:text}} ends a template and takes in whatever follows: use a narrower type, or quoted"
            )
        if procedure.provenance.compiler == "model":
            problems += [
                f"{{{mention.name}:{mention.slot.name}}} stands where the verb does, and `run` never looks at it: "
                "spell out what is to be done"
                for mention in _in_place_of_verbs(pattern.template.elements)
                if mention.slot.name in ("phrase", "word", "text") and mention.name not in case.loaded.reads
            ]
    if procedure.provenance.compiler == "model" and procedure.writes:
        problems += [
            f"{{{name}:{kind.name}}} takes any words, and the procedure writes: use quoted, a choice of the values "
            "that are known, or a type with a shape (name, person, date, id, …)"
            for name, kind in guard.slots.items()
            if kind.name.removeprefix("list(").removesuffix(")") in ANY_WORDS and name in case.loaded.reads
        ]
    return verdict("open words", problems, len(guard.slots))


def _in_place_of_verbs(elements: Elements) -> Iterator[SlotMention]:
    """Yield the slots that begin a sentence, where an order has its verb, or stand between who does it and how much."""
    begins, done = True, False
    for element, after, second in zip_longest(elements, elements[1:], elements[2:]):
        if isinstance(element, SlotMention) and (begins or (done and _says_how_much(after, second))):
            yield element
        begins = isinstance(element, Literal) and element.text.rstrip().endswith((".", "?", "!"))
        if not (isinstance(element, Literal) and not element.text.strip()):
            done = _is_subject(element)


def _is_subject(element: Element | None) -> bool:
    match element:
        case SlotMention(slot=slot):
            return slot.name in ("person", "name")
        case Literal(text=text):
            return not _SUBJECTS.isdisjoint(text.casefold().split()[-1:])
        case _:
            return False


def _says_how_much(after: Element | None, second: Element | None) -> bool:
    """Tell whether an amount follows at once, or behind a space."""
    found = second if isinstance(after, Literal) and not after.text.strip() else after
    return isinstance(found, SlotMention) and found.slot.name.partition("(")[0] in AMOUNTS


def check_constants(case: Case) -> Check:
    """Nothing that came in through a tool result is written down in what writes: a result says, it does not decide."""
    procedure = case.candidate.procedure
    writes = {tool.name for tool in procedure.tools if tool.effect == "write"}
    if not writes or procedure.provenance.compiler == "traces":
        return Check(name="constants", verdict="skipped", evidence="it writes nothing, or was made from values alone")
    traces = [known.trace for known in case.candidate.known if known.trace]
    results = " ".join(value for trace in traces for step in trace.calls for value in _values(step.result)).casefold()
    asked = " ".join(known.request.text for known in case.candidate.known).casefold()
    written = _written(ast.parse(procedure.body), writes)
    problems = [
        f"{value!r} comes from a tool result and is written down in what writes: read it from the result, or from "
        "the request"
        for value in written
        if str(value).casefold() in results and str(value).casefold() not in asked
    ]
    return verdict("constants", problems, len(written))


def _values(result: Json) -> Iterator[str]:
    """Yield what a result says; the names of its fields are known beforehand."""
    match result:
        case dict():
            for value in result.values():
                yield from _values(value)
        case list():
            for value in result:
                yield from _values(value)
        case _:
            yield str(result)


def _written(tree: ast.Module, writes: set[str]) -> list[object]:
    """Return the constants that stand in the calls that write, or are given to a name that may go there."""
    found: list[object] = []
    for node in ast.walk(tree):
        call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in writes
        parts = [*node.args, *(k.value for k in node.keywords)] if call and isinstance(node, ast.Call) else []
        parts += [node.value] if isinstance(node, ast.Assign) else []
        constants = (inner for part in parts for inner in ast.walk(part) if isinstance(inner, ast.Constant))
        found += [c.value for c in constants if _tells(c.value)]
    return list(dict.fromkeys(found))


def _tells(value: object) -> bool:
    """Tell whether a constant can only be known, as "paid" or 84.5, and not be a part of any code, as "" or 1."""
    if isinstance(value, str):
        return len(value.strip()) > 2
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) > 2


def check_units(case: Case) -> Check:
    """A quantity whose unit the body never looks at does not stand beside a unit that is spelt out."""
    guard = case.loaded.guard
    if not isinstance(guard, TemplateGuard):
        return Check(name="units", verdict="skipped", evidence="the guard is code")
    body = case.candidate.procedure.body
    quantities = [name for name, kind in guard.slots.items() if kind.name.startswith("quantity")]
    if not quantities or ".unit" in body or "convert" in body:
        return verdict("units", [], len(quantities))
    spelt = sorted({word for pattern in guard.patterns for word in _literal_units(pattern.template.elements)})
    problems = [
        f"the body uses {name!r} without its unit, but the template spells out {', '.join(spelt)}: "
        f"convert {name}.unit (`from slots import convert`), or write the unit as text beside a number slot"
        for name in quantities
        if spelt
    ]
    return verdict("units", problems, len(quantities))


def _literal_units(elements: object) -> list[str]:
    return [
        word
        for element in walk(elements)  # pyright: ignore[reportArgumentType]  # the elements of a template
        if isinstance(element, Literal)
        for word in element.text.replace("-", " ").replace(",", " ").split()
        if len(word) > 2 and read_unit(word) is not None
    ]


_SUBJECTS = frozenset(("he", "she", "they", "it", "i", "we", "who", "then", "also"))
"""Words behind which a verb stands: "Lea then eats"."""
_MEASURED = AMOUNTS | {"unit", "currency"}
