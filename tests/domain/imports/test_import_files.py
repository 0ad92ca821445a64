"""Files that people bring along: what is understood, and what is refused with its line and what was expected."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count, islice

import pytest

from domain.company.pms_vendors import PmsVendor
from domain.imports.columns import COLUMNS, ImportKind
from domain.imports.rows import RowError, Seed, SuppressionChange, customer_row, seed_row, suppression_row
from domain.imports.table import BadRow, ImportFileError, Row, Table, encoding_of, open_table, text_lines
from pms.accounts import find_account, is_account_host, portal_address

NOW = datetime(2026, 11, 23, tzinfo=UTC)
S, C, X = ImportKind.SUPPRESSIONS, ImportKind.CUSTOMERS, ImportKind.SEEDS


def chunks(content: bytes, size: int = 7) -> Iterator[bytes]:
    """A file in pieces so small that characters, line breaks and quotes are cut in the middle."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


def opened(content: bytes | str, kind: ImportKind = S, **given: str) -> Table:
    raw = content.encode() if isinstance(content, str) else content
    return open_table(text_lines(chunks(raw), encoding_of(chunks(raw, 4096))), COLUMNS[kind], given)


def rows(content: bytes | str, kind: ImportKind = S) -> list[Row | BadRow]:
    return list(opened(content, kind).rows())


def one(text: str, kind: ImportKind = S) -> Row:
    [row] = rows(text, kind)
    assert isinstance(row, Row), row
    return row


def listed(text: str, kind: ImportKind = S) -> SuppressionChange | None:
    if kind is C:
        return customer_row(one(text, C), "list.csv", is_account_host, NOW)
    return suppression_row(one(text), "list.csv", is_account_host)


def seed(text: str) -> Seed:
    return seed_row(one(text, X), find_account, portal_address)


ACCENTED = "Domain,Company,State\r\ncafé.com,Café Müller,Texas\r\n"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (ACCENTED.encode(), "utf-8-sig"),
        (codecs.BOM_UTF8 + ACCENTED.encode(), "utf-8-sig"),
        (ACCENTED.encode("utf-16"), "utf-16"),
        (codecs.BOM_UTF16_BE + ACCENTED.encode("utf-16-be"), "utf-16"),
        (ACCENTED.encode("cp1252"), "cp1252"),
    ],
    ids=["utf8", "utf8_bom", "utf16_le", "utf16_be", "windows_1252"],
)
def test_the_encoding_is_found_and_a_guess_is_said_aloud(content: bytes, encoding: str) -> None:
    found = encoding_of(chunks(content))
    assert found.name == encoding
    assert (found.notice is not None) == (encoding == "cp1252")
    [row] = rows(content)
    assert isinstance(row, Row)
    assert row.first("company_name") == "Café Müller"


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("mark", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
def test_the_delimiter_is_found_by_the_header_and_lines_keep_their_numbers(mark: str, break_: str) -> None:
    lines = [
        "",
        "Company, legal;Domain;State/Region",
        'A "B" C;a.com;TX',
        "",
        '"two\nlines";b.com;TX',
        "C;c.com;TX",
        ";;",
    ]
    text = break_.join(line.replace(", legal", "").replace(";", mark) for line in lines)
    read = rows(text.replace("two\n", f"two{break_}"))
    assert [row.line for row in read] == [3, 5, 7]
    assert isinstance(read[0], Row) and read[0].first("company_name") == 'A "B" C'
    assert isinstance(read[1], BadRow) and "line break" in read[1].problem


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("DOMAIN,company name,state", {"domain", "company_name", "state"}),
        ("Website,Account,State/Region", {"domain", "company_name", "state"}),
        ("Company Domain Name,Name,Billing State/Province", {"domain", "company_name", "state"}),
        ("Website,Do not contact,Last Contacted", {"domain", "do_not_contact", "contacted_at"}),
    ],
    ids=["plain", "crm", "export", "box"],
)
def test_common_names_of_columns_are_known_in_any_case(header: str, columns: set[str]) -> None:
    assert set(opened(f"{header}\n").columns) == columns


def test_map_overrides_the_common_names_and_the_rest_is_named_as_unused() -> None:
    table = opened("Domain,Parent Site,Notes\n", domain="parent site")
    assert table.columns == {"domain": ("Parent Site",)}
    assert table.unused == ("Domain", "Notes")


