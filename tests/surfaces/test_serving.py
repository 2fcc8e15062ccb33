"""`seglam serve` and its kin, as a person starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from typer.testing import CliRunner

from seglam_agents.cli.main import app
from seglam_agents.surfaces import Frame, Surface, beside
from seglam_agents.surfaces.web import Request, Response, Route
from seglam_agents.testing.host_contract import Says, Wants
from tests.surfaces.support import Model
from tests.surfaces.test_proxy import TOOLS, answered, messages

REPOSITORY = Path(__file__).parents[2]


@contextmanager
def command(*arguments: str, log: list[str] | None = None) -> Iterator[dict[str, str]]:
    """Start a command that serves, yield the places it prints, end it as Ctrl-C does, and keep its log."""
    child = subprocess.Popen(
        [sys.executable, "-m", "seglam_agents.cli.main", *arguments, "--json", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])},
    )
    assert child.stdout is not None
    try:
        lines = list[str]()
        while not lines or lines[-1] not in ("}\n", ""):
            lines.append(child.stdout.readline())
        yield json.loads("".join(lines))["serving"]
    finally:
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=60)
    if log is not None:
        log += told.splitlines()
    assert (child.returncode, [line for line in told.splitlines() if "Traceback" in line]) == (0, [])


@contextmanager
def upstream(model: Model) -> Iterator[str]:
    """Serve a scripted model."""
    with beside(Frame([Surface("model", model.app.routes)])) as url:
        yield f"{url}/api/v1"


def ask(client: openai.OpenAI, item: str, count: str) -> tuple[str, str]:
    """Run an agent with one tool to its end; return what it says, and who said it."""
    said: list[Any] = []
    while True:
        raw = client.chat.completions.with_raw_response.create(
            model="m", messages=messages(f"How many {item} do we have?", *said), tools=TOOLS
        )
        message = raw.parse().choices[0].message
        if not message.tool_calls:
            return message.content or "", raw.headers["x-seglam"]
        said += [message.to_dict(), *(answered(call.id, count) for call in message.tool_calls)]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_from_nothing_to_a_hit_and_past_a_restart(tmp_path: Path) -> None:
    """What one process learnt from a client with a key, the next one says to the same key, and to no other."""
    tools = tmp_path / "tools.json"
    tools.write_text(
        json.dumps([{"name": "count_stock", "parameters": TOOLS[0]["function"]["parameters"], "effect": "read"}])
    )
    model = Model()
    with upstream(model) as url:
        arguments = ("serve", "--upstream", url, "--store", str(tmp_path / "store"), "--tools", str(tools))
        with command(*arguments) as places:
            client = openai.OpenAI(base_url=places["serve"], api_key="sk-1", max_retries=0)
            for item, count in (("bolts", "120"), ("washers", "75"), ("nails", "900")):
                model.before = model.asked
                model.moves = (Wants((("count_stock", {"item": item}),)), Says(f"We have {count} {item}."))
                assert ask(client, item, count) == (f"We have {count} {item}.", "miss")
        asked = model.asked
        with command(*arguments) as places:
            client = openai.OpenAI(base_url=places["serve"], api_key="sk-1", max_retries=0)
            assert (*ask(client, "rivets", "310"), model.asked) == ("We have 310 rivets.", "hit", asked)
            other = openai.OpenAI(base_url=places["serve"], api_key="sk-2", max_retries=0)
            assert ask(other, "rivets", "310")[1] == "miss"
            assert httpx.get(places["serve"] + "/models", headers={"host": "evil.example"}).status_code == 421


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--host", "0.0.0.0"], "give a token"),
        (["--upstream", "nowhere"], "must be an address"),
        (["--with", "nothing"], "no surface"),
        (["--log", "xml"], "text and json"),
        (["--price", "1"], "no pair"),
        (["--price", "a,b"], "no pair"),
        (["--token", ""], "the token is empty"),
        (["--tools", "/there/is/none.json"], "none.json"),
    ],
)
def test_what_cannot_be_served_says_the_next_step(arguments: list[str], told: str, tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["serve", "--store", str(tmp_path / "store"), "--port", "0", *arguments])
    assert ended.exit_code == 1 and told in ended.stderr and len(ended.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
async def test_one_process_serves_several_behind_one_token(tmp_path: Path) -> None:
    """Each client brings the token in its own way; without it nobody is heard."""
    model = Model()
    with upstream(model) as url:
        arguments = ("serve", "--upstream", url, "--store", str(tmp_path / "store"), "--with", "mcp", "--token", "t0p")
        with command(*arguments) as places:
            headers = {"x-seglam-token": "t0p"}
            async with openai.AsyncOpenAI(base_url=places["serve"], api_key="sk-1", default_headers=headers) as client:
                said = await client.chat.completions.create(model="m", messages=messages("hi"))
            assert said.choices[0].message.content == "by model"
            async with (
                httpx2.AsyncClient(headers={"authorization": "Bearer t0p"}) as http,
                Client(streamable_http_client(places["mcp"], http_client=http)) as tools,
            ):
                assert [tool.name for tool in (await tools.list_tools()).tools] == ["ask", "why"]
            async with httpx.AsyncClient() as nobody:
                assert [(await nobody.get(place)).status_code for place in places.values()] == [401, 401]
    assert model.headers[0]["authorization"] == "Bearer sk-1" and "x-seglam-token" not in model.headers[0]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_what_a_process_tells_goes_to_prometheus_a_collector_and_the_log(tmp_path: Path) -> None:
    """The rest of it at the end, and no log line that is not JSON."""
    sent: dict[str, bytes] = {}

    async def collect(request: Request) -> Response:
        sent[request.url.path] = await request.body()
        return Response(b"", media_type="application/x-protobuf")

    collector = Frame([Surface("collector", [Route("/v1/{kind}", collect, methods=["POST"])])])
    log: list[str] = []
    with upstream(Model()) as url, beside(collector) as collecting:
        arguments = ("serve", "--upstream", url, "--store", str(tmp_path / "store"), "--with", "metrics")
        with command(*arguments, "--otlp", collecting, "--log", "json", "--price", "2.5,10", log=log) as places:
            client = openai.OpenAI(base_url=places["serve"], api_key="sk-secret", max_retries=0)
            client.chat.completions.create(model="m", messages=messages("hi"))
            assert 'seglam_requests_total{seglam_outcome="miss"' in httpx.get(places["metrics"]).text
    assert b"invoke_workflow seglam" in sent["/v1/traces"] and b"seglam.requests" in sent["/v1/metrics"]
    assert b"sk-secret" not in b"".join(sent.values())
    lines = [json.loads(line) for line in log]
    assert [line["outcome"] for line in lines if "outcome" in line] == ["miss"] and lines[0]["trace_id"]
