"""What comes home when the run has moved on: after its question was answered, or after the criteria have changed."""

from domain.company.status import ReasonCode
from domain.failures import MODEL_UNREACHABLE
from domain.request.decision import DecisionReason
from domain.request.run_request import Limits
from tests.workflows.conftest import StartRun
from tests.workflows.fake_run import OK, FakeRun, at, unless
from tests.workflows.live_run import request_for


async def test_an_interruption_that_comes_home_after_its_question_was_answered_is_not_asked_again(
    start: StartRun,
) -> None:
    def prepare(stored: FakeRun) -> None:
        stored.fail_once("research_company", at(0, 0), MODEL_UNREACHABLE)
        stored.fail_once("research_company", at(0, 1), MODEL_UNREACHABLE)
        stored.hold("research_company", at(0, 1))

    run = await start(request_for(2), [OK, OK], prepare=prepare)
    await run.question()
    await run.stored.hold("research_company", at(0, 1)).reached.wait()
    await run.decide(1, "retry")
    await run.until(lambda p: p.companies_ready == 1)
    run.stored.release_all()
    assert (await run.result()).companies == 2
    assert len(run.stored.steps("store_question")) == 1


async def test_a_company_that_an_answer_lets_in_just_before_its_end_has_come_home_is_judged_anew(
    start: StartRun,
) -> None:
    ends_as = [ReasonCode.NO_RESEARCH]

    def prepare(stored: FakeRun) -> None:
        stored.fail_once("research_company", at(0, 0), MODEL_UNREACHABLE)
        stored.hold("research_company has ended", at(0, 1))

    run = await start(request_for(2), [OK, lambda request, retry_round: ends_as[0]], prepare=prepare)
    await run.question()
    await run.stored.hold("research_company has ended", at(0, 1)).reached.wait()
    ends_as[0] = OK
    await run.decide(1, "retry")
    await run.until(lambda p: p.companies_ready == 1)
    run.stored.release_all()
    assert (await run.result()).companies == 2


async def test_a_company_open_when_the_criteria_change_is_taken_up_again_under_the_new_ones(start: StartRun) -> None:
    def prepare(stored: FakeRun) -> None:
        stored.fail_once("research_company", at(0, 0), MODEL_UNREACHABLE)
        stored.hold("research_company", at(0, 1))

    ending = unless(lambda c: c.units_min <= 20, ReasonCode.UNITS_NOT_MET)
    run = await start(request_for(2), [OK, ending], prepare=prepare)
    await run.question()
    await run.stored.hold("research_company", at(0, 1)).reached.wait()
    await run.decide(1, "lower_units", units_min=20)
    await run.until(lambda p: p.companies_ready == 1)
    run.stored.release_all()
    assert (await run.result()).companies == 2
    assert [params.request.criteria.units_min for params in run.stored.steps("research_company")][-1] == 20


async def test_an_interrupted_search_that_could_still_change_the_selection_goes_on_though_enough_are_complete(
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
