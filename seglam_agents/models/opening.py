"""`open_model`: a chat model from whatever a person has at hand."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from seglam_agents.models.base import Model
from seglam_agents.models.openai import OpenAIModel
from seglam_agents.records.errors import ModelError

FORMS = (
    "pass one of: an address with a model's name, such as 'http://localhost:8000/v1#qwen3'; "
    "'provider:model', such as 'anthropic:claude-sonnet-4-5'; a LangChain chat model; a Model"
)
UNNAMED = "default"
"""The name sent to a server when the address names no model; servers of a single model mostly ignore it."""


def open_model(spec: str | Model | object, *, api_key: str | None = None) -> Model:
    """Return a model for an address, a `provider:model` name, or an object that is a chat model already.

    Args:
        spec: `http(s)://…[#model]` for any OpenAI-compatible server; `provider:model` for LangChain's
            `init_chat_model`; a LangChain chat model; or a `Model`, which is returned as it is.
        api_key: the key for an address or a provider; objects bring their own.

    Raises:
        ModelError: the spec is none of these, or a package for it is missing.
    """
    if isinstance(spec, str):
        return _from_text(spec.strip(), api_key)
    if _is_langchain(spec):
        return _wrapped(spec)
    if isinstance(spec, Model):
        return spec
    raise ModelError(f"a {type(spec).__name__} is no chat model: {FORMS}")


def _from_text(spec: str, api_key: str | None) -> Model:
    if spec.lower().startswith(("http://", "https://")):
        address, _, model = spec.partition("#")
        return OpenAIModel(model or UNNAMED, address, api_key)
    provider, _, model = spec.partition(":")
    if not (provider and model):
        raise ModelError(f"{spec!r} names no chat model: {FORMS}")
    return _wrapped(_init_chat_model(spec, api_key))


def _init_chat_model(spec: str, api_key: str | None) -> object:
    try:
        # By name, so that nothing here depends on LangChain being installed.
        init: Callable[..., object] = importlib.import_module("langchain.chat_models").init_chat_model
    except ImportError as error:
        raise ModelError(f"{spec!r} needs LangChain: pip install langchain, or pass an http address") from error
    try:
        return init(spec, **({} if api_key is None else {"api_key": api_key}))
    except Exception as error:  # a missing provider package, an unknown provider, a missing key
        raise ModelError(f"LangChain cannot open {spec!r}: {error}") from error


def _is_langchain(spec: object) -> bool:
    # An object of LangChain can only be there when LangChain is: its class says so without an import.
    own = any(kind.__module__.partition(".")[0] == "langchain_core" for kind in type(spec).__mro__)
    return own and callable(getattr(spec, "invoke", None)) and callable(getattr(spec, "ainvoke", None))


def _wrapped(chat_model: object) -> Model:
    try:
        module = importlib.import_module("seglam_agents.models.langchain")
    except ImportError as error:
        raise ModelError(str(error)) from error
    wrap: Callable[[object], Model] = module.LangChainModel
    return wrap(chat_model)
