"""A first miss, a first hit, and two requests that the guard declines. Needs no key.

The model of this example is scripted: it holds two replies, written beforehand, in the form that a real model is asked
for: the code, and its own answer as a second opinion on the code. With a real one the same code is

    with ReasoningCache("./seglam", model="openai:gpt-…") as cache: ...

where the model may also be any LangChain chat model, or the URL of an OpenAI-compatible server ("http://host:8000/v1").
"""

from __future__ import annotations

from seglam_agents.cache import ReasoningCache
from seglam_agents.records.outcome import Hit, Miss, Outcome
from seglam_agents.testing.models import ScriptedModel

REPLY = """```python
NAME = "split_bill"
DESCRIPTION = "Splits a bill evenly among people."
TEMPLATES = [
    "Split a {total:money} bill among {n:count} people",
]
WHERE = "n > 0"
EXPECTED = [21.13]


def run(total, n):
    return round(total.amount / n + 1e-9, 2)
```"""
"""What a model would reply when it is asked for code: a guard and a body."""
OPINION = "84.50 / 4 = 21.125\n\nANSWER: 21.13"
"""What it would reply when it is asked for the answer itself. Code that disagrees is not admitted."""

REQUESTS = (
    "Split a $84.50 bill among 4 people",
    "Please split the $1,020 bill among seven people",
    "Could you split the £60 bill among five people?",
)
NEAR_MISSES = (
    "Split a $84.50 bill among 4 people, but Bob pays nothing",
    "Split a $84.50 bill among 0 people",
)


def main() -> None:
    """Answer the requests, then look near misses up, and show what admission tried."""
    model = ScriptedModel([REPLY, OPINION])  # A stand-in with two replies: a third model call would fail.
    with ReasoningCache(store=None, model=model) as cache:
        for request in REQUESTS:
            show(request, cache.answer(request))
        for request in NEAR_MISSES:
            show(request, cache.lookup(request))
        entry = cache.procedures()[0]
        print(f"\n{entry.procedure.key} was admitted after these checks:")
        for check in entry.report.checks:
            print(f"  {check.name:<16} {check.verdict:<8} {check.cases:>4} cases  {check.evidence}".rstrip())
        print(f"\nModel calls: {cache.stats().model_usage.calls} for {cache.stats().requests} requests.")


def show(request: str, outcome: Outcome) -> None:
    """Print a request and what came of it."""
    print(request)
    match outcome:
        case Hit(answer=answer, citation=citation):
            print(f"  hit: {answer}, by {citation.key}, no model call")
        case Miss(answer=answer, answered_by=who, reason=reason):
            print(f"  miss ({reason}): answered by {who}: {answer}")
        case _:
            print(f"  {outcome}")


if __name__ == "__main__":
    main()
