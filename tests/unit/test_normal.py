"""Normalisation through its public API: one spelling for many, and the way back to the original."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seglam_agents.guards.normal import asks, linear, normalise, normalise_literal, words

FOLDED = [
    ("Split a $84.50 bill among 4 people?", "Split a $84.50 bill among 4 people"),
    ("  a \t b\n\nc  ", "a b c"),
    ("Really ?!?", "Really"),
    ("wait . . .", "wait"),
    ("Tom , who ; and : so", "Tom, who; and: so"),
    ("about .5 miles", "about .5 miles"),
    ("‘a’ “b” „c“", '\'a\' "b" "c"'),
    ("5 – 3 — 2 − 1 ‐ 0", "5 - 3 - 2 - 1 - 0"),
    ("a\u00a0b\u202fc\u3000d\u2028e", "a b c d e"),
    ("ＡＢＣ １２３！", "ABC 123"),
    ("½ cup", "1/2 cup"),
    ("3½ cups", "3 1/2 cups"),
    ("3 ½ cups", "3 1/2 cups"),
    ("well… no", "well... no"),
    ("e\u0301te\u0301", "été"),
    ("\uff21\u0301", "Á"),
    ("", ""),
    (" ?! ", ""),
]
KEPT = [
    "10²",
    "½5",
    "5½⅓",
    "1/½",
    "a\u200bb",
    "a\u202eb",
    "a\x00b",
    "a\ufeffb",
    "Tom's",
    "3.14",
    "x .5",
    "a" * 5000,
]
NUMBER_WORDS = [
    ("zero", "0"),
    ("twenty-five", "25"),
    ("twenty five", "25"),
    ("Twenty Five", "25"),
    ("one hundred and five", "105"),
    ("one hundred five", "105"),
    ("two-hundred", "200"),
    ("twelve hundred", "1200"),
    ("two thousand", "2000"),
    ("two thousand and six", "2006"),
    ("three million", "3000000"),
    ("seven hundred thousand", "700000"),
    ("two hundred fifty thousand six hundred and one", "250601"),
    ("one hundred twenty-three billion", "123000000000"),
    ("five, six and seven", "5, 6 and 7"),
    ("twenty and five", "20 and 5"),
    ("one hundred and two hundred", "100 and 200"),
    ("one hundred and five and six", "105 and 6"),
    ("between five and six", "between 5 and 6"),
    ("between one hundred and two hundred", "between 100 and 200"),
    ("two-fourths", "2-fourths"),
    ("one half", "1 half"),
    ("four-sided", "4-sided"),
    ("twenty-five-dollar bills", "25-dollar bills"),
    ("five five-pound bags", "5 5-pound bags"),
    ("thirty five 42-pound packs", "35 42-pound packs"),
    ("$five", "$5"),
    ("'one'", "'1'"),
    ("nineteen eighty-four", "19 84"),
    ("the big one.", "the big 1"),
]
AMBIGUOUS_WORDS = [
    "a hundred",
    "an eighth",
    "hundred and five",
    "2 hundred and five",
    "1.2 million five",
    "twenty five-dollar bills",
    "two hundred-pound men",
    "one hundred and two thousand",
    "between one hundred and five",
    "twenty-first",
    "twenty first",
    "one hundred and first",
    "one hundredth",
    "thirty second timer",
    "thousand million",
    "zero hundred",
    "point five",
    "someone",
    "ones",
    "one's",
    "one_two",
    "one2",
    "éone",
    "seven\u0320",
    "one\u200b",
    "ſeven",
]
ALPHABET = st.sampled_from(
    [
        *"ab1,.;:?!-'/½¾…“”’–²\u0301\u200b\u00a0\u3000\n\t  ",
        "１",
        "Ａ",
        "가",
        "\u1100",
        "\u1161",
        "＜",
        "\u0338",
        "\ud800",
    ]
    + [f"{word} " for word in ("one", "five", "twenty", "hundred", "thousand", "million", "and", "between", "first")]
    + ["-", "six", "forty-two", "eleven", "th"]
)
TEXTS = st.one_of(st.text(max_size=60), st.lists(ALPHABET, max_size=25).map("".join))


@pytest.mark.parametrize(("text", "expected"), FOLDED)
def test_spelling_is_folded(text: str, expected: str) -> None:
    """Spaces, quotes, dashes, wide characters, fractions and final punctuation get one spelling."""
    assert normalise(text).text == expected


@pytest.mark.parametrize("text", KEPT)
def test_what_could_change_a_meaning_is_kept(text: str) -> None:
    """Superscripts, doubtful fractions and invisible characters stay, so that no literal matches them."""
    assert normalise(text).text == text


@pytest.mark.parametrize(("text", "expected"), NUMBER_WORDS)
def test_number_words_become_digits(text: str, expected: str) -> None:
    """English number words become digits."""
    assert normalise(text).text == expected


@pytest.mark.parametrize("text", AMBIGUOUS_WORDS)
def test_doubtful_number_words_are_kept(text: str) -> None:
    """Words with two readings, parts of ordinals, and words glued to letters are left alone."""
    assert normalise(text).text == text


def test_lone_surrogates_become_replacement_characters() -> None:
    """A text that cannot be encoded still has a normalised form that RE2 can read."""
    assert normalise("a \ud800 b").text == "a \ufffd b"


@given(TEXTS)
@example("twenty five-six")
@example("five ½ . .")
@example("２five-two")
def test_normalising_twice_changes_nothing(text: str) -> None:
    """A normalised text is its own normal form."""
    once = normalise(text).text
    assert normalise(once).text == once


@given(TEXTS)
def test_the_whole_source_is_the_original_without_its_ends(text: str) -> None:
    """The source of the whole text is the original but for dropped space and final punctuation."""
    normal = normalise(text)
    whole = normal.source(0, len(normal.text))
    assert whole in text
    assert normal.original == text
    if normal.text:
        assert normalise(whole).text == normal.text


@given(TEXTS, st.data())
def test_sources_of_neighbours_follow_each_other(text: str, data: st.DataObject) -> None:
    """Spans keep their order in the original, and a part's source lies inside its whole's source."""
    normal = normalise(text)
    length = len(normal.text)
    start, middle, end = sorted(data.draw(st.tuples(*[st.integers(0, length)] * 3)))
    first, last = normal.span(start, end)
    assert 0 <= first <= last <= len(text)
    if start < middle < end:
        left, right = normal.span(start, middle), normal.span(middle, end)
        assert left[0] == first
        assert right[1] == last
        assert left[0] <= right[0]
        assert left[1] <= right[1]


@given(st.lists(st.text(alphabet="abcdefghijklmné’-", min_size=1, max_size=8), min_size=1, max_size=8))
def test_the_source_of_a_word_normalises_to_the_word(parts: list[str]) -> None:
    """Each word of a normalised text comes from original text that spells just that word."""
    normal = normalise("  ".join(parts) + " ?")
    position = 0
    for word in normal.text.split(" "):
        start = normal.text.index(word, position)
        position = start + len(word)
        assert normalise(normal.source(start, position)).text == word


def test_the_source_of_a_part_of_a_rewritten_piece_is_all_of_it() -> None:
    """A span that touches a rewritten piece gets the whole piece."""
    normal = normalise("About  twenty-five ,  or 3½ “cups”")
    assert normal.text == 'About 25, or 3 1/2 "cups"'
    assert normal.source(6, 7) == "twenty-five"
    assert normal.source(6, 8) == "twenty-five"
    assert normal.source(13, 18) == "3½"
    assert normal.source(19, 25) == "“cups”"
    assert normal.source(4, 4) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" twenty-five ", " 25 "), ("  a  ,", " a,"), ("“x”?", '"x"?'), ("Mr. ", "Mr. "), (" ", " ")],
)
def test_a_literal_keeps_one_space_at_its_ends(text: str, expected: str) -> None:
    """Literal text of a template is normalised like a request, but may begin and end with a space."""
    assert normalise_literal(text) == expected


def test_the_last_literal_of_a_template_loses_its_punctuation() -> None:
    """Final punctuation is dropped from a literal that ends its template."""
    assert normalise_literal(" people ?", final=True) == " people"


def test_words_are_casefolded_runs_of_letters() -> None:
    """The words for the index have neither digits nor punctuation."""
    assert words("Don't split Straße 25x, ÇA_va") == {"don", "t", "split", "strasse", "x", "ça", "va"}


def test_linear_patterns_ignore_case() -> None:
    """`linear` compiles as templates are compiled."""
    matched = linear("[a-z]+").fullmatch("ABC")
    assert matched is not None
    assert matched.span() == (0, 3)


@pytest.mark.parametrize(
    "end", ["?", "??", "?!", "!?", "?.", "? .", "?...", "?!!", "\uff1f", "\u061f", "\u203d", '?"', "?)"]
)
def test_a_question_is_one_whatever_follows_its_mark(end: str) -> None:
    """Who guards a write declines "Cancel order A-1?!" as well, and what asks first or thanks afterwards."""
    assert (
        asks(f"Cancel order A-1{end}") and asks(f"Cancel order A-1{end} Thanks!") and asks("Is it? Cancel order A-1.")
    )
    assert asks("Quick question: cancel order A-1") and not asks("Cancel order A-1!")
    assert not asks('Name it "really?"') and not asks("Open https://a.example/b?c=1")
