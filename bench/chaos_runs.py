"""One run on a chaos stack, from its start to what came of it; and the three ways in which the bench disturbs one."""

import asyncio
import time
from collections import Counter
from contextlib import suppress

import psycopg
from pydantic import BaseModel, ConfigDict
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from bench.chaos_faults import Applied, Event, Kind, disturb
from bench.chaos_measures import Attempts, Delivery, attempts_of, repeated_calls
from bench.chaos_proxy import Fault
from bench.chaos_stack import ChaosStack, until
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
# A run that asks since something was down goes on by itself when that answers again. A person who waits in vain answers at last.
_PATIENCE_S = 90.0
# After a long outage it looks every five minutes (RECHECK in workflows/policies.py).
_PATIENCE_AFTER_LONG_S = 330.0
_RUN_MAX_S = 1_200.0


class RunResult(BaseModel):
    """What came of one run.

    Attributes:
        delivery: None unless it completed.
        turns: model calls that the model answered; ``repeated`` of them had been answered before.
        searches: questions that the search answered; ``searches_repeated`` of them had been answered before.
        unused: answered and never stored, but for those that the run's own end has cut off.
        answers_cut_off: of the model's answers, those that were cut off on purpose: paid for, and lost without any kill.
        asked: questions that the run put, by reason; ``answered_by_hand`` of them a person had to answer.
        injected: answers that were spoilt on purpose.
        crashed: worker processes that ended by themselves; ``turned_away`` are those that ended before they were ready, since a
            server was away.
        ended: companies by status and reason, as stored.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    status: RunStatus
    delivery: Delivery | None
    wall_s: float
    turns: int
    repeated: int
    searches: int
    searches_repeated: int
    unused: int
    answers_cut_off: int
    attempts: Attempts
    asked: Counter[str]
    answered_by_hand: int
    injected: Counter[Fault]
    crashed: int
    turned_away: int
    ended: Counter[str]
    applied: Applied | None = None


class Outage(BaseModel):
    """A time without the model, and what the run made of it.

    Attributes:
        attempts: calls tried while it lasted; ``last_minute_attempts`` of them in its last minute.
        status_at_end: the run's status when the model came back.
    """

    model_config = ConfigDict(frozen=True)

    lasted_s: float
    attempts: int
    last_minute_attempts: int
    status_at_end: RunStatus
    result: RunResult


async def undisturbed_run(stack: ChaosStack) -> RunResult:
    """A run that nothing happens to."""
    request = await _started(stack)
    return await _followed(stack, request, time.monotonic())


async def disturbed_run(stack: ChaosStack, events: tuple[Event, ...], seed: int) -> RunResult:
    """A run that these faults happen to."""
    request = await _started(stack)
    over = asyncio.Event()
    disturbing = asyncio.create_task(disturb(stack, events, seed, over))
    try:
        result = await _followed(stack, request, time.monotonic())
    finally:
        over.set()
        applied = await disturbing
    return result.model_copy(update={"applied": applied})


async def outage_run(stack: ChaosStack, at_call: int, lasts_s: float) -> Outage:
    """A run whose model is away for a while."""
    request = await _started(stack)
    started = time.monotonic()
    await until(lambda: stack.model.requests >= at_call)
    stack.model.is_down = True
    until_s = asyncio.get_running_loop().time() + lasts_s
    await asyncio.sleep(lasts_s)
    run = await _row(stack, request)
    stack.model.is_down = False
    refused_s = list(stack.model.refused_s)
    patience_s = _PATIENCE_S if lasts_s <= _PATIENCE_S else _PATIENCE_AFTER_LONG_S
    result = await _followed(stack, request, started, patience_s=patience_s)
    return Outage(
        lasted_s=lasts_s,
        attempts=len(refused_s),
        last_minute_attempts=sum(at_s > until_s - 60 for at_s in refused_s),
        status_at_end=run.status if run else RunStatus.ACTIVE,
        result=result,
    )


async def drained_run(stack: ChaosStack, at_calls: tuple[int, ...]) -> RunResult:
    """A run of two workers. At each of these model calls one of them, in turn, is drained and started again."""
    request = await _started(stack)
    following = asyncio.create_task(_followed(stack, request, time.monotonic()))
    drained = 0
    for number, at_call in enumerate(at_calls):
        await until(lambda call=at_call: stack.model.requests >= call or following.done())  # type: ignore[misc]
        if following.done():
            break
        await stack.ready_workers(len(stack.workers))
        await stack.workers[number % len(stack.workers)].drain()
        drained += 1
    result = await following
    return result.model_copy(update={"applied": Applied(events=Counter({Kind.DRAIN: drained}))})


async def _started(stack: ChaosStack) -> RunRequest:
    await stack.ready_workers(len(stack.workers))
    await stack.clear()
    for worker in stack.workers:
        worker.ends.clear()
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


async def _followed(
    stack: ChaosStack, request: RunRequest, started: float, *, patience_s: float = _PATIENCE_S
) -> RunResult:
    asked: dict[str, tuple[str, float]] = {}
    by_hand = 0
    while (run := await _row(stack, request)) is None or run.status not in ENDED:
        if time.monotonic() - started > _RUN_MAX_S:
            break  # reported as unfinished
        if run is not None and run.status is RunStatus.NEEDS_USER_DECISION and run.decision is not None:
            question = run.decision
            _, since = asked.setdefault(question.decision_id, (question.reason.value, time.monotonic()))
            was_down = question.reason is DecisionReason.DEPENDENCY_DOWN
            if not was_down or time.monotonic() - since > patience_s:
                action = DecisionAction.RETRY if was_down else DecisionAction.ACCEPT_PARTIAL
                by_hand += await _answered(stack, run, action)
        await asyncio.sleep(_POLL_S)
    wall_s = time.monotonic() - started
    if run is not None and run.status in ENDED:
        with suppress(WorkflowFailureError, RPCError):  # a failed run is told by its status
            await asyncio.wait_for(stack.client.get_workflow_handle(run.workflow_id).result(), 60)
    async with stack.database() as conn:
        run = await runs.get_run(conn, request.run_id)
        delivery = None
        if run.status is RunStatus.COMPLETED:
            companies_file, contacts_file, _ = await rendered_files(conn, run)
            delivery = Delivery.of(companies_file.content, contacts_file.content)
        cursor = await conn.execute(
            "SELECT status || coalesce(' ' || reason, '') AS ended FROM company_candidates WHERE run_id = %s",
            (run.run_id,),
        )
        ended = Counter(row["ended"] for row in await cursor.fetchall())
        cursor = await conn.execute(
            "SELECT count(*) AS calls FROM agent_turns WHERE run_id = %s AND (status <> 'lost' OR input_hash ~ ' ended ')",
            (run.run_id,),
        )
        accounted = (await cursor.fetchone() or {"calls": 0})["calls"]
    return RunResult(
        run_id=str(run.run_id),
        status=run.status,
        delivery=delivery,
        wall_s=wall_s,
        turns=stack.model.answered.total(),
        repeated=repeated_calls(stack.model.answered),
        searches=stack.search.answered.total(),
        searches_repeated=repeated_calls(stack.search.answered),
        unused=max(0, stack.model.answered.total() - accounted),
        answers_cut_off=stack.model.injected[Fault.CUT_OFF],
        attempts=await attempts_of(stack.client, run.workflow_id, stack.silent_sites),
        asked=Counter(reason for reason, _ in asked.values()),
        answered_by_hand=by_hand,
        injected=stack.model.injected + stack.web.injected,
        crashed=sum(worker.ends["failed"] for worker in stack.workers),
        turned_away=sum(worker.ends["turned_away"] for worker in stack.workers),
        ended=ended,
    )


async def _answered(stack: ChaosStack, run: RunRow, action: DecisionAction) -> bool:
    """Answer the open question. False when the run took no answer now; it is asked again then."""
    try:
        async with stack.database() as conn:
            services = Services(Settings(_env_file=None), stack.endpoints, stack.client, conn)
            await send_decision(services, run, {"action": action.value})
    except (UserError, psycopg.OperationalError, DatabaseUnreachableError):
        return False  # answered by the run itself since the row was read, or a server is away just now
    return True
