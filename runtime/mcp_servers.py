"""Check the configured MCP servers, with or without starting them."""

import asyncio
import shutil
from pathlib import Path

from agents.role import ROLE_NAMES
from mcp_client.config import McpServer, McpSetupError, StdioServer, read_servers
from mcp_client.pool import open_pool
from runtime.process import UserError
from settings import Settings, environment_variables


def check_config(config: Path) -> None:
    """Check the configuration file and its commands, without starting a server. Raises UserError."""
    try:
        servers = read_servers(config, environment_variables(), ROLE_NAMES)
    except McpSetupError as error:
        raise UserError(str(error)) from error
    for server in servers:
        if isinstance(server, StdioServer) and not shutil.which(server.command, path=server.env.get("PATH")):
            raise UserError(
                f"MCP_CONFIG {config}: server {server.name!r}: its command was not found. Install it, or give its full path"
            )


async def answering_servers(settings: Settings, config: Path) -> list[tuple[str, bool, str]]:
    """Start each server once. Returns its name, whether it answers, and details.

    The name is empty if the configuration file is wrong.
    """
    try:
        servers = read_servers(config, environment_variables(), ROLE_NAMES)
    except McpSetupError as error:
        return [("", False, str(error))]
    return list(await asyncio.gather(*(_answering(server, settings) for server in servers)))


async def _answering(server: McpServer, settings: Settings) -> tuple[str, bool, str]:
    try:
        async with open_pool([server], settings) as pool:
            count = len(pool.tools_for(server.roles[0]))
    except McpSetupError as error:
        return server.name, False, str(error)
    return server.name, True, f"answers, {count} tools for {', '.join(server.roles)}"
