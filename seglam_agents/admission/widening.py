"""Checks on a procedure that widens another one: it adds wordings and values, and changes no answer."""

from __future__ import annotations

import ast
import random
from collections.abc import Collection, Iterator, Mapping
from itertools import combinations

from seglam_agents.admission.case import Case, answer_of, verdict
from seglam_agents.compilers.base import Candidate
from seglam_agents.guards.guard import Accepted, TemplateGuard
from seglam_agents.guards.normal import normalise
from seglam_agents.guards.sampling import samples
from seglam_agents.guards.spellings import canonical
from seglam_agents.guards.template import Literal, SlotMention, parse_template, walk
from seglam_agents.guards.wordings import NEGATIONS, is_content
from seglam_agents.records.entry import Check
from seglam_agents.records.outcome import Final
from seglam_agents.records.procedure import Procedure
from seglam_agents.records.values import Value, same
from seglam_agents.serving.loading import Loaded, load, names_read, signature

LOST = 0.5
"""The share of its parent's requests that a widening may decline where it was told of requests to decline."""
TRIED = 3
"""Requests of its parent whose numbers are exchanged."""
STRAY = 0.1
"""The same where it was told of none: two wordings may bind a few requests differently."""


def check_widening(case: Case) -> Check:
    """Fresh requests of the parent are answered as the parent does, unless the parent is known to be wrong."""
    parent = case.candidate.parent
    if parent is None or parent.tools or parent.guard.code:
        why = "it widens nothing" if parent is None else "the parent needs tools, or its guard is code"
        return Check(name="widening", verdict="skipped", evidence=why)
    loaded = load(parent, case.executor.sandbox, tools=case.tools, limits=case.executor.limits, locale=case.locale)
    if any(parameter.source == "context" for parameter in parent.parameters):
        return Check(name="widening", verdict="skipped", evidence="the parent needs a context")
    if wrong := _contradicted(case, loaded):
        return Check(name="widening", verdict="skipped", evidence=f"{parent.key} is known to be wrong on {wrong!r}")
    if _is_rewritten(case.candidate, parent):
        return verdict(
            "widening", [f"has another `run` than {parent.key}, and no new slot for it: leave `run` out, or write a "
                         "new procedure"], 1
        )  # fmt: skip
    answered = lost = 0
    problems: list[str] = []
    for text, made_up in _requests_of(loaded, case):
        theirs = answer_of(loaded, case.executor, text, made_up=made_up)
        ours = case.answer(text, made_up=made_up)
        if not isinstance(theirs, Final):
            continue
        answered += 1
        lost += not isinstance(ours, Final)
        if isinstance(ours, Final) and not same(ours.answer, theirs.answer):
            problems.append(
                f"answers {ours.answer!r} for {text!r}, where {parent.key} answers {theirs.answer!r}: "
                "a widening adds wordings and values; write a new procedure for what is computed otherwise"
            )
    problems += [*_apart(case, loaded), *_undecided(case, parent)]
    narrowed = len(case.candidate.procedure.counterexamples) > len(parent.counterexamples)
    if lost > (LOST if narrowed else STRAY) * answered:
        problems.append(f"declines {lost} of {answered} requests that {parent.key} answers: keep its templates")
    return verdict("widening", problems, answered, f"{answered - lost} of {answered} answered as {parent.key} does")


def _apart(case: Case, parent: Loaded) -> Iterator[str]:
    """Yield where both bodies part, at and around the numbers that only the new one knows."""
    known = _constants(parent.procedure.body)
    values = [c + step for c in _constants(case.candidate.procedure.body) - known for step in (-1, 0, 1)]
    for given in list(_bound(parent, case))[:TRIED]:
        for name in (name for name, value in given.items() if _is_number(value)):
            for value in values:
                changed = {**given, name: value}
                theirs = case.executor.next_action(parent, changed, now=case.clock())
                ours = case.executor.next_action(case.loaded, changed, now=case.clock())
                if isinstance(theirs, Final) and isinstance(ours, Final) and not same(ours.answer, theirs.answer):
                    yield (
                        f"answers {ours.answer!r} for {name}={value:g}, where {parent.procedure.key} answers "
                        f"{theirs.answer!r}: a widening changes no answer"
                    )


