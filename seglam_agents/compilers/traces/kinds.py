"""`Kind`: the runs of one skeleton, what they make of it, and what it said about later ones before they were learnt."""

from __future__ import annotations

import keyword
import math
import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations

from seglam_agents.compilers.traces.closings import claim
from seglam_agents.compilers.traces.guards import Asked
from seglam_agents.compilers.traces.paths import Refused, Run, plan_of
from seglam_agents.compilers.traces.plan import Foretold, Node, foretell, grown, unseen, ways_of
from seglam_agents.compilers.traces.spans import WORDS, Place, Reading
from seglam_agents.compilers.traces.terms import PRELUDE
from seglam_agents.compilers.traces.wish import TIMED, Wish
from seglam_agents.compilers.traces.words import found_in, strange
from seglam_agents.records.record import Json, digest
from seglam_agents.records.tools import Tool, reading
from seglam_agents.records.trace import Trace
from seglam_agents.records.values import Value, decode

MAX_RUNS = 24
"""Runs of a kind that are kept; later ones say little that these do not."""
MAX_PLACES = 5
"""Places that another wording may bring in another order."""
OTHER_WORDS = 2
"""Right predictions that a wording with other content words has to have where something is written.

One of the same words needs one less, and so does one that only reads.
"""
MAX_HELD_OUT = 6
"""Runs up to which each is also predicted from the others."""
MAX_PLANS = 200
"""Plans that are kept."""
MAX_WRONG = 3
"""Wrong predictions after which a kind is given up."""
RESERVED = frozenset(
    (*PRELUDE, "now", "run", "deopt", "date", "datetime", "timedelta", "re", "len", "sum", "min", "max", "str")
) | frozenset(("int", "float", "all", "any", "sorted", "round", "list", "dict", "set", "row", "key", "value", "rows"))
"""Names that mean something in a body."""


@dataclass(frozen=True, slots=True)
class Case:
    """A run with its reading, and the name of each of its places."""

    trace: Trace
    reading: Reading
    names: tuple[str, ...]

    @property
    def arguments(self) -> dict[str, Value]:
        """What its request binds."""
        given = {key: decode(value) for key, value in self.trace.request.context.items()}
        return {**given, **{name: place.value for name, place in zip(self.names, self.reading.places, strict=True)}}


@dataclass(slots=True)
class Wording:
    """One skeleton that is known to mean a kind."""

    names: tuple[str, ...]
    needs: int = 0
    """Right predictions of runs in these words that it needs, besides what the kind needs: none for the first one."""
    rights: int = 0
    places: tuple[str, ...] = ()
    """The names of its places while no two of them always say the same."""
    own: bool = False
    """Whether it has a body of its own, which holds results to what runs in these words had."""


