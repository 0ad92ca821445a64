"""Is a suppressed company ever delivered? ``python -m evals.suppression [--runs 100] [--seed 1]``.

Hypothesis draws whole runs: what is listed, how, when, and how the list's store fails. The run's history says when it last read the list.
"""

import asyncio
import csv
import io
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

import psycopg
import typer
from hypothesis import strategies as st
from temporalio.client import WorkflowFailureError

from domain.company.suppression import Suppression
from domain.request.decision import DecisionAction
from domain.request.progress import ENDED, RunStatus
from domain.request.run_request import OnDecision, RunRequest
from evals.figures import Figure, none_of, report
from evals.gold import by_domain
from evals.harness import command, demo_services, draw, stack_directory
from local.demo.truth import GoldCompany, gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from runtime.process import UserError, run_async
from runtime.services import Services
from store.companies import suppressions
from store.database import Connection, one_connection
from store.runs import runs
from store.runs.runs import RunRow
from usecases.decide import send_decision
from usecases.export import rendered_files
from usecases.start import StartOptions, build_request, start_run

Way = Literal["domain", "name", "portal"]
Failure = Literal["locked", "ended", "gone"]
_SLICE_MIN = 12  # deliverable companies in a slice: enough are left beside the suppressed ones, and a run is short
_POLL_S = 0.2
_SOURCE = "evaluation"


@dataclass(frozen=True)
class Fault:
    """How the list's store fails. ``after_s`` counts from the run's start or from the fault before."""

    kind: Failure
    after_s: float
    lasts_s: float


@dataclass(frozen=True)
class Listing:
    """A company that is put on the list: before the run starts, or so many seconds later."""

    index: int
    way: Way
    late_s: float | None


@dataclass(frozen=True)
class Case:
    place: int
    quantity: int
    listed: list[Listing]
    faults: list[Fault]


_seconds = st.floats(0.0, 2.0).map(lambda value: round(value, 2))
_ways = st.sampled_from(["domain", "domain", "name", "portal"])
# "gone" is rare: a missing table is a fault in the set-up, and the run rightly fails.
_failures = st.sampled_from(["locked"] * 4 + ["ended"] * 4 + ["gone"])
_listings = st.builds(Listing, index=st.integers(0, 11), way=_ways, late_s=st.none() | st.none() | _seconds)
_faults = st.builds(Fault, kind=_failures, after_s=_seconds, lasts_s=_seconds)
_cases = st.builds(
    Case,
    place=st.integers(0, 1000),
    quantity=st.integers(1, 3),
    listed=st.lists(_listings, min_size=1, max_size=8, unique_by=lambda listing: listing.index),
    faults=st.lists(_faults, min_size=1, max_size=3),
)


