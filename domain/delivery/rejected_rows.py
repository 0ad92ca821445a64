"""The file of companies that a run did not deliver, and why."""

from typing import Any

from domain.company.facts import CompanyFacts
from domain.company.status import CompanyStatus, ReasonCode
from domain.delivery.csv_files import CsvFile, render_csv
from domain.evidence import Evidence
from domain.frozen_model import FrozenModel

REJECTED_COLUMNS = ("company_name", "website", "state", "status", "reason", "failing_criterion", "why", "quote", "url")
NOT_DELIVERED = (
    CompanyStatus.REJECTED,
    CompanyStatus.NEEDS_REVIEW,
    CompanyStatus.FAILED,
    CompanyStatus.DUPLICATE,
    CompanyStatus.SUPPRESSED,
)

_SENTENCES = {
    ReasonCode.NO_OWN_DOMAIN: "no site of its own was found",
    ReasonCode.SITE_DEAD: "its site does not answer",
    ReasonCode.SITE_BLOCKED: "its site blocks us",
    ReasonCode.CONTACTS_SHORT: "too few reachable decision makers",
    ReasonCode.NO_RESEARCH: "its pages could not be researched",
    ReasonCode.STEP_FAILED: "an activity failed permanently; the run continued without this company",
}


class EndedCompany(FrozenModel):
    name: str
    website: str | None
    status: CompanyStatus
    reason: ReasonCode | None
    reason_detail: str
    duplicate_of: str | None
    facts: CompanyFacts = CompanyFacts()


def render_rejected(name: str, companies: list[EndedCompany]) -> CsvFile:
    return render_csv(name, REJECTED_COLUMNS, [rejected_row(company) for company in companies])


def rejected_row(company: EndedCompany) -> dict[str, Any]:
    """Return a company's row by column. The row never shows which suppression list or entry matched."""
    criterion = failing_criterion(company.reason)
    evidence = _evidence_for(criterion, company)
    return {
        "company_name": company.name,
        "website": company.website,
        "state": company.facts.places[0].state if company.facts.places else None,
        "status": company.status.value,
        "reason": company.reason,
        "failing_criterion": criterion,
        "why": _why(company),
        "quote": evidence and evidence.quote,
        "url": evidence and evidence.url,
    }


def failing_criterion(reason: ReasonCode | None) -> str | None:
    """Return the key of the failed criterion, or ``icp``. None for other reasons."""
    if reason is ReasonCode.ICP_DISQUALIFIED:
        return "icp"
    for ending in ("_not_met", "_unknown"):
        if reason is not None and reason.endswith(ending):
            return reason.removesuffix(ending)
    return None


def _why(company: EndedCompany) -> str:
    if company.status is CompanyStatus.SUPPRESSED:
        return "on a list of companies that are never delivered"
    if company.status is CompanyStatus.DUPLICATE:
        return f"the same company as {company.duplicate_of or 'another one of the run'}"
    sentence = _SENTENCES.get(company.reason) if company.reason else None
    return ": ".join(filter(None, (sentence, company.reason_detail)))


def _evidence_for(criterion: str | None, company: EndedCompany) -> Evidence | None:
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
            return _disqualifier_evidence(company)
        case _:
            return None


def _disqualifier_evidence(company: EndedCompany) -> Evidence | None:
    facts, first = company.facts, company.reason_detail.partition(",")[0]
    if first == "defunct":
        return facts.closed_evidence
    if first in {"no_active_management", "brokerage_only"}:
        return facts.manages_evidence
    return facts.company_type_evidence
