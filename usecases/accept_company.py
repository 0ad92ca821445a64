"""Accept one company although a criterion rejected it. The run still checks suppression and duplicates."""

from pydantic import BaseModel, ConfigDict

from domain.company.acceptance import why_not_acceptable
from domain.company.status import CompanyStatus
from domain.delivery.rejected_rows import failing_criterion
from domain.request.decision import ENDING, DecisionAction
from domain.request.progress import ENDED, RunStatus
from domain.storable_text import storable
from runtime.process import UserError
from store.companies import accepted
from store.companies.companies import CompanyRow
from store.database import Connection
from store.runs.runs import RunRow
from usecases.decide import signal_command
from usecases.find import find_company


class Acceptance(BaseModel):
    """An accepted company.

    Attributes:
        company: its name.
        reason: why the run had rejected it.
        next: when the run continues with it, and what to do.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    company_id: str
    company: str
    reason: str
    next: str


async def accept_company(conn: Connection, run: RunRow, text: str, decided_by: str, note: str) -> Acceptance:
    """Accept a company, and record who did so and why.

    Args:
        conn: in autocommit.
        text: domain, name or id.

    Raises:
        UserError: no single company matches, no criterion rejected it, or the run has ended.
    """
    by = storable(decided_by).strip()
    if not by:
        raise UserError("--decided-by is empty: say who overrules the criteria")
    match = await find_company(conn, run, text)
    async with conn.transaction():
        run, company = await accepted.lock_run_and_company(conn, run.run_id, match.company_id)
        problem = _problem(run, company)
        if problem is not None:
            raise UserError(problem)
        await accepted.accept(conn, company, by, storable(note))
    return Acceptance(
        run_id=str(run.run_id),
        company_id=str(company.company_id),
        company=company.name,
        reason=company.reason or company.status.value,
        next=_next(run),
    )


def _problem(run: RunRow, company: CompanyRow) -> str | None:
    """Return why the company cannot be accepted and what to do instead, or None."""
    if company.accepted_by is not None and company.status is CompanyStatus.FOUND:
        return f"{company.accepted_by} has already accepted {company.name}. {_next(run)}"
    why_not = why_not_acceptable(company.status, company.reason)
    if why_not is not None:
        return f"{company.name} cannot be accepted: {why_not}"
    if run.status not in ENDED:
        return None
    criterion = failing_criterion(company.reason)
    soft = "" if criterion in {None, "icp"} else f" (make {criterion} soft, or widen it)"
    return (
        f"run {run.short_id} has ended (it is {run.status.value}): start a new run with criteria that include "
        f"{company.name}{soft}"
    )


def _next(run: RunRow) -> str:
    short = run.short_id
    if run.status is not RunStatus.NEEDS_USER_DECISION or run.decision is None:
        return (
            f"Run {short} continues with it when the current search ends, or before it asks a question. "
            "If the run reaches its target first, it ends without this company."
        )
    continuing = [option for option in run.decision.options if option.action not in ENDING]
    retry = [option for option in continuing if option.action is DecisionAction.RETRY]
    answers = [signal_command(run, option) for option in (retry or continuing)[:1]]
    how = answers[0] if answers else f"python starter.py status {short}"
    return (
        f"Run {short} waits for an answer to {run.decision.decision_id}. To continue with this company: {how}. "
        "accept_partial ends the run without it."
    )
