"""Postgres 18 for the embedded stack: one cluster per stack directory, reached over 127.0.0.1 with a random password.

Lives here: creating the cluster once, starting it, stopping one that an earlier start left. Which system user owns it
and where its files are is in `postgres_home.py`; schema and migrations belong to `store/`.

TCP with a password (scram-sha-256) instead of a Unix socket: it works with every client and with paths of any length,
and no other user of the machine gets in. No socket is opened at all.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
from pathlib import Path

import psutil
import psycopg
import structlog
from psycopg import sql
from pydantic import BaseModel

from local.postgres_home import PostgresHome, find_postgres_home
from local.processes import (
    LOOPBACK,
    Child,
    ChildSpec,
    Spawn,
    StackError,
    free_ports,
    on_free_ports,
    require_free_port,
    stop_process,
)

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

ROLE = "pm_pipeline"
DATABASE = "pm_pipeline"
INITDB_TIMEOUT_S = 60.0
READY_TIMEOUT_S = 60.0  # recovery after a crash counts
STOP_GRACE_S = 20.0
CONNECT_TIMEOUT_S = 3


class PostgresServer(BaseModel, frozen=True):
    """Where the running server answers. The URL holds the password: never log it."""

    database_url: str
    port: int


async def start_postgres(directory: Path, port: int | None, spawn: Spawn) -> PostgresServer:
    """Start Postgres on the cluster of this stack directory, created if there is none, and wait until it answers.

    Raises:
        StackError: binaries are missing, a port that was asked for is in use, the cluster cannot be created, its
            password is lost, or the server did not become ready.
    """
    if port is not None:
        require_free_port(port, user="Postgres", option="postgres_port")
    try:
        home = await asyncio.to_thread(find_postgres_home, directory)
    except OSError as error:
        raise StackError(
            f"no place for Postgres: {error}. Choose another directory, or run as another user."
        ) from error
    if home.is_new:
        await _create_cluster(home, directory, spawn)
    else:
        await _stop_earlier_server(home.data)

    async def attempt() -> PostgresServer:
        chosen_port = port or free_ports(1)[0]
        child = spawn(_server_spec(home, directory, chosen_port))
        await _wait_until_ready(child, home, chosen_port)
        return PostgresServer(database_url=_url(home, chosen_port, DATABASE), port=chosen_port)

    return await on_free_ports(attempt, chosen_by_us=port is None)


def _url(home: PostgresHome, port: int, database: str) -> str:
    return f"postgresql://{ROLE}:{home.password}@{LOOPBACK}:{port}/{database}"


def _environment() -> dict[str, str]:
    # No variable of the caller: it holds keys that Postgres does not need, and PG* would change its behaviour.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _server_spec(home: PostgresHome, directory: Path, port: int) -> ChildSpec:
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "200",  # several workers with a pool each, the dashboard, commands
        "timezone": "UTC",
        "log_timezone": "UTC",
        "cluster_name": "pm-pipeline",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return ChildSpec(
        name="postgres",
        command=(str(home.binaries / "postgres"), "-D", str(home.data), *options),
        environment=_environment(),
        cwd=home.data,
        log_path=directory / "logs" / "postgres.log",
        user=home.user,
        # "Fast" shutdown: SIGTERM would wait for every client to leave. Then "immediate": the next start recovers.
        stop_signal=signal.SIGINT,
        urgent_signal=signal.SIGQUIT,
        grace_s=STOP_GRACE_S,
    )


async def _create_cluster(home: PostgresHome, directory: Path, spawn: Spawn) -> None:
    """Run initdb beside the final place and move the result there: an interrupted one is never taken for a cluster."""
    unfinished = home.data.with_name(f"{home.data.name}.unfinished")
    password_file = home.data.with_name(f"initdb-{secrets.token_hex(4)}.password")
    try:
        _remove_tree(unfinished)
        unfinished.mkdir(mode=0o700)
        password_file.touch(mode=0o600)
        password_file.write_text(home.password)
        if home.user is not None:
            os.chown(unfinished, home.user.uid, home.user.gid)
            os.chown(password_file, home.user.uid, home.user.gid)
        child = spawn(_initdb_spec(home, directory, unfinished, password_file))
        if not await child.wait(INITDB_TIMEOUT_S):
            raise StackError(f"initdb did not end within {INITDB_TIMEOUT_S:g} s. {child.log_tail()}")
        if not (unfinished / "PG_VERSION").exists() or not child.succeeded:
            raise StackError(f"the Postgres cluster could not be created in {home.data}. {child.describe_end()}")
        unfinished.rename(home.data)
    finally:
        password_file.unlink(missing_ok=True)
    log.info("postgres_cluster_created", data=str(home.data))


def _initdb_spec(home: PostgresHome, directory: Path, data: Path, password_file: Path) -> ChildSpec:
    options = {
        "--pgdata": str(data),
        "--username": ROLE,
        "--pwfile": str(password_file),
        "--auth": "scram-sha-256",
        "--encoding": "UTF8",
        # Sorts the same on every machine: the provider is inside Postgres, not in the system's C library.
        "--locale-provider": "builtin",
        "--builtin-locale": "C.UTF-8",
        "--locale": "C",
    }
    words = [word for option in options.items() for word in option]
    return ChildSpec(
        name="initdb",
        command=(str(home.binaries / "initdb"), "--no-instructions", *words),
        environment=_environment(),
        cwd=data,
        log_path=directory / "logs" / "postgres.log",
        user=home.user,
        grace_s=STOP_GRACE_S,
    )


def _remove_tree(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


async def _stop_earlier_server(data: Path) -> None:
    """Make `postmaster.pid` no obstacle: stop the server it names, or remove it if its number is another program's now.

    Called with the stack's lock held, so a server on this data belongs to a supervisor that is gone.
    """
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().splitlines()[0])
        process = psutil.Process(pid)
        is_ours = Path(process.cmdline()[0]).name == "postgres" and str(data) in process.cmdline()
    except (IndexError, ValueError, psutil.AccessDenied, psutil.ZombieProcess):
        is_ours = False  # an unreadable file, somebody else's process, a kernel thread or a dead server nobody buried
    except (FileNotFoundError, psutil.NoSuchProcess):
        return  # ended in order, or not in order and Postgres itself sees that
    if is_ours:
        log.warning("leftover_postgres_stopped", pid=pid)
        await stop_process(process, (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL))
    else:
        log.warning("stale_postmaster_pid_removed", path=str(pid_file))
        pid_file.unlink(missing_ok=True)


async def _wait_until_ready(child: Child, home: PostgresHome, port: int) -> None:
    async def missing() -> str | None:
        try:
            await _require_database(_url(home, port, "postgres"))
        except psycopg.OperationalError as error:
            return f"no connection on port {port} ({error})"
        return None

    await child.wait_until_ready(missing, READY_TIMEOUT_S)


async def _require_database(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
    ) as connection:
        found = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
        if await found.fetchone() is None:
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
