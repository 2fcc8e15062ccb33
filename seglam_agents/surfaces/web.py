"""Starlette, as the surfaces use it. Only here is it imported."""

from __future__ import annotations

from seglam_agents.surfaces.errors import missing

try:
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.datastructures import Headers, MutableHeaders
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, Response, StreamingResponse
    from starlette.routing import BaseRoute, Route
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
except ImportError as error:
    raise missing("serve") from error

__all__ = [
    "ASGIApp",
    "BackgroundTask",
    "BaseRoute",
    "ClientDisconnect",
    "Headers",
    "JSONResponse",
    "Message",
    "MutableHeaders",
    "Receive",
    "Request",
    "Response",
    "Route",
    "Scope",
    "Send",
    "Starlette",
    "StreamingResponse",
]
