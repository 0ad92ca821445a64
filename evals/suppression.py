"""Is a suppressed company ever delivered? ``python -m evals.suppression [--runs 100] [--seed 1]``.

Hypothesis draws whole runs on the embedded stack: what is listed, how, when, and how the list's store fails. The run's history says
when it last read the list. Exits 1 when a suppressed company was delivered, or when nothing was tested.
"""

import asyncio
import csv
import io
import os
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

import psycopg
import typer
from hypothesis import HealthCheck, Phase, given
from hypothesis import seed as drawn_with
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError

from domain.company.suppression import Suppression
from domain.request.decision import DecisionAction
from domain.request.progress import ENDED, RunStatus
from domain.request.run_request import OnDecision
from evals.figures import command
from local.demo.truth import GoldCompany, gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from runtime.local_session import endpoints_of, local_session, stack_options
from runtime.process import UserError, run_async
from runtime.services import Services, open_services
from settings import Settings
from store.companies import suppressions
from store.database import Connection, one_connection
from store.runs import runs
from usecases.decide import send_decision
from usecases.export import rendered_files
from usecases.start import StartOptions, build_request, start_run

Way = Literal["domain", "name", "portal"]
Failure = Literal["locked", "ended", "gone"]
_SLICE_MIN = 12  # deliverable companies in a slice: enough are left beside the suppressed ones, and a run is short
_POLL_S = 0.2
_SOURCE = "evaluation"


class Fault(BaseModel):
    """How the list's store fails; seconds after the run's start or the fault before."""

    model_config = ConfigDict(frozen=True)

    kind: Failure
    after_s: float
    lasts_s: float


class Case(BaseModel):
    """One run: its slice, quantity, who is listed (index: way, seconds after the start), and what fails."""

    model_config = ConfigDict(frozen=True)

    place: int
    quantity: int
    listed: dict[int, tuple[Way, float | None]]
    faults: tuple[Fault, ...]


class Outcome(BaseModel):
    model_config = ConfigDict(frozen=True)

    status: RunStatus
    delivered: int
    wrongly_delivered: tuple[str, ...]
    held_back: int
    listed: int
    listed_late: int
    faults: tuple[Failure, ...]
    failed_attempts: int


_seconds = st.floats(0.0, 2.0).map(lambda value: round(value, 2))
_cases = st.builds(
    Case,
    place=st.integers(0, 1000),
    quantity=st.integers(1, 3),
    listed=st.dictionaries(
        st.integers(0, 11),
        st.tuples(st.sampled_from(["domain", "domain", "name", "portal"]), st.none() | st.none() | _seconds),
        min_size=1,
        max_size=8,
    ),
    faults=st.lists(
        # "gone" is rare: a list that does not exist is a fault in the set-up, and rightly ends the run as failed.
        st.builds(Fault, kind=st.sampled_from(["locked"] * 4 + ["ended"] * 4 + ["gone"]), after_s=_seconds, lasts_s=_seconds),
        min_size=1,
        max_size=3,
    ).map(tuple),
)  # fmt: skip


