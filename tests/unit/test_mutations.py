"""Mutations of requests, and guards that ignore them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping

import pytest

from seglam_agents.admission.mutations import Ignored, Mutation, ignored, mutations
from seglam_agents.guards.guard import Accepted, TemplateGuard
from seglam_agents.guards.normal import normalise
from seglam_agents.guards.wordings import UNRELATED
from seglam_agents.records.procedure import GuardSource
from seglam_agents.records.values import Money, Value

Accepts = Callable[[str], Mapping[str, Value] | None]

BILL = "Split a $84.50 bill among 4 friends"
STORY = (
    "Mara bakes 24 muffins and Jonas bakes 36 muffins. Mara gives a third of her muffins to Jonas. "
    "They carry them 3 miles to the market. Each muffin is sold for $1.50. "
    "How many more muffins does Jonas have than Mara?"
)
KINDS = {
    "insert clause", "negate", "swap entities", "replace mention", "change unit", "change currency", "change word",
    "change number", "second request",
}  # fmt: skip


def tried(text: str, limit: int = 100_000) -> list[Mutation]:
    return mutations(text, random.Random(7), limit=limit)


def texts(text: str, kind: str) -> set[str]:
    return {mutation.text for mutation in tried(text) if mutation.kind == kind}


def findings(accepts: Accepts, text: str) -> list[Ignored]:
    count, found = ignored(accepts, text, random.Random(3), limit=1000)
    assert count > 0
    return found


def kinds(accepts: Accepts, text: str) -> set[str]:
    return {finding.mutation.kind for finding in findings(accepts, text)}


def regex(pattern: str, *, whole: bool = True) -> Accepts:
    """Return a guard that binds the groups of a regular expression, and checks nothing else."""
    compiled = re.compile(pattern, re.IGNORECASE)

    def accepts(text: str) -> Mapping[str, Value] | None:
        normal = normalise(text).text
        match = compiled.fullmatch(normal) if whole else compiled.search(normal)
        return match.groupdict() if match else None

    return accepts


def template(*sources: str, where: str | None = None) -> Accepts:
    guard = TemplateGuard(GuardSource(templates=sources, where=where))

    def accepts(text: str) -> Mapping[str, Value] | None:
        judgement = guard.match(normalise(text))
        return judgement.arguments if isinstance(judgement, Accepted) else None

    return accepts


# What is changed


def test_same_seed_same_mutations() -> None:
    """A mutation that was reported can be made again."""
    assert tried(STORY, 50) == tried(STORY, 50)
    assert tried(STORY, 50) != mutations(STORY, random.Random(8), limit=50)


@pytest.mark.parametrize(
    "text",
    [BILL, STORY, "hi", "", "?", "  ", "٣ تفاح", "Is 3,000 = three thousand?", "a" * 3000, "9" * 5000, "0" * 5000],
)
def test_mutations_differ(text: str) -> None:
    """No mutation is the request itself or another mutation in a different spelling."""
    spelt = [normalise(mutation.text).text.casefold() for mutation in tried(text)]
    assert len(set(spelt)) == len(spelt)
    assert normalise(text).text.casefold() not in spelt


def test_every_kind() -> None:
    """A request that has everything is changed in every way, in even shares."""
    found = tried(STORY, 45)
    assert len(found) == 45
    assert {mutation.kind for mutation in found} == KINDS
    assert sum(mutation.kind == "insert clause" for mutation in found) <= 12


@pytest.mark.parametrize("limit", [0, 1, 9, 120])
def test_limit(limit: int) -> None:
    """No more mutations are made than asked for."""
    assert len(tried(STORY, limit)) == limit


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("insert clause", BILL, BILL + ", except 2 of them"),
        ("insert clause", BILL, "Split a $84.50 bill, excluding tax, among 4 friends"),
        ("insert clause", "Ann has 5. How many?", "Ann has 5. Then 3 more are lost. How many?"),
        ("insert clause", "Today, rain", "Today, unless it rains, rain"),
        ("negate", BILL, "Do not split a $84.50 bill among 4 friends"),
        ("negate", "Please book a room", "Please never book a room"),
        ("negate", "Is it open?", "Is not it open?"),
        ("negate", "a salad with nuts", "a salad with no nuts"),
        ("negate", "close the door", "close no door"),
        ("swap entities", "Ann owes Bob 5", "Bob owes Ann 5"),
        ("swap entities", "Add 3 to 15, then 3", "Add 15 to 3, then 15"),
        ("swap entities", "more apples than pears", "more pears than apples"),
        ("swap entities", "fly from paris to rome", "fly from rome to paris"),
        ("change unit", "Run 5 miles", "Run 5 kilometers"),
        ("change unit", "Run 5km", "Run 5mi"),
        ("change unit", "Convert 3 yards to km", "Convert 3 yards to mi"),
        ("change unit", "1 hour", "1 day"),
        ("change unit", "20 square feet", "20 square meters"),
        ("change unit", "30 °C", "30 °F"),
        ("change currency", BILL, "Split a €84.50 bill among 4 friends"),
        ("change currency", "5 dollars and 3 dollars", "5 dollars and 3 euros"),
        ("change currency", "50 cents", "50 pence"),
        ("change currency", "20 USD", "20 EUR"),
        ("change word", "Buy the first", "Sell the first"),
        ("change word", "Buy the first", "Buy the last"),
        ("change word", "Each of them", "Total of them"),
        ("change word", "twice as many", "half as many"),
        ("change word", "on Monday", "on Thursday"),
        ("change number", "three eggs", "four eggs"),
        ("change number", "the Second day", "the Third day"),
    ],
)
def test_mutation(kind: str, text: str, expected: str) -> None:
    """Each kind of change reads like something a person could have asked."""
    assert expected in texts(text, kind)


def test_no_unit_in_words() -> None:
    """Letters of ordinary words are not taken for units or currencies."""
    text = "I am in the garden, Ms Lee won a real cat"
    assert not texts(text, "change unit") | texts(text, "change currency")


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("code 007", r"code \d{3}"),
        ("$1,250.50 now", r"\$1,2\d\d\.50 now|\$1,3\d\d\.50 now"),
        ("card 123456789012345678901234", r"card 12345678901234567890123\d"),
        ("the 1st one", r"the \d+(?:st|nd|rd|th) one|the 1st two"),
    ],
)
def test_number_spelling(text: str, pattern: str) -> None:
    """A changed number keeps leading zeros, separators, decimals and the ending of an ordinal."""
    changed = texts(text, "change number")
    assert changed
    assert all(re.fullmatch(pattern, item) for item in changed), changed


def test_replace_mention_changes_one() -> None:
    """An entity that is mentioned twice gets another name at one of the places; one that is mentioned once does not."""
    found = [m for m in tried("Ann meets Bob. Ann's dog barks.") if m.kind == "replace mention"]
    assert [m.text.count("Ann") for m in found] == [1, 1]
    assert {m.change.rpartition(" at ")[2] for m in found} == {"mention 1", "mention 2"}


def test_opposites_first() -> None:
    """With room for few changes, words that turn the meaning round come before unrelated ones."""
    found = [m.change for m in tried("Find the oldest grey wooden chair before noon", 15) if m.kind == "change word"]
    assert "'oldest' -> 'newest'" in found or "'oldest' -> 'newer'" in found
    assert any(change.startswith("'before' -> 'after'") for change in found)


# Guards that ignore something


def test_search_is_found_out() -> None:
    """A guard that finds two numbers anywhere ignores everything else."""
    sloppy = regex(r"(?P<total>\d+(?:\.\d+)?)\D+(?P<n>\d+)", whole=False)
    assert kinds(sloppy, BILL) >= {"insert clause", "negate", "change currency", "change word", "second request"}


def test_swapped_entities_are_found_out() -> None:
    """A guard that does not capture who is who would give Ann's answer to Bob."""
    sloppy = regex(r"\w+ lends \w+ (?P<x>\d+) books. how many books does \w+ have left")
    assert "swap entities" in kinds(sloppy, "Ann lends Bob 5 books. How many books does Ann have left?")


