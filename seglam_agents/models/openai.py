"""`OpenAIModel`: any server that speaks OpenAI's chat-completions protocol, over plain HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from ssl import SSLContext
from typing import TypeAlias

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from seglam_agents.models.base import Completion, Message
from seglam_agents.models.tokens import counted
from seglam_agents.records.errors import ModelError
from seglam_agents.records.record import Json

FIRST_WAIT = 0.5
"""Seconds before the first retry; each further wait is twice as long."""
LONGEST_WAIT = 60.0
"""A server that asks for more than these seconds is not waited for."""
EXCERPT = 500
"""How many characters of a reply an error shows."""

TOKEN_NAMES = ("prompt_tokens", "completion_tokens")

Reply: TypeAlias = httpx.Response | httpx.RequestError
"""What came of one attempt."""


class OpenAIModel:
    """A chat model behind any OpenAI-compatible URL: OpenAI, vLLM, llama.cpp, Ollama, gateways.

    Args:
        model: the model's name as the server knows it.
        base_url: the address up to `/v1`, or up to and with `/chat/completions`.
        api_key: sent as a bearer token; never read from the environment, logged or shown.
        temperature: the sampling temperature; None leaves it to the server.
        max_tokens: the length limit of an answer; None leaves it to the server.
        timeout: seconds that the server may stay silent.
        retries: how often to try again after 429, 5xx or a lost connection.
        sleep: waits between two attempts of `complete`.
        asleep: waits between two attempts of `acomplete`.
    """

    def __init__(
        self,
        model: str,
        base_url: str = "https://api.openai.com/v1",
        api_key: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        timeout: float = 120,
        retries: int = 2,
        *,
        sleep: Callable[[float], None] = time.sleep,
        asleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._server = _Server(model, _endpoint(base_url), _checked_key(api_key), temperature, max_tokens, retries)
        self._timeout = timeout
        self._sleep = sleep
        self._asleep = asleep

    @property
    def name(self) -> str:
        """The model's name as the server knows it."""
        return self._server.model

    def __repr__(self) -> str:
        return f"OpenAIModel({self._server.model!r}, base_url={_shown(self._server.url)!r})"

    def complete(self, messages: Sequence[Message]) -> Completion:
        """Answer a chat.

        Raises:
            ModelError: the server cannot be reached, refused, or sent no usable reply.
        """
        call = _Call(self._server, messages)
        # A client a call: nothing to close later, and (below) nothing that is bound to one event loop.
        with httpx.Client(timeout=self._timeout, verify=_certificates()) as client:
            while True:
                try:
                    reply: Reply = client.send(call.request())
                except httpx.RequestError as error:
                    reply = error
                if isinstance(outcome := call.judge(reply), Completion):
                    return outcome
                self._sleep(outcome)

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        """Answer a chat without blocking the event loop.

        Raises:
            ModelError: the server cannot be reached, refused, or sent no usable reply.
        """
        call = _Call(self._server, messages)
        async with httpx.AsyncClient(timeout=self._timeout, verify=_certificates()) as client:
            while True:
                try:
                    reply: Reply = await client.send(call.request())
                except httpx.RequestError as error:
                    reply = error
                if isinstance(outcome := call.judge(reply), Completion):
                    return outcome
                await self._asleep(outcome)


@dataclass(frozen=True, slots=True)
class _Server:
    """Where to ask, and how."""

    model: str
    url: httpx.URL
    key: SecretStr | None
    temperature: float | None
    max_tokens: int | None
    retries: int

    def headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key.get_secret_value()}"
        return headers

    def body(self, messages: Sequence[Message]) -> bytes:
        body: dict[str, Json] = {
            "model": self.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
        }
        if self.temperature is not None:
            body["temperature"] = self.temperature
        if self.max_tokens is not None:
            # OpenAI's reasoning models refuse the old name; most other servers know only that one.
            new = self.url.host == "api.openai.com"
            body["max_completion_tokens" if new else "max_tokens"] = self.max_tokens
        return json.dumps(body).encode()

    def without_key(self, text: str) -> str:
        return text.replace(self.key.get_secret_value(), "***") if self.key else text

    def error(self, problem: str) -> ModelError:
        return ModelError(f"model {self.model!r} at {_shown(self.url)} {self.without_key(problem)}")


