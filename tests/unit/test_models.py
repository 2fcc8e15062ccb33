"""Chat models through their public API: OpenAI-compatible servers, LangChain, recordings, and `open_model`."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import pytest
from langchain_core.language_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda

from seglam_agents.models.base import Completion, Message, Model
from seglam_agents.models.langchain import LangChainModel
from seglam_agents.models.openai import OpenAIModel
from seglam_agents.models.opening import open_model
from seglam_agents.models.recorded import RecordedAnswer, RecordedModel, Recording, request_key
from seglam_agents.records.errors import ModelError, RecordingError
from seglam_agents.records.usage import Usage

ASK = [Message("system", "Be brief."), Message("user", "How many legs has a spider?")]
KEY = "sk-very-secret"

Ask: TypeAlias = Callable[..., Completion]


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Ask a model in either colour: both must say the same."""

    def ask(model: Model, messages: list[Message] = ASK) -> Completion:
        if request.param == "sync":
            return model.complete(messages)
        return asyncio.run(model.acomplete(messages))

    return ask


# --- OpenAI-compatible servers ---------------------------------------------------------------------------------------


@dataclass
class Reply:
    """What the server says once; `status=0` closes the connection without a word."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Server:
    """A chat-completions server on loopback with scripted replies; the last one is repeated."""

    url: str
    replies: list[Reply]
    seen: list[dict[str, Any]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    """Set at the end: a reply of status -1 says nothing until then."""

    def model(self, *, retries: int = 2, waits: list[float] | None = None, **options: Any) -> OpenAIModel:
        """Return a model of this server that notes its waits instead of waiting."""
        waits = [] if waits is None else waits

        async def asleep(seconds: float) -> None:
            waits.append(seconds)

        return OpenAIModel("m", self.url, KEY, retries=retries, sleep=waits.append, asleep=asleep, **options)


@pytest.fixture
def server() -> Iterator[Server]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    scripted = Server(f"http://127.0.0.1:{httpd.server_port}/v1", [])
    httpd.scripted = scripted  # type: ignore[attr-defined]
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    yield scripted
    scripted.release.set()
    httpd.shutdown()
    thread.join()
    httpd.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        scripted: Server = self.server.scripted  # type: ignore[attr-defined]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        scripted.seen.append({"path": self.path, "key": self.headers["Authorization"], "body": body})
        reply = scripted.replies[min(len(scripted.seen), len(scripted.replies)) - 1]
        if reply.status < 0:
            scripted.release.wait()
        if reply.status <= 0:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def said(content: Any = "Eight.", finish: str = "stop", **more: Any) -> Reply:
    return Reply(body=json.dumps({"choices": [{"message": {"content": content}, "finish_reason": finish}], **more}))


COUNTED = {"usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}}


def test_openai_answers_with_text_and_usage(server: Server, ask: Ask) -> None:
    """The text and the counts of the reply arrive, with one call and the measured seconds."""
    server.replies = [said(**COUNTED)]
    answer = ask(server.model())
    assert Completion("Eight.", answer.usage) == answer
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.calls) == (11, 3, 1)
    assert answer.usage.seconds > 0


def test_openai_sends_what_it_was_given(server: Server, ask: Ask) -> None:
    """Model, messages, options and key go to `/chat/completions` below the base address."""
    server.replies = [said()]
    ask(server.model(temperature=0.5, max_tokens=7), [Message("user", "half a pair: \ud83d")])
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "half a pair: \ud83d"}],
        "temperature": 0.5,
        "max_tokens": 7,
    }
    assert [{"path": "/v1/chat/completions", "key": f"Bearer {KEY}", "body": body}] == server.seen


def test_openai_keeps_a_full_address_and_its_query(server: Server) -> None:
    """An address that already ends in `/chat/completions`, or has a query, is used as it is."""
    server.replies = [said()]
    OpenAIModel("m", f"{server.url}/chat/completions?api-version=1").complete(ASK)
    assert [seen["path"] for seen in server.seen] == ["/v1/chat/completions?api-version=1"]
    assert [seen["key"] for seen in server.seen] == [None]


@pytest.mark.parametrize("usage", [{}, {"usage": None}, {"usage": {"prompt_tokens": None}}, {"usage": [1]}])
def test_openai_estimates_what_was_not_counted(server: Server, ask: Ask, usage: dict[str, Any]) -> None:
    """Without counts, a token is four characters."""
    server.replies = [said(**usage)]
    answer = ask(server.model())
    expected = -(-len("Be brief.") // 4) + -(-len("How many legs has a spider?") // 4)
    assert (expected, 2, 1) == (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.calls)


def test_openai_joins_text_parts(server: Server, ask: Ask) -> None:
    """Content given as parts is their text; other kinds of parts are left out."""
    server.replies = [said([{"type": "thinking"}, {"type": "text", "text": "Ei"}, {"type": "text", "text": "ght"}])]
    assert ask(server.model()).text == "Eight"


@pytest.mark.parametrize(("content", "text"), [("Eig", "Eig"), (None, "")])
def test_openai_marks_a_cut_answer(server: Server, ask: Ask, content: str | None, text: str) -> None:
    """An answer that the length limit ended is truncated, even where nothing of it was said."""
    server.replies = [said(content, "length")]
    answer = ask(server.model())
    assert (text, True) == (answer.text, answer.truncated)


def test_openai_401_says_what_to_do_and_hides_the_key(server: Server, ask: Ask) -> None:
    """A refused key is not retried, and is not shown even where the server repeats it."""
    server.replies = [Reply(401, json.dumps({"error": {"message": f"bad key {KEY}"}}))]
    with pytest.raises(ModelError) as caught:
        ask(server.model())
    assert (
        f"model 'm' at {server.url}/chat/completions answered with HTTP 401: "
        '{"error": {"message": "bad key ***"}}\nCheck api_key, and that it may use this model.'
    ) == str(caught.value)
    assert len(server.seen) == 1


def test_openai_never_shows_its_key() -> None:
    """Neither the model nor its attributes print the key, nor a password in the address."""
    model = OpenAIModel("m", "http://user:hidden@127.0.0.1/v1?key=hidden", KEY)
    assert repr(model) == "OpenAIModel('m', base_url='http://127.0.0.1/v1/chat/completions')"
    assert KEY not in str(vars(model))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_openai_retries_a_busy_server(server: Server, ask: Ask, status: int) -> None:
    """A busy or failing server is asked again, and waited for longer each time."""
    server.replies = [Reply(status), Reply(status), said(**COUNTED)]
    waits: list[float] = []
    answer = ask(server.model(waits=waits))
    assert (answer.text, waits, len(server.seen)) == ("Eight.", [0.5, 1.0], 3)


def test_openai_waits_as_long_as_asked(server: Server, ask: Ask) -> None:
    """`Retry-After` decides the wait, as seconds or as a date."""
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    server.replies = [Reply(429, headers={"Retry-After": "7"}), Reply(429, headers={"Retry-After": past}), said()]
    waits: list[float] = []
    ask(server.model(waits=waits))
    assert waits == [7.0, 0.0]


def test_openai_does_not_wait_for_an_hour(server: Server, ask: Ask) -> None:
    """A server that asks for a very long wait is an error at once."""
    server.replies = [Reply(429, headers={"Retry-After": "3600"})]
    waits: list[float] = []
    with pytest.raises(ModelError, match=r"HTTP 429: \(empty body\)\nWait for the rate limit \(Retry-After: 3600\)"):
        ask(server.model(waits=waits))
    assert waits == []


def test_openai_gives_up_after_its_retries(server: Server, ask: Ask) -> None:
    """The error counts the attempts, and shows the start of what the server said."""
    server.replies = [Reply(500, "x" * 2000)]
    with pytest.raises(ModelError, match=r"answered after 3 attempts with HTTP 500: x{500}…\nThe server is failing"):
        ask(server.model())
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(404, "no such model"), "Check base_url and the model's name"),
        (Reply(400, "bad"), "check the model's name, temperature and max_tokens"),
        (Reply(301, headers={"Location": "/v2"}), "moved to /v2: use that as base_url"),
        (Reply(200, "<html>hello"), "is no chat completion: <html>hello\nCheck that base_url"),
        (Reply(200, '{"error": "overloaded"}'), 'is no chat completion: {"error": "overloaded"}'),
        (Reply(200, '{"choices": []}'), "holds no text"),
        (said(None), "holds no text"),
    ],
)
def test_openai_names_the_next_step(server: Server, ask: Ask, reply: Reply, message: str) -> None:
    """What cannot be used is an error that says what to check, and is not tried again."""
    server.replies = [reply]
    with pytest.raises(ModelError) as caught:
        ask(server.model())
    assert message in str(caught.value)
    assert len(server.seen) == 1


def test_openai_retries_a_closed_connection(server: Server, ask: Ask) -> None:
    """A connection that closes without a reply is tried again."""
    server.replies = [Reply(0), said()]
    assert ask(server.model()).text == "Eight."


def test_openai_says_that_it_cannot_reach_the_server(server: Server, ask: Ask) -> None:
    """Connections that keep closing are an error that names the address."""
    server.replies = [Reply(0)]
    with pytest.raises(ModelError, match=r"/chat/completions cannot be reached after 2 attempts .*\nCheck base_url"):
        ask(server.model(retries=1))


def test_openai_does_not_repeat_a_slow_request(server: Server, ask: Ask) -> None:
    """A server that is silent for too long is an error after one attempt."""
    server.replies = [Reply(-1)]
    with pytest.raises(ModelError, match=r"gave no answer in time \(ReadTimeout\)"):
        ask(server.model(timeout=0.05))
    assert len(server.seen) == 1


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://host/v1", "http://", "http://[::"])
def test_openai_refuses_what_is_no_address(url: str) -> None:
    """A wrong address is found when the model is made, not when it is asked."""
    with pytest.raises(ModelError, match="base_url"):
        OpenAIModel("m", url)


def test_openai_refuses_a_broken_key() -> None:
    """A key that no header can carry is refused without being shown."""
    with pytest.raises(ModelError, match=r"^api_key holds characters that cannot be sent; copy the key again$"):
        OpenAIModel("m", api_key="sk-\nsecret")


# --- LangChain -------------------------------------------------------------------------------------------------------


def chat_model(*replies: AIMessage) -> GenericFakeChatModel:
    return GenericFakeChatModel(messages=iter(replies))


def test_langchain_answers_with_text_and_usage(ask: Ask) -> None:
    """Text and counts come from the message."""
    counts = {"input_tokens": 11, "output_tokens": 3, "total_tokens": 14}
    answer = ask(LangChainModel(chat_model(AIMessage("Eight.", usage_metadata=counts))))
    assert (
        answer.text,
        answer.usage.input_tokens,
        answer.usage.output_tokens,
        answer.usage.calls,
        answer.truncated,
    ) == ("Eight.", 11, 3, 1, False)


def test_langchain_passes_roles_on(ask: Ask) -> None:
    """System, user and assistant messages arrive as LangChain's."""
    echo = RunnableLambda(lambda prompt: AIMessage(" ".join(f"{m.type}:{m.content}" for m in prompt)))
    asked = [Message("system", "a"), Message("user", "b"), Message("assistant", "c"), Message("user", "d")]
    assert ask(LangChainModel(echo), asked).text == "system:a human:b ai:c human:d"


