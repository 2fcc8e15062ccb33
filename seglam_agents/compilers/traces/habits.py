"""`Habits`: how an agent phrases its last messages, whatever it did. Such a message asserts nothing but its run.

Nothing explains why a model says "All set!" this time and "Done, anything else?" the next, and nothing has to: what is
said alike after calls of quite different kinds says nothing of any of them. What such a message names (ids, numbers, a
tool) has to be what the run holds. Whoever refuses, or says that something failed, asserts something all the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from seglam_agents.compilers.traces.closings import Likeness, Told, is_form, likeness
from seglam_agents.compilers.traces.spans import leaves
from seglam_agents.guards.normal import asks
from seglam_agents.records.record import Json
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.records.values import Value

OTHER_TOOLS = 3
"""Last calls of different tools after which a phrasing is the agent's, and none of what was done."""
OTHER_WRITES = 2
"""How many of these have to change something: a verdict comes after reads, and what was changed is no verdict."""
MAX_PHRASINGS = 512
"""Phrasings that are kept."""
MAX_LETTERS = 2_000
"""Letters of a value that is looked for in a message."""
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_PLACE = "\x00"


@dataclass(slots=True)
class Habits:
    """The phrasings of an agent's last messages, and after which tools each was said."""

    said: dict[str, dict[str, bool]] = field(default_factory=dict[str, "dict[str, bool]"])
    """The last tools by phrasing, with whether they change something."""
    patterns: list[re.Pattern[str]] = field(default_factory=list[re.Pattern[str]])
    """The phrasings that are habits."""
    known: dict[tuple[str, str], bool] = field(default_factory=dict[tuple[str, str], bool])
    """What was found of runs since the last habit was learnt."""

    def learn(self, trace: Trace, reads: frozenset[str]) -> None:
        """Note how a run ended.

        Args:
            trace: the run.
            reads: the tools that change nothing.
        """
        if not _is_message(trace):
            return
        last = trace.calls[-1].tool
        for phrasing in _phrasings(str(trace.answer), trace.calls):
            tools = self.said.pop(phrasing, {})
            was = _is_habit(tools)
            tools[last] = last not in reads
            self.said[phrasing] = tools
            if _is_habit(tools) and not was:
                self.patterns.append(_pattern(phrasing))
                self.known.clear()
        while len(self.said) > MAX_PHRASINGS:
            del self.said[next(iter(self.said))]

    def bare(self, trace: Trace, reads: frozenset[str]) -> bool:
        """Tell whether the last message of a run asserts nothing but what the run holds.

        Args:
            trace: the run.
            reads: the tools that change nothing.
        """
        key = trace.id, str(trace.answer)
        if key not in self.known:
            self.known[key] = _is_message(trace) and self._bare(trace, reads)
        return self.known[key]

    def _bare(self, trace: Trace, reads: frozenset[str]) -> bool:
        said, wrote = str(trace.answer), any(step.tool not in reads for step in trace.calls)
        if refuses(said) or (not wrote and _is_question(trace.request.text)):
            return False
        held = _held(trace, wrote=wrote)
        text = _one_line(said)
        found = (match for pattern in self.patterns if (match := pattern.fullmatch(text)))
        if any(all(_is_held(part, held) for part in match.groups()) for match in found):
            return True
        return _asserts_nothing(text, Told(trace.request.text, trace.calls, reads))


def common(traces: Iterable[Trace], bare: Iterable[bool]) -> list[Trace]:
    """Return runs whose last messages have those words alone that all of them have which assert nothing."""
    marked = list(zip(traces, bare, strict=True))
    said = [frozenset(_WORD.findall(str(trace.answer))) for trace, each in marked if each]
    words = " ".join(sorted(frozenset[str].intersection(*said))) if said else ""
    return [trace.model_copy(update={"answer": words}) if each else trace for trace, each in marked]


def alike(said: Json, run: Json, told: Told | None) -> Likeness:
    """Tell whether two answers claim the same; in objects, sentences that assert nothing have no say.

    Args:
        said: one of them.
        run: the other, which ended the run.
        told: what they tell of.
    """
    if told and isinstance(said, dict) and isinstance(run, dict):
        free = {key for key in said.keys() & run.keys() if _is_free(said[key], told) and _is_free(run[key], told)}
        said, run = ({key: value for key, value in each.items() if key not in free} for each in (said, run))
    return likeness(said, run, told)


