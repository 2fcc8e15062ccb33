"""When is a kind of request worth compiling?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from seglam_agents.records.usage import Usage


@dataclass(frozen=True, slots=True)
class Spending:
    """What is known when the question comes up."""

    spent: Usage
    """What interpreting requests of this kind has cost so far."""
    requests: int
    """How many of them there were."""
    compile_cost: float | None
    """Mean tokens of an admitted compilation in this cache, refused attempts included; None before the first."""


class Policy(Protocol):
    """Decides whether to compile now or to let the model answer once more."""

    def compile_now(self, spending: Spending) -> bool:
        """Tell whether a kind is worth compiling."""
        ...


@dataclass(frozen=True, slots=True)
class EagerPolicy:
    """Compiles at the first miss, and answers with the code."""

    def compile_now(self, spending: Spending) -> bool:
        """Always."""
        return True


@dataclass(frozen=True, slots=True)
class EconomicPolicy:
    """Ski rental: rents (interprets) until the rent paid reaches the price (compiling), then buys.

    Never worse than twice the best choice made with hindsight (Karlin et al., Competitive snoopy caching, 1988).

    Args:
        compile_tokens: the price before the cache has compiled anything itself.
    """

    compile_tokens: float = 4_000

    def compile_now(self, spending: Spending) -> bool:
        """Tell whether as much was spent on interpreting as compiling is expected to cost."""
        price = spending.compile_cost if spending.compile_cost is not None else self.compile_tokens
        return spending.spent.tokens >= price


def open_policy(policy: Policy | Literal["eager", "economic"]) -> Policy:
    """Return a policy by its name, or as it is."""
    if policy == "eager":
        return EagerPolicy()
    if policy == "economic":
        return EconomicPolicy()
    if not callable(getattr(policy, "compile_now", None)):
        raise ValueError(f"there is no policy {policy!r}: use 'eager', 'economic' or an object with `compile_now`")
    return policy