@dataclass(slots=True)
class Kind:
    """Runs that one plan explains, in one or more wordings."""

    key: str
    cases: list[Case] = field(default_factory=list[Case])
    wordings: dict[str, Wording] = field(default_factory=dict[str, Wording])
    plan: Node | None = None
    refusal: str = ""
    rights: Counter[str] = field(default_factory=Counter[str])
    """Right predictions, by the way that the plan took."""
    wrongs: int = 0
    calls: Counter[str] = field(default_factory=Counter[str])
    """Right predictions of what was called, whatever was said, by the way."""
    called: set[str] = field(default_factory=set[str])
    """The runs whose calls were predicted rightly."""
    strays: int = 0
    """Wrong predictions of what was called."""
    foretold: set[str] = field(default_factory=set[str])
    """The runs that were predicted rightly."""
    silence: str = ""
    """Why the last prediction said nothing."""
    drafted: set[str] = field(default_factory=set[str])
    """The procedures that were asked for."""
    plans: dict[tuple[object, ...], tuple[Node | None, str]] = field(
        default_factory=dict[tuple[object, ...], "tuple[Node | None, str]"]
    )
    """The plans of runs that were looked for before, or why there is none: kinds that may be one share them."""
    gone: dict[str, set[str]] = field(default_factory=dict[str, "set[str]"])
    """The ways that runs in each wording went, where there are several of both: no wording goes another one's way."""
    echoed: bool = False
    """Whether all its runs are of one request: then nothing unseen can come, and each that was foretold counts."""

    @property
    def given_up(self) -> bool:
        """Whether it was wrong too often."""
        return self.wrongs >= MAX_WRONG

    @property
    def strayed(self) -> bool:
        """Whether it was wrong too often about what is called."""
        return self.strays >= MAX_WRONG

    def takes(self, case: Case) -> bool:
        """Tell whether a run in other words names the same places: by the arguments that take what stands there."""
        if not self.cases:
            return True
        first = self.cases[0]
        if sorted(case.names) != sorted(first.names):
            return False
        kinds = [place.kind for place in case.reading.places]
        return len(set(kinds)) == len(kinds) or not any(name in _FALLBACKS for name in case.names)

    def foretell(self, case: Case, tools: Mapping[str, Tool], *, clock: bool) -> Foretold | None:
        """Return what the plan of the earlier runs says about a run; None where there is no plan."""
        if self.plan is None:
            return None
        view = {**case.arguments, **_now(case.trace, clock=clock)}
        reads = reading(tools.values())
        asked = case.reading.text
        return foretell(self.plan, view, case.trace.calls, decode(case.trace.answer), reads, asked=asked)

    def learn(self, case: Case, tools: Mapping[str, Tool], *, clock: bool) -> Foretold | None:
        """Predict a run, count what came of it, and learn from it."""
        said = self.foretell(case, tools, clock=clock)
        reads = reading(tools.values())
        if said and said.verdict == "right" and not said.spoken:
            self._credit(case, said.way, self._unseen(case, self.cases, reads))
        elif said and said.verdict == "silent":
            self.silence = said.differs
        elif said and said.verdict == "wrong":
            self.wrongs += 1
            self._discredit()
        self._count_calls(case, said, self.cases, reads)
        self.cases = [*self.cases, case][-MAX_RUNS:]
        if self.plan is not None and said and said.verdict == "right" and not said.spoken:
            # No term of it was contradicted: a run that was foretold changes what was seen, and nothing else.
            view = {**case.arguments, **_now(case.trace, clock=clock)}
            self.plan = grown(self.plan, view, case.trace.calls, reading(tools.values()))
            self._note_way(case, said)
        else:
            self._weave(tools, clock=clock)
            self._hold_out(tools, clock=clock)
        return said

    def _count_calls(self, case: Case, said: Foretold | None, others: Sequence[Case], reads: frozenset[str]) -> None:
        """Count what a prediction was worth for what was called: how a run is talked about has no say in it."""
        if said and said.made:
            self.called.add(case.trace.id)
            self.calls[said.made] += self._unseen(case, others, reads)
        elif said and said.verdict == "wrong":
            self.strays += 1
            self.calls.clear()
            self.called.clear()

    def _credit(self, case: Case, way: str, new: bool) -> None:
        self.foretold.add(case.trace.id)
        self.rights[way] += new
        self.wordings[case.reading.key].rights += new

    def _discredit(self) -> None:
        self.rights.clear()
        self.foretold.clear()
        for wording in self.wordings.values():
            wording.rights = 0

    def _hold_out(self, tools: Mapping[str, Tool], *, clock: bool) -> None:
        """Predict the runs that came too early to be foretold from all the other ones.

        Two of the runs are what any plan is made from, and count for nothing, so that no kind serves earlier than with
        runs that came in the best order. Where the other runs say something else, or a prediction was wrong before,
        nothing is counted.
        """
        if self.plan is None or not 3 <= len(self.cases) <= MAX_HELD_OUT:
            return
        if not self.strays:
            self._hold_out_calls(tools, clock=clock)
        if not self.wrongs:
            self._count(self._predicted(tools, clock=clock) or [], tools, clock=clock)

    def _hold_out_calls(self, tools: Mapping[str, Tool], *, clock: bool) -> None:
        """The same for what was called alone."""
        reads = reading(tools.values())
        found: list[tuple[Case, Foretold, Sequence[Case]]] = []
        for case, said, others in self._held_out(self.cases, tools, clock=clock):
            if not said.made and said.verdict == "wrong":
                return
            if said.made and case.trace.id not in self.called:
                found.append((case, said, others))
        left = self._predictable(lambda said: said.made, self.called, tools, clock=clock)
        for case, said, others in found[: max(0, len(self.cases) - 2 - len(self.called))]:
            if left[said.made] > 0:
                left[said.made] -= 1
                self._count_calls(case, said, others, reads)

    def _predicted(self, tools: Mapping[str, Tool], *, clock: bool) -> list[tuple[Case, str, bool]] | None:
        """Return the runs that all other ones foretell, with the way and whether they brought something new.

        None where the others say something else of one of them.
        """
        reads = reading(tools.values())
        found: list[tuple[Case, str, bool]] = []
        early = [case for case in self.cases if case.trace.id not in self.foretold]
        for case, said, others in self._held_out(early, tools, clock=clock):
            if said.verdict == "wrong":
                return None
            if said.verdict == "right" and not said.spoken:
                found.append((case, said.way, self._unseen(case, others, reads)))
        return found

    def _held_out(
        self, cases: Sequence[Case], tools: Mapping[str, Tool], *, clock: bool
    ) -> Iterator[tuple[Case, Foretold, list[Case]]]:
        """Yield some of the runs, the last first, with what the plan of all other ones says about each, and these."""
        for case in reversed(cases):
            others = [other for other in self.cases if other is not case]
            rest = Kind(self.key, others, self.wordings, self._plan(others, tools, clock=clock))
            if said := rest.foretell(case, tools, clock=clock):
                yield case, said, others

    def _count(self, found: Sequence[tuple[Case, str, bool]], tools: Mapping[str, Tool], *, clock: bool) -> None:
        """Credit predictions; two of the runs are what any plan is made from, and count for nothing."""
        left = self._predictable(lambda said: said.way, self.foretold, tools, clock=clock)
        for case, way, new in found[: max(0, len(self.cases) - 2 - len(self.foretold))]:
            if left[way] > 0:
                left[way] -= 1
                self._credit(case, way, new)

    def _predictable(
        self, way_of: Callable[[Foretold], str], known: Container[str], tools: Mapping[str, Tool], *, clock: bool
    ) -> Counter[str]:
        """Return how many runs of each way may still count: two of them are what it is made from, as in any order."""
        left: Counter[str] = Counter()
        for case in self.cases:
            if said := self.foretell(case, tools, clock=clock):
                left[way_of(said)] += case.trace.id not in known
        told = Counter(dict.fromkeys(left, 2))
        return left - told

    def _weave(self, tools: Mapping[str, Tool], *, clock: bool) -> None:
        self.plan = None
        self._name_places()
        if len(self.cases) < 2:
            self.refusal = "one run shows what was done, not what may vary: a second one of the kind is needed"
            return
        self.refusal = ""
        self.plan = self._plan(self.cases, tools, clock=clock)
        self._note_ways(tools, clock=clock)

    def _note_ways(self, tools: Mapping[str, Tool], *, clock: bool) -> None:
        """Note which ways the runs in each wording went."""
        self.gone = {}
        if self.plan is None or len(self.wordings) < 2 or len(dict(ways_of(self.plan))) < 2:
            return
        self.gone = {key: set() for key in self.wordings}
        for case in self.cases:
            self._note_way(case, self.foretell(case, tools, clock=clock))

    def _note_way(self, case: Case, said: Foretold | None) -> None:
        if self.gone and said and said.verdict == "right":
            self.gone.setdefault(case.reading.key, set()).update((said.way, said.made))

    def apart(self, key: str) -> bool:
        """Tell whether a wording has a body of its own: it holds to its own runs, or these went other ways alone."""
        return self.wordings[key].own or (
            bool(self.gone) and self.gone.get(key) != set[str]().union(*self.gone.values())
        )

    def _plan(self, cases: Sequence[Case], tools: Mapping[str, Tool], *, clock: bool) -> Node | None:
        """Return the plan of some runs; None where there is none, and why in `refusal` where they are all."""
        key = (clock, *map(_mark, cases), *((tool.name, tool.effect, tool.constants) for tool in tools.values()))
        if key not in self.plans:
            while len(self.plans) >= MAX_PLANS:
                del self.plans[next(iter(self.plans))]
            self.plans[key] = _woven(cases, tools, clock=clock)
        plan, refusal = self.plans[key]
        if plan is None and len(cases) == len(self.cases):
            self.refusal = refusal
        return plan

    def _name_places(self) -> None:
        """Give places one name that always said the same; where a run tells them apart, they have two again."""
        if len(self.wordings) == 1:
            (wording,) = self.wordings.values()
            cases = [Case(case.trace, case.reading, wording.places or wording.names) for case in self.cases]
            wording.places = cases[0].names
            wording.names = merged(cases) if len(cases) > 1 else cases[0].names
            self.cases = [Case(case.trace, case.reading, wording.names) for case in cases]

    def _unseen(self, case: Case, others: Sequence[Case], reads: frozenset[str]) -> bool:
        """Tell whether a run brought something that the others had not: where it wrote, a value in its request.

        Where it only read, values that never came together before are new as well: no earlier run says what becomes of
        both. So are other calls, results or figures for the same request: as the clock goes on, memory is wrong.
        """
        if self.echoed:
            return True
        asked = any(
            all(repr(other.arguments.get(name)) != repr(value) for other in others)
            for name, value in case.arguments.items()
        )
        if asked or (case.names and any(step.tool not in reads for step in case.trace.calls)):
            return asked
        if case.trace.calls and _paired(case, others):
            return True
        return not case.trace.calls or all(_went_otherwise(case, other) for other in others)

    def alike(self, trace: Trace) -> list[Case]:
        """Return the runs that one body serves with a run: those in its words, where these have a body of their own."""
        keys = {case.reading.key for case in self.cases if case.trace.id == trace.id}
        own = {key for key in keys if self.apart(key)}
        shared = {key for key in self.wordings if not self.apart(key)}
        return [case for case in self.cases if case.reading.key in (own or shared)]

    def others(self, trace: Trace) -> list[Trace]:
        """Return a run for each other body of the kind."""
        found = {tuple(case.trace.id for case in self.alike(each.trace)): each.trace for each in self.cases}
        mine = {case.trace.id for case in self.alike(trace)}
        return [each for each in found.values() if each.id not in mine]

    def seen_by(self, plan: Node, cases: Sequence[Case], tools: Mapping[str, Tool], *, clock: bool) -> Node:
        """Return a plan that has seen some of the runs alone: what it holds results to is what these had."""
        if len(cases) == len(self.cases):
            return plan
        plan = unseen(plan)
        for case in cases:
            said = self.foretell(case, tools, clock=clock)
            if said and said.verdict == "right":
                view = {**case.arguments, **_now(case.trace, clock=clock)}
                plan = grown(plan, view, case.trace.calls, reading(tools.values()))
        return plan

    def _differs(self, traces: Sequence[Trace], read: Reading) -> bool:
        """Tell whether runs in other words may mean something else whatever they did.

        They may where the wordings differ in a word that chooses, that turns the meaning, or that their results know.
        """
        ours, theirs = self.cases[0].reading.content - read.content, read.content - self.cases[0].reading.content
        turned = any(ours & turns and theirs & turns for turns in _TURNS)
        known = theirs & found_in(traces) | ours & found_in(case.trace for case in self.cases)
        return turned or bool(known) or _sense(ours) != _sense(theirs)

    def _as_few(self, traces: Sequence[Trace]) -> bool:
        """Tell whether a read that found one row at most in some runs did so in all of this kind.

        Nothing was chosen then in either: more rows than that are what no plan of these runs goes on with.
        """
        few = {step.tool for trace in traces for step in trace.calls if _found(step.result) < 2}
        return all(_found(step.result) < 2 for case in self.cases for step in case.trace.calls if step.tool in few)

    def asked(self) -> list[Asked]:
        """Return what stood at each place."""
        outcomes = tuple(
            digest([(s.tool, s.arguments) for s in case.trace.calls], case.trace.answer) for case in self.cases
        )
        names = list(dict.fromkeys(name for case in self.cases for name in case.names))
        places = {name: [_place(case, name) for case in self.cases] for name in names}
        return [
            Asked(name, found[0].kind, tuple(p.text for p in found), tuple(p.value for p in found), outcomes)
            for name, found in places.items()
        ]

    def joins(
        self, traces: Sequence[Trace], reads: Sequence[Reading], tools: Mapping[str, Tool], *, clock: bool
    ) -> Wording | None:
        """Return another wording of this kind: its plan foretells the runs, by one way of naming their places."""
        names = tuple(dict.fromkeys(self.cases[0].names)) if self.cases else ()
        if self.plan is None or not self.cases or len(names) > MAX_PLACES:
            return None
        kinds = {name: _place(self.cases[0], name).kind for name in names}
        if sorted(kinds.values()) != sorted(place.kind for place in reads[0].places):
            return None
        own = not all(map(_telling, traces))
        if self._differs(traces, reads[0]) or (own and not self._as_few(traces)):
            return None
        found: list[Wording] = []
        for order in permutations(names):
            if all(kinds[name] == place.kind for name, place in zip(order, reads[0].places, strict=True)):
                cases = [Case(trace, read, order) for trace, read in zip(traces, reads, strict=True)]
                # That the same was called says nothing of whether the same was asked.
                foretold = [said for case in cases if (said := self.foretell(case, tools, clock=clock))]
                verdicts = ["silent" if said.spoken else said.verdict for said in foretold]
                if "wrong" not in verdicts and "right" in verdicts:
                    found.append(Wording(order, needs=self._needs(reads[0], acts=_acts(traces, tools)), own=own))
        return found[0] if len(found) == 1 else None

    def _needs(self, read: Reading, *, acts: bool) -> int:
        """Return how many right predictions a wording needs: of the same words, or of what only reads, one less."""
        same = any(case.reading.content == read.content for case in self.cases)
        return OTHER_WORDS - (same or not acts)

    def absorb(self, other: Kind, tools: Mapping[str, Tool], *, clock: bool) -> bool:
        """Take in a kind whose runs mean the same in other words: this one's plan foretells them, or a common one."""
        if other is self or not self.cases or not other.cases or len(other.wordings) != 1:
            return False
        called, theirs = _called(self.cases), _called(other.cases)
        if not (called <= theirs or theirs <= called):
            return False
        traces, reads = [case.trace for case in other.cases], [case.reading for case in other.cases]
        wording = self.joins(traces, reads, tools, clock=clock)
        if wording is None:
            return self._pool(other, tools, clock=clock)
        taken = [Case(case.trace, case.reading, wording.names) for case in other.cases]
        if _is_told(self.plan) and not _is_told(self._plan(_in_time([*self.cases, *taken]), tools, clock=clock)):
            return False  # Together nothing explains what these said, which alone is explained.
        said = [(case, self.foretell(case, tools, clock=clock)) for case in taken]
        self.wordings[other.cases[0].reading.key] = wording
        for case, each in said:
            if each and each.verdict == "right" and not each.spoken:
                self._credit(case, each.way, self._unseen(case, self.cases, reading(tools.values())))
        self.cases = _in_time([*self.cases, *taken])
        self._weave(tools, clock=clock)
        return True

    def _pool(self, other: Kind, tools: Mapping[str, Tool], *, clock: bool) -> bool:
        """Take in a kind where one plan does all runs of both, and foretells each of them from the others.

        What one of the two alone cannot tell apart yet, both together may.
        """
        traces = [case.trace for case in other.cases]
        own = not all(map(_telling, traces))
        order = self._order(other) if not own or self._as_few(traces) else None
        if order is None or self.wrongs or other.wrongs or not 3 <= len(self.cases) + len(other.cases) <= MAX_HELD_OUT:
            return False
        taken = [Case(case.trace, case.reading, order) for case in other.cases]
        key = other.cases[0].reading.key
        wordings = {name: replace(wording, rights=0) for name, wording in self.wordings.items()}
        wordings[key] = Wording(order, needs=self._needs(other.cases[0].reading, acts=_acts(traces, tools)), own=own)
        pooled = Kind(self.key, _in_time([*self.cases, *taken]), wordings)
        pooled.plans = self.plans
        pooled._weave(tools, clock=clock)
        found = pooled._predicted(tools, clock=clock) if _is_told(pooled.plan) else None
        if not found or not any(case.reading.key == key for case, _, _ in found):
            return False
        self.cases, self.wordings, self.plan, self.refusal = pooled.cases, pooled.wordings, pooled.plan, ""
        self.gone = pooled.gone
        self.rights, self.foretold = Counter(), set()
        self._count(found, tools, clock=clock)
        return True

    def _order(self, other: Kind) -> tuple[str, ...] | None:
        """Return our names for the places of another kind, where words and places allow but one meaning."""
        ours, theirs = self.cases[0], other.cases[0]
        if self._differs([case.trace for case in other.cases], theirs.reading):
            return None
        kinds = {name: _place(ours, name).kind for name in ours.names}
        named = {name: _place(theirs, name).kind for name in theirs.names}
        if kinds == named:
            return theirs.names
        by_kind = {kind: name for name, kind in kinds.items()}
        if len(by_kind) != len(kinds) or sorted(kinds.values()) != sorted(named.values()):
            return None
        return tuple(by_kind[named[name]] for name in theirs.names)


