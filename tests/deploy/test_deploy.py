"""The scripts and health checks of docker-compose.yml, run here. No package ships ``temporal-sql-tool``, so ``schema.sh``
runs with a recorder in its place. The SQL is in ``test_deploy_postgres.py``."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import yaml

from local.temporal_server import DYNAMIC_CONFIG

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_the_server_settings_match_the_local_stack() -> None:
    given = yaml.safe_load((ROOT / "deploy" / "temporal" / "dynamicconfig.yaml").read_text())
    told = {f"{name}={json.dumps(values[0]['value'])}" for name, values in given.items()}
    local = set(DYNAMIC_CONFIG)
    for_one_machine = {word for word in local if word.startswith("system.forceSearchAttributesCacheRefreshOnRead")}
    assert local - told - for_one_machine == {"matching.numTaskqueueReadPartitions=1"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def run_script(name: str, environment: dict[str, str], path: Path) -> subprocess.CompletedProcess[str]:
    """Runs deploy/temporal/`name` with `environment` alone, and the commands in `path` before the system's."""
    command = ["/bin/sh", str(ROOT / "deploy" / "temporal" / name)]
    environment = {"PATH": f"{path}:/usr/bin:/bin", "HOME": str(path)} | environment
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


# --- Temporal --------------------------------------------------------------------------------------------------------


class TemporalServer(NamedTuple):
    address: str
    http_port: int
    commands: Path
    """The folder of the `temporal` command."""


