"""Check what works and what is missing, say how to fix it, and set up the servers."""

import asyncio

import httpx2
from pydantic import BaseModel, ConfigDict
from temporalio.client import Client
from temporalio.service import RPCError

from crm import hubspot
from runtime.connection import Endpoints, ServerUnreachableError, connect, find_endpoints, running_local_stack
from runtime.process import UserError
from runtime.search_attributes import missing_search_attributes, register_search_attributes
from runtime.worker_deployment import has_workers
from search.choice import SEARCH_SETTINGS
from settings import Settings
from store.database import DatabaseUnreachableError, DatabaseVersionError
from store.migrate import apply_migrations, pending_migrations

_TIMEOUT_S = 5.0
_STACK_HAS_ITS_OWN = "not set in this terminal; the local stack uses its own, which is not checked here"


class Finding(BaseModel):
    """One checked part, and what to do if it is not ok."""

    model_config = ConfigDict(frozen=True)

    part: str
    ok: bool
    detail: str


async def set_up(settings: Settings) -> dict[str, list[str]]:
    """Apply migrations and register search attributes. Returns those that were missing.

    Raises:
        UserError: a server does not answer, or another version made the database.
    """
    endpoints = find_endpoints(settings)
    try:
        migrations = await asyncio.to_thread(apply_migrations, endpoints.database())
    except (DatabaseUnreachableError, DatabaseVersionError) as error:
        raise UserError(str(error)) from error
    client = await connect(endpoints.temporal_address)
    return {"migrations": migrations, "search_attributes": await register_search_attributes(client)}


async def examine(settings: Settings) -> list[Finding]:
    """Check every part once.

    A running local stack records which model and search its workers use. All other checks use this process's settings, which
    may differ from those of the workers.
    """
    endpoints, stack = find_endpoints(settings), running_local_stack(settings)
    has_stack = stack is not None
    uses_demo_model = has_stack and stack.openai_base_url is not None
    uses_demo_web = has_stack and stack.searxng_url is not None
    has_own_model = settings.openai_api_key is not None or settings.openai_base_url is not None
    return [
        _settings_source(has_stack=has_stack),
        await _database(endpoints),
        *await _temporal(endpoints),
        _demo("model", "demo model", overridden=has_own_model)
        if uses_demo_model
        else await _model(settings, has_stack=has_stack),
        _demo("web search", "demo web", overridden=settings.chosen_search is not None)
        if uses_demo_web
        else await _search(settings, has_stack=has_stack),
        await _crm(settings),
        *await _mcp_servers(settings),
        _ok("mail", "SMTP_URL is set" if settings.smtp_url else "SMTP_URL is not set: no mail is sent"),
    ]


def _ok(part: str, detail: str) -> Finding:
    return Finding(part=part, ok=True, detail=detail)


def _missing(part: str, detail: str) -> Finding:
    return Finding(part=part, ok=False, detail=detail)


def _settings_source(*, has_stack: bool) -> Finding:
    detail = "this terminal's environment and .env are checked; running workers keep their own settings"
    if has_stack:
        detail += ": restart the local stack to apply changes"
    return _ok("settings", detail)


def _demo(part: str, what: str, *, overridden: bool) -> Finding:
    later = "; restart the stack to use the one set in this terminal" if overridden else ""
    return _ok(part, f"the local stack's workers use its {what}{later}")


async def _database(endpoints: Endpoints) -> Finding:
    try:
        pending = await asyncio.to_thread(pending_migrations, endpoints.database())
    except (UserError, DatabaseUnreachableError, DatabaseVersionError) as error:
        return _missing("database", str(error))
    if pending:
        return _missing("database", f"lacks {', '.join(pending)}: run `python starter.py setup`")
    return _ok("database", "answers, schema up to date")


async def _temporal(endpoints: Endpoints) -> list[Finding]:
    try:
        client = await connect(endpoints.temporal_address)
    except ServerUnreachableError as error:
        return [_missing("temporal", str(error))]
    return [
        _ok("temporal", f"answers, namespace {client.namespace}"),
        await _attributes(client),
        _ok("workers", "poll both task queues")
        if await has_workers(client)
        else _missing("workers", "none is running: start one with `python worker.py`"),
    ]


async def _attributes(client: Client) -> Finding:
    try:
        missing = await missing_search_attributes(client)
    except RPCError as error:
        return _missing("search attributes", f"cannot be read: {error.message}")
    if missing:
        return _missing("search attributes", f"{', '.join(missing)} missing: run `python starter.py setup`")
    return _ok("search attributes", "registered")


async def _model(settings: Settings, *, has_stack: bool) -> Finding:
    if settings.openai_base_url is not None:
        return await _answering("model", "OPENAI_BASE_URL", f"{settings.openai_base_url.rstrip('/')}/models")
    if settings.openai_api_key is not None:
        return _ok("model", f"OpenAI, {settings.openai_model} (not called by this check)")
    if has_stack:
        return _ok("model", _STACK_HAS_ITS_OWN)
    return _missing("model", "set OPENAI_API_KEY, or OPENAI_BASE_URL for your own server")


async def _search(settings: Settings, *, has_stack: bool) -> Finding:
    part = "web search"
    match settings.chosen_search:
        case None if has_stack:
            return _ok(part, _STACK_HAS_ITS_OWN)
        case None:
            return _missing(part, f"set {SEARCH_SETTINGS}")
        case "searxng":
            return await _answering(part, "SEARXNG_URL", settings.searxng_url or "")
        case "openai":
            detail = f"OpenAI's hosted search, {settings.openai_model} (not called by this check)"
            return _ok(part, f"{detail}; a run's cost limit does not count it (docs/search.md)")
        case name:
            return _ok(part, f"{name}, its key is set (not called by this check: a search costs a credit)")


async def _answering(part: str, setting: str, url: str) -> Finding:
    try:
        async with httpx2.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as http:
            answers = (await http.get(url)).status_code < httpx2.codes.INTERNAL_SERVER_ERROR
    except (httpx2.TransportError, httpx2.InvalidURL):
        answers = False
    return _ok(part, f"{setting} answers") if answers else _missing(part, f"{setting} does not answer: check {setting}")


async def _mcp_servers(settings: Settings) -> list[Finding]:
    if settings.mcp_config is None:
        return []
    from runtime.mcp_servers import answering_servers  # the MCP library takes more than a second to import

    return [
        Finding(part=f"mcp {name}".strip(), ok=ok, detail=detail)
        for name, ok, detail in await answering_servers(settings, settings.mcp_config)
    ]


async def _crm(settings: Settings) -> Finding:
    async with hubspot.http_client() as http:
        crm = hubspot.hubspot_client(settings, http)
        if crm is None:
            return _ok("CRM", "HUBSPOT_TOKEN is not set: only imported lists are used")
        try:
            await crm.look_up(["pm-pipeline.example"])  # a domain that nobody owns
        except (hubspot.HubSpotUnavailableError, hubspot.HubSpotAccessDeniedError) as error:
            return _missing("CRM", str(error))
    return _ok("CRM", "HubSpot answers")
