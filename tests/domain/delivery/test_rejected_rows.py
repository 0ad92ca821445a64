"""The file of companies that are not delivered."""

import csv
import io

import pytest

from domain.company.facts import CompanyFacts
from domain.company.pms_vendors import PmsVendor
from domain.company.status import CompanyStatus, ReasonCode
from domain.delivery.rejected_rows import (
    REJECTED_COLUMNS,
    EndedCompany,
    rejected_row,
    render_rejected,
)
from domain.evidence import Evidence

PORTAL = Evidence(result_id="r1", url="http://acme.example/", quote="=HYPERLINK(https://acme.appfolio.com)")
FACTS = CompanyFacts(pms_status="detected", pms=PmsVendor.APPFOLIO, pms_evidence=PORTAL)


def ended(reason: ReasonCode, status: CompanyStatus = CompanyStatus.REJECTED, detail: str = "") -> EndedCompany:
    return EndedCompany(
        name="@Acme",
        website="http://acme.example/",
        status=status,
        reason=reason,
        reason_detail=detail,
        duplicate_of="Acme of Austin",
        facts=FACTS,
    )


def test_failing_criterion_has_a_reason_and_a_quote() -> None:
    row = rejected_row(ended(ReasonCode.PMS_NOT_MET, detail="runs AppFolio, not Buildium"))
    assert (row["failing_criterion"], row["why"]) == ("pms", "runs AppFolio, not Buildium")
    assert (row["quote"], row["url"]) == (PORTAL.quote, PORTAL.url)


@pytest.mark.parametrize(
    ("disqualifiers", "field"),
    [
        ("hoa_only", "company_type_evidence"),
        ("no_active_management", "manages_evidence"),
        ("defunct, hoa_only", "closed_evidence"),
    ],
    ids=["type", "management", "closed"],
)
def test_disqualified_company_quotes_the_words_against_it(disqualifiers: str, field: str) -> None:
    facts = CompanyFacts.model_validate({field: PORTAL})
    company = ended(ReasonCode.ICP_DISQUALIFIED, detail=disqualifiers).model_copy(update={"facts": facts})
    row = rejected_row(company)
    assert (row["failing_criterion"], row["quote"]) == ("icp", PORTAL.quote)


def test_unknown_criterion_has_no_quote() -> None:
    row = rejected_row(ended(ReasonCode.UNITS_UNKNOWN, CompanyStatus.NEEDS_REVIEW, "number of units not stated"))
    assert (row["failing_criterion"], row["quote"], row["url"]) == ("units", None, None)


def test_suppressed_company_does_not_reveal_the_list() -> None:
    row = rejected_row(ended(ReasonCode.SUPPRESSED, CompanyStatus.SUPPRESSED, "do_not_contact"))
    assert row["why"] == "on a list of companies that are never delivered"
    assert "contact" not in str(row)


def test_duplicate_names_the_other_company() -> None:
    row = rejected_row(ended(ReasonCode.DUPLICATE, CompanyStatus.DUPLICATE, "6b1f…"))
    assert (row["why"], row["failing_criterion"]) == ("the same company as Acme of Austin", None)


def test_other_reason_is_a_sentence_with_its_detail() -> None:
    assert rejected_row(ended(ReasonCode.SITE_DEAD, detail="404"))["why"] == "its site does not answer: 404"


def test_cells_are_escaped() -> None:
    file = render_rejected("rejected.csv", [ended(ReasonCode.PMS_NOT_MET)])
    [row] = csv.DictReader(io.StringIO(file.content.decode()))
    assert tuple(row) == REJECTED_COLUMNS
    assert (row["company_name"], row["quote"]) == ("'@Acme", f"'{PORTAL.quote}")