@pytest.mark.parametrize(
    ("content", "given", "words"),
    [
        (b"", {}, ("empty", "header line")),
        (b"\n\r\n", {}, ("blank lines",)),
        (b"PK\x03\x04rest", {}, ("workbook", "save it as CSV")),
        ("Domain\n".encode("utf-16-le"), {}, ("NUL", "UTF-8")),
        (b"Domain,Note\nx,\x81\n", {}, ("line 2 holds a byte that Windows-1252 does not have", "UTF-8")),
        (b"source\ncrm\n", {}, ("Expected: domain; or company_name and state", "Add a column that names the companies")),
        (b"Firm URL\nacme.com\n", {}, ('--map domain="Firm URL"',)),
        (b"Domain|Company|State\na.com|A|TX\n", {}, ("no comma, semicolon or tab", "'Domain|Company|State'", "--map")),
        (b"Company,Phone\n", {}, ("lacks", "domain; or company_name and state", "'Company', 'Phone'", "--map domain=")),
        (b"a.com,Acme\n", {}, ("lacks", "'a.com', 'Acme'")),
        (b"Domain\n", {"domain": "Site"}, ("no 'Site'", "--map", "'Domain'")),
        (b"Domain\n", {"domian": "Domain"}, ("'domian'", "did you mean 'domain'?")),
        (b'"Domain,Company\n', {}, ("line 1", "never closed")),
    ],
    ids=["empty", "blank", "workbook", "utf16_bare", "no_encoding", "source_alone", "name_unknown", "other_delimiter",
         "column_missing", "no_header", "map_header", "map_column", "open_header_quote"],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_with_what_was_seen_and_expected(
    content: bytes, given: dict[str, str], words: tuple[str, ...]
) -> None:
    with pytest.raises(ImportFileError) as caught:
        list(opened(content, S, **given).rows())
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_quote_never_closed_is_named_by_the_line_that_opens_it() -> None:
    read = opened('Domain,Company\na.com,A\nb.com,"B\n' + "c.com,C\n" * 50).rows()
    assert isinstance(next(read), Row)
    with pytest.raises(ImportFileError, match="line 3: a quote is opened and never closed"):
        next(read)


def test_rows_are_read_as_they_come_however_long_the_file_is() -> None:
    def endless() -> Iterator[bytes]:
        yield b"Domain,Company\n"
        for number in count():
            yield f"company{number}.com,Company {number}\n".encode()

    table = open_table(text_lines(endless(), encoding_of(iter([b"x"]))), COLUMNS[S], {})
    read = list(islice(table.rows(), 5_000))
    assert (read[-1].line, len(read)) == (5_001, 5_000)


def test_a_line_without_end_is_refused_before_it_is_held_whole() -> None:
    with pytest.raises(ImportFileError, match="line 2 is longer than 1,000,000 characters"):
        list(text_lines(chunks(b"Domain\n" + b"x" * 3_000_000, 500_000), encoding_of(iter([b"x"]))))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a.com,Acme", "has 2 cells where the header has 3"),
        ("a.com,Acme,TX,more", "has 4 cells where the header has 3"),
        ('a.com,"Ac"me,TX', "quotes do not add up"),
        ("=HYPERLINK(1),Acme,TX", "'Domain' holds a formula"),
        ("a.com,@SUM(A1),TX", "'Company' holds a formula"),
        ("a.com,Ac\x07me,TX", "'Company' holds a control character"),
        ("a.com,Ac\x00me,TX", "'Company' holds a control character"),
        (f"a.com,{'x' * 10_001},TX", "10,001 characters; at most 10,000"),
    ],
    ids=["short", "long", "quote", "formula", "function", "bell", "nul", "huge"],
)
def test_a_bad_row_is_named_by_its_line_and_the_next_one_is_read(row: str, words: str) -> None:
    bad, good = rows(f"Domain,Company,State\n{row}\nb.com,@home Realty,TX\n")
    assert isinstance(bad, BadRow) and bad.line == 2 and words in bad.problem
    assert isinstance(good, Row) and good.line == 3


def test_a_name_that_our_own_export_neutralised_is_read_back() -> None:
    assert one("Domain,Company\na.com,'=Homes & Co\n").first("company_name") == "=Homes & Co"


