"""What a run's workflow takes and returns."""

from domain.frozen_model import FrozenModel
from domain.request.decision import DecisionAction
from domain.request.progress import RunStatus
from domain.request.run_request import RunRequest
from workflows.state import RunState


class LeadListInput(FrozenModel):
    """A request, and the state of a run that continues as new."""

    request: RunRequest
    state: RunState | None = None


class DecisionReceipt(FrozenModel):
    decision_id: str
    action: DecisionAction


class LeadListResult(FrozenModel):
    status: RunStatus
    companies: int
    contacts: int
    partial: bool
    companies_file: str | None = None
    contacts_file: str | None = None
