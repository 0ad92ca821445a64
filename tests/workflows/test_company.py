"""One company: the order of its activities, what ends it, and what interrupts it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
from temporalio.client import WorkflowHistory

from domain.activity_io import CompanyInput, CompanyOutcome
from domain.company.status import CompanyStatus, Interruption, ReasonCode
from domain.failures import MODEL_ACCESS_DENIED, MODEL_BAD_REQUEST, MODEL_RATE_LIMITED
from domain.request.run_request import Limits
from tests.workflows.conftest import Server, check_payloads, replay
from tests.workflows.fake_run import NO, OK, SHORT, Ending, FakeRun, at
from tests.workflows.live_run import request_for
from workflows.company import CompanyWorkflow
from workflows.names import TASK_QUEUE

Work = Callable[[FakeRun], Awaitable[CompanyOutcome]]

EVENTS_PER_COMPANY_MAX = 60


@pytest.fixture
async def work(dev_server: Server) -> AsyncIterator[Work]:
    """Run the workflow of a run's first company."""
    histories: list[WorkflowHistory] = []

    async def work_on(stored: FakeRun) -> CompanyOutcome:
        dev_server.world.runs[stored.request.run_id] = stored
        handle = await dev_server.client.start_workflow(
            CompanyWorkflow.run,
            CompanyInput(request=stored.request, company=stored.rows[at(0)].ref),
            id=f"company-{uuid4()}",
            task_queue=TASK_QUEUE,
        )
        try:
            return await handle.result()
        finally:
            histories.append(await handle.fetch_history())

    yield work_on
    for history in histories:
        check_payloads(history)
        assert len(history.events) <= EVENTS_PER_COMPANY_MAX
    await replay(histories)


def company(ending: Ending, limits: Limits | None = None) -> FakeRun:
    stored = FakeRun(request_for(1, limits=limits or Limits()))
    stored.store(0, 0, ending)
    return stored


def names(stored: FakeRun) -> list[str]:
    return [call.name for call in stored.calls]


async def test_a_company_goes_through_its_activities_in_order(work: Work) -> None:
    stored = company(OK)
    outcome = await work(stored)
    assert (outcome.status, outcome.reason, outcome.contacts) == (CompanyStatus.COMPLETE, ReasonCode.COMPLETE, 1)
    steps = ["qualify_company", "research_company", "find_contacts", "verify_emails", "select_contacts"]
    assert names(stored) == steps
    assert outcome.spend.model_calls == 2


@pytest.mark.parametrize("ending", [ReasonCode.DUPLICATE, ReasonCode.SUPPRESSED, ReasonCode.PMS_NOT_MET])
async def test_a_company_that_code_can_rule_out_costs_no_model_call(work: Work, ending: ReasonCode) -> None:
    stored = company(ending)
    assert (await work(stored)).reason is ending
    assert names(stored) == ["qualify_company"]


async def test_a_company_ruled_out_by_research_gets_no_contacts(work: Work) -> None:
    stored = company(NO)
    assert (await work(stored)).reason is NO
    assert names(stored) == ["qualify_company", "research_company"]


async def test_contacts_are_searched_twice_at_most(work: Work) -> None:
    stored = company(SHORT)
    outcome = await work(stored)
    assert (outcome.status, outcome.reason) == (CompanyStatus.REJECTED, ReasonCode.CONTACTS_SHORT)
    assert [params.contacts_attempt for params in stored.inputs("find_contacts")] == [1, 2]
    assert outcome.spend.model_calls == 3


@pytest.mark.parametrize("calls_max", [0, 1], ids=["research", "contacts"])
async def test_a_reached_budget_interrupts_a_company(work: Work, calls_max: int) -> None:
    stored = company(OK, Limits(max_model_calls=calls_max))
    outcome = await work(stored)
    assert (outcome.interruption, outcome.status) == (Interruption.BUDGET_REACHED, CompanyStatus.FOUND)
    assert stored.statuses() == {at(0): CompanyStatus.FOUND}


@pytest.mark.parametrize("failure_type", [MODEL_RATE_LIMITED, MODEL_ACCESS_DENIED, "OperationalError"])
async def test_an_outage_interrupts_a_company(work: Work, failure_type: str) -> None:
    stored = company(OK)
    stored.fail("research_company", at(0), failure_type)
    assert (await work(stored)).interruption is Interruption.DEPENDENCY_DOWN
    assert stored.inputs("fail_company") == []


@pytest.mark.parametrize("name", ["qualify_company", "research_company", "find_contacts", "verify_emails"])
async def test_a_failed_activity_ends_the_company_as_failed(work: Work, name: str) -> None:
    stored = company(OK)
    stored.fail(name, at(0), MODEL_BAD_REQUEST)
    outcome = await work(stored)
    assert (outcome.status, outcome.reason) == (CompanyStatus.FAILED, ReasonCode.STEP_FAILED)
    assert stored.statuses() == {at(0): CompanyStatus.FAILED}


async def test_an_end_that_was_stored_before_a_worker_died_is_the_end(work: Work) -> None:
    stored = company(OK)
    stored.end(at(0), ReasonCode.UNITS_NOT_MET)
    assert (await work(stored)).reason is ReasonCode.UNITS_NOT_MET
    assert names(stored) == ["qualify_company"]
