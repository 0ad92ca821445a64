"""``starter.py redetect``: the software of stored companies detected anew from their stored pages, after a rule has changed.

Needs the database alone; nothing is fetched. What is written follows from who owns the row:

- a company delivered by a completed run is left as it is: a delivered row does not change behind a person's back;
- what is known of the company beyond the runs (``known_companies``) gets the new detection in either case, where the pages are
  those of its last reading: it is delivered to nobody;
- any other company of a completed run gets the new facts, and keeps the verdicts it was judged by;
- a company of a run that is not completed gets new facts, verdicts and grade. Where it stands in the run is the workflow's to
  say: an open company is decided by its next step, and of one that has ended otherwise than it now would, the command tells.

Identity keys that a run has claimed (portal accounts) stay. A step that researches a company at the same moment writes the facts
it began with; run again, the command finds the difference.
"""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID, uuid4

import typer
from pydantic import BaseModel, ConfigDict
from rich.console import Console

from cli.follow import print_json
from domain.company.criteria_verdicts import (
    SETTLED_BEFORE_RESEARCH,
    combine_verdicts,
    grade_for_criteria,
    judge_criteria,
)
from domain.company.facts import CompanyFacts
from domain.company.hosts import registrable_domain
from domain.company.pms_detection import PmsDetection, SitePage
from domain.company.status import CompanyStatus
from domain.request.progress import RunStatus
from pms.detect import detect_pms
from pms.facts import ReadPage, apply_detection
from runtime.process import UserError, load_settings, run_async
from runtime.services import open_database
from store.companies import redetect, research_cache
from store.companies.redetect import StoredCompany, StoredPage
from store.database import Connection
from store.runs import audit
from store.tools import tool_results
from usecases.find_run import find_run

_SOFTWARE = ("pms_status", "pms", "pms_slug", "pms_reason")


class Redetection(BaseModel):
    """One company of which the detection now says something else, or whose pages are not all stored.

    Attributes:
        before, after: the software in words; ``after`` is None when it cannot be detected anew.
        done: what is (or, in a dry run, would be) done about it.
        note: where the company has ended otherwise than it now would.
    """

    model_config = ConfigDict(frozen=True)

    company_id: UUID
    run_id: UUID
    company: str
    before: str
    after: str | None
    done: str
    note: str = ""

    def line(self) -> str:
        """The same for a person."""
        parts = (f"{self.before} → {self.after}" if self.after else self.before, self.done, self.note)
        return f"{self.company} (run {str(self.run_id)[:8]}): {'; '.join(part for part in parts if part)}"


def redetect_command(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Run id, its first 8 characters, or the workflow id.")
    ] = None,
    every_run: Annotated[bool, typer.Option("--all", help="The companies of every run.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")
    ] = False,
) -> None:
    """Detect the software of stored companies anew, from their stored pages. Delivered rows are left as they are."""
    if (run is None) is not every_run:
        raise UserError("name one run, or say --all for the companies of every run")
    console = Console(quiet=as_json)

    async def work() -> int:
        counts = {"checked": 0, "as_before": 0, "changed": 0, "without_pages": 0}
        found: list[Redetection] = []
        async with open_database(load_settings()) as conn:
            run_id = (await find_run(conn, run)).run_id if run is not None else None
            async for outcome in redetect_companies(conn, run_id, dry_run=dry_run):
                counts["checked"] += 1
                if outcome is None:
                    counts["as_before"] += 1
                    continue
                counts["changed" if outcome.after is not None else "without_pages"] += 1
                console.print(outcome.line(), markup=False, highlight=False, soft_wrap=True)
                if as_json:
                    found.append(outcome)
        if as_json:
            print_json({"dry_run": dry_run, **counts, "companies": [item.model_dump(mode="json") for item in found]})
        console.print(
            f"{counts['checked']} companies: {counts['as_before']} as before, {counts['changed']} changed, "
            f"{counts['without_pages']} without their pages.{' Nothing was written (--dry-run).' if dry_run else ''}",
            soft_wrap=True,
        )
        return 0

    raise typer.Exit(run_async(work()))


async def redetect_companies(
    conn: Connection, run_id: UUID | None, *, dry_run: bool
) -> AsyncIterator[Redetection | None]:
    """Detect anew for the companies of a run (None: of all), one after the other; None for one that stays as it is.

    Safe to run at any time and twice. ``conn`` is in autocommit: each company is a transaction of its own.
    """
    await redetect.create_page_index(conn, run_id)
    async for company in redetect.stored_companies(conn, run_id):
        pages = await _stored_pages(conn, company)
        if pages is None:
            yield _redetection(company, None, "left as it is: not all pages it was judged from are stored")
            continue
        site_pages = [
            SitePage(
                url=page.url,
                final_url=page.final_url,
                html=await tool_results.load_body(conn, page.page_hash),
                redirects=page.redirects,
            )
            for page in pages
        ]
        detection = detect_pms(site_pages)
        read = [ReadPage(page.result_id, page.url, page.final_url) for page in pages]
        facts = apply_detection(company.facts, detection, read)
        if _said(facts) == _said(company.facts):
            yield None
        elif dry_run:
            yield _redetection(company, facts, _done(company), _note(company, facts))
        else:
            yield await _stored_anew(conn, company, detection, read)


