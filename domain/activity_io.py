"""What travels between workflows and activities: ids, counts and reasons. No personal data and no documents, so that
histories stay small and clean (DESIGN, "The house"); the data itself is in Postgres."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.company.status import CompanyStatus, Interruption, ReasonCode
from domain.failures import Dependency, Outage
from domain.request.decision import Decision, DecisionReason, DecisionRequest
from domain.request.progress import RunStatus, Stage
from domain.request.run_request import RunRequest
from domain.request.search_plan import TaskKind

POSITIONS_PER_TASK = 100_000  # far above the companies that one search names


class ActivityModel(BaseModel):
    """Base of all step inputs and results: immutable, additive fields with defaults only (histories outlive code)."""

    model_config = ConfigDict(frozen=True)


class Spend(ActivityModel):
    """What a step bought."""

    cost_usd: float = 0.0
    model_calls: int = 0

    def plus(self, other: "Spend") -> "Spend":
        """Both together."""
        return Spend(cost_usd=self.cost_usd + other.cost_usd, model_calls=self.model_calls + other.model_calls)


class RunInput(ActivityModel):
    """A step on a whole run as it is now requested (criteria and limits may have been amended)."""

    request: RunRequest


class SuppressionCheckInput(RunInput):
    """Ask the last gate for a run; ``check`` numbers the times that it was asked and the answer came home."""

    check: int = 0


class SearchTaskRef(ActivityModel):
    """A search task to run; ``label`` is its query."""

    task_id: UUID
    ordinal: int
    label: str
    kind: TaskKind = "individual"


class SearchTaskBatch(ActivityModel):
    """Search tasks handed out, in plan order; and the kinds of which tasks were given up, in this run or one like it before."""

    tasks: tuple[SearchTaskRef, ...] = ()
    skipped: tuple[TaskKind, ...] = ()


class SearchTaskInput(ActivityModel):
    """Run one search task for a run."""

    request: RunRequest
    task: SearchTaskRef
    retry_round: int = 0


class SearchTaskOutcome(ActivityModel):
    """How a search task ended: companies named with proof, and how many of them were new to the run."""

    named: int = 0
    new: int = 0
    spend: Spend = Spend()
    interruption: Interruption | None = None


class CompanyRef(ActivityModel):
    """A found company; ``position`` orders the selection (task ordinal × 100,000 + place within the task)."""

    company_id: UUID
    position: int


class CompanyInput(ActivityModel):
    """Work on one company for a run.

    Attributes:
        retry_round: how often a person has decided to try again; a new round asks the agents anew instead of going on
            with their stored turns.
        contacts_attempt: 1 reads the company's own pages; 2 may look beyond them.
    """

    request: RunRequest
    company: CompanyRef
    retry_round: int = 0
    contacts_attempt: int = 1


class CompanyOutcome(ActivityModel):
    """Where a step leaves a company: an end, an interruption, or neither (``status`` found: go on).

    Attributes:
        outage: what is down, where the interruption is ``dependency_down``.
    """

    status: CompanyStatus = CompanyStatus.FOUND
    reason: ReasonCode | None = None
    contacts: int = 0
    spend: Spend = Spend()
    interruption: Interruption | None = None
    outage: Outage | None = None

    @property
    def is_over(self) -> bool:
        """Whether no further step follows now: the company has ended or was interrupted."""
        return self.interruption is not None or self.status is not CompanyStatus.FOUND


class CompanyBatch(ActivityModel):
    """Companies found since the last look; ``cursor`` is where to go on, ``remaining`` how many come after it."""

    companies: tuple[CompanyRef, ...]
    cursor: int
    remaining: int = 0


class CompanyBatchInput(ActivityModel):
    """Load companies that were found after ``cursor`` (store sequence number)."""

    run_id: UUID
    cursor: int
    limit: int = 200


class SearchTaskBatchInput(ActivityModel):
    """Hand out the next open search tasks of a run, but none of the kinds that have dried up."""

    run_id: UUID
    after_ordinal: int
    limit: int
    exhausted_kinds: tuple[TaskKind, ...] = ()


class RunStateInput(ActivityModel):
    """Write the run's stage and status where people query them."""

    run_id: UUID
    stage: Stage
    status: RunStatus
    note: str = ""


class WithdrawnCompany(CompanyRef):
    """A company taken out at the last gate, and for what."""

    reason: ReasonCode = ReasonCode.SUPPRESSED


class SuppressionCheckResult(ActivityModel):
    """Complete companies that may not be delivered after all.

    Attributes:
        passed_digest: stands for the companies that passed, in order (``selection_digest``). Empty where some were taken out.
    """

    companies: tuple[WithdrawnCompany, ...] = ()
    passed_digest: str = ""


class QuestionInput(ActivityModel):
    """Put a question: store it and work out what each option is expected to yield and cost."""

    request: RunRequest
    stage: Stage
    reason: DecisionReason
    decision_id: str
    message: str
    complete: int
    deadline_at: str


class DecisionInput(ActivityModel):
    """Apply an answer: store it and reopen the companies that it may let in."""

    request: RunRequest
    decision: Decision
    question: DecisionRequest


class RefusedAnswerInput(ActivityModel):
    """Record an answer that was refused."""

    run_id: UUID
    decision_id: str | None
    problem: str


class DependencyCheckInput(ActivityModel):
    """See whether dependencies of a run that were down answer again."""

    run_id: UUID
    dependencies: tuple[Dependency, ...]


class FinishInput(ActivityModel):
    """End a run with the first complete companies, in the order of the selection.

    Attributes:
        passed_digest: digest of the selection that passed the last suppression check. If the selection changed since, the run does not end.
            Empty: not compared.
    """

    request: RunRequest
    status: RunStatus
    note: str = ""
    passed_digest: str = ""


class FinishResult(ActivityModel):
    """What a run ended with, or that it did not.

    Attributes:
        selection_changed: it has not ended, for these are not the companies any more that passed the last gate.
    """

    companies: int
    contacts: int
    selection_changed: bool = False


class NotifyInput(ActivityModel):
    """Tell the requester of a change of state; ``state_key`` names the change, so that it is told once."""

    run_id: UUID
    state_key: str


class ExportResult(ActivityModel):
    """The stored files of a run."""

    companies_file: str
    contacts_file: str
    companies: int
    contacts: int
    partial: bool
