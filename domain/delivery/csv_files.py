"""CSV files of a run: cells, bytes and names (docs/domain.md, "Delivery files").

UTF-8 without BOM, LF, minimal quoting, and no cell that a spreadsheet would evaluate as a formula.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.delivery.columns import COMPANY_COLUMNS, CONTACT_COLUMNS
from domain.frozen_model import FrozenModel

# What Excel, LibreOffice and Google Sheets treat as the start of a formula (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class CsvFile(FrozenModel):
    """A rendered file; ``rows`` does not count the header."""

    name: str
    content: bytes
    rows: int


def render_files(
    run_id: UUID, at: datetime, companies: list[dict[str, Any]], contacts: list[dict[str, Any]]
) -> tuple[CsvFile, CsvFile]:
    """Both files of a run. Their names contain the first 8 characters of the run id and the time in UTC.

    Raises:
        ValueError: a row lacks a column, or a contact's company is not in the companies file.
    """
    domains = {row["domain"] for row in companies}
    missing = sorted({str(row["company_domain"]) for row in contacts if row["company_domain"] not in domains})
    if missing:
        raise ValueError(f"contacts of companies that are not in the companies file: {', '.join(missing)}")
    suffix = f"{str(run_id)[:8]}_{at.astimezone(UTC):%Y%m%d_%H%M%S}.csv"
    return (
        render_csv(f"companies_{suffix}", COMPANY_COLUMNS, companies),
        render_csv(f"contacts_{suffix}", CONTACT_COLUMNS, contacts),
    )


def render_csv(name: str, columns: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> CsvFile:
    """One file with these columns. Other keys of a row are ignored.

    Raises:
        ValueError: a row lacks a column.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        missing = [column for column in columns if column not in row]
        if missing:
            raise ValueError(f"row without column {', '.join(missing)}")
        writer.writerow([cell(row[column]) for column in columns])
    return CsvFile(name=name, content=buffer.getvalue().encode("utf-8"), rows=len(rows))


def cell(value: Any) -> str:
    """A value as text. None is empty, times are UTC in ISO 8601 with a Z, and only text is escaped."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:g}"
    return escape_formula(str(value))


def escape_formula(text: str) -> str:
    """A text on one line, with an apostrophe in front if a spreadsheet would evaluate it as a formula.

    Control characters are dropped; line breaks, tabs and typographic spaces become spaces.
    """
    flat = " ".join(text.split()) if any(char.isspace() and char != " " for char in text) else text
    clean = "".join(char for char in flat if char.isprintable())
    return f"'{clean}" if clean.lstrip().startswith(_FORMULA_STARTS) else clean
