"""The connections of one command: a Temporal client and a database connection."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from runtime.connection import Endpoints, connect, find_endpoints
from runtime.process import UserError
from settings import Settings
from store.database import Connection, DatabaseUnreachableError, DatabaseVersionError, one_connection
from store.migrate import pending_migrations

_RUNS_CONTINUE = (
    "Open runs continue when it is back (for the local stack: `python starter.py local`). `python starter.py list` shows "
    "them, and `python starter.py watch RUN` follows one"
)


@dataclass(frozen=True)
class Services:
    """The connections of one command. ``conn`` is in autocommit."""

    settings: Settings
    endpoints: Endpoints
    client: Client
    conn: Connection

    def link(self, workflow_id: str) -> str | None:
        """Return the workflow's address in the Web UI, if that is known."""
        base = self.endpoints.temporal_ui_url
        return f"{base.rstrip('/')}/namespaces/{self.client.namespace}/workflows/{workflow_id}" if base else None


@asynccontextmanager
async def open_services(settings: Settings, endpoints: Endpoints | None = None) -> AsyncIterator[Services]:
    """Connect to both servers.

    Raises:
        UserError: a server does not answer, stops answering in the block, or the database needs migrations.
    """
    endpoints = endpoints or find_endpoints(settings)
    async with open_database(settings, endpoints) as conn:
        client = await connect(endpoints.temporal_address)
        try:
            yield Services(settings, endpoints, client, conn)
        except RPCError as error:
            if error.status is not RPCStatusCode.UNAVAILABLE:
                raise
            raise UserError(f"Temporal stopped answering ({error}). {_RUNS_CONTINUE}") from error


@asynccontextmanager
async def open_database(settings: Settings, endpoints: Endpoints | None = None) -> AsyncIterator[Connection]:
    """Connect to the database.

    Raises:
        UserError: it does not answer, stops answering in the block, needs migrations, or was made by another version.
    """
    url = (endpoints or find_endpoints(settings)).database()
    try:
        pending = pending_migrations(url)
        if pending:
            raise UserError(f"the database lacks {', '.join(pending)}: run `python starter.py setup`")
        async with one_connection(url) as conn:
            await conn.set_autocommit(True)
            yield conn
    except (DatabaseUnreachableError, DatabaseVersionError) as error:
        raise UserError(str(error)) from error
    except psycopg.OperationalError as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"the database stopped answering ({reason}). {_RUNS_CONTINUE}") from error
