"""The two files a CRM loads, to the byte (DOMAIN, "The two files"; LESSONS F91 to F93)."""

import csv
import io
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.company.facts import CompanyType
from domain.delivery.csv_files import COMPANY_COLUMNS, CONTACT_COLUMNS, cell, escape_formula, render_files

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


def test_f91_the_files_have_exactly_the_14_and_13_columns_in_order() -> None:
    companies, contacts = render_files(RUN_ID, AT, [], [])
    assert companies.content == (
        b"company_name,domain,website,state,pms_detected,units_estimate,company_type,description,discovery_source,"
        b"icp_fit,icp_tier,icp_confidence,disqualifiers,created_at\n"
    )
    assert contacts.content == (
        b"full_name,title,email,linkedin_url,department,seniority,quality_score,company_name,company_domain,"
        b"company_website,company_state,personalization_notes,created_at\n"
    )
    assert (len(COMPANY_COLUMNS), len(CONTACT_COLUMNS)) == (14, 13)


def test_the_names_hold_the_first_8_characters_of_the_run_and_the_time_in_utc() -> None:
    east = AT.astimezone(timezone(timedelta(hours=5)))
    companies, contacts = render_files(RUN_ID, east, [], [])
    assert companies.name == "companies_0123abcd_20310203_040506.csv"
    assert contacts.name == "contacts_0123abcd_20310203_040506.csv"


def test_a_row_is_its_columns_whatever_the_order_or_surplus_of_its_keys() -> None:
    row = company(company_id="internal", state="TX", units_estimate=1200, icp_confidence=0.85, icp_tier="A+")
    companies, _ = render_files(RUN_ID, AT, [dict(reversed(row.items()))], [])
    assert companies.content.decode().split("\n")[1:] == [
        "Acme,acme.com,,TX,,1200,,,,,A+,0.85,,2031-02-03T04:05:06Z",
        "",
    ]
    assert companies.rows == 1


def test_lines_end_with_lf_and_only_what_must_be_quoted_is() -> None:
    companies, _ = render_files(RUN_ID, AT, [company(company_name='Acme "Homes", LLC', description="two words")], [])
    text = companies.content.decode()
    assert "\r" not in text and text.endswith("\n") and text.count("\n") == 2
    assert text.split("\n")[1].startswith('"Acme ""Homes"", LLC",acme.com,')
    assert text.count('"') == 6 and ",two words," in text


def test_the_files_are_utf_8_without_a_byte_order_mark() -> None:
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
def test_a_value_as_a_cell(value: object, text: str) -> None:
    assert cell(value) == text


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1 512 555 0100", "-Acme", "@acme", " =1+1", "\t=1", "\r=1", "＝1", "＋1", "－1", "＠x", "\u200b=1", "\x00=1"],
)  # fmt: skip
def test_what_a_spreadsheet_takes_for_a_formula_is_kept_as_text(text: str) -> None:
    assert escape_formula(text).startswith("'")


@pytest.mark.parametrize("text", ["Acme", "'=1", "1-2", "a=b", "O'Neil & Sons", "(512) 555-0100", "jane@acme.com", ""])
def test_any_other_text_is_left_as_it_is(text: str) -> None:
    assert escape_formula(text) == text


def test_line_breaks_tabs_and_typographic_spaces_become_one_space() -> None:
    assert escape_formula("one\r\ntwo\tthree\u00a0four\u2028five") == "one two three four five"


@settings(deadline=None)
@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT, ANY_TEXT), max_size=5))
def test_no_cell_of_the_parsed_file_begins_like_a_formula(cells: list[tuple[str, str, str]]) -> None:
    rows = [company(company_name=name, description=text, domain=domain) for name, text, domain in cells]
    companies, _ = render_files(RUN_ID, AT, rows, [])
    lines = parsed(companies.content)
    assert [len(line) for line in lines] == [14] * (len(rows) + 1)
    for line in lines[1:]:
        assert not any(value.lstrip().startswith(FORMULA_STARTS) for value in line)
        assert all(char.isprintable() for value in line for char in value)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=40))
def test_printable_text_round_trips_save_for_the_apostrophe_before_a_formula(text: str) -> None:
    companies, _ = render_files(RUN_ID, AT, [company(description=text)], [])
    (_, line) = parsed(companies.content)
    shown = dict(zip(COMPANY_COLUMNS, line, strict=True))["description"]
    assert shown == (f"'{text}" if text.lstrip().startswith(FORMULA_STARTS) else text)


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="'"), max_size=40))
def test_neutralising_loses_no_word_and_joins_none(text: str) -> None:
    words = ["".join(char for char in word if char.isprintable()) for word in text.split()]
    assert escape_formula(text).removeprefix("'").split() == [word for word in words if word]


def test_f92_a_contact_of_a_company_that_is_not_delivered_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not in the companies file: stray\.com"):
        render_files(RUN_ID, AT, [company()], [contact(), contact(company_domain="stray.com")])


def test_every_company_of_the_contacts_file_is_in_the_companies_file() -> None:
    companies, contacts = render_files(RUN_ID, AT, [company(), company(domain="b.com")], [contact(), contact()])
    domains = {line[1] for line in parsed(companies.content)[1:]}
    assert {line[8] for line in parsed(contacts.content)[1:]} <= domains
    assert (companies.rows, contacts.rows) == (2, 2)


@pytest.mark.parametrize("which", ["company", "contact"])
def test_f93_a_row_without_a_column_gives_neither_file(which: str) -> None:
    companies, contacts = [company()], [contact()]
    if which == "company":
        del companies[0]["icp_tier"]
    else:
        del contacts[0]["email"]
    with pytest.raises(ValueError, match=r"row without column (icp_tier|email)"):
        render_files(RUN_ID, AT, companies, contacts)
