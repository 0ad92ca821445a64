"""A run fills its target: what it starts, what it selects, its stages, and failures that do not stop it."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import RetryPolicy

from domain.activity_io import RunStateInput
from domain.company.status import CompanyStatus, ReasonCode
from domain.failures import HOST_BUSY, MODEL_BAD_REQUEST
from domain.request.progress import RunStatus, Stage
from tests.workflows.conftest import StartRun
from tests.workflows.fake_run import NO, OK, SHORT, Ending, FakeRun, Hold, at
from tests.workflows.live_run import LiveRun, eventually, request_for
from workflows.policies import AGENT


def stages(run: LiveRun) -> list[Stage]:
    """The stages as stored."""
    steps: list[RunStateInput] = run.stored.inputs("record_state")
    return [params.stage for params in steps]


async def test_a_run_fills_its_target_and_stops(start: StartRun) -> None:
    run = await start(request_for(2), [OK, NO, OK, OK, OK, OK, OK], [OK] * 5)
    result = await run.result()
    progress = await run.progress()
    assert (result.status, result.companies, result.contacts, result.partial) == (RunStatus.COMPLETED, 2, 2, False)
    assert (result.companies_file, result.contacts_file) == ("companies.csv", "contacts.csv")
    assert (progress.stage, progress.status, progress.companies_ready) == (Stage.DONE, RunStatus.COMPLETED, 2)
    assert run.stored.keys("discover") == [0], "the second search was not needed"
    assert run.stored.complete() == [at(0, 0), at(0, 2)]
    assert [params.status for params in run.stored.inputs("finish_run")] == [RunStatus.COMPLETED]


async def test_a_run_ends_with_its_last_activities_in_order(start: StartRun) -> None:
    run = await start(request_for(1), [OK])
    await run.result()
    names = [call.name for call in run.stored.calls]
    assert names[-4:] == ["recheck_suppression", "finish_run", "export_run", "notify_requester"]


async def test_no_unneeded_company_is_started_one_at_a_time(start: StartRun) -> None:
    run = await start(request_for(3, companies=1), [NO, OK, OK, OK, OK, OK])
    await run.result()
    assert run.stored.keys("qualify_company") == [at(0, place) for place in range(4)]


async def test_at_first_twice_the_gap_is_started(start: StartRun) -> None:
    run = await start(
        request_for(2, companies=20),
        [OK] * 12,
        prepare=lambda s: [s.hold("qualify_company", at(0, p)) for p in range(12)],
    )
    await eventually(lambda: len(run.stored.keys("qualify_company")) == 4, "four companies")
    assert (await run.progress()).queued == 8
    run.stored.release_all()
    await run.result()
    assert len(run.stored.keys("qualify_company")) == 4


async def test_more_are_started_when_fewer_survive(start: StartRun) -> None:
    def prepare(stored: FakeRun) -> None:
        for place in range(6, 40):
            stored.hold("qualify_company", at(0, place))

    run = await start(request_for(2, companies=40), [NO] * 6 + [OK] * 34, prepare=prepare)
    # None of six survived: (0 + 1) / (6 + 2) = 1/8, so sixteen must be open to expect two.
    await eventually(lambda: len(run.stored.keys("qualify_company")) >= 22, "sixteen more companies")
    assert (await run.progress()).open_research == 16
    run.stored.release_all()
    await run.result()


async def test_the_window_limits_open_companies(start: StartRun) -> None:
    run = await start(request_for(9, companies=3), [OK] * 9, prepare=lambda s: s.hold("qualify_company", at(0, 0)))
    await run.stored.reached("qualify_company", at(0, 0))
    progress = await run.until(lambda p: p.companies_ready == 8)
    assert (progress.open_research, progress.queued) == (1, 0)
    run.stored.release_all()
    await run.result()


async def test_the_earliest_positions_are_selected_not_the_fastest(start: StartRun) -> None:
    run = await start(request_for(2), [OK, OK, OK, OK], prepare=lambda s: s.hold("research_company", at(0, 0)))
    late = run.stored.hold("research_company", at(0, 0))
    await run.until(lambda p: p.companies_ready == 2)
    assert (await run.status()) is WorkflowExecutionStatus.RUNNING, "the first company may still be selected"
    late.release()
    result = await run.result()
    assert result.companies == 2
    assert run.stored.complete() == [at(0, 0), at(0, 1)]


async def test_a_filled_target_cancels_later_companies(
    start: StartRun,
) -> None:
    run = await start(request_for(1), [OK, OK], prepare=lambda s: s.hold("research_company", at(0, 1)))
    assert (await run.result()).companies == 1
    statuses = await run.children_statuses()
    assert statuses[at(0, 1)] is WorkflowExecutionStatus.CANCELED
    assert run.stored.statuses()[at(0, 1)] is CompanyStatus.FOUND


async def test_an_earlier_search_still_open_is_waited_for(start: StartRun) -> None:
    run = await start(request_for(1, discovery=2), [OK], [OK], prepare=lambda s: s.hold("discover", 0))
    await run.until(lambda p: p.companies_ready == 1)
    run.stored.release_all()
    await run.result()
    assert run.stored.complete() == [at(0, 0)]


async def test_directory_pages_are_read_one_at_a_time(start: StartRun) -> None:
    holds: list[Hold] = []

    def prepare(stored: FakeRun) -> None:
        stored.directories = {0, 1}
        holds.extend(stored.hold("discover", ordinal) for ordinal in range(4))

    run = await start(request_for(4, discovery=2), [OK], [OK], [OK], [OK], prepare=prepare)
    for list_page in holds[:2]:
        await list_page.reached.wait()
        assert (await run.progress()).open_discovery == 1
        list_page.release()
    for other in holds[2:]:
        await other.reached.wait()
    assert (await run.progress()).open_discovery == 2
    run.stored.release_all()
    assert (await run.result()).companies == 4


async def test_companies_start_while_another_search_is_open(start: StartRun) -> None:
    run = await start(request_for(2, discovery=2), [OK], [OK], prepare=lambda s: s.hold("discover", 1))
    progress = await run.until(lambda p: p.companies_ready == 1)
    assert progress.open_discovery == 1
    run.stored.release_all()
    assert (await run.result()).companies == 2


async def test_the_stage_is_the_earliest_one_with_open_work(start: StartRun) -> None:
    def prepare(stored: FakeRun) -> None:
        for place in (0, 1):
            stored.hold("qualify_company", at(0, place))
            stored.hold("find_contacts", at(0, place))
        stored.hold("discover", 1)

    run = await start(request_for(1), [SHORT, SHORT], [OK], prepare=prepare)
    progress = await run.until(lambda p: p.stage is Stage.COMPANY_RESEARCH)
    assert (progress.open_discovery, progress.open_research, progress.open_contacts) == (0, 2, 0)
    for place in (0, 1):
        run.stored.hold("qualify_company", at(0, place)).release()
    progress = await run.until(lambda p: p.stage is Stage.CONTACT_DISCOVERY)
    assert (progress.open_discovery, progress.open_research, progress.open_contacts) == (0, 0, 2)
    for place in (0, 1):
        run.stored.hold("find_contacts", at(0, place)).release()
    progress = await run.until(lambda p: p.stage is Stage.COMPANY_DISCOVERY)
    assert progress.open_discovery == 1
    run.stored.release_all()
    assert (await run.result()).status is RunStatus.COMPLETED
    assert stages(run)[:3] == [Stage.COMPANY_RESEARCH, Stage.CONTACT_DISCOVERY, Stage.COMPANY_DISCOVERY]
    assert (await run.progress()).stage is Stage.DONE


async def test_contact_discovery_comes_after_all_research(start: StartRun) -> None:
    def prepare(stored: FakeRun) -> None:
        stored.hold("research_company", at(0, 0))
        stored.hold("find_contacts", at(0, 1))

    run = await start(request_for(2), [OK, OK], prepare=prepare)
    progress = await run.until(lambda p: p.open_contacts == 1)
    assert (progress.stage, progress.open_research) == (Stage.COMPANY_RESEARCH, 1)
    run.stored.hold("research_company", at(0, 0)).release()
    await run.until(lambda p: p.stage is Stage.CONTACT_DISCOVERY)
    run.stored.release_all()
    await run.result()


async def test_a_failed_search_does_not_stop_the_run(start: StartRun) -> None:
    run = await start(request_for(1), [OK], [OK], prepare=lambda s: s.fail("discover", 0, MODEL_BAD_REQUEST))
    result = await run.result()
    assert (result.companies, run.stored.complete()) == (1, [at(1)])
    assert (await run.progress()).search_tasks_done == 2


async def test_another_company_takes_a_failed_ones_place(start: StartRun) -> None:
    run = await start(
        request_for(1, companies=1), [OK, OK], prepare=lambda s: s.fail("research_company", at(0, 0), MODEL_BAD_REQUEST)
    )
    assert (await run.result()).companies == 1
    assert run.stored.statuses() == {at(0, 0): CompanyStatus.FAILED, at(0, 1): CompanyStatus.COMPLETE}
    assert (await run.progress()).funnel == {ReasonCode.STEP_FAILED: 1, ReasonCode.COMPLETE: 1}


async def test_a_withdrawn_company_is_replaced(
    start: StartRun,
) -> None:
    run = await start(request_for(2, companies=1), [OK] * 4, prepare=lambda s: s.suppressed_late.add(at(0, 0)))
    result = await run.result()
    assert (result.companies, run.stored.complete()) == (2, [at(0, 1), at(0, 2)])
    assert (await run.progress()).funnel == {ReasonCode.COMPLETE: 2, ReasonCode.SUPPRESSED: 1}


@pytest.mark.parametrize(
    ("tasks", "held", "selected"),
    [([[OK, OK]], ("research_company", at(0, 1)), at(0, 1)), ([[OK], [OK]], ("discover", 1), at(1))],
    ids=["company", "search"],
)
async def test_stopped_work_resumes_after_a_withdrawal(
    start: StartRun, tasks: list[list[Ending]], held: tuple[str, int], selected: int
) -> None:
    def prepare(stored: FakeRun) -> None:
        stored.suppressed_late.add(at(0, 0))
        stored.hold(*held)
        stored.hold("recheck_suppression")

    run = await start(request_for(1, discovery=2), *tasks, prepare=prepare)
    await run.stored.reached("recheck_suppression")
    run.stored.release_all()
    assert (await run.result()).companies == 1
    assert run.stored.complete() == [selected]


async def test_a_company_forgotten_before_the_end_is_replaced(start: StartRun) -> None:
    run = await start(request_for(2, companies=1), [OK] * 3, prepare=lambda s: s.hold("finish_run"))
    await run.stored.reached("finish_run")
    run.stored.forget(at(0, 0))
    run.stored.release_all()
    result = await run.result()
    assert (result.companies, result.partial, run.stored.complete()) == (2, False, [at(0, 1), at(0, 2)])
    assert run.notifications() == ["completed"]


async def test_a_replacement_is_checked_for_suppression_too(start: StartRun) -> None:
    def prepare(stored: FakeRun) -> None:
        stored.hold("research_company", at(0, 0))
        stored.hold("finish_run")
        stored.suppressed_late.add(at(0, 1))

    run = await start(request_for(1, companies=2), [OK, OK], [OK], prepare=prepare)
    await run.until(lambda p: p.companies_ready == 1)
    run.stored.hold("research_company", at(0, 0)).release()
    await run.stored.reached("finish_run")
    run.stored.forget(at(0, 0))
    assert run.stored.complete() == [at(0, 1)], "the number stays the same"
    run.stored.release_all()
    assert (await run.result()).companies == 1
    assert run.stored.complete() == [at(1, 0)]


async def test_a_run_with_fewer_stored_companies_ends_as_partial(
    start: StartRun,
) -> None:
    """No known cause leads here. The run must not check suppression for ever."""
    run = await start(request_for(2), [OK, OK], prepare=lambda s: s.hold("finish_run"))
    await run.stored.reached("finish_run")
    run.stored.end(at(0, 0), ReasonCode.SUPPRESSED)  # and no suppression check names it
    run.stored.release_all()
    result = await run.result()
    assert (result.companies, result.partial) == (1, True)


async def test_the_requester_is_notified_once_per_state(start: StartRun) -> None:
    run = await start(request_for(2), [OK, NO])
    await run.question()
    await run.decide(1, "accept_partial")
    await run.result()
    assert run.notifications() == ["decision-1", "completed"]


async def test_a_failed_notification_does_not_stop_the_run(start: StartRun) -> None:
    run = await start(request_for(1), [OK], prepare=lambda s: s.fail("notify_requester", None, "SMTPException"))
    assert (await run.result()).status is RunStatus.COMPLETED


async def test_a_run_without_a_plan_ends_as_error(start: StartRun) -> None:
    run = await start(request_for(1), [OK], prepare=lambda s: s.fail("plan_run_search", None, "BadPlan"))
    await eventually(lambda: bool(run.stored.inputs("notify_requester")), "the notification")
    assert [params.status for params in run.stored.inputs("finish_run")] == [RunStatus.ERROR]
    await run.until(lambda p: p.status is RunStatus.ERROR)


@pytest.fixture
def brief_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost workers of agent calls are noticed soon."""
    again = RetryPolicy(initial_interval=timedelta(milliseconds=1), maximum_attempts=3)
    monkeypatch.setitem(AGENT, "heartbeat_timeout", timedelta(milliseconds=200))
    monkeypatch.setitem(AGENT, "retry_policy", again)


