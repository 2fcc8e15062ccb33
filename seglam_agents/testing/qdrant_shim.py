"""`QdrantShim`: enough of Qdrant's REST interface to test several clients against one store without a server.

The unmodified remote client talks to it over loopback. Behind it is a local-mode client under a lock, so conditional
writes are as atomic as on a server. It covers what `QdrantStore` uses and nothing more.
"""

from __future__ import annotations

import json
import re
import threading
import warnings
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, TypeAdapter
from qdrant_client import QdrantClient, models


class QdrantShim:
    """A context manager that serves an empty Qdrant at `url`.

    Args:
        version: what the server says its version is.
    """

    def __init__(self, version: str = "1.17.0") -> None:
        self._rest = _Rest(version)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._rest))
        # Connections that clients keep alive must not hold up the end of a test.
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """The address that clients are given."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def client(self) -> QdrantClient:
        """The local client behind the server, for tests that damage what is stored."""
        return self._rest.client

    def before(self, hook: Callable[[str, str, Mapping[str, Any]], None]) -> None:
        """Call `hook(method, path, body)` before each request is served, outside the lock; it may block or raise."""
        self._rest.hook = hook

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._rest.client.close()


class _Rest:
    """The routes: method and path in, JSON result out."""

    def __init__(self, version: str) -> None:
        self.client = QdrantClient(":memory:")
        self.hook: Callable[[str, str, Mapping[str, Any]], None] = lambda method, path, body: None
        self._version = version
        self._lock = threading.Lock()
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., object]]] = [
            (method, re.compile(path), route)
            for method, path, route in [
                ("GET", r"/collections/([^/]+)/exists", self._exists),
                ("PUT", r"/collections/([^/]+)", self._create),
                ("GET", r"/collections/([^/]+)", self._describe),
                ("PUT", r"/collections/([^/]+)/index", self._index),
                ("PUT", r"/collections/([^/]+)/vectors/([^/]+)", self._add_vector),
                ("PUT", r"/collections/([^/]+)/points", self._upsert),
                ("POST", r"/collections/([^/]+)/points", self._retrieve),
                ("POST", r"/collections/([^/]+)/points/scroll", self._scroll),
                ("POST", r"/collections/([^/]+)/points/query", self._query),
            ]
        ]

    def answer(self, method: str, path: str, body: Mapping[str, Any]) -> tuple[int, object]:
        """Return the status and the document of one request."""
        try:
            self.hook(method, path, body)
            if path == "/":
                return 200, {"title": "qdrant - vector search engine", "version": self._version}
            route, names = self._find(method, path)
            with self._lock, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = route(*names, body)
        except Exception as error:  # a server answers whatever goes wrong
            return 400, {"status": {"error": str(error)}, "time": 0.0}
        return 200, {"result": _plain(result), "status": "ok", "time": 0.0}

    def _find(self, method: str, path: str) -> tuple[Callable[..., object], tuple[str, ...]]:
        for verb, pattern, route in self._routes:
            match = pattern.fullmatch(path)
            if match and verb == method:
                return route, match.groups()
        raise LookupError(f"the shim has no {method} {path}")

    def _exists(self, name: str, body: Mapping[str, Any]) -> object:
        return {"exists": self.client.collection_exists(name)}

    def _create(self, name: str, body: Mapping[str, Any]) -> object:
        asked = models.CreateCollection.model_validate(body)
        return self.client.create_collection(name, vectors_config=asked.vectors or {}, hnsw_config=asked.hnsw_config)

    def _describe(self, name: str, body: Mapping[str, Any]) -> object:
        return self.client.get_collection(name)

    def _index(self, name: str, body: Mapping[str, Any]) -> object:
        return _DONE

    def _add_vector(self, name: str, vector: str, body: Mapping[str, Any]) -> object:
        config: models.VectorNameConfig = TypeAdapter[Any](models.VectorNameConfig).validate_python(body)
        self.client.create_vector_name(name, vector, config)
        return _DONE

    def _upsert(self, name: str, body: Mapping[str, Any]) -> object:
        asked = models.PointsList.model_validate(body)
        self.client.upsert(name, asked.points, update_filter=asked.update_filter, update_mode=asked.update_mode)
        return _DONE

    def _retrieve(self, name: str, body: Mapping[str, Any]) -> object:
        return self.client.retrieve(name, body["ids"], with_vectors=bool(body.get("with_vector")))

    def _scroll(self, name: str, body: Mapping[str, Any]) -> object:
        asked = models.ScrollRequest.model_validate(body)
        points, offset = self.client.scroll(name, asked.filter, limit=asked.limit or 10, offset=asked.offset)
        return {"points": _plain(points), "next_page_offset": offset}

    def _query(self, name: str, body: Mapping[str, Any]) -> object:
        asked = models.QueryRequest.model_validate(body)
        return self.client.query_points(
            name,
            query=body["query"],
            using=asked.using,
            query_filter=asked.filter,
            limit=asked.limit or 10,
        )


_DONE = {"operation_id": 0, "status": "completed"}


def _handler(rest: _Rest) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body go out in two writes: without this, each answer waits 40 ms for an acknowledgement.
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urlsplit(self.path).path
            status, document = rest.answer(self.command, path, json.loads(sent) if sent else {})
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = _serve

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the tests' output is not a server's log."""

    return Handler


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]  # any JSON
    return value
