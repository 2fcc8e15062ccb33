"""The options that commands share, as annotated types."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

DEFAULT_STORE = "./seglam"
DEFAULT_SANDBOX = "monty"

Store: TypeAlias = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="SEGLAM_STORE",
        metavar="PATH|URL",
        help="Where the procedures are: a folder, or the URL of a Qdrant server.",
    ),
]
Tenant: TypeAlias = Annotated[str, typer.Option("--tenant", metavar="NAME", help="Whose procedures to use.")]
Agent: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--agent", metavar="NAME", help="The agent's name, as its cache is opened with; without it, all agents."
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
ModelName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--model",
        envvar="SEGLAM_MODEL",
        metavar="MODEL",
        help="The chat model: 'provider:model' such as 'openai:gpt-5-mini', or the URL of an OpenAI-compatible server "
        "with an optional '#model'. The key comes from OPENAI_API_KEY.",
    ),
]
SandboxNames: TypeAlias = Annotated[
    str,
    typer.Option(
        "--sandbox",
        envvar="SEGLAM_SANDBOX",
        metavar="NAMES",
        help="What bodies run in: monty, process or e2b; several with commas, the default first, such as "
        "monty,process. E2B's key comes from E2B_API_KEY.",
    ),
]
Packages: TypeAlias = Annotated[
    str,
    typer.Option(
        "--packages",
        metavar="NAMES",
        help="Third-party packages that bodies may import in process and e2b, with commas, such as numpy,pandas.",
    ),
]
RequestText: TypeAlias = Annotated[str, typer.Argument(metavar="REQUEST", help="The request, as one quoted text.")]
Context: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--context", metavar="JSON", help="A JSON object with what belongs to the request but is not in its text."
    ),
]
