"""Finding the company of a run that a person means: by own domain, name, or id."""

from rapidfuzz import fuzz, process, utils

from runtime.process import UserError
from store.companies import companies
from store.database import Connection
from store.delivery import evidence
from store.delivery.evidence import CompanyMatch
from store.runs.runs import RunRow

_SHOWN_MAX = 5
_LIKE_ENOUGH = 60.0  # of 100: what a person may have meant, to be shown and never taken


async def find_company(conn: Connection, run: RunRow, text: str) -> CompanyMatch:
    """The company of a run that a text names, whatever its status.

    Raises:
        UserError: no company, or several, are meant.
    """
    found = await evidence.find_companies(conn, run.run_id, text)
    short = str(run.run_id)[:8]
    if not found:
        names = sorted({name for name, _ in await companies.mentions(conn, run.run_id)})
        near = process.extract(
            text, names, scorer=fuzz.WRatio, processor=utils.default_process, limit=3, score_cutoff=_LIKE_ENOUGH
        )
        meant = f"; did you mean {' or '.join(repr(name) for name, _, _ in near)}?" if near else ""
        raise UserError(
            f"run {short} has no company {text!r}{meant} Give its domain, its whole name, or its company id "
            f"(`python starter.py export {short} --rejected` writes those that are not delivered)"
        )
    if len(found) > 1:
        shown = "; ".join(f"{match.company_id} ({match.name}, {match.status.value})" for match in found[:_SHOWN_MAX])
        raise UserError(f"{text!r} names {len(found)} companies of run {short}: {shown}. Give the company id.")
    return found[0]
