"""Holds the open question of a run, waits for its answer, and records refused answers.

Signal and update handlers only change state here. ``lead_list.py`` applies the answer.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow

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
from workflows.notifications import notify_until_cancelled
from workflows.outages import has_recovered
from workflows.state import RunState

_PRESET_ACTIONS = {
    OnDecision.ACCEPT_PARTIAL: DecisionAction.ACCEPT_PARTIAL,
    OnDecision.CANCEL: DecisionAction.CANCEL,
}
# The problem quotes the refused answer. These limits keep it small enough for a payload and the Web UI.
_DECISION_ID_CHARS_MAX, _PROBLEM_CHARS_MAX = 100, 1000


class PendingDecision:
    """The open question of a run, if any.

    Attributes:
        problem: why an answer was refused while no question was open. The next question clears it.
    """

    def __init__(self, state: RunState, show: Callable[[], None]) -> None:
        self._state = state
        self._show = show
        self.question: DecisionRequest | None = None
        self.problem: str | None = None
        self._decision: Decision | None = None
        self._refused: list[RefusedAnswerInput] = []

    @property
    def has_refused(self) -> bool:
        return bool(self._refused)

    def parse(self, raw: object) -> Decision:
        """Parse an answer to the open question.

        Raises:
            DecisionError: the answer is invalid, or no question is open.
        """
        question = self.question if self._decision is None else None
        return parse_decision(storable(raw), question, self._state.request)

    def accept(self, decision: Decision) -> None:
        self._decision = decision

    def accept_or_refuse(self, raw: object) -> None:
        """Accept a signalled answer, or queue its refusal for the record and show the reason. A signal gets no reply."""
        try:
            self.accept(self.parse(raw))
        except DecisionError as error:
            given = storable(raw).get("decision_id") if isinstance(raw, dict) else None
            decision_id = str(given)[:_DECISION_ID_CHARS_MAX] if given else None
            problem = str(error)[:_PROBLEM_CHARS_MAX]
            self._refused.append(
                RefusedAnswerInput(run_id=self._state.request.run_id, decision_id=decision_id, problem=problem)
            )
            if self.question is None:
                self.problem = problem
            else:
                self.question = self.question.model_copy(update={"problem": problem})

    async def record_refused(self) -> None:
        while self._refused:
            await activity_stubs.record_refused_decision(self._refused.pop(0))

    def open(self, question: DecisionRequest) -> None:
        self.question, self.problem, self._decision = question, None, None

    def close(self) -> None:
        self.question, self._decision = None, None

    async def wait(
        self, question: DecisionRequest, watch: asyncio.Task[bool] | None, is_moot: Callable[[], bool]
    ) -> Decision | None:
        """Notify the requester of the question and wait for the answer.

        Args:
            watch: closes the question when every dependency recovers.
            is_moot: whether the question no longer needs an answer.

        Returns:
            The answer, the default after the deadline, or None if the question no longer needs an answer.
        """
        notifying = notify_until_cancelled(self._state.request.run_id, question.decision_id)
        try:
            return await self._answer(question, lambda: has_recovered(watch) or is_moot())
        finally:
            notifying.cancel()
            if watch is not None:
                watch.cancel()

    async def _answer(self, question: DecisionRequest, is_moot: Callable[[], bool]) -> Decision | None:
        while self._decision is None:
            left = question.deadline - workflow.now()
            if left <= timedelta(0):
                return Decision(decision_id=question.decision_id, action=question.default, decided_by="deadline")
            try:
                await workflow.wait_condition(
                    lambda: self._decision is not None or self.has_refused or is_moot(),
                    timeout=left,
                    timeout_summary=f"NEEDS USER DECISION {question.decision_id}",
                )
            except TimeoutError:
                continue
            if self._refused:
                await self.record_refused()
                self._show()
            elif self._decision is None and is_moot():
                return None
        return self._decision


def preset_answer(question: DecisionRequest, request: RunRequest) -> Decision | None:
    """Return the answer preset by ``--on-decision``, if any. It does not apply to outages: the run waits for those."""
    action = _PRESET_ACTIONS.get(request.on_decision)
    if action is None or question.reason is DecisionReason.DEPENDENCY_DOWN:
        return None
    return Decision(decision_id=question.decision_id, action=action, decided_by="the request's --on-decision")
