"""The lexer: what is lifted out of a statement, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglam_agents.hosting.statements import Lifted, Unfit, lift, placeholders, read_only, tokens

NAMES = ("city", "state", "name", "population")


def lifted(sql: str, question: str, **options: object) -> Lifted:
    found = lift(sql, question, names=NAMES, **options)  # type: ignore[arg-type]
    assert isinstance(found, Lifted), found
    return found


def test_a_literal_of_the_question_becomes_a_parameter() -> None:
    """Case does not matter, and the value is the statement's."""
    found = lifted("SELECT * FROM city WHERE state = 'texas';", "Cities in Texas?")
    assert found == Lifted("SELECT * FROM city WHERE state = :state", {"state": "texas"})


def test_other_literals_stay() -> None:
    """What nobody asked for is part of the statement."""
    found = lifted("SELECT * FROM city WHERE population > 150000 AND state = 'ohio'", "major cities in ohio")
    assert found.statement == "SELECT * FROM city WHERE population > 150000 AND state = :state"


@pytest.mark.parametrize("question", ["over 1500 people", "over 1,500 people", "over one thousand five hundred people"])
def test_numbers_in_any_spelling(question: str) -> None:
    """A number counts as said whether in digits, with commas or in words."""
    found = lifted("SELECT name FROM city WHERE population > 1500", question)
    assert found == Lifted("SELECT name FROM city WHERE population > :population", {"population": 1500})


def test_days_in_any_spelling() -> None:
    """A day counts as said however the question spells it."""
    found = lifted("SELECT name FROM city WHERE founded = '2024-03-05'", "founded on March 5, 2024")
    assert found.parameters == {"founded": "2024-03-05"}


def test_doubled_quotes() -> None:
    """A quote within a text is one quote of its value."""
    found = lifted("SELECT 1 FROM city WHERE name = 'o''brien'", "where is o'brien")
    assert found.parameters == {"name": "o'brien"} and ":name" in found.statement


def test_every_occurrence_has_its_own_name() -> None:
    """The same text twice is two parameters."""
    found = lifted("SELECT 1 FROM city WHERE name = 'x' OR name = 'x'", "x")
    assert found.parameters == {"name": "x", "name_2": "x"}


def test_part_of_a_word_is_not_said() -> None:
    """`art` does not stand in `party`."""
    assert lifted("SELECT 1 FROM city WHERE name = 'art'", "a party").parameters == {}


def test_double_quotes_are_texts_where_the_database_takes_them_so() -> None:
    """But a name of the schema stays a name."""
    sql = 'SELECT name FROM city WHERE state = "texas" AND name = "population"'
    assert lifted(sql, "texas population", double_quoted_strings=True).parameters == {"state": "texas"}
    assert lifted(sql, "texas population").parameters == {}


def test_places_without_parameters() -> None:
    """Positions in ORDER BY, aliases and typed literals are no values."""
    assert lifted("SELECT name AS 'one' FROM city ORDER BY 1", "one").parameters == {}
    assert lifted("SELECT name, 1 FROM city", "one").parameters == {}
    assert lifted("SELECT DATE '2024-03-05'", "on 2024-03-05").parameters == {}
    assert lifted("SELECT name FROM city LIMIT 5", "five cities").parameters == {"limit": 5}


def test_patterns() -> None:
    """The words within a pattern count; a pattern with more in it stays."""
    assert lifted("SELECT 1 FROM city WHERE name LIKE '%aus%'", "like aus").parameters == {"name": "%aus%"}
    assert lifted("SELECT 1 FROM city WHERE name LIKE 'a_s%'", "a_s").parameters == {}


def test_colons_in_constants_are_no_placeholders() -> None:
    """`sqlalchemy.text` finds the parameters, and only them."""
    from sqlalchemy import text

    found = lifted("SELECT ' :x' FROM city WHERE name = 'a' AND state = '10:30'", "a")
    assert set(text(found.statement).compile().params) == {"name"} == placeholders(found.statement)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        ";",
        "DROP TABLE city",
        "SELECT 1; DROP TABLE city",
        "WITH x AS (DELETE FROM city RETURNING *) SELECT * FROM x",
        "SELECT * INTO other FROM city",
        "SELECT 1 -- comment",
        "SELECT 1 /*! DROP */",
        "SELECT 1 # comment",
        "SELECT 'a\\' OR 1=1'",
        "SELECT $$text$$",
        "SELECT x'00'",
        "SELECT 'open",
        "SELECT (1",
        "SELECT @x",
        "SELECT * FROM city WHERE name = :name",
        "SELECT * FROM city WHERE name = ?",
        "SELECT load_extension('x')",
        "SELECT pg_sleep(10)",
        "SELECT 1 FROM city FOR UPDATE",
        "PRAGMA table_info(city)",
        "EXPLAIN SELECT 1",
        "SELECT " + "1," * 20_000 + "1",
    ],
)
def test_what_is_refused(sql: str) -> None:
    """Everything that is not one statement that only reads, or that databases read in different ways."""
    assert isinstance(lift(sql, "x"), Unfit)


def test_words_in_texts_do_not_count() -> None:
    """A city may be called Drop."""
    assert not isinstance(read_only("SELECT 1 FROM city WHERE name = 'drop; table'"), Unfit)


@given(st.text(max_size=60))
def test_any_text_has_an_answer(sql: str) -> None:
    """Tokens cover the statement without gaps but spaces, or there is a reason."""
    found = tokens(sql)
    if isinstance(found, Unfit):
        assert found.reason
    else:
        assert "".join(token.text for token in found) == "".join(sql.split()) or any(
            token.kind in ("string", "quoted") for token in found
        )


@given(st.text(max_size=30).filter(lambda value: value.strip() and "\\" not in value and "\x00" not in value))
def test_any_value_is_lifted_whole(value: str) -> None:
    """A text literal of the question comes out as it is, whatever is in it."""
    literal = "'" + value.replace("'", "''") + "'"
    found = lift(f"SELECT name FROM city WHERE name = {literal}", f"about {value} now")
    assert isinstance(found, Lifted)
    if found.parameters:
        assert found == Lifted("SELECT name FROM city WHERE name = :name", {"name": value})
