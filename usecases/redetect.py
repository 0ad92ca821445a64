"""Detect the software of stored companies again, from their stored pages, after a rule has changed. Nothing is fetched.

- A delivered company of a completed run does not change.
- Any other company of a completed run gets new facts and keeps its verdicts.
- A company of any other run gets new facts, verdicts and grade, and keeps its status.
- The research cache (``known_companies``) gets the new detection if it holds this company's reading of the site.

Claims on portal accounts stay. An activity that researches the company at the same time overwrites the new facts. Run the
command again to restore them.
"""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict

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
from store.companies import redetect, research_cache
from store.companies.redetect import StoredCompany, StoredPage
from store.database import Connection
from store.runs import audit
from store.tools import tool_results


class Redetection(BaseModel):
    """A company whose detection has changed, or that lacks a stored page.

    Attributes:
        before, after: the software in words. ``after`` is None if it could not be detected again.
        done: what was done, or would be in a dry run.
        note: how the company would end now, if that differs.
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
        parts = (f"{self.before} → {self.after}" if self.after else self.before, self.done, self.note)
        return f"{self.company} (run {str(self.run_id)[:8]}): {'; '.join(part for part in parts if part)}"


async def redetect_companies(
    conn: Connection, run_id: UUID | None, *, dry_run: bool
) -> AsyncIterator[Redetection | None]:
    """Detect again for a run's companies (None: of all runs). Yields None for an unchanged company.

    Idempotent. ``conn`` is in autocommit, and each company has its own transaction.
    """
    await redetect.create_page_index(conn, run_id)
    async for company in redetect.stored_companies(conn, run_id):
        pages = await _stored_pages(conn, company)
        if pages is None:
            yield _redetection(company, None, "unchanged: not all pages it was judged from are stored")
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
        if _software(facts) == _software(company.facts):
            yield None
        elif dry_run:
            yield _redetection(company, facts, _done(company), _note(company, facts))
        else:
            yield await _store(conn, company, detection, read)


async def _stored_pages(conn: Connection, company: StoredCompany) -> list[StoredPage] | None:
    """Return the newest stored copy of each page that the company was judged from, or None if one is missing."""
    stored = await redetect.pages_read_at(conn, company.page_urls)
    # Count only pages requested on the company's own site. Two companies may lead to one URL, such as a vendor's sign-in page.
    own = [page for page in stored if registrable_domain(page.url) in company.own_domains]
    pages = [next((page for page in own if page.final_url == url), None) for url in company.page_urls]
    found = [page for page in pages if page is not None]
    return found if found and len(found) == len(pages) else None


async def _store(
    conn: Connection, company: StoredCompany, detection: PmsDetection, read: list[ReadPage]
) -> Redetection:
    async with conn.transaction():
        now = await redetect.lock_company(conn, company)
        if now.page_urls != company.page_urls:
            return _redetection(now, None, "unchanged: its pages have just been read again")
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


def _software(facts: CompanyFacts) -> tuple[object, ...]:
    """Return the software and its evidence. The result id is left out, because a newer copy of a page has another one."""
    proof = facts.pms_evidence
    return facts.pms_status, facts.pms, facts.pms_slug, facts.pms_reason, proof and (proof.url, proof.quote)


def _in_words(facts: CompanyFacts) -> str:
    if facts.pms_status == "detected":
        return f"{facts.pms} ({facts.pms_slug})" if facts.pms_slug else str(facts.pms)
    return f"{facts.pms_status} ({facts.pms_reason})" if facts.pms_reason else facts.pms_status


def _done(company: StoredCompany) -> str:
    if company.delivered:
        return "unchanged: delivered"
    return "facts stored" if company.run_status is RunStatus.COMPLETED else "facts stored, judged again"


def _note(company: StoredCompany, facts: CompanyFacts) -> str:
    """Say how the company would end now, if that differs from how it ended."""
    if company.status is CompanyStatus.FOUND:
        is_open = company.run_status in (RunStatus.ACTIVE, RunStatus.NEEDS_USER_DECISION)
        return "its next activity decides" if is_open else ""
    if company.status not in (CompanyStatus.COMPLETE, CompanyStatus.REJECTED, CompanyStatus.NEEDS_REVIEW):
        return ""
    icp = grade_for_criteria(company.criteria, facts) if company.researched else None
    verdicts = judge_criteria(company.criteria, facts, icp)
    if not company.researched:
        verdicts = tuple(verdict for verdict in verdicts if verdict.criterion in SETTLED_BEFORE_RESEARCH)
    decided = combine_verdicts(company.criteria, verdicts, icp, final=True)
    if decided.status is CompanyStatus.FOUND:
        return "" if company.status is CompanyStatus.COMPLETE else f"ended as {company.reason}, would now continue"
    return "" if decided.reason is company.reason else f"ended as {company.reason}, would now end as {decided.reason}"


def _redetection(company: StoredCompany, facts: CompanyFacts | None, done: str, note: str = "") -> Redetection:
    before, after = _in_words(company.facts), None if facts is None else _in_words(facts)
    return Redetection(
        company_id=company.company_id,
        run_id=company.run_id,
        company=company.name,
        before=before,
        after=f"{after}, with other evidence" if after == before else after,
        done=done,
        note=note,
    )
