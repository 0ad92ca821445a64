"""How complete a delivery is: per column of the two files, how many cells are filled and how many of those are proven. Pure.

Which columns state a fact, and so need proof (DESIGN, promise 3), is said here and nowhere else (``COLUMN_RULES``). What a run
bought, left out and could not tell is counted beside it, so that a list's quality is read from its records (LESSONS F91, F96).
"""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from domain.delivery.csv_files import cell
from domain.evidence import Evidence

FileKind = Literal["companies", "contacts"]


class Basis(StrEnum):
    """What a column's cells rest on; only a fact needs proof."""

    FACT = "fact"
    REFERENCE = "reference"
    COMPUTED = "computed"
    COPIED = "copied"
    RECORD = "record"


class ColumnRule(BaseModel):
    """Whether a column needs proof, and why. For a fact, ``why`` says what its proof is."""

    model_config = ConfigDict(frozen=True)

    file: FileKind
    column: str
    basis: Basis
    why: str

    @property
    def needs_proof(self) -> bool:
        """Whether a filled cell without proof is a defect."""
        return self.basis is Basis.FACT


def _rules(file: FileKind, *columns: tuple[str, Basis, str]) -> tuple[ColumnRule, ...]:
    return tuple(ColumnRule(file=file, column=column, basis=basis, why=why) for column, basis, why in columns)


_GRADED = "computed in code from the proven facts (domain/company/icp.py)"
_RANKED = "computed in code from the proven title (domain/contact/title_levels.py)"
_OF_COMPANY = "repeats the companies file, where it is counted"
_CLOCK = "when the row was stored, by our own clock"
_PERSON = "words of the company's own page that hold the name and the title"

COLUMN_RULES: tuple[ColumnRule, ...] = (
    *_rules(
        "companies",
        ("company_name", Basis.FACT, "words of the source that names the company"),
        ("domain", Basis.FACT, "a page of that domain that was read"),
        ("website", Basis.FACT, "a page of that domain that was read"),
        ("state", Basis.FACT, "a postal address on the company's own pages"),
        ("pms_detected", Basis.FACT, "a portal link or widget on the company's own pages"),
        ("units_estimate", Basis.FACT, "words that hold the number"),
        ("company_type", Basis.FACT, "words of the company's own pages"),
        ("description", Basis.FACT, "words of the company's own pages"),
        ("discovery_source", Basis.REFERENCE, "where the company was named: a pointer to proof"),
        ("icp_fit", Basis.COMPUTED, _GRADED),
        ("icp_tier", Basis.COMPUTED, _GRADED),
        ("icp_confidence", Basis.COMPUTED, _GRADED),
        ("disqualifiers", Basis.COMPUTED, _GRADED),
        ("created_at", Basis.RECORD, _CLOCK),
    ),
    *_rules(
        "contacts",
        ("full_name", Basis.FACT, _PERSON),
        ("title", Basis.FACT, _PERSON),
        (
            "email",
            Basis.FACT,
            "words of the company's own page that hold the address; none of one that follows a pattern",
        ),
        ("linkedin_url", Basis.FACT, "the company's own page that shows the profile"),
        ("department", Basis.COMPUTED, _RANKED),
        ("seniority", Basis.COMPUTED, _RANKED),
        (
            "quality_score",
            Basis.COMPUTED,
            "computed in code from level, reach and evidence (domain/contact/contact_selection.py)",
        ),
        ("company_name", Basis.COPIED, _OF_COMPANY),
        ("company_domain", Basis.COPIED, _OF_COMPANY),
        ("company_website", Basis.COPIED, _OF_COMPANY),
        ("company_state", Basis.COPIED, _OF_COMPANY),
        ("personalization_notes", Basis.FACT, "words of the company's own page"),
        ("created_at", Basis.RECORD, _CLOCK),
    ),
)
"""Every column of the two files, in their order."""


class FileRow(BaseModel):
    """A row as it is delivered, and which of its fact columns have proof."""

    model_config = ConfigDict(frozen=True)

    cells: dict[str, Any]
    proven: frozenset[str]


