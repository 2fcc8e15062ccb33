"""A plan as readable Python, with the functions that it uses above it."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from seglam_agents.compilers.traces.holds import Holder, places
from seglam_agents.compilers.traces.plan import Answer, Branch, Invocation, Invoke, Loop, Node, Stop, Test
from seglam_agents.compilers.traces.terms import PRELUDE, Term, literal, used_functions
from seglam_agents.guards.narrow import WRITE_RANGE, WriteRange

MAX_LINE = 110
_BUILT_IN = frozenset(dir(builtins))
MAX_TURNS = 50
"""Turns of a loop that changes something: fewer than the calls that a run may make."""


def callables(tools: Iterable[str], taken: Container[str]) -> dict[str, str]:
    """Return what a body calls each tool: its name, or one like it where code cannot use that.

    Args:
        tools: the names.
        taken: names that mean something else in a body.
    """
    found: dict[str, str] = {}
    for name in sorted(tools, key=lambda name: (not _usable(name, taken), name)):
        called, number = name, 2
        if not _usable(name, taken):
            plain = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", name)).strip("_") or "tool"
            called = wanted = plain if _usable(plain, taken) else f"tool_{plain}"
            while called in found.values():
                called, number = f"{wanted}_{number}", number + 1
        found[name] = called
    return found


def _usable(name: str, taken: Container[str]) -> bool:
    # Python reads a name in its normal form, so that one in another form is none that code can write.
    written = name.isidentifier() and unicodedata.normalize("NFKC", name) == name
    return written and not (keyword.iskeyword(name) or name in taken or name in _BUILT_IN)


def write(
    plan: Node,
    parameters: Sequence[str],
    summary: str,
    writes: frozenset[str],
    said: frozenset[str],
    called: Mapping[str, str],
    *,
    accounted: bool = False,
    settled: bool = False,
    within: WriteRange = WRITE_RANGE,
    words: Collection[str] = (),
    context: Collection[str] = (),
) -> str:
    """Return the module of a body.

    Args:
        plan: what it does.
        parameters: the names that `run` takes.
        summary: one line about it.
        writes: the tools that change something.
        said: the words of the requests.
        called: what the body calls each tool.
        accounted: whether the plan does something about every word of the requests.
        settled: the same, by what is called and chosen alone.
        within: how far beyond the numbers seen others may lie where something is written.
        words: the parameters that take words of an open set.
        context: the parameters that do not stand in the text.

    Raises:
        Unused: a result was read and nothing says what for.
    """
    holder = replace(Holder.of(plan, writes, said, accounted=accounted, settled=settled), factor=within[1])
    first = [f"    {line}" for line in places(plan, writes, within, words, context, said)]
    lines = _hoisted([*first, *_node(plan, holder, called, "    ")])
    if _reads_clock(lines):
        lines.insert(0, "    now = datetime.now()")
    body = "\n".join([f"def run({', '.join(parameters)}):", f'    """{summary}"""', *_unassigned(lines)])
    functions = used_functions(body)
    prelude = [PRELUDE[name] for name in functions]
    return "\n\n".join([*_imports(body + "".join(prelude)), *prelude, body]) + "\n"


def _reads_clock(lines: Sequence[str]) -> bool:
    # A text that says "now" reads no clock.
    tree = ast.parse("\n".join(["def run():", *lines]))
    return any(isinstance(node, ast.Name) and node.id == "now" for node in ast.walk(tree))


def _imports(source: str) -> list[str]:
    names = [name for name in ("date", "datetime", "timedelta") if re.search(rf"(?<![\w.])({name})(\(|\.now)", source)]
    modules = ["import re"] if "re." in source else []
    lines = modules + ([f"from datetime import {', '.join(names)}"] if names else [])
    return ["\n".join(lines) + "\n"] if lines else []


def _node(node: Node, holder: Holder, called: Mapping[str, str], indent: str) -> Iterator[str]:
    yield from (indent + line for line in holder.lines.get(id(node), ()))
    match node:
        case Invoke(call=call, then=then):
            yield from _call(call, called[call.tool], indent)
            yield from _node(then, holder, called, indent)
        case Loop(variable=variable, over=over, calls=calls, then=then):
            if not node.may_be_empty:
                yield f"{indent}expect(len({over.code}) > 0, {literal('none of them')})"
            if (most := holder.turns(node)) is not None:
                yield f"{indent}expect(len({over.code}) <= {most}, {literal('so many of them')})"
            if held := holder.inside.get(id(node)):
                # All of them are looked at before the first is changed: half of a list is nobody's wish.
                yield f"{indent}expect(len({over.code}) <= {MAX_TURNS}, {literal('as many of them')})"
                yield f"{indent}for {variable} in {over.code}:"
                yield from (f"{indent}    {line}" for line in held)
            yield f"{indent}for {variable} in {over.code}:"
            yield from (line for call in calls for line in _call(call, called[call.tool], indent + "    "))
            yield from _node(then, holder, called, indent)
        case Branch(tests=tests, if_yes=if_yes, if_no=if_no):
            yield f"{indent}if {_all([test.yes for test in tests])}:"
            yield from _node(if_yes, holder, called, indent + "    ")
            yield f"{indent}elif {_all([test.no for test in tests])}:"
            yield from _node(if_no, holder, called, indent + "    ")
            yield f"{indent}else:"
            yield f"{indent}    deopt({literal(_between(tests))})"
        case Answer(term=term):
            yield f"{indent}return {term.code}"
        case Stop(reason=reason):
            yield f"{indent}deopt({literal(reason)})"


def _call(call: Invocation, called: str, indent: str) -> Iterator[str]:
    arguments = [f"{name}={term.code}" for name, term in call.arguments.items() if _is_name(name)]
    if others := [f"{name!r}: {term.code}" for name, term in call.arguments.items() if not _is_name(name)]:
        arguments.append(f"**{{{', '.join(others)}}}")
    line = f"{indent}{call.name} = {called}({', '.join(arguments)})"
    if len(line) <= MAX_LINE:
        yield line
        return
    yield f"{indent}{call.name} = {called}("
    yield from (f"{indent}    {argument}," for argument in arguments)
    yield f"{indent})"


def _is_name(argument: str) -> bool:
    return argument.isidentifier() and not keyword.iskeyword(argument)


def _all(terms: Sequence[Term]) -> str:
    return " and ".join(term.code for term in terms)


def _between(tests: Sequence[Test]) -> str:
    return "no run shows which way to go: " + "; ".join(f"{test.yes.code} or {test.no.code}" for test in tests)[:300]


def _hoisted(lines: list[str]) -> list[str]:
    """Give a name to what explanations agree on where it is used more than once."""
    counts = Counter(found for line in lines for found in _agreements(line))
    for number, (code, count) in enumerate(counts.items()):
        at = next((i for i, line in enumerate(lines) if code in line), None)
        if at is None or count < 2:
            continue  # A part of it has a name by now.
        top = _statement(lines, at)
        if not re.match(r" {4}\S", lines[top]):
            continue
        source = re.search(r"[(, ]([a-z_]\w*)[,)\[]", code)
        name = f"agreed_{source[1]}" if source else f"agreed_{number}"
        name = name if not any(re.search(rf"\b{name}\b", line) for line in lines) else f"{name}_{number}"
        lines = [line.replace(code, name) for line in lines]
        lines.insert(top, f"    {name} = {code}")
    return lines


def _statement(lines: Sequence[str], at: int) -> int:
    """Return where the statement begins that a line is a part of."""
    while at > 0 and (not re.match(r" {4}\S", lines[at]) or re.match(r" {4}(\)$|elif |else:)", lines[at])):
        at -= 1
    return at


def _agreements(line: str) -> Iterator[str]:
    for match in re.finditer(r"\bagree\(", line):
        depth, end = 0, match.end() - 1
        for end in range(match.end() - 1, len(line)):
            depth += (line[end] == "(") - (line[end] == ")")
            if depth == 0:
                break
        yield line[match.start() : end + 1]


def _unassigned(lines: Sequence[str]) -> list[str]:
    """Drop the names of results that nothing looks at."""
    text = "\n".join(lines)
    kept: list[str] = []
    for line in lines:
        match = re.match(r"( +)(\w+) = (\w+\()", line)
        if match and len(re.findall(rf"(?<![\w'\"]){match[2]}(?![\w'\"]| = |=)", text)) == 0:
            line = line.replace(f"{match[2]} = ", "", 1)
        kept.append(line)
    return kept
