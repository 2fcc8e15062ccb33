"""The schemas of a `response_format` of LangChain."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from seglam_agents.hosting import Json, Misfit, fit

from langchain_seglam.kinds import loose, several


def schemas_of(response_format: object) -> Sequence[object]:
    """Return the schemas of a `response_format`: of a strategy of LangChain, or the schema itself."""
    if response_format is None:
        return ()
    whole = loose(response_format)
    if specs := several(getattr(response_format, "schema_specs", None)):
        return [getattr(spec, "schema", spec) for spec in specs]
    # Classes are schemas themselves; pydantic gives every model a method called `schema`.
    inner: object = None if isinstance(response_format, (type, dict)) else getattr(response_format, "schema", None)
    return (whole if inner is None else inner,)


def misfit_of(response_format: object) -> Callable[[Json], str | None]:
    """Return what says why an answer does not fit a `response_format`."""

    def misfit(answer: Json) -> str | None:
        fitted = fit(answer, schemas_of(response_format))
        return fitted.reason if isinstance(fitted, Misfit) else None

    return misfit