def _sense(words: frozenset[str]) -> frozenset[str]:
    """Return what words say of which, how many, when or whether: "all" and "every" say the same."""
    told = [word for word in words if _SENSITIVE.fullmatch(word)]
    senses = frozenset(next((group for group in _SENSES if word in group.split()), word) for word in told)
    return senses - {"than"} if senses & set(_SENSES) else senses


def _woven(cases: Sequence[Case], tools: Mapping[str, Tool], *, clock: bool) -> tuple[Node | None, str]:
    """Return the plan of some runs, or why there is none."""
    timed = any(timely(case.reading.text) for case in cases)
    runs = [
        Run(
            case.arguments,
            case.trace.calls,
            decode(case.trace.answer),
            _now(case.trace, clock=clock).get("now"),
            case.reading.text,
        )
        for case in cases
    ]
    words = frozenset(word for case in cases for word in case.reading.content)
    wish = Wish(words, frozenset(strange(words, (case.trace for case in cases))), timed)
    try:
        return plan_of(runs, tools, RESERVED | set(tools), timed=timed, wish=wish), ""
    except Refused as refusal:
        return None, str(refusal)


def _is_told(plan: Node | None) -> bool:
    """Tell whether a plan says its answers itself, and leaves none to the model."""
    return plan is not None and not any(end.spoken for _, end in ways_of(plan))


