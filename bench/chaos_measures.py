"""What a disturbed run is judged by: its files against those of an undisturbed one, and its histories. No faults here."""

import csv
import io
from collections import Counter
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from domain.failures import RESCHEDULE

_TIMESTAMPS = frozenset({"created_at"})
_UNSTEADY = "SiteUnavailableError"
Row = tuple[tuple[str, str], ...]


class Delivery(BaseModel):
    """Both files as rows in their order, without timestamps."""

    model_config = ConfigDict(frozen=True)

    companies: tuple[Row, ...]
    contacts: tuple[Row, ...]

    @classmethod
    def of(cls, companies_csv: bytes, contacts_csv: bytes) -> "Delivery":
        """Read both files."""
        return cls(companies=_rows(companies_csv), contacts=_rows(contacts_csv))


class Difference(BaseModel):
    """A delivery against that of the undisturbed run.

    Attributes:
        lost, added: companies (by domain) and contacts (by domain and name) that only one of them has.
        doubled: those that stand in the disturbed one more than once.
        changed: cells that differ, in rows that both have, as ``domain … column: 'wanted' → 'got'``.
        is_identical: nothing differs, the order of the rows included.
    """

    model_config = ConfigDict(frozen=True)

    lost: tuple[str, ...]
    added: tuple[str, ...]
    doubled: tuple[str, ...]
    changed: tuple[str, ...]
    is_identical: bool


def difference(wanted: Delivery, got: Delivery) -> Difference:
    """Hold a delivery against another."""
    lost: list[str] = []
    added: list[str] = []
    doubled: list[str] = []
    changed: list[str] = []
    pairs = (("company", wanted.companies, got.companies), ("contact", wanted.contacts, got.contacts))
    for what, wanted_rows, got_rows in pairs:
        old, new = _by_key(wanted_rows), _by_key(got_rows)
        lost += [f"{what} {key}" for key in old if key not in new]
        added += [f"{what} {key}" for key in new if key not in old]
        doubled += [f"{what} {key}" for key, rows in new.items() if len(rows) > max(1, len(old.get(key, ())))]
        for key in old.keys() & new.keys():
            before, after = dict(old[key][0]), dict(new[key][0])
            changed += [
                f"{what} {key}, {column}: {before[column]!r} → {after[column]!r}"
                for column in before
                if before[column] != after[column]
            ]
    return Difference(
        lost=tuple(lost),
        added=tuple(added),
        doubled=tuple(doubled),
        changed=tuple(sorted(changed)),
        is_identical=wanted == got,
    )


def repeated_calls(answered: Counter[str]) -> int:
    """Calls that were answered more than once, by the hash of what was asked: what has been paid for twice."""
    return sum(times - 1 for times in answered.values())


class Attempts(BaseModel):
    """What the histories of a run say about its activities.

    Attributes:
        scheduled: activities that were to be done.
        retried: attempts after a first one, by activity and by why the attempt before it ended.
        failed: activities that ended without a result, likewise.
        rescheduled: activities that a stopping worker rescheduled; not among ``failed``.
        of_silent_sites: further attempts at sites that never answer, which every run makes; not among ``retried``.
    """

    model_config = ConfigDict(frozen=True)

    scheduled: int
    retried: Counter[str]
    failed: Counter[str]
    rescheduled: int = 0
    of_silent_sites: int = 0


async def attempts_of(client: Client, workflow_id: str, silent_sites: frozenset[str]) -> Attempts:
    """Read a run's own history and its companies'."""
    ids = {workflow_id}
    async for child in client.list_workflows(f'WorkflowId STARTS_WITH "{workflow_id}"'):
        ids.add(child.id)
    events: list[list[HistoryEvent]] = []
    for one in sorted(ids):
        history = await client.get_workflow_handle(one).fetch_history()
        events.append(list(history.events))
    return attempts_in(events, silent_sites)


def attempts_in(histories: Iterable[Iterable[HistoryEvent]], silent_sites: frozenset[str] = frozenset()) -> Attempts:
    """Count the attempts in histories. Of several lost attempts of one activity, the last one's reason is on record.

    Args:
        silent_sites: domains of the sites that never answer.
    """
    scheduled, rescheduled, of_silent_sites, retried, failed = 0, 0, 0, Counter[str](), Counter[str]()
    for history in histories:
        names: dict[int, str] = {}
        for event in history:
            match event.event_type:
                case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                    scheduled += 1
                    names[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
                case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                    started = event.activity_task_started_event_attributes
                    if started.attempt > 1 and _names_one_of(silent_sites, started.last_failure):
                        of_silent_sites += started.attempt - 1
                    elif started.attempt > 1:
                        name = names[started.scheduled_event_id]
                        retried[f"{name}: {_reason(started.last_failure)}"] += started.attempt - 1
                case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
                    ended = event.activity_task_failed_event_attributes
                    if _reason(ended.failure) == RESCHEDULE:
                        rescheduled += 1
                        continue
                    failed[f"{names[ended.scheduled_event_id]}: {_reason(ended.failure)}"] += 1
                case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
                    timed_out = event.activity_task_timed_out_event_attributes
                    failed[f"{names[timed_out.scheduled_event_id]}: {_reason(timed_out.failure)}"] += 1
    return Attempts(
        scheduled=scheduled, retried=retried, failed=failed, rescheduled=rescheduled, of_silent_sites=of_silent_sites
    )


def _names_one_of(sites: frozenset[str], failure: Failure) -> bool:
    """Whether it is ``web.company_site.SiteUnavailableError`` of one of these; its message begins with the site."""
    return _reason(failure).startswith(_UNSTEADY) and failure.message.split(" ", 1)[0] in sites


def _reason(failure: Failure) -> str:
    """A failure's type, of a site's with the site; of a time-out, which one; of the failure below where that says more."""
    while failure.HasField("cause") and not failure.HasField("application_failure_info"):
        failure = failure.cause
    if failure.HasField("application_failure_info"):
        error_type = failure.application_failure_info.type
        return f"{error_type} of {failure.message.partition(';')[0]}" if error_type == _UNSTEADY else error_type
    return failure.message


def _rows(content: bytes) -> tuple[Row, ...]:
    reader = csv.DictReader(io.StringIO(content.decode()))
    return tuple(tuple((name, text) for name, text in row.items() if name not in _TIMESTAMPS) for row in reader)


def _by_key(rows: Iterable[Row]) -> dict[str, list[Row]]:
    keyed: dict[str, list[Row]] = {}
    for row in rows:
        cells = dict(row)
        key = cells["domain"] if "domain" in cells else f"{cells['company_domain']} {cells['full_name']}"
        keyed.setdefault(key, []).append(row)
    return keyed
