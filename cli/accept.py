"""``starter.py accept``: a person overrules the criteria for one company, and the run takes it up again.

Needs the database alone. Only what criteria and ICP have turned away can be accepted (``domain/company/acceptance.py``); the suppression
gate and the search for duplicates are asked for the company as for any other.
"""

from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict
from rich.console import Console

from cli.follow import print_json
from cli.render import signal_command
from domain.company.acceptance import why_not_acceptable
from domain.company.status import CompanyStatus
from domain.delivery.rejected_rows import failing_criterion
from domain.request.decision import ENDING, DecisionAction
from domain.request.progress import ENDED, RunStatus
from domain.storable_text import storable
from runtime.process import UserError, load_settings, run_async
from runtime.services import open_database
from store.companies import accepted
from store.companies.companies import CompanyRow
from store.database import Connection
from store.runs.runs import RunRow
from usecases.find_company import find_company
from usecases.find_run import find_run


class Acceptance(BaseModel):
    """A company that was accepted.

    Attributes:
        company: its name.
        reason: what it had been turned away for.
        next: when the run takes it up, and what to do for that.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    company_id: str
    company: str
    reason: str
    next: str


def accept_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run id, its first 8 characters, or the workflow id.")],
    company: Annotated[str, typer.Argument(metavar="COMPANY", help="Its domain, its whole name, or its company id.")],
    decided_by: Annotated[str, typer.Option(help="Who decides, for the audit trail.")] = "command line",
    note: Annotated[str, typer.Option(help="Why, for the audit trail.")] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")
    ] = False,
) -> None:
    """Overrule the criteria for one company that a run has turned away."""
    console = Console(quiet=as_json)

    async def work() -> int:
        async with open_database(load_settings()) as conn:
            row = await find_run(conn, run)
            done = await accept_company(conn, row, company, decided_by, note)
        if as_json:
            print_json(done.model_dump(mode="json"))
        text = f"{done.company} is accepted ({done.reason} overruled by {decided_by}). {done.next}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        return 0

    raise typer.Exit(run_async(work()))


async def accept_company(conn: Connection, run: RunRow, text: str, decided_by: str, note: str) -> Acceptance:
    """Overrule the criteria for the company that a text names, and record who did so and why.

    Args:
        conn: in autocommit; the change is a transaction of its own.

    Raises:
        UserError: it names no company or several, the company did not end by a criterion, or the run has ended. Nothing has
            changed then.
    """
    by = storable(decided_by).strip()
    if not by:
        raise UserError("--decided-by is empty: say who overrules the criteria")
    match = await find_company(conn, run, text)
    async with conn.transaction():
        run, company = await accepted.locked(conn, run.run_id, match.company_id)
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
    """Why the company cannot be accepted, and what to do instead."""
    if company.accepted_by is not None and company.status is CompanyStatus.FOUND:
        return f"{company.name} was accepted by {company.accepted_by} already; {_next(run)}"
    why_not = why_not_acceptable(company.status, company.reason)
    if why_not is not None:
        return f"{company.name} cannot be accepted: {why_not}"
    if run.status not in ENDED:
        return None
    criterion = failing_criterion(company.reason)
    soft = "" if criterion in {None, "icp"} else f" (make {criterion} soft, or widen it)"
    return (
        f"run {str(run.run_id)[:8]} has ended (it is {run.status.value}) and takes nothing up any more: "
        f"start a new run whose criteria let {company.name} in{soft}"
    )


def _next(run: RunRow) -> str:
    """When a run that goes on takes up a company that was put back, and what to do for that."""
    short = str(run.run_id)[:8]
    if run.status is not RunStatus.NEEDS_USER_DECISION or run.decision is None:
        return (
            f"Run {short} takes it up when the search under way ends, or before it asks; should the run be filled before "
            "that, it ends without it."
        )
    going_on = [option for option in run.decision.options if option.action not in ENDING]
    retry = [option for option in going_on if option.action is DecisionAction.RETRY]
    answers = [signal_command(short, option) for option in (retry or going_on)[:1]]
    how = answers[0] if answers else f"python starter.py status {short}"
    return (
        f"Run {short} waits with {run.decision.decision_id} and takes it up with an answer that lets it go on: {how}. "
        "accept_partial ends the run without it."
    )
