"""A worker that lacks something says so and does not start; one that runs says how it is."""

import asyncio
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from pydantic import SecretStr
from temporalio.client import Client

from runtime.health import Health, serve_health
from runtime.process import UserError
from settings import Settings
from tests.conftest import database_away
from tests.workflows.conftest import Server
from tests.workflows.world import World
from worker import build_workers, main, work_until_stopped


def settings_of(server: Server, url: str, **changes: object) -> Settings:
    """Settings of a worker that has all it needs, but for the changes."""
    given: dict[str, object] = {
        "temporal_address": server.client.service_client.config.target_host,
        "database_url": SecretStr(url),
        "openai_api_key": SecretStr("none"),
        "searxng_url": "http://127.0.0.1:9",
    }
    return Settings(_env_file=None, **(given | changes))  # type: ignore[arg-type]


async def refusal(settings: Settings) -> str:
    """Why a worker does not start."""
    with pytest.raises(UserError) as refused:
        await asyncio.wait_for(work_until_stopped(settings), 30)
    return str(refused.value)


def get(port: int, path: str) -> tuple[int, str]:
    """Status and text of a probe."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def test_both_workers_of_a_process_ask_for_activities_with_one_poll(
    plain_environment: None, dev_server: Server, database_url: str
) -> None:
    settings, world = settings_of(dev_server, database_url), World()
    client = await Client.connect(settings.temporal_address or "")  # of its own: the server's has these queues already
    for worker in build_workers(client, settings, world.steps(), world.agent_calls()):
        assert worker.config()["max_concurrent_activity_task_polls"] == 1, "see ACTIVITY_POLLS"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"openai_api_key": None}, "set OPENAI_API_KEY"),
        ({"searxng_url": None}, "set SEARXNG_URL"),
        ({"database_url": SecretStr("postgresql://nobody@127.0.0.1:9/none")}, "the database does not answer"),
        ({"mcp_config": Path("/no/such/file.json")}, "/no/such/file.json"),
    ],
    ids=["no model", "no search", "no database", "no mcp file"],
)
async def test_f59_a_worker_that_lacks_something_names_it_and_does_not_start(
    plain_environment: None, dev_server: Server, database_url: str, changes: dict[str, object], said: str
) -> None:
    assert said in await refusal(settings_of(dev_server, database_url, **changes))


async def test_a_worker_does_not_start_on_a_database_that_lacks_a_migration(
    plain_environment: None, dev_server: Server, empty_database_url: str
) -> None:
    assert "run `python starter.py setup`" in await refusal(settings_of(dev_server, empty_database_url))


async def test_a_worker_whose_health_port_is_taken_says_which(
    plain_environment: None, dev_server: Server, database_url: str
) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        said = await refusal(settings_of(dev_server, database_url, worker_health_port=port))
    assert f"WORKER_HEALTH_PORT {port} cannot be listened on" in said


async def test_f34_a_worker_is_ready_only_while_temporal_and_the_database_answer_and_it_takes_work(
    dev_server: Server, empty_database_url: str
) -> None:
    health = Health.of_worker(dev_server.client, empty_database_url)
    with serve_health(0, health) as port:
        await health.look()
        assert await asyncio.to_thread(get, port, "/readyz") == (503, "starting\n")
        health.state = ""
        assert await asyncio.to_thread(get, port, "/readyz") == (200, "ok\n")
        async with database_away(empty_database_url):
            await health.look()
        status, said = await asyncio.to_thread(get, port, "/readyz")
        assert (status, said) == (503, "database does not answer (DatabaseUnreachableError)\n")
        assert (await asyncio.to_thread(get, port, "/healthz"))[0] == 200, "alive: a restart would not mend it"
        health.state = "draining"
        assert "draining" in (await asyncio.to_thread(get, port, "/readyz"))[1]
        assert (await asyncio.to_thread(get, port, "/nothing"))[0] == 404


async def test_a_server_that_is_gone_makes_a_worker_not_ready(dev_server: Server, database_url: str) -> None:
    async def gone() -> None:
        raise ConnectionRefusedError

    health = Health({"temporal": gone}, state="")
    await health.look()
    assert health.not_ready() == ["temporal does not answer (ConnectionRefusedError)"]


def test_a_worker_whose_event_loop_stands_still_is_not_alive() -> None:
    health = Health({}, state="")
    assert health.stuck() == []
    health.looked_at -= 60
    assert "stood still" in health.stuck()[0] and health.not_ready() == health.stuck()


@pytest.mark.parametrize(("word", "code"), [("--help", 0), ("--workers=2", 2)])
def test_a_word_on_its_command_line_starts_no_worker(capsys: pytest.CaptureFixture[str], word: str, code: int) -> None:
    assert main([word]) == code
    assert "usage: python worker.py" in capsys.readouterr().err


def test_a_health_port_that_is_none_is_refused_as_a_setting() -> None:
    with pytest.raises(ValueError, match="worker_health_port"):
        Settings(_env_file=None, worker_health_port=-4)