class Evaluation:
    def __init__(self, services: Services, control: Connection, outcomes: list[Outcome]) -> None:
        self._services = services
        self._control = control
        self._own = [services.conn.info.backend_pid, control.info.backend_pid]
        slices: dict[tuple[str, str], list[GoldCompany]] = {}
        for company in gold_table(generate_world(DEFAULT_SEED)).companies:
            if company.deliverable and company.pms and company.domain:
                slices.setdefault((company.state, company.pms), []).append(company)
        self._slices = [companies for _, companies in sorted(slices.items()) if len(companies) >= _SLICE_MIN]
        gold = gold_table(generate_world(DEFAULT_SEED)).companies
        self._by_domain: dict[str | None, GoldCompany] = {
            name: one for one in gold for name in (one.domain, *one.alias_domains) if name
        }
        self.outcomes = outcomes

    async def run(self, case: Case) -> None:
        companies = self._slices[case.place % len(self._slices)]
        listed = {companies[index % len(companies)].domain: how for index, how in case.listed.items()}
        await self._control.execute("DELETE FROM suppression_domains WHERE source = %s", (_SOURCE,))
        options = StartOptions(
            criteria={"pms": companies[0].pms, "state": companies[0].state},
            quantity=case.quantity,
            on_decision=OnDecision.ACCEPT_PARTIAL,
        )
        request = build_request(options, self._services.settings)
        since: dict[str | None, datetime] = {}
        for domain, (way, late_s) in listed.items():
            if late_s is None:
                await self._list(domain, way, since)
        await start_run(self._services, request, None)
        late = [
            asyncio.create_task(self._list_late(domain, way, late_s, since))
            for domain, (way, late_s) in listed.items()
            if late_s is not None
        ]
        over = asyncio.Event()
        disturbing = asyncio.create_task(self._disturb(case.faults, over))
        await self._ended(request.run_id, disturbing)
        over.set()
        applied = await disturbing
        await asyncio.gather(*late)
        self.outcomes.append(await self._judged(request.run_id, case, since, applied))

    async def _list(self, domain: str | None, way: Way, since: dict[str | None, datetime]) -> None:
        """List a company and note from when it counts, also for namesakes if listed by name."""
        company = self._by_domain[domain]
        key: dict[str, str | None] = {"domain": domain}
        means = [company]
        if way == "name":
            key = {"name": company.name, "state": company.state}
            means = [one for one in self._by_domain.values() if (one.name, one.state) == (company.name, company.state)]
        elif way == "portal" and company.portal_host and company.portal_slug:
            key = {"domain": company.portal_host}
        entry = Suppression.model_validate({**key, "reason": "customer", "source": _SOURCE})
        while True:
            try:
                async with one_connection(self._services.endpoints.database()) as conn:
                    await suppressions.upsert(conn, [entry])
                break
            except psycopg.Error:  # the fault of the moment hits this writer too
                await asyncio.sleep(_POLL_S)
        for one in means:
            since.setdefault(one.domain, datetime.now(UTC))

    async def _list_late(self, domain: str | None, way: Way, late_s: float, since: dict[str | None, datetime]) -> None:
        await asyncio.sleep(late_s)
        await self._list(domain, way, since)

    async def _disturb(self, faults: tuple[Fault, ...], over: asyncio.Event) -> tuple[Failure, ...]:
        """Let the list's store fail as drawn until the run is over; the failures that were applied."""
        applied: list[Failure] = []
        for fault in faults:
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), fault.after_s)
            if over.is_set():
                break
            applied.append(fault.kind)
            match fault.kind:
                case "locked":
                    async with self._control.transaction():
                        await self._control.execute("LOCK TABLE suppression_domains IN ACCESS EXCLUSIVE MODE")
                        await asyncio.sleep(fault.lasts_s)
                case "ended":
                    until = time.monotonic() + fault.lasts_s
                    while time.monotonic() < until:
                        await self._control.execute(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            " WHERE datname = current_database() AND pid <> ALL(%s)",
                            (self._own,),
                        )
                        await asyncio.sleep(0.1)
                case "gone":
                    await self._control.execute("ALTER TABLE suppression_domains RENAME TO suppression_domains_away")
                    await asyncio.sleep(fault.lasts_s)
                    await self._control.execute("ALTER TABLE suppression_domains_away RENAME TO suppression_domains")
        return tuple(applied)

    async def _ended(self, run_id: UUID, disturbing: asyncio.Task[tuple[Failure, ...]]) -> None:
        """Wait for the run's end. After the last fault, answer an outage with ``retry``."""
        while (run := await runs.get_run(self._services.conn, run_id)).status not in ENDED:
            if run.status is RunStatus.NEEDS_USER_DECISION and run.decision is not None and disturbing.done():
                with suppress(UserError):  # the run's own policy may have answered since the row was read
                    await send_decision(self._services, run, {"action": DecisionAction.RETRY.value})
            await asyncio.sleep(_POLL_S)
        with suppress(WorkflowFailureError):
            await self._services.client.get_workflow_handle(run.workflow_id).result()

    async def _judged(
        self, run_id: UUID, case: Case, since: dict[str | None, datetime], applied: tuple[Failure, ...]
    ) -> Outcome:
        run = await runs.get_run(self._services.conn, run_id)
        read_at, failed_attempts = await self._of_history(run.workflow_id)
        delivered: list[GoldCompany] = []
        if run.status is RunStatus.COMPLETED:
            companies_file, _, _ = await rendered_files(self._services.conn, run)
            rows = csv.DictReader(io.StringIO(companies_file.content.decode()))
            delivered = [self._by_domain[row["domain"]] for row in rows]
        wrong = [
            company.name
            for company in delivered
            if company.suppressed or (read_at is not None and since.get(company.domain, read_at) < read_at)
        ]
        cursor = await self._services.conn.execute(
            "SELECT count(*) AS held_back FROM company_candidates WHERE run_id = %s AND status = 'suppressed'",
            (run_id,),
        )
        [row] = await cursor.fetchall()
        return Outcome(
            status=run.status,
            delivered=len(delivered),
            wrongly_delivered=tuple(f"{name} ({run_id})" for name in wrong),
            held_back=row["held_back"],
            listed=len(case.listed),
            listed_late=sum(late_s is not None for _, late_s in case.listed.values()),
            faults=applied,
            failed_attempts=failed_attempts,
        )

    async def _of_history(self, workflow_id: str) -> tuple[datetime | None, int]:
        """When the last suppression check was scheduled, and how many attempts of all activities failed."""
        read_at: datetime | None = None
        failed = 0
        ids = [workflow_id]
        async for child in self._services.client.list_workflows(f'WorkflowId STARTS_WITH "{workflow_id}"'):
            if child.id != workflow_id:
                ids.append(child.id)
        for one in ids:
            history = await self._services.client.get_workflow_handle(one).fetch_history()
            for event in history.events:
                if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                    if event.activity_task_scheduled_event_attributes.activity_type.name == "recheck_suppression":
                        read_at = event.event_time.ToDatetime(UTC)
                elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                    failed += event.activity_task_started_event_attributes.attempt - 1
        return read_at, failed