def test_langchain_joins_content_blocks_and_estimates(ask: Ask) -> None:
    """Only the text of content blocks counts; missing counts are estimated."""
    blocks = [
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "text", "text": "Ei"},
        {"type": "text", "text": "ght."},
    ]
    answer = ask(LangChainModel(chat_model(AIMessage(blocks))))
    assert (answer.text, answer.usage.input_tokens, answer.usage.output_tokens) == ("Eight.", 10, 2)


@pytest.mark.parametrize(
    "metadata",
    [
        {"finish_reason": "length"},
        {"stop_reason": "max_tokens"},
        {"finish_reason": "MAX_TOKENS"},
        {"done_reason": "length"},
        {"incomplete_details": {"reason": "max_output_tokens"}},
    ],
)
def test_langchain_marks_a_cut_answer(ask: Ask, metadata: dict[str, Any]) -> None:
    """The length limit is recognised in the words of the common providers."""
    assert ask(LangChainModel(chat_model(AIMessage("Eig", response_metadata=metadata)))).truncated


def test_langchain_errors_are_model_errors(ask: Ask) -> None:
    """Whatever the chat model raises names the model and the reason."""

    def fail(_: object) -> AIMessage:
        raise ValueError("quota")

    with pytest.raises(ModelError, match=r"^model 'fail' failed with ValueError: quota$"):
        ask(LangChainModel(RunnableLambda(fail)))