@pytest.mark.usefixtures("brief_heartbeats")
async def test_an_activity_survives_lost_workers(start: StartRun) -> None:
    run = await start(request_for(1), [OK], prepare=lambda s: s.lose("research_company", at(0), 5))
    assert (await run.result()).companies == 1
    assert len(run.stored.keys("research_company")) == 6


@pytest.mark.usefixtures("brief_heartbeats")
async def test_an_activity_that_crashes_workers_ends_its_company(start: StartRun) -> None:
    run = await start(request_for(1), [OK, OK], prepare=lambda s: s.lose("research_company", at(0), 1000))
    assert (await run.result()).companies == 1
    assert run.stored.complete() == [at(0, 1)]
    assert len(run.stored.keys("research_company")) == 3 * 6 + 1


async def test_a_busy_site_is_tried_again_later(start_skipping: StartRun) -> None:
    run = await start_skipping(request_for(1), [OK], prepare=lambda s: s.fail_once("qualify_company", at(0), HOST_BUSY))
    assert (await run.result()).companies == 1
    assert len(run.stored.keys("qualify_company")) == 2


async def test_a_site_that_stays_busy_ends_its_company(start_skipping: StartRun) -> None:
    run = await start_skipping(
        request_for(1), [OK, OK], prepare=lambda s: s.fail("qualify_company", at(0, 0), HOST_BUSY)
    )
    assert (await run.result()).companies == 1
    assert run.stored.complete() == [at(0, 1)]
    assert run.stored.keys("qualify_company").count(at(0, 0)) == 11