def report(outcomes: list[Outcome], seed: int, wall_s: float) -> str:
    wrong = [name for one in outcomes for name in one.wrongly_delivered]
    ends = Counter(one.status.value for one in outcomes)
    faults = Counter(kind for one in outcomes for kind in one.faults)
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores, {len(outcomes)} runs (`--seed {seed}`), {wall_s:.0f} s.",
        "",
        "| figure | wanted | measured |",
        "|---|---|---|",
        f"| suppressed companies delivered | 0 | {len(wrong)} |",
        f"| companies delivered | | {sum(one.delivered for one in outcomes)} |",
        f"| companies put on the list, of these while the run worked | |"
        f" {sum(one.listed for one in outcomes)}, {sum(one.listed_late for one in outcomes)} |",
        f"| companies held back as suppressed | | {sum(one.held_back for one in outcomes)} |",
        f"| failures of the list's store | | {', '.join(f'{count} {kind}' for kind, count in sorted(faults.items()))} |",
        f"| attempts of activities that failed, in how many runs | |"
        f" {sum(one.failed_attempts for one in outcomes)}, {sum(one.failed_attempts > 0 for one in outcomes)} |",
        f"| how the runs ended | | {', '.join(f'{count} {status}' for status, count in sorted(ends.items()))} |",
    ]
    return "\n".join([*lines, "", *(f"- delivered though suppressed: {name}" for name in wrong)])


def main(
    count: Annotated[int, typer.Option("--runs", min=1, help="How many runs.")] = 100,
    seed: Annotated[int, typer.Option(help="What the runs are drawn with.")] = 1,
) -> None:
    """Measure and print a table as Markdown."""
    for name in Settings.model_fields:
        os.environ.pop(name.upper(), None)
    started = time.monotonic()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="pm-eval-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)  # so that Postgres's own system user gets to its data in there
        try:
            run_async(_measured(Path(directory), count, seed, outcomes))
        finally:  # interrupted, it reports what it has
            print(report(outcomes, seed, time.monotonic() - started))
    tested = any(one.held_back for one in outcomes) and any(one.delivered for one in outcomes)
    raise typer.Exit(0 if tested and not any(one.wrongly_delivered for one in outcomes) else 1)


async def _measured(directory: Path, count: int, seed: int, outcomes: list[Outcome]) -> None:
    settings = Settings(_env_file=None, local_dir=directory / "local")
    async with (
        local_session(stack_options(settings)) as (_, addresses),
        open_services(settings, endpoints_of(addresses)) as services,
        one_connection(services.endpoints.database()) as control,
    ):
        await control.set_autocommit(True)
        evaluation = Evaluation(services, control, outcomes)
        loop = asyncio.get_running_loop()

        @drawn_with(seed)
        @hypothesis_settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=_cases)
        def each(case: Case) -> None:
            asyncio.run_coroutine_threadsafe(evaluation.run(case), loop).result()
            sys.stderr.write(f"\r{len(evaluation.outcomes)}/{count}")

        await asyncio.to_thread(each)


if __name__ == "__main__":
    command(main)
