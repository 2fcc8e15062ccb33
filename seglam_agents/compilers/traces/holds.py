"""What a body holds its results and places to before it writes or answers: to be like those that runs had.

A branch that no run took cannot be seen in the runs. What can be seen is which results they had: where a result is of
another class (another status, nothing found, a number out of the range seen), the body gives up, and the model decides.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import cast

from seglam_agents.compilers.traces.closings import claim, is_form, judges
from seglam_agents.compilers.traces.conditions import asked_for
from seglam_agents.compilers.traces.grammar import ISO, is_map, sight
from seglam_agents.compilers.traces.plan import (
    Answer,
    Branch,
    Invoke,
    Loop,
    Node,
    Scene,
    Test,
    calls_of,
    scenes_before,
    terms_of,
    ways_of,
)
from seglam_agents.compilers.traces.sight import (
    AMOUNTS,
    IDS,
    Found,
    Row,
    all_are,
    fields,
    has_rows,
    is_number,
    numeric,
    rows_of,
)
from seglam_agents.compilers.traces.terms import FUNCTIONS, Family, Term, literal, values, variable, within
from seglam_agents.compilers.traces.wish import ASKING_FIGURES, Wish
from seglam_agents.guards.narrow import WRITE_RANGE, WriteRange, bounds
from seglam_agents.records.errors import SeglamError
from seglam_agents.records.values import Value, encode

OPEN_TEXTS = 5
"""Texts of a key from which on it may be an open set."""
OPEN_SHARE = 0.8
"""Share of different texts: a set whose members hardly come again is an open one."""
PROSE = 40
"""Letters from which on a text is prose: no set of such texts is ever complete."""
MAX_ECHO = 4_000
"""Letters of a result that is held to be just what it was."""
FACTOR = 2
"""How far beyond the numbers of the requests seen another one may lie."""
STEADY = 3
"""How often a number has to be seen, always the same, before another one is something new."""
SOME_DAYS = 1
"""Days that a day may lie further back or ahead than any that was seen, before a write."""
MAX_SPREAD = 10
"""How many times what was seen a number may be at most that is only restated."""
SEVERAL = 2
"""Rows from which on there are several."""
EXACT = 2
"""Decimals up to which a number may have been rounded."""
SATURDAY = 5
"""The first of the days on which many things are done otherwise."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_CLOCK = re.compile(r"(?<![\d:])[0-2]?\d:[0-5]\d(?!\d)")
_HOURLY = frozenset(
    ("tonight", "now", "later", "soon", "hour", "hours", "morning", "noon", "afternoon", "evening", "night")
)
"""Words that speak of an hour."""
_FREE = re.compile(r"\S*[\d@]\S*|\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?")
"""Ids, dates and addresses: one token with a digit or an @."""
_BREAKING = frozenset(("/", "*", "mean"))
"""What makes decimals that were not there."""
_ROUNDING = frozenset(("rounded", "decimals"))
_SIDES: Mapping[frozenset[int], str] = {
    frozenset((1,)): "> 0",
    frozenset((0, 1)): ">= 0",
    frozenset((0,)): "== 0",
    frozenset((-1, 0)): "<= 0",
    frozenset((-1,)): "< 0",
}
_COUNTS: Mapping[frozenset[int], str] = {
    frozenset((0,)): "== 0",
    frozenset((1,)): "== 1",
    frozenset((2,)): "> 1",
    frozenset((0, 1)): "< 2",
    frozenset((0, 2)): "!= 1",
    frozenset((1, 2)): "> 0",
}
_WHOLE = ("len", "under", "str")
_FILTER = re.compile(r"(agree\()?having")
_LIMITED = re.compile(r"having_(above|below)\(")
_ROW = re.compile(r"(first|last|lowest|highest|only)\(")
_COUNTED = re.compile(r"len\(\w+\) [<>=]+ \d+")
_PLURAL = re.compile(r"\{(?:str\()?(?:agree\(.*)?len\([^{}]*\} [a-z]+(s|people|men|children)\b")
"""Where a text says how many of something."""
_FIGURE = re.compile(r"-?\d[\d,]*(\.\d+)?")
_NAME = re.compile(r"[A-Z][\w.'-]*( [\w.'&-]+)+")
_NAMING = re.compile(r"(^|_|-)(ids?|no|nr|number|uuid|ref|key)$|[a-z]Id$", re.IGNORECASE)
"""Keys whose tokens name something, and say nothing of how it stands."""
_NAMES = re.compile(
    r"(^|_)(name|title|subject|email|address|description|note|notes|text|body|comment|customer|phone|mobile|tel|fax)$"
)
"""Keys whose texts name something."""


