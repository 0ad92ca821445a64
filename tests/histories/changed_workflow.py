"""A run's workflow with a change that open runs cannot take: the replay gate has to stop it."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.activity_io import RunInput
    from workflows import activity_stubs
    from workflows.lead_list import LeadListWorkflow
    from workflows.messages import LeadListInput, LeadListResult


@workflow.defn(name="LeadListWorkflow")
class ChangedLeadListWorkflow(LeadListWorkflow):
    """It plans the search anew whenever the stage changes, without asking whether the run began under such code."""

    @workflow.init
    def __init__(self, start: LeadListInput) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: LeadListInput) -> LeadListResult:
        """As the real one."""
        return await super().run(start)

    async def _record_state(self) -> None:
        await activity_stubs.plan_run_search(RunInput(request=self._state.request))
        await super()._record_state()
