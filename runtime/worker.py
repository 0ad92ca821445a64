"""A worker: runs workflows and activities until it is told to stop.

It does not start if a setting, migration or search attribute is missing. After SIGTERM, its activities have
``WORKER_DRAIN_S`` seconds to finish. The rest are rescheduled, and other workers continue them from their stored turns.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import structlog
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.contacts import ContactActivities
from activities.dependencies import DependencyActivities
from activities.discovery import DiscoveryActivities
from activities.emails import EmailActivities
from activities.export import ExportActivities
from activities.heartbeats import HEARTBEAT_INTERVAL
from activities.notify import NotifyActivities
from activities.qualify import QualificationActivities
from activities.research import ResearchActivities
from activities.runs import RunActivities
from activities.suppression import SuppressionActivities
from activities.worker_shutdown import RescheduleOnShutdown
from agents.loop import AgentRunner
from agents.role import ROLE_NAMES
from crm import hubspot
from runtime.connection import connect, find_endpoints, with_local_stack
from runtime.health import Health, serve_health
from runtime.logs import configure_logging
from runtime.process import UserError, load_settings
from runtime.search_attributes import missing_search_attributes
from runtime.worker_deployment import deployment_config
from search.choice import SEARCH_SETTINGS, make_backend
from settings import Settings, environment_variables
from store.database import Database, DatabaseUnreachableError, DatabaseVersionError
from store.migrate import pending_migrations
from web.fetch import make_web_client
from web.gateway import ToolGateway
from web.mail_domains import MailDomains, system_resolver
from workflows.company import CompanyWorkflow
from workflows.lead_list import LeadListWorkflow
from workflows.names import AGENT_TASK_QUEUE, TASK_QUEUE

if TYPE_CHECKING:
    from mcp_client.pool import McpPool

log = structlog.get_logger()

ACTIVITY_POLLS = 1
"""Open activity polls per task queue and worker.

When a worker stops, the server ends its polls. As soon as one poll returns empty, the SDK (temporalio 1.35) drops the
queue's other polls. An activity that arrives on a dropped poll is lost until its heartbeat timeout. This happened in 18
of 108 stops under load with five polls, and in none of 209 with one (``bench/drains.py``). With one poll, a worker
starts at most one activity per queue and round trip to the server.
"""
_SEARCH_TIMEOUT_S = 20.0
_NO_KEY = "not-set"  # the client requires a key, even if the server does not


def workflow_runner() -> SandboxedWorkflowRunner:
    """Return the sandbox for workflow code. Our pure packages are loaded once, instead of once per run."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules("domain", "workflows")
    return SandboxedWorkflowRunner(restrictions=restrictions)