class Unused(SeglamError):
    """A result was read, differs from run to run, and nothing says what for."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Finds the lines that hold what is seen to what was seen.

    Args:
        writes: the tools that change something.
        codes: the terms of the plan.
        outcomes: names of the results of writes.
        timed: whether the request speaks of a time.
    """

    writes: frozenset[str]
    codes: Sequence[str]
    outcomes: frozenset[str]
    neutral: frozenset[int] = frozenset()
    """Answers whose words are all given by the request or by keys of results: they decide nothing."""
    figures: frozenset[int] = frozenset()
    """These, and answers that say the figure that was asked for: no number decides that they do not look at."""
    accounted: bool = False
    """Whether every word of the requests is: none of them may ask for what the plan does not do."""
    settled: bool = False
    """Whether what is called, keys and choices of the plan account for every word: none may ask for a limit."""
    filters: Mapping[str, Term] = field(default_factory=dict[str, Term])
    """The rows that the plan chooses, by their code."""
    rows: Sequence[Term] = ()
    """The rows that it takes, each one of several."""
    tested: Sequence[str] = ()
    """What the branches of the plan ask for."""
    looped: Sequence[str] = ()
    """The lists whose elements it goes through."""
    counting: bool = False
    """Whether the request asks for a figure."""
    ended: bool = False
    """Whether the request asks for an end of a list: the first, the largest."""
    plain: list[bool] = field(default_factory=lambda: [False] * 5)
    """Whether what is held at the moment comes before one of the first, one of the second, a judgement, a verdict in
    words, or a write."""
    lines: dict[int, tuple[str, ...]] = field(default_factory=dict[int, "tuple[str, ...]"])
    inside: dict[int, tuple[str, ...]] = field(default_factory=dict[int, "tuple[str, ...]"])

    factor: float = WRITE_RANGE[1]
    """How many times the longest list that was seen may be written for."""

    def turns(self, loop: Loop) -> int | None:
        """Return how many turns of a loop are made at most; None where that does not matter."""
        if not any(call.tool in self.writes for call in loop.calls):
            return loop.at_most
        lengths = [len(cast("Sequence[Value]", loop.over(view))) for view in loop.scene.views]
        seen = math.floor(max(lengths, default=0) * self.factor)
        return seen if loop.at_most is None else min(seen, loop.at_most)

    @classmethod
    def of(
        cls,
        plan: Node,
        writes: frozenset[str],
        said: frozenset[str] = frozenset(),
        *,
        accounted: bool = False,
        settled: bool = False,
    ) -> Holder:
        """Return what holds a plan: for each node (by `id`) the lines that come before it.

        Raises:
            Unused: a result was read and nothing says what for.
        """
        outcomes = frozenset(call.name for call in calls_of(plan) if call.tool in writes)
        neutral = frozenset(id(end) for _, end in ways_of(plan) if not outcomes and _neutral(end, said))
        codes = [term.code for term in terms_of(plan)]
        parts = {each.code: each for term in terms_of(plan) for each in within(term)}
        filters = {code: each for code, each in parts.items() if _FILTER.match(code)}
        rows = tuple(each for code, each in parts.items() if _ROW.match(code))
        figures = frozenset(id(end) for _, end in ways_of(plan) if not outcomes and _figures(end, said))
        if _decides(plan):
            neutral = figures = frozenset[int]()
            settled = False
        if _outright(plan, Wish(said)) and not outcomes:
            neutral = figures = frozenset(id(end) for _, end in ways_of(plan))
        tested = tuple(_tested(plan))
        looped = tuple(dict.fromkeys(_gone_through(plan)))
        ended = bool(Wish(said).ends)
        holder = cls(
            *(writes, codes, outcomes, neutral, figures | neutral, accounted, settled, filters, rows, tested),
            looped=looped,
            ended=ended,
            counting=bool(said & ASKING_FIGURES),
        )
        holder._place(plan, frozenset())
        return holder

    def _place(self, node: Node, done: frozenset[str]) -> None:
        match node:
            case Invoke(call=call, then=then):
                done = self._before(node, done) if call.tool in self.writes else done
                self._place(then, done)
            case Loop(calls=calls, then=then):
                if any(call.tool in self.writes for call in calls):
                    done = self._before(node, done)
                    self.inside[id(node)] = self._turn(node)
                self._place(then, done)
            case Branch(if_yes=if_yes, if_no=if_no):
                self._place(if_yes, done)
                self._place(if_no, done)
            case Answer(spoken=True):
                pass  # What was read is there for the model to see.
            case Answer():
                self._decided(node)
                self._before(node, done)
            case _:
                pass

    def _decided(self, end: Answer) -> None:
        """Refuse a verdict about rows that no branch explains: "nothing to cancel" says nothing of which rows are one.

        Raises:
            Unused: an answer judges rows, and nothing tells by what.
        """
        if self.outcomes or not _judging(end):
            return
        for name, family in end.scene.families.items():
            atom = _of(end.scene, name)
            if family == "result" and has_rows(atom) and not any(map(_word(name).search, self.tested)):
                raise Unused(name)

    def _before(self, node: Node, done: frozenset[str]) -> frozenset[str]:
        scene = node.scene
        told = id(node) in self.neutral | self.figures
        judged = isinstance(node, Answer) and not self.outcomes and not told
        refused = isinstance(node, Answer) and _judging(node)
        acts = not isinstance(node, Answer)
        self.plain[:] = id(node) in self.neutral, id(node) in self.figures, judged, refused, acts
        names = [name for name, family in scene.families.items() if family == "result" and name not in done]
        lines = [line for name in names for line in self._result(_of(scene, name), scene)]
        if isinstance(node, Answer) and not self.outcomes:
            self._require_read(scene)
        lines += self._chosen(scene)
        lines += _stated(_terms(node), scene)
        if isinstance(node, Invoke):
            lines += _days_meant(_terms(node), scene)
            lines += _sided(_terms(node), scene)
            lines += _together(scene)
        if not done:
            lines += _confirmed(scene)
        self.lines[id(node)] = tuple(dict.fromkeys(lines))
        return done | set(names)

    def _require_read(self, scene: Scene) -> None:
        """Refuse an answer that is the same whatever a record says: which of its fields decide, no run has told.

        Raises:
            Unused: nothing of a record is looked at but what the request says anyway.
        """
        for name, family in scene.families.items():
            if family != "result":
                continue
            atom = _of(scene, name)
            if not all_are(atom, dict) or len({repr(value) for value in atom[1]}) == 1:
                continue
            looked = [term for term, column in fields(atom) if self._mentioned(term.code) and not _asked(column, scene)]
            if not looked and not any(self._mentioned(f"{function}({name}") for function in _WHOLE):
                raise Unused(name)

    def _chosen(self, scene: Scene) -> Iterator[str]:
        """Hold chosen rows to be some, where no run was without: nothing found is another answer; and the row taken."""
        for code, term in self.filters.items():
            seen = values(term, scene.views) if term.sources <= set(scene.families) else None
            if seen and all(isinstance(rows, list) for rows in seen):
                found = cast("tuple[Sequence[Value], ...]", seen)
                yield from _counted(code, found, "such rows", several=not self._either(code))
        # Which end of all rows is asked for, in words that the plan accounts for: none of them may ask for a status.
        if not (self.settled and self.ended and not self.plain[4] and not self.outcomes):
            for term in self.rows:
                yield from self._one_row(term, scene)

    def _one_row(self, term: Term, scene: Scene) -> Iterator[str]:
        """Hold the row that is taken to a status that such rows had, where others had another one."""
        taken = values(term, scene.views) if term.sources <= set(scene.families) else None
        rows = _listed(term, scene) if taken and all(isinstance(row, dict) for row in taken) else []
        for key in rows[0] if rows else ():
            column = [row.get(key) for row in rows]
            if _NAMES.search(key) or not all(map(_scalar_text, column)) or _coded(column):
                continue
            known, had = (_distinct([row.get(key) for row in found]) for found in (rows, cast("Sequence[Row]", taken)))
            if len(had) < len(known) <= len(rows) / 2:
                yield f"expect({term.code}[{key!r}] in {literal(had)}, {literal(f'a row of another {key}')})"

    def _turn(self, loop: Loop) -> tuple[str, ...]:
        return tuple(self._record(_of(loop.inside, loop.variable), loop.inside))

    def _result(self, atom: Found, scene: Scene) -> Iterator[str]:
        if _echoes(atom, scene):
            yield _one_of((atom[0], atom[1][:1]))
        elif all_are(atom, list):
            yield from self._list(atom, scene)
        elif all_are(atom, dict):
            yield from self._record(atom, scene)
        else:
            yield from self._scalar(atom, scene)

    def _list(self, atom: Found, scene: Scene) -> Iterator[str]:
        code, lists = atom[0].code, cast("tuple[Sequence[Value], ...]", atom[1])
        if not any(lists):
            yield f"expect(len({code}) == 0, {literal(f'{code} with something in it')})"
            return
        differ = len({repr(value) for value in lists}) > 1
        if not self._mentioned(code) and differ and not self._free:
            raise Unused(code)
        yield from _counted(code, lists, code, several=not self._either(code))
        if has_rows(atom):
            yield from self._rows(atom, scene)
        elif not self._mentioned(code):
            yield f"expect({code} == {literal(list(lists[0]))}, {literal(f'{code} that no run had')})"
        elif (allowed := self._members(code, [value for each in lists for value in each])) is not None:
            condition = f"all([each in {literal(allowed)} for each in {code}])"
            yield f"expect({condition}, {literal(f'{code} with something else in it')})"

    def _either(self, code: str) -> bool:
        """Tell whether one row is no other case than several: each is gone through, or counted, or an end is asked for.

        Where an answer says how many in words for several ("4 bookings"), it would say one in another word.
        """
        if any(map(_PLURAL.search, self.codes)):
            return False
        return code in self.looped or bool(self.plain[1]) or (bool(self.rows) and self.ended)

    def _members(self, code: str, members: Sequence[Value]) -> list[Value] | None:
        """Return the texts that a list may hold; None where they are looked at, and not just counted."""
        counted = re.compile(rf"\blen\({re.escape(code)}\)")
        if not all(map(_scalar_text, members)) or any(self._is_in(code, counted.sub("", each)) for each in self.codes):
            return None
        plain = _statuses_in(code, members) if self.plain[4] else None
        return plain or _allowed(members, looked_at=False)

    def _rows(self, atom: Found, scene: Scene) -> Iterator[str]:
        """Hold every row of a list to the keys, values, ranges and times that rows had."""
        rows = rows_of(atom)
        known = list({key: None for row in rows for key in row})
        values: dict[str, Value] = {}
        ranges: dict[str, Value] = {}
        for key in [key for key in known if all(key in row for row in rows)]:
            column = [row[key] for row in rows]
            if all(is_number(value) for value in column):
                if not (IDS.search(key) or self._free):
                    ranges[key] = self._column(key, column, single=all(count == 1 for count in rows_of_views(atom)))
            elif (allowed := self._statuses(key, column, atom, scene)) is not None:
                values[key] = allowed
        yield f"{_like('rows_like', atom[0].code, known, values, ranges, {})}"
        for key in known:
            if all(key in row for row in rows) and all(_is_day(row[key]) for row in rows):
                yield from self._times(atom, key, scene)
        yield from self._selected(atom, scene)

    def _column(self, key: str, column: Sequence[Value], *, single: bool) -> Value:
        """Return the numbers that rows may have; a row that always was the only one is a record."""
        if single:
            return self._range(column, looked_at=any(f"'{key}'" in code for code in self.codes))
        if not self._further(key):
            return _wide(column, 1)
        return _wide(column, FACTOR if self.plain[4] or self.outcomes else max(_spread(column), FACTOR))

    def _further(self, key: str) -> bool:
        """Tell whether rows may have numbers beyond those seen: no word that is left over may ask for a limit.

        Nothing looks at them then, or they are restated; or none of the words is left over, whatever answers say.
        """
        if not self.accounted:
            return False
        told = any(f"'{key}'" in code for code in self.codes)
        limited = any(map(_LIMITED.search, self.codes))
        return self.plain[0] or not told or (self.settled and not self.plain[2] and not limited)

    def _statuses(self, key: str, column: Sequence[Value], atom: Found, scene: Scene) -> list[Value] | None:
        """Return the values of a key of rows that may be a status; None where it names or repeats something."""
        if _NAMES.search(key) or not all(_scalar_text(value) for value in column):
            return None
        return None if self._same(column, scene, rows_of_views(atom)) else _allowed(column, looked_at=False)

    def _selected(self, atom: Found, scene: Scene) -> Iterator[str]:
        """Hold a number of a selected row to the side of the request's numbers on which it always was."""
        seen = sight(scene.views, {n: f for n, f in scene.families.items() if f != "result" or n == atom[0].code})
        for term, column in seen.pools["row"]:
            if all(is_number(value) for value in column) and any(term.code in code for code in self.codes):
                yield from _relations(term.code, cast("tuple[float, ...]", column), scene)

    def _same(self, column: Sequence[Value], scene: Scene, per_view: Sequence[int]) -> bool:
        """Tell whether a key repeats a place of the request in every row."""
        for name, family in scene.families.items():
            if family == "request":
                asked = [view[name] for view, count in zip(scene.views, per_view, strict=True) for _ in range(count)]
                if all(map(_alike, column, asked)):
                    return True
        return False

    def _times(self, atom: Found, key: str, scene: Scene) -> Iterator[str]:
        """Hold days to the sides of today on which they were."""
        if "now" not in scene.families:
            return
        sides: set[str] = set()
        for view, value in zip(scene.views, atom[1], strict=True):
            sides |= {str(FUNCTIONS["side_of"](row[key], view["now"])) for row in cast("Sequence[Row]", value)}
        if self._free and len(sides) > 1:
            return  # Days on both sides were there, and none of them decided anything.
        if len(sides) < 3:
            kept = literal(sorted(sides))
            condition = f"all([side_of(row[{key!r}], now) in {kept} for row in {atom[0].code}])"
            yield f"expect({condition}, {literal(f'{key} at another time')})"

    def _record(self, atom: Found, scene: Scene) -> Iterator[str]:
        """Hold a record to the keys, values and ranges that were seen."""
        if not all_are(atom, dict):
            yield from self._scalar(atom, scene)
            return
        if is_map(atom):
            if not self._mentioned(atom[0].code):
                raise Unused(atom[0].code)
            return
        records = cast("Sequence[Row]", atom[1])
        values: dict[str, Value] = {}
        ranges: dict[str, Value] = {}
        texts: dict[str, Value] = {}
        more: list[str] = []
        for term, column in fields(atom):
            key = term.code.rpartition("[")[2].strip("]'\"")
            more += self._key((term, column), key, scene, values, ranges, texts)
        known = list({key: None for record in records for key in record})
        yield _like("like_seen", atom[0].code, known, values, ranges, texts)
        if self.plain[2] and len(ranges) > 1:
            seen = [[record[key] for key in ranges] for record in records]
            condition = f"enclosed([{', '.join(f'{atom[0].code}[{key!r}]' for key in ranges)}], {literal(seen)})"
            yield f"expect({condition}, {literal('numbers that no runs enclose')})"
        yield from more

    def _key(
        self,
        atom: Found,
        key: str,
        scene: Scene,
        values: dict[str, Value],
        ranges: dict[str, Value],
        texts: dict[str, Value],
    ) -> Iterator[str]:
        """Note what one key of a record may be; yield what takes a line of its own."""
        term, column = atom
        if numeric(atom):
            self._number(term, column, key, values, ranges)
            yield from _relations(term.code, cast("tuple[float, ...]", column), scene)
        elif all_are(atom, dict):
            yield from self._record(atom, scene)
        elif all_are(atom, list):
            yield from self._list(atom, scene)
        elif all(_is_day(value) for value in column) and "now" in scene.families:
            texts[key] = "day"
            yield from self._side(atom, key, scene)
        elif asked := _asked(column, scene):
            yield f"expect({term.code}.lower() == {asked.code}.lower(), {literal(f'another {key}')})"
        elif line := self._spelt(term, column, key):
            yield line
        elif _coded(column) and _NAMING.search(key) and (self._is_outcome(term) or not self.plain[4]):
            texts[key] = "id"
        elif self.plain[4] and (words := _statuses_in(key, column)):
            values[key] = words
        elif (allowed := self._texts(term, column, key)) is not None:
            values[key] = allowed
        elif kind := _kind_of(column):
            texts[key] = kind

    def _number(
        self, term: Term, column: Sequence[Value], key: str, values: dict[str, Value], ranges: dict[str, Value]
    ) -> None:
        if not IDS.search(key):
            ranges |= {} if self._free else {key: self._range(column, looked_at=self._mentioned(term.code))}
        elif _recurs(column) if self.plain[4] else _is_code(column) and (self.plain[2] or self._is_outcome(term)):
            values[key] = _distinct(column)  # A code that comes again and again says how it went: "exit_code".

    def _spelt(self, term: Term, column: Sequence[Value], key: str) -> str | None:
        """Hold what a write says, and amounts that are texts before one."""
        if self._is_outcome(term) and not _NAMING.search(key) and (sentence := _told(term.code, column)):
            return sentence
        return _figured(term.code, key, column) if self.plain[4] else None

    def _texts(self, term: Term, column: Sequence[Value], key: str) -> list[Value] | None:
        """Return the texts that a key may have; None where any of their kind will do."""
        allowed = _allowed(column, looked_at=self._restated(term.code) or bool(_NAMES.search(key)))
        return allowed if allowed is not None or not self._decided_by(column) else _always(column)

    def _decided_by(self, column: Sequence[Value]) -> bool:
        """Tell whether a text that was always the same may be why: a token is, where more than a figure is said."""
        return not (self.plain[0] or self.plain[1]) or not _coded(column)

    def _is_outcome(self, term: Term) -> bool:
        return bool(term.sources) and term.sources <= self.outcomes

    def _side(self, atom: Found, key: str, scene: Scene) -> Iterator[str]:
        pairs = zip(atom[1], scene.views, strict=True)
        sides = sorted({str(FUNCTIONS["side_of"](value, view["now"])) for value, view in pairs})
        yield f"expect(side_of({atom[0].code}, now) in {literal(sides)}, {literal(f'{key} at another time')})"
        if self.plain[4]:
            yield from _aged(atom, key, scene)

    def _scalar(self, atom: Found, scene: Scene) -> Iterator[str]:
        term, seen = atom
        if numeric(atom):
            numbers = cast("tuple[float, ...]", seen)
            otherwise = literal(f"{term.code} out of the range seen")
            if term.code not in self.outcomes and not self._free:
                low, high = cast("list[float]", self._range(numbers, looked_at=self._mentioned(term.code)))
                yield f"expect({literal(low)} <= {term.code} <= {literal(high)}, {otherwise})"
            elif term.code in self.outcomes:
                yield from _signed(term.code, numbers)
            yield from _relations(term.code, numbers, scene)
        elif term.code in self.outcomes and all_are(atom, str):
            if sentence := _told(term.code, seen, words=1):
                yield sentence
        elif all(isinstance(value, str) and value for value in seen):
            texts = cast("tuple[str, ...]", seen)
            if not self._mentioned(term.code) and not _open(texts) and not _asked(seen, scene):
                yield _one_of(atom)
            elif self._tells(term) and not _asked(seen, scene) and (held := self._sentences(term, texts)):
                yield held
            else:
                kind = _kind_of(seen) or "text"
                yield f"expect(is_text({term.code}, {literal(kind)}), {literal(f'{term.code} of another kind')})"
        else:
            yield _one_of(atom)

    def _tells(self, term: Term) -> bool:
        """Tell whether the words of a text may decide: before a write, a judgement, and what does not look at it."""
        return self.plain[3] or self.plain[4] or not self._mentioned(term.code)

    def _sentences(self, term: Term, texts: Sequence[str]) -> str | None:
        """Hold a text to sentences that came again: "not found" is none of them.

        Raises:
            Unused: each run had another one, and nothing looks at it.
        """
        shapes = sorted({str(FUNCTIONS["sentence_of"](text)) for text in texts})
        if len(shapes) > max(1, len(texts) // 2):
            if not self._mentioned(term.code):
                raise Unused(term.code)
            return None
        return f"expect(sentence_of({term.code}) in {literal(shapes)}, {literal(f'{term.code} that no run had')})"

    @property
    def _free(self) -> bool:
        """Whether no number decides anything here: it is restated, and nothing that was asked is left over."""
        return self.plain[0] and self.accounted

    def _range(self, column: Sequence[Value], *, looked_at: bool) -> Value:
        """Return the numbers that a key may have: between those seen, and some more where nothing is decided."""
        spread = _spread(column) if self.plain[0] else 1
        if self.plain[0] and looked_at and self.counting:
            return (
                [0, _short(MAX_SPREAD * max(cast("Sequence[float]", column)))]
                if _positive(column)
                else _wide(column, spread)
            )
        return _wide(column, max(spread, FACTOR) if self.plain[0] or self.plain[1] else 1)

    def _restated(self, code: str) -> bool:
        """Tell whether a text is looked at, and nothing is judged by it: "it is shipped" may be why it is too late."""
        return self._mentioned(code) and not self.plain[3]

    def _mentioned(self, code: str) -> bool:
        return any(self._is_in(code, each) for each in self.codes)

    @staticmethod
    def _is_in(code: str, other: str) -> bool:
        return re.search(rf"(?<![\w.]){re.escape(code)}(?!\w)", other) is not None


def _terms(node: Node) -> Iterator[Term]:
    """Yield what a node says: the arguments of its calls, or its answer."""
    match node:
        case Invoke(call=call):
            yield from call.arguments.values()
        case Answer(term=term):
            yield term
        case _:
            pass


def _stated(terms: Iterable[Term], scene: Scene) -> Iterator[str]:
    """Hold numbers that are said to the signs, and to the decimals, that they had.

    "11 less" is no "-11 less", and who said 12.5 may have rounded.
    """
    for term in terms:
        if term.family in ("constant", "request") or term.sources <= {"now"}:
            continue
        seen = values(term, scene.views)
        if seen is not None and all(map(is_number, seen)):
            yield from _signed(term.code, cast("tuple[float, ...]", seen))
            if term.uses & _BREAKING and not term.uses & _ROUNDING:
                yield from _precise(term.code, cast("tuple[float, ...]", seen))
            continue
        yield from _stated(term.parts, scene)


def _days_meant(terms: Iterable[Term], scene: Scene) -> Iterator[str]:
    """Hold computed days that are written to working days, or to free ones, where only such were written."""
    for term in terms:
        if "now" not in term.sources:
            continue
        seen = values(term, scene.views)
        if seen is not None and all(isinstance(value, date) for value in seen):
            yield from _of_one_sort(term.code, cast("Sequence[date]", seen))
        elif seen is not None and all(isinstance(value, str) and ISO.fullmatch(value) for value in seen):
            days = [FUNCTIONS["day_of"](value) for value in seen]
            yield from _of_one_sort(f"day_of({term.code})", cast("Sequence[date]", days))
        else:
            yield from _days_meant(term.parts, scene)


def _of_one_sort(code: str, days: Sequence[date]) -> Iterator[str]:
    free = {day.weekday() >= SATURDAY for day in days}
    if len(free) == 1:
        sign = ">=" if free == {True} else "<"
        yield f"expect({code}.weekday() {sign} {SATURDAY}, {literal('a day of another sort')})"


def _sided(terms: Iterable[Term], scene: Scene) -> Iterator[str]:
    """Hold computed numbers that are written to the side of other numbers on which they always were.

    A limit that never applied cannot be seen in the runs: "10 % more, but at most what the band allows".
    """
    records = [_of(scene, name) for name, family in scene.families.items() if family == "result"]
    numbers = [each for record in records if all_are(record, dict) for each in fields(record) if numeric(each)]
    for term in terms:
        seen = values(term, scene.views) if term.family not in ("constant", "request") else None
        if seen is None or not all(map(is_number, seen)):
            continue
        for other, column in numbers:
            if other.code not in term.code and not IDS.search(other.code.strip("]'\"")):
                pairs = list(zip(cast("Sequence[float]", seen), cast("Sequence[float]", column), strict=True))
                if all(one <= two for one, two in pairs):
                    yield _related(term.code, "<=", other.code)
                elif all(one >= two for one, two in pairs):
                    yield _related(term.code, ">=", other.code)


def _together(scene: Scene) -> Iterator[str]:
    """Hold a word of the request and a status to having come together: "write" for a guest is not "read" for one."""
    records = [_of(scene, name) for name, family in scene.families.items() if family == "result"]
    statuses = [each for record in records if all_are(record, dict) for each in fields(record) if _is_status(each[1])]
    for name, family in scene.families.items():
        asked = tuple(view[name] for view in scene.views)
        if family != "request" or not _is_status(asked):
            continue
        for term, column in statuses:
            pairs = list(dict.fromkeys(zip(map(_folded, asked), map(_folded, column), strict=True)))
            if not _NAMES.search(term.code.strip("]'\"")) and len(pairs) < _kinds(asked) * _kinds(column):
                here = f"[folded({name}), folded({term.code})]"
                yield f"expect({here} in {literal(list(map(list, pairs)))}, {literal('what never came together')})"


def _folded(value: Value) -> Value:
    return FUNCTIONS["folded"](value)


def _kinds(column: Sequence[Value]) -> int:
    return len(set(map(_folded, column)))


def _is_status(column: Sequence[Value]) -> bool:
    """Tell whether values are of a few that come again and again."""
    few = all(isinstance(value, (str, bool)) and value != "" for value in column) and _kinds(column) >= 2
    return few and _kinds(column) <= len(column) / 2 and not any(map(_is_day, column))


def _signed(code: str, numbers: Sequence[float]) -> Iterator[str]:
    signs = frozenset((number > 0) - (number < 0) for number in numbers)
    if side := _SIDES.get(signs):
        yield f"expect({code} {side}, {literal('a number of another sign')})"


def _precise(code: str, numbers: Sequence[float]) -> Iterator[str]:
    fits = (digits for digits in range(EXACT + 1) if all(FUNCTIONS["precise"](n, digits) for n in numbers))
    if (digits := next(fits, None)) is not None:
        yield f"expect(precise({code}, {digits}), {literal('a number with more decimals')})"


def _counted(code: str, lists: Sequence[Sequence[Value]], what: str, *, several: bool = True) -> Iterator[str]:
    """Hold how many rows there are: none, one and several are three things; or just none and some."""
    counts = frozenset(min(len(rows), SEVERAL) for rows in lists)
    if condition := _COUNTS.get(counts if several or SEVERAL not in counts else counts | {1}):
        none = f"no {what}" if what != code else f"{code} with nothing in it"
        otherwise = none if condition == "> 0" else f"so many {what}"
        yield f"expect(len({code}) {condition}, {literal(otherwise)})"


def _echoes(atom: Found, scene: Scene) -> bool:
    """Tell whether runs of one request found the same each time: then nothing tells what of it mattered."""
    asked = any(family not in ("result", "clock") for family in scene.families.values())
    found = {repr(value) for value in atom[1]}
    return not asked and len(atom[1]) > 1 and len(found) == 1 and len(found.pop()) <= MAX_ECHO


def _confirmed(scene: Scene) -> Iterator[str]:
    """Hold the words of the request that results always said to being said again, and those that no list ever had."""
    for name, family in scene.families.items():
        words = [view[name] for view in scene.views]
        if family != "request" or not all(isinstance(word, str) for word in words):
            continue
        for other, kind in scene.families.items():
            if kind != "result":
                continue
            said = [bool(FUNCTIONS["tells"](view[other], view[name])) for view in scene.views]
            if all(said):
                yield f"expect(tells({other}, {name}), {literal(f'{other} that does not say {name}')})"
            elif not any(said) and any(_lists(view[other]) for view in scene.views):
                yield f"expect(not tells({other}, {name}), {literal(f'{other} that says {name}')})"


def _listed(term: Term, scene: Scene) -> list[Row]:
    """Return all rows of the results that a row was taken from, before any were left out."""
    while term.parts:
        term = term.parts[0]
        found = values(term, scene.views)
        if found and all(isinstance(rows, list) for rows in found) and not term.uses:
            return [row for rows in found for row in cast("Sequence[Row]", rows) if isinstance(row, dict)]
    return []


def _distinct(column: Sequence[Value]) -> list[Value]:
    return [value for _, value in sorted({repr(value): value for value in column}.items())]


def _lists(value: Value) -> bool:
    """Tell whether a value has a list in it that says something."""
    if isinstance(value, dict):
        return any(map(_lists, value.values()))
    return isinstance(value, list) and bool(value)


def places(
    plan: Node,
    writes: frozenset[str],
    within: WriteRange,
    words: Collection[str] = (),
    context: Collection[str] = (),
    said: Collection[str] = (),
) -> tuple[str, ...]:
    """Return lines that hold the places that are used: to signs, sizes and units, and ids to their shapes."""
    codes = [term.code for term in terms_of(plan)]
    acts = any(call.tool in writes for call in calls_of(plan))
    found: list[str] = list(_days_of(plan, _by_hour(plan, writes, said))) if acts else []
    for name, family in plan.scene.families.items():
        seen = [view[name] for view in plan.scene.views]
        if family == "request" and any(re.search(rf"\b{name}\b", code) for code in codes):
            found += _place(name, seen, within if acts else WRITE_RANGE, acts=acts)
            if name in words and all(isinstance(value, str) for value in seen):
                found.append(_worded(name, cast("Sequence[str]", seen)))
        elif name in context:
            found += _context(name, seen, acts=acts)
    return tuple(found)


def _by_hour(plan: Node, writes: frozenset[str], said: Collection[str]) -> bool:
    """Tell whether the hour may have decided: a word is written that nobody said, or a time is spoken or told of."""
    written = [term for call in calls_of(plan) if call.tool in writes for term in call.arguments.values()]
    words = [term for term in written if term.family == "constant" and _is_choice(values(term, plan.scene.views), said)]
    told = any(
        _CLOCK.search(str(view[name]))
        for scene in scenes_before(plan, writes)
        for name, family in scene.families.items()
        for view in scene.views
        if family == "result"
    )
    return bool(words) or told or not _HOURLY.isdisjoint(said)


def _is_choice(seen: Sequence[Value] | None, said: Collection[str]) -> bool:
    text = seen[0] if seen else None
    if isinstance(text, bool):
        return True
    words = re.findall(r"[^\W\d_]+", text.casefold()) if isinstance(text, str) else []
    return 0 < len(words) <= SEVERAL and not all(is_form(word, said) for word in words)


def _days_of(plan: Node, by_hour: bool) -> Iterator[str]:
    """Hold what writes to working or to free days, and to one or two parts of the day, where all runs kept to them."""
    moments = [moment for view in plan.scene.views if isinstance(moment := view.get("now"), datetime)]
    if "now" in plan.scene.families:
        yield from _of_one_sort("now", moments)
        parts = sorted({str(FUNCTIONS["part_of_day"](moment)) for moment in moments})
        if by_hour and len(parts) <= SEVERAL:
            yield f"expect(part_of_day(now) in {literal(parts)}, {literal('another time of the day')})"


def _place(name: str, seen: Sequence[Value], within: WriteRange, *, acts: bool) -> Iterator[str]:
    for kind, number in AMOUNTS.items():
        if all(isinstance(value, kind) for value in seen):
            unit = "currency" if number == "amount" else "unit"
            allowed = sorted({str(getattr(value, unit)) for value in seen})
            yield f"expect({name}.{unit} in {literal(allowed)}, {literal(f'another {unit} of {name}')})"
            yield _sized(f"{name}.{number}", [float(getattr(value, number)) for value in seen], within)
            return
    if all(is_number(value) for value in seen):
        yield _sized(name, cast("Sequence[float]", seen), within)
    elif all(isinstance(value, timedelta) for value in seen):
        lengths = [cast(float, FUNCTIONS["minutes"](value)) for value in seen]
        yield _sized(f"minutes({name})", lengths, within)
    elif acts and all(isinstance(value, str) and re.search(r"\d", value) for value in seen):
        texts = cast("Sequence[str]", seen)
        if all(" " not in text and len(text) <= 40 for text in texts) and not all(map(_DAY.match, texts)):
            shapes = sorted({str(FUNCTIONS["shape_of"](text)) for text in texts})
            yield f"expect(shape_of({name}) in {literal(shapes)}, {literal(f'{name} of another shape')})"


def _context(name: str, seen: Sequence[Value], *, acts: bool) -> Iterator[str]:
    """Hold what belongs to a request, and nothing looks at, to what it was: who asks, or whether it is in earnest."""
    known = _distinct(seen)
    if acts or len(known) < STEADY:
        yield f"expect({name} in {literal(known)}, {literal(f'another {name}')})"


def _worded(name: str, seen: Sequence[str]) -> str:
    """Hold an open place for words to as many as were seen, and to names where all were: no clause is one."""
    spoken = [text.split() for text in seen]
    names = all(words and words[0][:1] != words[0][:1].lower() for words in spoken)
    said = sorted({word for words in spoken for word in words if word[:1] != word[:1].upper()})
    most = max(map(len, spoken))
    return f"expect(worded({name}, {most}, {names}, {literal(said)}), {literal(f'{name} in other words')})"


def _sized(code: str, numbers: Sequence[float], within: WriteRange) -> str:
    low, high = map(_short, bounds(numbers, within))
    return f"expect({literal(low)} <= {code} <= {literal(high)}, {literal(f'{code} of another size')})"


def _short(number: float) -> float:
    return int(number) if number == int(number) else number


def _decides(plan: Node) -> bool:
    """Tell whether a plan asks for anything but how many rows there are before it goes on."""
    match plan:
        case Branch(tests=tests, if_yes=if_yes, if_no=if_no):
            return not all(map(_counts, tests)) or _decides(if_yes) or _decides(if_no)
        case Invoke(then=then) | Loop(then=then):
            return _decides(then)
        case _:
            return False


def _outright(plan: Node, wish: Wish) -> bool:
    """Tell whether all that a plan decides is what the request asks for outright: nothing else has a say in it."""
    tests = list(_tests(plan))
    return bool(tests) and len(asked_for(tests, wish)) == len(tests)


def _tests(plan: Node) -> Iterator[Test]:
    match plan:
        case Branch(tests=tests, if_yes=if_yes, if_no=if_no):
            yield from (*tests, *_tests(if_yes), *_tests(if_no))
        case Invoke(then=then) | Loop(then=then):
            yield from _tests(then)
        case _:
            pass


def _tested(plan: Node) -> Iterator[str]:
    return (test.yes.code for test in _tests(plan))


def _gone_through(plan: Node) -> Iterator[str]:
    match plan:
        case Loop(over=over, then=then):
            yield over.code
            yield from sorted(over.sources)
            yield from _gone_through(then)
        case Branch(if_yes=if_yes, if_no=if_no):
            yield from _gone_through(if_yes)
            yield from _gone_through(if_no)
        case Invoke(then=then):
            yield from _gone_through(then)
        case _:
            pass


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)")


