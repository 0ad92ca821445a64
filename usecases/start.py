"""Check a request and start its run. Bad input is refused before anything is stored or started."""

import json
import re
import tempfile
from pathlib import Path
from uuid import UUID, uuid4

from email_validator import EmailNotValidError, validate_email
from pydantic import BaseModel, ConfigDict
from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from agents.cost import Tokens, price_usd
from domain.request.criteria import CriteriaError, parse_criteria
from domain.request.criteria_words import request_in_words
from domain.request.progress import ENDED, RunStatus, Stage
from domain.request.run_request import QUANTITY_MAX, Limits, OnDecision, RunRequest, Windows, workflow_id_of
from runtime.process import UserError
from runtime.services import Services
from settings import Settings
from store.runs import runs
from workflows.lead_list import LeadListWorkflow
from workflows.messages import LeadListInput
from workflows.names import PMS, STAGE, STATE, STATUS, TASK_QUEUE

_CONTACTS_MAX = 20
_SUMMARY_BYTES_MAX = 190  # Temporal allows 200
_STAGE_TIMEOUT_MAX_S = 365 * 24 * 3600


class StartOptions(BaseModel):
    """The options of a request, not checked yet."""

    model_config = ConfigDict(frozen=True)

    criteria: object
    quantity: int | str | None = None
    contacts_min: int = 1
    contacts_max: int = 3
    stage_timeout_s: int = 3600
    notify_email: str | None = None
    max_cost_usd: float | None = None
    max_model_calls: int | None = None
    run_id: str | None = None
    on_decision: OnDecision = OnDecision.WAIT


