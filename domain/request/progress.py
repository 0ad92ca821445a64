"""How far a run is: the answer to the workflow's ``progress`` query."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.frozen_model import FrozenModel
from domain.request.decision import DecisionRequest
from domain.request.search_plan import TaskKind


class Stage(StrEnum):
    """The earliest stage with open work. A run moves back to discovery when too few companies survive."""

    COMPANY_DISCOVERY = "company_discovery"
    COMPANY_RESEARCH = "company_research"
    CONTACT_DISCOVERY = "contact_discovery"
    DONE = "done"


class RunStatus(StrEnum):
    ACTIVE = "active"
    NEEDS_USER_DECISION = "needs_user_decision"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    ERROR = "error"


ENDED = frozenset({RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.ERROR})


class RunProgress(FrozenModel):
    """Counts of a run at a moment.

    Attributes:
        companies_ready: complete companies, at most the target.
        contacts_ready: contacts of those companies.
        funnel: companies by the reason they ended.
        open_discovery, open_research, open_contacts: work in progress; ``queued`` companies wait to start.
        exhausted_kinds: kinds of search that were skipped because they hardly find anything new.
        named: mentions of companies by all searches, including known companies.
        problem: why an answer was refused while no question was open. Reset by the next question.
    """

    run_id: UUID
    stage: Stage
    status: RunStatus
    target_quantity: int
    companies_ready: int
    contacts_ready: int
    funnel: dict[str, int]
    open_discovery: int = 0
    open_research: int = 0
    open_contacts: int = 0
    queued: int = 0
    search_tasks_done: int = 0
    exhausted_kinds: tuple[TaskKind, ...] = ()
    named: int = 0
    cost_usd: float = 0.0
    model_calls: int = 0
    decision: DecisionRequest | None = None
    problem: str | None = None
    note: str = ""
    stage_entered_at: datetime | None = None

    @property
    def progress_pct(self) -> int:
        """Percentage of the target that is complete, rounded down."""
        return self.companies_ready * 100 // self.target_quantity