def _undecided(case: Case, parent: Procedure) -> Iterator[str]:
    """Yield numbers that are equal in the only request of a new wording, so that it does not show which is which."""
    guard = case.loaded.guard
    if not isinstance(guard, TemplateGuard):
        return
    for known in case.candidate.known:
        judgement = guard.match(normalise(known.request.text), known.request.context)
        if (
            not isinstance(judgement, Accepted)
            or guard.patterns[judgement.template].template.source in parent.guard.templates
        ):
            continue
        numbers = {name: value for name, value in judgement.arguments.items() if _is_number(value)}
        held = _held_apart(guard.patterns[judgement.template].template.source, parent, numbers)
        for first, second in combinations(numbers, 2):
            if (first, second) in held or (second, first) in held:
                continue  # Its words say which is which, as they did before.
            kinds = {guard.slots[first].name, guard.slots[second].name}
            if len(kinds) > 1 and kinds & _MARKED:
                continue  # 20 folders and 20 % are told apart by how they are written.
            if numbers[first] == numbers[second] and _order_matters(case, judgement.arguments, first, second):
                yield (
                    f"`{first}` and `{second}` are both {numbers[first]!r} in {known.request.text!r}, which does not "
                    "show which is which: it is learnt from a request where they differ"
                )


def _held_apart(template: str, parent: Procedure, names: Collection[str]) -> set[tuple[str, str]]:
    """Return the pairs of slots that stand in the order of a known template, each at the word that it had there."""
    held: set[tuple[str, str]] = set()
    ours = _neighbours(template)
    for known in parent.guard.templates:
        theirs = _neighbours(known)
        same_word = [name for name in names if ours.get(name, frozenset()) & theirs.get(name, frozenset())]
        held |= set(_order(template, same_word)) & set(_order(known, same_word))
    return held


def _neighbours(template: str) -> dict[str, frozenset[tuple[str, str]]]:
    """Return the words before and behind each slot of a template, at its first mention."""
    elements = list(walk(parse_template(template).elements))
    found: dict[str, frozenset[tuple[str, str]]] = {}
    for before, element, behind in zip([None, *elements], elements, [*elements[1:], None], strict=False):
        if isinstance(element, SlotMention):
            words = {("before", word) for word in _words(before)[-1:] if word not in _EMPTY} | {
                ("behind", word) for word in _words(behind)[:1]
            }
            found.setdefault(element.name, frozenset(words))
    return found


_MARKED = frozenset(("percent", "ordinal", "fraction", "multiple"))
"""Slots whose numbers are not written as others are."""
_EMPTY = frozenset(("a", "an", "the", "and", "or", "with", "then"))
"""Words before a slot that do not say what it is."""


def _words(element: object) -> list[str]:
    return element.text.casefold().split() if isinstance(element, Literal) else []


def _order_matters(case: Case, given: Mapping[str, Value], first: str, second: str) -> bool:
    answers = [
        case.executor.next_action(case.loaded, {**given, first: one, second: other}, now=case.clock())
        for one, other in ((6, 2), (2, 6))
    ]
    finals = [action.answer for action in answers if isinstance(action, Final)]
    return len(finals) < 2 or not same(finals[0], finals[1])


def _bound(parent: Loaded, case: Case) -> Iterator[Mapping[str, Value]]:
    for text, made_up in _requests_of(parent, case):
        judgement = parent.guard.match(normalise(text, made_up=made_up), {})
        if isinstance(judgement, Accepted):
            yield judgement.arguments


def _constants(body: str) -> frozenset[float]:
    found = (node.value for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Constant))
    return frozenset(float(value) for value in found if isinstance(value, (int, float)) and not isinstance(value, bool))


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_subject(case: Case) -> Check:
    """A new template of a widening is about the same thing as the parent, and denies nothing that it does not."""
    parent, guard = case.candidate.parent, case.loaded.guard
    if parent is None or not isinstance(guard, TemplateGuard) or not parent.guard.templates:
        return Check(name="subject", verdict="skipped", evidence="it adds no template to another procedure")
    known = {word for text in _texts(parent) for word in content(text)}
    limited = {word for text in _texts(parent) for word in canonical(text)}
    bound = {parameter.name for parameter in parent.parameters}
    denials = max(map(_denials, (*_examples(parent), *parent.guard.templates)), default=0)
    problems: list[str] = []
    for pattern in guard.patterns:
        if pattern.template.source in parent.guard.templates:
            continue
        said = [e.text for e in walk(pattern.template.elements) if isinstance(e, Literal)]
        words = {word for text in said for word in content(text)}
        if words and not words & known:
            problems.append(
                f"`{pattern.template.source}` says nothing that {parent.key} is about: write a new procedure"
            )
        # What comes with a slot of its own is computed with.
        limiting = _LIMITING if set(pattern.template.slots()) - bound else _LIMITING | _SUMS
        if new := ({word for text in said for word in canonical(text)} & limiting) - limited:
            problems.append(
                f"`{pattern.template.source}` says {min(new)!r}, which {parent.key} never does: write a new procedure"
            )
        if sum(map(_denials, said)) > denials or any(
            not _is_known(word, known) for text in said for word in _denied(text)
        ):
            problems.append(
                f"`{pattern.template.source}` denies or leaves out what {parent.key} does not: write a new procedure"
            )
    return verdict("subject", problems, len(guard.patterns))


