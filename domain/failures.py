"""Types of failures that workflows tell apart, and which of them mean that something a run depends on is down. Pure.

A failure's type is the name that crosses the process border.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

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
RESCHEDULE = (
    "Reschedule"  # by an attempt that cannot finish it (its worker stops, its time is gone); no failure of the step
)
HOST_BUSY = "HostBusyError"  # we ourselves ask so much of a site that no turn came; no failure of the step either
# psycopg's own names, as they reach Temporal when Postgres is gone, is starting or ending, takes nobody more, or has no disk or
# memory left: what has no SQLSTATE, and the classes 08, 28, 53, 57P and 58 of PostgreSQL's appendix A, "Error Codes". A statement
# that waited too long or met another one (classes 40 and 55, 57014) is that statement's failure.
_DATABASE_GONE = (
    "OperationalError",
    "PoolTimeout",
    "TooManyRequests",
    "ConnectionTimeout",
    # 08: connection
    "ConnectionException",
    "ConnectionDoesNotExist",
    "ConnectionFailure",
    "SqlclientUnableToEstablishSqlconnection",
    "SqlserverRejectedEstablishmentOfSqlconnection",
    "TransactionResolutionUnknown",
    "ProtocolViolation",
    # 25006: it has become another one's stand-by
    "ReadOnlySqlTransaction",
    # 28: it does not know us (any more)
    "InvalidAuthorizationSpecification",
    "InvalidPassword",
    # 53: resources
    "InsufficientResources",
    "DiskFull",
    "OutOfMemory",
    "TooManyConnections",
    "ConfigurationLimitExceeded",
    # 57P: the server's operator
    "AdminShutdown",
    "CrashShutdown",
    "CannotConnectNow",
    "DatabaseDropped",
    "IdleSessionTimeout",
    # 58: the system beneath it
    "SystemError",
    "IoError",
    "UndefinedFile",
    "DuplicateFile",
    "FileNameTooLong",
)


class Dependency(StrEnum):
    """What a run cannot go on without. Mail is none: a run works while nobody can be told of it."""

    DATABASE = "database"
    MODEL = "model"
    SEARCH = "web search"
    CRM = "CRM"


# After these, the next company would fail the same way: the run waits instead of burning through all (DESIGN, promise 5).
_DEPENDENCY_OF: dict[str, Dependency] = {
    MODEL_RATE_LIMITED: Dependency.MODEL,
    MODEL_UNREACHABLE: Dependency.MODEL,
    MODEL_SERVER_ERROR: Dependency.MODEL,
    MODEL_ACCESS_DENIED: Dependency.MODEL,
    MODEL_QUOTA_EXCEEDED: Dependency.MODEL,
    SEARCH_UNAVAILABLE: Dependency.SEARCH,
    HUBSPOT_UNAVAILABLE: Dependency.CRM,
    HUBSPOT_ACCESS_DENIED: Dependency.CRM,
    **dict.fromkeys(_DATABASE_GONE, Dependency.DATABASE),
}
DEPENDENCY_FAILURES = frozenset(_DEPENDENCY_OF)


class Outage(BaseModel):
    """Something a run depends on that failed on every attempt.

    Attributes:
        needs_person: it refuses us (a wrong key, a quota that is used up): waiting does not mend it.
        advice: what to mend, where ``needs_person``; a message of ours, without anything personal or secret.
    """

    model_config = ConfigDict(frozen=True)

    dependency: Dependency
    needs_person: bool = False
    advice: str = ""


def outage_of(failure_type: str | None, message: str, *, is_final: bool) -> Outage | None:
    """The outage that a step's last failure stands for; None when the failure is the step's own.

    Args:
        is_final: the failure said of itself that trying again is useless.
    """
    dependency = _DEPENDENCY_OF.get(failure_type or "")
    if dependency is None:
        return None
    needs_person = is_final and dependency is not Dependency.DATABASE
    return Outage(dependency=dependency, needs_person=needs_person, advice=message[:300] if needs_person else "")
