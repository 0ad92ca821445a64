"""Which of the configured MCP servers answer, and with how many tools. Starts each one and ends it again."""

import asyncio
from pathlib import Path

from agents.role import ROLE_NAMES
from settings import Settings, environment_variables
from tools.mcp.config import McpServer, McpSetupError
from tools.mcp.pool import opened, read_servers
from tools.mcp.session import McpLimits


async def answering_servers(settings: Settings, config: Path) -> list[tuple[str, bool, str]]:
    """Name, whether it answers, and what it says or what is wrong; without a name where the file itself is wrong."""
    try:
        servers = read_servers(config, environment_variables(), ROLE_NAMES)
    except McpSetupError as error:
        return [("", False, str(error))]
    return list(await asyncio.gather(*(_answering(server, McpLimits.of(settings)) for server in servers)))


async def _answering(server: McpServer, limits: McpLimits) -> tuple[str, bool, str]:
    try:
        async with opened([server], limits) as pool:
            count = len(pool.tools_for(server.roles[0]))
    except McpSetupError as error:
        return server.name, False, str(error)
    return server.name, True, f"answers, {count} tools for {', '.join(server.roles)}"
