"""The pause for a person's decision: one open question at a time, its answer, and the answers that were refused.

Handlers of signal and update only change state here; what an answer changes is applied by the run (``lead_list.py``).
"""

import asyncio
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from collections.abc import Callable
    from uuid import UUID

    from domain.activity_io import RefusedAnswerInput
    from domain.request.decision import (
        Decision,
        DecisionAction,
        DecisionError,
        DecisionReason,
        DecisionRequest,
        parse_decision,
    )
    from domain.request.run_request import OnDecision, RunRequest
    from domain.storable_text import storable
    from workflows import activity_stubs
    from workflows.notifications import notify, notify_until_cancelled
    from workflows.outages import has_recovered

_ANSWER_OF_REQUEST = {
    OnDecision.ACCEPT_PARTIAL: DecisionAction.ACCEPT_PARTIAL,
    OnDecision.CANCEL: DecisionAction.CANCEL,
}
# Whatever was sent is quoted in the problem: cut, so that nothing anybody sends can outgrow a payload or the details.
_GIVEN_ID_CHARS_MAX, _PROBLEM_CHARS_MAX = 100, 1000


class PendingDecision:
    """At most one open question of a run.

    Attributes:
        problem: why an answer was refused that came while no question was open; None after the next question.
    """

    def __init__(self) -> None:
        self.question: DecisionRequest | None = None
        self.problem: str | None = None
        self._decision: Decision | None = None
        self._refused: list[RefusedAnswerInput] = []

    @property
    def has_refused(self) -> bool:
        """Whether refused answers wait to be recorded."""
        return bool(self._refused)

    def parse(self, raw: object, request: RunRequest) -> Decision:
        """Understand an answer to the open question.

        Raises:
            DecisionError: it makes no sense, or the question has been answered.
        """
        return parse_decision(storable(raw), self.question if self._decision is None else None, request)

    def accept(self, decision: Decision) -> None:
        """Take an answer."""
        self._decision = decision

    def accept_or_refuse(self, raw: object, request: RunRequest) -> None:
        """Take an answer that nobody can be told about; one that makes no sense is kept to be recorded and shown."""
        try:
            self.accept(self.parse(raw, request))
        except DecisionError as error:
            given = storable(raw).get("decision_id") if isinstance(raw, dict) else None
            decision_id = str(given)[:_GIVEN_ID_CHARS_MAX] if given else None
            problem = str(error)[:_PROBLEM_CHARS_MAX]
            self._refused.append(RefusedAnswerInput(run_id=request.run_id, decision_id=decision_id, problem=problem))
            if self.question is None:
                self.problem = problem
            else:
                self.question = self.question.model_copy(update={"problem": problem})

    async def record_refused(self) -> None:
        """Write refused answers to the audit trail."""
        while self._refused:
            await activity_stubs.record_refused_decision(self._refused.pop(0))

    def open(self, question: DecisionRequest) -> None:
        """Put a question; answers to earlier ones no longer count."""
        self.question, self.problem, self._decision = question, None, None

    def close(self) -> None:
        """Take the question away."""
        self.question, self._decision = None, None

    async def answer(
        self,
        run_id: "UUID",
        watch: "asyncio.Task[bool] | None",
        is_settled: "Callable[[], bool]",
        on_refused: "Callable[[], None]",
    ) -> Decision | None:
        """Tell the requester of the question and wait for its answer.

        Args:
            watch: ends when what was down answers again (``Outages.watch``); then there is nothing left to ask either.
            is_settled, on_refused: as ``wait`` takes them.

        Returns:
            As ``wait``.
        """
        beside: list[asyncio.Task[bool] | asyncio.Task[None]] = [watch] if watch is not None else []
        try:
            if self.question is not None and workflow.patched("tell_beside_waiting"):
                beside.append(notify_until_cancelled(run_id, self.question.decision_id))
            elif self.question is not None:
                await notify(run_id, self.question.decision_id)
            return await self.wait(lambda: has_recovered(watch) or is_settled(), on_refused)
        finally:
            for task in beside:
                task.cancel()

    async def wait(self, is_settled: "Callable[[], bool]", on_refused: "Callable[[], None]") -> Decision | None:
        """Wait, durably, for the answer.

        Args:
            is_settled: whether the question has become pointless; then there is no answer (None).
            on_refused: called when an answer was refused, to show why.

        Returns:
            The answer; after the deadline, the question's default.
        """
        question = self.question
        if question is None:
            raise RuntimeError("no question is open")
        while self._decision is None:
            left = question.deadline - workflow.now()
            if left <= timedelta(0):
                return Decision(decision_id=question.decision_id, action=question.default, decided_by="deadline")
            try:
                await workflow.wait_condition(
                    lambda: self._decision is not None or self.has_refused or is_settled(),
                    timeout=left,
                    timeout_summary=f"NEEDS USER DECISION {question.decision_id}",
                )
            except TimeoutError:
                continue
            if self._refused:
                await self.record_refused()
                on_refused()
            elif self._decision is None and is_settled():
                return None
        return self._decision


def preset_answer(question: DecisionRequest, request: RunRequest) -> Decision | None:
    """The answer that the request itself gives (``--on-decision``), if it gives one. An outage is no shortfall: it waits."""
    if question.reason is DecisionReason.DEPENDENCY_DOWN:
        return None
    action = _ANSWER_OF_REQUEST.get(request.on_decision)
    if action is None:
        return None
    return Decision(decision_id=question.decision_id, action=action, decided_by="the request's --on-decision")
