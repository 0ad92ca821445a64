"""What every cell of the two files rests on: quoted words, a rule of ours, or what was written down (DESIGN, promise 3).

Pure. The values are those that ``store/delivery/export_rows.py`` puts into the files, the columns and their text those of
``csv_files.py``. A fact without evidence is shown as a fact without evidence; nothing is made up here.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from domain.company.facts import CompanyFacts, CompanyType
from domain.company.icp import IcpResult
from domain.contact.email_address import EmailStatus
from domain.contact.person import Person
from domain.contact.title_levels import Department, Seniority
from domain.delivery.csv_files import COMPANY_COLUMNS, CONTACT_COLUMNS, cell
from domain.evidence import Evidence

EMAIL_STATUS = "email_status"
"""Not a column of the contacts file; it says how well the address in ``email`` is proven (DOMAIN's ladder)."""


class EvidenceCell(BaseModel):
    """One cell of one of the files.

    Attributes:
        person: whose row it is, in the contacts file.
        value: the cell's text, character by character as the file has it.
        quote, url, result_id: words that code has found again, the page they stand on, and its row in ``tool_results``.
        basis: ``quoted`` from a page; ``computed`` from proven facts; ``recorded`` by the pipeline itself.
        rule: what computed or recorded it; for a quoted cell, how the value follows from the words.
    """

    model_config = ConfigDict(frozen=True)

    file: Literal["companies", "contacts"]
    company_name: str
    domain: str | None
    person: str | None = None
    column: str
    value: str
    quote: str | None = None
    url: str | None = None
    result_id: str | None = None
    basis: Literal["quoted", "computed", "recorded"]
    rule: str | None = None

    @property
    def is_unproven(self) -> bool:
        """Whether this is a fact without the words that it should rest on."""
        return self.basis == "quoted" and self.quote is None


class ContactRecord(BaseModel):
    """A person to deliver, with what was computed when the person was stored."""

    model_config = ConfigDict(frozen=True)

    person: Person
    department: Department
    seniority: Seniority
    quality_score: int
    created_at: datetime


class CompanyRecord(BaseModel):
    """A company as stored: what its cells are made from.

    Attributes:
        named_by: where a source named the company.
        icp: None before it was researched.
        contacts: the people to deliver, best first.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    domain: str | None
    website: str | None
    discovery_source: str
    named_by: Evidence
    created_at: datetime
    facts: CompanyFacts = CompanyFacts()
    icp: IcpResult | None = None
    contacts: tuple[ContactRecord, ...] = ()


class _Ground(BaseModel):
    """A cell's value and what it rests on, before it is placed in a file."""

    model_config = ConfigDict(frozen=True)

    value: Any
    basis: Literal["quoted", "computed", "recorded"]
    evidence: Evidence | None = None
    url: str | None = None
    rule: str | None = None


def evidence_cells(company: CompanyRecord) -> list[EvidenceCell]:
    """Every cell that is not empty: the company's row in column order, then each contact's row, best contact first.

    After a contact's ``email`` stands an ``email_status``.
    """
    grounds = _company_grounds(company)
    cells = _placed(company, "companies", COMPANY_COLUMNS, grounds, None)
    for contact in company.contacts:
        row = _contact_grounds(contact) | {
            "company_name": grounds["company_name"],
            "company_domain": grounds["domain"],
            "company_website": grounds["website"],
            "company_state": grounds["state"],
        }
        cells += _placed(company, "contacts", _CONTACT_CELLS, row, contact.person.full_name)
    return cells


_CONTACT_CELLS = tuple(
    name for column in CONTACT_COLUMNS for name in ((column, EMAIL_STATUS) if column == "email" else (column,))
)


def _placed(
    company: CompanyRecord,
    file: Literal["companies", "contacts"],
    columns: tuple[str, ...],
    grounds: Mapping[str, _Ground],
    person: str | None,
) -> list[EvidenceCell]:
    return [
        EvidenceCell(
            file=file,
            company_name=company.name,
            domain=company.domain,
            person=person,
            column=column,
            value=text,
            quote=ground.evidence.quote if ground.evidence else None,
            url=ground.evidence.url if ground.evidence else ground.url,
            result_id=ground.evidence.result_id if ground.evidence else None,
            basis=ground.basis,
            rule=ground.rule,
        )
        for column in columns
        for ground in (grounds[column],)
        if (text := cell(ground.value))
    ]


_FIT_RULE = "company_type, whether it manages for owners and whether it has closed (domain/company/icp.py)"


def _company_grounds(company: CompanyRecord) -> dict[str, _Ground]:
    facts, icp = company.facts, company.icp
    units, description = facts.units, facts.description
    known_type = None if facts.company_type is CompanyType.UNKNOWN else facts.company_type.value
    counted = "10 units for each current listing" if units and units.basis == "estimated" else None
    return {
        "company_name": _quoted(company.name, company.named_by),
        "domain": _recorded(company.domain, "the registrable domain of the site that was read", company.website),
        "website": _recorded(company.website, "the company's own site, as it was read", company.website),
        "state": _quoted(
            facts.places[0].state if facts.places else None, facts.place_evidence[0] if facts.place_evidence else None
        ),
        "pms_detected": _quoted(facts.pms, facts.pms_evidence),
        "units_estimate": _quoted(units.value if units else None, units.evidence if units else None, counted),
        "company_type": _quoted(known_type, facts.company_type_evidence),
        "description": _quoted(
            description.value if description else None, description.evidence if description else None
        ),
        "discovery_source": _recorded(
            company.discovery_source, "the page that named the company", company.discovery_source
        ),
        "icp_fit": _computed(icp and icp.fit.value, _FIT_RULE),
        "icp_tier": _computed(
            icp and icp.tier.value,
            "points for company_type, units, software, employees and website vendor, less soft criteria not met (domain/company/icp.py)",
        ),
        "icp_confidence": _computed(
            icp and float(icp.confidence), "share of these signals' weight that is known (domain/company/icp.py)"
        ),
        "disqualifiers": _computed(
            icp and ("; ".join(icp.disqualifiers) or None),
            _FIT_RULE,
        ),
        "created_at": _recorded(company.created_at, "when the company was stored"),
    }


def _contact_grounds(contact: ContactRecord) -> dict[str, _Ground]:
    person = contact.person
    return {
        "full_name": _quoted(person.full_name, person.evidence),
        "title": _quoted(person.title, person.evidence),
        "email": _email(person),
        EMAIL_STATUS: _email_status(person),
        "linkedin_url": _quoted(
            person.linkedin_url, person.linkedin_evidence, "the address stands on the page of these words"
        ),
        "department": _computed(contact.department, "the title (domain/contact/title_levels.py)"),
        "seniority": _computed(contact.seniority, "the title (domain/contact/title_levels.py)"),
        "quality_score": _computed(
            contact.quality_score, "the title's level, reach and evidence (domain/contact/contact_selection.py)"
        ),
        "personalization_notes": _quoted(person.note, person.note_evidence),
        "created_at": _recorded(contact.created_at, "when the person was stored"),
    }


def _email(person: Person) -> _Ground:
    """An address that a page prints is quoted; one that no page prints rests on a pattern, which ``email_basis`` names."""
    if person.email_basis is None:
        return _quoted(person.deliverable_email, person.email_evidence)
    url = person.email_evidence.url if person.email_evidence else None
    return _computed(person.deliverable_email, f"the company's pattern {person.email_basis}", url)


def _email_status(person: Person) -> _Ground:
    if person.deliverable_email is None:
        return _computed(None, "")
    published = person.email_status is EmailStatus.PUBLISHED
    rule = "the address stands on the company's page, next to the name" if published else "what a check of it said"
    url = person.email_evidence.url if person.email_evidence else None
    return _computed(person.email_status.value, f"{rule} (domain/contact/email_address.py, EmailStatus)", url)


def _quoted(value: object, evidence: Evidence | None, rule: str | None = None) -> _Ground:
    return _Ground(value=value, basis="quoted", evidence=evidence, rule=rule)


def _computed(value: object, rule: str, url: str | None = None) -> _Ground:
    return _Ground(value=value, basis="computed", rule=rule, url=url)


def _recorded(value: object, rule: str, url: str | None = None) -> _Ground:
    return _Ground(value=value, basis="recorded", rule=rule, url=url)