def _judging(end: Answer) -> bool:
    """Tell whether the words of an answer that are always the same refuse, except or judge."""
    if end.term.code.startswith("f"):
        return judges(_words_of(end.term))
    return end.term.family == "constant" and any(map(judges, map(encode, values(end.term, end.scene.views) or ())))


def _words_of(term: Term) -> str:
    """Return an f-string without its places."""
    return re.sub(r"\{(?:[^{}]|\{[^{}]*\})*\}", " ", term.code)[2:-1] if term.code.startswith("f") else ""


def _counts(test: Test) -> bool:
    return _COUNTED.match(test.yes.code) is not None


def _figures(end: Answer, said: frozenset[str]) -> bool:
    """Tell whether an answer says a number of a result where the request asks for one, and judges nothing."""
    if not said & ASKING_FIGURES or _judging(end):
        return False
    parts = end.term.parts or (end.term,)
    return any(_is_figure(part, end.scene) for part in parts)


def _is_figure(part: Term, scene: Scene) -> bool:
    seen = values(part, scene.views) if part.family in ("result", "computed") else None
    return seen is not None and all(is_number(value) or _FIGURE.fullmatch(str(value)) for value in seen)


def _neutral(end: Answer, said: frozenset[str]) -> bool:
    """Tell whether the words of an answer are all given by the request or by keys of results."""
    if end.term.family == "constant":
        return False
    keys = {word for scene_view in end.scene.views for value in scene_view.values() for word in _keys(value)}
    told, given = claim(_words_of(end.term)), claim(" ".join([*said, *keys]))
    return told.words <= given.words and not any(fact.isalpha() and fact not in said for fact in told.facts)


