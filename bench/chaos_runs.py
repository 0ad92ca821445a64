"""One run on a chaos stack from start to result, and the three ways to disturb it."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, replace

import psycopg
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from bench.chaos_faults import Applied, Event, Kind, disturb
from bench.chaos_measures import Attempts, Delivery, attempts_of, delivery_of
from bench.chaos_stack import WORKERS, ChaosStack, until
from domain.request.decision import DecisionAction, DecisionReason
from domain.request.progress import ENDED, RunStatus
from domain.request.run_request import RunRequest
from runtime.process import UserError
from runtime.services import Services
from settings import Settings
from store.database import DatabaseUnreachableError
from store.runs import runs
from store.runs.runs import RunRow
from usecases.decide import send_decision
from usecases.export import rendered_files
from usecases.start import StartOptions, build_request, start_run

QUANTITY = 25
CRITERIA = {"pms": "Buildium", "state": "TX"}
_POLL_S = 0.3
# A run that waits for a dependency continues by itself when that answers again. If not, it is answered by hand after this.
_PATIENCE_S = 90.0
_PATIENCE_AFTER_LONG_S = (
    330.0  # after a long outage the run looks every five minutes (RECHECK in workflows/policies.py)
)
_RUN_MAX_S = 1_200.0


@dataclass(frozen=True)
class RunResult:
    """What came of one run.

    Attributes:
        delivery: empty unless the run completed.
        turns: model calls that were answered. ``repeated`` of them had been answered before, ``unused`` were never stored.
        searches: searches that were answered. ``searches_repeated`` of them had been answered before.
        answers_cut_off: of the model; they were paid for, and lost without a kill.
        answered_by_hand: questions that the run did not settle itself.
        crashed: worker processes that ended by themselves, or badly.
        failed: companies that failed.
    """

    run_id: str
    status: RunStatus
    delivery: Delivery
    wall_s: float
    turns: int
    repeated: int
    unused: int
    searches: int
    searches_repeated: int
    answers_cut_off: int
    attempts: Attempts
    answered_by_hand: int
    crashed: int
    failed: int
    applied: Applied

    @property
    def turns_that_may_be_lost(self) -> int:
        """Model answers that its faults can have lost: in flight at its kills, or cut off."""
        return self.applied.calls_in_flight + self.answers_cut_off


@dataclass(frozen=True)
class Outage:
    """A time without the model, and how the run behaved.

    Attributes:
        attempts: calls tried while it lasted, ``last_minute_attempts`` of them in its last minute.
        status_at_end: the run's status when the model came back.
    """

    lasted_s: float
    attempts: int
    last_minute_attempts: int
    status_at_end: RunStatus
    result: RunResult


async def undisturbed_run(stack: ChaosStack) -> RunResult:
    return await _follow(stack, await _start(stack))


async def disturbed_run(stack: ChaosStack, events: list[Event], seed: int) -> RunResult:
    request = await _start(stack)
    over = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        disturbing = tasks.create_task(disturb(stack, events, seed, over))
        result = await _follow(stack, request)
        over.set()
    return replace(result, applied=disturbing.result())


async def outage_run(stack: ChaosStack, at_call: int, lasts_s: float) -> Outage:
    """A run whose model is away for a while."""
    request = await _start(stack)
    await until(lambda: stack.model.requests >= at_call)
    stack.model.is_down = True
    await asyncio.sleep(lasts_s)
    run = await _row(stack, request)
    stack.model.is_down = False
    back_s, refused_s = asyncio.get_running_loop().time(), list(stack.model.refused_s)
    result = await _follow(stack, request, _PATIENCE_S if lasts_s <= _PATIENCE_S else _PATIENCE_AFTER_LONG_S)
    return Outage(
        lasted_s=lasts_s,
        attempts=len(refused_s),
        last_minute_attempts=sum(at_s > back_s - 60 for at_s in refused_s),
        status_at_end=run.status if run else RunStatus.ACTIVE,
        result=result,
    )


async def drained_run(stack: ChaosStack, at_calls: list[int]) -> RunResult:
    """At each of these model calls, one of the workers in turn is drained and restarted."""
    request = await _start(stack)
    applied = Applied()
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(_follow(stack, request))
        for number, at_call in enumerate(at_calls):
            await until(lambda call=at_call: stack.model.requests >= call or following.done())  # type: ignore[misc]
            if following.done():
                break
            await stack.ready_workers(WORKERS)
            await stack.workers[number % WORKERS].drain()
            applied.events[Kind.DRAIN] += 1
    return replace(following.result(), applied=applied)


async def _start(stack: ChaosStack) -> RunRequest:
    await stack.ready_workers(WORKERS)
    await stack.clear()
    settings = Settings(_env_file=None)
    request = build_request(StartOptions(criteria=CRITERIA, quantity=QUANTITY), settings)
    async with stack.database() as conn:
        await start_run(Services(settings, stack.endpoints, stack.client, conn), request, None)
    return request


async def _row(stack: ChaosStack, request: RunRequest) -> RunRow | None:
    """The run as stored; None while the database is away."""
    try:
        async with stack.database() as conn:
            return await runs.get_run(conn, request.run_id)
    except (psycopg.OperationalError, DatabaseUnreachableError):
        return None


async def _follow(stack: ChaosStack, request: RunRequest, patience_s: float = _PATIENCE_S) -> RunResult:
    """Follow a run to its end, and answer its questions."""
    started_s = time.monotonic()
    waiting_since: dict[str, float] = {}
    by_hand = 0
    while (run := await _row(stack, request)) is None or run.status not in ENDED:
        if time.monotonic() - started_s > _RUN_MAX_S:
            break  # reported as unfinished
        if run is not None and run.status is RunStatus.NEEDS_USER_DECISION and run.decision is not None:
            since = waiting_since.setdefault(run.decision.decision_id, time.monotonic())
            was_down = run.decision.reason is DecisionReason.DEPENDENCY_DOWN
            if not was_down or time.monotonic() - since > patience_s:
                action = DecisionAction.RETRY if was_down else DecisionAction.ACCEPT_PARTIAL
                by_hand += await _answer(stack, run, action)
        await asyncio.sleep(_POLL_S)
    wall_s = time.monotonic() - started_s
    if run is not None and run.status in ENDED:
        with suppress(WorkflowFailureError, RPCError):  # the status says that it failed
            await asyncio.wait_for(stack.client.get_workflow_handle(run.workflow_id).result(), 60)
    async with stack.database() as conn:
        run = await runs.get_run(conn, request.run_id)
        delivery: Delivery = []
        if run.status is RunStatus.COMPLETED:
            companies_file, contacts_file, _ = await rendered_files(conn, run)
            delivery = delivery_of(companies_file.content, contacts_file.content)
        cursor = await conn.execute(
            """
            SELECT (SELECT count(*) FROM company_candidates WHERE run_id = %(run)s AND status = 'failed') AS failed,
                   -- calls that the run's own end cut off are not stored either
                   (SELECT count(*) FROM agent_turns
                    WHERE run_id = %(run)s AND (status <> 'lost' OR input_hash ~ ' ended ')) AS stored
            """,
            {"run": run.run_id},
        )
        [counts] = await cursor.fetchall()
    turns, searches = stack.model.answered, stack.search.answered
    return RunResult(
        run_id=str(run.run_id),
        status=run.status,
        delivery=delivery,
        wall_s=wall_s,
        turns=turns.total(),
        repeated=turns.total() - len(turns),
        unused=max(0, turns.total() - counts["stored"]),
        searches=searches.total(),
        searches_repeated=searches.total() - len(searches),
        answers_cut_off=stack.model.cut_off,
        attempts=await attempts_of(stack.client, run.workflow_id, stack.silent_sites),
        answered_by_hand=by_hand,
        crashed=sum(worker.crashes for worker in stack.workers),
        failed=counts["failed"],
        applied=Applied(),
    )


async def _answer(stack: ChaosStack, run: RunRow, action: DecisionAction) -> bool:
    """Answer the open question. False if the run took no answer now; it is asked again then."""
    try:
        async with stack.database() as conn:
            services = Services(Settings(_env_file=None), stack.endpoints, stack.client, conn)
            await send_decision(services, run, {"action": action.value})
    except (UserError, psycopg.OperationalError, DatabaseUnreachableError):
        return False  # the run answered it itself, or a server is away
    return True
