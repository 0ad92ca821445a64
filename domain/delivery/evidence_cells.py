"""Evidence for every cell of the two files: quoted words, a rule, or a pipeline record.

Values are the same as in ``store/delivery/export_rows.py``.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from domain.company.facts import CompanyFacts, CompanyType
from domain.company.icp import IcpResult
from domain.contact.email_address import EmailStatus
from domain.contact.person import Person
from domain.contact.title_levels import Department, Seniority
from domain.delivery.columns import COMPANIES, CONTACTS, Basis, Column, FileKind
from domain.delivery.csv_files import cell
from domain.evidence import Evidence
from domain.frozen_model import FrozenModel

CellBasis = Literal["quoted", "computed", "recorded"]


class EvidenceCell(FrozenModel):
    """One cell of one file.

    Attributes:
        result_id: id of the quoted row in ``tool_results``.
        basis: ``quoted`` from a page, ``computed`` from proven facts, or ``recorded`` by the pipeline.
        rule: how the value was computed or recorded. For a quoted cell, how it follows from the quote.
    """

    file: FileKind
    company_name: str
    domain: str | None
    person: str | None = None
    column: str
    value: str
    quote: str | None = None
    url: str | None = None
    result_id: str | None = None
    basis: CellBasis
    rule: str | None = None

    @property
    def is_unproven(self) -> bool:
        return self.basis == "quoted" and self.quote is None


class ContactRecord(FrozenModel):
    person: Person
    department: Department
    seniority: Seniority
    quality_score: int
    created_at: datetime


class CompanyRecord(FrozenModel):
    """A stored company. ``icp`` is None before research. ``contacts`` are those to deliver, best first."""

    name: str
    domain: str | None
    website: str | None
    discovery_source: str
    named_by: Evidence
    created_at: datetime
    facts: CompanyFacts = CompanyFacts()
    icp: IcpResult | None = None
    contacts: tuple[ContactRecord, ...] = ()


class _Source(FrozenModel):
    """A cell's value and its evidence. ``basis`` and ``rule`` override the column's."""

    value: Any
    evidence: Evidence | None = None
    url: str | None = None
    basis: CellBasis | None = None
    rule: str | None = None


_BASIS: dict[Basis, CellBasis] = {Basis.FACT: "quoted", Basis.COMPUTED: "computed"}
_COMPANY_COLUMN = {column.name: column for column in COMPANIES}


def evidence_cells(company: CompanyRecord) -> list[EvidenceCell]:
    """Return every non-empty cell: the company's row in column order, then a row per contact, best first.

    After each ``email`` comes an ``email_status``, which is not a column of the file.
    """
    sources = _company_sources(company)
    cells = [_cell(company, column, sources[column.name]) for column in COMPANIES]
    for contact in company.contacts:
        name = contact.person.full_name
        row = _contact_sources(contact)
        for column in CONTACTS:
            if column.copied_from is not None:
                original = _COMPANY_COLUMN[column.copied_from]
                copied = original.model_copy(update={"file": column.file, "name": column.name})
                cells.append(_cell(company, copied, sources[original.name], name))
            else:
                cells.append(_cell(company, column, row[column.name], name))
            if column.name == "email":
                status = column.model_copy(update={"name": "email_status", "basis": Basis.COMPUTED})
                cells.append(_cell(company, status, row["email_status"], name))
    return [cell for cell in cells if cell.value]


def _cell(company: CompanyRecord, column: Column, source: _Source, person: str | None = None) -> EvidenceCell:
    basis = source.basis or _BASIS.get(column.basis, "recorded")
    evidence = source.evidence
    return EvidenceCell(
        file=column.file,
        company_name=company.name,
        domain=company.domain,
        person=person,
        column=column.name,
        value=cell(source.value),
        quote=evidence.quote if evidence else None,
        url=evidence.url if evidence else source.url,
        result_id=evidence.result_id if evidence else None,
        basis=basis,
        rule=source.rule or (None if basis == "quoted" else column.source),
    )


def _company_sources(company: CompanyRecord) -> Mapping[str, _Source]:
    facts, icp = company.facts, company.icp
    units, description = facts.units, facts.description
    known_type = None if facts.company_type is CompanyType.UNKNOWN else facts.company_type.value
    return {
        "company_name": _Source(value=company.name, evidence=company.named_by),
        "domain": _Source(value=company.domain, url=company.website, basis="recorded"),
        "website": _Source(value=company.website, url=company.website, basis="recorded"),
        "state": _Source(
            value=facts.places[0].state if facts.places else None,
            evidence=facts.place_evidence[0] if facts.place_evidence else None,
        ),
        "pms_detected": _Source(value=facts.pms, evidence=facts.pms_evidence),
        "units_estimate": _Source(
            value=units and units.value,
            evidence=units and units.evidence,
            rule="10 units for each current listing" if units and units.basis == "estimated" else None,
        ),
        "company_type": _Source(value=known_type, evidence=facts.company_type_evidence),
        "description": _Source(value=description and description.value, evidence=description and description.evidence),
        "discovery_source": _Source(value=company.discovery_source, url=company.discovery_source),
        "icp_fit": _Source(value=icp and icp.fit.value),
        "icp_tier": _Source(value=icp and icp.tier.value),
        "icp_confidence": _Source(value=icp and icp.confidence),
        "disqualifiers": _Source(value=icp and "; ".join(icp.disqualifiers)),
        "created_at": _Source(value=company.created_at),
    }


def _contact_sources(contact: ContactRecord) -> Mapping[str, _Source]:
    person = contact.person
    profile_rule = "the address is on the page of these words"
    email_url = person.email_evidence.url if person.email_evidence else None
    if person.email_basis is None:
        email = _Source(value=person.deliverable_email, evidence=person.email_evidence)
    else:
        rule = f"the company's pattern {person.email_basis}"
        email = _Source(value=person.deliverable_email, url=email_url, basis="computed", rule=rule)
    published = person.email_status is EmailStatus.PUBLISHED
    status_rule = "printed on the company's page, next to the name" if published else "result of the address check"
    return {
        "full_name": _Source(value=person.full_name, evidence=person.evidence),
        "title": _Source(value=person.title, evidence=person.evidence),
        "email": email,
        "email_status": _Source(
            value=person.deliverable_email and person.email_status.value,
            url=email_url,
            rule=f"{status_rule} (domain/contact/email_address.py, EmailStatus)",
        ),
        "linkedin_url": _Source(value=person.linkedin_url, evidence=person.linkedin_evidence, rule=profile_rule),
        "department": _Source(value=contact.department),
        "seniority": _Source(value=contact.seniority),
        "quality_score": _Source(value=contact.quality_score),
        "personalization_notes": _Source(value=person.note, evidence=person.note_evidence),
        "created_at": _Source(value=contact.created_at),
    }