@pytest.mark.parametrize("written", ["2025-01-03", "2025/5/22", "3/4/2025", "22.5.2025"])
def test_parts_of_one_date_do_not_change_places(written: str) -> None:
    """Year and day of "2025-01-03" are the same day behind one another where the day stands first."""
    numbers = re.findall("[0-9]+", written)
    swaps = [m.change for m in mutations(f"Book 7 rooms on {written}", random.Random(0)) if m.kind == "swap entities"]
    assert not [change for change in swaps if sum(repr(number) in change for number in numbers) > 1]
    assert any("'7'" in change for change in swaps)


def test_negation_is_found_out() -> None:
    """A guard with room for "not" does what it was told not to do."""
    sloppy = regex(r"(?:do not |never )?delete (?:no|the) files older than (?P<n>\d+) days")
    assert kinds(sloppy, "Delete the files older than 30 days") == {"negate"}


def test_unit_is_found_out() -> None:
    """A guard that takes any word after the number ignores the unit."""
    sloppy = regex(r"how long does it take to walk (?P<n>\d+) \w+ at 3 miles per hour")
    found = findings(sloppy, "How long does it take to walk 12 miles at 3 miles per hour?")
    assert {"change unit"} <= {finding.mutation.kind for finding in found}
    assert any("{u:unit}" in finding.reason for finding in found)


