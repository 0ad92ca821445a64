"""What is reachable, what is missing, and what to do about it; and setting up what can be set up."""

import asyncio

import httpx2
from pydantic import BaseModel, ConfigDict
from temporalio.client import Client
from temporalio.service import RPCError

from crm import hubspot
from runtime.connection import Endpoints, ServerUnreachableError, connect, find_endpoints, running_local_stack
from runtime.process import UserError
from runtime.search_attributes import missing_search_attributes, register_search_attributes
from runtime.worker_versions import current_build, has_workers
from search import SEARCH_SETTINGS
from settings import Settings
from store.database import DatabaseUnreachableError
from store.migrate import apply_migrations, pending_migrations

_TIMEOUT_S = 5.0
_OF_STACK = "the local stack was started with one of its own, which is not checked here"


class Finding(BaseModel):
    """One part: whether it is as it must be, and what to do if not."""

    model_config = ConfigDict(frozen=True)

    part: str
    ok: bool
    detail: str


async def set_up(settings: Settings) -> dict[str, list[str]]:
    """Apply migrations and register search attributes; returns what was done now.

    Raises:
        UserError: a server does not answer.
    """
    endpoints = find_endpoints(settings)
    try:
        migrations = await asyncio.to_thread(apply_migrations, endpoints.database())
    except DatabaseUnreachableError as error:
        raise UserError(str(error)) from error
    client = await connect(endpoints.temporal_address)
    return {"migrations": migrations, "search_attributes": await register_search_attributes(client)}


async def examine(settings: Settings) -> list[Finding]:
    """Look at every part once. Which model and search the workers of a running local stack use, its record says; all else is
    looked at with the settings of this process, which need not be those that the workers were started with."""
    endpoints, stack = find_endpoints(settings), running_local_stack(settings)
    uses_demo_model = stack is not None and stack.openai_base_url is not None
    uses_demo_web = stack is not None and stack.searxng_url is not None
    return [
        _whose_settings(has_stack=stack is not None),
        await _database(endpoints),
        *await _temporal(endpoints),
        _demo_model(settings) if uses_demo_model else await _model(settings, has_stack=stack is not None),
        _demo_web(settings) if uses_demo_web else await _search(settings, has_stack=stack is not None),
        await _crm(settings),
        *await _mcp_servers(settings),
        Finding(
            part="mail",
            ok=True,
            detail="SMTP_URL is set" if settings.smtp_url else "SMTP_URL is not set: nobody is told by mail",
        ),
    ]


def _whose_settings(*, has_stack: bool) -> Finding:
    detail = "those of this terminal (its environment and .env) are checked; workers keep those they were started with"
    if has_stack:
        detail += ": what you change here, the local stack takes up at its next start"
    return Finding(part="settings", ok=True, detail=detail)


def _demo_model(settings: Settings) -> Finding:
    own = settings.openai_api_key is not None or settings.openai_base_url is not None
    return Finding(part="model", ok=True, detail="the local stack's workers use its demo model" + _not_yet(own=own))


def _demo_web(settings: Settings) -> Finding:
    own = settings.chosen_search is not None
    return Finding(part="web search", ok=True, detail="the local stack's workers use its demo web" + _not_yet(own=own))


def _not_yet(*, own: bool) -> str:
    return "; the one set in this terminal counts after a new start of the stack" if own else ""


async def _database(endpoints: Endpoints) -> Finding:
    try:
        pending = await asyncio.to_thread(pending_migrations, endpoints.database())
    except (UserError, DatabaseUnreachableError) as error:
        return Finding(part="database", ok=False, detail=str(error))
    if pending:
        return Finding(part="database", ok=False, detail=f"lacks {', '.join(pending)}: run `python starter.py setup`")
    return Finding(part="database", ok=True, detail="answers, schema up to date")


async def _temporal(endpoints: Endpoints) -> list[Finding]:
    try:
        client = await connect(endpoints.temporal_address)
    except ServerUnreachableError as error:
        return [Finding(part="temporal", ok=False, detail=str(error))]
    return [
        Finding(part="temporal", ok=True, detail=f"answers, namespace {client.namespace}"),
        await _attributes(client),
        await _workers(client),
    ]


