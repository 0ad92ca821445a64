"""The spreadsheet check finds a cell that was calculated or changed, and asks LibreOffice for formulas, not for their texts."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from typer import Exit

from domain.delivery.columns import COMPANY_COLUMNS
from evals.spreadsheet import READ_AS, RISKY_TEXTS, WRITE_AS, convert_command, differences, main, risky_files

WRITTEN = "name,units,share\n'=1+1,1240,0.85\nAcme,,1\n"


def test_files_that_hold_the_same_do_not_differ_whatever_their_quotes_and_numbers_look_like() -> None:
    assert differences(WRITTEN, '"name","units","share"\r\n"\'=1+1",1240.0,.85\r\n"Acme",,1\r\n') == []


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        pytest.param("name,units,share\n2,1240,0.85\nAcme,,1\n", [(1, "name", "'=1+1", "2")], id="calculated"),
        pytest.param("name,units,share\n=1+1,1240,0.85\nAcme,,1\n", [(1, "name", "'=1+1", "=1+1")], id="a formula"),
        pytest.param(
            "name,units,share\n'=1+1,1240,0.85\n", [(2, "name", "Acme", ""), (2, "share", "1", "")], id="lost"
        ),
        pytest.param("name,units,share\n'=1+1,1240,0.85\nAcme,0,1\n", [(2, "units", "", "0")], id="filled"),
    ],
)
def test_a_cell_that_a_spreadsheet_changes_is_named(held: str, expected: list[tuple[int, str, str, str]]) -> None:
    assert [(d.row, d.column, d.written, d.held) for d in differences(WRITTEN, held)] == expected


@pytest.mark.parametrize(
    ("text", "held"), [("00123", "123"), ("1E5", "100000"), ("nan", "NaN")], ids=["leading zeros", "exponent", "nan"]
)
def test_a_text_that_looks_like_a_number_must_stay_as_it_is(text: str, held: str) -> None:
    assert len(differences(f"name\n{text}\n", f"name\n{held}\n")) == 1


def test_every_risky_text_is_in_every_column_of_text(tmp_path: Path) -> None:
    companies, contacts = risky_files(tmp_path)
    with companies.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (len(rows), list(rows[0])) == (len(RISKY_TEXTS), list(COMPANY_COLUMNS))
    assert not [row["company_name"] for row in rows if row["company_name"][:1] in {"=", "+", "-", "@", "\t", " "}]
    assert len(contacts.read_text(encoding="utf-8").splitlines()) == len(RISKY_TEXTS) + 1


def test_formulas_are_evaluated_when_read_and_written_as_formulas() -> None:
    assert READ_AS.split(",")[12] == "true"
    assert WRITE_AS.split(",")[9] == "true"
    command = convert_command("soffice", Path("/tmp/profile"), Path("a.csv"), Path("out"))  # noqa: S108  # never made
    assert command[:3] == ["soffice", "--headless", "-env:UserInstallation=file:///tmp/profile"]
    assert command[-1] == "a.csv"


def test_where_libreoffice_is_missing_the_check_says_so_and_does_not_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(Exit) as ended:
        main()
    assert ended.value.exit_code == 2
    assert "python -m evals.spreadsheet" in capsys.readouterr().out
