"""How complete a delivery is: cells filled and proven per column, and what kept the others away (LESSONS F58, F90, F91, F96)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.company.facts import CompanyFacts, CompanyType, TextEvidence, UnitsEvidence
from domain.company.icp import grade_icp
from domain.company.places import Place
from domain.company.pms_vendors import PmsVendor
from domain.contact.person import Person
from domain.delivery.completeness import (
    COLUMN_RULES,
    Basis,
    ColumnCount,
    Completeness,
    FileRow,
    ModelUsage,
    count_columns,
    largest_first,
    per_company,
    percent,
    proven_columns,
    unknown_by_criterion,
)
from domain.delivery.csv_files import COMPANY_COLUMNS, CONTACT_COLUMNS
from domain.delivery.evidence_cells import CompanyRecord, ContactRecord, evidence_cells
from domain.evidence import Evidence


def row(columns: tuple[str, ...], proven: tuple[str, ...] = (), **cells: Any) -> FileRow:
    return FileRow(cells={**dict.fromkeys(columns), **cells}, proven=frozenset(proven))


def company(*proven: str, **cells: Any) -> FileRow:
    return row(COMPANY_COLUMNS, proven, **cells)


def counted(column: str, *rows: FileRow) -> ColumnCount:
    (found,) = [count for count in count_columns(rows, ()) if count.column == column and count.file == "companies"]
    return found


def test_f91_every_column_of_both_files_is_counted_in_its_order() -> None:
    assert [(rule.file, rule.column) for rule in COLUMN_RULES] == [
        *[("companies", column) for column in COMPANY_COLUMNS],
        *[("contacts", column) for column in CONTACT_COLUMNS],
    ]
    assert all(rule.why for rule in COLUMN_RULES)


def test_what_is_stated_about_a_company_or_a_person_needs_proof_and_nothing_else_does() -> None:
    assert [rule.column for rule in COLUMN_RULES if rule.needs_proof] == [
        "company_name", "domain", "website", "state", "pms_detected", "units_estimate", "company_type", "description",
        "full_name", "title", "email", "linkedin_url", "personalization_notes",
    ]  # fmt: skip


def test_the_report_and_the_evidence_of_single_cells_agree_on_what_is_a_fact() -> None:
    proof, at = Evidence(result_id="r1", url="https://acme.example/", quote="words"), datetime(2031, 1, 1, tzinfo=UTC)
    facts = CompanyFacts(
        places=(Place(city="Austin", state="TX"),),
        place_evidence=(proof,),
        pms_status="detected",
        pms=PmsVendor.BUILDIUM,
        pms_evidence=proof,
        company_type=CompanyType.SINGLE_FAMILY,
        company_type_evidence=proof,
        units=UnitsEvidence(value=80, basis="stated", evidence=proof),
        description=TextEvidence(value="words", evidence=proof),
    )
    person = Person(
        full_name="Ann Lee", title="Owner", email="ann@acme.example", linkedin_url="x", evidence=proof, note="words",
        email_evidence=proof, linkedin_evidence=proof, note_evidence=proof,
    )  # fmt: skip
    record = CompanyRecord(
        name="Acme",
        domain="acme.example",
        website="https://acme.example/",
        discovery_source="https://list.example/",
        named_by=proof,
        created_at=at,
        facts=facts,
        icp=grade_icp(facts),
        contacts=(
            ContactRecord(person=person, department="leadership", seniority="owner", quality_score=90, created_at=at),
        ),
    )
    rules = {(rule.file, rule.column): rule for rule in COLUMN_RULES if rule.basis is not Basis.COPIED}
    cells = {(cell.file, cell.column): cell for cell in evidence_cells(record) if (cell.file, cell.column) in rules}
    assert set(rules) - set(cells) == {("companies", "disqualifiers")}
    quoted = {name for name, cell in cells.items() if cell.basis == "quoted"}
    read = {("companies", "domain"), ("companies", "website")}  # proven by the site itself, not by words of it
    assert quoted | read == {name for name, rule in rules.items() if rule.needs_proof}


def test_f58_an_empty_cell_is_not_filled_and_has_nothing_to_prove() -> None:
    count = counted(
        "units_estimate",
        company("units_estimate", units_estimate=1240),
        company(units_estimate=80),
        company("units_estimate"),
        company(),
    )
    assert (count.rows, count.filled, count.proven) == (4, 2, 1)
    assert (count.filled_pct, count.proven_pct) == (50.0, 50.0)


def test_a_cell_of_which_nothing_printable_is_left_is_empty() -> None:
    assert counted("description", company("description", description="\u200b \n")).filled == 0


@pytest.mark.parametrize("value", [0, 0.0], ids=["int", "float"])
def test_a_zero_is_a_value(value: float) -> None:
    assert counted("icp_confidence", company(icp_confidence=value)).filled == 1


def test_a_computed_column_has_no_proof_of_its_own() -> None:
    count = counted("icp_tier", company(icp_tier="A"))
    assert (count.basis, count.filled, count.proven, count.proven_pct) == (Basis.COMPUTED, 1, None, None)


def test_cells_that_would_be_formulas_are_counted() -> None:
    names = ("=Homes & Co", "@home", "'Quoted' Homes", "Acme")
    assert counted("company_name", *(company(company_name=name) for name in names)).escaped == 2


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 0, None), (0, 7, 0.0), (1, 3, 33.3), (9999, 10000, 99.9), (7, 7, 100.0)],
    ids=["of nothing", "none", "a third", "almost all", "all"],
)
def test_only_all_is_100_percent(part: int, whole: int, shown: float | None) -> None:
    assert percent(part, whole) == shown


def test_f57a_proof_is_words_of_a_result_that_is_stored() -> None:
    def quoting(words: str, result_id: str = "r1") -> Evidence:
        return Evidence(result_id=result_id, url="https://acme.example/", quote=words)

    evidence = {"state": quoting("Austin, TX"), "units_estimate": quoting(" "), "description": quoting("x", "gone")}
    assert proven_columns({**evidence, "company_type": None}, {"r1"}) == {"state"}


def test_unknown_counts_companies_that_a_hard_criterion_kept_out() -> None:
    funnel = {"found": 20, "open": 2, "pms_unknown": 3, "units_unknown": 5, "pms_not_met": 9, "complete": 1}
    assert list(unknown_by_criterion(funnel).items()) == [("units", 5), ("pms", 3)]


def test_counts_are_shown_largest_first_and_in_a_fixed_order() -> None:
    assert list(largest_first({"b": 1, "z": 9, "a": 1, "none": 0})) == ["z", "a", "b"]


def report(**more: Any) -> Completeness:
    return Completeness(
        **{
            "companies": 2,
            "contacts": 0,
            "columns": count_columns([company("state", state="TX"), company(state="TX")], ()),
            "unknown": {},
            "dropped": {},
            "model_usage": ModelUsage(model_calls=5, input_tokens=1000, output_tokens=101, cost_usd=0.5),
            **more,
        }
    )


def test_filled_facts_without_proof_are_counted_by_column() -> None:
    assert report().unproven == {"state": 1}


def test_what_a_delivered_company_has_taken_is_the_whole_runs_bill_shared() -> None:
    assert report().document()["per_company"] == {
        "model_calls": 2.5,
        "input_tokens": 500.0,
        "output_tokens": 50.5,
        "cost_usd": 0.25,
    }


def test_nothing_delivered_gives_no_figure_per_company() -> None:
    assert per_company(ModelUsage(model_calls=5), 0) is None
    assert report(companies=0, columns=count_columns((), ())).document()["columns"][0]["filled_pct"] is None


def test_an_unknown_price_is_never_a_cost() -> None:
    priced = per_company(ModelUsage(model_calls=5, cost_usd=0.1, unpriced_calls=2), 2)
    assert priced is not None and priced["cost_usd"] is None