def fixed(answers: Sequence[Json], told: Sequence[Told]) -> list[Json]:
    """Return answers that are objects with one plain phrasing where all have a sentence that asserts nothing."""
    objects = [answer for answer in answers if isinstance(answer, dict)]
    if len(objects) < len(answers) or not objects:
        return list(answers)
    plain: dict[str, Json] = {}
    for key in frozenset(objects[0]).intersection(*objects):
        values = [each[key] for each in objects]
        free = all(_is_free(value, each) for value, each in zip(values, told, strict=True))
        if free and len(set(map(str, values))) > 1 and (phrase := spoken_of(values)):
            plain[key] = phrase
    return [each | plain for each in objects]


def _is_free(value: Json, told: Told) -> bool:
    """Tell whether a field of an answer is a sentence that asserts nothing but what was called."""
    return isinstance(value, str) and is_sentence(value) and _asserts_nothing(value, told)


def is_sentence(value: Value) -> bool:
    """Tell whether a value of an answer is a sentence, and no code word or name."""
    return isinstance(value, str) and _SENTENCES.search(value) is not None


def spoken_of(answers: Iterable[Json]) -> str:
    """Return the plain phrasing, without any fact, that came most often; empty where there is none."""
    plain = Counter(answer for answer in answers if isinstance(answer, str) and _can_be_said(answer))
    return plain.most_common(1)[0][0] if plain else ""


def refuses(said: str) -> bool:
    """Tell whether a message refuses, excepts, or says that something failed; idioms that do not are left out."""
    told = (part for part in _SENTENCE.findall(said.replace("’", "'")) if not part.rstrip().endswith("?"))
    return any(_REFUSING.search(_IDIOMS.sub(" ", part)) for part in told)


def is_plain(said: str, known: Collection[str] = (), *, judging: bool) -> bool:
    """Tell whether a message has no other words than those that say that all is done, and offer more.

    Args:
        said: the message, without what the run holds.
        known: words of the request and the calls.
        judging: whether it may say that it went well.
    """
    words = {word.casefold() for word in _WORD.findall(_IDIOMS.sub(" ", said.replace("’", "'")))}
    return all(word in _PLAIN or (judging and word in _WELL) or is_form(word, known) for word in words)


def _asserts_nothing(said: str, told: Told) -> bool:
    """Tell by its words alone whether a message asserts nothing but what was called."""
    if refuses(said):
        return False
    if not told.wrote:
        # What names anything may be what was asked for: "Find the owner" is answered by a name.
        return _says_done(said) and is_plain(said, judging=False)
    plain = _masked(_one_line(said), [*_values(told.calls, results=True), *_counts(told.calls)]).replace(_PLACE, " ")
    return is_plain(plain, told.words(), judging=True) and not re.search(r"\d", plain)


def _can_be_said(answer: str) -> bool:
    return _says_done(answer) and not refuses(answer) and is_plain(answer, judging=True)


def _says_done(said: str) -> bool:
    """Tell whether a message says that something is done, and no number."""
    words = {word.casefold() for word in _WORD.findall(said)}
    return not re.search(r"\d", said) and not words.isdisjoint(_DONE)


def _is_message(trace: Trace) -> bool:
    return bool(trace.calls) and isinstance(trace.answer, str) and bool(trace.answer.strip())


def _is_question(text: str) -> bool:
    return "?" in text or asks(text) or _ASKING.match(text.strip()) is not None


def _is_habit(tools: dict[str, bool]) -> bool:
    return len(tools) >= OTHER_TOOLS and sum(tools.values()) >= OTHER_WRITES


def _phrasings(said: str, calls: Sequence[ToolStep]) -> set[str]:
    """Return a message as it is, and with a place for what was called, and for what the run holds besides."""
    text, counts = _one_line(said), list(_counts(calls))
    given = _masked(text, [*_values(calls, results=False), *counts])
    found = _masked(text, [*_values(calls, results=True), *counts])
    return {text, *(each for each in (given, found) if _WORD.search(each))}