def test_langchain_refuses_what_is_no_message(ask: Ask) -> None:
    """Something that gives a dict, such as an agent, is no chat model."""
    with pytest.raises(ModelError, match="gave no chat message but a dict"):
        ask(LangChainModel(RunnableLambda(lambda _: {"messages": []})))  # type: ignore[arg-type]


def test_langchain_names_the_model() -> None:
    """The name is the model's where it has one, else the class."""

    class Named(GenericFakeChatModel):
        model_name: str = "gpt"

    assert LangChainModel(Named(messages=iter(()))).name == "gpt"
    assert repr(LangChainModel(chat_model())) == "LangChainModel('GenericFakeChatModel')"


# --- open_model ------------------------------------------------------------------------------------------------------


def test_opening_an_address(server: Server) -> None:
    """An address is an OpenAI-compatible server; the model's name follows the `#`."""
    server.replies = [said()]
    model = open_model(f" {server.url}#qwen3 ", api_key=KEY)
    model.complete(ASK)
    assert ("qwen3", "qwen3", f"Bearer {KEY}") == (model.name, server.seen[0]["body"]["model"], server.seen[0]["key"])
    assert open_model(server.url).name == "default"


def test_opening_a_model_returns_it() -> None:
    """A `Model` stays as it is."""
    model = OpenAIModel("m")
    assert model is open_model(model)


