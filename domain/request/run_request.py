"""A run as requested: criteria, quantity, limits, and how it works."""

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from domain.frozen_model import FrozenModel
from domain.request.criteria import Criteria

QUANTITY_MAX = 10_000


class OnDecision(StrEnum):
    """What to do when the run needs a decision: ``ask`` at the terminal, ``wait`` for an answer, or answer in advance."""

    ASK = "ask"
    WAIT = "wait"
    ACCEPT_PARTIAL = "accept_partial"
    CANCEL = "cancel"


class Limits(FrozenModel):
    """What a run may spend; None means no limit. ``stage_timeout_s`` applies to each stage."""

    max_cost_usd: float | None = None
    max_model_calls: int | None = None
    stage_timeout_s: int = 3600


class Windows(FrozenModel):
    """How many searches and companies are open at a time, and other settings of a run.

    Taken from the settings when the run starts, since a workflow reads no environment.
    """

    discovery: int = Field(default=2, ge=1)
    companies: int = Field(default=8, ge=1)
    decision_deadline_s: int = Field(default=7 * 24 * 3600, ge=1)
    outage_recheck_s: float = Field(
        default=60, gt=0, description="How long after it failed a dependency is checked for the first time."
    )
    history_events_max: int | None = Field(
        default=None, description="Continue as new at this history length instead of when the server suggests it."
    )


class RunRequest(FrozenModel):
    """Everything that defines a run, and nothing personal: the email address to notify is only in the database.

    Attributes:
        target_quantity: complete companies wanted.
        contacts_min, contacts_max: contacts per company.
    """

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
