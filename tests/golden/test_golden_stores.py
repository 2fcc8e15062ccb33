"""Stores of earlier versions are opened by this one, brought to its form, and still hit. See README.md."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.records.entry import Entry
from seglam_agents.records.outcome import Hit
from seglam_agents.records.record import Json
from seglam_agents.records.tools import Tool
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.base import NoteStore

GOLDEN = Path(__file__).parent
STORES = [
    pytest.param(folder, store, id=f"{folder.name}-{store['archive'].partition('.')[0]}")
    for folder in sorted(GOLDEN.glob("records_*"))
    for store in json.loads((folder / "expected.json").read_text(encoding="utf-8"))["stores"]
]


@pytest.mark.parametrize(("folder", "store"), STORES)
def test_a_store_of_an_earlier_version_still_hits(
    folder: Path, store: dict[str, Any], tmp_path: Path, sandbox: MontySandbox
) -> None:
    """Every request that hit then hits now, with the same answer and the same calls; what missed still misses."""
    path = unpacked(folder / store["archive"], tmp_path)
    for _ in range(2):
        for expected in store["caches"]:
            calls: list[tuple[str, Json]] = []
            with opened(path, expected, sandbox, calls) as cache:
                for hit in expected["hits"]:
                    calls.clear()
                    outcome = cache.lookup(hit["text"])
                    assert isinstance(outcome, Hit), (hit["text"], outcome)
                    assert outcome.answer == hit["answer"]
                    assert outcome.citation.key == hit["procedure"]
                    assert calls == [(call["tool"], call["arguments"]) for call in hit["calls"]]
                for text in expected["misses"]:
                    assert not isinstance(cache.lookup(text), Hit)


@pytest.mark.parametrize(("folder", "store"), STORES)
def test_a_store_of_an_earlier_version_loses_nothing(
    folder: Path, store: dict[str, Any], tmp_path: Path, sandbox: MontySandbox
) -> None:
    """Versions, statuses, templates, statistics, runs and kinds are all there, and go on counting."""
    path = unpacked(folder / store["archive"], tmp_path)
    for expected in store["caches"]:
        with opened(path, expected, sandbox, []) as cache:
            entries = sorted(cache.procedures(), key=lambda entry: entry.procedure.id)
            assert [described(entry) for entry in entries] == [
                {key: value for key, value in procedure.items() if key != "versions"}
                for procedure in expected["procedures"]
            ]
            for entry, procedure in zip(entries, expected["procedures"], strict=True):
                versions = cache.store.versions(cache.scope, entry.procedure.id)
                assert [one.procedure.version for one in versions] == procedure["versions"]
            assert isinstance(cache.store, NoteStore)
            for kind, count in expected["notes"].items():
                assert len(cache.store.notes(cache.scope, kind)) == count
            for hit in expected["hits"]:
                cache.lookup(hit["text"])
    for expected in store["caches"]:
        with opened(path, expected, sandbox, []) as cache:
            hits = sum(entry.statistics.hits for entry in cache.procedures())
            assert hits == sum(one["hits"] for one in expected["procedures"]) + len(expected["hits"])


def unpacked(archive: Path, folder: Path) -> Path:
    with closing(tarfile.open(archive)) as packed:
        packed.extractall(folder, filter="data")
    return folder / archive.name.partition(".")[0]


def opened(
    path: Path, expected: dict[str, Any], sandbox: MontySandbox, calls: list[tuple[str, Json]]
) -> ReasoningCache:
    """Open a cache as it was opened when the store was written."""

    def function(name: str) -> Callable[..., Json]:
        def called(**arguments: Json) -> Json:
            calls.append((name, arguments))
            answers = expected["results"][name]
            return answers[str(next(iter(arguments.values())))] if answers else "ok"

        return called

    tools = [HostTool(Tool.model_validate(tool), function(tool["name"])) for tool in expected["tools"]]
    return ReasoningCache(
        path,
        sandbox=sandbox,
        second_sandbox=None,
        tools=tools,
        tenant=expected["tenant"],
        system_prompt=expected["system_prompt"],
    )


def described(entry: Entry) -> dict[str, Any]:
    procedure = entry.procedure
    return {
        "id": procedure.id,
        "version": procedure.version,
        "name": procedure.name,
        "status": entry.status,
        "templates": list(procedure.guard.templates),
        "tools": [use.name for use in procedure.tools],
        "hits": entry.statistics.hits,
        "traces": len(procedure.provenance.trace_ids),
    }
