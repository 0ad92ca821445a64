"""How far a run is: the workflow's answer to the ``progress`` query and the one shape every view is drawn from."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.request.decision import DecisionRequest
from domain.request.search_plan import TaskKind


class Stage(StrEnum):
    """The earliest stage that still has work; a run moves back to discovery when too few companies survive."""

    COMPANY_DISCOVERY = "company_discovery"
    COMPANY_RESEARCH = "company_research"
    CONTACT_DISCOVERY = "contact_discovery"
    DONE = "done"


class RunStatus(StrEnum):
    """Only the final step of the workflow makes a run ``completed``."""

    ACTIVE = "active"
    NEEDS_USER_DECISION = "needs_user_decision"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    ERROR = "error"


ENDED = frozenset({RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.ERROR})


class RunProgress(BaseModel):
    """Counts of a run at a moment.

    Attributes:
        companies_ready: complete companies, at most the target; ``companies_gap`` are still missing.
        contacts_ready: deliverable contacts of those; ``contacts_gap`` counts those missing to contacts_min each.
        funnel: companies by reason code of their end; ``found`` counts all.
        open_discovery, open_research, open_contacts: what is being worked on; ``queued`` waits for a place.
        search_tasks_done: search tasks run so far; ``exhausted_kinds`` are the kinds of search that were given up since they
            hardly found anything new any more.
        named: mentions of companies by all searches, those known before included.
        problem: why an answer was refused that came while no question was open, until the next question.
    """

    model_config = ConfigDict(frozen=True)

    run_id: UUID
    stage: Stage
    status: RunStatus
    target_quantity: int
    companies_ready: int
    contacts_ready: int
    contacts_gap: int
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
    def companies_gap(self) -> int:
        """Companies still missing to the target."""
        return max(0, self.target_quantity - self.companies_ready)

    @property
    def progress_pct(self) -> int:
        """Share of the target that is complete, in whole percent, rounded down."""
        return self.companies_ready * 100 // self.target_quantity
