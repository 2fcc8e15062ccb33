"""`SeglamLLMCache`: one line for any LangChain app, `set_llm_cache(SeglamLLMCache(cache))`, with limits."""

from __future__ import annotations

import re
from collections.abc import Sequence

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.load import loads
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, Generation
from seglam_agents import ReasoningCache, Trace, hosting
from seglam_agents.hosting import after, until

from langchain_seglam.messages import about, is_first_turn, last_human, said, text_of
from langchain_seglam.recording import asked_by, carried_of, traced
from langchain_seglam.state import switch

MAX_EXACT = 1_024
_REQUEST = "the request"
_FREE = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
_SHAPED = re.compile(
    r"response_format|ls_structured_output_format|structured_outputs|'tool_choice', (?!None|'auto')|"
    r'"tool_choice": (?!null|"auto")'
)
"""Calls whose answer must have a form that a procedure does not know of."""


class SeglamLLMCache(BaseCache):
    """Answers calls of chat models by stored procedures, and equal calls from memory.

    A call is answered by a procedure where its messages are the system prompt, one request, and what the procedure
    itself would have done since: the next tool call, or the answer. Nothing is kept between calls; the messages say
    it all. The caller runs the tools.

    Limits: it is asked only where LangChain asks a cache (never by `stream` of a model that streams). It sees no tool
    being run: neither a person's edit nor a write that was lost in a crash. It knows no tenant but the cache's, and no
    middleware. The callbacks of LangChain count the calls that it answers as model calls of zero tokens. Prefer
    `SeglamMiddleware`, `add_reasoning_cache` or `@reasoning_cached` where one of them fits.

    Args:
        cache: whose procedures; without one, equal calls alone are answered.
        system_prompt: the system prompt that the procedures belong to. Calls with another one are not looked up.
        learning: when finished conversations are learnt from.
        exact: how many calls are kept to answer equal ones; 0 for none.
        price: what the model costs.
    """

    def __init__(
        self,
        cache: ReasoningCache | None = None,
        *,
        system_prompt: str = "",
        learning: hosting.Learning = "off",
        exact: int = MAX_EXACT,
        price: hosting.Price | None = None,
    ) -> None:
        if cache is not None:
            hosting.require_cache(cache)
        self._cache = cache
        self._system_prompt = system_prompt
        self._exact = hosting.Kept[list[Generation]](exact)
        self._drivers = hosting.Drivers(price, learning)
        self.learner = self._drivers.learner

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Return the generations for a call, or None where the model is to be asked. Never raises."""
        return hosting.safely(lambda: self._found(prompt, llm_string), None, "the cache is broken; the model goes on")

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Keep a call, and learn from the conversation if it ended with it. Never raises."""
        with hosting.unharmed("a call could not be kept"):
            if switch() == "off":
                return
            messages = _messages(prompt)
            self._exact.put(_key(prompt, llm_string, messages), [_fresh(item) for item in return_val])
            if not _SHAPED.search(llm_string):
                hosting.drive(self._drivers.learn(self._cache, self._trace(messages, return_val)))

    def clear(self, **kwargs: object) -> None:
        """Forget the calls that were kept. Procedures stay: they are the cache's."""
        self._exact.clear()

    def savings(self) -> hosting.SavingsReport:
        """Return what procedures saved since this process began.

        Raises:
            ValueError: there is no `ReasoningCache`.
        """
        if self._cache is None:
            raise ValueError("no ReasoningCache was given, so there are no procedures to report on")
        return self._drivers.savings(self._cache)

    def _found(self, prompt: str, llm_string: str) -> list[Generation] | None:
        if switch() != "on":
            return None
        messages = _messages(prompt)
        kept = self._exact.get(_key(prompt, llm_string, messages))
        return [_fresh(found) for found in kept] if kept is not None else self._generated(messages, llm_string)

    def _generated(self, messages: Sequence[BaseMessage] | None, llm_string: str) -> list[Generation] | None:
        text, tail = self._asked(messages)
        if self._cache is None or text is None or _SHAPED.search(llm_string):
            return None
        driver = self._drivers.of(self._cache)
        turn, _ = driver.begin(hosting.Turn(key=hosting.new_id("turn")), hosting.Posed(text))
        if turn.plan is None or not all(_offered(use.name, llm_string) for use in turn.plan.tools):
            return None
        calls = [asked_by(message) for message in tail if isinstance(message, AIMessage)]
        decision = hosting.follow(driver, turn, calls, hosting.View(carried_of(tail, trusting=True)))
        if not isinstance(decision, (hosting.Say, hosting.SayAnswer)):
            return None
        return [ChatGeneration(message=_free(said(decision)))]

    def _trace(
        self, messages: Sequence[BaseMessage] | None, generations: Sequence[Generation]
    ) -> Trace | hosting.Unclean | None:
        text, tail = self._asked(messages)
        generation = generations[0] if generations else None
        if self._cache is None or text is None or not isinstance(generation, ChatGeneration):
            return None
        final = generation.message
        if not isinstance(final, AIMessage) or final.tool_calls:
            return None
        history = [*tail, final.model_copy(update={"id": final.id or hosting.new_id()})]
        if any(about(message) for message in history if isinstance(message, AIMessage)):
            return None
        turn = hosting.Turn(status="miss", message=_REQUEST, text=text, author=history[-1].id or "")
        return traced(turn, [HumanMessage(text, id=_REQUEST), *history], trusting=True)

    def _asked(self, messages: Sequence[BaseMessage] | None) -> tuple[str | None, Sequence[BaseMessage]]:
        """Return the request of a first turn and what was done since; None where it is not such a call."""
        human = last_human(messages or ())
        if messages is None or human is None:
            return None, ()
        systems = [text_of(message) for message in messages if isinstance(message, SystemMessage)]
        if [text for text in systems if text] != ([self._system_prompt] if self._system_prompt else []):
            return None, ()
        key = human.id or _REQUEST
        known = [message.model_copy(update={"id": key}) if message is human else message for message in messages]
        return (text_of(human), after(known, key) or ()) if is_first_turn(until(known, key)) else (None, ())


