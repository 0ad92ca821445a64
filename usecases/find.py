"""Find the run or company that a person means."""

import re
from uuid import UUID

from rapidfuzz import fuzz, process, utils

from runtime.process import UserError
from store.companies import companies
from store.database import Connection
from store.delivery import evidence
from store.delivery.evidence import CompanyMatch
from store.runs import runs
from store.runs.runs import RunRow

_PREFIX_MIN = 4
_MATCHES_SHOWN_MAX = 5
_SUGGESTION_SCORE_MIN = 60.0  # of 100; suggestions are only shown


async def find_run(conn: Connection, text: str) -> RunRow:
    """Find a run by its id, the first characters of its id, or its workflow id.

    Raises:
        UserError: no run matches, or several do.
    """
    wanted = text.strip().lower().removeprefix("lead-list-")
    try:
        run = await runs.find_run(conn, UUID(wanted))
    except ValueError:
        if not re.fullmatch(rf"[0-9a-f-]{{{_PREFIX_MIN},36}}", wanted):
            raise UserError(
                f"{text!r} is not a run: give the run id, its first 8 characters or the workflow id "
                "(`python starter.py list` shows them)"
            ) from None
        found = await runs.find_runs_by_prefix(conn, wanted)
        if len(found) > 1:
            ids = ", ".join(str(run.run_id) for run in found)
            raise UserError(f"{text!r} is ambiguous, it could be: {ids}. Give more characters.") from None
        run = found[0] if found else None
    if run is None:
        raise UserError(f"there is no run {text!r}: `python starter.py list` shows the runs")
    return run


async def find_company(conn: Connection, run: RunRow, text: str) -> CompanyMatch:
    """Find a company of a run, of any status, by its own domain, name or id.

    Raises:
        UserError: no company matches, or several do.
    """
    found = await evidence.find_companies(conn, run.run_id, text)
    if not found:
        names = sorted({name for name, _ in await companies.list_mentions(conn, run.run_id)})
        near = process.extract(
            text,
            names,
            scorer=fuzz.WRatio,
            processor=utils.default_process,
            limit=3,
            score_cutoff=_SUGGESTION_SCORE_MIN,
        )
        meant = f" Did you mean {' or '.join(repr(name) for name, _, _ in near)}?" if near else ""
        raise UserError(
            f"run {run.short_id} has no company {text!r}.{meant} Give its domain, its full name, or its company id "
            f"(`python starter.py export {run.short_id} --rejected` lists the companies that are not delivered)"
        )
    if len(found) > 1:
        shown = "; ".join(
            f"{match.company_id} ({match.name}, {match.status.value})" for match in found[:_MATCHES_SHOWN_MAX]
        )
        raise UserError(f"{text!r} matches {len(found)} companies of run {run.short_id}: {shown}. Give the company id.")
    return found[0]