class _Call:
    """The decisions of one call, without any input or output: both colours drive the same object."""

    def __init__(self, server: _Server, messages: Sequence[Message]) -> None:
        self._server = server
        self._messages = messages
        self._body = server.body(messages)
        self._attempts = 0
        self._started = time.perf_counter()

    def request(self) -> httpx.Request:
        """Return the request of the next attempt."""
        self._attempts += 1
        return httpx.Request("POST", self._server.url, headers=self._server.headers(), content=self._body)

    def judge(self, reply: Reply) -> Completion | float:
        """Return the completion, or the seconds to wait before the next attempt."""
        if isinstance(reply, httpx.Response) and reply.status_code == 200:
            return self._completion(reply)
        if self._attempts <= self._server.retries and _worth_retrying(reply):
            asked = _asked_wait(reply)
            wait = FIRST_WAIT * 2 ** (self._attempts - 1) if asked is None else asked
            if wait <= LONGEST_WAIT:
                return wait
        raise self._failure(reply) from (reply if isinstance(reply, Exception) else None)

    def _completion(self, response: httpx.Response) -> Completion:
        seconds = time.perf_counter() - self._started
        try:
            reply = _ChatReply.model_validate_json(response.content)
        except ValidationError as error:
            raise self._unusable(response, "is no chat completion") from error
        choice = reply.choices[0] if reply.choices else _Choice()
        text, truncated = choice.message.text(), choice.finish_reason == "length"
        if text is None and not truncated:
            raise self._unusable(response, "holds no text")
        usage = counted(self._messages, text or "", reported=reply.counts(), names=TOKEN_NAMES, seconds=seconds)
        return Completion(text or "", usage, truncated)

    def _unusable(self, response: httpx.Response, problem: str) -> ModelError:
        return self._server.error(
            f"sent a reply that {problem}: {self._excerpt(response)}\n"
            "Check that base_url is the address of a chat-completions server (it usually ends in /v1)."
        )

    def _failure(self, reply: Reply) -> ModelError:
        attempts = f"after {self._attempts} attempts " if self._attempts > 1 else ""
        if isinstance(reply, httpx.Response):
            problem = f"answered {attempts}with HTTP {reply.status_code}: {self._excerpt(reply)}"
            return self._server.error(f"{problem}\n{_next_step(reply)}")
        if isinstance(reply, httpx.TimeoutException):
            problem = f"gave no answer {attempts}in time ({type(reply).__name__})."
            return self._server.error(f"{problem}\nRaise timeout, or ask a faster model.")
        problem = f"cannot be reached {attempts}({type(reply).__name__}: {reply})."
        return self._server.error(f"{problem}\nCheck base_url, and that the server runs.")

    def _excerpt(self, response: httpx.Response) -> str:
        # The key goes first: a cut through its middle would leave half of it standing.
        text = self._server.without_key(response.text).strip()
        return (text[:EXCERPT] + "…" if len(text) > EXCERPT else text) or "(empty body)"


class _Part(BaseModel):
    type: str = ""
    text: str | None = None


class _ReplyMessage(BaseModel):
    content: str | list[_Part] | None = None

    def text(self) -> str | None:
        if isinstance(self.content, list):
            return "".join(part.text or "" for part in self.content if part.type == "text")
        return self.content


class _Choice(BaseModel):
    message: _ReplyMessage = _ReplyMessage()
    finish_reason: str | None = None


class _ChatReply(BaseModel):
    """The part of a reply that is read; servers add much more, and differ in it."""

    choices: list[_Choice]
    usage: Json = None

    def counts(self) -> dict[str, Json]:
        return self.usage if isinstance(self.usage, dict) else {}


def _endpoint(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ModelError(f"base_url cannot be read as an address: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        example = "http://localhost:8000/v1"
        raise ModelError(f"base_url must be an http or https address, such as {example}; got {_shown(url)!r}")
    path = url.path.rstrip("/")
    return url.copy_with(path=path if path.endswith("/chat/completions") else f"{path}/chat/completions", fragment=None)


def _shown(url: httpx.URL) -> str:
    # User names, passwords and queries may be secrets.
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))


def _checked_key(key: str | None) -> SecretStr | None:
    key = (key or "").strip()  # a key that was read from a file often ends in a newline
    if not (key.isascii() and key.isprintable()):
        raise ModelError("api_key holds characters that cannot be sent; copy the key again")
    return SecretStr(key) if key else None


@lru_cache(maxsize=1)
def _certificates() -> SSLContext:
    # Reading the certificates takes longer than a whole call to a local server.
    return httpx.create_ssl_context()


def _worth_retrying(reply: Reply) -> bool:
    if isinstance(reply, httpx.Response):
        return reply.status_code == 429 or reply.is_server_error
    # A slow answer is not asked for again: the server has worked for it, and would be as slow the next time.
    lost = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout, httpx.PoolTimeout)
    return isinstance(reply, lost)


def _asked_wait(reply: Reply) -> float | None:
    """Read `Retry-After`: seconds or a date (RFC 9110, section 10.2.3)."""
    text = reply.headers.get("Retry-After", "") if isinstance(reply, httpx.Response) else ""
    with suppress(ValueError):
        return max(0.0, float(text))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _next_step(response: httpx.Response) -> str:
    match response.status_code:
        case 401 | 403:
            return "Check api_key, and that it may use this model."
        case 404:
            return "Check base_url and the model's name."
        case 429:
            asked = f" (Retry-After: {after})" if (after := response.headers.get("Retry-After")) else ""
            return f"Wait for the rate limit{asked}, check the quota, or raise retries."
        case status if 300 <= status < 400:
            return f"The server moved to {response.headers.get('Location', 'another address')}: use that as base_url."
        case status if status >= 500:
            return "The server is failing: look into its log, or try again later."
        case _:
            return "The server does not take this request: check the model's name, temperature and max_tokens."