def _keys(value: Value) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in cast("Row", value).items():
            yield from (key.replace("_", " "), *_keys(inner))
    elif isinstance(value, list):
        for inner in value[:1]:
            yield from _keys(inner)


def _of(scene: Scene, name: str) -> Found:
    return variable(name, scene.families[name]), tuple(view[name] for view in scene.views)


def rows_of_views(atom: Found) -> list[int]:
    """Return how many rows each view has."""
    return [len(cast("Sequence[Value]", value)) for value in atom[1]]


def _like(
    function: str,
    code: str,
    known: Sequence[str],
    values: Mapping[str, Value],
    ranges: Mapping[str, Value],
    texts: Mapping[str, Value],
) -> str:
    held = (("values", values), ("ranges", ranges), ("texts", texts))
    parts = [code, literal(list(known)), *(f"{name}={literal(dict(kept))}" for name, kept in held if kept)]
    return f"{function}({', '.join(parts)})"


def _wide(column: Sequence[Value], factor: float) -> Value:
    """Return the numbers that may stand where these stood; of what never varied, nothing is known."""
    if len(column) >= STEADY and len(set(column)) == 1:
        factor = 1
    low, high = min(cast("Sequence[float]", column)), max(cast("Sequence[float]", column))
    low = low / factor if low > 0 else low * factor
    return [_short(low), _short(high * factor if high > 0 else high / factor)]


