"""`QdrantShim`: enough of Qdrant's REST API on a loopback port to test several clients without a server.

It answers what `QdrantStore` asks, out of a client in local mode, one request at a time. The remote client that talks
to it is the real one, so encoding, paging and races between processes are tested; performance and replication are not.
What can go wrong with a server is asked for: refused requests, lost replies, late reads, snapshots that are restored.

```python
with QdrantShim() as shim:
    store = QdrantStore(url=shim.url)
```
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self, TypeAlias
from urllib.parse import unquote, urlsplit

from pydantic_core import to_jsonable_python
from qdrant_client import QdrantClient, models


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with the next requests that match."""

    method: str = "PUT"
    path: str = ".*"
    """A regular expression that the whole path must match."""
    status: int | None = None
    """What is answered; None closes the connection without a word."""
    carried_out: bool = False
    """True where the request is carried out all the same."""
    skip: int = 0
    """How many that match go well first."""
    times: int = 1


class QdrantShim:
    """A stand-in for a Qdrant server, which forgets everything when it is closed.

    Args:
        version: the version that it says it is; it refuses what that version could not do.
        largest: bytes that a request may have.
        replicas: the replication factor that it says its collections have.
    """

    def __init__(self, version: str = "1.19.0", *, largest: int = 32 * 2**20, replicas: int = 1) -> None:
        self._version = version
        self._largest = largest
        self._replicas = replicas
        self._faults: list[Fault] = []
        self._late: dict[str, int] = {}
        self._hooks: dict[str, Callable[[], None]] = {}
        self._before: dict[tuple[str, str], models.Record | None] = {}
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

    def inject(self, fault: Fault) -> None:
        """Let the next requests that match go wrong."""
        with self._lock:
            self._faults.append(fault)

    def calm(self) -> None:
        """Let everything go well from now on."""
        with self._lock:
            self._faults.clear()

    def on_write(self, collection: str, hook: Callable[[], None]) -> None:
        """Call a function once, after the next write into a collection."""
        with self._lock:
            self._hooks[collection] = hook

    def read_late(self, collection: str, times: int = 1) -> None:
        """Let the next reads of points by id in a collection see each point as it was before it was last written."""
        with self._lock:
            self._late[collection] = times

    def save(self, collection: str) -> list[models.Record]:
        """Return a snapshot of a collection."""
        with self._lock:
            return self._client.scroll(collection, limit=1_000_000, with_payload=True, with_vectors=True)[0]

    def restore(self, collection: str, snapshot: Sequence[models.Record]) -> None:
        """Bring a collection back to what it was when a snapshot was taken."""
        points = [
            models.PointStruct(id=record.id, payload=record.payload, vector=record.vector or {})  # pyright: ignore[reportArgumentType]
            for record in snapshot
        ]
        with self._lock:
            self._client.delete(collection, models.FilterSelector(filter=models.Filter()))
            if points:
                self._client.upsert(collection, points)

    def close(self) -> None:
        """Stop answering and forget everything. Safe to call twice."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with self._lock:
            self._client.close()

    def answer(self, method: str, path: str, content: bytes) -> tuple[int, object] | None:
        """Return the status and the JSON document that answer a request; None for a reply that is lost."""
        fault = self._fault(method, path)
        if fault is not None and not fault.carried_out:
            return _failed(fault.status, "this was asked for") if fault.status else None
        if len(content) > self._largest:
            return _failed(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"JSON payload is larger than {self._largest} bytes")
        answered = self._carried_out(method, path, json.loads(content) if content else None)
        if fault is None:
            return answered
        return _failed(fault.status, "this was asked for") if fault.status else None

    def _fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for number, fault in enumerate(self._faults):
                if fault.method == method and re.fullmatch(fault.path, path):
                    if fault.skip:
                        self._faults[number] = replace(fault, skip=fault.skip - 1)
                        return None
                    self._faults[number] = replace(fault, times=fault.times - 1)
                    self._faults = [one for one in self._faults if one.times]
                    return fault
        return None

    def _carried_out(self, method: str, path: str, body: Any) -> tuple[int, object]:
        if (method, path) == ("GET", "/"):
            return HTTPStatus.OK, {"title": "qdrant shim", "version": self._version}
        for wanted, pattern, since, reply in _ROUTES:
            match = pattern.fullmatch(path)
            if match and wanted == method and since <= _parts(self._version):
                return self._reply(reply, [unquote(part) for part in match.groups()], body)
        return _failed(HTTPStatus.NOT_FOUND, f"Qdrant {self._version} does not know {method} {path}")

    def _reply(self, reply: _Reply, names: list[str], body: Any) -> tuple[int, object]:
        try:
            with self._lock:
                if not self._client.collection_exists(names[0]) and reply not in (_exists, _create):
                    return _failed(HTTPStatus.NOT_FOUND, f"Not found: Collection `{names[0]}` doesn't exist!")
                if reply is _upsert:
                    self._remember(names[0], body)
                result = reply(self._client, body, *names)
                if reply is _retrieve:
                    result = self._perhaps_late(names[0], body, result)
                if isinstance(result, models.CollectionInfo):
                    result.config.params.replication_factor = self._replicas
        except Exception as error:
            return _failed(HTTPStatus.BAD_REQUEST, str(error))
        if reply is _upsert and (hook := self._hooks.pop(names[0], None)):
            hook()
        return HTTPStatus.OK, {"result": to_jsonable_python(result), "status": "ok", "time": 0.0}

    def _remember(self, collection: str, body: Any) -> None:
        for point in body["points"]:
            found = self._client.retrieve(collection, [point["id"]], with_payload=True, with_vectors=True)
            self._before[collection, str(point["id"])] = found[0] if found else None

    def _perhaps_late(self, collection: str, body: Any, now: list[models.Record]) -> list[models.Record]:
        if not self._late.get(collection):
            return now
        self._late[collection] -= 1
        current = {str(record.id): record for record in now}
        states = [self._before.get((collection, str(one)), current.get(str(one))) for one in body["ids"]]
        return [record for record in states if record is not None]


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
        answered = self.server.shim.answer(self.command, urlsplit(self.path).path, body)
        if answered is None:
            self.close_connection = True
            return
        status, document = answered
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


_Reply: TypeAlias = Callable[..., Any]


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _failed(status: int, problem: str) -> tuple[int, object]:
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
    limit = wanted.limit or 10
    points, following = client.scroll(name, wanted.filter, limit, wanted.order_by, wanted.offset)
    return {"points": points, "next_page_offset": following}


def _query(client: QdrantClient, body: Any, name: str) -> object:
    wanted = models.QueryRequest.model_validate(body)
    limit = 10 if wanted.limit is None else wanted.limit
    return client.query_points(name, wanted.query, using=wanted.using, query_filter=wanted.filter, limit=limit)


_COLLECTION: Final = "/collections/([^/]+)"
_ROUTES: Final[list[tuple[str, re.Pattern[str], tuple[int, ...], _Reply]]] = [
    (method, re.compile(_COLLECTION + path), since, reply)
    for method, path, since, reply in (
        ("GET", "/exists", (1, 8), _exists),
        ("GET", "", (1, 0), _info),
        ("PUT", "", (1, 0), _create),
        ("DELETE", "", (1, 0), _delete),
        ("PUT", "/index", (1, 0), _index),
        ("PUT", "/vectors/([^/]+)", (1, 18), _create_vector),
        ("PUT", "/points", (1, 0), _upsert),
        ("POST", "/points", (1, 0), _retrieve),
        ("POST", "/points/payload", (1, 0), _set_payload),
        ("POST", "/points/scroll", (1, 0), _scroll),
        ("POST", "/points/query", (1, 10), _query),
    )
]