async def _stored_pages(conn: Connection, company: StoredCompany) -> list[StoredPage] | None:
    """The newest stored result of each page the company was judged from; None when one is missing.

    Two companies may lead to one address (a vendor's sign-in page): only what was asked for on the company's own site counts.
    """
    stored = await redetect.pages_read_at(conn, company.page_urls)
    own = [page for page in stored if registrable_domain(page.url) in company.own_domains]
    pages = [next((page for page in own if page.final_url == url), None) for url in company.page_urls]
    found = [page for page in pages if page is not None]
    return found if found and len(found) == len(pages) else None


async def _stored_anew(
    conn: Connection, company: StoredCompany, detection: PmsDetection, read: list[ReadPage]
) -> Redetection:
    """Write the detection of one company, as far as it may be; a transaction of its own."""
    async with conn.transaction():
        now = await redetect.lock_company(conn, company)
        if now.page_urls != company.page_urls:
            return _redetection(now, None, "left as it is: it has just been read anew")
        facts = apply_detection(now.facts, detection, read)
        await research_cache.update_cached_software(conn, now.company_id, facts)
        if not now.delivered:
            judged = None
            if now.run_status is not RunStatus.COMPLETED:
                icp = grade_for_criteria(now.criteria, facts) if now.researched else None
                judged = (judge_criteria(now.criteria, facts, icp), icp)
            await redetect.save_detection(conn, now.company_id, facts, judged)
            await audit.record(
                conn,
                now.run_id,
                "pms_redetected",
                f"{now.company_id}/{uuid4()}",
                actor="command line",
                company_id=now.company_id,
                detail={"before": _in_words(now.facts), "after": _in_words(facts)},
            )
    return _redetection(now, facts, _done(now), _note(now, facts))


def _said(facts: CompanyFacts) -> tuple[object, ...]:
    """What the facts say of the software, and the words it rests on; a newer copy of the same page says the same."""
    proof = facts.pms_evidence
    return (*(getattr(facts, name) for name in _SOFTWARE), proof and (proof.url, proof.quote))


def _in_words(facts: CompanyFacts) -> str:
    if facts.pms_status == "detected":
        return f"{facts.pms} ({facts.pms_slug})" if facts.pms_slug else str(facts.pms)
    return f"{facts.pms_status} ({facts.pms_reason})" if facts.pms_reason else facts.pms_status


def _done(company: StoredCompany) -> str:
    if company.delivered:
        return "left as it is: delivered"
    return "facts stored" if company.run_status is RunStatus.COMPLETED else "facts stored, judged anew"


def _note(company: StoredCompany, facts: CompanyFacts) -> str:
    """How the company would end now, where it has ended otherwise: the run is not changed for it."""
    if company.status is CompanyStatus.FOUND:
        under_way = company.run_status in (RunStatus.ACTIVE, RunStatus.NEEDS_USER_DECISION)
        return "its next step decides" if under_way else ""
    if company.status not in (CompanyStatus.COMPLETE, CompanyStatus.REJECTED, CompanyStatus.NEEDS_REVIEW):
        return ""
    icp = grade_for_criteria(company.criteria, facts) if company.researched else None
    verdicts = judge_criteria(company.criteria, facts, icp)
    if not company.researched:
        verdicts = tuple(verdict for verdict in verdicts if verdict.criterion in SETTLED_BEFORE_RESEARCH)
    decided = combine_verdicts(company.criteria, verdicts, icp, final=True)
    if decided.status is CompanyStatus.FOUND:
        return "" if company.status is CompanyStatus.COMPLETE else f"ended as {company.reason}, would now go on"
    return "" if decided.reason is company.reason else f"ended as {company.reason}, would now end as {decided.reason}"


def _redetection(company: StoredCompany, facts: CompanyFacts | None, done: str, note: str = "") -> Redetection:
    before, after = _in_words(company.facts), None if facts is None else _in_words(facts)
    return Redetection(
        company_id=company.company_id,
        run_id=company.run_id,
        company=company.name,
        before=before,
        after=f"{after}, on other evidence" if after == before else after,
        done=done,
        note=note,
    )
