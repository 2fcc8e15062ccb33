"""`seglam ask` and `seglam why`: one request."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, get_args

import typer

from seglam_agents.cache import ReasoningCache
from seglam_agents.cli.errors import CommandError, reported
from seglam_agents.cli.finding import MAX_NAMED, all_entries
from seglam_agents.cli.opening import (
    check_names,
    checked_location,
    context_from,
    named_model,
    named_sandbox,
    open_cache,
)
from seglam_agents.cli.options import (
    DEFAULT_SANDBOX,
    DEFAULT_STORE,
    Agent,
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
from seglam_agents.records.entry import Status
from seglam_agents.records.outcome import Explanation, Miss
from seglam_agents.records.procedure import Procedure
from seglam_agents.records.request import Request
from seglam_agents.serving.explaining import with_agents

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
    agent: Agent = None,
    as_json: AsJson = False,
) -> None:
    """Answer a request: by a stored procedure, or else by the model, which then writes one."""
    given = context_from(context)
    chat = None if no_model else named_model(model)
    home = named_sandbox(sandbox, packages)
    with open_cache(store, tenant, chat, sandbox=home, agent=agent) as cache:
        outcome = cache.answer(request, context=given) if chat else cache.lookup(request, context=given)
        if isinstance(outcome, Miss) and outcome.answer is None:
            outcome = _explained(outcome, cache, Request(text=request, context=given), agent)
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
    agent: Agent = None,
    as_json: AsJson = False,
) -> None:
    """Say which guards of all agents accept a request, what they bind, and where the others stopped."""
    given = context_from(context)
    check_names(tenant, agent)
    with open_cache(checked_location(store), tenant, sandbox=named_sandbox(sandbox, packages)) as cache:
        explanation = _explanation(cache, Request(text=request, context=given), agent)
    if as_json:
        print_json(explanation)
    else:
        console().print(explanation_view(explanation))


def _explanation(cache: ReasoningCache, request: Request, agent: str | None) -> Explanation:
    """Return what the guards of an agent, or of all agents of the tenant, say to a request."""
    if agent is None:
        return cache.explain(request, agents=True)
    own = replace(cache.explain(request), verdict="miss: no guard accepts", accepted=(), arguments={}, stops=())
    return with_agents(own, all_entries(cache.store, cache.scope.tenant, agent), request, cache.sandbox)


def _explained(miss: Miss, cache: ReasoningCache, request: Request, agent: str | None) -> Miss:
    """Return a miss that names what would have answered elsewhere, as `seglam why` does.

    Raises:
        CommandError: nothing was looked up, because the cache is broken.
    """
    if miss.kind == "broken":
        raise CommandError(miss.reason)
    with ReasoningCache(cache.store, tenant=cache.scope.tenant, sandbox=cache.sandbox, second_sandbox=None) as plain:
        found = _explanation(plain, request, agent)
    entries = {entry.procedure.key: entry.procedure for entry in all_entries(cache.store, cache.scope.tenant, agent)}
    others = [_elsewhere(entries[key], found.agents[key]) for key in found.accepted if key in found.agents]
    waiting = [f"{stop.procedure}: {stop.reason}" for stop in found.stops if stop.stage in STATUSES]
    return replace(miss, reason="; ".join([*others, *waiting][:MAX_NAMED])) if others or waiting else miss


def _elsewhere(procedure: Procedure, agent: str) -> str:
    if procedure.tools:
        return f"{procedure.key} accepts it for the agent {agent}: it calls tools, and `seglam ask` has none"
    return f"{procedure.key} accepts it for the agent {agent}: as that one it is asked with --agent {agent}"


STATUSES = frozenset(get_args(Status)) - {"active"}
