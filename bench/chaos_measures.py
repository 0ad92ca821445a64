"""How a disturbed run is judged: its files against those of an undisturbed one, and the attempts in its histories."""

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from domain.failures import RESCHEDULE

_TIMESTAMP = "created_at"
_SITE_ERROR = "SiteUnavailableError"

Delivery = list[tuple[str, dict[str, str]]]
"""The rows of both files in their order, each with its key, without timestamps."""


@dataclass(frozen=True)
class Difference:
    """A delivery against the undisturbed run's. Entries name a company, or a person and their company.

    Attributes:
        lost, added: rows that only one of them has.
        changed: cells that differ in rows that both have.
        is_identical: nothing differs, not even the order of the rows.
    """

    lost: list[str]
    added: list[str]
    doubled: list[str]
    changed: list[str]
    is_identical: bool


def delivery_of(companies_csv: bytes, contacts_csv: bytes) -> Delivery:
    companies, contacts = _rows(companies_csv), _rows(contacts_csv)
    keyed = [(f"company {row['domain']}", row) for row in companies]
    return keyed + [(f"contact {row['company_domain']} {row['full_name']}", row) for row in contacts]


def difference(wanted: Delivery, got: Delivery) -> Difference:
    old, new = dict(wanted), dict(got)
    often, times = Counter(key for key, _ in wanted), Counter(key for key, _ in got)
    return Difference(
        lost=[key for key in old if key not in new],
        added=[key for key in new if key not in old],
        doubled=[key for key in new if times[key] > max(1, often[key])],
        changed=[
            f"{key}, {column}: {before!r} → {new[key][column]!r}"
            for key in old.keys() & new.keys()
            for column, before in old[key].items()
            if before != new[key][column]
        ],
        is_identical=wanted == got,
    )


@dataclass(frozen=True)
class Attempts:
    """The activities of a run: how many were scheduled, and the attempts without a result, by activity and reason."""

    scheduled: int
    lost: Counter[str]


async def attempts_of(client: Client, workflow_id: str, silent_sites: frozenset[str]) -> Attempts:
    """Read the histories of a run and its companies.

    Args:
        silent_sites: domains that never answer. Every run retries them, so they do not count.
    """
    ids = {workflow_id}
    async for child in client.list_workflows(f'WorkflowId STARTS_WITH "{workflow_id}"'):
        ids.add(child.id)
    scheduled, lost = 0, Counter[str]()
    for one in ids:
        names: dict[int, str] = {}
        async for event in client.get_workflow_handle(one).fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                names[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
            for activity_id, failure, times in _without_result(event):
                reason = _reason(failure)
                site = failure.message.partition(" ")[0]
                if reason != RESCHEDULE and not (reason.startswith(_SITE_ERROR) and site in silent_sites):
                    lost[f"{names[activity_id]}: {reason}"] += times
        scheduled += len(names)
    return Attempts(scheduled, lost)


def _without_result(event: HistoryEvent) -> Iterable[tuple[int, Failure, int]]:
    """Attempts without a result that an event reports. Of several retries, only the last failure is on record."""
    match event.event_type:
        case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            started = event.activity_task_started_event_attributes
            if started.attempt > 1:
                yield started.scheduled_event_id, started.last_failure, started.attempt - 1
        case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
            failed = event.activity_task_failed_event_attributes
            yield failed.scheduled_event_id, failed.failure, 1
        case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
            timed_out = event.activity_task_timed_out_event_attributes
            yield timed_out.scheduled_event_id, timed_out.failure, 1


def _reason(failure: Failure) -> str:
    """The type of an error, or which timeout it was. A site's error includes the site."""
    while failure.HasField("cause") and not failure.HasField("application_failure_info"):
        failure = failure.cause
    if not failure.HasField("application_failure_info"):
        return failure.message
    error_type = failure.application_failure_info.type
    return f"{error_type} of {failure.message.partition(';')[0]}" if error_type == _SITE_ERROR else error_type


def _rows(content: bytes) -> list[dict[str, str]]:
    rows = csv.DictReader(io.StringIO(content.decode()))
    return [{column: text for column, text in row.items() if column != _TIMESTAMP} for row in rows]
