"""What tests share: a Postgres server and the demo (web, search, model) per session, a database per test.

Nothing is mocked: the database is the local stack's, and the demo runs in its own process.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2
import openai
import psycopg
import pytest
from psycopg import sql
from pydantic import BaseModel, ConfigDict, SecretStr
from xdist.scheduler import LoadScopeScheduling

from agents.loop import AgentRunner
from local.demo.world import DEFAULT_SEED
from local.postgres import start_postgres
from local.processes import Child, ChildSpec
from search.searxng import SearxngSearch
from settings import Settings
from store.database import SCHEMA, Connection, Database, one_connection
from store.migrate import apply_migrations
from web.fetch import WebClient
from web.gateway import ToolGateway

PROJECT = Path(__file__).resolve().parents[1]
DEMO_READY_TIMEOUT_S = 60.0
_TEMPLATE = "migrated"
_numbers = count(1)


# Whole-job tests share one of the two stacks of tests/e2e/stacks.py.
_ON_IDLE_STACK = frozenset(f"tests/e2e/test_{name}.py" for name in ("lost_workflow", "models", "worker_kill"))


def _scope(nodeid: str) -> str:
    """What one process runs: a file, or all files that share a stack, which takes ten seconds to start."""
    file = nodeid.partition("::")[0]
    if file in _ON_IDLE_STACK:
        return "idle stack"
    return "stack" if file.startswith(("tests/browser/", "tests/e2e/")) else file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the two long scopes first, so that the last ones are short.

    Raises:
        UsageError: a file uses the idle stack and is not listed here; it would start a second one.
    """
    users = {item.nodeid.partition("::")[0] for item in items if "idle_stack" in getattr(item, "fixturenames", ())}
    if unlisted := users - _ON_IDLE_STACK:
        raise pytest.UsageError(f"list {', '.join(sorted(unlisted))} in _ON_IDLE_STACK (tests/conftest.py)")
    items.sort(key=lambda item: _scope(item.nodeid).startswith("tests/"))


class _ByScope(LoadScopeScheduling):  # type: ignore[misc]  # ships no types
    """Groups by ``_scope``; xdist's ``--dist loadgroup`` does not work with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Use our groups."""
    return _ByScope(config, log)


class DemoServers(BaseModel):
    """Where the demo answers."""

    model_config = ConfigDict(frozen=True)

    web_proxy: str
    searxng_url: str
    openai_base_url: str
    seed: int


@pytest.fixture(scope="session", autouse=True)
async def temporal_sdk_settled() -> AsyncIterator[None]:
    """Set up first, so it ends last: a short wait keeps the Temporal SDK from aborting the interpreter at exit."""
    yield
    await asyncio.sleep(0.25)


@pytest.fixture(scope="session")
async def postgres_url() -> AsyncIterator[str]:
    """Administrator's URL of a Postgres server for the session."""
    children: list[Child] = []

    def spawn(spec: ChildSpec) -> Child:
        children.append(Child(spec))
        return children[-1]

    with tempfile.TemporaryDirectory(prefix="pm-tests-") as name:
        _prepare(Path(name))
        try:
            server = await start_postgres(Path(name), None, spawn)
            url = database_on(server.database_url, "postgres")
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
                # Waiting for the disk is most of the time of a database copy.
                for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                    await conn.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
                await conn.execute("SELECT pg_reload_conf()")
            yield url
        finally:
            for child in reversed(children):
                await child.stop()


def _prepare(directory: Path) -> None:
    directory.chmod(0o711)  # the server's own system user must reach its data
    (directory / "logs").mkdir()


def database_on(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, f"/{name}", parts.query, ""))


