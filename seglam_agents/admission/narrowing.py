"""What a guard can be narrowed by without a model, so that it takes none of the requests that were caught.

Only by what all known requests have in common and the caught ones do not: how many words stand at a place, and that
two places do not say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from seglam_agents.admission.case import OPEN_WORDS
from seglam_agents.compilers.base import Candidate
from seglam_agents.guards.guard import Accepted, TemplateGuard
from seglam_agents.guards.normal import normalise
from seglam_agents.records.procedure import Example
from seglam_agents.records.values import Value
from seglam_agents.serving.loading import Loaded


def narrowed(candidate: Candidate, loaded: Loaded, catches: Sequence[str]) -> Candidate | None:
    """Return a candidate whose `where` keeps out every caught request; None where one is like the known ones.

    Args:
        candidate: what accepts the caught requests.
        loaded: its procedure, loaded.
        catches: requests that it must decline, which become counterexamples.
    """
    guard, made = loaded.guard, candidate.procedure
    if not isinstance(guard, TemplateGuard):
        return None
    known = [bound for example in made.examples if (bound := _bound(guard, example.text, example)) is not None]
    limits: dict[str, None] = {}
    for catch in catches:
        bound = _bound(guard, catch, made.examples[-1] if made.examples else None)
        found = list(_limits(guard, bound, known)) if bound is not None and known else []
        if not found:
            return None
        limits |= dict.fromkeys(found)
    where = " and ".join([*([f"({made.guard.where})"] if made.guard.where else []), *limits])
    update = {
        "guard": made.guard.model_copy(update={"where": where}),
        "counterexamples": (*made.counterexamples, *(Example(text=text, origin="model") for text in catches)),
    }
    return replace(candidate, procedure=made.model_copy(update=update))


def _limits(guard: TemplateGuard, caught: Mapping[str, Value], known: Sequence[Mapping[str, Value]]) -> Iterator[str]:
    """Yield conditions that hold for all known arguments, and not for the caught ones."""
    always = frozenset.intersection(*(pattern.template.always() for pattern in guard.patterns))
    for name, kind in guard.slots.items():
        value, seen = caught.get(name), [len(text.split()) for bound in known if isinstance(text := bound[name], str)]
        if kind.name in OPEN_WORDS and isinstance(value, str) and seen and len(value.split()) > max(seen):
            yield _where_present(f"words({name}) <= {max(seen)}", [name], always)
    choices = [name for name, kind in guard.slots.items() if kind.name.startswith("choice(")]
    for first, second in combinations(choices, 2):
        alike = [bound for bound in (caught, *known) if bound[first] is not None and bound[first] == bound[second]]
        if alike == [caught] and any(bound[first] is not None and bound[second] is not None for bound in known):
            yield _where_present(f"{first} != {second}", [first, second], always)


def _where_present(condition: str, names: Sequence[str], always: frozenset[str]) -> str:
    """Return a condition that says nothing where a template lacks one of its slots."""
    absent = [f"{name} is None" for name in names if name not in always]
    return f"({' or '.join([*absent, condition])})" if absent else condition


def _bound(guard: TemplateGuard, text: str, like: Example | None) -> Mapping[str, Value] | None:
    judgement = guard.match(normalise(text), like.context if like else {})
    return judgement.arguments if isinstance(judgement, Accepted) else None
