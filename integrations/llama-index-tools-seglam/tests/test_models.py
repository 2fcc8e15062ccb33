"""Any LLM of LlamaIndex as the compiler."""

from __future__ import annotations

import pytest
from li_support import Open, Runner
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.base import BaseEvent
from llama_index_instrumentation.event_handlers import BaseEventHandler
from seglam_agents.models.base import Message, Model
from seglam_agents.records.errors import ModelError
from seglam_agents.testing.llama_index import ScriptedLLM

from llama_index.tools.seglam import LlamaIndexModel
from llama_index.tools.seglam.models import counts_of

MESSAGES = [Message("system", "be short"), Message("user", "hi")]
MODULE = """```python
NAME = "add"
TEMPLATES = ["add {a:number} and {b:number}"]
EXPECTED = [5]

def run(a, b):
    return a + b
```"""


def test_it_is_a_model(run: Runner) -> None:
    """Messages in, text and tokens out."""
    model = LlamaIndexModel(ScriptedLLM(["hello"], usage={"prompt_tokens": 7, "completion_tokens": 2}))
    assert isinstance(model, Model) and model.name == "scripted"
    completion = run(model, "complete", MESSAGES)
    assert completion.text == "hello"
    assert (completion.usage.input_tokens, completion.usage.output_tokens, completion.usage.calls) == (7, 2, 1)


def test_tokens_of_retries_count(run: Runner) -> None:
    """Every chat that the call makes reports by an event, also those whose reply is thrown away."""

    class Twice(ScriptedLLM):
        def chat(self, messages: object, **kwargs: object) -> ChatResponse:
            super().chat(messages)  # type: ignore[arg-type]
            return super().chat(messages)  # type: ignore[arg-type]

        async def achat(self, messages: object, **kwargs: object) -> ChatResponse:
            await super().achat(messages)  # type: ignore[arg-type]
            return await super().achat(messages)  # type: ignore[arg-type]

    llm = Twice(["no", "yes"], usage={"input_tokens": 5, "output_tokens": 1})
    usage = run(LlamaIndexModel(llm), "complete", MESSAGES).usage
    assert (usage.input_tokens, usage.output_tokens) == (10, 2)


def test_without_counts_an_estimate(run: Runner) -> None:
    """A reply that reports nothing still costs something."""
    assert run(LlamaIndexModel(ScriptedLLM(["hello there"])), "complete", MESSAGES).usage.tokens > 0


def test_failures_are_model_errors(run: Runner) -> None:
    """What the LLM raises, and a reply without text."""
    for replies in ([], [ChatMessage(role="assistant", content="")]):
        with pytest.raises(ModelError, match="scripted"):
            run(LlamaIndexModel(ScriptedLLM(replies)), "complete", MESSAGES)


@pytest.mark.parametrize(
    "raw",
    [
        {"usage": {"prompt_tokens": 1, "completion_tokens": 2}},
        {"usage": {"input_tokens": 1, "output_tokens": 2}},
        {"usage_metadata": {"prompt_token_count": 1, "candidates_token_count": 2}},
        {"prompt_tokens": 1, "completion_tokens": 2},
    ],
)
def test_names_of_counts(raw: dict[str, object]) -> None:
    """Providers name them differently."""
    assert counts_of(raw) == {"input_tokens": 1, "output_tokens": 2}


def test_length_limit(run: Runner) -> None:
    """A truncated reply is said to be one."""

    class Cut(ScriptedLLM):
        def chat(self, messages: object, **kwargs: object) -> ChatResponse:
            message = ChatMessage(role="assistant", content="half")
            return ChatResponse(message=message, raw={"choices": [{"finish_reason": "length"}]})

        async def achat(self, messages: object, **kwargs: object) -> ChatResponse:
            return self.chat(messages)

    assert run(LlamaIndexModel(Cut([])), "complete", MESSAGES).truncated


def test_compiling_is_tagged(run: Runner) -> None:
    """Whoever counts the agent's tokens can leave these out."""
    tags: list[object] = []

    class Watching(BaseEventHandler):
        def handle(self, event: BaseEvent, **kwargs: object) -> None:
            if isinstance(event, LLMChatEndEvent):
                tags.append(event.tags)

    root, watching = get_dispatcher(), Watching()
    root.add_event_handler(watching)
    try:
        run(LlamaIndexModel(ScriptedLLM(["x"])), "complete", MESSAGES)
    finally:
        root.event_handlers.remove(watching)
    assert tags == [{"seglam": "compile"}]


def test_it_compiles(opened: Open, run: Runner) -> None:
    """A cache with it learns and answers."""
    cache = opened(model=LlamaIndexModel(ScriptedLLM([MODULE])))
    assert run(cache, "answer", "add 2 and 3").answer == 5
    assert run(cache, "lookup", "add 4 and 5").answer == 9
