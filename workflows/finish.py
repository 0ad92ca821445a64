"""How a run ends: the last gate, the end as it is stored, the files, and word to the requester."""

from collections.abc import Callable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.activity_io import FinishInput, FinishResult, RunInput, SuppressionCheckInput
    from domain.request.decision import Decision
    from domain.request.progress import RunStatus, Stage
    from workflows import activity_stubs
    from workflows.decisions import PendingDecision
    from workflows.messages import LeadListResult
    from workflows.notifications import notify
    from workflows.state import RunState


class RunFinisher:
    """What a run does at its end.

    Args:
        show: shows the state in the Web UI.
    """

    def __init__(self, state: RunState, gate: PendingDecision, show: Callable[[], None]) -> None:
        self._state = state
        self._gate = gate
        self._show = show

    async def deliver(self, accepted: Decision | None) -> LeadListResult | None:
        """End the run with what is complete, and write its files.

        Returns:
            None when it has not ended: a company was taken out at the last gate, or somebody was forgotten since. Others take their
            place, and the gate is asked again, for them too.

        Args:
            accepted: the decision by which a person takes the list as it is, if there is one.
        """
        state, note = self._state, ""
        passed = await self._pass_last_gate()
        if passed is None:
            return None
        if accepted is not None and state.ready < state.target:
            note = f"partial: {state.ready} of {state.target}, accepted by {accepted.decided_by}"
        ended = await self.end(RunStatus.COMPLETED, note, passed=passed)
        if ended.selection_changed:
            return None
        files = await activity_stubs.export_run(RunInput(request=state.request))
        await notify(state.request.run_id, RunStatus.COMPLETED.value)
        return LeadListResult(
            status=RunStatus.COMPLETED,
            companies=ended.companies,
            contacts=ended.contacts,
            partial=files.partial,
            companies_file=files.companies_file,
            contacts_file=files.contacts_file,
        )

    async def cancelled(self, decision: Decision) -> LeadListResult:
        """End the run as a person has decided. What was found is kept."""
        ended = await self.end(RunStatus.CANCELLED, f"cancelled by {decision.decided_by}; what was found is kept")
        await notify(self._state.request.run_id, RunStatus.CANCELLED.value)
        return LeadListResult(
            status=RunStatus.CANCELLED, companies=ended.companies, contacts=ended.contacts, partial=True
        )

    async def end(self, status: RunStatus, note: str, *, passed: str = "") -> FinishResult:
        """Store the end.

        Args:
            passed: see ``FinishInput``; with it the end may not come about (``FinishResult.selection_changed``).
        """
        state = self._state
        await self._gate.record_refused()
        self._gate.close()
        ended = await activity_stubs.finish_run(
            FinishInput(request=state.request, status=status, note=note, passed_digest=passed)
        )
        if ended.selection_changed:
            return ended
        # Only now: a run that is cancelled before that is stored has not ended yet.
        state.status, state.note = status, note or state.note
        if status is RunStatus.COMPLETED:
            state.stage = Stage.DONE
        self._show()
        return ended

    async def _pass_last_gate(self) -> str | None:
        """Ask the suppression gate once more for every company about to be delivered; those that it names are taken out.

        Returns:
            What stands for the companies, all of which pass; None when some were taken out.
        """
        # A check that is put anew, its worker lost, is the same one: what it had taken out it names again.
        params = SuppressionCheckInput(request=self._state.request, check=self._state.suppression_checks)
        checked = await activity_stubs.recheck_suppression(params)
        self._state.suppression_checks += 1
        for ref in checked.companies:
            self._state.withdraw(ref)
        return None if checked.companies else checked.passed_digest
