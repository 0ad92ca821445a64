"""Time-outs and retries of every activity, with the reason for each value."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

from domain.failures import RESCHEDULE
from workflows.names import AGENT_TASK_QUEUE

# Three missed heartbeats (activities/heartbeats.py sends one every 5 s). Work of a killed worker resumes within 15 s.
HEARTBEAT_TIMEOUT = timedelta(seconds=15)

# These errors recur on every attempt. The run ends with an error instead of retrying forever.
_PERMANENT = (
    "AssertionError AttributeError CheckViolation DataError ForeignKeyViolation KeyError LookupError NotNullViolation "
    "ProgrammingError SyntaxError TypeError UndefinedColumn UndefinedFunction UndefinedTable UnicodeEncodeError "
    "ValidationError ValueError"
).split()


def _retry(
    initial_s: float, maximum_s: float, *, attempts: int = 0, factor: float = 2.0, permanent: Sequence[str] = ()
) -> RetryPolicy:
    """Retry without limit unless ``attempts`` is set. RESCHEDULE is not retried: the workflow schedules the activity again."""
    return RetryPolicy(
        initial_interval=timedelta(seconds=initial_s),
        maximum_interval=timedelta(seconds=maximum_s),
        backoff_coefficient=factor,
        maximum_attempts=attempts,
        non_retryable_error_types=[*permanent, RESCHEDULE],
    )


# Idempotent database reads and writes. A run needs Postgres for everything, so it retries without limit. No statement
# takes nearly 15 s, and after a worker is killed the activity restarts soon.
STORE = ActivityConfig(start_to_close_timeout=timedelta(seconds=15), retry_policy=_retry(1, 30, permanent=_PERMANENT))

# Database work for one company gives up after about two minutes. Then the run waits for the database, for all companies.
_COMPANY_RETRY = _retry(1, 30, attempts=6, permanent=_PERMANENT)

# This write makes a company complete. A cancelled run waits for its outcome. Otherwise the company could become complete
# just after the run ended.
SELECT_CONTACTS = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=15),
    retry_policy=_COMPANY_RETRY,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# DNS queries for the mail domains of one company: up to four of 5 s each, all domains in parallel. No answer counts as a
# result.
VERIFY = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=1), heartbeat_timeout=HEARTBEAT_TIMEOUT, retry_policy=_COMPANY_RETRY
)

# The suppression check before delivery takes about a minute of CRM requests. Ten attempts pause for about three minutes.
# Then the run asks a person, because it never delivers an unchecked list.
SUPPRESSION_CHECK = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=15),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_retry(2, 30, attempts=10, permanent=_PERMANENT),
)

# Reads about two dozen pages of a site, up to 15 s each. A request to a shared host may also wait up to 120 s
# (RATE_LIMIT_WAIT_MAX_S). A few such waits fit, and the next attempt reuses stored pages. If the queue is longer, the
# attempt fails at once and sets its own delay (HostBusyError in web/company_site.py).
SITE = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=8),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_retry(2, 30, attempts=3),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# One agent call has up to a dozen model turns of up to two minutes, each stored. A turn may also wait ten minutes for the
# model (agents/model_call.py). A turn that starts in the first half of this time-out therefore fits. In the second half the
# call is rescheduled instead (activities/heartbeats.py). After three attempts the run asks, or the company fails.
AGENT = ActivityConfig(
    task_queue=AGENT_TASK_QUEUE,
    start_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    # A result above Temporal's payload limit would fail, and cost money, on every attempt.
    retry_policy=_retry(5, 60, attempts=3, factor=4.0, permanent=["PayloadsTooLarge"]),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# One cheap request to each dependency that is down. It fails until all answer, and Temporal retries it: every minute at
# first, every five minutes later. So an outage of days adds only two events to the history.
RECHECK = ActivityConfig(start_to_close_timeout=timedelta(seconds=45), retry_policy=_retry(60, 300, factor=1.5))

# A message must not delay a run. After three attempts the run logs the failure and continues.
NOTIFY = ActivityConfig(start_to_close_timeout=timedelta(minutes=1), retry_policy=_retry(2, 30, attempts=3))

# Announces an open question. The run retries it until the question closes.
NOTIFY_OF_QUESTION = ActivityConfig(start_to_close_timeout=timedelta(minutes=1), retry_policy=_retry(2, 600))
