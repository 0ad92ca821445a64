"""Time-outs and retries of every activity, each value with its reason."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

from domain.failures import RESCHEDULE
from workflows.names import AGENT_TASK_QUEUE

# Three missed heartbeats (activities/heartbeats.py sends one every 5 s), so the work of a killed worker resumes within 15 s.
HEARTBEAT_TIMEOUT = timedelta(seconds=15)

# Our own activities fail like this on every attempt. The run then ends as an error instead of retrying for ever.
_PERMANENT = (
    "AssertionError AttributeError CheckViolation DataError ForeignKeyViolation KeyError LookupError NotNullViolation "
    "ProgrammingError SyntaxError TypeError UndefinedColumn UndefinedFunction UndefinedTable UnicodeEncodeError "
    "ValidationError ValueError"
).split()


def _retry(
    initial_s: float, maximum_s: float, *, attempts: int = 0, factor: float = 2.0, permanent: Sequence[str] = ()
) -> RetryPolicy:
    """Retries without end unless ``attempts`` is set. RESCHEDULE is never retried: the workflow schedules it again."""
    return RetryPolicy(
        initial_interval=timedelta(seconds=initial_s),
        maximum_interval=timedelta(seconds=maximum_s),
        backoff_coefficient=factor,
        maximum_attempts=attempts,
        non_retryable_error_types=[*permanent, RESCHEDULE],
    )


# Reads and writes of our own database: keyed, so they may run twice. A run can do nothing without Postgres, so attempts
# are not limited. 15 s is far above any statement's time, and a killed worker's activity restarts soon.
STORE = ActivityConfig(start_to_close_timeout=timedelta(seconds=15), retry_policy=_retry(1, 30, permanent=_PERMANENT))

# The same for one company of many: after about two minutes the run waits for the database in place of all its companies.
_COMPANY_RETRY = _retry(1, 30, attempts=6, permanent=_PERMANENT)

# This write makes a company complete. When it is cancelled, the run waits for its outcome, so that no company becomes
# complete a moment after the run has ended without it.
SELECT_CONTACTS = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=15),
    retry_policy=_COMPANY_RETRY,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# DNS queries for the mail domains of one company: up to four of 5 s each, all domains at once. No answer is a result too.
VERIFY = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=1), heartbeat_timeout=HEARTBEAT_TIMEOUT, retry_policy=_COMPANY_RETRY
)

# The suppression check of a whole list before delivery: about a minute of CRM requests. Ten attempts pause for about three
# minutes. Then the run asks, since an unchecked list is never delivered.
SUPPRESSION_CHECK = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=15),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_retry(2, 30, attempts=10, permanent=_PERMANENT),
)

# Reading one company's site: some two dozen pages of up to 15 s. Rate limits of a shared host come on top: up to 120 s
# (RATE_LIMIT_WAIT_MAX_S) for each request. A few such waits fit; the next attempt finds the pages read so far in the store.
# With a longer queue the attempt fails at once and sets its own delay (HostBusyError in web/company_site.py).
SITE = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=8),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_retry(2, 30, attempts=3),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# One agent call: up to a dozen model turns of up to two minutes, stored turn by turn. A turn may also queue for the model for
# ten minutes (agents/loop.py). So a turn that starts in the first half of this time fits; in the second half the call is
# rescheduled instead (activities/heartbeats.py). After three attempts the run asks, or the company ends as failed.
AGENT = ActivityConfig(
    task_queue=AGENT_TASK_QUEUE,
    start_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    # A result above Temporal's payload limit fails every time, and would be paid for every time.
    retry_policy=_retry(5, 60, attempts=3, factor=4.0, permanent=["PayloadsTooLarge"]),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# One cheap request to each dependency that is down. It fails until all answer, so Temporal repeats it and an outage of days is
# two events in the history. Every minute at first, every five minutes later.
RECHECK = ActivityConfig(start_to_close_timeout=timedelta(seconds=45), retry_policy=_retry(60, 300, factor=1.5))

# A message to a person does not hold up a run: after three attempts it goes on and the log says so.
NOTIFY = ActivityConfig(start_to_close_timeout=timedelta(minutes=1), retry_policy=_retry(2, 30, attempts=3))

# The message that a run waits for a decision. It is sent while the run waits, and retried until the question is closed.
NOTIFY_OF_QUESTION = ActivityConfig(start_to_close_timeout=timedelta(minutes=1), retry_policy=_retry(2, 600))
