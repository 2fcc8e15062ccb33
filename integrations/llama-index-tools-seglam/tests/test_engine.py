"""The query engine: hits, misses, kinds of responses, and what is learnt."""

from __future__ import annotations

from typing import Any

import pytest
from li_support import ADD, ADD_BODY, Open, Runner, biggest_city, database, procedure, sql_engine
from llama_index.core import Document, SummaryIndex
from llama_index.core.base.response.schema import AsyncStreamingResponse, Response, StreamingResponse
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.tools import QueryEngineTool
from seglam_agents import Learned, Trace
from seglam_agents.testing.llama_index import ScriptedLLM
from sqlalchemy import event, text

from llama_index.tools.seglam import SeglamQueryEngine, SqlSource, query_tools, source_of
from llama_index.tools.seglam.sources import RetrieverSource

QUESTION = "what is the biggest city in {}"
RETRIEVE_BODY = """
def run(word):
    return len(retrieve(word))
"""

STATES = ("texas", "ohio", "iowa")
"""Two questions teach, and the third confirms."""


def cached(opened: Open, inner: Any, **options: Any) -> SeglamQueryEngine:
    return SeglamQueryEngine(inner, opened(tools=query_tools(inner)), **options)


def test_a_kind_is_learnt_and_then_costs_no_model_call(opened: Open, run: Runner) -> None:
    """Two questions teach and one confirms; the next is answered by the statement with its word bound, live."""
    llm = ScriptedLLM(biggest_city)
    db = database()
    inner = sql_engine(llm, database=db)
    engine = cached(opened, inner)
    plain = run.query(inner, QUESTION.format("texas"))[0]
    for state in STATES:
        run.query(engine, QUESTION.format(state))
    calls = llm.calls
    response, said = run.query(engine, QUESTION.format("new york"))
    assert llm.calls == calls and said == "[('albany', 90)]"
    assert type(response) is type(plain) and response.source_nodes == plain.source_nodes == []
    assert response.metadata["result"] == [("albany", 90)]
    assert response.metadata["col_keys"] == ["name", "population"] == plain.metadata["col_keys"]
    assert ":state" in response.metadata["sql_query"] and response.metadata["parameters"] == {"state": "new york"}
    assert response.metadata["seglam"]["hit"] and response.metadata["seglam"]["clean_replays"] == 3
    with db.engine.begin() as connection:
        connection.execute(text("update city set population = 91 where name = 'albany'"))
    assert run.query(engine, QUESTION.format("new york"))[1] == "[('albany', 91)]"


@pytest.mark.parametrize("learning", ["inline", "background"])
def test_a_database_of_one_thread_is_used_in_no_other(opened: Open, run: Runner, learning: Any) -> None:
    """SQLite in memory is lost where a second thread touches it: answering and learning keep to that of the query."""
    llm = ScriptedLLM(biggest_city)
    engine = cached(opened, sql_engine(llm, database=database(of_one_thread=True)), learning=learning)
    for state in STATES:
        run.query(engine, QUESTION.format(state))
    calls = llm.calls
    assert run.query(engine, QUESTION.format("new york"))[1] == "[('albany', 90)]" and llm.calls == calls


@pytest.mark.parametrize("streaming", [False, True])
def test_a_hit_is_the_kind_of_response_that_the_engine_gives(opened: Open, run: Runner, streaming: bool) -> None:
    """Streaming where the inner engine streams, and the rows as source nodes where it has them."""
    llm = ScriptedLLM(biggest_city)
    engine = cached(opened, sql_engine(llm, synthesize_response=True, streaming=streaming))
    first, said = run.query(engine, QUESTION.format("texas"))
    assert said == "By the model."
    for state in STATES[1:]:
        run.query(engine, QUESTION.format(state))
    calls = llm.calls
    hit, said = run.query(engine, QUESTION.format("maine"))
    assert llm.calls == calls and said == "[('portland', 60)]"
    expected = (StreamingResponse if run.colour == "sync" else AsyncStreamingResponse) if streaming else Response
    assert type(hit) is type(first) is expected
    ours, theirs = hit.source_nodes[0].node, first.source_nodes[0].node
    assert ours.text == "[('portland', 60)]" and set(ours.metadata) == set(theirs.metadata)
    assert ours.excluded_llm_metadata_keys == theirs.excluded_llm_metadata_keys


