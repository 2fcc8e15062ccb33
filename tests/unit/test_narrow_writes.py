"""In writes the default is narrow: what differs from all that was seen goes to the model, whoever wrote the code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import pytest

from seglam_agents import Hit, HostTool, Learned, Miss, ReasoningCache, Refused, Request, Tool, ToolStep, Trace
from seglam_agents.models.base import Message
from seglam_agents.records.entry import Entry
from seglam_agents.records.errors import SlotError
from seglam_agents.records.procedure import Example, GuardSource, Procedure, Provenance, ToolUse
from seglam_agents.records.record import Json
from seglam_agents.testing.models import ScriptedModel

Calls: TypeAlias = list[tuple[object, ...]]

ORDER: Json = {"type": "string"}
REFUND = Tool(
    name="refund",
    parameters={"type": "object", "properties": {"amount": {"type": "number"}, "order": ORDER}},
    effect="write",
)
CANCEL = Tool(name="cancel", parameters={"type": "object", "properties": {"order": ORDER}}, effect="write")
SEEN = ((20, "A-1001"), (5, "A-1002"), (12, "A-2003"), (8, "A-7712"))
REFUND_BODY = "def run(amount, order):\n    return refund(amount.amount, order)\n"
CANCEL_BODY = "def run(order):\n    return cancel(order)\n"
REFUND_CODE = """import re
from slots import parse
def match(request):
    found = re.fullmatch(r"Refund (\\S+) for order (\\S+?)[.!?]*", request)
    amount = parse("money", found[1]) if found else None
    return {"amount": amount, "order": found[2]} if amount else None
"""
CANCEL_CODE = """import re
def match(request):
    found = re.fullmatch(r"Cancel order (\\S+?)[.!?]*", request)
    return {"order": found[1]} if found else None
