"""The mcpServers file: the common format is read, and each mistake is reported with file, server and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.role import ROLE_NAMES
from mcp_client.config import HttpServer, McpServer, McpSetupError, StdioServer, parse_servers, read_servers
from settings import environment_variables

STDIO: dict[str, Any] = {"command": "npx", "args": ["-y", "some-server"], "roles": ["discovery"]}
HTTP: dict[str, Any] = {"type": "http", "url": "https://mcp.example/v1", "roles": ["discovery"]}


def parsed(servers: dict[str, Any] | str, **environment: str) -> tuple[McpServer, ...]:
    text = servers if isinstance(servers, str) else json.dumps({"mcpServers": servers})
    return parse_servers(text, source="mcp.json", environment=environment, roles=ROLE_NAMES)


def message(servers: dict[str, Any] | str, **environment: str) -> str:
    with pytest.raises(McpSetupError) as raised:
        parsed(servers, **environment)
    return str(raised.value)


def test_a_server_is_a_command_or_an_address() -> None:
    web = {**HTTP, "headers": {"Authorization": "Bearer x"}, "tools": ["search"], "requestsPerMinute": 1.5}
    stdio, http = parsed({"files": {**STDIO, "env": {"LEVEL": "1"}}, "web": web})
    assert stdio == StdioServer(
        name="files", roles=("discovery",), command="npx", args=("-y", "some-server"), env={"LEVEL": "1"}
    )
    assert http == HttpServer(
        name="web",
        type="http",
        roles=("discovery",),
        tools=("search",),
        requests_per_minute=1.5,
        url="https://mcp.example/v1",
        headers={"Authorization": "Bearer x"},
    )


@pytest.mark.parametrize("kind", ["http", "streamable-http", "streamableHttp", None])
def test_streamable_http_is_known_by_all_its_names(kind: str | None) -> None:
    entry = {name: value for name, value in {**HTTP, "type": kind}.items() if value}
    assert isinstance(parsed({"web": entry})[0], HttpServer)


def test_variables_are_replaced_in_every_value() -> None:
    entry = {
        **STDIO,
        "command": "${BIN}/run",
        "args": ["--key=${KEY}", "${KEY}${BIN}"],
        "env": {"TOKEN": "${KEY}", "PLAIN": "$KEY"},
    }
    server = parsed({"a": entry}, BIN="/opt", KEY="k")[0]
    assert isinstance(server, StdioServer)
    assert (server.command, server.args) == ("/opt/run", ("--key=k", "k/opt"))
    assert server.env == {"TOKEN": "k", "PLAIN": "$KEY"}
    web = parsed({"b": {**HTTP, "headers": {"X-Key": "${KEY}"}, "url": "https://${KEY}.example"}}, KEY="k")[0]
    assert isinstance(web, HttpServer)
    assert (web.url, web.headers) == ("https://k.example", {"X-Key": "k"})


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        ("{", "mcp.json is not JSON"),
        ("[]", 'mcp.json: expected {"mcpServers": {"<name>": {…}}}'),
        ('{"servers": {}}', 'mcp.json: expected {"mcpServers": {"<name>": {…}}}'),
        ('{"mcpServers": {"a": {}, "a": {}}}', 'the key "a" appears twice'),
        (
            {"a": {**STDIO, "comand": "x"}},
            "server 'a': 'comand' is not a key of a stdio server; did you mean 'command'?",
        ),
        ({"a": {**STDIO, "headers": {}}}, "server 'a': 'headers' is not a key of a stdio server"),
        ({"a": {**STDIO, "url": "https://x.example"}}, "server 'a': needs either"),
        ({"a": {"roles": ["discovery"]}}, "server 'a': needs either"),
        ({"a": {**HTTP, "type": "sse"}}, "server 'a': the \"sse\" transport is not supported"),
        ({"a": {**HTTP, "type": "ftp"}}, 'server \'a\': "type" must be "stdio" or "http"'),
        ({"a": {"type": "http", "roles": ["discovery"]}}, "server 'a': \"url\" is missing"),
        ({"a": {**HTTP, "url": "ftp://x"}}, "server 'a': \"url\": must be an http:// or https:// address"),
        ({"a": {**STDIO, "command": " "}}, "server 'a': \"command\": is empty"),
        ({"a": {**STDIO, "args": "-y"}}, "server 'a': \"args\": Input should be a valid tuple"),
        ({"a": {**STDIO, "args": [1]}}, "server 'a': \"args.0\": Input should be a valid string"),
        ({"a": {**STDIO, "args": ["\x00"]}}, "server 'a': \"args\" contains a NUL"),
        ({"a": {**HTTP, "headers": {"X-Key": "a\nb"}}}, "server 'a': \"headers\": 'X-Key' is not a valid HTTP header"),
        ({"a__b": STDIO}, "server 'a__b': a name has 1 to 32 letters"),
        ({"a b": STDIO}, "server 'a b': a name has 1 to 32 letters"),
        ({"a": []}, "server 'a': must be an object"),
        ({"a": {"command": "x"}}, "server 'a': \"roles\" is missing"),
        ({"a": {**STDIO, "roles": []}}, "server 'a': \"roles\": is an empty list"),
        ({"a": {**STDIO, "roles": ["x"]}}, "server 'a': \"roles\": 'x' is not an agent role; the roles are: disc"),
        ({"a": {**STDIO, "tools": []}}, "server 'a': \"tools\": is an empty list"),
        *(
            ({"a": {**STDIO, "requestsPerMinute": wrong}}, "server 'a': \"requestsPerMinute\": Input should be")
            for wrong in (-1, "60", True, None, float("nan"), float("inf"), 10**7)
        ),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value)[:30],
)
def test_a_mistake_is_reported_with_file_server_and_key(servers: dict[str, Any] | str, said: str) -> None:
    assert said in message(servers)


@pytest.mark.parametrize("environment", [{}, {"KEY": ""}], ids=["missing", "empty"])
def test_a_missing_variable_is_named_with_its_place(environment: dict[str, str]) -> None:
    said = message({"a": {**HTTP, "headers": {"X-Key": "Bearer ${KEY}"}}}, **environment)
    assert said == "mcp.json: server 'a': \"headers.X-Key\": the environment variable KEY is not set (or empty)"


@pytest.mark.parametrize("value", ["${KEY:-none}", "${ KEY }", "${}", "${KEY"])
def test_a_malformed_variable_is_an_error(value: str) -> None:
    assert "a variable is written ${NAME}" in message({"a": {**STDIO, "args": [value]}}, KEY="k")


def test_secrets_are_in_no_message_and_no_repr() -> None:
    said = message({"a": {**HTTP, "url": "${KEY}"}}, KEY="s3cret")
    servers = parsed(
        {"a": {**HTTP, "headers": {"X": "${KEY}"}}, "b": {**STDIO, "args": ["${KEY}"], "env": {"X": "${KEY}"}}},
        KEY="s3cret",
    )
    assert "s3cret" not in said + repr(servers)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(McpSetupError, match=r"MCP_CONFIG: .*none\.json cannot be read: No such file"):
        read_servers(tmp_path / "none.json", {}, ROLE_NAMES)
    (tmp_path / "latin.json").write_bytes(b"\xe9")
    with pytest.raises(McpSetupError, match=r"latin\.json cannot be read: it is not UTF-8"):
        read_servers(tmp_path / "latin.json", {}, ROLE_NAMES)


def test_the_environment_overrides_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("Mixed_Case_Key=file\nOVERRIDDEN=file\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OVERRIDDEN", "environment")
    variables = environment_variables()
    assert (variables["Mixed_Case_Key"], variables["OVERRIDDEN"]) == ("file", "environment")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["mcpServers", "a", "type", "command", "url", "args", "roles"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(st.text(max_size=30) | _JSON.map(json.dumps))
def test_any_file_is_read_or_rejected_with_a_message(text: str) -> None:
    try:
        assert isinstance(parsed(text), tuple)
    except McpSetupError as error:
        assert str(error).startswith("mcp.json")