@pytest.mark.parametrize(
    ("value", "domain"),
    [
        ("https://WWW.Acme.com:443/about?x", "acme.com"),
        ("blog.acme.co.uk", "acme.co.uk"),
        ("müller.com", "xn--mller-kva.com"),
        ("https://acme.managebuilding.com/Resident", "acme.managebuilding.com"),
    ],
    ids=["url", "subdomain", "idn", "f70_portal_host"],
)
def test_a_domain_is_listed_as_the_gate_compares_it(value: str, domain: str) -> None:
    found = listed(f"Domain\n{value}\n")
    assert found is not None and [entry.domain for entry in found.entries] == [domain]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("co.uk", "bare suffix"),
        ("192.0.2.7", "IP address"),
        ("gmail.com", "free mail"),
        ("info@acme.com", "no domain"),
        ("not a domain", "no domain"),
        ("www.buildium.com", "vendor"),
        ("app.propertyware.com", "vendor"),
        ("facebook.com/acme", "social"),
        ("zillow.com", "listing site"),
    ],
    ids=["suffix", "ip", "free_mail", "mail_address", "words", "vendor", "shared_portal_host", "social", "listing"],
)
def test_a_domain_that_is_not_one_companys_own_is_refused(value: str, words: str) -> None:
    with pytest.raises(RowError, match=words) as caught:
        listed(f"Domain\n{value}\n")
    assert "expected the company's own domain" in str(caught.value)


def test_every_domain_of_a_row_is_an_entry_and_the_name_goes_with_each() -> None:
    found = listed("Domain,Website,Company,State\nacme.com,https://acme-homes.com,Acme LLC,Texas\n")
    assert found is not None
    assert [(e.domain, e.name_key, e.state) for e in found.entries] == [
        ("acme.com", "acme", "TX"),
        ("acme-homes.com", "acme", "TX"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Domain,Company,State\n,Acme,\n", "expected a domain, or company_name and state"),
        ("Company,State\nLLC,TX\n", "legal form"),
        ("Company,State\nAcme,Ontario\n", "expected a US state"),
        ("Domain,Reason\na.com,friend\n", "expected one of customer, contacted, do_not_contact"),
        ("Domain,contacted_at\na.com,last week\n", "2026-11-23 or 11/23/2026"),
        ("Domain,Do not contact\na.com,maybe\n", "expected yes or no"),
    ],
    ids=["nobody", "legal_form", "state", "reason", "date", "box"],
)
def test_a_row_that_says_nothing_usable_is_refused(text: str, words: str) -> None:
    with pytest.raises(RowError, match=words):
        listed(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Domain\na.com\n", "do_not_contact"),
        ("Domain,Reason\na.com,Do Not Contact\n", "do_not_contact"),
        ("Domain,Reason\na.com,contacted\n", "contacted"),
        ("Domain,Do not contact\na.com,YES\n", "do_not_contact"),
        ("Domain,Do not contact\na.com,no\n", None),
        ("Domain,Do not contact,Notes\na.com,,x\n", None),
        ("Domain,Do not contact,Last contacted\na.com,no,2026-11-01\n", "contacted"),
    ],
    ids=["default", "words", "contacted", "ticked", "not_ticked", "empty_box", "contacted_box"],
)
def test_the_reason_is_do_not_contact_unless_the_row_says_otherwise(text: str, reason: str | None) -> None:
    found = listed(text)
    assert (found.entries[0].reason if found else None) == reason


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("no,yes,", "do_not_contact"),
        ("yes,no,", "do_not_contact"),
        (",x,", "do_not_contact"),
        ("no,no,", None),
        ("no,no,contacted", "contacted"),
    ],
)
def test_of_several_boxes_one_ticked_is_enough(cells: str, reason: str | None) -> None:
    found = listed(f"Domain,Do not contact,Opted out,Reason\na.com,{cells}\n")
    assert (found.entries[0].reason if found else None) == reason


def test_of_several_boxes_none_may_be_unclear() -> None:
    with pytest.raises(RowError, match="do_not_contact is 'maybe'"):
        listed("Domain,Do not contact,Opted out\na.com,yes,maybe\n")


@pytest.mark.parametrize("cells", ["2026-01-05,11/01/2026", "2026-11-01,2026-01-05", ",2026-11-01"])
def test_of_several_dates_of_contact_the_latest_counts(cells: str) -> None:
    found = listed(f"Domain,Reason,Last contacted,Last activity date\na.com,contacted,{cells}\n")
    assert found is not None and found.entries[0].contacted_at == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-01", "2026-11-01T00:00:00Z", "11/1/2026", "2026-11-01 00:00"])
