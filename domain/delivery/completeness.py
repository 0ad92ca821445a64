"""Completeness of a delivery: filled, proven and missing cells per column, and the cost.

``columns.py`` defines which columns need proof.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from domain.delivery.columns import COMPANIES, CONTACTS, Basis, Column, FileKind
from domain.delivery.csv_files import cell
from domain.evidence import Evidence
from domain.frozen_model import FrozenModel


class FileRow(FrozenModel):
    """A delivered row. ``proven`` names its fact columns that have proof."""

    cells: dict[str, Any]
    proven: frozenset[str]


class ColumnCount(FrozenModel):
    """Counts for one column. ``proven`` is None if the column needs no proof.

    ``escaped`` counts cells with an added apostrophe, because a spreadsheet would evaluate them.
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
        return percent(self.filled, self.rows)

    @property
    def proven_pct(self) -> float | None:
        """Share of the filled cells. None if there is nothing to prove."""
        return None if self.proven is None else percent(self.proven, self.filled)


class ModelUsage(FrozenModel):
    """If any call has no known price, the total cost is unknown."""

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    unpriced_calls: int = 0


class Completeness(FrozenModel):
    """Attributes:
    unknown: companies not delivered because a hard criterion was unknown, per criterion.
    dropped: rejected claims per ``what:why``, for all examined companies.
    """

    companies: int
    contacts: int
    columns: tuple[ColumnCount, ...]
    unknown: dict[str, int]
    dropped: dict[str, int]
    model_usage: ModelUsage

    @property
    def unproven(self) -> dict[str, int]:
        """Filled cells without proof, per column. Only ``email`` may have any (inferred addresses)."""
        return largest_first(
            {count.column: count.filled - count.proven for count in self.columns if count.proven is not None}
        )

    def document(self) -> dict[str, Any]:
        """Return the report as ``--json`` prints it."""
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
    """Return the columns whose evidence quotes a stored tool result. ``stored`` contains result ids."""
    return frozenset(
        column
        for column, proof in evidence.items()
        if proof is not None and proof.quote.strip() and proof.result_id in stored
    )


def unknown_by_criterion(funnel: Mapping[str, int]) -> dict[str, int]:
    """``funnel`` counts companies per reason code."""
    return largest_first(
        {reason.removesuffix("_unknown"): count for reason, count in funnel.items() if reason.endswith("_unknown")}
    )


def largest_first(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts above 0, largest first. Ties are sorted by name."""
    return dict(sorted(((name, n) for name, n in counts.items() if n), key=lambda item: (-item[1], item[0])))


def per_company(usage: ModelUsage, companies: int) -> dict[str, float | None] | None:
    """Return averages per delivered company, or None if there is none. An unknown cost is None."""
    if companies == 0:
        return None
    return {
        "model_calls": round(usage.model_calls / companies, 2),
        "input_tokens": round(usage.input_tokens / companies, 1),
        "output_tokens": round(usage.output_tokens / companies, 1),
        "cost_usd": None if usage.unpriced_calls else round(usage.cost_usd / companies, 6),
    }


def percent(part: int, whole: int) -> float | None:
    """Return the percentage rounded down to a tenth, so that 100 means all. None if ``whole`` is 0."""
    return part * 1000 // whole / 10 if whole else None
