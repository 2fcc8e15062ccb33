"""Whatever stands in a question, the statement that reaches the database is the stored one, and nothing changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from li_support import CITIES, Open, biggest_city, database, sql_engine
from llama_index.core import SQLDatabase
from llama_index.core.query_engine import CustomQueryEngine
from seglam_agents.testing.llama_index import ScriptedLLM
from sqlalchemy import event, text

from llama_index.tools.seglam import SeglamQueryEngine, SqlSource, query_tools

NASTY = [
    "texas'; DROP TABLE city; --",
    "' OR '1'='1",
    'x" OR ""="',
    "texas%",
    "100%",
    "a_b",
    "/* */ texas",
    "texas\\",
    ":state",
    "%(state)s",
    "{state}",
    "?",
    "texas;",
    "ﬀ тexas İ",
    "\u202etexas",
    "O'Brien",
    "o'land",
    "😀",
]
values = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.sampled_from("ab'\";-%_:?\\/*(){}$@# \n\u00e9\u0130"), min_size=1, max_size=20),
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20),
)


class Unanswering(CustomQueryEngine):
    """An engine that answers nothing."""

    def custom_query(self, query_str: str) -> str:
        return "not answered"


class Watched:
    """An engine that has learnt a kind, and what it sends to its database."""

    def __init__(self, opened: Open) -> None:
        self.database = database()
        llm = ScriptedLLM(biggest_city)
        inner = sql_engine(llm, database=self.database)
        self.engine = SeglamQueryEngine(inner, opened(tools=query_tools(inner)))
        for state in ("texas", "ohio", "maine"):
            self.engine.query(f"what is the biggest city in {state}")
        (entry,) = self.engine.cache.procedures()
        self.stored = "SELECT name, population FROM city WHERE state = :state ORDER BY population DESC LIMIT 1"
        assert repr(self.stored) in entry.procedure.body
        # Once it has learnt, it has nobody else to ask.
        self.engine = SeglamQueryEngine(
            Unanswering(), self.engine.cache, source=SqlSource(self.database), learning="off"
        )
        self.sent: list[tuple[str, object]] = []
        event.listen(self.database.engine, "before_cursor_execute", self._keep)

    def _keep(self, connection: object, cursor: object, statement: str, parameters: object, *rest: object) -> None:
        self.sent.append((statement, parameters))


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    from seglam_agents import ReasoningCache

    caches: list[ReasoningCache] = []

    def opened(**options: object) -> ReasoningCache:
        caches.append(ReasoningCache(None, second_sandbox=None, **options))  # type: ignore[arg-type]
        return caches[-1]

    yield Watched(opened)
    for cache in caches:
        cache.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values)
@example("o'land")
@example("new york")
def test_no_value_changes_the_statement(watched: Watched, value: str) -> None:
    """The statement is byte for byte the stored one, the value is bound, and schema and rows are as they were."""
    watched.sent.clear()
    response = watched.engine.query(f"what is the biggest city in {value}")
    sent = list(watched.sent)
    bound = watched.stored.replace(":state", "?")
    assert all(statement == bound for statement, _ in sent)
    assert all(len(parameters) == 1 for _, parameters in sent)  # type: ignore[arg-type]
    assert value != "new york" or sent
    if str(response) != "not answered":
        assert response.metadata is not None
        found = [(name, count) for name, state, count in CITIES if state == value][-1:]
        assert sent and response.metadata["result"] == found
    unchanged(watched.database)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values)
def test_no_bound_value_is_read_as_sql(watched: Watched, value: str) -> None:
    """Past the guard, too: what is bound is compared, and nothing else."""
    watched.sent.clear()
    rows = SqlSource(watched.database).run(watched.stored, {"state": value})
    assert watched.sent == [(watched.stored.replace(":state", "?"), (value,))]
    assert bool(rows.rows) == any(state == value for _, state, _ in CITIES)
    unchanged(watched.database)


@pytest.mark.parametrize("value", ["a%b", "a_b", "%a_", "[a]", "a*"])
def test_a_pattern_is_no_way_around(watched: Watched, value: str) -> None:
    """A value that goes into a LIKE has no letters that mean more than themselves."""
    with pytest.raises(ValueError, match="pattern"):
        SqlSource(watched.database).run("SELECT name FROM city WHERE name LIKE :name", {"name": value})


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM city", "SELECT 1; DELETE FROM city", "SELECT name FROM city WHERE state = :other", "PRAGMA x"],
)
def test_what_the_source_does_not_run(watched: Watched, statement: str) -> None:
    """Whoever asks: one statement that reads, with the parameters that are given."""
    with pytest.raises(ValueError):
        SqlSource(watched.database).run(statement, {"state": "texas"})
    unchanged(watched.database)


def unchanged(database: SQLDatabase) -> None:
    with database.engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(text("select name, state, population from city"))] == CITIES
        assert [row[0] for row in connection.execute(text("select name from sqlite_master"))] == ["city"]
