"""The ``mcpServers`` JSON file, read into typed configurations. Pure: text and variables in, configurations or an error out.

The format is the common one of MCP clients, ``{"mcpServers": {"name": {"command", "args", "env"} | {"type": "http", "url",
"headers"}}}``, with three keys of ours for each server: ``roles`` (which agents get its tools), ``tools`` (which of its tools) and
``requestsPerMinute`` (how often it is asked at most).
Starting servers is in ``session.py`` and ``pool.py``.
"""

import difflib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_VARIABLE = re.compile(r"\$\{([^}]*)\}?")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Part of a function name, `mcp__<server>__<tool>`, of which the Responses API takes 64 letters, digits, "_" and "-".
_SERVER_NAME = re.compile(r"(?!.*__)[A-Za-z0-9-][A-Za-z0-9_-]{0,30}[A-Za-z0-9-]|[A-Za-z0-9-]")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_HTTP_TYPES = ("http", "streamable-http", "streamable_http", "streamableHttp")
_COMMON_KEYS = ("type", "roles", "tools", "requestsPerMinute")
_STDIO_KEYS = (*_COMMON_KEYS, "command", "args", "env")
_HTTP_KEYS = (*_COMMON_KEYS, "url", "headers")
_PER_MINUTE_MAX = 1_000_000
_ALL_KEYS = tuple(dict.fromkeys((*_STDIO_KEYS, *_HTTP_KEYS)))


class McpSetupError(Exception):
    """An MCP server cannot be used as it is configured; the message names file, server and key, and says what to do."""


