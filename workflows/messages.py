"""What a run's workflow takes and returns."""

from pydantic import BaseModel, ConfigDict

from domain.request.decision import DecisionAction
from domain.request.progress import RunStatus
from domain.request.run_request import RunRequest
from workflows.state import RunState


class LeadListInput(BaseModel):
    """A request, and the state of a run that continues as new."""

    model_config = ConfigDict(frozen=True)

    request: RunRequest
    state: RunState | None = None


class DecisionReceipt(BaseModel):
    model_config = ConfigDict(frozen=True)

    decision_id: str
    action: DecisionAction


class LeadListResult(BaseModel):
    model_config = ConfigDict(frozen=True)

    status: RunStatus
    companies: int
    contacts: int
    partial: bool
    companies_file: str | None = None
    contacts_file: str | None = None
