"""What lets one procedure serve more wordings of a kind, and what keeps wordings apart."""

from __future__ import annotations

from datetime import date

import pytest

from seglam_agents.compilers.traces import conditions
from seglam_agents.compilers.traces.atoms import Atoms
from seglam_agents.compilers.traces.clocks import clocked, spellings
from seglam_agents.compilers.traces.phrases import bind, literal_words, may_differ, say_the_same
from seglam_agents.compilers.traces.plan import Answer, Invocation, Invoke, Node, Scene, follow, matching
from seglam_agents.compilers.traces.terms import Unknown, View, constant, item, variable
from seglam_agents.compilers.traces.wording import common, opened
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.trace import ToolStep, Trace

READS = frozenset(("find", "count"))
SCENE = Scene((), {})


def step(tool: str, result: Json = "ok", **arguments: Json) -> ToolStep:
    return ToolStep(tool=tool, arguments=arguments, result=result)


def handing_over() -> Node:
    """Two look-ups of persons, then a write with what they found."""
    write = Invocation(
        "outcome",
        "move",
        {"from_": item(variable("first", "result"), "id"), "to": item(variable("second", "result"), "id")},
    )
    then = Invoke(SCENE, write, Answer(SCENE, constant("Done.")))
    second = Invoke(SCENE, Invocation("second", "find", {"name": variable("to", "request")}), then)
    return Invoke(SCENE, Invocation("first", "find", {"name": variable("from_", "request")}), second)


class TestReadsCommute:
    """Reads between two writes may be in any order; a write may not."""

    steps = (
        step("find", {"id": 2}, name="Raj"),
        step("find", {"id": 1}, name="Sofia"),
        step("move", "moved", from_=1, to=2),
    )

    def test_reads_in_another_order_are_brought_into_that_of_the_plan(self) -> None:
        """The steps come back in the order in which the body will make them."""
        found = follow(handing_over(), {"from_": "Sofia", "to": "Raj"}, self.steps, "Done.", READS)
        assert found == (self.steps[1], self.steps[0], self.steps[2])

    def test_only_where_the_tools_are_declared_as_reads(self) -> None:
        """A tool that says nothing is taken to write."""
        assert follow(handing_over(), {"from_": "Sofia", "to": "Raj"}, self.steps, "Done.") is None

    def test_a_read_is_not_moved_over_a_write(self) -> None:
        """What was read after a write may be what the write left."""
        steps = [step("find", 1, name="a"), step("move", 1), step("find", 2, name="b")]
        assert matching(steps, "find", {"name": "b"}, READS) is None
        assert matching(steps, "move", {}, READS) is None
        assert matching(steps, "find", {"name": "a"}, READS) == 0

    def test_another_wording_with_the_persons_the_other_way_round(self) -> None:
        """Who gets and who gives is told by what was written."""
        trace = Trace(request=Request(text="Give Raj what is now with Sofia"), steps=self.steps, answer="Done.")
        spoken = ["move", "what", "is", "with", "now", "to"]
        bound = bind(trace, handing_over(), {"from_": None, "to": None}, spoken, None, READS)
        assert bound is not None
        assert bound[0].arguments == {"from_": "Sofia", "to": "Raj"}
        assert bound[1][0] == self.steps[1]


class TestWordsThatMayDiffer:
    """Numbers, days and denials are never another way to say the same."""

    @pytest.mark.parametrize(
        ("one", "other"),
        [("at 9", "at 11:30"), ("before 9", "before"), ("on Friday", "on Monday"), ("keep", "don't keep")],
    )
    def test_what_never_says_the_same(self, one: str, other: str) -> None:
        """These decide what is done."""
        assert not say_the_same(one, other, frozenset())

    def test_a_regular_form_of_a_word_is_no_new_word(self) -> None:
        """Even where the data has a word that begins like it."""
        assert may_differ(["assigned"], ["assign"], frozenset(("assig",)))
        assert not may_differ(["assignee"], ["assign"], frozenset(("assig",)))


class TestOpenedPlaces:
    """A known phrase that all requests of a wording have is a place like one that varies."""

    texts = ("Plot total visits since 2023-11-01", "Plot total visits since 2023-10-05")

    def test_a_known_phrase_is_a_place(self) -> None:
        """The longest of the known phrases."""
        wording = common(self.texts)
        assert wording is not None
        found = opened(wording, ["total visits", "visits", "engaged users"])
        assert [place.texts[0] for place in found.places] == ["total visits", "2023-11-01"]
        assert found.literals == ("Plot ", " since ", "")

    def test_not_where_it_is_said_twice(self) -> None:
        """Nothing says that both are for the same."""
        wording = common([f"{text} if total visits fell" for text in self.texts])
        assert wording is not None
        assert opened(wording, ["total visits"]) == wording


class TestClocks:
    """Hours without am or pm: as seen, and between those seen."""

    views: tuple[View, ...] = (
        {"day": date(2023, 12, 8), "word": "3:30"},
        {"day": date(2023, 12, 1), "word": "1"},
        {"day": date(2023, 12, 4), "word": "11"},
    )
    targets = ("2023-12-08 15:30:00", "2023-12-01 13:00:00", "2023-12-04 11:00:00")

    def test_between_hours_seen_and_nowhere_else(self) -> None:
        """The hour at which a morning begins is not known."""
        (term,) = clocked(self.targets, Atoms(self.views, {"day": "request", "word": "request"}))
        day = date(2024, 1, 2)
        assert term({"day": day, "word": "2:15"}) == "2024-01-02 14:15:00"
        for unseen in ("4", "9", "12", "25", "noon"):
            with pytest.raises(Unknown):
                term({"day": day, "word": unseen})

    def test_hours_that_no_boundary_divides(self) -> None:
        """One before noon, between others after it."""
        targets = ("2023-12-08 03:30:00", "2023-12-01 13:00:00", "2023-12-04 23:00:00")
        assert not list(clocked(targets, Atoms(self.views, {"day": "request", "word": "request"})))

    def test_spellings(self) -> None:
        """Only hours that were seen, or are between those seen."""
        assert [text for text in spellings([11, 11], [0, 0]) if text.endswith(("1", "30"))] == ["11", "11:30"]


def test_a_day_that_is_a_key_by_chance_is_no_reason() -> None:
    """Maps by day are compared as a whole: the same day is not there tomorrow."""
    views = [
        {"a": {"2023-11-01": x, "2023-11-02": y}, "b": {"2023-11-01": y, "2023-11-02": y}}
        for x, y in ((9, 2), (8, 3), (1, 5), (2, 7))
    ]
    found = conditions.tests(Atoms(views, {"a": "result", "b": "result"}), [True, True, False, False])
    codes = [test.yes.code for test in found]
    assert not any("2023" in code for code in codes)
    assert "sum(entries(a)) > sum(entries(b))" in codes


def test_literal_words_tell_types_apart() -> None:
    """A day is not the same as another one only because one slot type reads both."""
    trace = Trace(request=Request(text="x"), answer="y")
    bound = bind(trace, Answer(SCENE, constant("y")), {}, ["x"], None)
    assert bound is not None and literal_words(bound[0]) == ["x"]