class ColumnCount(BaseModel):
    """One column counted over a file's rows.

    Attributes:
        proven: filled cells with proof; None where the column needs none.
        escaped: filled cells that a spreadsheet would take for a formula, delivered behind an apostrophe.
    """

    model_config = ConfigDict(frozen=True)

    file: FileKind
    column: str
    basis: Basis
    rows: int
    filled: int
    proven: int | None
    escaped: int

    @property
    def filled_pct(self) -> float | None:
        """Share of the rows that have a value, in percent; None of a file without rows."""
        return percent(self.filled, self.rows)

    @property
    def proven_pct(self) -> float | None:
        """Share of the filled cells that have proof, in percent; None where there is nothing to prove."""
        return None if self.proven is None else percent(self.proven, self.filled)


class ModelUsage(BaseModel):
    """What the model's calls of a run came to.

    Attributes:
        cost_usd: of the calls whose price is known.
        unpriced_calls: calls whose price nobody knew when they were made, so that the cost of the run is not known.
    """

    model_config = ConfigDict(frozen=True)

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    unpriced_calls: int = 0


class Completeness(BaseModel):
    """The report on one delivery.

    Attributes:
        unknown: companies that a hard criterion kept out since it is unknown, by criterion.
        dropped: claims left out, by ``what:why``, over every company that was looked at.
    """

    model_config = ConfigDict(frozen=True)

    companies: int
    contacts: int
    columns: tuple[ColumnCount, ...]
    unknown: dict[str, int]
    dropped: dict[str, int]
    model_usage: ModelUsage

    @property
    def unproven(self) -> dict[str, int]:
        """Filled cells without words of their own, by column: addresses that follow a proven pattern; any other is a
        defect of ours."""
        missing = {count.column: count.filled - count.proven for count in self.columns if count.proven is not None}
        return largest_first(missing)

    def document(self) -> dict[str, Any]:
        """The report as ``--json`` prints it. Shares are percent; ``per_company`` is per delivered company."""
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
    """Every column of both files counted, in their order."""
    rows = {"companies": companies, "contacts": contacts}
    return tuple(_count(rule, rows[rule.file]) for rule in COLUMN_RULES)


def proven_columns(evidence: Mapping[str, Evidence | None], stored: Collection[str]) -> frozenset[str]:
    """The columns whose evidence quotes words of a result that is stored.

    That the words stand in it was found when the evidence was made (``grounding/quotes.py``).

    Args:
        stored: ids of the results that are there.
    """
    return frozenset(
        column
        for column, proof in evidence.items()
        if proof is not None and proof.quote.strip() and proof.result_id in stored
    )


def unknown_by_criterion(funnel: Mapping[str, int]) -> dict[str, int]:
    """Companies that a hard criterion kept out since it is unknown, by criterion, most first.

    Args:
        funnel: companies by reason code of their end; a company ends for the first criterion that keeps it out.
    """
    ended = {reason.removesuffix("_unknown"): count for reason, count in funnel.items() if reason.endswith("_unknown")}
    return largest_first(ended)


def largest_first(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts above 0, the largest first, equal ones by name."""
    return dict(
        sorted(((name, count) for name, count in counts.items() if count), key=lambda item: (-item[1], item[0]))
    )


def per_company(usage: ModelUsage, companies: int) -> dict[str, float | None] | None:
    """Calls, tokens and US dollars for each delivered company; None before the first. An unknown cost is None."""
    if companies == 0:
        return None
    return {
        "model_calls": round(usage.model_calls / companies, 2),
        "input_tokens": round(usage.input_tokens / companies, 1),
        "output_tokens": round(usage.output_tokens / companies, 1),
        "cost_usd": None if usage.unpriced_calls else round(usage.cost_usd / companies, 6),
    }


def percent(part: int, whole: int) -> float | None:
    """Percent rounded down to a tenth, so that 100 means all; None of nothing."""
    return part * 1000 // whole / 10 if whole else None


def _count(rule: ColumnRule, rows: Sequence[FileRow]) -> ColumnCount:
    filled = proven = escaped = 0
    for row in rows:
        value = row.cells[rule.column]
        text = cell(value)
        filled += bool(text)
        proven += bool(text) and rule.column in row.proven
        escaped += text.startswith("'") and not str(value).lstrip().startswith("'")
    return ColumnCount(
        file=rule.file,
        column=rule.column,
        basis=rule.basis,
        rows=len(rows),
        filled=filled,
        proven=proven if rule.needs_proof else None,
        escaped=escaped,
    )
