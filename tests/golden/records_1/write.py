"""Writes the golden stores of record version 1. It ran once, on revision 3361e98, and runs on no later one.

Usage: `python write.py OUT`. It leaves `plain.tar.xz`, `shop.tar.xz` and `expected.json` in the folder OUT. Kept to
show where the golden stores come from; the README says more.
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seglam_agents.cache import HostTool, ReasoningCache
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.models.base import Message
from seglam_agents.records.outcome import Deopt, Hit, Learned, Miss
from seglam_agents.records.procedure import Entry, Example, GuardSource, Procedure, Provenance
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ModelStep, ToolStep, Trace
from seglam_agents.records.usage import Usage
from seglam_agents.testing.models import ScriptedModel, asks_for_code

PROMPT = "You are the clerk of a shop. You may cancel orders."
SPLIT = "Split a $84.50 bill among 4 people"
MODULES = {
    "Split a $": (
        'NAME = "split_bill"\nDESCRIPTION = "Share of a bill."\n'
        'TEMPLATES = ["(split|divide) [a|the] [bill of] {total:money} [bill] [evenly] (among|between) '
        '{n:count} (people|friends|persons)"]\nWHERE = "n > 0"\nEXPECTED = [21.13]\n\n\n'
        "def run(total, n):\n    return round(total.amount / n + 1e-9, 2)\n"
    ),
    "How many minutes": (
        'NAME = "minutes"\nDESCRIPTION = "Hours as minutes."\n'
        'TEMPLATES = ["How many minutes are {hours:number} hours"]\n'
        "EXPECTED = [150]\n\n\ndef run(hours):\n    return hours * 60\n"
    ),
}
PLAIN_HITS = (
    SPLIT,
    "Divide a bill of $1,020 between seven friends",
    "Split a bill of $90.00 equally among 3 people",
    "How many minutes are 4 hours",
    "reverse straße",
)
PLAIN_MISSES = (
    "Split a bill of $90.00 among 0 people",
    "What is the nicest colour?",
    "Greet Ada",
    "Add 2 and 3",
    "Take 2 from 3",
    "Multiply 2 by 3",
)


def main(out: Path) -> None:
    """Write everything."""
    out.mkdir(parents=True, exist_ok=True)
    expected = {"stores": [write(out, "plain", plain), write(out, "shop", shop)]}
    text = json.dumps(expected, indent=1, ensure_ascii=False, sort_keys=True)
    (out / "expected.json").write_text(text + "\n", encoding="utf-8")


def write(out: Path, name: str, fill: Callable[[Path], list[dict[str, Any]]]) -> dict[str, Any]:
    """Fill a store in a folder, and pack it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        caches = fill(path)
        with tarfile.open(out / f"{name}.tar.xz", "w:xz", preset=9) as archive:
            archive.add(path, arcname=name, filter=anonymous)
    return {"archive": f"{name}.tar.xz", "caches": caches}


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who wrote a file, and when."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


# --- a cache without tools


def plain(path: Path) -> list[dict[str, Any]]:
    """Compile, widen, refuse, hit; put a code guard and one procedure of each status that never serves."""
    with opened(path, ScriptedModel(script)) as cache:
        cache.answer(SPLIT)
        widened = cache.answer("Split a bill of $90.00 equally among 3 people")
        assert isinstance(widened, Miss) and widened.learned and widened.learned.status == "widened", widened
        cache.answer("How many minutes are 2.5 hours")
        cache.answer("What is the nicest colour?")
        for status in ("retired", "candidate", "shadow", "quarantined"):
            stored(cache, *BY_HAND[status], status=status)
        reverse = GuardSource(code=REVERSES)
        put(cache, "reverse", reverse, "def run(word):\n    return word[::-1]\n", status="active")
        hit(cache, *PLAIN_HITS[:3])
    with opened(path, None) as cache, opened_other(path, cache) as other:
        caches = [
            described(cache, PLAIN_HITS, PLAIN_MISSES),
            described(other, ["Add 40 and 2"], [SPLIT, "reverse straße"]),
        ]
    return caches


BY_HAND = {
    "retired": ("Greet {who:name}", "def run(who):\n    return 'Hello ' + who\n", "greet"),
    "candidate": ("Add {a:number} and {b:number}", "def run(a, b):\n    return a + b\n", "add"),
    "shadow": ("Take {a:number} from {b:number}", "def run(a, b):\n    return b - a\n", "take"),
    "quarantined": ("Multiply {a:number} by {b:number}", "def run(a, b):\n    return a * b\n", "multiply"),
}
REVERSES = """def match(request):
    text = request
    if not text.startswith("reverse "):
        return None
    word = text[8:]
    return {"word": word} if word.isalpha() else None
"""


