"""Inputs and results of activities: ids, counts and reasons, but no personal data or documents.

This keeps workflow histories small. Postgres stores the data itself.
"""

from uuid import UUID

from domain.company.status import CompanyStatus, Interruption, ReasonCode
from domain.failures import Dependency, Outage
from domain.frozen_model import FrozenModel
from domain.request.decision import Decision, DecisionReason, DecisionRequest
from domain.request.progress import RunStatus, Stage
from domain.request.run_request import RunRequest
from domain.request.search_plan import TaskKind

POSITIONS_PER_TASK = 100_000  # far more companies than one search names


class Spend(FrozenModel):
    cost_usd: float = 0.0
    model_calls: int = 0

    def plus(self, other: "Spend") -> "Spend":
        return Spend(cost_usd=self.cost_usd + other.cost_usd, model_calls=self.model_calls + other.model_calls)


# A run


class RunInput(FrozenModel):
    """Input for a whole run. The request includes all decisions so far."""

    request: RunRequest


class RunStateInput(FrozenModel):
    run_id: UUID
    stage: Stage
    status: RunStatus
    note: str = ""


class FinishInput(FrozenModel):
    """End a run and deliver its first complete companies.

    Attributes:
        passed_digest: ``selection_digest`` of the selection that passed the last suppression check. If the selection
            changed since, the run does not end. Empty skips this comparison.
    """

    request: RunRequest
    status: RunStatus
    note: str = ""
    passed_digest: str = ""


class FinishResult(FrozenModel):
    """What a run delivered. If ``selection_changed`` is true, the run has not ended."""

    companies: int
    contacts: int
    selection_changed: bool = False


class ExportResult(FrozenModel):
    companies_file: str
    contacts_file: str
    companies: int
    contacts: int
    partial: bool


class NotifyInput(FrozenModel):
    """A change of state to report to the requester. ``state_key`` identifies it, so it is sent once."""

    run_id: UUID
    state_key: str


class DependencyCheckInput(FrozenModel):
    run_id: UUID
    dependencies: tuple[Dependency, ...]


# Search tasks


class SearchTaskRef(FrozenModel):
    task_id: UUID
    ordinal: int
    label: str
    kind: TaskKind = "individual"


class SearchTaskBatchInput(FrozenModel):
    run_id: UUID
    after_ordinal: int
    limit: int
    exhausted_kinds: tuple[TaskKind, ...] = ()


class SearchTaskBatch(FrozenModel):
    """``skipped`` lists kinds skipped in this run or a recent identical one."""

    tasks: tuple[SearchTaskRef, ...] = ()
    skipped: tuple[TaskKind, ...] = ()


class SearchTaskInput(FrozenModel):
    request: RunRequest
    task: SearchTaskRef
    retry_round: int = 0


class SearchTaskOutcome(FrozenModel):
    """Number of companies named with proof, and how many were new to the run."""

    named: int = 0
    new: int = 0
    spend: Spend = Spend()
    interruption: Interruption | None = None


# Companies


class CompanyRef(FrozenModel):
    """``position`` orders the selection: task ordinal × 100,000 + place within the task."""

    company_id: UUID
    position: int


class CompanyBatchInput(FrozenModel):
    run_id: UUID
    cursor: int
    limit: int = 200


class CompanyBatch(FrozenModel):
    """``cursor`` is the last sequence number read. ``remaining`` counts the companies after it."""

    companies: tuple[CompanyRef, ...]
    cursor: int
    remaining: int = 0


class CompanyInput(FrozenModel):
    """Attributes:
    retry_round: how often a person chose to retry. In a new round, agents start over without stored turns.
    contacts_attempt: 1 reads only the company's own pages. 2 may look beyond them.
    """

    request: RunRequest
    company: CompanyRef
    retry_round: int = 0
    contacts_attempt: int = 1


class CompanyOutcome(FrozenModel):
    """A company's state after an activity: ended, interrupted, or neither (status ``found``)."""

    status: CompanyStatus = CompanyStatus.FOUND
    reason: ReasonCode | None = None
    contacts: int = 0
    spend: Spend = Spend()
    interruption: Interruption | None = None
    outage: Outage | None = None

    @property
    def is_over(self) -> bool:
        return self.interruption is not None or self.status is not CompanyStatus.FOUND


# The last suppression check


class SuppressionCheckInput(RunInput):
    """``check`` numbers the check, so a retry reports the same companies."""

    check: int = 0


class WithdrawnCompany(CompanyRef):
    """A complete company removed from the selection."""

    reason: ReasonCode = ReasonCode.SUPPRESSED


class SuppressionCheckResult(FrozenModel):
    """If no company was withdrawn, ``passed_digest`` identifies the selection that passed."""

    companies: tuple[WithdrawnCompany, ...] = ()
    passed_digest: str = ""


# Decisions


class QuestionInput(FrozenModel):
    request: RunRequest
    stage: Stage
    reason: DecisionReason
    decision_id: str
    message: str
    complete: int
    deadline_at: str


class DecisionInput(FrozenModel):
    request: RunRequest
    decision: Decision
    question: DecisionRequest


class RefusedAnswerInput(FrozenModel):
    run_id: UUID
    decision_id: str | None
    problem: str
