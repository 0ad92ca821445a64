"""When a run asks, what each answer changes, and that it buys nothing while it waits."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from domain.activity_io import DecisionInput
from domain.company.status import ReasonCode
from domain.failures import MODEL_UNREACHABLE, SEARCH_UNAVAILABLE
from domain.request.decision import DecisionAction, DecisionReason
from domain.request.progress import RunStatus
from domain.request.run_request import Limits, OnDecision
from tests.workflows.conftest import StartRun
from tests.workflows.fake_run import NO, OK, SHORT, Ending, FakeRun, at, unless
from tests.workflows.live_run import LiveRun, request_for


def applied(run: LiveRun) -> DecisionInput:
    (params,) = run.stored.inputs("apply_decision")
    assert isinstance(params, DecisionInput)
    return params


async def test_a_run_that_finds_nothing_asks(start: StartRun) -> None:
    run = await start(request_for(2), [], [])
    question = await run.question()
    assert question.reason is DecisionReason.CANDIDATES_EXHAUSTED
    assert question.message == "0 of 2 companies are complete; all 2 searches are done; 0 companies were judged."
    assert question.default is DecisionAction.CANCEL
    assert (await run.progress()).status is RunStatus.NEEDS_USER_DECISION


async def test_a_run_asks_when_its_searches_are_exhausted(start: StartRun) -> None:
    run = await start(request_for(2), [NO, NO], *[[]] * 30)
    question = await run.question()
    assert question.message.startswith("0 of 2 companies are complete; 13 searches are done; others (individual)")
    assert run.stored.keys("discover") == list(range(13))
    assert (await run.progress()).exhausted_kinds == ("individual",)


async def test_a_run_that_skipped_searches_says_why(start: StartRun) -> None:
    def skipped_before(stored: FakeRun) -> None:
        stored.skipped = ("individual", "software")

    run = await start(request_for(2), [NO], [], prepare=skipped_before)
    question = await run.question()
    assert question.message == (
        "0 of 2 companies are complete; 2 searches are done; others (individual, software) were skipped: a recent"
        " identical run found nothing new there; 1 companies were judged."
    )
    assert (await run.progress()).exhausted_kinds == ("individual", "software")


async def test_a_run_asks_when_contacts_are_short(
    start: StartRun,
) -> None:
    run = await start(request_for(2), [SHORT, SHORT])
    assert (await run.question()).reason is DecisionReason.CONTACTS_SHORT
    assert len(run.stored.keys("find_contacts")) == 4, "two attempts for each company"


@pytest.mark.parametrize(
    ("action", "options", "ending", "changed"),
    [
        (
            "loosen_pms",
            {"pms_soft": True},
            unless(lambda c: c.mode_of("pms") == "soft", ReasonCode.PMS_NOT_MET),
            lambda c: c.modes == {"pms": "soft"},
        ),
        (
            "lower_units",
            {"units_min": 20},
            unless(lambda c: c.units_min <= 20, ReasonCode.UNITS_NOT_MET),
            lambda c: c.units_min == 20,
        ),
        (
            "accept_unknown",
            {"criteria": ["units"]},
            unless(lambda c: "units" in c.unknown_accepted, ReasonCode.UNITS_UNKNOWN),
            lambda c: c.unknown_accepted == ("units",),
        ),
    ],
    ids=["loosen_pms", "lower_units", "accept_unknown"],
)
async def test_an_answer_amends_the_run_and_reopens_companies(
    start: StartRun, action: str, options: dict[str, Any], ending: Ending, changed: Any
) -> None:
    run = await start(request_for(2), [OK, ending, ReasonCode.DUPLICATE])
    await run.question()
    receipt = await run.decide(1, action, **options)
    assert receipt == {"decision_id": "decision-1", "action": action}
    result = await run.result()
    assert (result.status, result.companies, result.partial) == (RunStatus.COMPLETED, 2, False)
    assert changed(applied(run).request.criteria)
    judged = Counter(run.stored.keys("qualify_company"))
    assert judged == {at(0, 0): 1, at(0, 1): 2, at(0, 2): 1}, "only reopened companies are judged again"
    assert (await run.progress()).funnel == {ReasonCode.COMPLETE: 2, ReasonCode.DUPLICATE: 1}


async def test_expand_location_searches_the_new_places(start: StartRun) -> None:
    run = await start(request_for(2), [OK], prepare=lambda s: s.tasks_of_expansion.append([OK]))
    await run.question()
    await run.decide(1, "expand_location", states=["OK"])
    assert (await run.result()).companies == 2
    assert applied(run).request.criteria.states == ("TX", "OK")
    assert run.stored.keys("discover") == [0, 1]


async def test_accept_partial_delivers_what_is_complete(start: StartRun) -> None:
    run = await start(request_for(3), [OK, NO, OK], prepare=lambda s: s.suppressed_late.add(at(0, 0)))
    assert (await run.question()).default is DecisionAction.ACCEPT_PARTIAL
    await run.decide(1, "accept_partial")
    result = await run.result()
    assert (result.status, result.companies, result.partial) == (RunStatus.COMPLETED, 1, True)
    assert result.companies_file == "companies.csv"
    assert run.stored.complete() == [at(0, 2)], "suppression is checked here too"
    assert (await run.progress()).note == "partial: 1 of 3, accepted by tester"


async def test_cancel_ends_the_run_and_delivers_nothing(start: StartRun) -> None:
    run = await start(request_for(3), [OK])
    await run.question()
    await run.decide(1, "cancel")
    result = await run.result()
    assert (result.status, result.companies_file) == (RunStatus.CANCELLED, None)
    assert [params.status for params in run.stored.inputs("finish_run")] == [RunStatus.CANCELLED]
    assert run.stored.inputs("export_run") == []


async def test_after_raise_budget_nothing_is_bought_twice(start: StartRun) -> None:
    # The budget pays for a search and the research of two companies.
    run = await start(request_for(2, limits=Limits(max_model_calls=3)), [OK, OK])
    question = await run.question()
    assert question.reason is DecisionReason.BUDGET_REACHED
    assert "the limit of 3 model calls" in question.message
    await run.decide(1, "raise_budget", max_model_calls=20)
    assert (await run.result()).companies == 2
    assert {params.retry_round for params in run.stored.inputs("find_contacts")} == {0}
    assert len(run.stored.bought) == len(set(run.stored.bought)) == 5
    assert len(run.stored.inputs("store_question")) == 1


@pytest.mark.parametrize("target", [2, 1])
async def test_paid_work_finishes_before_the_budget_question(start: StartRun, target: int) -> None:
    first, second = at(0, 0), at(0, 1)

    def prepare(stored: FakeRun) -> None:
        stored.hold("select_contacts", first)
        stored.hold("research_company", second)

    # The budget pays for a search and both calls for the first company.
    run = await start(request_for(target, companies=2, limits=Limits(max_model_calls=3)), [OK, OK, OK], prepare=prepare)
    await run.stored.reached("select_contacts", first)
    run.stored.hold("research_company", second).release()
    await run.until(lambda p: p.queued == 2)  # the third, and the second again
    await asyncio.sleep(0.3)  # a run that does not wait asks by then
    assert run.stored.inputs("store_question") == []
    assert len(run.stored.inputs("qualify_company")) == 2, "nothing new starts"
    run.stored.release_all()
    if target == 2:
        question = await run.question()
        assert question.reason is DecisionReason.BUDGET_REACHED
        assert question.message.startswith("1 of 2 companies are complete"), "counted when open work has finished"
        await run.decide(1, "accept_partial")
    assert (await run.result()).companies == 1
    assert len(run.stored.inputs("store_question")) == target - 1


async def test_retry_repeats_failed_work_in_a_new_round(start: StartRun) -> None:
    def prepare(stored: FakeRun) -> None:
        stored.fail("discover", 1, "Bug")
        stored.fail("research_company", at(0, 0), "Bug")

    run = await start(request_for(2), [OK], [OK], prepare=prepare)
    await run.question()
    run.stored.mend()
    await run.decide(1, "retry")
    assert (await run.result()).companies == 2
    assert run.stored.keys("discover") == [0, 1, 1]
    rounds = [
        params.retry_round for params in run.stored.inputs("research_company") if params.company.position == at(0)
    ]
    assert rounds == [0, 1]


async def test_retry_repeats_failed_searches_while_work_is_open(start: StartRun) -> None:
    def prepare(stored: FakeRun) -> None:
        stored.fail_once("discover", 0, "Bug")
        stored.fail_once("research_company", at(1, 0), MODEL_UNREACHABLE)
        stored.hold("research_company", at(1, 1))

    run = await start(request_for(3), [OK], [OK, OK], prepare=prepare)
    await run.question()
    await run.stored.reached("research_company", at(1, 1))
    await run.decide(1, "retry")
    await run.until(lambda p: p.companies_ready == 2)
    run.stored.release_all()
    assert (await run.result()).companies == 3
    assert run.stored.keys("discover") == [0, 1, 0]
    assert len(run.stored.inputs("store_question")) == 1


async def test_requeued_searches_come_before_later_ones(
    start: StartRun,
) -> None:
    def prepare(stored: FakeRun) -> None:
        stored.fail_once("discover", 0, "Bug")
        stored.fail_once("research_company", at(1, 0), MODEL_UNREACHABLE)
        stored.hold("research_company", at(1, 1))
        stored.hold("discover", 2)

    run = await start(request_for(3), [OK], [OK, OK], [OK], prepare=prepare)
    await run.question()
    await run.stored.reached("research_company", at(1, 1))
    await run.stored.reached("discover", 2)
    await run.decide(1, "retry")
    await run.until(lambda p: p.companies_ready == 1)
    run.stored.release_all()
    await run.result()
    assert run.stored.complete() == [at(0), at(1, 0), at(1, 1)]
    assert run.stored.keys("discover") == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("name", "key", "failure_type"),
    [("discover", 0, SEARCH_UNAVAILABLE), ("research_company", at(0), MODEL_UNREACHABLE)],
    ids=["search", "model"],
)
async def test_an_outage_fails_no_company(start: StartRun, name: str, key: int, failure_type: str) -> None:
    run = await start(request_for(2), [OK, OK], prepare=lambda s: s.fail(name, key, failure_type))
    assert (await run.question()).reason is DecisionReason.DEPENDENCY_DOWN
    run.stored.mend()
    await run.decide(1, "retry")
    result = await run.result()
    assert (result.companies, run.stored.inputs("fail_company")) == (2, [])


async def test_a_stage_time_out_asks_and_ends_nothing(start: StartRun) -> None:
    run = await start(
        request_for(2, limits=Limits(stage_timeout_s=3)),
        [OK, OK],
        prepare=lambda s: s.hold("research_company", at(0, 0)),
    )
    await run.stored.reached("research_company", at(0, 0))
    question = await run.question()
    assert question.reason is DecisionReason.STAGE_TIMEOUT
    assert (await run.progress()).open_research == 1, "open work goes on"
    run.stored.release_all()
    await run.decide(1, "retry")
    assert (await run.result()).companies == 2
    assert len(run.stored.keys("discover")) == 1


async def test_a_filled_target_withdraws_the_question(start: StartRun) -> None:
    run = await start(
        request_for(1, limits=Limits(stage_timeout_s=3)), [OK], prepare=lambda s: s.hold("select_contacts", at(0))
    )
    await run.stored.reached("select_contacts", at(0))
    await run.question()
    run.stored.release_all()
    result = await run.result()
    assert (result.status, result.companies, result.partial) == (RunStatus.COMPLETED, 1, False)
    assert run.stored.inputs("apply_decision") == []
    assert run.stored.question is None, "it is closed in the store too"


async def test_a_waiting_run_starts_and_buys_nothing(start: StartRun) -> None:
    def prepare(stored: FakeRun) -> None:
        stored.fail("research_company", at(0, 0), MODEL_UNREACHABLE)
        stored.hold("qualify_company", at(0, 1))

    run = await start(request_for(3, companies=2), [OK, OK, OK], prepare=prepare)
    await run.question()
    bought = list(run.stored.bought)
    run.stored.release_all()
    progress = await run.until(lambda p: p.open_research == 0)
    assert (progress.status, progress.queued) == (RunStatus.NEEDS_USER_DECISION, 3)
    begun = [call.name for call in run.stored.calls if call.while_waiting]
    assert "discover" not in begun
    assert "qualify_company" not in begun
    assert run.stored.bought == bought
    run.stored.mend()
    await run.decide(1, "retry")
    assert (await run.result()).companies == 3


async def test_without_an_answer_the_deadline_takes_the_default(start_skipping: StartRun) -> None:
    run = await start_skipping(request_for(2), [OK])
    await run.notified("decision-1")
    result = await run.result()
    assert (result.status, result.companies, result.partial) == (RunStatus.COMPLETED, 1, True)
    decision = applied(run).decision
    assert (decision.action, decision.decided_by) == (DecisionAction.ACCEPT_PARTIAL, "deadline")
    started = (await run.handle.describe()).start_time
    assert applied(run).question.deadline.timestamp() - started.timestamp() == pytest.approx(7 * 24 * 3600, abs=3600)


async def test_without_an_answer_a_run_that_has_nothing_is_cancelled(start_skipping: StartRun) -> None:
    run = await start_skipping(request_for(2), [NO])
    await run.notified("decision-1")
    assert (await run.result()).status is RunStatus.CANCELLED


@pytest.mark.parametrize(
    ("given", "ends_as"),
    [(OnDecision.ACCEPT_PARTIAL, RunStatus.COMPLETED), (OnDecision.CANCEL, RunStatus.CANCELLED)],
)
async def test_an_answer_in_the_request_is_taken_and_recorded(
    start: StartRun, given: OnDecision, ends_as: RunStatus
) -> None:
    run = await start(request_for(2, on_decision=given), [OK])
    assert (await run.result()).status is ends_as
    assert applied(run).decision.decided_by == "the request's --on-decision"
    assert run.notifications() == [ends_as], "only of the end"
