"""Which search back end the settings choose."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

import starter
from local.processes import ProcessIdentity
from local.stack_state import StackAddresses, StackRecord
from runtime import worker
from runtime.connection import with_local_stack
from runtime.local_session import stack_options
from runtime.process import UserError, load_settings
from search.choice import SEARCH_SETTINGS, make_backend
from settings import Settings
from store.database import Database
from tests.http_server import HttpServer, json_reply, serving
from usecases.doctor import examine
from web.fetch import WebClient
from web.gateway import ToolGateway

ALL_SET = {
    "searxng_url": "http://searxng.example",
    "serper_api_key": "k",
    "tavily_api_key": "k",
    "brave_api_key": "k",
    "openai_api_key": "k",
}


def settings_with(**given: Any) -> Settings:
    """Settings of this test alone."""
    return Settings(_env_file=None, **given)


@pytest.mark.usefixtures("plain_environment")
@pytest.mark.parametrize(
    ("left_out", "chosen"),
    [(0, "searxng"), (1, "serper"), (2, "tavily"), (3, "brave"), (4, None)],
    ids=["all", "no_searxng", "no_serper", "no_tavily", "model_key_alone"],
)
async def test_the_first_configured_back_end_is_used(left_out: int, chosen: str | None) -> None:
    settings = settings_with(**dict(list(ALL_SET.items())[left_out:]))
    assert settings.chosen_search == chosen
    async with httpx2.AsyncClient() as http:
        backend = make_backend(settings, http)
    assert (backend.name if backend else None) == chosen


@pytest.mark.usefixtures("plain_environment")
@pytest.mark.parametrize("name", ["searxng", "serper", "tavily", "brave", "openai"])
async def test_a_named_back_end_is_used(name: str) -> None:
    settings = settings_with(**ALL_SET, search_backend=name)
    async with httpx2.AsyncClient() as http:
        backend = make_backend(settings, http)
    assert backend is not None
    assert (backend.name, settings.chosen_search) == (name, name)


@pytest.mark.usefixtures("plain_environment")
@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("searxng", "SEARXNG_URL"),
        ("serper", "SERPER_API_KEY"),
        ("tavily", "TAVILY_API_KEY"),
        ("brave", "BRAVE_API_KEY"),
        ("openai", "OPENAI_API_KEY"),
    ],
)
def test_a_named_back_end_without_its_key_exits_with_2(
    name: str, setting: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEARCH_BACKEND", name)
    monkeypatch.setenv(setting, "")  # an empty variable sets nothing
    monkeypatch.setattr(sys, "argv", ["starter.py", "doctor"])
    for main in (worker.main, starter.main):
        assert main() == 2
        assert (
            f"the setting SEARCH_BACKEND is not valid: it needs {setting} (it is {name!r})" in capsys.readouterr().err
        )


@pytest.mark.usefixtures("plain_environment")
def test_an_unknown_back_end_is_refused_with_the_known_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEARCH_BACKEND", "bing")
    with pytest.raises(
        UserError, match=r"SEARCH_BACKEND is not valid: .*'searxng', 'serper', 'tavily', 'brave' or 'openai'"
    ):
        load_settings()


@pytest.mark.usefixtures("plain_environment")
def test_a_worker_without_any_back_end_names_the_choices() -> None:
    with pytest.raises(UserError) as caught:
        worker.check_settings(settings_with(openai_api_key="k"))
    assert SEARCH_SETTINGS in str(caught.value)
    worker.check_settings(settings_with(openai_api_key="k", search_backend="openai"))


@pytest.mark.usefixtures("plain_environment")
@pytest.mark.parametrize(
    ("given", "ok", "detail"),
    [
        ({}, False, SEARCH_SETTINGS),
        ({"brave_api_key": "k"}, True, "brave, its key is set"),
        ({"openai_api_key": "k", "search_backend": "openai"}, True, "a run's cost limit does not count it"),
        ({"searxng_url": "http://127.0.0.1:1"}, False, "check SEARXNG_URL"),
    ],
    ids=["none", "brave", "openai", "searxng_is_down"],
)
async def test_doctor_says_which_back_end_is_used(
    given: dict[str, Any], ok: bool, detail: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    nowhere = {"database_url": "postgresql://nobody@127.0.0.1:1/none", "local_dir": tmp_path}
    findings = await examine(settings_with(temporal_address="127.0.0.1:1", **nowhere, **given))
    (search,) = [finding for finding in findings if finding.part == "web search"]
    assert search.ok is ok
    assert detail in search.detail


@pytest.mark.usefixtures("plain_environment")
async def test_doctor_reports_what_the_local_stack_uses(
    tmp_path: Path,
) -> None:
    addresses = StackAddresses(
        temporal_address="127.0.0.1:1",
        database_url="postgresql://nobody@127.0.0.1:1/none",
        searxng_url="http://127.0.0.1:1",  # and no demo model: it was started with a key
        pid=1,
        started_at=datetime(2026, 11, 23, tzinfo=UTC),
    )
    record = StackRecord(supervisor=ProcessIdentity.of("supervisor"), addresses=addresses)
    (tmp_path / "stack.json").write_text(record.model_dump_json())
    findings = await examine(settings_with(local_dir=tmp_path, brave_api_key="k"))
    details = {finding.part: finding.detail for finding in findings}
    assert "this terminal's environment" in details["settings"]
    assert "restart the local stack" in details["settings"]
    assert details["web search"].startswith(
        "the local stack's workers use its demo web; restart the stack to use the one"
    )
    assert details["model"].startswith("not set in this terminal; the local stack uses its own")


@pytest.mark.usefixtures("plain_environment")
@pytest.mark.parametrize(
    ("given", "demo_web"),
    [
        ({}, True),
        ({"openai_api_key": "k"}, True),
        ({"tavily_api_key": "k"}, False),
        ({"searxng_url": "http://s"}, False),
    ],
    ids=["nothing", "a_model_alone", "a_key", "searxng"],
)
def test_the_demo_search_starts_only_if_none_is_chosen(given: dict[str, Any], demo_web: bool) -> None:
    assert stack_options(settings_with(**given)).demo_web is demo_web


@pytest.mark.usefixtures("plain_environment")
def test_a_worker_without_a_local_stack_keeps_its_settings(tmp_path: Path) -> None:
    settings = settings_with(local_dir=tmp_path, serper_api_key="k")
    assert with_local_stack(settings) is settings


def test_no_key_shows_in_the_settings() -> None:
    keys = {name: "very-secret" for name in ALL_SET if name.endswith("_key")}
    assert "very-secret" not in repr(settings_with(**keys))


async def test_back_ends_do_not_share_cached_results(database: Database, settings: Settings) -> None:
    organic = {"organic": [{"link": "http://serper.example/"}]}
    results = {"results": [{"url": "http://searxng.example/"}]}

    async def search(server: HttpServer, **chosen: Any) -> Any:
        own = settings.model_copy(update={"searxng_url": server.url, "serper_base_url": server.url, **chosen})
        web = WebClient(proxy=settings.web_proxy, timeout_s=1, bytes_max=1000)
        async with httpx2.AsyncClient(trust_env=False) as http:
            result = await ToolGateway(database, web, make_backend(own, http), own).search_web("property managers")
        await web.close()
        return result

    async with serving(lambda request: json_reply(results if request.method == "GET" else organic)) as server:
        of_searxng = await search(server)
        of_serper = await search(server, search_backend="serper", serper_api_key=SecretStr("k"))
        assert (await search(server)).result_id == of_searxng.result_id
        assert len(server.requests) == 2
    assert (of_searxng.args["backend"], of_serper.args["backend"]) == ("searxng", "serper")
    assert of_serper.payload["results"][0]["url"] == "http://serper.example/"