def script(messages: Sequence[Message]) -> str:
    """Say what a model would: code for three kinds, a refusal, and an answer to everything else."""
    if not asks_for_code(messages):
        return "ANSWER: 0"
    said = messages[-1].content
    if "nicest colour" in said:
        return "NOT_CRYSTALLIZABLE: it needs taste\nANSWER: blue"
    found = re.search(r"^id '([^']+)'", said, re.MULTILINE)
    if found and "equally" in said:
        template = "Split a bill of {total:money} equally among {n:count} people"
        return f"```python\nWIDENS = {found[1]!r}\nTEMPLATES = [{template!r}]\nEXPECTED = [30]\n```"
    (code,) = [code for begin, code in MODULES.items() if begin in said]
    return f"```python\n{code}```"


def opened(path: Path, model: ScriptedModel | None, **options: Any) -> ReasoningCache:
    """Open a cache as the golden tests will."""
    return ReasoningCache(path, model, second_sandbox=None, second_opinion=False, **options)


def opened_other(path: Path, cache: ReasoningCache) -> ReasoningCache:
    """Open a second tenant on the same store."""
    other = opened(cache.store, None, tenant="Straße & Söhne")
    stored(other, *BY_HAND["candidate"], status="active")
    hit(other, "Add 1 and 1")
    return other


def stored(cache: ReasoningCache, template: str, body: str, name: str, *, status: str) -> Entry:
    """Put a procedure by hand."""
    return put(cache, name, GuardSource(templates=(template,)), body, status=status)


def put(cache: ReasoningCache, name: str, guard: GuardSource, body: str, *, status: str) -> Entry:
    """Put a procedure by hand, as somebody did who imported one."""
    procedure = Procedure(
        id=name,
        name=name,
        description="Put by hand.",
        scope=cache.scope,
        guard=guard,
        body=body,
        parameters=TemplateGuard(guard, context=()).parameters() if guard.templates else (),
        examples=(Example(text="An example", context={"n": [1, {"b": 0.5}]}, answer=None, origin="correction"),),
        counterexamples=(Example(text="No example", origin="neighbour"),),
        provenance=Provenance(compiler="hand", created_at=datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=UTC)),
        status=status,  # pyright: ignore[reportArgumentType]
    )
    return cache.store.put(Entry(procedure=procedure), expected_revision=0, vector=[1.0, *[0.0] * 511])


# --- agents with tools


def tool(name: str, arguments: str, effect: Any) -> Tool:
    """Declare a tool."""
    properties: dict[str, Json] = {argument: {"type": "string"} for argument in arguments.split()}
    return Tool(name=name, parameters={"type": "object", "properties": properties}, effect=effect)


STOCK, STATUS = tool("stock", "article", "read"), tool("order_status", "order", "read")
CANCEL, NOTIFY = tool("cancel_order", "order", "write"), tool("notify", "person message", "write")
RESULTS: dict[str, dict[str, Json]] = {
    "stock": {"blue kettle": 12, "red lamp": 3, "green chair": 40, "oak table": 7},
    "order_status": {"A-1001": "open", "A-2002": "open", "A-3003": "open", "A-4004": "open"},
}
PERSONS = {"Ada": "Ada", "Ben": "Ben", "Cleo": "Cleo", "Dora": "Dora"}


def call(name: str, **arguments: Json) -> ToolStep:
    """Return a call as the shop answers it."""
    return ToolStep(tool=name, arguments=arguments, result=result(name, arguments))


def result(name: str, arguments: dict[str, Json]) -> Json:
    """Answer a call."""
    return RESULTS[name][str(next(iter(arguments.values())))] if name in RESULTS else "ok"


def ran(text: str, answer: Json, *steps: ToolStep) -> Trace:
    """Return a run with what its model calls cost."""
    said = ModelStep(text="", usage=Usage(input_tokens=400, output_tokens=30, calls=1))
    return Trace(request=Request(text=text), steps=(said, *steps), answer=answer, recorded_at=datetime(2026, 3, 1, 9))


def stock_run(article: str) -> Trace:
    """A read, and its result in the answer."""
    step = call("stock", article=article)
    return ran(f"How many pieces of the {article} do we have?", f"We have {step.result} of it.", step)


def cancel_run(order: str) -> Trace:
    """A read, a write, and a fixed answer."""
    steps = call("order_status", order=order), call("cancel_order", order=order)
    return ran(f"Cancel order {order} please", f"I have cancelled order {order}.", *steps)


def notify_run(person: str) -> Trace:
    """A write alone."""
    step = call("notify", person=person, message="Your parcel is here")
    return ran(f"Tell {person} that the parcel is here", "Done.", step)


