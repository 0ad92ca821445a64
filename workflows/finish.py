"""Ends a run: checks suppression a last time, stores the end, exports the files and notifies the requester."""

from collections.abc import Callable

from domain.activity_io import FinishInput, FinishResult, RunInput, SuppressionCheckInput
from domain.request.decision import Decision
from domain.request.progress import RunStatus, Stage
from workflows import activity_stubs
from workflows.messages import LeadListResult
from workflows.notifications import notify
from workflows.pending_decision import PendingDecision
from workflows.state import RunState


class RunFinisher:
    def __init__(self, state: RunState, pending: PendingDecision, show: Callable[[], None]) -> None:
        self._state = state
        self._pending = pending
        self._show = show

    async def deliver(self, accepted: Decision | None) -> LeadListResult | None:
        """End the run with its complete companies and export its files.

        Args:
            accepted: the decision to deliver less than the target, if any.

        Returns:
            None if companies were withdrawn or the selection changed. The run then continues.
        """
        state, note = self._state, ""
        passed_digest = await self._check_suppression()
        if passed_digest is None:
            return None
        if accepted is not None and state.ready < state.target:
            note = f"partial: {state.ready} of {state.target}, accepted by {accepted.decided_by}"
        finished = await self.finish(RunStatus.COMPLETED, note, passed_digest=passed_digest)
        if finished.selection_changed:
            return None
        files = await activity_stubs.export_run(RunInput(request=state.request))
        await notify(state.request.run_id, RunStatus.COMPLETED.value)
        return LeadListResult(
            status=RunStatus.COMPLETED,
            companies=finished.companies,
            contacts=finished.contacts,
            partial=files.partial,
            companies_file=files.companies_file,
            contacts_file=files.contacts_file,
        )

    async def cancel(self, decision: Decision) -> LeadListResult:
        finished = await self.finish(RunStatus.CANCELLED, f"cancelled by {decision.decided_by}; what was found is kept")
        await notify(self._state.request.run_id, RunStatus.CANCELLED.value)
        return LeadListResult(
            status=RunStatus.CANCELLED, companies=finished.companies, contacts=finished.contacts, partial=True
        )

    async def finish(self, status: RunStatus, note: str, *, passed_digest: str = "") -> FinishResult:
        """Store the end of the run. Store nothing if the selection no longer matches ``passed_digest``."""
        state = self._state
        await self._pending.record_refused()
        self._pending.close()
        finished = await activity_stubs.finish_run(
            FinishInput(request=state.request, status=status, note=note, passed_digest=passed_digest)
        )
        if not finished.selection_changed:
            # Set only now: a run that is cancelled before this write has not ended.
            state.status, state.note = status, note or state.note
            if status is RunStatus.COMPLETED:
                state.stage = Stage.DONE
            self._show()
        return finished

    async def _check_suppression(self) -> str | None:
        """Check the whole selection. Return its digest, or None if companies were withdrawn."""
        # The number changes only after a check returns. A check that lost its worker thus repeats its withdrawals.
        params = SuppressionCheckInput(request=self._state.request, check=self._state.suppression_checks)
        checked = await activity_stubs.recheck_suppression(params)
        self._state.suppression_checks += 1
        for ref in checked.companies:
            self._state.withdraw(ref)
        return None if checked.companies else checked.passed_digest