def test_opening_a_langchain_model_wraps_it() -> None:
    """A LangChain chat model becomes a `Model`."""
    model = open_model(FakeListChatModel(responses=["Eight."]))
    assert isinstance(model, LangChainModel)
    assert model.complete(ASK).text == "Eight."


def test_opening_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """`provider:model` goes to LangChain, with the key where one is given."""
    seen: list[tuple[str, dict[str, str]]] = []

    def init_chat_model(spec: str, **options: str) -> FakeListChatModel:
        seen.append((spec, options))
        return FakeListChatModel(responses=["Eight."])

    _install(monkeypatch, init_chat_model)
    assert open_model("fake:model").complete(ASK).text == "Eight."
    open_model("fake:model", api_key=KEY)
    assert seen == [("fake:model", {}), ("fake:model", {"api_key": KEY})]


def test_opening_an_unknown_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """What LangChain says about a provider reaches the person."""

    def init_chat_model(spec: str) -> object:
        raise ImportError("install langchain-fake")

    _install(monkeypatch, init_chat_model)
    with pytest.raises(ModelError, match=r"^LangChain cannot open 'fake:model': install langchain-fake$"):
        open_model("fake:model")


def test_opening_a_provider_without_langchain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without LangChain the error names what to install."""
    monkeypatch.setitem(sys.modules, "langchain.chat_models", None)
    with pytest.raises(ModelError, match=r"^'fake:model' needs LangChain: pip install langchain"):
        open_model("fake:model")


@pytest.mark.parametrize("spec", ["", "gpt-4o", ":x", "x:", 7, None])
def test_opening_anything_else(spec: object) -> None:
    """What is no chat model is refused with the forms that are."""
    with pytest.raises(ModelError, match="pass one of: an address with a model's name"):
        open_model(spec)


def _install(monkeypatch: pytest.MonkeyPatch, init_chat_model: Callable[..., object]) -> None:
    module = ModuleType("langchain.chat_models")
    module.init_chat_model = init_chat_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "langchain", ModuleType("langchain"))
    monkeypatch.setitem(sys.modules, "langchain.chat_models", module)


# --- recordings ------------------------------------------------------------------------------------------------------


@dataclass
class Counter:
    """A live model that answers with the number of the call."""

    calls: int = 0
    name: str = "counter"

    def complete(self, messages: list[Message]) -> Completion:
        self.calls += 1
        return Completion(f"answer {self.calls}", Usage(input_tokens=5, output_tokens=2, calls=1, seconds=1.5), True)

    async def acomplete(self, messages: list[Message]) -> Completion:
        return self.complete(messages)


def test_recorded_asks_once_and_replays(tmp_path: Path, ask: Ask) -> None:
    """The first answer is kept in the file, and replayed with its usage, here and by the next reader."""
    path, live = tmp_path / "new" / "r.jsonl", Counter()
    model = RecordedModel(path, live)
    expected = Completion("answer 1", Usage(input_tokens=5, output_tokens=2, calls=1, seconds=1.5), True)
    assert [expected] * 3 == [ask(model), ask(model), ask(RecordedModel(path))]
    assert live.calls == 1


def test_recorded_file_holds_no_request(tmp_path: Path, ask: Ask) -> None:
    """A line holds the answer, and of the request nothing but its hash."""
    path = tmp_path / "r.jsonl"
    ask(RecordedModel(path, Counter()))
    assert [
        {
            "key": request_key(ASK),
            "model": "counter",
            "text": "answer 1",
            "input_tokens": 5,
            "output_tokens": 2,
            "seconds": 1.5,
            "truncated": True,
        }
    ] == [json.loads(line) for line in path.read_text().splitlines()]


def test_recorded_key_depends_on_roles_and_contents() -> None:
    """Another role, content or cut between messages is another request."""
    chats = [
        [Message("user", "ab")],
        [Message("system", "ab")],
        [Message("user", "a"), Message("user", "b")],
        [Message("user", "")],
        [],
    ]
    assert len(chats) == len({request_key(chat) for chat in chats})


def test_recorded_refuses_an_unknown_request(tmp_path: Path, ask: Ask) -> None:
    """Without a live model an unknown request is an error that shows it, counts the file, and says how to record."""
    path = tmp_path / "r.jsonl"
    ask(RecordedModel(path, Counter()))
    question = "Why? " + "x" * 300
    with pytest.raises(RecordingError) as caught:
        ask(RecordedModel(path), [Message("user", question)])
    assert (
        f"NOT RECORDED: {question[:200]!r} (key {request_key([Message('user', question)])[:12]}). "
        f"{path} holds 1 recordings, and this request is none of them; to record it, give a live model: "
        "RecordedModel(path, live=open_model('http://localhost:8000/v1#model'))"
    ) == str(caught.value)


def test_recorded_needs_a_file_or_a_live_model(tmp_path: Path) -> None:
    """A missing file is an error at once, not at the first request."""
    with pytest.raises(RecordingError, match=r"there is no recording at .*missing\.jsonl; to record it"):
        RecordedModel(tmp_path / "missing.jsonl")


def test_recorded_names_its_models(tmp_path: Path) -> None:
    """Provenance says that an answer was recorded, and from which model."""
    path = tmp_path / "r.jsonl"
    assert RecordedModel(path, Counter()).name == "recorded:counter"
    path.write_text(line("a", "one") + line("b", "two") + line("c", "one"))
    model = RecordedModel(path)
    assert (model.name, model.recorded) == ("recorded:one+two", True)
    assert isinstance(model, Model)


def test_recorded_first_line_of_a_key_counts(tmp_path: Path, ask: Ask) -> None:
    """Where a request was recorded twice, everybody replays the first line."""
    path = tmp_path / "r.jsonl"
    path.write_text(line(request_key(ASK), "m", "first") + line(request_key(ASK), "m", "second"))
    assert ask(RecordedModel(path)).text == "first"


def test_recorded_reads_what_another_process_added(tmp_path: Path, ask: Ask) -> None:
    """A line that appears in the file later is replayed, and no model is asked."""
    path, live = tmp_path / "r.jsonl", Counter()
    model = RecordedModel(path, live)
    path.write_text(line(request_key(ASK), "other", "theirs"))
    assert (ask(model).text, live.calls) == ("theirs", 0)


def test_recorded_does_not_read_half_a_line(tmp_path: Path) -> None:
    """A line that another process is still writing is left for later."""
    path = tmp_path / "r.jsonl"
    path.write_text(line("a", "m"))
    recording = Recording(path)
    whole = line("b", "m")
    path.write_text(line("a", "m") + whole[:20])
    assert recording.find("b") is None
    path.write_text(line("a", "m") + whole)
    assert recording.find("b").model == "m"  # type: ignore[union-attr]


def test_recorded_appends_to_a_file_without_a_last_newline(tmp_path: Path) -> None:
    """An editor that took the last newline away does no harm."""
    path = tmp_path / "r.jsonl"
    path.write_text("\n" + line("a", "m").rstrip("\n"))
    Recording(path).append(RecordedAnswer(key="b", model="m", text="\u2028 half \n"))
    recording = Recording(path)
    assert (recording.find("a").text, recording.find("b").text) == ("", "\u2028 half \n")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ('{"key": "b", "mod', "Invalid JSON"),
        ('{"key": "b", "text": ""}', "model: Field required"),
        ('{"key": "b", "model": "m", "text": "", "prompt": ""}', "prompt: Extra inputs are not permitted"),
        ("[]", "Input should be an object"),
    ],
)
@pytest.mark.parametrize("end", ["", "\n"])
def test_recorded_points_at_a_corrupt_line(tmp_path: Path, bad: str, problem: str, end: str) -> None:
    """A line that cannot be read stops the reader, with its number and what is wrong with it."""
    path = tmp_path / "r.jsonl"
    path.write_text(line("a", "m") + "\n" + bad + end)
    with pytest.raises(RecordingError, match=rf"r\.jsonl, line 3: not a recorded answer \({problem}.*\)\. Correct"):
        Recording(path)


def test_recorded_says_when_it_cannot_write(tmp_path: Path, ask: Ask) -> None:
    """An answer that cannot be kept is an error, not a silent loss."""
    path = tmp_path / "r.jsonl"
    model = RecordedModel(path, Counter())
    path.mkdir()
    with pytest.raises(RecordingError, match=r"cannot (read|write) the recording"):
        ask(model)


def test_recorded_takes_appends_of_several_threads(tmp_path: Path) -> None:
    """Two threads that open the file again for each chat lose no line, mix none, and agree on every answer."""
    path, start = tmp_path / "r.jsonl", threading.Barrier(2)
    chats = [[Message("user", f"{n} " + "x" * 5000)] for n in range(50)]
    answers: dict[int, list[str]] = {}

    def work(number: int) -> None:
        live = Counter(calls=number * 1000)
        start.wait()
        answers[number] = [RecordedModel(path, live).complete(chat).text for chat in chats]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    replayed = RecordedModel(path)
    assert [answers[0], answers[0]] == [answers[1], [replayed.complete(chat).text for chat in chats]]


def line(key: str, model: str, text: str = "") -> str:
    return RecordedAnswer(key=key, model=model, text=text).model_dump_json() + "\n"
