"""CSV files as rows: encodings, delimiters, headers, and errors with line numbers."""

import codecs
import io

import pytest

from domain.imports.columns import COLUMNS, ImportFileError, ImportKind
from domain.imports.table import BadRow, Row, Table, open_table

S = ImportKind.SUPPRESSIONS


def opened(content: bytes | str, kind: ImportKind = S, **given: str) -> Table:
    raw = content.encode() if isinstance(content, str) else content
    return open_table(io.BytesIO(raw), COLUMNS[kind], given)


def rows(content: bytes | str) -> list[Row | BadRow]:
    return list(opened(content).rows())


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
def test_encoding_is_detected_and_a_guess_is_reported(content: bytes, encoding: str) -> None:
    found = opened(content).encoding
    assert found.name == encoding
    assert (found.notice is not None) == (encoding == "cp1252")
    [row] = rows(content)
    assert isinstance(row, Row)
    assert row.first("company_name") == "Café Müller"


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("mark", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
def test_delimiter_is_detected_and_lines_keep_their_numbers(mark: str, break_: str) -> None:
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
def test_common_column_names_match_in_any_case(header: str, columns: set[str]) -> None:
    assert set(opened(f"{header}\n").columns) == columns


def test_map_replaces_common_names_and_the_rest_is_unused() -> None:
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
        (b"Domain,Note\nx,\x81\n", {}, ("line 2 has a byte that is not valid Windows-1252", "UTF-8")),
        (b"source\ncrm\n", {}, ("Expected: domain; or company_name and state", "Add a column that names the companies")),
        (b"Firm URL\nacme.com\n", {}, ('--map domain="Firm URL"',)),
        (b"Domain|Company|State\na.com|A|TX\n", {}, ("no comma, semicolon or tab", "'Domain|Company|State'", "--map")),
        (b"Company,Phone\n", {}, ("lacks a needed column", "domain; or company_name and state", "'Company', 'Phone'", "--map domain=")),
        (b"a.com,Acme\n", {}, ("lacks", "'a.com', 'Acme'")),
        (b"Domain\n", {"domain": "Site"}, ("no 'Site'", "--map", "'Domain'")),
        (b"Domain\n", {"domian": "Domain"}, ("'domian'", "did you mean 'domain'?")),
        (b'"Domain,Company\n', {}, ("line 1", "never closed")),
    ],
    ids=["empty", "blank", "workbook", "utf16_bare", "no_encoding", "source_alone", "name_unknown", "other_delimiter",
         "column_missing", "no_header", "map_header", "map_column", "open_header_quote"],
)  # fmt: skip
def test_unreadable_file_is_refused_with_an_explanation(
    content: bytes, given: dict[str, str], words: tuple[str, ...]
) -> None:
    with pytest.raises(ImportFileError) as caught:
        list(opened(content, S, **given).rows())
    assert [word for word in words if word not in str(caught.value)] == []


def test_unclosed_quote_is_reported_with_its_line() -> None:
    read = opened('Domain,Company\na.com,A\nb.com,"B\n' + "c.com,C\n" * 50).rows()
    assert isinstance(next(read), Row)
    with pytest.raises(ImportFileError, match="line 3: a quote is opened and never closed"):
        next(read)


def test_rows_are_read_as_a_stream() -> None:
    content = b"Domain,Company\n" + b"".join(b"company%d.com,Company\n" % number for number in range(50_000))
    file = io.BytesIO(content)
    read = open_table(file, COLUMNS[S], {}).rows()
    assert isinstance(next(read), Row)
    assert file.tell() < 100_000 < len(content)
    assert [row.line for row in read][-1] == 50_001


def test_very_long_line_is_refused() -> None:
    with pytest.raises(ImportFileError, match="line 2 is longer than 1,000,000 characters"):
        list(opened(b"Domain\n" + b"x" * 3_000_000).rows())


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a.com,Acme", "has 2 cells where the header has 3"),
        ("a.com,Acme,TX,more", "has 4 cells where the header has 3"),
        ('a.com,"Ac"me,TX', "quotes do not match"),
        ("=HYPERLINK(1),Acme,TX", "'Domain' has a formula"),
        ("a.com,@SUM(A1),TX", "'Company' has a formula"),
        ("a.com,Ac\x07me,TX", "'Company' has a control character"),
        ("a.com,Ac\x00me,TX", "'Company' has a control character"),
        (f"a.com,{'x' * 10_001},TX", "10,001 characters; the maximum is 10,000"),
    ],
    ids=["short", "long", "quote", "formula", "function", "bell", "nul", "huge"],
)
def test_bad_row_has_a_line_and_the_next_row_is_read(row: str, words: str) -> None:
    bad, good = rows(f"Domain,Company,State\n{row}\nb.com,@home Realty,TX\n")
    assert isinstance(bad, BadRow) and bad.line == 2 and words in bad.problem
    assert isinstance(good, Row) and good.line == 3


def test_escaped_name_is_read_back() -> None:
    [row] = rows("Domain,Company\na.com,'=Homes & Co\n")
    assert isinstance(row, Row) and row.first("company_name") == "=Homes & Co"