def _acts(traces: Sequence[Trace], tools: Mapping[str, Tool]) -> bool:
    reads = reading(tools.values())
    return any(step.tool not in reads for trace in traces for step in trace.calls)


def _mark(case: Case) -> tuple[object, ...]:
    """Return what tells a run with its reading from all others."""
    return case.trace.id, str(case.trace.recorded_at or ""), case.reading.key, case.names


def timely(text: str) -> bool:
    """Tell whether a request speaks of a time that goes by."""
    return not TIMED.isdisjoint(text.casefold().split())


def _in_time(cases: Sequence[Case]) -> list[Case]:
    return sorted(cases, key=lambda case: str(case.trace.recorded_at or ""))[-MAX_RUNS:]


def _called(cases: Sequence[Case]) -> set[str]:
    return {step.tool for case in cases for step in case.trace.calls}


def case_of(trace: Trace, read: Reading, tools: Mapping[str, Tool]) -> Case:
    """Return a run with names for its places: the argument that takes what stands there, or its slot type."""
    names: list[str] = []
    taken = RESERVED | set(tools) | set(trace.request.context)
    for place in read.places:
        name = _argument(place, trace) or _KIND_NAMES.get(place.kind, "words")
        number, wanted = 2, name
        while name in taken:
            name, number = f"{wanted}_{number}", number + 1
        taken = taken | {name}
        names.append(name)
    return Case(trace, read, tuple(names))


