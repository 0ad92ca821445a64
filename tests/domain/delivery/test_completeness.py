"""Filled and proven cells per column, and what is missing."""

from typing import Any

import pytest

from domain.delivery.columns import COMPANY_COLUMNS, CONTACT_COLUMNS, Basis
from domain.delivery.completeness import (
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
from domain.evidence import Evidence


def row(columns: tuple[str, ...], proven: tuple[str, ...] = (), **cells: Any) -> FileRow:
    return FileRow(cells={**dict.fromkeys(columns), **cells}, proven=frozenset(proven))


def company(*proven: str, **cells: Any) -> FileRow:
    return row(COMPANY_COLUMNS, proven, **cells)


def counted(column: str, *rows: FileRow) -> ColumnCount:
    (found,) = [count for count in count_columns(rows, ()) if count.column == column and count.file == "companies"]
    return found


def test_every_column_of_both_files_is_counted_in_order() -> None:
    assert [(count.file, count.column) for count in count_columns((), ())] == [
        *[("companies", column) for column in COMPANY_COLUMNS],
        *[("contacts", column) for column in CONTACT_COLUMNS],
    ]


def test_empty_cell_is_not_filled_and_needs_no_proof() -> None:
    count = counted(
        "units_estimate",
        company("units_estimate", units_estimate=1240),
        company(units_estimate=80),
        company("units_estimate"),
        company(),
    )
    assert (count.rows, count.filled, count.proven) == (4, 2, 1)
    assert (count.filled_pct, count.proven_pct) == (50.0, 50.0)


def test_cell_without_printable_text_is_empty() -> None:
    assert counted("description", company("description", description="\u200b \n")).filled == 0


@pytest.mark.parametrize("value", [0, 0.0], ids=["int", "float"])
def test_zero_is_a_value(value: float) -> None:
    assert counted("icp_confidence", company(icp_confidence=value)).filled == 1


def test_computed_column_counts_no_proof() -> None:
    count = counted("icp_tier", company(icp_tier="A"))
    assert (count.basis, count.filled, count.proven, count.proven_pct) == (Basis.COMPUTED, 1, None, None)


def test_escaped_cells_are_counted() -> None:
    names = ("=Homes & Co", "@home", "'Quoted' Homes", "Acme")
    assert counted("company_name", *(company(company_name=name) for name in names)).escaped == 2


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 0, None), (0, 7, 0.0), (1, 3, 33.3), (9999, 10000, 99.9), (7, 7, 100.0)],
    ids=["of nothing", "none", "a third", "almost all", "all"],
)
def test_percent_is_rounded_down(part: int, whole: int, shown: float | None) -> None:
    assert percent(part, whole) == shown


def test_proof_quotes_a_stored_result() -> None:
    def quoting(words: str, result_id: str = "r1") -> Evidence:
        return Evidence(result_id=result_id, url="https://acme.example/", quote=words)

    evidence = {"state": quoting("Austin, TX"), "units_estimate": quoting(" "), "description": quoting("x", "gone")}
    assert proven_columns({**evidence, "company_type": None}, {"r1"}) == {"state"}


def test_unknown_counts_companies_by_criterion() -> None:
    funnel = {"found": 20, "open": 2, "pms_unknown": 3, "units_unknown": 5, "pms_not_met": 9, "complete": 1}
    assert list(unknown_by_criterion(funnel).items()) == [("units", 5), ("pms", 3)]


def test_counts_are_largest_first_then_by_name() -> None:
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


def test_unproven_facts_are_counted_by_column() -> None:
    assert report().unproven == {"state": 1}


def test_usage_per_company_shares_the_whole_run() -> None:
    assert report().document()["per_company"] == {
        "model_calls": 2.5,
        "input_tokens": 500.0,
        "output_tokens": 50.5,
        "cost_usd": 0.25,
    }


def test_usage_per_company_needs_a_delivered_company() -> None:
    assert per_company(ModelUsage(model_calls=5), 0) is None
    assert report(companies=0, columns=count_columns((), ())).document()["columns"][0]["filled_pct"] is None


def test_unknown_price_gives_no_cost_per_company() -> None:
    priced = per_company(ModelUsage(model_calls=5, cost_usd=0.1, unpriced_calls=2), 2)
    assert priced is not None and priced["cost_usd"] is None
