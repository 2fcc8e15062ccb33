"""`GuardIndex`: which of many guards can accept a request, without asking them all.

Every template contains words that each of its requests must contain. The index files a template under the rarest of
them; a request looks up its own words, and a template whose words are all there becomes a candidate, to be asked
properly. Adding and removing take constant time (amortised: the index is spread anew whenever it has doubled), and no
automaton can run out of memory: that is why this is not one large `re2.Set` (see docs/architecture.md).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.guards.normal import NormalText, words


@dataclass(frozen=True, slots=True)
class _Posting:
    key: str
    template: int
    required: frozenset[str]
    second: str
    """The next rarest word: most postings of a common anchor fall at this one look."""


class GuardIndex:
    """An inverted index from words to templates. Not locked: its owner serialises writers."""

    def __init__(self) -> None:
        self._guards: dict[str, TemplateGuard] = {}
        self._frequency: Counter[str] = Counter()
        self._anchors: dict[str, list[str]] = {}
        self._postings: defaultdict[str, tuple[_Posting, ...]] = defaultdict(tuple)
        self._spread_at = 16

    def __len__(self) -> int:
        return len(self._guards)

    def __contains__(self, key: object) -> bool:
        return key in self._guards

    def guard(self, key: str) -> TemplateGuard:
        """Return a guard by its key."""
        return self._guards[key]

    def add(self, key: str, guard: TemplateGuard) -> None:
        """File a guard, in place of an earlier one of the same key."""
        self.remove(key)
        self._guards[key] = guard
        anchors = self._anchors[key] = []
        for template, pattern in enumerate(guard.patterns):
            self._frequency.update(pattern.required)
            anchor, second = self._rarest(pattern.required)
            anchors.append(anchor)
            # Postings are replaced, never changed: a lookup in another thread sees the old or the new tuple.
            self._postings[anchor] = (*self._postings[anchor], _Posting(key, template, pattern.required, second))
        if len(self._guards) >= self._spread_at:
            self._spread()

    def remove(self, key: str) -> None:
        """Take a guard out; nothing happens where it is not filed."""
        guard = self._guards.pop(key, None)
        if guard is None:
            return
        for pattern in guard.patterns:
            self._frequency.subtract(pattern.required)
        for anchor in self._anchors.pop(key):
            self._postings[anchor] = tuple(posting for posting in self._postings[anchor] if posting.key != key)

    def candidates(self, text: NormalText) -> Mapping[str, list[int]]:
        """Return the guards that may accept a request, each with the indexes of its templates to ask."""
        present = words(text.text) | {""}
        found: dict[str, list[int]] = {}
        for anchor in present:
            for posting in self._postings.get(anchor, ()):
                if posting.second in present and posting.required <= present:
                    found.setdefault(posting.key, []).append(posting.template)
        return {key: sorted(templates) for key, templates in found.items()}

    def _spread(self) -> None:
        """File everything anew: a word that was rare among the first templates may have become common since."""
        postings: defaultdict[str, list[_Posting]] = defaultdict(list)
        anchors: dict[str, list[str]] = {}
        for key, guard in self._guards.items():
            anchors[key] = []
            for template, pattern in enumerate(guard.patterns):
                anchor, second = self._rarest(pattern.required)
                anchors[key].append(anchor)
                postings[anchor].append(_Posting(key, template, pattern.required, second))
        self._anchors = anchors
        self._postings = defaultdict(tuple, {anchor: tuple(filed) for anchor, filed in postings.items()})
        self._spread_at = 2 * len(self._guards)

    def _rarest(self, required: Iterable[str]) -> tuple[str, str]:
        """Return the two rarest words; empty ones, which every request is taken to contain, where there are fewer."""
        ranked = sorted(required, key=lambda word: (self._frequency[word], word))
        first, second, *_ = (*ranked[:2], "", "")
        return first, second
