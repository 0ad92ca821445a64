"""A run as requested: criteria, quantity, limits and settings."""

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from domain.frozen_model import FrozenModel
from domain.request.criteria import Criteria

QUANTITY_MAX = 10_000


class OnDecision(StrEnum):
    """What to do if the run needs a decision: ``ask`` at the terminal, ``wait``, or apply the named action."""

    ASK = "ask"
    WAIT = "wait"
    ACCEPT_PARTIAL = "accept_partial"
    CANCEL = "cancel"


class Limits(FrozenModel):
    """What a run may spend. None means no limit. ``stage_timeout_s`` applies to each stage."""

    max_cost_usd: float | None = None
    max_model_calls: int | None = None
    stage_timeout_s: int = 3600


class Windows(FrozenModel):
    """How many searches and companies a run processes at once, and other settings.

    They are copied when the run starts, because a workflow cannot read the environment.
    """

    discovery: int = Field(default=2, ge=1)
    companies: int = Field(default=8, ge=1)
    decision_deadline_s: int = Field(default=7 * 24 * 3600, ge=1)
    outage_recheck_s: float = Field(
        default=60, gt=0, description="Time from the failure of a dependency to its first check."
    )
    history_events_max: int | None = Field(
        default=None, description="Continue as new at this history length, not when the server suggests it."
    )


class RunRequest(FrozenModel):
    """Everything that defines a run. It has no personal data: only the database stores the notification address."""

    run_id: UUID
    criteria: Criteria
    target_quantity: int = Field(ge=1, le=QUANTITY_MAX)
    contacts_min: int = Field(default=1, ge=1)
    contacts_max: int = Field(default=3, ge=1)
    limits: Limits = Limits()
    windows: Windows = Windows()
    on_decision: OnDecision = OnDecision.WAIT


def workflow_id_of(run_id: UUID) -> str:
    return f"lead-list-{run_id}"