def merged(cases: Sequence[Case]) -> tuple[str, ...]:
    """Return the names of places, where places that said the same in every run, and varied, have one name."""
    names = list(cases[0].names)
    for index in range(len(names)):
        for other in range(index):
            pairs = [(case.reading.places[index], case.reading.places[other]) for case in cases]
            same = all(one.kind == two.kind and one.value == two.value for one, two in pairs)
            if same and len({repr(one.value) for one, _ in pairs}) > 1:
                names[index] = names[other]
    return tuple(names)


def _went_otherwise(case: Case, other: Case) -> bool:
    """Tell whether one run called or found something else than another, or told other figures of the same.

    More or fewer figures are another phrasing.
    """
    ours, theirs = ([(step.tool, step.arguments, step.result) for step in each.trace.calls] for each in (case, other))
    if ours != theirs:
        return True
    one, two = _figures(case.trace.answer), _figures(other.trace.answer)
    return not (one <= two or two <= one)


def _figures(answer: Json) -> frozenset[str]:
    return frozenset(fact for fact in claim(str(answer)).facts if re.search(r"\d", fact))


def _paired(case: Case, others: Sequence[Case]) -> bool:
    """Tell whether a run brought together values of which some came before, but never all."""
    ours = case.arguments
    varied = [name for name in ours if len({repr(each.arguments.get(name)) for each in (case, *others)}) > 1]
    return len(varied) > 1 and all(
        any(repr(other.arguments.get(n)) != repr(ours[n]) for n in varied) for other in others
    )