def _positive(column: Sequence[Value]) -> bool:
    return all(cast(float, value) > 0 for value in column)


def _spread(column: Sequence[Value]) -> float:
    """Return how many times the smallest number the largest was: what said so much the same is told of more, too."""
    numbers = [abs(cast(float, value)) for value in column]
    low, high = min(numbers), max(numbers)
    return min(high / low, MAX_SPREAD) if len(set(numbers)) >= STEADY and low > 0 else 1


def _scalar_text(value: Value) -> bool:
    return value is None or isinstance(value, (str, bool))


def _is_day(value: Value) -> bool:
    return isinstance(value, str) and ISO.fullmatch(value) is not None


def _kind_of(column: Sequence[Value]) -> str | None:
    """Return what texts that are not held one by one have in common; None where one of them is no text, or empty."""
    if not all(isinstance(value, str) and value for value in column):
        return None
    texts = cast("Sequence[str]", column)
    if _is_prose(texts):
        return None  # Notes may be empty.
    if all(_DAY.match(text) for text in texts):
        return "day"
    if all(_FREE.fullmatch(text) for text in texts):
        return "id"
    return "name" if all(map(_CAPITALISED.match, texts)) else "text"


def _told(code: str, column: Sequence[Value], words: int = 2) -> str | None:
    """Hold what a write says to sentences that came again, of at least so many words; or to their first word."""
    if not all(isinstance(value, str) for value in column) or not any(len(str(v).split()) >= words for v in column):
        return None
    shapes = sorted({str(FUNCTIONS["sentence_of"](value)) for value in column})
    first = {str(value).partition(" ")[0] for value in column}
    if len(shapes) <= 2:
        return f"expect(sentence_of({code}) in {literal(shapes)}, {literal(f'{code} that no run had')})"
    if len(column) >= STEADY and len(first) == 1:
        return f"expect(first_word({code}) in {literal(sorted(first))}, {literal(f'{code} that no run had')})"
    return None


