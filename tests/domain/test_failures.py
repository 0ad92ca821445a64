"""Which failures are outages, for every error that Postgres's client can raise."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors
from psycopg_pool import PoolTimeout, TooManyRequests

from domain.failures import Dependency, outage_of

# After these no statement works (PostgreSQL's appendix A, "Error Codes").
_GONE = ("08", "28", "53", "57P", "58")
_OPERATIONAL = sorted(
    (
        error
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, psycopg.OperationalError) and error.sqlstate
    ),
    key=lambda error: str(error.sqlstate),
)


@pytest.mark.parametrize("error", _OPERATIONAL, ids=lambda error: f"{error.sqlstate}-{error.__name__}")
def test_server_errors_are_outages_statement_errors_are_not(
    error: type[psycopg.OperationalError],
) -> None:
    outage = outage_of(error.__name__, "", non_retryable=False)
    if str(error.sqlstate).startswith(_GONE):
        assert outage is not None
        assert (outage.dependency, outage.needs_person) == (Dependency.DATABASE, False)
    else:
        assert outage is None


@pytest.mark.parametrize("error", [psycopg.OperationalError, errors.ConnectionTimeout, PoolTimeout, TooManyRequests])
def test_an_unreachable_server_is_an_outage(error: type[psycopg.OperationalError]) -> None:
    outage = outage_of(error.__name__, "", non_retryable=False)
    assert outage is not None
    assert outage.dependency is Dependency.DATABASE
