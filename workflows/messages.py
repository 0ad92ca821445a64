"""What a run's workflow is started with, answers and ends with."""

from pydantic import BaseModel, ConfigDict

from domain.request.decision import DecisionAction
from domain.request.progress import RunStatus
from domain.request.run_request import RunRequest
from workflows.state import RunState


class LeadListInput(BaseModel):
    """A request, or also the state of a run that continues as new."""

    model_config = ConfigDict(frozen=True)

    request: RunRequest
    state: RunState | None = None


class DecisionReceipt(BaseModel):
    """What the sender of a decision is told."""

    model_config = ConfigDict(frozen=True)

    decision_id: str
    action: DecisionAction


class LeadListResult(BaseModel):
    """How a run ended."""

    model_config = ConfigDict(frozen=True)

    status: RunStatus
    companies: int
    contacts: int
    partial: bool
    companies_file: str | None = None
    contacts_file: str | None = None
