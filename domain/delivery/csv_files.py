"""Render a run's CSV files (docs/domain.md, "Delivery files").

Files are UTF-8 without BOM, with LF line ends and minimal quoting. Cells that look like formulas are escaped.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.delivery.columns import COMPANY_COLUMNS, CONTACT_COLUMNS
from domain.frozen_model import FrozenModel

# These start a formula in Excel, LibreOffice and Google Sheets (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class CsvFile(FrozenModel):
    """A rendered file. ``rows`` excludes the header."""

    name: str
    content: bytes
    rows: int


def render_files(
    run_id: UUID, at: datetime, companies: list[dict[str, Any]], contacts: list[dict[str, Any]]
) -> tuple[CsvFile, CsvFile]:
    """Render the companies and contacts files.

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
    """Raises ``ValueError`` if a row lacks a column. Other keys of a row are ignored."""
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
    """Return a value as cell text: None is empty, times are UTC in ISO 8601 with a Z."""
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
    """Return a text on one line, with a leading apostrophe if a spreadsheet would evaluate it."""
    flat = " ".join(text.split()) if any(char.isspace() and char != " " for char in text) else text
    clean = "".join(char for char in flat if char.isprintable())
    return f"'{clean}" if clean.lstrip().startswith(_FORMULA_STARTS) else clean
