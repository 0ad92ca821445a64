"""Inputs and results of activities. They hold ids, counts and reasons only: no personal data and no documents.

So workflow histories stay small. The data itself is in Postgres.
"""

from uuid import UUID

from domain.company.status import CompanyStatus, Interruption, ReasonCode
from domain.failures import Dependency, Outage
from domain.frozen_model import FrozenModel
from domain.request.decision import Decision, DecisionReason, DecisionRequest
from domain.request.progress import RunStatus, Stage
from domain.request.run_request import RunRequest
from domain.request.search_plan import TaskKind

POSITIONS_PER_TASK = 100_000  # far above the number of companies one search names


class Spend(FrozenModel):
    cost_usd: float = 0.0
    model_calls: int = 0

    def plus(self, other: "Spend") -> "Spend":
        return Spend(cost_usd=self.cost_usd + other.cost_usd, model_calls=self.model_calls + other.model_calls)


# A run


class RunInput(FrozenModel):
    """Work on a whole run, as requested now: decisions may have amended criteria and limits."""

    request: RunRequest


class RunStateInput(FrozenModel):
    """Write the run's stage and status where people query them."""

    run_id: UUID
    stage: Stage
    status: RunStatus
    note: str = ""


class FinishInput(FrozenModel):
    """End a run with its first complete companies, in the order of the selection.

    Attributes:
        passed_digest: digest of the selection that passed the last suppression check (``selection_digest``). If the
            selection changed since, the run does not end. Empty: not compared.
    """

    request: RunRequest
    status: RunStatus
    note: str = ""
    passed_digest: str = ""


class FinishResult(FrozenModel):
    """What a run ended with. With ``selection_changed`` it did not end."""

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
    """Notify the requester of a change of state. ``state_key`` names the change, so each is sent once."""

    run_id: UUID
    state_key: str


class DependencyCheckInput(FrozenModel):
    """Check whether dependencies that were down answer again."""

    run_id: UUID
    dependencies: tuple[Dependency, ...]


# Search tasks


class SearchTaskRef(FrozenModel):
    """A search task to run; ``label`` is its query."""

    task_id: UUID
    ordinal: int
    label: str
    kind: TaskKind = "individual"


class SearchTaskBatchInput(FrozenModel):
    """Load the next open search tasks, except of exhausted kinds."""

    run_id: UUID
    after_ordinal: int
    limit: int
    exhausted_kinds: tuple[TaskKind, ...] = ()


class SearchTaskBatch(FrozenModel):
    """Search tasks in plan order, and the kinds skipped so far (in this run or a recent identical one)."""

    tasks: tuple[SearchTaskRef, ...] = ()
    skipped: tuple[TaskKind, ...] = ()


class SearchTaskInput(FrozenModel):
    request: RunRequest
    task: SearchTaskRef
    retry_round: int = 0


class SearchTaskOutcome(FrozenModel):
    """How a search task ended: companies named with proof, and how many of them were new to the run."""

    named: int = 0
    new: int = 0
    spend: Spend = Spend()
    interruption: Interruption | None = None


# Companies


class CompanyRef(FrozenModel):
    """A found company. ``position`` orders the selection: task ordinal × 100,000 + place within the task."""

    company_id: UUID
    position: int


class CompanyBatchInput(FrozenModel):
    """Load companies stored after ``cursor`` (a sequence number of the store)."""

    run_id: UUID
    cursor: int
    limit: int = 200


class CompanyBatch(FrozenModel):
    """Found companies, the next ``cursor``, and how many companies remain behind it."""

    companies: tuple[CompanyRef, ...]
    cursor: int
    remaining: int = 0


class CompanyInput(FrozenModel):
    """Work on one company for a run.

    Attributes:
        retry_round: how often a person decided to retry. In a new round agents start over, without stored turns.
        contacts_attempt: 1 reads the company's own pages; 2 may look beyond them.
    """

    request: RunRequest
    company: CompanyRef
    retry_round: int = 0
    contacts_attempt: int = 1


class CompanyOutcome(FrozenModel):
    """Where an activity leaves a company: an end, an interruption, or neither (status ``found``: go on).

    Attributes:
        outage: what is down, if the interruption is ``dependency_down``.
    """

    status: CompanyStatus = CompanyStatus.FOUND
    reason: ReasonCode | None = None
    contacts: int = 0
    spend: Spend = Spend()
    interruption: Interruption | None = None
    outage: Outage | None = None

    @property
    def is_over(self) -> bool:
        """Whether the company has ended or was interrupted."""
        return self.interruption is not None or self.status is not CompanyStatus.FOUND


# The last suppression check


class SuppressionCheckInput(RunInput):
    """Check suppression for a run's selection. ``check`` numbers the checks, so that a retried one names the same companies."""

    check: int = 0


class WithdrawnCompany(CompanyRef):
    """A complete company taken out of the selection, and why."""

    reason: ReasonCode = ReasonCode.SUPPRESSED


class SuppressionCheckResult(FrozenModel):
    """Withdrawn companies; without any, ``passed_digest`` stands for the selection that passed."""

    companies: tuple[WithdrawnCompany, ...] = ()
    passed_digest: str = ""


# Decisions


class QuestionInput(FrozenModel):
    """Store a question and work out what each option is expected to yield and cost."""

    request: RunRequest
    stage: Stage
    reason: DecisionReason
    decision_id: str
    message: str
    complete: int
    deadline_at: str


class DecisionInput(FrozenModel):
    """Store an answer and reopen the companies it may let in."""

    request: RunRequest
    decision: Decision
    question: DecisionRequest


class RefusedAnswerInput(FrozenModel):
    run_id: UUID
    decision_id: str | None
    problem: str
