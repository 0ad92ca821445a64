"""The child workflow for one company: qualify → research → contacts."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from domain.activity_io import CompanyInput, CompanyOutcome
from domain.company.status import CompanyStatus, Interruption, ReasonCode
from domain.contact.contact_selection import CONTACT_ATTEMPTS_MAX
from workflows import activity_stubs
from workflows.outages import outage_from

REACHED_CONTACTS = "company_reached_contacts"


@workflow.defn
class CompanyWorkflow:
    @workflow.run
    async def run(self, params: CompanyInput) -> CompanyOutcome:
        """Work on one company until it ends or is interrupted.

        After an interruption (budget reached, run waiting, dependency down) the run starts this workflow again later.
        Stored work is not paid for twice.
        """
        try:
            return await self._work(params)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            activity_stubs.raise_if_cancelled()
            outage = outage_from(error)
            if outage is not None:
                return CompanyOutcome(interruption=Interruption.DEPENDENCY_DOWN, outage=outage)
            workflow.logger.error("an activity of the company failed", exc_info=error)
            await activity_stubs.fail_company(params)
            return CompanyOutcome(status=CompanyStatus.FAILED, reason=ReasonCode.STEP_FAILED)

    async def _work(self, params: CompanyInput) -> CompanyOutcome:
        qualified = await activity_stubs.qualify_company(params)
        if qualified.is_over:
            return qualified
        researched = await activity_stubs.research_company(params)
        if researched.is_over:
            return researched
        await self._signal_run(params)
        spend = researched.spend
        for attempt in range(1, CONTACT_ATTEMPTS_MAX + 1):
            of_attempt = params.model_copy(update={"contacts_attempt": attempt})
            found = await activity_stubs.find_contacts(of_attempt)
            spend = spend.plus(found.spend)
            if found.interruption is not None:
                return found.model_copy(update={"spend": spend})
            await activity_stubs.verify_emails(of_attempt)
            selected = await activity_stubs.select_contacts(of_attempt)
            if selected.is_over:
                return selected.model_copy(update={"spend": spend})
        raise ApplicationError("no contacts were selected in the last attempt", type="ContactsNotSelected")

    async def _signal_run(self, params: CompanyInput) -> None:
        parent = workflow.info().parent
        if parent is not None:
            run = workflow.get_external_workflow_handle(parent.workflow_id)
            await run.signal(REACHED_CONTACTS, params.company.position)
