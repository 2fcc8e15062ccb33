"""`seglam ask` and `seglam why`: one request."""

from __future__ import annotations

from typing import Annotated

import typer

from seglam_agents.cli.errors import reported
from seglam_agents.cli.opening import checked_location, context_from, named_model, named_sandbox, open_cache
from seglam_agents.cli.options import (
    DEFAULT_SANDBOX,
    DEFAULT_STORE,
    AsJson,
    Context,
    ModelName,
    Packages,
    RequestText,
    SandboxNames,
    Store,
    Tenant,
)
from seglam_agents.cli.outcomes import explanation_view, outcome_document, outcome_view
from seglam_agents.cli.output import console, print_json

NoModel = Annotated[bool, typer.Option("--no-model", help="Only look the answer up; ask no model.")]


@reported
def ask(
    request: RequestText,
    context: Context = None,
    no_model: NoModel = False,
    model: ModelName = None,
    sandbox: SandboxNames = DEFAULT_SANDBOX,
    packages: Packages = "",
    store: Store = DEFAULT_STORE,
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Answer a request: by a stored procedure, or else by the model, which then writes one."""
    given = context_from(context)
    chat = None if no_model else named_model(model)
    home = named_sandbox(sandbox, packages)
    with open_cache(store, tenant, chat, sandbox=home) as cache:
        outcome = cache.answer(request, context=given) if chat else cache.lookup(request, context=given)
    if as_json:
        print_json(outcome_document(outcome))
    else:
        console().print(outcome_view(outcome, asked_model=chat is not None))


@reported
def why(
    request: RequestText,
    context: Context = None,
    sandbox: SandboxNames = DEFAULT_SANDBOX,
    packages: Packages = "",
    store: Store = DEFAULT_STORE,
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Say which guards of all agents accept a request, what they bind, and where the others stopped."""
    given = context_from(context)
    with open_cache(checked_location(store), tenant, sandbox=named_sandbox(sandbox, packages)) as cache:
        explanation = cache.explain(request, context=given, agents=True)
    if as_json:
        print_json(explanation)
    else:
        console().print(explanation_view(explanation))
