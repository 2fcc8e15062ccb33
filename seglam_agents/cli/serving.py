"""`seglam serve` and `seglam mcp`: the surfaces of one process."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seglam_agents.cli.caches import Caches, opened_caches
from seglam_agents.cli.errors import CommandError, reported
from seglam_agents.cli.opening import named_model, named_sandbox
from seglam_agents.cli.options import (
    DEFAULT_SANDBOX,
    DEFAULT_STORE,
    AsJson,
    ModelName,
    Packages,
    SandboxNames,
    Store,
    Tenant,
)
from seglam_agents.cli.output import print_json
from seglam_agents.harvest.tools import read_tools
from seglam_agents.hosting import Price

if TYPE_CHECKING:
    from seglam_agents.surfaces import Surface
    from seglam_agents.surfaces.mcp.offered import Offering
    from seglam_agents.surfaces.telemetry.otel import Telemetry

Address = Annotated[
    str, typer.Option("--host", metavar="ADDRESS", help="Where to listen; beyond this machine only with a token.")
]
Port = Annotated[int, typer.Option("--port", metavar="NUMBER", help="The port; 0 for any that is free.")]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="SEGLAM_TOKEN",
        metavar="TEXT",
        help="What every request has to bring, in x-seglam-token or as a bearer token.",
    ),
]
Names = Annotated[
    str, typer.Option("--allow-host", metavar="NAMES", help="The names under which it is asked, with commas.")
]
Others = Annotated[
    str,
    typer.Option(
        "--with", metavar="NAMES", help="Other surfaces of the same process, with commas: serve, mcp, metrics."
    ),
]
Upstream = Annotated[
    str,
    typer.Option(
        "--upstream",
        envvar="SEGLAM_UPSTREAM",
        metavar="URL",
        help="The OpenAI-compatible server behind it. The keys are the clients' own.",
    ),
]
TenantName = Annotated[
    str | None,
    typer.Option(
        "--tenant", metavar="NAME", help="One tenant for everybody who may ask; without it, one for every key."
    ),
]
Effects = Annotated[
    Path | None,
    typer.Option(
        "--tools",
        metavar="FILE",
        help="The effects of the agents' tools as JSON: our Tool documents or MCP tools. Those not in it are taken to "
        "write.",
    ),
]


PriceText = Annotated[
    str,
    typer.Option("--price", metavar="IN,OUT", help="What a million tokens of the model cost, in and out, in dollars."),
]
Otlp = Annotated[
    str,
    typer.Option(
        "--otlp",
        metavar="URL",
        help="The collector that gets traces and metrics over OTLP and HTTP, such as http://localhost:4318.",
    ),
]
Log = Annotated[
    str, typer.Option("--log", metavar="text|json", help="What the log is written as. Lines of JSON quote no request.")
]
Http = Annotated[bool, typer.Option("--http", help="Over streamable HTTP, instead of standard input and output.")]
Only = Annotated[
    str, typer.Option("--only", metavar="PATTERNS", help="Names of procedures to offer, with commas, such as split_*.")
]
Most = Annotated[
    int, typer.Option("--most", metavar="NUMBER", help="How many procedures are offered, most used first.")
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options of a command say, for whichever surface is made."""

    caches: Caches
    tenant: str | None
    upstream: str = ""
    tools: Path | None = None
    only: str = ""
    most: int = 32
    price: Price | None = None
    telemetry: Telemetry | None = None
    metrics: Surface | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """How surfaces are served."""

    host: str
    port: int
    token: str | None
    hosts: str
    otlp: str
    log: str
    as_json: bool