def test_dates_are_read_as_iso_or_as_us_spreadsheets_write_them(text: str) -> None:
    found = listed(f"Domain,Reason,Contacted at\na.com,contacted,{text}\n")
    assert found is not None and found.entries[0].contacted_at == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "churned_at", "is_listed"),
    [
        ("", "", True),
        ("Active", "", True),
        ("Churned", "", False),
        ("", "2026-01-31", False),
        ("cancelled", "2026-01-31", False),
        ("active", "2026-01-31", True),
        ("", "2027-01-31", True),
        ("churned", "2027-01-31", True),
    ],
    ids=["nothing", "active", "churned", "date", "both", "back_again", "still_to_come", "notice_given"],
)
def test_a_customer_counts_as_churned_only_when_nothing_says_otherwise(
    status: str, churned_at: str, is_listed: bool
) -> None:
    found = listed(f"Domain,Status,Churn date\na.com,{status},{churned_at}\n", C)
    assert found is not None and (found.is_listed, found.entries[0].reason) == (is_listed, "customer")


@pytest.mark.parametrize(
    ("cells", "is_listed"),
    [
        ("churned,active,,", True),
        ("active,churned,,", True),
        ("churned,lost,,", False),
        (",,2026-01-31,2027-01-31", True),
        (",,2027-01-31,2026-01-31", True),
        ("churned,,2026-01-31,2026-02-28", False),
    ],
)
def test_of_several_columns_every_one_given_must_say_churned(cells: str, is_listed: bool) -> None:
    found = listed(f"Domain,Status,Subscription status,Churn date,End date\na.com,{cells}\n", C)
    assert found is not None and found.is_listed is is_listed


def test_an_unknown_status_is_refused_and_not_taken_for_either() -> None:
    with pytest.raises(RowError, match="status is 'gone fishing'; expected one of active"):
        listed("Domain,Status\na.com,gone fishing\n", C)


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("PMS,Account\nbuildium,Acme\n", ("Buildium", "acme")),
        ("Portal\nhttps://acme.appfolio.com/connect/users\n", ("AppFolio", "acme")),
        ("Vendor,Slug\nPropertyware,acme\n", ("Propertyware", "acme")),
        ("Vendor,Account\nRentvine,https://acme.rentvine.com/portals/owner\n", ("Rentvine", "acme")),
    ],
    ids=["slug", "portal", "slug_in_path", "address_as_account"],
)
def test_a_seed_is_a_vendor_and_an_account(text: str, account: tuple[str, str]) -> None:
    found = seed(text)
    assert (found.vendor.value, found.slug) == account
    assert found.portal_url is not None and find_account(None, found.portal_url) is not None


def test_a_seed_keeps_its_hints_in_comparable_form() -> None:
    found = seed("PMS,Slug,Company,City,State,Website,Phone\nBuildium,acme,Acme,Austin,texas,acme.com,(512) 555-0100\n")
    assert found == Seed(
        vendor=PmsVendor.BUILDIUM,
        slug="acme",
        portal_url="https://acme.managebuilding.com/",
        company_name="Acme",
        city="Austin",
        state="TX",
        website="http://acme.com",
        phone="+15125550100",
    )


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("Buildum,acme,,,", "did you mean Buildium?"),
        (",acme,,,", "without a vendor"),
        ("Buildium,,,,", "no account"),
        ("Buildium,www,,,", "slug is 'www'"),
        ("Buildium,a b,,,", "slug is 'a b'"),
        ("Buildium,,https://www.buildium.com/,,", "expected a portal address"),
        ("Buildium,,https://acme.appfolio.com/,,", "a portal of AppFolio"),
        ("Buildium,other,https://acme.managebuilding.com/,,", "'acme'"),
        ("Buildium,acme,,https://acme.managebuilding.com/,", "website is"),
        ("Buildium,acme,,,555", "area code"),
    ],
    ids=["vendor", "no_vendor", "no_account", "reserved", "spaces", "marketing", "other_vendor", "other_slug", "website",
         "phone"],
)  # fmt: skip
def test_a_seed_that_names_no_account_or_bad_hints_is_refused(row: str, words: str) -> None:
    with pytest.raises(RowError) as caught:
        seed(f"Vendor,Slug,Portal URL,Website,Phone\n{row}\n")
    assert words in str(caught.value)