class Evaluation:
    """Runs cases one by one, and adds up what came of them."""

    def __init__(self) -> None:
        gold = gold_table(generate_world(DEFAULT_SEED)).companies
        self._by_domain = by_domain(gold)
        slices: dict[tuple[str, str], list[GoldCompany]] = {}
        for company in gold:
            if company.deliverable and company.pms:
                slices.setdefault((company.state, company.pms), []).append(company)
        self._slices = [companies for _, companies in sorted(slices.items()) if len(companies) >= _SLICE_MIN]
        self._wrong: list[str] = []
        self._ends, self._faults = Counter[str](), Counter[str]()
        self._delivered = self._held_back = 0

    def figures(self) -> list[Figure]:
        tested = f"{self._delivered}, {self._held_back}"
        return [
            none_of("suppressed companies delivered", self._wrong),
            Figure("companies delivered, held back", tested, "> 0", self._delivered > 0 and self._held_back > 0),
            Figure(
                "failures of the list's store", ", ".join(f"{count} {kind}" for kind, count in self._faults.items())
            ),
            Figure("how the runs ended", ", ".join(f"{count} {status}" for status, count in self._ends.items())),
        ]

    async def run(self, case: Case, services: Services, control: Connection) -> None:
        companies = self._slices[case.place % len(self._slices)]
        await control.execute("DELETE FROM suppression_domains WHERE source = %s", (_SOURCE,))
        options = StartOptions(
            criteria={"pms": companies[0].pms, "state": companies[0].state},
            quantity=case.quantity,
            on_decision=OnDecision.ACCEPT_PARTIAL,
        )
        request = build_request(options, services.settings)
        listed_at: dict[str | None, datetime] = {}

        async def put_on_list(listing: Listing) -> None:
            await asyncio.sleep(listing.late_s or 0)
            company = companies[listing.index % len(companies)]
            await self._put_on_list(services, company, listing.way, listed_at)

        for listing in case.listed:
            if listing.late_s is None:
                await put_on_list(listing)
        await start_run(services, request, None)
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for listing in case.listed:
                if listing.late_s is not None:
                    tasks.create_task(put_on_list(listing))
            disturbing = tasks.create_task(self._disturb(case.faults, over, services, control))
            run = await _wait_for_end(services, request, disturbing)
            over.set()
        await self._judge(services, run, listed_at)

    async def _put_on_list(
        self, services: Services, company: GoldCompany, way: Way, listed_at: dict[str | None, datetime]
    ) -> None:
        """List a company and note since when it counts. A name also lists its namesakes."""
        key = {"domain": company.domain}
        meant = [company]
        if way == "name":
            key = {"name": company.name, "state": company.state}
            meant = [one for one in self._by_domain.values() if (one.name, one.state) == (company.name, company.state)]
        elif way == "portal" and company.portal_host and company.portal_slug:
            key = {"domain": company.portal_host}
        entry = Suppression.model_validate({**key, "reason": "customer", "source": _SOURCE})
        while True:
            try:
                async with one_connection(services.endpoints.database()) as conn:
                    await suppressions.upsert(conn, [entry])
                break
            except psycopg.Error:  # a fault hits this writer too
                await asyncio.sleep(_POLL_S)
        for one in meant:
            listed_at.setdefault(one.domain, datetime.now(UTC))

    async def _disturb(self, faults: list[Fault], over: asyncio.Event, services: Services, control: Connection) -> None:
        """Let the list's store fail as drawn, until the run is over."""
        own = [services.conn.info.backend_pid, control.info.backend_pid]
        for fault in faults:
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), fault.after_s)
            if over.is_set():
                break
            self._faults[fault.kind] += 1
            match fault.kind:
                case "locked":
                    async with control.transaction():
                        await control.execute("LOCK TABLE suppression_domains IN ACCESS EXCLUSIVE MODE")
                        await asyncio.sleep(fault.lasts_s)
                case "ended":
                    until = time.monotonic() + fault.lasts_s
                    while time.monotonic() < until:
                        await control.execute(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            " WHERE datname = current_database() AND pid <> ALL(%s)",
                            (own,),
                        )
                        await asyncio.sleep(0.1)
                case "gone":
                    await control.execute("ALTER TABLE suppression_domains RENAME TO suppression_domains_away")
                    await asyncio.sleep(fault.lasts_s)
                    await control.execute("ALTER TABLE suppression_domains_away RENAME TO suppression_domains")

    async def _judge(self, services: Services, run: RunRow, listed_at: dict[str | None, datetime]) -> None:
        self._ends[run.status.value] += 1
        cursor = await services.conn.execute(
            "SELECT count(*) AS held_back FROM company_candidates WHERE run_id = %s AND status = 'suppressed'",
            (run.run_id,),
        )
        [row] = await cursor.fetchall()
        self._held_back += row["held_back"]
        if run.status is RunStatus.COMPLETED:
            read_at = await _list_last_read(services, run.workflow_id)
            companies_file, _, _ = await rendered_files(services.conn, run)
            rows = list(csv.DictReader(io.StringIO(companies_file.content.decode())))
            self._delivered += len(rows)
            for company in (self._by_domain[row["domain"]] for row in rows):
                if company.suppressed or listed_at.get(company.domain, read_at) < read_at:
                    self._wrong.append(f"{company.name} ({run.run_id})")


async def _wait_for_end(services: Services, request: RunRequest, disturbing: asyncio.Task[None]) -> RunRow:
    """Wait for the run's end. After the last fault, answer an outage with ``retry``."""
    while (run := await runs.get_run(services.conn, request.run_id)).status not in ENDED:
        if run.status is RunStatus.NEEDS_USER_DECISION and run.decision is not None and disturbing.done():
            with suppress(UserError):  # the run's own policy may have answered since the row was read
                await send_decision(services, run, {"action": DecisionAction.RETRY.value})
        await asyncio.sleep(_POLL_S)
    with suppress(WorkflowFailureError):
        await services.client.get_workflow_handle(run.workflow_id).result()
    return await runs.get_run(services.conn, request.run_id)


async def _list_last_read(services: Services, workflow_id: str) -> datetime:
    """When the last suppression check was scheduled."""
    read_at = datetime.min.replace(tzinfo=UTC)
    async for event in services.client.get_workflow_handle(workflow_id).fetch_history_events():
        scheduled = event.activity_task_scheduled_event_attributes  # empty in other events
        if scheduled.activity_type.name == "recheck_suppression":
            read_at = event.event_time.ToDatetime(UTC)
    return read_at


def main(
    count: Annotated[int, typer.Option("--runs", min=1, help="How many runs.")] = 100,
    seed: Annotated[int, typer.Option(help="What the runs are drawn with.")] = 1,
) -> None:
    """Measure and print a table. Exits 1 when a suppressed company was delivered, or when nothing was tested."""
    started_s = time.monotonic()
    evaluation = Evaluation()
    try:
        run_async(_measure(evaluation, draw(_cases, count, seed)))
    finally:  # interrupted, it reports what it has
        code = report(evaluation.figures(), f"{count} runs (`--seed {seed}`), {time.monotonic() - started_s:.0f} s")
    raise typer.Exit(code)


async def _measure(evaluation: Evaluation, cases: list[Case]) -> None:
    with stack_directory() as directory:
        async with demo_services(directory) as services, one_connection(services.endpoints.database()) as control:
            await control.set_autocommit(True)
            for number, case in enumerate(cases, start=1):
                await evaluation.run(case, services, control)
                print(f"\r{number}/{len(cases)}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    command(main)
