"""The local stack for the commands: servers, migrations, search attributes, the demo's suppression list, and workers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from domain.company.hosts import normalized_host
from domain.company.places import state_code
from domain.company.suppression import Suppression
from local.demo.truth import suppressions as demo_suppressions
from local.demo.world import DEFAULT_SEED, generate_world
from local.stack import WORKER_DRAIN_MAX_S, LocalStack, StackAddresses, StackError, StackOptions
from runtime.connection import Endpoints, connect
from runtime.process import UserError
from runtime.search_attributes import register_search_attributes
from settings import Settings
from store.companies import suppressions
from store.database import DatabaseVersionError, one_connection
from store.migrate import apply_migrations


def stack_options(
    settings: Settings, *, directory: Path | None = None, workers: int | None = None, **ports: int | None
) -> StackOptions:
    """Return what to start: every part that the environment does not name.

    Raises:
        UserError: no worker would start with these settings.
    """
    if settings.mcp_config is not None:
        from runtime.mcp_servers import check_config  # the MCP library takes more than a second to import

        check_config(settings.mcp_config)
    return StackOptions(
        directory=directory or settings.local_dir,
        workers=settings.local_workers if workers is None else workers,
        external_temporal_address=settings.temporal_address,
        external_database_url=settings.database_url.get_secret_value() if settings.database_url else None,
        demo_web=settings.chosen_search is None,
        demo_model=settings.openai_api_key is None and settings.openai_base_url is None,
        extra_env={"WORKER_DRAIN_S": str(min(settings.worker_drain_s, WORKER_DRAIN_MAX_S))},
        demo_seed=DEFAULT_SEED if settings.demo_seed is None else settings.demo_seed,
        **{name: port for name, port in ports.items() if port is not None},
    )


@asynccontextmanager
async def local_session(options: StackOptions) -> AsyncIterator[tuple[LocalStack, StackAddresses]]:
    """Run the whole stack while the block runs. Raises UserError if a part does not start."""
    try:
        async with LocalStack(options) as stack:
            addresses = await stack.start_servers()
            apply_migrations(addresses.database_url)
            await register_search_attributes(await connect(addresses.temporal_address))
            if addresses.demo_seed is not None:
                await _load_demo_suppressions(addresses)
            await stack.start_workers()
            yield stack, addresses
    except (StackError, DatabaseVersionError) as error:
        raise UserError(str(error)) from error


def endpoints_of(addresses: StackAddresses) -> Endpoints:
    return Endpoints(
        temporal_address=addresses.temporal_address,
        temporal_ui_url=addresses.temporal_ui_url,
        database_url=SecretStr(addresses.database_url),
        is_demo=addresses.searxng_url is not None or addresses.openai_base_url is not None,
    )


async def _load_demo_suppressions(addresses: StackAddresses) -> None:
    # A real user would import this list from a file.
    rows = demo_suppressions(generate_world(addresses.demo_seed or DEFAULT_SEED))
    entries = [
        Suppression(
            domain=normalized_host(row.domain) if row.domain else None,
            name=row.name,
            state=state_code(row.state) if row.state else None,
            reason=row.reason,
            source="demo",
        )
        for row in rows
    ]
    async with one_connection(addresses.database_url) as conn:
        await suppressions.upsert(conn, entries)
