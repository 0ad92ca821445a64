"""Postgres 18 for the embedded stack: one cluster per stack directory, on 127.0.0.1 with a random password.

TCP works with every client and with paths of any length, unlike a Unix socket. The password keeps out other users.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import psycopg
import structlog
from psycopg import sql

from local.postgres_home import PostgresHome, find_postgres_home
from local.processes import (
    LOOPBACK,
    ChildSpec,
    Spawn,
    StackError,
    free_ports,
    on_free_ports,
    require_free_port,
    stop_leftover,
)

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

ROLE = "pm_pipeline"
DATABASE = "pm_pipeline"
INITDB_TIMEOUT_S = 60.0
READY_TIMEOUT_S = 60.0  # includes recovery after a crash
STOP_GRACE_S = 20.0
CONNECT_TIMEOUT_S = 3


class PostgresServer(NamedTuple):
    """A running server. Never log the URL: it contains the password."""

    database_url: str
    port: int


async def start_postgres(directory: Path, port: int | None, spawn: Spawn) -> PostgresServer:
    """Start Postgres on the cluster of a stack directory. Create the cluster if it is missing.

    Raises:
        StackError: programs or password are missing, the port is in use, or the server did not become ready.
    """
    require_free_port(port, user="Postgres", option="postgres_port")
    try:
        home = find_postgres_home(directory)  # not in a thread: it would outlive a cancelled start
        if home.is_new:
            await _create_cluster(home, directory / "logs" / "postgres.log")
    except OSError as error:
        raise StackError(f"no place for Postgres: {error}. Choose another directory, or another user.") from error
    await _stop_earlier_server(home.data)

    async def attempt() -> PostgresServer:
        chosen_port = port or free_ports(1)[0]
        address = f"postgresql://{ROLE}:{home.password}@{LOOPBACK}:{chosen_port}"
        child = spawn(_server_spec(home, directory, chosen_port))

        async def missing() -> str | None:
            try:
                await _require_database(f"{address}/postgres")
            except psycopg.OperationalError as error:
                return f"no connection on port {chosen_port} ({error})"
            return None

        await child.wait_until_ready(missing, READY_TIMEOUT_S)
        return PostgresServer(f"{address}/{DATABASE}", chosen_port)

    return await on_free_ports(attempt, chosen_by_us=port is None)


def _environment() -> dict[str, str]:
    # Do not pass on the caller's variables: some are secrets, and PG* would change Postgres.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _server_spec(home: PostgresHome, directory: Path, port: int) -> ChildSpec:
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "200",  # each worker, the dashboard and each command has a pool
        "timezone": "UTC",
        "log_timezone": "UTC",
        "cluster_name": "pm-pipeline",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return ChildSpec(
        name="postgres",
        command=(str(home.programs / "postgres"), "-D", str(home.data), *options),
        environment=_environment(),
        cwd=home.data,
        log_path=directory / "logs" / "postgres.log",
        user=home.user,
        stop_signal=signal.SIGINT,  # "fast" shutdown; SIGTERM would wait for every client to disconnect
        grace_s=STOP_GRACE_S,
    )


async def _create_cluster(home: PostgresHome, log_path: Path) -> None:
    """Run initdb in a temporary directory and then rename it, so that a half-made cluster is never used."""
    unfinished = home.data.with_name(f"{home.data.name}.unfinished")
    password_file = home.data.with_name(f"{home.data.name}.password-{secrets.token_hex(4)}")
    try:
        _prepare(home, unfinished, password_file)
        code = await asyncio.wait_for(_initdb(home, unfinished, password_file, log_path), INITDB_TIMEOUT_S)
        if code != 0:
            raise StackError(f"the Postgres cluster could not be created in {home.data}. See {log_path}.")
        unfinished.rename(home.data)
    except TimeoutError as error:
        raise StackError(f"initdb did not end within {INITDB_TIMEOUT_S:g} s. See {log_path}.") from error
    finally:
        password_file.unlink(missing_ok=True)
    log.info("postgres_cluster_created", data=str(home.data))


def _prepare(home: PostgresHome, unfinished: Path, password_file: Path) -> None:
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    password_file.touch(mode=0o600)
    password_file.write_text(home.password)
    if home.user is not None:
        os.chown(unfinished, home.user.uid, home.user.gid)
        os.chown(password_file, home.user.uid, home.user.gid)


async def _initdb(home: PostgresHome, unfinished: Path, password_file: Path, log_path: Path) -> int:
    options = {
        "--pgdata": str(unfinished),
        "--username": ROLE,
        "--pwfile": str(password_file),
        "--auth": "scram-sha-256",
        "--encoding": "UTF8",
        # Sorts the same on every machine, because the provider is part of Postgres.
        "--locale-provider": "builtin",
        "--builtin-locale": "C.UTF-8",
        "--locale": "C",
    }
    words = [word for option in options.items() for word in option]
    with os.fdopen(os.open(log_path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(str(home.programs / "initdb"), "--no-instructions", *words),
            stdout=output,
            stderr=output,
            env=_environment(),
            cwd=unfinished,
            user=home.user.uid if home.user else None,
            group=home.user.gid if home.user else None,
            extra_groups=() if home.user else None,
        )
    try:
        return await process.wait()
    finally:
        with suppress(ProcessLookupError):
            process.kill()


async def _stop_earlier_server(data: Path) -> None:
    """Stop the server in ``postmaster.pid``. Remove the file if another program now has that pid.

    The caller holds the stack's lock, so the supervisor of that server is gone.
    """
    pid_file = data / "postmaster.pid"
    try:
        process = psutil.Process(int(pid_file.read_text().splitlines()[0]))
        command = process.cmdline()
    except (IndexError, ValueError, psutil.AccessDenied, psutil.ZombieProcess):
        command = []  # an unreadable file, another user's process or a zombie
    except (FileNotFoundError, psutil.NoSuchProcess):
        return  # Postgres removes the file of a dead process itself
    if command and Path(command[0]).name == "postgres" and str(data) in command:
        await stop_leftover(process, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
    else:
        log.warning("stale_postmaster_pid_removed", path=str(pid_file))
        pid_file.unlink(missing_ok=True)


async def _require_database(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
    ) as connection:
        found = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
        if await found.fetchone() is None:
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
