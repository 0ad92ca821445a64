"""Failure types that workflows handle, and the dependency that is down for each.

A type is the error name in the workflow history. Workflows do not see the Python class.
"""

from enum import StrEnum

from domain.frozen_model import FrozenModel

MODEL_RATE_LIMITED = "ModelRateLimited"
MODEL_UNREACHABLE = "ModelUnreachable"
MODEL_SERVER_ERROR = "ModelServerError"
MODEL_ACCESS_DENIED = "ModelAccessDenied"
MODEL_QUOTA_EXCEEDED = "ModelQuotaExceeded"
MODEL_BAD_REQUEST = "ModelBadRequest"
SEARCH_UNAVAILABLE = "SearchUnavailableError"
HUBSPOT_UNAVAILABLE = "HubSpotUnavailableError"
HUBSPOT_ACCESS_DENIED = "HubSpotAccessDeniedError"
STILL_DOWN = "DependencyStillDown"
# The activity itself did not fail, so workflows schedule it again:
RESCHEDULE = "Reschedule"  # the worker is stopping, or half of the attempt's time is gone
HOST_BUSY = "HostBusyError"  # our rate limit for a site left no time

# psycopg errors that mean Postgres is unreachable, starting, stopping, or out of connections, disk or memory
# (PostgreSQL, appendix A, "Error Codes"). Excludes failures of one statement (classes 40 and 55, 57014).
_DATABASE_DOWN = {
    "no SQLSTATE": "OperationalError PoolTimeout TooManyRequests ConnectionTimeout",
    "08 connection": "ConnectionException ConnectionDoesNotExist ConnectionFailure"
    " SqlclientUnableToEstablishSqlconnection SqlserverRejectedEstablishmentOfSqlconnection"
    " TransactionResolutionUnknown ProtocolViolation",
    "25006 it became a standby": "ReadOnlySqlTransaction",
    "28 authorization": "InvalidAuthorizationSpecification InvalidPassword",
    "53 resources": "InsufficientResources DiskFull OutOfMemory TooManyConnections ConfigurationLimitExceeded",
    "57P operator": "AdminShutdown CrashShutdown CannotConnectNow DatabaseDropped IdleSessionTimeout",
    "58 system": "SystemError IoError UndefinedFile DuplicateFile FileNameTooLong",
}


class Dependency(StrEnum):
    """A service that a run needs. Email is not one, because a run continues without it."""

    DATABASE = "database"
    MODEL = "model"
    SEARCH = "web search"
    CRM = "CRM"


# Every company would fail the same way, so the run waits.
_DEPENDENCY_OF: dict[str, Dependency] = {
    MODEL_RATE_LIMITED: Dependency.MODEL,
    MODEL_UNREACHABLE: Dependency.MODEL,
    MODEL_SERVER_ERROR: Dependency.MODEL,
    MODEL_ACCESS_DENIED: Dependency.MODEL,
    MODEL_QUOTA_EXCEEDED: Dependency.MODEL,
    SEARCH_UNAVAILABLE: Dependency.SEARCH,
    HUBSPOT_UNAVAILABLE: Dependency.CRM,
    HUBSPOT_ACCESS_DENIED: Dependency.CRM,
    **dict.fromkeys(" ".join(_DATABASE_DOWN.values()).split(), Dependency.DATABASE),
}


class Outage(FrozenModel):
    """A dependency that failed on every attempt.

    Attributes:
        needs_person: the dependency denies access (wrong key, quota exceeded), so waiting does not help.
        advice: what a person has to fix. No personal or secret data.
    """

    dependency: Dependency
    needs_person: bool = False
    advice: str = ""


def outage_of(failure_type: str | None, message: str, *, non_retryable: bool) -> Outage | None:
    """Return the outage behind an activity's last failure, or None if no dependency is down."""
    dependency = _DEPENDENCY_OF.get(failure_type or "")
    if dependency is None:
        return None
    needs_person = non_retryable and dependency is not Dependency.DATABASE
    return Outage(dependency=dependency, needs_person=needs_person, advice=message[:300] if needs_person else "")