def shop(path: Path) -> list[dict[str, Any]]:
    """Learn by watching, under three agents: with a prompt, with other tools, and another tenant with both."""
    clerk = [STOCK, STATUS, CANCEL, NOTIFY]
    with opened(path, None, tools=hosted(clerk), system_prompt=PROMPT) as cache:
        for article in ("blue kettle", "red lamp", "green chair"):
            observed(cache, stock_run(article))
        for order in ("A-1001", "A-2002", "A-3003"):
            observed(cache, cancel_run(order))
        for person in ("Ada", "Ben", "Cleo"):
            observed(cache, notify_run(person))
        observed(cache, ran("Is it nice outside?", "Yes, very.", call("stock", article="oak table")))
        print([(e.procedure.key, e.procedure.status, e.procedure.guard.templates) for e in cache.procedures()])
        cancels = "Cancel order A-4004 please"
        hits = ["How many pieces of the oak table do we have?", cancels, "Tell Dora that the parcel is here"]
        hits = [text for text in hits if isinstance(cache.lookup(text), Hit)]
        print("hits", hits)
        misses = ["Is it nice outside?", "How many chairs do we have?"]
        caches = [described(cache, hits, misses, clerk, PROMPT)]
        with opened(cache.store, None, tools=hosted([STOCK])) as bare:
            for article in ("blue kettle", "red lamp", "green chair"):
                observed(bare, stock_run(article))
            caches.append(described(bare, hits[:1], [cancels], [STOCK], ""))
        with opened(cache.store, None, tools=hosted(clerk), system_prompt=PROMPT, tenant="other") as other:
            caches.append(described(other, [], hits, clerk, PROMPT))
    return caches


def hosted(tools: Sequence[Tool]) -> list[HostTool]:
    """Return tools as a cache takes them."""

    def function(name: str) -> Callable[..., Json]:
        return lambda **arguments: result(name, arguments)

    return [HostTool(one, function(one.name)) for one in tools]


def observed(cache: ReasoningCache, trace: Trace) -> Learned:
    """Observe a run, and say what came of it."""
    learned = cache.observe(trace)
    print(trace.request.text, "->", learned.status, learned.procedure, learned.reason[:90])
    return learned


# --- what must be true of them


def hit(cache: ReasoningCache, *texts: str) -> None:
    """Hit, so that there are statistics."""
    for text in texts:
        outcome = cache.lookup(text)
        assert isinstance(outcome, Hit), (text, outcome)


def described(
    cache: ReasoningCache,
    hits: Sequence[str],
    misses: Sequence[str],
    tools: Sequence[Tool] = (),
    system_prompt: str = "",
) -> dict[str, Any]:
    """Tell how a cache was opened, and what it answers."""
    document: dict[str, Any] = {
        "tenant": cache.scope.tenant,
        "agent": cache.scope.agent,
        "system_prompt": system_prompt,
        "tools": [one.model_dump(mode="json") for one in tools],
        "results": {one.name: RESULTS.get(one.name, {}) for one in tools},
        "hits": [answered(cache, text) for text in hits],
        "misses": [missed(cache, text) for text in misses],
    }
    # Asking for the procedures writes what these hits counted.
    entries = sorted(cache.procedures(), key=lambda entry: entry.procedure.id)
    document["procedures"] = [
        {
            **procedure(entry),
            "versions": [e.procedure.version for e in cache.store.versions(cache.scope, entry.procedure.id)],
        }
        for entry in (cache.store.get(cache.scope, entry.procedure.id) for entry in entries)
        if entry
    ]
    document["notes"] = {kind: len(cache.store.notes(cache.scope, kind)) for kind in ("trace", "kind")}
    return document


def answered(cache: ReasoningCache, text: str) -> dict[str, Any]:
    """Hit once more."""
    outcome = cache.lookup(text)
    assert isinstance(outcome, Hit), (text, outcome)
    calls = [{"tool": step.tool, "arguments": step.arguments} for step in outcome.steps]
    return {"text": text, "answer": outcome.answer, "procedure": outcome.citation.key, "calls": calls}


def missed(cache: ReasoningCache, text: str) -> str:
    """Miss."""
    outcome = cache.lookup(text)
    assert not isinstance(outcome, Hit | Deopt), (text, outcome)
    return text


def procedure(entry: Entry) -> dict[str, Any]:
    """Tell what a person sees of a procedure."""
    one = entry.procedure
    return {
        "id": one.id,
        "version": one.version,
        "name": one.name,
        "status": one.status,
        "templates": list(one.guard.templates),
        "tools": [use.name for use in one.tools],
        "hits": entry.statistics.hits,
        "traces": len(one.provenance.trace_ids),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
