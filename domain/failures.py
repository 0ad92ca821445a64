"""Failure types that workflows tell apart, and which of them mean that a dependency of the run is down.

A failure's type is the name that crosses the process boundary.
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
# Neither is a failure of the activity itself, so workflows schedule it again:
RESCHEDULE = "Reschedule"  # its worker is stopping, or its time is up
HOST_BUSY = "HostBusyError"  # our own requests to a site are queued for too long

# psycopg's error names when Postgres is gone, starting or stopping, or out of connections, disk or memory.
# Names and classes are from PostgreSQL's appendix A, "Error Codes". A statement that timed out or conflicted
# (classes 40 and 55, 57014) is a failure of that statement.
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
    """What a run needs to go on. Email is not a dependency."""

    DATABASE = "database"
    MODEL = "model"
    SEARCH = "web search"
    CRM = "CRM"


# After these, every other company would fail the same way, so the run waits.
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
DEPENDENCY_FAILURES = frozenset(_DEPENDENCY_OF)


class Outage(FrozenModel):
    """A dependency that failed on every attempt.

    Attributes:
        needs_person: it denies us access (wrong key, quota exceeded), so waiting does not help.
        advice: what a person has to fix. Our own words, nothing personal or secret.
    """

    dependency: Dependency
    needs_person: bool = False
    advice: str = ""


def outage_of(failure_type: str | None, message: str, *, non_retryable: bool) -> Outage | None:
    """The outage behind an activity's last failure; None if the failure is the activity's own."""
    dependency = _DEPENDENCY_OF.get(failure_type or "")
    if dependency is None:
        return None
    needs_person = non_retryable and dependency is not Dependency.DATABASE
    return Outage(dependency=dependency, needs_person=needs_person, advice=message[:300] if needs_person else "")