def test_a_stream_that_nobody_reads_teaches_nothing(opened: Open) -> None:
    """Learning waits for the end of the stream."""
    seen: list[str] = []
    inner = sql_engine(ScriptedLLM(biggest_city), synthesize_response=True, streaming=True)
    engine = cached(opened, inner, learned=lambda question, trace, learned: seen.append(question))
    response = engine.query(QUESTION.format("texas"))
    assert not seen
    str(response)
    assert seen == [QUESTION.format("texas")]


def test_nothing_found_is_left_to_the_model(opened: Open, run: Runner) -> None:
    """A word that names nothing here may name something else: the model is asked."""
    llm = ScriptedLLM(biggest_city)
    engine = cached(opened, sql_engine(llm))
    for state in STATES:
        run.query(engine, QUESTION.format(state))
    calls = llm.calls
    response, _ = run.query(engine, QUESTION.format("atlantis"))
    assert llm.calls == calls + 1 and "seglam" not in response.metadata
    assert engine.cache.stats().deopts == 1


def test_markdown(opened: Open) -> None:
    """With `markdown_response` a hit is the same table."""
    inner = sql_engine(ScriptedLLM(biggest_city), markdown_response=True)
    engine = cached(opened, inner)
    for state in STATES:
        engine.query(QUESTION.format(state))
    assert str(engine.query(QUESTION.format("maine"))) == str(inner.query(QUESTION.format("maine")))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT nothing FROM city",
        "DELETE FROM city WHERE state = 'texas' RETURNING name",
        "SELECT random(), name FROM city WHERE state = 'texas'",
        "SELECT name FROM city WHERE state = 'nowhere'",
    ],
)
def test_what_teaches_nothing(opened: Open, run: Runner, sql: str) -> None:
    """Errors, writes, results that do not come out again, and empty results."""
    told: list[tuple[Trace | None, Learned]] = []
    engine = cached(
        opened, sql_engine(ScriptedLLM(lambda _: sql)), learned=lambda _, trace, learned: told.append((trace, learned))
    )
    run.query(engine, QUESTION.format("texas"))
    assert [trace for trace, _ in told] == [None] and told[0][1].reason


def test_a_statement_that_was_put_together_does_not_run(opened: Open, run: Runner) -> None:
    """A body that writes a value into its statement gives up, and nothing of it reaches the database."""
    llm = ScriptedLLM(lambda _: "SELECT name FROM city")
    db = database()
    inner = sql_engine(llm, database=db)
    engine = cached(opened, inner)
    body = """
def run(word):
    return run_sql(statement=f"SELECT name FROM city WHERE state = '{word}'", parameters={})
"""
    procedure(engine.cache, "spliced", "biggest in {word:phrase}", body, query_tools(inner))
    sent: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda c, cur, statement, p, ctx, many: sent.append(statement))
    response, _ = run.query(engine, "biggest in texas")
    assert "seglam" not in response.metadata and not any("'texas'" in statement for statement in sent)
    assert engine.cache.stats().deopts == 1


def test_the_cache_itself_runs_no_statement_that_no_engine_knows(opened: Open) -> None:
    """`cache.lookup` goes past the engine, and so past its checks: such a statement is refused."""
    inner = sql_engine(ScriptedLLM(biggest_city))
    source = source_of(inner)
    assert isinstance(source, SqlSource)
    with pytest.raises(ValueError, match="vouched"):
        source.tools[0].function(statement="SELECT name FROM city", parameters={})


def test_another_schema_is_another_tool(opened: Open) -> None:
    """A procedure for the tables as they were is not asked for the tables as they are."""
    one = database()
    before = SqlSource(one).tool.schema_hash
    assert SqlSource(database()).tool.schema_hash == before
    with one.engine.begin() as connection:
        connection.execute(text("alter table city add column mayor text"))
    assert SqlSource(type(one)(one.engine)).tool.schema_hash != before


def test_a_procedure_for_another_database_is_not_run(opened: Open, run: Runner) -> None:
    """The tool that it was made for is not this engine's."""
    llm = ScriptedLLM(biggest_city)
    other = database()
    with other.engine.begin() as connection:
        connection.execute(text("create table more (x int)"))
    foreign = sql_engine(llm, database=type(other)(other.engine))
    cache = opened(tools=query_tools(foreign))
    teacher = SeglamQueryEngine(foreign, cache)
    for state in STATES:
        run.query(teacher, QUESTION.format(state))
    engine = SeglamQueryEngine(sql_engine(llm), cache)
    assert "seglam" not in run.query(engine, QUESTION.format("maine"))[0].metadata


