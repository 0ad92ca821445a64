"""What a command needs: Temporal's client and one database connection, opened together, closed together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from runtime.connection import Endpoints, connect, find_endpoints
from runtime.process import UserError
from settings import Settings
from store.database import Connection, DatabaseUnreachableError, one_connection
from store.migrate import pending_migrations

_GOES_ON = (
    "Runs that are open go on when it is back (the local stack: `python starter.py local`); follow one with "
    "`python starter.py watch RUN`, `python starter.py list` shows them"
)


@dataclass(frozen=True)
class Services:
    """Connections of one command. ``conn`` is in autocommit: each statement stands for itself."""

    settings: Settings
    endpoints: Endpoints
    client: Client
    conn: Connection

    def link(self, workflow_id: str) -> str | None:
        """Where the Web UI shows a workflow, if the UI's address is known."""
        base = self.endpoints.temporal_ui_url
        return f"{base.rstrip('/')}/namespaces/{self.client.namespace}/workflows/{workflow_id}" if base else None


@asynccontextmanager
async def open_services(settings: Settings, endpoints: Endpoints | None = None) -> AsyncIterator[Services]:
    """Connect to both servers.

    Raises:
        UserError: one does not answer, or goes away while the block runs, or the database lacks migrations; the message says which
            and what to do.
    """
    endpoints = endpoints or find_endpoints(settings)
    async with open_database(settings, endpoints) as conn:
        client = await connect(endpoints.temporal_address)
        try:
            yield Services(settings, endpoints, client, conn)
        except RPCError as error:
            if error.status is not RPCStatusCode.UNAVAILABLE:
                raise
            raise UserError(f"Temporal went away meanwhile ({error}). {_GOES_ON}") from error


@asynccontextmanager
async def open_database(settings: Settings, endpoints: Endpoints | None = None) -> AsyncIterator[Connection]:
    """Connect to the database alone.

    Raises:
        UserError: it does not answer, or goes away while the block runs, or lacks migrations.
    """
    endpoints = endpoints or find_endpoints(settings)
    url = endpoints.database()
    try:
        pending = pending_migrations(url)
        if pending:
            raise UserError(f"the database lacks {', '.join(pending)}: run `python starter.py setup`")
        async with one_connection(url) as conn:
            await conn.set_autocommit(True)
            yield conn
    except DatabaseUnreachableError as error:
        raise UserError(str(error)) from error
    except psycopg.OperationalError as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"the database went away meanwhile ({reason}). {_GOES_ON}") from error
