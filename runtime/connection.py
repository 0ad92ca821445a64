"""Where Temporal and Postgres are, and how to connect: one way for worker, command line, tests and replayer."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from runtime.process import UserError
from settings import Settings

_OF_DEMO_WEB = frozenset({"searxng_url", "web_proxy", "host_request_interval_s", "mail_dns"})
_CONNECT_TIMEOUT = timedelta(seconds=10)


class ServerUnreachableError(UserError):
    """Temporal's server does not answer; the message says where it was looked for and how to start it."""


class Endpoints(BaseModel):
    """Where this process finds the servers. From the environment; else those of the local stack, if one runs.

    Attributes:
        temporal_address: None leaves it to Temporal's own configuration (profile or default).
    """

    model_config = ConfigDict(frozen=True)

    temporal_address: str | None
    temporal_ui_url: str | None
    database_url: SecretStr | None
    is_demo: bool = False

    def database(self) -> str:
        """The connection string of Postgres.

        Raises:
            UserError: none is configured and no local stack runs.
        """
        if self.database_url is None:
            raise UserError(
                "no database is known: start the local stack with `python starter.py local`, "
                "or set DATABASE_URL (and TEMPORAL_ADDRESS)"
            )
        return self.database_url.get_secret_value()


def find_endpoints(settings: Settings) -> Endpoints:
    """What is configured in the environment, filled up from the local stack that runs in ``LOCAL_DIR``."""
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
    """Settings filled up from the local stack that runs in ``LOCAL_DIR``, so that a worker started beside it serves it.

    What the environment sets stays; a model or search of one's own keeps the demo's away.
    """
    stack = running_local_stack(settings)
    if stack is None:
        return settings
    offered = {name.lower(): value for name, value in stack.environment().items()}
    if settings.openai_api_key is not None or settings.openai_base_url is not None:
        offered = {name: value for name, value in offered.items() if not name.startswith(("openai_", "model_price_"))}
    if settings.chosen_search is not None:
        offered = {name: value for name, value in offered.items() if name not in _OF_DEMO_WEB}
    return Settings(**offered)


def running_local_stack(settings: Settings) -> Any:
    """The local stack that these settings lead to (``StackAddresses``); None if none runs, or they name servers of their own."""
    if settings.temporal_address is not None or settings.database_url is not None:
        return None
    return _stack_in(settings.local_dir)


def _stack_in(directory: Path) -> Any:
    try:
        # Not installed with servers: the embedded stack is an extra.
        from local.stack_state import running_stack
    except ImportError:
        return None
    try:
        return running_stack(directory)
    except PermissionError as error:
        problem = f"{error.filename} is another user's: the stack there is not yours to use. Set TEMPORAL_ADDRESS and DATABASE_URL"
        raise UserError(f"{problem}, or LOCAL_DIR to a directory of your own") from error


async def connect(temporal_address: str | None) -> Client:
    """Connect to Temporal with the converter that all our processes share.

    Raises:
        ServerUnreachableError: no answer within ten seconds.
    """
    config: dict[str, Any] = {**ClientConfig.load_client_connect_config()}
    if temporal_address is not None:
        config["target_host"] = temporal_address
    target = config.setdefault("target_host", "localhost:7233")
    try:
        return await asyncio.wait_for(
            Client.connect(**config, data_converter=pydantic_data_converter), _CONNECT_TIMEOUT.total_seconds()
        )
    except (RPCError, RuntimeError, TimeoutError, OSError) as error:
        raise ServerUnreachableError(
            f"Temporal does not answer at {target}: start the local stack with `python starter.py local`, "
            "or set TEMPORAL_ADDRESS to a running server"
        ) from error
