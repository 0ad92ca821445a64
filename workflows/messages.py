"""Input, result and update receipt of a run's workflow."""

from domain.frozen_model import FrozenModel
from domain.request.decision import DecisionAction
from domain.request.progress import RunStatus
from domain.request.run_request import RunRequest
from workflows.state import RunState


class LeadListInput(FrozenModel):
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
