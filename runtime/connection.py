"""Find the Temporal and Postgres servers, and connect to Temporal."""

import asyncio
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from runtime.process import UserError
from settings import Settings

_DEMO_WEB_SETTINGS = frozenset({"searxng_url", "web_proxy", "host_request_interval_s", "mail_dns"})
_CONNECT_TIMEOUT_S = 10.0


class ServerUnreachableError(UserError):
    pass


class Endpoints(BaseModel):
    """Addresses of the servers. Without ``temporal_address``, Temporal's own configuration decides (profile or default)."""

    model_config = ConfigDict(frozen=True)

    temporal_address: str | None
    temporal_ui_url: str | None
    database_url: SecretStr | None
    is_demo: bool = False

    def database(self) -> str:
        """Return the connection string of Postgres. Raises UserError if there is none."""
        if self.database_url is None:
            raise UserError(
                "no database is configured: start the local stack with `python starter.py local`, "
                "or set DATABASE_URL (and TEMPORAL_ADDRESS)"
            )
        return self.database_url.get_secret_value()


def find_endpoints(settings: Settings) -> Endpoints:
    """Read the addresses from the environment. Missing ones come from the local stack in ``LOCAL_DIR``, if it runs."""
    address, database, ui_url = settings.temporal_address, settings.database_url, settings.temporal_ui_url
    is_demo = False
    if address is None or database is None:
        stack = _stack_in(settings.local_dir)
        if stack is not None:
            address = address or stack.temporal_address
            database = database or SecretStr(stack.database_url)
            ui_url = ui_url or stack.temporal_ui_url
            is_demo = stack.searxng_url is not None or stack.openai_base_url is not None
    return Endpoints(temporal_address=address, temporal_ui_url=ui_url, database_url=database, is_demo=is_demo)


def with_local_stack(settings: Settings) -> Settings:
    """Fill in missing settings from the local stack in ``LOCAL_DIR``, so that a worker can join it.

    A model or search set in the environment replaces the demo's.
    """
    stack = running_local_stack(settings)
    if stack is None:
        return settings
    offered = {name.lower(): value for name, value in stack.environment().items()}
    if settings.openai_api_key is not None or settings.openai_base_url is not None:
        offered = {name: value for name, value in offered.items() if not name.startswith(("openai_", "model_price_"))}
    if settings.chosen_search is not None:
        offered = {name: value for name, value in offered.items() if name not in _DEMO_WEB_SETTINGS}
    return Settings(**offered)


def running_local_stack(settings: Settings) -> Any:
    """Return the local stack (``StackAddresses``), or None if none runs or the settings name other servers."""
    if settings.temporal_address is not None or settings.database_url is not None:
        return None
    return _stack_in(settings.local_dir)


def _stack_in(directory: Path) -> Any:
    try:
        from local.stack_state import running_stack  # an optional extra
    except ImportError:
        return None
    try:
        return running_stack(directory)
    except PermissionError as error:
        raise UserError(
            f"{error.filename} belongs to another user, so you cannot use that local stack. Set TEMPORAL_ADDRESS and "
            "DATABASE_URL, or LOCAL_DIR to your own directory"
        ) from error


async def connect(temporal_address: str | None) -> Client:
    """Connect to Temporal with the data converter that all processes share.

    Raises:
        ServerUnreachableError: no answer within ten seconds.
    """
    config: dict[str, Any] = {**ClientConfig.load_client_connect_config()}
    if temporal_address is not None:
        config["target_host"] = temporal_address
    target = config.setdefault("target_host", "localhost:7233")
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            return await Client.connect(**config, data_converter=pydantic_data_converter)
    except (RPCError, RuntimeError, TimeoutError, OSError) as error:
        raise ServerUnreachableError(
            f"Temporal does not answer at {target}: start the local stack with `python starter.py local`, "
            "or set TEMPORAL_ADDRESS to a running server"
        ) from error
