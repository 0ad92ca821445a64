"""Imports: all of a file or nothing, and what is imported is what the suppression check reads.

The rules of files and rows are tested in ``tests/domain/imports``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.delivery.columns import COMPANY_COLUMNS
from domain.delivery.csv_files import render_files
from domain.imports.columns import ImportKind
from runtime.process import UserError
from store.companies import suppressions
from store.companies.imported import ImportCounts
from store.database import Connection, Database
from tests.e2e.terminal import Terminal
from usecases.import_file import ImportReport, import_file

S, C, X = ImportKind.SUPPRESSIONS, ImportKind.CUSTOMERS, ImportKind.SEEDS
GOOD = "Domain,Company,State,Reason\nacme.com,Acme,TX,\n,Birch Homes LLC,Ohio,contacted\n"


class Files:
    """Writes a file and imports it."""

    def __init__(self, conn: Connection, directory: Path) -> None:
        self._conn = conn
        self._directory = directory

    async def __call__(self, text: str, kind: ImportKind = S, name: str = "list.csv", **how: bool) -> ImportReport:
        path = self._directory / name
        path.write_bytes(text.encode())
        return await import_file(self._conn, kind, path, {}, **how)


@pytest.fixture
def imported(conn: Connection, tmp_path: Path) -> Files:
    return Files(conn, tmp_path)


async def _entries(conn: Connection) -> list[tuple[Any, ...]]:
    cursor = await conn.execute("SELECT * FROM suppression_domains ORDER BY entry_key")
    return [tuple(row.values()) for row in await cursor.fetchall()]


async def _match(conn: Connection, name: str = "x", states: Sequence[str] = (), *domains: str) -> str | None:
    return await suppressions.find_match(conn, domains, name, states, 90)


async def test_imported_companies_are_suppressed(conn: Connection, imported: Files) -> None:
    report = await imported(GOOD)
    assert (report.counts, report.rows, report.bad) == (ImportCounts(new=2), 2, 0)
    assert await _match(conn, "x", [], "acme.com") == "do_not_contact"
    assert await _match(conn, "ACME, Inc.", ["TX"]) == "do_not_contact"
    assert await _match(conn, "Birch Homes", ["OH"]) == "contacted"
    assert await _match(conn, "Birch Homes", ["TX"]) is None


async def test_importing_twice_changes_nothing(conn: Connection, imported: Files) -> None:
    await imported(GOOD)
    before = await _entries(conn)
    report = await imported(GOOD, name="again.csv")
    assert (report.counts, report.imported) == (ImportCounts(unchanged=2), True)
    assert await _entries(conn) == before


async def test_a_dry_run_changes_nothing(conn: Connection, imported: Files) -> None:
    await imported("Domain,Reason,Contacted at\nacme.com,contacted,2026-01-01\nb.com,contacted,2026-01-01\n")
    before = await _entries(conn)
    later = "Domain,Reason,Contacted at\nacme.com,contacted,2026-10-01\nb.com,contacted,2026-01-01\nc.com,,\nCO.UK,,\n"
    report = await imported(later, dry_run=True)
    assert report.counts == ImportCounts(new=1, updated=1, unchanged=1)
    assert (report.bad, report.bad_rows[0].line, report.imported) == (1, 5, False)
    assert await _entries(conn) == before


async def test_one_bad_row_keeps_the_file_out(conn: Connection, imported: Files) -> None:
    report = await imported(GOOD + "gmail.com,,,\n" * 25)
    assert (report.rows, report.bad, report.imported) == (27, 25, False)
    assert [row.line for row in report.bad_rows] == list(range(4, 24)), "the first 20 are shown"
    assert await _entries(conn) == []


async def test_bad_rows_can_be_skipped_and_are_listed(conn: Connection, imported: Files) -> None:
    report = await imported(GOOD + "gmail.com,,,\n" * 25, skip_bad_rows=True)
    assert (report.counts.new, report.imported, len(report.bad_rows)) == (2, True, 25)
    assert len(await _entries(conn)) == 3  # a domain, the name beside it, and a name alone


async def test_a_file_that_breaks_off_leaves_nothing_behind(conn: Connection, imported: Files) -> None:
    rows = "".join(f"company{number}.com,,,\n" for number in range(3_000))
    with pytest.raises(UserError, match=r"list\.csv: line 3004: a quote is opened and never closed"):
        await imported(GOOD + rows + '"d.com,,,\n', skip_bad_rows=True)
    assert await _entries(conn) == []
    assert (await imported(GOOD)).imported, "the connection can be used again"


async def test_a_customer_who_left_is_removed_unless_listed_otherwise(conn: Connection, imported: Files) -> None:
    await imported("Domain\ndnc.com\n")
    await imported("Domain,Company,State\na.com,,\nb.com,,\ndnc.com,,\n,Oak LLC,TX\nc.com,Pine,TX\n", C)
    report = await imported(
        "Domain,Company,State,Status\na.com,,,churned\nb.com,,,churned\nb.com,,,active\ndnc.com,,,churned\n"
        ",Oak,Texas,churned\n,Pine,TX,churned\nnever-listed.com,,,churned\n",
        C,
    )
    assert (report.counts, report.not_listed) == (ImportCounts(unchanged=1, removed=3), 6)
    found = {domain: await _match(conn, "x", [], domain) for domain in ("a.com", "b.com", "c.com", "dnc.com")}
    # b.com has another contract, and Pine is listed by its domain: neither is known to have left.
    assert found == {"a.com": None, "b.com": "customer", "c.com": "customer", "dnc.com": "do_not_contact"}
    assert await _match(conn, "Oak", ["TX"]) is None


@pytest.mark.parametrize("dry_run", [False, True])
async def test_with_skipped_rows_no_customer_is_removed(conn: Connection, imported: Files, dry_run: bool) -> None:
    await imported("Domain\na.com\n", C)
    text = "Domain,Status\na.com,churned\nb.com,active\n"

    # The bad row may be a.com's other contract.
    report = await imported(text + "a.com,gone fishing\n", C, skip_bad_rows=True, dry_run=dry_run)
    assert (report.counts, report.bad, report.not_listed) == (ImportCounts(new=1), 1, 1)
    assert "no customer is removed" in report.notices[0]
    assert await _match(conn, "x", [], "a.com") == "customer"

    report = await imported(text, C, skip_bad_rows=True)
    assert (report.counts.removed, report.notices) == (1, ())
    assert await _match(conn, "x", [], "a.com") is None


async def test_seeds_are_kept_by_vendor_and_account(conn: Connection, imported: Files) -> None:
    text = "PMS,Portal URL,Company\nBuildium,https://acme.managebuilding.com/Resident,Acme\n,birch.appfolio.com/connect,B\n"
    assert (await imported(text, X)).counts == ImportCounts(new=2)
    assert (await imported(text, X)).counts == ImportCounts(unchanged=2)
    rows = await (await conn.execute("SELECT vendor, slug FROM pms_subdomains ORDER BY vendor")).fetchall()
    assert [tuple(row.values()) for row in rows] == [("AppFolio", "birch"), ("Buildium", "acme")]


async def test_an_open_import_is_not_seen(database: Database, conn: Connection, imported: Files) -> None:
    await imported("Domain\na.com\nb.com\n", C)
    async with database.transaction() as reader, conn.transaction(force_rollback=True):
        await conn.execute("DELETE FROM suppression_domains")
        assert await _match(reader, "x", [], "a.com") == "customer"


def delivered_to(directory: Path, *companies: dict[str, Any]) -> Path:
    """A companies file as a run exports it."""
    rows = [{**dict.fromkeys(COMPANY_COLUMNS), **company} for company in companies]
    file, _ = render_files(UUID(int=1), datetime(2026, 11, 23, tzinfo=UTC), rows, [])
    (directory / file.name).write_bytes(file.content)
    return directory / file.name


async def test_a_delivered_file_lists_its_companies_as_contacted(conn: Connection, tmp_path: Path) -> None:
    made_at = datetime(2026, 11, 23, 11, 15, tzinfo=UTC)
    bolt = {"company_name": "=Bolt", "domain": "bolt.com", "website": "https://bolt.com/", "state": "TX"}
    report = await import_file(conn, S, delivered_to(tmp_path, {**bolt, "created_at": made_at}), {})
    assert (report.counts, report.bad) == (ImportCounts(new=1), 0)
    assert "stored as contacted" in report.notices[0]
    assert await _match(conn, "x", [], "bolt.com") == "contacted"
    assert await _match(conn, "=Bolt", ["TX"]) == "contacted"


async def test_a_delivered_company_returns_after_its_mapped_date(conn: Connection, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    old, new = {"domain": "old.com", "created_at": now - timedelta(days=91)}, {"domain": "new.com", "created_at": now}
    report = await import_file(conn, S, delivered_to(tmp_path, old, new), {"contacted_at": "created_at"})
    assert report.counts == ImportCounts(new=2)
    assert await _match(conn, "x", [], "old.com") is None
    assert await _match(conn, "x", [], "new.com") == "contacted"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist"), (b"", "is empty"), (b"Domain\n", "no rows"), (b"Phone\n1\n", "'Phone'")],
    ids=["missing", "empty", "header_only", "header_unknown"],
)
async def test_an_unusable_file_is_refused_by_name(
    conn: Connection, tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"list\.csv") as caught:
        await import_file(conn, S, tmp_path / "list.csv", {})
    assert message in str(caught.value)


async def test_a_directory_is_not_a_file(conn: Connection, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a file"):
        await import_file(conn, S, tmp_path, {})


@pytest.fixture
def terminal(tmp_path: Path, database_url: str) -> Terminal:
    """A terminal with only the database: no Temporal."""
    return Terminal(tmp_path, tmp_path / "no-stack").with_variables(DATABASE_URL=database_url)


async def test_the_command_needs_only_the_database(terminal: Terminal, conn: Connection) -> None:
    (terminal.directory / "crm.csv").write_bytes("Company Domain;Firm\ncafé-homes.com;Café\n".encode("cp1252"))
    document = terminal.json("import", "customers", "crm.csv", "--map", "domain=Company Domain")
    assert (document["imported"], document["counts"]["new"], document["bad"]) == (True, 1, 0)
    assert (document["encoding"], document["delimiter"]) == ("cp1252", "semicolon")
    assert "Windows-1252" in document["notices"][0]
    assert document["unused_columns"] == ["Firm"]
    assert await _match(conn, "x", [], "xn--caf-homes-d4a.com") == "customer"


async def test_a_refused_file_exits_with_2_and_names_its_lines(terminal: Terminal, conn: Connection) -> None:
    (terminal.directory / "bad.csv").write_text(GOOD + "=HYPERLINK(1),,,\n")
    output = terminal.run("import", "suppressions", "bad.csv", code=2)
    document = terminal.json("import", "suppressions", "bad.csv", "--dry-run", code=2)
    assert "line 4: 'Domain' has a formula" in output.out
    assert "bad.csv: UTF-8, separated by comma, 3 rows" in output.out
    assert output.err.startswith("error: 1 of 3 rows is bad, so nothing was imported")
    assert "--skip-bad-rows" in output.err
    assert (document["bad"], document["bad_rows"][0]["line"], document["imported"]) == (1, 4, False)
    assert "nothing would be imported" in document["error"]
    assert await _entries(conn) == []


def test_the_command_says_why_a_row_is_not_listed(terminal: Terminal) -> None:
    (terminal.directory / "one.csv").write_bytes("Domain,Company,Status\nacme.com,Café,churned\n".encode("cp1252"))
    (terminal.directory / "two.csv").write_text("Domain,Do not contact\nacme.com,no\nbirch.com,no\n")
    customers = terminal.run("import", "customers", "one.csv").out
    suppressed = terminal.run("import", "suppressions", "two.csv").out
    assert "one.csv: Windows-1252, separated by comma, 1 row\n" in customers
    assert "1 row not listed (customers who have left)" in customers
    assert "2 rows not listed (not marked do-not-contact)" in suppressed