def _relations(code: str, column: Sequence[float], scene: Scene) -> Iterator[str]:
    """Hold a number to the side of the request's numbers on which it always was: 5 in stock, 2 wanted."""
    for name, family in scene.families.items():
        seen = [view[name] for view in scene.views]
        if family != "request":
            continue
        for asked, numbers in _amounts(name, seen):
            above = [value > other for value, other in zip(column, numbers, strict=True)]
            below = [value < other for value, other in zip(column, numbers, strict=True)]
            if not any(below):
                yield _related(code, ">" if all(above) else ">=", asked)
            elif not any(above):
                yield _related(code, "<" if all(below) else "<=", asked)


def _amounts(name: str, seen: Sequence[Value]) -> Iterator[tuple[str, Sequence[float]]]:
    if all(is_number(value) for value in seen):
        yield name, cast("Sequence[float]", seen)
    for kind, number in AMOUNTS.items():
        if all(isinstance(value, kind) for value in seen):
            yield f"{name}.{number}", [float(getattr(value, number)) for value in seen]


def _related(code: str, operator: str, other: str) -> str:
    condition = f"{code} {operator} {other}"
    return f"expect({condition}, {literal(f'other than {condition}')})"


def _asked(column: Sequence[Value], scene: Scene) -> Term | None:
    """Return the place that a text repeats in every run: the row is about what was asked for."""
    for name, family in scene.families.items():
        if family == "request" and all(map(_alike, column, (view[name] for view in scene.views))):
            return variable(name, cast(Family, family))
    return None


