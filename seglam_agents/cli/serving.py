"""`seglam serve` and `seglam mcp`: the surfaces of one process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
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

if TYPE_CHECKING:
    from seglam_agents.surfaces import Surface
    from seglam_agents.surfaces.mcp.offered import Offering

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
    str, typer.Option("--with", metavar="NAMES", help="Other surfaces of the same process, with commas.")
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
        wanted = Wanted(caches, tenant, upstream, tools)
        served(("serve", *_named(others)), wanted, host, port, token, allow_host, as_json=as_json)


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
            served(("mcp", *_named(others)), wanted, host, port, token, allow_host, as_json=as_json)
        else:
            _over_stdio(wanted)


def served(
    names: tuple[str, ...],
    wanted: Wanted,
    host: str,
    port: int,
    token: str | None,
    allow_host: str,
    *,
    as_json: bool,
) -> None:
    """Serve surfaces until Ctrl-C."""
    from seglam_agents.surfaces import Frame, Server

    surfaces = [_made(name, wanted) for name in dict.fromkeys(names)]
    hosts = [name.strip() for name in allow_host.split(",") if name.strip()]
    server = Server(Frame(surfaces, token=token, hosts=hosts), host, port)
    places = {surface.name: f"{server.url}{PLACES[surface.name]}" for surface in surfaces}
    if as_json:
        print_json({"serving": places})
    else:
        for name, url in places.items():
            typer.echo(f"{name}: {url}")
        typer.echo("Ctrl-C ends it.")
    server.run()


def _proxy(wanted: Wanted) -> Surface:
    from seglam_agents.surfaces.proxy.app import proxy
    from seglam_agents.surfaces.proxy.tenants import by_key, one

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
    )


def _offering(wanted: Wanted) -> Offering:
    from seglam_agents.surfaces.mcp.offered import Offering

    return Offering(wanted.caches.open(wanted.tenant or "default"), only=_named(wanted.only), most=wanted.most)


def _mcp(wanted: Wanted) -> Surface:
    from seglam_agents.surfaces.mcp.server import mcp_surface

    return mcp_surface(_offering(wanted))


def _over_stdio(wanted: Wanted) -> None:
    from seglam_agents.surfaces.mcp.server import serve_stdio

    asyncio.run(serve_stdio(_offering(wanted)))


MAKERS: dict[str, Callable[[Wanted], Surface]] = {"serve": _proxy, "mcp": _mcp}
PLACES = {"serve": "/v1", "mcp": "/mcp"}


def _made(name: str, wanted: Wanted) -> Surface:
    if name not in MAKERS:
        raise CommandError(f"--with {name!r} is no surface: name {', '.join(MAKERS)}")
    try:
        return MAKERS[name](wanted)
    except ValueError as error:
        raise CommandError(str(error)) from None


def _named(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