def _masked(text: str, values: Iterable[str]) -> str:
    for value in sorted({_one_line(value) for value in values} - {""}, key=len, reverse=True):
        if value in text:
            text = re.sub(rf"(?<![^\W_]){re.escape(value)}(?![^\W_])", _PLACE, text)
    return text


def _values(calls: Sequence[ToolStep], *, results: bool) -> Iterator[str]:
    """Yield the texts of what was called, and of what came of it."""
    for step in calls:
        yield step.tool
        yield from re.split(r"[./:]|__", step.tool)[-1:]
        yield from (
            str(leaf)
            for document in (step.arguments, step.result if results else None)
            for leaf in leaves(document)
            if leaf is not None and not isinstance(leaf, bool) and len(str(leaf)) <= MAX_LETTERS
        )


def _counts(calls: Sequence[ToolStep]) -> Iterator[str]:
    yield str(len(calls))


def _held(trace: Trace, *, wrote: bool) -> frozenset[str]:
    """Return what a message may name: what was called; what results say only where these are no answer."""
    values = {*_values(trace.calls, results=wrote), *_counts(trace.calls)}
    return frozenset(_one_line(value) for value in values)


def _is_held(part: str, held: frozenset[str]) -> bool:
    # Where an argument was nothing, nothing stands in its place.
    return part.strip() in held or not part.strip()


def _pattern(phrasing: str) -> re.Pattern[str]:
    parts = [re.escape(part.strip()) for part in phrasing.split(_PLACE)]
    return re.compile(r"\s*(.*?)\s*".join(parts))


def _one_line(text: str) -> str:
    return " ".join(text.split())