@pytest.fixture(scope="module")
def temporal() -> Iterator[TemporalServer]:
    commands = Path(sysconfig.get_path("scripts"))
    port, http_port = free_port(), free_port()
    command = [str(commands / "temporal"), "server", "start-dev", "--headless", "--log-level", "never"]
    command += ["--port", str(port), "--http-port", str(http_port), "--namespace", "another"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield TemporalServer(f"127.0.0.1:{port}", http_port, commands)
    finally:
        process.terminate()
        process.wait(timeout=20)


def ask_temporal(server: TemporalServer, namespace: str, *arguments: str) -> Any:
    command = [str(server.commands / "temporal"), *arguments, "--namespace", namespace]
    command += ["--address", server.address, "--output", "json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout)


def run_setup(server: TemporalServer, namespace: str, **changes: str) -> subprocess.CompletedProcess[str]:
    fixed = {"KEYWORD_SEARCH_ATTRIBUTES": SERVICES["temporal-setup"]["environment"]["KEYWORD_SEARCH_ATTRIBUTES"]}
    fixed |= {"TEMPORAL_ADDRESS": server.address, "TEMPORAL_NAMESPACE": namespace, "NAMESPACE_RETENTION": "30d"}
    return run_script("setup.sh", fixed | {"SETUP_PAUSE_S": "0.2"} | changes, server.commands)


def test_setup_creates_the_namespace_and_can_run_again(temporal: TemporalServer) -> None:
    # The server may still be starting: only the job waits for it.
    first = run_setup(temporal, "fresh")
    assert first.returncode == 0, first.stderr
    attributes = ask_temporal(temporal, "fresh", "operator", "search-attribute", "list")["customAttributes"]
    named = SERVICES["temporal-setup"]["environment"]["KEYWORD_SEARCH_ATTRIBUTES"].split()
    assert attributes == dict.fromkeys(named, "INDEXED_VALUE_TYPE_KEYWORD")
    assert retention(temporal, "fresh") == "2592000s"
    again = run_setup(temporal, "fresh", NAMESPACE_RETENTION="72h")
    assert again.returncode == 0, again.stderr
    assert retention(temporal, "fresh") == "259200s"


def retention(server: TemporalServer, namespace: str) -> str:
    described = ask_temporal(server, namespace, "operator", "namespace", "describe")
    kept: str = described["config"]["workflowExecutionRetentionTtl"]
    return kept


def test_setup_shows_why_it_fails(temporal: TemporalServer) -> None:
    wrong = run_setup(temporal, "failing", NAMESPACE_RETENTION="soon", SETUP_ATTEMPTS_MAX="2")
    assert wrong.returncode != 0
    assert "soon" in wrong.stderr

    create = ["operator", "search-attribute", "create", "--name", "LeadListPms", "--type", "Int"]
    where = ["--namespace", "another", "--address", temporal.address]
    subprocess.run([str(temporal.commands / "temporal"), *create, *where], check=True)
    taken = run_setup(temporal, "another", SETUP_ATTEMPTS_MAX="2")
    assert taken.returncode != 0
    assert "LeadListPms already exists and has different type" in taken.stderr

    nobody = run_setup(temporal._replace(address=f"127.0.0.1:{free_port()}"), "failing", SETUP_ATTEMPTS_MAX="1")
    assert nobody.returncode != 0
    assert nobody.stderr


def test_setup_names_what_is_not_set(temporal: TemporalServer) -> None:
    unset = run_setup(temporal, "unset", KEYWORD_SEARCH_ATTRIBUTES="")
    assert unset.returncode != 0
    assert "KEYWORD_SEARCH_ATTRIBUTES" in unset.stderr


def test_temporal_answers_its_health_check(temporal: TemporalServer) -> None:
    *wget, url = SERVICES["temporal"]["healthcheck"]["test"]
    assert wget == ["CMD", "wget", "-q", "-O", "/dev/null"]
    deadline = time.monotonic() + 30
    status = 0
    while not status and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{temporal.http_port}{urlsplit(url).path}") as answer:
                status = answer.status
                assert json.load(answer)["serverVersion"]
        except urllib.error.URLError:
            time.sleep(0.2)  # the server is still starting
    assert status == HTTPStatus.OK
    assert urlsplit(url).port == 7243, "the default of the image; the gRPC port would not speak HTTP"


def test_the_image_versions_are_the_tested_ones(temporal: TemporalServer) -> None:
    command = [str(temporal.commands / "temporal"), "--version"]
    version = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    server = SERVICES["temporal"]["image"].split(":")[1]
    ui = SERVICES["temporal-ui"]["image"].split(":")[1]
    assert f"Server {server}, UI {ui}" in version
    for job in ("temporal-schema", "temporal-setup"):
        assert SERVICES[job]["image"] == f"temporalio/admin-tools:{server}"


# --- schema.sh -------------------------------------------------------------------------------------------------------

CONNECTION = {name: str(value) for name, value in SERVICES["temporal-schema"]["environment"].items()}


def run_schema(folder: Path, environment: dict[str, str], fails_on: str = "never") -> tuple[int, list[str], str]:
    """Runs schema.sh; returns its exit code, the calls of temporal-sql-tool and its standard error."""
    calls = folder / "calls"
    tool = folder / "temporal-sql-tool"
    tool.write_text(f'#!/bin/sh\necho "$*" >> {calls}\ncase "$*" in *"{fails_on}"*) exit 1 ;; esac\n')
    tool.chmod(0o755)
    done = run_script("schema.sh", environment, folder)
    return done.returncode, calls.read_text().splitlines() if calls.exists() else [], done.stderr


def test_schema_sets_up_then_updates_both_databases(tmp_path: Path) -> None:
    code, calls, _ = run_schema(tmp_path, CONNECTION)
    assert code == 0
    folder = "/etc/temporal/schema/postgresql/v12"
    assert calls == [
        "--db temporal setup-schema --version 0.0",
        f"--db temporal update-schema --schema-dir {folder}/temporal/versioned",
        "--db temporal_visibility setup-schema --version 0.0",
        f"--db temporal_visibility update-schema --schema-dir {folder}/visibility/versioned",
    ]


def test_schema_stops_at_the_first_failure(tmp_path: Path) -> None:
    code, calls, _ = run_schema(tmp_path, CONNECTION, fails_on="--db temporal update-schema")
    assert code != 0
    assert len(calls) == 2


def test_schema_needs_its_password(tmp_path: Path) -> None:
    code, calls, message = run_schema(tmp_path, CONNECTION | {"SQL_PASSWORD": ""})
    assert code != 0
    assert calls == []
    assert "SQL_PASSWORD" in message


# --- Health checks and the search back end ---------------------------------------------------------------------------


@pytest.fixture
def answers() -> Iterator[tuple[int, dict[str, HTTPStatus]]]:
    """An HTTP server on a free port, and what it answers by path."""
    by_path: dict[str, HTTPStatus] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(by_path.get(self.path, HTTPStatus.NOT_FOUND))
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Keeps the test output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, by_path
        server.shutdown()


@pytest.mark.parametrize(
    ("service", "port", "path"),
    [("worker", 8090, "/healthz"), ("searxng", 8080, "/healthz")],
)
def test_a_health_check_succeeds_only_on_success(
    service: str, port: int, path: str, answers: tuple[int, dict[str, HTTPStatus]]
) -> None:
    _, _python, flag, program = SERVICES[service]["healthcheck"]["test"]
    test_port, by_path = answers
    assert f"http://127.0.0.1:{port}{path}" in program

    def verdict(at_port: int) -> int:
        command = [sys.executable, flag, program.replace(f":{port}/", f":{at_port}/")]
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode

    by_path[path] = HTTPStatus.OK
    assert verdict(test_port) == 0
    by_path[path] = HTTPStatus.SERVICE_UNAVAILABLE
    assert verdict(test_port) != 0
    assert verdict(free_port()) != 0


def test_the_worker_listens_on_its_health_port() -> None:
    worker = SERVICES["worker"]
    assert f":{worker['environment']['WORKER_HEALTH_PORT']}/" in worker["healthcheck"]["test"][-1]


def test_searxng_answers_json_and_has_no_stored_secret() -> None:
    settings = yaml.safe_load((ROOT / "deploy" / "searxng" / "settings.yml").read_text())
    assert "json" in settings["search"]["formats"]
    assert settings["use_default_settings"] is True
    assert "secret_key" not in settings["server"]


def test_searxng_gets_a_new_secret_at_each_start(tmp_path: Path) -> None:
    image_entrypoint = "/usr/local/searxng/entrypoint.sh"
    shown = tmp_path / "entrypoint.sh"
    shown.write_text('#!/bin/sh\nprintf %s "$SEARXNG_SECRET"\n')
    shown.chmod(0o755)
    shell, flag, program = SERVICES["searxng"]["entrypoint"]
    program = program.replace("$$", "$").replace(image_entrypoint, str(shown))
    environment = {"PATH": os.environ["PATH"]}
    secrets = [
        subprocess.run([shell, flag, program], env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert secrets[0] != secrets[1]
    assert all(len(base64.b64decode(secret)) == 32 for secret in secrets)