@pytest.fixture(scope="session")
async def migrated_template(postgres_url: str) -> str:
    """Name of a database with the whole schema, to copy from."""
    await _administer(postgres_url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
    await asyncio.to_thread(apply_migrations, database_on(postgres_url, _TEMPLATE))
    return _TEMPLATE


@pytest.fixture
async def empty_database_url(postgres_url: str) -> AsyncIterator[str]:
    """A new database without any schema."""
    name = sql.Identifier(f"empty_{next(_numbers)}")
    await _administer(postgres_url, sql.SQL("CREATE DATABASE {}").format(name))
    yield database_on(postgres_url, name.as_string().strip('"'))
    await _administer(postgres_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture(scope="session")
def spare_databases() -> list[str]:
    """Databases of earlier tests to use again; emptying one takes a fifth of the time of a copy."""
    return []


@pytest.fixture
async def database_url(postgres_url: str, migrated_template: str, spare_databases: list[str]) -> AsyncIterator[str]:
    """A database with the whole schema and no rows, for one test."""
    if spare_databases:
        name = spare_databases.pop()
    else:
        name = f"test_{next(_numbers)}"
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        await _administer(postgres_url, copy.format(sql.Identifier(name), sql.Identifier(migrated_template)))
    yield database_on(postgres_url, name)
    if await _emptied(database_on(postgres_url, name), database_on(postgres_url, migrated_template)):
        spare_databases.append(name)
    else:
        await _administer(postgres_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def _emptied(url: str, template_url: str) -> bool:
    """Disconnect everybody else and delete all rows. False if the test has changed the schema."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        tables = await _tables(conn)
        async with await psycopg.AsyncConnection.connect(template_url) as template:
            if tables != await _tables(template):
                return False
        named = sql.SQL(", ").join(sql.Identifier(SCHEMA, name) for name in tables)
        await conn.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(named))
    return True


async def _tables(conn: psycopg.AsyncConnection[tuple[str, ...]]) -> list[str]:
    cursor = await conn.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename !~ 'yoyo' ORDER BY tablename", (SCHEMA,)
    )
    return [row[0] for row in await cursor.fetchall()]


@asynccontextmanager
async def database_away(url: str) -> AsyncIterator[None]:
    """Nobody can use this database while the block runs, as if its server were gone."""
    name, admin_url = urlsplit(url).path.lstrip("/"), database_on(url, "postgres")
    allow = "ALTER DATABASE {} ALLOW_CONNECTIONS {}"
    await _administer(admin_url, sql.SQL(allow).format(sql.Identifier(name), sql.SQL("false")))
    try:
        async with await psycopg.AsyncConnection.connect(admin_url, autocommit=True) as conn:
            await conn.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
        yield
    finally:
        await _administer(admin_url, sql.SQL(allow).format(sql.Identifier(name), sql.SQL("true")))


@pytest.fixture
async def impatient_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """The production pool with a short timeout, for tests in which the database goes away."""
    monkeypatch.setattr("store.database._CONNECT_TIMEOUT_S", 0.3)
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The production pool on a new database."""
    database = Database(database_url, pool_max=25)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Connection]:
    """A connection to a new database, in autocommit, as a command has it."""
    async with one_connection(database_url) as conn:
        await conn.set_autocommit(True)
        yield conn


async def _administer(url: str, statement: sql.Composed) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await conn.execute(statement)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServers]:
    """The demo's web, search and model for the session."""
    ready = tmp_path_factory.mktemp("demo") / "ready.json"
    options = ["--seed", str(DEFAULT_SEED), "--ready-file", str(ready)]
    process = subprocess.Popen([sys.executable, "-m", "local.demo", "serve", *options], cwd=PROJECT)
    try:
        deadline = time.monotonic() + DEMO_READY_TIMEOUT_S
        while not ready.exists():
            assert process.poll() is None, f"the demo ended with {process.returncode} before it was ready"
            assert time.monotonic() < deadline, f"the demo was not ready within {DEMO_READY_TIMEOUT_S:g} s"
            time.sleep(0.05)
        yield DemoServers.model_validate_json(ready.read_text(encoding="utf-8"))
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove all settings from the environment."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def settings(plain_environment: None, database_url: str, demo: DemoServers) -> Settings:
    """Settings of a worker on the test's database and the demo's servers."""
    return Settings(
        _env_file=None,
        database_url=SecretStr(database_url),
        openai_api_key=SecretStr("demo"),
        openai_base_url=demo.openai_base_url,
        openai_model="demo-scripted-1",
        model_price_input_usd_per_mtok=1.0,
        model_price_output_usd_per_mtok=4.0,
        model_timeout_s=20.0,
        searxng_url=demo.searxng_url,
        web_proxy=demo.web_proxy,
        page_timeout_s=5.0,
        demo_seed=demo.seed,
    )


@pytest.fixture(scope="session")
async def demo_web(demo: DemoServers) -> AsyncIterator[WebClient]:
    """The demo's web. One for the session: its TLS setup takes longer than most tests."""
    web = WebClient(proxy=demo.web_proxy, timeout_s=5.0, bytes_max=3_000_000)
    yield web
    await web.close()


@pytest.fixture(scope="session")
async def demo_search(demo: DemoServers) -> AsyncIterator[SearxngSearch]:
    """The demo's search."""
    async with httpx2.AsyncClient(timeout=10.0, trust_env=False) as http:
        yield SearxngSearch(http, demo.searxng_url)


@pytest.fixture
def gateway(database: Database, demo_web: WebClient, demo_search: SearxngSearch, settings: Settings) -> ToolGateway:
    """The tools on the demo's web and search, with an empty cache."""
    return ToolGateway(database, demo_web, demo_search, settings)


@pytest.fixture(scope="session")
async def demo_model(demo: DemoServers) -> AsyncIterator[openai.AsyncOpenAI]:
    """The demo's model."""
    async with openai.AsyncOpenAI(api_key="demo", base_url=demo.openai_base_url, timeout=20.0, max_retries=0) as client:
        yield client


@pytest.fixture
def runner(database: Database, gateway: ToolGateway, demo_model: openai.AsyncOpenAI, settings: Settings) -> AgentRunner:
    """The agent loop, on the demo's model."""
    return AgentRunner(demo_model, gateway, database, settings)


def model_client(settings: Settings) -> openai.AsyncOpenAI:
    """The model client as a worker creates it. Use it as a context manager."""
    return openai.AsyncOpenAI(
        api_key=settings.openai_api_key.get_secret_value() if settings.openai_api_key else "none",
        base_url=settings.openai_base_url,
        timeout=settings.model_timeout_s,
        max_retries=0,
    )