def criteria_from_json(text: str) -> object:
    """Parse the JSON of criteria. Raises UserError if it is not valid."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise UserError("criteria are nested too deeply: expected a flat object") from error
    except json.JSONDecodeError as error:
        raise UserError(
            f'criteria are not JSON ({error.msg} at character {error.pos + 1}): expected an object such as {{"state": "TX"}}'
        ) from error
    except ValueError as error:  # a number with more digits than Python accepts
        raise UserError(f"criteria contain a number that cannot be read: {error}") from error


def build_request(options: StartOptions, settings: Settings) -> RunRequest:
    """Check the options and return the run's request.

    Raises:
        UserError: an option is not valid.
    """
    try:
        parsed = parse_criteria(options.criteria)
    except CriteriaError as error:
        raise UserError(str(error)) from error
    quantity = _quantity(options.quantity, parsed.quantity)
    if not 1 <= options.contacts_min <= options.contacts_max:
        raise UserError(
            f"contacts-min ({options.contacts_min}) must be at least 1 and not above contacts-max ({options.contacts_max})"
        )
    if options.contacts_max > _CONTACTS_MAX:
        raise UserError(f"contacts-max must be at most {_CONTACTS_MAX}, not {options.contacts_max}")
    _check_range("timeout", options.stage_timeout_s, _STAGE_TIMEOUT_MAX_S, " seconds")
    if options.max_model_calls is not None and options.max_model_calls < 1:
        raise UserError(f"max-model-calls must be at least 1, not {options.max_model_calls}")
    if options.max_cost_usd is not None:
        _check_cost_limit(options.max_cost_usd, settings)
    checked_email(options.notify_email)
    return RunRequest(
        run_id=_run_id(options.run_id),
        criteria=parsed.criteria,
        target_quantity=quantity,
        contacts_min=options.contacts_min,
        contacts_max=options.contacts_max,
        limits=Limits(
            max_cost_usd=options.max_cost_usd,
            max_model_calls=options.max_model_calls,
            stage_timeout_s=options.stage_timeout_s,
        ),
        windows=Windows(
            discovery=settings.discovery_window,
            companies=settings.company_window,
            decision_deadline_s=round(settings.decision_deadline_days * 24 * 3600),
            outage_recheck_s=settings.outage_recheck_s,
        ),
        on_decision=options.on_decision,
    )


def _quantity(given: int | str | None, in_criteria: int | None) -> int:
    if isinstance(given, str):
        if not re.fullmatch(r"[+-]?\d{1,18}", given.strip()):
            raise UserError(f"quantity takes a whole number, not {given[:40]!r}")
        given = int(given)
    if given is not None and in_criteria is not None and given != in_criteria:
        raise UserError(f"quantity is {given} as an option but {in_criteria} in the criteria: give one of them")
    quantity = given if given is not None else in_criteria
    if quantity is None:
        raise UserError("how many companies? Give --quantity N")
    _check_range("quantity", quantity, QUANTITY_MAX)
    return quantity


def _check_range(name: str, value: int, most: int, unit: str = "") -> None:
    if not 1 <= value <= most:
        raise UserError(f"{name} must be from 1 to {most:,}{unit}, not {value:,}")


def _check_cost_limit(max_cost_usd: float, settings: Settings) -> None:
    if not 0 < max_cost_usd < float("inf"):
        raise UserError(f"max-cost-usd must be above 0, not {max_cost_usd:g}")
    if settings.openai_api_key is None and settings.openai_base_url is None:
        return  # the local stack sets the prices of its demo model
    if price_usd(settings, Tokens(input=1000, output=1000)) is None:
        raise UserError(
            f"a cost limit needs a price, and the price of the model {settings.openai_model!r} is unknown: "
            "set MODEL_PRICE_INPUT_USD_PER_MTOK and MODEL_PRICE_OUTPUT_USD_PER_MTOK"
        )


def checked_email(address: str | None) -> str | None:
    """Return the normalized address. Raises UserError if it is not valid."""
    if address is None:
        return None
    try:
        return validate_email(address, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise UserError(f"{address!r} is not a valid email address: {error}") from error


def _run_id(text: str | None) -> UUID:
    if text is None:
        return uuid4()
    try:
        return UUID(text)
    except ValueError as error:
        raise UserError(f"run-id must be a UUID, not {text!r}") from error


def check_output_dir(directory: Path) -> None:
    """Raise ``UserError`` if files cannot be written to this directory."""
    existing = directory
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise UserError(f"output-dir {directory}: {existing} is not a directory")
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UserError(f"output-dir {directory} cannot be written to: {error.strerror}") from error


async def start_run(services: Services, request: RunRequest, notify_email: str | None) -> bool:
    """Store a run and start its workflow. Idempotent.

    A stored run that Temporal no longer knows starts again with its current limits. Earlier spending counts against them.

    Returns:
        Whether the run was started now.

    Raises:
        UserError: the run id belongs to another request, or Temporal refused the start.
    """
    workflow_id = workflow_id_of(request.run_id)
    inserted = await runs.insert_run(services.conn, request, workflow_id, notify_email)
    if not inserted:
        existing = await runs.get_run(services.conn, request.run_id)
        same = (
            existing.criteria_asked == request.criteria
            and existing.target_quantity == request.target_quantity
            and (existing.contacts_min, existing.contacts_max) == (request.contacts_min, request.contacts_max)
        )
        if not same:
            raise UserError(f"run-id {request.run_id} belongs to another request: leave it out, or repeat that request")
        if existing.status in ENDED:
            return False  # without a look at Temporal, which may have deleted the workflow
        request = request.model_copy(update={"limits": existing.limits, "on_decision": existing.on_decision})
        if not await _has_workflow(services.client, workflow_id):
            # A question of the deleted workflow cannot be answered.
            await runs.set_state(services.conn, request.run_id, Stage.COMPANY_DISCOVERY, RunStatus.ACTIVE, "")
    try:
        await _start_workflow(services.client, request, workflow_id)
    except WorkflowAlreadyStartedError:
        return False
    except RPCError as error:
        if inserted and not await _has_workflow(services.client, workflow_id):
            await runs.delete_unstarted_run(services.conn, request.run_id)
        raise UserError(f"Temporal refused to start the run: {error.message}") from error
    return True


async def _has_workflow(client: Client, workflow_id: str) -> bool:
    """Whether the workflow exists. True if Temporal does not answer."""
    try:
        await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        return error.status is not RPCStatusCode.NOT_FOUND
    return True


async def _start_workflow(client: Client, request: RunRequest, workflow_id: str) -> None:
    criteria = request.criteria
    attributes = [
        SearchAttributePair(STATUS, RunStatus.ACTIVE.value),
        SearchAttributePair(STAGE, Stage.COMPANY_DISCOVERY.value),
    ]
    if criteria.pms:
        attributes.append(SearchAttributePair(PMS, ", ".join(vendor.value for vendor in criteria.pms)))
    if criteria.states:
        attributes.append(SearchAttributePair(STATE, ", ".join(criteria.states)))
    await client.start_workflow(
        LeadListWorkflow.run,
        LeadListInput(request=request),
        id=workflow_id,
        task_queue=TASK_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        search_attributes=TypedSearchAttributes(attributes),
        static_summary=_truncated(request_in_words(request.target_quantity, criteria), _SUMMARY_BYTES_MAX),
        static_details=f"```json\n{json.dumps(criteria.described(), indent=2)}\n```",
    )


def _truncated(text: str, bytes_max: int) -> str:
    return text.encode()[:bytes_max].decode(errors="ignore")
