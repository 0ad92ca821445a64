"""Outcomes that arrive late: after the question was answered, or after the criteria changed."""

from domain.company.status import ReasonCode
from domain.failures import MODEL_UNREACHABLE
from domain.request.decision import DecisionReason
from domain.request.run_request import Limits
from tests.workflows.conftest import StartRun
from tests.workflows.fake_run import OK, FakeRun, at, unless
from tests.workflows.live_run import request_for


async def test_a_late_interruption_is_not_asked_again(
    start: StartRun,
) -> None:
    def prepare(stored: FakeRun) -> None:
        stored.fail_once("research_company", at(0, 0), MODEL_UNREACHABLE)
        stored.fail_once("research_company", at(0, 1), MODEL_UNREACHABLE)
        stored.hold("research_company", at(0, 1))

    run = await start(request_for(2), [OK, OK], prepare=prepare)
    await run.question()
    await run.stored.reached("research_company", at(0, 1))
    await run.decide(1, "retry")
    await run.until(lambda p: p.companies_ready == 1)
    run.stored.release_all()
    assert (await run.result()).companies == 2
    assert len(run.stored.inputs("store_question")) == 1


async def test_a_company_reopened_while_open_is_judged_again(
    start: StartRun,
) -> None:
    ends_as = [ReasonCode.NO_RESEARCH]

    def prepare(stored: FakeRun) -> None:
        stored.fail_once("research_company", at(0, 0), MODEL_UNREACHABLE)
        stored.hold("research_company has ended", at(0, 1))

    run = await start(request_for(2), [OK, lambda request, retry_round: ends_as[0]], prepare=prepare)
    await run.question()
    await run.stored.reached("research_company has ended", at(0, 1))
    ends_as[0] = OK
    await run.decide(1, "retry")
    await run.until(lambda p: p.companies_ready == 1)
    run.stored.release_all()
    assert (await run.result()).companies == 2


async def test_open_companies_restart_under_new_criteria(start: StartRun) -> None:
    def prepare(stored: FakeRun) -> None:
        stored.fail_once("research_company", at(0, 0), MODEL_UNREACHABLE)
        stored.hold("research_company", at(0, 1))

    ending = unless(lambda c: c.units_min <= 20, ReasonCode.UNITS_NOT_MET)
    run = await start(request_for(2), [OK, ending], prepare=prepare)
    await run.question()
    await run.stored.reached("research_company", at(0, 1))
    await run.decide(1, "lower_units", units_min=20)
    await run.until(lambda p: p.companies_ready == 1)
    run.stored.release_all()
    assert (await run.result()).companies == 2
    assert [params.request.criteria.units_min for params in run.stored.inputs("research_company")][-1] == 20


async def test_an_interrupted_search_may_change_the_selection(
    start: StartRun,
) -> None:
    run = await start(
        request_for(1, discovery=2, limits=Limits(max_model_calls=3)),
        [OK],
        [OK],
        prepare=lambda s: s.hold("discover", 0),
    )
    await run.until(lambda p: p.companies_ready == 1)
    run.stored.release_all()
    assert (await run.question()).reason is DecisionReason.BUDGET_REACHED
    await run.decide(1, "raise_budget", max_model_calls=20)
    await run.result()
    assert run.stored.complete() == [at(0)]
