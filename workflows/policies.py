"""Time-outs and retries of every activity, each value with its reason.

A step that a stopping worker hands back is not retried by any of them, but scheduled anew (``calls.py``).
"""

from dataclasses import replace
from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

from domain.failures import RESCHEDULE

# Three missed beats (``activities/heartbeats.py`` beats every 5 s): a killed worker's work is taken up within 15 s.
HEARTBEAT_TIMEOUT = timedelta(seconds=15)

# A step of ours that fails like this fails alike every time: the run ends as an error instead of trying for ever.
_PERMANENT = (
    "AssertionError",
    "AttributeError",
    "CheckViolation",
    "DataError",
    "ForeignKeyViolation",
    "KeyError",
    "LookupError",
    "NotNullViolation",
    "ProgrammingError",
    "SyntaxError",
    "TypeError",
    "UndefinedColumn",
    "UndefinedFunction",
    "UndefinedTable",
    "UnicodeEncodeError",
    "ValidationError",
    "ValueError",
)

# Reads and writes of our own database. They are keyed, so they may run again; while Postgres is away the run has nothing
# better to do than to wait for it, so attempts are not counted. 15 s is far above any statement's time, and short enough
# for a killed worker's step to be taken up soon.
STORE = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=15),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        backoff_coefficient=2.0,
        maximum_interval=timedelta(seconds=30),
        non_retryable_error_types=[*_PERMANENT, RESCHEDULE],
    ),
)

# The same for one company of many: after some two minutes (pauses of 1 to 16 s, up to 15 s an attempt) the run waits for the
# database in the place of all its companies, with one question at a time.
_OF_A_COMPANY = replace(STORE["retry_policy"] or RetryPolicy(), maximum_attempts=6)

# The write that makes a company complete: when it is cancelled under way, its outcome is waited for, so that a run does not end
# without a company that becomes complete a moment later.
SELECT_CONTACTS = ActivityConfig(
    **{**STORE, "retry_policy": _OF_A_COMPANY},
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# The mail domains of one company's people, all at once: up to four questions to DNS of 5 s each, whose silence is an answer too.
# What can fail is our database; the heartbeat tells a dead worker from slow name servers.
VERIFY = ActivityConfig(
    **{**STORE, "start_to_close_timeout": timedelta(minutes=1), "retry_policy": _OF_A_COMPANY},
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
)

# The suppression gate over a whole list, before it is delivered: perhaps a minute of questions to a CRM, which beats. Ten
# attempts take about three minutes of pauses; then the run asks, for a list that cannot be read delivers nothing.
SUPPRESSION_CHECK = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=15),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=2),
        backoff_coefficient=2.0,
        maximum_interval=timedelta(seconds=30),
        maximum_attempts=10,
        non_retryable_error_types=[*_PERMANENT, RESCHEDULE],
    ),
)

# Reading one company's site, perhaps after trying a few search results: some two dozen pages of up to 15 s, which
# fit. Time in the queue of a site that all workers ask (RATE_LIMIT_WAIT_MAX_S) comes on top: up to 120 s for each request, also for
# robots.txt and each redirect. A few such waits fit; a crowded site may need another attempt, which finds the pages read
# so far in the store. Where the queue is longer still, the attempt ends at once and the next one is a minute later
# (HostBusyError in web/company_site.py, instead of the intervals below). The heartbeat tells a dead worker from slow sites.
SITE = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=8),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=2),
        maximum_interval=timedelta(seconds=30),
        maximum_attempts=3,
        non_retryable_error_types=[RESCHEDULE],
    ),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# One agent call: up to a dozen model turns of up to two minutes each, but stored turn by turn. A turn may stand in the queue for the
# model for ten minutes before (agents/loop.py), so that one which begins in the first half of this time ends in it; in the second half
# the call is handed back instead (activities/heartbeats.py), and begins anew without an attempt being counted. The heartbeat tells a
# dead worker from a slow model. Three attempts, then the run asks (``dependency_down``) or the company ends as failed.
AGENT = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=5),
        backoff_coefficient=4.0,
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=3,
        # A result above Temporal's payload limit fails alike every time, and would be paid for every time.
        non_retryable_error_types=["PayloadsTooLarge", RESCHEDULE],
    ),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# Asking whether what was down answers again: one cheap request each. It fails until all do, so Temporal repeats it, and an
# outage of days is two events in the run's history. Every minute at first, every five minutes later.
RECHECK = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=45),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(minutes=1),
        backoff_coefficient=1.5,
        maximum_interval=timedelta(minutes=5),
        non_retryable_error_types=[RESCHEDULE],
    ),
)

# A message to a person: not worth holding a run for. After the attempts the run goes on and the log says so.
NOTIFY = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=1),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=2),
        maximum_interval=timedelta(seconds=30),
        maximum_attempts=3,
        non_retryable_error_types=[RESCHEDULE],
    ),
)

# That a run waits for a person: sent beside the waiting, so an unreachable mail server delays no answer, and worth trying until
# the question is closed.
NOTIFY_OF_QUESTION = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=1),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=2),
        maximum_interval=timedelta(minutes=10),
        non_retryable_error_types=[RESCHEDULE],
    ),
)
