"""Engines that write pandas: the expression is kept, with the words of the question as variables."""

from __future__ import annotations

from typing import Any

import pytest
from li_support import Open, Runner, procedure
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import Response

from llama_index.tools.seglam import FrameSource, SeglamQueryEngine, query_tools

pd = pytest.importorskip("pandas")


def frame() -> Any:
    return pd.DataFrame({"isle": ["tarn", "holm", "west fell", "ostra"], "people": [120, 75, 31, 9]})


class PandasEngine(BaseQueryEngine):
    """Looks like the engine of llama-index-experimental, which keeps its frame and parser, and says what it ran."""

    def __init__(self, df: Any, write: Any) -> None:
        super().__init__(None)
        self._df, self._instruction_parser, self.write, self.calls = df, object(), write, 0

    def _get_prompt_modules(self) -> dict[str, Any]:
        return {}

    def _query(self, query_bundle: Any) -> Response:
        self.calls += 1
        code = self.write(query_bundle.query_str)
        output = str(eval(code, {"df": self._df}))
        return Response(output, metadata={"pandas_instruction_str": code, "raw_pandas_output": output})

    async def _aquery(self, query_bundle: Any) -> Response:
        return self._query(query_bundle)


def people(question: str) -> str:
    isle = question.rsplit(" on ", 1)[1]
    return f"df[df['isle'] == {isle!r}]['people'].sum()"


def test_an_expression_is_learnt_and_runs_on_live_data(opened: Open, run: Runner) -> None:
    """The word is a variable of the expression, and the frame is read on every hit."""
    data = frame()
    inner = PandasEngine(data, people)
    engine = SeglamQueryEngine(inner, opened(tools=query_tools(inner)))
    for isle in ("tarn", "holm", "west fell"):
        run.query(engine, f"how many people live on {isle}")
    response, said = run.query(engine, "how many people live on ostra")
    assert said == "9" and inner.calls == 3
    assert response.metadata["parameters"] == {"p1": "ostra"}
    assert response.metadata["pandas_instruction_str"] == "df[df['isle'] == p1]['people'].sum()"
    data.loc[3, "people"] = 10
    assert run.query(engine, "how many people live on ostra")[1] == "10"
    assert run.query(engine, "how many people live on atlantis")[1] == "0" and inner.calls == 4


@pytest.mark.parametrize(
    "code",
    [
        "df.to_csv('x')",
        "df.query('people > 1')",
        "df.eval('people')",
        "df.__class__",
        "(lambda: 1)()",
        "[x for x in (1, 2)]",
        "__import__('os')",
        "df.apply(len)",
        "df['people'].pipe(len)",
        "f'{df}'",
        "open('x')",
        "df.isle.str._parent",
        "p9",
        "df.sort_values('people', inplace=True)",
        "df.dropna(**{})",
        "1; 2",
    ],
)
def test_what_is_not_evaluated(code: str) -> None:
    """Only what is on the list."""
    with pytest.raises((ValueError, SyntaxError)):
        FrameSource(frame()).run(code, {})


def test_a_value_is_never_code(run: Runner) -> None:
    """Whatever a variable holds is compared."""
    source = FrameSource(frame())
    for value in ("'] or True or df['", "__import__('os')", "@p1", "tarn' or '1'=='1"):
        assert source.run("len(df[df['isle'] == p1])", {"p1": value}) == "0"
    with pytest.raises(ValueError):
        source.run("len(df)", {"len": "x"})


def test_an_expression_that_was_put_together_does_not_run(opened: Open, run: Runner) -> None:
    """A body that writes a value into its expression gives up."""
    inner = PandasEngine(frame(), lambda question: "len(df)")
    engine = SeglamQueryEngine(inner, opened(tools=query_tools(inner)))
    body = "def run(word):\n    return run_pandas(expression=f\"len(df[df['isle'] == '{word}'])\", parameters={})\n"
    procedure(engine.cache, "spliced", "count {word:phrase}", body, query_tools(inner))
    response, said = run.query(engine, "count tarn")
    assert said == "4" and "seglam" not in response.metadata
