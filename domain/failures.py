"""Types of failures that workflows tell apart. A failure's type is the name that crosses the process border."""

MODEL_RATE_LIMITED = "ModelRateLimited"
MODEL_UNREACHABLE = "ModelUnreachable"
MODEL_SERVER_ERROR = "ModelServerError"
MODEL_REFUSED_US = "ModelRefusedUs"
MODEL_BAD_REQUEST = "ModelBadRequest"
SEARCH_UNAVAILABLE = "SearchUnavailableError"
HUBSPOT_UNAVAILABLE = "HubSpotUnavailableError"
HUBSPOT_REFUSED_US = "HubSpotRefusedError"
# psycopg's own names, as they reach Temporal when Postgres is gone.
_DATABASE_GONE = ("OperationalError", "PoolTimeout", "AdminShutdown", "CrashShutdown", "CannotConnectNow")

# After these, the next company would fail the same way: the run waits instead of burning through all (DESIGN, promise 5).
DEPENDENCY_FAILURES = frozenset(
    {
        MODEL_RATE_LIMITED,
        MODEL_UNREACHABLE,
        MODEL_SERVER_ERROR,
        MODEL_REFUSED_US,
        SEARCH_UNAVAILABLE,
        HUBSPOT_UNAVAILABLE,
        HUBSPOT_REFUSED_US,
        *_DATABASE_GONE,
    }
)