def _alike(left: Value, right: Value) -> bool:
    return isinstance(left, str) and isinstance(right, str) and left.lower() == right.lower()


def _allowed(column: Sequence[Value], *, looked_at: bool) -> list[Value] | None:
    """Return the values that a key may have; None where any will do."""
    texts = [value for value in column if isinstance(value, str) and value]
    if texts and (_open(texts) or (looked_at and len(texts) == len(column))):
        return None
    return _distinct(column)


def _aged(atom: Found, key: str, scene: Scene) -> Iterator[str]:
    """Hold how long ago a day was, or how far ahead it lies, to what runs had: a warranty ends somewhere."""
    pairs = zip(atom[1], scene.views, strict=True)
    ages = [cast(int, FUNCTIONS["days_since"](FUNCTIONS["moment_of"](value), view["now"])) for value, view in pairs]
    low, high = min(*ages, 0) - SOME_DAYS, max(*ages, 0) + SOME_DAYS
    age = f"days_since(moment_of({atom[0].code}), now)"
    yield f"expect({low} <= {age} <= {high}, {literal(f'{key} so long ago, or so far ahead')})"


def _figured(code: str, key: str, column: Sequence[Value]) -> str | None:
    """Hold amounts that are texts to the signs and units around them, and to the numbers between those seen."""
    found = [_FIGURED.fullmatch(value) if isinstance(value, str) else None for value in column]
    # Digits alone are as often a name as an amount.
    matches = [match for match in found if match and (match[1] or match[3] or "." in match[2])]
    if len(matches) < len(found) or IDS.search(key):
        return None
    numbers = [float(match[2].replace(",", "")) for match in matches]
    around = sorted({(match[1], match[3]) for match in matches})
    low, high = _short(min(numbers)), _short(max(numbers))
    condition = f"figured({code}, {literal(list(map(list, around)))}, {literal(low)}, {literal(high)})"
    return f"expect({condition}, {literal(f'{key} of another size or unit')})"


