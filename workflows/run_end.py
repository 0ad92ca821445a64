"""How a run ends: the last gate, the end as it is stored, the files, and word to the requester."""

from collections.abc import Callable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.decision import Decision
    from domain.progress import RunStatus, Stage
    from domain.steps import Finished, FinishStep, GateStep, RunStep
    from workflows import calls
    from workflows.decision_gate import DecisionGate
    from workflows.messages import LeadListResult
    from workflows.notices import tell
    from workflows.run_state import RunState


class RunEnd:
    """Ends a run, once.

    Args:
        show: shows the state in the Web UI.
    """

    def __init__(self, state: RunState, gate: DecisionGate, show: Callable[[], None]) -> None:
        self._state = state
        self._gate = gate
        self._show = show
        self._ended_short = False

    async def deliver(self, accepted: Decision | None) -> LeadListResult | None:
        """Deliver what is complete; None when something of it had to be taken out: the next takes its place, and passes the
        gate too.

        Args:
            accepted: the decision by which a person takes the list as it is, if there is one.
        """
        state, note = self._state, ""
        if not await self._passes_last_gate():
            self._ended_short = False
            return None
        if accepted is not None and state.ready < state.target:
            note = f"partial: {state.ready} of {state.target}, accepted by {accepted.decided_by}"
        # Counted in the transaction that ends the run: somebody may have been forgotten since the gate. The gate is told of them
        # when it is asked again; should it know of none then, the run ends with what there is, as a partial list.
        ended = await self.end(RunStatus.COMPLETED, note, expected=0 if self._ended_short else state.ready)
        if ended.is_short:
            self._ended_short = True
            return None
        files = await calls.export_run(RunStep(request=state.request))
        await tell(state.request.run_id, RunStatus.COMPLETED.value)
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
        await tell(self._state.request.run_id, RunStatus.CANCELLED.value)
        return LeadListResult(
            status=RunStatus.CANCELLED, companies=ended.companies, contacts=ended.contacts, partial=True
        )

    async def end(self, status: RunStatus, note: str, *, expected: int = 0) -> Finished:
        """Store the end.

        Args:
            expected: complete companies that there have to be; the run has not ended when there are fewer.
        """
        state = self._state
        await self._gate.record_refused()
        self._gate.close()
        ended = await calls.finish_run(FinishStep(request=state.request, status=status, note=note, expected=expected))
        if ended.is_short:
            return ended
        # Only now: a run that is cancelled before that is stored has not ended yet.
        state.status, state.note = status, note or state.note
        if status is RunStatus.COMPLETED:
            state.stage = Stage.DONE
        self._show()
        return ended

    async def _passes_last_gate(self) -> bool:
        """Whether every company about to be delivered passes the suppression gate once more; others are taken out."""
        # A check that is put anew, its worker lost, is the same one: what it had taken out it names again.
        step = GateStep(request=self._state.request, check=self._state.gate_checks)
        taken_back = await calls.recheck_suppression(step)
        self._state.gate_checks += 1
        for ref in taken_back.companies:
            self._state.take_back(ref)
        return not taken_back.companies
