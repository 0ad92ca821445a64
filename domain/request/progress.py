"""Progress of a run, as the workflow's ``progress`` query returns it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.frozen_model import FrozenModel
from domain.request.decision import DecisionRequest
from domain.request.search_plan import TaskKind


class Stage(StrEnum):
    """The earliest stage with open work. A run returns to discovery if too few companies survive."""

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
    """Counts of a run at one moment.

    Attributes:
        funnel: number of companies per end reason.
        exhausted_kinds: kinds of search that the run skips, because they find almost nothing new.
        named: company mentions in all searches, including known companies.
        problem: why an answer was refused when no question was open. The next question clears it.
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
        return self.companies_ready * 100 // self.target_quantity
