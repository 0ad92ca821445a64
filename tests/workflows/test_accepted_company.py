"""A person accepts a rejected company: the store reopens it, and the run judges it again."""

from domain.company.status import ReasonCode
from domain.request.run_request import OnDecision
from tests.workflows.conftest import StartRun
from tests.workflows.fake_run import OK, FakeRun, at
from tests.workflows.live_run import request_for


def accept(stored: FakeRun, position: int, reason: ReasonCode) -> None:
    """What ``store/companies/accepted.py`` does: reopen a company that will become complete."""
    stored.rows[position].ending = OK
    assert stored.reopen([reason]) == 1


async def test_accepted_companies_are_loaded_after_a_search_or_answer(
    start: StartRun,
) -> None:
    run = await start(
        request_for(2),
        [ReasonCode.PMS_NOT_MET, ReasonCode.PMS_UNKNOWN],
        [ReasonCode.UNITS_NOT_MET],
        prepare=lambda s: s.hold("discover", 1),
    )
    await run.stored.reached("discover", 1)
    await run.until(lambda p: p.funnel == {"pms_not_met": 1, "pms_unknown": 1})
    accept(run.stored, at(0, 0), ReasonCode.PMS_NOT_MET)
    run.stored.release_all()
    await run.question()
    assert run.stored.complete() == [at(0, 0)]

    accept(run.stored, at(0, 1), ReasonCode.PMS_UNKNOWN)
    await run.decide(1, "retry")

    assert (await run.result()).companies == 2
    assert run.stored.complete() == [at(0, 0), at(0, 1)]


async def test_an_accepted_company_is_loaded_before_asking(
    start: StartRun,
) -> None:
    run = await start(
        request_for(2, on_decision=OnDecision.ACCEPT_PARTIAL),
        [ReasonCode.PMS_NOT_MET, OK],
        prepare=lambda s: s.hold("research_company", at(0, 1)),
    )
    await run.stored.reached("research_company", at(0, 1))
    await run.until(lambda p: p.funnel == {"pms_not_met": 1} and p.open_discovery == 0)
    accept(run.stored, at(0, 0), ReasonCode.PMS_NOT_MET)
    run.stored.release_all()

    result = await run.result()
    assert (result.companies, result.partial) == (2, False)
