"""A run's files: what is complete and selected, kept with the run, the same bytes whenever they are asked for (LESSONS F89)."""

from __future__ import annotations

import csv
import io
from uuid import UUID

import pytest
from temporalio.testing import ActivityEnvironment

from activities.export import ExportActivities
from domain.activity_io import ExportResult, RunInput
from domain.company.places import Place
from domain.delivery.csv_files import CsvFile
from domain.request.progress import RunStatus
from domain.request.run_request import RunRequest
from store.companies import companies, contacts
from store.database import Connection, Database
from store.delivery import export_rows
from store.runs import runs
from tests.store.rows import add_company, add_research, add_run, complete, facts_in, person
from usecases.export import rendered_files

TEXAS = facts_in(Place(city="Austin", state="TX"))


async def add_complete(conn: Connection, run_id: UUID, name: str, position: int, *, graded: bool = True) -> UUID:
    """A complete company with its owner as the selected contact."""
    company_id = await add_company(conn, run_id, name, position=position)
    domain = f"{name.lower()}.example"
    await companies.set_own_site(conn, company_id, domain, f"http://{domain}/", [])
    await add_research(conn, run_id, company_id, TEXAS, graded=graded)
    owner = person(f"Olive {name}", email=f"olive@{domain}")
    await contacts.save_people(conn, run_id, company_id, [owner])
    await contacts.set_selection(conn, company_id, [owner])
    await complete(conn, company_id)
    return company_id


@pytest.fixture
async def request_(database: Database) -> RunRequest:
    """A run for two companies that has three complete ones."""
    async with database.transaction() as conn:
        request = await add_run(conn, target=2)
        for position, name in enumerate(("Acme", "Birch", "Cedar")):
            await add_complete(conn, request.run_id, name, position)
    return request


async def export(database: Database, request: RunRequest) -> ExportResult:
    return await ActivityEnvironment().run(ExportActivities(database).export_run, RunInput(request=request))


async def finish(database: Database, request: RunRequest, status: RunStatus = RunStatus.COMPLETED) -> None:
    async with database.transaction() as conn:
        selected = await companies.complete_in_order(conn, request.run_id, request.target_quantity)
        await runs.finish(conn, request.run_id, status, selected, "")


async def kept(database: Database, request: RunRequest, kind: str) -> CsvFile | None:
    async with database.transaction() as conn:
        artifact = await export_rows.load_artifact(conn, request.run_id, kind)
    return artifact[0] if artifact else None


def names(file: CsvFile, column: str) -> list[str]:
    return [row[column] for row in csv.DictReader(io.StringIO(file.content.decode()))]


async def test_f9_the_selection_of_the_run_is_what_is_delivered_with_its_contacts(
    database: Database, request_: RunRequest
) -> None:
    await finish(database, request_)
    result = await export(database, request_)
    assert (result.companies, result.contacts, result.partial) == (2, 2, False)
    companies_file, contacts_file = (
        await kept(database, request_, "companies"),
        await kept(database, request_, "contacts"),
    )
    assert companies_file is not None
    assert contacts_file is not None
    assert (result.companies_file, result.contacts_file) == (companies_file.name, contacts_file.name)
    assert (
        names(companies_file, "domain") == names(contacts_file, "company_domain") == ["acme.example", "birch.example"]
    )


async def test_f89_exported_again_the_files_are_the_same_bytes_under_the_same_names(
    database: Database, request_: RunRequest
) -> None:
    await finish(database, request_)
    await export(database, request_)
    before = [await kept(database, request_, kind) for kind in ("companies", "contacts")]
    await export(database, request_)
    assert [await kept(database, request_, kind) for kind in ("companies", "contacts")] == before


async def test_f90_a_selected_company_without_research_fails_the_export_and_leaves_no_file(
    database: Database, request_: RunRequest
) -> None:
    async with database.transaction() as conn:
        unread = await add_complete(conn, request_.run_id, "Dogwood", 9, graded=False)
        await runs.finish(conn, request_.run_id, RunStatus.COMPLETED, [unread], "")
    with pytest.raises(LookupError, match="no research"):
        await export(database, request_)
    assert await kept(database, request_, "companies") is None
    assert await kept(database, request_, "contacts") is None


async def test_the_files_of_a_run_that_goes_on_are_partial_and_are_not_kept(
    database: Database, request_: RunRequest
) -> None:
    async with database.transaction() as conn:
        run = await runs.get_run(conn, request_.run_id)
    async with database.transaction() as conn:
        companies_file, contacts_file, partial = await rendered_files(conn, run)
    assert partial, "two of two are complete, but the run may still change"
    assert (companies_file.rows, contacts_file.rows) == (2, 2)
    assert await kept(database, request_, "companies") is None


async def test_a_list_shorter_than_asked_for_is_partial_even_when_completed(database: Database) -> None:
    async with database.transaction() as conn:
        request = await add_run(conn, target=3)
        await add_complete(conn, request.run_id, "Acme", 0)
    await finish(database, request)
    result = await export(database, request)
    assert (result.companies, result.partial) == (1, True)


async def test_a_completed_run_is_written_from_the_kept_files_whatever_changes_later(
    database: Database, request_: RunRequest
) -> None:
    await finish(database, request_)
    await export(database, request_)
    before = [await kept(database, request_, kind) for kind in ("companies", "contacts")]
    async with database.transaction() as conn:
        await conn.execute("UPDATE company_candidates SET name = 'Renamed' WHERE run_id = %s", (request_.run_id,))
        run = await runs.get_run(conn, request_.run_id)
    async with database.transaction() as conn:
        *written, partial = await rendered_files(conn, run)
    assert written == before
    assert partial is False