def test_clause_is_found_out() -> None:
    """A guard that ends in "anything" ignores a condition."""
    sloppy = regex(r"split a \$(?P<x>[\d.]+) bill among (?P<n>\d+) friends.*")
    assert kinds(sloppy, BILL) == {"insert clause", "second request"}


def test_middle_clause_is_found_out() -> None:
    """A guard that skips what stands between two words ignores a condition."""
    sloppy = regex(r"split a \$(?P<x>[\d.]+) bill.* among (?P<n>\d+) friends")
    assert kinds(sloppy, BILL) == {"insert clause"}


def test_currency_is_found_out() -> None:
    """A guard that takes any sign before the amount answers in the wrong currency."""
    sloppy = regex(r"split a [$€£](?P<x>[\d.]+) bill among (?P<n>\d+) friends")
    assert kinds(sloppy, BILL) == {"change currency"}


def test_first_of_two_requests_is_found_out() -> None:
    """A guard that answers the first of two requests drops the second."""
    precise = regex(r"split a \$(?P<x>[\d.]+) bill among (?P<n>\d+) friends")

    def first(text: str) -> Mapping[str, Value] | None:
        return precise(re.split(r" and (?:also|then) |\. Also", text)[0])

    assert "second request" in kinds(first, BILL)


@pytest.mark.parametrize("text", ["Compare K57 and K65", "Compare K-57 with K-65"])
def test_the_letters_of_an_id_mention_nobody(text: str) -> None:
    """An id in a place is changed as a whole: its letters are no name that comes twice."""
    assert not [m for m in tried(text) if m.kind == "replace mention"]


def test_replaced_mention_is_found_out() -> None:
    """A guard that reads a name at its first mention only does not notice another name later."""
    sloppy = regex(r"(?P<who>\w+) has (?P<x>\d+) eggs. how many does \w+ have after selling (?P<y>\d+)")
    assert "replace mention" in kinds(sloppy, "Ann has 9 eggs. How many does Ann have after selling 4?")


def test_ignored_number_is_found_out() -> None:
    """A guard that captures one of two numbers gives one answer to two questions."""
    sloppy = regex(r"what is (?P<x>\d+) plus \d+")
    assert {"change number", "swap entities"} & kinds(sloppy, "What is 3 plus 14?") >= {"change number"}


def test_changed_arguments_are_found_out() -> None:
    """A guard that takes in an inserted clause without carrying it binds a number that is not meant."""
    sloppy = regex(r"(?P<n>\d+) friends$|(?P<last>\d+)\D*$", whole=False)
    assert any("that no argument carries" in finding.reason for finding in findings(sloppy, BILL))


def test_free_text_carries_what_is_inserted() -> None:
    """What is inserted into a message belongs to the message."""
    assert findings(template("(tell|message) {who:person} that {what:text}"), "Tell Ann that the car is ready") == []


