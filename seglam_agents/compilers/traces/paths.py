"""All runs of a kind as one plan: shared calls, loops over lists, and branches where something seen tells why."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from seglam_agents.compilers.traces import conditions
from seglam_agents.compilers.traces.closings import Told, claim, likeness, phrasing
from seglam_agents.compilers.traces.grammar import sight
from seglam_agents.compilers.traces.holes import Origin, Unexplained, explain, settle
from seglam_agents.compilers.traces.limits import limits
from seglam_agents.compilers.traces.plan import (
    Answer,
    Branch,
    Invocation,
    Invoke,
    Loop,
    Node,
    Scene,
    Stop,
    Test,
    terms_of,
)
from seglam_agents.compilers.traces.sight import Found, Sight, all_are, has_rows, rows_of, signature
from seglam_agents.compilers.traces.terms import Family, Term, Unknown, Values, View, constant
from seglam_agents.compilers.traces.wish import Wish
from seglam_agents.records.errors import SeglamError
from seglam_agents.records.record import Json, leaves
from seglam_agents.records.tools import Tool, reading
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.values import Value, decode, encode

MAX_BLOCK = 3
"""Calls of one turn of a loop."""
MIN_RUNS = 2
"""Runs that must have gone a way before a body goes it."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run with what its request binds."""

    arguments: Mapping[str, Value]
    steps: tuple[ToolStep, ...]
    answer: Value
    now: Value = None
    asked: str = ""
    """The request."""


class Refused(SeglamError):
    """The runs do not make one plan; says why, and which run would help."""


def plan_of(
    runs: Sequence[Run],
    tools: Mapping[str, Tool],
    taken: frozenset[str],
    *,
    timed: bool = False,
    wish: Wish | None = None,
) -> Node:
    """Return the plan that does on every run what the run did.

    Args:
        runs: two or more runs of a kind.
        tools: the tools by name.
        taken: names that a result may not have.
        timed: whether the request speaks of a time.
        wish: what its words ask for.

    Raises:
        Refused: there is no plan that all runs agree on.
    """
    families: dict[str, Family] = dict.fromkeys(runs[0].arguments, "request")
    if all(run.now is not None for run in runs):
        families["now"] = "clock"
    walks = [
        _Walk(r.steps, r.answer, {**r.arguments, **({"now": r.now} if "now" in families else {})}, r.asked)
        for r in runs
    ]
    return _Weaver(tools, taken, timed, wish, len(walks))(walks, families)


class _Decided(Refused):
    """An argument was one of a few words, and nothing says it: it may have been decided."""

    def __init__(self, labels: Sequence[str], reason: str) -> None:
        super().__init__(reason)
        self.labels = labels


