"""The two files a CRM loads: columns, cells and bytes. Pure; nothing is read or written here (DOMAIN, "The two files")."""

import csv
import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

COMPANY_COLUMNS = (
    "company_name",
    "domain",
    "website",
    "state",
    "pms_detected",
    "units_estimate",
    "company_type",
    "description",
    "discovery_source",
    "icp_fit",
    "icp_tier",
    "icp_confidence",
    "disqualifiers",
    "created_at",
)
CONTACT_COLUMNS = (
    "full_name",
    "title",
    "email",
    "linkedin_url",
    "department",
    "seniority",
    "quality_score",
    "company_name",
    "company_domain",
    "company_website",
    "company_state",
    "personalization_notes",
    "created_at",
)
# What Excel, LibreOffice and Google Sheets take for the start of a formula (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class CsvFile(BaseModel):
    """A rendered file; ``rows`` does not count the header."""

    model_config = ConfigDict(frozen=True)

    name: str
    content: bytes
    rows: int


def escape_formula(text: str) -> str:
    """A cell's text that no spreadsheet takes for a formula: an apostrophe is put before one that would be.

    Control characters are dropped and line breaks, tabs and typographic spaces become spaces, so that a row stays one line.
    """
    flat = " ".join(text.split()) if any(char.isspace() and char != " " for char in text) else text
    clean = "".join(char for char in flat if char.isprintable())
    return f"'{clean}" if clean.lstrip().startswith(_FORMULA_STARTS) else clean


def cell(value: Any) -> str:
    """A value as a cell. None is an empty cell; times are UTC in ISO 8601 with a Z; numbers are never escaped."""
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


def render_files(
    run_id: UUID, at: datetime, companies: list[dict[str, Any]], contacts: list[dict[str, Any]]
) -> tuple[CsvFile, CsvFile]:
    """Both files of a run, or an error and neither.

    Args:
        run_id: its first 8 characters name the files.
        at: time in the file names (UTC).
        companies, contacts: rows keyed by column.

    Raises:
        ValueError: a row lacks a column, or a contact's company is not among the companies (LESSONS F92).
    """
    domains = {row["domain"] for row in companies}
    strays = sorted({str(row["company_domain"]) for row in contacts if row["company_domain"] not in domains})
    if strays:
        raise ValueError(f"contacts of companies that are not in the companies file: {', '.join(strays)}")
    suffix = f"{str(run_id)[:8]}_{at.astimezone(UTC):%Y%m%d_%H%M%S}.csv"
    return (
        CsvFile(name=f"companies_{suffix}", content=_render(COMPANY_COLUMNS, companies), rows=len(companies)),
        CsvFile(name=f"contacts_{suffix}", content=_render(CONTACT_COLUMNS, contacts), rows=len(contacts)),
    )


def _render(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow(columns)
    for row in rows:
        missing = [column for column in columns if column not in row]
        if missing:
            raise ValueError(f"row without column {', '.join(missing)}")
        writer.writerow([cell(row[column]) for column in columns])
    return buffer.getvalue().encode("utf-8")
