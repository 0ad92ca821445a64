"""Reads the ``mcpServers`` JSON file that most MCP clients share.

It adds three keys: ``roles`` (the agents that get the tools), ``tools`` (which tools) and ``requestsPerMinute``.
"""

import difflib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

_VARIABLE = re.compile(r"\$\{([^}]*)\}?")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Part of the function name `mcp__<server>__<tool>`. The Responses API allows 64 letters, digits, "_" and "-".
_SERVER_NAME = re.compile(r"(?!.*__)[A-Za-z0-9-][A-Za-z0-9_-]{0,30}[A-Za-z0-9-]|[A-Za-z0-9-]")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_HTTP_TYPES = ("http", "streamable-http", "streamable_http", "streamableHttp")


class McpSetupError(Exception):
    """An MCP server cannot be used as configured. The message names file, server and key, and the fix."""


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
    return value


def _http_address(value: str) -> str:
    if not _URL.fullmatch(value):
        raise ValueError("must be an http:// or https:// address")
    return value


def _header_fields(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"{name!r} is not a valid HTTP header")
    return headers


def _not_empty(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("is an empty list")
    return names


class _Server(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    name: str
    type: str | None = Field(default=None, repr=False)
    roles: Annotated[tuple[str, ...], AfterValidator(_not_empty)]
    tools: Annotated[tuple[str, ...], AfterValidator(_not_empty)] | None = None
    """None offers all tools."""
    requests_per_minute: Annotated[float, Field(strict=True, ge=0, le=1_000_000, alias="requestsPerMinute")] = 0.0
    """For all workers together; 0 disables the limit."""


class StdioServer(_Server):
    """A server that runs as a child process."""

    command: Annotated[str, AfterValidator(_filled)]
    args: tuple[str, ...] = Field(default=(), repr=False)
    env: dict[str, str] = Field(default_factory=dict, repr=False)


class HttpServer(_Server):
    """A server reached over streamable HTTP."""

    url: Annotated[str, AfterValidator(_http_address)] = Field(repr=False)
    headers: Annotated[dict[str, str], AfterValidator(_header_fields)] = Field(default_factory=dict, repr=False)


McpServer = StdioServer | HttpServer


def read_servers(path: Path, environment: Mapping[str, str], roles: Collection[str]) -> tuple[McpServer, ...]:
    """Read a configuration file.

    Raises:
        McpSetupError: the file cannot be read or has a mistake.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise McpSetupError(f"MCP_CONFIG: {path} cannot be read: {why}") from error
    return parse_servers(text, source=f"MCP_CONFIG {path}", environment=environment, roles=roles)


def parse_servers(
    text: str, *, source: str, environment: Mapping[str, str], roles: Collection[str]
) -> tuple[McpServer, ...]:
    """Parse a configuration.

    Args:
        source: the name of the file in messages.
        environment: the values of ``${NAME}``. An empty variable counts as missing.

    Raises:
        McpSetupError: for the first mistake. The message contains no values, which may be secrets.
    """
    try:
        whole = json.loads(text, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise McpSetupError(f"{source} is not JSON: {error}") from error
    if not isinstance(whole, dict) or not isinstance(whole.get("mcpServers"), dict) or len(whole) > 1:
        raise McpSetupError(f'{source}: expected {{"mcpServers": {{"<name>": {{…}}}}}} and no other key')
    servers = []
    for name, entry in whole["mcpServers"].items():
        try:
            servers.append(_server(name, entry, environment, roles))
        except ValueError as error:
            raise McpSetupError(f"{source}: server {name!r}: {error}") from None  # a chained error shows values
    return tuple(servers)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse duplicate keys, of which ``json`` would silently use the last."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the key {json.dumps(name)} appears twice in one object")
    return dict(pairs)


def _server(name: str, entry: Any, environment: Mapping[str, str], roles: Collection[str]) -> McpServer:
    if not _SERVER_NAME.fullmatch(name):
        raise ValueError("a name has 1 to 32 letters, digits, '-' and '_' (not '__'): it is part of tool names")
    if not isinstance(entry, dict):
        raise ValueError("must be an object")  # noqa: TRY004 - parse_servers catches ValueError
    kind = _server_kind(entry)
    values = {key: _resolved(key, value, environment) for key, value in entry.items()}
    try:
        server = kind.model_validate({"name": name, **values}, by_name=False, by_alias=True)
    except ValidationError as error:
        raise ValueError(_message(kind, error)) from None
    known = ", ".join(roles)
    for role in server.roles:
        if role not in roles:
            raise ValueError(f'"roles": {role!r} is not an agent role; the roles are: {known}')
    return server


def _server_kind(entry: dict[str, Any]) -> type[McpServer]:
    kind = entry.get("type")
    if kind == "sse":
        raise ValueError('the "sse" transport is not supported; use the server\'s "http" address')
    if kind not in (None, "stdio", *_HTTP_TYPES):
        raise ValueError('"type" must be "stdio" or "http"')
    if kind is None and ("command" in entry) == ("url" in entry):
        raise ValueError('needs either "command" (a program to start) or "url" (HTTP)')
    return HttpServer if kind in _HTTP_TYPES or (kind is None and "url" in entry) else StdioServer


def _resolved(key: str, value: Any, environment: Mapping[str, str]) -> Any:
    """Replace the ``${NAME}`` variables in a JSON value."""
    if isinstance(value, list):
        return [_resolved(key, item, environment) for item in value]
    if isinstance(value, dict):
        return {name: _resolved(f"{key}.{name}", item, environment) for name, item in value.items()}
    if not isinstance(value, str):
        return value

    def replaced(match: re.Match[str]) -> str:
        name = match[1]
        if not match[0].endswith("}") or not _VARIABLE_NAME.fullmatch(name):
            raise ValueError(f'"{key}": a variable is written ${{NAME}}, without default or spaces')
        if not environment.get(name):
            raise ValueError(f'"{key}": the environment variable {name} is not set (or empty)')
        return environment[name]

    text = _VARIABLE.sub(replaced, value)
    if "\x00" in text:
        raise ValueError(f'"{key}" contains a NUL character')
    return text


def _message(kind: type[McpServer], error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        keys = [field.alias or name for name, field in kind.model_fields.items() if name != "name"]
        nearest = difflib.get_close_matches(key, keys, n=1, cutoff=0.0)[0]
        what = "stdio" if kind is StdioServer else "http"
        return f"{key!r} is not a key of a {what} server; did you mean {nearest!r}? Keys: {', '.join(keys)}"
    if first["type"] == "missing":
        return f'"{key}" is missing'
    return f'"{key}": {first["msg"].removeprefix("Value error, ")}'
