"""A run as requested: criteria, how many, limits, and how it is to be worked."""

from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from domain.request.criteria import Criteria

QUANTITY_MAX = 10_000


class OnDecision(StrEnum):
    """What to do when the run needs a decision. ``ask`` and ``wait`` leave it to a person (at the terminal, or
    later); the other two are answers given in advance and recorded as such."""

    ASK = "ask"
    WAIT = "wait"
    ACCEPT_PARTIAL = "accept_partial"
    CANCEL = "cancel"


class Limits(BaseModel):
    """What a run may spend. None means no limit. ``stage_timeout_s`` holds for each stage (seconds)."""

    model_config = ConfigDict(frozen=True)

    max_cost_usd: float | None = None
    max_model_calls: int | None = None
    stage_timeout_s: int = 3600


class Windows(BaseModel):
    """How much of a run is open at a time: discovery tasks and companies. Set from the settings at the start, so that
    the workflow reads no environment."""

    model_config = ConfigDict(frozen=True)

    discovery: int = Field(default=2, ge=1)
    companies: int = Field(default=8, ge=1)
    decision_deadline_s: int = Field(default=7 * 24 * 3600, ge=1)
    outage_recheck_s: float = Field(
        default=60, gt=0, description="How long after it failed a dependency is first asked whether it answers again."
    )
    history_events_max: int | None = Field(
        default=None, description="Continue as new at this history length instead of when the server suggests it."
    )


class RunRequest(BaseModel):
    """Everything that defines a run, and nothing personal: the address to notify is stored in the database only.

    Attributes:
        target_quantity: complete companies wanted, 1 to 10,000.
        contacts_min, contacts_max: contacts per company, 1 to 3 by default.
    """

    model_config = ConfigDict(frozen=True)

    run_id: UUID
    criteria: Criteria
    target_quantity: int = Field(ge=1, le=QUANTITY_MAX)
    contacts_min: int = Field(default=1, ge=1)
    contacts_max: int = Field(default=3, ge=1)
    limits: Limits = Limits()
    windows: Windows = Windows()
    on_decision: OnDecision = OnDecision.WAIT


def workflow_id_of(run_id: UUID) -> str:
    """The Temporal workflow id of a run."""
    return f"lead-list-{run_id}"
