"""How a run takes answers: by update or signal, early, late, twice, or in a senseless shape."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from domain.activity_io import RefusedAnswerInput
from domain.request.progress import RunStatus
from tests.workflows.conftest import StartRun
from tests.workflows.fake_run import OK, at
from tests.workflows.live_run import LiveRun, eventually, request_for
from workflows.names import UPDATE_DECISION


def refused(run: LiveRun) -> list[RefusedAnswerInput]:
    return run.stored.inputs("record_refused_decision")


SENSELESS: dict[str, tuple[tuple[Any, ...], str]] = {
    "nothing": ((), "a decision is a JSON object such as"),
    "null": ((None,), "a decision is a JSON object such as"),
    "a word": (("accept_partial",), "a decision is a JSON object such as"),
    "a number": ((1,), "a decision is a JSON object such as"),
    "a list": ((["decision-1", "retry"],), "a decision is a JSON object such as"),
    "no action": (({"decision_id": "decision-1"},), "unknown action None"),
    "an unknown action": (
        ({"decision_id": "decision-1", "action": "acept_partial"},),
        "did you mean 'accept_partial'?",
    ),
    "no question": (({"action": "retry"},), "the decision was not understood: decision_id"),
    "another question": (({"decision_id": "decision-7", "action": "retry"},), "the open one is 'decision-1'"),
    "an unknown option": (
        ({"decision_id": "decision-1", "action": "retry", "speed": 9},),
        "the decision was not understood: speed",
    ),
    "an option of another action": (
        ({"decision_id": "decision-1", "action": "retry", "units_min": 9},),
        "retry takes no units_min",
    ),
    "no options": (({"decision_id": "decision-1", "action": "loosen_pms"},), "loosen_pms needs pms or pms_soft"),
    "no limit to raise": (
        ({"decision_id": "decision-1", "action": "raise_budget", "max_model_calls": 5},),
        "no max_model_calls to raise",
    ),
}


async def test_a_senseless_signal_is_recorded_and_shown(start: StartRun) -> None:
    run = await start(request_for(2), [OK])
    await run.question()
    for number, (args, problem) in enumerate(SENSELESS.values(), start=1):
        await run.signal(*args)
        await eventually(lambda n=number: len(refused(run)) == n, problem)  # type: ignore[misc]
        assert problem in refused(run)[-1].problem
        progress = await run.until(lambda p, text=problem: text in str(p.decision and p.decision.problem), problem)  # type: ignore[misc]
        assert progress.status is RunStatus.NEEDS_USER_DECISION
    await run.decide(1, "accept_partial")
    assert (await run.result()).status is RunStatus.COMPLETED


async def test_a_senseless_update_is_refused_with_the_reason(start: StartRun) -> None:
    run = await start(request_for(2), [OK])
    await run.question()
    for args, problem in SENSELESS.values():
        with pytest.raises(WorkflowUpdateFailedError) as raised:
            await run.handle.execute_update(UPDATE_DECISION, args=args)
        assert problem in str(raised.value.cause)
    assert refused(run) == [], "its sender got a reply"
    assert (await run.progress()).status is RunStatus.NEEDS_USER_DECISION


async def test_an_answer_before_the_question_answers_nothing(start: StartRun) -> None:
    run = await start(request_for(2), [OK], prepare=lambda s: s.hold("discover", 0))
    await run.signal({"decision_id": "decision-1", "action": "cancel"})
    await eventually(lambda: len(refused(run)) == 1, "recorded while the run works")
    assert refused(run)[0].problem == "this run is not waiting for a decision"
    assert (await run.progress()).problem == "this run is not waiting for a decision"
    with pytest.raises(WorkflowUpdateFailedError) as raised:
        await run.decide(1, "cancel")
    assert str(raised.value.cause) == "InvalidDecision: this run is not waiting for a decision"
    run.stored.release_all()
    await run.question()
    asking = await run.progress()
    assert (asking.status, asking.problem) == (RunStatus.NEEDS_USER_DECISION, None)


async def test_an_answer_to_an_earlier_question_is_refused(start: StartRun) -> None:
    run = await start(request_for(2), [OK])
    await run.question(1)
    await run.decide(1, "retry")
    await run.question(2)
    await run.signal({"decision_id": "decision-1", "action": "cancel"})
    await eventually(lambda: len(refused(run)) == 1, "recorded")
    assert (await run.question(2)).decision_id == "decision-2"


async def test_a_signal_answers_as_an_update_does(start: StartRun) -> None:
    run = await start(request_for(2), [OK])
    question = await run.question()
    await run.signal(question.options[0].answer)
    assert (await run.result()).status is RunStatus.COMPLETED


async def test_only_the_first_of_repeated_answers_counts(start: StartRun) -> None:
    run = await start(request_for(2), [OK])
    await run.question(1)
    answer = {"decision_id": "decision-1", "action": "retry"}
    await asyncio.gather(run.signal(answer), run.signal(answer), run.signal(answer))
    await run.question(2)
    await eventually(lambda: len(refused(run)) == 2, "the other two recorded")
    assert len(run.stored.inputs("apply_decision")) == 1


async def test_a_repeated_update_returns_the_same_receipt(start: StartRun) -> None:
    run = await start(request_for(2), [OK])
    await run.question(1)
    first = await run.decide(1, "retry", update_id="click-1")
    await run.question(2)
    assert await run.decide(1, "retry", update_id="click-1") == first
    assert len(run.stored.inputs("apply_decision")) == 1
    await run.decide(2, "accept_partial", update_id="click-2")
    await run.result()
    assert await run.decide(2, "accept_partial", update_id="click-2") == {
        "decision_id": "decision-2",
        "action": "accept_partial",
    }


async def test_an_answer_after_the_end_is_refused(start: StartRun) -> None:
    run = await start(request_for(1), [OK])
    await run.result()
    with pytest.raises(RPCError):
        await run.decide(1, "retry")


async def test_no_answer_however_large_can_hurt_the_run(start: StartRun) -> None:
    run = await start(request_for(2), [OK], prepare=lambda s: s.hold("select_contacts", at(0)))
    await run.signal({"decision_id": "d" * 400_000, "action": "retry"})
    await run.signal({"decision_id": "decision-1", "action": "a" * 400_000})
    run.stored.release_all()
    await run.question()
    await run.signal({"decision_id": "d" * 400_000, "action": "retry"})
    await run.signal({"decision_id": "decision-1", "action": "a" * 400_000})
    await eventually(lambda: len(refused(run)) == 4, "recorded")
    assert all(len(params.model_dump_json()) < 2_000 for params in refused(run))
    await run.decide(1, "accept_partial")
    assert (await run.result()).status is RunStatus.COMPLETED