def _telling(trace: Trace) -> bool:
    """Tell whether a run would have gone otherwise for another wish: where one row was found, any choice chose it."""
    return all(_found(step.result) > 1 for step in trace.calls)


def _found(result: Json) -> float:
    """Return how many rows a read found; what is no list has no say."""
    return len(result) if isinstance(result, list) else math.inf


def _place(case: Case, name: str) -> Place:
    return case.reading.places[case.names.index(name)]


def _now(trace: Trace, *, clock: bool) -> dict[str, Value]:
    return {"now": trace.recorded_at.replace(tzinfo=None)} if clock and trace.recorded_at else {}


def _argument(place: Place, trace: Trace) -> str | None:
    for step in trace.calls:
        for name, value in step.arguments.items():
            usable = name.isidentifier() and not keyword.iskeyword(name)
            if usable and value in (place.text, place.value) and not isinstance(value, bool):
                return name
    return None


_SENSITIVE = re.compile(
    r"first|second|third|last|next|previous|late|early|\w{2,}est|most|least|more|less|fewer|over|under|above|below|between"
    r"|before|after|since|until|not|no|never|without|except|but|only|all|every|each|both|any|none|half|double"
    r"|twice|instead|also|too|again|if|when|unless|or|and|than|\w+n't|\w*\d\w*|\W+"
)
"""Words that say which, how many, when or whether: wordings that differ in one of them mean different things."""
_SENSES = (
    *("all every each", "over above more exceeding", "under below less fewer", "smallest lowest minimum"),
    *("largest biggest highest maximum", "latest newest", "earliest oldest", "both and"),
)
"""Such words that say the same."""
_TURNS = (frozenset(("by", "from", "to", "for", "of", "with")), frozenset(("up", "down", "in", "out", "on", "off")))
"""Words of which another one in the place of the first turns the meaning; one that is said besides does not."""
_KIND_NAMES = {
    "date": "day",
    "monthday": "day",
    "weekday": "weekday",
    "time": "hour",
    "duration": "span",
    "money": "amount",
    "percent": "percent",
    "quantity": "quantity",
    "number": "number",
    "id": "identifier",
    "email": "address",
    "url": "link",
    "quoted": "quoted",
    WORDS: "words",
}
_FALLBACKS = frozenset(name + more for name in _KIND_NAMES.values() for more in ("", "_2", "_3", "_4"))
