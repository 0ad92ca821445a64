"""Completeness of a delivery: how many cells of each column are filled and proven, what is missing and what it cost.

``columns.py`` says which columns need proof.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from domain.delivery.columns import COMPANIES, CONTACTS, Basis, Column, FileKind
from domain.delivery.csv_files import cell
from domain.evidence import Evidence
from domain.frozen_model import FrozenModel


class FileRow(FrozenModel):
    """A delivered row, and the fact columns that have proof."""

    cells: dict[str, Any]
    proven: frozenset[str]


class ColumnCount(FrozenModel):
    """One column counted over a file's rows.

    Attributes:
        proven: filled cells with proof; None if the column needs none.
        escaped: cells that a spreadsheet would evaluate as a formula, delivered with an apostrophe in front.
    """

    file: FileKind
    column: str
    basis: Basis
    rows: int
    filled: int
    proven: int | None
    escaped: int

    @property
    def filled_pct(self) -> float | None:
        """Filled share of the rows in percent; None without rows."""
        return percent(self.filled, self.rows)

    @property
    def proven_pct(self) -> float | None:
        """Proven share of the filled cells in percent; None if there is nothing to prove."""
        return None if self.proven is None else percent(self.proven, self.filled)


class ModelUsage(FrozenModel):
    """The model calls of a run.

    Attributes:
        cost_usd: of the calls with a known price.
        unpriced_calls: calls without a known price; with any, the total cost is unknown.
    """

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    unpriced_calls: int = 0


class Completeness(FrozenModel):
    """The report on one delivery.

    Attributes:
        unknown: companies kept out by an unknown hard criterion, by criterion.
        dropped: rejected claims of all examined companies, by ``what:why``.
    """

    companies: int
    contacts: int
    columns: tuple[ColumnCount, ...]
    unknown: dict[str, int]
    dropped: dict[str, int]
    model_usage: ModelUsage

    @property
    def unproven(self) -> dict[str, int]:
        """Filled cells without proof, by column. Inferred addresses are expected here; anything else is a defect."""
        return largest_first(
            {count.column: count.filled - count.proven for count in self.columns if count.proven is not None}
        )

    def document(self) -> dict[str, Any]:
        """The report as ``--json`` prints it. Shares are percent."""
        return {
            "companies": self.companies,
            "contacts": self.contacts,
            "columns": [
                {**count.model_dump(mode="json"), "filled_pct": count.filled_pct, "proven_pct": count.proven_pct}
                for count in self.columns
            ],
            "unproven": self.unproven,
            "unknown": self.unknown,
            "dropped": self.dropped,
            "model_usage": self.model_usage.model_dump(),
            "per_company": per_company(self.model_usage, self.companies),
        }


def count_columns(companies: Sequence[FileRow], contacts: Sequence[FileRow]) -> tuple[ColumnCount, ...]:
    """Counts of every column of both files, in their order."""
    return (
        *(_count(column, companies) for column in COMPANIES),
        *(_count(column, contacts) for column in CONTACTS),
    )


def _count(column: Column, rows: Sequence[FileRow]) -> ColumnCount:
    filled = proven = escaped = 0
    for row in rows:
        value = row.cells[column.name]
        text = cell(value)
        filled += bool(text)
        proven += bool(text) and column.name in row.proven
        escaped += text.startswith("'") and not str(value).lstrip().startswith("'")
    return ColumnCount(
        file=column.file,
        column=column.name,
        basis=column.basis,
        rows=len(rows),
        filled=filled,
        proven=proven if column.needs_proof else None,
        escaped=escaped,
    )


def proven_columns(evidence: Mapping[str, Evidence | None], stored: Collection[str]) -> frozenset[str]:
    """The columns whose evidence quotes a stored result.

    Args:
        stored: ids of the results that exist.
    """
    return frozenset(
        column
        for column, proof in evidence.items()
        if proof is not None and proof.quote.strip() and proof.result_id in stored
    )


def unknown_by_criterion(funnel: Mapping[str, int]) -> dict[str, int]:
    """Companies kept out by an unknown hard criterion, by criterion.

    Args:
        funnel: companies by reason code.
    """
    return largest_first(
        {reason.removesuffix("_unknown"): count for reason, count in funnel.items() if reason.endswith("_unknown")}
    )


def largest_first(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts above 0, the largest first, ties by name."""
    return dict(sorted(((name, n) for name, n in counts.items() if n), key=lambda item: (-item[1], item[0])))


def per_company(usage: ModelUsage, companies: int) -> dict[str, float | None] | None:
    """Calls, tokens and US dollars per delivered company; None before the first. An unknown cost is None."""
    if companies == 0:
        return None
    return {
        "model_calls": round(usage.model_calls / companies, 2),
        "input_tokens": round(usage.input_tokens / companies, 1),
        "output_tokens": round(usage.output_tokens / companies, 1),
        "cost_usd": None if usage.unpriced_calls else round(usage.cost_usd / companies, 6),
    }


def percent(part: int, whole: int) -> float | None:
    """Percent rounded down to a tenth, so that 100 means all; None if ``whole`` is 0."""
    return part * 1000 // whole / 10 if whole else None