def _is_decision(targets: Values) -> bool:
    """Tell whether values are a few words, truth values or nothing, each of them seen again or one of two."""
    distinct = {repr(target) for target in targets}
    words = all(
        target is None or isinstance(target, bool) or (isinstance(target, str) and _CHOICE.fullmatch(target))
        for target in targets
    )
    return words and 1 < len(distinct) <= max(2, len(targets) // 2)


_CHOICE = re.compile(r"[^\W\d]+([ _-][^\W\d]+)?")


@dataclass(frozen=True, slots=True)
class _Walk:
    """What is left of a run, and what can be seen at this point of it."""

    steps: tuple[ToolStep, ...]
    answer: Value
    view: View
    asked: str = ""
    done: tuple[ToolStep, ...] = ()
    """The steps up to here."""

    @property
    def next(self) -> tuple[str, ...]:
        """The next call with the names of its arguments; nothing at the end."""
        return (self.steps[0].tool, *sorted(self.steps[0].arguments)) if self.steps else ()

    def after(self, count: int, results: Mapping[str, Value] | None = None) -> _Walk:
        done = (*self.done, *self.steps[:count])
        return _Walk(self.steps[count:], self.answer, {**self.view, **(results or {})}, self.asked, done)


@dataclass(frozen=True, slots=True)
class _Weaver:
    tools: Mapping[str, Tool]
    taken: frozenset[str]
    timed: bool
    wish: Wish | None
    runs: int
    """How many there are: where all of them go one way, nothing is known of another."""
    seen: dict[tuple[int, ...], tuple[Sequence[View], Sight]] = field(
        default_factory=dict[tuple[int, ...], "tuple[Sequence[View], Sight]"]
    )
    """What can be seen in some views, which are kept along so that no other ones get their places in memory."""

    def __call__(self, walks: Sequence[_Walk], families: Mapping[str, Family]) -> Node:
        nexts = {walk.next for walk in walks}
        if nexts == {()}:
            return self._end(walks, families)
        counts = {_repeats(walk.steps, 1) for walk in walks}
        if len(nexts) == 1 and counts == {1}:
            return self._single(walks, families)
        loop = self._loop(walks, families)
        if loop is not None:
            return loop
        return self._single(walks, families) if len(nexts) == 1 else self._branch(walks, families)

    def _sight(self, walks: Sequence[_Walk], families: Mapping[str, Family]) -> Sight:
        views = [walk.view for walk in walks]
        key = tuple(map(id, views))
        if key not in self.seen or self.seen[key][1].families != families:
            self.seen[key] = views, sight(views, families, timed=self.timed, wish=self.wish)
        return self.seen[key][1]

    def _end(self, walks: Sequence[_Walk], families: Mapping[str, Family]) -> Node:
        if len(walks) == self.runs and _is_one_verdict(walks) and (self.timed or any(map(_tells_time, walks))):
            if not all(map(_is_message, walks)):
                raise Refused(
                    "all runs said yes, or all said no, and a time may decide which: a run of the other is needed"
                )
            return Answer(_scene(walks, families), constant(None), spoken=True)
        seen = self._sight(walks, families)
        origin = explain(tuple(walk.answer for walk in walks), seen)
        if isinstance(origin, Term):
            return Answer(_scene(walks, families), origin)
        claims = [_claimed(walk) for walk in walks]
        try:
            if len(set(claims)) > 1:
                return self._restated(walks, families, claims, seen)
            return self._phrased(walks, families, origin.reason)
        except Refused:
            if not all(_is_message(walk) for walk in walks):
                raise
            # All calls are explained up to here: the model has seen their results, and says what there is to say.
            return Answer(_scene(walks, families), constant(None), spoken=True)

    def _restated(
        self, walks: Sequence[_Walk], families: Mapping[str, Family], claims: Sequence[str], seen: Sight
    ) -> Node:
        """Return the ways of different claims, where runs that say the same facts as one phrasing make one claim."""
        phrases = [_phrased(walk) for walk in walks]
        reads = reading(self.tools.values())
        labels, freely = list(claims), False
        for phrase, origin in self._explained(walks, families, phrases):
            label = labels[phrases.index(phrase)]
            if not isinstance(origin, Term):
                freely = True  # One phrasing says what was come to in several ways.
                continue
            alike = [_restates(origin, walk, reads) for walk in walks]
            if all(alike):
                return Answer(_scene(walks, families), origin)
            others = [walk for walk, own in zip(walks, labels, strict=True) if own != label]
            freely = freely or any(_repeats_facts(origin, walk, reads) for walk in others)
            labels = [label if same else own for same, own in zip(alike, labels, strict=True)]
        # Where one thing is said in several phrasings, which one is taken has no reason, and some test always fits.
        return self._ways(walks, families, labels if len(set(labels)) > 1 else claims, seen, certain=freely)

    def _phrased(self, walks: Sequence[_Walk], families: Mapping[str, Family], reason: str) -> Node:
        """Return the end in the phrasing that most runs had, where all runs claim the same in several."""
        phrases = [_phrased(walk) for walk in walks]
        reads = reading(self.tools.values())
        if len(set(phrases)) == 1:
            raise Refused(f"the answer: {reason}")
        for _, origin in self._explained(walks, families, phrases):
            if isinstance(origin, Term) and all(_agrees(origin, walk, reads) for walk in walks):
                return Answer(_scene(walks, families), origin)
        raise Refused(f"no phrasing of the answer came twice: {reason}")

    def _explained(
        self, walks: Sequence[_Walk], families: Mapping[str, Family], phrases: Sequence[str]
    ) -> Iterator[tuple[str, Origin]]:
        """Yield the phrasings that came more than once, the most frequent first, with what explains each."""
        for phrase, count in Counter(phrases).most_common():
            chosen = [walk for walk, own in zip(walks, phrases, strict=True) if own == phrase]
            if count >= MIN_RUNS and isinstance(chosen[0].answer, str):
                yield phrase, explain(tuple(walk.answer for walk in chosen), self._sight(chosen, families))

    def _single(self, walks: Sequence[_Walk], families: Mapping[str, Family]) -> Node:
        tool = walks[0].steps[0].tool
        seen = self._sight(walks, families)
        try:
            arguments = self._arguments(tool, [walk.steps[0].arguments for walk in walks], seen)
        except _Decided as decided:
            return self._ways(walks, families, decided.labels, seen)
        name = self._name(tool, families)
        following = [walk.after(1, {name: decode(walk.steps[0].result)}) for walk in walks]
        then = self(following, {**families, name: "result"})
        return Invoke(_scene(walks, families), Invocation(name, tool, arguments), then)

    def _arguments(self, tool: str, given: Sequence[Mapping[str, Value]], seen: Sight) -> dict[str, Term]:
        if any(set(arguments) != set(given[0]) for arguments in given):
            raise Refused(f"{tool} is called with different arguments in different runs")
        known = self.tools.get(tool)
        found: dict[str, Term] = {}
        for key in given[0]:
            targets = tuple(decode(arguments[key]) for arguments in given)  # pyright: ignore[reportArgumentType]  # JSON
            fixed = known is not None and key in known.constants and len(set(map(repr, targets))) == 1
            # Nothing may put it together: what else its words could come from is no explanation.
            origin = constant(targets[0]) if fixed else explain(targets, seen)
            if isinstance(origin, Unexplained):
                labels = [repr(target) for target in targets]
                if _is_decision(targets):
                    raise _Decided(labels, f"{key} of {tool}: {origin.reason}")
                raise Refused(f"{key} of {tool}: {origin.reason}")
            if known is not None and key in known.constants and origin.family != "constant":
                raise Refused(f"{key} of {tool} may not be put together, and differs from run to run")
            found[key] = origin
        return found

    def _loop(self, walks: Sequence[_Walk], families: Mapping[str, Family]) -> Node | None:
        for size in range(1, MAX_BLOCK + 1):
            block = _block(walks, size)
            counts = [_repeats(walk.steps, size, block) for walk in walks]
            if sum(counts) < MIN_RUNS or max(counts) < 2 or not block:
                continue
            for over in _named(list(self._lists(walks, families, counts, size)), walks, size):
                try:
                    return self._looped(walks, families, counts, size, over)
                except Refused:
                    continue
        return None

    def _looped(
        self, walks: Sequence[_Walk], families: Mapping[str, Family], counts: Sequence[int], size: int, over: Found
    ) -> Node:
        variable = self._free(_singular(over[0]), families)
        inner: dict[str, Family] = {**families, variable: "result"}
        turns = [
            _Walk(walk.steps[size * i : size * (i + 1)], None, {**walk.view, variable: element})
            for walk, elements, count in zip(walks, over[1], counts, strict=True)
            for i, element in zip(range(count), cast("Sequence[Value]", elements), strict=True)
        ]
        inside = _scene(turns, inner)
        calls: list[Invocation] = []
        for index in range(size):
            tool = turns[0].steps[index].tool
            seen = self._sight(turns, inner)
            arguments = self._arguments(tool, [turn.steps[index].arguments for turn in turns], seen)
            name = self._name(tool, inner)
            calls.append(Invocation(name, tool, arguments))
            inner = {**inner, name: "result"}
            turns = [_Walk(t.steps, None, {**t.view, name: decode(t.steps[index].result)}) for t in turns]
        if not any(variable in term.sources for call in calls for term in call.arguments.values()):
            raise Refused("the turns of the loop do not look at its elements")
        following = [walk.after(size * count) for walk, count in zip(walks, counts, strict=True)]
        at_most = max(counts) if len(set(counts)) == 1 else None
        scene = _scene(walks, families)
        then = self(following, families)
        return Loop(scene, variable, over[0], tuple(calls), inside, 0 in counts, at_most, then)

    def _lists(
        self, walks: Sequence[_Walk], families: Mapping[str, Family], counts: Sequence[int], size: int
    ) -> Iterator[Found]:
        """Yield the lists that the calls may run over: those of as many elements, those with the same ones together."""
        seen = self._sight(walks, families)
        groups: dict[tuple[object, ...], list[Found]] = {}
        for atom in [*seen.lists, *_limited(walks, seen, counts, size)]:
            if [len(cast("Sequence[Value]", value)) for value in atom[1]] == list(counts):
                groups.setdefault(signature(atom[1]), []).append(atom)
        for group in groups.values():
            origin = settle([term for term, _ in group], seen)
            if isinstance(origin, Term):
                yield origin, group[0][1]

    def _branch(self, walks: Sequence[_Walk], families: Mapping[str, Family]) -> Node:
        return self._ways(walks, families, [" ".join(walk.next) for walk in walks], self._sight(walks, families))

    def _ways(
        self,
        walks: Sequence[_Walk],
        families: Mapping[str, Family],
        labels: Sequence[str],
        seen: Sight,
        *,
        certain: bool = False,
    ) -> Node:
        ways = sorted(set(labels), key=lambda way: (-list(labels).count(way), way))
        for way in ways:
            taken = [label == way for label in labels]
            if found := conditions.tests(seen, taken, certain=certain):
                yes = [walk for walk, label in zip(walks, taken, strict=True) if label]
                no = [walk for walk, label in zip(walks, taken, strict=True) if not label]
                if_yes, if_no = self._way(yes, families), self._way(no, families)
                forced = _forced(found, (if_yes, no), (if_no, yes)) or _emptied(found, if_yes, if_no)
                alone = min(len(yes), len(no)) < MIN_RUNS and not forced and not _by_emptiness(found)
                unasked = _by_number(found) and not conditions.asked_for(found, self.wish)
                if alone and (unasked or self._writes(walks)):
                    raise Refused("one run alone went another way, and nothing plain says why: a second one is needed")
                if all(isinstance(way, Answer) and way.spoken for way in (if_yes, if_no)):
                    return Answer(_scene(walks, families), constant(None), spoken=True)
                return Branch(_scene(walks, families), forced or found, if_yes, if_no)
        shown = " or ".join((way[:60] or "the end") for way in ways[:3])
        raise Refused(f"after the same steps the runs go on with {shown}, and nothing seen tells why")

    def _writes(self, walks: Sequence[_Walk]) -> bool:
        reads = reading(self.tools.values())
        return any(step.tool not in reads for walk in walks for step in (*walk.done, *walk.steps))

    def _way(self, walks: Sequence[_Walk], families: Mapping[str, Family]) -> Node:
        if len(walks) < MIN_RUNS and not walks[0].next and all(map(_is_message, walks)):
            return Answer(_scene(walks, families), constant(None), spoken=True)
        if len(walks) < MIN_RUNS:
            went = " ".join(walks[0].next[:1]) or "the end"
            return Stop(_scene(walks, families), f"only {len(walks)} run went on with {went} here")
        try:
            return self(walks, families)
        except Refused as refusal:
            return Stop(_scene(walks, families), str(refusal))

    def _name(self, tool: str, families: Mapping[str, Family]) -> str:
        parts = [part for part in re.split(r"[_\W]+", tool) if part]
        known = self.tools.get(tool)
        if known is None or known.effect == "write":
            return self._free("outcome", families)
        kept = parts[1:][-2:] or parts
        return self._free("_".join(kept).lower(), families)

    def _free(self, name: str, families: Mapping[str, Family]) -> str:
        wanted = name if name.isidentifier() and not keyword.iskeyword(name) else f"result_{len(families)}"
        number = 2
        candidate = wanted
        while candidate in families or candidate in self.taken:
            candidate, number = f"{wanted}_{number}", number + 1
        return candidate


def _is_one_verdict(walks: Sequence[_Walk]) -> bool:
    """Tell whether all runs that there are said yes, or all of them no: what makes the other one cannot be seen."""
    said = [walk.answer for walk in walks]
    if all(isinstance(answer, bool) for answer in said):
        return len(set(map(repr, said))) == 1
    first = [_VERDICT.match(answer) if isinstance(answer, str) else None for answer in said]
    return all(first) and len({match[0].casefold() for match in first if match}) == 1


def _tells_time(walk: _Walk) -> bool:
    """Tell whether a result tells a day or an hour: then the clock may decide, and no run shows how."""
    results = (leaf for step in walk.done for leaf in leaves(step.result))
    return any(isinstance(leaf, str) and _TIME.fullmatch(leaf) for leaf in results)


_TIME = re.compile(r"\d{4}-\d\d-\d\d.*|[0-2]?\d:[0-5]\d(:[0-5]\d)?")
_VERDICT = re.compile(r"(yes|yep|no|nope|true|false)\b(?! one\b| longer\b)", re.IGNORECASE)


def _restates(term: Term, walk: _Walk, reads: frozenset[str]) -> bool:
    said = _said(term, walk)
    return said is not None and likeness(said, encode(walk.answer), Told(walk.asked, walk.done, reads)) == "same"


def _repeats_facts(term: Term, walk: _Walk, reads: frozenset[str]) -> bool:
    return Told(walk.asked, walk.done, reads).repeats(_said(term, walk), encode(walk.answer))


def _agrees(term: Term, walk: _Walk, reads: frozenset[str]) -> bool:
    return Told(walk.asked, walk.done, reads).agree(_said(term, walk), encode(walk.answer))


def _said(term: Term, walk: _Walk) -> Json:
    """Return what a term says of a run; None where it says nothing."""
    try:
        return encode(term(walk.view))
    except Unknown:
        return None


def _forced(tests: Sequence[Test], *ways: tuple[Node, Sequence[_Walk]]) -> tuple[Test, ...]:
    """Return the tests of how many rows there are that a way cannot be gone without: what chose it is no question.

    Args:
        tests: what fits.
        ways: each way with the runs that went the other one.
    """
    codes = [
        term.code
        for way, others in ways
        for term in terms_of(way)
        if others and all(_undefined(term, walk.view) for walk in others)
    ]
    counted = [(test, match[1]) for test in tests if (match := _COUNTED.match(test.yes.code))]
    return tuple(test for test, rows in counted if any(_mentions(code, rows) for code in codes))


def _emptied(tests: Sequence[Test], if_yes: Node, if_no: Node) -> tuple[Test, ...]:
    """Return the tests of whether there are any of the rows that a way is about: without them nothing is to be said."""
    found: list[Test] = []
    for test in tests:
        match = _ANY.fullmatch(test.yes.code)
        way = (if_yes if match[2] == "> 0" else if_no) if match else None
        if match and way and any(_mentions(term.code, match[1]) for term in terms_of(way)):
            found.append(test)
    return tuple(found)


def _by_emptiness(tests: Sequence[Test]) -> bool:
    """Tell whether a way may have been gone because something was found, or nothing: the plainest reason there is."""
    return any(_FOUND.search(code) for test in tests for code in (test.yes.code, test.no.code))


def _by_number(tests: Sequence[Test]) -> bool:
    """Tell whether a number may have decided, and no word: which one, and at what, a single run cannot say."""
    codes = [code for test in tests for code in (test.yes.code, test.no.code)]
    limits = any(re.search(r"(?<!len\() (>=|<=|>|<) -?[\d.]+$", code) for code in codes)
    return limits or not any(map(_WORD.search, codes))


def _mentions(code: str, rows: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(rows)}(?!\w)", code) is not None


def _undefined(term: Term, view: View) -> bool:
    if not term.sources <= set(view):
        return False
    try:
        term(view)
    except Unknown:
        return True
    return False


_WORD = re.compile(r"(==|!=|\bin) [\[({]?['\"]|^(not )?\w+(\['\w+'\])*$")
_FOUND = re.compile(r"^len\(\w+(\['\w+'\])*\) (> 0|>= 1|== 0|!= 0|< 1|<= 0)$")
_COUNTED = re.compile(r"len\((.*)\) [<>=]")
_ANY = re.compile(r"len\((.*)\) (> 0|== 0)")


def _scene(walks: Sequence[_Walk], families: Mapping[str, Family]) -> Scene:
    return Scene(tuple(walk.view for walk in walks), dict(families))


def _claimed(walk: _Walk) -> str:
    """Return what an answer claims, without its phrasing and what the run had seen: what decides between ways.

    A name that nothing gave is a claim as well: "on the Pro plan" is no other phrasing of "on the Enterprise plan".
    """
    if not isinstance(walk.answer, str):
        return repr(walk.answer) if isinstance(walk.answer, bool) or walk.answer is None else type(walk.answer).__name__
    said = claim(walk.answer, _seen(walk))
    return " ".join(sorted(said.words | said.facts))


def _is_message(walk: _Walk) -> bool:
    """Tell whether a run called something, and then said something."""
    return bool(walk.done) and isinstance(walk.answer, str) and bool(walk.answer.strip())


def _phrased(walk: _Walk) -> str:
    return phrasing(walk.answer, _seen(walk)) if isinstance(walk.answer, str) else ""


def _seen(walk: _Walk) -> list[Json]:
    return [encode(value) for value in walk.view.values()]


def _block(walks: Sequence[_Walk], size: int) -> tuple[str, ...]:
    longest = max(walks, key=lambda walk: len(walk.steps))
    return tuple(step.tool for step in longest.steps[:size])


def _repeats(steps: Sequence[ToolStep], size: int, block: Sequence[str] | None = None) -> int:
    """Return how often a block of calls is repeated at the beginning."""
    wanted = list(block) if block is not None else [step.tool for step in steps[:size]]
    count = 0
    while wanted and [step.tool for step in steps[size * count : size * (count + 1)]] == wanted:
        count += 1
    return count


def _limited(walks: Sequence[_Walk], seen: Sight, counts: Sequence[int], size: int) -> Iterator[Found]:
    """Yield rows on one side of a limit: those that the calls of the loop name."""
    for rows in seen.lists:
        if has_rows(rows) and all_are(rows, list):
            for wanted in _chosen(walks, rows, counts, size):
                yield from limits(rows, wanted)


def _chosen(walks: Sequence[_Walk], rows: Found, counts: Sequence[int], size: int) -> Iterator[Values]:
    """Yield the rows that the calls name by a key, in the order of the calls."""
    for key in sorted({key for row in rows_of(rows) for key in row}):
        for argument in sorted({name for walk in walks for name in (walk.steps[0].arguments if walk.steps else ())}):
            found: list[Value] = []
            for walk, value, count in zip(walks, rows[1], counts, strict=True):
                named = [walk.steps[size * i].arguments.get(argument) for i in range(count)]
                by_key = {repr(row.get(key)): row for row in cast("Sequence[Mapping[str, Value]]", value) if key in row}
                picked = [by_key.get(repr(name)) for name in named]
                if any(row is None for row in picked):
                    break
                found.append(picked)
            else:
                yield tuple(found)


def _named(lists: Sequence[Found], walks: Sequence[_Walk], size: int) -> Sequence[Found]:
    """Return the lists whose elements the calls of each turn name, where there are such; else all of them."""
    return [
        over for over in lists if all(_names_all(walk, each, size) for walk, each in zip(walks, over[1], strict=True))
    ] or lists


def _names_all(walk: _Walk, elements: Value, size: int) -> bool:
    turns = (walk.steps[at : at + size] for at in range(0, len(walk.steps), size))
    return all(map(_names, turns, cast("Sequence[Value]", elements)))


def _names(turn: Sequence[ToolStep], element: Value) -> bool:
    """Tell whether something of an element stands in an argument: as it is, or as a part of a text."""
    said = [str(leaf) for step in turn for leaf in leaves(dict(step.arguments))]
    known = [str(leaf) for leaf in leaves(encode(element))]
    return any(leaf in said or (len(leaf) > 2 and any(leaf in text for text in said)) for leaf in known)


def _singular(term: Term) -> str:
    name = sorted(term.sources)[0] if term.sources else "item"
    return name[:-1] if name.endswith("s") and len(name) > 3 else "each"
