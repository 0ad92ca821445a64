"""The companies that a run does not deliver, and why: the rows of the third file, for a person to look over. Pure."""

import csv
import io
from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.company.facts import CompanyFacts
from domain.company.status import CompanyStatus, ReasonCode
from domain.delivery.csv_files import CsvFile, cell
from domain.evidence import Evidence

REJECTED_COLUMNS = (
    "company_name",
    "website",
    "state",
    "status",
    "reason",
    "failing_criterion",
    "why",
    "quote",
    "url",
)
NOT_DELIVERED = (
    CompanyStatus.REJECTED,
    CompanyStatus.NEEDS_REVIEW,
    CompanyStatus.FAILED,
    CompanyStatus.DUPLICATE,
    CompanyStatus.SUPPRESSED,
)
"""Ends of a company that put it into this file."""

_SENTENCES = {
    ReasonCode.NO_OWN_DOMAIN: "no site of its own was found",
    ReasonCode.SITE_DEAD: "its site does not answer",
    ReasonCode.SITE_BLOCKED: "its site does not let us read it",
    ReasonCode.CONTACTS_SHORT: "too few decision makers who can be reached",
    ReasonCode.NO_RESEARCH: "its pages could not be researched",
    ReasonCode.STEP_FAILED: "a step failed for good; the run went on without it",
}


class EndedCompany(BaseModel):
    """A company that ended without being delivered.

    Attributes:
        duplicate_of: name of the company that it is the same as.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    website: str | None
    status: CompanyStatus
    reason: ReasonCode | None
    reason_detail: str
    duplicate_of: str | None
    facts: CompanyFacts = CompanyFacts()


def rejected_row(company: EndedCompany) -> dict[str, Any]:
    """A row keyed by column. Of a suppressed company it says that it is one, never which list or entry names it."""
    criterion = failing_criterion(company.reason)
    evidence = _evidence_for(criterion, company)
    return {
        "company_name": company.name,
        "website": company.website,
        "state": company.facts.places[0].state if company.facts.places else None,
        "status": company.status.value,
        "reason": company.reason.value if company.reason else None,
        "failing_criterion": criterion,
        "why": _why(company),
        "quote": evidence.quote if evidence else None,
        "url": evidence.url if evidence else None,
    }


def failing_criterion(reason: ReasonCode | None) -> str | None:
    """The criterion that a company failed by: a criterion's key, ``icp``, or None where it ended for something else."""
    if reason is ReasonCode.ICP_DISQUALIFIED:
        return "icp"
    for ending in ("_not_met", "_unknown"):
        if reason is not None and reason.endswith(ending):
            return reason.removesuffix(ending)
    return None


def render_rejected(name: str, companies: list[EndedCompany]) -> CsvFile:
    """The file: UTF-8, LF, minimal quoting, cells that a spreadsheet takes for no formula (DOMAIN, "The two files")."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow(REJECTED_COLUMNS)
    for company in companies:
        row = rejected_row(company)
        writer.writerow([cell(row[column]) for column in REJECTED_COLUMNS])
    return CsvFile(name=name, content=buffer.getvalue().encode("utf-8"), rows=len(companies))


def _why(company: EndedCompany) -> str:
    if company.status is CompanyStatus.SUPPRESSED:
        return "on a list of companies that are never delivered"
    if company.status is CompanyStatus.DUPLICATE:
        return f"the same company as {company.duplicate_of or 'another one of the run'}"
    sentence = _SENTENCES.get(company.reason) if company.reason else None
    if sentence is None:
        return company.reason_detail
    return f"{sentence}: {company.reason_detail}" if company.reason_detail else sentence


def _evidence_for(criterion: str | None, company: EndedCompany) -> Evidence | None:
    """The words that decided a criterion, where words did. A grade is computed, and what is unknown has no words."""
    facts = company.facts
    match criterion:
        case "pms" | "pms_exclude":
            return facts.pms_evidence
        case "place":
            return facts.place_evidence[0] if facts.place_evidence else None
        case "units":
            return facts.units.evidence if facts.units else None
        case "company_types":
            return facts.company_type_evidence
        case "icp":
            return _evidence_against(company)
        case _:
            return None


def _evidence_against(company: EndedCompany) -> Evidence | None:
    """The words behind the first disqualifier (``domain/company/icp.py`` lists them, and the detail of the end is that list)."""
    facts, first = company.facts, company.reason_detail.partition(",")[0]
    if first == "defunct":
        return facts.closed_evidence
    if first in {"no_active_management", "brokerage_only"}:
        return facts.manages_evidence
    return facts.company_type_evidence