@asynccontextmanager
async def open_activities(
    settings: Settings, database_url: str
) -> AsyncIterator[tuple[list[Callable[..., Any]], list[Callable[..., Any]]]]:
    """Yield two lists of activities: all except agent calls, and agent calls. Closes their clients at the end.

    Raises:
        UserError: the database does not answer, needs migrations or was made by another version, or an MCP server cannot be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            pending = await asyncio.to_thread(pending_migrations, database_url)
            if pending:
                raise UserError(f"the database lacks {', '.join(pending)}: run `python starter.py setup`")
            database = Database(database_url, settings.database_pool_max)
            await database.open()
        except (DatabaseUnreachableError, DatabaseVersionError) as error:
            raise UserError(str(error)) from error
        stack.push_async_callback(database.close)
        web = make_web_client(database, settings)
        stack.push_async_callback(web.close)
        http = await stack.enter_async_context(httpx2.AsyncClient(timeout=_SEARCH_TIMEOUT_S, trust_env=False))
        search = make_backend(settings, http)
        model = await stack.enter_async_context(
            openai.AsyncOpenAI(
                api_key=settings.openai_api_key.get_secret_value() if settings.openai_api_key else _NO_KEY,
                base_url=settings.openai_base_url,
                timeout=settings.model_timeout_s,
                max_retries=0,  # Temporal retries, so that the history shows every attempt
            )
        )
        mcp = await _opened_mcp(stack, settings)
        gateway = ToolGateway(database, web, search, settings, mcp)
        stack.push_async_callback(gateway.close)
        mcp_tools = {role: mcp.tools_for(role) for role in ROLE_NAMES} if mcp else None
        runner = AgentRunner(model, gateway, database, settings, mcp_tools)
        runs = RunActivities(database, settings)
        discovery = DiscoveryActivities(database, gateway, runner, settings)
        hubspot_http = await stack.enter_async_context(hubspot.http_client())
        crm = hubspot.hubspot_client(settings, hubspot_http)
        research = ResearchActivities(database, gateway, runner, settings)
        contacts = ContactActivities(database, gateway, runner, settings)
        mail_domains = MailDomains(system_resolver()) if settings.mail_dns else None
        yield (
            [
                runs.plan_run_search,
                runs.next_search_tasks,
                runs.new_companies,
                runs.record_state,
                runs.store_question,
                runs.apply_decision,
                runs.record_refused_decision,
                runs.finish_run,
                discovery.fail_search_task,
                QualificationActivities(database, gateway, settings, crm).qualify_company,
                runs.fail_company,
                SuppressionActivities(database, settings, crm).recheck_suppression,
                DependencyActivities(database, model, settings, http, crm).check_dependencies,
                EmailActivities(database, mail_domains).verify_emails,
                contacts.select_contacts,
                ExportActivities(database).export_run,
                NotifyActivities(database, settings).notify_requester,
            ],
            [discovery.discover, research.research_company, contacts.find_contacts],
        )


async def _opened_mcp(stack: contextlib.AsyncExitStack, settings: Settings) -> "McpPool | None":
    # A worker without its tools would silently find less, so it does not start.
    if settings.mcp_config is None:
        return None
    # The MCP library takes more than a second to import, and few workers need it.
    from mcp_client.config import McpSetupError, read_servers
    from mcp_client.pool import open_pool

    try:
        servers = read_servers(settings.mcp_config, environment_variables(), ROLE_NAMES)
        return await stack.enter_async_context(open_pool(servers, settings))
    except McpSetupError as error:
        raise UserError(str(error)) from error


def build_workers(
    client: Client, settings: Settings, activities: list[Callable[..., Any]], agent_calls: list[Callable[..., Any]]
) -> tuple[Worker, Worker]:
    """Return one worker for workflows and cheap activities, and one for a limited number of agent calls."""

    def worker(**options: Any) -> Worker:
        return Worker(
            client,
            max_concurrent_activity_task_polls=ACTIVITY_POLLS,
            graceful_shutdown_timeout=timedelta(seconds=settings.worker_drain_s),
            # By default, the SDK sends a heartbeat only after 80 % of the timeout, 3 s before it ends.
            max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
            interceptors=[RescheduleOnShutdown()],
            deployment_config=deployment_config(settings),
            **options,
        )

    return (
        worker(
            task_queue=TASK_QUEUE,
            workflows=[LeadListWorkflow, CompanyWorkflow],
            activities=activities,
            workflow_runner=workflow_runner(),
            max_concurrent_activities=settings.database_pool_max * 2,
        ),
        worker(
            task_queue=AGENT_TASK_QUEUE,
            activities=agent_calls,
            max_concurrent_activities=settings.agent_slots,
        ),
    )


def check_settings(settings: Settings) -> None:
    """Raise ``UserError`` if a worker could not work with these settings."""
    if settings.openai_api_key is None and settings.openai_base_url is None:
        raise UserError("no model is set: set OPENAI_API_KEY (or OPENAI_BASE_URL for your own server)")
    if settings.chosen_search is None:
        raise UserError(f"no web search is set: set {SEARCH_SETTINGS} (docs/search.md)")


async def work_until_stopped(settings: Settings) -> None:
    """Connect and work until SIGTERM or SIGINT, then drain. Raises UserError if something is missing."""
    check_settings(settings)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    endpoints = find_endpoints(settings)
    client = await connect(endpoints.temporal_address)
    missing = await missing_search_attributes(client)
    if missing:
        raise UserError(f"Temporal lacks the search attributes {', '.join(missing)}: run `python starter.py setup`")
    async with contextlib.AsyncExitStack() as stack:
        health = Health.of_worker(client, endpoints.database())
        if settings.worker_health_port is not None:
            stack.enter_context(serve_health(settings.worker_health_port, health))
        activities, agent_calls = await stack.enter_async_context(open_activities(settings, endpoints.database()))
        workers = build_workers(client, settings, activities, agent_calls)
        for worker in workers:
            await stack.enter_async_context(worker)
        health.state = ""
        if settings.worker_ready_file is not None:
            await asyncio.to_thread(settings.worker_ready_file.write_text, "ready\n")
        log.info(
            "worker_started",
            task_queues=[TASK_QUEUE, AGENT_TASK_QUEUE],
            model=settings.openai_model,
            search=settings.chosen_search,
        )
        await stop.wait()
        health.state = "draining"
        log.info("worker_draining", seconds=settings.worker_drain_s)
        # Shut both down together. Otherwise the second would take new work until the first has stopped.
        await asyncio.gather(*(worker.shutdown() for worker in workers))
    log.info("worker_stopped")


def main(arguments: Sequence[str] = ()) -> int:
    """Run a worker and return the exit code."""
    if arguments:
        sys.stderr.write("usage: python worker.py (no arguments; settings.py lists its environment variables)\n")
        return 0 if arguments[0] in {"-h", "--help"} else 2
    try:
        settings = with_local_stack(load_settings())
        configure_logging(settings)
        asyncio.run(work_until_stopped(settings))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0
