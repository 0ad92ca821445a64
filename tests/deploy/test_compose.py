"""docker-compose.yml, the Dockerfile, .env.example and docs/deploy.md agree with each other and with the code."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from settings import STOP_MARGIN_S, Settings
from workflows import names

ROOT = Path(__file__).parents[2]
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text()
RAW: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = RAW["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ENV_EXAMPLE = (ROOT / ".env.example").read_text()

SEARCH_ATTRIBUTES = [key.name for key in names.SEARCH_ATTRIBUTES]

# ${NAME}, ${NAME:-default} and ${NAME:?message}
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z_]+)(?::(?P<operator>[-?])(?P<operand>[^}]*))?\}")
SECRET_NAME = re.compile(r"PASSWORD|PWD|SECRET|TOKEN|KEY$|DATABASE_URL")
SERVICE_NAMES = sorted(SERVICES)
ONE_SHOTS = {name for name, service in SERVICES.items() if service["restart"] == "no"}


def resolved(value: Any) -> Any:
    """``value`` as Compose sees it if only the required variables are set (to ``set-NAME``)."""
    if isinstance(value, dict):
        return {key: resolved(item) for key, item in value.items()}
    if isinstance(value, list):
        return [resolved(item) for item in value]
    if not isinstance(value, str):
        return value

    def substitute(match: re.Match[str]) -> str:
        return match["operand"] if match["operator"] == "-" else f"set-{match['name']}"

    return VARIABLE.sub(substitute, value).replace("$$", "$")


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("name", SERVICE_NAMES)
def test_a_dependency_can_become_ready(name: str) -> None:
    for needed, terms in SERVICES[name].get("depends_on", {}).items():
        assert needed in SERVICES
        if needed in ONE_SHOTS:
            assert terms["condition"] == "service_completed_successfully"
        else:
            assert terms["condition"] == "service_healthy"
            assert "healthcheck" in SERVICES[needed]
        # Compose refuses a dependency whose profile is off.
        assert set(SERVICES[needed].get("profiles", [])) <= set(SERVICES[name].get("profiles", []))


@pytest.mark.parametrize("name", SERVICE_NAMES)
def test_a_service_ends_or_has_a_health_check(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] in ("no", "unless-stopped")
    assert ("healthcheck" in service) == (name not in ONE_SHOTS)


def test_workers_start_after_everything_they_need() -> None:
    before: set[str] = set()
    waiting = ["worker"]
    while waiting:
        needed = set(SERVICES[waiting.pop()].get("depends_on", {})) - before
        before |= needed
        waiting += needed
    assert before == {"postgres", "temporal-schema", "temporal", "temporal-setup", "setup"}
    assert before & ONE_SHOTS == {"temporal-schema", "temporal-setup", "setup"}


@pytest.mark.parametrize("name", SERVICE_NAMES)
def test_published_ports_are_on_loopback_by_default(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert isinstance(port, str)
        assert port.startswith("${BIND_ADDRESS:-127.0.0.1}:")
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", resolved(port))


def test_only_temporal_and_its_ui_are_published() -> None:
    assert {name for name in SERVICES if "ports" in SERVICES[name]} == {"temporal", "temporal-ui"}


def test_only_services_that_need_postgres_reach_it() -> None:
    assert RAW["networks"]["data"]["internal"] is True
    assert SERVICES["postgres"]["networks"] == ["data"]
    for name, service in SERVICES.items():
        addresses = " ".join(strings(service.get("environment", {})))
        speaks_to_postgres = name == "postgres" or bool(re.search(r"(^|@| )postgres(:|$| )", addresses))
        assert ("data" in service["networks"]) == speaks_to_postgres, name
        if "temporal:7233" in addresses:
            assert "engine" in service["networks"], name


def test_every_secret_is_required_from_the_environment() -> None:
    found = set()
    for service in SERVICES.values():
        for key, value in (service.get("environment") or {}).items():
            if SECRET_NAME.search(key):
                required = [match["name"] for match in VARIABLE.finditer(value) if match["operator"] == "?"]
                assert len(required) == 1, key
                found |= set(required)
                assert value.startswith("${") or ":${" in value, f"{key} has a literal secret"
    assert found == {"POSTGRES_PASSWORD", "TEMPORAL_DB_PASSWORD", "APP_DB_PASSWORD", "OPENAI_API_KEY"}
    assert not re.search(r"//[^/\s@${}]+:[^@\s$]+@", COMPOSE_TEXT), "a URL with a literal password"
    for name in found:
        assert re.search(rf"^{name}=$", ENV_EXAMPLE, re.MULTILINE), f"{name} must be empty in .env.example"


def test_env_example_names_every_variable_and_its_default() -> None:
    used = {match["name"]: match for match in VARIABLE.finditer(COMPOSE_TEXT) if match["name"] != "VAR"}
    settings = [item for service in SERVICES.values() for item in service.get("environment", {}).items()]
    handed_on = {name for name, value in settings if value is None}
    named = dict(re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", ENV_EXAMPLE, re.MULTILINE))
    assert set(named) == set(used) | handed_on
    for name, match in used.items():
        assert named[name] == (match["operand"] if match["operator"] == "-" else "")


@pytest.mark.parametrize("name", SERVICE_NAMES)
def test_images_are_pinned(name: str) -> None:
    image = resolved(SERVICES[name]["image"])
    if "build" in SERVICES[name]:
        assert image == "pm-pipeline:local"
    else:
        assert re.fullmatch(r"[a-z/-]+:\d+\.\d+[\w.-]*", image), "a tag of at least major.minor"
    assert "latest" not in image


@pytest.mark.parametrize("name", SERVICE_NAMES)
def test_mounted_files_exist_and_are_read_only(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, _, rest = volume.partition(":")
        if source.startswith("./"):
            path = ROOT / source
            assert path.is_file() or any(path.iterdir())
            assert rest.endswith(":ro")
        else:
            assert source in RAW["volumes"]


def test_the_registered_search_attributes_are_the_used_ones() -> None:
    assert SERVICES["temporal-setup"]["environment"]["KEYWORD_SEARCH_ATTRIBUTES"].split() == SEARCH_ATTRIBUTES


def test_workers_scale_and_have_time_to_drain() -> None:
    worker = resolved(SERVICES["worker"])
    assert worker["deploy"]["replicas"] == "2"
    assert "ports" not in worker, "a published port could belong to one replica only"
    assert "container_name" not in worker
    assert worker["init"] is True
    assert worker["stop_grace_period"] == f"{Settings(_env_file=None).worker_drain_s + STOP_MARGIN_S:g}s"


def dockerfile_copies() -> list[str]:
    """Sources of every COPY from the build context."""
    copies = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [source for arguments in copies for source in arguments.split()[:-1]]


def test_the_image_holds_only_the_source() -> None:
    for source in dockerfile_copies():
        assert (ROOT / source).exists(), source
    assert {"local", "tests", "bench", "."}.isdisjoint(dockerfile_copies())


def test_the_build_context_holds_only_what_is_copied() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert allowed == set(dockerfile_copies())


def test_the_image_is_pinned_and_does_not_run_as_root() -> None:
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.11\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON_IMAGE}"}
    user = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert user
    assert "0" not in user[-1]
    assert not re.search(r"^(ARG|ENV).*(PASSWORD|SECRET|TOKEN|API_KEY)", DOCKERFILE, re.MULTILINE)


def test_the_image_installs_the_runtime_dependencies() -> None:
    command = re.search(r"^RUN python -c (\".+\") > requirements.txt$", DOCKERFILE, re.MULTILINE)
    assert command
    program = shlex.split(command[1])[0]
    output = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert output.stdout.splitlines() == project["dependencies"]


def documented_commands() -> list[list[str]]:
    text = (ROOT / "docs" / "deploy.md").read_text()
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    return [shlex.split(line, comments=True)[2:] for line in lines if line.startswith("docker compose ")]


@pytest.mark.parametrize("words", documented_commands(), ids=" ".join)
def test_documented_commands_name_existing_services(words: list[str]) -> None:
    while words[0] == "--profile":
        assert any(words[1] in service.get("profiles", []) for service in SERVICES.values())
        words = words[2:]
    subcommand, *arguments = words
    assert subcommand in {"up", "down", "ps", "stop", "logs", "exec", "build", "config"}
    if "--scale" in arguments:
        arguments.remove("--scale")
    named = [word.partition("=")[0] for word in arguments if not word.startswith("-")]
    assert set(named[:1] if subcommand == "exec" else named) <= set(SERVICES)