_IDIOMS = re.compile(
    r"\b(do not|don't|never) hesitate\b|\bnot (a (problem|bother|worry)|to worry|at all|yet another)\b|\bwhy not\b"
    r"|\b(do not|don't) (have|need) to\b|\bcould(n't| not) be (happier|easier|better|simpler)\b|\bcan(not|'t) wait\b"
    r"|\bno (sooner|problems?|worries|trouble|issues?|errors?|hiccups?|hassle|need|further|more|other|open|remaining"
    r"|loose|sweat|biggie|fuss|drama|stress|surprises?|complaints?|exceptions?|failures?|doubt)\b"
    r"|\b(nothing|none|no)( of (the|them))?( \w+)? (failed|went wrong|broke|missed|skipped)\b"
    r"|\bwithout (an?|any|the slightest|further) \w+|\bwithout (issues?|problems?|errors?|trouble|fail|delay)\b"
    r"|\bzero (problems?|issues?|errors?|failures?)\b|\bnothing (else|more|further|left|remains|remaining|open|missing"
    r"|pending|to (worry|add|do))\b|\b(problem|issue)s? (is |are |was |has been )?(solved|fixed|resolved|sorted)\b"
    r"|\b(if|should|in case|whenever) (you|there|anything|something|any|not)\b[^.!?;:,\n]*"
    r"|\bkeine? (problem\w*|fehler|ursache|thema)\b|\bohne (jedes |jegliche )?(probleme?|fehler)\b"
    r"|\bnichts (weiter|mehr|zu danken)\b|\b(falls|sollten?|wenn) (du|sie|ihr|noch|es|etwas|sonst)\b[^.!?;:,\n]*"
    r"|\bpas de (probl[eè]me|souci|quoi)s?\b|\bsans (probl[eè]me|souci|erreur|accroc)s?\b|\bn'h[eé]sitez? pas\b"
    r"|\bsi (vous|tu|quelque|autre|necesit\w+|quier\w+|hay)\b[^.!?;:,\n]*"
    r"|\bsin (problemas?|errores|contratiempos)\b|\bno (hay de qué|hay problema|dudes?)\b|\bning[uú]n problema\b"
    r"|\bnessun problema\b|\bsenza (problemi|errori|intoppi)\b|\bnon esit\w+\b|\bsem (problemas?|erros)\b"
    r"|\bnão hesite\b|\bgeen probleem\b|\bzonder problemen\b|\binga problem\b|\bbez problem\w+\b",
    re.IGNORECASE,
)
"""Idioms with a word that denies, and that deny nothing of what was done."""
_REFUSING = re.compile(
    r"\b(not|never|neither|nor|cannot|\w+n't|unable|fail(s|ed|ing|ure|ures)?|errors?|unfortunately|sorry|regret\w*"
    r"|apolog\w+|part(ly|ial|ially)|denied|den(y|ies)|refus\w+|reject\w*|declin\w+|impossible|unsuccessful\w*"
    r"|no|none|nobody|nothing|without|except|unless|although|though|however|skipp\w+|missing|unavailable|incomplete"
    r"|invalid|warnings?|problems?|issues?|already|almost|nearly|mostly"
    r"|leider|nicht|kein\w*|unmöglich|fehler\w*|fehlgeschlagen|teilweise|malheureusement|désolée?|échec|échoué|pas"
    r"|aucune?|lamentablemente|desafortunadamente|siento|imposible|fall(ó|aron|ado)|parcialmente|purtroppo|impossibile"
    r"|errore|fallit\w|non|infelizmente|não|falhou|erro|helaas|niet|geen|mislukt|tyvärr|inte|misslyckades|nie|niestety"
    r"|błąd|ikke|desværre|dessverre|ei|valitettavasti|nem|sajnos|не|нет|ошибка|увы)\b"
    r"|无法|不能|失败|没有|抱歉|できません|ません|失敗|없습니다|실패|못했",
    re.IGNORECASE,
)
"""Words that refuse, except, or say that something failed, in some languages."""
_SENTENCE = re.compile(r"(?:(?! - )[^.!?;:\n—–])+[.!?;:]*")
"""A part of a message, with the marks that end it. A question refuses nothing."""
_ASKING = re.compile(
    r"(what|what's|which|who|whose|whom|where|when|why|how|is|are|was|were|do|does|did|has|have|had|should|will"
    r"|tell me|wie|was|wer|wo|wann|welche\w*|qui|que|quel\w*|combien|où|cuánt\w+|qué|quién|dónde)\b",
    re.IGNORECASE,
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WELL = _words(
    "good great perfect perfectly well fine ok okay alright right smoothly success successful successfully clear clean"
    " nicely excellent wonderful awesome cool nice plan planned expected correctly properly safely sound order"
)
"""Words that say that it went well: a verdict, where something was looked up."""
_SENTENCES = re.compile(r"\w\W*[.!?…](\s|$)|\S+\s+\S+\s+\S+")
"""What is a sentence and no code word: an end, or three words."""
_DONE = _words(
    "done finished complete completed concluded accomplished achieved set sorted handled settled resolved processed"
    " executed performed fulfilled implemented carried taken took care applied wrapped finalized finalised dealt"
    " success successful successfully through"
)
"""Words that say that what was asked for is done."""
_PLAIN = _DONE | _words(
    "a an the is are was were be been being am it its it's that's this that these those of to in on at for by with and"
    " as so i i've i'm i'll we we've we're we'll you you're you'd your yours my our there here there's here's now just"
    " has have had do does did from will would which per via using used use through up out off over"
    " finish finishes completes completing completely all handle carry take went gone go goes made make making"
    " ran run running apply wrap deal got get put call called calling calls invoked invoke tool tools step steps action"
    " actions operation operations task tasks request requests job jobs work works thing things everything item items"
    " change changes total altogether together overall last latest final finally end ended ending result whole entire"
    " full fully entirely asked ask asking wished wish wanted want requested require required according instructed"
    " instructions instruction desired told expected specified sure certainly absolutely course indeed"
    " yours please thanks thank welcome pleasure glad happy cheers hi hello hey hope hopefully helps help helped"
    " helping assist assistance assisting let me know feel free anything else something more further other next need"
    " needs needed like if should could can may what what's how any time anytime today day any questions question reach"
    " us ping shout say word tell again always service ready whenever back enjoy nice have best regards mission boom"
    " voila voilà tada"
)
"""Words that say nothing else, and that offer more."""
