"""The two CSV files, byte by byte."""

import csv
import io
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.company.facts import CompanyType
from domain.delivery.columns import COMPANY_COLUMNS, CONTACT_COLUMNS
from domain.delivery.csv_files import cell, escape_formula, render_files

RUN_ID = UUID("0123abcd-0000-4000-8000-000000000000")
AT = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
FORMULA_STARTS = tuple("=+-@\t\r＝＋－＠")
ANY_TEXT = st.text(max_size=30) | st.builds(
    lambda start, rest: start + rest, st.sampled_from([*FORMULA_STARTS, " =", "\n+", "\u3000@", "\x00-", "\u200b="]), st.text()
)  # fmt: skip


def company(**cells: Any) -> dict[str, Any]:
    return dict.fromkeys(COMPANY_COLUMNS) | {"company_name": "Acme", "domain": "acme.com", "created_at": AT} | cells


def contact(**cells: Any) -> dict[str, Any]:
    return dict.fromkeys(CONTACT_COLUMNS) | {"full_name": "Jane Doe", "company_domain": "acme.com"} | cells


def parsed(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True))


def test_headers_of_both_files() -> None:
    companies, contacts = render_files(RUN_ID, AT, [], [])
    assert companies.content == (
        b"company_name,domain,website,state,pms_detected,units_estimate,company_type,description,discovery_source,"
        b"icp_fit,icp_tier,icp_confidence,disqualifiers,created_at\n"
    )
    assert contacts.content == (
        b"full_name,title,email,linkedin_url,department,seniority,quality_score,company_name,company_domain,"
        b"company_website,company_state,personalization_notes,created_at\n"
    )


def test_file_names_contain_run_id_and_utc_time() -> None:
    east = AT.astimezone(timezone(timedelta(hours=5)))
    companies, contacts = render_files(RUN_ID, east, [], [])
    assert companies.name == "companies_0123abcd_20310203_040506.csv"
    assert contacts.name == "contacts_0123abcd_20310203_040506.csv"


def test_row_follows_the_columns_not_its_keys() -> None:
    row = company(company_id="internal", state="TX", units_estimate=1200, icp_confidence=0.85, icp_tier="A+")
    companies, _ = render_files(RUN_ID, AT, [dict(reversed(row.items()))], [])
    assert companies.content.decode().split("\n")[1:] == [
        "Acme,acme.com,,TX,,1200,,,,,A+,0.85,,2031-02-03T04:05:06Z",
        "",
    ]
    assert companies.rows == 1


def test_lines_end_with_lf_and_quoting_is_minimal() -> None:
    companies, _ = render_files(RUN_ID, AT, [company(company_name='Acme "Homes", LLC', description="two words")], [])
    text = companies.content.decode()
    assert "\r" not in text and text.endswith("\n") and text.count("\n") == 2
    assert text.split("\n")[1].startswith('"Acme ""Homes"", LLC",acme.com,')
    assert text.count('"') == 6 and ",two words," in text


def test_files_are_utf8_without_bom() -> None:
    companies, _ = render_files(RUN_ID, AT, [company(company_name="Café Ñandú 東京 🏠")], [])
    assert "Café Ñandú 東京 🏠".encode() in companies.content
    assert not companies.content.startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0, "0"),
        (-5, "-5"),
        (1200, "1200"),
        (0.75, "0.75"),
        (1.0, "1"),
        (True, "true"),
        (CompanyType.SINGLE_FAMILY, "single_family"),
        (datetime(2031, 2, 3, 4, 5, 6, 789, tzinfo=timezone(timedelta(hours=-6))), "2031-02-03T10:05:06Z"),
        ("  padded  ", "  padded  "),
    ],
)
def test_cell_text_by_type(value: object, text: str) -> None:
    assert cell(value) == text


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1 512 555 0100", "-Acme", "@acme", " =1+1", "\t=1", "\r=1", "＝1", "＋1", "－1", "＠x", "\u200b=1", "\x00=1"],
)  # fmt: skip
def test_formula_is_escaped(text: str) -> None:
    assert escape_formula(text).startswith("'")


@pytest.mark.parametrize("text", ["Acme", "'=1", "1-2", "a=b", "O'Neil & Sons", "(512) 555-0100", "jane@acme.com", ""])
def test_other_text_is_not_escaped(text: str) -> None:
    assert escape_formula(text) == text


def test_line_breaks_and_tabs_become_one_space() -> None:
    assert escape_formula("one\r\ntwo\tthree\u00a0four\u2028five") == "one two three four five"


@settings(deadline=None)
@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT, ANY_TEXT), max_size=5))
def test_no_cell_starts_like_a_formula(cells: list[tuple[str, str, str]]) -> None:
    rows = [company(company_name=name, description=text, domain=domain) for name, text, domain in cells]
    companies, _ = render_files(RUN_ID, AT, rows, [])
    lines = parsed(companies.content)
    assert [len(line) for line in lines] == [14] * (len(rows) + 1)
    for line in lines[1:]:
        assert not any(value.lstrip().startswith(FORMULA_STARTS) for value in line)
        assert all(char.isprintable() for value in line for char in value)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=40))
def test_printable_text_round_trips(text: str) -> None:
    companies, _ = render_files(RUN_ID, AT, [company(description=text)], [])
    (_, line) = parsed(companies.content)
    shown = dict(zip(COMPANY_COLUMNS, line, strict=True))["description"]
    assert shown == (f"'{text}" if text.lstrip().startswith(FORMULA_STARTS) else text)


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="'"), max_size=40))
def test_escaping_keeps_every_word(text: str) -> None:
    words = ["".join(char for char in word if char.isprintable()) for word in text.split()]
    assert escape_formula(text).removeprefix("'").split() == [word for word in words if word]


def test_contact_of_a_missing_company_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"not in the companies file: stray\.com"):
        render_files(RUN_ID, AT, [company()], [contact(), contact(company_domain="stray.com")])


@pytest.mark.parametrize(("file", "column"), [("companies", "icp_tier"), ("contacts", "email")])
def test_row_without_a_column_is_an_error(file: str, column: str) -> None:
    rows = {"companies": [company()], "contacts": [contact()]}
    del rows[file][0][column]
    with pytest.raises(ValueError, match=f"row without column {column}"):
        render_files(RUN_ID, AT, rows["companies"], rows["contacts"])