@reported
def serve(
    upstream: Upstream = "https://api.openai.com/v1",
    host: Address = "127.0.0.1",
    port: Port = 8100,
    token: Token = None,
    allow_host: Names = "",
    others: Others = "",
    tenant: TenantName = None,
    tools: Effects = None,
    price: PriceText = "",
    otlp: Otlp = "",
    log: Log = "text",
    model: ModelName = None,
    sandbox: SandboxNames = DEFAULT_SANDBOX,
    packages: Packages = "",
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Serve a proxy that speaks OpenAI's protocol: code answers known requests, the server behind it all others.

    Point the base URL of any client at it. What the server's model then does is learnt from; `--model` names one that
    compiles what runs alone do not teach.
    """
    with opened_caches(store, named_sandbox(sandbox, packages), named_model(model)) as caches:
        wanted = Wanted(caches, tenant, upstream, tools, price=_price(price))
        served(("serve", *_named(others)), wanted, Served(host, port, token, allow_host, otlp, log, as_json))


@reported
def mcp(
    http: Http = False,
    only: Only = "",
    most: Most = 32,
    host: Address = "127.0.0.1",
    port: Port = 8100,
    token: Token = None,
    allow_host: Names = "",
    others: Others = "",
    tenant: Tenant = "default",
    otlp: Otlp = "",
    log: Log = "text",
    model: ModelName = None,
    sandbox: SandboxNames = DEFAULT_SANDBOX,
    packages: Packages = "",
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Offer procedures as tools over MCP, with `ask` and `why`: over standard input and output, or over HTTP.

    Only procedures that call no tools are offered: this process has none. An agent's own process can offer the others.
    """
    with opened_caches(store, named_sandbox(sandbox, packages), named_model(model)) as caches:
        wanted = Wanted(caches, tenant, only=only, most=most)
        if http or others:
            served(("mcp", *_named(others)), wanted, Served(host, port, token, allow_host, otlp, log, as_json))
        else:
            _over_stdio(wanted)


def served(names: tuple[str, ...], wanted: Wanted, how: Served) -> None:
    """Serve surfaces until Ctrl-C."""
    if unknown := [name for name in names if name not in MAKERS]:
        raise CommandError(f"--with {unknown[0]!r} is no surface: name {', '.join(MAKERS)}")
    if how.log not in ("text", "json"):
        raise CommandError(f"--log {how.log!r} is none of text and json")
    from seglam_agents.surfaces import Frame, Server

    with ExitStack() as stack:
        if "metrics" in names or how.otlp:
            from seglam_agents.surfaces.telemetry.otel import telemetry

            telling, metrics = stack.enter_context(telemetry(how.otlp))
            wanted = replace(wanted, telemetry=telling, metrics=metrics)
        if how.log == "json":
            _log_lines(traced=wanted.telemetry is not None)
        surfaces = [_made(name, wanted) for name in dict.fromkeys(names)]
        server = Server(Frame(surfaces, token=how.token, hosts=_named(how.hosts)), how.host, how.port)
        _say({surface.name: f"{server.url}{PLACES[surface.name]}" for surface in surfaces}, as_json=how.as_json)
        server.run()


def _say(places: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        print_json({"serving": places})
        return
    for name, url in places.items():
        typer.echo(f"{name}: {url}")
    typer.echo("Ctrl-C ends it.")


def _log_lines(*, traced: bool) -> None:
    from seglam_agents.surfaces.telemetry.logs import JsonLines

    ids: Callable[[], Mapping[str, str]] = dict
    if traced:
        from seglam_agents.surfaces.telemetry.otel import current_ids as ids
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(ids))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("seglam_agents").setLevel(logging.INFO)


def _price(text: str) -> Price | None:
    if not text:
        return None
    try:
        given = [float(part) for part in text.split(",")]
        return Price(given[0], given[1]) if len(given) == 2 and min(given) >= 0 else _no_price(text)
    except ValueError:
        return _no_price(text)


def _no_price(text: str) -> Price:
    raise CommandError(f"--price {text!r} is no pair of prices: give those of a million tokens, in and out, as 2.5,10")


def _proxy(wanted: Wanted) -> Surface:
    from seglam_agents.surfaces.proxy.app import proxy
    from seglam_agents.surfaces.proxy.tenants import by_key, one

    if not wanted.upstream:
        raise CommandError("a proxy needs a server behind it: use `seglam serve --upstream URL --with mcp`")
    said = os.environ.get("SEGLAM_TENANT_SECRET")
    if wanted.tenant is not None:
        tenants = one(wanted.tenant)
    else:
        tenants = by_key(said.encode() if said else wanted.caches.secret())
    known = read_tools(wanted.tools) if wanted.tools else ()
    return proxy(
        lambda caller: wanted.caches.open(caller.tenant, caller.agent, caller.tools),
        wanted.upstream,
        tenants,
        known=known,
        price=wanted.price,
        watch=wanted.telemetry,
    )


def _offering(wanted: Wanted) -> Offering:
    from seglam_agents.surfaces.mcp.offered import Offering

    cache = wanted.caches.open(wanted.tenant or "default")
    if wanted.telemetry is not None:
        wanted.telemetry.beside(cache, "mcp")
    return Offering(cache, only=_named(wanted.only), most=wanted.most)


def _mcp(wanted: Wanted) -> Surface:
    from seglam_agents.surfaces.mcp.server import mcp_surface

    return mcp_surface(_offering(wanted))


def _metrics(wanted: Wanted) -> Surface:
    assert wanted.metrics is not None  # noqa: S101  # opened with the telemetry
    return wanted.metrics


def _over_stdio(wanted: Wanted) -> None:
    from seglam_agents.surfaces.mcp.server import serve_stdio

    asyncio.run(serve_stdio(_offering(wanted)))


MAKERS: dict[str, Callable[[Wanted], Surface]] = {"serve": _proxy, "mcp": _mcp, "metrics": _metrics}
PLACES = {"serve": "/v1", "mcp": "/mcp", "metrics": "/metrics"}


def _made(name: str, wanted: Wanted) -> Surface:
    try:
        return MAKERS[name](wanted)
    except ValueError as error:
        raise CommandError(str(error)) from None


def _named(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