async def _attributes(client: Client) -> Finding:
    try:
        missing = await missing_search_attributes(client)
    except RPCError as error:
        return Finding(part="search attributes", ok=False, detail=f"cannot be read: {error.message}")
    if missing:
        detail = f"{', '.join(missing)} missing: run `python starter.py setup`"
        return Finding(part="search attributes", ok=False, detail=detail)
    return Finding(part="search attributes", ok=True, detail="registered")


async def _workers(client: Client) -> Finding:
    if await has_workers(client):
        return Finding(part="workers", ok=True, detail="poll both task queues")
    build = await current_build(client)
    if build is not None:
        detail = f"none of build {build} polls, which gets all work: start one, or promote another (docs/upgrades.md)"
        return Finding(part="workers", ok=False, detail=detail)
    return Finding(part="workers", ok=False, detail="none polls: start one with `python worker.py`")


async def _model(settings: Settings, *, has_stack: bool) -> Finding:
    if settings.openai_api_key is None and settings.openai_base_url is None:
        if has_stack:
            return Finding(part="model", ok=True, detail=f"none is set in this terminal; {_OF_STACK}")
        return Finding(part="model", ok=False, detail="set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own")
    if settings.openai_base_url is None:
        return Finding(part="model", ok=True, detail=f"OpenAI, {settings.openai_model} (not called by this check)")
    answers = await _answers(f"{settings.openai_base_url.rstrip('/')}/models")
    detail = "answers" if answers else "does not answer: check OPENAI_BASE_URL"
    return Finding(part="model", ok=answers, detail=f"OPENAI_BASE_URL {detail}")


async def _search(settings: Settings, *, has_stack: bool) -> Finding:
    match settings.chosen_search:
        case None if has_stack:
            return Finding(part="web search", ok=True, detail=f"none is set in this terminal; {_OF_STACK}")
        case None:
            return Finding(part="web search", ok=False, detail=f"set {SEARCH_SETTINGS}")
        case "searxng":
            answers = await _answers(settings.searxng_url or "")
            detail = "answers" if answers else "does not answer: check SEARXNG_URL"
            return Finding(part="web search", ok=answers, detail=f"SEARXNG_URL {detail}")
        case "openai":
            detail = f"OpenAI's hosted search, {settings.openai_model} (not called by this check); a run's cost limit"
            return Finding(part="web search", ok=True, detail=f"{detail} does not count it (docs/search.md)")
        case name:
            detail = f"{name}, its key is set (not called by this check: a search costs a credit)"
            return Finding(part="web search", ok=True, detail=detail)


async def _mcp_servers(settings: Settings) -> list[Finding]:
    if settings.mcp_config is None:
        return []
    # Here, for the protocol's library takes more than a second to import.
    from runtime.mcp_servers import answering_servers

    return [
        Finding(part=f"mcp {name}".strip(), ok=ok, detail=detail)
        for name, ok, detail in await answering_servers(settings, settings.mcp_config)
    ]


async def _crm(settings: Settings) -> Finding:
    async with hubspot.http_client() as http:
        crm = hubspot.hubspot_client(settings, http)
        if crm is None:
            return Finding(part="CRM", ok=True, detail="HUBSPOT_TOKEN is not set: only imported lists are asked")
        try:
            await crm.look_up(["pm-pipeline.example"])  # nobody's domain: the answer is empty, but it is one
        except (hubspot.HubSpotUnavailableError, hubspot.HubSpotAccessDeniedError) as error:
            return Finding(part="CRM", ok=False, detail=str(error))
    return Finding(part="CRM", ok=True, detail="HubSpot answers")


async def _answers(url: str) -> bool:
    try:
        async with httpx2.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as http:
            response = await http.get(url)
    except (httpx2.TransportError, httpx2.InvalidURL):
        return False
    return response.status_code < httpx2.codes.INTERNAL_SERVER_ERROR
