"""One company of a run: qualify → research → contacts. Ends with an outcome of a few words for its run."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from domain.activity_io import CompanyInput, CompanyOutcome
    from domain.company.status import CompanyStatus, Interruption, ReasonCode
    from domain.contact.contact_selection import CONTACT_ATTEMPTS_MAX
    from workflows import activity_stubs
    from workflows.outages import outage_from

REACHED_CONTACTS = "company_reached_contacts"


@workflow.defn
class CompanyWorkflow:
    """Takes a company through its steps until one ends it, it is complete, or its run may not go on."""

    @workflow.run
    async def run(self, params: CompanyInput) -> CompanyOutcome:
        """Work on one company.

        Returns:
            Its end; or an interruption (the budget is reached, the run waits, a dependency is down), after which the run
            takes it up again later and stored work is not paid for again.
        """
        try:
            return await self._steps(params)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            activity_stubs.raise_if_cancelled()
            outage = outage_from(error)
            if outage is not None:
                return CompanyOutcome(interruption=Interruption.DEPENDENCY_DOWN, outage=outage)
            workflow.logger.error("company step failed for good", exc_info=error)
            await activity_stubs.fail_company(params)
            return CompanyOutcome(status=CompanyStatus.FAILED, reason=ReasonCode.STEP_FAILED)

    async def _steps(self, params: CompanyInput) -> CompanyOutcome:
        qualified = await activity_stubs.qualify_company(params)
        if qualified.is_over:
            return qualified
        activity_stubs.raise_if_cancelled()
        researched = await activity_stubs.research_company(params)
        if researched.is_over:
            return researched
        activity_stubs.raise_if_cancelled()
        await self._tell_run(params)
        spend = researched.spend
        # A company that had come this far before there was this step goes on without it.
        verifies = workflow.patched("verify_emails")
        for attempt in range(1, CONTACT_ATTEMPTS_MAX + 1):
            attempt_step = params.model_copy(update={"contacts_attempt": attempt})
            found = await activity_stubs.find_contacts(attempt_step)
            spend = spend.plus(found.spend)
            if found.interruption is not None:
                return found.model_copy(update={"spend": spend})
            activity_stubs.raise_if_cancelled()
            if verifies:
                await activity_stubs.verify_emails(attempt_step)
                activity_stubs.raise_if_cancelled()
            ended = await activity_stubs.select_contacts(attempt_step)
            if ended.is_over:
                return ended.model_copy(update={"spend": spend})
            activity_stubs.raise_if_cancelled()
        raise ApplicationError("contacts were not settled after the last attempt", type="ContactsNotSettled")

    async def _tell_run(self, params: CompanyInput) -> None:
        parent = workflow.info().parent
        if parent is not None:
            run = workflow.get_external_workflow_handle(parent.workflow_id)
            await run.signal(REACHED_CONTACTS, params.company.position)
