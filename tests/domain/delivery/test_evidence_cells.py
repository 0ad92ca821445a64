"""What each cell of the two files rests on."""

from datetime import UTC, datetime

from domain.company.facts import CompanyFacts, CompanyType, TextEvidence, UnitsEvidence
from domain.company.icp import grade_icp
from domain.company.places import Place
from domain.company.pms_vendors import PmsVendor
from domain.contact.email_address import EmailStatus
from domain.contact.mail_domain import MailReason
from domain.contact.person import Person
from domain.delivery.columns import COMPANY_COLUMNS, CONTACT_COLUMNS
from domain.delivery.evidence_cells import CompanyRecord, ContactRecord, EvidenceCell, evidence_cells
from domain.evidence import Evidence

AT = datetime(2026, 11, 23, 11, 15, 10, tzinfo=UTC)


def words(quote: str) -> Evidence:
    return Evidence(result_id=f"r-{quote}", url=f"http://acme.example/{quote}", quote=quote)


FACTS = CompanyFacts(
    places=(Place(city="Austin", state="TX", zip="78701"), Place(city="Tulsa", state="OK", zip=None)),
    place_evidence=(words("austin"), words("tulsa")),
    pms_status="detected",
    pms=PmsVendor.BUILDIUM,
    pms_evidence=words("portal"),
    company_type=CompanyType.HOA,
    company_type_evidence=words("associations"),
    units=UnitsEvidence(value=250, basis="estimated", evidence=words("25-homes")),
    description=TextEvidence(value="Since 1990.", evidence=words("since-1990")),
)
OWNER = Person(
    full_name="Olive Reed",
    title="Owner",
    email="olive@acme.example",
    email_status=EmailStatus.PUBLISHED,
    linkedin_url="https://www.linkedin.com/in/olive",
    note="Founded the firm",
    evidence=words("olive-owner"),
    email_evidence=words("olive-mail"),
    linkedin_evidence=words("olive-owner"),
    note_evidence=words("founded"),
)
ACME = CompanyRecord(
    name="=Acme & Co",
    domain="acme.example",
    website="http://acme.example/",
    discovery_source="http://list.example/",
    named_by=words("list"),
    created_at=AT,
    facts=FACTS,
    icp=grade_icp(FACTS),
    contacts=(
        ContactRecord(person=OWNER, department="leadership", seniority="owner", quality_score=100, created_at=AT),
    ),
)


def by_column(company: CompanyRecord, file: str) -> dict[str, EvidenceCell]:
    return {cell.column: cell for cell in evidence_cells(company) if cell.file == file}


def test_cells_follow_the_column_order() -> None:
    assert tuple(by_column(ACME, "companies")) == COMPANY_COLUMNS
    assert tuple(name for name in by_column(ACME, "contacts") if name != "email_status") == CONTACT_COLUMNS
    assert {cell.person for cell in evidence_cells(ACME) if cell.file == "contacts"} == {"Olive Reed"}


def test_each_fact_has_its_own_quote_page_and_result() -> None:
    company, contact = by_column(ACME, "companies"), by_column(ACME, "contacts")
    quoted = {name: cell.quote for name, cell in (company | contact).items() if cell.basis == "quoted"}
    assert quoted == {
        "company_name": "list",
        "state": "austin",
        "pms_detected": "portal",
        "units_estimate": "25-homes",
        "company_type": "associations",
        "description": "since-1990",
        "full_name": "olive-owner",
        "title": "olive-owner",
        "email": "olive-mail",
        "linkedin_url": "olive-owner",
        "company_state": "austin",
        "personalization_notes": "founded",
    }
    for cell in (*company.values(), *contact.values()):
        if cell.basis == "quoted":
            assert (cell.url, cell.result_id) == (f"http://acme.example/{cell.quote}", f"r-{cell.quote}")


def test_computed_and_recorded_cells_have_a_rule_and_no_quote() -> None:
    cells = [cell for cell in evidence_cells(ACME) if cell.basis != "quoted"]
    assert all(cell.rule and cell.quote is None for cell in cells)
    assert {cell.column for cell in cells if cell.basis == "computed"} == {
        "icp_fit", "icp_tier", "icp_confidence", "disqualifiers", "email_status", "department", "seniority", "quality_score",
    }  # fmt: skip
    assert by_column(ACME, "companies")["website"].url == "http://acme.example/"


def test_estimated_units_have_a_rule() -> None:
    assert by_column(ACME, "companies")["units_estimate"].rule == "10 units for each current listing"
    stated = FACTS.model_copy(update={"units": UnitsEvidence(value=9, basis="stated", evidence=words("9-doors"))})
    assert by_column(ACME.model_copy(update={"facts": stated}), "companies")["units_estimate"].rule is None


def test_values_are_the_text_of_the_file() -> None:
    company = by_column(ACME, "companies")
    assert company["company_name"].value == "'=Acme & Co", "escaped, as in the file"
    assert company["created_at"].value == "2026-11-23T11:15:10Z"
    assert by_column(ACME, "contacts")["email_status"].value == "published"


def test_fact_without_evidence_is_shown_as_unproven() -> None:
    bare = CompanyFacts(company_type=CompanyType.SINGLE_FAMILY)
    unknown = ACME.model_copy(update={"facts": bare, "icp": None, "domain": None, "website": None})
    cells = by_column(unknown, "companies")
    assert set(cells) == {"company_name", "company_type", "discovery_source", "created_at"}
    assert [name for name, cell in cells.items() if cell.is_unproven] == ["company_type"]
    assert (cells["company_type"].quote, cells["company_type"].url) == (None, None)


def test_contact_without_email_has_no_email_status() -> None:
    caller = ContactRecord(
        person=OWNER.model_copy(update={"email": None, "note": None}),
        department="leadership",
        seniority="owner",
        quality_score=70,
        created_at=AT,
    )
    cells = by_column(ACME.model_copy(update={"contacts": (caller,)}), "contacts")
    assert not {"email", "email_status", "personalization_notes"} & set(cells)


def test_inferred_email_is_computed_and_refused_one_omitted() -> None:
    def cells_of(**changes: object) -> dict[str, EvidenceCell]:
        contact = ACME.contacts[0].model_copy(update={"person": OWNER.model_copy(update=changes)})
        return by_column(ACME.model_copy(update={"contacts": (contact,)}), "contacts")

    inferred = cells_of(email_status=EmailStatus.INFERRED, email_basis="first.last, as jane.doe@acme.example")
    assert (inferred["email"].basis, inferred["email"].quote) == ("computed", None)
    assert inferred["email"].rule == "the company's pattern first.last, as jane.doe@acme.example"
    assert inferred["email_status"].value == "inferred"
    assert not {"email", "email_status"} & set(cells_of(email_problem=MailReason.NULL_MX))
