"""The evidence file covers exactly the cells of a run's files."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr
from rich.console import Console
from typer.testing import CliRunner

import starter
from cli.evidence import plain, print_evidence
from domain.company.facts import CompanyFacts, CompanyType, TextEvidence, UnitsEvidence
from domain.company.places import Place
from domain.company.pms_vendors import PmsVendor
from domain.company.status import CompanyStatus, ReasonCode
from domain.contact.email_address import EmailStatus
from domain.delivery.csv_files import CsvFile
from domain.evidence import Evidence
from domain.request.run_request import RunRequest
from runtime.process import UserError
from store.companies import companies, contacts
from store.database import Connection
from store.runs import runs
from store.runs.runs import RunRow
from tests.store.rows import EVIDENCE, add_company, add_research, add_run, complete, facts_in, person
from usecases.evidence import evidence_of
from usecases.export import export_files, write_files
from usecases.find import find_company

HOSTILE = "[red]Since 1990[/red] \x1b[2J\u202e\n:smile: \u009b31m=SUM(A1)"
FACTS = facts_in(Place(city="Austin", state="TX")).model_copy(
    update={
        "pms_status": "detected",
        "pms": PmsVendor.BUILDIUM,
        "pms_evidence": EVIDENCE,
        "company_type": CompanyType.SINGLE_FAMILY,
        "company_type_evidence": EVIDENCE,
        "units": UnitsEvidence(value=1240, basis="stated", evidence=EVIDENCE),
        "description": TextEvidence(
            value=HOSTILE, evidence=Evidence(result_id="r2", url="http://acme.example/", quote=HOSTILE)
        ),
    }
)


async def _complete(conn: Connection, run_id: UUID, name: str, position: int, facts: CompanyFacts = FACTS) -> UUID:
    company_id = await add_company(conn, run_id, name, position=position)
    domain = f"{name.lower()}.example"
    await companies.set_own_site(conn, company_id, domain, f"http://{domain}/", [f"old-{domain}"])
    await add_research(conn, run_id, company_id, facts)
    people = [
        person(f"Olive {name}", email=f"olive@{domain}").model_copy(
            update={"email_status": EmailStatus.PUBLISHED, "email_evidence": EVIDENCE}
        ),
        person(f"Bo {name}", "Property Manager"),
        person(f"Left {name}", "Office Manager"),
    ]
    await contacts.save_people(conn, run_id, company_id, people)
    await contacts.set_selection(conn, company_id, people[:2])
    await complete(conn, company_id)
    return company_id


@pytest.fixture
async def request_(conn: Connection) -> RunRequest:
    """A run for two companies: three are complete, and one ended in each of the other ways."""
    request = await add_run(conn, target=2)
    owner, *_ = [await _complete(conn, request.run_id, name, n) for n, name in enumerate(("Birch", "Acme", "Cedar"))]
    ends = (
        ("Dogwood", CompanyStatus.REJECTED, ReasonCode.PMS_NOT_MET, "runs AppFolio, not Buildium", None),
        ("Elm", CompanyStatus.NEEDS_REVIEW, ReasonCode.UNITS_UNKNOWN, "number of units not stated", None),
        ("Fir", CompanyStatus.SUPPRESSED, ReasonCode.SUPPRESSED, "customer", None),
        ("Gum", CompanyStatus.DUPLICATE, ReasonCode.DUPLICATE, str(owner), owner),
        ("Hazel", CompanyStatus.FAILED, ReasonCode.STEP_FAILED, "", None),
    )
    for position, (name, status, reason, detail, duplicate_of) in enumerate(ends, start=10):
        company_id = await add_company(conn, request.run_id, name, position=position)
        await companies.end_company(conn, company_id, status, reason, detail, duplicate_of)
        if duplicate_of is not None:
            await companies.set_own_site(conn, company_id, "birch.example", "http://birch.example/", [])
    await add_company(conn, request.run_id, "Open", position=99)
    return request


@pytest.fixture
async def run(conn: Connection, request_: RunRequest) -> RunRow:
    return await runs.get_run(conn, request_.run_id)


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


async def test_every_filled_cell_has_one_line_of_evidence(conn: Connection, run: RunRow, tmp_path: Path) -> None:
    files = await export_files(conn, run, tmp_path, evidence=True)

    assert files.evidence_jsonl is not None
    lines = [json.loads(line) for line in files.evidence_jsonl.read_text(encoding="utf-8").splitlines()]
    told = [(c["file"], c["domain"], c["person"], c["column"], c["value"]) for c in lines]
    written = [
        ("companies", row["domain"], None, column, value)
        for row in rows(files.companies_csv)
        for column, value in row.items()
    ] + [
        ("contacts", row["company_domain"], row["full_name"], column, value)
        for row in rows(files.contacts_csv)
        for column, value in row.items()
    ]
    assert len(rows(files.contacts_csv)) == 4
    assert sorted(c for c in told if c[3] != "email_status") == sorted(c for c in written if c[4]), "key by key"
    assert [c[4] for c in told if c[3] == "email_status"] == ["published", "published"]
    assert list(dict.fromkeys(c["domain"] for c in lines)) == ["birch.example", "acme.example"], "delivery order"


async def test_rejected_companies_are_listed_with_a_reason(conn: Connection, run: RunRow, tmp_path: Path) -> None:
    files = await export_files(conn, run, tmp_path, rejected=True)

    assert files.rejected_csv is not None
    told = {
        row["company_name"]: (row["status"], row["failing_criterion"], row["why"]) for row in rows(files.rejected_csv)
    }
    assert told == {
        "Dogwood": ("rejected", "pms", "runs AppFolio, not Buildium"),
        "Elm": ("needs_review", "units", "number of units not stated"),
        "Fir": ("suppressed", "", "on a list of companies that are never delivered"),
        "Gum": ("duplicate", "", "the same company as Birch"),
        "Hazel": ("failed", "", "an activity failed permanently; the run continued without this company"),
    }
    assert "customer" not in files.rejected_csv.read_text(encoding="utf-8"), "not which list names it"


async def test_all_files_are_written_or_none(conn: Connection, run: RunRow, tmp_path: Path) -> None:
    written = await export_files(conn, run, tmp_path / "out", evidence=True, rejected=True)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    stamp = written.companies_csv.stem.removeprefix("companies_")
    assert names == [
        f"companies_{stamp}.csv",
        f"contacts_{stamp}.csv",
        f"evidence_{stamp}.jsonl",
        f"rejected_{stamp}.csv",
    ]

    files = [CsvFile(name=name, content=b"x", rows=0) for name in names]
    (tmp_path / "half" / names[-1]).mkdir(parents=True)  # so that the last of them cannot get its name
    with pytest.raises(UserError, match="cannot be written"):
        write_files(tmp_path / "half", *files)
    assert [path.name for path in (tmp_path / "half").iterdir()] == names[-1:]
    with pytest.raises(UserError, match="cannot be written"):
        write_files(written.companies_csv, *files)  # a file stands where the directory should be


async def test_a_company_is_found_by_domain_name_alias_or_id(conn: Connection, run: RunRow) -> None:
    for text in ("birch.example", "https://www.birch.example/about", "BIRCH", "old-birch.example"):
        assert (await find_company(conn, run, text)).name == "Birch", f"{text}: and not its duplicate"
    gum = await find_company(conn, run, "gum")
    assert gum.status is CompanyStatus.DUPLICATE
    assert await find_company(conn, run, str(gum.company_id)[:8]) == gum

    with pytest.raises(UserError, match=r"no company 'Dogwod'\. Did you mean 'Dogwood'"):
        await find_company(conn, run, "Dogwod")
    await companies.set_own_site(
        conn, (await find_company(conn, run, "acme")).company_id, "birch.example", "http://birch.example/", []
    )
    with pytest.raises(UserError, match=r"matches 2 companies.*Birch, complete.*Give the company id"):
        await find_company(conn, run, "birch.example")


async def test_page_text_cannot_control_the_terminal(conn: Connection, run: RunRow) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=40)
    for company in await evidence_of(conn, run, "acme.example"):
        print_evidence(console, company)
    shown = console.file.getvalue()  # type: ignore[attr-defined]

    assert "“[red]Since 1990[/red] [2J :smile: 31m=SUM(A1)”" in shown, "as text, in one line"
    assert not {"\x1b", "\u202e", "\u009b"} & set(shown)
    assert "NO EVIDENCE" not in shown
    assert plain("a\tb\r\nc\x00\u200b") == "a b  c"


async def test_a_cell_without_evidence_is_marked(conn: Connection, run: RunRow) -> None:
    bare = FACTS.model_copy(update={"pms_evidence": None})
    await _complete(conn, run.run_id, "Ivy", 3, bare)
    console = Console(file=io.StringIO(), width=200)
    [ivy] = await evidence_of(conn, run, "ivy")
    print_evidence(console, ivy)
    assert "pms_detected Buildium\n      NO EVIDENCE" in console.file.getvalue()  # type: ignore[attr-defined]


async def test_json_output_is_one_document(
    run: RunRow, database_url: str, plain_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", SecretStr(database_url).get_secret_value())
    monkeypatch.chdir(tmp_path)

    async def document(*words: str) -> dict[str, object]:
        result = await asyncio.to_thread(CliRunner().invoke, starter.app, [*words, "--json"])
        assert result.exit_code == 0, result.output
        parsed: dict[str, object] = json.loads(result.output)
        return parsed

    evidence = await document("evidence", str(run.run_id))
    written = await document("export", str(run.run_id), "--evidence", "--rejected", "--output-dir", "out")
    accepted = await document("accept", str(run.run_id), "Dogwood", "--decided-by", "Dana", "--note", "known to us")
    plain_export = await document("export", str(run.run_id), "--output-dir", "out")

    told = evidence["companies"]
    assert isinstance(told, list)
    assert [(item["domain"], item["status"], len(item["cells"]) > 30) for item in told] == [
        ("birch.example", "complete", True),
        ("acme.example", "complete", True),
    ]
    assert (accepted["company"], accepted["reason"]) == ("Dogwood", "pms_not_met")
    for key in ("evidence_jsonl", "rejected_csv"):
        assert (tmp_path / str(written[key])).is_file()
        assert key not in plain_export
