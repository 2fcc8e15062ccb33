"""`QdrantShim`: enough of Qdrant's REST API on a loopback port to test several clients without a server.

It answers what `QdrantStore` asks, out of a client in local mode, one request at a time. The remote client that talks
to it is the real one, so encoding, paging and races between processes are tested; performance and replication are not.

```python
with QdrantShim() as shim:
    store = QdrantStore(url=shim.url)
```
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self, TypeAlias
from urllib.parse import unquote, urlsplit

from pydantic_core import to_jsonable_python
from qdrant_client import QdrantClient, models


class QdrantShim:
    """A stand-in for a Qdrant server, which forgets everything when it is closed.

    Args:
        version: the version that it says it is.
    """

    def __init__(self, version: str = "1.16.0") -> None:
        self._version = version
        self._client = QdrantClient(":memory:")
        # A local client is not safe to share between threads.
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The address to give to a client."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop answering and forget everything. Safe to call twice."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with self._lock:
            self._client.close()

    def answer(self, method: str, path: str, body: Any) -> tuple[HTTPStatus, object]:
        """Return the status and the JSON document that answer a request."""
        if (method, path) == ("GET", "/"):
            return HTTPStatus.OK, {"title": "qdrant shim", "version": self._version}
        for wanted, pattern, reply in _ROUTES:
            match = pattern.fullmatch(path)
            if match and wanted == method:
                return self._reply(reply, [unquote(part) for part in match.groups()], body)
        return _failed(HTTPStatus.NOT_FOUND, f"the shim does not know {method} {path}")

    def _reply(self, reply: _Reply, names: list[str], body: Any) -> tuple[HTTPStatus, object]:
        try:
            with self._lock:
                result = reply(self._client, body, *names)
        except Exception as error:
            return _failed(HTTPStatus.BAD_REQUEST, str(error))
        return HTTPStatus.OK, {"result": to_jsonable_python(result), "status": "ok", "time": 0.0}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, shim: QdrantShim) -> None:
        self.shim = shim
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]  # always ours

    def do_GET(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the output belongs to the tests."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        status, document = self.server.shim.answer(self.command, path, json.loads(body) if body else None)
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


_Reply: TypeAlias = Callable[..., object]


def _failed(status: HTTPStatus, problem: str) -> tuple[HTTPStatus, object]:
    return status, {"status": {"error": problem}, "time": 0.0}


def _exists(client: QdrantClient, _: object, name: str) -> object:
    return {"exists": client.collection_exists(name)}


def _create(client: QdrantClient, body: Any, name: str) -> object:
    wanted = models.CreateCollection.model_validate(body)
    return client.create_collection(name, vectors_config=wanted.vectors)


def _delete(client: QdrantClient, _: object, name: str) -> object:
    return client.delete_collection(name)


def _info(client: QdrantClient, _: object, name: str) -> object:
    return client.get_collection(name)


def _index(client: QdrantClient, _: object, name: str) -> object:
    # A local client scans; asking it for an index would only make it warn.
    client.get_collection(name)
    return models.UpdateResult(status=models.UpdateStatus.COMPLETED)


def _create_vector(client: QdrantClient, body: Any, name: str, vector: str) -> object:
    return client.create_vector_name(name, vector, models.DenseVectorNameConfig.model_validate(body))


def _upsert(client: QdrantClient, body: Any, name: str) -> object:
    wanted = models.PointsList.model_validate(body)
    mode = wanted.update_mode
    return client.upsert(name, wanted.points, update_filter=wanted.update_filter, update_mode=mode)


def _set_payload(client: QdrantClient, body: Any, name: str) -> object:
    wanted = models.SetPayload.model_validate(body)
    return client.set_payload(name, wanted.payload, models.PointIdsList(points=wanted.points or []))


def _retrieve(client: QdrantClient, body: Any, name: str) -> object:
    wanted = models.PointRequest.model_validate(body)
    return client.retrieve(name, wanted.ids, with_payload=True, with_vectors=bool(wanted.with_vector))


def _scroll(client: QdrantClient, body: Any, name: str) -> object:
    wanted = models.ScrollRequest.model_validate(body)
    points, following = client.scroll(name, wanted.filter, limit=wanted.limit or 10, offset=wanted.offset)
    return {"points": points, "next_page_offset": following}


def _query(client: QdrantClient, body: Any, name: str) -> object:
    wanted = models.QueryRequest.model_validate(body)
    limit = 10 if wanted.limit is None else wanted.limit
    return client.query_points(name, wanted.query, using=wanted.using, query_filter=wanted.filter, limit=limit)


_COLLECTION: Final = "/collections/([^/]+)"
_ROUTES: Final[list[tuple[str, re.Pattern[str], _Reply]]] = [
    (method, re.compile(_COLLECTION + path), reply)
    for method, path, reply in (
        ("GET", "/exists", _exists),
        ("GET", "", _info),
        ("PUT", "", _create),
        ("DELETE", "", _delete),
        ("PUT", "/index", _index),
        ("PUT", "/vectors/([^/]+)", _create_vector),
        ("PUT", "/points", _upsert),
        ("POST", "/points", _retrieve),
        ("POST", "/points/payload", _set_payload),
        ("POST", "/points/scroll", _scroll),
        ("POST", "/points/query", _query),
    )
]