def test_retrieval_is_a_miss(opened: Open, run: Runner) -> None:
    """What a retriever finds has to be read: nothing is learnt, and the inner engine answers every time."""
    llm = ScriptedLLM(lambda _: "by the model")
    inner = SummaryIndex.from_documents([Document(text="tea costs 3")]).as_query_engine(llm=llm)
    engine = cached(opened, inner)
    for _ in range(3):
        assert run.query(engine, "what does tea cost")[1] == "by the model"
    assert llm.calls == 3 and engine.cache.procedures() == []


def test_retrieve_then_compute(opened: Open, run: Runner) -> None:
    """A procedure that computes on what is retrieved is served, with the nodes it read."""
    index = SummaryIndex.from_documents([Document(text="tea costs 3"), Document(text="rice costs 5")])
    inner = index.as_query_engine(llm=ScriptedLLM([]))
    engine = cached(opened, inner)
    assert isinstance(engine.source, RetrieverSource)
    template = "how many notes are there about {word:noun}"
    procedure(engine.cache, "count", template, RETRIEVE_BODY, query_tools(inner))
    response, said = run.query(engine, "how many notes are there about prices")
    assert said == "2" and len(response.source_nodes) == 2


class Broken:
    """A cache that is broken everywhere."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("broken")


def test_a_broken_cache_does_not_break_the_engine(run: Runner) -> None:
    """The inner engine answers, and learning fails silently."""
    llm = ScriptedLLM(biggest_city)
    engine = SeglamQueryEngine(sql_engine(llm), Broken())  # type: ignore[arg-type]
    assert run.query(engine, QUESTION.format("texas"))[1] == "[('dallas', 1300)]"


def test_errors_of_the_inner_engine_are_its_own(opened: Open, run: Runner) -> None:
    """Whatever the inner engine raises is raised."""

    class Failing(CustomQueryEngine):
        def custom_query(self, query_str: str) -> str:
            raise KeyError(query_str)

    with pytest.raises(KeyError):
        run.query(cached(opened, Failing()), "x")


def test_a_procedure_that_needs_no_tool(opened: Open, run: Runner) -> None:
    """An answer that code alone computes is a response like any other."""
    engine = cached(opened, sql_engine(ScriptedLLM([])))
    procedure(engine.cache, "add", ADD, ADD_BODY)
    assert run.query(engine, "add 2 and 3")[1] == "5"


def test_the_wrapped_engine_is_an_engine(opened: Open) -> None:
    """It fits into a tool, its prompts reach the inner ones, and other attributes are the inner engine's."""
    inner = sql_engine(ScriptedLLM(biggest_city))
    engine = cached(opened, inner)
    assert any("text_to_sql_prompt" in name for name in engine.get_prompts())
    assert engine.sql_retriever is inner.sql_retriever
    tool = QueryEngineTool.from_defaults(engine, name="cities", description="cities")
    assert tool.call(QUESTION.format("texas")).content == "[('dallas', 1300)]"


def test_learning_off_and_in_the_background(opened: Open, run: Runner) -> None:
    """Off: never. Background: after a flush."""
    off = cached(opened, sql_engine(ScriptedLLM(biggest_city)), learning="off")
    later = cached(opened, sql_engine(ScriptedLLM(biggest_city)), learning="background")
    for state in STATES:
        run.query(off, QUESTION.format(state))
        run.query(later, QUESTION.format(state))
        later.learner.flush(30)
    assert off.cache.procedures() == [] and len(later.cache.procedures()) == 1
    later.learner.close()


def test_it_works_from_a_store_on_disk(opened: Open, run: Runner, tmp_path: Any) -> None:
    """Another process serves what one has learnt."""
    llm = ScriptedLLM(biggest_city)
    inner = sql_engine(llm)
    cache = opened(tmp_path, tools=query_tools(inner))
    for state in STATES:
        run.query(SeglamQueryEngine(inner, cache), QUESTION.format(state))
    cache.close()
    again = opened(tmp_path, tools=query_tools(inner))
    assert run.query(SeglamQueryEngine(inner, again), QUESTION.format("maine"))[0].metadata["seglam"]["hit"]