"""


def refund_of(amount: float, order: str, words: str = "Refund ${} for order {}") -> Trace:
    step = ToolStep(tool="refund", arguments={"amount": amount, "order": order}, result="ok")
    return Trace(request=Request(text=words.format(amount, order)), steps=(step,), answer="ok")


def cancel_of(order: str) -> Trace:
    step = ToolStep(tool="cancel", arguments={"order": order}, result="ok")
    return Trace(request=Request(text=f"Cancel order {order}"), steps=(step,), answer="ok")


def by_runs(cache: ReasoningCache) -> None:
    for amount, order in SEEN:
        cache.observe(refund_of(amount, order))
        cache.observe(cancel_of(order))


def by_a_model(cache: ReasoningCache) -> None:
    for amount, order in SEEN:
        learn(cache, refund_of(amount, order))
        learn(cache, cancel_of(order))


def by_hand(cache: ReasoningCache) -> None:
    """Store procedures whose guard is code, which no model writes for what has tools."""
    refunds = [Example(text=f"Refund ${amount} for order {order}", answer="ok") for amount, order in SEEN]
    cancels = [Example(text=f"Cancel order {order}", answer="ok") for _, order in SEEN]
    for tool, code, body, examples in (
        (REFUND, REFUND_CODE, REFUND_BODY, refunds),
        (CANCEL, CANCEL_CODE, CANCEL_BODY, cancels),
    ):
        procedure = Procedure(
            id=tool.name,
            name=tool.name,
            scope=cache.scope,
            guard=GuardSource(code=code),
            body=body,
            tools=(ToolUse.of(tool),),
            examples=tuple(examples),
            provenance=Provenance(compiler="person"),
        )
        cache.store.put(Entry(procedure=procedure, status="active"), expected_revision=0)
    cache.procedures()


def learn(cache: ReasoningCache, trace: Trace) -> Learned:
    return cache.learn(trace.request, trace=trace)


def says(messages: Sequence[Message]) -> str:
    if asks_to_refund(messages):
        return reply("refund", 'TEMPLATES = ["Refund {amount:money} for order {order:id}"]', REFUND_BODY)
    return reply("cancel", 'TEMPLATES = ["Cancel order {order:id}"]', CANCEL_BODY)


def asks_to_refund(messages: Sequence[Message]) -> bool:
    return re.search(r'^1\. "?Refund', messages[1].content, re.MULTILINE) is not None


def reply(name: str, guard: str, body: str) -> str:
    return f'```python\nNAME = "{name}"\n{guard}\n\n{body}```'


Script: TypeAlias = Callable[[Sequence[Message]], str]
Maker: TypeAlias = tuple[Script | None, Callable[[ReasoningCache], None]]
MAKERS: dict[str, Maker] = {
    "runs": (None, by_runs),
    "a model": (says, by_a_model),
    "a person, with a guard that is code": (None, by_hand),
}


@pytest.fixture(scope="module")
def calls() -> Calls:
    return []


@pytest.fixture(scope="module", params=MAKERS)
def cache(calls: Calls, request: pytest.FixtureRequest) -> Iterator[ReasoningCache]:
    script, make = MAKERS[request.param]
    with opened(script, calls) as cache:
        make(cache)
        assert cache.stats().procedures == 2
        yield cache


def opened(script: Script | None, calls: Calls, write_range: tuple[float, float] = (0.5, 2)) -> ReasoningCache:
    def refund(amount: float, order: str) -> str:
        calls.append((amount, order))
        return "ok"

    def cancel(order: str) -> str:
        calls.append((order,))
        return "ok"

    return ReasoningCache(
        model=ScriptedModel(script) if script else None,
        tools=[HostTool(REFUND, refund), HostTool(CANCEL, cancel)],
        second_sandbox=None,
        attacker=False,
        write_range=write_range,
    )


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("Refund $15 for order A-3333", (15, "A-3333")),
        ("Refund $40 for order A-3333", (40, "A-3333")),
        ("Refund $2.50 for order A-3333", (2.5, "A-3333")),
        ("Cancel order A-5512", ("A-5512",)),
        ("Cancel order A-5512!", ("A-5512",)),
    ],
)
def test_what_is_like_the_seen_is_done(
    cache: ReasoningCache, calls: Calls, text: str, call: tuple[object, ...]
) -> None:
    """Amounts within half of the smallest and twice the largest, ids of a seen shape."""
    calls.clear()
    assert isinstance(cache.lookup(text), Hit) and calls == [call]


@pytest.mark.parametrize(
    "text",
    [
        "Refund $2,000,000 for order A-3333",
        "Refund $41 for order A-3333",
        "Refund $2 for order A-3333",
        "Refund 20 euros for order A-3333",
        "Refund €20 for order A-3333",
        "Cancel order A-5512/A-5513",
        "Cancel order A-5512-A-5514",
        "Cancel order A-5512 - A-5514",
        "Cancel order A-5512..5514",
        "Cancel order fix-9..fix-12",
        "Cancel order 1234-1240",
        "Cancel order 2025-01-02",
        "Cancel order A-551",
        "Cancel order AB-5512",
        "Cancel order a-5512",
        "Cancel order A-5512?",
        "Should I cancel order A-5512?",
        "Cancel order A-5512? Thanks!",
        "Cancel order A-5512？ Thank you.",
        "Quick question: cancel order A-5512",
        "A question - cancel order A-5512",
    ],
)
def test_what_is_not_is_left_to_the_model(cache: ReasoningCache, calls: Calls, text: str) -> None:
    """Other sizes, currencies and shapes, ranges, dates and questions write nothing."""
    calls.clear()
    assert not isinstance(cache.lookup(text), Hit) and calls == []


@pytest.mark.parametrize("maker", MAKERS)
def test_the_range_is_the_users(maker: str) -> None:
    """`write_range` says how far beyond the seen an amount may lie; a wider one takes more."""
    script, make = MAKERS[maker]
    calls: Calls = []
    for within, taken in (((1, 1), [20]), ((0.5, 2), [20, 40]), ((0.1, 10), [20, 40, 200])):
        calls.clear()
        with opened(script, calls, within) as cache:
            make(cache)
            for amount in (20, 40, 200):
                cache.lookup(f"Refund ${amount} for order A-3333")
        assert calls == [(amount, "A-3333") for amount in taken]


@pytest.mark.parametrize("within", [(2, 0.5), (-1, 2), (0.5, float("inf")), (1.5, 2)])
def test_a_range_that_is_none(within: tuple[float, float]) -> None:
    """It is refused at once, with what to give instead."""
    with pytest.raises(SlotError, match="factors below and above 1"):
        ReasoningCache(write_range=within)


def test_a_procedure_that_is_called_is_held_too() -> None:
    """Arguments that a model gives by name are no less to be like the seen than those of a text."""
    with opened(says, []) as cache:
        by_a_model(cache)
        name = next(entry.procedure.id for entry in cache.procedures() if "refund" in entry.procedure.id)
        assert not isinstance(cache.bind(name, {"amount": "$20", "order": "A-3333"}), Refused)
        for amount, order in (("$2,000", "A-3333"), ("$20", "A-3333/A-3334")):
            refused = cache.bind(name, {"amount": amount, "order": order})
            assert isinstance(refused, Refused) and refused.kind == "arguments"


def test_one_more_known_request_makes_it_take_more() -> None:
    """A request that the model answered the same way is a further version of the procedure, and no second one."""
    calls: Calls = []
    with opened(says, calls) as cache:
        assert learn(cache, refund_of(20, "A-1001")).status == "admitted"
        assert isinstance(cache.lookup("Refund $90 for order BC-12"), Miss)
        assert learn(cache, refund_of(100, "BC-77")).status == "widened"
        assert isinstance(cache.lookup("Refund $90 for order BC-12"), Hit) and calls == [(90, "BC-12")]
        (entry,) = cache.procedures()
        assert entry.procedure.version == 2 and len(entry.procedure.examples) == 2


MOVE = Tool(
    name="move",
    parameters={"type": "object", "properties": {"source": ORDER, "target": ORDER}, "required": ["source", "target"]},
    effect="write",
)
PRICE = Tool(
    name="price",
    parameters={
        "type": "object",
        "properties": {"old": {"type": "number"}, "new": {"type": "number"}},
        "required": ["old", "new"],
    },
    effect="write",
)


@pytest.mark.parametrize("maker", ["runs", "a model"])
def test_what_always_differed_differs(maker: str) -> None:
    """Nobody moves a thing to where it is, and "from $9 to $16" shows nothing about "from $16 to $9"."""
    made: Calls = []

    def move(source: str, target: str) -> str:
        made.append((source, target))
        return "ok"

    def price(old: float, new: float) -> str:
        made.append((old, new))
        return "ok"

    def script(messages: Sequence[Message]) -> str:
        if re.search(r'^1\. "?Move', messages[1].content, re.MULTILINE):
            template = 'TEMPLATES = ["Move the box from {source:id} to {target:id}"]'
            return reply("move", template, "def run(source, target):\n    return move(source, target)\n")
        template = 'TEMPLATES = ["Raise the price from {old:money} to {new:money}"]'
        return reply("price", template, "def run(old, new):\n    return price(old.amount, new.amount)\n")

    runs = [
        *(({"source": a, "target": b}, "move", f"Move the box from {a} to {b}")
          for a, b in (("A-10", "B-20"), ("C-31", "A-11"), ("B-21", "C-30"), ("A-12", "C-33"))),
        *(({"old": a, "new": b}, "price", f"Raise the price from ${a} to ${b}")
          for a, b in ((9, 16), (12, 15), (10, 18), (11, 14))),
    ]  # fmt: skip
    model = ScriptedModel(script) if maker == "a model" else None
    tools = [HostTool(MOVE, move), HostTool(PRICE, price)]
    with ReasoningCache(model=model, tools=tools, second_sandbox=None, attacker=False) as cache:
        for arguments, tool, text in runs:
            step = ToolStep(tool=tool, arguments=dict(arguments), result="ok")
            trace = Trace(request=Request(text=text), steps=(step,), answer="ok")
            _ = learn(cache, trace) if model else cache.observe(trace)
        for text, call in (
            ("Move the box from C-32 to B-22", ("C-32", "B-22")),
            ("Raise the price from $13 to $17", (13, 17)),
        ):
            made.clear()
            assert isinstance(cache.lookup(text), Hit) and made == [call]
        for text in (
            "Move the box from A-10 to A-10",
            "Raise the price from $12 to $12",
            "Raise the price from $16 to $9",
        ):
            made.clear()
            assert not isinstance(cache.lookup(text), Hit) and made == []
