"""Do the two files open in a spreadsheet as what they say: no cell is calculated, none is changed into another text.

    python -m evals.spreadsheet [COMPANIES.csv CONTACTS.csv] [--keep DIRECTORY]

Without files, rows are made up whose cells are the texts that spreadsheets are known to calculate. Each file is
read by LibreOffice (headless) as when it is opened with the formulas of its cells evaluated, written again with the formulas
that its cells hold, and compared cell by cell. Exits 1 when a cell differs, 2 when LibreOffice is not installed; the files and
the command to run where it is are printed then. A number may be written in another form of the same value.
"""

import csv
import io
import shlex
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic import BaseModel, ConfigDict

from domain.delivery.columns import COMPANY_COLUMNS, CONTACT_COLUMNS
from domain.delivery.csv_files import render_files

# Tokens of LibreOffice's CSV filter (help.libreoffice.org, "CSV Filter Parameters"): comma, quote, UTF-8, from line 1, no column
# formats, en-US, … reading: 8 special numbers are not detected, 13 formulas are evaluated. Without the latter a reading proves
# nothing, since it takes every formula for text. Writing: 9 not as shown but as stored, 10 formulas instead of their results.
READ_AS = "Text - txt - csv (StarCalc):44,34,76,1,,1033,false,false,false,false,false,0,true"
WRITE_AS = "csv:Text - txt - csv (StarCalc):44,34,76,1,,1033,false,true,false,true"
_CONVERT_TIMEOUT_S = 120.0
_EXIT_DIFFERENT, _EXIT_NOT_INSTALLED = 1, 2

RISKY_TEXTS = (
    "=1+1",
    "=SUM(1;2)",
    "+1+1",
    "-1+1",
    "@SUM(1,2)",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://x.example";"click")',
    "\t=1+1",
    " =1+1",
    "\uff1d1+1",
    "'=1+1",
    "'Quoted' Homes",
    'Homes, "Best" & Co',
    "Zeile 1\nZeile 2",
    "Café ‑ 王 小明 محمد",
)
"""Starts of formulas (OWASP, "CSV Injection"), what a CSV has to quote, and other scripts."""


class Difference(BaseModel):
    """A cell that a spreadsheet does not hold as it was written. ``row`` 1 is the first below the header."""

    model_config = ConfigDict(frozen=True)

    row: int
    column: str
    written: str
    held: str


def differences(written: str, held: str) -> list[Difference]:
    """Cells of two CSV texts that differ in more than the form of a number; a cell that is missing is held as empty."""
    before, after = list(csv.reader(io.StringIO(written))), list(csv.reader(io.StringIO(held)))
    header = before[0] if before else []
    found: list[Difference] = []
    for number in range(max(len(before), len(after))):
        old = before[number] if number < len(before) else []
        new = after[number] if number < len(after) else []
        for place in range(max(len(old), len(new))):
            one, other = (row[place] if place < len(row) else "" for row in (old, new))
            if not _same(one, other):
                column = header[place] if place < len(header) else f"column {place + 1}"
                found.append(Difference(row=number, column=column, written=one, held=other))
    return found


def risky_files(directory: Path) -> tuple[Path, Path]:
    """Both files with a row for each risky text, in every column that holds text, written as a run writes them."""
    at = datetime(2031, 1, 2, 3, 4, 5, tzinfo=UTC)
    domains = [f"{number}.example" for number in range(len(RISKY_TEXTS))]
    numbers: dict[str, Any] = {"units_estimate": 1240, "icp_confidence": 0.85, "quality_score": 90, "created_at": at}
    companies = [
        {**dict.fromkeys(COMPANY_COLUMNS, text), **numbers, "domain": domain}
        for text, domain in zip(RISKY_TEXTS, domains, strict=True)
    ]
    contacts = [
        {**dict.fromkeys(CONTACT_COLUMNS, text), **numbers, "company_domain": domain}
        for text, domain in zip(RISKY_TEXTS, domains, strict=True)
    ]
    paths = []
    for file in render_files(UUID(int=0), at, companies, contacts):
        path = directory / file.name
        path.write_bytes(file.content)
        paths.append(path)
    return paths[0], paths[1]


def convert_command(program: str, profile: Path, path: Path, into: Path) -> list[str]:
    """The command that has a file read and written again. ``profile``: LibreOffice's own, so that no open one is in its way."""
    options = ("--headless", f"-env:UserInstallation={profile.as_uri()}", f"--infilter={READ_AS}")
    return [program, *options, "--convert-to", WRITE_AS, "--outdir", str(into), str(path)]


def main(
    companies_csv: Annotated[Path | None, typer.Argument(help="Default: made-up rows.")] = None,
    contacts_csv: Annotated[Path | None, typer.Argument()] = None,
    keep: Annotated[Path | None, typer.Option(help="Where the files are kept; default: nowhere.")] = None,
) -> None:
    """Check both files; one line per cell that differs."""
    if (companies_csv is None) != (contacts_csv is None):
        raise typer.BadParameter("give both files, companies first, or none for made-up rows")
    with tempfile.TemporaryDirectory(prefix="pm-spreadsheet-") as name:
        directory = keep or Path(name)
        directory.mkdir(parents=True, exist_ok=True)
        given = (companies_csv, contacts_csv) if companies_csv and contacts_csv else risky_files(directory)
        program = shutil.which("soffice") or shutil.which("libreoffice")
        into, profile = directory.resolve() / "held", directory.resolve() / "profile"
        if program is None:
            print("LibreOffice is not installed (no soffice or libreoffice on the PATH). Where it is, run:")
            print(
                f"  python -m evals.spreadsheet {shlex.join(str(path) for path in given) if companies_csv else ''}".rstrip()
            )
            raise typer.Exit(_EXIT_NOT_INSTALLED)
        found = [(path, difference) for path in given for difference in _checked(program, profile, path, into)]
    for path, difference in found:
        print(f"{path.name} row {difference.row} {difference.column}: {difference.written!r} is {difference.held!r}")
    print(f"{len(found)} cells differ")
    raise typer.Exit(_EXIT_DIFFERENT if found else 0)


def _checked(program: str, profile: Path, path: Path, into: Path) -> list[Difference]:
    command = convert_command(program, profile, path, into)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=_CONVERT_TIMEOUT_S, check=False)
    held = into / path.name
    if not held.exists():  # the exit code is 0 even for a file that is not there
        sys.exit(f"LibreOffice wrote no {held.name}: {ended.stderr.strip() or ended.stdout.strip()}")
    return differences(path.read_text(encoding="utf-8"), held.read_text(encoding="utf-8"))


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return _is_plain(one) and float(one) == float(other)
    except ValueError:
        return False


def _is_plain(text: str) -> bool:
    """A number as our files write one: 1240 or 0.85, never 00123 or 1E5, which are somebody's text."""
    return text == f"{float(text):g}" and "e" not in text


if __name__ == "__main__":
    typer.run(main)