def _messages(prompt: str) -> list[BaseMessage] | None:
    """Return the messages of a prompt as LangChain writes them; None for one that is plain text."""
    if not prompt.startswith("["):
        return None
    try:
        found: object = loads(prompt, allowed_objects="messages")
    except Exception:
        return None
    items = hosting.several(found)
    messages = [item for item in items if isinstance(item, BaseMessage)]
    return messages if isinstance(found, list) and len(messages) == len(items) else None


def _key(prompt: str, llm_string: str, messages: Sequence[BaseMessage] | None) -> str:
    """Return a key of a call. What a message cost, and where it came from, makes no other call of it."""
    if messages is None:
        return hosting.digest(prompt, llm_string, length=64)
    bare: dict[str, object] = {"id": None, "response_metadata": {}, "usage_metadata": None}
    plain = [
        message.model_copy(update={key: value for key, value in bare.items() if hasattr(message, key)}).model_dump()
        for message in messages
    ]
    return hosting.digest(plain, llm_string, length=64)


def _fresh(generation: Generation) -> Generation:
    """Return a copy that says that it cost nothing: LangChain writes into what a cache returns."""
    if not isinstance(generation, ChatGeneration):
        return generation.model_copy(deep=True)
    message = generation.message.model_copy(deep=True, update={"id": None})
    return generation.model_copy(update={"message": _free(message) if isinstance(message, AIMessage) else message})


def _free(message: AIMessage) -> AIMessage:
    return message.model_copy(update={"id": None, "usage_metadata": dict(_FREE)})


def _offered(tool: str, llm_string: str) -> bool:
    """Tell whether the model of a call was given a tool: what LangChain writes of a model spells its tools."""
    return re.search(rf"['\"]name['\"]: ['\"]{re.escape(tool)}['\"]", llm_string) is not None
