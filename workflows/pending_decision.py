"""The pause for a person's decision: one open question at a time, its answer, and refused answers.

Signal and update handlers only change state here. The run applies the answer (``lead_list.py``).
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
# A refused answer is quoted in its problem. These limits keep any answer within a payload and the details.
_DECISION_ID_CHARS_MAX, _PROBLEM_CHARS_MAX = 100, 1000


class PendingDecision:
    """At most one open question of a run.

    Attributes:
        problem: why an answer was refused while no question was open. Reset by the next question.
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
        """Whether refused answers wait to be recorded."""
        return bool(self._refused)

    def parse(self, raw: object) -> Decision:
        """Understand an answer to the open question.

        Raises:
            DecisionError: it makes no sense, or the question was already answered.
        """
        question = self.question if self._decision is None else None
        return parse_decision(storable(raw), question, self._state.request)

    def accept(self, decision: Decision) -> None:
        self._decision = decision

    def accept_or_refuse(self, raw: object) -> None:
        """Take an answer whose sender gets no reply; one that makes no sense is recorded and shown."""
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
        """Notify the requester of the open question and wait for the answer.

        Args:
            watch: ends when what was down answers again, which makes the question moot too.

        Returns:
            The answer; after the deadline the default; None if the question became moot.
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
    """The answer that the request gives itself (``--on-decision``). An outage is always waited for."""
    action = _PRESET_ACTIONS.get(request.on_decision)
    if action is None or question.reason is DecisionReason.DEPENDENCY_DOWN:
        return None
    return Decision(decision_id=question.decision_id, action=action, decided_by="the request's --on-decision")