class _Server(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    roles: tuple[str, ...]
    tools: tuple[str, ...] | None = None
    requests_per_minute: float = 0.0


class StdioServer(_Server):
    """A server that is started as a child process and spoken to over its standard input and output.

    Attributes:
        roles: agent roles that get its tools; never empty.
        tools: the only tools that are offered; None offers all.
        requests_per_minute: of all workers together; 0: no limit.
        env: added to the few variables that a child gets (``PATH``, ``HOME`` and the like; none of ours).
    """

    command: str
    args: tuple[str, ...] = Field(default=(), repr=False)
    env: dict[str, str] = Field(default_factory=dict, repr=False)


class HttpServer(_Server):
    """A server that is reached over streamable HTTP. What it shares with ``StdioServer`` means the same."""

    url: str = Field(repr=False)
    headers: dict[str, str] = Field(default_factory=dict, repr=False)


McpServer = StdioServer | HttpServer


def parse_servers(
    text: str, *, source: str, environment: Mapping[str, str], roles: Collection[str]
) -> tuple[McpServer, ...]:
    """The servers of a configuration file, in its order.

    Args:
        text: the file's content.
        source: how messages name the file.
        environment: where ``${NAME}`` in values is taken from; an empty variable counts as missing.
        roles: the agent roles that exist.

    Raises:
        McpSetupError: the first thing that is not as it must be. Values are never part of the message: they may be secrets.
    """
    try:
        whole = json.loads(text, object_pairs_hook=_without_repeats)
    except _RepeatedKeyError as error:
        raise McpSetupError(f"{source}: the key {error} stands twice in one object; keep one of them") from error
    except (ValueError, RecursionError) as error:
        raise McpSetupError(f"{source} is not JSON: {error}") from error
    if not isinstance(whole, dict):
        raise McpSetupError(f'{source}: expected an object {{"mcpServers": {{…}}}}, found {_kind(whole)}')
    _refuse_unknown(source, whole, ("mcpServers",))
    servers = whole.get("mcpServers")
    if not isinstance(servers, dict):
        raise McpSetupError(f'{source}: "mcpServers" must be an object of servers by name, it is {_kind(servers)}')
    return tuple(_Entry(source, name, entry, environment, roles).parsed() for name, entry in servers.items())


class _RepeatedKeyError(Exception):
    pass


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two servers of one name, json would silently keep the last.
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedKeyError(json.dumps(next(name for name in names if names.count(name) > 1)))
    return found


class _Entry:
    """One server's object, read key by key so that each message can say where it is."""

    def __init__(
        self, source: str, name: str, entry: Any, environment: Mapping[str, str], roles: Collection[str]
    ) -> None:
        self._where = f"{source}: server {name!r}"
        self._name = name
        self._entry = entry
        self._environment = environment
        self._known_roles = roles

    def parsed(self) -> McpServer:
        if not _SERVER_NAME.fullmatch(self._name):
            raise McpSetupError(
                f"{self._where}: a name is 1 to 32 letters, digits, '-' and '_' (not '__'): it becomes a part of tool names"
            )
        if not isinstance(self._entry, dict):
            raise McpSetupError(f"{self._where} must be an object, it is {_kind(self._entry)}")
        _refuse_unknown(self._where, self._entry, _ALL_KEYS)
        is_http = self._is_http()
        _refuse_unknown(self._where, self._entry, _HTTP_KEYS if is_http else _STDIO_KEYS, " of a server of this type")
        roles, tools, per_minute = self._roles(), self._tools(), self._requests_per_minute()
        if not is_http:
            return StdioServer(
                name=self._name,
                roles=roles,
                tools=tools,
                requests_per_minute=per_minute,
                command=self._required("command"),
                args=tuple(self._texts("args")),
                env=self._table("env"),
            )
        url = self._required("url")
        if not _URL.fullmatch(url):
            raise McpSetupError(f'{self._where}: "url" must be an http:// or https:// address')
        headers = self._table("headers")
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise McpSetupError(f'{self._where}: "headers": {name!r} is not a header that HTTP can carry')
        return HttpServer(
            name=self._name, roles=roles, tools=tools, requests_per_minute=per_minute, url=url, headers=headers
        )

    def _is_http(self) -> bool:
        kind = self._entry.get("type")
        if kind is None:
            if ("command" in self._entry) == ("url" in self._entry):
                raise McpSetupError(f'{self._where} needs either "command" (a program to start) or "url" (HTTP)')
            return "url" in self._entry
        if kind == "sse":
            raise McpSetupError(
                f'{self._where}: the "sse" transport is not supported; use the server\'s "http" address'
            )
        if kind not in ("stdio", *_HTTP_TYPES):
            raise McpSetupError(f'{self._where}: "type" must be "stdio" or "http"')
        return bool(kind != "stdio")

    def _roles(self) -> tuple[str, ...]:
        known = ", ".join(f'"{role}"' for role in self._known_roles)
        roles = tuple(dict.fromkeys(self._texts("roles")))
        if not roles:
            raise McpSetupError(
                f'{self._where} has no "roles", so no agent gets its tools; name those that may use it, of: {known}'
            )
        for role in roles:
            if role not in self._known_roles:
                raise McpSetupError(f'{self._where}: "roles": {role!r} is no agent role; there are: {known}')
        return roles

    def _tools(self) -> tuple[str, ...] | None:
        if "tools" not in self._entry:
            return None
        tools = tuple(dict.fromkeys(self._texts("tools")))
        if not tools:
            raise McpSetupError(f'{self._where}: "tools" allows no tool; name some, or leave the key out to allow all')
        return tools

    def _requests_per_minute(self) -> float:
        value = self._entry.get("requestsPerMinute", 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _PER_MINUTE_MAX:
            raise McpSetupError(
                f'{self._where}: "requestsPerMinute" must be a number from 0 (no limit) to {_PER_MINUTE_MAX:,}'
            )
        return float(value)

    def _required(self, key: str) -> str:
        if key not in self._entry:
            raise McpSetupError(f'{self._where} lacks "{key}"')
        value = self._text(key, self._entry[key])
        if not value.strip():
            raise McpSetupError(f'{self._where}: "{key}" is empty')
        return value

    def _texts(self, key: str) -> list[str]:
        value = self._entry.get(key, [])
        if not isinstance(value, list):
            raise McpSetupError(f'{self._where}: "{key}" must be a list of texts, it is {_kind(value)}')
        return [self._text(key, item) for item in value]

    def _table(self, key: str) -> dict[str, str]:
        value = self._entry.get(key, {})
        if not isinstance(value, dict):
            raise McpSetupError(f'{self._where}: "{key}" must be an object of texts, it is {_kind(value)}')
        for name in value:
            if not name or "=" in name or "\x00" in name:
                raise McpSetupError(f'{self._where}: "{key}": {name!r} is not a name')
        return {name: self._text(f"{key}.{name}", item) for name, item in value.items()}

    def _text(self, key: str, value: Any) -> str:
        if not isinstance(value, str):
            raise McpSetupError(f'{self._where}: "{key}" must hold texts, it holds {_kind(value)}')

        def replaced(match: re.Match[str]) -> str:
            name = match[1]
            if not match[0].endswith("}") or not _VARIABLE_NAME.fullmatch(name):
                raise McpSetupError(
                    f'{self._where}: "{key}": a variable is written ${{NAME}}, without default or spaces'
                )
            if not self._environment.get(name):
                raise McpSetupError(f'{self._where}: "{key}": the environment variable {name} is not set (or empty)')
            return self._environment[name]

        text = _VARIABLE.sub(replaced, value)
        if "\x00" in text:
            raise McpSetupError(f'{self._where}: "{key}" holds a NUL character')
        return text


def _refuse_unknown(where: str, given: Mapping[str, Any], known: Sequence[str], which: str = "") -> None:
    for key in given:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            raise McpSetupError(
                f"{where}: {key!r} is not a key{which}; did you mean {nearest!r}? Keys: {', '.join(known)}"
            )


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "missing or null"}
    return names.get(type(value), "a number")