def test_amounts_in_two_currencies_differ() -> None:
    """Five dollars and five euros are different arguments, though the number is the same."""

    def accepts(text: str) -> Mapping[str, Value] | None:
        match = re.fullmatch(r"Pay ([$€£])5", text)
        return {"x": Money(5, match[1])} if match else None

    assert findings(accepts, "Pay $5") == []


def test_nothing_to_try() -> None:
    """A guard that declines the request itself is not judged."""
    assert ignored(lambda text: None, BILL, random.Random(1)) == (0, [])


# Guards that are precise

PRECISE = [
    (("(split|divide) [a] {total:money} bill (among|between) {n:count} (people|friends|persons)",), BILL),
    (("what is {p:percent} of {x:number}",), "What is 15% of 240?"),
    (("(convert|change) {q:quantity} (to|into) {u:unit}",), "Convert 26.2 miles to kilometers"),
    (("book [a] table for {n:count} [people] on {d:weekday} at {t:time}",), "Book a table for 4 on Friday at 7:30 pm"),
    (("remind me to {what:text} at {t:time}",), "Remind me to call Priya's doctor at 9 am"),
    (("refund order {id:id}[, please]",), "Refund order #4521-B, please"),
    (("fly from {a:name} to {b:name} on {d:date}",), "Fly from Lagos to Porto on 2025-03-09"),
    (("{a:person} owes {b:person} {x:money}. {b} owes {a} {y:money}. who owes how much",),
     "Ann owes Bob $12. Bob owes Ann $7.50. Who owes how much?"),
    (("(add|append) {item:quoted} to the {l:choice(shopping|packing)} list",), 'Add "oat milk" to the shopping list'),
    ((
        "{a:person} bakes {x:count} {thing:noun} and {b:person} bakes {y:count} {thing}. {a} gives {f:fraction} of"
        " (his|her|their) {thing} to {b}. They carry them {q:quantity(length)} to the market. Each {thing} is sold for"
        " {p:money}. How many more {thing} does {b} have than {a}",
    ), STORY),
]  # fmt: skip


@pytest.mark.parametrize(("sources", "text"), PRECISE, ids=[text[:30] for _, text in PRECISE])
def test_precise_guard_passes(sources: tuple[str, ...], text: str) -> None:
    """A template that spells out or captures every word is not accused of anything."""
    for seed in range(3):
        count, found = ignored(template(*sources), text, random.Random(seed), limit=2000)
        assert found == []
        assert count > 20


# Alternatives


@pytest.mark.parametrize("seed", range(12))
def test_a_word_is_not_changed_to_its_own_singular(seed: int) -> None:
    """A template that takes "marbles" takes "marble": as an unrelated word, it would say that words are ignored."""
    tried = mutations("Ben has 14 marbles and Amy has 6 marbles.", random.Random(seed), limit=100_000)
    assert not [each for each in tried if each.kind == "change word" and "marble " in each.text.replace(".", " ")]


def test_all_unrelated_words_taken() -> None:
    """A request that is about nothing but purple umbrellas still gets its words changed."""
    assert texts(" ".join(UNRELATED), "change word")


def test_an_argument_that_nobody_reads_notices_nothing() -> None:
    """A slot that the body ignores may name another thing, but takes in no clause and no number."""
    accepts = template("Split ${n:count} among {k:count} {who:phrase}")
    text = "Split $20 among 4 friends"
    found = ignored(accepts, text, random.Random(3), limit=1000, unread={"who"})[1]
    assert any(finding.mutation.kind == "insert clause" for finding in found)
    assert not [f for f in found if f.mutation.kind == "change word"]
    found = ignored(accepts, text, random.Random(3), limit=1000, unread={"who", "k"})[1]
    assert any(finding.mutation.kind == "change number" and "`k`" in finding.reason for finding in found)


def test_code_must_account_for_every_word() -> None:
    """With `every_word`, small words are left out and replaced too."""
    accepts = regex(r"split (?P<n>\d+)(?: \w+)? (?P<k>\d+) friends")
    assert kinds(accepts, "split 20 among 4 friends") == set()
    found = ignored(accepts, "split 20 among 4 friends", random.Random(3), every_word=True)[1]
    assert any("left out 'among'" in finding.reason for finding in found)