def says_new_words(candidate: Candidate) -> bool:
    """Tell whether the new templates of a widening say something that the parent's templates and examples do not."""
    parent = candidate.parent
    if parent is None:
        return True
    known = {word for text in (*_texts(parent), *parent.guard.templates) for word in content(text)}
    new = [template for template in candidate.procedure.guard.templates if template not in parent.guard.templates]
    said = (element.text for template in new for element in walk(parse_template(template).elements)
            if isinstance(element, Literal))  # fmt: skip
    return any(content(text) - known for text in said)


def reorders(candidate: Candidate) -> bool:
    """Tell whether a new template of a widening names what the body looks at in an order that no known one has.

    "From {b} take {a}" may mean the same as "Take {a} from {b}", or the other way round: its words do not tell.
    """
    parent = candidate.parent
    if parent is None:
        return True
    read = frozenset(signature(candidate.procedure.body)) & names_read(candidate.procedure.body)
    known = {pair for template in parent.guard.templates for pair in _order(template, read)}
    new = (template for template in candidate.procedure.guard.templates if template not in parent.guard.templates)
    return any(pair not in known for template in new for pair in _order(template, read))


def _order(template: str, names: Collection[str]) -> list[tuple[str, str]]:
    """Return the pairs of slots of a template, of those that count, as they are said first."""
    mentions = (e.name for e in walk(parse_template(template).elements) if isinstance(e, SlotMention))
    return list(combinations(dict.fromkeys(name for name in mentions if name in names), 2))


def _is_rewritten(candidate: Candidate, parent: Procedure) -> bool:
    """Tell whether a widening computes anew, although nothing is new that could be computed with."""
    child = candidate.procedure
    known = {parameter.name for parameter in parent.parameters}
    return (
        not child.guard.code
        and len(child.counterexamples) == len(parent.counterexamples)
        and all(parameter.name in known for parameter in child.parameters)
        and _code(child.body) != _code(parent.body)
    )


def _code(body: str) -> str:
    return ast.dump(ast.parse(body))


def content(text: str) -> frozenset[str]:
    """Return the words of a text that say what it is about, without plural endings."""
    words = (word.strip("'\"()") for word in canonical(text))
    return frozenset(_stem(word) for word in words if word.isalpha() and is_content(word))


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _texts(parent: Procedure) -> Iterator[str]:
    yield from (parent.name.replace("_", " "), parent.description)
    yield from _examples(parent)


def _examples(parent: Procedure) -> Iterator[str]:
    yield from (example.text for example in parent.examples)


def _denials(text: str) -> int:
    """Return how many words of a text deny or leave out: "without counting" and "not counting" are alike."""
    return sum(word.strip("'\"()") in NEGATIONS for word in canonical(text))


def _is_known(word: str, known: Collection[str]) -> bool:
    """Tell whether a word is said in any form: "count" where "counting" is."""
    return word in known or any(len(word) > 3 and len(other) > 3 and word[:5] == other[:5] for other in known)


def _denied(text: str) -> frozenset[str]:
    """Return the content words behind the first word that denies."""
    words = canonical(text)
    first = next((index for index, word in enumerate(words) if word.strip("'\"()") in NEGATIONS), len(words))
    return content(" ".join(words[first + 1 :]))


def _requests_of(parent: Loaded, case: Case) -> Iterator[tuple[str, bool]]:
    """Yield requests that the parent accepts, and whether they are made up from its slots."""
    yield from ((example.text, False) for example in parent.procedure.examples)
    if isinstance(parent.guard, TemplateGuard):
        rng = random.Random(case.seed)  # noqa: S311
        yield from ((sample.text, True) for sample in samples(parent.guard, rng, each=case.samples))


def _contradicted(case: Case, parent: Loaded) -> str | None:
    """Return a request whose answer is known from elsewhere, and that the parent answers otherwise."""
    observed = [
        (known.request.text, known.answer)
        for known in case.candidate.known
        if known.request.text not in case.candidate.expected
    ]
    corrected = [(example.text, example.answer) for example in case.examples() if example.origin == "correction"]
    for text, answer in (*observed, *corrected):
        theirs = answer_of(parent, case.executor, text)
        if isinstance(theirs, Final) and not same(theirs.answer, answer):
            return text
    return None


_LIMITING = frozenset(("only", "instead", "also", "unless"))
_CHANGING = (
    "round rounded rounding nearest half halves double doubled twice triple thrice third"
    " quarter minus remaining leftover discount discounted tax tip fee fees interest commission"
)
_SUMS = frozenset(_CHANGING.split())
"""Words that change a sum: a wording that says them first may come to the same by chance."""
