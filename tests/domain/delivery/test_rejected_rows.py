"""Why a company is not delivered, for a person to look over; of a suppressed one never which list names it (DOMAIN, "Suppression")."""

from __future__ import annotations

import csv
import io

import pytest

from domain.company.acceptance import OVERRIDABLE_REASONS, why_not_acceptable
from domain.company.facts import CompanyFacts
from domain.company.pms_vendors import PmsVendor
from domain.company.status import CompanyStatus, ReasonCode
from domain.delivery.rejected_rows import (
    REJECTED_COLUMNS,
    EndedCompany,
    failing_criterion,
    rejected_row,
    render_rejected,
)
from domain.evidence import Evidence
from domain.request.criteria import CRITERION_KEYS

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


def test_a_failing_criterion_is_named_with_why_and_with_the_words_that_decided_it() -> None:
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
def test_a_disqualified_company_shows_the_words_against_it(disqualifiers: str, field: str) -> None:
    facts = CompanyFacts.model_validate({field: PORTAL})
    company = ended(ReasonCode.ICP_DISQUALIFIED, detail=disqualifiers).model_copy(update={"facts": facts})
    row = rejected_row(company)
    assert (row["failing_criterion"], row["quote"]) == ("icp", PORTAL.quote)


def test_what_is_unknown_has_no_words() -> None:
    row = rejected_row(ended(ReasonCode.UNITS_UNKNOWN, CompanyStatus.NEEDS_REVIEW, "number of units not stated"))
    assert (row["failing_criterion"], row["quote"], row["url"]) == ("units", None, None)


def test_f68_a_suppressed_company_says_nothing_of_the_list() -> None:
    row = rejected_row(ended(ReasonCode.SUPPRESSED, CompanyStatus.SUPPRESSED, "do_not_contact"))
    assert row["why"] == "on a list of companies that are never delivered"
    assert "contact" not in str(row)


def test_a_duplicate_names_the_company_it_is_the_same_as() -> None:
    row = rejected_row(ended(ReasonCode.DUPLICATE, CompanyStatus.DUPLICATE, "6b1f…"))
    assert (row["why"], row["failing_criterion"]) == ("the same company as Acme of Austin", None)


def test_an_end_that_no_criterion_caused_is_a_sentence_with_its_detail() -> None:
    assert rejected_row(ended(ReasonCode.SITE_DEAD, detail="404"))["why"] == "its site does not answer: 404"


def test_the_cells_are_no_formulas() -> None:
    file = render_rejected("rejected.csv", [ended(ReasonCode.PMS_NOT_MET)])
    [row] = csv.DictReader(io.StringIO(file.content.decode()))
    assert tuple(row) == REJECTED_COLUMNS
    assert (row["company_name"], row["quote"]) == ("'@Acme", f"'{PORTAL.quote}")


@pytest.mark.parametrize("reason", sorted(OVERRIDABLE_REASONS))
def test_each_criterion_can_be_overruled_and_is_named_when_it_fails(reason: ReasonCode) -> None:
    assert why_not_acceptable(CompanyStatus.REJECTED, reason) is None
    assert failing_criterion(reason) in {*CRITERION_KEYS, "icp"}


@pytest.mark.parametrize("reason", [reason for reason in ReasonCode if reason not in OVERRIDABLE_REASONS])
def test_nothing_else_can_be_overruled(reason: ReasonCode) -> None:
    assert why_not_acceptable(CompanyStatus.REJECTED, reason)


@pytest.mark.parametrize(
    "status", [s for s in CompanyStatus if s not in {CompanyStatus.REJECTED, CompanyStatus.NEEDS_REVIEW}]
)
def test_f68_no_status_but_turned_away_can_be_overruled_whatever_the_reason_says(status: CompanyStatus) -> None:
    assert status is CompanyStatus.FAILED or why_not_acceptable(status, ReasonCode.PMS_NOT_MET)