def _statuses_in(key: str, column: Sequence[Value]) -> list[Value] | None:
    """Return the values of a key that says one of a few: plain words, or tokens of which each came again."""
    texts = [value for value in column if isinstance(value, str)]
    if len(texts) < len(column) or not texts or _NAMES.search(key):
        return None
    return _distinct(column) if _recurs(column) or all(map(_PLAIN_WORD.fullmatch, texts)) else None


_FIGURED = re.compile(r"([$€£¥]|[A-Z]{3} |)(-?\d[\d,]*(?:\.\d+)?)( ?[%€$£]| [A-Za-z]{1,5}|)")
_PLAIN_WORD = re.compile(r"[a-z]+([ _-][a-z]+)?")


_CAPITALISED = re.compile(r"[^\W\d_a-z].*[a-z]")


def _is_code(column: Sequence[Value]) -> bool:
    """Tell whether a number comes so often again that it says how something went."""
    return len(column) >= STEADY and len(set(map(repr, column))) <= len(column) / STEADY


def _recurs(column: Sequence[Value]) -> bool:
    return len(set(map(repr, column))) <= len(column) / 2


def _always(column: Sequence[Value]) -> list[Value] | None:
    """Return the text that a key always had: what another one means is not known."""
    known = _distinct(column) if len(column) >= STEADY else []
    return known if len(known) == 1 and isinstance(known[0], str) and len(known[0]) <= PROSE else None


def _open(texts: Sequence[str]) -> bool:
    """Tell whether texts are ids, dates or names, of which there is always another one."""
    many = len(texts) >= OPEN_TEXTS and len(set(texts)) >= OPEN_SHARE * len(texts)
    named = all(_NAME.fullmatch(text) for text in texts) and len(set(texts)) > 1
    return many or named or _is_prose(texts) or all(_FREE.fullmatch(text) for text in texts)


def _coded(column: Sequence[Value]) -> bool:
    """Tell whether all texts are numbers, ids or days: none of them is a status."""
    texts = [value for value in column if isinstance(value, str) and value]
    return bool(texts) and all(map(_FREE.fullmatch, texts))


def _is_prose(texts: Sequence[str]) -> bool:
    return any(len(text) > PROSE for text in texts)


def _one_of(atom: Found) -> str:
    term, seen = atom
    return f"expect({term.code} in {literal(_distinct(seen))}, {literal(f'{term.code} that no run had')})"
