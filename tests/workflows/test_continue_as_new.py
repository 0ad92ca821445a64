"""A long run continues as new: no company, decision or answer is lost or taken twice, and every history stays short."""

import asyncio
from collections import Counter

from domain.activity_io import RefusedAnswerInput
from domain.company.status import ReasonCode
from domain.failures import MODEL_UNREACHABLE
from domain.request.progress import RunStatus
from domain.request.run_request import Windows
from tests.workflows.conftest import StartRun
from tests.workflows.fake_run import OK, FakeRun, at
from tests.workflows.live_run import LiveRun, request_for

EVENTS_MAX = 100
# Events of the open work, four companies and a search, that finishes first.
DRAIN_EVENTS_MAX = 150
COMPANIES, TASKS = 72, 8


async def test_a_long_run_continues_as_new_and_loses_nothing(start: StartRun) -> None:
    def prepare(stored: FakeRun) -> None:
        stored.fail("qualify_company", at(3, 3), MODEL_UNREACHABLE)

    per_task = COMPANIES // TASKS
    endings = [OK if place == 0 else ReasonCode.PMS_NOT_MET for place in range(per_task)]
    windows = Windows(discovery=1, companies=4, history_events_max=EVENTS_MAX)
    run = await start(request_for(20, windows=windows), *[endings] * TASKS, prepare=prepare)

    first = await run.question(1)
    run.stored.mend()
    await run.decide(1, "retry")
    second = await run.question(2)
    before = await run.progress()
    await run.decide(2, "accept_partial")
    result = await run.result()

    assert (first.reason, second.reason) == ("dependency_down", "candidates_exhausted")
    assert (result.status, result.companies, result.partial) == (RunStatus.COMPLETED, TASKS, True)
    judged = Counter(run.stored.keys("qualify_company"))
    assert set(judged) == {at(task, place) for task in range(TASKS) for place in range(per_task)}
    assert judged.total() <= COMPANIES + windows.companies, "those that the first question interrupted run twice"
    assert Counter(run.stored.keys("discover")) == dict.fromkeys(range(TASKS), 1)
    assert before.funnel == {ReasonCode.COMPLETE: TASKS, ReasonCode.PMS_NOT_MET: COMPANIES - TASKS}
    assert before.search_tasks_done == TASKS
    assert before.model_calls == TASKS + 2 * TASKS
    assert len(run.stored.inputs("plan_run_search")) == 1

    histories = await run.own_histories()
    assert len(histories) >= 5
    assert max(len(history.events) for history in histories) <= EVENTS_MAX + DRAIN_EVENTS_MAX


async def test_refused_answers_survive_continue_as_new(start: StartRun) -> None:
    windows = Windows(discovery=1, companies=4, history_events_max=50)
    run = await start(request_for(30, windows=windows), *[[ReasonCode.PMS_NOT_MET] * 4] * 4)
    sent = await _send_until_it_asks(run)
    await run.decide(1, "cancel")
    await run.result()
    assert len(await run.own_histories()) >= 3
    refused: list[RefusedAnswerInput] = run.stored.inputs("record_refused_decision")
    assert Counter(params.decision_id for params in refused) == dict.fromkeys(sent, 1)


async def _send_until_it_asks(run: LiveRun) -> list[str]:
    sent: list[str] = []
    while (await run.progress()).decision is None:
        sent.append(f"nothing-{len(sent)}")
        await run.signal({"decision_id": sent[-1], "action": "retry"})
        await asyncio.sleep(0.1)
    return sent
